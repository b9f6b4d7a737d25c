"""What the tests of strength share: an S3 that can be spoiled and listened to, and the server as a process."""

from __future__ import annotations

import contextlib
import http.client
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
import psutil
import pytest
from botocore.config import Config as BotoConfig

from athena_local.config import Config
from athena_local.objects import ObjectStore

CHUNK_BYTES = 64 * 1024
_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive", "date", "server"}


@dataclass(frozen=True)
class Request:
    """One request as S3 would see it. `range` as the header has it, "" for the whole; `sent`: bytes of the answer's body."""

    method: str
    key: str
    query: dict[str, list[str]]
    range: str
    if_match: str
    sent: int = 0

    @property
    def is_list(self) -> bool:
        return self.method == "GET" and "list-type" in self.query

    @property
    def is_read(self) -> bool:
        return self.method == "GET" and not self.is_list


@dataclass
class Fault:
    """What happens to the next `times` requests that `matches`. status: answered instead of S3's own answer.

    cut_after: bytes after which the answer ends. hang_seconds: before anything is answered; pause_seconds: between two
    pieces of the body.
    """

    matches: Callable[[Request], bool]
    times: int
    status: int
    cut_after: int | None
    hang_seconds: float
    pause_seconds: float


class S3Proxy:
    """Passes requests on to S3 and keeps `requests` in the order they were answered; `spoil` says what goes wrong."""

    def __init__(self, endpoint: str) -> None:
        self._target = urlsplit(endpoint).netloc
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._faults: list[Fault] = []
        self.requests: list[Request] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def spoil(
        self,
        matches: Callable[[Request], bool] = lambda request: request.is_read,
        *,
        times: int = 1_000_000,
        status: int = 0,
        cut_after: int | None = None,
        hang_seconds: float = 0,
        pause_seconds: float = 0,
    ) -> None:
        with self._lock:
            self._faults.append(Fault(matches, times, status, cut_after, hang_seconds, pause_seconds))

    def _fault(self, request: Request) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.times and fault.matches(request):
                    fault.times -= 1
                    return fault
        return None

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def forget(self) -> None:
        with self._lock:
            self.requests.clear()

    @property
    def reads(self) -> list[Request]:
        with self._lock:
            return [request for request in self.requests if request.is_read]

    @property
    def lists(self) -> list[Request]:
        with self._lock:
            return [request for request in self.requests if request.is_list]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def _pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                with contextlib.suppress(ConnectionError, TimeoutError):
                    proxy._answer(self, body)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on  # noqa: N815 - the base class's names

        return Handler

    def _answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        parts = urlsplit(handler.path)
        request = Request(
            handler.command,
            unquote(parts.path).lstrip("/"),
            parse_qs(parts.query, keep_blank_values=True),
            handler.headers.get("range", ""),
            handler.headers.get("if-match", ""),
        )
        fault = self._fault(request)
        if fault and fault.hang_seconds:
            self._closing.wait(fault.hang_seconds)
        if fault and fault.status:
            text = b"<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"
            handler.send_response(fault.status)
            handler.send_header("Content-Length", str(len(text)))
            handler.end_headers()
            handler.wfile.write(text)
            self._note(request, 0)
            return
        connection = http.client.HTTPConnection(self._target, timeout=120)
        try:
            connection.request(handler.command, handler.path, body, dict(handler.headers))
            answer = connection.getresponse()
            self._send(handler, request, answer, fault)
        finally:
            connection.close()

    def _send(
        self,
        handler: BaseHTTPRequestHandler,
        request: Request,
        answer: http.client.HTTPResponse,
        fault: Fault | None,
    ) -> None:
        length = int(answer.headers.get("content-length") or 0)
        text = b""
        if answer.headers.get("content-length") is None:
            text = answer.read()
            length = len(text)
        handler.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                handler.send_header(name, value)
        handler.send_header("Content-Length", str(length))
        handler.end_headers()
        if request.method == "HEAD":
            self._note(request, 0)
            return
        if text:
            handler.wfile.write(text)
            self._note(request, length)
            return
        sent = 0
        try:
            while chunk := answer.read(CHUNK_BYTES):
                if fault and fault.cut_after is not None and sent + len(chunk) > fault.cut_after:
                    handler.wfile.write(chunk[: fault.cut_after - sent])
                    handler.close_connection = True
                    sent = fault.cut_after
                    return
                handler.wfile.write(chunk)
                sent += len(chunk)
                if fault and fault.pause_seconds:
                    self._closing.wait(fault.pause_seconds)
        finally:
            self._note(request, sent)

    def _note(self, request: Request, sent: int) -> None:
        with self._lock:
            self.requests.append(
                Request(request.method, request.key, request.query, request.range, request.if_match, sent)
            )


@pytest.fixture
def s3_proxy(s3_endpoint: str, s3: Any) -> Iterator[S3Proxy]:
    proxy = S3Proxy(s3_endpoint)
    yield proxy
    proxy.close()


@pytest.fixture
def proxied(s3_proxy: S3Proxy) -> ObjectStore:
    """The engine's S3 through the proxy: `rows(sql, objects=proxied)`."""
    return ObjectStore(Config(data_dir=Path("unused"), s3_endpoint=s3_proxy.endpoint))


class ServerProcess:
    """The command `athena-local` on a data directory; it may be killed and started again."""

    def __init__(self, s3_endpoint: str, data_dir: Path, *flags: str) -> None:
        self._arguments = ["--s3-endpoint", s3_endpoint, "--data-dir", str(data_dir), *flags]
        self.data_dir = data_dir
        self.log = data_dir.parent / "server.log"
        self.process: subprocess.Popen[str] | None = None
        self.endpoint = ""

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "athena_local", *self._arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("athena-local: http://127.0.0.1:"), self.log.read_text()
        self.endpoint = line.split()[1]

    def client(self, service: str = "athena") -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-2",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=BotoConfig(retries={"max_attempts": 1}, max_pool_connections=60),
        )

    @property
    def usage(self) -> psutil.Process:
        assert self.process is not None
        return psutil.Process(self.process.pid)

    def end(self, number: int = signal.SIGKILL) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(100)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return code


@pytest.fixture
def new_server(s3_endpoint: str, s3: Any, tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """`new_server(*flags)`: a server on this test's own data directory; killed at the end if it still runs."""
    servers: list[ServerProcess] = []

    def make(*flags: str, endpoint: str = s3_endpoint) -> ServerProcess:
        server = ServerProcess(endpoint, tmp_path / "data dir", *flags)
        servers.append(server)
        server.start()
        return server

    yield make
    for server in servers:
        if server.process is not None:
            server.end()


@pytest.fixture
def state() -> Callable[[Any, str], dict[str, Any]]:
    """`state(athena, query_id)`: QueryExecution.Status."""

    def get(athena: Any, query_id: str) -> dict[str, Any]:
        status: dict[str, Any] = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"][
            "Status"
        ]
        return status

    return get


@pytest.fixture
def until() -> Callable[..., None]:
    """`until(condition, seconds)`: wait for it, or fail."""

    def wait(condition: Callable[[], Any], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s"
            time.sleep(0.01)

    return wait
