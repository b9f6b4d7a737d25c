"""Array and map functions, those with lambdas among them. NULL elements count as Trino counts them."""

from __future__ import annotations

from athena_local.sql.functions.signatures import Call, Function, failing, scalar, table, to_type_of
from athena_local.types import DATE

MOST_SEQUENCE_ENTRIES = 10_000  # Trino's limit
_TOO_LONG = failing(f"result of sequence function must not have more than {MOST_SEQUENCE_ENTRIES} entries")


def let(value: str, body: str) -> str:
    """DuckDB text of `body`, in which `_v` stands for a value worked out once."""
    return f"list_extract(list_transform([{value}], LAMBDA _v : {body}), 1)"


def distinct(value: str) -> str:
    """DuckDB text of a list without repetitions, the first of each in its place; NULL is a value."""
    return let(value, "list_filter(_v, LAMBDA _d, _i : list_position(_v, _d) = _i)")


_ONCE = distinct("{0}")
_UNION = distinct("list_concat({0}, {1})")
_INTERSECT = distinct("list_filter({0}, LAMBDA _d : list_position({1}, _d) IS NOT NULL)")
_EXCEPT = distinct("list_filter({0}, LAMBDA _d : list_position({1}, _d) IS NULL)")
_NO_NULL = "CASE WHEN {0} IS NOT NULL AND {1} IS NOT NULL THEN {x} END"
_ANY = let(
    "list_transform({0}, {1})",
    "CASE WHEN list_contains(_v, true) THEN true WHEN list_count(_v) < len(_v) THEN NULL WHEN _v IS NOT NULL THEN false END",
)
_NONE = f"(NOT {_ANY})"
_ALL = let(
    "list_transform({0}, {1})",
    "CASE WHEN list_contains(_v, false) THEN false WHEN list_count(_v) < len(_v) THEN NULL"
    " WHEN _v IS NOT NULL THEN true END",
)
_OVERLAP = (
    "CASE WHEN list_has_any({0}, {1}) THEN true WHEN {0} IS NULL OR {1} IS NULL THEN NULL"
    " WHEN len({0}) > 0 AND len({1}) > 0 AND (list_count({0}) < len({0}) OR list_count({1}) < len({1}))"
    " THEN NULL ELSE false END"
)
_ELEMENT_AT = (
    f"CASE WHEN {{1}} = 0 THEN {failing('SQL array indices start at 1')} ELSE list_extract({{0}}, {{1}}) END"
)
_SLICE_ZERO = failing("SQL array indices start at 1")
_SLICE_LENGTH = failing("length must be greater than or equal to 0")
_SLICE = (
    f"CASE WHEN {{1}} = 0 THEN {_SLICE_ZERO} WHEN {{2}} < 0 THEN {_SLICE_LENGTH}"
    " WHEN {0} IS NULL OR {1} IS NULL OR {2} IS NULL THEN NULL WHEN {2} = 0 OR abs({1}) > len({0}) THEN [] "
    "WHEN {1} > 0 THEN list_slice({0}, {1}, {1} + {2} - 1)"
    " ELSE list_slice({0}, len({0}) + {1} + 1, len({0}) + {1} + {2}) END"
)


def _sequence(call: Call) -> str:
    kind = call.types[0]
    third = len(call.parts) > 2
    if kind is not None and kind.base in {"date", "timestamp"}:
        step = "{2}" if third else "CASE WHEN {0} <= {1} THEN INTERVAL 1 DAY ELSE INTERVAL '-1' DAY END"
        text = f"generate_series(CAST({{0}} AS TIMESTAMP), CAST({{1}} AS TIMESTAMP), {step})"
        if kind == DATE:
            text = f"list_transform({text}, LAMBDA _x : CAST(_x AS DATE))"
        return let(text, f"CASE WHEN len(_v) > {MOST_SEQUENCE_ENTRIES} THEN {_TOO_LONG} ELSE _v END")
    step = "{2}" if third else "CASE WHEN {0} <= {1} THEN 1 ELSE -1 END"
    zero = failing("step must not be zero")
    wrong = failing(
        "sequence stop value should be greater than or equal to start value if step is greater than zero"
        " otherwise stop should be less than or equal to start"
    )
    refused = (
        f"WHEN {step} = 0 THEN {zero} WHEN ({{1}} - {{0}}) * sign({step}) < 0 THEN {wrong}" if third else ""
    )
    count = f"({{1}} - {{0}}) // {step} >= {MOST_SEQUENCE_ENTRIES}"
    return f"CASE {refused} WHEN {count} THEN {_TOO_LONG} ELSE generate_series({{0}}, {{1}}, {step}) END"


def _join(call: Call) -> str:
    element = call.types[0].element if call.types[0] else None
    shown = "_x" if element is not None and element.base == "varchar" else "CAST(_x AS VARCHAR)"
    kept = f"list_transform(list_filter({{0}}, LAMBDA _x : _x IS NOT NULL), LAMBDA _x : {shown})"
    if len(call.parts) > 2:
        kept = f"list_transform({{0}}, LAMBDA _x : coalesce({shown}, {{2}}))"
    return f"CASE WHEN {{0}} IS NOT NULL AND {{1}} IS NOT NULL THEN coalesce(array_to_string({kept}, {{1}}), '') END"


def _reduce(call: Call) -> str:
    """A fold: DuckDB's list_reduce knows one type, so state and element go side by side in a row."""
    state = call.types[1]
    begun, empty = to_type_of(state, "{1}"), to_type_of(state, "NULL")
    pairs = f"list_transform({{0}}, LAMBDA _x : {{{{'s': {empty}, 'x': _x}}}})"
    text = f"list_reduce({pairs}, {{2}}, {{{{'s': {begun}, 'x': NULL}}}})"
    folded = (
        f"CASE WHEN len({{0}}) = 0 THEN {begun} WHEN {{0}} IS NOT NULL THEN struct_extract({text}, 's') END"
    )
    return f"CASE WHEN {{0}} IS NOT NULL THEN list_extract(list_transform([{folded}], {{3}}), 1) END"


# by a comparator: each element goes between those not after it and those after it, so equals keep their order
_SORTED = (
    "CASE WHEN len({0}) < 2 THEN {0} WHEN {0} IS NOT NULL THEN"
    " struct_extract(list_reduce(list_transform({0}, LAMBDA _x : {{'s': [_x], 'x': _x}}), {1}), 's') END"
)
_UNEVEN = failing("Key and value arrays must be the same length")
_MAP_OF = f"CASE WHEN len({{0}}) <> len({{1}}) THEN {_UNEVEN} ELSE map({{0}}, {{1}}) END"


def _from_entries(call: Call) -> str:
    kind = call.types[0]
    pair = "{{'key': struct_extract(_e, {k}), 'value': struct_extract(_e, {v})}}"
    names = (
        [name for name, _ in kind.element.fields]
        if kind is not None and kind.element.base == "row"
        else ["", ""]
    )
    spelled = ["'" + name + "'" if name else str(index) for index, name in enumerate(names, start=1)]
    pair = pair.replace("{k}", spelled[0]).replace("{v}", spelled[1])
    return f"map_from_entries(list_transform({{0}}, LAMBDA _e : {pair}))"


_MULTI_KEYS = "list_transform(_v, LAMBDA _q : struct_extract(_q, 1))"
MULTIMAP = let(
    "{0}",
    f"map_from_entries(list_transform({distinct(_MULTI_KEYS)}, LAMBDA _k : {{{{'key': _k, 'value':"
    " list_transform(list_filter(_v, LAMBDA _q : struct_extract(_q, 1) = _k), LAMBDA _q : struct_extract(_q, 2))}}))",
)


FUNCTIONS: dict[str, Function] = table(
    {
        "cardinality": scalar(
            "array(E) -> bigint", "len({0})", "map(K,V) -> bigint", "CAST(cardinality({0}) AS BIGINT)"
        ),
        "element_at": scalar(
            "array(E), bigint -> E", _ELEMENT_AT, "map(K,V), K -> V", "map_extract_value({0}, {1})"
        ),
        "array_join": scalar(
            "array(T), varchar -> varchar", _join, "array(T), varchar, varchar -> varchar", _join
        ),
        "array_distinct": scalar("array(E) -> array(E)", _ONCE),
        "array_sort": scalar(
            "array(E) -> array(E)",
            "list_sort({0}, 'ASC', 'NULLS LAST')",
            "array(T), function(T,T,integer) -> array(T)",
            _SORTED,
        ),
        "array_max": scalar("array(T) -> T", "CASE WHEN list_count({0}) = len({0}) THEN list_max({0}) END"),
        "array_min": scalar("array(T) -> T", "CASE WHEN list_count({0}) = len({0}) THEN list_min({0}) END"),
        "array_position": scalar(
            "array(T), T -> bigint",
            "CASE WHEN {0} IS NOT NULL AND {1} IS NOT NULL THEN CAST(coalesce(list_position({0}, {1}), 0) AS BIGINT) END",
        ),
        "array_remove": scalar(
            "array(E), E -> array(E)",
            _NO_NULL.replace("{x}", "list_filter({0}, LAMBDA _x : _x IS DISTINCT FROM {1})"),
        ),
        "array_intersect": scalar("array(E), array(E) -> array(E)", _NO_NULL.replace("{x}", _INTERSECT)),
        "array_union": scalar("array(E), array(E) -> array(E)", _NO_NULL.replace("{x}", _UNION)),
        "array_except": scalar("array(E), array(E) -> array(E)", _NO_NULL.replace("{x}", _EXCEPT)),
        "arrays_overlap": scalar("array(E), array(E) -> boolean", _OVERLAP),
        "contains_sequence": scalar(
            "array(T), array(T) -> boolean",
            "(len({1}) = 0 OR len(list_filter(range(1, len({0}) - len({1}) + 2),"
            " LAMBDA _i : list_slice({0}, _i, _i + len({1}) - 1) = {1})) > 0)",
        ),
        "ngrams": scalar(
            "array(T), bigint -> array(array(T))",
            "CASE WHEN len({0}) <= {1} THEN [{0}] ELSE list_transform(range(1, len({0}) - {1} + 2),"
            " LAMBDA _i : list_slice({0}, _i, _i + {1} - 1)) END",
        ),
        "shuffle": scalar(
            "array(E) -> array(E)",
            "list_transform(list_sort(list_transform({0}, LAMBDA _x : {{'r': random(), 'x': _x}})), LAMBDA _x : _x.x)",
        ),
        "trim_array": scalar(
            "array(E), bigint -> array(E)",
            f"CASE WHEN {{1}} < 0 THEN {failing('size must not be negative')} WHEN {{1}} > len({{0}}) THEN "
            f"{failing('size must not exceed array cardinality')}"
            " ELSE list_slice({0}, 1, len({0}) - {1}) END",
        ),
        "slice": scalar("array(E), bigint, bigint -> array(E)", _SLICE),
        "flatten": scalar("array(array(E)) -> array(E)", "flatten({0})"),
        "repeat": scalar("T, bigint -> array(T)", "list_transform(range({1}), LAMBDA _x : {0})"),
        "zip": scalar(
            "array(T1), array(T2) -> array(row(T1,T2))",
            "list_zip({*})",
            "array(T1), array(T2), array(T3) -> array(row(T1,T2,T3))",
            "list_zip({*})",
            "array(T1), array(T2), array(T3), array(T4) -> array(row(T1,T2,T3,T4))",
            "list_zip({*})",
            "array(T1), array(T2), array(T3), array(T4), array(T5) -> array(row(T1,T2,T3,T4,T5))",
            "list_zip({*})",
        ),
        "sequence": scalar(
            "bigint, bigint -> array(bigint)",
            _sequence,
            "bigint, bigint, bigint -> array(bigint)",
            _sequence,
            "date, date -> array(date)",
            _sequence,
            "date, date, interval day to second -> array(date)",
            _sequence,
            "date, date, interval year to month -> array(date)",
            _sequence,
            "timestamp(p), timestamp(p), interval day to second -> array(timestamp(p))",
            _sequence,
            "timestamp(p), timestamp(p), interval year to month -> array(timestamp(p))",
            _sequence,
        ),
        "transform": scalar("array(T), function(T,U) -> array(U)", "list_transform({0}, {1})"),
        "filter": scalar("array(T), function(T,boolean) -> array(T)", "list_filter({0}, {1})"),
        "any_match": scalar("array(T), function(T,boolean) -> boolean", _ANY),
        "none_match": scalar("array(T), function(T,boolean) -> boolean", _NONE),
        "all_match": scalar("array(T), function(T,boolean) -> boolean", _ALL),
        "reduce": scalar("array(T), S, function(S,T,S), function(S,R) -> R", _reduce),
        "zip_with": scalar(
            "array(T), array(U), function(T,U,R) -> array(R)", "list_transform(list_zip({0}, {1}), {2})"
        ),
        "map": scalar("-> map(unknown, unknown)", "MAP([], [])", "array(K), array(V) -> map(K,V)", _MAP_OF),
        "map_keys": scalar("map(K,V) -> array(K)", "map_keys({0})"),
        "map_values": scalar("map(K,V) -> array(V)", "map_values({0})"),
        "map_entries": scalar(
            "map(K,V) -> array(row(K,V))",
            "list_transform(map_entries({0}), LAMBDA _e : row(_e.key, _e.value))",
        ),
        "map_from_entries": scalar("array(row(K,V)) -> map(K,V)", _from_entries),
        "multimap_from_entries": scalar("array(row(K,V)) -> map(K,array(V))", MULTIMAP),
        "map_concat": scalar("map(K,V), map(K,V)... -> map(K,V)", "map_concat({*})"),
        "map_filter": scalar(
            "map(K,V), function(K,V,boolean) -> map(K,V)",
            "map_from_entries(list_filter(map_entries({0}), {1}))",
        ),
        "transform_values": scalar(
            "map(K,V1), function(K,V1,V2) -> map(K,V2)",
            "map(map_keys({0}), list_transform(map_entries({0}), {1}))",
        ),
        "transform_keys": scalar(
            "map(K1,V), function(K1,V,K2) -> map(K2,V)",
            "map(list_transform(map_entries({0}), {1}), map_values({0}))",
        ),
        "map_zip_with": scalar(
            "map(K,V1), map(K,V2), function(K,V1,V2,V3) -> map(K,V3)",
            let(
                distinct("list_concat(map_keys({0}), map_keys({1}))"),
                "map(_v, list_transform(list_transform(_v, LAMBDA _k :"
                " {{'key': _k, 'value': map_extract_value({0}, _k), 'other': map_extract_value({1}, _k)}}), {2}))",
            ),
        ),
    },
    comparable="array_remove array_position",
    orderable="array_sort array_max array_min",
)
