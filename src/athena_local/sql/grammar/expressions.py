"""Expressions: booleans over predicates over values over primaries, and the special forms that look like calls."""

from __future__ import annotations

from athena_local.sql.grammar.reader import BINARY, INTEGER, NUMBER, STRING
from athena_local.sql.grammar.types import TypeGrammar
from athena_local.sql.grammar.words import TYPES
from athena_local.sql.lexer import syntax_error

_BIGINT_DIGITS = 19
_COMPARISONS = {"=", "<>", "!=", "<", "<=", ">", ">="}
_QUANTIFIERS = {"ALL", "SOME", "ANY"}
_QUERY_STARTS = {"SELECT", "VALUES", "TABLE", "WITH"}
_PLAIN_WORDS = {
    "NULL",
    "TRUE",
    "FALSE",
    "CURRENT_DATE",
    "CURRENT_USER",
    "CURRENT_CATALOG",
    "CURRENT_SCHEMA",
    "CURRENT_PATH",
}
_MOMENTS = {"CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP"}
_CALLED_FORMS = {
    "IF",
    "SUBSTRING",
    "POSITION",
    "MAP",
    "ROW",
}  # names that sqlglot reads by a rule of their own
_AFTER_VALUE = {
    "AND",
    "OR",
    "THEN",
    "ELSE",
    "END",
    "AS",
    "FROM",
    "WHERE",
    "ON",
    "USING",
    ")",
    ",",
    "]",
    "<EOF>",
}


class ExpressionGrammar(TypeGrammar):
    def query(self) -> None:
        raise NotImplementedError

    def expression(self) -> None:
        with self.naming("<expression>"):
            self._not()
        while True:
            if self.accept("AND") or self.accept("OR"):
                self._not()
            else:
                return

    def _not(self) -> None:
        with self.naming("<expression>"):
            while self.accept("NOT"):
                pass
            self.value()
        self._predicate()

    def _predicate(self) -> None:
        self.note("<predicate>")
        if self.key in _COMPARISONS:
            self.index += 1
            if self.key in _QUANTIFIERS and self.ahead() == "(" and self._query_opens(1):
                self.index += 1
                self.parenthesised_query()
                return
            self.value()
            return
        start = self.index
        negated = self.key == "NOT"
        word = self.ahead() if negated else self.key
        if word not in {"BETWEEN", "IN", "LIKE"} and not (word == "IS" and not negated):
            return
        self.index = start + (2 if negated else 1)
        if word == "BETWEEN":
            self.value()
            self.expect("AND")
            self.value()
        elif word == "IN":
            self._in()
        elif word == "LIKE":
            self.value()
            if self.accept("ESCAPE"):
                self.value()
        else:
            self._is()

    def _is(self) -> None:
        self.accept("NOT")
        if self.accept("NULL"):
            return
        self.expect("DISTINCT")
        self.expect("FROM")
        self.value()

    def _in(self) -> None:
        if self.key == "(" and self._query_opens(0) and self.attempt(self.parenthesised_query):
            return
        self.expect("(")
        self.note("<query>")
        self.listed(self.expression)
        self.expect(")")

    def value(self) -> None:
        """Sums and concatenations of products of signed primaries; their order is sqlglot's to see to."""
        while True:
            with self.naming("<expression>"):
                while self.key in {"+", "-"}:
                    self.index += 1
                self.primary()
            while self.key == "AT" and self.ahead() == "TIME":
                self.expect("AT", "TIME", "ZONE")
                if self.key == "INTERVAL":
                    self._interval()
                else:
                    self.string()
            self.note("'%'", "'*'", "'+'", "'-'", "'/'", "'AT'", "'||'")
            if self.key not in {"+", "-", "*", "/", "%", "||"}:
                return
            self.index += 1

    def primary(self) -> None:
        self._primary_head()
        while True:
            if self.key == "." and self.ahead() == "*":
                return
            if self.accept("."):
                self.note("'*'")
                self.identifier()
            elif self.accept("["):
                self.value()
                self.expect("]")
            else:
                return

    def _primary_head(self) -> None:
        key, following = self.key, self.ahead()
        if key in {STRING, INTEGER, NUMBER, BINARY, "?"} or key in _PLAIN_WORDS:
            if key == INTEGER:
                self._check_integer()
            self.index += 1
            if key == STRING and self.key == "UESCAPE":
                self.index += 1
                self.expect(STRING)
        elif key in _MOMENTS:
            self.index += 1
            if self.key == "(":
                self.expect("(", INTEGER)
                self.expect(")")
        elif key == "(":
            self._parenthesised()
        elif key == "CASE":
            self._case()
        elif key in _FORMS and following == "(":
            _FORMS[key](self)
        elif key == "INTERVAL" and (following == STRING or (following in {"+", "-"} and self.at_string(2))):
            self._interval()
        elif key == "ARRAY" and following == "[":
            self.names.append(
                self.starts[self.index]
            )  # as a type's name sqlglot would read what follows twice over
            self.index += 2
            if not self.accept("]"):
                self.listed(self.expression)
                self.expect("]")
        elif key == "DOUBLE" and following == "PRECISION" and self.at_string(2):
            self.index += 3
        elif self.is_name() and following == "->":
            self.identifier()
            self.expect("->")
            self.expression()
        elif self.is_name() and following == STRING:
            if self.shown[self.index].strip('"').upper() not in TYPES:
                self.unknown_types.append((self.starts[self.index], self.shown[self.index]))
            self.index += 1
            self.string()
        else:
            self._name_or_call()

    def _check_integer(self) -> None:
        """A bigint is the widest there is; Trino tells of more at the statement's start."""
        digits = self.shown[self.index].lstrip("0") or "0"
        if len(digits) > _BIGINT_DIGITS or int(digits) > 2**63:
            raise syntax_error(self.text, 0, f"Invalid numeric literal: {self.shown[self.index]}")

    def _interval(self) -> None:
        self.expect("INTERVAL")
        if self.key in {"+", "-"}:
            self.index += 1
        self.string()
        self.interval_span()

    def _name_or_call(self) -> None:
        if self.key in {"RUNNING", "FINAL"} and self.is_name(1):
            self.index += 1
        form = self.key in _CALLED_FORMS and self.ahead() == "("
        self.identifier()
        if form:
            self.names.pop()
        length = 0
        while self.ahead(length) == "." and self.is_name(length + 1):
            length += 2
        if self.ahead(length) == "(":
            self.index += length
            self._call()
        elif length == 0:
            self._measure()

    def _measure(self) -> None:
        """`name OVER w`; without a window behind it OVER is an alias."""
        if self.key == "OVER" and self.ahead() == "(":
            self._over()

    def _call(self) -> None:
        self.expect("(")
        if self.accept("*"):
            self.expect(")")
        elif not self.accept(")"):
            if not self.accept("ORDER"):
                self._quantifier()
                self.listed(self.expression)
                if self.accept("ORDER"):
                    self._order_by()
            else:
                self._order_by()
            self.expect(")")
        if self.key == "FILTER" and self.ahead() == "(":
            self.expect("FILTER", "(")
            self.expect("WHERE")
            self.expression()
            self.expect(")")
        if self.key in {"IGNORE", "RESPECT"} and self.ahead() == "NULLS":
            self.index += 2
            self._over()
        elif self.key == "OVER" and (self.ahead() == "(" or self.is_name(1)):
            self._over()

    def _order_by(self) -> None:
        self.expect("BY")
        self.listed(self.sort_item)

    def _quantifier(self) -> None:
        """DISTINCT or ALL; ALL is a name where nothing follows it that a value could begin with."""
        if self.accept("DISTINCT"):
            return
        if self.key == "ALL" and self.ahead() not in _AFTER_VALUE | {"."}:
            self.index += 1
        else:
            self.note("'ALL'")

    def sort_item(self) -> None:
        self.expression()
        if not self.accept("ASC"):
            self.accept("DESC")
        if self.accept("NULLS"):
            self.one_of("FIRST", "LAST")

    # parentheses

    def _query_opens(self, offset: int) -> bool:
        """Tell whether the bracket there, or those right behind it, open a query."""
        at = self.opened(offset)
        if self.keys[at] not in _QUERY_STARTS:
            return False
        return not (self.keys[at] == "TABLE" and self.keys[at + 1] == "(")

    def parenthesised_query(self) -> None:
        self.expect("(")
        self.query()
        self.expect(")")

    def _parenthesised(self) -> None:
        if self._is_lambda():
            self.expect("(")
            if not self.accept(")"):
                self.listed(self.identifier)
                self.expect(")")
            self.expect("->")
            self.expression()
            return
        if self._query_opens(0) and self.attempt(self.parenthesised_query):
            return
        self.expect("(")
        self.note("<query>")
        self.listed(self.expression)
        self.expect(")")

    def _is_lambda(self) -> bool:
        at = 1
        while self.is_name(at) or self.ahead(at) == ",":
            at += 1
        return self.ahead(at) == ")" and self.ahead(at + 1) == "->"

    # forms

    def _case(self) -> None:
        self.expect("CASE")
        if not self.accept("WHEN"):
            self.expression()
            self.expect("WHEN")
        while True:
            self.expression()
            self.expect("THEN")
            self.expression()
            if not self.accept("WHEN"):
                break
        if self.accept("ELSE"):
            self.expression()
        self.expect("END")

    def _cast(self) -> None:
        start = self.index
        self.index += 2
        self.expression()
        self.expect("AS")
        self.named_type(start)
        self.expect(")")

    def _row(self) -> None:
        self.names.append(self.starts[self.index])  # see ARRAY
        self.index += 2
        self.listed(self.expression)
        self.expect(")")

    def _exists(self) -> None:
        self.index += 1
        self.parenthesised_query()

    def _position(self) -> None:
        """POSITION(a IN b); any other use of the word is a call."""
        if not self.attempt(self._position_in):
            self._name_or_call()

    def _position_in(self) -> None:
        self.index += 2
        self.value()
        self.expect("IN")
        self.value()
        self.expect(")")

    def _substring(self) -> None:
        """SUBSTRING(a FROM b FOR c), or an ordinary call."""
        if not self.attempt(self._substring_from):
            self._name_or_call()

    def _substring_from(self) -> None:
        self.index += 2
        self.value()
        self.expect("FROM")
        self.value()
        if self.accept("FOR"):
            self.value()
        self.expect(")")

    def _extract(self) -> None:
        self.index += 2
        self.identifier()
        self.expect("FROM")
        self.value()
        self.expect(")")

    def _trim(self) -> None:
        """TRIM([LEADING|TRAILING|BOTH] [chars] FROM text), TRIM(text), TRIM(text, chars)."""
        self.index += 2
        if self.key in {"LEADING", "TRAILING", "BOTH"} and self.ahead() not in {")", ",", ".", "("}:
            self.index += 1
            if not self.accept("FROM"):
                self.value()
                self.expect("FROM")
            self.value()
        elif not self.accept("FROM"):
            self.value()
            if self.accept("FROM") or self.accept(","):
                self.value()
        else:
            self.value()
        self.expect(")")

    def _normalize(self) -> None:
        self.index += 2
        self.value()
        if self.accept(","):
            self.one_of("NFC", "NFD", "NFKC", "NFKD")
        self.expect(")")

    def _grouping(self) -> None:
        self.index += 2
        if not self.accept(")"):
            self.listed(self.qualified_name)
            self.expect(")")

    def _listagg(self) -> None:
        self.index += 2
        self._quantifier()
        self.expression()
        if self.accept(","):
            self.string()
        if self.accept("ON"):
            self.expect("OVERFLOW")
            if self.one_of("ERROR", "TRUNCATE") == "TRUNCATE":
                if self.at_string():
                    self.string()
                self.one_of("WITH", "WITHOUT")
                self.expect("COUNT")
        self.expect(")")
        self.expect("WITHIN", "GROUP", "(")
        self.expect("ORDER")
        self._order_by()
        self.expect(")")
        if self.key == "FILTER" and self.ahead() == "(":
            self.expect("FILTER", "(")
            self.expect("WHERE")
            self.expression()
            self.expect(")")

    def _json(self) -> None:
        """JSON_EXISTS, JSON_VALUE, JSON_QUERY, JSON_OBJECT, JSON_ARRAY: words between values; the brackets must match."""
        self.index += 2
        depth = 1
        while depth:
            key = self.key
            if key == "<EOF>":
                self.fail(")")
            depth += {"(": 1, ")": -1}.get(key, 0)
            self.index += 1

    # windows

    def _over(self) -> None:
        self.expect("OVER")
        if self.accept("("):
            self.window_specification()
            self.expect(")")
        else:
            self.identifier()

    def window_specification(self) -> None:
        if self.is_name() and not (
            (self.key == "PARTITION" and self.ahead() == "BY")
            or (self.key in {"ROWS", "RANGE", "GROUPS"} and self.ahead() not in {")", "PARTITION", "ORDER"})
        ):
            self.identifier()
        if self.accept("PARTITION"):
            self.expect("BY")
            self.listed(self.expression)
        if self.accept("ORDER"):
            self._order_by()
        if self.key in {"ROWS", "RANGE", "GROUPS"}:
            self.index += 1
            if self.accept("BETWEEN"):
                self._bound()
                self.expect("AND")
                self._bound()
            else:
                self._bound()
        else:
            self.note("'GROUPS'", "'RANGE'", "'ROWS'")

    def _bound(self) -> None:
        if self.key == "UNBOUNDED" and self.ahead() not in {"+", "-", "."}:
            self.index += 1
            self.one_of("FOLLOWING", "PRECEDING")
        elif self.key == "CURRENT" and self.ahead() == "ROW":
            self.index += 2
        else:
            self.note("'CURRENT'", "'UNBOUNDED'")
            self._bound_value()
            self.one_of("FOLLOWING", "PRECEDING")

    def _bound_value(self) -> None:
        """An expression; without its predicate, whose BETWEEN … AND would take the frame's own."""
        with self.naming("<expression>"):
            self.value()


_FORMS = {
    "CAST": ExpressionGrammar._cast,
    "TRY_CAST": ExpressionGrammar._cast,
    "ROW": ExpressionGrammar._row,
    "EXISTS": ExpressionGrammar._exists,
    "POSITION": ExpressionGrammar._position,
    "SUBSTRING": ExpressionGrammar._substring,
    "EXTRACT": ExpressionGrammar._extract,
    "TRIM": ExpressionGrammar._trim,
    "NORMALIZE": ExpressionGrammar._normalize,
    "GROUPING": ExpressionGrammar._grouping,
    "LISTAGG": ExpressionGrammar._listagg,
    "JSON_EXISTS": ExpressionGrammar._json,
    "JSON_VALUE": ExpressionGrammar._json,
    "JSON_QUERY": ExpressionGrammar._json,
    "JSON_OBJECT": ExpressionGrammar._json,
    "JSON_ARRAY": ExpressionGrammar._json,
}
