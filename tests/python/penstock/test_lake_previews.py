"""Dropping a preview's marts: its own and nobody else's, however often it is begun."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pytest

from penstock.connections import Connections
from penstock.environments import environment
from penstock.errors import BranchError, LakeError
from penstock.lake.previews import drop_marts

pytestmark = pytest.mark.stack


@pytest.fixture
def lake(stack_without_athena: Connections) -> Connections:
    """A preview of an account of the test's own; the emulator's own Glue keeps the catalog."""
    urls = stack_without_athena.endpoint_urls
    account = f"{uuid.uuid4().int % 10**12:012d}"
    number = uuid.uuid4().int % 100_000_000 + 1
    connections = replace(
        stack_without_athena,
        environment=environment("dev", account, f"preview/pr-{number}"),
        endpoint_urls=urls | {"glue": stack_without_athena.default_endpoint_url},
    )
    connections.client("s3").create_bucket(
        Bucket=connections.environment.lake_bucket,
        CreateBucketConfiguration={"LocationConstraint": connections.region},
    )
    return connections


def build(lake: Connections, database: str, tables: int = 2, files: int = 3) -> None:
    glue, s3 = lake.client("glue"), lake.client("s3")
    glue.create_database(DatabaseInput={"Name": database})
    for table in range(tables):
        glue.create_table(DatabaseName=database, TableInput={"Name": f"t{table}"})
    for file in range(files):
        s3.put_object(
            Bucket=lake.environment.lake_bucket, Key=f"marts/{database}/t0/{file}.parquet", Body=b"12345"
        )


def keys(lake: Connections) -> list[str]:
    answer = lake.client("s3").list_objects_v2(Bucket=lake.environment.lake_bucket)
    return [item["Key"] for item in answer.get("Contents", [])]


def databases(lake: Connections) -> list[str]:
    return [database["Name"] for database in lake.client("glue").get_databases()["DatabaseList"]]


def test_drop_marts_takes_database_and_files_of_this_preview_alone(lake: Connections) -> None:
    own = lake.environment.marts_database
    neighbour = f"{own}1"  # pr-12 beside pr-1
    build(lake, own)
    build(lake, neighbour, files=1)

    dropped = drop_marts(lake)

    assert (dropped.database, dropped.tables, dropped.files, dropped.size_bytes) == (own, 2, 3, 15)
    assert keys(lake) == [f"marts/{neighbour}/t0/0.parquet"]
    assert own not in databases(lake)
    assert neighbour in databases(lake)


def test_drop_marts_twice_finds_nothing_the_second_time(lake: Connections) -> None:
    build(lake, lake.environment.marts_database)
    drop_marts(lake)

    dropped = drop_marts(lake)

    assert (dropped.tables, dropped.files) == (0, 0)


def test_drop_marts_goes_on_where_a_killed_one_stopped(lake: Connections) -> None:
    build(lake, lake.environment.marts_database)
    lake.client("glue").delete_table(DatabaseName=lake.environment.marts_database, Name="t0")
    lake.client("glue").delete_table(DatabaseName=lake.environment.marts_database, Name="t1")
    lake.client("glue").delete_database(Name=lake.environment.marts_database)

    assert drop_marts(lake).files == 3
    assert keys(lake) == []


def test_drop_marts_of_more_files_than_one_request_takes(lake: Connections) -> None:
    build(lake, lake.environment.marts_database, tables=0, files=1_003)

    assert drop_marts(lake).files == 1_003
    assert keys(lake) == []


@pytest.mark.parametrize("branch", ["", "someones-own", "preview/other"])
def test_drop_marts_that_others_share_is_refused(lake: Connections, branch: str) -> None:
    shared = replace(lake, environment=replace(lake.environment, branch=branch))

    with pytest.raises(BranchError, match="has no marts of its own: it shares analytics_dev"):
        drop_marts(shared)


def test_drop_marts_that_s3_refuses_are_named(lake: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    build(lake, lake.environment.marts_database, files=2)
    original = Connections.client

    def client(self: Connections, service: str) -> Any:
        made = original(self, service)
        if service == "s3":
            errors = [{"Key": "marts/x", "Code": "AccessDenied", "Message": "no"}] * 2
            made.delete_objects = lambda **_: {"Errors": errors}
        return made

    monkeypatch.setattr(Connections, "client", client)

    with pytest.raises(LakeError, match="marts/x and 1 more could not be deleted: AccessDenied"):
        drop_marts(lake)
