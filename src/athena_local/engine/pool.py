"""DuckDB instances made ready ahead of the queries that use them: making one takes longer than a small query.

Each is given out once and never comes back, so no query sees what another left. It is not locked down yet: that names the
query's own directories, and is the session's to do before any SQL of a query runs.
"""

from __future__ import annotations

import contextlib
import queue
import threading

import duckdb

READY = 2  # kept waiting; more would serve bursts and hold about 1 MB and the idle threads of each

_ready: queue.SimpleQueue[duckdb.DuckDBPyConnection] = queue.SimpleQueue()


def take() -> duckdb.DuckDBPyConnection:
    """Return an instance of its own, ready or new."""
    with contextlib.suppress(queue.Empty):
        return _ready.get_nowait()
    return duckdb.connect(":memory:")


def refill() -> None:
    """Make instances in the background up to `READY`; called when a query has ended and the machine is free again."""
    if _ready.qsize() < READY:
        threading.Thread(target=_make_one, name="duckdb-ready").start()


def _make_one() -> None:
    with contextlib.suppress(duckdb.Error):  # the next query makes its own, and tells what is wrong
        _ready.put(duckdb.connect(":memory:"))
