"""CREATE TABLE, CREATE TABLE AS, ALTER TABLE and DROP TABLE for Iceberg tables.

A CTAS writes its data first and enters the table in the catalog last, complete: one that fails leaves neither table nor
files. A schema change commits like any other, and is tried again when somebody else committed in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pyiceberg.exceptions import ValidationError
from pyiceberg.table.metadata import new_table_metadata
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.table.update import RemovePropertiesUpdate, SetPropertiesUpdate

from athena_local.catalog import AlreadyExistsError, EntityNotFoundError
from athena_local.context import StatementResult
from athena_local.errors import QueryError
from athena_local.iceberg import table as tables
from athena_local.iceberg.commit import Changes, snapshot_updates
from athena_local.iceberg.dml import assigned
from athena_local.iceberg.partitions import parse_spec
from athena_local.iceberg.schema import to_iceberg, to_schema, with_precision
from athena_local.iceberg.table import CommitConflictError, IcebergTable, Record
from athena_local.iceberg.write import CODEC_PROPERTY, codec, write_data
from athena_local.sql.statements import (
    AddColumns,
    ChangeColumn,
    DropColumn,
    RenameTable,
    SetProperties,
    UnsetProperties,
)
from athena_local.types import Column, from_iceberg

if TYPE_CHECKING:
    from pyiceberg.schema import Schema
    from pyiceberg.table import Transaction
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.update import TableUpdate

    from athena_local.engine.session import Session
    from athena_local.sql.statements import AlterTable, CreateTable, CreateTableAs

ALTER_ATTEMPTS = 5
# https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-creating-tables.html, the keys a table may be given
_TABLE_PROPERTIES = {
    "table_type",
    "format",
    "write_compression",
    "compression_level",
    "optimize_rewrite_data_file_threshold",
    "optimize_rewrite_delete_file_threshold",
    "optimize_rewrite_min_data_file_size_bytes",
    "optimize_rewrite_max_data_file_size_bytes",
    "write_target_data_file_size_bytes",
    "vacuum_min_snapshots_to_keep",
    "vacuum_max_snapshot_age_seconds",
    "vacuum_max_metadata_files_to_keep",
}
_CTAS_PROPERTIES = _TABLE_PROPERTIES | {"location", "partitioning", "is_external"}


def create_table(session: Session, statement: CreateTable) -> StatementResult:
    context = session.context
    database, name = statement.table.database or context.database, statement.table.name
    if _exists(session, database, name, statement.if_not_exists):
        return StatementResult(lines=[])
    if not statement.location:
        raise QueryError("INVALID_TABLE_PROPERTY", "Table location can not be null for an Iceberg table")
    if statement.external:
        raise QueryError("NOT_SUPPORTED", "External keyword not supported for table type ICEBERG")
    columns = [
        Column(column.name, with_precision(column.type), column.comment) for column in statement.columns
    ]
    properties = _properties(statement.properties, _TABLE_PROPERTIES)
    metadata = _metadata(columns, list(statement.partition_transforms), statement.location, properties)
    staged = tables.staged(context, database, name, metadata, statement.comment or "")
    with tables.clean_on_failure(context, staged):
        tables.create(context, staged)
    return StatementResult(lines=[])


def create_table_as(session: Session, statement: CreateTableAs) -> StatementResult:
    context, given = session.context, statement.properties
    database, name = statement.table.database or context.database, statement.table.name
    if _exists(session, database, name, statement.if_not_exists):
        return StatementResult(update_count=0)
    location = given.get("location")
    if not isinstance(location, str) or not location:
        raise QueryError(
            "INVALID_TABLE_PROPERTY", "Table location must be specified in CTAS for table type ICEBERG"
        )
    if str(given.get("is_external", "false")).lower() == "true":
        raise QueryError("INVALID_TABLE_PROPERTY", "External table is not supported for table type ICEBERG")
    partitioning = given.get("partitioning", [])
    if not isinstance(partitioning, list):
        raise QueryError("INVALID_TABLE_PROPERTY", "Property 'partitioning' must be an array of strings")
    translated = session.translate(statement.query)
    metadata = _metadata(translated.columns, partitioning, location, _properties(given, _CTAS_PROPERTIES))
    _check_database(session, database)
    if next(iter(context.objects.list(metadata.location + "/")), None) is not None:
        raise QueryError(
            "ICEBERG_FILESYSTEM_ERROR", f"Cannot create a table on a non-empty location: {metadata.location}"
        )
    staged = tables.staged(context, database, name, metadata)
    names = [field.name for field in staged.schema.fields]
    with tables.clean_on_failure(context, staged):
        changes = Changes()
        if statement.with_data:
            changes.added = write_data(
                session, staged, assigned(translated.sql, translated.columns, names, staged)
            )
        tables.create(context, staged, snapshot_updates(staged, changes) if changes else ())
    return StatementResult(
        update_count=sum(item.record_count for item in changes.added),
        manifest=[item.file_path for item in changes.added],
    )


def _exists(session: Session, database: str, name: str, tolerated: bool) -> bool:
    try:
        session.context.catalog.get_table(database, name)
    except EntityNotFoundError:
        return False
    if not tolerated:
        raise QueryError("TABLE_ALREADY_EXISTS", f"Table '{database}.{name}' already exists")
    return True


def _check_database(session: Session, database: str) -> None:
    try:
        session.context.catalog.get_database(database)
    except EntityNotFoundError as error:
        raise QueryError("SCHEMA_NOT_FOUND", f"Schema {database} not found") from error


def _metadata(
    columns: list[Column], partitioning: list[str], location: str, properties: dict[str, str]
) -> TableMetadata:
    names = [column.name.lower() for column in columns]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise QueryError("DUPLICATE_COLUMN_NAME", f"Column name '{twice}' specified more than once")
    if any(not name for name in names):
        raise QueryError("MISSING_COLUMN_NAME", "Column name not specified")
    schema = to_schema([Column(column.name.lower(), column.type, column.comment) for column in columns])
    codec(properties)  # refuses what cannot be written, before a byte is
    return new_table_metadata(
        schema=schema,
        partition_spec=parse_spec(partitioning, schema),
        sort_order=UNSORTED_SORT_ORDER,
        location=location.rstrip("/"),
        properties={"format-version": "2", **properties},
    )


def _properties(given: Mapping[str, Any], known: set[str]) -> dict[str, str]:
    """Return Iceberg's properties for Athena's; an unknown key is refused, as Athena refuses it."""
    properties = {"write.format.default": "parquet", CODEC_PROPERTY: "zstd"}
    for key, value in given.items():
        if key.lower() not in known:
            raise QueryError("INVALID_TABLE_PROPERTY", f"Unsupported table property key: {key}")
        _set(properties, key.lower(), str(value))
    return properties


def _set(properties: dict[str, str], key: str, value: str) -> None:
    if key == "format":
        if value.lower() != "parquet":
            raise QueryError("NOT_SUPPORTED", f"Iceberg tables in format {value.upper()} are not supported")
    elif key == "write_compression":
        properties[CODEC_PROPERTY] = value.lower()
    elif key == "compression_level":
        properties["write.parquet.compression-level"] = value
    elif key == "write_target_data_file_size_bytes":
        properties["write.target-file-size-bytes"] = value
    elif key not in {"table_type", "location", "partitioning", "is_external"}:
        properties[key] = value


def drop_table(session: Session, table: Record) -> StatementResult:
    """Drop the table, then its objects, in that order: a drop that is cut short leaves orphans and not a broken table."""
    context = session.context
    location = table["StorageDescriptor"][
        "Location"
    ]  # and not the metadata's: a table without metadata can be dropped too
    context.catalog.delete_table(table["DatabaseName"], table["Name"])
    context.objects.delete_prefix(location.rstrip("/") + "/")
    return StatementResult(lines=[])


def alter_table(session: Session, statement: AlterTable, table: Record) -> StatementResult:
    context, action = session.context, statement.action
    if isinstance(action, RenameTable):
        try:
            context.catalog.rename_table(
                table["DatabaseName"], table["Name"], action.to.name, action.to.database
            )
        except AlreadyExistsError as error:
            raise QueryError("TABLE_ALREADY_EXISTS", f"Target table '{action.to}' already exists") from error
        return StatementResult(lines=[])
    loaded = tables.load(context, table)
    for attempt in range(ALTER_ATTEMPTS):
        try:
            updates = _updates(loaded, action)
            if updates:
                tables.commit(context, loaded, updates)
            break
        except CommitConflictError:
            if attempt == ALTER_ATTEMPTS - 1:
                raise
            loaded = tables.reload(context, loaded)
    return StatementResult(lines=[])


def _updates(table: IcebergTable, action: Any) -> tuple[TableUpdate, ...]:
    if isinstance(action, SetProperties):
        for key in action.properties:
            if key.lower() not in _TABLE_PROPERTIES:
                raise QueryError("INVALID_TABLE_PROPERTY", f"Unsupported table property key: {key}")
        changed: dict[str, str] = {}
        for key, value in action.properties.items():
            _set(changed, key.lower(), value)
        codec({**table.metadata.properties, **changed})
        return (SetPropertiesUpdate(updates=changed),) if changed else ()
    if isinstance(action, UnsetProperties):
        present = [key for key in action.keys if key in table.metadata.properties]
        return (RemovePropertiesUpdate(removals=present),) if present else ()
    transaction = table.pyiceberg().transaction()
    try:
        if isinstance(action, AddColumns):
            _add_columns(transaction, table.schema, action)
        elif isinstance(action, DropColumn):
            _drop_column(transaction, table, action)
        elif isinstance(action, ChangeColumn):
            _change_column(transaction, table.schema, action)
        else:
            raise QueryError(
                "NOT_SUPPORTED", f"{action.substatement} is not supported for table type ICEBERG"
            )
    except (ValidationError, ValueError) as error:
        raise QueryError("NOT_SUPPORTED", str(error)) from error
    return transaction._updates


def _existing(schema: Schema, name: str) -> str:
    for field in schema.fields:
        if field.name.lower() == name.lower():
            return field.name
    raise QueryError("COLUMN_NOT_FOUND", f"Column '{name}' does not exist")


def _add_columns(transaction: Transaction, schema: Schema, action: AddColumns) -> None:
    present = {field.name.lower() for field in schema.fields}
    with transaction.update_schema() as update:
        for column in action.columns:
            if column.name.lower() in present:
                raise QueryError("COLUMN_ALREADY_EXISTS", f"Column '{column.name}' already exists")
            present.add(column.name.lower())
            kind = to_iceberg(with_precision(column.type), _unnumbered())
            update.add_column(column.name.lower(), kind, doc=column.comment or None)


def _unnumbered() -> Any:
    """PyIceberg numbers nested fields itself when they are added; until then any distinct numbers do."""
    import itertools

    ids = itertools.count(1)
    return lambda: next(ids)


def _drop_column(transaction: Transaction, table: IcebergTable, action: DropColumn) -> None:
    name = _existing(table.schema, action.name)
    field = table.schema.find_field(name)
    if any(part.source_id == field.field_id for part in table.metadata.spec().fields):
        raise QueryError("NOT_SUPPORTED", f"Cannot drop partition field: {name}")
    if len(table.schema.fields) == 1:
        raise QueryError("NOT_SUPPORTED", "Cannot drop the only column in a table")
    with transaction.update_schema() as update:
        update.delete_column(name)


def _change_column(transaction: Transaction, schema: Schema, action: ChangeColumn) -> None:
    name = _existing(schema, action.name)
    field, column = schema.find_field(name), action.column
    kind = to_iceberg(with_precision(column.type), _unnumbered())
    if not field.field_type.is_primitive and from_iceberg(kind) != from_iceberg(field.field_type):
        raise QueryError("NOT_SUPPORTED", f"Cannot change the type of nested column {name}")
    with transaction.update_schema() as update:
        if field.field_type.is_primitive and kind != field.field_type:
            update.update_column(name, field_type=kind)
        if column.comment and column.comment != field.doc:
            update.update_column(name, doc=column.comment)
        if column.name.lower() != name:
            update.rename_column(name, column.name.lower())
        if action.first:
            update.move_first(name)
        if action.after:
            update.move_after(name, _existing(schema, action.after))
