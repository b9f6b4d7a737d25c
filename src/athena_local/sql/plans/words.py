"""Expressions as a plan shows them: symbols in quotes, operators in parentheses."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from athena_local.sql.dialect import AthenaSQL
from athena_local.sql.plans.nodes import Symbol

_OPERATORS: dict[type, str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=", exp.Add: "+", exp.Sub: "-",
    exp.Mul: "*", exp.Div: "/", exp.Mod: "%", exp.And: "AND", exp.Or: "OR", exp.Like: "LIKE",
}  # fmt: skip


class Names:
    """The symbols of the relations in FROM by alias and column, and of expressions that were computed below."""

    def __init__(self, symbols: dict[str, list[tuple[str, Symbol]]] | None = None) -> None:
        self.symbols = symbols or {}
        self._computed: list[tuple[str, Symbol]] = []

    def add(self, alias: str, fields: list[tuple[str, Symbol]]) -> None:
        self.symbols[alias] = fields

    def replace(self, node: exp.Expression, symbol: Symbol) -> None:
        """From now on an expression stands for the symbol that it was computed into."""
        self._computed.append((_key(node), symbol))

    def find(self, column: exp.Column) -> Symbol | None:
        for alias, fields in self.symbols.items():
            if column.table and column.table.lower() != alias:
                continue
            for name, symbol in fields:
                if name.lower() == column.name.lower():
                    return symbol
        return None

    def symbol(self, name: str) -> str:
        """Return the symbol of a bare name; of several, the last relation's."""
        found = [
            symbol.name
            for fields in self.symbols.values()
            for item, symbol in fields
            if item.lower() == name.lower()
        ]
        return found[-1] if found else name.lower()

    def star(self, item: exp.Expression) -> list[tuple[str, Symbol]]:
        wanted = item.table.lower() if isinstance(item, exp.Column) else None
        return [pair for alias, fields in self.symbols.items() if wanted in {None, alias} for pair in fields]

    def known(self, node: exp.Expression) -> Symbol | None:
        """Return the symbol an expression already has; None when it must be computed."""
        for text, symbol in self._computed:
            if text == _key(node):
                return symbol
        return self.find(node) if isinstance(node, exp.Column) else None

    def text(self, node: Any) -> str:
        symbol = self.known(node)
        if symbol is not None:
            return f'"{symbol.name}"'
        if isinstance(node, exp.Paren):
            return self.text(node.this)
        if isinstance(node, exp.Column):
            return f'"{node.name.lower()}"'
        word = _OPERATORS.get(type(node))
        if word is not None:
            return f"({self.text(node.this)} {word} {self.text(node.expression)})"
        if isinstance(node, exp.Not):
            return f"(NOT {self.text(node.this)})"
        if isinstance(node, exp.Is):
            return f"({self.text(node.this)} IS {self.text(node.expression)})"
        if isinstance(node, exp.In) and node.expressions:
            return f"({self.text(node.this)} IN ({', '.join(self.text(item) for item in node.expressions)}))"
        if isinstance(node, exp.Between):
            return f"({self.text(node.this)} BETWEEN {self.text(node.args['low'])} AND {self.text(node.args['high'])})"
        if isinstance(node, exp.Anonymous):
            return f"{node.name.lower()}({', '.join(self.text(item) for item in node.expressions)})"
        if isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal) and node.this.is_string:
            kind = node.to.sql(dialect=AthenaSQL).split("(")[0]
            if kind in {"DATE", "TIMESTAMP", "TIME", "DECIMAL"}:
                return f"{kind} {node.this.sql(dialect=AthenaSQL)}"
        if isinstance(node, exp.Cast):
            return f"CAST({self.text(node.this)} AS {node.to.sql(dialect=AthenaSQL).lower()})"
        return str(node.sql(dialect=AthenaSQL))


def _key(node: exp.Expression) -> str:
    return str(node.sql(dialect=AthenaSQL)).lower()


def described(symbols: list[Symbol]) -> str:
    return f"[{', '.join(symbol.name for symbol in symbols)}]"


def order_items(order: exp.Expression, names: Names) -> str:
    """Return the items of ORDER BY with Trino's defaults written out."""
    shown = []
    for item in order.expressions:
        inner = item.this if isinstance(item, exp.Ordered) else item
        fields = names.symbols.get("") or []
        if isinstance(inner, exp.Literal) and inner.name.isdigit() and int(inner.name) <= len(fields):
            text = fields[int(inner.name) - 1][1].name
        else:
            text = names.text(inner).strip('"')
        direction = "DESC" if item.args.get("desc") else "ASC"
        nulls = "FIRST" if item.args.get("nulls_first") else "LAST"
        shown.append(f"{text} {direction} NULLS {nulls}")
    return ", ".join(shown)
