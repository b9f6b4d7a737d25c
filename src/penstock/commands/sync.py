"""invoke sync and its kin: lake to Postgres for a person, with progress and a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock import console
from penstock.connections import Connections

if TYPE_CHECKING:
    from penstock.sync.report import Progress, SyncReport


def sync(connections: Connections, *, select: str, full: bool) -> None:
    show_synced(run_sync(connections, select=select, full=full))


def run_sync(connections: Connections, *, select: str = "", full: bool = False) -> list[SyncReport]:
    """Sync what the lake's manifest declares, behind a progress bar."""
    from penstock.sync.declaration import declarations
    from penstock.sync.run import sync as sync_tables
    from penstock.transform.dbt import Side, target_path

    connections.postgres_url()
    manifest = target_path(Side.LAKE) / "manifest.json"
    chosen = declarations(manifest, [name for name in select.replace(",", " ").split() if name])
    for declaration in chosen:
        connections.environment.require_own_marts(declaration.lake_database, declaration.model)
    with console.progress_bar() as bar:
        shown: tuple[str, str] = ("", "")
        done = 0

        def progress(now: Progress) -> None:
            nonlocal shown, done
            if (now.table, now.step) != shown:
                shown, done = (now.table, now.step), 0
                bar.start(f"{now.table}: {now.step}", now.total or None)
            bar.advance(now.rows - done)
            done = now.rows

        reports = sync_tables(connections, chosen, full=full, progress=progress)
        bar.finish()
    return reports


def show_synced(reports: list[SyncReport]) -> None:
    rows = [
        (
            report.table,
            report.mode,
            len(report.partitions),
            console.size(report.bytes_read),
            f"{report.inserted:,}",
            f"{report.updated:,}",
            f"{report.deleted:,}",
            f"{report.unchanged:,}",
            f"{sum(report.seconds.values()):.2f}",
        )
        for report in reports
    ]
    columns = [
        "table",
        "mode",
        "partitions",
        "read",
        "inserted",
        "updated",
        "deleted",
        "unchanged",
        "seconds",
    ]
    console.show_table("Lake to Postgres", columns, rows, right=range(2, 9))
    for report in reports:
        console.note(f"{report.table}: {report.reason}" if report.reason else f"{report.table}: done")
    if all(report.mode == "nothing" for report in reports):
        console.success("Nothing new in the lake: Postgres is as it was.")
    else:
        console.success("Postgres equals the lake, counted and checksummed before the commit.")
