"""invoke check, test, reference: what CI runs, and what a person runs before committing."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from penstock import console, reference
from penstock.errors import PenstockError
from penstock.settings import PROJECT_ROOT, Settings

REFERENCE_DIR = PROJECT_ROOT / "docs" / "reference"
PYTHON_PATHS = ("src", "tests", "tasks.py")
SQL_PATHS = ("models", "analyses", "tests/dbt")
# each has two local stacks; and a container that is given two cores of many may see all of them
MAX_WORKERS = 4


def _tool(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def check() -> None:
    """Run every check to its end, then raise naming those that failed."""
    steps: dict[str, list[str]] = {
        "ruff": _tool("ruff", "check", *PYTHON_PATHS),
        "ruff format": _tool("ruff", "format", "--check", *PYTHON_PATHS),
        "mypy": _tool("mypy", "-p", "penstock", "-p", "athena_local"),
        "sqlfluff": _tool("sqlfluff", "lint", *SQL_PATHS),
    }
    failed = []
    for name, command in steps.items():
        console.note(f"{name} …")
        if subprocess.run(command, cwd=PROJECT_ROOT, env=_offline_environment()).returncode:
            failed.append(name)
    console.note("dbt parse, reference pages …")
    stale = reference.stale_pages(REFERENCE_DIR, _pages())
    failed += [f"{path.relative_to(PROJECT_ROOT)} is stale" for path in stale]
    if failed:
        raise PenstockError(
            f"Checks failed: {', '.join(failed)}.",
            hint="invoke reference rewrites stale pages; ruff format rewrites code.",
        )
    console.success("All checks pass.")


def _offline_environment() -> dict[str, str]:
    return {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "SQLFLUFF_TESTMODE": "0"}


def test(arguments: str, workers: int) -> int:
    """Run pytest on all cores; return its exit code, so that CI sees exactly what pytest said.

    A file's tests stay together and in order. `workers`: processes, 0 for one a core; arguments come last, so that they win.
    """
    count = workers or default_workers()
    parallel = ("-n", str(count), "--dist", "loadfile", "--no-loadscope-reorder") if count > 1 else ()
    command = [*_tool("pytest"), *parallel, *shlex.split(arguments)]
    return subprocess.run(command, cwd=PROJECT_ROOT).returncode


def default_workers() -> int:
    """Return one worker a core that this process may use, MAX_WORKERS at most."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MAX_WORKERS)


def write_reference() -> None:
    changed = reference.write_pages(REFERENCE_DIR, _pages())
    for path in changed:
        console.success(f"wrote {path.relative_to(PROJECT_ROOT)}")
    if not changed:
        console.note("The reference pages are up to date.")


def _pages() -> dict[str, str]:
    from athena_local.sql.functions import CATEGORIES, UNSUPPORTED

    return {
        "tasks.md": reference.tasks_page(_namespace()),
        "settings.md": reference.settings_page(Settings, PROJECT_ROOT),
        "models.md": reference.models_page(_manifest()),
        "functions.md": reference.functions_page(CATEGORIES, UNSUPPORTED),
    }


def _namespace() -> Any:
    """Return the Invoke collection of tasks.py."""
    from invoke.collection import Collection

    spec = importlib.util.spec_from_file_location("penstock_tasks", PROJECT_ROOT / "tasks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Collection.from_module(module)


def _manifest() -> dict[str, Any]:
    """Return the manifest of a fresh `dbt parse` of the lake target; needs no connection."""
    target = PROJECT_ROOT / "target" / "parse"
    command = [
        *(sys.executable, "-c", "from dbt.cli.main import cli; cli()"),
        *("--quiet", "parse", "--target", "local"),
        *("--project-dir", str(PROJECT_ROOT), "--profiles-dir", str(PROJECT_ROOT / "profiles")),
        *("--target-path", str(target), "--log-path", str(target)),
    ]
    done = subprocess.run(
        command, cwd=PROJECT_ROOT, env=_offline_environment(), capture_output=True, text=True
    )
    if done.returncode:
        raise PenstockError(
            f"dbt parse failed:\n{done.stdout}{done.stderr}", hint="Fix the model or yml it names."
        )
    manifest: dict[str, Any] = json.loads((Path(target) / "manifest.json").read_text(encoding="utf-8"))
    return manifest
