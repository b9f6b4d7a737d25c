"""JOIN: kinds, ON and USING."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.queries.shared import expect_boolean, not_athena, refuse_aggregates
from athena_local.sql.scope import Relation, Scope, position_of

if TYPE_CHECKING:
    from athena_local.sql.queries.dispatch import Queries


def add_join(build: Queries, join: exp.Join, scope: Scope, conjuncts: list[exp.Expression]) -> exp.Expression:
    if join.args.get("method") or (join.kind or "").upper() in {"SEMI", "ANTI", "POSITIONAL", "ASOF"}:
        name = str(join.args.get("method") or join.kind)
        if name.upper() == "NATURAL":
            raise QueryError("NOT_SUPPORTED", "Natural join not supported", position=position_of(join))
        raise not_athena(f"{name} JOIN", join)
    tree, relations = build.from_item(join.this, scope, conjuncts)
    lateral = isinstance(join.this, (exp.Unnest, exp.Lateral))
    side, kind = (join.side or "").upper(), (join.kind or "").upper()
    result = exp.Join(this=tree)
    using = [item.name for item in join.args.get("using") or []]
    before = list(scope.relations)
    scope.relations += relations
    if using:
        apply_using(using, before, relations, scope, join)
        result.set("using", [exp.to_identifier(name, quoted=True) for name in using])
    elif join.args.get("on") is not None:
        refuse_aggregates(join.args["on"], "JOIN clause")
        on = build.expressions.translate(join.args["on"], scope)
        expect_boolean(on, join.args["on"], "JOIN ON")
        result.set("on", on.node)
    elif lateral and not side:
        kind = "CROSS"
    elif side or kind in {"INNER"} or (not kind and join.args.get("on") is None and side):
        raise QueryError(
            "SYNTAX_ERROR", "mismatched input. Expecting: 'ON', 'USING'", position=position_of(join)
        )
    else:
        kind = "CROSS"
    result.set("side", side or None)
    result.set("kind", kind if kind in {"CROSS", "INNER"} else None)
    return result


def apply_using(
    names: list[str], before: list[Relation], after: list[Relation], scope: Scope, join: exp.Join
) -> None:
    merged = [name.lower() for name in names]
    for name in names:
        left = any(item.find(name) for item in before)
        if not left or not any(item.find(name) for item in after):
            side = "left" if not left else "right"
            text = f"Column '{name}' is missing from {side} side of join"
            raise QueryError("COLUMN_NOT_FOUND", text, position=position_of(join))
    scope.merged = [*merged, *(name for name in scope.merged if name not in merged)]
