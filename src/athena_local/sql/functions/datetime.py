"""Date and time functions. A value with a zone is read, cut and moved by the clock of its own zone.

`date_format` and `date_parse` take MySQL's letters, `format_datetime` and `parse_datetime` Joda's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql import zones
from athena_local.sql.casts import cast
from athena_local.sql.dialect import Text
from athena_local.sql.functions.mysql_formats import format_text
from athena_local.sql.functions.signatures import Call, Function, failing, scalar, table
from athena_local.sql.scope import Typed, position_of
from athena_local.types import BY_ROW, DATE, TIMESTAMP_TZ, VARCHAR, AthenaType

_STAMP = "timestamp(p)"
_ZONED = "timestamp(p) with time zone"
_DATE_UNITS = ("day", "week", "month", "quarter", "year")
_TIME_UNITS = ("millisecond", "second", "minute", "hour")


def _by_clock(template: str, *, returns: str, kinds: tuple[str, ...] = ("date", _STAMP)) -> dict[str, Any]:
    """`template` of a value without zone; one with a zone is read in it."""
    pairs: list[Any] = []
    for kind in kinds:
        pairs += [f"{kind} -> {returns}", template]
    pairs += [f"{_ZONED} -> {returns}", _read(template)]
    return scalar(*pairs)


def _read(template: str) -> Callable[[Call], Typed]:
    def fill(call: Call) -> Typed:
        nodes = [_local(part) if part.type and part.type.is_zoned else part.node for part in call.parts]
        return Typed(Text(this=template, expressions=nodes), call.returns)

    return fill


def _local(part: Typed) -> exp.Expression:
    assert part.type is not None
    return zones.local(part.node, part.type)


def back_in_zone(local: exp.Expression, part: Typed) -> Typed:
    """Return the zoned value that a clock in `part`'s zone shows as `local`."""
    kind = part.type or TIMESTAMP_TZ
    if kind.zone == BY_ROW:
        name = zones.zone_name(part.node, kind)
        text = "timezone(CASE WHEN ({1})[1] IN ('+', '-') THEN 'GMT' || {1} ELSE {1} END, {0})"
        return Typed(zones.zoned_by_row(Text(this=text, expressions=[local, name]), name), kind)
    return Typed(zones.from_local(local, kind.zone or "UTC"), kind)


def _unit(call: Call, allowed: tuple[str, ...], what: str) -> str | None:
    """Return the unit when it is written out; refuses one Trino has not."""
    written = call.text(0)
    if written is None:
        return None
    if written.lower() not in allowed:
        raise QueryError("INVALID_FUNCTION_ARGUMENT", f"'{written}' is not a valid {what} field")
    return written.lower()


def _date_trunc(call: Call) -> Typed:
    kind, part = call.types[1], call.parts[1]
    if kind is None:
        return Typed(Text(this="date_trunc({0}, {1})", expressions=[item.node for item in call.parts]), None)
    what = {"date": "DATE", "time": "Time"}.get(kind.base, "Timestamp")
    allowed = (
        _DATE_UNITS if kind == DATE else _TIME_UNITS if kind.base == "time" else _TIME_UNITS + _DATE_UNITS
    )
    _unit(call, allowed, what)
    unit = call.parts[0].node
    if kind.base == "time":
        text = "CAST(date_trunc({0}, DATE '2000-01-01' + {1}) AS TIME)"
        return Typed(Text(this=text, expressions=[unit, part.node]), kind)
    if kind == DATE:
        return Typed(Text(this="CAST(date_trunc({0}, {1}) AS DATE)", expressions=[unit, part.node]), kind)
    if not kind.is_zoned:
        return Typed(Text(this="date_trunc({0}, {1})", expressions=[unit, part.node]), kind)
    return back_in_zone(Text(this="date_trunc({0}, {1})", expressions=[unit, _local(part)]), part)


def _date_add(call: Call) -> Typed:
    kind, part = call.types[2], call.parts[2]
    if kind is None:
        kind = DATE
    what = {"date": "DATE", "time": "Time"}.get(kind.base, "Timestamp")
    allowed = (
        _DATE_UNITS if kind == DATE else _TIME_UNITS if kind.base == "time" else _TIME_UNITS + _DATE_UNITS
    )
    unit = _unit(call, allowed, what)
    nodes = [call.parts[0].node, call.parts[1].node]
    if unit in _TIME_UNITS or not kind.is_zoned:
        value = zones.instant(part.node, kind) if kind.is_zoned else part.node
        moved = Text(this=f"({{2}} + {_interval(unit)})", expressions=[*nodes, value])
        if kind.zone == BY_ROW:
            return Typed(zones.zoned_by_row(moved, zones.zone_name(part.node, kind)), kind)
        return Typed(Text(this="CAST({0} AS DATE)", expressions=[moved]) if kind == DATE else moved, kind)
    moved = Text(this=f"({{2}} + {_interval(unit)})", expressions=[*nodes, _local(part)])
    return back_in_zone(moved, part)


def _interval(unit: str | None) -> str:
    return (
        _step(unit) if unit else f"CASE lower({{0}}) {_unit_cases()} ELSE {failing('Not a valid unit')} END"
    )


def _step(unit: str) -> str:
    function, factor = {"quarter": ("to_months", 3), "week": ("to_days", 7)}.get(unit, (f"to_{unit}s", 1))
    size = "BIGINT" if unit in _TIME_UNITS else "INTEGER"
    times = f" * {factor}" if factor != 1 else ""
    return f"{function}(CAST({{1}}{times} AS {size}))"


def _unit_cases() -> str:
    return " ".join(f"WHEN '{unit}' THEN {_step(unit)}" for unit in _TIME_UNITS + _DATE_UNITS)


def _date_diff(call: Call) -> str | Typed:
    kind = call.types[1]
    base = kind.base if kind is not None else "timestamp"
    what = {"date": "DATE", "time": "Time"}.get(base, "Timestamp")
    allowed = _DATE_UNITS if base == "date" else _TIME_UNITS if base == "time" else _TIME_UNITS + _DATE_UNITS
    unit = _unit(call, allowed, what)
    nodes = [call.parts[0].node, call.parts[1].node, call.parts[2].node]
    if kind is not None and kind.is_zoned:
        first, second = call.parts[1], call.parts[2]
        if unit in _TIME_UNITS:
            nodes[1:] = [zones.instant(part.node, part.type or TIMESTAMP_TZ) for part in (first, second)]
        else:  # by the calendar of the first value's zone
            later = zones.instant(second.node, second.type or TIMESTAMP_TZ)
            here = (first.type or TIMESTAMP_TZ).zone
            seen = Typed(zones.zoned_by_row(later, zones.zone_name(first.node, kind)), kind.in_zone(BY_ROW))
            nodes[1:] = [_local(first), _local(seen if here == BY_ROW else Typed(later, kind.in_zone(here)))]
    text = "date_sub({0}, {1}, {2})"
    if unit == "week":
        text = "(date_sub('day', {1}, {2}) // 7)"
    elif unit is None:
        text = f"CASE lower({{0}}) WHEN 'week' THEN date_sub('day', {{1}}, {{2}}) // 7 ELSE {text} END"
    return Typed(Text(this=text, expressions=nodes), call.returns)


def _date_format(call: Call) -> Typed:
    part = call.parts[0]
    value = _local(part) if part.type and part.type.is_zoned else part.node
    return Typed(
        Text(this=f"strftime({{0}}, {format_text(call)})", expressions=[value, call.parts[1].node]), VARCHAR
    )


def _date_parse(call: Call) -> str:
    wrong = "trino_fail('ATHENA!INVALID_FUNCTION_ARGUMENT!Invalid format: \"' || {0} || '\"!END')"
    # a `{{` or `}}` in a format would be taken for a hole, so the format goes in as an argument where it is not a literal
    return (
        f"CASE WHEN {{0}} IS NOT NULL THEN date_trunc('milliseconds', coalesce(try_strptime({{0}}, {format_text(call)}),"
        f" CAST({wrong} AS TIMESTAMP))) END"
    )


def _format_datetime(call: Call) -> Typed:
    part = call.parts[0]
    kind = part.type or TIMESTAMP_TZ
    nodes = [zones.instant(part.node, kind), zones.zone_name(part.node, kind), call.parts[1].node]
    return Typed(Text(this="trino_format_datetime({0}, {1}, {2})", expressions=nodes), VARCHAR)


def _by_row(template: str) -> Callable[[Call], Typed]:
    def fill(call: Call) -> Typed:
        node = Text(this=template, expressions=[part.node for part in call.parts])
        return Typed(node, TIMESTAMP_TZ.in_zone(BY_ROW))

    return fill


def in_zone(part: Typed, zone: Typed, source: exp.Expression, node: exp.Expression) -> Typed:
    """Return the same instant seen in another zone."""
    kind = part.type or TIMESTAMP_TZ
    instant = zones.instant(part.node, kind)
    if isinstance(source, exp.Literal):
        return Typed(instant, kind.in_zone(zones.checked(source.name, position_of(node))))
    name = Text(this="trino_valid_zone({0})", expressions=[zone.node])
    return Typed(zones.zoned_by_row(instant, name), kind.in_zone(BY_ROW))


def _at_timezone(call: Call) -> Typed:
    return in_zone(call.parts[0], call.parts[1], call.sources[1], call.node)


def _with_timezone(call: Call) -> Typed:
    part, source = call.parts[0], call.sources[1]
    kind = AthenaType("timestamp with time zone", part.type.precision if part.type else 3)
    written = call.text(1)
    if written is not None:
        zone = zones.checked(written, position_of(source))
        return Typed(zones.from_local(part.node, zone), kind.in_zone(zone))
    name = Text(this="trino_valid_zone({0})", expressions=[call.parts[1].node])
    return back_in_zone(part.node, Typed(_named(name), kind.in_zone(BY_ROW)))


def _named(name: exp.Expression) -> exp.Expression:
    """A zoned value of which only the zone is asked."""
    return Text(this="{'instant': CAST(NULL AS TIMESTAMPTZ), 'zone': {0}}", expressions=[name])


_UNIX = "to_timestamp(round({0} * 1000) / 1000)"


def _from_unixtime(call: Call) -> Typed:
    moment = Typed(Text(this=_UNIX, expressions=[call.parts[0].node]), TIMESTAMP_TZ)
    if len(call.parts) == 1:
        return moment
    if len(call.parts) == 2:
        return in_zone(moment, call.parts[1], call.sources[1], call.node)
    text = "printf('%s%02d:%02d', CASE WHEN {0} < 0 OR {1} < 0 THEN '-' ELSE '+' END, abs({0}), abs({1}))"
    name = Text(this=text, expressions=[part.node for part in call.parts[1:]])
    return Typed(zones.zoned_by_row(moment.node, name), TIMESTAMP_TZ.in_zone(BY_ROW))


def _to_iso8601(call: Call) -> str | Typed:
    kind, part = call.types[0], call.parts[0]
    if kind is None or kind == DATE:
        return "strftime({0}, '%Y-%m-%d')"
    digits = kind.precision if kind.precision is not None else 3
    if kind.is_zoned:
        nodes = [zones.instant(part.node, kind), zones.zone_name(part.node, kind)]
        return Typed(Text(this=f"trino_to_iso8601({{0}}, {{1}}, {digits})", expressions=nodes), VARCHAR)
    fraction = {0: "", 3: ".%g"}.get(digits, ".%f")
    return f"strftime({{0}}, '%Y-%m-%dT%H:%M:%S{fraction}')"


def _offset(template: str) -> Callable[[Call], Typed]:
    def fill(call: Call) -> Typed:
        part = call.parts[0]
        kind = part.type or TIMESTAMP_TZ
        seconds = Text(
            this="(epoch({0}) - epoch({1}))", expressions=[_local(part), zones.instant(part.node, kind)]
        )
        return Typed(Text(this=template, expressions=[seconds]), call.returns)

    return fill


def _instant_of(template: str) -> Callable[[Call], Typed]:
    def fill(call: Call) -> Typed:
        part = call.parts[0]
        node = zones.instant(part.node, part.type or TIMESTAMP_TZ)
        return Typed(Text(this=template, expressions=[node]), call.returns)

    return fill


def _to_date(call: Call) -> Typed:
    return Typed(cast(call.parts[0], DATE, safe=False, node=call.node), DATE)


def _part(word: str, *, clock: bool = False, months: bool = False) -> dict[str, Any]:
    """year(), hour() …: of dates and timestamps, hours and below of times too, and of the interval that has the field."""
    kinds = (_STAMP, "time(p)") if clock else ("date", _STAMP)
    template = f"CAST({word}({{0}}) AS BIGINT)"
    if word == "millisecond":
        template = "CAST(millisecond({0}) % 1000 AS BIGINT)"
    entry = _by_clock(template, returns="bigint", kinds=kinds)["overloads"]
    interval = _INTERVAL_PARTS.get(word)
    if interval is not None:
        name = "interval year to month" if months else "interval day to second"
        entry = (*entry, *scalar(f"{name} -> bigint", interval)["overloads"])
    return {"overloads": entry}


_MILLIS = "CAST(epoch_ms({0}) AS BIGINT)"
_INTERVAL_PARTS = {
    "year": "CAST(datepart('year', {0}) AS BIGINT)",
    "month": "CAST(datepart('month', {0}) AS BIGINT)",
    "day": f"({_MILLIS} // 86400000)",
    "hour": f"({_MILLIS} // 3600000 % 24)",
    "minute": f"({_MILLIS} // 60000 % 60)",
    "second": f"({_MILLIS} // 1000 % 60)",
    "millisecond": f"({_MILLIS} % 1000)",
}
_DIFF_KINDS = ("date", _STAMP, _ZONED, "time(p)")

FUNCTIONS: dict[str, Function] = table(
    {
        "now": scalar("-> timestamp(3) with time zone", "date_trunc('milliseconds', now())"),
        "current_timezone": scalar("-> varchar", "'UTC'"),
        "date": scalar(
            *[
                item
                for kind in ("varchar(x)", _STAMP, _ZONED, "date")
                for item in (f"{kind} -> date", _to_date)
            ]
        ),
        "date_trunc": scalar(
            *[item for kind in _DIFF_KINDS for item in (f"varchar(x), {kind} -> {kind}", _date_trunc)]
        ),
        "date_add": scalar(
            *[item for kind in _DIFF_KINDS for item in (f"varchar(x), bigint, {kind} -> {kind}", _date_add)]
        ),
        "date_diff": scalar(
            *[item for kind in _DIFF_KINDS for item in (f"varchar(x), {kind}, {kind} -> bigint", _date_diff)]
        ),
        "date_format": scalar(
            f"{_STAMP}, varchar(x) -> varchar", _date_format, f"{_ZONED}, varchar(x) -> varchar", _date_format
        ),
        "date_parse": scalar("varchar(x), varchar(y) -> timestamp(3)", _date_parse),
        "format_datetime": scalar(
            f"{_STAMP}, varchar(x) -> varchar",
            "trino_format_datetime(timezone('UTC', {0}), 'UTC', {1})",
            f"{_ZONED}, varchar(x) -> varchar",
            _format_datetime,
        ),
        "parse_datetime": scalar(
            "varchar(x), varchar(y) -> timestamp(3) with time zone", _by_row("trino_parse_datetime({0}, {1})")
        ),
        "from_iso8601_timestamp": scalar(
            "varchar(x) -> timestamp(3) with time zone", _by_row("trino_from_iso8601({0})")
        ),
        "from_iso8601_date": scalar(
            "varchar(x) -> date", "CAST(struct_extract(trino_from_iso8601({0}), 'instant') AS DATE)"
        ),
        "from_unixtime": scalar(
            "double -> timestamp(3) with time zone",
            _from_unixtime,
            "double, varchar(x) -> timestamp(3) with time zone",
            _from_unixtime,
            "double, bigint, bigint -> timestamp(3) with time zone",
            _from_unixtime,
        ),
        "to_unixtime": scalar(
            f"{_STAMP} -> double", "epoch({0})", f"{_ZONED} -> double", _instant_of("epoch({0})")
        ),
        "to_milliseconds": scalar("interval day to second -> bigint", _MILLIS),
        "parse_duration": scalar(
            "varchar(x) -> interval day to second",
            "to_milliseconds(CAST(round(trino_parse_duration({0})) AS BIGINT))",
        ),
        "to_iso8601": scalar(
            "date -> varchar(16)",
            _to_iso8601,
            f"{_STAMP} -> varchar",
            _to_iso8601,
            f"{_ZONED} -> varchar",
            _to_iso8601,
        ),
        "at_timezone": scalar(
            f"{_ZONED}, varchar(x) -> {_ZONED}",
            _at_timezone,
        ),
        "with_timezone": scalar(f"{_STAMP}, varchar(x) -> {_ZONED}", _with_timezone),
        "timezone_hour": scalar(f"{_ZONED} -> bigint", _offset("CAST(trunc({0} / 3600) AS BIGINT)")),
        "timezone_minute": scalar(
            f"{_ZONED} -> bigint", _offset("CAST(trunc(({0} - trunc({0} / 3600) * 3600) / 60) AS BIGINT)")
        ),
        "last_day_of_month": _by_clock("last_day({0})", returns="date"),
        "year": _part("year", months=True),
        "quarter": _part("quarter"),
        "month": _part("month", months=True),
        "week": _part("weekofyear"),
        "week_of_year": _part("weekofyear"),
        "day": _part("day"),
        "day_of_month": _part("day"),
        "day_of_week": _part("isodow"),
        "dow": _part("isodow"),
        "day_of_year": _part("dayofyear"),
        "doy": _part("dayofyear"),
        "year_of_week": _part("isoyear"),
        "yow": _part("isoyear"),
        "hour": _part("hour", clock=True),
        "minute": _part("minute", clock=True),
        "second": _part("second", clock=True),
        "millisecond": _part("millisecond", clock=True),
    }
)
