"""Parameters: the `?` of a statement, filled in the order they stand in its text.

A value is SQL. One that is an expression without names is taken as that; the API's own values may also be bare text, which
Athena takes as a string: what does not parse, and what names a column. `?` in strings, comments and names are none of these.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.lexer import Cursor, tokenize
from athena_local.sql.statements import MergeClause, Statement
from athena_local.sql.trees import read_expression


def fill(statement: Statement, values: Sequence[str]) -> Statement:
    """Return the statement with its parameters in place. INVALID_PARAMETER_USAGE when their number differs.

    Values for a statement that has no `?` are ignored, as Athena ignores them.
    """
    places: list[exp.Placeholder] = []
    _collect(statement, places)
    if not places:
        return statement
    if len(places) != len(values):
        text = f"Incorrect number of parameters: expected {len(places)} but found {len(values)}"
        raise QueryError("INVALID_PARAMETER_USAGE", text, position=(1, 1))
    filled = {}
    for place, value in zip(places, values, strict=True):
        filled[id(place)] = _value(value)
        place.replace(filled[id(place)])
    whole: Statement = _with_whole(statement, filled)
    return whole


def _with_whole(value: Any, filled: dict[int, exp.Expression]) -> Any:
    """Return the same with every `?` that is a whole assigned value exchanged: such a one has no tree to stand in."""
    if isinstance(value, exp.Placeholder):
        return filled.get(id(value), value)
    if isinstance(value, (Statement, MergeClause)):
        fields = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
        return dataclasses.replace(
            value, **{name: _with_whole(item, filled) for name, item in fields.items()}
        )
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return tuple(_with_whole(item, filled) for item in value)
    return value


def _collect(value: Any, found: list[exp.Placeholder]) -> None:
    if isinstance(value, exp.Expression):
        found += sorted(value.find_all(exp.Placeholder), key=lambda node: node.meta.get("start", 0))
    elif isinstance(value, (Statement, MergeClause)):
        for field in dataclasses.fields(value):
            _collect(getattr(value, field.name), found)
    elif isinstance(value, tuple):
        for item in value:
            _collect(item, found)


def _value(text: str) -> exp.Expression:
    """Return what a value stands for. Places in it are not the statement's, so none are kept."""
    try:
        found = read_expression(Cursor(text, tokenize(text)))
    except QueryError as error:
        if error.code != "SYNTAX_ERROR":
            raise
        return exp.Literal.string(text)
    if found.find(exp.Column, exp.Placeholder):
        return exp.Literal.string(text)
    for node in found.walk():
        node.meta.clear()
    return found if isinstance(found, (exp.Literal, exp.Null, exp.Boolean)) else exp.Paren(this=found)
