"""Compressed text files: unpacked by their suffix, as Athena goes by it; what it cannot read is refused by name.

Known are gzip, bzip2, Zstandard, zlib (`.deflate`) and the block formats that Hadoop writes as `.snappy` and `.lz4`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from athena_local.errors import OTHER, QueryError

CHUNK_BYTES = 8 * 1024**2
_STREAMS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
_BLOCKS = {".snappy": "snappy", ".lz4": "lz4_raw"}
_REFUSED = {".lzo": "LZO", ".lzo_deflate": "LZO", ".zip": "ZIP"}


def unpack(path: Path, name: str) -> None:
    """Replace a fetched file by what it holds; `name` is the object's. HIVE_CURSOR_ERROR when it is not what it says."""
    suffix = Path(name).suffix.lower()
    if suffix in _REFUSED:
        text = f"Error opening Hive split {name}: {_REFUSED[suffix]} compression is not supported; use GZIP or ZSTD"
        raise QueryError("HIVE_CANNOT_OPEN_SPLIT", text, category=OTHER)
    codec = _STREAMS.get(suffix) or _BLOCKS.get(suffix) or ("deflate" if suffix == ".deflate" else None)
    if codec is None:
        return
    plain = path.with_suffix(".plain")
    try:
        with plain.open("wb") as out:
            for chunk in _chunks(path, codec):
                out.write(chunk)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        text = f"Failed to read file: {name}: it is not {codec.removesuffix('_raw')}"
        raise QueryError("HIVE_CURSOR_ERROR", text, category=OTHER) from error
    plain.replace(path)


def _chunks(path: Path, codec: str) -> Iterator[bytes]:
    import pyarrow as pa

    if codec in _STREAMS.values():
        with pa.CompressedInputStream(pa.OSFile(str(path)), codec) as packed:
            while chunk := packed.read(CHUNK_BYTES):
                yield chunk
        return
    with path.open("rb") as file:
        if codec == "deflate":
            inflater = zlib.decompressobj()
            while chunk := file.read(CHUNK_BYTES):
                yield inflater.decompress(chunk)
            yield inflater.flush()
            if not inflater.eof:
                raise EOFError
        else:
            yield from _hadoop_blocks(file, codec)


def _hadoop_blocks(file: IO[bytes], codec: str) -> Iterator[bytes]:
    """Hadoop's BlockCompressorStream: the size of a block unpacked, then pieces of it, each with its size packed."""
    import pyarrow as pa

    while head := file.read(4):
        left = int.from_bytes(head, "big")
        while left:
            packed = file.read(int.from_bytes(_exactly(file, 4), "big"))
            size = _snappy_size(packed) if codec == "snappy" else left
            piece = pa.decompress(packed, decompressed_size=size, codec=codec, asbytes=True)
            left -= len(piece)
            yield piece


def _exactly(file: IO[bytes], count: int) -> bytes:
    found = file.read(count)
    if len(found) < count:
        raise EOFError
    return found


def _snappy_size(packed: bytes) -> int:
    """Return the size that a snappy block says at its start: seven bits a byte, the lowest first."""
    size = 0
    for index, byte in enumerate(packed[:5]):
        size |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return size
    raise ValueError("no size")
