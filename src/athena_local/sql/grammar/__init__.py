"""Trino's grammar of queries, read to the letter: what it does not have ends in SYNTAX_ERROR at the token that is wrong.

It builds nothing. sqlglot reads the same text afterwards and is lenient by design, with every dialect's spelling in mind;
this stands before it, so that only what Athena takes ever reaches it. The grammar is Trino's SqlBase.g4 as of Athena
engine version 3. The text of MATCH_RECOGNIZE and of the JSON_* forms is looked at no further than to its last bracket.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from athena_local.errors import QueryError
from athena_local.sql.dialect import position_at
from athena_local.sql.grammar.queries import QueryGrammar
from athena_local.sql.grammar.reader import Mismatch
from athena_local.sql.lexer import Token

Rule = Literal["query", "expression", "update", "merge"]


def check(text: str, tokens: Sequence[Token], rule: Rule, end: int) -> set[int]:
    """Return where unquoted names begin. Raises SYNTAX_ERROR unless `tokens` are exactly one `rule`, and
    TYPE_NOT_FOUND for a type that Trino does not have.

    `end` is the offset behind the last of them.
    """
    grammar = QueryGrammar(text, tokens, end)
    read = {
        "query": grammar.query,
        "expression": grammar.expression,
        "update": grammar.update,
        "merge": grammar.merge,
    }[rule]
    try:
        read()
        grammar.end()
    except Mismatch:
        raise grammar.mismatch() from None
    for start, name in grammar.unknown_types[:1]:
        position = position_at(text, start)
        raise QueryError("TYPE_NOT_FOUND", f"Unknown type: {name.lower()}", position=position)
    return set(grammar.names)


__all__ = ["Rule", "check"]
