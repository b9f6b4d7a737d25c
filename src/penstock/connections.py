"""Addresses and clients of one environment: what every task that touches data is handed.

`local` differs from AWS only in that its addresses are filled in (by `penstock.local.stack`); elsewhere they are empty and
boto3 finds AWS and its credentials the usual way.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from penstock.environments import Environment
from penstock.errors import SettingsError

if TYPE_CHECKING:
    from penstock.credentials import Secret
    from penstock.settings import Settings

# A session makes one client at a time; the clients may be used by any thread.
_MAKING = threading.Lock()


@dataclass(frozen=True)
class Connections:
    """Endpoint URLs by boto3 service name (empty: AWS's own), the database URL, and static keys where there are any.

    database: the URL where it has to be asked for (a secret's store, Neon's API); `postgres_url` asks on first use.
    """

    environment: Environment
    region: str
    database_url: str = field(default="", repr=False)
    endpoint_urls: dict[str, str] = field(default_factory=dict)
    default_endpoint_url: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    database: Secret | None = field(default=None, repr=False, compare=False)

    @property
    def has_postgres(self) -> bool:
        """Whether a database is named; nothing is asked."""
        return bool(self.database_url or self.database)

    def postgres_url(self) -> str:
        """Return the database URL; raises SettingsError when none is set, which tasks of the lake alone never notice.

        Raises: CredentialsError or BranchError where the URL has to be asked for and is not answered.
        """
        if self.database is not None and not self.database_url:
            return self.database.value()
        if not self.database_url:
            raise SettingsError(
                f"Target '{self.environment.target}' has no database URL.",
                hint="Set DATABASE_URL to Neon's direct (unpooled) URL: postgresql://user:password@host/database?sslmode=verify-full",
            )
        return self.database_url

    def reread_postgres_url(self, refused: str) -> str | None:
        """Return a newer URL than the one whose password was refused; None where there is no other to be had."""
        return None if self.database is None or self.database_url else self.database.newer_than(refused)

    def client(self, service: str) -> Any:
        """Return a client of a service as boto3 makes one, at its local endpoint or at AWS.

        botocore is asked for it: what boto3 would add, transfers in threads of its own, nobody here uses, and it imports
        as long as all the rest.
        """
        from botocore.config import Config

        retries: Any = {"max_attempts": 5, "mode": "standard"}
        endpoint = self.endpoint_urls.get(service, self.default_endpoint_url) or None
        with _MAKING:
            if not self.access_key:
                config = Config(retries=retries)
                return _session(profiles=True).create_client(
                    service, region_name=self.region, endpoint_url=endpoint, config=config
                )
            return _session(profiles=False).create_client(
                service,
                region_name=self.region,
                endpoint_url=endpoint,
                config=Config(retries=retries, proxies={}),
                aws_access_key_id=self.access_key,
                aws_secret_access_key=self.secret_key,
            )

    def exports(self, *, postgres: bool = True) -> dict[str, str]:
        """Return the environment variables by which any other tool (dbt, psql, the AWS CLI) reaches the same places.

        postgres: False leaves DATABASE_URL out, for a child that has no business there, and does not ask for it.
        """
        values = {
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "PENSTOCK_TARGET": self.environment.target,
        }
        if self.environment.branch:
            values["PENSTOCK_BRANCH"] = self.environment.branch
        if self.default_endpoint_url:
            values["AWS_ENDPOINT_URL"] = self.default_endpoint_url
            values["NO_PROXY"] = values["no_proxy"] = _no_proxy()
        for service, url in sorted(self.endpoint_urls.items()):
            values[f"AWS_ENDPOINT_URL_{service.upper()}"] = url
        if "s3" in self.endpoint_urls:
            # its reader of files is not boto3 and takes no AWS_ENDPOINT_URL; these make load_catalog() just work
            values["PYICEBERG_CATALOG__DEFAULT__TYPE"] = "glue"
            values["PYICEBERG_CATALOG__DEFAULT__S3__ENDPOINT"] = self.endpoint_urls["s3"]
            values["PYICEBERG_CATALOG__DEFAULT__S3__REGION"] = self.region
        if self.access_key:
            values["AWS_ACCESS_KEY_ID"] = self.access_key
            values["AWS_SECRET_ACCESS_KEY"] = self.secret_key
        if postgres and self.has_postgres:
            values["DATABASE_URL"] = self.postgres_url()
            if self.database is not None:  # or the next task in that shell would be given the URL in two ways
                values["PENSTOCK_DATABASE_URL_FROM"] = ""
        return values


@functools.cache
def _session(*, profiles: bool) -> Any:
    """Return the process's session; without profiles it minds no AWS_PROFILE: with the local stack's keys there is none."""
    import botocore.session

    variables: Any = None if profiles else {"profile": (None, [], None, None)}
    return botocore.session.Session(session_vars=variables)


def _no_proxy() -> str:
    """Return what no proxy is asked for: what the shell says, and this machine."""
    given = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    hosts = [host for host in given.split(",") if host]
    return ",".join([*hosts, *(host for host in ("127.0.0.1", "localhost") if host not in hosts)])


def connect(settings: Settings, report: Callable[[str], None] | None = None) -> Connections:
    """Return how to reach the target's services, with the local stack started where it is the target.

    Raises: StackError when a part of the local stack does not start. No one is asked for a URL yet.
    """
    environment = settings.environment
    if environment.target == "local":
        from penstock.local.stack import LocalStack

        local = LocalStack(settings.state_dir, settings.region).up(report)
        if not environment.branch:
            return local
        from penstock.branches.local import LocalBranches
        from penstock.credentials import Secret

        branches = LocalBranches(local.database_url)
        url = Secret(lambda: branches.database_url(environment.branch))
        return replace(local, environment=environment, database_url="", database=url)
    found = Connections(environment, settings.region)
    return replace(found, **_database(settings, found.client))


def _database(settings: Settings, client: Callable[[str], Any]) -> dict[str, Any]:
    """Return the fields that say where the database is: a branch's is Neon's to tell, whatever DATABASE_URL says.

    A target's own is DATABASE_URL, or what lies at PENSTOCK_DATABASE_URL_FROM; without either, Neon is asked where a key for
    it is given.
    """
    from penstock.credentials import Secret, given

    environment = settings.environment
    if not environment.branch:
        url = given("DATABASE_URL", settings.database_url, settings.database_url_from, client)
        if url is not None:
            return (
                {"database": url} if settings.database_url_from else {"database_url": settings.database_url}
            )
        if not (settings.neon_api_key or settings.neon_api_key_from):
            return {}
    from penstock.branches.neon_branches import NeonBranches

    branches = NeonBranches.of(settings, client)
    return {"database": Secret(lambda: branches.database_url(environment.database_branch))}
