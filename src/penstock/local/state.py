"""What the local stack remembers between commands: ports, processes, one password; and the lock that keeps two `up`s apart.

Everything is a file of the state folder, written whole or not at all, readable by its owner only. Nothing here is trusted
about what runs: a remembered pid is a hint that `process.is_running` checks.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from penstock.errors import StackError

STATE_FILE = "state.json"
LOCK_FILE = "lock"
PASSWORD_FILE = "postgres.password"
LOCK_PATIENCE_SECONDS = (
    180.0  # longer than a first start on a slow disk; another `up` holds the lock meanwhile
)


@dataclass
class PartRecord:
    """A part as it was last started. `ready`: it answered and was set up completely (buckets, database)."""

    port: int = 0
    pid: int = 0
    argv: list[str] = field(default_factory=list)
    ready: bool = False


@dataclass
class State:
    """`folder`: the state folder's path when this was written; another one now means that it was moved or copied."""

    parts: dict[str, PartRecord] = field(default_factory=dict)
    folder: str = ""

    def part(self, name: str) -> PartRecord:
        return self.parts.setdefault(name, PartRecord())


def load(folder: Path) -> State:
    """Return the remembered state; an empty one when there is none or it cannot be read as one.

    An unreadable file costs nothing but the ports: the data lies elsewhere.
    """
    try:
        raw = json.loads((folder / STATE_FILE).read_text())
        return State({name: PartRecord(**record) for name, record in raw["parts"].items()}, raw["folder"])
    except FileNotFoundError:
        return State()
    except PermissionError as error:
        raise not_ours(folder) from error
    except NotADirectoryError as error:
        raise StackError(
            f"The state folder {folder} is no folder.",
            hint="Set PENSTOCK_STATE_DIR to a folder, or leave it unset.",
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError):
        return State()


def save(folder: Path, state: State) -> None:
    state.folder = str(folder)
    write_private(folder / STATE_FILE, json.dumps(asdict(state), indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, replacing the old one at once or not at all."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def password(folder: Path) -> str:
    """Return the database password of this state folder, making one the first time."""
    path = folder / PASSWORD_FILE
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        write_private(path, secrets.token_urlsafe(24) + "\n")
        return path.read_text().strip()
    except PermissionError as error:
        raise not_ours(folder) from error


def make_folder(folder: Path) -> None:
    """Create the state folder: its owner's alone. Root's may be passed through, for PostgreSQL must not run as root."""
    if folder.is_dir():
        if not os.access(folder, os.W_OK | os.X_OK):
            raise not_ours(folder)
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            if not folder.is_dir():  # else another command made it at the same moment
                raise
        if os.geteuid() == 0:
            folder.chmod(0o711)
    except OSError as error:
        raise StackError(
            f"The state folder {folder} cannot be made: {error.strerror}.",
            hint="Set PENSTOCK_STATE_DIR to a folder you may write to.",
        ) from error


@contextmanager
def locked(folder: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Hold the state folder's lock; waits for another command that starts or stops the stack."""
    descriptor = _acquire(folder, report)
    try:
        yield
    finally:
        os.close(descriptor)


def _acquire(folder: Path, report: Callable[[str], None]) -> int:
    path = folder / LOCK_FILE
    deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
    told = False
    while True:
        make_folder(folder)  # again each time: a `reset` that held the lock has removed it
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            continue
        except PermissionError as error:
            raise not_ours(folder) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and path.stat().st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        except BlockingIOError:
            if not told:
                report("another command is starting or stopping the local stack; waiting for it")
                told = True
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise StackError(
                f"Another command has held {path} for {LOCK_PATIENCE_SECONDS:.0f} seconds.",
                hint="See what it is (ps ax | grep invoke), end it, and run this again.",
            )
        time.sleep(0.05)


def not_ours(folder: Path) -> StackError:
    """Return what to say of a folder that this user may not read or write."""
    if folder.is_dir() and folder.stat().st_uid == os.geteuid():
        return StackError(
            f"The state folder {folder} cannot be written to, though it is yours.",
            hint=f"chmod u+rwx {shlex.quote(str(folder))}, or set PENSTOCK_STATE_DIR to another folder.",
        )
    return StackError(
        f"The state folder {folder} belongs to another user.",
        hint="Run as the user who made it, or set PENSTOCK_STATE_DIR to a folder of your own.",
    )
