"""What the sync promises, as ratios to what was measured beside it in the same run."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.bench.sync_ways import Cell, Idle, Way

FIRST_LOAD_OF_FLOOR = 1.25
FIRST_LOAD_OF_DLT = 0.8
NOTHING_OF_DLT = 0.2
CHANGES_OF_DLT = 0.4
PLAN_SECONDS = 0.1
# The run's own record and the status row's times; one page of the table and its eight indexes would be ten times that.
RECORD_WAL_BYTES = 16_384
PEAK_BYTES = 350e6
PEAK_GROWTH = 1.5
MONTH_GROWTH = 1.3


@dataclass(frozen=True)
class Promise:
    """One figure against its limit; `found` None where what it needs was left out or did not end."""

    name: str
    found: float | None
    limit: float
    shown: str = "{:.2f}"

    @property
    def verdict(self) -> str:
        if self.found is None:
            return "not measured"
        return "passed" if self.found <= self.limit else "failed"


def promises(ways: dict[str, Way], idle: list[Idle]) -> list[Promise]:
    """Return the promises about the table of the run, in the order of A, B, C."""
    floor, ours, dlt = (ways[name].steps for name in ("floor", "ours", "dlt"))
    found = [
        Promise("A, verified / psql's floor", _ratio(ours["A"], floor["A"]), FIRST_LOAD_OF_FLOOR),
        Promise("A, verified / dlt", _ratio(ours["A"], dlt["A"]), FIRST_LOAD_OF_DLT),
        Promise("B / dlt", _ratio(ours["B"], dlt["B"]), NOTHING_OF_DLT),
        Promise("C / dlt", _ratio(ours["C"], dlt["C"]), CHANGES_OF_DLT),
        Promise(
            "B: planning, s", max((item.plan_seconds for item in idle), default=None), PLAN_SECONDS, "{:.3f}"
        ),
        Promise("B: rows written", max((item.rows_written for item in idle), default=None), 0, "{:,.0f}"),
        Promise(
            "B: WAL, bytes", max((item.wal_bytes for item in idle), default=None), RECORD_WAL_BYTES, "{:,.0f}"
        ),
        Promise("B: files read", max((item.files for item in idle), default=None), 0, "{:,.0f}"),
    ]
    wrong = None if ways["ours"].exact is None else float(not ways["ours"].exact)
    found.append(Promise("C: not equal to the lake", wrong, 0, "{:.0f}"))
    peak = max((cell.peak_bytes for cell in ours.values()), default=0)
    found.append(Promise("peak memory, MB", peak / 1e6 if peak else None, PEAK_BYTES / 1e6, "{:.0f}"))
    return found


def growth(small: Way, big: Way, times: int) -> list[Promise]:
    """Return the promises about a table that has so many times the months."""
    name = f"{times} times the months"
    peaks = [max(cell.peak_bytes for cell in way.steps.values()) for way in (small, big)]
    return [
        Promise(f"one changed month, {name}", _ratio(big.steps["M"], small.steps["M"]), MONTH_GROWTH),
        Promise(f"peak memory, {name}", peaks[1] / peaks[0] if all(peaks) else None, PEAK_GROWTH),
    ]


def _ratio(ours: Cell, theirs: Cell) -> float | None:
    return ours.seconds / theirs.seconds if ours.took and theirs.took else None
