"""Whether Postgres holds what was committed: every partition's rows and checksum, lake against Postgres; nothing is written.

The lake is read as it was at the committed snapshot, so that a build since then is no difference; where that snapshot
cannot be read any more (or nothing was ever committed) it is read as it is now. Of partitions that differ the first few
rows are named by key: missing in Postgres, not in the lake, or of other values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from penstock.connections import Connections
from penstock.errors import PlanError
from penstock.sync import schema
from penstock.sync.arrow import names_of, values_of
from penstock.sync.checksum import row_hash_sql, row_hashes
from penstock.sync.columns import Column, quoted
from penstock.sync.declaration import Declaration
from penstock.sync.delta import Committed, among
from penstock.sync.extract import Extract, Reading, Tallying
from penstock.sync.fingerprints import Tally
from penstock.sync.glue import Glue
from penstock.sync.lake import LakeObjects, LakeTable, locate
from penstock.sync.partitions import Bounds, Region
from penstock.sync.plan import DELTA_ROWS, FileRead, committed_version, live_reads
from penstock.sync.postgres import Limits, begin_limits, connect
from penstock.sync.state import Connection, read_state
from penstock.sync.steps import Steps
from penstock.sync.values import Array
from penstock.sync.verify import differing, table_tallies

# Partitions whose rows are compared one by one, and keys named of each kind: enough to see what happened.
PARTITIONS_SEARCHED = 5
KEYS_SHOWN = 5

Key = tuple[Any, ...]


@dataclass(frozen=True)
class PartitionCheck:
    """One partition on both sides. Keys are the first ones only, and only where they were searched for."""

    partition: str
    lake_rows: int
    table_rows: int
    equal: bool
    missing: tuple[Key, ...] = ()
    extra: tuple[Key, ...] = ()
    different: tuple[Key, ...] = ()


@dataclass(frozen=True)
class TableCheck:
    """One table's comparison. `committed`: with the lake as it was synced; otherwise as it is now."""

    table: str
    lake: str
    snapshot_id: int | None
    committed: bool
    partitions: tuple[PartitionCheck, ...]

    @property
    def wrong(self) -> list[PartitionCheck]:
        return [partition for partition in self.partitions if not partition.equal]


def check(connections: Connections, declaration: Declaration, *, steps: Steps, limits: Limits) -> TableCheck:
    """Compare every partition of the table with the lake.

    Raises: PlanError when there is nothing to compare (no table, or one that was never brought to the declared shape).
    """
    connected = connect(connections.postgres_url(), limits, reread=connections.reread_postgres_url)
    with connected as connection, connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        begin_limits(connection, limits)
        return _Check(connections, connection, declaration, steps).run()


class _Check:
    def __init__(
        self, connections: Connections, connection: Connection, declaration: Declaration, steps: Steps
    ) -> None:
        self._connection, self._declaration, self._steps = connection, declaration, steps
        self._objects = LakeObjects(connections)
        self._reading = Reading(self._objects)
        self._glue = Glue(connections)
        self._columns: list[Column] = []
        self._bounds = Bounds()

    def run(self) -> TableCheck:
        declaration = self._declaration
        self._steps.begin("plan")
        if not schema.exists(self._connection, declaration):
            raise PlanError(f"{declaration.target} is not in Postgres.", hint="`invoke sync` makes it.")
        state = read_state(self._connection, declaration)
        location = locate(self._glue, declaration.lake_database, declaration.lake_table)
        now = LakeTable(self._objects, location)
        then = committed_version(now, state)
        try:
            return self._compare(then or now, committed=then is not None)
        except FileNotFoundError:
            if then is None:
                raise
            return self._compare(now, committed=False)  # its metadata is still there, its files are not

    def _compare(self, lake: LakeTable, *, committed: bool) -> TableCheck:
        declaration = self._declaration
        self._columns = declaration.resolve(lake.fields())
        self._refuse_missing()
        self._bounds, live = live_reads(lake, self._columns)
        self._steps.step("compare")
        in_lake = self._tallies(live)
        in_table = table_tallies(self._connection, declaration, self._columns, self._bounds, None)
        wrong = differing(in_lake, in_table)
        regions = sorted(in_lake.keys() | in_table.keys(), key=self._bounds.label)
        searched = [region for region in regions if region in wrong][:PARTITIONS_SEARCHED]
        found = []
        for region in regions:
            ours, theirs = in_lake.get(region, Tally()), in_table.get(region, Tally())
            search = region in searched and max(ours.rows, theirs.rows) <= DELTA_ROWS
            # a computed key has no column in the lake to show
            plain = not any(column.expression for column in self._key)
            keys = self._keys(live, region) if search and plain else ((), (), ())
            label = self._bounds.label(region)
            found.append(PartitionCheck(label, ours.rows, theirs.rows, region not in wrong, *keys))
        return TableCheck(declaration.target, declaration.lake, lake.snapshot_id, committed, tuple(found))

    def _refuse_missing(self) -> None:
        row = self._connection.execute(
            "select array_agg(attname::text) from pg_attribute where attrelid = %s::regclass and not attisdropped",
            [schema.table_name(self._declaration)],
        ).fetchone()
        there = set(row[0]) if row else set()
        for column in self._columns:
            if column.name not in there:
                raise PlanError(
                    f"{self._declaration.target} has no column '{column.name}' yet.",
                    hint="`invoke sync` brings it to the declared shape.",
                )

    @property
    def _key(self) -> list[Column]:
        by_name = {column.name: column for column in self._columns}
        return [by_name[name] for name in self._declaration.key]

    def _place(self, region: Region) -> str:
        return f"{self._declaration.lake} partition {self._bounds.label(region)}"

    def _tallies(self, live: Sequence[FileRead]) -> dict[Region, Tally]:
        work = Tallying(self._columns, self._place)
        total = sum(read.file.rows for read in live)
        Extract(self._reading, self._columns, live, work).run(self._told(total))
        return work.tallies

    def _told(self, total: int) -> Callable[[], None]:
        return lambda: self._steps.tell("compare", self._reading.rows_read, total)

    def _keys(
        self, live: Sequence[FileRead], region: Region
    ) -> tuple[tuple[Key, ...], tuple[Key, ...], tuple[Key, ...]]:
        """Return the first keys that only the lake has, that only Postgres has, and that differ in values."""
        reads = [read for read in live if read.region == region]
        hashes: dict[FileRead, list[Array]] = {read: [] for read in reads}

        def gather(read: FileRead, _: int, batch: pa.RecordBatch) -> list[bytes]:
            hashes[read].append(row_hashes(values_of(self._columns, batch, self._place(region))))
            return []

        Extract(self._reading, self._columns, reads, gather).run()
        lake = Committed([part for parts in hashes.values() for part in parts])
        in_table = self._table_hashes(region)
        unknown = in_table[lake.cancel(in_table)]
        theirs = self._table_keys(region, unknown)
        ours = self._lake_keys(reads, hashes, lake.left())
        missing = [key for key in ours if key not in set(theirs)]
        extra = [key for key in theirs if key not in set(ours)]
        both = [key for key in ours if key in set(theirs)]
        return tuple(missing[:KEYS_SHOWN]), tuple(extra[:KEYS_SHOWN]), tuple(both[:KEYS_SHOWN])

    def _table_hashes(self, region: Region) -> Array:
        rows = self._connection.execute(
            f"select {row_hash_sql(self._columns, 't')} from {schema.table_name(self._declaration)} as t"
            f" where {self._bounds.predicate([region], 't')}".encode()
        )
        return np.fromiter((row[0] for row in rows), np.int64)

    def _table_keys(self, region: Region, hashes: Array) -> list[Key]:
        if not len(hashes):
            return []
        key = ", ".join(f"t.{quoted(name)}::text" for name in self._declaration.key)
        return self._connection.execute(
            f"select {key} from {schema.table_name(self._declaration)} as t where {self._bounds.predicate([region], 't')}"
            f" and {row_hash_sql(self._columns, 't')} = any(%s) order by {key}".encode(),
            [hashes.tolist()],
        ).fetchall()

    def _lake_keys(
        self, reads: Sequence[FileRead], hashes: dict[FileRead, list[Array]], left: Array
    ) -> list[Key]:
        if not len(left):
            return []
        key = self._key
        found: list[Key] = []

        def gather(read: FileRead, ordinal: int, batch: pa.RecordBatch) -> list[bytes]:
            mask = among(np.concatenate(hashes[read])[ordinal : ordinal + batch.num_rows], left)
            kept = batch.filter(pa.array(mask))
            names = names_of(kept.schema, key, read.file.location)
            parts = [kept.column(names[column.field_id]).to_pylist() for column in key]
            found.extend(tuple(str(value) for value in values) for values in zip(*parts, strict=True))
            return []

        Extract(self._reading, key, reads, gather).run()
        return sorted(found)
