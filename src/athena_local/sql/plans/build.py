"""From a query to its plan: scans with the columns and partitions they need, filters, joins, aggregations, order, limits.

Names and types are resolved by the same code that runs the query, which has accepted it before. What is shown is how Trino
would usually go about it: it has statistics and rules that are not here.
"""

from __future__ import annotations

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.plans.nodes import Node, Symbol
from athena_local.sql.plans.reading import (
    Fields,
    branches,
    conjuncts,
    is_own_aggregate,
    is_star,
)
from athena_local.sql.plans.relations import Relations
from athena_local.sql.plans.steps import (
    distinct,
    filtered,
    gathered,
    projected,
    repartitioned,
    replicated,
    two_steps,
)
from athena_local.sql.plans.words import Names, order_items
from athena_local.sql.queries import Queries
from athena_local.sql.scope import Scope
from athena_local.types import AthenaType


class Planner(Relations):
    """Plans the queries of one statement: clause by clause, on top of what FROM gives."""

    def output(self, query: exp.Expression) -> Node:
        """Return the plan of a whole query."""
        root, fields = self.query(query)
        names = ", ".join(name for name, _ in fields)
        details = [f"{name} := {symbol.name}" for name, symbol in fields if name != symbol.name]
        source = root if "Scan" in root.name else gathered(root)  # a bare scan is handed on as it is
        return Node(
            "Output", [symbol for _, symbol in fields], [source], {"columnNames": f"[{names}]"}, details, root.rows
        )  # fmt: skip

    def writing(self, query: exp.Expression, target: str) -> Node:
        """Return the plan of a statement that stores a query's rows."""
        root, fields = self.query(query)
        rows = self._symbol("rows", AthenaType("bigint"))
        names = ", ".join(name for name, _ in fields)
        writer = Node("TableWriter", [rows], [root], {}, [f"Collected columns: [{names}]"])
        commit = Node("TableCommit", [rows], [gathered(writer)], {"target": target})
        return Node("Output", [rows], [commit], {"columnNames": "[rows]"})

    def query(self, node: exp.Expression) -> tuple[Node, Fields]:
        before = dict(self._ctes)
        with_ = node.args.get("with_")
        if with_ is not None:
            self._ctes |= {cte.alias.lower(): cte for cte in with_.expressions}
        try:
            if isinstance(node, exp.Select):
                return self._select(node)
            if isinstance(node, exp.SetOperation):
                return self._set_operation(node)
            if isinstance(node, exp.Subquery):
                root, fields = self.query(node.this)
                return self._tail(node, root, fields)
            return self._values(node)
        finally:
            self._ctes = before

    # SELECT, clause by clause

    def _select(self, node: exp.Select) -> tuple[Node, Fields]:
        kinds = self._types(node)
        if node.args.get("from_") is None:
            return self._constants(node, kinds)
        root, names = self._from(node)
        root = self._with_subqueries(node, root, names)
        rest = [part for part in conjuncts(node) if id(part) not in self._enforced]
        if rest:
            shown = [names.text(part) for part in rest]
            root = filtered(root, f"({' AND '.join(shown)})" if len(shown) > 1 else shown[0])
        calls = [item for item in node.find_all(exp.Anonymous) if is_own_aggregate(item, node)]
        group = node.args.get("group")
        if calls or group is not None:
            root = self._aggregated(node, root, names, calls)
        having = node.args.get("having")
        if having is not None:
            root = filtered(root, names.text(having.this))
        windows = [item for item in node.find_all(exp.Window) if item.find_ancestor(exp.Query) is node]
        if windows:
            root = self._windowed(node, root, names, windows)
        root, fields = self._projected(node, root, names, kinds)
        if node.args.get("distinct") is not None:
            root = distinct(root, [symbol for _, symbol in fields])
        return self._tail(node, root, fields)

    def _constants(self, node: exp.Select, kinds: list[tuple[str, AthenaType | None]]) -> tuple[Node, Fields]:
        fields: Fields = []
        values = []
        for item, (name, kind) in zip(node.expressions, kinds, strict=True):
            inner = item.unalias()
            fields.append((name, self._symbol("expr", kind)))
            values.append(Names().text(inner))
        symbols = [symbol for _, symbol in fields]
        return Node("Values", symbols, [], {}, [f"({', '.join(values)})"], 1), fields

    def _aggregated(self, node: exp.Select, root: Node, names: Names, calls: list[exp.Anonymous]) -> Node:
        group = node.args.get("group")
        keys: list[Symbol] = []
        computed: list[str] = []
        for item in group.expressions if group is not None else []:
            target = _key(item, node)
            if isinstance(target, exp.Column):
                keys.append(names.find(target) or self._symbol(target.name, None))
                continue
            symbol = self._symbol("expr", self._type_of(node, target))
            computed.append(f"{symbol.name} := {names.text(target)}")
            names.replace(target, symbol)
            keys.append(symbol)
        if computed:
            root = projected(root, list(dict.fromkeys([*root.outputs, *keys])), computed)
        results: list[Symbol] = []
        below: list[Symbol] = []
        partial, final = [], []
        for call in calls:
            if names.known(call) is not None:
                continue
            name, kind, text = call.name.lower(), self._type_of(node, call), names.text(call)
            whole = call.parent if isinstance(call.parent, exp.Filter) else call
            if whole is not call:
                text += f" FILTER (WHERE {names.text(whole.expression.this)})"
            symbol, step = self._symbol(name, kind), self._symbol(name, kind)
            results.append(symbol)
            below.append(step)
            partial.append(f"{step.name} := {text}")
            final.append(f'{symbol.name} := {name}("{step.name}")')
            names.replace(whole, symbol)
        return two_steps(root, keys, results, below, partial, final)

    def _windowed(self, node: exp.Select, root: Node, names: Names, windows: list[exp.Window]) -> Node:
        for window in windows:
            symbol = self._symbol(window.this.name.lower() or "window", self._type_of(node, window))
            parts = ", ".join(names.text(item) for item in window.args.get("partition_by") or [])
            order = window.args.get("order")
            descriptor = {"partitionBy": f"[{parts}]"}
            if order is not None:
                descriptor["orderBy"] = f"[{order_items(order, names)}]"
            detail = f"{symbol.name} := {names.text(window.this)}"
            names.replace(window, symbol)
            root = Node(
                "Window", [*root.outputs, symbol], [repartitioned(root, f"[{parts}]")], descriptor, [detail]
            )
        return root

    def _projected(
        self, node: exp.Select, root: Node, names: Names, kinds: list[tuple[str, AthenaType | None]]
    ) -> tuple[Node, Fields]:
        fields: Fields = []
        computed = []
        kept: list[Symbol] = []
        given = iter(kinds)
        for item in node.expressions:
            if is_star(item):
                for name, symbol in names.star(item):
                    next(given, None)
                    fields.append((name, symbol))
                    kept.append(symbol)
                continue
            name, kind = next(given)
            inner = item.unalias()
            known = names.known(inner)
            symbol = known or self._symbol(
                "expr" if not isinstance(inner, exp.Anonymous) else inner.name.lower(), kind
            )
            if known is None:
                computed.append(f"{symbol.name} := {names.text(inner)}")
            fields.append((name, symbol))
            kept.append(symbol)
        if computed:
            root = projected(root, kept, computed)
        return root, fields

    def _tail(self, node: exp.Expression, root: Node, fields: Fields) -> tuple[Node, Fields]:
        order, limit = node.args.get("order"), node.args.get("limit")
        count = None
        if isinstance(limit, exp.Fetch):
            count = limit.args["count"].name if limit.args.get("count") is not None else "1"
        elif limit is not None and limit.expression is not None and limit.expression.name.isdigit():
            count = limit.expression.name
        names = Names({"": fields})
        shown = f"[{order_items(order, names)}]" if order is not None else ""
        if order is not None and count is not None:
            for name in ("TopNPartial", "TopN"):
                root = Node(
                    name,
                    root.outputs,
                    [gathered(root) if name == "TopN" else root],
                    {"count": count, "orderBy": shown},
                )
        elif order is not None:
            sorted_ = Node("PartialSort", root.outputs, [root], {"orderBy": shown})
            root = Node("RemoteMerge", root.outputs, [gathered(sorted_)], {"orderBy": shown})
        elif count is not None:
            partial = Node("LimitPartial", root.outputs, [root], {"count": count})
            root = Node("Limit", root.outputs, [gathered(partial)], {"count": count})
        return root, fields

    def _set_operation(self, node: exp.SetOperation) -> tuple[Node, Fields]:
        planned = [self.query(branch) for branch in branches(node)]
        fields = planned[0][1]
        named = [
            (name, self._symbol("field" if symbol.name.startswith("expr") else name, symbol.type))
            for name, symbol in fields
        ]
        symbols = [symbol for _, symbol in named]
        children = [child for child, _ in planned]
        counts = [child.rows for child in children if child.rows is not None]
        known = sum(counts) if len(counts) == len(children) else None
        root = Node("LocalExchange", symbols, children, {"partitioning": "ROUND_ROBIN"}, [], known)
        if not isinstance(node, exp.Union):
            root = Node("Except" if isinstance(node, exp.Except) else "Intersect", symbols, children)
        elif node.args.get("distinct"):
            root = distinct(root, symbols)
        return self._tail(node, root, named)

    def _values(self, node: exp.Expression) -> tuple[Node, Fields]:
        kinds = self._types(node)
        fields = [(name, self._symbol("field", kind)) for name, kind in kinds]
        rows = []
        for row in node.expressions:
            items = row.expressions if isinstance(row, exp.Tuple) else [row]
            rows.append(f"({', '.join(Names().text(item) for item in items)})")
        values = Node("Values", [symbol for _, symbol in fields], [], {}, rows, len(rows))
        return self._tail(node, values, fields)

    def _with_subqueries(self, node: exp.Select, root: Node, names: Names) -> Node:
        """Join what WHERE and the select list ask of other queries; each becomes a symbol."""
        clauses = [*conjuncts(node), *node.expressions]
        for clause in clauses:
            for item in list(clause.find_all(exp.In, exp.Exists, exp.Subquery)):
                inner = item.args.get("query") if isinstance(item, exp.In) else item.this
                if (
                    inner is None
                    or not isinstance(inner, exp.Query)
                    or item.find_ancestor(exp.Query) is not node
                ):
                    continue
                if isinstance(item, exp.Subquery) and isinstance(item.parent, (exp.In, exp.Exists)):
                    continue
                source, fields = self.query(inner)
                if isinstance(item, exp.In):
                    symbol = self._symbol("expr", AthenaType("boolean"))
                    descriptor = {
                        "filterInput": names.text(item.this).strip('"'),
                        "filteringSource": fields[0][1].name,
                        "semiJoinOutput": symbol.name,
                    }
                    root = Node("SemiJoin", [*root.outputs, symbol], [root, replicated(source)], descriptor)
                elif isinstance(item, exp.Exists):
                    symbol = self._symbol("exists", AthenaType("boolean"))
                    root = Node("CorrelatedJoin", [*root.outputs, symbol], [root, source], {"type": "EXISTS"})
                else:
                    symbol = fields[0][1]
                    single = Node("EnforceSingleRow", source.outputs, [gathered(source)])
                    root = Node("CrossJoin", [*root.outputs, symbol], [root, replicated(single)])
                names.replace(item, symbol)
        return root

    # names and types

    def _types(self, node: exp.Expression) -> list[tuple[str, AthenaType | None]]:
        """Return the names and types of a query's columns, CTEs in force put before it."""
        query = node.copy()
        if self._ctes and query.args.get("with_") is None:
            query.set("with_", exp.With(expressions=[cte.copy() for cte in self._ctes.values()]))
        try:
            with self._session.schema_only():
                _, outputs = Queries(self._session, 0, self._database).query(query, Scope(), {})
        except (
            QueryError
        ):  # a part that means something in its place alone: the whole query has been accepted
            return [
                (item.alias_or_name or f"_col{index}", None) for index, item in enumerate(node.expressions)
            ]
        return [(output.name, output.type) for output in outputs]

    def _type_of(self, node: exp.Select, item: exp.Expression) -> AthenaType | None:
        query = exp.select(exp.alias_(item.copy(), "x"))
        for key in ("from_", "joins", "where", "group"):
            if node.args.get(key) is not None:
                value = node.args[key]
                query.set(key, [part.copy() for part in value] if isinstance(value, list) else value.copy())
        if query.args.get("group") is not None:
            keys = [_key(part, node).copy() for part in query.args["group"].expressions]
            query.args["group"].set("expressions", keys)
        return self._types(query)[0][1]


def _key(item: exp.Expression, select: exp.Select) -> exp.Expression:
    """Return what one item of GROUP BY groups by: an ordinal is the column of SELECT at that place."""
    if isinstance(item, exp.Literal) and item.name.isdigit():
        chosen: exp.Expression = select.expressions[int(item.name) - 1].unalias()
        return chosen
    return item
