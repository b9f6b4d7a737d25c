"""One table's sync, from the look at the lake to the commit: data, snapshot and the run's record in one transaction.

A process killed anywhere leaves the old state or the new one, and the next run completes it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import psycopg

from penstock.connections import Connections
from penstock.errors import PenstockError, SyncBusyError, SyncError
from penstock.sync import options, schema
from penstock.sync.columns import Column
from penstock.sync.declaration import Declaration
from penstock.sync.failed import named
from penstock.sync.fingerprints import read_fingerprints, write_fingerprints
from penstock.sync.glue import Glue
from penstock.sync.interrupt import Interrupt
from penstock.sync.lake import LakeObjects, LakeTable, locate
from penstock.sync.plan import Plan, committed_version, everything, fingerprints_of, plan, unchanged
from penstock.sync.postgres import Limits, begin_limits, catalog_change, connect, lock, quotable
from penstock.sync.report import Checkpoint, Progress, Report, SyncReport
from penstock.sync.rounds import end_round
from penstock.sync.runs import begin_run, write_run
from penstock.sync.state import Connection, SyncState, prepare, read_state, write_state
from penstock.sync.steps import Steps


class TableSync:
    """One table's sync; `run` it once."""

    def __init__(
        self,
        connections: Connections,
        declaration: Declaration,
        full: bool,
        progress: Report,
        checkpoint: Checkpoint,
        limits: Limits,
        *,
        interrupt: Interrupt | None = None,
        mend: bool = False,
    ) -> None:
        self.connections, self.declaration, self.full = connections, declaration, full
        self.mend = mend  # make the table equal the snapshot it was last synced from, and no newer one
        self._mended: SyncState | None = None
        self.progress, self.checkpoint, self.limits = progress, checkpoint, limits
        self.interrupt = interrupt or Interrupt()
        self.report = SyncReport(declaration.target, declaration.lake)
        self.steps = Steps(self.report, progress, checkpoint)
        self.started = datetime.now(UTC)
        self._committing: int | None = None  # the run's record, once all is ready to be committed
        self._token: UUID | None = None  # of its row in sync_attempts, once there is one

    def run(self) -> SyncReport:
        glue = Glue(self.connections)
        with self._connected(self.limits) as connection:
            try:
                with self.interrupt.watching(connection):
                    prepare(connection, self.declaration)
                    self._run(connection, glue)
            except SyncBusyError:
                raise
            except Exception as error:
                if self._landed(connection):
                    self._done()
                    return self.report
                if not _of_the_world(error):  # a fault of ours: recorded like any other, then shown as it is
                    self._record_failure(connection, SyncError(f"{type(error).__name__}: {error}"))
                    raise
                told = self._told(error, connection)
                self._record_failure(connection, told)
                raise told from quotable(error, self.connections.postgres_url())
        return self.report

    def _landed(self, connection: Connection) -> bool:
        """Whether a run that lost its connection in the COMMIT has committed: then only the answer was lost.

        Under the lock, which the lost session holds as long as its end is open; its record came with its rows.
        """
        if self._committing is None or not connection.closed:
            return False
        with suppress(psycopg.Error, PenstockError), self._connected(self.limits) as anew, anew.transaction():
            self._hold(anew)
            row = anew.execute(
                "select 1 from penstock.sync_runs where id = %s and status = 'success'", [self._committing]
            ).fetchone()
            return row is not None
        return False

    def _hold(self, connection: Connection) -> None:
        lock(connection, self.declaration, self.limits)

    def _told(self, error: Exception, connection: Connection) -> PenstockError:
        if self.interrupt.asked:
            return self.interrupt.error(self.declaration.target)
        return named(
            error,
            self.declaration,
            self.connections.postgres_url(),
            connection=connection,
            partitions=self.report.partitions,
        )

    def _connected(self, limits: Limits) -> Connection:
        return connect(
            self.connections.postgres_url(),
            limits,
            report=lambda what: self.progress(Progress(self.declaration.table, what)),
            reread=self.connections.reread_postgres_url,
        )

    def _run(self, connection: Connection, glue: Any) -> None:
        declaration = self.declaration
        self.steps.begin("plan")
        location = locate(glue, declaration.lake_database, declaration.lake_table)
        state = read_state(connection, declaration)
        as_it_was = not (self.full or self.mend) and unchanged(state, declaration, location)
        if as_it_was and options.is_guarded(connection, declaration):
            assert state is not None
            self.report.reason, self.report.snapshot_id = "the lake table is as it was", state.snapshot_id
            self.steps.lap("plan")
            with connection.transaction():
                self._write_run(connection, self._record())
            return
        while not self._attempt(connection, glue):
            continue
        self._done()

    def _done(self) -> None:
        self._committing, self.report.step = None, ""
        self.steps.reached("committed", "commit")

    def _attempt(self, connection: Connection, glue: Any) -> bool:
        """Sync the version that is current; False, with nothing done, when the lake moved on before the lock was held.

        The lake is always looked up under the lock: looked up before, it could be older than what another sync has
        committed meanwhile. The table's shape is converged in a transaction of its own, or readers would wait for the load.
        """
        declaration = self.declaration
        shaped = False
        while not shaped:
            location, lake, columns, shaped = catalog_change(
                connection, self.limits, declaration, partial(self._shape, connection, glue)
            )
            if not shaped:
                self._build(connection, columns)
        with connection.transaction():
            begin_limits(connection, self.limits)
            lock(connection, declaration, self.limits)
            if locate(glue, declaration.lake_database, declaration.lake_table) != location:
                return False
            if self._mended is not None and read_state(connection, declaration) != self._mended:
                return False
            run_id = self._locked(connection, lake, columns)
            self.checkpoint("before commit")
            self._committing = run_id
        return True

    def _shape(self, connection: Connection, glue: Any) -> tuple[str, LakeTable, list[Column], bool]:
        """Look at the lake under the lock and converge the table's shape; a run with work to do is noted as begun.

        The last of what it returns is whether nothing is left to be built (schema.build).
        """
        declaration = self.declaration
        self.interrupt.check()
        lock(connection, declaration, self.limits)
        location = locate(glue, declaration.lake_database, declaration.lake_table)
        lake = self._version(connection, LakeTable(LakeObjects(self.connections), location))
        columns = declaration.resolve(lake.fields())
        schema.check_columns(declaration, columns)
        state = read_state(connection, declaration)
        if state is None:  # never synced; or in shards, which have not finished
            end_round(connection, declaration)
            state = read_state(connection, declaration)
        schema.check_drift(declaration, columns, state)
        shaped = True
        if schema.exists(connection, declaration):
            self.report.schema_changes += schema.converge(connection, declaration, columns)
            shaped = schema.is_built(connection, declaration)
        self._token = self._token or uuid4()
        begin_run(connection, declaration, self._token, self.started)
        return location, lake, columns, shaped

    def _build(self, connection: Connection, columns: list[Column]) -> None:
        """Build indexes and the like in a transaction of their own: it is long, and takes no lock that stops a reader."""
        self.interrupt.check()
        with connection.transaction():
            begin_limits(connection, self.limits)
            lock(connection, self.declaration, self.limits)
            self.report.schema_changes += schema.build(connection, self.declaration, columns)

    def _version(self, connection: Connection, lake: LakeTable) -> LakeTable:
        """Return the version of the lake table to sync: the current one, or for a mend the committed one, if it is there."""
        self._mended = None
        if self.mend:
            state = read_state(connection, self.declaration)
            version = committed_version(lake, state)
            if version is not None:
                self._mended = state
                return version
        return lake

    def _locked(self, connection: Connection, lake: LakeTable, columns: list[Column]) -> int:
        """Everything of the one transaction: plan against the state under the lock, apply, verify, record.

        Returns the id of the run's record.
        """
        declaration, report = self.declaration, self.report
        state = read_state(connection, declaration)
        there = schema.exists(connection, declaration)
        if self._mended is not None:
            work = everything("a repair was asked for", lake, columns)
        else:
            remembered = partial(read_fingerprints, connection, declaration)
            work = plan(lake, state, columns, remembered, full=self.full or self.mend, exists=there)
        report.mode, report.reason, report.snapshot_id = work.mode, work.reason, work.snapshot_id
        report.partitions, report.files = work.partitions, work.files
        self.steps.lap("plan")
        self.checkpoint("planned")
        try:
            if work.mode != "nothing":
                self._apply(connection, lake, columns, work)
        finally:
            report.bytes_read, report.requests = lake.objects.bytes_read, lake.objects.requests
        now = self._mended or SyncState(
            lake=declaration.lake,
            table_uuid=lake.uuid,
            metadata_location=lake.metadata_location,
            snapshot_id=work.snapshot_id,
            columns=[column.record() for column in columns],
            key=declaration.key,
            declaration=declaration.fingerprint,
        )
        run_id = self._write_run(connection, self._record())
        write_state(connection, declaration, now, run_id)
        return run_id

    def _apply(self, connection: Connection, lake: LakeTable, columns: list[Column], work: Plan) -> None:
        """Make the plan's scope equal the lake, and record what its partitions hold now."""
        from penstock.sync.paths import Paths

        paths = Paths(lake.objects, connection, self.declaration, columns, self.steps, self.limits)
        held = paths.carry_out(work)
        write_fingerprints(
            connection, self.declaration, work.bounds, fingerprints_of(work, held, columns), work.scope
        )

    def _record(self) -> dict[str, Any]:
        report = self.report
        return {
            "target": report.table,
            "lake": report.lake,
            "status": "success",
            "mode": report.mode,
            "reason": report.reason,
            "snapshot_id": report.snapshot_id,
            "partitions": len(report.partitions),
            "files": report.files,
            "bytes_read": report.bytes_read,
            "rows_read": report.rows_read,
            "inserted": report.inserted,
            "updated": report.updated,
            "deleted": report.deleted,
            "unchanged": report.unchanged,
            "schema_changes": report.schema_changes,
            "seconds": {step: round(seconds, 3) for step, seconds in report.seconds.items()},
            "started_at": self.started,
        }

    def _record_failure(self, connection: Connection, error: PenstockError) -> None:
        """Record the failed run in a transaction of its own; where even that fails, say so with the error."""
        self.report = replace(self.report, inserted=0, updated=0, deleted=0, unchanged=0, error=error)
        record = self._record() | {
            "status": "failed",
            "error": error.message,
            "hint": error.hint or None,
            "step": self.report.step or None,
        }
        try:
            if not connection.closed:
                self._write_failure(connection, record)
                return
            quick = replace(self.limits, connect_seconds=min(5, self.limits.connect_seconds))
            with self._connected(quick) as anew:
                self._write_failure(anew, record)
        except (psycopg.Error, PenstockError):
            error.add_note("The failure could not be recorded in Postgres either.")

    def _write_failure(self, connection: Connection, record: dict[str, Any]) -> None:
        with connection.transaction():
            self._write_run(connection, record)

    def _write_run(self, connection: Connection, record: dict[str, Any]) -> int:
        return write_run(
            connection, self.declaration, record, token=self._token, keep_days=self.limits.keep_days
        )


def _of_the_world(error: Exception) -> bool:
    """Return whether the lake, Postgres or the declaration failed; botocore is known by name, for it is slow to import."""
    known = isinstance(error, PenstockError | psycopg.Error | FileNotFoundError)
    return known or any(kind.__module__.startswith("botocore.") for kind in type(error).__mro__)
