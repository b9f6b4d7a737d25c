"""SHOW and DESCRIBE: lines of text, padded and tab-separated as Athena prints them."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING, Any

from athena_local import iceberg
from athena_local.catalog import EntityNotFoundError
from athena_local.context import ResultColumn, StatementResult
from athena_local.engine import hive
from athena_local.errors import QueryError
from athena_local.sql import statements as s
from athena_local.sql import views
from athena_local.sql.tables import find
from athena_local.types import Column

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
_DESCRIBED = ("col_name", "data_type", "comment")
_WIDTH = 20  # Hive pads every cell of DESCRIBE to this


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
    return _lines(_NAMES[statement.kind], handler(session, statement))


def _lines(names: tuple[str, ...], lines: list[str]) -> StatementResult:
    return StatementResult([ResultColumn(name, "string") for name in names], lines=lines)


def _matcher(pattern: str | None) -> re.Pattern[str]:
    """Return Hive's pattern as a regular expression: `*` is any text, `|` is or, everything else itself."""
    parts = [re.escape(part).replace(r"\*", ".*") for part in (pattern or "*").lower().split("|")]
    return re.compile("|".join(f"(?:{part})" for part in parts))


def _databases(session: Session, statement: s.Show) -> list[str]:
    matcher = _matcher(statement.pattern)
    names = [record["Name"] for record in session.context.catalog.get_databases()]
    return [name for name in names if matcher.fullmatch(name)]


def _records(session: Session, statement: s.Show) -> list[Record]:
    database = statement.database or session.context.database
    try:
        return session.context.catalog.get_tables(database)
    except EntityNotFoundError:
        raise QueryError("SCHEMA_NOT_FOUND", f"Schema '{database}' does not exist") from None


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
    return find(session, statement.table)


def columns_of(record: Record) -> list[Column]:
    return iceberg.columns(record) if iceberg.is_iceberg(record) else hive.columns(record)


def _columns(session: Session, statement: s.Show) -> list[str]:
    record = _target(session, statement)
    if iceberg.is_iceberg(record):
        return iceberg.column_lines(session, record)
    return [f"{column.name:<{_WIDTH}}" for column in columns_of(record)]


def _partitions(session: Session, statement: s.Show) -> list[str]:
    record = _target(session, statement)
    keys = [column.name for column in hive.partition_columns(record)]
    if not keys:
        text = f"Table {record['DatabaseName']}.{record['Name']} is not a partitioned table"
        raise QueryError("INVALID_ARGUMENTS", text)
    rows = session.context.catalog.get_partitions(record["DatabaseName"], record["Name"])
    return sorted(hive.partition_name(keys, row["Values"]) for row in rows)


def _create_table(session: Session, statement: s.Show) -> list[str]:
    record = _target(session, statement)
    name = f"{record['DatabaseName']}.{record['Name']}"
    if views.is_view(record):
        raise QueryError("INVALID_ARGUMENTS", f"SHOW CREATE TABLE is not supported on the view {name}")
    if iceberg.is_iceberg(record):
        return iceberg.create_table_lines(session, record)
    storage = record.get("StorageDescriptor") or {}
    lines = [f"CREATE EXTERNAL TABLE `{name}`(", *_definitions(hive.data_columns(record))]
    keys = hive.partition_columns(record)
    if keys:
        lines += ["PARTITIONED BY ( ", *_definitions(keys)]
    serde = storage.get("SerdeInfo") or {}
    lines += ["ROW FORMAT SERDE ", f"  '{serde.get('SerializationLibrary', '')}' "]
    if serde.get("Parameters"):
        lines += ["WITH SERDEPROPERTIES ( ", *_pairs(serde["Parameters"])]
    lines += ["STORED AS INPUTFORMAT ", f"  '{storage.get('InputFormat', '')}' "]
    lines += ["OUTPUTFORMAT ", f"  '{storage.get('OutputFormat', '')}'"]
    lines += ["LOCATION", f"  '{storage.get('Location', '')}'"]
    parameters = {key: value for key, value in (record.get("Parameters") or {}).items() if key != "EXTERNAL"}
    if parameters:
        lines += ["TBLPROPERTIES (", *_pairs(parameters)]
    return lines


def _definitions(columns: list[Column]) -> list[str]:
    found = []
    for index, column in enumerate(columns):
        comment = f" COMMENT '{column.comment}'" if column.comment else ""
        end = ")" if index == len(columns) - 1 else ", "
        found.append(f"  `{column.name}` {column.type.hive()}{comment}{end}")
    return found


def _pairs(values: Record) -> list[str]:
    items = sorted(values.items())
    lines = []
    for index, (key, value) in enumerate(items):
        shown = str(value).replace("\n", "\\n").replace("'", "\\'")
        lines.append(f"  '{key}'='{shown}'{')' if index == len(items) - 1 else ', '}")
    return lines


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
        return [f"{statement.key}\t{parameters[statement.key]}"]
    return [f"{key}\t{value}" for key, value in sorted(parameters.items())]


# DESCRIBE


def _line(*cells: str) -> str:
    return "\t".join(f"{cell:<{_WIDTH}}" for cell in cells)


def describe(session: Session, statement: s.Describe) -> StatementResult:
    record = find(session, statement.table)
    if iceberg.is_iceberg(record) and statement.column is None:
        return _lines(_DESCRIBED, iceberg.describe_lines(session, record))
    columns = columns_of(record)
    if statement.column is not None:
        columns = [column for column in columns if column.name == statement.column]
        if not columns:
            raise QueryError("COLUMN_NOT_FOUND", f"Column '{statement.column}' cannot be resolved")
    if statement.mode:
        return _lines(_DESCRIBED, _formatted(record, columns))
    lines = [_line(column.name, column.type.hive(), column.comment) for column in columns]
    keys = [] if iceberg.is_iceberg(record) else hive.partition_columns(record)
    if keys and statement.column is None:
        lines += [
            "\t \t ",
            "# Partition Information\t \t ",
            _line("# col_name", "data_type", "comment"),
            "\t \t ",
        ]
        lines += [_line(key.name, key.type.hive(), key.comment) for key in keys]
    return _lines(_DESCRIBED, lines)


def _formatted(record: Record, columns: list[Column]) -> list[str]:
    storage = record.get("StorageDescriptor") or {}
    keys = {column.name for column in hive.partition_columns(record)}
    lines = [_line("# col_name", "data_type", "comment"), "\t \t "]
    lines += [
        _line(column.name, column.type.hive(), column.comment)
        for column in columns
        if column.name not in keys
    ]
    if keys:
        lines += [
            "\t \t ",
            "# Partition Information\t \t ",
            _line("# col_name", "data_type", "comment"),
            "\t \t ",
        ]
        lines += [
            _line(column.name, column.type.hive(), column.comment)
            for column in columns
            if column.name in keys
        ]
    created = record.get("CreateTime")
    stamp = (
        datetime.datetime.fromtimestamp(created, datetime.UTC).strftime("%a %b %d %H:%M:%S UTC %Y")
        if created
        else ""
    )
    lines += ["\t \t ", "# Detailed Table Information\t \t "]
    for label, value in (
        ("Database:", record["DatabaseName"]),
        ("Owner:", record.get("Owner", "")),
        ("CreateTime:", stamp),
        ("LastAccessTime:", "UNKNOWN"),
        ("Protect Mode:", "None"),
        ("Retention:", str(record.get("Retention", 0))),
        ("Location:", storage.get("Location", "")),
        ("Table Type:", record.get("TableType", "")),
    ):
        lines.append(f"{label:<{_WIDTH}}\t{value:<{_WIDTH}}\t ")
    lines.append("Table Parameters:\t \t ")
    lines += [
        f"\t{key:<{_WIDTH}}\t{value!s:<{_WIDTH}}"
        for key, value in sorted((record.get("Parameters") or {}).items())
    ]
    serde = storage.get("SerdeInfo") or {}
    lines += ["\t \t ", "# Storage Information\t \t "]
    for label, value in (
        ("SerDe Library:", serde.get("SerializationLibrary", "")),
        ("InputFormat:", storage.get("InputFormat", "")),
        ("OutputFormat:", storage.get("OutputFormat", "")),
        ("Compressed:", "Yes" if storage.get("Compressed") else "No"),
        ("Num Buckets:", str(storage.get("NumberOfBuckets", -1))),
        ("Bucket Columns:", str(storage.get("BucketColumns") or [])),
        ("Sort Columns:", "[]"),
    ):
        lines.append(f"{label:<{_WIDTH}}\t{value or '':<{_WIDTH}}\t ")
    if views.is_view(record):
        lines += ["\t \t ", "# View Information\t \t "]
        lines.append(f"{'View Original Text:':<{_WIDTH}}\t{record.get('ViewOriginalText', '')}\t ")
    return lines
