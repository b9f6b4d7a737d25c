"""invoke test: what it hands on to pytest."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from penstock.commands import quality


def test_test_arguments_are_taken_apart_as_a_shell_would(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        return subprocess.CompletedProcess(command, 5)

    monkeypatch.setattr(quality.subprocess, "run", run)

    assert quality.test("-k 'seed or sync' -x") == 5
    assert ran[0][1:] == ["-m", "pytest", "-k", "seed or sync", "-x"]
