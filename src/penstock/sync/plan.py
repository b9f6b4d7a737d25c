"""What a sync has to do: the difference between the snapshot committed in Postgres and the lake's current one, by files.

"Nothing changed" needs one Glue GetTable and the state row, no S3 and no heavy import (`unchanged`). Otherwise `plan`
compares the two snapshots' manifests: the data and delete files added and removed name the regions touched, and every
live file of those is read. Where there is no committed snapshot to compare with (first load, table made again,
snapshot expired, --full) everything is read.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Literal

from penstock.sync.columns import Column, incomparable
from penstock.sync.declaration import Declaration
from penstock.sync.lake import LakeFile, LakeTable
from penstock.sync.partitions import Bounds, Region, bounds_of
from penstock.sync.state import SyncState

Mode = Literal["nothing", "changes", "everything", "load"]


@dataclass(frozen=True)
class FileRead:
    """One data file to read, with the delete files that may name rows of it."""

    file: LakeFile
    region: Region
    deletes: tuple[LakeFile, ...] = ()


@dataclass(frozen=True)
class Plan:
    """`scope` is the regions whose rows in Postgres are to equal the files read; None: all rows of the table."""

    mode: Mode
    reason: str
    snapshot_id: int | None = None
    bounds: Bounds = field(default_factory=Bounds)
    scope: frozenset[Region] | None = frozenset()
    reads: tuple[FileRead, ...] = ()

    @property
    def partitions(self) -> list[str]:
        """Names of the partitions touched, in order."""
        regions = {read.region for read in self.reads} if self.scope is None else self.scope
        return sorted(self.bounds.label(region) for region in regions)

    @property
    def rows(self) -> int:
        """Rows in the files to read, before position deletes: what a progress bar counts to."""
        return sum(read.file.rows for read in self.reads)

    @property
    def files(self) -> int:
        deletes = {delete.location for read in self.reads for delete in read.deletes}
        return len(self.reads) + len(deletes)

    def predicate(self, alias: str) -> str:
        """The SQL condition of the rows in scope."""
        return "true" if self.scope is None else self.bounds.predicate(self.scope, alias)


def unchanged(state: SyncState | None, declaration: Declaration, metadata_location: str) -> bool:
    """Whether Postgres already holds this version of the lake table, synced as it is declared now."""
    return (
        state is not None
        and state.metadata_location == metadata_location
        and state.declaration == declaration.fingerprint
        and state.lake == declaration.lake
    )


def plan(
    lake: LakeTable, state: SyncState | None, columns: list[Column], *, full: bool, exists: bool
) -> Plan:
    """Return the files to read and the part of the table they must equal."""
    bounds, live, deletes = _live(lake, columns)
    snapshot = lake.snapshot_id
    reason = _everything(lake, state, columns, full=full, exists=exists)
    if not reason and state is not None:
        if state.snapshot_id == snapshot:
            return Plan("nothing", "the snapshot is the committed one", snapshot, bounds)
        try:
            changed = _changed(lake, state.snapshot_id)
        except FileNotFoundError:
            reason = f"the files of snapshot {state.snapshot_id} are gone"
        else:
            if not changed:
                return Plan("nothing", "no file was added or removed", snapshot, bounds)
            scope = frozenset(bounds.region(file.partition) for file in changed)
            reads = tuple(_reads(bounds, live, deletes, scope))
            return Plan("changes", f"{len(changed)} files added or removed", snapshot, bounds, scope, reads)
    mode: Mode = "everything" if exists else "load"
    return Plan(mode, reason, snapshot, bounds, None, tuple(_reads(bounds, live, deletes, None)))


def _everything(
    lake: LakeTable, state: SyncState | None, columns: list[Column], *, full: bool, exists: bool
) -> str:
    """Return why everything must be read; empty when the committed snapshot can be compared with."""
    if not exists:
        return "the table is not in Postgres"
    if state is None:
        return "the table was never synced"
    if full:
        return "a full sync was asked for"
    if state.table_uuid != lake.uuid:
        return "the lake table was dropped and made again"
    if not lake.knows(state.snapshot_id):
        return f"snapshot {state.snapshot_id} has expired"
    fields = {item["id"] for item in lake.fields(state.snapshot_id)}
    return incomparable(columns, state.columns, fields.__contains__)


def _live(lake: LakeTable, columns: list[Column]) -> tuple[Bounds, list[LakeFile], list[LakeFile]]:
    """Return how regions are bounded, and the current snapshot's data and delete files."""
    files = list(lake.files(lake.manifests(lake.snapshot_id).values()))
    bounds = bounds_of(lake.spec, columns)
    if any(file.spec_id != lake.spec["spec-id"] for file in files):
        bounds = Bounds()
    live = [file for file in files if not file.deletes]
    return bounds, live, [file for file in files if file.deletes]


def _changed(lake: LakeTable, committed: int | None) -> list[LakeFile]:
    """Return the files that are live in only one of the two snapshots; manifests that both have are not compared."""
    old, new = lake.manifests(committed), lake.manifests(lake.snapshot_id)
    removed = {file.location: file for file in lake.files(old[path] for path in old.keys() - new.keys())}
    added = {file.location: file for file in lake.files(new[path] for path in new.keys() - old.keys())}
    if any(file.spec_id != lake.spec["spec-id"] for file in removed.values()):
        raise FileNotFoundError("files of an older partition spec")
    return [file for path, file in (removed | added).items() if (path in removed) != (path in added)]


def _reads(
    bounds: Bounds, live: list[LakeFile], deletes: list[LakeFile], scope: frozenset[Region] | None
) -> list[FileRead]:
    """Return the live files of the regions in scope with the deletes that apply: same partition, not older."""
    by_partition: dict[tuple[object, ...], list[LakeFile]] = defaultdict(list)
    for file in deletes:
        by_partition[(file.spec_id, file.partition)].append(file)
    found = []
    for file in live:
        region = bounds.region(file.partition)
        if scope is None or region in scope:
            theirs = by_partition.get((file.spec_id, file.partition), [])
            found.append(
                FileRead(file, region, tuple(item for item in theirs if item.sequence >= file.sequence))
            )
    return found
