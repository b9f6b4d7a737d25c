"""Pruning never loses a row: random predicates over every partition transform, against all the rows.

The predicates are evaluated twice, over the pruned scan and over one that nothing can prune.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from athena_local.catalog import Catalog
from athena_local.objects import ObjectStore

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


# What is asked of S3


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Every read of an object, as (path, bytes) in the order they come."""
    found: list[tuple[str, int]] = []
    read, read_range = ObjectStore.read, ObjectStore.read_range

    def whole(self: ObjectStore, path: str, *more: Any) -> bytes:
        body = read(self, path, *more)
        found.append((path, len(body)))
        return body

    def part(self: ObjectStore, path: str, start: int, length: int, *more: Any) -> bytes:
        found.append((path, length))
        return read_range(self, path, start, length, *more)

    monkeypatch.setattr(ObjectStore, "read", whole)
    monkeypatch.setattr(ObjectStore, "read_range", part)
    return found


def data_files(requests: list[tuple[str, int]]) -> set[str]:
    found = {path for path, _ in requests if "/data/" in path}
    requests.clear()
    return found


def test_only_the_files_that_may_match_are_fetched(
    execute: Run, rows: Run, lake: str, requests: list[tuple[str, int]]
) -> None:
    execute(
        f"""CREATE TABLE t WITH (table_type = 'ICEBERG', is_external = false, location = '{lake}t/',
            partitioning = ARRAY['part', 'bucket(name, 4)']) AS
            SELECT n AS id, n % 3 AS part, concat('name ', CAST(n % 7 AS varchar)) AS name, n * 1e0 AS x
            FROM UNNEST(sequence(1, 60)) AS v (n)"""
    )
    execute("INSERT INTO t VALUES (1000, 0, 'name 1', 1000e0)")
    requests.clear()
    everything = {row[0] for row in rows('SELECT "$path" FROM t')}
    assert data_files(requests) == everything
    for predicate in (
        "part = 1",
        "part = 0 AND name = 'name 3'",
        "x >= 1000",
        "id IN (1000, 2000)",
        "part > 2",
    ):
        needed = {row[0] for row in rows(f'SELECT "$path" FROM t WHERE {predicate}')}
        fetched = data_files(requests)
        assert needed <= fetched < everything
        assert len(fetched) <= max(4, len(needed))
    some = sorted(everything)[:2]
    assert rows(f"""SELECT count(*) FROM t WHERE "$path" = '{some[0]}' AND id > 0""") == rows(
        f"""SELECT record_count FROM "t$files" WHERE file_path = '{some[0]}'"""
    )
    assert data_files(requests) == {some[0]}
    assert rows(f"""SELECT count(*) > 0 FROM t WHERE "$path" IN ('{some[0]}', '{some[1]}')""") == [(True,)]
    assert data_files(requests) == set(some)
    execute("DELETE FROM t WHERE id = 1000")
    assert len(data_files(requests)) == 1
    execute(
        "MERGE INTO t USING (SELECT 1 AS id) s ON t.id = s.id AND t.part = 1 WHEN MATCHED THEN UPDATE SET x = 0e0"
    )
    fetched = data_files(requests)
    assert fetched
    assert all("/part=1/" in path for path in fetched)


def test_only_the_columns_that_are_used_are_fetched(
    execute: Run, rows: Run, lake: str, requests: list[tuple[str, int]], new_context: Run
) -> None:
    execute(
        f"""CREATE TABLE t WITH (table_type = 'ICEBERG', is_external = false, location = '{lake}t/',
            write_compression = 'NONE') AS
            SELECT n AS id, n % 10 AS small, concat(to_hex(md5(to_utf8(CAST(n AS varchar)))), '{uuid.uuid4()}') AS wide
            FROM (SELECT (a - 1) * 1000 + b AS n FROM UNNEST(sequence(1, 200)) AS u (a)
                  CROSS JOIN UNNEST(sequence(1, 1000)) AS w (b))"""
    )
    ((path,),) = rows('SELECT file_path FROM "t$files"')
    size = rows('SELECT file_size_in_bytes, split_offsets[1], cardinality(split_offsets) FROM "t$files"')[0]
    assert size[0] > 12_000_000
    assert size[1:] == (4, 2)
    requests.clear()
    context = new_context()
    assert rows("SELECT sum(small) FROM t", statistics=context.statistics) == [(900000,)]
    fetched = sum(length for name, length in requests if name == path)
    assert fetched < size[0] / 2
    assert 0 < context.statistics.bytes_scanned < size[0] / 10
    requests.clear()
    assert rows("SELECT count(*) FROM t") == [(200000,)]
    assert sum(length for name, length in requests if name == path) < size[0] / 3
