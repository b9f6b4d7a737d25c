"""UNNEST in FROM: arrays side by side, padded with NULL; a map gives two columns, rows their fields under their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.coercion import Type
from athena_local.sql.dialect import Text
from athena_local.sql.queries.shared import unique
from athena_local.sql.scope import Relation, Scope, position_of
from athena_local.types import AthenaType, quote

if TYPE_CHECKING:
    from athena_local.sql.queries.dispatch import Queries


def unnest(
    build: Queries, node: exp.Unnest, scope: Scope, alias: str, columns: list[str]
) -> tuple[exp.Expression, Relation]:
    """UNNEST in FROM: arrays side by side, padded with NULL; a map gives two columns, rows their fields."""
    parts = [build.expressions.translate(item, scope) for item in node.expressions]
    inner: list[str] = []
    outer: list[tuple[str, Type]] = []
    fields: list[str] = []
    for index, part in enumerate(parts):
        inner_here, outer_here = _unnested(index, part.type, f"{{{index}}}")
        inner += inner_here
        outer += outer_here
        fields += _field_names(part.type) or [""] * len(outer_here)
    offset = node.args.get("offset")
    if offset:
        lengths = ", ".join(
            f"len({'map_keys(' if part.type and part.type.base == 'map' else '('}{{{index}}}))"
            for index, part in enumerate(parts)
        )
        inner.append(f"unnest(range(1, coalesce(greatest({lengths}), 0) + 1)) AS __ordinality")
        outer.append(("__ordinality", AthenaType("bigint")))
        fields.append("")
    names = list(columns)
    if isinstance(offset, exp.Identifier):
        names.append(offset.name)
    if names and len(names) != len(outer):
        text = f"Column alias list has {len(names)} entries but '{alias}' has {len(outer)} columns available"
        raise QueryError("MISMATCHED_COLUMN_ALIASES", text, position=position_of(node))
    names = names or [field or f"_col{index}" for index, field in enumerate(fields)]
    outputs = unique([(name, kind) for name, (_, kind) in zip(names, outer, strict=True)])
    selected = ", ".join(
        f"{text} AS {quote(output.ref)}" for (text, _), output in zip(outer, outputs, strict=True)
    )
    name = alias or build.fresh()
    text = f"LATERAL (SELECT {selected} FROM (SELECT {', '.join(inner)}) AS __unnested) AS {quote(name)}"
    tree = Text(this=text, expressions=[part.node for part in parts])
    return tree, Relation(name, outputs, named=bool(alias))


def _field_names(kind: Type) -> list[str]:
    """Return the names of the fields that an array of rows opens into; "" for one without a name."""
    element = kind.element if kind is not None and kind.base == "array" else None
    return [field for field, _ in element.fields] if element is not None and element.base == "row" else []


def _unnested(index: int, kind: Type, hole: str) -> tuple[list[str], list[tuple[str, Type]]]:
    """Return what the inner select unnests and what the outer one shows of it."""
    name = f"__u{index}"
    outer: list[tuple[str, Type]] = []
    if kind is not None and kind.base == "map":
        inner = [f"unnest(map_keys({hole})) AS {name}_k", f"unnest(map_values({hole})) AS {name}_v"]
        outer = [(f"{name}_k", kind.key), (f"{name}_v", kind.value)]
        return inner, outer
    element = kind.element if kind is not None and kind.base == "array" else None
    inner = [f"unnest({hole}) AS {name}"]
    if element is not None and element.base == "row":
        for position, (field, field_type) in enumerate(element.fields, start=1):
            key = "'" + field.replace("'", "''") + "'" if field else str(position)
            outer.append((f"struct_extract({name}, {key})", field_type))
        return inner, outer
    return inner, [(name, element)]
