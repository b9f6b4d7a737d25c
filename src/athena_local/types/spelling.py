"""Types read from Hive's spelling and from Trino's. What neither Athena knows is a ValueError, never a guess."""

from __future__ import annotations

import re

from athena_local.types.model import TIMESTAMP_PRECISION, AthenaType, array_of, map_of, row_of

# spelling -> canonical (Trino) base name
_BASE_NAMES = {
    "boolean": "boolean",
    "tinyint": "tinyint",
    "smallint": "smallint",
    "int": "integer",
    "integer": "integer",
    "bigint": "bigint",
    "long": "bigint",
    "float": "real",
    "real": "real",
    "double": "double",
    "decimal": "decimal",
    "numeric": "decimal",
    "string": "varchar",
    "varchar": "varchar",
    "char": "char",
    "binary": "varbinary",
    "varbinary": "varbinary",
    "date": "date",
    "time": "time",
    "timestamp": "timestamp",
    "timestamptz": "timestamp with time zone",
    "array": "array",
    "list": "array",
    "map": "map",
    "struct": "row",
    "row": "row",
    "json": "json",
    "ipaddress": "ipaddress",
    "uuid": "uuid",
    "unknown": "unknown",
    "interval day to second": "interval day to second",
    "interval year to month": "interval year to month",
}
_DECIMAL_PRECISION = (
    38  # `decimal` alone, to Trino, and the most; Hive DDL means 10 and `sql.ddl` says so before it gets here
)
_MOST_DIGITS = 12  # of a second, in Trino
_TOKENS = re.compile(r'\s*(?:(?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`)|(?P<word>[\w$]+)|(?P<mark>[<>(),:]))')


def parse_type(text: str) -> AthenaType:
    """Return the type a Hive or Trino spelling names. ValueError when it is neither."""
    parser = _TypeParser(text)
    found = parser.type()
    parser.end()
    return found


class _TypeParser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[str] = []
        position, stripped = 0, text.rstrip()
        while position < len(stripped):
            match = _TOKENS.match(stripped, position)
            if match is None:
                raise ValueError(f"Unknown type: {text}")
            self.tokens.append(match.group().strip())
            position = match.end()
        self.position = 0

    def peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.position += 1
        return token

    def expect(self, *tokens: str) -> str:
        token = self.take()
        if token not in tokens:
            raise ValueError(f"Unknown type: {self.text}")
        return token

    def end(self) -> None:
        if self.position < len(self.tokens):
            raise ValueError(f"Unknown type: {self.text}")

    def type(self) -> AthenaType:
        word = self.take().lower()
        if word == "interval":
            word = " ".join([word, self.take(), self.take(), self.take()]).lower()
        if word == "double" and self.peek().lower() == "precision":
            self.take()
        base = _BASE_NAMES.get(word)
        if base is None:
            raise ValueError(f"Unknown type: {self.text}")
        if base in {"array", "map", "row"}:
            return self.nested(base)
        numbers = self.numbers()
        if base == "decimal":
            precision = numbers[0] if numbers else _DECIMAL_PRECISION
            scale = numbers[1] if len(numbers) > 1 else 0
            if not 1 <= precision <= _DECIMAL_PRECISION or scale > precision:
                raise ValueError(f"Invalid decimal type: {self.text}")
            return AthenaType(base, precision, scale)
        if base in {"varchar", "char"}:
            length = numbers[0] if numbers else (1 if base == "char" else None)
            return AthenaType(base, length)
        if base in {"timestamp", "time", "timestamp with time zone"}:
            base = self.zone(base)
            digits = numbers[0] if numbers else TIMESTAMP_PRECISION
            if digits > _MOST_DIGITS:
                raise ValueError(f"Invalid precision: {self.text}")
            return AthenaType(base, digits)
        return AthenaType(base)

    def zone(self, base: str) -> str:
        following = [token.lower() for token in self.tokens[self.position : self.position + 3]]
        if following == ["with", "time", "zone"]:
            self.position += 3
            return f"{base} with time zone"
        if following == ["without", "time", "zone"]:
            self.position += 3
        return base

    def numbers(self) -> list[int]:
        found: list[int] = []
        if self.peek() == "(":
            self.take()
            while True:
                token = self.take()
                if not token.isdigit():
                    raise ValueError(f"Unknown type: {self.text}")
                found.append(int(token))
                if self.expect(",", ")") == ")":
                    break
        return found

    def nested(self, base: str) -> AthenaType:
        close = ">" if self.expect("<", "(") == "<" else ")"
        if base == "array":
            element = self.type()
            self.expect(close)
            return array_of(element)
        if base == "map":
            key = self.type()
            self.expect(",")
            value = self.type()
            self.expect(close)
            return map_of(key, value)
        fields: list[tuple[str, AthenaType]] = []
        while True:
            name = self.take().strip('"`').lower()
            if self.peek() in {",", close} and name in _BASE_NAMES:  # row(integer, varchar): unnamed fields
                fields.append(("", parse_type(name)))
            else:
                if self.peek() == ":":
                    self.take()
                fields.append((name, self.type()))
            if self.expect(",", close) == close:
                return row_of(fields)
