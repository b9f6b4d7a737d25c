"""Literals: numbers, text, times in the precision written, intervals. A text that is none is INVALID_LITERAL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql import zones
from athena_local.sql.dialect import Text
from athena_local.sql.expressions.operands import refuse
from athena_local.sql.functions.native.special import address_bytes
from athena_local.sql.functions.native.texts import clock_with_zone
from athena_local.sql.places import word_position
from athena_local.sql.scope import Scope, Typed, position_of
from athena_local.types import (
    BIGINT,
    DATE,
    DAY_TO_SECOND,
    DOUBLE,
    INTEGER,
    IPADDRESS,
    MICROS,
    NANOS,
    YEAR_TO_MONTH,
    AthenaType,
)

if TYPE_CHECKING:
    from athena_local.sql.expressions.dispatch import Expressions


MAX_INTEGER = 2**31 - 1
_DATE = re.compile(r"\s*[+-]?\d{4,}-\d{1,2}-\d{1,2}\s*")
_TIME = re.compile(r"\s*(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d+))?)?\s*")
_UNITS = ["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"]
_INTERVAL_SHAPE = {
    "YEAR": r"(\d+)",
    "MONTH": r"-(\d+)",
    "DAY": r"(\d+)",
    "HOUR": r"\s+(\d+)",
    "MINUTE": r":(\d+)",
    "SECOND": r":(\d+(?:\.\d{1,3})?)",
}
_UNIT_MILLIS = {"DAY": 86_400_000, "HOUR": 3_600_000, "MINUTE": 60_000, "SECOND": 1000}


def literal(build: Expressions, node: exp.Literal, scope: Scope) -> Typed:  # noqa: ARG001
    if node.is_string:
        return Typed(node.copy(), AthenaType("varchar", len(node.name)))
    text = node.name
    if text.isdigit():
        if int(text) > 2**63 - 1:
            raise QueryError("SYNTAX_ERROR", f"Invalid numeric literal: {text}", position=position_of(node))
        small = int(text) <= MAX_INTEGER
        return Typed(node.copy(), INTEGER if small else BIGINT)
    return Typed(Text(this=text if "e" in text.lower() else f"{text}e0"), DOUBLE)


def unicode_text(build: Expressions, node: exp.UnicodeString, scope: Scope) -> Typed:  # noqa: ARG001
    """U&'\\00e9' and U&'!+01F600' UESCAPE '!': four hexadecimal digits, or six behind a plus."""
    given = node.args.get("escape")
    mark = re.escape(given.name if isinstance(given, exp.Expression) else str(given or "\\"))
    wrong = False

    def one(match: re.Match[str]) -> str:
        nonlocal wrong
        digits = match[1] or match[2]
        if digits is None:
            wrong = wrong or match[3] is None
            return match[3] or ""
        return chr(int(digits, 16))

    text = re.sub(rf"{mark}(?:([0-9A-Fa-f]{{4}})|\+([0-9A-Fa-f]{{6}})|({mark}))?", one, str(node.this))
    if wrong:
        raise QueryError("SYNTAX_ERROR", "Incomplete escape sequence", position=position_of(node))
    return Typed(exp.Literal.string(text), AthenaType("varchar", len(text)))


def typed_literal(node: exp.Cast, target: AthenaType) -> Typed | None:
    """Return the value of DATE '…', TIME '…', TIMESTAMP '…', IPADDRESS '…'; None for a type whose literal is a CAST."""
    text = str(node.this.name)
    if target.base.startswith("timestamp"):
        return _timestamp(node, text)
    if target.base.startswith("time"):
        return _time(node, text)
    if target.base == "date":
        if not _DATE.fullmatch(text) or zones.parse_timestamp(text) is None:
            raise _invalid(node, text, "DATE")
        return Typed(Text(this=f"DATE '{text.strip()}'"), DATE)
    if target.base == "ipaddress":
        try:
            value = address_bytes(text)
        except ValueError:
            message = f"Cannot cast value to IPADDRESS: {text}"
            raise QueryError("INVALID_CAST_ARGUMENT", message, position=position_of(node)) from None
        return Typed(Text(this=f"unhex('{value.hex()}')"), IPADDRESS)
    return None


def _invalid(node: exp.Expression, text: str, kind: str) -> QueryError:
    where = word_position(node, kind)
    return QueryError("INVALID_LITERAL", f"'{text}' is not a valid {kind} literal", position=where)


def _timestamp(node: exp.Cast, text: str) -> Typed:
    found = zones.parse_timestamp(text)
    if found is None:
        raise _invalid(node, text, "TIMESTAMP")
    value, fraction, zone = found
    _check_digits(fraction, NANOS if zone is None else MICROS, node)
    if zone is None and len(fraction) > MICROS:
        return Typed(
            Text(this=f"TIMESTAMP_NS '{value:%Y-%m-%d %H:%M:%S}.{fraction}'"),
            AthenaType("timestamp", len(fraction)),
        )
    if zone is None:
        return Typed(Text(this=f"TIMESTAMP '{value.isoformat(' ')}'"), AthenaType("timestamp", len(fraction)))
    instant = value.replace(tzinfo=zones.tzinfo(zone)).astimezone(zones.tzinfo("UTC"))
    kind = AthenaType("timestamp with time zone", len(fraction)).in_zone(zone)
    return Typed(Text(this=f"TIMESTAMPTZ '{instant.isoformat(' ')}'"), kind)


def _time(node: exp.Cast, text: str) -> Typed:
    plain = _TIME.fullmatch(text)
    if plain is not None:
        fraction = plain[4] or ""
        _check_digits(fraction, MICROS, node)
        clock = clock_with_zone(f"{text.strip()}+00:00")
        if clock is None:
            raise _invalid(node, text, "TIME")
        return Typed(
            Text(this=f"TIME '{clock[0].removesuffix('+00:00')}'"), AthenaType("time", len(fraction))
        )
    zoned = clock_with_zone(text)
    if zoned is None:
        raise _invalid(node, text, "TIME")
    return Typed(Text(this=f"TIMETZ '{zoned[0]}'"), AthenaType("time with time zone", zoned[1]))


def _check_digits(fraction: str, most: int, node: exp.Expression) -> None:
    if len(fraction) > most:
        text = f"More than {most} digits of a second are not supported by this server here"
        raise QueryError("NOT_SUPPORTED", text, position=position_of(node))


def interval(build: Expressions, node: exp.Interval, scope: Scope) -> Typed:
    """INTERVAL '1' DAY, INTERVAL '1-2' YEAR TO MONTH, INTERVAL '2 03:04' DAY TO MINUTE."""
    unit, value = node.args.get("unit"), node.this
    sign = -1 if isinstance(value, exp.Neg) else 1
    value = value.this if isinstance(value, exp.Neg) else value
    if unit is None or not isinstance(value, exp.Literal) or not value.is_string:
        return refuse(build, node, scope)
    names = [unit.this.name, unit.expression.name] if isinstance(unit, exp.IntervalSpan) else [unit.name]
    start, end = names[0].upper(), names[-1].upper()
    if start not in _UNITS or end not in _UNITS or _UNITS.index(end) < _UNITS.index(start):
        return refuse(build, node, scope)
    numbers = _interval_numbers(str(value.name), _UNITS[_UNITS.index(start) : _UNITS.index(end) + 1])
    if numbers is None:
        raise _invalid(node, str(value.name), "INTERVAL")
    text_sign, found = numbers
    sign *= text_sign
    if start in {"YEAR", "MONTH"}:
        months = sign * sum(int(size) * (12 if name == "YEAR" else 1) for name, size in found)
        return Typed(Text(this=f"to_months({months})"), YEAR_TO_MONTH)
    millis = sign * sum(round(float(size) * _UNIT_MILLIS[name]) for name, size in found)
    days, rest = divmod(abs(millis), _UNIT_MILLIS["DAY"])
    if not rest:  # whole days stay days, so that a date may be moved by them
        return Typed(Text(this=f"to_days({days if millis >= 0 else -days})"), DAY_TO_SECOND)
    return Typed(Text(this=f"to_milliseconds({millis})"), DAY_TO_SECOND)


def _interval_numbers(text: str, units: list[str]) -> tuple[int, list[tuple[str, str]]] | None:
    """Return the sign and each unit's number; fewer numbers than units are taken from the left, as Trino does."""
    pattern = r"\s*([+-]?)"
    for index, name in enumerate(units):
        piece = _INTERVAL_SHAPE[name]
        pattern += piece[piece.index("(") :] if index == 0 else f"(?:{piece})?"
    match = re.fullmatch(pattern + r"\s*", text)
    if match is None:
        return None
    found = [(name, number) for name, number in zip(units, match.groups()[1:], strict=True) if number]
    return (-1 if match[1] == "-" else 1), found
