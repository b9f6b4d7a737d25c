"""CAST and TRY_CAST as Trino does them, where DuckDB would round, trim, spell or refuse differently."""

from __future__ import annotations

import re

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql import zones
from athena_local.sql.coercion import coerced, padded
from athena_local.sql.dialect import Text
from athena_local.sql.places import word_position
from athena_local.sql.scope import Typed
from athena_local.sql.text_casts import (
    JAVA_NAMES,
    as_text,
    checked,
    from_text,
    plain,
    refusal,
    rounded,
    to_text,
    wrap,
)
from athena_local.types import BY_ROW, VARCHAR, AthenaType

_INTEGERS = {"tinyint", "smallint", "integer", "bigint"}
_NUMBERS = _INTEGERS | {"real", "double", "decimal"}
_SCALARS = {"boolean", *_NUMBERS, "varchar", "char", "json"}
# what Trino has a cast for, by base types; containers are compared field by field
_CASTS: dict[str, set[str]] = {
    "boolean": _SCALARS,
    **dict.fromkeys(_NUMBERS, _SCALARS),
    "varchar": _SCALARS
    | {
        "varbinary", "date", "time", "time with time zone", "timestamp", "timestamp with time zone", "uuid", "ipaddress",
    },
    "varbinary": {"ipaddress", "uuid"},
    "date": {"timestamp", "timestamp with time zone", "varchar", "char", "json"},
    "time": {"time with time zone", "timestamp", "timestamp with time zone", "varchar", "char"},
    "time with time zone": {"time", "timestamp", "timestamp with time zone", "varchar", "char"},
    "timestamp": {"date", "time", "time with time zone", "timestamp with time zone", "varchar", "char", "json"},
    "timestamp with time zone": {"date", "time", "time with time zone", "timestamp", "varchar", "char"},
    "interval day to second": {"varchar", "char"},
    "interval year to month": {"varchar", "char"},
    "json": {"boolean", *_NUMBERS, "varchar", "array", "map", "row"},
    "uuid": {"varchar", "char", "varbinary"},
    "ipaddress": {"varchar", "char", "varbinary"},
    "array": {"json"},
    "map": {"json"},
    "row": {"json"},
}  # fmt: skip
_CASTS["char"] = _CASTS["varchar"]


def castable(source: AthenaType, target: AthenaType) -> bool:
    """Whether Trino has a cast, for some value at least."""
    if "unknown" in {source.base, target.base}:
        return True
    if source.base == target.base and source.fields:
        return len(source.fields) == len(target.fields) and all(
            castable(one, other) for (_, one), (_, other) in zip(source.fields, target.fields, strict=True)
        )
    return source.base == target.base or target.base in _CASTS.get(source.base, set())


def cast(inner: Typed, target: AthenaType, *, safe: bool, node: exp.Expression) -> exp.Expression:
    """Return the DuckDB expression; TYPE_MISMATCH for a pair Trino has no cast for."""
    source = inner.type
    if source is not None and not castable(source, target):
        text = f"Cannot cast {source.trino()} to {target.trino()}"
        raise QueryError("TYPE_MISMATCH", text, position=word_position(node, "CAST", "TRY_CAST"))
    made = converted(inner.node, source, target)
    if not safe:
        return made
    if source is None or source.fields or target.fields:  # one element that fails makes the whole NULL
        return Text(this="TRY({0})", expressions=[made])
    return _lenient(made, inner.node)


_FAILURE = re.compile(r"trino_fail\((?:CAST\([^()]*\)|'(?:[^']|'')*'|[^'()])*\)")
_MAY_FAIL = re.compile(r"trino_(?:parse|ip)_")


def _lenient(made: exp.Expression, inner: exp.Expression) -> exp.Expression:
    """Return the conversion with NULL where it would end the query; what fails in the value itself still does."""
    guarded = False
    for item in made.walk(prune=lambda node: node is inner):
        if isinstance(item, Text) and item is not inner:
            text = _FAILURE.sub("NULL", str(item.this))
            item.set("this", text)
            guarded = guarded or _MAY_FAIL.search(text) is not None
    return Text(this="TRY({0})", expressions=[made]) if guarded else made


def stored(value: str, source: AthenaType, target: AthenaType) -> str:
    """Return DuckDB's text of a value that goes into a column of another type, as CAST would make it."""
    from athena_local.sql.dialect import DuckDBText

    if source.is_text and target.is_text and target.precision is not None:
        return _fitting(value, source, target)
    if source.base != target.base and target.is_text and "unknown" not in {source.base}:
        return f"CAST({value} AS {target.duckdb()})"
    return converted(Text(this=value), source, target.stored()).sql(dialect=DuckDBText)


def _fitting(value: str, source: AthenaType, target: AthenaType) -> str:
    """Text too long for its column is refused, never cut: INSERT is no CAST. Spaces at the end may go."""
    if source.precision is not None and source.precision <= target.precision:  # type: ignore[operator]
        return f"CAST({value} AS VARCHAR)"
    text = f"Cannot truncate non-space characters when casting from {source.trino()} to {target.trino()} on INSERT"
    refused = f"trino_fail('ATHENA!INVALID_CAST_ARGUMENT!{text}!END')"
    kept = f"left({value}, {target.precision})"
    return f"CASE WHEN length(rtrim({value}, ' ')) > {target.precision} THEN {refused} ELSE {kept} END"


def converted(node: exp.Expression, source: AthenaType | None, target: AthenaType) -> exp.Expression:
    """Return the expression as `target`. What has no conversion of its own is DuckDB's CAST."""
    if source is None or source.base == "unknown":
        return plain(node, target)
    if source.fields and source.base == target.base and not _alike(source, target):
        return _nested(node, source, target)
    if target.is_text and source.base != "json":
        return to_text(node, source, target)
    if source.is_text:
        return from_text(node if source.base == "varchar" else padded(node, source), target)
    if source.is_zoned or target.is_zoned:
        return _zoned(node, source, target)
    if source.base == "json" or target.base == "json":
        return _json(node, source, target)
    return _scalar(node, source, target)


# numbers, dates and times among themselves


def _scalar(node: exp.Expression, source: AthenaType, target: AthenaType) -> exp.Expression:
    word = target.duckdb()
    if source.base in {"double", "real"} and target.is_integer:
        halves = "CASE WHEN {0} < 0 THEN ceil({0} - 0.5e0) ELSE floor({0} + 0.5e0) END"
        return wrap(checked(f"TRY_CAST({halves} AS {word})", f"Cannot cast @ to {target.base}"), node)
    if source.is_integer and target.is_integer and source != target:
        message = f"Out of range for {target.base}: @"
        return wrap(checked(f"TRY_CAST({{0}} AS {word})", message, "INVALID_CAST_ARGUMENT"), node)
    if target.base == "decimal" and source != target and source.is_numeric:
        shown = f"DECIMAL({target.precision}, {target.scale})"
        message = f"Cannot cast {_spelled(source)} '@' to {shown}"
        return wrap(checked(f"TRY_CAST({{0}} AS {word})", message), node)
    if source.base == "decimal" and target.is_integer:
        message = f"Cannot cast '@' to {JAVA_NAMES[target.base]}"
        return wrap(checked(f"TRY_CAST(round({{0}}) AS {word})", message), node)
    if source.base == target.base == "timestamp":
        return _precise(node, source.precision, target)
    if source.base in {"timestamp", "date"} and target.base == "timestamp":
        return plain(node, target)
    if source.base.startswith("time") and target.base == "timestamp":
        return wrap("(current_date + CAST({0} AS TIME))", node)
    if source.base in {"time", "timestamp"} and target.base == "time with time zone":
        return wrap("CAST(CAST(CAST({0} AS TIME) AS VARCHAR) || '+00' AS TIMETZ)", node)
    if source.base == "ipaddress" or (source.base == "varbinary" and target.base == "ipaddress"):
        return wrap("trino_ip_from_bytes({0})", node) if target.base == "ipaddress" else node
    if source.base == "uuid" and target.base == "varbinary":
        return wrap("unhex(replace(CAST({0} AS VARCHAR), '-', ''))", node)
    if source.base == "varbinary" and target.base == "uuid":
        return wrap("CAST(hex({0}) AS UUID)", node)
    return plain(node, target) if source != target else node


def _spelled(kind: AthenaType) -> str:
    return f"DECIMAL({kind.precision}, {kind.scale})" if kind.base == "decimal" else kind.base.upper()


def _precise(node: exp.Expression, digits: int | None, target: AthenaType) -> exp.Expression:
    """Round a timestamp to fewer digits, half up, as Trino does."""
    wanted = target.precision if target.precision is not None else 3
    if digits is None or wanted >= digits:
        return plain(node, target) if (digits or 0) <= 6 < wanted else node
    if wanted >= 6:
        return wrap("CAST({0} AS TIMESTAMP)", node)
    return wrap(rounded("{0}", wanted), node)


# timestamps with time zone


def _zoned(node: exp.Expression, source: AthenaType, target: AthenaType) -> exp.Expression:
    if source.is_zoned and target.is_zoned:
        instant = zones.instant(node, source)
        if (target.precision or 0) < min(source.precision or 0, 6):
            utc = rounded("timezone('UTC', {0})", target.precision or 0)
            instant = wrap(f"timezone('UTC', {utc})", instant)
        if target.zone != BY_ROW:
            return instant
        return zones.zoned_by_row(instant, zones.zone_name(node, source))
    if source.is_zoned:
        local = zones.local(node, source)
        plain = AthenaType("timestamp", source.precision)
        if target.base == "time with time zone":
            seconds = Text(this="(epoch({0}) - epoch({1}))", expressions=[local, zones.instant(node, source)])
            text = "CAST(CAST(CAST({0} AS TIME) AS VARCHAR) || printf('%s%02d:%02d',"
            text += " CASE WHEN {1} < 0 THEN '-' ELSE '+' END, CAST(abs({1}) // 3600 AS INTEGER),"
            text += " CAST(abs({1}) % 3600 // 60 AS INTEGER)) AS TIMETZ)"
            return Text(this=text, expressions=[local, seconds])
        return _scalar(local, plain, target)
    if source.base == "date":
        return coerced(node, source, target)
    moment = _scalar(node, source, AthenaType("timestamp", source.precision))
    if (target.precision or 0) < (source.precision or 0):
        moment = _precise(moment, source.precision, AthenaType("timestamp", target.precision))
    return coerced(moment, AthenaType("timestamp", target.precision), target)


# JSON


def _json(node: exp.Expression, source: AthenaType, target: AthenaType) -> exp.Expression:
    if target.base == "json":
        return node if source.base == "json" else as_json(node, source)
    if target.is_text:
        scalar = "json_type({0}) NOT IN ('OBJECT', 'ARRAY')"
        refused = refusal("Cannot cast '@' to varchar")
        text = f"CASE WHEN json_type({{0}}) = 'NULL' THEN NULL WHEN {scalar} THEN json_extract_string({{0}}, '$')"
        return wrap(f"{text} WHEN {{0}} IS NOT NULL THEN {refused} END", node)
    if target.fields:
        return _json_nested(node, target)
    message = f"Cannot cast '@' to {target.trino()}"
    value = "json_extract_string({0}, '$')"
    read = f"TRY_CAST({value} AS {target.duckdb()})"
    if target.is_integer:
        read = f"TRY_CAST(round(TRY_CAST({value} AS DECIMAL(38, 6))) AS {target.duckdb()})"
        read = f"CASE json_type({{0}}) WHEN 'BOOLEAN' THEN CASE WHEN {value} = 'true' THEN 1 ELSE 0 END ELSE {read} END"
    return wrap(f"CASE WHEN json_type({{0}}) <> 'NULL' THEN coalesce({read}, {refusal(message)}) END", node)


def _json_nested(node: exp.Expression, target: AthenaType) -> exp.Expression:
    """Arrays, maps and rows: each part a JSON value first, then cast as one."""
    json = AthenaType("json")
    if target.base == "array":
        item = converted(Text(this='"_j"'), json, target.element)
        text = "CASE WHEN json_type({0}) <> 'NULL' THEN list_transform(CAST({0} AS JSON[]), LAMBDA \"_j\" : {1}) END"
        return Text(this=text, expressions=[node, item])
    if target.base == "map":
        key = converted(Text(this='"_j".key'), VARCHAR, target.key)
        value = converted(Text(this='"_j".value'), json, target.value)
        text = (
            "CASE WHEN json_type({0}) <> 'NULL' THEN map_from_entries(list_transform(map_entries("
            "CAST({0} AS MAP(VARCHAR, JSON))), LAMBDA \"_j\" : {'key': {1}, 'value': {2}})) END"
        )
        return Text(this=text, expressions=[node, key, value])
    pieces, nodes = [], [node]
    for index, (name, kind) in enumerate(target.fields):
        by_name = f"json_extract({{0}}, '$.\"{name.replace(chr(39), chr(39) * 2)}\"')" if name else "NULL"
        found = (
            f"CASE json_type({{0}}) WHEN 'ARRAY' THEN json_extract({{0}}, '$[{index}]') ELSE {by_name} END"
        )
        nodes.append(converted(Text(this=f"({found})", expressions=[node]), json, kind))
        pieces.append(f"{_key(name, index)}: {{{index + 1}}}")
    text = f"CASE WHEN json_type({{0}}) <> 'NULL' THEN {{{', '.join(pieces)}}} END"
    return Text(this=text, expressions=nodes)


def as_json(node: exp.Expression, source: AthenaType) -> exp.Expression:
    if source.base in {"date", "timestamp"}:
        return wrap("to_json({0})", as_text(node, source))
    if source.base == "array" and _needs_json(source.element):
        item = as_json(Text(this='"_j"'), source.element)
        return Text(this='to_json(list_transform({0}, LAMBDA "_j" : {1}))', expressions=[node, item])
    if source.base == "row":
        pieces, nodes = [], [node]
        for index, (name, kind) in enumerate(source.fields):
            nodes.append(as_json(_field(node, name, index), kind))
            pieces.append(f"'{name.replace(chr(39), chr(39) * 2)}', {{{index + 1}}}")
        return Text(
            this=f"CASE WHEN {{0}} IS NOT NULL THEN json_object({', '.join(pieces)}) END", expressions=nodes
        )
    return wrap("to_json({0})", node)


def _needs_json(kind: AthenaType) -> bool:
    return kind.base in {"date", "timestamp", "row"} or any(_needs_json(inner) for _, inner in kind.fields)


# arrays, maps and rows


def _alike(source: AthenaType, target: AthenaType) -> bool:
    """Whether DuckDB's own CAST does what Trino's does, all the way down."""
    if source == target and source.zone_by_row == target.zone_by_row:
        return all(one == other for (one, _), (other, _) in zip(source.fields, target.fields, strict=True))
    return False


def _nested(node: exp.Expression, source: AthenaType, target: AthenaType) -> exp.Expression:
    if source.base == "array":
        item = converted(Text(this='"_c"'), source.element, target.element)
        return Text(this='list_transform({0}, LAMBDA "_c" : {1})', expressions=[node, item])
    if source.base == "map":
        key = converted(Text(this='"_c".key'), source.key, target.key)
        value = converted(Text(this='"_c".value'), source.value, target.value)
        text = (
            "map_from_entries(list_transform(map_entries({0}), LAMBDA \"_c\" : {'key': {1}, 'value': {2}}))"
        )
        return Text(this=text, expressions=[node, key, value])
    pieces, nodes = [], [node]
    pairs = zip(source.fields, target.fields, strict=True)
    for index, ((name, kind), (wanted_name, wanted)) in enumerate(pairs):
        nodes.append(converted(_field(node, name, index), kind, wanted))
        pieces.append(f"{_key(wanted_name, index)}: {{{index + 1}}}" if wanted_name else f"{{{index + 1}}}")
    body = (
        "{" + ", ".join(pieces) + "}"
        if all(name for name, _ in target.fields)
        else f"row({', '.join(pieces)})"
    )
    return Text(this=f"CASE WHEN {{0}} IS NOT NULL THEN {body} END", expressions=nodes)


def _key(name: str, index: int) -> str:
    return "'" + (name or f"field{index}").replace("'", "''") + "'"


def _field(node: exp.Expression, name: str, index: int) -> exp.Expression:
    key = "'" + name.replace("'", "''") + "'" if name else str(index + 1)
    return Text(this=f"struct_extract({{0}}, {key})", expressions=[node])
