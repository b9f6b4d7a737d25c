"""dbt's own process: the `dbt` command, which does not outlive who started it.

A runner that is killed -9 cannot stop its dbt. So dbt looks after itself: when its parent is gone it interrupts itself,
as Ctrl-C would, and cancels the queries it has under way. The way to learn of a parent's death that Linux and macOS share
is to look. It is asked to end by SIGTERM, for a shell starts its background jobs with SIGINT ignored.
"""

from __future__ import annotations

import os
import signal
import threading
import time

LOOK_SECONDS = 0.5


def interrupt_on_sigterm() -> None:
    """Let SIGTERM do what Ctrl-C does: dbt cancels its queries and ends."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def end_with_parent(parent: int) -> None:
    """End this process, by SIGTERM, soon after `parent`, which started it, is no more."""

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=look, name="end-with-parent", daemon=True).start()


def main(parent: int) -> None:
    """Run dbt with this process's arguments."""
    interrupt_on_sigterm()
    end_with_parent(parent)
    from dbt.cli.main import cli

    cli(prog_name="dbt")
