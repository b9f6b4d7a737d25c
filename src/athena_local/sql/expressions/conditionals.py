"""CASE and IF, whose branches must have one type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.coercion import Type, incomparable
from athena_local.sql.dialect import Text
from athena_local.sql.expressions.operands import expect_boolean, operand, same_type, shown
from athena_local.sql.scope import Scope, Typed, position_of

if TYPE_CHECKING:
    from athena_local.sql.expressions.dispatch import Expressions


def case(build: Expressions, node: exp.Case, scope: Scope) -> Typed:
    subject = build.translate(node.this, scope) if node.this is not None else None
    pieces, nodes, types = ["CASE"], [], []
    if subject is not None:
        pieces.append("{0}")
        nodes.append(operand(subject.node))
    for branch in node.args["ifs"]:
        condition, value = build.translate(branch.this, scope), build.translate(branch.args["true"], scope)
        if subject is not None:
            check_subject(subject.type, condition.type, branch.this)
        else:
            expect_boolean(condition, branch.this)
        pieces.append(f"WHEN {{{len(nodes)}}} THEN {{{len(nodes) + 1}}}")
        nodes += [condition.node, value.node]
        types.append((value.type, branch.args["true"]))
    if node.args.get("default") is not None:
        value = build.translate(node.args["default"], scope)
        pieces.append(f"ELSE {{{len(nodes)}}}")
        nodes.append(value.node)
        types.append((value.type, node.args["default"]))
    kind = same_type(types, "All CASE results")
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
    text = "CASE WHEN {0} THEN {1} ELSE {2} END" if len(parts) > 1 else "CASE WHEN {0} THEN {1} END"
    return Typed(Text(this=text, expressions=[condition.node, *(part.node for part in parts)]), kind)
