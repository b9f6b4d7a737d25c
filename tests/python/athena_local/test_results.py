"""Result files: values as Athena's text, the CSV, the metadata, and paging from the copy and from S3."""

from __future__ import annotations

import csv
import datetime
import decimal
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from athena_local.context import ResultColumn, StatementResult
from athena_local.objects import ObjectStore, StorageError
from athena_local.queries import csvtext
from athena_local.queries.render import render_column
from athena_local.queries.results import ResultStore, Target
from athena_local.types.text import java_double

UTC = datetime.UTC
MOMENT = datetime.datetime(2025, 1, 1, 10, 0, 0, 123456)


def shown(values: list[Any], kind: pa.DataType, column: ResultColumn | None = None) -> list[str | None]:
    array = pa.array(values, kind)
    return list(render_column(array, column or ResultColumn("c", "varchar")).to_pylist())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (100.0, "100.0"),
        (0.1, "0.1"),
        (0.001, "0.001"),
        (0.00099, "9.9E-4"),
        (9999999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (1e10, "1.0E10"),
        (12345678.9, "1.23456789E7"),
        (-2.5e-10, "-2.5E-10"),
        (1.7976931348623157e308, "1.7976931348623157E308"),
        (5e-324, "5.0E-324"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (float("nan"), "NaN"),
        (123.456, "123.456"),
    ],
)
def test_render_double_is_javas(value: float, text: str) -> None:
    assert java_double(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_render_double_reads_back_as_the_same_double(value: float) -> None:
    assert float(java_double(value)) == value


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (True, pa.bool_(), "true"),
        (-5, pa.int64(), "-5"),
        ("a,b", pa.string(), "a,b"),
        (datetime.date(2025, 1, 1), pa.date32(), "2025-01-01"),
        (MOMENT, pa.timestamp("us"), "2025-01-01 10:00:00.123"),
        (MOMENT.replace(microsecond=0), pa.timestamp("ns"), "2025-01-01 10:00:00.000"),
        (MOMENT.replace(tzinfo=UTC), pa.timestamp("us", "UTC"), "2025-01-01 10:00:00.123 UTC"),
        (datetime.time(1, 2, 3, 4000), pa.time64("us"), "01:02:03.004"),
        (decimal.Decimal("0.00"), pa.decimal128(10, 2), "0.00"),
        (decimal.Decimal("0.000000000000"), pa.decimal128(38, 12), "0.000000000000"),
        (decimal.Decimal("-12345678901234567890.10"), pa.decimal128(38, 2), "-12345678901234567890.10"),
        (b"\x0a\xff", pa.binary(), "0a ff"),
        (0.1, pa.float32(), "0.1"),
        (16777216.0, pa.float32(), "1.6777216E7"),
        ([1, None, 2], pa.list_(pa.int32()), "[1, null, 2]"),
        ([0.1, 1e10], pa.list_(pa.float64()), "[0.1, 1.0E10]"),
        ([], pa.list_(pa.string()), "[]"),
        ([("a", 1), ("b", None)], pa.map_(pa.string(), pa.int32()), "{a=1, b=null}"),
        (
            {"a": 1, "b": ["x", "y"]},
            pa.struct([("a", pa.int32()), ("b", pa.list_(pa.string()))]),
            "{a=1, b=[x, y]}",
        ),
        ([MOMENT], pa.list_(pa.timestamp("us")), "[2025-01-01 10:00:00.123]"),
        (datetime.timedelta(days=2, seconds=3661), pa.duration("ms"), "2 01:01:01.000"),
    ],
)
def test_render_value(value: Any, kind: pa.DataType, text: str) -> None:
    assert shown([value, None], kind) == [text, None]


def test_render_timestamp_of_precision_six_shows_microseconds() -> None:
    column = ResultColumn("c", "timestamp", 6)
    assert shown([MOMENT], pa.timestamp("us"), column) == ["2025-01-01 10:00:00.123456"]


cells = st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\r")))


@given(st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(cells, min_size=width, max_size=width))))
def test_csv_reads_back_every_row_and_tells_null_from_empty(rows: list[list[str | None]]) -> None:
    text = b"".join(csvtext.write_row(row) for row in rows)
    assert [row for row, _ in csvtext.read_rows(text, complete=True)] == rows
    read = list(csv.reader(io.StringIO(text.decode(), newline="")))
    assert [row or [""] for row in read] == [[value or "" for value in row] for row in rows]


def test_csv_batch_equals_rows_written_one_by_one() -> None:
    batch = pa.record_batch({"a": ['x"y', None, ""], "b": pa.array([1, 2, None], pa.int32())})
    columns = [ResultColumn("a", "varchar"), ResultColumn("b", "integer")]
    expected = b"".join(csvtext.write_row(row) for row in (['x"y', "1"], [None, "2"], ["", None]))
    assert csvtext.write_batch(batch, columns) == expected == b'"x""y","1"\n,"2"\n"",\n'


def test_csv_of_a_truncated_row_stops_before_it() -> None:
    text = csvtext.write_row(["a", 'b"c']) + csvtext.write_row(["d\ne", "f"])
    for end in range(len(csvtext.write_row(["a", 'b"c'])), len(text)):
        assert [row for row, _ in csvtext.read_rows(text[:end], complete=False)] == [["a", 'b"c']]


def numbers(count: int) -> StatementResult:
    table = pa.table({"n": pa.array(range(count), pa.int64()), "s": [f"v{n}\n" * 3 for n in range(count)]})
    columns = [ResultColumn("n", "bigint"), ResultColumn("s", "varchar")]
    return StatementResult(columns, iter(table.to_batches(max_chunksize=1000)))


@pytest.mark.parametrize("local_copy", [True, False])
def test_pages_of_a_large_result_hold_every_row_once(
    objects: ObjectStore, lake: str, tmp_path: Path, local_copy: bool
) -> None:
    store = ResultStore(objects, tmp_path)
    location = f"{lake}q.csv"
    stored = store.store(Target("q", location), numbers(30_000))
    if not local_copy:
        (tmp_path / "q.csv").unlink()
    rows, offset = [], 0
    while offset is not None:
        page, offset = store.page("q", location, stored, offset, 1000)
        assert 1 <= len(page) <= 1000
        rows += page
    assert rows[0] == ["n", "s"]
    assert [row[0] for row in rows[1:]] == [str(n) for n in range(30_000)]
    assert objects.read(location).startswith(b'"n","s"\n"0","v0\nv0\nv0\n"\n')
    assert b"bigint" in objects.read(f"{location}.metadata")


def test_store_lines_writes_text_without_a_last_line_break(
    objects: ObjectStore, lake: str, tmp_path: Path
) -> None:
    store = ResultStore(objects, tmp_path)
    result = StatementResult([ResultColumn("tab_name", "string")], lines=["a\tb", 'say "x"', "two\nlines"])
    target = Target("q", f"{lake}q.txt", "UTILITY", "SHOW_TABLES")
    stored = store.store(target, result)
    assert objects.read(f"{lake}q.txt") == b'a\tb\nsay "x"\ntwo\nlines'
    expected = ([["a\tb"], ['say "x"'], ["two"], ["lines"]], None)
    assert store.page("q", f"{lake}q.txt", stored, 0, 10) == expected
    (tmp_path / "q.csv").unlink()
    assert store.page("q", f"{lake}q.txt", stored, 0, 10) == expected


def test_store_nothing_writes_an_empty_text_and_no_metadata(
    objects: ObjectStore, lake: str, tmp_path: Path
) -> None:
    target = Target("q", f"{lake}q.txt", "DDL", "CREATE_TABLE")
    stored = ResultStore(objects, tmp_path).store(target, StatementResult(lines=[]))
    assert [(item.path, item.size) for item in objects.list(lake)] == [(f"{lake}q.txt", 0)]
    assert (stored.update_count, stored.columns, stored.size_bytes) == (None, [], 0)


@pytest.mark.parametrize("local_copy", [True, False])
def test_store_explain_keeps_its_header_out_of_the_text(
    objects: ObjectStore, lake: str, tmp_path: Path, local_copy: bool
) -> None:
    plan = pa.record_batch({"Query Plan": ["Fragment 0", "", None]})
    target = Target("q", f"{lake}q.txt", "DML", "EXPLAIN")
    store = ResultStore(objects, tmp_path)
    stored = store.store(target, StatementResult([ResultColumn("Query Plan", "varchar")], iter([plan])))
    assert objects.read(f"{lake}q.txt") == b"Fragment 0\n\n"
    if not local_copy:
        (tmp_path / "q.csv").unlink()
    rows, _ = store.page("q", f"{lake}q.txt", stored, 0, 10)
    assert [row[0] or "" for row in rows] == ["Query Plan", "Fragment 0", "", ""]
    assert stored.update_count is None


def test_store_counts_writes_a_manifest_and_the_update(
    objects: ObjectStore, lake: str, tmp_path: Path
) -> None:
    result = StatementResult(update_count=7, manifest=["s3://b/one", "s3://b/two"])
    target = Target("q", f"{lake}q", "DML", "INSERT")
    stored = ResultStore(objects, tmp_path).store(target, result)
    assert (stored.update_count, stored.columns[0]["Name"]) == (7, "rows")
    assert objects.read(f"{lake}q-manifest.csv") == b"s3://b/one\ns3://b/two\n"
    # what Athena wrote for INSERT, but for the id of the query: 6 bytes of verb, the count, one column `rows bigint`
    column = b"\x22\x22\x0a\x04hive\x22\x04rows\x2a\x04rows\x32\x06bigint\x38\x13\x40\x00\x48\x03\x50\x00"
    assert objects.read(f"{lake}q.metadata") == b"\x0a\x01q\x12\x06INSERT\x18\x07" + column


def test_store_counts_without_files_has_no_manifest(objects: ObjectStore, lake: str, tmp_path: Path) -> None:
    target = Target("q", f"{lake}q.csv", "DML", "UPDATE")
    stored = ResultStore(objects, tmp_path).store(target, StatementResult(update_count=0))
    assert stored.manifest_location is None
    assert [item.path for item in objects.list(lake)] == [f"{lake}q.csv.metadata"]


def test_page_of_a_result_that_was_deleted_from_s3_is_not_found(
    objects: ObjectStore, lake: str, tmp_path: Path
) -> None:
    store = ResultStore(objects, tmp_path)
    stored = store.store(Target("q", f"{lake}q.csv"), numbers(3))
    objects.delete([f"{lake}q.csv"])
    with pytest.raises(FileNotFoundError):
        store.page("q", f"{lake}q.csv", stored, 0, 10)
    (tmp_path / "q.csv").unlink()
    with pytest.raises(FileNotFoundError):
        store.page("q", f"{lake}q.csv", stored, 0, 10)


@pytest.mark.parametrize("refused", ["q.metadata", "q-manifest.csv", "q.csv", "q.csv.metadata"])
def test_store_that_cannot_write_one_file_leaves_none(
    objects: ObjectStore, lake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    write, upload = objects.write, objects.upload

    def refuse(path: str) -> None:
        if path == lake + refused:
            raise StorageError("HIVE_WRITER_CLOSE_ERROR", f"Error committing write to Hive: {path}")

    def guarded_write(path: str, body: bytes, **options: str) -> None:
        refuse(path)
        write(path, body, **options)

    def guarded_upload(source: Path, path: str, **options: str) -> None:
        refuse(path)
        upload(source, path, **options)

    monkeypatch.setattr(objects, "write", guarded_write)
    monkeypatch.setattr(objects, "upload", guarded_upload)
    store = ResultStore(objects, tmp_path)
    if refused.startswith("q.csv"):
        target, result = Target("q", f"{lake}q.csv"), numbers(3)
    else:
        target = Target("q", f"{lake}q", "DML", "INSERT")
        result = StatementResult(update_count=1, manifest=["s3://b/one"])
    with pytest.raises(StorageError, match=refused):
        store.store(target, result)
    assert list(objects.list(lake)) == []
    assert list(tmp_path.iterdir()) == []


def test_batch_of_large_cells_is_written_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csvtext, "MAX_BATCH_BYTES", 1000)
    batch = pa.record_batch({"s": [str(number) * 300 for number in range(10)]})
    columns = [ResultColumn("s", "varchar")]
    pieces = list(csvtext.write_batches(batch, columns))
    assert len(pieces) > 3
    assert b"".join(pieces) == csvtext.write_batch(batch, columns)


def test_store_of_a_failing_stream_leaves_nothing(objects: ObjectStore, lake: str, tmp_path: Path) -> None:
    def failing() -> Any:
        yield pa.record_batch({"n": [1]})
        raise RuntimeError("gone")

    result = StatementResult([ResultColumn("n", "bigint")], failing())
    store = ResultStore(objects, tmp_path)
    with pytest.raises(RuntimeError, match="gone"):
        store.store(Target("q", f"{lake}q.csv"), result)
    assert list(objects.list(lake)) == []
    assert list(tmp_path.iterdir()) == []
