"""Tables that Athena wrote: created, inserted into, merged, updated and deleted from by SQL, then synced."""

from __future__ import annotations

import pickle
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from penstock.connections import Connections
from penstock.lake.athena import Athena
from penstock.lake.buckets import ensure_buckets
from penstock.landing.tables import ensure_workgroup
from penstock.sync.declaration import Declaration
from penstock.sync.report import SyncReport
from penstock.sync.run import sync

pytestmark = pytest.mark.stack

COLUMNS = "restaurant_id, business_date, state, y_50"


class Mart:
    """An Iceberg table of Athena's, with a Postgres database of its own to be synced to."""

    def __init__(self, connections: Connections, name: str) -> None:
        self.connections, self._athena, self._name = connections, Athena(connections), name
        self.declared = Declaration(
            "fct", name, "fct", "fct", ("restaurant_id", "business_date"), columns={"y_50": "decimal(10,2)"}
        )

    def run(self, *statements: str) -> None:
        for statement in statements:
            self._athena.run(statement, database=self._name)

    def sync(self, **options: Any) -> SyncReport:
        (report,) = sync(self.connections, [self.declared], **options)
        return report

    def lake(self) -> list[tuple[Any, ...]]:
        rows = self._athena.run(f"select {COLUMNS} from fct order by 1, 2", database=self._name).rows
        two = Decimal("0.01")
        return [
            (int(r or 0), date.fromisoformat(d or ""), s, Decimal(y or 0).quantize(two, ROUND_HALF_UP))
            for r, d, s, y in rows
        ]

    def postgres(self) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.connections.database_url) as connection:
            return connection.execute(f"select {COLUMNS} from fct order by 1, 2".encode()).fetchall()


@pytest.fixture
def mart(stack: Connections) -> Iterator[Mart]:
    name = f"sync_{uuid.uuid4().hex[:12]}"
    ensure_buckets(stack)
    ensure_workgroup(stack, stack.client("athena"))
    stack.client("glue").create_database(DatabaseInput={"Name": name})
    with psycopg.connect(stack.database_url, autocommit=True) as admin:
        admin.execute(f"create database {name}".encode())
    made = Mart(replace(stack, database_url=make_conninfo(stack.database_url, dbname=name)), name)
    location = f"s3://{stack.environment.lake_bucket}/{name}/fct/"
    made.run(
        "create table fct (restaurant_id int, business_date date, state string, y_50 double)"
        f" partitioned by (month(business_date)) location '{location}' tblproperties ('table_type' = 'ICEBERG')",
        "insert into fct select cast(r as integer), date_add('day', d, date '2025-01-01'), 'CA', r + d / 8e0"
        " from unnest(sequence(1, 20)) as a(r) cross join unnest(sequence(0, 89)) as b(d)",
    )
    yield made
    with psycopg.connect(stack.database_url, autocommit=True) as admin:
        admin.execute(f"drop database {name} with (force)".encode())


def test_sync_after_each_kind_of_statement_equals_athena(mart: Mart) -> None:
    first = mart.sync()
    assert (first.mode, first.inserted, first.partitions) == ("load", 1800, ["2025-01", "2025-02", "2025-03"])
    assert mart.postgres() == mart.lake()

    mart.run("delete from fct where restaurant_id = 3 and business_date < date '2025-02-01'")
    report = mart.sync()
    assert (report.partitions, report.deleted, report.updated, report.inserted) == (["2025-01"], 31, 0, 0)
    assert mart.postgres() == mart.lake()

    mart.run("update fct set y_50 = y_50 + 1 where restaurant_id = 4 and business_date >= date '2025-03-01'")
    report = mart.sync()
    assert (report.partitions, report.deleted, report.updated, report.inserted) == (["2025-03"], 0, 31, 0)
    assert mart.postgres() == mart.lake()

    mart.run(
        "merge into fct t using (select * from (values"
        " (1, date '2025-01-05', 'TX', 7e0), (99, date '2025-04-01', 'NY', 8e0),"
        " (2, date '2025-01-05', 'X', 0e0)) as v(r, d, s, y)) s on t.restaurant_id = s.r and t.business_date = s.d"
        " when matched and s.s = 'X' then delete when matched then update set state = s.s, y_50 = s.y"
        " when not matched then insert values (s.r, s.d, s.s, s.y)"
    )
    report = mart.sync()
    assert (report.partitions, report.deleted, report.updated, report.inserted) == (
        ["2025-01", "2025-04"],
        1,
        1,
        1,
    )
    assert mart.postgres() == mart.lake()

    mart.run("delete from fct where business_date between date '2025-02-01' and date '2025-02-28'")
    report = mart.sync()
    assert (report.partitions, report.deleted) == (["2025-02"], 560)
    assert mart.postgres() == mart.lake()


def test_sync_of_a_table_made_again_equals_athena(mart: Mart) -> None:
    mart.sync()
    mart.run("update fct set state = 'NV' where restaurant_id = 1", "delete from fct where restaurant_id = 2")
    full = mart.sync(full=True)
    assert (full.mode, full.updated, full.deleted) == ("everything", 90, 90)
    assert mart.postgres() == mart.lake()


# A process of its own, to see what a sync with nothing to do imports.
IDLE = """
import pickle, sys
from penstock.sync.run import sync

connections, declared = pickle.load(sys.stdin.buffer)
(report,) = sync(connections, [declared])
heavy = [name for name in ("numpy", "pyarrow", "pyiceberg", "duckdb", "dbt") if name in sys.modules]
print(report.mode, len(report.requests), heavy)
"""


def test_sync_with_nothing_new_imports_nothing_heavy_and_reads_nothing(mart: Mart) -> None:
    mart.sync()
    done = subprocess.run(
        [sys.executable, "-c", IDLE],
        input=pickle.dumps((mart.connections, mart.declared)),
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode() == "nothing 0 []\n"
