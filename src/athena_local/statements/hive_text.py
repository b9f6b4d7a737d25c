"""A Hive table's CREATE EXTERNAL TABLE as SHOW CREATE TABLE prints it: run again, it gives the same table."""

from __future__ import annotations

from typing import Any

from athena_local.engine import hive
from athena_local.engine.formats import LAZY_SIMPLE
from athena_local.types import Column

Record = dict[str, Any]

# SerDe property -> clause of ROW FORMAT DELIMITED, in the order that Hive's grammar has them
_CLAUSES = {
    "field.delim": "FIELDS TERMINATED BY",
    "escape.delim": "ESCAPED BY",
    "collection.delim": "COLLECTION ITEMS TERMINATED BY",
    "mapkey.delim": "MAP KEYS TERMINATED BY",
    "line.delim": "LINES TERMINATED BY",
    "serialization.null.format": "NULL DEFINED AS",
}
_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def create_table_lines(record: Record, name: str) -> list[str]:
    """Return the statement's lines; `name` is the table's as it was asked for, with its database or without."""
    storage = record.get("StorageDescriptor") or {}
    lines = [f"CREATE EXTERNAL TABLE `{name}`("]
    lines += _columns(hive.data_columns(record))
    parameters = {
        key: value
        for key, value in (record.get("Parameters") or {}).items()
        if key not in {"EXTERNAL", "comment"}
    }
    comment = (record.get("Parameters") or {}).get("comment") or record.get("Description")
    if comment:
        lines.append(f"COMMENT '{escaped(str(comment))}'")
    keys = hive.partition_columns(record)
    if keys:
        lines += ["PARTITIONED BY ( ", *_columns(keys)]
    if hive.bucket_count(record) is not None:
        lines += ["CLUSTERED BY ( ", *_names(storage["BucketColumns"])]
        lines.append(f"INTO {hive.bucket_count(record)} BUCKETS")
    lines += _row_format(storage.get("SerdeInfo") or {})
    lines += ["STORED AS INPUTFORMAT ", f"  '{storage.get('InputFormat', '')}' "]
    lines += ["OUTPUTFORMAT ", f"  '{storage.get('OutputFormat', '')}'"]
    lines += ["LOCATION", f"  '{escaped(str(storage.get('Location', '')))}'"]
    if parameters:
        lines += ["TBLPROPERTIES (", *_pairs(parameters)]
    return lines


def _row_format(serde: Record) -> list[str]:
    library = str(serde.get("SerializationLibrary") or "")
    properties = dict(serde.get("Parameters") or {})
    delimiter = properties.get("field.delim")
    if properties.get("serialization.format") in {"1", delimiter}:
        properties.pop("serialization.format", None)
    if library == LAZY_SIMPLE and delimiter is not None and set(properties) <= set(_CLAUSES):
        clauses = [
            f"  {words} '{escaped(properties[key])}' " for key, words in _CLAUSES.items() if key in properties
        ]
        return ["ROW FORMAT DELIMITED ", *clauses]
    lines = ["ROW FORMAT SERDE ", f"  '{escaped(library)}' "]
    if properties:
        pairs = _pairs(properties)
        lines += ["WITH SERDEPROPERTIES ( ", *pairs[:-1], f"{pairs[-1]} "]
    return lines


def _columns(columns: list[Column]) -> list[str]:
    found = []
    for column in columns:
        comment = f" COMMENT '{escaped(column.comment)}'" if column.comment else ""
        found.append(f"  `{column.name}` {column.type.hive()}{comment}, ")
    return [*found[:-1], found[-1].removesuffix(", ") + ")"] if found else []


def _names(names: list[str]) -> list[str]:
    return [*(f"  {name}, " for name in names[:-1]), f"  {names[-1]}) "]


def _pairs(values: Record) -> list[str]:
    lines = [f"  '{escaped(key)}'='{escaped(str(value))}', " for key, value in sorted(values.items())]
    return [*lines[:-1], lines[-1].removesuffix(", ") + ")"]


def escaped(text: str) -> str:
    """Return the text as a Hive literal has it between its quotes."""
    return "".join(
        _ESCAPES.get(character) or (f"\\u{ord(character):04x}" if ord(character) < 32 else character)
        for character in text
    )
