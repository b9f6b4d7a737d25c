"""Mathematical and bitwise functions."""

from __future__ import annotations

from collections.abc import Sequence

from athena_local.sql.functions.signatures import (
    Function,
    Type,
    common,
    doubles,
    first,
    like_argument,
    scalar,
    to_type_of,
)
from athena_local.types import (
    BIGINT,
    BOOLEAN,
    DOUBLE,
    AthenaType,
)


def _rounded(types: Sequence[Type]) -> Type:
    kind = types[0]
    if kind is not None and kind.base == "decimal" and len(types) == 1:
        return AthenaType("decimal", min(38, (kind.precision or 38) - (kind.scale or 0) + 1), 0)
    return kind


def _round(types: Sequence[Type]) -> str:
    if len(types) == 1:
        return to_type_of(_rounded(types) if types[0] and not types[0].is_integer else None, "round({0})")
    return to_type_of(types[0], "round({0}, CAST({1} AS INTEGER))")


FUNCTIONS: dict[str, Function] = {
    "abs": scalar("abs({0})", first),
    "ceil": scalar(like_argument("ceil({0})"), first),
    "ceiling": scalar(like_argument("ceil({0})"), first),
    "floor": scalar(like_argument("floor({0})"), first),
    "round": scalar(_round, _rounded, 1, 2),
    "truncate": scalar(like_argument("trunc({0})"), first),
    "sign": scalar(like_argument("sign({0})"), first),
    "mod": scalar("({0} % {1})", common, 2),
    "sqrt": doubles("sqrt"),
    "cbrt": doubles("cbrt"),
    "exp": doubles("exp"),
    "ln": doubles("ln"),
    "log2": doubles("log2"),
    "log10": doubles("log10"),
    "log": scalar("(ln({1}) / ln({0}))", DOUBLE, 2),
    "power": doubles("pow", 2),
    "pow": doubles("pow", 2),
    "pi": scalar("pi()", DOUBLE, 0),
    "e": scalar("exp(1)", DOUBLE, 0),
    "nan": scalar("CAST('NaN' AS DOUBLE)", DOUBLE, 0),
    "infinity": scalar("CAST('Infinity' AS DOUBLE)", DOUBLE, 0),
    "is_nan": scalar("isnan({0})", BOOLEAN),
    "is_finite": scalar("isfinite(CAST({0} AS DOUBLE))", BOOLEAN),
    "is_infinite": scalar("isinf(CAST({0} AS DOUBLE))", BOOLEAN),
    "sin": doubles("sin"),
    "cos": doubles("cos"),
    "tan": doubles("tan"),
    "asin": doubles("asin"),
    "acos": doubles("acos"),
    "atan": doubles("atan"),
    "atan2": doubles("atan2", 2),
    "degrees": doubles("degrees"),
    "radians": doubles("radians"),
    "rand": scalar("random()", DOUBLE, 0),
    "random": scalar("random()", DOUBLE, 0),
    "bitwise_and": scalar("CAST({0} & {1} AS BIGINT)", BIGINT, 2),
    "bitwise_or": scalar("CAST({0} | {1} AS BIGINT)", BIGINT, 2),
    "bitwise_xor": scalar("CAST(xor({0}, {1}) AS BIGINT)", BIGINT, 2),
    "bitwise_not": scalar("CAST(~{0} AS BIGINT)", BIGINT),
    "width_bucket": scalar(
        "CAST(CASE WHEN {0} < {1} THEN 0 WHEN {0} >= {2} THEN {3} + 1"
        " ELSE floor(({0} - {1}) * {3} / ({2} - {1})) + 1 END AS BIGINT)",
        BIGINT,
        4,
    ),
}
