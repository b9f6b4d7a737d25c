"""Mathematical and bitwise functions, statistics' distributions among them."""

from __future__ import annotations

from typing import Any

from athena_local.sql.dialect import Text
from athena_local.sql.functions.signatures import Call, Function, scalar, table
from athena_local.sql.scope import Typed
from athena_local.types import AthenaType

_INTEGERS = ("bigint", "integer", "smallint", "tinyint")
_BITS = {"tinyint": 8, "smallint": 16, "integer": 32, "bigint": 64}


def _each(template: Any, *kinds: str) -> dict[str, Any]:
    """One signature a type, result as argument, DuckDB's value cast back to it."""
    pairs: list[Any] = []
    for kind in kinds:
        pairs += [f"{kind} -> {kind}", _like_first(template)]
    return scalar(*pairs)


def _like_first(template: str) -> Any:
    def fill(call: Call) -> str:
        kind = call.types[0]
        return f"CAST({template} AS {kind.duckdb()})" if kind is not None else template

    return fill


_NUMBERS = ("bigint", "decimal(p,s)", "double", "integer", "real", "smallint", "tinyint")


def _whole(template: str) -> Any:
    """ceil, floor and round of a decimal: no scale, one more digit where it may carry."""

    def fill(call: Call) -> str | Typed:
        kind = call.types[0]
        if kind is None:
            return template
        precision, scale = kind.precision or 38, kind.scale or 0
        result = AthenaType("decimal", min(38, precision - scale + min(scale, 1)), 0)
        return Typed(
            Text(this=f"CAST({template} AS {result.duckdb()})", expressions=[call.parts[0].node]), result
        )

    return fill


def _rounding(template: str) -> dict[str, Any]:
    pairs: list[Any] = []
    for kind in _NUMBERS:
        if kind == "decimal(p,s)":
            pairs += ["decimal(p,s) -> decimal(p,s)", _whole(template)]
        else:
            text = template if kind in {"double", "real"} else "{0}"
            pairs += [f"{kind} -> {kind}", _like_first(text)]
    return scalar(*pairs)


def _round_to(call: Call) -> str | Typed:
    kind = call.types[0]
    if kind is None:
        return "round({0}, CAST({1} AS INTEGER))"
    result = AthenaType("decimal", min(38, (kind.precision or 38) + 1), kind.scale)
    text = f"CAST(round({{0}}, CAST({{1}} AS INTEGER)) AS {result.duckdb()})"
    return Typed(Text(this=text, expressions=[part.node for part in call.parts]), result)


def _round() -> dict[str, Any]:
    entry = _rounding("round({0})")["overloads"]
    pairs: list[Any] = []
    for kind in _NUMBERS:
        template = _round_to if kind == "decimal(p,s)" else _like_first("round({0}, CAST({1} AS INTEGER))")
        pairs += [f"{kind}, integer -> {kind}", template]
    return {"overloads": (*entry, *scalar(*pairs)["overloads"])}


def _doubles(template: str, count: int = 1) -> dict[str, Any]:
    return scalar(f"{', '.join(['double'] * count)} -> double", template)


def _pairs_of_integers(template: str) -> dict[str, Any]:
    return scalar("bigint, bigint -> bigint", template)


def _shift(operation: str) -> dict[str, Any]:
    pairs: list[Any] = []
    for kind in _INTEGERS:
        text = f"CAST(trino_bit_shift({{0}}, {{1}}, {_BITS[kind]}, '{operation}') AS {kind.upper()})"
        pairs += [f"{kind}, bigint -> {kind}", text]
    return scalar(*pairs)


def _random() -> dict[str, Any]:
    pairs: list[Any] = ["-> double", "random()"]
    for kind in _INTEGERS:
        cast = f"CAST(floor(random() * {{0}}) AS {kind.upper()})"
        pairs += [f"{kind} -> {kind}", cast]
    for kind in _INTEGERS:
        cast = f"CAST(floor(random() * ({{1}} - {{0}}) + {{0}}) AS {kind.upper()})"
        pairs += [f"{kind}, {kind} -> {kind}", cast]
    return scalar(*pairs)


def _boolean_of_double(name: str) -> dict[str, Any]:
    return scalar("double -> boolean", f"{name}({{0}})")


_BUCKETS = (
    "CAST(CASE WHEN {0} < {1} THEN 0 WHEN {0} >= {2} THEN {3} + 1"
    " ELSE floor(({0} - {1}) * {3} / ({2} - {1})) + 1 END AS BIGINT)"
)
_MOD = [f"{kind}, {kind} -> {kind}" for kind in (*_INTEGERS, "decimal(p,s)", "double", "real")]

FUNCTIONS: dict[str, Function] = table(
    {
        "abs": _each("abs({0})", *_NUMBERS),
        "ceil": _rounding("ceil({0})"),
        "ceiling": _rounding("ceil({0})"),
        "floor": _rounding("floor({0})"),
        "round": _round(),
        "truncate": scalar(
            "double -> double",
            "trunc({0})",
            "real -> real",
            "CAST(trunc({0}) AS FLOAT)",
            "decimal(p,s) -> decimal(p,s)",
            _whole("trunc({0})"),
            "decimal(p,s), bigint -> decimal(p,s)",
            _like_first("trunc({0}, CAST({1} AS INTEGER))"),
        ),
        "sign": scalar(
            *[
                item
                for kind in (*_INTEGERS, "double", "real")
                for item in (f"{kind} -> {kind}", _like_first("sign({0})"))
            ],
            "decimal(p,s) -> decimal(1,0)",
            "CAST(sign({0}) AS DECIMAL(1, 0))",
        ),
        "mod": scalar(*[item for signature in _MOD for item in (signature, "({0} % {1})")]),
        "sqrt": _doubles("sqrt({0})"),
        "cbrt": _doubles("trino_cbrt({0})"),
        "exp": _doubles("exp({0})"),
        "ln": _doubles("ln({0})"),
        "log2": _doubles("log2({0})"),
        "log10": _doubles("log10({0})"),
        "log": _doubles("(ln({1}) / ln({0}))", 2),
        "power": _doubles("pow({0}, {1})", 2),
        "pow": _doubles("pow({0}, {1})", 2),
        "pi": scalar("-> double", "pi()"),
        "e": scalar("-> double", "exp(1)"),
        "nan": scalar("-> double", "CAST('NaN' AS DOUBLE)"),
        "infinity": scalar("-> double", "CAST('Infinity' AS DOUBLE)"),
        "is_nan": scalar("double -> boolean", "isnan({0})", "real -> boolean", "isnan({0})"),
        "is_finite": _boolean_of_double("isfinite"),
        "is_infinite": _boolean_of_double("isinf"),
        "sin": _doubles("sin({0})"),
        "cos": _doubles("cos({0})"),
        "tan": _doubles("tan({0})"),
        "sinh": _doubles("sinh({0})"),
        "cosh": _doubles("cosh({0})"),
        "tanh": _doubles("tanh({0})"),
        "asin": _doubles("asin({0})"),
        "acos": _doubles("acos({0})"),
        "atan": _doubles("atan({0})"),
        "atan2": _doubles("atan2({0}, {1})", 2),
        "degrees": _doubles("degrees({0})"),
        "radians": _doubles("radians({0})"),
        "rand": _random(),
        "random": _random(),
        "to_base": scalar("bigint, bigint -> varchar(64)", "trino_to_base({0}, {1})"),
        "from_base": scalar("varchar(x), bigint -> bigint", "trino_from_base({0}, {1})"),
        "width_bucket": scalar(
            "double, double, double, bigint -> bigint",
            _BUCKETS,
            "double, array(double) -> bigint",
            "CAST(len(list_filter({1}, LAMBDA _b : _b <= {0})) AS BIGINT)",
        ),
        "bit_count": scalar("bigint, bigint -> bigint", "trino_bit_count({0}, {1})"),
        "bitwise_and": _pairs_of_integers("({0} & {1})"),
        "bitwise_or": _pairs_of_integers("({0} | {1})"),
        "bitwise_xor": _pairs_of_integers("xor({0}, {1})"),
        "bitwise_not": scalar("bigint -> bigint", "(~{0})"),
        "bitwise_left_shift": _shift("left"),
        "bitwise_right_shift": _shift("right"),
        "bitwise_right_shift_arithmetic": _shift("arithmetic"),
        "normal_cdf": _doubles("trino_normal_cdf({0}, {1}, {2})", 3),
        "inverse_normal_cdf": _doubles("trino_inverse_normal_cdf({0}, {1}, {2})", 3),
        "beta_cdf": _doubles("trino_beta_cdf({0}, {1}, {2})", 3),
        "inverse_beta_cdf": _doubles("trino_inverse_beta_cdf({0}, {1}, {2})", 3),
        "wilson_interval_lower": scalar(
            "bigint, bigint, double -> double", "trino_wilson_interval({0}, {1}, {2}, -1)"
        ),
        "wilson_interval_upper": scalar(
            "bigint, bigint, double -> double", "trino_wilson_interval({0}, {1}, {2}, 1)"
        ),
        "cosine_similarity": scalar(
            "map(varchar, double), map(varchar, double) -> double", "trino_cosine_similarity({0}, {1})"
        ),
    }
)
