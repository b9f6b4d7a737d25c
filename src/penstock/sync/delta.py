"""The difference between two snapshots, computed from their changed files alone, so that only changed rows travel.

The rows of the committed snapshot's changed files are hashed, eight bytes a row; rows of the new ones with an equal hash
cancel them, as a multiset and region by region. New rows left over are encoded for Postgres; of old rows left over the
keys are read, from just the files that have some. Nothing left over (a compaction) means nothing to do.

Two different rows of one hash would cancel wrongly: among n changed old and m changed new rows that happens with a
probability of about n*m in 2^64. What was applied is then held against Postgres's own checksum by the caller.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from penstock.sync.arrow import values_of
from penstock.sync.checksum import row_hashes, total
from penstock.sync.columns import Column
from penstock.sync.encode import encode
from penstock.sync.extract import Extract, Reading
from penstock.sync.fingerprints import Tally
from penstock.sync.partitions import Region
from penstock.sync.plan import DELTA_ROWS, FileRead, Plan
from penstock.sync.values import Array


class Committed:
    """The hashes of a region's old rows, and which of them a new row has cancelled."""

    def __init__(self, hashes: list[Array]) -> None:
        self.sorted = np.sort(np.concatenate(hashes)) if hashes else np.empty(0, np.int64)
        self._taken = np.zeros(
            len(self.sorted), np.int32
        )  # by the first of equal hashes: how many are cancelled
        self._cancelled = np.zeros(len(self.sorted), bool)
        self._lock = threading.Lock()

    def cancel(self, hashes: Array) -> Array:
        """Cancel an old row for each of these that has an equal; returns which of these found none."""
        if not len(self.sorted) or not len(hashes):
            return np.ones(len(hashes), bool)
        order = np.argsort(hashes)
        given = hashes[order]
        first = np.searchsorted(self.sorted, given)
        begins = np.ones(len(given), bool)
        begins[1:] = given[1:] != given[:-1]
        starts = np.flatnonzero(begins)
        nth = np.arange(len(given)) - starts[np.cumsum(begins) - 1]  # of equal hashes in this batch, from 0
        last = len(self.sorted) - 1
        with self._lock:
            slot = first + nth + self._taken[np.minimum(first, last)]
            inside = np.minimum(slot, last)
            found = (slot <= last) & (self.sorted[inside] == given)
            self._cancelled[inside[found]] = True
            counts = np.add.reduceat(found.astype(np.int32), starts)
            some = counts > 0
            self._taken[first[starts[some]]] += counts[some]
        left = np.empty(len(hashes), bool)
        left[order] = ~found
        return left

    def left(self) -> Array:
        """Return the sorted hashes of the rows that no new row has cancelled."""
        rest: Array = self.sorted[~self._cancelled]
        return rest


class Part:
    """Some regions' changed files, few enough rows to be compared in memory: `compare`, then `blocks`, then `gone`."""

    def __init__(
        self,
        reading: Reading,
        columns: Sequence[Column],
        key: Sequence[str],
        before: Sequence[FileRead],
        after: Sequence[FileRead],
        place: Callable[[Region], str],
    ) -> None:
        by_name = {column.name: column for column in columns}
        self._reading, self._columns, self._place = reading, columns, place
        self._key = [by_name[name] for name in key]
        self._before, self._after = before, after
        self._hashes: dict[FileRead, list[Array]] = {read: [] for read in before}
        self._committed: dict[Region, Committed] = {}
        self._left: dict[Region, Array] = {}
        self._lock = threading.Lock()
        self.removed: dict[Region, Tally] = defaultdict(Tally)
        self.added: dict[Region, Tally] = defaultdict(Tally)

    def read(self, reading: Callable[[], None]) -> None:
        """Hash the old rows."""
        Extract(self._reading, self._columns, self._before, self._hash).run(reading)
        by_region: dict[Region, list[Array]] = defaultdict(list)
        for read, hashes in self._hashes.items():
            self._hashes[read] = [np.concatenate(hashes)] if hashes else []
            by_region[read.region] += self._hashes[read]
        self._committed = {region: Committed(hashes) for region, hashes in by_region.items()}

    def blocks(self) -> Iterator[bytes]:
        """Yield the new rows that the old ones lack, encoded; after that the old rows left over are known."""
        yield from Extract(self._reading, self._columns, self._after, self._new).blocks()
        for region, committed in self._committed.items():
            left = committed.left()
            if len(left):
                self._left[region] = left
                self.removed[region].add(len(left), total(left))
        self._committed.clear()

    def gone(self) -> Iterator[bytes]:
        """Yield the keys of the old rows left over, encoded."""
        reads = [read for read in self._before if self._rows_left(read)]
        yield from Extract(self._reading, self._key, reads, self._old_keys).blocks()

    def _hash(self, read: FileRead, _: int, batch: pa.RecordBatch) -> list[bytes]:
        self._hashes[read].append(row_hashes(values_of(self._columns, batch, self._place(read.region))))
        return [b""]  # nothing to send, and a sign of life

    def _new(self, read: FileRead, _: int, batch: pa.RecordBatch) -> list[bytes]:
        place = self._place(read.region)
        values = values_of(self._columns, batch, place)
        hashes = row_hashes(values)
        committed = self._committed.get(read.region)
        if committed is not None:
            new = committed.cancel(hashes)
            if not new.any():
                return [b""]
            if not new.all():
                hashes = hashes[new]
                values = values_of(self._columns, batch.filter(pa.array(new)), place)
        with self._lock:
            self.added[read.region].add(len(hashes), total(hashes))
        return list(encode(values))

    def _rows_left(self, read: FileRead) -> bool:
        left = self._left.get(read.region)
        return left is not None and any(among(hashes, left).any() for hashes in self._hashes[read])

    def _old_keys(self, read: FileRead, ordinal: int, batch: pa.RecordBatch) -> list[bytes]:
        hashes = self._hashes[read][0][ordinal : ordinal + batch.num_rows]
        mask = among(hashes, self._left[read.region])
        if not mask.any():
            return [b""]
        kept = batch.filter(pa.array(mask))
        return list(encode(values_of(self._key, kept, self._place(read.region))))


def parts(
    plan: Plan, reading: Reading, columns: Sequence[Column], key: Sequence[str], lake: str
) -> Iterator[Part]:
    """Yield the plan's regions in order, as many together as fit DELTA_ROWS old rows."""
    before, after = _by_region(plan.before), _by_region(plan.after)

    def place(region: Region) -> str:
        return f"{lake} partition {plan.bounds.label(region)}"

    regions: list[Region] = []
    rows = 0
    for region in sorted(before.keys() | after.keys(), key=plan.bounds.key):
        theirs = sum(read.file.rows for read in before[region])
        if regions and rows + theirs > DELTA_ROWS:
            yield _part(reading, columns, key, before, after, regions, place)
            regions, rows = [], 0
        regions.append(region)
        rows += theirs
    if regions:
        yield _part(reading, columns, key, before, after, regions, place)


def _part(
    reading: Reading,
    columns: Sequence[Column],
    key: Sequence[str],
    before: dict[Region, list[FileRead]],
    after: dict[Region, list[FileRead]],
    regions: Sequence[Region],
    place: Callable[[Region], str],
) -> Part:
    old = [read for region in regions for read in before[region]]
    new = [read for region in regions for read in after[region]]
    return Part(reading, columns, key, old, new, place)


def _by_region(reads: Sequence[FileRead]) -> dict[Region, list[FileRead]]:
    found: dict[Region, list[FileRead]] = defaultdict(list)
    for read in reads:
        found[read.region].append(read)
    return found


def among(hashes: Array, wanted: Array) -> Array:
    """Return which hashes are among the sorted, wanted ones."""
    at = np.minimum(np.searchsorted(wanted, hashes), len(wanted) - 1)
    found: Array = wanted[at] == hashes
    return found
