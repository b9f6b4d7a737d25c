"""The generated sales history: exact rows, same rows for same arguments, prices and embeddings that mean something."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from penstock.commands import generate
from penstock.errors import GenerateError
from penstock.synthetic import sales

# of the JSON lines' bytes, embeddings included: another machine, numpy, BLAS or Arrow must not change them
SHA256_OF_1000_ROWS = "856c365a64883a5b43aee415320a8fa43bdab5b59db183694d3ff4ec43080418"

COLUMNS = [
    *("product_id", "tenant_id", "category", "brand", "condition", "sold_price", "sold_date", "season"),
    *("image_s3_key", "embedding", "description", "source"),
]


@pytest.fixture(scope="module")
def history() -> Any:
    """Five thousand sales without their embeddings."""
    return sales.table(5_000).drop_columns(["embedding"]).to_pylist()


def test_write_same_arguments_gives_the_same_bytes_on_every_machine(tmp_path: Path) -> None:
    sales.write(tmp_path / "a.jsonl", 1_000, form="jsonl")

    assert hashlib.sha256((tmp_path / "a.jsonl").read_bytes()).hexdigest() == SHA256_OF_1000_ROWS


def test_write_again_gives_the_same_file_and_another_seed_another(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        sales.write(tmp_path / name, 100, seed)
    one, again, other = ((tmp_path / name).read_bytes() for name in "abc")

    assert one == again
    assert one != other


def test_write_formats_hold_the_same_rows(tmp_path: Path) -> None:
    sales.write(tmp_path / "a.parquet", 100)
    sales.write(tmp_path / "a.jsonl", 100, form="jsonl")
    rows = pq.read_table(tmp_path / "a.parquet").to_pylist()
    lines = [json.loads(line, parse_float=str) for line in (tmp_path / "a.jsonl").read_text().splitlines()]

    assert [
        {
            **line,
            "sold_price": Decimal(line["sold_price"]),
            "sold_date": datetime.fromisoformat(line["sold_date"]),
            "embedding": [float(number) for number in line["embedding"]],
        }
        for line in lines
    ] == rows


def test_table_types_are_the_landed_tables() -> None:
    schema = sales.table(1).schema

    assert schema.names == COLUMNS
    types = {field.name: str(field.type) for field in schema}
    assert types.pop("sold_price") == "decimal128(10, 2)"
    assert types.pop("sold_date") == "timestamp[us]"
    assert types.pop("embedding") == "list<element: double>"
    assert set(types.values()) == {"string"}


@pytest.mark.parametrize("rows", [1, 23, 24, 25, 4_799, 4_800, 4_801])
def test_table_has_exactly_so_many_rows_and_begins_like_a_longer_one(rows: int) -> None:
    found = sales.table(rows)

    assert found.num_rows == rows
    assert found.equals(sales.table(rows + 30).slice(0, rows))


def test_table_keys_are_unique_and_dates_fill_two_years(history: Any) -> None:
    keys = {(row["tenant_id"], row["product_id"], row["sold_date"]) for row in history}

    assert len(keys) == len(history)
    months = Counter((row["sold_date"].year, row["sold_date"].month) for row in history)
    assert sorted(months) == [(year, month) for year in (2024, 2025) for month in range(1, 13)]
    assert all(row["sold_date"].microsecond == 0 for row in history)
    assert all(row["season"] == f"Q{(row['sold_date'].month + 2) // 3}" for row in history)
    # the busy end of the year
    assert months[2024, 12] + months[2025, 12] > 1.2 * (months[2024, 2] + months[2025, 2])


def test_table_tenants_have_their_shares_and_share_product_ids(history: Any) -> None:
    rows = Counter(row["tenant_id"] for row in history)
    tenants = defaultdict(set)
    for row in history:
        tenants[row["product_id"]].add(row["tenant_id"])

    assert sorted(rows) == sorted(sales.TENANTS)
    for tenant, share in sales.TENANTS.items():
        assert rows[tenant] / len(history) == pytest.approx(share / 1_000, abs=0.012)
    assert Counter(map(len, tenants.values()))[2] >= len(tenants) - 1  # the last may be alone
    assert all(
        row["image_s3_key"] == f"products/{row['tenant_id']}/{row['product_id']}.jpg" for row in history
    )


def test_table_smallest_tenant_is_in_a_thousand_rows_of_any_seed() -> None:
    for seed in range(20):
        assert "tenant_007" in sales.table(1_000, seed)["tenant_id"].to_pylist()


def test_table_prices_follow_brand_condition_and_season(history: Any) -> None:
    """Medians, so that no single dear watch decides; each comparison is within one category or over all of them."""

    def middling(rows: list[Any]) -> float:
        return float(np.median([float(row["sold_price"]) for row in rows]))

    assert all(row["sold_price"] > 0 and row["sold_price"].as_tuple().exponent == -2 for row in history)
    by_condition = [
        middling([row for row in history if row["condition"] == name]) for name in sales.CONDITIONS
    ]
    assert by_condition == sorted(by_condition, reverse=True)
    bags = [row for row in history if row["category"] == "handbags"]
    assert middling([row for row in bags if row["brand"] == "Aldermoor"]) > 2 * middling(
        [row for row in bags if row["brand"] == "Harlow & Pike"]
    )
    coats = [row for row in history if row["category"] == "outerwear"]
    assert middling([row for row in coats if row["season"] == "Q4"]) > middling(
        [row for row in coats if row["season"] == "Q2"]
    )


def test_table_embeddings_are_of_unit_length_float32_and_a_products_own() -> None:
    rows = sales.table(480).select(["tenant_id", "product_id", "embedding"]).to_pylist()
    vectors = np.array([row["embedding"] for row in rows])
    by_product = defaultdict(set)
    for row, vector in zip(rows, vectors, strict=True):
        by_product[row["tenant_id"], row["product_id"]].add(vector.tobytes())

    assert vectors.shape == (480, 1_024)
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-6
    assert np.array_equal(vectors, vectors.astype(np.float32).astype(np.float64))
    assert {len(found) for found in by_product.values()} == {1}
    assert len(set.union(*by_product.values())) == len(by_product)


def test_table_embeddings_of_a_category_lie_close_together() -> None:
    found = sales.table(2_400).to_pylist()
    rows = {(row["tenant_id"], row["product_id"]): row for row in found}.values()
    vectors = np.array([row["embedding"] for row in rows])
    cosines = vectors @ vectors.T
    category = np.array([row["category"] for row in rows])
    brand = np.array([row["brand"] for row in rows])
    mates = category[:, None] == category[None, :]
    same_brand = mates & (brand[:, None] == brand[None, :])
    others, itself = ~mates, np.eye(len(rows), dtype=bool)

    assert cosines[mates & ~itself].min() > cosines[others].max() + 0.1
    assert cosines[same_brand & ~itself].mean() > cosines[mates & ~same_brand].mean() + 0.05
    assert cosines[~itself].max() < 0.99


def test_write_failing_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sales.parquet"
    path.write_bytes(b"before")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(GenerateError, match=r"sales\.parquet was not written: No space left on device"):
        sales.write(path, 30, on_rows=full)
    assert [found.name for found in tmp_path.iterdir()] == ["sales.parquet"]
    assert path.read_bytes() == b"before"


def test_write_killed_leaves_what_was_there_and_the_next_run_succeeds(tmp_path: Path) -> None:
    path = tmp_path / "sales.parquet"
    path.write_bytes(b"before")
    code = (
        "import os, signal; from pathlib import Path; from penstock.synthetic import sales;"
        f" sales.write(Path({str(path)!r}), 10_000, on_rows=lambda _: os.kill(os.getpid(), signal.SIGKILL))"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False)
    assert (ended.returncode, path.read_bytes()) == (-9, b"before")

    sales.write(path, 30)

    assert pq.read_metadata(path).num_rows == 30
    assert [found.name for found in tmp_path.iterdir()] == ["sales.parquet"]


def test_write_two_at_once_is_refused(tmp_path: Path) -> None:
    def second(_: int) -> None:
        with pytest.raises(GenerateError, match="Another run is writing"):
            sales.write(tmp_path / "a.parquet", 30)

    sales.write(tmp_path / "a.parquet", 30, on_rows=second)

    assert pq.read_metadata(tmp_path / "a.parquet").num_rows == 30


def test_write_disk_too_small_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    stats = os.statvfs(tmp_path)
    rows = stats.f_bavail * stats.f_frsize // 1_000

    with pytest.raises(GenerateError, match="GB free; this history takes up to"):
        sales.write(tmp_path / "a.jsonl", rows, form="jsonl")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"records": 999}, "--num-records 999 is not in 1,000 to 10,000,000"),
        ({"records": 10_000_001}, "--num-records 10,000,001 is not in"),
        ({"records": 1_000, "form": "csv"}, "'csv' is no format"),
        ({"records": 1_000, "seed": -1}, "Seed -1 is not in"),
    ],
)
def test_generate_bad_arguments_are_refused(tmp_path: Path, arguments: Any, message: str) -> None:
    with pytest.raises(GenerateError, match=message) as caught:
        generate.sales(folder=str(tmp_path / "new"), **arguments)
    assert caught.value.hint
    assert not list(tmp_path.glob("new/*"))


def test_generate_unwritable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(GenerateError, match="was not written"):
        generate.sales(records=1_000, folder=str(tmp_path / "file"))


def test_generate_writes_where_seed_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    path = generate.sales(records=1_000)

    assert path == Path("output/sales/sales.parquet")
    assert pq.read_metadata(tmp_path / path).num_rows == 1_000
    assert "1,000 sales in output/sales/sales.parquet" in capsys.readouterr().err
