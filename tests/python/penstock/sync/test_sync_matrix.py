"""The fault matrix: every fault at every step of a first load, of an update by delta and of an update by MERGE.

After each, Postgres holds the old lake state or the new one, row for row; its own record says which; rows that did not
change were not written; the run's record says how it ended; no server session is left; and the next sync, undisturbed,
makes it equal the lake. The table goes to and fro between its two states, so a cell starts where the last one ended.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import psutil
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sync_clients import reused_clients
from sync_proxies import CUTS, Damage, Request, S3Proxy, TcpProxy
from sync_scene import BATCH_ROWS, Scene
from sync_victims import Nursery, Order

from penstock.connections import Connections
from penstock.errors import PenstockError
from penstock.local import accounts
from penstock.local.stack import LocalStack
from penstock.sync import extract
from penstock.sync.postgres import Limits

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

SCENARIOS = ("load", "delta", "merge")
# The steps of the matrix by the checkpoint where the fault strikes; "plan" is armed before the sync begins. A COPY has
# several blocks: it is struck after the first (files are still being read) and after the last.
MOMENTS = (
    "plan",
    "planned",
    "copying first",
    "copying last",
    "copied",
    "applied",
    "verified",
    "before commit",
    "committed",
)
EARLY, LATE = MOMENTS[:4], MOMENTS[4:]  # from "copied" on nothing is read from S3 any more
# Each cell is repeated with each way of syncing, and with blocks of another size, so at other bytes.
SIZES = {"load": BATCH_ROWS, "delta": BATCH_ROWS * 3 // 4, "merge": BATCH_ROWS * 2}
REPEATS = 2
TMPFS_MEGABYTES = 96
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Server:
    """A Postgres of these tests' own, which they may restart, behind a proxy; S3 is the session's, behind another."""

    stack: LocalStack
    direct: Connections
    through: Connections
    postgres: TcpProxy
    s3: S3Proxy

    def stop(self, how: signal.Signals) -> None:
        """Stop Postgres: SIGINT ends every session (a restart), SIGKILL leaves it to recovery (a crash)."""
        data = (self.stack.folder / "postgres").resolve() / "data"
        process = psutil.Process(int((data / "postmaster.pid").read_text().split()[0]))
        process.send_signal(how)
        process.wait(100)

    def start(self) -> None:
        self.stack.up(parts=("postgres",))


@pytest.fixture(scope="module")
def server(lake_server: Connections) -> Iterator[Server]:
    parent = Path(
        tempfile.mkdtemp(prefix="penstock faults ")
    )  # not pytest's, which is 0700: see tests/python/conftest.py
    parent.chmod(0o711)
    stack = LocalStack(parent / "state")
    try:
        url = stack.up(parts=("postgres",)).database_url
        at = conninfo_to_dict(url)
        s3_url = lake_server.endpoint_urls["glue"]
        with TcpProxy(str(at["host"]), int(str(at["port"]))) as postgres, S3Proxy(s3_url) as s3:
            direct = replace(lake_server, database_url=url)
            through = replace(
                direct,
                database_url=make_conninfo(url, host="127.0.0.1", port=postgres.port),
                endpoint_urls={"s3": s3.url, "glue": s3.url},
                default_endpoint_url=s3.url,
            )
            yield Server(stack, direct, through, postgres, s3)
    finally:
        stack.reset()
        shutil.rmtree(parent, ignore_errors=True)


@pytest.fixture(scope="module")
def scene(server: Server, lake_writer_class: type[Any], forecast_declaration: Any) -> Iterator[Scene]:
    """Two states of a table, written once for all cells."""
    database = "marts_matrix"
    server.direct.client("glue").create_database(DatabaseInput={"Name": database})
    writer = lake_writer_class(server.direct, database, "fct_forecast")
    with closing(Scene(server.direct, forecast_declaration(database), writer)) as scene:
        scene.write()
        yield scene


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


@pytest.fixture(autouse=True, scope="module")
def clients_made_once() -> Iterator[None]:
    """A boto3 client costs more time than a sync of these few rows."""
    with reused_clients():
        yield


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 waits up to seconds between its attempts at an S3 that answers 500; how often it tries stays the same."""
    from botocore import endpoint

    class Time:
        sleep = staticmethod(lambda _: None)

    monkeypatch.setattr(endpoint, "time", Time)


# -- faults --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """`arm` strikes, `mend` ends it. `loses` names the connection that breaks, if one does."""

    def __str__(self) -> str:
        return self.name

    name: str
    arm: Callable[[Server], None]
    mend: Callable[[Server], None] = lambda _: None
    loses: Literal["", "postgres", "s3"] = ""


def _cut(how: Any) -> Fault:
    return Fault(f"connection: {how}", lambda server: server.postgres.cut(how), loses="postgres")


_restarts: list[threading.Thread] = []


def _restart(name: str, how: signal.Signals) -> Fault:
    def arm(server: Server) -> None:
        server.stop(how)
        _restarts.append(threading.Thread(target=server.start))
        _restarts[-1].start()

    def mend(server: Server) -> None:
        while _restarts:
            _restarts.pop().join()

    return Fault(name, arm, mend, loses="postgres")


DAMAGES: tuple[Damage, ...] = ("500", "503", "truncated", "short", "flipped")


def _s3(damage: Damage, first: int | None = None) -> Fault:
    """S3 answers so, always or only the first requests of each kind."""

    def rule(request: Request) -> Damage:
        if request.kind == "glue" or (first is not None and request.number >= first):
            return ""
        return damage or DAMAGES[request.number % len(DAMAGES)]

    name = f"S3: {damage or 'everything'}" + (f" {first} times" if first else "")
    return Fault(
        name, lambda server: server.s3.break_by(rule), lambda server: server.s3.break_by(None), loses="s3"
    )


CUT_FAULTS = [_cut(how) for how in CUTS]
S3_FAULTS = [
    _s3("500"),
    _s3("500", 2),
    _s3("503"),
    _s3("503", 2),
    _s3("slow"),
    _s3("truncated"),
    _s3("truncated", 1),
    _s3("short"),
    _s3("flipped"),
]
RESTARTS = [
    _restart("Postgres restarted", signal.SIGINT),
    _restart("Postgres crashed", signal.SIGKILL),
]
CELLS = [
    *((fault, moment, scenario) for fault in CUT_FAULTS for moment in MOMENTS for scenario in SCENARIOS),
    # seconds each: every step by both, in two of the three ways of syncing
    *(
        (fault, moment, SCENARIOS[(i + j) % len(SCENARIOS)])
        for i, fault in enumerate(RESTARTS)
        for j, moment in enumerate(MOMENTS)
    ),
    *((fault, moment, scenario) for fault in S3_FAULTS for moment in EARLY for scenario in SCENARIOS),
    *((_s3(""), moment, scenario) for moment in LATE for scenario in SCENARIOS),
]


class Striker:
    """A checkpoint that arms a fault when the sync comes to a moment; counts what it passes."""

    def __init__(self, moment: str, blocks: int, strike: Callable[[], None]) -> None:
        self.step, _, which = moment.partition(" ") if moment.startswith("copying") else (moment, "", "")
        self.nth = blocks if which == "last" else 1
        self.strike, self.struck = strike, False
        self.seen: dict[str, int] = {}

    def __call__(self, name: str) -> None:
        self.seen[name] = self.seen.get(name, 0) + 1
        if name == self.step and self.seen[name] == self.nth:
            self.struck = True
            self.strike()


_blocks: dict[str, int] = {}


def blocks(scene: Scene, scenario: str) -> int:
    """Return how many blocks the COPY of a scenario has: found by one undisturbed run."""
    if scenario not in _blocks:
        _, target = scene.start(scenario)
        counter = Striker("", 0, lambda: None)
        scene.sync(full=scenario == "merge", checkpoint=counter)
        assert scene.check(target) == target
        missing = {moment.split(" ")[0] if "copying" in moment else moment for moment in MOMENTS[1:]}
        missing -= counter.seen.keys()
        assert not missing, f"{scenario} never comes to {missing}"
        _blocks[scenario] = counter.seen["copying"]
    return _blocks[scenario]


@pytest.mark.parametrize(("fault", "moment", "scenario"), CELLS, ids=str)
def test_sync_struck_by_a_fault_leaves_old_or_new_and_the_next_completes_it(
    server: Server, scene: Scene, monkeypatch: pytest.MonkeyPatch, fault: Fault, moment: str, scenario: str
) -> None:
    monkeypatch.setattr(extract, "BATCH_ROWS", SIZES[scenario])
    count = blocks(scene, scenario)
    states = scene.start(scenario)
    striker = Striker(moment, count, lambda: fault.arm(server))
    run_struck(server, scene, fault, striker, scenario, states)


def run_struck(
    server: Server, scene: Scene, fault: Fault, striker: Striker, scenario: str, states: tuple[str, str]
) -> PenstockError | None:
    """Sync with the fault, check what it left, sync again; returns what the struck sync raised."""
    holds, target = states
    known = {number for number, *_ in scene.runs()}
    error: PenstockError | None = None
    try:
        if striker.step == "plan":
            striker("plan")
        scene.sync(
            server.through, full=scenario == "merge", checkpoint=striker, limits=Limits(busy_seconds=60)
        )
    except PenstockError as raised:
        error = raised
    finally:
        fault.mend(server)
    assert striker.struck, f"the sync never came to its moment, but to {striker.seen}"
    found = scene.check(holds, target)
    if error is None:
        assert found == target, "it said that all went well"
    else:
        assert error.message
        assert error.hint, f"no next step is told: {error.message}"
        if striker.step == "committed":
            assert found == target
        elif fault.loses:
            assert found == holds, f"committed, and said that it failed: {error.message}"
    check_record(scene, known, error)
    scene.check_no_session_is_left()
    scene.sync()
    assert scene.check(target) == target
    return error


def check_record(scene: Scene, known: set[int], error: PenstockError | None) -> None:
    """The run has one record, which says how it ended; or the error says that it could not be written."""
    records = [(status, told) for number, status, told in scene.runs() if number not in known]
    last = scene.last_status()
    if error is None:
        assert [status for status, _ in records] == ["success"]
        assert last == ("success", None)
    elif not records:
        notes = " ".join(getattr(error, "__notes__", []))
        assert "could not be recorded" in notes or "cannot be reached" in error.message, error.message
    else:
        (record,) = records
        assert record == last == ("failed", error.message)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("moment", MOMENTS[1:])
def test_sync_killed_leaves_old_or_new_and_the_next_completes_it(
    scene: Scene, nursery: Nursery, monkeypatch: pytest.MonkeyPatch, moment: str, scenario: str
) -> None:
    size = SIZES[scenario]
    monkeypatch.setattr(extract, "BATCH_ROWS", size)
    count = blocks(scene, scenario)
    holds, target = scene.start(scenario)
    striker = Striker(moment, count, lambda: None)
    known = len(scene.runs())
    nursery.kill_at(
        Order(scene.lake, scene.declaration, striker.step, striker.nth, scenario == "merge", size)
    )
    assert scene.check(holds, target) == (target if moment == "committed" else holds)
    records = [status for _, status, _ in scene.runs()[known:]]
    assert records == (["success"] if moment == "committed" else [])
    scene.sync()
    scene.check_no_session_is_left()
    assert scene.check(target) == target
    records = scene.runs()[known:]
    assert [status for _, status, _ in records] == (
        ["success", "success"] if moment == "committed" else ["failed", "success"]
    )
    assert moment == "committed" or "killed" in records[0][2]  # told by the run that came after


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_sync_cut_off_in_its_commit_says_what_became_of_it(
    server: Server, scene: Scene, when: Literal["before", "after"], scenario: str
) -> None:
    """The answer to COMMIT is lost: only Postgres can say whether it was done, and is asked."""
    for _ in range(REPEATS):
        holds, target = scene.start(scenario)
        known = {number for number, *_ in scene.runs()}
        cuts = server.postgres.commits_cut

        def arm() -> None:
            server.postgres.commit = when

        striker = Striker("before commit", 0, arm)
        error = None
        try:
            scene.sync(server.through, full=scenario == "merge", checkpoint=striker)
        except PenstockError as raised:
            error = raised
        assert server.postgres.commits_cut == cuts + 1
        assert scene.check(holds, target) == (target if when == "after" else holds)
        assert (error is None) == (when == "after")
        check_record(scene, known, error)
        scene.check_no_session_is_left()
        scene.sync()
        assert scene.check(target) == target


# -- disk full -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_disk(server: Server) -> Iterator[Path]:
    """A file system of its own for the table and the staging of the matrix: only root may mount one."""
    folder = server.stack.folder.parent / "disk"
    folder.mkdir()
    size = f"size={TMPFS_MEGABYTES}m"
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], capture_output=True, check=False
        ).returncode
    )
    if not mounted:
        pytest.skip("a full disk needs a file system of its own, which only root may mount (Linux)")
    try:
        space = folder / "space"
        space.mkdir()
        owner = accounts.unprivileged()
        if owner:
            os.chown(space, owner.uid, owner.gid)
        with psycopg.connect(server.direct.database_url, autocommit=True) as connection:
            name = connection.info.dbname
            for statement in (
                f"create tablespace small_disk location '{space}'",
                f"alter database {name} set default_tablespace = small_disk",
                f"alter database {name} set temp_tablespaces = small_disk",
            ):
                connection.execute(statement.encode())
            yield folder
            (folder / "filler").unlink(missing_ok=True)
            for statement in (
                f"alter database {name} reset default_tablespace",
                f"alter database {name} reset temp_tablespaces",
                "set client_min_messages to warning",
                "drop schema if exists penstock cascade",
                "drop table if exists forecast_data, forecast_sync_status",
                "drop tablespace small_disk",
            ):
                connection.execute(statement.encode())
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Take all the space there is left."""
    with suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(b"x" * 4096)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("moment", MOMENTS[1:])
def test_sync_on_a_full_disk_leaves_old_or_new_and_the_next_completes_it(
    server: Server,
    scene: Scene,
    small_disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    scenario: str,
) -> None:
    fault = Fault("disk full", lambda _: fill(small_disk), lambda _: (small_disk / "filler").unlink(True))
    monkeypatch.setattr(extract, "BATCH_ROWS", SIZES[scenario])
    count = blocks(scene, scenario)
    states = scene.start(scenario)
    striker = Striker(moment, count, lambda: fault.arm(server))
    error = run_struck(server, scene, fault, striker, scenario, states)
    if moment == "planned":  # there is no page for the first row
        assert error is not None
        assert "No space left on device" in error.message


# -- the lake moves on ---------------------------------------------------------------------------------------------------

PLANNING = ("glue", "metadata", "manifest list", "manifest")


def replaced(scene: Scene) -> None:
    """Another build commits; all files stay."""
    scene.commit_third()


def expired(scene: Scene) -> None:
    """Another build commits, the older snapshots are expired and their files deleted, as VACUUM does."""
    gone = scene.commit_third()
    for snapshot in list(scene.snapshots.values())[:2]:
        scene.writer.expire(snapshot)
    for location in gone:
        scene.delete_object(location)


def dropped(scene: Scene) -> None:
    """The table is dropped with all its files."""
    scene.drop()


@pytest.mark.parametrize(
    ("moment", "scenario"),
    [
        *((moment, scenario) for moment in (*PLANNING, *EARLY[1:]) for scenario in SCENARIOS),
        *((moment, SCENARIOS[i % len(SCENARIOS)]) for i, moment in enumerate(LATE)),  # all is read by then
    ],
)
@pytest.mark.parametrize("change", [replaced, expired, dropped])
def test_sync_of_a_lake_that_moves_on_leaves_a_whole_snapshot_and_the_next_is_the_newest(
    server: Server,
    scene: Scene,
    lake_writer_class: type[Any],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Scene], None],
    moment: str,
    scenario: str,
) -> None:
    monkeypatch.setattr(extract, "BATCH_ROWS", BATCH_ROWS)
    with closing(scene.elsewhere(lake_writer_class, f"marts_{next(_numbers)}")) as own:
        lake_moves_on(server, own, change, moment, scenario)
        if change is dropped:
            own.writer = lake_writer_class(server.direct, own.declaration.lake_database, "fct_forecast")
            own.commit_third()
        own.sync()
        assert own.check("third") == "third"


def lake_moves_on(
    server: Server, scene: Scene, change: Callable[[Scene], None], moment: str, scenario: str
) -> None:
    holds, target = scene.start(scenario)
    known = {number for number, *_ in scene.runs()}
    once = threading.Lock()

    def strike() -> None:
        if once.acquire(blocking=False):
            striker.struck = True
            change(scene)

    striker = Striker(moment, 2, strike)

    def rule(request: Request) -> Damage:
        if request.kind == moment:
            strike()
        return ""

    server.s3.break_by(rule)
    error: PenstockError | None = None
    try:
        scene.sync(server.through, full=scenario == "merge", checkpoint=striker)
    except PenstockError as raised:
        error = raised
    finally:
        server.s3.break_by(None)
    assert striker.struck, f"the sync never came to its moment, but to {striker.seen}"
    found = scene.check(*dict.fromkeys((holds, target, *scene.states)))
    assert (error is None) == (found != holds), str(error)
    if error is not None:
        assert scene.declaration.lake in error.message or "s3://" in error.message
    check_record(scene, known, error)
    scene.check_no_session_is_left()
