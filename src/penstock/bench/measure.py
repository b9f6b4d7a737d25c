"""Run a command to its end and tell what it took: wall seconds and peak resident memory of the process itself."""

from __future__ import annotations

import statistics
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from penstock.errors import PenstockError

# Memory is sampled: getrusage's maximum counts what the parent held at the moment it forked, which may be far more.
SAMPLE_SECONDS = 0.02


@dataclass(frozen=True)
class Took:
    seconds: float
    peak_bytes: int
    output: str = ""


def command(
    arguments: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Took:
    """Run a command; return what it took.

    Raises: PenstockError with the command's own words when it fails.
    """
    started = time.perf_counter()
    with (
        subprocess.Popen(
            arguments,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
        peak_of(process.pid) as peak,
    ):
        output, _ = process.communicate()
        seconds = time.perf_counter() - started
    if process.returncode:
        raise PenstockError(f"{arguments[0]} ended with {process.returncode}:\n{output}")
    return Took(seconds, peak[0], output)


@contextmanager
def peak_of(pid: int) -> Iterator[list[int]]:
    """Sample a running process while the block runs; the list's only entry is its peak resident memory in bytes."""
    import psutil

    watched, peak, stop = psutil.Process(pid), [0], threading.Event()

    def sample() -> None:
        while not stop.wait(SAMPLE_SECONDS):
            with suppress(psutil.Error):
                peak[0] = max(peak[0], watched.memory_info().rss)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


@dataclass(frozen=True)
class Comparison:
    """One measurement against its floor: medians over the rounds, and the ratio of the medians."""

    name: str
    ours: tuple[Took, ...]
    floor: tuple[Took, ...]
    limit: float

    @property
    def ours_seconds(self) -> float:
        return statistics.median(took.seconds for took in self.ours)

    @property
    def floor_seconds(self) -> float:
        return statistics.median(took.seconds for took in self.floor)

    @property
    def ratio(self) -> float:
        return self.ours_seconds / self.floor_seconds

    @property
    def ours_peak(self) -> int:
        return max(took.peak_bytes for took in self.ours)

    @property
    def floor_peak(self) -> int:
        return max(took.peak_bytes for took in self.floor)
