"""Aggregate functions. What surrounds a call (`wrap`) stays outside its FILTER and OVER."""

from __future__ import annotations

from collections.abc import Sequence

from athena_local.sql.functions.signatures import Function, Type, aggregate, array_of_first, first, to_type_of
from athena_local.types import (
    BIGINT,
    BOOLEAN,
    DOUBLE,
    INTEGER,
    VARBINARY,
    AthenaType,
    map_of,
)


def _sum(types: Sequence[Type]) -> Type:
    kind = types[0]
    if kind is None or not kind.is_numeric:
        return None
    if kind.is_integer:
        return BIGINT
    return AthenaType("decimal", 38, kind.scale) if kind.base == "decimal" else kind


def _average(types: Sequence[Type]) -> Type:
    kind = types[0]
    return None if kind is None else (kind if kind.base in {"decimal", "real"} else DOUBLE)


def _sum_wrap(types: Sequence[Type]) -> str:
    return to_type_of(_sum(types), "{0}")


def _average_wrap(types: Sequence[Type]) -> str:
    kind = types[0]
    return to_type_of(kind, "{0}") if kind is not None and kind.base in {"decimal", "real"} else "{0}"


def _map_aggregate_type(types: Sequence[Type]) -> Type:
    return map_of(types[0], types[1]) if types[0] and types[1] else None


def _percentile(types: Sequence[Type]) -> str:
    several = types[1] is not None and types[1].base == "array"
    return f"approx_quantile({{0}}, CAST({{1}} AS FLOAT{'[]' if several else ''}))"


def _percentile_type(types: Sequence[Type]) -> Type:
    several = types[1] is not None and types[1].base == "array"
    return array_of_first(types) if several else types[0]


def _percentile_wrap(types: Sequence[Type]) -> str:
    return to_type_of(_percentile_type(types), "{0}")


_HASH = "sum(CAST(hash({0}) AS HUGEINT))"
# Not Trino's own value (that is an XxHash64 of its block encoding): equal for equal multisets, in any order, which is
# what a checksum is compared for.
_HASH_WRAP = "unhex(printf('%016x', CAST(({0}) % 18446744073709551616 AS UBIGINT)))"

FUNCTIONS: dict[str, Function] = {
    "count": aggregate("count({*})", BIGINT, 0, None),
    "count_if": aggregate("count_if({0})", BIGINT, wrap="CAST({0} AS BIGINT)"),
    "sum": aggregate("sum({0})", _sum, wrap=_sum_wrap),
    "avg": aggregate("avg({0})", _average, wrap=_average_wrap),
    "min": aggregate("min({*})", lambda types: array_of_first(types) if len(types) > 1 else types[0], 1, 2),
    "max": aggregate("max({*})", lambda types: array_of_first(types) if len(types) > 1 else types[0], 1, 2),
    "min_by": aggregate("arg_min_null({0}, {1})", first, 2),
    "max_by": aggregate("arg_max_null({0}, {1})", first, 2),
    "arbitrary": aggregate("any_value({0})", first),
    "any_value": aggregate("any_value({0})", first),
    "bool_and": aggregate("bool_and({0})", BOOLEAN),
    "every": aggregate("bool_and({0})", BOOLEAN),
    "bool_or": aggregate("bool_or({0})", BOOLEAN),
    "array_agg": aggregate("list({0})", array_of_first),
    "map_agg": aggregate(
        "list({{'key': {0}, 'value': {1}}})", _map_aggregate_type, 2, wrap="map_from_entries({0})"
    ),
    "histogram": aggregate("histogram({0})", lambda types: map_of(types[0], BIGINT) if types[0] else None),
    "approx_distinct": aggregate("approx_count_distinct({0})", BIGINT, 1, 2),
    "approx_percentile": aggregate(_percentile, _percentile_type, 2, wrap=_percentile_wrap),
    "checksum": aggregate(_HASH, VARBINARY, wrap=_HASH_WRAP),
    "stddev": aggregate("stddev_samp({0})", DOUBLE),
    "stddev_samp": aggregate("stddev_samp({0})", DOUBLE),
    "stddev_pop": aggregate("stddev_pop({0})", DOUBLE),
    "variance": aggregate("var_samp({0})", DOUBLE),
    "var_samp": aggregate("var_samp({0})", DOUBLE),
    "var_pop": aggregate("var_pop({0})", DOUBLE),
    "corr": aggregate("corr({0}, {1})", DOUBLE, 2),
    "covar_pop": aggregate("covar_pop({0}, {1})", DOUBLE, 2),
    "covar_samp": aggregate("covar_samp({0}, {1})", DOUBLE, 2),
    "regr_slope": aggregate("regr_slope({0}, {1})", DOUBLE, 2),
    "regr_intercept": aggregate("regr_intercept({0}, {1})", DOUBLE, 2),
    "skewness": aggregate("skewness({0})", DOUBLE),
    "kurtosis": aggregate("kurtosis({0})", DOUBLE),
    "geometric_mean": aggregate("geomean({0})", DOUBLE),
    "bitwise_and_agg": aggregate("bit_and(CAST({0} AS BIGINT))", BIGINT),
    "bitwise_or_agg": aggregate("bit_or(CAST({0} AS BIGINT))", BIGINT),
    "grouping": aggregate("grouping({*})", INTEGER, 1, None, wrap="CAST({0} AS INTEGER)"),
}
