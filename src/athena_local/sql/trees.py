"""Queries and expressions: sqlglot's reading of Trino, after a look at the tokens that refuses what sqlglot tolerates and
Athena does not (stray commas, FROM-first, list literals). Positions always refer to the text as submitted.
"""

from __future__ import annotations

import itertools
import logging
import re
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from athena_local.errors import QueryError
from athena_local.sql.dialect import AthenaSQL
from athena_local.sql.lexer import Cursor, Token, string_value, syntax_error
from athena_local.sql.places import remember_text

logging.getLogger("sqlglot").setLevel(
    logging.ERROR
)  # its fall-backs are refused here; its warnings say nothing more

QUERY_STARTS = {"SELECT", "WITH", "VALUES", "TABLE", "("}
_BEFORE_SUBSCRIPT = {"word", "quoted"}
_NEVER_SUBSCRIPTED = {
    "SELECT",
    "FROM",
    "WHERE",
    "AND",
    "OR",
    "NOT",
    "IN",
    "THEN",
    "ELSE",
    "WHEN",
    "BY",
    "ON",
    "AS",
}
_CLAUSES_AFTER_LIST = {"FROM", "WHERE", "GROUP", "ORDER", "HAVING", "LIMIT", "UNION", ")"}


def read_query(cursor: Cursor) -> exp.Expression:
    """Read the rest of the statement as one query."""
    tree: exp.Expression = read_tree(cursor)
    if not isinstance(tree, exp.Query | exp.Values):
        raise cursor.error("<query>")
    cursor.index = len(cursor.tokens)
    return tree


def read_expression(cursor: Cursor) -> exp.Expression:
    start = cursor.token.start
    tree = read_tree(cursor, into_expression=True)
    cursor.index = len(cursor.tokens)
    if tree is None:
        raise syntax_error(cursor.text, start, "mismatched input '<EOF>'. Expecting: <expression>")
    found: exp.Expression = tree
    return found


def read_tree(cursor: Cursor, into_expression: bool = False) -> Any:
    """Parse from the cursor to the end with sqlglot, every character at its own offset."""
    _check_tokens(cursor)
    start, end = cursor.token.start, cursor.tokens[-1].end
    head = "".join(char if char == "\n" else " " for char in cursor.text[:start])
    padded = head + _hex_closed(cursor, cursor.text[start:end], start)
    try:
        if into_expression:
            tree = sqlglot.parse_one(padded, dialect=AthenaSQL, into=exp.Condition)
            remember_text(tree, padded)
            return tree
        trees = sqlglot.parse(padded, dialect=AthenaSQL)
    except ParseError as error:
        raise _parse_error(error) from None
    except (TokenError, ValueError, RecursionError):
        raise cursor.error("<query>") from None
    if len(trees) != 1 or trees[0] is None or isinstance(trees[0], exp.Command):
        raise cursor.error("<query>")
    remember_text(trees[0], padded)
    return trees[0]


def _hex_closed(cursor: Cursor, text: str, start: int) -> str:
    """Move the spaces of X'68 65' behind it: they mean nothing to Trino, sqlglot has no word for them."""
    tokens = cursor.tokens[cursor.index :]
    for mark, token in itertools.pairwise(tokens):
        if mark.upper != "X" or token.kind != "string" or token.start != mark.end:
            continue
        digits = "".join(string_value(token).split())
        if re.fullmatch("[0-9a-fA-F]*", digits) is None:
            message = "Binary literal can only contain hexadecimal digits"
            raise syntax_error(cursor.text, mark.start, message)
        if len(digits) % 2:
            message = "Binary literal must contain an even number of digits"
            raise syntax_error(cursor.text, mark.start, message)
        closed = f"'{digits}'".ljust(len(token.text))
        text = text[: token.start - start] + closed + text[token.end - start :]
    return text


def _parse_error(error: ParseError) -> QueryError:
    detail = error.errors[0] if error.errors else {}
    line, column = int(detail.get("line") or 1), int(detail.get("col") or 1)
    shown = str(detail.get("highlight") or "<EOF>")
    column = max(1, column - len(shown) + 1)
    return QueryError("SYNTAX_ERROR", f"mismatched input '{shown}'", position=(line, column))


def _check_tokens(cursor: Cursor) -> None:
    """Refuse what sqlglot reads and Trino's grammar does not have."""
    tokens = cursor.tokens[cursor.index :]
    previous: Token | None = None
    for index, token in enumerate(tokens):
        following = tokens[index + 1].upper if index + 1 < len(tokens) else ""
        refused = (
            (token.text in {"{", "}", "!"} and token.kind == "mark")
            or (token.text == "[" and not _may_be_subscripted(previous))
            or (token.text == "," and (following in {",", ""} or following in _CLAUSES_AFTER_LIST))
            or (token.upper == "FROM" and (previous is None or previous.text == "("))
            or (token.upper == "SELECT" and (following in _CLAUSES_AFTER_LIST or not following))
            or (token.text[0] == "`")
            or (token.text == ":" and following == ":")
        )
        if refused:
            if token.text[0] == "`":
                message = "backquoted identifiers are not supported; use double quotes to quote identifiers"
                raise syntax_error(cursor.text, token.start, message)
            shown = token if token.text not in {"SELECT", ","} or not following else tokens[index + 1]
            raise syntax_error(
                cursor.text, shown.start, f"mismatched input '{shown.text}'. Expecting: <expression>"
            )
        previous = token


def _may_be_subscripted(previous: Token | None) -> bool:
    if previous is None:
        return False
    if previous.kind in _BEFORE_SUBSCRIPT:
        return previous.upper not in _NEVER_SUBSCRIPTED
    return previous.text in {")", "]"}
