"""Iceberg tables that Athena wrote, each in a Glue and a Postgres database of its own; lake work in processes to kill."""

from __future__ import annotations

import importlib.util
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from penstock.connections import Connections
from penstock.lake.athena import Athena
from penstock.lake.buckets import ensure_buckets
from penstock.lake.tables import TableName, Version, read_version
from penstock.landing.tables import ensure_workgroup
from penstock.sync.declaration import Declaration
from penstock.sync.report import SyncReport
from penstock.sync.run import sync

COLUMNS = "product_id, tenant_id, price, sold_date, year, month"
# Two sales a month and tenant: 3 tenants, the 4 months from 2024-11; the embedding is not synced.
SALES = (
    "select concat('P', cast(p as varchar)) as product_id, concat('tenant_00', cast(t as varchar)) as tenant_id,"
    " cast(p + t / 10e0 as decimal(10,2)) as price,"
    " cast(date_add('day', p * 4, date_add('month', m, date '2024-11-01')) as timestamp(6)) as sold_date,"
    " array[cast(p as double), cast(t as double)] as embedding,"
    " cast(year(date_add('month', m, date '2024-11-01')) as integer) as year,"
    " cast(month(date_add('month', m, date '2024-11-01')) as integer) as month"
    " from unnest(sequence(1, 2)) as a(p) cross join unnest(sequence(1, 3)) as b(t)"
    " cross join unnest(sequence(0, 3)) as c(m)"
)
ROWS = 2 * 3 * 4


@dataclass
class Sales:
    """The table `sales_history` of one test, partitioned by year and month."""

    connections: Connections
    name: TableName
    declared: Declaration = field(init=False)

    def __post_init__(self) -> None:
        self.declared = Declaration(
            "sales_history",
            self.name.database,
            self.name.table,
            "sales_history",
            ("tenant_id", "product_id", "sold_date"),
            columns={"price": "decimal(10,2)"},
            exclude=("embedding",),
        )

    @property
    def base(self) -> str:
        return f"s3://{self.connections.environment.lake_bucket}/{self.name.database}/sales_history"

    def create(self, rows: str = SALES, partitioning: str = "'year', 'month'") -> None:
        self.run(
            f"create table {self.name.sql} with (table_type = 'ICEBERG', is_external = false, location = '{self.base}/',"
            f" format = 'PARQUET', write_compression = 'snappy', partitioning = array[{partitioning}]) as {rows}"
        )

    def run(self, *statements: str) -> None:
        for statement in statements:
            Athena(self.connections).run(statement, database=self.name.database)

    def rows(self, table: str = "") -> list[tuple[str | None, ...]]:
        """The table's rows as Athena tells them, the embedding too, in order."""
        sql = f'select {COLUMNS}, embedding from "{table or self.name.table}" order by 2, 1, 4'
        return Athena(self.connections).run(sql, database=self.name.database).rows

    def sync(self) -> SyncReport:
        (report,) = sync(self.connections, [self.declared])
        if report.error:
            raise report.error
        return report

    def postgres(self) -> list[tuple[str | None, ...]]:
        """The rows of Postgres, as Athena would print them."""
        with psycopg.connect(self.connections.database_url) as connection:
            return connection.execute(
                "select product_id, tenant_id, price::text, to_char(sold_date, 'YYYY-MM-DD HH24:MI:SS.US'), year::text,"
                ' month::text from sales_history order by tenant_id collate "C", product_id collate "C", sold_date'
            ).fetchall()

    def assert_synced(self) -> None:
        assert self.postgres() == [row[:-1] for row in self.rows()]

    def version(self, table: str = "") -> Version:
        return read_version(self.connections, TableName(self.name.database, table) if table else self.name)

    def names(self) -> set[str]:
        """The tables of the Glue database."""
        found = self.connections.client("glue").get_tables(DatabaseName=self.name.database)
        return {table["Name"] for table in found["TableList"]}

    def objects(self, prefix: str = "") -> list[str]:
        """The keys of the lake bucket below the test's own prefix."""
        found = self.connections.client("s3").list_objects_v2(
            Bucket=self.connections.environment.lake_bucket, Prefix=prefix or f"{self.name.database}/"
        )
        return [item["Key"] for item in found.get("Contents", ())]


@pytest.fixture(scope="session")
def lake_stack(stack: Connections) -> Connections:
    ensure_buckets(stack)
    ensure_workgroup(stack, stack.client("athena"))
    return stack


@pytest.fixture
def empty(lake_stack: Connections) -> Iterator[Sales]:
    """A database with no table in it yet."""
    name = f"lake_{uuid.uuid4().hex[:8]}_local"
    lake_stack.client("glue").create_database(DatabaseInput={"Name": name})
    with psycopg.connect(lake_stack.database_url, autocommit=True) as admin:
        admin.execute(f"create database {name}".encode())
    url = make_conninfo(lake_stack.database_url, dbname=name)
    yield Sales(replace(lake_stack, database_url=url), TableName(name, "sales_history"))
    with psycopg.connect(lake_stack.database_url, autocommit=True) as admin:
        admin.execute(f"drop database {name} with (force)".encode())


@pytest.fixture
def sales(empty: Sales) -> Sales:
    empty.create()
    return empty


@pytest.fixture(scope="session")
def victims() -> Iterator[Any]:
    """The process that lake work to be killed is forked from."""
    path = Path(__file__).parent / "support" / "lake_victims.py"
    spec = importlib.util.spec_from_file_location("lake_victims", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["lake_victims"] = module  # orders are pickled by this name
    spec.loader.exec_module(module)
    with module.Nursery() as nursery:
        yield nursery
