"""What a sync has to do: the difference between the snapshot committed in Postgres and the lake's current one, by files.

"Nothing changed" needs one Glue GetTable and the state row, no S3 and no heavy import (`unchanged`). Otherwise `plan`
compares the manifests that only one of the two snapshots has: a data file that only one of them lists, or that other
deletes apply to, is changed, and names its region as touched; the changed files are all that a delta needs. Where the
committed snapshot cannot be read any more, a region is touched when the digest of its files is not the committed one,
and its live files are compared whole. Where nothing is known of the rows in Postgres (state lost, --full, a column
synced for the first time), every region is compared with the rows that are really there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from penstock.sync.columns import Column, incomparable
from penstock.sync.declaration import Declaration
from penstock.sync.fingerprints import Fingerprint, Tally, columns_digest, comparable, files_digest
from penstock.sync.lake import LakeTable, may_hold
from penstock.sync.manifests import LakeFile
from penstock.sync.partitions import Bounds, Region, bounds_of
from penstock.sync.state import SyncState

if TYPE_CHECKING:
    from penstock.sync.manifests import ManifestFile

Mode = Literal["nothing", "changes", "everything", "load"]
Remembered = Callable[[Bounds], dict[Region, Fingerprint] | None]

# Rows of a region's changed files, on one side, up to which the difference is computed on the client: 100,000 to 20 million.
# A row costs 21 bytes of memory there, so this is 84 MB; beyond it the region is read whole and merged by Postgres.
DELTA_ROWS = 4_000_000


@dataclass(frozen=True)
class FileRead:
    """One data file to read, with the delete files that may name rows of it.

    `dead_in`: read only the rows that these other deletes name and `deletes` do not; None reads all that are alive.
    """

    file: LakeFile
    region: Region
    deletes: tuple[LakeFile, ...] = ()
    dead_in: tuple[LakeFile, ...] | None = None


@dataclass(frozen=True)
class Plan:
    """What to read and what it must equal.

    scope: the regions whose rows in Postgres are to equal the live files of them; None: all rows of the table.
    reads: all live files of these regions. before, after: the changed files of the committed and of this snapshot.
    slow: why the difference cannot be computed from the changed files alone; "" when it can.
    committed: what the regions in scope held at the last commit, as far as that is known.
    digests: of the live files of each region in scope that has some. why: what touched each region, for a person.
    """

    mode: Mode
    reason: str
    snapshot_id: int | None = None
    bounds: Bounds = field(default_factory=Bounds)
    scope: frozenset[Region] | None = frozenset()
    reads: tuple[FileRead, ...] = ()
    before: tuple[FileRead, ...] = ()
    after: tuple[FileRead, ...] = ()
    slow: str = ""
    committed: Mapping[Region, Tally] = field(default_factory=dict)
    digests: Mapping[Region, str] = field(default_factory=dict)
    why: Mapping[Region, str] = field(default_factory=dict)

    @property
    def delta(self) -> bool:
        """Whether only changed files need be read."""
        return self.mode == "changes" and not self.slow

    @property
    def needed(self) -> tuple[FileRead, ...]:
        """The files that are read as long as nothing unforeseen is found."""
        return self.before + self.after if self.delta else self.reads

    @property
    def partitions(self) -> list[str]:
        """Names of the partitions touched, in order."""
        regions = {read.region for read in self.reads} if self.scope is None else self.scope
        return sorted(self.bounds.label(region) for region in regions)

    @property
    def rows(self) -> int:
        """Rows in the files needed, before position deletes: what a progress bar counts to."""
        return sum(read.file.rows for read in self.needed)

    @property
    def files(self) -> int:
        return len(sizes(self.needed))

    @property
    def bytes(self) -> int:
        """Bytes of the files needed; of those of which only some rows are wanted, less may be read."""
        return sum(sizes(self.needed).values())

    def predicate(self, alias: str) -> str:
        """The SQL condition of the rows in scope."""
        return "true" if self.scope is None else self.bounds.predicate(self.scope, alias)

    def disjoint(self, key: Collection[str]) -> bool:
        """Whether a row's key tells its region, so that no row can move from one region to another."""
        fields = self.bounds.fields
        return bool(fields) and all(bound.column.name in key for bound in fields)

    def restricted(self, regions: Iterable[Region]) -> Plan:
        """Return the plan of just these regions: a shard's, or the ones that turned out to differ."""
        kept = frozenset(regions)

        def of(reads: tuple[FileRead, ...]) -> tuple[FileRead, ...]:
            return tuple(read for read in reads if read.region in kept)

        return replace(
            self,
            scope=kept,
            reads=of(self.reads),
            before=of(self.before),
            after=of(self.after),
            committed={region: tally for region, tally in self.committed.items() if region in kept},
            digests={region: digest for region, digest in self.digests.items() if region in kept},
            why={region: why for region, why in self.why.items() if region in kept},
        )


def unchanged(state: SyncState | None, declaration: Declaration, metadata_location: str) -> bool:
    """Whether Postgres already holds this version of the lake table, synced as it is declared now."""
    return (
        state is not None
        and state.metadata_location == metadata_location
        and state.declaration == declaration.fingerprint
        and state.lake == declaration.lake
    )


def plan(
    lake: LakeTable,
    state: SyncState | None,
    columns: list[Column],
    remembered: Remembered,
    *,
    full: bool,
    exists: bool,
) -> Plan:
    """Return the files to read and the part of the table they must equal.

    `remembered` returns the fingerprints committed with the state, for these bounds; it is asked only where they matter.
    """
    whole = _everything(lake, state, columns, full=full, exists=exists)
    same = state is not None and state.table_uuid == lake.uuid and state.snapshot_id == lake.snapshot_id
    if same and not whole:
        return Plan("nothing", "the snapshot is the committed one", lake.snapshot_id)
    now = lake.manifests(lake.snapshot_id)
    bounds = _bounds(lake, now.values(), columns)
    if whole or state is None:
        live = _reads(bounds, lake.files(now.values()))
        return _whole("everything" if exists else "load", whole, lake, bounds, live)
    fingerprints = remembered(bounds)
    then, gone = _committed(lake, state, bounds)
    if then is not None:
        try:
            before, live = _around_changes(lake, bounds, then, now)
        except FileNotFoundError:
            gone = f"the files of snapshot {state.snapshot_id} are gone"
        else:
            return _by_files(lake, bounds, live, before, fingerprints or {}, columns)
    live = _reads(bounds, lake.files(now.values()))
    if fingerprints is None:
        return _whole("everything", gone, lake, bounds, live)
    return _by_digest(gone, lake, bounds, live, fingerprints, columns)


def fingerprints_of(
    done: Plan, held: Mapping[Region, Tally], columns: list[Column]
) -> dict[Region, Fingerprint]:
    """Return the fingerprints of an applied plan's regions: what each holds now, of which files."""
    now, nothing = columns_digest(columns), Tally()
    return {
        region: Fingerprint(held.get(region, nothing).rows, held.get(region, nothing).checksum, digest, now)
        for region, digest in done.digests.items()
    }


def committed_version(lake: LakeTable, state: SyncState | None) -> LakeTable | None:
    """Return the lake table as it was synced; None when that is not known or cannot be read any more."""
    if state is None or state.table_uuid != lake.uuid:
        return None
    version = lake if state.metadata_location == lake.metadata_location else None
    version = version or lake.former(state.metadata_location)
    if version is None and lake.knows(state.snapshot_id):
        version = lake.at(state.snapshot_id)
    if version is None:
        return None
    try:
        version.manifests(version.snapshot_id)
    except FileNotFoundError:
        return None
    return version


def live_reads(lake: LakeTable, columns: list[Column]) -> tuple[Bounds, list[FileRead]]:
    """Return how regions are bounded and the current snapshot's data files, each with the deletes that apply to it."""
    now = lake.manifests(lake.snapshot_id)
    bounds = _bounds(lake, now.values(), columns)
    return bounds, _reads(bounds, lake.files(now.values()))


def everything(reason: str, lake: LakeTable, columns: list[Column]) -> Plan:
    """Return the plan that compares every region with what is really in Postgres."""
    bounds, live = live_reads(lake, columns)
    return _whole("everything", reason, lake, bounds, live)


def _everything(
    lake: LakeTable, state: SyncState | None, columns: list[Column], *, full: bool, exists: bool
) -> str:
    """Return why everything must be compared; empty when what was committed can be relied on."""
    if not exists:
        return "the table is not in Postgres"
    if state is None:
        return "the table was never synced"
    if full:
        return "a full sync was asked for"
    fields = {item["id"] for item in lake.fields(state.snapshot_id)}
    return incomparable(columns, state.columns, fields.__contains__)


def _whole(mode: Mode, reason: str, lake: LakeTable, bounds: Bounds, live: list[FileRead]) -> Plan:
    digests = {region: files_digest(reads) for region, reads in _by_region(live).items()}
    why = dict.fromkeys(digests, reason)
    return Plan(
        mode, reason, lake.snapshot_id, bounds, None, tuple(live), slow=reason, digests=digests, why=why
    )


def _by_digest(
    reason: str,
    lake: LakeTable,
    bounds: Bounds,
    live: list[FileRead],
    fingerprints: Mapping[Region, Fingerprint],
    columns: list[Column],
) -> Plan:
    """Plan without the committed snapshot: a region is touched when its files are not the committed ones."""
    digests = {region: files_digest(reads) for region, reads in _by_region(live).items()}
    why = dict.fromkeys(fingerprints.keys() - digests.keys(), "no live file is left")
    for region, digest in digests.items():
        known = fingerprints.get(region)
        if known is None:
            why[region] = "new partition"
        elif known.files != digest:
            why[region] = "its files are not the committed ones"
    if not why:
        return Plan("nothing", f"{reason}, and every partition has the committed files", lake.snapshot_id)
    reads = tuple(read for read in live if read.region in why)
    committed = _tallies(why, fingerprints, columns, fresh=why.keys() - fingerprints.keys())
    touched = {region: digest for region, digest in digests.items() if region in why}
    shown = f"{reason}; {len(why)} of {len(digests.keys() | why.keys())} partitions have other files"
    return Plan(
        "changes",
        shown,
        lake.snapshot_id,
        bounds,
        frozenset(why),
        reads,
        slow=reason,
        committed=committed,
        digests=touched,
        why=why,
    )


def _by_files(
    lake: LakeTable,
    bounds: Bounds,
    live: list[FileRead],
    then: list[FileRead],
    fingerprints: Mapping[Region, Fingerprint],
    columns: list[Column],
) -> Plan:
    """Plan with both snapshots' files known: the changed files and their regions."""
    before, after, why = _difference(then, live)
    if not why:
        return Plan("nothing", "no file was added or removed", lake.snapshot_id)
    reason, now = _reason(before, after), _by_region(live)
    before = [read for read in before if read.region in now]  # a region without live files is emptied unread
    touched = {region: files_digest(now[region]) for region in why if region in now}
    held = {read.region for read in then}
    committed = _tallies(why, fingerprints, columns, fresh=why.keys() - held)
    unknown = [bounds.label(region) for region in why if region not in committed]
    largest = max(_largest(before), _largest(after))
    slow = ""
    if unknown:
        slow = f"{sorted(unknown)[0]} has no fingerprint of these columns yet"
    elif largest > DELTA_ROWS:
        slow = f"a partition has {largest:,} rows in changed files, more than are compared in memory"
    return Plan(
        "changes",
        reason,
        lake.snapshot_id,
        bounds,
        frozenset(why),
        tuple(read for region in why for read in now.get(region, ())),
        tuple(before),
        tuple(after),
        slow=slow,
        committed=committed,
        digests=touched,
        why=why,
    )


def _difference(
    then: list[FileRead], live: list[FileRead]
) -> tuple[list[FileRead], list[FileRead], dict[Region, str]]:
    """Return the changed files of the committed and of this snapshot, and what touched each region."""
    old = {read.file.location: read for read in then}
    new = {read.file.location: read for read in live}
    counts: dict[Region, list[int]] = defaultdict(lambda: [0, 0, 0])
    before, after = [], []
    for location, read in old.items():
        other = new.get(location)
        if other is None:
            before.append(read)
            counts[read.region][1] += 1
            continue
        had, has = set(read.deletes), set(other.deletes)
        if had == has:
            continue
        counts[read.region][2] += 1
        if has - had:
            before.append(replace(read, dead_in=other.deletes))
        if had - has:
            after.append(replace(other, dead_in=read.deletes))
    for location, read in new.items():
        if location not in old:
            after.append(read)
            counts[read.region][0] += 1
    words = ("added", "removed", "with other deletes")
    why = {
        region: ", ".join(
            f"{_count(number, 'file')} {word}" for number, word in zip(numbers, words, strict=True) if number
        )
        for region, numbers in counts.items()
    }
    return before, after, why


def _bounds(lake: LakeTable, manifests: Iterable[ManifestFile], columns: list[Column]) -> Bounds:
    """Return the bounds of the current partition spec; none where live files are of another one."""
    if any(not _of_spec(lake, manifest) for manifest in manifests):
        return Bounds()
    return bounds_of(lake.spec, columns)


def _of_spec(lake: LakeTable, manifest: ManifestFile) -> bool:
    """Whether the manifest's live files, if it has some, are of the current partition spec."""
    emptied = manifest.added_files_count == 0 and manifest.existing_files_count == 0
    return emptied or manifest.partition_spec_id == lake.spec["spec-id"]


def _committed(
    lake: LakeTable, state: SyncState, bounds: Bounds
) -> tuple[dict[str, ManifestFile] | None, str]:
    """Return the committed snapshot's manifests, or None and why its files cannot be compared with."""
    if state.table_uuid != lake.uuid:
        return None, "the lake table was dropped and made again"
    former = lake if lake.knows(state.snapshot_id) else lake.former(state.metadata_location)
    if former is None or not former.knows(state.snapshot_id):
        return None, f"snapshot {state.snapshot_id} has expired"
    try:
        manifests = former.manifests(state.snapshot_id)
    except FileNotFoundError:
        return None, f"the files of snapshot {state.snapshot_id} are gone"
    if bounds.fields and not all(_of_spec(lake, manifest) for manifest in manifests.values()):
        return None, "the committed files are of an older partition spec"
    return manifests, ""


def _around_changes(
    lake: LakeTable, bounds: Bounds, then: Mapping[str, ManifestFile], now: Mapping[str, ManifestFile]
) -> tuple[list[FileRead], list[FileRead]]:
    """Return the data files of both snapshots in the regions where they differ.

    Manifests that only one of them has are read, and of those that both have the ones that may hold files of these
    regions. Raises: FileNotFoundError when a manifest of the committed snapshot is gone.
    """
    removed = {file.location: file for file in lake.files(then[path] for path in then.keys() - now.keys())}
    added = {file.location: file for file in lake.files(now[path] for path in now.keys() - then.keys())}
    touched = {
        bounds.region(file.partition)
        for location, file in (removed | added).items()
        if (location in removed) != (location in added)
    }
    shared = [now[path] for path in now.keys() & then.keys()]
    common = list(lake.files(item for item in shared if may_hold(item, bounds, touched)))

    def around(files: Iterable[LakeFile]) -> list[FileRead]:
        theirs = (file for file in (*files, *common) if bounds.region(file.partition) in touched)
        return _reads(bounds, theirs)

    return around(removed.values()), around(added.values())


def _tallies(
    regions: Iterable[Region],
    fingerprints: Mapping[Region, Fingerprint],
    columns: list[Column],
    *,
    fresh: Collection[Region],
) -> dict[Region, Tally]:
    """Return what the regions held when they were committed; a fresh one held nothing, one not known is left out."""
    known = comparable(fingerprints, columns)
    found = {region: Tally() for region in regions if region in fresh}
    return found | {region: known[region].tally for region in regions if region in known}


def _reads(bounds: Bounds, files: Iterable[LakeFile]) -> list[FileRead]:
    """Return the data files among these with the deletes that apply: same partition, not older."""
    live: list[LakeFile] = []
    by_partition: dict[tuple[object, ...], list[LakeFile]] = defaultdict(list)
    for file in files:
        if file.deletes:
            by_partition[(file.spec_id, file.partition)].append(file)
        else:
            live.append(file)
    found = []
    for file in live:
        theirs = by_partition.get((file.spec_id, file.partition), [])
        applying = tuple(item for item in theirs if item.sequence >= file.sequence)
        found.append(FileRead(file, bounds.region(file.partition), applying))
    return found


def _by_region(reads: Iterable[FileRead]) -> dict[Region, list[FileRead]]:
    found: dict[Region, list[FileRead]] = defaultdict(list)
    for read in reads:
        found[read.region].append(read)
    return found


def _largest(reads: Iterable[FileRead]) -> int:
    rows = (sum(read.file.rows for read in theirs) for theirs in _by_region(reads).values())
    return max(rows, default=0)


def sizes(reads: Iterable[FileRead]) -> dict[str, int]:
    """Return the sizes of all files that these reads open, by location."""
    return {
        file.location: file.size
        for read in reads
        for file in (read.file, *read.deletes, *(read.dead_in or ()))
    }


def _reason(before: list[FileRead], after: list[FileRead]) -> str:
    """Return how many files came and went, deletes included, in words."""
    changed = {read.file.location for read in (*before, *after) if read.dead_in is None}
    for read in (*before, *after):
        if read.dead_in is not None:
            changed |= {item.location for item in set(read.deletes) ^ set(read.dead_in)}
    return f"{_count(len(changed), 'file')} added or removed"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
