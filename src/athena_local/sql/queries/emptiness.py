"""Queries that can have no rows by their form: LIMIT 0, and a WHERE that is false. Their tables are not read, nor billed.

dbt asks for a model's columns in this way. Only what is plain to see counts: a false literal, or two literals compared.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp


def has_no_rows(node: exp.Expression) -> bool:
    """Tell whether nothing of a query's tables can show, so that they need not be read."""
    limit = node.args.get("limit")
    if isinstance(limit, exp.Limit) and limit.expression is not None and limit.expression.name == "0":
        return True
    where = node.args.get("where")
    if not isinstance(node, exp.Select) or where is None or node.args.get("having") is not None:
        return False
    parts = list(where.this.flatten()) if isinstance(where.this, exp.And) else [where.this]
    return any(_is_false(part) for part in parts) and all(_is_plain(item) for item in node.expressions)


def _is_false(condition: Any) -> bool:
    inner: Any = condition.unnest()
    if isinstance(inner, exp.Boolean):
        return not inner.this
    if not isinstance(inner, (exp.EQ, exp.NEQ)):
        return False
    left, right = inner.this, inner.expression
    if not (isinstance(left, exp.Literal) and isinstance(right, exp.Literal)):
        return False
    if not (left.is_string and right.is_string) and not (left.name.isdigit() and right.name.isdigit()):
        return False
    same = left.name == right.name if left.is_string else int(left.name) == int(right.name)
    return same == isinstance(inner, exp.NEQ)


def _is_plain(projection: Any) -> bool:
    """A function may aggregate, which makes a row of none; a subquery would be read for it."""
    return projection.find(exp.Anonymous, exp.Func, exp.Query, exp.Window) is None
