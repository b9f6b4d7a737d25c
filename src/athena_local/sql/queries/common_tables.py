"""WITH. A recursive query is unrolled as Trino unrolls it: its steps are bounded, and one too many is an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from athena_local.engine.errors import raising
from athena_local.errors import QueryError
from athena_local.sql.coercion import incomparable
from athena_local.sql.dialect import DuckDBText, Text
from athena_local.sql.queries.set_operations import has_tail
from athena_local.sql.queries.shared import renamed
from athena_local.sql.scope import Output, Scope, position_of
from athena_local.types import quote

if TYPE_CHECKING:
    from athena_local.sql.queries.dispatch import Queries

MAX_RECURSION_DEPTH = 10  # Trino's max_recursion_depth, which Athena lets nobody change


def with_(build: Queries, node: exp.With, outer: Scope) -> exp.With:
    found = []
    names: set[str] = set()
    for cte in node.expressions:
        name = cte.alias.lower()
        if name in names:
            text = f"WITH query name '{cte.alias}' specified more than once"
            raise QueryError("DUPLICATE_NAMED_QUERY", text, position=position_of(cte.args["alias"]))
        names.add(name)
        columns = [column.name for column in cte.args["alias"].args.get("columns") or []]
        if node.args.get("recursive") and references(cte.this, name):
            tree, outputs = _recursive(build, cte, columns, outer)
        else:
            tree, outputs = build.query(cte.this, outer, build.ctes)
            outputs = renamed(outputs, columns, cte)
        build.ctes[name] = outputs
        alias = exp.TableAlias(
            this=exp.to_identifier(name, quoted=True),
            columns=[exp.to_identifier(output.ref, quoted=True) for output in outputs],
        )
        found.append(exp.CTE(this=tree, alias=alias))
    return exp.With(expressions=found)


def references(query: Any, name: str) -> list[exp.Table]:
    """Return the tables of that bare name in a query, those of a nested WITH that hides it left aside."""
    found = []
    for table in query.find_all(exp.Table):
        if not table.db and isinstance(table.this, exp.Identifier) and table.name.lower() == name:
            hidden = any(
                any(cte.alias.lower() == name for cte in ancestor.args["with_"].expressions)
                for ancestor in _ancestors(table, query)
                if ancestor.args.get("with_") is not None
            )
            if not hidden:
                found.append(table)
    return found


def _ancestors(node: exp.Expression, last: exp.Expression) -> list[Any]:
    found: list[Any] = []
    current: Any = node
    while current is not None and current is not last:
        current = current.parent
        found.append(current)
    return [item for item in found if item is not None]


def _recursive(
    build: Queries, cte: exp.CTE, columns: list[str], outer: Scope
) -> tuple[exp.Expression, list[Output]]:
    name, union = cte.alias, cte.this
    where = references(union, name.lower())
    is_union = isinstance(union, exp.Union) and not union.args.get("distinct") and not has_tail(union)
    if not is_union or references(union.this, name.lower()):
        text = "recursive reference not allowed in this context"
        raise QueryError("INVALID_RECURSIVE_REFERENCE", text, position=position_of(where[0]))
    if not columns:
        text = "missing column aliases in recursive WITH query"
        raise QueryError("MISSING_COLUMN_ALIASES", text, position=position_of(cte.args["alias"]))
    if len(where) > 1:
        text = "multiple recursive references in the step relation of recursion"
        raise QueryError("INVALID_RECURSIVE_REFERENCE", text, position=position_of(where[1]))
    anchor, outputs = build.query(union.this, outer, build.ctes)
    outputs = renamed(outputs, columns, cte)
    build.ctes[name.lower()] = outputs
    step, given = build.query(union.expression, outer, build.ctes)
    _check_step(outputs, given, union.expression)
    return _unrolled(name, anchor, step, outputs), outputs


def _check_step(outputs: list[Output], given: list[Output], step: exp.Expression) -> None:
    if len(outputs) != len(given):
        text = (
            "base and step relations of recursion have different number of fields:"
            f" {len(outputs)}, {len(given)}"
        )
        raise QueryError("TYPE_MISMATCH", text, position=position_of(step))
    for index, (base, other) in enumerate(zip(outputs, given, strict=True), start=1):
        if incomparable(base.type, other.type):
            text = (
                f"recursion step relation output type ({other.type}) is not coercible to recursion base relation"
                f" output type ({base.type}) at column {index}"
            )
            raise QueryError("TYPE_MISMATCH", text, position=position_of(step))


def _unrolled(name: str, anchor: exp.Expression, step: exp.Expression, outputs: list[Output]) -> Text:
    """Return the anchor and ten steps, each over the one before; rows of an eleventh are an error."""
    columns = ", ".join(quote(output.ref) for output in outputs)
    casts = ", ".join(
        f"CAST({quote(output.ref)} AS {output.type.duckdb()}) AS {quote(output.ref)}"
        if output.type is not None and output.type.base != "unknown"
        else quote(output.ref)
        for output in outputs
    )
    levels = [f"__level_0({columns}) AS MATERIALIZED ({anchor.sql(dialect=DuckDBText)})"]
    stepped = step.sql(dialect=DuckDBText)
    for level in range(1, MAX_RECURSION_DEPTH + 2):
        inner = f"WITH {quote(name.lower())} AS (SELECT * FROM __level_{level - 1}) SELECT * FROM ({stepped})"
        levels.append(f"__level_{level} AS MATERIALIZED (SELECT {casts} FROM ({inner}) AS s({columns}))")
    message = (
        f"Recursion depth limit exceeded ({MAX_RECURSION_DEPTH}). Use 'max_recursion_depth' session property to"
        " modify the limit."
    )
    failure = raising("NOT_SUPPORTED", message).replace("'", "''")
    parts = [f"SELECT * FROM __level_{level}" for level in range(MAX_RECURSION_DEPTH + 1)]
    last = f"__level_{MAX_RECURSION_DEPTH + 1}"
    parts.append(
        f"SELECT * FROM {last} WHERE (SELECT CASE WHEN count(*) > 0 THEN error('{failure}') END FROM {last}) IS NULL"
    )
    return Text(this=f"WITH {', '.join(levels)} {' UNION ALL '.join(parts)}")
