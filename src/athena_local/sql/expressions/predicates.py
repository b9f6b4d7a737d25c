"""Predicates with words of their own: BETWEEN, IN, IS, LIKE, EXISTS, ANY and ALL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.coercion import Type, common_type, incomparable
from athena_local.sql.dialect import Text
from athena_local.sql.expressions.operands import (
    compared,
    compared_as,
    no_common_type,
    operand,
    refuse,
    shown,
)
from athena_local.sql.places import operator_position
from athena_local.sql.scope import Scope, Typed, position_of
from athena_local.sql.zones import refuse_by_row
from athena_local.types import BOOLEAN

if TYPE_CHECKING:
    from athena_local.sql.expressions.dispatch import Expressions


def between(build: Expressions, node: exp.Between, scope: Scope) -> Typed:
    value, low, high = build.all([node.this, node.args["low"], node.args["high"]], scope)
    for bound in (low, high):
        if incomparable(value.type, bound.type):
            bounds = f"{shown(low.type, node.args['low'])} and {shown(high.type, node.args['high'])}"
            text = f"Cannot check if {shown(value.type, node.this)} is BETWEEN {bounds}"
            raise QueryError("TYPE_MISMATCH", text, position=operator_position(node))
    kind = common_type(common_type(value.type, low.type), high.type)
    nodes = [compared_as(item, kind) for item in (value, low, high)]
    return Typed(Text(this="({0} BETWEEN {1} AND {2})", expressions=nodes), BOOLEAN)


def in_(build: Expressions, node: exp.In, scope: Scope) -> Typed:
    value = build.translate(node.this, scope)
    if node.args.get("unnest") or node.args.get("field"):
        return refuse(build, node, scope)
    query = node.args.get("query")
    if query is None and len(node.expressions) == 1 and isinstance(node.expressions[0], exp.Values):
        query = node.expressions[0]  # sqlglot takes IN (VALUES …) for a list
    if query is not None:
        inner = query.this if isinstance(query, exp.Subquery) else query
        tree, types = build.subquery(inner, scope)
        check_in(value.type, types, node)
        for side in (value.type, *types):
            refuse_by_row(side, "IN (subquery)", position_of(node))
        return Typed(Text(this="({0} IN ({1}))", expressions=[operand(value.node), tree]), BOOLEAN)
    items = build.all(node.expressions, scope)
    types = [value.type, *(item.type for item in items)]
    for item, source in zip(items, node.expressions, strict=True):
        if incomparable(value.type, item.type):
            raise no_common_type("IN value and list items", types, value.type, item.type, source)
    holes = ", ".join(f"{{{index + 1}}}" for index in range(len(items)))
    kind: Type = value.type
    for item in items:
        kind = common_type(kind, item.type)
    nodes = [compared_as(item, kind) for item in (value, *items)]
    return Typed(Text(this=f"({{0}} IN ({holes}))", expressions=nodes), BOOLEAN)


def check_in(left: Type, types: list[Type], node: exp.In) -> None:
    """The value and a row of the subquery must fit; a single value stands for a row of one."""
    if left is None:
        return
    given: list[Type] = [left]
    if left.base == "row" and not (len(types) == 1 and types[0] is not None and types[0].base == "row"):
        given = [kind for _, kind in left.fields]
    fits = len(given) == len(types) and not any(
        incomparable(one, other) for one, other in zip(given, types, strict=True)
    )
    if not fits:
        written = [shown(left, node.this)] if left.base != "row" else [str(kind) for kind in given]
        rows = f"row({', '.join(written)}) vs row({', '.join(str(kind or 'unknown') for kind in types)})"
        text = f"Value expression and result of subquery must be of the same type: {rows}"
        raise QueryError("TYPE_MISMATCH", text, position=operator_position(node))


def is_(build: Expressions, node: exp.Is, scope: Scope) -> Typed:
    if not isinstance(node.expression, exp.Null):
        return refuse(build, node, scope)
    return Typed(
        Text(this="({0} IS NULL)", expressions=[operand(build.translate(node.this, scope).node)]), BOOLEAN
    )


def distinct_from(build: Expressions, node: Any, scope: Scope) -> Typed:
    left, right = build.translate(node.this, scope), build.translate(node.expression, scope)
    check_distinguishable(left.type, right.type, node)
    word = "IS DISTINCT FROM" if isinstance(node, exp.NullSafeNEQ) else "IS NOT DISTINCT FROM"
    return Typed(Text(this=f"({{0}} {word} {{1}})", expressions=[*compared(left, right)]), BOOLEAN)


def check_distinguishable(left: Type, right: Type, node: Any) -> None:
    if not incomparable(left, right):
        return
    text = f"Cannot check if {shown(left, node.this)} is distinct from {shown(right, node.expression)}"
    raise QueryError("TYPE_MISMATCH", text, position=operator_position(node))


def like(build: Expressions, node: exp.Like, scope: Scope) -> Typed:
    left, right = build.translate(node.this, scope), build.translate(node.expression, scope)
    sides = ((left, node.this, "Left side of"), (right, node.expression, "Pattern for"))
    for item, source, side in sides:
        if item.type is not None and item.type.base not in {"varchar", "char", "unknown"}:
            text = f"{side} LIKE expression must evaluate to a varchar (actual: {item.type})"
            raise QueryError("TYPE_MISMATCH", text, position=position_of(source))
    nodes = [operand(left.node), operand(right.node)]
    return Typed(Text(this="({0} LIKE {1})", expressions=nodes), BOOLEAN)


def escape(build: Expressions, node: exp.Escape, scope: Scope) -> Typed:
    if not isinstance(node.this, exp.Like):
        return refuse(build, node, scope)
    parts = build.all([node.this.this, node.this.expression, node.expression], scope)
    nodes = [operand(part.node) for part in parts]
    return Typed(Text(this="({0} LIKE {1} ESCAPE {2})", expressions=nodes), BOOLEAN)


def exists(build: Expressions, node: exp.Exists, scope: Scope) -> Typed:
    inner = node.this.this if isinstance(node.this, exp.Subquery) else node.this
    tree, _ = build.subquery(inner, scope)
    return Typed(Text(this="EXISTS ({0})", expressions=[tree]), BOOLEAN)


def quantified(build: Expressions, node: exp.Expression, scope: Scope) -> Typed:
    inner: Any = node.this.this if isinstance(node.this, exp.Subquery) else node.this
    if not isinstance(inner, exp.Select | exp.SetOperation | exp.Values):
        return refuse(build, node, scope)
    tree, types = build.subquery(inner, scope)
    word = "ANY" if isinstance(node, exp.Any) else "ALL"
    return Typed(Text(this=f"{word} ({{0}})", expressions=[tree]), types[0])
