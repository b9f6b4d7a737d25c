"""The tables beside a table, `"t$files"` and the like: built from the metadata, handed to DuckDB as values.

Columns and types are Trino's.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyiceberg.conversions import from_bytes
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import PrimitiveType

from athena_local.errors import QueryError
from athena_local.iceberg import planning
from athena_local.iceberg.scans import Scan
from athena_local.iceberg.table import pinned
from athena_local.types import AthenaType, Column, from_iceberg, map_of, parse_type, quote, row_of

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile, ManifestFile
    from pyiceberg.partitioning import PartitionField
    from pyiceberg.transforms import Transform
    from pyiceberg.types import NestedField

    from athena_local.engine.session import Session
    from athena_local.iceberg.table import IcebergTable, Record

Rows = list[tuple[Any, ...]]
Built = tuple[list[tuple[str, AthenaType]], Rows]

_SUMMARIES = (
    "array(row(contains_null boolean, contains_nan boolean, lower_bound varchar, upper_bound varchar))"
)
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
        ("partition_summaries", parse_type(_SUMMARIES)),
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
            _summaries(table, item),
        )
        for item in (snapshot.manifests(table.io) if snapshot else ())
    ]
    return columns, rows


def _summaries(table: IcebergTable, manifest: ManifestFile) -> list[dict[str, Any]]:
    spec = table.metadata.specs()[manifest.partition_spec_id]
    kinds = [field.field_type for field in spec.partition_type(table.schema).fields]
    return [
        {
            "contains_null": summary.contains_null,
            "contains_nan": summary.contains_nan,
            "lower_bound": _bound_text(kind, field.transform, summary.lower_bound),
            "upper_bound": _bound_text(kind, field.transform, summary.upper_bound),
        }
        for summary, field, kind in zip(manifest.partitions or (), spec.fields, kinds, strict=False)
    ]


def _bound_text(kind: Any, transform: Transform[Any, Any], raw: bytes | None) -> str | None:
    """Return a bound as Iceberg shows it to people."""
    if raw is None or not isinstance(kind, PrimitiveType):
        return None
    return transform.to_human_string(kind, from_bytes(kind, raw))


def _partition_fields(table: IcebergTable) -> list[PartitionField]:
    """Return the fields of every spec the table had, those of dropped columns aside."""
    found = {
        field.field_id: field
        for spec in table.metadata.partition_specs
        for field in spec.fields
        if table.schema.find_column_name(field.source_id) is not None
    }
    return list(found.values())


def _partition_type(table: IcebergTable) -> AthenaType:
    fields = PartitionSpec(*_partition_fields(table)).partition_type(table.schema).fields
    return row_of([(field.name, from_iceberg(field.field_type)) for field in fields])


def _partition_value(table: IcebergTable, data_file: DataFile) -> dict[str, Any]:
    """Return a file's partition; NULL for what its spec did not have."""
    spec = table.metadata.specs()[data_file.spec_id]
    values = {field.field_id: data_file.partition[number] for number, field in enumerate(spec.fields)}
    return {field.name: values.get(field.field_id) for field in _partition_fields(table)}


def _bounds(table: IcebergTable, bounds: dict[int, bytes] | None) -> list[tuple[int, str]]:
    found = []
    for field_id, raw in (bounds or {}).items():
        try:
            field = table.schema.find_field(field_id)
        except ValueError:
            continue  # a column dropped since, or a delete file's own
        shown = _bound_text(field.field_type, IdentityTransform(), raw)
        if shown is not None:
            found.append((field_id, shown))
    return found


def _files(table: IcebergTable) -> Built:
    counts, bounds = map_of(_INTEGER, _BIGINT), map_of(_INTEGER, _TEXT)
    columns = [("content", _INTEGER), ("file_path", _TEXT), ("file_format", _TEXT)]
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
        rows.append(
            (
                int(item.content),
                item.file_path,
                item.file_format.value,
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
    manifests = list(snapshot.manifests(table.io)) if snapshot else []
    return [entry.data_file for found in planning.entries_of(table, manifests) for entry in found]


def _partitions(table: IcebergTable) -> Built:
    partitioned = bool(_partition_fields(table))
    measured = _measured_columns(table)
    columns = [("partition", _partition_type(table))] if partitioned else []
    columns += [("record_count", _BIGINT), ("file_count", _BIGINT), ("total_size", _BIGINT)]
    columns += [("data", row_of([_metrics_type(field) for field in measured]))] if measured else []
    groups: dict[Any, list[DataFile]] = {}
    for data_file, _ in planning.plan(table).files:
        groups.setdefault((data_file.spec_id, data_file.partition), []).append(data_file)
    rows = []
    for files in groups.values():
        row: list[Any] = [_partition_value(table, files[0])] if partitioned else []
        row += [sum(item.record_count for item in files), len(files)]
        row.append(sum(item.file_size_in_bytes for item in files))
        row += [{field.name: _metrics(field, files) for field in measured}] if measured else []
        rows.append(tuple(row))
    return columns, rows


def _measured_columns(table: IcebergTable) -> list[NestedField]:
    """Return the columns of which `$partitions` tells bounds and counts: primitive ones that are no partition themselves."""
    identity = {
        field.source_id
        for field in table.metadata.spec().fields
        if isinstance(field.transform, IdentityTransform)
    }
    return [
        field
        for field in table.schema.fields
        if field.field_type.is_primitive and field.field_id not in identity
    ]


def _metrics_type(field: NestedField) -> tuple[str, AthenaType]:
    kind = from_iceberg(field.field_type)
    return field.name, row_of([("min", kind), ("max", kind), ("null_count", _BIGINT), ("nan_count", _BIGINT)])


def _metrics(field: NestedField, files: list[DataFile]) -> dict[str, Any] | None:
    """Return a column's bounds and counts over some files; what one of them does not tell is NULL."""
    lower = _told(files, "lower_bounds", field)
    upper = _told(files, "upper_bounds", field)
    nulls, nans = _told(files, "null_value_counts", field), _told(files, "nan_value_counts", field)
    if lower is None and upper is None and nulls is None:
        return None
    return {
        "min": min(lower) if lower else None,
        "max": max(upper) if upper else None,
        "null_count": sum(nulls) if nulls is not None else None,
        "nan_count": sum(nans) if nans is not None else None,
    }


def _told(files: list[DataFile], counted: str, field: NestedField) -> list[Any] | None:
    found = [(getattr(item, counted) or {}).get(field.field_id) for item in files]
    if any(value is None for value in found):
        return None
    kind: Any = field.field_type
    return [from_bytes(kind, value) if isinstance(value, bytes) else value for value in found]


METADATA_TABLES: dict[str, Callable[[IcebergTable], Built]] = {
    "history": _history,
    "snapshots": _snapshots,
    "refs": _refs,
    "manifests": _manifests,
    "files": _files,
    "partitions": _partitions,
}
