"""The exact reading of JSON lines: one object a line, its fields the declared columns, each of its type; every fault is
named.

Numbers are read as they are written, so that a decimal is exact. A field that is missing is NULL. A moment with a zone
becomes UTC's. What is refused: a line that is no object, a field given twice, NaN and Infinity, text for a number or the
reverse.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from penstock.landing.columns import arrow_type
from penstock.landing.faults import Fault, Faults
from penstock.landing.reading import Block
from penstock.landing.rows import Rows
from penstock.sources.declaration import Column, Table

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(_DAY.pattern + r"([ T][0-9]{2}:[0-9]{2}|\Z)")
_INTEGER_BOUNDS = {"int": 2**31, "bigint": 2**63}


class UnknownFieldError(Exception):
    """A line has fields that are no columns: they may be new ones."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names


class _MisfitError(ValueError):
    """A value is not the column's; the text says why, to follow the quoted value."""


class LineReader:
    """Reads blocks of one file. Faults go to `faults`; the rows it returns have none so far."""

    def __init__(self, file: str, table: Table, faults: Faults) -> None:
        self._file, self._table, self._faults = file, table, faults
        self._names = frozenset(table.by_name)

    def rows(self, block: Block) -> Rows:
        """Return the rows of a block that could be read. Raises: UnknownFieldError."""
        import pyarrow as pa

        values: list[list[Any]] = [[] for _ in self._table.columns]
        places = []
        lines = block.data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        for number, line in enumerate(lines, block.line):
            row = self._row(number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)
            if row is None:
                continue
            places.append(number)
            for held, value in zip(values, row, strict=True):
                held.append(value)
        arrays = [
            pa.array(held, arrow_type(column))
            for held, column in zip(values, self._table.columns, strict=True)
        ]
        names = [column.name for column in self._table.columns]
        return Rows(pa.RecordBatch.from_arrays(arrays, names), np.array(places, np.int64))

    def _row(self, number: int, line: bytes) -> list[Any] | None:
        """Return a line's values in the columns' order, None for a blank line and one with a fault."""
        if not line.strip():
            return None
        found = self._object(number, line)
        if found is None:
            return None
        unknown = [name for name in found if name not in self._names]
        if unknown:
            raise UnknownFieldError(unknown)
        before = self._faults.count
        values = []
        for column in self._table.columns:
            value = found.get(column.name)
            try:
                values.append(None if value is None else _READERS[column.kind](column, value))
            except _MisfitError as error:
                self._fault(
                    number, column.name, value if isinstance(value, str) else _text(value), str(error)
                )
        return values if self._faults.count == before else None

    def _object(self, number: int, line: bytes) -> dict[str, Any] | None:
        """Return a line's fields, None where it is no object."""
        try:
            text = line.decode("utf-8")
            found = json.loads(text, parse_float=Decimal, parse_constant=_Odd, object_pairs_hook=_fields)
        except UnicodeDecodeError:
            self._fault(number, "", line.decode("utf-8", "backslashreplace"), "is not UTF-8")
            return None
        except (ValueError, RecursionError) as error:
            self._fault(number, "", text, f"is no JSON ({error})")
            return None
        if not isinstance(found, dict):
            self._fault(number, "", text, "is no JSON object")
            return None
        return found

    def _fault(self, line: int, column: str, value: str, problem: str) -> None:
        self._faults.add(Fault(self._file, line, column, value, problem))


class _Odd:
    """NaN, Infinity or -Infinity, which JSON does not have."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


def _fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)} is given twice")
    return found


def _text(value: object) -> str:
    return str(value) if isinstance(value, Decimal) else json.dumps(value, default=str, ensure_ascii=False)


def _integer(column: Column, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _MisfitError("is not a whole number")
    bound = _INTEGER_BOUNDS[column.type if column.kind != "array" else column.element]
    if not -bound <= value < bound:
        raise _MisfitError(f"is out of the range of {column.type} ({-bound:,} to {bound - 1:,})")
    return value


def _double(_: Column, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _MisfitError("is not a number")
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if number in (float("inf"), float("-inf")):
        raise _MisfitError("is too large for a double")
    return number


def _decimal(column: Column, value: object) -> Decimal:
    try:
        if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
            raise _MisfitError("is not a number")
        number = Decimal(value)
    except InvalidOperation:
        raise _MisfitError("is not a number") from None
    precision, scale = column.digits
    if not number.is_finite():
        raise _MisfitError("is not a finite number")
    if number and number.adjusted() >= precision - scale:
        raise _MisfitError(f"has more than {precision - scale} digits before the point")
    if number != round(number, scale):
        raise _MisfitError(f"has more than {scale} decimals")
    return round(number, scale)


def _boolean(_: Column, value: object) -> bool:
    if not isinstance(value, bool):
        raise _MisfitError("is neither true nor false")
    return value


def _string(_: Column, value: object) -> str:
    if not isinstance(value, str):
        raise _MisfitError("is not text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _MisfitError("has half a surrogate pair in it") from None
    return value


def _date(_: Column, value: object) -> date:
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise _MisfitError("is not a date of the form YYYY-MM-DD")


def _timestamp(_: Column, value: object) -> datetime:
    if not isinstance(value, str) or not _MOMENT.match(value):
        raise _MisfitError("is not a moment of the form YYYY-MM-DD HH:MM:SS")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise _MisfitError("is not a moment of the form YYYY-MM-DD HH:MM:SS") from None
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    if moment.microsecond % 1000:
        raise _MisfitError("is finer than a millisecond, the finest that Athena's timestamp holds")
    return moment


def _array(column: Column, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise _MisfitError("is not a list")
    read = _READERS[column.element]
    elements = []
    for element in value:
        try:
            elements.append(None if element is None else read(column, element))
        except _MisfitError as error:
            raise _MisfitError(f"has {_text(element)[:20]} among its elements, which {error}") from None
    return elements


_READERS: dict[str, Callable[[Column, object], Any]] = {
    "int": _integer,
    "bigint": _integer,
    "double": _double,
    "decimal": _decimal,
    "boolean": _boolean,
    "string": _string,
    "date": _date,
    "timestamp": _timestamp,
    "array": _array,
}
