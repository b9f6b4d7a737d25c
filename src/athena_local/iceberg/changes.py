"""Row changes: from a table of positions and new values to one snapshot with delete files and data files.

Rows that change are marked by position deletes and written anew (merge-on-read, as Athena does); a data file of which no
row is left is dropped whole. Nothing is committed when nothing changes. Whatever fails takes its uploaded files with it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from athena_local.context import StatementResult
from athena_local.iceberg import planning, scans
from athena_local.iceberg.commit import Changes, commit_changes
from athena_local.iceberg.scans import scalar
from athena_local.iceberg.schema import text
from athena_local.iceberg.table import clean_on_failure
from athena_local.iceberg.write import write_data, write_deletes
from athena_local.types import quote

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.manifest import DataFile

    from athena_local.engine.session import Session
    from athena_local.iceberg.table import IcebergTable

PATH, POSITION = "__path", "__pos"  # of the row that a change replaces; NULL for a new one


def counted(count: int) -> StatementResult:
    """Return what a change answers: no manifest, which Athena writes for Hive tables only."""
    return StatementResult(update_count=count)


def apply(
    session: Session,
    table: IcebergTable,
    name: str,
    written: str | None,
    row_filter: BooleanExpression,
    changed: str = "TRUE",
) -> StatementResult:
    """Commit what a temporary table lists: rows with a path are deleted, those that `written` selects are added.

    `row_filter` tells which rows of the table it was computed from.
    """
    count = scalar(session, f"SELECT count(*) FROM {name} WHERE {changed}")
    if not count:
        return counted(0)
    with clean_on_failure(session.context, table):
        changes = Changes()
        if written is not None:
            columns = ", ".join(quote(field.name) for field in table.schema.fields)
            changes.added = write_data(session, table, f"SELECT {columns} FROM {name} WHERE {written}")
        _mark_deleted(session, table, f"FROM {name} WHERE {PATH} IS NOT NULL AND {changed}", changes)
        commit_changes(session.context, table, changes, row_filter=row_filter)
    return counted(count)


def _mark_deleted(session: Session, table: IcebergTable, source: str, changes: Changes) -> None:
    """Add to the changes a delete file for each partition touched, or the removal of files that lose their last row."""
    planned = planning.plan(table)
    counts = dict(session.execute(f"SELECT {PATH}, count(*) {source} GROUP BY {PATH}").fetchall())
    if not counts:
        return
    emptied = _emptied(session, planned, counts)
    changes.removed = [planned.by_path[path] for path in sorted(emptied)]
    changes.removed += _spent_deletes(planned, emptied)
    groups: dict[Any, list[str]] = defaultdict(list)
    for path in sorted(counts):
        if path not in emptied:
            data_file = planned.by_path[path]
            groups[data_file.spec_id, data_file.partition].append(path)
    changes.touched = set(counts) - emptied
    specs = table.metadata.specs()
    for (spec_id, partition), paths in groups.items():
        listed = ", ".join(text(path) for path in paths)
        mine = "" if len(paths) == len(counts) else f" AND {PATH} IN ({listed})"
        rows = f"SELECT {PATH} AS file_path, {POSITION} AS pos {source}{mine}"
        changes.deletes.append(write_deletes(session, table, rows, partition, specs[spec_id]))


def _emptied(session: Session, planned: planning.Plan, counts: dict[str, int]) -> set[str]:
    """Return the paths of files of which every row is now deleted."""
    emptied = set()
    for data_file, deletes in planned.files:
        count = counts.get(data_file.file_path, 0)
        if not count:
            continue
        if count == data_file.record_count:
            emptied.add(data_file.file_path)
        elif any(scans.is_equality(item) for item in deletes):
            continue  # how many rows they hit is not known without reading the file
        elif count + sum(item.record_count for item in deletes) >= data_file.record_count:
            paths = ", ".join(text(item.file_path) for item in deletes)
            where = f"file_path = {text(data_file.file_path)}"
            known = scalar(session, f"SELECT count(DISTINCT pos) FROM read_parquet([{paths}]) WHERE {where}")
            if known + count == data_file.record_count:
                emptied.add(data_file.file_path)
    return emptied


def _spent_deletes(planned: planning.Plan, emptied: set[str]) -> list[DataFile]:
    """Return delete files that applied to nothing but the emptied data files."""
    if not emptied:
        return []
    deletes_of = {item.file_path: deletes for item, deletes in planned.files}
    alive = {
        item.file_path for path, deletes in deletes_of.items() if path not in emptied for item in deletes
    }
    spent = {
        item.file_path: item for path in emptied for item in deletes_of[path] if item.file_path not in alive
    }
    return [spent[path] for path in sorted(spent)]
