"""Expressions and query clauses, each beside the value Athena has for it."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from athena_local.errors import QueryError

Rows = Callable[..., list[tuple[Any, ...]]]
D = datetime.date
T = datetime.datetime


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("5 / 2", 2),
        ("-7 / 2", -3),
        ("5e0 / 2", 2.5),
        ("1 / 0e0", math.inf),
        ("7 % 3", 1),
        ("cast(10 as decimal(10,2)) / 3", Decimal("3.33")),
        ("cast(1.5 as integer)", 2),
        ("cast(2.5 as integer)", 3),
        ("try_cast('1.5' as integer)", None),
        ("try(1 / 0)", None),
        ("cast(timestamp '2025-01-02 03:04:05.678' as varchar)", "2025-01-02 03:04:05.678"),
        ("cast('abc' as varchar(2))", "ab"),
        ("date_add('month', 1, date '2025-01-31')", D(2025, 2, 28)),
        ("date_diff('month', date '2025-01-31', date '2025-02-28')", 1),
        ("date_diff('day', date '2025-01-01', date '2025-03-01')", 59),
        ("date_trunc('month', date '2025-05-17')", D(2025, 5, 1)),
        ("date_trunc('hour', timestamp '2025-05-17 10:11:12')", T(2025, 5, 17, 10)),
        ("date '2025-01-01' + interval '1' day", D(2025, 1, 2)),
        ("date_format(timestamp '2025-01-02 03:04:05', '%Y-%m-%d %H:%i:%s')", "2025-01-02 03:04:05"),
        ("date_parse('2025-01-02 03:04', '%Y-%m-%d %H:%i')", T(2025, 1, 2, 3, 4)),
        ("date_format(timestamp '2025-01-05 13:07:09', '%W %M %e %p')", "Sunday January 5 PM"),
        ("day_of_week(date '2025-01-05')", 7),
        ("'a' || 'b' || 'c'", "abc"),
        ("split_part('a,b', ',', 2)", "b"),
        ("regexp_replace('abc', '(b)', '[$1]')", "a[b]c"),
        ("regexp_extract('abc', '\\d+')", None),
        ("to_hex(md5(to_utf8('a')))", "0CC175B9C0F1B6A831C399E269772661"),
        ("json_extract_scalar('{\"a\": {\"b\": 5}}', '$.a.b')", "5"),
        ("json_extract_scalar('{\"a\": [1]}', '$.a')", None),
        ("json_extract_scalar('no json', '$.a')", None),
        ("array[10, 20][2]", 20),
        ("element_at(array[1], 5)", None),
        ("cardinality(array[1, 2])", 2),
        ("transform(array[1, 2], x -> x * 2)", [2, 4]),
        ("reduce(array[1, 2, 3], 0, (s, x) -> s + x, s -> s)", 6),
        ("array_join(array['a', null, 'b'], ',', '?')", "a,?,b"),
        ("element_at(map(array['a'], array[1]), 'z')", None),
        ("cast(row(1, 'x') as row(a integer, b varchar)).b", "x"),
        ("greatest(1, null)", None),
        ("coalesce(null, 1)", 1),
        ("if(1 > 2, 'a', 'b')", "b"),
        ("typeof(cast(1 as bigint) + 1)", "bigint"),
        ("to_iso8601(date '2025-01-01')", "2025-01-01"),
    ],
)
def test_select_expression_has_athenas_value(rows: Rows, expression: str, value: Any) -> None:
    assert rows(f"select {expression}") == [(value,)]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select x from (values 1, null, 2) t(x) order by x desc", [(2,), (1,), (None,)]),
        ("select x from (values 1, null, 2) t(x) order by x nulls first limit 1", [(None,)]),
        ("with a as (select 1 x), b(y) as (select x + 1 from a) select * from a, b", [(1, 2)]),
        (
            "with recursive t(n) as (select 1 union all select n + 1 from t where n < 3) select max(n) from t",
            [(3,)],
        ),
        ("select 1 x union all select 2 union select 3 order by x desc limit 2", [(3,), (2,)]),
        ("select cast(null as varchar) a union all select 'x' order by 1", [("x",), (None,)]),
        ("select * from (select 1 a, 2 b) t join (select 1 a, 3 c) u using (a)", [(1, 2, 3)]),
        ("select a.*, b.x y from (select 1 x) a left join (select 2 x) b on a.x = b.x", [(1, None)]),
        ("select x, y from unnest(array[1, 2], array['a']) as t(x, y) order by x", [(1, "a"), (2, None)]),
        (
            "select u.x, n from (values (array[5, 6])) v(a) cross join unnest(a) with ordinality as u(x, n) order by n",
            [(5, 1), (6, 2)],
        ),
        ("select k, v from unnest(map(array['a'], array[1])) as t(k, v)", [("a", 1)]),
        (
            "select sum(x) filter (where x > 1), count(*), count_if(x > 1), max_by(x, -x), avg(x)"
            " from (values 1, 2, 3) t(x)",
            [(5, 3, 2, 1, 2.0)],
        ),
        ("select listagg(x, '-') within group (order by x desc) from (values 'a', 'b') t(x)", [("b-a",)]),
        ("select x, count(*) c from (values 1, 1, 2) t(x) group by 1 having count(*) > 1", [(1, 2)]),
        (
            "select x, sum(x) over (order by x rows between 1 preceding and current row)"
            " from (values 1, 2, 3) t(x) order by 1",
            [(1, 1), (2, 3), (3, 5)],
        ),
        (
            "select x from (values 1, 2) t(x) where exists (select 1 from (values 2) u(y) where y = t.x)",
            [(2,)],
        ),
        (
            "select count(*) as failures, count(*) != 0 as should_warn from (select 1) dbt_internal_test",
            [(1, True)],
        ),
        ("select x + 1 as y from (values 2, 1) t(x) order by y * -1", [(3,), (2,)]),
    ],
)
def test_select_clause_gives_athenas_rows(rows: Rows, sql: str, expected: list[tuple[Any, ...]]) -> None:
    assert rows(sql) == expected


def test_select_checksum_is_independent_of_order_and_counts_repeats(rows: Rows) -> None:
    forward = rows("select checksum(row(x, y)) from (values (1, 'a'), (2, 'b')) t(x, y)")
    backward = rows("select checksum(row(x, y)) from (values (2, 'b'), (1, 'a')) t(x, y)")
    repeated = rows("select checksum(row(x, y)) from (values (1, 'a'), (2, 'b'), (2, 'b')) t(x, y)")
    assert forward == backward
    assert forward != repeated


def test_select_columns_carry_athenas_names_and_types(execute: Callable[..., Any]) -> None:
    result = execute(
        "select 1 a, 2 a, count(*), 1.5 d, cast(1 as decimal(5,2)) e, array[1] f, sum(3) g, current_timestamp h"
    )
    list(result.batches)
    assert [(column.name, column.type, column.precision, column.scale) for column in result.columns] == [
        ("a", "integer", 10, 0),
        ("a", "integer", 10, 0),
        ("_col2", "bigint", 19, 0),
        ("d", "double", 17, 0),
        ("e", "decimal", 5, 2),
        ("f", "array", 0, 0),
        ("g", "bigint", 19, 0),
        ("h", "timestamp with time zone", 3, 0),
    ]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select nope from (select 1 a)", "COLUMN_NOT_FOUND: line 1:8: Column 'nope' cannot be resolved"),
        (
            "select a b from (select 1 a) where b = 1",
            "COLUMN_NOT_FOUND: line 1:36: Column 'b' cannot be resolved",
        ),
        ("select t.b from (select 1 a) t", "COLUMN_NOT_FOUND: line 1:8: Column 't.b' cannot be resolved"),
        ("select a from (select 1 a) x, (select 1 a) y", "AMBIGUOUS_NAME: line 1:8: Column 'a' is ambiguous"),
        (
            "select * from nope",
            "TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.default.nope' does not exist",
        ),
        ("select *\nfrom nope.t", "SCHEMA_NOT_FOUND: line 2:6: Schema 'nope' does not exist"),
        ("select nofn(1)", "FUNCTION_NOT_FOUND: line 1:8: Function 'nofn' not registered"),
        (
            "select strftime(current_date, '%Y')",
            "FUNCTION_NOT_FOUND: line 1:8: Function 'strftime' not registered",
        ),
        (
            "select * from read_csv('x')",
            "SYNTAX_ERROR: line 1:23: mismatched input '('. Expecting: ",
        ),
        (
            "select length(5)",
            "FUNCTION_NOT_FOUND: line 1:8: Unexpected parameters (integer) for function length",
        ),
        ("select 1 = 'a'", "TYPE_MISMATCH: line 1:10: Cannot apply operator: integer = varchar(1)"),
        ("select (1 + 2) >\n 'ab'", "TYPE_MISMATCH: line 1:16: Cannot apply operator: integer < varchar(2)"),
        ("select 1 - -2 - 'a'", "TYPE_MISMATCH: line 1:15: Cannot apply operator: integer - varchar(1)"),
        ("select lower('a') <> 1", "TYPE_MISMATCH: line 1:19: Cannot apply operator: varchar(1) = integer"),
        (
            "select 1 is distinct from 'a'",
            "TYPE_MISMATCH: line 1:10: Cannot check if integer is distinct from varchar(1)",
        ),
        (
            "select 1 between 'a' and 'bc'",
            "TYPE_MISMATCH: line 1:10: Cannot check if integer is BETWEEN varchar(1) and varchar(2)",
        ),
        (
            "select 'a' like 5",
            "TYPE_MISMATCH: line 1:17: Pattern for LIKE expression must evaluate to a varchar (actual: integer)",
        ),
        (
            "select case 1 when 'a' then 2 end",
            "TYPE_MISMATCH: line 1:20: CASE operand type does not match WHEN clause operand type: integer vs varchar(1)",
        ),
        (
            "select 1 in (2, 'a')",
            "TYPE_MISMATCH: line 1:17: IN value and list items must be the same type or coercible to a common type."
            " Cannot find common type between integer and varchar",
        ),
        (
            "select 1 where count(*) > 1",
            "EXPRESSION_NOT_SCALAR: line 1:25: WHERE clause cannot contain aggregations, window functions or grouping"
            " operations: [count(*)]",
        ),
        (
            "select a, count(*) from (select 1 a)",
            "EXPRESSION_NOT_AGGREGATE: line 1:8: 'a' must be an aggregate",
        ),
        (
            "select 1 union all select 'a'",
            "TYPE_MISMATCH: line 1:10: column 1 in UNION query has incompatible types",
        ),
        ("select 1 / 0", "DIVISION_BY_ZERO: Division by zero"),
        ("select cast('x' as integer)", "INVALID_CAST_ARGUMENT: Cannot cast 'x' to INT"),
        ("select cast('1.5' as integer)", "INVALID_CAST_ARGUMENT: Cannot cast '1.5' to INT"),
        ("select 2147483647 + 1", "NUMERIC_VALUE_OUT_OF_RANGE: integer addition overflow: 2147483647 + 1"),
        (
            "select array[1][3]",
            "INVALID_FUNCTION_ARGUMENT: Array subscript must be less than or equal to array length",
        ),
        ("select * exclude (a) from (select 1 a)", "SYNTAX_ERROR: line 1:10: mismatched input 'exclude'"),
        ("select distinct on (a) a from (select 1 a)", "SYNTAX_ERROR: "),
        ("select a from (select 1 a) group by all", "COLUMN_NOT_FOUND: line 1:37: Column 'all' cannot"),
    ],
)
def test_select_mistake_ends_in_athenas_error(rows: Rows, sql: str, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        rows(sql)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select a.x, b.y, c.z from ({a} join {b} on a.x = b.x) join {c} on b.y = c.y", [(1, 10, 5)]),
        ("select * from ({a} join {b} using (x)) left join {c} using (y)", [(10, 1, 5), (20, 2, None)]),
        ("select a.x, z from {a} left join ({b} join {c} on b.y = c.y) on a.x = b.x", [(1, 5), (2, None)]),
        ("select count(*) from (({a} cross join {b})) cross join {c}", [(4,)]),
    ],
)
def test_select_join_in_parentheses_keeps_its_names(
    rows: Rows, sql: str, expected: list[tuple[Any, ...]]
) -> None:
    with_ = "with a as (select * from (values 1, 2) t(x)), b as (select * from (values (1, 10), (2, 20)) t(x, y)),"
    with_ += " c as (select * from (values (10, 5)) t(y, z)) "
    assert sorted(rows(with_ + sql.format(a="a", b="b", c="c")), key=str) == expected


def test_select_join_in_parentheses_sees_nothing_outside_them(rows: Rows) -> None:
    sql = "with a as (select 1 x) select 1 from a join (a b join a c on a.x = c.x) on true"
    with pytest.raises(QueryError, match=r"COLUMN_NOT_FOUND: line 1:62: Column 'a\.x' cannot be resolved"):
        rows(sql)


def test_select_parameters_fill_in_the_order_of_the_text(rows: Rows) -> None:
    sql = "with a as (select ? x) select x, ? from a where x = ? limit 1"
    assert rows(sql, execution_parameters=("1", "'b'", "1")) == [(1, "b")]


def test_select_wrong_number_of_parameters_is_refused(rows: Rows) -> None:
    with pytest.raises(QueryError, match="Incorrect number of parameters: expected 1 but found 2"):
        rows("select ?", execution_parameters=("1", "2"))


def test_select_local_file_cannot_be_reached(rows: Rows, tmp_path: Any) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    with pytest.raises(QueryError, match="TABLE_NOT_FOUND"):
        rows(f'select * from "{secret}"')
