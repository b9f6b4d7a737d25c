"""The second wall: SQL that went round the translator and reached a query's own DuckDB still finds nothing of the machine.

The first wall, Athena's grammar and the catalog, is tested in test_refused.py and test_fuzz.py.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from athena_local.context import QueryContext
from athena_local.engine.session import Session

SECRET = "penstock-canary-8c1f"
FORBIDDEN = (
    "select * from '{file}'",
    "select * from read_csv('{file}')",
    "select * from read_csv_auto('{folder}/*')",
    "select * from read_text('{file}')",
    "select * from read_blob('{folder}/*')",
    "select * from read_json('{file}')",
    "select * from read_parquet('{file}')",
    "select * from glob('{folder}/*')",
    "select * from parquet_metadata('{file}')",
    "select * from sniff_csv('{file}')",
    "select * from read_text('{spool}/../../../canary.csv')",
    "select * from read_text('file://{file}')",
    "select * from read_text('/proc/self/environ')",
    "copy (select 1) to '{folder}/out.csv'",
    "copy (select 1) to '{spool}/../../../out.csv'",
    "export database '{folder}/out'",
    "import database '{folder}'",
    "attach '{folder}/other.duckdb'",
    "attach '{folder}/other.duckdb' as o (read_only)",
    "create table t as select * from '{file}'",
    "install httpfs",
    "install json from 'http://{address}'",
    "load httpfs",
    "load '{folder}/x.duckdb_extension'",
    "select * from 'http://{address}/a.csv'",
    "select * from read_csv('https://{address}/a.csv')",
    "select * from read_text('ftp://{address}/a')",
    "copy (select 1) to 'http://{address}/a.csv'",
    "create secret s (type s3, key_id 'a', secret 'b', endpoint '{address}')",
    "set enable_external_access = true",
    "set lock_configuration = false",
    "set allowed_directories = ['/']",
    "set allowed_paths = ['{file}']",
    "set autoinstall_known_extensions = true",
    "set custom_extension_repository = 'http://{address}'",
    "set http_proxy = '{address}'",
    "set temp_directory = '{folder}'",
    "set home_directory = '{folder}'",
    "reset enable_external_access",
    "reset allowed_directories",
    "pragma enable_external_access = true",
    "pragma log_query_path = '{folder}/log'",
    "pragma enable_profiling = 'json'",
    "set profiling_output = '{folder}/profile'",
    "set log_query_path = '{folder}/log'",
    "select getenv('HOME')",
    "checkpoint '{folder}/x'",
    "call pragma_database_size('{file}')",
    "call enable_logging(storage = 'file', storage_path = '{folder}/logs')",
)


@pytest.fixture
def session(new_context: Callable[..., QueryContext]) -> Iterator[Session]:
    with Session(new_context()) as session:
        yield session


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file beside the data directory, not in it."""
    path = tmp_path / "canary.csv"
    path.write_text(f"a\n{SECRET}\n")
    return path


@pytest.fixture
def listener() -> Iterator[tuple[str, list[Any]]]:
    """An address of this machine that is not the S3 endpoint, and who called there."""
    callers: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        stopped = threading.Event()

        def accept() -> None:
            while not stopped.is_set():
                try:
                    connection, address = server.accept()
                except TimeoutError:
                    continue
                callers.append(address)
                connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", callers
        stopped.set()
        thread.join()


def test_sandbox_raw_sql_reaches_no_file_and_no_address(
    session: Session, canary: Path, listener: tuple[str, list[Any]]
) -> None:
    address, callers = listener
    before = sorted(canary.parent.iterdir())
    went_through, told = [], []
    for sql in FORBIDDEN:
        text = sql.format(file=canary, folder=canary.parent, spool=session.spool, address=address)
        try:
            session.connection.execute(text).fetchall()
        except duckdb.Error as error:
            told += [sql] if SECRET in str(error) else []
        else:
            went_through.append(sql)
    assert went_through == told == []
    assert callers == []
    assert sorted(canary.parent.iterdir()) == before
    assert session.connection.execute("select 1").fetchall() == [(1,)]


def test_sandbox_session_reads_and_writes_its_own_spool(session: Session) -> None:
    session.connection.execute(f"copy (select 41 + 1 as a) to '{session.spool}/own.csv'")
    assert session.connection.execute(f"select a from '{session.spool}/own.csv'").fetchall() == [(42,)]


def test_sandbox_one_query_cannot_read_the_spool_of_another(
    session: Session, new_context: Callable[..., QueryContext]
) -> None:
    with Session(new_context()) as other:
        (other.spool / "other.csv").write_text(f"a\n{SECRET}\n")
        with pytest.raises(duckdb.Error) as caught:
            session.connection.execute(f"select * from '{other.spool}/other.csv'").fetchall()
    assert SECRET not in str(caught.value)


def test_sandbox_python_variables_are_no_tables(session: Session) -> None:
    """DuckDB's Python client finds data frames by the names of the caller's variables; a query must not."""
    import pyarrow as pa

    hidden = pa.table({"a": [SECRET]})
    assert hidden.num_rows == 1
    with pytest.raises(duckdb.Error, match="hidden"):
        session.connection.execute("select * from hidden").fetchall()


def test_sandbox_environment_is_in_no_setting(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_CANARY", SECRET)
    shown = session.connection.execute("select name, value from duckdb_settings()").fetchall()
    assert len(shown) > 50
    assert not [name for name, value in shown if SECRET in str(value)]
    secrets = {
        os.environ[name] for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN") if name in os.environ
    }
    assert not [name for name, value in shown if str(value) in secrets - {""}]
