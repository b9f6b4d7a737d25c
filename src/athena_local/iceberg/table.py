"""An Iceberg table as it stood when it was read, and the optimistic swap that puts a new state in its place.

The truth is the metadata file that Glue's `metadata_location` names. A commit writes a new metadata file and updates the
Glue table on condition of the version that was read; whoever comes second gets a `CommitConflictError`.
"""

from __future__ import annotations

import contextlib
import re
import threading
import uuid
import weakref
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyiceberg.catalog.noop import NoopCatalog
from pyiceberg.serializers import FromInputFile, ToOutputFile
from pyiceberg.table import Table
from pyiceberg.table.update import update_table_metadata

from athena_local.catalog import AlreadyExistsError, ConcurrentModificationError, EntityNotFoundError
from athena_local.errors import SYSTEM, QueryError
from athena_local.iceberg.files import ObjectFileIO
from athena_local.iceberg.schema import to_columns, with_precision
from athena_local.objects import StorageError
from athena_local.types import Column, from_iceberg, parse_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.schema import Schema
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.update import TableUpdate

    from athena_local.context import QueryContext
    from athena_local.engine.session import Session

Record = dict[str, Any]

COMMIT_ERROR_TEXT = "Failed to commit Iceberg update to table"
NEWEST_FORMAT = 2
METADATA_CACHE_FILES = 64  # parsed metadata kept; a file never changes once written, its name carries a uuid
# what TableInput may hold; a Table read back has more
_TABLE_INPUT_KEYS = (
    "Name",
    "Description",
    "Owner",
    "LastAccessTime",
    "LastAnalyzedTime",
    "Retention",
    "StorageDescriptor",
    "PartitionKeys",
    "ViewOriginalText",
    "ViewExpandedText",
    "TableType",
    "Parameters",
    "TargetTable",
)


class CommitConflictError(QueryError):
    """Somebody else committed first. dbt-athena tries again, and so may any change that does not depend on what was read."""

    def __init__(self, database: str, name: str) -> None:
        super().__init__(
            "ICEBERG_COMMIT_ERROR",
            f"{COMMIT_ERROR_TEXT}: {database}.{name}",
            category=SYSTEM,
            retryable=True,
        )


@dataclass(frozen=True)
class IcebergTable:
    """`record` is the Glue table that was read with `metadata`; its VersionId is what a commit is conditional on."""

    database: str
    name: str
    record: Record
    metadata: TableMetadata
    location: str  # of the metadata file
    io: ObjectFileIO
    plans: dict[Any, Any] = field(
        default_factory=dict, compare=False, repr=False
    )  # planning.plan's, one for each filter

    @property
    def schema(self) -> Schema:
        return self.metadata.schema()

    @property
    def snapshot_id(self) -> int | None:
        snapshot = self.metadata.current_snapshot()
        return snapshot.snapshot_id if snapshot else None

    def pyiceberg(self) -> Table:
        """Return PyIceberg's own view of it, for planning scans and for its schema updates' arithmetic."""
        return Table(
            (self.database, self.name), self.metadata, self.location, self.io, NoopCatalog("athena_local")
        )


def is_iceberg(record: Record) -> bool:
    return str(record.get("Parameters", {}).get("table_type", "")).upper() == "ICEBERG"


def columns(record: Record, session: Session | None = None) -> list[Column]:
    """Return the current columns: of the metadata when a session is given, else of Glue, which knows no time zones."""
    if session is not None:
        return to_columns(pinned(session, record).schema)
    found = []
    for column in record.get("StorageDescriptor", {}).get("Columns", ()):
        if column.get("Parameters", {}).get("iceberg.field.current", "true") == "true":
            kind = with_precision(parse_type(column["Type"]))
            found.append(Column(column["Name"], kind, column.get("Comment", "")))
    return found


def load(context: QueryContext, record: Record, io: ObjectFileIO | None = None) -> IcebergTable:
    """Return the table that a Glue record points at."""
    location = record.get("Parameters", {}).get("metadata_location")
    database, name = record["DatabaseName"], record["Name"]
    if not location:
        raise QueryError(
            "ICEBERG_INVALID_METADATA", f"Table is missing [metadata_location] property: {database}.{name}"
        )
    io = io or ObjectFileIO(context.objects)
    metadata = _read_metadata(io, location, f"{database}.{name}")
    if metadata.format_version > NEWEST_FORMAT:
        text = f"Iceberg table format version {metadata.format_version} is not supported: {database}.{name}"
        raise QueryError("NOT_SUPPORTED", text)
    return IcebergTable(database, name, record, metadata, location, io)


def reload(context: QueryContext, table: IcebergTable) -> IcebergTable:
    """Return the same table as it stands now, with what was written on its behalf still known."""
    try:
        record = context.catalog.get_table(table.database, table.name)
    except EntityNotFoundError as error:
        raise QueryError("TABLE_NOT_FOUND", f"Table '{table.database}.{table.name}' not found") from error
    return load(context, record, table.io)


_pinned: weakref.WeakKeyDictionary[Session, dict[tuple[str, str], IcebergTable]] = weakref.WeakKeyDictionary()
_pinned_lock = threading.Lock()


def pinned(session: Session, record: Record) -> IcebergTable:
    """Return the table as this session saw it first: all of a statement reads, and commits against, one state."""
    key = (record["DatabaseName"], record["Name"])
    with _pinned_lock:
        tables = _pinned.setdefault(session, {})
    if key not in tables:
        tables[key] = load(session.context, record)
    return tables[key]


def staged(
    context: QueryContext, database: str, name: str, metadata: TableMetadata, comment: str = ""
) -> IcebergTable:
    """Return a table that is in no catalog yet."""
    record: Record = {"Name": name, "TableType": "EXTERNAL_TABLE", "PartitionKeys": [], "Retention": 0}
    if comment:
        record["Description"] = comment
    return IcebergTable(database, name, record, metadata, "", ObjectFileIO(context.objects))


def create(context: QueryContext, table: IcebergTable, updates: tuple[TableUpdate, ...] = ()) -> None:
    """Write a staged table's first metadata file and enter it in the catalog."""
    metadata = update_table_metadata(table.metadata, updates)
    location = _write_metadata(table.io, metadata, 0)
    try:
        context.catalog.create_table(table.database, _table_input(table.record, metadata, location, None))
    except AlreadyExistsError as error:
        raise QueryError(
            "TABLE_ALREADY_EXISTS", f"Table '{table.database}.{table.name}' already exists"
        ) from error
    except EntityNotFoundError as error:
        raise QueryError("SCHEMA_NOT_FOUND", f"Schema {table.database} not found") from error
    table.io.written.clear()


@contextlib.contextmanager
def clean_on_failure(context: QueryContext, table: IcebergTable) -> Iterator[None]:
    """Delete every object written for the table within, unless a commit made them part of it."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(
            Exception
        ):  # the first error is the one to tell; what stays behind is an orphan
            context.objects.delete(table.io.written)
        raise


def commit(context: QueryContext, table: IcebergTable, updates: tuple[TableUpdate, ...]) -> IcebergTable:
    """Apply updates to the state that was read and swap it in; raises CommitConflictError when it is no longer current."""
    metadata = update_table_metadata(table.metadata, updates, metadata_location=table.location)
    return replace(context, table, metadata)


def replace(
    context: QueryContext, table: IcebergTable, metadata: TableMetadata, **changes: Any
) -> IcebergTable:
    """Swap in new metadata; `changes` are TableInput keys to set with it (Description)."""
    location = _write_metadata(table.io, metadata, _version(table.location) + 1)
    record = {**table.record, **changes}
    try:
        context.catalog.update_table(
            table.database,
            _table_input(record, metadata, location, table.location),
            version_id=table.record["VersionId"],
            skip_archive=True,
        )
    except ConcurrentModificationError as error:
        context.objects.delete([location])
        raise CommitConflictError(table.database, table.name) from error
    except EntityNotFoundError as error:
        context.objects.delete([location])
        raise QueryError("TABLE_NOT_FOUND", f"Table '{table.database}.{table.name}' not found") from error
    table.io.written.clear()  # they belong to the table now
    fresh = context.catalog.get_table(table.database, table.name)
    return IcebergTable(table.database, table.name, fresh, metadata, location, table.io)


def glue_columns(metadata: TableMetadata) -> list[Record]:
    """Return StorageDescriptor.Columns: the current schema's, then those of older schemas marked as no longer current."""
    found: dict[str, Record] = {}
    current = metadata.schema()
    others = [schema for schema in metadata.schemas if schema.schema_id != current.schema_id]
    for schema in (current, *others):
        for part in schema.fields:
            if part.name in found:
                continue
            column: Record = {
                "Name": part.name,
                "Type": from_iceberg(part.field_type).hive(),
                "Parameters": {
                    "iceberg.field.id": str(part.field_id),
                    "iceberg.field.optional": str(part.optional).lower(),
                    "iceberg.field.current": str(schema is current).lower(),
                },
            }
            if part.doc:
                column["Comment"] = part.doc
            found[part.name] = column
    return list(found.values())


def _table_input(record: Record, metadata: TableMetadata, location: str, previous: str | None) -> Record:
    table_input = {key: record[key] for key in _TABLE_INPUT_KEYS if record.get(key) is not None}
    parameters = {**record.get("Parameters", {}), "table_type": "ICEBERG", "metadata_location": location}
    if previous:
        parameters["previous_metadata_location"] = previous
    table_input["Parameters"] = parameters
    table_input["StorageDescriptor"] = {
        **record.get("StorageDescriptor", {}),
        "Columns": glue_columns(metadata),
        "Location": metadata.location,
    }
    return table_input


_metadata_cache: OrderedDict[tuple[str, str], TableMetadata] = OrderedDict()
_metadata_lock = threading.Lock()


def _read_metadata(io: ObjectFileIO, location: str, name: str) -> TableMetadata:
    key = (io.endpoint, location)
    with _metadata_lock:
        if key in _metadata_cache:
            _metadata_cache.move_to_end(key)
            return _metadata_cache[key]
    try:
        metadata = FromInputFile.table_metadata(io.new_input(location))
    except StorageError as error:
        if not error.missing:
            raise
        raise QueryError(
            "ICEBERG_MISSING_METADATA", f"Metadata not found in metadata location for table {name}"
        ) from error
    except ValueError as error:
        raise QueryError(
            "ICEBERG_INVALID_METADATA", f"Metadata of table {name} cannot be read: {location}"
        ) from error
    _remember(key, metadata)
    return metadata


def _remember(key: tuple[str, str], metadata: TableMetadata) -> None:
    with _metadata_lock:
        _metadata_cache[key] = metadata
        while len(_metadata_cache) > METADATA_CACHE_FILES:
            _metadata_cache.popitem(last=False)


def _write_metadata(io: ObjectFileIO, metadata: TableMetadata, version: int) -> str:
    location = f"{metadata.location.rstrip('/')}/metadata/{version:05d}-{uuid.uuid4()}.metadata.json"
    ToOutputFile.table_metadata(metadata, io.new_output(location))
    _remember((io.endpoint, location), metadata)
    return location


def _version(location: str) -> int:
    match = re.search(r"(\d+)-[0-9a-f-]+(?:\.gz)?\.metadata\.json$", location)
    return int(match.group(1)) if match else 0
