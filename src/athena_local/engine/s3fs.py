"""The S3 file system that DuckDB reads Parquet through: read only, ranges, and every byte the engine asked for counted.

Small objects are fetched whole in one request and served from memory, because a local S3 pays for the whole object at
every range; what is *counted* is still only the ranges that the engine read, each once a query.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from fsspec import AbstractFileSystem

from athena_local.objects import S3Object

if TYPE_CHECKING:
    from athena_local.context import Statistics
    from athena_local.objects import ObjectStore

WHOLE_OBJECT_BYTES = 8 * 1024**2  # at or below: one GET. Higher costs memory, lower more requests a file
RANGE_BYTES = (
    2 * 1024**2
)  # a larger object is read in blocks of at least this, so that column chunks coalesce
AHEAD = 8  # requests side by side; more only wait for each other in a local S3
CACHE_BYTES = (
    64 * 1024**2
)  # blocks kept, of all queries together; above it the oldest go and are fetched again


class RangeSet:
    """Byte ranges seen so far; `add` returns how many bytes of a range are new."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, start: int, end: int) -> int:
        if start >= end:
            return 0
        first = bisect_left(self._ends, start)
        last, covered, low, high = first, 0, start, end
        while last < len(self._starts) and self._starts[last] <= end:
            covered += max(0, min(end, self._ends[last]) - max(start, self._starts[last]))
            low, high = min(low, self._starts[last]), max(high, self._ends[last])
            last += 1
        self._starts[first:last] = [low]
        self._ends[first:last] = [high]
        return end - start - covered


class _Blocks:
    """Bytes fetched lately, each for one query alone; what all hold together is bounded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks: OrderedDict[tuple[int, str, int], bytes] = OrderedDict()
        self._size = 0

    def get(self, key: tuple[int, str, int]) -> bytes | None:
        with self._lock:
            block = self._blocks.get(key)
            if block is not None:
                self._blocks.move_to_end(key)
            return block

    def put(self, key: tuple[int, str, int], block: bytes) -> None:
        with self._lock:
            if key not in self._blocks:
                self._blocks[key] = block
                self._size += len(block)
            while self._size > CACHE_BYTES and len(self._blocks) > 1:
                self._size -= len(self._blocks.popitem(last=False)[1])

    def drop(self, owner: int) -> None:
        with self._lock:
            for key in [key for key in self._blocks if key[0] == owner]:
                self._size -= len(self._blocks.pop(key))


_blocks = _Blocks()


class S3FileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec ships no types
    """fsspec's face of an ObjectStore for one query. Nothing is listed, written or deleted through it."""

    protocol = "s3"
    cachable = False

    def __init__(self, objects: ObjectStore, statistics: Statistics) -> None:
        super().__init__()
        self._objects = objects
        self._statistics = statistics
        self._lock = threading.Lock()
        self._known: dict[str, S3Object] = {}
        self._seen: dict[str, RangeSet] = {}
        self.failure: Exception | None = None  # DuckDB keeps only the text of what a file raised

    def close(self) -> None:
        _blocks.drop(id(self))

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.failure = error
            raise

    def register(self, items: list[S3Object]) -> None:
        """Remember what a listing said, which saves a HEAD for each object."""
        with self._lock:
            self._known.update({item.path: item for item in items})

    def stat(self, path: str) -> S3Object:
        path = _full(path)
        with self._lock:
            known = self._known.get(path)
        if known is None:
            with self.recording():
                known = self._objects.stat(path)
            self.register([known])
        return known

    def read_bytes(self, path: str, start: int, length: int) -> bytes:
        """Return a range, counted as scanned."""
        item = self.stat(path)
        end = min(start + length, item.size)
        if end <= start:
            return b""
        with self._lock:
            fresh = self._seen.setdefault(item.path, RangeSet()).add(start, end)
        self._statistics.add_scanned(fresh)
        if item.size <= WHOLE_OBJECT_BYTES:
            return self._block(item, 0, item.size)[start:end]
        if end - start > RANGE_BYTES:
            return self._objects.read_range(item.path, start, end - start)
        first, parts = start // RANGE_BYTES, []
        for number in range(first, (end - 1) // RANGE_BYTES + 1):
            base = number * RANGE_BYTES
            block = self._block(item, base, min(RANGE_BYTES, item.size - base))
            parts.append(block[max(start - base, 0) : end - base])
        return b"".join(parts)

    def fetch_ahead(self, items: list[S3Object]) -> None:
        """Fetch the ends of several objects side by side, where Parquet keeps what DuckDB asks for first, one by one."""
        wanted, size = [], 0
        for item in items:
            start = 0 if item.size <= WHOLE_OBJECT_BYTES else (item.size - 1) // RANGE_BYTES * RANGE_BYTES
            size += item.size - start
            if size > CACHE_BYTES // 2:
                break
            wanted.append((item, start))
        if len(wanted) > 1:
            with self.recording(), ThreadPoolExecutor(AHEAD) as pool:
                list(pool.map(lambda pair: self._block(pair[0], pair[1], pair[0].size - pair[1]), wanted))

    def _block(self, item: S3Object, start: int, length: int) -> bytes:
        key = (id(self), item.path, start)
        block = _blocks.get(key)
        if block is None:
            whole = length == item.size
            block = (
                self._objects.read(item.path) if whole else self._objects.read_range(item.path, start, length)
            )
            _blocks.put(key, block)
        return block

    # what DuckDB calls

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        item = self.stat(path)
        return {"name": item.path, "size": item.size, "type": "file", "mtime": item.modified}

    def exists(self, path: str, **_: Any) -> bool:
        self.stat(path)
        return True

    def glob(self, path: str, **_: Any) -> list[str]:
        return [_full(path)]

    def modified(self, path: str) -> datetime.datetime:
        return self.stat(path).modified

    def open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        if mode != "rb":
            raise PermissionError(f"{path}: the engine writes to its spool only")
        return _Handle(self, self.stat(path))


class _Handle(io.RawIOBase):
    """A file DuckDB seeks and reads in, from several threads at once.

    DuckDB means one positional read, but makes two calls of it, seek and read; between them another thread may come. So
    each thread has a position of its own: with a common one it would be handed the other's bytes.
    """

    def __init__(self, system: S3FileSystem, item: S3Object) -> None:
        self._system = system
        self._item = item
        self._place = threading.local()
        self.size = item.size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._item.size}[whence]
        self._place.at = base + offset
        return base + offset

    def tell(self) -> int:
        return getattr(self._place, "at", 0)

    def read(self, size: int = -1) -> bytes:
        start = self.tell()
        if size is None or size < 0:
            size = self._item.size - start
        with self._system.recording():
            chunk = self._system.read_bytes(self._item.path, start, size)
        self._place.at = start + len(chunk)
        return chunk

    def readinto(self, buffer: Any) -> int:
        chunk = self.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _full(path: str) -> str:
    return path if "://" in path else f"s3://{path}"
