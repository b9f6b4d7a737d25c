"""invoke demo: the main job from a clone to a result in Postgres, on the local stack, with what each step took.

A second run finds nothing to do and says so. It works on the local target alone.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from penstock import console
from penstock.commands import data
from penstock.commands import sync as syncing
from penstock.connections import Connections, connect
from penstock.settings import Settings
from penstock.transform import build

SALES = 2_000  # 16 MB of embeddings: enough to see something, and a few seconds
SUMMARY_ROWS = 10
SALES_SUMMARY = f"""
    select category, count(*), round(avg(sold_price), 2), round(avg(sold_price) filter (where condition = 'new'), 2)
    from public.sales_history group by category order by count(*) desc, category limit {SUMMARY_ROWS}
"""
SUMMARY = f"""
    select state, count(*), round(avg(y_50), 2), min(y_05), max(y_95)
    from public.forecast_data group by state order by count(*) desc, state limit {SUMMARY_ROWS}
"""


@dataclass
class Step:
    """One line of the closing table. `rows` are those written; `scanned` bytes are Athena's, None where it is not asked."""

    name: str
    seconds: float = 0.0
    rows: int = 0
    scanned: int | None = None
    told: str = ""


class Steps:
    """What was done so far, and how long it took."""

    def __init__(self) -> None:
        self.done: list[Step] = []

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        console.err().rule(f"[bold]{name}", align="left")
        step, started = Step(name), time.perf_counter()
        yield step
        step.seconds = time.perf_counter() - started
        self.done.append(step)


def run(settings: Settings, *, rows: int) -> None:
    """Do up, seed, build, sync, serve in order; print the table of steps, the summary by state and what to try next."""
    steps = Steps()
    with steps.step("up") as step:
        connections = connect(settings, console.note)
        step.told = "S3, Athena, PostgreSQL on loopback"
    with steps.step("seed") as step, data.generated(rows) as forecasts, _generated_sales() as sales:
        landed = [data.land(connections, [forecasts]), data.land(connections, [sales], "sales")]
        for seeded in landed:
            data.show_seeded(seeded)
        step.rows = sum(file.rows for seeded in landed for file in seeded.files if file.uploaded)
        changed = any(seeded.changed for seeded in landed)
        step.told = "CSV and Parquet checked and landed" if changed else "the same files lie there"
    with steps.step("build") as step:
        with data.dbt_bar() as on_line:
            lake = build.build_lake(connections, on_line=on_line)
        data.show_side(lake, "Lake, on Athena")
        step.rows, step.scanned = lake.rows, lake.bytes_scanned
        step.told = "Iceberg marts built and tested" if lake.rows else "no mart differs; tests passed"
    with steps.step("sync") as step:
        synced = syncing.run_sync(connections, settings)
        syncing.show_synced(synced)
        step.rows = sum(report.inserted + report.updated + report.deleted for report in synced)
        step.told = "Postgres equals the lake" if step.rows else "no snapshot is new"
    with steps.step("serve") as step:
        with data.dbt_bar() as on_line:
            served = build.build_serving(connections, on_line=on_line)
        data.show_side(served, "Serving, in Postgres")
        step.told = "views over the synced table, tested"
    _close(connections, steps.done, nothing_new=not any(step.rows for step in steps.done))


@contextmanager
def _generated_sales() -> Iterator[Path]:
    """Yield the path of a small generated sales history; gone afterwards."""
    from penstock.synthetic import sales

    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        path = Path(folder) / "sales_generated.parquet"
        console.note(f"generating {SALES:,} sales …")
        sales.write(path, SALES)
        yield path


def _close(connections: Connections, steps: list[Step], *, nothing_new: bool) -> None:
    rows: list[tuple[object, ...]] = [
        (
            step.name,
            f"{step.rows:,}" if step.rows else "",
            f"{step.seconds:.1f}",
            "" if step.scanned is None else console.size(step.scanned),
            step.told,
        )
        for step in steps
    ]
    rows.append(("total", "", f"{sum(step.seconds for step in steps):.1f}", "", ""))
    console.show_table("The main job", ["step", "rows", "seconds", "scanned", ""], rows, right=[1, 2, 3])
    summary = [
        (state, f"{count:,}", mean, low, high)
        for state, count, mean, low, high in _asked(connections, SUMMARY)
    ]
    console.show_table(
        "Forecast by state, read from Postgres",
        ["state", "rows", "mean y_50", "min y_05", "max y_95"],
        summary,
        right=range(1, 5),
    )
    sold = [(name, f"{count:,}", mean, new) for name, count, mean, new in _asked(connections, SALES_SUMMARY)]
    console.show_table(
        "Sales by category, read from Postgres",
        ["category", "sales", "mean price", "mean price, new"],
        sold,
        right=range(1, 4),
    )
    if nothing_new:
        console.success("Nothing to do: what was generated is landed, modelled and synced already.")
    console.note(
        "Next: uv run invoke docs --serve            the models, their lineage and columns in a browser\n"
        "      uv run invoke query 'select state, record_count from forecast_summary_by_state'\n"
        "      uv run invoke query sales/brand_performance\n"
        '      eval "$(uv run invoke env)" && psql "$DATABASE_URL"   (any Postgres client)\n'
        "      uv run invoke seed --file YOUR.csv    then build and sync\n"
        "      uv run invoke test                    every test that needs no outside service\n"
        "      uv run invoke down                    stop the local stack; its data stays"
    )


def _asked(connections: Connections, sql: str) -> list[tuple[object, ...]]:
    import psycopg

    with psycopg.connect(connections.postgres_url()) as connection:
        return list(connection.execute(sql.encode()).fetchall())
