"""OPTIMIZE and VACUUM: fewer and fuller files, and an end to snapshots nobody needs.

OPTIMIZE rewrites what is small or has deletes and changes no row, one snapshot with operation `replace`. VACUUM forgets
snapshots older than the table's `vacuum_max_snapshot_age_seconds`, deletes the files only they had, metadata files above
`vacuum_max_metadata_files_to_keep`, and orphans of that age.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from pyiceberg.expressions import AlwaysFalse
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update import RemoveSnapshotsUpdate, update_table_metadata
from sqlglot import exp

from athena_local.context import StatementResult
from athena_local.errors import SYSTEM, QueryError
from athena_local.iceberg import planning, scans, trees
from athena_local.iceberg import table as tables
from athena_local.iceberg.commit import Changes, check_writable, commit_changes
from athena_local.iceberg.predicates import to_filter
from athena_local.iceberg.properties import number
from athena_local.iceberg.write import target_size, write_data
from athena_local.objects import split_path
from athena_local.types import quote

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile

    from athena_local.engine.session import Session
    from athena_local.iceberg.planning import PlannedFile
    from athena_local.iceberg.table import IcebergTable, Record
    from athena_local.sql.statements import Optimize, Vacuum

# Athena's defaults
MIN_FILE_SHARE = (
    0.75  # of the target size: smaller files are rewritten, unless optimize_rewrite_min_… says otherwise
)
MAX_FILE_SHARE = 1.8  # larger ones too: optimize_rewrite_max_data_file_size_bytes
MIN_DATA_FILES = 5  # in a partition, unless one has deletes: optimize_rewrite_data_file_threshold
MIN_DELETE_FILES = 2  # optimize_rewrite_delete_file_threshold
MAX_SNAPSHOT_AGE_SECONDS = 432_000
MIN_SNAPSHOTS_TO_KEEP = 1
MAX_METADATA_FILES = 100


def optimize(session: Session, statement: Optimize, table: Record) -> StatementResult:
    loaded = tables.pinned(session, table)
    check_writable(loaded)
    _check_predicate(session, loaded, statement.where)
    planned = planning.plan(loaded, to_filter(statement.where, loaded.schema))
    chosen = _chosen(loaded, planned)
    if not chosen:
        return StatementResult(update_count=0)
    columns = ", ".join(quote(field.name) for field in loaded.schema.fields)
    source = scans.to_sql(session, planning.Plan(loaded, loaded.schema, chosen))
    with tables.clean_on_failure(session.context, loaded):
        added = write_data(session, loaded, f"SELECT {columns} FROM {source}")
        removed = [item for item, _ in chosen] + _spent(planned, chosen)
        changes = Changes(added=added, removed=removed, operation=Operation.REPLACE)
        commit_changes(session.context, loaded, changes, row_filter=AlwaysFalse())  # appends harm nothing
    return StatementResult(update_count=0)


def _check_predicate(session: Session, table: IcebergTable, where: exp.Expression | None) -> None:
    """Refuse a predicate that does not resolve, or that says more than which partitions are meant."""
    if where is None:
        return
    query = trees.select([exp.Literal.number(1)]).from_(trees.target(table, None)).where(where.copy())
    session.translate(query)
    sources = {
        str(table.schema.find_column_name(field.source_id)).lower() for field in table.metadata.spec().fields
    }
    if any(column.name.lower() not in sources for column in where.find_all(exp.Column)):
        text = "Unexpected FilterNode found in plan; probably connector was not able to handle provided WHERE expression"
        raise QueryError("NOT_SUPPORTED", text)


def _chosen(table: IcebergTable, planned: planning.Plan) -> list[PlannedFile]:
    """Return the files worth rewriting: small ones where a partition has enough of them, too large ones, and those with
    enough deletes."""
    target = target_size(table)
    least = number(table, "optimize_rewrite_min_data_file_size_bytes", int(target * MIN_FILE_SHARE))
    most = number(table, "optimize_rewrite_max_data_file_size_bytes", int(target * MAX_FILE_SHARE))
    least_files = number(table, "optimize_rewrite_data_file_threshold", MIN_DATA_FILES)
    least_deletes = max(1, number(table, "optimize_rewrite_delete_file_threshold", MIN_DELETE_FILES))
    groups: dict[Any, list[PlannedFile]] = defaultdict(list)
    for entry in planned.files:
        groups[entry[0].spec_id, entry[0].partition].append(entry)
    chosen = []
    for group in groups.values():
        small = [entry for entry in group if entry[0].file_size_in_bytes < least]
        # one file alone would only be written again as it is
        picked = {id(entry) for entry in small} if len(small) >= max(least_files, 2) else set()
        chosen += [
            entry
            for entry in group
            if id(entry) in picked or entry[0].file_size_in_bytes > most or len(entry[1]) >= least_deletes
        ]
    return chosen


def _spent(planned: planning.Plan, chosen: list[PlannedFile]) -> list[DataFile]:
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
    location = loaded.metadata.location.rstrip("/")
    if not split_path(location)[1]:
        text = f"Path missing in file system location: {location}"
        raise QueryError("GENERIC_INTERNAL_ERROR", text, category=SYSTEM)
    before: set[str] = set()
    expired = _expired(loaded)
    log = loaded.metadata.metadata_log
    surplus = max(0, len(log) - number(loaded, "vacuum_max_metadata_files_to_keep", MAX_METADATA_FILES))
    if expired or surplus:
        before = _files_of(loaded) if expired else set()
        before |= {entry.metadata_file for entry in log[:surplus]}
        loaded = _forget(session, loaded, expired, surplus)
    kept = _files_of(loaded) | {
        loaded.location,
        *(entry.metadata_file for entry in loaded.metadata.metadata_log),
    }
    limit = time.time() - _age_seconds(loaded)
    orphans = {
        item.path for item in context.objects.list(f"{location}/") if item.modified.timestamp() < limit
    }
    context.objects.delete(sorted((before | orphans) - kept))
    return StatementResult(lines=[])


def _forget(session: Session, table: IcebergTable, expired: set[int], surplus: int) -> IcebergTable:
    """Commit the table without the snapshots and without the oldest entries of its metadata log."""
    metadata = table.metadata
    if expired:
        update = RemoveSnapshotsUpdate.model_validate({"snapshot-ids": sorted(expired)})
        metadata = update_table_metadata(metadata, (update,), metadata_location=table.location)
    if surplus:
        metadata = metadata.model_copy(update={"metadata_log": metadata.metadata_log[surplus:]})
    return tables.replace(session.context, table, metadata)


def _age_seconds(table: IcebergTable) -> int:
    return number(table, "vacuum_max_snapshot_age_seconds", MAX_SNAPSHOT_AGE_SECONDS)


def _expired(table: IcebergTable) -> set[int]:
    least = number(table, "vacuum_min_snapshots_to_keep", MIN_SNAPSHOTS_TO_KEEP)
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
    manifests = {}
    for snapshot in table.metadata.snapshots:
        found.add(snapshot.manifest_list)
        manifests.update({item.manifest_path: item for item in snapshot.manifests(table.io)})
    found.update(manifests)
    for entries in planning.entries_of(table, list(manifests.values())):
        found.update(entry.data_file.file_path for entry in entries)
    return found
