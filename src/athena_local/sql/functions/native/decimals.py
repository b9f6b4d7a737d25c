"""Decimals wider than DuckDB's integers can divide: exact, rounded half up, refused above 38 digits."""

from __future__ import annotations

import decimal

from athena_local.sql.functions.native.registry import InvalidError, native

_CONTEXT = decimal.Context(prec=120, rounding=decimal.ROUND_HALF_UP)


@native("VARCHAR", "VARCHAR", "VARCHAR", "BIGINT", "BIGINT")
def decimal_divide(left: str, right: str, precision: int, scale: int) -> str:
    divisor = decimal.Decimal(right)
    if not divisor:
        raise InvalidError("Division by zero", "DIVISION_BY_ZERO")
    quotient = _CONTEXT.divide(decimal.Decimal(left), divisor)
    return _fitted(quotient, precision, scale)


@native("VARCHAR", "VARCHAR", "VARCHAR", "BIGINT", "BIGINT")
def decimal_multiply(left: str, right: str, precision: int, scale: int) -> str:
    return _fitted(_CONTEXT.multiply(decimal.Decimal(left), decimal.Decimal(right)), precision, scale)


@native("VARCHAR", "VARCHAR", "VARCHAR", "BIGINT", "BIGINT")
def decimal_add(left: str, right: str, precision: int, scale: int) -> str:
    return _fitted(_CONTEXT.add(decimal.Decimal(left), decimal.Decimal(right)), precision, scale)


def _fitted(value: decimal.Decimal, precision: int, scale: int) -> str:
    rounded = value.quantize(decimal.Decimal(1).scaleb(-scale), context=_CONTEXT)
    if len(rounded.as_tuple().digits) > precision:
        raise InvalidError("Decimal overflow", "NUMERIC_VALUE_OUT_OF_RANGE")
    return format(rounded, "f")
