"""The generated forecast: exact rows, same bytes for same arguments, and a file that its own check accepts."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import pytest

from penstock.landing.check import check
from penstock.sources import table as declared_table
from penstock.synthetic import forecast

FORECAST = declared_table("forecast")

# of the bytes themselves: another machine, numpy or Arrow must not change them
SHA256_OF_1000_ROWS = "7d29f58c6ffe95af223be1b781de87184c94ac0b2e2f04aecfc68c97caf6547c"


def test_write_same_arguments_gives_the_same_bytes_on_every_machine(tmp_path: Path) -> None:
    forecast.write(tmp_path / "a.csv", 1000)

    assert hashlib.sha256((tmp_path / "a.csv").read_bytes()).hexdigest() == SHA256_OF_1000_ROWS


def test_write_another_seed_gives_other_rows(tmp_path: Path) -> None:
    forecast.write(tmp_path / "a.csv", 1000, seed=1)
    forecast.write(tmp_path / "b.csv", 1000, seed=2)

    assert (tmp_path / "a.csv").read_bytes() != (tmp_path / "b.csv").read_bytes()


@pytest.mark.parametrize("rows", [1, 454, 455, 456, 200_200, 200_201])
def test_write_rows_gives_exactly_so_many_good_ones(tmp_path: Path, rows: int) -> None:
    forecast.write(tmp_path / "a.csv", rows)

    found = check(tmp_path / "a.csv", FORECAST)

    assert (found.rows, found.faults.count, found.notices) == (rows, 0, ())


def test_write_shape_is_the_real_files(tmp_path: Path) -> None:
    forecast.write(tmp_path / "a.csv", 455 * 40)
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert forecast.ROWS == 1_251_250
    assert len({row["restaurant_id"] for row in rows}) == 40
    assert {row["inventory_item_id"] for row in rows} == {"385", "638", "704", "918", "1883"}
    dates = {row["business_date"] for row in rows}
    assert (len(dates), min(dates), max(dates)) == (91, "2025-01-01", "2025-04-01")
    places = {(row["restaurant_id"], row["dma_id"], row["dc_id"], row["state"]) for row in rows}
    assert len(places) == 40  # one market, centre and state a restaurant
    assert all(float(row["y_05"]) > 0 for row in rows)


def test_write_no_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rows must be 1 or more"):
        forecast.write(tmp_path / "a.csv", 0)
