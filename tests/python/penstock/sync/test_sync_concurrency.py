"""Syncs at once, and syncs during builds: one waits or leaves with a clear message, and only whole snapshots are committed.

Every snapshot of these lakes has one value in all its rows, so a reader that ever sees two has seen half of one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sync_clients import reused_clients
from sync_proxies import TcpProxy

from penstock.connections import Connections
from penstock.errors import PenstockError, SyncBusyError
from penstock.sync import extract
from penstock.sync.declaration import Declaration
from penstock.sync.postgres import Limits
from penstock.sync.report import SyncReport, silent
from penstock.sync.run import sync

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

JANUARY = (2025 - 1970) * 12
ROWS = 400  # a month


@pytest.fixture(autouse=True)
def several_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(extract, "BATCH_ROWS", 100)
    with reused_clients():
        yield


class Builder:
    """Builds the lake table again and again: each commit writes both months with the next value in every row."""

    def __init__(self, lake: Connections, writer: Any, vacuum: bool = False) -> None:
        self._s3, self.writer, self._vacuum = lake.client("s3"), writer, vacuum
        self.value = 0
        self._files: list[list[str]] = []
        self._snapshots: list[int] = []

    def build(self) -> int:
        """Commit the next value; with `vacuum`, forget the snapshots before the last two and delete their files."""
        files = [self.writer.add(self._month(month), JANUARY + month) for month in (0, 1)]
        self.value += 1
        self._snapshots.append(self.writer.commit(remove=self._files[-1] if self._files else []))
        self._files.append(files)
        if self._vacuum and len(self._files) > 2:
            self.writer.expire(self._snapshots[-3])
            for location in self._files[-3]:
                bucket, _, key = location.removeprefix("s3://").partition("/")
                self._s3.delete_object(Bucket=bucket, Key=key)
        return self._snapshots[-1]

    def _month(self, month: int) -> pa.Table:
        """A build adds rows and drops others: snapshot n has the rows from n to n + ROWS."""
        numbers = range(self.value + 1, self.value + 1 + ROWS)
        value = [float(self.value + 1)] * ROWS
        return pa.table(
            {
                "restaurant_id": list(numbers),
                "inventory_item_id": [7] * ROWS,
                "business_date": [date(2025, month + 1, 1) + timedelta(i % 28) for i in numbers],
                "dma_id": pa.nulls(ROWS, pa.string()),
                "dc_id": list(numbers),
                "state": ["CA"] * ROWS,
                "y_05": value,
                "y_50": value,
                "y_95": value,
            }
        )


class Watch:
    """Reads the table over and over, as an application does; remembers every state it saw."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.seen: set[tuple[Any, ...]] = set()
        self.reads = 0

    def look(self, stop: threading.Event) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not stop.wait(0.01):
                try:
                    rows = connection.execute(
                        "select y_50, count(*), min(restaurant_id), max(restaurant_id) from forecast_data group by y_50"
                    ).fetchall()
                except psycopg.errors.UndefinedTable:
                    continue
                self.reads += 1
                self.seen.add(tuple(rows))

    def check(self, newest: int) -> None:
        """Every state seen is one whole snapshot; values never went beyond what was built."""
        assert self.reads
        for rows in self.seen:
            ((value, count, first, last),) = rows
            assert (count, first, last) == (2 * ROWS, int(value), int(value) + ROWS - 1)
            assert 1 <= value <= newest


@contextmanager
def at_once(*works: Callable[[threading.Event], None]) -> Iterator[list[BaseException]]:
    """Run the works in threads while the block runs, then tell them to stop; yields what they raised."""
    stop, raised = threading.Event(), list[BaseException]()

    def guarded(work: Callable[[threading.Event], None]) -> None:
        try:
            work(stop)
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield raised
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def run(lake: Connections, declared: Declaration, **options: Any) -> SyncReport:
    (report,) = sync(lake, [declared], **options)
    return report


def held(lake: Connections) -> list[Any]:
    with psycopg.connect(lake.database_url) as connection:
        return connection.execute(
            "select y_50, count(*), min(restaurant_id), max(restaurant_id) from forecast_data group by y_50"
        ).fetchall()


def whole(value: int) -> list[Any]:
    return [(value, 2 * ROWS, value, value + ROWS - 1)]


@pytest.mark.parametrize("vacuum", [False, True])
def test_sync_during_builds_commits_only_whole_snapshots(
    lake: Connections, forecast: Any, declared: Declaration, vacuum: bool
) -> None:
    builder, watch = Builder(lake, forecast, vacuum), Watch(lake.database_url)
    builder.build()

    def build(stop: threading.Event) -> None:
        while not stop.wait(0.05):
            builder.build()

    reports, errors, states = [], [], []
    with at_once(build, watch.look) as raised:
        while len(states) < 12 and not raised:
            try:
                reports.append(run(lake, declared))
            except PenstockError as error:
                errors.append(error)
            if reports:
                states.append(held(lake))
    assert not raised
    for rows in states:
        ((value, *_),) = rows
        assert rows == whole(int(value))
    assert [int(rows[0][0]) for rows in states] == sorted(int(rows[0][0]) for rows in states), "went back"
    for error in errors:  # VACUUM took the files of a snapshot while they were read
        assert vacuum, error.message
        assert "s3://" in error.message
        assert "again" in error.hint
    run(lake, declared)
    assert held(lake) == whole(builder.value)
    watch.check(builder.value)


def test_two_syncs_at_once_during_builds_never_mix_and_each_ends_well_or_says_who_is_busy(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    builder, watch = Builder(lake, forecast), Watch(lake.database_url)
    builder.build()
    busy: list[SyncBusyError] = []
    done: list[SyncReport] = []

    def build(stop: threading.Event) -> None:
        while not stop.wait(0.05):
            builder.build()

    def syncing(busy_seconds: float) -> Callable[[threading.Event], None]:
        def work(_: threading.Event) -> None:
            for _ in range(8):
                try:
                    done.append(run(lake, declared, limits=Limits(busy_seconds=busy_seconds)))
                except SyncBusyError as error:
                    busy.append(error)

        return work

    with at_once(syncing(0.0), syncing(10.0)) as of_syncs, at_once(build, watch.look) as raised:
        while len(done) + len(busy) < 16 and not (raised or of_syncs):
            threading.Event().wait(0.02)
    assert not raised
    assert not of_syncs
    for error in busy:
        # who it is can no longer be told when the other one has ended in between: then it is "another session"
        assert "public.forecast_data is being synced by" in error.message
        assert "Wait" in error.hint
    run(lake, declared)
    assert held(lake) == whole(builder.value)
    watch.check(builder.value)
    with psycopg.connect(lake.database_url) as connection:
        failed = connection.execute("select error from penstock.sync_runs where status = 'failed'").fetchall()
    assert failed == []


def test_sync_that_finds_the_table_busy_waits_and_then_has_nothing_to_do(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    Builder(lake, forecast).build()
    inside, leave = threading.Event(), threading.Event()

    def hold(name: str) -> None:
        if name == "copied":
            inside.set()
            assert leave.wait(100)

    def first(_: threading.Event) -> None:
        run(lake, declared, checkpoint=hold)

    second: list[SyncReport] = []
    with at_once(first) as raised:
        assert inside.wait(100)

        def wait_for_it(_: threading.Event) -> None:
            second.append(run(lake, declared, limits=Limits(busy_seconds=30)))

        with at_once(wait_for_it) as also_raised:
            threading.Event().wait(0.3)
            assert not second
            leave.set()
    assert not raised
    assert not also_raised
    assert second[0].mode == "nothing"
    assert held(lake) == whole(1)


def test_sync_blocks_no_reader(lake: Connections, forecast: Any, declared: Declaration) -> None:
    """At every step of an update and of a change of schema a reader has its answer: the old state."""
    builder = Builder(lake, forecast)
    builder.build()
    run(lake, declared, checkpoint=silent)
    forecast.evolve(add=[("note", "string")])
    forecast_rows = builder._month
    builder._month = lambda month: forecast_rows(month).append_column("note", pa.nulls(ROWS, pa.string()))  # type: ignore[method-assign]
    builder.build()
    seen = []

    def read(name: str) -> None:
        if name == "committed":
            return
        with psycopg.connect(lake.database_url, options="-c lock_timeout=200ms") as reader:
            rows = reader.execute("select y_50, count(*) from forecast_data group by y_50").fetchall()
        seen.append((name, rows))

    run(lake, declared, checkpoint=read)
    assert {name for name, _ in seen} >= {
        "planned",
        "copying",
        "copied",
        "applied",
        "verified",
        "before commit",
    }
    assert all(rows == [(1, 2 * ROWS)] for _, rows in seen)
    assert held(lake) == whole(2)


def test_sync_whose_network_fell_silent_lets_go_of_the_table(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    """Nobody says that the connection is dead; the server gives the transaction up by itself, and others go on."""
    builder = Builder(lake, forecast)
    builder.build()
    at = conninfo_to_dict(lake.database_url)
    silent_now = threading.Event()
    with TcpProxy(str(at["host"]), int(str(at["port"]))) as proxy:
        through = replace(
            lake, database_url=make_conninfo(lake.database_url, host="127.0.0.1", port=proxy.port)
        )

        def fall_silent(name: str) -> None:
            if name == "planned":
                proxy.stall()
                silent_now.set()

        def first(_: threading.Event) -> None:
            run(through, declared, checkpoint=fall_silent, limits=Limits(idle_timeout="1s"))

        with at_once(first) as raised:
            try:
                assert silent_now.wait(100)
                with pytest.raises(SyncBusyError):
                    run(lake, declared, limits=Limits(busy_seconds=0))
                assert run(lake, declared, limits=Limits(busy_seconds=30)).mode == "load"
            finally:
                proxy.cut("reset")
    (error,) = raised
    assert isinstance(error, PenstockError)
    assert held(lake) == whole(1)
