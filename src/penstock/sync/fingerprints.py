"""What every partition of a synced table held at the last commit: `penstock.sync_partitions`, a row a partition.

Three things are kept: rows and checksum (a sum of row hashes, so a change of some rows adds and subtracts), and a digest
of the files that held them. A partition whose files have the committed digest is untouched, whatever became of the
snapshot; one whose checksum is the committed one needs no write, whatever became of its files. A fingerprint that is
missing, or was taken of other columns, only means the slower path.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from psycopg.types.json import Jsonb

from penstock.sync.columns import Column
from penstock.sync.declaration import Declaration
from penstock.sync.partitions import Bounds, Region
from penstock.sync.state import Connection

if TYPE_CHECKING:
    from penstock.sync.plan import FileRead


@dataclass
class Tally:
    """Rows and checksum of one region."""

    rows: int = 0
    checksum: int = 0

    def add(self, rows: int, checksum: int) -> None:
        self.rows += rows
        self.checksum += checksum


@dataclass(frozen=True)
class Fingerprint:
    """A partition as committed. `files` is a digest of its live files; `columns` one of the columns hashed."""

    rows: int
    checksum: int
    files: str
    columns: str

    @property
    def tally(self) -> Tally:
        return Tally(self.rows, self.checksum)


def columns_digest(columns: Sequence[Column]) -> str:
    """Return what a checksum depends on: the columns hashed, in order, with their types."""
    hashed = [[column.name, column.type.sql, column.not_null] for column in columns]
    return sha256(json.dumps(hashed).encode()).hexdigest()[:32]


def files_digest(reads: Iterable[FileRead]) -> str:
    """Return a digest of live files and the deletes that apply to each: equal digests are equal rows."""
    lines = (
        [read.file.location, read.file.size, read.file.rows, sorted(item.location for item in read.deletes)]
        for read in reads
    )
    return sha256(json.dumps(sorted(lines)).encode()).hexdigest()[:32]


def read_fingerprints(
    connection: Connection, declaration: Declaration, bounds: Bounds
) -> dict[Region, Fingerprint] | None:
    """Return the committed fingerprints by region; None when there are none, or of a table partitioned otherwise."""
    row = connection.execute("select to_regclass('penstock.sync_partitions') is not null").fetchone()
    if row != (True,):
        return None
    found: dict[Region, Fingerprint] = {}
    for partition, region, rows, checksum, files, columns in connection.execute(
        "select partition, region, rows, checksum, files, columns from penstock.sync_partitions where target = %s",
        [declaration.target],
    ):
        key = tuple(region)
        if len(key) != len(bounds.fields) or bounds.key(key) != partition:
            return None
        found[key] = Fingerprint(rows, int(checksum), files, columns)
    return found or None


def write_fingerprints(
    connection: Connection,
    declaration: Declaration,
    bounds: Bounds,
    found: Mapping[Region, Fingerprint],
    scope: Iterable[Region] | None,
) -> None:
    """Record the partitions in scope as they now are; those of no rows and no files are forgotten. The caller commits.

    `scope` None is every partition of the table: what is not in `found` is forgotten.
    """
    others = "" if scope is None else " and partition = any(%s)"
    keys = [] if scope is None else [[bounds.key(region) for region in scope]]
    connection.execute(
        f"delete from penstock.sync_partitions where target = %s{others}".encode(),
        [declaration.target, *keys],
    )
    rows = list(found.items())
    connection.execute(
        "insert into penstock.sync_partitions (target, partition, region, rows, checksum, files, columns)"
        " select %s, * from unnest(%s::text[], %s::jsonb[], %s::bigint[], %s::numeric[], %s::text[], %s::text[])",
        [
            declaration.target,
            [bounds.key(region) for region, _ in rows],
            [Jsonb(list(region)) for region, _ in rows],
            [item.rows for _, item in rows],
            [item.checksum for _, item in rows],
            [item.files for _, item in rows],
            [item.columns for _, item in rows],
        ],
    )


def comparable(found: Mapping[Region, Fingerprint], columns: Sequence[Column]) -> dict[Region, Fingerprint]:
    """Return the fingerprints whose checksums were taken of just these columns."""
    now = columns_digest(columns)
    return {region: item for region, item in found.items() if item.columns == now}
