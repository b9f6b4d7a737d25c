"""Glue's partition filter: the `Expression` of GetPartitions, a WHERE clause over partition keys.

Accepts =, <>, !=, <, <=, >, >=, [NOT] IN, [NOT] BETWEEN, [NOT] LIKE, IS [NOT] NULL, AND, OR, NOT and parentheses;
a literal compares as the key's declared type. Anything else, a function above all, is refused as Glue refuses it.
"""

from __future__ import annotations

import datetime
import operator
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from athena_local.catalog.errors import InvalidInputError
from athena_local.catalog.patterns import is_like

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"  # Hive's directory name for a NULL key

Row = Mapping[str, Any]
Predicate = Callable[[Row], "bool | None"]
Operand = Callable[[Row], Any]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")*"|`[^`]*`)
    | (?P<number>-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<word>[A-Za-z_][A-Za-z0-9_$]*)
    | (?P<operator><>|!=|<=|>=|=|<|>|\(|\)|,)
    )""",
    re.VERBOSE,
)
_KEYWORDS = {"AND", "OR", "NOT", "IN", "BETWEEN", "LIKE", "IS", "NULL"}
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compile_expression(expression: str, key_types: Mapping[str, str]) -> Callable[[list[str]], bool]:
    """Return a test for a partition's `Values` (in the order of `key_types`). Raises InvalidInputError."""
    predicate = _Parser(expression, key_types).parse()
    names = list(key_types)
    converters = [_converter(kind) for kind in key_types.values()]

    def matches(values: list[str]) -> bool:
        row = {
            name: None if value == NULL_PARTITION else convert(value)
            for name, convert, value in zip(names, converters, values, strict=True)
        }
        return predicate(row) is True

    return matches


def _converter(kind: str) -> Callable[[str], Any]:
    """Return what turns a key's text into a comparable value, or None where it does not parse."""
    parse = _PARSERS.get(_family(kind))
    if parse is None:
        return lambda text: text

    def convert(text: str) -> Any:
        try:
            return parse(text.strip())
        except (ValueError, InvalidOperation):
            return None

    return convert


def _family(kind: str) -> str:
    """Return which kinds of values a key's type compares as: integer, decimal, date, timestamp or text."""
    base = kind.lower().split("(")[0].strip()
    if base in {"tinyint", "smallint", "int", "integer", "bigint", "long"}:
        return "integer"
    if base in {"decimal", "double", "float"}:
        return "decimal"
    return base if base in {"date", "timestamp"} else "text"


def _date(text: str) -> datetime.date:
    if len(text) != len("2025-01-01"):
        raise ValueError(text)
    return datetime.date.fromisoformat(text)


def _timestamp(text: str) -> tuple[datetime.datetime, int]:
    """Return the second and the nanoseconds in it, since a timestamp may have nine digits."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return datetime.datetime.fromisoformat(match[1]), int((match[2] or "").ljust(9, "0"))


_TIMESTAMP = re.compile(r"(\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?")
_PARSERS: dict[str, Callable[[str], Any]] = {
    "integer": int,
    "decimal": Decimal,
    "date": _date,
    "timestamp": _timestamp,
}
_NOT_OF_TYPE = {
    "integer": '"{0}" is not an integer.',
    "decimal": "{0} is not a decimal.",
    "date": "{0} is not a date.",
    "timestamp": "Timestamp format must be yyyy-mm-dd hh:mm:ss[.fffffffff] {0} is not a timestamp.",
}
_NO_LIKE = {"integer": "Integral", "decimal": "Decimal", "date": "Date", "timestamp": "Timestamp"}


class _Parser:
    """Recursive descent; each rule returns a closure over a partition's row."""

    def __init__(self, text: str, key_types: Mapping[str, str]) -> None:
        self._text = text
        self._types = {name.lower(): (name, kind) for name, kind in key_types.items()}
        self._tokens = self._tokenize()
        self._at = 0

    def parse(self) -> Predicate:
        predicate = self._or()
        if self._at != len(self._tokens):
            raise self._error()
        return predicate

    def _tokenize(self) -> list[tuple[str, str]]:
        tokens, position = [], 0
        text = self._text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise InvalidInputError(f"Unsupported expression '{self._text}'")
            kind = str(match.lastgroup)
            value = match.group(kind)
            if kind == "word" and value.upper() in _KEYWORDS:
                kind, value = "keyword", value.upper()
            tokens.append((kind, value))
            position = match.end()
        return tokens

    def _error(self) -> InvalidInputError:
        return InvalidInputError(f"Unsupported expression '{self._text}'")

    def _accept(self, *values: str) -> str | None:
        if self._at < len(self._tokens):
            kind, value = self._tokens[self._at]
            if kind in {"keyword", "operator"} and value in values:
                self._at += 1
                return value
        return None

    def _expect(self, value: str) -> None:
        if not self._accept(value):
            raise self._error()

    def _or(self) -> Predicate:
        left = self._and()
        while self._accept("OR"):
            left = _either(left, self._and())
        return left

    def _and(self) -> Predicate:
        left = self._not()
        while self._accept("AND"):
            left = _both(left, self._not())
        return left

    def _not(self) -> Predicate:
        if self._accept("NOT"):
            return _negate(self._not())
        start = self._at
        if self._accept("("):
            try:
                inner = self._or()
                self._expect(")")
            except InvalidInputError:
                self._at = start  # an operand in parentheses, or an error that the comparison tells of
            else:
                return inner
        return self._comparison()

    def _comparison(self) -> Predicate:
        """A comparison has the key on one side; the literal takes the key's type."""
        left = self._operand()
        negated = self._accept("NOT") is not None
        if self._accept("IN"):
            predicate = self._in(left)
        elif self._accept("BETWEEN"):
            low = self._operand()
            self._expect("AND")
            predicate = _both(
                _compare(">=", *self._typed(left, low)), _compare("<=", *self._typed(left, self._operand()))
            )
        elif self._accept("LIKE"):
            predicate = self._like(left)
        elif negated:
            raise self._error()
        elif self._accept("IS"):
            negated = self._accept("NOT") is not None
            self._expect("NULL")
            value, _ = self._typed(left, left)
            predicate = lambda row: value(row) is None  # noqa: E731
        else:
            symbol = self._accept(*_COMPARISONS)
            if symbol is None:
                raise self._error()
            predicate = _compare(symbol, *self._typed(left, self._operand()))
        return _negate(predicate) if negated else predicate

    def _in(self, left: tuple[str, str]) -> Predicate:
        self._expect("(")
        predicate = _compare("=", *self._typed(left, self._operand()))
        while self._accept(","):
            predicate = _either(predicate, _compare("=", *self._typed(left, self._operand())))
        self._expect(")")
        return predicate

    def _like(self, left: tuple[str, str]) -> Predicate:
        kind, pattern = self._operand()
        if kind != "string" or left[0] != "key":
            raise self._error()
        name, key_type = self._types[left[1]]
        if (family := _family(key_type)) in _NO_LIKE:
            raise InvalidInputError(f"{_NO_LIKE[family]} data type doesn't support operation 'LIKE'")

        def predicate(row: Row) -> bool | None:
            value = row[name]
            return None if value is None else is_like(str(value), pattern)

        return predicate

    def _operand(self) -> tuple[str, str]:
        """Return ("key", lowered name), ("string", text), ("number", text) or ("null", "")."""
        if self._accept("("):
            inner = self._operand()
            self._expect(")")
            return inner
        if self._accept("NULL"):
            return "null", ""
        if self._at >= len(self._tokens):
            raise self._error()
        kind, value = self._tokens[self._at]
        self._at += 1
        if kind == "string":
            return "string", value[1:-1].replace("''", "'")
        if kind == "number":
            return "number", value
        following = self._tokens[self._at] if self._at < len(self._tokens) else ("", "")
        if kind == "word" and value.lower() in {"date", "timestamp"} and following[0] == "string":
            self._at += 1  # a typed literal: the key's own type decides all the same
            return "string", following[1][1:-1]
        if kind == "word" and following == ("operator", "("):
            raise self._error()  # a function
        if kind in {"word", "quoted"}:
            name = (value[1:-1] if kind == "quoted" else value).lower()
            if name not in self._types:
                raise InvalidInputError("Invalid partition expression!")
            return "key", name
        self._at -= 1
        raise self._error()

    def _typed(self, left: tuple[str, str], right: tuple[str, str]) -> tuple[Operand, Operand]:
        key = left if left[0] == "key" else right
        if key[0] != "key":
            raise InvalidInputError(f"Unsupported expression '{self._text}'")
        key_type = self._types[key[1]][1]
        return self._value(left, key_type), self._value(right, key_type)

    def _value(self, operand: tuple[str, str], key_type: str) -> Operand:
        kind, text = operand
        if kind == "key":
            name = self._types[text][0]
            return lambda row: row[name]
        if kind == "null":
            return lambda _row: None
        value = _converter(key_type)(text)
        if value is None:
            raise InvalidInputError(_NOT_OF_TYPE[_family(key_type)].format(text))
        return lambda _row: value


def _compare(symbol: str, left: Operand, right: Operand) -> Predicate:
    test = _COMPARISONS[symbol]

    def predicate(row: Row) -> bool | None:
        one, other = left(row), right(row)
        return None if one is None or other is None else test(one, other)

    return predicate


def _both(left: Predicate, right: Predicate) -> Predicate:
    def predicate(row: Row) -> bool | None:
        one, other = left(row), right(row)
        if one is False or other is False:
            return False
        return None if one is None or other is None else True

    return predicate


def _either(left: Predicate, right: Predicate) -> Predicate:
    def predicate(row: Row) -> bool | None:
        one, other = left(row), right(row)
        if one is True or other is True:
            return True
        return None if one is None or other is None else False

    return predicate


def _negate(inner: Predicate) -> Predicate:
    def predicate(row: Row) -> bool | None:
        value = inner(row)
        return None if value is None else not value

    return predicate
