"""OPTIMIZE and VACUUM: fewer and fuller files, and an end to snapshots nobody needs.

OPTIMIZE rewrites what is small or has deletes and changes no row, one snapshot with operation `replace`. VACUUM forgets
snapshots older than the table's `vacuum_max_snapshot_age_seconds`, deletes the files only they had, and orphans of that age.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update import RemoveSnapshotsUpdate

from athena_local.context import StatementResult
from athena_local.iceberg import planning, scans
from athena_local.iceberg import table as tables
from athena_local.iceberg.commit import Changes, check_writable, commit_changes
from athena_local.iceberg.predicates import to_filter
from athena_local.iceberg.write import target_size, write_data
from athena_local.types import quote

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile

    from athena_local.engine.session import Session
    from athena_local.iceberg.table import IcebergTable, Record
    from athena_local.sql.statements import Optimize, Vacuum

# Athena's defaults
MIN_FILE_SHARE = 0.75  # files below this share of the target size are rewritten
MIN_DATA_FILES = 5  # in a partition, unless one has deletes: optimize_rewrite_data_file_threshold
MIN_DELETE_FILES = 2  # optimize_rewrite_delete_file_threshold
MAX_SNAPSHOT_AGE_SECONDS = 432_000
MIN_SNAPSHOTS_TO_KEEP = 1


def optimize(session: Session, statement: Optimize, table: Record) -> StatementResult:
    loaded = tables.pinned(session, table)
    check_writable(loaded)
    planned = planning.plan(loaded, to_filter(statement.where, loaded.schema))
    chosen = _chosen(loaded, planned)
    if not chosen:
        return StatementResult(update_count=0)
    columns = ", ".join(quote(field.name) for field in loaded.schema.fields)
    source = scans.to_sql(session, planning.Plan(loaded, loaded.schema, chosen))
    with tables.clean_on_failure(session.context, loaded):
        added = write_data(session, loaded, f"SELECT {columns} FROM {source}")
        removed = [item for item, _ in chosen] + _spent(planned, chosen)
        commit_changes(
            session.context, loaded, Changes(added=added, removed=removed, operation=Operation.REPLACE)
        )
    return StatementResult(update_count=0)


def _chosen(table: IcebergTable, planned: planning.Plan) -> list[tuple[DataFile, list[DataFile]]]:
    """Return the files worth rewriting: small ones where a partition has enough of them, and those with enough deletes."""
    properties = table.metadata.properties
    least_files = int(properties.get("optimize_rewrite_data_file_threshold", MIN_DATA_FILES))
    least_deletes = int(properties.get("optimize_rewrite_delete_file_threshold", MIN_DELETE_FILES))
    groups: dict[Any, list[tuple[DataFile, list[DataFile]]]] = defaultdict(list)
    for entry in planned.files:
        groups[entry[0].spec_id, entry[0].partition].append(entry)
    chosen = []
    for group in groups.values():
        small = [
            entry for entry in group if entry[0].file_size_in_bytes < target_size(table) * MIN_FILE_SHARE
        ]
        picked = small if len(small) >= least_files else []
        paths = {entry[0].file_path for entry in picked}
        picked += [
            entry for entry in group if len(entry[1]) >= least_deletes and entry[0].file_path not in paths
        ]
        chosen += picked
    return chosen


def _spent(planned: planning.Plan, chosen: list[tuple[DataFile, list[DataFile]]]) -> list[DataFile]:
    """Return the delete files that applied to chosen files only. Files the plan's filter left out keep theirs."""
    gone = {item.file_path for item, _ in chosen}
    everything = planning.plan(planned.table).files
    alive = {
        item.file_path
        for data_file, deletes in everything
        if data_file.file_path not in gone
        for item in deletes
    }
    spent = {item.file_path: item for _, deletes in chosen for item in deletes if item.file_path not in alive}
    return [spent[path] for path in sorted(spent)]


def vacuum(session: Session, statement: Vacuum, table: Record) -> StatementResult:  # noqa: ARG001 - one shape for all
    """Expire old snapshots, then delete what no snapshot needs: at once if a snapshot just forgotten had it, else by age."""
    context = session.context
    loaded = tables.pinned(session, table)
    before: set[str] = set()
    expired = _expired(loaded)
    if expired:
        before = _files_of(loaded)
        update = RemoveSnapshotsUpdate.model_validate({"snapshot-ids": sorted(expired)})
        loaded = tables.commit(context, loaded, (update,))
    kept = _files_of(loaded) | {
        loaded.location,
        *(entry.metadata_file for entry in loaded.metadata.metadata_log),
    }
    limit = time.time() - _age_seconds(loaded)
    listed = context.objects.list(loaded.metadata.location.rstrip("/") + "/")
    orphans = {item.path for item in listed if item.modified.timestamp() < limit}
    context.objects.delete(sorted((before | orphans) - kept))
    return StatementResult(lines=[])


def _age_seconds(table: IcebergTable) -> int:
    return int(table.metadata.properties.get("vacuum_max_snapshot_age_seconds", MAX_SNAPSHOT_AGE_SECONDS))


def _expired(table: IcebergTable) -> set[int]:
    properties = table.metadata.properties
    least = int(properties.get("vacuum_min_snapshots_to_keep", MIN_SNAPSHOTS_TO_KEEP))
    referenced = {ref.snapshot_id for ref in table.metadata.refs.values()}
    newest = sorted(table.metadata.snapshots, key=lambda item: (item.timestamp_ms, item.sequence_number or 0))
    kept = {item.snapshot_id for item in newest[-max(least, 1) :]} | referenced
    limit = (time.time() - _age_seconds(table)) * 1000
    return {
        item.snapshot_id for item in newest if item.snapshot_id not in kept and item.timestamp_ms <= limit
    }


def _files_of(table: IcebergTable) -> set[str]:
    """Return every object that the table's snapshots need: manifest lists, manifests, data and delete files."""
    found = {item.statistics_path for item in table.metadata.statistics}
    for snapshot in table.metadata.snapshots:
        found.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path in found:
                continue
            found.add(manifest.manifest_path)
            entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
            found.update(entry.data_file.file_path for entry in entries)
    return found
