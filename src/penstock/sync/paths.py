"""The three ways in which a plan's rows get into Postgres, each proved before it is believed.

load: a new table is copied, then indexed. delta: only the rows that changed travel, and the touched partitions must then
have the checksums that follow from the committed ones; where they have not (rows were edited in Postgres, a committed
file is gone) it is undone, and the third way taken. merge: the partitions are read whole, those whose checksum is not
the committed one (or, where that is unknown or not to be trusted, Postgres's own) are staged and merged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain

from penstock.errors import SyncError, SyncInterruptedError
from penstock.sync import apply, schema
from penstock.sync.columns import Column
from penstock.sync.declaration import Declaration
from penstock.sync.delta import parts
from penstock.sync.extract import Copying, Extract, Reading, Tallying
from penstock.sync.fingerprints import Tally
from penstock.sync.lake import LakeObjects
from penstock.sync.partitions import Region
from penstock.sync.plan import FileRead, Plan
from penstock.sync.postgres import Limits
from penstock.sync.state import Connection
from penstock.sync.steps import Steps
from penstock.sync.verify import described, differing, table_tallies, verify

Tallies = Mapping[Region, Tally]


class UntrustedError(Exception):
    """The difference cannot be computed, or what came of it is not what was to come of it."""


class Paths:
    """Applies plans to one table within the caller's transaction; the lock is held."""

    def __init__(
        self,
        objects: LakeObjects,
        connection: Connection,
        declaration: Declaration,
        columns: list[Column],
        steps: Steps,
        limits: Limits,
    ) -> None:
        self._connection, self._declaration, self._columns = connection, declaration, columns
        self._steps, self._report = steps, steps.report
        self._reading = Reading(objects, limits.readers, limits.queued_batches)

    def carry_out(self, plan: Plan) -> Tallies:
        """Make the plan's scope equal the lake; returns what each of its regions holds now.

        Raises: ChecksumMismatchError, and whatever reading or writing raises; nothing may be committed then.
        """
        try:
            if plan.mode == "load":
                return self.load(plan)
            if not plan.delta:
                return self.merge(plan, trusted=plan.mode == "changes")
            try:
                with self._connection.transaction():
                    return self.delta(plan)
            except UntrustedError as reason:
                self._report.reason += f"; {reason}, so these partitions were read whole"
                return self.merge(plan, trusted=False)
        finally:
            self._report.rows_read += self._reading.rows_read

    def load(self, plan: Plan) -> Tallies:
        """Create the table, copy everything into it, index and verify it."""
        self._report.path = "load"
        schema.create(self._connection, self._declaration, self._columns)
        lake, copied = self.copy(plan.reads, plan, schema.table_name(self._declaration), freeze=True)
        self._steps.reached("copied", "copy")
        self._steps.step("index")
        schema.index(self._connection, self._declaration)
        apply.know_keys(self._connection, self._declaration)
        self._steps.reached("applied", "index")
        return self._loaded(plan, lake, copied)

    def fill(self, plan: Plan) -> Tallies:
        """Copy everything into a table that is there, has no keys yet and no rows of these regions; verify it."""
        self._report.path = "load"
        lake, copied = self.copy(plan.reads, plan, schema.table_name(self._declaration))
        self._steps.reached("copied", "copy")
        self._steps.reached("applied", "copy")
        return self._loaded(plan, lake, copied)

    def _loaded(self, plan: Plan, lake: Tallies, copied: int) -> Tallies:
        self._report.inserted = copied
        verify(self._declaration, plan.bounds, lake, self.held(plan))
        self._steps.reached("verified", "verify")
        return lake

    def delta(self, plan: Plan) -> Tallies:
        """Send only what changed; raises UntrustedError when that cannot be done, or Postgres then holds something else."""
        self._report.path = "delta"
        added, removed, staged, gone = self._send(plan)
        self._steps.reached("copied", "copy")
        expected = {region: Tally(tally.rows, tally.checksum) for region, tally in plan.committed.items()}
        emptied = {region for region in plan.committed if region not in plan.digests}
        for region in emptied:
            expected[region] = Tally()
        for region, tally in added.items():
            expected[region].add(tally.rows, tally.checksum)
        for region, tally in removed.items():
            expected[region].add(-tally.rows, -tally.checksum)
        emptied = {region for region in emptied if plan.committed[region].rows}
        written, found = apply.Written(), {}
        changed = added.keys() | removed.keys() | emptied
        self._steps.step("merge")
        if changed:
            part = plan.restricted(changed)
            written = apply.change(
                self._connection,
                self._declaration,
                self._columns,
                part,
                staged=staged,
                gone=gone,
                emptied=emptied,
            )
            self._steps.reached("applied", "merge")
            found = self.held(part)
            wrong = differing({region: expected[region] for region in changed}, found)
            if wrong:
                shown = described(plan.bounds, wrong, expected, found)
                raise UntrustedError(f"Postgres did not hold what was committed: {shown[0]}")
        else:
            self._steps.reached("applied", "merge")
        before = sum(plan.committed[region].rows for region in changed)
        self._tell(written, before, sum(tally.rows for tally in found.values()), expected)
        self._steps.reached("verified", "verify")
        return expected

    def merge(self, plan: Plan, *, trusted: bool) -> Tallies:
        """Read the live files whole and merge the partitions that differ; `trusted`: from what was committed of them."""
        self._report.path = "merge"
        self._steps.step("compare")
        lake = self.tallies(plan)
        known = dict(plan.committed) if trusted else {}
        asked = None if plan.scope is None else plan.scope - known.keys()
        if asked is None or asked:
            known |= self.held(plan if asked is None else plan.restricted(asked))
        wrong = differing(lake, known)
        there = lake.keys() | known.keys()
        self._report.reason += f"; {len(wrong)} of {len(there)} partitions differed"
        self._steps.lap("compare")
        written, before, after = apply.Written(), 0, 0
        if wrong:
            part = plan if wrong == there else plan.restricted(wrong)
            table = apply.stage(self._connection, self._columns)
            self._steps.step("copy")
            copied, _ = self.copy(part.reads, part, table)
            self._steps.reached("copied", "copy")
            self._steps.step("merge")
            before = apply.count(self._connection, self._declaration, part)
            written = apply.merge(self._connection, self._declaration, self._columns, part)
            self._steps.reached("applied", "merge")
            found = self.held(part)
            try:
                verify(self._declaration, plan.bounds, copied, found)
            except SyncError:
                apply.refuse_duplicates(self._connection, self._declaration)
                raise
            after = sum(tally.rows for tally in found.values())
        else:
            self._steps.reached("copied", "copy")
            self._steps.reached("applied", "merge")
        self._tell(written, before, after, lake)
        self._steps.reached("verified", "verify")
        return lake

    def copy(
        self, reads: Sequence[FileRead], plan: Plan, table: str, *, freeze: bool = False
    ) -> tuple[Tallies, int]:
        """Copy all rows of these files into a table; returns their tallies by region, and how many Postgres took."""
        work = Copying(self._columns, lambda region: self._place(plan, region))
        extract = Extract(self._reading, self._columns, reads, work)
        rows = sum(read.file.rows for read in reads)
        copied = apply.copy(
            self._connection,
            table,
            self._columns,
            extract.blocks(),
            freeze=freeze,
            copying=self._copying("copy", rows),
        )
        return work.tallies, copied

    def tallies(self, plan: Plan) -> Tallies:
        """Read the plan's live files for their rows and checksums alone."""
        work = Tallying(self._columns, lambda region: self._place(plan, region))
        told = self._counting("compare", sum(read.file.rows for read in plan.reads))
        Extract(self._reading, self._columns, plan.reads, work).run(told)
        return work.tallies

    def held(self, plan: Plan) -> dict[Region, Tally]:
        """Return what Postgres holds in the plan's scope."""
        self._steps.step("verify")
        return table_tallies(self._connection, self._declaration, self._columns, plan.bounds, plan.scope)

    def _send(self, plan: Plan) -> tuple[dict[Region, Tally], dict[Region, Tally], int, int]:
        """Stage the rows that the committed files lack, and the keys of those that the new ones lack; returns the
        tallies of both by region, and how many of each there are."""
        self._steps.step("copy")
        by_name = {column.name: column for column in self._columns}
        key = [by_name[name] for name in self._declaration.key]
        added: dict[Region, Tally] = {}
        removed: dict[Region, Tally] = {}
        staged = gone = 0
        copying, told = self._copying("copy", plan.rows), self._counting("copy", plan.rows)
        place = self._declaration.lake
        for part in parts(plan, self._reading, self._columns, self._declaration.key, place):
            with _committed_files():
                part.read(told)
            new = _filled(part.blocks(), told)
            staged += self._stage(apply.STAGING, self._columns, new, copying, first=not staged)
            with _committed_files():
                old = _filled(part.gone(), told)
                gone += self._stage(apply.GONE, key, old, copying, first=not gone)
            added |= part.added
            removed |= part.removed
        return added, removed, staged, gone

    def _stage(
        self,
        name: str,
        columns: Sequence[Column],
        blocks: Iterator[bytes],
        copying: Callable[[], None],
        *,
        first: bool,
    ) -> int:
        """Copy blocks into a temporary table, made if this is the first; without a block nothing is done."""
        block = next(blocks, None)
        if block is None:
            return 0
        table = apply.stage(self._connection, columns, name) if first else f"pg_temp.{name}"
        return apply.copy(self._connection, table, columns, chain([block], blocks), copying=copying)

    def _place(self, plan: Plan, region: Region) -> str:
        return f"{self._declaration.lake} partition {plan.bounds.label(region)}"

    def _counting(self, step: str, rows: int) -> Callable[[], None]:
        """Return what tells how far reading is, in rows read since now."""
        start = self._reading.rows_read
        return lambda: self._steps.tell(step, self._reading.rows_read - start, rows)

    def _copying(self, step: str, rows: int) -> Callable[[], None]:
        told = self._counting(step, rows)

        def copying() -> None:
            told()
            self._steps.checkpoint("copying")

        return copying

    def _tell(self, written: apply.Written, before: int, after: int, held: Tallies) -> None:
        """Report what was written: a row in scope that was neither inserted nor updated was right before."""
        report = self._report
        report.inserted = after - before + written.deleted
        report.updated = written.merged - report.inserted
        report.deleted = written.deleted
        report.unchanged = sum(tally.rows for tally in held.values()) - written.merged


def _filled(blocks: Iterator[bytes], told: Callable[[], None]) -> Iterator[bytes]:
    """Yield the blocks that hold something; an empty one is a batch read in which nothing changed, and only told."""
    for block in blocks:
        if block:
            yield block
        else:
            told()


@contextmanager
def _committed_files() -> Iterator[None]:
    """A committed file that cannot be read any more is no reason to stop: raises UntrustedError."""
    try:
        yield
    except SyncInterruptedError:
        raise
    except (SyncError, FileNotFoundError) as error:
        why = error.message if isinstance(error, SyncError) else f"{error} is gone"
        raise UntrustedError(f"a committed file cannot be read ({why})") from error
