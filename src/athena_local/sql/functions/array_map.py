"""Array and map functions; those that take a lambda are put together in `sql/expressions/lambdas.py`."""

from __future__ import annotations

from collections.abc import Sequence

from athena_local.sql.functions.signatures import Function, Type, array_of_first, element, first, scalar
from athena_local.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    VARCHAR,
    array_of,
    map_of,
)


def _cardinality(types: Sequence[Type]) -> str:
    return "CAST(cardinality({0}) AS BIGINT)" if types[0] and types[0].base == "map" else "len({0})"


def _element_at(types: Sequence[Type]) -> str:
    if types[0] and types[0].base == "map":
        return "map_extract_value({0}, {1})"
    return "list_extract({0}, {1})"


def _element_at_type(types: Sequence[Type]) -> Type:
    kind = types[0]
    if kind is None:
        return None
    return kind.value if kind.base == "map" else (kind.element if kind.base == "array" else None)


def _map_of_arrays(types: Sequence[Type]) -> str:
    return "MAP([], [])" if not types else "map({0}, {1})"


def _map_type(types: Sequence[Type]) -> Type:
    if len(types) == 2 and types[0] and types[1] and types[0].base == types[1].base == "array":
        return map_of(types[0].element, types[1].element)
    return None


def _keys(types: Sequence[Type]) -> Type:
    return array_of(types[0].key) if types[0] and types[0].base == "map" else None


def _values(types: Sequence[Type]) -> Type:
    return array_of(types[0].value) if types[0] and types[0].base == "map" else None


def _sequence(types: Sequence[Type]) -> str:
    step = ", {2}" if len(types) > 2 else ""
    if types[0] == DATE:
        default = step or ", INTERVAL 1 DAY"
        return f"list_transform(generate_series({{0}}, {{1}}{default}), LAMBDA _x : CAST(_x AS DATE))"
    if types[0] and types[0].is_integer and not step:
        return "CASE WHEN {0} <= {1} THEN generate_series({0}, {1}) ELSE generate_series({0}, {1}, -1) END"
    return f"generate_series({{0}}, {{1}}{step})"


def _sequence_type(types: Sequence[Type]) -> Type:
    kind = types[0]
    return None if kind is None else array_of(BIGINT if kind.is_integer else kind)


FUNCTIONS: dict[str, Function] = {
    "cardinality": scalar(_cardinality, BIGINT),
    "contains": scalar("list_contains({0}, {1})", BOOLEAN, 2),
    "element_at": scalar(_element_at, _element_at_type, 2),
    "array_join": scalar(
        lambda types: (
            "array_to_string({0}, {1})"
            if len(types) == 2
            else "array_to_string(list_transform({0}, LAMBDA _x : coalesce(CAST(_x AS VARCHAR), {2})), {1})"
        ),
        VARCHAR,
        2,
        3,
    ),
    "array_distinct": scalar("list_distinct({0})", first),
    "array_sort": scalar("list_sort({0}, 'ASC', 'NULLS LAST')", first),
    "array_max": scalar("CASE WHEN list_count({0}) = len({0}) THEN list_max({0}) END", element),
    "array_min": scalar("CASE WHEN list_count({0}) = len({0}) THEN list_min({0}) END", element),
    "array_position": scalar("coalesce(list_position({0}, {1}), 0)", BIGINT, 2),
    "array_remove": scalar("list_filter({0}, LAMBDA _x : _x IS DISTINCT FROM {1})", first, 2),
    "array_intersect": scalar("list_intersect({0}, {1})", first, 2),
    "array_union": scalar("list_distinct(list_concat({0}, {1}))", first, 2),
    "array_except": scalar(
        "list_distinct(list_filter({0}, LAMBDA _x : NOT list_contains({1}, _x)))", first, 2
    ),
    "arrays_overlap": scalar("list_has_any({0}, {1})", BOOLEAN, 2),
    "slice": scalar("list_slice({0}, {1}, {1} + {2} - 1)", first, 3),
    "flatten": scalar("flatten({0})", element),
    "repeat": scalar("list_transform(range({1}), LAMBDA _x : {0})", array_of_first, 2),
    "sequence": scalar(_sequence, _sequence_type, 2, 3),
    "map": scalar(_map_of_arrays, _map_type, 0, 2),
    "map_keys": scalar("map_keys({0})", _keys),
    "map_values": scalar("map_values({0})", _values),
    "map_entries": scalar("map_entries({0})", None),
    "map_from_entries": scalar("map_from_entries({0})", None),
    "map_concat": scalar("map_concat({*})", first, 2, None),
    "transform": scalar(
        "list_transform({0}, {1})", lambda types: array_of(types[1]) if types[1] else None, 2
    ),
    "filter": scalar("list_filter({0}, {1})", first, 2),
    "any_match": scalar("(len(list_filter({0}, {1})) > 0)", BOOLEAN, 2),
    "none_match": scalar("(len(list_filter({0}, {1})) = 0)", BOOLEAN, 2),
    "all_match": scalar("(len(list_filter({0}, {1})) = len({0}))", BOOLEAN, 2),
    "map_filter": scalar("map_from_entries(list_filter(map_entries({0}), {1}))", first, 2),
}
