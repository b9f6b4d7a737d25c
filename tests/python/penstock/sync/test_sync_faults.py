"""Killed, cut off, blocked: afterwards Postgres holds the old lake state or the new one, and the next run completes it.

A table of many rows at the steps that last; every fault at every step, with few rows, is in test_sync_matrix.py.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import psycopg
import pyarrow as pa
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sync_victims import Nursery, Order

from penstock.connections import Connections
from penstock.errors import SyncBusyError, SyncError
from penstock.sync.declaration import Declaration
from penstock.sync.lake import locate
from penstock.sync.postgres import Limits, connect
from penstock.sync.run import sync

pytestmark = pytest.mark.stack

JANUARY = (2025 - 1970) * 12
ROWS = 70_000  # three batches, so that there is a middle of the COPY
STEPS = ["copying", "applied", "committed"]


def month(value: float) -> pa.Table:
    numbers = np.arange(ROWS, dtype=np.int32)
    days = np.array(
        [(date(2025, 1, 1) + timedelta(i)).toordinal() - date(1970, 1, 1).toordinal() for i in range(31)]
    )
    return pa.table(
        {
            "restaurant_id": numbers,
            "inventory_item_id": pa.array(np.full(ROWS, 7, np.int32)),
            "business_date": pa.array(days[numbers % 31].astype(np.int32)).cast(pa.date32()),
            "dma_id": pa.nulls(ROWS, pa.string()),
            "dc_id": numbers,
            "state": pa.array(["CA"] * ROWS),
            "y_05": np.full(ROWS, value),
            "y_50": np.full(ROWS, value),
            "y_95": np.full(ROWS, value),
        }
    )


def held(lake: Connections) -> tuple[int, Any, Any]:
    """Return rows, their one value and the snapshot recorded; (0, None, None) before the first sync."""
    with psycopg.connect(lake.database_url) as connection:
        row = connection.execute(
            "select to_regclass('forecast_data'), to_regclass('penstock.sync_state')"
        ).fetchone()
        assert row is not None
        if row[0] is None:
            return 0, None, None
        table = connection.execute("select count(*), min(y_50), max(y_50) from forecast_data").fetchone()
        state = connection.execute("select snapshot_id from penstock.sync_state").fetchone()
        assert table is not None
        assert table[1] == table[2]
        return table[0], table[1], state and state[0]


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


def kill_at(nursery: Nursery, lake: Connections, declared: Declaration, step: str) -> None:
    """Let a sync in a process of its own come to a step, a COPY to its third block, and kill it."""
    nursery.kill_at(Order(lake, declared, step, nth=3 if step == "copying" else 1))


@pytest.mark.parametrize("step", STEPS)
def test_sync_killed_during_first_load_leaves_nothing_or_all(
    nursery: Nursery, lake: Connections, forecast: Any, declared: Declaration, step: str
) -> None:
    forecast.add(month(1.5), JANUARY)
    snapshot = forecast.commit()

    kill_at(nursery, lake, declared, step)
    assert held(lake) == ((ROWS, 1.5, snapshot) if step == "committed" else (0, None, None))

    (report,) = sync(lake, [declared])
    assert report.mode == ("nothing" if step == "committed" else "load")
    assert held(lake) == (ROWS, 1.5, snapshot)


@pytest.mark.parametrize("step", STEPS)
def test_sync_killed_during_an_update_leaves_old_or_new(
    nursery: Nursery, lake: Connections, forecast: Any, declared: Declaration, step: str
) -> None:
    old_file = forecast.add(month(1.5), JANUARY)
    old = forecast.commit()
    sync(lake, [declared])
    forecast.add(month(2.5), JANUARY)
    new = forecast.commit(remove=[old_file])

    kill_at(nursery, lake, declared, step)
    assert held(lake) == ((ROWS, 2.5, new) if step == "committed" else (ROWS, 1.5, old))

    sync(lake, [declared])
    assert held(lake) == (ROWS, 2.5, new)


def test_sync_while_another_holds_the_table_says_who(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(month(1.5), JANUARY)
    snapshot = forecast.commit()
    inside, leave = threading.Event(), threading.Event()

    def checkpoint(name: str) -> None:
        if name == "planned":
            inside.set()
            assert leave.wait(60)

    first = threading.Thread(target=lambda: sync(lake, [declared], checkpoint=checkpoint))
    first.start()
    try:
        assert inside.wait(60)
        with pytest.raises(SyncBusyError) as caught:
            sync(lake, [declared], limits=Limits(busy_seconds=0.2))
    finally:
        leave.set()
        first.join()
    assert (
        "public.forecast_data is being synced by penstock sync of penstock from 127.0.0.1 (pid "
        in caught.value.message
    )
    assert held(lake) == (ROWS, 1.5, snapshot)
    assert [status for (status,) in _query(lake, "select status from forecast_sync_status")] == ["success"]


def test_sync_that_waited_for_another_never_goes_back_to_an_older_snapshot(
    lake: Connections, forecast: Any, declared: Declaration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asked Glue before the other one committed something newer."""
    forecast.add(month(1.5), JANUARY)
    forecast.commit()
    locations = 0

    def slow(*asked: Any) -> str:
        nonlocal locations
        answer = locate(*asked)
        locations += 1
        if locations == 1:
            forecast.add(
                month(1.5).slice(0, 10).set_column(0, "restaurant_id", [list(range(-10, 0))]), JANUARY
            )
            forecast.commit()
            sync(lake, [declared])
        return answer

    monkeypatch.setattr("penstock.sync.table.locate", slow)
    (report,) = sync(lake, [declared])
    assert (report.mode, report.snapshot_id) == ("nothing", forecast.metadata["current-snapshot-id"])
    assert held(lake)[0] == ROWS + 10


def test_sync_of_other_tables_at_once_does_not_wait(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(month(1.5), JANUARY)
    forecast.commit()
    other = replace(declared, table="other_data", indexes=())

    def checkpoint(name: str) -> None:
        if name == "planned":
            sync(lake, [other])

    sync(lake, [declared], checkpoint=checkpoint)
    assert _query(lake, "select count(*) from other_data") == [(ROWS,)]


@pytest.mark.parametrize("step", ["copying", "verified"])
def test_sync_cut_off_from_postgres_is_recorded_and_can_be_repeated(
    lake: Connections, forecast: Any, declared: Declaration, step: str
) -> None:
    """A restart of Postgres looks the same from here: every connection ends."""
    old_file = forecast.add(month(1.5), JANUARY)
    old = forecast.commit()
    sync(lake, [declared])
    forecast.add(month(2.5), JANUARY)
    new = forecast.commit(remove=[old_file])

    def cut(name: str) -> None:
        if name == step:
            with psycopg.connect(lake.database_url, autocommit=True) as admin:
                admin.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where application_name = 'penstock sync' and datname = current_database()"
                )

    with pytest.raises(SyncError) as caught:
        sync(lake, [declared], checkpoint=cut)
    assert str(conninfo_to_dict(lake.database_url)["password"]) not in caught.value.message
    assert held(lake) == (ROWS, 1.5, old)
    assert _query(lake, "select status from penstock.sync_runs order by id") == [("success",), ("failed",)]
    sync(lake, [declared])
    assert held(lake) == (ROWS, 2.5, new)


@contextmanager
def server_that_wakes(url: str, after: float) -> Iterator[str]:
    """A port that refuses connections for a while, then leads to Postgres: a compute scaled to zero."""
    target = conninfo_to_dict(url)
    server = socket.socket()
    server.bind(("127.0.0.1", 0))  # bound and not listening, it refuses; and nobody else can take the port
    port = server.getsockname()[1]
    stop = threading.Event()

    def serve() -> None:
        with server:
            if stop.wait(after):
                return
            server.listen()
            server.settimeout(0.1)
            pumps: list[threading.Thread] = []
            while not stop.is_set():
                try:
                    inner, _ = server.accept()
                except TimeoutError:
                    continue
                outer = socket.create_connection((str(target["host"]), int(str(target["port"]))))
                for pair in ((inner, outer), (outer, inner)):
                    pumps.append(threading.Thread(target=_pump, args=pair))
                    pumps[-1].start()
            for pump in pumps:
                pump.join()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield make_conninfo(url, host="127.0.0.1", port=port)
    finally:
        stop.set()
        thread.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
    finally:
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        sink.close()


def test_connect_to_a_server_that_wakes_waits_for_it(stack_without_athena: Connections) -> None:
    with (
        server_that_wakes(stack_without_athena.database_url, after=0.7) as url,
        connect(url, Limits()) as connection,
    ):
        assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": "wrong-Passw0rd"}, "password authentication failed"),
        ({"dbname": "nowhere"}, "does not exist"),
    ],
)
def test_connect_with_wrong_url_fails_at_once_and_tells_no_password(
    stack_without_athena: Connections, change: dict[str, str], said: str
) -> None:
    url = make_conninfo(stack_without_athena.database_url, **change)
    with pytest.raises(SyncError, match=said) as caught:
        connect(
            url, Limits(), sleep=lambda seconds: pytest.fail(f"it waits {seconds} s for what cannot help")
        )
    password = change.get("password") or conninfo_to_dict(url)["password"]
    assert str(password) not in caught.value.message + caught.value.hint


def test_connect_to_nothing_gives_up_after_its_limit() -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    with pytest.raises(SyncError, match="cannot be reached"):
        connect(
            "postgresql://u:s3cret@127.0.0.1:9/db",
            Limits(connect_seconds=5),
            sleep=sleep,
            clock=lambda: now[0],
        )
    assert 5 <= now[0] < 8


@pytest.mark.parametrize("gone", ["data", "metadata", "manifest"])
def test_sync_when_a_file_of_the_lake_is_gone_changes_nothing(
    lake: Connections, forecast: Any, declared: Declaration, gone: str
) -> None:
    forecast.add(month(1.5), JANUARY)
    old = forecast.commit()
    sync(lake, [declared])
    location = forecast.add(month(2.5), JANUARY)
    forecast.commit()
    if gone == "metadata":
        location = lake.client("glue").get_table(
            DatabaseName=declared.lake_database, Name=declared.lake_table
        )["Table"]["Parameters"]["metadata_location"]
    elif gone == "manifest":
        location = forecast.metadata["snapshots"][-1]["manifest-list"]
    parsed = urlsplit(location)
    lake.client("s3").delete_object(Bucket=parsed.netloc, Key=parsed.path.lstrip("/"))

    with pytest.raises(SyncError) as caught:
        sync(lake, [declared])
    assert parsed.path.rsplit("/", 1)[1] in caught.value.message
    assert held(lake) == (ROWS, 1.5, old)
    assert _query(lake, "select status from forecast_sync_status order by id") == [("success",), ("failed",)]


def test_sync_failure_rows_hold_no_secret(
    lake: Connections, forecast: Any, declared: Declaration, capfd: pytest.CaptureFixture[str]
) -> None:
    forecast.add(month(1.5), JANUARY)
    forecast.commit()
    secrets = [str(conninfo_to_dict(lake.database_url)["password"]), "sEcrEt-Key-123"]

    def fail(name: str) -> None:
        if name == "copied":
            raise SyncError(f"the server at {lake.database_url} said no")

    with pytest.raises(SyncError) as caught:
        sync(replace(lake, secret_key=secrets[1]), [declared], checkpoint=fail)
    rows = str(_query(lake, "select row_to_json(r) from penstock.sync_runs r")) + str(
        _query(lake, "select row_to_json(s) from forecast_sync_status s")
    )
    assert "said no" in rows
    for secret in secrets:
        assert secret not in rows + caught.value.message + "".join(capfd.readouterr()) + repr(lake)


def _query(lake: Connections, statement: str) -> list[Any]:
    with psycopg.connect(lake.database_url) as connection:
        return connection.execute(statement.encode()).fetchall()
