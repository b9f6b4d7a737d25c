"""JOIN: kinds, ON and USING."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.coercion import common_type, incomparable
from athena_local.sql.queries.aggregation import refuse_aggregates
from athena_local.sql.queries.shared import expect_boolean, refuse_unknown
from athena_local.sql.scope import Output, Relation, Scope, position_of

if TYPE_CHECKING:
    from athena_local.sql.queries.dispatch import Queries

_PARTS = {"this", "on", "using", "side", "kind", "method"}


def add_join(build: Queries, join: exp.Join, scope: Scope, conjuncts: list[exp.Expression]) -> exp.Expression:
    refuse_unknown(join, _PARTS)
    if join.args.get("method"):
        first: Any = join.parent.args.get("from_") or join.parent if join.parent is not None else join
        raise QueryError("NOT_SUPPORTED", "Natural join not supported", position=position_of(first))
    before = list(scope.relations)
    tree, relations = build.from_item(join.this, scope, conjuncts)
    side, kind = (join.side or "").upper(), (join.kind or "").upper()
    result = exp.Join(this=tree)
    using = list(join.args.get("using") or [])
    scope.relations = [*before, *relations]
    if using:
        apply_using(using, before, relations, scope)
        names = [exp.to_identifier(item.name, quoted=True) for item in using]
        result.set("using", names)
    elif join.args.get("on") is not None:
        _check_lateral(join, side)
        refuse_aggregates(join.args["on"], "JOIN clause")
        on = build.expressions.translate(join.args["on"], scope)
        expect_boolean(on, join.args["on"], "JOIN ON")
        result.set("on", on.node)
    else:
        kind = "CROSS"
    result.set("side", side or None)
    result.set("kind", kind if kind in {"CROSS", "INNER"} else None)
    return result


def _check_lateral(join: exp.Join, side: str) -> None:
    """What is expanded row by row can only be joined to its row: ON TRUE."""
    what = {exp.Unnest: "UNNEST", exp.Lateral: "LATERAL relation"}.get(type(join.this))
    on = join.args["on"]
    if what is None or (isinstance(on, exp.Boolean) and on.this):
        return
    text = f"{side or 'INNER'} JOIN involving {what} is only supported with condition ON TRUE"
    raise QueryError("NOT_SUPPORTED", text, position=position_of(on))


def apply_using(columns: list[Any], before: list[Relation], after: list[Relation], scope: Scope) -> None:
    """Move the columns of USING out of both sides: they are shown once, and no qualifier reaches them."""
    merged: list[Output] = []
    for item in columns:
        name = item.name.lower()
        if any(output.name.lower() == name for output in merged):
            text = f"Column '{item.name}' appears multiple times in USING clause"
            raise QueryError("DUPLICATE_COLUMN_NAME", text, position=position_of(item))
        earlier = [output for output in scope.merged if output.name.lower() == name]
        left = earlier + [output for relation in before for output in relation.find(name)]
        right = [output for relation in after for output in relation.find(name)]
        for found, side in ((left, "left"), (right, "right")):
            if not found:
                text = f"Column '{item.name}' is missing from {side} side of join"
                raise QueryError("COLUMN_NOT_FOUND", text, position=position_of(item))
            if len(found) > 1:
                text = f"Column '{item.name}' is ambiguous"
                raise QueryError("AMBIGUOUS_NAME", text, position=position_of(item))
        one, other = left[0].type, right[0].type
        if incomparable(one, other):
            text = f"Cannot apply operator: {one} = {other}"
            raise QueryError("TYPE_MISMATCH", text, position=position_of(item))
        merged.append(Output(left[0].name, common_type(one, other), item.name))
    names = {output.name.lower() for output in merged}
    scope.merged = [*merged, *(output for output in scope.merged if output.name.lower() not in names)]
    for relation in scope.relations:
        relation.outputs = [output for output in relation.outputs if output.name.lower() not in names]
