"""invoke sync --dry-run, --verify: what a sync would do, and whether Postgres holds what was synced; nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock import console
from penstock.connections import Connections
from penstock.errors import ChecksumMismatchError, PenstockError
from penstock.sync.report import counted

if TYPE_CHECKING:
    from penstock.sync.check import PartitionCheck, TableCheck
    from penstock.sync.declaration import Declaration
    from penstock.sync.preview import Preview


def dry_run(connections: Connections, chosen: Sequence[Declaration], *, full: bool) -> None:
    """Print each table's plan: partitions, files, rows and bytes to read, and why. Raises a table's error at the end."""
    from penstock.sync.postgres import Limits
    from penstock.sync.preview import preview

    errors: list[PenstockError] = []
    for declaration in chosen:
        try:
            _show_plan(preview(connections, declaration, full=full, limits=Limits()))
        except PenstockError as error:
            errors.append(error)
    _raise(errors)
    console.success("Nothing was written: this is what `invoke sync` would do now.")


def verify(connections: Connections, chosen: Sequence[Declaration]) -> None:
    """Print each table's partitions, lake beside Postgres.

    Raises: ChecksumMismatchError naming those that differ; or the first table's error; at the end.
    """
    from penstock.sync.check import check
    from penstock.sync.postgres import Limits
    from penstock.sync.report import Progress, SyncReport, silent
    from penstock.sync.steps import Steps

    errors: list[PenstockError] = []
    found: list[TableCheck] = []
    with console.progress_bar() as bar:
        for declaration in chosen:
            done = 0

            def told(now: Progress) -> None:
                nonlocal done
                if now.rows < done or not done:
                    bar.start(f"{now.table}: {now.step}", now.total or None)
                    done = 0
                bar.advance(now.rows - done)
                done = now.rows

            steps = Steps(SyncReport(declaration.target, declaration.lake), told, silent)
            try:
                found.append(check(connections, declaration, steps=steps, limits=Limits()))
            except PenstockError as error:
                errors.append(error)
        bar.finish()
    for table in found:
        _show_check(table)
    wrong = [_difference(table) for table in found if table.wrong]
    if wrong:
        errors.append(
            ChecksumMismatchError(
                "; ".join(wrong), hint="`invoke sync --repair` mends just these partitions."
            )
        )
    _raise(errors)
    console.success("Postgres holds what was synced: every partition has the lake's rows and checksum.")


def _raise(errors: list[PenstockError]) -> None:
    for error in errors[:-1]:
        console.show_error(error)
    if errors:
        raise errors[-1]


def _show_plan(plan: Preview) -> None:
    work = plan.plan
    rows: list[Sequence[Any]] = [
        (item.partition, item.why, item.files, f"{item.rows:,}", console.size(item.bytes))
        for item in plan.partitions
    ]
    title = f"{plan.table}: {work.mode}" + (f" by {plan.path}" if plan.path else "")
    if rows:
        rows.append(("together", "", work.files, f"{work.rows:,}", console.size(work.bytes)))
        console.show_table(title, ["partition", "why", "files", "rows", "to read"], rows, right=range(2, 5))
    else:
        console.line(title)
    console.note(f"{plan.table}: {work.reason}")
    if work.mode == "changes" and work.slow:
        console.note(f"{plan.table}: read whole, for {work.slow}")


def _show_check(table: TableCheck) -> None:
    rows = [
        (item.partition, f"{item.lake_rows:,}", f"{item.table_rows:,}", "" if item.equal else "differs")
        for item in table.partitions
    ]
    console.show_table(
        f"{table.table} against {table.lake}", ["partition", "lake", "Postgres", ""], rows, right=range(1, 3)
    )
    version = (
        "as it was synced" if table.committed else "as it is now, for what was synced is not known or gone"
    )
    console.note(f"{table.table}: compared with snapshot {table.snapshot_id} of the lake, {version}.")
    for item in table.wrong:
        for kind, keys in (
            ("missing", item.missing),
            ("not in the lake", item.extra),
            ("other values", item.different),
        ):
            for key in keys:
                console.note(f"{table.table} {item.partition}: {kind}: ({', '.join(key)})")


def _difference(table: TableCheck) -> str:
    from penstock.sync.verify import SHOWN

    shown = [_partition(item) for item in table.wrong]
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    return f"{table.table} differs from {table.lake} in {', '.join(shown[:SHOWN])}{more}"


def _partition(item: PartitionCheck) -> str:
    return f"{item.partition} (lake {counted(item.lake_rows, 'row')}, Postgres {item.table_rows:,})"
