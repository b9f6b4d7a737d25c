"""information_schema: schemata, tables, columns and views of the catalog, as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from athena_local import iceberg
from athena_local.config import CATALOG_NAME
from athena_local.errors import QueryError
from athena_local.sql import views
from athena_local.sql.statements import TableName
from athena_local.types import BIGINT, VARCHAR, Column

if TYPE_CHECKING:
    from collections.abc import Iterator

    from athena_local.engine.session import Session

Record = dict[str, Any]
_CATALOG = CATALOG_NAME.lower()
_TABLES = {
    "schemata": ["catalog_name", "schema_name"],
    "tables": ["table_catalog", "table_schema", "table_name", "table_type"],
    "views": ["table_catalog", "table_schema", "table_name", "view_definition"],
    "columns": [
        "table_catalog", "table_schema", "table_name", "column_name", "ordinal_position", "column_default", "is_nullable",
        "data_type", "comment", "extra_info",
    ],
}  # fmt: skip


def source(session: Session, name: TableName) -> tuple[str, list[Column]]:
    """Return the select that holds the rows, and its columns."""
    names = _TABLES.get(name.name)
    if names is None:
        text = f"Table '{_CATALOG}.information_schema.{name.name}' does not exist"
        raise QueryError("TABLE_NOT_FOUND", text, position=name.position)
    columns = [Column(item, BIGINT if item == "ordinal_position" else VARCHAR) for item in names]
    catalog = session.context.catalog
    databases = [record["Name"] for record in catalog.get_databases()]
    rows: list[tuple[Any, ...]] = []
    if name.name == "schemata":
        rows = [(_CATALOG, database) for database in databases]
    else:
        for database in databases:
            for record in catalog.get_tables(database):
                rows += _rows(name.name, database, record)
    types = [column.type.duckdb() for column in columns]
    if not rows:
        nulls = ", ".join(f"CAST(NULL AS {kind}) AS {item}" for kind, item in zip(types, names, strict=True))
        return f"SELECT {nulls} LIMIT 0", columns
    values = ", ".join("(" + ", ".join(_literal(value) for value in row) + ")" for row in rows)
    casts = ", ".join(f"CAST({item} AS {kind}) AS {item}" for item, kind in zip(names, types, strict=True))
    return f"SELECT {casts} FROM (VALUES {values}) AS i({', '.join(names)})", columns


def _rows(kind: str, database: str, record: Record) -> Iterator[tuple[Any, ...]]:
    table, view = record["Name"], views.is_view(record)
    if kind == "tables":
        yield (_CATALOG, database, table, "VIEW" if view else "BASE TABLE")
    elif kind == "views":
        if view:
            yield (_CATALOG, database, table, views.original_text(record))
    else:
        for position, column in enumerate(_columns(record), start=1):
            extra = "partition key" if column[2] else None
            comment = column[0].comment or None
            kind_text = column[0].type.trino()
            yield (
                _CATALOG,
                database,
                table,
                column[0].name,
                position,
                None,
                "YES",
                kind_text,
                comment,
                extra,
            )


def _columns(record: Record) -> list[tuple[Column, int, bool]]:
    from athena_local.engine import hive

    if iceberg.is_iceberg(record):
        return [(column, index, False) for index, column in enumerate(iceberg.columns(record))]
    keys = {column.name for column in hive.partition_columns(record)}
    return [(column, index, column.name in keys) for index, column in enumerate(hive.columns(record))]


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"
