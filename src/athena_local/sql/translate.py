"""A query as a whole: Athena's tree to DuckDB's text, its columns cast to the types Athena gives them.

How it gets there, layer by layer, is told in `sql/__init__.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.casts import converted
from athena_local.sql.dialect import DuckDBText, Text
from athena_local.sql.pushdown import hand_down
from athena_local.sql.queries import Queries
from athena_local.sql.scope import Scope, position_of
from athena_local.types import AthenaType, Column, from_duckdb, quote

if TYPE_CHECKING:
    from athena_local.engine.session import Session, Translated

Type = AthenaType | None
TOO_DEEP = "statement is too large (stack overflow during analysis)"
_INTEGER_RESULTS = {"hugeint", "uhugeint"}


def translate(
    session: Session, query: exp.Expression, *, shown: bool = False, stored: bool = False
) -> Translated:
    """Return DuckDB's SQL of an Athena query, with its columns' names and types.

    `shown`: the rows are a result to look at. `stored`: they become a table as they are, so zoned times are instants in UTC;
    otherwise these keep their zones, for what they are put into may ask for them.
    """
    from athena_local.engine.session import Translated

    try:
        hand_down(query, [])
        tree, outputs = Queries(session).query(query, Scope(), {})
        sql = tree.sql(dialect=DuckDBText)
    except RecursionError:
        raise QueryError("STACK_OVERFLOW", TOO_DEEP) from None
    session.provide(sql)
    try:
        bound = session.connection.sql(sql)
        kinds = list(bound.types) if bound is not None else []
    except duckdb.Error as error:
        raise _placed(session.error(error), query) from error
    columns, casts, changed = [], [], False
    for output, kind in zip(outputs, kinds, strict=True):
        wanted = (
            output.type if output.type is not None and output.type.base != "unknown" else from_duckdb(kind)
        )
        reference = quote(output.ref)
        made = _final(reference, wanted, kind, shown=shown, stored=stored)
        columns.append(Column(output.name, wanted.stored() if stored else wanted))
        changed = changed or made != reference
        casts.append(f"{made} AS {reference}" if made != reference else reference)
    if changed:
        sql = f"SELECT {', '.join(casts)} FROM ({sql})"
        if isinstance(tree, exp.Query) and tree.args.get("order"):
            sql = _ordered_outside(tree, casts)
    session.provide(sql)
    return Translated(sql, columns)


def _final(reference: str, wanted: AthenaType, kind: Any, *, shown: bool, stored: bool) -> str:
    """Return a result column in the DuckDB type that its Athena type has."""
    if wanted.base == "time with time zone" and shown:  # Arrow would lose the offset
        return f"CAST({reference} AS VARCHAR)"
    if wanted.zone_by_row and stored:
        made = converted(Text(this=reference), wanted, wanted.stored())
        return made.sql(dialect=DuckDBText)
    if wanted.zone_by_row or wanted.base in {"unknown", "json"}:
        return reference
    actual = from_duckdb(kind)
    if wanted.duckdb() == str(kind) or _same_duckdb_type(wanted, actual, str(kind.id)):
        return reference
    return f"CAST({reference} AS {wanted.duckdb()})"


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
