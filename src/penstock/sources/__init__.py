"""Declared sources by name, read from `sources/*.yml`. A source is what lands, as data: columns, types, checks, key, format.

All of them are read together, for two that would land in one place are a fault of neither alone.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from penstock.errors import DeclarationError, LandingError
from penstock.sources.declaration import Column, Derived, Source, Table

FOLDER = Path(__file__).resolve().parents[3] / "sources"


def declared(folder: Path | None = None) -> dict[str, Source]:
    """Return all declared sources by name.

    Raises: DeclarationError for a declaration that cannot be used, and for two that share a database's table or a location.
    """
    paths = sorted((folder or FOLDER).glob("*.yml"))
    return dict(_read(tuple((path, *_stamp(path)) for path in paths)))


def get(name: str) -> Source:
    """Return a declared source; raises LandingError naming those there are."""
    found = declared()
    if name not in found:
        near = get_close_matches(name, found, 1)
        meant = f" {near[0]} is meant, perhaps." if near else ""
        raise LandingError(
            f"'{name}' is no declared source.",
            hint=f"Declared are: {', '.join(sorted(found)) or 'none'}.{meant} `invoke source.new` adds one.",
        )
    return found[name]


def table(name: str) -> Table:
    """Return a landed table by its source's name, or `source.table` where the source has several.

    Raises: LandingError for an unknown one, and for a source alone that has several.
    """
    source_name, _, table_name = name.partition(".")
    source = get(source_name)
    names = [found.name for found in source.tables]
    if not table_name and len(names) == 1:
        return source.table
    if table_name not in names:
        told = f"has no table '{table_name}'" if table_name else "has several tables"
        choices = ", ".join(f"{source_name}.{found}" for found in names)
        raise LandingError(f"Source {source_name} {told}.", hint=f"Name one of: {choices}.")
    return source.tables[names.index(table_name)]


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=8)
def _read(files: tuple[tuple[Path, int, int], ...]) -> dict[str, Source]:
    from penstock.sources.reading import read

    sources = {path.stem: read(path) for path, _, _ in files}
    refuse_shared(sources)
    return sources


def refuse_shared(sources: dict[str, Source]) -> None:
    """Raise DeclarationError for two sources that share a table of a database, or a location."""
    from penstock.sources.reading import overlap

    seen: list[tuple[Source, Table]] = []
    for source in sources.values():
        for landed in source.tables:
            for other, before in seen:
                same = (other.database, before.name) == (source.database, landed.name)
                if other is not source and (same or overlap(landed.prefix, before.prefix)):
                    what = f"table {landed.name}" if same else f"the location {landed.prefix}"
                    raise DeclarationError(
                        f"sources/{other.name}.yml and sources/{source.name}.yml share {what}.",
                        hint="Give one of them another database or folder.",
                    )
            seen.append((source, landed))


__all__ = ["Column", "Derived", "Source", "Table", "declared", "get", "refuse_shared", "table"]
