"""Aggregates and windows: FILTER, OVER, IGNORE NULLS, DISTINCT, ORDER BY inside a call, LISTAGG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.sql.dialect import AthenaSQL, Text
from athena_local.sql.expressions.calls import raw_call
from athena_local.sql.expressions.operands import refuse
from athena_local.sql.scope import Scope, Typed
from athena_local.types import (
    VARCHAR,
    quote,
)

if TYPE_CHECKING:
    from athena_local.sql.expressions.dispatch import Expressions


def aggregate(
    build: Expressions, node: exp.Expression, scope: Scope
) -> tuple[Typed, Callable[[Typed], Typed]]:
    if isinstance(node, exp.Anonymous):
        return raw_call(build, node.name.lower(), node.expressions, node, scope)
    if isinstance(node, exp.Filter):
        call, wrap = aggregate(build, node.this, scope)
        condition = build.translate(node.expression.this, scope)
        return Typed(
            Text(this="{0} FILTER (WHERE {1})", expressions=[call.node, condition.node]), call.type
        ), wrap
    if isinstance(node, (exp.IgnoreNulls, exp.RespectNulls)):
        call, wrap = aggregate(build, node.this, scope)
        words = "IGNORE NULLS" if isinstance(node, exp.IgnoreNulls) else "RESPECT NULLS"
        text = str(call.node.this)
        return Typed(Text(this=f"{text[:-1]} {words})", expressions=call.node.expressions), call.type), wrap
    return build.translate(node, scope), lambda typed: typed


def filter_(build: Expressions, node: exp.Filter, scope: Scope) -> Typed:
    call, wrap = aggregate(build, node, scope)
    return wrap(call)


def null_treatment(build: Expressions, node: exp.Expression, scope: Scope) -> Typed:
    call, wrap = aggregate(build, node, scope)
    return wrap(call)


def over(build: Expressions, node: exp.Window, scope: Scope) -> Typed:
    call, wrap = aggregate(build, node.this, scope)
    if node.args.get("alias"):
        name = quote(node.args["alias"].name)
        return wrap(Typed(Text(this=f"{{0}} OVER {name}", expressions=[call.node]), call.type))
    frame = window(build, node, scope)
    return wrap(Typed(Text(this="{0} OVER ({1})", expressions=[call.node, frame]), call.type))


def window(build: Expressions, node: exp.Expression, scope: Scope) -> exp.Expression:
    """Return the inside of OVER (…)."""
    pieces, nodes = [], []
    partitions = build.all(node.args.get("partition_by") or [], scope)
    if partitions:
        pieces.append("PARTITION BY " + ", ".join(f"{{{index}}}" for index in range(len(partitions))))
        nodes += [part.node for part in partitions]
    order = node.args.get("order")
    if order is not None:
        pieces.append(f"ORDER BY {{{len(nodes)}}}")
        nodes.append(ordering(build, order.expressions, scope))
    spec = node.args.get("spec")
    if spec is not None:
        pieces.append(spec.sql(dialect=AthenaSQL))
    return Text(this=" ".join(pieces), expressions=nodes)


def ordering(build: Expressions, items: Sequence[exp.Expression], scope: Scope) -> exp.Expression:
    nodes = [build.translate(item.this, scope).node for item in items]
    pieces = [f"{{{index}}}{direction(item)}" for index, item in enumerate(items)]
    return Text(this=", ".join(pieces), expressions=nodes)


def distinct(build: Expressions, node: exp.Distinct, scope: Scope) -> Typed:
    if node.args.get("on"):
        return refuse(build, node, scope)
    parts = build.all(node.expressions, scope)
    if len(parts) > 1:  # count(DISTINCT a, b) is not Trino's
        return refuse(build, node, scope)
    return Typed(Text(this="DISTINCT {0}", expressions=[parts[0].node]), parts[0].type)


def ordered_argument(build: Expressions, node: exp.Order, scope: Scope) -> Typed:
    inner = build.translate(node.this, scope)
    order = ordering(build, node.expressions, scope)
    return Typed(Text(this="{0} ORDER BY {1}", expressions=[inner.node, order]), inner.type)


def listagg(build: Expressions, node: exp.GroupConcat, scope: Scope) -> Typed:
    separator = node.args.get("separator")
    value, order = node.this, ""
    nodes: list[exp.Expression] = []
    if isinstance(value, exp.Order):
        ordered = ordered_argument(build, exp.Order(this=exp.Null(), expressions=value.expressions), scope)
        nodes.append(ordered.node.expressions[1] if len(ordered.node.expressions) > 1 else ordered.node)
        order = " ORDER BY {2}"
        value = value.this
    inner = build.translate(value, scope)
    mark = build.translate(separator, scope).node if separator is not None else exp.Literal.string("")
    return Typed(
        Text(this="string_agg({0}, {1}" + order + ")", expressions=[inner.node, mark, *nodes]), VARCHAR
    )


def direction(item: exp.Expression) -> str:
    """Return ` DESC NULLS LAST` and the like: Trino puts nulls last in both directions unless told otherwise."""
    if not isinstance(item, exp.Ordered):
        return " NULLS LAST"
    return f"{' DESC' if item.args.get('desc') else ''} NULLS {'FIRST' if item.args.get('nulls_first') else 'LAST'}"
