"""invoke lake.*: history and rollback of a table, its upkeep, its orphans, its repartitioning; shown to a person."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from penstock import console
from penstock.connections import Connections
from penstock.errors import LakeError
from penstock.lake.tables import TableName, built_models, read_version, resolve
from penstock.settings import Settings
from penstock.sync.report import counted

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.lake.history import Held
    from penstock.lake.repartition import Repartitioned
    from penstock.lake.upkeep import Policy, Size, Step


def _manifest() -> Path:
    from penstock.transform.dbt import Side, target_path

    return target_path(Side.LAKE) / "manifest.json"


def _table(connections: Connections, name: str) -> TableName:
    return resolve(connections, name, _manifest())


# history and rollback


def history(connections: Connections, table: str, *, as_json: bool = False, limit: int = 20) -> None:
    """Print a table's snapshots, newest first, with what each did and which one Postgres holds."""
    from penstock.lake.history import held_in_postgres, snapshots

    name = _table(connections, table)
    version = read_version(connections, name)
    held = held_in_postgres(connections, str(name))
    lines = snapshots(version, held or [])
    shown = lines[:limit] if limit else lines
    if as_json:
        console.line(json.dumps([item.as_data() for item in shown], indent=1))
        return
    rows = [
        (
            item.id,
            f"{item.at:%Y-%m-%d %H:%M:%S}",
            item.operation,
            _figure(item.added),
            _figure(item.deleted),
            _figure(item.rows),
            _figure(item.files),
            "" if item.bytes is None else console.size(item.bytes),
            ", ".join((*(["current"] if item.current else []), *item.held_by)),
        )
        for item in shown
    ]
    columns = ["snapshot", "at (UTC)", "operation", "added", "deleted", "rows", "files", "size", ""]
    console.show_table(f"Snapshots of {name}", columns, rows, right=range(3, 8))
    if len(shown) < len(lines):
        console.note(f"{len(lines) - len(shown)} older ones: --limit 0 shows all.")
    _tell_postgres(name, version.uuid, held, {item.id for item in lines})


def _tell_postgres(name: TableName, uuid: str, held: list[Held] | None, known: set[int]) -> None:
    """Say what the table of snapshots cannot show: Postgres was not asked, or holds one that is not among them."""
    if held is None:
        console.note("What Postgres holds is not known: it is not set or does not answer.")
    for one in held or ():
        if one.table_uuid != uuid:
            console.note(f"{one.target} in Postgres holds another table that had the name {name}.")
        elif one.snapshot_id is not None and one.snapshot_id not in known:
            console.note(f"{one.target} in Postgres holds snapshot {one.snapshot_id}, which has expired.")


def rollback(connections: Connections, table: str, *, to: str, yes: bool = False) -> None:
    """Put a table back to a snapshot or a time, after asking."""
    from penstock.lake.rollback import plan_rollback, roll_back

    if not to:
        raise LakeError(
            "--to is missing.", hint="--to SNAPSHOT (invoke lake.history) or --to 2026-03-01T06:00"
        )
    planned = plan_rollback(connections, _table(connections, table), to)
    if planned.nothing_to_do:
        console.success(f"{planned.name} is at snapshot {planned.snapshot_id} already.")
        return
    if not _confirmed(f"Roll {planned.name} {planned.describe()}?", yes=yes):
        return
    roll_back(connections, planned)
    console.success(f"{planned.name} is at snapshot {planned.snapshot_id}. Next: invoke sync")
    console.note(f"Undone by: invoke lake.rollback {planned.name} --to {planned.version.snapshot_id} --yes")
    console.note("The next build merges again what its sources say: take a wrong file out first.")


# upkeep


def optimize(connections: Connections, table: str, *, where: str = "") -> None:
    from penstock.lake.upkeep import optimize as compact

    _show_steps([compact(connections, _table(connections, table), where=where)])


def vacuum(connections: Connections, table: str, *, yes: bool = False) -> None:
    """Forget old snapshots; asks where Postgres still holds one of them."""
    from penstock.lake.history import held_in_postgres
    from penstock.lake.upkeep import expiring, policy_on, still_needed
    from penstock.lake.upkeep import vacuum as expire

    name = _table(connections, table)
    version = read_version(connections, name)
    held = held_in_postgres(connections, str(name))
    if held is None:
        console.note("What Postgres holds is not known: it is not set or does not answer.")
    waiting = still_needed(version, held or [], expiring(version, policy_on(version)))
    if waiting:
        question = (
            f"{', '.join(waiting)} in Postgres still holds a snapshot that this forgets: the next sync will compare every"
            " partition instead of the changed files. Go on?"
        )
        if not _confirmed(question, yes=yes):
            return
    _show_steps([expire(connections, name)])


def upkeep(connections: Connections, settings: Settings, *, table: str = "", dry_run: bool = False) -> None:
    """Do what is due on one table, or on every Iceberg model of the last build.

    Raises: LakeError naming the tables that could not be kept up, after the others were.
    """
    from penstock.lake.upkeep import upkeep as keep_up

    steps: list[Step] = []
    failed: list[str] = []
    for name, policy in _policies(connections, settings, table):
        if policy is None:
            console.note(f"{name}: meta.upkeep is false")
            continue
        try:
            steps += keep_up(connections, name, policy, dry_run=dry_run)
        except LakeError as error:
            if table:
                raise
            failed.append(f"{name}: {error.message}")
    _show_steps(steps)
    if failed:
        raise LakeError("\n  ".join(["Not kept up:", *failed]), hint="The other tables were.")


def _policies(
    connections: Connections, settings: Settings, table: str
) -> list[tuple[TableName, Policy | None]]:
    from penstock.lake.upkeep import of_settings, policy_of

    default = of_settings(settings)
    models = built_models(connections.environment, _manifest())
    if not table:
        if not models:
            raise LakeError(
                "There are no Iceberg models of a build of this environment.", hint="invoke build"
            )
        chosen = [(TableName(node["schema"], node["alias"] or name), node) for name, node in models.items()]
        return [
            (name, policy_of(node["name"], _meta(node), default)) for name, node in sorted(chosen, key=_first)
        ]
    name = _table(connections, table)
    node = next(
        (node for node in models.values() if (node["schema"], node["alias"]) == (name.database, name.table)),
        None,
    )
    return [(name, default if node is None else policy_of(node["name"], _meta(node), default))]


def _first(pair: tuple[TableName, object]) -> str:
    return str(pair[0])


def _meta(node: dict[str, dict[str, dict[str, object]]]) -> dict[str, object]:
    return node["config"].get("meta") or {}


def _show_steps(steps: list[Step]) -> None:
    rows = [
        (
            step.table,
            step.work,
            "done" if step.done else "-",
            step.why,
            _change(step),
            console.size(step.bytes_scanned) if step.bytes_scanned else "",
        )
        for step in steps
    ]
    console.show_table("Upkeep", ["table", "work", "", "why", "before -> after", "scanned"], rows, right=[5])


def _change(step: Step) -> str:
    if step.snapshots is not None:
        return f"{step.snapshots[0]} -> {counted(step.snapshots[1], 'snapshot')}"
    if step.before is None or step.after is None:
        return ""
    return f"{_files(step.before)} -> {_files(step.after)} files, {console.size(step.after.bytes)}"


def _files(size: Size) -> str:
    return f"{size.files}+{size.delete_files}" if size.delete_files else str(size.files)


def orphans(
    connections: Connections, table: str, *, older_than: str = "3d", delete: bool = False, yes: bool = False
) -> None:
    """List files that nothing references; delete them after asking."""
    from penstock.lake.orphans import delete_orphans, find_orphans, parse_age

    name = _table(connections, table)
    found = find_orphans(connections, name, older_than_seconds=parse_age(older_than))
    rows = [
        (item.location, console.size(item.size), f"{item.age_seconds / 86_400:.1f}") for item in found.files
    ]
    if rows:
        console.show_table(f"Nothing of {name} references", ["file", "size", "days old"], rows, right=[1, 2])
    console.note(
        f"{counted(found.referenced, 'file')} in use, {counted(found.young, 'file')} too young to tell (--older-than)"
    )
    if not found.files:
        console.success(f"No orphans of {older_than} or older below {found.location}.")
        return
    told = f"{counted(len(found.files), 'orphan')}, {console.size(found.bytes)}"
    if not delete:
        console.note(f"{told}. --delete deletes them.")
        return
    if _confirmed(f"Delete {told}?", yes=yes):
        console.success(f"{counted(delete_orphans(connections, found), 'file')} deleted.")


# repartition


def repartition(
    connections: Connections,
    table: str,
    *,
    by: str = "",
    finish: bool = False,
    abort: bool = False,
    status: bool = False,
    yes: bool = False,
) -> None:
    """Give a table another partitioning; or say where that stands, end it for good, or undo it."""
    from penstock.lake import repartition as moving

    if sum((finish, abort, status, bool(by))) > 1:
        raise LakeError("--by, --finish, --abort and --status exclude each other.", hint="Give one of them.")
    name = _table(connections, table)
    if status:
        _show_standing(connections, name)
    elif finish:
        if _confirmed(f"Delete the old layout of {name}? There is no way back then.", yes=yes):
            console.success(
                f"{console.size(moving.finish(connections, name))} of the old layout are deleted."
            )
    elif abort:
        if _confirmed(f"Undo the repartition of {name}?", yes=yes):
            done = moving.abort(connections, name, say=console.note)
            _show_moved(done)
            console.success(f"{name} has its old layout again: {', '.join(done.by) or 'unpartitioned'}.")
    else:
        done = moving.repartition(connections, name, by, say=console.note)
        _show_moved(done)
        console.success(f"{name} is partitioned by {', '.join(done.by)}. Next: invoke sync (writes no row)")
        _tell_config(name, done.by)
        console.note(f"The old layout is kept as {done.kept}: --finish deletes it, --abort goes back to it.")


def _show_moved(done: Repartitioned) -> None:
    console.note(
        f"{counted(done.groups, 'group')} of rows proved equal, {done.cost.rows:,} rows copied,"
        f" {done.cost.statements} statements, {console.size(done.cost.bytes_scanned)} scanned, {done.seconds:.1f} s"
    )


def _tell_config(name: TableName, by: tuple[str, ...]) -> None:
    listed = ", ".join(f"'{item}'" for item in by)
    console.note(
        f"Commit to {name.model_file or 'the model'}, in config(), or a full refresh brings the old layout back:"
    )
    console.line(f"    partitioned_by=[{listed}],")


def _show_standing(connections: Connections, name: TableName) -> None:
    from penstock.lake.repartition import standing

    found = standing(connections, name)
    if found is None:
        console.success(f"No repartition of {name} is under way.")
        return
    points = {"old": "the old layout", "new": "the new layout", "other": "a table made anew since"}
    doing = {"copying": "", "aborting": "; an --abort was begun", "finishing": "; a --finish was begun"}
    console.line(
        f"{name} by {', '.join(found.migration.by)}, begun {found.migration.started_at}:"
        f" the name points to {points[found.position]}{doing[found.migration.phase]}."
    )


# asking


def _figure(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def _confirmed(question: str, *, yes: bool) -> bool:
    """Return whether to go on; raises LakeError where nobody can answer."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise LakeError(f"{question} Nobody is here to confirm it.", hint="Add --yes.")
    if input(f"{question} Type 'yes': ").strip().lower() == "yes":
        return True
    console.note("Nothing was changed.")
    return False
