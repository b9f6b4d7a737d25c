"""From a query to its plan: scans with the columns and partitions they need, filters, joins, aggregations, order, limits.

Names and types are resolved by the same code that runs the query, which has accepted it before. What is shown is how Trino
would usually go about it: it has statistics and rules that are not here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from athena_local import iceberg
from athena_local.config import CATALOG_NAME
from athena_local.engine import hive
from athena_local.errors import QueryError
from athena_local.sql import information_schema, views
from athena_local.sql.plans.nodes import Node, Symbol
from athena_local.sql.plans.reading import (
    Fields,
    branches,
    conjuncts,
    is_before,
    is_own_aggregate,
    is_star,
    joins_sides,
    key_equalities,
    renamed,
    wanted_columns,
)
from athena_local.sql.plans.steps import (
    distinct,
    filtered,
    gathered,
    projected,
    repartitioned,
    replicated,
    two_steps,
)
from athena_local.sql.plans.words import Names, described, order_items
from athena_local.sql.queries import Queries
from athena_local.sql.scope import Scope
from athena_local.sql.statements import TableName
from athena_local.sql.tables import find
from athena_local.types import AthenaType

if TYPE_CHECKING:
    from athena_local.engine.session import Session


class Planner:
    """Plans the queries of one statement; symbols are unique in it. `scanned` names the tables that are read."""

    def __init__(self, session: Session) -> None:
        self.session = self._session = session
        self._database = session.context.database
        self._taken: set[str] = set()
        self._ctes: dict[str, exp.CTE] = {}
        self._enforced: set[int] = set()  # conditions that choose partitions: the scan itself sees to them
        self.scanned: list[tuple[str, str, list[dict[str, Any]]]] = []

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

    def _from(self, node: exp.Select) -> tuple[Node, Names]:
        wanted = wanted_columns(node)
        everything = any(is_star(item) for item in node.expressions)
        names = Names()
        root = self._relation(node.args["from_"].this, names, None if everything else wanted)
        for join in node.args.get("joins") or []:
            before = Names(dict(names.symbols))
            right = self._relation(join.this, names, None if everything else wanted)
            root = self._joined(join, root, right, before, names)
        return root, names

    def _relation(self, node: exp.Expression, names: Names, wanted: set[str] | None) -> Node:
        alias = node.alias_or_name.lower()
        if isinstance(node, exp.Table) and not node.db and node.name.lower() in self._ctes:
            cte = self._ctes[node.name.lower()]
            given = [column.name for column in cte.args["alias"].args.get("columns") or []]
            before, self._ctes = (
                self._ctes,
                {name: item for name, item in self._ctes.items() if item is not cte},
            )
            try:
                root, fields = self.query(cte.this)
            finally:
                self._ctes = before
            names.add(alias, renamed(fields, given))
            return root
        if isinstance(node, exp.Table):
            return self._table(node, alias, names, wanted)
        if isinstance(node, (exp.Subquery, exp.Lateral)):
            root, fields = self.query(node.this)
        elif isinstance(node, exp.Unnest):
            shown = ", ".join(names.text(item) for item in node.expressions)
            given = [column.name for column in node.args["alias"].columns] if node.args.get("alias") else []
            fields = [(name, self._symbol(name, None)) for name in given]
            names.add(alias, fields)
            return Node("Unnest", [symbol for _, symbol in fields], [], {"unnest": f"[{shown}]"})
        else:
            root, fields = self.query(node)
        alias_node = node.args.get("alias")
        names.add(alias, renamed(fields, [item.name for item in alias_node.columns] if alias_node else []))
        return root

    def _table(self, node: exp.Table, alias: str, names: Names, wanted: set[str] | None) -> Node:
        database = (node.db or self._database).lower()
        name = TableName(database, node.name.lower())
        if database == information_schema.NAME or "$" in node.name:
            return self._plain_scan(
                f"{CATALOG_NAME.lower()}:{database}:{node.name.lower()}", node, alias, names
            )
        record = find(self._session, name)
        if views.is_view(record):
            view = views.decode(record)
            before, self._database = self._database, view.database or database
            kept, self._ctes = self._ctes, {}
            try:
                root, fields = self.query(view.query)
            finally:
                self._database, self._ctes = before, kept
            names.add(alias, renamed(fields, [column.name for column in view.columns]))
            return root
        return self._scan(record, node, alias, names, wanted)

    def _scan(self, record: Any, node: exp.Table, alias: str, names: Names, wanted: set[str] | None) -> Node:
        is_iceberg = iceberg.is_iceberg(record)
        columns = iceberg.columns(record, self._session) if is_iceberg else hive.columns(record)
        keys = set() if is_iceberg else {column.name for column in hive.partition_columns(record)}
        enforced = {name for _, name, _ in key_equalities(node, alias, keys)}
        compared = {
            column.name.lower()
            for part in conjuncts(node.find_ancestor(exp.Select))
            for column in part.find_all(exp.Column)
            if column.name.lower() not in enforced
        }
        fields: Fields = []
        details = []
        for column in columns:
            if wanted is not None and column.name.lower() not in wanted | compared:
                continue
            symbol = self._symbol(column.name, column.type)
            fields.append((column.name, symbol))
            kind = "PARTITION_KEY" if column.name in keys else "REGULAR"
            shown = (
                f"{column.name}:{column.type.trino()}"
                if is_iceberg
                else f"{column.name}:{column.type.hive()}:{kind}"
            )
            details.append(f"{symbol.name} := {shown}")
        names.add(alias, fields)
        constraints = []
        for part, name, values in key_equalities(node, alias, keys):
            of = next(column.type for column in columns if column.name == name)
            details.append(f"{name}:{of.hive()}:PARTITION_KEY")
            details.append(f"    :: [{', '.join(f'[{value}]' for value in values)}]")
            constraints.append({"columnName": name, "type": of.trino(), "values": values})
            self._enforced.add(id(part))
        self.scanned.append((record["DatabaseName"], record["Name"], constraints))
        table = f"{CATALOG_NAME.lower()}:{record['DatabaseName']}:{record['Name']}"
        return Node("TableScan", [symbol for _, symbol in fields], [], {"table": table}, details)

    def _plain_scan(self, table: str, node: exp.Table, alias: str, names: Names) -> Node:
        with self._session.schema_only():
            outputs = Queries(self._session, 0, self._database).query(
                exp.select("*").from_(node.copy()), Scope(), {}
            )[1]
        fields = [(output.name, self._symbol(output.name, output.type)) for output in outputs]
        names.add(alias, fields)
        return Node("TableScan", [symbol for _, symbol in fields], [], {"table": table})

    def _joined(self, join: exp.Join, left: Node, right: Node, before: Names, names: Names) -> Node:
        symbols = [*left.outputs, *right.outputs]
        if right.name == "Unnest":
            right.children, right.outputs = [left], symbols
            right.descriptor = {"replicate": described(left.outputs), **right.descriptor}
            return right
        side = (join.side or "").capitalize()
        on, using = join.args.get("on"), join.args.get("using") or []
        pairs, rest = [], []
        keys: tuple[list[str], list[str]] = ([], [])
        for part in list(on.flatten()) if isinstance(on, exp.And) else [on] if on is not None else []:
            if isinstance(part, exp.EQ) and joins_sides(part, before):
                pairs.append(names.text(part)[1:-1])
                sides = [names.text(part.this), names.text(part.expression)]
                for place, text in zip(
                    keys, sides if is_before(part.this, before) else sides[::-1], strict=True
                ):
                    place.append(text)
            else:
                rest.append(names.text(part))
        for item in using:
            keys[0].append(f'"{before.symbol(item.name)}"')
            keys[1].append(f'"{names.symbol(item.name)}"')
            pairs.append(f"{keys[0][-1]} = {keys[1][-1]}")
        if not pairs and not side:
            crossed = Node("CrossJoin", symbols, [left, replicated(right)])
            return (
                filtered(crossed, f"({' AND '.join(rest)})" if len(rest) > 1 else rest[0])
                if rest
                else crossed
            )
        descriptor = {"criteria": f"({') AND ('.join(pairs)})" if pairs else "()"}
        if rest:
            descriptor["filter"] = " AND ".join(rest)
        descriptor |= (
            {"hash": "[]", "distribution": "PARTITIONED"} if pairs else {"distribution": "REPLICATED"}
        )
        shown = [f"[{', '.join(side)}]" for side in keys]
        children = [left, replicated(right)]
        if pairs:
            children = [repartitioned(left, shown[0]), repartitioned(right, shown[1])]
        return Node(
            f"{side or 'Inner'}Join",
            symbols,
            children,
            descriptor,
            ["Distribution: " + descriptor["distribution"]],
        )

    def _aggregated(self, node: exp.Select, root: Node, names: Names, calls: list[exp.Anonymous]) -> Node:
        group = node.args.get("group")
        keys: list[Symbol] = []
        computed: list[str] = []
        for item in group.expressions if group is not None else []:
            target = item
            if isinstance(item, exp.Literal) and item.name.isdigit():
                target = node.expressions[int(item.name) - 1].unalias()
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

    def _symbol(self, name: str, kind: AthenaType | None) -> Symbol:
        found, count = name.lower(), 0
        while found in self._taken:
            count += 1
            found = f"{name.lower()}_{count}"
        self._taken.add(found)
        return Symbol(found, kind)

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
            query.args["group"].set(
                "expressions",
                [part for part in query.args["group"].expressions if not isinstance(part, exp.Literal)],
            )
        return self._types(query)[0][1]
