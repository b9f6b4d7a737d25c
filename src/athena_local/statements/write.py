"""CREATE TABLE AS and INSERT on Hive tables: one pass over the query into the spool, parallel uploads, then the catalog.

The catalog is told last, so a statement that fails, or dies, shows nobody half a table; what it had uploaded is deleted.
Limits are Athena's: at most 100 partitions a statement, partition columns last.
"""

from __future__ import annotations

import contextlib
import datetime
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from athena_local.catalog import EntityNotFoundError
from athena_local.config import CATALOG_NAME, MAX_OPEN_PARTITIONS
from athena_local.context import StatementResult
from athena_local.engine import formats, hive
from athena_local.engine.hive import partition_name
from athena_local.engine.text import literal
from athena_local.errors import QueryError
from athena_local.sql import statements as s
from athena_local.sql.casts import stored
from athena_local.sql.coercion import assignable
from athena_local.statements.alter import partition_input, partition_location
from athena_local.statements.definitions import check_names, register, require_database, table_input
from athena_local.types import Column, quote

if TYPE_CHECKING:
    from athena_local.engine.session import Session, Translated

Record = dict[str, Any]
UPLOADS = 8  # at once; more only share the same link
_PROPERTIES = {
    "format", "partitioned_by", "bucketed_by", "bucket_count", "external_location", "write_compression",
    "parquet_compression", "orc_compression", "field_delimiter", "table_type", "is_external", "compression_level", "comment",
}  # fmt: skip
_CODECS = {
    "parquet": {
        "snappy": "snappy", "gzip": "gzip", "zstd": "zstd", "lz4": "lz4_raw", "none": "uncompressed",
        "uncompressed": "uncompressed",
    },
    "text": {"gzip": "gzip", "zstd": "zstd", "none": "none", "uncompressed": "none"},
}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """Where and how a statement's files are written."""

    name: str  # database.table, for messages
    location: str
    form: str  # parquet, lazy, json
    codec: str
    columns: list[Column]
    keys: list[Column]
    delimiter: str = formats.DEFAULT_DELIMITER


@dataclass(frozen=True)
class Written:
    """`partitions`: values of each partition written -> where its files went."""

    rows: int
    files: list[str]
    partitions: dict[tuple[str, ...], str]


# CREATE TABLE AS


def create_table_as(session: Session, statement: s.CreateTableAs) -> StatementResult:
    database = require_database(session, statement.table)
    if _exists(session, database, statement):
        return StatementResult(update_count=0)
    properties = statement.properties
    _check_properties(properties)
    translated = session.translate(statement.query)
    columns, keys = _split(translated, [str(key).lower() for key in _listed(properties, "partitioned_by")])
    target = _target(session, database, statement, columns, keys)
    _check_empty(session, target)
    serde, input_format, output_format = formats.stored_as(str(properties.get("format", "PARQUET")))
    serde_properties = {"serialization.format": "1"}
    if target.form == "lazy":
        serde_properties = {"field.delim": target.delimiter, "serialization.format": target.delimiter}
    body = table_input(
        statement.table.name,
        columns,
        keys,
        target.location,
        (serde, input_format, output_format),
        serde_properties=serde_properties,
        parameters={"EXTERNAL": "TRUE", "has_encrypted_data": "false"}
        | ({"comment": str(properties["comment"])} if "comment" in properties else {})
        | ({"parquet.compression": target.codec.upper()} if target.form == "parquet" else {}),
    )
    if "bucketed_by" in properties:
        body["StorageDescriptor"]["BucketColumns"] = [
            name.lower() for name in _listed(properties, "bucketed_by")
        ]
        body["StorageDescriptor"]["NumberOfBuckets"] = int(str(properties.get("bucket_count", -1)))
    sql = translated.sql if statement.with_data else f"SELECT * FROM ({translated.sql}) LIMIT 0"
    with _cleaned(session) as uploaded:
        written = _write(session, sql, translated.columns, target, uploaded)
        register(session, database, body, False, statement.table)
        _register_partitions(session, database, {**body, "DatabaseName": database}, written)
    return StatementResult(update_count=written.rows, manifest=written.files)


def _exists(session: Session, database: str, statement: s.CreateTableAs) -> bool:
    try:
        session.context.catalog.get_table(database, statement.table.name)
    except EntityNotFoundError:
        return False
    if statement.if_not_exists:
        return True
    text = f"Destination table '{CATALOG_NAME.lower()}.{database}.{statement.table.name}' already exists"
    raise QueryError("TABLE_ALREADY_EXISTS", text, position=statement.table.position)


def _check_properties(properties: dict[str, s.PropertyValue]) -> None:
    for key in properties:
        if key not in _PROPERTIES:
            text = f"Catalog '{CATALOG_NAME.lower()}' table property '{key}' does not exist"
            raise QueryError("INVALID_TABLE_PROPERTY", text, position=(1, 1))


def _listed(properties: dict[str, s.PropertyValue], key: str) -> list[str]:
    value = properties.get(key, [])
    if not isinstance(value, list):
        raise QueryError(
            "INVALID_TABLE_PROPERTY", f"Invalid value for table property '{key}': expected an array"
        )
    return value


def _split(translated: Translated, names: list[str]) -> tuple[list[Column], list[Column]]:
    """Return data columns and partition keys; keys must come last and in the order of the property."""
    columns = [Column(column.name.lower(), column.type) for column in translated.columns]
    check_names(columns)
    for index, column in enumerate(columns, start=1):
        if column.type.base == "unknown":
            raise QueryError(
                "COLUMN_TYPE_UNKNOWN", f"Column type is unknown at position {index}", position=(1, 1)
            )
    if not names:
        return columns, []
    known = {column.name for column in columns}
    missing = [name for name in names if name not in known]
    if missing:
        text = f"Partition columns {names} not present in schema"
        raise QueryError("INVALID_TABLE_PROPERTY", text, position=(1, 1))
    if [column.name for column in columns[-len(names) :]] != names:
        shown = ", ".join(names)
        raise QueryError(
            "HIVE_COLUMN_ORDER_MISMATCH",
            "Partition keys must be the last columns in the table and in the same order as the table properties:"
            f" [{shown}]",
        )
    if len(names) == len(columns):
        raise QueryError("INVALID_TABLE_PROPERTY", "Table contains only partition columns", position=(1, 1))
    return columns[: -len(names)], columns[-len(names) :]


def _target(
    session: Session, database: str, statement: s.CreateTableAs, columns: list[Column], keys: list[Column]
) -> Target:
    properties = statement.properties
    form = str(properties.get("format", "PARQUET")).upper()
    formats.stored_as(form)
    kind = {"PARQUET": "parquet", "TEXTFILE": "lazy", "JSON": "json"}[form]
    codec = str(
        properties.get("write_compression")
        or properties.get("parquet_compression")
        or ("snappy" if kind == "parquet" else "gzip")
    )
    location = properties.get("external_location")
    if location is None:
        location = f"{session.context.output_location.rstrip('/')}/tables/{session.context.query_id}/"
    return Target(
        f"{database}.{statement.table.name}",
        str(location).rstrip("/") + "/",
        kind,
        _codec(kind, codec),
        columns,
        keys,
        str(properties.get("field_delimiter", formats.DEFAULT_DELIMITER)),
    )


def _codec(kind: str, name: str) -> str:
    known = _CODECS["parquet" if kind == "parquet" else "text"]
    if name.lower() not in known:
        text = f"Compression {name.upper()} is not supported for this format"
        raise QueryError("INVALID_TABLE_PROPERTY", text, position=(1, 1))
    return known[name.lower()]


def _check_empty(session: Session, target: Target) -> None:
    if next(iter(session.context.objects.list(target.location)), None) is not None:
        raise QueryError(
            "HIVE_PATH_ALREADY_EXISTS",
            f"Target directory for table '{target.name}' already exists: {target.location}. You may need to manually"
            " clean the data at location before retrying",
        )


# INSERT


def insert(session: Session, statement: s.Insert, record: Record) -> StatementResult:
    database, name = record["DatabaseName"], record["Name"]
    form = formats.format_of(record)
    if form.kind == "opencsv":
        raise QueryError("NOT_SUPPORTED", f"Inserting into a table with {formats.OPEN_CSV} is not supported")
    if form.skip_lines:
        text = "Inserting into Hive table with skip.header.line.count property not supported"
        raise QueryError("NOT_SUPPORTED", text)
    data, keys = hive.data_columns(record), hive.partition_columns(record)
    translated = session.translate(statement.query)
    sql = _matched(statement, translated, [*data, *keys])
    parameters = record.get("Parameters") or {}
    codec = str(parameters.get("parquet.compression", "snappy")).lower() if form.kind == "parquet" else "none"
    target = Target(
        f"{database}.{name}",
        record["StorageDescriptor"]["Location"].rstrip("/") + "/",
        form.kind,
        _codec(form.kind, codec if codec in _CODECS["parquet"] or form.kind != "parquet" else "snappy"),
        data,
        keys,
        form.delimiter,
    )
    with _cleaned(session) as uploaded:
        written = _write(session, sql, [*data, *keys], target, uploaded, record)
        _register_partitions(session, database, record, written)
    return StatementResult(update_count=written.rows, manifest=written.files)


def _matched(statement: s.Insert, translated: Translated, columns: list[Column]) -> str:
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
    table_types = ", ".join(str(column.type) for column in wanted)
    query_types = ", ".join(str(column.type) for column in given)
    if len(given) != len(wanted) or any(
        not assignable(source.type, column.type) for source, column in zip(given, wanted, strict=False)
    ):
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


# writing


@contextlib.contextmanager
def _cleaned(session: Session) -> Iterator[list[str]]:
    """Give a list for the paths uploaded; they are deleted if the statement fails."""
    uploaded: list[str] = []
    try:
        yield uploaded
    except BaseException:
        session.context.objects.delete(uploaded)
        raise


def _write(
    session: Session,
    sql: str,
    columns: list[Column],
    target: Target,
    uploaded: list[str],
    record: Record | None = None,
) -> Written:
    """Run the query into the spool, then upload; `record` is the table that an INSERT adds to."""
    ordered = [*target.columns, *target.keys]
    aliases = ", ".join(quote(column.name) for column in ordered)
    assert len(columns) == len(ordered)
    source = f"SELECT * FROM ({sql}) AS q({aliases})"
    out = session.spool / "out"
    rows = _copy(session, source, target, out)
    local = sorted(path for path in out.rglob("*") if path.is_file()) if out.is_dir() else [out]
    if rows == 0:
        return Written(0, [], {})
    plan: list[tuple[Path, str]] = []
    partitions: dict[tuple[str, ...], str] = {}
    folders: dict[Path, str] = {}
    for path in local:
        folder = target.location
        if target.keys:
            if path.parent not in folders:
                values = tuple(unquote(part.partition("=")[2]) for part in path.parent.relative_to(out).parts)
                folders[path.parent] = partitions[values] = _folder(session, target, record, values)
            folder = folders[path.parent]
        plan.append((path, folder + _file_name(target)))
    if len(partitions) > MAX_OPEN_PARTITIONS:
        text = f"Exceeded limit of {MAX_OPEN_PARTITIONS} open writers for partitions/buckets"
        raise QueryError("HIVE_TOO_MANY_OPEN_PARTITIONS", text)
    session.check_cancelled()
    uploaded += [path for _, path in plan]
    with ThreadPoolExecutor(UPLOADS) as pool:
        for _ in pool.map(lambda pair: session.context.objects.upload(*pair), plan):
            session.check_cancelled()
    return Written(rows, [path for _, path in plan], partitions)


def _folder(session: Session, target: Target, record: Record | None, values: tuple[str, ...]) -> str:
    if record is not None:
        with contextlib.suppress(EntityNotFoundError):
            existing = session.context.catalog.get_partition(
                record["DatabaseName"], record["Name"], list(values)
            )
            return str(existing["StorageDescriptor"]["Location"]).rstrip("/") + "/"
        return partition_location(record, list(values))
    return target.location + partition_name([key.name for key in target.keys], list(values)) + "/"


def _file_name(target: Target) -> str:
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d_%H%M%S")
    suffix = {"gzip": ".gz", "zstd": ".zst"}.get(target.codec, "") if target.form != "parquet" else ""
    return f"{stamp}_{uuid.uuid4().hex[:5]}_{uuid.uuid4()}{suffix}"


def _copy(session: Session, sql: str, target: Target, out: Path) -> int:
    keys = [key.name for key in target.keys]
    if target.form == "parquet":
        return session.write_parquet(sql, out, compression=target.codec, partition_by=keys)
    options = ["format json"] if target.form == "json" else [_csv_options(target)]
    options.append(f"compression {target.codec}")
    if keys:
        options.append(f"partition_by ({', '.join(quote(key) for key in keys)})")
    row = session.execute(f"COPY ({sql}) TO {literal(str(out))} ({', '.join(options)})").fetchone()
    return int(row[0]) if row else 0


def _csv_options(target: Target) -> str:
    delimiter = target.delimiter.replace("'", "''")
    return f"format csv, header false, delim '{delimiter}', quote '', escape '', nullstr '\\N'"


def _register_partitions(session: Session, database: str, record: Record, written: Written) -> None:
    if written.partitions:
        inputs = [
            partition_input(record, list(values), folder) for values, folder in written.partitions.items()
        ]
        session.context.catalog.create_partitions(database, record["Name"], inputs, ignore_existing=True)
