"""Snapshots: data files added and removed and delete files added, in one commit, by Iceberg's optimistic rules.

PyIceberg's own producers cannot carry delete files, so the manifests are put together here with its writers. Whoever
comes second tries again on the fresh metadata: an append always, any other change unless somebody added rows that it
would have met or touched the files that it touches.
"""

from __future__ import annotations

import random
import time
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    ManifestWriterV2,
    write_manifest_list,
)
from pyiceberg.table.refs import MAIN_BRANCH
from pyiceberg.table.snapshots import (
    Operation,
    Snapshot,
    SnapshotSummaryCollector,
    Summary,
    update_snapshot_summaries,
)
from pyiceberg.table.update import AddSnapshotUpdate, SetSnapshotRefUpdate

from athena_local.errors import QueryError
from athena_local.iceberg import planning
from athena_local.iceberg import table as tables
from athena_local.iceberg.table import CommitConflictError, IcebergTable

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.table.update import TableUpdate

    from athena_local.context import QueryContext

APPEND_ATTEMPTS = (
    100  # a loser re-reads and tries again at once; with n writers at a time a commit needs at most n tries
)
MERGE_MANIFESTS = (
    100  # Iceberg's commit.manifest.min-count-to-merge: so many small data manifests are written as one
)
AVRO_CODEC: Any = "gzip"


@dataclass
class Changes:
    """What one snapshot does. Removed files are named as the plan saw them."""

    added: list[DataFile] = field(default_factory=list)
    deletes: list[DataFile] = field(default_factory=list)
    removed: list[DataFile] = field(default_factory=list)
    operation: Operation | None = None
    touched: set[str] = field(default_factory=set)  # paths of data files that the delete files name

    def __bool__(self) -> bool:
        return bool(self.added or self.deletes or self.removed)

    def kind(self) -> Operation:
        if self.operation:
            return self.operation
        if self.added:
            return Operation.OVERWRITE if self.deletes or self.removed else Operation.APPEND
        return Operation.DELETE


class _DeleteManifestWriter(ManifestWriterV2):
    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


def commit_changes(
    context: QueryContext,
    table: IcebergTable,
    changes: Changes,
    *,
    independent: bool = False,
    row_filter: BooleanExpression | None = None,
) -> IcebergTable:
    """Commit, or raise CommitConflictError having changed nothing. No change commits no snapshot.

    independent: the change holds whatever others committed meanwhile (an INSERT). A MERGE that happens to insert only is
    not: two of them would each add the row that both found missing.
    row_filter: which rows the change was computed from. It holds as long as nobody added such rows, and nobody removed or
    deleted from the files that it touches. Without one, any other commit is a conflict.
    """
    if not changes:
        return table
    check_writable(table)
    read = table
    for attempt in range(APPEND_ATTEMPTS):
        try:
            return _attempt(context, table, changes)
        except CommitConflictError:
            time.sleep(random.uniform(0, 0.01) * min(attempt + 1, 10))
            table = tables.reload(context, table)
            if table.metadata.table_uuid != read.metadata.table_uuid:
                raise  # dropped and made anew meanwhile
            if not (independent or _still_holds(read, table, changes, row_filter)):
                raise
    raise CommitConflictError(table.database, table.name)


def _still_holds(
    read: IcebergTable, now: IcebergTable, changes: Changes, row_filter: BooleanExpression | None
) -> bool:
    """Tell whether a change computed from one state of the table may be made to another."""
    before, after = read.metadata, now.metadata
    if (before.default_spec_id, before.current_schema_id) != (after.default_spec_id, after.current_schema_id):
        return False
    if now.snapshot_id == read.snapshot_id:
        return True
    return (
        row_filter is not None
        and _descends(now, read.snapshot_id)
        and not _conflicts(read, now, changes, row_filter)
    )


def _descends(table: IcebergTable, base: int | None) -> bool:
    walked = table.metadata.current_snapshot()
    while walked is not None and walked.snapshot_id != base:
        parent = walked.parent_snapshot_id
        walked = table.metadata.snapshot_by_id(parent) if parent is not None else None
    return (walked.snapshot_id if walked else None) == base


def _conflicts(
    read: IcebergTable, now: IcebergTable, changes: Changes, row_filter: BooleanExpression
) -> bool:
    """Tell whether, since `read`, rows came that the filter may take, or files that the change touches were touched."""
    base, snapshot = read.metadata.current_snapshot(), now.metadata.current_snapshot()
    known = (base.sequence_number or 0) if base else 0
    manifests = list(snapshot.manifests(now.io)) if snapshot else []
    needed = changes.touched | {item.file_path for item in changes.removed}
    partitions = {(item.spec_id, item.partition) for item in (*changes.removed, *changes.deletes)}
    filters = planning.Filters(now, read.schema, row_filter)
    live = set()
    for manifest, entries in zip(manifests, planning.entries_of(now, manifests), strict=True):
        matches = filters.matcher(manifest.partition_spec_id)
        for entry in entries:
            data_file = entry.data_file
            live.add(data_file.file_path)
            if (entry.sequence_number or 0) <= known:
                continue
            if manifest.content == ManifestContent.DELETES:
                unpartitioned = not now.metadata.specs()[data_file.spec_id].fields
                if unpartitioned or (data_file.spec_id, data_file.partition) in partitions:
                    return True
            elif matches(data_file):
                return True
    return not needed <= live


def check_writable(table: IcebergTable) -> None:
    if table.metadata.format_version != 2:
        raise QueryError(
            "NOT_SUPPORTED",
            f"Iceberg table format version {table.metadata.format_version} cannot be written: {table.name}",
        )


def _attempt(context: QueryContext, table: IcebergTable, changes: Changes) -> IcebergTable:
    known = len(table.io.written)
    updates = snapshot_updates(table, changes)
    own = table.io.written[known:]
    try:
        return tables.commit(context, table, updates)
    except CommitConflictError:
        context.objects.delete(own)
        raise


def snapshot_updates(table: IcebergTable, changes: Changes) -> tuple[TableUpdate, ...]:
    """Write the manifests of one new snapshot and return the metadata updates that add it."""
    metadata = table.metadata
    commit_id, snapshot_id = uuid.uuid4(), metadata.new_snapshot_id()
    writer = _Manifests(table, snapshot_id, commit_id)
    previous = metadata.current_snapshot()
    kept = list(previous.manifests(table.io)) if previous else []
    manifests = [
        *writer.added(changes.added),
        *writer.added(changes.deletes),
        *writer.merge(writer.without(kept, changes.removed)),
    ]
    sequence = metadata.next_sequence_number()
    parent = previous.snapshot_id if previous else None
    location = f"{metadata.location.rstrip('/')}/metadata/snap-{snapshot_id}-1-{commit_id}.avro"
    with write_manifest_list(
        2, table.io.new_output(location), snapshot_id, parent, sequence, AVRO_CODEC
    ) as output:
        output.add_manifests(manifests)
    snapshot = Snapshot.model_validate(
        {
            "snapshot-id": snapshot_id,
            "parent-snapshot-id": parent,
            "sequence-number": sequence,
            "timestamp-ms": max(int(time.time() * 1000), metadata.last_updated_ms),
            "manifest-list": location,
            "summary": _summary(table, changes, previous),
            "schema-id": metadata.current_schema_id,
        }
    )
    reference = SetSnapshotRefUpdate.model_validate(
        {"snapshot-id": snapshot_id, "type": "branch", "ref-name": MAIN_BRANCH}
    )
    return (AddSnapshotUpdate(snapshot=snapshot), reference)


def _summary(table: IcebergTable, changes: Changes, previous: Snapshot | None) -> Summary:
    collector = SnapshotSummaryCollector()
    schema, specs = table.schema, table.metadata.specs()
    for data_file in (*changes.added, *changes.deletes):
        collector.add_file(data_file, schema, specs[data_file.spec_id])
    for data_file in changes.removed:
        collector.remove_file(data_file, schema, specs[data_file.spec_id])
    # PyIceberg adds no totals to a `replace`, though the arithmetic is the same: reckon as an overwrite, then say what it is
    reckoned = Summary(operation=Operation.OVERWRITE, **collector.build(), **{"engine-name": "athena"})
    reckoned = update_snapshot_summaries(reckoned, previous.summary if previous else None)
    return Summary(operation=changes.kind(), **reckoned.additional_properties)


class _Manifests:
    """Writes the manifests of one commit attempt; `paths` are its own files."""

    def __init__(self, table: IcebergTable, snapshot_id: int, commit_id: uuid.UUID) -> None:
        self.table = table
        self.snapshot_id = snapshot_id
        self.commit_id = commit_id
        self.paths: list[str] = []

    def _write(self, entries: list[ManifestEntry], spec_id: int, content: ManifestContent) -> ManifestFile:
        metadata = self.table.metadata
        name = f"{self.commit_id}-m{len(self.paths)}.avro"
        path = f"{metadata.location.rstrip('/')}/metadata/{name}"
        self.paths.append(path)
        kind = ManifestWriterV2 if content is ManifestContent.DATA else _DeleteManifestWriter
        output = self.table.io.new_output(path)
        with kind(
            metadata.specs()[spec_id], metadata.schema(), output, self.snapshot_id, AVRO_CODEC
        ) as writer:
            for entry in entries:
                writer.add_entry(entry)
        return writer.to_manifest_file()

    def added(self, files: list[DataFile]) -> list[ManifestFile]:
        by_spec: dict[int, list[ManifestEntry]] = defaultdict(list)
        for data_file in files:
            entry = ManifestEntry.from_args(
                status=ManifestEntryStatus.ADDED,
                snapshot_id=self.snapshot_id,
                sequence_number=None,
                file_sequence_number=None,
                data_file=data_file,
            )
            by_spec[data_file.spec_id].append(entry)
        return [self._write(entries, spec, _content(entries)) for spec, entries in by_spec.items()]

    def without(self, manifests: list[ManifestFile], removed: list[DataFile]) -> list[ManifestFile]:
        """Return the manifests with removed files marked as deleted; those that hold none of them stay as they are."""
        paths = {data_file.file_path for data_file in removed}
        kept = []
        for manifest in manifests:
            if not (manifest.has_added_files() or manifest.has_existing_files()):
                continue  # only tells of files that an earlier snapshot removed
            if not paths:
                kept.append(manifest)
                continue
            entries = manifest.fetch_manifest_entry(self.table.io, discard_deleted=True)
            if all(entry.data_file.file_path not in paths for entry in entries):
                kept.append(manifest)
                continue
            kept.append(self._rewrite(entries, paths, manifest))
        return kept

    def _rewrite(
        self, entries: list[ManifestEntry], removed: set[str], manifest: ManifestFile
    ) -> ManifestFile:
        rewritten = []
        for entry in entries:
            gone = entry.data_file.file_path in removed
            rewritten.append(
                ManifestEntry.from_args(
                    status=ManifestEntryStatus.DELETED if gone else ManifestEntryStatus.EXISTING,
                    snapshot_id=self.snapshot_id if gone else entry.snapshot_id,
                    sequence_number=entry.sequence_number,
                    file_sequence_number=entry.file_sequence_number,
                    data_file=entry.data_file,
                )
            )
        return self._write(rewritten, manifest.partition_spec_id, manifest.content)

    def merge(self, manifests: list[ManifestFile]) -> list[ManifestFile]:
        """Return the manifests with many small data manifests of one spec written as one."""
        own = set(self.paths)  # rewritten by this commit: their marks of deletion must stay readable
        groups: dict[tuple[int, ManifestContent], list[ManifestFile]] = defaultdict(list)
        merged: list[ManifestFile] = []
        for manifest in manifests:
            if manifest.manifest_path in own:
                merged.append(manifest)
            else:
                groups[manifest.partition_spec_id, manifest.content].append(manifest)
        for (spec_id, content), group in groups.items():
            if len(group) < MERGE_MANIFESTS:
                merged.extend(group)
                continue
            entries = [
                ManifestEntry.from_args(
                    status=ManifestEntryStatus.EXISTING,
                    snapshot_id=entry.snapshot_id,
                    sequence_number=entry.sequence_number,
                    file_sequence_number=entry.file_sequence_number,
                    data_file=entry.data_file,
                )
                for manifest in group
                for entry in manifest.fetch_manifest_entry(self.table.io, discard_deleted=True)
            ]
            merged.append(self._write(entries, spec_id, content))
        return merged


def _content(entries: list[ManifestEntry]) -> ManifestContent:
    is_data = entries[0].data_file.content == DataFileContent.DATA
    return ManifestContent.DATA if is_data else ManifestContent.DELETES
