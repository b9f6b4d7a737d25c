"""Hive's bucketing, version 1: the hash that says which of a bucketed table's files a row goes into, as DuckDB text.

The hash is Java's 32-bit arithmetic on the column's value; several columns are folded with 31. A NULL hashes to 0.
Refused: columns of types that Hive's hash is not defined for here (decimal, varbinary, array, map, row).
"""

from __future__ import annotations

from athena_local.errors import QueryError
from athena_local.types import AthenaType, Column, quote

_HEX_DIGITS = "'0123456789ABCDEF'"
_WORD = "4294967295"  # 32 bits
_POSITIVE = "2147483647"


def bucket_of(columns: list[Column], count: int) -> str:
    """Return the number of a row's bucket, from 0."""
    text = ""
    for column in columns:
        value = f"coalesce({_hash(column.type, quote(column.name))}, 0)"
        text = f"(({text} * 31 + {value}) & {_WORD})" if text else f"({value} & {_WORD})"
    return f"CAST(({text} & {_POSITIVE}) % {count} AS INTEGER)"


def _hash(kind: AthenaType, value: str) -> str:
    if kind.base == "boolean":
        return f"CAST({value} AS BIGINT)"
    if kind.base in {"tinyint", "smallint", "integer"}:
        return f"CAST({value} AS BIGINT)"
    if kind.base == "bigint":
        return _folded(value)
    if kind.base == "real":
        return f"CAST(CAST(CAST(({value} + CAST(0 AS FLOAT)) AS BIT) AS INTEGER) AS BIGINT)"
    if kind.base == "double":
        return _folded(f"CAST(CAST(({value} + CAST(0 AS DOUBLE)) AS BIT) AS BIGINT)")
    if kind.base == "date":
        return f"CAST({value} - DATE '1970-01-01' AS BIGINT)"
    if kind.base == "timestamp":
        micros = f"epoch_us({value})"
        seconds = f"CAST(floor({micros} / 1000000) AS BIGINT)"
        return _folded(f"({seconds} * 1073741824 + ({micros} - {seconds} * 1000000) * 1000)")
    if kind.base in {"varchar", "char"}:
        return _text(value)
    raise QueryError("NOT_SUPPORTED", f"Table bucketing on type {kind.trino()} is not supported")


def _folded(value: str) -> str:
    """Fold 64 bits into 32 as Java's Long.hashCode does; bits above are cut off by the caller."""
    return f"xor({value}, {value} >> 32)"


def _text(value: str) -> str:
    """Return Java's polynomial over the UTF-8 bytes, taken as signed."""
    digits = f"hex(encode({value}))"

    def nibble(place: str) -> str:
        return f"(strpos({_HEX_DIGITS}, substr({digits}, CAST(2 * i + {place} AS INTEGER), 1)) - 1)"

    byte = f"CAST({nibble('1')} * 16 + {nibble('2')} AS BIGINT)"
    signed = f"list_transform(range(0, octet_length(encode({value}))), LAMBDA i : ({byte} + 128) % 256 - 128)"
    return f"list_reduce(list_prepend(CAST(0 AS BIGINT), {signed}), LAMBDA h, b : (h * 31 + b) & {_WORD})"
