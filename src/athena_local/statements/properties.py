"""What stands in WITH (…) of CREATE TABLE AS and UNLOAD: names, values of the right kind, Trino's words for the rest."""

from __future__ import annotations

from athena_local.config import CATALOG_NAME
from athena_local.engine import writers
from athena_local.engine.formats import DEFAULT_DELIMITER, SEPARATORS, Format
from athena_local.engine.writers import Writer
from athena_local.errors import QueryError
from athena_local.sql import statements as s
from athena_local.types import Column

Properties = dict[str, s.PropertyValue]
# name -> the type Trino names when a value is not of it
CTAS = {
    "format": "varchar", "partitioned_by": "array(varchar)", "bucketed_by": "array(varchar)", "bucket_count": "integer",
    "external_location": "varchar", "write_compression": "varchar", "parquet_compression": "varchar",
    "orc_compression": "varchar", "field_delimiter": "varchar", "table_type": "varchar", "is_external": "boolean",
    "compression_level": "integer",
}  # fmt: skip
UNLOAD = {
    "format": "varchar", "compression": "varchar", "compression_level": "integer", "field_delimiter": "varchar",
    "partitioned_by": "array(varchar)",
}  # fmt: skip
FORMATS = ["PARQUET", "ORC", "AVRO", "JSON", "TEXTFILE"]
_KINDS = {"PARQUET": "parquet", "JSON": "json", "TEXTFILE": "lazy"}
_DEFAULT_CODECS = {"parquet": "snappy", "lazy": "gzip", "json": "gzip"}
_PYTHON = {"varchar": str, "boolean": bool, "integer": int, "array(varchar)": list}
_MAX_ZSTD_LEVEL = 22


def check(given: Properties, known: dict[str, str], what: str = "table") -> None:
    """Refuse unknown names and values of a wrong type."""
    for name, value in given.items():
        kind = known.get(name)
        if kind is None:
            text = f"Catalog '{CATALOG_NAME.lower()}' {what} property '{name}' does not exist"
            raise QueryError("INVALID_TABLE_PROPERTY", text, position=(1, 1))
        wrong_bool = isinstance(value, bool) and kind != "boolean"
        if not isinstance(value, _PYTHON[kind]) or wrong_bool:
            text = (
                f"Invalid value for catalog '{CATALOG_NAME.lower()}' {what} property '{name}':"
                f" Cannot convert [{value}] to {kind}"
            )
            raise QueryError("INVALID_TABLE_PROPERTY", text, position=(1, 1))


def text(given: Properties, name: str) -> str | None:
    value = given.get(name)
    return None if value is None else str(value)


def names(given: Properties, name: str) -> list[str]:
    value = given.get(name, [])
    return [item.lower() for item in value] if isinstance(value, list) else []


def writer(given: Properties, codec: str | None, what: str = "table") -> Writer:
    """Return how files are written: `format`, a codec, `compression_level`, `field_delimiter`."""
    form = (text(given, "format") or "PARQUET").upper()
    if form not in FORMATS:
        shown = ", ".join(FORMATS)
        message = (
            f"Unable to set catalog '{CATALOG_NAME.lower()}' {what} property 'format' to ['{given['format']}']:"
            f" Invalid value [{given['format']}]. Valid values: [{shown}]"
        )
        raise QueryError("INVALID_TABLE_PROPERTY", message, position=(1, 1))
    writers.refuse_unwritten(form)
    kind = _KINDS[form]
    delimiter = text(given, "field_delimiter")
    if delimiter is not None and kind != "lazy":
        message = f"Property 'field_delimiter' cannot be used with format {form}"
        raise QueryError("INVALID_TABLE_PROPERTY", message, position=(1, 1))
    if delimiter is not None and len(delimiter) != 1:
        message = f"Property 'field_delimiter' must be a single character, not '{delimiter}'"
        raise QueryError("INVALID_TABLE_PROPERTY", message, position=(1, 1))
    name = writers.codec(kind, codec or _DEFAULT_CODECS[kind])
    return Writer(Format(kind, (delimiter or DEFAULT_DELIMITER, *SEPARATORS[1:])), name, _level(given, name))


def _level(given: Properties, codec: str) -> int | None:
    level = given.get("compression_level")
    if level is None:
        return None
    if codec != "zstd" or not isinstance(level, int) or not 1 <= level <= _MAX_ZSTD_LEVEL:
        message = f"Property 'compression_level' applies to ZSTD alone, from 1 to {_MAX_ZSTD_LEVEL}"
        raise QueryError("INVALID_TABLE_PROPERTY", message, position=(1, 1))
    return level


def split(columns: list[Column], keys: list[str]) -> tuple[list[Column], list[Column]]:
    """Return data columns and partition keys; keys must come last and in the order of the property."""
    if not keys:
        return columns, []
    known = {column.name for column in columns}
    missing = [name for name in keys if name not in known]
    if missing:
        message = f"Partition columns {_shown(missing)} not present in schema"
        raise QueryError("INVALID_TABLE_PROPERTY", message, position=(1, 1))
    if len(keys) == len(columns):
        raise QueryError("INVALID_TABLE_PROPERTY", "Table contains only partition columns", position=(1, 1))
    last = [column.name for column in columns[-len(keys) :]]
    if last != keys:
        message = (
            "Partition keys must be the last columns in the table and in the same order as the table properties:"
            f" {_shown(keys)}"
        )
        raise QueryError("HIVE_COLUMN_ORDER_MISMATCH", message)
    return columns[: -len(keys)], columns[-len(keys) :]


def buckets(given: Properties, columns: list[Column]) -> tuple[tuple[str, ...], int]:
    """Return bucket columns and their number; both or neither are given."""
    by, count = names(given, "bucketed_by"), given.get("bucket_count", 0)
    assert isinstance(count, int)
    if not by and count == 0:
        return (), 0
    if count < 0:
        raise QueryError("INVALID_TABLE_PROPERTY", "bucket_count must be greater than zero", position=(1, 1))
    if not by or count == 0:
        message = "bucketed_by and bucket_count must be specified together"
        raise QueryError("INVALID_TABLE_PROPERTY", message, position=(1, 1))
    missing = [name for name in by if name not in {column.name for column in columns}]
    if missing:
        message = f"Bucketing columns {_shown(missing)} not present in schema"
        raise QueryError("INVALID_TABLE_PROPERTY", message, position=(1, 1))
    return tuple(by), count


def _shown(names: list[str]) -> str:
    return f"[{', '.join(names)}]"
