"""Hive tables: from a Glue table, its partitions and the objects below them to the DuckDB text that reads them.

Data is every object below the table's or a partition's location, hidden names aside. Partition values come from the
catalog, never from the path. Files of partitions that a predicate excludes are neither listed nor read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from athena_local.engine import parquet, text
from athena_local.engine.formats import Format, format_of
from athena_local.errors import QueryError
from athena_local.objects import S3Object
from athena_local.types import AthenaType, Column, parse_type, quote

if TYPE_CHECKING:
    from athena_local.engine.session import Session

Record = dict[str, Any]

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
MAX_BRANCHES = (
    100  # files up to here are read one by one with constants, above by one reader joined on the file name
)
HIDDEN = {
    "$path": AthenaType("varchar"),
    "$file_modified_time": AthenaType("timestamp with time zone", 3),
    "$file_size": AthenaType("bigint"),
}


@dataclass(frozen=True)
class DataFile:
    """One object with its partition's values in SQL, in the order of the partition keys."""

    item: S3Object
    values: tuple[str, ...]


def columns(table: Record) -> list[Column]:
    """Return data columns, then partition keys."""
    storage = table.get("StorageDescriptor") or {}
    return _columns(storage.get("Columns") or []) + partition_columns(table)


def data_columns(table: Record) -> list[Column]:
    return _columns((table.get("StorageDescriptor") or {}).get("Columns") or [])


def partition_columns(table: Record) -> list[Column]:
    return _columns(table.get("PartitionKeys") or [])


def _columns(records: list[Record]) -> list[Column]:
    found = []
    for record in records:
        kind = str(record.get("Type") or "string")
        try:
            found.append(
                Column(str(record["Name"]).lower(), parse_type(kind), str(record.get("Comment") or ""))
            )
        except ValueError:
            raise QueryError(
                "HIVE_INVALID_METADATA", f"Column {record['Name']} has unknown type {kind}"
            ) from None
    return found


def scan(session: Session, table: Record, keep: Callable[[list[Record]], list[Record]] | None = None) -> str:
    """Return the select that reads a table: its columns, then the hidden ones.

    keep: filters partitions (records of the catalog) by the query's predicate.
    """
    form = format_of(table)
    keys = partition_columns(table)
    files = _data_files(session, table, keys, keep)
    hidden = ", ".join(f"CAST(NULL AS {kind.duckdb()}) AS {quote(name)}" for name, kind in HIDDEN.items())
    if not files:
        nulls = ", ".join(
            f"CAST(NULL AS {item.type.duckdb()}) AS {quote(item.name)}" for item in columns(table)
        )
        return f"SELECT {nulls}, {hidden} LIMIT 0"
    return _read(session, form, data_columns(table), keys, files)


def _data_files(
    session: Session, table: Record, keys: list[Column], keep: Callable[[list[Record]], list[Record]] | None
) -> list[DataFile]:
    objects = session.context.objects
    if not keys:
        location = _location(table)
        return [DataFile(item, ()) for item in objects.list_data(location)]
    partitions = session.context.catalog.get_partitions(table["DatabaseName"], table["Name"])
    if keep is not None:
        partitions = keep(partitions)
    found = []
    for partition in partitions:
        values = tuple(
            partition_literal(value, key) for value, key in zip(partition["Values"], keys, strict=True)
        )
        storage = partition.get("StorageDescriptor") or {}
        if storage.get("Location"):
            found += [DataFile(item, values) for item in objects.list_data(str(storage["Location"]))]
    return found


def _location(table: Record) -> str:
    location = (table.get("StorageDescriptor") or {}).get("Location")
    if not location:
        name = f"{table['DatabaseName']}.{table['Name']}"
        raise QueryError("HIVE_INVALID_METADATA", f"Table {name} has no location")
    return str(location)


def partition_literal(value: str, key: Column) -> str:
    """Return a partition's value, kept as text in the catalog, as a DuckDB literal of the key's type."""
    if value == NULL_PARTITION:
        return f"CAST(NULL AS {key.type.duckdb()})"
    return f"CAST({text.literal(value)} AS {key.type.duckdb()})"


def _read(
    session: Session, form: Format, data: list[Column], keys: list[Column], files: list[DataFile]
) -> str:
    items = [file.item for file in files]
    names = [item.path for item in items]
    read: Callable[..., str]
    if form.kind == "parquet":
        read = parquet.reader(session, form, data, items)
    else:
        texts = text.reader(session, form, data, items)
        read, names = texts, [str(path) for path in texts.paths]
    if len(files) <= MAX_BRANCHES:
        branches = []
        for index, file in enumerate(files):
            constants = [
                f"{value} AS {quote(key.name)}" for value, key in zip(file.values, keys, strict=True)
            ]
            constants += _hidden(file.item)
            branches.append(f"SELECT *, {', '.join(constants)} FROM ({read([index])})")
        return " UNION ALL BY NAME ".join(branches) if len(branches) > 1 else branches[0]
    return _joined(read(list(range(len(files))), file_name="__file"), data, keys, files, names)


def _hidden(item: S3Object) -> list[str]:
    stamp = item.modified.strftime("%Y-%m-%d %H:%M:%S+00")
    return [
        f'{text.literal(item.path)} AS "$path"',
        f"TIMESTAMPTZ '{stamp}' AS \"$file_modified_time\"",
        f'CAST({item.size} AS BIGINT) AS "$file_size"',
    ]


def _joined(sql: str, data: list[Column], keys: list[Column], files: list[DataFile], local: list[str]) -> str:
    names = ["__name", *(quote(key.name) for key in keys), *(quote(name) for name in HIDDEN)]
    rows = []
    for name, file in zip(local, files, strict=True):
        hidden = [part.rsplit(" AS ", 1)[0] for part in _hidden(file.item)]
        rows.append(f"({', '.join([text.literal(name), *file.values, *hidden])})")
    selected = ", ".join([*(f"d.{quote(item.name)}" for item in data), *(f"f.{name}" for name in names[1:])])
    values = f"(VALUES {', '.join(rows)}) AS f({', '.join(names)})"
    return f"SELECT {selected} FROM ({sql}) AS d JOIN {values} ON d.__file = f.__name"
