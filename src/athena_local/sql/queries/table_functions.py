"""TABLE(function(…)) in FROM. Of Trino's table functions there is `sequence`; every other is not registered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.dialect import DuckDBText, Text
from athena_local.sql.queries.shared import renamed
from athena_local.sql.scope import Output, Relation, Scope, position_of
from athena_local.types import BIGINT, quote

if TYPE_CHECKING:
    from athena_local.sql.queries.dispatch import Queries

_ARGUMENTS = ("START", "STOP", "STEP")
_DEFAULTS = {"START": 0, "STEP": 1}
_COLUMN = "sequential_number"


def invoked(node: exp.Table) -> exp.Anonymous | None:
    """Return the call inside TABLE(…), if that is what the FROM item is."""
    outer = node.this
    if not (
        isinstance(outer, exp.Anonymous) and outer.name.upper() == "TABLE" and len(outer.expressions) == 1
    ):
        return None
    inner = outer.expressions[0]
    return inner if isinstance(inner, exp.Anonymous) else None


def table_function(build: Queries, node: exp.Table, call: exp.Anonymous) -> tuple[exp.Expression, Relation]:
    if call.name.lower() != "sequence":
        text = f"Table function '{call.name.lower()}' not registered"
        raise QueryError("FUNCTION_NOT_FOUND", text, position=position_of(call) or position_of(node))
    start, stop, step = _sequence_arguments(build, call)
    alias_node = node.args.get("alias")
    alias = alias_node.name if alias_node is not None else ""
    names = [item.name for item in (alias_node.args.get("columns") or [])] if alias_node is not None else []
    outputs = renamed([Output(_COLUMN, BIGINT, _COLUMN)], names, node, alias)
    name = alias or build.fresh()
    column = quote(outputs[0].ref)
    source = f"(SELECT * FROM generate_series({start}, {stop}, {step}) AS s({column})) AS {quote(name)}"
    return Text(this=source), Relation(name, outputs, named=bool(alias))


def _sequence_arguments(build: Queries, call: exp.Anonymous) -> tuple[int, int, int]:
    given: dict[str, int] = dict(_DEFAULTS)
    items = call.expressions
    named = [isinstance(item, exp.Kwarg) for item in items]
    if any(named) and not all(named):
        text = "All arguments must be passed by name or all must be passed positionally"
        raise QueryError("INVALID_ARGUMENTS", text, position=position_of(call))
    if len(items) > len(_ARGUMENTS):
        raise QueryError("INVALID_ARGUMENTS", "Too many arguments for sequence", position=position_of(call))
    seen: set[str] = set()
    for index, item in enumerate(items):
        name = item.this.name.upper() if isinstance(item, exp.Kwarg) else _ARGUMENTS[index]
        if name not in _ARGUMENTS:
            raise QueryError(
                "INVALID_ARGUMENTS", f"Unexpected argument name: {name}", position=position_of(call)
            )
        if name in seen:
            raise QueryError(
                "INVALID_ARGUMENTS", f"Duplicate argument name: {name}", position=position_of(call)
            )
        seen.add(name)
        given[name] = _constant(build, item.expression if isinstance(item, exp.Kwarg) else item, name)
    if "STOP" not in given:
        raise QueryError("MISSING_ARGUMENT", "Missing argument: STOP", position=position_of(call))
    start, stop, step = (given[name] for name in _ARGUMENTS)
    if (start < stop and step <= 0) or (start > stop and step >= 0):
        wanted = "positive" if start < stop else "negative"
        text = f"Step must be {wanted} for sequence [{start}, {stop}]"
        raise QueryError("INVALID_FUNCTION_ARGUMENT", text)
    return start, stop, step or 1


def _constant(build: Queries, node: exp.Expression, name: str) -> int:
    """Evaluate an argument: a constant of whole numbers, for a table function sees no columns."""
    typed = build.expressions.translate(node, Scope())
    if typed.type is None or not typed.type.is_integer:
        shown = str(typed.type) if typed.type else "unknown"
        text = f"Invalid argument {name}: cannot be coerced from {shown} to bigint"
        raise QueryError("TYPE_MISMATCH", text, position=position_of(node))
    row = build.session.execute(f"SELECT {typed.node.sql(dialect=DuckDBText)}").fetchall()[0]
    if row[0] is None:
        text = f"{name.capitalize()} must not be null"
        raise QueryError("INVALID_FUNCTION_ARGUMENT", text, position=position_of(node))
    return int(row[0])
