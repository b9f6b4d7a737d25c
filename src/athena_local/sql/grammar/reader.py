"""A reader over tokens that remembers, at the furthest token it came to, everything that could have stood there.

Trino's parser tells in a syntax error what it expected. A rule that has a name of its own (`<expression>`, `<query>` …)
is told by that name, not by all the words it may begin with: inside `naming` nothing is noted at the rule's first token.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from athena_local.errors import QueryError
from athena_local.sql.grammar.words import RESERVED
from athena_local.sql.lexer import Token, syntax_error

EOF = "<EOF>"
STRING = "<string>"
QUOTED = "<quoted>"
INTEGER = "<integer>"
NUMBER = "<number>"
BINARY = "<binary>"
DIGIT_WORD = "<digit word>"
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN_NUMBER = re.compile(r"\d+")


class Mismatch(Exception):  # noqa: N818 - no fault: another alternative may still fit
    """The tokens do not fit here; where and why is in the reader."""


class Reader:
    """`keys` are what the rules compare: words in upper case, marks as they are, literals by kind."""

    def __init__(self, text: str, tokens: Sequence[Token], end: int) -> None:
        self.text = text
        self.keys: list[str] = []
        self.starts: list[int] = []
        self.shown: list[str] = []
        self._read(tokens, end)
        self._opened = self._behind_brackets()
        self.index = 0
        self.furthest = 0
        self.expected: set[str] = set()
        self.names: list[int] = []  # where unquoted identifiers begin that were taken so far
        self.unknown_types: list[
            tuple[int, str]
        ] = []  # the offset of the cast or literal, and the type it names
        self._named_at = -1

    def _read(self, tokens: Sequence[Token], end: int) -> None:
        """Join what Trino's lexer takes as one token: X'…', U&'…', and digits with a word right behind them."""
        at = 0
        while at < len(tokens):
            token, count, key = tokens[at], 1, ""
            following = tokens[at + 1] if at + 1 < len(tokens) else None
            adjacent = following is not None and following.start == token.end
            if token.kind == "word":
                key = token.upper if _WORD.fullmatch(token.text) else token.text
                if following is not None and adjacent and token.upper == "X" and following.kind == "string":
                    key, count = BINARY, 2
                elif token.upper == "U" and adjacent and self._is_unicode_string(tokens, at):
                    key, count = STRING, 3
            elif token.kind == "number":
                key = INTEGER if _PLAIN_NUMBER.fullmatch(token.text) else NUMBER
                if following is not None and adjacent and following.kind == "word":
                    key, count = DIGIT_WORD, 2
            else:
                key = {"string": STRING, "quoted": QUOTED}.get(token.kind, token.text)
                if token.text in {"{", "-"} and adjacent and tokens[at + 1].text in {"-", "}"}:
                    joined = token.text + tokens[at + 1].text
                    key, count = (joined, 2) if joined in {"{-", "-}"} else (key, 1)
            self.keys.append(key)
            self.starts.append(token.start)
            self.shown.append(self.text[token.start : tokens[at + count - 1].end])
            at += count
        self.keys.append(EOF)
        self.starts.append(end)
        self.shown.append(EOF)

    @staticmethod
    def _is_unicode_string(tokens: Sequence[Token], at: int) -> bool:
        if at + 2 >= len(tokens):
            return False
        mark, string = tokens[at + 1], tokens[at + 2]
        return mark.text == "&" and string.kind == "string" and string.start == mark.end

    def _behind_brackets(self) -> list[int]:
        """Return for each token the first at or behind it that is no opening bracket."""
        found = list(range(len(self.keys)))
        for at in range(len(self.keys) - 2, -1, -1):
            if self.keys[at] == "(":
                found[at] = found[at + 1]
        return found

    # looking

    @property
    def key(self) -> str:
        return self.keys[self.index]

    def ahead(self, count: int = 1) -> str:
        at = self.index + count
        return self.keys[at] if at < len(self.keys) else EOF

    def opened(self, offset: int) -> int:
        """Return where the brackets end that open there, one or many."""
        return self._opened[min(self.index + offset, len(self._opened) - 1)]

    def is_name(self, count: int = 0) -> bool:
        """Tell whether an identifier stands there."""
        key = self.ahead(count)
        return key == QUOTED or (_WORD.fullmatch(key) is not None and key not in RESERVED)

    # taking

    def note(self, *labels: str) -> None:
        """Remember what could stand at this token."""
        if self.index == self._named_at or self.index < self.furthest:
            return
        if self.index > self.furthest:
            self.furthest = self.index
            self.expected = set()
        self.expected.update(labels)

    def accept(self, *words: str) -> bool:
        """Take the words if they are next; only the first is noted as what could stand here."""
        if self.keys[self.index] != words[0]:
            self.note(_label(words[0]))
            return False
        if any(self.ahead(count) != word for count, word in enumerate(words)):
            return False
        self.index += len(words)
        return True

    def expect(self, *words: str) -> None:
        for word in words:
            if not self.accept(word):
                raise Mismatch

    def one_of(self, *words: str) -> str:
        """Take one of these words and return it."""
        key = self.key
        if key in words:
            self.index += 1
            return key
        self.fail(*words)

    def fail(self, *labels: str) -> NoReturn:
        self.note(*(_label(label) for label in labels))
        raise Mismatch

    @contextmanager
    def naming(self, name: str) -> Iterator[None]:
        """A rule that is known by `name`: nothing else is noted at its first token."""
        self.note(name)
        before, self._named_at = self._named_at, self.index
        try:
            yield
        finally:
            self._named_at = before

    def listed(self, rule: Callable[[], None]) -> None:
        """`rule (',' rule)*`"""
        rule()
        while self.accept(","):
            rule()

    def attempt(self, rule: Callable[[], None]) -> bool:
        """Take the rule if it fits; otherwise stay. What it expected on its way is remembered."""
        start, names = self.index, len(self.names)
        try:
            rule()
        except Mismatch:
            self.index = start
            del self.names[names:]
            return False
        return True

    def identifier(self) -> None:
        key = self.key
        if self.is_name():
            if key == QUOTED:
                self._check_quoted()
            else:
                self.names.append(self.starts[self.index])
            self.index += 1
            return
        if key == DIGIT_WORD:
            message = "identifiers must not start with a digit; surround the identifier with double quotes"
            raise syntax_error(self.text, self.starts[self.index], message)
        self.fail("<identifier>")

    def _check_quoted(self) -> None:
        shown, start = self.shown[self.index], self.starts[self.index]
        if shown[0] == "`":
            message = "backquoted identifiers are not supported; use double quotes to quote identifiers"
            raise syntax_error(self.text, start, message)
        if shown == '""':
            raise syntax_error(self.text, start, "Zero-length delimited identifier not allowed")

    def qualified_name(self) -> None:
        self.identifier()
        while self.accept("."):
            self.identifier()

    def string(self) -> None:
        if self.key != STRING:
            self.fail(STRING)
        self.index += 1
        if self.accept("UESCAPE"):
            self.expect(STRING)

    def at_string(self, count: int = 0) -> bool:
        return self.ahead(count) == STRING

    def integer(self) -> None:
        if self.key != INTEGER:
            self.fail(INTEGER)
        self.index += 1

    def end(self) -> None:
        if self.key != EOF:
            self.fail(EOF)

    # telling

    def mismatch(self) -> QueryError:
        """Return the error for the furthest token that was reached."""
        shown = self.shown[self.furthest]
        tail = f". Expecting: {', '.join(sorted(self.expected))}" if self.expected else ""
        return syntax_error(self.text, self.starts[self.furthest], f"mismatched input '{shown}'{tail}")


def _label(word: str) -> str:
    return word if word.startswith("<") and len(word) > 2 else f"'{word}'"
