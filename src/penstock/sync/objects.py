"""Whole objects of the lake, checked on arrival: what S3 sent is what was stored, or it is read again, or refused.

An encrypted connection protects bytes on the way, but nothing in most Parquet files tells a flipped bit in a page from
data. So an object is read whole and checked against what there is: its length, the checksum that S3 keeps of it (botocore
compares it while reading), and its ETag where that is an MD5 (one part, not encrypted with a key of KMS). An answer that
fails is asked for again. Refused with its location: an object that fails every time, or is of another size than the
manifest says.

An object uploaded in parts has no MD5; Amazon's own checksum of it (CRC64NVME) is compared where awscrt is installed.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import closing
from typing import IO, TYPE_CHECKING, Any

from penstock.errors import SyncError

if TYPE_CHECKING:
    import pyarrow as pa

# Answers asked for before an object is given up: 1 to 10. botocore's own retries, of answers that never began, come on top.
ATTEMPTS = 3
# Larger objects wait in a temporary file, not in memory: 1 to 256 MB. Two readers hold one each; a month of forecasts
# is 4 MB.
MEMORY_BYTES = 32 * 1024**2
CHUNK_BYTES = 1024**2
_MD5 = re.compile(r'^"?([0-9a-f]{32})"?$')


def read(client: Any, bucket: str, key: str, size: int | None = None) -> bytes:
    """Return an object's bytes, checked. `size`: what it must be, in bytes.

    Raises: FileNotFoundError when it is not there; SyncError when what arrives is not what S3 stores.
    """
    return b"".join(_checked(client, bucket, key, size, list))


def open_file(client: Any, bucket: str, key: str, size: int | None = None) -> pa.NativeFile:
    """Return an object, checked, as a seekable Arrow file; a large one lies in a temporary file until it is closed.

    Raises: as `read`.
    """
    import pyarrow as pa

    if size is not None and size <= MEMORY_BYTES:
        return pa.BufferReader(read(client, bucket, key, size))
    file = _checked(client, bucket, key, size, _spooled)
    file.seek(0)
    return pa.PythonFile(file, mode="r")


def _spooled(chunks: Iterator[bytes]) -> IO[bytes]:
    file = tempfile.TemporaryFile(prefix="penstock-")  # noqa: SIM115 - the caller's to close
    try:
        for chunk in chunks:
            file.write(chunk)
    except BaseException:
        file.close()
        raise
    return file


class _DamagedError(Exception):
    """What arrived is not what S3 stores; says in what."""


def _checked(client: Any, bucket: str, key: str, size: int | None, keep: Any) -> Any:
    from botocore.exceptions import BotoCoreError

    location = f"s3://{bucket}/{key}"
    for attempt in range(1, ATTEMPTS + 1):
        try:
            answer = client.get_object(Bucket=bucket, Key=key)
        except client.exceptions.NoSuchKey as error:
            raise FileNotFoundError(location) from error
        try:
            with closing(answer["Body"]):
                return keep(_chunks(answer, size))
        except (_DamagedError, BotoCoreError) as error:  # cut short, or not what its checksum says
            if attempt == ATTEMPTS:
                raise SyncError(
                    f"{location} could not be read: {' '.join(str(error).split())[:300]} ({ATTEMPTS} times).",
                    hint="Nothing was changed. Run the sync again; if it stays so, the file or the way to S3 is damaged.",
                ) from error
    raise AssertionError("unreachable: the last attempt returns or raises")


def _chunks(answer: dict[str, Any], size: int | None) -> Iterator[bytes]:
    """Yield the body; raises _DamagedError after its end when it is not what the answer's head, or `size`, says."""
    etag = _MD5.match(answer.get("ETag", ""))
    encrypted = (
        str(answer.get("ServerSideEncryption", "")).startswith("aws:") or "SSECustomerAlgorithm" in answer
    )
    digest = hashlib.md5(usedforsecurity=False) if etag and not encrypted else None
    length = 0
    for chunk in iter(lambda: answer["Body"].read(CHUNK_BYTES), b""):
        length += len(chunk)
        if digest:
            digest.update(chunk)
        yield chunk
    if size is not None and length != size:
        raise _DamagedError(f"{length} bytes arrived, the manifest says {size}")
    if etag and digest and digest.hexdigest() != etag[1]:
        raise _DamagedError("the bytes that arrived do not have the checksum that S3 keeps of them")
