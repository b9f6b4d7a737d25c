"""The tables beside a table, `"t$files"` and the like: built from the metadata, handed to DuckDB as values.

Columns and types are those Athena's documentation lists; `$partitions` follows Trino's layout.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyiceberg.conversions import from_bytes
from pyiceberg.types import PrimitiveType

from athena_local.errors import QueryError
from athena_local.iceberg import planning
from athena_local.iceberg.scans import Scan
from athena_local.iceberg.table import pinned
from athena_local.types import AthenaType, Column, from_iceberg, map_of, parse_type, quote, row_of

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile

    from athena_local.engine.session import Session
    from athena_local.iceberg.table import IcebergTable, Record

Rows = list[tuple[Any, ...]]
Built = tuple[list[tuple[str, AthenaType]], Rows]

_MOMENT = parse_type("timestamp(3) with time zone")
_BIGINT, _INTEGER, _TEXT, _BOOLEAN = (
    parse_type(name) for name in ("bigint", "integer", "varchar", "boolean")
)


def scan_metadata(session: Session, table: Record, name: str) -> Scan:
    """Return `table$name` as SQL. An unknown name is TABLE_NOT_FOUND."""
    columns, rows = _build(session, table, name)
    return Scan(_as_sql(session, columns, rows), [Column(column, kind) for column, kind in columns])


def _build(session: Session, table: Record, name: str) -> Built:
    build = METADATA_TABLES.get(name)
    if build is None:
        raise QueryError(
            "TABLE_NOT_FOUND", f"Table '{table['DatabaseName']}.{table['Name']}${name}' does not exist"
        )
    return build(pinned(session, table))


def _as_sql(session: Session, columns: list[tuple[str, AthenaType]], rows: Rows) -> str:
    import pyarrow as pa

    arrow = pa.table(
        [pa.array([row[number] for row in rows], kind.arrow()) for number, (_, kind) in enumerate(columns)],
        names=[name for name, _ in columns],
    )
    name = f"metadata_{uuid.uuid4().hex}"
    session.connection.register(name, arrow)
    listed = ", ".join(
        f"CAST({quote(column)} AS {kind.duckdb()}) AS {quote(column)}" for column, kind in columns
    )
    return f"(SELECT {listed} FROM {name})"


def _moment(milliseconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)


def _history(table: IcebergTable) -> Built:
    columns = [
        ("made_current_at", _MOMENT),
        ("snapshot_id", _BIGINT),
        ("parent_id", _BIGINT),
        ("is_current_ancestor", _BOOLEAN),
    ]
    ancestors, walked = set(), table.metadata.current_snapshot()
    while walked is not None:
        ancestors.add(walked.snapshot_id)
        parent = walked.parent_snapshot_id
        walked = table.metadata.snapshot_by_id(parent) if parent is not None else None
    rows: Rows = []
    for entry in table.metadata.snapshot_log:
        snapshot = table.metadata.snapshot_by_id(entry.snapshot_id)
        parent = snapshot.parent_snapshot_id if snapshot else None
        rows.append((_moment(entry.timestamp_ms), entry.snapshot_id, parent, entry.snapshot_id in ancestors))
    return columns, rows


def _snapshots(table: IcebergTable) -> Built:
    columns = [
        ("committed_at", _MOMENT),
        ("snapshot_id", _BIGINT),
        ("parent_id", _BIGINT),
        ("operation", _TEXT),
        ("manifest_list", _TEXT),
        ("summary", map_of(_TEXT, _TEXT)),
    ]
    rows: Rows = []
    for item in sorted(table.metadata.snapshots, key=lambda snapshot: snapshot.timestamp_ms):
        operation = item.summary.operation.value if item.summary else None
        summary = list(item.summary.additional_properties.items()) if item.summary else []
        moment = _moment(item.timestamp_ms)
        rows.append(
            (moment, item.snapshot_id, item.parent_snapshot_id, operation, item.manifest_list, summary)
        )
    return columns, rows


def _refs(table: IcebergTable) -> Built:
    columns = [
        ("name", _TEXT),
        ("type", _TEXT),
        ("snapshot_id", _BIGINT),
        ("max_reference_age_in_ms", _BIGINT),
        ("min_snapshots_to_keep", _INTEGER),
        ("max_snapshot_age_in_ms", _BIGINT),
    ]
    rows: Rows = [
        (
            name,
            str(ref.snapshot_ref_type.value).upper(),
            ref.snapshot_id,
            ref.max_ref_age_ms,
            ref.min_snapshots_to_keep,
            ref.max_snapshot_age_ms,
        )
        for name, ref in table.metadata.refs.items()
    ]
    return columns, rows


def _manifests(table: IcebergTable) -> Built:
    columns = [
        ("path", _TEXT),
        ("length", _BIGINT),
        ("partition_spec_id", _INTEGER),
        ("added_snapshot_id", _BIGINT),
        ("added_data_files_count", _INTEGER),
        ("added_rows_count", _BIGINT),
        ("existing_data_files_count", _INTEGER),
        ("existing_rows_count", _BIGINT),
        ("deleted_data_files_count", _INTEGER),
        ("deleted_rows_count", _BIGINT),
        ("content", _INTEGER),
    ]
    snapshot = table.metadata.current_snapshot()
    rows: Rows = [
        (
            item.manifest_path,
            item.manifest_length,
            item.partition_spec_id,
            item.added_snapshot_id,
            item.added_files_count,
            item.added_rows_count,
            item.existing_files_count,
            item.existing_rows_count,
            item.deleted_files_count,
            item.deleted_rows_count,
            int(item.content),
        )
        for item in (snapshot.manifests(table.io) if snapshot else ())
    ]
    return columns, rows


def _partition_type(table: IcebergTable) -> AthenaType:
    fields = table.metadata.spec().partition_type(table.schema).fields
    return row_of([(field.name, from_iceberg(field.field_type)) for field in fields])


def _partition_value(table: IcebergTable, data_file: DataFile) -> dict[str, Any]:
    """Return the partition under the current spec's names; a file of an older spec has NULL where it lacks a field."""
    spec = table.metadata.specs()[data_file.spec_id]
    values = {field.name: data_file.partition[number] for number, field in enumerate(spec.fields)}
    return {field.name: values.get(field.name) for field in table.metadata.spec().fields}


def _bounds(table: IcebergTable, bounds: dict[int, bytes] | None) -> list[tuple[int, str]]:
    found = []
    for field_id, raw in (bounds or {}).items():
        try:
            field = table.schema.find_field(field_id)
        except ValueError:
            continue  # a column dropped since, or a delete file's own
        if isinstance(field.field_type, PrimitiveType):
            found.append((field_id, str(from_bytes(field.field_type, raw))))
    return found


def _files(table: IcebergTable) -> Built:
    counts, bounds = map_of(_INTEGER, _BIGINT), map_of(_INTEGER, _TEXT)
    partitioned = bool(table.metadata.spec().fields)
    columns = [("content", _INTEGER), ("file_path", _TEXT), ("file_format", _TEXT)]
    columns += [("partition", _partition_type(table))] if partitioned else []
    columns += [("record_count", _BIGINT), ("file_size_in_bytes", _BIGINT)]
    columns += [
        (name, counts) for name in ("column_sizes", "value_counts", "null_value_counts", "nan_value_counts")
    ]
    columns += [("lower_bounds", bounds), ("upper_bounds", bounds), ("key_metadata", parse_type("varbinary"))]
    columns += [
        ("split_offsets", parse_type("array(bigint)")),
        ("equality_ids", parse_type("array(integer)")),
    ]
    rows: Rows = []
    for item in _live_files(table):
        partition = (_partition_value(table, item),) if partitioned else ()
        rows.append(
            (
                int(item.content),
                item.file_path,
                item.file_format.value,
                *partition,
                item.record_count,
                item.file_size_in_bytes,
                *(
                    list((counts_of or {}).items())
                    for counts_of in (
                        item.column_sizes,
                        item.value_counts,
                        item.null_value_counts,
                        item.nan_value_counts,
                    )
                ),
                _bounds(table, item.lower_bounds),
                _bounds(table, item.upper_bounds),
                item.key_metadata,
                item.split_offsets,
                item.equality_ids,
            )
        )
    return columns, rows


def _live_files(table: IcebergTable) -> list[DataFile]:
    snapshot = table.metadata.current_snapshot()
    return [
        entry.data_file
        for manifest in (snapshot.manifests(table.io) if snapshot else ())
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True)
    ]


def _partitions(table: IcebergTable) -> Built:
    partitioned = bool(table.metadata.spec().fields)
    columns = [("partition", _partition_type(table))] if partitioned else []
    columns += [("record_count", _BIGINT), ("file_count", _BIGINT), ("total_size", _BIGINT)]
    totals: dict[Any, list[Any]] = {}
    for data_file, _ in planning.plan(table).files:
        key = (data_file.spec_id, data_file.partition)
        total = totals.setdefault(key, [_partition_value(table, data_file), 0, 0, 0])
        total[1] += data_file.record_count
        total[2] += 1
        total[3] += data_file.file_size_in_bytes
    return columns, [tuple(total if partitioned else total[1:]) for total in totals.values()]


METADATA_TABLES: dict[str, Callable[[IcebergTable], Built]] = {
    "history": _history,
    "snapshots": _snapshots,
    "refs": _refs,
    "manifests": _manifests,
    "files": _files,
    "partitions": _partitions,
}
