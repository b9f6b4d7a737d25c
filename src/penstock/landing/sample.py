"""Says what a sample file holds, as a declaration would: columns, types, which may be empty, bounds, and a key.

The first rows are looked at (`LOOKED_AT`); what they say is a guess about all others, for a person to look over. Whole
numbers become bigint unless one has a leading zero, which no number keeps. CSV is taken with the delimiter that its header
has most of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.errors import LandingError
from penstock.landing import exact
from penstock.landing.columns import declared_type
from penstock.landing.normalize import Normalizer
from penstock.landing.reading import blocks, is_json_lines, is_parquet
from penstock.landing.rows import parquet_file
from penstock.landing.typed import infer_json
from penstock.sources.declaration import NAME, NUMBERS, Column, Format, Table

if TYPE_CHECKING:
    import pyarrow as pa

LOOKED_AT = 100_000
_DELIMITERS = ",;\t|"
_BATCH_ROWS = 2_048
# What the staging view adds to every table, and what a source's own column would collide with.
STAGED = ("file_landed_at", "file_path", "recency")
_DATE_LENGTH = len("2026-01-31")
# Values of a text column that are few enough to be named for the reader.
_FEW = 12


@dataclass
class Seen:
    """What the values of one column are. `unique`: none was NULL or met twice."""

    name: str
    type: str = ""
    rows: int = 0
    nulls: int = 0
    minimum: Any = None
    lengths: set[int] = field(default_factory=set)
    values: set[Any] | None = field(default_factory=set)

    @property
    def is_unique(self) -> bool:
        return self.values is not None and not self.nulls and len(self.values) == self.rows

    @property
    def few(self) -> list[str]:
        """The values of a text column that has few, each of them often."""
        if self.type != "string" or not self.values or len(self.values) > _FEW:
            return []
        return sorted(self.values) if len(self.values) * 4 <= self.rows else []

    def column(self) -> Column:
        """Return the declaration that the values suggest."""
        kind = self.type.partition("(")[0]
        return Column(
            self.name,
            self.type,
            nullable=self.nulls > 0,
            minimum=0 if kind in NUMBERS and self.minimum is not None and self.minimum >= 0 else None,
            length=next(iter(self.lengths)) if len(self.lengths) == 1 and self.lengths != {0} else 0,
        )


@dataclass(frozen=True)
class Sample:
    """A sample as a declaration. `rows` are those that were looked at; `guessed` says that nobody named the key."""

    table: Table
    seen: tuple[Seen, ...]
    rows: int
    guessed: bool


def sample(path: Path, name: str, key: Sequence[str] = ()) -> Sample:
    """Return what a sample suggests to declare for a source; the file decides on CSV or Parquet.

    Raises: LandingError for a file that cannot be read or declared, and for a key that is none.
    """
    if not path.is_file():
        raise LandingError(f"{path} is no file.", hint="Give --file a sample: CSV, Parquet or JSON lines.")
    form: Format = "parquet" if is_parquet(path) or is_json_lines(path) else "csv"
    delimiter = ","
    if form == "csv":
        delimiter, seen = _csv(path)
    else:
        seen = _parquet(path) if is_parquet(path) else _json(path)
    _refuse_names(path, seen)
    rows = max((each.rows for each in seen), default=0)
    if not rows:
        raise LandingError(f"{path.name} has no rows.", hint="A sample has some hundred rows or more.")
    columns = tuple(each.column() for each in seen)
    chosen = tuple(key) or _guessed(path, seen)
    _refuse_key(path, seen, chosen)
    table = Table(name, name, columns, chosen, format=form, prefix=f"{name}/", delimiter=delimiter)
    return Sample(table, seen, rows, guessed=not key)


def _refuse_names(path: Path, seen: Sequence[Seen]) -> None:
    odd = [each.name for each in seen if not NAME.fullmatch(each.name)]
    if odd:
        raise LandingError(
            f"{path.name} has columns that cannot be declared: {', '.join(map(repr, odd))}.",
            hint="Rename them in the file: up to 63 small letters, digits and _.",
        )
    taken = [each.name for each in seen if each.name in STAGED]
    if taken:
        raise LandingError(
            f"{path.name} has columns that the staging view adds itself: {', '.join(taken)}.",
            hint="Rename them in the file.",
        )
    untyped = [each.name for each in seen if not each.type]
    if untyped:
        raise LandingError(
            f"{path.name} has columns whose type cannot be declared: {', '.join(untyped)}.",
            hint="Take them out, or write them as text.",
        )


def _guessed(path: Path, seen: Sequence[Seen]) -> tuple[str, ...]:
    for each in seen:
        if each.is_unique and each.type in ("bigint", "int", "string"):
            return (each.name,)
    raise LandingError(
        f"No column of {path.name} names a row alone.", hint="Name the key: --key store_id,sold_on, say."
    )


def _refuse_key(path: Path, seen: Sequence[Seen], key: Sequence[str]) -> None:
    by_name = {each.name: each for each in seen}
    for name in key:
        if name not in by_name:
            raise LandingError(
                f"{path.name} has no column {name}.", hint=f"Its columns are {', '.join(by_name)}."
            )
        found = by_name[name]
        if found.nulls or found.type.startswith("array"):
            why = f"is empty in {found.nulls:,} rows" if found.nulls else "is an array"
            raise LandingError(f"Column {name} of {path.name} {why}: no part of a key can be.")


# CSV


def _csv(path: Path) -> tuple[str, tuple[Seen, ...]]:
    delimiter, names = _header(path)
    seen = tuple(Seen(name) for name in names)
    values: list[list[str]] = [[] for _ in names]
    for fields in _fields(path, delimiter, names):
        for held, value in zip(values, fields, strict=False):
            held.append(value)
        if len(values[0]) >= LOOKED_AT:
            break
    for each, held in zip(seen, values, strict=True):
        _see_texts(each, held)
    return delimiter, seen


def _header(path: Path) -> tuple[str, list[str]]:
    normalizer = _plain(",")
    for block in blocks(path):
        text = normalizer.normal(block.data, first=block.line == 1).decode("utf-8", "replace")
        if line := text.partition("\n")[0]:
            delimiter = max(_DELIMITERS, key=line.count)
            return delimiter, line.replace('"', "").split(delimiter)
    raise LandingError(f"{path.name} is empty.", hint="A sample has a header and some hundred rows or more.")


def _plain(delimiter: str) -> Normalizer:
    return Normalizer(Table("s", "t", (Column("a", "string"),), ("a",), delimiter=delimiter))


def _fields(path: Path, delimiter: str, names: Sequence[str]) -> Iterator[list[str]]:
    normalizer, header = _plain(delimiter), True
    for block in blocks(path):
        text = normalizer.normal(block.data, first=block.line == 1).decode("utf-8", "replace")
        for line in text.split("\n")[:-1]:
            fields = line.split(delimiter)
            if not header and len(fields) == len(names):  # other lines are told of when the sample is checked
                yield fields
            header = False


def _see_texts(seen: Seen, texts: Sequence[str]) -> None:
    distinct = {text for text in texts if text not in ("", exact.NULL_MARK)}
    seen.rows, seen.values = len(texts), set(distinct)
    seen.nulls = sum(text in ("", exact.NULL_MARK) for text in texts)
    kinds = ("bigint", "double", "date", "timestamp", "boolean") if distinct else ()
    seen.type = next((kind for kind in kinds if _all_fit(kind, distinct)), "string")
    if seen.type in ("bigint", "double"):
        seen.minimum = min(float(text) for text in distinct)


def _all_fit(kind: str, texts: set[str]) -> bool:
    column = Column("value", kind)
    for text in texts:
        digits = text.removeprefix("-")
        if kind in ("bigint", "double") and digits.isdigit() and len(digits) > 1 and digits[0] == "0":
            return False
        try:
            exact.value_of(column, text)
        except exact.FieldError:
            return False
    return True


# Parquet, JSON lines


def _parquet(path: Path) -> tuple[Seen, ...]:
    with parquet_file(path) as file:
        schema = file.schema_arrow
        seen = tuple(
            Seen(name, declared_type(kind)) for name, kind in zip(schema.names, schema.types, strict=True)
        )
        if all(each.type for each in seen):
            for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
                _see_batch(seen, batch)
                if seen[0].rows >= LOOKED_AT:
                    break
    return seen


def _json(path: Path) -> tuple[Seen, ...]:
    import pyarrow as pa
    import pyarrow.json as pa_json

    found = infer_json(path)
    seen = tuple(Seen(name, "" if kind is None else declared_type(kind)) for name, kind in found.items())
    if not all(each.type for each in seen):
        return seen
    # a moment is read as text, which tells a date from a midnight
    moments = {name for name, kind in found.items() if pa.types.is_timestamp(kind)}
    schema = pa.schema([(name, pa.string() if name in moments else kind) for name, kind in found.items()])
    for block in blocks(path):
        try:
            rows = pa_json.read_json(
                pa.BufferReader(block.data),
                pa_json.ReadOptions(use_threads=False, block_size=len(block.data) + 1),
                pa_json.ParseOptions(explicit_schema=schema),
            ).select(schema.names)
        except pa.ArrowInvalid:
            continue  # the check of the whole sample says what is wrong with it
        for batch in rows.combine_chunks().to_batches():
            _see_batch(seen, batch)
        if seen and seen[0].rows >= LOOKED_AT:
            break
    for each in seen:
        if each.name in moments and each.values and all(len(text) == _DATE_LENGTH for text in each.values):
            each.type = "date"
    return seen


def _see_batch(seen: Sequence[Seen], batch: pa.RecordBatch) -> None:
    import pyarrow.compute as pc

    for each in seen:
        values = batch.column(each.name)
        each.rows += len(values)
        each.nulls += values.null_count
        kind = each.type.partition("(")[0]
        if kind in NUMBERS:
            low = pc.min(values).as_py()
            each.minimum = (
                low if each.minimum is None or (low is not None and low < each.minimum) else each.minimum
            )
        if kind.startswith("array"):
            each.lengths |= set(pc.unique(pc.list_value_length(values).drop_null()).to_pylist())
            each.values = None
        elif each.values is not None:
            each.values |= set(values.drop_null().to_pylist())
