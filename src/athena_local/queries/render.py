"""Arrow values as the text Athena puts in result files and in GetQueryResults.

Columns of scalars are rendered whole, by Arrow's own casts where those agree with Trino; doubles (Java's
`Double.toString`) and nested values go one by one.
"""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from athena_local.context import ResultColumn

# Double.toString: plain notation from 10^-3 up to 10^7, computerized scientific notation outside
JAVA_PLAIN_FROM_EXPONENT, JAVA_PLAIN_TO_EXPONENT = -3, 7
DEFAULT_FRACTION_DIGITS = 3  # timestamp(3), what `timestamp` means to Trino


def render_column(array: pa.Array, column: ResultColumn) -> pa.Array:
    """Return a column as a string array; NULL stays NULL."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        array = array.dictionary_decode()
        kind = array.type
    if pa.types.is_string(kind):
        return array
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return array.cast(pa.string())
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_date32(kind):
        return array.cast(pa.string())
    if pa.types.is_timestamp(kind):
        return _render_timestamps(array, column)
    scalar = _scalar_renderer(kind, _fraction_digits(column))
    return pa.array([None if value is None else scalar(value) for value in array.to_pylist()], pa.string())


def _fraction_digits(column: ResultColumn) -> int:
    is_temporal = column.type.startswith(("time", "timestamp"))
    return column.precision if is_temporal and column.precision else DEFAULT_FRACTION_DIGITS


def _render_timestamps(array: pa.Array, column: ResultColumn) -> pa.Array:
    """`2025-01-01 10:00:00.000`, with the zone's name after it where the type has one."""
    unit = {3: "ms", 6: "us", 9: "ns"}.get(_fraction_digits(column), "ms")
    zone = array.type.tz
    local = pc.local_timestamp(array) if zone else array
    text = local.cast(pa.timestamp(unit), safe=False).cast(pa.string())
    return pc.binary_join_element_wise(text, pa.scalar(zone), " ") if zone else text


def _scalar_renderer(kind: pa.DataType, digits: int) -> Callable[[Any], str]:
    """Return what renders one non-NULL Python value (as `to_pylist` gives it) of an Arrow type."""
    if pa.types.is_boolean(kind):
        return lambda value: "true" if value else "false"
    if pa.types.is_float32(kind):
        return _render_real
    if pa.types.is_floating(kind):
        return render_double
    if pa.types.is_decimal(kind):
        return lambda value: format(value, "f")
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return lambda value: bytes(value).hex(" ")
    if pa.types.is_timestamp(kind):
        return lambda value: _render_datetime(value, digits)
    if pa.types.is_time(kind):
        return lambda value: _render_time(value, digits)
    if pa.types.is_duration(kind):
        return _render_duration
    if pa.types.is_interval(kind):
        return _render_interval
    if pa.types.is_map(kind):
        key, item = _nested(kind.key_type, digits), _nested(kind.item_type, digits)
        return lambda pairs: "{" + ", ".join(f"{key(one)}={item(other)}" for one, other in pairs) + "}"
    if pa.types.is_struct(kind):
        fields = [(field.name, _nested(field.type, digits)) for field in kind]
        return lambda row: "{" + ", ".join(f"{name}={show(row[name])}" for name, show in fields) + "}"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        element = _nested(kind.value_type, digits)
        return lambda values: "[" + ", ".join(element(value) for value in values) + "]"
    return str


def _nested(kind: pa.DataType, digits: int) -> Callable[[Any], str]:
    show = _scalar_renderer(kind, digits)
    return lambda value: "null" if value is None else show(value)


def render_double(value: float) -> str:
    """Return Java's Double.toString: the shortest digits that read back as the same double."""
    return _java_notation(repr(float(value))) if math.isfinite(value) else _not_finite(value)


def _render_real(value: float) -> str:
    if not math.isfinite(value):
        return _not_finite(value)
    import numpy as np

    return _java_notation(str(np.format_float_scientific(np.float32(value), unique=True)))


def _not_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _java_notation(text: str) -> str:
    parts = decimal.Decimal(text).as_tuple()
    digits = "".join(map(str, parts.digits))
    sign = "-" if parts.sign else ""
    if not digits.strip("0"):
        return f"{sign}0.0"
    exponent = int(parts.exponent) + len(digits) - 1  # of the first digit
    digits = digits.rstrip("0") or "0"
    if not JAVA_PLAIN_FROM_EXPONENT <= exponent < JAVA_PLAIN_TO_EXPONENT:
        return f"{sign}{digits[0]}.{digits[1:] or '0'}E{exponent}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    return f"{sign}{whole}.{digits[exponent + 1 :] or '0'}"


def _render_datetime(value: datetime.datetime, digits: int) -> str:
    text = value.strftime("%Y-%m-%d %H:%M:%S.") + f"{value.microsecond:06}"[:digits].ljust(digits, "0")
    return f"{text.rjust(20 + digits, '0')} {value.tzinfo}" if value.tzinfo else text.rjust(20 + digits, "0")


def _render_time(value: datetime.time, digits: int) -> str:
    return value.strftime("%H:%M:%S.") + f"{value.microsecond:06}"[:digits].ljust(digits, "0")


def _render_duration(value: datetime.timedelta) -> str:
    """An interval day to second: `2 03:04:05.678`."""
    total = value // datetime.timedelta(milliseconds=1)
    sign, total = ("-" if total < 0 else ""), abs(total)
    days, rest = divmod(total, 86_400_000)
    hours, rest = divmod(rest, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    seconds, millis = divmod(rest, 1000)
    return f"{sign}{days} {hours:02}:{minutes:02}:{seconds:02}.{millis:03}"


def _render_interval(value: Any) -> str:
    """An Arrow month-day-nano interval: `1-2` when it has months, else as day to second."""
    if value.months:
        years, months = divmod(abs(value.months), 12)
        return f"{'-' if value.months < 0 else ''}{years}-{months}"
    return _render_duration(datetime.timedelta(days=value.days, microseconds=value.nanoseconds // 1000))
