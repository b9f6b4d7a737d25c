"""Typed settings: the only reader of the environment. Every PENSTOCK_* variable and AWS/DATABASE address is named here."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from penstock.environments import Environment, environment
from penstock.errors import SettingsError

PROJECT_ROOT = Path(__file__).resolve().parents[2]


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

    @cached_property
    def environment(self) -> Environment:
        return environment(self.target, self.aws_account)


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
