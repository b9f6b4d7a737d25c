"""Iceberg tables, format version 2: PyIceberg for the metadata, DuckDB for the data.

What is written here any Iceberg reader can read through Glue, and what a Glue client writes is read here.
"""

from athena_local.iceberg.ddl import alter_table, create_table, create_table_as, drop_table
from athena_local.iceberg.dml import delete, insert, merge, update
from athena_local.iceberg.maintenance import optimize, vacuum
from athena_local.iceberg.metadata_tables import METADATA_TABLES, scan_metadata
from athena_local.iceberg.scans import AsOf, Scan, scan
from athena_local.iceberg.table import columns, is_iceberg

__all__ = [
    "METADATA_TABLES",
    "AsOf",
    "Scan",
    "alter_table",
    "columns",
    "create_table",
    "create_table_as",
    "delete",
    "drop_table",
    "insert",
    "is_iceberg",
    "merge",
    "optimize",
    "scan",
    "scan_metadata",
    "update",
    "vacuum",
]
