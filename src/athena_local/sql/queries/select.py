"""SELECT: its list, WHERE, HAVING, named windows; what is grouped is checked before DuckDB sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.dialect import DuckDBText, Text
from athena_local.sql.expressions.windows import window
from athena_local.sql.queries.aggregation import check_calls, refuse_aggregates, windows
from athena_local.sql.queries.grouping import GroupBy
from athena_local.sql.queries.ordering import output_named, tail
from athena_local.sql.queries.relations import add_from
from athena_local.sql.queries.shared import expect_boolean, refuse_unknown, unique
from athena_local.sql.queries.stars import expand_star, is_star
from athena_local.sql.scope import Output, Scope, Typed, position_of
from athena_local.sql.zones import refuse_by_row
from athena_local.types import quote

if TYPE_CHECKING:
    from athena_local.sql.queries.dispatch import Queries

_PARTS = {
    "with_", "expressions", "from_", "joins", "where", "group", "having", "windows", "distinct", "order", "limit",
    "offset", "sample", "hint",
}  # fmt: skip
Projection = tuple[str, Typed]


def translate_select(build: Queries, node: exp.Select, outer: Scope) -> tuple[exp.Expression, list[Output]]:
    refuse_unknown(node, _PARTS)
    scope = Scope(parent=outer)
    select = exp.Select()
    add_from(build, node, scope, select)
    where = node.args.get("where")
    if where is not None:
        refuse_aggregates(where.this, "WHERE clause")
        check_calls(where.this)
        condition = build.expressions.translate(where.this, scope)
        expect_boolean(condition, where.this, "WHERE")
        select.set("where", exp.Where(this=condition.node))
    check_windows(node)
    projections, sources = project(build, node, scope)
    outputs = unique([(name, typed.type) for name, typed in projections])
    group = GroupBy(build, node, scope, projections, sources)
    having = node.args.get("having")
    if having is not None:
        add_having(build, having.this, scope, select)
    group.check(node, projections, sources, outputs)
    select.set(
        "expressions",
        [
            exp.Alias(this=typed.node, alias=exp.to_identifier(output.ref, quoted=True))
            for (_, typed), output in zip(projections, outputs, strict=True)
        ],
    )
    if node.args.get("distinct") is not None:
        for output in outputs:
            refuse_by_row(output.type, "DISTINCT", position_of(node))
        check_distinct(build, node, scope, projections, outputs)
        select.set("distinct", exp.Distinct())
    group.put_on(select)
    if node.args.get("windows"):
        select.set("windows", [named_window(build, item, scope) for item in node.args["windows"]])
    scope.overlay = {name.lower(): (typed.node, typed.type) for name, typed in projections}
    tail(build, node, select, outputs, scope)
    return select, outputs


def project(build: Queries, node: exp.Select, scope: Scope) -> tuple[list[Projection], list[Any]]:
    """Return the columns, and for each the expression it was written as; None where a star gave it."""
    found: list[Projection] = []
    sources: list[Any] = []
    for item in node.expressions:
        if is_star(item):
            columns = expand_star(build, item, scope)
            found += columns
            sources += [None] * len(columns)
        else:
            inner = item.this if isinstance(item, exp.Alias) else item
            check_calls(inner)
            name = item.alias if isinstance(item, exp.Alias) else _derived_name(item, len(found))
            found.append((name, build.expressions.translate(inner, scope)))
            sources.append(inner)
    return found, sources


def add_having(build: Queries, node: Any, scope: Scope, select: exp.Select) -> None:
    found = windows(node)
    if found:
        text = "HAVING clause cannot contain window functions or row pattern measures"
        raise QueryError("NESTED_WINDOW", text, position=position_of(found[0]))
    check_calls(node)
    condition = build.expressions.translate(node, scope)
    expect_boolean(condition, node, "HAVING")
    select.set("having", exp.Having(this=condition.node))


def check_distinct(
    build: Queries, node: exp.Select, scope: Scope, projections: list[Projection], outputs: list[Output]
) -> None:
    """ORDER BY of a SELECT DISTINCT may only use what it shows."""
    order = node.args.get("order")
    keys = {typed.node.sql(dialect=DuckDBText) for _, typed in projections}
    for item in order.expressions if order is not None else []:
        inner = item.this if isinstance(item, exp.Ordered) else item
        if isinstance(inner, exp.Literal) or output_named(outputs, inner) is not None:
            continue
        visible = Scope(scope.relations, scope.parent, scope.merged)
        visible.overlay = {name.lower(): (typed.node, typed.type) for name, typed in projections}
        if build.expressions.translate(inner, visible).node.sql(dialect=DuckDBText) not in keys:
            text = "For SELECT DISTINCT, ORDER BY expressions must appear in select list"
            raise QueryError("EXPRESSION_NOT_IN_DISTINCT", text, position=position_of(inner))


def check_windows(node: exp.Select) -> None:
    """Named windows have one meaning each, and are there where they are used."""
    names: set[str] = set()
    for item in node.args.get("windows") or []:
        _check_window_name(item, names)
        if item.name.lower() in names:
            text = f"WINDOW name '{item.name}' specified more than once"
            raise QueryError("DUPLICATE_WINDOW_NAME", text, position=position_of(item))
        names.add(item.name.lower())
    order = node.args.get("order")
    for item in [*node.expressions, *(order.expressions if order is not None else [])]:
        for found in windows(item):
            _check_window_name(found, names)


def _check_window_name(item: Any, names: set[str]) -> None:
    used = item.args.get("alias")
    if used is not None and used.name.lower() not in names:
        text = f"Cannot resolve WINDOW name {used.name}"
        raise QueryError("INVALID_WINDOW_REFERENCE", text, position=position_of(used) or position_of(item))


def named_window(build: Queries, item: exp.Expression, scope: Scope) -> exp.Expression:
    frame = window(build.expressions, item, scope)
    return Text(this=f"{quote(item.name)} AS ({{0}})", expressions=[frame])


def _derived_name(item: exp.Expression, index: int) -> str:
    if isinstance(item, exp.Column):
        return item.name
    if isinstance(item, exp.Dot):
        return str(item.expression.name)
    return f"_col{index}"
