"""Casts from text and to it: what Trino reads, how it spells a value, and the words it refuses with."""

from __future__ import annotations

from sqlglot import exp

from athena_local.sql import zones
from athena_local.sql.coercion import padded
from athena_local.sql.dialect import Text
from athena_local.types import BY_ROW, AthenaType

_INTEGER_TEXT = "^[+-]?[0-9]+$"
_DATE_TEXT = r"^\s*[+-]?\d{4,}-\d{1,2}-\d{1,2}\s*$"
_STAMP_FORMATS = {
    0: "%Y-%m-%d %H:%M:%S",
    3: "%Y-%m-%d %H:%M:%S.%g",
    6: "%Y-%m-%d %H:%M:%S.%f",
    9: "%Y-%m-%d %H:%M:%S.%n",
}
_TIME_BEFORE_ZONE = r"(\d:\d\d(?:\.\d+)?)"
JAVA_NAMES = {
    "integer": "INT",
    "bigint": "BIGINT",
    "smallint": "SMALLINT",
    "tinyint": "TINYINT",
    "double": "DOUBLE",
    "real": "REAL",
    "boolean": "BOOLEAN",
}


def plain(node: exp.Expression, target: AthenaType) -> exp.Expression:
    text = f"CAST({{0}} AS {target.duckdb()})"
    if target.base == "varchar" and target.precision is not None:
        text = f"left({text}, {target.precision})"
    return Text(this=text, expressions=[node])


def wrap(text: str, node: exp.Expression) -> exp.Expression:
    return Text(this=text, expressions=[node])


def refusal(message: str, code: str = "INVALID_CAST_ARGUMENT") -> str:
    """Return what ends the query; in `message` a @ stands for the value's text."""
    before, _, after = message.replace("'", "''").partition("@")
    value = "' || CAST({0} AS VARCHAR) || '" if "@" in message else ""
    return f"trino_fail('ATHENA!{code}!{before}{value}{after}!END')"


def checked(read: str, message: str, code: str = "INVALID_CAST_ARGUMENT") -> str:
    """Return what `read` gives, or the refusal where it gives NULL for a value that is none."""
    return f"CASE WHEN {{0}} IS NOT NULL THEN coalesce({read}, {refusal(message, code)}) END"


def rounded(value: str, digits: int) -> str:
    step = 10 ** (6 - digits)
    return f"make_timestamp((epoch_us({value}) + {step // 2}) // {step} * {step})"


def to_text(node: exp.Expression, source: AthenaType, target: AthenaType) -> exp.Expression:
    shown = as_text(node, source)
    if target.precision is None:
        return shown
    if target.base == "char":
        return wrap(f"rtrim(left({{0}}, {target.precision}), ' ')", shown)
    if source.is_text or source.base in {"time", "timestamp", "date"}:
        return wrap(f"left({{0}}, {target.precision})", shown)
    message = f"Value @ cannot be represented as {target.trino()}"
    return wrap(f"CASE WHEN length({{0}}) > {target.precision} THEN {refusal(message)} ELSE {{0}} END", shown)


def as_text(node: exp.Expression, source: AthenaType) -> exp.Expression:
    """Return a value in Trino's text, as CAST(… AS varchar) makes it."""
    digits = source.precision if source.precision is not None else 3
    if source.is_zoned:
        text = f"({_stamp_text(digits)} || ' ' || {{1}})"
        return Text(this=text, expressions=[zones.local(node, source), zones.zone_name(node, source)])
    if source.base == "char":
        return padded(node, source)
    templates = {
        "varchar": "{0}",
        "double": "trino_double_text({0})",
        "real": "trino_real_text({0})",
        "timestamp": _stamp_text(digits),
        "time": f"left(strftime(DATE '2000-01-01' + {{0}}, '%H:%M:%S.%f'), {8 + (digits + 1 if digits else 0)})",
        "time with time zone": f"trino_timetz_text(CAST({{0}} AS VARCHAR), {digits})",
        "ipaddress": "trino_ip_to_text({0})",
        "interval day to second": "trino_day_interval_text(CAST(epoch_ms({0}) AS BIGINT))",
        "interval year to month": (
            "trino_month_interval_text(CAST(datepart('year', {0}) * 12 + datepart('month', {0}) AS BIGINT))"
        ),
    }
    return wrap(templates.get(source.base, "CAST({0} AS VARCHAR)"), node)


def _stamp_text(digits: int) -> str:
    if digits in _STAMP_FORMATS:
        return f"strftime({{0}}, '{_STAMP_FORMATS[digits]}')"
    return f"left(strftime({{0}}, '{_STAMP_FORMATS[6 if digits < 6 else 9]}'), {20 + min(digits, 9)})"


def from_text(node: exp.Expression, target: AthenaType) -> exp.Expression:
    word, base = target.duckdb(), target.base
    if target.is_integer:
        read = f"CASE WHEN regexp_matches({{0}}, '{_INTEGER_TEXT}') THEN TRY_CAST({{0}} AS {word}) END"
        return wrap(checked(read, f"Cannot cast '@' to {JAVA_NAMES[base]}"), node)
    if base in {"double", "real"}:
        return wrap(checked(f"TRY_CAST({{0}} AS {word})", f"Cannot cast '@' to {JAVA_NAMES[base]}"), node)
    if base == "boolean":
        read = "CASE WHEN lower({0}) IN ('t', 'true', '1') THEN true WHEN lower({0}) IN ('f', 'false', '0') THEN false END"
        return wrap(checked(read, "Cannot cast '@' to BOOLEAN"), node)
    if base == "decimal":
        message = f"Cannot cast VARCHAR '@' to DECIMAL({target.precision}, {target.scale})"
        return wrap(checked(f"TRY_CAST({{0}} AS {word})", message), node)
    if base == "date":
        read = f"CASE WHEN regexp_matches({{0}}, '{_DATE_TEXT}') THEN TRY_CAST(trim({{0}}) AS DATE) END"
        return wrap(checked(read, "Value cannot be cast to date: @"), node)
    if base == "time":
        read = r"CASE WHEN regexp_matches({0}, '^\s*\d{1,2}:\d{1,2}(:\d{1,2}(\.\d+)?)?\s*$') THEN TRY_CAST("
        read += r"CASE WHEN regexp_matches({0}, '^\s*\d+:\d+\s*$') THEN trim({0}) || ':00' ELSE {0} END AS TIME) END"
        return wrap(checked(read, "Value cannot be cast to time: @"), node)
    if base == "time with time zone":
        return wrap("CAST(trino_parse_timetz({0}) AS TIMETZ)", node)
    if base == "timestamp":
        return wrap(_text_to_timestamp(target), node)
    if target.is_zoned:
        zoned = wrap("trino_parse_zoned({0})", node)
        return zoned if target.zone == BY_ROW else zones.instant(zoned, target.in_zone(BY_ROW))
    if base == "uuid":
        return wrap(checked("TRY_CAST({0} AS UUID)", "Cannot cast value to UUID: @"), node)
    if base == "ipaddress":
        return wrap("trino_ip_from_text({0})", node)
    if base == "varbinary":
        return wrap("encode({0})", node)
    if base == "json":
        return wrap("to_json({0})", node)
    return plain(node, target)


def _text_to_timestamp(target: AthenaType) -> str:
    """Read what DuckDB does not: a zone, which a timestamp without one leaves out, and offsets like `-0`."""
    text = rf"regexp_replace({{0}}, '{_TIME_BEFORE_ZONE}\s*(?:[+-]\d\d?(?::\d\d)?|[A-Za-z][A-Za-z_/]*)\s*$', '\1')"
    kind = target.duckdb()
    plain = f"CASE WHEN NOT regexp_matches(substr({{0}}, 10), '[+-]') THEN TRY_CAST({{0}} AS {kind}) END"
    read = f"coalesce({plain}, TRY_CAST({text} AS {kind}))"
    if (target.precision or 0) < 6:
        read = rounded(read, target.precision or 0)
    return checked(read, "Value cannot be cast to timestamp: @")
