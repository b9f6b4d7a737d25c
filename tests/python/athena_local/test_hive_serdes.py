"""Each SerDe with each type: what Athena makes of the text, what it refuses, which compressions it knows."""

from __future__ import annotations

import bz2
import datetime
import gzip
import io
import zlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from athena_local.engine import prepare
from athena_local.errors import QueryError
from athena_local.objects import ObjectStore

Rows = Callable[..., list[tuple[Any, ...]]]
Execute = Callable[..., Any]
Create = Callable[..., None]
LAZY = "row format delimited fields terminated by ','"
OPEN_CSV = "row format serde 'org.apache.hadoop.hive.serde2.OpenCSVSerde'"
OPENX = "row format serde 'org.openx.data.jsonserde.JsonSerDe'"
HIVE_JSON = "row format serde 'org.apache.hive.hcatalog.data.JsonSerDe'"
REGEX = "row format serde 'org.apache.hadoop.hive.serde2.RegexSerDe' with serdeproperties"
D, T = datetime.date, datetime.datetime


@pytest.fixture
def create(execute: Execute, objects: ObjectStore, lake: str) -> Create:
    """`create(body, columns, form)`: the table `t` over one object."""

    def run(body: bytes, columns: str, form: str = LAZY, name: str = "f", more: str = "") -> None:
        objects.write(f"{lake}t/{name}", body)
        execute(f"create external table t ({columns}) {form} location '{lake}t/' {more}")

    return run


@pytest.mark.parametrize(
    ("kind", "texts", "expected"),
    [
        ("tinyint", ["1", "+7", "-128", "128", "1.9", "1.x", "0x1", " 1", "1_0", ""],
         [1, 7, -128, None, 1, None, None, None, None, None]),
        ("smallint", ["32767", "32768"], [32767, None]),
        ("int", ["2147483647", "2147483648", ".5", "1e3"], [2147483647, None, 0, None]),
        ("bigint", ["-9223372036854775808", "9223372036854775808"], [-(2**63), None]),
        ("boolean", ["true", "FALSE", "t", "1", ""], [True, False, None, None, None]),
        ("double", ["1.5", "1e3", " 2 ", "3d", "inf", "Infinity", "x", ""],
         [1.5, 1000.0, 2.0, 3.0, None, float("inf"), None, None]),
        ("float", ["0.5", "-Infinity"], [0.5, float("-inf")]),
        ("decimal(5,2)", ["1.005", "-1.005", "999.994", "1000", "1e2", "x"],
         [Decimal("1.01"), Decimal("-1.01"), Decimal("999.99"), None, Decimal("100.00"), None]),
        ("varchar(3)", ["abcdef", "ab", ""], ["abc", "ab", ""]),
        ("string", ["abc", "\\N", ""], ["abc", None, ""]),
        ("binary", ["aGk=", ""], [b"hi", b""]),
        ("date", ["2025-01-05", "2025-1-5", "2025-01-05 10:00", "2025-13-01", "2025-01-32", "2025/01/05", "x"],
         [D(2025, 1, 5), D(2025, 1, 5), D(2025, 1, 5), D(2026, 1, 1), D(2025, 2, 1), None, None]),
        ("timestamp", ["2025-01-05 10:11:12", "2025-01-05 10:11:12.1236", "2025-1-5 1:2:3", "2025-01-05",
                       "2025-01-05T10:11:12.5", "2025-01-05 10:11", "2025-01-05T10:11:12Z", "x"],
         [T(2025, 1, 5, 10, 11, 12), T(2025, 1, 5, 10, 11, 12, 124000), T(2025, 1, 5, 1, 2, 3), T(2025, 1, 5),
          T(2025, 1, 5, 10, 11, 12, 500000), None, None, None]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_lazy_simple_types(
    rows: Rows, create: Create, kind: str, texts: list[str], expected: list[Any]
) -> None:
    create("".join(f"{index},{text}\n" for index, text in enumerate(texts)).encode(), f"i int, v {kind}")
    assert [row[0] for row in rows("select v from t order by i")] == expected


def test_lazy_simple_nesting_has_a_separator_a_level(rows: Rows, create: Create) -> None:
    columns = (
        "a array<int>, m map<string,int>, s struct<x:int,y:string>, d array<array<string>>,"
        " n map<string,array<int>>, l array<struct<x:int,y:int>>"
    )
    form = "row format delimited fields terminated by ',' collection items terminated by '|' map keys terminated by ':'"
    body = b"1|x|3,a:1|b:|a:2,7|q,p:q|r,a:1\x042|b:3,1:2|\\N|3:4\n,,,,,\n\\N,k,\\N|\\N,\\N,\\N,\\N\n"
    create(body, columns, form)
    assert rows("select a, m, s.x, s.y, d, n, l from t") == [
        (
            [1, None, 3],
            [("a", 1), ("b", None)],
            7,
            "q",
            [["p", "q"], ["r"]],
            [("a", [1, 2]), ("b", [3])],
            [{"x": 1, "y": 2}, None, {"x": 3, "y": 4}],
        ),
        ([], [], None, None, [], [], []),
        (None, [("k", None)], None, None, None, None, None),
    ]


def test_lazy_simple_escapes_nulls_and_the_default_delimiters(
    rows: Rows, create: Create, execute: Execute
) -> None:
    form = (
        "row format delimited fields terminated by ',' escaped by '\\\\' collection items terminated by '|'"
        " lines terminated by '\\n' null defined as 'NIL'"
    )
    create(b"a\\,b,c\\|d|e\\\\,NIL\nNIL,\\N,x\\\xc3\xa9\n", "a string, b array<string>, c string", form)
    assert rows("select * from t") == [("a,b", ["c|d", "e\\"], None), (None, ["N"], "xé")]
    execute("drop table t")
    create(b"a\x01b\x02c\x01\\N\n", "a string, b array<string>, c string", "")
    assert rows("select * from t") == [("a", ["b", "c"], None)]


def test_lazy_simple_header_footer_null_format_and_rest(rows: Rows, create: Create, execute: Execute) -> None:
    properties = "tblproperties ('skip.header.line.count'='1', 'skip.footer.line.count'='1', 'serialization.null.format'='')"
    create(b"h,h\n1,\n,2\nfoot,er\n", "a string, b string", more=properties)
    assert rows("select * from t") == [("1", None), (None, "2")]
    execute("drop table t")
    serde = (
        "row format serde 'org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe' with serdeproperties"
        " ('field.delim'='9', 'serialization.last.column.takes.rest'='true')"
    )
    create(b"a\tb\tc\n", "a string, b string", serde, "g")
    assert ("a", "b\tc") in rows("select * from t")


def test_lazy_simple_timestamp_formats(rows: Rows, create: Create) -> None:
    form = (
        "row format serde 'org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe' with serdeproperties ('field.delim'='|',"
        " 'timestamp.formats'='dd/MMM/yyyy HH:mm:ss,millis')"
    )
    create(b"05/Jan/2025 10:11:12\n1736071872123\n2025-01-05 10:11:12\nnope\n", "v timestamp", form)
    moment = T(2025, 1, 5, 10, 11, 12)
    assert rows("select v from t") == [(moment,), (T(2025, 1, 5, 10, 11, 12, 123000),), (moment,), (None,)]


def test_open_csv_types_are_numbers_of_days_and_milliseconds(rows: Rows, create: Create) -> None:
    columns = "i int, l bigint, d double, b boolean, day date, at timestamp, s string"
    create(b'"1","2",1.5,TRUE,18276,1579059880123,"x"\n-1,3,2,no,0,0,\n', columns, OPEN_CSV)
    assert rows("select * from t order by l") == [
        (1, 2, 1.5, True, D(2020, 1, 15), T(2020, 1, 15, 3, 44, 40, 123000), "x"),
        (-1, 3, 2.0, False, D(1970, 1, 1), T(1970, 1, 1), ""),
    ]


def test_open_csv_what_does_not_parse_fails_or_is_null(rows: Rows, create: Create, execute: Execute) -> None:
    create(b"a,\nb,1.5\n", "s string, i int", OPEN_CSV)
    with pytest.raises(QueryError) as caught:
        rows("select i from t where s = 'a'")
    assert (
        str(caught.value) == "HIVE_BAD_DATA: Error parsing field value '' for field 1: For input string: \"\""
    )
    execute("alter table t set tblproperties ('use.null.for.invalid.data' = 'TRUE')")
    assert rows("select * from t") == [("a", None), ("b", None)]


def test_open_csv_own_characters(rows: Rows, create: Create) -> None:
    form = OPEN_CSV + " with serdeproperties ('separatorChar'='\\t', 'quoteChar'='`', 'escapeChar'='\\\\')"
    create(b'`a\tb`\tc\n`x\\`y`\t"q"\n', "a string, b string", form)
    assert rows("select * from t") == [("a\tb", "c"), ("x`y", '"q"')]


def test_openx_json_is_lenient(rows: Rows, create: Create, execute: Execute) -> None:
    columns = (
        "i int, d double, e decimal(20,19), b boolean, s string, day date, at timestamp, a array<int>, m map<string,int>,"
        " r struct<x:int,y:string>"
    )
    body = (
        b'{"i": "7", "d": "1e2", "e": 0.1234567890123456789, "b": "TRUE", "s": 1.10, "day": "2025-1-5",'
        b' "at": "2025-01-05T10:11:12+02:00", "a": 5, "m": {"k": "3"}, "r": {"X": 1, "y": {"z": [1.5]}}}\n'
        b'{"i": 2.9, "d": null, "b": 1, "s": {"k": [1.5, "q"]}, "day": 18276, "at": 1579059880, "a": "", "m": " ",'
        b' "r": [4, true]}\n'
        b'["9"]\n'
        b"\n"
        b'{"i": "x", "d": "x", "at": 1579059880123, "a": [1, null, "3"], "r": ""}\n'
    )
    create(body, columns, OPENX)
    assert rows("select * from t") == [
        (7, 100.0, Decimal("0.1234567890123456789"), True, "1.10", D(2025, 1, 5), T(2025, 1, 5, 8, 11, 12), [5],
         [("k", 3)], {"x": 1, "y": '{"z":[1.5]}'}),
        (2, None, None, False, '{"k":[1.5,"q"]}', D(2020, 1, 15), T(2020, 1, 15, 3, 44, 40), None, None,
         {"x": 4, "y": "true"}),
        (9, *[None] * 9),
        (*[None] * 10,),
        (None, None, None, None, None, None, T(2020, 1, 15, 3, 44, 40, 123000), [1, None, 3], None,
         {"x": None, "y": None}),
    ]  # fmt: skip
    execute("drop table t")
    create(b'{"i": {"a": 1}}\n', "i int", OPENX)
    with pytest.raises(
        QueryError, match="HIVE_BAD_DATA: JSON object or array can not be coerced to a INTEGER"
    ):
        rows("select * from t")


def test_openx_json_dots_in_keys_are_underscores_when_asked(rows: Rows, create: Create) -> None:
    create(
        b'{"a.b": 1, "C.d": 2}\n', "a_b int, c_d int", OPENX + " with serdeproperties ('dots.in.keys'='true')"
    )
    assert rows("select * from t") == [(1, 2)]


def test_hive_json_is_strict(rows: Rows, create: Create, execute: Execute) -> None:
    columns = "i int, s string, e decimal(20,19), a array<int>, r struct<x:int>, m map<int,boolean>, day date"
    body = (
        b'{"I": 2.9, "s": true, "e": 0.1234567890123456789, "a": [1], "r": {"x": 1}, "m": {"5": true},'
        b' "day": "2025-1-5"}\n'
    )
    create(body, columns, HIVE_JSON)
    assert rows("select * from t") == [
        (2, "true", Decimal("0.1234567890123456789"), [1], {"x": 1}, [(5, True)], D(2025, 1, 5))
    ]
    for body, text in (
        (b'{"i": "5"}', "Invalid JSON: '5' is not a integer"),
        (b'{"s": [1]}', "Invalid JSON: varchar value must be a scalar json value"),
        (b'{"a": 1}', "Invalid JSON: start of array expected"),
        (b'{"r": 1}', "Invalid JSON: start of object expected"),
        (b'{"day": "soon"}', "Invalid JSON: 'soon' is not a date"),
    ):
        execute("drop table t")
        create(body, columns, HIVE_JSON)
        with pytest.raises(QueryError) as caught:
            rows("select * from t")
        assert str(caught.value) == f"HIVE_BAD_DATA: {text}"


def test_regex_that_never_ends_is_given_up(
    rows: Rows, create: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "MATCH_SECONDS", 0.1)
    create(b"a" * 60 + b"!\n", "a string", f"{REGEX} ('input.regex'='(a|aa)+b')")
    with pytest.raises(QueryError, match="EXCEEDED_TIME_LIMIT: "):
        rows("select * from t")


def test_regex_groups_are_columns_and_other_lines_are_null(
    rows: Rows, create: Create, execute: Execute
) -> None:
    pattern = r"^(?<ip>\\S+) \\[([^\\]]+)\\] (\\d+|-)(?: \"(.*)\")?$"
    create(
        b'1.2.3.4 [now] 5 "x y"\nno match\n5.6.7.8 [then] -\n',
        "ip string, at string, size int, rest varchar(2)",
        f"{REGEX} ('input.regex'='{pattern}')",
    )
    assert rows("select * from t") == [
        ("1.2.3.4", "now", 5, "x "),
        (None, None, None, None),
        ("5.6.7.8", "then", None, None),
    ]
    execute("drop table t")
    create(b"x\n", "a string", REGEX.removesuffix("with serdeproperties"))
    with pytest.raises(
        QueryError, match=r'HIVE_INVALID_METADATA: This table does not have serde property "input.r'
    ):
        rows("select * from t")


@pytest.mark.parametrize(
    ("clause", "text"),
    [
        ("stored as orc", "ORC"),
        ("stored as avro", "AVRO"),
        (
            "row format serde 'com.amazonaws.glue.serde.GrokSerDe' with serdeproperties ('input.format'='%{X}')",
            "Grok",
        ),
        ("row format serde 'com.amazon.ionhiveserde.IonHiveSerDe'", "Ion"),
    ],
)
def test_formats_without_a_reader_are_kept_and_refused_when_read(
    rows: Rows, create: Create, clause: str, text: str
) -> None:
    create(b"x\n", "a string", clause)
    with pytest.raises(
        QueryError, match=rf"(?i)^NOT_SUPPORTED: .*{text}.* is not supported by this server; use "
    ):
        rows("select * from t")


def parquet(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def test_parquet_types_and_times_to_the_millisecond(rows: Rows, create: Create) -> None:
    moment = T(2025, 1, 5, 10, 11, 12, 123_600)
    body = parquet(
        T=pa.array([5], pa.int8()),
        us=pa.array([moment], pa.timestamp("us")),
        ms=pa.array([moment], pa.timestamp("ms")),
        ns=pa.array([moment], pa.timestamp("ns")),
        tz=pa.array([moment], pa.timestamp("us", tz="UTC")),
        dec=pa.array([Decimal("1.50")], pa.decimal128(9, 2)),
        r=pa.array([{"B": 1, "a": "x"}]),
        m=pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int32())),
    )
    columns = (
        "t tinyint, us timestamp, ms timestamp, ns timestamp, tz timestamp, dec decimal(9,2),"
        " r struct<a:string,b:int,c:date>, m map<string,int>"
    )
    create(body, columns, "stored as parquet")
    rounded, cut = moment.replace(microsecond=124_000), moment.replace(microsecond=123_000)
    assert rows("select * from t") == [
        (5, rounded, cut, rounded, rounded, Decimal("1.50"), {"a": "x", "b": 1, "c": None}, [("k", 1)])
    ]


def test_parquet_integers_of_any_width_are_read_where_they_fit(
    rows: Rows, create: Create, execute: Execute
) -> None:
    body = parquet(i=pa.array([1, 40_000], pa.int64()))
    create(body, "i smallint", "stored as parquet")
    assert rows("select i from t limit 0") == []
    with pytest.raises(QueryError, match="NUMERIC_VALUE_OUT_OF_RANGE"):
        rows("select * from t")
    execute("alter table t replace columns (i int)")
    assert rows("select * from t order by i") == [(1,), (40_000,)]


def test_parquet_by_index_takes_columns_by_their_place(rows: Rows, create: Create) -> None:
    serde = (
        "row format serde 'org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe' with serdeproperties"
        " ('parquet.column.index.access'='true')"
    )
    create(
        parquet(x=pa.array([1], pa.int32()), y=["q"]), "a int, b string, c date", f"{serde} stored as parquet"
    )
    assert rows("select * from t") == [(1, "q", None)]


def hadoop_blocks(codec: str, *blocks: bytes) -> bytes:
    packed = b""
    for block in blocks:
        piece = pa.compress(block, codec=codec, asbytes=True)
        packed += len(block).to_bytes(4, "big") + len(piece).to_bytes(4, "big") + piece
    return packed


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("f.gz", gzip.compress(b"1,a\n") + gzip.compress(b"2,b\n")),
        ("f.bz2", bz2.compress(b"1,a\n2,b\n")),
        ("f.zst", pa.compress(b"1,a\n2,b\n", codec="zstd", asbytes=True)),
        ("f.deflate", zlib.compress(b"1,a\n2,b\n")),
        ("f.snappy", hadoop_blocks("snappy", b"1,a\n2", b",b\n")),
        ("f.lz4", hadoop_blocks("lz4_raw", b"1,a\n2", b",b\n")),
    ],
)
def test_compressed_text_is_unpacked_by_its_suffix(
    rows: Rows, create: Create, name: str, body: bytes
) -> None:
    create(body, "i int, s string", name=name)
    assert rows("select * from t order by i") == [(1, "a"), (2, "b")]


@pytest.mark.parametrize("name", ["f.bz2", "f.zst", "f.deflate", "f.snappy", "f.lz4"])
def test_compressed_text_that_is_none_names_its_file(rows: Rows, create: Create, name: str) -> None:
    create(b"1,a and more\n", "i int, s string", name=name)
    with pytest.raises(
        QueryError, match=rf"HIVE_CURSOR_ERROR: Failed to read file: s3://.*/t/{name}: it is not "
    ):
        rows("select * from t")


def test_compressed_by_lzo_is_refused_by_name(rows: Rows, create: Create) -> None:
    create(b"x", "i int", name="f.lzo")
    with pytest.raises(
        QueryError, match=r"HIVE_CANNOT_OPEN_SPLIT: Error opening Hive split s3://.*/f\.lzo: LZO"
    ):
        rows("select * from t")
