"""What may end a query: ORDER BY (output names first, then columns), OFFSET, LIMIT and FETCH FIRST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.dialect import DuckDBText, Source, Text
from athena_local.sql.expressions.windows import direction
from athena_local.sql.places import word_position
from athena_local.sql.queries.shared import column
from athena_local.sql.scope import Output, Scope, position_of

if TYPE_CHECKING:
    from athena_local.sql.queries.dispatch import Queries

MAX_ROW_COUNT = 2**63 - 1


def tail(build: Queries, node: exp.Expression, tree: exp.Select, outputs: list[Output], scope: Scope) -> None:
    """Put a query's ORDER BY, OFFSET, LIMIT and FETCH FIRST on its translated tree."""
    order = node.args.get("order")
    if order is not None:
        items = [
            Text(this=f"{{0}}{direction(item)}", expressions=[order_item(build, item, outputs, scope)])
            for item in order.expressions
        ]
        tree.set("order", exp.Order(expressions=items))
    skipped = 0
    offset = node.args.get("offset")
    if offset is not None:
        skipped = _row_count(offset.expression, "OFFSET")
        tree.set("offset", exp.Offset(expression=exp.Literal.number(skipped)))
    limit = node.args.get("limit")
    if isinstance(limit, exp.Fetch):
        _fetch_first(limit, tree, outputs, skipped)
    elif limit is not None and isinstance(limit.expression, exp.Literal):  # otherwise it is ALL
        count = _row_count(limit.expression, "LIMIT")
        tree.set("limit", exp.Limit(expression=exp.Literal.number(count)))


def _fetch_first(fetch: exp.Fetch, tree: exp.Select, outputs: list[Output], skipped: int) -> None:
    given = fetch.args.get("count")
    count = _row_count(given, "FETCH FIRST") if given is not None else 1
    if count == 0:
        text = "FETCH FIRST row count must be positive (actual value: 0)"
        raise QueryError("NUMERIC_VALUE_OUT_OF_RANGE", text, position=word_position(given, "FETCH"))
    options = fetch.args.get("limit_options")
    if options is None or not options.args.get("with_ties"):
        tree.set("limit", exp.Limit(expression=exp.Literal.number(count)))
        return
    if tree.args.get("order") is None:
        text = "FETCH FIRST WITH TIES clause requires ORDER BY"
        raise QueryError("MISSING_ORDER_BY", text, position=word_position(given, "FETCH"))
    _with_ties(tree, outputs, skipped + count)


def _with_ties(tree: exp.Select, outputs: list[Output], last: int) -> None:
    """Keep the rows that do not stand behind row number `last`: those equal to it have its rank or a lower one."""
    if tree.args.get("distinct") is not None:
        inner = tree.copy()
        for key in ("order", "offset"):
            inner.set(key, None)
        source = Source(
            this=inner.sql(dialect=DuckDBText),
            alias=exp.TableAlias(this=exp.to_identifier("__distinct", quoted=True)),
        )
        kept = {key: tree.args.get(key) for key in ("order", "offset")}
        tree.args.clear()
        tree.set("expressions", [column(output.ref) for output in outputs])
        tree.set("from_", exp.From(this=source))
        for key, value in kept.items():
            tree.set(key, value)
    items = []
    for item in tree.args["order"].expressions:
        copied = item.copy()
        key = copied.expressions[0]
        if isinstance(key, exp.Literal):  # an ordinal: in a window it would be a constant
            shown = tree.expressions[int(key.name) - 1]
            key.replace((shown.this if isinstance(shown, exp.Alias) else shown).copy())
        items.append(copied)
    holes = ", ".join(f"{{{index}}}" for index in range(len(items)))
    tree.set(
        "qualify", exp.Qualify(this=Text(this=f"rank() OVER (ORDER BY {holes}) <= {last}", expressions=items))
    )


def output_named(outputs: list[Output], node: Any) -> int | None:
    """Return which output an ORDER BY expression names, if it is a bare name. AMBIGUOUS_NAME when there are two."""
    if not isinstance(node, exp.Column) or node.table:
        return None
    found = [index for index, output in enumerate(outputs) if output.name.lower() == node.name.lower()]
    if len(found) > 1:
        text = f"Column '{node.name}' is ambiguous"
        raise QueryError("AMBIGUOUS_NAME", text, position=position_of(node))
    return found[0] if found else None


def order_item(build: Queries, item: exp.Expression, outputs: list[Output], scope: Scope) -> exp.Expression:
    inner: Any = item.this if isinstance(item, exp.Ordered) else item
    if isinstance(inner, exp.Literal) and inner.name.isdigit() and not inner.is_string:
        if not 1 <= int(inner.name) <= len(outputs):
            text = f"ORDER BY position {inner.name} is not in select list"
            raise QueryError("INVALID_COLUMN_REFERENCE", text, position=position_of(item))
        return exp.Literal.number(int(inner.name))
    named = output_named(outputs, inner)
    if named is not None:
        return exp.Literal.number(named + 1)
    return build.expressions.translate(inner, scope).node


def _row_count(node: Any, clause: str) -> int:
    digits = node.name.lstrip("0") or "0"
    count = int(digits) if len(digits) <= len(str(MAX_ROW_COUNT)) else MAX_ROW_COUNT + 1
    if count > MAX_ROW_COUNT:
        text = f"Invalid {clause} row count: {node.name}"
        raise QueryError("TYPE_MISMATCH", text, position=word_position(node, clause.split()[0]))
    return count
