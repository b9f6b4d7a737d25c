"""Servers that take notifications, on loopback and free ports: a webhook's, and a mail server with TLS and logins."""

from __future__ import annotations

import base64
import json
import shutil
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


@dataclass
class WebhookServer:
    """What arrived, parsed; answers with `status` and `body`, or hangs while `hold` is not set."""

    port: int = 0
    status: int = 200
    body: bytes = b"ok"
    location: str = ""
    hangs: bool = False
    delay: float = 0
    hold: threading.Event = field(default_factory=threading.Event)
    received: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    verbs: list[str] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def subjects(self) -> list[str]:
        return [item["text"].partition("\n")[0] for item in self.received]


@contextmanager
def webhook_server() -> Iterator[WebhookServer]:
    state = WebhookServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.verbs.append(self.command)
            state.paths.append(self.path)
            if state.hangs:
                state.hold.wait(30)
                return
            state.hold.wait(state.delay)
            if state.status == 200:
                assert self.headers["Content-Type"].startswith("application/json")
                state.received.append(json.loads(body))
            self.send_response(state.status)
            if state.location:
                self.send_header("Location", state.location)
            self.send_header("Content-Length", str(len(state.body)))
            self.end_headers()
            self.wfile.write(state.body)

        def do_GET(self) -> None:
            state.verbs.append(self.command)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield state
        finally:
            state.hold.set()
            server.shutdown()
            thread.join()


@dataclass
class MailServer:
    """Letters taken, who logged in, and which connections were under TLS when they were."""

    port: int = 0
    certificate: Path | None = None
    implicit_tls: bool = False
    users: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    letters: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    logins: list[tuple[str, bool]] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    def url(self, login: str = "", scheme: str = "smtp") -> str:
        return f"{scheme}://{f'{login}@' if login else ''}127.0.0.1:{self.port}"


@contextmanager
def mail_server(state: MailServer) -> Iterator[MailServer]:
    context = None
    if state.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(state.certificate)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.secure = state.implicit_tls
            try:
                if state.implicit_tls:
                    self._secure()
                self.lines = self.request.makefile("rb")
                try:
                    self._converse()
                finally:
                    self.lines.close()
            except OSError:
                pass  # the client did not like the certificate, or left
            finally:
                self.request.close()  # under TLS another socket than the one the server made

        def _secure(self) -> None:
            assert context is not None
            self.request = context.wrap_socket(self.request, server_side=True)

        def _say(self, text: str) -> None:
            self.request.sendall(f"{text}\r\n".encode())

        def _converse(self) -> None:
            self._say("220 mail.test ESMTP")
            to: list[str] = []
            while raw := self.lines.readline():
                line = raw.decode("latin-1").strip()
                state.heard.append(line)
                verb = line.partition(" ")[0].upper()
                if verb == "EHLO":
                    self._say("250-mail.test")
                    if context and not self.secure:
                        self._say("250-STARTTLS")
                    self._say("250 AUTH PLAIN")
                elif verb == "STARTTLS":
                    self._say("220 go")
                    self.lines.close()
                    self._secure()
                    self.lines, self.secure = self.request.makefile("rb"), True
                elif verb == "AUTH":
                    _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
                    state.logins.append((user, self.secure))
                    known = state.users.get(user) == password
                    self._say("235 welcome" if known else f"535 {password} is no password of {user}")
                elif verb == "RCPT":
                    address = line.partition("<")[2].partition(">")[0]
                    if address in state.refused:
                        self._say("550 no such user")
                    else:
                        to.append(address)
                        self._say("250 ok")
                elif verb == "DATA":
                    self._say("354 go on")
                    body = b""
                    while not (part := self.lines.readline()).startswith(b".\r\n"):
                        body += part
                    letter = message_from_bytes(body, policy=policy.default)
                    assert isinstance(letter, EmailMessage)
                    state.letters.append(letter)
                    state.recipients.append(to)
                    self._say("250 taken")
                elif verb == "QUIT":
                    self._say("221 bye")
                    return
                else:
                    self._say("250 ok")

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


def certificate(folder: Path) -> Path:
    """Return a file with a key and a self-signed certificate for 127.0.0.1; skips the test where there is no openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate (apt-get install openssl)")
    key, found = folder / "key.pem", folder / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(found)],
        check=True,
        capture_output=True,
    )
    found.write_text(key.read_text() + found.read_text())
    return found
