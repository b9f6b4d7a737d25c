"""A data file's Arrow columns in the shape the lake table has today: found by Iceberg field id, promoted, or absent.

Columns may have been renamed, added or widened since the file was written; field ids stay.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from penstock.errors import PlanError, SyncError
from penstock.sync.columns import Column
from penstock.sync.values import Values, convert

_ARROW = {
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
}


def lake_columns(columns: Sequence[Column]) -> list[Column]:
    """Return the lake columns to read: those synced as they are, and the inputs of expressions."""
    found = {column.field_id: column for column in columns if not column.expression}
    for column in columns:
        for source in column.inputs:
            found.setdefault(source.field_id, source)
    return list(found.values())


def names_of(schema: pa.Schema, columns: Sequence[Column], location: str) -> dict[int, str]:
    """Return what a file calls each lake column, by Iceberg field id: names may have changed since it was written."""
    by_id = {field_id(field): field.name for field in schema}
    if set(by_id) == {None}:
        raise PlanError(f"{location} carries no Iceberg field ids; its columns cannot be told for certain.")
    wanted = lake_columns(columns)
    return {column.field_id: by_id[column.field_id] for column in wanted if column.field_id in by_id}


def dictionary_names(columns: Sequence[Column], names: dict[int, str]) -> list[str]:
    """Return the file's names of the columns to read as dictionaries: text, whose words are then met once."""
    text = [column for column in columns if column.type.kind == "text" and not column.expression]
    return [names[column.field_id] for column in text if column.field_id in names]


def values_of(columns: Sequence[Column], batch: pa.RecordBatch, place: str = "") -> list[Values]:
    """Return a batch of a data file as the values Postgres will hold, in the order of `columns`.

    `place` (table, partition) opens the message where a value is refused. Raises: SyncError naming column, value and key.
    """
    rows = batch.num_rows
    at = {field_id(field): i for i, field in enumerate(batch.schema)}
    arrays = {
        column.field_id: promoted(column, batch.column(at[column.field_id]))
        if column.field_id in at
        else absent(column, rows)
        for column in lake_columns(columns)
    }
    try:
        return [convert(column, arrays[column.field_id]) for column in columns]
    except SyncError as error:
        if place:
            error.message = f"{place}: {error.message}"
        raise


def promoted(column: Column, array: pa.Array) -> pa.Array:
    """Return the array in the column's type of today: files older than a promotion (int to long) hold the former one."""
    wanted = _ARROW.get(column.lake_type)
    return array if wanted is None or array.type == wanted else array.cast(wanted)


def absent(column: Column, rows: int) -> pa.Array:
    """Return the nulls of a column that is younger than the file."""
    if column.lake_type == "decimal":
        return pa.nulls(rows, pa.decimal128(column.type.precision, column.type.scale))
    if column.lake_type.startswith("timestamp"):
        return pa.nulls(rows, pa.timestamp("us", tz="UTC" if column.lake_type == "timestamptz" else None))
    return pa.nulls(rows, _ARROW.get(column.lake_type, pa.string()))


def field_id(field: pa.Field) -> int | None:
    number = (field.metadata or {}).get(b"PARQUET:field_id")
    return int(number) if number is not None else None
