"""VALUES as a query."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.coercion import Type, common_type
from athena_local.sql.dialect import Text
from athena_local.sql.queries.ordering import tail
from athena_local.sql.queries.shared import column, unique
from athena_local.sql.scope import Output, Relation, Scope, position_of
from athena_local.types import UNKNOWN, quote

if TYPE_CHECKING:
    from athena_local.sql.queries.dispatch import Queries


def values_(build: Queries, node: exp.Values, outer: Scope) -> tuple[exp.Expression, list[Output]]:
    rows = [list(item.expressions) if isinstance(item, exp.Tuple) else [item] for item in node.expressions]
    rows = [
        [*row] if not (len(row) == 1 and isinstance(row[0], exp.Paren)) else [row[0].this] for row in rows
    ]
    width = len(rows[0])
    types: list[Type] = [UNKNOWN] * width
    nodes: list[exp.Expression] = []
    texts = []
    for row in rows:
        if len(row) != width:
            text = f"Values rows have mismatched types: row({width}) vs row({len(row)})"
            raise QueryError("TYPE_MISMATCH", text, position=position_of(node))
        holes = []
        for index, item in enumerate(row):
            typed = build.expressions.translate(item, Scope(parent=outer))
            types[index] = common_type(types[index], typed.type)
            holes.append(f"{{{len(nodes)}}}")
            nodes.append(typed.node)
        texts.append(f"({', '.join(holes)})")
    outputs = unique([(f"_col{index}", types[index]) for index in range(width)])
    names = ", ".join(quote(output.ref) for output in outputs)
    select = exp.select(*[column(output.ref) for output in outputs])
    values = Text(this=f"(VALUES {', '.join(texts)}) AS __values({names})", expressions=nodes)
    select.set("from_", exp.From(this=values))
    tail(build, node, select, outputs, Scope([Relation("", outputs, named=False)], outer))
    return select, outputs
