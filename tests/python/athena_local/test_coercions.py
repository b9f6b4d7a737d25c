"""What Trino coerces in silence: values stored in columns of another type, text with a zone, arrays and elements."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from athena_local.errors import QueryError

Rows = Callable[..., list[tuple[Any, ...]]]
Execute = Callable[..., Any]
T = datetime.datetime
UTC = datetime.UTC
KINDS = ["hive", "iceberg"]


def create(execute: Execute, lake: str, kind: str, columns: str) -> None:
    if kind == "iceberg":
        where = f"location '{lake}t/' tblproperties ('table_type' = 'ICEBERG')"
        execute(f"create table t ({columns}) {where}")
    else:
        execute(f"create external table t ({columns}) stored as parquet location '{lake}t/'")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("declared", "value", "stored"),
    [
        ("int", "decimal '7'", 7),
        ("int", "2.5e0", 3),
        ("int", "bigint '8'", 8),
        ("timestamp", "timestamp '2020-01-04 00:00:00-0'", T(2020, 1, 4)),
        ("timestamp", "timestamp '2020-01-04 01:02:03.456 UTC'", T(2020, 1, 4, 1, 2, 3, 456000)),
        ("timestamp", "date '2020-01-04'", T(2020, 1, 4)),
        ("date", "timestamp '2020-01-04 23:00:00'", datetime.date(2020, 1, 4)),
        ("decimal(5,2)", "3", Decimal("3.00")),
    ],
)
def test_insert_value_with_a_common_type_is_stored(
    execute: Execute, rows: Rows, lake: str, kind: str, declared: str, value: str, stored: Any
) -> None:
    create(execute, lake, kind, f"a {declared}")
    execute(f"insert into t values ({value})")
    assert rows("select a from t") == [(stored,)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("declared", "value"),
    [("int", "'1'"), ("string", "1"), ("date", "'2020-01-01'"), ("timestamp", "1"), ("boolean", "1")],
)
def test_insert_value_of_another_family_is_refused(
    execute: Execute, lake: str, kind: str, declared: str, value: str
) -> None:
    create(execute, lake, kind, f"a {declared}")
    with pytest.raises(QueryError, match=r"TYPE_MISMATCH: .*Insert query has mismatched column types"):
        execute(f"insert into t values ({value})")


def test_insert_value_out_of_the_columns_range_fails(execute: Execute, lake: str) -> None:
    create(execute, lake, "hive", "a int")
    with pytest.raises(QueryError, match=r"NUMERIC_VALUE_OUT_OF_RANGE|INVALID_CAST_ARGUMENT"):
        execute("insert into t values (3000000000)")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("array[1, 2] || 3", [1, 2, 3]),
        ("0 || array[1, 2]", [0, 1, 2]),
        ("array[1] || array[2] || 3", [1, 2, 3]),
        ("array['a'] || 'b'", ["a", "b"]),
        ("array[array[1]] || array[2]", [[1], [2]]),
        ("to_milliseconds(date '2025-01-03' - date '2025-01-01')", 172_800_000),
        ("to_milliseconds(interval '1' second)", 1000),
        ("cast('2001-01-22 03:04:05.321 +07:09' as timestamp)", T(2001, 1, 22, 3, 4, 5, 321000)),
        ("cast('2026-11-18 14:01:47-0' as timestamp)", T(2026, 11, 18, 14, 1, 47)),
        ("timestamp '2024-07-05 12:34:56.789 -00:30'", T(2024, 7, 5, 13, 4, 56, 789000, UTC)),
        ("timestamp '2024-07-05 12:34:56 +2'", T(2024, 7, 5, 10, 34, 56, 0, UTC)),
        ("timestamp '2024-07-05 12:34:56 UTC'", T(2024, 7, 5, 12, 34, 56, 0, UTC)),
        ("try_cast('2024-07-05 12:34:56 nowhere/at all' as timestamp)", None),
        ("x'68 65 6C'", b"hel"),
        ("json '[1, 2]' is null", False),
        ("json_format(json '[1,2]')", "[1,2]"),
    ],
)
def test_select_expression_has_trinos_value(rows: Rows, expression: str, value: Any) -> None:
    assert rows(f"select {expression}") == [(value,)]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select array[1] || 'a'", "FUNCTION_NOT_FOUND: .*array.integer., varchar.1.. for function concat"),
        ("select array[1] || array['a']", "FUNCTION_NOT_FOUND"),
        ("select 'a' || 1", "FUNCTION_NOT_FOUND"),
        ("select to_milliseconds(1)", "FUNCTION_NOT_FOUND"),
        ("select x'6 8 6'", "SYNTAX_ERROR: line 1:8: Binary literal must contain an even number"),
        ("select x'zz'", "SYNTAX_ERROR: line 1:8: Binary literal can only contain hexadecimal"),
        ("select * from table(sequence(start => 0))", "MISSING_ARGUMENT: .*STOP"),
        ("select * from table(sequence(0, stop => 3))", "INVALID_ARGUMENTS: .*by name or all"),
        ("select * from table(sequence(until => 3))", "INVALID_ARGUMENTS: .*Unexpected argument name: UNTIL"),
        (
            "select * from table(sequence(0, 3, -1))",
            r"INVALID_FUNCTION_ARGUMENT: Step must be positive .*\[0, 3\]",
        ),
        ("select * from table(sequence(0, 'x'))", "TYPE_MISMATCH"),
        (
            "select * from table(read_csv('x'))",
            "FUNCTION_NOT_FOUND: .*Table function 'read_csv' not registered",
        ),
        (
            "select nope from table(sequence(start => 0, stop => 9))",
            "COLUMN_NOT_FOUND: line 1:8: Column 'nope'",
        ),
    ],
)
def test_select_that_trino_refuses_is_refused(rows: Rows, sql: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        rows(sql)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("sequence(start => 0, stop => 2)", [0, 1, 2]),
        ("sequence(stop => 1)", [0, 1]),
        ("sequence(3, 1, -1)", [1, 2, 3]),
        ("sequence(stop => 9, step => 4, start => 1)", [1, 5, 9]),
    ],
)
def test_select_sequence_table_function_gives_its_numbers(rows: Rows, call: str, expected: list[int]) -> None:
    assert sorted(rows(f"select sequential_number from table({call})")) == [(n,) for n in expected]
    assert sorted(rows(f"select t.x from table({call}) t(x)")) == [(n,) for n in expected]
