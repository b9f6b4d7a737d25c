"""From a file on disk to rows that Athena reads, on the embedded stack, in environments apart from other tests'."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from penstock.connections import Connections
from penstock.environments import environment
from penstock.lake.athena import Athena
from penstock.landing.seed import landed_files, remove, seed
from penstock.sources import table as declared_table
from penstock.synthetic import forecast as synthetic

FORECAST = declared_table("forecast")

pytestmark = pytest.mark.stack

TABLE = "forecast_data_dev.forecast"


@pytest.fixture
def lake(stack: Connections) -> Iterator[Connections]:
    connections = dataclasses.replace(stack, environment=environment("dev", "333333333333"))
    yield connections
    for name in landed_files(connections):
        remove(connections, "forecast", name)


def test_seed_a_new_environment_makes_all_of_it_and_again_nothing(stack: Connections, tmp_path: Path) -> None:
    lake = dataclasses.replace(stack, environment=environment("production", "333333333333"))
    table = "forecast_data_production.forecast"
    path = tmp_path / "forecast.csv"
    synthetic.write(path, 1_000)

    first = seed(lake, "forecast", [path])
    second = seed(lake, "forecast", [path])

    assert first.created[-3:] == (
        "workgroup penstock-production",
        "database forecast_data_production",
        f"table {table}",
    )
    assert [(file.name, file.rows, file.size, file.uploaded) for file in first.files] == [
        ("forecast.csv", 1_000, path.stat().st_size, True)
    ]
    assert (first.table, first.location) == (
        table,
        "s3://penstock-lake-production-333333333333/forecast_data/",
    )
    assert second.created == ()
    assert [file.uploaded for file in second.files] == [False]
    assert (first.changed, second.changed) == (True, False)


def test_seed_rows_read_on_athena_are_the_files(lake: Connections, tmp_path: Path) -> None:
    path = tmp_path / "forecast.csv"
    synthetic.write(path, 5_000)
    seed(lake, "forecast", [path])
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))

    cents = "cast(sum(cast({} as decimal(12, 2))) as varchar)"
    found = Athena(lake).run(
        "select count(*), min(business_date), max(business_date), count(distinct restaurant_id), "
        f"{cents.format('y_05')}, {cents.format('y_95')} from {TABLE}"
    )

    assert found.rows == [
        (
            "5000",
            "2025-01-01",
            "2025-04-01",
            str(len({row["restaurant_id"] for row in rows})),
            str(sum((Decimal(row["y_05"]) for row in rows), Decimal()).quantize(Decimal("0.01"))),
            str(sum((Decimal(row["y_95"]) for row in rows), Decimal()).quantize(Decimal("0.01"))),
        )
    ]


def test_seed_odd_spelling_reads_on_athena_as_meant(lake: Connections, tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    lines = [
        FORECAST.header,
        '"6","385","2025-01-01","ENQ","55","CA","6.76","10.07","13.38"',
        "",
        "6,385,2025-01-02,\\N,\\N,NY,1e0,2.,3",
        "7,385,2025-01-02,,,DC,-1,.5,1.25",
    ]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())

    report = seed(lake, "forecast", [path])
    found = Athena(lake).run(f"select * from {TABLE} order by restaurant_id, business_date").rows

    assert report.files[0].notices == (
        "the byte-order mark was dropped",
        "CR LF line ends became LF (4)",
        "blank lines were dropped (1)",
        "quotes round plain values were dropped (9)",
        r"\N became empty in columns that may be empty (2)",
        "the last line had no line end and got one",
    )
    assert found == [
        ("6", "385", "2025-01-01", "ENQ", "55", "CA", "6.76", "10.07", "13.38"),
        ("6", "385", "2025-01-02", "", None, "NY", "1.0", "2.0", "3.0"),
        ("7", "385", "2025-01-02", "", None, "DC", "-1.0", "0.5", "1.25"),
    ]


def test_remove_landed_file_takes_its_rows_from_the_table(lake: Connections, tmp_path: Path) -> None:
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for number, path in enumerate(paths, 1):
        synthetic.write(path, number * 10)
    seed(lake, "forecast", paths)

    remove(lake, "forecast", "b.csv")

    count = f"select count(*) from {TABLE}"
    assert Athena(lake).run(count).rows == [("10",)]
    remove(lake, "forecast", "a.csv")
    assert Athena(lake).run(count).rows == [("0",)]
