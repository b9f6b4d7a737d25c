"""Detached processes of the local stack: start, recognise, stop; and the ports they listen on.

A part outlives the command that started it, so the next command must recognise it by itself. A pid alone proves nothing
(pids are reused), hence a process counts as ours only while its command line is the one it was started with, and every such
command line names the state folder. Start times are not compared: they are derived from the wall clock and move when a
virtual machine's clock is set. Refused: to signal any process whose command line differs.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from penstock.errors import StackError

HOST = "127.0.0.1"
POLL_SECONDS = 0.02
LOG_TAIL_LINES = 12
MAX_LOG_BYTES = 10 * 1024**2  # above it the log is set aside as <part>.log.1 when the part starts
# What a part may see of the caller's environment: enough to run, nothing that would change what it serves
# (an AWS_PROFILE, a PGPORT or a MINISTACK_* meant for something else).
PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR")

_spawned: set[int] = set()  # children of this program, which it must reap


@dataclass(frozen=True)
class Account:
    """The unprivileged user a part runs as when the caller is root."""

    name: str
    uid: int
    gid: int

    def options(self) -> dict[str, object]:
        """Return the arguments by which `subprocess` drops to this user, supplementary groups included."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


@dataclass(frozen=True)
class Command:
    """How a part is started. `stop_signal` is what asks it to end cleanly, `patience_seconds` how long it may take."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    account: Account | None = None
    stop_signal: int = signal.SIGTERM
    patience_seconds: float = 20.0


def base_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


def spawn(command: Command, log: Path, cwd: Path) -> int:
    """Start a command in a session of its own, its output appended to `log`; return the pid."""
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
        log.replace(log.with_name(log.name + ".1"))
    options = command.account.options() if command.account else {}
    with log.open("ab") as output:
        try:
            process = subprocess.Popen(
                command.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**base_environment(), **command.env},
                start_new_session=True,
                umask=0o077,
                **options,  # type: ignore[call-overload]
            )
        except OSError as error:
            raise StackError(
                f"{command.argv[0]} could not be started: {error.strerror or error}.",
                hint="Reinstall the project's packages (uv sync --reinstall).",
            ) from error
    _spawned.add(process.pid)
    process.returncode = 0  # it is meant to outlive this program: Popen need not warn that it still runs
    return int(process.pid)


def is_running(pid: int, argv: Sequence[str]) -> bool:
    """Return whether the process `pid` runs and is the one started with `argv`.

    The program's own path is left out: macOS shows another one for a framework Python.
    """
    if pid <= 0:
        return False
    if pid in _spawned:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # a child of this very program would otherwise stay a zombie
    if _shows(pid, argv):
        return True
    import psutil

    try:
        process = psutil.Process(pid)
        # a killed process loses its command line first, its threads, port and files a moment later: it still runs
        if process.status() == psutil.STATUS_ZOMBIE:
            return bool(process.num_threads() > 1)
        shown = process.cmdline()
        return not shown or bool(shown[1:] == list(argv[1:]))
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _shows(pid: int, argv: Sequence[str]) -> bool:
    """Return whether Linux shows the process with these arguments; False where it has to be looked at closely."""
    try:
        shown = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    words = [os.fsdecode(word) for word in shown.split(b"\0")[1:-1]]
    return bool(words) and words == list(argv[1:])


def find(marker: Sequence[str]) -> list[tuple[int, tuple[str, ...]]]:
    """Return pid and command line of every process whose arguments hold all words of the marker."""
    import psutil

    found = []
    for process in psutil.process_iter(["cmdline"]):
        argv = process.info["cmdline"] or []
        if process.pid != os.getpid() and all(word in argv for word in marker):
            found.append((process.pid, tuple(argv)))
    return found


def is_listening(pid: int, port: int) -> bool:
    """Return whether the process itself listens on the port (True where the system does not let us see)."""
    import psutil

    try:
        connections = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.AccessDenied:
        return True
    except psutil.NoSuchProcess:
        return False
    return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections)


def stop(pid: int, command: Command) -> bool:
    """End the process if it is the command's: its own stop signal, then SIGKILL. Return whether there was one."""
    if not is_running(pid, command.argv):
        return False
    _signal(pid, command.stop_signal)
    if not wait_until(lambda: not is_running(pid, command.argv), command.patience_seconds):
        _signal(pid, signal.SIGKILL)
        if not wait_until(lambda: not is_running(pid, command.argv), 10):
            raise StackError(f"Process {pid} ({command.argv[0]}) does not end, not even by SIGKILL.")
    return True


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
    except PermissionError as error:
        raise StackError(
            f"Process {pid} of the local stack belongs to another user and cannot be stopped.",
            hint="Run the command as the user who started the stack.",
        ) from error


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Return True as soon as the condition holds, False when it does not within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def is_free(port: int) -> bool:
    """Return whether a server could listen on the loopback port now.

    Both are needed: BSDs let one bind beside a listener on all interfaces, and a port being closed refuses a connect.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        if probe.connect_ex((HOST, port)) == 0:
            return False
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def choose_port(remembered: int, taken: set[int]) -> int:
    """Return the remembered port when nobody has it, else a free one that is not in `taken`."""
    if remembered and remembered not in taken and is_free(remembered):
        return remembered
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((HOST, 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port


def http_status(port: int, path: str, method: str = "GET", timeout_seconds: float = 2.0) -> int:
    """Return the status a local HTTP server answers with; 0 when nothing answers."""
    import http.client

    connection = http.client.HTTPConnection(HOST, port, timeout=timeout_seconds)
    try:
        connection.request(method, path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def log_tail(log: Path, start: int = 0) -> str:
    """Return the last lines written to a log after byte `start`, indented for an error message."""
    if not log.exists():
        return "    (no log)"
    with log.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(start if start <= end else 0, end - 16_384))
        lines = file.read().decode("utf-8", "replace").splitlines()
    return "\n".join(f"    {line}" for line in lines[-LOG_TAIL_LINES:]) or "    (nothing was logged)"
