"""Syncs into database branches, end to end: create, sync into it, differ, reset, delete; and a password that is rotated.

Neon is the fake of its API with real databases behind it; locally a branch is a template copy. What is synced is the same.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest
from fake_neon import PROJECT, FakeNeon, NeonServer
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from penstock.branches.local import LocalBranches, database_url
from penstock.branches.model import Branches
from penstock.branches.neon import NeonClient
from penstock.branches.neon_branches import NeonBranches
from penstock.connections import Connections
from penstock.credentials import Secret, plain, stored
from penstock.environments import environment
from penstock.errors import BranchError, SettingsError, SyncError
from penstock.sync.declaration import Declaration
from penstock.sync.run import sync

pytestmark = pytest.mark.stack

KEY = "napi_sEcrEt0Key"
ACCOUNT = "123456789012"
JANUARY = (2025 - 1970) * 12


def rows(count: int, y_50: float) -> list[dict[str, Any]]:
    return [
        {
            "restaurant_id": i,
            "inventory_item_id": 385,
            "business_date": date(2025, 1, 1) + timedelta(i % 28),
            "dma_id": "D1",
            "dc_id": 7,
            "state": "CA",
            "y_05": 1.0,
            "y_50": y_50,
            "y_95": 100.0,
        }
        for i in range(count)
    ]


def held(url: str) -> list[tuple[int, float]]:
    """Return how many rows of each y_50 a database holds."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "select count(*)::int, y_50::float from forecast_data group by y_50 order by y_50"
        ).fetchall()


def run(connections: Connections, declared: Declaration) -> Any:
    [report] = sync(connections, [declared])
    return report


@dataclass
class Place:
    """A target with its own database, which is at `own`, and its branches."""

    connections: Connections
    branches: Branches
    own: Connections

    def on(self, name: str) -> Connections:
        """Return the connections of a task that was given --branch."""
        target = self.connections.environment.target
        account = "" if target == "local" else ACCOUNT
        return replace(
            self.connections,
            environment=environment(target, account, name),
            database_url="",
            database=Secret(lambda: self.branches.database_url(name)),
        )


class Neon:
    """The fake with databases of the stack's server behind its branches, owned by a role whose password can be rotated."""

    def __init__(self, server: NeonServer, admin_url: str, own_database: str) -> None:
        self.admin_url, self.own_database = admin_url, own_database
        self.role, self.password = f"neon_{uuid.uuid4().hex[:8]}", f"pAss-{uuid.uuid4().hex}"
        self.made: list[str] = []
        self.fake = server.serve(FakeNeon({KEY}, role=self.role))
        self.fake.uri = self.uri
        self.fake.on_create, self.fake.on_reset, self.fake.on_delete = self.copy, self.copy, self.drop
        self.do("create role {} login password {}", sql.Identifier(self.role), sql.Literal(self.password))
        self.do("alter database {} owner to {}", sql.Identifier(own_database), sql.Identifier(self.role))

    def do(self, statement: str, *values: sql.Composable) -> None:
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*values))

    def database(self, branch: dict[str, Any]) -> str:
        return self.own_database if branch["name"] == "dev" else f"{self.role}_{branch['id']}"

    def uri(self, branch: dict[str, Any], database: str, role: str, pooled: bool) -> str:
        given = conninfo_to_dict(self.admin_url)
        assert (database, role, pooled) == ("neondb", self.role, False)
        place = f"{given['host']}:{given['port']}/{self.database(branch)}"
        return f"postgresql://{role}:{self.password}@{place}"

    def copy(self, branch: dict[str, Any]) -> None:
        self.drop(branch)
        name = self.database(branch)
        self.made.append(name)
        self.do(
            "create database {} template {} owner {}",
            sql.Identifier(name), sql.Identifier(self.own_database), sql.Identifier(self.role),
        )  # fmt: skip

    def drop(self, branch: dict[str, Any]) -> None:
        self.do("drop database if exists {} with (force)", sql.Identifier(self.database(branch)))

    def rotate(self) -> None:
        self.password = f"pAss-{uuid.uuid4().hex}"
        self.do("alter role {} password {}", sql.Identifier(self.role), sql.Literal(self.password))

    def remove(self) -> None:
        for name in self.made:
            self.do("drop database if exists {} with (force)", sql.Identifier(name))
        self.do("alter database {} owner to current_user", sql.Identifier(self.own_database))
        with psycopg.connect(database_url(self.admin_url, self.own_database), autocommit=True) as connection:
            connection.execute(sql.SQL("drop owned by {}").format(sql.Identifier(self.role)))
        self.do("drop role {}", sql.Identifier(self.role))


@pytest.fixture(scope="module")
def neon_server() -> Iterator[NeonServer]:
    server = NeonServer()
    yield server
    server.stop()


@pytest.fixture
def neon(neon_server: NeonServer, lake_server: Connections, lake: Connections) -> Iterator[Neon]:
    made = Neon(neon_server, lake_server.database_url, str(conninfo_to_dict(lake.database_url)["dbname"]))
    yield made
    made.remove()


@pytest.fixture(params=["local", "neon"])
def place(request: pytest.FixtureRequest, lake: Connections) -> Iterator[Place]:
    if request.param == "local":
        url = database_url(
            request.getfixturevalue("lake_server").database_url,
            str(conninfo_to_dict(lake.database_url)["dbname"]),
        )
        yield Place(lake, LocalBranches(url), lake)
        return
    neon: Neon = request.getfixturevalue("neon")
    client = NeonClient(PROJECT, plain(KEY), neon.fake.url, sleep=lambda _: None)
    branches = NeonBranches(lambda: client, "dev", "dev")
    dev = replace(lake, environment=environment("dev", ACCOUNT))
    yield Place(dev, branches, replace(dev, database_url=branches.database_url("dev")))
    client.close()


@pytest.fixture
def name(place: Place) -> Iterator[str]:
    made = f"preview/pr-{uuid.uuid4().int % 1_000_000_000}"
    yield made
    place.branches.delete(made)


@pytest.fixture
def preview(lake: Connections, declared: Declaration, lake_writer: Any) -> tuple[Any, Declaration]:
    """The preview's own mart: another Glue database with the same model in it."""
    name = f"marts_{uuid.uuid4().hex[:12]}"
    lake.client("glue").create_database(DatabaseInput={"Name": name})
    return lake_writer(lake, name, "fct_forecast"), replace(declared, lake_database=name)


def test_branch_is_created_synced_into_differs_is_reset_and_deleted(
    place: Place, forecast: Any, preview: tuple[Any, Declaration], declared: Declaration, name: str
) -> None:
    forecast.add(rows(50, 1.0), JANUARY)
    forecast.commit()
    run(place.own, declared)
    own_url = place.own.postgres_url()

    assert place.branches.create(name).new
    branch = place.on(name)
    assert held(branch.postgres_url()) == [(50, 1.0)]  # it begins as its parent

    mart, declared_there = preview
    mart.add(rows(20, 2.0), JANUARY)
    mart.commit()
    report = run(branch, declared_there)
    assert (report.deleted, report.updated) == (30, 20)  # the other mart's rows are the same keys, and fewer
    assert held(branch.postgres_url()) == [(20, 2.0)]
    assert held(own_url) == [(50, 1.0)]
    assert run(branch, declared_there).mode == "nothing"

    place.branches.reset(name)
    assert held(place.on(name).postgres_url()) == [(50, 1.0)]
    run(place.on(name), declared_there)
    assert held(place.on(name).postgres_url()) == [(20, 2.0)]

    assert place.branches.delete(name)
    with pytest.raises(BranchError, match=f"no database branch '{name}'"):
        run(place.on(name), declared_there)
    assert held(own_url) == [(50, 1.0)]
    assert run(place.own, declared).mode == "nothing"


def test_password_that_is_rotated_is_read_anew_by_the_next_connection(
    neon: Neon, lake: Connections, forecast: Any, declared: Declaration, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = NeonClient(PROJECT, plain(KEY), neon.fake.url, sleep=lambda _: None)
    branches = NeonBranches(lambda: client, "dev", "dev")
    secret = Secret(lambda: branches.database_url("dev"))
    dev = replace(lake, environment=environment("dev", ACCOUNT), database_url="", database=secret)
    forecast.add(rows(10, 1.0), JANUARY)
    forecast.commit()
    run(dev, declared)
    old, refused = neon.password, dev.postgres_url()

    neon.rotate()
    forecast.add(rows(20, 2.0)[10:], JANUARY)
    forecast.commit()
    report = run(dev, declared)

    assert report.inserted == 10
    assert neon.fake.count("GET", "connection_uri") == 2
    assert dev.postgres_url() != refused
    assert held(dev.postgres_url()) == [(10, 1.0), (10, 2.0)]
    for word in (old, neon.password, KEY):
        assert word not in caplog.text + repr(report) + repr(dev) + repr(secret)
    client.close()


def test_password_that_is_rotated_in_ssm_is_read_anew(
    neon: Neon, lake: Connections, forecast: Any, declared: Declaration
) -> None:
    ssm, name = lake.client("ssm"), f"/penstock/{neon.role}/database-url"

    def store() -> None:
        url = neon.uri({"name": "dev"}, "neondb", neon.role, False)
        ssm.put_parameter(Name=name, Value=url, Type="SecureString", Overwrite=True)

    store()
    place = stored("PENSTOCK_DATABASE_URL_FROM", f"ssm:{name}", lake.client)
    dev = replace(lake, environment=environment("dev", ACCOUNT), database_url="", database=place)
    forecast.add(rows(10, 1.0), JANUARY)
    forecast.commit()
    run(dev, declared)

    neon.rotate()
    store()

    assert run(dev, declared).mode == "nothing"
    assert held(dev.postgres_url()) == [(10, 1.0)]


def test_password_that_stays_refused_is_told_without_it(
    neon: Neon, lake: Connections, declared: Declaration
) -> None:
    secret = Secret(lambda: neon.uri({"name": "dev"}, "neondb", neon.role, False))
    dev = replace(lake, environment=environment("dev", ACCOUNT), database_url="", database=secret)
    secret.value()
    neon.password = "another-that-is-wrong"

    neon.do("alter role {} password 'x'", sql.Identifier(neon.role))

    with pytest.raises(SyncError, match="cannot be reached") as caught:
        run(dev, declared)

    assert "another-that-is-wrong" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("built", "target", "branch"),
    [
        ("analytics_dev_pr_12", "dev", ""),
        ("analytics_dev", "dev", "preview/pr-12"),
        ("analytics_dev_pr_1", "dev", "preview/pr-12"),
        ("analytics_local", "dev", ""),
        ("analytics_dev_pr_12_raw", "dev", ""),
    ],
)
def test_marts_of_another_branch_are_not_synced(built: str, target: str, branch: str) -> None:
    here = environment(target, ACCOUNT, branch)

    with pytest.raises(SettingsError, match=f"fct_x was last built into {built}, not into") as caught:
        here.require_own_marts(built, "fct_x")

    assert caught.value.hint.startswith("invoke build")


def test_marts_of_ones_own_are_synced() -> None:
    environment("dev", ACCOUNT, "preview/pr-12").require_own_marts("analytics_dev_pr_12", "fct_x")
    environment("dev", ACCOUNT).require_own_marts("analytics_dev_raw", "fct_x")
    environment("dev", ACCOUNT, "a-branch").require_own_marts("analytics_dev", "fct_x")
    environment("local").require_own_marts("a_database_of_ones_own", "fct_x")
