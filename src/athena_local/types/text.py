"""Numbers, times and intervals in Java's and Trino's text."""

from __future__ import annotations

import decimal
import math

# Double.toString: plain notation from 10^-3 up to 10^7, computerized scientific notation outside
JAVA_PLAIN_FROM_EXPONENT, JAVA_PLAIN_TO_EXPONENT = -3, 7


def java_double(value: float) -> str:
    """Return Java's Double.toString: the shortest digits that read back as the same double."""
    return _java_notation(repr(float(value))) if math.isfinite(value) else not_finite(value)


def java_real(value: float) -> str:
    """Return Java's Float.toString."""
    return _java_notation(_real_digits(value)) if math.isfinite(value) else not_finite(value)


def scientific_double(value: float) -> str:
    """Return what CAST(double AS varchar) gives: one digit before the point, always an exponent."""
    return _scientific(repr(float(value)), value) if math.isfinite(value) else not_finite(value)


def scientific_real(value: float) -> str:
    return _scientific(_real_digits(value), value) if math.isfinite(value) else not_finite(value)


def _real_digits(value: float) -> str:
    import numpy as np

    return str(np.format_float_scientific(np.float32(value), unique=True))


def not_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _digits(text: str) -> tuple[str, str, int]:
    """Return sign, significant digits and the first one's exponent."""
    parts = decimal.Decimal(text).as_tuple()
    digits = "".join(map(str, parts.digits))
    exponent = int(parts.exponent) + len(digits) - 1
    return ("-" if parts.sign else ""), digits.rstrip("0") or "0", exponent


def _scientific(text: str, value: float) -> str:
    sign, digits, exponent = _digits(text)
    return f"{sign}0E0" if not value else f"{sign}{digits[0]}.{digits[1:] or '0'}E{exponent}"


def _java_notation(text: str) -> str:
    sign, digits, exponent = _digits(text)
    if digits == "0":
        return f"{sign}0.0"
    if not JAVA_PLAIN_FROM_EXPONENT <= exponent < JAVA_PLAIN_TO_EXPONENT:
        return f"{sign}{digits[0]}.{digits[1:] or '0'}E{exponent}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    return f"{sign}{whole}.{digits[exponent + 1 :] or '0'}"


def day_interval(millis: int) -> str:
    """An interval day to second: `2 03:04:05.678`."""
    sign, total = ("-" if millis < 0 else ""), abs(millis)
    days, rest = divmod(total, 86_400_000)
    hours, rest = divmod(rest, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    seconds, millis = divmod(rest, 1000)
    return f"{sign}{days} {hours:02}:{minutes:02}:{seconds:02}.{millis:03}"


def month_interval(months: int) -> str:
    """An interval year to month: `1-2`."""
    years, rest = divmod(abs(months), 12)
    return f"{'-' if months < 0 else ''}{years}-{rest}"


def time_with_zone(text: str, digits: int) -> str:
    """DuckDB's `01:02:03.456-08` with the fraction's digits given, the offset's minutes and no shortening."""
    place = max(text.find("+"), text.find("-"))
    clock, offset = text[:place], text[place:]
    if ":" not in offset:
        offset += ":00"
    whole, _, fraction = clock.partition(".")
    return whole + (f".{fraction[:digits].ljust(digits, '0')}" if digits else "") + offset[:6]
