"""Addresses and clients of one environment: what every task that touches data is handed.

`local` differs from AWS only in that its addresses are filled in (by `penstock.local.stack`); elsewhere they are empty and
boto3 finds AWS and its credentials the usual way.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from penstock.environments import Environment
from penstock.errors import SettingsError

if TYPE_CHECKING:
    from penstock.settings import Settings


@dataclass(frozen=True)
class Connections:
    """Endpoint URLs by boto3 service name (empty: AWS's own), the database URL, and static keys where there are any."""

    environment: Environment
    region: str
    database_url: str = field(default="", repr=False)
    endpoint_urls: dict[str, str] = field(default_factory=dict)
    default_endpoint_url: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)

    def postgres_url(self) -> str:
        """Return the database URL; raises SettingsError when none is set, which tasks of the lake alone never notice."""
        if not self.database_url:
            raise SettingsError(
                f"Target '{self.environment.target}' has no database URL.",
                hint="Set DATABASE_URL to Neon's direct (unpooled) URL: postgresql://user:password@host/database?sslmode=verify-full",
            )
        return self.database_url

    def client(self, service: str) -> Any:
        """Return a boto3 client of a service, at its local endpoint or at AWS."""
        import boto3
        from botocore.config import Config

        retries = {"max_attempts": 5, "mode": "standard"}
        endpoint = self.endpoint_urls.get(service, self.default_endpoint_url) or None
        if not self.access_key:
            config = Config(retries=retries)  # type: ignore[arg-type]
            return boto3.client(  # type: ignore[call-overload]
                service, region_name=self.region, endpoint_url=endpoint, config=config
            )
        return _session_of_its_own().client(
            service,
            region_name=self.region,
            endpoint_url=endpoint,
            config=Config(retries=retries, proxies={}),  # type: ignore[arg-type]
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
        )

    def exports(self) -> dict[str, str]:
        """Return the environment variables by which any other tool (dbt, psql, the AWS CLI) reaches the same places."""
        values = {
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "PENSTOCK_TARGET": self.environment.target,
        }
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
        if self.database_url:
            values["DATABASE_URL"] = self.database_url
        return values


@functools.cache
def _session_of_its_own() -> Any:
    """Return a boto3 session that minds no AWS_PROFILE: with the local stack's keys there is none to find."""
    import boto3
    import botocore.session

    return boto3.Session(
        botocore_session=botocore.session.Session(session_vars={"profile": (None, [], None, None)})
    )


def _no_proxy() -> str:
    """Return what no proxy is asked for: what the shell says, and this machine."""
    given = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    hosts = [host for host in given.split(",") if host]
    return ",".join([*hosts, *(host for host in ("127.0.0.1", "localhost") if host not in hosts)])


def connect(settings: Settings, report: Callable[[str], None] | None = None) -> Connections:
    """Return how to reach the target's services, with the local stack started where it is the target.

    Raises: StackError when a part of the local stack does not start.
    """
    if settings.environment.target == "local":
        from penstock.local.stack import LocalStack

        return LocalStack(settings.state_dir, settings.region).up(report)
    return Connections(settings.environment, settings.region, database_url=settings.database_url)
