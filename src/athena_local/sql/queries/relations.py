"""FROM: tables, subqueries and parenthesised joins, each with the alias and the columns it shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.config import CATALOG_NAME
from athena_local.errors import QueryError
from athena_local.sql.dialect import AthenaSQL, DuckDBText, Text
from athena_local.sql.pushdown import conjuncts_of, noted
from athena_local.sql.queries import table_functions
from athena_local.sql.queries.joins import add_join
from athena_local.sql.queries.shared import not_read, refuse_unknown, renamed, unique
from athena_local.sql.queries.unnest import unnest
from athena_local.sql.scope import Output, Relation, Scope, position_of
from athena_local.types import quote

if TYPE_CHECKING:
    from athena_local.sql.queries.dispatch import Queries

_TABLE_PARTS = {"this", "db", "catalog", "alias", "sample", "joins", "version", "only"}


def add_from(build: Queries, node: exp.Select, scope: Scope, select: exp.Select) -> None:
    from_ = node.args.get("from_")
    joins: Sequence[exp.Join] = node.args.get("joins") or []
    if from_ is None:
        return
    first = from_.this
    if node.args.get("sample") is not None and first.args.get("sample") is None:
        first.set("sample", node.args["sample"])  # sqlglot hangs that of VALUES on the query around it
    conjuncts = where_conjuncts(node)
    outer_joined = any((join.side or "").upper() in {"RIGHT", "FULL"} for join in joins)
    tree, relations = from_item(build, first, scope, [] if outer_joined else conjuncts)
    scope.relations += relations
    joined: list[exp.Expression] = []
    for inner in first.args.get("joins") or []:
        joined.append(add_join(build, inner, scope, []))
    for join in joins:
        safe = not outer_joined and (join.side or "").upper() not in {"LEFT", "FULL", "RIGHT"}
        joined.append(add_join(build, join, scope, conjuncts if safe else []))
    refuse_twins(scope.relations, node)
    select.set("from_", exp.From(this=tree))
    if joined:
        select.set("joins", joined)


def refuse_twins(relations: list[Relation], node: exp.Expression) -> None:
    """Two relations of one name are Trino's to tell apart; the engine here cannot."""
    seen: set[str] = set()
    for relation in relations:
        if relation.alias.lower() in seen:
            text = (
                f"Two relations with the name '{relation.alias}' in one FROM are not supported by this server"
            )
            raise QueryError("NOT_SUPPORTED", text, position=position_of(node))
        seen.add(relation.alias.lower())


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
    alias, columns = _alias(node)
    if isinstance(node, exp.Table):
        if isinstance(node.this, exp.Values):  # the first of a join in parentheses
            return derived(build, node.this, Scope(parent=scope.parent), alias, columns, node)
        return table_item(build, node, conjuncts)
    if isinstance(node, exp.Unnest):
        return unnest(build, node, scope, alias, columns)
    if isinstance(node, exp.Lateral) and isinstance(node.this, exp.Subquery):
        return derived(build, node.this.this, scope, alias, columns, node, lateral=True)
    if isinstance(node, exp.Subquery):
        return derived(build, node.this, Scope(parent=scope.parent), alias, columns, node)
    if isinstance(node, exp.Values):
        return derived(build, node, Scope(parent=scope.parent), alias, columns, node)
    raise not_read(node)


def parenthesised(
    build: Queries, node: exp.Subquery, scope: Scope, conjuncts: list[exp.Expression]
) -> tuple[exp.Expression, list[Relation]]:
    """Translate `(a JOIN b ON …)`: conditions inside see only what is inside, names stay usable outside."""
    first, joins = node.this, node.this.args.get("joins") or []
    alias, columns = _alias(node)
    if not joins and not alias:
        return from_item(build, first, scope, conjuncts)
    inner = Scope(parent=scope.parent)
    tree, relations = from_item(build, first, inner, [])
    inner.relations += relations
    parts = [tree, *(add_join(build, join, inner, []) for join in joins)]
    text = " ".join(part.sql(dialect=DuckDBText) for part in parts)
    if alias:
        source, relation = _aliased_join(text, inner, alias, columns, node)
        return source, [relation]
    scope.merged = [*scope.merged, *inner.merged]
    return Text(this=f"({text})"), inner.relations


def _aliased_join(
    text: str, inner: Scope, alias: str, columns: list[str], node: exp.Subquery
) -> tuple[exp.Expression, Relation]:
    """An alias hides the names inside; what it covers is one relation of all their columns."""
    shown = [(quote(output.ref), output) for output in inner.merged]
    for relation in inner.relations:
        shown += [
            (f"{quote(relation.alias)}.{quote(output.ref)}", output)
            for output in relation.outputs
            if not output.hidden
        ]
    outputs = unique([(output.name, output.type) for _, output in shown])
    items = ", ".join(
        f"{source} AS {quote(output.ref)}" for (source, _), output in zip(shown, outputs, strict=True)
    )
    return _named(f"SELECT {items} FROM {text}", alias, columns, outputs, node)


def derived(
    build: Queries,
    query: exp.Expression,
    scope: Scope,
    alias: str,
    columns: list[str],
    node: exp.Expression,
    *,
    lateral: bool = False,
) -> tuple[exp.Expression, Relation]:
    tree, outputs = build.query(query, scope, build.ctes)
    name = alias or build.fresh()
    source, relation = _named(tree.sql(dialect=DuckDBText), name, columns, outputs, node)
    relation.named = bool(alias)
    return (Text(this=f"LATERAL {source.this}") if lateral else source), relation


def table_item(
    build: Queries, node: exp.Table, conjuncts: list[exp.Expression]
) -> tuple[exp.Expression, Relation]:
    invocation = table_functions.invoked(node)
    if invocation is not None:
        return table_functions.table_function(build, node, invocation)
    if isinstance(node.this, exp.Dot):
        name = f"{node.catalog}.{node.db}.{node.this.sql(dialect=AthenaSQL)}"
        raise QueryError("SYNTAX_ERROR", f"Too many dots in table name: {name}")
    refuse_unknown(node, _TABLE_PARTS)
    if not isinstance(node.this, exp.Identifier):
        raise not_read(node)
    alias, columns = _alias(node)
    name = alias or node.name
    if not node.db and node.name.lower() in build.ctes:
        outputs = build.ctes[node.name.lower()]
        sql = f"SELECT * FROM {quote(node.name)}"
        return _named(sql, name, columns, outputs, node)
    # conditions may name the columns by their aliases: then they tell nothing of the table's own
    sql, outputs = build.tables.source(node, name, [] if columns else conjuncts)
    source, relation = _named(sql, name, columns, outputs, node)
    if not alias:
        relation.prefix = (CATALOG_NAME.lower(), (node.db or build.database).lower())
    return source, relation


def _alias(node: exp.Expression) -> tuple[str, list[str]]:
    alias = node.args.get("alias")
    if alias is None:
        return "", []
    return alias.name, [column.name for column in alias.args.get("columns") or []]


def _named(
    sql: str, alias: str, columns: list[str], outputs: list[Output], node: exp.Expression
) -> tuple[Text, Relation]:
    """Return `(sql) AS alias`. With a list of columns the SQL itself carries their names, and hidden ones are gone."""
    if columns:
        visible = [output for output in outputs if not output.hidden]
        outputs = renamed(outputs, columns, node, alias)
        items = ", ".join(
            f"{quote(old.ref)} AS {quote(new.ref)}" for old, new in zip(visible, outputs, strict=True)
        )
        sql = f"SELECT {items} FROM ({sql})"
    text = f"({sql}) AS {quote(alias)}{_sample(node.args.get('sample'))}"
    return Text(this=text), Relation(alias, list(outputs))


def _sample(node: exp.Expression | None) -> str:
    if node is None:
        return ""
    method, percent = node.args["method"].name, node.args.get("percent")
    if not isinstance(percent, exp.Literal) or percent.is_string:
        raise not_read(node)
    share = float(percent.name)
    if share > 100:
        text = "Sample percentage must be between 0 and 100, but was " + percent.name
        raise QueryError("NUMERIC_VALUE_OUT_OF_RANGE", text, position=position_of(percent))
    return f" TABLESAMPLE {method.lower()}({share}%)"


def where_conjuncts(node: exp.Select) -> list[exp.Expression]:
    """Return the conditions of a SELECT's WHERE, and those handed down to it, which hold for every row that matters."""
    return [*conjuncts_of(node), *noted(node)]
