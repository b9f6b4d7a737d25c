"""Types two values have in common, as Trino coerces: numbers widen, dates become timestamps, text never a number."""

from __future__ import annotations

from sqlglot import exp

from athena_local.sql.dialect import Text
from athena_local.sql.scope import Typed
from athena_local.sql.zones import as_zoned_by_row
from athena_local.types import BY_ROW, DATE, VARCHAR, AthenaType, array_of, map_of, row_of

Type = AthenaType | None
TIME_FAMILY = {"date", "timestamp", "timestamp with time zone"}
_CLOCK_FAMILY = {"time", "time with time zone"}
_NUMERIC_ORDER = ["tinyint", "smallint", "integer", "bigint", "decimal", "real", "double"]
_INTEGER_DIGITS = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19}
# what a value of the first type may silently become, nearest first
_COERCIONS: dict[str, list[str]] = {
    "tinyint": ["smallint", "integer", "bigint", "decimal", "real", "double"],
    "smallint": ["integer", "bigint", "decimal", "real", "double"],
    "integer": ["bigint", "decimal", "real", "double"],
    "bigint": ["decimal", "real", "double"],
    "decimal": ["real", "double"],
    "real": ["double"],
    "date": ["timestamp", "timestamp with time zone"],
    "timestamp": ["timestamp with time zone"],
    "time": ["time with time zone"],
    "char": ["varchar"],
}


def as_decimal(kind: AthenaType) -> AthenaType:
    """Return the decimal an exact number becomes beside a decimal."""
    return AthenaType("decimal", _INTEGER_DIGITS[kind.base], 0) if kind.is_integer else kind


def coercion_cost(given: AthenaType, wanted: str) -> int | None:
    """Return how far Trino goes to make one base type another, 0 for the same; None when it does not."""
    if given.base == wanted:
        return 0
    if given.base == "unknown":
        return 1
    steps = _COERCIONS.get(given.base, [])
    return steps.index(wanted) + 1 if wanted in steps else None


def common_type(left: Type, right: Type) -> Type:
    """Return the type both coerce to; None when not known here (or when there is none)."""
    if left is None or right is None:
        return None
    if left == right:
        return _same_but_zones(left, right)
    if right.base == "unknown":
        return left
    if left.base == "unknown":
        return right
    if left.is_numeric and right.is_numeric:
        return _common_number(left, right)
    if left.is_text and right.is_text:
        return _common_text(left, right)
    if {left.base, right.base} <= TIME_FAMILY:
        return _common_time(left, right)
    if {left.base, right.base} <= _CLOCK_FAMILY:
        zoned = "with time zone" in left.base + right.base
        precision = max(left.precision or 0, right.precision or 0)
        return AthenaType("time with time zone" if zoned else "time", precision)
    return _common_container(left, right)


def _same_but_zones(left: AthenaType, right: AthenaType) -> AthenaType:
    if left.zone != right.zone:
        return left.in_zone(BY_ROW)
    return left


def _common_number(left: AthenaType, right: AthenaType) -> AthenaType:
    wide = max(left.base, right.base, key=_NUMERIC_ORDER.index)
    if wide != "decimal":
        return AthenaType(wide)
    one, other = as_decimal(left), as_decimal(right)
    scale = max(one.scale or 0, other.scale or 0)
    whole = max((one.precision or 38) - (one.scale or 0), (other.precision or 38) - (other.scale or 0))
    return AthenaType("decimal", min(38, whole + scale), scale)


def _common_text(left: AthenaType, right: AthenaType) -> AthenaType:
    if left.precision is None or right.precision is None:
        return VARCHAR
    base = "char" if "char" in {left.base, right.base} else "varchar"
    return AthenaType(base, max(left.precision, right.precision))


def _common_time(left: AthenaType, right: AthenaType) -> AthenaType:
    precision = max(left.precision or 0, right.precision or 0)
    if not (left.is_zoned or right.is_zoned):
        return AthenaType("timestamp", precision)
    zones = {kind.zone for kind in (left, right) if kind.is_zoned}
    if not (left.is_zoned and right.is_zoned):
        zones.add(None)  # what gets a zone here gets the session's, UTC
    return AthenaType("timestamp with time zone", precision, zone=zones.pop() if len(zones) == 1 else BY_ROW)


def _common_container(left: AthenaType, right: AthenaType) -> Type:
    if left.base != right.base:
        return None
    if left.base == "array":
        inner = common_type(left.element, right.element)
        return array_of(inner) if inner else None
    if left.base == "map":
        key, value = common_type(left.key, right.key), common_type(left.value, right.value)
        return map_of(key, value) if key and value else None
    if left.base == "row" and len(left.fields) == len(right.fields):
        fields: list[tuple[str, AthenaType]] = []
        for (name, one), (other_name, other) in zip(left.fields, right.fields, strict=True):
            inner = common_type(one, other)
            if inner is None:
                return None
            fields.append((name if name == other_name else "", inner))
        return row_of(fields)
    return None


def assignable(given: AthenaType, wanted: AthenaType) -> bool:
    """Whether INSERT, UPDATE and MERGE may store a value in a column: Trino asks for a common type, in either direction.

    So a decimal goes into an integer column and a zoned timestamp into a plain one (its local time, in its own zone); what
    does not fit fails by value. Precision, scale and length never forbid it.
    """
    if given.base == "unknown":
        return True
    if given.base == wanted.base:
        return len(given.fields) == len(wanted.fields) and all(
            assignable(one, other) for (_, one), (_, other) in zip(given.fields, wanted.fields, strict=True)
        )
    return common_type(given, wanted) is not None


def incomparable(left: Type, right: Type) -> bool:
    """Whether two known types are of different families; what is not known is taken as fitting."""
    if left is None or right is None or "unknown" in {left.base, right.base}:
        return False
    return family(left) != family(right)


def family(kind: AthenaType) -> str:
    if kind.is_numeric:
        return "number"
    if kind.is_text:
        return "text"
    if kind.base in TIME_FAMILY:
        return "time"
    if kind.base in _CLOCK_FAMILY:
        return "clock"
    return {"varbinary": "binary"}.get(kind.base, kind.base)


def coerced(node: exp.Expression, given: Type, wanted: Type) -> exp.Expression:
    """Return the DuckDB expression of a value in the type Trino coerces it to; itself where DuckDB needs no help."""
    if given is None or wanted is None or "unknown" in {wanted.base, given.base}:
        return node
    if wanted.is_zoned:
        return _in_wanted_zone(node, given, wanted)
    if given.base == wanted.base:
        if given.zone_by_row != wanted.zone_by_row and given.base == "array":
            element = coerced(Text(this='"_z"'), given.element, wanted.element)
            return Text(this='list_transform({0}, LAMBDA "_z" : {1})', expressions=[node, element])
        return node
    if given.base == "char" and wanted.base == "varchar":
        return padded(node, given)
    return Text(this=f"CAST({{0}} AS {wanted.duckdb()})", expressions=[node])


def zoned_alike(typed: Typed, wanted: Type) -> exp.Expression:
    """Return a value beside others of one column: only zones need help, the rest DuckDB finds a type for."""
    if wanted is None or typed.type is None or not (wanted.zone_by_row or wanted.is_zoned):
        return typed.node
    return coerced(typed.node, typed.type, wanted)


def _in_wanted_zone(node: exp.Expression, given: AthenaType, wanted: AthenaType) -> exp.Expression:
    if not given.is_zoned:
        text = "timezone('UTC', CAST({0} AS TIMESTAMP))" if given == DATE else "timezone('UTC', {0})"
        node = Text(this=text, expressions=[node])
        given = wanted.in_zone(None)
    if wanted.zone == BY_ROW and given.zone != BY_ROW:
        return as_zoned_by_row(node, given.zone)
    return node


def padded(node: exp.Expression, kind: AthenaType) -> exp.Expression:
    """Return a CHAR as the text it shows: DuckDB's value has no padding, as Trino's own has none."""
    return Text(this=f"rpad(rtrim({{0}}, ' '), {kind.precision or 1}, ' ')", expressions=[node])
