"""Operators: arithmetic, comparison, AND/OR/NOT, ||. Types are Trino's: integers divide as integers, text is no number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.coercion import Type, coerced, common_type, incomparable
from athena_local.sql.dialect import Text
from athena_local.sql.expressions import numbers, times
from athena_local.sql.expressions.operands import compared, expect_boolean, operand, shown
from athena_local.sql.places import operator_position
from athena_local.sql.scope import Scope, Typed, position_of
from athena_local.types import (
    BIGINT,
    BOOLEAN,
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

_LEAST_BIGINT = str(2**63)


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
    if isinstance(node.this, exp.Literal) and node.this.name == _LEAST_BIGINT:  # a bigint with its sign alone
        return Typed(Text(this=f"CAST(-{_LEAST_BIGINT} AS BIGINT)"), BIGINT)
    inner = build.translate(node.this, scope)
    if inner.type is not None and not (
        inner.type.is_numeric or inner.type.base.startswith(("interval", "unknown"))
    ):
        text = f"Cannot negate {inner.type}"
        raise QueryError("TYPE_MISMATCH", text, position=position_of(node))
    return Typed(Text(this="(-{0})", expressions=[operand(inner.node)]), inner.type)


def compare(build: Expressions, node: Any, scope: Scope) -> Typed:
    left, right = build.translate(node.this, scope), build.translate(node.expression, scope)
    sign = COMPARISONS[type(node)]
    check_comparable(left.type, right.type, _CHECKED_AS.get(sign, sign), node)
    return Typed(Text(this=f"({{0}} {sign} {{1}})", expressions=[*compared(left, right)]), BOOLEAN)


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
    if left.type is None or right.type is None:
        nodes = [operand(left.node), operand(right.node)]
        return Typed(Text(this=f"({{0}} {sign} {{1}})", expressions=nodes), None)
    if left.type.is_numeric and right.type.is_numeric:
        return numbers.combined(left, right, sign)
    found = times.combined(left, right, sign)
    if found is not None:
        return found
    if UNKNOWN in {left.type, right.type} and (
        left.type.is_numeric or right.type.is_numeric or left.type == right.type
    ):
        kind = right.type if left.type == UNKNOWN else left.type
        return Typed(Text(this=f"CAST(NULL AS {kind.duckdb()})" if kind != UNKNOWN else "NULL"), kind)
    raise QueryError(
        "TYPE_MISMATCH",
        f"Cannot apply operator: {shown(left.type, node.this)} {sign} {shown(right.type, node.expression)}",
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
    if result is not None and result.is_text:
        result = VARCHAR
    nodes = [operand(coerced(part.node, part.type, result)) for part in parts]
    return Typed(Text(this=f"({text})", expressions=nodes), result)


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
