"""FROM in a plan: scans with the columns and partitions they need, views and CTEs as their queries, joins, UNNEST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from athena_local import iceberg
from athena_local.config import CATALOG_NAME
from athena_local.engine import hive
from athena_local.sql import information_schema, views
from athena_local.sql.plans.nodes import Node, Symbol
from athena_local.sql.plans.reading import (
    Fields,
    conjuncts,
    is_before,
    is_star,
    joins_sides,
    key_equalities,
    renamed,
    wanted_columns,
)
from athena_local.sql.plans.steps import filtered, repartitioned, replicated
from athena_local.sql.plans.words import Names, described
from athena_local.sql.queries import Queries
from athena_local.sql.scope import Scope
from athena_local.sql.statements import TableName
from athena_local.sql.tables import find
from athena_local.types import AthenaType

if TYPE_CHECKING:
    from athena_local.engine.session import Session


class Relations:
    """What is known of one statement while it is planned; symbols are unique in it. `scanned` names the tables read."""

    def __init__(self, session: Session) -> None:
        self.session = self._session = session
        self._database = session.context.database
        self._taken: set[str] = set()
        self._ctes: dict[str, exp.CTE] = {}
        self._recursions: set[int] = set()  # recursive CTEs that are being planned
        self._enforced: set[int] = set()  # conditions that choose partitions: the scan itself sees to them
        self.scanned: list[tuple[str, str, list[dict[str, Any]]]] = []

    def query(self, node: exp.Expression) -> tuple[Node, Fields]:
        """Return the plan of a query and its columns."""
        raise NotImplementedError

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
            if id(cte) in self._recursions:
                fields = [(name, self._symbol(name, None)) for name in given]
                names.add(alias, fields)
                reference = {"name": node.name.lower()}
                return Node("RecursiveReference", [symbol for _, symbol in fields], [], reference)
            before = self._ctes
            if cte.parent is not None and cte.parent.args.get("recursive"):
                self._recursions.add(id(cte))
            else:
                self._ctes = {name: item for name, item in before.items() if item is not cte}
            try:
                root, fields = self.query(cte.this)
            finally:
                self._ctes = before
                self._recursions.discard(id(cte))
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

    def _symbol(self, name: str, kind: AthenaType | None) -> Symbol:
        found, count = name.lower(), 0
        while found in self._taken:
            count += 1
            found = f"{name.lower()}_{count}"
        self._taken.add(found)
        return Symbol(found, kind)
