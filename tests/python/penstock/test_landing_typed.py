"""What a file for a Parquet table is refused for, with the exact words; what lands of a good one; and in how much memory."""

from __future__ import annotations

import errno
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import BadInputError, LandingError
from penstock.landing import typed
from penstock.landing.check import check
from penstock.landing.checked import Checked
from penstock.landing.columns import ColumnCheck, Teller
from penstock.landing.faults import Faults
from penstock.landing.lines import LineReader
from penstock.landing.reading import Block
from penstock.landing.rows import parsed
from penstock.landing.seed import check_all, new_columns
from penstock.sources import Column, Derived, Table
from penstock.sources import table as declared_table

SALES = declared_table("sales")
Row = dict[str, Any]


def sale(number: int = 1, **changed: Any) -> Row:
    """Return a good sale of January 2025, with some of its values changed."""
    return {
        "product_id": f"prod_{number:04}",
        "tenant_id": "tenant_001",
        "category": "sneakers",
        "brand": "Graywick",
        "condition": "good",
        "sold_price": Decimal("50.49"),
        "sold_date": datetime(2025, 1, 1) + timedelta(hours=number),
        "season": "Q1",
        "image_s3_key": None,
        "embedding": [0.03125] * 1024,
        "description": "plain sneakers",
        "source": "auction",
    } | changed


TYPES = {
    "product_id": pa.string(),
    "tenant_id": pa.string(),
    "category": pa.string(),
    "brand": pa.string(),
    "condition": pa.string(),
    "sold_price": pa.decimal128(10, 2),
    "sold_date": pa.timestamp("us"),
    "season": pa.string(),
    "image_s3_key": pa.string(),
    "embedding": pa.list_(pa.float64()),
    "description": pa.string(),
    "source": pa.string(),
}


def as_parquet(
    folder: Path,
    rows: list[Row],
    name: str = "sales.parquet",
    types: dict[str, Any] | None = None,
    **options: Any,
) -> Path:
    kinds = TYPES if types is None else types
    columns = {column: pa.array([row.get(column) for row in rows], kind) for column, kind in kinds.items()}
    path = folder / name
    pq.write_table(pa.table(columns), path, **options)
    return path


def json_line(row: Row) -> str:
    plain = {
        name: float(value)
        if isinstance(value, Decimal)
        else value.isoformat()
        if isinstance(value, datetime)
        else value
        for name, value in row.items()
    }
    return json.dumps(plain)


def as_json(folder: Path, rows: list[Row], name: str = "sales.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(f"{json_line(row)}\n" for row in rows))
    return path


def landing(found: Checked) -> pa.Table:
    assert found.spool is not None
    return pq.read_table(io.BytesIO(b"".join(found.spool.chunks())))


def refused(path: Path, table: Table = SALES) -> BadInputError:
    with pytest.raises(BadInputError) as raised:
        check_all(table, [path])
    return raised.value


def told(path: Path, table: Table = SALES) -> list[str]:
    """The lines of a refusal below its first."""
    return [line.strip() for line in refused(path, table).message.splitlines()[1:]]


# good files


@pytest.mark.parametrize("write", [as_parquet, as_json])
def test_check_good_file_lands_its_rows_with_the_declared_types(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    rows = [
        sale(1),
        sale(
            2,
            sold_date=datetime(2025, 1, 31, 23, 59, 59, 999_000),
            description=None,
            sold_price=Decimal("0.01"),
            image_s3_key="products/ä.jpg",
        ),
    ]

    found = check(write(tmp_path, rows), SALES)

    assert (found.name, found.rows, found.faults.count, found.notices) == ("sales.parquet", 2, 0, ())
    assert found.days == (date(2025, 1, 1), date(2025, 1, 31))
    table = landing(found)
    assert table.to_pylist() == rows
    assert table.schema.types == [*(TYPES | {"sold_date": pa.timestamp("ms")}).values()]


def test_check_same_rows_are_the_same_bytes_whatever_the_file(tmp_path: Path) -> None:
    rows = [sale(number) for number in range(1, 60)]
    plain = as_json(tmp_path, rows)
    gzipped, xz = tmp_path / "a.jsonl.gz", tmp_path / "b.json.xz"
    gzipped.write_bytes(gzip.compress(plain.read_bytes()))
    xz.write_bytes(lzma.compress(plain.read_bytes()))
    files = [
        as_parquet(tmp_path, rows),
        as_parquet(tmp_path, rows, "small_groups.parquet", row_group_size=7, compression="gzip"),
        as_parquet(
            tmp_path,
            rows,
            "other_types.parquet",
            TYPES
            | {
                "brand": pa.dictionary(pa.int32(), pa.string()),
                "category": pa.large_string(),
                "sold_price": pa.decimal128(38, 4),
                "sold_date": pa.timestamp("ns"),
                "embedding": pa.list_(pa.float32(), 1024),
            },
        ),
        plain,
        gzipped,
        xz,
    ]

    found = [check(path, SALES) for path in files]

    assert {(each.sha256, each.size) for each in found} == {(found[0].sha256, found[0].size)}
    assert [each.name for each in found] == [
        *("sales.parquet", "small_groups.parquet", "other_types.parquet", "sales.parquet"),
        *("a.parquet", "b.parquet"),
    ]


def test_check_blocks_that_the_fast_reading_leaves_are_read_alike(tmp_path: Path) -> None:
    rows = [sale(number) for number in range(1, 9)]
    lines = [json_line(row) for row in rows]
    lines[2] = json.dumps(json.loads(lines[2]) | {"sold_date": "2025-01-01T08:00:00+05:00"})
    path = tmp_path / "sales.jsonl"
    path.write_text("﻿" + "\n\n".join(lines[:4]) + "\n" + "\n".join(lines[4:]))

    found = check(path, SALES, block_bytes=30_000)

    assert found.faults.first == []
    assert landing(found).to_pylist() == rows


def test_check_row_groups_hold_as_many_rows_as_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typed, "GROUP_ROWS_WITH_ARRAYS", 10)

    found = check(as_parquet(tmp_path, [sale(number) for number in range(1, 26)]), SALES)

    assert found.spool is not None
    groups = pq.ParquetFile(io.BytesIO(b"".join(found.spool.chunks()))).metadata
    assert [groups.row_group(index).num_rows for index in range(groups.num_row_groups)] == [10, 10, 5]


def test_check_times_with_a_zone_become_utcs_and_are_told(tmp_path: Path) -> None:
    east = pa.timestamp("ms", "Europe/Berlin")
    rows = [sale(sold_date=datetime(2025, 1, 1, 1, tzinfo=UTC))]

    found = check(as_parquet(tmp_path, rows, types=TYPES | {"sold_date": east}), SALES)

    assert found.notices == ("times of sold_date became UTC's (Europe/Berlin in the file)",)
    assert landing(found)["sold_date"].to_pylist() == [datetime(2025, 1, 1, 1)]


# values

VALUES = {
    "price_zero": ({"sold_price": Decimal("0.00")}, "sold_price: '0.00' is not more than 0"),
    "price_negative": ({"sold_price": Decimal("-1.00")}, "sold_price: '-1.00' is not more than 0"),
    "price_null": ({"sold_price": None}, "sold_price: is NULL, and the column may not be"),
    "key_null": ({"product_id": None}, "product_id: is NULL, and the column may not be"),
    "season_of_another_quarter": (
        {"season": "Q2"},
        "season, sold_date: 'Q2, 2025-01-01 02:00:00' do not agree: season is the quarter of sold_date",
    ),
    "tenant_odd": (
        {"tenant_id": "tenant 1"},
        "tenant_id: 'tenant 1' is not a tenant's id (1 to 50 letters, digits, - or _)",
    ),
    "nul_byte": ({"description": "a\0b"}, r"description: 'a\x00b' has a NUL byte in it"),
    "embedding_short": (
        {"embedding": [0.5, 0.25]},
        "embedding: '[0.5, 0.25]' has 2 elements instead of 1,024",
    ),
    "embedding_with_null": (
        {"embedding": [0.5, None, *[0.5] * 1022]},
        "embedding: '[0.5, None, 0.5, …]' has NULL among its elements",
    ),
    "embedding_null": ({"embedding": None}, "embedding: is NULL, and the column may not be"),
}


@pytest.mark.parametrize(("write", "unit"), [(as_parquet, "row 2"), (as_json, "line 2")])
@pytest.mark.parametrize(("changed", "words"), VALUES.values(), ids=VALUES)
def test_check_bad_value_is_refused_with_place_column_and_value(
    tmp_path: Path, write: Callable[..., Path], unit: str, changed: Row, words: str
) -> None:
    path = write(tmp_path, [sale(1), sale(2, **changed), sale(3)])

    columns = "columns" if ", " in words.partition(":")[0] else "column"
    assert told(path) == [f"{path.name} {unit}, {columns} {words}"]


def test_check_season_that_is_none_is_refused_twice_for_two_reasons(tmp_path: Path) -> None:
    path = as_parquet(tmp_path, [sale(1, season="spring")])

    assert told(path) == [
        "sales.parquet row 1, column season: 'spring' is none of Q1, Q2, Q3, Q4",
        "sales.parquet row 1, columns season, sold_date: 'spring, 2025-01-01 01:00:00' do not agree: season is"
        " the quarter of sold_date",
    ]


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_check_embedding_that_is_not_finite_is_refused(tmp_path: Path, odd: float) -> None:
    path = as_parquet(tmp_path, [sale(1), sale(2, embedding=[*[0.5] * 1023, odd])])

    assert told(path) == [
        "sales.parquet row 2, column embedding: '[0.5, 0.5, 0.5, …]' has numbers among its elements that are not finite"
    ]


MISFITS = {
    "price_too_long": (
        {"sold_price": pa.decimal128(20, 2)},
        {"sold_price": Decimal("123456789.00")},
        "sold_price: '123456789.00' has more digits than the column",
    ),
    "price_too_fine": (
        {"sold_price": pa.decimal128(10, 3)},
        {"sold_price": Decimal("1.005")},
        "sold_price: '1.005' has more digits than the column",
    ),
    "time_too_fine": (
        {"sold_date": pa.timestamp("us")},
        {"sold_date": datetime(2025, 1, 1, 2, 0, 0, 123_456)},
        "sold_date: '2025-01-01 02:00:00.123456' is finer than a millisecond, the finest that Athena's timestamp holds",
    ),
}


@pytest.mark.parametrize(("types", "changed", "words"), MISFITS.values(), ids=MISFITS)
def test_check_value_that_the_declared_type_cannot_hold_is_refused(
    tmp_path: Path, types: dict[str, Any], changed: Row, words: str
) -> None:
    path = as_parquet(tmp_path, [sale(1), sale(2, **changed), sale(3)], types=TYPES | types)

    assert told(path) == [f"sales.parquet row 2, column {words}"]


# JSON lines (the whole line 2, or fields of it)

LINES = {
    "no_json": (
        "{oops",
        ": '{oops' is no JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))",
    ),
    "no_object": ("[1, 2]", ": '[1, 2]' is no JSON object"),
    "field_twice": (
        '{"brand": 1, "brand": 2}',
        ': \'{"brand": 1, "brand": 2}\' is no JSON (brand is given twice)',
    ),
    "text_for_a_price": ({"sold_price": "dear"}, ", column sold_price: 'dear' is not a number"),
    "price_too_fine": ({"sold_price": 1.005}, ", column sold_price: '1.005' has more than 2 decimals"),
    "price_too_long": (
        {"sold_price": 123456789},
        ", column sold_price: '123456789.00' has more than 8 digits before the point",
    ),
    "number_for_text": ({"brand": 7}, ", column brand: '7' is not text"),
    "no_moment": (
        {"sold_date": "yesterday"},
        ", column sold_date: 'yesterday' is not a moment of the form YYYY-MM-DD HH:MM:SS",
    ),
    "no_list": ({"embedding": "0.5"}, ", column embedding: '0.5' is not a list"),
    "nan": (
        {"embedding": [float("nan"), *[0.5] * 1023]},
        ", column embedding: '[nan, 0.5, 0.5, …]' has numbers among its elements that are not finite",
    ),
    "half_a_surrogate_pair": (
        {"brand": "\ud800"},
        r", column brand: '\xd800' has half a surrogate pair in it",
    ),
}


@pytest.mark.parametrize(("second", "words"), LINES.values(), ids=LINES)
def test_check_bad_line_is_refused_with_line_column_and_value(
    tmp_path: Path, second: str | Row, words: str
) -> None:
    path = tmp_path / "sales.jsonl"
    text = second if isinstance(second, str) else json_line(sale(2) | second)
    path.write_text(f"{json_line(sale(1))}\n{text}\n{json_line(sale(3))}\n")

    assert told(path) == [f"sales.jsonl line 2{words}"]


# keys


@pytest.mark.parametrize(("write", "unit"), [(as_parquet, "row"), (as_json, "line")])
def test_check_repeated_key_is_refused_with_the_first_place(
    tmp_path: Path, write: Callable[..., Path], unit: str
) -> None:
    path = write(tmp_path, [sale(1), sale(2), sale(1, brand="Other"), sale(3), sale(2)])

    key = "columns tenant_id, product_id, sold_date"
    assert told(path) == [
        f"{path.name} {unit} 3, {key}: 'tenant_001, prod_0001, 2025-01-01 01:00:00' is already in {unit} 1",
        f"{path.name} {unit} 5, {key}: 'tenant_001, prod_0002, 2025-01-01 02:00:00' is already in {unit} 2",
    ]


def test_check_all_faults_are_counted_and_ten_shown_by_row(tmp_path: Path) -> None:
    rows = [sale(number, sold_price=Decimal(0), season="Q3") for number in range(1, 31)]

    error = refused(as_parquet(tmp_path, rows))

    assert error.count == 60
    lines = error.message.splitlines()
    assert lines[0] == "60 faults in the input; nothing was uploaded."
    assert lines[-1] == "  … and 50 more"
    assert [line.split(",")[0].strip() for line in lines[1:-1]] == [
        f"sales.parquet row {number}" for number in (1, 1, 2, 2, 3, 3, 4, 4, 5, 5)
    ]


# columns

COLUMNS = {
    "retyped": (
        {"sold_price": pa.float64()},
        "column sold_price: is double in the file and decimal(10,2) in the declaration",
    ),
    "retyped_array": (
        {"embedding": pa.list_(pa.string())},
        "column embedding: is list<element: string> in the file and array<double> in the declaration",
    ),
    "lost": ({"brand": None}, "column brand: is not in the file"),
    "renamed": (
        {"brand": None, "brands": pa.string()},
        "column brand: is not in the file (it has brands, which is not declared)",
    ),
    "renamed_that_may_be_empty": (
        {"description": None, "descriptions": pa.string()},
        "column description: is not in the file (it has descriptions, which is not declared)",
    ),
    "new_of_no_type": (
        {"spot": pa.struct([("x", pa.int32())])},
        "column spot: is not declared, and struct<x: int32> cannot be",
    ),
    "new_of_no_name": (
        {"Sold By": pa.string()},
        "column Sold By: is not declared, and cannot be: a name is up to 63 small letters, digits and _",
    ),
}


@pytest.mark.parametrize(("change", "words"), COLUMNS.values(), ids=COLUMNS)
def test_check_column_lost_or_retyped_is_refused_by_name(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    types = {name: kind for name, kind in (TYPES | change).items() if kind is not None}
    row = {name: value for name, value in sale().items() if TYPES.get(name) == types.get(name)}

    assert told(as_parquet(tmp_path, [row], types=types)) == [f"sales.parquet, {words}"]


@pytest.mark.parametrize("write", [as_parquet, as_json])
def test_check_lost_column_that_may_be_empty_is_null(tmp_path: Path, write: Callable[..., Path]) -> None:
    row = {name: value for name, value in sale().items() if name != "description"}
    types = {"types": {name: kind for name, kind in TYPES.items() if name != "description"}}

    found = check(write(tmp_path, [row], **(types if write is as_parquet else {})), SALES)

    assert found.faults.first == []
    assert landing(found)["description"].to_pylist() == [None]


def test_check_new_columns_of_parquet_land_beside_the_declared(tmp_path: Path) -> None:
    types = TYPES | {"colour": pa.string(), "views": pa.int64()}

    found = check(as_parquet(tmp_path, [sale(1, colour="red"), sale(2, views=7)], types=types), SALES)

    assert found.found == (
        Column("colour", "string", nullable=True),
        Column("views", "bigint", nullable=True),
    )
    assert landing(found).select(["colour", "views"]).to_pylist() == [
        {"colour": "red", "views": None},
        {"colour": None, "views": 7},
    ]


def test_check_new_fields_of_json_lines_get_the_type_that_takes_all(tmp_path: Path) -> None:
    rows = [sale(1), sale(2, weight=1, seen="2025-01-01T00:00:00"), sale(3, weight=2.5), sale(4, seen="once")]

    found = check(as_json(tmp_path, rows), SALES, block_bytes=10_000)

    assert found.faults.first == []
    assert found.found == (Column("weight", "double", nullable=True), Column("seen", "string", nullable=True))
    assert landing(found)["weight"].to_pylist() == [None, 1.0, 2.5, None]
    assert landing(found)["seen"].to_pylist() == [None, "2025-01-01T00:00:00", None, "once"]


def test_new_columns_two_files_that_disagree_are_refused(tmp_path: Path) -> None:
    one = as_parquet(tmp_path, [sale(1, colour="red")], "a.parquet", TYPES | {"colour": pa.string()})
    two = as_parquet(tmp_path, [sale(2, colour=7)], "b.parquet", TYPES | {"colour": pa.int32()})

    with pytest.raises(LandingError) as raised:
        new_columns(SALES, check_all(SALES, [one, two]))

    assert raised.value.message == (
        "a.parquet and b.parquet disagree on the columns beside the declared ones: colour string; colour int."
    )


# files that are none


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.parquet", b"PAR1 no more", "a.parquet is no Parquet file, or it is damaged: "),
        ("a.parquet", b"", "a.parquet is no Parquet file, or it is damaged: "),
        ("a.jsonl.gz", b"no gzip", "a.jsonl.gz cannot be decompressed: "),
        ("a.csv", b"product_id\n", "a.csv is no file for sales.sales, which lands parquet."),
        (
            "a.parquet.gz",
            b"",
            "a.parquet.gz is no file for sales.sales, which lands parquet; Parquet is compressed inside and not once more.",
        ),
    ],
)
def test_check_file_of_another_format_is_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(LandingError) as raised:
        check_all(SALES, [path])

    assert raised.value.message.startswith(message)


def test_check_parquet_for_a_csv_table_is_refused(tmp_path: Path) -> None:
    path = as_parquet(tmp_path, [sale()])

    with pytest.raises(LandingError) as raised:
        check_all(declared_table("forecast"), [path])

    assert raised.value.message == "sales.parquet is no file for forecast.forecast, which lands csv."
    assert raised.value.hint == "It takes .csv, .csv.gz or .csv.xz."


def test_check_damaged_pages_are_refused_with_the_row_they_begin_after(tmp_path: Path) -> None:
    path = as_parquet(tmp_path, [sale(number) for number in range(1, 40)], compression="zstd")
    content = bytearray(path.read_bytes())
    content[200:600] = b"\xff" * 400
    path.write_bytes(content)

    with pytest.raises(LandingError, match=r"^sales\.parquet cannot be read beyond row 0: "):
        check_all(SALES, [path])


@pytest.mark.parametrize("write", [as_parquet, as_json])
def test_check_file_without_rows_is_refused(tmp_path: Path, write: Callable[..., Path]) -> None:
    path = write(tmp_path, [])

    assert told(path) == [f"{path.name}: has no rows"]


# other declarations


def test_check_every_type_and_every_part_of_a_date(tmp_path: Path) -> None:
    table = Table(
        "s",
        "t",
        (
            Column("id", "bigint"),
            Column("day", "date"),
            Column("at", "timestamp"),
            Column("is_open", "boolean", nullable=True),
            Column("year", "string"),
            Column("month", "string"),
            Column("hour", "int"),
            Column("low", "double", minimum=0),
            Column("high", "double", maximum=9),
            Column("counts", "array<int>", nullable=True, minimum=1),
        ),
        key=("id", "day"),
        ordered=(("low", "high"),),
        derived=(
            Derived("year", "year", "day"),
            Derived("month", "month", "at"),
            Derived("hour", "hour", "at"),
        ),
        format="parquet",
    )
    good = {
        **{"id": 1, "day": "2025-03-04", "at": "2025-03-04 05:06:07.089", "is_open": True},
        **{"year": "2025", "month": "03", "hour": 5, "low": 0.5, "high": 1, "counts": [1, 2]},
    }
    changes: list[Row] = [
        {},
        {"id": 2, "is_open": None, "counts": None},
        {"id": 3, "month": "3"},
        {"id": 4, "hour": 6},
        {"id": 5, "low": 2.5},
        {"id": 6, "low": -1},
        {"id": 7, "high": 10},
        {"id": 8, "counts": [3, 0]},
        {"id": 9, "year": "2024"},
    ]

    path = as_json(tmp_path, [good | change for change in changes], "t.jsonl")

    assert told(path, table) == [
        "t.jsonl line 3, columns month, at: '3, 2025-03-04 05:06:07.089000' do not agree: month is the month of at",
        "t.jsonl line 4, columns hour, at: '6, 2025-03-04 05:06:07.089000' do not agree: hour is the hour of at",
        "t.jsonl line 5, columns low, high: '2.5, 1.0' do not rise from left to right",
        "t.jsonl line 6, column low: '-1.0' is less than 0",
        "t.jsonl line 7, column high: '10.0' is more than 9",
        "t.jsonl line 8, column counts: '[3, 0]' has elements that are less than 1",
        "t.jsonl line 9, columns year, day: '2024, 2025-03-04' do not agree: year is the year of day",
    ]


# memory

MEMORY_PROBE = """
import resource, sys
from pathlib import Path
from penstock.landing import typed
from penstock.landing.check import check
from penstock.sources import table

typed.GROUP_ROWS_WITH_ARRAYS = 1_000
unit = 1 if sys.platform == "darwin" else 1024
peaks = []
for path in sys.argv[1:]:
    found = check(Path(path), table("sales"))
    assert not found.faults.count, found.faults.first
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
print(found.rows, peaks[0], peaks[1])
"""


def test_check_more_rows_in_one_row_group_take_no_more_memory(tmp_path: Path) -> None:
    """10,000 embeddings are 80 MB in one row group, of which a megabyte a column is held; of what lands, a row group."""
    constant = {
        "tenant_id": "t",
        "category": "c",
        "brand": "b",
        "condition": "good",
        "season": "Q1",
        "source": "s",
    }
    paths = []
    for rows in (2_000, 10_000):
        values = pa.array(np.arange(rows * 1024, dtype=np.float64))
        offsets = pa.array(np.arange(0, rows * 1024 + 1, 1024, dtype=np.int32))
        columns = {name: pa.repeat(value, rows) for name, value in constant.items()} | {
            "product_id": pa.array([f"prod_{number}" for number in range(rows)]),
            "sold_price": pa.repeat(pa.scalar(Decimal("9.99"), pa.decimal128(10, 2)), rows),
            "sold_date": pa.repeat(pa.scalar(datetime(2025, 1, 1), pa.timestamp("ms")), rows),
            "embedding": pa.ListArray.from_arrays(offsets, values),
        }
        paths.append(tmp_path / f"{rows}.parquet")
        pq.write_table(pa.table(columns), paths[-1], row_group_size=rows, use_dictionary=False)

    probe = subprocess.run(
        [sys.executable, "-c", MEMORY_PROBE, *map(str, paths)], capture_output=True, text=True, check=True
    )

    rows, first, second = map(int, probe.stdout.split())
    assert rows == 10_000
    assert second - first < 40 * 1024**2


# both ways of reading JSON lines say the same

EVERY_TYPE = Table(
    "s",
    "t",
    (
        Column("i", "int", nullable=True),
        Column("b", "bigint", nullable=True),
        Column("d", "double", nullable=True),
        Column("p", "decimal(6,2)", nullable=True),
        Column("o", "boolean", nullable=True),
        Column("y", "date", nullable=True),
        Column("m", "timestamp", nullable=True),
        Column("s", "string"),
        Column("a", "array<double>", nullable=True),
    ),
    key=("s",),
    format="parquet",
)
ODD = st.sampled_from(
    [
        *(
            "0",
            "-1",
            "2147483648",
            "9223372036854775808",
            "1.0",
            "1e2",
            "1E400",
            "-0.0",
            "00",
            "1.005",
            "12345.67",
            "NaN",
        ),
        *(
            "true",
            "false",
            "null",
            "[]",
            "[1, 2.5]",
            "[null]",
            "[NaN]",
            '["1"]',
            "{}",
            "[[1]]",
            "1e-400",
            "-Infinity",
        ),
        *(
            '"1"',
            '"1.5"',
            '"true"',
            '"2026-02-30"',
            '"2026-01-31"',
            '"2026-01-31 10:11:12"',
            '"2026-01-31T10:11:12.5"',
        ),
        *(
            '"2026-01-31T10:11:12Z"',
            '"2026-01-31T10:11:12+05:30"',
            '"2026-01-31T10:11:12.0001"',
            '"2026-01-31T25:00:00"',
        ),
        *(
            '"2026-W01-1"',
            '"20260131"',
            '"2026-01-31 10:11"',
            '"x"',
            '""',
            r'"\u0000"',
            r'"\ud83d\ude00"',
            '"ä"',
        ),
    ]
)


@given(rows=st.lists(st.dictionaries(st.sampled_from("ibdpoymsa"), ODD), min_size=1, max_size=3))
def test_json_read_fast_is_what_is_read_exactly(rows: list[dict[str, str]]) -> None:
    """Whatever Arrow's parser takes, the exact reading takes alike; or it is a fault that the columns' check tells of."""
    lines = ["{" + ", ".join(f'"{name}": {value}' for name, value in row.items()) + "}" for row in rows]
    block = Block(1, "".join(f"{line}\n" for line in lines).encode())
    fast = parsed(block, EVERY_TYPE)
    if fast is None:
        return

    faults, told = Faults(), Faults()
    slow = LineReader("f", EVERY_TYPE, faults).rows(block)
    bad = ColumnCheck(EVERY_TYPE).bad_rows(fast.batch, fast.places, Teller("f", "line", told))
    good = fast.batch.filter(pa.array(~bad))

    assert {fault.line for fault in faults.first} <= {fault.line for fault in told.first}
    kept = [place in set(fast.places[~bad].tolist()) for place in slow.places.tolist()]
    assert slow.batch.filter(pa.array(kept, pa.bool_())).equals(good)


# what lies on disk meanwhile


def test_check_leaves_nothing_in_the_temporary_folder_even_while_it_holds_what_lands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))

    found = check(as_parquet(tmp_path, [sale()]), SALES)

    assert found.spool is not None
    assert found.spool.size > 0
    assert list(folder.iterdir()) == []


def test_check_disk_that_is_full_is_told_and_not_traced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = as_parquet(tmp_path, [sale()])
    calls = SimpleNamespace(write=full, unlink=os.unlink, close=os.close, pread=os.pread)
    monkeypatch.setattr("penstock.landing.spool.os", calls)  # of that module alone

    with pytest.raises(LandingError, match=r"does not fit the temporary folder .*: No space left on device"):
        check(path, SALES)


def test_check_file_that_changes_afterwards_lands_as_it_was_checked(tmp_path: Path) -> None:
    path = as_parquet(tmp_path, [sale(1)])
    found = check(path, SALES)

    as_parquet(tmp_path, [sale(2), sale(3)])

    assert landing(found)["product_id"].to_pylist() == ["prod_0001"]
