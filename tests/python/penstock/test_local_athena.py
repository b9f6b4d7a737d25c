"""athena_local as a part of the stack: it keeps its catalog through anything, and follows S3 to a new address."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.connections import Connections, connect
from penstock.local import process, state
from penstock.local.stack import ALL_PARTS, LocalStack
from penstock.settings import Settings

pytestmark = pytest.mark.stack


@pytest.fixture
def own() -> Iterator[LocalStack]:
    """A whole stack of the test's own, in a folder with a space in its name, not yet started."""
    parent = Path(tempfile.mkdtemp(prefix="penstock own "))
    parent.chmod(0o711)
    stack = LocalStack(parent / "the state")
    yield stack
    stack.reset()
    shutil.rmtree(parent)


def make_table(connections: Connections) -> None:
    glue = connections.client("glue")
    glue.create_database(DatabaseInput={"Name": "kept"})
    location = f"s3://{connections.environment.lake_bucket}/kept/"
    columns = [{"Name": "id", "Type": "int"}]
    glue.create_table(
        DatabaseName="kept",
        TableInput={
            "Name": "numbers",
            "TableType": "EXTERNAL_TABLE",
            "StorageDescriptor": {"Columns": columns, "Location": location},
        },
    )


def table_names(connections: Connections) -> list[str]:
    tables = connections.client("glue").get_tables(DatabaseName="kept")["TableList"]
    return [table["Name"] for table in tables]


def pids(own: LocalStack) -> dict[str, int]:
    return {name: part.pid for name, part in state.load(own.folder).parts.items()}


def test_up_whole_stack_twice_is_the_same_and_waits_for_nothing(
    own: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = own.up()
    before = pids(own)

    for slow in ("spawn", "wait_until", "find"):
        monkeypatch.setattr(process, slow, pytest.fail)
    second = own.up()
    monkeypatch.undo()

    assert second == first == own.connections()
    assert pids(own) == before
    assert [(part.name, part.running) for part in own.status()] == [(name, True) for name in ALL_PARTS]


def test_connect_local_target_starts_the_stack(own: LocalStack) -> None:
    connections = connect(Settings(target="local", state_dir=own.folder))

    assert connections == own.connections()
    exports = connections.exports()
    assert (
        exports["AWS_ENDPOINT_URL_ATHENA"]
        == exports["AWS_ENDPOINT_URL_GLUE"]
        != exports["AWS_ENDPOINT_URL_S3"]
    )
    groups = connections.client("athena").list_work_groups()["WorkGroups"]
    assert "primary" in [group["Name"] for group in groups]


def test_up_after_down_keeps_the_catalog(own: LocalStack) -> None:
    make_table(own.up())

    own.down()

    assert table_names(own.up()) == ["numbers"]


def test_up_after_kill_of_all_three_keeps_the_catalog(own: LocalStack) -> None:
    first = own.up()
    make_table(first)
    remembered = state.load(own.folder)
    for part in remembered.parts.values():
        os.kill(part.pid, signal.SIGKILL)
    for part in remembered.parts.values():
        assert process.wait_until(lambda part=part: not process.is_running(part.pid, part.argv), 60)  # type: ignore[misc]

    second = own.up()

    assert second == first
    assert table_names(second) == ["numbers"]


def test_up_killed_athena_alone_is_started_alone(own: LocalStack) -> None:
    first = own.up()
    make_table(first)
    before = pids(own)
    os.kill(before["athena_local"], signal.SIGKILL)

    second = own.up()

    assert second == first
    assert table_names(second) == ["numbers"]
    after = pids(own)
    assert [name for name in ALL_PARTS if after[name] != before[name]] == ["athena_local"]


def test_up_s3_at_a_new_port_takes_athena_along(own: LocalStack) -> None:
    first = own.up()
    make_table(first)
    record = state.load(own.folder).part("ministack")
    os.kill(record.pid, signal.SIGKILL)
    assert process.wait_until(lambda: not process.is_running(record.pid, record.argv), 60)

    with socket.create_server(("127.0.0.1", record.port)):
        second = own.up()

    assert second.endpoint_urls["s3"] != first.endpoint_urls["s3"]
    assert second.endpoint_urls["s3"] in state.load(own.folder).part("athena_local").argv
    assert table_names(second) == ["numbers"]
