"""Reads the rows of Parquet and JSON lines files as batches of Arrow, in bounded memory, with the place of each row in its
file.

JSON lines go through Arrow's own parser in blocks of whole lines; a block that it refuses, or reads otherwise than line by
line, is taken apart by `lines.py`'s exact reading, which names every fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.errors import LandingError
from penstock.landing.columns import Places, Teller, arrow_type, converted, schema_of
from penstock.landing.faults import Faults
from penstock.landing.reading import BLOCK_BYTES, Block, blocks
from penstock.sources.declaration import Column, Table

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# Rows read at a time from Parquet. 2,048 embeddings are 16 MiB; more only cost memory, fewer calls.
BATCH_ROWS = 2_048
# A column chunk of Parquet is read through a buffer of this size, and so never held whole.
_BUFFER_BYTES = 1024**2


@dataclass(frozen=True)
class Rows:
    """A batch with the declared columns and types; `bad` marks rows that have been found faulty while they were read."""

    batch: pa.RecordBatch
    places: Places
    bad: Any = None


def parquet_file(path: Path) -> pq.ParquetFile:
    """Open a Parquet file; raises LandingError for one that is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False)
    except pa.ArrowInvalid as error:
        raise LandingError(
            f"{path.name} is no Parquet file, or it is damaged: {_first_line(error)}.",
            hint="Fetch or write the file again.",
        ) from error
    except OSError as error:
        raise LandingError(f"{path} cannot be read: {error.strerror or _first_line(error)}.") from error


def parquet_rows(
    path: Path,
    table: Table,
    faults: Faults,
    *,
    columns: tuple[Column, ...] = (),
    on_bytes: Callable[[int], None] | None = None,
) -> Iterator[Rows]:
    """Yield a Parquet file's rows; a declared column that the file lacks is NULL. `columns`: these alone."""
    import pyarrow as pa

    wanted = columns or table.columns
    told, size = Teller(path.name, "row", faults), path.stat().st_size
    with parquet_file(path) as file:
        there = [column.name for column in wanted if column.name in file.schema_arrow.names]
        total, done = max(file.metadata.num_rows, 1), 0
        try:
            for batch in file.iter_batches(BATCH_ROWS, columns=there, use_threads=False):
                places = np.arange(done + 1, done + batch.num_rows + 1)
                done += batch.num_rows
                arrays, bad = [], None
                for column in wanted:
                    if column.name not in there:
                        arrays.append(pa.nulls(batch.num_rows, arrow_type(column)))
                        continue
                    values, misfits = converted(batch.column(column.name), column, places, told)
                    arrays.append(values)
                    if misfits is not None:
                        bad = misfits if bad is None else bad | misfits
                yield Rows(
                    pa.RecordBatch.from_arrays(arrays, [column.name for column in wanted]), places, bad
                )
                if on_bytes:
                    on_bytes(size * done // total)
        except (pa.ArrowInvalid, OSError) as error:
            raise LandingError(
                f"{path.name} cannot be read beyond row {done:,}: {_first_line(error)}.",
                hint="Fetch or write the file again.",
            ) from error


def json_rows(
    path: Path,
    table: Table,
    faults: Faults,
    *,
    on_bytes: Callable[[int], None] | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Rows]:
    """Yield the rows of a file of JSON lines.

    Raises: lines.UnknownFieldError at the first line with a field that is no column.
    """
    from penstock.landing.lines import LineReader

    reader = LineReader(path.name, table, faults)
    for block in blocks(path, on_bytes=on_bytes, block_bytes=block_bytes):
        found = parsed(block, table)
        if found is None:
            found = reader.rows(block)
        if found.batch.num_rows:
            yield found


def _json_schema(table: Table) -> pa.Schema:
    """Return the types to parse JSON with: a date is text there, for Arrow's parser takes it from a number alone."""
    import pyarrow as pa

    kinds = {column.name: arrow_type(column) for column in table.columns}
    return pa.schema(
        [(name, pa.string() if pa.types.is_date(kind) else kind) for name, kind in kinds.items()]
    )


def parsed(block: Block, table: Table) -> Rows | None:
    """Return a block's rows by Arrow's parser, None where that is not sure to read them line by line."""
    import pyarrow as pa
    import pyarrow.json as pa_json

    schema, due = _json_schema(table), schema_of(table)

    if b"\n\n" in block.data or b"\\u0000" in block.data or block.data[:1] in (b"\n", b"\xef"):
        return None
    try:
        block.data.decode()
        found = pa_json.read_json(
            pa.BufferReader(block.data),
            pa_json.ReadOptions(use_threads=False, block_size=len(block.data) + 1),
            pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
        ).select(due.names)
        found = found.cast(due)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError):
        return None
    lines = block.data.count(b"\n") + (not block.data.endswith(b"\n"))
    if found.num_rows != lines:
        return None
    (batch,) = found.combine_chunks().to_batches()
    return Rows(batch, np.arange(block.line, block.line + lines))


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
