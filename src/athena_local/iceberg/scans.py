"""Scans: from a snapshot to the DuckDB text that reads it, deletes applied, files pruned.

Columns are found by field id, so a renamed column keeps its values and an added one is NULL in older files; files without
ids (added by other engines under a name mapping) are read by name. Equality deletes, which Athena never writes, are refused.
"""

from __future__ import annotations

import contextlib
import datetime
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pyiceberg.expressions import AlwaysTrue, BooleanExpression
from pyiceberg.manifest import DataFile, FileFormat

from athena_local.errors import QueryError
from athena_local.iceberg.predicates import to_filter
from athena_local.iceberg.schema import duckdb_type, read_schema, renamed_inside, text
from athena_local.iceberg.table import pinned
from athena_local.objects import S3Object
from athena_local.types import quote

if TYPE_CHECKING:
    from sqlglot import exp

    from athena_local.engine.session import Session
    from athena_local.iceberg.table import IcebergTable, Record

PATH, POSITION, MODIFIED = "$path", "$pos", "$file_modified_time"
NAME_MAPPING = "schema.name-mapping.default"  # set when files without field ids were added to a table


@dataclass(frozen=True)
class AsOf:
    """FOR VERSION AS OF (a snapshot id, or the name of a branch or tag) or FOR TIMESTAMP AS OF (milliseconds UTC)."""

    version: int | str | None = None
    timestamp_ms: int | None = None


@dataclass(frozen=True)
class Scan:
    """`sql` is a DuckDB FROM item, parenthesised, without an alias."""

    sql: str


@dataclass(frozen=True)
class Plan:
    """The files of one snapshot that may hold what is looked for, each with the delete files that apply to it."""

    table: IcebergTable
    files: list[tuple[DataFile, list[DataFile]]]

    @cached_property
    def by_path(self) -> dict[str, DataFile]:
        return {data_file.file_path: data_file for data_file, _ in self.files}


def scan(
    session: Session, table: Record, *, predicate: exp.Expression | None = None, as_of: AsOf | None = None
) -> Scan:
    """Return the current or an earlier snapshot as SQL: the table's columns, then "$path", "$pos", "$file_modified_time"."""
    loaded = pinned(session, table)
    return Scan(to_sql(session, plan(loaded, to_filter(predicate, loaded.schema), as_of)))


def plan(table: IcebergTable, row_filter: BooleanExpression | None = None, as_of: AsOf | None = None) -> Plan:
    snapshot_id = resolve(table, as_of)
    if snapshot_id is None:
        return Plan(table, [])
    key = (snapshot_id, repr(row_filter))
    if key not in table.plans:
        table.plans[key] = Plan(table, _files(table, snapshot_id, row_filter or AlwaysTrue()))
    found: Plan = table.plans[key]
    return found


def _files(
    table: IcebergTable, snapshot_id: int, row_filter: BooleanExpression
) -> list[tuple[DataFile, list[DataFile]]]:
    renamed = renamed_inside(table.metadata.schemas)
    if renamed:
        raise QueryError(
            "NOT_SUPPORTED",
            f"A field inside column {renamed} of {table.name} was renamed; such files cannot be read",
        )
    try:
        tasks = list(table.pyiceberg().scan(row_filter=row_filter, snapshot_id=snapshot_id).plan_files())
    except ValueError as error:
        if "equality deletes" in str(error):
            raise QueryError(
                "NOT_SUPPORTED", f"Iceberg equality deletes are not supported: {table.name}"
            ) from error
        raise
    for kind in {item.file_format for task in tasks for item in (task.file, *task.delete_files)}:
        if kind != FileFormat.PARQUET:
            raise QueryError("NOT_SUPPORTED", f"Iceberg files in {kind} are not supported: {table.name}")
    files = [(task.file, sorted(task.delete_files, key=lambda item: item.file_path)) for task in tasks]
    return sorted(files, key=lambda item: item[0].file_path)


def resolve(table: IcebergTable, as_of: AsOf | None) -> int | None:
    """Return the id of the snapshot that is meant; None for a table that has none yet."""
    if as_of is None:
        return table.snapshot_id
    if as_of.timestamp_ms is not None:
        found = [entry for entry in table.metadata.snapshot_log if entry.timestamp_ms <= as_of.timestamp_ms]
        if not found:
            raise QueryError(
                "INVALID_ARGUMENTS",
                f'No version history table "{table.database}"."{table.name}" at or before that time',
            )
        return found[-1].snapshot_id
    if isinstance(as_of.version, int):
        if table.metadata.snapshot_by_id(as_of.version) is None:
            raise QueryError("INVALID_ARGUMENTS", f"Iceberg snapshot ID does not exists: {as_of.version}")
        return as_of.version
    reference = table.metadata.refs.get(str(as_of.version))
    if reference is None:
        raise QueryError("INVALID_ARGUMENTS", f"Cannot find snapshot with reference name: {as_of.version}")
    return reference.snapshot_id


def scalar(session: Session, sql: str) -> int:
    """Return the one number a query gives. Every row is fetched: DuckDB wants a result finished before the next."""
    return int(session.execute(sql).fetchall()[0][0])


def to_sql(session: Session, planned: Plan) -> str:
    """Return the parenthesised select of a plan."""
    parts = []
    session.files.register(
        [_known(item) for data_file, deletes in planned.files for item in (data_file, *deletes)]
    )
    identified, named = _by_field_ids(session, planned)
    whole = [item for item, deletes in identified if not deletes]
    with_deletes = [(item, deletes) for item, deletes in identified if deletes]
    schema = planned.table.schema
    columns = ", ".join(quote(field.name) for field in schema.fields)
    hidden = f'"{PATH}", file_row_number AS "{POSITION}", {_modified(session)} AS "{MODIFIED}"'
    if whole:
        parts.append(f"SELECT {columns}, {hidden} FROM {_read(planned, whole)}")
    if with_deletes:
        files = [item for item, _ in with_deletes]
        source = _read(planned, files)
        parts.append(
            f"SELECT {columns}, {hidden} FROM {source} AS d {_anti_join(d for _, ds in with_deletes for d in ds)}"
        )
    for item, deletes in named:
        parts.append(_by_name(session, planned, item, deletes, hidden))
    if not parts:
        empty = ", ".join(
            f"CAST(NULL AS {duckdb_type(field.field_type)}) AS {quote(field.name)}" for field in schema.fields
        )
        return (
            f'(SELECT {empty}, CAST(NULL AS VARCHAR) AS "{PATH}", CAST(NULL AS BIGINT) AS "{POSITION}", '
            f'CAST(NULL AS TIMESTAMPTZ) AS "{MODIFIED}" WHERE false)'
        )
    return f"({' UNION ALL '.join(parts)})"


def _known(item: DataFile) -> S3Object:
    """Return what the manifest says of a file, which saves asking S3 for its size."""
    return S3Object(
        item.file_path, item.file_size_in_bytes, "", datetime.datetime.fromtimestamp(0, datetime.UTC)
    )


def _read(planned: Plan, files: list[DataFile]) -> str:
    paths = ", ".join(text(item.file_path) for item in files)
    return (
        f"read_parquet([{paths}], schema = {read_schema(planned.table.schema)}, "
        f"filename = '{PATH}', file_row_number = true)"
    )


def _anti_join(deletes: Any) -> str:
    """Return the join that leaves out deleted rows. A position is NULL in no delete file, so the join is exact."""
    paths = ", ".join(text(path) for path in sorted({item.file_path for item in deletes}))
    return (
        f"ANTI JOIN (SELECT file_path, pos FROM read_parquet([{paths}])) AS x "
        f'ON x.pos = d.file_row_number AND x.file_path = d."{PATH}"'
    )


def _modified(session: Session) -> str:
    """Return the expression of $file_modified_time: S3 is asked, once a file, only when a query uses the column."""
    import duckdb
    import pyarrow as pa
    import pyarrow.compute as pc
    from duckdb.func import PythonUDFType

    known: dict[str, Any] = {}

    def modified(paths: Any) -> Any:
        if isinstance(paths, pa.ChunkedArray):
            paths = paths.combine_chunks()
        coded = pc.dictionary_encode(paths)
        for path in coded.dictionary.to_pylist():
            if path not in known:
                known[path] = session.context.objects.stat(path).modified
        times = pa.array([known[path] for path in coded.dictionary.to_pylist()], pa.timestamp("us", tz="UTC"))
        return pc.take(times, coded.indices)

    name = "iceberg_file_modified_time"
    with contextlib.suppress(
        duckdb.CatalogException, duckdb.NotImplementedException
    ):  # made by an earlier scan
        session.connection.create_function(
            name,
            modified,
            [duckdb.sqltype("VARCHAR")],
            duckdb.sqltype("TIMESTAMPTZ"),
            type=PythonUDFType.ARROW,
        )
    return f'{name}("{PATH}")'


def _by_field_ids(session: Session, planned: Plan) -> tuple[list[Any], list[Any]]:
    """Return (files to read by field id, files to read by name). Only a table with a name mapping can have the latter."""
    if not planned.files or NAME_MAPPING not in planned.table.metadata.properties:
        return planned.files, []
    paths = ", ".join(text(item.file_path) for item, _ in planned.files)
    rows = session.execute(
        f"SELECT file_name FROM parquet_schema([{paths}]) GROUP BY file_name HAVING count(field_id) > 0"
    ).fetchall()
    with_ids = {row[0] for row in rows}
    identified = [entry for entry in planned.files if entry[0].file_path in with_ids]
    return identified, [entry for entry in planned.files if entry[0].file_path not in with_ids]


def _by_name(session: Session, planned: Plan, item: DataFile, deletes: list[DataFile], hidden: str) -> str:
    path = text(item.file_path)
    rows = session.execute(f"DESCRIBE SELECT * FROM read_parquet([{path}])").fetchall()
    present = {row[0].lower(): row[0] for row in rows}
    columns = []
    for field in planned.table.schema.fields:
        source = quote(present[field.name.lower()]) if field.name.lower() in present else "NULL"
        columns.append(f"CAST({source} AS {duckdb_type(field.field_type)}) AS {quote(field.name)}")
    join = _anti_join(deletes) if deletes else ""
    return (
        f"SELECT {', '.join(columns)}, {hidden} "
        f"FROM read_parquet([{path}], filename = '{PATH}', file_row_number = true) AS d {join}"
    )
