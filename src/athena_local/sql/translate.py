"""Queries: Athena's tree to DuckDB's, in stages: names resolved against the catalog, types worked out, text generated.

Every table becomes the scan of its files; views are expanded where they stand, in their own scope. Stars are expanded from
the catalog's columns, so hidden ones never appear unasked. What DuckDB alone would allow is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import duckdb
from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.dialect import AthenaSQL, DuckDBText, Source, Text
from athena_local.sql.expressions import Expressions, direction
from athena_local.sql.functions import common_type
from athena_local.sql.scope import Output, Relation, Scope, Typed, position_of
from athena_local.sql.tables import Tables
from athena_local.types import UNKNOWN, AthenaType, Column, from_duckdb, quote

if TYPE_CHECKING:
    from athena_local.engine.session import Session, Translated

Type = AthenaType | None
_INTEGER_RESULTS = {"hugeint", "uhugeint"}


def translate(session: Session, query: exp.Expression) -> Translated:
    """Return DuckDB's SQL of an Athena query, with its columns' names and types."""
    from athena_local.engine.session import Translated

    queries = Queries(session)
    tree, outputs = queries.query(query, Scope(), {})
    sql = tree.sql(dialect=DuckDBText)
    try:
        bound = session.connection.sql(sql)
        kinds = list(bound.types) if bound is not None else []
    except duckdb.Error as error:
        raise session.error(error) from error
    columns, casts, changed = [], [], False
    for output, kind in zip(outputs, kinds, strict=True):
        actual = from_duckdb(kind)
        wanted = output.type if output.type is not None and output.type.base != "unknown" else actual
        columns.append(Column(output.name, wanted))
        differs = wanted.duckdb() != str(kind).replace('"NULL"', "NULL") and wanted.base not in {
            "unknown",
            "json",
        }
        differs = differs and not _same_duckdb_type(wanted, actual, str(kind.id))
        changed = changed or differs
        reference = quote(output.ref)
        casts.append(f"CAST({reference} AS {wanted.duckdb()}) AS {reference}" if differs else reference)
    if changed:
        sql = f"SELECT {', '.join(casts)} FROM ({sql})"
        if isinstance(tree, exp.Query) and tree.args.get("order"):
            sql = _ordered_outside(tree, casts)
    return Translated(sql, columns)


def _ordered_outside(tree: exp.Expression, casts: list[str]) -> str:
    """Keep ORDER BY outermost: a subquery's order is not promised to survive."""
    text = tree.sql(dialect=DuckDBText)
    numbered = f"SELECT *, row_number() OVER () AS __order FROM ({text})"
    return f"SELECT {', '.join(casts)} FROM ({numbered}) ORDER BY __order"


def _same_duckdb_type(wanted: AthenaType, actual: AthenaType, name: str) -> bool:
    return name not in _INTEGER_RESULTS and wanted.duckdb() == actual.duckdb()


class Queries:
    """Translates queries of one statement. `depth` guards against views that contain themselves."""

    def __init__(self, session: Session, depth: int = 0, database: str | None = None) -> None:
        self.session = session
        self.depth = depth
        self.database = database or session.context.database
        self.tables = Tables(session, self)
        self.ctes: dict[str, list[Output]] = {}
        self._count = 0
        self.expressions = Expressions(self._nested)

    def _nested(self, query: exp.Expression, scope: Scope) -> tuple[exp.Expression, list[Type]]:
        tree, outputs = self.query(query, scope, self.ctes)
        return tree, [output.type for output in outputs]

    def query(
        self, node: exp.Expression, outer: Scope, ctes: dict[str, list[Output]]
    ) -> tuple[exp.Expression, list[Output]]:
        """Return the translated query and its columns, whose refs are the names it gives them."""
        before = self.ctes
        try:
            with_ = node.args.get("with_")
            self.ctes = dict(ctes)
            clause = self._with(with_, outer) if with_ is not None else None
            tree, outputs = self._body(node, outer)
            if clause is not None:
                tree.set("with_", clause)
            return tree, outputs
        finally:
            self.ctes = before

    def _body(self, node: exp.Expression, outer: Scope) -> tuple[exp.Expression, list[Output]]:
        if isinstance(node, exp.Select):
            return self._select(node, outer)
        if isinstance(node, exp.SetOperation):
            return self._set_operation(node, outer)
        if isinstance(node, exp.Values):
            return self._values(node, outer)
        if isinstance(node, exp.Subquery):
            return self._parenthesised(node, outer)
        raise QueryError("SYNTAX_ERROR", "mismatched input. Expecting: <query>", position=position_of(node))

    def _parenthesised(self, node: exp.Subquery, outer: Scope) -> tuple[exp.Expression, list[Output]]:
        tree, outputs = self.query(node.this, outer, self.ctes)
        if not any(node.args.get(key) for key in ("order", "limit", "offset")):
            return tree, outputs
        wrapped = exp.select(*[_column(output.ref) for output in outputs]).from_(
            Source(this=tree.sql(dialect=DuckDBText))
        )
        self._tail(node, wrapped, outputs, Scope([Relation("", outputs, named=False)], outer))
        return wrapped, outputs

    # WITH

    def _with(self, node: exp.With, outer: Scope) -> exp.With:
        found = []
        for cte in node.expressions:
            name = cte.alias
            columns = [column.name for column in cte.args["alias"].args.get("columns") or []]
            if node.args.get("recursive") and isinstance(cte.this, exp.SetOperation):
                _, anchor = self.query(cte.this.this, outer, self.ctes)
                self.ctes[name.lower()] = _renamed(anchor, columns, cte)
                tree, outputs = self._recursion(cte.this, outer, self.ctes[name.lower()])
            else:
                tree, outputs = self.query(cte.this, outer, self.ctes)
            outputs = _renamed(outputs, columns, cte)
            self.ctes[name.lower()] = outputs
            alias = exp.TableAlias(
                this=exp.to_identifier(name, quoted=True),
                columns=[exp.to_identifier(output.ref, quoted=True) for output in outputs],
            )
            found.append(exp.CTE(this=tree, alias=alias))
        return exp.With(expressions=found, recursive=bool(node.args.get("recursive")))

    def _recursion(
        self, node: exp.SetOperation, outer: Scope, anchor: list[Output]
    ) -> tuple[exp.Expression, list[Output]]:
        """Translate anchor and step as the bare union that DuckDB needs to see a recursion."""
        if not isinstance(node, exp.Union) or _has_tail(node):
            raise QueryError("NOT_SUPPORTED", "A recursive query must be a UNION", position=position_of(node))
        first, _ = self.query(node.this, outer, self.ctes)
        step, outputs = self.query(node.expression, outer, self.ctes)
        _united(anchor, outputs, node)
        text = "({0}) UNION ({1})" if node.args.get("distinct") else "({0}) UNION ALL ({1})"
        return Text(this=text, expressions=[first, step]), anchor

    # SELECT

    def _select(self, node: exp.Select, outer: Scope) -> tuple[exp.Expression, list[Output]]:
        self._refuse_foreign_clauses(node)
        scope = Scope(parent=outer)
        select = exp.Select()
        self._from(node, scope, select)
        where = node.args.get("where")
        if where is not None:
            condition = self.expressions.translate(where.this, scope)
            _expect_boolean(condition, where.this, "WHERE")
            select.set("where", exp.Where(this=condition.node))
        projections = self._projections(node, scope)
        outputs = _unique([(name, typed.type) for name, typed in projections])
        select.set(
            "expressions",
            [
                exp.Alias(this=typed.node, alias=exp.to_identifier(output.ref, quoted=True))
                for (_, typed), output in zip(projections, outputs, strict=True)
            ],
        )
        if node.args.get("distinct") is not None:
            if node.args["distinct"].args.get("on"):
                raise _not_athena("DISTINCT ON", node)
            select.set("distinct", exp.Distinct())
        self._group(node, scope, select, projections)
        if node.args.get("having") is not None:
            select.set(
                "having", exp.Having(this=self.expressions.translate(node.args["having"].this, scope).node)
            )
        if node.args.get("windows"):
            select.set("windows", [self._named_window(item, scope) for item in node.args["windows"]])
        scope.overlay = {name.lower(): (typed.node, typed.type) for name, typed in projections}
        self._tail(node, select, outputs, scope)
        return select, outputs

    def _refuse_foreign_clauses(self, node: exp.Select) -> None:
        for key, name in (
            ("qualify", "QUALIFY"), ("laterals", "LATERAL VIEW"), ("match", "MATCH_RECOGNIZE"), ("kind", "SELECT AS"),
            ("into", "INTO"), ("sample", "USING SAMPLE"), ("cluster", "CLUSTER BY"), ("sort", "SORT BY"),
            ("distribute", "DISTRIBUTE BY"), ("settings", "SETTINGS"), ("hint", "HINT"), ("prewhere", "PREWHERE"),
            ("pivots", "PIVOT"), ("operation_modifiers", "SELECT modifiers"),
        ):  # fmt: skip
            if node.args.get(key):
                raise _not_athena(name, node)
        if not node.expressions:
            raise QueryError(
                "SYNTAX_ERROR", "mismatched input. Expecting: <expression>", position=position_of(node)
            )

    def _projections(self, node: exp.Select, scope: Scope) -> list[tuple[str, Typed]]:
        found: list[tuple[str, Typed]] = []
        for item in node.expressions:
            if isinstance(item, exp.Star) or (
                isinstance(item, exp.Column) and isinstance(item.this, exp.Star)
            ):
                found += self._star(item, scope)
            elif isinstance(item, exp.Alias):
                found.append((item.alias, self.expressions.translate(item.this, scope)))
            else:
                typed = self.expressions.translate(item, scope)
                found.append((_derived_name(item, len(found)), typed))
        return found

    def _star(self, item: exp.Expression, scope: Scope) -> list[tuple[str, Typed]]:
        star = item if isinstance(item, exp.Star) else item.this
        if star.args.get("except_") or star.args.get("replace") or star.args.get("rename"):
            raise _not_athena("* EXCEPT/REPLACE", item)
        if isinstance(item, exp.Column):
            relation = scope.relation(item.parts[-2].name)
            if relation is None:
                text = f"Unable to resolve reference {item.parts[-2].name}"
                raise QueryError("TABLE_NOT_FOUND", text, position=position_of(item))
            return [_projected(relation, output) for output in relation.outputs if not output.hidden]
        if not scope.relations:
            raise QueryError(
                "COLUMN_NOT_FOUND", "SELECT * not allowed in queries without FROM clause", position=(1, 8)
            )
        found: list[tuple[str, Typed]] = []
        merged: set[str] = set()
        ordered = [
            (relation, output)
            for relation in scope.relations
            for output in relation.outputs
            if not output.hidden
        ]
        for relation, output in sorted(ordered, key=lambda pair: pair[1].name.lower() not in scope.merged):
            name = output.name.lower()
            if name in scope.merged:
                if name not in merged:
                    merged.add(name)
                    found.append((output.name, Typed(_column(output.ref), output.type)))
                continue
            found.append(_projected(relation, output))
        return found

    def _group(
        self, node: exp.Select, scope: Scope, select: exp.Select, projections: list[tuple[str, Typed]]
    ) -> None:
        group = node.args.get("group")
        if group is None:
            return
        if group.args.get("all") or group.args.get("totals"):
            raise _not_athena("GROUP BY ALL", node)
        pieces: list[str] = []
        nodes: list[exp.Expression] = []

        def plain(item: exp.Expression) -> str:
            if isinstance(item, exp.Literal) and item.name.isdigit():
                position = int(item.name)
                if not 1 <= position <= len(projections):
                    text = f"GROUP BY position {position} is not in select list"
                    raise QueryError("INVALID_COLUMN_REFERENCE", text, position=position_of(node))
                return str(position)
            if isinstance(item, (exp.Tuple, exp.Paren)):
                inner = item.expressions if isinstance(item, exp.Tuple) else [item.this]
                return "(" + ", ".join(plain(part) for part in inner) + ")"
            nodes.append(self.expressions.translate(item, scope).node)
            return f"{{{len(nodes) - 1}}}"

        for item in group.expressions:
            name = {exp.Cube: "CUBE", exp.Rollup: "ROLLUP", exp.GroupingSets: "GROUPING SETS"}.get(type(item))
            if name:
                pieces.append(f"{name} (" + ", ".join(plain(part) for part in item.expressions) + ")")
            else:
                pieces.append(plain(item))
        for key, name in (("cube", "CUBE"), ("rollup", "ROLLUP"), ("grouping_sets", "GROUPING SETS")):
            for item in group.args.get(key) or []:
                pieces.append(f"{name} (" + ", ".join(plain(part) for part in item.expressions) + ")")
        select.set("group", exp.Group(expressions=[Text(this=", ".join(pieces), expressions=nodes)]))

    def _named_window(self, item: exp.Expression, scope: Scope) -> exp.Expression:
        frame = self.expressions.window(item, scope)
        return Text(this=f"{quote(item.name)} AS ({{0}})", expressions=[frame])

    def _tail(self, node: exp.Expression, tree: exp.Expression, outputs: list[Output], scope: Scope) -> None:
        """ORDER BY (output names first, then columns), OFFSET, LIMIT."""
        order = node.args.get("order")
        if order is not None:
            items = []
            for item in order.expressions:
                items.append(
                    Text(this=f"{{0}}{direction(item)}", expressions=[self._order_item(item, outputs, scope)])
                )
            tree.set("order", exp.Order(expressions=items))
        limit, offset = node.args.get("limit"), node.args.get("offset")
        if isinstance(limit, exp.Fetch):
            options = limit.args.get("limit_options")
            if options is not None and (options.args.get("with_ties") or options.args.get("percent")):
                raise QueryError(
                    "NOT_SUPPORTED", "FETCH FIRST WITH TIES is not supported", position=position_of(node)
                )
            tree.set("limit", exp.Limit(expression=limit.args.get("count") or exp.Literal.number(1)))
        elif limit is not None and not (
            isinstance(limit.expression, exp.Var) or limit.expression.name.upper() == "ALL"
        ):
            if limit.args.get("expressions") or not _is_count(limit.expression):
                raise _not_athena("LIMIT", node)
            tree.set("limit", exp.Limit(expression=limit.expression.copy()))
        if offset is not None:
            if not _is_count(offset.expression):
                raise _not_athena("OFFSET", node)
            tree.set("offset", exp.Offset(expression=offset.expression.copy()))

    def _order_item(self, item: exp.Expression, outputs: list[Output], scope: Scope) -> exp.Expression:
        inner = item.this if isinstance(item, exp.Ordered) else item
        if isinstance(inner, exp.Literal) and inner.name.isdigit() and not inner.is_string:
            if not 1 <= int(inner.name) <= len(outputs):
                text = f"ORDER BY position {inner.name} is not in select list"
                raise QueryError("INVALID_COLUMN_REFERENCE", text, position=position_of(item))
            return inner.copy()
        if isinstance(inner, exp.Column) and not inner.table:
            found = [
                index for index, output in enumerate(outputs) if output.name.lower() == inner.name.lower()
            ]
            if found:
                return exp.Literal.number(found[0] + 1)
        return self.expressions.translate(inner, scope).node

    # FROM

    def _from(self, node: exp.Select, scope: Scope, select: exp.Select) -> None:
        from_ = node.args.get("from_")
        joins: Sequence[exp.Join] = node.args.get("joins") or []
        if from_ is None:
            return
        conjuncts = _conjuncts(node)
        outer_joined = any((join.side or "").upper() in {"RIGHT", "FULL"} for join in joins)
        tree, relation = self._item(from_.this, scope, [] if outer_joined else conjuncts)
        scope.relations.append(relation)
        joined: list[exp.Expression] = []
        for inner in from_.this.args.get("joins") or []:
            joined.append(self._join(inner, scope, []))
        for join in joins:
            safe = not outer_joined and (join.side or "").upper() not in {"LEFT", "FULL", "RIGHT"}
            joined.append(self._join(join, scope, conjuncts if safe else []))
        select.set("from_", exp.From(this=tree))
        if joined:
            select.set("joins", joined)

    def _join(self, join: exp.Join, scope: Scope, conjuncts: list[exp.Expression]) -> exp.Expression:
        if join.args.get("method") or (join.kind or "").upper() in {"SEMI", "ANTI", "POSITIONAL", "ASOF"}:
            name = str(join.args.get("method") or join.kind)
            if name.upper() == "NATURAL":
                raise QueryError("NOT_SUPPORTED", "Natural join not supported", position=position_of(join))
            raise _not_athena(f"{name} JOIN", join)
        tree, relation = self._item(join.this, scope, conjuncts)
        lateral = isinstance(join.this, (exp.Unnest, exp.Lateral))
        side, kind = (join.side or "").upper(), (join.kind or "").upper()
        result = exp.Join(this=tree)
        using = [item.name for item in join.args.get("using") or []]
        before = list(scope.relations)
        scope.relations.append(relation)
        if using:
            self._using(using, before, relation, scope, join)
            result.set("using", [exp.to_identifier(name, quoted=True) for name in using])
        elif join.args.get("on") is not None:
            on = self.expressions.translate(join.args["on"], scope)
            _expect_boolean(on, join.args["on"], "JOIN ON")
            result.set("on", on.node)
        elif lateral and not side:
            kind = "CROSS"
        elif side or kind in {"INNER"} or (not kind and join.args.get("on") is None and side):
            raise QueryError(
                "SYNTAX_ERROR", "mismatched input. Expecting: 'ON', 'USING'", position=position_of(join)
            )
        else:
            kind = "CROSS"
        result.set("side", side or None)
        result.set("kind", kind if kind in {"CROSS", "INNER"} else None)
        return result

    def _using(
        self, names: list[str], before: list[Relation], relation: Relation, scope: Scope, join: exp.Join
    ) -> None:
        for name in names:
            left = any(item.find(name) for item in before)
            if not left or not relation.find(name):
                side = "left" if not left else "right"
                text = f"Column '{name}' is missing from {side} side of join"
                raise QueryError("COLUMN_NOT_FOUND", text, position=position_of(join))
            scope.merged.add(name.lower())

    def _item(
        self, node: exp.Expression, scope: Scope, conjuncts: list[exp.Expression]
    ) -> tuple[exp.Expression, Relation]:
        """Translate one FROM item."""
        if isinstance(node, exp.Table):
            return self._table(node, conjuncts)
        alias_node = node.args.get("alias")
        alias = alias_node.name if alias_node is not None else ""
        columns = (
            [column.name for column in (alias_node.args.get("columns") or [])]
            if alias_node is not None
            else []
        )
        if isinstance(node, exp.Unnest):
            return self._unnest(node, scope, alias, columns)
        if isinstance(node, exp.Lateral):
            if not isinstance(node.this, exp.Subquery):
                raise _not_athena("LATERAL", node)
            return self._derived(node.this.this, scope, alias, columns, node, lateral=True)
        if isinstance(node, exp.Subquery):
            if isinstance(node.this, exp.Table):
                return self._parenthesised_join(node, scope, conjuncts)
            return self._derived(
                node.this, Scope(parent=scope.parent), alias, columns, node, node.args.get("sample")
            )
        if isinstance(node, exp.Values):
            return self._derived(node, Scope(parent=scope.parent), alias, columns, node)
        raise _not_athena(node.sql(dialect=AthenaSQL)[:40], node)

    def _parenthesised_join(
        self, node: exp.Subquery, scope: Scope, conjuncts: list[exp.Expression]
    ) -> tuple[exp.Expression, Relation]:
        if node.this.args.get("joins"):
            raise QueryError(
                "NOT_SUPPORTED", "Parenthesised joins are not supported", position=position_of(node)
            )
        table = node.this.copy()
        if node.args.get("alias"):
            table.set("alias", node.args["alias"].copy())
        return self._item(table, scope, conjuncts)

    def _derived(
        self,
        query: exp.Expression,
        scope: Scope,
        alias: str,
        columns: list[str],
        node: exp.Expression,
        sample: exp.Expression | None = None,
        *,
        lateral: bool = False,
    ) -> tuple[exp.Expression, Relation]:
        tree, outputs = self.query(query, scope, self.ctes)
        outputs = _renamed(outputs, columns, node, refs=False)
        name = alias or self._fresh()
        source = f"{'LATERAL ' if lateral else ''}({tree.sql(dialect=DuckDBText)}) AS {quote(name)}{_sample(sample)}"
        return Text(this=source), Relation(name, outputs, named=bool(alias))

    def _table(self, node: exp.Table, conjuncts: list[exp.Expression]) -> tuple[exp.Expression, Relation]:
        if not isinstance(node.this, exp.Identifier):
            name = (
                node.this.name if isinstance(node.this, exp.Anonymous) else node.this.sql(dialect=AthenaSQL)
            )
            text = f"Table function '{name.lower()}' not registered"
            raise QueryError("FUNCTION_NOT_FOUND", text, position=position_of(node))
        for key in ("pivots", "laterals", "when", "changes"):
            if node.args.get(key):
                raise _not_athena(key.upper(), node)
        alias_node = node.args.get("alias")
        alias = alias_node.name if alias_node is not None and alias_node.name else node.name
        columns = (
            [column.name for column in (alias_node.args.get("columns") or [])]
            if alias_node is not None
            else []
        )
        sample = node.args.get("sample")
        if not node.db and node.name.lower() in self.ctes:
            outputs = _renamed(self.ctes[node.name.lower()], columns, node, refs=False)
            text = f"{quote(node.name)} AS {quote(alias)}{_sample(sample)}"
            return Text(this=text), Relation(alias, outputs)
        sql, outputs = self.tables.source(
            node, alias, [] if columns else conjuncts
        )  # they may name renamed columns
        outputs = _renamed(outputs, columns, node, refs=False)
        return Text(this=f"({sql}) AS {quote(alias)}{_sample(sample)}"), Relation(alias, outputs)

    def _unnest(
        self, node: exp.Unnest, scope: Scope, alias: str, columns: list[str]
    ) -> tuple[exp.Expression, Relation]:
        """UNNEST in FROM: arrays side by side, padded with NULL; a map gives two columns, rows their fields."""
        parts = [self.expressions.translate(item, scope) for item in node.expressions]
        inner: list[str] = []
        outer: list[tuple[str, Type]] = []
        for index, part in enumerate(parts):
            inner_here, outer_here = _unnested(index, part.type, f"{{{index}}}")
            inner += inner_here
            outer += outer_here
        offset = node.args.get("offset")
        if offset:
            lengths = ", ".join(
                f"len({'map_keys(' if part.type and part.type.base == 'map' else '('}{{{index}}}))"
                for index, part in enumerate(parts)
            )
            inner.append(f"unnest(range(1, coalesce(greatest({lengths}), 0) + 1)) AS __ordinality")
            outer.append(("__ordinality", AthenaType("bigint")))
        names = list(columns)
        if isinstance(offset, exp.Identifier):
            names.append(offset.name)
        if names and len(names) != len(outer):
            text = (
                f"Column alias list has {len(names)} entries but '{alias}' has {len(outer)} columns available"
            )
            raise QueryError("MISMATCHED_COLUMN_ALIASES", text, position=position_of(node))
        names = names or [f"_col{index}" for index in range(len(outer))]
        outputs = _unique([(name, kind) for name, (_, kind) in zip(names, outer, strict=True)])
        selected = ", ".join(
            f"{text} AS {quote(output.ref)}" for (text, _), output in zip(outer, outputs, strict=True)
        )
        name = alias or self._fresh()
        text = f"LATERAL (SELECT {selected} FROM (SELECT {', '.join(inner)}) AS __unnested) AS {quote(name)}"
        tree = Text(this=text, expressions=[part.node for part in parts])
        return tree, Relation(name, outputs, named=bool(alias))

    def _fresh(self) -> str:
        self._count += 1
        return f"__derived_{self.depth}_{self._count}"

    # set operations, VALUES

    def _set_operation(self, node: exp.SetOperation, outer: Scope) -> tuple[exp.Expression, list[Output]]:
        if node.args.get("by_name") or node.args.get("match_by") or node.args.get("on"):
            raise _not_athena("BY NAME", node)
        branches: list[exp.Expression] = []
        current: exp.Expression = node
        chain: list[exp.SetOperation] = []
        while isinstance(current, exp.SetOperation) and not (chain and _has_tail(current)):
            chain.append(current)
            current = current.this
        branches = [current, *(item.expression for item in reversed(chain))]
        translated = [self.query(branch, outer, self.ctes) for branch in branches]
        outputs = translated[0][1]
        for (_, others), branch in zip(translated[1:], branches[1:], strict=True):
            outputs = _united(outputs, others, branch)
        text = "({0})"
        for index, item in enumerate(reversed(chain), start=1):
            word = {exp.Union: "UNION", exp.Except: "EXCEPT", exp.Intersect: "INTERSECT"}[type(item)]
            text = f"{text} {word}{'' if item.args.get('distinct') else ' ALL'} ({{{index}}})"
        outputs = [
            Output(output.name, output.type, translated[0][1][index].ref)
            for index, output in enumerate(outputs)
        ]
        inner = Text(this=text, expressions=[tree for tree, _ in translated])
        select = exp.select(*[_column(output.ref) for output in outputs])
        alias = self._fresh()
        select.set("from_", exp.From(this=Text(this=f"({{0}}) AS {quote(alias)}", expressions=[inner])))
        self._tail(node, select, outputs, Scope([Relation(alias, outputs, named=False)], outer))
        return select, outputs

    def _values(self, node: exp.Values, outer: Scope) -> tuple[exp.Expression, list[Output]]:
        rows = [
            list(item.expressions) if isinstance(item, exp.Tuple) else [item] for item in node.expressions
        ]
        rows = [
            [*row] if not (len(row) == 1 and isinstance(row[0], exp.Paren)) else [row[0].this] for row in rows
        ]
        width = len(rows[0])
        types: list[Type] = [UNKNOWN] * width
        nodes: list[exp.Expression] = []
        texts = []
        for row in rows:
            if len(row) != width:
                text = f"Values rows have mismatched types: row({width}) vs row({len(row)})"
                raise QueryError("TYPE_MISMATCH", text, position=position_of(node))
            holes = []
            for index, item in enumerate(row):
                typed = self.expressions.translate(item, Scope(parent=outer))
                types[index] = common_type(types[index], typed.type)
                holes.append(f"{{{len(nodes)}}}")
                nodes.append(typed.node)
            texts.append(f"({', '.join(holes)})")
        outputs = _unique([(f"_col{index}", types[index]) for index in range(width)])
        names = ", ".join(quote(output.ref) for output in outputs)
        select = exp.select(*[_column(output.ref) for output in outputs])
        values = Text(this=f"(VALUES {', '.join(texts)}) AS __values({names})", expressions=nodes)
        select.set("from_", exp.From(this=values))
        self._tail(node, select, outputs, Scope([Relation("", outputs, named=False)], outer))
        return select, outputs


# helpers


def _column(ref: str) -> exp.Expression:
    return exp.column(exp.to_identifier(ref, quoted=True))


def _projected(relation: Relation, output: Output) -> tuple[str, Typed]:
    node = exp.column(
        exp.to_identifier(output.ref, quoted=True), table=exp.to_identifier(relation.alias, quoted=True)
    )
    return output.name, Typed(node, output.type)


def _derived_name(item: exp.Expression, index: int) -> str:
    if isinstance(item, exp.Column):
        return item.name
    if isinstance(item, exp.Dot):
        return str(item.expression.name)
    return f"_col{index}"


def _unique(columns: list[tuple[str, Type]]) -> list[Output]:
    seen: set[str] = set()
    outputs = []
    for name, kind in columns:
        ref, count = name, 0
        while ref.lower() in seen:
            count += 1
            ref = f"{name}__{count}"
        seen.add(ref.lower())
        outputs.append(Output(name, kind, ref))
    return outputs


def _renamed(
    outputs: list[Output], names: list[str], node: exp.Expression, *, refs: bool = True
) -> list[Output]:
    """Apply a column alias list; with `refs`, the SQL will carry the new names too."""
    if not names:
        return outputs
    visible = [output for output in outputs if not output.hidden]
    if len(names) != len(visible):
        text = f"Column alias list has {len(names)} entries but relation has {len(visible)} columns"
        raise QueryError("MISMATCHED_COLUMN_ALIASES", text, position=position_of(node))
    renamed = _unique([(name, output.type) for name, output in zip(names, visible, strict=True)])
    if refs:
        return renamed
    return [Output(new.name, new.type, old.ref) for new, old in zip(renamed, visible, strict=True)]


def _united(left: list[Output], right: list[Output], node: exp.Expression) -> list[Output]:
    if len(left) != len(right):
        text = f"UNION query has different number of fields: {len(left)}, {len(right)}"
        raise QueryError("TYPE_MISMATCH", text, position=position_of(node))
    united = []
    for index, (one, other) in enumerate(zip(left, right, strict=True), start=1):
        kind = common_type(one.type, other.type)
        known = one.type is not None and other.type is not None
        if kind is None and known and one.type.base != other.type.base:  # type: ignore[union-attr]
            text = f"column {index} in UNION query has incompatible types: {one.type}, {other.type}"
            raise QueryError("TYPE_MISMATCH", text, position=position_of(node))
        united.append(Output(one.name, kind, one.ref))
    return united


def _has_tail(node: exp.Expression) -> bool:
    return any(node.args.get(key) for key in ("order", "limit", "offset", "with_"))


def _is_count(node: exp.Expression) -> bool:
    return isinstance(node, exp.Literal) and node.name.isdigit() and not node.is_string


def _sample(node: exp.Expression | None) -> str:
    if node is None:
        return ""
    method = node.args["method"].name if node.args.get("method") is not None else ""
    percent = node.args.get("percent")
    if method.upper() not in {"BERNOULLI", "SYSTEM"} or percent is None:
        raise _not_athena("TABLESAMPLE", node)
    return f" TABLESAMPLE {method.lower()}({float(percent.name)}%)"


def _unnested(index: int, kind: Type, hole: str) -> tuple[list[str], list[tuple[str, Type]]]:
    """Return what the inner select unnests and what the outer one shows of it."""
    name = f"__u{index}"
    outer: list[tuple[str, Type]] = []
    if kind is not None and kind.base == "map":
        inner = [f"unnest(map_keys({hole})) AS {name}_k", f"unnest(map_values({hole})) AS {name}_v"]
        outer = [(f"{name}_k", kind.key), (f"{name}_v", kind.value)]
        return inner, outer
    element = kind.element if kind is not None and kind.base == "array" else None
    inner = [f"unnest({hole}) AS {name}"]
    if element is not None and element.base == "row":
        for position, (field, field_type) in enumerate(element.fields, start=1):
            key = "'" + field.replace("'", "''") + "'" if field else str(position)
            outer.append((f"struct_extract({name}, {key})", field_type))
        return inner, outer
    return inner, [(name, element)]


def _conjuncts(node: exp.Select) -> list[exp.Expression]:
    where = node.args.get("where")
    if where is None:
        return []
    parts: list[Any] = list(where.this.flatten()) if isinstance(where.this, exp.And) else [where.this]
    return parts


def _expect_boolean(typed: Typed, source: exp.Expression, clause: str) -> None:
    if typed.type is not None and typed.type.base not in {"boolean", "unknown"}:
        text = f"{clause} clause must evaluate to a boolean: actual type {typed.type}"
        raise QueryError("TYPE_MISMATCH", text, position=position_of(source))


def _not_athena(what: str, node: Any) -> QueryError:
    return QueryError(
        "SYNTAX_ERROR", f"mismatched input: {what} is not Athena SQL", position=position_of(node)
    )
