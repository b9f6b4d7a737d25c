"""What an outer WHERE says of an inner query's columns, handed down so that the inner scan prunes by it.

Nothing is filtered here: conditions go along as notes on the inner SELECT, for partitions and files that cannot hold a row
of the result. Handed down through subqueries, views and WITH queries used once, where the inner query passes columns on as
they are: one FROM item, no grouping, windows, DISTINCT or LIMIT.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

_NOTE = "handed_down"
_KEEPS_ROWS_TOGETHER = (
    "group",
    "having",
    "distinct",
    "limit",
    "offset",
    "fetch",
    "qualify",
    "windows",
    "sample",
)
_RANDOM = (exp.Rand, exp.Randn, exp.Uuid)


def noted(select: exp.Expression) -> list[exp.Expression]:
    """Return the conditions that were handed down to a SELECT."""
    found: list[exp.Expression] = select.meta.get(_NOTE, [])
    return found


def hand_down(
    query: exp.Expression, conditions: list[exp.Expression], names: list[str] | None = None
) -> None:
    """Note on a query and what it reads which conditions hold for all rows that matter of it.

    conditions: on the query's own output columns, unqualified. names: what the outputs are called outside, if renamed.
    """
    for select in query.find_all(exp.Select):
        select.meta.pop(_NOTE, None)
    ctes = {cte.alias.lower(): cte.this for cte in query.find_all(exp.CTE)}
    uses: dict[str, int] = {}
    for table in query.find_all(exp.Table):
        if not table.db:
            uses[table.name.lower()] = uses.get(table.name.lower(), 0) + 1
    once = {name: body for name, body in ctes.items() if uses.get(name) == 1}
    _note(query, conditions, names, once, len(ctes) + 1)
    for select in query.find_all(exp.Select):
        _pass_on(select, once, len(ctes) + 1)


def _note(
    query: Any,
    conditions: list[exp.Expression],
    names: list[str] | None,
    ctes: dict[str, Any],
    depth: int,
) -> None:
    while isinstance(query, exp.Subquery | exp.Paren) and not query.args.get("joins"):
        query = query.this
    if not isinstance(query, exp.Select) or depth < 0:
        return
    passed = _passed_columns(query, names)
    fitting = [found for item in conditions if (found := _renamed(item, passed)) is not None]
    if fitting:
        query.meta[_NOTE] = [*noted(query), *fitting]
        _pass_on(query, ctes, depth - 1)


def _passed_columns(select: exp.Select, names: list[str] | None) -> dict[str, str] | None:
    """Return output name -> column of the FROM item; None when every column passes under its own name; {} when none does."""
    source = select.args.get("from_")
    if (
        source is None
        or select.args.get("joins")
        or select.args.get("laterals")
        or any(select.args.get(key) for key in _KEEPS_ROWS_TOGETHER)
        or any(item.find(exp.Window, exp.AggFunc, exp.Unnest) for item in select.expressions)
    ):
        return {}
    if len(select.expressions) == 1 and isinstance(select.expressions[0], exp.Star):
        return None
    found = {}
    for index, item in enumerate(select.expressions):
        inner = item.this if isinstance(item, exp.Alias) else item
        if isinstance(inner, exp.Column) and not isinstance(inner.this, exp.Star):
            outer = names[index] if names is not None and index < len(names) else item.alias_or_name
            found[outer.lower()] = inner.name
    return found


def _renamed(condition: exp.Expression, passed: dict[str, str] | None) -> exp.Expression | None:
    if passed is None:
        return condition
    if any(column.name.lower() not in passed for column in condition.find_all(exp.Column)):
        return None
    copy = condition.copy()
    for column in copy.find_all(exp.Column):
        column.set("this", exp.to_identifier(passed[column.name.lower()], quoted=True))
    return copy


def _pass_on(select: exp.Select, ctes: dict[str, Any], depth: int) -> None:
    """Hand what a SELECT's WHERE and notes say of its first FROM item to the query behind that."""
    source = select.args.get("from_")
    joins = select.args.get("joins") or []
    if source is None or any((join.side or "").upper() in {"RIGHT", "FULL"} for join in joins):
        return
    item = source.this
    alias_node = item.args.get("alias")
    if alias_node is not None and alias_node.args.get("columns"):
        return
    if isinstance(item, exp.Subquery):
        body: Any = item.this
    elif isinstance(item, exp.Table) and not item.db and item.name.lower() in ctes:
        body = ctes[item.name.lower()]
    else:
        return
    conditions = [
        found
        for condition in [*conjuncts_of(select), *noted(select)]
        if (found := _unqualified(condition, item.alias_or_name, bool(joins))) is not None
    ]
    if conditions and body is not select:
        _note(body, conditions, None, ctes, depth)


def conjuncts_of(select: exp.Select) -> list[exp.Expression]:
    """Return the conditions that a SELECT's WHERE joins by AND."""
    where = select.args.get("where")
    if where is None:
        return []
    parts: list[Any] = list(where.this.flatten()) if isinstance(where.this, exp.And) else [where.this]
    return parts


def _unqualified(condition: exp.Expression, alias: str, joined: bool) -> exp.Expression | None:
    """Return a condition on one FROM item alone without qualifiers; None for any other."""
    columns = list(condition.find_all(exp.Column))
    if not columns or condition.find(exp.Query, exp.Lambda, exp.AggFunc, exp.Window, *_RANDOM):
        return None
    if any(
        column.args.get("db") or (column.table.lower() != alias.lower() if column.table else joined)
        for column in columns
    ):
        return None
    copy = condition.copy()
    for column in copy.find_all(exp.Column):
        column.set("table", None)
    return copy
