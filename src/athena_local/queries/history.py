"""What became of every query, in SQLite: written at each change of state, so that kill -9 loses none.

A record is the `QueryExecution` of the wire, with what only this server needs below the key `Local`; times are epoch
seconds.
"""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

from athena_local.storage import SqliteFile

Record = dict[str, Any]

KEPT_DAYS = 45  # as Athena keeps its history
PRUNED_EVERY_SECONDS = 3600.0
FINAL_STATES = {"SUCCEEDED", "FAILED", "CANCELLED"}
CRASH_REASON = (
    "GENERIC_INTERNAL_ERROR: the server stopped while this query was {state}; run it again."
    " Of an Iceberg table's change, files may remain until VACUUM."
)

_SCHEMA = """
create table if not exists queries (
    sequence integer primary key autoincrement,
    id text not null unique,
    workgroup text not null,
    token text unique,
    request text not null,
    submitted real not null,
    state text not null,
    record text not null
);
create table if not exists reusable (
    sequence integer primary key references queries (sequence) on delete cascade,
    workgroup text not null,
    reuse_key text not null
);
create index if not exists queries_by_workgroup on queries (workgroup, sequence);
create index if not exists queries_by_age on queries (submitted);
create index if not exists reusable_by_key on reusable (workgroup, reuse_key, sequence);
create index if not exists queries_unfinished on queries (state) where state in ('QUEUED', 'RUNNING');
"""


class TokenReusedError(Exception):
    """The ClientRequestToken belongs to another request."""


class History:
    """Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, _SCHEMA)
        self._pruned_at = 0.0

    def close(self) -> None:
        self._file.close()

    def add(self, record: Record, request: Record, token: str | None, reuse_key: str | None = None) -> str:
        """Store a new query and return its id, or the id of the one that this token already started.

        `request` is what a second request with the token must repeat; `reuse_key` what a later query must repeat to be
        answered with this one's result.
        """
        asked = json.dumps(request, sort_keys=True)
        with self._file.write() as connection:
            self._prune(connection)
            if token:
                known = connection.execute(
                    "select id, request from queries where token = ?", (token,)
                ).fetchone()
                if known and known[1] != asked:
                    raise TokenReusedError
                if known:
                    return str(known[0])
            added = connection.execute(
                "insert into queries (id, workgroup, token, request, submitted, state, record)"
                " values (?, ?, ?, ?, ?, ?, ?)",
                (
                    record["QueryExecutionId"],
                    record["WorkGroup"],
                    token or None,
                    asked,
                    record["Status"]["SubmissionDateTime"],
                    record["Status"]["State"],
                    json.dumps(record),
                ),
            )
            if reuse_key is not None:
                connection.execute(
                    "insert into reusable values (?, ?, ?)", (added.lastrowid, record["WorkGroup"], reuse_key)
                )
        return str(record["QueryExecutionId"])

    def reusable(self, workgroup: str, reuse_key: str, since: float) -> Record | None:
        """Return the newest query of this key that succeeded and ran to its end after `since`."""
        with self._file.read() as connection:
            rows = connection.execute(
                "select record from reusable join queries using (sequence)"
                " where reusable.workgroup = ? and reuse_key = ? and state = 'SUCCEEDED' and submitted >= ?"
                " order by sequence desc limit 1",
                (workgroup, reuse_key, since),
            ).fetchall()
        return json.loads(rows[0][0]) if rows else None

    def _prune(self, connection: sqlite3.Connection) -> None:
        now = time.time()
        if now - self._pruned_at >= PRUNED_EVERY_SECONDS:
            self._pruned_at = now
            connection.execute("delete from queries where submitted < ?", (now - KEPT_DAYS * 86_400,))

    def save(self, record: Record) -> None:
        with self._file.write() as connection:
            connection.execute(
                "update queries set state = ?, record = ? where id = ?",
                (record["Status"]["State"], json.dumps(record), record["QueryExecutionId"]),
            )

    def get(self, query_id: str) -> Record | None:
        with self._file.read() as connection:
            row = connection.execute("select record from queries where id = ?", (query_id,)).fetchone()
        return json.loads(row[0]) if row else None

    def ids(self, workgroup: str, before: int | None, limit: int) -> list[tuple[int, str]]:
        """Return (sequence, id), newest first, of those older than `before`."""
        with self._file.read() as connection:
            rows: list[tuple[int, str]] = connection.execute(
                "select sequence, id from queries where workgroup = ? and sequence < ?"
                " order by sequence desc limit ?",
                (workgroup, before if before is not None else 2**62, limit),
            ).fetchall()
        return rows

    def recover(self) -> int:
        """End what a crash left unfinished, forget what is too old, and return how many were ended."""
        with self._file.write() as connection:
            self._prune(connection)
            rows = connection.execute(
                "select record from queries where state in ('QUEUED', 'RUNNING')"
            ).fetchall()
            for (text,) in rows:
                record = json.loads(text)
                reason = CRASH_REASON.format(state=record["Status"]["State"])
                record["Status"].update(
                    State="FAILED",
                    StateChangeReason=reason,
                    CompletionDateTime=time.time(),
                    AthenaError={
                        "ErrorCategory": 1,
                        "ErrorType": 100,
                        "Retryable": True,
                        "ErrorMessage": reason,
                    },
                )
                connection.execute(
                    "update queries set state = 'FAILED', record = ? where id = ?",
                    (json.dumps(record), record["QueryExecutionId"]),
                )
        return len(rows)
