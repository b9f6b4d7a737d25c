"""invoke up, down, status, env, reset: the local stack for a person."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from penstock import console
from penstock.connections import Connections
from penstock.errors import StackError
from penstock.local.stack import LocalStack
from penstock.settings import Settings


def _stack(settings: Settings) -> LocalStack:
    return LocalStack(settings.state_dir, settings.region)


def up(settings: Settings) -> None:
    connections = _stack(settings).up(console.note)
    console.success("The local stack answers:")
    for name, address in _addresses(connections):
        console.err().print(f"    {name:<17}{address}")
    console.note('Other tools join in with: eval "$(invoke env)"')


def _addresses(connections: Connections) -> list[tuple[str, str]]:
    database = connections.database_url.rpartition("@")[2]  # never the password
    return [
        ("S3 and the rest", connections.default_endpoint_url),
        ("Athena, Glue", connections.endpoint_urls["athena"]),
        ("PostgreSQL", database),
    ]


def down(settings: Settings) -> None:
    _stack(settings).down(console.note)
    console.success("The local stack is stopped; its data stays.")


def status(settings: Settings) -> None:
    """Print each part as it is; raises StackError when one does not run, so that scripts can ask."""
    parts = _stack(settings).status()
    rows = [
        (
            part.name,
            "running" if part.running else "stopped",
            part.address,
            part.pid or "",
            part.version,
            console.size(part.data_bytes),
            _short(part.log),
        )
        for part in parts
    ]
    console.show_table(
        "Local stack", ["part", "state", "address", "pid", "version", "data", "log"], rows, right=[3, 5]
    )
    stopped = [part.name for part in parts if not part.running]
    if stopped:
        raise StackError(f"Not running: {', '.join(stopped)}.", hint="invoke up")


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def env(connections: Connections) -> None:
    """Print shell exports on stdout, nothing else."""
    for name, value in connections.exports().items():
        console.line(f"export {name}={shlex.quote(value)}")


def reset(settings: Settings, *, yes: bool) -> None:
    """Delete all local data after asking; refuses to delete unasked where nobody can answer."""
    folder = settings.state_dir
    if not folder.exists():
        console.note(f"Nothing to delete: {folder} is not there.")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise StackError(
                "reset deletes all local data and nobody is here to confirm it.", hint="invoke reset --yes"
            )
        answer = input(f"Delete the local lake, catalog and database in {folder}? Type 'yes': ")
        if answer.strip().lower() != "yes":
            console.note("Nothing was deleted.")
            return
    _stack(settings).reset(console.note)
    console.success(f"{folder} is gone. `invoke up` starts afresh.")
