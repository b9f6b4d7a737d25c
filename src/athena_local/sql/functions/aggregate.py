"""Aggregate functions. What surrounds a call (`wrap`) stays outside its FILTER and OVER.

What Trino estimates is exact here: approx_distinct counts, approx_percentile picks a value of the group. Both lie within the
error Trino promises, and do not change from run to run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from athena_local.sql.functions.array_map import MULTIMAP, let
from athena_local.sql.functions.signatures import Call, Function, Type, aggregate, table, to_type_of
from athena_local.types import AthenaType

_INTEGERS = ("tinyint", "smallint", "integer", "bigint")


_MILLIS, _MONTHS = "epoch_ms({0})", "datepart('year', {0}) * 12 + datepart('month', {0})"
_INTERVALS = {"interval day to second": "to_milliseconds", "interval year to month": "to_months"}


def _totals(name: str) -> list[str]:
    """The signatures of sum and avg. Intervals are added as the milliseconds or months they are."""
    own = f"{name}({{0}})"
    return [
        f"bigint -> {'bigint' if name == 'sum' else 'double'}",
        own,
        f"decimal(p,s) -> decimal({'38' if name == 'sum' else 'p'},s)",
        own,
        "double -> double",
        own,
        "interval day to second -> interval day to second",
        f"{name}({_MILLIS})",
        "interval year to month -> interval year to month",
        f"{name}({_MONTHS})",
        "real -> real",
        own,
    ]


def _average_type(types: Sequence[Type]) -> str:
    kind = types[0]
    if kind is not None and kind.base in _INTERVALS:
        size = "BIGINT" if kind.base == "interval day to second" else "INTEGER"
        return f"{_INTERVALS[kind.base]}(CAST(round({{0}}) AS {size}))"
    if kind is not None and kind.base == "decimal":
        # DuckDB's avg is a double, off in its last digits, and its cast of one to a decimal rounds half to even; Trino's is
        # exact and rounds half up. Fifteen digits of the double are the mean: one that is not half a unit is off from it
        # by more than they leave out. A wider decimal has no such digits to spare.
        exact = (kind.precision or 38) <= 15
        return to_type_of(kind, "format('{{:.15g}}', {0})" if exact else "CAST({0} AS VARCHAR)")
    return to_type_of(kind, "{0}") if kind is not None and kind.base == "real" else "{0}"


def _sum_type(types: Sequence[Type]) -> str:
    kind = types[0]
    if kind is not None and kind.base in _INTERVALS:
        return _average_type(types)
    if kind is None or not kind.is_numeric:
        return "{0}"
    if kind.is_integer:
        return "CAST({0} AS BIGINT)"
    return to_type_of(AthenaType("decimal", 38, kind.scale) if kind.base == "decimal" else kind, "{0}")


def _percentile(call: Call) -> str:
    several = call.types[1] is not None and call.types[1].base == "array"
    return f"quantile_disc({{0}}, CAST({{1}} AS DOUBLE{'[]' if several else ''}))"


_PERCENTILES: list[Any] = []
for _kind in ("double", "real", "bigint"):
    _PERCENTILES += [
        f"{_kind}, double -> {_kind}",
        _percentile,
        f"{_kind}, array(double) -> array({_kind})",
        _percentile,
    ]


def _percentile_wrap(types: Sequence[Type]) -> str:
    if len(types) == 3:
        text = "trino_weighted_percentile(list_transform(_v, LAMBDA _q : CAST(_q.x AS DOUBLE)), "
        text += "list_transform(_v, LAMBDA _q : CAST(_q.w AS DOUBLE)), list_extract(_v, 1).p)"
        return to_type_of(types[0], let("{0}", text))
    kind = types[0]
    if kind is None:
        return "{0}"
    several = types[1] is not None and types[1].base == "array"
    return f"CAST({{0}} AS {kind.duckdb()}{'[]' if several else ''})"


def _checksum(call: Call) -> str:
    """Trino's own value for plain types; for nested ones another sum, equal for equal multisets all the same."""
    kind = call.types[0]
    base = kind.base if kind is not None else ""
    if base in {*_INTEGERS, "boolean"}:
        term = "trino_checksum_of_integer(CAST({0} AS BIGINT))"
    elif base == "date":
        term = "trino_checksum_of_integer(CAST({0} - DATE '1970-01-01' AS BIGINT))"
    elif base == "timestamp":
        term = "trino_checksum_of_integer(epoch_us({0}))"
    elif base in {"varchar", "char"}:
        term = "trino_checksum_of_bytes(encode({0}))"
    elif base == "varbinary":
        term = "trino_checksum_of_bytes({0})"
    elif base == "double":
        term = "trino_checksum_of_double({0})"
    else:
        term = "CAST(hash({0}) AS HUGEINT)"
    return f"sum(CAST({term} AS HUGEINT))"


_ENTRIES = "list({{'key': {0}, 'value': {1}}})"
_UNIQUE = (
    "CASE WHEN len(list_distinct(list_transform(_v, LAMBDA _q : _q.key))) = len(_v) THEN map_from_entries(_v)"
    " ELSE map_from_entries(list_filter(_v, LAMBDA _q, _i :"
    " list_position(list_transform(_v, LAMBDA _r : _r.key), _q.key) = _i)) END"
)
_MAP = let("list_filter({0}, LAMBDA _q : _q.key IS NOT NULL)", _UNIQUE)
_UNION = let("flatten(list_transform({0}, LAMBDA _q : map_entries(_q)))", _UNIQUE)


def _doubles(call: str, count: int = 1) -> dict[str, Any]:
    pairs: list[Any] = []
    for kind in ("double", "real"):
        pairs += [f"{', '.join([kind] * count)} -> {kind}", call]
    return aggregate(
        *pairs, wrap=lambda types: "CAST({0} AS FLOAT)" if types[0] and types[0].base == "real" else "{0}"
    )


def _deviation(call: str) -> dict[str, Any]:
    return aggregate("bigint -> double", call, "double -> double", call)


def _extreme(name: str) -> dict[str, Any]:
    return aggregate(
        "T -> T", f"{name}({{0}})", "T, bigint -> array(T)", f"{name}({{0}}, CAST({{1}} AS BIGINT))"
    )


def _extreme_by(name: str) -> dict[str, Any]:
    return aggregate(
        "V, K -> V",
        f"{name}_null({{0}}, {{1}})",
        "V, K, bigint -> array(V)",
        f"{name}({{0}}, {{1}}, CAST({{2}} AS BIGINT))",
    )


def _histogram_wrap() -> str:
    values, weights = (
        "list_transform(_v, LAMBDA _q : CAST(_q.x AS DOUBLE))",
        "list_transform(_v, LAMBDA _q : CAST(_q.w AS DOUBLE))",
    )
    return let("{0}", f"trino_numeric_histogram({values}, {weights}, list_extract(_v, 1).n)")


def _pairs(name: str) -> dict[str, Any]:
    return _doubles(f"{name}({{0}}, {{1}})", 2)


FUNCTIONS: dict[str, Function] = table(
    {
        "count": aggregate("-> bigint", "count(*)", "T -> bigint", "count({0})"),
        "count_if": aggregate("boolean -> bigint", "count(CASE WHEN {0} THEN 1 END)"),
        "sum": aggregate(*_totals("sum"), wrap=_sum_type),
        "avg": aggregate(*_totals("avg"), wrap=_average_type),
        "min": _extreme("min"),
        "max": _extreme("max"),
        "min_by": _extreme_by("arg_min"),
        "max_by": _extreme_by("arg_max"),
        "arbitrary": aggregate("T -> T", "any_value({0})"),
        "any_value": aggregate("T -> T", "any_value({0})"),
        "bool_and": aggregate("boolean -> boolean", "bool_and({0})"),
        "every": aggregate("boolean -> boolean", "bool_and({0})"),
        "bool_or": aggregate("boolean -> boolean", "bool_or({0})"),
        "array_agg": aggregate("T -> array(T)", "list({0})"),
        "map_agg": aggregate("K, V -> map(K,V)", _ENTRIES, wrap=_MAP),
        "map_union": aggregate("map(K,V) -> map(K,V)", "list({0})", wrap=_UNION),
        "multimap_agg": aggregate("K, V -> map(K,array(V))", "list(row({0}, {1}))", wrap=MULTIMAP),
        "histogram": aggregate("K -> map(K,bigint)", "histogram({0})"),
        "approx_distinct": aggregate(
            "T -> bigint", "count(DISTINCT {0})", "T, double -> bigint", "count(DISTINCT {0})"
        ),
        "approx_percentile": aggregate(
            *_PERCENTILES,
            "double, double, double -> double",
            "list({{'x': {0}, 'w': {1}, 'p': {2}}})",
            "bigint, double, double -> bigint",
            "list({{'x': {0}, 'w': {1}, 'p': {2}}})",
            wrap=_percentile_wrap,
        ),
        "numeric_histogram": aggregate(
            "bigint, double -> map(double,double)",
            "list({{'x': {1}, 'w': 1, 'n': CAST({0} AS BIGINT)}})",
            "bigint, double, double -> map(double,double)",
            "list({{'x': {1}, 'w': {2}, 'n': CAST({0} AS BIGINT)}})",
            wrap=_histogram_wrap(),
        ),
        "checksum": aggregate("T -> varbinary", _checksum, wrap="trino_checksum_bytes(CAST({0} AS VARCHAR))"),
        "stddev": _deviation("stddev_samp({0})"),
        "stddev_samp": _deviation("stddev_samp({0})"),
        "stddev_pop": _deviation("stddev_pop({0})"),
        "variance": _deviation("var_samp({0})"),
        "var_samp": _deviation("var_samp({0})"),
        "var_pop": _deviation("var_pop({0})"),
        "corr": _pairs("corr"),
        "covar_pop": _pairs("covar_pop"),
        "covar_samp": _pairs("covar_samp"),
        "regr_slope": _pairs("regr_slope"),
        "regr_intercept": _pairs("regr_intercept"),
        "skewness": aggregate(
            "bigint -> double",
            "list(CAST({0} AS DOUBLE))",
            "double -> double",
            "list({0})",
            wrap="trino_skewness({0})",
        ),
        "kurtosis": _deviation("kurtosis({0})"),
        "geometric_mean": aggregate(
            "bigint -> double",
            "geomean({0})",
            "double -> double",
            "geomean({0})",
            "real -> real",
            "geomean({0})",
        ),
        "bitwise_and_agg": aggregate("bigint -> bigint", "bit_and({0})"),
        "bitwise_or_agg": aggregate("bigint -> bigint", "bit_or({0})"),
        "grouping": aggregate("*... -> integer", "grouping({*})", wrap="CAST({0} AS INTEGER)"),
    },
    comparable="approx_distinct histogram checksum",
    orderable="min max",
)
