"""Lists, structs and maps as Postgres's arrays, vectors (pgvector) and jsonb, in the bytes of binary COPY.

An array's checksum is that of array_send()'s bytes, so an element that Postgres calls equal must be the same bytes:
minus zero becomes zero, every NaN one NaN. Jsonb is written as `jsonb::text` writes it (keys by length and then by
bytes, numbers without exponent), which is what both sides hash. Refused, naming column, value and row: a vector of
another length or with a null, NaN or infinity in it; NaN, infinity or a NUL character in jsonb; text that is no JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import ValueRefusedError
from penstock.sync.columns import Column, SqlType
from penstock.sync.encode import elements
from penstock.sync.values import Array, Values, digits, negative, nulls_of, refused, scalar, worded

JSONB_VERSION = b"\x01"

# Postgres's own numbers of the element types (pg_type.oid), which never change.
_OIDS = {
    "bool": 16,
    "bytea": 17,
    "int8": 20,
    "int4": 23,
    "text": 25,
    "float4": 700,
    "float8": 701,
    "date": 1082,
    "time": 1083,
    "timestamp": 1114,
    "timestamptz": 1184,
    "numeric": 1700,
    "uuid": 2950,
}
_VARCHAR = 1043
_SHOWN = 60  # characters of a refused text in a message


# -- arrays --------------------------------------------------------------------------------------------------------------


def array_values(column: Column, array: pa.Array) -> Values:
    """Return lists of scalars as one-dimensional arrays, each word the bytes of array_send()."""
    nulls = nulls_of(column, array)
    counts, flat = _flat(array)
    ends = np.cumsum(counts)
    inner = replace(column, type=column.type.element, not_null=False, in_key=False)
    try:
        child = scalar(inner, flat)
    except ValueRefusedError as error:
        error.row = int(np.searchsorted(ends, error.row, "right"))
        raise
    if inner.type.kind in ("float4", "float8"):
        data = child.data + child.data.dtype.type(0)  # minus zero plus zero is zero
        child.data = np.where(np.isnan(data), data.dtype.type(np.nan), data)
    elif inner.type.kind == "numeric":
        child = _numerics(child)
    body, lengths = elements(child)
    stops = np.concatenate([[0], np.cumsum(lengths)])[np.concatenate([[0], ends])].tolist()
    holed = np.zeros(len(array), bool)
    if child.nulls is not None:
        holed[np.searchsorted(ends, np.flatnonzero(child.nulls), "right")] = True
    number = _VARCHAR if inner.type.length else _OIDS[inner.type.kind]
    words = [
        (_header(number, int(count), bool(hole)) + body[stops[row] : stops[row + 1]])
        for row, (count, hole) in enumerate(zip(counts, holed, strict=True))
    ]
    return worded(column, words, nulls)


def _header(number: int, count: int, holed: bool) -> bytes:
    """Return array_send()'s opening: dimensions, whether there are nulls, element type, then length and lower bound."""
    words = [1 if count else 0, int(holed), number, *([count, 1] if count else [])]
    return b"".join(word.to_bytes(4, "big") for word in words)


def _flat(array: pa.Array) -> tuple[Array, pa.Array]:
    """Return how many elements each list has (0 for a null), and all of them end to end."""
    counts: Array = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    return counts.astype(np.int64), array.flatten()


def _numerics(values: Values) -> Values:
    """Return decimals as numeric_send() writes them, without leading and trailing zero digits."""
    places, before = digits(values)
    matrix = np.stack(places, axis=1) if len(values.data) else np.empty((0, len(places)), np.int64)
    used = matrix != 0
    first = np.where(used.any(axis=1), used.argmax(axis=1), 0)
    count = np.where(used.any(axis=1), len(places) - used[:, ::-1].argmax(axis=1) - first, 0)
    weight = np.where(count > 0, before - 1 - first, 0)
    sign = np.where(negative(values), 0x4000, 0)
    scale = values.column.type.scale
    words = []
    for row in range(len(matrix)):
        own = matrix[row, first[row] : first[row] + count[row]]
        head = np.array([count[row], weight[row], sign[row], scale])
        words.append(np.concatenate([head, own]).astype(">i2").tobytes())
    return worded(replace(values.column, type=SqlType("bytea")), words, values.nulls)


# -- vectors -------------------------------------------------------------------------------------------------------------


def vector_values(column: Column, array: pa.Array) -> Values:
    """Return lists of floats as rows of a matrix."""
    nulls = nulls_of(column, array)
    length = column.type.length
    counts, flat = _flat(array)
    wrong = counts != length
    if nulls is not None:
        wrong &= ~nulls
    if wrong.any():
        row = int(wrong.argmax())
        raise refused(column, f": a list of {int(counts[row])} numbers does not fit {column.type.sql}.", row)
    rows = np.arange(len(array)) if nulls is None else np.flatnonzero(~nulls)
    if flat.null_count:
        at = int(pc.is_null(flat).to_numpy(zero_copy_only=False).argmax())
        raise refused(column, f": a null in a list does not fit {column.type.sql}.", int(rows[at // length]))
    with np.errstate(over="ignore"):  # what overflows is infinite, and told below
        numbers = flat.to_numpy(zero_copy_only=False).astype(np.float32)
    if not np.isfinite(numbers).all():
        at = int((~np.isfinite(numbers)).argmax())
        raise refused(
            column, f": {flat[at].as_py()} in a list does not fit {column.type.sql}.", int(rows[at // length])
        )
    data = np.zeros((len(array), length), np.float32)
    data[rows] = numbers.reshape(-1, length) + np.float32(0)
    return Values(column, data, nulls)


# -- jsonb ---------------------------------------------------------------------------------------------------------------


def json_values(column: Column, array: pa.Array) -> Values:
    """Return nested values, or text that is JSON, as jsonb."""
    nulls = nulls_of(column, array)
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    write: Callable[[Any], str] = _canonical if pa.types.is_string(array.type) else _writer(array.type)
    words: list[bytes | None] = []
    for row, value in enumerate(array.to_pylist()):
        if value is None:
            words.append(None)
            continue
        try:
            words.append(JSONB_VERSION + write(value).encode())
        except (ValueError, RecursionError) as error:
            shown = str(value)[:_SHOWN] + ("…" if len(str(value)) > _SHOWN else "")
            raise refused(column, f": {shown!r} cannot be jsonb: {error}.", row) from None
    return worded(column, words, nulls)


def _writer(kind: pa.DataType) -> Callable[[Any], str]:
    """Return what writes a value of the type as `jsonb::text` would."""
    if pa.types.is_struct(kind):
        fields = [(kind.field(i).name, _writer(kind.field(i).type)) for i in range(kind.num_fields)]
        fields.sort(key=lambda item: _order(item[0]))
        heads = [(f"{_string(name)}: ", name, write) for name, write in fields]
        return lambda value: (
            "{" + ", ".join(head + _or_null(write, value[name]) for head, name, write in heads) + "}"
        )
    if pa.types.is_map(kind):
        key, item = _key_writer(kind.key_type), _writer(kind.item_type)
        return lambda value: _object({key(name): _or_null(item, entry) for name, entry in value})
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        element = _writer(kind.value_type)
        return lambda value: "[" + ", ".join(_or_null(element, item) for item in value) + "]"
    if pa.types.is_boolean(kind):
        return lambda value: "true" if value else "false"
    if pa.types.is_integer(kind):
        return str
    if pa.types.is_float32(kind):
        return lambda value: _number(str(np.float32(value)))
    if pa.types.is_floating(kind):
        return lambda value: _number(repr(value))
    if pa.types.is_decimal(kind):
        return lambda value: _number(str(value))
    return lambda value: _string(_plain(value))


def _or_null(write: Callable[[Any], str], value: Any) -> str:
    return "null" if value is None else write(value)


def _key_writer(kind: pa.DataType) -> Callable[[Any], str]:
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return str
    if pa.types.is_nested(kind):
        raise ValueError(f"a map's key is a {kind}")
    write = _writer(kind)
    return lambda value: _plain(value) if isinstance(value, date | time | bytes | UUID) else write(value)


def _plain(value: Any) -> str:
    """Return text, a date (ISO 8601), bytes (hexadecimal) or a uuid as text."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    return str(value)


def _order(name: str) -> tuple[int, bytes]:
    return len(name.encode()), name.encode()


def _object(entries: dict[str, str]) -> str:
    return "{" + ", ".join(f"{_string(name)}: {entries[name]}" for name in sorted(entries, key=_order)) + "}"


def _string(text: str) -> str:
    if "\0" in text:
        raise ValueError("it holds a NUL character")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("it holds half of a surrogate pair")
    return json.dumps(text, ensure_ascii=False)


def _number(text: str) -> str:
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(f"{text} is no JSON number")
    if number.adjusted() > 1_000 or number.as_tuple().exponent < -1_000:  # type: ignore[operator]
        raise ValueError(f"{text} has too many digits")
    written = format(number, "f")
    return written[1:] if not number and written.startswith("-") else written


class _Number(str):
    """A JSON number as it was written: digits are kept, which a float would lose."""


def _canonical(text: str) -> str:
    return _rewritten(json.loads(text, parse_float=_Number, parse_int=_Number, parse_constant=_Number))


def _rewritten(value: Any) -> str:
    if isinstance(value, dict):
        return _object({name: _rewritten(entry) for name, entry in value.items()})
    if isinstance(value, list):
        return "[" + ", ".join(map(_rewritten, value)) + "]"
    if isinstance(value, _Number):
        return _number(value)
    if isinstance(value, str):
        return _string(value)
    return {True: "true", False: "false", None: "null"}[value]
