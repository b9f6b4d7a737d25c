"""Athena's types from and to those of Arrow, PyIceberg and DuckDB's result columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from athena_local.types import model as m

if TYPE_CHECKING:
    import pyarrow as pa


def to_arrow(kind: m.AthenaType) -> pa.DataType:
    import pyarrow as pa

    simple: dict[str, Callable[[], Any]] = {
        "boolean": pa.bool_,
        "tinyint": pa.int8,
        "smallint": pa.int16,
        "integer": pa.int32,
        "bigint": pa.int64,
        "real": pa.float32,
        "double": pa.float64,
        "varbinary": pa.binary,
        "ipaddress": pa.binary,
        "date": pa.date32,
        "unknown": pa.null,
    }
    if kind.base in simple:
        return simple[kind.base]()
    if kind.base == "decimal":
        return pa.decimal128(kind.precision or 38, kind.scale or 0)
    if kind.base == "timestamp":
        return pa.timestamp("ns" if (kind.precision or 0) > m.MICROS else "us")
    if kind.is_zoned:
        return pa.timestamp("us", tz=kind.zone or "UTC")
    if kind.base == "time":
        return pa.time64("us")
    if kind.base == "array":
        return pa.list_(to_arrow(kind.element))
    if kind.base == "map":
        return pa.map_(to_arrow(kind.key), to_arrow(kind.value))
    if kind.base == "row":
        return pa.struct([pa.field(name, to_arrow(inner)) for name, inner in kind.fields])
    return pa.string()


def arrow_in_zone(arrow: pa.DataType, kind: m.AthenaType) -> pa.DataType:
    """Return the Arrow type with each timestamp's zone as the Athena type names it; only the label differs."""
    import pyarrow as pa

    if pa.types.is_timestamp(arrow) and arrow.tz and kind.is_zoned and kind.zone not in {None, m.BY_ROW}:
        return pa.timestamp(arrow.unit, tz=kind.zone)
    if kind.base == "array" and pa.types.is_list(arrow):
        return pa.list_(arrow.value_field.with_type(arrow_in_zone(arrow.value_type, kind.element)))
    if kind.base == "map" and pa.types.is_map(arrow):
        return pa.map_(
            arrow.key_field.with_type(arrow_in_zone(arrow.key_type, kind.key)),
            arrow.item_field.with_type(arrow_in_zone(arrow.item_type, kind.value)),
        )
    if kind.base == "row" and pa.types.is_struct(arrow) and len(kind.fields) == arrow.num_fields:
        pairs = zip(arrow, kind.fields, strict=True)
        return pa.struct([field.with_type(arrow_in_zone(field.type, inner)) for field, (_, inner) in pairs])
    return arrow


def to_iceberg(kind: m.AthenaType, next_id: Callable[[], int]) -> Any:
    from pyiceberg import types as ice

    simple: dict[str, Any] = {
        "boolean": ice.BooleanType,
        "integer": ice.IntegerType,
        "tinyint": ice.IntegerType,
        "smallint": ice.IntegerType,
        "bigint": ice.LongType,
        "real": ice.FloatType,
        "double": ice.DoubleType,
        "varchar": ice.StringType,
        "char": ice.StringType,
        "varbinary": ice.BinaryType,
        "date": ice.DateType,
        "time": ice.TimeType,
        "timestamp": ice.TimestampType,
        "timestamp with time zone": ice.TimestamptzType,
        "uuid": ice.UUIDType,
    }
    if kind.base in simple:
        return simple[kind.base]()
    if kind.base == "decimal":
        return ice.DecimalType(kind.precision or 38, kind.scale or 0)
    if kind.base == "array":
        element_id = next_id()
        return ice.ListType(element_id, to_iceberg(kind.element, next_id), element_required=False)
    if kind.base == "map":
        key_id, value_id = next_id(), next_id()
        key, value = to_iceberg(kind.key, next_id), to_iceberg(kind.value, next_id)
        return ice.MapType(key_id, key, value_id, value, value_required=False)
    if kind.base == "row":
        ids = [next_id() for _ in kind.fields]
        return ice.StructType(
            *(
                ice.NestedField(field_id, name, to_iceberg(inner, next_id), required=False)
                for field_id, (name, inner) in zip(ids, kind.fields, strict=True)
            )
        )
    raise ValueError(f"Type not supported for Iceberg: {kind.trino()}")


def from_iceberg(kind: Any) -> m.AthenaType:
    """Return the Athena type of a PyIceberg one."""
    from pyiceberg import types as ice

    if isinstance(kind, ice.DecimalType):
        return m.AthenaType("decimal", kind.precision, kind.scale)
    if isinstance(kind, ice.ListType):
        return m.array_of(from_iceberg(kind.element_type))
    if isinstance(kind, ice.MapType):
        return m.map_of(from_iceberg(kind.key_type), from_iceberg(kind.value_type))
    if isinstance(kind, ice.StructType):
        return m.row_of([(field.name, from_iceberg(field.field_type)) for field in kind.fields])
    simple: dict[Any, m.AthenaType] = {
        ice.BooleanType: m.BOOLEAN,
        ice.IntegerType: m.INTEGER,
        ice.LongType: m.BIGINT,
        ice.FloatType: m.REAL,
        ice.DoubleType: m.DOUBLE,
        ice.StringType: m.VARCHAR,
        ice.BinaryType: m.VARBINARY,
        ice.FixedType: m.VARBINARY,
        ice.DateType: m.DATE,
        ice.TimeType: m.AthenaType("time", 6),
        ice.TimestampType: m.AthenaType("timestamp", 6),
        ice.TimestamptzType: m.AthenaType("timestamp with time zone", 6),
        ice.UUIDType: m.UUID,
    }
    return simple[type(kind)]


def from_duckdb(kind: Any) -> m.AthenaType:
    """Return the Athena type of a DuckDB result column (a DuckDBPyType)."""
    name = str(kind.id)
    if name == "decimal":
        precision, scale = (child[1] for child in kind.children)
        return m.AthenaType("decimal", int(precision), int(scale))
    if name in {"list", "array"}:
        return m.array_of(from_duckdb(kind.children[0][1]))
    if name == "map":
        return m.map_of(*(from_duckdb(child[1]) for child in kind.children))
    if name == "struct":
        return m.row_of([(field, from_duckdb(child)) for field, child in kind.children])
    return _FROM_DUCKDB.get(name, m.VARCHAR)


_FROM_DUCKDB = {
    "boolean": m.BOOLEAN,
    "tinyint": m.TINYINT,
    "smallint": m.SMALLINT,
    "integer": m.INTEGER,
    "bigint": m.BIGINT,
    "utinyint": m.SMALLINT,
    "usmallint": m.INTEGER,
    "uinteger": m.BIGINT,
    "ubigint": m.BIGINT,
    "hugeint": m.BIGINT,  # sums of integers: bigint to Trino
    "uhugeint": m.BIGINT,
    "float": m.REAL,
    "double": m.DOUBLE,
    "varchar": m.VARCHAR,
    "blob": m.VARBINARY,
    "date": m.DATE,
    "time": m.TIME,
    "time with time zone": m.AthenaType("time with time zone", 3),
    "timestamp": m.TIMESTAMP,
    "timestamp_ns": m.AthenaType("timestamp", 9),
    "timestamp with time zone": m.TIMESTAMP_TZ,
    "interval": m.DAY_TO_SECOND,
    "json": m.JSON,
    "uuid": m.UUID,
    "sqlnull": m.UNKNOWN,
    '"null"': m.UNKNOWN,
    "null": m.UNKNOWN,
}
