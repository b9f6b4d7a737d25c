"""Arrow columns as the exact values Postgres will hold, in numpy: what is encoded and what is checksummed are one thing.

Doubles become decimals the way Postgres's own `float8::numeric(p,s)` does it: the double's 15 significant digits,
rounded half away from zero. Lake and Postgres are equal when these converted values are. Refused, naming column and
value: a null in a not-null column, NaN, infinity or too many digits for a decimal, text longer than its varchar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import SyncError
from penstock.sync.columns import Column

EPOCH_DAYS = 10_957  # 1970-01-01 to Postgres's 2000-01-01
EPOCH_MICROS = EPOCH_DAYS * 86_400_000_000

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass
class Values:
    """One column of a batch. Nulls are 0 in `data`. Text: `data` indexes `words` (UTF-8); a null is ""."""

    column: Column
    data: Array
    nulls: Array | None = None
    words: Sequence[bytes] = ()
    lengths: Array | None = None

    def part(self, start: int, stop: int) -> Values:
        nulls = None if self.nulls is None else self.nulls[start:stop]
        return Values(self.column, self.data[start:stop], nulls, self.words, self.lengths)


def convert(column: Column, array: pa.Array) -> Values:
    """Return the column's values as Postgres will hold them."""
    nulls: Array | None = None
    if array.null_count:
        if column.not_null:
            raise SyncError(
                f"Column '{column.name}' is declared not null and the lake holds {array.null_count} nulls in it."
            )
        nulls = pc.is_null(array).to_numpy(zero_copy_only=False)
    kind = column.type.kind
    if kind == "text":
        return _text(column, array, nulls)
    if kind == "numeric":
        data = _scaled(column, array)
    elif kind == "bool":
        data = _plain(array.cast(pa.uint8()))
    elif kind == "date":
        data = _plain(array.view(pa.int32())) - np.int32(EPOCH_DAYS)
    elif kind in ("timestamp", "timestamptz"):
        unit = pa.timestamp("us", tz=array.type.tz)
        data = _plain(array.cast(unit).view(pa.int64())) - EPOCH_MICROS
    else:
        data = _plain(array)
        data = data.astype(
            {"int4": np.int32, "int8": np.int64, "float4": np.float32, "float8": np.float64}[kind], copy=False
        )
    if nulls is not None:
        data = np.where(nulls, data.dtype.type(0), data)
    return Values(column, data, nulls)


def _plain(array: pa.Array) -> Array:
    if array.null_count:
        array = array.fill_null(pa.scalar(0).cast(array.type))
    values: Array = array.to_numpy(zero_copy_only=False)
    return values


def _text(column: Column, array: pa.Array, nulls: Array | None) -> Values:
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    words = array.dictionary
    if column.type.length and len(words):
        too_long = words.filter(pc.greater(pc.utf8_length(words), column.type.length))
        if len(too_long):
            raise SyncError(
                f"Column '{column.name}': '{too_long[0].as_py()}' does not fit {column.type.sql}."
            )
    encoded = [word.encode() for word in words.to_pylist()]
    encoded.append(b"")  # what a null stands for
    lengths = np.fromiter((len(word) for word in encoded), np.int32, len(encoded))
    data = array.indices.cast(pa.int32()).fill_null(len(encoded) - 1).to_numpy(zero_copy_only=False)
    return Values(column, data, nulls, encoded, lengths)


def _scaled(column: Column, array: pa.Array) -> Array:
    """Return the decimal's value times 10^scale as int64."""
    scale, precision = column.type.scale, column.type.precision
    if pa.types.is_floating(array.type):
        scaled = _rounded(column, _plain(array.cast(pa.float64())))
    elif pa.types.is_decimal(array.type):
        scaled = _decimal(column, array)
    else:
        plain = _plain(array)
        limit = 10 ** (precision - scale)
        if len(plain) and not -limit < int(plain.min()) <= int(plain.max()) < limit:
            raise _too_wide(column, plain[np.argmax(np.abs(plain.astype(np.float64)))])
        return plain.astype(np.int64) * np.int64(10**scale)
    bound = 10**precision
    if len(scaled) and not -bound < int(scaled.min()) <= int(scaled.max()) < bound:
        worst = int(scaled[np.argmax(np.abs(scaled))])
        raise _too_wide(column, Decimal(worst).scaleb(-scale))
    return scaled


def _too_wide(column: Column, value: object) -> SyncError:
    return SyncError(f"Column '{column.name}': {value} does not fit {column.type.sql}.")


def _rounded(column: Column, values: Array) -> Array:
    scale = column.type.scale
    if not np.isfinite(values).all():
        raise _too_wide(column, values[~np.isfinite(values)][0])
    product = values * float(10**scale)
    largest = np.abs(product).max() if len(product) else 0.0
    if largest >= 2.0**62:
        raise _too_wide(column, values[np.abs(product).argmax()])
    nearest = np.rint(product)
    # Where the product is within its own error of a half, or of so many digits that its error reaches a whole,
    # the digits decide; elsewhere the nearest integer is the rounded decimal.
    error = (np.abs(product) + 1.0) * 4e-15
    doubtful = np.flatnonzero((np.abs(np.abs(product - nearest) - 0.5) <= error) | (error >= 0.25))
    scaled = nearest.astype(np.int64)
    for position in doubtful:
        digits = Decimal(f"{values[position]:.15g}").scaleb(scale)
        scaled[position] = int(digits.to_integral_value(rounding=ROUND_HALF_UP))
    return scaled


def _decimal(column: Column, array: pa.Array) -> Array:
    """Return a decimal128's unscaled value, raised to the declared scale; refuses one that needs more than 64 bits."""
    if not pa.types.is_decimal128(array.type):
        array = array.cast(pa.decimal128(array.type.precision, array.type.scale))
    if array.null_count:
        array = pc.fill_null(array, pa.scalar(Decimal(0), array.type))
    words = np.frombuffer(array.buffers()[1], np.int64)[2 * array.offset : 2 * (array.offset + len(array))]
    low, high = words[::2], words[1::2]
    raised = 10 ** (column.type.scale - array.type.scale)
    fits = (
        (high == (low >> 63))
        & (np.abs(low) < 10**column.type.precision // raised)
        & (low != np.iinfo(np.int64).min)
    )
    if not fits.all():
        raise _too_wide(column, array[int(np.argmin(fits))].as_py())
    return low * np.int64(raised)
