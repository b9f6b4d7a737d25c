"""SELECT: rows as a stream of Arrow batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from athena_local.context import StatementResult
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
