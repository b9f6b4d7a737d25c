"""Table properties of Iceberg tables: the keys Athena takes, how each is kept in the metadata, and how it is shown again.

Any other key is refused, as on Athena, so that nobody relies on a property that Athena would not let him set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from athena_local.config import CATALOG_NAME
from athena_local.errors import QueryError

if TYPE_CHECKING:
    from athena_local.iceberg.table import IcebergTable

FORMAT_PROPERTY = "write.format.default"
CODEC_PROPERTY = "write.parquet.compression-codec"
LEVEL_PROPERTY = "write.parquet.compression-level"
TARGET_SIZE_PROPERTY = "write.target-file-size-bytes"
# https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-creating-tables.html: Athena's key -> the metadata's
_KEPT_AS = {
    "format": FORMAT_PROPERTY,
    "write_compression": CODEC_PROPERTY,
    "compression_level": LEVEL_PROPERTY,
    "write_target_data_file_size_bytes": TARGET_SIZE_PROPERTY,
    "optimize_rewrite_data_file_threshold": "optimize_rewrite_data_file_threshold",
    "optimize_rewrite_delete_file_threshold": "optimize_rewrite_delete_file_threshold",
    "optimize_rewrite_min_data_file_size_bytes": "optimize_rewrite_min_data_file_size_bytes",
    "optimize_rewrite_max_data_file_size_bytes": "optimize_rewrite_max_data_file_size_bytes",
    "vacuum_min_snapshots_to_keep": "vacuum_min_snapshots_to_keep",
    "vacuum_max_snapshot_age_seconds": "vacuum_max_snapshot_age_seconds",
    "vacuum_max_metadata_files_to_keep": "vacuum_max_metadata_files_to_keep",
    "write_data_path_enabled": "write_data_path_enabled",
}
_SHOWN_AS = {kept: key for key, kept in _KEPT_AS.items()}
_WORDS = {"format", "write_compression", "write_data_path_enabled"}  # every other value is a number
_CTAS_ONLY = {"table_type", "location", "partitioning", "is_external"}
_UNWRITABLE_FORMATS = {"orc", "avro"}
# Iceberg's names of codecs -> DuckDB's
_CODECS = {
    "zstd": "zstd",
    "snappy": "snappy",
    "gzip": "gzip",
    "lz4": "lz4_raw",
    "none": "uncompressed",
    "uncompressed": "uncompressed",
}
_LEVEL_CODEC, _DEFAULT_LEVEL = "zstd", "3"
_LEAST_LEVEL, _MOST_LEVEL = 1, 22


def unsupported(text: str = "Query type not supported by Athena Iceberg at this time") -> QueryError:
    """Return what Athena's own check of an Iceberg statement raises: a reason without a code."""
    return QueryError("", text, error_type=1200)


def of_create(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the metadata's properties for TBLPROPERTIES of CREATE TABLE."""
    _check_keys(given)
    return _checked({CODEC_PROPERTY: "zstd", **_kept(given)})


def of_ctas(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the metadata's properties for WITH of CREATE TABLE AS; its other keys are left to the caller."""
    for key in given:
        if key.lower() not in _KEPT_AS and key.lower() not in _CTAS_ONLY:
            text = f"Catalog '{CATALOG_NAME.lower()}' table property '{key}' does not exist"
            raise QueryError("INVALID_TABLE_PROPERTY", text, position=(1, 1))
    kept = {FORMAT_PROPERTY: "PARQUET", CODEC_PROPERTY: "ZSTD", **_kept(given)}
    kept = {
        key: value.upper() if key in {FORMAT_PROPERTY, CODEC_PROPERTY} else value
        for key, value in kept.items()
    }
    if kept[CODEC_PROPERTY].lower() == _LEVEL_CODEC:
        kept.setdefault(LEVEL_PROPERTY, _DEFAULT_LEVEL)
    return _checked(kept)


def of_set(table: IcebergTable, given: Mapping[str, Any]) -> dict[str, str]:
    """Return what SET TBLPROPERTIES changes in the metadata."""
    _check_keys(given)
    changed = _kept(given)
    _checked({**table.metadata.properties, **changed})
    return changed


def of_unset(table: IcebergTable, keys: tuple[str, ...]) -> list[str]:
    """Return the metadata's keys that UNSET TBLPROPERTIES removes."""
    for key in keys:
        if key.lower() not in _KEPT_AS:
            raise unsupported(f"Table property {key} is not supported by Athena")
    kept = [_KEPT_AS[key.lower()] for key in keys]
    return [key for key in kept if key in table.metadata.properties]


def shown(table: IcebergTable) -> dict[str, str]:
    """Return Athena's properties of a table by name, `table_type` aside."""
    found = {_SHOWN_AS[key]: value for key, value in table.metadata.properties.items() if key in _SHOWN_AS}
    return dict(sorted(found.items()))


def codec(properties: Mapping[str, str]) -> str:
    """Return DuckDB's name of the table's codec; one that DuckDB cannot write is refused."""
    name = str(properties.get(CODEC_PROPERTY, "zstd")).lower()
    if name not in _CODECS:
        raise QueryError("INVALID_TABLE_PROPERTY", f"Unsupported write_compression for Parquet: {name}")
    return _CODECS[name]


def level(properties: Mapping[str, str]) -> int | None:
    """Return the compression level where the codec has one."""
    if codec(properties) != _LEVEL_CODEC or LEVEL_PROPERTY not in properties:
        return None
    return int(properties[LEVEL_PROPERTY])


def number(table: IcebergTable, key: str, default: int) -> int:
    """Return a numeric property; another engine may have put anything there."""
    try:
        return int(table.metadata.properties.get(key, default))
    except ValueError:
        return default


def _check_keys(given: Mapping[str, Any]) -> None:
    for key in given:
        if key.lower() not in _KEPT_AS and key.lower() != "table_type":
            raise unsupported(f"Unsupported table property key: {key}")


def _kept(given: Mapping[str, Any]) -> dict[str, str]:
    lowered = {key.lower(): str(value) for key, value in given.items()}
    if "compression_level" in lowered and "write_compression" not in lowered:
        text = "Compression codec must be defined when compression_level property is specified."
        raise QueryError("INVALID_TABLE_PROPERTY", text)
    kept = {}
    for key, value in lowered.items():
        if key in _KEPT_AS:
            if key not in _WORDS and not value.isdigit():
                raise QueryError(
                    "INVALID_TABLE_PROPERTY", f"Invalid value for table property '{key}': {value}"
                )
            kept[_KEPT_AS[key]] = value
    return kept


def _checked(kept: dict[str, str]) -> dict[str, str]:
    form = kept.get(FORMAT_PROPERTY, "parquet").lower()
    if form in _UNWRITABLE_FORMATS:
        text = f"Iceberg tables in format {form.upper()} are not supported by this server; use PARQUET"
        raise QueryError("NOT_SUPPORTED", text)
    if form != "parquet":
        raise QueryError("INVALID_TABLE_PROPERTY", f"Invalid value for table property 'format': {form}")
    codec(kept)
    found = level(kept)
    if found is not None and not _LEAST_LEVEL <= found <= _MOST_LEVEL:
        text = f"Invalid value for table property 'compression_level': {found}"
        raise QueryError("INVALID_TABLE_PROPERTY", text)
    return kept
