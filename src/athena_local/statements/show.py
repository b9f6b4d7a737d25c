"""SHOW: lines of text, padded and tab-separated as Athena prints them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from athena_local import iceberg
from athena_local.catalog import EntityNotFoundError
from athena_local.context import ResultColumn, StatementResult
from athena_local.engine import hive
from athena_local.errors import QueryError
from athena_local.sql import statements as s
from athena_local.sql import views
from athena_local.statements import partitions
from athena_local.statements.describe import WIDTH, columns_of
from athena_local.statements.hive_errors import database_not_found, execution_error, find_for_ddl
from athena_local.statements.hive_text import create_table_lines

if TYPE_CHECKING:
    from athena_local.engine.session import Session

Record = dict[str, Any]

# What Athena calls the answer's columns. Each row is one cell of text all the same, tabs between its parts.
_NAMES = {
    "databases": ("database_name",),
    "tables": ("tab_name",),
    "views": ("views",),
    "columns": ("field",),
    "partitions": ("partition",),
    "create_table": ("createtab_stmt",),
    "create_view": ("create_view_stmt",),
    "tblproperties": ("prpt_name", "prpt_value"),
}


def show(session: Session, statement: s.Show) -> StatementResult:
    handler = {
        "databases": _databases,
        "tables": _tables,
        "views": _views,
        "columns": _columns,
        "partitions": _partitions,
        "create_table": _create_table,
        "create_view": _create_view,
        "tblproperties": _properties,
    }[statement.kind]
    return told(_NAMES[statement.kind], handler(session, statement))


def told(names: tuple[str, ...], lines: list[str]) -> StatementResult:
    return StatementResult([ResultColumn(name, "string") for name in names], lines=lines)


def _matcher(pattern: str | None) -> re.Pattern[str]:
    """Return Hive's pattern as a regular expression: `*` or `.*` is any text, `|` is or, everything else itself."""
    parts = [re.escape(part) for part in (pattern or "*").lower().replace(".*", "*").split("|")]
    return re.compile("|".join("(?:" + part.replace(r"\*", ".*") + ")" for part in parts))


def _databases(session: Session, statement: s.Show) -> list[str]:
    matcher = _matcher(statement.pattern)
    names = [record["Name"] for record in session.context.catalog.get_databases()]
    return [name for name in names if matcher.fullmatch(name)]


def _records(session: Session, statement: s.Show) -> list[Record]:
    database = statement.database or session.context.database
    try:
        return session.context.catalog.get_tables(database)
    except EntityNotFoundError:
        raise database_not_found(database) from None


def _tables(session: Session, statement: s.Show) -> list[str]:
    matcher = _matcher(statement.pattern)
    return sorted(
        record["Name"] for record in _records(session, statement) if matcher.fullmatch(record["Name"])
    )


def _views(session: Session, statement: s.Show) -> list[str]:
    matcher = _matcher(statement.pattern)
    return sorted(
        record["Name"]
        for record in _records(session, statement)
        if views.is_view(record) and matcher.fullmatch(record["Name"])
    )


def _target(session: Session, statement: s.Show) -> Record:
    assert statement.table is not None
    record = find_for_ddl(session, statement.table)
    if statement.refused is not None and not views.is_view(record):
        raise statement.refused
    return record


def _columns(session: Session, statement: s.Show) -> list[str]:
    record = _target(session, statement)
    if iceberg.is_iceberg(record):
        return iceberg.column_lines(session, record)
    return [f"{column.name:<{WIDTH}}" for column in columns_of(record)]


def _partitions(session: Session, statement: s.Show) -> list[str]:
    record = _target(session, statement)
    keys = [column.name for column in hive.partition_columns(record)]
    if not keys:
        raise execution_error(f"Table {record['Name']} is not a partitioned table")
    rows = session.context.catalog.get_partitions(record["DatabaseName"], record["Name"])
    if statement.partition is not None:
        rows = partitions.matching(record, statement.partition, rows)
    return sorted(hive.partition_name(keys, row["Values"]) for row in rows)


def _create_table(session: Session, statement: s.Show) -> list[str]:
    record = _target(session, statement)
    if views.is_view(record):
        name = f"{record['DatabaseName']}.{record['Name']}"
        raise QueryError("INVALID_ARGUMENTS", f"SHOW CREATE TABLE is not supported on the view {name}")
    if iceberg.is_iceberg(record):
        return iceberg.create_table_lines(session, record)
    return create_table_lines(record, str(statement.table))


def _create_view(session: Session, statement: s.Show) -> list[str]:
    record = _target(session, statement)
    name = f"{record['DatabaseName']}.{record['Name']}"
    if not views.is_view(record):
        raise QueryError("INVALID_ARGUMENTS", f"Relation '{name}' is a table, not a view")
    return [f"CREATE VIEW {name} AS", *views.original_text(record).splitlines()]


def _properties(session: Session, statement: s.Show) -> list[str]:
    record = _target(session, statement)
    if iceberg.is_iceberg(record) and statement.key is None:
        return iceberg.property_lines(session, record)
    parameters = record.get("Parameters") or {}
    if statement.key is not None:
        if statement.key not in parameters:
            name = f"{record['DatabaseName']}.{record['Name']}"
            return [f"Table {name} does not have property: {statement.key}"]
        return [str(parameters[statement.key])]
    return [f"{key}\t{value}" for key, value in sorted(parameters.items())]
