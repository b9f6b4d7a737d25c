"""Operators: arithmetic, comparison, AND/OR/NOT, ||. Types are Trino's: integers divide as integers, text is no number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from athena_local.engine.errors import raising
from athena_local.errors import QueryError
from athena_local.sql.coercion import TIME_FAMILY, Type, as_decimal, common_type, incomparable
from athena_local.sql.dialect import Text
from athena_local.sql.expressions.operands import expect_boolean, operand, shown
from athena_local.sql.functions import DAY_TO_SECOND
from athena_local.sql.places import operator_position
from athena_local.sql.scope import Scope, Typed, position_of
from athena_local.types import (
    BOOLEAN,
    DATE,
    UNKNOWN,
    VARCHAR,
    AthenaType,
    array_of,
)

if TYPE_CHECKING:
    from athena_local.sql.expressions.dispatch import Expressions


COMPARISONS = {exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}
# Trino has three comparisons to look up a type for; the others are told in their words
_CHECKED_AS = {"<>": "=", ">": "<", ">=": "<="}
ARITHMETIC = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}


def paren(build: Expressions, node: exp.Paren, scope: Scope) -> Typed:
    inner = build.translate(node.this, scope)
    return Typed(exp.Paren(this=inner.node), inner.type)


def logical(build: Expressions, node: Any, scope: Scope) -> Typed:
    """AND and OR, in a loop: generated conditions are long chains."""
    kind, items = type(node), []
    current: Any = node
    while type(current) is kind:
        items.append(current.args["expression"])
        current = current.this
    parts = build.all([current, *reversed(items)], scope)
    for part, source in zip(parts, [current, *reversed(items)], strict=True):
        expect_boolean(part, source)
    word = " AND " if isinstance(node, exp.And) else " OR "
    text = word.join(f"{{{index}}}" for index in range(len(parts)))
    return Typed(Text(this=f"({text})", expressions=[operand(part.node) for part in parts]), BOOLEAN)


def not_(build: Expressions, node: exp.Not, scope: Scope) -> Typed:
    return Typed(
        Text(this="(NOT {0})", expressions=[operand(build.translate(node.this, scope).node)]), BOOLEAN
    )


def negative(build: Expressions, node: exp.Neg, scope: Scope) -> Typed:
    inner = build.translate(node.this, scope)
    return Typed(Text(this="(-{0})", expressions=[operand(inner.node)]), inner.type)


def compare(build: Expressions, node: Any, scope: Scope) -> Typed:
    left, right = build.translate(node.this, scope), build.translate(node.expression, scope)
    sign = COMPARISONS[type(node)]
    check_comparable(left.type, right.type, _CHECKED_AS.get(sign, sign), node)
    text = f"({{0}} {sign} {{1}})"
    return Typed(Text(this=text, expressions=[operand(left.node), operand(right.node)]), BOOLEAN)


def check_comparable(left: Type, right: Type, sign: str, node: Any) -> None:
    if incomparable(left, right):
        raise QueryError(
            "TYPE_MISMATCH",
            f"Cannot apply operator: {shown(left, node.this)} {sign} {shown(right, node.expression)}",
            position=operator_position(node),
        )


def arithmetic(build: Expressions, node: Any, scope: Scope) -> Typed:
    left, right = build.translate(node.this, scope), build.translate(node.expression, scope)
    sign = ARITHMETIC[type(node)]
    kind = arithmetic_type(left.type, right.type, sign, node)
    operands = [operand(left.node), operand(right.node)]
    return Typed(Text(this=_arithmetic_text(left.type, right.type, sign, kind), expressions=operands), kind)


def arithmetic_type(left: Type, right: Type, sign: str, node: Any) -> Type:
    if left is None or right is None:
        return None
    bases = {left.base, right.base}
    if left.is_numeric and right.is_numeric:
        common = common_type(left, right)
        if common is not None and common.base == "decimal":
            return _decimal_result(as_decimal(left), as_decimal(right), sign)
        return common
    if "unknown" in bases:
        return right if left.base == "unknown" else left
    interval = next((kind for kind in (left, right) if kind.base.startswith("interval")), None)
    if interval is not None and sign in "+-":
        other = right if left is interval else left
        if other.base in TIME_FAMILY | {"time"} or other.base == interval.base:
            return other
    if interval is not None and sign in "*/" and any(kind.is_numeric for kind in (left, right)):
        return interval
    if sign == "-" and bases <= TIME_FAMILY:
        return DAY_TO_SECOND
    raise QueryError(
        "TYPE_MISMATCH",
        f"Cannot apply operator: {shown(left, node.this)} {sign} {shown(right, node.expression)}",
        position=operator_position(node),
    )


def concatenation(build: Expressions, node: exp.DPipe, scope: Scope) -> Typed:
    items: list[exp.Expression] = []
    current: exp.Expression = node
    while isinstance(current, exp.DPipe):
        items.append(current.expression)
        current = current.this
    parts = build.all([current, *reversed(items)], scope)
    if any(part.type is not None and part.type.base == "array" for part in parts):
        return _array_concatenation(parts, node)
    types = [part.type for part in parts if part.type is not None]
    for kind in types:
        if kind.base not in {"varchar", "char", "varbinary", "unknown"}:
            raise _no_concatenation([part.type for part in parts[:2]], node)
    text = " || ".join(f"{{{index}}}" for index in range(len(parts)))
    result = (
        None if len(types) < len(parts) else next((kind for kind in types if kind.base != "unknown"), UNKNOWN)
    )
    if result is not None and result.base in {"varchar", "char"}:
        result = VARCHAR
    return Typed(Text(this=f"({text})", expressions=[operand(part.node) for part in parts]), result)


def _array_concatenation(parts: list[Typed], node: exp.DPipe) -> Typed:
    """Join from left to right: array || array, array || element and element || array, as Trino overloads `||`."""
    result = parts[0]
    for part in parts[1:]:
        result = _arrays_joined(result, part, node)
    return result


def _arrays_joined(left: Typed, right: Typed, node: exp.DPipe) -> Typed:
    if left.type is None or right.type is None:
        template, kind = "({0} || {1})", None
    else:
        found = _array_overload(left.type, right.type)
        if found is None:
            raise _no_concatenation([left.type, right.type], node)
        template, kind = found
    return Typed(Text(this=template, expressions=[operand(left.node), operand(right.node)]), kind)


def _array_overload(left: AthenaType, right: AthenaType) -> tuple[str, AthenaType] | None:
    """Return the DuckDB text and the type. A NULL array makes the result NULL; a NULL element is an element."""
    for array, other, element in ((left, right, "{1}"), (right, left, "{0}")):
        if array.base != "array" or other.base == "array":
            continue
        inner = common_type(array.element, other)
        if inner is not None:
            kind = array_of(inner)
            listed = f"[CAST({element} AS {inner.duckdb()})]" if inner.base != "unknown" else f"[{element}]"
            return (f"({{0}} || {listed})" if array is left else f"({listed} || {{1}})"), kind
    both = common_type(left, right)
    if both is not None and left.base == right.base == "array":
        return "({0} || {1})", both
    nested = ((left, right, "({0} || [{1}])"), (right, left, "([{0}] || {1})"))
    for array, other, text in nested:
        if array.base == "array" and common_type(array.element, other) is not None:
            return text, array
    return None


def _no_concatenation(types: list[Type], node: exp.DPipe) -> QueryError:
    shown = ", ".join(str(kind) if kind else "unknown" for kind in types)
    text = f"Unexpected parameters ({shown}) for function concat. Expected: concat(varchar, varchar)"
    return QueryError("FUNCTION_NOT_FOUND", text, position=position_of(node))


def _decimal_result(left: AthenaType, right: AthenaType, sign: str) -> AthenaType:
    p1, s1, p2, s2 = left.precision or 38, left.scale or 0, right.precision or 38, right.scale or 0
    if sign == "*":
        return AthenaType("decimal", min(38, p1 + p2), min(38, s1 + s2))
    if sign == "/":
        scale = max(s1, s2)
        return AthenaType("decimal", min(38, p1 + s2 + max(s2 - s1, 0)), scale)
    if sign == "%":
        return AthenaType("decimal", min(p2 - s2, p1 - s1) + max(s1, s2), max(s1, s2))
    scale = max(s1, s2)
    return AthenaType("decimal", min(38, max(p1 - s1, p2 - s2) + scale + 1), scale)


def _arithmetic_text(left: Type, right: Type, sign: str, kind: Type) -> str:
    if left is None or right is None or kind is None:
        return f"({{0}} {sign} {{1}})"
    zero = "error('" + raising("DIVISION_BY_ZERO", "Division by zero") + "')"
    if kind.base == "decimal" and sign in "/%" and left.is_numeric and right.is_numeric:
        divided = f"CAST({{0}} AS DOUBLE) {sign} CAST({{1}} AS DOUBLE)" if sign == "/" else "{0} % {1}"
        return f"CASE WHEN {{1}} = 0 THEN {zero} ELSE CAST({divided} AS {kind.duckdb()}) END"
    if sign == "/" and kind.is_integer:
        return "({0} // {1})"
    if left == right == DATE:
        return "to_days(CAST({0} - {1} AS INTEGER))"
    if kind == DATE:
        return f"CAST(({{0}} {sign} {{1}}) AS DATE)"
    if kind.base == "decimal":
        return f"CAST(({{0}} {sign} {{1}}) AS {kind.duckdb()})"
    return f"({{0}} {sign} {{1}})"
