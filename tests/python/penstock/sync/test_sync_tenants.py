"""A role reads the rows of its tenants and no other, whatever it asks; what guards the rows outlives every way to sync."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from penstock.connections import Connections
from penstock.errors import PenstockError, PlanError
from penstock.sync.declaration import TENANTS, Declaration, Policy, parse
from penstock.sync.rounds import Shard
from penstock.sync.run import sync

pytestmark = pytest.mark.stack

FIELDS = [("tenant_id", "string"), ("product_id", "string"), ("price", "long")]
PASSWORD = "of-a-test"
OWN, OTHERS = 3, 7  # rows of the tenant that asks, and of the other


@dataclass(frozen=True)
class Scene:
    """Two tenants of a group, one login each (and one of both), and the guarded table of their sales."""

    lake: Connections
    declared: Declaration
    writer: Any
    mine: str
    theirs: str

    @property
    def login(self) -> str:
        return f"app_{self.mine}"

    def run(self, **options: Any) -> Any:
        (report,) = sync(self.lake, [self.declared], **options)
        return report

    def admin(self, statement: str) -> list[Any]:
        with psycopg.connect(self.lake.database_url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def connect(self, login: str = "") -> psycopg.Connection[Any]:
        url = make_conninfo(self.lake.database_url, user=login or self.login, password=PASSWORD)
        return psycopg.connect(url, autocommit=True)

    def seen(self, login: str = "") -> set[str]:
        with self.connect(login) as connection:
            return {row[0] for row in connection.execute("select tenant_id from sales").fetchall()}

    def filled(self, sql: str) -> str:
        return sql.replace("{mine}", self.mine).replace("{theirs}", self.theirs)


@pytest.fixture
def scene(lake: Connections, database: str, lake_writer: Any) -> Iterator[Scene]:
    mark = uuid.uuid4().hex[:8]
    group, mine, theirs = f"tenants_{mark}", f"mine_{mark}", f"theirs_{mark}"
    writer = lake_writer(lake, database, "fct_sales", FIELDS, ("tenant_id", "identity"))
    for tenant, count in ((mine, OWN), (theirs, OTHERS)):
        rows = [{"tenant_id": tenant, "product_id": f"p{n}", "price": n} for n in range(count)]
        writer.add(rows, tenant)
    writer.commit()
    node = {
        "name": "fct_sales",
        "schema": database,
        "config": {"materialized": "table", "table_type": "iceberg"},
    }
    declared = parse(
        node,
        {
            "table": "sales",
            "key": ["tenant_id", "product_id"],
            "tenants": {"column": "tenant_id", "role": group},
        },
    )
    roles = [group, mine, theirs, f"app_{mine}", f"app_{theirs}", f"both_{mark}"]
    with psycopg.connect(lake.database_url, autocommit=True) as admin:
        for statement in (
            f"create role {group}",
            f"create role {mine} in role {group}",
            f"create role {theirs} in role {group}",
            f"create role app_{mine} login password '{PASSWORD}' in role {mine}",
            f"create role app_{theirs} login password '{PASSWORD}' in role {theirs}",
            f"create role both_{mark} login noinherit password '{PASSWORD}'",
            f"grant {mine}, {theirs} to both_{mark} with inherit false, set true",
        ):
            admin.execute(statement.encode())
    yield Scene(lake, declared, writer, mine, theirs)
    with psycopg.connect(lake.database_url, autocommit=True) as admin:
        for role in reversed(roles):
            admin.execute(f"drop owned by {role}".encode())
            admin.execute(f"drop role {role}".encode())


# -- what a tenant may ask -----------------------------------------------------------------------------------------------

ASKED: dict[str, Any] = {  # what it asks, and the one value that answers
    "select count(*) from sales": OWN,
    "select count(*) from sales where tenant_id = '{theirs}'": 0,
    "select count(*) from sales where tenant_id in ('{mine}', '{theirs}')": OWN,
    "select count(*) from sales as a inner join sales as b using (product_id)": OWN,
    "select count(b.price) from (values ('p6')) as v (p) left join sales as b on b.product_id = v.p": 0,
    "select string_agg(distinct tenant_id, ',') from (table sales union all table sales) as u": "{mine}",
    "select (select max(price) from sales)": OWN - 1,
    "select count(*) filter (where tenant_id <> '{mine}') from sales": 0,
    "select count(*) over () from sales limit 1": OWN,
    "select count(*) from sales tablesample system (100)": OWN,
    "select count(*) from sales where ctid >= '(0,0)'": OWN,
    "select count(*) from (select s::text as line from sales as s) as l where line like '%theirs_%'": 0,
    "select count(*) from pg_stats where tablename = 'sales'": 0,
    "select count(*) from sales, set_config('penstock.tenant', '{theirs}', false) as s where s <> ''": OWN,
}


def test_tenant_that_asks_sees_its_own_rows_alone(scene: Scene) -> None:
    scene.run()
    scene.admin("analyze sales")
    expected = {sql: scene.filled(v) if isinstance(v, str) else v for sql, v in ASKED.items()}
    with scene.connect() as connection:
        found = {sql: connection.execute(scene.filled(sql).encode()).fetchall() for sql in ASKED}
    assert found == {sql: [(value,)] for sql, value in expected.items()}


def test_tenant_that_prepares_copies_declares_or_explains_sees_its_own_rows_alone(scene: Scene) -> None:
    scene.run()
    with scene.connect() as connection:
        connection.execute("prepare everything as select tenant_id from sales")
        assert set(connection.execute("execute everything").fetchall()) == {(scene.mine,)}
        with connection.cursor().copy("copy sales to stdout") as copy:
            lines = [bytes(line).decode() for line in copy]
        assert len(lines) == OWN
        assert scene.theirs not in "".join(lines)
        with connection.transaction():
            connection.execute("declare walking cursor for select tenant_id from sales")
            assert set(connection.execute("fetch all from walking").fetchall()) == {(scene.mine,)}
        plan = "\n".join(
            row[0] for row in connection.execute("explain (verbose) select * from sales").fetchall()
        )
        assert scene.theirs not in plan
        connection.execute("create temporary table mine as select * from sales")
        assert connection.execute("select count(*) from mine").fetchone() == (OWN,)


def test_function_of_the_tenant_is_shown_no_row_of_another(scene: Scene) -> None:
    """A condition that costs nothing and tells what it is given would be asked first, were the policy no barrier."""
    scene.run()
    with scene.connect() as connection:
        told: list[str] = []
        connection.add_notice_handler(lambda notice: told.append(str(notice.message_primary)))
        connection.execute(
            "create function pg_temp.tell(what text) returns boolean language plpgsql cost 0.0000001"
            " as 'begin raise notice ''%'', what; return true; end'"
        )
        connection.execute("select count(*) from sales where pg_temp.tell(tenant_id)")
        assert set(told) == {scene.mine}
        # an error that only another's row would raise
        connection.execute(
            f"select 1 / (case when tenant_id = '{scene.theirs}' then 0 else 1 end) from sales".encode()
        )
        connection.execute("select count(*) from sales where 1 / (4 - price) > 5")


def test_settings_that_a_tenant_makes_open_nothing(scene: Scene) -> None:
    scene.run()
    with scene.connect() as connection:
        for setting in ("penstock.tenant", "app.tenant_id", "request.jwt.claims"):
            connection.execute("select set_config(%s, %s, false)", [setting, scene.theirs])
        connection.execute("set search_path = pg_temp, public")
        connection.execute(
            "create temporary table pg_roles as select oid, rolname from pg_catalog.pg_roles limit 0"
        )
        assert {row[0] for row in connection.execute("select tenant_id from sales").fetchall()} == {
            scene.mine
        }
        connection.execute("set row_security = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            connection.execute("select count(*) from sales")


REFUSED = [
    "insert into sales (tenant_id, product_id) values ('{mine}', 'new')",
    "update sales set price = 1",
    "update sales set tenant_id = '{mine}'",
    "delete from sales",
    "truncate sales",
    "merge into sales as t using sales as s on t.id = s.id when matched then delete",
    "select * from sales for update",
    "do $$ begin lock table sales in exclusive mode; end $$",
    "select nextval('sales_id_seq')",
    "select last_value from sales_id_seq",
    "select setval('sales_id_seq', 1)",
    "set role {theirs}",
    "set session authorization {theirs}",
    "alter table sales disable row level security",
    "alter table sales no force row level security",
    "drop policy own_tenants on sales",
    "create policy open on sales for select using (true)",
    "alter table sales owner to {mine}",
    "grant {theirs} to {mine}",
    "alter role {mine} bypassrls",
    "create role accomplice",
    "create index on sales (price)",
    "create trigger tell after insert on sales execute function suppress_redundant_updates_trigger()",
    "create rule all_of_it as on select to sales do instead select 1",
    "copy sales to '/tmp/sales'",
    "copy sales from stdin",
    "select * from penstock.sync_state",
    "select * from pg_statistic",
    "select pg_read_file('postgresql.conf')",
]


def test_tenant_that_writes_or_takes_more_is_refused(scene: Scene) -> None:
    scene.run()
    allowed = []
    for sql in REFUSED:
        with scene.connect() as connection:
            try:
                connection.execute(scene.filled(sql).encode())
                allowed.append(sql)
            except psycopg.errors.InsufficientPrivilege:
                continue
    assert allowed == []
    assert scene.seen() == {scene.mine}
    assert scene.admin("select count(*), max(price) from sales") == [(OWN + OTHERS, OTHERS - 1)]


def test_login_of_two_tenants_sees_the_one_whose_role_it_takes_and_none_before(scene: Scene) -> None:
    scene.run()
    login = f"both_{scene.mine.removeprefix('mine_')}"
    with scene.connect(login) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select count(*) from sales")
        for tenant in (scene.mine, scene.theirs):
            with connection.transaction():
                connection.execute(f"set local role {tenant}".encode())
                assert {row[0] for row in connection.execute("select tenant_id from sales")} == {tenant}
    scene.admin(f"revoke {scene.mine} from {login}")
    with scene.connect(login) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"set role {scene.mine}".encode())


def test_role_that_reads_the_table_and_is_no_tenant_sees_nothing(scene: Scene) -> None:
    """A grant by another hand does not open the rows; nor does a role called as a tenant that is none of the group."""
    scene.run()
    scene.admin(f"revoke {scene.declared.grants[0][1]} from {scene.mine}")
    scene.admin(f"grant select on sales to {scene.mine}")
    assert scene.seen() == set()


def test_view_asked_by_a_tenant_needs_security_invoker(scene: Scene) -> None:
    """Why the views over tenants' tables are made so: any other view reads as its owner, who sees everything."""
    scene.run()
    group = scene.declared.grants[0][1]
    scene.admin("create view public.asked as select tenant_id from sales")
    scene.admin(f"grant select on public.asked to {group}")
    with scene.connect() as connection:
        assert connection.execute("select count(*) from asked").fetchone() == (OWN + OTHERS,)
        scene.admin("alter view public.asked set (security_invoker = true)")
        assert connection.execute("select count(*) from asked").fetchone() == (OWN,)


def test_tenants_condition_asks_the_catalogs_once_and_takes_the_key(scene: Scene) -> None:
    scene.run()
    with scene.connect() as connection:
        connection.execute("set enable_seqscan = off")
        plan = "\n".join(row[0] for row in connection.execute("explain select * from sales").fetchall())
    assert "InitPlan" in plan
    assert "Index Cond: ((tenant_id)" in plan or "Index Cond: (tenant_id" in plan


# -- what a sync keeps ---------------------------------------------------------------------------------------------------


def test_guard_outlives_every_way_to_sync(scene: Scene) -> None:
    scene.run()
    for options in ({}, {"full": True}):
        scene.run(**options)
        assert scene.seen() == {scene.mine}
    more = [{"tenant_id": scene.theirs, "product_id": "late", "price": 9}]
    scene.writer.add(more, scene.theirs)
    scene.writer.commit()
    report = scene.run()
    assert (report.inserted, report.schema_changes) == (1, [])
    assert scene.seen() == {scene.mine}
    scene.admin("drop table sales")
    assert scene.run().mode == "load"
    assert scene.seen() == {scene.mine}
    scene.admin("delete from sales where product_id = 'late'")
    assert scene.run(mend=True).inserted == 1
    assert scene.seen() == {scene.mine}
    assert scene.admin("select count(*) from sales") == [(OWN + OTHERS + 1,)]  # the sync sees all


@pytest.mark.parametrize(
    ("taken", "said"),
    [
        ("drop policy own_tenants on sales", ["policy own_tenants"]),
        ("alter table sales disable row level security", ["row-level security"]),
    ],
)
def test_guard_taken_away_by_another_hand_is_put_back_though_the_lake_is_as_it_was(
    scene: Scene, taken: str, said: list[str]
) -> None:
    scene.run()
    scene.admin(taken)
    report = scene.run()
    assert (report.mode, report.schema_changes) == ("nothing", said)
    assert scene.seen() == {scene.mine}
    assert scene.run().schema_changes == []


def test_declaration_without_tenants_takes_the_guard_and_the_grant_away(scene: Scene) -> None:
    scene.run()
    (report,) = sync(scene.lake, [replace(scene.declared, grants=(), policies=(), tenant="")])
    assert sorted(report.schema_changes) == [
        f"dropped grant select to {scene.declared.grants[0][1]}",
        "dropped policy own_tenants",
        "dropped row-level security",
    ]
    with scene.connect() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("select count(*) from sales")


def test_table_loaded_in_shards_is_guarded_before_its_first_row_is_there(scene: Scene) -> None:
    """A shard commits its rows long before the last one makes the grants: who may read the table by default must wait."""
    scene.admin(f"alter default privileges in schema public grant select on tables to {scene.login}")
    scene.run(shard=Shard(1, 2))
    assert scene.admin("select count(*) > 0 from sales") == [(True,)]
    assert scene.seen() <= {scene.mine}
    scene.run(shard=Shard(2, 2))
    assert scene.seen() == {scene.mine}
    scene.admin(f"alter default privileges in schema public revoke select on tables from {scene.login}")


def test_load_that_another_watches_shows_no_row_of_another_tenant(scene: Scene) -> None:
    seen: set[str] = set()
    ended = threading.Event()

    def watch() -> None:
        with scene.connect() as connection:
            while not ended.is_set():
                try:
                    seen.update(row[0] for row in connection.execute("select tenant_id from sales"))
                except psycopg.Error:  # not there, not granted, or dropped while it was read
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        scene.run()
        scene.run(full=True)
        scene.admin("drop table sales")
        scene.run()
    finally:
        ended.set()
        watcher.join()
    assert seen <= {scene.mine}


# -- what is refused -----------------------------------------------------------------------------------------------------


def test_group_that_is_not_in_postgres_is_refused_with_what_to_do(scene: Scene) -> None:
    lost = replace(
        scene.declared,
        grants=(("select", "nobody_here"),),
        policies=(replace(scene.declared.policies[0], to=("nobody_here",)),),
    )
    with pytest.raises(PlanError, match="names role 'nobody_here', which is not in Postgres") as caught:
        sync(scene.lake, [lost])
    assert "create role nobody_here" in caught.value.hint
    assert scene.admin("select to_regclass('sales') is null") == [(True,)]


def test_column_of_tenants_that_is_not_synced_is_refused(scene: Scene) -> None:
    with pytest.raises(PlanError, match=r"meta\.sync\.tenants names column 'tenant', which is not synced"):
        sync(scene.lake, [replace(scene.declared, tenant="tenant")])


NODE = {"name": "m", "schema": "d", "config": {"materialized": "table", "table_type": "iceberg"}}
SYNC = {"table": "t", "key": ["a"]}


def test_tenants_declared_become_a_grant_and_a_policy() -> None:
    declared = parse(NODE, SYNC | {"tenants": {"column": "a"}, "grants": {"select": [TENANTS, "reporting"]}})
    assert declared.tenant == "a"
    assert declared.grants == (("select", TENANTS), ("select", "reporting"))
    (policy,) = declared.policies
    assert (policy.name, policy.command, policy.to) == ("own_tenants", "select", (TENANTS,))


@pytest.mark.parametrize(
    ("tenants", "said"),
    [
        ({}, "meta.sync.tenants.column is missing"),
        ("tenant_id", "meta.sync.tenants must be a mapping of column, role"),
        ({"colunm": "a"}, "meta.sync.tenants has no key 'colunm'"),
        ({"column": "a'b"}, "is no plain lower-case Postgres name"),
        ({"column": "a", "role": "x' or true"}, "is no plain lower-case Postgres name"),
    ],
)
def test_tenants_that_are_wrong_are_refused_by_key(tenants: Any, said: str) -> None:
    with pytest.raises(PenstockError) as caught:
        parse(NODE, SYNC | {"tenants": tenants})
    assert said in caught.value.message


def test_policy_of_the_name_that_tenants_take_is_refused() -> None:
    policy = {"name": "own_tenants", "using": "true"}
    with pytest.raises(PlanError, match="that name is the one of 'tenants'"):
        parse(NODE, SYNC | {"tenants": {"column": "a"}, "policies": [policy]})


def test_policies_beside_tenants_open_more_to_whom_they_name() -> None:
    everyone = {"name": "reporting_reads_all", "for": "select", "to": ["reporting"], "using": "true"}
    declared = parse(NODE, SYNC | {"tenants": {"column": "a"}, "policies": [everyone]})
    assert declared.policies[0] == Policy("reporting_reads_all", "select", ("reporting",), "true")
    assert [policy.name for policy in declared.policies] == ["reporting_reads_all", "own_tenants"]
