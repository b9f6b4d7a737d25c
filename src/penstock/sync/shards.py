"""A table's sync shared out among processes: `--shard 2/4` applies the second of four shares in a transaction of its own.

The first shard that finds something new opens a *round*: it pins the lake's version, deals the partitions out by rows,
and converges the table's shape (or creates the table). All shards of the round work on that version, even when the lake has
moved on, each under a shared lock of the table; rows, fingerprints and the shard's mark commit together. The shard that
finds all marks set builds the indexes of a new table, commits the snapshot and ends the round.

While a round is open the table has no row in `penstock.sync_state`, for what it holds is no one snapshot: the round keeps
it. So an unsharded sync, which takes the lock alone, ends the round and compares everything; where no shard has
finished it goes on from the kept state, and a first load it begins anew. Whatever became of the shards, `invoke sync`
puts it right.

A round is given up, and begun anew with the lake's current version, when its files have expired, the declaration has
changed, the table is gone, or a shard of it failed and the lake has moved on since. Refused: another number of shards
than the round was opened with. A table whose rows can move between partitions (the partition's column is not in the
key), or with one partition to sync, cannot be shared out: shard 1 syncs it alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from psycopg.types.json import Jsonb

from penstock.errors import PlanError, SyncError
from penstock.sync import apply, schema
from penstock.sync.declaration import Declaration
from penstock.sync.fingerprints import (
    Fingerprint,
    columns_digest,
    read_fingerprints,
    write_fingerprints,
)
from penstock.sync.lake import LakeObjects, LakeTable, locate
from penstock.sync.options import table_name
from penstock.sync.partitions import Bounds, Region
from penstock.sync.plan import Plan, fingerprints_of, plan, unchanged
from penstock.sync.postgres import begin_limits, catalog_change, lock
from penstock.sync.rounds import Round, Shard, end_round, read_round
from penstock.sync.runs import begin_run
from penstock.sync.state import Connection, SyncState, read_state, write_state
from penstock.sync.table import TableSync

if TYPE_CHECKING:
    from penstock.sync.columns import Column

# How long a shard waits for another to open the round, which plans for all of them: 10 to 600.
OPENING_SECONDS = 120.0


class ShardSync(TableSync):
    """One shard's part of one table's sync; `run` it once."""

    def __init__(self, *arguments: Any, shard: Shard, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.shard = shard
        self._round: Round | None = None

    def _hold(self, connection: Connection) -> None:
        """Take the table's lock together with the other shards, and this shard's alone."""
        lock(connection, self.declaration, self.limits, shared=True)
        lock(connection, self.declaration, self.limits, part=f"shard {self.shard.number}")

    def _attempt(self, connection: Connection, glue: Any) -> bool:
        """Apply this shard's share of the round; False, with nothing done, when the round has ended or was given up."""
        found = catalog_change(
            connection, self.limits, self.declaration, partial(self._open, connection, glue)
        )
        if isinstance(found, str):
            if found == "alone" and self.shard.number == 1:
                return super()._attempt(connection, glue)
            as_it_was, alone = "the lake table is as it was", "the work cannot be shared out: shard 1 does it"
            return self._nothing(connection, as_it_was if found == "unchanged" else alone)
        self._round = found
        if self.shard.number in found.done:
            return self._nothing(connection, f"shard {self.shard} is done; {found.progress}")
        try:
            return self._share(connection, found)
        except (FileNotFoundError, SyncError) as error:
            missing = isinstance(error, FileNotFoundError) or isinstance(error.__cause__, FileNotFoundError)
            if not missing or found.metadata_location == self._located(glue):
                raise
            give_up = partial(self._give_up, connection, found)  # the pinned version has expired
            catalog_change(connection, self.limits, self.declaration, give_up)
            return False

    def _give_up(self, connection: Connection, ended: Round) -> None:
        """End the round; no other shard may be at work on it."""
        lock(connection, self.declaration, self.limits)
        end_round(connection, self.declaration, ended.id)

    def _nothing(self, connection: Connection, reason: str) -> Literal[True]:
        self.report.reason = reason
        self.steps.lap("plan")
        with connection.transaction():
            self._committing = self._write_run(connection, self._record())
        return True

    def _located(self, glue: Any) -> str:
        return locate(glue, self.declaration.lake_database, self.declaration.lake_table)

    def _open(self, connection: Connection, glue: Any) -> Round | Literal["alone", "unchanged"]:
        """Return the table's round, opened here if there was none; "alone" where the work cannot be shared out.

        Shards open one at a time; the lock is the round's, so those at work are not waited for.
        """
        declaration = self.declaration
        self.interrupt.check()
        lock(connection, declaration, self.limits, shared=True)
        lock(connection, declaration, replace(self.limits, busy_seconds=OPENING_SECONDS), part="round")
        location = self._located(glue)
        found = read_round(connection, declaration.target)
        if found is not None and self._stale(connection, found, location):
            self._give_up(connection, found)
            found = None
        if found is not None and found.of != self.shard.of:
            raise PlanError(
                f"{declaration.target} is being synced in {found.of} shards, of which {len(found.done)} are done; this"
                f" one is {self.shard}.",
                hint=f"Run the others of the {found.of}, or give the round up by an `invoke sync` without --shard.",
            )
        if found is None:
            opened = self._deal(connection, location)
            if isinstance(opened, str):
                return opened
            found = opened
        self._token = self._token or uuid4()
        begin_run(connection, declaration, self._token, self.started)
        return found

    def _stale(self, connection: Connection, found: Round, location: str) -> bool:
        """Whether a round can or should not be finished."""
        moved_on = found.metadata_location != location
        return (
            found.declaration != self.declaration.fingerprint
            or (found.failed and moved_on)
            or not schema.exists(connection, self.declaration)
        )

    def _deal(self, connection: Connection, location: str) -> Round | Literal["alone", "unchanged"]:
        """Plan the lake's current version, deal its regions out and open the round."""
        declaration = self.declaration
        state = read_state(connection, declaration)
        if unchanged(state, declaration, location):
            return "unchanged"
        lake = LakeTable(LakeObjects(self.connections), location)
        columns = declaration.resolve(lake.fields())
        schema.check_columns(declaration, columns)
        schema.check_drift(declaration, columns, state)
        there = schema.exists(connection, declaration)
        work = self._plan(connection, lake, columns, state, there)
        regions = set(work.digests if work.scope is None else work.scope)
        if work.mode == "nothing" or not work.disjoint(declaration.key):
            return "alone"
        if work.mode == "everything":  # what only Postgres has is to go, so it must be someone's
            regions |= _regions_there(connection, declaration, work.bounds)
        if len(regions) < 2:
            return "alone"
        if there:
            self.report.schema_changes += schema.converge(connection, declaration, columns)
        else:
            schema.create(connection, declaration, columns)
        shares = dealt(work, regions, self.shard.of)
        connection.execute(
            "insert into penstock.sync_rounds (target, metadata_location, mode, shares, declaration, state)"
            " values (%s, %s, %s, %s, %s, (select to_jsonb(s) from penstock.sync_state as s where target = %s))",
            [
                declaration.target,
                location,
                work.mode,
                Jsonb([sorted(map(list, share), key=str) for share in shares]),
                declaration.fingerprint,
                declaration.target,
            ],
        )
        connection.execute("delete from penstock.sync_state where target = %s", [declaration.target])
        opened = read_round(connection, declaration.target)
        assert opened is not None
        return opened

    def _plan(
        self,
        connection: Connection,
        lake: LakeTable,
        columns: list[Column],
        state: SyncState | None,
        there: bool,
        others: Iterable[Region] = (),
    ) -> Plan:
        """Plan as an unsharded sync would. Of `others`, which are another shard's, nothing need be known."""

        def remembered(bounds: Bounds) -> dict[Region, Fingerprint] | None:
            known = read_fingerprints(connection, self.declaration, bounds)
            if (
                known is not None
            ):  # or a partition that another shard has emptied would put this one on the slow path
                unknown = Fingerprint(0, 0, "", columns_digest(columns))
                known = dict.fromkeys(others, unknown) | known
            return known

        return plan(lake, state, columns, remembered, full=False, exists=there)

    def _share(self, connection: Connection, opened: Round) -> bool:
        """Apply the share in one transaction, and end the round with it when it was the last."""
        declaration, report = self.declaration, self.report
        with connection.transaction():
            begin_limits(connection, self.limits)
            self._hold(connection)
            now = read_round(connection, declaration.target)
            if now is None or now.id != opened.id or self.shard.number in now.done:
                return False
            lake = LakeTable(LakeObjects(self.connections), now.metadata_location)
            columns = declaration.resolve(lake.fields())
            mine = now.shares[self.shard.number - 1]
            others = frozenset().union(*now.shares) - mine
            whole = self._plan(connection, lake, columns, now.state, now.mode != "load", others)
            work = whole.restricted(mine if whole.scope is None else mine & whole.scope)
            report.mode, report.snapshot_id = work.mode, work.snapshot_id
            report.reason = f"shard {self.shard}: {work.reason}"
            report.partitions, report.files = work.partitions, work.files
            self.steps.lap("plan")
            self.checkpoint("planned")
            try:
                if work.mode == "load":
                    self._fill(connection, lake, columns, work)
                elif work.mode != "nothing" and work.scope:
                    self._apply(connection, lake, columns, work)
            finally:
                report.bytes_read, report.requests = lake.objects.bytes_read, lake.objects.requests
            run_id = self._mark(connection, now, lake, columns)
            self.checkpoint("before commit")
            self._committing = run_id
        return True

    def _fill(self, connection: Connection, lake: LakeTable, columns: list[Column], work: Plan) -> None:
        """Copy the share into the table that the round made."""
        from penstock.sync.paths import Paths

        paths = Paths(lake.objects, connection, self.declaration, columns, self.steps, self.limits)
        held = paths.fill(work)
        found = fingerprints_of(work, held, columns)
        write_fingerprints(connection, self.declaration, work.bounds, found, work.scope)

    def _mark(self, connection: Connection, opened: Round, lake: LakeTable, columns: list[Column]) -> int:
        """Record the share as done; the last one commits the round's snapshot. Returns the id of the run's record.

        The round's row is locked from here to the commit, so of two last shards the second sees the first one's mark.
        """
        declaration = self.declaration
        connection.execute("select 1 from penstock.sync_rounds where id = %s for update", [opened.id])
        connection.execute(
            "insert into penstock.sync_shards (round, shard) values (%s, %s)", [opened.id, self.shard.number]
        )
        now = read_round(connection, declaration.target)
        assert now is not None
        self.report.reason += f"; {now.progress}"
        last = len(now.done) == now.of
        if last:
            self._finish(connection, now, columns)
        run_id = self._write_run(connection, self._record())
        if last:
            state = SyncState(
                lake=declaration.lake,
                table_uuid=lake.uuid,
                metadata_location=lake.metadata_location,
                snapshot_id=lake.snapshot_id,
                columns=[column.record() for column in columns],
                key=declaration.key,
                declaration=declaration.fingerprint,
            )
            write_state(connection, declaration, state, run_id)
            connection.execute("delete from penstock.sync_rounds where id = %s", [now.id])
        return run_id

    def _finish(self, connection: Connection, ended: Round, columns: list[Column]) -> None:
        """Build what looks at every row, now that no other shard writes."""
        if ended.mode != "load" and schema.is_built(connection, self.declaration):
            return
        self.steps.step("index")
        if ended.mode == "load":
            schema.index(connection, self.declaration)
            apply.know_keys(connection, self.declaration)
        else:
            self.report.schema_changes += schema.build(connection, self.declaration, columns)
        self.steps.lap("index")

    def _write_failure(self, connection: Connection, record: dict[str, Any]) -> None:
        with connection.transaction():
            self._write_run(connection, record)
            if self._round is not None and not self.interrupt.asked:
                connection.execute(
                    "update penstock.sync_rounds set failed = true where id = %s", [self._round.id]
                )


def dealt(work: Plan, regions: Iterable[Region], shards: int) -> list[set[Region]]:
    """Return each shard's regions: largest first, each to the shard that has the fewest rows to read so far."""
    rows: dict[Region, int] = defaultdict(int)
    for read in work.needed:
        rows[read.region] += read.file.rows
    shares: list[set[Region]] = [set() for _ in range(shards)]
    load = [0] * shards
    for region in sorted(regions, key=lambda region: (-rows[region], work.bounds.key(region))):
        least = load.index(min(load))
        shares[least].add(region)
        load[least] += rows[region] + 1  # a region without rows is some work too
    return shares


def _regions_there(connection: Connection, declaration: Declaration, bounds: Bounds) -> set[Region]:
    """Return the regions that Postgres holds rows of: one scan."""
    groups = ", ".join(bounds.group_sql("t"))
    rows = connection.execute(f"select distinct {groups} from {table_name(declaration)} as t".encode())
    return {bounds.region_of(row) for row in rows}
