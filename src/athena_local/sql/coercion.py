"""Types two values have in common, as Trino coerces: numbers widen, dates become timestamps, text never a number."""

from __future__ import annotations

from athena_local.types import VARCHAR, AthenaType, array_of, map_of

Type = AthenaType | None
TIME_FAMILY = {"date", "timestamp", "timestamp with time zone"}
_NUMERIC_ORDER = ["tinyint", "smallint", "integer", "bigint", "decimal", "real", "double"]
_INTEGER_DIGITS = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19}


def as_decimal(kind: AthenaType) -> AthenaType:
    """Return the decimal an exact number becomes beside a decimal."""
    return AthenaType("decimal", _INTEGER_DIGITS[kind.base], 0) if kind.is_integer else kind


def common_type(left: Type, right: Type) -> Type:
    """Return the type both coerce to; None when not known here (or when there is none)."""
    if left is None or right is None:
        return None
    if left == right or right.base == "unknown":
        return left
    if left.base == "unknown":
        return right
    if left.is_numeric and right.is_numeric:
        wide = max(left.base, right.base, key=_NUMERIC_ORDER.index)
        if wide != "decimal":
            return AthenaType(wide)
        one, other = as_decimal(left), as_decimal(right)
        scale = max(one.scale or 0, other.scale or 0)
        whole = max((one.precision or 38) - (one.scale or 0), (other.precision or 38) - (other.scale or 0))
        return AthenaType("decimal", min(38, whole + scale), scale)
    if {left.base, right.base} <= {"varchar", "char"}:
        return VARCHAR
    if {left.base, right.base} <= {"date", "timestamp", "timestamp with time zone"}:
        zoned = "with time zone" in left.base + right.base
        precision = max(left.precision or 0, right.precision or 0)
        return AthenaType("timestamp with time zone" if zoned else "timestamp", precision)
    if left.base == right.base == "array":
        inner = common_type(left.element, right.element)
        return array_of(inner) if inner else None
    if left.base == right.base == "map":
        key, value = common_type(left.key, right.key), common_type(left.value, right.value)
        return map_of(key, value) if key and value else None
    return None


def assignable(given: AthenaType, wanted: AthenaType) -> bool:
    """Whether INSERT, UPDATE and MERGE may store a value in a column: Trino asks for a common type, in either direction.

    So a decimal goes into an integer column and a zoned timestamp into a plain one; what does not fit fails by value.
    Precision, scale and length never forbid it.
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
    if kind.base in {"varchar", "char"}:
        return "text"
    if kind.base in TIME_FAMILY:
        return "time"
    if kind.base.startswith("interval"):
        return "interval"
    return {"varbinary": "binary"}.get(kind.base, kind.base)
