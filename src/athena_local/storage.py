"""SQLite as this package uses it: WAL, one transaction a write, one consistent snapshot a read, from any thread.

Survives kill -9 of the process: a commit is in the WAL before it returns. `synchronous=NORMAL` leaves the last
commits open to a power cut (the file stays sound), which for a local emulator is worth the saved fsync.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

BUSY_TIMEOUT_SECONDS = (
    30.0  # another process (a backup, a sqlite3 shell) may hold the write lock for a moment
)


class SqliteFile:
    """One database file and its idle connections. Writers take turns in the process, readers never wait."""

    def __init__(self, path: Path, schema: str) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._pool_lock = threading.Lock()
        self._write_lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._connection() as connection:
            connection.execute("pragma journal_mode=wal")
            connection.executescript(schema)

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection whose statements all see one snapshot: the last commit."""
        with self._connection() as connection:
            connection.execute("begin")
            try:
                yield connection
            finally:
                connection.execute("rollback")

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection in a write transaction: committed at the end, rolled back by any exception."""
        with self._write_lock, self._connection() as connection:
            connection.execute("begin immediate")
            try:
                yield connection
            except BaseException:
                connection.execute("rollback")
                raise
            connection.execute("commit")

    def close(self) -> None:
        with self._pool_lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with self._pool_lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._open()
        try:
            yield connection
        except BaseException:
            if connection.in_transaction:
                connection.close()
                raise
            self._give_back(connection)
            raise
        self._give_back(connection)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._pool_lock:
            self._idle.append(connection)

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("pragma synchronous=normal")
        connection.execute("pragma foreign_keys=on")
        return connection
