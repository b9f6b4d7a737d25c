"""Hive tables: from a Glue table, its partitions and the objects below them to the DuckDB text that reads them.

Data is every object below the table's or a partition's location, hidden names aside. Partition values come from the
catalog, or from the table's projection, never from the path. What a predicate excludes is neither listed nor read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote as percent

from athena_local.engine import parquet, projection, text
from athena_local.engine.formats import Format, format_of
from athena_local.errors import QueryError
from athena_local.journal import journal_of
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
    "$partition": AthenaType("varchar"),  # of partitioned tables
    "$bucket": AthenaType("integer"),  # of bucketed tables
}
_BUCKET = re.compile(r"^0*(\d+)_\d+|bucket-(\d+)(?:\.|$)")  # how Hive and Trino number a bucket's file
_LISTINGS = 16  # at once; the partitions of a scan are listed side by side


@dataclass(frozen=True)
class DataFile:
    """One object with its partition's values in SQL, in the order of the partition keys, and its partition's name."""

    item: S3Object
    values: tuple[str, ...]
    partition: str = ""
    bucket: int | None = None


class Predicate(projection.Predicate, Protocol):
    """What a query says of partitions and files."""

    def keep_files(self, files: list[DataFile]) -> list[DataFile]: ...


def hidden_columns(table: Record) -> dict[str, AthenaType]:
    """Return the columns a table has beside its own; no `*` shows them."""
    absent = set()
    if not table.get("PartitionKeys"):
        absent.add("$partition")
    if bucket_count(table) is None:
        absent.add("$bucket")
    return {name: kind for name, kind in HIDDEN.items() if name not in absent}


def bucket_count(table: Record) -> int | None:
    storage = table.get("StorageDescriptor") or {}
    count = int(storage.get("NumberOfBuckets") or 0)
    return count if count > 0 and storage.get("BucketColumns") else None


def partition_name(keys: list[str], values: list[str]) -> str:
    """Return `k=v/k2=v2`, with Hive's escapes."""
    return "/".join(
        f"{key}={percent(value, safe=' !$&()+,-.;@_')}" for key, value in zip(keys, values, strict=True)
    )


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


def scan(session: Session, table: Record, predicate: Predicate | None = None) -> str:
    """Return the select that reads a table: its columns, then the hidden ones. `predicate` spares partitions and files."""
    form = format_of(table)
    keys = partition_columns(table)
    files = _data_files(session, table, keys, predicate)
    if not files:
        return nothing(table)
    return _read(session, form, data_columns(table), keys, files, list(hidden_columns(table)))


def nothing(table: Record) -> str:
    """Return the select with a table's columns and no rows, for which no file is read."""
    nulls = [f"CAST(NULL AS {item.type.duckdb()}) AS {quote(item.name)}" for item in columns(table)]
    nulls += [
        f"CAST(NULL AS {kind.duckdb()}) AS {quote(name)}" for name, kind in hidden_columns(table).items()
    ]
    return f"SELECT {', '.join(nulls)} LIMIT 0"


def partitions_of(session: Session, table: Record, predicate: Predicate | None = None) -> list[Record]:
    """Return the partitions a query reads: projected, or the catalog's."""
    if projection.is_enabled(table):
        return projection.partitions(table, partition_columns(table), predicate)
    found = session.context.catalog.get_partitions(table["DatabaseName"], table["Name"])
    return predicate.keep(found) if predicate is not None else found


def _data_files(
    session: Session, table: Record, keys: list[Column], predicate: Predicate | None
) -> list[DataFile]:
    objects, journal = session.context.objects, journal_of(session.context.config)
    if not keys:
        place = _location(table)
        found = [DataFile(item, ()) for item in journal.visible(lambda: objects.list_data(place))]
    else:
        names = [key.name for key in keys]
        located = [
            (row, str(location))
            for row in partitions_of(session, table, predicate)
            if (location := (row.get("StorageDescriptor") or {}).get("Location"))
        ]

        together = _listed_together(session, [location for _, location in located])

        def listed(pair: tuple[Record, str]) -> list[DataFile]:
            row, location = pair
            session.check_cancelled()
            values = tuple(
                partition_literal(value, key) for value, key in zip(row["Values"], keys, strict=True)
            )
            name = partition_name(names, row["Values"])
            if together is not None:
                return [DataFile(item, values, name) for item in together[location]]
            return [
                DataFile(item, values, name) for item in journal.visible(lambda: objects.list_data(location))
            ]

        if len(located) < 2 or together is not None:
            found = [file for pair in located for file in listed(pair)]
        else:
            with ThreadPoolExecutor(_LISTINGS) as pool:
                found = [file for files in pool.map(listed, located) for file in files]
    if bucket_count(table) is not None:
        found = _numbered(found)
    return predicate.keep_files(found) if predicate is not None else found


def _listed_together(session: Session, locations: list[str]) -> dict[str, list[S3Object]] | None:
    found: list[dict[str, list[S3Object]] | None] = []

    def list_all() -> list[S3Object]:
        found[:] = [session.context.objects.list_together(locations)]
        return [item for items in (found[0] or {}).values() for item in items]

    visible = {item.path for item in journal_of(session.context.config).visible(list_all)}
    if found[0] is None:
        return None
    return {
        location: [item for item in items if item.path in visible] for location, items in found[0].items()
    }


def _numbered(files: list[DataFile]) -> list[DataFile]:
    """Give each file its bucket: by its name, or else by the place of the name in its partition."""
    seen: dict[str, int] = {}
    numbered = []
    for file in files:
        match = _BUCKET.search(file.item.path.rsplit("/", 1)[-1])
        place = seen.get(file.partition, 0)
        seen[file.partition] = place + 1
        number = int(match.group(1) or match.group(2)) if match else place
        numbered.append(replace(file, bucket=number))
    return numbered


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
    session: Session,
    form: Format,
    data: list[Column],
    keys: list[Column],
    files: list[DataFile],
    hidden: list[str],
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
            constants += [f"{value} AS {quote(name)}" for name, value in _hidden(file, hidden)]
            branches.append(f"SELECT *, {', '.join(constants)} FROM ({read([index])})")
        return " UNION ALL BY NAME ".join(branches) if len(branches) > 1 else branches[0]
    sql = read(list(range(len(files))), file_name="__file")
    return _joined(sql, data, keys, files, names, hidden)


def _hidden(file: DataFile, names: list[str]) -> list[tuple[str, str]]:
    stamp = file.item.modified.strftime("%Y-%m-%d %H:%M:%S+00")
    values = {
        "$path": text.literal(file.item.path),
        "$file_modified_time": f"TIMESTAMPTZ '{stamp}'",
        "$file_size": f"CAST({file.item.size} AS BIGINT)",
        "$partition": text.literal(file.partition),
        "$bucket": f"CAST({'NULL' if file.bucket is None else file.bucket} AS INTEGER)",
    }
    return [(name, values[name]) for name in names]


def _joined(
    sql: str,
    data: list[Column],
    keys: list[Column],
    files: list[DataFile],
    local: list[str],
    hidden: list[str],
) -> str:
    names = ["__name", *(quote(key.name) for key in keys), *(quote(name) for name in hidden)]
    rows = []
    for name, file in zip(local, files, strict=True):
        values = [value for _, value in _hidden(file, hidden)]
        rows.append(f"({', '.join([text.literal(name), *file.values, *values])})")
    selected = ", ".join([*(f"d.{quote(item.name)}" for item in data), *(f"f.{name}" for name in names[1:])])
    values_sql = f"(VALUES {', '.join(rows)}) AS f({', '.join(names)})"
    return f"SELECT {selected} FROM ({sql}) AS d JOIN {values_sql} ON d.__file = f.__name"
