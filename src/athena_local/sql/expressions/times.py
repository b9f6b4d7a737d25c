"""Arithmetic of dates, times and intervals. Months are added by the calendar, a zoned value's by its own zone's."""

from __future__ import annotations

from sqlglot import exp

from athena_local.sql import zones
from athena_local.sql.dialect import Text
from athena_local.sql.expressions.operands import operand
from athena_local.sql.functions.datetime import back_in_zone
from athena_local.sql.functions.signatures import failing
from athena_local.sql.scope import Typed
from athena_local.types import DATE, DAY_TO_SECOND, YEAR_TO_MONTH, AthenaType

_NOT_WHOLE_DAYS = failing("Cannot add hour, minutes or seconds to a date")
_MILLIS = "CAST(epoch_ms({i}) AS BIGINT)"
_MONTHS = "CAST(datepart('year', {i}) * 12 + datepart('month', {i}) AS BIGINT)"


def combined(left: Typed, right: Typed, sign: str) -> Typed | None:
    """Return the result, None when Trino has no such operator."""
    assert left.type is not None
    assert right.type is not None
    intervals = [part.type.base.startswith("interval") for part in (left, right)]  # type: ignore[union-attr]
    if all(intervals):
        if left.type != right.type or sign not in "+-":
            return None
        nodes = [operand(left.node), operand(right.node)]
        return Typed(Text(this=f"({{0}} {sign} {{1}})", expressions=nodes), left.type)
    if any(intervals):
        interval, other = (left, right) if intervals[0] else (right, left)
        if sign in "*/" and other.type is not None and other.type.is_numeric:
            return _scaled(interval, other, sign) if sign == "*" or intervals[0] else None
        if sign == "+" or (sign == "-" and intervals[1]):
            return _moved(other, interval, sign)
        return None
    return _difference(left, right) if sign == "-" else None


def _scaled(interval: Typed, factor: Typed, sign: str) -> Typed:
    months = interval.type == YEAR_TO_MONTH
    amount = (_MONTHS if months else _MILLIS).replace("{i}", "{0}")
    product = f"{amount} {sign} CAST({{1}} AS DOUBLE)"
    text = (
        f"to_months(CAST(trunc({product}) AS INTEGER))"
        if months
        else f"to_milliseconds(CAST(trunc({product}) AS BIGINT))"
    )
    return Typed(Text(this=text, expressions=[operand(interval.node), operand(factor.node)]), interval.type)


def _moved(value: Typed, interval: Typed, sign: str) -> Typed | None:
    kind = value.type
    assert kind is not None
    nodes = [operand(value.node), operand(interval.node)]
    months = interval.type == YEAR_TO_MONTH
    if kind == DATE:
        plain = f"CAST(({{0}} {sign} {{1}}) AS DATE)"
        if months:
            return Typed(Text(this=plain, expressions=nodes), DATE)
        whole = f"{_MILLIS.replace('{i}', '{1}')} % 86400000 <> 0"
        return Typed(
            Text(this=f"CASE WHEN {whole} THEN {_NOT_WHOLE_DAYS} ELSE {plain} END", expressions=nodes), DATE
        )
    if kind.base in {"time", "time with time zone"} and not months:
        return Typed(Text(this=f"({{0}} {sign} {{1}})", expressions=nodes), kind)
    if kind.base == "timestamp":
        precision = kind.precision if months else max(kind.precision or 0, 3)
        return Typed(
            Text(this=f"({{0}} {sign} {{1}})", expressions=nodes), AthenaType("timestamp", precision)
        )
    if not kind.is_zoned:
        return None
    if months:
        local = Text(this=f"({{0}} {sign} {{1}})", expressions=[zones.local(value.node, kind), interval.node])
        return back_in_zone(local, value)
    moved = Text(this=f"({{0}} {sign} {{1}})", expressions=[zones.instant(value.node, kind), nodes[1]])
    result = AthenaType(kind.base, max(kind.precision or 0, 3), zone=kind.zone)
    if kind.zone_by_row:
        return Typed(zones.zoned_by_row(moved, zones.zone_name(value.node, kind)), result)
    return Typed(moved, result)


def _difference(left: Typed, right: Typed) -> Typed | None:
    assert left.type is not None
    assert right.type is not None
    bases = {left.type.base, right.type.base}
    if bases == {"date"}:
        nodes = [operand(left.node), operand(right.node)]
        return Typed(Text(this="to_days(CAST({0} - {1} AS INTEGER))", expressions=nodes), DAY_TO_SECOND)
    if bases == {"time"}:
        nodes = [operand(left.node), operand(right.node)]
        return Typed(
            Text(this="to_microseconds(date_sub('microsecond', {1}, {0}))", expressions=nodes), DAY_TO_SECOND
        )
    if bases <= {"date", "timestamp", "timestamp with time zone"}:
        nodes = [_micros(part) for part in (left, right)]
        return Typed(Text(this="to_milliseconds(({0} - {1}) // 1000)", expressions=nodes), DAY_TO_SECOND)
    return None


def _micros(part: Typed) -> exp.Expression:
    assert part.type is not None
    node = zones.instant(part.node, part.type) if part.type.is_zoned else part.node
    return Text(this="epoch_us({0})", expressions=[node])
