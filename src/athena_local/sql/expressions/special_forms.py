"""What looks like a call and has a grammar of its own: CAST, EXTRACT, TRIM, SUBSTRING, POSITION, AT TIME ZONE."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.casts import cast as cast_node
from athena_local.sql.dialect import AthenaSQL, Text
from athena_local.sql.expressions.calls import call
from athena_local.sql.expressions.operands import operand
from athena_local.sql.scope import Scope, Typed, position_of
from athena_local.types import (
    TIMESTAMP_TZ,
    VARCHAR,
    AthenaType,
    parse_type,
)

if TYPE_CHECKING:
    from athena_local.sql.expressions.dispatch import Expressions


_EXTRACTS = {
    "year", "quarter", "month", "week", "day", "day_of_month", "day_of_week", "dow", "day_of_year", "doy",
    "year_of_week", "yow", "hour", "minute", "second",
}  # fmt: skip


_ZONE = re.compile(r"\d\s*(?:[+-]\d{1,2}:\d{2}|[A-Za-z]+(?:/[A-Za-z_]+)?)\s*$")


def at_time_zone(build: Expressions, node: exp.AtTimeZone, scope: Scope) -> Typed:
    """The instant stays: values here are kept and shown in UTC, whatever zone they are asked in."""
    inner = build.translate(node.this, scope)
    zone = build.translate(node.args["zone"], scope)
    if inner.type is not None and inner.type.base == "timestamp with time zone":
        if isinstance(node.args["zone"], exp.Literal) and node.args["zone"].name.upper() in {
            "UTC",
            "GMT",
            "Z",
        }:
            return inner
        text = "AT TIME ZONE other than UTC is not supported on timestamp with time zone"
        raise QueryError("NOT_SUPPORTED", text, position=position_of(node))
    text = "timezone({1}, CAST({0} AS TIMESTAMP))"
    return Typed(Text(this=text, expressions=[operand(inner.node), zone.node]), TIMESTAMP_TZ)


def extract(build: Expressions, node: exp.Extract, scope: Scope) -> Typed:
    name = node.this.name.lower()
    if name not in _EXTRACTS:
        raise QueryError("SYNTAX_ERROR", f"Invalid EXTRACT field: {name}", position=position_of(node))
    return call(build, name, [node.expression], node, scope)


def trim(build: Expressions, node: exp.Trim, scope: Scope) -> Typed:
    position = str(node.args.get("position") or "").upper()
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(position, "trim")
    parts = [build.translate(node.this, scope)]
    if node.expression is not None:
        parts.append(build.translate(node.expression, scope))
    holes = ", ".join(f"{{{index}}}" for index in range(len(parts)))
    return Typed(Text(this=f"{name}({holes})", expressions=[part.node for part in parts]), VARCHAR)


def substring(build: Expressions, node: exp.Substring, scope: Scope) -> Typed:
    items = [node.this, node.args.get("start"), node.args.get("length")]
    return call(build, "substr", [item for item in items if item is not None], node, scope)


def position(build: Expressions, node: exp.StrPosition, scope: Scope) -> Typed:
    return call(build, "strpos", [node.this, node.args["substr"]], node, scope)


def cast(build: Expressions, node: exp.Cast, scope: Scope) -> Typed:
    inner = build.translate(node.this, scope)
    try:
        target = parse_type(node.to.sql(dialect=AthenaSQL))
    except ValueError:
        name = node.to.sql(dialect=AthenaSQL).lower()
        raise QueryError("TYPE_NOT_FOUND", f"Unknown type: {name}", position=position_of(node)) from None

    is_literal = "safe" not in node.args  # TIMESTAMP '…': only CAST(…) has that argument
    if is_literal and target.base == "timestamp" and _ZONE.search(node.this.name):
        target = AthenaType("timestamp with time zone", target.precision)
    return Typed(cast_node(inner, target, safe=isinstance(node, exp.TryCast), node=node), target)
