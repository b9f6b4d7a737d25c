"""Trino's functions in DuckDB's words, by Trino's own categories: a name that is in none of the tables does not exist.

Semantics: https://trino.io/docs/current/functions.html, as Athena engine version 3 has them. `FUNCTIONS` is what works,
`UNSUPPORTED` what Athena has besides.
"""

from athena_local.sql.functions import (
    aggregate,
    array_map,
    binary,
    conditional,
    datetime,
    json,
    mathematical,
    regexp,
    special,
    strings,
    window,
)
from athena_local.sql.functions.signatures import Function
from athena_local.sql.functions.unsupported import UNSUPPORTED

CATEGORIES: dict[str, dict[str, Function]] = {
    "conditional": conditional.FUNCTIONS,
    "mathematical": mathematical.FUNCTIONS,
    "string": strings.FUNCTIONS,
    "regular expression": regexp.FUNCTIONS,
    "binary": binary.FUNCTIONS,
    "date and time": datetime.FUNCTIONS,
    "JSON": json.FUNCTIONS,
    "array and map": array_map.FUNCTIONS,
    "session and others": special.FUNCTIONS,
    "aggregate": aggregate.FUNCTIONS,
    "window": window.FUNCTIONS,
}
FUNCTIONS: dict[str, Function] = {
    name: function for functions in CATEGORIES.values() for name, function in functions.items()
}

__all__ = ["CATEGORIES", "FUNCTIONS", "UNSUPPORTED", "Function"]
