"""Rounds: what the shards of a table are at work on together, as Postgres remembers it (`sync_rounds`, `sync_shards`).

An open round keeps the table's row of `penstock.sync_state`, which is not there meanwhile: what the table holds between the
first shard's commit and the last one's is no one snapshot.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg
from psycopg.rows import dict_row

from penstock.errors import SettingsError
from penstock.sync import schema
from penstock.sync.declaration import Declaration
from penstock.sync.options import table_name
from penstock.sync.partitions import Region
from penstock.sync.plan import Mode
from penstock.sync.state import Connection, SyncState, state_of

MOST = 1000  # shards; each is a process, and a connection to Postgres


@dataclass(frozen=True)
class Shard:
    """The `number`th of so many, from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number} of {self.of}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the shard of "2/4"; raises SettingsError."""
        found = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", text.strip())
        if found:
            number, of = int(found[1]), int(found[2])
            if 1 <= number <= of <= MOST:
                return cls(number, of)
        raise SettingsError(
            f"--shard {text} is no shard.",
            hint=f"--shard 2/4: the second of four; they are counted from 1, to {MOST} at most."
            " AWS Batch counts from 0: add 1 to AWS_BATCH_JOB_ARRAY_INDEX.",
        )


@dataclass(frozen=True)
class Round:
    """What the shards of a table are at work on. `shares` are the regions of each shard; `done` the shards that are."""

    id: int
    metadata_location: str
    mode: Mode
    shares: tuple[frozenset[Region], ...]
    declaration: str
    state: SyncState | None
    failed: bool
    done: frozenset[int]

    @property
    def of(self) -> int:
        return len(self.shares)

    @property
    def progress(self) -> str:
        return f"{len(self.done)} of {self.of} shards are done"


def read_round(connection: Connection, target: str) -> Round | None:
    """Return the table's open round."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            "select r.*, array(select s.shard from penstock.sync_shards as s where s.round = r.id) as done"
            " from penstock.sync_rounds as r where r.target = %s",
            [target],
        ).fetchone()
    if row is None:
        return None
    return Round(
        id=row["id"],
        metadata_location=row["metadata_location"],
        mode=row["mode"],
        shares=tuple(frozenset(tuple(region) for region in share) for share in row["shares"]),
        declaration=row["declaration"],
        state=None if row["state"] is None else state_of(row["state"]),
        failed=row["failed"],
        done=frozenset(row["done"]),
    )


def end_round(connection: Connection, declaration: Declaration, number: int | None = None) -> None:
    """Give up the table's open round (with `number`: only that one), if there is one.

    Where no shard has written anything, the state that the round kept is the table's again. A table that was made for the
    round is dropped: it never was whole, and without its key yet nothing stands in the way of double rows. Where views
    hang on it already, it is emptied. The caller holds the table's lock alone, and commits.
    """
    found = read_round(connection, declaration.target)
    if found is None or number not in (None, found.id):
        return
    if found.mode == "load":
        _undo_load(connection, declaration)
    elif not found.done:
        connection.execute(
            "insert into penstock.sync_state select (jsonb_populate_record(null::penstock.sync_state, r.state)).*"
            " from penstock.sync_rounds as r inner join penstock.sync_runs as s on s.id = (r.state->>'run_id')::bigint"
            " where r.id = %s on conflict (target) do nothing",
            [found.id],
        )
    connection.execute("delete from penstock.sync_rounds where id = %s", [found.id])


def _undo_load(connection: Connection, declaration: Declaration) -> None:
    connection.execute("delete from penstock.sync_partitions where target = %s", [declaration.target])
    if not schema.exists(connection, declaration):
        return
    table = table_name(declaration)
    try:
        with connection.transaction():
            connection.execute(f"drop table {table}".encode())
    except psycopg.errors.DependentObjectsStillExist:
        connection.execute(f"truncate {table}".encode())
