"""DuckDB instances, made ready ahead of the queries that use them and closed behind them: both take longer than `select 1`.

Each is given out once and never comes back, so no query sees what another left. It is not locked down yet: that names the
query's own directories, and is the session's to do before any SQL of a query runs.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable

import duckdb

READY = 2  # kept waiting; more would serve bursts and hold about 1 MB and the idle threads of each

_ready: queue.SimpleQueue[duckdb.DuckDBPyConnection] = queue.SimpleQueue()


def take() -> duckdb.DuckDBPyConnection:
    """Return an instance of its own, ready or new."""
    with contextlib.suppress(queue.Empty):
        return _ready.get_nowait()
    return duckdb.connect(":memory:")


def retire(connection: duckdb.DuckDBPyConnection, closed: Callable[[], None]) -> None:
    """Close an instance in the background, call `closed`, and make ready another up to `READY`.

    The query's answer does not wait for it, and the machine is freer once the query has ended.
    """
    threading.Thread(target=_replace, args=(connection, closed), name="duckdb-retire").start()


def _replace(connection: duckdb.DuckDBPyConnection, closed: Callable[[], None]) -> None:
    try:
        connection.close()
    finally:
        closed()
    if _ready.qsize() < READY:
        with contextlib.suppress(duckdb.Error):  # the next query makes its own, and tells what is wrong
            _ready.put(duckdb.connect(":memory:"))
