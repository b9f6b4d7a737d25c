"""A data file's Arrow columns in the shape the lake table has today: found by Iceberg field id, promoted, or absent.

Columns may have been renamed, added or widened since the file was written; field ids stay.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from penstock.errors import PlanError, ValueRefusedError
from penstock.sync.columns import Column
from penstock.sync.convert import convert
from penstock.sync.values import Values

_ARROW = {
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "string": pa.string(),
    "uuid": pa.binary(16),
    "binary": pa.binary(),
}
_PROMOTED = (
    "int",
    "long",
    "float",
    "double",
)  # a file may be older than the column's promotion to one of these

# Bytes of a batch's columns in memory: 4 to 64 MB. It makes batches of wide rows (embeddings, long lists) shorter.
_BATCH_BYTES = 16 << 20
_FEWEST_ROWS = 256


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
    text = [column for column in lake_columns(columns) if column.lake_type == "string"]
    return [names[column.field_id] for column in text if column.field_id in names]


def batch_rows(metadata: pq.FileMetaData, names: Mapping[int, str], most: int) -> int:
    """Return how many rows of a file to read at a time, at most `most`, so that a batch stays small in memory."""
    wanted, size = set(names.values()), 0
    for group in range(metadata.num_row_groups):
        chunks = metadata.row_group(group)
        for i in range(chunks.num_columns):
            chunk = chunks.column(i)
            if chunk.path_in_schema.split(".")[0] in wanted:
                size += chunk.total_uncompressed_size
    row_bytes = size / max(1, metadata.num_rows)
    return max(_FEWEST_ROWS, min(most, int(_BATCH_BYTES / max(1.0, row_bytes))))


def values_of(columns: Sequence[Column], batch: pa.RecordBatch, place: str = "") -> list[Values]:
    """Return a batch of a data file as the values Postgres will hold, in the order of `columns`.

    `place` (table, partition) opens the message where a value is refused. Raises: ValueRefusedError naming column, value
    and the row's key.
    """
    rows = batch.num_rows
    at = {field_id(field): i for i, field in enumerate(batch.schema)}
    arrays = {
        column.field_id: promoted(
            column, batch.schema.field(at[column.field_id]), batch.column(at[column.field_id])
        )
        if column.field_id in at
        else absent(column, rows)
        for column in lake_columns(columns)
    }
    try:
        computed = {}
        if any(column.expression for column in columns):
            from penstock.sync.expressions import evaluate

            computed = evaluate(columns, arrays)
        return [
            convert(column, computed[column.name] if column.expression else arrays[column.field_id])
            for column in columns
        ]
    except ValueRefusedError as error:
        # A computed part of the key is not shown: it may be what failed.
        key = {item.name: arrays[item.field_id] for item in columns if item.in_key and not item.expression}
        shown = ", ".join(f"{name}={array[error.row].as_py()}" for name, array in key.items())
        error.message = (
            (f"{place}: " if place else "") + error.message + (f" Its row is {shown}." if shown else "")
        )
        raise


def promoted(column: Column, field: pa.Field, array: pa.Array) -> pa.Array:
    """Return the array in the column's type of today: files older than a promotion (int to long) hold the former one."""
    return _shaped(column.nested or column.lake_type, field, array)


def absent(column: Column, rows: int) -> pa.Array:
    """Return the nulls of a column that is younger than the file."""
    if column.lake_type == "decimal":
        return pa.nulls(rows, pa.decimal128(column.type.precision, column.type.scale))
    return pa.nulls(rows, _arrow(column.nested or column.lake_type))


def field_id(field: pa.Field) -> int | None:
    number = (field.metadata or {}).get(b"PARQUET:field_id")
    return int(number) if number is not None else None


def _shaped(lake_type: Any, field: pa.Field, array: pa.Array) -> pa.Array:
    """Return an array as the lake's type (JSON) has it today, fields of structs found by id."""
    if isinstance(lake_type, str):
        wanted = _ARROW[lake_type] if lake_type in _PROMOTED else array.type
        return array if array.type == wanted else array.cast(wanted)
    if lake_type["type"] == "struct":
        inner = {field_id(field.type.field(i)): i for i in range(field.type.num_fields)}
        parts = []
        for item in lake_type["fields"]:
            i = inner.get(item["id"])
            parts.append(
                pa.nulls(len(array), _arrow(item["type"]))
                if i is None
                else _shaped(item["type"], field.type.field(i), array.field(i))
            )
        names = [item["name"] for item in lake_type["fields"]]
        return pa.StructArray.from_arrays(parts, names, mask=array.is_null())
    if lake_type["type"] == "list":
        element = _shaped(lake_type["element"], field.type.value_field, array.flatten())
        return pa.ListArray.from_arrays(_offsets(array), element)
    keys = _shaped(lake_type["key"], field.type.key_field, array.keys)
    items = _shaped(lake_type["value"], field.type.item_field, array.items)
    valid = pa.concat_arrays([array.is_valid(), pa.array([True])])  # the end of the last map is an offset too
    return pa.MapArray.from_arrays(pc.if_else(valid, array.offsets, None), keys, items)


def _offsets(array: pa.Array) -> pa.Array:
    """Return the offsets of a list array's elements once they are flat; a null list has a null one."""
    counts = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    ends = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    nulls = np.append(array.is_null().to_numpy(zero_copy_only=False), False)
    return pa.array(ends, pa.int32(), mask=nulls)


def _arrow(lake_type: Any) -> pa.DataType:
    """Return the Arrow type of an Iceberg type (JSON)."""
    if isinstance(lake_type, dict):
        if lake_type["type"] == "struct":
            return pa.struct([(item["name"], _arrow(item["type"])) for item in lake_type["fields"]])
        if lake_type["type"] == "list":
            return pa.list_(_arrow(lake_type["element"]))
        return pa.map_(_arrow(lake_type["key"]), _arrow(lake_type["value"]))
    if lake_type.startswith("decimal"):
        precision, scale = re.findall(r"\d+", lake_type)
        return pa.decimal128(int(precision), int(scale))
    return _ARROW["binary" if lake_type.startswith("fixed") else lake_type]
