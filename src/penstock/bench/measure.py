"""Run a command to its end and tell what it took: wall seconds, processor seconds, and the peak resident memory of the
process itself.

Processor seconds are the steadier figure where other work is done on the machine at the same time.
"""

from __future__ import annotations

import resource
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


class TookTooLongError(PenstockError):
    """A command was stopped because its time was up."""


@dataclass(frozen=True)
class Took:
    """What a command took; `cpu_seconds` are its own and its children's, in user mode and in the kernel."""

    seconds: float
    peak_bytes: int
    output: str = ""
    cpu_seconds: float = 0.0


def command(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    given: str | None = None,
    limit_seconds: float | None = None,
) -> Took:
    """Run a command; return what it took. `given` is what it reads on its standard input.

    Raises: PenstockError with the command's own words when it fails, TookTooLongError when its time is up.
    """
    before = children_seconds()
    started = time.perf_counter()
    with (
        subprocess.Popen(
            arguments,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
        peak_of(process.pid) as peak,
    ):
        try:
            output, _ = process.communicate(given, limit_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise TookTooLongError(f"stopped after {limit_seconds:.0f} s") from None
        seconds = time.perf_counter() - started
    if process.returncode:
        raise PenstockError(f"{arguments[0]} ended with {process.returncode}:\n{output}")
    return Took(seconds, peak[0], output, children_seconds() - before)


def children_seconds() -> float:
    """Return the processor seconds of all commands that have ended so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def server_seconds(pid: int) -> float:
    """Return the processor seconds of a server process and its children so far, those that have ended included."""
    import psutil

    server = psutil.Process(pid)
    times = server.cpu_times()
    total = float(times.user + times.system + times.children_user + times.children_system)
    for child in server.children():
        with suppress(psutil.Error):
            own = child.cpu_times()
            total += own.user + own.system
    return total


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
