"""What may stand in front of a Postgres: TLS, refusals at the login, a server that says other things of itself, PgBouncer.

All bind loopback on a free port and stop with their `with` block.
"""

from __future__ import annotations

import os
import selectors
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from penstock.local import accounts

START_ATTEMPTS = 3
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)


class Front:
    """Leads to the Postgres of `url`. `logins` counts those that were led there or refused.

    tls: answers the client's request for TLS with this context; without one with "no".
    refusals: (SQLSTATE, message) pairs, one for each of the first logins.
    says: parameters that the server is made to report at the login, instead of its own or beside them.
    """

    def __init__(
        self,
        url: str,
        *,
        tls: ssl.SSLContext | None = None,
        refusals: Sequence[tuple[str, str]] = (),
        says: dict[str, str] | None = None,
    ) -> None:
        target = conninfo_to_dict(url)
        self._target = (str(target["host"]), int(str(target["port"])))
        self._tls, self._refusals, self._says = tls, list(refusals), says or {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.port: int = self._listener.getsockname()[1]
        self.url = make_conninfo(url, host="127.0.0.1", port=self.port)
        self.logins = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            with suppress(TimeoutError):
                client, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(client,)))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        try:
            client.settimeout(10)
            opening = client.recv(8)
            if opening == _SSL_REQUEST:
                client.sendall(b"S" if self._tls else b"N")
                if self._tls:
                    client = self._tls.wrap_socket(client, server_side=True)
                opening = client.recv(8)
            if opening:
                self._login(client, opening)
        except OSError:
            pass  # the client may leave at any time, as it does on a wrong certificate
        finally:
            client.close()

    def _login(self, client: socket.socket, opening: bytes) -> None:
        self.logins += 1
        if self._refusals:
            self._refuse(client)
            return
        with socket.create_connection(self._target) as server:
            server.sendall(opening)
            self._pass(client, server)

    def _refuse(self, client: socket.socket) -> None:
        state, message = self._refusals.pop(0)
        fields = f"SFATAL\0VFATAL\0C{state}\0M{message}\0\0".encode()
        client.sendall(b"E" + struct.pack("!i", len(fields) + 4) + fields)

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        client.settimeout(0.2)
        with selectors.DefaultSelector() as readable:  # not select(), which ends at 1,024 files
            readable.register(client, selectors.EVENT_READ)
            readable.register(server, selectors.EVENT_READ)
            while not self._stop.is_set():
                pending = isinstance(client, ssl.SSLSocket) and client.pending()
                ready = [client] if pending else [found.fileobj for found, _ in readable.select(0.05)]
                for end in ready:
                    source, sink = (client, server) if end is client else (server, client)
                    try:
                        data = source.recv(65536)
                    except (TimeoutError, ssl.SSLWantReadError):
                        continue
                    if not data:
                        return
                    sink.sendall(self._retold(data) if source is server else data)

    def _retold(self, data: bytes) -> bytes:
        """Add the parameters before the key data that ends the server's own; libpq believes what it was told last."""
        at = data.find(b"K\x00\x00\x00")
        if not self._says or at < 0 or b"server_version\0" not in data:
            return data
        told = b""
        for name, value in self._says.items():
            pair = f"{name}\0{value}\0".encode()
            told += b"S" + struct.pack("!i", len(pair) + 4) + pair
        return data[:at] + told + data[at:]


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """Return a server's context with a certificate for `name`, and the file of the authority that signed it: itself."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate (apt-get install openssl)")
    key, found = folder / f"{name}.key", folder / f"{name}.pem"
    command = (
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={name}"
    )
    subprocess.run(
        [*command.split(), "-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key), "-out", str(found)],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(found, key)
    return context, found


@contextmanager
def pgbouncer(url: str, mode: str, server_connections: int = 3) -> Iterator[str]:
    """Run PgBouncer before the database of `url`; yields the URL through it. Skips the test where there is none."""
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.skip("needs PgBouncer on the PATH (apt-get install pgbouncer)")
    target = conninfo_to_dict(url)
    account = accounts.unprivileged()  # it refuses to run as root, as Postgres does
    with tempfile.TemporaryDirectory(prefix="pgbouncer ") as name:
        folder = Path(name)
        folder.chmod(0o711)
        users, settings, log = folder / "users.txt", folder / "pgbouncer.ini", folder / "log"
        users.write_text(f'"{target["user"]}" "{target["password"]}"\n')
        for _ in range(START_ATTEMPTS):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            settings.write_text(
                "[databases]\n"
                f"* = host={target['host']} port={target['port']}\n"
                "[pgbouncer]\n"
                f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
                f"auth_type = scram-sha-256\nauth_file = {users}\n"
                f"pool_mode = {mode}\ndefault_pool_size = {server_connections}\nlogfile =\npidfile =\n"
            )
            for file in (users, settings):
                if account is not None:
                    os.chown(file, account.uid, account.gid)
                file.chmod(0o600)
            with (
                log.open("wb") as output,
                subprocess.Popen(
                    [program, str(settings)],
                    stdout=output,
                    stderr=output,
                    user=account.uid if account else None,
                    group=account.gid if account else None,
                ) as process,
            ):
                try:
                    through = make_conninfo(url, host="127.0.0.1", port=port)
                    if _answers(process, through, log):
                        yield through
                        return
                finally:
                    process.terminate()
        raise AssertionError(log.read_text())


def _answers(process: subprocess.Popen[bytes], url: str, log: Path) -> bool:
    """Wait until one can connect; False when it ended at once: somebody took the port between its choice and its use."""
    until = time.monotonic() + 60
    while process.poll() is None:
        try:
            psycopg.connect(url).close()
            return True
        except psycopg.OperationalError as error:
            if time.monotonic() > until:
                raise AssertionError(log.read_text()) from error
            time.sleep(0.05)
    return False
