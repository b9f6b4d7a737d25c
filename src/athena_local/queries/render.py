"""Arrow values as the text Athena puts in result files and in GetQueryResults.

Columns of scalars are rendered whole, by Arrow's own casts where those agree with Trino; doubles (Java's `Double.toString`)
and nested values go one by one. What Arrow's type does not tell (digits of a second, padding, which zone) the column's own
type does.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from athena_local.context import ResultColumn
from athena_local.types import AthenaType
from athena_local.types.text import (
    day_interval,
    java_double,
    java_real,
    month_interval,
    time_with_zone,
)

DEFAULT_FRACTION_DIGITS = 3  # timestamp(3), what `timestamp` means to Trino
_UNITS = {3: "ms", 6: "us", 9: "ns"}
_MAPPED_IPV4 = bytes(10) + b"\xff\xff"
Show = Callable[[Any], str]


def render_column(array: pa.Array, column: ResultColumn) -> pa.Array:
    """Return a column as a string array; NULL stays NULL."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        array = array.dictionary_decode()
        kind = array.type
    shape = column.kind
    if shape is None or shape.base not in {"char", "time with time zone"}:
        if pa.types.is_string(kind):
            return array
        if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            return array.cast(pa.string())
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_date32(kind):
        return array.cast(pa.string())
    if pa.types.is_timestamp(kind) and _fraction_digits(column) in _UNITS:
        return _render_timestamps(array, column)
    show = _renderer(kind, shape, _fraction_digits(column))
    return pa.array([None if value is None else show(value) for value in _values(array)], pa.string())


def _values(array: pa.Array) -> list[Any]:
    """Return Python's values. Nanoseconds are no datetime's to hold: they come as text."""
    if pa.types.is_timestamp(array.type) and array.type.unit == "ns":
        texts: list[Any] = array.cast(pa.string()).to_pylist()
        return texts
    values: list[Any] = array.to_pylist()
    return values


def _fraction_digits(column: ResultColumn) -> int:
    is_temporal = column.type.startswith(("time", "timestamp"))
    if is_temporal and column.kind is not None and column.kind.precision is not None:
        return column.kind.precision
    return column.precision if is_temporal and column.precision else DEFAULT_FRACTION_DIGITS


def _render_timestamps(array: pa.Array, column: ResultColumn) -> pa.Array:
    """`2025-01-01 10:00:00.000`, with the zone's name after it where the type has one."""
    unit = _UNITS[_fraction_digits(column)]
    zone = array.type.tz
    local = pc.local_timestamp(array) if zone else array
    text = local.cast(pa.timestamp(unit), safe=False).cast(pa.string())
    return pc.binary_join_element_wise(text, pa.scalar(zone), " ") if zone else text


def _renderer(kind: pa.DataType, shape: AthenaType | None, digits: int) -> Show:
    """Return what renders one non-NULL Python value (as `to_pylist` gives it) of an Arrow type."""
    if shape is not None:
        own = _by_shape(kind, shape)
        if own is not None:
            return own
    if pa.types.is_boolean(kind):
        return lambda value: "true" if value else "false"
    if pa.types.is_float32(kind):
        return java_real
    if pa.types.is_floating(kind):
        return java_double
    if pa.types.is_decimal(kind):
        return lambda value: format(value, "f")
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return lambda value: bytes(value).hex(" ")
    if pa.types.is_timestamp(kind):
        return lambda value: _render_datetime(value, digits)
    if pa.types.is_time(kind):
        return lambda value: _render_time(value, digits)
    if pa.types.is_duration(kind):
        return lambda value: day_interval(value // datetime.timedelta(milliseconds=1))
    if pa.types.is_interval(kind):
        return _render_interval
    return _nested_renderer(kind, shape, digits)


def _by_shape(kind: pa.DataType, shape: AthenaType) -> Show | None:
    """Return what renders a type that Arrow's does not tell apart."""
    digits = shape.precision if shape.precision is not None else DEFAULT_FRACTION_DIGITS
    if shape.base == "char":
        width = shape.precision or 1
        return lambda value: str(value).ljust(width)
    if shape.base == "ipaddress":
        return _render_address
    if shape.base == "time with time zone":
        return lambda value: time_with_zone(str(value), digits)
    if shape.base == "interval year to month":
        return lambda value: month_interval(value.months)
    if shape.base == "interval day to second" and pa.types.is_interval(kind):
        return lambda value: day_interval(value.days * 86_400_000 + value.nanoseconds // 1_000_000)
    if shape.zone_by_row and pa.types.is_struct(kind) and shape.is_zoned:
        from athena_local.sql.zones import tzinfo

        def zoned(value: Any) -> str:
            local = value["instant"].astimezone(tzinfo(value["zone"])).replace(tzinfo=None)
            return f"{_render_datetime(local, digits)} {value['zone']}"

        return zoned
    if shape.base in {"timestamp", "timestamp with time zone"} and pa.types.is_timestamp(kind):
        return lambda value: _render_datetime(value, digits)
    if shape.base == "time" and pa.types.is_time(kind):
        return lambda value: _render_time(value, digits)
    return None


def _nested_renderer(kind: pa.DataType, shape: AthenaType | None, digits: int) -> Show:
    inner: list[AthenaType | None] = (
        [field for _, field in shape.fields]
        if shape is not None and shape.fields
        else [None] * kind.num_fields
    )
    if pa.types.is_map(kind):
        key, item = _nullable(kind.key_type, inner[0], digits), _nullable(kind.item_type, inner[-1], digits)
        return lambda pairs: "{" + ", ".join(f"{key(one)}={item(other)}" for one, other in pairs) + "}"
    if pa.types.is_struct(kind):
        if len(inner) != kind.num_fields:
            inner = [None] * kind.num_fields
        fields = [
            (field.name, _nullable(field.type, form, digits)) for field, form in zip(kind, inner, strict=True)
        ]
        return lambda row: "{" + ", ".join(f"{name}={show(row[name])}" for name, show in fields) + "}"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        element = _nullable(kind.value_type, inner[0], digits)
        return lambda values: "[" + ", ".join(element(value) for value in values) + "]"
    return str


def _nullable(kind: pa.DataType, shape: AthenaType | None, digits: int) -> Show:
    show = _renderer(kind, shape, digits)
    return lambda value: "null" if value is None else show(value)


def _render_datetime(value: datetime.datetime | str, digits: int) -> str:
    if isinstance(value, str):  # nanoseconds
        whole, _, fraction = value.partition(".")
        return whole + (f".{fraction[:digits].ljust(digits, '0')}" if digits else "")
    text = value.strftime("%Y-%m-%d %H:%M:%S").rjust(19, "0")
    text += f".{value.microsecond:06}"[: digits + 1].ljust(digits + 1, "0") if digits else ""
    return f"{text} {value.tzinfo}" if value.tzinfo else text


def _render_time(value: datetime.time, digits: int) -> str:
    fraction = f".{value.microsecond:06}"[: digits + 1].ljust(digits + 1, "0") if digits else ""
    return value.strftime("%H:%M:%S") + fraction


def _render_address(value: bytes) -> str:
    if value[:12] == _MAPPED_IPV4:
        return str(ipaddress.IPv4Address(value[12:]))
    return str(ipaddress.IPv6Address(value))


def _render_interval(value: Any) -> str:
    """An Arrow month-day-nano interval: `1-2` when it has months, else as day to second."""
    if value.months:
        return month_interval(value.months)
    return day_interval(value.days * 86_400_000 + value.nanoseconds // 1_000_000)
