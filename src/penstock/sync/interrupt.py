"""How a running sync is stopped from outside: Ctrl-C, SIGTERM, or a caller that has had enough.

Each table's thread looks at an `Interrupt` wherever it tells its progress; what waits in Postgres is cancelled there. The
thread then rolls back, records the run as interrupted, and ends: nothing is killed that could have ended by itself.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import psycopg

from penstock.errors import SyncInterruptedError
from penstock.sync.state import Connection

# Exit codes as shells give them: 128 and the signal's number.
INTERRUPTED, TERMINATED = 130, 143


class Terminated(KeyboardInterrupt):
    """SIGTERM came. A KeyboardInterrupt, so that whatever minds Ctrl-C minds it."""


class Interrupt:
    """Asked once for all tables of a sync; may be used by any thread."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._watched: set[Connection] = set()
        self._lock = threading.Lock()
        self._exit_code = INTERRUPTED

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    def ask(self, exit_code: int = INTERRUPTED) -> None:
        """Ask every table to stop where it is."""
        self._exit_code = exit_code
        self._asked.set()

    def check(self) -> None:
        """Raise SyncInterruptedError when the sync was asked to stop."""
        if self.asked:
            raise self.error()

    def error(self, target: str = "") -> SyncInterruptedError:
        """Return what a table that was stopped ends with."""
        return SyncInterruptedError(
            f"{target or 'The sync'} was interrupted; what it had begun is rolled back.",
            exit_code=self._exit_code,
            hint="Run the sync again: it starts from the last committed snapshot.",
        )

    @contextmanager
    def watching(self, connection: Connection) -> Iterator[None]:
        """Let `cancel` end the statement that this connection is at, while the block runs."""
        with self._lock:
            self._watched.add(connection)
        try:
            yield
        finally:
            with self._lock:  # waits for a cancel under way, which must not hit what comes after
                self._watched.discard(connection)

    def cancel(self) -> None:
        """Cancel the statements now running. One between two statements is missed: call it until the threads have ended."""
        with self._lock:
            for connection in self._watched:
                with suppress(psycopg.Error):
                    connection.cancel_safe(timeout=2)


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM raise `Terminated` in the main thread while the block runs; nothing in any other thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(_: int, __: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
