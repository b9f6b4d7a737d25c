"""Where a table's sync is: told to who watches, timed, and recorded in its report."""

from __future__ import annotations

import time

from penstock.sync.report import Checkpoint, Progress, Report, SyncReport


class Steps:
    """The steps of one table's sync."""

    def __init__(self, report: SyncReport, progress: Report, checkpoint: Checkpoint) -> None:
        self.report, self.progress, self.checkpoint = report, progress, checkpoint
        self._mark = time.perf_counter()

    def begin(self, name: str) -> None:
        """The first step begins, and with it the time."""
        self._mark = time.perf_counter()
        self.step(name)

    def step(self, name: str) -> None:
        """A step begins."""
        self.report.step = name
        self.progress(Progress(self.report.table, name))

    def tell(self, name: str, rows: int, total: int) -> None:
        """So many of a step's rows are done."""
        self.progress(Progress(self.report.table, name, min(rows, total), total))

    def lap(self, name: str) -> None:
        """The time since the last lap belongs to this step."""
        now = time.perf_counter()
        self.report.seconds[name] = self.report.seconds.get(name, 0.0) + now - self._mark
        self._mark = now

    def reached(self, point: str, step: str) -> None:
        """A step has ended; tests stop the world at these points."""
        self.lap(step)
        self.checkpoint(point)
