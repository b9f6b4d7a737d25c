"""Text files made fit for DuckDB's readers, once, when they are fetched: no line may be lost on the way.

Compressed files are unpacked. DuckDB skips lines that are empty, drops those that are no UTF-8 and mistakes mixed line ends,
where Athena reads a row in each case; such files, and only such, are written anew. A line above `MAX_LINE_BYTES` fails the
query, as in Trino.
"""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from athena_local.errors import OTHER, QueryError

MAX_LINE_BYTES = 100 * 1024**2  # Trino's hive.text.max-line-length
USUAL_LINE_BYTES = 2 * 1024**2  # DuckDB takes 16 times this as a buffer for each thread
CHUNK_BYTES = 8 * 1024**2
EMPTY_LINE = b"\x00"  # stands for an empty line, which DuckDB would skip
_SUFFIXES = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
_UPPER_KEY = re.compile(rb'"(?:[^"\\A-Z\n]|\\.)*[A-Z](?:[^"\\\n]|\\.)*"\s*:')
_KEY = re.compile(rb'"((?:[^"\\\n]|\\.)*)"(\s*:)')


@dataclass(frozen=True)
class Facts:
    """What reading a file must reckon with."""

    longest_line: int = USUAL_LINE_BYTES  # an upper bound, exact only above the usual
    empty_lines: bool = False
    upper_keys: bool = False


Prepare = Callable[[Path, str], Facts]


def prepare_csv(path: Path, name: str) -> Facts:
    """Rewrite a fetched CSV file where DuckDB would lose lines. `name` is the object's, for its suffix and for errors."""
    _unpack(path, name)
    if not path.stat().st_size:
        return Facts()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        ends = _mixed_ends(data)
        valid = _is_utf8(data)
        empty = data[:1] in (b"\n", b"\r") or any(data.find(two) >= 0 for two in _doubled_ends(data))
        longest = _longest_line(data, name)
        if ends or empty or not valid:
            _rewrite(data, path.with_suffix(".mended"))
    if ends or empty or not valid:
        path.with_suffix(".mended").replace(path)
    return Facts(longest, empty)


def prepare_json(path: Path, name: str) -> Facts:
    """Unpack a fetched JSON file and find out whether names in it have capitals."""
    _unpack(path, name)
    if not path.stat().st_size:
        return Facts()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return Facts(upper_keys=_UPPER_KEY.search(data) is not None)


def rename_keys(source: Path, target: Path, names: dict[str, str]) -> None:
    """Copy a JSON lines file with its keys renamed: `names` has them in small letters."""
    wanted = {key.encode(): value.encode() for key, value in names.items()}

    def renamed(match: re.Match[bytes]) -> bytes:
        found = wanted.get(match.group(1).lower())
        return match.group(0) if found is None else b'"' + found + b'"' + match.group(2)

    with source.open("rb") as lines, target.open("wb") as out:
        for line in lines:
            out.write(_KEY.sub(renamed, line))


def first_bad_json(path: Path) -> tuple[int, str] | None:
    """Return the number of the first line that is no JSON, counted as the file has them, and why; DuckDB miscounts."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                if line.strip():
                    json.loads(line)
            except ValueError as error:
                return number, str(error)
    return None


def _unpack(path: Path, name: str) -> None:
    import pyarrow as pa

    codec = next((codec for suffix, codec in _SUFFIXES.items() if name.endswith(suffix)), None)
    if codec is None:
        return
    plain = path.with_suffix(".plain")
    try:
        with pa.CompressedInputStream(pa.OSFile(str(path)), codec) as packed, plain.open("wb") as out:
            while chunk := packed.read(CHUNK_BYTES):
                out.write(chunk)
    except OSError as error:
        text = f"Failed to read file: {name}: it is not {codec}"
        raise QueryError("HIVE_CURSOR_ERROR", text, category=OTHER) from error
    plain.replace(path)


def _doubled_ends(data: mmap.mmap) -> list[bytes]:
    return [b"\n\n", b"\n\r", b"\r\r"] if data.find(b"\r") >= 0 else [b"\n\n"]


def _mixed_ends(data: mmap.mmap) -> bool:
    """Whether a file has CR, and not as CRLF throughout."""
    if data.find(b"\r") < 0:
        return False
    text = data[:]
    returns = text.count(b"\r")
    return not returns == text.count(b"\r\n") == text.count(b"\n")


def _is_utf8(data: mmap.mmap) -> bool:
    import codecs

    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), CHUNK_BYTES):
            chunk = data[start : start + CHUNK_BYTES]
            if not (chunk.isascii() and decoder.getstate()[0] == b""):
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _longest_line(data: mmap.mmap, name: str) -> int:
    """Return a bound of the lines' length; whether it is above the usual is found by leaps of that size."""
    mark = b"\n" if data.find(b"\n") >= 0 else b"\r"
    position, longest = 0, USUAL_LINE_BYTES
    while position + USUAL_LINE_BYTES < len(data):
        last = data.rfind(mark, position, position + USUAL_LINE_BYTES)
        if last < 0:
            end = data.find(mark, position)
            last = len(data) if end < 0 else end
            longest = max(longest, last - position)
        position = last + 1
    if longest > MAX_LINE_BYTES:
        text = f"Failed to read file: {name}: a line has {longest} bytes, the most is {MAX_LINE_BYTES}"
        raise QueryError("HIVE_CURSOR_ERROR", text, category=OTHER)
    return longest


def _rewrite(data: mmap.mmap, target: Path) -> None:
    """Copy with LF alone as line end, a mark in each empty line, and what is no UTF-8 replaced."""
    with target.open("wb") as out:
        rest = b""
        for start in range(0, len(data), CHUNK_BYTES):
            chunk = rest + data[start : start + CHUNK_BYTES]
            rest = b""
            if start + CHUNK_BYTES < len(data):
                end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r", 0, len(chunk) - 1)) + 1
                chunk, rest = chunk[:end], chunk[end:]
            lines = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
            last = lines.pop()
            for line in lines:
                out.write((_as_utf8(line) or EMPTY_LINE) + b"\n")
            out.write(_as_utf8(last))


def _as_utf8(line: bytes) -> bytes:
    return line if line.isascii() else line.decode("utf-8", "replace").encode()
