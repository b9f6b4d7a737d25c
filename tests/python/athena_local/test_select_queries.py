"""Clauses of SELECT and what they are made of, each beside the rows, column names or error that Athena has for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from athena_local.errors import QueryError

Rows = Callable[..., list[tuple[Any, ...]]]
Execute = Callable[..., Any]
PAIR = "(values (1, 'x', 5), (2, 'x', 6)) t(a, b, c)"
NOT_RESOLVED = "cannot be resolved or requester is not authorized to access requested resources"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        # WITH
        ("with t(a, b) as (select 1, 2), u as (select a + b c from t) select * from u", [(3,)]),
        (
            "with t as (select 1 x), u as (with t as (select 2 x) select * from t) select * from t, u y(z)",
            [(1, 2)],
        ),
        (
            "with recursive t(n) as (values (1) union all select n + 1 from t where n < 4) select max(n), sum(n) from t",
            [(4, 10)],
        ),
        (
            "with recursive t(n) as (select 1 union all select n + 1 from t where n < 11) select count(*) from t",
            [(11,)],
        ),
        (
            "with recursive t(n) as (select cast(1 as bigint) union all select 2 from t where n < 2) select"
            " typeof(max(n)) from t",
            [("bigint",)],
        ),
        ("with recursive a(x) as (select 1), b(y) as (select x + 1 from a) select * from b", [(2,)]),
        # set operations
        ("select 1 union select 2 intersect select 2 order by 1", [(1,), (2,)]),
        ("(select 1 union select 2) intersect select 2", [(2,)]),
        ("select 1 except select 2 union all select 3 order by 1", [(1,), (3,)]),
        ("values 1, 1, 2 intersect all values 1, 1, 1", [(1,), (1,)]),
        ("values 1, 1, 2 except all values 1 order by 1", [(1,), (2,)]),
        ("select 1 a union all (select 2 order by 1 limit 1) order by a desc offset 1 rows", [(1,)]),
        ("((select 1 a))", [(1,)]),
        # VALUES and TABLE
        ("values row(1, 2), row(3, 4) order by 1 desc", [(3, 4), (1, 2)]),
        ("values 1, (2) order by 1", [(1,), (2,)]),
        ("select * from (values cast(row(1, 'a') as row(x integer, y varchar))) t(p, q)", [(1, "a")]),
        ("with t as (select 1 x) table t order by x limit 1", [(1,)]),
        # GROUP BY
        (
            f"select a, b, sum(c), grouping(a, b) from {PAIR} group by grouping sets ((a, b), (b), ()) order by 4, 1",
            [(1, "x", 5, 0), (2, "x", 6, 0), (None, "x", 11, 2), (None, None, 11, 3)],
        ),
        (
            f"select a, b, sum(c) from {PAIR} group by cube (a, b) order by 1, 2",
            [(1, "x", 5), (1, None, 5), (2, "x", 6), (2, None, 6), (None, "x", 11), (None, None, 11)],
        ),
        (
            f"select a, b, sum(c) from {PAIR} group by rollup ((a, b)) order by 1",
            [(1, "x", 5), (2, "x", 6), (None, None, 11)],
        ),
        (
            f"select a, count(*) from {PAIR} group by a, grouping sets ((b), ()) order by 1",
            [(1, 1), (1, 1), (2, 1), (2, 1)],
        ),
        ("select a, count(*) from (values 1) t(a) group by distinct grouping sets ((a), (a))", [(1, 1)]),
        ("select a, count(*) from (values 1) t(a) group by all grouping sets ((a), (a))", [(1, 1), (1, 1)]),
        (f"select count(*) from {PAIR} group by ()", [(2,)]),
        (f"select count(*) from {PAIR} where a > 5 group by ()", [(0,)]),
        (f"select 'k', count(*) from {PAIR} group by 1", [("k", 2)]),
        (f"select a + 1 + 1, count(*) from {PAIR} group by a + 1 order by 1", [(3, 1), (4, 1)]),
        (f"select t.a from {PAIR} group by a having max(c) > 5", [(2,)]),
        ("select r.x, count(*) from (select cast(row(1) as row(x integer)) r) group by r", [(1, 1)]),
        (f"select sum(sum(c)) over () from {PAIR} group by a", [(11,), (11,)]),
        (
            f"select a, transform(array[1], y -> y + a) from {PAIR} group by a order by 1",
            [(1, [2]), (2, [3])],
        ),
        # windows
        (
            f"select a, sum(c) over w, sum(c) over (w rows 1 preceding) from {PAIR} window w as (order by a) order by 1",
            [(1, 5, 5), (2, 11, 11)],
        ),
        (
            f"select sum(c) over (order by a groups between 1 preceding and 1 following) from {PAIR}",
            [(11,), (11,)],
        ),
        # ORDER BY, OFFSET, LIMIT, FETCH
        ("select a from (values 1, null, 2) t(a) order by a nulls first", [(None,), (1,), (2,)]),
        ("select a from (values 1, null, 2) t(a) order by a desc", [(2,), (1,), (None,)]),
        ("select -a b from (values 1, 2) t(a) order by b + a, -b", [(-1,), (-2,)]),
        ("select a from (values 1, 2, 3) t(a) order by a offset 1 limit all", [(2,), (3,)]),
        ("select a from (values 1, 2, 2, 3) t(a) order by a fetch first 2 rows only", [(1,), (2,)]),
        (
            "select a from (values 1, 2, 2, 3) t(a) order by a fetch first 2 rows with ties",
            [(1,), (2,), (2,)],
        ),
        (
            "select a from (values 1, 1, 2, 2, 3) t(a) order by 1 offset 1 fetch next 2 rows with ties",
            [(1,), (2,), (2,)],
        ),
        (
            "select distinct a from (values 1, 1, 2, 3) t(a) order by a fetch first 2 rows with ties",
            [(1,), (2,)],
        ),
        ("select a from (values 1, 2) t(a) order by a desc fetch first row only", [(2,)]),
        # samples
        ("select count(*) from (values 1, 2) t(a) tablesample bernoulli (100)", [(2,)]),
        ("select count(*) from (values 1, 2) t(a) tablesample system (0)", [(0,)]),
        (
            "select count(*) from (values 1, 2) t(a) tablesample bernoulli (100) join (select 1 b) u tablesample"
            " bernoulli (0) on true",
            [(0,)],
        ),
        # joins
        ("select * from (values (1, 2)) a(x, y) join (values (3, 1)) b(z, x) using (x)", [(1, 2, 3)]),
        ("select a.*, b.* from (values (1, 2)) a(x, y) join (values (1, 3)) b(x, z) using (x)", [(2, 3)]),
        ("select x from (values 1) a(x) full join (values 2) b(x) using (x) order by x", [(1,), (2,)]),
        (
            "select x, typeof(x) from (values 1) a(x) left join (values bigint '2') b(x) using (x)",
            [(1, "bigint")],
        ),
        (
            "select * from (values 1) a(x) join (values 1) b(x) using (x) join (values (1, 5)) c(x, y) using (x)",
            [(1, 5)],
        ),
        ("select c.y, c.x from ((values 1) a(x) join (values 1) b(y) on x = y) c", [(1, 1)]),
        ("select * from ((values 1) a(x) join (values 1) b(y) on x = y)", [(1, 1)]),
        ("select q from ((values 1) a(x) cross join (values 2) b(y)) c(p, q)", [(2,)]),
        ("select * from (values 1, 2) a(x), lateral (select x * 10 y) b order by 1", [(1, 10), (2, 20)]),
        ("select * from (values 1) a(x) left join lateral (select 5 where x > 1) b(y) on true", [(1, None)]),
        # UNNEST
        (
            "select a, b, n from unnest(array[1, 2], array['a', 'b', 'c']) with ordinality as t(a, b, n) order by n",
            [(1, "a", 1), (2, "b", 2), (None, "c", 3)],
        ),
        (
            "select x, y from (values (1, array[7]), (2, null),"
            " (3, array[])) a(x, z) left join unnest(z) u(y) on true order by x",
            [(1, 7), (2, None), (3, None)],
        ),
        ("select p, q from (values array[row(1, 'a')]) a(x) cross join unnest(x) u(p, q)", [(1, "a")]),
        (
            "select u.f, g from (values array[cast(row(1, 'a') as row(f integer, g varchar))]) a(x)"
            " cross join unnest(x) u",
            [(1, "a")],
        ),
        # subqueries
        ("select (select x from (values 1) t(x) where false)", [(None,)]),
        (
            "select 1 in (select 1), 1 not in (values 2, null), exists (select 1 where false)",
            [(True, None, False)],
        ),
        (
            "select 1 = any (values 1, 2), 1 = all (values 1, 2), 1 < some (values 2), 1 <> all (select 2)",
            [(True, False, True, True)],
        ),
        (
            "select x from (values 1, 2) t(x) where x = (select max(y) from (values 1, 2) u(y) where y < t.x + 1)"
            " order by 1",
            [(1,), (2,)],
        ),
        ("select (1, 2) in (select 1, 2), (1, 2) in (values (3, 4))", [(True, False)]),
        ("select (1, 2) = (1, 2), (1, 2) < (1, 3), (1, 'a') in ((1, 'a'), (2, 'b'))", [(True, True, True)]),
        # names
        ('select T.X from (values 1) t(x) where "T"."X" = 1', [(1,)]),
        ('select date, count, "select" from (select 1 date, 2 count, 3 "select")', [(1, 2, 3)]),
        (
            "select catalog_name from awsdatacatalog.information_schema.schemata where schema_name = 'default'",
            [("awsdatacatalog",)],
        ),
    ],
)
def test_select_query_gives_athenas_rows(rows: Rows, sql: str, expected: list[tuple[Any, ...]]) -> None:
    assert rows(sql) == expected


@pytest.mark.parametrize(
    ("sql", "names", "expected"),
    [
        ("select t.* as (x, y) from (values (1, 2)) t(a, b)", ["x", "y"], (1, 2)),
        ("select row(1, 2).*", ["_col0", "_col1"], (1, 2)),
        ("select cast(row(1, 2) as row(a bigint, b varchar)).*", ["a", "b"], (1, "2")),
        (
            "select r.*, 5 from (select cast(row(1, 'x') as row(a bigint, b varchar)) r)",
            ["a", "b", "_col2"],
            (1, "x", 5),
        ),
        (
            "select (r).* as (p, q) from (select cast(row(1, 'x') as row(a bigint, b varchar)) r)",
            ["p", "q"],
            (1, "x"),
        ),
        (
            "select 1, max(a), a + 1 b, 'x' from (values 1) t(a) group by a",
            ["_col0", "_col1", "b", "_col3"],
            (1, 1, 2, "x"),
        ),
        (
            "select * from (values (1, 2)) a(y, x) join (values (2, 3)) b(x, z) using (x)",
            ["x", "y", "z"],
            (2, 1, 3),
        ),
        ('select "a""b", 2 AS "select" from (select 1 "a""b")', ['a"b', "select"], (1, 2)),
    ],
)
def test_select_list_names_its_columns(
    execute: Execute, sql: str, names: list[str], expected: tuple[Any, ...]
) -> None:
    result = execute(sql)
    (batch,) = result.batches
    assert [column.name for column in result.columns] == names
    assert tuple(column[0].as_py() for column in batch.columns) == expected


def test_select_column_is_reached_by_database_and_catalog(execute: Execute, rows: Rows, lake: str) -> None:
    execute(f"create external table qualified (a int, b int) location '{lake}q/'")
    assert (
        rows("select default.qualified.a, awsdatacatalog.default.qualified.b, qualified.a from qualified")
        == []
    )
    assert rows("select default.qualified.* from default.qualified") == []
    with pytest.raises(QueryError, match=f"Column 'other.qualified.a' {NOT_RESOLVED}"):
        rows("select other.qualified.a from qualified")
    with pytest.raises(QueryError, match=f"Column 'default.qualified.a' {NOT_RESOLVED}"):
        rows("select default.qualified.a from qualified as x")


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        # grouping
        (
            "select a, count(*) from (values 1) t(a)",
            "EXPRESSION_NOT_AGGREGATE: line 1:8: 'a' must be an aggregate expression or appear in GROUP BY clause",
        ),
        (
            "select a + 1, count(*) from (values 1) t(a)",
            "EXPRESSION_NOT_AGGREGATE: line 1:10: '(a + 1)' must be an aggregate expression or appear in GROUP BY clause",
        ),
        (f"select * from {PAIR} group by a", "EXPRESSION_NOT_AGGREGATE: line 1:"),
        (
            f"select a from {PAIR} group by a having c > 1",
            "EXPRESSION_NOT_AGGREGATE: line 1:80: '(c > 1)' must be an aggregate",
        ),
        (
            f"select a from {PAIR} group by a order by c",
            "EXPRESSION_NOT_AGGREGATE: line 1:80: 'c' must be an aggregate",
        ),
        (
            f"select count(*) from {PAIR} order by a",
            "EXPRESSION_NOT_AGGREGATE: line 1:76: 'a' must be an aggregate",
        ),
        (
            f"select transform(array[1], x -> x + c), count(*) from {PAIR} group by a",
            "EXPRESSION_NOT_AGGREGATE: line 1:8: 'transform(",
        ),
        (
            f"select 1 from {PAIR} group by 5",
            "INVALID_COLUMN_REFERENCE: line 1:69: GROUP BY position 5 is not in select list",
        ),
        (
            "select 1 order by 2",
            "INVALID_COLUMN_REFERENCE: line 1:19: ORDER BY position 2 is not in select list",
        ),
        (
            "select a from (values 1) t(a) group by all",
            f"COLUMN_NOT_FOUND: line 1:40: Column 'all' {NOT_RESOLVED}",
        ),
        (
            "select grouping(a) from (values 1) t(a)",
            "MISSING_GROUP_BY: line 1:8: A GROUPING() operation can only be used with a corresponding GROUPING"
            " SET/CUBE/ROLLUP/GROUP BY",
        ),
        (
            f"select grouping(b) from {PAIR} group by a",
            "INVALID_ARGUMENTS: line 1:17: The arguments to GROUPING() must be",
        ),
        # aggregates and windows where they may not be
        (
            "select sum(count(*)) from (values 1) t(a)",
            "NESTED_AGGREGATION: line 1:8: Cannot nest aggregations inside aggregation 'sum': [count(*)]",
        ),
        (
            "select sum(rank() over (order by a)) from (values 1) t(a)",
            "NESTED_WINDOW: line 1:8: Cannot nest window functions or row",
        ),
        (
            "select sum(sum(a) over ()) over () from (values 1) t(a)",
            "NESTED_WINDOW: line 1:12: Cannot nest window functions or row",
        ),
        (
            "select 1 from (values 1) t(a) having count(*) over () > 1",
            "NESTED_WINDOW: line 1:38: HAVING clause cannot contain window functions or row pattern measures",
        ),
        (
            "select 1 from (values 1) t(a) where sum(a) over () > 1",
            "EXPRESSION_NOT_SCALAR: line 1:52: WHERE clause cannot contain aggregations, window functions or grouping"
            " operations:"
            " [sum(a) OVER ()]",
        ),
        (
            "select 1 from (values 1) t(a) group by sum(a)",
            "EXPRESSION_NOT_SCALAR: line 1:40: GROUP BY clause cannot contain aggregations, window functions or"
            " grouping operations:"
            " [sum(a)]",
        ),
        (
            "select 1 from (values 1) t(a) join (values 1) u(b) on count(*) = 1",
            "EXPRESSION_NOT_SCALAR: line 1:64: JOIN clause cannot",
        ),
        (
            "select row_number() from (values 1) t(a)",
            "MISSING_OVER: line 1:8: Window function row_number requires an OVER clause",
        ),
        (
            "select lower(distinct 'a')",
            "FUNCTION_NOT_AGGREGATE: line 1:8: DISTINCT is not supported for non-aggregation functions",
        ),
        (
            "select sum(a) over w from (values 1) t(a)",
            "INVALID_WINDOW_REFERENCE: line 1:20: Cannot resolve WINDOW name w",
        ),
        (
            "select 1 from (values 1) t(a) window w as (order by a), W as ()",
            "DUPLICATE_WINDOW_NAME: line 1:57: ",
        ),
        # ORDER BY, LIMIT
        (
            f"select distinct a from {PAIR} order by c",
            "EXPRESSION_NOT_IN_DISTINCT: line 1:78: For SELECT DISTINCT, ORDER BY",
        ),
        (f"select a x, c x from {PAIR} order by x", "AMBIGUOUS_NAME: line 1:76: Column 'x' is ambiguous"),
        (
            "select 1 limit 99999999999999999999",
            "TYPE_MISMATCH: line 1:10: Invalid LIMIT row count: 99999999999999999999",
        ),
        (
            "select 1 offset 99999999999999999999",
            "TYPE_MISMATCH: line 1:10: Invalid OFFSET row count: 99999999999999999999",
        ),
        (
            "select 1 fetch first 0 rows only",
            "NUMERIC_VALUE_OUT_OF_RANGE: line 1:10: FETCH FIRST row count must be positive (actual value: 0)",
        ),
        (
            "select 1 fetch first 1 rows with ties",
            "MISSING_ORDER_BY: line 1:10: FETCH FIRST WITH TIES clause requires ORDER BY",
        ),
        # booleans
        (
            "select 1 where 1",
            "TYPE_MISMATCH: line 1:16: WHERE clause must evaluate to a boolean: actual type integer",
        ),
        (
            "select sum(a) from (values 1) t(a) having sum(a)",
            "TYPE_MISMATCH: line 1:43: HAVING clause must evaluate to a boolean",
        ),
        (
            "select 1 from (values 1) t(x) join (values 1) u(y) on 1",
            "TYPE_MISMATCH: line 1:55: JOIN ON clause must evaluate to",
        ),
        # WITH
        (
            "with t as (values 1), T as (values 2) select 1",
            "DUPLICATE_NAMED_QUERY: line 1:23: WITH query name 'T' specified more than once",
        ),
        (
            "with t(a, b) as (select 1) select 1",
            "MISMATCHED_COLUMN_ALIASES: line 1:6: Column alias list has 2 entries but relation has 1",
        ),
        (
            "with a as (select * from b), b as (select 1) select * from a",
            "TABLE_NOT_FOUND: line 1:26: Table 'awsdatacatalog.default.b'",
        ),
        (
            "with recursive t(n) as (select 1 union all select n + 1 from t where n < 12) select * from t",
            "NOT_SUPPORTED: Recursion depth limit exceeded (10). Use 'max_recursion_depth' session property to modify"
            " the limit.",
        ),
        (
            "with recursive t as (select 1 n union all select n + 1 from t) select * from t",
            "MISSING_COLUMN_ALIASES: line 1:16: ",
        ),
        (
            "with recursive t(n) as (select 1 union select n + 1 from t) select 1",
            "INVALID_RECURSIVE_REFERENCE: line 1:58: recursive reference not allowed in this context",
        ),
        (
            "with recursive t(n) as (select 1 union all select 'a' from t) select 1",
            "TYPE_MISMATCH: line 1:51: recursion step relation output type (varchar(1)) is not coercible to recursion"
            " base relation output"
            " type (integer) at column 1",
        ),
        # relations
        (
            "select * from (values (1, 2)) a(x, y) natural join (values 1) b(x)",
            "NOT_SUPPORTED: line 1:24: Natural join not supported",
        ),
        (
            "select 1 from (values 1) a(x) join (values 1) b(y) using (y)",
            "COLUMN_NOT_FOUND: line 1:59: Column 'y' is missing from left side of join",
        ),
        (
            "select a.x from (values 1) a(x) join (values 1) b(x) using (x)",
            f"COLUMN_NOT_FOUND: line 1:8: Column 'a.x' {NOT_RESOLVED}",
        ),
        ("select 1 from (values 1) a(x) join (values 'a') b(x) using (x)", "TYPE_MISMATCH: line 1:61: "),
        (
            "select 1 from (values array[1]) a(x) left join unnest(x) u(y) on x is not null",
            "NOT_SUPPORTED: line 1:66: LEFT JOIN involving UNNEST is only supported with condition ON TRUE",
        ),
        (
            "select 1 from (values 1) t(a, b)",
            "MISMATCHED_COLUMN_ALIASES: line 1:23: Column alias list has 2 entries but 't' has 1 columns available",
        ),
        ("select 1 from a.b.c.d", "SYNTAX_ERROR: Too many dots in table name: a.b.c.d"),
        ("select 1 from nocat.default.t", "CATALOG_NOT_FOUND: line 1:15: Catalog 'nocat' does not exist"),
        (
            "select * from (values 1) t(x) match_recognize (pattern (a) define a as true)",
            "NOT_SUPPORTED: line 1:",
        ),
        # stars
        ("select *", "COLUMN_NOT_FOUND: line 1:8: SELECT * not allowed in queries without FROM clause"),
        ("select u.* from (values 1) t(x)", "TABLE_NOT_FOUND: line 1:8: Unable to resolve reference u"),
        ("select x.* from (values 1) t(x)", "TYPE_MISMATCH: line 1:8: expected expression of type Row"),
        (
            "select t.* as (a, b) from (values 1) t(x)",
            "MISMATCHED_COLUMN_ALIASES: line 1:8: Column alias list has 2 entries but",
        ),
        # rows and unions
        ("values (1, 2), (3)", "TYPE_MISMATCH: line 1:1: Values rows have mismatched sizes: 2 vs 1"),
        (
            "values 1, 'a'",
            "TYPE_MISMATCH: line 1:1: Values rows have mismatched types: row(integer) vs row(varchar(1))",
        ),
        (
            "select 1 union select 1, 2",
            "TYPE_MISMATCH: line 1:10: UNION query has different number of fields: 1, 2",
        ),
        (
            "select 1 except all select 'a'",
            "TYPE_MISMATCH: line 1:10: column 1 in EXCEPT query has incompatible types: integer, varchar",
        ),
        (
            "select 'a' in (values 1)",
            "TYPE_MISMATCH: line 1:12: Value expression and result of subquery must be of the same type:"
            " row(varchar(1)) vs row(integer)",
        ),
        (
            "select 1 in (select 1, 2)",
            "TYPE_MISMATCH: line 1:10: Value expression and result of subquery must be of the same type:"
            " row(integer) vs row(integer, integer)",
        ),
        (
            "select (select 1, 2)",
            "NOT_SUPPORTED: line 1:16: Multiple columns returned by subquery are not yet supported. Found 2",
        ),
        (
            "select (select x from (values 1, 2) t(x))",
            "SUBQUERY_MULTIPLE_ROWS: Scalar sub-query has returned multiple rows",
        ),
    ],
)
def test_select_mistake_ends_in_trinos_error_at_its_place(rows: Rows, sql: str, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        rows(sql)
    assert str(caught.value).startswith(message)


def test_select_name_with_marks_of_a_template_stays_a_name(rows: Rows) -> None:
    """Generated SQL is put together from templates: nothing in a name may act as a part of one."""
    sql = 'select 5 as "{0}", upper("{1}") from (select \'"; drop\' as "{1}") where "{1}" <> \'{0}\' order by "{1}"'
    assert rows(sql) == [(5, '"; DROP')]
