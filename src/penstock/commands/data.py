"""invoke seed, build, sync, freshness, query, docs: the main job for a person."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from penstock import console
from penstock.connections import Connections, connect
from penstock.errors import LandingError
from penstock.settings import Settings

if TYPE_CHECKING:
    from penstock.landing.seed import Progress, SeedReport

# seed


def seed(settings: Settings, *, files: list[str], rows: int, source: str, remove: str) -> None:
    if sum((bool(files), bool(rows), bool(remove))) > 1:
        raise LandingError("--file, --rows and --remove exclude each other.", hint="Give one of them.")
    connections = connect(settings, console.note)
    if remove:
        from penstock.landing.seed import remove as remove_file

        remove_file(connections, source, remove)
        console.success(
            f"{remove} is gone from {connections.environment.landed_location(source)}; build and sync follow."
        )
        return
    if files:
        show_seeded(land(connections, [Path(file) for file in files], source))
        return
    with generated(rows) as path:
        show_seeded(land(connections, [path], source))


@contextmanager
def generated(rows: int = 0) -> Iterator[Path]:
    """Yield the path of a generated forecast file of that many rows (0: the default data set); gone afterwards."""
    from penstock.synthetic import forecast

    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        path = Path(folder) / "forecast_generated.csv"
        console.note(f"generating {rows or forecast.ROWS:,} rows …")
        try:
            forecast.write(path, rows or forecast.ROWS)
        except ValueError as error:
            raise LandingError(str(error), hint="Give --rows a positive number.") from error
        yield path


def land(connections: Connections, files: list[Path], source: str = "forecast") -> SeedReport:
    """Land files behind a progress bar."""
    from penstock.landing.seed import seed as land_files

    with _bars() as progress:
        return land_files(connections, source, files, progress=progress)


@contextmanager
def _bars() -> Iterator[Progress]:
    """Yield a callback that drives one bar a step and file."""
    with console.progress_bar(of_bytes=True) as bar:
        current: tuple[str, str] = ("", "")
        done_before = 0

        def progress(step: Literal["check", "upload"], name: str, done: int, total: int) -> None:
            nonlocal current, done_before
            if (step, name) != current:
                current, done_before = (step, name), 0
                bar.start(f"{step} {name}", total)
            bar.advance(done - done_before)
            done_before = done

        yield progress
        bar.finish()


def show_seeded(report: SeedReport) -> None:
    for created in report.created:
        console.note(f"created {created}")
    for file in report.files:
        for notice in file.notices:
            console.note(f"{file.name}: {notice}")
    rows = [
        (
            file.name,
            f"{file.rows:,}",
            console.size(file.size),
            "uploaded" if file.uploaded else "unchanged, not sent",
        )
        for file in report.files
    ]
    console.show_table(f"Landed in {report.location}", ["file", "rows", "size", ""], rows, right=[1, 2])
    console.success(f"{report.table} is readable on Athena ({report.seconds:.1f} s). Next: invoke build")
