"""CREATE and DROP of databases, external tables and views: what they put into the catalog and take from it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from athena_local import iceberg
from athena_local.catalog import AlreadyExistsError, EntityNotFoundError
from athena_local.config import CATALOG_NAME
from athena_local.context import StatementResult
from athena_local.engine import formats
from athena_local.errors import QueryError
from athena_local.objects import StorageError, split_path
from athena_local.sql import statements as s
from athena_local.sql import views
from athena_local.statements.hive_errors import (
    ALREADY_EXISTS,
    database_not_found,
    execution_error,
    find_for_ddl,
    semantic_error,
)
from athena_local.types import AthenaType, Column

if TYPE_CHECKING:
    from athena_local.engine.session import Session

Record = dict[str, Any]
_NOT_IN_HIVE = {"timestamp with time zone", "time", "json", "uuid"}


def done() -> StatementResult:
    return StatementResult(lines=[])


def database_of(session: Session, name: s.TableName) -> str:
    return name.database or session.context.database


def require_database(session: Session, name: s.TableName) -> str:
    database = database_of(session, name)
    try:
        session.context.catalog.get_database(database)
    except EntityNotFoundError:
        text = f"Schema '{database}' does not exist"
        raise QueryError("SCHEMA_NOT_FOUND", text, position=name.position) from None
    return database


# databases


def create_database(session: Session, statement: s.CreateDatabase) -> StatementResult:
    body: Record = {"Name": statement.name, "Parameters": dict(statement.properties)}
    if statement.comment:
        body["Description"] = statement.comment
    if statement.location:
        split_path(statement.location)
        body["LocationUri"] = statement.location
    try:
        session.context.catalog.create_database(body)
    except AlreadyExistsError:
        if not statement.if_not_exists:
            text = f"Database {statement.name} already exists"
            raise execution_error(text, error_type=ALREADY_EXISTS) from None
    return done()


def alter_database(session: Session, statement: s.AlterDatabase) -> StatementResult:
    """ALTER DATABASE … SET DBPROPERTIES: the given properties are added to those there are."""
    catalog = session.context.catalog
    try:
        current = catalog.get_database(statement.name)
    except EntityNotFoundError:
        raise database_not_found(statement.name) from None
    body = {key: value for key, value in current.items() if key not in {"CreateTime", "CatalogId"}}
    body["Parameters"] = {**(body.get("Parameters") or {}), **statement.properties}
    catalog.update_database(statement.name, body)
    return done()


def drop_database(session: Session, statement: s.DropDatabase) -> StatementResult:
    catalog = session.context.catalog
    try:
        catalog.get_database(statement.name)
    except EntityNotFoundError:
        if statement.if_exists:
            return done()
        raise database_not_found(statement.name) from None
    tables = catalog.get_tables(statement.name)
    if tables and not statement.cascade:
        text = f"Database {statement.name} is not empty. One or more tables exist."
        raise execution_error(f"InvalidOperationException(message:{text})")
    for table in tables:
        if iceberg.is_iceberg(table):
            iceberg.drop_table(session, table)
    catalog.delete_database(statement.name)
    return done()


# tables


def create_table(session: Session, statement: s.CreateTable) -> StatementResult:
    database = _database_for(session, statement.table)
    names = [column.name for column in statement.columns]
    keys = [column.name for column in statement.partition_columns]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise semantic_error(f"Duplicate column name: {repeated}", 10036)
    if len(set(keys)) < len(keys) or set(names) & set(keys):
        raise semantic_error("Column repeated in partitioning columns", 10035)
    location = hive_location(session, str(statement.location))
    body = _table_input(statement, location)
    try:
        session.context.catalog.create_table(database, body)
    except AlreadyExistsError:
        if not statement.if_not_exists:
            text = f"AlreadyExistsException(message:Table {statement.table.name} already exists.)"
            raise execution_error(text, error_type=ALREADY_EXISTS) from None
    return done()


def _database_for(session: Session, name: s.TableName) -> str:
    database = database_of(session, name)
    try:
        session.context.catalog.get_database(database)
    except EntityNotFoundError:
        raise database_not_found(database) from None
    return database


def hive_location(session: Session, location: str) -> str:
    """Return a LOCATION as Hive keeps it, without a slash at its end. A bucket's root keeps it; a file is refused."""
    bucket, key = split_path(location)
    if not key.strip("/"):
        return f"s3://{bucket}/"
    if not location.endswith("/"):
        try:
            session.context.objects.stat(location)
        except StorageError as error:
            if not error.missing:
                raise
        else:
            text = f"Can't make directory for path '{location}' since it is a file."
            raise execution_error(f"MetaException(message:Got exception: java.io.IOException {text})")
    return location.rstrip("/")


def _table_input(statement: s.CreateTable, location: str) -> Record:
    serde, input_format, output_format = formats.stored_as(statement.stored_as or "TEXTFILE")
    properties: dict[str, str] = {}
    if statement.row_format is not None:
        serde = statement.row_format.serde or serde
        properties = dict(statement.row_format.properties)
        if statement.stored_as is None:
            input_format, output_format = formats.files_of(serde)
    formats.check_known(serde)
    properties.setdefault("serialization.format", properties.get("field.delim", "1"))
    stamp = str(int(time.time()))
    parameters = {"EXTERNAL": "TRUE", **statement.properties, "transient_lastDdlTime": stamp}
    if statement.comment:
        parameters["comment"] = statement.comment
    record = table_input(
        statement.table.name,
        list(statement.columns),
        list(statement.partition_columns),
        location,
        (serde, statement.input_format or input_format, statement.output_format or output_format),
        serde_properties=properties,
        parameters=parameters,
    )
    if statement.bucket_columns:
        _check_buckets(statement)
        record["StorageDescriptor"]["BucketColumns"] = list(statement.bucket_columns)
        record["StorageDescriptor"]["NumberOfBuckets"] = statement.bucket_count or -1
    if statement.comment:
        record["Description"] = statement.comment
    return record


def _check_buckets(statement: s.CreateTable) -> None:
    names = {column.name for column in statement.columns}
    missing = next((name for name in statement.bucket_columns if name not in names), None)
    if missing is not None:
        raise semantic_error(f"Invalid column reference {missing}", 10002)


def table_input(
    name: str,
    columns: list[Column],
    keys: list[Column],
    location: str,
    storage: tuple[str, str, str],
    *,
    serde_properties: dict[str, str],
    parameters: dict[str, str],
) -> Record:
    """Return a Glue TableInput of an external Hive table. NOT_SUPPORTED for types that Hive has not."""
    serde, input_format, output_format = storage
    return {
        "Name": name,
        "Owner": "hadoop",
        "TableType": "EXTERNAL_TABLE",
        "Parameters": parameters,
        "PartitionKeys": glue_columns(keys),
        "Retention": 0,
        "StorageDescriptor": {
            "Columns": glue_columns(columns),
            "Location": location,
            "InputFormat": input_format,
            "OutputFormat": output_format,
            "Compressed": False,
            "NumberOfBuckets": -1,
            "SerdeInfo": {"SerializationLibrary": serde, "Parameters": serde_properties},
            "BucketColumns": [],
            "SortColumns": [],
            "Parameters": {},
            "StoredAsSubDirectories": False,
        },
    }


def glue_columns(columns: list[Column]) -> list[Record]:
    found = []
    for column in columns:
        check_hive_type(column.type)
        record = {"Name": column.name, "Type": column.type.hive()}
        if column.comment:
            record["Comment"] = column.comment
        found.append(record)
    return found


def check_hive_type(kind: AthenaType) -> None:
    if kind.base in _NOT_IN_HIVE or kind.base.startswith("interval"):
        raise QueryError("NOT_SUPPORTED", f"Unsupported Hive type: {kind.trino()}")
    for _, field in kind.fields:
        check_hive_type(field)


def register(
    session: Session, database: str, body: Record, if_not_exists: bool, name: s.TableName | None = None
) -> bool:
    """Enter a table in the catalog; tell whether it is new."""
    try:
        session.context.catalog.create_table(database, body)
    except AlreadyExistsError:
        if if_not_exists:
            return False
        text = f"Table '{CATALOG_NAME.lower()}.{database}.{body['Name']}' already exists"
        raise QueryError("TABLE_ALREADY_EXISTS", text, position=name.position if name else None) from None
    return True


def find_to_drop(session: Session, name: s.TableName, if_exists: bool) -> Record | None:
    """Return the table to drop; None when IF EXISTS lets it be missing. A view is refused."""
    try:
        record = find_for_ddl(session, name)
    except QueryError:
        if if_exists:
            return None
        raise
    if views.is_view(record):
        text = f"Cannot drop a view with DROP TABLE: {record['DatabaseName']}.{record['Name']}"
        raise QueryError("INVALID_ARGUMENTS", text, position=name.position)
    return record


def drop_table(session: Session, record: Record) -> StatementResult:
    """Take a table out of the catalog; the data of an external table stays."""
    session.context.catalog.delete_table(record["DatabaseName"], record["Name"])
    return done()


def check_names(columns: list[Column]) -> None:
    """Refuse columns without a name of their own, and names given twice."""
    seen: set[str] = set()
    for index, column in enumerate(columns):
        if column.name == f"_col{index}":
            raise QueryError(
                "MISSING_COLUMN_NAME", f"Column name not specified at position {index + 1}", position=(1, 1)
            )
        if column.name in seen:
            text = f"Column name '{column.name}' specified more than once"
            raise QueryError("DUPLICATE_COLUMN_NAME", text, position=(1, 1))
        seen.add(column.name)
