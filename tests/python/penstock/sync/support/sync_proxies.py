"""What stands between a sync and its servers in the tests, and breaks when told to: a TCP proxy and an HTTP proxy for S3.

Both bind loopback on a free port and stop with their `with` block. Neither knows anything of a sync.
"""

from __future__ import annotations

import http.client
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self
from urllib.parse import urlsplit

Cut = Literal["close", "reset", "black hole", "half close"]
CUTS: tuple[Cut, ...] = ("close", "reset", "black hole", "half close")
BLACK_HOLE_SECONDS = 0.4  # how long nothing passes before the network gives the connection up


class TcpProxy:
    """Passes bytes to a server until `cut` breaks every connection there is; later connections pass again.

    `cut_commit` breaks the one that next says COMMIT: before the server hears it, or after it has obeyed.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.port: int = self._listener.getsockname()[1]
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._generation = 0
        self._stalled = threading.Event()
        self._cut: Cut = "close"
        self.commit: Literal["", "before", "after"] = ""
        self.commits_cut = 0
        self.bytes_from_client = 0

    def __enter__(self) -> Self:
        self._threads.append(threading.Thread(target=self._accept))
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def stall(self) -> None:
        """Let nothing pass any more, in either direction, until `cut`: both ends believe the other to be thinking."""
        self._stalled.set()

    def cut(self, how: Cut) -> None:
        """Break every connection of this moment."""
        self._cut = how
        self._generation += 1
        self._stalled.clear()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            thread = threading.Thread(target=self._carry, args=(client, self._generation))
            self._threads.append(thread)
            thread.start()

    def _carry(self, client: socket.socket, generation: int) -> None:
        try:
            server = socket.create_connection(self._target, timeout=120)
        except OSError:
            _reset(client)
            return
        # not select(): a process of a long test run may hold more than its 1,024 files
        with client, server, selectors.DefaultSelector() as readable:
            ends = {client: server, server: client}
            for end in ends:
                readable.register(end, selectors.EVENT_READ)
            while not self._stop.is_set():
                if generation != self._generation:
                    self._break(client, server, self._cut)
                    return
                if self._stalled.is_set():
                    self._stop.wait(0.005)
                    continue
                for found, _ in readable.select(0.005):
                    source = client if found.fileobj is client else server
                    try:
                        data = source.recv(65536)
                        if not data:
                            return
                        if source is client:
                            self.bytes_from_client += len(data)
                            if self.commit and b"COMMIT" in data.upper():
                                self._break_commit(client, server, data)
                                return
                        ends[source].sendall(data)
                    except OSError:
                        return

    def _break_commit(self, client: socket.socket, server: socket.socket, data: bytes) -> None:
        when, self.commit = self.commit, ""
        if when == "after":
            server.sendall(data)
            server.recv(65536)  # its answer, which the client will never see
        self.commits_cut += 1
        _reset(client)

    def _break(self, client: socket.socket, server: socket.socket, how: Cut) -> None:
        if how == "half close":  # the server hears that the client is done; the client may go on talking
            with suppress(OSError):
                server.shutdown(socket.SHUT_WR)
            self._stop.wait(BLACK_HOLE_SECONDS)
        elif how == "black hole":
            self._stop.wait(BLACK_HOLE_SECONDS)
        if how in ("reset", "black hole"):
            _reset(client)
            _reset(server)


def _reset(end: socket.socket) -> None:
    """Close with an RST: what a firewall that forgot the connection, or a host that crashed, answers."""
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()


@dataclass(frozen=True)
class Request:
    """A request on its way to S3 or Glue; `kind` is what it is for."""

    kind: Literal["glue", "metadata", "manifest list", "manifest", "data", "deletes", "other"]
    path: str
    number: int
    """How many of this kind came before it since the rule was set."""


Damage = Literal["", "500", "503", "slow", "truncated", "short", "flipped"]
Rule = Callable[[Request], Damage]


class S3Proxy:
    """Passes requests to an S3 (and Glue) server; `rule` says of each what is to become of its answer."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url).netloc
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._clients: set[socket.socket] = set()
        self._rule: Rule | None = None
        self.damaged: list[tuple[str, Damage]] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            upstream: http.client.HTTPConnection | None = None

            def handle_any(self) -> None:
                proxy._handle(self)

            do_GET = do_HEAD = do_POST = do_PUT = handle_any  # noqa: N815 - the base class's names

            def setup(self) -> None:
                super().setup()
                proxy._clients.add(self.connection)

            def finish(self) -> None:
                if self.upstream is not None:
                    self.upstream.close()
                proxy._clients.discard(self.connection)
                with suppress(OSError):
                    super().finish()

            def log_message(self, format: str, *arguments: Any) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = False  # joined when the server is closed
            request_queue_size = 64

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that left in the middle is no error here: tests kill them."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        for client in list(self._clients):  # kept open by S3 clients that are still there
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        self._server.server_close()

    def break_by(self, rule: Rule | None) -> None:
        """Set the rule for the requests from now on; None: everything passes."""
        with self._lock:
            self._rule, self._counts = rule, {}
            self.damaged.clear()

    def _judge(self, handler: BaseHTTPRequestHandler) -> Damage:
        kind = _kind(handler)
        with self._lock:
            rule, number = self._rule, self._counts.get(kind, 0)
            self._counts[kind] = number + 1
        if rule is None:
            return ""
        damage = rule(Request(kind, handler.path, number))  # type: ignore[arg-type]
        if damage:
            with self._lock:
                self.damaged.append((kind, damage))
        return damage

    def _handle(self, handler: Any) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        damage = self._judge(handler)
        if damage in ("500", "503"):
            self._refuse(handler, damage)
            return
        if handler.upstream is None:
            handler.upstream = http.client.HTTPConnection(self._target, timeout=120)
        headers = {name: value for name, value in handler.headers.items() if name.lower() != "host"}
        try:
            handler.upstream.request(handler.command, handler.path, body or None, headers)
        except (OSError, http.client.HTTPException):  # the kept connection was closed meanwhile
            handler.upstream.close()
            handler.upstream.request(handler.command, handler.path, body or None, headers)
        answer = handler.upstream.getresponse()
        content = answer.read()
        self._answer(handler, answer, content, damage)

    def _refuse(self, handler: Any, status: str) -> None:
        code = {"500": "InternalError", "503": "SlowDown"}[status]
        content = (
            b""
            if handler.command == "HEAD"
            else f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>try again</Message></Error>".encode()
        )
        handler.send_response(int(status))
        handler.send_header("Content-Type", "application/xml")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def _answer(self, handler: Any, answer: http.client.HTTPResponse, content: bytes, damage: Damage) -> None:
        length = answer.getheader("Content-Length") if handler.command == "HEAD" else None
        if damage == "flipped" and content:
            content = _flipped(content)
        if damage == "short" and content:
            content = content[
                : len(content) * 2 // 3
            ]  # and the length says so: only the reader can know better
        handler.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                handler.send_header(name, value)
        handler.send_header("Content-Length", length or str(len(content)))
        handler.end_headers()
        if damage == "truncated" and content:
            handler.wfile.write(content[: len(content) // 2])
            handler.wfile.flush()
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        if damage == "slow":
            third = len(content) // 3 + 1
            for start in range(0, len(content), third):
                handler.wfile.write(content[start : start + third])
                handler.wfile.flush()
                time.sleep(0.05)
            return
        handler.wfile.write(content)


def _flipped(content: bytes) -> bytes:
    """One bit of one byte in ten thousand, and at least of the one in the middle."""
    changed = bytearray(content)
    for at in range(len(content) // 2, len(content), 10_000):
        changed[at] ^= 0x04
    return bytes(changed)


def _kind(handler: BaseHTTPRequestHandler) -> str:
    name = handler.path.partition("?")[0].rpartition("/")[2]
    if "X-Amz-Target" in handler.headers:
        return "glue"
    if name.endswith(".metadata.json"):
        return "metadata"
    if name.startswith("snap-"):
        return "manifest list"
    if name.endswith(".avro"):
        return "manifest"
    for kind in ("data", "deletes"):
        if f"/{kind}/" in handler.path:
            return kind
    return "other"
