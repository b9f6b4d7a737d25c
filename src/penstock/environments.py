"""Target and branch -> names: buckets, databases, workgroup, dbt targets, Neon branch. The table of names, in one place.

Local is an environment like the others; what makes it local is only where its addresses come from (`penstock.local`).
A git branch only proposes a target: `proposal` says which, and nothing here or above ever takes it where data is at stake.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from penstock.errors import SettingsError

Target = Literal["local", "dev", "production"]

# target -> the database branch that is its own: what a sync fills when no other is named
OWN_BRANCHES: dict[str, str] = {"local": "local", "dev": "dev", "production": "main"}
# Names that no task creates, resets or deletes, whatever the target. Neon's console calls a project's root `production`.
PROTECTED_BRANCHES = frozenset({*OWN_BRANCHES.values(), "production", "master"})
# The word that stands for "what the checked out git branch proposes"
FROM_GIT = "git"

_PREVIEW = re.compile(r"preview/pr-([1-9][0-9]{0,8})")
# 63 bytes: Postgres's limit for a database's name, which a branch is locally. The characters need no quoting in a shell.
_BRANCH_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}")
_BESIDE_LANDED = re.compile(r"\w+_(local|dev|production)")  # a landed database, where histories are built too
_MARTS = re.compile(r"analytics_(?:local|dev|production)(?:_pr_[0-9]+)?(?=_|$)")


@dataclass(frozen=True)
class Environment:
    """The names of one target, and of one database branch of it.

    account: the AWS account id; empty locally, where bucket names need no suffix.
    branch: the database branch on which Postgres's side works; empty for the target's own.
    """

    target: Target
    account: str = ""
    branch: str = ""

    @property
    def _suffix(self) -> str:
        return f"{self.target}-{self.account}" if self.account else self.target

    @property
    def lake_bucket(self) -> str:
        return f"penstock-lake-{self._suffix}"

    @property
    def results_bucket(self) -> str:
        return f"penstock-athena-results-{self._suffix}"

    @property
    def workgroup(self) -> str:
        return f"penstock-{self.target}"

    @property
    def marts_database(self) -> str:
        """A preview builds marts of its own; any other branch shares the target's."""
        preview = _PREVIEW.fullmatch(self.branch)
        return f"analytics_{self.target}" + (f"_pr_{preview[1]}" if preview else "")

    @property
    def is_preview(self) -> bool:
        """Whether the branch is a preview's, and so has marts of its own."""
        return _PREVIEW.fullmatch(self.branch) is not None

    @property
    def marts_prefix(self) -> str:
        """Below which keys of the lake bucket dbt puts the marts' files (the profile's s3_data_dir and s3_data_naming)."""
        return f"marts/{self.marts_database}/"

    @property
    def own_branch(self) -> str:
        """The database branch of the target itself, from which others are created."""
        return OWN_BRANCHES[self.target]

    @property
    def database_branch(self) -> str:
        """The database branch at work: Neon's, or the local database of that name."""
        return self.branch or self.own_branch

    def require_own_marts(self, database: str, model: str) -> None:
        """Raise SettingsError when a model was last built into the marts of another target or branch.

        What is synced is named by the last build's manifest: without this, a preview's rows would go into dev's database.
        """
        marts = marts_of(database)
        beside = _BESIDE_LANDED.fullmatch(database) if marts is None else None
        if marts not in (None, self.marts_database) or (
            beside is not None and (self.is_preview or beside[1] != self.target)
        ):
            flag = f" --branch {self.branch}" if self.branch else ""
            flag += "" if self.target == "local" else f" --target {self.target}"
            raise SettingsError(
                f"{model} was last built into {database}, not into {self.marts_database}, which this sync reads.",
                hint=f"invoke build{flag}",
            )

    @property
    def lake_dbt_target(self) -> str:
        """The athena target in profiles/profiles.yml."""
        return self.target

    @property
    def neon_dbt_target(self) -> str:
        """The postgres target in profiles/profiles.yml."""
        return f"neon_{self.target}"

    def landed_database(self, source: str) -> str:
        """The Glue database of a source's landed tables; raises LandingError for a source that is not declared."""
        from penstock.sources import get

        return f"{get(source).database}_{self.target}"

    def history_database(self, source: str) -> str:
        """Where a source's history is built: beside what landed; a preview's in its own marts, or it would change dev's."""
        return self.marts_database if self.is_preview else self.landed_database(source)

    def landed_location(self, table: str) -> str:
        """s3:// prefix of a landed table's files, ending in '/'; the table is named as `penstock.sources.table` takes it."""
        from penstock.sources import table as declared

        return f"s3://{self.lake_bucket}/{declared(table).prefix}"


@dataclass(frozen=True)
class Proposal:
    """What a git branch stands for: the target, its marts, and the database branch, which a preview has of its own."""

    git_branch: str
    target: Target
    database_branch: str
    marts_database: str


def proposal(git_branch: str) -> Proposal:
    """Return what a git branch proposes: `main` production, `dev` and `feature/*` dev, `preview/pr-<n>` dev with its own.

    Raises: SettingsError for a git branch that stands for nothing.
    """
    target: Target = "dev"
    branch = OWN_BRANCHES["dev"]
    if git_branch == "main":
        target, branch = "production", OWN_BRANCHES["production"]
    elif _PREVIEW.fullmatch(git_branch):
        branch = git_branch
    elif git_branch != "dev" and not re.fullmatch("feature/.+", git_branch):
        raise SettingsError(
            f"The git branch '{git_branch}' stands for no environment.",
            hint="main, dev, feature/… and preview/pr-<n> do; name the target and the database branch yourself otherwise.",
        )
    marts = Environment(target, branch="" if branch == OWN_BRANCHES[target] else branch).marts_database
    return Proposal(git_branch, target, branch, marts)


def branch_from_git(git_branch: str, target: str) -> str:
    """Return the database branch that a git branch means on a target; empty for the target's own.

    Raises: SettingsError when the git branch belongs to another target: the target is never changed to fit.
    """
    found = proposal(git_branch)
    if target == "local":
        return found.database_branch if _PREVIEW.fullmatch(found.database_branch) else ""
    if found.target != target:
        raise SettingsError(
            f"The git branch '{git_branch}' belongs to target '{found.target}', not to '{target}'.",
            hint="Check out another one, or name the database branch: --branch preview/pr-12.",
        )
    return found.database_branch


def require_branch_name(name: str) -> None:
    """Raise SettingsError for a name that a database branch cannot have on every target alike."""
    if name == FROM_GIT or not _BRANCH_NAME.fullmatch(name):
        raise SettingsError(
            f"'{name}' cannot be a database branch's name.",
            hint="Up to 63 letters, digits and . _ - /, beginning with a letter or digit: preview/pr-12, say.",
        )


def marts_of(database: str) -> str | None:
    """Return the marts database that a Glue database belongs to (itself, or it with dbt's suffix); None for a stranger."""
    found = _MARTS.match(database)
    return found[0] if found else None


def environment(target: str, account: str = "", branch: str = "") -> Environment:
    """Return the environment of a target; raises SettingsError for a name that is none."""
    if target not in get_args(Target):
        raise SettingsError(
            f"'{target}' is no target.",
            hint=f"Use one of: {', '.join(get_args(Target))} (--target or PENSTOCK_TARGET).",
        )
    if target != "local" and not account:
        raise SettingsError(
            f"Target '{target}' needs the AWS account id that its bucket names end in.",
            hint="Set PENSTOCK_AWS_ACCOUNT (12 digits).",
        )
    if account and not re.fullmatch("[0-9]{12}", account):
        raise SettingsError(
            f"'{account}' is no AWS account id.",
            hint="PENSTOCK_AWS_ACCOUNT takes its 12 digits, nothing else.",
        )
    return Environment(target, account, _foreign_branch(target, branch))  # type: ignore[arg-type]


def _foreign_branch(target: str, branch: str) -> str:
    """Return the branch, empty when it is the target's own.

    Raises: SettingsError for another target's own branch (dev's rows must never land in production's database), and for any
    branch on production.
    """
    if branch in ("", OWN_BRANCHES[target]):
        return ""
    require_branch_name(branch)
    if branch in PROTECTED_BRANCHES:
        raise SettingsError(
            f"The database branch '{branch}' does not belong to target '{target}'.",
            hint=f"Its own is '{OWN_BRANCHES[target]}': leave --branch and PENSTOCK_BRANCH out, or name another target.",
        )
    if target == "production":
        raise SettingsError(
            f"Production has no database branches; '{branch}' was asked for.",
            hint="Branches are made from dev: --target dev.",
        )
    return branch
