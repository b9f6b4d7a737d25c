"""Arithmetic of numbers: Trino's result types, integers that divide as integers, decimals that are exact or overflow."""

from __future__ import annotations

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.coercion import as_decimal, common_type
from athena_local.sql.dialect import Text
from athena_local.sql.expressions.operands import operand
from athena_local.sql.functions.signatures import failing
from athena_local.sql.scope import Typed
from athena_local.types import AthenaType

MOST_DIGITS = 38
_ZERO = failing("Division by zero", "DIVISION_BY_ZERO")
_NATIVE = {
    "+": "trino_decimal_add",
    "-": "trino_decimal_add",
    "*": "trino_decimal_multiply",
    "/": "trino_decimal_divide",
}


def combined(left: Typed, right: Typed, sign: str) -> Typed:
    kind = common_type(left.type, right.type)
    assert kind is not None
    if kind.base == "decimal":
        return _decimals(left, right, sign)
    nodes = [operand(_widened(part, kind)) for part in (left, right)]
    if kind.is_integer and sign == "/":
        sign = "//"
    if not kind.is_integer and sign == "%":  # C's fmod, as Java's
        return Typed(Text(this="fmod({0}, {1})", expressions=nodes), kind)
    return Typed(Text(this=f"({{0}} {sign} {{1}})", expressions=nodes), kind)


def _widened(part: Typed, kind: AthenaType) -> exp.Expression:
    """Return the operand in the result's type: DuckDB would take a narrower one for `tinyint + 1`."""
    if part.type is None or part.type.base == kind.base:
        return part.node
    return Text(this=f"CAST({{0}} AS {kind.duckdb()})", expressions=[part.node])


def _decimals(left: Typed, right: Typed, sign: str) -> Typed:
    assert left.type is not None
    assert right.type is not None
    one, other = as_decimal(left.type), as_decimal(right.type)
    kind, digits = decimal_result(one, other, sign)
    if (kind.scale or 0) > MOST_DIGITS:
        text = f"DECIMAL scale must be in range [0, precision ({MOST_DIGITS})]: {kind.scale}"
        raise QueryError("INVALID_FUNCTION_ARGUMENT", text)
    nodes = [
        Text(this=f"CAST({{0}} AS {wanted.duckdb()})", expressions=[part.node])
        for part, wanted in ((left, one), (right, other))
    ]
    if sign == "%":
        text = f"CASE WHEN {{1}} = 0 THEN {_ZERO} ELSE CAST({{0}} % {{1}} AS {kind.duckdb()}) END"
        return Typed(Text(this=text, expressions=nodes), kind)
    if sign != "/" and digits <= MOST_DIGITS:
        return Typed(Text(this=f"CAST(({{0}} {sign} {{1}}) AS {kind.duckdb()})", expressions=nodes), kind)
    second = "CAST(-{1} AS VARCHAR)" if sign == "-" else "CAST({1} AS VARCHAR)"
    call = f"{_NATIVE[sign]}(CAST({{0}} AS VARCHAR), {second}, {kind.precision}, {kind.scale})"
    return Typed(Text(this=f"CAST({call} AS {kind.duckdb()})", expressions=nodes), kind)


def decimal_result(left: AthenaType, right: AthenaType, sign: str) -> tuple[AthenaType, int]:
    """Return the type Trino gives the result, and the digits it would have without the limit of 38."""
    p1, s1, p2, s2 = left.precision or 38, left.scale or 0, right.precision or 38, right.scale or 0
    if sign == "*":
        digits, scale = p1 + p2, s1 + s2
    elif sign == "/":
        digits, scale = p1 + s2 + max(s2 - s1, 0), max(s1, s2)
    elif sign == "%":
        digits, scale = min(p2 - s2, p1 - s1) + max(s1, s2), max(s1, s2)
    else:
        scale = max(s1, s2)
        digits = max(p1 - s1, p2 - s2) + scale + 1
    return AthenaType("decimal", min(MOST_DIGITS, digits), scale), digits
