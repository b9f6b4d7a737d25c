"""kill -9 amid the main job: lake and Postgres each hold the old state or the new one; the next run completes it.

The stack is one of this module's own. Its Athena reaches S3 through a gate on loopback that can hold one request back: so a
MERGE is stopped, for as long as a test needs it, after its data and delete files are written and before its snapshot exists.
"""

from __future__ import annotations

import copy
import os
import pickle
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from penstock.local import state
from penstock.local.athena import AthenaLocal
from penstock.local.part import Part
from penstock.local.process import wait_until
from penstock.local.stack import LocalStack

pytestmark = pytest.mark.stack

PATIENCE_SECONDS = 90  # for what must happen, on a busy machine
# The manifest list is the last object but the table's metadata that a commit writes.
MANIFEST_LIST = rb"PUT /\S+/fct_forecast/\S+/metadata/snap-"


class Gate:
    """A loopback port that leads to S3, and holds back the first request whose head matches while it is armed."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        self.target = 0  # S3's port
        self.pattern: re.Pattern[bytes] | None = None
        self.held, self.released = threading.Event(), threading.Event()
        self.forward = True
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def arm(self, pattern: bytes) -> None:
        self.held.clear()
        self.released.clear()
        self.pattern = re.compile(pattern)

    def release(self, *, forward: bool = True) -> None:
        """Let the request pass, or be lost with its connection."""
        self.forward, self.pattern = forward, None
        self.released.set()

    def close(self) -> None:
        self.release(forward=False)
        with suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        for thread in self.threads:
            thread.join(10)

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                inner, _ = self.server.accept()
                try:
                    outer = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    inner.close()
                    continue
                for pair, stop in (((inner, outer), True), ((outer, inner), False)):
                    thread = threading.Thread(target=self._pump, args=(*pair, stop), daemon=True)
                    self.threads.append(thread)
                    thread.start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_request: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                # clients do not pipeline: a request's head is the beginning of what is received
                if is_request and self.pattern is not None and self.pattern.match(data):
                    self.pattern = None
                    self.held.set()
                    self.released.wait()
                    if not self.forward:
                        break
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        sink.close()


class GatedStack(LocalStack):
    """The local stack with the gate between its Athena and its S3."""

    gate: Gate

    def _part(self, name: str, remembered: state.State) -> Part:
        if name == "athena_local":
            self.gate.target = remembered.part("ministack").port
            return AthenaLocal(self.folder, self.gate.url, self.region)
        return super()._part(name, remembered)


@pytest.fixture(scope="module")
def gated() -> Iterator[GatedStack]:
    # not pytest's own folder: PostgreSQL of a test run by root could not reach it
    parent = Path(tempfile.mkdtemp(prefix="penstock killed "))
    parent.chmod(0o711)
    stack = GatedStack(parent / "the state")
    stack.gate = Gate()
    try:
        stack.up()
        yield stack
    finally:
        stack.gate.release(forward=False)
        stack.reset()
        stack.gate.close()
        shutil.rmtree(parent, ignore_errors=True)


@pytest.fixture(scope="module")
def killed_job(gated: GatedStack, make_job: Any, generate: Any) -> Any:
    """The main job with 4,550 rows built and synced, on the gated stack."""
    made = make_job(gated.up(), "main_job_killed")
    made.land(base=generate(4_550))
    made.build()
    made.sync()
    made.assert_equal()
    return made


def land_a_change(job: Any) -> None:
    """Change, add and delete rows in two months, differently each time."""
    lines = copy.deepcopy(job.landed["base.csv"])
    february = [line for line in lines if line[2].startswith("2025-02")]
    for line in february[:30]:
        line[8] = f"{float(line[8]) + 1:.2f}"
    last = max(line[2] for line in lines)
    day = f"2025-04-{int(last[-2:]) + 1:02}"
    lines += [[*line[:2], day, *line[3:]] for line in february if line[2] == "2025-02-14"]
    del lines[5:9]
    job.land(base=lines)


# In a process group of its own, as a shell would start `invoke build`: this process, and dbt below it.
BUILD = """
import pickle, sys
from penstock.transform import dbt

connections, root, arguments = pickle.load(sys.stdin.buffer)
dbt.run(connections, dbt.Side.LAKE, arguments, root=root, on_line=lambda line: print(line, flush=True))
"""


@contextmanager
def build_held_in_the_merge(job: Any, gate: Gate) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Yield a build, and the id of its MERGE, which is under way and held; whatever is left of the build is killed."""
    gate.arm(MANIFEST_LIST)
    process = subprocess.Popen(
        [sys.executable, "-c", BUILD],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    assert process.stdin is not None
    try:
        with process.stdin as stdin:
            stdin.write(pickle.dumps((job.connections, job.root, ["run", "--select", "+fct_forecast"])))
        assert gate.held.wait(PATIENCE_SECONDS), "the build never came to commit its MERGE"
        yield process, the_running_merge(job)
    finally:
        kill_group(process)
        gate.release(forward=False)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """kill -9 the build and the dbt it started; wait until none of them is left, and the side's lock with them."""
    members = [process.pid, *(child.pid for child in children(process.pid))]
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert wait_until(lambda: not any(map(alive, members)), PATIENCE_SECONDS)


def children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def execution(job: Any, query_id: str) -> dict[str, Any]:
    found: dict[str, Any] = job.connections.client("athena").get_query_execution(QueryExecutionId=query_id)
    return found["QueryExecution"]


def the_running_merge(job: Any) -> str:
    """The one statement that Athena's history has as RUNNING, which is a MERGE."""
    athena = job.connections.client("athena")
    ids = athena.list_query_executions(WorkGroup=job.connections.environment.workgroup)["QueryExecutionIds"]
    running = [item for item in ids if execution(job, item)["Status"]["State"] == "RUNNING"]
    assert len(running) == 1
    assert execution(job, running[0])["SubstatementType"] == "MERGE"
    return str(running[0])


def finished(job: Any, query_id: str) -> str:
    """Wait for a statement's end; return its state."""

    def ended() -> bool:
        return execution(job, query_id)["Status"]["State"] not in ("QUEUED", "RUNNING")

    assert wait_until(ended, PATIENCE_SECONDS)
    return str(execution(job, query_id)["Status"]["State"])


def test_build_killed_in_the_merge_the_statement_goes_on(gated: GatedStack, killed_job: Any) -> None:
    """dbt dies, Athena does not know: the statement ends by itself, and the next build finds nothing left to write."""
    job = killed_job
    old = job.lake()
    land_a_change(job)
    with build_held_in_the_merge(job, gated.gate) as (process, merge):
        kill_group(process)
        assert job.lake() == old == job.postgres()
        gated.gate.release()
        assert finished(job, merge) == "SUCCEEDED"
    assert job.lake() == job.expected() != old
    assert job.postgres() == old

    location = job.metadata_location()
    job.build()
    assert job.metadata_location() == location
    job.sync()
    job.assert_equal()


def test_build_killed_in_the_merge_the_next_build_overtakes_it(gated: GatedStack, killed_job: Any) -> None:
    """The killed build's MERGE still runs when the next build's commits: it fails, and nothing is applied twice."""
    job = killed_job
    old = job.lake()
    land_a_change(job)
    with build_held_in_the_merge(job, gated.gate) as (process, merge):
        kill_group(process)
        job.build()
        assert job.lake() == job.expected() != old
        location = job.metadata_location()
        gated.gate.release()
        assert finished(job, merge) == "FAILED"
        told = execution(job, merge)["Status"]["AthenaError"]
        assert "ICEBERG_COMMIT_ERROR" in told["ErrorMessage"]
    assert job.metadata_location() == location
    assert job.postgres() == old
    job.sync()
    job.assert_equal()


def test_athena_killed_in_the_merge(gated: GatedStack, killed_job: Any) -> None:
    """The engine itself dies: after `up` the table is as it was, the statement is FAILED, and the next build completes."""
    job = killed_job
    old, location = job.lake(), job.metadata_location()
    land_a_change(job)
    with build_held_in_the_merge(job, gated.gate) as (process, merge):
        engine = state.load(gated.folder).part("athena_local").pid
        os.kill(engine, signal.SIGKILL)
        assert [part.running for part in gated.status() if part.name == "athena_local"] == [False]
        gated.gate.release(forward=False)
        gated.up()
        assert state.load(gated.folder).part("athena_local").pid != engine
        assert finished(job, merge) == "FAILED"
        assert job.metadata_location() == location
        assert job.lake() == old == job.postgres()
        kill_group(process)
    job.build()
    assert job.lake() == job.expected() != old
    assert job.postgres() == old
    job.sync()
    job.assert_equal()


# The sync a task would run, up to a step; it says so, and waits to be killed.
SYNC = """
import pickle, sys, time
from penstock.sync.declaration import declarations
from penstock.sync.run import sync

connections, manifest, step = pickle.load(sys.stdin.buffer)

def checkpoint(name):
    if name == step:
        print("reached", flush=True)
        time.sleep(600)

sync(connections, declarations(manifest), checkpoint=checkpoint)
"""


def kill_sync_at(job: Any, step: str) -> None:
    manifest = job.root / "target" / "lake" / "manifest.json"
    with subprocess.Popen(
        [sys.executable, "-c", SYNC], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(pickle.dumps((job.connections, manifest, step)))
            process.stdin.close()
            assert process.stdout.readline() == b"reached\n", f"the sync never came to '{step}'"
        finally:
            process.kill()  # SIGKILL


def test_sync_killed_in_the_copy_and_before_the_commit(killed_job: Any) -> None:
    """Killed again and again on the way, Postgres keeps the old rows, stamps and record; the run that is let through
    completes it."""
    job = killed_job
    record = "select snapshot_id, metadata_location from penstock.sync_state"
    land_a_change(job)
    job.build()
    old, stamps, recorded = job.postgres(), job.stamps(), job.query(record)
    assert job.lake() == job.expected() != old
    for step in ("copying", "copied", "applied", "before commit"):
        kill_sync_at(job, step)
        assert job.postgres() == old, step
        assert job.stamps() == stamps, step
        assert job.query(record) == recorded, step
    report = job.sync()
    assert report.mode == "changes"
    job.assert_equal()
    assert job.query(record) != recorded

    kill_sync_at_first_load(job)


def kill_sync_at_first_load(job: Any) -> None:
    """The same where the table is not there yet: nothing of it is left behind."""
    with psycopg.connect(job.connections.database_url) as connection:
        connection.execute("drop table forecast_data")
    for step in ("copying", "before commit"):
        kill_sync_at(job, step)
        assert job.query("select to_regclass('forecast_data')") == [(None,)]
    assert job.sync().mode == "load"
    job.assert_equal()
