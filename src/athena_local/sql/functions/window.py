"""Window functions: nothing without OVER."""

from __future__ import annotations

from athena_local.sql.functions.signatures import Function, first, windowed
from athena_local.types import (
    BIGINT,
    DOUBLE,
)

FUNCTIONS: dict[str, Function] = {
    "row_number": windowed("row_number()", BIGINT),
    "rank": windowed("rank()", BIGINT),
    "dense_rank": windowed("dense_rank()", BIGINT),
    "percent_rank": windowed("percent_rank()", DOUBLE),
    "cume_dist": windowed("cume_dist()", DOUBLE),
    "ntile": windowed("ntile({0})", BIGINT, 1),
    "lag": windowed("lag({*})", first, 1, 3),
    "lead": windowed("lead({*})", first, 1, 3),
    "first_value": windowed("first_value({0})", first, 1),
    "last_value": windowed("last_value({0})", first, 1),
    "nth_value": windowed("nth_value({0}, {1})", first, 2),
}
