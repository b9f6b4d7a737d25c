"""Converted values against Postgres itself: what is encoded arrives, and both sides compute one checksum."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.connections import Connections
from penstock.errors import SyncError
from penstock.sync.checksum import row_hashes, total
from penstock.sync.columns import Column, SqlType, quoted
from penstock.sync.convert import convert
from penstock.sync.encode import MAX_PADDED, encode
from penstock.sync.values import Values

_DAYS = st.dates(date(1900, 1, 1), date(2200, 1, 1))
_TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))
_TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=40)


def _decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    bound = 10**precision - 1
    numbers = st.one_of(
        st.integers(-bound, bound),
        st.integers(-min(99, bound), min(99, bound)),
        st.integers(0, precision - 1).map(lambda n: 10**n),
    )
    return numbers.map(lambda number: Decimal(f"{number}e-{scale}"))


Copied = Callable[[psycopg.Connection[Any], list[Values]], tuple[int, int]]
_KINDS: dict[str, tuple[SqlType, pa.DataType, st.SearchStrategy[Any]]] = {
    "boolean": (SqlType("bool"), pa.bool_(), st.booleans()),
    "int": (SqlType("int4"), pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    "long": (SqlType("int8"), pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "float": (SqlType("float4"), pa.float32(), st.floats(width=32)),
    "double": (SqlType("float8"), pa.float64(), st.floats()),
    "string": (SqlType("text"), pa.string(), _TEXT),
    "date": (SqlType("date"), pa.date32(), _DAYS),
    "timestamp": (SqlType("timestamp"), pa.timestamp("us"), _TIMES),
    "time": (SqlType("time"), pa.time64("us"), st.times()),
    "uuid": (SqlType("uuid"), pa.binary(16), st.uuids().map(lambda found: found.bytes)),
    "binary": (SqlType("bytea"), pa.binary(), st.binary(max_size=40)),
    "timestamptz": (
        SqlType("timestamptz"),
        pa.timestamp("us", "UTC"),
        _TIMES.map(lambda t: t.replace(tzinfo=UTC)),
    ),
}
_NARROW = ((1, 0), (4, 4), (9, 3), (10, 2), (12, 5), (18, 0), (18, 1), (18, 6), (18, 18))
_WIDE = ((19, 0), (20, 5), (22, 3), (25, 25), (37, 1), (38, 0), (38, 2), (38, 19), (38, 38))
for _p, _s in (*_NARROW, *_WIDE):
    _KINDS[f"decimal({_p},{_s})"] = (SqlType("numeric", _p, _s), pa.decimal128(_p, _s), _decimals(_p, _s))

_ROWS = st.lists(
    st.fixed_dictionaries(
        {name: st.one_of(st.none(), strategy) for name, (_, _, strategy) in _KINDS.items()}
    ),
    min_size=1,
    max_size=60,
)


@pytest.mark.stack
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=_ROWS)
def test_values_of_every_type_arrive_and_checksum_alike(
    stack_without_athena: Connections, copied: Copied, rows: list[dict[str, Any]]
) -> None:
    values = []
    for number, (name, (kind, arrow, _)) in enumerate(_KINDS.items()):
        array = pa.array([row[name] for row in rows], arrow)
        values.append(convert(Column(name, number, name, kind, False), array))
        if not array.null_count:
            values.append(convert(Column(f"{name} nn", number, name, kind, True), array))
    with psycopg.connect(stack_without_athena.database_url) as connection:
        connection.execute("set timezone = 'UTC'")
        assert copied(connection, values) == (len(rows), total(row_hashes(values)))
        names = ", ".join(quoted(name) for name in _KINDS)
        arrived = connection.execute(f"select {names} from t".encode(), binary=True).fetchall()
    for row, back in zip(rows, arrived, strict=True):
        for name, value in zip(_KINDS, back, strict=True):
            value = value.bytes if isinstance(value, UUID) else value
            assert value == row[name] or (value != value and row[name] != row[name])


@pytest.mark.stack
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    numbers=st.lists(
        st.one_of(
            st.floats(-99_999_999.99, 99_999_999.99),
            st.integers(-99_999_999_999, 99_999_999_999)
            .map(lambda n: n / 1000)
            .filter(lambda x: abs(x) < 99_999_999.99),
            st.integers(-(10**9), 10**9).map(lambda n: n / 1000),
            st.sampled_from([0.005, 1.005, 2.675, -0.005, 1.0049999999999999, 0.1 + 0.2, -0.0]),
        ),
        min_size=1,
        max_size=200,
    )
)
def test_values_double_to_decimal_rounds_as_postgres_does(
    stack_without_athena: Connections, copied: Copied, numbers: list[float]
) -> None:
    array = pa.array(numbers, pa.float64())
    values = [
        convert(Column("raw", 1, "double", SqlType("float8"), True), array),
        convert(Column("rounded", 2, "double", SqlType("numeric", 10, 2), True), array),
    ]
    with psycopg.connect(stack_without_athena.database_url) as connection:
        copied(connection, values)
        wrong = connection.execute(
            "select raw, rounded from t where rounded is distinct from raw::numeric(10,2)"
        ).fetchall()
    assert wrong == []


@pytest.mark.stack
def test_values_one_long_text_among_short_ones_stays_bounded(
    stack_without_athena: Connections, copied: Copied
) -> None:
    words = [f"a{i}" for i in range(30_000)] + ["b" * 200_000] + [None] * 10
    values = [convert(Column("w", 1, "string", SqlType("text"), False), pa.array(words))]
    with psycopg.connect(stack_without_athena.database_url) as connection:
        assert copied(connection, values) == (len(words), total(row_hashes(values)))
    assert max(len(block) for block in encode(values)) < MAX_PADDED


def test_checksum_tells_a_null_from_a_zero_and_a_swap_from_none() -> None:
    columns = [Column(name, i, "int", SqlType("int4"), False) for i, name in enumerate("ab")]

    def checksum(a: list[int | None], b: list[int | None]) -> int:
        pairs = zip(columns, (a, b), strict=True)
        return total(row_hashes([convert(column, pa.array(data, pa.int32())) for column, data in pairs]))

    sums = [
        checksum([0, 1], [2, 3]),
        checksum([None, 1], [2, 3]),
        checksum([0, 1], [3, 2]),
        checksum([2, 3], [0, 1]),
        checksum([0, 1, 1], [2, 3, 3]),
    ]
    assert len(set(sums)) == len(sums)
    assert checksum([1, 0], [3, 2]) == sums[0]  # the order of rows does not matter


@pytest.mark.parametrize(
    ("kind", "not_null", "array", "said"),
    [
        (
            SqlType("numeric", 4, 2),
            False,
            pa.array([1.0, 99.995]),
            "Column 'c': 100.00 does not fit numeric(4,2).",
        ),
        (
            SqlType("numeric", 4, 2),
            False,
            pa.array([float("nan")]),
            "Column 'c': nan does not fit numeric(4,2).",
        ),
        (
            SqlType("numeric", 4, 2),
            False,
            pa.array([float("inf")]),
            "Column 'c': inf does not fit numeric(4,2).",
        ),
        (SqlType("numeric", 4, 2), False, pa.array([1e300]), "Column 'c': 1e+300 does not fit numeric(4,2)."),
        (
            SqlType("numeric", 4, 2),
            False,
            pa.array([100], pa.int32()),
            "Column 'c': 100 does not fit numeric(4,2).",
        ),
        (
            SqlType("numeric", 18, 2),
            False,
            pa.array([Decimal(10) ** 20], pa.decimal128(38, 2)),
            "Column 'c': 100000000000000000000.00 does not fit numeric(18,2).",
        ),
        (
            SqlType("text", length=2),
            False,
            pa.array(["CA", "CAL"]),
            "Column 'c': 'CAL' does not fit character varying(2).",
        ),
        (
            SqlType("int4"),
            True,
            pa.array([1, None], pa.int32()),
            "Column 'c' is declared not null and the lake holds a null in it.",
        ),
    ],
)
def test_values_that_do_not_fit_are_refused_by_name(
    kind: SqlType, not_null: bool, array: pa.Array, said: str
) -> None:
    with pytest.raises(SyncError) as caught:
        convert(Column("c", 1, "any", kind, not_null), array)
    assert caught.value.message == said


def test_values_of_a_sliced_decimal_are_of_the_slice() -> None:
    array = pa.array([Decimal(n) for n in range(10)], pa.decimal128(10, 0)).slice(4, 3)
    values = convert(Column("c", 1, "decimal", SqlType("numeric", 12, 2), False), array)
    assert values.data.tolist() == [400, 500, 600]


def test_values_of_dates_before_2000_are_negative_days() -> None:
    values = convert(
        Column("c", 1, "date", SqlType("date"), False), pa.array([date(2000, 1, 1) - timedelta(1), None])
    )
    assert values.data.tolist() == [-1, 0]
