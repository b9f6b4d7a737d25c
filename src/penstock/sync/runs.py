"""The records of runs: `penstock.sync_runs`, failed and killed ones included, and the spec's status table.

A run that wrote something commits its record together with the rows; a failed one's is written after the rollback, in a
transaction of its own. A run that was killed can write nothing: so each run with work to do leaves a row in
`penstock.sync_attempts` first, which its record takes away in the same commit, and the next run that holds the table's
lock records as killed what it finds there of server sessions that are gone. A run that finds nothing new leaves no such
row and costs nothing more.

Runs in a row that found nothing new share one record (`runs` counts them; it began with the first and ended with the
last), or a sync a minute would fill the table. Older records are pruned, a few at each run.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from penstock.sync.declaration import Declaration
from penstock.sync.state import Connection

# Records pruned at most at a run: enough to catch up with any schedule, few enough to take under a millisecond.
PRUNED_AT_ONCE = 100

# Whether the session that a row t of sync_attempts names is there.
ALIVE = (
    "exists (select 1 from pg_stat_activity as a where a.pid = t.backend_pid"
    # hidden from a role that is neither the session's own nor a monitor's
    " and (a.backend_start is null or t.backend_start is null or a.backend_start = t.backend_start))"
)


KILLED_HINT = "The next run goes on from the last commit. Killed each time? Look at the machine's memory and time limits."


def killed_text(host: str, process: int) -> str:
    """Say of a run that left its row in sync_attempts and no record what became of it."""
    return (
        f"The run on {host} (process {process}) ended without a record: it was killed, or its machine or its connection"
        " was lost. Nothing of it was applied."
    )


def killed_runs(connection: Connection, targets: Sequence[str]) -> list[tuple[str, str, int]]:
    """Return the runs of these tables that were killed and that no run has recorded yet: target, host, process."""
    known = connection.execute("select to_regclass('penstock.sync_attempts') is not null").fetchone()
    if known != (True,):
        return []
    return connection.execute(
        f"select t.target, t.host, t.process from penstock.sync_attempts as t where t.target = any(%s) and not {ALIVE}"
        " order by t.started_at",
        [list(targets)],
    ).fetchall()


def begin_run(connection: Connection, declaration: Declaration, token: UUID, started_at: Any) -> list[int]:
    """Note that a run is at work on the table, and record as failed the runs that were killed at it; returns their ids.

    The caller holds the table's lock and commits before it writes any row.
    """
    killed = [bury(connection, declaration, row) for row in _dead(connection, declaration)]
    connection.execute(
        "insert into penstock.sync_attempts (token, target, lake, backend_start, host, process, started_at)"
        " values (%s, %s, %s, (select backend_start from pg_stat_activity where pid = pg_backend_pid()), %s, %s, %s)"
        " on conflict (token) do nothing",
        [token, declaration.target, declaration.lake, socket.gethostname(), os.getpid(), started_at],
    )
    return killed


def _dead(connection: Connection, declaration: Declaration) -> list[Any]:
    return connection.execute(
        f"delete from penstock.sync_attempts as t where t.target = %s and not {ALIVE}"
        " returning t.lake, t.host, t.process, t.started_at",
        [declaration.target],
    ).fetchall()


def bury(connection: Connection, declaration: Declaration, row: Any) -> int:
    """Add the record that a killed run could not write itself; returns its id."""
    lake, host, process, started_at = row
    return write_run(
        connection,
        declaration,
        {
            "target": declaration.target,
            "lake": lake,
            "status": "failed",
            "mode": "unknown",
            "reason": "found by the next run",
            "error": killed_text(host, process),
            "hint": KILLED_HINT,
            "started_at": started_at,
        },
    )


def write_run(
    connection: Connection,
    declaration: Declaration,
    run: dict[str, Any],
    *,
    token: UUID | None = None,
    keep_days: float = 0,
) -> int:
    """Record the run, and in the status table where one is declared; returns the record's id. The caller commits.

    `token` is what `begin_run` was given, where it was called. `keep_days` prunes older records; 0 keeps all.
    """
    if token is not None:
        connection.execute("delete from penstock.sync_attempts where token = %s", [token])
    again = _found_nothing_again(connection, run)
    number = again or _insert(connection, run)
    if declaration.status_table:
        write_status(connection, declaration, run)
    if not again and keep_days > 0:
        prune(connection, declaration, number, keep_days)
    return number


def _insert(connection: Connection, run: dict[str, Any]) -> int:
    names = sql.SQL(", ").join(map(sql.Identifier, run))
    marks = sql.SQL(", ").join(sql.Placeholder() * len(run))
    values = [Jsonb(value) if isinstance(value, dict | list) else value for value in run.values()]
    row = connection.execute(
        sql.SQL("insert into penstock.sync_runs ({}) values ({}) returning id").format(names, marks), values
    ).fetchone()
    assert row is not None
    return int(row[0])


def _found_nothing_again(connection: Connection, run: dict[str, Any]) -> int:
    """Count the run in the record before it, where both found nothing new in the same snapshot; 0 where not."""
    if run["status"] != "success" or run["mode"] != "nothing" or run.get("schema_changes"):
        return 0
    row = connection.execute(
        "update penstock.sync_runs set runs = runs + 1, finished_at = clock_timestamp(), seconds = %s, reason = %s"
        " where id = (select max(id) from penstock.sync_runs where target = %s)"
        " and status = 'success' and mode = 'nothing' and snapshot_id is not distinct from %s and schema_changes = '[]'"
        " returning id",
        [Jsonb(run["seconds"]), run["reason"], run["target"], run["snapshot_id"]],
    ).fetchone()
    return 0 if row is None else int(row[0])


def prune(connection: Connection, declaration: Declaration, newest: int, keep_days: float) -> int:
    """Delete the table's oldest records of more than so many days, a few at a time; returns how many.

    Kept whatever its age: the newest, and the one that the committed state refers to.
    """
    return connection.execute(
        "delete from penstock.sync_runs where id in ("
        "select id from (select id, finished_at from penstock.sync_runs where target = %s and id < %s"
        " and id not in (select run_id from penstock.sync_state)"
        # while shards are at work their round keeps the state
        " and not exists (select 1 from penstock.sync_rounds as o where (o.state->>'run_id')::bigint = id)"
        " order by id limit %s) as oldest"
        " where finished_at < clock_timestamp() - make_interval(secs => %s))",
        [declaration.target, newest, PRUNED_AT_ONCE, keep_days * 86400],
    ).rowcount


def write_status(connection: Connection, declaration: Declaration, run: dict[str, Any]) -> None:
    """Tell the spec's status table: times in UTC, records_synced the rows written or deleted.

    A run that finds nothing new takes over the row before it, if that one too synced no record, so that the newest row is
    always the last run's; any other run adds one.
    """
    synced = sum(run.get(name, 0) for name in ("inserted", "updated", "deleted"))
    table = sql.Identifier(declaration.schema, declaration.status_table)
    if run["status"] == "success" and run["mode"] == "nothing":
        moved = connection.execute(
            sql.SQL(
                "update {0} set last_sync_timestamp = clock_timestamp() at time zone 'UTC',"
                " last_sync_date = (clock_timestamp() at time zone 'UTC')::date, created_at = default"
                " where id = (select id from {0} where sync_type = %s order by id desc limit 1)"
                " and status = 'success' and records_synced = 0"
            ).format(table),
            [declaration.table],
        ).rowcount
        if moved:
            return
    connection.execute(
        sql.SQL(
            "insert into {} (sync_type, last_sync_timestamp, last_sync_date, records_synced, status, error_message)"
            " values (%s, clock_timestamp() at time zone 'UTC', (clock_timestamp() at time zone 'UTC')::date, %s, %s, %s)"
        ).format(table),
        [declaration.table, min(synced, 2**31 - 1), run["status"], run.get("error")],
    )
