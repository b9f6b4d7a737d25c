"""Lambdas: what stands for Trino's elements, keys, values and states in DuckDB's, which take an element alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.coercion import Type, coerced, common_type
from athena_local.sql.dialect import Text
from athena_local.sql.functions.signatures import Bound, Pattern
from athena_local.sql.scope import Scope, Typed, position_of
from athena_local.types import quote

if TYPE_CHECKING:
    from athena_local.sql.expressions.dispatch import Expressions

_MAP_ENTRY = ("{p}.key", "{p}.value")
# function -> what stands for its lambda's parameters, in terms of DuckDB's one parameter `{p}`
_SEVERAL = {
    "zip_with": ("struct_extract({p}, 1)", "struct_extract({p}, 2)"),
    "map_filter": _MAP_ENTRY,
    "transform_values": _MAP_ENTRY,
    "transform_keys": _MAP_ENTRY,
    "map_zip_with": ("{p}.key", "{p}.value", "{p}.other"),
}
_STEP = 2  # reduce's third argument: the one that takes state and element


def translate_lambda(
    build: Expressions, function: str, index: int, node: exp.Lambda, bound: Bound, scope: Scope
) -> exp.Expression | None:
    """Return DuckDB's lambda, its result coerced to the signature's type; None when that does not fit."""
    pattern = bound.patterns[index]
    names = [item.name.lower() for item in node.expressions]
    wanted = len(pattern.inner) - 1
    if len(names) != wanted:
        text = f"Expected a lambda that takes {wanted} argument(s) but got {len(names)}"
        raise QueryError("TYPE_MISMATCH", text, position=position_of(node))
    inner = quote(f"_l{build.fresh_lambda()}")
    if function == "array_sort":
        return _comparator(build, node, names, pattern, bound, scope, inner)
    if function == "reduce" and index == _STEP:
        return _step(build, node, names, pattern, bound, scope, inner)
    texts = _SEVERAL.get(function, ("{p}",)) if wanted > 1 else ("{p}",)
    body = _body(build, node, names, [text.replace("{p}", inner) for text in texts], pattern, bound, scope)
    if not _accept(pattern.inner[-1], body.type, bound):
        return None
    value = coerced(body.node, body.type, bound.type_of(pattern.inner[-1]))
    return Text(this=f"LAMBDA {inner} : {{0}}", expressions=[value])


def _body(
    build: Expressions,
    node: exp.Lambda,
    names: list[str],
    texts: list[str],
    pattern: Pattern,
    bound: Bound,
    scope: Scope,
) -> Typed:
    known = {
        name: Typed(Text(this=text), bound.type_of(kind))
        for name, text, kind in zip(names, texts, pattern.inner, strict=False)
    }
    return build.translate(node.this, scope.with_lambdas(known))


def _step(
    build: Expressions,
    node: exp.Lambda,
    names: list[str],
    pattern: Pattern,
    bound: Bound,
    scope: Scope,
    inner: str,
) -> exp.Expression | None:
    """Fold state and element, side by side in a row; the state's type widens once if the body's is wider."""
    other = quote(f"_l{build.fresh_lambda()}")
    texts = [f"{inner}.s", f"{other}.x"]
    body = _body(build, node, names, texts, pattern, bound, scope)
    state = bound.variables.get("S")
    wide = common_type(state, body.type)
    if state is not None and body.type is not None and wide is None:
        return None
    if wide is not None and wide != state:
        bound.variables["S"] = wide
        body = _body(build, node, names, texts, pattern, bound, scope)
    kind = bound.variables.get("S")
    value = f"CAST({{0}} AS {kind.duckdb()})" if kind is not None and kind.base != "unknown" else "{0}"
    text = f"LAMBDA {inner}, {other} : {{'s': {value}, 'x': {other}.x}}"
    return Text(this=text, expressions=[body.node])


def _comparator(
    build: Expressions,
    node: exp.Lambda,
    names: list[str],
    pattern: Pattern,
    bound: Bound,
    scope: Scope,
    inner: str,
) -> exp.Expression | None:
    """Return the step that puts the next element into the sorted ones, by Trino's comparator: negative, zero or positive."""
    other, each = quote(f"_l{build.fresh_lambda()}"), quote(f"_l{build.fresh_lambda()}")
    body = _body(build, node, names, [each, f"{other}.x"], pattern, bound, scope)
    if not _accept(pattern.inner[-1], body.type, bound):
        return None
    before = f"list_filter({inner}.s, LAMBDA {each} : ({{0}}) <= 0)"
    after = f"list_filter({inner}.s, LAMBDA {each} : ({{0}}) > 0)"
    text = f"LAMBDA {inner}, {other} : {{'s': list_concat(list_append({before}, {other}.x), {after}), 'x': {other}.x}}"
    return Text(this=text, expressions=[body.node])


def _accept(pattern: Pattern, kind: Type, bound: Bound) -> bool:
    from athena_local.sql.functions.signatures import match

    return match(pattern, kind, bound) is not None
