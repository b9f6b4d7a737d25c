"""invoke generate.sales: a synthetic sales history, written where `invoke seed --source sales` looks for one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import cast

from penstock import console
from penstock.errors import GenerateError

SALES_FOLDER = Path("output/sales")  # below the folder that the task is run in
FEWEST_SALES, MOST_SALES = 1_000, 10_000_000


def sales(*, records: int, folder: str = "", seed: int | None = None, form: str = "parquet") -> Path:
    """Write sales.<format> into the folder behind a progress bar, and return its path.

    Raises: GenerateError for a number of records out of range and whatever `penstock.synthetic.sales.write` refuses.
    """
    if not FEWEST_SALES <= records <= MOST_SALES:
        raise GenerateError(
            f"--num-records {records:,} is not in {FEWEST_SALES:,} to {MOST_SALES:,}.",
            hint="--num-records 100000, say.",
        )
    from penstock.synthetic import sales as history

    path = (Path(folder) if folder else SALES_FOLDER) / f"sales.{form}"
    started = time.perf_counter()
    with console.progress_bar() as bar:
        bar.start(f"generate {path.name}", records)
        history.write(
            path,
            records,
            history.DEFAULT_SEED if seed is None else seed,
            form=cast(history.Format, form),
            on_rows=bar.advance,
        )
        bar.finish()
    seconds = time.perf_counter() - started
    told = f"{records:,} sales in {path} ({console.size(path.stat().st_size)}, {seconds:.1f} s)"
    console.success(f"{told}. Next: invoke seed --source sales{f' --file {path}' if folder else ''}")
    return path
