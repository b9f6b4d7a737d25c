"""An expression as Trino shows it in an error: `(a + 1)`, `sum(x)`, `(b IN (1, 2))`."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from athena_local.sql.dialect import AthenaSQL

_SIGNS: dict[type, str] = {
    exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%",
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
    exp.And: "AND", exp.Or: "OR", exp.Like: "LIKE",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM", exp.NullSafeNEQ: "IS DISTINCT FROM",
}  # fmt: skip


def shown(node: Any) -> str:
    """Return the expression's text; what has no rule here is told as it was read."""
    if isinstance(node, exp.Column):
        return ".".join(_name(part) for part in node.parts)
    if isinstance(node, exp.Identifier):
        return _name(node)
    if isinstance(node, exp.Paren):
        return shown(node.this)
    if isinstance(node, exp.Literal):
        return "'" + node.name.replace("'", "''") + "'" if node.is_string else node.name
    if type(node) in _SIGNS:
        return f"({shown(node.this)} {_SIGNS[type(node)]} {shown(node.expression)})"
    if isinstance(node, exp.Not):
        inner = node.this
        if isinstance(inner, exp.Is) and isinstance(inner.expression, exp.Null):
            return f"({shown(inner.this)} IS NOT NULL)"
        return f"(NOT {shown(inner)})"
    if isinstance(node, exp.Is):
        return f"({shown(node.this)} IS NULL)"
    if isinstance(node, exp.Neg):
        return f"-{shown(node.this)}"
    if isinstance(node, exp.Between):
        return f"({shown(node.this)} BETWEEN {shown(node.args['low'])} AND {shown(node.args['high'])})"
    if isinstance(node, exp.In) and node.expressions:
        return f"({shown(node.this)} IN ({_list(node.expressions)}))"
    return _call(node)


def _call(node: Any) -> str:
    if isinstance(node, exp.Anonymous):
        return f"{node.name}({_list(node.expressions)})"
    if isinstance(node, exp.DPipe):
        return f"concat({shown(node.this)}, {shown(node.expression)})"
    if isinstance(node, exp.Distinct):
        return f"DISTINCT {_list(node.expressions)}"
    if isinstance(node, exp.Star):
        return "*"
    if isinstance(node, exp.Cast):
        word = "TRY_CAST" if isinstance(node, exp.TryCast) else "CAST"
        return f"{word}({shown(node.this)} AS {node.to.sql(dialect=AthenaSQL).lower()})"
    if isinstance(node, exp.Filter):
        return f"{shown(node.this)} FILTER (WHERE {shown(node.expression.this)})"
    if isinstance(node, exp.Window):
        return f"{shown(node.this)} OVER {_window(node)}"
    if isinstance(node, exp.Case):
        return _case(node)
    return str(node.sql(dialect=AthenaSQL))


def _window(node: exp.Window) -> str:
    if node.args.get("alias"):
        return str(node.args["alias"].name)
    pieces = []
    if node.args.get("partition_by"):
        pieces.append(f"PARTITION BY {_list(node.args['partition_by'])}")
    if node.args.get("order"):
        pieces.append(str(node.args["order"].sql(dialect=AthenaSQL)).strip())
    return f"({' '.join(pieces)})"


def _case(node: exp.Case) -> str:
    pieces = ["CASE"] if node.this is None else [f"CASE {shown(node.this)}"]
    pieces += [f"WHEN {shown(item.this)} THEN {shown(item.args['true'])}" for item in node.args["ifs"]]
    if node.args.get("default") is not None:
        pieces.append(f"ELSE {shown(node.args['default'])}")
    return f"({' '.join([*pieces, 'END'])})"


def _list(items: list[Any]) -> str:
    return ", ".join(shown(item) for item in items)


def _name(part: Any) -> str:
    if isinstance(part, exp.Identifier) and part.args.get("quoted"):
        return '"' + part.name.replace('"', '""') + '"'
    return str(part.name)
