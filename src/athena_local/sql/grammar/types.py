"""Types as CAST and DDL of Trino write them: `decimal(10,2)`, `row(a bigint)`, `timestamp(3) with time zone`, `x array`."""

from __future__ import annotations

from athena_local.sql.grammar.reader import INTEGER, Reader
from athena_local.sql.grammar.words import TYPES

INTERVAL_FIELDS = ("DAY", "HOUR", "MINUTE", "MONTH", "SECOND", "YEAR")


class TypeGrammar(Reader):
    unknown = False  # whether a type was named that does not exist

    def named_type(self, start: int) -> None:
        """Read the type of a cast that begins at token `start`, and remember it if there is no such type."""
        before, self.unknown = self.unknown, False
        first = self.index
        self.type_()
        if self.unknown:
            end = self.starts[self.index - 1] + len(self.shown[self.index - 1])
            self.unknown_types.append((self.starts[start], self.text[self.starts[first] : end]))
        self.unknown = before

    def type_(self) -> None:
        names = len(self.names)
        with self.naming("<type>"):
            self._base_type()
        del self.names[names:]  # a type's name is a word of the grammar, as far as sqlglot goes
        while self.key == "ARRAY":
            self.index += 1
            if self.accept("["):
                self.expect(INTEGER)
                self.expect("]")

    def _base_type(self) -> None:
        key, following = self.key, self.ahead()
        if key == "ROW" and following == "(":
            self.expect("ROW", "(")
            self.listed(self._row_field)
            self.expect(")")
        elif key == "INTERVAL" and following in INTERVAL_FIELDS:
            self.index += 1
            self.interval_span()
        elif key in {"TIME", "TIMESTAMP"}:
            self._time_type()
        elif key == "DOUBLE" and following == "PRECISION":
            self.index += 2
        elif key in {"ARRAY", "MAP"} and following == "<":
            self.index += 2
            self.type_()
            if key == "MAP":
                self.expect(",")
                self.type_()
            self.expect(">")
        else:
            self.identifier()
            self.unknown |= self.shown[self.index - 1].strip('"').upper() not in TYPES
            self._parameters()

    def _time_type(self) -> None:
        self.index += 1
        self._parameters()
        if self.key in {"WITH", "WITHOUT"} and self.ahead() == "TIME":
            self.index += 2
            self.expect("ZONE")

    def _parameters(self) -> None:
        if self.accept("("):
            self.listed(self._parameter)
            self.expect(")")

    def _parameter(self) -> None:
        if not self.accept(INTEGER):
            self.type_()

    def _row_field(self) -> None:
        """`type` or `identifier type`: a name is one when another type can follow it."""
        start = self.index
        postfix = self.ahead() == "ARRAY" and self.ahead(2) not in {
            "(",
            "<",
        }  # `x ARRAY`: a type, and no name before it
        if self.is_name() and self.is_name(1) and not postfix:
            self.identifier()
            if self.attempt(self.type_):
                return
            self.index = start
        self.type_()

    def interval_span(self) -> None:
        self.one_of(*INTERVAL_FIELDS)
        if self.key == "TO":
            self.index += 1
            self.one_of(*INTERVAL_FIELDS)
