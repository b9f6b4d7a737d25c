"""Where in the submitted text an operator or a clause's keyword stands: Trino places their errors there."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.dialect import position_at
from athena_local.sql.lexer import Token, tokenize
from athena_local.sql.scope import position_of
from athena_local.sql.statements import Position

_SPELLED: dict[type, set[str]] = {
    exp.EQ: {"="},
    exp.NEQ: {"<>", "!=", "<", "!"},
    exp.LT: {"<"},
    exp.LTE: {"<=", "<"},
    exp.GT: {">"},
    exp.GTE: {">=", ">"},
    exp.Add: {"+"},
    exp.Sub: {"-"},
    exp.Mul: {"*"},
    exp.Div: {"/"},
    exp.Mod: {"%"},
    exp.Between: {"BETWEEN", "NOT"},
    exp.In: {"IN", "NOT"},
    exp.NullSafeEQ: {"IS"},
    exp.NullSafeNEQ: {"IS"},
}


def remember_text(tree: Any, text: str) -> None:
    """Keep the text a tree was read from, at its root."""
    tree.meta["text"] = text


def word_position(node: exp.Expression | None, *words: str) -> Position | None:
    """Return the place of the last of these keywords before a node; that of the node where there is none."""
    if node is None:
        return None
    text = node.root().meta.get("text")
    starts = [item.meta["start"] for item in node.walk() if "start" in item.meta]
    if text is None or not starts:
        return position_of(node)
    found: Position | None = None
    for token in _tokens(text):
        if token.start >= min(starts):
            break
        if token.upper in words:
            found = position_at(text, token.start)
    return found or position_of(node)


def phrase_position(node: exp.Expression, *words: str) -> Position | None:
    """Return the place of the last word of the first such phrase in the text a node was read from."""
    text = node.root().meta.get("text") or ""
    tokens = _tokens(text)
    for at in range(len(tokens) - len(words) + 1):
        if all(token.upper == word for token, word in zip(tokens[at:], words, strict=False)):
            return position_at(text, tokens[at + len(words) - 1].start)
    return None


def _tokens(text: str) -> list[Token]:
    try:
        return tokenize(text)
    except QueryError:
        return []


def operator_position(node: exp.Expression) -> Position | None:
    """Return the place of a node's operator; that of its left operand where the text is not known any more."""
    words, text = _SPELLED.get(type(node)), node.root().meta.get("text")
    left = node.this if isinstance(node.this, exp.Expression) else None
    ends = [item.meta["end"] for item in left.walk() if "end" in item.meta] if left is not None else []
    if words is None or text is None or not ends:
        return position_of(node)
    for token in _tokens(text):
        if token.start > max(ends) and token.upper in words:
            return position_at(text, token.start)
    return position_of(node)
