"""CASE and IF, whose branches must have one type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.coercion import Type, coerced, incomparable
from athena_local.sql.dialect import Text
from athena_local.sql.expressions.operands import compared, expect_boolean, same_type, shown
from athena_local.sql.scope import Scope, Typed, position_of

if TYPE_CHECKING:
    from athena_local.sql.expressions.dispatch import Expressions


def case(build: Expressions, node: exp.Case, scope: Scope) -> Typed:
    subject = build.translate(node.this, scope) if node.this is not None else None
    conditions: list[exp.Expression] = []
    values: list[tuple[Typed, exp.Expression]] = []
    for branch in node.args["ifs"]:
        condition = build.translate(branch.this, scope)
        values.append((build.translate(branch.args["true"], scope), branch.args["true"]))
        if subject is not None:
            check_subject(subject.type, condition.type, branch.this)
            left, right = compared(subject, condition)
            conditions.append(Text(this="({0} = {1})", expressions=[left, right]))
        else:
            expect_boolean(condition, branch.this)
            conditions.append(condition.node)
    if node.args.get("default") is not None:
        values.append((build.translate(node.args["default"], scope), node.args["default"]))
    kind = same_type([(value.type, source) for value, source in values], "All CASE results")
    nodes, pieces = list(conditions), ["CASE"]
    for index, (value, _) in enumerate(values):
        word = f"WHEN {{{index}}} THEN" if index < len(conditions) else "ELSE"
        pieces.append(f"{word} {{{len(nodes)}}}")
        nodes.append(coerced(value.node, value.type, kind))
    return Typed(Text(this=" ".join([*pieces, "END"]), expressions=nodes), kind)


def check_subject(subject: Type, operand: Type, node: exp.Expression) -> None:
    if incomparable(subject, operand):
        text = (
            f"CASE operand type does not match WHEN clause operand type: {subject} vs {shown(operand, node)}"
        )
        raise QueryError("TYPE_MISMATCH", text, position=position_of(node))


def if_(build: Expressions, node: exp.If, scope: Scope) -> Typed:
    values = [node.args["true"]] + ([node.args["false"]] if node.args.get("false") is not None else [])
    condition, *parts = build.all([node.this, *values], scope)
    expect_boolean(condition, node.this)
    kind = same_type(
        [(part.type, source) for part, source in zip(parts, values, strict=True)],
        "Result types for IF",
    )
    nodes = [coerced(part.node, part.type, kind) for part in parts]
    text = "CASE WHEN {0} THEN {1} ELSE {2} END" if len(parts) > 1 else "CASE WHEN {0} THEN {1} END"
    return Typed(Text(this=text, expressions=[condition.node, *nodes]), kind)
