"""Types: what literals are, how values are shown, cast, compared and reckoned with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.python.athena_local.rendered import check, check_errors, types

from athena_local.errors import QueryError

Execute = Callable[..., Any]
RunQuery = Callable[..., list[tuple[str | None, ...]]]


def test_result_columns_are_those_measured_on_athena(execute: Execute, run_query: RunQuery) -> None:
    sql = (
        "select timestamp '2026-09-17 12:34:56.789', timestamp '2026-09-17 12:34:56.789 UTC', time '12:34:56.789',"
        " time '12:34:56.789+00:00', interval '1' day, interval '1' year,"
        " cast('12151fd2-7586-11e9-8f9e-2a86e4085a59' as uuid), cast('10.0.0.1' as ipaddress), 'abc', cast('a' as char(3))"
    )
    result = execute(sql)
    list(result.batches)
    assert [(column.type, column.precision) for column in result.columns] == [
        ("timestamp", 3),
        ("timestamp with time zone", 3),
        ("time", 3),
        ("time with time zone", 3),
        ("interval day to second", 0),
        ("interval year to month", 0),
        ("uuid", 0),
        ("ipaddress", 0),
        ("varchar", 3),
        ("char", 3),
    ]
    assert run_query(sql) == [
        (
            "2026-09-17 12:34:56.789",
            "2026-09-17 12:34:56.789 UTC",
            "12:34:56.789",
            "12:34:56.789+00:00",
            "1 00:00:00.000",
            "1-0",
            "12151fd2-7586-11e9-8f9e-2a86e4085a59",
            "10.0.0.1",
            "abc",
            "a  ",
        )
    ]


def test_literals_have_the_type_written(execute: Execute) -> None:
    expected = {
        "1": "integer",
        "2147483648": "bigint",
        "1.5": "double",
        "decimal '1.10'": "decimal(3,2)",
        "''": "varchar(0)",
        "'äöü'": "varchar(3)",
        "char 'ab'": "char(2)",
        "time '01:02:03'": "time(0)",
        "time '01:02:03.456 -08:00'": "time(3) with time zone",
        "timestamp '2020-01-01 00:00:00'": "timestamp(0)",
        "timestamp '2020-01-01 00:00:00.123456789'": "timestamp(9)",
        "timestamp '2020-01-01'": "timestamp(0)",
        "interval '1' month": "interval year to month",
        "interval '1' second": "interval day to second",
        "ipaddress '10.0.0.1'": "ipaddress",
        "uuid '12151fd2-7586-11e9-8f9e-2a86e4085a59'": "uuid",
        "json '1'": "json",
        "null": "unknown",
    }
    assert types(execute, list(expected)) == expected


def test_numbers_have_javas_text(execute: Execute) -> None:
    check(
        execute,
        {
            "1e10": "1.0E10",
            "1e7": "1.0E7",
            "9999999e0": "9999999.0",
            "1e-3": "0.001",
            "1e-4": "1.0E-4",
            "real '3.4028235e38'": "3.4028235E38",
            "cast(1.5e0 as varchar)": "1.5E0",
            "cast(0e0 as varchar)": "0E0",
            "cast(-12345e0 as varchar)": "-1.2345E4",
            "cast(infinity() as varchar)": "Infinity",
            "cast(real '37.7' as varchar)": "3.77E1",
            "cast(decimal '1.50' as varchar)": "1.50",
            "cast(true as varchar)": "true",
        },
    )


def test_casts_round_and_read_as_trino(execute: Execute) -> None:
    check(
        execute,
        {
            "cast(2.5e0 as integer)": "3",
            "cast(-2.5e0 as integer)": "-3",
            "cast(decimal '2.5' as bigint)": "3",
            "cast(1e0 / 3 as decimal(5,2))": "0.33",
            "cast('12' as double)": "12.0",
            "cast('t' as boolean)": "true",
            "cast(2 as boolean)": "true",
            "cast('abc' as varchar(2))": "ab",
            "cast('2020-1-2' as date)": "2020-01-02",
            "cast(' 2020-01-02 ' as date)": "2020-01-02",
            "cast('10:11' as time)": "10:11:00.000",
            "cast(time '10:11:12.5' as varchar)": "10:11:12.5",
            "cast(timestamp '2020-01-01 10:11:12' as time)": "10:11:12.000",
            "cast(timestamp '2020-01-01 10:00:00.9999' as timestamp(3))": "2020-01-01 10:00:01.000",
            "cast(timestamp '2020-01-01 10:00:00.123456789' as timestamp(6))": "2020-01-01 10:00:00.123457",
            "cast('2025-01-01 10:00:00' as timestamp(6))": "2025-01-01 10:00:00.000000",
            "cast(date '2020-01-01' as timestamp)": "2020-01-01 00:00:00.000",
            "cast(timestamp '2020-01-01 10:00:00.1' as varchar)": "2020-01-01 10:00:00.1",
            "cast('a' as varbinary)": "61",
            "cast(array['1', '2'] as array(integer))": "[1, 2]",
            "cast(map(array['1'], array[2]) as map(integer, varchar))": "{1=2}",
            "cast(row(1, '2') as row(a varchar, b integer))": "{a=1, b=2}",
            "cast(interval '1' day as varchar)": "1 00:00:00.000",
            "cast(interval '14' month as varchar)": "1-2",
            "try_cast(300 as tinyint)": None,
            "try_cast(array['1', 'x'] as array(integer))": None,
        },
    )


def test_casts_are_refused_as_by_trino(execute: Execute) -> None:
    check_errors(
        execute,
        {
            "cast('x' as integer)": "INVALID_CAST_ARGUMENT: Cannot cast 'x' to INT",
            "cast(' 1' as bigint)": "INVALID_CAST_ARGUMENT: Cannot cast ' 1' to BIGINT",
            "cast('x' as double)": "INVALID_CAST_ARGUMENT: Cannot cast 'x' to DOUBLE",
            "cast('yes' as boolean)": "INVALID_CAST_ARGUMENT: Cannot cast 'yes' to BOOLEAN",
            "cast('x' as date)": "INVALID_CAST_ARGUMENT: Value cannot be cast to date: x",
            "cast('2020-01-01 10:00:00' as date)": "INVALID_CAST_ARGUMENT: Value cannot be cast to date: 2020-01-01 10",
            "cast('x' as timestamp)": "INVALID_CAST_ARGUMENT: Value cannot be cast to timestamp: x",
            "cast('1.1.1' as ipaddress)": "INVALID_CAST_ARGUMENT: Cannot cast value to IPADDRESS: 1.1.1",
            "cast(300 as tinyint)": "INVALID_CAST_ARGUMENT: Out of range for tinyint: 300",
            "cast(123.4e0 as decimal(3,1))": "INVALID_CAST_ARGUMENT: Cannot cast DOUBLE '123.4' to DECIMAL(3, 1)",
            "cast(12345 as varchar(2))": "INVALID_CAST_ARGUMENT: Value 12345 cannot be represented as varchar(2)",
            "cast(json '[1]' as varchar)": "INVALID_CAST_ARGUMENT: Cannot cast '[1]' to varchar",
            "cast(1 as date)": "TYPE_MISMATCH: line 1:8: Cannot cast integer to date",
            "cast(x'61' as varchar)": "TYPE_MISMATCH: line 1:8: Cannot cast varbinary to varchar",
            "cast(array[1] as array(date))": "TYPE_MISMATCH: line 1:8: Cannot cast array(integer) to array(date)",
            "try_cast(1 / 0 as varchar)": "DIVISION_BY_ZERO",
            "cast(1 as nothing)": "TYPE_NOT_FOUND: line 1:8: Unknown type: nothing",
            "cast(1 as hyperloglog)": "NOT_SUPPORTED",
            "date '2020-13-01'": "INVALID_LITERAL: line 1:8: '2020-13-01' is not a valid DATE literal",
            "timestamp '2020-02-30 00:00:00'": "INVALID_LITERAL: line 1:8: '2020-02-30 00:00:00' is not a valid",
            "time '25:00:00'": "INVALID_LITERAL: line 1:8: '25:00:00' is not a valid TIME literal",
            "date '2020-01-01' + interval '1' hour": "INVALID_FUNCTION_ARGUMENT: Cannot add hour, minutes or seconds",
            "date '2020-01-01' + 1": "TYPE_MISMATCH: line 1:26: Cannot apply operator: date + integer",
            "interval '1' day + interval '1' month": "TYPE_MISMATCH: line 1:25: Cannot apply operator:",
        },
    )


def test_char_is_padded_where_it_is_seen(execute: Execute) -> None:
    check(
        execute,
        {
            "cast('ab' as char(5))": "ab   ",
            "cast('abcdef' as char(3))": "abc",
            "length(cast('ab' as char(5)))": "5",
            "cast('ab' as char(5)) = 'ab'": "true",
            "cast('ab' as char(5)) = cast('ab' as char(2))": "true",
            "cast(cast('ab' as char(4)) as varchar) || '|'": "ab  |",
            "array[cast('a' as char(2))]": "[a ]",
        },
    )


def test_intervals_reckon(execute: Execute) -> None:
    check(
        execute,
        {
            "interval '1-2' year to month": "1-2",
            "interval '2 03:04:05.678' day to second": "2 03:04:05.678",
            "interval '10:20' hour to minute": "0 10:20:00.000",
            "interval -'3' day": "-3 00:00:00.000",
            "interval '-3' hour": "-0 03:00:00.000",
            "interval '1' day * 2.5e0": "2 12:00:00.000",
            "interval '1' year / 2": "0-6",
            "interval '1' hour + interval '90' minute": "0 02:30:00.000",
            "interval '1' day > interval '23' hour": "true",
            "-interval '1' day": "-1 00:00:00.000",
            "date '2020-01-31' + interval '1' month": "2020-02-29",
            "date '2020-03-01' - interval '1' day": "2020-02-29",
            "timestamp '2020-01-01 00:00:00' - interval '2' hour": "2019-12-31 22:00:00.000",
            "timestamp '2020-01-02 00:00:00' - timestamp '2020-01-01 12:00:00'": "0 12:00:00.000",
            "date '2020-01-03' - date '2020-01-01'": "2 00:00:00.000",
            "time '23:00:00' + interval '2' hour": "01:00:00",
            "year(interval '38' month)": "3",
            "month(interval '38' month)": "2",
            "hour(interval '26' hour)": "2",
            "sum(interval '12' hour)": "0 12:00:00.000",
        },
    )


def test_times_and_addresses_compare(execute: Execute) -> None:
    check(
        execute,
        {
            "time '01:02:03.456 -08:00'": "01:02:03.456-08:00",
            "time '10:00:00 +02:00' < time '09:30:00 +01:00'": "true",
            "cast(time '10:00:00' as time with time zone)": "10:00:00.000+00:00",
            "date_diff('minute', time '10:00:00', time '10:30:00')": "30",
            "date_trunc('hour', time '10:30:00')": "10:00:00",
            "ipaddress '10.0.0.9' < ipaddress '10.0.0.10'": "true",
            "cast(ipaddress '2001:db8::0:1' as varchar)": "2001:db8::1",
            "cast(ipaddress '10.0.0.1' as varbinary)": "00 00 00 00 00 00 00 00 00 00 ff ff 0a 00 00 01",
            "contains('10.0.0.0/8', ipaddress '10.1.1.1')": "true",
            "cast(uuid '12151fd2-7586-11e9-8f9e-2a86e4085a59' as varbinary)": (
                "12 15 1f d2 75 86 11 e9 8f 9e 2a 86 e4 08 5a 59"
            ),
        },
    )


def test_date_functions_give_trinos_values(execute: Execute) -> None:
    check(
        execute,
        {
            "date_diff('month', date '2020-01-31', date '2020-02-29')": "1",
            "date_diff('month', date '2020-01-31', date '2020-03-30')": "1",
            "date_diff('week', date '2020-01-16', date '2020-01-01')": "-2",
            "date_diff('day', timestamp '2020-01-02 00:00:00', timestamp '2020-01-01 00:00:01')": "0",
            "date_diff('second', timestamp '2020-03-01 00:00:00', timestamp '2020-03-02 00:00:00')": "86400",
            "date_add('month', 1, date '2020-01-31')": "2020-02-29",
            "date_add('second', 86, timestamp '2020-03-01 00:00:00')": "2020-03-01 00:01:26",
            "date_add('quarter', -1, date '2020-01-01')": "2019-10-01",
            "date_trunc('week', date '2001-08-22')": "2001-08-20",
            "date_trunc('quarter', timestamp '2001-08-22 03:04:05.321')": "2001-07-01 00:00:00.000",
            "date_format(timestamp '2001-01-09 13:04:05.321', '%a %b %c %d %e %f %H %h %i %j %k %l')": (
                "Tue Jan 1 09 9 321000 13 01 04 009 13 1"
            ),
            "date_format(timestamp '2001-01-09 13:04:05', '%M %m %p %S %W %Y %y %T %r %%')": (
                "January 01 PM 05 Tuesday 2001 01 13:04:05 01:04:05 PM %"
            ),
            "date_parse('2020-01-02 03:04:05', '%Y-%m-%d %H:%i:%s')": "2020-01-02 03:04:05.000",
            "date_parse('02/Jan/20', '%d/%b/%y')": "2020-01-02 00:00:00.000",
            "format_datetime(timestamp '2001-08-22 03:04:05.321', 'YYYY-MM-dd''T''HH:mm:ss.SSS EEE D w')": (
                "2001-08-22T03:04:05.321 Wed 234 34"
            ),
            "to_iso8601(date '2001-08-22')": "2001-08-22",
            "to_iso8601(timestamp '2001-08-22 03:04:05.321')": "2001-08-22T03:04:05.321",
            "from_iso8601_date('2020-W01')": "2019-12-30",
            "from_iso8601_date('2020-123')": "2020-05-02",
            "day_of_week(date '2020-01-05')": "7",
            "year_of_week(date '2021-01-01')": "2020",
            "week(date '2021-01-01')": "53",
            "millisecond(timestamp '2020-01-01 00:00:07.123')": "123",
            "last_day_of_month(date '2020-02-03')": "2020-02-29",
            "from_unixtime(1.5e0)": "1970-01-01 00:00:01.500 UTC",
            "to_unixtime(timestamp '1970-01-01 00:00:01')": "1.0",
        },
    )
    check_errors(
        execute,
        {
            "date_trunc('days', current_date)": "INVALID_FUNCTION_ARGUMENT: 'days' is not a valid DATE field",
            "date_trunc('hour', current_date)": "INVALID_FUNCTION_ARGUMENT: 'hour' is not a valid DATE field",
            "date_add('decade', 1, now())": "INVALID_FUNCTION_ARGUMENT: 'decade' is not a valid Timestamp field",
            "date_parse('x', '%Y')": 'INVALID_FUNCTION_ARGUMENT: Invalid format: "x"',
            "date_format(now(), '%U')": "INVALID_FUNCTION_ARGUMENT: %U not supported in date format string",
            "date_diff('day', '2020-01-01', current_date)": "FUNCTION_NOT_FOUND: line 1:8: Unexpected parameters"
            " (varchar(3), varchar(10), date) for function date_diff. Expected: date_diff(varchar(x), date, date),",
        },
    )


def test_text_too_long_for_its_column_is_refused(execute: Execute, lake: str) -> None:
    execute(f"create external table t (a varchar(2)) stored as parquet location '{lake}t/'")
    execute("insert into t select 'ab  '")
    with pytest.raises(QueryError) as caught:
        execute("insert into t select 'abc'")
    assert str(caught.value) == (
        "INVALID_CAST_ARGUMENT: Cannot truncate non-space characters when casting from varchar(3) to varchar(2) on INSERT"
    )
