"""ColumnInfo, as GetQueryResults answers it and as the `.metadata` file beside a result holds it (Protocol Buffers).

The file's fields, as JDBC drivers read it: 1 the query id, 2 what an update did ("INSERT"), 3 to how many rows, 4 a column
each; within a column 1 catalog, 4 name, 5 label, 6 type, 7 precision, 8 scale, 9 nullable (3: unknown), 10 case sensitive.
Which of 7, 8 and 10 are there depends on the type, not on the value.
"""

from __future__ import annotations

from typing import Any

from athena_local.context import ResultColumn

_UNKNOWN_NULLABLE = 3
_CATALOG = "hive"
# of types without parameters; timestamps say 3 whatever their precision is
_FIXED_PRECISION = {
    "tinyint": 3,
    "smallint": 5,
    "integer": 10,
    "bigint": 19,
    "float": 17,
    "double": 17,
    "varbinary": 1073741824,
    "timestamp": 3,
    "timestamp with time zone": 3,
    "time": 3,
    "time with time zone": 3,
}
_UNBOUNDED = 2147483647
_TEXT = {"varchar", "char"}
_SCALED = {"date"}  # a scale without a precision
_KNOWN_CASE = {"boolean", "date", "interval day to second", "interval year to month"}


def column_info(column: ResultColumn) -> dict[str, Any]:
    precision = _FIXED_PRECISION.get(column.type, column.precision)
    if column.type == "varchar" and not precision:
        precision = _UNBOUNDED
    return {
        "CatalogName": _CATALOG,
        "SchemaName": "",
        "TableName": "",
        "Name": column.name,
        "Label": column.name,
        "Type": column.type,
        "Precision": precision,
        "Scale": column.scale if column.type == "decimal" else 0,
        "Nullable": "UNKNOWN",
        "CaseSensitive": column.type in _TEXT,
    }


def metadata_file(
    query_id: str,
    columns: list[dict[str, Any]],
    update: tuple[str, int] | None = None,
) -> bytes:
    """Return the file's bytes; `update` is what was done and to how many rows: ("INSERT", 3)."""
    body = _text(1, query_id)
    if update is not None:
        body += _text(2, update[0]) + _number(3, update[1])
    for column in columns:
        body += _bytes(4, _column(column))
    return body


def _column(column: dict[str, Any]) -> bytes:
    kind = column["Type"]
    is_sized = kind in _FIXED_PRECISION or kind in _TEXT or kind == "decimal"
    fields = _text(1, column["CatalogName"])
    fields += _text(4, column["Name"]) + _text(5, column["Label"]) + _text(6, kind)
    if is_sized:
        fields += _number(7, column["Precision"])
    if is_sized or kind in _SCALED:
        fields += _number(8, column["Scale"])
    fields += _number(9, _UNKNOWN_NULLABLE)
    if is_sized or kind in _KNOWN_CASE:
        fields += _number(10, int(column["CaseSensitive"]))
    return fields


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)
