"""Target -> names: buckets, databases, workgroup, dbt targets. The design's table of names, in this one place.

Local is an environment like the others; what makes it local is only where its addresses come from (`penstock.local`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from penstock.errors import SettingsError

Target = Literal["local", "dev", "production"]

# source -> the prefix of its landed database; the environment's name follows
LANDED_DATABASES = {
    "forecast": "forecast_data",
}


@dataclass(frozen=True)
class Environment:
    """The names of one target. `account` is the AWS account id; empty locally, where bucket names need no suffix."""

    target: Target
    account: str = ""

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
        return f"analytics_{self.target}"

    @property
    def lake_dbt_target(self) -> str:
        """The athena target in profiles/profiles.yml."""
        return self.target

    @property
    def neon_dbt_target(self) -> str:
        """The postgres target in profiles/profiles.yml."""
        return f"neon_{self.target}"

    def landed_database(self, source: str) -> str:
        return f"{LANDED_DATABASES[source]}_{self.target}"

    def landed_location(self, source: str) -> str:
        """s3:// prefix of the source's landed files, ending in '/'."""
        return f"s3://{self.lake_bucket}/{LANDED_DATABASES[source]}/"


def environment(target: str, account: str = "") -> Environment:
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
    return Environment(target, account)  # type: ignore[arg-type]
