"""The fast check: a block of clean lines in a few vector operations, or None when anything at all looks odd.

It never says what is wrong; `exact` does. So it may be strict, and only has to be right about what it accepts: a block
passes when it holds no character but letters, digits and `-_.`, Arrow parses it with the declared types, and every
declared check holds on whole columns. (Arrow alone would take blanks round numbers and 0x1F for an integer; the
characters rule both out.)
"""

from __future__ import annotations

import re
import string
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.sources.declaration import Column, Table

Keys = list[NDArray[np.int64]]

_PLAIN = (string.ascii_letters + string.digits + "-_.\n").encode()


class FastCheck:
    """Made once a file: Arrow's options and compiled patterns are kept."""

    def __init__(self, table: Table) -> None:
        import pyarrow as pa
        import pyarrow.csv as pa_csv

        types = {
            "int": pa.int32(),
            "bigint": pa.int64(),
            "double": pa.float64(),
            "date": pa.date32(),
            "string": pa.dictionary(pa.int32(), pa.string()),
        }
        self._table = table
        # tables of other types, and those with columns that repeat parts of dates, are left to `exact`
        self._able = not table.derived and all(column.type in types for column in table.columns)
        self._plain = _PLAIN + table.delimiter.encode()
        self._patterns = {c.name: re.compile(c.pattern) for c in table.columns if c.pattern}
        self._parse = pa_csv.ParseOptions(
            delimiter=table.delimiter, quote_char=False, double_quote=False, newlines_in_values=False
        )
        self._convert = pa_csv.ConvertOptions(
            column_types={c.name: types[c.type] for c in table.columns if c.type in types},
            null_values=[""],
            strings_can_be_null=False,
        )
        self._names = [column.name for column in table.columns]

    def keys(self, data: bytes) -> Keys | None:
        """Return the key columns of a block of normalized rows as 64-bit integers, or None if it needs the exact check."""
        import pyarrow as pa
        import pyarrow.csv as pa_csv

        if not self._able or data.translate(None, self._plain) or b"0x" in data or b"0X" in data:
            return None
        read = pa_csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=self._names)
        try:
            rows = pa_csv.read_csv(pa.BufferReader(data), read, self._parse, self._convert)
        except pa.ArrowInvalid:
            return None
        if rows.num_rows != data.count(b"\n"):
            return None
        rows = rows.combine_chunks()
        if not all(self._column_holds(column, rows.column(column.name)) for column in self._table.columns):
            return None
        if not all(_rises([rows.column(name) for name in names]) for names in self._table.ordered):
            return None
        return [as_integers(rows.column(name)) for name in self._table.key]

    def _column_holds(self, column: Column, values: Any) -> bool:
        if values.null_count and not column.nullable:
            return False
        if column.type == "string":
            return self._strings_hold(column, values)
        if column.type != "double" and not column.is_checked:
            return True
        numbers = values.drop_null().to_numpy()
        if not len(numbers):
            return True
        low, high = numbers.min(), numbers.max()  # NaN, should there be one, is both
        if column.type == "double" and not (np.isfinite(low) and np.isfinite(high)):
            return False
        return bool(
            (column.minimum is None or low >= column.minimum)
            and (column.above is None or low > column.above)
            and (column.maximum is None or high <= column.maximum)
        )

    def _strings_hold(self, column: Column, values: Any) -> bool:
        pattern = self._patterns.get(column.name)
        for chunk in values.chunks:
            for value in chunk.dictionary.to_pylist():
                if value == "":
                    if not column.nullable:
                        return False
                elif (pattern and not pattern.fullmatch(value)) or (
                    column.one_of and value not in column.one_of
                ):
                    return False
        return True


def _rises(columns: list[Any]) -> bool:
    # a NULL is NaN: it compares as false, and the block goes to `exact`
    numbers = [column.to_numpy() for column in columns]
    return all(bool((left <= right).all()) for left, right in pairwise(numbers))


def as_integers(values: Any) -> NDArray[np.int64]:
    """Return a key column as 64-bit integers: numbers and days as they are, doubles by their bits, strings by a hash."""
    import pyarrow as pa

    if pa.types.is_dictionary(values.type):
        parts = [
            text_numbers(chunk.dictionary.to_pylist())[chunk.indices.to_numpy()] for chunk in values.chunks
        ]
        return np.concatenate([np.empty(0, np.int64), *parts])
    if pa.types.is_date32(values.type):
        values = values.cast(pa.int32())
    numbers = values.to_numpy()
    integers: NDArray[np.int64] = (
        numbers.view(np.int64) if numbers.dtype == np.float64 else numbers.astype(np.int64)
    )
    return integers


def text_numbers(texts: list[str]) -> NDArray[np.int64]:
    """Return 64 bits of BLAKE2 a text."""
    from hashlib import blake2b

    digests = b"".join(blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, dtype="<i8").astype(np.int64)
