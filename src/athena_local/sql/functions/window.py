"""Window functions: nothing without OVER."""

from __future__ import annotations

from athena_local.sql.functions.signatures import Function, table, windowed

_OFFSETS = ["T -> T", "{name}({0})", "T, bigint -> T", "{name}({*})", "T, bigint, T -> T", "{name}({*})"]

FUNCTIONS: dict[str, Function] = table(
    {
        "row_number": windowed("-> bigint", "row_number()"),
        "rank": windowed("-> bigint", "rank()"),
        "dense_rank": windowed("-> bigint", "dense_rank()"),
        "percent_rank": windowed("-> double", "percent_rank()"),
        "cume_dist": windowed("-> double", "cume_dist()"),
        "ntile": windowed("bigint -> bigint", "ntile({0})"),
        "lag": windowed(*[item.replace("{name}", "lag") for item in _OFFSETS]),
        "lead": windowed(*[item.replace("{name}", "lead") for item in _OFFSETS]),
        "first_value": windowed("T -> T", "first_value({0})"),
        "last_value": windowed("T -> T", "last_value({0})"),
        "nth_value": windowed("T, bigint -> T", "nth_value({0}, {1})"),
    }
)
