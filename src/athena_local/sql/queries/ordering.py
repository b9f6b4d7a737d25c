"""What may end a query: ORDER BY (output names first, then columns), OFFSET, LIMIT and FETCH FIRST."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.dialect import Text
from athena_local.sql.expressions.windows import direction
from athena_local.sql.queries.shared import not_athena
from athena_local.sql.scope import Output, Scope, position_of

if TYPE_CHECKING:
    from athena_local.sql.queries.dispatch import Queries


def tail(
    build: Queries, node: exp.Expression, tree: exp.Expression, outputs: list[Output], scope: Scope
) -> None:
    """ORDER BY (output names first, then columns), OFFSET, LIMIT."""
    order = node.args.get("order")
    if order is not None:
        items = []
        for item in order.expressions:
            items.append(
                Text(this=f"{{0}}{direction(item)}", expressions=[order_item(build, item, outputs, scope)])
            )
        tree.set("order", exp.Order(expressions=items))
    limit, offset = node.args.get("limit"), node.args.get("offset")
    if isinstance(limit, exp.Fetch):
        options = limit.args.get("limit_options")
        if options is not None and (options.args.get("with_ties") or options.args.get("percent")):
            raise QueryError(
                "NOT_SUPPORTED", "FETCH FIRST WITH TIES is not supported", position=position_of(node)
            )
        tree.set("limit", exp.Limit(expression=limit.args.get("count") or exp.Literal.number(1)))
    elif limit is not None and not (
        isinstance(limit.expression, exp.Var) or limit.expression.name.upper() == "ALL"
    ):
        if limit.args.get("expressions") or not _is_count(limit.expression):
            raise not_athena("LIMIT", node)
        tree.set("limit", exp.Limit(expression=limit.expression.copy()))
    if offset is not None:
        if not _is_count(offset.expression):
            raise not_athena("OFFSET", node)
        tree.set("offset", exp.Offset(expression=offset.expression.copy()))


def order_item(build: Queries, item: exp.Expression, outputs: list[Output], scope: Scope) -> exp.Expression:
    inner = item.this if isinstance(item, exp.Ordered) else item
    if isinstance(inner, exp.Literal) and inner.name.isdigit() and not inner.is_string:
        if not 1 <= int(inner.name) <= len(outputs):
            text = f"ORDER BY position {inner.name} is not in select list"
            raise QueryError("INVALID_COLUMN_REFERENCE", text, position=position_of(item))
        return inner.copy()
    if isinstance(inner, exp.Column) and not inner.table:
        found = [index for index, output in enumerate(outputs) if output.name.lower() == inner.name.lower()]
        if found:
            return exp.Literal.number(found[0] + 1)
    return build.expressions.translate(inner, scope).node


def _is_count(node: exp.Expression) -> bool:
    return isinstance(node, exp.Literal) and node.name.isdigit() and not node.is_string
