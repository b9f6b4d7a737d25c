"""invoke sync and its kin: lake to Postgres for a person, with progress and a report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from penstock import console
from penstock.connections import Connections
from penstock.errors import PenstockError, SettingsError

if TYPE_CHECKING:
    from penstock.settings import Settings
    from penstock.sync.declaration import Declaration
    from penstock.sync.report import Progress, SyncReport
    from penstock.sync.rounds import Shard


def sync(
    connections: Connections,
    settings: Settings,
    *,
    select: str,
    full: bool = False,
    dry_run: bool = False,
    verify: bool = False,
    repair: bool = False,
    shard: str = "",
) -> None:
    """Sync, or say what a sync would do, or compare, or mend; raises SettingsError where these contradict each other."""
    if dry_run + verify + repair > 1 or (full and (verify or repair)):
        raise SettingsError(
            "Only one of --dry-run, --verify and --repair can be asked for, and --full goes with neither of the last two.",
            hint="--verify compares and writes nothing; --repair compares and mends.",
        )
    if shard and (full or dry_run or verify or repair):
        raise SettingsError(
            "--shard syncs what is new and goes with no other flag.", hint="Leave one of them out."
        )
    if dry_run or verify:
        from penstock.commands import sync_checks

        chosen = _declared(connections, select)
        if dry_run:
            sync_checks.dry_run(connections, chosen, full=full)
        else:
            sync_checks.verify(connections, chosen)
        return
    reports = run_sync(connections, settings, select=select, full=full, mend=repair, shard=shard)
    show_synced(reports, what=f"Shard {shard}: its share" if shard else "Postgres")


def run_sync(
    connections: Connections,
    settings: Settings,
    *,
    select: str = "",
    full: bool = False,
    mend: bool = False,
    shard: str = "",
) -> list[SyncReport]:
    """Sync what the lake's manifest declares, behind a progress bar; who is to be told of failures is told.

    Returns a report a table, failed ones with their error. Raises: PlanError and the like before the first table.
    """
    from penstock.sync.interrupt import sigterm_interrupts
    from penstock.sync.postgres import Limits
    from penstock.sync.run import sync_tables

    share = _shard(shard)
    try:
        chosen = _declared(connections, select)
    except PenstockError as error:
        if not select:  # with one, it is a person at a keyboard
            _notify(settings, connections, error=error)
        raise
    _notify(settings, connections, begun=chosen)
    limits = Limits(connections=settings.sync_connections, keep_days=settings.sync_keep_runs_days)
    with sigterm_interrupts(), console.progress_bars() as bars:

        def progress(now: Progress) -> None:
            if now.step == "plan":  # where most syncs end: no bar is worth waiting for rich
                return
            bars.show(now.table, f"{now.table}: {now.step}", now.rows, now.total or None)

        reports = sync_tables(
            connections, chosen, full=full, mend=mend, progress=progress, limits=limits, shard=share
        )
    _notify(settings, connections, reports=reports)
    return reports


def _shard(text: str) -> Shard | None:
    if not text:
        return None
    from penstock.sync.rounds import Shard

    return Shard.parse(text)


def _declared(connections: Connections, select: str) -> list[Declaration]:
    from penstock.sync.declaration import declarations
    from penstock.transform.dbt import Side, target_path

    connections.postgres_url()
    manifest = target_path(Side.LAKE) / "manifest.json"
    chosen = declarations(manifest, [name for name in select.replace(",", " ").split() if name])
    for declaration in chosen:
        connections.environment.require_own_marts(declaration.lake_database, declaration.model)
    return chosen if select.split() else _built(connections, manifest, chosen)


def _built(connections: Connections, manifest: Path, chosen: list[Declaration]) -> list[Declaration]:
    """Return those that can be there: a model whose source has never landed was never built, and that is no failure."""
    from penstock.lake.readiness import unbuilt
    from penstock.sync.glue import Glue

    models = [(found.model, found.lake_database, found.lake_table) for found in chosen]
    waiting = unbuilt(connections, Glue(connections), manifest, models)
    for model, source in waiting.items():
        console.note(f"{model} is not synced: source {source} has not landed")
    return [found for found in chosen if found.model not in waiting]


def _notify(
    settings: Settings,
    connections: Connections,
    *,
    begun: Sequence[Declaration] = (),
    error: PenstockError | None = None,
    reports: Sequence[SyncReport] = (),
) -> None:
    """Tell the channels, where there are any: of killed runs as one begins, of what stopped it, of how its tables did."""
    from penstock.notify import wanted

    if not wanted(settings):
        return
    from penstock.notify.message import WHOLE_RUN, Outcome
    from penstock.notify.notifier import after_run, before_run, outcomes_of

    if begun:
        targets = [declaration.target for declaration in begun]
        told = before_run(settings, connections, targets, console.note)
    elif error is not None:
        outcome = Outcome(WHOLE_RUN, error=error.message, hint=error.hint)
        told = after_run(settings, connections, [outcome], console.note)
    else:
        told = after_run(settings, connections, outcomes_of(reports), console.note)
    for sent in told:
        if not sent.error:
            console.note(f"Told by {sent.channel}.")


def show_synced(reports: list[SyncReport], *, what: str = "Postgres") -> None:
    """Print what each table's sync did; raises the error of the first that failed, after those of the others are shown."""
    from penstock.sync.report import counted

    rows = [
        (
            report.table,
            "failed" if report.error else report.mode,
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
    if any(report.mode != "nothing" or report.error for report in reports):
        console.show_table("Lake to Postgres", columns, rows, right=range(2, 9))
    for report in reports:
        for change in report.schema_changes:
            console.note(f"{report.table}: {change}")
        if report.error is None:
            console.note(f"{report.table}: {report.reason or 'done'}")
    errors = [report.error for report in reports if report.error is not None]
    if errors:
        errors.sort(key=lambda error: -error.exit_code)  # an interruption's exit code is the run's
        done = len(reports) - len(errors)
        console.note(f"{counted(len(errors), 'table')} failed, {done} synced.")
        for error in errors[1:]:
            console.show_error(error)
        raise errors[0]
    if all(report.mode == "nothing" for report in reports):
        console.success("Nothing new in the lake: Postgres is as it was.")
    else:
        console.success(f"{what} equals the lake, counted and checksummed before the commit.")
