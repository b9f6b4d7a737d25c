"""An order-independent checksum of rows that Postgres and the client compute alike, each with what it has.

A row's hash chains Postgres's own extended hash functions (lookup3, the ones hash partitioning rests on, hence
stable), each column's value hashed with the hash so far as the seed; a set's checksum is the exact sum of its rows'
hashes. Nulls are told from values by a bitmap that opens the chain. Here the same functions run over numpy columns;
`row_hash_sql` is the other half. A changed, missing, added or doubled row goes unseen with a probability of about one
in four thousand million.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from penstock.sync.columns import Column, quoted
from penstock.sync.values import Array, Values

_START = 0x9E3779B9 + 3923095
# The first seed ("penstock" in ASCII). Not 0, which Postgres treats apart and to which a leading zero value could return.
_SEED = 0x70656E73746F636B
_BITMAP_WIDTH = 31
_PADDED = 16 << 20  # bytes of padded words hashed at a time


class _State:
    """The running hash of many rows: lookup3's b and c, which are the high and low half of the 64-bit hash."""

    def __init__(self, rows: int) -> None:
        self.high = np.full(rows, _SEED >> 32, np.uint32)
        self.low = np.full(rows, _SEED & 0xFFFFFFFF, np.uint32)

    def open(self, length: Array | int) -> tuple[Array, Array, Array]:
        """Return lookup3's a, b, c for a value of `length` bytes, seeded with the hash so far."""
        start = np.asarray(np.uint32(_START & 0xFFFFFFFF) + np.asarray(length, np.uint32), np.uint32)
        a, b = self.high + start, self.low + start
        c = np.broadcast_to(start, a.shape).copy()
        _mix(a, b, c)
        return a, b, c

    def close(self, a: Array, b: Array, c: Array) -> None:
        _final(a, b, c)
        self.high, self.low = b, c


def _rotated(x: Array, bits: int) -> Array:
    turned: Array = x << np.uint32(bits)
    turned |= x >> np.uint32(32 - bits)
    return turned


def _mix(a: Array, b: Array, c: Array) -> None:
    for x, y, z, bits in (
        (a, c, b, 4),
        (b, a, c, 6),
        (c, b, a, 8),
        (a, c, b, 16),
        (b, a, c, 19),
        (c, b, a, 4),
    ):
        x -= y
        x ^= _rotated(y, bits)
        y += z


def _final(a: Array, b: Array, c: Array) -> None:
    for x, y, bits in ((c, b, 14), (a, c, 11), (b, a, 25), (c, b, 16), (a, c, 4), (b, a, 14), (c, b, 24)):
        x ^= y
        x -= _rotated(y, bits)


def row_hashes(values: Sequence[Values]) -> Array:
    """Return one signed 64-bit hash a row: what `row_hash_sql` yields for the same row in Postgres."""
    rows = len(values[0].data)
    state = _State(rows)
    nullable = [value for value in values if not value.column.not_null]
    for start in range(0, len(nullable), _BITMAP_WIDTH):
        bitmap = np.zeros(rows, np.uint32)
        for bit, value in enumerate(nullable[start : start + _BITMAP_WIDTH]):
            if value.nulls is not None:
                bitmap |= value.nulls.astype(np.uint32) << np.uint32(bit)
        _add_word(state, bitmap)
    for value in values:
        _add(state, value)
    hashes: Array = ((state.high.astype(np.uint64) << np.uint64(32)) | state.low).view(np.int64)
    return hashes


def total(hashes: Array) -> int:
    """Return the exact sum of signed 64-bit hashes, as Postgres's sum(bigint) does."""
    return (int((hashes >> 32).sum()) << 32) + int((hashes & 0xFFFFFFFF).sum())


def _add(state: _State, value: Values) -> None:
    kind = value.column.type.kind
    data = value.data
    if kind in ("int4", "date"):
        _add_word(state, data.view(np.uint32))
    elif kind == "bool":
        _add_word(state, data.astype(np.uint32))
    elif kind in ("int8", "timestamp", "timestamptz"):
        _add_folded(state, data)
    elif kind == "text":
        _add_folded(state, _word_hashes(value)[data])
    elif kind == "numeric":
        _add_numeric(state, value)
    else:
        _add_float(state, data.astype(np.float64))


def _add_word(state: _State, word: Array) -> None:
    a, b, c = state.open(4)
    a += word
    state.close(a, b, c)


def _add_folded(state: _State, data: Array) -> None:
    """hashint8extended: both halves folded so that an int8 hashes as the int4 of the same value."""
    bits = data.view(np.uint64)
    low, high = bits.astype(np.uint32), (bits >> np.uint64(32)).astype(np.uint32)
    _add_word(state, low ^ np.where(data >= 0, high, ~high))


def _word_hashes(value: Values) -> Array:
    """hashtextextended(word, 0) of each distinct word. Words of like length go together, so that padding stays small."""
    assert value.lengths is not None
    hashes = np.empty(len(value.words), np.int64)
    blocks = value.lengths // 12 + 1
    for size in np.unique(2 ** np.ceil(np.log2(blocks)).astype(np.int64)):
        members = np.flatnonzero((blocks <= size) & (blocks > size // 2))
        at_once = max(1, _PADDED // (12 * int(size)))
        for start in range(0, len(members), at_once):
            some = members[start : start + at_once]
            words = np.array([value.words[i] for i in some], dtype=f"S{12 * size}")
            hashes[some] = _hashes_of(words, value.lengths[some])
    return hashes


def _hashes_of(padded: Array, lengths: Array) -> Array:
    words = padded.view("<u4").reshape(len(padded), padded.dtype.itemsize // 4)
    start = lengths.astype(np.uint32) + np.uint32(_START & 0xFFFFFFFF)
    a, b, c = start.copy(), start.copy(), start.copy()
    whole = lengths // 12
    for block in range(words.shape[1] // 3):
        one, two, three = (words[:, 3 * block + i] for i in range(3))
        at = whole > block
        if at.any():
            x, y, z = a[at] + one[at], b[at] + two[at], c[at] + three[at]
            _mix(x, y, z)
            a[at], b[at], c[at] = x, y, z
        last = whole == block  # the lowest byte of c is lookup3's own in a word's last, partial block
        a[last] += one[last]
        b[last] += two[last]
        c[last] += three[last] << np.uint32(8)
    _final(a, b, c)
    hashes: Array = ((b.astype(np.uint64) << np.uint64(32)) | c).view(np.int64)
    return hashes


def digits(value: Values) -> tuple[list[Array], int]:
    """Return a decimal's base-10000 digits, most significant first, and how many stand before the point."""
    scale, precision = value.column.type.scale, value.column.type.precision
    before, after = -(-(precision - scale) // 4), -(-scale // 4)
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


def _add_numeric(state: _State, value: Values) -> None:
    """hash_numeric_extended: the digits without leading and trailing zeros as 16-bit words, the weight folded in after."""
    places, before = digits(value)
    first, last = _span(places)
    low, high = _packed(places, first)
    zero: Array = last < 0
    length = np.where(zero, 0, 2 * (last - first + 1))
    previous = (state.high.astype(np.uint64) << np.uint64(32)) | state.low
    a, b, c = state.open(length)
    a += low.astype(np.uint32)
    b += (low >> np.uint64(32)).astype(np.uint32)
    if high is not None:
        full: Array = length == 12
        third = high.astype(np.uint32)
        c += np.where(full, third, third << np.uint32(8))
        if full.any():
            x, y, z = a[full], b[full], c[full]
            _mix(x, y, z)
            a[full], b[full], c[full] = x, y, z
    state.close(a, b, c)
    weight = (before - 1 - first).view(np.uint64)
    state.low ^= weight.astype(np.uint32)
    state.high ^= (weight >> np.uint64(32)).astype(np.uint32)
    if zero.any():  # Postgres returns the seed less one
        minus = (previous - np.uint64(1))[zero]
        state.low[zero] = minus.astype(np.uint32)
        state.high[zero] = (minus >> np.uint64(32)).astype(np.uint32)


def _span(places: list[Array]) -> tuple[Array, Array]:
    """Return where each number's first and last digit other than zero is; for zero, past the end and -1."""
    first, last = np.full(len(places[0]), len(places), np.int64), np.full(len(places[0]), -1, np.int64)
    for i in reversed(range(len(places))):
        first[places[i] != 0] = i
    for i, digit in enumerate(places):
        last[digit != 0] = i
    return first, last


def _packed(places: list[Array], first: Array) -> tuple[Array, Array | None]:
    """Return the digits from the first on as 16-bit words, four in the low part, the others (if there can be any) above."""
    parts: list[Array] = [np.zeros(len(first), np.uint64), np.zeros(len(first), np.uint64)]
    for i, digit in enumerate(places):
        parts[i // 4] |= digit.astype(np.uint64) << np.uint64(16 * (i % 4))
    low, high = parts
    shift = (first * 16).astype(np.uint64)
    whole: Array = shift >= 64
    inside = np.where(whole, np.uint64(0), shift)
    shifted: Array = np.where(whole, np.uint64(0), low >> inside)
    if len(places) <= 4:
        return shifted, None
    carried = np.where(inside > 0, high << ((np.uint64(64) - inside) & np.uint64(63)), np.uint64(0))
    beyond = np.where(whole, high >> np.where(whole, shift - np.uint64(64), np.uint64(0)), np.uint64(0))
    return shifted | carried | beyond, np.where(whole, np.uint64(0), high >> inside)


def _add_float(state: _State, data: Array) -> None:
    """hashfloat8extended: zero and minus zero return the seed, every NaN is one value."""
    bits: Array = np.where(np.isnan(data), np.nan, data).view(np.uint64)
    high, low = state.high, state.low
    a, b, c = state.open(8)
    a += bits.astype(np.uint32)
    b += (bits >> np.uint64(32)).astype(np.uint32)
    state.close(a, b, c)
    zero: Array = data == 0
    if zero.any():
        state.high, state.low = np.where(zero, high, state.high), np.where(zero, low, state.low)


_LINKS = {
    "bool": "hashint4extended({v}::int, {h})",
    "int4": "hashint4extended({v}, {h})",
    "int8": "hashint8extended({v}, {h})",
    "numeric": "hash_numeric_extended({v}, {h})",
    "float4": "hashfloat8extended({v}::float8, {h})",
    "float8": "hashfloat8extended({v}, {h})",
    "text": 'hashint8extended(hashtextextended({v} collate "C", 0), {h})',
    "date": "hashint4extended({v} - date '2000-01-01', {h})",
    "timestamp": "timestamp_hash_extended({v}, {h})",
    "timestamptz": "timestamp_hash_extended({v} at time zone 'UTC', {h})",
}
_NULLS = {
    "bool": "false",
    "text": "''",
    "date": "date '2000-01-01'",
    "timestamp": "timestamp '2000-01-01'",
    "timestamptz": "timestamptz '2000-01-01 00:00:00+00'",
}


def row_hash_sql(columns: Sequence[Column], alias: str) -> str:
    """Return the SQL expression of a row's hash, columns in the order given, each qualified with `alias`."""
    chain = str(_SEED)
    nullable = [column for column in columns if not column.not_null]
    for start in range(0, len(nullable), _BITMAP_WIDTH):
        bits = [
            f"(({alias}.{quoted(column.name)} is null)::int << {bit})"
            for bit, column in enumerate(nullable[start : start + _BITMAP_WIDTH])
        ]
        chain = f"hashint4extended({' | '.join(bits)}, {chain})"
    for column in columns:
        kind = column.type.kind
        name = f"{alias}.{quoted(column.name)}"
        value = name if column.not_null else f"coalesce({name}, {_NULLS.get(kind, '0')})"
        chain = _LINKS[kind].format(v=value, h=chain)
    return chain
