"""Trino's functions in DuckDB's words: one table, and a name that is not in it does not exist.

A `Function` is a template over its arguments (`{0}`, `{1}` …; `{*}` all of them) with the type it returns. Aggregates keep
the call apart from what is wrapped around it, since FILTER and OVER belong between the two.
Semantics: https://trino.io/docs/current/functions.html, as Athena engine version 3 has them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from athena_local.engine.errors import raising
from athena_local.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    TIMESTAMP,
    TIMESTAMP_TZ,
    UNKNOWN,
    VARBINARY,
    VARCHAR,
    AthenaType,
    array_of,
    map_of,
)

Type = AthenaType | None
TypeRule = AthenaType | Callable[[Sequence[Type]], Type] | None
Template = str | Callable[[Sequence[Type]], str]
JSON = AthenaType("json")
DAY_TO_SECOND = AthenaType("interval day to second")


@dataclass(frozen=True)
class Function:
    """`least`..`most` arguments (most None: any number)."""

    template: Template
    returns: TypeRule
    least: int
    most: int | None
    aggregate: bool = False
    window: bool = False  # only with OVER
    wrap: Template = "{0}"

    def result(self, types: Sequence[Type]) -> Type:
        return self.returns(types) if callable(self.returns) else self.returns


# type rules


def first(types: Sequence[Type]) -> Type:
    return types[0] if types else None


def second(types: Sequence[Type]) -> Type:
    return types[1] if len(types) > 1 else None


def element(types: Sequence[Type]) -> Type:
    kind = types[0]
    return kind.element if kind is not None and kind.base == "array" else None


def array_of_first(types: Sequence[Type]) -> Type:
    return array_of(types[0]) if types[0] is not None else None


def common(types: Sequence[Type]) -> Type:
    found: Type = UNKNOWN
    for kind in types:
        found = common_type(found, kind)
        if found is None:
            return None
    return found


_NUMERIC_ORDER = ["tinyint", "smallint", "integer", "bigint", "decimal", "real", "double"]
_INTEGER_DIGITS = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19}


def as_decimal(kind: AthenaType) -> AthenaType:
    """Return the decimal an exact number becomes beside a decimal."""
    return AthenaType("decimal", _INTEGER_DIGITS[kind.base], 0) if kind.is_integer else kind


def common_type(left: Type, right: Type) -> Type:
    """Return the type both coerce to; None when not known here (or when there is none)."""
    if left is None or right is None:
        return None
    if left == right or right.base == "unknown":
        return left
    if left.base == "unknown":
        return right
    if left.is_numeric and right.is_numeric:
        wide = max(left.base, right.base, key=_NUMERIC_ORDER.index)
        if wide != "decimal":
            return AthenaType(wide)
        one, other = as_decimal(left), as_decimal(right)
        scale = max(one.scale or 0, other.scale or 0)
        whole = max((one.precision or 38) - (one.scale or 0), (other.precision or 38) - (other.scale or 0))
        return AthenaType("decimal", min(38, whole + scale), scale)
    if {left.base, right.base} <= {"varchar", "char"}:
        return VARCHAR
    if {left.base, right.base} <= {"date", "timestamp", "timestamp with time zone"}:
        zoned = "with time zone" in left.base + right.base
        precision = max(left.precision or 0, right.precision or 0)
        return AthenaType("timestamp with time zone" if zoned else "timestamp", precision)
    if left.base == right.base == "array":
        inner = common_type(left.element, right.element)
        return array_of(inner) if inner else None
    if left.base == right.base == "map":
        key, value = common_type(left.key, right.key), common_type(left.value, right.value)
        return map_of(key, value) if key and value else None
    return None


def _sum(types: Sequence[Type]) -> Type:
    kind = types[0]
    if kind is None or not kind.is_numeric:
        return None
    if kind.is_integer:
        return BIGINT
    return AthenaType("decimal", 38, kind.scale) if kind.base == "decimal" else kind


def _average(types: Sequence[Type]) -> Type:
    kind = types[0]
    return None if kind is None else (kind if kind.base in {"decimal", "real"} else DOUBLE)


def _rounded(types: Sequence[Type]) -> Type:
    kind = types[0]
    if kind is not None and kind.base == "decimal" and len(types) == 1:
        return AthenaType("decimal", min(38, (kind.precision or 38) - (kind.scale or 0) + 1), 0)
    return kind


def _truncated(types: Sequence[Type]) -> Type:
    return types[1]


def _dated(types: Sequence[Type]) -> Type:
    return types[2]


# templates that depend on types


def _to_type_of(kind: Type, text: str) -> str:
    return f"CAST({text} AS {kind.duckdb()})" if kind is not None else text


def _sum_wrap(types: Sequence[Type]) -> str:
    return _to_type_of(_sum(types), "{0}")


def _average_wrap(types: Sequence[Type]) -> str:
    kind = types[0]
    return _to_type_of(kind, "{0}") if kind is not None and kind.base in {"decimal", "real"} else "{0}"


def _date_trunc(types: Sequence[Type]) -> str:
    kind = types[1]
    return "CAST(date_trunc({0}, {1}) AS DATE)" if kind == DATE else "date_trunc({0}, {1})"


def _date_add(types: Sequence[Type]) -> str:
    text = f"CASE lower({{0}}) {_unit_cases('{1}')} ELSE {_error('Not a valid unit')} END"
    moved = f"({{2}} + {text})"
    return f"CAST({moved} AS DATE)" if types[2] == DATE else moved


def _unit_cases(amount: str) -> str:
    units = ["millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year"]
    factors = {"quarter": ("to_months", 3), "week": ("to_days", 7)}
    cases = []
    for unit in units:
        function, factor = factors.get(unit, (f"to_{unit}s", 1))
        cast = (
            "BIGINT" if function in {"to_milliseconds", "to_seconds", "to_minutes", "to_hours"} else "INTEGER"
        )
        times = f" * {factor}" if factor != 1 else ""
        cases.append(f"WHEN '{unit}' THEN {function}(CAST({amount}{times} AS {cast}))")
    return " ".join(cases)


def _error(text: str, code: str = "INVALID_FUNCTION_ARGUMENT") -> str:
    return "error('" + raising(code, text).replace("'", "''") + "')"


def _round(types: Sequence[Type]) -> str:
    if len(types) == 1:
        return _to_type_of(_rounded(types) if types[0] and not types[0].is_integer else None, "round({0})")
    return _to_type_of(types[0], "round({0}, CAST({1} AS INTEGER))")


def _like_argument(call: str) -> Template:
    return lambda types: _to_type_of(types[0], call)


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


def _length(types: Sequence[Type]) -> str:
    return "octet_length({0})" if types[0] == VARBINARY else "length({0})"


def _reverse(types: Sequence[Type]) -> str:
    return "list_reverse({0})" if types[0] and types[0].base == "array" else "reverse({0})"


def _concat(types: Sequence[Type]) -> str:
    return "(" + " || ".join(f"{{{index}}}" for index in range(len(types))) + ")"


def _map_of_arrays(types: Sequence[Type]) -> str:
    return "MAP([], [])" if not types else "map({0}, {1})"


def _map_type(types: Sequence[Type]) -> Type:
    if len(types) == 2 and types[0] and types[1] and types[0].base == types[1].base == "array":
        return map_of(types[0].element, types[1].element)
    return None


def _map_aggregate_type(types: Sequence[Type]) -> Type:
    return map_of(types[0], types[1]) if types[0] and types[1] else None


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


def _from_unixtime(types: Sequence[Type]) -> str:
    return "to_timestamp({0})" if len(types) == 1 else "timezone({1}, to_timestamp({0}))"


def _iso(types: Sequence[Type]) -> str:
    kind = types[0]
    if kind == DATE:
        return "strftime({0}, '%Y-%m-%d')"
    if kind and kind.base == "timestamp":
        return "strftime({0}, '%Y-%m-%dT%H:%M:%S.%g')"
    return "strftime(timezone('UTC', {0}), '%Y-%m-%dT%H:%M:%S.%gZ')"


def _percentile(types: Sequence[Type]) -> str:
    several = types[1] is not None and types[1].base == "array"
    return f"approx_quantile({{0}}, CAST({{1}} AS FLOAT{'[]' if several else ''}))"


def _percentile_type(types: Sequence[Type]) -> Type:
    several = types[1] is not None and types[1].base == "array"
    return array_of_first(types) if several else types[0]


def _percentile_wrap(types: Sequence[Type]) -> str:
    return _to_type_of(_percentile_type(types), "{0}")


_HASH = "sum(CAST(hash({0}) AS HUGEINT))"
# Not Trino's own value (that is an XxHash64 of its block encoding): equal for equal multisets, in any order, which is
# what a checksum is compared for.
_HASH_WRAP = "unhex(printf('%016x', CAST(({0}) % 18446744073709551616 AS UBIGINT)))"
# MySQL's format letters, which date_format and date_parse take, in strftime's; order matters, for %i becomes %M
_MYSQL_LETTERS = [
    ("%M", "%B"), ("%W", "%A"), ("%i", "%M"), ("%s", "%S"), ("%h", "%I"), ("%e", "%-d"), ("%T", "%H:%M:%S"), ("%c", "%-m"),
    ("%k", "%-H"), ("%l", "%-I"), ("%v", "%V"), ("%x", "%G"), ("%r", "%I:%M:%S %p"),
]  # fmt: skip
_MYSQL_FORMAT = "{1}"
for _mysql, _strftime in _MYSQL_LETTERS:
    _MYSQL_FORMAT = f"replace({_MYSQL_FORMAT}, '{_mysql}', '{_strftime}')"


def _f(template: Template, returns: TypeRule, least: int = 1, most: int | None = -1) -> Function:
    return Function(template, returns, least, least if most == -1 else most)


def _agg(
    template: Template, returns: TypeRule, least: int = 1, most: int | None = -1, wrap: Template = "{0}"
) -> Function:
    return Function(template, returns, least, least if most == -1 else most, aggregate=True, wrap=wrap)


def _win(
    template: Template, returns: TypeRule, least: int = 0, most: int | None = -1, wrap: Template = "{0}"
) -> Function:
    return Function(template, returns, least, least if most == -1 else most, window=True, wrap=wrap)


def _double(name: str, count: int = 1) -> Function:
    holes = ", ".join(f"{{{index}}}" for index in range(count))
    return _f(f"{name}({holes})", DOUBLE, count)


FUNCTIONS: dict[str, Function] = {
    # conditional
    "coalesce": _f("coalesce({*})", common, 2, None),
    "nullif": _f("nullif({0}, {1})", first, 2),
    "try": _f("TRY({0})", first),
    "greatest": _f("CASE WHEN {null} THEN NULL ELSE greatest({*}) END", common, 1, None),
    "least": _f("CASE WHEN {null} THEN NULL ELSE least({*}) END", common, 1, None),
    "typeof": _f("typeof({0})", VARCHAR),
    # mathematical
    "abs": _f("abs({0})", first),
    "ceil": _f(_like_argument("ceil({0})"), first),
    "ceiling": _f(_like_argument("ceil({0})"), first),
    "floor": _f(_like_argument("floor({0})"), first),
    "round": _f(_round, _rounded, 1, 2),
    "truncate": _f(_like_argument("trunc({0})"), first),
    "sign": _f(_like_argument("sign({0})"), first),
    "mod": _f("({0} % {1})", common, 2),
    "sqrt": _double("sqrt"),
    "cbrt": _double("cbrt"),
    "exp": _double("exp"),
    "ln": _double("ln"),
    "log2": _double("log2"),
    "log10": _double("log10"),
    "log": _f("(ln({1}) / ln({0}))", DOUBLE, 2),
    "power": _double("pow", 2),
    "pow": _double("pow", 2),
    "pi": _f("pi()", DOUBLE, 0),
    "e": _f("exp(1)", DOUBLE, 0),
    "nan": _f("CAST('NaN' AS DOUBLE)", DOUBLE, 0),
    "infinity": _f("CAST('Infinity' AS DOUBLE)", DOUBLE, 0),
    "is_nan": _f("isnan({0})", BOOLEAN),
    "is_finite": _f("isfinite(CAST({0} AS DOUBLE))", BOOLEAN),
    "is_infinite": _f("isinf(CAST({0} AS DOUBLE))", BOOLEAN),
    "sin": _double("sin"),
    "cos": _double("cos"),
    "tan": _double("tan"),
    "asin": _double("asin"),
    "acos": _double("acos"),
    "atan": _double("atan"),
    "atan2": _double("atan2", 2),
    "degrees": _double("degrees"),
    "radians": _double("radians"),
    "rand": _f("random()", DOUBLE, 0),
    "random": _f("random()", DOUBLE, 0),
    "bitwise_and": _f("CAST({0} & {1} AS BIGINT)", BIGINT, 2),
    "bitwise_or": _f("CAST({0} | {1} AS BIGINT)", BIGINT, 2),
    "bitwise_xor": _f("CAST(xor({0}, {1}) AS BIGINT)", BIGINT, 2),
    "bitwise_not": _f("CAST(~{0} AS BIGINT)", BIGINT),
    "width_bucket": _f(
        "CAST(CASE WHEN {0} < {1} THEN 0 WHEN {0} >= {2} THEN {3} + 1"
        " ELSE floor(({0} - {1}) * {3} / ({2} - {1})) + 1 END AS BIGINT)",
        BIGINT,
        4,
    ),
    # strings
    "lower": _f("lower({0})", VARCHAR),
    "upper": _f("upper({0})", VARCHAR),
    "length": _f(_length, BIGINT),
    "char_length": _f("length({0})", BIGINT),
    "character_length": _f("length({0})", BIGINT),
    "trim": _f("trim({0})", VARCHAR),
    "ltrim": _f("ltrim({0})", VARCHAR),
    "rtrim": _f("rtrim({0})", VARCHAR),
    "replace": _f(
        lambda types: "replace({0}, {1}, {2})" if len(types) > 2 else "replace({0}, {1}, '')", VARCHAR, 2, 3
    ),
    "reverse": _f(_reverse, first),
    "substr": _f("substr({*})", VARCHAR, 2, 3),
    "substring": _f("substr({*})", VARCHAR, 2, 3),
    "strpos": _f("strpos({0}, {1})", BIGINT, 2),
    "position": _f("strpos({1}, {0})", BIGINT, 2),
    "starts_with": _f("starts_with({0}, {1})", BOOLEAN, 2),
    "lpad": _f("lpad({0}, CAST({1} AS INTEGER), {2})", VARCHAR, 3),
    "rpad": _f("rpad({0}, CAST({1} AS INTEGER), {2})", VARCHAR, 3),
    "split": _f("string_split({0}, {1})", array_of(VARCHAR), 2),
    "split_part": _f("list_extract(string_split({0}, {1}), {2})", VARCHAR, 3),
    "concat": _f(_concat, common, 2, None),
    "concat_ws": _f("concat_ws({*})", VARCHAR, 2, None),
    "chr": _f("chr(CAST({0} AS INTEGER))", VARCHAR),
    "codepoint": _f("unicode({0})", INTEGER),
    "translate": _f("translate({0}, {1}, {2})", VARCHAR, 3),
    "levenshtein_distance": _f("levenshtein({0}, {1})", BIGINT, 2),
    "hamming_distance": _f("hamming({0}, {1})", BIGINT, 2),
    "normalize": _f("nfc_normalize({0})", VARCHAR),
    "format": _f("printf({*})", VARCHAR, 1, None),
    "to_utf8": _f("encode({0})", VARBINARY),
    "from_utf8": _f("decode({0})", VARCHAR),
    "to_hex": _f("hex({0})", VARCHAR),
    "from_hex": _f("unhex({0})", VARBINARY),
    "to_base64": _f("to_base64({0})", VARCHAR),
    "from_base64": _f("from_base64({0})", VARBINARY),
    "md5": _f("unhex(md5({0}))", VARBINARY),
    "sha1": _f("unhex(sha1({0}))", VARBINARY),
    "sha256": _f("unhex(sha256({0}))", VARBINARY),
    "xxhash64": _f("unhex(printf('%016x', hash({0})))", VARBINARY),
    "uuid": _f("uuid()", AthenaType("uuid"), 0),
    # regular expressions
    "regexp_like": _f("regexp_matches({0}, {1})", BOOLEAN, 2),
    "regexp_replace": _f(
        lambda types: (
            "regexp_replace({0}, {1}, regexp_replace({2}, '\\$(\\d)', '\\\\\\1', 'g'), 'g')"
            if len(types) > 2
            else "regexp_replace({0}, {1}, '', 'g')"
        ),
        VARCHAR,
        2,
        3,
    ),
    "regexp_extract": _f(
        lambda types: (
            "CASE WHEN regexp_matches({0}, {1}) THEN regexp_extract({0}, {1}, "
            + ("{2}" if len(types) > 2 else "0")
            + ") END"
        ),
        VARCHAR,
        2,
        3,
    ),
    "regexp_extract_all": _f("regexp_extract_all({*})", array_of(VARCHAR), 2, 3),
    "regexp_split": _f("string_split_regex({0}, {1})", array_of(VARCHAR), 2),
    "regexp_count": _f("len(regexp_extract_all({0}, {1}))", BIGINT, 2),
    # dates and times
    "now": _f("date_trunc('milliseconds', now())", TIMESTAMP_TZ, 0),
    "date": _f("CAST({0} AS DATE)", DATE),
    "date_trunc": _f(_date_trunc, _truncated, 2),
    "date_add": _f(_date_add, _dated, 3),
    "date_diff": _f(
        "CASE lower({0}) WHEN 'week' THEN date_sub('day', {1}, {2}) // 7 ELSE date_sub({0}, {1}, {2}) END",
        BIGINT,
        3,
    ),
    "date_format": _f(f"strftime({{0}}, {_MYSQL_FORMAT})", VARCHAR, 2),
    "date_parse": _f(f"CAST(strptime({{0}}, {_MYSQL_FORMAT}) AS TIMESTAMP)", TIMESTAMP, 2),
    "from_unixtime": _f(_from_unixtime, TIMESTAMP_TZ, 1, 2),
    "to_unixtime": _f("epoch({0})", DOUBLE),
    "from_iso8601_timestamp": _f("CAST({0} AS TIMESTAMPTZ)", TIMESTAMP_TZ),
    "from_iso8601_date": _f("CAST({0} AS DATE)", DATE),
    "to_iso8601": _f(_iso, VARCHAR),
    "at_timezone": _f("{0}", first, 2),
    "with_timezone": _f("timezone({1}, {0})", TIMESTAMP_TZ, 2),
    "last_day_of_month": _f("last_day({0})", DATE),
    "year": _f("year({0})", BIGINT),
    "quarter": _f("quarter({0})", BIGINT),
    "month": _f("month({0})", BIGINT),
    "week": _f("weekofyear({0})", BIGINT),
    "week_of_year": _f("weekofyear({0})", BIGINT),
    "day": _f("day({0})", BIGINT),
    "day_of_month": _f("day({0})", BIGINT),
    "day_of_week": _f("isodow({0})", BIGINT),
    "dow": _f("isodow({0})", BIGINT),
    "day_of_year": _f("dayofyear({0})", BIGINT),
    "doy": _f("dayofyear({0})", BIGINT),
    "year_of_week": _f("isoyear({0})", BIGINT),
    "yow": _f("isoyear({0})", BIGINT),
    "hour": _f("hour({0})", BIGINT),
    "minute": _f("minute({0})", BIGINT),
    "second": _f("second({0})", BIGINT),
    "millisecond": _f("(millisecond({0}) % 1000)", BIGINT),
    "current_timezone": _f("'UTC'", VARCHAR, 0),
    # JSON
    "json_parse": _f("CAST({0} AS JSON)", JSON),
    "json_format": _f("CAST({0} AS VARCHAR)", VARCHAR),
    "json_extract": _f("CASE WHEN json_valid({0}) THEN json_extract({0}, {1}) END", JSON, 2),
    "json_extract_scalar": _f(
        "CASE WHEN NOT json_valid({0}) THEN NULL"
        " WHEN json_type({0}, {1}) NOT IN ('OBJECT', 'ARRAY') THEN json_extract_string({0}, {1}) END",
        VARCHAR,
        2,
    ),
    "json_array_length": _f("CAST(json_array_length({0}) AS BIGINT)", BIGINT),
    "json_size": _f("CAST(len(json_keys({0}, {1})) AS BIGINT)", BIGINT, 2),
    "is_json_scalar": _f("(json_type({0}) NOT IN ('OBJECT', 'ARRAY'))", BOOLEAN),
    # arrays and maps
    "cardinality": _f(_cardinality, BIGINT),
    "contains": _f("list_contains({0}, {1})", BOOLEAN, 2),
    "element_at": _f(_element_at, _element_at_type, 2),
    "array_join": _f(
        lambda types: (
            "array_to_string({0}, {1})"
            if len(types) == 2
            else "array_to_string(list_transform({0}, LAMBDA _x : coalesce(CAST(_x AS VARCHAR), {2})), {1})"
        ),
        VARCHAR,
        2,
        3,
    ),
    "array_distinct": _f("list_distinct({0})", first),
    "array_sort": _f("list_sort({0}, 'ASC', 'NULLS LAST')", first),
    "array_max": _f("CASE WHEN list_count({0}) = len({0}) THEN list_max({0}) END", element),
    "array_min": _f("CASE WHEN list_count({0}) = len({0}) THEN list_min({0}) END", element),
    "array_position": _f("coalesce(list_position({0}, {1}), 0)", BIGINT, 2),
    "array_remove": _f("list_filter({0}, LAMBDA _x : _x IS DISTINCT FROM {1})", first, 2),
    "array_intersect": _f("list_intersect({0}, {1})", first, 2),
    "array_union": _f("list_distinct(list_concat({0}, {1}))", first, 2),
    "array_except": _f("list_distinct(list_filter({0}, LAMBDA _x : NOT list_contains({1}, _x)))", first, 2),
    "arrays_overlap": _f("list_has_any({0}, {1})", BOOLEAN, 2),
    "slice": _f("list_slice({0}, {1}, {1} + {2} - 1)", first, 3),
    "flatten": _f("flatten({0})", element),
    "repeat": _f("list_transform(range({1}), LAMBDA _x : {0})", array_of_first, 2),
    "sequence": _f(_sequence, _sequence_type, 2, 3),
    "map": _f(_map_of_arrays, _map_type, 0, 2),
    "map_keys": _f("map_keys({0})", _keys),
    "map_values": _f("map_values({0})", _values),
    "map_entries": _f("map_entries({0})", None),
    "map_from_entries": _f("map_from_entries({0})", None),
    "map_concat": _f("map_concat({*})", first, 2, None),
    "transform": _f("list_transform({0}, {1})", lambda types: array_of(types[1]) if types[1] else None, 2),
    "filter": _f("list_filter({0}, {1})", first, 2),
    "any_match": _f("(len(list_filter({0}, {1})) > 0)", BOOLEAN, 2),
    "none_match": _f("(len(list_filter({0}, {1})) = 0)", BOOLEAN, 2),
    "all_match": _f("(len(list_filter({0}, {1})) = len({0}))", BOOLEAN, 2),
    "map_filter": _f("map_from_entries(list_filter(map_entries({0}), {1}))", first, 2),
    # aggregates
    "count": _agg("count({*})", BIGINT, 0, None),
    "count_if": _agg("count_if({0})", BIGINT, wrap="CAST({0} AS BIGINT)"),
    "sum": _agg("sum({0})", _sum, wrap=_sum_wrap),
    "avg": _agg("avg({0})", _average, wrap=_average_wrap),
    "min": _agg("min({*})", lambda types: array_of_first(types) if len(types) > 1 else types[0], 1, 2),
    "max": _agg("max({*})", lambda types: array_of_first(types) if len(types) > 1 else types[0], 1, 2),
    "min_by": _agg("arg_min_null({0}, {1})", first, 2),
    "max_by": _agg("arg_max_null({0}, {1})", first, 2),
    "arbitrary": _agg("any_value({0})", first),
    "any_value": _agg("any_value({0})", first),
    "bool_and": _agg("bool_and({0})", BOOLEAN),
    "every": _agg("bool_and({0})", BOOLEAN),
    "bool_or": _agg("bool_or({0})", BOOLEAN),
    "array_agg": _agg("list({0})", array_of_first),
    "map_agg": _agg(
        "list({{'key': {0}, 'value': {1}}})", _map_aggregate_type, 2, wrap="map_from_entries({0})"
    ),
    "histogram": _agg("histogram({0})", lambda types: map_of(types[0], BIGINT) if types[0] else None),
    "approx_distinct": _agg("approx_count_distinct({0})", BIGINT, 1, 2),
    "approx_percentile": _agg(_percentile, _percentile_type, 2, wrap=_percentile_wrap),
    "checksum": _agg(_HASH, VARBINARY, wrap=_HASH_WRAP),
    "stddev": _agg("stddev_samp({0})", DOUBLE),
    "stddev_samp": _agg("stddev_samp({0})", DOUBLE),
    "stddev_pop": _agg("stddev_pop({0})", DOUBLE),
    "variance": _agg("var_samp({0})", DOUBLE),
    "var_samp": _agg("var_samp({0})", DOUBLE),
    "var_pop": _agg("var_pop({0})", DOUBLE),
    "corr": _agg("corr({0}, {1})", DOUBLE, 2),
    "covar_pop": _agg("covar_pop({0}, {1})", DOUBLE, 2),
    "covar_samp": _agg("covar_samp({0}, {1})", DOUBLE, 2),
    "regr_slope": _agg("regr_slope({0}, {1})", DOUBLE, 2),
    "regr_intercept": _agg("regr_intercept({0}, {1})", DOUBLE, 2),
    "skewness": _agg("skewness({0})", DOUBLE),
    "kurtosis": _agg("kurtosis({0})", DOUBLE),
    "geometric_mean": _agg("geomean({0})", DOUBLE),
    "bitwise_and_agg": _agg("bit_and(CAST({0} AS BIGINT))", BIGINT),
    "bitwise_or_agg": _agg("bit_or(CAST({0} AS BIGINT))", BIGINT),
    "grouping": _agg("grouping({*})", INTEGER, 1, None, wrap="CAST({0} AS INTEGER)"),
    # windows
    "row_number": _win("row_number()", BIGINT),
    "rank": _win("rank()", BIGINT),
    "dense_rank": _win("dense_rank()", BIGINT),
    "percent_rank": _win("percent_rank()", DOUBLE),
    "cume_dist": _win("cume_dist()", DOUBLE),
    "ntile": _win("ntile({0})", BIGINT, 1),
    "lag": _win("lag({*})", first, 1, 3),
    "lead": _win("lead({*})", first, 1, 3),
    "first_value": _win("first_value({0})", first, 1),
    "last_value": _win("last_value({0})", first, 1),
    "nth_value": _win("nth_value({0}, {1})", first, 2),
}

__all__ = ["DAY_TO_SECOND", "FUNCTIONS", "Function", "common_type"]
