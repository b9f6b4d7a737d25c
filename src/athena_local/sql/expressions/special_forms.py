"""What looks like a call and has a grammar of its own: CAST, EXTRACT, TRIM, SUBSTRING, POSITION, AT TIME ZONE, now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql import zones
from athena_local.sql.casts import cast as cast_node
from athena_local.sql.dialect import AthenaSQL, Text
from athena_local.sql.expressions.calls import call
from athena_local.sql.expressions.literals import typed_literal
from athena_local.sql.expressions.operands import operand
from athena_local.sql.functions.datetime import in_zone
from athena_local.sql.scope import Scope, Typed, position_of
from athena_local.types import BY_ROW, MICROS, NANOS, AthenaType, parse_type

if TYPE_CHECKING:
    from athena_local.sql.expressions.dispatch import Expressions


_EXTRACTS = {
    "year", "quarter", "month", "week", "day", "day_of_month", "day_of_week", "dow", "day_of_year", "doy",
    "year_of_week", "yow", "hour", "minute", "second", "timezone_hour", "timezone_minute",
}  # fmt: skip
_UNSUPPORTED_TYPES = {
    "hyperloglog", "p4hyperloglog", "qdigest", "tdigest", "setdigest", "geometry", "sphericalgeography", "bingtile",
    "color", "jsonpath", "joniregexp", "number", "variant",
}  # fmt: skip
NOW = {
    "current_timestamp",
    "current_time",
    "localtimestamp",
    "localtime",
}  # with digits they are parsed as calls
_NOW_DIGITS = 3  # of a second, where none are asked


def at_time_zone(build: Expressions, node: exp.AtTimeZone, scope: Scope) -> Typed:
    """The same instant on another zone's clock; a value without a zone is taken for one in the session's, UTC."""
    inner = build.translate(node.this, scope)
    source = node.args["zone"]
    zone = build.translate(source, scope)
    kind = inner.type
    if kind is not None and kind.base not in {
        "timestamp",
        "timestamp with time zone",
        "time",
        "time with time zone",
    }:
        text = f"Type of value must be a time or timestamp with or without time zone (actual {kind})"
        raise QueryError("TYPE_MISMATCH", text, position=position_of(node))
    if kind is not None and kind.base.startswith("time") and not kind.base.startswith("timestamp"):
        raise QueryError(
            "NOT_SUPPORTED",
            "AT TIME ZONE of a time is not supported by this server",
            position=position_of(node),
        )
    if kind is None or not kind.is_zoned:
        kind = AthenaType("timestamp with time zone", kind.precision if kind else _NOW_DIGITS)
        inner = Typed(
            Text(this="timezone('UTC', CAST({0} AS TIMESTAMP))", expressions=[operand(inner.node)]), kind
        )
    if zone.type is not None and zone.type.base.startswith("interval"):
        text = "printf('%s%02d:%02d', CASE WHEN epoch({0}) < 0 THEN '-' ELSE '+' END,"
        text += " CAST(abs(epoch({0})) // 3600 AS INTEGER), CAST(abs(epoch({0})) % 3600 // 60 AS INTEGER))"
        zone = Typed(Text(this=text, expressions=[zone.node]), AthenaType("varchar"))
    return in_zone(inner, zone, source, source)


def extract(build: Expressions, node: exp.Extract, scope: Scope) -> Typed:
    name = node.this.name.lower()
    if name not in _EXTRACTS:
        raise QueryError("SYNTAX_ERROR", f"Invalid EXTRACT field: {name.upper()}", position=position_of(node))
    return call(build, name, [node.expression], node, scope)


def trim(build: Expressions, node: exp.Trim, scope: Scope) -> Typed:
    position = str(node.args.get("position") or "").upper()
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(position, "trim")
    items = [node.this] if node.expression is None else [node.this, node.expression]
    return call(build, name, items, node, scope)


def substring(build: Expressions, node: exp.Substring, scope: Scope) -> Typed:
    items = [node.this, node.args.get("start"), node.args.get("length")]
    return call(build, "substr", [item for item in items if item is not None], node, scope)


def position(build: Expressions, node: exp.StrPosition, scope: Scope) -> Typed:
    return call(build, "strpos", [node.this, node.args["substr"]], node, scope)


def now(build: Expressions, node: exp.Expression, scope: Scope) -> Typed:  # noqa: ARG001
    """current_timestamp, localtimestamp, current_time and localtime, with the digits asked for; one value a query."""
    asked = node.expressions[0] if isinstance(node, exp.Anonymous) and node.expressions else node.this
    digits = int(asked.name) if isinstance(asked, exp.Literal) else _NOW_DIGITS
    name = node.name.lower() if isinstance(node, exp.Anonymous) else type(node).__name__.lower()
    if digits > NANOS or (digits > MICROS and name != "localtimestamp"):
        text = f"More than {MICROS} digits of a second are not supported by this server here"
        raise QueryError("NOT_SUPPORTED", text, position=position_of(node))
    step = 10 ** (MICROS - min(digits, MICROS))
    local = f"make_timestamp(epoch_us(now()) // {step} * {step})"
    templates = {
        "currenttimestamp": (f"timezone('UTC', {local})", "timestamp with time zone"),
        "localtimestamp": (local, "timestamp"),
        "currenttime": (
            f"CAST(CAST(CAST({local} AS TIME) AS VARCHAR) || '+00' AS TIMETZ)",
            "time with time zone",
        ),
        "localtime": (f"CAST({local} AS TIME)", "time"),
    }
    text, base = templates[name.replace("_", "")]
    return Typed(Text(this=text), AthenaType(base, digits))


def cast(build: Expressions, node: exp.Cast, scope: Scope) -> Typed:
    target = cast_type(node)
    is_literal = "safe" not in node.args and isinstance(
        node.this, exp.Literal
    )  # DATE '…': only CAST(…) has that argument
    if is_literal and node.this.is_string:
        found = typed_literal(node, target)
        if found is not None:
            return found
        if target.base == "char":
            target = AthenaType("char", max(1, len(node.this.name)))
        if target.base == "varchar":
            return build.translate(node.this, scope)
    inner = build.translate(node.this, scope)
    if target.is_zoned:
        target = target.in_zone(_zone_of_cast(inner, node))
    return Typed(cast_node(inner, target, safe=isinstance(node, exp.TryCast), node=node), target)


def _zone_of_cast(inner: Typed, node: exp.Cast) -> str | None:
    """A zoned value keeps its zone; text brings its own, which is known where it is written out."""
    if inner.type is None or not (inner.type.is_zoned or inner.type.is_text):
        return None
    if inner.type.is_zoned:
        return inner.type.zone
    if isinstance(node.this, exp.Literal):
        found = zones.parse_timestamp(str(node.this.name))
        return found[2] if found is not None else None
    return BY_ROW


def cast_type(node: exp.Cast) -> AthenaType:
    """Return the type a CAST names. TYPE_NOT_FOUND for one Trino has not, NOT_SUPPORTED for one this server has not."""
    name = node.to.sql(dialect=AthenaSQL).lower()
    try:
        return parse_type(name)
    except ValueError as error:
        if str(error).startswith("Invalid"):
            raise QueryError("INVALID_FUNCTION_ARGUMENT", str(error), position=position_of(node)) from None
    if name.partition("(")[0] in _UNSUPPORTED_TYPES:
        raise QueryError(
            "NOT_SUPPORTED", f"Type {name} is not supported by this server", position=position_of(node)
        )
    raise QueryError("TYPE_NOT_FOUND", f"Unknown type: {name}", position=position_of(node)) from None
