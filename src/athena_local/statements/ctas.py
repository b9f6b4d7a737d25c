"""CREATE TABLE AS for Hive tables: the files first, then the table and its partitions, all or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from athena_local.catalog import EntityNotFoundError
from athena_local.config import CATALOG_NAME
from athena_local.context import StatementResult
from athena_local.engine import formats
from athena_local.errors import QueryError
from athena_local.journal import CREATED_BY, journal_of
from athena_local.sql import statements as s
from athena_local.statements import files, properties
from athena_local.statements.definitions import check_names, register, require_database, table_input
from athena_local.statements.files import Target
from athena_local.statements.partitions import partition_input
from athena_local.types import Column

if TYPE_CHECKING:
    from athena_local.engine.session import Session

Record = dict[str, Any]


def create_table_as(session: Session, statement: s.CreateTableAs) -> StatementResult:
    context = session.context
    database = require_database(session, statement.table)
    if _exists(session, database, statement):
        return StatementResult(update_count=0)
    given = statement.properties
    properties.check(given, properties.CTAS)
    with session.schema_only(not statement.with_data):
        translated = session.translate(statement.query, stored=True)
    columns = storable(translated.columns)
    data, keys = properties.split(columns, properties.names(given, "partitioned_by"))
    bucket_columns, buckets = properties.buckets(given, data)
    codec = next(
        (
            found
            for name in ("write_compression", "parquet_compression")
            if (found := properties.text(given, name))
        ),
        None,
    )
    writer = properties.writer(given, codec)
    location = properties.text(given, "external_location")
    if location is None:
        location = f"{context.output_location.rstrip('/')}/tables/{context.query_id}/"
    target = Target(location.rstrip("/") + "/", writer, data, keys, bucket_columns, buckets)
    body = _table(session, statement, target)
    refuse_filled(session, f"{database}.{statement.table.name}", target.location)
    sql = translated.sql if statement.with_data else f"SELECT * FROM ({translated.sql}) LIMIT 0"
    with journal_of(context.config).writing(context.query_id, context.catalog, context.objects) as entry:
        written = files.write(session, sql, target, entry)
        entry.table(database, statement.table.name)
        register(session, database, body, False, statement.table)
        if written.partitions:
            inputs = [
                partition_input(body, list(values), folder) for values, folder in written.partitions.items()
            ]
            context.catalog.create_partitions(database, statement.table.name, inputs)
    return StatementResult(update_count=written.rows, manifest=written.files)


def storable(columns: list[Column]) -> list[Column]:
    """Return a query's columns as a new table's; refused without a name, with one twice, of a type Hive has not."""
    found = [Column(column.name.lower(), column.type) for column in columns]
    check_names(found)
    for index, column in enumerate(found, start=1):
        if column.type.base == "unknown":
            text = f"Column type is unknown at position {index}"
            raise QueryError("COLUMN_TYPE_UNKNOWN", text, position=(1, 1))
    return found


def refuse_filled(session: Session, name: str, location: str) -> None:
    """Refuse to write where something is: nobody's data is ever mixed with a new table's."""
    if next(iter(session.context.objects.list(location)), None) is None:
        return
    text = f"Target directory for table '{name}' already exists: {location}"
    raise QueryError("HIVE_PATH_ALREADY_EXISTS", text)


def _exists(session: Session, database: str, statement: s.CreateTableAs) -> bool:
    try:
        session.context.catalog.get_table(database, statement.table.name)
    except EntityNotFoundError:
        return False
    if statement.if_not_exists:
        return True
    text = f"Destination table '{CATALOG_NAME.lower()}.{database}.{statement.table.name}' already exists"
    raise QueryError("TABLE_ALREADY_EXISTS", text, position=statement.table.position)


def _table(session: Session, statement: s.CreateTableAs, target: Target) -> Record:
    given, writer = statement.properties, target.writer
    delimiter = properties.text(given, "field_delimiter")
    body = table_input(
        statement.table.name,
        target.columns,
        target.keys,
        target.location,
        formats.stored_as(properties.text(given, "format") or "PARQUET"),
        serde_properties={"field.delim": delimiter, "serialization.format": delimiter}
        if delimiter
        else {"serialization.format": "1"},
        parameters={"EXTERNAL": "TRUE", "has_encrypted_data": "false", CREATED_BY: session.context.query_id}
        | ({"comment": statement.comment} if statement.comment else {})
        | ({"parquet.compression": writer.codec.upper()} if writer.form.kind == "parquet" else {}),
    )
    if target.buckets:
        body["StorageDescriptor"]["BucketColumns"] = list(target.bucket_columns)
        body["StorageDescriptor"]["NumberOfBuckets"] = target.buckets
    return body
