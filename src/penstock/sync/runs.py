"""The records of runs: `penstock.sync_runs`, a row a run, failed ones included, and the spec's status table."""

from __future__ import annotations

from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from penstock.sync.declaration import Declaration
from penstock.sync.state import Connection


def write_run(connection: Connection, declaration: Declaration, run: dict[str, Any]) -> int:
    """Add the run's record, and its row in the status table; returns the run's id. The caller commits."""
    names = sql.SQL(", ").join(map(sql.Identifier, run))
    marks = sql.SQL(", ").join(sql.Placeholder() * len(run))
    values = [Jsonb(value) if isinstance(value, dict) else value for value in run.values()]
    row = connection.execute(
        sql.SQL("insert into penstock.sync_runs ({}) values ({}) returning id").format(names, marks), values
    ).fetchone()
    assert row is not None
    if declaration.status_table:
        write_status(connection, declaration, run)
    return int(row[0])


def write_status(connection: Connection, declaration: Declaration, run: dict[str, Any]) -> None:
    """Add a row to the spec's status table: times in UTC, records_synced the rows written or deleted."""
    synced = sum(run.get(name, 0) for name in ("inserted", "updated", "deleted"))
    table = sql.Identifier(declaration.schema, declaration.status_table)
    connection.execute(
        sql.SQL(
            "insert into {} (sync_type, last_sync_timestamp, last_sync_date, records_synced, status, error_message)"
            " values (%s, clock_timestamp() at time zone 'UTC', (clock_timestamp() at time zone 'UTC')::date, %s, %s, %s)"
        ).format(table),
        [declaration.table, min(synced, 2**31 - 1), run["status"], run.get("error")],
    )
