"""Argument types that are refused: DuckDB would convert them in silence, and Trino has no signature for them."""

from __future__ import annotations

_TEXT = {"text"}
_NUMBER = {"number"}
_TIME = {"time"}
ARGUMENT_FAMILIES: dict[str, list[set[str]]] = {
    **{
        name: [_TEXT] for name in ("lower", "upper", "trim", "ltrim", "rtrim", "from_iso8601_date", "to_utf8")
    },
    **{
        name: [_TEXT, _TEXT]
        for name in ("strpos", "starts_with", "split", "regexp_like", "regexp_extract", "date_parse")
    },
    "from_iso8601_timestamp": [_TEXT],
    "replace": [_TEXT, _TEXT, _TEXT],
    "regexp_replace": [_TEXT, _TEXT, _TEXT],
    "substr": [_TEXT | {"binary"}, _NUMBER, _NUMBER],
    "length": [_TEXT | {"binary"}],
    "md5": [{"binary"}],
    "sha1": [{"binary"}],
    "sha256": [{"binary"}],
    "xxhash64": [{"binary"}],
    "to_hex": [{"binary"}],
    "from_utf8": [{"binary"}],
    **{
        name: [_NUMBER]
        for name in ("abs", "sqrt", "ln", "exp", "round", "floor", "ceil", "ceiling", "from_unixtime")
    },
    **{name: [_NUMBER | {"interval"}] for name in ("sum", "avg")},
    **{
        name: [_TIME]
        for name in ("year", "month", "day", "quarter", "week", "day_of_week", "day_of_year", "to_unixtime")
    },
    "date_trunc": [_TEXT, _TIME],
    "date_add": [_TEXT, _NUMBER, _TIME],
    "date_diff": [_TEXT, _TIME, _TIME],
    "date_format": [_TIME, _TEXT],
    "to_milliseconds": [{"interval"}],
    "bool_and": [{"boolean"}],
    "bool_or": [{"boolean"}],
    "count_if": [{"boolean"}],
}
