"""Arrow columns as the exact values Postgres will hold, in numpy: what is encoded and what is checksummed are one thing.

Doubles become decimals the way Postgres's own `float8::numeric(p,s)` does it: the double's 15 significant digits,
rounded half away from zero. Lake and Postgres are equal when these converted values are. Refused, naming column, value
and row: a null in a not-null column, NaN, infinity or too many digits for a decimal, text longer than its varchar or
with a NUL character or bytes that are no UTF-8, a date or timestamp outside of Postgres's range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import ValueRefusedError
from penstock.sync.columns import MAX_PRECISION, Column

EPOCH_DAYS = 10_957  # 1970-01-01 to Postgres's 2000-01-01
EPOCH_MICROS = EPOCH_DAYS * 86_400_000_000
# Postgres's range, 4714-11-24 BC to 5874897-12-31 and 294276-12-31, from 1970. A later timestamp needs more than 64 bits.
_FIRST_DAY, _LAST_DAY = EPOCH_DAYS - 2_451_545, EPOCH_DAYS + 2_145_031_948
_FIRST_MICRO = EPOCH_MICROS - 211_813_488_000_000_000
_SHOWN = 60  # characters of a refused text in a message

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass
class Values:
    """One column of a batch. Nulls are 0 in `data`, whose rows are numbers, or for these kinds

    - worded types (SqlType.worded): indexes of `words`, the bytes of COPY's field; a null's is b"";
    - decimals of more than 18 digits: low and high half of the 128-bit scaled value;
    - uuid: 16 bytes; vector: its floats.
    """

    column: Column
    data: Array
    nulls: Array | None = None
    words: Sequence[bytes] = ()
    lengths: Array | None = None

    def part(self, start: int, stop: int) -> Values:
        return self.take(slice(start, stop))

    def take(self, rows: Array | slice) -> Values:
        """Return some of the rows, by positions, mask or slice."""
        nulls = None if self.nulls is None else self.nulls[rows]
        return Values(self.column, self.data[rows], nulls, self.words, self.lengths)


def refused(column: Column, what: str, row: int) -> ValueRefusedError:
    return ValueRefusedError(f"Column '{column.name}'{what}", row=row)


def too_wide(column: Column, value: object, row: int) -> ValueRefusedError:
    return refused(column, f": {value} does not fit {column.type.sql}.", row)


def nulls_of(column: Column, array: pa.Array) -> Array | None:
    """Return the mask of nulls, None when there is none; raises ValueRefusedError when the column is not null."""
    if not array.null_count:
        return None
    nulls: Array = pc.is_null(array).to_numpy(zero_copy_only=False)
    if column.not_null:
        count = "a null" if array.null_count == 1 else f"{array.null_count} nulls"
        what = f" is declared not null and the lake holds {count} in it."
        raise refused(column, what, int(nulls.argmax()))
    return nulls


def scalar(column: Column, array: pa.Array) -> Values:
    """Return the values of a column that is neither array, vector nor jsonb as Postgres will hold them."""
    nulls = nulls_of(column, array)
    kind = column.type.kind
    if kind == "text":
        return _text(column, array, nulls)
    if kind == "bytea":
        return worded(column, array.cast(pa.binary()).to_pylist(), nulls)
    if kind == "uuid":
        data = _uuid(array)
    elif kind == "numeric":
        data = _wide(column, array) if column.type.wide else _scaled(column, array)
    elif kind == "bool":
        data = _plain(array.cast(pa.uint8()))
    elif kind == "date":
        data = _date(column, array)
    elif kind == "time":
        data = _plain(array.cast(pa.time64("us")).view(pa.int64()))
    elif kind in ("timestamp", "timestamptz"):
        data = _timestamp(column, array)
    else:
        data = _plain(array)
        data = data.astype(
            {"int4": np.int32, "int8": np.int64, "float4": np.float32, "float8": np.float64}[kind], copy=False
        )
    if nulls is not None:
        data = np.where(nulls if data.ndim == 1 else nulls[:, None], data.dtype.type(0), data)
    return Values(column, data, nulls)


def worded(column: Column, words: Sequence[bytes | None], nulls: Array | None) -> Values:
    """Return values of any length, a word a row."""
    found = [b"" if word is None else word for word in words]
    found.append(b"")
    data = np.arange(len(words), dtype=np.int32)
    if nulls is not None:
        data = np.where(nulls, np.int32(len(words)), data)
    lengths = np.fromiter((len(word) for word in found), np.int32, len(found))
    return Values(column, data, nulls, found, lengths)


def _plain(array: pa.Array) -> Array:
    if array.null_count:
        array = array.fill_null(pa.scalar(0).cast(array.type))
    values: Array = array.to_numpy(zero_copy_only=False)
    return values


def _date(column: Column, array: pa.Array) -> Array:
    days = _plain(array.view(pa.int32()))
    outside = (days < _FIRST_DAY) | (days > _LAST_DAY)
    if outside.any():
        row = int(outside.argmax())
        raise too_wide(column, np.datetime64(int(days[row]), "D"), row)
    return days - np.int32(EPOCH_DAYS)


def _timestamp(column: Column, array: pa.Array) -> Array:
    micros = _plain(array.cast(pa.timestamp("us", tz=array.type.tz)).view(pa.int64()))
    outside = micros < _FIRST_MICRO
    if outside.any():
        row = int(outside.argmax())
        raise too_wide(column, np.datetime64(int(micros[row]), "us"), row)
    data = micros - EPOCH_MICROS
    if column.type.precision:  # as Postgres rounds: half away from its epoch
        unit = 10 ** (6 - column.type.precision)
        data = np.sign(data) * ((np.abs(data) + unit // 2) // unit * unit)
    return data


def _uuid(array: pa.Array) -> Array:
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    words = array.fill_null(bytes(16)) if array.null_count else array
    data = np.frombuffer(words.buffers()[1], np.uint8)
    return data[16 * words.offset : 16 * (words.offset + len(words))].reshape(-1, 16)


def _text(column: Column, array: pa.Array, nulls: Array | None) -> Values:
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    words = array.dictionary
    _check_words(column, array, words)
    encoded = words.cast(pa.binary()).to_pylist()
    encoded.append(b"")  # what a null stands for
    lengths = np.fromiter((len(word) for word in encoded), np.int32, len(encoded))
    data = array.indices.cast(pa.int32()).fill_null(len(encoded) - 1).to_numpy(zero_copy_only=False)
    return Values(column, data, nulls, encoded, lengths)


def _check_words(column: Column, array: pa.Array, words: pa.Array) -> None:
    """Raises ValueRefusedError for a word that some row has and the column cannot hold."""
    try:
        words.validate(full=True)
    except pa.ArrowInvalid:
        _refuse_word(
            column,
            array,
            [not _is_utf8(word) for word in words.cast(pa.binary()).to_pylist()],
            "{} is no UTF-8",
        )
        return
    if pc.any(pc.match_substring(words, "\0")).as_py():
        what = "{} holds a NUL character, which Postgres cannot"
        _refuse_word(column, array, pc.match_substring(words, "\0").to_pylist(), what)
    if column.type.length and len(words):
        too_long = pc.greater(pc.utf8_length(words), column.type.length)
        if pc.any(too_long).as_py():
            _refuse_word(column, array, too_long.to_pylist(), f"{{}} does not fit {column.type.sql}")


def _is_utf8(word: bytes) -> bool:
    try:
        word.decode()
    except UnicodeDecodeError:
        return False
    return True


def _refuse_word(column: Column, array: pa.Array, wrong: list[bool | None], what: str) -> None:
    """Refuse the first row whose word is wrong; a dictionary may hold words that no row has."""
    mask = np.array([bool(item) for item in wrong])
    indices = array.indices.fill_null(0).to_numpy(zero_copy_only=False)
    hit = mask[indices] & ~pc.is_null(array.indices).to_numpy(zero_copy_only=False)
    if hit.any():
        row = int(hit.argmax())
        word = array.dictionary.cast(pa.binary())[int(indices[row])].as_py().decode(errors="backslashreplace")
        shown = (word if len(word) <= _SHOWN else word[:_SHOWN] + "…").replace("\0", "\\0")
        text = what.format(f"'{shown}'")
        raise refused(column, f": {text}.", row)


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
            row = int(np.argmax(np.abs(plain.astype(np.float64))))
            raise too_wide(column, plain[row], row)
        return plain.astype(np.int64) * np.int64(10**scale)
    bound = 10**precision
    if len(scaled) and not -bound < int(scaled.min()) <= int(scaled.max()) < bound:
        row = int(np.argmax(np.abs(scaled)))
        raise too_wide(column, Decimal(int(scaled[row])).scaleb(-scale), row)
    return scaled


def _rounded(column: Column, values: Array) -> Array:
    scale = column.type.scale
    infinite = ~np.isfinite(values)
    if infinite.any():
        row = int(infinite.argmax())
        raise too_wide(column, values[row], row)
    product = values * float(10**scale)
    largest = np.abs(product).max() if len(product) else 0.0
    if largest >= 2.0**62:
        row = int(np.abs(product).argmax())
        raise too_wide(column, values[row], row)
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
    halves = _halves(array)
    low, high = halves[:, 0], halves[:, 1]
    raised = 10 ** (column.type.scale - array.type.scale)
    fits = (
        (high == (low >> 63))
        & (np.abs(low) < 10**column.type.precision // raised)
        & (low != np.iinfo(np.int64).min)
    )
    if not fits.all():
        row = int(np.argmin(fits))
        raise too_wide(column, array[row].as_py(), row)
    return low * np.int64(raised)


def _halves(array: pa.Array) -> Array:
    """Return a decimal128's unscaled values as low and high 64 bits; nulls are 0."""
    if array.null_count:
        array = pc.fill_null(array, pa.scalar(Decimal(0), array.type))
    words = np.frombuffer(array.buffers()[1], np.int64)
    return words[2 * array.offset : 2 * (array.offset + len(array))].reshape(-1, 2)


def _wide(column: Column, array: pa.Array) -> Array:
    """Return the decimal's value times 10^scale in 128 bits. Decimals by Arrow; what is rare, number by number."""
    wanted = pa.decimal128(column.type.precision, column.type.scale)
    if pa.types.is_decimal(array.type):
        try:
            return _halves(array.cast(wanted))
        except pa.ArrowInvalid:
            pass  # some value does not fit: the slow way finds which
    unit, bound = (
        Decimal(1).scaleb(-column.type.scale),
        Decimal(10) ** (column.type.precision - column.type.scale),
    )
    found: list[Decimal | None] = []
    with localcontext(prec=2 * MAX_PRECISION):
        for row, value in enumerate(array.to_pylist()):
            if value is None:
                found.append(None)
                continue
            exact = Decimal(f"{value:.15g}") if isinstance(value, float) else Decimal(value)
            if not exact.is_finite() or abs(exact) >= bound:
                raise too_wide(column, value, row)
            exact = exact.quantize(unit, ROUND_HALF_UP)
            if abs(exact) >= bound:
                raise too_wide(column, value, row)
            found.append(exact)
    return _halves(pa.array(found, wanted))


def negative(value: Values) -> Array:
    """Return the mask of a decimal's negative values."""
    signed: Array = value.data if value.data.ndim == 1 else value.data[:, 1]
    return signed < 0


def digits(value: Values) -> tuple[list[Array], int]:
    """Return a decimal's base-10000 digits, most significant first, and how many stand before the point."""
    scale, precision = value.column.type.scale, value.column.type.precision
    before, after = -(-(precision - scale) // 4), -(-scale // 4)
    if value.data.ndim == 2:
        return _wide_digits(value.data, before + after, 10 ** (4 * after - scale)), before
    magnitude = np.abs(value.data)
    whole = magnitude // 10**scale if scale else magnitude
    part = (magnitude - whole * 10**scale) if scale else None
    found: list[Array] = []
    for number, places, pad in ((whole, before, 0), (part, after, 4 * after - scale)):
        if number is None:
            continue
        group: list[Array] = []
        if pad:  # only the last digit is padded; multiplying the whole could overflow
            cut = 10 ** (4 - pad)
            rest = number // cut
            group.append((number - rest * cut) * 10**pad)
            number = rest
        while len(group) < places:
            rest = number // 10_000
            group.append(number - rest * 10_000)
            number = rest
        found += group[::-1]
    return found, before


def _wide_digits(halves: Array, places: int, factor: int) -> list[Array]:
    """Return the digits of the magnitude times `factor` (below 10,000), by long division over 32-bit limbs."""
    low, high = halves[:, 0].astype(np.uint64), halves[:, 1].astype(np.uint64)
    minus = halves[:, 1] < 0
    low, high = (
        np.where(minus, ~low + np.uint64(1), low),
        np.where(minus, ~high + (low == 0).astype(np.uint64), high),
    )
    mask, bits = np.uint64(0xFFFFFFFF), np.uint64(32)
    limbs: list[Array] = []
    carry = np.zeros(len(low), np.uint64)
    for limb in (low & mask, low >> bits, high & mask, high >> bits):
        product = limb * np.uint64(factor) + carry
        limbs.append(product & mask)
        carry = product >> bits
    limbs = [carry, *limbs[::-1]]
    found: list[Array] = []
    for _ in range(places):
        rest = np.zeros(len(low), np.uint64)
        for i, limb in enumerate(limbs):
            number = (rest << bits) | limb
            limbs[i] = number // np.uint64(10_000)
            rest = number - limbs[i] * np.uint64(10_000)
        found.append(rest.astype(np.int64))
    return found[::-1]
