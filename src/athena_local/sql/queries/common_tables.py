"""WITH, recursive too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.dialect import Text
from athena_local.sql.queries.set_operations import has_tail, united
from athena_local.sql.queries.shared import renamed
from athena_local.sql.scope import Output, Scope, position_of

if TYPE_CHECKING:
    from athena_local.sql.queries.dispatch import Queries


def with_(build: Queries, node: exp.With, outer: Scope) -> exp.With:
    found = []
    for cte in node.expressions:
        name = cte.alias
        columns = [column.name for column in cte.args["alias"].args.get("columns") or []]
        if node.args.get("recursive") and isinstance(cte.this, exp.SetOperation):
            _, anchor = build.query(cte.this.this, outer, build.ctes)
            build.ctes[name.lower()] = renamed(anchor, columns, cte)
            tree, outputs = recursion(build, cte.this, outer, build.ctes[name.lower()])
        else:
            tree, outputs = build.query(cte.this, outer, build.ctes)
        outputs = renamed(outputs, columns, cte)
        build.ctes[name.lower()] = outputs
        alias = exp.TableAlias(
            this=exp.to_identifier(name, quoted=True),
            columns=[exp.to_identifier(output.ref, quoted=True) for output in outputs],
        )
        found.append(exp.CTE(this=tree, alias=alias))
    return exp.With(expressions=found, recursive=bool(node.args.get("recursive")))


def recursion(
    build: Queries, node: exp.SetOperation, outer: Scope, anchor: list[Output]
) -> tuple[exp.Expression, list[Output]]:
    """Translate anchor and step as the bare union that DuckDB needs to see a recursion."""
    if not isinstance(node, exp.Union) or has_tail(node):
        raise QueryError("NOT_SUPPORTED", "A recursive query must be a UNION", position=position_of(node))
    first, _ = build.query(node.this, outer, build.ctes)
    step, outputs = build.query(node.expression, outer, build.ctes)
    united(anchor, outputs, node)
    text = "({0}) UNION ({1})" if node.args.get("distinct") else "({0}) UNION ALL ({1})"
    return Text(this=text, expressions=[first, step]), anchor
