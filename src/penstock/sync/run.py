"""A sync of many tables: several at a time, each in a thread, on a connection and in a transaction of its own.

A table that fails does not keep the others from being synced; every one has a report. Interrupted, all of them are asked to
stop and given time to roll back. Tables wait for each other in one case only: one that breaks a foreign key is tried
once more after the others, for the row it refers to may have come with them.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import psycopg

from penstock.connections import Connections
from penstock.errors import PenstockError, SettingsError, SyncError
from penstock.sync.declaration import Declaration
from penstock.sync.interrupt import INTERRUPTED, TERMINATED, Interrupt, Terminated
from penstock.sync.postgres import Limits
from penstock.sync.report import Checkpoint, Progress, Report, SyncReport, silent
from penstock.sync.table import TableSync

if TYPE_CHECKING:
    from penstock.sync.rounds import Shard

# How long an interrupted sync waits for its tables to roll back before the process leaves; a server rolls back by itself
# what a client has left, about a second later.
ROLLBACK_SECONDS = 15.0

TableRun = Callable[[Declaration], SyncReport]


def sync(
    connections: Connections,
    declarations: Iterable[Declaration],
    *,
    full: bool = False,
    mend: bool = False,
    progress: Report = silent,
    checkpoint: Checkpoint = silent,
    limits: Limits | None = None,
    shard: Shard | None = None,
) -> list[SyncReport]:
    """Make each declared table equal its lake table; returns a report a table, in order.

    `full` compares every row, `mend` too, but with the snapshot synced last. `shard` does one share of the work only.
    `checkpoint` is called with the name of each step reached (tests stop the world there), in the table's thread.
    Raises: the first table's error, after every table was tried; the others' messages are its notes.
    """
    reports = sync_tables(
        connections,
        declarations,
        full=full,
        mend=mend,
        progress=progress,
        checkpoint=checkpoint,
        limits=limits,
        shard=shard,
    )
    errors = [report.error for report in reports if report.error is not None]
    if errors:
        for other in errors[1:]:
            errors[0].add_note(other.message)
        # a fault of ours is raised as it was, with its stack trace
        raise errors[0].fault if isinstance(errors[0], _FaultError) else errors[0]
    return reports


def sync_tables(
    connections: Connections,
    declarations: Iterable[Declaration],
    *,
    full: bool = False,
    mend: bool = False,
    progress: Report = silent,
    checkpoint: Checkpoint = silent,
    limits: Limits | None = None,
    shard: Shard | None = None,
) -> list[SyncReport]:
    """As `sync`, but raises for no table: `error` of its report says why it was not synced."""
    limits = limits or Limits()
    declared = list(declarations)
    interrupt = Interrupt()
    told = threading.Lock()
    shared = limits.shared_among(min(limits.connections, max(1, len(declared))))

    def one_at_a_time(now: Progress) -> None:
        interrupt.check()
        with told:
            progress(now)

    def reached(name: str) -> None:
        interrupt.check()
        checkpoint(name)

    if shard is not None and (full or mend):
        raise SettingsError(
            "A shard syncs what is new; --full and --repair are for one process.",
            hint="Leave one of them out.",
        )

    def table(declaration: Declaration) -> SyncReport:
        given = (connections, declaration, full, one_at_a_time, reached, shared)
        if shard is None:
            return _reported(TableSync(*given, interrupt=interrupt, mend=mend))
        from penstock.sync.shards import ShardSync

        return _reported(ShardSync(*given, interrupt=interrupt, shard=shard))

    reports = run_tables(declared, table, limits.connections, interrupt)
    again = [i for i, report in enumerate(reports) if _breaks_foreign_key(report)]
    if again and len(again) < len(reports) and not interrupt.asked:
        retried = run_tables([declared[i] for i in again], table, limits.connections, interrupt)
        for i, report in zip(again, retried, strict=True):
            reports[i] = report
    return reports


def run_tables(
    declarations: Sequence[Declaration], table: TableRun, connections: int, interrupt: Interrupt
) -> list[SyncReport]:
    """Run `table` for each declaration, so many at a time; returns their reports in the order of the declarations.

    On Ctrl-C or SIGTERM those under way are asked to stop, those not begun are left; their reports say so.
    """
    pool = _Pool(declarations, table, connections)
    try:
        pool.start()
        pool.wait()
    except KeyboardInterrupt as signal:
        interrupt.ask(TERMINATED if isinstance(signal, Terminated) else INTERRUPTED)
        pool.leave()
        until = time.monotonic() + ROLLBACK_SECONDS
        while not pool.ended and time.monotonic() < until:
            interrupt.cancel()
            pool.wait(0.5)
    return [
        report or SyncReport(declaration.target, declaration.lake, error=interrupt.error(declaration.target))
        for declaration, report in zip(declarations, pool.reports, strict=True)
    ]


@dataclass
class _Pool:
    """Threads that take tables from a queue. They are daemons: one that hangs in a system call does not hold up the exit."""

    declarations: Sequence[Declaration]
    table: TableRun
    connections: int
    reports: list[SyncReport | None] = field(init=False)

    def __post_init__(self) -> None:
        self.reports = [None] * len(self.declarations)
        self._unbegun: queue.SimpleQueue[int] = queue.SimpleQueue()
        for i in range(len(self.declarations)):
            self._unbegun.put(i)
        self._over: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._running = 0

    def start(self) -> None:
        """Start the threads; interrupted in the middle, those that were begun can still be waited for."""
        for i in range(min(self.connections, len(self.declarations))):
            self._running += 1
            threading.Thread(target=self._work, name=f"sync-{i + 1}", daemon=True).start()

    @property
    def ended(self) -> bool:
        return not self._running

    def wait(self, seconds: float | None = None) -> None:
        """Wait until every thread has ended, or for so long.

        Never for long at a time: a signal that another thread of the process was given is handled only when this one wakes.
        """
        until = None if seconds is None else time.monotonic() + seconds
        while self._running and (until is None or time.monotonic() < until):
            try:
                self._over.get(timeout=0.25)
            except queue.Empty:
                continue
            self._running -= 1

    def leave(self) -> None:
        """Begin no further table."""
        while True:
            try:
                self._unbegun.get_nowait()
            except queue.Empty:
                return

    def _work(self) -> None:
        try:
            while True:
                try:
                    i = self._unbegun.get_nowait()
                except queue.Empty:
                    return
                self.reports[i] = self.table(self.declarations[i])
        finally:
            self._over.put(None)


class _FaultError(SyncError):
    """A fault of ours: what was raised, beside what is shown."""

    def __init__(self, target: str, fault: Exception) -> None:
        super().__init__(
            f"{target}: {type(fault).__name__}: {fault}",
            hint="This is a fault in Penstock. Nothing was changed; PENSTOCK_DEBUG=1 shows where it was.",
        )
        self.fault = fault


def _reported(table: TableSync) -> SyncReport:
    """Run one table's sync and return its report, with the error that ended it if one did."""
    try:
        return table.run()
    except PenstockError as error:
        return replace(table.report, error=error)
    except Exception as fault:
        told = _FaultError(table.declaration.target, fault)
        told.__cause__ = fault
        return replace(table.report, error=told)


def _breaks_foreign_key(report: SyncReport) -> bool:
    return report.error is not None and isinstance(report.error.__cause__, psycopg.errors.ForeignKeyViolation)
