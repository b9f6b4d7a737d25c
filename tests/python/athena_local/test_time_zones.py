"""Timestamps with time zones: shown, read, cut and moved by the clock of their own zone, compared and grouped by instant."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from tests.python.athena_local.rendered import check, check_errors, types

from athena_local.errors import QueryError

Execute = Callable[..., Any]
Rows = Callable[..., list[tuple[Any, ...]]]
NEW_YORK = "timestamp '2025-01-01 22:30:00.000 America/New_York'"


def test_zoned_value_is_shown_in_its_zone(execute: Execute) -> None:
    check(
        execute,
        {
            NEW_YORK: "2025-01-01 22:30:00.000 America/New_York",
            "timestamp '2025-01-01 10:00:00 utc'": "2025-01-01 10:00:00 UTC",
            "timestamp '2025-01-01 10:00:00.123456 +05:30'": "2025-01-01 10:00:00.123456 +05:30",
            "timestamp '2025-01-01 10:00:00 UTC' at time zone 'America/New_York'": (
                "2025-01-01 05:00:00 America/New_York"
            ),
            "timestamp '2025-01-01 10:00:00' at time zone 'Asia/Tokyo'": "2025-01-01 19:00:00 Asia/Tokyo",
            "timestamp '2025-01-01 10:00:00 UTC' at time zone interval '-3' hour": "2025-01-01 07:00:00 -03:00",
            "at_timezone(timestamp '2025-01-01 10:00:00 UTC', 'Europe/Paris')": "2025-01-01 11:00:00 Europe/Paris",
            "with_timezone(timestamp '2021-08-01 07:00:00.000', 'America/Los_Angeles')": (
                "2021-08-01 07:00:00.000 America/Los_Angeles"
            ),
            "from_unixtime(0, 'Asia/Tokyo')": "1970-01-01 09:00:00.000 Asia/Tokyo",
            "from_unixtime(0, 5, 30)": "1970-01-01 05:30:00.000 +05:30",
            "from_iso8601_timestamp('2020-05-11T11:15:05')": "2020-05-11 11:15:05.000 UTC",
            "from_iso8601_timestamp('2020-05-11T11:15:05.055+01:00')": "2020-05-11 11:15:05.055 +01:00",
            "parse_datetime('2020-01-01 10:00 +02:00', 'yyyy-MM-dd HH:mm ZZ')": "2020-01-01 10:00:00.000 +02:00",
            "parse_datetime('03 Feb 2020 1:05 PM', 'dd MMM yyyy h:mm a')": "2020-02-03 13:05:00.000 UTC",
            "array[timestamp '2025-01-01 10:00:00 Europe/Paris']": "[2025-01-01 10:00:00 Europe/Paris]",
            "current_timezone()": "UTC",
        },
    )


def test_zoned_value_is_read_in_its_zone(execute: Execute) -> None:
    check(
        execute,
        {
            f"cast({NEW_YORK} as timestamp)": "2025-01-01 22:30:00.000",
            f"cast({NEW_YORK} as date)": "2025-01-01",
            f"cast({NEW_YORK} as time)": "22:30:00.000",
            f"cast({NEW_YORK} as time with time zone)": "22:30:00.000-05:00",
            f"cast({NEW_YORK} as varchar)": "2025-01-01 22:30:00.000 America/New_York",
            f"hour({NEW_YORK})": "22",
            f"day_of_week({NEW_YORK})": "3",
            f"timezone_hour({NEW_YORK})": "-5",
            "timezone_minute(timestamp '2025-01-01 10:00:00 +05:30')": "30",
            f"extract(timezone_hour from {NEW_YORK})": "-5",
            f"date_format({NEW_YORK}, '%Y-%m-%d %H:%i')": "2025-01-01 22:30",
            f"format_datetime({NEW_YORK}, 'yyyy-MM-dd HH:mm:ss.SSS ZZZ Z ZZ')": (
                "2025-01-01 22:30:00.000 America/New_York -0500 -05:00"
            ),
            f"to_iso8601({NEW_YORK})": "2025-01-01T22:30:00.000-05:00",
            "to_iso8601(timestamp '2020-01-01 10:00:00.000 UTC')": "2020-01-01T10:00:00.000Z",
            f"to_unixtime({NEW_YORK})": "1.7357886E9",
            f"last_day_of_month({NEW_YORK})": "2025-01-31",
            f"typeof({NEW_YORK})": "timestamp(3) with time zone",
            "cast('2025-01-01 10:00:00 Europe/Paris' as timestamp with time zone)": (
                "2025-01-01 10:00:00.000 Europe/Paris"
            ),
            "cast(timestamp '2025-01-01 10:00:00' as timestamp with time zone)": "2025-01-01 10:00:00.000 UTC",
            "cast(date '2025-01-01' as timestamp with time zone)": "2025-01-01 00:00:00.000 UTC",
        },
    )


def test_zoned_value_is_cut_and_moved_by_its_clock(execute: Execute) -> None:
    before = "timestamp '2025-03-29 10:00:00 Europe/Paris'"  # the day before clocks go forward
    check(
        execute,
        {
            "date_trunc('day', timestamp '2025-01-01 02:00:00.000 UTC' at time zone 'America/New_York')": (
                "2024-12-31 00:00:00.000 America/New_York"
            ),
            f"date_trunc('month', {NEW_YORK})": "2025-01-01 00:00:00.000 America/New_York",
            f"date_add('day', 1, {before})": "2025-03-30 10:00:00 Europe/Paris",
            f"date_add('hour', 24, {before})": "2025-03-30 11:00:00 Europe/Paris",
            f"{before} + interval '1' day": "2025-03-30 11:00:00.000 Europe/Paris",
            f"{before} + interval '1' month": "2025-04-29 10:00:00 Europe/Paris",
            f"date_diff('day', {before}, timestamp '2025-03-30 08:00:00 UTC')": "1",
            f"timestamp '2025-03-30 10:00:00 Europe/Paris' - {before}": "0 23:00:00.000",
            # an hour that comes twice is the first one, an hour that never comes is as long after the change
            "to_unixtime(timestamp '2025-11-02 01:30:00 America/New_York')": "1.7620614E9",
            "to_unixtime(with_timezone(timestamp '2025-11-02 01:30:00', 'America/New_York'))": "1.7620614E9",
            "with_timezone(timestamp '2025-03-30 02:30:00', 'Europe/Paris')": "2025-03-30 03:30:00 Europe/Paris",
        },
    )


def test_zoned_values_compare_by_instant(execute: Execute) -> None:
    check(
        execute,
        {
            "timestamp '2025-01-01 10:00:00 UTC' = timestamp '2025-01-01 11:00:00 Europe/Paris'": "true",
            "timestamp '2025-01-01 10:00:00 UTC' > date '2025-01-01'": "true",
            "from_iso8601_timestamp('2025-01-01T10:00:00+02:00') between timestamp '2025-01-01 08:00:00'"
            " and timestamp '2025-01-01 08:00:00'": "true",
            "from_iso8601_timestamp('2025-01-01T10:00:00Z') in (timestamp '2025-01-01 11:00:00 +01:00')": "true",
            "timestamp '2025-01-01 10:00:00 UTC' is distinct from timestamp '2025-01-01 11:00:00 +01:00'": "false",
            "case timestamp '2025-01-01 10:00:00 UTC' when timestamp '2025-01-01 11:00:00 +01:00' then 1 end": "1",
        },
    )


def test_zones_that_differ_by_row_are_kept(rows: Rows, execute: Execute) -> None:
    values = "(values (timestamp '2025-01-01 10:00:00', 'Europe/Paris'), (timestamp '2025-07-01 10:00:00', '+01:00'))"
    result = execute(
        f"select cast(y as varchar), hour(y at time zone 'UTC'), cast(date_trunc('day', y) as varchar), cast(y as timestamp)"
        f" from (select with_timezone(x, z) y from {values} t(x, z)) order by y"
    )
    found = [tuple(row.values()) for batch in result.batches for row in batch.to_pylist()]
    assert found == [
        (
            "2025-01-01 10:00:00 Europe/Paris",
            9,
            "2025-01-01 00:00:00 Europe/Paris",
            datetime.datetime(2025, 1, 1, 10),
        ),
        ("2025-07-01 10:00:00 +01:00", 9, "2025-07-01 00:00:00 +01:00", datetime.datetime(2025, 7, 1, 10)),
    ]
    mixed = "(values timestamp '2025-01-01 10:00:00 UTC', timestamp '2025-01-01 10:00:00 +02:00') t(x)"
    assert rows(f"select cast(x as varchar) from {mixed} order by x") == [
        ("2025-01-01 10:00:00 +02:00",),
        ("2025-01-01 10:00:00 UTC",),
    ]


def test_one_zone_for_a_column_groups_by_instant(rows: Rows) -> None:
    assert rows(
        "select cast(day as varchar), n from (select date_trunc('day', x at time zone 'Europe/Paris') as day, count(*) n"
        " from (values timestamp '2025-01-01 22:30:00 UTC', timestamp '2025-01-01 23:30:00 UTC',"
        " timestamp '2025-01-02 10:00:00 UTC') t(x) group by 1) order by day"
    ) == [("2025-01-01 00:00:00 Europe/Paris", 1), ("2025-01-02 00:00:00 Europe/Paris", 2)]


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("select {x}, count(*) from {t} group by 1", "GROUP BY"),
        ("select distinct {x} from {t}", "DISTINCT"),
        ("select count(distinct {x}) from {t}", "DISTINCT"),
        ("select rank() over (partition by {x} order by y) from {t}", "PARTITION BY"),
        ("select {x} from {t} union select {x} from {t}", "UNION"),
    ],
)
def test_telling_zones_by_row_apart_is_refused(rows: Rows, sql: str, what: str) -> None:
    with pytest.raises(
        QueryError, match=f"NOT_SUPPORTED: .*{what} of timestamps with time zones that differ by row"
    ):
        rows(sql.format(x="from_iso8601_timestamp(y)", t="(values '2025-01-01T10:00:00Z') t(y)"))


@pytest.mark.parametrize("kind", ["hive", "iceberg"])
def test_zoned_value_stored_without_zone_is_its_own_clocks(
    execute: Execute, rows: Rows, lake: str, kind: str
) -> None:
    where = f"location '{lake}t/'"
    if kind == "iceberg":
        execute(f"create table t (a timestamp) {where} tblproperties ('table_type' = 'ICEBERG')")
    else:
        execute(f"create external table t (a timestamp) stored as parquet {where}")
    execute(f"insert into t select {NEW_YORK}")
    execute("insert into t select from_iso8601_timestamp(x) from (values '2025-01-01T10:00:00+02:00') v(x)")
    assert sorted(rows("select a from t")) == [
        (datetime.datetime(2025, 1, 1, 10, 0),),
        (datetime.datetime(2025, 1, 1, 22, 30),),
    ]


def test_update_and_merge_store_a_zoned_values_own_clock(execute: Execute, rows: Rows, lake: str) -> None:
    where = f"location '{lake}t/' tblproperties ('table_type' = 'ICEBERG')"
    execute(f"create table t (id int, a timestamp) {where}")
    execute("insert into t values (1, timestamp '2020-01-01 00:00:00'), (2, timestamp '2020-01-01 00:00:00')")
    execute(f"update t set a = {NEW_YORK} where id = 1")
    execute(
        "merge into t using (select 2 id, from_iso8601_timestamp('2025-01-01T10:00:00+02:00') b) s on t.id = s.id"
        " when matched then update set a = s.b"
    )
    assert rows("select id, a from t order by id") == [
        (1, datetime.datetime(2025, 1, 1, 22, 30)),
        (2, datetime.datetime(2025, 1, 1, 10, 0)),
    ]


def test_zoned_column_of_iceberg_keeps_the_instant(execute: Execute, rows: Rows, lake: str) -> None:
    execute(
        f"create table t with (table_type = 'ICEBERG', is_external = false, location = '{lake}t/') as"
        f" select cast(from_iso8601_timestamp(x) as timestamp(6) with time zone) a,"
        f" cast({NEW_YORK} as timestamp(6) with time zone) b from (values '2025-01-01T10:00:00+02:00') v(x)"
    )
    assert rows("select cast(a as varchar), cast(b as varchar) from t") == [
        ("2025-01-01 08:00:00.000000 UTC", "2025-01-02 03:30:00.000000 UTC")
    ]


def test_zones_that_do_not_exist_are_refused(execute: Execute) -> None:
    check_errors(
        execute,
        {
            "timestamp '2025-01-01 10:00:00 UTC' at time zone 'Nowhere/Else'": "INVALID_FUNCTION_ARGUMENT:"
            " line 1:57: Time zone not supported: Nowhere/Else",
            "at_timezone(current_timestamp, x) from (values 'x') t(x)": "INVALID_FUNCTION_ARGUMENT: Time zone not supported",
            "timestamp '2025-01-01 10:00:00 Nowhere/Else'": "INVALID_LITERAL: line 1:8:"
            " '2025-01-01 10:00:00 Nowhere/Else' is not a valid TIMESTAMP literal",
            "date '2025-01-01' at time zone 'UTC'": "TYPE_MISMATCH: line 1:",
        },
    )


def test_zoned_types_are_told(execute: Execute) -> None:
    expected = {
        "current_timestamp": "timestamp(3) with time zone",
        "current_timestamp(6)": "timestamp(6) with time zone",
        "localtimestamp(0)": "timestamp(0)",
        "timestamp '2025-01-01 10:00:00 UTC'": "timestamp(0) with time zone",
        "timestamp '2025-01-01 10:00:00.12' at time zone 'UTC'": "timestamp(2) with time zone",
        "from_unixtime(0)": "timestamp(3) with time zone",
    }
    assert types(execute, list(expected)) == expected
