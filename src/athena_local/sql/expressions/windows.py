"""Aggregates and windows: FILTER, OVER, frames, IGNORE NULLS, ORDER BY, LISTAGG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.dialect import Text
from athena_local.sql.expressions.calls import raw_call
from athena_local.sql.scope import Scope, Typed, position_of
from athena_local.sql.zones import instant, refuse_by_row
from athena_local.types import VARCHAR, quote

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
        refuse_null_treatment(node)
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
    for part in partitions:
        refuse_by_row(part.type, "PARTITION BY", position_of(node))
    if partitions:
        pieces.append("PARTITION BY " + ", ".join(f"{{{index}}}" for index in range(len(partitions))))
        nodes += [part.node for part in partitions]
    order = node.args.get("order")
    if order is not None:
        pieces.append(f"ORDER BY {{{len(nodes)}}}")
        nodes.append(ordering(build, order.expressions, scope))
    spec = node.args.get("spec")
    if spec is not None:
        bounds = []
        for side in ("start", "end"):
            text, node_of = bound(build, spec, side, len(nodes), scope)
            nodes += node_of
            bounds += [text] if text else []
        kind = str(spec.args.get("kind") or "ROWS").upper()
        pieces.append(
            f"{kind} BETWEEN {bounds[0]} AND {bounds[1]}" if len(bounds) > 1 else f"{kind} {bounds[0]}"
        )
    return Text(this=" ".join(pieces), expressions=nodes)


def bound(
    build: Expressions, spec: exp.Expression, side: str, index: int, scope: Scope
) -> tuple[str, list[exp.Expression]]:
    """Return a frame's bound: words, or an offset's expression before them."""
    value, word = spec.args.get(side), str(spec.args.get(f"{side}_side") or "").upper()
    if value is None:
        return "", []
    if isinstance(value, str):
        return f"{value.upper()} {word}".strip(), []
    return f"{{{index}}} {word}", [build.translate(value, scope).node]


_NULL_TREATED = {"lag", "lead", "first_value", "last_value", "nth_value"}


def refuse_null_treatment(node: exp.Expression) -> None:
    name = node.this.name.lower() if isinstance(node.this, exp.Anonymous) else ""
    if name not in _NULL_TREATED:
        text = f"Cannot specify null treatment clause for {name} function"
        raise QueryError("NULL_TREATMENT_NOT_ALLOWED", text, position=position_of(node))


def ordering(build: Expressions, items: Sequence[exp.Expression], scope: Scope) -> exp.Expression:
    nodes = [ordering_key(build.translate(item.this, scope)) for item in items]
    pieces = [f"{{{index}}}{direction(item)}" for index, item in enumerate(items)]
    return Text(this=", ".join(pieces), expressions=nodes)


def listagg(build: Expressions, node: exp.GroupConcat, scope: Scope) -> Typed:
    separator = node.args.get("separator")
    value, order = node.this, ""
    nodes: list[exp.Expression] = []
    if isinstance(value, exp.Order):
        nodes.append(ordering(build, value.expressions, scope))
        order = " ORDER BY {2}"
        value = value.this
    distinct = isinstance(value, exp.Distinct)
    value = value.expressions[0] if isinstance(value, exp.Distinct) else value
    inner = build.translate(value, scope)
    if inner.type is not None and not inner.type.is_text and inner.type.base != "unknown":
        text = f"Unexpected parameters ({inner.type}, varchar) for function listagg."
        text += " Expected: listagg(varchar(v), varchar(d))"
        raise QueryError("FUNCTION_NOT_FOUND", text, position=position_of(node))
    mark = build.translate(separator, scope).node if separator is not None else exp.Literal.string("")
    text = f"string_agg({'DISTINCT ' if distinct else ''}{{0}}, {{1}}{order})"
    return Typed(Text(this=text, expressions=[inner.node, mark, *nodes]), VARCHAR)


def ordering_key(typed: Typed) -> exp.Expression:
    """Return what a value is ordered by: a zoned one by its instant."""
    return instant(typed.node, typed.type) if typed.type is not None and typed.type.is_zoned else typed.node


def direction(item: exp.Expression) -> str:
    """Return ` DESC NULLS LAST` and the like: Trino puts nulls last in both directions unless told otherwise."""
    if not isinstance(item, exp.Ordered):
        return " NULLS LAST"
    return f"{' DESC' if item.args.get('desc') else ''} NULLS {'FIRST' if item.args.get('nulls_first') else 'LAST'}"
