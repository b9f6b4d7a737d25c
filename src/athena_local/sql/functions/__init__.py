"""Trino's functions in DuckDB's words, by Trino's own categories: a name that is in none of the tables does not exist.

Semantics: https://trino.io/docs/current/functions.html, as Athena engine version 3 has them.
"""

from athena_local.sql.functions import (
    aggregate,
    array_map,
    conditional,
    datetime,
    json,
    mathematical,
    strings,
    window,
)
from athena_local.sql.functions.arguments import ARGUMENT_FAMILIES
from athena_local.sql.functions.signatures import DAY_TO_SECOND, Function

FUNCTIONS: dict[str, Function] = {
    **conditional.FUNCTIONS,
    **mathematical.FUNCTIONS,
    **strings.FUNCTIONS,
    **datetime.FUNCTIONS,
    **json.FUNCTIONS,
    **array_map.FUNCTIONS,
    **aggregate.FUNCTIONS,
    **window.FUNCTIONS,
}

__all__ = ["ARGUMENT_FAMILIES", "DAY_TO_SECOND", "FUNCTIONS", "Function"]
