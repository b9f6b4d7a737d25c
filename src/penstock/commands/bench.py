"""invoke bench and bench.sync: measurements interleaved round by round on a stack of their own, and tables of ratios."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from penstock import console
from penstock.bench import ctas, first_load
from penstock.bench.measure import Comparison, Took
from penstock.bench.sync_ways import STEPS, WAYS
from penstock.commands import data
from penstock.errors import LandingError, SettingsError
from penstock.local.stack import LocalStack
from penstock.settings import Settings

if TYPE_CHECKING:
    from penstock.bench.promises import Promise
    from penstock.bench.sync_ways import Cell, Way, Ways

FIRST_LOAD_LIMIT = 1.4  # what the project promises, as ratios of the floor
CTAS_LIMIT = 3.0


def run(settings: Settings, *, file: str, rows: int, rounds: int) -> None:
    """Measure on a stack of its own (a folder in the state folder), so that no one's data is touched; print the ratios."""
    from penstock.transform.build import build_lake

    state_dir = settings.state_dir / "bench"
    stack = LocalStack(state_dir, settings.region)
    with ExitStack() as cleanup:
        scratch = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="penstock-bench-")))
        cleanup.callback(stack.reset)
        connections = stack.up(console.note)
        source = _source(file, rows, scratch)
        seeded = data.land(connections, [source])
        build_lake(
            connections, select="stg_forecast__demand fct_forecast", full_refresh=True, on_line=console.note
        )
        server = next(part.pid for part in stack.status() if part.name == "athena_local")
        taken: dict[str, list[Took]] = {"ctas": [], "duckdb": [], "sync": [], "psql": []}
        copied = scratch / "forecast_data.copy"
        for number in range(1, rounds + 1):
            console.note(f"round {number} of {rounds} …")
            taken["duckdb"].append(ctas.floor(source, scratch))
            taken["ctas"].append(ctas.ours(connections, number, server))
            taken["sync"].append(first_load.ours(connections, state_dir))
            if not copied.exists():
                first_load.export(connections, copied)
            taken["psql"].append(first_load.floor(connections, copied))
        _refuse_unequal(
            first_load.rows(connections, first_load.TABLE), first_load.rows(connections, first_load.FLOOR)
        )
        comparisons = [
            Comparison(
                "first load, verified / psql \\copy + indexes",
                tuple(taken["sync"]),
                tuple(taken["psql"]),
                FIRST_LOAD_LIMIT,
            ),
            Comparison(
                "athena_local CTAS / DuckDB CSV -> Parquet",
                tuple(taken["ctas"]),
                tuple(taken["duckdb"]),
                CTAS_LIMIT,
            ),
        ]
        show(comparisons, seeded.rows, rounds)


def layouts(settings: Settings, *, rows: int, rounds: int) -> None:
    """Measure one table in two layouts on a stack of its own; print bytes scanned, seconds and the ratios."""
    from penstock.bench import layouts as bench_layouts
    from penstock.lake.buckets import ensure_buckets
    from penstock.landing.tables import ensure_workgroup

    stack = LocalStack(settings.state_dir / "bench", settings.region)
    with ExitStack() as cleanup:
        cleanup.callback(stack.reset)
        connections = stack.up(console.note)
        ensure_buckets(connections)
        ensure_workgroup(connections, connections.client("athena"))
        figures = bench_layouts.measure(connections, rows, rounds, console.note)
    lines = [
        (
            item.query,
            item.reads,
            item.layout,
            item.files,
            console.size(item.bytes_scanned),
            f"{item.seconds:.2f}",
        )
        for item in figures
    ]
    columns = ["query", "reads", "partitioned by", "files", "scanned", "s"]
    console.show_table(f"{rows:,} rows, median of {rounds} rounds", columns, lines, right=[3, 4, 5])


def _source(file: str, rows: int, scratch: Path) -> Path:
    """Return an uncompressed CSV on disk: DuckDB must read the same bytes as the local Athena."""
    if not file:
        from penstock.synthetic import forecast

        path = scratch / "forecast.csv"
        forecast.write(path, rows)
        return path
    given = Path(file)
    if not given.is_file():
        raise LandingError(
            f"{file} is no file.", hint="invoke bench --file PATH, or --rows N to generate one."
        )
    if given.suffix == ".csv":
        return given
    from penstock.landing.check import normalized
    from penstock.landing.reading import landed_name
    from penstock.sources import table

    path = scratch / landed_name(given)
    with path.open("wb") as target:
        target.writelines(normalized(given, table("forecast")))
    return path


def _refuse_unequal(ours: int, floor: int) -> None:
    if ours != floor:
        raise LandingError(f"Not comparable: {ours:,} rows synced, {floor:,} rows loaded by psql.")


def show(comparisons: list[Comparison], rows: int, rounds: int) -> None:
    lines = [
        (
            item.name,
            f"{item.ours_seconds:.2f}",
            f"{item.floor_seconds:.2f}",
            f"{item.ratio:.2f}",
            f"{item.limit:.1f}",
            console.size(item.ours_peak),
            console.size(item.floor_peak),
        )
        for item in comparisons
    ]
    columns = ["ours / floor", "ours s", "floor s", "ratio", "promised", "ours peak", "floor peak"]
    console.show_table(
        f"{rows:,} rows, median of {rounds} interleaved rounds", columns, lines, right=range(1, 7)
    )


def sync(settings: Settings, *, file: str, rows: int, rounds: int, only: str, big: str) -> None:
    """Measure the sync beside other ways on a stack of its own, and print what it promises with what was found."""
    from penstock.bench import promises
    from penstock.bench.forecast_lake import ForecastLake, changed, read, repeated
    from penstock.bench.sync_ways import Ways, ensure_declared, refuse_without_dlt

    names, multiples = chosen(only, big)
    if "dlt" in names:
        refuse_without_dlt()
    state_dir = settings.state_dir / "bench"
    stack = LocalStack(state_dir, settings.region)
    with ExitStack() as cleanup:
        scratch = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="penstock-bench-")))
        cleanup.callback(stack.reset)
        connections = stack.up(console.note)
        ensure_declared(connections)
        source = read(_source(file, rows, scratch))
        lake = ForecastLake(connections)
        console.note("writing the lake table in its versions …")
        second_rows, change = changed(source)
        month_rows, _ = changed(source, one_month=True)
        first, month, second = lake.make([source]), lake.rewrite(month_rows), lake.rewrite(second_rows)
        server = next(part.pid for part in stack.status() if part.name == "postgres")
        ways = Ways(lake, state_dir, scratch, server)
        ways.warm_up(names)
        dates = source["business_date"].to_numpy()
        for number in range(1, rounds + 1):
            console.note(f"round {number} of {rounds} …")
            ways.ours_anew(first)
            if "floor" in names:
                ways.floor()
            ways.ours_again(second)
            if "dlt" in names:
                ways.dlt(first, second)
        _compare(ways, second)
        if multiples:
            ways.ours_month(first, month, rounds)
        if "spec" in names:
            console.note("the spec's Lambda, one round …")
            ways.spec(first, str(dates.min()), str(dates.max()))
        touched = len(set(second.files.values()) - set(first.files.values()))
        title = (
            f"{first.rows:,} rows, median of {rounds} interleaved rounds; C: {change.changed:,} changed, "
            f"{change.added:,} added, {change.deleted:,} deleted in {touched} of {len(second.files)} files"
        )
        show_ways(title, [ways.ways[name] for name in names])
        kept = promises.promises(ways.ways, ways.idle)
        for times in multiples:
            console.note(f"{times} times the months …")
            many = lake.make(repeated(source, times))
            many_month = lake.rewrite(month_rows)
            larger = Ways(lake, state_dir, scratch, server)
            larger.ours_anew(many)
            larger.ours_month(many, many_month, rounds)
            larger.ours_in_shards(many)
            title = f"{many.rows:,} rows, {times} times the months"
            show_ways(title, [larger.ways["ours"], larger.shards])
            kept += promises.growth(ways.ways["ours"], larger.ways["ours"], times)
        show_promises(kept)


def chosen(only: str, big: str) -> tuple[tuple[str, ...], list[int]]:
    """Return the ways to measure, ours always among them, and the multiples; raises SettingsError for unknown ones."""
    wanted = [name for name in only.replace(",", " ").split() if name] or list(WAYS)
    for name in wanted:
        if name not in WAYS:
            raise SettingsError(f"--only {only}: '{name}' is no way.", hint=f"Known: {', '.join(WAYS)}.")
    multiples = big.replace(",", " ").split()
    if not all(item.isdigit() and int(item) > 1 for item in multiples):
        raise SettingsError(f"--big {big} is no list of multiples.", hint="--big 10, or --big 10,40")
    names = tuple(name for name in WAYS if name in wanted or name == "ours")
    return names, [int(item) for item in multiples]


def _compare(ways: Ways, second: object) -> None:
    """Compare what ours and dlt's tables hold after C with the lake."""
    from penstock.bench import first_load
    from penstock.bench.forecast_lake import Version
    from penstock.bench.sync_ways import DLT_TABLE

    assert isinstance(second, Version)
    ways.expect(second)
    ways.compare("ours", f"public.{first_load.TABLE}")
    if ways.ways["dlt"].steps["C"].took:
        ways.compare("dlt", f"{DLT_TABLE}.{first_load.TABLE}")


def show_ways(title: str, ways: list[Way]) -> None:
    """Print seconds by step, the processor seconds of client and server beside them, and the peak memory."""
    rows = []
    for way in ways:
        cells = [_shown(way.steps[step]) for step in STEPS]
        exact = {None: "–", True: "yes", False: way.differs}[way.exact]
        peak = max(cell.peak_bytes for cell in way.steps.values())
        rows.append((way.name, *cells, exact, console.size(peak)))
    columns = ["way", *(f"{step} s (client + server CPU)" for step in STEPS), "equals the lake", "peak"]
    console.show_table(title, columns, rows, right=range(1, 5))


def _shown(cell: Cell) -> str:
    if not cell.took:
        return cell.note or "–"
    client, server = cell.cpu_seconds
    shown = f"{cell.seconds:.2f} ({client:.2f} + {server:.2f})"
    return f"{shown}, once {cell.note}" if cell.note else shown


def show_promises(kept: list[Promise]) -> None:
    rows = [
        (
            item.name,
            "–" if item.found is None else item.shown.format(item.found),
            item.shown.format(item.limit),
            item.verdict,
        )
        for item in kept
    ]
    console.show_table("What the sync promises", ["promise", "found", "at most", ""], rows, right=(1, 2))
    failed = [item.name for item in kept if item.verdict == "failed"]
    if failed:
        console.note(f"Failed: {'; '.join(failed)}.")
    else:
        console.success(f"{sum(item.verdict == 'passed' for item in kept)} promises held.")
