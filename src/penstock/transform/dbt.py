"""Run dbt for one side of the project and return what became of each node.

dbt runs as a process of its own under the same interpreter: its logging, its threads and its exit on a signal stay its
own, and `invoke --list` never imports it. Each side has its own target folder, or the sync would read a manifest
written with Postgres names. Refuses to start while another dbt run is at work on the same side: dbt-athena's temporary
tables have fixed names, and two runs would drop each other's.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from penstock import sources
from penstock.connections import Connections
from penstock.errors import BuildError, SettingsError
from penstock.settings import PROJECT_ROOT

OnLine = Callable[[str], None]

# dbt's commands that compare landed rows with built ones
_ON_ROWS = frozenset({"build", "run", "test"})

FAILED = frozenset({"error", "fail", "runtime error"})
SHOWN_FAILURES = 10
SHOWN_LINES = 30  # of dbt's own output, when it ended before it could say which node failed

STOP_SECONDS = 15.0  # for dbt to cancel its queries; Athena bills one that runs on
LOCK_SECONDS = 10.0  # for a dbt whose runner was killed to end: it looks for its parent every half second
_CLOCK = re.compile(r"^\d\d:\d\d:\d\d\s{1,2}")


class Side(Enum):
    """Which half of the project: the value names its folder below target/."""

    LAKE = "lake"
    NEON = "neon"


@dataclass(frozen=True)
class NodeResult:
    """One node of a run. `rows` and `bytes_scanned` are what its last statement answered; None where it says nothing."""

    unique_id: str
    status: str
    seconds: float
    message: str
    failures: int | None = None
    rows: int | None = None
    bytes_scanned: int | None = None

    @property
    def resource_type(self) -> str:
        return self.unique_id.partition(".")[0]

    @property
    def name(self) -> str:
        """The node's name without its package; a generated test's name without the hash at its end."""
        parts = self.unique_id.split(".")
        return parts[-2] if self.resource_type == "test" and len(parts) > 3 else parts[-1]

    @property
    def failed(self) -> bool:
        return self.status in FAILED


@dataclass(frozen=True)
class DbtRun:
    """A run that ended. `invocation_id` is in the comment heading every statement it sent."""

    side: Side
    invocation_id: str
    seconds: float
    nodes: tuple[NodeResult, ...] = ()
    output: str = field(default="", repr=False)


def target_path(side: Side, root: Path = PROJECT_ROOT) -> Path:
    return root / "target" / side.value


def run(
    connections: Connections,
    side: Side,
    arguments: Sequence[str],
    *,
    on_line: OnLine | None = None,
    root: Path = PROJECT_ROOT,
    target: Path | None = None,
) -> DbtRun:
    """Return the run of `dbt <arguments>` on one side of the connections' environment.

    on_line is given each line that dbt prints, as it comes; without it dbt is silent unless it fails.
    target: another folder for what dbt writes, default target/<side>.
    Raises: BuildError naming the nodes that failed and why, or with dbt's last lines if it did not come that far.
    """
    folder = target or target_path(side, root)
    folder.mkdir(parents=True, exist_ok=True)
    results = folder / "run_results.json"
    with _alone(folder, side) as lock:
        results.unlink(missing_ok=True)  # an old run's results must not be taken for this one's
        started = time.monotonic()
        code, output = _execute(
            _command(connections, side, arguments, root, folder),
            {**_environ(connections, side), **_archived(connections, side, arguments)},
            root,
            on_line,
            lock,
        )
        seconds = time.monotonic() - started
        found = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
        views = _views(folder) if found else frozenset()
    nodes = tuple(_node(result, views) for result in found.get("results", ()))
    failed = [node for node in nodes if node.failed]
    if code or failed:
        raise _failure(side, arguments, failed, output)
    return DbtRun(side, found.get("metadata", {}).get("invocation_id", ""), seconds, nodes, output)


def _command(
    connections: Connections, side: Side, arguments: Sequence[str], root: Path, folder: Path
) -> list[str]:
    environment = connections.environment
    name = environment.lake_dbt_target if side is Side.LAKE else environment.neon_dbt_target
    return [
        # warnings of dbt's own dependencies are not the reader's
        *(
            sys.executable,
            "-W",
            "ignore",
            "-c",
            f"from penstock.transform.child import main; main({os.getpid()})",
        ),
        *arguments,
        *("--project-dir", str(root), "--profiles-dir", str(root / "profiles"), "--target", name),
        *("--target-path", str(folder), "--log-path", str(folder / "logs"), "--no-use-colors"),
    ]


def _environ(connections: Connections, side: Side) -> dict[str, str]:
    """Return this process's environment and all that profiles.yml and the sources' yml ask for.

    The lake's side gets no database URL: it has no use for one, and asking may mean a call to Neon or to a secret store.
    """
    environment = connections.environment
    serves = side is Side.NEON
    names = {
        "PENSTOCK_MARTS_DATABASE": environment.marts_database,
        "PENSTOCK_WORKGROUP": environment.workgroup,
        "PENSTOCK_LAKE_BUCKET": environment.lake_bucket,
        "PENSTOCK_RESULTS_BUCKET": environment.results_bucket,
        **{
            f"PENSTOCK_{source.upper()}_DATABASE": environment.landed_database(source)
            for source in sources.declared()
        },
        **{
            f"PENSTOCK_{source.upper()}_HISTORY_DATABASE": environment.history_database(source)
            for source in sources.declared()
        },
    }
    # a profile that is not there stops boto3, even where it is given keys
    ignored = {"AWS_PROFILE", "AWS_DEFAULT_PROFILE"} if connections.access_key else set()
    return {
        **{name: value for name, value in os.environ.items() if name not in ignored},
        **connections.exports(postgres=serves),
        **names,
        **postgres_variables(connections.postgres_url() if serves and connections.has_postgres else ""),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "PYTHONUNBUFFERED": "1",
    }


def _archived(connections: Connections, side: Side, arguments: Sequence[str]) -> dict[str, str]:
    """Return what a run that writes or tests marts has to know of archived files: their rows are not gone (is_archived)."""
    if side is not Side.LAKE or arguments[0] not in _ON_ROWS:
        return {}
    from penstock.lake.archive import archived_days

    return {"PENSTOCK_ARCHIVED_DAYS": json.dumps(archived_days(connections))}


def postgres_variables(database_url: str) -> dict[str, str]:
    """Return what the postgres profile reads, taken apart from a URL; empty for an empty one.

    Whatever else the URL says (sslrootcert, options …) goes to libpq by its own PG* variables.
    Raises: SettingsError for a URL that libpq would not take; its text is not repeated, for it holds the password.
    """
    if not database_url:
        return {}
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        given = {
            name: str(value) for name, value in conninfo_to_dict(database_url).items() if value is not None
        }
    except ProgrammingError:
        raise SettingsError(
            "DATABASE_URL is no Postgres URL.",
            hint="postgresql://user:password@host/database?sslmode=verify-full",
        ) from None  # the cause quotes it
    variables = {
        "PENSTOCK_PG_HOST": given.get("host", "127.0.0.1"),
        "PENSTOCK_PG_PORT": given.get("port", "5432"),
        "PENSTOCK_PG_USER": given.get("user", ""),
        "DBT_ENV_SECRET_PG_PASSWORD": given.get("password", ""),
        "PENSTOCK_PG_DATABASE": given.get("dbname", given.get("user", "")),
        "PENSTOCK_PG_SSLMODE": given.get("sslmode", "prefer"),
    }
    libpq = {"sslrootcert": "PGSSLROOTCERT", "channel_binding": "PGCHANNELBINDING", "options": "PGOPTIONS"}
    return variables | {variable: given[name] for name, variable in libpq.items() if name in given}


@contextmanager
def _alone(folder: Path, side: Side) -> Iterator[int]:
    """Hold the side's lock, and yield its descriptor for dbt to hold too; the kernel drops it when both have ended."""
    with (folder / "run.lock").open("w") as handle:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise BuildError(
                        f"Another dbt run is at work on the {side.value} side.",
                        hint="Wait until it has ended, then try again.",
                    ) from error
                time.sleep(0.2)
        yield handle.fileno()


def _execute(
    command: Sequence[str], environ: Mapping[str, str], root: Path, on_line: OnLine | None, lock: int
) -> tuple[int, str]:
    """Run to the end, and return dbt's exit code and output without the clock before each line."""
    lines: list[str] = []
    process = subprocess.Popen(
        command, cwd=root, env=dict(environ), text=True, encoding="utf-8", errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=[lock],
    )  # fmt: skip
    assert process.stdout is not None
    try:
        for raw in process.stdout:
            line = _CLOCK.sub("", raw.rstrip("\n"))
            lines.append(line)
            if on_line is not None:
                on_line(line)
        code = process.wait()
    except BaseException as error:
        # a terminal's Ctrl-C reaches dbt as well: a second one would keep it from cancelling its queries
        _stop(process, asked=isinstance(error, KeyboardInterrupt))
        raise
    finally:
        process.stdout.close()
    return code, "\n".join(lines)


def _stop(process: subprocess.Popen[str], *, asked: bool) -> None:
    """Wait for dbt to cancel its queries and end; ask it to, unless somebody has; kill it if it does neither."""
    for ask in (None if asked else signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        if ask is not None:
            process.send_signal(ask)
        try:
            process.communicate(timeout=STOP_SECONDS)
            return
        except subprocess.TimeoutExpired:
            continue


def _views(folder: Path) -> frozenset[str]:
    """Return the ids of models that are views: adapters answer all sorts of row counts for making one."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return frozenset(
        key for key, node in manifest["nodes"].items() if node["config"].get("materialized") == "view"
    )


def _node(result: Mapping[str, Any], views: frozenset[str]) -> NodeResult:
    answer = result.get("adapter_response") or {}
    rows = None if result["unique_id"] in views else answer.get("rows_affected")
    return NodeResult(
        unique_id=result["unique_id"],
        status=str(result["status"]),
        seconds=float(result.get("execution_time") or 0.0),
        message=str(result.get("message") or ""),
        failures=result.get("failures"),
        rows=rows if isinstance(rows, int) and rows >= 0 else None,
        bytes_scanned=answer.get("data_scanned_in_bytes"),
    )


def _failure(side: Side, arguments: Sequence[str], failed: Sequence[NodeResult], output: str) -> BuildError:
    command = f"dbt {arguments[0]}"
    logs = f"The whole story is in target/{side.value}/logs/dbt.log."
    if not failed:
        tail = "\n".join(f"  {line}" for line in output.splitlines()[-SHOWN_LINES:])
        return BuildError(f"{command} on the {side.value} side did not come to an end:\n{tail}", hint=logs)
    told = [
        f"  {node.resource_type} {node.name}: {_indented(node.message)}" for node in failed[:SHOWN_FAILURES]
    ]
    if len(failed) > SHOWN_FAILURES:
        told.append(f"  and {len(failed) - SHOWN_FAILURES} more")
    count = "1 node" if len(failed) == 1 else f"{len(failed)} nodes"
    return BuildError(f"{command} on the {side.value} side: {count} failed.\n" + "\n".join(told), hint=logs)


def _indented(text: str) -> str:
    """Return a message of dbt's without its trail of macros, which says nothing to who wrote the model."""
    lines = [line.strip() for line in text.splitlines()]
    return "\n    ".join(
        line for line in lines if line and not line.startswith(("> in macro", "> called by"))
    )
