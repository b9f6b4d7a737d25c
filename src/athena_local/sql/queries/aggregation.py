"""Where aggregates and window functions may stand: not before rows are grouped, and not inside each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.functions import FUNCTIONS
from athena_local.sql.places import operator_position
from athena_local.sql.queries.wording import shown
from athena_local.sql.scope import position_of


def is_aggregate(node: Any) -> bool:
    """Tell whether a node calls an aggregate function, over whatever."""
    if isinstance(node, exp.GroupConcat):
        return True
    if not isinstance(node, exp.Anonymous):
        return False
    function = FUNCTIONS.get(node.name.lower())
    return function is not None and function.aggregate


def walk(node: Any) -> Iterator[Any]:
    """Walk an expression without the queries inside it."""
    yield from node.walk(prune=lambda inner: isinstance(inner, exp.Query))


def aggregates(node: Any) -> list[Any]:
    """Return the aggregate calls that are no window functions, outermost first."""
    covered = {id(windowed(item)) for item in walk(node) if isinstance(item, exp.Window)}
    return [item for item in walk(node) if is_aggregate(item) and id(item) not in covered]


def windows(node: Any) -> list[Any]:
    return [item for item in walk(node) if isinstance(item, exp.Window)]


def groupings(node: Any) -> list[Any]:
    return [
        item for item in walk(node) if isinstance(item, exp.Anonymous) and item.name.lower() == "grouping"
    ]


def refuse_aggregates(node: Any, clause: str) -> None:
    """Refuse aggregates and windows where rows are not grouped yet; those of a nested query are its own."""
    found = [*aggregates(node), *windows(node), *groupings(node)]
    if found:
        what = ", ".join(shown(item) for item in found)
        text = f"{clause} cannot contain aggregations, window functions or grouping operations: [{what}]"
        raise QueryError("EXPRESSION_NOT_SCALAR", text, position=operator_position(bare(node)))


def check_calls(node: Any) -> None:
    """Refuse an aggregate in an aggregate, a window function in either or without OVER, DISTINCT in a scalar call."""
    covered = {id(windowed(item)) for item in windows(node)}
    for item in walk(node):
        if isinstance(item, exp.Window):
            _check_window(item)
        elif is_aggregate(item):
            if id(item) not in covered:
                _check_aggregate(item)
        elif isinstance(item, exp.Anonymous):
            _check_scalar(item, id(item) in covered)


def _check_window(item: exp.Window) -> None:
    inner = [found for argument in windowed(item).iter_expressions() for found in windows(argument)]
    if inner:
        text = "Cannot nest window functions or row pattern measures inside window function arguments"
        raise QueryError("NESTED_WINDOW", text, position=position_of(inner[0]))


def _check_aggregate(call: Any) -> None:
    name = call.name.lower() if isinstance(call, exp.Anonymous) else "listagg"
    arguments = list(call.iter_expressions())
    inner = [found for argument in arguments for found in windows(argument)]
    if inner:
        listed = ", ".join(shown(found) for found in inner)
        text = f"Cannot nest window functions or row pattern measures inside aggregation '{name}': [{listed}]"
        raise QueryError("NESTED_WINDOW", text, position=position_of(call))
    nested = [found for argument in arguments for found in aggregates(argument)]
    if nested:
        listed = ", ".join(shown(found) for found in nested)
        text = f"Cannot nest aggregations inside aggregation '{name}': [{listed}]"
        raise QueryError("NESTED_AGGREGATION", text, position=position_of(call))


def _check_scalar(call: exp.Anonymous, covered: bool) -> None:
    function = FUNCTIONS.get(call.name.lower())
    if function is None:
        return
    if function.window and not covered:
        text = f"Window function {call.name.lower()} requires an OVER clause"
        raise QueryError("MISSING_OVER", text, position=position_of(call))
    if not function.window and any(isinstance(item, exp.Distinct) for item in call.expressions):
        text = "DISTINCT is not supported for non-aggregation functions"
        raise QueryError("FUNCTION_NOT_AGGREGATE", text, position=position_of(call))


def windowed(node: Any) -> Any:
    """Return the call a window is over."""
    return unwrapped(node.this)


def unwrapped(node: Any) -> Any:
    """Return a call without its FILTER, its WITHIN GROUP and its treatment of nulls."""
    while isinstance(node, exp.Filter | exp.IgnoreNulls | exp.RespectNulls | exp.WithinGroup):
        node = node.this
    return node


def window_parts(node: exp.Window) -> list[Any]:
    order = node.args.get("order")
    return [
        *(node.args.get("partition_by") or []),
        *([item.this for item in order.expressions] if order else []),
    ]


def bare(node: Any) -> Any:
    while isinstance(node, exp.Paren | exp.Alias | exp.Ordered):
        node = node.this
    return node
