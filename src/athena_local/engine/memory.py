"""What running queries share of `--memory`: each DuckDB gets a part, all parts together never exceed the whole.

A newcomer takes half of what is free, so there is always some left for the next; when little is left the largest query gives
up half of what it has (DuckDB spills to do so), and when none can, the newcomer waits for one to end. DuckDB's buffers are
counted here, Python's are not: those are bounded one by one, where they are made.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

LEAST_BYTES = 128 * 1024**2  # below it CSV buffers, joins and partitioned writes fail instead of spilling
THREAD_BYTES = (
    64 * 1024**2
)  # what one thread must have so that every operator can spill (64 MB by measurement)
WAIT_SECONDS = 0.1  # between two looks at whether a waiting query was cancelled


class Grant:
    """One query's part, in bytes. `resize` is set by who uses it, and tells DuckDB of a smaller part or raises."""

    def __init__(self, budget: Budget, size: int, threads: int) -> None:
        self._budget = budget
        self.size = size
        self.threads = threads
        self.resize: Callable[[int], None] | None = None
        self.busy = False  # while `resize` runs

    def release(self) -> None:
        self._budget.give_back(self)

    @property
    def least(self) -> int:
        return max(LEAST_BYTES, self.threads * THREAD_BYTES)


class Budget:
    """Thread-safe; one a server."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._grants: set[Grant] = set()
        self._changed = threading.Condition()

    @property
    def granted(self) -> int:
        with self._changed:
            return self._granted()

    def take(self, threads: int, check: Callable[[], None]) -> Grant:
        """Return a part of at least `LEAST_BYTES` (or all, where that is less) and how many threads go with it.

        `check` is called while waiting and ends the wait by raising.
        """
        while True:
            with self._changed:
                free = self._total - self._granted()
                if free >= LEAST_BYTES or not self._grants:
                    size = min(free, max(LEAST_BYTES, free // 2))
                    grant = Grant(self, size, max(1, min(threads, size // (2 * THREAD_BYTES))))
                    self._grants.add(grant)
                    return grant
                largest = self._largest()
                if largest is None:
                    self._changed.wait(WAIT_SECONDS)
                else:
                    largest.busy = True
            check()
            if largest is not None:
                self._halve(largest)

    def give_back(self, grant: Grant) -> None:
        with self._changed:
            self._grants.discard(grant)
            self._changed.notify_all()

    def _granted(self) -> int:
        return sum(grant.size for grant in self._grants)

    def _largest(self) -> Grant | None:
        """Return the largest that can give up half of what it has."""
        able = [
            grant
            for grant in self._grants
            if grant.resize is not None and not grant.busy and grant.size >= 2 * grant.least
        ]
        return max(able, key=lambda grant: grant.size, default=None)

    def _halve(self, grant: Grant) -> None:
        """Shrink outside of the lock: spilling may take seconds, in which other queries come and go."""
        smaller, done = grant.size // 2, False
        try:
            if grant.resize is not None:
                grant.resize(smaller)
                done = True
        except MemoryError:  # all that it has is in use at this moment
            pass
        finally:
            with self._changed:
                grant.busy = False
                if done:
                    grant.size = smaller
                else:
                    self._changed.wait(WAIT_SECONDS)
                self._changed.notify_all()


_budgets: dict[tuple[Path, int], Budget] = {}
_budgets_lock = threading.Lock()


def budget_of(directory: Path, total: int) -> Budget:
    """Return the one budget of a server, known by its spool directory."""
    with _budgets_lock:
        return _budgets.setdefault((directory, total), Budget(total))
