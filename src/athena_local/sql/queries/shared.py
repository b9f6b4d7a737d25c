"""What the clauses share: unique column names, column alias lists, refusals."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.coercion import Type
from athena_local.sql.dialect import AthenaSQL
from athena_local.sql.scope import Output, Typed, position_of


def column(ref: str) -> exp.Expression:
    return exp.column(exp.to_identifier(ref, quoted=True))


def unique(columns: list[tuple[str, Type]]) -> list[Output]:
    """Return outputs whose refs differ, also from every name that comes later."""
    taken = {name.lower() for name, _ in columns}
    seen: set[str] = set()
    outputs = []
    for name, kind in columns:
        ref, count = name, 0
        while ref.lower() in seen or (count and ref.lower() in taken):
            count += 1
            ref = f"{name}__{count}"
        seen.add(ref.lower())
        outputs.append(Output(name, kind, ref))
    return outputs


def renamed(
    outputs: list[Output], names: list[str], node: exp.Expression, alias: str | None = None
) -> list[Output]:
    """Apply a column alias list, that of `alias` where there is one; hidden columns are not shown through it."""
    if not names:
        return outputs
    visible = [output for output in outputs if not output.hidden]
    if len(names) != len(visible):
        text = f"Column alias list has {len(names)} entries but relation has {len(visible)} columns"
        if alias is not None:
            text = f"Column alias list has {len(names)} entries but '{alias}' has {len(visible)} columns available"
        raise QueryError("MISMATCHED_COLUMN_ALIASES", text, position=position_of(node))
    return unique([(name, output.type) for name, output in zip(names, visible, strict=True)])


def expect_boolean(typed: Typed, source: exp.Expression, clause: str) -> None:
    if typed.type is not None and typed.type.base not in {"boolean", "unknown"}:
        text = f"{clause} clause must evaluate to a boolean: actual type {typed.type}"
        raise QueryError("TYPE_MISMATCH", text, position=position_of(source))


def refuse_unknown(node: exp.Expression, parts: set[str]) -> None:
    """Refuse a node that carries anything but the parts that are translated: nothing is dropped in silence."""
    for key, value in node.args.items():
        if value and key not in parts:
            raise not_read(value[0] if isinstance(value, list) else value, node)


def not_read(node: Any, around: exp.Expression | None = None) -> QueryError:
    """Return the refusal of what the grammar takes and this server does not run."""
    shown = node.sql(dialect=AthenaSQL)[:60] if isinstance(node, exp.Expression) else str(node)
    where = node if isinstance(node, exp.Expression) else around
    position = position_of(where) or position_of(around)
    return QueryError(
        "NOT_SUPPORTED", f"This server does not run this part of a query yet: {shown}", position=position
    )
