"""What a source may declare, as data: its tables, their columns, and what the files that land in them must hold.

Declarations are written in `sources/<name>.yml` (`reading` says how) and can be made in Python as well. What contradicts
itself is refused on the spot, by an UnsoundError that says which key of the yml is at fault.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

Format = Literal["csv", "parquet"]
Part = Literal["year", "month", "day", "hour", "quarter"]

SCALARS = ("int", "bigint", "double", "boolean", "date", "timestamp", "string")
ELEMENTS = ("int", "bigint", "double", "boolean", "string")
TYPES = f"{', '.join(SCALARS)}, decimal(p,s) or array<{'|'.join(ELEMENTS)}>"
NUMBERS = frozenset({"int", "bigint", "double", "decimal"})

# Athena folds names to lower case, and Postgres, where many of these columns end, cuts them at 63 bytes
NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_DECIMAL = re.compile(r"decimal\(([0-9]{1,2}), ?([0-9]{1,2})\)")
_ARRAY = re.compile(rf"array<({'|'.join(ELEMENTS)})>")
_MOST_DIGITS = 38


class UnsoundError(ValueError):
    """A declaration that cannot be; `key` is the one at fault in the yml."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True)
class Column:
    """One column of the file and of the external table.

    type: one of TYPES, spelled as Athena's DDL does.
    nullable: an empty field, or NULL, is allowed. In a CSV file Athena then reads NULL, but in a string column ''
    (staging turns it into NULL).
    pattern: a regular expression that a whole string value has to match; `means` says it in words for the error.
    one_of: the values that a string may have.
    minimum, maximum: inclusive bounds of a number, or of every number of an array; above: an exclusive lower one.
    length: how many elements an array has; 0 leaves it open.
    """

    name: str
    type: str
    nullable: bool = False
    pattern: str = ""
    means: str = ""
    one_of: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    length: int = 0
    description: str = ""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise UnsoundError(
                "name", f"column '{self.name}': a name is up to 63 small letters, digits and _"
            )
        if self.type not in SCALARS and not _ARRAY.fullmatch(self.type) and not self._is_decimal():
            raise UnsoundError("type", f"column {self.name}: '{self.type}' is none of {TYPES}")
        for key, given, allowed, what in (
            ("pattern", self.pattern, self.type == "string", "a string has a pattern"),
            ("means", self.means, bool(self.pattern), "what has a pattern says what it means"),
            ("one_of", self.one_of, self.type == "string", "a string has a list of values"),
            ("length", self.length, self.kind == "array", "an array has a length"),
        ):
            if given and not allowed:
                raise UnsoundError(key, f"column {self.name}: only {what}")
        self._refuse_bounds()
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise UnsoundError(
                "pattern", f"column {self.name}: '{self.pattern}' is no regular expression ({error})"
            ) from None
        if self.length < 0:
            raise UnsoundError("length", f"column {self.name}: a length of {self.length}")

    def _is_decimal(self) -> bool:
        found = _DECIMAL.fullmatch(self.type)
        return found is not None and 1 <= int(found[1]) <= _MOST_DIGITS and int(found[2]) <= int(found[1])

    def _refuse_bounds(self) -> None:
        bounds = {"minimum": self.minimum, "maximum": self.maximum, "above": self.above}
        given = [key for key, bound in bounds.items() if bound is not None]
        if given and (self.element or self.kind) not in NUMBERS:
            raise UnsoundError(given[0], f"column {self.name}: only a number has a {given[0]}")
        if self.minimum is not None and self.above is not None:
            raise UnsoundError("above", f"column {self.name}: minimum and above exclude each other")
        low = self.minimum if self.above is None else self.above
        if low is not None and self.maximum is not None and low > self.maximum:
            raise UnsoundError("maximum", f"column {self.name}: no number lies between its bounds")

    @property
    def kind(self) -> str:
        """The type without its arguments: decimal, array, or the type itself."""
        return re.split("[(<]", self.type, maxsplit=1)[0]

    @property
    def element(self) -> str:
        """An array's element type, empty for any other column."""
        found = _ARRAY.fullmatch(self.type)
        return found[1] if found else ""

    @property
    def digits(self) -> tuple[int, int]:
        """A decimal's precision and scale."""
        found = _DECIMAL.fullmatch(self.type)
        assert found is not None, self.type
        return int(found[1]), int(found[2])

    @property
    def is_checked(self) -> bool:
        """Whether anything is asked of the values beyond their type."""
        bounds = (self.minimum, self.maximum, self.above)
        return bool(self.pattern or self.one_of or self.length) or any(bound is not None for bound in bounds)


@dataclass(frozen=True)
class Derived:
    """A column that repeats part of a date: `season` is the quarter of `sold_date`. A string quarter reads Q1 … Q4."""

    column: str
    part: Part
    of: str

    def __str__(self) -> str:
        return f"{self.part} of {self.of}"


@dataclass(frozen=True)
class Table:
    """One landed table of a source.

    source: the source's name; prefix: the keys below which its files lie in the lake bucket, ending in '/'.
    key: columns that together name a row once in a file. Where files overlap on it, the file landed last wins (in staging).
    ordered: groups of number columns that must not decrease from left to right.
    partitions: Hive partition keys, which lie in the objects' keys (`year=2026/…`) and not in the files.
    """

    source: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    ordered: tuple[tuple[str, ...], ...] = ()
    derived: tuple[Derived, ...] = ()
    format: Format = "csv"
    prefix: str = ""
    delimiter: str = ","
    partitions: tuple[Column, ...] = ()
    description: str = ""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise UnsoundError("name", f"table '{self.name}': a name is small letters, digits and _")
        if self.format not in get_args(Format):
            raise UnsoundError("format", f"table {self.name}: '{self.format}' is neither csv nor parquet")
        names = [column.name for column in (*self.columns, *self.partitions)]
        if not self.columns:
            raise UnsoundError("columns", f"table {self.name} has no columns")
        if twice := {name for name in names if names.count(name) > 1}:
            raise UnsoundError("columns", f"table {self.name} has {', '.join(sorted(twice))} twice")
        arrays = [column.name for column in self.columns if column.kind == "array"]
        if self.format == "csv" and arrays:
            raise UnsoundError(
                "columns", f"table {self.name}: a CSV file holds no array ({', '.join(arrays)})"
            )
        self._refuse_key()
        self._refuse_checks()
        if len(self.delimiter) != 1 or self.delimiter in '"\\\r\n':
            raise UnsoundError("delimiter", f"table {self.name}: {self.delimiter!r} is no delimiter")

    def _refuse_key(self) -> None:
        if not self.key:
            raise UnsoundError("key", f"table {self.name} has no key")
        for name in self.key:
            column = self.by_name.get(name)
            if column is None or column.nullable or column.kind == "array":
                why = (
                    "is no column" if column is None else "may be empty" if column.nullable else "is an array"
                )
                raise UnsoundError("key", f"table {self.name}: {name}, of the key, {why}")

    def _refuse_checks(self) -> None:
        for name in (name for names in self.ordered for name in names):
            if name not in self.by_name or self.by_name[name].kind not in NUMBERS:
                raise UnsoundError(
                    "checks", f"table {self.name}: {name}, which is to rise, is no number column"
                )
        for derived in self.derived:
            column, of = self.by_name.get(derived.column), self.by_name.get(derived.of)
            fits = column is not None and column.kind in ("string", "int", "bigint")
            if not fits or of is None or of.kind not in ("date", "timestamp"):
                raise UnsoundError(
                    "checks",
                    f"table {self.name}: {derived.column} cannot be the {derived}: a string or whole number repeats part of"
                    " a date or timestamp",
                )

    @cached_property
    def by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    @property
    def qualified(self) -> str:
        """`source.table`, by which `penstock.sources.table` finds it."""
        return f"{self.source}.{self.name}"

    @property
    def header(self) -> str:
        """The first line of a CSV file."""
        return self.delimiter.join(column.name for column in self.columns)

    def position(self, name: str) -> int:
        """Return a column's place in the file, counted from 0."""
        return next(index for index, column in enumerate(self.columns) if column.name == name)


@dataclass(frozen=True)
class Source:
    """Landed tables that share a database. `database` is its name's beginning; the environment's name follows."""

    name: str
    database: str
    tables: tuple[Table, ...]
    description: str = ""

    @property
    def table(self) -> Table:
        """The source's first table, and of most sources the only one."""
        return self.tables[0]
