"""invoke source.new: from a sample file to a source that lands, is staged and tested."""

from __future__ import annotations

import sys
from pathlib import Path

from penstock import console
from penstock.errors import LandingError
from penstock.settings import PROJECT_ROOT
from penstock.sources import declared, refuse_shared
from penstock.sources.declaration import NAME


def new(name: str, *, file: str, key: str = "", force: bool = False, root: Path = PROJECT_ROOT) -> list[Path]:
    """Write a new source's files from a sample, say what to look over and what comes next; return what was written.

    Raises: LandingError for a name or a sample that cannot be, a place that another source has, and for files that are
    there, unless they may be replaced.
    """
    if not NAME.fullmatch(name) or name.startswith("_") or len(name) > 41:
        raise LandingError(
            f"'{name}' cannot be a source's name.",
            hint="Small letters, digits and _, a letter first, at most 41: returns, say.",
        )
    if not file:
        raise LandingError(
            "No sample was given.", hint=f"invoke source.new {name} --file {name}.csv (or .parquet, .jsonl)"
        )
    from penstock.landing.sample import sample
    from penstock.landing.scaffold import refuse_existing, scaffold, staging_model

    path = Path(file)
    found = sample(path, name, tuple(part.strip() for part in key.split(",") if part.strip()))
    made = scaffold(path, found)
    refuse_shared(declared(root / "sources") | {name: made.source})
    if (there := made.existing(root)) and not force and not _replaces(there):
        raise refuse_existing(there)
    made.write(root)
    for written in made.files:
        console.note(f"wrote {written}")
    table = found.table
    rows = [
        (
            column.name,
            column.type,
            "yes" if column.nullable else "",
            "key" if column.name in table.key else "",
            _told(column.minimum, column.length, seen.few),
        )
        for column, seen in zip(table.columns, found.seen, strict=True)
    ]
    console.show_table(
        f"{name}, by {found.rows:,} rows of {path.name}", ["column", "type", "may be empty", "", "seen"], rows
    )
    console.note(
        f"Look over sources/{name}.yml: types, what may be empty, bounds" + ("" if key else ", the key") + "."
    )
    console.success(
        f"Source {name} is declared. Next: invoke seed --source {name} --file {file}, then"
        f" invoke build --select {staging_model(table)}"
    )
    return list(made.files)


def _told(minimum: float | None, length: int, few: list[str]) -> str:
    told = [f"{minimum:g} or more"] if minimum is not None else []
    told += [f"{length:,} elements each"] if length else []
    told += [", ".join(few)] if few and len(", ".join(few)) <= 60 else []
    return "; ".join(told)


def _replaces(there: list[Path]) -> bool:
    """Ask whether files may be replaced; no where nobody is there to ask."""
    if not sys.stdin.isatty():
        return False
    answer = input(f"Replace {', '.join(map(str, there))}? Type 'yes': ")
    return answer.strip().lower() == "yes"
