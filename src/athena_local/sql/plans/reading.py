"""What a plan needs to know of a query's tree."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from athena_local.sql.functions import FUNCTIONS
from athena_local.sql.plans.nodes import Symbol
from athena_local.sql.plans.words import Names

Fields = list[tuple[str, Symbol]]  # a query's columns: the name it gives each, and the symbol that holds it


def branches(node: exp.Expression) -> list[exp.Expression]:
    """Return the queries of a chain of UNION ALL, which is one exchange; of any other set operation its two."""
    if not isinstance(node, exp.SetOperation):
        return [node]
    left = node.this
    chained = (
        type(left) is type(node) is exp.Union
        and not left.args.get("distinct")
        and not node.args.get("distinct")
    )
    plain = not any(left.args.get(key) for key in ("order", "limit", "offset", "with_"))
    return [*(branches(left) if chained and plain else [left]), node.expression]


def renamed(fields: Fields, names: list[str]) -> Fields:
    if len(names) != len(fields):
        return fields
    return [(name, symbol) for name, (_, symbol) in zip(names, fields, strict=True)]


def is_star(item: exp.Expression) -> bool:
    return isinstance(item, exp.Star) or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star))


def is_own_aggregate(call: exp.Anonymous, select: exp.Select) -> bool:
    known = FUNCTIONS.get(call.name.lower())
    if known is None or not known.aggregate or call.find_ancestor(exp.Query) is not select:
        return False
    return not isinstance(call.parent, exp.Window) and not isinstance(
        getattr(call.parent, "parent", None), exp.Window
    )


def is_before(side: exp.Expression, before: Names) -> bool:
    columns = list(side.find_all(exp.Column))
    return bool(columns) and all(before.find(column) for column in columns)


def joins_sides(condition: exp.EQ, before: Names) -> bool:
    """Whether one side of an equality is of the relations before the join and the other is not."""
    return is_before(condition.this, before) != is_before(condition.expression, before)


def conjuncts(select: exp.Expression | None) -> list[exp.Expression]:
    where = select.args.get("where") if select is not None else None
    if where is None:
        return []
    parts: list[Any] = list(where.this.flatten()) if isinstance(where.this, exp.And) else [where.this]
    return parts


def wanted_columns(node: exp.Select) -> set[str]:
    """Return the column names that a query needs of its tables; those it only compares with literals may yet go."""
    plain = {
        id(part.this)
        for part in conjuncts(node)
        if isinstance(part, (exp.EQ, exp.In)) and isinstance(part.this, exp.Column)
    }
    return {column.name.lower() for column in node.find_all(exp.Column) if id(column) not in plain}


def key_equalities(
    node: exp.Table, alias: str, keys: set[str]
) -> list[tuple[exp.Expression, str, list[str]]]:
    """Return the conditions of the query above that compare a partition key with literals: (condition, key, values)."""
    found = []
    for part in conjuncts(node.find_ancestor(exp.Select)):
        items: list[exp.Expression] = []
        if isinstance(part, exp.In):
            items = part.expressions
        elif isinstance(part, exp.EQ):
            items = [part.expression]
        column = part.this
        if not items or not isinstance(column, exp.Column) or column.name.lower() not in keys:
            continue
        literals = [_literal(item) for item in items]
        if column.table.lower() in {"", alias} and all(value is not None for value in literals):
            found.append((part, column.name.lower(), [str(value) for value in literals]))
    return found


def _literal(node: exp.Expression) -> str | None:
    if isinstance(node, exp.Cast):
        node = node.this
    return node.name if isinstance(node, exp.Literal) else None
