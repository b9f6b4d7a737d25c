"""DuckDB's errors in Athena's codes.

Generated SQL raises its own with `error('ATHENA!CODE!text')`, which comes back here word for word. What cannot be told
apart by class or text is ours to mend and is GENERIC_INTERNAL_ERROR.
"""

from __future__ import annotations

import re
from pathlib import Path

import duckdb

from athena_local.engine.lines import first_bad_json
from athena_local.errors import OTHER, SYSTEM, QueryError

_OWN = re.compile(r"ATHENA!(\w+)!(.*?)(?:!END|$)", re.DOTALL)
_CAST = re.compile(r"Could not convert (?:string|VARCHAR) '(.*)' to ([\w(), ]+)", re.IGNORECASE)
_FUNCTION = re.compile(
    r"(?:No function matches the given name and argument types|Scalar Function with name) '?([\w!]+)"
)
_NOT_GROUPED = re.compile(r'column "([^"]+)" must appear in the GROUP BY clause')
_OVERFLOW = re.compile(r"Overflow in (\w+) of (INT\d+) \((.+)\)")
_INTEGER_NAMES = {"INT8": "tinyint", "INT16": "smallint", "INT32": "integer", "INT64": "bigint"}
_MALFORMED = re.compile(r'Malformed JSON in file "([^"]+)"')
_LINE = re.compile(r", in line \d+")  # DuckDB's count leaves out empty lines
_NO_SPILL = re.compile(
    r"No space left|Could not write|Failed to create directory|max_temp_directory_size|/spill\b"
)
_USED = re.compile(r"\(([\d.]+ \w+/[\d.]+ \w+) used\)")
_OUT_OF_RANGE = ("out of range", "overflow")


def raising(code: str, text: str) -> str:
    """Return the message that `error()` must carry to end the query with `code`."""
    return f"ATHENA!{code}!{text}!END"


def unwrap(error: Exception) -> duckdb.Error:
    """Return the DuckDB error behind what Arrow's reader raised (it keeps only the text)."""
    if isinstance(error, duckdb.Error):
        return error
    text = str(error)
    for word, kind in (
        ("INTERRUPT", duckdb.InterruptException),
        ("Conversion", duckdb.ConversionException),
        ("Out of Range", duckdb.OutOfRangeException),
        ("Out of Memory", duckdb.OutOfMemoryException),
    ):
        if word in text:
            return kind(text)
    return duckdb.Error(text)


def translate(error: duckdb.Error, names: dict[str, str] | None = None) -> QueryError:
    """Return the error as Athena has it. `names`: local file -> the object that the reader of the message knows."""
    text = str(error)
    malformed = _MALFORMED.search(text)
    if malformed and names and malformed.group(1) in names:
        return _bad_json(Path(malformed.group(1)), names[malformed.group(1)])
    for local, name in (names or {}).items():
        text = text.replace(local, name)
    own = _OWN.search(text)
    if own:
        return QueryError(own.group(1), own.group(2))
    if "Malformed JSON in file" in text or "JSON transform error in file" in text:
        detail = _LINE.sub("", text.split("\n", 1)[0]).removeprefix("Invalid Input Error: ").rstrip(" .")
        return QueryError("HIVE_BAD_DATA", f"Row is not a valid JSON Object - {detail}")
    if "CSV Error on Line" in text:
        return QueryError("HIVE_BAD_DATA", f"Error reading text file: {' '.join(text.split())[:300]}")
    if "Map keys must be unique" in text:
        return QueryError("INVALID_FUNCTION_ARGUMENT", "Duplicate map keys are not allowed")
    if "Division by zero" in text:
        return QueryError("DIVISION_BY_ZERO", "Division by zero")
    if "More than one row returned by a subquery" in text:
        return QueryError("SUBQUERY_MULTIPLE_ROWS", "Scalar sub-query has returned multiple rows")
    if "Max expression depth limit" in text:
        return QueryError("STACK_OVERFLOW", "statement is too large (stack overflow during analysis)")
    if "Recursion level in ArrowSchema" in text:
        return QueryError(
            "NOT_SUPPORTED", "Values nested deeper than 64 levels are not supported by this server"
        )
    first_line = text.split("\n", 1)[0]
    detail = first_line.split(": ", 1)[-1].strip()
    if isinstance(error, (duckdb.IOException, duckdb.OutOfMemoryException)) and _NO_SPILL.search(text):
        told = f"No free space available for spill: {first_line.split(': ', 1)[-1]}"
        return QueryError("OUT_OF_SPILL_SPACE", told, category=OTHER)
    if isinstance(error, duckdb.OutOfMemoryException):
        return _exhausted(text)
    if isinstance(error, duckdb.ConversionException):
        cast = _CAST.search(text)
        if cast:
            target = cast.group(2).strip().lower()
            return QueryError("INVALID_CAST_ARGUMENT", f"Cannot cast '{cast.group(1)}' to {_trino(target)}")
        if any(word in text for word in _OUT_OF_RANGE):
            return QueryError("NUMERIC_VALUE_OUT_OF_RANGE", detail)
        return QueryError("INVALID_CAST_ARGUMENT", detail)
    if isinstance(error, duckdb.OutOfRangeException):
        overflow = _OVERFLOW.search(text)
        if overflow:
            kind = _INTEGER_NAMES.get(overflow.group(2), "bigint")
            detail = f"{kind} {overflow.group(1)} overflow: {overflow.group(3)}"
        return QueryError("NUMERIC_VALUE_OUT_OF_RANGE", detail)
    if isinstance(error, duckdb.BinderException):
        function = _FUNCTION.search(text)
        if function:
            return QueryError(
                "FUNCTION_NOT_FOUND", f"Unexpected parameters for function {function.group(1)}: {detail}"
            )
        grouped = _NOT_GROUPED.search(text)
        if grouped:
            message = f"'{grouped.group(1)}' must be an aggregate expression or appear in GROUP BY clause"
            return QueryError("EXPRESSION_NOT_AGGREGATE", message)
        return QueryError("TYPE_MISMATCH", detail)
    if isinstance(error, duckdb.InvalidInputException):
        return QueryError("INVALID_FUNCTION_ARGUMENT", detail)
    if isinstance(error, duckdb.IOException):
        return QueryError("HIVE_CANNOT_OPEN_SPLIT", detail, category=OTHER)
    return QueryError("GENERIC_INTERNAL_ERROR", detail, category=SYSTEM)


def _exhausted(text: str) -> QueryError:
    used = _USED.search(text)
    where = f" ({used.group(1)} in use)" if used else ""
    told = f"Query exhausted resources at this scale factor: its part of --memory is full{where} and cannot be spilled"
    return QueryError("EXCEEDED_LOCAL_MEMORY_LIMIT", told, category=OTHER)


def _bad_json(local: Path, name: str) -> QueryError:
    found = first_bad_json(local)
    where, why = (f" at line {found[0]}", f": {found[1]}") if found else ("", "")
    return QueryError(
        "HIVE_BAD_DATA", f"Row is not a valid JSON Object - malformed JSON in file {name}{where}{why}"
    )


def _trino(duckdb_type: str) -> str:
    from athena_local.types import parse_type

    name = {
        "int32": "integer",
        "int64": "bigint",
        "int16": "smallint",
        "int8": "tinyint",
        "float": "real",
    }.get(duckdb_type, duckdb_type)
    try:
        return parse_type(name).trino()
    except ValueError:
        return duckdb_type
