"""The slow, exact check: line by line, column by column, for blocks in which the fast one saw something odd.

It names every fault with its line and value, and says which rows are good. About 300,000 rows a second.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from penstock.landing.faults import Fault, Faults
from penstock.landing.normalize import Normalizer
from penstock.landing.reading import Block
from penstock.sources.declaration import Column, Table

_INTEGER = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ODD = re.compile(rb'["\\\r]')  # what a normalizer may have to alter inside a line
_INTEGER_BOUNDS = {"int": 2**31, "bigint": 2**63}

NULL_MARK = "\\N"

Value = int | float | date | str | None


class FieldError(ValueError):
    """A field cannot be taken; the text says why, to follow the quoted value."""


@dataclass(frozen=True)
class GoodRow:
    line: int
    key: tuple[Value, ...]


def rows(table: Table, file: str, block: Block, faults: Faults) -> Iterator[GoodRow]:
    """Yield the rows without a fault of a block's lines (the header must be cut off); faults go to `faults`."""
    normalizer = Normalizer(table)
    key = [table.position(name) for name in table.key]
    lines = block.data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for number, raw in enumerate(lines, block.line):
        line = normalizer.normal(raw)[:-1] if _ODD.search(raw) else raw
        if not line:
            continue
        before = faults.count
        values = _values(table, file, number, line, faults)
        if faults.count == before:
            yield GoodRow(number, tuple(values[index] for index in key))


def _values(table: Table, file: str, number: int, line: bytes, faults: Faults) -> list[Value]:
    """Return the line's values; where there is a fault it is added and what is returned is of no use."""

    def fault(column: str, value: str, problem: str) -> None:
        faults.add(Fault(file, number, column, value, problem))

    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        place = line[: error.start].count(table.delimiter.encode())
        column = table.columns[place].name if place < len(table.columns) else ""
        field = line.split(table.delimiter.encode())[place].decode("utf-8", "backslashreplace")
        fault(column, field, "is not UTF-8")
        return []
    if found := _stray(text):
        place, value, problem = found
        index = text[:place].count(table.delimiter)
        named = index < len(table.columns)
        fault(
            table.columns[index].name if named else "", value or text.split(table.delimiter)[index], problem
        )
        return []
    fields = text.split(table.delimiter)
    if len(fields) != len(table.columns):
        fault(
            "",
            text,
            f"has {len(fields)} field{'s' if len(fields) != 1 else ''} instead of {len(table.columns)}",
        )
        return []
    values: list[Value] = []
    before = faults.count
    for declared, field in zip(table.columns, fields, strict=True):
        try:
            values.append(value_of(declared, field))
        except FieldError as error:
            fault(declared.name, field, str(error))
            values.append(None)
    if faults.count == before:
        for names in table.ordered:
            places = [table.position(name) for name in names]
            numbers = [values[place] for place in places if values[place] is not None]
            if any(left > right for left, right in pairwise(numbers)):  # type: ignore[operator]
                fault(
                    ", ".join(names),
                    ", ".join(fields[place] for place in places),
                    "do not rise from left to right",
                )
    return values


def _stray(text: str) -> tuple[int, str, str] | None:
    """Return (place, value or '' for its whole field, problem) of a character that Athena would take for part of a value."""
    if (place := text.find("\0")) >= 0:
        return place, "", "has a NUL byte in it"
    if (place := text.find('"')) >= 0:
        closing = text.find('"', place + 1)
        value = text[place : closing + 1] if closing > 0 else text[place:]
        return place, value, "is quoted round a comma, a quote or a line end; Athena's reader knows no quotes"
    if (place := text.find("\r")) >= 0:
        return place, "", "has a carriage return in it that ends no line"
    return None


def value_of(column: Column, field: str) -> Value:
    """Return a field's value; raises FieldError with what is wrong."""
    if field == "":
        if not column.nullable:
            raise FieldError("is empty, and the column may not be")
        return None
    if field == NULL_MARK:
        raise FieldError("is Athena's mark for NULL, and the column may not be empty")
    if column.type == "string":
        if column.pattern and not re.fullmatch(column.pattern, field):
            raise FieldError(f"is not {column.means or 'a value that the column takes'}")
        return field
    if column.type == "date":
        return _date(field)
    number = _number(column, field)
    if column.minimum is not None and number < column.minimum:
        raise FieldError(f"is less than {column.minimum:,}")
    if column.maximum is not None and number > column.maximum:
        raise FieldError(f"is more than {column.maximum:,}")
    return number


def _date(field: str) -> date:
    if not _DATE.fullmatch(field):
        raise FieldError("is not a date of the form YYYY-MM-DD")
    try:
        return date.fromisoformat(field)
    except ValueError:
        raise FieldError("is a date that does not exist") from None


def _number(column: Column, field: str) -> int | float:
    if column.type == "double":
        if not _NUMBER.fullmatch(field):
            raise FieldError("is not a number")
        number = float(field)
        if not math.isfinite(number):
            raise FieldError("is too large for a double")
        return number
    if not _INTEGER.fullmatch(field):
        raise FieldError("is not a whole number")
    bound = _INTEGER_BOUNDS[column.type]
    if len(field) > 20 or not -bound <= int(field) < bound:
        raise FieldError(f"is out of the range of {column.type} ({-bound:,} to {bound - 1:,})")
    return int(field)
