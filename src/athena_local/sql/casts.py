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
_INTEGER_TEXT = "^[+-]?[0-9]+$"
_DATE_TEXT = r"^\s*[+-]?\d{4,}-\d{1,2}-\d{1,2}\s*$"
_STAMP_FORMATS = {
    0: "%Y-%m-%d %H:%M:%S",
    3: "%Y-%m-%d %H:%M:%S.%g",
    6: "%Y-%m-%d %H:%M:%S.%f",
    9: "%Y-%m-%d %H:%M:%S.%n",
}
_TIME_BEFORE_ZONE = r"(\d:\d\d(?:\.\d+)?)"
_JAVA_NAMES = {
    "integer": "INT",
    "bigint": "BIGINT",
    "smallint": "SMALLINT",
    "tinyint": "TINYINT",
    "double": "DOUBLE",
    "real": "REAL",
    "boolean": "BOOLEAN",
}


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
        return _plain(node, target)
    if source.fields and source.base == target.base and not _alike(source, target):
        return _nested(node, source, target)
    if target.is_text and source.base != "json":
        return _text(node, source, target)
    if source.is_text:
        return _from_text(node if source.base == "varchar" else padded(node, source), target)
    if source.is_zoned or target.is_zoned:
        return _zoned(node, source, target)
    if source.base == "json" or target.base == "json":
        return _json(node, source, target)
    return _scalar(node, source, target)


def _plain(node: exp.Expression, target: AthenaType) -> exp.Expression:
    text = f"CAST({{0}} AS {target.duckdb()})"
    if target.base == "varchar" and target.precision is not None:
        text = f"left({text}, {target.precision})"
    return Text(this=text, expressions=[node])


def _wrap(text: str, node: exp.Expression) -> exp.Expression:
    return Text(this=text, expressions=[node])


def _refusal(message: str, code: str = "INVALID_CAST_ARGUMENT") -> str:
    """Return what ends the query; in `message` a @ stands for the value's text."""
    before, _, after = message.replace("'", "''").partition("@")
    value = "' || CAST({0} AS VARCHAR) || '" if "@" in message else ""
    return f"trino_fail('ATHENA!{code}!{before}{value}{after}!END')"


def _checked(read: str, message: str, code: str = "INVALID_CAST_ARGUMENT") -> str:
    """Return what `read` gives, or the refusal where it gives NULL for a value that is none."""
    return f"CASE WHEN {{0}} IS NOT NULL THEN coalesce({read}, {_refusal(message, code)}) END"


# numbers, dates and times among themselves


def _scalar(node: exp.Expression, source: AthenaType, target: AthenaType) -> exp.Expression:
    word = target.duckdb()
    if source.base in {"double", "real"} and target.is_integer:
        halves = "CASE WHEN {0} < 0 THEN ceil({0} - 0.5e0) ELSE floor({0} + 0.5e0) END"
        return _wrap(_checked(f"TRY_CAST({halves} AS {word})", f"Cannot cast @ to {target.base}"), node)
    if source.is_integer and target.is_integer and source != target:
        message = f"Out of range for {target.base}: @"
        return _wrap(_checked(f"TRY_CAST({{0}} AS {word})", message, "INVALID_CAST_ARGUMENT"), node)
    if target.base == "decimal" and source != target and source.is_numeric:
        shown = f"DECIMAL({target.precision}, {target.scale})"
        message = f"Cannot cast {_spelled(source)} '@' to {shown}"
        return _wrap(_checked(f"TRY_CAST({{0}} AS {word})", message), node)
    if source.base == "decimal" and target.is_integer:
        message = f"Cannot cast '@' to {_JAVA_NAMES[target.base]}"
        return _wrap(_checked(f"TRY_CAST(round({{0}}) AS {word})", message), node)
    if source.base == target.base == "timestamp":
        return _precise(node, source.precision, target)
    if source.base in {"timestamp", "date"} and target.base == "timestamp":
        return _plain(node, target)
    if source.base.startswith("time") and target.base == "timestamp":
        return _wrap("(current_date + CAST({0} AS TIME))", node)
    if source.base in {"time", "timestamp"} and target.base == "time with time zone":
        return _wrap("CAST(CAST(CAST({0} AS TIME) AS VARCHAR) || '+00' AS TIMETZ)", node)
    if source.base == "ipaddress" or (source.base == "varbinary" and target.base == "ipaddress"):
        return _wrap("trino_ip_from_bytes({0})", node) if target.base == "ipaddress" else node
    if source.base == "uuid" and target.base == "varbinary":
        return _wrap("unhex(replace(CAST({0} AS VARCHAR), '-', ''))", node)
    if source.base == "varbinary" and target.base == "uuid":
        return _wrap("CAST(hex({0}) AS UUID)", node)
    return _plain(node, target) if source != target else node


def _spelled(kind: AthenaType) -> str:
    return f"DECIMAL({kind.precision}, {kind.scale})" if kind.base == "decimal" else kind.base.upper()


def _precise(node: exp.Expression, digits: int | None, target: AthenaType) -> exp.Expression:
    """Round a timestamp to fewer digits, half up, as Trino does."""
    wanted = target.precision if target.precision is not None else 3
    if digits is None or wanted >= digits:
        return _plain(node, target) if (digits or 0) <= 6 < wanted else node
    if wanted >= 6:
        return _wrap("CAST({0} AS TIMESTAMP)", node)
    return _wrap(_rounded("{0}", wanted), node)


def _rounded(value: str, digits: int) -> str:
    step = 10 ** (6 - digits)
    return f"make_timestamp((epoch_us({value}) + {step // 2}) // {step} * {step})"


# timestamps with time zone


def _zoned(node: exp.Expression, source: AthenaType, target: AthenaType) -> exp.Expression:
    if source.is_zoned and target.is_zoned:
        instant = zones.instant(node, source)
        if (target.precision or 0) < min(source.precision or 0, 6):
            utc = _rounded("timezone('UTC', {0})", target.precision or 0)
            instant = _wrap(f"timezone('UTC', {utc})", instant)
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


# text


def _text(node: exp.Expression, source: AthenaType, target: AthenaType) -> exp.Expression:
    shown = as_text(node, source)
    if target.precision is None:
        return shown
    if target.base == "char":
        return _wrap(f"rtrim(left({{0}}, {target.precision}), ' ')", shown)
    if source.is_text or source.base in {"time", "timestamp", "date"}:
        return _wrap(f"left({{0}}, {target.precision})", shown)
    message = f"Value @ cannot be represented as {target.trino()}"
    return _wrap(
        f"CASE WHEN length({{0}}) > {target.precision} THEN {_refusal(message)} ELSE {{0}} END", shown
    )


def as_text(node: exp.Expression, source: AthenaType) -> exp.Expression:
    """Return a value in Trino's text, as CAST(… AS varchar) makes it."""
    digits = source.precision if source.precision is not None else 3
    if source.is_zoned:
        text = f"({_stamp_text(digits)} || ' ' || {{1}})"
        return Text(this=text, expressions=[zones.local(node, source), zones.zone_name(node, source)])
    if source.base == "char":
        return padded(node, source)
    templates = {
        "varchar": "{0}",
        "double": "trino_double_text({0})",
        "real": "trino_real_text({0})",
        "timestamp": _stamp_text(digits),
        "time": f"left(strftime(DATE '2000-01-01' + {{0}}, '%H:%M:%S.%f'), {8 + (digits + 1 if digits else 0)})",
        "time with time zone": f"trino_timetz_text(CAST({{0}} AS VARCHAR), {digits})",
        "ipaddress": "trino_ip_to_text({0})",
        "interval day to second": "trino_day_interval_text(CAST(epoch_ms({0}) AS BIGINT))",
        "interval year to month": (
            "trino_month_interval_text(CAST(datepart('year', {0}) * 12 + datepart('month', {0}) AS BIGINT))"
        ),
    }
    return _wrap(templates.get(source.base, "CAST({0} AS VARCHAR)"), node)


def _stamp_text(digits: int) -> str:
    if digits in _STAMP_FORMATS:
        return f"strftime({{0}}, '{_STAMP_FORMATS[digits]}')"
    return f"left(strftime({{0}}, '{_STAMP_FORMATS[6 if digits < 6 else 9]}'), {20 + min(digits, 9)})"


def _from_text(node: exp.Expression, target: AthenaType) -> exp.Expression:
    word, base = target.duckdb(), target.base
    if target.is_integer:
        read = f"CASE WHEN regexp_matches({{0}}, '{_INTEGER_TEXT}') THEN TRY_CAST({{0}} AS {word}) END"
        return _wrap(_checked(read, f"Cannot cast '@' to {_JAVA_NAMES[base]}"), node)
    if base in {"double", "real"}:
        return _wrap(_checked(f"TRY_CAST({{0}} AS {word})", f"Cannot cast '@' to {_JAVA_NAMES[base]}"), node)
    if base == "boolean":
        read = "CASE WHEN lower({0}) IN ('t', 'true', '1') THEN true WHEN lower({0}) IN ('f', 'false', '0') THEN false END"
        return _wrap(_checked(read, "Cannot cast '@' to BOOLEAN"), node)
    if base == "decimal":
        message = f"Cannot cast VARCHAR '@' to DECIMAL({target.precision}, {target.scale})"
        return _wrap(_checked(f"TRY_CAST({{0}} AS {word})", message), node)
    if base == "date":
        read = f"CASE WHEN regexp_matches({{0}}, '{_DATE_TEXT}') THEN TRY_CAST(trim({{0}}) AS DATE) END"
        return _wrap(_checked(read, "Value cannot be cast to date: @"), node)
    if base == "time":
        read = r"CASE WHEN regexp_matches({0}, '^\s*\d{1,2}:\d{1,2}(:\d{1,2}(\.\d+)?)?\s*$') THEN TRY_CAST("
        read += r"CASE WHEN regexp_matches({0}, '^\s*\d+:\d+\s*$') THEN trim({0}) || ':00' ELSE {0} END AS TIME) END"
        return _wrap(_checked(read, "Value cannot be cast to time: @"), node)
    if base == "time with time zone":
        return _wrap("CAST(trino_parse_timetz({0}) AS TIMETZ)", node)
    if base == "timestamp":
        return _wrap(_text_to_timestamp(target), node)
    if target.is_zoned:
        zoned = _wrap("trino_parse_zoned({0})", node)
        return zoned if target.zone == BY_ROW else zones.instant(zoned, target.in_zone(BY_ROW))
    if base == "uuid":
        return _wrap(_checked("TRY_CAST({0} AS UUID)", "Cannot cast value to UUID: @"), node)
    if base == "ipaddress":
        return _wrap("trino_ip_from_text({0})", node)
    if base == "varbinary":
        return _wrap("encode({0})", node)
    if base == "json":
        return _wrap("to_json({0})", node)
    return _plain(node, target)


def _text_to_timestamp(target: AthenaType) -> str:
    """Read what DuckDB does not: a zone, which a timestamp without one leaves out, and offsets like `-0`."""
    text = rf"regexp_replace({{0}}, '{_TIME_BEFORE_ZONE}\s*(?:[+-]\d\d?(?::\d\d)?|[A-Za-z][A-Za-z_/]*)\s*$', '\1')"
    kind = target.duckdb()
    plain = f"CASE WHEN NOT regexp_matches(substr({{0}}, 10), '[+-]') THEN TRY_CAST({{0}} AS {kind}) END"
    read = f"coalesce({plain}, TRY_CAST({text} AS {kind}))"
    if (target.precision or 0) < 6:
        read = _rounded(read, target.precision or 0)
    return _checked(read, "Value cannot be cast to timestamp: @")


# JSON


def _json(node: exp.Expression, source: AthenaType, target: AthenaType) -> exp.Expression:
    if target.base == "json":
        return node if source.base == "json" else as_json(node, source)
    if target.is_text:
        scalar = "json_type({0}) NOT IN ('OBJECT', 'ARRAY')"
        refused = _refusal("Cannot cast '@' to varchar")
        text = f"CASE WHEN json_type({{0}}) = 'NULL' THEN NULL WHEN {scalar} THEN json_extract_string({{0}}, '$')"
        return _wrap(f"{text} WHEN {{0}} IS NOT NULL THEN {refused} END", node)
    if target.fields:
        return _json_nested(node, target)
    message = f"Cannot cast '@' to {target.trino()}"
    value = "json_extract_string({0}, '$')"
    read = f"TRY_CAST({value} AS {target.duckdb()})"
    if target.is_integer:
        read = f"TRY_CAST(round(TRY_CAST({value} AS DECIMAL(38, 6))) AS {target.duckdb()})"
        read = f"CASE json_type({{0}}) WHEN 'BOOLEAN' THEN CASE WHEN {value} = 'true' THEN 1 ELSE 0 END ELSE {read} END"
    return _wrap(f"CASE WHEN json_type({{0}}) <> 'NULL' THEN coalesce({read}, {_refusal(message)}) END", node)


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
        return _wrap("to_json({0})", as_text(node, source))
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
    return _wrap("to_json({0})", node)


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
