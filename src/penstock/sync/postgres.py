"""Connections to Postgres fit for a sync: waits for a compute that wakes, verifies TLS, sets timeouts, locks a table,
tells no secret.

Refused, before any password is sent or any row written: a server on another machine without verified TLS, one older
than PostgreSQL 15, a read-only standby, a database whose encoding is not UTF-8.

Everything a transaction needs is set in the transaction and ends with it, locks included. So a sync also works through a
pooler in transaction mode (PgBouncer, Neon's `-pooler` host), and a process that dies leaves nothing behind.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from penstock.errors import SyncBusyError, SyncError
from penstock.sync.declaration import Declaration
from penstock.sync.options import table_name
from penstock.sync.state import Connection

Result = TypeVar("Result")

OLDEST = 150000  # PostgreSQL 15 brought MERGE

# A server on this machine does not sleep: refused is wrong port or a restart, and a restart takes about a second.
LOOPBACK_REFUSED_SECONDS = 5.0
# A name that does not resolve now may do so in a moment, on a machine that has just started.
UNRESOLVED_SECONDS = 10.0

# What Postgres, PgBouncer, Neon's proxy or the system say, and what that means. The first that fits counts: of several
# addresses tried, one may have told the reason and another only have been unreachable.
_SAID: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "login",
        ("password authentication failed", "sasl authentication failed", "authentication failed for user"),
    ),
    ("for good", ("quota", "endpoint is disabled", "does not exist", "no pg_hba.conf entry")),
    ("tls", ("certificate", "ssl was required", "ssl error", "does not support ssl", "tlsv1 alert")),
    (
        "full",
        (
            "too many clients",
            "too many connections",
            "remaining connection slots",
            "no more connections allowed",
            "too many database connection attempts",
        ),
    ),
    (
        "waking",
        (
            "starting up",
            "shutting down",
            "not yet accepting",
            "in recovery mode",
            "timeout",
            "timed out",
            "reset by peer",
            "closed the connection",
            "closed unexpectedly",
            "connect to compute",
            "control plane request failed",
            "server_login_retry",
            "is read-only",
        ),
    ),
    ("refused", ("refused",)),
    ("unresolved", ("temporary failure in name resolution", "unreachable", "no route to host")),
)
_HINTS = {
    "login": "Check user and password in DATABASE_URL; if the password was changed, put the new one there.",
    "for good": "Check host, user and database in DATABASE_URL, and the project's state in Neon's console.",
    "tls": "Connections to another machine are verified. A server with a certificate of a private authority needs"
    " sslrootcert=<its file> in DATABASE_URL; the host must be the name that is in the certificate.",
    "full": "Lower PENSTOCK_SYNC_CONNECTIONS, end other sessions, or raise the server's max_connections.",
    "waking": "The server is there and takes no sessions: see its log, or Neon's console; then run the sync again.",
    "refused": "Check host and port in DATABASE_URL and that the server runs; locally: `invoke status`.",
    "unresolved": "Check the host's name in DATABASE_URL and this machine's network.",
    "": "Check DATABASE_URL; locally: `invoke status`.",
}


@dataclass(frozen=True)
class Limits:
    """How long a sync waits and how much of this machine and of the server it takes.

    connections: tables synced at a time, 1 to 64. More use more of the server's processors, and its connections.
    readers, queued_batches: for all tables together: threads that read files, 1 to 16, and encoded batches of some 3 MB that
        wait for the server, 1 to 64. One thread encodes faster than Postgres takes rows; the second hides S3's latency.
    connect_seconds: 0 to 600. Neon's computes wake in under 5 s as a rule; more only delays the report of a wrong address.
    busy_seconds: how long it waits for another sync of the table. A killed one's lock is held until its server process
        notices, about a second; to wait out a live one, set the length of a sync.
    network_seconds: how long a peer may keep silent before either side gives the connection up; 3 to 3,600. A server that
        stands still for longer, on a full disk's edge say, is taken for dead.
    lock_timeout: how long it waits behind another's lock on the table before it leaves.
    catalog_lock_timeout: how long an ALTER waits at a time: readers that come meanwhile wait behind it.
    catalog_seconds: for how long such an ALTER is tried again.
    statement_timeout: must exceed the COPY of the largest first load.
    idle_timeout: how long the server keeps a transaction whose client does nothing; must exceed the reading of a partition.
    maintenance_work_mem: for index builds; 64 to 512 MB. Eight indexes on 1.25M rows took 5.6 to 7.4 s with 64 and with
        256 MB alike, 6.3 to 6.8 s with 512 MB; more rows want more of it, a small compute has less to give.
    work_mem: for the MERGE's hash join; less means more batches on disk.
    keep_days: how long the records of runs are kept; 0 keeps all. A sync that finds something new every 5 minutes writes
        26,000 records a table in 90 days, about 10 MB.
    """

    connections: int = 4
    readers: int = 4
    queued_batches: int = 8
    connect_seconds: float = 60
    busy_seconds: float = 3
    network_seconds: float = 120
    lock_timeout: str = "30s"
    catalog_lock_timeout: str = "200ms"
    catalog_seconds: float = 60
    statement_timeout: str = "2h"
    idle_timeout: str = "15min"
    maintenance_work_mem: str = "256MB"
    work_mem: str = "64MB"
    keep_days: float = 90

    def shared_among(self, tables: int) -> Limits:
        """Return one table's share when so many are synced at a time: memory is bounded for all of them together.

        A table alone takes two readers and four batches: more make nothing faster. The server's memory for index builds is
        shared likewise.
        """
        tables = max(1, tables)
        megabytes = max(32, 256 // tables)
        built = f"{megabytes}MB" if self.maintenance_work_mem == "256MB" else self.maintenance_work_mem
        return replace(
            self,
            readers=max(1, min(2, self.readers // tables)),
            queued_batches=max(1, min(4, self.queued_batches // tables)),
            maintenance_work_mem=built,
        )


def connect(
    database_url: str,
    limits: Limits,
    *,
    report: Callable[[str], None] = lambda _: None,
    reread: Callable[[str], str | None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Connection:
    """Return an autocommit connection, retrying while the server wakes.

    report: is told what is waited for, at each try. reread: returns a newer URL in place of one whose password was
    refused, or None; asked once.
    Raises: SyncError, without the URL's password, at once where waiting cannot help.
    """
    conninfo = _conninfo(database_url, limits)
    began, pause = clock(), 0.05
    while True:
        try:
            connection = psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)
            break
        except psycopg.OperationalError as error:
            said = " ".join(str(error).split())
        meaning = _meaning(said)
        if meaning == "login" and reread is not None:
            newer, reread = reread(database_url), None
            if newer:
                database_url, conninfo = newer, _conninfo(newer, limits)
                continue
        left = began + _patience(meaning, conninfo, limits) - clock()
        if left <= 0:
            raise SyncError(
                f"Postgres cannot be reached: {without_secret(said, database_url)}", hint=_HINTS[meaning]
            )
        report(
            f"waiting for Postgres, {left:.0f} s more at most ({without_secret(said, database_url)[:200]})"
        )
        sleep(pause)
        pause = min(2 * pause, 2.0)
    try:
        _fit(connection)
    except SyncError:
        connection.close()
        raise
    return connection


def _meaning(said: str) -> str:
    said = said.lower()
    return next((meaning for meaning, signs in _SAID if any(sign in said for sign in signs)), "")


def _patience(meaning: str, conninfo: str, limits: Limits) -> float:
    """Return for how many seconds trying again makes sense."""
    if meaning in ("full", "waking"):
        return limits.connect_seconds
    if meaning == "refused":
        near = _is_loopback(conninfo_to_dict(conninfo))
        return min(LOOPBACK_REFUSED_SECONDS, limits.connect_seconds) if near else limits.connect_seconds
    if meaning == "unresolved":
        return min(UNRESOLVED_SECONDS, limits.connect_seconds)
    return 0.0


def _fit(connection: Connection) -> None:
    """Refuse a server that a sync cannot use, from what it said of itself at the login; asks nothing."""
    info = connection.info
    place = f"Postgres at {info.host or 'its socket'}"
    if info.server_version < OLDEST:
        raise SyncError(
            f"{place} is version {info.server_version // 10000}; the sync needs 15 or later, for MERGE.",
            hint="Upgrade the server, or sync to another one.",
        )
    if info.parameter_status("in_hot_standby") == "on":
        raise SyncError(
            f"{place} is a read-only standby.",
            hint="Set DATABASE_URL to the primary (Neon: the read-write endpoint). After a failover, run the sync again.",
        )
    encoding = info.parameter_status("server_encoding") or "UTF8"
    if encoding not in ("UTF8", "SQL_ASCII"):
        raise SyncError(
            f"{place}: database '{info.dbname}' is encoded in {encoding}; the lake's text is UTF-8, compared byte by byte.",
            hint="Create the database with `encoding 'UTF8'`.",
        )


def _conninfo(database_url: str, limits: Limits) -> str:
    if not database_url:
        raise SyncError(
            "No database to sync to is set.", hint="Set DATABASE_URL; locally `invoke up` starts one."
        )
    try:
        given: dict[str, Any] = conninfo_to_dict(database_url)
    except psycopg.ProgrammingError:
        raise SyncError(
            "DATABASE_URL is not a Postgres URL.", hint="postgresql://user:password@host/database"
        ) from None
    given.setdefault("application_name", "penstock sync")
    given.setdefault("connect_timeout", 10)
    given["client_encoding"] = "UTF8"
    seconds = max(3, round(limits.network_seconds))
    given |= {
        "keepalives_idle": max(1, seconds // 4),
        "keepalives_interval": max(1, seconds // 8),
        "keepalives_count": 6,
        "tcp_user_timeout": 1000 * seconds,
    }
    if "," in str(given.get("host") or ""):  # one of them is the primary, and after a failover another
        given.setdefault("target_session_attrs", "read-write")
    if not _is_loopback(given):
        _verify_tls(given)
    return make_conninfo(**given)


def _is_loopback(given: dict[str, Any]) -> bool:
    """Whether all hosts are this machine, by name and by address, as libpq will take them (environment included)."""
    if given.get("service"):  # a file says where that is
        return False
    known = _defaults() | given
    hosts = [
        host.strip()
        for name in ("host", "hostaddr")
        for host in str(known.get(name) or "").split(",")
        if host.strip()
    ]
    return all(_is_local(host) for host in hosts)


def _is_local(host: str) -> bool:
    if host.startswith(("/", "@")) or host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _verify_tls(given: dict[str, Any]) -> None:
    """Have the server prove who it is: weaker modes are raised, and those that forgo encryption refused."""
    mode = given.get("sslmode")
    if mode in ("disable", "allow"):
        raise SyncError(
            f"DATABASE_URL says sslmode={mode}, and the server is on another machine: rows would travel in the open.",
            hint="Leave sslmode out: the sync takes verify-full. Through a tunnel, name its end on this machine as host.",
        )
    given["sslmode"] = "verify-full"
    given["gssencmode"] = "disable"  # or it would come before TLS, and be taken for it
    if given.get("sslrootcert", _defaults().get("sslrootcert") or "system") == "system":
        given["sslrootcert"] = _authorities()


def _authorities() -> str:
    """Return the file of certificate authorities that this machine trusts.

    libpq's own word for it is `system`, which means what its OpenSSL was built with: psycopg's binary package looks in a
    folder that exists nowhere.
    """
    import ssl

    found = ssl.get_default_verify_paths().cafile
    if found and Path(found).is_file():
        return found
    try:
        import certifi
    except ImportError:
        return "system"
    return certifi.where()


def _defaults() -> dict[str, str]:
    """Return what libpq takes from the environment (PGHOST and its like) for what a URL leaves out."""
    return {
        option.keyword.decode(): option.val.decode()
        for option in psycopg.pq.Conninfo.get_defaults()
        if option.val
    }


def without_secret(message: str, database_url: str) -> str:
    """Return a message with the URL's password, and the URL itself, taken out."""
    try:
        password = str(conninfo_to_dict(database_url).get("password") or "")
    except psycopg.ProgrammingError:
        password = ""
    cleaned = message.replace(database_url, "DATABASE_URL") if database_url else message
    for form in {password, quote(password, safe="")} - {""}:
        cleaned = cleaned.replace(form, "***")
    return cleaned


def quotable(error: Exception, database_url: str) -> Exception | None:
    """Return the error as another one's cause; None where its own words hold a secret, which a stack trace would show."""
    return error if without_secret(str(error), database_url) == str(error) else None


def begin_limits(connection: Connection, limits: Limits) -> None:
    """Set the open transaction's timeouts and memory."""
    seconds = max(3, round(limits.network_seconds))
    connection.execute(
        "select set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true),"
        " set_config('idle_in_transaction_session_timeout', %s, true),"
        " set_config('maintenance_work_mem', %s, true), set_config('work_mem', %s, true),"
        # a server process in the middle of a statement notices within a second that its client was killed, and one that
        # waits for a client whose network is gone gives up: either way the table's lock is let go
        " set_config('client_connection_check_interval', '1s', true),"
        " set_config('tcp_keepalives_idle', %s, true), set_config('tcp_keepalives_interval', %s, true),"
        " set_config('tcp_keepalives_count', '6', true), set_config('tcp_user_timeout', %s, true),"
        " set_config('jit', 'off', true), set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO', true)",
        [
            limits.lock_timeout,
            limits.statement_timeout,
            limits.idle_timeout,
            limits.maintenance_work_mem,
            limits.work_mem,
            str(max(1, seconds // 4)),
            str(max(1, seconds // 8)),
            f"{seconds}s",
        ],
    )


def catalog_change(
    connection: Connection, limits: Limits, declaration: Declaration, change: Callable[[], Result]
) -> Result:
    """Run a change of the table's shape in a transaction of its own, so that readers never queue behind a waiting ALTER.

    Whatever comes to a table after an ALTER that waits, waits with it. So it waits shortly, gives way, and is tried again.
    Raises: SyncBusyError naming who holds the table, after `catalog_seconds`.
    """
    until, pause = time.monotonic() + limits.catalog_seconds, 0.1
    while True:
        try:
            with connection.transaction():
                begin_limits(connection, replace(limits, lock_timeout=limits.catalog_lock_timeout))
                return change()
        except psycopg.errors.LockNotAvailable as error:
            if time.monotonic() >= until:
                raise _held(connection, limits, declaration) from error
        time.sleep(pause)
        pause = min(2 * pause, 2.0)


def _held(connection: Connection, limits: Limits, declaration: Declaration) -> SyncBusyError:
    rows = connection.execute(
        "select a.pid, a.usename, coalesce(host(a.client_addr), 'local'), a.application_name,"
        " a.xact_start at time zone 'UTC'"
        " from pg_locks as l inner join pg_stat_activity as a on a.pid = l.pid"
        " where l.locktype = 'relation' and l.granted and l.relation = to_regclass(%s) and a.pid <> pg_backend_pid()"
        " and l.database = (select oid from pg_database where datname = current_database())"
        " order by a.xact_start limit 3",
        [table_name(declaration)],
    ).fetchall()
    who = ", ".join(dict.fromkeys(_session(row) for row in rows)) or "other sessions, one after another"
    return SyncBusyError(
        f"{declaration.target}: its shape is to change, and for {limits.catalog_seconds:.0f} s it was never free of {who}."
        " Nothing was changed.",
        hint="Run the sync again when the long query has ended, or end it: select pg_terminate_backend(<pid>).",
    )


def lock(
    connection: Connection,
    declaration: Declaration,
    limits: Limits,
    *,
    shared: bool = False,
    part: str = "",
) -> None:
    """Take the table's sync lock for this transaction; raises SyncBusyError naming who holds it.

    An advisory lock: it ends with the transaction however the process ends. Shards of one sync share it, and each has
    one of its own: `part` names that.
    """
    what = f"{declaration.target} {part}".rstrip()
    name = f"penstock.sync:{what}"
    take = "pg_try_advisory_xact_lock_shared" if shared else "pg_try_advisory_xact_lock"
    until = time.monotonic() + limits.busy_seconds
    while True:
        row = connection.execute(f"select {take}(hashtextextended(%s, 0))".encode(), [name]).fetchone()
        if row == (True,):
            return
        if time.monotonic() >= until:
            break
        time.sleep(0.1)
    holder = connection.execute(
        "select a.pid, a.usename, coalesce(host(a.client_addr), 'local'), a.application_name,"
        " a.xact_start at time zone 'UTC'"
        " from pg_locks as l inner join pg_stat_activity as a on a.pid = l.pid"
        " where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and"
        " l.database = (select oid from pg_database where datname = current_database())"
        " and ((l.classid::bigint << 32) | l.objid::bigint) = hashtextextended(%s, 0)",
        [name],
    ).fetchone()
    raise SyncBusyError(
        f"{what} is being synced by {_session(holder) if holder else 'another session'}.",
        hint="Wait for it to end; nothing was changed by this run.",
    )


def _session(row: tuple[Any, ...]) -> str:
    pid, user, address, application, since = row
    who = f"{application or 'a session'} of {user} from {address} (pid {pid}"
    return f"{who}, since {since:%Y-%m-%d %H:%M:%S} UTC)" if since else f"{who})"
