"""Text files line by line: every line is a row or an error that names its file, whatever the lines hold."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import pytest

from athena_local.engine import lines
from athena_local.errors import QueryError
from athena_local.objects import ObjectStore

Rows = Callable[..., list[tuple[Any, ...]]]
Execute = Callable[..., Any]
LAZY = "row format delimited fields terminated by ','"
OPEN_CSV = "row format serde 'org.apache.hadoop.hive.serde2.OpenCSVSerde'"
OPENX = "row format serde 'org.openx.data.jsonserde.JsonSerDe'"


@pytest.fixture
def table(execute: Execute, objects: ObjectStore, lake: str) -> Callable[..., str]:
    def create(
        body: bytes,
        columns: str = "a string, b string, c int",
        form: str = LAZY,
        name: str = "f.txt",
        more: str = "",
    ) -> str:
        objects.write(f"{lake}t/{name}", body)
        execute(f"create external table t ({columns}) {form} location '{lake}t/' {more}")
        return "t"

    return create


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"x,y,1\n\nz,,\n", [("x", "y", 1), ("", None, None), ("z", "", None)]),
        (b"\nx,y,1\n\n", [("", None, None), ("x", "y", 1), ("", None, None)]),
        (b"x,y,1\r\n\r\nz,w,2", [("x", "y", 1), ("", None, None), ("z", "w", 2)]),
        (b"x,y,1\r\nz,w,2\nq,r,3\rs,t,4\n", [("x", "y", 1), ("z", "w", 2), ("q", "r", 3), ("s", "t", 4)]),
        (b"x\nx,y\nx,y,1,2,3\n", [("x", None, None), ("x", "y", None), ("x", "y", 1)]),
        (b"x,y,1,\n,,\n", [("x", "y", 1), ("", "", None)]),
        (b'"x,y",1\n"z\n', [('"x', 'y"', 1), ('"z', None, None)]),
        (b"\xff,y,1\nz,\xc3\xa9,2\n", [("\ufffd", "y", 1), ("z", "é", 2)]),
        (b"   \nx,y,1\n", [("   ", None, None), ("x", "y", 1)]),
    ],
    ids=[
        "empty",
        "empty-first-last",
        "crlf",
        "mixed-ends",
        "counts",
        "delimiter-last",
        "quotes",
        "not-utf8",
        "blanks",
    ],
)
def test_lazy_csv_line_is_a_row_whatever_it_holds(
    rows: Rows, table: Callable[..., str], body: bytes, expected: list[tuple[Any, ...]]
) -> None:
    assert sorted(rows(f"select * from {table(body)}"), key=str) == sorted(expected, key=str)


def test_lazy_csv_empty_line_is_null_where_the_first_column_is_no_text(
    rows: Rows, table: Callable[..., str]
) -> None:
    table(b"1,x\n\n", "a int, b string")
    assert rows("select * from t where a is null") == [(None, None)]


def test_lazy_csv_long_line_is_read(rows: Rows, table: Callable[..., str]) -> None:
    table(b"x,y,1\n" + b"z" * 5_000_000 + b",w,2\n" + b"u,v,3\n")
    assert sorted(rows("select length(a), b, c from t")) == [(1, "v", 3), (1, "y", 1), (5_000_000, "w", 2)]


def test_lazy_csv_line_above_the_limit_names_its_file(
    rows: Rows, table: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 4_000_000)
    table(b"x,y,1\n" + b"z" * 5_000_000 + b",w,2\n")
    with pytest.raises(QueryError, match=r"^HIVE_CURSOR_ERROR: Failed to read file: s3://.*/f\.txt"):
        rows("select * from t")


def test_lazy_csv_compressed_is_unpacked_and_skips_its_header(rows: Rows, table: Callable[..., str]) -> None:
    table(
        gzip.compress(b"a,b,c\n\nx,y,1\n"),
        name="f.csv.gz",
        more="tblproperties ('skip.header.line.count'='1')",
    )
    assert sorted(rows("select * from t")) == [("", None, None), ("x", "y", 1)]


def test_lazy_csv_that_is_not_what_its_name_says_fails(rows: Rows, table: Callable[..., str]) -> None:
    table(b"x,y,1\n", name="f.gz")
    with pytest.raises(QueryError, match=r"HIVE_CURSOR_ERROR: Failed to read file: s3://.*/f\.gz"):
        rows("select * from t")


def test_json_keys_are_found_in_any_case(rows: Rows, table: Callable[..., str]) -> None:
    body = b'{"Id": 1, "Deep": {"Within": "ID: \\"Id\\": 5"}, "m": {"Key": 2}}\n{"id": 2}\n'
    table(body, "id int, deep struct<within:string>, m map<string,int>", OPENX)
    assert sorted(rows("select id, deep.within, m from t"), key=str) == [
        (1, 'ID: "Id": 5', [("Key", 2)]),
        (2, None, None),
    ]


def test_json_keys_keep_their_case_when_the_table_says_so(rows: Rows, table: Callable[..., str]) -> None:
    table(b'{"Id": 1}\n', "id int", f"{OPENX} with serdeproperties ('case.insensitive'='false')")
    assert rows("select id from t") == [(None,)]


def test_json_key_is_mapped_to_its_column(rows: Rows, table: Callable[..., str]) -> None:
    table(b'{"timeStamp": "x"}\n', "ts string", f"{OPENX} with serdeproperties ('mapping.ts'='timestamp')")
    assert rows("select ts from t") == [("x",)]


def test_json_malformed_line_names_the_object_and_the_line(rows: Rows, table: Callable[..., str]) -> None:
    table(b'{"id": 1}\n\n{"id": \n', "id int", OPENX)
    wanted = r"^HIVE_BAD_DATA: Row is not a valid JSON Object - .*s3://[^ ]*/t/f\.txt at line 3: "
    with pytest.raises(QueryError, match=wanted):
        rows("select * from t")


def test_json_malformed_line_is_a_row_of_nulls_when_the_table_ignores_it(
    rows: Rows, table: Callable[..., str]
) -> None:
    form = f"{OPENX} with serdeproperties ('ignore.malformed.json'='true')"
    table(b'{"id": 1}\n{"id": \n', "id int", form)
    assert sorted(rows("select * from t"), key=str) == [(1,), (None,)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'1,"x\ny"\n2,z\n', [("1", None), (None, None), ("2", "z")]),
        (b'"open,1\n"a","b"\n', [(None, None), ("a", "b")]),
        (b'"a ""b""",c\n\n"",\n', [('a "b"', "c"), (None, None), ("", "")]),
        (b'a\\"b,"c\\"d"\n', [('a"b', 'c"d')]),
        (b'a,b"c"d\nabc"d,e\n', [("a", 'b"c"d'), (None, None)]),
        (b'x,  "y"\n', [("x", "y")]),
        (b"a\\b,c\\\\d,e\n", [("ab", "c\\d")]),
        (b"only\n", [("only", None)]),
    ],
    ids=[
        "break",
        "unclosed",
        "doubled-empty",
        "escaped",
        "inner-quotes",
        "blank-quote",
        "backslash",
        "missing",
    ],
)
def test_open_csv_every_line_is_a_record(
    rows: Rows, table: Callable[..., str], body: bytes, expected: list[tuple[Any, ...]]
) -> None:
    table(body, "a string, b string", OPEN_CSV)
    assert sorted(rows("select * from t"), key=str) == sorted(expected, key=str)
