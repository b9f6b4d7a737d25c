"""Query results: written as Athena's files in S3, and back out of them a page at a time.

`<id>.csv` for rows, `<id>.txt` for DDL, UTILITY and EXPLAIN, `<id>-manifest.csv` for the files that a statement wrote; with
metadata. Rows stream through a file in the spool, so a result larger than memory passes. That file is kept for paging while
there is room, because clients fetch a result right after it is made; S3 is the truth and answers for every older one.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from athena_local.context import ResultColumn, StatementResult
from athena_local.objects import StorageError
from athena_local.queries import csvtext
from athena_local.queries.metadata import column_info, metadata_file

if TYPE_CHECKING:
    from athena_local.objects import ObjectStore

LOCAL_COPIES_BYTES = 1024**3  # of all kept result files together; below it paging reads no S3
METADATA_WRITERS = 8  # at once; each write is one small request, made while the rows go up
PAGE_READ_BYTES = 256 * 1024  # what one page reads first; doubled until it holds the rows asked for
BUCKET_KNOWN_SECONDS = 60  # how long a results bucket that was there is not asked for again

# SubstatementType -> what the metadata says was done
UPDATES = {
    "CREATE_TABLE_AS_SELECT": "CREATE TABLE",
    "INSERT": "INSERT",
    "UNLOAD": "UNLOAD",
    "UPDATE": "UPDATE",
    "DELETE": "DELETE",
    "MERGE": "MERGE",
}
_ROWS_COLUMN = ResultColumn("rows", "bigint", 19)
_UNSAID_COUNT = {"EXPLAIN", "DESCRIBE_TABLE", "SHOW_CREATE_TABLE"}  # answer no UpdateCount, as DDL does


def result_location(output: str, query_id: str, statement_type: str, substatement_type: str) -> str:
    """Return QueryExecution's OutputLocation; `output` ends in '/'."""
    if substatement_type == "CREATE_TABLE_AS_SELECT":
        return f"{output}tables/{query_id}"
    if substatement_type in {"INSERT", "UNLOAD"}:
        return f"{output}{query_id}"
    is_rows = statement_type == "DML" and substatement_type != "EXPLAIN"
    return f"{output}{query_id}{'.csv' if is_rows or substatement_type == 'SHOW_FUNCTIONS' else '.txt'}"


def put_options(configuration: dict[str, Any]) -> dict[str, str]:
    """Return what a ResultConfiguration asks of each object, as PutObject takes it."""
    options: dict[str, str] = {}
    encryption = configuration.get("EncryptionConfiguration") or {}
    if encryption.get("EncryptionOption") == "SSE_S3":
        options["ServerSideEncryption"] = "AES256"
    elif encryption.get("EncryptionOption") == "SSE_KMS":
        options["ServerSideEncryption"] = "aws:kms"
        if encryption.get("KmsKey"):
            options["SSEKMSKeyId"] = encryption["KmsKey"]
    if (configuration.get("AclConfiguration") or {}).get("S3AclOption"):
        options["ACL"] = "bucket-owner-full-control"
    if configuration.get("ExpectedBucketOwner"):
        options["ExpectedBucketOwner"] = configuration["ExpectedBucketOwner"]
    return options


@dataclass(frozen=True)
class Target:
    """Where a query's result goes: `location` is its QueryExecution's OutputLocation, `options` go with each object."""

    query_id: str
    location: str
    statement_type: str = "DML"
    substatement_type: str = "SELECT"
    options: dict[str, str] = field(default_factory=dict)

    @property
    def is_text(self) -> bool:
        return self.location.endswith(".txt")


@dataclass
class StoredResult:
    """What is remembered of a result: enough to page through it. `update_count` is None where Athena answers none."""

    columns: list[dict[str, Any]] = field(default_factory=list)
    update_count: int | None = None
    manifest_location: str | None = None
    output_rows: int = 0
    size_bytes: int = 0  # of the paged form: a CSV, with the header where the result has one
    header: str | None = None  # of a text file, which does not hold it


class ResultStore:
    """Writes and reads results. Thread-safe; one a server."""

    def __init__(self, objects: ObjectStore, directory: Path) -> None:
        self._objects = objects
        self._directory = directory
        self._copies: OrderedDict[str, int] = OrderedDict()  # query id -> size, least recently made first
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(METADATA_WRITERS, thread_name_prefix="metadata")
        self._buckets: dict[str, float] = {}
        directory.mkdir(parents=True, exist_ok=True)

    def has_bucket(self, bucket: str) -> bool:
        """Whether S3 has a bucket; True when S3 does not say, since the query will tell of that with its own error."""
        now = time.monotonic()
        if now - self._buckets.get(bucket, -BUCKET_KNOWN_SECONDS) < BUCKET_KNOWN_SECONDS:
            return True
        try:
            found = self._objects.has_bucket(bucket)
        except StorageError:
            return True
        if found:
            self._buckets[bucket] = now
        return found

    def has_result(self, location: str) -> bool:
        try:
            self._objects.stat(location)
        except StorageError as error:
            return not error.missing
        return True

    def manifest(self, location: str) -> list[str]:
        """Return the files that a manifest names. Raises FileNotFoundError when it is gone from S3."""
        try:
            return self._objects.read(location).decode().splitlines()
        except StorageError as error:
            if error.missing:
                raise _gone(location) from error
            raise

    def store(
        self, target: Target, result: StatementResult, objects: ObjectStore | None = None
    ) -> StoredResult:
        """Write a result's files, all or none. `objects` is the query's own view of S3, which ends when it is cancelled."""
        view = objects or self._objects
        if target.substatement_type in UPDATES:
            return self._store_counts(target, result, view)
        path = self._copy_path(target.query_id)
        columns = [column_info(column) for column in result.columns]
        try:
            rows, size, header = _write_copy(path, target, result)
            metadata = metadata_file(target.query_id, columns) if columns else b""
            with self._writing_metadata(target, metadata):
                self._upload(path, size, target, view, header)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self._keep(target.query_id, size)
        says_none = target.statement_type == "DDL" or target.substatement_type in _UNSAID_COUNT
        return StoredResult(columns, None if says_none else 0, None, rows, size, header)

    def store_failure(self, target: Target, reason: str) -> None:
        """Write the reason where a DDL or UTILITY statement's text would have been, as Athena does."""
        options = {**target.options, "ContentType": "application/octet-stream"}
        self._objects.write(target.location, reason.encode(), **options)

    def _store_counts(self, target: Target, result: StatementResult, view: ObjectStore) -> StoredResult:
        columns = [column_info(_ROWS_COLUMN)]
        count = result.update_count or 0
        metadata = metadata_file(target.query_id, columns, (UPDATES[target.substatement_type], count))
        listed = (
            bool(result.manifest) or target.substatement_type == "UNLOAD"
        )  # an empty list of files is one too
        manifest = _manifest_location(target) if listed else None
        with self._writing_metadata(target, metadata):
            if manifest:
                body = "".join(f"{path}\n" for path in result.manifest).encode()
                view.write(manifest, body, **target.options)
        return StoredResult(columns, count, manifest, count, 0)

    @contextlib.contextmanager
    def _writing_metadata(self, target: Target, body: bytes) -> Iterator[None]:
        """Write the metadata beside what happens inside; both are there when it ends, or none and an error is raised."""
        if not body:
            yield
            return
        location = f"{target.location}.metadata"
        options = {**target.options, "ContentType": _content_type(target, 1)}
        writing = self._pool.submit(self._objects.write, location, body, **options)
        try:
            yield
            writing.result()
        except BaseException:
            wait([writing])
            with contextlib.suppress(StorageError):
                self._objects.delete([location, target.location, _manifest_location(target)])
            raise

    def _upload(self, path: Path, size: int, target: Target, view: ObjectStore, header: str | None) -> None:
        options = {**target.options, "ContentType": _content_type(target, size)}
        if target.is_text:
            rows = [row[0] or "" for row, _ in csvtext.read_rows(path.read_bytes(), complete=True)]
            view.write(target.location, "\n".join(rows[1:] if header else rows).encode(), **options)
        else:
            view.upload(path, target.location, **options)

    def page(
        self, query_id: str, location: str, stored: StoredResult, offset: int, limit: int
    ) -> tuple[list[csvtext.Row], int | None]:
        """Return up to `limit` rows from byte `offset` of the paged form, and the offset after them if more follow.

        Raises FileNotFoundError when the result's object is gone from S3.
        """
        wanted = PAGE_READ_BYTES
        while offset < stored.size_bytes:
            text = self._read(query_id, location, stored, offset, wanted)
            complete = offset + wanted >= stored.size_bytes
            rows = list(islice(csvtext.read_rows(text, complete=complete), limit))
            if len(rows) == limit or complete:
                end = offset + rows[-1][1] if rows else stored.size_bytes
                return [row for row, _ in rows], end if end < stored.size_bytes else None
            wanted *= 2
        return [], None

    def _read(self, query_id: str, location: str, stored: StoredResult, offset: int, length: int) -> bytes:
        """Read the paged form: from the spool's copy while its object is in S3, or from the object."""
        try:
            with self._copy_path(query_id).open("rb") as file:
                if not self.has_result(location):
                    raise _gone(location)
                file.seek(offset)
                return file.read(length)
        except FileNotFoundError as error:
            if error.filename == location:
                raise
        try:
            if not location.endswith(".txt"):
                return self._objects.read_range(location, offset, min(length, stored.size_bytes - offset))
            text = self._objects.read(location).decode()
        except StorageError as error:
            if error.missing:
                raise _gone(location) from error
            raise
        lines = ([stored.header] if stored.header else []) + (text.split("\n") if stored.output_rows else [])
        return b"".join(csvtext.write_row([line]) for line in lines)[offset : offset + length]

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


def _write_copy(path: Path, target: Target, result: StatementResult) -> tuple[int, int, str | None]:
    """Write the paged form of a result and return its rows, its bytes, and a text file's header."""
    header = None
    rows = 0
    with path.open("wb") as file:
        if result.batches is not None:
            file.write(csvtext.write_row([column.name for column in result.columns]))
            if target.is_text:
                header = result.columns[0].name
            for batch in result.batches:
                for text in csvtext.write_batches(batch, result.columns):
                    file.write(text)
                rows += batch.num_rows
        else:
            # a value may hold a line break: in the text file it cannot be told from the next line
            for line in (part for whole in result.lines or () for part in whole.split("\n")):
                file.write(csvtext.write_row([line]))
                rows += 1
        return rows, file.tell(), header


def _content_type(target: Target, size: int) -> str:
    """Return what Athena gives its files: what its engine did not write (SHOW, an empty DDL text) is told apart."""
    is_show = target.substatement_type.startswith("SHOW_") and target.substatement_type != "SHOW_CREATE_TABLE"
    is_empty_text = target.is_text and size == 0
    return "binary/octet-stream" if is_show or is_empty_text else "application/octet-stream"


def _manifest_location(target: Target) -> str:
    return f"{target.location}-manifest.csv"


def _gone(location: str) -> FileNotFoundError:
    return FileNotFoundError(2, "the result is gone from S3", location)
