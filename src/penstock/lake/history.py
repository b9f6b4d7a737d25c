"""A table's snapshots: what each did, what the table was with it, which is current, and which one Postgres holds.

Everything is told by the metadata file: no manifest is read and Athena is not asked. Figures that an engine did not write
into a snapshot's summary are None.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from penstock.connections import Connections
from penstock.errors import SyncError
from penstock.lake.tables import Version

# How long Postgres is waited for where it is only asked which snapshot it holds.
CONNECT_SECONDS = 10


@dataclass(frozen=True)
class SnapshotLine:
    """One snapshot.

    rows, files, bytes: the whole table's with it. added, deleted: rows of this change.
    held_by: the Postgres tables that hold it, with their schemas.
    """

    id: int
    at: datetime
    operation: str
    added: int | None
    deleted: int | None
    rows: int | None
    files: int | None
    bytes: int | None
    current: bool
    held_by: tuple[str, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON has it, its time as ISO 8601. The id is text: it has more digits than JavaScript keeps."""
        data = {
            key: getattr(self, key) for key in ("operation", "added", "deleted", "rows", "files", "bytes")
        }
        own = {"id": str(self.id), "at": self.at.isoformat(), "current": self.current}
        return own | data | {"held_by": list(self.held_by)}


@dataclass(frozen=True)
class Held:
    """What a Postgres table holds of a lake table."""

    target: str
    table_uuid: str
    snapshot_id: int | None


def snapshots(version: Version, held: list[Held]) -> list[SnapshotLine]:
    """Return the table's snapshots, newest first."""
    lines = []
    for item in version.snapshots:
        summary = item.get("summary") or {}
        number = int(item["snapshot-id"])
        holders = (one.target for one in held if (one.table_uuid, one.snapshot_id) == (version.uuid, number))
        lines.append(
            SnapshotLine(
                id=number,
                at=datetime.fromtimestamp(int(item["timestamp-ms"]) / 1000, UTC),
                operation=str(summary.get("operation", "")),
                added=_sum(summary, "added-records"),
                deleted=_sum(summary, "deleted-records", "added-position-deletes"),
                rows=_difference(summary, "total-records", "total-position-deletes"),
                files=_sum(summary, "total-data-files", "total-delete-files"),
                bytes=_sum(summary, "total-files-size"),
                current=number == version.snapshot_id,
                held_by=tuple(holders),
            )
        )
    return lines[::-1]


def held_in_postgres(connections: Connections, lake: str) -> list[Held] | None:
    """Return which snapshots Postgres holds of a lake table (`database.table`); None where it cannot be asked."""
    if not connections.has_postgres:
        return None
    import psycopg

    from penstock.sync.postgres import Limits, connect

    limits = Limits(connect_seconds=CONNECT_SECONDS)
    try:
        with connect(
            connections.postgres_url(), limits, reread=connections.reread_postgres_url
        ) as connection:
            there = connection.execute("select to_regclass('penstock.sync_state') is not null").fetchone()
            if there != (True,):
                return []
            rows = connection.execute(
                "select target, table_uuid::text, snapshot_id from penstock.sync_state where lake = %s order by target",
                [lake],
            ).fetchall()
    except (SyncError, psycopg.Error):
        return None
    return [Held(*row) for row in rows]


def _sum(summary: dict[str, str], *keys: str) -> int | None:
    found = [int(summary[key]) for key in keys if key in summary]
    return sum(found) if found else None


def _difference(summary: dict[str, str], whole: str, less: str) -> int | None:
    if whole not in summary:
        return None
    return int(summary[whole]) - int(summary.get(less, 0))
