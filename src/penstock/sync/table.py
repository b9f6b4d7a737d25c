"""One table's sync, from the look at the lake to the commit: data, snapshot and the run's record in one transaction.

A process killed anywhere leaves the old state or the new one, and the next run completes it.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg

from penstock.connections import Connections
from penstock.errors import PenstockError, SyncBusyError, SyncError
from penstock.sync import schema
from penstock.sync.columns import Column, resolve
from penstock.sync.declaration import Declaration
from penstock.sync.failed import named
from penstock.sync.glue import Glue
from penstock.sync.lake import LakeObjects, LakeTable, locate
from penstock.sync.plan import Plan, plan, unchanged
from penstock.sync.postgres import Limits, begin_limits, connect, lock
from penstock.sync.report import Checkpoint, Progress, Report, SyncReport
from penstock.sync.runs import begin_run, write_run
from penstock.sync.state import Connection, SyncState, prepare, read_state, write_state


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
    ) -> None:
        self.connections, self.declaration, self.full = connections, declaration, full
        self.progress, self.checkpoint, self.limits = progress, checkpoint, limits
        self.report = SyncReport(declaration.target, declaration.lake)
        self.started = datetime.now(UTC)
        self._token: UUID | None = None  # of its row in sync_attempts, once there is one
        self._mark = time.perf_counter()

    def run(self) -> SyncReport:
        glue = Glue(self.connections)
        with connect(self.connections.database_url, self.limits) as connection:
            try:
                prepare(connection, self.declaration)
                self._run(connection, glue)
            except SyncBusyError:
                raise
            except Exception as error:
                if not _of_the_world(error):  # a fault of ours: recorded like any other, then shown as it is
                    self._record_failure(connection, SyncError(f"{type(error).__name__}: {error}"))
                    raise
                told = named(
                    error,
                    self.declaration,
                    self.connections.database_url,
                    connection=connection,
                    partitions=self.report.partitions,
                )
                self._record_failure(connection, told)
                raise told from error
        return self.report

    def _run(self, connection: Connection, glue: Any) -> None:
        declaration = self.declaration
        self._mark = time.perf_counter()
        self._step("plan")
        location = locate(glue, declaration.lake_database, declaration.lake_table)
        state = read_state(connection, declaration)
        if not self.full and unchanged(state, declaration, location):
            assert state is not None
            self.report.reason, self.report.snapshot_id = "the lake table is as it was", state.snapshot_id
            self._lap("plan")
            with connection.transaction():
                self._write_run(connection, self._record())
            return
        while not self._attempt(connection, glue):
            continue
        self.report.step = ""
        self._lap("commit")
        self.checkpoint("committed")

    def _attempt(self, connection: Connection, glue: Any) -> bool:
        """Sync the version that is current; False, with nothing done, when the lake moved on before the lock was held.

        The lake is always looked up under the lock: looked up before, it could be older than what another sync has
        committed meanwhile. The table's shape is converged in a transaction of its own, or readers would wait for the load.
        """
        declaration = self.declaration
        with connection.transaction():
            begin_limits(connection, self.limits)
            lock(connection, declaration, self.limits)
            location = locate(glue, declaration.lake_database, declaration.lake_table)
            lake = LakeTable(LakeObjects(self.connections), location)
            columns = resolve(lake.fields(), declaration.columns, declaration.key, declaration.model)
            schema.check_columns(declaration, columns)
            schema.check_drift(declaration, columns, read_state(connection, declaration))
            if schema.exists(connection, declaration):
                schema.converge(connection, declaration, columns)
            self._token = self._token or uuid4()
            begin_run(connection, declaration, self._token, self.started)
        with connection.transaction():
            begin_limits(connection, self.limits)
            lock(connection, declaration, self.limits)
            if locate(glue, declaration.lake_database, declaration.lake_table) != location:
                return False
            self._locked(connection, lake, columns)
            self.checkpoint("before commit")
        return True

    def _locked(self, connection: Connection, lake: LakeTable, columns: list[Column]) -> None:
        """Everything of the one transaction: plan against the state under the lock, apply, verify, record."""
        declaration, report = self.declaration, self.report
        state = read_state(connection, declaration)
        there = schema.exists(connection, declaration)
        work = plan(lake, state, columns, full=self.full, exists=there)
        report.mode, report.reason, report.snapshot_id = work.mode, work.reason, work.snapshot_id
        report.partitions, report.files = work.partitions, work.files
        self._lap("plan")
        self.checkpoint("planned")
        if work.mode != "nothing":
            self._apply(connection, columns, work)
        report.bytes_read += lake.objects.bytes_read
        report.requests += lake.objects.requests
        now = SyncState(
            lake=declaration.lake,
            table_uuid=lake.uuid,
            metadata_location=lake.metadata_location,
            snapshot_id=work.snapshot_id,
            columns=[
                {
                    "name": column.name,
                    "field_id": column.field_id,
                    "type": column.type.sql,
                    "not_null": column.not_null,
                }
                for column in columns
            ],
            key=declaration.key,
            declaration=declaration.fingerprint,
        )
        write_state(connection, declaration, now, self._write_run(connection, self._record()))

    def _apply(self, connection: Connection, columns: list[Column], work: Plan) -> None:
        from penstock.sync import apply
        from penstock.sync.extract import Extract
        from penstock.sync.verify import verify

        declaration, report = self.declaration, self.report
        load = work.mode == "load"
        if load:
            schema.create(connection, declaration, columns)
            table = schema.table_name(declaration)
        else:
            table = apply.stage(connection, columns)
        extract = Extract(self.connections, columns, work.reads)
        self._step("copy")

        def copying() -> None:
            self.progress(Progress(declaration.table, "copy", extract.rows_read, work.rows))
            self.checkpoint("copying")

        copied = apply.copy(connection, table, columns, extract.blocks(), freeze=load, copying=copying)
        report.rows_read, report.bytes_read, report.requests = (
            extract.rows_read,
            extract.bytes_read,
            extract.requests,
        )
        self._lap("copy")
        self.checkpoint("copied")
        if load:
            self._step("index")
            schema.index(connection, declaration)
            changes = apply.Changes(inserted=copied)
            self._lap("index")
        else:
            self._step("merge")
            changes = apply.merge(connection, declaration, columns, work, copied)
            self._lap("merge")
        report.inserted, report.updated = changes.inserted, changes.updated
        report.deleted, report.unchanged = changes.deleted, changes.unchanged
        self.checkpoint("applied")
        self._step("verify")
        try:
            verify(connection, declaration, columns, work, extract.tallies)
        except SyncError:
            if not load:
                apply.refuse_duplicates(connection, declaration)
            raise
        self._lap("verify")
        self.checkpoint("verified")

    def _step(self, name: str) -> None:
        self.report.step = name
        self.progress(Progress(self.declaration.table, name))

    def _lap(self, name: str) -> None:
        now = time.perf_counter()
        self.report.seconds[name] = self.report.seconds.get(name, 0.0) + now - self._mark
        self._mark = now

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
            with connect(self.connections.database_url, quick) as anew:
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
