"""CAST and TRY_CAST as Trino does them, where DuckDB would round, trim or spell differently."""

from __future__ import annotations

from sqlglot import exp

from athena_local.engine.errors import raising
from athena_local.errors import QueryError
from athena_local.sql.dialect import Text
from athena_local.sql.scope import Typed, position_of
from athena_local.types import AthenaType

_INTEGER_TEXT = r"^\s*[+-]?[0-9]+\s*$"
_TIMESTAMP_FORMATS = {0: "%Y-%m-%d %H:%M:%S", 3: "%Y-%m-%d %H:%M:%S.%g", 6: "%Y-%m-%d %H:%M:%S.%f"}
_MILLIS = 3
_TIME_BEFORE_ZONE = r"(\d:\d\d(?:\.\d+)?)"
_NEVER = {
    ("boolean", "date"), ("date", "boolean"), ("date", "integer"), ("date", "bigint"), ("integer", "date"),
    ("bigint", "date"), ("double", "date"), ("timestamp", "bigint"), ("timestamp", "integer"), ("bigint", "timestamp"),
    ("integer", "timestamp"), ("timestamp", "double"), ("double", "timestamp"), ("date", "double"),
    ("boolean", "timestamp"),
}  # fmt: skip


def cast(inner: Typed, target: AthenaType, *, safe: bool, node: exp.Expression) -> exp.Expression:
    """Return the DuckDB expression; TYPE_MISMATCH for a pair Trino has no cast for."""
    source = inner.type
    if source is not None and (source.base, target.base) in _NEVER:
        text = f"Cannot cast {source.trino()} to {target.trino()}"
        raise QueryError("TYPE_MISMATCH", text, position=position_of(node))
    return Text(this=_template(source, target, safe), expressions=[inner.node])


def stored(value: str, source: AthenaType, target: AthenaType) -> str:
    """Return DuckDB's text of a value that goes into a column of another type, as CAST would make it."""
    if (
        source.base == target.base
        or target.base in {"varchar", "char"}
        or "unknown" in {source.base, target.base}
    ):
        return f"CAST({value} AS {target.duckdb()})"
    return _template(source, target, False).replace("{0}", value)


def _template(source: AthenaType | None, target: AthenaType, safe: bool) -> str:
    word = "TRY_CAST" if safe else "CAST"
    plain = f"{word}({{0}} AS {target.duckdb()})"
    if source is None:
        return _shortened(plain, target)
    if source.base in {"varchar", "char"} and target.is_integer:
        return _text_to_integer(target, plain, safe)
    if source.base in {"double", "real"} and target.is_integer:
        return f"{word}(round({{0}}) AS {target.duckdb()})"  # DuckDB rounds half to even
    if target.base in {"varchar", "char"}:
        return _shortened(_to_text(source, plain), target)
    both = target.base.startswith("timestamp") and source.base.startswith("timestamp")
    if both and (target.precision or 0) < (source.precision or 0):
        unit = {0: "second", 3: "milliseconds"}.get(target.precision or 0)
        return f"date_trunc('{unit}', {plain})" if unit else plain
    if source.base in {"varchar", "char"} and target.base.startswith("timestamp"):
        read = _text_to_timestamp(target, word)
        if target.precision != _MILLIS:
            return read
        return f"date_trunc('milliseconds', {read} + INTERVAL 500 MICROSECOND)"  # Trino rounds
    if source.base in {"varchar", "json"} and target.base == "json":
        return "to_json({0})" if source.base == "varchar" else "{0}"
    if target.base == "json":
        return "to_json({0})"
    if source.base == "json" and target.base in {"array", "map", "row"}:
        return f"from_json({{0}}, {_json_shape(target)})" if target.base != "map" else plain
    return plain


def _text_to_integer(target: AthenaType, plain: str, safe: bool) -> str:
    """DuckDB reads '1.5' and '1e2' as integers; Trino does not."""
    if safe:
        return f"CASE WHEN regexp_matches({{0}}, '{_INTEGER_TEXT}') THEN {plain} END"
    message = raising("INVALID_CAST_ARGUMENT", f"Cannot cast ''@@'' to {target.trino()}")
    text = message.replace("@@", "' || {0} || '")
    return f"CASE WHEN {{0}} IS NULL OR regexp_matches({{0}}, '{_INTEGER_TEXT}') THEN {plain} ELSE error('{text}') END"


def _text_to_timestamp(target: AthenaType, word: str) -> str:
    """Read what DuckDB does not: a zone, which a timestamp without one leaves out, and offsets like `-0` and ` -00:30`."""
    if target.base == "timestamp":
        text = rf"regexp_replace({{0}}, '{_TIME_BEFORE_ZONE}\s*(?:[+-]\d\d?(?::\d\d)?|[A-Za-z][A-Za-z_/]*)\s*$', '\1')"
    else:
        padded = rf"regexp_replace({{0}}, '{_TIME_BEFORE_ZONE}\s*([+-])(\d(?::\d\d)?\s*)$', '\1\20\3')"
        text = rf"regexp_replace({padded}, '{_TIME_BEFORE_ZONE}\s+([+-]\d\d(?::\d\d)?\s*)$', '\1\2')"
    kind = target.duckdb()
    plain, read = f"TRY_CAST({{0}} AS {kind})", f"{word}({text} AS {kind})"
    if target.base == "timestamp":  # DuckDB would move the time by the offset
        plain = f"CASE WHEN NOT regexp_matches(substr({{0}}, 10), '[+-]') THEN {plain} END"
    return f"coalesce({plain}, {read})"


def _to_text(source: AthenaType, plain: str) -> str:
    if source.base == "timestamp":
        return f"strftime({{0}}, '{_TIMESTAMP_FORMATS.get(source.precision or 0, _TIMESTAMP_FORMATS[6])}')"
    if source.base == "timestamp with time zone":
        shape = _TIMESTAMP_FORMATS.get(source.precision or 0, _TIMESTAMP_FORMATS[6])
        return f"strftime(timezone('UTC', {{0}}), '{shape} UTC')"
    if source.base == "varbinary":
        return "decode({0})"
    if source.base == "json":
        return "json_extract_string({0}, '$')"
    return plain


def _shortened(text: str, target: AthenaType) -> str:
    if target.base in {"varchar", "char"} and target.precision is not None:
        return f"left({text}, {target.precision})"
    return text


def _json_shape(target: AthenaType) -> str:
    def shape(kind: AthenaType) -> str:
        if kind.base == "array":
            return f"[{shape(kind.element)}]"
        if kind.base == "row":
            return "{" + ", ".join(f'"{name}": {shape(item)}' for name, item in kind.fields) + "}"
        return f'"{kind.duckdb()}"'

    return "'" + shape(target).replace("'", "''") + "'"
