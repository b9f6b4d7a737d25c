"""Parquet from a file to rows that Athena reads: landing, again, new and lost columns; on the embedded stack."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.connections import Connections
from penstock.environments import Environment
from penstock.errors import LandingError
from penstock.lake.athena import Athena
from penstock.landing.seed import landed_files, remove, seed

pytestmark = pytest.mark.stack


@dataclasses.dataclass(frozen=True)
class LandingEnvironment(Environment):
    """Names of these tests' own."""

    @property
    def lake_bucket(self) -> str:
        return "penstock-lake-landing-sales"

    @property
    def results_bucket(self) -> str:
        return "penstock-athena-results-landing-sales"

    def landed_database(self, source: str) -> str:
        return f"landing_{source}"


@pytest.fixture
def lake(stack: Connections) -> Iterator[Connections]:
    connections = dataclasses.replace(stack, environment=LandingEnvironment("local"))
    yield connections
    for source in ("sales", "forecast"):
        for name in landed_files(connections, source):
            remove(connections, source, name)
        table = f"`landing_{source}`.`{source}`"
        Athena(connections).run(f"create schema if not exists `landing_{source}`")
        Athena(connections).run(f"drop table if exists {table}")


def written(folder: Path, name: str, rows: int = 2, **extra: Any) -> Path:
    path = folder / name
    columns: dict[str, Any] = {
        "product_id": [f"{path.stem}_{number}" for number in range(rows)],
        "tenant_id": ["tenant_001"] * rows,
        "category": ["sneakers"] * rows,
        "brand": ["Graywick"] * rows,
        "condition": ["good"] * rows,
        "sold_price": pa.array([Decimal("50.49")] * rows, pa.decimal128(10, 2)),
        "sold_date": pa.array([datetime(2025, 5, 6, 7, 8, 9, 123_000)] * rows, pa.timestamp("us")),
        "season": ["Q2"] * rows,
        "image_s3_key": pa.array([None] * rows, pa.string()),
        "embedding": [[number / 1024 for number in range(1024)]] * rows,
        "description": ["plain"] * rows,
        "source": ["auction"] * rows,
    }
    columns |= extra
    pq.write_table(pa.table({name: values for name, values in columns.items() if values is not None}), path)
    return path


def asked(lake: Connections, sql: str) -> list[tuple[str | None, ...]]:
    return Athena(lake).run(sql, database="landing_sales").rows


def test_seed_parquet_reads_on_athena_with_its_types_and_again_sends_nothing(
    lake: Connections, tmp_path: Path
) -> None:
    path = written(tmp_path, "sales.parquet")

    first, second = seed(lake, "sales", [path]), seed(lake, "sales.sales", [path])

    assert first.created[-2:] == ("database landing_sales", "table landing_sales.sales")
    assert (first.table, first.location) == (
        "landing_sales.sales",
        "s3://penstock-lake-landing-sales/pricing_intelligence/sales/",
    )
    assert [file.uploaded for file in (*first.files, *second.files)] == [True, False]
    assert second.created == ()
    head = lake.client("s3").head_object(
        Bucket="penstock-lake-landing-sales", Key="pricing_intelligence/sales/sales.parquet"
    )
    assert head["ContentType"] == "application/vnd.apache.parquet"
    told = {name: head["Metadata"][name] for name in ("rows", "first-day", "last-day")}
    assert told == {"rows": "2", "first-day": "2025-05-06", "last-day": "2025-05-06"}
    assert asked(
        lake,
        "select product_id, sold_price, sold_date, image_s3_key, cardinality(embedding), embedding[513],"
        " typeof(sold_price), typeof(sold_date), typeof(embedding) from sales order by 1",
    ) == [
        (
            *(f"sales_{number}", "50.49", "2025-05-06 07:08:09.123", None, "1024", "0.5"),
            *("decimal(10,2)", "timestamp(3)", "array(double)"),
        )
        for number in range(2)
    ]


def test_seed_new_column_extends_the_table_and_older_files_read_null(
    lake: Connections, tmp_path: Path
) -> None:
    seed(lake, "sales", [written(tmp_path, "old.parquet", 1)])

    report = seed(lake, "sales", [written(tmp_path, "new.parquet", 1, colour=["red"], views=[7])])
    later = seed(lake, "sales", [written(tmp_path, "later.parquet", 1, views=[8])])

    assert report.created == (
        "column colour of landing_sales.sales (string)",
        "column views of landing_sales.sales (bigint)",
    )
    assert [column.name for column in report.undeclared] == ["colour", "views"]
    assert later.created == ()
    assert asked(lake, "select product_id, colour, views from sales order by 1") == [
        ("later_0", None, "8"),
        ("new_0", "red", "7"),
        ("old_0", None, None),
    ]


def test_seed_column_of_another_type_than_the_table_has_is_refused_by_name(
    lake: Connections, tmp_path: Path
) -> None:
    seed(lake, "sales", [written(tmp_path, "a.parquet", 1, views=[7])])

    with pytest.raises(LandingError, match="views") as raised:
        seed(lake, "sales", [written(tmp_path, "b.parquet", 1, views=["many"])])

    assert "views bigint" in raised.value.message
    assert "views string" in raised.value.message
    assert landed_files(lake, "sales") == ["a.parquet"]


def test_seed_without_a_column_that_may_be_empty_reads_null(lake: Connections, tmp_path: Path) -> None:
    report = seed(lake, "sales", [written(tmp_path, "a.parquet", 1, description=None)])

    assert report.files[0].notices == ("column description is not in the file and became NULL",)
    assert asked(lake, "select product_id, description, source from sales") == [("a_0", None, "auction")]


def test_seed_new_last_column_of_csv_extends_the_table_by_position(lake: Connections, tmp_path: Path) -> None:
    header = "restaurant_id,inventory_item_id,business_date,dma_id,dc_id,state,y_05,y_50,y_95"
    old, new, other = tmp_path / "old.csv", tmp_path / "new.csv", tmp_path / "other.csv"
    old.write_text(f"{header}\n6,385,2025-01-01,ENQ,55,CA,1,2,3\n")
    new.write_text(
        f"{header},covers\n6,385,2025-01-02,ENQ,55,CA,1,2,3,40\n7,385,2025-01-02,ENQ,55,CA,1,2,3,\n"
    )
    other.write_text(f"{header},weather\n6,385,2025-01-03,ENQ,55,CA,1,2,3,rain\n")
    seed(lake, "forecast", [old])

    report = seed(lake, "forecast", [new])
    with pytest.raises(LandingError) as raised:
        seed(lake, "forecast", [other])

    assert report.created == ("column covers of landing_forecast.forecast (bigint)",)
    assert "y_95 double, covers bigint instead of" in raised.value.message
    assert Athena(lake).run(
        "select restaurant_id, business_date, y_95, covers from landing_forecast.forecast order by 2, 1"
    ).rows == [
        ("6", "2025-01-01", "3.0", None),
        ("6", "2025-01-02", "3.0", "40"),
        ("7", "2025-01-02", "3.0", None),
    ]
