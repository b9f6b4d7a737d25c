"""Tokens of a statement with their places, and a cursor over them for the grammar that sqlglot does not read."""

from __future__ import annotations

import re
from dataclasses import dataclass

from athena_local.errors import QueryError
from athena_local.sql.dialect import position_at
from athena_local.sql.statements import Position

_STRINGS = r"""(?P<string>'(?:[^']|'')*') | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`)"""
_HIVE_STRINGS = r"""(?P<string>'(?:[^'\\]|\\.|'')*') | (?P<quoted>"(?:[^"\\]|\\.|"")*"|`(?:[^`]|``)*`)"""
_PATTERN = r"""(?P<space>[ \r\n\t]+|--[^\r\n]*|/\*.*?\*/)
      | {strings}
      | (?P<number>[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?)
      | (?P<word>[^\W\d][\w$]*|\$[\w$]+)
      | (?P<mark>->|<>|!=|<=|>=|=>|\|\||.)"""
_TOKEN, _HIVE_TOKEN = (
    re.compile(_PATTERN.replace("{strings}", strings), re.VERBOSE | re.DOTALL)
    for strings in (_STRINGS, _HIVE_STRINGS)
)
# statements of Hive's grammar; the bracket behind the name tells CREATE TABLE from a CTAS
_HIVE = re.compile(
    r"""(?:\s|--[^\r\n]*|/\*.*?\*/)*
    (?:(?:ALTER|MSCK|SHOW|DESC|DESCRIBE|CREATE\s+(?:EXTERNAL|DATABASE|SCHEMA))\b
      |CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?[\w.`"$-]+\s*\()""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_HIVE_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b"}


@dataclass(frozen=True)
class Token:
    kind: str  # string, quoted, number, word, mark, end
    text: str
    start: int

    @property
    def upper(self) -> str:
        return self.text.upper() if self.kind == "word" else self.text

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def tokenize(text: str) -> list[Token]:
    """Return the tokens without space and comments. Strings end at the first lone quote.

    A backslash escapes nothing, but in Hive's statements it makes a quote part of the string. A quote that is never closed
    is a mark of its own, which no grammar takes.
    """
    pattern = _HIVE_TOKEN if _HIVE.match(text) else _TOKEN
    tokens: list[Token] = []
    offset = 0
    while offset < len(text):
        match = pattern.match(text, offset)
        assert match is not None  # any character is at least a mark
        kind = str(match.lastgroup)
        if kind != "space":
            tokens.append(Token(kind, match.group(), offset))
        offset = match.end()
    return tokens


def syntax_error(text: str, offset: int, message: str) -> QueryError:
    return QueryError("SYNTAX_ERROR", message, position=position_at(text, offset))


def unquote(token: Token) -> str:
    """Return the name an identifier token means, folded as Athena folds names."""
    if token.kind == "quoted":
        mark = token.text[0]
        return token.text[1:-1].replace(mark * 2, mark).lower()
    return token.text.lower()


def string_value(token: Token) -> str:
    return token.text[1:-1].replace("''", "'")


def hive_string_value(token: Token) -> str:
    """Return a Hive literal's value: backslash escapes, octal `\\001` and `\\u0001` included."""
    body = token.text[1:-1].replace("''", "'") if token.kind == "string" else token.text[1:-1]

    def escape(match: re.Match[str]) -> str:
        code = match.group(1)
        if code[0] == "u" and len(code) == 5:
            return chr(int(code[1:], 16))
        if len(code) == 3 and code.isdigit():
            return chr(int(code, 8))
        return _HIVE_ESCAPES.get(code, code)

    return re.sub(r"\\(u[0-9a-fA-F]{4}|[0-3][0-7]{2}|.)", escape, body, flags=re.DOTALL)


class Cursor:
    """Reads tokens one by one; every refusal names the place and what was expected there."""

    def __init__(self, text: str, tokens: list[Token], index: int = 0) -> None:
        self.text = text
        self.tokens = tokens
        self.index = index

    @property
    def token(self) -> Token:
        if self.index < len(self.tokens):
            return self.tokens[self.index]
        end = self.tokens[-1].end if self.tokens else 0
        return Token("end", "", end)

    def ahead(self, count: int = 1) -> Token:
        index = self.index + count
        return self.tokens[index] if index < len(self.tokens) else Token("end", "", len(self.text))

    @property
    def position(self) -> Position:
        return position_at(self.text, self.token.start)

    def at_end(self) -> bool:
        return self.token.kind == "end"

    def next(self) -> Token:
        token = self.token
        self.index += 1
        return token

    def at(self, *words: str) -> bool:
        """Tell whether the next tokens are exactly these keywords or marks."""
        return all(self.ahead(offset).upper == word for offset, word in enumerate(words))

    def accept(self, *words: str) -> bool:
        if self.at(*words):
            self.index += len(words)
            return True
        return False

    def expect(self, *words: str) -> None:
        for word in words:
            if not self.accept(word):
                raise self.error(f"'{word}'")

    def error(self, expecting: str | None = None) -> QueryError:
        shown = self.token.text or "<EOF>"
        tail = f". Expecting: {expecting}" if expecting else ""
        return syntax_error(self.text, self.token.start, f"mismatched input '{shown}'{tail}")

    def identifier(self) -> str:
        if self.token.kind not in {"word", "quoted"}:
            raise self.error("<identifier>")
        return unquote(self.next())

    def number(self) -> int:
        if self.token.kind != "number" or not self.token.text.isdigit():
            raise self.error("<number>")
        return int(self.next().text)

    def hive_string(self) -> str:
        if self.token.kind == "string" or (self.token.kind == "quoted" and self.token.text[0] == '"'):
            return hive_string_value(self.next())
        raise self.error("<string>")

    def finish(self) -> None:
        if not self.at_end():
            raise self.error("<EOF>")

    def slice_until_balanced(self, stops: set[str]) -> str:
        """Return the text up to the next stop token outside brackets, which is not consumed."""
        start, depth = self.token.start, 0
        while not self.at_end():
            text = self.token.upper
            if depth == 0 and text in stops:
                break
            depth += {"(": 1, "<": 1, ")": -1, ">": -1}.get(text, 0)
            if depth < 0:
                break
            self.index += 1
        end = self.tokens[self.index - 1].end if self.index else start
        return self.text[start:end] if end > start else ""
