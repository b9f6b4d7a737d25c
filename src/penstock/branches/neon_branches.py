"""Database branches on Neon: each call finds out what is there and does what is left, so it may be repeated after any end.

A create that was killed, or lost its answer, is found again by the branch's name and waited for. Neon does not promise that
names are unique: of two creates at once that both got through, the older branch stays; who made the younger one deletes it.
Refuses what would hurt others: the environments' own branches, protected ones, the default one, ones with children.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from penstock.branches.model import (
    Branch,
    Created,
    Report,
    no_such_branch,
    require_unprotected,
    silent,
)
from penstock.branches.neon import NeonBranch, NeonClient, NeonDatabase, Operation
from penstock.credentials import ClientOf, given
from penstock.environments import PROTECTED_BRANCHES, require_branch_name
from penstock.errors import BranchError, NeonError, SettingsError

if TYPE_CHECKING:
    from penstock.settings import Settings

# Neon's times are to the second. A create looks for a rival no sooner than this after it began: who comes later is younger
# by a second at least and gives way, who came before is seen, and of two of one second both take the same one.
_RIVAL_SECONDS = 2.0
_ATTEMPTS = 4  # of a create whose answer was lost; each looks first whether the one before got through


class NeonBranches:
    """The branches of one Neon project, seen from one target. The client is made on first use.

    database, role: to connect to; a branch's only database and its owner where they are empty.
    """

    def __init__(
        self,
        make_client: Callable[[], NeonClient],
        target: str,
        own_branch: str,
        *,
        database: str = "",
        role: str = "",
        report: Report = silent,
    ) -> None:
        self._make_client = make_client
        self._target, self._own_branch = target, own_branch
        self._database, self._role = database, role
        self._report = report

    @classmethod
    def of(cls, settings: Settings, client: ClientOf, report: Report = silent) -> NeonBranches:
        """Return the branches of the settings' project; `client` makes the AWS clients for secrets that lie there.

        Raises: SettingsError when key or project are not given. Nothing is asked yet.
        """
        key = given("NEON_API_KEY", settings.neon_api_key, settings.neon_api_key_from, client)
        project = given("NEON_PROJECT_ID", settings.neon_project_id, settings.neon_project_id_from, client)
        if key is None or project is None:
            missing = "NEON_API_KEY" if key is None else "NEON_PROJECT_ID"
            raise SettingsError(
                f"The database branches of target '{settings.target}' are Neon's, and no {missing} is set.",
                hint=f"Set {missing}, or PENSTOCK_{missing}_FROM to where it lies (docs/branches.md).",
            )
        return cls(
            lambda: NeonClient(project.value(), key, settings.neon_api_url, report=report),
            settings.target,
            settings.environment.own_branch,
            database=settings.neon_database,
            role=settings.neon_role,
            report=report,
        )

    @cached_property
    def _neon(self) -> NeonClient:
        return self._make_client()

    def all(self) -> list[Branch]:
        found = list(self._neon.branches())
        names = {branch.id: branch.name for branch in found}
        hosts = {e.branch_id: e.host for e in self._neon.endpoints() if e.kind == "read_write"}
        return [
            _shown(branch, names.get(branch.parent_id, ""), hosts.get(branch.id, ""))
            for branch in sorted(found, key=lambda branch: (branch.parent_id != "", branch.created_at))
        ]

    def create(self, name: str, expires_at: datetime | None = None) -> Created:
        require_branch_name(name)
        require_unprotected(name, "create")
        found = self._find(name)
        if found is None:
            return self._make(name, expires_at)
        if expires_at is not None and found.expires_at != expires_at:
            found = self._neon.expire_branch(found.id, expires_at)
        return Created(self._complete(found), new=False)

    def reset(self, name: str) -> Branch:
        found = self._changeable(name, "reset")
        if not found.parent_id:
            raise BranchError(f"'{name}' has no parent to be reset to.", hint="Delete and create it instead.")
        self._report(f"resetting {name} to {self._name_of(found.parent_id)}")
        return self._complete(found, self._neon.restore_branch(found.id, found.parent_id))

    def delete(self, name: str) -> bool:
        require_unprotected(name, "delete")
        there = self._named(name)
        for found in there:  # one, but for what a killed create of two at once may have left
            self._require_changeable(found, "delete")
            self._neon.settle(self._neon.delete_branch(found.id), f"deleting {name}")
        return bool(there)

    def expire(self, name: str, at: datetime | None) -> Branch:
        found = self._changeable(name, "delete")
        return self._shown(self._neon.expire_branch(found.id, at))

    def database_url(self, name: str, *, pooled: bool = False) -> str:
        found = self._required(name)
        database = self._chosen(found)
        return self._neon.connection_uri(found.id, database.name, self._role or database.owner, pooled=pooled)

    # steps

    def _make(self, name: str, expires_at: datetime | None) -> Created:
        """Create the branch; or return the one that somebody else has created meanwhile."""
        began = self._neon.now()
        made = self._made(name, expires_at)
        if made is None:
            return Created(self._complete(self._required(name)), new=False)
        branch = self._complete(*made)
        self._neon.wait_until(began + _RIVAL_SECONDS)
        first = self._required(name)
        if first.id == made[0].id:
            return Created(branch, new=True)
        self._report(f"{name} was created twice at once; the other one stays")
        self._neon.settle(self._neon.delete_branch(made[0].id), f"deleting the second {name}")
        return Created(self._complete(first), new=False)

    def _made(self, name: str, expires_at: datetime | None) -> tuple[NeonBranch, list[Operation]] | None:
        """Create the branch; None when it is there although the answer says no, or was lost."""
        parent = self._required(self._own_branch)
        for attempt in range(1, _ATTEMPTS + 1):
            self._report(f"creating {name} from {parent.name}")
            try:
                return self._neon.create_branch(name, parent.id, expires_at)
            except NeonError as error:
                if self._find(name) is not None:
                    return None
                if not error.is_ambiguous or attempt == _ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _complete(self, branch: NeonBranch, operations: Sequence[Operation] = ()) -> Branch:
        """Return the branch when nothing is at work on it and its compute can be used; it gets one if it has none."""
        what = f"waiting for branch '{branch.name}'"
        known = {operation.id for operation in operations}
        left = [o for o in self._neon.unfinished(branch.id) if o.id not in known]
        self._neon.settle([*operations, *left], what)
        if not any(e.kind == "read_write" for e in self._neon.endpoints(branch.id)):
            self._neon.settle(self._make_compute(branch), what)
        host = self._neon.await_ready(branch.id, what).host
        return self._shown(self._neon.branch(branch.id), host)

    def _make_compute(self, branch: NeonBranch) -> list[Operation]:
        self._report(f"{branch.name} has no compute yet: creating one")
        try:
            return self._neon.create_endpoint(branch.id)
        except NeonError:
            if any(e.kind == "read_write" for e in self._neon.endpoints(branch.id)):
                return self._neon.unfinished(branch.id)  # an answer was lost, or somebody else was faster
            raise

    def _named(self, name: str) -> list[NeonBranch]:
        """Return the branches of exactly that name, the oldest first, by id where they are of the same second."""
        found = [branch for branch in self._neon.branches(name) if branch.name == name]
        return sorted(found, key=lambda branch: (branch.created_at, branch.id))

    def _find(self, name: str) -> NeonBranch | None:
        return next(iter(self._named(name)), None)

    def _required(self, name: str) -> NeonBranch:
        found = self._find(name)
        if found is None and name == self._own_branch:
            raise BranchError(
                f"The Neon project has no branch '{name}', which target '{self._target}' stands on.",
                hint=f"Create or rename it in Neon's console, or: neonctl branches create --name {name}",
            )
        if found is None:
            raise no_such_branch(name, self._target)
        return found

    def _changeable(self, name: str, action: str) -> NeonBranch:
        """Return the branch, if no one else depends on it."""
        require_unprotected(name, action)
        found = self._required(name)
        self._require_changeable(found, action)
        return found

    def _require_changeable(self, found: NeonBranch, action: str) -> None:
        if found.default or found.protected:
            kind = "the project's default branch" if found.default else "protected in Neon"
            raise BranchError(
                f"'{found.name}' is {kind}: it is not {_DONE[action]}.", hint="Choose another one."
            )
        children = [branch.name for branch in self._neon.branches() if branch.parent_id == found.id]
        if children:
            raise BranchError(
                f"'{found.name}' has branches of its own, which stand in the way: {', '.join(children)}.",
                hint=f"Delete them first: invoke branch.delete {children[0]} --target {self._target}",
            )

    def _chosen(self, branch: NeonBranch) -> NeonDatabase:
        """Return the database to connect to: the one that is set, or the only one there is."""
        found = self._neon.databases(branch.id)
        if self._database:
            found = [database for database in found if database.name == self._database]
        if len(found) == 1:
            return found[0]
        there = ", ".join(sorted(database.name for database in self._neon.databases(branch.id))) or "none"
        wanted = f"no database '{self._database}'" if self._database else "not exactly one database"
        raise BranchError(
            f"The Neon branch '{branch.name}' has {wanted}; it has {there}.",
            hint="Set PENSTOCK_NEON_DATABASE to the one to sync into.",
        )

    def _name_of(self, branch_id: str) -> str:
        return self._neon.branch(branch_id).name

    def _shown(self, branch: NeonBranch, host: str = "") -> Branch:
        return _shown(branch, self._name_of(branch.parent_id) if branch.parent_id else "", host)


_DONE = {"reset": "reset", "delete": "deleted"}


def _shown(branch: NeonBranch, parent: str, host: str) -> Branch:
    expires = branch.expires_at
    return Branch(
        name=branch.name,
        parent=parent,
        state=branch.state,
        created_at=branch.created_at.astimezone(UTC),
        expires_at=None if expires is None else expires.astimezone(UTC),
        size_bytes=branch.size_bytes,
        host=host,
        protected=branch.protected or branch.default or branch.name in PROTECTED_BRANCHES,
    )
