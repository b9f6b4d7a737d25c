"""Check a whole file against its table's declaration before any of it is sent: once through, twice if keys repeat.

Clean blocks take the fast path, the others the exact one, so a good file of 1.25 million rows takes about a second and a bad
one still names every fault by line and value. What is checked, in order: encoding and characters, header, number of fields,
types, declared patterns and bounds, order of quantiles, uniqueness of the key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from penstock.landing import exact
from penstock.landing.checked import Checked, Days
from penstock.landing.duplicates import ROWS_IN_MEMORY, KeyHashes, Repeats, hashed
from penstock.landing.fast import FastCheck, Keys, text_numbers
from penstock.landing.faults import SHOWN, Fault, Faults
from penstock.landing.normalize import BOM, Normalizer
from penstock.landing.reading import BLOCK_BYTES, Block, blocks, landed_name
from penstock.sources.declaration import NAME, Column, Table

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
# Fewer lines than these go to the exact check at once: below, calling the fast one costs more than it saves.
_EXACT_LINES = 500
_EPOCH = date(1970, 1, 1).toordinal()
_HEADER_BYTES = 64 * 1024


def check(
    path: Path,
    table: Table,
    *,
    on_bytes: Callable[[int], None] | None = None,
    block_bytes: int = BLOCK_BYTES,
    rows_in_memory: int = ROWS_IN_MEMORY,
) -> Checked:
    """Return what a file holds and what is wrong with it.

    Raises: LandingError for a file that cannot be read or decompressed. Faults in its content are returned.
    """
    if table.format == "parquet":
        from penstock.landing.typed import check_typed

        return check_typed(
            path, table, on_bytes=on_bytes, block_bytes=block_bytes, rows_in_memory=rows_in_memory
        )
    fitted, found, notices = _fitted(path, table, block_bytes)
    return _Check(path, fitted, on_bytes, block_bytes, rows_in_memory).run(found, notices)


def normalized(path: Path, table: Table, *, block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Yield the bytes of a CSV file that land."""
    for _, data in Normalizer(table).blocks(blocks(path, block_bytes=block_bytes)):
        yield data


class _Check:
    def __init__(
        self,
        path: Path,
        table: Table,
        on_bytes: Callable[[int], None] | None,
        block_bytes: int,
        rows_in_memory: int,
    ) -> None:
        self.path, self.table = path, table
        self.on_bytes, self.block_bytes, self.rows_in_memory = on_bytes, block_bytes, rows_in_memory
        self.faults = Faults()
        self.fast = FastCheck(table)
        self.rows = self.size = 0
        self.header_seen = False

    def run(self, found: tuple[Column, ...] = (), notices: tuple[str, ...] = ()) -> Checked:
        normalizer, digest, days = Normalizer(self.table), hashlib.sha256(), Days(self.table)
        with KeyHashes(self.rows_in_memory) as keys:
            for block, data in normalizer.blocks(
                blocks(self.path, on_bytes=self.on_bytes, block_bytes=self.block_bytes)
            ):
                digest.update(data)
                self.size += len(data)
                rows = self._without_header(block, data)
                if rows is None:
                    break
                columns = self._keys(*rows, faults=self.faults)[0]
                keys.add(hashed(columns))
                days.add(columns)
                self.rows += len(columns[0])
            else:
                if not self.rows and not self.faults.count:
                    self._fault(1, "", "", "has no rows" if self.header_seen else "is empty")
                self._add_repeats(keys)
        return Checked(
            path=self.path,
            name=landed_name(self.path),
            rows=self.rows,
            size=self.size,
            sha256=digest.hexdigest(),
            notices=(*notices, *normalizer.notices()),
            faults=self.faults,
            table=self.table,
            found=found,
            days=days.range,
        )

    def _fault(self, line: int, column: str, value: str, problem: str) -> None:
        self.faults.add(Fault(self.path.name, line, column, value, problem))

    def _without_header(self, block: Block, data: bytes) -> tuple[Block, bytes] | None:
        """Return a block without the header, or None when the header is wrong: what follows it would be all faults."""
        if self.header_seen or not data:
            return block, data
        raw_end = _header_end(block.data)
        header, _, rows = data.partition(b"\n")
        line = block.line + block.data.count(b"\n", 0, max(raw_end - 1, 0))
        if block.line == 1 and block.data.startswith(_UTF16_MARKS):
            self._fault(1, "", "", "begins like UTF-16; only UTF-8 is read")
            return None
        text = header.decode("utf-8", "backslashreplace")
        if text != self.table.header:
            self._fault(line, "", text, _header_problem(text, self.table))
            return None
        self.header_seen = True
        return Block(line + 1, block.data[raw_end:]), rows

    def _keys(self, block: Block, data: bytes, faults: Faults) -> tuple[Keys, NDArray[np.int64]]:
        """Return the key columns of a block's good rows, and their lines."""
        if not data:
            return [np.empty(0, np.int64) for _ in self.table.key], np.empty(0, np.int64)
        lines = block.data.count(b"\n") + (not block.data.endswith(b"\n"))
        if lines == data.count(b"\n") and (keys := self.fast.keys(data)) is not None:
            return keys, np.arange(block.line, block.line + lines)
        if lines > _EXACT_LINES:
            return self._keys_of_parts(block, faults)
        good = list(exact.rows(self.table, self.path.name, block, faults))
        columns = [_integers([row.key[index] for row in good]) for index in range(len(self.table.key))]
        return columns, np.array([row.line for row in good], np.int64)

    def _keys_of_parts(self, block: Block, faults: Faults) -> tuple[Keys, NDArray[np.int64]]:
        normalizer = Normalizer(self.table)
        found = [self._keys(part, normalizer.normal(part.data), faults) for part in _split(block)]
        columns = [np.concatenate(parts) for parts in zip(*(keys for keys, _ in found), strict=True)]
        return columns, np.concatenate([lines for _, lines in found])

    def _add_repeats(self, keys: KeyHashes) -> None:
        suspects, surplus = keys.repeated()
        if not surplus:
            return
        repeats, ignored = Repeats(suspects), Faults()
        self.header_seen = False
        named = ", ".join(self.table.key)
        before = self.faults.count
        for block, data in Normalizer(self.table).blocks(blocks(self.path, block_bytes=self.block_bytes)):
            rows = self._without_header(block, data)
            if rows is None:
                return
            columns, lines = self._keys(*rows, faults=ignored)
            again, firsts = repeats.find(columns, lines)
            for index, first in zip(again[:SHOWN].tolist(), firsts[:SHOWN].tolist(), strict=True):
                value = self._key_shown(rows[0], int(lines[index]))
                self._fault(int(lines[index]), named, value, f"is already in line {first}")
            self.faults.count += max(0, len(again) - SHOWN)  # no later row of a block is among the first
        if repeats.full:
            self.faults.count = before + surplus

    def _key_shown(self, block: Block, line: int) -> str:
        """Return the key of a line as it stands in the file."""
        raw = block.data.split(b"\n", line - block.line + 1)[line - block.line]
        fields = Normalizer(self.table).normal(raw)[:-1].decode().split(self.table.delimiter)
        return ", ".join(fields[self.table.position(name)] for name in self.table.key)


def _fitted(path: Path, table: Table, block_bytes: int) -> tuple[Table, tuple[Column, ...], tuple[str, ...]]:
    """Return the table that a file's header is of: the declared one, with columns added at its end or gone from there.

    Athena reads CSV by position: what is new can only come last, and only the last columns can be missing, if they may be
    empty. With it come the columns that are new, and what is to be told. Any other header is left for the check to refuse.
    """
    names = _header_names(path, table)
    declared = [column.name for column in table.columns]
    shared = min(len(names), len(declared))
    if names == declared or names[:shared] != declared[:shared] or not names:
        return table, (), ()
    if len(names) < len(declared):
        gone = table.columns[len(names) :]
        if not all(column.nullable for column in gone):
            return table, (), ()
        lost = {column.name for column in gone}
        fewer = replace(
            table,
            columns=table.columns[: len(names)],
            ordered=tuple(names for names in table.ordered if not lost & set(names)),
            derived=tuple(each for each in table.derived if not lost & {each.column, each.of}),
        )
        told = ", ".join(column.name for column in gone)
        return fewer, (), (f"{told}: not in the file, which Athena reads as NULL",)
    new = names[len(declared) :]
    if not all(NAME.fullmatch(name) for name in new) or len(set(names)) < len(names):
        return table, (), ()
    found = tuple(
        Column(name, kind, nullable=True)
        for name, kind in zip(new, _types(path, table, len(declared), len(new), block_bytes), strict=True)
    )
    return replace(table, columns=(*table.columns, *found)), found, ()


def _header_names(path: Path, table: Table) -> list[str]:
    """Return the names in the first line that is not blank; none where it is no text."""
    normalizer = Normalizer(table)
    for block in blocks(path, block_bytes=_HEADER_BYTES):
        if data := normalizer.normal(block.data, first=block.line == 1):
            try:
                return data.partition(b"\n")[0].decode().split(table.delimiter)
            except UnicodeDecodeError:
                return []
    return []


def _types(path: Path, table: Table, first: int, count: int, block_bytes: int) -> list[str]:
    """Return the narrowest types that take all values of the columns from the place `first` on."""
    fitting = [["bigint", "double", "date", "timestamp", "boolean"] for _ in range(count)]
    seen = [False] * count
    normalizer, header = Normalizer(table), True
    for block in blocks(path, block_bytes=block_bytes):
        data = normalizer.normal(block.data, first=block.line == 1)
        lines = data.decode("utf-8", "replace").split("\n")[:-1]
        values: list[set[str]] = [set() for _ in range(count)]
        for line in lines[1:] if header and lines else lines:
            for held, field in zip(values, line.split(table.delimiter)[first : first + count], strict=False):
                held.add(field)
        header = header and not lines
        for place, held in enumerate(values):
            held -= {"", exact.NULL_MARK}
            seen[place] = seen[place] or bool(held)
            fitting[place] = [kind for kind in fitting[place] if _all_fit(kind, held)]
    return [kinds[0] if kinds and any_ else "string" for kinds, any_ in zip(fitting, seen, strict=True)]


def _all_fit(kind: str, values: set[str]) -> bool:
    column = Column("value", kind)
    try:
        for value in values:
            exact.value_of(column, value)
    except exact.FieldError:
        return False
    return True


def _split(block: Block) -> Iterator[Block]:
    """Yield a block's lines in some sixteen parts, so that a fault here does not cost its good neighbours the fast check."""
    step = len(block.data) // 16 + 1
    line, start = block.line, 0
    while start < len(block.data):
        end = block.data.find(b"\n", start + step) + 1 or len(block.data)
        yield Block(line, block.data[start:end])
        line += block.data.count(b"\n", start, end)
        start = end


def _header_end(data: bytes) -> int:
    """Return where the first line that is not blank ends in a block as it lies in the file."""
    start = len(BOM) if data.startswith(BOM) else 0
    while data[start : start + 1] in (b"\n", b"\r"):
        start += 1
    end = data.find(b"\n", start) + 1
    return end or len(data)


def _header_problem(text: str, table: Table) -> str:
    expected, found = table.header.split(table.delimiter), text.split(table.delimiter)
    if sorted(expected) == sorted(found):
        return f"is the header in another order; expected {table.header}"
    lacking = [name for name in expected if name not in found]
    unknown = [name for name in found if name not in expected]
    details = [f"it lacks {', '.join(lacking)}"] if lacking else []
    if unknown and lacking != expected:
        details.append(f"it has {', '.join(unknown)[:60]} beside them")
    return f"is not the header; expected {table.header}" + (f" ({'; '.join(details)})" if details else "")


def _integers(values: list[exact.Value]) -> NDArray[np.int64]:
    """Return key values of the exact check as the numbers that `fast.as_integers` makes of whole columns."""
    first = values[0] if values else 0
    if isinstance(first, str):
        return text_numbers([str(value) for value in values])
    if isinstance(first, Decimal):  # 1.5 and 1.50 are one key
        return text_numbers([f"{value:f}".rstrip("0").rstrip(".") for value in values])
    if isinstance(first, float):
        return np.array(values, np.float64).view(np.int64)
    if isinstance(first, datetime):
        return np.array(values, "datetime64[ms]").view(np.int64)
    numbers = [value.toordinal() - _EPOCH if isinstance(value, date) else value for value in values]
    return np.array(numbers, np.int64)
