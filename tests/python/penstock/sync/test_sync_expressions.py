"""Expressions: what the client computes is what Postgres computes on the same rows, and the rest is refused by name."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from penstock.connections import Connections
from penstock.errors import PlanError, ValueRefusedError
from penstock.sync.arrow import values_of
from penstock.sync.columns import Column, resolve
from penstock.sync.encode import SIGNATURE, TRAILER, encode
from penstock.sync.expressions import evaluate

FIELDS: dict[str, tuple[str, pa.DataType]] = {
    "i": ("int", pa.int32()),
    "j": ("int", pa.int32()),
    "b": ("long", pa.int64()),
    "n": ("decimal(12,3)", pa.decimal128(12, 3)),
    "m": ("decimal(9,1)", pa.decimal128(9, 1)),
    "w": ("decimal(30,6)", pa.decimal128(30, 6)),
    "r": ("float", pa.float32()),
    "f": ("double", pa.float64()),
    "g": ("double", pa.float64()),
    "s": ("string", pa.string()),
    "u": ("string", pa.string()),
    "o": ("boolean", pa.bool_()),
    "p": ("boolean", pa.bool_()),
    "d": ("date", pa.date32()),
    "e": ("date", pa.date32()),
    "t": ("timestamp", pa.timestamp("us")),
    "z": ("timestamptz", pa.timestamp("us", "UTC")),
}
_LAKE = [{"id": i, "name": name, "type": kind} for i, (name, (kind, _)) in enumerate(FIELDS.items(), 1)]

_INT = st.integers(-5, 5) | st.integers(-(2**31), 2**31 - 1) | st.sampled_from([2**31 - 1, -(2**31)])
_FLOAT = (
    st.floats(width=64)
    | st.integers(-1000, 1000).map(float)
    | st.sampled_from([0.5, 1.5, 2.5, -2.5, 1.005, 2.675, 0.125, -0.0, 1e15, 123456789.5, 0.1 + 0.2])
)
_WORDS = st.sampled_from(
    [
        "",
        " ",
        "  a b ",
        "xyxab",
        "ß",
        "Straße",
        "ÀÉ",
        "İI",
        "ab",
        "é\u0301",
        "🤦🏼‍♂️z",
        "\u00a0a\t",
        "12",
        "TRUE",
        "aXbX",
    ]
)
_TEXT = _WORDS | st.text(
    st.characters(exclude_characters="\0", codec="utf-8", max_codepoint=0x2FF), max_size=8
)
_DAY = st.dates(date(1, 1, 1), date(9999, 12, 31))
_STAMP = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)) | st.datetimes(
    datetime(2024, 12, 28), datetime(2025, 1, 5)
)


def _decimal(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    bound = 10**precision - 1
    return (st.integers(-bound, bound) | st.integers(-3000, 3000)).map(lambda n: Decimal(f"{n}e-{scale}"))


_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "i": _INT,
    "j": _INT,
    "b": _INT | st.integers(-(2**63), 2**63 - 1),
    "n": _decimal(12, 3),
    "m": _decimal(9, 1),
    "w": _decimal(30, 6),
    "r": st.floats(width=32) | st.sampled_from([0.5, 1.5, 2.5]),
    "f": _FLOAT,
    "g": _FLOAT,
    "s": _TEXT,
    "u": _TEXT,
    "o": st.booleans(),
    "p": st.booleans(),
    "d": _DAY,
    "e": _DAY,
    "t": _STAMP,
    "z": _STAMP.map(lambda stamp: stamp.replace(tzinfo=UTC)),
}

EXPRESSIONS = [
    # text
    "upper(s)",
    "lower(s)",
    "trim(s)",
    "ltrim(s)",
    "rtrim(s, 'xy')",
    "trim(both 'xa ' from s)",
    "trim(leading from s)",
    "btrim(s, u)",
    "upper(trim(s))",
    "substring(s from 2 for 3)",
    "substring(s, 2)",
    "substring(s from -1 for 3)",
    "substring(s from 0)",
    "substr(s, i, j)",
    "substring(s, i)",
    "replace(s, 'a', 'zz')",
    "replace(s, u, 'q')",
    "replace(s, '', 'q')",
    "s || '-' || u",
    "concat(s, null, u, '!')",
    "coalesce(s, u, 'none')",
    "nullif(trim(s), '')",
    "'it''s \\ ' || s",
    "s::varchar(2)",
    "cast(s as varchar(3)) || u",
    # numbers
    "i + j",
    "i - j",
    "i * j",
    "i / j",
    "i % j",
    "i + b",
    "b / i",
    "b % j",
    "-i",
    "abs(i)",
    "abs(b)",
    "n + m",
    "n - m",
    "n * m",
    "n + i",
    "n * 1.5",
    "-n",
    "abs(n)",
    "round(n)",
    "round(n, 2)",
    "round(n, 1)",
    "round(n * 1.25, 2)",
    "round(w, 3)",
    "n::int",
    "n::bigint",
    "w::bigint",
    "n::decimal(8,1)",
    "n::decimal(20,6)",
    "w::double precision",
    "n::real",
    "i::decimal(12,2)",
    "i::double precision",
    "b::double precision",
    "b::real",
    "b::int",
    "f + g",
    "f - g",
    "f * g",
    "f / g",
    "f * i",
    "f + n",
    "r + r",
    "r * r",
    "abs(f)",
    "-f",
    "round(f)",
    "round(i)",
    "f::int",
    "f::bigint",
    "r::int",
    "f::real",
    "r::double precision",
    "f::decimal(10,2)",
    "f::numeric(18,6)",
    "f::numeric(38,10)",
    "round(f::numeric(18,4), 1)",
    "r::numeric(12,3)",
    "i = j",
    "i <> b",
    "i < n",
    "n >= m",
    "f > g",
    "f = g",
    "f <= i",
    "w < f",
    "i between -2 and j",
    "i in (1, 2, null)",
    "i not in (1, 2)",
    "n in (1, 2.5)",
    "coalesce(i, 0)",
    "coalesce(i, b)",
    "coalesce(n, m, 0)",
    "coalesce(f, 0)",
    "nullif(i, 0)",
    "nullif(n, 0)",
    "nullif(f, g)",
    "i is distinct from j",
    "f is not distinct from g",
    # conditions
    "o and p",
    "o or p",
    "not o",
    "o is true",
    "o is not false",
    "o = p",
    "o < p",
    "case when i > 0 then 'plus' when i < 0 then 'minus' end",
    "case i when 1 then 'one' when j then 'j' else s end",
    "case when o then i else n end",
    "case when o then n when p then f else 1 end",
    "case when i <> 0 then j / i else 0 end",
    "s = u",
    "s <> 'ab'",
    "s in ('ab', u)",
    "s is null",
    "not (s = u) and i is not null",
    "(i = j) is null",
    "o::int",
    "i::boolean",
    # dates
    "d::timestamp",
    "t::date",
    "z::timestamp",
    "z::date",
    "t::timestamptz",
    "d::timestamptz",
    "d = e",
    "d < e",
    "d <= t",
    "t > timestamp '2025-01-01 00:00:00'",
    "d between date '2024-02-29' and e",
    "coalesce(d, e)",
    "coalesce(t, d)",
    "nullif(d, date '2025-01-01')",
    *(
        f"date_trunc('{unit}', t)"
        for unit in ("year", "quarter", "month", "week", "day", "hour", "minute", "second")
    ),
    "date_trunc('month', d::timestamp)::date",
    "date_trunc('week', z)",
    *(
        f"extract({part} from {name})"
        for part in ("year", "quarter", "month", "week", "day", "dow", "doy", "isodow", "isoyear")
        for name in "dtz"
    ),
    "extract(hour from t)",
    "extract(minute from z)",
    "extract(year from d)::int * 100 + extract(month from d)::int",
    # as text
    "i::text || ':' || b::text",
    "n::text",
    "round(n, 1)::text",
    "(n * m)::text",
    "(n + m)::text",
    "o::text",
    "d::text",
    "t::text",
    "substring(d::text, 1, 7)",
    "n::varchar(3)",
]
_PARSED = {  # expression, and texts that Postgres reads too
    "s::int": st.from_regex(r"\A *[+-]?[0-9]{1,11} *\Z") | _TEXT,
    "s::bigint": st.from_regex(r"\A *[+-]?[0-9]{1,20} *\Z"),
    "s::numeric(12,3)": st.from_regex(r"\A *[+-]?([0-9]{1,10}(\.[0-9]{0,8})?|\.[0-9]{1,5}) *\Z"),
    "s::double precision": st.from_regex(r"\A *[+-]?[0-9]{1,18}(\.[0-9]{0,18})?([eE][+-]?[0-9]{1,3})? *\Z"),
    "s::real": st.from_regex(r"\A *[+-]?[0-9]{1,9}(\.[0-9]{0,9})?([eE][+-]?[0-9]{1,2})? *\Z"),
    "s::date": st.from_regex(r"\A *[0-9]{4}-[01][0-9]-[0-3][0-9] *\Z") | _DAY.map(date.isoformat),
    "s::timestamp": st.from_regex(
        r"\A2[0-9]{3}-0[1-9]-[0-2][0-9]( [0-2][0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?)?\Z"
    ),
    "s::boolean": st.sampled_from([" t", "YES ", "off", "of", "0", "1", "tru", "n", "nO", "True"]),
}


def batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    schema = pa.schema(
        [
            pa.field(name, kind, metadata={b"PARQUET:field_id": str(i).encode()})
            for i, (name, (_, kind)) in enumerate(FIELDS.items(), 1)
        ]
    )
    return pa.RecordBatch.from_pylist(rows, schema=schema)


@cache
def compiled(expression: str) -> Column:
    columns = resolve(_LAKE, {}, (), "m", expressions={"x": expression})
    return next(column for column in columns if column.name == "x")


def computed(expression: str, rows: list[dict[str, Any]]) -> list[Any]:
    """Return the client's values of an expression."""
    arrays = dict(enumerate(batch(rows).columns, 1))
    return evaluate([compiled(expression)], arrays)["x"].to_pylist()


def of_postgres(connection: psycopg.Connection[Any], rows: list[dict[str, Any]]) -> None:
    columns = resolve(_LAKE, {}, (), "m")
    connection.execute("set timezone = 'UTC'")
    connection.execute("drop table if exists r")
    lines = ", ".join(f'"{column.name}" {column.sql}' for column in columns)
    connection.execute(f"create temporary table r ({lines}, row_number serial)".encode())
    names = ", ".join(f'"{column.name}"' for column in columns)
    with connection.cursor().copy(f"copy r ({names}) from stdin (format binary)".encode()) as target:
        for block in (SIGNATURE, *encode(values_of(columns, batch(rows))), TRAILER):
            target.write(block)


def asked(connection: psycopg.Connection[Any], expression: str, column: Column) -> list[Any] | str:
    """Return Postgres's values of the expression in the type that the client says it has, or its error."""
    assert column.result is not None
    statement = f"select ({expression})::{column.result.sql} from r order by row_number"
    try:
        with connection.transaction():
            return [row[0] for row in connection.execute(statement.encode(), binary=True).fetchall()]
    except psycopg.Error as error:
        return str(error)


def nan_of_decimals(value: Any) -> bool:
    return isinstance(value, Decimal) and value.is_nan()


def same(one: Any, other: Any) -> bool:
    return one == other or (one != one and other != other)


def test_a_product_of_two_narrow_decimals_may_be_wide() -> None:
    row = dict.fromkeys(_VALUES) | {"n": Decimal("999999999.999"), "m": Decimal("-244649.2")}
    assert computed("n * m", [row]) == [Decimal("-244649199999755.3508")]
    assert computed("m * n", [row]) == [Decimal("-244649199999755.3508")]


@pytest.mark.stack
@settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # shrinking rows of so many columns takes longer than a test may
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    rows=st.lists(
        st.fixed_dictionaries({name: st.none() | strategy for name, strategy in _VALUES.items()}),
        min_size=1,
        max_size=6,
    )
)
def test_expressions_yield_what_postgres_yields(
    stack_without_athena: Connections, rows: list[dict[str, Any]]
) -> None:
    wrong = []
    with psycopg.connect(stack_without_athena.database_url) as connection:
        of_postgres(connection, rows)
        for expression in EXPRESSIONS:
            expected = asked(connection, expression, compiled(expression))
            try:
                found: Any = computed(expression, rows)
            except ValueRefusedError as error:
                found = error.message
            if isinstance(found, str) and isinstance(expected, list) and any(map(nan_of_decimals, expected)):
                continue  # a decimal that is no number is refused, whether a lake column's or an expression's
            if isinstance(expected, str) or isinstance(found, str):
                if type(expected) is not type(found):
                    wrong.append((expression, expected, found))
            elif not all(map(same, expected, found)):
                wrong.append((expression, expected, found))
    assert wrong == []


@pytest.mark.stack
@pytest.mark.parametrize("expression", _PARSED)
def test_expressions_of_text_read_it_as_postgres_or_refuse_it(
    stack_without_athena: Connections, expression: str
) -> None:
    with psycopg.connect(stack_without_athena.database_url) as connection:
        connection.execute("set timezone = 'UTC'")

        @settings(max_examples=80, deadline=None)
        @given(text=_PARSED[expression])
        def check(text: str) -> None:
            statement = f"select (x.s::{expression.split('::')[1]}) from (select %s::text as s) as x"
            try:
                with connection.transaction():
                    row = connection.execute(statement.encode(), [text], binary=True).fetchone()
            except psycopg.Error:
                row = None
            try:
                found = computed(expression, [{"s": text}])
            except ValueRefusedError:
                return  # stricter than Postgres is never wrong
            assert row is not None
            assert found == [row[0]]

        check()


def test_expressions_read_plain_texts() -> None:
    for expression, text, expected in [
        ("s::int", " +12 ", 12),
        ("s::numeric(12,3)", "-1.0005", Decimal("-1.001")),
        ("s::double precision", "1e3", 1000.0),
        ("s::date", "2024-02-29", date(2024, 2, 29)),
        ("s::timestamp", "2024-02-29 23:59:59.5", datetime(2024, 2, 29, 23, 59, 59, 500_000)),
        ("s::boolean", "Yes", True),
    ]:
        assert computed(expression, [{"s": text}]) == [expected]


@pytest.mark.parametrize("expression", ["upper(trim(s))", "coalesce(s, 'none')", "s::int", "s is null"])
def test_expressions_over_words_equal_those_over_rows(expression: str) -> None:
    texts = ["1", " 2 ", None, "1", "+3", None, "1"] * 3
    column, number = compiled(expression), list(FIELDS).index("s") + 1
    words = pa.array([*texts, "no number"]).dictionary_encode().slice(0, len(texts))  # a word that no row has
    expected = evaluate([column], {number: pa.array(texts)})["x"]
    assert evaluate([column], {number: words})["x"].equals(expected)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("now()", "'CURRENT_TIMESTAMP' is not of the language of expressions"),
        ("random()", "'RANDOM()' is not of the language of expressions"),
        ("md5(s)", "'MD5(s)' is not of the language of expressions"),
        ("(select 1)", "is not of the language of expressions"),
        ("s; drop table x", "is not of the language of expressions"),
        ("s like 'a%'", "'s LIKE 'a%'' is not of the language of expressions"),
        ("x", "'x' is no column of the lake table"),
        ("1 + 2", "'1 + 2' reads no column of the lake table"),
        ("upper(i)", "upper takes text; 'i' is integer: cast it"),
        ("s || i", "|| takes text; 'i' is integer: cast it"),
        ("i + s", "+ takes numbers; 's' is none"),
        ("s < u", "text is compared by = and <> only: its order depends on the database's collation"),
        ("d > '2025-01-01'", "'>' of date and text needs a cast"),
        ("n / m", "'/' of decimals is not taken: cast one to double precision"),
        ("round(f, 2)", "round to places takes a decimal; cast the double to decimal(p,s)"),
        ("f::text", "cannot cast double precision to text"),
        ("coalesce(n, m)::text", "cannot cast a decimal of several scales to text"),
        ("w * w", "a result of 60 digits is too wide"),
        ("i = j = o", "within a comparison needs parentheses"),
        ("date_trunc('month', d)", "date_trunc takes a timestamp: cast a date"),
        ("extract(hour from d)", "of date, not hour"),
        ("s::interval", "cannot cast to INTERVAL"),
        ("i::date", "cannot cast integer to date"),
        ("upper(s", "is no SQL expression"),
        ("case when i then 1 end", "'i' is integer and stands for a condition"),
    ],
)
def test_expressions_outside_of_the_language_are_refused_by_name(expression: str, said: str) -> None:
    with pytest.raises(PlanError) as caught:
        resolve(_LAKE, {}, (), "fct_x", expressions={"x": expression})
    assert caught.value.message.startswith("fct_x: meta.sync.columns.x.expression: ")
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("expression", "rows", "said"),
    [
        ("i / j", [{"i": 1, "j": 1}, {"i": 7, "j": 0}], "division by zero"),
        ("s::int", [{"i": n, "s": str(n)} for n in range(99)] + [{"i": 7, "s": "1.5"}], "no integer: 1.5"),
        ("f::decimal(4,2)", [{"i": 7, "f": 1e9}], "1000000000"),
    ],
)
def test_expressions_that_cannot_be_computed_name_row_and_reason(
    expression: str, rows: list[dict[str, Any]], said: str
) -> None:
    columns = resolve(_LAKE, {}, ("i",), "m", expressions={"x": expression})
    rows = [{"i": 1} | row for row in rows]
    with pytest.raises(ValueRefusedError) as caught:
        values_of([column for column in columns if column.name in ("i", "x")], batch(rows), "lake part")
    message = caught.value.message
    assert message.startswith(f"lake part: Column 'x': {expression} cannot be computed: ")
    assert said in message
    assert message.endswith(" Its row is i=7.")
