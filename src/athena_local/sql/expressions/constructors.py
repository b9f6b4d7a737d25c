"""ARRAY[…], ROW(…), subscripts, and a query that stands for one value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.engine.errors import raising
from athena_local.errors import QueryError
from athena_local.sql.dialect import Text
from athena_local.sql.expressions.names import extract_field
from athena_local.sql.expressions.operands import operand, refuse, same_type
from athena_local.sql.scope import Scope, Typed, position_of
from athena_local.types import (
    array_of,
    row_of,
)

if TYPE_CHECKING:
    from athena_local.sql.expressions.dispatch import Expressions


def array(build: Expressions, node: exp.Array, scope: Scope) -> Typed:
    parts = build.all(node.expressions, scope)
    kind = same_type(
        [(part.type, source) for part, source in zip(parts, node.expressions, strict=True)],
        "All ARRAY elements",
    )
    holes = ", ".join(f"{{{index}}}" for index in range(len(parts)))
    return Typed(
        Text(this=f"[{holes}]", expressions=[part.node for part in parts]),
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
    if base.type is not None and base.type.base == "map":
        missing = "'" + raising("INVALID_FUNCTION_ARGUMENT", "Key not present in map") + "'"
        text = f"CASE WHEN map_contains({{0}}, {{1}}) OR {{0}} IS NULL THEN {{0}}[{{1}}] ELSE error({missing}) END"
        return Typed(Text(this=text, expressions=nodes), base.type.value)
    if base.type is not None and base.type.base == "row":
        at = int(node.expressions[0].name) - 1
        name, field_type = base.type.fields[at]
        return Typed(extract_field(base.node, name, at), field_type)
    wrong = "'" + raising(
        "INVALID_FUNCTION_ARGUMENT", "Array subscript must be less than or equal to array length"
    ) + "'"  # fmt: skip
    inside = "{1} BETWEEN 1 AND len({0}) OR {0} IS NULL OR {1} IS NULL"
    text = f"CASE WHEN {inside} THEN {{0}}[{{1}}] ELSE error({wrong}) END"
    kind = base.type.element if base.type is not None and base.type.base == "array" else None
    return Typed(Text(this=text, expressions=nodes), kind)


def scalar_subquery(build: Expressions, node: exp.Subquery, scope: Scope) -> Typed:
    tree, types = build.subquery(node.this, scope)
    if len(types) != 1:
        text = f"Multiple columns returned by subquery are not yet supported. Found {len(types)}"
        raise QueryError("NOT_SUPPORTED", text, position=position_of(node))
    return Typed(Text(this="({0})", expressions=[tree]), types[0])
