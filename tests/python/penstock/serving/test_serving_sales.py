"""What is served of sales, as dbt makes it in Postgres: similar products, tenants kept apart, functions that come and go.

The vectors are the generator's. Tables are made as the sync makes them, with its policies, and filled without a lake.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from penstock.connections import Connections
from penstock.settings import PROJECT_ROOT
from penstock.sync import schema
from penstock.sync.declaration import TENANTS, Declaration, parse
from penstock.sync.state import prepare
from penstock.synthetic import sales as generator
from penstock.transform import dbt
from penstock.transform.build import SERVING_PATHS, drop_removed_functions
from penstock.transform.dbt import Side

pytestmark = pytest.mark.stack

SALES = 16_000  # about 4,000 products, of which the smallest tenant has about 40
SMALL, LARGE = "tenant_007", "tenant_001"
PASSWORD = "of-a-test"
SIMILAR = "select * from serving.similar_products(%s, %s, %s)"
LIST = {"type": "list", "element-id": 90, "element": "double", "element-required": False}
HISTORY = [
    *(("tenant_id", "string"), ("product_id", "string"), ("sold_date", "timestamp"), ("category", "string")),
    *(("brand", "string"), ("condition", "string"), ("sold_price", "decimal(10, 2)"), ("season", "string")),
]
PRODUCTS = [
    *(("tenant_id", "string"), ("product_id", "string"), ("category", "string"), ("brand", "string")),
    ("embedding", LIST),
]


@dataclass
class Serving:
    """A database as dbt leaves it, and the vectors that are in it by tenant and product."""

    connections: Connections
    target: Path
    vectors: dict[str, dict[str, Any]] = field(default_factory=dict)

    @contextmanager
    def connect(self, login: str = "") -> Iterator[psycopg.Connection[Any]]:
        given = {"user": login, "password": PASSWORD} if login else {}
        with psycopg.connect(make_conninfo(self.connections.database_url, **given), autocommit=True) as found:
            yield found

    def build(self) -> None:
        paths = [SERVING_PATHS[1], "sales_monthly_by_category", "assert_views_keep_tenants_apart"]
        dbt.run(self.connections, Side.NEON, ["build", "--select", *paths], target=self.target)

    def exact(self, tenant: str, product: str, k: int) -> list[tuple[str, float]]:
        """The k nearest by numpy, in float64."""
        names = [name for name in sorted(self.vectors[tenant]) if name != product]
        matrix = np.stack([self.vectors[tenant][name] for name in names]).astype(np.float64)
        asked = self.vectors[tenant][product].astype(np.float64)
        cosine = matrix @ asked / (np.linalg.norm(matrix, axis=1) * np.linalg.norm(asked))
        order = np.argsort(1 - cosine, kind="stable")[:k]
        return [(names[i], float(1 - cosine[i])) for i in order]

    def recall(self, connection: psycopg.Connection[Any], function: str, tenant: str, products: int) -> float:
        """Of the ten nearest of so many products, the share that the function finds."""
        asked = sorted(self.vectors[tenant])[:: max(1, len(self.vectors[tenant]) // products)][:products]
        found = 0
        for product in asked:
            rows = connection.execute(
                f"select product_id from {function}(%s, %s)".encode(), [tenant, product]
            )
            found += len({row[0] for row in rows} & {name for name, _ in self.exact(tenant, product, 10)})
        return found / (10 * len(asked))


def _declared(table: str, key: list[str], **more: Any) -> Declaration:
    config = {"materialized": "table", "table_type": "iceberg"}
    tenants = {"column": "tenant_id"}
    node = {"name": table, "schema": "marts", "config": config}
    return parse(node, {"table": table, "key": key, "tenants": tenants, **more})


def _make(
    connection: psycopg.Connection[Any], declared: Declaration, fields: Sequence[tuple[str, Any]]
) -> None:
    columns = declared.resolve(
        [{"id": i, "name": name, "required": False, "type": kind} for i, (name, kind) in enumerate(fields, 1)]
    )
    prepare(connection, declared)
    with connection.transaction():
        schema.create(connection, declared, columns)
        schema.index(connection, declared)


def _vector(numbers: Any) -> bytes:
    return struct.pack(">hh", len(numbers), 0) + numbers.astype(">f4").tobytes()


def _row(*values: bytes) -> bytes:
    return struct.pack(">h", len(values)) + b"".join(struct.pack(">i", len(v)) + v for v in values)


@pytest.fixture(scope="module")
def serving(stack_without_athena: Connections, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    name = f"serving_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(stack_without_athena.database_url, autocommit=True) as admin:
        admin.execute(f"create database {name}".encode())
        made_here = []
        for login, tenant in ((f"{name}_small", SMALL), (f"{name}_large", LARGE)):
            if admin.execute("select 1 from pg_roles where rolname = %s", [tenant]).fetchone() is None:
                admin.execute(f"create role {tenant} in role {TENANTS}".encode())
                made_here.append(tenant)
            admin.execute(f"create role {login} login password '{PASSWORD}' in role {tenant}".encode())
    connections = replace(
        stack_without_athena, database_url=make_conninfo(stack_without_athena.database_url, dbname=name)
    )
    made = Serving(connections, tmp_path_factory.mktemp("serving"))
    _fill(made)
    made.build()
    yield made
    with psycopg.connect(stack_without_athena.database_url, autocommit=True) as admin:
        admin.execute(f"drop database {name} with (force)".encode())
        for role in (f"{name}_small", f"{name}_large", *made_here):
            admin.execute(f"drop role {role}".encode())


def _fill(made: Serving) -> None:
    table = generator.table(SALES)
    rows = dict(
        zip(
            zip(table["tenant_id"].to_pylist(), table["product_id"].to_pylist(), strict=True),
            range(table.num_rows),
            strict=True,
        )
    )  # a product's embedding is the same at each of its sales
    flat = table["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    matrix = flat.reshape(table.num_rows, -1)
    index = {"columns": ["embedding"], "method": "hnsw", "opclass": "vector_cosine_ops"}
    embeddings = _declared(
        "product_embeddings",
        ["tenant_id", "product_id"],
        columns={"embedding": f"vector({matrix.shape[1]})"},
        indexes=[index],
    )
    history = _declared("sales_history", ["tenant_id", "product_id", "sold_date"])
    with made.connect() as connection:
        _make(connection, history, HISTORY)
        copied = "copy product_embeddings (tenant_id, product_id, category, brand, embedding) from stdin (format binary)"
        columns = embeddings.resolve(
            [{"id": i, "name": n, "required": False, "type": kind} for i, (n, kind) in enumerate(PRODUCTS, 1)]
        )
        prepare(connection, embeddings)
        with connection.transaction():
            schema.create(connection, embeddings, columns)
            with connection.cursor().copy(copied) as copy:
                copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
                for (tenant, product), row in rows.items():
                    made.vectors.setdefault(tenant, {})[product] = matrix[row]
                    texts = (tenant, product, table["category"][row].as_py(), table["brand"][row].as_py())
                    copy.write(_row(*(text.encode() for text in texts), _vector(matrix[row])))
                copy.write(b"\xff\xff")
            schema.index(connection, embeddings)
        connection.execute("analyze product_embeddings")
        connection.execute(
            "insert into sales_history (tenant_id, product_id, sold_date, category, sold_price)"
            " select t, 'p' || n, timestamp '2025-01-15' + n * interval '1 month', 'bags', 10 + n"
            " from unnest(%s::text[]) as t, generate_series(0, 2) as n",
            [[SMALL, LARGE]],
        )


@pytest.fixture
def forced(serving: Serving) -> Iterator[str]:
    """The function as it is for tenants of more products than are compared one by one: the vectors' index alone answers."""
    with serving.connect() as connection:
        (text,) = connection.execute(
            "select pg_get_functiondef('serving.similar_products'::regproc)"
        ).fetchone() or ("",)
        assert text.count("constant bigint := 5000;") == 1
        text = text.replace("constant bigint := 5000;", "constant bigint := 0;")
        text = text.replace("serving.similar_products(", "serving.by_index(", 1)
        connection.execute(text.replace("similar_products.", "by_index.").encode())
    yield "serving.by_index"
    with serving.connect() as connection:
        connection.execute("drop function serving.by_index(text, text, integer)")


# -- similar products ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tenant", [SMALL, LARGE])
def test_similar_products_are_the_exact_nearest_with_their_distances(serving: Serving, tenant: str) -> None:
    for product in sorted(serving.vectors[tenant])[:5]:
        with serving.connect() as connection:
            found = connection.execute(SIMILAR.encode(), [tenant, product, 10]).fetchall()
        expected = serving.exact(tenant, product, 10)
        assert [row[0] for row in found] == [name for name, _ in expected]
        assert [row[3] for row in found] == pytest.approx([distance for _, distance in expected], abs=1e-6)
        assert [row[4] for row in found] == pytest.approx([1 - row[3] for row in found])
        assert all(row[1] and row[2] for row in found)


@pytest.mark.parametrize(("tenant", "products"), [(SMALL, 30), (LARGE, 60)])
def test_similar_products_by_the_index_have_a_recall_of_95_percent(
    serving: Serving, forced: str, tenant: str, products: int
) -> None:
    with serving.connect() as connection:
        assert serving.recall(connection, forced, tenant, products) >= 0.95


def test_similar_products_by_the_index_are_found_by_a_role_of_the_tenant_too(
    serving: Serving, forced: str
) -> None:
    """The policy is one more filter behind the index, which alone would end before it met a row of a small tenant."""
    database = serving.connections.database_url.rpartition("/")[2]
    with serving.connect() as connection:
        connection.execute(f"grant execute on function {forced} to {TENANTS}".encode())
        name = connection.info.dbname
    assert name in database
    with serving.connect(f"{name}_small") as connection:
        assert serving.recall(connection, forced, SMALL, 20) >= 0.95
        connection.execute("set hnsw.iterative_scan = off")  # the function has its own
        assert serving.recall(connection, forced, SMALL, 10) >= 0.95


def test_filtered_scan_without_iteration_returns_too_few(serving: Serving) -> None:
    """Why the function sets hnsw.iterative_scan: the neighbours that one round gives are all of other tenants."""
    category = "select category from product_embeddings where tenant_id = %s limit 1"
    asked = (
        "select count(*) from (select from product_embeddings where tenant_id = %s and embedding is not null"
        " order by embedding <=> (select embedding from product_embeddings where tenant_id = %s"
        " and category <> (" + category + ") limit 1) limit 10) as near"
    )
    counted = {}
    for mode in ("off", "relaxed_order"):
        with serving.connect() as connection:
            connection.execute("set enable_seqscan = off; set enable_sort = off; set enable_bitmapscan = off")
            connection.execute(f"set hnsw.iterative_scan = {mode}; set hnsw.ef_search = 40".encode())
            row = connection.execute(asked.encode(), [SMALL, LARGE, SMALL]).fetchone()
            counted[mode] = row[0] if row else 0
    assert counted["off"] < 10
    assert counted["relaxed_order"] == 10


def test_similar_products_of_more_than_there_are_returns_all_others(serving: Serving) -> None:
    product = min(serving.vectors[SMALL])
    with serving.connect() as connection:
        found = connection.execute(SIMILAR.encode(), [SMALL, product, 1000]).fetchall()
    assert {row[0] for row in found} == serving.vectors[SMALL].keys() - {product}


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        (("tenant_007", "no-such", 10), psycopg.errors.NoDataFound, "tenant 'tenant_007' has no product 'no-such'."),
        (("nobody", "no-such", 10), psycopg.errors.NoDataFound, "there is no tenant 'nobody' whose products role "),
        ((None, "no-such", 10), psycopg.errors.NoDataFound, "there is no tenant NULL whose products role "),
        (("tenant_007", None, 10), psycopg.errors.NoDataFound, "tenant 'tenant_007' has no product NULL."),
        (("tenant_007", "x", 0), psycopg.errors.InvalidParameterValue, "k is 0, and must be from 1 to 1000."),
        (("tenant_007", "x", 1001), psycopg.errors.InvalidParameterValue, "k is 1001, and must be"),
        (("tenant_007", "x", None), psycopg.errors.InvalidParameterValue, "k is null, and must be"),
    ],
)  # fmt: skip
def test_similar_products_of_what_is_not_there_says_what(
    serving: Serving, asked: tuple[Any, ...], error: type[psycopg.Error], said: str
) -> None:
    with serving.connect() as connection, pytest.raises(error) as caught:
        connection.execute(SIMILAR.encode(), asked)
    assert said in str(caught.value.diag.message_primary)


def test_product_without_an_embedding_is_said_to_have_none_and_is_nobodys_neighbour(serving: Serving) -> None:
    with serving.connect() as connection:
        connection.execute(
            "insert into product_embeddings (tenant_id, product_id) values (%s, 'bare')", [SMALL]
        )
        try:
            with pytest.raises(
                psycopg.errors.NoDataFound, match="'bare' of tenant 'tenant_007' has no embedding"
            ):
                connection.execute(SIMILAR.encode(), [SMALL, "bare", 10])
            asked = min(serving.vectors[SMALL])
            found = connection.execute(SIMILAR.encode(), [SMALL, asked, 1000]).fetchall()
            assert "bare" not in {row[0] for row in found}
        finally:
            connection.execute("delete from product_embeddings where product_id = 'bare'")


# -- tenants -------------------------------------------------------------------------------------------------------------


def test_role_of_a_tenant_asks_the_function_and_the_view_for_its_own_alone(serving: Serving) -> None:
    with serving.connect() as connection:
        name = connection.info.dbname
    with serving.connect(f"{name}_small") as connection:
        product = min(serving.vectors[SMALL])
        assert len(connection.execute(SIMILAR.encode(), [SMALL, product, 10]).fetchall()) == 10
        with pytest.raises(
            psycopg.errors.NoDataFound, match="there is no tenant 'tenant_001' whose products"
        ):
            connection.execute(SIMILAR.encode(), [LARGE, min(serving.vectors[LARGE]), 10])
        view = "select distinct tenant_id from serving.sales_monthly_by_category"
        assert connection.execute(view).fetchall() == [(SMALL,)]


def test_role_that_is_no_tenant_may_not_ask(serving: Serving) -> None:
    with serving.connect() as connection:
        connection.execute("set role pg_monitor")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(SIMILAR.encode(), [SMALL, "x", 10])
        connection.execute("reset role")


# -- what dbt makes ------------------------------------------------------------------------------------------------------


def test_functions_are_made_again_in_place_and_other_forms_of_them_dropped(serving: Serving) -> None:
    forms = (
        "select oid, pg_get_function_identity_arguments(oid) from pg_proc"
        " where pronamespace = 'serving'::regnamespace and proname = 'similar_products' order by 2"
    )
    with serving.connect() as connection:
        before = connection.execute(forms).fetchall()
        connection.execute(
            "create function serving.similar_products(tenant text) returns int language sql as 'select 1';"
            "comment on function serving.similar_products(text) is E'Another form.\\ndbt: penstock 0123';"
            "create function serving.gone() returns int language sql as 'select 1';"
            "comment on function serving.gone() is E'Removed.\\ndbt: penstock 0123';"
            "create function serving.of_another_hand() returns int language sql as 'select 1'"
        )
        serving.build()
        assert connection.execute(forms).fetchall() == before
        assert drop_removed_functions(serving.connections, serving.target) == ["serving.gone()"]
        assert drop_removed_functions(serving.connections, serving.target) == []
        kept = "select proname from pg_proc where pronamespace = 'serving'::regnamespace order by 1"
        assert connection.execute(kept).fetchall() == [("of_another_hand",), ("similar_products",)]
        connection.execute("drop function serving.of_another_hand()")


def test_view_that_reads_as_its_owner_fails_the_build(serving: Serving) -> None:
    sql = (PROJECT_ROOT / "tests/dbt/singular/serving/assert_views_keep_tenants_apart.sql").read_text()
    with serving.connect() as connection:
        assert connection.execute(sql.encode()).fetchall() == []
        connection.execute("create view serving.careless as select * from public.sales_history")
        assert connection.execute(sql.encode()).fetchall() == [("serving.careless", "sales_history")]
        connection.execute("drop view serving.careless")
