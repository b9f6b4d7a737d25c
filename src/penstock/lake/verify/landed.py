"""What landed: database, external table, files, those in the archive, and whether Athena reads every row of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.connections import Connections
from penstock.lake.archive import Landed
from penstock.lake.verify.report import Notes, listed
from penstock.landing import tables
from penstock.sources import Table
from penstock.sync.report import counted


def database(glue: Any, name: str, notes: Notes, todo: str) -> bool:
    """Note whether a database exists."""
    from botocore.exceptions import ClientError

    try:
        glue.get_database(Name=name)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "EntityNotFoundException":
            raise
        notes.add("database", name, "missing", "exists", "failed", todo)
        return False
    notes.add("database", name, "exists", "exists")
    return True


def table(connections: Connections, glue: Any, declared: Table, notes: Notes) -> bool:
    """Note whether the external table is there and as declared; return whether it can be read."""
    environment = connections.environment
    name = f"{environment.landed_database(declared.source)}.{declared.name}"
    expected = f"as sources/{declared.source}.yml declares"
    seed = f"invoke seed --source {declared.source} --file …"
    try:
        found = glue.get_table(DatabaseName=environment.landed_database(declared.source), Name=declared.name)[
            "Table"
        ]
    except glue.exceptions.EntityNotFoundException:
        notes.add("landed table", name, "missing", expected, "failed", f"{seed} makes it; files stay.")
        return False
    wrong = tables.differences(found, declared, environment.landed_location(declared.qualified))
    told = "; ".join(f"{what}: {is_} instead of {due}" for what, is_, due in wrong)
    todo = f'Drop it (invoke query "drop table {name}"; the files stay), then {seed}'
    notes.add("landed table", name, told or "as declared", expected, "failed" if wrong else "ok", todo)
    return True


def archived(name: str, files: Sequence[Landed], notes: Notes) -> None:
    """Note the landed files, and by name which of them lie in the archive."""
    away = [file for file in files if file.archived]
    rows = sum(file.rows or 0 for file in away)
    if away:
        told = f"{len(away):,} of {len(files):,} files are archived ({rows:,} rows): {listed(file.name for file in away)}"
        todo = "Nothing is lost: Athena passes over them, marts keep their rows. docs/verify.md says how one is restored."
        notes.add("landed files", name, told, "readable, or in the archive", "archived", todo)
    elif files:
        notes.add("landed files", name, counted(len(files), "file"), "readable, or in the archive")
    else:
        notes.add("landed files", name, "none", "at least one", "warning", "invoke seed")


def rows(name: str, files: Sequence[Landed], read: int, notes: Notes, todo: str) -> None:
    """Note whether Athena reads as many rows as were landed, by what each seed wrote beside its file."""
    unknown = [file.name for file in files if not file.archived and file.rows is None]
    if unknown:
        notes.skip(
            "landed rows",
            name,
            f"how many rows landed is not noted with {listed(unknown)}: not put there by seed",
        )
        return
    due = sum(file.rows or 0 for file in files if not file.archived)
    notes.equal("landed rows", name, f"{read:,}", f"{due:,}", todo)
