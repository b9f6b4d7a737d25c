"""Queries: WITH, set operations, SELECT with its clauses, FROM with its joins; UPDATE and MERGE, which hold expressions."""

from __future__ import annotations

from athena_local.sql.grammar.expressions import ExpressionGrammar
from athena_local.sql.grammar.reader import INTEGER, Mismatch
from athena_local.sql.grammar.words import CLAUSE_AFTER_RELATION

_JOIN_SIDES = ("LEFT", "RIGHT", "FULL")


class QueryGrammar(ExpressionGrammar):
    def query(self) -> None:
        with self.naming("<query>"):
            if self.accept("WITH"):
                self.accept("RECURSIVE")
                self.listed(self._named_query)
            self._query_no_with()

    def _named_query(self) -> None:
        self.identifier()
        if self.key == "(":
            self.column_aliases()
        self.expect("AS")
        self.parenthesised_query()

    def _query_no_with(self) -> None:
        self._query_term()
        if self.accept("ORDER"):
            self._order_by()
        if self.accept("OFFSET"):
            self._row_count()
            if not self.accept("ROW"):
                self.accept("ROWS")
        if self.accept("LIMIT"):
            if not self.accept("ALL"):
                self._row_count()
        elif self.accept("FETCH"):
            self.one_of("FIRST", "NEXT")
            if self.key in {INTEGER, "?"}:
                self.index += 1
            self.one_of("ROW", "ROWS")
            if not self.accept("ONLY"):
                self.expect("WITH", "TIES")

    def _row_count(self) -> None:
        if self.key not in {INTEGER, "?"}:
            self.fail(INTEGER, "?")
        self.index += 1

    def _query_term(self) -> None:
        while True:
            self._query_primary()
            if self.accept("UNION") or self.accept("INTERSECT") or self.accept("EXCEPT"):
                if not self.accept("ALL"):
                    self.accept("DISTINCT")
            else:
                return

    def _query_primary(self) -> None:
        if self.accept("("):
            self._query_no_with()
            self.expect(")")
        elif self.accept("TABLE"):
            self.qualified_name()
        elif self.accept("VALUES"):
            self.listed(self.expression)
        elif self.accept("SELECT"):
            self._select()
        else:
            raise Mismatch

    def _select(self) -> None:
        self._quantifier()
        self.listed(self._select_item)
        if self.accept("FROM"):
            self.listed(self.relation)
        if self.accept("WHERE"):
            self.expression()
        if self.accept("GROUP"):
            self.expect("BY")
            self._quantifier()
            self.listed(self._grouping_element)
        if self.accept("HAVING"):
            self.expression()
        if self.key == "WINDOW":
            self.index += 1
            self.listed(self._window_definition)
        else:
            self.note("'WINDOW'")

    def _select_item(self) -> None:
        if self.accept("*"):
            return
        self.expression()
        if self.key == "." and self.ahead() == "*":
            self.index += 2
            if self.accept("AS"):
                self.column_aliases()
            return
        if self.accept("AS") or (self.is_name() and not self._begins_clause()):
            self.identifier()
        else:
            self._digit_word()
            self.note("<identifier>")

    def _digit_word(self) -> None:
        """Refuse `1x`, which Trino reads as a name."""
        if self.key == "<digit word>":
            self.identifier()

    def _begins_clause(self) -> bool:
        """Tell whether a word that may be a name opens a clause here."""
        if self.key == "WINDOW":
            return self.is_name(1) and self.ahead(2) == "AS"
        return self.ahead() in CLAUSE_AFTER_RELATION.get(self.key, ())

    def _grouping_element(self) -> None:
        if self.key in {"ROLLUP", "CUBE"}:
            self.index += 1
            self.expect("(")
            if not self.accept(")"):
                self.listed(self._grouping_set)
                self.expect(")")
        elif self.key == "GROUPING" and self.ahead() == "SETS":
            self.index += 2
            self.expect("(")
            self.listed(self._grouping_set)
            self.expect(")")
        else:
            self.note("'('", "'CUBE'", "'GROUPING'", "'ROLLUP'")
            self._grouping_set()

    def _grouping_set(self) -> None:
        if self.key == "(" and self.ahead() == ")":
            self.index += 2
        else:
            self.expression()

    def _window_definition(self) -> None:
        self.identifier()
        self.expect("AS")
        self.expect("(")
        self.window_specification()
        self.expect(")")

    # FROM

    def relation(self) -> None:
        self._sampled_relation()
        while True:
            if self.accept("CROSS"):
                self.expect("JOIN")
                self._sampled_relation()
            elif self.accept("NATURAL"):
                self._join_type()
                self.expect("JOIN")
                self._sampled_relation()
            elif self.key in {"INNER", "JOIN", *_JOIN_SIDES}:
                self._join_type()
                self.expect("JOIN")
                self.relation()
                self._join_criteria()
            else:
                self.note("'FULL'", "'INNER'", "'JOIN'", "'LEFT'", "'RIGHT'")
                return

    def _join_type(self) -> None:
        if self.accept("INNER"):
            return
        for side in _JOIN_SIDES:
            if self.accept(side):
                self.accept("OUTER")
                return

    def _join_criteria(self) -> None:
        if self.accept("ON"):
            self.expression()
            return
        self.expect("USING")
        self.column_aliases()

    def _sampled_relation(self) -> None:
        self._aliased_relation()
        if self.key == "MATCH_RECOGNIZE" and self.ahead() == "(":
            self._match_recognize()
        else:
            self.note("'MATCH_RECOGNIZE'")
        if self.accept("TABLESAMPLE"):
            self.one_of("BERNOULLI", "SYSTEM")
            self.expect("(")
            self.expression()
            self.expect(")")

    def _aliased_relation(self) -> None:
        self._relation_primary()
        if self.accept("AS") or (self.is_name() and not self._begins_clause()):
            self.identifier()
        else:
            self._digit_word()
            self.note("<identifier>")
            return
        if self.key == "(":
            self.column_aliases()
        else:
            self.note("'('")

    def column_aliases(self) -> None:
        self.expect("(")
        self.listed(self.identifier)
        self.expect(")")

    def _relation_primary(self) -> None:
        key = self.key
        self.note("'('", "'LATERAL'", "'TABLE'", "'UNNEST'")
        if key == "(":
            self._parenthesised_relation()
        elif key == "UNNEST":
            self.index += 1
            self.expect("(")
            self.listed(self.expression)
            self.expect(")")
            if self.key == "WITH":
                self.expect("WITH", "ORDINALITY")
        elif key == "LATERAL" and self.ahead() == "(":
            self.index += 1
            self.parenthesised_query()
        elif key == "TABLE" and self.ahead() == "(":
            self._table_function()
        else:
            self._versioned_table()

    def _parenthesised_relation(self) -> None:
        if self._query_opens(0) and self.attempt(self.parenthesised_query):
            return
        self.expect("(")
        self.note("<query>")
        self.relation()
        self.expect(")")

    def _versioned_table(self) -> None:
        self.qualified_name()
        if self.key == "FOR" and self.ahead() in {"TIMESTAMP", "VERSION"}:
            self.index += 2
            self.expect("AS", "OF")
            self.value()
        else:
            self.note("'FOR'")

    def _table_function(self) -> None:
        self.expect("TABLE", "(")
        self.qualified_name()
        self.expect("(")
        if not self.accept(")"):
            self.listed(self._table_argument)
            self.expect(")")
        self.expect(")")

    def _table_argument(self) -> None:
        if self.is_name() and self.ahead() == "=>":
            self.index += 2
        if self.key == "TABLE" and self.ahead() == "(":
            self.index += 2
            if not self.attempt(self.query):
                self.qualified_name()
            self.expect(")")
        else:
            self.expression()

    def _match_recognize(self) -> None:
        """Only its brackets are read here: what is inside is refused by name where the query is translated."""
        self.expect("MATCH_RECOGNIZE", "(")
        depth = 1
        while depth:
            if self.key == "<EOF>":
                self.fail(")")
            depth += {"(": 1, ")": -1}.get(self.key, 0)
            self.index += 1
        if self.accept("AS") or (self.is_name() and not self._begins_clause()):
            self.identifier()

    # statements that hold expressions

    def update(self) -> None:
        self.expect("UPDATE")
        self.qualified_name()
        self.expect("SET")
        self.listed(self._assignment)
        if self.accept("WHERE"):
            self.expression()

    def _assignment(self) -> None:
        self.identifier()
        self.expect("=")
        self.expression()

    def merge(self) -> None:
        self.expect("MERGE")
        self.expect("INTO")
        self.qualified_name()
        if self.accept("AS") or self.is_name():
            self.identifier()
        self.expect("USING")
        self.relation()
        self.expect("ON")
        self.expression()
        self._merge_case()
        while self.key == "WHEN":
            self._merge_case()
        self.note("'WHEN'")

    def _merge_case(self) -> None:
        self.expect("WHEN")
        matched = not self.accept("NOT")
        self.expect("MATCHED")
        if self.accept("AND"):
            self.expression()
        self.expect("THEN")
        if not matched:
            self.expect("INSERT")
            if self.key == "(":
                self.column_aliases()
            self.expect("VALUES")
            self.expect("(")
            self.listed(self.expression)
            self.expect(")")
        elif not self.accept("DELETE"):
            self.expect("UPDATE")
            self.expect("SET")
            self.listed(self._assignment)
