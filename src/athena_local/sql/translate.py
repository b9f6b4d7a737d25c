"""A query's way from Athena's text to DuckDB's, in stages.

parse      `parse.py`: text to Athena's tree, or SYNTAX_ERROR with the place
resolve    `queries/`, `scope.py`, `tables.py`: names against the catalog, stars and views expanded
[semantic] types are worked out beside the names today (`expressions/`, `coercion.py`, `functions/`), as far as they are
           known; a full pass over Trino's types belongs here, between resolving and translating
translate  `expressions/`, `queries/`: each node's DuckDB equivalent; what has none is refused
generate   here: DuckDB's text, its columns cast to the types Athena gives them
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.dialect import DuckDBText
from athena_local.sql.queries import Queries
from athena_local.sql.scope import Scope, position_of
from athena_local.types import AthenaType, Column, from_duckdb, quote

if TYPE_CHECKING:
    from athena_local.engine.session import Session, Translated

Type = AthenaType | None
_INTEGER_RESULTS = {"hugeint", "uhugeint"}


def translate(session: Session, query: exp.Expression) -> Translated:
    """Return DuckDB's SQL of an Athena query, with its columns' names and types."""
    from athena_local.engine.session import Translated

    queries = Queries(session)
    tree, outputs = queries.query(query, Scope(), {})
    sql = tree.sql(dialect=DuckDBText)
    try:
        bound = session.connection.sql(sql)
        kinds = list(bound.types) if bound is not None else []
    except duckdb.Error as error:
        raise _placed(session.error(error), query) from error
    columns, casts, changed = [], [], False
    for output, kind in zip(outputs, kinds, strict=True):
        actual = from_duckdb(kind)
        wanted = output.type if output.type is not None and output.type.base != "unknown" else actual
        columns.append(Column(output.name, wanted))
        differs = wanted.duckdb() != str(kind).replace('"NULL"', "NULL") and wanted.base not in {
            "unknown",
            "json",
        }
        differs = differs and not _same_duckdb_type(wanted, actual, str(kind.id))
        changed = changed or differs
        reference = quote(output.ref)
        casts.append(f"CAST({reference} AS {wanted.duckdb()}) AS {reference}" if differs else reference)
    if changed:
        sql = f"SELECT {', '.join(casts)} FROM ({sql})"
        if isinstance(tree, exp.Query) and tree.args.get("order"):
            sql = _ordered_outside(tree, casts)
    return Translated(sql, columns)


def _placed(error: Exception, query: exp.Expression) -> Exception:
    """Give DuckDB's word on a column that is not grouped the place of that column."""
    if isinstance(error, QueryError) and error.code == "EXPRESSION_NOT_AGGREGATE" and error.position is None:
        name = error.text.split("'")[1].lower()
        for column in query.find_all(exp.Column, bfs=False):
            if (
                column.name.lower() == name
                and position_of(column)
                and not column.find_ancestor(exp.Anonymous)
            ):
                return QueryError(error.code, error.text, position=position_of(column))
    return error


def _ordered_outside(tree: exp.Expression, casts: list[str]) -> str:
    """Keep ORDER BY outermost: a subquery's order is not promised to survive."""
    text = tree.sql(dialect=DuckDBText)
    numbered = f"SELECT *, row_number() OVER () AS __order FROM ({text})"
    return f"SELECT {', '.join(casts)} FROM ({numbered}) ORDER BY __order"


def _same_duckdb_type(wanted: AthenaType, actual: AthenaType, name: str) -> bool:
    return name not in _INTEGER_RESULTS and wanted.duckdb() == actual.duckdb()
