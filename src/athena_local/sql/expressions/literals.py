"""Literals: numbers, text, intervals. Text with a zone after it is no timestamp without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.dialect import Text
from athena_local.sql.expressions.operands import refuse
from athena_local.sql.scope import Scope, Typed, position_of
from athena_local.types import (
    BIGINT,
    DOUBLE,
    INTEGER,
    VARCHAR,
    AthenaType,
)

if TYPE_CHECKING:
    from athena_local.sql.expressions.dispatch import Expressions


MAX_INTEGER = 2**31 - 1


def literal(build: Expressions, node: exp.Literal, scope: Scope) -> Typed:  # noqa: ARG001
    if node.is_string:
        return Typed(node.copy(), VARCHAR)
    text = node.name
    if text.isdigit():
        if int(text) > 2**63 - 1:
            raise QueryError("SYNTAX_ERROR", f"Invalid numeric literal: {text}", position=position_of(node))
        small = int(text) <= MAX_INTEGER
        return Typed(node.copy(), INTEGER if small else BIGINT)
    return Typed(Text(this=text if "e" in text.lower() else f"{text}e0"), DOUBLE)


def interval(build: Expressions, node: exp.Interval, scope: Scope) -> Typed:
    unit = node.args.get("unit")
    if unit is None or not isinstance(node.this, exp.Literal):
        return refuse(build, node, scope)
    name = unit.this.name if isinstance(unit, exp.IntervalSpan) else unit.name
    kind = "interval year to month" if name.upper() in {"YEAR", "MONTH"} else "interval day to second"
    if isinstance(unit, exp.IntervalSpan):
        return refuse(build, node, scope)
    return Typed(Text(this=f"INTERVAL '{node.this.name}' {name.upper()}"), AthenaType(kind))
