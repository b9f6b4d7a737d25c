"""Typed settings: the only reader of the environment. Every PENSTOCK_* variable and AWS/DATABASE address is named here."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from penstock.environments import FROM_GIT, Environment, branch_from_git, environment
from penstock.errors import SettingsError
from penstock.variables import Field, Variables

PROJECT_ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Settings(Variables, prefix="PENSTOCK_"):
    """Read once a process, at the task's edge; passed in everywhere else."""

    target: str = Field("local", description="Environment to work on: local, dev or production.")
    region: str = Field("us-east-2", description="AWS region.")
    aws_account: str = Field("", description="AWS account id; bucket names of dev and production end in it.")
    state_dir: Path = Field(
        PROJECT_ROOT / ".penstock",
        description="Where the local stack keeps data, logs, ports and its password.",
    )
    debug: bool = Field(False, description="Show stack traces.")
    test_workers: int = Field(
        0,
        ge=0,
        le=64,
        description="Processes that `invoke test` runs tests in, each with a local stack of its own (about 1.5 GB);"
        " 0: one a core, 4 at most.",
    )
    branch: str = Field(
        "",
        description="Database branch to work on instead of the target's own, e.g. `preview/pr-12`; `git`: what the"
        " checked out git branch proposes (docs/branches.md).",
    )
    database_url: str = Field(
        "",
        validation_alias="DATABASE_URL",
        repr=False,
        description="Postgres of dev and production: Neon's direct (unpooled) URL. Locally the stack's own is used.",
    )
    database_url_from: str = Field(
        "",
        description="Where DATABASE_URL lies instead: `ssm:<parameter>`, `secretsmanager:<secret>` or"
        " `secretsmanager:<secret>#<key>`. Read again when Postgres refuses the password.",
    )
    neon_api_key: str = Field(
        "",
        validation_alias="NEON_API_KEY",
        repr=False,
        description="Key of Neon's API, for database branches.",
    )
    neon_api_key_from: str = Field(
        "", description="Where the key lies instead, as above. Read again when Neon refuses it."
    )
    neon_project_id: str = Field("", validation_alias="NEON_PROJECT_ID", description="Neon's project.")
    neon_project_id_from: str = Field("", description="Where the project's id lies instead, as above.")
    neon_database: str = Field(
        "", description="Database on a Neon branch; needed where a branch has more than one."
    )
    neon_role: str = Field("", description="Role to connect to Neon as; the database's owner by default.")
    neon_api_url: str = Field(
        "https://console.neon.tech/api/v2", description="Address of Neon's API; https, or on this machine."
    )
    sync_connections: int = Field(
        4,
        ge=1,
        le=64,
        description="Tables synced at a time, each on a connection to Postgres; 1: one after another.",
    )
    sync_keep_runs_days: float = Field(
        90,
        ge=0,
        description="Days that the records of sync runs are kept in `penstock.sync_runs`; 0 keeps all.",
    )
    upkeep_small_files: int = Field(
        5,
        ge=2,
        description="`invoke lake.upkeep` compacts a table when a partition has so many small files;"
        " a model's `meta.upkeep` says otherwise (docs/lake.md).",
    )
    upkeep_delete_files: int = Field(
        2, ge=1, description="The same when a data file has so many delete files."
    )
    upkeep_keep_days: float = Field(
        5, ge=0, description="Days that `invoke lake.upkeep` keeps a table's snapshots."
    )
    upkeep_keep_snapshots: int = Field(3, ge=1, description="Snapshots that it keeps at least, however old.")
    notify_webhook: str = Field(
        "",
        repr=False,
        description="Slack's incoming webhook, or one that takes its format, told when syncs fail and recover"
        " (docs/how-to/notifications.md). Its URL is a key.",
    )
    notify_webhook_from: str = Field(
        "",
        description="Where the webhook's URL lies instead: `ssm:<parameter>`, `secretsmanager:<secret>` or"
        " `secretsmanager:<secret>#<key>`.",
    )
    notify_sns_topic: str = Field("", description="ARN of an SNS topic told the same.")
    notify_email_to: str = Field("", description="E-mail addresses told the same, comma-separated.")
    notify_email_from: str = Field(
        "", description="Sender of these e-mails; the first address they go to by default."
    )
    smtp_url: str = Field(
        "",
        repr=False,
        description="Mail server: `smtp://user:password@host:587` (STARTTLS where offered) or `smtps://…:465`;"
        " special characters percent-encoded.",
    )
    smtp_url_from: str = Field("", description="Where the mail server's URL lies instead, as above.")
    notify_repeat_hours: float = Field(
        0, ge=0, description="Tell again of a table that still fails after so many hours; 0: once a failure."
    )
    notify_seconds: float = Field(
        15, gt=0, le=300, description="How long a run waits for the channels to take a message, all together."
    )
    aws_endpoint_url: str = Field(
        "",
        validation_alias="AWS_ENDPOINT_URL",
        description="Set by `invoke env` for other tools; dev and production are refused while it points to this machine.",
    )

    @cached_property
    def environment(self) -> Environment:
        """Return the target's names.

        Raises: SettingsError for an unknown target, and for one on AWS in a shell that holds the local stack's addresses:
        its DATABASE_URL would be the local one too.
        """
        found = environment(self.target, self.aws_account, self._branch())
        if found.target != "local" and urlsplit(self.aws_endpoint_url).hostname in LOOPBACK:
            raise SettingsError(
                f"Target '{self.target}' is on AWS, but AWS_ENDPOINT_URL points to this machine ({self.aws_endpoint_url}).",
                hint="The shell holds what `invoke env` exports: open a fresh one, or unset AWS_ENDPOINT_URL and its kin.",
            )
        return found

    def _branch(self) -> str:
        """Return the database branch, looked up in git where the setting says so."""
        if self.branch != FROM_GIT:
            return self.branch
        from penstock.branches.git import current_branch

        return branch_from_git(current_branch(), self.target)


def load(target: str = "", branch: str = "") -> Settings:
    """Return the settings of the environment, with target and branch given on the command line where they are.

    Raises: SettingsError naming each variable that cannot be used.
    """
    given = {name: value for name, value in (("target", target), ("branch", branch)) if value}
    return Settings(**given)
