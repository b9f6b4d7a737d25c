"""What the clauses share: unique column names, column alias lists, refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.coercion import Type
from athena_local.sql.dialect import AthenaSQL
from athena_local.sql.functions import FUNCTIONS
from athena_local.sql.scope import Output, Typed, position_of

if TYPE_CHECKING:
    pass


def column(ref: str) -> exp.Expression:
    return exp.column(exp.to_identifier(ref, quoted=True))


def unique(columns: list[tuple[str, Type]]) -> list[Output]:
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


def renamed(
    outputs: list[Output], names: list[str], node: exp.Expression, *, refs: bool = True
) -> list[Output]:
    """Apply a column alias list; with `refs`, the SQL will carry the new names too."""
    if not names:
        return outputs
    visible = [output for output in outputs if not output.hidden]
    if len(names) != len(visible):
        text = f"Column alias list has {len(names)} entries but relation has {len(visible)} columns"
        raise QueryError("MISMATCHED_COLUMN_ALIASES", text, position=position_of(node))
    renamed = unique([(name, output.type) for name, output in zip(names, visible, strict=True)])
    if refs:
        return renamed
    return [Output(new.name, new.type, old.ref) for new, old in zip(renamed, visible, strict=True)]


def expect_boolean(typed: Typed, source: exp.Expression, clause: str) -> None:
    if typed.type is not None and typed.type.base not in {"boolean", "unknown"}:
        text = f"{clause} clause must evaluate to a boolean: actual type {typed.type}"
        raise QueryError("TYPE_MISMATCH", text, position=position_of(source))


def not_athena(what: str, node: Any) -> QueryError:
    return QueryError(
        "SYNTAX_ERROR", f"mismatched input: {what} is not Athena SQL", position=position_of(node)
    )


def refuse_aggregates(node: exp.Expression, clause: str) -> None:
    """Refuse aggregates and windows where rows are not grouped yet; those of a nested query are its own."""
    item: Any
    for item in node.walk(prune=lambda inner: isinstance(inner, exp.Query)):
        name = item.name.lower() if isinstance(item, exp.Anonymous) else ""
        if isinstance(item, exp.Window) or (name in FUNCTIONS and FUNCTIONS[name].aggregate):
            shown = item.sql(dialect=AthenaSQL).lower()
            text = f"{clause} cannot contain aggregations, window functions or grouping operations: [{shown}]"
            raise QueryError("EXPRESSION_NOT_SCALAR", text, position=position_of(item))
