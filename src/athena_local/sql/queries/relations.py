"""FROM: tables, subqueries and parenthesised joins, each with the alias and the columns it shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.dialect import AthenaSQL, DuckDBText, Text
from athena_local.sql.queries import table_functions
from athena_local.sql.queries.joins import add_join
from athena_local.sql.queries.shared import not_athena, renamed
from athena_local.sql.queries.unnest import unnest
from athena_local.sql.scope import Relation, Scope, position_of
from athena_local.types import quote

if TYPE_CHECKING:
    from athena_local.sql.queries.dispatch import Queries


def add_from(build: Queries, node: exp.Select, scope: Scope, select: exp.Select) -> None:
    from_ = node.args.get("from_")
    joins: Sequence[exp.Join] = node.args.get("joins") or []
    if from_ is None:
        return
    conjuncts = where_conjuncts(node)
    outer_joined = any((join.side or "").upper() in {"RIGHT", "FULL"} for join in joins)
    tree, relations = from_item(build, from_.this, scope, [] if outer_joined else conjuncts)
    scope.relations += relations
    joined: list[exp.Expression] = []
    for inner in from_.this.args.get("joins") or []:
        joined.append(add_join(build, inner, scope, []))
    for join in joins:
        safe = not outer_joined and (join.side or "").upper() not in {"LEFT", "FULL", "RIGHT"}
        joined.append(add_join(build, join, scope, conjuncts if safe else []))
    select.set("from_", exp.From(this=tree))
    if joined:
        select.set("joins", joined)


def from_item(
    build: Queries, node: exp.Expression, scope: Scope, conjuncts: list[exp.Expression]
) -> tuple[exp.Expression, list[Relation]]:
    """Translate one FROM item; one that is a join in parentheses shows several relations."""
    if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table | exp.Subquery):
        return parenthesised(build, node, scope, conjuncts)
    tree, relation = single_item(build, node, scope, conjuncts)
    return tree, [relation]


def single_item(
    build: Queries, node: exp.Expression, scope: Scope, conjuncts: list[exp.Expression]
) -> tuple[exp.Expression, Relation]:
    if isinstance(node, exp.Table):
        return table_item(build, node, conjuncts)
    alias_node = node.args.get("alias")
    alias = alias_node.name if alias_node is not None else ""
    columns = (
        [column.name for column in (alias_node.args.get("columns") or [])] if alias_node is not None else []
    )
    if isinstance(node, exp.Unnest):
        return unnest(build, node, scope, alias, columns)
    if isinstance(node, exp.Lateral):
        if not isinstance(node.this, exp.Subquery):
            raise not_athena("LATERAL", node)
        return derived(build, node.this.this, scope, alias, columns, node, lateral=True)
    if isinstance(node, exp.Subquery):
        return derived(
            build, node.this, Scope(parent=scope.parent), alias, columns, node, node.args.get("sample")
        )
    if isinstance(node, exp.Values):
        return derived(build, node, Scope(parent=scope.parent), alias, columns, node)
    raise not_athena(node.sql(dialect=AthenaSQL)[:40], node)


def parenthesised(
    build: Queries, node: exp.Subquery, scope: Scope, conjuncts: list[exp.Expression]
) -> tuple[exp.Expression, list[Relation]]:
    """Translate `(a JOIN b ON …)`: conditions inside see only what is inside, names stay usable outside."""
    first, joins = node.this, node.this.args.get("joins") or []
    alias = node.args.get("alias")
    if not joins:
        item = first.copy()
        if alias:
            item.set("alias", alias.copy())
        return from_item(build, item, scope, conjuncts)
    if alias:
        text = "An alias on a join in parentheses is not supported"
        raise QueryError("NOT_SUPPORTED", text, position=position_of(node))
    inner = Scope(parent=scope.parent)
    tree, relations = from_item(build, first, inner, [])
    inner.relations += relations
    parts = [tree, *(add_join(build, join, inner, []) for join in joins)]
    scope.merged = [*scope.merged, *inner.merged]
    return Text(this=f"({' '.join(part.sql(dialect=DuckDBText) for part in parts)})"), inner.relations


def derived(
    build: Queries,
    query: exp.Expression,
    scope: Scope,
    alias: str,
    columns: list[str],
    node: exp.Expression,
    sample: exp.Expression | None = None,
    *,
    lateral: bool = False,
) -> tuple[exp.Expression, Relation]:
    tree, outputs = build.query(query, scope, build.ctes)
    outputs = renamed(outputs, columns, node, refs=False)
    name = alias or build.fresh()
    source = (
        f"{'LATERAL ' if lateral else ''}({tree.sql(dialect=DuckDBText)}) AS {quote(name)}{_sample(sample)}"
    )
    return Text(this=source), Relation(name, outputs, named=bool(alias))


def table_item(
    build: Queries, node: exp.Table, conjuncts: list[exp.Expression]
) -> tuple[exp.Expression, Relation]:
    invocation = table_functions.invoked(node)
    if invocation is not None:
        return table_functions.table_function(build, node, invocation)
    if not isinstance(node.this, exp.Identifier):
        name = node.this.name if isinstance(node.this, exp.Anonymous) else node.this.sql(dialect=AthenaSQL)
        text = f"Table function '{name.lower()}' not registered"
        raise QueryError("FUNCTION_NOT_FOUND", text, position=position_of(node))
    for key in ("pivots", "laterals", "when", "changes"):
        if node.args.get(key):
            raise not_athena(key.upper(), node)
    alias_node = node.args.get("alias")
    alias = alias_node.name if alias_node is not None and alias_node.name else node.name
    columns = (
        [column.name for column in (alias_node.args.get("columns") or [])] if alias_node is not None else []
    )
    sample = node.args.get("sample")
    if not node.db and node.name.lower() in build.ctes:
        outputs = renamed(build.ctes[node.name.lower()], columns, node, refs=False)
        text = f"{quote(node.name)} AS {quote(alias)}{_sample(sample)}"
        return Text(this=text), Relation(alias, outputs)
    sql, outputs = build.tables.source(
        node, alias, [] if columns else conjuncts
    )  # they may name renamed columns
    outputs = renamed(outputs, columns, node, refs=False)
    return Text(this=f"({sql}) AS {quote(alias)}{_sample(sample)}"), Relation(alias, outputs)


def _sample(node: exp.Expression | None) -> str:
    if node is None:
        return ""
    method = node.args["method"].name if node.args.get("method") is not None else ""
    percent = node.args.get("percent")
    if method.upper() not in {"BERNOULLI", "SYSTEM"} or percent is None:
        raise not_athena("TABLESAMPLE", node)
    return f" TABLESAMPLE {method.lower()}({float(percent.name)}%)"


def where_conjuncts(node: exp.Select) -> list[exp.Expression]:
    where = node.args.get("where")
    if where is None:
        return []
    parts: list[Any] = list(where.this.flatten()) if isinstance(where.this, exp.And) else [where.this]
    return parts
