"""Where each declared table stands, and what its runs were: read from Postgres and the lake, nothing written.

How far a table is behind is told by the lake's own log: Postgres fell behind when the snapshot after the committed one was
made. While both hold the same version that takes one GetTable a table; else the table's metadata file is read from S3,
never a manifest. Works on a database of an older Penstock, and on one that nothing was ever synced into.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from psycopg import sql

from penstock.connections import Connections
from penstock.errors import PlanError
from penstock.sync.declaration import Declaration
from penstock.sync.failed import named
from penstock.sync.glue import Glue
from penstock.sync.lake import LakeObjects, LakeTable, locate
from penstock.sync.postgres import Limits, connect
from penstock.sync.rounds import read_round
from penstock.sync.state import Connection

# A person waits: a compute that wakes takes a few seconds, anything longer is worth being told.
LIMITS = Limits(connect_seconds=10)

Standing = Literal[
    "current", "behind", "never synced", "declaration changed", "gone", "not in the lake", "unknown"
]


@dataclass(frozen=True)
class Run:
    """A record of `penstock.sync_runs`. Times in UTC; `runs` in a row that found nothing new share one record."""

    id: int
    target: str
    status: str
    mode: str
    reason: str
    snapshot_id: int | None
    partitions: int
    files: int
    bytes_read: int
    rows_read: int
    inserted: int
    updated: int
    deleted: int
    unchanged: int
    seconds: dict[str, float]
    step: str | None
    error: str | None
    hint: str | None
    runs: int
    schema_changes: list[str]
    started_at: datetime
    finished_at: datetime

    @property
    def rows_written(self) -> int:
        return self.inserted + self.updated + self.deleted

    @property
    def failed(self) -> bool:
        return self.status == "failed"


@dataclass(frozen=True)
class Attempt:
    """A run that left no record: at work now, or killed (`alive` false)."""

    host: str
    process: int
    started_at: datetime
    alive: bool


@dataclass(frozen=True)
class TableStatus:
    """Where one table stands. `behind_seconds`: age of the oldest snapshot that Postgres does not hold, 0 when it holds all.

    `behind_at_least`: the lake has forgotten older ones. `rows` are as counted by the last sync that changed some, or
    Postgres's estimate where `rows_exact` is false. `failing_since`: the first failed run after the last good one. `shards`:
    how many of a round are done, while one is open; `committed_snapshot` is then the one that the round began from.
    """

    model: str
    table: str
    lake: str
    standing: Standing
    committed_snapshot: int | None = None
    lake_snapshot: int | None = None
    snapshots_behind: int | None = None
    behind_seconds: float | None = None
    behind_at_least: bool = False
    rows: int | None = None
    rows_exact: bool = False
    last_run: Run | None = None
    last_success: Run | None = None
    last_failure: Run | None = None
    failing_since: datetime | None = None
    attempts: list[Attempt] = field(default_factory=list)
    shards: str = ""
    problem: str = ""

    @property
    def failing(self) -> bool:
        """Whether the last run failed, or was killed and no other came after it."""
        killed = any(not attempt.alive for attempt in self.attempts)
        return (
            killed
            or (self.last_run is not None and self.last_run.failed)
            or self.standing == "not in the lake"
        )

    def late(self, minutes: float) -> bool:
        """Whether Postgres lacks what the lake has held for longer than that; a table never synced is late at once."""
        if self.standing in ("never synced", "gone", "not in the lake", "unknown"):
            return True
        return self.behind_seconds is not None and self.behind_seconds > minutes * 60

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON has it, times as ISO 8601."""
        data: dict[str, Any] = _plain(asdict(self) | {"failing": self.failing})
        return data


def statuses(
    connections: Connections, declarations: Sequence[Declaration], *, now: datetime | None = None
) -> list[TableStatus]:
    """Return where each declared table stands, in their order; raises SyncError when Postgres cannot be reached."""
    moment = now or datetime.now(UTC)
    glue = Glue(connections)
    with connect(connections.postgres_url(), LIMITS, reread=connections.reread_postgres_url) as connection:
        connection.execute("set timezone to 'UTC'")
        there = _tables(connection)
        return [_status(connections, connection, glue, item, there, moment) for item in declarations]


def history(
    connections: Connections, *, table: str = "", limit: int = 20, failed: bool = False
) -> list[Run] | None:
    """Return the latest runs, newest first; None when nothing was ever synced into this database.

    `table` keeps those of one table, named with or without its schema. Raises SyncError when Postgres cannot be reached.
    """
    with connect(connections.postgres_url(), LIMITS, reread=connections.reread_postgres_url) as connection:
        connection.execute("set timezone to 'UTC'")
        if "sync_runs" not in _tables(connection):
            return None
        found = connection.execute(
            "select to_jsonb(r) from penstock.sync_runs as r"
            " where (%(table)s = '' or r.target = %(table)s or split_part(r.target, '.', 2) = %(table)s)"
            " and (not %(failed)s or r.status = 'failed') order by r.id desc limit %(limit)s",
            {"table": table, "failed": failed, "limit": limit},
        ).fetchall()
    return [_run(row) for (row,) in found]


def as_data(run: Run) -> dict[str, Any]:
    """Return a run as JSON has it, times as ISO 8601."""
    data: dict[str, Any] = _plain(asdict(run))
    return data


def _tables(connection: Connection) -> set[str]:
    """The tables of Penstock's own that are there: an older version made fewer, and nobody any before the first sync."""
    rows = connection.execute(
        "select relname from pg_class where relnamespace = to_regnamespace('penstock') and relkind = 'r'"
    ).fetchall()
    return {row[0] for row in rows}


def _status(
    connections: Connections,
    connection: Connection,
    glue: Any,
    declaration: Declaration,
    there: set[str],
    now: datetime,
) -> TableStatus:
    state = _state(connection, declaration) if "sync_state" in there else None
    opened = read_round(connection, declaration.target) if "sync_rounds" in there else None
    if opened is not None and opened.state is not None:
        state = asdict(opened.state)
    runs = _runs(connection, declaration) if "sync_runs" in there else {}
    attempts = _attempts(connection, declaration) if "sync_attempts" in there else []
    found: dict[str, Any] = {"attempts": attempts, **runs}
    exists = connection.execute(
        "select to_regclass(%s) is not null", [f'"{declaration.schema}"."{declaration.table}"']
    ).fetchone() == (True,)
    if exists:
        found["rows"], found["rows_exact"] = _rows(connection, declaration, there)
    found |= _lag(connections, glue, declaration, state, exists, now)
    if opened is not None:
        found |= {
            "standing": "in shards",
            "shards": opened.progress + (", one failed" if opened.failed else ""),
        }
    return TableStatus(declaration.model, declaration.target, declaration.lake, **found)


def _lag(
    connections: Connections,
    glue: Any,
    declaration: Declaration,
    state: dict[str, Any] | None,
    exists: bool,
    now: datetime,
) -> dict[str, Any]:
    """Return how the committed snapshot stands to the lake's current one."""
    committed = None if state is None else state["snapshot_id"]
    known: dict[str, Any] = {"committed_snapshot": committed}
    try:
        location = locate(glue, declaration.lake_database, declaration.lake_table)
        if exists and state is not None and state["metadata_location"] == location:
            changed = state["declaration"] != declaration.fingerprint
            standing = "declaration changed" if changed else "current"
            return known | {
                "standing": standing,
                "lake_snapshot": committed,
                "snapshots_behind": 0,
                "behind_seconds": 0.0,
            }
        lake = LakeTable(LakeObjects(connections), location)
    except PlanError as error:
        return known | {"standing": "not in the lake", "problem": error.message}
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "botocore" and not isinstance(
            error, FileNotFoundError
        ):
            raise
        told = named(error, declaration, connections.postgres_url())
        return known | {"standing": "unknown", "problem": told.message}
    known["lake_snapshot"] = lake.snapshot_id
    behind = snapshots_behind(
        lake.log(), None if state is None or not exists else committed, lake.snapshot_id
    )
    seconds = max(0.0, now.timestamp() - behind[1] / 1000) if behind[0] else 0.0
    known |= {"snapshots_behind": behind[0], "behind_seconds": seconds, "behind_at_least": behind[2]}
    if state is None:
        return known | {"standing": "never synced"}
    if not exists:
        return known | {"standing": "gone"}
    return known | {"standing": "behind" if behind[0] else "current"}


def snapshots_behind(
    log: Sequence[tuple[int, int]], committed: int | None, current: int | None
) -> tuple[int, int, bool]:
    """Return how many snapshots came after the committed one, when the first of them did (ms), and whether that is a
    lower bound, because the lake has forgotten the committed one.

    A rollback counts as one: the log names the older snapshot anew.
    """
    if current is None or committed == current or not log:
        return 0, 0, False
    places = [i for i, (_, snapshot) in enumerate(log) if snapshot == committed]
    later = log[places[-1] + 1 :] if places else log
    if not later:
        return 0, 0, False
    return len(later), later[0][0], committed is not None and not places


def _state(connection: Connection, declaration: Declaration) -> dict[str, Any] | None:
    row = connection.execute(
        "select to_jsonb(s) from penstock.sync_state as s where s.target = %s", [declaration.target]
    ).fetchone()
    return None if row is None else dict(row[0])


def _runs(connection: Connection, declaration: Declaration) -> dict[str, Any]:
    """The last run, the last good one, the last failed one, and since when it fails."""

    def last(condition: str, order: str = "desc") -> Run | None:
        row = connection.execute(
            sql.SQL(
                "select to_jsonb(r) from penstock.sync_runs as r where r.target = {target} and {condition}"
                " order by r.id {order} limit 1"
            ).format(
                target=sql.Literal(declaration.target),
                condition=sql.SQL(condition),
                order=sql.SQL(order),
            )
        ).fetchone()
        return None if row is None else _run(row[0])

    run, success = last("true"), last("r.status = 'success'")
    first = None
    if run is not None and run.failed:
        first = last(f"r.status = 'failed' and r.id > {success.id if success else 0}", "asc")
    return {
        "last_run": run,
        "last_success": success,
        "last_failure": last("r.status = 'failed'"),
        "failing_since": first.finished_at if first else None,
    }


def _attempts(connection: Connection, declaration: Declaration) -> list[Attempt]:
    from penstock.sync.runs import ALIVE

    return [
        Attempt(*row)
        for row in connection.execute(
            sql.SQL(
                "select t.host, t.process, t.started_at, {} from penstock.sync_attempts as t where t.target = %s"
                " order by t.started_at"
            ).format(sql.SQL(ALIVE)),
            [declaration.target],
        )
    ]


def _rows(connection: Connection, declaration: Declaration, there: set[str]) -> tuple[int | None, bool]:
    """Rows of the table: the sum over its partitions' fingerprints, else the planner's estimate (none before an ANALYZE)."""
    if "sync_partitions" in there:
        row = connection.execute(
            "select sum(rows)::bigint from penstock.sync_partitions where target = %s", [declaration.target]
        ).fetchone()
        if row is not None and row[0] is not None:
            return int(row[0]), True
    row = connection.execute(
        "select reltuples::bigint from pg_class where oid = to_regclass(%s)",
        [f'"{declaration.schema}"."{declaration.table}"'],
    ).fetchone()
    return (int(row[0]) if row is not None and row[0] >= 0 else None), False


def _run(row: dict[str, Any]) -> Run:
    """Return a record read as JSON; columns that an older Penstock did not have take their defaults."""
    defaults: dict[str, Any] = {"step": None, "hint": None, "unchanged": 0, "runs": 1, "schema_changes": []}
    taken: dict[str, Any] = {
        name: row[name] if name in row else defaults[name] for name in Run.__dataclass_fields__
    }
    for name in ("started_at", "finished_at"):
        taken[name] = datetime.fromisoformat(taken[name])
    return Run(**taken)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value
