"""A fetched text file made ready for its table: unpacked, mended, and where DuckDB has no reader for it split into fields.

What is split here, line by line, becomes Parquet with a text column a field: RegexSerDe always, OpenCSVSerde where its
quotes or escapes are not regular. Values of other types are made of the texts in SQL, the same way for every file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from athena_local.engine import lines, open_csv
from athena_local.engine.formats import Format
from athena_local.engine.lines import Facts
from athena_local.engine.unpack import unpack
from athena_local.errors import QueryError
from athena_local.types import AthenaType, Column

BATCH_LINES = 50_000
MATCH_SECONDS = 10.0  # for one line; other threads run meanwhile

Splitter = Callable[[str], list[str | None]]


@dataclass(frozen=True)
class Preparation:
    """How the files of one table are prepared; `data` are its columns without the partition keys."""

    form: Format
    data: tuple[Column, ...]

    @property
    def identity(self) -> str:
        kind = self.form.kind
        if kind == "lazy":
            return repr((kind, self.form.escape, self.form.skip_last_lines, self._rest()))
        names = (
            [(column.name, column.type.trino()) for column in self.data] if "json" in kind else len(self.data)
        )
        return repr((self.form, names))

    def __call__(self, path: Path, name: str) -> Facts:
        form = self.form
        unpack(path, name)
        if not path.stat().st_size:
            return Facts()
        if form.kind in {"json", "hive_json"}:
            lines.trim(path, form.skip_lines, form.skip_last_lines)
            return Facts(marked=self._json(path))
        lines.trim(path, 0, form.skip_last_lines)
        if form.kind == "regex":
            return self._decoded(path, name, self._regex())
        if form.kind == "opencsv":
            if not open_csv.is_regular(path.read_bytes(), form):
                return self._decoded(path, name, lambda line: open_csv.split(line, form, len(self.data)))
            return lines.mend(path, name)
        if self._rest():
            return self._decoded(path, name, self._taking_rest)
        return lines.mend(path, name, lines.mark_escapes(path, form.escape))

    def _rest(self) -> int:
        return len(self.data) if self.form.last_takes_rest else 0

    def _taking_rest(self, line: str) -> list[str | None]:
        parts: list[str | None] = [
            None if part == self.form.null else part
            for part in line.split(self.form.delimiter, len(self.data) - 1)
        ]
        return parts + [None] * (len(self.data) - len(parts))

    def _regex(self) -> Splitter:
        pattern = java_regex(self.form.pattern)
        width = len(self.data)

        def split(line: str) -> list[str | None]:
            try:
                match = pattern.fullmatch(line, timeout=MATCH_SECONDS, concurrent=True)
            except TimeoutError:
                text = f"input.regex took more than {MATCH_SECONDS:g} s for one line: {self.form.pattern}"
                raise QueryError("EXCEEDED_TIME_LIMIT", text) from None
            groups: list[str | None] = list(match.groups()) if match else []
            return (groups + [None] * width)[:width]

        return split

    def _json(self, path: Path) -> bool:
        form = self.form
        names = dict(form.key_names)
        if form.ignore_case or form.dots_in_keys:
            for name, _ in _fields(self.data):
                names.setdefault(name.lower(), name)
        texts = [name for name, kind in _fields(self.data) if kind.base in {"varchar", "char"}]
        decimals = [name for name, kind in _fields(self.data) if kind.base == "decimal"]
        columns = tuple(column.name for column in self.data)
        exact = lines.inexact_numbers(texts, decimals)
        return lines.mend_json(path, names, columns, dots=form.dots_in_keys, exact=exact)

    def _decoded(self, path: Path, name: str, split: Splitter) -> Facts:
        import pyarrow as pa
        import pyarrow.parquet as pq

        facts = lines.mend(path, name)
        width = len(self.data)
        schema = pa.schema([(f"c{index}", pa.string()) for index in range(width)])
        target = path.with_suffix(".decoded")
        with pq.ParquetWriter(target, schema, compression="snappy") as writer:
            for batch in _batches(path, facts.empty_lines, self.form.skip_lines):
                rows = [split(line) for line in batch]
                columns = [pa.array([row[index] for row in rows], pa.string()) for index in range(width)]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
        target.replace(path)
        return Facts(decoded=True)


def java_regex(pattern: str) -> Any:
    """Return Java's pattern ready to match, a dot being any character. HIVE_INVALID_METADATA when it is none."""
    from athena_local.sql.functions.native.regex import compiled
    from athena_local.sql.functions.native.registry import InvalidError

    try:
        return compiled(f"(?s){pattern}")
    except InvalidError as error:
        text = f"The regular expression of serde property input.regex cannot be used: {error}: {pattern}"
        raise QueryError("HIVE_INVALID_METADATA", text) from error


def _batches(path: Path, marked: bool, skip: int) -> Iterator[list[str]]:
    """Yield the lines of a mended file without their ends, the marks of empty ones gone."""
    batch: list[str] = []
    with path.open(encoding="utf-8", newline=None) as file:
        for number, line in enumerate(file):
            if number < skip:
                continue
            line = line.removesuffix("\n")
            batch.append("" if marked and line == "\x00" else line)
            if len(batch) == BATCH_LINES:
                yield batch
                batch = []
    if batch:
        yield batch


def _fields(data: tuple[Column, ...]) -> Iterator[tuple[str, AthenaType]]:
    """Yield every name that a key may have, with its type; lists and maps of a type stand for it."""

    def inside(kind: AthenaType) -> Iterator[tuple[str, AthenaType]]:
        if kind.base in {"array", "map"}:
            yield from inside(kind.element if kind.base == "array" else kind.value)
        elif kind.base == "row":
            for name, item in kind.fields:
                yield name, item
                yield from inside(item)

    for column in data:
        yield column.name, column.type
        yield from inside(column.type)
