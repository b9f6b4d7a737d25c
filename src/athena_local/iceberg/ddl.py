"""CREATE TABLE, CREATE TABLE AS, ALTER TABLE and DROP TABLE for Iceberg tables.

A CTAS writes its data first and enters the table in the catalog last, complete: one that fails leaves neither table nor
files. A schema change commits like any other, and is tried again when somebody else committed in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyiceberg.exceptions import ValidationError
from pyiceberg.table.metadata import new_table_metadata
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.table.update import RemovePropertiesUpdate, SetPropertiesUpdate
from pyiceberg.types import ListType, MapType, StructType

from athena_local.catalog import AlreadyExistsError, EntityNotFoundError
from athena_local.config import CATALOG_NAME
from athena_local.context import StatementResult
from athena_local.errors import QueryError
from athena_local.iceberg import properties
from athena_local.iceberg import table as tables
from athena_local.iceberg.changes import counted
from athena_local.iceberg.commit import Changes, snapshot_updates
from athena_local.iceberg.dml import assigned
from athena_local.iceberg.partitions import parse_spec
from athena_local.iceberg.schema import to_iceberg, to_schema, with_precision
from athena_local.iceberg.table import CommitConflictError, IcebergTable, Record
from athena_local.iceberg.write import write_data
from athena_local.journal import journal_of
from athena_local.sql.statements import (
    AddColumns,
    ChangeColumn,
    DropColumn,
    RenameTable,
    SetProperties,
    UnsetProperties,
)
from athena_local.types import AthenaType, Column, from_iceberg

if TYPE_CHECKING:
    from pyiceberg.schema import Schema
    from pyiceberg.table import Transaction
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.update import TableUpdate
    from pyiceberg.table.update.schema import UpdateSchema
    from pyiceberg.types import IcebergType

    from athena_local.engine.session import Session
    from athena_local.sql.statements import AlterTable, CreateTable, CreateTableAs, TableName

ALTER_ATTEMPTS = 5
_NOT_IN_DDL = {"time", "uuid"}  # CTAS makes such columns, CREATE TABLE and ALTER TABLE have no names for them


def create_table(session: Session, statement: CreateTable) -> StatementResult:
    context = session.context
    database, name = statement.table.database or context.database, statement.table.name
    _check_clauses(statement)
    kept = properties.of_create(statement.properties)
    if not statement.location:
        raise QueryError(
            "SYNTAX_ERROR", "No location was specified for table. An S3 location must be specified"
        )
    _check_database(session, statement.table, database)
    if _exists(session, database, name):
        if statement.if_not_exists:
            return StatementResult(lines=[])
        raise QueryError("TABLE_ALREADY_EXISTS", f"Table '{database}.{name}' already exists")
    columns = [_declared(column) for column in statement.columns]
    metadata = _metadata(columns, list(statement.partition_transforms), statement.location, kept)
    staged = tables.staged(context, database, name, metadata, statement.comment or "")
    with tables.clean_on_failure(context, staged):
        tables.create(context, staged)
    return StatementResult(lines=[])


def _check_clauses(statement: CreateTable) -> None:
    """Refuse what only Hive tables have, in Athena's order and words."""
    if statement.external:
        raise properties.unsupported("External keyword not supported for table type ICEBERG")
    for given, clause in (
        (statement.bucket_columns, "CLUSTERED BY"),
        (statement.row_format, "ROW FORMAT"),
        (statement.stored_as or statement.input_format, "STORED AS/BY"),
    ):
        if given:
            raise properties.unsupported(f"Iceberg create table statement does not allow {clause}")
    if statement.partition_columns:
        text = "Invalid PARTITIONED BY clause in Iceberg create table statement"
        raise QueryError("", text, error_type=1006)


def _declared(column: Column) -> Column:
    """Return a column of a DDL statement, its timestamps at Iceberg's precision."""
    _check_declared(column.type)
    return Column(column.name.lower(), with_precision(column.type), column.comment)


def _check_declared(kind: AthenaType) -> None:
    if kind.base in _NOT_IN_DDL:
        raise QueryError("NOT_SUPPORTED", f"Type not supported for Iceberg: {kind.trino()}")
    for _, inner in kind.fields:
        _check_declared(inner)


def create_table_as(session: Session, statement: CreateTableAs) -> StatementResult:
    context, given = session.context, statement.properties
    database, name = statement.table.database or context.database, statement.table.name
    if _exists(session, database, name):
        if statement.if_not_exists:
            return counted(0)
        text = f"Destination table '{CATALOG_NAME.lower()}.{database}.{name}' already exists"
        raise QueryError("TABLE_ALREADY_EXISTS", text, position=(1, 1))
    kept = properties.of_ctas(given)
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
    translated = session.translate(statement.query, stored=True)
    _check_ctas_database(session, database)
    _check_names(translated.columns)
    metadata = _metadata(translated.columns, partitioning, location, kept)
    if next(iter(context.objects.list(metadata.location + "/")), None) is not None:
        raise QueryError(
            "ICEBERG_FILESYSTEM_ERROR", f"Cannot create a table on a non-empty location: {metadata.location}"
        )
    staged = tables.staged(context, database, name, metadata, statement.comment or "")
    names = [field.name for field in staged.schema.fields]
    journal = journal_of(context.config)
    with journal.writing(context.query_id, context.catalog, context.objects) as entry:
        entry.prefix(metadata.location)
        changes = Changes()
        if statement.with_data:
            changes.added = write_data(
                session, staged, assigned(translated.sql, translated.columns, names, staged)
            )
        tables.create(context, staged, snapshot_updates(staged, changes) if changes else ())
    return counted(sum(item.record_count for item in changes.added))


def _check_names(columns: list[Column]) -> None:
    for number, column in enumerate(columns):
        if not column.name or column.name == f"_col{number}":
            text = f"Column name not specified at position {number + 1}"
            raise QueryError("MISSING_COLUMN_NAME", text, position=(1, 1))
        if column.type.base == "unknown":
            text = f"Column type is unknown at position {number + 1}"
            raise QueryError("COLUMN_TYPE_UNKNOWN", text, position=(1, 1))


def _exists(session: Session, database: str, name: str) -> bool:
    try:
        session.context.catalog.get_table(database, name)
    except EntityNotFoundError:
        return False
    return True


def _check_database(session: Session, table: TableName, database: str) -> None:
    try:
        session.context.catalog.get_database(database)
    except EntityNotFoundError as error:
        text = f"Schema '{database}' does not exist"
        raise QueryError("SCHEMA_NOT_FOUND", text, position=table.position) from error


def _check_ctas_database(session: Session, database: str) -> None:
    try:
        session.context.catalog.get_database(database)
    except EntityNotFoundError as error:
        text = f"Database {database} not found. Please check your query"
        raise QueryError("", text, error_type=1301) from error


def _metadata(
    columns: list[Column], partitioning: list[str], location: str, kept: dict[str, str]
) -> TableMetadata:
    names = [column.name.lower() for column in columns]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise QueryError("DUPLICATE_COLUMN_NAME", f"Column name '{twice}' specified more than once")
    schema = to_schema([Column(column.name.lower(), column.type, column.comment) for column in columns])
    return new_table_metadata(
        schema=schema,
        partition_spec=parse_spec(partitioning, schema),
        sort_order=UNSORTED_SORT_ORDER,
        location=location.rstrip("/"),
        properties={"format-version": "2", **kept},
    )


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
        except EntityNotFoundError as error:
            text = f"Schema '{action.to.database}' does not exist"
            raise QueryError("SCHEMA_NOT_FOUND", text, position=action.to.position) from error
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
        changed = properties.of_set(table, action.properties)
        return (SetPropertiesUpdate(updates=changed),) if changed else ()
    if isinstance(action, UnsetProperties):
        present = properties.of_unset(table, action.keys)
        return (RemovePropertiesUpdate(removals=present),) if present else ()
    if not isinstance(action, (AddColumns, DropColumn, ChangeColumn)):
        raise properties.unsupported()
    transaction = table.pyiceberg().transaction()
    try:
        if isinstance(action, AddColumns):
            _add_columns(transaction, table.schema, action)
        elif isinstance(action, DropColumn):
            _drop_column(transaction, table, action)
        else:
            _change_column(transaction, table.schema, action)
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
            declared = _declared(column)
            if declared.name in present:
                raise QueryError("COLUMN_ALREADY_EXISTS", f"Column '{column.name}' already exists")
            present.add(declared.name)
            kind = to_iceberg(declared.type, _unnumbered())
            update.add_column(declared.name, kind, doc=declared.comment or None)


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
    field, column = schema.find_field(name), _declared(action.column)
    kind = to_iceberg(column.type, _unnumbered())
    with transaction.update_schema() as update:
        _change_type(update, (name,), field.field_type, kind)
        if column.comment and column.comment != field.doc:
            update.update_column(name, doc=column.comment)
        if column.name != name:
            update.rename_column(name, column.name)
        if action.first:
            update.move_first(name)
        if action.after:
            update.move_after(name, _existing(schema, action.after))


def _change_type(update: UpdateSchema, path: tuple[str, ...], old: IcebergType, new: IcebergType) -> None:
    """Widen primitives wherever they stand; a struct gains and loses fields by name."""
    if isinstance(old, StructType) and isinstance(new, StructType):
        present = {field.name: field.field_type for field in old.fields}
        wanted = {field.name for field in new.fields}
        for field in new.fields:
            if field.name in present:
                _change_type(update, (*path, field.name), present[field.name], field.field_type)
            else:
                update.add_column((*path, field.name), field.field_type)
        for name in present:
            if name not in wanted:
                update.delete_column((*path, name))
    elif isinstance(old, ListType) and isinstance(new, ListType):
        _change_type(update, (*path, "element"), old.element_type, new.element_type)
    elif isinstance(old, MapType) and isinstance(new, MapType):
        if from_iceberg(old.key_type) != from_iceberg(new.key_type):
            raise QueryError("NOT_SUPPORTED", f"Cannot change the key type of map {'.'.join(path)}")
        _change_type(update, (*path, "value"), old.value_type, new.value_type)
    elif old.is_primitive and new.is_primitive:
        if old != new:
            update.update_column(path, field_type=new)
    else:
        shown = f"{from_iceberg(old).hive()} -> {from_iceberg(new).hive()}"
        raise QueryError("NOT_SUPPORTED", f"Cannot change column type: {'.'.join(path)}: {shown}")
