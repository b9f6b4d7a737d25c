"""Sales from landed Parquet to Postgres: first run, nothing new, corrected and late sales, a file taken out.

What must come of it is computed from the files with pyarrow's reader, decimal and dictionaries; none of the project's code
takes part. One lake and one database, on which the tests build in the order of a dataset's life within each test.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.connections import Connections
from penstock.environments import Environment
from penstock.lake.athena import Athena
from penstock.lake.verify.run import verify
from penstock.landing.seed import remove, seed
from penstock.settings import PROJECT_ROOT
from penstock.sync.declaration import declarations
from penstock.sync.report import SyncReport
from penstock.sync.run import sync
from penstock.synthetic import sales
from penstock.transform import dbt
from penstock.transform.build import lake_selection
from penstock.transform.dbt import Side

pytestmark = pytest.mark.stack

PROJECT_PARTS = (
    *("dbt_project.yml", "selectors.yml", "profiles", "sources", "functions"),
    *("models", "macros", "analyses", "tests"),
)
ROWS = 600
SELECTION = lake_selection("source:sales+")
MODELS = (
    *("sales_history", "product_embeddings", "sales_monthly_by_category_brand"),
    *("sales_seasonal_performance", "sales_price_bands", "sales_condition_effect"),
)
FACTS = ("category", "brand", "condition", "sold_price", "season", "image_s3_key", "description", "source")
BANDS = (0, 25, 50, 100, 250, 500, 1000, 2500)

Key = tuple[str, str, datetime]
Row = dict[str, Any]


@dataclass(frozen=True)
class SalesEnvironment(Environment):
    """Names of these tests' own, so that they share the stack with other tests and nothing else."""

    @property
    def lake_bucket(self) -> str:
        return "penstock-lake-sales-flow"

    @property
    def results_bucket(self) -> str:
        return "penstock-athena-results-sales-flow"

    @property
    def workgroup(self) -> str:
        return "penstock-sales-flow"

    @property
    def marts_database(self) -> str:
        return "analytics_sales_flow"

    def landed_database(self, source: str) -> str:
        return f"{source}_flow"


@dataclass
class Flow:
    """`landed`: the rows of each file that lies there, in the order of their landing and of their names."""

    connections: Connections
    root: Path
    folder: Path
    landed: dict[str, list[Row]] = field(default_factory=dict)

    def land(self, name: str, rows: list[Row]) -> None:
        assert name >= max(self.landed, default=""), (
            "S3 tells whole seconds: names must order as the landings"
        )
        path = self.folder / name
        pq.write_table(pa.Table.from_pylist(rows, sales.table(1).schema), path)
        seed(self.connections, "sales", [path])
        self.landed[name] = pq.read_table(path).to_pylist()

    def take_out(self, name: str) -> None:
        remove(self.connections, "sales", name)
        del self.landed[name]

    def build(self) -> None:
        dbt.run(self.connections, Side.LAKE, ["run", *SELECTION], root=self.root)

    def sync(self) -> dict[str, SyncReport]:
        manifest = dbt.target_path(Side.LAKE, self.root) / "manifest.json"
        chosen = declarations(manifest, ["sales_history", "product_embeddings"])
        return {report.table.rpartition(".")[2]: report for report in sync(self.connections, chosen)}

    # what must be

    def in_force(self) -> dict[Key, Row]:
        found: dict[Key, Row] = {}
        for rows in self.landed.values():
            found |= {key(row): row for row in rows}
        return found

    def products(self) -> dict[tuple[str, str], Row]:
        found: dict[tuple[str, str], Row] = {}
        for row in sorted(self.in_force().values(), key=lambda row: row["sold_date"]):
            found[row["tenant_id"], row["product_id"]] = row
        return found

    # what is

    def ask(self, sql: str) -> list[tuple[str | None, ...]]:
        return Athena(self.connections).run(sql, database="sales_flow").rows

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.connections.database_url) as connection:
            return connection.execute(sql.encode()).fetchall()

    def snapshots(self) -> dict[str, str]:
        glue, environment = self.connections.client("glue"), self.connections.environment
        return {
            model: glue.get_table(
                DatabaseName="sales_flow" if model == "sales_history" else environment.marts_database,
                Name=model,
            )["Table"]["Parameters"]["metadata_location"]
            for model in MODELS
        }

    def stamps(self) -> dict[Key, tuple[Any, ...]]:
        """The transaction that wrote each row in Postgres."""
        found = self.query("select tenant_id, product_id, sold_date, xmin::text from sales_history")
        return {row[:3]: row[3:] for row in found}  # type: ignore[misc]

    def assert_equal(self) -> None:
        """Lake and Postgres hold exactly the sales in force; embeddings as doubles here, as float32 there."""
        expected, products = self.in_force(), self.products()
        assert self.in_lake() == {row_key: lake_values(row) for row_key, row in expected.items()}
        found = self.query(
            f"select tenant_id, product_id, sold_date, {', '.join(FACTS)}, year, month from sales_history"
        )
        assert {row[:3]: row[3:] for row in found} == {
            row_key: (*(row[name] for name in FACTS), row["sold_date"].year, row["sold_date"].month)
            for row_key, row in expected.items()
        }
        assert len(found) == len(expected)
        vectors = self.query(
            "select tenant_id, product_id, category, brand, description, image_s3_key, embedding::text"
            " from product_embeddings"
        )
        assert {row[:2]: (row[2:6], numbers(row[6])) for row in vectors} == {
            row_key: (
                (row["category"], row["brand"], row["description"], row["image_s3_key"]),
                tuple(np.array(row["embedding"], dtype=np.float32).tolist()),
            )
            for row_key, row in products.items()
        }
        assert len(vectors) == len(products)

    def in_lake(self) -> dict[Key, tuple[Any, ...]]:
        found = self.ask(
            f"select tenant_id, product_id, sold_date, {', '.join(FACTS)}, year, month, embedding from sales_history"
        )
        rows = {
            (row[0], row[1], datetime.fromisoformat(row[2] or "")): (
                *(
                    Decimal(value or "") if name == "sold_price" else value
                    for name, value in zip(FACTS, row[3:], strict=False)
                ),
                *(int(value or "") for value in row[11:13]),
                numbers(row[13]),
            )
            for row in found
        }
        assert len(rows) == len(found), "sales_history holds a key twice"
        return rows  # type: ignore[return-value]


def key(row: Row) -> Key:
    return row["tenant_id"], row["product_id"], row["sold_date"]


def lake_values(row: Row) -> tuple[Any, ...]:
    moment = row["sold_date"]
    return (*(row[name] for name in FACTS), moment.year, moment.month, tuple(row["embedding"]))


def numbers(text: str | None) -> tuple[float, ...]:
    """A vector as Athena or Postgres writes it; Postgres's are the shortest that tell a float32."""
    values = [float(value) for value in (text or "").strip("[]").split(",")]
    return tuple(values) if ", " in (text or "") else tuple(np.array(values, dtype=np.float32).tolist())


@pytest.fixture(scope="module")
def flow(stack: Connections, tmp_path_factory: pytest.TempPathFactory) -> Flow:
    """Six hundred sales landed, built and synced."""
    root = tmp_path_factory.mktemp("the project")
    for part in PROJECT_PARTS:
        if (PROJECT_ROOT / part).exists():
            (root / part).symlink_to(PROJECT_ROOT / part)
    with psycopg.connect(stack.database_url, autocommit=True) as admin:
        admin.execute("create database sales_flow")
    url = f"{stack.database_url.rpartition('/')[0]}/sales_flow"
    connections = replace(stack, environment=SalesEnvironment("local"), database_url=url)
    made = Flow(connections, root, tmp_path_factory.mktemp("files"))
    made.land("a.parquet", sales.table(ROWS).to_pylist())
    made.build()
    reports = made.sync()
    assert {name: (found.mode, found.inserted) for name, found in reports.items()} == {
        "sales_history": ("load", ROWS),
        "product_embeddings": ("load", len(made.products())),
    }
    return made


def test_first_run_equals_the_landed_file_and_a_second_changes_nothing(flow: Flow) -> None:
    flow.assert_equal()
    before = flow.snapshots()

    flow.build()
    reports = flow.sync()

    assert flow.snapshots() == before
    assert {name: (found.mode, found.rows_written) for name, found in reports.items()} == {
        "sales_history": ("nothing", 0),
        "product_embeddings": ("nothing", 0),
    }


def test_data_and_unit_tests_of_sales_pass(flow: Flow) -> None:
    report = dbt.run(flow.connections, Side.LAKE, ["test", *SELECTION], root=flow.root)

    assert {node.status for node in report.nodes} == {"pass"}
    kinds = {node.resource_type for node in report.nodes}
    assert kinds == {"test", "unit_test"}


def test_table_is_as_the_spec_has_it(flow: Flow) -> None:
    """The twelve columns and two partition keys, Iceberg, Parquet by Snappy, partitioned by year and month."""
    described = flow.connections.client("glue").get_table(DatabaseName="sales_flow", Name="sales_history")[
        "Table"
    ]
    columns = [(column["Name"], column["Type"]) for column in described["StorageDescriptor"]["Columns"]]

    assert columns == [
        *(("product_id", "string"), ("tenant_id", "string"), ("category", "string"), ("brand", "string")),
        *(("condition", "string"), ("sold_price", "decimal(10,2)"), ("sold_date", "timestamp")),
        *(("season", "string"), ("image_s3_key", "string"), ("embedding", "array<double>")),
        *(("description", "string"), ("source", "string"), ("year", "int"), ("month", "int")),
    ]
    shown = "".join(row[0] or "" for row in flow.ask("show create table sales_history"))
    ddl = re.sub(r"[\s`']", "", shown).lower()
    assert "table_type=iceberg,format=parquet,write_compression=snappy" in ddl
    assert "partitionedby(year,month)" in ddl


def test_corrected_and_late_sales_flow_through_exactly_and_back(flow: Flow) -> None:
    """1% of the sales corrected, one in its embedding alone; a late sale of a product makes it the latest; a new product."""
    base = flow.landed["a.parquet"]
    files = months_of(flow)
    corrected = [dict(row) for row in base[7::100]]
    for row in corrected:
        row["sold_price"] += Decimal("0.01")
    corrected[0]["sold_price"] -= Decimal("0.01")
    corrected[0]["embedding"] = corrected[0]["embedding"][::-1]
    corrected[1]["image_s3_key"] = None
    first = flow.products()[base[0]["tenant_id"], base[0]["product_id"]]
    late = first | {
        "sold_date": datetime(2025, 12, 31, 23, 59, 59),
        "season": "Q4",
        "description": "seen again",
    }
    late["embedding"] = first["embedding"][1:] + first["embedding"][:1]
    new = late | {"product_id": "prod_new", "sold_date": datetime(2026, 1, 1), "season": "Q1"}
    assert len(corrected) == ROWS // 100
    before, products = flow.stamps(), flow.products()

    flow.land("b.parquet", [*corrected, late, new])
    flow.build()
    reports = flow.sync()

    flow.assert_equal()
    history, vectors = reports["sales_history"], reports["product_embeddings"]
    # what changed in the embedding alone changed in the lake, and the history in Postgres has no embeddings
    assert (history.inserted, history.updated, history.deleted) == (2, len(corrected) - 1, 0)
    changed = {
        name for name, row in flow.products().items() if products.get(name) != row and name in products
    }
    assert (vectors.inserted, vectors.deleted) == (1, 0)
    assert 1 <= vectors.updated <= len(changed)
    touched = {(row["sold_date"].year, row["sold_date"].month) for row in (*corrected, late, new)}
    after = months_of(flow)
    assert {month for month in after if after[month] != files.get(month)} == touched
    written = {key(row) for row in corrected[1:]}
    assert {name for name, stamp in flow.stamps().items() if before.get(name) not in (None, stamp)} == written
    assert_marts(flow)

    flow.take_out("b.parquet")
    flow.build()
    reports = flow.sync()

    flow.assert_equal()
    history = reports["sales_history"]
    assert (history.inserted, history.updated, history.deleted) == (0, len(corrected) - 1, 2)
    assert_marts(flow)


def months_of(flow: Flow) -> dict[tuple[int, int], frozenset[str]]:
    """The live data and delete files of the history, by the month that their paths name."""
    months: dict[tuple[int, int], set[str]] = defaultdict(set)
    for (path,) in flow.ask('select file_path from "sales_history$files"'):
        found = re.search(r"/year=(\d+)/month=(\d+)/", path or "")
        assert found, path
        months[int(found[1]), int(found[2])].add(path or "")
    return {month: frozenset(paths) for month, paths in months.items()}


# marts, by an own computation


def rounded(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.0001"), ROUND_HALF_UP)


def prices(rows: list[Row], *by: Any) -> dict[tuple[Any, ...], list[Decimal]]:
    found: dict[tuple[Any, ...], list[Decimal]] = defaultdict(list)
    for row in rows:
        found[tuple(part(row) if callable(part) else row[part] for part in by)].append(row["sold_price"])
    return found


def mean(values: list[Decimal]) -> Decimal:
    return rounded(sum(values, Decimal(0)) / len(values))


def assert_marts(flow: Flow) -> None:
    rows = list(flow.in_force().values())

    def asked(model: str, order: str) -> set[tuple[Any, ...]]:
        found = flow.ask(f'select {order} from "{flow.connections.environment.marts_database}".{model}')
        assert len(found) == len(set(found))
        return set(found)

    def month(row: Row) -> date:
        return row["sold_date"].date().replace(day=1)  # type: ignore[no-any-return]

    def year(row: Row) -> int:
        return row["sold_date"].year  # type: ignore[no-any-return]

    def band(row: Row) -> int:
        return max(start for start in BANDS if row["sold_price"] >= start)

    sold: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for row in rows:
        sold[row["tenant_id"], month(row), row["category"], row["brand"]].add(row["product_id"])
    assert asked(
        "sales_monthly_by_category_brand",
        "tenant_id, sold_month, category, brand, sales_count, product_count, total_price, avg_price, min_price, max_price",
    ) == {
        texts(*name, len(found), len(sold[name]), sum(found), mean(found), min(found), max(found))
        for name, found in prices(rows, "tenant_id", month, "category", "brand").items()
    }
    years = prices(rows, "tenant_id", year, "category")
    assert asked(
        "sales_seasonal_performance",
        "tenant_id, year, season, category, sales_count, total_price, avg_price, share_of_year, price_index",
    ) == {
        texts(
            *name,
            *(len(found), sum(found), mean(found)),
            rounded(Decimal(len(found)) / len(years[name[0], name[1], name[3]])),
            rounded(mean(found) / mean(years[name[0], name[1], name[3]])),
        )
        for name, found in prices(rows, "tenant_id", year, "season", "category").items()
    }
    categories = prices(rows, "tenant_id", "category")
    assert asked(
        "sales_price_bands",
        "tenant_id, category, band_from, band_below, sales_count, total_price, share_of_category",
    ) == {
        texts(
            *name,
            next((start for start in BANDS if start > name[2]), None),
            *(len(found), sum(found)),
            rounded(Decimal(len(found)) / len(categories[name[:2]])),
        )
        for name, found in prices(rows, "tenant_id", "category", band).items()
    }
    conditions = prices(rows, "tenant_id", "category", "condition")
    assert asked(
        "sales_condition_effect",
        "tenant_id, category, condition, sales_count, total_price, avg_price, price_to_new",
    ) == {
        texts(
            *name,
            *(len(found), sum(found), mean(found)),
            rounded(mean(found) / mean(new)) if (new := conditions.get((*name[:2], "new"))) else None,
        )
        for name, found in conditions.items()
    }


def texts(*values: Any) -> tuple[str | None, ...]:
    return tuple(None if value is None else str(value) for value in values)


def test_verify_finds_the_sales_as_declared_and_names_what_is_lost(flow: Flow) -> None:
    """`invoke verify` of the history and the marts above it; then without a month of one tenant's sales, and put back."""
    rows = len(flow.in_force())
    report = verify(flow.connections, source="sales", root=flow.root)
    assert [check for check in report.checks if check.state != "ok"] == []
    counted = {check.check: check.found for check in report.checks if check.check.endswith(" rows")}
    assert {counted[name] for name in ("landed rows", "staged rows", "modelled rows")} == {f"{rows:,}"}
    assert {check.subject for check in report.checks if check.check == "synced rows"} == {
        "public.sales_history",
        "public.product_embeddings",
    }
    assert {check.found for check in report.checks if check.check == "partition spec"} == {
        "year, month",
        "none",
    }

    glue = flow.connections.client("glue")
    before = glue.get_table(DatabaseName="sales_flow", Name="sales_history")["Table"]
    names = ("Name", "Parameters", "TableType", "StorageDescriptor", "PartitionKeys")
    try:
        flow.ask("delete from sales_history where year = 2025 and month = 3 and tenant_id = 'tenant_001'")
        report = verify(flow.connections, source="sales", root=flow.root)
    finally:
        glue.update_table(
            DatabaseName="sales_flow", TableInput={name: before[name] for name in names if name in before}
        )
    assert {check.check for check in report.failed} == {"modelled rows", "synced"}
    (lost,) = [check for check in report.failed if check.check == "modelled rows"]
    assert lost.subject == "sales_flow.sales_history"
    assert "(2025-03 " in lost.found
    assert lost.found.endswith("; tenant_id: tenant_001")
