"""Several tables at once: how many, in which order they are reported, what one that fails or is stopped means for others."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from penstock.connections import Connections
from penstock.errors import PlanError, SyncError, SyncInterruptedError
from penstock.sync.declaration import Declaration
from penstock.sync.interrupt import Interrupt
from penstock.sync.postgres import Limits
from penstock.sync.report import Progress, SyncReport
from penstock.sync.run import run_tables, sync, sync_tables

pytestmark = pytest.mark.stack

FIELDS = [("k", "int"), ("v", "string")]
Tables = Callable[[int], list[Declaration]]


@pytest.fixture
def writers() -> dict[str, Any]:
    """The lake tables made so far, by name."""
    return {}


@pytest.fixture
def tables(lake: Connections, database: str, lake_writer: Any, writers: dict[str, Any]) -> Tables:
    """Make so many small lake tables t0, t1 … of ten rows each; returns their declarations."""

    def make(count: int) -> list[Declaration]:
        for i in range(count):
            writer = lake_writer(lake, database, f"t{i}", fields=FIELDS, partition_by=None)
            writer.add([{"k": k, "v": f"t{i}"} for k in range(10)])
            writer.commit()
            writers[f"t{i}"] = writer
        return [Declaration(f"m{i}", database, f"t{i}", f"t{i}", ("k",)) for i in range(count)]

    return make


def query(lake: Connections, statement: str) -> list[Any]:
    with psycopg.connect(lake.database_url) as connection:
        return connection.execute(statement.encode()).fetchall()


def count(lake: Connections, table: str) -> int | None:
    """Return the table's rows; None when there is no table."""
    if query(lake, f"select to_regclass('{table}')") == [(None,)]:
        return None
    return int(query(lake, f"select count(*) from {table}")[0][0])


def test_sync_of_three_tables_on_three_connections_runs_them_at_once(
    lake: Connections, tables: Tables
) -> None:
    together = threading.Barrier(3, timeout=120)

    def checkpoint(name: str) -> None:
        if name == "planned":
            together.wait()  # broken unless all three are here

    reports = sync(lake, tables(3), checkpoint=checkpoint, limits=Limits(connections=3))
    assert [(report.table, report.inserted) for report in reports] == [
        ("public.t0", 10),
        ("public.t1", 10),
        ("public.t2", 10),
    ]


@pytest.mark.parametrize("connections", [1, 2])
def test_sync_never_runs_more_tables_than_it_has_connections(
    lake: Connections, tables: Tables, connections: int
) -> None:
    open_at_planned = []

    def checkpoint(name: str) -> None:
        if name == "planned":
            sessions = query(
                lake,
                "select count(*) from pg_stat_activity"
                " where application_name = 'penstock sync' and datname = current_database()",
            )
            open_at_planned.append(sessions[0][0])

    sync(lake, tables(4), checkpoint=checkpoint, limits=Limits(connections=connections))
    assert len(open_at_planned) == 4
    assert max(open_at_planned) <= connections


def test_sync_reports_in_the_order_declared_whatever_ends_first(lake: Connections, tables: Tables) -> None:
    declared = tables(3)
    others_done = threading.Semaphore(0)

    def progress(now: Progress) -> None:
        if now.table in ("public.t1", "public.t2") and now.step == "verify":
            others_done.release()

    def checkpoint(name: str) -> None:
        if name == "before commit" and threading.current_thread().name == first[0]:
            assert others_done.acquire(timeout=120)
            assert others_done.acquire(timeout=120)

    first: list[str] = []

    def noting(now: Progress) -> None:
        if now.table == "public.t0" and not first:
            first.append(threading.current_thread().name)
        progress(now)

    reports = sync(lake, declared, progress=noting, checkpoint=checkpoint, limits=Limits(connections=3))
    assert [report.table for report in reports] == ["public.t0", "public.t1", "public.t2"]


def test_sync_with_failing_tables_syncs_the_others_and_reports_each_error(
    lake: Connections, tables: Tables, database: str
) -> None:
    t0, t1, t2 = tables(3)
    missing = replace(t0, lake_table="gone", table="gone")
    keyless = replace(t1, key=("nothing",), table="keyless")
    reports = sync_tables(lake, [missing, t0, keyless, t2], limits=Limits(connections=2))

    assert [report.table for report in reports] == [
        "public.gone",
        "public.t0",
        "public.keyless",
        "public.t2",
    ]
    assert [type(report.error) for report in reports] == [PlanError, type(None), PlanError, type(None)]
    assert f"{database}.gone is not in the lake" in str(reports[0].error)
    assert (count(lake, "t0"), count(lake, "t2"), count(lake, "keyless")) == (10, 10, None)

    with pytest.raises(PlanError, match="gone is not in the lake") as caught:
        sync(lake, [missing, t0, keyless, t2])
    assert any("nothing" in note for note in caught.value.__notes__)


def test_sync_with_a_fault_of_its_own_in_one_table_syncs_the_others_and_raises_it(
    lake: Connections, tables: Tables
) -> None:
    def progress(now: Progress) -> None:
        if now.table == "public.t1" and now.step == "verify":
            raise ZeroDivisionError("a slip")

    declared = tables(3)
    with pytest.raises(ZeroDivisionError, match="a slip"):
        sync(lake, declared, progress=progress)
    assert [count(lake, name) for name in ("t0", "t1", "t2")] == [10, None, 10]
    failed = query(lake, "select target, error from penstock.sync_runs where status = 'failed'")
    assert failed == [("public.t1", "ZeroDivisionError: a slip")]


def test_sync_where_nothing_can_connect_reports_every_table(lake: Connections, tables: Tables) -> None:
    nowhere = replace(lake, database_url="postgresql://penstock:s3cret@127.0.0.1:9/db")
    reports = sync_tables(nowhere, tables(2), limits=Limits(connect_seconds=0))
    assert [report.table for report in reports] == ["public.t0", "public.t1"]
    for report in reports:
        assert isinstance(report.error, SyncError)
        assert "cannot be reached" in report.error.message


def test_sync_of_a_row_that_refers_to_another_table_is_tried_again_after_it(
    lake: Connections, tables: Tables, writers: dict[str, Any]
) -> None:
    """The child comes first, on the only connection: its new row's parent is not there yet."""
    child, parent = tables(2)
    sync(lake, [child, parent])
    with psycopg.connect(lake.database_url) as connection:
        connection.execute("alter table t0 add foreign key (k) references t1 (k)")
    for name in ("t0", "t1"):
        writers[name].add([{"k": 99, "v": "new"}])
        writers[name].commit()

    reports = sync(lake, [child, parent], limits=Limits(connections=1))
    assert [(report.table, report.inserted) for report in reports] == [("public.t0", 1), ("public.t1", 1)]
    assert (count(lake, "t0"), count(lake, "t1")) == (11, 11)


def test_sync_of_a_row_that_refers_to_nothing_fails_with_its_key(
    lake: Connections, tables: Tables, writers: dict[str, Any]
) -> None:
    child, parent = tables(2)
    sync(lake, [child, parent])
    with psycopg.connect(lake.database_url) as connection:
        connection.execute("alter table t0 add foreign key (k) references t1 (k)")
    writers["t0"].add([{"k": 99, "v": "new"}])
    writers["t0"].commit()

    reports = sync_tables(lake, [child, parent])
    assert "(k)=(99)" in str(reports[0].error)
    assert reports[1].error is None
    assert count(lake, "t0") == 10


# t0 ends, t1 waits in Postgres for a lock, t2 has not begun: that is when the signal comes.
INTERRUPTED = """
import pickle, sys
from penstock.commands.sync import show_synced
from penstock.errors import PenstockError
from penstock.sync.interrupt import sigterm_interrupts
from penstock.sync.postgres import Limits
from penstock.sync.run import sync_tables

connections, declared = pickle.load(sys.stdin.buffer)
with sigterm_interrupts():
    reports = sync_tables(connections, declared, limits=Limits(connections=1))
try:
    show_synced(reports)
except PenstockError as error:
    print(error.message)
    sys.exit(error.exit_code)
"""


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_sync_that_is_interrupted_rolls_back_says_so_and_keeps_what_was_committed(
    lake: Connections, tables: Tables, writers: dict[str, Any], sent: signal.Signals, code: int
) -> None:
    declared = tables(3)
    sync(lake, declared)
    for name in ("t0", "t1", "t2"):
        writers[name].add([{"k": 99, "v": "new"}])
        writers[name].commit()
    with (
        psycopg.connect(lake.database_url) as blocker,
        subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        try:
            blocker.execute("lock table t1 in share mode")
            assert process.stdin is not None
            process.stdin.write(pickle.dumps((lake, declared)))
            process.stdin.close()
            process.stdin = None
            _wait_until(lambda: _waits_for_lock(lake))
            process.send_signal(sent)
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == code, err.decode()
    assert "public.t1 was interrupted; what it had begun is rolled back." in (out + err).decode()
    assert "public.t2 was interrupted" in (out + err).decode()
    assert "Traceback" not in err.decode()
    assert [count(lake, name) for name in ("t0", "t1", "t2")] == [11, 10, 10]
    failed = query(lake, "select target, error from penstock.sync_runs where status = 'failed'")
    assert failed == [("public.t1", "public.t1 was interrupted; what it had begun is rolled back.")]

    assert [report.inserted for report in sync(lake, declared)] == [0, 1, 1]


def _waits_for_lock(lake: Connections) -> bool:
    waiting = query(
        lake,
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and wait_event = 'relation'"
        " and application_name = 'penstock sync' and datname = current_database()",
    )
    return bool(waiting[0][0])


def _wait_until(there: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not there():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.05)


def test_sync_that_was_interrupted_before_it_connected_leaves_no_run(
    lake: Connections, tables: Tables
) -> None:
    """Waiting for a compute that does not wake can be stopped too."""
    asked = threading.Event()

    def progress(now: Progress) -> None:
        if now.step.startswith("waiting for Postgres") and not asked.is_set():
            asked.set()
            signal.raise_signal(signal.SIGINT)

    nowhere = replace(lake, database_url="postgresql://penstock:s3cret@127.0.0.1:9/db")
    (report,) = sync_tables(nowhere, tables(1), progress=progress)
    assert asked.is_set()
    assert isinstance(report.error, SyncInterruptedError)
    assert report.error.exit_code == 130


def test_sync_that_is_interrupted_while_its_threads_start_ends_as_interrupted(tables: Tables) -> None:
    """The first table's thread raises the signal, before the second's has been started."""
    interrupt = Interrupt()
    begun = threading.Event()

    def table(declaration: Declaration) -> SyncReport:
        begun.set()
        _wait_until(lambda: interrupt.asked)
        return SyncReport(declaration.target, declaration.lake, error=interrupt.error(declaration.target))

    class Slow(threading.Thread):
        def start(self) -> None:
            super().start()
            assert begun.wait(60)
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("penstock.sync.run.threading.Thread", Slow)
        reports = run_tables(tables(2), table, 2, interrupt)
    assert [type(report.error) for report in reports] == [SyncInterruptedError] * 2


@pytest.mark.parametrize("tables_at_once", [1, 2, 3, 4, 8, 64])
def test_limits_shared_among_tables_bound_what_all_of_them_hold(tables_at_once: int) -> None:
    whole = Limits()
    share = whole.shared_among(tables_at_once)
    assert share.readers * tables_at_once <= max(whole.readers, tables_at_once)
    assert share.queued_batches * tables_at_once <= max(whole.queued_batches, tables_at_once)
    assert share.readers >= 1
    assert share.queued_batches >= 1
    assert share.connect_seconds == whole.connect_seconds
