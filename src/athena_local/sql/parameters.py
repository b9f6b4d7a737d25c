"""Execution parameters: the `?` of a statement, filled in order with SQL literals."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from athena_local.errors import QueryError
from athena_local.sql.dialect import AthenaSQL
from athena_local.sql.statements import MergeClause, Statement


def fill(statement: Statement, values: Sequence[str]) -> Statement:
    """Return the statement with its parameters in place. INVALID_PARAMETER_USAGE when their number differs."""
    places: list[exp.Placeholder] = []
    _collect(statement, places)
    if len(places) != len(values):
        text = f"Incorrect number of parameters: expected {len(places)} but found {len(values)}"
        raise QueryError("INVALID_PARAMETER_USAGE", text, position=(1, 1))
    for place, value in zip(places, values, strict=True):
        place.replace(_literal(value))
    return statement


def _collect(value: Any, found: list[exp.Placeholder]) -> None:
    if isinstance(value, exp.Expression):
        found += sorted(value.find_all(exp.Placeholder), key=lambda node: node.meta.get("start", 0))
    elif isinstance(value, (Statement, MergeClause)):
        for field in dataclasses.fields(value):
            _collect(getattr(value, field.name), found)
    elif isinstance(value, tuple):
        for item in value:
            _collect(item, found)


def _literal(value: str) -> exp.Expression:
    try:
        parsed = sqlglot.parse_one(f"select ({value})", dialect=AthenaSQL)
    except SqlglotError:
        raise QueryError("SYNTAX_ERROR", f"mismatched input '{value}' in an execution parameter") from None
    expressions = parsed.expressions if isinstance(parsed, exp.Select) else []
    if len(expressions) != 1 or parsed.find(exp.Query, exp.Column) not in {None, parsed}:
        raise QueryError("SYNTAX_ERROR", f"mismatched input '{value}' in an execution parameter")
    result: exp.Expression = expressions[0]
    return result
