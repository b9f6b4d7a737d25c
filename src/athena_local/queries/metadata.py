"""ColumnInfo, as GetQueryResults answers it and as the `.metadata` file beside a result holds it (Protocol Buffers).

The file's fields, as JDBC drivers read it: 1 the query id, 4 a column each; within a column 1 catalog, 2 schema, 3 table,
4 name, 5 label, 6 type, 7 precision, 8 scale, 9 nullable (3: unknown), 10 case sensitive.
"""

from __future__ import annotations

from typing import Any

from athena_local.context import ResultColumn

_UNKNOWN_NULLABLE = 3
_DEFAULT_PRECISION = {
    "tinyint": 3,
    "smallint": 5,
    "integer": 10,
    "bigint": 19,
    "float": 17,
    "double": 17,
    "varchar": 2147483647,
    "varbinary": 1073741824,
    "timestamp": 3,
    "timestamp with time zone": 3,
}
_CASE_SENSITIVE = {"varchar", "char"}


def column_info(column: ResultColumn) -> dict[str, Any]:
    return {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": column.name,
        "Label": column.name,
        "Type": column.type,
        "Precision": column.precision or _DEFAULT_PRECISION.get(column.type, 0),
        "Scale": column.scale,
        "Nullable": "UNKNOWN",
        "CaseSensitive": column.type in _CASE_SENSITIVE,
    }


def metadata_file(query_id: str, columns: list[dict[str, Any]]) -> bytes:
    body = _text(1, query_id)
    for column in columns:
        fields = (
            _text(1, column["CatalogName"])
            + _text(2, column["SchemaName"])
            + _text(3, column["TableName"])
            + _text(4, column["Name"])
            + _text(5, column["Label"])
            + _text(6, column["Type"])
            + _number(7, column["Precision"])
            + _number(8, column["Scale"])
            + _number(9, _UNKNOWN_NULLABLE)
            + _number(10, int(column["CaseSensitive"]))
        )
        body += _bytes(4, fields)
    return body


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
