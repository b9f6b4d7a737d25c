"""invoke test: what it hands on to pytest."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest

from penstock.commands import quality


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have run, each ending with 5."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 5)

    monkeypatch.setattr(quality.subprocess, "run", run)
    return commands


def test_test_arguments_are_taken_apart_as_a_shell_would(ran: list[list[str]]) -> None:
    assert quality.test("-k 'seed or sync' -x", workers=1) == 5
    assert ran[0][1:] == ["-m", "pytest", "-k", "seed or sync", "-x"]


def test_test_runs_files_on_so_many_workers_and_arguments_win(ran: list[list[str]]) -> None:
    quality.test("-n 0 --pdb", workers=3)
    assert ran[0][1:5] == ["-m", "pytest", "-n", "3"]
    assert "loadfile" in ran[0]
    assert ran[0][-3:] == ["-n", "0", "--pdb"]


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 2), (64, 4)])
def test_default_workers_are_one_a_core_but_no_more_than_there_is_memory_for(
    monkeypatch: pytest.MonkeyPatch, cores: int, workers: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert quality.default_workers() == workers
