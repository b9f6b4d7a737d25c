"""Three sales histories that Athena answers the analyses of analyses/sales from, and the analyses themselves, rendered.

`small` and `faulty` are made of a few rows whose answers are worked out by hand, `generated` of a few hundred. dbt renders
the analyses twice, as they are and with parameters; which table they are asked of is then a matter of the database's name.
"""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from penstock.connections import Connections
from penstock.environments import Environment
from penstock.lake.athena import Athena, QueryResult
from penstock.lake.buckets import ensure_buckets
from penstock.lake.query import analyses, name_of, render, unpruned_twin
from penstock.landing.tables import ensure_workgroup
from penstock.settings import PROJECT_ROOT

# What each analysis is asked beside its defaults; those of the hand-checked rows.
PARAMETERS = {
    "product_id": "p1",
    "tenant_id": "t1",
    "k": "3",
    "top": "3",
    "year": "2024",
    "month": "2",
    "dimensions": "2",
}
GENERATED_ROWS = 600

ICEBERG = """
create table {database}.sales_history (
    product_id string, tenant_id string, category string, brand string, condition string, sold_price decimal(10,2),
    sold_date timestamp, season string, image_s3_key string, embedding array<double>, description string, source string,
    year int, month int
)
partitioned by (year, month)
location 's3://{bucket}/{database}/sales_history/'
tblproperties ('table_type' = 'iceberg', 'format' = 'parquet', 'write_compression' = 'snappy')
"""
LANDED = """
create external table {database}.landed (
    product_id string, tenant_id string, category string, brand string, condition string, sold_price decimal(10,2),
    sold_date timestamp, season string, image_s3_key string, embedding array<double>, description string, source string,
    year int, month int
)
stored as parquet location 's3://{bucket}/{database}/landed/'
"""


@dataclass(frozen=True)
class QueriesEnvironment(Environment):
    """Names of these tests' own, so that they share the stack with others and nothing else."""

    @property
    def lake_bucket(self) -> str:
        return "penstock-lake-queries-test"

    @property
    def results_bucket(self) -> str:
        return "penstock-athena-results-queries-test"

    @property
    def workgroup(self) -> str:
        return "penstock-queries-test"

    @property
    def marts_database(self) -> str:
        return "analytics_queries_test"


@dataclass
class Library:
    """The rendered analyses by name; with parameters, by name and a star."""

    connections: Connections
    root: Path
    model: str  # the database that the analyses' sales_history lies in
    sql: dict[str, str]
    generated: Any  # the Arrow table
    databases: dict[str, str] = field(default_factory=dict)

    def ask(self, name: str, table: str, *, swap: tuple[str, str] = ("", "")) -> QueryResult:
        """Return what an analysis answers of one history; `swap` changes a text in it."""
        sql = self.sql[name]
        assert self.model in sql
        assert swap[0] in sql
        text = sql.replace(self.model, self.databases[table]).replace(*swap)
        return Athena(self.connections).run(text, database=self.connections.environment.marts_database)

    def rows(self, name: str, table: str) -> list[dict[str, Any]]:
        """Return the rows by column, as Python's own values."""
        found = self.ask(name, table)
        return [
            {
                column: _value(text, kind)
                for column, kind, text in zip(found.columns, found.types, row, strict=True)
            }
            for row in found.rows
        ]


def _value(text: str | None, kind: str) -> Any:
    if text is None:
        return None
    if kind in ("integer", "bigint"):
        return int(text)
    if kind == "double":
        return float(text)
    if kind.startswith("decimal"):
        return Decimal(text)
    return datetime.fromisoformat(text) if kind.startswith("timestamp") else text


@pytest.fixture(scope="session")
def library(stack: Connections, tmp_path_factory: pytest.TempPathFactory) -> Library:
    root = tmp_path_factory.mktemp("the project")
    for name in ("models", "functions", "macros", "analyses", "tests/dbt", "profiles"):
        shutil.copytree(PROJECT_ROOT / name, root / name)
    for name in ("dbt_project.yml", "selectors.yml"):
        shutil.copy(PROJECT_ROOT / name, root / name)
    connections = replace(stack, environment=QueriesEnvironment("local"))
    ensure_buckets(connections)
    athena = Athena(connections)
    ensure_workgroup(connections, athena.client)
    athena.run(f"create database if not exists {connections.environment.marts_database}")

    wanted = analyses(root, "sales")
    twins = [twin for path in wanted if (twin := unpruned_twin(path, root)) is not None]
    plain = render(connections, [*wanted, *twins], root=root)
    given = render(connections, wanted, parameters=PARAMETERS, root=root)
    sql = {name_of(path).removeprefix("sales/"): text for path, text in plain.items()}
    sql |= {f"{name_of(path).removeprefix('sales/')}*": text for path, text in given.items()}
    manifest = json.loads((root / "target" / "query" / "manifest.json").read_text())
    made = Library(
        connections, root, manifest["nodes"]["model.penstock.sales_history"]["schema"], sql, generated()
    )
    for table, rows in (("small", small()), ("faulty", faulty()), ("generated", generated().to_pylist())):
        _make(made, table, rows)
    return made


def _make(library: Library, table: str, rows: list[dict[str, Any]]) -> None:
    """Write rows as a file, and have Athena make an Iceberg table of them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    database = library.databases[table] = f"queries_test_{table}"
    bucket = library.connections.environment.lake_bucket
    schema = generated().schema
    for name in ("year", "month"):
        if name not in schema.names:
            schema = schema.append(pa.field(name, pa.int32()))
    dated = [
        {
            **row,
            "year": row.get("year") or row["sold_date"].year,
            "month": row.get("month") or row["sold_date"].month,
        }
        for row in rows
    ]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(dated, schema=schema), sink)
    key = f"{database}/landed/rows.parquet"
    library.connections.client("s3").put_object(Bucket=bucket, Key=key, Body=sink.getvalue())
    athena = Athena(library.connections)
    athena.run(f"create database if not exists {database}")
    for statement in (LANDED, ICEBERG):
        athena.run(statement.format(database=database, bucket=bucket))
    athena.run(f"insert into {database}.sales_history select * from {database}.landed")


def sale(
    tenant: str,
    product: str,
    category: str,
    brand: str,
    condition: str,
    price: str | None,
    day: str,
    **others: Any,
) -> dict[str, Any]:
    sold = datetime.fromisoformat(day)
    row: dict[str, Any] = {
        "product_id": product,
        "tenant_id": tenant,
        "category": category,
        "brand": brand,
        "condition": condition,
        "sold_price": None if price is None else Decimal(price),
        "sold_date": sold,
        "season": f"Q{(sold.month + 2) // 3}",
        "image_s3_key": f"products/{tenant}/{product}.jpg",
        "embedding": [1.0, 0.0],
        "description": f"{brand} {product}",
        "source": "web",
    }
    return row | others


def small() -> list[dict[str, Any]]:
    """Eight sales of two tenants, five products, two categories and two brands. p1 is another product at each tenant."""
    return [
        sale("t1", "p1", "shoes", "Acme", "new", "100.00", "2024-01-10"),
        sale("t1", "p1", "shoes", "Acme", "used", "60.00", "2024-02-15"),
        sale(
            "t1", "p2", "shoes", "Bolt", "new", "50.00", "2024-02-29", image_s3_key="", embedding=[0.6, 0.8]
        ),
        sale(
            "t1",
            "p3",
            "bags",
            "Acme",
            "new",
            "200.00",
            "2024-05-29",
            source="shop",
            embedding=[0.0, 1.0, 0.0],
        ),
        sale("t1", "p4", "bags", "Bolt", "used", "90.00", "2024-05-01", source="shop", embedding=[-3.0, 4.0])
        | {"image_s3_key": None},
        sale("t2", "p1", "bags", "Acme", "new", "220.00", "2024-02-01", embedding=[0.8, 0.6]),
        sale("t2", "p5", "shoes", "Bolt", "new", "70.00", "2025-01-31", embedding=[0.6, 0.8]),
        sale("t2", "p5", "shoes", "Bolt", "used", "30.00", "2025-02-01", source="shop", description=None),
    ]


def faulty() -> list[dict[str, Any]]:
    """A good sale, and one for every way in which a sale can be bad: f02 is f01 again, embeddings have two dimensions."""

    def bad(name: str, price: str | None = "10.00", day: str = "2024-03-01", **others: Any) -> dict[str, Any]:
        return sale("t1", name, "shoes", "Acme", "new", price, day) | others

    return [
        *(bad("f01"), bad("f01")),
        *(bad("f03", "0.00"), bad("f04", "-1.00"), bad("f05", None)),
        bad("f06", season="Q2"),
        bad("f07", month=4),
        bad("f08", day="2999-01-01"),
        bad("f09", embedding=None),
        bad("f10", embedding=[1.0, 0.0, 0.0]),
        bad("f11", embedding=[1.0, 1.0]),
        bad("f12", embedding=[1.0, None]),
        bad("f13", image_s3_key=""),
        bad("f14", description=None),
        bad("f15", source=None),
        bad("f16", brand=None),
        bad("f17", tenant_id=None),
    ]


def generated() -> Any:
    """Return two years of sales as an Arrow table."""
    from penstock.synthetic import sales

    return sales.table(GENERATED_ROWS)
