"""Bytes of an input file in blocks of whole lines, decompressed on the way; memory is one block, whatever the file's size.

Refuses a damaged or truncated archive, and a line longer than `LONGEST_LINE` (nothing a source declares comes near it).
"""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from penstock.errors import LandingError
from penstock.sources.declaration import Table

# Valid 64 KiB and up. Smaller costs calls (at 256 KiB a check takes half as long again), larger only memory:
# measured on 1.25 million rows, 4 and 16 MiB are equally fast.
BLOCK_BYTES = 4 * 1024**2
LONGEST_LINE = 1024**2

COMPRESSIONS = (".gz", ".xz")
JSON_LINES = (".jsonl", ".json", ".ndjson")


@dataclass(frozen=True)
class Block:
    """Whole lines as they lie in the file; only its last may lack a line end. `line` is the first one's number."""

    line: int
    data: bytes


def landed_name(path: Path, table: Table | None = None) -> str:
    """Return the name a file lands under: its own without the ending of a compression; .parquet in a Parquet table."""
    name = path.stem if path.suffix.lower() in COMPRESSIONS else path.name
    if table is None or table.format == "csv":
        return name
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}.parquet" if dot and f".{suffix.lower()}" in (*JSON_LINES, ".parquet") else name


def is_json_lines(path: Path) -> bool:
    """Return whether a file's name says that it holds JSON lines."""
    return landed_name(path).lower().endswith(JSON_LINES)


def is_parquet(path: Path) -> bool:
    """Return whether a file's name says that it is Parquet."""
    return path.suffix.lower() == ".parquet"


def blocks(
    path: Path, *, on_bytes: Callable[[int], None] | None = None, block_bytes: int = BLOCK_BYTES
) -> Iterator[Block]:
    """Yield a file's lines in order. `on_bytes` is told the bytes read from disk so far (compressed ones, if it is).

    Raises: LandingError for a file that cannot be read or decompressed, and for an endless line.
    """
    line, rest = 1, b""
    try:
        with path.open("rb") as raw, _opened(path, raw) as stream:
            while chunk := stream.read(block_bytes):
                if on_bytes:
                    on_bytes(raw.tell())
                end = chunk.rfind(b"\n") + 1
                if not end:
                    rest += chunk
                else:
                    data = rest + chunk[:end]
                    yield Block(line, data)
                    line += data.count(b"\n")
                    rest = chunk[end:]
                if len(rest) > LONGEST_LINE:
                    raise LandingError(
                        f"{path.name} line {line} is longer than {LONGEST_LINE:,} bytes: this is no such CSV file.",
                        hint="Lines must end in a line feed.",
                    )
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error) as error:
        raise LandingError(
            f"{path.name} cannot be decompressed: {error}.", hint="Fetch or compress the file again."
        ) from error
    except OSError as error:
        raise LandingError(f"{path} cannot be read: {error.strerror or error}.") from error
    if rest:
        yield Block(line, rest)


def _opened(path: Path, raw: BinaryIO) -> BinaryIO:
    suffix = path.suffix.lower()
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]
    if suffix == ".xz":
        return lzma.LZMAFile(raw)  # type: ignore[return-value]
    return raw
