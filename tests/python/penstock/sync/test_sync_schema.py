"""What is declared beside plain columns converges: expressions, renames, indexes, generated columns, grants, policies."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import psycopg
import pytest

from penstock.connections import Connections
from penstock.errors import PlanError, SchemaDriftError, SyncError
from penstock.sync.columns import Column, SqlType
from penstock.sync.declaration import Declaration, Generated, Index, Policy
from penstock.sync.options import build, converge, index_name, index_sql
from penstock.sync.report import SyncReport
from penstock.sync.run import sync
from penstock.sync.schema import need_types
from penstock.sync.state import prepare

pytestmark = pytest.mark.stack

FIELDS = [("n", "int"), ("shop", "string"), ("state", "string"), ("price", "double"), ("raw", "string")]


def rows(count: int = 5, start: int = 1) -> list[dict[str, Any]]:
    return [
        {"n": n, "shop": f" shop {n} ", "state": "ca", "price": n + 0.005, "raw": None if n % 2 else "x"}
        for n in range(start, start + count)
    ]


@pytest.fixture
def writer(lake: Connections, database: str, lake_writer: Any) -> Any:
    return lake_writer(lake, database, "fct_sales", FIELDS, None)


@pytest.fixture
def sales(database: str) -> Declaration:
    return Declaration("fct_sales", database, "fct_sales", "sales", ("n",))


@pytest.fixture
def role(lake: Connections) -> Iterator[str]:
    """A role of the test's own, that owns nothing and may do nothing."""
    name = f"reader_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(lake.database_url, autocommit=True) as admin:
        admin.execute(f"create role {name}".encode())
    yield name
    with psycopg.connect(lake.database_url, autocommit=True) as admin:
        admin.execute(f"drop owned by {name}".encode())
        admin.execute(f"drop role {name}".encode())


def run(lake: Connections, declared: Declaration, **options: Any) -> SyncReport:
    (report,) = sync(lake, [declared], **options)
    return report


def tell(lake: Connections, statement: str) -> None:
    with psycopg.connect(lake.database_url, autocommit=True) as connection:
        connection.execute(statement.encode())


def query(lake: Connections, statement: str) -> list[Any]:
    with psycopg.connect(lake.database_url, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


def columns(lake: Connections) -> list[str]:
    found = query(
        lake,
        "select attname from pg_attribute where attrelid = 'sales'::regclass and attnum > 0 and not attisdropped"
        " order by attnum",
    )
    return [row[0] for row in found if row[0] not in ("id", "created_at", "updated_at")]


def indexes(lake: Connections) -> dict[str, str]:
    found = query(lake, "select indexname, indexdef from pg_indexes where tablename = 'sales' order by 1")
    return {
        name: definition.split(" ON public.sales ")[1] for name, definition in found if name.endswith("_idx")
    }


# -- expressions, renames, exclusions ------------------------------------------------------------------------------------


def computing(sales: Declaration) -> Declaration:
    return replace(
        sales,
        columns={"state": "varchar(2) not null", "cents": "bigint", "total": "decimal(10,2)"},
        renamed={"store": "shop"},
        expressions={
            "state": "upper(trim(state))",
            "cents": "(price::numeric(12,2) * 100)::bigint",
            "total": "price::numeric(10,2)",
        },
        exclude=("raw",),
    )


def test_sync_of_expressions_and_renames_loads_merges_and_verifies(
    lake: Connections, writer: Any, sales: Declaration
) -> None:
    first = writer.add(rows(5))
    writer.commit()
    report = run(lake, computing(sales))
    assert (report.mode, report.inserted) == ("load", 5)
    assert columns(lake) == ["n", "store", "state", "price", "cents", "total"]
    assert query(lake, "select store, state, cents, total::text from sales where n = 1") == [
        (" shop 1 ", "CA", 101, "1.01")
    ]
    changed = [row | ({"state": " tx"} if row["n"] == 2 else {}) for row in rows(6)]
    second = writer.add(changed)
    writer.commit(remove=[first])
    report = run(lake, computing(sales))
    assert (report.inserted, report.updated, report.deleted) == (1, 1, 0)
    assert query(lake, "select n, state from sales where state <> 'CA'") == [(2, "TX")]
    # white space that the expression takes away is no change
    writer.add([row | {"state": "  " + row["state"]} for row in changed])
    writer.commit(remove=[second])
    report = run(lake, computing(sales))
    assert (report.inserted, report.updated, report.deleted) == (0, 0, 0)


def test_sync_of_a_computed_key_merges_deletes_and_refuses_what_becomes_one(
    lake: Connections, database: str, lake_writer: Any
) -> None:
    writer = lake_writer(lake, database, "fct_codes", [("code", "string"), ("v", "int")], None)
    declared = Declaration(
        "fct_codes", database, "fct_codes", "codes", ("code",), expressions={"code": "upper(trim(code))"}
    )
    first = writer.add([{"code": f" k{n}", "v": n} for n in range(20)])
    writer.commit()
    assert run(lake, declared).inserted == 20
    writer.add([{"code": f"K{n} ", "v": 0 if n == 3 else n} for n in range(1, 20)])
    writer.commit(remove=[first])
    report = run(lake, declared)
    assert (report.path, report.inserted, report.updated, report.deleted) == ("delta", 0, 1, 1)
    assert query(lake, "select code, v from codes where v = 0") == [("K3", 0)]
    writer.add([{"code": "k3", "v": 1}])
    writer.commit()
    with pytest.raises(SyncError, match=r"the key \(code\) is not unique"):
        run(lake, declared)


def test_sync_of_another_expression_compares_every_row(
    lake: Connections, writer: Any, sales: Declaration
) -> None:
    writer.add(rows(5))
    writer.commit()
    run(lake, computing(sales))
    other = replace(computing(sales), expressions=computing(sales).expressions | {"cents": "n * 2"})
    report = run(lake, other)
    assert report.reason.startswith("column 'cents' now comes from elsewhere in the lake")
    assert report.updated == 5
    assert query(lake, "select sum(cents) from sales") == [(30,)]


def test_sync_of_a_refused_value_names_partition_column_and_key(
    lake: Connections, writer: Any, sales: Declaration
) -> None:
    writer.add([*rows(2), rows(1, 3)[0] | {"state": "abc"}])
    writer.commit()
    with pytest.raises(SyncError) as caught:
        run(lake, computing(sales))
    assert "Column 'state': 'ABC' does not fit character varying(2). Its row is n=3." in caught.value.message
    assert "whole table" in caught.value.message
    assert query(lake, "select to_regclass('sales')") == [(None,)]


def test_sync_of_a_partition_column_with_an_expression_covers_the_whole_table(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast_fields = [(item["name"], item["type"]) for item in forecast.metadata["schemas"][0]["fields"]]
    row = {name: None for name, _ in forecast_fields} | {
        "restaurant_id": 1,
        "inventory_item_id": 2,
        "y_50": 1.0,
    }
    forecast.add([row | {"business_date": date(2025, 1, 3), "state": "CA"}], (2025 - 1970) * 12)
    forecast.commit()
    moved = replace(declared, expressions={"business_date": "business_date::timestamp::date"})
    assert run(lake, moved).partitions == ["whole table"]


def test_sync_of_a_renamed_lake_column_keeps_its_name_by_from(
    lake: Connections, writer: Any, sales: Declaration
) -> None:
    writer.add(rows(3))
    writer.commit()
    run(lake, sales)
    writer.evolve(rename={"shop": "branch"})
    with pytest.raises(SchemaDriftError) as caught:
        run(lake, sales)
    assert "column 'shop' was renamed to 'branch'" in caught.value.message
    assert "shop: {from: branch}" in caught.value.hint
    report = run(lake, replace(sales, renamed={"shop": "branch"}))
    assert (report.inserted, report.updated, report.deleted) == (0, 0, 0)
    assert columns(lake) == ["n", "shop", "state", "price", "raw"]


def test_sync_of_a_column_that_is_excluded_later_is_refused_by_name(
    lake: Connections, writer: Any, sales: Declaration
) -> None:
    writer.add(rows(3))
    writer.commit()
    run(lake, sales)
    with pytest.raises(SchemaDriftError, match="column 'raw' is excluded now"):
        run(lake, replace(sales, exclude=("raw",)))


def test_sync_of_a_column_dropped_and_made_again_takes_the_new_ones_values(
    lake: Connections, writer: Any, sales: Declaration
) -> None:
    writer.add(rows(3))
    writer.commit()
    run(lake, sales)
    writer.evolve(drop=["shop"])
    writer.evolve(add=[("shop", "string")])
    report = run(lake, sales)
    assert report.updated == 3
    assert query(lake, "select distinct shop from sales") == [(None,)]


# -- indexes -------------------------------------------------------------------------------------------------------------


def test_sync_of_indexes_converges_and_leaves_others_alone(
    lake: Connections, writer: Any, sales: Declaration
) -> None:
    writer.add(rows(4))
    writer.commit()
    first = replace(
        sales,
        indexes=(
            Index(("shop",)),
            Index((), expression="lower(state)", unique=False),
            Index(("n",), include=("price",), unique=True, where="n > 0"),
        ),
    )
    run(lake, first)
    assert sorted(indexes(lake).values()) == [
        "USING btree (lower(state))",
        "USING btree (n) INCLUDE (price) WHERE (n > 0)",
        "USING btree (shop)",
    ]
    tell(lake, "create index by_hand_idx on sales (raw)")
    second = replace(
        sales, indexes=(Index(("shop",)), Index(("n",), method="brin", options=(("pages_per_range", "8"),)))
    )
    report = run(lake, second)
    assert sorted(indexes(lake).values()) == [
        "USING brin (n) WITH (pages_per_range='8')",
        "USING btree (raw)",
        "USING btree (shop)",
    ]
    assert report.mode == "nothing"
    assert sorted(item.split("_")[0] for item in report.schema_changes) == ["dropped index sales"] * 2 + [
        "index sales"
    ]
    assert run(lake, second).schema_changes == []


def test_sync_of_a_wrong_index_names_it_and_says_what_postgres_says(
    lake: Connections, writer: Any, sales: Declaration
) -> None:
    writer.add(rows(2))
    writer.commit()
    with pytest.raises(PlanError) as caught:
        run(lake, replace(sales, indexes=(Index((), expression="no_such(state)"),)))
    assert "fct_sales: meta.sync: index sales_expr_" in caught.value.message
    assert "function no_such(character varying) does not exist" in caught.value.message or (
        "function no_such(text) does not exist" in caught.value.message
    )
    with pytest.raises(PlanError, match=r"meta\.sync\.indexes names column 'nope', which is not in the lake"):
        run(lake, replace(sales, indexes=(Index(("nope",)),)))


def test_index_statement_of_vectors_names_method_and_operator_class(sales: Declaration) -> None:
    wanted = Index(("e",), method="hnsw", opclass="vector_cosine_ops", options=(("m", "16"),))
    assert index_sql(sales, wanted) == (
        f'create index "{index_name(sales, wanted)}" on "public"."sales" using hnsw ("e" vector_cosine_ops) with (m = 16)'
    )


def test_sync_of_a_vector_with_an_hnsw_index_finds_neighbours(
    lake: Connections, database: str, lake_writer: Any
) -> None:
    embedding = {"type": "list", "element-id": 9, "element": "float", "element-required": False}
    writer = lake_writer(lake, database, "fct_sales", [("n", "int"), ("e", embedding)], None)
    writer.add([{"n": n, "e": [float(n), 1.0]} for n in range(1, 30)])
    writer.commit()
    wanted = Index(("e",), method="hnsw", opclass="vector_l2_ops")
    run(
        lake,
        Declaration(
            "m", database, "fct_sales", "sales", ("n",), columns={"e": "vector(2)"}, indexes=(wanted,)
        ),
    )
    assert query(lake, "select n from sales order by e <-> '[7.1,1]' limit 2") == [(7,), (8,)]


@pytest.mark.parametrize("failing", [False, True])
def test_graph_of_vectors_is_built_in_memory_that_holds_it_and_alone_where_workers_get_none(
    lake: Connections, sales: Declaration, failing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.sync.options.GRAPH_ROW_BYTES", 2**20)  # as if a row took a megabyte
    wanted = Index(("e",), method="hnsw", opclass="vector_l2_ops")
    declared = replace(sales, columns={"e": "vector(3)"}, indexes=(wanted,))
    column = Column("e", 1, "list", SqlType("vector", length=3), False)
    seen: list[tuple[str, str]] = []

    class Watched:
        """The connection; tells what is set when the index is built, and may say that no memory can be shared."""

        def __init__(self, connection: Any) -> None:
            self._connection = connection

        def __getattr__(self, name: str) -> Any:
            return getattr(self._connection, name)

        def execute(self, statement: Any, *given: Any) -> Any:
            if b"using hnsw" in (statement if isinstance(statement, bytes) else b""):
                names = ("maintenance_work_mem", "max_parallel_maintenance_workers")
                asked = [self._connection.execute(f"show {name}").fetchone()[0] for name in names]
                seen.append((asked[0], asked[1]))
                if failing and len(seen) == 1:
                    raise psycopg.errors.DiskFull("could not resize shared memory segment")
            return self._connection.execute(statement, *given)

    with psycopg.connect(lake.database_url, autocommit=True) as connection:
        prepare(connection, declared)
        with connection.transaction():
            need_types(connection, declared, [column])
            connection.execute("create table public.sales (n int, e vector(3))")
            connection.execute(
                "insert into public.sales select n, array[n, 1, 2]::vector from generate_series(1, 500) as n"
            )
            assert build(Watched(connection), declared) == [f"index {index_name(declared, wanted)}"]  # type: ignore[arg-type]
            assert connection.execute("show maintenance_work_mem").fetchone() == ("256MB",)
    memory = f"{500 * (2**20 + 12) // 1024}kB"
    assert seen == [(memory, "2"), (memory, "0")] if failing else seen == [(memory, "2")]


def test_extension_is_made_where_everybody_may_use_it(lake: Connections, sales: Declaration) -> None:
    """The search path of a role begins with the schema of its name: that of the local role is the sync's own."""
    column = Column("e", 1, "list", SqlType("vector", length=3), False)
    with psycopg.connect(lake.database_url, autocommit=True) as connection:
        connection.execute("create schema if not exists penstock; set search_path = penstock, public")
        assert need_types(connection, sales, [column]) == ["extension vector"]
        where = "select extnamespace::regnamespace::text from pg_extension where extname = 'vector'"
        assert connection.execute(where).fetchone() == ("public",)


def test_vector_where_the_role_may_not_make_the_extension_says_who_can(
    lake: Connections, sales: Declaration, role: str
) -> None:
    column = Column("e", 1, "list", SqlType("vector", length=3), False)
    with psycopg.connect(lake.database_url) as connection:
        connection.execute(f"set role {role}".encode())
        with pytest.raises(PlanError) as caught:
            need_types(connection, sales, [column])
        connection.execute("reset role")
        assert need_types(connection, sales, [column]) == ["extension vector"]
        assert need_types(connection, sales, [column]) == []
    assert caught.value.message == (
        "fct_sales: column 'e' is vector(3), and the extension is not in this database."
    )
    assert "create extension vector" in caught.value.hint


def test_sync_that_builds_an_index_lets_readers_read(
    lake: Connections, writer: Any, sales: Declaration
) -> None:
    """While the build is under way, and it is until the test lets it end, a reader gets its answer."""
    writer.add(rows(4))
    writer.commit()
    run(lake, sales)
    slow = (
        "create function slow(x text) returns text immutable language plpgsql as"
        " $$begin while exists (select 1 from pg_locks where locktype = 'advisory' and objid = 4711 and database ="
        " (select oid from pg_database where datname = current_database()))"
        " loop perform pg_sleep(0.02); end loop; return x; end$$"
    )
    tell(lake, slow)
    building = (
        "select 1 from pg_stat_activity where query like 'create index%' and state = 'active'"
        " and datname = current_database()"
    )
    with psycopg.connect(lake.database_url, autocommit=True) as reader:
        reader.execute("select pg_advisory_lock(4711)")
        thread = threading.Thread(
            target=run, args=(lake, replace(sales, indexes=(Index((), expression="slow(state)"),)))
        )
        thread.start()
        deadline = time.monotonic() + 60
        while not query(lake, building) and time.monotonic() < deadline:
            time.sleep(0.02)
        reader.execute("set lock_timeout = '900ms'")
        assert reader.execute("select count(*) from sales").fetchone() == (4,)
        assert reader.execute(building.encode()).fetchone() == (1,)  # it was built meanwhile, not before
    thread.join()
    assert list(indexes(lake).values()) == ["USING btree (slow(state))"]


# -- not null ------------------------------------------------------------------------------------------------------------


def test_sync_of_a_column_declared_not_null_later_is_proved_first(
    lake: Connections, writer: Any, sales: Declaration
) -> None:
    writer.add(rows(4))
    writer.commit()
    run(lake, sales)
    assert run(lake, replace(sales, columns={"shop": "text not null"})).schema_changes == [
        'alter column "shop" set not null'
    ]
    with pytest.raises(SchemaDriftError, match="column 'raw' holds nulls and is declared not null"):
        run(lake, replace(sales, columns={"raw": "text not null"}))
    run(lake, sales)
    assert query(
        lake, "select count(*) from pg_constraint where conrelid = 'sales'::regclass and contype = 'c'"
    ) == [(0,)]


# -- generated columns ---------------------------------------------------------------------------------------------------


def test_sync_of_generated_columns_converges(lake: Connections, writer: Any, sales: Declaration) -> None:
    writer.add(rows(3))
    writer.commit()
    tax = Generated("tax", "numeric(10,2)", "round((price * 0.1)::numeric, 2)")
    run(lake, replace(sales, generated=(tax,), indexes=(Index(("tax",)),)))
    assert query(lake, "select tax::text from sales order by n") == [("0.10",), ("0.20",), ("0.30",)]
    writer.add(rows(1, 4))
    writer.commit()
    assert run(lake, replace(sales, generated=(tax,), indexes=(Index(("tax",)),))).inserted == 1
    other = replace(tax, expression="round((price * 0.2)::numeric, 2)")
    report = run(lake, replace(sales, generated=(other,)))
    assert "changed generated column tax" in report.schema_changes
    assert query(lake, "select tax::text from sales where n = 4") == [("0.80",)]
    report = run(lake, sales)
    assert report.schema_changes == ["dropped generated column tax"]
    assert columns(lake) == [name for name, _ in FIELDS]


def test_sync_of_a_wrong_generated_column_is_refused_by_name(
    lake: Connections, writer: Any, sales: Declaration
) -> None:
    writer.add(rows(3))
    writer.commit()
    with pytest.raises(PlanError, match=r"meta\.sync\.generated\.shop is a column of the lake too"):
        run(lake, replace(sales, generated=(Generated("shop", "text", "state"),)))
    with pytest.raises(PlanError, match='column "nope" does not exist'):
        run(lake, replace(sales, generated=(Generated("x", "text", "nope"),)))


# -- grants, policies, comments ------------------------------------------------------------------------------------------


def test_sync_of_grants_grants_and_revokes(
    lake: Connections, writer: Any, sales: Declaration, role: str
) -> None:
    writer.add(rows(3))
    writer.commit()
    run(lake, replace(sales, grants=(("select", role), ("update", role))))
    tell(lake, f"grant delete on sales to {role}")

    def held() -> list[Any]:
        privileges = ("select", "update", "delete")
        return [
            query(lake, f"select has_table_privilege('{role}', 'sales', '{name}')")[0][0]
            for name in privileges
        ]

    assert held() == [True, True, True]
    report = run(lake, replace(sales, grants=(("select", role),)))
    assert report.schema_changes == [f"dropped grant update to {role}"]
    assert held() == [True, False, True]  # what another hand granted stays
    with pytest.raises(
        PlanError, match=r"meta\.sync\.grants names role 'nobody_here', which is not in Postgres"
    ):
        run(lake, replace(sales, grants=(("select", "nobody_here"),)))


def test_sync_of_policies_guards_rows_from_the_first_load_on(
    lake: Connections, writer: Any, sales: Declaration, role: str
) -> None:
    writer.add([*rows(2), rows(1, 3)[0] | {"state": "tx"}])
    writer.commit()
    texan = Policy("texan", "select", (role,), "state = 'tx'")
    guarded = replace(sales, grants=(("select", role),), policies=(texan,))
    run(lake, guarded)

    def seen_by_role() -> list[int]:
        with psycopg.connect(lake.database_url, autocommit=True) as connection:
            connection.execute(f"set role {role}".encode())
            return [row[0] for row in connection.execute("select n from sales order by n").fetchall()]

    assert seen_by_role() == [3]
    run(lake, replace(guarded, policies=(replace(texan, using="n < 3"),)))
    assert seen_by_role() == [1, 2]
    report = run(lake, replace(guarded, policies=()))
    assert report.schema_changes == ["dropped policy texan", "dropped row-level security"]
    assert seen_by_role() == [1, 2, 3]


def test_sync_of_descriptions_makes_them_comments(lake: Connections, writer: Any, sales: Declaration) -> None:
    writer.add(rows(2))
    writer.commit()
    run(lake, replace(sales, comments={"": "One row per sale.", "shop": "It's \\ here", "gone": "x"}))
    shown = "select obj_description('sales'::regclass), col_description('sales'::regclass, 3)"
    assert query(lake, shown) == [("One row per sale.", "It's \\ here")]
    run(lake, replace(sales, comments={"": "One row per sale."}))
    assert query(lake, shown) == [("One row per sale.", None)]


def test_converge_by_a_role_that_does_not_own_the_table_leaves_comments_out(
    lake: Connections, writer: Any, sales: Declaration, role: str
) -> None:
    writer.add(rows(2))
    writer.commit()
    run(lake, sales)
    described = replace(sales, comments={"": "One row per sale."})
    with psycopg.connect(lake.database_url) as connection:
        connection.execute(f"grant usage on schema penstock to {role}".encode())
        connection.execute(f"grant all on all tables in schema penstock to {role}".encode())
        connection.execute(f"set role {role}".encode())
        assert converge(connection, described) == []
        connection.execute("reset role")
        assert converge(connection, described) == ["comment"]


def test_sync_into_a_table_made_again_makes_its_options_again(
    lake: Connections, writer: Any, sales: Declaration, role: str
) -> None:
    writer.add(rows(2))
    writer.commit()
    wanted = replace(sales, grants=(("select", role),), indexes=(Index(("shop",)),), comments={"": "x"})
    run(lake, wanted)
    tell(lake, "drop table sales")
    run(lake, wanted, full=True)
    assert query(
        lake, f"select has_table_privilege('{role}', 'sales', 'select'), obj_description('sales'::regclass)"
    ) == [(True, "x")]
    assert len(indexes(lake)) == 1
