"""Where in the submitted text an operator stands: Trino places an operator's errors there, not at its left operand."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.lexer import tokenize
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


def operator_position(node: exp.Expression) -> Position | None:
    """Return the place of a node's operator; that of its left operand where the text is not known any more."""
    words, text = _SPELLED.get(type(node)), node.root().meta.get("text")
    ends = [item.meta["end"] for item in node.this.walk() if "end" in item.meta] if node.this else []
    if words is None or text is None or not ends:
        return position_of(node)
    try:
        tokens = tokenize(text)
    except QueryError:
        return position_of(node)
    for token in tokens:
        if token.start > max(ends) and token.upper in words:
            before = text[: token.start]
            return before.count("\n") + 1, token.start - before.rfind("\n")
    return position_of(node)
