"""UNION, INTERSECT and EXCEPT: as many columns on each side, of types that have one in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.coercion import common_type
from athena_local.sql.dialect import Text
from athena_local.sql.places import word_position
from athena_local.sql.queries.ordering import tail
from athena_local.sql.queries.shared import column
from athena_local.sql.scope import Output, Relation, Scope
from athena_local.sql.zones import refuse_differing_zones
from athena_local.types import quote

if TYPE_CHECKING:
    from athena_local.sql.queries.dispatch import Queries

_WORDS: dict[type, str] = {exp.Union: "UNION", exp.Except: "EXCEPT", exp.Intersect: "INTERSECT"}


def set_operation(
    build: Queries, node: exp.SetOperation, outer: Scope
) -> tuple[exp.Expression, list[Output]]:
    branches: list[exp.Expression] = []
    current: exp.Expression = node
    chain: list[exp.SetOperation] = []
    while isinstance(current, exp.SetOperation) and not (chain and has_tail(current)):
        chain.append(current)
        current = current.this
    branches = [current, *(item.expression for item in reversed(chain))]
    translated = [build.query(branch, outer, build.ctes) for branch in branches]
    outputs = translated[0][1]
    for (_, others), item in zip(translated[1:], reversed(chain), strict=True):
        outputs = united(outputs, others, item)
    text = "({0})"
    for index, item in enumerate(reversed(chain), start=1):
        text = f"{text} {_WORDS[type(item)]}{'' if item.args.get('distinct') else ' ALL'} ({{{index}}})"
    outputs = [
        Output(output.name, output.type, translated[0][1][index].ref) for index, output in enumerate(outputs)
    ]
    inner = Text(this=text, expressions=[tree for tree, _ in translated])
    select = exp.select(*[column(output.ref) for output in outputs])
    alias = build.fresh()
    select.set("from_", exp.From(this=Text(this=f"({{0}}) AS {quote(alias)}", expressions=[inner])))
    tail(build, node, select, outputs, Scope([Relation(alias, outputs, named=False)], outer))
    return select, outputs


def united(left: list[Output], right: list[Output], node: exp.SetOperation) -> list[Output]:
    """Return the columns of both sides. TYPE_MISMATCH at the operation's word, as Trino has it."""
    word = _WORDS[type(node)]
    position = word_position(node.expression, word)
    if len(left) != len(right):
        text = f"{word} query has different number of fields: {len(left)}, {len(right)}"
        raise QueryError("TYPE_MISMATCH", text, position=position)
    united = []
    for index, (one, other) in enumerate(zip(left, right, strict=True), start=1):
        kind = common_type(one.type, other.type)
        known = one.type is not None and other.type is not None
        if kind is None and known and one.type.base != other.type.base:  # type: ignore[union-attr]
            text = f"column {index} in {word} query has incompatible types: {one.type}, {other.type}"
            raise QueryError("TYPE_MISMATCH", text, position=position)
        distinct = not isinstance(node, exp.Union) or bool(node.args.get("distinct"))
        refuse_differing_zones((one.type, other.type), kind, distinct, word, position)
        united.append(Output(one.name, kind, one.ref))
    return united


def has_tail(node: exp.Expression) -> bool:
    return any(node.args.get(key) for key in ("order", "limit", "offset", "with_"))
