"""What a database branch is, and what can be done with branches wherever they live: Neon or the local server."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from penstock.environments import PROTECTED_BRANCHES
from penstock.errors import BranchError

Report = Callable[[str], None]

_PERIOD = re.compile(r"([1-9][0-9]{0,4})([hd])")


def silent(_: str) -> None: ...


@dataclass(frozen=True)
class Branch:
    """A branch as it is now. Times in UTC; `size_bytes` is what a dump of it would be about, None where it is not known.

    host: where it answers; empty while it has no compute. protected: no task resets or deletes it.
    """

    name: str
    parent: str = ""
    state: str = "ready"
    created_at: datetime | None = None
    expires_at: datetime | None = None
    size_bytes: int | None = None
    host: str = ""
    protected: bool = False

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True)
class Created:
    """A branch that is ready; `new` is False when it was there before."""

    branch: Branch
    new: bool


class Branches(Protocol):
    """Every call returns when what it asked for is done, may be repeated after an interruption, and tells no secret.

    Raises: BranchError (NeonError where Neon refused), naming the branch and the next step.
    """

    def all(self) -> list[Branch]: ...

    def create(self, name: str, expires_at: datetime | None = None) -> Created:
        """Copy the target's own branch, unless the branch is there already. An expiry is set on one that is there, too."""

    def reset(self, name: str) -> Branch:
        """Make the branch what its parent is now. Sessions on it end."""

    def delete(self, name: str) -> bool:
        """Delete the branch; False when there is none. Sessions on it end."""

    def expire(self, name: str, at: datetime | None) -> Branch:
        """Set when the branch goes by itself; None keeps it."""

    def database_url(self, name: str, *, pooled: bool = False) -> str:
        """Return the URL of the branch's database, password included: for connections, never for print."""


def require_unprotected(name: str, action: str) -> None:
    """Raise BranchError for a name that no task may create, reset or delete."""
    if name in PROTECTED_BRANCHES:
        raise BranchError(
            f"'{name}' is an environment's own branch: no task can {action} it.",
            hint="Branches of your own have other names, preview/pr-12 say.",
        )


def no_such_branch(name: str, target: str) -> BranchError:
    flag = "" if target == "local" else f" --target {target}"
    return BranchError(
        f"There is no database branch '{name}' on target '{target}'.",
        hint=f"invoke branch.create {name}{flag}; `invoke branch.list{flag}` shows those there are.",
    )


def expiry(text: str, now: datetime) -> datetime | None:
    """Return when a branch expires: `36h`, `7d`, an ISO time (UTC where it says no zone), or None for `never`.

    Raises: BranchError for anything else, and for a time that has passed.
    """
    if text == "never":
        return None
    period = _PERIOD.fullmatch(text)
    if period:
        hours = int(period[1]) * (24 if period[2] == "d" else 1)
        return (now + timedelta(hours=hours)).replace(microsecond=0)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BranchError(
            f"--expires {text} is no time.", hint="--expires 36h, 7d, 2027-01-31T12:00:00Z or never."
        ) from None
    found = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)
    if found <= now:
        raise BranchError(
            f"--expires {text} has passed.", hint="Give a time to come, or delete the branch now."
        )
    return found
