"""What a file was found to be, whatever its format: what is wrong with it, and what lands of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from penstock.landing.faults import Faults
from penstock.landing.spool import Spool
from penstock.sources.declaration import Column, Table

_EPOCH = date(1970, 1, 1)
_DAY_MILLISECONDS = 24 * 60 * 60 * 1000


@dataclass(frozen=True)
class Checked:
    """`size` and `sha256` are of the bytes that land.

    table: the declaration with the columns that this file has of it and beside it; found: those beside it.
    spool: the bytes that land; None for CSV, whose bytes are made once more as they are sent.
    days: the first and the last day of the key's first date or timestamp; None where it has none.
    """

    path: Path
    name: str
    rows: int
    size: int
    sha256: str
    notices: tuple[str, ...]
    faults: Faults
    table: Table
    found: tuple[Column, ...] = ()
    spool: Spool | None = None
    days: tuple[date, date] | None = None


class Days:
    """The range of days of a file's keys, which are given as 64-bit integers: days, or milliseconds, since 1970."""

    def __init__(self, table: Table) -> None:
        kinds = [table.by_name[name].kind for name in table.key]
        self._place = next((place for place, kind in enumerate(kinds) if kind in ("date", "timestamp")), None)
        self._unit = 1 if self._place is None or kinds[self._place] == "date" else _DAY_MILLISECONDS
        self._first: int | None = None
        self._last = 0

    def add(self, keys: Sequence[NDArray[np.int64]]) -> None:
        if self._place is None or not len(keys[self._place]):
            return
        first, last = int(keys[self._place].min()), int(keys[self._place].max())
        self._last = last if self._first is None else max(last, self._last)
        self._first = first if self._first is None else min(first, self._first)

    @property
    def range(self) -> tuple[date, date] | None:
        if self._first is None:
            return None
        first, last = (_EPOCH + timedelta(days=moment // self._unit) for moment in (self._first, self._last))
        return first, last
