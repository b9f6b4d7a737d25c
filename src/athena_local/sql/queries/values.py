"""VALUES as a query: a row is `(a, b)`, ROW(a, b), or any value whose type is a row; everything else is a row of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.coercion import Type, common_type, incomparable, zoned_alike
from athena_local.sql.dialect import Text
from athena_local.sql.expressions.names import extract_field
from athena_local.sql.expressions.operands import shown
from athena_local.sql.places import word_position
from athena_local.sql.queries.ordering import tail
from athena_local.sql.queries.shared import column, unique
from athena_local.sql.scope import Output, Relation, Scope, Typed
from athena_local.types import UNKNOWN, quote

if TYPE_CHECKING:
    from athena_local.sql.queries.dispatch import Queries


def values_(build: Queries, node: exp.Values, outer: Scope) -> tuple[exp.Expression, list[Output]]:
    scope = Scope(parent=outer)
    rows = [_row(build, item, scope) for item in node.expressions]
    types = _types(rows, node)
    nodes: list[exp.Expression] = []
    texts = []
    for row in rows:
        holes = [f"{{{len(nodes) + index}}}" for index in range(len(row))]
        nodes += [zoned_alike(typed, kind) for (_, typed), kind in zip(row, types, strict=True)]
        texts.append(f"({', '.join(holes)})")
    outputs = unique([(f"_col{index}", kind) for index, kind in enumerate(types)])
    names = ", ".join(quote(output.ref) for output in outputs)
    select = exp.select(*[column(output.ref) for output in outputs])
    values = Text(this=f"(VALUES {', '.join(texts)}) AS __values({names})", expressions=nodes)
    select.set("from_", exp.From(this=values))
    tail(build, node, select, outputs, Scope([Relation("", outputs, named=False)], outer))
    return select, outputs


def _row(build: Queries, node: Any, scope: Scope) -> list[tuple[Any, Typed]]:
    """Return the values of one row, each with where it was written."""
    if isinstance(node, exp.Tuple) and len(node.expressions) == 1:
        return _row(build, node.expressions[0], scope)
    if isinstance(node, exp.Paren):
        return _row(build, node.this, scope)
    if isinstance(node, exp.Tuple) or (isinstance(node, exp.Anonymous) and node.name.lower() == "row"):
        return [(item, build.expressions.translate(item, scope)) for item in node.expressions]
    typed = build.expressions.translate(node, scope)
    if typed.type is None or typed.type.base != "row":
        return [(node, typed)]
    fields = enumerate(typed.type.fields)
    return [(node, Typed(extract_field(typed.node, name, at), kind)) for at, (name, kind) in fields]


def _types(rows: list[list[tuple[Any, Typed]]], node: exp.Values) -> list[Type]:
    width = len(rows[0])
    types: list[Type] = [UNKNOWN] * width
    for row in rows:
        if len(row) != width:
            text = f"Values rows have mismatched sizes: {width} vs {len(row)}"
            raise QueryError("TYPE_MISMATCH", text, position=word_position(node, "VALUES"))
        if any(incomparable(one, typed.type) for one, (_, typed) in zip(types, row, strict=True)):
            text = f"Values rows have mismatched types: {_shown(rows[0])} vs {_shown(row)}"
            raise QueryError("TYPE_MISMATCH", text, position=word_position(node, "VALUES"))
        types = [common_type(one, typed.type) for one, (_, typed) in zip(types, row, strict=True)]
    return types


def _shown(row: list[tuple[Any, Typed]]) -> str:
    return f"row({', '.join(shown(typed.type, source) for source, typed in row)})"
