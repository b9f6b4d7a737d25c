"""The slow, exact check: line by line, column by column, for blocks in which the fast one saw something odd.

It names every fault with its line and value, and says which rows are good. About 300,000 rows a second.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise

from penstock.landing.faults import Fault, Faults
from penstock.landing.normalize import Normalizer
from penstock.landing.reading import Block
from penstock.sources.declaration import Column, Derived, Part, Table

_INTEGER = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]*)?|-?\.[0-9]+")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,3})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ODD = re.compile(rb'["\\\r]')  # what a normalizer may have to alter inside a line
_INTEGER_BOUNDS = {"int": 2**31, "bigint": 2**63}

NULL_MARK = "\\N"

Value = int | float | Decimal | bool | date | datetime | str | None


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
        for derived in table.derived:
            places = [table.position(derived.column), table.position(derived.of)]
            if not _agrees(derived, *(values[place] for place in places)):
                fault(
                    f"{derived.column}, {derived.of}",
                    ", ".join(fields[place] for place in places),
                    f"do not agree: {derived.column} is the {derived}",
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
        if column.one_of and field not in column.one_of:
            raise FieldError(f"is none of {', '.join(column.one_of)}")
        return field
    if column.type in _OTHERS:
        return _OTHERS[column.type](field)
    number = _decimal(column, field) if column.kind == "decimal" else _number(column, field)
    if column.minimum is not None and number < column.minimum:
        raise FieldError(f"is less than {column.minimum:,}")
    if column.above is not None and number <= column.above:
        raise FieldError(f"is not more than {column.above:,}")
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


def _moment(field: str) -> datetime:
    if not _MOMENT.fullmatch(field):
        raise FieldError("is not a moment of the form YYYY-MM-DD HH:MM:SS, with milliseconds at most")
    try:
        return datetime.fromisoformat(field)
    except ValueError:
        raise FieldError("is a moment that does not exist") from None


def _boolean(field: str) -> bool:
    if field not in ("true", "false"):
        raise FieldError("is neither true nor false")
    return field == "true"


_OTHERS: dict[str, Callable[[str], Value]] = {"date": _date, "timestamp": _moment, "boolean": _boolean}


def _decimal(column: Column, field: str) -> Decimal:
    if not _DECIMAL.fullmatch(field):
        raise FieldError("is not a number")
    precision, scale = column.digits
    number = Decimal(field)
    if number and number.adjusted() >= precision - scale:
        raise FieldError(f"has more than {precision - scale} digits before the point")
    if len(field.partition(".")[2].rstrip("0")) > scale:
        raise FieldError(f"has more than {scale} decimals")
    return number


def part_of(part: Part, moment: date) -> int:
    """Return a part of a date or moment as a number."""
    if part == "quarter":
        return (moment.month + 2) // 3
    return int(getattr(moment, part, 0))  # a date's hour is 0


def _agrees(derived: Derived, value: Value, moment: Value) -> bool:
    """Return whether a column is the part of the date that it repeats; an empty field says nothing."""
    if value is None or not isinstance(moment, date):
        return True
    number = part_of(derived.part, moment)
    if not isinstance(value, str):
        return value == number
    return value == {"quarter": f"Q{number}", "year": str(number)}.get(derived.part, f"{number:02}")


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
