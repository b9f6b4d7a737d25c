"""LazySimpleSerDe's values: text split by one separator a level of nesting, `\\N` for NULL, NULL for what does not parse.

An escaped character stands in the prepared file as a character of its own (see `lines.ESCAPED`), so that no separator is
mistaken; it becomes itself again here, at the leaves.
"""

from __future__ import annotations

from athena_local.engine import values
from athena_local.engine.formats import Format
from athena_local.engine.lines import ESCAPED, with_escapes
from athena_local.engine.values import literal
from athena_local.errors import QueryError
from athena_local.types import AthenaType


def value(kind: AthenaType, text: str, form: Format, escaped: str = "", level: int = 1) -> str:
    """Return the SQL of a value, given that of its text.

    escaped: the characters that the file has escaped. level: of the separator that splits this value, if it is nested.
    """
    if kind.base in {"varchar", "char"}:
        return values.shortened(_unescaped(text, escaped), kind)
    if kind.base == "boolean":
        return values.boolean(text)
    if kind.is_integer:
        return values.integer(text, kind)
    if kind.base in {"real", "double"}:
        return values.floating(text, kind)
    if kind.base == "decimal":
        return values.decimal(text, kind)
    if kind.base == "date":
        return values.date(text)
    if kind.base == "timestamp":
        return values.timestamp(text, form.timestamp_formats)
    if kind.base == "varbinary":
        return f"from_base64({text})"
    if kind.base in {"array", "map", "row"}:
        return _nested(kind, text, form, escaped, level)
    raise QueryError("NOT_SUPPORTED", f"Unsupported Hive type: {kind.trino()}")


def _unescaped(text: str, escaped: str) -> str:
    if not escaped:
        return text
    marks = "".join(chr(ESCAPED + ord(character)) for character in escaped)
    return f"translate({text}, {literal(marks)}, {literal(escaped)})"


def _separator(form: Format, level: int) -> str:
    if level >= len(form.separators):
        text = f"Number of levels of nesting supported for LazySimpleSerde is {len(form.separators) - 1}"
        raise QueryError("HIVE_INVALID_METADATA", text)
    return literal(form.separators[level])


def _nested(kind: AthenaType, text: str, form: Format, escaped: str, level: int) -> str:
    item = f"_item{level}"
    null = literal(with_escapes(form.null, form.escape))
    parts = f"string_split({text}, {_separator(form, level)})"
    if kind.base == "array":
        inner = value(kind.element, f"nullif({item}, {null})", form, escaped, level + 1)
        return f"CASE {text} WHEN '' THEN [] ELSE list_transform({parts}, LAMBDA {item} : {inner}) END"
    if kind.base == "row":
        fields = ", ".join(
            f'"{name}" := ' + value(field, f"nullif({parts}[{index}], {null})", form, escaped, level + 1)
            for index, (name, field) in enumerate(kind.fields, start=1)
        )
        return f"CASE WHEN {text} IS NOT NULL THEN struct_pack({fields}) END"
    mark = _separator(form, level + 1)
    key_text = f"nullif(split_part({item}, {mark}, 1), {null})"
    place = f"strpos({item}, {mark})"
    value_text = f"CASE WHEN {place} > 0 THEN nullif(substr({item}, {place} + 1), {null}) END"
    key = value(kind.key, key_text, form, escaped, level + 2)
    held = value(kind.value, value_text, form, escaped, level + 2)
    keys = f"list_transform({parts}, LAMBDA {item} : {key})"
    pairs = f"list_transform({parts}, LAMBDA {item} : row({key}, {held}))"
    is_first = f"{item}[1] IS NOT NULL AND list_position({keys}, {item}[1]) = _at{level}"
    first = f"list_filter({pairs}, LAMBDA {item}, _at{level} : {is_first})"
    empty = f"CAST(MAP {{}} AS {kind.duckdb()})"
    return f"CASE {text} WHEN '' THEN {empty} ELSE map_from_entries({first}) END"
