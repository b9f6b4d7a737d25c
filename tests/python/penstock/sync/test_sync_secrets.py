"""Nothing that a sync says or keeps holds a secret: not its output, its logs, its rows, its messages, its process title.

The sync runs as a process of its own, every logger at its most talkative, with passwords, keys and tokens of this test's
in all places where there may be one; it succeeds, and fails in every way that might quote an address. Then everything it
left is searched.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
import traceback
import types
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sync_proxies import S3Proxy

from penstock.connections import Connections
from penstock.errors import PenstockError
from penstock.local.stack import LocalStack
from penstock.settings import load
from penstock.sync.declaration import Declaration
from penstock.sync.postgres import Limits
from penstock.sync.run import sync, sync_tables

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

JANUARY = (2025 - 1970) * 12
TELLER = Path(__file__).parent / "support" / "sync_teller.py"
PASSWORD = "p@ss/w:rd%41-" + uuid.uuid4().hex[:8]  # needs quoting in a URL, so it has two spellings
AWS_KEY = "aws-" + uuid.uuid4().hex
TOKEN = "hook-" + uuid.uuid4().hex
SMTP = "smtp-" + uuid.uuid4().hex
NEON = "neon-" + uuid.uuid4().hex
SECRETS = {
    "database password": PASSWORD,
    "database password, quoted": quote(PASSWORD, safe=""),
    "database password, as in a conninfo": make_conninfo("", password=PASSWORD).partition("=")[2],
    "AWS secret key": AWS_KEY,
    "webhook token": TOKEN,
    "mail password": SMTP,
    "Neon key": NEON,
}


def search(where: str, text: str) -> None:
    for name, secret in SECRETS.items():
        assert secret not in text, (
            f"the {name} is in {where}: …{text[max(0, text.find(secret) - 200) :][:400]}…"
        )


@pytest.fixture
def guarded(lake: Connections) -> Iterator[Connections]:
    """The lake by a role with this test's password, and by this test's AWS key."""
    role = f"role_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(lake.database_url, autocommit=True) as admin:
        admin.execute(f"create role {role} superuser login password '{PASSWORD}'".encode())
    given = conninfo_to_dict(lake.database_url)
    address = f"{given['host']}:{given['port']}/{given['dbname']}"
    yield replace(
        lake, database_url=f"postgresql://{role}:{quote(PASSWORD, safe='')}@{address}", secret_key=AWS_KEY
    )
    with psycopg.connect(lake.database_url, autocommit=True) as admin:
        admin.execute(
            f"reassign owned by {role} to current_user; drop owned by {role}; drop role {role}".encode()
        )


class Hook:
    """A webhook that keeps what it is sent and may answer with its own address, token and all."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.status = 200
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
                said = f"no such hook: {self.path}".encode()
                self.send_response(hook.status)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, format: str, *arguments: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/services/T0/B0/{TOKEN}"


@contextmanager
def webhook() -> Iterator[Hook]:
    hook = Hook()
    thread = threading.Thread(target=hook.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hook
    finally:
        hook.server.shutdown()
        thread.join()
        hook.server.server_close()


def tell(
    connections: Connections, declared: Declaration, hook: Hook, folder: Path, debug: bool
) -> subprocess.CompletedProcess[bytes]:
    """Run a sync as a process of its own; returns its output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    environment |= {
        "PENSTOCK_STATE_DIR": str(folder),
        "PENSTOCK_NOTIFY_WEBHOOK": hook.url,
        "PENSTOCK_NOTIFY_EMAIL_TO": "someone@example.com",
        "PENSTOCK_SMTP_URL": f"smtp://user:{SMTP}@127.0.0.1:1",
        "PENSTOCK_NOTIFY_SECONDS": "5",
        "PENSTOCK_DEBUG": "1" if debug else "0",
        "NEON_API_KEY": NEON,
        "DATABASE_URL": connections.database_url,
    }
    return subprocess.run(
        [sys.executable, str(TELLER)],
        input=pickle.dumps((connections, [declared])),
        capture_output=True,
        env=environment,
        timeout=120,
        check=False,
    )


def rows_of(lake: Connections) -> str:
    """Return every row of the sync's own tables, as text, and what the server shows of sessions."""
    with psycopg.connect(lake.database_url) as connection:
        tables = connection.execute(
            "select format('%I.%I', schemaname, tablename) from pg_tables"
            " where schemaname = 'penstock' or tablename = 'forecast_sync_status'"
        ).fetchall()
        found = [
            str(connection.execute(f"select row_to_json(t)::text from {name} as t".encode()).fetchall())
            for (name,) in tables
        ]
        found.append(
            str(connection.execute("select application_name, query from pg_stat_activity").fetchall())
        )
    return "\n".join(found)


ROW = {
    "restaurant_id": 1,
    "inventory_item_id": 2,
    "business_date": date(2025, 1, 5),
    "dma_id": "D",
    "dc_id": 1,
    "state": "CA",
    "y_05": 1.0,
    "y_50": 2.0,
    "y_95": 3.0,
}


def well(connections: Connections, forecast: Any) -> Connections:
    return connections


def duplicate_key(connections: Connections, forecast: Any) -> Connections:
    forecast.add([ROW], JANUARY)
    forecast.commit()
    return connections


def wrong_password(connections: Connections, forecast: Any) -> Connections:
    with psycopg.connect(connections.database_url, autocommit=True) as connection:
        connection.execute("alter role current_user password 'another'")
    return connections


def nobody_listens(connections: Connections, forecast: Any) -> Connections:
    with S3Proxy("http://127.0.0.1:1") as closed:
        port = closed.url.rpartition(":")[2]
    given = conninfo_to_dict(connections.database_url)
    return replace(connections, database_url=make_conninfo(**{**given, "port": port, "host": "127.0.0.1"}))


def no_such_database(connections: Connections, forecast: Any) -> Connections:
    return replace(connections, database_url=connections.database_url + "_gone")


def no_url(connections: Connections, forecast: Any) -> Connections:
    return replace(connections, database_url=f"postgresql//oops:{PASSWORD}@host")


def quoting_trigger(connections: Connections, forecast: Any) -> Connections:
    """The server's own words hold the URL and the password; its own log is told to keep quiet about them."""
    with psycopg.connect(connections.database_url, autocommit=True) as connection:
        connection.execute("alter role current_user set log_min_messages = panic")
    sync(connections, [_declared_of(forecast)])
    words = f"no write to {connections.database_url} with {PASSWORD}".replace("'", "''").replace("%", "%%")
    with psycopg.connect(connections.database_url) as connection:
        connection.execute(
            f"create function no() returns trigger language plpgsql as $$begin raise exception '{words}'; end$$".encode()
        )
        connection.execute("create trigger no before insert or update on forecast_data execute function no()")
    forecast.add([ROW | {"restaurant_id": 9}], JANUARY)
    forecast.commit()
    return connections


def lost_file(connections: Connections, forecast: Any) -> Connections:
    location = forecast.add([ROW | {"restaurant_id": 10}], JANUARY)
    forecast.commit()
    bucket, _, key = location.removeprefix("s3://").partition("/")
    connections.client("s3").delete_object(Bucket=bucket, Key=key)
    return connections


def no_s3(connections: Connections, forecast: Any) -> Connections:
    return replace(connections, endpoint_urls={**connections.endpoint_urls, "s3": "http://127.0.0.1:1"})


CASES: list[Callable[[Connections, Any], Connections]] = [
    well,
    duplicate_key,
    wrong_password,
    no_such_database,
    no_url,
    quoting_trigger,
    lost_file,
    no_s3,
]


def _declared_of(forecast: Any) -> Declaration:
    return Declaration(
        model="fct_forecast",
        lake_database=forecast.database,
        lake_table=forecast.table,
        table="forecast_data",
        status_table="forecast_sync_status",
        key=("restaurant_id", "inventory_item_id", "business_date"),
    )


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_sync_tells_no_secret(
    lake: Connections,
    guarded: Connections,
    forecast: Any,
    local_stack: LocalStack,
    tmp_path: Path,
    case: Callable[[Connections, Any], Connections],
    debug: bool,
) -> None:
    forecast.add([ROW], JANUARY)
    forecast.commit()
    connections = case(guarded, forecast)
    with webhook() as hook:
        hook.status = 403 if debug else 200
        done = tell(connections, _declared_of(forecast), hook, tmp_path, debug)
    said = (done.stdout + done.stderr).decode()
    assert (done.returncode == 0) == (case is well), said[-3000:]
    if case in (well, no_s3):
        assert "DEBUG:botocore" in said  # the loggers were heard
    if case is not well:
        assert hook.bodies, said[-3000:]
        assert "e-mail by 127.0.0.1" in said
    search("the output", said)
    search("a message", "\n".join(hook.bodies))
    search("the rows", rows_of(lake))
    for file in [*tmp_path.rglob("*"), *(local_stack.folder / "logs").glob("*.log")]:
        if file.is_file():
            search(file.name, file.read_text(errors="replace"))


@pytest.mark.parametrize("case", CASES[1:])
def test_error_and_report_of_a_sync_hold_no_secret_in_any_form(
    guarded: Connections,
    forecast: Any,
    case: Callable[[Connections, Any], Connections],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("botocore.endpoint.time", types.SimpleNamespace(sleep=lambda _: None))
    forecast.add([ROW], JANUARY)
    forecast.commit()
    declared = _declared_of(forecast)
    connections = case(guarded, forecast)
    with pytest.raises(PenstockError) as caught:
        sync(connections, [declared], limits=Limits(connect_seconds=0))
    error = caught.value
    shown = [str(error), repr(error), error.message, error.hint, *getattr(error, "__notes__", [])]
    shown.append("".join(traceback.format_exception(error)))
    reports = sync_tables(connections, [declared], limits=Limits(connect_seconds=0))
    shown += [repr(reports), repr(connections), repr(Limits())]
    search("the error", "\n".join(shown))
    search("the error, pickled", repr(pickle.dumps((error, reports))))


def test_settings_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://someone:{quote(PASSWORD, safe='')}@host/database")
    monkeypatch.setenv("PENSTOCK_NOTIFY_WEBHOOK", f"https://hooks.example.com/{TOKEN}")
    monkeypatch.setenv("PENSTOCK_SMTP_URL", f"smtp://user:{SMTP}@mail.example.com")
    monkeypatch.setenv("NEON_API_KEY", NEON)
    search("the settings", repr(load()) + str(load()))


def test_process_of_a_sync_shows_no_secret(lake: Connections, guarded: Connections, forecast: Any) -> None:
    """Neither its command line nor what the server shows of its session."""
    forecast.add([ROW], JANUARY)
    forecast.commit()
    seen: list[str] = []

    def look(_: str) -> None:
        seen.append(Path("/proc/self/cmdline").read_text() if Path("/proc/self").exists() else "")
        with psycopg.connect(lake.database_url) as connection:
            rows = connection.execute("select row_to_json(a)::text from pg_stat_activity as a").fetchall()
        seen.append(json.dumps(rows))

    sync(guarded, [_declared_of(forecast)], checkpoint=look)
    assert any("penstock sync" in text for text in seen)
    search("the process", "\n".join(seen))
