"""What a client needs to work on the local Athena: endpoints, credentials, a region. No test names an endpoint."""

from __future__ import annotations

import contextlib
import functools
import os
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

REGION = "us-east-2"


@pytest.fixture(scope="module", autouse=True)
def environment(server: Any, s3: Any) -> Iterator[dict[str, str]]:
    """The variables every AWS SDK reads, set while a module of this folder runs, and for what it starts."""
    variables = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": server.s3_endpoint,
        "AWS_ENDPOINT_URL_ATHENA": server.endpoint,
        "AWS_ENDPOINT_URL_GLUE": server.endpoint,
        "AWS_ENDPOINT_URL_LAKEFORMATION": server.endpoint,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ATHENA_S3_STAGING_DIR": server.output_location,  # PyAthena's own
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        yield variables


@pytest.fixture(scope="module")
def shared_database(server: Any) -> Iterator[str]:
    """A database for what several tests read; each test writes to tables of its own."""
    name = f"clients_{uuid.uuid4().hex[:8]}"
    server.glue.create_database(DatabaseInput={"Name": name})
    yield name
    with contextlib.suppress(server.glue.exceptions.EntityNotFoundException):
        server.glue.delete_database(Name=name)


@pytest.fixture
def table() -> str:
    """A table's name that no other test has."""
    return f"t_{uuid.uuid4().hex[:10]}"


@pytest.fixture
def arrow_endpoint(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lead pyarrow's S3 to the local one: its S3FileSystem does not read AWS_ENDPOINT_URL (apache/arrow#49643)."""
    from pyarrow import fs

    monkeypatch.setattr(
        fs, "S3FileSystem", functools.partial(fs.S3FileSystem, endpoint_override=server.s3_endpoint)
    )


@pytest.fixture(scope="module")
def work_group(server: Any) -> Iterator[str]:
    """A workgroup that knows where results go, for clients that ask it."""
    name = f"clients-{uuid.uuid4().hex[:8]}"
    server.athena.create_work_group(
        Name=name,
        Configuration={
            "ResultConfiguration": {"OutputLocation": server.output_location},
            "EnforceWorkGroupConfiguration": False,
        },
    )
    yield name
    server.athena.delete_work_group(WorkGroup=name, RecursiveDeleteOption=True)
