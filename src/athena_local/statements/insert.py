"""INSERT INTO a Hive table: new files beside the old ones, new partitions with them, seen together or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from athena_local.context import StatementResult
from athena_local.engine import formats, hive, writers
from athena_local.engine.writers import Writer
from athena_local.errors import QueryError
from athena_local.journal import journal_of
from athena_local.sql import statements as s
from athena_local.sql.casts import stored
from athena_local.sql.coercion import assignable
from athena_local.statements import files
from athena_local.statements.files import Target
from athena_local.statements.partitions import partition_input
from athena_local.types import Column, quote

if TYPE_CHECKING:
    from athena_local.engine.session import Session, Translated

Record = dict[str, Any]


def insert(session: Session, statement: s.Insert, record: Record) -> StatementResult:
    context, database, name = session.context, record["DatabaseName"], record["Name"]
    if hive.bucket_count(record) is not None:
        text = f"Cannot insert into bucketed table {database}.{name}: INSERT INTO is not supported on bucketed tables"
        raise QueryError("NOT_SUPPORTED", text, position=statement.table.position)
    form = formats.format_of(record)
    data, keys = hive.data_columns(record), hive.partition_columns(record)
    _check_writable(record, form, data)
    sql = matched(statement, session.translate(statement.query), [*data, *keys])
    location = str((record.get("StorageDescriptor") or {}).get("Location") or "")
    target = Target(location.rstrip("/") + "/", _writer(record, form), data, keys, record=record)
    with journal_of(context.config).writing(context.query_id, context.catalog, context.objects) as entry:
        written = files.write(session, sql, target, entry)
        if written.partitions:
            entry.partitions(
                database, name, [(list(values), folder) for values, folder in written.partitions.items()]
            )
            inputs = [
                partition_input(record, list(values), folder) for values, folder in written.partitions.items()
            ]
            context.catalog.create_partitions(database, name, inputs, ignore_existing=True)
    return StatementResult(update_count=written.rows, manifest=written.files)


def _check_writable(record: Record, form: formats.Format, data: list[Column]) -> None:
    for name, lines in (("header", form.skip_lines), ("footer", form.skip_last_lines)):
        if lines:
            text = f"Inserting into Hive table with skip.{name}.line.count property not supported"
            raise QueryError("NOT_SUPPORTED", text)
    if form.kind not in writers.WRITABLE:
        serde = record["StorageDescriptor"]["SerdeInfo"].get("SerializationLibrary")
        raise QueryError("NOT_SUPPORTED", f"Inserting into a table with {serde} is not supported")
    others = [column for column in data if column.type.base != "varchar"]
    if form.kind == "opencsv" and others:
        shown = ", ".join(f"{column.name} {column.type}" for column in others)
        text = f"Hive CSV storage format only supports VARCHAR (unbounded). Unsupported columns: {shown}"
        raise QueryError("NOT_SUPPORTED", text)


def _writer(record: Record, form: formats.Format) -> Writer:
    """Return the table's own way of writing; without a word on compression Parquet is snappy and text plain."""
    parameters = {str(key).lower(): str(value) for key, value in (record.get("Parameters") or {}).items()}
    if form.kind == "parquet":
        name = parameters.get("parquet.compression") or parameters.get("write.compression") or "snappy"
        return Writer(form, writers.PARQUET_CODECS.get(name.lower(), "snappy"))
    name = parameters.get("write.compression") or "none"
    return Writer(form, writers.codec(form.kind, name))


def matched(statement: s.Insert, translated: Translated, columns: list[Column]) -> str:
    """Return the query with the table's columns in its order and types; TYPE_MISMATCH where they do not fit."""
    position = statement.table.position
    names = [column.name for column in columns]
    listed = list(statement.columns) or names
    for name in listed:
        if name not in names:
            text = f"Insert column name does not exist in target table: {name}"
            raise QueryError("COLUMN_NOT_FOUND", text, position=position)
        if listed.count(name) > 1:
            text = f"Insert column name is specified more than once: {name}"
            raise QueryError("DUPLICATE_COLUMN_NAME", text, position=position)
    by_name = {column.name: column for column in columns}
    wanted = [by_name[name] for name in listed]
    given = translated.columns
    if len(given) != len(wanted) or any(
        not assignable(source.type, column.type) for source, column in zip(given, wanted, strict=False)
    ):
        table_types = ", ".join(str(column.type) for column in wanted)
        query_types = ", ".join(str(column.type) for column in given)
        text = f"Insert query has mismatched column types: Table: [{table_types}], Query: [{query_types}]"
        raise QueryError("TYPE_MISMATCH", text, position=position)
    aliases = [f"c{index}" for index in range(len(given))]
    selected = []
    for column in columns:
        if column.name in listed:
            index = listed.index(column.name)
            value = stored(aliases[index], given[index].type, column.type)
        else:
            value = f"CAST(NULL AS {column.type.duckdb()})"
        selected.append(f"{value} AS {quote(column.name)}")
    return f"SELECT {', '.join(selected)} FROM ({translated.sql}) AS q({', '.join(aliases)})"
