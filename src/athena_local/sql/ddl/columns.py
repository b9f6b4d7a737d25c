"""Columns with their types, lists of names and of properties, as Hive's statements have them."""

from __future__ import annotations

import re

from athena_local.errors import QueryError
from athena_local.sql.lexer import Cursor
from athena_local.types import AthenaType, Column, parse_type

_TYPE_STOPS = {",", ")", "COMMENT", "NOT", "FIRST", "AFTER", "<EOF>"}
_BARE_DECIMAL = re.compile(r"(?i)\b(?:decimal|numeric)\b(?!\s*[(:])")
_HIVE_DECIMAL = "decimal(10,0)"  # what DECIMAL alone means in Hive DDL


def columns(cursor: Cursor) -> tuple[Column, ...]:
    cursor.expect("(")
    found = [column(cursor)]
    while cursor.accept(","):
        found.append(column(cursor))
    cursor.expect(")")
    return tuple(found)


def column(cursor: Cursor) -> Column:
    name = cursor.identifier()
    cursor.accept(":")
    kind = hive_type(cursor)
    comment = cursor.hive_string() if cursor.accept("COMMENT") else ""
    return Column(name, kind, comment)


def hive_type(cursor: Cursor) -> AthenaType:
    position = cursor.position
    token = cursor.token
    text = cursor.slice_until_balanced(_TYPE_STOPS)
    text = _BARE_DECIMAL.sub(_HIVE_DECIMAL, text)
    if not text:
        raise cursor.error("<type>")
    try:
        return parse_type(text.replace("`", '"'))
    except ValueError:
        message = f"mismatched input '{token.text}'. Unknown type: {text}"
        raise QueryError("SYNTAX_ERROR", message, position=position) from None


def names(cursor: Cursor) -> tuple[str, ...]:
    cursor.expect("(")
    found = [cursor.identifier()]
    while cursor.accept(","):
        found.append(cursor.identifier())
    cursor.expect(")")
    return tuple(found)


def properties(cursor: Cursor) -> dict[str, str]:
    cursor.expect("(")
    found: dict[str, str] = {}
    while not cursor.accept(")"):
        key = cursor.hive_string()
        cursor.expect("=")
        found[key] = cursor.next().text if cursor.token.kind in {"number", "word"} else cursor.hive_string()
        if not cursor.at(")"):
            cursor.expect(",")
    return found
