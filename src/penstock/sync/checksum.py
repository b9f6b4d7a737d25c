"""An order-independent checksum of rows that Postgres and the client compute alike, each with what it has.

A row's hash chains Postgres's own extended hash functions (lookup3, the ones hash partitioning rests on, hence
stable), each column's value hashed with the hash so far as the seed; a set's checksum is the exact sum of its rows'
hashes. Nulls are told from values by a bitmap that opens the chain. Here the same functions run over numpy columns;
`row_hash_sql` is the other half. Arrays, vectors and bytea are hashed by the SHA-256 of their bytes, jsonb by its text.
A changed, missing, added or doubled row goes unseen with a probability of about one in four thousand million.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import numpy as np

from penstock.sync.columns import Column, quoted
from penstock.sync.values import Array, Values, digits, worded

_START = 0x9E3779B9 + 3923095
# The first seed ("penstock" in ASCII). Not 0, which Postgres treats apart and to which a leading zero value could return.
_SEED = 0x70656E73746F636B
_BITMAP_WIDTH = 31
_FEW = 6  # base-10000 digits in a block of 12 bytes
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
    if value.column.type.worded or kind == "vector":
        hashed = _hashed_words(value)
        _add_folded(state, _word_hashes(hashed)[hashed.data])
    elif kind in ("int4", "date"):
        _add_word(state, data.view(np.uint32))
    elif kind == "bool":
        _add_word(state, data.astype(np.uint32))
    elif kind in ("int8", "time", "timestamp", "timestamptz"):
        _add_folded(state, data)
    elif kind == "numeric":
        _add_numeric(state, value)
    elif kind == "uuid":
        _add_bytes(state, data, np.full(len(data), 16))
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


def _hashed_words(value: Values) -> Values:
    """Return the words that Postgres hashes for the column (`_TEXTS`); a null's is ""."""
    kind = value.column.type
    if kind.kind == "text" and not kind.array:
        return value
    if kind.kind == "vector":
        floats = np.empty((len(value.data), kind.length + 1), ">u4")
        floats[:, 0] = kind.length << 16
        floats[:, 1:] = value.data.astype(">f4").view(">u4")
        sent, width = floats.tobytes(), 4 * floats.shape[1]  # what vector_send() returns, row after row
        digests = [
            sha256(sent[start : start + width]).hexdigest().encode() for start in range(0, len(sent), width)
        ]
        return worded(value.column, digests, value.nulls)
    used, places = np.unique(value.data, return_inverse=True)
    some = [value.words[i] for i in used]
    plain = kind.kind == "jsonb"  # its text follows a version byte
    found = [word[1:] if plain else sha256(word).hexdigest().encode() for word in some]
    if value.nulls is not None and value.nulls.any():
        found[places[int(value.nulls.argmax())]] = b""
    lengths = np.fromiter((len(word) for word in found), np.int32, len(found))
    return Values(value.column, places, value.nulls, found, lengths)


def _word_hashes(value: Values) -> Array:
    """hashtextextended(word, 0) of each distinct word. Words of like length go together, so that padding stays small."""
    assert value.lengths is not None
    hashes = np.empty(len(value.words), np.int64)
    blocks = value.lengths // 12 + 1
    powers = np.ceil(np.log2(blocks)).astype(np.int64)
    for size in 2 ** np.flatnonzero(np.bincount(powers)):  # np.unique would import all of numpy.ma
        members = np.flatnonzero((blocks <= size) & (blocks > size // 2))
        at_once = max(1, _PADDED // (12 * int(size)))
        for start in range(0, len(members), at_once):
            some = members[start : start + at_once]
            words = np.array([value.words[i] for i in some], dtype=f"S{12 * size}")
            lengths = value.lengths[some]
            begin = lengths.astype(np.uint32) + np.uint32(_START & 0xFFFFFFFF)
            b, c = _blocks(
                words.view("<u4").reshape(len(words), -1), lengths, begin.copy(), begin.copy(), begin
            )
            hashes[some] = ((b.astype(np.uint64) << np.uint64(32)) | c).view(np.int64)
    return hashes


def _blocks(words: Array, lengths: Array, a: Array, b: Array, c: Array) -> tuple[Array, Array]:
    """Return lookup3's b and c after bytes of these lengths, padded with zeros to whole blocks of three words."""
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
    return b, c


def _add_bytes(state: _State, data: Array, lengths: Array) -> None:
    """hash_any_extended of rows of bytes (unsigned, zero past each row's length), seeded with the hash so far."""
    width = -(-(data.shape[1] + 1) // 12) * 12  # a row that fills its blocks ends with an empty one
    padded = np.zeros((len(data), width), np.uint8)
    padded[:, : data.shape[1]] = data
    state.high, state.low = _blocks(padded.view("<u4"), lengths, *state.open(lengths))


def _add_numeric(state: _State, value: Values) -> None:
    """hash_numeric_extended: the digits without leading and trailing zeros as 16-bit words, the weight folded in after."""
    places, before = digits(value)
    first, last = _span(places)
    zero: Array = last < 0
    length = np.where(zero, 0, 2 * (last - first + 1))
    previous = (state.high.astype(np.uint64) << np.uint64(32)) | state.low
    if len(places) > _FEW:
        _add_bytes(state, _shifted(places, first), length)
    else:
        _add_few(state, places, first, length)
    weight = (before - 1 - first).view(np.uint64)
    state.low ^= weight.astype(np.uint32)
    state.high ^= (weight >> np.uint64(32)).astype(np.uint32)
    if zero.any():  # Postgres returns the seed less one
        minus = (previous - np.uint64(1))[zero]
        state.low[zero] = minus.astype(np.uint32)
        state.high[zero] = (minus >> np.uint64(32)).astype(np.uint32)


def _shifted(places: list[Array], first: Array) -> Array:
    """Return the digits from the first on as rows of little-endian 16-bit words, in bytes."""
    matrix = np.stack([*places, np.zeros_like(places[0])], axis=1).astype("<u2")
    columns = np.minimum(first[:, None] + np.arange(len(places)), len(places))
    return np.ascontiguousarray(np.take_along_axis(matrix, columns, axis=1)).view(np.uint8)


def _add_few(state: _State, places: list[Array], first: Array, length: Array) -> None:
    """The digits' hash where they fill no more than one block: no matrix is needed."""
    low, high = _packed(places, first)
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
    "date": "hashint4extended({v} - date '2000-01-01', {h})",
    "time": "time_hash_extended({v}, {h})",
    "timestamp": "timestamp_hash_extended({v}, {h})",
    "timestamptz": "timestamp_hash_extended({v} at time zone 'UTC', {h})",
    "uuid": "uuid_hash_extended({v}, {h})",
}
_WORD = 'hashint8extended(hashtextextended({v} collate "C", 0), {h})'
_TEXTS = {
    "text": "{v}",
    "jsonb": "{v}::text",
    "bytea": "encode(sha256({v}), 'hex')",
    "vector": "encode(sha256(vector_send({v})), 'hex')",
    "array": "encode(sha256(array_send({v})), 'hex')",
}
_NULLS = {
    "bool": "false",
    "date": "date '2000-01-01'",
    "time": "time '00:00'",
    "timestamp": "timestamp '2000-01-01'",
    "timestamptz": "timestamptz '2000-01-01 00:00:00+00'",
    "uuid": "uuid '00000000-0000-0000-0000-000000000000'",
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
        kind = "array" if column.type.array else column.type.kind
        value, null = f"{alias}.{quoted(column.name)}", _NULLS.get(kind, "0")
        if kind in _TEXTS:
            value, null = _TEXTS[kind].format(v=value), "''"
        value = value if column.not_null else f"coalesce({value}, {null})"
        chain = _LINKS.get(kind, _WORD).format(v=value, h=chain)
    return chain
