"""invoke seed, build, freshness: the main job for a person, but for its last step (`commands.sync`)."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from penstock import console
from penstock.connections import Connections, connect
from penstock.errors import BuildError, LandingError
from penstock.settings import Settings

if TYPE_CHECKING:
    from penstock.landing.seed import Progress, SeedReport
    from penstock.transform.build import BuildReport
    from penstock.transform.report import SideReport

# seed

OUTPUT = Path("output")  # below the folder that the task is run in; a folder a source, which generators fill


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
    if source != "forecast":
        if rows:
            raise LandingError(
                "--rows generates forecasts alone.",
                hint="invoke generate.sales --num-records N writes sales; then invoke seed --source sales",
            )
        show_seeded(land(connections, waiting(source), source))
        return
    with generated(rows) as path:
        show_seeded(land(connections, [path], source))


def waiting(source: str) -> list[Path]:
    """Return the files in a source's output folder, where generators write: those that a seed without --file lands.

    Of files that would land under one name the newest is taken. Raises: LandingError when there is none.
    """
    from penstock.landing.seed import lands
    from penstock.sources import table

    declared = table(source)
    folder = OUTPUT / declared.source
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*"), key=lambda path: path.stat().st_mtime_ns):
        if path.is_file() and (name := lands(declared, path)):
            found[name] = path
    if not found:
        generator = f" or make some: invoke generate.{declared.source}" if declared.source == "sales" else ""
        raise LandingError(
            f"No file was given to seed, and there is none in {folder}/.",
            hint=f"Give one with --file,{generator}.",
        )
    return sorted(found.values())


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
    if report.undeclared:
        source = report.source.partition(".")[0]
        console.note(
            f"{report.table} has columns that are not declared; add to sources/{source}.yml, and to the models:"
        )
        for column in report.undeclared:
            console.note(f"    - {{name: {column.name}, type: {quoted(column.type)}, nullable: true}}")
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


def quoted(type_: str) -> str:
    """Return a type as it is written within braces in yml, where a comma ends a value."""
    return f'"{type_}"' if "," in type_ else type_


# build


def build(connections: Connections, *, select: str, full_refresh: bool) -> None:
    from penstock.transform.build import build as build_models

    with dbt_bar() as on_line:
        report = build_models(connections, select=select, full_refresh=full_refresh, on_line=on_line)
    show_built(report)


@contextmanager
def dbt_bar() -> Iterator[Callable[[str], None]]:
    """Yield a callback for dbt's lines: nodes that ended move a bar, those that did not go well are printed.

    The whole story stays in dbt's own log; a failure is told by the error that ends the task.
    """
    with console.progress_bar() as bar:
        done = 0

        def on_line(line: str) -> None:
            nonlocal done
            found = _NODE_ENDED.search(line)
            if found is None:
                return
            name, total = found["name"].rstrip(" ."), int(found["total"])
            if done == 0:
                bar.start("dbt", total)
            done = done + 1
            bar.advance()
            bar.describe(f"dbt: {name.rpartition('.')[2][:48]}")
            if found["outcome"] in ("ERROR", "FAIL", "WARN"):
                console.err().print(line, markup=False)
            if done == total:
                done = 0

        yield on_line
        bar.finish()


# "12 of 54 PASS not_null_… [PASS in 0.76s]"; a START line is no end
_NODE_ENDED = re.compile(
    r"^\s*\d+ of (?P<total>\d+) (?P<outcome>OK|PASS|FAIL|ERROR|WARN|SKIP|NO-OP)\b\s*(?P<name>.*?)\s*(\[|$)"
)


def show_built(report: BuildReport) -> None:
    show_side(report.lake, "Lake, on Athena")
    if report.serving is not None:
        show_side(report.serving, "Serving, in Postgres")
        if report.serving_skipped:
            console.note(f"Not built yet: {report.serving_skipped}.")
    else:
        console.note(f"The serving side was not built: {report.serving_skipped}.")
    if not report.changed:
        console.success("Nothing new in the lake: no mart was changed.")
    else:
        console.success(f"{report.lake.rows:,} rows written in the lake. Next: invoke sync")


def show_side(side: SideReport, title: str) -> None:
    """Print rows, seconds and bytes scanned a model, and the tests in one line."""
    rows = [
        (
            node.name,
            node.status,
            "" if node.rows is None else f"{node.rows:,}",
            f"{node.seconds:.1f}",
            "" if node.bytes_scanned is None else console.size(node.bytes_scanned),
        )
        for node in side.models
    ]
    console.show_table(
        title, ["model", "status", "rows written", "seconds", "scanned"], rows, right=[2, 3, 4]
    )
    passed = sum(node.status == "pass" for node in side.tests)
    scanned = sum(node.bytes_scanned or 0 for node in side.tests)
    told = f"{passed} of {len(side.tests)} tests passed"
    if side.notice:
        console.note(side.notice)
    console.note(f"{told}, scanning {console.size(scanned)}; {side.seconds:.1f} s in all")


# freshness


def freshness(connections: Connections) -> None:
    """Print how old each landed source is; raises BuildError for a stale one, so that a schedule notices."""
    from penstock.transform.freshness import freshness as ask

    report = ask(connections)
    rows = [
        (
            found.source,
            found.status,
            found.landed_at,
            f"{found.age_seconds / 3600:.1f} h",
            found.late_after,
            found.stale_after,
        )
        for found in report.sources
    ]
    console.show_table(
        "Freshness",
        ["source", "status", "last landed (UTC)", "age", "late after", "stale after"],
        rows,
        right=[3],
    )
    if report.absent:
        console.note(f"Not landed yet: {', '.join(report.absent)}.")
    if report.stale:
        names = ", ".join(found.source for found in report.stale)
        raise BuildError(f"Stale: {names}.", hint="Land the missing files: invoke seed --file …")
