"""Names: columns, fields of rows, parameters of lambdas, found in the scope where they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.dialect import Text
from athena_local.sql.expressions.operands import refuse
from athena_local.sql.scope import Scope, Typed, position_of

if TYPE_CHECKING:
    from athena_local.sql.expressions.dispatch import Expressions


def column(build: Expressions, node: exp.Column, scope: Scope) -> Typed:
    parts = [part.name for part in node.parts]
    position = position_of(node)
    if isinstance(node.this, exp.Star):
        return refuse(build, node, scope)
    if len(parts) > 1:
        relation = scope.relation(parts[-2], parts[:-2]) if len(parts) <= 4 else None
        if relation is not None:
            found = relation.find(parts[-1])
            if len(found) == 1:
                return Typed(_reference(relation.alias, found[0].ref), found[0].type)
            if len(found) > 1:
                raise QueryError("AMBIGUOUS_NAME", f"Column '{parts[-1]}' is ambiguous", position=position)
        return fields(parts, scope, position)
    return bare_name(parts[0], scope, position)


def unresolved(name: str, position: Any) -> QueryError:
    """Return Athena's refusal of a name: Trino's, with what may be the reason in a lake with permissions."""
    text = f"Column '{name}' cannot be resolved or requester is not authorized to access requested resources"
    return QueryError("COLUMN_NOT_FOUND", text, position=position)


def bare_name(name: str, scope: Scope, position: Any) -> Typed:
    if name.lower() in scope.lambdas:
        parameter = scope.lambdas[name.lower()]
        return Typed(parameter.node.copy(), parameter.type)
    found = scope.bare(name, position)
    if found is None:
        if name.lower() in scope.overlay:
            node, kind = scope.overlay[name.lower()]
            return Typed(node.copy(), kind)
        raise unresolved(name, position)
    relation, output = found
    return Typed(_reference(relation.alias if relation else None, output.ref), output.type)


def fields(parts: list[str], scope: Scope, position: Any) -> Typed:
    """Resolve `column.field…` or `table.column.field…`."""
    relation = scope.relation(parts[0])
    rest = parts[1:]
    if relation is not None and relation.find(parts[1]):
        output = relation.find(parts[1])[0]
        base = Typed(_reference(relation.alias, output.ref), output.type)
        rest = parts[2:]
    else:
        missing = unresolved(".".join(parts), position)
        if scope.bare(parts[0], position) is None and parts[0].lower() not in scope.lambdas:
            raise missing
        base = bare_name(parts[0], scope, position)
        if base.type is not None and base.type.base != "row":
            raise missing
    for name in rest:
        base = _field(base, name, position)
    return base


def lambda_name(build: Expressions, node: exp.Identifier, scope: Scope) -> Typed:  # noqa: ARG001
    return bare_name(node.name, scope, position_of(node))


def dot(build: Expressions, node: exp.Dot, scope: Scope) -> Typed:
    if isinstance(node.expression, exp.Anonymous):
        return refuse(build, node, scope)
    return _field(build.translate(node.this, scope), node.expression.name, position_of(node))


def _reference(alias: str | None, ref: str) -> exp.Expression:
    return exp.column(
        exp.to_identifier(ref, quoted=True), table=exp.to_identifier(alias, quoted=True) if alias else None
    )


def _field(base: Typed, name: str, position: Any) -> Typed:
    if base.type is None:
        return Typed(extract_field(base.node, name, None), None)
    if base.type.base == "row":
        for index, (field, kind) in enumerate(base.type.fields):
            if field.lower() == name.lower():
                return Typed(extract_field(base.node, field, index), kind)
        raise unresolved(name, position)
    raise QueryError("TYPE_MISMATCH", f"Expression is not of type ROW: {base.type}", position=position)


def extract_field(node: exp.Expression, name: str, index: int | None) -> exp.Expression:
    field = "'" + name.replace("'", "''") + "'" if name else str((index or 0) + 1)
    return Text(this=f"struct_extract({{0}}, {field})", expressions=[node])
