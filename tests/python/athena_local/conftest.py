"""A real S3 (ministack) for the whole run, a server or a bare query context beside it, and clients of both."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest

from athena_local.catalog import Catalog
from athena_local.config import Config
from athena_local.context import QueryContext, StatementResult
from athena_local.objects import ObjectStore

REGION = "us-east-2"
BUCKET = "athena-local-tests"
START_TIMEOUT_SECONDS = 60  # 2 s on an idle machine
START_ATTEMPTS = 3


def free_port() -> int:
    """Return a port that nobody has now; somebody may take it before it is used."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(process: subprocess.Popen[bytes], port: int) -> bool:
    connections = psutil.Process(process.pid).net_connections(kind="tcp")
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in connections)


def answers(process: subprocess.Popen[bytes], port: int, log: Path) -> bool:
    """Wait for ministack; False when somebody else took its port between the choice and the use."""
    url = f"http://127.0.0.1:{port}/_localstack/health"
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return False
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return process.poll() is None and listens(process, port)
        time.sleep(0.05)
    pytest.fail(f"no answer from {url} in {START_TIMEOUT_SECONDS} s:\n{log.read_text()[-2000:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def client(service: str, endpoint: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("ministack")
    for _ in range(START_ATTEMPTS):
        port = free_port()
        process = start_ministack(home, port)
        try:
            if answers(process, port, home / "log"):
                yield f"http://127.0.0.1:{port}"
                return
        finally:
            stop(process)
    pytest.fail(f"ministack does not start:\n{(home / 'log').read_text()[-2000:]}")


def start_ministack(home: Path, port: int) -> subprocess.Popen[bytes]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(home / "s3"),
        "PERSIST_STATE": "1",
        "STATE_DIR": str(home / "state"),
        "LOG_LEVEL": "WARNING",
        "MINISTACK_REGION": REGION,
    }
    with (home / "log").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "ministack"],
            env=environment,
            cwd=home,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


@pytest.fixture(scope="session")
def s3(s3_endpoint: str) -> Any:
    """A boto3 S3 client; the bucket `athena-local-tests` exists."""
    s3 = client("s3", s3_endpoint)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return s3


@pytest.fixture
def lake(s3: Any) -> str:
    """An s3:// prefix of this test's own, ending in '/'."""
    return f"s3://{BUCKET}/{uuid.uuid4().hex[:12]}/"


# The engine without HTTP


@pytest.fixture
def config(s3_endpoint: str, tmp_path: Path) -> Config:
    config = Config(data_dir=tmp_path / "data", s3_endpoint=s3_endpoint, memory_limit_bytes=512 * 1024**2)
    config.spool_dir.mkdir(parents=True)
    return config


@pytest.fixture
def catalog(config: Config) -> Iterator[Catalog]:
    """An empty catalog with the database `default`."""
    catalog = Catalog(config.catalog_path, config.account_id)
    catalog.create_database({"Name": "default"})
    yield catalog
    catalog.close()


@pytest.fixture(scope="session")
def objects(s3_endpoint: str, s3: Any) -> ObjectStore:
    return ObjectStore(Config(data_dir=Path("unused"), s3_endpoint=s3_endpoint))


@pytest.fixture
def new_context(
    config: Config, catalog: Catalog, objects: ObjectStore, lake: str
) -> Callable[[], QueryContext]:
    """Make a QueryContext as the executor does for each query; all share one catalog, S3 and database."""

    def make(database: str = "default") -> QueryContext:
        return QueryContext(str(uuid.uuid4()), config, catalog, objects, database, f"{lake}results/")

    return make


@pytest.fixture
def context(new_context: Callable[[], QueryContext]) -> QueryContext:
    return new_context()


@pytest.fixture
def execute(new_context: Callable[..., QueryContext]) -> Callable[..., StatementResult]:
    """`execute(sql)`: parse and run one statement in a context of its own; raises QueryError."""

    def run(sql: str, database: str = "default", **changes: Any) -> StatementResult:
        from athena_local.sql import parse_statement
        from athena_local.statements import execute as execute_statement

        context = new_context(database)
        for name, value in changes.items():
            setattr(context, name, value)
        return execute_statement(parse_statement(sql), context)

    return run


@pytest.fixture
def rows(execute: Callable[..., StatementResult]) -> Callable[..., list[tuple[Any, ...]]]:
    """`rows(sql)`: the statement's rows as tuples of Python values, still typed."""

    def run(sql: str, database: str = "default", **changes: Any) -> list[tuple[Any, ...]]:
        batches = execute(sql, database, **changes).batches
        assert batches is not None, "the statement answered no rows"
        return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]

    return run


# The server, over HTTP


class QueryFailed(AssertionError):  # noqa: N818 - the name of what happened
    """A query did not end SUCCEEDED. `status` is QueryExecution.Status."""

    def __init__(self, status: dict[str, Any]) -> None:
        self.status = status
        super().__init__(f"{status['State']}: {status.get('StateChangeReason')}")


@dataclass
class Server:
    """A running athena_local. `run_query` starts a statement, waits, and returns its rows as tuples of text."""

    endpoint: str
    s3_endpoint: str
    output_location: str
    athena: Any = field(init=False)
    glue: Any = field(init=False)

    def __post_init__(self) -> None:
        self.athena = client("athena", self.endpoint)
        self.glue = client("glue", self.endpoint)

    def start(self, sql: str, database: str | None = None, **arguments: Any) -> str:
        arguments.setdefault("ResultConfiguration", {"OutputLocation": self.output_location})
        if database:
            arguments["QueryExecutionContext"] = {"Database": database}
        return str(self.athena.start_query_execution(QueryString=sql, **arguments)["QueryExecutionId"])

    def wait(self, query_id: str, timeout_seconds: float = 120) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_seconds
        while True:
            execution: dict[str, Any] = self.athena.get_query_execution(QueryExecutionId=query_id)[
                "QueryExecution"
            ]
            if execution["Status"]["State"] not in {"QUEUED", "RUNNING"}:
                return execution
            if time.monotonic() > deadline:
                pytest.fail(f"query {query_id} still {execution['Status']['State']}")
            time.sleep(0.01)

    def run_query(
        self, sql: str, database: str | None = None, **arguments: Any
    ) -> list[tuple[str | None, ...]]:
        execution = self.wait(self.start(sql, database, **arguments))
        if execution["Status"]["State"] != "SUCCEEDED":
            raise QueryFailed(execution["Status"])
        pages = self.athena.get_paginator("get_query_results").paginate(
            QueryExecutionId=execution["QueryExecutionId"]
        )
        rows = [
            tuple(cell.get("VarCharValue") for cell in row["Data"])
            for page in pages
            for row in page["ResultSet"]["Rows"]
        ]
        return rows[1:] if execution["StatementType"] == "DML" else rows


@pytest.fixture(scope="session")
def server(s3_endpoint: str, s3: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the run, in a thread of this process; tests keep apart by `database` and `lake`."""
    import uvicorn

    from athena_local.protocol.app import create_app

    listener = socket.create_server(("127.0.0.1", 0))
    port = int(listener.getsockname()[1])
    config = Config(data_dir=tmp_path_factory.mktemp("athena_local"), s3_endpoint=s3_endpoint, port=port)
    uvicorn_server = uvicorn.Server(uvicorn.Config(create_app(config), log_level="warning"))
    thread = threading.Thread(target=uvicorn_server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not uvicorn_server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < deadline, "the server did not start in time"
        time.sleep(0.01)
    yield Server(f"http://{config.host}:{config.port}", s3_endpoint, f"s3://{BUCKET}/results/")
    uvicorn_server.should_exit = True
    thread.join(100)
    assert not thread.is_alive(), "the server did not stop"


@pytest.fixture
def athena(server: Server) -> Any:
    return server.athena


@pytest.fixture
def glue(server: Server) -> Any:
    return server.glue


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    """A database of this test's own on the server."""
    name = f"db_{uuid.uuid4().hex[:10]}"
    server.glue.create_database(DatabaseInput={"Name": name})
    yield name
    with contextlib.suppress(server.glue.exceptions.EntityNotFoundException):
        server.glue.delete_database(Name=name)


@pytest.fixture
def run_query(server: Server) -> Callable[..., list[tuple[str | None, ...]]]:
    return server.run_query
