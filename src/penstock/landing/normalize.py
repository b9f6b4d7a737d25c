"""Make harmless differences of spelling go away, so that Athena reads what the file means.

Athena's LazySimpleSerDe splits lines at '\\n' and fields at the delimiter and knows nothing else: to it a carriage return, a
quote and a byte-order mark are part of a value, and a blank line is a row of NULLs. Where the meaning is beyond doubt the
bytes that land are altered and a notice says so; everything else is left alone, for the check to refuse.

    byte-order mark (UTF-8)         dropped
    CR LF                           LF
    blank line                      dropped
    "quotes" round a plain value    dropped; with a delimiter, quote or line end inside: left
    \\N in a column that may be empty   empty
    no line end after the last line added
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from penstock.landing.reading import Block
from penstock.sources.declaration import Table

BOM = b"\xef\xbb\xbf"

NOTICES = {
    "bom": "the byte-order mark was dropped",
    "crlf": "CR LF line ends became LF ({n:,})",
    "blank": "blank lines were dropped ({n:,})",
    "quoted": "quotes round plain values were dropped ({n:,})",
    "null": "\\N became empty in columns that may be empty ({n:,})",
    "last_line_end": "the last line had no line end and got one",
}


class Normalizer:
    """One pass over one file. `tally` counts what was altered, by the keys of NOTICES."""

    def __init__(self, table: Table) -> None:
        self.tally: Counter[str] = Counter()
        self._delimiter = table.delimiter.encode()
        self._nullable = [index for index, column in enumerate(table.columns) if column.nullable]
        delimiter = re.escape(self._delimiter)
        self._quoted = re.compile(
            rb"(?:(?<=\n)|(?<="
            + delimiter
            + rb')|\A)"([^"\n'
            + delimiter
            + rb']*)"(?=\n|'
            + delimiter
            + rb"|\Z)"
        )

    def notices(self) -> tuple[str, ...]:
        return tuple(text.format(n=self.tally[key]) for key, text in NOTICES.items() if self.tally[key])

    def blocks(self, blocks: Iterable[Block]) -> Iterator[tuple[Block, bytes]]:
        """Yield every block with its normalized bytes, which end in a line feed unless they are empty."""
        for block in blocks:
            yield block, self.normal(block.data, first=block.line == 1)

    def normal(self, data: bytes, *, first: bool = False) -> bytes:
        """Return the normalized form of whole lines."""
        if first and data.startswith(BOM):
            data = data[len(BOM) :]
            self.tally["bom"] += 1
        if not data.endswith(b"\n"):
            data += b"\n"
            self.tally["last_line_end"] += 1
        if b"\r" in data:
            ends = data.count(b"\r\n")
            data = data.replace(b"\r\n", b"\n")
            self.tally["crlf"] += ends
        if b'"' in data:
            data = self._unquoted(data)
        if b"\\" in data and self._nullable:
            data = b"\n".join(self._without_null_marks(line) for line in data.split(b"\n"))
        if data.startswith(b"\n") or b"\n\n" in data:
            lines = data.count(b"\n")
            data = re.sub(rb"\n+", b"\n", data).lstrip(b"\n")
            self.tally["blank"] += lines - data.count(b"\n")
        return data

    def _unquoted(self, data: bytes) -> bytes:
        """Return lines without the quotes round plain values; at once if all quotes are such, else one by one."""
        characters = np.frombuffer(data, np.uint8)
        separators = np.flatnonzero((characters == self._delimiter[0]) | (characters == ord("\n")))
        quotes = np.flatnonzero(characters == ord('"'))
        opening, closing = quotes[0::2], quotes[1::2]
        fields = np.searchsorted(separators, quotes)
        if (
            len(opening) == len(closing)
            and np.array_equal(fields[0::2], fields[1::2])  # a pair lies in one field,
            and np.array_equal(np.append(-1, separators)[fields[0::2]], opening - 1)  # is its first character
            and np.array_equal(separators[fields[1::2]], closing + 1)  # and its last
        ):
            self.tally["quoted"] += len(opening)
            return data.translate(None, b'"')
        data, found = self._quoted.subn(rb"\1", data)
        self.tally["quoted"] += found
        return data

    def _without_null_marks(self, line: bytes) -> bytes:
        if b"\\" not in line:
            return line
        fields = line.split(self._delimiter)
        for index in self._nullable:
            if index < len(fields) and fields[index] == b"\\N":
                fields[index] = b""
                self.tally["null"] += 1
        return self._delimiter.join(fields)
