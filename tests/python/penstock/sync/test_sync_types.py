"""Arrays, vectors and jsonb against Postgres itself, and whole syncs of every type the lake has."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.connections import Connections
from penstock.errors import SyncError, ValueRefusedError
from penstock.sync.arrow import promoted
from penstock.sync.checksum import row_hashes, total
from penstock.sync.columns import Column, SqlType, default_type
from penstock.sync.convert import convert
from penstock.sync.declaration import Declaration
from penstock.sync.run import sync
from penstock.sync.values import Values

Copied = Callable[[psycopg.Connection[Any], list[Values]], tuple[int, int]]

_TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=12)
_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
_DECIMAL = st.integers(-(10**12), 10**12).map(lambda n: Decimal(f"{n}e-3"))

# element type, its Arrow type, values
_ELEMENTS: dict[str, tuple[SqlType, pa.DataType, st.SearchStrategy[Any]]] = {
    "bool": (SqlType("bool"), pa.bool_(), st.booleans()),
    "int4": (SqlType("int4"), pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    "int8": (SqlType("int8"), pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "float4": (SqlType("float4"), pa.float32(), st.floats(width=32)),
    "float8": (SqlType("float8"), pa.float64(), st.floats()),
    "text": (SqlType("text"), pa.string(), _TEXT),
    "varchar": (SqlType("text", length=12), pa.string(), _TEXT),
    "date": (SqlType("date"), pa.date32(), st.dates()),
    "time": (SqlType("time"), pa.time64("us"), st.times()),
    "timestamp": (SqlType("timestamp"), pa.timestamp("us"), st.datetimes()),
    "uuid": (SqlType("uuid"), pa.binary(16), st.uuids().map(lambda found: found.bytes)),
    "bytea": (SqlType("bytea"), pa.binary(), st.binary(max_size=9)),
    "numeric": (SqlType("numeric", 12, 3), pa.decimal128(12, 3), _DECIMAL.map(lambda n: n % 10**8)),
    "wide": (SqlType("numeric", 38, 3), pa.decimal128(38, 3), _DECIMAL),
}
_LISTS = st.lists(
    st.fixed_dictionaries(
        {
            name: st.none() | st.lists(st.none() | strategy, max_size=4)
            for name, (_, _, strategy) in _ELEMENTS.items()
        }
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.stack
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=_LISTS)
def test_arrays_arrive_and_checksum_alike(
    stack_without_athena: Connections, copied: Copied, rows: list[dict[str, Any]]
) -> None:
    values = []
    for number, (name, (element, arrow, _)) in enumerate(_ELEMENTS.items()):
        kind = SqlType(element.kind, element.precision, element.scale, element.length, array=True)
        array = pa.array([row[name] for row in rows], pa.list_(arrow))
        values.append(convert(Column(name, number, "list", kind, False), array))
    with psycopg.connect(stack_without_athena.database_url) as connection:
        connection.execute("set timezone = 'UTC'")
        assert copied(connection, values) == (len(rows), total(row_hashes(values)))
        arrived = connection.execute("select * from t", binary=True).fetchall()
    for row, back in zip(rows, arrived, strict=True):
        for name, found in zip(_ELEMENTS, back, strict=True):
            expected = row[name]
            if name == "uuid" and found is not None:
                found = [item and item.bytes for item in found]
            assert (found is None) == (expected is None)
            for one, other in zip(found or [], expected or [], strict=True):
                assert one == other or (one != one and other != other)


@pytest.mark.stack
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    rows=st.lists(
        st.none() | st.lists(st.floats(-1e30, 1e30), min_size=5, max_size=5), min_size=1, max_size=30
    )
)
def test_vectors_arrive_and_checksum_alike(
    stack_without_athena: Connections, copied: Copied, rows: list[list[float] | None]
) -> None:
    column = Column("v", 1, "list", SqlType("vector", length=5), False)
    values = [convert(column, pa.array(rows, pa.list_(pa.float64())))]
    with psycopg.connect(stack_without_athena.database_url) as connection:
        connection.execute("create extension if not exists vector")
        assert copied(connection, values) == (len(rows), total(row_hashes(values)))
        arrived = connection.execute("select v::real[] from t", binary=True).fetchall()
    assert [row[0] for row in arrived] == [
        None if row is None else [float(np.float32(number)) for number in row] for row in rows
    ]


_STRUCT = pa.struct(
    [
        ("a", pa.int64()),
        ("longer name", pa.string()),
        ("é", pa.float64()),
        ("B", pa.float32()),
        ("n", pa.decimal128(20, 4)),
        ("m", pa.map_(pa.string(), pa.list_(pa.bool_()))),
        ("s", pa.struct([("x", pa.date32()), ("y", pa.binary())])),
        ("ids", pa.map_(pa.int32(), pa.timestamp("us"))),
    ]
)
_VALUES = st.fixed_dictionaries(
    {
        "a": st.none() | st.integers(-(2**63), 2**63 - 1),
        "longer name": st.none() | _TEXT,
        "é": st.none() | _FLOATS,
        "B": st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False),
        "n": st.none() | st.integers(-(10**15), 10**15).map(lambda n: Decimal(f"{n}e-4")),
        "m": st.none() | st.dictionaries(_TEXT, st.lists(st.none() | st.booleans(), max_size=3), max_size=4),
        "s": st.none() | st.fixed_dictionaries({"x": st.dates(), "y": st.binary(max_size=4)}),
        "ids": st.none() | st.dictionaries(st.integers(0, 99), st.datetimes(), max_size=3),
    }
)


@pytest.mark.stack
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=st.lists(st.none() | _VALUES, min_size=1, max_size=10))
def test_structs_and_maps_arrive_as_jsonb_and_checksum_alike(
    stack_without_athena: Connections, copied: Copied, rows: list[dict[str, Any] | None]
) -> None:
    def entries(row: dict[str, Any] | None) -> dict[str, Any] | None:
        lists = {"m", "ids"}
        return row and {
            key: list(value.items()) if key in lists and value is not None else value
            for key, value in row.items()
        }

    array = pa.array([entries(row) for row in rows], _STRUCT)
    values = [convert(Column("j", 1, "struct", SqlType("jsonb"), False), array)]
    with psycopg.connect(stack_without_athena.database_url) as connection:
        assert copied(connection, values) == (len(rows), total(row_hashes(values)))
        arrived = [row[0] for row in connection.execute("select j from t").fetchall()]
    for row, back in zip(rows, arrived, strict=True):
        assert (row is None) == (back is None)
        if row is None:
            continue
        assert (back["a"], back["longer name"], back["m"]) == (row["a"], row["longer name"], row["m"])
        assert (back["é"] is None) == (row["é"] is None)
        assert float(back["é"] or 0) == (row["é"] or 0)
        assert back["s"] == (row["s"] and {"x": row["s"]["x"].isoformat(), "y": "\\x" + row["s"]["y"].hex()})
        assert set(back["ids"] or {}) == {str(key) for key in row["ids"] or {}}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _FLOATS | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.stack
@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=st.lists(st.none() | _JSON.map(json.dumps), min_size=1, max_size=12))
def test_text_that_is_json_arrives_as_jsonb_and_checksums_alike(
    stack_without_athena: Connections, copied: Copied, rows: list[str | None]
) -> None:
    odd = [
        '{"b": 1.50, "a": 1E5, "a": -0.0, "cc": 1.20e-3}',
        '"\\u00e9\\ud83d\\ude00\\u001f/\\/"',
        " [ ] ",
        "1e400",
    ]
    array = pa.array([*rows, *odd]).dictionary_encode()
    values = [convert(Column("j", 1, "string", SqlType("jsonb"), False), array)]
    with psycopg.connect(stack_without_athena.database_url) as connection:
        assert copied(connection, values) == (len(array), total(row_hashes(values)))
        connection.execute("create temporary table source (n serial, x text)")
        with connection.cursor() as cursor:
            cursor.executemany("insert into source (x) values (%s)", [[row] for row in array.to_pylist()])
        wrong = connection.execute(
            "select * from (select row_number() over (order by ctid) as n, j from t) as t join source using (n)"
            " where j is distinct from x::jsonb"
        ).fetchall()
    assert wrong == []


_NAN, _INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("kind", "array", "said", "row"),
    [
        (
            SqlType("vector", length=2),
            pa.array([None, [1.0, 2.0], [1.0]]),
            "Column 'c': a list of 1 numbers does not fit vector(2).",
            2,
        ),
        (
            SqlType("vector", length=2),
            pa.array([None, [1.0, 2.0], [1.0, _NAN]]),
            "Column 'c': nan in a list does not fit vector(2).",
            2,
        ),
        (
            SqlType("vector", length=1),
            pa.array([[1e39]]),
            "Column 'c': 1e+39 in a list does not fit vector(1).",
            0,
        ),
        (
            SqlType("vector", length=2),
            pa.array([None, [1.0, None]]),
            "Column 'c': a null in a list does not fit vector(2).",
            1,
        ),
        (
            SqlType("text", length=2, array=True),
            pa.array([[], ["a"], None, ["b", "abc"]]),
            "Column 'c': 'abc' does not fit character varying(2).",
            3,
        ),
        (
            SqlType("jsonb"),
            pa.array([{"a": 1.0}, {"a": _INF}]),
            "Column 'c': \"{'a': inf}\" cannot be jsonb: inf is no JSON number.",
            1,
        ),
        (
            SqlType("jsonb"),
            pa.array(["{}", "{'a': 1}"]),
            "Column 'c': \"{'a': 1}\" cannot be jsonb: Expecting property name enclosed in double quotes:"
            " line 1 column 2 (char 1).",
            1,
        ),
        (
            SqlType("jsonb"),
            pa.array(["NaN"]),
            "Column 'c': 'NaN' cannot be jsonb: NaN is no JSON number.",
            0,
        ),
        (
            SqlType("jsonb"),
            pa.array(['"\\u0000"']),
            "Column 'c': '\"\\\\u0000\"' cannot be jsonb: it holds a NUL character.",
            0,
        ),
        (
            SqlType("jsonb"),
            pa.array(['"\\ud800"']),
            "Column 'c': '\"\\\\ud800\"' cannot be jsonb: it holds half of a surrogate pair.",
            0,
        ),
        (
            SqlType("text"),
            pa.array(["a", "b\0c"]),
            "Column 'c': 'b\\0c' holds a NUL character, which Postgres cannot.",
            1,
        ),
        (
            SqlType("text"),
            pa.array([b"a", b"\xff"]).view(pa.string()),
            "Column 'c': '\\xff' is no UTF-8.",
            1,
        ),
        (
            SqlType("date"),
            pa.array([0, -3_000_000], pa.int32()).view(pa.date32()),
            "Column 'c': -6244-04-12 does not fit date.",
            1,
        ),
        (
            SqlType("date"),
            pa.array([0, 2**31 - 1], pa.int32()).view(pa.date32()),
            "Column 'c': 5881580-07-11 does not fit date.",
            1,
        ),
        (
            SqlType("timestamp"),
            pa.array([0, -(2**63) + 1], pa.int64()).view(pa.timestamp("us")),
            "Column 'c': -290308-12-21T19:59:05.224193 does not fit timestamp without time zone.",
            1,
        ),
        (
            SqlType("numeric", 38, 2),
            pa.array([Decimal(1), Decimal(10) ** 37], pa.decimal128(38, 0)),
            "Column 'c': 10000000000000000000000000000000000000 does not fit numeric(38,2).",
            1,
        ),
    ],
)
def test_values_that_postgres_cannot_hold_are_refused_with_their_row(
    kind: SqlType, array: pa.Array, said: str, row: int
) -> None:
    with pytest.raises(ValueRefusedError) as caught:
        convert(Column("c", 1, "any", kind, False), array)
    assert (caught.value.message, caught.value.row) == (said, row)


@pytest.mark.stack
def test_dates_and_timestamps_at_the_ends_of_postgres_range_arrive(
    stack_without_athena: Connections, copied: Copied
) -> None:
    days = (
        pa.array([10_957 - 2_451_545, 10_957 + 2_145_031_948], pa.int64()).cast(pa.int32()).view(pa.date32())
    )
    micros = pa.array([946_684_800_000_000 - 211_813_488_000_000_000, 2**63 - 1], pa.int64())
    values = [
        convert(Column("d", 1, "date", SqlType("date"), False), days),
        convert(Column("t", 2, "timestamp", SqlType("timestamp"), False), micros.view(pa.timestamp("us"))),
    ]
    with psycopg.connect(stack_without_athena.database_url) as connection:
        assert copied(connection, values) == (2, total(row_hashes(values)))
        assert connection.execute("select d::text, t::text from t").fetchall() == [
            ("4714-11-24 BC", "4714-11-24 00:00:00 BC"),
            ("5874897-12-31", "294247-01-10 04:00:54.775807"),
        ]


@pytest.mark.stack
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(stamps=st.lists(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), min_size=1, max_size=50))
def test_timestamps_of_fewer_digits_round_as_postgres_does(
    stack_without_athena: Connections, copied: Copied, stamps: list[datetime]
) -> None:
    array = pa.array(stamps, pa.timestamp("us"))
    values = [
        convert(Column("raw", 1, "timestamp", SqlType("timestamp"), False), array),
        convert(Column("three", 1, "timestamp", SqlType("timestamp", precision=3), False), array),
    ]
    with psycopg.connect(stack_without_athena.database_url) as connection:
        assert copied(connection, values) == (len(stamps), total(row_hashes(values)))
        wrong = connection.execute("select * from t where three <> raw::timestamp(3)").fetchall()
    assert wrong == []


# -- whole syncs ---------------------------------------------------------------------------------------------------------

_POINT = {
    "type": "struct",
    "fields": [
        {"id": 101, "name": "lat", "required": False, "type": "double"},
        {"id": 102, "name": "lon", "required": False, "type": "float"},
    ],
}
_TAGS = {"type": "list", "element-id": 103, "element": "string", "element-required": False}
_EMBEDDING = {"type": "list", "element-id": 104, "element": "float", "element-required": False}
_ATTRIBUTES = {
    "type": "map",
    "key-id": 105,
    "key": "string",
    "value-id": 106,
    "value": "int",
    "value-required": False,
}
_PATH = {"type": "list", "element-id": 107, "element": {**_POINT}, "element-required": False}
FIELDS: list[tuple[str, Any]] = [
    ("n", "int"),
    ("big", "decimal(38,4)"),
    ("clock", "time"),
    ("made_at", "timestamp"),
    ("code", "uuid"),
    ("body", "binary"),
    ("tags", _TAGS),
    ("embedding", _EMBEDDING),
    ("point", _POINT),
    ("attributes", _ATTRIBUTES),
    ("path", _PATH),
    ("payload", "string"),
]


def made(n: int) -> dict[str, Any]:
    if n % 5 == 0:
        return {name: n if name == "n" else None for name, _ in FIELDS}
    return {
        "n": n,
        "big": Decimal(n) * 10**30,
        "clock": time(n % 24, 1, 2, 3),
        "made_at": datetime(2025, 1, 1, 0, 0, n % 60, 123_000),
        "code": uuid.UUID(int=n).bytes,
        "body": bytes([n % 256, 0, 255]),
        "tags": ["a", None, f"t{n}"],
        "embedding": [float(n), 0.5, -0.0],
        "point": {"lat": n / 3, "lon": 0.1},
        "attributes": [("k", n), ("bb", None)],
        "path": [{"lat": 1.0, "lon": None}, None],
        "payload": json.dumps({"n": n, "a": [1.5]}),
    }


@pytest.fixture
def declared_types(database: str) -> Declaration:
    return Declaration(
        model="fct_things",
        lake_database=database,
        lake_table="fct_things",
        table="things",
        key=("n",),
        columns={"embedding": "vector(3)", "payload": "jsonb", "made_at": "timestamp(3)"},
    )


@pytest.mark.stack
def test_sync_of_every_type_loads_and_merges_exactly(
    lake: Connections, database: str, declared_types: Declaration, lake_writer: Any
) -> None:
    writer = lake_writer(lake, database, "fct_things", FIELDS, None)
    first = writer.add([made(n) for n in range(1, 40)])
    writer.commit()
    (report,) = sync(lake, [declared_types])
    assert (report.mode, report.inserted) == ("load", 39)
    writer.add([made(n) | ({"tags": ["new"]} if n == 7 else {}) for n in range(1, 42)])
    writer.commit(remove=[first])
    (report,) = sync(lake, [declared_types])
    assert (report.inserted, report.updated, report.deleted) == (2, 1, 0)
    with psycopg.connect(lake.database_url) as connection:
        shape = connection.execute(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute"
            " where attrelid = 'things'::regclass and attnum > 1 and attnum < 14 order by attnum"
        ).fetchall()
        row = connection.execute(
            "select n, big, clock, made_at, code, body, tags, embedding::text, point, attributes, path, payload"
            " from things where n in (5, 7) order by n"
        ).fetchall()
    assert [kind for _, kind in shape] == [
        "integer",
        "numeric(38,4)",
        "time without time zone",
        "timestamp(3) without time zone",
        "uuid",
        "bytea",
        "text[]",
        "vector(3)",
        "jsonb",
        "jsonb",
        "jsonb",
        "jsonb",
    ]
    assert row[0] == (5, *[None] * 11)
    assert row[1] == (
        7,
        Decimal(7) * 10**30,
        time(7, 1, 2, 3),
        datetime(2025, 1, 1, 0, 0, 7, 123_000),
        uuid.UUID(int=7),
        b"\x07\x00\xff",
        ["new"],
        "[7,0.5,0]",
        {"lat": 7 / 3, "lon": 0.1},
        {"k": 7, "bb": None},
        [{"lat": 1.0, "lon": None}, None],
        {"n": 7, "a": [1.5]},
    )


@pytest.mark.stack
def test_sync_of_a_wrong_length_names_table_column_and_key(
    lake: Connections, database: str, declared_types: Declaration, lake_writer: Any
) -> None:
    writer = lake_writer(lake, database, "fct_things", FIELDS, None)
    writer.add([made(1), made(2) | {"embedding": [1.0]}])
    writer.commit()
    with pytest.raises(SyncError) as caught:
        sync(lake, [declared_types])
    assert (
        "Column 'embedding': a list of 1 numbers does not fit vector(3). Its row is n=2."
        in caught.value.message
    )
    with psycopg.connect(lake.database_url) as connection:
        assert connection.execute("select to_regclass('things')").fetchone() == (None,)


@pytest.mark.stack
def test_sync_of_a_struct_that_was_renamed_and_widened_reads_old_files(
    lake: Connections, database: str, lake_writer: Any
) -> None:
    writer = lake_writer(lake, database, "fct_things", [("n", "int"), ("point", _POINT)], None)
    writer.add([{"n": 1, "point": {"lat": 1.5, "lon": 2.5}}])
    fields = [
        _POINT["fields"][1] | {"name": "east", "type": "double"},
        {"id": 120, "name": "new", "type": _TAGS},
    ]
    writer._fields[1]["type"] = {"type": "struct", "fields": fields}
    writer.evolve()
    writer.add([{"n": 2, "point": {"east": 0.1, "new": ["x"]}}])
    writer.commit()
    sync(lake, [Declaration("m", database, "fct_things", "things", ("n",))])
    with psycopg.connect(lake.database_url) as connection:
        rows = connection.execute("select point from things order by n").fetchall()
    assert [row[0] for row in rows] == [{"east": 2.5, "new": None}, {"east": 0.1, "new": ["x"]}]


def test_default_type_of_nested_lake_types() -> None:
    assert default_type(_TAGS, "").sql == "text[]"
    assert default_type(_EMBEDDING, "").sql == "real[]"
    assert {default_type(kind, "").sql for kind in (_POINT, _ATTRIBUTES, _PATH)} == {"jsonb"}


def test_promoted_maps_keep_their_rows_when_sliced_and_filtered() -> None:
    kind = pa.map_(pa.string(), pa.int32())
    array = pa.array([[("a", 1)], None, [], [("b", 2), ("c", None)], [("d", 4)]], kind)
    column = Column("m", 1, "map", SqlType("jsonb"), False, nested=_ATTRIBUTES)
    for part in (
        array,
        array.slice(1),
        array.slice(2, 2),
        array.filter(pa.array([False, True, False, True, True])),
    ):
        assert promoted(column, pa.field("m", kind), part).to_pylist() == part.to_pylist()
