"""Functions DuckDB has no words for, in Python: exact rather than fast, and known to a query only when it calls them.

Generated SQL names them `trino_…`; `provide` finds those names in a text and registers what it needs on the query's own
connection (0.3 ms each). A NULL argument makes the result NULL, as in Trino.
"""

from __future__ import annotations

import re
from typing import Any

from athena_local.sql.functions.native import (
    binary,
    dates,
    decimals,
    json,
    regex,
    special,
    statistics,
    strings,
    texts,
    urls,
)
from athena_local.sql.functions.native.registry import FUNCTIONS, NativeFunction

_CALL = re.compile(r"\btrino_[a-z0-9_]+(?=\()")
_MODULES = (
    binary,
    dates,
    decimals,
    json,
    regex,
    special,
    statistics,
    strings,
    texts,
    urls,
)  # imported to register


def provide(connection: Any, sql: str, known: set[str]) -> None:
    """Register on the connection what the text calls and `known` has not; adds their names to it."""
    if "trino_" not in sql:
        return
    for name in set(_CALL.findall(sql)) - known:
        function = FUNCTIONS.get(name)
        if function is not None:
            function.register(connection)
            known.add(name)


__all__ = ["FUNCTIONS", "NativeFunction", "provide"]
