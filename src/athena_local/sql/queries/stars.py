"""Stars in a select list: `*`, `t.*`, and `row_value.*`, with the column aliases that may follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.expressions.names import extract_field
from athena_local.sql.queries.shared import column, refuse_unknown
from athena_local.sql.scope import Output, Relation, Scope, Typed, position_of

if TYPE_CHECKING:
    from athena_local.sql.queries.dispatch import Queries

Projection = tuple[str, Typed]


def is_star(item: exp.Expression) -> bool:
    inner = item.this if isinstance(item, exp.Aliases) else item
    if isinstance(inner, exp.Dot):
        return isinstance(inner.expression, exp.Star)
    return isinstance(inner, exp.Star) or (isinstance(inner, exp.Column) and isinstance(inner.this, exp.Star))


def expand_star(build: Queries, item: Any, scope: Scope) -> list[Projection]:
    """Return the columns a star stands for."""
    names = [name.name for name in item.expressions] if isinstance(item, exp.Aliases) else []
    inner = item.this if isinstance(item, exp.Aliases) else item
    if isinstance(inner, exp.Star):
        refuse_unknown(inner, set())
        return _all(inner, scope)
    found = _qualified(build, inner, scope)
    if not names:
        return found
    if len(names) != len(found):
        text = f"Column alias list has {len(names)} entries but relation has {len(found)} columns"
        raise QueryError("MISMATCHED_COLUMN_ALIASES", text, position=position_of(item))
    return [(name, typed) for name, (_, typed) in zip(names, found, strict=True)]


def _all(item: exp.Star, scope: Scope) -> list[Projection]:
    if not scope.relations:
        text = "SELECT * not allowed in queries without FROM clause"
        raise QueryError("COLUMN_NOT_FOUND", text, position=position_of(item) or (1, 8))
    found = [(output.name, Typed(column(output.ref), output.type)) for output in scope.merged]
    for relation in scope.relations:
        found += _columns(relation)
    return found


def _qualified(build: Queries, item: Any, scope: Scope) -> list[Projection]:
    if isinstance(item, exp.Column):
        parts = [part.name for part in item.parts[:-1]]
        relation = scope.relation(parts[-1], parts[:-1])
        if relation is not None:
            return _columns(relation)
        value: Any = exp.Dot.build([part.copy() for part in item.parts[:-1]]) if len(parts) > 1 else None
        value = value or exp.Column(this=item.parts[0].copy())
        if scope.bare(parts[0], None) is None and scope.relation(parts[0]) is None:
            text = f"Unable to resolve reference {'.'.join(parts)}"
            raise QueryError("TABLE_NOT_FOUND", text, position=position_of(item))
    else:
        value = item.this
    typed = build.expressions.translate(value, scope)
    if typed.type is None or typed.type.base != "row":
        raise QueryError("TYPE_MISMATCH", "expected expression of type Row", position=position_of(item))
    return [
        (name or f"_col{at}", Typed(extract_field(typed.node, name, at), kind))
        for at, (name, kind) in enumerate(typed.type.fields)
    ]


def _columns(relation: Relation) -> list[Projection]:
    return [_projected(relation, output) for output in relation.outputs if not output.hidden]


def _projected(relation: Relation, output: Output) -> Projection:
    node = exp.column(
        exp.to_identifier(output.ref, quoted=True), table=exp.to_identifier(relation.alias, quoted=True)
    )
    return output.name, Typed(node, output.type)
