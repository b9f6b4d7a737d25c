"""Text files made fit for DuckDB's readers, once, when they are fetched: no line may be lost on the way.

Compressed files are unpacked. DuckDB skips lines that are empty, drops those that are no UTF-8 and mistakes mixed line ends,
where Athena reads a row in each case; such files, and only such, are written anew. A line above `MAX_LINE_BYTES` fails the
query, as in Trino.
"""

from __future__ import annotations

import json
import mmap
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from athena_local.errors import OTHER, QueryError

MAX_LINE_BYTES = 100 * 1024**2  # Trino's hive.text.max-line-length
USUAL_LINE_BYTES = 2 * 1024**2  # DuckDB takes 16 times this as a buffer for each thread
CHUNK_BYTES = 8 * 1024**2
EMPTY_LINE = b"\x00"  # stands for an empty line, which DuckDB would skip
ESCAPED = 0xE000  # an escaped character stands as the one this far above it, in Unicode's private use
NUMBER_MARK = "\ue0ff"  # before a JSON number that is kept as text, because DuckDB would round it
_UPPER_KEY = re.compile(rb'"(?:[^"\\A-Z\n]|\\.)*[A-Z](?:[^"\\\n]|\\.)*"\s*:')
_DOTTED_KEY = re.compile(rb'"(?:[^"\\.\n]|\\.)*\.(?:[^"\\\n]|\\.)*"\s*:')
_NOT_OBJECT = re.compile(rb"^(?![ \t]*\{)(?=.|\n)", re.MULTILINE)
_KEY = re.compile(rb'"((?:[^"\\\n]|\\.)*)"(\s*:)')


@dataclass(frozen=True)
class Facts:
    """What reading a prepared file must reckon with."""

    longest_line: int = USUAL_LINE_BYTES  # an upper bound, exact only above the usual
    empty_lines: bool = False
    escaped: str = ""  # the characters that were escaped, if any
    decoded: bool = False  # the file is Parquet now, a text column a field
    marked: bool = False  # JSON: numbers stand as text behind `NUMBER_MARK`


class Prepare(Protocol):
    """Makes a fetched file fit; `identity` tells apart the ways of doing it, because prepared files are kept."""

    @property
    def identity(self) -> str: ...

    def __call__(self, path: Path, name: str) -> Facts: ...


def mend(path: Path, name: str, escaped: str = "") -> Facts:
    """Rewrite a file of lines where DuckDB would lose some. `name` is the object's, for errors."""
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
    return Facts(longest, empty, escaped)


def trim(path: Path, first: int, last: int) -> None:
    """Take lines from a file's start and end: headers and footers that a reader is not to see."""
    if first or last:
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[first : max(first, len(lines) - last)]))


def with_escapes(text: str, escape: str | None) -> str:
    """Return the text with each escaped character replaced by its stand-in, the escape gone."""
    if escape is None or escape not in text:
        return text
    return re.sub(
        re.escape(escape) + r"([^\r\n])",
        lambda match: chr(ESCAPED + ord(match.group(1))) if match.group(1).isascii() else match.group(1),
        text,
    )


def mark_escapes(path: Path, escape: str | None) -> str:
    """Do the same to a whole file, and return which characters were escaped."""
    data = path.read_bytes() if escape is not None else b""
    if escape is None or escape.encode() not in data:
        return ""
    path.write_text(with_escapes(data.decode("utf-8", "replace"), escape), newline="")
    found = set(re.findall(re.escape(escape.encode()) + rb"([\x00-\x7f])", data)) - {b"\r", b"\n"}
    return "".join(sorted(character.decode() for character in found))


def mend_json(
    path: Path,
    names: dict[str, str],
    columns: tuple[str, ...],
    *,
    dots: bool,
    exact: re.Pattern[bytes] | None = None,
) -> bool:
    """Rewrite a JSON lines file where DuckDB reads another thing than the SerDe does.

    names: keys in small letters -> the column they are. A line that is no object is a row of NULLs, one that is a list has
    its values by place. exact: finds a key with a number that would lose digits (see `inexact_numbers`); it is kept as text
    behind a mark. Returns: whether there are such marks.
    """
    data = path.read_bytes()
    keyed = bool(names) and (
        any(key != name for key, name in names.items()) or _UPPER_KEY.search(data) is not None
    )
    dotted = dots and _DOTTED_KEY.search(data) is not None
    marked = exact is not None and exact.search(data) is not None
    odd = _NOT_OBJECT.search(data) is not None
    if odd:
        data = b"".join(_as_object(line, columns) + b"\n" for line in data.splitlines())
    if keyed or dotted:
        data = _with_keys(data, names, dots)
    if marked and exact is not None:
        data = exact.sub(b'\\1"' + NUMBER_MARK.encode() + b'\\2"', data)
    if keyed or dotted or marked or odd:
        path.write_bytes(data)
    return marked


def _with_keys(data: bytes, names: dict[str, str], dots: bool) -> bytes:
    wanted = {key.encode(): value.encode() for key, value in names.items()}

    def renamed(match: re.Match[bytes]) -> bytes:
        name = match.group(1).lower()
        found = wanted.get(name) or (wanted.get(name.replace(b".", b"_")) if dots else None)
        return match.group() if found is None else b'"' + found + b'"' + match.group(2)

    return _KEY.sub(renamed, data)


def inexact_numbers(texts: list[str], decimals: list[str]) -> re.Pattern[bytes] | None:
    """Return what finds the numbers that DuckDB would not give back as written, as (key with colon)(number).

    texts: names of text fields, which show trailing zeros and exponents. decimals: names of decimals, whose digits beyond a
    double's fifteen count.
    """
    alternatives = []
    if texts:
        keys = "|".join(re.escape(name) for name in texts)
        alternatives.append(rf'(?:{keys})"\s*:\s*(?=-?\d+(?:\.\d*0\b|\.?\d*[eE]|[\d.]{{16,}}))')
    if decimals:
        keys = "|".join(re.escape(name) for name in decimals)
        alternatives.append(rf'(?:{keys})"\s*:\s*(?=-?[\d.]{{16,}})')
    if not alternatives:
        return None
    pattern = rf'((?<!\\)"(?:{"|".join(alternatives)}))(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)'
    return re.compile(pattern.encode(), re.IGNORECASE)


def _as_object(line: bytes, columns: tuple[str, ...]) -> bytes:
    stripped = line.strip()
    if stripped[:1] == b"{":
        return line
    if stripped[:1] != b"[":
        return b"{}"
    try:
        items = json.loads(stripped)
    except ValueError:
        return line  # the reader tells what is wrong with it
    return json.dumps(dict(zip(columns, items, strict=False)), ensure_ascii=False).encode()


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
