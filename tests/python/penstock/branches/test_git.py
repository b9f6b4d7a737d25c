"""Which git branch is checked out, in repositories of the test's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from penstock.branches.git import current_branch
from penstock.errors import SettingsError


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-b", "preview/pr-12")
    return tmp_path


def test_current_branch_is_known_even_before_the_first_commit(repository: Path) -> None:
    assert current_branch(repository) == "preview/pr-12"


def test_current_branch_of_a_checked_out_commit_is_none(repository: Path) -> None:
    git(repository, "commit", "--allow-empty", "-m", "first")
    git(repository, "checkout", "--detach")

    with pytest.raises(SettingsError, match="a commit is checked out, no branch") as caught:
        current_branch(repository)
    assert "PENSTOCK_BRANCH" in caught.value.hint


def test_current_branch_outside_a_repository_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(SettingsError, match="No git branch is checked out"):
        current_branch(tmp_path)


def test_current_branch_without_git_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match="git does not tell"):
        current_branch(tmp_path)
