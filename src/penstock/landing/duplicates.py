"""Which keys occur twice in a file, in bounded memory and without trusting the file to be sorted.

Every row leaves an 8-byte hash of its key. Beyond `rows_in_memory` the hashes go to 256 files by their top bits, and each is
sorted alone: a thousand million rows take 8 GB of temporary disk and some 60 MB of memory. Hashes that occur twice only name
suspects: `Repeats` compares a second, independent hash, so that a chance collision (4 in 100 million files of 1.25 million
rows) does not refuse a good file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from penstock.errors import LandingError

Hashes = NDArray[np.uint64]

# Valid 1 and up. 16 million rows are 128 MB, twice that for the moment of sorting; fewer only spill sooner.
ROWS_IN_MEMORY = 16_000_000
# Repeated keys whose lines are told apart (24 bytes each); the count stays right beyond them.
MOST_SUSPECTS = 4_000_000
_FILES = 256


def hashed(columns: Sequence[NDArray[np.int64]], salt: int = 0) -> Hashes:
    """Return one hash a row of key columns given as 64-bit integers (SplitMix64, chained)."""
    state = np.full(len(columns[0]), 0x9E3779B97F4A7C15 * (salt + 1) & 0xFFFFFFFFFFFFFFFF, dtype=np.uint64)
    for column in columns:
        state += column.view(np.uint64)
        state ^= state >> np.uint64(30)
        state *= np.uint64(0xBF58476D1CE4E5B9)
        state ^= state >> np.uint64(27)
        state *= np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return state


class KeyHashes:
    """The hashes of all rows of a file. Used as a context: temporary files go when it ends."""

    def __init__(self, rows_in_memory: int = ROWS_IN_MEMORY) -> None:
        self._rows_in_memory = rows_in_memory
        self._held: list[Hashes] = []
        self._held_rows = 0
        self._spill: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> KeyHashes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._spill:
            self._spill.cleanup()

    def add(self, hashes: Hashes) -> None:
        self._held.append(hashes)
        self._held_rows += len(hashes)
        if self._held_rows > self._rows_in_memory:
            self._write_out()

    def repeated(self) -> tuple[Hashes, int]:
        """Return the hashes that occur more than once, sorted, at most MOST_SUSPECTS; and how many rows are one too many."""
        suspects: list[Hashes] = []
        kept = surplus = 0
        for part in self._parts():
            part.sort()
            again = part[1:] == part[:-1]
            surplus += int(np.count_nonzero(again))
            found = np.unique(part[1:][again])[: MOST_SUSPECTS - kept]
            kept += len(found)
            suspects.append(found)
        return np.concatenate(suspects), surplus

    def _take_held(self) -> Hashes:
        held = np.concatenate([np.empty(0, np.uint64), *self._held])
        self._held.clear()
        self._held_rows = 0
        return held

    def _write_out(self) -> None:
        held = self._take_held()
        held.sort()
        bounds = np.searchsorted(held, np.arange(1, _FILES, dtype=np.uint64) << np.uint64(56))
        try:
            if self._spill is None:
                self._spill = tempfile.TemporaryDirectory(prefix="penstock-keys-")
            for number, part in enumerate(np.split(held, bounds)):
                with self._file(number).open("ab") as file:
                    file.write(part.tobytes())
        except OSError as error:
            raise LandingError(
                f"The keys of a large file do not fit the temporary folder {tempfile.gettempdir()}: {error.strerror}.",
                hint="It takes 8 bytes a row; TMPDIR names another folder.",
            ) from error

    def _file(self, number: int) -> Path:
        assert self._spill is not None
        return Path(self._spill.name) / f"{number:03d}"

    def _parts(self) -> Iterator[Hashes]:
        if self._spill is None:
            yield self._take_held()
            return
        self._write_out()
        for number in range(_FILES):
            yield np.fromfile(self._file(number), dtype=np.uint64)


class Repeats:
    """Tells the second and later rows of a key from its first, on a second reading of the file."""

    def __init__(self, suspects: Hashes) -> None:
        self._suspects = suspects
        self.full = (
            len(suspects) >= MOST_SUSPECTS
        )  # then some repeats have no line, and only their number is known
        self._line = np.zeros(len(suspects), np.int64)
        self._witness = np.zeros(len(suspects), np.uint64)

    def find(
        self, columns: Sequence[NDArray[np.int64]], lines: NDArray[np.int64]
    ) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Return the rows whose key was met before, by index, and for each the line of the first row with its key."""
        if not len(self._suspects):
            return np.empty(0, np.intp), np.empty(0, np.int64)
        hashes = hashed(columns)
        places = np.minimum(np.searchsorted(self._suspects, hashes), len(self._suspects) - 1)
        rows = np.flatnonzero(self._suspects[places] == hashes)
        places = places[rows]
        witnesses = hashed([column[rows] for column in columns], salt=1)
        met, first = np.unique(places, return_index=True)
        first = first[self._line[met] == 0]
        self._line[places[first]] = lines[rows[first]]
        self._witness[places[first]] = witnesses[first]
        again = self._witness[places] == witnesses
        again[first] = False
        return rows[again], self._line[places[again]]
