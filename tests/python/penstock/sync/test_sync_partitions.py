"""Partition specs as predicates: every row falls into the region its predicate says, and into no other."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from penstock.connections import Connections
from penstock.sync.columns import Column, SqlType
from penstock.sync.partitions import Bounds, bounds_of

DATE = Column("d", 1, "date", SqlType("date"), True)
STAMP = Column("ts", 2, "timestamp", SqlType("timestamp"), False)
ZONED = Column("tz", 3, "timestamptz", SqlType("timestamptz"), False)
STATE = Column("state", 4, "string", SqlType("text", length=2), False)
COLUMNS = [DATE, STAMP, ZONED, STATE]


def bounds(*fields: tuple[int, str]) -> Bounds:
    spec = {
        "fields": [{"source-id": source, "transform": transform, "name": "p"} for source, transform in fields]
    }
    return bounds_of(spec, COLUMNS)


def test_predicate_of_one_month_is_a_range() -> None:
    found = bounds((1, "month")).predicate([(660,)], "t")
    assert found == """((t."d" >= date '2025-01-01' and t."d" < date '2025-02-01'))"""


def test_predicate_of_consecutive_months_is_one_range() -> None:
    found = bounds((1, "month")).predicate([(661,), (660,), (671,), (672,)], "t")
    assert found.count(">=") == 2
    assert "date '2025-03-01'" in found
    assert "date '2026-02-01'" in found


def test_predicate_of_no_region_holds_for_nothing() -> None:
    assert bounds((1, "month")).predicate([], "t") == "false"


def test_bounds_of_bucket_and_month_keep_the_month() -> None:
    found = bounds((4, "bucket[16]"), (1, "month"))
    assert found.region((7, 660)) == (660,)
    assert found.label((660,)) == "2025-01"


@pytest.mark.parametrize("fields", [(), ((4, "bucket[16]"),), ((4, "truncate[1]"),)])
def test_bounds_of_what_no_predicate_can_bound_are_the_whole_table(
    fields: tuple[tuple[int, str], ...],
) -> None:
    found = bounds(*fields)
    assert found.region((1,) * len(fields)) == ()
    assert found.predicate([()], "t") == "true"
    assert found.label(()) == "whole table"


@pytest.mark.stack
@pytest.mark.parametrize(
    "fields",
    [
        ((1, "year"),),
        ((1, "month"),),
        ((1, "day"),),
        ((1, "identity"),),
        ((2, "month"),),
        ((2, "day"),),
        ((2, "hour"),),
        ((3, "year"),),
        ((3, "day"),),
        ((3, "hour"),),
        ((4, "identity"),),
        ((4, "identity"), (1, "month")),
    ],
)
def test_predicates_and_groups_agree_on_every_row(
    stack_without_athena: Connections, fields: tuple[Any, ...]
) -> None:
    found = bounds(*fields)
    moments = [datetime(1969, 12, 31, 22, 30) + timedelta(hours=7 * n + (n % 3) * 2000) for n in range(300)]
    rows: list[tuple[Any, ...]] = [
        (m.date(), m, m.replace(tzinfo=UTC), ["CA", "o'", ""][m.day % 3]) for m in moments
    ]
    rows.append((date(2025, 1, 1), None, None, None))
    with psycopg.connect(stack_without_athena.database_url) as connection:
        connection.execute("set timezone = 'America/New_York'")
        connection.execute(
            "create temporary table t (d date, ts timestamp, tz timestamptz, state varchar(2))"
        )
        connection.cursor().executemany("insert into t values (%s, %s, %s, %s)", rows)
        groups = ", ".join(found.group_sql("t"))
        regions: dict[Any, int] = {}
        for *group, count in connection.execute(
            f"select {groups}, count(*) from t group by {groups}".encode()
        ):
            region = found.region_of(group)
            regions[region] = regions.get(region, 0) + count
        for region, count in regions.items():
            predicate = found.predicate([region], "t")
            assert connection.execute(f"select count(*) from t where {predicate}".encode()).fetchone() == (
                count,
            )
        everything = found.predicate(regions, "t")
        assert connection.execute(f"select count(*) from t where {everything}".encode()).fetchone() == (
            len(rows),
        )
    assert len(regions) > 1


@pytest.mark.parametrize(
    "column",
    [
        Column("ts", 2, "timestamp", SqlType("timestamp", precision=3), False),
        Column("ts", 0, "timestamp", SqlType("timestamp"), False, expression="ts", inputs=(STAMP,)),
    ],
)
def test_bounds_of_a_column_that_is_rounded_or_computed_are_none(column: Column) -> None:
    spec = {"fields": [{"source-id": 2, "transform": "day"}]}
    assert bounds_of(spec, [column]).fields == ()
    assert bounds_of(spec, [column, STAMP]).fields[0].column == STAMP
