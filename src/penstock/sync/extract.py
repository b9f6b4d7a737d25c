"""The planned files, read straight from S3 and turned into binary COPY data while Postgres is still taking the batch
before.

Each reader thread does all of a batch's work but the socket: read, drop deleted rows, convert, checksum, encode. A
bounded queue keeps them just ahead of Postgres, so memory does not grow with the table. What a batch is turned into is
the caller's `Work`: all of its rows to copy (`Copying`), their hashes, only those rows that changed.
"""

from __future__ import annotations

import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from penstock.errors import SyncError
from penstock.sync.arrow import batch_rows, dictionary_names, names_of, values_of
from penstock.sync.checksum import row_hashes, total
from penstock.sync.columns import Column
from penstock.sync.encode import encode
from penstock.sync.fingerprints import Tally
from penstock.sync.lake import LakeObjects
from penstock.sync.manifests import LakeFile
from penstock.sync.objects import MEMORY_BYTES
from penstock.sync.partitions import Region
from penstock.sync.plan import FileRead
from penstock.sync.values import Array, Values

# Rows a batch: 4,096 to 131,072. Larger batches leave the processor's cache, smaller ones cost numpy's fixed price a call.
BATCH_ROWS = 32_768
# Of a file that does not fit in memory, bytes read at a time of each column: 64 kB to 8 MB.
PAGE_BUFFER_BYTES = 1024**2

# Turns a batch of live rows into blocks for the socket, in a reader's thread. The number is that of the read's live rows
# before this batch. Batches of one read come in order, those of several at once.
Work = Callable[[FileRead, int, pa.RecordBatch], list[bytes]]


class Reading:
    """What the extracts of a sync share: the lake's objects, the rows read so far, and the delete files' positions.

    readers, queued: threads that read, and encoded batches that wait for the socket, as `Limits` has them for a table.
    """

    def __init__(self, objects: LakeObjects, readers: int = 2, queued: int = 4) -> None:
        self.objects, self.readers, self.queued = objects, readers, queued
        self.rows_read = 0
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._deleted: dict[str, dict[str, Array]] = {}

    def count(self, rows: int) -> None:
        with self._lock:
            self.rows_read += rows

    def dead(self, location: str, deletes: Sequence[LakeFile]) -> Array:
        """Return the sorted positions that these delete files name of a data file. Each is read once for all files."""
        with self._loading:
            for delete in deletes:
                if delete.location not in self._deleted:
                    self._deleted[delete.location] = self._load(delete)
            parts = [self._deleted[delete.location].get(location) for delete in deletes]
        found = [part for part in parts if part is not None]
        positions: Array = np.sort(np.concatenate(found)) if found else np.empty(0, np.int64)
        # each once; np.unique would import more than it does
        once: Array = positions[np.diff(positions, prepend=-1) != 0]
        return once

    def _load(self, delete: LakeFile) -> dict[str, Array]:
        table = pq.read_table(
            self.objects.open(delete), columns=["file_path", "pos"], read_dictionary=["file_path"]
        )
        paths, positions = table["file_path"].combine_chunks(), table["pos"].combine_chunks()
        if isinstance(paths, pa.ChunkedArray):
            paths, positions = paths.chunk(0), positions.chunk(0)
        indexes, numbers = paths.indices.to_numpy(), positions.to_numpy()
        return {path: numbers[indexes == i] for i, path in enumerate(paths.dictionary.to_pylist())}


@dataclass
class Tallying:
    """The work of a comparison: rows tallied by region, none encoded. `place` names a region in errors."""

    columns: Sequence[Column]
    place: Callable[[Region], str]
    tallies: dict[Region, Tally] = field(default_factory=lambda: defaultdict(Tally))

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, read: FileRead, _: int, batch: pa.RecordBatch) -> list[bytes]:
        self.tally(read, batch)
        return [b""]  # nothing to send, and a sign of life

    def tally(self, read: FileRead, batch: pa.RecordBatch) -> list[Values]:
        values = values_of(self.columns, batch, self.place(read.region))
        checksum = total(row_hashes(values))
        with self._lock:
            self.tallies[read.region].add(batch.num_rows, checksum)
        return values


class Copying(Tallying):
    """The work of a whole copy: every row encoded, and tallied by region."""

    def __call__(self, read: FileRead, _: int, batch: pa.RecordBatch) -> list[bytes]:
        return list(encode(self.tally(read, batch)))


class Extract:
    """A running extract. Iterate over `blocks()` once; what the work gathered is complete when it has ended."""

    def __init__(
        self, reading: Reading, columns: Sequence[Column], reads: Sequence[FileRead], work: Work
    ) -> None:
        self._reading, self._columns, self._reads, self._turn = reading, columns, reads, work
        self._stop = threading.Event()
        self._unread: queue.SimpleQueue[FileRead] = queue.SimpleQueue()
        self._done: queue.Queue[list[bytes] | Exception | None] = queue.Queue(reading.queued)

    def blocks(self) -> Iterator[bytes]:
        """Yield the work's blocks; raises the first error of a reader. Readers stop when this is closed."""
        if not self._reads:
            return
        for read in self._reads:
            self._unread.put(read)
        count = min(self._reading.readers, len(self._reads))
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        try:
            working = count
            while working:
                item = self._done.get()
                if item is None:
                    working -= 1
                elif isinstance(item, Exception):
                    raise item
                else:
                    yield from item
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def run(self, reading: Callable[[], None] = lambda: None) -> None:
        """Read everything for what the work gathers; `reading` is called after each batch."""
        for _ in self.blocks():
            reading()

    def _put(self, item: list[bytes] | Exception | None) -> None:
        while not self._stop.is_set():
            try:
                return self._done.put(item, timeout=0.1)
            except queue.Full:
                continue

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                try:
                    read = self._unread.get_nowait()
                except queue.Empty:
                    break
                self._read(read)
            self._put(None)
        except Exception as error:  # handed to the thread that iterates, which raises it
            self._put(error)

    def _read(self, read: FileRead) -> None:
        try:
            deleted = self._reading.dead(read.file.location, read.deletes)
            wanted = None
            if read.dead_in is not None:
                named = self._reading.dead(read.file.location, read.dead_in)
                wanted = np.setdiff1d(named, deleted, assume_unique=True)
                if not len(wanted):
                    return
            self._batches(read, deleted, wanted)
        except (OSError, pa.ArrowException) as error:
            raise SyncError(
                f"{read.file.location} could not be read: {str(error).splitlines()[0][:300]}",
                hint="Run the sync again; if the lake was rewritten meanwhile it will find the new files.",
            ) from error

    def _batches(self, read: FileRead, deleted: Array, wanted: Array | None) -> None:
        source = self._reading.objects.open(read.file)
        metadata = pq.read_metadata(source)
        if metadata.num_rows != read.file.rows:
            raise SyncError(
                f"{read.file.location} holds {metadata.num_rows} rows, and {read.file.rows} by its manifest.",
                hint="The file was replaced or damaged: rebuild the model, then sync again.",
            )
        names = names_of(metadata.schema.to_arrow_schema(), self._columns, read.file.location)
        text = dictionary_names(self._columns, names)
        ordinal = 0
        rows_a_batch = batch_rows(metadata, names, BATCH_ROWS)
        with pq.ParquetFile(
            source,
            metadata=metadata,
            read_dictionary=text,
            # pages are read as they are needed: the file is here, and read ahead its row groups would fill memory
            pre_buffer=False,
            buffer_size=PAGE_BUFFER_BYTES if read.file.size > MEMORY_BYTES else 0,
            page_checksum_verification=True,
        ) as file:
            for groups, start in _spans(metadata, wanted):
                for batch in file.iter_batches(rows_a_batch, row_groups=groups, columns=list(names.values())):
                    rows = batch.num_rows
                    live = _without(batch, start, deleted) if wanted is None else _only(batch, start, wanted)
                    start += rows
                    self._reading.count(rows)
                    if live.num_rows:
                        self._put(self._turn(read, ordinal, live))
                        ordinal += live.num_rows
                    if self._stop.is_set():
                        return


def _spans(metadata: pq.FileMetaData, wanted: Array | None) -> Iterator[tuple[list[int], int]]:
    """Yield each row group to read, and the position of its first row: all, or those that have a wanted row.

    One at a time: Arrow fetches whole what it is asked for together, and a file may be larger than memory.
    """
    start = 0
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        first, last = (0, rows) if wanted is None else np.searchsorted(wanted, [start, start + rows])
        if first != last:
            yield [group], start
        start += rows


def _without(batch: pa.RecordBatch, start: int, deleted: Array) -> pa.RecordBatch:
    """Return the batch without the deleted positions; `start` is its first row's position in the file."""
    first, last = np.searchsorted(deleted, [start, start + batch.num_rows])
    if first == last:
        return batch
    kept = np.ones(batch.num_rows, bool)
    kept[deleted[first:last] - start] = False
    return batch.filter(pa.array(kept))


def _only(batch: pa.RecordBatch, start: int, wanted: Array) -> pa.RecordBatch:
    """Return just the batch's rows at the wanted positions."""
    first, last = np.searchsorted(wanted, [start, start + batch.num_rows])
    return batch.take(pa.array(wanted[first:last] - start))
