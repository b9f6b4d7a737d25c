"""Typed settings: the only reader of the environment. Every PENSTOCK_* variable and AWS/DATABASE address is named here."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from penstock.environments import Environment, environment
from penstock.errors import SettingsError

PROJECT_ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Settings(BaseSettings):
    """Read once a process, at the task's edge; passed in everywhere else."""

    model_config = SettingsConfigDict(env_prefix="PENSTOCK_", extra="ignore", populate_by_name=True)

    target: str = Field("local", description="Environment to work on: local, dev or production.")
    region: str = Field("us-east-2", description="AWS region.")
    aws_account: str = Field("", description="AWS account id; bucket names of dev and production end in it.")
    state_dir: Path = Field(
        PROJECT_ROOT / ".penstock",
        description="Where the local stack keeps data, logs, ports and its password.",
    )
    debug: bool = Field(False, description="Show stack traces.")
    database_url: str = Field(
        "",
        validation_alias="DATABASE_URL",
        description="Postgres of dev and production: Neon's direct (unpooled) URL. Locally the stack's own is used.",
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
        found = environment(self.target, self.aws_account)
        if found.target != "local" and urlsplit(self.aws_endpoint_url).hostname in LOOPBACK:
            raise SettingsError(
                f"Target '{self.target}' is on AWS, but AWS_ENDPOINT_URL points to this machine ({self.aws_endpoint_url}).",
                hint="The shell holds what `invoke env` exports: open a fresh one, or unset AWS_ENDPOINT_URL and its kin.",
            )
        return found


def load(target: str = "") -> Settings:
    """Return the settings of the environment, with the target given on the command line where there is one.

    Raises: SettingsError naming each variable that cannot be used.
    """
    try:
        return Settings(target=target) if target else Settings()  # type: ignore[call-arg]
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise SettingsError(
            f"Settings cannot be used: {faults}.", hint="docs/reference/settings.md lists them."
        ) from error
