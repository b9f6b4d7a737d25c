"""invoke bench: the two measurements, interleaved round by round on a stack of their own, and a table of ratios."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from penstock import console
from penstock.bench import ctas, first_load
from penstock.bench.measure import Comparison, Took
from penstock.commands import data
from penstock.errors import LandingError
from penstock.local.stack import LocalStack
from penstock.settings import Settings

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
    from penstock.sources import get

    path = scratch / landed_name(given)
    with path.open("wb") as target:
        target.writelines(normalized(given, get("forecast")))
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
