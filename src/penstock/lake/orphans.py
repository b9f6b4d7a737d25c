"""Files below a table's location that no metadata of it references: left by killed writers and lost commits.

VACUUM removes orphans too, but only with its own age limit and without showing them. Here they are listed with their
bytes, and deleted only after somebody has agreed. Young files are left alone whatever they are: a build writes its files
before the commit that references them. Refuses a location in which another table lies.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from penstock.connections import Connections
from penstock.errors import LakeError
from penstock.lake.files import files_of
from penstock.lake.tables import StoredFile, TableName, Version, delete_files, read_version, stored_files
from penstock.sync.lake import split

# Longer than any statement may run (Athena's DML ends after 30 minutes), with three days for whoever has to look into it.
SAFE_AGE_SECONDS = 3 * 86_400.0
# Below this a running statement's files could be taken for orphans.
LEAST_AGE_SECONDS = 3_600.0
_UNITS = {"m": 60, "h": 3_600, "d": 86_400}
_KEPT_NAMES = frozenset({"version-hint.text"})


@dataclass(frozen=True)
class Orphans:
    """What was found below `location`. `young`: unreferenced files too young to be called orphans."""

    name: TableName
    location: str
    files: tuple[StoredFile, ...]
    young: int
    referenced: int

    @property
    def bytes(self) -> int:
        return sum(item.size for item in self.files)


def find_orphans(
    connections: Connections, name: TableName, *, older_than_seconds: float = SAFE_AGE_SECONDS
) -> Orphans:
    """Return the files that neither a snapshot nor the metadata log of the table references, older than so many seconds.

    Raises: LakeError where another table lies below the location, or a manifest is gone, for then nothing is certain.
    """
    # the listing first: what is written after it is not in it, what is committed after it is in the version read next
    first = read_version(connections, name)
    stored = list(stored_files(connections, first.base))
    version = read_version(connections, name)
    _refuse_shared(connections, version)
    needed = {split(location) for location in referenced(connections, version)}
    loose = [
        item
        for item in stored
        if (item.bucket, item.key) not in needed and item.key.rpartition("/")[2] not in _KEPT_NAMES
    ]
    old = tuple(item for item in loose if item.age_seconds >= older_than_seconds)
    return Orphans(name, version.base, old, len(loose) - len(old), len(needed))


def delete_orphans(connections: Connections, found: Orphans) -> int:
    """Delete them, those that a rollback or a commit has come to reference since aside; return how many."""
    version = read_version(connections, found.name)
    needed = {split(location) for location in referenced(connections, version)}
    doomed = [item for item in found.files if (item.bucket, item.key) not in needed]
    delete_files(connections, doomed)
    return len(doomed)


def referenced(connections: Connections, version: Version) -> set[str]:
    """Return every object that the table's metadata names: its own files, those of all snapshots, statistics."""
    metadata = version.metadata
    found = {version.location}
    found |= {str(entry["metadata-file"]) for entry in metadata.get("metadata-log") or ()}
    for kind in ("statistics", "partition-statistics"):
        found |= {str(item["statistics-path"]) for item in metadata.get(kind) or ()}
    ids = [int(item["snapshot-id"]) for item in version.snapshots]
    try:
        return found | files_of(connections, version, ids)
    except FileNotFoundError as error:
        raise LakeError(
            f"{version.name}: {error} is gone, so what its snapshot references is not known; nothing is called an orphan.",
            hint="VACUUM forgets old snapshots; or bring the object back: the bucket is versioned.",
        ) from error


def parse_age(text: str) -> float:
    """Return "3d", "36h" or "90m" in seconds; raises LakeError for other words and for less than an hour."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([mhd])", text.strip())
    if found is None:
        raise LakeError(f"--older-than '{text}' is no span of time.", hint="--older-than 3d, 36h or 90m.")
    seconds = float(found[1]) * _UNITS[found[2]]
    if seconds < LEAST_AGE_SECONDS:
        raise LakeError(
            f"--older-than {text} is too short: a statement that still runs has files that nothing references yet.",
            hint="An hour at least: --older-than 1h.",
        )
    return seconds


def _refuse_shared(connections: Connections, version: Version) -> None:
    """Raise LakeError when another table of the same database lies in or around this one's location."""
    glue = connections.client("glue")
    mine = version.base + "/"
    for page in glue.get_paginator("get_tables").paginate(DatabaseName=version.name.database):
        for table in page["TableList"]:
            theirs = str((table.get("StorageDescriptor") or {}).get("Location", "")).rstrip("/") + "/"
            if table["Name"] == version.name.table or theirs == "/":
                continue
            if theirs.startswith(mine) or mine.startswith(theirs):
                raise LakeError(
                    f"{version.name.database}.{table['Name']} lies at {theirs}, together with {version.name} at {mine}:"
                    " one table's files would be taken for the other's orphans.",
                    hint="Wait for a repartition to be finished, or move one of the tables.",
                )
