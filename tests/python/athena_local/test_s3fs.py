"""The file system that DuckDB reads Parquet through."""

from __future__ import annotations

import datetime
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from athena_local.engine.s3fs import WHOLE_OBJECT_BYTES, S3FileSystem
from athena_local.objects import S3Object

WHEN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class Objects:
    """An object store of one object."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def stat(self, path: str) -> S3Object:
        return S3Object(path, len(self.data), "etag", WHEN)

    def read(self, _: str) -> bytes:
        return self.data

    def read_range(self, _: str, start: int, length: int) -> bytes:
        return self.data[start : start + length]


class Scanned:
    """What a query counts."""

    def __init__(self) -> None:
        self.bytes = 0

    def add_scanned(self, count: int) -> None:
        self.bytes += count


def opened(data: bytes) -> Any:
    objects: Any = Objects(data)
    statistics: Any = Scanned()
    return S3FileSystem(objects, statistics).open("s3://bucket/key")


def test_a_thread_reads_where_it_sought_whatever_others_do_in_between() -> None:
    """DuckDB's positional read is two calls, seek and read, and its threads share a file."""
    for size in (4_000, WHOLE_OBJECT_BYTES + 4_000):
        data = b"".join(number.to_bytes(4, "big") for number in range(size // 4))
        handle = opened(data)
        with ThreadPoolExecutor(1) as other:
            handle.seek(400)
            other.submit(handle.seek, 2_000).result()
            assert handle.read(8) == data[400:408]
            assert other.submit(handle.read, 8).result() == data[2_000:2_008]
            assert other.submit(handle.read, 4).result() == data[2_008:2_012]
            assert handle.read(4) == data[408:412]
            assert (handle.tell(), other.submit(handle.tell).result()) == (412, 2_012)
