"""Scans: from a plan to the DuckDB text that reads it, deletes applied.

Columns are found by field id, so a renamed column keeps its values and an added one is NULL in older files. Position
deletes are an anti join on file and position, equality deletes one on the columns they name.
"""

from __future__ import annotations

import contextlib
import datetime
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyiceberg.manifest import DataFile, DataFileContent
from pyiceberg.schema import Schema

from athena_local.errors import QueryError
from athena_local.iceberg import layouts
from athena_local.iceberg.planning import AsOf, Plan, plan, schema_of
from athena_local.iceberg.predicates import paths_of, to_filter
from athena_local.iceberg.schema import duckdb_type, read_schema, text, to_columns
from athena_local.iceberg.table import pinned
from athena_local.objects import S3Object
from athena_local.types import Column, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pyiceberg.types import NestedField
    from sqlglot import exp

    from athena_local.engine.session import Session
    from athena_local.iceberg.planning import PlannedFile
    from athena_local.iceberg.table import IcebergTable, Record

PATH, POSITION, MODIFIED = "$path", "$pos", "$file_modified_time"


@dataclass(frozen=True)
class Scan:
    """`sql` is a DuckDB FROM item, parenthesised, without an alias; `columns` are the visible ones."""

    sql: str
    columns: list[Column]


def scan_columns(session: Session, table: Record, as_of: AsOf | None = None) -> list[Column]:
    """Return the columns that a scan shows, in small letters as Athena names them."""
    return [
        Column(column.name.lower(), column.type, column.comment)
        for column in to_columns(schema_of(pinned(session, table), as_of))
    ]


def scan(
    session: Session, table: Record, *, predicate: exp.Expression | None = None, as_of: AsOf | None = None
) -> Scan:
    """Return the current or an earlier snapshot as SQL: the table's columns, then "$path", "$pos", "$file_modified_time"."""
    loaded = pinned(session, table)
    schema = schema_of(loaded, as_of)
    planned = plan(loaded, to_filter(predicate, schema), as_of)
    paths = paths_of(predicate, PATH)
    if paths is not None:
        planned = Plan(loaded, schema, [entry for entry in planned.files if entry[0].file_path in paths])
    return Scan(to_sql(session, planned), to_columns(schema))


def scalar(session: Session, sql: str) -> int:
    """Return the one number a query gives. Every row is fetched: DuckDB wants a result finished before the next."""
    return int(session.execute(sql).fetchall()[0][0])


def to_sql(session: Session, planned: Plan) -> str:
    """Return the parenthesised select of a plan."""
    session.files.register(
        [_known(item) for data_file, deletes in planned.files for item in (data_file, *deletes)]
    )
    schema = _with_compared(planned)
    hidden = f'"{PATH}", file_row_number AS "{POSITION}", {_modified(session)} AS "{MODIFIED}"'
    listed = ", ".join(quote(field.name) for field in planned.schema.fields)
    parts = []
    for columns, files in layouts.groups(session, planned, schema):
        for members, deletes in _by_deletes(files):
            source = _read(members, schema, columns)
            joins = _anti_joins(schema, deletes)
            parts.append(f"SELECT {listed}, {hidden} FROM {source} AS d {joins}")
    return f"({' UNION ALL '.join(parts)})" if parts else _empty(planned.schema)


def _empty(schema: Schema) -> str:
    columns = ", ".join(
        f"CAST(NULL AS {duckdb_type(field.field_type)}) AS {quote(field.name)}" for field in schema.fields
    )
    return (
        f'(SELECT {columns}, CAST(NULL AS VARCHAR) AS "{PATH}", CAST(NULL AS BIGINT) AS "{POSITION}", '
        f'CAST(NULL AS TIMESTAMPTZ) AS "{MODIFIED}" WHERE false)'
    )


def _by_deletes(files: Sequence[PlannedFile]) -> list[tuple[list[DataFile], list[DataFile]]]:
    """Return (data files, their delete files): those without any, those with positions only, and one entry for each set
    of equality deletes, because these do not name the files that they apply to."""
    found: dict[Any, tuple[list[DataFile], dict[str, DataFile]]] = {}
    for data_file, deletes in files:
        key = (bool(deletes), tuple(item.file_path for item in deletes if is_equality(item)))
        members, applied = found.setdefault(key, ([], {}))
        members.append(data_file)
        applied.update({item.file_path: item for item in deletes})
    return [(members, [applied[path] for path in sorted(applied)]) for members, applied in found.values()]


def is_equality(item: DataFile) -> bool:
    return bool(item.content == DataFileContent.EQUALITY_DELETES)


def _with_compared(planned: Plan) -> Schema:
    """Return the schema with the columns that equality deletes compare, though they may have been dropped since."""
    field_ids = {
        field_id for _, deletes in planned.files for item in deletes for field_id in item.equality_ids or ()
    }
    dropped = [
        _historic(planned.table, field_id)
        for field_id in sorted(field_ids)
        if planned.schema.find_column_name(field_id) is None
    ]
    return Schema(*planned.schema.fields, *dropped) if dropped else planned.schema


def _historic(table: IcebergTable, field_id: int) -> NestedField:
    for schema in reversed(table.metadata.schemas):
        for field in schema.fields:
            if field.field_id == field_id:
                return field.model_copy(update={"name": f"__dropped_{field_id}"})
    text = f"Equality deletes on field {field_id}, which {table.name} does not have"
    raise QueryError("ICEBERG_BAD_DATA", text)


def _paths(files: Iterable[DataFile]) -> str:
    return f"[{', '.join(text(item.file_path) for item in files)}]"


def _read(files: Sequence[DataFile], schema: Schema, columns: dict[str, str] | None) -> str:
    named = f"filename = '{PATH}', file_row_number = true"
    if columns is None:
        return f"read_parquet({_paths(files)}, schema = {read_schema(schema)}, {named})"
    values = ", ".join(f"{value} AS {quote(name)}" for name, value in columns.items())
    return f'(SELECT {values}, "{PATH}", file_row_number FROM read_parquet({_paths(files)}, {named}))'


def _anti_joins(schema: Schema, deletes: Sequence[DataFile]) -> str:
    """Return the joins that leave out deleted rows. A position is NULL in no delete file, so that join is exact."""
    joins = []
    positions = [item for item in deletes if not is_equality(item)]
    if positions:
        joins.append(
            f"ANTI JOIN (SELECT file_path, pos FROM read_parquet({_paths(positions)})) AS x "
            f'ON x.pos = d.file_row_number AND x.file_path = d."{PATH}"'
        )
    by_columns: dict[tuple[int, ...], list[DataFile]] = defaultdict(list)
    for item in deletes:
        if is_equality(item):
            by_columns[tuple(sorted(item.equality_ids or ()))].append(item)
    for number, (field_ids, files) in enumerate(by_columns.items()):
        joins.append(_equality_join(f"x{number}", schema, field_ids, files))
    return " ".join(joins)


def _equality_join(alias: str, schema: Schema, field_ids: Sequence[int], files: Sequence[DataFile]) -> str:
    fields = [field for field in schema.fields if field.field_id in field_ids]
    if len(fields) < len(field_ids):
        raise QueryError("NOT_SUPPORTED", "Equality deletes on fields inside a column are not supported")
    same = " AND ".join(
        f"{alias}.{quote(field.name)} IS NOT DISTINCT FROM d.{quote(field.name)}" for field in fields
    )
    source = f"read_parquet({_paths(files)}, schema = {read_schema(Schema(*fields))})"
    return f"ANTI JOIN {source} AS {alias} ON {same}"


def _known(item: DataFile) -> S3Object:
    """Return what the manifest says of a file, which saves asking S3 for its size."""
    return S3Object(
        item.file_path, item.file_size_in_bytes, "", datetime.datetime.fromtimestamp(0, datetime.UTC)
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
