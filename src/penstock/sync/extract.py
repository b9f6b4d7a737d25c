"""The planned files, read straight from S3 and turned into binary COPY data while Postgres is still taking the batch
before.

Each reader thread does all of a batch's work but the socket: read, drop deleted rows, convert, checksum, encode. A
bounded queue keeps them just ahead of Postgres, so memory does not grow with the table. What was read is tallied by
region for verification.
"""

from __future__ import annotations

import queue
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from penstock.connections import Connections
from penstock.errors import SyncError
from penstock.sync.arrow import dictionary_names, names_of, values_of
from penstock.sync.checksum import row_hashes, total
from penstock.sync.columns import Column
from penstock.sync.encode import encode
from penstock.sync.lake import LakeFile, split
from penstock.sync.partitions import Region
from penstock.sync.plan import FileRead
from penstock.sync.values import Array

if TYPE_CHECKING:
    from pyarrow.fs import S3FileSystem

# Files read at a time: 1 to 8. One thread already encodes faster than Postgres takes rows; the second hides S3's latency.
THREADS = 2
# Rows a batch: 4,096 to 131,072. Larger batches leave the processor's cache, smaller ones cost numpy's fixed price a call.
BATCH_ROWS = 32_768
# Encoded batches waiting for the socket: 1 to 16, some 3 MB each.
QUEUE = 4


@dataclass
class Tally:
    """Rows and checksum of one region, as the lake has them."""

    rows: int = 0
    checksum: int = 0


@dataclass
class Extract:
    """A running extract. Iterate over `blocks()` once; the tallies are complete when it has ended."""

    connections: Connections
    columns: Sequence[Column]
    reads: Sequence[FileRead]
    tallies: dict[Region, Tally] = field(default_factory=lambda: defaultdict(Tally))
    requests: list[str] = field(default_factory=list)
    bytes_read: int = 0
    rows_read: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._todo: queue.SimpleQueue[FileRead] = queue.SimpleQueue()
        self._done: queue.Queue[list[bytes] | Exception | None] = queue.Queue(QUEUE)
        self._deleted: dict[str, dict[str, Array]] = {}
        self._loading = threading.Lock()

    def blocks(self) -> Iterator[bytes]:
        """Yield blocks of binary COPY rows; raises the first error of a reader. Readers stop when this is closed."""
        if not self.reads:
            return
        for read in self.reads:
            self._todo.put(read)
        files = filesystem(self.connections)
        count = min(THREADS, len(self.reads))
        threads = [threading.Thread(target=self._work, args=(files,), daemon=True) for _ in range(count)]
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

    def _put(self, item: list[bytes] | Exception | None) -> None:
        while not self._stop.is_set():
            try:
                return self._done.put(item, timeout=0.1)
            except queue.Full:
                continue

    def _work(self, files: S3FileSystem) -> None:
        try:
            while not self._stop.is_set():
                try:
                    read = self._todo.get_nowait()
                except queue.Empty:
                    break
                self._read(files, read)
            self._put(None)
        except Exception as error:  # handed to the thread that iterates, which raises it
            self._put(error)

    def _read(self, files: S3FileSystem, read: FileRead) -> None:
        deleted = self._positions(files, read)
        try:
            source = self._open(files, read.file)
            metadata = pq.read_metadata(source)
            names = names_of(metadata.schema.to_arrow_schema(), self.columns, read.file.location)
            text = dictionary_names(self.columns, names)
            with pq.ParquetFile(source, metadata=metadata, pre_buffer=True, read_dictionary=text) as file:
                start = 0
                for batch in file.iter_batches(BATCH_ROWS, columns=list(names.values())):
                    rows = batch.num_rows
                    self._batch(read.region, _without(batch, start, deleted))
                    start += rows
                    if self._stop.is_set():
                        return
        except (OSError, pa.ArrowException) as error:
            raise SyncError(
                f"{read.file.location} could not be read: {str(error).splitlines()[0][:300]}",
                hint="Run the sync again; if the lake was rewritten meanwhile it will find the new files.",
            ) from error

    def _open(self, files: S3FileSystem, file: LakeFile) -> Any:
        bucket, key = split(file.location)
        with self._lock:
            self.requests.append(file.location)
            self.bytes_read += file.size
        return files.open_input_file(f"{bucket}/{key}")

    def _batch(self, region: Region, batch: pa.RecordBatch) -> None:
        rows = batch.num_rows
        if not rows:
            return
        values = values_of(self.columns, batch)
        checksum = total(row_hashes(values))
        blocks = list(encode(values))
        with self._lock:
            tally = self.tallies[region]
            tally.rows += rows
            tally.checksum += checksum
            self.rows_read += rows
        self._put(blocks)

    def _positions(self, files: S3FileSystem, read: FileRead) -> Array:
        """Return the sorted positions deleted from a data file. A delete file is read once for all the files it names."""
        with self._loading:
            for delete in read.deletes:
                if delete.location not in self._deleted:
                    self._deleted[delete.location] = self._load(files, delete)
            parts = [self._deleted[delete.location].get(read.file.location) for delete in read.deletes]
        found = [part for part in parts if part is not None]
        return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)

    def _load(self, files: S3FileSystem, delete: LakeFile) -> dict[str, Array]:
        table = pq.read_table(
            self._open(files, delete), columns=["file_path", "pos"], read_dictionary=["file_path"]
        )
        paths, positions = table["file_path"].combine_chunks(), table["pos"].combine_chunks()
        if isinstance(paths, pa.ChunkedArray):
            paths, positions = paths.chunk(0), positions.chunk(0)
        indexes, numbers = paths.indices.to_numpy(), positions.to_numpy()
        return {path: numbers[indexes == i] for i, path in enumerate(paths.dictionary.to_pylist())}


def filesystem(connections: Connections) -> S3FileSystem:
    """Return Arrow's S3 client for the lake, with the credentials that boto3 finds."""
    from pyarrow.fs import S3FileSystem

    options: dict[str, Any] = {"region": connections.region}
    endpoint = connections.endpoint_urls.get("s3", connections.default_endpoint_url)
    if endpoint:
        scheme, _, host = endpoint.rpartition("://")
        options |= {"endpoint_override": host, "scheme": scheme or "https"}
    if connections.access_key:
        options |= {"access_key": connections.access_key, "secret_key": connections.secret_key}
    else:
        import boto3

        found = boto3.Session(region_name=connections.region).get_credentials()
        if found is not None:
            frozen = found.get_frozen_credentials()
            options |= {
                "access_key": frozen.access_key,
                "secret_key": frozen.secret_key,
                "session_token": frozen.token,
            }
    return S3FileSystem(**options, request_timeout=60, connect_timeout=10)


def _without(batch: pa.RecordBatch, start: int, deleted: Array) -> pa.RecordBatch:
    """Return the batch without the deleted positions; `start` is its first row's position in the file."""
    first, last = np.searchsorted(deleted, [start, start + batch.num_rows])
    if first == last:
        return batch
    kept = np.ones(batch.num_rows, bool)
    kept[deleted[first:last] - start] = False
    return batch.filter(pa.array(kept))
