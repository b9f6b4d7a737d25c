"""Connections to Postgres fit for a sync: waits for a compute that wakes, verifies TLS, sets timeouts, locks a table,
tells no secret.

A lock is an advisory one, held by the transaction: it ends with it however the process ends, and works through a
transaction pooler.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from penstock.errors import SyncBusyError, SyncError
from penstock.sync.declaration import Declaration
from penstock.sync.state import Connection

_LOOPBACK = ("127.", "localhost", "::1", "/")
# What Postgres, Neon's proxy or the system say of a server that may be there in a moment.
_WAKING = (
    "refused",
    "starting up",
    "shutting down",
    "not yet accepting",
    "timeout",
    "timed out",
    "reset by peer",
    "closed the connection",
    "couldn't connect to compute",
)


@dataclass(frozen=True)
class Limits:
    """How long a sync waits and how much of the server's memory it asks for.

    connect_seconds: 0 to 600. Neon's computes wake in under 5 s as a rule; more only delays the report of a wrong address.
    busy_seconds: how long it waits for another sync of the table. A killed one's lock is held until its server process
        notices, about a second; to wait out a live one, set the length of a sync.
    lock_timeout: how long it waits behind another's lock on the table before it leaves.
    statement_timeout: must exceed the COPY of the largest first load.
    maintenance_work_mem: for index builds; 64 to 512 MB. Eight indexes on 1.25M rows took 5.6 to 7.4 s with 64 and with
        256 MB alike, 6.3 to 6.8 s with 512 MB; more rows want more of it, a small compute has less to give.
    work_mem: for the MERGE's hash join; less means more batches on disk.
    keep_days: how long the records of runs are kept; 0 keeps all. A sync that finds something new every 5 minutes writes
        26,000 records a table in 90 days, about 10 MB.
    """

    connect_seconds: float = 60
    busy_seconds: float = 3
    lock_timeout: str = "30s"
    statement_timeout: str = "2h"
    maintenance_work_mem: str = "256MB"
    work_mem: str = "64MB"
    keep_days: float = 90


def connect(
    database_url: str,
    limits: Limits,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Connection:
    """Return an autocommit connection, retrying while the server wakes; raises SyncError without the URL's password."""
    conninfo = _conninfo(database_url)
    until = clock() + limits.connect_seconds
    pause = 0.05
    while True:
        try:
            connection = psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)
            break
        except psycopg.OperationalError as error:
            message = " ".join(str(error).split())
            if clock() >= until or not any(sign in message.lower() for sign in _WAKING):
                raise SyncError(
                    f"Postgres cannot be reached: {without_secret(message, database_url)}",
                    hint="Check DATABASE_URL (Neon: the direct URL, not the pooled one), or `invoke status` locally.",
                ) from None
            sleep(pause)
            pause = min(2 * pause, 2.0)
    connection.execute("set client_min_messages to warning")
    return connection


def _conninfo(database_url: str) -> str:
    try:
        given: dict[str, Any] = conninfo_to_dict(database_url)
    except psycopg.ProgrammingError:
        raise SyncError(
            "DATABASE_URL is not a Postgres URL.", hint="postgresql://user:password@host/database"
        ) from None
    if not database_url:
        raise SyncError(
            "No database to sync to is set.", hint="Set DATABASE_URL; locally `invoke up` starts one."
        )
    given.setdefault("application_name", "penstock sync")
    given.setdefault("connect_timeout", 10)
    given |= {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
    host = str(given.get("host") or "/")
    if not host.startswith(_LOOPBACK) and given.get("sslmode", "prefer") in ("prefer", "require"):
        given["sslmode"] = "verify-full"
        given.setdefault("sslrootcert", "system")
    return make_conninfo(**given)


def without_secret(message: str, database_url: str) -> str:
    """Return a message with the URL's password, and the URL itself, taken out."""
    try:
        password = conninfo_to_dict(database_url).get("password")
    except psycopg.ProgrammingError:
        password = None
    cleaned = message.replace(database_url, "DATABASE_URL") if database_url else message
    return cleaned.replace(str(password), "***") if password else cleaned


def begin_limits(connection: Connection, limits: Limits) -> None:
    """Set the open transaction's timeouts and memory."""
    connection.execute(
        "select set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true),"
        " set_config('maintenance_work_mem', %s, true), set_config('work_mem', %s, true),"
        # a server process in the middle of a statement notices within a second that its client was killed
        " set_config('client_connection_check_interval', '1s', true),"
        " set_config('jit', 'off', true), set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO', true)",
        [limits.lock_timeout, limits.statement_timeout, limits.maintenance_work_mem, limits.work_mem],
    )


def lock(connection: Connection, declaration: Declaration, limits: Limits) -> None:
    """Take the table's sync lock for this transaction; raises SyncBusyError naming who holds it."""
    name = f"penstock.sync:{declaration.target}"
    until = time.monotonic() + limits.busy_seconds
    while True:
        row = connection.execute(
            "select pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [name]
        ).fetchone()
        if row == (True,):
            return
        if time.monotonic() >= until:
            break
        time.sleep(0.1)
    holder = connection.execute(
        "select a.pid, a.usename, coalesce(host(a.client_addr), 'local'), a.application_name, a.xact_start"
        " from pg_locks as l inner join pg_stat_activity as a on a.pid = l.pid"
        " where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and"
        " l.database = (select oid from pg_database where datname = current_database())"
        " and ((l.classid::bigint << 32) | l.objid::bigint) = hashtextextended(%s, 0)",
        [name],
    ).fetchone()
    who = "another session"
    if holder is not None:
        who = f"{holder[3] or 'a session'} of {holder[1]} from {holder[2]} (pid {holder[0]}"
        who += f", since {holder[4]:%Y-%m-%d %H:%M:%S} UTC)" if holder[4] else ")"
    raise SyncBusyError(
        f"{declaration.target} is being synced by {who}.",
        hint="Wait for it to end; nothing was changed by this run.",
    )
