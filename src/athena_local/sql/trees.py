"""Queries and expressions: held against Trino's grammar (`grammar/`), which refuses in Trino's words, then read by sqlglot.

What Trino takes and sqlglot does not is NOT_SUPPORTED, never a SYNTAX_ERROR. Positions refer to the text as submitted.
"""

from __future__ import annotations

import itertools
import logging
import re
import sys
from typing import Any

from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from athena_local.errors import QueryError
from athena_local.sql import grammar
from athena_local.sql.dialect import AthenaSQL, TokenType
from athena_local.sql.grammar import Rule
from athena_local.sql.lexer import Cursor, string_value, syntax_error
from athena_local.sql.places import remember_text
from athena_local.sql.statements import Position

logging.getLogger("sqlglot").setLevel(
    logging.ERROR
)  # its fall-backs are refused here; its warnings say nothing more

QUERY_STARTS = {"SELECT", "WITH", "VALUES", "TABLE", "("}
MAX_FRAMES = (
    12_000  # Python's own limit of 1,000 is met by some 30 brackets; this one by some 400, in 8 MB of C stack
)


def read_query(cursor: Cursor) -> exp.Expression:
    """Read the rest of the statement as one query."""
    tree: exp.Expression = read_tree(cursor)
    if not isinstance(tree, exp.Query | exp.Values):
        raise cursor.error("<query>")
    cursor.index = len(cursor.tokens)
    return tree


def read_expression(cursor: Cursor) -> exp.Expression:
    start = cursor.token.start
    tree = read_tree(cursor, "expression")
    cursor.index = len(cursor.tokens)
    if tree is None:
        raise syntax_error(cursor.text, start, "mismatched input '<EOF>'. Expecting: <expression>")
    found: exp.Expression = tree
    return found


def read_tree(cursor: Cursor, rule: Rule = "query") -> Any:
    """Parse from the cursor to the end with sqlglot, every character at its own offset."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), MAX_FRAMES))
    try:
        names = grammar.check(cursor.text, cursor.tokens[cursor.index :], rule, _end(cursor))
        return _tree(cursor, rule, names)
    except RecursionError:
        message = "statement is too large (stack overflow while parsing)"
        raise QueryError("SYNTAX_ERROR", message, position=(1, 1)) from None


def _tree(cursor: Cursor, rule: Rule, names: set[int]) -> Any:
    start, end = cursor.token.start, cursor.tokens[-1].end
    head = "".join(char if char == "\n" else " " for char in cursor.text[:start])
    padded = head + _hex_closed(cursor, cursor.text[start:end], start)
    try:
        tree = _parse(padded, rule, names)
    except ParseError as error:
        detail = error.errors[0] if error.errors else {}
        position = (int(detail.get("line") or 1), int(detail.get("col") or 1))
        raise _not_read(str(detail.get("highlight") or ""), position) from None
    except (TokenError, ValueError):
        raise _not_read(cursor.token.text, cursor.position) from None
    if tree is None or isinstance(tree, exp.Command):
        raise _not_read(cursor.token.text, cursor.position)
    _quantify(tree)
    tree = _current_schemas(tree)
    if any(table.catalog.lower() == "system" for table in tree.find_all(exp.Table)):
        raise QueryError("", "Queries of this type are not supported")
    remember_text(tree, padded)
    return tree


def _parse(text: str, rule: Rule, names: set[int]) -> Any:
    """Return sqlglot's tree. What the grammar took for a name is one, whichever keyword it is to other dialects."""
    dialect = AthenaSQL()
    tokens = dialect.tokenize(text)
    for token in tokens:
        if token.start in names:
            token.token_type = TokenType.VAR
    parser = dialect.parser()
    trees = (
        parser.parse_into(exp.Condition, tokens, text) if rule == "expression" else parser.parse(tokens, text)
    )
    return trees[0] if len(trees) == 1 else None


def _quantify(tree: exp.Expression) -> None:
    """Make quantified comparisons of what sqlglot takes for calls: `= ALL (VALUES …)`."""
    kinds: dict[str, type[exp.Expression]] = {"all": exp.All, "any": exp.Any, "some": exp.Any}
    for call in list(tree.find_all(exp.Anonymous)):
        kind = kinds.get(call.name.lower())
        inside = call.expressions[0] if len(call.expressions) == 1 else None
        if kind is not None and isinstance(inside, exp.Query | exp.Values):
            call.replace(kind(this=exp.Subquery(this=inside.copy())))


def _current_schemas(tree: exp.Expression) -> exp.Expression:
    """CURRENT_SCHEMA is a reserved word to Trino and a column to sqlglot."""

    def made(node: exp.Expression) -> exp.Expression:
        if (
            not isinstance(node, exp.Column)
            or len(node.parts) > 1
            or not isinstance(node.this, exp.Identifier)
        ):
            return node
        if node.this.quoted or node.name.lower() != "current_schema":
            return node
        found = exp.CurrentSchema()
        found.meta.update(node.this.meta)
        return found

    return tree.transform(made, copy=False)


def _not_read(near: str, position: Position) -> QueryError:
    text = f"This server does not read this part of Trino's grammar yet, near '{near}'"
    return QueryError("NOT_SUPPORTED", text, position=position)


def _end(cursor: Cursor) -> int:
    """Return where the text ends for Trino's parser: behind trailing space, before what follows the statement."""
    last = cursor.tokens[-1].end if cursor.tokens else 0
    rest = cursor.text[last:]
    return last + len(rest) - len(rest.lstrip())


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
