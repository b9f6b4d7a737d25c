"""Schemas: from Athena's columns to Iceberg's and back, and the two forms DuckDB wants field ids in.

What Athena refuses for Iceberg is refused here: a timestamp of another precision than 6 in a new table, and types that
Iceberg has not.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from pyiceberg import types
from pyiceberg.schema import Schema

from athena_local.errors import QueryError
from athena_local.types import AthenaType, Column, from_iceberg, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pyiceberg.types import IcebergType

_UNSUPPORTED = {
    "tinyint",
    "smallint",
    "char",
    "json",
    "unknown",
    "interval day to second",
    "interval year to month",
}


def to_schema(columns: Sequence[Column]) -> Schema:
    """Return a fresh schema; top-level ids come first, then nested ones, as Iceberg numbers them."""
    ids = itertools.count(len(columns) + 1)
    fields = []
    for number, column in enumerate(columns, start=1):
        kind = to_iceberg(column.type, lambda: next(ids))
        fields.append(
            types.NestedField(number, column.name, kind, required=False, doc=column.comment or None)
        )
    return Schema(*fields)


def to_iceberg(kind: AthenaType, next_id: Any) -> IcebergType:
    _check(kind)
    try:
        found: IcebergType = kind.iceberg(next_id)
    except ValueError as error:
        raise QueryError("NOT_SUPPORTED", str(error)) from error
    return found


def _check(kind: AthenaType) -> None:
    if kind.base in _UNSUPPORTED:
        raise QueryError("NOT_SUPPORTED", f"Type not supported for Iceberg: {kind.trino()}")
    for word in ("timestamp", "timestamp with time zone", "time"):
        if kind.base == word and kind.precision not in (None, 6):
            zone = " with time zone" if "zone" in word else ""
            name = "Time" if word == "time" else "Timestamp"
            raise QueryError(
                "NOT_SUPPORTED",
                f"{name} precision ({kind.precision}) not supported for Iceberg. "
                f'Use "{name.lower()}(6){zone}" instead.',
            )
    names = [name for name, _ in kind.fields]
    if kind.base == "row" and not all(names):
        raise QueryError("NOT_SUPPORTED", f"Row type field does not have a name: {kind.trino()}")
    if len({name.lower() for name in names}) != len(names):
        raise QueryError("NOT_SUPPORTED", f"Row type has two fields of one name: {kind.trino()}")
    for _, child in kind.fields:
        _check(child)


def with_precision(kind: AthenaType) -> AthenaType:
    """Return the type with every timestamp at Iceberg's precision, for DDL where `timestamp` alone means timestamp(6)."""
    fields = tuple((name, with_precision(child)) for name, child in kind.fields)
    precision = 6 if kind.base.startswith("time") else kind.precision
    return AthenaType(kind.base, precision, kind.scale, fields)


def to_columns(schema: Schema) -> list[Column]:
    return [Column(field.name, from_iceberg(field.field_type), field.doc or "") for field in schema.fields]


def duckdb_type(kind: IcebergType) -> str:
    return from_iceberg(kind).duckdb()


def field_ids(schema: Schema) -> str:
    """Return COPY's `field_ids` value."""
    return (
        "{"
        + ", ".join(
            f"{quote(field.name)}: {_ids(field.field_id, field.field_type)}" for field in schema.fields
        )
        + "}"
    )


def _ids(field_id: int, kind: IcebergType) -> str:
    if isinstance(kind, types.StructType):
        children = [(quote(field.name), field.field_id, field.field_type) for field in kind.fields]
    elif isinstance(kind, types.ListType):
        children = [("element", kind.element_id, kind.element_type)]
    elif isinstance(kind, types.MapType):
        children = [("key", kind.key_id, kind.key_type), ("value", kind.value_id, kind.value_type)]
    else:
        return str(field_id)
    inner = ", ".join(f"{name}: {_ids(child_id, child)}" for name, child_id, child in children)
    return f"{{__duckdb_field_id: {field_id}, {inner}}}"


def read_schema(schema: Schema) -> str:
    """Return read_parquet's `schema` value: every top-level column by id, so that renamed and added ones are found."""
    entries = (
        f"{field.field_id}: {{name: {text(field.name)}, type: {text(duckdb_type(field.field_type))}, default_value: NULL}}"
        for field in schema.fields
    )
    return "map {" + ", ".join(entries) + "}"


def leaves(schema: Schema) -> Iterator[tuple[str, int, types.PrimitiveType, bool]]:
    """Yield (DuckDB's statistics path, field id, type, whether bounds may be kept) of every primitive column."""
    for field in schema.fields:
        yield from _leaves(quote(field.name), field.field_id, field.field_type, True)


def _leaves(path: str, field_id: int, kind: IcebergType, bounds: bool) -> Iterator[Any]:
    if isinstance(kind, types.StructType):
        for field in kind.fields:
            yield from _leaves(f"{path}.{quote(field.name)}", field.field_id, field.field_type, bounds)
    elif isinstance(kind, types.ListType):
        yield from _leaves(f'{path}."element"', kind.element_id, kind.element_type, False)
    elif isinstance(kind, types.MapType):
        yield from _leaves(f'{path}."key"', kind.key_id, kind.key_type, False)
        yield from _leaves(f'{path}."value"', kind.value_id, kind.value_type, False)
    else:
        yield path, field_id, kind, bounds


def changed_inside(schemas: Iterable[Schema]) -> bool:
    """Tell whether anything inside a column was renamed, added, dropped or widened in the schemas' history.

    DuckDB finds columns by field id at the top level only: below it goes by name and, reading one field of a struct alone,
    by place.
    """
    known: dict[int, IcebergType] = {}
    for schema in schemas:
        for field in schema.fields:
            kind = field.field_type
            if not kind.is_primitive and known.setdefault(field.field_id, kind) != kind:
                return True
    return False


def text(value: str) -> str:
    """Return a DuckDB string literal."""
    return "'" + value.replace("'", "''") + "'"
