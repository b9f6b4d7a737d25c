"""Lake work in processes of their own, to be killed with SIGKILL at a step.

As a script this is where they are forked from: everything is imported once, before there is any thread, so that a victim
costs milliseconds. One order is served at a time.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Order:
    """A function of penstock.lake to run up to the `nth` time that it comes to `step`; `work` is module:function."""

    work: str
    arguments: tuple[Any, ...]
    step: str
    nth: int = 1


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
        self._process.wait(30)
        self._process.stdout.close()

    def kill_at(self, work: str, arguments: tuple[Any, ...], step: str, nth: int = 1) -> None:
        """Let the work come to its step and kill it there. Returns when the process is gone."""
        assert self._process.stdin is not None
        pickle.dump(Order(work, arguments, step, nth), self._process.stdin)
        self._process.stdin.flush()
        pid = int(self._line().removeprefix("pid "))
        line = self._line()
        if line != "reached":
            raise AssertionError(f"{work} never came to '{step}' for the {nth}. time: {line}")
        os.kill(pid, signal.SIGKILL)
        ended = self._line()
        assert ended == f"ended {signal.SIGKILL.value}", ended

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().strip()


def serve() -> None:
    """Fork a victim for each order that comes in, and say how it ended."""
    import botocore.config  # noqa: F401 - imported once, for all victims

    from penstock.lake import repartition, rollback  # noqa: F401 - the same

    say = sys.stdout.fileno()
    while True:
        try:
            order = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        start, go = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.read(start, 1)  # not before the pid is told
                _run(order, say)
            except BaseException:  # shown in the test's output; nothing may run on in the fork
                traceback.print_exc()
            os._exit(0)
        os.write(say, f"pid {pid}\n".encode())
        os.write(go, b".")
        _, status = os.waitpid(pid, 0)
        os.close(start)
        os.close(go)
        os.write(say, f"ended {status}\n".encode())


def _run(order: Order, say: int) -> None:
    import importlib

    module, _, name = order.work.partition(":")
    seen = 0

    def checkpoint(step: str) -> None:
        nonlocal seen
        seen += step == order.step
        if step == order.step and seen == order.nth:
            os.write(say, b"reached\n")
            time.sleep(PATIENCE_SECONDS)

    getattr(importlib.import_module(module), name)(*order.arguments, checkpoint=checkpoint)


if __name__ == "__main__":
    # an order names this module; here it is __main__
    sys.modules["lake_victims"] = sys.modules["__main__"]
    serve()
