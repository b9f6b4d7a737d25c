"""Queries: which clause is read where, and what is known on the way: CTEs in force, the depth of views, fresh names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.coercion import Type
from athena_local.sql.dialect import DuckDBText, Source
from athena_local.sql.expressions import Expressions
from athena_local.sql.queries import common_tables, ordering, relations, select, set_operations, values
from athena_local.sql.queries.emptiness import has_no_rows
from athena_local.sql.queries.shared import column
from athena_local.sql.scope import Output, Relation, Scope, position_of
from athena_local.sql.tables import Tables

if TYPE_CHECKING:
    from athena_local.engine.session import Session


class Queries:
    """Translates queries of one statement. `depth` is how many views this one is inside of."""

    def __init__(self, session: Session, depth: int = 0, database: str | None = None) -> None:
        self.session = session
        self.depth = depth
        self.database = database or session.context.database
        self.tables = Tables(session, self)
        self.ctes: dict[str, list[Output]] = {}
        self._count = 0
        self.expressions = Expressions(self._nested, self.database)

    def _nested(self, query: exp.Expression, scope: Scope) -> tuple[exp.Expression, list[Type]]:
        tree, outputs = self.query(query, scope, self.ctes)
        return tree, [output.type for output in outputs]

    def query(
        self, node: exp.Expression, outer: Scope, ctes: dict[str, list[Output]]
    ) -> tuple[exp.Expression, list[Output]]:
        """Return the translated query and its columns, whose refs are the names it gives them."""
        before = self.ctes
        try:
            with self.session.schema_only(has_no_rows(node)):
                with_ = node.args.get("with_")
                self.ctes = dict(ctes)
                clause = common_tables.with_(self, with_, outer) if with_ is not None else None
                tree, outputs = self._body(node, outer)
                if clause is not None:
                    tree.set("with_", clause)
                return tree, outputs
        finally:
            self.ctes = before

    def _body(self, node: exp.Expression, outer: Scope) -> tuple[exp.Expression, list[Output]]:
        if isinstance(node, exp.Select):
            return select.translate_select(self, node, outer)
        if isinstance(node, exp.SetOperation):
            return set_operations.set_operation(self, node, outer)
        if isinstance(node, exp.Values):
            return values.values_(self, node, outer)
        if isinstance(node, exp.Subquery):
            return self._parenthesised(node, outer)
        raise QueryError("SYNTAX_ERROR", "mismatched input. Expecting: <query>", position=position_of(node))

    def _parenthesised(self, node: exp.Subquery, outer: Scope) -> tuple[exp.Expression, list[Output]]:
        tree, outputs = self.query(node.this, outer, self.ctes)
        if not any(node.args.get(key) for key in ("order", "limit", "offset")):
            return tree, outputs
        wrapped = exp.select(*[column(output.ref) for output in outputs]).from_(
            Source(this=tree.sql(dialect=DuckDBText))
        )
        ordering.tail(self, node, wrapped, outputs, Scope([Relation("", outputs, named=False)], outer))
        return wrapped, outputs

    def from_item(
        self, node: exp.Expression, scope: Scope, conjuncts: list[exp.Expression]
    ) -> tuple[exp.Expression, list[Relation]]:
        return relations.from_item(self, node, scope, conjuncts)

    def fresh(self) -> str:
        self._count += 1
        return f"__derived_{self.depth}_{self._count}"
