"""Put a table back to an earlier snapshot, or forward again: one new metadata file, one versioned UpdateTable.

No snapshot and no file is lost by it, so a rollback is undone by another one to the snapshot that was current. Rows are
those of the snapshot; columns stay as they are now, for Iceberg's schema belongs to the table: a column that is younger
is empty. Refused by name: a snapshot that the table no longer knows, one whose files are gone, and a table that somebody
else has changed since it was looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from penstock.connections import Connections
from penstock.errors import LakeError
from penstock.lake.files import files_of
from penstock.lake.tables import TableName, Version, logged, read_metadata, read_version, stored_files, swap

Checkpoint = Callable[[str], None]


@dataclass(frozen=True)
class Rollback:
    """What is to be done: `version` as it was read, and the snapshot to make current. Times are UTC."""

    version: Version
    snapshot_id: int
    at: datetime

    @property
    def name(self) -> TableName:
        return self.version.name

    @property
    def nothing_to_do(self) -> bool:
        return self.snapshot_id == self.version.snapshot_id

    def describe(self) -> str:
        """Return the difference in rows and snapshots, for a question."""
        there = self.version.snapshot(self.snapshot_id) or {}
        now = self.version.snapshot(self.version.snapshot_id) or {}
        rows = [_rows(item) for item in (now, there)]
        told = f"from snapshot {self.version.snapshot_id} to {self.snapshot_id} of {self.at:%Y-%m-%d %H:%M:%S} UTC"
        return told if None in rows else f"{told} ({rows[0]:,} rows now, {rows[1]:,} then)"


def plan_rollback(connections: Connections, name: TableName, to: str) -> Rollback:
    """Return the rollback to a snapshot (its id) or to what was current at a time (ISO 8601, UTC unless it says otherwise).

    Raises: LakeError for what is neither, for a snapshot that expired or never was, and for a time before the oldest one.
    """
    version = read_version(connections, name)
    text = to.strip()
    number = int(text) if text.isdigit() else _at_time(version, text)
    found = version.snapshot(number)
    if found is None:
        raise LakeError(_unknown(connections, version, number), hint=f"invoke lake.history {name}")
    at = datetime.fromtimestamp(int(found["timestamp-ms"]) / 1000, UTC)
    return Rollback(version, number, at)


def roll_back(
    connections: Connections, planned: Rollback, *, checkpoint: Checkpoint = lambda _: None
) -> Version:
    """Do it; return the table as it then is.

    Raises: LakeConflictError when somebody committed since the plan was made, LakeError when files of the snapshot are gone.
    """
    if planned.nothing_to_do:
        return planned.version
    _require_files(connections, planned)
    checkpoint("checked")
    metadata = with_current(planned.version, planned.snapshot_id)
    done = swap(connections, planned.version, metadata, written=lambda _: checkpoint("written"))
    checkpoint("moved")
    return done


def with_current(version: Version, snapshot_id: int) -> dict[str, Any]:
    """Return the version's metadata with another snapshot as the current one."""
    metadata = logged(version, version.metadata)
    refs = version.metadata.get("refs") or {}
    main = {**refs.get("main", {}), "type": "branch", "snapshot-id": snapshot_id}
    entry = {"timestamp-ms": metadata["last-updated-ms"], "snapshot-id": snapshot_id}
    return metadata | {
        "current-snapshot-id": snapshot_id,
        "refs": {**refs, "main": main},
        "snapshot-log": [*(version.metadata.get("snapshot-log") or []), entry],
    }


def _at_time(version: Version, text: str) -> int:
    """Return the snapshot that was current at a time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise LakeError(
            f"--to '{text}' is neither a snapshot's id nor a time.",
            hint="--to 2026-03-01T06:00 (UTC), or an id of `invoke lake.history`.",
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment > datetime.now(UTC):
        raise LakeError(
            f"--to {text} is in the future.", hint="Times are UTC unless they say otherwise (+02:00)."
        )
    wanted = moment.timestamp() * 1000
    log = version.metadata.get("snapshot-log") or [
        {"timestamp-ms": item["timestamp-ms"], "snapshot-id": item["snapshot-id"]}
        for item in version.snapshots
    ]
    current = [int(entry["snapshot-id"]) for entry in log if int(entry["timestamp-ms"]) <= wanted]
    if current:
        return current[-1]
    first = (
        f"{datetime.fromtimestamp(int(log[0]['timestamp-ms']) / 1000, UTC):%Y-%m-%d %H:%M:%S}" if log else ""
    )
    raise LakeError(
        f"{version.name} is not known as it was at {moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC: "
        + (f"what is remembered of it begins at {first}." if first else "it was never written to."),
        hint=f"invoke lake.history {version.name}",
    )


def _unknown(connections: Connections, version: Version, number: int) -> str:
    """Return why a snapshot cannot be gone back to: it expired, if an older metadata file still knows it."""
    for entry in reversed(version.metadata.get("metadata-log") or []):
        try:
            former = read_metadata(connections, str(entry["metadata-file"]))
        except LakeError:
            continue
        if any(item["snapshot-id"] == number for item in former.get("snapshots") or ()):
            return f"Snapshot {number} of {version.name} has expired: a VACUUM has forgotten it, and its files with it."
    return (
        f"Snapshot {number} is not in the history of {version.name}: it has expired, or was never one of it."
    )


def _require_files(connections: Connections, planned: Rollback) -> None:
    """Raise LakeError when a file that the snapshot needs is gone: after the rollback nobody could read the table."""
    base = planned.version.base
    there = {item.location for item in stored_files(connections, base)}
    try:
        needed = files_of(connections, planned.version, [planned.snapshot_id])
    except FileNotFoundError as error:
        needed, missing = set(), [str(error)]
    else:
        missing = sorted(path for path in needed - there if path.startswith(f"{base}/"))
    if missing:
        raise LakeError(
            f"{len(missing)} of the files of snapshot {planned.snapshot_id} of {planned.name} are gone, {missing[0]} among"
            " them.",
            hint="Choose another snapshot, or bring the objects back: the bucket is versioned.",
        )


def _rows(snapshot: dict[str, Any]) -> int | None:
    summary = snapshot.get("summary") or {}
    if "total-records" not in summary:
        return None
    return int(summary["total-records"]) - int(summary.get("total-position-deletes", 0))
