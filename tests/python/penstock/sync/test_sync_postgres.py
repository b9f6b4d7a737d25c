"""Postgres as it is met with: asleep, full, old, read-only, behind TLS, behind PgBouncer, with readers that take long."""

from __future__ import annotations

import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sync_fronts import Front, certificate, pgbouncer

from penstock.connections import Connections
from penstock.errors import SyncBusyError, SyncError
from penstock.sync.declaration import Declaration
from penstock.sync.postgres import Limits, begin_limits, connect
from penstock.sync.run import sync

pytestmark = pytest.mark.stack

HOST = "db.penstock.test"  # resolved by nobody: hostaddr says where it is


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def connect_in_no_time(url: str, limits: Limits | None = None, **options: Any) -> tuple[Any, Clock]:
    clock = Clock()
    return connect(url, limits or Limits(), sleep=clock.sleep, clock=clock, **options), clock


# waiting


def test_connect_refused_on_this_machine_is_given_up_after_a_restart_s_time() -> None:
    clock, told = Clock(), list[str]()
    with pytest.raises(SyncError, match="cannot be reached") as caught:
        connect(
            "postgresql://u:s3cret@127.0.0.1:9/db",
            Limits(connect_seconds=60),
            report=told.append,
            sleep=clock.sleep,
            clock=clock,
        )
    assert 5 <= clock.now < 8
    assert "host and port" in caught.value.hint
    assert told
    assert all(line.startswith("waiting for Postgres, ") and "refused" in line for line in told)
    assert "s3cret" not in str(caught.value) + "".join(told)


@pytest.mark.parametrize(("answer", "waited"), [(socket.EAI_NONAME, (0, 0.1)), (socket.EAI_AGAIN, (10, 13))])
def test_connect_to_a_name_that_does_not_resolve_waits_only_where_it_may_resolve_yet(
    monkeypatch: pytest.MonkeyPatch, answer: int, waited: tuple[float, float]
) -> None:
    words = {
        socket.EAI_NONAME: "Name or service not known",
        socket.EAI_AGAIN: "Temporary failure in name resolution",
    }

    def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(answer, words[answer])

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    clock = Clock()
    with pytest.raises(SyncError, match=words[answer]):
        connect("postgresql://u:s3cret@db.example.com/db", Limits(), sleep=clock.sleep, clock=clock)
    assert waited[0] <= clock.now <= waited[1]


@pytest.mark.parametrize(
    "refusal",
    [
        ("57P03", "the database system is starting up"),
        ("57P03", "the database system is not yet accepting connections"),
        ("53300", "sorry, too many clients already"),
        ("XX000", "Couldn't connect to compute node"),
        ("08P01", "server login has been failing, cached error: connect failed (server_login_retry)"),
    ],
)
def test_connect_to_a_server_that_takes_no_session_yet_waits_for_it(
    lake_server: Connections, refusal: tuple[str, str]
) -> None:
    told: list[str] = []
    with Front(lake_server.database_url, refusals=[refusal] * 3) as front:
        connection, clock = connect_in_no_time(front.url, report=told.append)
        with connection:
            assert connection.execute("select 1").fetchone() == (1,)
    assert front.logins == 4
    assert clock.now > 0
    assert len(told) == 3
    assert refusal[1][:40] in told[0]


@pytest.mark.parametrize(
    "refusal",
    [
        ("3D000", 'database "nowhere" does not exist'),
        ("XX000", "Your account or project has exceeded the compute time quota. Upgrade your plan."),
    ],
)
def test_connect_where_waiting_cannot_help_fails_at_once(
    lake_server: Connections, refusal: tuple[str, str]
) -> None:
    with Front(lake_server.database_url, refusals=[refusal] * 2) as front:
        with pytest.raises(SyncError) as caught:
            connect_in_no_time(front.url)
        assert front.logins == 1
    assert refusal[1] in caught.value.message
    assert caught.value.hint


def test_connect_to_a_full_server_says_what_to_lower(lake: Connections) -> None:
    with psycopg.connect(lake.database_url, autocommit=True) as admin:
        name = f"one_at_a_time_{admin.info.dbname}"
        admin.execute(f"create role {name} login password 'pw' connection limit 1".encode())
        url = make_conninfo(lake.database_url, user=name, password="pw")
        try:
            with psycopg.connect(url):
                clock = Clock()
                with pytest.raises(SyncError, match="too many connections for role") as caught:
                    connect(url, Limits(connect_seconds=3), sleep=clock.sleep, clock=clock)
                assert clock.now >= 3
                assert "PENSTOCK_SYNC_CONNECTIONS" in caught.value.hint
        finally:
            admin.execute(f"drop role {name}".encode())


# a password that was changed


def test_connect_with_a_refused_password_reads_the_url_anew_once(lake_server: Connections) -> None:
    right = lake_server.database_url
    wrong = make_conninfo(right, password="old-Passw0rd")
    asked: list[str] = []

    def reread(refused: str) -> str:
        asked.append(refused)
        return right

    with connect(wrong, Limits(), reread=reread) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert asked == [wrong]


@pytest.mark.parametrize("newer", [None, "also wrong"])
def test_connect_with_a_password_that_stays_refused_says_so_without_it(
    lake_server: Connections, newer: str | None
) -> None:
    wrong = make_conninfo(lake_server.database_url, password="old-Passw0rd")
    asked = 0

    def reread(_: str) -> str | None:
        nonlocal asked
        asked += 1
        return newer and make_conninfo(wrong, password="new-Passw0rd")

    with pytest.raises(SyncError, match="password authentication failed") as caught:
        connect(wrong, Limits(), reread=reread)
    assert asked == 1
    assert "Passw0rd" not in str(caught.value) + caught.value.hint
    assert "password was changed" in caught.value.hint


# servers that cannot be synced to


@pytest.mark.parametrize(
    ("says", "error"),
    [
        ({"server_version": "14.11"}, "is version 14; the sync needs 15 or later, for MERGE"),
        ({"in_hot_standby": "on"}, "is a read-only standby"),
        ({"server_encoding": "LATIN1"}, "is encoded in LATIN1"),
    ],
)
def test_connect_to_a_server_that_cannot_be_synced_to_is_refused(
    lake_server: Connections, says: dict[str, str], error: str
) -> None:
    with Front(lake_server.database_url, says=says) as front, pytest.raises(SyncError, match=error) as caught:
        connect(front.url, Limits())
    assert caught.value.hint


def test_connect_to_a_database_of_another_encoding_is_refused(lake_server: Connections) -> None:
    with psycopg.connect(lake_server.database_url, autocommit=True) as admin:
        admin.execute("create database latin encoding 'LATIN1' locale 'C' template template0")
        try:
            with pytest.raises(SyncError, match="'latin' is encoded in LATIN1"):
                connect(make_conninfo(lake_server.database_url, dbname="latin"), Limits())
        finally:
            admin.execute("drop database latin with (force)")


# TLS


def elsewhere(front: Front, **more: Any) -> str:
    """Return the front's URL as that of another machine."""
    return make_conninfo(front.url, host=HOST, hostaddr="127.0.0.1", **more)


def test_connect_to_another_machine_verifies_its_certificate_and_syncs(
    lake: Connections, forecast: Any, declared: Declaration, tmp_path: Path
) -> None:
    context, authority = certificate(tmp_path, HOST)
    forecast.add([_row(1)], 660)
    forecast.commit()
    with Front(lake.database_url, tls=context) as front:
        url = elsewhere(front, sslrootcert=str(authority))
        with connect(url, Limits()) as connection:
            assert connection.pgconn.ssl_in_use
        (report,) = sync(replace(lake, database_url=url), [declared])
    assert report.inserted == 1


@pytest.mark.parametrize("mode", ["", "prefer", "require", "verify-ca", "verify-full"])
def test_connect_to_another_machine_with_a_certificate_for_another_name_is_refused(
    lake_server: Connections, tmp_path: Path, mode: str
) -> None:
    context, authority = certificate(tmp_path, "other.penstock.test")
    with Front(lake_server.database_url, tls=context) as front:
        weaker = {"sslmode": mode} if mode else {}
        with pytest.raises(SyncError, match=f'does not match host name "{HOST}"') as caught:
            connect_in_no_time(elsewhere(front, sslrootcert=str(authority), **weaker))
        assert front.logins == 0, "a login was sent to a server that was not verified"
    assert "sslrootcert" in caught.value.hint


@pytest.mark.parametrize("root", ["", "system"])
def test_connect_to_another_machine_with_an_unknown_authority_is_refused(
    lake_server: Connections, tmp_path: Path, root: str
) -> None:
    """The verdict must be the certificate's: a bundle of authorities was found and read."""
    context, _ = certificate(tmp_path, HOST)
    with Front(lake_server.database_url, tls=context) as front:
        given = {"sslrootcert": root} if root else {}
        with pytest.raises(SyncError, match="certificate verify failed"):
            connect_in_no_time(elsewhere(front, **given))
        assert front.logins == 0


def test_connect_to_another_machine_trusts_the_authorities_of_this_one(
    lake_server: Connections, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE is how a machine is told of one; psycopg's own OpenSSL looks in a folder that exists nowhere."""
    context, authority = certificate(tmp_path, HOST)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with (
        Front(lake_server.database_url, tls=context) as front,
        connect(elsewhere(front), Limits()) as connection,
    ):
        assert connection.pgconn.ssl_in_use


def test_connect_to_another_machine_without_tls_is_refused(lake_server: Connections) -> None:
    with Front(lake_server.database_url) as front:
        with pytest.raises(SyncError, match="does not support SSL"):
            connect_in_no_time(elsewhere(front))
        assert front.logins == 0


@pytest.mark.parametrize("mode", ["disable", "allow"])
def test_connect_to_another_machine_in_the_open_is_refused_before_it_is_asked(mode: str) -> None:
    with pytest.raises(SyncError, match=f"sslmode={mode}, and the server is on another machine"):
        connect(f"postgresql://u:p@db.example.com/db?sslmode={mode}", Limits())


@pytest.mark.parametrize(
    ("url", "environment", "verified"),
    [
        ("postgresql://u@127.0.0.1/db", {}, False),
        ("postgresql://u@127.8.8.8/db", {}, False),
        ("postgresql://u@[::1]/db", {}, False),
        ("postgresql://u@localhost/db", {}, False),
        ("postgresql:///db", {}, False),
        ("postgresql://u@/db?host=/tmp", {}, False),
        ("postgresql://u@localhost.example.com/db", {}, True),
        ("postgresql://u@127.example.com/db", {}, True),
        ("postgresql://u@localhost,db.example.com/db", {}, True),
        ("postgresql://u@localhost/db?hostaddr=192.0.2.1", {}, True),
        ("postgresql://u@db.example.com/db?hostaddr=127.0.0.1", {}, True),
        ("postgresql:///db", {"PGHOST": "db.example.com"}, True),
        ("postgresql:///db?service=somewhere", {}, True),
    ],
)
def test_connect_verifies_every_machine_but_this_one(
    monkeypatch: pytest.MonkeyPatch, url: str, environment: dict[str, str], verified: bool
) -> None:
    asked: list[str] = []

    def fake(conninfo: str, **_: Any) -> Any:
        asked.append(conninfo)
        raise psycopg.OperationalError("does not exist")

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(psycopg, "connect", fake)
    with pytest.raises(SyncError):
        connect(url, Limits())
    assert (conninfo_to_dict(asked[0]).get("sslmode") == "verify-full") is verified


# what a transaction is given


def test_limits_hold_within_the_transaction_and_end_with_it(lake_server: Connections) -> None:
    names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "work_mem")
    with connect(lake_server.database_url, Limits()) as connection:

        def shown() -> list[str]:
            return [connection.execute(f"show {name}".encode()).fetchone()[0] for name in names]  # type: ignore[index]

        before = shown()
        with connection.transaction():
            begin_limits(connection, Limits())
            assert shown() == ["30s", "2h", "15min", "64MB"]
        assert shown() == before


# readers


def _row(number: int, value: float = 1.0, **more: Any) -> dict[str, Any]:
    from datetime import date

    return {
        "restaurant_id": number,
        "inventory_item_id": 1,
        "business_date": date(2025, 1, 1),
        "state": "CA",
        "y_50": value,
    } | more


@contextmanager
def impatient_readers(url: str) -> Iterator[list[str]]:
    """Read in a loop while the block runs, waiting a second at most for a lock; yields the errors met with."""
    errors: list[str] = []
    stop = threading.Event()

    def read() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("set lock_timeout = '1s'")
            while not stop.is_set():
                try:
                    connection.execute("select count(*), max(y_50) from forecast_data")
                except psycopg.Error as error:
                    errors.append(str(error))

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield errors
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _blocked(admin: psycopg.Connection[Any]) -> bool:
    row = admin.execute(
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and application_name = 'penstock sync'"
        " and datname = current_database()"
    ).fetchone()
    return bool(row and row[0])


def test_sync_with_a_new_column_keeps_no_reader_waiting_even_behind_a_long_one(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add([_row(i) for i in range(50)], 660)
    forecast.commit()
    sync(lake, [declared])
    forecast.evolve(add=[("extra", "int")])
    forecast.add([_row(i, 2.0, extra=i) for i in range(50, 100)], 660)
    forecast.commit()
    reports: list[Any] = []

    with (
        psycopg.connect(lake.database_url) as long_reader,
        psycopg.connect(lake.database_url, autocommit=True) as admin,
        impatient_readers(lake.database_url) as errors,
    ):
        long_reader.execute("select count(*) from forecast_data")  # and the transaction stays open
        syncing = threading.Thread(target=lambda: reports.extend(sync(lake, [declared])))
        syncing.start()
        try:
            until = time.monotonic() + 60
            while not _blocked(admin):
                assert time.monotonic() < until, "the ALTER never met the long reader"
            time.sleep(2)  # more than a reader's patience
            assert not reports
        finally:
            long_reader.rollback()
            syncing.join()
    assert not errors
    assert reports[0].inserted == 50
    with psycopg.connect(lake.database_url) as connection:
        assert connection.execute("select count(extra), count(*) from forecast_data").fetchone() == (50, 100)


def test_sync_that_never_gets_to_change_the_table_names_who_reads_it(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add([_row(1)], 660)
    forecast.commit()
    sync(lake, [declared])
    forecast.evolve(add=[("extra", "int")])
    with psycopg.connect(lake.database_url, application_name="nightly report") as long_reader:
        long_reader.execute("select count(*) from forecast_data")
        with pytest.raises(
            SyncBusyError, match=r"never free of nightly report of penstock from 127\.0\.0\.1 \(pid "
        ) as caught:
            sync(lake, [declared], limits=Limits(catalog_seconds=0.5))
        assert "Nothing was changed" in caught.value.message
    (report,) = sync(lake, [declared])
    assert report.error is None


# PgBouncer


@pytest.fixture
def pooled(lake: Connections) -> Iterator[Connections]:
    """The lake with PgBouncer in transaction mode before Postgres: every transaction may meet another server process."""
    with pgbouncer(lake.database_url, "transaction") as url:
        yield replace(lake, database_url=url)


def test_sync_through_pgbouncer_in_transaction_mode_loads_changes_and_compares(
    lake: Connections, pooled: Connections, forecast: Any, declared: Declaration
) -> None:
    first = forecast.add([_row(i) for i in range(500)], 660)
    forecast.commit()
    (report,) = sync(pooled, [declared])
    assert (report.mode, report.inserted) == ("load", 500)
    forecast.add([_row(i, 1.0 if i % 5 else 2.0) for i in range(10, 600)], 660)
    forecast.commit(remove=[first])
    (report,) = sync(pooled, [declared])
    assert (report.inserted, report.updated, report.deleted) == (100, 98, 10)
    (report,) = sync(pooled, [declared], full=True)
    assert (report.inserted, report.updated, report.deleted) == (0, 0, 0)
    (report,) = sync(pooled, [declared])
    assert report.mode == "nothing"
    with psycopg.connect(lake.database_url) as connection:
        assert connection.execute("select count(*), sum(y_50) from forecast_data").fetchone() == (590, 708)


def test_syncs_of_many_tables_through_pgbouncer_leave_its_server_sessions_as_they_were(
    lake: Connections, pooled: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add([_row(i) for i in range(50)], 660)
    forecast.commit()
    tables = [replace(declared, table=f"copy_{i}", indexes=()) for i in range(6)]
    assert [report.inserted for report in sync(pooled, tables)] == [50] * 6
    names = ("lock_timeout", "statement_timeout", "work_mem", "idle_in_transaction_session_timeout")
    with psycopg.connect(lake.database_url, autocommit=True) as fresh:
        plain = [fresh.execute(f"show {name}".encode()).fetchone() for name in names]
    sessions = [psycopg.connect(pooled.database_url, prepare_threshold=None) for _ in range(3)]
    try:
        for session in sessions:  # each in a transaction: all of PgBouncer's server sessions are looked at
            assert [session.execute(f"show {name}".encode()).fetchone() for name in names] == plain
            left = session.execute(
                "select (select count(*) from pg_prepared_statements),"
                " (select count(*) from pg_class where relpersistence = 't')"
            ).fetchone()
            assert left == (0, 0)
    finally:
        for session in sessions:
            session.close()


VICTIM = """
import pickle, sys, time
from penstock.sync.run import sync

connections, declared = pickle.load(sys.stdin.buffer)

def checkpoint(name):
    if name == "applied":
        print("reached", flush=True)
        time.sleep(60)

sync(connections, [declared], checkpoint=checkpoint)
"""


def test_sync_killed_behind_pgbouncer_is_rolled_back_and_can_be_repeated(
    lake: Connections, pooled: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add([_row(i) for i in range(50)], 660)
    forecast.commit()
    with subprocess.Popen(
        [sys.executable, "-c", VICTIM], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(pickle.dumps((pooled, declared)))
            process.stdin.close()
            assert process.stdout.readline() == b"reached\n"
        finally:
            process.kill()
    (report,) = sync(pooled, [declared])
    assert (report.mode, report.inserted) == ("load", 50)


def test_sync_through_pgbouncer_in_statement_mode_says_to_use_the_direct_url(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add([_row(1)], 660)
    forecast.commit()
    with pgbouncer(lake.database_url, "statement") as url:
        with pytest.raises(SyncError, match="statement pooling") as caught:
            sync(replace(lake, database_url=url), [declared])
        assert "direct" in caught.value.hint
