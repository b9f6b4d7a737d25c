"""S3 as the engine sees it: whole objects, ranges, listings, uploads from and downloads to the spool, batch deletes.

The only module of the package that calls S3. Paths are `s3://bucket/key`; s3a:// and s3n://, as tables in the wild have
them, mean the same. Whatever goes wrong there is a `StorageError` in Trino's words that names the object: nothing waits
longer than `READ_TIMEOUT_SECONDS` for a byte, a body that breaks off is fetched on from where it broke.
"""

from __future__ import annotations

import contextlib
import copy
import datetime
import io
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from athena_local.errors import OTHER, SYSTEM, QueryCancelledError, QueryError

if TYPE_CHECKING:
    from athena_local.config import Config
    from athena_local.context import Cancellation

COPY_BYTES = 1024**2  # read at once, and between two looks at whether the query was cancelled
PART_BYTES = 8 * 1024**2  # above it an upload goes up in parts of this size, side by side
POLL_SECONDS = 0.02  # between two looks at an upload in parts
LIST_PAGE_KEYS = 1000  # of one request
LISTINGS_A_PAGE = (
    8  # locations for which a page of a common listing is tried: an eighth more requests if it was in vain
)
ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})  # storage classes that Athena passes over in Hive tables
DELETE_BATCH_KEYS = 1000  # DeleteObjects' own limit
CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 20  # for the next byte; more only delays the error of an endpoint that hangs
ATTEMPTS = 3  # of a request; and of a body, without a byte in between
RETRY_SECONDS = 0.2  # before a broken body is asked for again, doubled each time


class StorageError(QueryError):
    """S3 did not do what it was asked. `missing`: it answered that the object or bucket is not there."""

    missing = False


@dataclass(frozen=True)
class S3Object:
    """One listed object. `modified` in UTC, whole seconds as S3 keeps it; `archived`: S3 does not hand it out."""

    path: str
    size: int
    etag: str
    modified: datetime.datetime
    archived: bool = False


S3Objects = list[S3Object]  # within the class below `list` is a method


def split_path(path: str) -> tuple[str, str]:
    """Return (bucket, key) of an s3:// path; raises QueryError for any other scheme."""
    parts = urlsplit(path.replace("#", "%23").replace("?", "%3F"))
    if parts.scheme not in {"s3", "s3a", "s3n"} or not parts.netloc:
        raise QueryError("INVALID_TABLE_PROPERTY", f"Not an S3 location: {path}")
    return parts.netloc, parts.path.lstrip("/").replace("%23", "#").replace("%3F", "?")


class ObjectStore:
    """Thread-safe; one boto3 client serves every query."""

    def __init__(self, config: Config) -> None:
        import boto3
        from boto3.s3.transfer import TransferConfig
        from botocore.config import Config as BotoConfig

        session = boto3.session.Session(
            aws_access_key_id=config.access_key,
            aws_secret_access_key=config.secret_key,
            region_name=config.region,
        )
        self.client: Any = session.client(
            "s3",
            endpoint_url=config.s3_endpoint,
            config=BotoConfig(
                max_pool_connections=32,
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                read_timeout=READ_TIMEOUT_SECONDS,
                retries={"max_attempts": ATTEMPTS, "mode": "standard"},
                s3={"addressing_style": "path"},
            ),
        )
        self._parts = TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES)
        self._cancellation: Cancellation | None = None

    def cancelled_by(self, cancellation: Cancellation) -> ObjectStore:
        """Return the same store for one query: what it reads, lists and uploads ends soon after the query is cancelled.

        Deleting and small writes go on, because a cancelled query takes away what it has left.
        """
        view = copy.copy(self)
        view._cancellation = cancellation
        return view

    def never_cancelled(self) -> ObjectStore:
        """Return the same store for taking away what a cancelled query has left."""
        view = copy.copy(self)
        view._cancellation = None
        return view

    def list(self, prefix: str) -> Iterator[S3Object]:
        """Yield every object below an s3:// prefix, by key. A missing bucket is an error, a missing prefix is empty."""
        for item in self._list(prefix):
            self._check()
            yield item

    def _list(self, prefix: str) -> Iterator[S3Object]:
        bucket, key = split_path(prefix)
        with _told("HIVE_FILESYSTEM_ERROR", f"Failed to list directory: {prefix}"):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key):
                for item in page.get("Contents", ()):
                    path, etag = f"s3://{bucket}/{item['Key']}", item["ETag"].strip('"')
                    archived = item.get("StorageClass") in ARCHIVED
                    yield S3Object(path, item["Size"], etag, item["LastModified"], archived)

    def list_data(self, location: str) -> S3Objects:
        """Return the objects that are a table's or partition's data: all below it; hidden, empty, archived ones aside.

        Hidden as for Hive: any path element below the location that begins with '_' or '.'.
        """
        base = location.rstrip("/") + "/"
        _, base_key = split_path(base)
        found = []
        for item in self.list(base):
            relative = split_path(item.path)[1][len(base_key) :]
            unread = not item.size or item.archived
            if not unread and not any(part[:1] in "_." for part in relative.split("/") if part):
                found.append(item)
        return found

    def list_together(self, locations: Sequence[str]) -> dict[str, S3Objects] | None:
        """Return `list_data` of each location from one listing of what they have in common.

        None where that would take more requests than it spares: few locations, or many other objects beside them.
        """
        bases = {location: "s3://{}/{}/".format(*split_path(location.rstrip("/"))) for location in locations}
        found: dict[str, S3Objects] = {base: [] for base in bases.values()}
        shared = os.path.commonprefix(list(found))  # noqa: RUF071 - of characters, cut at a slash below
        common = shared[: shared.rfind("/") + 1]
        pages = len(found) // LISTINGS_A_PAGE
        if not pages or common.count("/") < 3:  # s3://bucket/
            return None
        for number, item in enumerate(self.list(common)):
            if number >= pages * LIST_PAGE_KEYS:
                return None
            end, hidden = len(item.path), not item.size or item.archived
            while (slash := item.path.rfind("/", 0, end)) >= len(common) - 1:
                hidden = hidden or item.path[slash + 1 : slash + 2] in {"_", "."}
                if not hidden and item.path[: slash + 1] in found:
                    found[item.path[: slash + 1]].append(item)
                end = slash
        return {location: found[base] for location, base in bases.items()}

    def stat(self, path: str) -> S3Object:
        """Return one object's size, ETag and time; StorageError, `missing`, when it is not there."""
        bucket, key = split_path(path)
        with _opening(path):
            head = self.client.head_object(Bucket=bucket, Key=key)
        return S3Object(
            f"s3://{bucket}/{key}", head["ContentLength"], head["ETag"].strip('"'), head["LastModified"]
        )

    def has_bucket(self, bucket: str) -> bool:
        try:
            with _told("HIVE_FILESYSTEM_ERROR", f"Failed to ask for bucket {bucket}"):
                self.client.head_bucket(Bucket=bucket)
        except StorageError as error:
            if error.missing:
                return False
            raise
        return True

    def read(self, path: str) -> bytes:
        body = io.BytesIO()
        self._copy(path, body)
        return body.getvalue()

    def read_range(self, path: str, start: int, length: int) -> bytes:
        if length <= 0:
            return b""
        body = io.BytesIO()
        self._copy(path, body, start, start + length)
        return body.getvalue()

    def download(self, path: str, to: Path) -> None:
        """Copy an object to a file, in one stream: a local S3 pays for the whole object at every range."""
        with to.open("wb") as file:
            self._copy(path, file)

    def write(self, path: str, body: bytes, **options: str) -> None:
        """Store an object; `options` are PutObject's own (ContentType, ServerSideEncryption …)."""
        bucket, key = split_path(path)
        with _writing(path):
            self.client.put_object(Bucket=bucket, Key=key, Body=body, **options)

    def upload(self, source: Path, path: str, **options: str) -> None:
        bucket, key = split_path(path)
        self._check()
        if source.stat().st_size <= PART_BYTES:
            with _writing(path), source.open("rb") as file:
                self.client.put_object(Bucket=bucket, Key=key, Body=file, **options)
            return
        from boto3.s3.transfer import create_transfer_manager

        with _writing(path), create_transfer_manager(self.client, self._parts) as manager:
            future = manager.upload(str(source), bucket, key, extra_args=options)
            while not future.done():
                if self._cancelled:
                    future.cancel()
                    break
                time.sleep(POLL_SECONDS)
            try:
                future.result()
            except Exception:
                self._check()
                raise

    def delete(self, paths: Iterable[str]) -> None:
        by_bucket: dict[str, list[str]] = {}
        for path in paths:
            bucket, key = split_path(path)
            by_bucket.setdefault(bucket, []).append(key)
        for bucket, keys in by_bucket.items():
            for start in range(0, len(keys), DELETE_BATCH_KEYS):
                batch = [{"Key": key} for key in keys[start : start + DELETE_BATCH_KEYS]]
                with _told("HIVE_FILESYSTEM_ERROR", f"Failed to delete s3://{bucket}/{batch[0]['Key']}"):
                    self.client.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})

    def delete_prefix(self, prefix: str) -> None:
        self.delete([item.path for item in self._list(prefix)])

    # reading

    def _copy(self, path: str, to: BinaryIO, start: int = 0, end: int | None = None) -> None:
        """Write an object, or its bytes from `start` to before `end`, to a file; a body that breaks off is resumed."""
        answer = self._get(path, start, end)
        etag, position, failures = answer["ETag"], start, 0
        end = start + int(answer["ContentLength"])  # a range may reach beyond the object
        while position < end:
            before, why = position, ""
            try:
                for chunk in self._chunks(answer["Body"], end - position):
                    to.write(chunk)
                    position += len(chunk)
            except BotoCoreError as error:
                why = f": {error}"
            if position < end:
                failures = 1 if position > before else failures + 1
                if failures == ATTEMPTS:
                    text = f"Failed to read file: {path}: it ended after {position - start} of {end - start} bytes{why}"
                    raise StorageError("HIVE_CURSOR_ERROR", text, category=SYSTEM, retryable=True)
                time.sleep(RETRY_SECONDS * 2 ** (failures - 1))
                self._check()
                answer = self._get(path, position, end, etag)

    def _get(self, path: str, start: int, end: int | None, etag: str | None = None) -> Any:
        bucket, key = split_path(path)
        wanted: dict[str, str] = {}
        if start or end is not None:
            wanted["Range"] = f"bytes={start}-" if end is None else f"bytes={start}-{end - 1}"
        if etag is not None:  # the rest of another object would make nonsense of both
            wanted["IfMatch"] = etag
        self._check()
        with _opening(path, start, end):
            return self.client.get_object(Bucket=bucket, Key=key, **wanted)

    def _chunks(self, body: Any, length: int) -> Iterator[bytes]:
        """Yield a body's bytes; a read that waits for the next is ended when the query is cancelled."""
        waiting = _closer(body)
        if self._cancellation is not None:
            self._cancellation.on_cancel(waiting)
        try:
            while length > 0 and (chunk := body.read(min(COPY_BYTES, length))):
                self._check()
                length -= len(chunk)
                yield chunk
        except BotoCoreError:
            self._check()
            raise
        finally:
            if self._cancellation is not None:
                self._cancellation.forget(waiting)
            body.close()

    @property
    def _cancelled(self) -> bool:
        return self._cancellation is not None and self._cancellation.requested

    def _check(self) -> None:
        if self._cancelled:
            raise QueryCancelledError


def _closer(body: Any) -> Callable[[], None]:
    """Return what ends a read that waits for the network, from another thread."""

    def close() -> None:
        with contextlib.suppress(AttributeError, OSError):  # it may have ended by itself in this moment
            body._raw_stream._fp.fp.raw._sock.shutdown(socket.SHUT_RDWR)

    return close


def _opening(path: str, start: int = 0, end: int | None = None) -> contextlib.AbstractContextManager[None]:
    where = f"(offset={start}, length={end - start})" if end is not None else "(offset=0)"
    return _told("HIVE_CANNOT_OPEN_SPLIT", f"Error opening Hive split {path} {where}")


def _writing(path: str) -> contextlib.AbstractContextManager[None]:
    return _told("HIVE_WRITER_CLOSE_ERROR", f"Error committing write to Hive: {path}")


@contextlib.contextmanager
def _told(code: str, what: str) -> Iterator[None]:
    """Raise botocore's errors as a StorageError, as the AWS SDK for Java words what S3 answered."""
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        found = error.response.get("Error", {})
        told = f"{found.get('Message', error)} (Service: Amazon S3; Status Code: {status}; Error Code: {found.get('Code')})"
        ours = status >= 500
        raised = StorageError(code, f"{what}: {told}", category=SYSTEM if ours else OTHER, retryable=ours)
        raised.missing = status == 404
        raise raised from error
    except BotoCoreError as error:
        raise StorageError(
            code, f"{what}: S3 cannot be reached: {error}", category=SYSTEM, retryable=True
        ) from error
