"""Athena's types: read from Hive's spelling and from Trino's, written as either, and mapped to DuckDB, Arrow and Iceberg.

One value for both spellings, because a table is declared in Hive's (`array<struct<a:int>>`) and queried in Trino's
(`array(row(a integer))`). A type that neither Athena knows is a ValueError, never a guess.
"""

from athena_local.types.mappings import from_duckdb, from_iceberg
from athena_local.types.model import (
    BIGINT,
    BOOLEAN,
    BY_ROW,
    DATE,
    DAY_TO_SECOND,
    DOUBLE,
    INTEGER,
    IPADDRESS,
    JSON,
    MICROS,
    NANOS,
    REAL,
    SMALLINT,
    TIME,
    TIMESTAMP,
    TIMESTAMP_TZ,
    TINYINT,
    UNKNOWN,
    UUID,
    VARBINARY,
    VARCHAR,
    YEAR_TO_MONTH,
    AthenaType,
    Column,
    array_of,
    map_of,
    quote,
    row_of,
)
from athena_local.types.spelling import parse_type

__all__ = [
    "BIGINT", "BOOLEAN", "BY_ROW", "DATE", "DAY_TO_SECOND", "DOUBLE", "INTEGER", "IPADDRESS", "JSON", "MICROS", "NANOS",
    "REAL", "SMALLINT", "TIME", "TIMESTAMP", "TIMESTAMP_TZ", "TINYINT", "UNKNOWN", "UUID", "VARBINARY", "VARCHAR",
    "YEAR_TO_MONTH", "AthenaType", "Column", "array_of", "from_duckdb", "from_iceberg", "map_of", "parse_type", "quote",
    "row_of",
]  # fmt: skip
