"""How a Hive table's files are told apart and spelled: SerDe, delimiters, header lines, compression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from athena_local.errors import QueryError

Record = dict[str, Any]

LAZY_SIMPLE = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
OPEN_CSV = "org.apache.hadoop.hive.serde2.OpenCSVSerde"
OPENX_JSON = "org.openx.data.jsonserde.JsonSerDe"
PARQUET = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"

_TEXT_INPUT = "org.apache.hadoop.mapred.TextInputFormat"
_TEXT_OUTPUT = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
_PARQUET_INPUT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
_PARQUET_OUTPUT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"

# STORED AS / CTAS `format` -> (SerDe, input format, output format)
STORED_AS = {
    "TEXTFILE": (LAZY_SIMPLE, _TEXT_INPUT, _TEXT_OUTPUT),
    "PARQUET": (PARQUET, _PARQUET_INPUT, _PARQUET_OUTPUT),
    "JSON": (OPENX_JSON, _TEXT_INPUT, _TEXT_OUTPUT),
}
DEFAULT_DELIMITER = "\x01"
_UNREADABLE = ("orc", "avro", "regex", "ion", "grok", "cloudtrail", "rcfile", "columnar")


@dataclass(frozen=True)
class Format:
    """`kind`: lazy, opencsv, json or parquet."""

    kind: str
    delimiter: str = DEFAULT_DELIMITER
    quote: str = '"'
    escape: str | None = None
    null: str = "\\N"
    skip_lines: int = 0
    collection: str = "\x02"
    map_key: str = "\x03"
    ignore_case: bool = True  # JSON: keys in any case
    key_names: tuple[tuple[str, str], ...] = ()  # JSON: (key in small letters, column) where they differ
    ignore_malformed: bool = False  # JSON: a row of NULLs instead of an error


def stored_as(name: str) -> tuple[str, str, str]:
    found = STORED_AS.get(name.upper())
    if found is None:
        raise QueryError("NOT_SUPPORTED", f"File format {name} is not supported by this server")
    return found


def _numbered(value: str | None) -> str | None:
    """Hive writes `serialization.format` as the delimiter or as its code: '1' is \\x01."""
    return chr(int(value)) if value is not None and value.isdigit() else value


def format_of(table: Record) -> Format:
    """Return how a table's data files are to be read. NOT_SUPPORTED for a SerDe this server has no reader for."""
    storage = table.get("StorageDescriptor") or {}
    serde_info = storage.get("SerdeInfo") or {}
    serde = str(serde_info.get("SerializationLibrary") or "")
    options = {key.lower(): str(value) for key, value in (serde_info.get("Parameters") or {}).items()}
    parameters = {str(key).lower(): str(value) for key, value in (table.get("Parameters") or {}).items()}
    header = parameters.get("skip.header.line.count") or options.get("skip.header.line.count") or "0"
    skip = int(header) if header.isdigit() else 0
    if "parquet" in serde.lower() or "parquet" in str(storage.get("InputFormat", "")).lower():
        return Format("parquet")
    if serde == OPEN_CSV:
        return Format(
            "opencsv",
            options.get("separatorchar", ","),
            options.get("quotechar", '"'),
            options.get("escapechar"),
            skip_lines=skip,
        )
    if "json" in serde.lower():
        mapped = {name[8:]: key.lower() for name, key in options.items() if name.startswith("mapping.")}
        return Format(
            "json",
            skip_lines=skip,
            ignore_case=options.get("case.insensitive", "true").lower() != "false",
            key_names=tuple((key, name) for name, key in mapped.items()),
            ignore_malformed=options.get("ignore.malformed.json", "false").lower() == "true",
        )
    if any(word in serde.lower() for word in _UNREADABLE):
        raise QueryError("NOT_SUPPORTED", f"SerDe {serde} is not supported by this server")
    if serde and serde != LAZY_SIMPLE:
        raise QueryError("HIVE_INVALID_METADATA", f"SerDe library not found: {serde}")
    return Format(
        "lazy",
        options.get("field.delim") or _numbered(options.get("serialization.format")) or DEFAULT_DELIMITER,
        escape=options.get("escape.delim"),
        null=options.get("serialization.null.format", "\\N"),
        skip_lines=skip,
        collection=options.get("collection.delim") or options.get("colelction.delim") or "\x02",
        map_key=options.get("mapkey.delim") or "\x03",
    )
