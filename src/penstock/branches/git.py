"""Which git branch is checked out. Refuses to guess where none is: CI checks out a commit, and says the branch itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

from penstock.errors import SettingsError
from penstock.settings import PROJECT_ROOT

_HINT = "Name the database branch: --branch preview/pr-12, or PENSTOCK_BRANCH."


def current_branch(root: Path = PROJECT_ROOT) -> str:
    """Return the name of the checked out git branch of this project.

    Raises: SettingsError where there is no git, no repository, or a commit is checked out instead of a branch.
    """
    try:
        done = subprocess.run(
            ["git", "symbolic-ref", "--quiet", "--short", "HEAD"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SettingsError(f"git does not tell which branch is checked out: {error}", hint=_HINT) from error
    name = done.stdout.strip()
    if done.returncode or not name:
        why = " ".join(done.stderr.split()) or "a commit is checked out, no branch"
        raise SettingsError(f"No git branch is checked out: {why}.", hint=_HINT)
    return name
