"""Random lake tables and random changes to them, kept beside in plain Python: what Postgres must hold after a sync.

`Model` writes each change to the lake file by file and remembers every snapshot's rows, so it can say what a snapshot
holds without reading the lake. Nothing here uses the sync's code.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

Row = dict[str, Any]
Key = tuple[Any, ...]

KEYS = ("int", "long", "string", "date", "uuid")
VALUES = (
    *(*KEYS, "boolean", "float", "double", "decimal(9,2)", "timestamp", "timestamptz"),
    *("decimal(30,4)", "time", "uuid", "binary", "list of int", "struct"),
)
WIDER = {"int": "long", "float": "double", "decimal(9,2)": "decimal(12,2)"}
TAMPER = "tamper"  # no change of the lake: another hand edits the rows in Postgres; the player does it
TRANSFORMS: dict[str, tuple[str, ...]] = {
    "int": ("identity", "bucket[3]"),
    "long": ("bucket[3]",),
    "string": ("identity", "bucket[3]", "truncate[1]"),
    "date": ("month", "day", "year"),
    "timestamp": ("month", "day", "hour"),
    "timestamptz": ("day", "month"),
    "boolean": ("identity",),
}
_TEXTS = ("", "a", "A", "ä", "it's", '"', "\\N", "a\tb\nc", "日本", "😀", "null", " x ", "x" * 40)
_EDGES: dict[str, tuple[Any, ...]] = {
    "int": (0, -1, 2**31 - 1, -(2**31)),
    "long": (0, -1, 2**63 - 1, -(2**63)),
    "date": (date(1969, 12, 31), date(1, 1, 1), date(9999, 12, 31), date(2024, 2, 29)),
    "float": (0.0, -0.0, math.inf, -math.inf, math.nan, 2.0**-10),
    "double": (0.0, -0.0, math.inf, -math.inf, math.nan, 1e300, 5e-324, 0.1),
    "decimal(9,2)": (Decimal("0.00"), Decimal("9999999.99"), Decimal("-9999999.99")),
    "decimal(30,4)": (Decimal("9" * 26 + ".9999"), Decimal("-" + "9" * 26 + ".9999"), Decimal("0.0001")),
    "time": (time(0), time(23, 59, 59, 999999)),
    "binary": (b"", b"\x00", b"\xff" * 40),
    "list of int": ([], [None], [2**31 - 1, None, -(2**31)]),
    "timestamp": (datetime(1969, 12, 31, 23, 59, 59, 999999), datetime(1, 1, 1), datetime(9999, 12, 31)),
}
_EPOCH = datetime(2025, 1, 1)


def value(kind: str, chance: random.Random, few: bool = False) -> Any:
    """Return a value of a lake type. `few`: from a handful, so that partitions hold several rows."""
    if few:
        return _few(kind, chance)
    if kind in _EDGES and chance.random() < 0.15:
        return chance.choice(_EDGES[kind])
    if kind in ("int", "long"):
        return chance.randrange(-50, 1000)
    if kind == "string":
        return chance.choice(_TEXTS) if chance.random() < 0.5 else f"s{chance.randrange(1000)}"
    if kind == "date":
        return date(2025, 1, 1) + timedelta(chance.randrange(-400, 400))
    if kind == "boolean":
        return chance.random() < 0.5
    if kind in ("float", "double"):
        return chance.randrange(-4000, 4000) / 8
    if kind.startswith("decimal"):
        return Decimal(chance.randrange(-99999, 99999)).scaleb(-int(kind[-2]))
    if kind == "uuid":
        return UUID(int=chance.getrandbits(128)).bytes
    if kind == "binary":
        return chance.randbytes(chance.randrange(6))
    if kind == "list of int":
        return [chance.randrange(-5, 5) for _ in range(chance.randrange(4))]
    if kind == "struct":
        return {"a": chance.choice((None, 1, -7)), "b": chance.choice((None, *_TEXTS))}
    moment = _EPOCH + timedelta(microseconds=chance.randrange(-(10**14), 10**14))
    if kind == "time":
        return moment.time()
    return moment.replace(tzinfo=UTC) if kind == "timestamptz" else moment


def _few(kind: str, chance: random.Random) -> Any:
    pick = chance.randrange(4)
    if kind in ("int", "long"):
        return pick - 1
    if kind == "string":
        return ("", "it's", "ä", "b")[pick]
    if kind == "boolean":
        return pick > 1
    if kind == "date":
        return date(2024, 12, 30) + timedelta(pick * 2)
    moment = datetime(2024, 12, 31, 22, 30) + timedelta(hours=pick)
    return moment.replace(tzinfo=UTC) if kind == "timestamptz" else moment


@dataclass(frozen=True)
class ColumnSpec:
    name: str
    kind: str
    declared: str = ""
    nullable: bool = True

    def expected(self, item: Any) -> Any:
        """Return what Postgres holds of a lake value, in a form in which NaN equals itself."""
        if isinstance(item, float):
            if self.declared.startswith("decimal"):
                return Decimal(repr(item)).quantize(Decimal("0.01"), ROUND_HALF_UP)
            return comparable(item)
        return UUID(bytes=item) if self.kind == "uuid" and item is not None else item

    def iceberg(self, number: int) -> Any:
        """Return the Iceberg type; a nested one takes field ids of its own from the column's number."""
        if self.kind == "list of int":
            return {"type": "list", "element-id": 500 + number, "element": "int", "element-required": False}
        if self.kind == "struct":
            parts = [("a", "int"), ("b", "string")]
            return {
                "type": "struct",
                "fields": [
                    {"id": 600 + 2 * number + i, "name": name, "type": kind, "required": False}
                    for i, (name, kind) in enumerate(parts)
                ],
            }
        return self.kind


def comparable(item: Any) -> Any:
    return "NaN" if isinstance(item, float) and math.isnan(item) else item


@dataclass(frozen=True)
class TableSpec:
    """A table drawn at random. `partition` names the column and its transform."""

    columns: tuple[ColumnSpec, ...]
    key: tuple[str, ...]
    partition: tuple[str, str] | None
    batch_rows: int
    row_group: int

    @property
    def fields(self) -> list[tuple[str, Any]]:
        return typed(self.columns)


def typed(columns: Sequence[ColumnSpec]) -> list[tuple[str, Any]]:
    """Return names and Iceberg types."""
    return [(column.name, column.iceberg(i)) for i, column in enumerate(columns, 1)]


def table_spec(chance: random.Random) -> TableSpec:
    """Return a random table: up to three key columns, up to five others, partitioned by any of them or not at all."""
    columns = [
        ColumnSpec(f"k{i}", chance.choice(KEYS), nullable=False) for i in range(chance.randrange(1, 4))
    ]
    key = tuple(column.name for column in columns)
    for i in range(chance.randrange(0, 6)):
        kind = chance.choice(VALUES)
        column = ColumnSpec(f"v{i}", kind, nullable=chance.random() < 0.7)
        if kind == "double" and chance.random() < 0.4:
            column = replace(column, declared="decimal(12,2)")
        elif kind == "int" and chance.random() < 0.3:
            column = replace(column, declared="bigint")
        elif kind == "string" and chance.random() < 0.3:
            column = replace(column, declared="varchar(40)")
        columns.append(column)
    chance.shuffle(columns)
    able = [column for column in columns if column.kind in TRANSFORMS and not column.declared]
    partition = None
    if able and chance.random() < 0.85:
        chosen = chance.choice(able)
        partition = (chosen.name, chance.choice(TRANSFORMS[chosen.kind]))
    return TableSpec(
        tuple(columns), key, partition, chance.choice((1, 3, 7, 1000)), chance.choice((2, 5, 100_000))
    )


@dataclass
class File:
    """A data file: its rows by position, and the positions deleted."""

    partition: Any
    rows: list[Row]
    dead: frozenset[int] = frozenset()

    def live(self) -> list[tuple[int, Row]]:
        return [(i, row) for i, row in enumerate(self.rows) if i not in self.dead]


Files = dict[str, File]


@dataclass
class Model:
    """The lake table `writer` and what it holds: its files now, and at each snapshot that has not expired."""

    spec: TableSpec
    make: Callable[[list[tuple[str, Any]], tuple[str, str] | None], Any]
    objects: Callable[[str], None]
    """Deletes the object at a location."""
    files: Files = field(default_factory=dict)
    deletes: dict[str, frozenset[str]] = field(default_factory=dict)
    """Live delete files and the data files they name."""
    history: dict[int, tuple[Files, dict[str, frozenset[str]]]] = field(default_factory=dict)
    renamed: tuple[str, str] | None = None
    synced: frozenset[str] = frozenset()
    """The columns that Postgres has; the player keeps it."""

    def __post_init__(self) -> None:
        self.columns = list(self.spec.columns)
        self.writer = self.make(self.spec.fields, self.spec.partition)

    # what it holds

    def rows(self) -> dict[Key, tuple[Any, ...]]:
        """Return what Postgres must hold: values by key, in the columns' order."""
        found = {}
        for file in self.files.values():
            for _, row in file.live():
                key = self._key(row)
                assert key not in found, "the model made a key twice"
                found[key] = tuple(column.expected(row.get(column.name)) for column in self.columns)
        return found

    def _key(self, row: Row) -> Key:
        names = {column.name: column for column in self.spec.columns}
        return tuple(names[name].expected(row[name]) for name in self.spec.key)

    def _keys(self) -> set[Key]:
        return {self._key(row) for file in self.files.values() for _, row in file.live()}

    # rows

    def _row(self, chance: random.Random, key: Row | None = None) -> Row:
        source = self.spec.partition[0] if self.spec.partition else ""
        row: Row = {}
        for column in self.columns:
            if key is not None and column.name in key:
                row[column.name] = key[column.name]
            elif column.nullable and chance.random() < 0.2:
                row[column.name] = None
            else:
                row[column.name] = self._value(column, chance, few=column.name == source)
        return row

    def _value(self, column: ColumnSpec, chance: random.Random, few: bool) -> Any:
        item = value(column.kind, chance, few)
        if column.declared.startswith("decimal"):
            return chance.randrange(-4000, 4000) / 8
        return item

    def _new_rows(self, chance: random.Random, most: int) -> list[Row]:
        taken, found = self._keys(), []
        for _ in range(chance.randrange(1, most)):
            row = self._row(chance)
            if self._key(row) not in taken:
                taken.add(self._key(row))
                found.append(row)
        return found

    def _partition(self, row: Row) -> Any:
        if self.spec.partition is None:
            return None
        from pyiceberg.transforms import parse_transform

        name, transform = self.spec.partition
        kind = next(column.kind for column in self.spec.columns if column.name == name)
        item = row[name]
        return None if item is None else parse_transform(transform).transform(_iceberg(kind))(item)

    # changes: each makes one commit, or none when there is nothing to change

    def _write(self, rows: Sequence[Row], chance: random.Random) -> None:
        """Write data files for these rows: one a partition, or several."""
        parts: dict[Any, list[Row]] = {}
        for row in rows:
            parts.setdefault(self._partition(row), []).append(row)
        for partition, found in parts.items():
            chance.shuffle(found)
            cut = chance.randrange(1, len(found) + 1)
            for some in (found[:cut], found[cut:]):
                if some:
                    location = self.writer.add(some, partition, row_group=self.spec.row_group)
                    self.files[location] = File(partition, list(some))

    def _kill(self, dead: dict[str, set[int]]) -> None:
        """Write position deletes, one file a partition."""
        by_partition: dict[Any, dict[str, list[int]]] = {}
        for location, positions in dead.items():
            if positions:
                file = self.files[location]
                by_partition.setdefault(file.partition, {})[location] = sorted(positions)
                self.files[location] = replace(file, dead=file.dead | positions)
        for partition, positions in by_partition.items():
            location = self.writer.delete(positions, partition)
            self.deletes[location] = frozenset(positions)

    def _commit(self, remove: Sequence[str] = ()) -> None:
        gone = set(remove)
        for location in remove:
            del self.files[location]
        for location, named in list(self.deletes.items()):
            if not named & self.files.keys():
                gone.add(location)
                del self.deletes[location]
        snapshot = self.writer.commit(remove=gone)
        self.history[snapshot] = (dict(self.files), dict(self.deletes))

    def insert(self, chance: random.Random) -> None:
        self._write(self._new_rows(chance, chance.choice((3, 15, 40))), chance)
        self._commit()

    def _chosen(self, chance: random.Random) -> list[tuple[str, int, Row]]:
        """Return some live rows, few or most of them."""
        share = chance.choice((0.1, 0.3, 0.9))
        return [
            (location, position, row)
            for location, file in self.files.items()
            for position, row in file.live()
            if chance.random() < share
        ]

    def _change(self, chance: random.Random, changed: Callable[[Row], Row | None], in_place: bool) -> None:
        """Change or delete (None) some rows: by position deletes, or by writing their files anew."""
        chosen = self._chosen(chance)
        fresh = [row for row in (changed(row) for _, _, row in chosen) if row is not None]
        dead: dict[str, set[int]] = {}
        for location, position, _ in chosen:
            dead.setdefault(location, set()).add(position)
        if in_place:
            self._kill(dead)
            self._write(fresh, chance)
            self._commit()
            return
        for location, positions in dead.items():
            fresh += [row for position, row in self.files[location].live() if position not in positions]
        self._write(fresh, chance)
        self._commit(remove=list(dead))

    def update(self, chance: random.Random) -> None:
        """Other values for some rows; their partition may be another."""
        in_place = chance.random() < 0.5

        def changed(row: Row) -> Row:
            new = self._row(chance, {name: row[name] for name in self.spec.key})
            keep = chance.random() < 0.3  # only one value is another, or none is
            return {
                column.name: row.get(column.name)
                if keep and chance.random() < 0.8 and not self._must(column, row)
                else new[column.name]
                for column in self.columns
            }

        self._change(chance, changed, in_place)

    def _must(self, column: ColumnSpec, row: Row) -> bool:
        return not column.nullable and row.get(column.name) is None

    def delete(self, chance: random.Random) -> None:
        self._change(chance, lambda _: None, chance.random() < 0.5)

    def drop_partition(self, chance: random.Random) -> None:
        if self.files:
            partition = chance.choice([file.partition for file in self.files.values()])
            self._commit(
                remove=[location for location, file in self.files.items() if file.partition == partition]
            )

    def compact(self, chance: random.Random) -> None:
        """OPTIMIZE: files written anew in other sizes and orders, deletes applied, no row changed."""
        rows = [row for file in self.files.values() for _, row in file.live()]
        before = list(self.files)
        self._write(rows, chance)
        self._commit(remove=before)

    def touch(self, _: random.Random) -> None:
        self.writer.touch()

    def rollback(self, chance: random.Random) -> None:
        if self.history:
            snapshot = chance.choice(list(self.history))
            self.writer.rollback(snapshot)
            files, deletes = self.history[snapshot]
            self.files, self.deletes = dict(files), dict(deletes)

    def expire(self, chance: random.Random) -> None:
        """VACUUM: every snapshot but the current one is forgotten; its files may be deleted at once or later."""
        current = self.writer.metadata["current-snapshot-id"]
        unused: set[str] = set()
        for snapshot in [number for number in self.history if number != current]:
            files, deletes = self.history.pop(snapshot)
            unused |= files.keys() | deletes.keys()
            self.writer.expire(snapshot)
        if chance.random() < 0.5:
            for location in sorted(unused - self.files.keys() - self.deletes.keys()):
                self.objects(location)

    def add_column(self, chance: random.Random) -> None:
        column = ColumnSpec(f"a{len(self.columns)}", chance.choice(VALUES))
        self.columns.append(column)
        self.writer.evolve(add=[(column.name, column.iceberg(len(self.columns)))])
        if chance.random() < 0.5:
            self.update(chance)

    def widen_column(self, chance: random.Random) -> None:
        source = self.spec.partition[0] if self.spec.partition else ""
        able = [
            column
            for column in self.columns
            if column.kind in WIDER
            and column.nullable  # one that is not is declared, type and all: another type is refused
            and not column.declared
            and column.name not in (*self.spec.key, source)
        ]
        if able:
            column = chance.choice(able)
            self.columns[self.columns.index(column)] = replace(column, kind=WIDER[column.kind])
            self.writer.evolve(widen={column.name: WIDER[column.kind]})

    def make_again(self, chance: random.Random) -> None:
        """DROP and CREATE TABLE AS: another table of the same name, with most of the rows."""
        rows = [row for file in self.files.values() for _, row in file.live()]
        self.writer = self.make(typed(self.columns), self.spec.partition)
        self.files, self.deletes, self.history = {}, {}, {}
        self._write([row for row in rows if chance.random() < 0.8], chance)
        self._commit()

    def rename_column(self, chance: random.Random) -> None:
        """A synced column gets another name: refused. `name_back` puts it right."""
        able = [column.name for column in self.columns if column.name in self.synced]
        name = chance.choice(able)
        self.renamed = (name, f"{name}_renamed")
        self.writer.evolve(rename={name: f"{name}_renamed"})

    def name_back(self) -> None:
        assert self.renamed is not None
        old, new = self.renamed
        self.writer.evolve(rename={new: old})
        self.renamed = None


CHANGES = (
    "insert",
    "insert",
    "update",
    "update",
    "update",
    "delete",
    "delete",
    "drop_partition",
    "compact",
    "compact",
    "touch",
    "rollback",
    "expire",
    "add_column",
    "widen_column",
    "make_again",
    "rename_column",
    TAMPER,
)


def _iceberg(kind: str) -> Any:
    from pyiceberg import types

    return {
        "int": types.IntegerType,
        "long": types.LongType,
        "string": types.StringType,
        "date": types.DateType,
        "timestamp": types.TimestampType,
        "timestamptz": types.TimestamptzType,
        "boolean": types.BooleanType,
    }[kind]()
