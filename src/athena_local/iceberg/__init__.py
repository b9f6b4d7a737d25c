"""Iceberg tables, format version 2: PyIceberg for the metadata, DuckDB for the data.

What is written here any Iceberg reader can read through Glue, and what a Glue client writes is read here.
"""

from athena_local.iceberg.ddl import alter_table, create_table, create_table_as, drop_table
from athena_local.iceberg.describe import column_lines, create_table_lines, describe_lines, property_lines
from athena_local.iceberg.dml import delete, insert, update
from athena_local.iceberg.maintenance import optimize, vacuum
from athena_local.iceberg.merge import merge
from athena_local.iceberg.metadata_tables import METADATA_TABLES, scan_metadata
from athena_local.iceberg.planning import AsOf
from athena_local.iceberg.properties import unsupported
from athena_local.iceberg.scans import Scan, scan, scan_columns
from athena_local.iceberg.table import columns, is_iceberg
from athena_local.iceberg.trees import WITH_POSITIONS

__all__ = [
    "METADATA_TABLES",
    "WITH_POSITIONS",
    "AsOf",
    "Scan",
    "alter_table",
    "column_lines",
    "columns",
    "create_table",
    "create_table_as",
    "create_table_lines",
    "delete",
    "describe_lines",
    "drop_table",
    "insert",
    "is_iceberg",
    "merge",
    "optimize",
    "property_lines",
    "scan",
    "scan_columns",
    "scan_metadata",
    "unsupported",
    "update",
    "vacuum",
]
