"""Date and time functions. `date_format` and `date_parse` take MySQL's letters."""

from __future__ import annotations

from collections.abc import Sequence

from athena_local.sql.functions.signatures import Function, Type, failing, first, scalar
from athena_local.types import (
    BIGINT,
    DATE,
    DOUBLE,
    TIMESTAMP,
    TIMESTAMP_TZ,
    VARCHAR,
)


def _truncated(types: Sequence[Type]) -> Type:
    return types[1]


def _dated(types: Sequence[Type]) -> Type:
    return types[2]


def _date_trunc(types: Sequence[Type]) -> str:
    kind = types[1]
    return "CAST(date_trunc({0}, {1}) AS DATE)" if kind == DATE else "date_trunc({0}, {1})"


def _date_add(types: Sequence[Type]) -> str:
    text = f"CASE lower({{0}}) {_unit_cases('{1}')} ELSE {failing('Not a valid unit')} END"
    moved = f"({{2}} + {text})"
    return f"CAST({moved} AS DATE)" if types[2] == DATE else moved


def _unit_cases(amount: str) -> str:
    units = ["millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year"]
    factors = {"quarter": ("to_months", 3), "week": ("to_days", 7)}
    cases = []
    for unit in units:
        function, factor = factors.get(unit, (f"to_{unit}s", 1))
        cast = (
            "BIGINT" if function in {"to_milliseconds", "to_seconds", "to_minutes", "to_hours"} else "INTEGER"
        )
        times = f" * {factor}" if factor != 1 else ""
        cases.append(f"WHEN '{unit}' THEN {function}(CAST({amount}{times} AS {cast}))")
    return " ".join(cases)


def _from_unixtime(types: Sequence[Type]) -> str:
    return "to_timestamp({0})" if len(types) == 1 else "timezone({1}, to_timestamp({0}))"


def _iso(types: Sequence[Type]) -> str:
    kind = types[0]
    if kind == DATE:
        return "strftime({0}, '%Y-%m-%d')"
    if kind and kind.base == "timestamp":
        return "strftime({0}, '%Y-%m-%dT%H:%M:%S.%g')"
    return "strftime(timezone('UTC', {0}), '%Y-%m-%dT%H:%M:%S.%gZ')"


# MySQL's format letters, which date_format and date_parse take, in strftime's; order matters, for %i becomes %M
_MYSQL_LETTERS = [
    ("%M", "%B"), ("%W", "%A"), ("%i", "%M"), ("%s", "%S"), ("%h", "%I"), ("%e", "%-d"), ("%T", "%H:%M:%S"), ("%c", "%-m"),
    ("%k", "%-H"), ("%l", "%-I"), ("%v", "%V"), ("%x", "%G"), ("%r", "%I:%M:%S %p"),
]  # fmt: skip
_MYSQL_FORMAT = "{1}"
for _mysql, _strftime in _MYSQL_LETTERS:
    _MYSQL_FORMAT = f"replace({_MYSQL_FORMAT}, '{_mysql}', '{_strftime}')"

FUNCTIONS: dict[str, Function] = {
    "now": scalar("date_trunc('milliseconds', now())", TIMESTAMP_TZ, 0),
    "date": scalar("CAST({0} AS DATE)", DATE),
    "date_trunc": scalar(_date_trunc, _truncated, 2),
    "date_add": scalar(_date_add, _dated, 3),
    "date_diff": scalar(
        "CASE lower({0}) WHEN 'week' THEN date_sub('day', {1}, {2}) // 7 ELSE date_sub({0}, {1}, {2}) END",
        BIGINT,
        3,
    ),
    "date_format": scalar(f"strftime({{0}}, {_MYSQL_FORMAT})", VARCHAR, 2),
    "date_parse": scalar(f"CAST(strptime({{0}}, {_MYSQL_FORMAT}) AS TIMESTAMP)", TIMESTAMP, 2),
    "from_unixtime": scalar(_from_unixtime, TIMESTAMP_TZ, 1, 2),
    "to_unixtime": scalar("epoch({0})", DOUBLE),
    "to_milliseconds": scalar("CAST(epoch_ms({0}) AS BIGINT)", BIGINT),
    "from_iso8601_timestamp": scalar("CAST({0} AS TIMESTAMPTZ)", TIMESTAMP_TZ),
    "from_iso8601_date": scalar("CAST({0} AS DATE)", DATE),
    "to_iso8601": scalar(_iso, VARCHAR),
    "at_timezone": scalar("{0}", first, 2),
    "with_timezone": scalar("timezone({1}, {0})", TIMESTAMP_TZ, 2),
    "last_day_of_month": scalar("last_day({0})", DATE),
    "year": scalar("year({0})", BIGINT),
    "quarter": scalar("quarter({0})", BIGINT),
    "month": scalar("month({0})", BIGINT),
    "week": scalar("weekofyear({0})", BIGINT),
    "week_of_year": scalar("weekofyear({0})", BIGINT),
    "day": scalar("day({0})", BIGINT),
    "day_of_month": scalar("day({0})", BIGINT),
    "day_of_week": scalar("isodow({0})", BIGINT),
    "dow": scalar("isodow({0})", BIGINT),
    "day_of_year": scalar("dayofyear({0})", BIGINT),
    "doy": scalar("dayofyear({0})", BIGINT),
    "year_of_week": scalar("isoyear({0})", BIGINT),
    "yow": scalar("isoyear({0})", BIGINT),
    "hour": scalar("hour({0})", BIGINT),
    "minute": scalar("minute({0})", BIGINT),
    "second": scalar("second({0})", BIGINT),
    "millisecond": scalar("(millisecond({0}) % 1000)", BIGINT),
    "current_timezone": scalar("'UTC'", VARCHAR, 0),
}
