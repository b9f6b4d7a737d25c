"""Put a file's normalized bytes into the lake: in parallel parts, each verified by S3, visible at once or not at all.

A multipart upload shows nothing until it is completed, so a reader sees the old object or the new one whole; a run
killed midway leaves the old one. Each part carries its SHA-256, which S3 compares with what it received; completing
names them all again, and the object's own checksum of checksums is compared with ours afterwards. The content's digest
lies in the object's metadata, by which a later run knows that it need not upload.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from penstock.errors import LandingError

# S3 allows 5 MiB to 5 GiB and 10,000 parts: 8 MiB carries files of 80 GB, larger ones get larger parts. Memory is
# (THREADS + 1) parts; larger parts only cost memory, smaller ones requests.
PART_BYTES = 8 * 1024**2
MOST_PARTS = 10_000
# Valid 1..10 (boto3's connection pool). On AWS one stream is some 50-100 MB/s; four fill a common line.
THREADS = 4
# A killed run's parts are billed until aborted. A day is longer than any run that is still alive.
STALE_AFTER = timedelta(days=1)

DIGEST_KEY = "content-sha256"
ROWS_KEY = "rows"
# the first and last day that the file has rows of, where its key has a day: what is known of it once it is archived
FIRST_DAY_KEY, LAST_DAY_KEY = "first-day", "last-day"


@dataclass(frozen=True)
class Content:
    """What is to lie in the object: its size and SHA-256, metadata to keep beside them, and its media type."""

    size: int
    sha256: str
    metadata: dict[str, str]
    type: str = "text/csv; charset=utf-8"


def lies_there(s3: Any, bucket: str, key: str, content: Content) -> bool:
    """Return whether the object already holds this very content, by its size and the digest kept with it."""
    found = head(s3, bucket, key)
    return (
        found is not None
        and found["ContentLength"] == content.size
        and found.get("Metadata", {}).get(DIGEST_KEY) == content.sha256
    )


def head(s3: Any, bucket: str, key: str) -> dict[str, Any] | None:
    """Return HeadObject's answer, None when there is no such object."""
    from botocore.exceptions import ClientError

    try:
        answer: dict[str, Any] = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey", "NotFound"):
            return None
        raise
    return answer


def upload(
    s3: Any,
    bucket: str,
    key: str,
    content: Content,
    chunks: Iterable[bytes],
    *,
    on_bytes: Callable[[int], None] | None = None,
    part_bytes: int = PART_BYTES,
    threads: int = THREADS,
) -> None:
    """Upload `chunks` as the object `key`, replacing it, once they have proved to be `content`.

    on_bytes: told the bytes that have arrived so far.
    Raises: LandingError if the chunks are not the content that was checked, or S3 holds something else afterwards. Until
    then the object stays as it was, and the parts sent are removed.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    part_bytes = max(part_bytes, -(-content.size // MOST_PARTS))
    _abort_stale(s3, bucket, key)
    upload_id = s3.create_multipart_upload(
        Bucket=bucket,
        Key=key,
        ChecksumAlgorithm="SHA256",
        ContentType=content.type,
        Metadata={**content.metadata, DIGEST_KEY: content.sha256},
    )["UploadId"]
    this = {"Bucket": bucket, "Key": key, "UploadId": upload_id}
    try:
        parts = _send_parts(s3, this, _parts(chunks, part_bytes, content, key), on_bytes, threads)
        s3.complete_multipart_upload(
            **this,
            MultipartUpload={
                "Parts": [
                    {name: part[name] for name in ("PartNumber", "ETag", "ChecksumSHA256")} for part in parts
                ]
            },
        )
    except BaseException:
        with suppress(
            BotoCoreError, ClientError
        ):  # the reason is on its way up; the parts go as stale ones later
            s3.abort_multipart_upload(**this)
        raise
    _verify(s3, bucket, key, content, parts)


def _parts(chunks: Iterable[bytes], part_bytes: int, content: Content, key: str) -> Iterator[bytes]:
    """Yield parts of equal size (the last may be smaller); refuse content that differs from what was checked."""
    digest = hashlib.sha256()
    held = bytearray()
    for chunk in chunks:
        digest.update(chunk)
        held += chunk
        while len(held) >= part_bytes:
            yield bytes(held[:part_bytes])
            del held[:part_bytes]
    if digest.hexdigest() != content.sha256:
        raise LandingError(
            f"{key.rpartition('/')[2]} changed while it was being landed; what lay in the lake is untouched.",
            hint="Seed it again once it is complete.",
        )
    if held:
        yield bytes(held)


def _send_parts(
    s3: Any,
    this: dict[str, str],
    parts: Iterable[bytes],
    on_bytes: Callable[[int], None] | None,
    threads: int,
) -> list[dict[str, Any]]:
    """Return the sent parts in order. At most `threads` are under way, so that memory does not grow with the file."""

    def send(number: int, body: bytes) -> dict[str, Any]:
        checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
        answer = s3.upload_part(**this, PartNumber=number, Body=body, ChecksumSHA256=checksum)
        return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum, "Size": len(body)}

    sent: list[dict[str, Any]] = []
    with ThreadPoolExecutor(threads, thread_name_prefix="upload") as pool:
        under_way: set[Future[dict[str, Any]]] = set()

        def collect(limit: int) -> None:
            nonlocal under_way
            while len(under_way) > limit:
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                sent.extend(future.result() for future in done)
                if on_bytes:
                    on_bytes(sum(part["Size"] for part in sent))

        for number, body in enumerate(parts, 1):
            collect(threads - 1)
            under_way.add(pool.submit(send, number, body))
        collect(0)
    return sorted(sent, key=lambda part: int(part["PartNumber"]))


def _verify(s3: Any, bucket: str, key: str, content: Content, parts: list[dict[str, Any]]) -> None:
    """Compare what S3 now says of the object with what was sent.

    Another run may have replaced the object in the meantime; its own digest then says so, and its run verifies it.
    """
    found = head(s3, bucket, key) or {}
    if found and found.get("Metadata", {}).get(DIGEST_KEY) != content.sha256:
        return
    raw = b"".join(base64.b64decode(part["ChecksumSHA256"]) for part in parts)
    expected = f"{base64.b64encode(hashlib.sha256(raw).digest()).decode()}-{len(parts)}"
    if found.get("ContentLength") != content.size or found.get("ChecksumSHA256", expected) != expected:
        raise LandingError(
            f"s3://{bucket}/{key} is not what was sent: {found.get('ContentLength')} bytes with checksum "
            f"{found.get('ChecksumSHA256')} instead of {content.size} with {expected}.",
            hint="Seed the file again.",
        )


def _abort_stale(s3: Any, bucket: str, key: str) -> None:
    """Remove what killed runs left of this key. Younger uploads may belong to a run that is still alive."""
    oldest = datetime.now(UTC) - STALE_AFTER
    answer = s3.list_multipart_uploads(Bucket=bucket, Prefix=key)
    for found in answer.get("Uploads", []):
        if found["Key"] == key and found["Initiated"] < oldest:
            s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=found["UploadId"])
