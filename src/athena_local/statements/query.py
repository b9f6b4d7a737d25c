"""SELECT and EXPLAIN: rows as a stream of Arrow batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from athena_local.context import ResultColumn, StatementResult
from athena_local.errors import QueryError
from athena_local.sql import statements as s
from athena_local.types import AthenaType
from athena_local.types.mappings import arrow_in_zone

if TYPE_CHECKING:
    from athena_local.engine.session import Session


def select(session: Session, statement: s.Select) -> StatementResult:
    translated = session.translate(statement.query, shown=True)
    columns = [column.type.result(column.name) for column in translated.columns]
    names = [column.name for column in translated.columns]
    zoned = [column.type for column in translated.columns]
    return StatementResult(columns, _named(session.batches(translated.sql), names, zoned))


def _named(
    batches: Iterator[pa.RecordBatch], names: list[str], types: list[AthenaType]
) -> Iterator[pa.RecordBatch]:
    """Give the columns the names the query gave them (inside, repeated ones were told apart) and times their zones."""
    for batch in batches:
        arrays = [_in_zone(array, kind) for array, kind in zip(batch.columns, types, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, names)


def _in_zone(array: pa.Array, kind: AthenaType) -> pa.Array:
    zoned = arrow_in_zone(array.type, kind)
    return array if zoned == array.type else array.cast(zoned)


def closing(session: Session, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Stream, and close the session behind the last row or the first error."""
    try:
        yield from batches
    finally:
        session.close()


def explain(session: Session, statement: s.Explain) -> StatementResult:
    """Return this engine's own plan: what Trino's would be cannot be known here, and the text is not Athena's."""
    inner = statement.statement
    query = getattr(inner, "query", None)
    if statement.kind == "validate":
        if query is not None:
            session.translate(query)
        return _rows(ResultColumn("Valid", "boolean"), pa.array([True]))
    if query is None:
        return _rows(ResultColumn("Query Plan", "varchar", 2147483647), pa.array([inner.substatement_type]))
    if statement.form == "graphviz":
        raise QueryError("NOT_SUPPORTED", "EXPLAIN (FORMAT GRAPHVIZ) is not supported by this server")
    words = "EXPLAIN (FORMAT json)" if statement.form == "json" else "EXPLAIN"
    words = "EXPLAIN ANALYZE" if statement.analyze else words
    plan = session.execute(f"{words} {session.translate(query).sql}").fetchall()
    lines = "\n".join(row[-1] for row in plan).splitlines()
    return _rows(ResultColumn("Query Plan", "varchar", 2147483647), pa.array(lines, pa.string()))


def _rows(column: ResultColumn, values: pa.Array) -> StatementResult:
    return StatementResult([column], iter([pa.RecordBatch.from_arrays([values], [column.name])]))
