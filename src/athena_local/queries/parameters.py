"""ExecutionParameters put in the place of a statement's `?`, before it is parsed.

A parameter is SQL itself, as on Athena: `1`, `'text'`, `date '2025-01-01'`. One that is no plain literal is put in
parentheses, so that it stays one expression whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from athena_local.errors import QueryError

# what may hold a `?` that is no parameter: comments, strings, delimited names
_SKIPPED = r"""--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`"""
_TOKEN = re.compile(rf"({_SKIPPED})|\?", re.DOTALL)
_LITERAL = re.compile(
    r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?|((date|timestamp|time|decimal)\s*)?'([^']|'')*'|null|true|false",
    re.IGNORECASE,
)


def bind(sql: str, parameters: Sequence[str]) -> str:
    """Return `sql` with each `?` replaced. Raises QueryError when their numbers differ."""
    expected = sum(1 for match in _TOKEN.finditer(sql) if match[1] is None)
    if expected != len(parameters):
        raise QueryError(
            "INVALID_PARAMETER_USAGE",
            f"Incorrect number of parameters: expected {expected} but found {len(parameters)}",
        )
    values = iter(parameters)

    def replace(match: re.Match[str]) -> str:
        if match[1] is not None:
            return match[1]
        value = next(values).strip()
        return value if _LITERAL.fullmatch(value) else f"({value})"

    return _TOKEN.sub(replace, sql)
