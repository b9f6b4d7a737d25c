"""The command `athena-local` by itself: what it teaches, what it refuses, how it starts and how it ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from athena_local.cli import main
from athena_local.config import Config
from athena_local.engine.session import Session
from athena_local.errors import QueryError

GOOD = ["--s3-endpoint", "http://127.0.0.1:1", "--data-dir"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "athena_local", *arguments], capture_output=True, text=True, timeout=120
    )


def test_help_teaches_by_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    for word in (
        "example:",
        "AWS_ENDPOINT_URL_ATHENA=",
        "GET /health",
        "Exit codes: 0",
        "(default 2g)",
        "a free one",
    ):
        assert word in shown


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "the following arguments are required: --s3-endpoint, --data-dir"),
        (["--s3-endpoint", "localhost:4566", "--data-dir", "x"], "not a URL: 'localhost:4566'"),
        ([*GOOD, "x", "--memory", "64m"], "'64m' is less than 128m"),
        ([*GOOD, "x", "--memory", "lots"], "not a size: 'lots' (like 2g or 512m)"),
        ([*GOOD, "x", "--port", "70000"], "not a number from 0 to 65535: '70000'"),
        ([*GOOD, "x", "--max-running-queries", "0"], "not a number from 1 to 64: '0'"),
        ([*GOOD, "x", "--threads", "-1"], "not a number from 1 to 256: '-1'"),
        ([*GOOD, "x", "--account-id", "12"], "not twelve digits: '12'"),
        ([*GOOD, "x", "--mem", "2g"], "unrecognized arguments: --mem 2g"),
    ],
)
def test_bad_flags_are_named_with_what_is_right(
    flags: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(flags)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [], "nothing is made before the flags are right"


def test_data_directory_that_cannot_be_made_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    assert main([*GOOD, str(tmp_path / "file" / "data")]) == 1
    assert f"--data-dir {tmp_path}/file/data cannot be written: Not a directory" in capsys.readouterr().err


def test_port_in_use_is_refused_before_anything_is_touched(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main([*GOOD, str(tmp_path / "data"), "--port", str(port)]) == 1
    message = (
        f"cannot listen on 127.0.0.1:{port}: Address already in use (without --port a free one is taken)"
    )
    assert message in capsys.readouterr().err
    assert not (tmp_path / "data" / "catalog.sqlite").exists()


def test_damaged_catalog_is_refused_and_kept(tmp_path: Path) -> None:
    path = Config(tmp_path / "data", "").catalog_path
    path.parent.mkdir()
    path.write_bytes(b"this is no database" * 100)
    ended = run(*GOOD, str(tmp_path / "data"))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "cannot be used: file is not a database" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert path.read_bytes() == b"this is no database" * 100


def test_s3_that_is_not_there_is_told_and_the_server_serves(new_server: Any, until: Any, lake: str) -> None:
    server = new_server(endpoint="http://127.0.0.1:1")
    until(lambda: "WARNING: S3 at http://127.0.0.1:1 cannot be reached" in server.log.read_text())
    assert server.client("glue").get_databases()["DatabaseList"][0]["Name"] == "default"
    athena = server.client()
    location = {"OutputLocation": lake}
    query_id = athena.start_query_execution(QueryString="select 1", ResultConfiguration=location)[
        "QueryExecutionId"
    ]
    until(
        lambda: (
            athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]["State"]
            == "FAILED"
        ),
        30,
    )
    status = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]
    assert "S3 cannot be reached" in status["StateChangeReason"]
    assert status["AthenaError"]["Retryable"] is True


def test_host_beyond_this_machine_is_warned_of(s3_endpoint: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "athena_local", "--s3-endpoint", s3_endpoint, "--host", "0.0.0.0"]
    process = subprocess.Popen(
        [*command, "--data-dir", str(tmp_path / "data")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("athena-local: http://0.0.0.0:")
    process.terminate()
    _, warnings = process.communicate(timeout=120)
    assert "WARNING: listening on 0.0.0.0, beyond this machine. Nothing is authenticated" in warnings


LONG = """select count(*) from unnest(sequence(1, 10000)) as a(x) cross join unnest(sequence(1, 10000)) as b(y)
cross join unnest(sequence(1, 10000)) as c(z) where (x * y + z) % 7 = {}"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_soon_with_queries_running_and_queued(
    number: int, new_server: Any, state: Callable[..., Any], until: Any, lake: str
) -> None:
    server = new_server("--max-running-queries", "3")
    athena = server.client()
    ids = [
        athena.start_query_execution(
            QueryString=LONG.format(n), ResultConfiguration={"OutputLocation": lake}
        )["QueryExecutionId"]
        for n in range(5)
    ]
    until(lambda: all(state(athena, one)["State"] == "RUNNING" for one in ids[:3]), 60)
    until(lambda: len(list((server.data_dir / "spool").glob(f"{ids[0]}*"))) == 1)
    assert server.end(number) == 0  # none of these queries would end by itself
    assert "Traceback" not in server.log.read_text()
    server.start()
    athena = server.client()
    for one in ids:
        status = state(athena, one)
        assert (status["State"], status["StateChangeReason"]) == (
            "CANCELLED",
            "Query cancelled: the server is stopping",
        )


def test_package_needs_nothing_of_the_project_around_it(tmp_path: Path) -> None:
    script = """
import importlib, pkgutil, sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in set('penstock dbt psycopg invoke rich pydantic_settings ministack psutil'.split()):
            raise ImportError(f'athena_local must not need {name}')
sys.meta_path.insert(0, Blocker())
import athena_local
for module in pkgutil.walk_packages(athena_local.__path__, 'athena_local.'):
    if not module.name.endswith('__main__'):
        importlib.import_module(module.name)
print('whole')
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    assert ended.stdout.splitlines() == ["whole"], ended.stderr[-2000:]


def test_full_disk_fails_the_query_and_not_the_server(
    rows: Callable[..., Any], config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spill directory that cannot be written ends the query by Trino's error for it."""
    opened = Session._open

    def without_room(session: Session) -> Any:
        (session.spool / "spill").write_text("a file where the directory should be")
        return opened(session)

    monkeypatch.setattr(Session, "_open", without_room)
    small = replace(config, memory_limit_bytes=128 * 1024**2)
    big = "select to_hex(sha256(to_utf8(cast(x as varchar)))) as s from unnest(sequence(1, 10000)) as a(x)"
    with pytest.raises(QueryError) as raised:
        rows(
            f"select count(*) from (select s, y from ({big}) cross join unnest(sequence(1, 400)) as b(y) "
            "order by s, y offset 3999999 limit 1)",
            config=small,
        )
    assert raised.value.code == "OUT_OF_SPILL_SPACE", str(raised.value)
    assert rows("select 1") == [(1,)]
