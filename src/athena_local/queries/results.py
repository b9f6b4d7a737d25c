"""A statement's outcome into its result files in S3, and back out of them a page at a time.

`<id>.csv` for rows, `<id>.txt` for DDL, UTILITY and EXPLAIN, `<id>-manifest.csv` for what wrote data; with metadata.
Rows stream through a file in the spool, so a result larger than memory passes. That file is kept for paging while there is
room, because clients fetch a result right after it is made; S3 is the truth and answers for every older one.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from athena_local.context import ResultColumn, StatementResult
from athena_local.queries import csvtext
from athena_local.queries.metadata import column_info, metadata_file

if TYPE_CHECKING:
    from athena_local.objects import ObjectStore

LOCAL_COPIES_BYTES = 1024**3  # of all kept result files together; below it paging reads no S3
SINGLE_PUT_BYTES = 4 * 1024**2  # smaller results go up in one request, larger ones in parts
METADATA_WRITERS = 8  # at once; each write is one small request, made while the rows go up
PAGE_READ_BYTES = 256 * 1024  # what one page reads first; doubled until it holds the rows asked for

COUNTED = {"CREATE_TABLE_AS_SELECT", "INSERT", "MERGE", "DELETE", "UPDATE"}
_ROWS_COLUMN = ResultColumn("rows", "bigint", 19)


def result_suffix(statement_type: str, substatement_type: str) -> str:
    """Return what follows the query id in the name of the result object."""
    if substatement_type in COUNTED:
        return ""
    return ".csv" if statement_type == "DML" and substatement_type != "EXPLAIN" else ".txt"


@dataclass
class StoredResult:
    """What is remembered of a result: enough to page through it."""

    columns: list[dict[str, Any]] = field(default_factory=list)
    update_count: int = 0
    manifest_location: str | None = None
    output_rows: int = 0
    size_bytes: int = 0  # of the paged form: the CSV


class ResultStore:
    """Writes and reads results. Thread-safe; one a server."""

    def __init__(self, objects: ObjectStore, directory: Path) -> None:
        self._objects = objects
        self._directory = directory
        self._copies: OrderedDict[str, int] = OrderedDict()  # query id -> size, least recently made first
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(METADATA_WRITERS, thread_name_prefix="metadata")
        directory.mkdir(parents=True, exist_ok=True)

    def store(self, query_id: str, location: str, result: StatementResult) -> StoredResult:
        """Write a result's files; `location` is that of the result object (QueryExecution's OutputLocation)."""
        if result.update_count is not None:
            return self._store_counts(query_id, location, result)
        path = self._copy_path(query_id)
        columns = [column_info(column) for column in result.columns]
        try:
            with path.open("wb") as file:
                if result.batches is not None:
                    file.write(csvtext.write_row([column.name for column in result.columns]))
                    rows = 0
                    for batch in result.batches:
                        file.write(csvtext.write_batch(batch, result.columns))
                        rows += batch.num_rows
                else:
                    rows = len(result.lines or ())
                    for line in result.lines or ():
                        file.write(csvtext.write_row([line]))
                size = file.tell()
            with self._writing_metadata(query_id, location, columns):
                self._upload(path, size, location)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self._keep(query_id, size)
        return StoredResult(columns, 0, None, rows, size)

    def _store_counts(self, query_id: str, location: str, result: StatementResult) -> StoredResult:
        manifest = f"{location}-manifest.csv"
        columns = [column_info(_ROWS_COLUMN)]
        with self._writing_metadata(query_id, location, columns):
            self._objects.write(manifest, "".join(f"{path}\n" for path in result.manifest).encode())
        return StoredResult(columns, result.update_count or 0, manifest, result.update_count or 0, 0)

    @contextlib.contextmanager
    def _writing_metadata(
        self, query_id: str, location: str, columns: list[dict[str, Any]]
    ) -> Iterator[None]:
        """Write the metadata beside what happens inside; both are there when it ends, or its error is raised."""
        if not columns:
            yield
            return
        body = metadata_file(query_id, columns)
        writing = self._pool.submit(self._objects.write, f"{location}.metadata", body)
        try:
            yield
        finally:
            wait([writing])
        writing.result()

    def _upload(self, path: Path, size: int, location: str) -> None:
        if location.endswith(".txt"):
            rows = csvtext.read_rows(path.read_bytes(), complete=True)
            text = "".join("\t".join(value or "" for value in row) + "\n" for row, _ in rows)
            self._objects.write(location, text.encode())
        elif size <= SINGLE_PUT_BYTES:
            self._objects.write(location, path.read_bytes())
        else:
            self._objects.upload(path, location)

    def page(
        self, query_id: str, location: str, stored: StoredResult, offset: int, limit: int
    ) -> tuple[list[csvtext.Row], int | None]:
        """Return up to `limit` rows from byte `offset` of the paged form, and the offset after them if more follow."""
        wanted = PAGE_READ_BYTES
        while offset < stored.size_bytes:
            text = self._read(query_id, location, offset, wanted)
            complete = offset + wanted >= stored.size_bytes
            rows = list(islice(csvtext.read_rows(text, complete=complete), limit))
            if len(rows) == limit or complete:
                end = offset + rows[-1][1] if rows else stored.size_bytes
                return [row for row, _ in rows], end if end < stored.size_bytes else None
            wanted *= 2
        return [], None

    def _read(self, query_id: str, location: str, offset: int, length: int) -> bytes:
        try:
            with self._copy_path(query_id).open("rb") as file:
                file.seek(offset)
                return file.read(length)
        except FileNotFoundError:
            pass
        if location.endswith(".txt"):
            lines = self._objects.read(location).decode().split("\n")[:-1]
            return b"".join(csvtext.write_row([line]) for line in lines)[offset : offset + length]
        return self._objects.read_range(location, offset, length)

    def _copy_path(self, query_id: str) -> Path:
        return self._directory / f"{query_id}.csv"

    def _keep(self, query_id: str, size: int) -> None:
        with self._lock:
            self._copies[query_id] = size
            total = sum(self._copies.values())
            while total > LOCAL_COPIES_BYTES:
                oldest, freed = self._copies.popitem(last=False)
                self._copy_path(oldest).unlink(missing_ok=True)
                total -= freed
