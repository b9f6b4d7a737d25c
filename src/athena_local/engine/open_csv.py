"""OpenCSVSerde: every line is a record, quotes and escapes as opencsv's parser has them, values of other types by its rules.

A line that never closes its quote loses that field, as on Athena. Files in which all quoting is regular are read by DuckDB;
the others are split here, line by line, by the same rules that Trino took over from opencsv.
"""

from __future__ import annotations

import re
from functools import lru_cache

from athena_local.engine import values
from athena_local.engine.errors import raising
from athena_local.engine.formats import Format
from athena_local.engine.values import literal
from athena_local.errors import QueryError
from athena_local.types import Column


@lru_cache(maxsize=64)
def _regular(separator: str, quote: str) -> re.Pattern[bytes]:
    s, q = re.escape(separator.encode()), re.escape(quote.encode())
    field = b"(?:[^" + s + q + rb"\r\n]*+|" + q + b"(?:[^" + q + rb"\r\n]|" + q + q + b")*+" + q + b")"
    return re.compile(field + b"(?:" + s + field + rb")*+\r?\n?")


def is_regular(data: bytes, form: Format) -> bool:
    """Tell whether DuckDB's reader splits a file as opencsv does: quotes around whole fields, no escape character."""
    quote = form.quote.encode()
    if form.escape and data.find(form.escape.encode()) >= 0:
        return False
    if not form.quote.isascii() or not form.delimiter.isascii():
        return False
    if data.find(quote) < 0:
        return True
    matches = _regular(form.delimiter, form.quote).fullmatch
    return all(matches(line) for line in data.splitlines(keepends=True) if quote in line)


def split(line: str, form: Format, width: int) -> list[str | None]:
    """Return a line's fields, NULL for those that are missing; an empty line has none at all."""
    fields: list[str | None] = []
    if not line:
        return [None] * width
    separator, quote, escape = form.delimiter, form.quote, form.escape
    buffer: list[str] = []
    in_quotes = in_field = False
    position, length = 0, len(line)
    while position < length and len(fields) < width:
        character = line[position]
        following = line[position + 1] if position + 1 < length else ""
        if character == escape:
            if (in_quotes or in_field) and following in {quote, escape} and following:
                buffer.append(following)
                position += 1
        elif character == quote:
            if (in_quotes or in_field) and following == quote:
                buffer.append(quote)
                position += 1
            else:
                # a quote inside an unquoted field is itself, unless only blanks were before it
                if position > 2 and line[position - 1] != separator and following not in {"", separator}:
                    if buffer and not "".join(buffer).strip():
                        buffer.clear()
                    else:
                        buffer.append(quote)
                in_quotes = not in_quotes
            in_field = not in_field
        elif character == separator and not in_quotes:
            fields.append("".join(buffer))
            buffer.clear()
            in_field = False
        else:
            buffer.append(character)
            in_field = True
        position += 1
    if len(fields) < width and not in_quotes:
        fields.append("".join(buffer))
    return fields + [None] * (width - len(fields))


def value(column: Column, text: str, index: int, form: Format) -> str:
    """Return the SQL of a column's value: dates are days and timestamps milliseconds since 1970; what is neither fails."""
    kind = column.type
    if kind.base in {"varchar", "char"}:
        return values.shortened(text, kind)
    if kind.base == "boolean":
        return f"lower({text}) = 'true'"
    if kind.is_integer:
        parsed = f"CASE WHEN {values.only(text, values.DIGITS)} THEN TRY_CAST({text} AS {kind.duckdb()}) END"
    elif kind.base in {"real", "double"}:
        parsed = values.floating(text, kind)
    elif kind.base == "decimal":
        parsed = values.decimal(text, kind)
    elif kind.base == "date":
        parsed = f"(DATE '1970-01-01' + TRY_CAST({text} AS INTEGER))"
    elif kind.base == "timestamp":
        parsed = f"make_timestamp(TRY_CAST({text} AS BIGINT) * 1000)"
    else:
        text = f"Unsupported column type for OpenCSVSerde: {kind.trino()} of column {column.name}"
        raise QueryError("NOT_SUPPORTED", text)
    if form.null_for_invalid:
        return parsed
    wrong = f"Error parsing field value '@@' for field {index}: For input string: \"@@\""
    message = literal(raising("HIVE_BAD_DATA", wrong)).replace("@@", f"' || {text} || '")
    return f"CASE WHEN {text} IS NULL THEN NULL WHEN {parsed} IS NULL THEN error({message}) ELSE {parsed} END"
