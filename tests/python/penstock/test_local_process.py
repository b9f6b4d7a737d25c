"""Processes and ports of the local stack: recognised by their command line, never by a pid alone."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from penstock.errors import StackError
from penstock.local import process
from penstock.local.process import Command

SLEEPER = (sys.executable, "-c", "import time; time.sleep(60)")


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is none of the stack's, far enough begun to show its command line."""
    with subprocess.Popen(SLEEPER) as running:
        assert process.wait_until(lambda: psutil.Process(running.pid).cmdline() != [], 60)
        yield running
        running.kill()


def test_stop_foreign_pid_leaves_it_alone(stranger: subprocess.Popen[bytes]) -> None:
    stopped = process.stop(stranger.pid, Command((sys.executable, "-m", "ministack")))

    assert not stopped
    assert stranger.poll() is None


def test_is_running_same_pid_other_command_line_is_false(stranger: subprocess.Popen[bytes]) -> None:
    assert process.is_running(stranger.pid, SLEEPER)
    assert not process.is_running(stranger.pid, (*SLEEPER, "--more"))
    assert not process.is_running(0, SLEEPER)


def test_stop_deaf_process_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    command = Command((sys.executable, "-c", code), patience_seconds=0.3)
    log = tmp_path / "deaf.log"
    pid = process.spawn(command, log, tmp_path)
    assert process.wait_until(lambda: "deaf" in log.read_text(), 60)

    assert process.stop(pid, command)
    assert not process.is_running(pid, command.argv)


def test_stop_uses_the_commands_own_signal(tmp_path: Path) -> None:
    code = "import signal, sys, time\nsignal.signal(signal.SIGINT, lambda *_: sys.exit(print('interrupted', flush=True)))\n"
    command = Command(
        (sys.executable, "-c", code + "print('up', flush=True); time.sleep(60)"), stop_signal=signal.SIGINT
    )
    log = tmp_path / "part.log"
    pid = process.spawn(command, log, tmp_path)
    assert process.wait_until(lambda: "up" in log.read_text(), 60)

    process.stop(pid, command)

    assert log.read_text() == "up\ninterrupted\n"


def test_spawn_hides_the_callers_aws_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "company")
    command = Command(
        (sys.executable, "-c", "import os; print(sorted(os.environ))"), env={"GATEWAY_PORT": "1"}
    )
    log = tmp_path / "part.log"

    process.spawn(command, log, tmp_path)

    assert process.wait_until(lambda: log.read_text() != "", 60)
    assert "GATEWAY_PORT" in log.read_text()
    assert "AWS_PROFILE" not in log.read_text()


def test_spawn_missing_program_is_a_stack_error(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="/no/such/program could not be started: No such file or directory"):
        process.spawn(Command(("/no/such/program",)), tmp_path / "part.log", tmp_path)


def test_spawn_overlong_log_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "MAX_LOG_BYTES", 10)
    log = tmp_path / "part.log"
    log.write_text("a log of more than ten bytes\n")

    process.spawn(Command((sys.executable, "-c", "print('new')")), log, tmp_path)

    assert process.wait_until(lambda: log.read_text() == "new\n", 60)
    assert (tmp_path / "part.log.1").read_text() == "a log of more than ten bytes\n"


def test_find_marker_yields_the_process_that_carries_it(tmp_path: Path) -> None:
    marker = f"penstock={tmp_path}"
    command = Command((sys.executable, "-X", marker, *SLEEPER[1:]))
    pid = process.spawn(command, tmp_path / "part.log", tmp_path)
    try:
        assert process.wait_until(lambda: process.find([marker]) == [(pid, command.argv)], 60)
        assert process.find([marker, "another word"]) == []
    finally:
        process.stop(pid, command)


def test_choose_port_keeps_the_remembered_one_while_it_is_free() -> None:
    free = process.choose_port(0, set())

    assert process.choose_port(free, set()) == free
    assert process.choose_port(free, {free}) != free


def test_choose_port_taken_by_another_gives_a_new_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]

        assert not process.is_free(taken)
        assert process.choose_port(taken, set()) != taken


def test_http_status_nobody_there_is_zero() -> None:
    assert process.http_status(process.choose_port(0, set()), "/", timeout_seconds=600) == 0


def test_log_tail_shows_last_lines_of_this_start(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    log.write_text("from an earlier start\n")
    start = log.stat().st_size
    with log.open("a") as file:
        file.writelines(f"line {number}\n" for number in range(20))

    lines = process.log_tail(log, start).splitlines()

    assert lines == [f"    line {number}" for number in range(8, 20)]
    assert process.log_tail(tmp_path / "none.log") == "    (no log)"
    assert process.log_tail(log, log.stat().st_size) == "    (nothing was logged)"
