"""Predicates with words of their own: BETWEEN, IN, IS, LIKE, EXISTS, ANY and ALL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.coercion import Type, family
from athena_local.sql.dialect import Text
from athena_local.sql.expressions.operands import operand, refuse
from athena_local.sql.expressions.operators import check_comparable
from athena_local.sql.scope import Scope, Typed, position_of
from athena_local.types import (
    BOOLEAN,
)

if TYPE_CHECKING:
    from athena_local.sql.expressions.dispatch import Expressions


def between(build: Expressions, node: exp.Between, scope: Scope) -> Typed:
    value, low, high = build.all([node.this, node.args["low"], node.args["high"]], scope)
    for bound in (low, high):
        if value.type is None or bound.type is None or "unknown" in {value.type.base, bound.type.base}:
            continue
        if family(value.type) != family(bound.type):
            text = f"Cannot check if {value.type} is BETWEEN {low.type} and {high.type}"
            raise QueryError("TYPE_MISMATCH", text, position=position_of(node))
    nodes = [operand(item.node) for item in (value, low, high)]
    return Typed(Text(this="({0} BETWEEN {1} AND {2})", expressions=nodes), BOOLEAN)


def in_(build: Expressions, node: exp.In, scope: Scope) -> Typed:
    value = build.translate(node.this, scope)
    if node.args.get("unnest") or node.args.get("field"):
        return refuse(build, node, scope)
    query = node.args.get("query")
    if query is not None:
        inner = query.this if isinstance(query, exp.Subquery) else query
        tree, types = build.subquery(inner, scope)
        if len(types) == 1:
            check_in(value.type, types[0], node, "value and result of subquery must be of the same type")
        return Typed(Text(this="({0} IN ({1}))", expressions=[operand(value.node), tree]), BOOLEAN)
    items = build.all(node.expressions, scope)
    for item in items:
        check_in(value.type, item.type, node, "IN value and list items must be the same type")
    holes = ", ".join(f"{{{index + 1}}}" for index in range(len(items)))
    nodes = [operand(value.node), *(item.node for item in items)]
    return Typed(Text(this=f"({{0}} IN ({holes}))", expressions=nodes), BOOLEAN)


def check_in(left: Type, right: Type, node: exp.Expression, text: str) -> None:
    if left is None or right is None or "unknown" in {left.base, right.base}:
        return
    if family(left) != family(right):
        raise QueryError("TYPE_MISMATCH", f"{text}: {left} vs {right}", position=position_of(node))


def is_(build: Expressions, node: exp.Is, scope: Scope) -> Typed:
    if not isinstance(node.expression, exp.Null):
        return refuse(build, node, scope)
    return Typed(
        Text(this="({0} IS NULL)", expressions=[operand(build.translate(node.this, scope).node)]), BOOLEAN
    )


def distinct_from(build: Expressions, node: Any, scope: Scope) -> Typed:
    left, right = build.translate(node.this, scope), build.translate(node.expression, scope)
    check_comparable(left.type, right.type, "IS DISTINCT FROM", node)
    word = "IS DISTINCT FROM" if isinstance(node, exp.NullSafeNEQ) else "IS NOT DISTINCT FROM"
    nodes = [operand(left.node), operand(right.node)]
    return Typed(Text(this=f"({{0}} {word} {{1}})", expressions=nodes), BOOLEAN)


def like(build: Expressions, node: exp.Like, scope: Scope) -> Typed:
    left, right = build.translate(node.this, scope), build.translate(node.expression, scope)
    for item in (left, right):
        if item.type is not None and item.type.base not in {"varchar", "char", "unknown"}:
            text = f"Left side of LIKE expression must evaluate to a varchar (actual: {item.type})"
            raise QueryError("TYPE_MISMATCH", text, position=position_of(node))
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
    if not isinstance(inner, exp.Select | exp.SetOperation):
        return refuse(build, node, scope)
    tree, types = build.subquery(inner, scope)
    word = "ANY" if isinstance(node, exp.Any) else "ALL"
    return Typed(Text(this=f"{word} ({{0}})", expressions=[tree]), types[0])
