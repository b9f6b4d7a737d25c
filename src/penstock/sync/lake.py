"""An Iceberg table of the lake as the sync sees it: one Glue call for where it stands, then its metadata straight from S3.

Nothing here asks Athena. Refused by name: a table that is not Iceberg, and what `manifests` refuses.
"""

from __future__ import annotations

import copy
import gzip
import json
import posixpath
import threading
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlparse

from penstock.connections import Connections
from penstock.errors import PlanError
from penstock.sync.manifests import LakeFile, ManifestFile, read_manifest, read_manifest_list
from penstock.sync.partitions import Bound, Bounds, Region

# Manifests read at a time: 1 to 32. They are small, so the wait is S3's: fewer wait longer, more crowd the connection pool.
MANIFEST_THREADS = 8


class LakeObjects:
    """The lake's objects by s3:// location. `requests` lists every location read, `bytes_read` their sizes."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._lock = threading.Lock()
        self._client: Any = None
        self.requests: list[str] = []
        self.bytes_read = 0

    @property
    def client(self) -> Any:
        """The S3 client, made when it is first needed and shared by all threads."""
        with self._lock:
            self._client = self._client or self._connections.client("s3")
            return self._client

    def read(self, location: str) -> bytes:
        """Return a whole object, checked; raises FileNotFoundError when it is not there."""
        from penstock.sync import objects

        body = objects.read(self.client, *split(location))
        self._count(location, len(body))
        return body

    def open(self, file: LakeFile) -> Any:
        """Return a data or delete file, read whole and checked, as a seekable Arrow file."""
        from penstock.sync import objects

        opened = objects.open_file(self.client, *split(file.location), file.size)
        self._count(file.location, file.size)
        return opened

    def _count(self, location: str, size: int) -> None:
        with self._lock:
            self.requests.append(location)
            self.bytes_read += size


def split(location: str) -> tuple[str, str]:
    """Return bucket and key of an s3:// location."""
    parsed = urlparse(location)
    if parsed.scheme not in ("s3", "s3a", "s3n") or not parsed.netloc:
        raise PlanError(f"'{location}' is no S3 location.")
    return parsed.netloc, location.split("://", 1)[1].partition("/")[2]


def locate(glue: Any, database: str, table: str) -> str:
    """Return the current metadata location: one GetTable, all that a sync with nothing to do asks of the lake."""
    name = f"{database}.{table}"
    try:
        parameters = glue.get_table(DatabaseName=database, Name=table)["Table"].get("Parameters") or {}
    except glue.exceptions.EntityNotFoundException:
        raise PlanError(f"{name} is not in the lake.", hint="Run `invoke build` first.") from None
    if parameters.get("table_type", "").upper() != "ICEBERG" or "metadata_location" not in parameters:
        raise PlanError(f"{name} is not an Iceberg table; only Iceberg tables are synced.")
    return str(parameters["metadata_location"])


class LakeTable:
    """One version of a table's metadata."""

    def __init__(self, objects: LakeObjects, metadata_location: str) -> None:
        self.objects = objects
        self.metadata_location = metadata_location
        raw = objects.read(metadata_location)
        if posixpath.basename(metadata_location).startswith("gz.") or ".gz." in posixpath.basename(
            metadata_location
        ):
            raw = gzip.decompress(raw)
        self._metadata: dict[str, Any] = json.loads(raw)
        self._entries: dict[str, list[LakeFile]] = {}
        if self._metadata["format-version"] not in (1, 2):
            raise PlanError(
                f"Iceberg format version {self._metadata['format-version']} is not read; Athena writes version 2."
            )

    @property
    def uuid(self) -> str:
        return str(self._metadata["table-uuid"])

    @property
    def snapshot_id(self) -> int | None:
        """The current snapshot; None for a table never written to."""
        current = self._metadata.get("current-snapshot-id")
        return None if current is None or current == -1 else int(current)

    def fields(self, snapshot_id: int | None = None) -> list[dict[str, Any]]:
        """Return the columns (JSON fields) of the current schema, or of the one a snapshot was written with."""
        wanted = self._metadata.get("current-schema-id", 0)
        if snapshot_id is not None:
            wanted = (self._snapshot(snapshot_id) or {}).get("schema-id", wanted)
        schemas = self._metadata.get("schemas") or [self._metadata["schema"]]
        return next(schema["fields"] for schema in schemas if schema.get("schema-id", 0) == wanted)

    @property
    def spec(self) -> dict[str, Any]:
        """The default partition spec."""
        wanted = self._metadata.get("default-spec-id", 0)
        return next(spec for spec in self._metadata["partition-specs"] if spec["spec-id"] == wanted)

    @property
    def properties(self) -> dict[str, str]:
        """Iceberg's table properties."""
        return dict(self._metadata.get("properties") or {})

    @property
    def location(self) -> str:
        """The folder that the table's own writers put files into."""
        return str(self._metadata["location"])

    @property
    def snapshots(self) -> list[int]:
        """The ids of all snapshots that have not expired."""
        return [int(snapshot["snapshot-id"]) for snapshot in self._metadata.get("snapshots") or []]

    def at(self, snapshot_id: int | None) -> LakeTable:
        """Return the table as it was at a snapshot that it knows: that one current, with the schema it was written with."""
        other = copy.copy(self)
        fields = {"current-snapshot-id": snapshot_id}
        schema = (self._snapshot(snapshot_id) or {}).get("schema-id") if snapshot_id is not None else None
        if schema is not None:
            fields["current-schema-id"] = schema
        other._metadata = self._metadata | fields
        return other

    def former(self, metadata_location: str) -> LakeTable | None:
        """Return an earlier version of this table's metadata; None where the file is gone or is another table's."""
        try:
            former = LakeTable(self.objects, metadata_location)
        except FileNotFoundError:
            return None
        former._entries = self._entries
        return former if former.uuid == self.uuid else None

    def log(self) -> list[tuple[int, int]]:
        """Return which snapshot was current since when (ms of the epoch, id), oldest first, as far as remembered."""
        entries = self._metadata.get("snapshot-log") or sorted(
            self._metadata.get("snapshots", []), key=lambda snapshot: int(snapshot["timestamp-ms"])
        )
        return [(int(entry["timestamp-ms"]), int(entry["snapshot-id"])) for entry in entries]

    def knows(self, snapshot_id: int | None) -> bool:
        """Whether the snapshot is in the table's history (not expired). A table never written to has none to lose."""
        return snapshot_id is None or self._snapshot(snapshot_id) is not None

    def _snapshot(self, snapshot_id: int) -> dict[str, Any] | None:
        for snapshot in self._metadata.get("snapshots", []):
            if snapshot["snapshot-id"] == snapshot_id:
                return dict(snapshot)
        return None

    def manifests(self, snapshot_id: int | None) -> dict[str, ManifestFile]:
        """Return the snapshot's manifests by location; raises FileNotFoundError when they were cleaned away."""
        snapshot = None if snapshot_id is None else self._snapshot(snapshot_id)
        if snapshot is None:
            return {}
        location = snapshot["manifest-list"]
        found = read_manifest_list(self.objects.read(location), location)
        return {manifest.manifest_path: manifest for manifest in found}

    def files(self, manifests: Iterable[ManifestFile]) -> Iterator[LakeFile]:
        """Yield the live files of these manifests, reading each manifest once."""
        wanted = list(manifests)
        unread = [manifest for manifest in wanted if manifest.manifest_path not in self._entries]
        with ThreadPoolExecutor(MANIFEST_THREADS) as pool:
            for manifest, found in zip(unread, pool.map(self._read, unread), strict=True):
                self._entries[manifest.manifest_path] = found
        for manifest in wanted:
            yield from self._entries[manifest.manifest_path]

    def _read(self, manifest: ManifestFile) -> list[LakeFile]:
        return read_manifest(self.objects.read(manifest.manifest_path), manifest)


def may_hold(manifest: ManifestFile, bounds: Bounds, regions: Collection[Region]) -> bool:
    """Whether the manifest can list a file of one of these regions, by the bounds that the manifest list gives of it."""
    summaries = manifest.partitions
    if not summaries:
        return bool(regions)
    return any(
        all(
            _within(summaries[bound.position], bound, value)
            for bound, value in zip(bounds.fields, region, strict=True)
        )
        for region in regions
    )


def _within(summary: Any, bound: Bound, value: Any) -> bool:
    if value is None:
        return bool(summary.contains_null)
    lower, upper = (_decoded(bound, part) for part in (summary.lower_bound, summary.upper_bound))
    return lower is None or upper is None or bool(lower <= value <= upper)


def _decoded(bound: Bound, value: bytes | None) -> Any:
    """Return a bound as a region has it; Iceberg writes numbers and days little-endian, text in UTF-8."""
    if value is None:
        return None
    if bound.transform == "identity" and bound.column.lake_type == "string":
        return value.decode()
    return int.from_bytes(value, "little", signed=len(value) > 1)
