"""invoke branch.create, list, url, reset, delete, prune: database branches for a person.

Only `url` prints a URL, and that is all it prints.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from penstock import console
from penstock.branches.git import current_branch
from penstock.branches.model import Branch, Branches, expiry, require_unprotected
from penstock.environments import FROM_GIT, Environment, branch_from_git, environment
from penstock.errors import BranchError

if TYPE_CHECKING:
    from penstock.settings import Settings


def create(settings: Settings, name: str, *, expires: str) -> None:
    name = _named(settings, name)
    at = expiry(expires, _now()) if expires else None
    if expires == "never":
        raise BranchError("--expires never says nothing here.", hint="Leave it out: the branch then stays.")
    created = opened(settings).create(name, at)
    branch = created.branch
    _show([branch], settings)
    if created.new:
        console.success(f"Branch {branch.name} was created from {branch.parent} and can be used.")
    else:
        console.success(f"Branch {branch.name} was there already, and can be used.")
    _show_use(settings, branch)


def list_branches(settings: Settings, *, as_json: bool) -> None:
    branches = opened(settings).all()
    if not as_json:
        _show(branches, settings)
        return
    import json

    rows = [asdict(branch) for branch in branches]
    console.line(json.dumps(rows, indent=1, default=datetime.isoformat))


def url(settings: Settings, name: str, *, pooled: bool) -> None:
    """Print the URL of the branch's database, password and all, and nothing else: for another program to read."""
    console.line(opened(settings).database_url(_named(settings, name), pooled=pooled))


def reset(settings: Settings, name: str, *, yes: bool) -> None:
    name = _named(settings, name)
    branches = opened(settings)
    require_unprotected(name, "reset")  # before anybody is asked
    if not _confirmed(f"Replace all data on the database branch {name} by its parent's?", yes=yes):
        return
    branch = branches.reset(name)
    console.success(f"Branch {branch.name} is what {branch.parent} is now; sessions on it were ended.")


def delete(settings: Settings, name: str, *, expires: str, marts: bool, yes: bool) -> None:
    """Delete a branch now, with the marts a preview has built where asked; or have it go later."""
    name = _named(settings, name)
    require_unprotected(name, "delete")  # before anybody is asked
    there = environment(settings.target, settings.aws_account, name)
    if marts and (expires or not there.is_preview):
        raise BranchError(
            "--marts goes with deleting a preview (preview/pr-<n>) now.",
            hint="Any other branch shares the target's marts, which stay.",
        )
    branches = opened(settings)
    if expires:
        _show([branches.expire(name, expiry(expires, _now()))], settings)
        return
    what = f"the database branch {name}" + (f" and the marts {there.marts_database}" if marts else "")
    if not _confirmed(f"Delete {what} with all data?", yes=yes):
        return
    if branches.delete(name):
        console.success(f"Branch {name} is deleted.")
    else:
        console.note(f"There is no branch {name}: nothing to delete.")
    if marts:
        _drop_marts(settings, there)
    elif there.is_preview:
        console.note(
            f"Its marts in the lake, {there.marts_database}, stay where they were built; --marts drops them, too."
        )


def _drop_marts(settings: Settings, there: Environment) -> None:
    from dataclasses import replace

    from penstock.connections import connect
    from penstock.lake.previews import drop_marts

    dropped = drop_marts(replace(connect(settings, console.note), environment=there))
    if dropped.tables or dropped.files:
        files = f"{dropped.files:,} files of {console.size(dropped.size_bytes)}"
        console.success(f"{dropped.database} is dropped: {dropped.tables} tables and views, {files}.")
    else:
        console.note(f"There are no marts {dropped.database}.")


def prune(settings: Settings, *, yes: bool) -> None:
    """Delete the branches whose time has come."""
    branches, now = opened(settings), _now()
    due = [branch.name for branch in branches.all() if branch.is_expired(now) and not branch.protected]
    if not due:
        console.note("No branch has expired.")
        return
    if not _confirmed(f"Delete the expired database branches {', '.join(due)}?", yes=yes):
        return
    for name in due:
        branches.delete(name)
        console.success(f"Branch {name} is deleted.")


def opened(settings: Settings) -> Branches:
    """Return the branches of the target: the local server's, started if need be, or Neon's.

    Raises: BranchError for production, which has none; SettingsError where Neon's key or project are not set.
    """
    here = settings.environment
    if here.target == "local":
        from penstock.branches.local import LocalBranches
        from penstock.local.stack import LocalStack

        stack = LocalStack(settings.state_dir, settings.region).up(console.note, parts=("postgres",))
        return LocalBranches(stack.database_url, own_branch=here.own_branch, report=console.note)
    if here.target == "production":
        raise BranchError(
            "Production has no database branches.", hint="Branches are made from dev: --target dev."
        )
    from penstock.branches.neon_branches import NeonBranches
    from penstock.connections import Connections

    client = Connections(here, settings.region).client
    return NeonBranches.of(settings, client, report=console.note)


def _named(settings: Settings, name: str) -> str:
    """Return the branch's name, looked up in git for `git`.

    Raises: BranchError when the git branch has no database branch of its own.
    """
    if name != FROM_GIT:
        return name
    git_branch, here = current_branch(), settings.environment
    found = branch_from_git(git_branch, here.target)
    if found in ("", here.own_branch):
        raise BranchError(
            f"The git branch '{git_branch}' has no database branch of its own; it shares '{here.own_branch}'.",
            hint="preview/pr-<n> has one; or give a name.",
        )
    return found


def _show(branches: list[Branch], settings: Settings) -> None:
    now = _now()
    rows = [
        (
            branch.name,
            branch.parent,
            "expired" if branch.is_expired(now) else branch.state,
            _moment(branch.created_at),
            _moment(branch.expires_at) if branch.expires_at else ("" if branch.protected else "never"),
            "" if branch.size_bytes is None else console.size(branch.size_bytes),
            branch.host,
            "protected" if branch.protected else "",
        )
        for branch in branches
    ]
    columns = ["branch", "from", "state", "created (UTC)", "expires (UTC)", "size", "host", ""]
    console.show_table(f"Database branches of target {settings.environment.target}", columns, rows, right=[5])


def _show_use(settings: Settings, branch: Branch) -> None:
    target = settings.environment.target
    flags = ("" if target == "local" else f" --target {target}") + f" --branch {branch.name}"
    console.note(f"Build its marts, sync into it:  invoke build{flags}  and  invoke sync{flags}")
    console.note(f'Connect psql and others to it:  eval "$(invoke env{flags})"')


def _confirmed(question: str, *, yes: bool) -> bool:
    """Return whether to go on; raises BranchError where nobody can answer."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise BranchError(f"{question} Nobody is here to confirm it.", hint="Add --yes.")
    if input(f"{question} Type 'yes': ").strip().lower() == "yes":
        return True
    console.note("Nothing was changed.")
    return False


def _moment(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"


def _now() -> datetime:
    return datetime.now(UTC)
