"""Functions that take a lambda: transform, filter, reduce, zip_with, and those over maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.coercion import Type
from athena_local.sql.dialect import Text
from athena_local.sql.functions import FUNCTIONS
from athena_local.sql.scope import Scope, Typed, position_of
from athena_local.types import (
    array_of,
    map_of,
    quote,
)

if TYPE_CHECKING:
    from athena_local.sql.expressions.dispatch import Expressions


def with_lambda(
    build: Expressions, name: str, arguments: Sequence[exp.Expression], node: exp.Expression, scope: Scope
) -> Typed:
    values = [item for item in arguments if not isinstance(item, exp.Lambda)]
    lambdas = [item for item in arguments if isinstance(item, exp.Lambda)]
    if not values or not lambdas:
        raise QueryError(
            "FUNCTION_NOT_FOUND", f"Unexpected parameters for function {name}", position=position_of(node)
        )
    parts = build.all(values, scope)
    source = parts[0].type
    if name == "reduce":
        return reduce(build, parts, lambdas, scope)
    if source is not None and source.base == "map":
        return map_lambda(build, name, parts[0], lambdas[0], scope)
    item = source.element if source is not None and source.base == "array" else None
    if name == "zip_with":
        other = parts[1].type.element if parts[1].type is not None and parts[1].type.base == "array" else None
        body, names = lambda_(build, lambdas[0], [item, other], scope)
        pair = quote("_pair")
        text = f"list_transform(list_zip({{0}}, {{1}}), LAMBDA {pair} : {{2}})"
        inner = _rename(body.node, {names[0]: f"{pair}[1]", names[1]: f"{pair}[2]"})
        kind = array_of(body.type) if body.type else None
        return Typed(Text(this=text, expressions=[parts[0].node, parts[1].node, inner]), kind)
    body, names = lambda_(build, lambdas[0], [item], scope)
    function = FUNCTIONS[name]
    arrow = Text(this=f"LAMBDA {quote(names[0])} : {{0}}", expressions=[body.node])
    result = function.result([source, body.type])
    return Typed(Text(this=str(function.template), expressions=[parts[0].node, arrow]), result)


def map_lambda(build: Expressions, name: str, source: Typed, arrow: exp.Lambda, scope: Scope) -> Typed:
    assert source.type is not None
    body, names = lambda_(build, arrow, [source.type.key, source.type.value], scope)
    entry = quote("_entry")
    inner = _rename(body.node, {names[0]: f"{entry}.key", names[1]: f"{entry}.value"})
    if name == "map_filter":
        text = f"map_from_entries(list_filter(map_entries({{0}}), LAMBDA {entry} : {{1}}))"
        return Typed(Text(this=text, expressions=[source.node, inner]), source.type)
    key, value = (f"{entry}.key", "{1}") if name == "transform_values" else ("{1}", f"{entry}.value")
    pair = "{" + f"'key': {key}, 'value': {value}" + "}"
    text = f"map_from_entries(list_transform(map_entries({{0}}), LAMBDA {entry} : {pair}))"
    kinds = (source.type.key, body.type) if name == "transform_values" else (body.type, source.type.value)
    kind = map_of(*kinds) if kinds[0] and kinds[1] else None
    return Typed(Text(this=text, expressions=[source.node, inner]), kind)


def reduce(build: Expressions, parts: list[Typed], lambdas: list[exp.Lambda], scope: Scope) -> Typed:
    source, state = parts[0].type, parts[1].type
    item = source.element if source is not None and source.base == "array" else None
    body, names = lambda_(build, lambdas[0], [state, item], scope)
    last, last_names = lambda_(build, lambdas[1], [state], scope)
    step = Text(this=f"LAMBDA {quote(names[0])}, {quote(names[1])} : {{0}}", expressions=[body.node])
    text = f"list_reduce({{0}}, {{1}}, {_cast_initial(body.type)})"
    folded = Text(this=text, expressions=[parts[0].node, step, parts[1].node])
    final = Text(
        this=f"list_transform([{{0}}], LAMBDA {quote(last_names[0])} : {{1}})[1]",
        expressions=[folded, last.node],
    )
    return Typed(final, last.type)


def lambda_(
    build: Expressions, node: exp.Lambda, types: Sequence[Type], scope: Scope
) -> tuple[Typed, list[str]]:
    names = [item.name.lower() for item in node.expressions]
    if len(names) != len(types):
        text = f"Expected a lambda that takes {len(types)} argument(s)"
        raise QueryError("TYPE_MISMATCH", text, position=position_of(node))
    return build.translate(node.this, scope.with_lambdas(dict(zip(names, types, strict=True)))), names


def _cast_initial(kind: Type) -> str:
    return f"CAST({{2}} AS {kind.duckdb()})" if kind is not None and kind.base != "unknown" else "{2}"


def _rename(node: exp.Expression, names: dict[str, str]) -> exp.Expression:
    """Put what a lambda's parameter stands for in its place."""
    marks = {quote(name): text for name, text in names.items()}
    for item in list(node.find_all(Text)):
        if str(item.this) in marks and not item.expressions:
            item.set("this", marks[str(item.this)])
    return node
