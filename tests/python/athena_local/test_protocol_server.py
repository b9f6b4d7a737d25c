"""The server as a process: its address, its lock, SIGTERM, and kill -9 with queries in flight."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from athena_local.cli import _is_loopback, _size
from athena_local.config import Config
from athena_local.queries.history import History


class Process:
    """`athena_local` on a data directory; `kill` and `stop` end it, `start` starts it again."""

    def __init__(self, s3_endpoint: str, data_dir: Path) -> None:
        self._arguments = ["--s3-endpoint", s3_endpoint, "--data-dir", str(data_dir), "--port", "0"]
        self._log = data_dir.parent / "server.log"
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> Any:
        with self._log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "athena_local", *self._arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("athena-local: http://127.0.0.1:"), self._log.read_text()
        self.endpoint = line.split()[1]
        return self.client("athena")

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-2",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def end(self, number: int) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
        code = self.process.wait(100)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return code


@pytest.fixture
def server_process(s3_endpoint: str, s3: Any, tmp_path: Path) -> Iterator[Process]:
    process = Process(s3_endpoint, tmp_path / "data dir")
    yield process
    if process.process is not None:
        process.end(signal.SIGKILL)


def test_server_keeps_everything_through_kill_9(server_process: Process, lake: str) -> None:
    athena = server_process.start()
    athena.create_work_group(Name="kept", Configuration={"ResultConfiguration": {"OutputLocation": lake}})
    glue = server_process.client("glue")
    glue.create_database(DatabaseInput={"Name": "kept"})
    query_id = athena.start_query_execution(QueryString="select * from nothing", WorkGroup="kept")[
        "QueryExecutionId"
    ]
    while athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]["State"] in {
        "QUEUED",
        "RUNNING",
    }:
        time.sleep(0.02)
    server_process.end(signal.SIGKILL)
    athena = server_process.start()
    assert server_process.client("glue").get_database(Name="kept")["Database"]["Name"] == "kept"
    assert athena.get_work_group(WorkGroup="kept")["WorkGroup"]["State"] == "ENABLED"
    assert athena.list_query_executions(WorkGroup="kept")["QueryExecutionIds"] == [query_id]


def test_server_sigterm_ends_it_in_order(server_process: Process) -> None:
    server_process.start()
    assert server_process.end(signal.SIGTERM) == 0


def test_second_server_on_one_data_directory_is_refused(
    server_process: Process, s3_endpoint: str, tmp_path: Path
) -> None:
    server_process.start()
    command = [sys.executable, "-m", "athena_local", "--s3-endpoint", s3_endpoint]
    second = subprocess.run(
        [*command, "--data-dir", str(tmp_path / "data dir")], capture_output=True, text=True, timeout=120
    )
    assert (second.returncode, "is in use by another server" in second.stderr) == (3, True)


def test_server_empties_its_spool_at_start(server_process: Process, tmp_path: Path) -> None:
    spool = Config(tmp_path / "data dir", "").spool_dir
    spool.mkdir(parents=True)
    (spool / "left over").write_text("x")
    server_process.start()
    assert not (spool / "left over").exists()


def test_history_recover_fails_what_was_running(tmp_path: Path) -> None:
    path = tmp_path / "queries.sqlite"
    history = History(path)
    for state in ("RUNNING", "QUEUED", "SUCCEEDED"):
        status = {"State": state, "SubmissionDateTime": time.time()}
        history.add({"QueryExecutionId": state, "WorkGroup": "primary", "Status": status}, {}, None)
    history.close()  # as kill -9 leaves it: unfinished
    history = History(path)
    assert history.recover() == 2
    running, queued, done = (history.get(one) for one in ("RUNNING", "QUEUED", "SUCCEEDED"))
    history.close()
    assert running is not None
    assert queued is not None
    assert done is not None
    assert running["Status"]["State"] == "FAILED"
    assert "the server stopped while this query was RUNNING" in running["Status"]["StateChangeReason"]
    assert running["Status"]["AthenaError"]["Retryable"] is True
    assert queued["Status"]["State"] == "FAILED"
    assert done["Status"]["State"] == "SUCCEEDED"


def test_history_forgets_after_45_days_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = History(tmp_path / "queries.sqlite")
    now = time.time()

    def add(name: str, days_old: float) -> None:
        status = {"State": "SUCCEEDED", "SubmissionDateTime": now - days_old * 86_400}
        record = {"QueryExecutionId": name, "WorkGroup": "primary", "Status": status}
        history.add(record, {}, None, reuse_key="k")

    add("old", 45.1)
    add("kept", 44.9)
    assert history.get("old") is not None  # the hour has not passed
    monkeypatch.setattr("athena_local.queries.history.time.time", lambda: now + 3601)
    add("new", 0)
    found = [name for _, name in history.ids("primary", None, 10)]
    reusable = history.reusable("primary", "k", 0)
    history.close()
    assert found == ["new", "kept"]
    assert reusable is not None
    assert reusable["QueryExecutionId"] == "new"


@pytest.mark.parametrize(("text", "size"), [("2g", 2 * 1024**3), ("512MiB", 512 * 1024**2), ("1GB", 1024**3)])
def test_size_reads_units(text: str, size: int) -> None:
    assert _size(text) == size


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("example.org", False)],
)
def test_only_loopback_is_safe(host: str, loopback: bool) -> None:
    assert _is_loopback(host) is loopback


LONG_QUERY = """select count(*) from unnest(sequence(1, 10000)) as a(x) cross join unnest(sequence(1, 10000)) as b(y)
cross join unnest(sequence(1, 10000)) as c(z) where (x * y + z) % 7 = 3"""


def start_and_wait_until_running(athena: Any, lake: str) -> str:
    location = {"OutputLocation": lake}
    query_id = str(
        athena.start_query_execution(QueryString=LONG_QUERY, ResultConfiguration=location)["QueryExecutionId"]
    )
    while state(athena, query_id)["State"] == "QUEUED":
        time.sleep(0.02)
    return query_id


def state(athena: Any, query_id: str) -> dict[str, Any]:
    status: dict[str, Any] = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]
    return status


def test_query_running_at_kill_9_is_failed_at_the_next_start(server_process: Process, lake: str) -> None:
    athena = server_process.start()
    query_id = start_and_wait_until_running(athena, lake)
    assert state(athena, query_id)["State"] == "RUNNING"
    server_process.end(signal.SIGKILL)
    status = state(server_process.start(), query_id)
    assert status["State"] == "FAILED"
    assert "the server stopped while this query was RUNNING" in status["StateChangeReason"]


def test_query_running_at_sigterm_is_cancelled(server_process: Process, lake: str) -> None:
    athena = server_process.start()
    query_id = start_and_wait_until_running(athena, lake)
    assert server_process.end(signal.SIGTERM) == 0
    status = state(server_process.start(), query_id)
    assert (status["State"], status["StateChangeReason"]) == (
        "CANCELLED",
        "Query cancelled: the server is stopping",
    )
