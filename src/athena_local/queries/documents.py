"""Workgroups, tags, data catalogs, named and prepared queries: what Athena remembers besides queries, in SQLite.

All are small keyed documents in Athena's wire shape.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from athena_local.storage import SqliteFile

Record = dict[str, Any]

WORKGROUP, TAGS, NAMED_QUERY, PREPARED, DATA_CATALOG = (
    "workgroup",
    "tags",
    "named_query",
    "prepared",
    "data_catalog",
)

_SCHEMA = """
create table if not exists documents (
    kind text not null,
    key text not null,
    body text not null,
    primary key (kind, key)
) without rowid;
"""


class Documents:
    """Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, _SCHEMA)

    def close(self) -> None:
        self._file.close()

    def get(self, kind: str, key: str) -> Record | None:
        with self._file.read() as connection:
            row = connection.execute(
                "select body from documents where kind = ? and key = ?", (kind, key)
            ).fetchone()
        return json.loads(row[0]) if row else None

    def all(self, kind: str, prefix: str = "") -> list[Record]:
        """Return the documents whose key begins with `prefix`, by key."""
        with self._file.read() as connection:
            rows = connection.execute(
                "select body from documents where kind = ? and substr(key, 1, ?) = ? order by key",
                (kind, len(prefix), prefix),
            ).fetchall()
        return [json.loads(row[0]) for row in rows]

    def create(self, kind: str, key: str, body: Record) -> bool:
        """Store a new document; False when there is one."""
        with self._file.write() as connection:
            done = connection.execute(
                "insert into documents values (?, ?, ?) on conflict do nothing", (kind, key, json.dumps(body))
            )
        return bool(done.rowcount)

    def put(self, kind: str, key: str, body: Record) -> None:
        with self._file.write() as connection:
            connection.execute(
                "insert into documents values (?, ?, ?)"
                " on conflict (kind, key) do update set body = excluded.body",
                (kind, key, json.dumps(body)),
            )

    def delete(self, kind: str, key: str) -> bool:
        """Delete a document; False when there is none."""
        with self._file.write() as connection:
            done = connection.execute("delete from documents where kind = ? and key = ?", (kind, key))
        return bool(done.rowcount)
