"""Athena's result CSV: every value quoted, quotes doubled, NULL as nothing at all between the commas."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from athena_local.context import ResultColumn

if TYPE_CHECKING:
    import pyarrow as pa

_CELL = re.compile(rb'(?:"((?:[^"]++|"")*+)")?([,\n])')
MAX_BATCH_BYTES = 8 * 1024**2  # of values rendered at once: half a dozen copies are made of them on the way

Row = list["str | None"]


def write_row(values: Row) -> bytes:
    """Return one line, its newline included."""
    return (",".join("" if value is None else _quote(value) for value in values) + "\n").encode()


def write_batches(batch: pa.RecordBatch, columns: list[ResultColumn]) -> Iterator[bytes]:
    """Yield a batch's lines in pieces that fit into memory whatever the size of a cell."""
    if batch.nbytes > MAX_BATCH_BYTES and batch.num_rows > 1:
        half = batch.num_rows // 2
        yield from write_batches(batch.slice(0, half), columns)
        yield from write_batches(batch.slice(half), columns)
    else:
        yield write_batch(batch, columns)


def write_batch(batch: pa.RecordBatch, columns: list[ResultColumn]) -> bytes:
    """Return a batch's lines, rendered and quoted a column at a time."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from athena_local.queries.render import render_column

    if batch.num_rows == 0:
        return b""
    cells = []
    for array, column in zip(batch.columns, columns, strict=True):
        escaped = pc.replace_substring(render_column(array, column), '"', '""')
        quoted = pc.binary_join_element_wise(pa.scalar('"'), escaped, pa.scalar('"'), "")
        cells.append(quoted.fill_null(""))
    lines = pc.binary_join_element_wise(*cells, ",")
    text = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(lines)], pa.int32()), lines), "\n")
    return bytes(text[0].as_buffer()) + b"\n"


def read_rows(text: bytes, *, complete: bool) -> Iterator[tuple[Row, int]]:
    """Yield each row with the offset after it. `complete` is False when `text` may end within a row."""
    position, row = 0, []
    while position < len(text):
        match = _CELL.match(text, position)
        if match is None:
            if complete:
                raise ValueError(f"not a result file: offset {position}")
            return
        value, end = match.groups()
        row.append(None if value is None else value.replace(b'""', b'"').decode())
        position = match.end()
        if end == b"\n":
            yield row, position
            row = []


def _quote(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'
