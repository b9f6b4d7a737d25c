"""ARRAY[…], ROW(…), subscripts, and a query that stands for one value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.coercion import coerced
from athena_local.sql.dialect import Text
from athena_local.sql.expressions.names import extract_field
from athena_local.sql.expressions.operands import operand, refuse, same_type
from athena_local.sql.functions.signatures import failing
from athena_local.sql.scope import Scope, Typed, position_of
from athena_local.types import AthenaType, array_of, row_of

if TYPE_CHECKING:
    from athena_local.sql.expressions.dispatch import Expressions


_MISSING = "'ATHENA!INVALID_FUNCTION_ARGUMENT!Key not present in map: ' || CAST({1} AS VARCHAR) || '!END'"
_MAP_SUBSCRIPT = (
    "CASE WHEN map_contains({0}, {1}) OR {0} IS NULL OR {1} IS NULL THEN {0}[{1}]"
    f" ELSE trino_fail({_MISSING}) END"
)
_ZERO = failing("SQL array indices start at 1")
_NEGATIVE = "'ATHENA!INVALID_FUNCTION_ARGUMENT!Array subscript is negative: '"
_BEYOND = "'ATHENA!INVALID_FUNCTION_ARGUMENT!Array subscript must be less than or equal to array length: '"
_ARRAY_SUBSCRIPT = (
    f"CASE WHEN {{1}} = 0 THEN {_ZERO} WHEN {{1}} < 0 THEN trino_fail({_NEGATIVE} || {{1}} || '!END')"
    f" WHEN {{1}} > len({{0}}) THEN trino_fail({_BEYOND} || {{1}} || ' > ' || len({{0}}) || '!END') ELSE {{0}}[{{1}}] END"
)


def array(build: Expressions, node: exp.Array, scope: Scope) -> Typed:
    parts = build.all(node.expressions, scope)
    kind = same_type(
        [(part.type, source) for part, source in zip(parts, node.expressions, strict=True)],
        "All ARRAY elements",
    )
    holes = ", ".join(f"{{{index}}}" for index in range(len(parts)))
    return Typed(
        Text(this=f"[{holes}]", expressions=[coerced(part.node, part.type, kind) for part in parts]),
        array_of(kind) if kind else None,
    )


def row(build: Expressions, node: exp.Expression, scope: Scope) -> Typed:
    parts = build.all(node.expressions, scope)
    holes = ", ".join(f"{{{index}}}" for index in range(len(parts)))
    types = [part.type for part in parts]
    known = [("", kind) for kind in types if kind is not None]
    kind = row_of(known) if len(known) == len(types) else None
    return Typed(Text(this=f"row({holes})", expressions=[part.node for part in parts]), kind)


def subscript(build: Expressions, node: exp.Bracket, scope: Scope) -> Typed:
    if len(node.expressions) != 1 or isinstance(node.expressions[0], exp.Slice):
        return refuse(build, node, scope)
    base, index = build.translate(node.this, scope), build.translate(node.expressions[0], scope)
    nodes = [operand(base.node), operand(index.node)]
    kind = base.type
    if kind is not None and kind.base == "map":
        nodes[1] = coerced(nodes[1], index.type, kind.key)
        return Typed(Text(this=_MAP_SUBSCRIPT, expressions=nodes), kind.value)
    if kind is not None and kind.base == "row":
        return _row_subscript(base, kind, node)
    if kind is not None and kind.base != "array":
        text = f"Cannot use {kind} for subscript expression. Expected: ARRAY, MAP or ROW"
        raise QueryError("TYPE_MISMATCH", text, position=position_of(node))
    if index.type is not None and not index.type.is_integer and index.type.base != "unknown":
        text = f"Cannot use {index.type} for subscript of {kind}"
        raise QueryError("TYPE_MISMATCH", text, position=position_of(node))
    return Typed(Text(this=_ARRAY_SUBSCRIPT, expressions=nodes), kind.element if kind is not None else None)


def _row_subscript(base: Typed, kind: AthenaType, node: exp.Bracket) -> Typed:
    written = node.expressions[0]
    if not isinstance(written, exp.Literal) or not written.name.isdigit():
        text = "Subscript expression on ROW requires a constant index"
        raise QueryError("EXPRESSION_NOT_CONSTANT", text, position=position_of(node))
    at = int(written.name) - 1
    if not 0 <= at < len(kind.fields):
        text = (
            f"Invalid subscript index: {at + 1}. ROW indices start at 1"
            if at < 0
            else (f"Subscript index out of bounds: {at + 1}, max value is {len(kind.fields)}")
        )
        raise QueryError("INVALID_FUNCTION_ARGUMENT", text, position=position_of(node))
    name, field_type = kind.fields[at]
    return Typed(extract_field(base.node, name, at), field_type)


def scalar_subquery(build: Expressions, node: exp.Subquery, scope: Scope) -> Typed:
    tree, types = build.subquery(node.this, scope)
    if len(types) != 1:
        text = f"Multiple columns returned by subquery are not yet supported. Found {len(types)}"
        raise QueryError("NOT_SUPPORTED", text, position=position_of(node))
    return Typed(Text(this="({0})", expressions=[tree]), types[0])
