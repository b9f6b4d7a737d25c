"""What a source may declare. Nothing but data lives here, so that a declaration can come from a file as well as from Python.

Database and location follow from the source's name and the environment (`penstock.environments`), not from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

ColumnType = Literal["int", "bigint", "double", "date", "string"]


@dataclass(frozen=True)
class Column:
    """One column of the file and of the external table.

    nullable: an empty field is allowed. Athena then reads NULL, but in a string column '' (staging turns it into NULL).
    pattern: a regular expression that a whole string value has to match; `means` says it in words for the error.
    minimum, maximum: inclusive bounds of a number.
    """

    name: str
    type: ColumnType
    nullable: bool = False
    pattern: str = ""
    means: str = ""
    minimum: float | None = None
    maximum: float | None = None

    def __post_init__(self) -> None:
        if self.type not in get_args(ColumnType):
            raise ValueError(
                f"column {self.name}: '{self.type}' is none of {', '.join(get_args(ColumnType))}"
            )
        if self.pattern and self.type != "string":
            raise ValueError(f"column {self.name}: only a string has a pattern")


@dataclass(frozen=True)
class Source:
    """One landed table.

    key: columns that together name a row once in a file. Where files overlap on it, the file landed last wins (in staging).
    ordered: groups of number columns that must not decrease from left to right.
    """

    name: str
    table: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    ordered: tuple[tuple[str, ...], ...] = ()
    delimiter: str = ","

    def __post_init__(self) -> None:
        types = {column.name: column for column in self.columns}
        wrong = [name for name in self.key if name not in types or types[name].nullable]
        wrong += [name for names in self.ordered for name in names if name not in types]
        if wrong or not self.key:
            raise ValueError(
                f"source {self.name}: no such column, or one that may be empty: {', '.join(wrong) or 'no key'}"
            )

    @property
    def header(self) -> str:
        return self.delimiter.join(column.name for column in self.columns)

    def position(self, name: str) -> int:
        """Return a column's place in the file, counted from 0."""
        return next(index for index, column in enumerate(self.columns) if column.name == name)
