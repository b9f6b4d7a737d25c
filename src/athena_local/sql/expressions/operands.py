"""What every handler of expressions needs: refusal, types that compare with each other, operands put in parentheses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.coercion import Type, coerced, common_type, family
from athena_local.sql.dialect import AthenaSQL, Text
from athena_local.sql.scope import Scope, Typed, position_of
from athena_local.sql.zones import instant
from athena_local.types import BY_ROW, UNKNOWN

if TYPE_CHECKING:
    from athena_local.sql.expressions.dispatch import Expressions


def refuse(build: Expressions, node: exp.Expression, scope: Scope) -> Typed:  # noqa: ARG001
    text = node.sql(dialect=AthenaSQL)[:60]
    raise QueryError("SYNTAX_ERROR", f"mismatched input '{text}'. Not Athena SQL", position=position_of(node))


def operand(node: exp.Expression) -> exp.Expression:
    """Return the node so that an operator may stand beside it."""
    if isinstance(node, Text):
        text = str(node.this)
        if text.startswith(("CASE", "DISTINCT")) or " OVER " in text or " FILTER " in text:
            return Text(this="({0})", expressions=[node])
    return node


def compared(left: Typed, right: Typed) -> tuple[exp.Expression, exp.Expression]:
    """Return two operands as they compare: zoned times by instant, CHAR without its padding, times in one type."""
    kind = common_type(left.type, right.type)
    return compared_as(left, kind), compared_as(right, kind)


def compared_as(part: Typed, kind: Type) -> exp.Expression:
    if kind is None or part.type is None or kind.base == "unknown":
        return operand(part.node)
    if kind.is_zoned:
        node, given = coerced(part.node, part.type, kind), kind if kind.zone == BY_ROW else part.type
        return instant(node, given) if given.is_zoned else operand(node)
    if kind.base == "char":
        return Text(this="rtrim({0}, ' ')", expressions=[part.node])
    if kind.base == "time with time zone" and part.type.base == "time":
        return Text(this="CAST(CAST({0} AS VARCHAR) || '+00' AS TIMETZ)", expressions=[part.node])
    return operand(part.node)


def expect_boolean(part: Typed, source: exp.Expression) -> None:
    if part.type is not None and part.type.base not in {"boolean", "unknown"}:
        text = f"Logical expression term must evaluate to a boolean (actual: {part.type})"
        raise QueryError("TYPE_MISMATCH", text, position=position_of(source))


def shown(kind: Type, node: exp.Expression) -> str:
    """Return a type as Trino names it in an error: a literal's text has its length."""
    if isinstance(node, exp.Literal) and node.is_string:
        return f"varchar({len(node.name)})"
    return str(kind) if kind is not None else "unknown"


def no_common_type(
    what: str, types: Sequence[Type], left: Type, right: Type, node: exp.Expression
) -> QueryError:
    distinct = ", ".join(dict.fromkeys(str(kind) for kind in types if kind is not None))
    text = (
        f"{what} must be the same type or coercible to a common type. Cannot find common type between"
        f" {left} and {right}, all types (without duplicates): [{distinct}]"
    )
    return QueryError("TYPE_MISMATCH", text, position=position_of(node))


def same_type(types: list[tuple[Type, exp.Expression]], text: str) -> Type:
    result: Type = UNKNOWN
    for kind, source in types:
        if kind is None:
            return None
        assert result is not None
        if "unknown" not in {kind.base, result.base} and family(kind) != family(result):
            raise no_common_type(text, [item for item, _ in types], result, kind, source)
        result = common_type(result, kind)
        if result is None:
            return None
    return result
