"""The user PostgreSQL runs as when the caller is root, and places that user can reach.

PostgreSQL refuses to run as root. An ordinary caller stays who they are; root drops to `nobody`. That user often cannot
pass a parent of the project (a home folder is 0700). Permissions of folders that are not ours are never changed: data and,
where needed, a copy of the binaries go to a folder of root's own below /var, which is said when it happens.
"""

from __future__ import annotations

import os
import pwd
import secrets
import subprocess
from pathlib import Path

from penstock.errors import StackError
from penstock.local.process import Account

UNPRIVILEGED = "nobody"
# Survive a reboot and can be passed by everyone; the first that exists is used. /var/tmp is macOS's choice.
SHARED_PLACES = (Path("/var/lib"), Path("/var/tmp"))
SHARED_FOLDER = "penstock"


def unprivileged() -> Account | None:
    """Return the user to drop to, None when the caller is not root."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(UNPRIVILEGED)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def can_enter(account: Account, folder: Path) -> bool:
    """Return whether the user gets into a folder; tries it, for permission bits do not tell of ACLs and mounts."""
    return _run_as(account, ["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)])


def can_execute(account: Account, program: Path) -> bool:
    """Return whether the user can run a program (asked for its version)."""
    return _run_as(account, [str(program), "--version"])


def _run_as(account: Account, argv: list[str]) -> bool:
    try:
        options = account.options()
        done = subprocess.run(argv, cwd="/", capture_output=True, timeout=30, **options)  # type: ignore[call-overload]
    except PermissionError:
        return False
    except OSError as error:
        raise StackError(
            f"PostgreSQL cannot run as root, and dropping to the user '{account.name}' failed: {error.strerror}.",
            hint="Run as an ordinary user.",
        ) from error
    return bool(done.returncode == 0)


def make_shared_folder() -> Path:
    """Return a new folder of root's own that an unprivileged user can pass: /var/lib/penstock/<random>."""
    place = next((place for place in SHARED_PLACES if place.is_dir()), None)
    if place is None:
        raise StackError(
            "PostgreSQL cannot run as root, and no folder was found that an unprivileged user can reach.",
            hint="Run as an ordinary user, or set PENSTOCK_STATE_DIR to a folder that every user can pass.",
        )
    base = place / SHARED_FOLDER
    base.mkdir(mode=0o711, exist_ok=True)
    if base.is_symlink() or base.stat().st_uid != os.geteuid():
        raise StackError(f"{base} does not belong to root.", hint="Remove it, or set PENSTOCK_STATE_DIR.")
    folder = base / secrets.token_hex(8)
    folder.mkdir()
    folder.chmod(0o711)
    return folder


def is_shared_folder(folder: Path) -> bool:
    """Return whether a folder was made by `make_shared_folder`, and so may be deleted by a reset."""
    return any(folder.parent == place / SHARED_FOLDER for place in SHARED_PLACES) and not folder.is_symlink()
