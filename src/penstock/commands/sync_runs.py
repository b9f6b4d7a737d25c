"""invoke sync.status, sync.history and sync.notify-test: how the syncs do, for a person or, with --json, for a program."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from penstock import console
from penstock.connections import Connections
from penstock.errors import NotifyError, SettingsError, SyncError
from penstock.sync.report import ago, counted

# Postgres's jsonb keeps keys in an order of its own.
STEPS = ("plan", "compare", "copy", "index", "merge", "verify", "commit")

if TYPE_CHECKING:
    from penstock.settings import Settings
    from penstock.sync.status import Run, TableStatus


def status(
    connections: Connections, *, select: str = "", as_json: bool = False, fail_if_behind: float | None = None
) -> None:
    """Print where each declared table stands.

    Raises: SyncError, after the print, when the last run of a table failed, and when one lacks what the lake has held
    for more than `fail_if_behind` minutes.
    """
    from penstock.sync.declaration import declarations
    from penstock.sync.status import statuses
    from penstock.transform.dbt import Side, target_path

    manifest = target_path(Side.LAKE) / "manifest.json"
    chosen = declarations(manifest, [name for name in select.replace(",", " ").split() if name])
    found = statuses(connections, chosen)
    if as_json:
        console.line(json.dumps([item.as_data() for item in found], indent=1))
    else:
        _show_statuses(found)
    failing = [item.table for item in found if item.failing]
    late = [] if fail_if_behind is None else [item.table for item in found if item.late(fail_if_behind)]
    if failing or late:
        parts = [f"The last sync failed: {', '.join(failing)}."] if failing else []
        parts += [f"Behind by more than {fail_if_behind:g} min: {', '.join(late)}."] if late else []
        raise SyncError(" ".join(parts), hint="invoke sync.history --failed; then invoke sync")


def _show_statuses(found: list[TableStatus]) -> None:
    if not found:
        console.note("No model declares meta.sync: docs/how-to/add-a-mart.md says how.")
        return
    now = datetime.now(UTC)
    rows = [
        (
            item.table,
            item.standing,
            _behind(item),
            _rows(item),
            _when(item.last_run, now),
            _when(item.last_success, now),
            item.committed_snapshot,
            item.lake_snapshot,
        )
        for item in found
    ]
    columns = [
        "table",
        "is",
        "behind",
        "rows",
        "last run",
        "last success",
        "snapshot committed",
        "in the lake",
    ]
    console.show_table("Lake and Postgres", columns, rows, right=[3, 6, 7])
    for item in found:
        for text in _remarks(item, now):
            console.line(text)
    if all(item.last_run is None for item in found):
        console.note("Nothing was ever synced into this database: invoke sync")


def _remarks(item: TableStatus, now: datetime) -> list[str]:
    """What a table's line has no room for: its problem, a run at work or killed, the last failure with the next step."""
    remarks = [f"{item.table}: {item.problem}"] if item.problem else []
    if item.shards:
        remarks.append(f"{item.table}: {item.shards}; what it holds meanwhile is no one snapshot")
    for attempt in item.attempts:
        since = ago((now - attempt.started_at).total_seconds())
        what = "is being synced" if attempt.alive else "its sync was killed; it began"
        remarks.append(f"{item.table}: {what}, process {attempt.process} on {attempt.host}, {since} ago")
    if item.last_failure is not None:
        failure = item.last_failure
        if item.last_run == failure and item.failing_since:
            begun = f"failing for {ago((now - item.failing_since).total_seconds())}"
        else:
            begun = f"last failed {ago((now - failure.finished_at).total_seconds())} ago, good since"
        remarks += [f"{item.table}: {begun}", *_error_lines(failure)]
    return remarks


def _error_lines(run: Run) -> list[str]:
    lines = [f"    {f'at {run.step}: ' if run.step else ''}{run.error}"]
    return [*lines, f"    next: {run.hint}"] if run.hint else lines


def _behind(item: TableStatus) -> str:
    if item.snapshots_behind is None or item.behind_seconds is None:
        return "?"
    if not item.snapshots_behind:
        return "-"
    least = "at least " if item.behind_at_least else ""
    return f"{least}{ago(item.behind_seconds)}, {counted(item.snapshots_behind, 'snapshot')}"


def _rows(item: TableStatus) -> str:
    if item.rows is None:
        return "?" if item.standing not in ("never synced", "gone") else ""
    return f"{item.rows:,}" if item.rows_exact else f"about {item.rows:,}"


def _when(run: Run | None, now: datetime) -> str:
    if run is None:
        return "never"
    what = f"{run.status}, " if run.failed else ""
    return f"{what}{ago((now - run.finished_at).total_seconds())} ago"


def history(
    connections: Connections, *, table: str = "", limit: int = 20, failed: bool = False, as_json: bool = False
) -> None:
    """Print the latest runs, newest first; raises SettingsError for a limit that is none."""
    from penstock.sync.status import as_data
    from penstock.sync.status import history as read

    if limit < 1:
        raise SettingsError(f"--limit {limit} shows nothing.", hint="--limit 20, say.")
    found = read(connections, table=table, limit=limit, failed=failed)
    if as_json:
        console.line(json.dumps([as_data(run) for run in found or []], indent=1))
    elif found is None:
        console.note("Nothing was ever synced into this database: invoke sync")
    elif not found:
        of = f" of {table}" if table else ""
        console.note(f"No {'failed ' if failed else ''}run{of} is recorded.")
    else:
        _show_runs(found)


def _show_runs(found: list[Run]) -> None:
    rows = [
        (
            run.id,
            f"{run.finished_at:%Y-%m-%d %H:%M:%S}",
            run.target,
            _result(run),
            run.partitions,
            console.size(run.bytes_read),
            f"+{run.inserted:,} ~{run.updated:,} -{run.deleted:,}",
            f"{sum(run.seconds.values()):.2f}",
            _by_step(run),
        )
        for run in found
    ]
    columns = ["run", "ended (UTC)", "table", "result", "partitions", "read", "rows", "seconds", "by step"]
    console.show_table("Runs, newest first", columns, rows, right=[0, 4, 5, 6, 7])
    for run in found:
        if run.error:
            console.line(f"run {run.id}, {run.target}:")
            for text in _error_lines(run):
                console.line(text)


def _result(run: Run) -> str:
    if run.failed:
        return f"failed at {run.step}" if run.step else "failed"
    return run.mode if run.runs == 1 else f"{run.mode} x {run.runs:,}"


def _by_step(run: Run) -> str:
    """The steps that took a tenth of a second or more, in the order in which they come."""
    steps = sorted(run.seconds, key=lambda step: STEPS.index(step) if step in STEPS else len(STEPS))
    return " ".join(f"{step} {run.seconds[step]:.1f}" for step in steps if run.seconds[step] >= 0.05)


def notify_test(connections: Connections, settings: Settings) -> None:
    """Send a test message to each channel; raises NotifyError when one did not take it, SettingsError when there is none."""
    from penstock.notify import wanted
    from penstock.notify.notifier import try_channels

    if not wanted(settings):
        raise SettingsError(
            "No channel is set up.",
            hint="Set PENSTOCK_NOTIFY_WEBHOOK, PENSTOCK_NOTIFY_SNS_TOPIC, or PENSTOCK_NOTIFY_EMAIL_TO with PENSTOCK_SMTP_URL"
            " (docs/how-to/notifications.md).",
        )
    sent = try_channels(settings, connections)
    console.show_table(
        "Test message", ["channel", "result"], [(item.channel, item.error or "taken") for item in sent]
    )
    refused = [item for item in sent if item.error]
    if refused:
        hint = next((item.hint for item in refused if item.hint), "docs/how-to/notifications.md")
        raise NotifyError(f"{counted(len(refused), 'channel')} did not take the message.", hint=hint)
    console.success(f"{counted(len(sent), 'channel')} took the message: look whether it arrived.")
