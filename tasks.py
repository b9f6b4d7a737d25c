"""The Invoke namespace: thin, typed, no logic. `invoke --list` shows it; `invoke --help TASK` explains one."""

from __future__ import annotations

from invoke import Context, task


@task
def test(c: Context) -> None:
    """Run every test that needs no outside service."""
    c.run("python -m pytest", pty=False)
