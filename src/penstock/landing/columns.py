"""Checks rows that have types, by whole columns: what CSV is for `fast` and `exact`, batches of Arrow are here.

The types are the declared ones already, or can be made so without loss; what cannot is a fault of its row. Every fault is
counted, and those that a refusal could show are put into words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penstock.landing.fast import Keys, as_integers, text_numbers
from penstock.landing.faults import SHOWN, Fault, Faults
from penstock.sources.declaration import Column, Derived, Table

if TYPE_CHECKING:
    import pyarrow as pa

Mask = NDArray[np.bool_]
Places = NDArray[np.int64]

_SHOWN_ELEMENTS = 3


def arrow_type(column: Column) -> pa.DataType:
    """Return the Arrow type of a column as it lands. Athena's timestamp holds milliseconds."""
    import pyarrow as pa

    scalars = {
        "int": pa.int32(),
        "bigint": pa.int64(),
        "double": pa.float64(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("ms"),
        "string": pa.string(),
    }
    if column.kind == "decimal":
        return pa.decimal128(*column.digits)
    if column.kind == "array":
        return pa.list_(scalars[column.element])
    return scalars[column.type]


def schema_of(table: Table) -> pa.Schema:
    """Return the Arrow schema of what lands in a table."""
    import pyarrow as pa

    return pa.schema([(column.name, arrow_type(column)) for column in table.columns])


def declared_type(found: pa.DataType) -> str:
    """Return the type that a column of this Arrow type is declared with; empty where there is none."""
    import pyarrow.types as kinds

    if kinds.is_dictionary(found):
        return declared_type(found.value_type)
    if kinds.is_decimal(found):
        fits = 1 <= found.precision <= 38 and 0 <= found.scale <= found.precision
        return f"decimal({found.precision},{found.scale})" if fits else ""
    if kinds.is_list(found) or kinds.is_large_list(found) or kinds.is_fixed_size_list(found):
        element = declared_type(found.value_type)
        return f"array<{element}>" if element in ("int", "bigint", "double", "boolean", "string") else ""
    tests: list[tuple[Callable[[pa.DataType], bool], str]] = [
        (lambda kind: kinds.is_integer(kind) and kind.bit_width <= 32 and not kinds.is_uint32(kind), "int"),
        (lambda kind: kinds.is_integer(kind) and not kinds.is_uint64(kind), "bigint"),
        (kinds.is_floating, "double"),
        (kinds.is_boolean, "boolean"),
        (kinds.is_date, "date"),
        (kinds.is_timestamp, "timestamp"),
        (
            lambda kind: kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind),
            "string",
        ),
    ]
    return next((name for test, name in tests if test(found)), "")


def can_become(found: pa.DataType, column: Column) -> bool:
    """Return whether values of an Arrow type may be the column's: whether they are is then a matter of each value."""
    import pyarrow.types as kinds

    if kinds.is_null(found):
        return column.nullable
    name = declared_type(found)
    if column.kind == "array":
        return name.startswith("array<") and _kin(name[len("array<") : -1], column.element)
    return _kin(name.partition("(")[0], column.kind) or (
        column.kind in ("int", "bigint") and kinds.is_uint64(found)
    )


def _kin(found: str, due: str) -> bool:
    integers = ("int", "bigint")
    return found == due or (found in integers and due in integers)


def converted(values: pa.Array, column: Column, places: Places, told: Teller) -> tuple[pa.Array, Mask | None]:
    """Return a column's values with their declared type, NULL and marked as bad where they do not fit it."""
    import pyarrow as pa
    import pyarrow.types as kinds

    due = arrow_type(column)
    if values.type == due:
        return values, None
    if kinds.is_dictionary(values.type):
        values = values.dictionary_decode()
    if kinds.is_timestamp(values.type) and values.type.tz is not None:
        values = values.cast(pa.timestamp(values.type.unit))  # of a moment, what UTC's clock shows
    try:
        return values.cast(due), None
    except pa.ArrowInvalid:
        bad = np.zeros(len(values), np.bool_)
        _mark_failing(values, due, bad, 0)
    told(column.name, values, bad, _MISFITS.get(column.kind, f"does not fit {column.type}"), places)
    kept = pa.array(~bad)
    import pyarrow.compute as pc

    return pc.if_else(kept, values, pa.scalar(None, values.type)).cast(due), bad


_MISFITS = {
    "int": "is out of the range of int (-2,147,483,648 to 2,147,483,647)",
    "bigint": "is out of the range of bigint",
    "timestamp": "is finer than a millisecond, the finest that Athena's timestamp holds",
    "decimal": "has more digits than the column",
    "string": "is not UTF-8",
}


def _mark_failing(values: pa.Array, due: pa.DataType, bad: Mask, start: int) -> None:
    """Mark the values that cannot be cast, by halving what fails."""
    import pyarrow as pa

    try:
        values.cast(due)
        return
    except pa.ArrowInvalid:
        if len(values) == 1:
            bad[start] = True
            return
    half = len(values) // 2
    _mark_failing(values.slice(0, half), due, bad, start)
    _mark_failing(values.slice(half), due, bad, start + half)


class Teller:
    """Adds the faults of masks to those of a file. `unit` says what its places count: line or row."""

    def __init__(self, file: str, unit: str, faults: Faults) -> None:
        self.unit = unit
        self._file, self._faults = file, faults

    def __call__(
        self, names: str, values: Any, bad: Mask, problem: str | Callable[[Any], str], places: Places
    ) -> None:
        rows = np.flatnonzero(bad)
        for row in rows[:SHOWN].tolist():
            value = _value(values, row)
            said = problem if isinstance(problem, str) else problem(value)
            self._faults.add(Fault(self._file, int(places[row]), names, _shown(value), said, self.unit))
        self._faults.count += max(0, len(rows) - SHOWN)


def _value(values: Any, row: int) -> Any:
    if isinstance(values, list):
        return tuple(column[row].as_py() for column in values)
    return values[row].as_py()


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(_shown(part) for part in value)
    if isinstance(value, list):
        first = ", ".join(str(part) for part in value[:_SHOWN_ELEMENTS])
        return f"[{first}{', …' if len(value) > _SHOWN_ELEMENTS else ''}]"
    return str(value)


class ColumnCheck:
    """Made once a file: compiled patterns, and texts that were found to match, are kept."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._patterns = {c.name: re.compile(c.pattern, re.DOTALL) for c in table.columns if c.pattern}

    def bad_rows(self, batch: pa.RecordBatch, places: Places, told: Teller) -> Mask:
        """Return which rows have a fault; tells of each."""
        bad = np.zeros(batch.num_rows, np.bool_)

        def tell(names: str, values: Any, mask: Mask, problem: str | Callable[[Any], str]) -> None:
            if mask.any():
                told(names, values, mask, problem, places)
                np.logical_or(bad, mask, out=bad)

        for column in self._table.columns:
            values = batch.column(column.name)
            if values.null_count and not column.nullable:
                tell(column.name, values, _mask(values.is_null()), "is NULL, and the column may not be")
            if column.kind == "string":
                self._check_text(column, values, tell)
            elif column.kind == "array":
                _check_array(column, values, tell)
            elif column.kind in ("int", "bigint", "double", "decimal"):
                _check_number(column, values, tell)
        for names in self._table.ordered:
            columns = [batch.column(name) for name in names]
            tell(", ".join(names), columns, _falls(columns), "do not rise from left to right")
        for derived in self._table.derived:
            columns = [batch.column(derived.column), batch.column(derived.of)]
            tell(
                f"{derived.column}, {derived.of}",
                columns,
                _differs(derived, *columns),
                f"do not agree: {derived.column} is the {derived}",
            )
        return bad

    def _check_text(self, column: Column, values: pa.Array, tell: Callable[..., None]) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        tell(column.name, values, _mask(pc.match_substring(values, "\0")), "has a NUL byte in it")
        if column.one_of:
            strange = pc.and_(values.is_valid(), pc.invert(pc.is_in(values, pa.array(column.one_of))))
            tell(column.name, values, _mask(strange), f"is none of {', '.join(column.one_of)}")
        if pattern := self._patterns.get(column.name):
            coded = values.dictionary_encode()
            good = [pattern.fullmatch(text) is not None for text in coded.dictionary.to_pylist()]
            if not all(good):
                matches = pa.array(good).take(coded.indices)
                problem = f"is not {column.means or 'a value that the column takes'}"
                tell(column.name, values, _mask(pc.invert(matches)), problem)


def _check_number(column: Column, values: pa.Array, tell: Callable[..., None]) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.kind == "double":
        tell(column.name, values, _mask(pc.invert(pc.is_finite(values))), "is not a finite number")
    if column.kind == "decimal":  # Arrow's JSON parser looks at the decimals alone
        whole = column.digits[0] - column.digits[1]
        long = pc.greater_equal(pc.abs(values), pa.scalar(Decimal(10) ** whole))
        tell(column.name, values, _mask(long), f"has more than {whole} digits before the point")
    for bound, compare, words in (
        (column.minimum, pc.less, "is less than"),
        (column.above, pc.less_equal, "is not more than"),
        (column.maximum, pc.greater, "is more than"),
    ):
        if bound is not None:
            tell(
                column.name, values, _mask(compare(values, _bound(values.type, bound))), f"{words} {bound:,}"
            )


def _bound(due: pa.DataType, bound: float) -> pa.Scalar:
    """Return a bound to compare a column with, as exact as it is written."""
    import pyarrow as pa
    import pyarrow.types as kinds

    if kinds.is_decimal(due):
        return pa.scalar(Decimal(str(bound)))
    return pa.scalar(bound)


def _check_array(column: Column, values: pa.Array, tell: Callable[..., None]) -> None:
    import pyarrow.compute as pc

    if column.length:
        lengths = pc.list_value_length(values)
        tell(
            column.name,
            values,
            _mask(pc.not_equal(lengths, column.length)),
            lambda value: f"has {len(value):,} elements instead of {column.length:,}",
        )
    elements = values.flatten()
    if elements.null_count:
        tell(column.name, values, _holding(values, _mask(elements.is_null())), "has NULL among its elements")
    if column.element == "double":
        numbers = elements.to_numpy(zero_copy_only=False)
        finite = np.isfinite(numbers)
        if not finite.all():
            strange = ~finite & _mask(elements.is_valid())
            tell(
                column.name,
                values,
                _holding(values, strange),
                "has numbers among its elements that are not finite",
            )
    for bound, compare, words in (
        (column.minimum, pc.less, "less than"),
        (column.above, pc.less_equal, "not more than"),
        (column.maximum, pc.greater, "more than"),
    ):
        if bound is not None:
            beyond = _mask(compare(elements, _bound(elements.type, bound)))
            tell(column.name, values, _holding(values, beyond), f"has elements that are {words} {bound:,}")


def _holding(values: pa.Array, marked: Mask) -> Mask:
    """Return the rows whose arrays have a marked element, the marks being those of the flattened column."""
    import pyarrow.compute as pc

    rows = np.zeros(len(values), np.bool_)
    if marked.any():
        rows[pc.list_parent_indices(values).to_numpy()[marked]] = True
    return rows


def _falls(columns: Sequence[pa.Array]) -> Mask:
    import pyarrow.compute as pc

    falling = np.zeros(len(columns[0]), np.bool_)
    for left, right in pairwise(columns):
        falling |= _mask(pc.greater(left, right))
    return falling


def _differs(derived: Derived, values: pa.Array, dates: pa.Array) -> Mask:
    """Return where a column is not the part of the date that it repeats; NULLs say nothing."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as kinds

    parts = {"year": pc.year, "month": pc.month, "day": pc.day, "hour": pc.hour, "quarter": pc.quarter}
    moments = dates.cast(pa.timestamp("ms")) if derived.part == "hour" else dates
    part = parts[derived.part](moments)
    if not kinds.is_string(values.type):
        return _mask(pc.not_equal(values, part))
    texts = part.cast(pa.string())
    if derived.part == "quarter":
        texts = pc.binary_join_element_wise("Q", texts, "")
    elif derived.part != "year":
        texts = pc.utf8_lpad(texts, 2, "0")
    return _mask(pc.not_equal(values, texts))


def _mask(values: pa.Array) -> Mask:
    """Return a column of booleans for numpy, NULL being false."""
    if values.null_count:
        values = values.fill_null(False)
    mask: Mask = values.to_numpy(zero_copy_only=False).astype(np.bool_)
    return mask


def keys_of(table: Table, batch: pa.RecordBatch) -> Keys:
    """Return the key columns as 64-bit integers, as `fast.as_integers` does CSV's; decimals by a hash of their text."""
    import pyarrow as pa
    import pyarrow.types as kinds

    columns = []
    for name in table.key:
        values = batch.column(name)
        if kinds.is_decimal(values.type):
            values = values.cast(pa.string())
        if kinds.is_string(values.type):
            coded = values.dictionary_encode()
            columns.append(text_numbers(coded.dictionary.to_pylist())[coded.indices.to_numpy()])
        elif kinds.is_timestamp(values.type) or kinds.is_boolean(values.type):
            columns.append(values.cast(pa.int64()).to_numpy())
        else:
            columns.append(as_integers(values))
    return columns
