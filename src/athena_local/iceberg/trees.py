"""Trees of the queries that find what a DELETE, UPDATE or MERGE changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.sql.dialect import AthenaSQL
from athena_local.sql.lexer import tokenize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from athena_local.iceberg.table import IcebergTable
    from athena_local.sql.statements import Position
    from athena_local.types import AthenaType

WITH_POSITIONS = "with_positions"  # in the meta of a table's node


def select(columns: Sequence[exp.Expression]) -> exp.Select:
    return exp.Select(expressions=list(columns))


def target(table: IcebergTable, alias: str | None) -> exp.Table:
    """Return the table as a FROM item that shows the position of each row too, which no query of Athena's can see."""
    found = exp.Table(
        this=exp.to_identifier(table.name, quoted=True), db=exp.to_identifier(table.database, quoted=True)
    )
    found.meta[WITH_POSITIONS] = True
    if alias:
        found.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
    return found


def column(relation: str, name: str) -> exp.Column:
    return exp.Column(
        this=exp.to_identifier(name, quoted=True), table=exp.to_identifier(relation, quoted=True)
    )


def named(value: exp.Expression, name: str) -> exp.Expression:
    return exp.Alias(this=value.copy(), alias=exp.to_identifier(name, quoted=True))


def cast(value: exp.Expression, kind: AthenaType) -> exp.Expression:
    return exp.Cast(this=value.copy(), to=exp.DataType.build(kind.trino(), dialect=AthenaSQL))


def case(conditions: Sequence[exp.Expression], values: Sequence[exp.Expression]) -> exp.Expression:
    return exp.Case(
        ifs=[
            exp.If(this=condition.copy(), true=value.copy())
            for condition, value in zip(conditions, values, strict=True)
        ]
    )


def place(text: str, offset: int) -> Position:
    before = text[:offset]
    return before.count("\n") + 1, offset - before.rfind("\n")


def start(node: exp.Expression) -> Position | None:
    """Return where the statement begins that a tree was read from."""
    text = node.root().meta.get("text")
    return place(text, tokenize(text)[0].start) if text else None
