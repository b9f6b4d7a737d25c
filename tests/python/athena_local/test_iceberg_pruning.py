"""Pruning never loses a row: random predicates over every partition transform, against all the rows.

The predicates are evaluated twice, over the pruned scan and over one that nothing can prune.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from athena_local.catalog import Catalog

Run = Callable[..., Any]

TRANSFORMS = [
    "year(d)",
    "day(d)",
    "hour(at)",
    "bucket(n, 3)",
    "truncate(n, 4)",
    "bucket(s, 3)",
    "truncate(s, 1)",
    "m",
    "s",
    "",
]
ROWS = """SELECT n, date_add('day', n * 97, DATE '2024-11-05') AS d,
    CAST(date_add('minute', n * 31, TIMESTAMP '2024-12-31 22:15:00.000') AS timestamp(6)) AS at,
    CASE WHEN n % 7 = 0 THEN NULL ELSE substr('abcdefghijklmnop', 1 + abs(n) % 5, 1 + abs(n) % 3) END AS s,
    CAST(n AS decimal(10,2)) / 4 AS m, CASE WHEN n % 5 = 0 THEN NULL ELSE n / 2e0 END AS x
    FROM UNNEST(sequence(-15, 15)) AS v (n)"""

OPERATOR = st.sampled_from(["=", "<", "<=", ">", ">=", "<>"])
NUMBER = st.integers(-16, 16)
LITERAL = {
    "n": NUMBER.map(str),
    "m": st.tuples(st.integers(-5, 5), st.sampled_from(["0", "25", "5"])).map(
        lambda part: f"{part[0]}.{part[1]}"
    ),
    "x": st.integers(-32, 32).map(lambda number: f"{number / 4}e0"),
    "s": st.sampled_from(["'a'", "'bc'", "'cde'", "'e'", "'zz'", "''"]),
    "d": st.integers(1, 12).map(lambda month: f"DATE '2025-{month:02}-05'"),
    "at": st.integers(0, 23).map(lambda hour: f"TIMESTAMP '2025-01-01 {hour:02}:15:00.000'"),
}


@st.composite
def comparisons(draw: Any) -> str:
    column = draw(st.sampled_from(sorted(LITERAL)))
    literal = LITERAL[column]
    shape = draw(st.integers(0, 4))
    if shape == 0:
        return f"{column} IN ({draw(literal)}, {draw(literal)})"
    if shape == 1:
        return f"{column} BETWEEN {draw(literal)} AND {draw(literal)}"
    if shape == 2:
        return f"{column} IS {draw(st.sampled_from(['', 'NOT ']))}NULL"
    left, right = (column, draw(literal)) if shape == 3 else (draw(literal), column)
    return f"{left} {draw(OPERATOR)} {right}"


PREDICATE = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(
            lambda part: f"({part[0]} {part[1]} {part[2]})"
        ),
        inner.map(lambda text: f"NOT ({text})"),
    ),
    max_leaves=4,
)


@pytest.fixture
def tables(execute: Run, lake: str) -> list[str]:
    names = []
    for number, transform in enumerate(TRANSFORMS):
        name = f"p{number}"
        partitioning = f", partitioning = ARRAY['{transform}']" if transform else ""
        execute(
            f"CREATE TABLE {name} WITH (table_type = 'ICEBERG', is_external = false, location = '{lake}{name}/'"
            f"{partitioning}) AS {ROWS}"
        )
        names.append(name)
    return names


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(predicate=PREDICATE, number=st.integers(0, len(TRANSFORMS) - 1))
def test_pruned_scan_finds_every_row(
    tables: list[str], rows: Run, catalog: Catalog, predicate: str, number: int
) -> None:
    name = tables[number]
    pruned = rows(f"SELECT n FROM {name} WHERE {predicate} ORDER BY n")
    unpruned = rows(f"SELECT n FROM (SELECT * FROM {name} OFFSET 0) WHERE {predicate} ORDER BY n")
    assert pruned == unpruned
