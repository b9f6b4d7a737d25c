"""Syncs in processes of their own, to be killed with SIGKILL at a step of their work.

As a script this is where they are forked from: everything heavy is imported once, before there is any thread, so that a
victim costs milliseconds. One request is served at a time.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sync_clients import reused_clients

PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Order:
    """A sync to run up to the `nth` time that it comes to `step`."""

    connections: Any
    declaration: Any
    step: str
    nth: int = 1
    full: bool = False
    batch_rows: int = 0
    busy_seconds: float = 60.0


class Nursery:
    """The process that victims are forked from; stops with its `with` block."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__))], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(100)
        self._process.stdout.close()

    def kill_at(self, order: Order, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Let a sync come to its step, stop there, run `meanwhile`, and kill it. Returns when the process is gone."""
        assert self._process.stdin is not None
        pickle.dump(order, self._process.stdin)
        self._process.stdin.flush()
        pid = 0
        while True:
            word, _, rest = self._line().partition(" ")
            if word == "pid":
                pid = int(rest)
            elif word == "reached":
                break
            elif word == "ended":
                raise AssertionError(f"the sync never came to '{order.step}' for the {order.nth}. time")
        try:
            meanwhile()
        finally:
            while not pid:
                pid = int(self._line().removeprefix("pid "))
            os.kill(pid, signal.SIGKILL)
            ended = self._line()
        assert ended == f"ended {signal.SIGKILL.value}", ended

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().strip()


def serve() -> None:
    """Fork a victim for each order that comes in, and say how it ended."""
    from penstock.sync import apply, arrow, extract, table, values, verify  # noqa: F401 - imported once, for all victims

    with reused_clients():
        _serve()


def _serve() -> None:
    say = sys.stdout.fileno()
    while True:
        try:
            order = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        for service in ("s3", "glue"):
            order.connections.client(service)
        pid = os.fork()
        if pid == 0:
            try:
                _run(order, say)
            except BaseException:  # shown in the test's output; nothing may run on in the fork
                traceback.print_exc()
            os._exit(0)
        os.write(say, f"pid {pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        os.write(say, f"ended {status}\n".encode())


def _run(order: Order, say: int) -> None:
    from penstock.sync import extract
    from penstock.sync.postgres import Limits
    from penstock.sync.run import sync

    if order.batch_rows:
        extract.BATCH_ROWS = order.batch_rows
    seen = 0

    def checkpoint(name: str) -> None:
        nonlocal seen
        seen += name == order.step
        if name == order.step and seen == order.nth:
            os.write(say, b"reached\n")
            time.sleep(PATIENCE_SECONDS)

    sync(
        order.connections,
        [order.declaration],
        full=order.full,
        checkpoint=checkpoint,
        limits=Limits(busy_seconds=order.busy_seconds),
    )


if __name__ == "__main__":
    # an order names this module; here it is __main__
    sys.modules["sync_victims"] = sys.modules["__main__"]
    serve()
