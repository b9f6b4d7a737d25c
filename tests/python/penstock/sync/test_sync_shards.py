"""Shards: whatever their order, number of tries and ends, Postgres comes to equal one snapshot of the lake, exactly."""

from __future__ import annotations

import itertools
import pickle
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from penstock.connections import Connections
from penstock.errors import PlanError, SettingsError, SyncBusyError, SyncError
from penstock.sync.declaration import Declaration, Index
from penstock.sync.partitions import Bounds
from penstock.sync.plan import Plan
from penstock.sync.postgres import Limits
from penstock.sync.report import SyncReport
from penstock.sync.rounds import Shard
from penstock.sync.run import sync
from penstock.sync.shards import dealt

FIELDS = [("item", "int"), ("day", "date"), ("value", "double")]
MONTHS = 6
Row = tuple[int, date, float]


def month(number: int, value: float = 1.0, rows: int = 40) -> list[Row]:
    first = date(2025, number, 1)
    return [(i, first + timedelta(i % 28), value) for i in range(rows)]


class Mart:
    """A lake table by month and its Postgres table. `months` is what the lake holds; `change` commits other rows."""

    def __init__(self, lake: Connections, database: str, writer: Any, partition: str = "month") -> None:
        self.lake = lake
        self.writer = writer(lake, database, "mart", fields=FIELDS, partition_by=("day", partition))
        self.declared = Declaration(
            "mart",
            database,
            "mart",
            "mart",
            ("item", "day"),
            columns={"value": "decimal(10,2)"},
            indexes=(Index(("day",)),),
        )
        self.months: dict[int, list[Row]] = {}
        self.files: dict[int, str] = {}
        self.history: dict[int, tuple[dict[int, list[Row]], dict[int, str]]] = {}

    def change(self, months: dict[int, list[Row]]) -> int:
        """Replace these months by other rows (none: the month goes) in one commit."""
        gone = [self.files.pop(number) for number in months if number in self.files]
        for number, rows in months.items():
            if rows:
                values = [{"item": item, "day": day, "value": value} for item, day, value in rows]
                self.files[number] = self.writer.add(values, (2025 - 1970) * 12 + number - 1)
        self.months = {number: rows for number, rows in (self.months | months).items() if rows}
        snapshot = int(self.writer.commit(remove=gone))
        self.history[snapshot] = (dict(self.months), dict(self.files))
        return snapshot

    def rollback(self, snapshot: int) -> None:
        self.writer.rollback(snapshot)
        self.months, self.files = (dict(part) for part in self.history[snapshot])

    def expected(self) -> list[Row]:
        return sorted(itertools.chain.from_iterable(self.months.values()))

    def query(self, statement: str) -> list[Any]:
        with psycopg.connect(self.lake.database_url) as connection:
            return connection.execute(statement.encode()).fetchall()

    def query_and_commit(self, statement: str) -> None:
        with psycopg.connect(self.lake.database_url) as connection:
            connection.execute(statement.encode())

    def held(self) -> list[Row]:
        return self.query("select item, day, value::float8 from mart order by 1, 2, 3")

    def snapshot(self) -> int | None:
        """The snapshot committed; None when there is none."""
        rows = self.query("select snapshot_id from penstock.sync_state")
        return rows[0][0] if rows else None

    def shard(self, number: int, of: int = 3, **options: Any) -> SyncReport:
        (report,) = sync(self.lake, [self.declared], shard=Shard(number, of), **options)
        return report

    def sync(self, **options: Any) -> SyncReport:
        (report,) = sync(self.lake, [self.declared], **options)
        return report

    def no_round_is_left(self) -> bool:
        left = (
            "select (select count(*) from penstock.sync_rounds), (select count(*) from penstock.sync_shards)"
        )
        return self.query(left) == [(0, 0)]


@pytest.fixture
def mart(lake: Connections, database: str, lake_writer: Any) -> Mart:
    """A mart of six months in the lake, nothing of it in Postgres."""
    made = Mart(lake, database, lake_writer)
    made.change({number: month(number) for number in range(1, MONTHS + 1)})
    return made


@pytest.fixture
def synced(mart: Mart) -> Mart:
    """The same, synced; then five of its months changed in the lake: rows, a month less, a month more."""
    mart.sync()
    mart.change(
        {
            1: month(1, 2.0),
            2: month(2, 1.0, rows=30),
            3: [],
            4: month(4, 3.0, rows=50),
            7: month(7),
        }
    )
    return mart


# In a process of its own: one shard, stopped at a step to be killed, or not.
PROCESS = """
import pickle, sys, time
from penstock.sync.rounds import Shard
from penstock.sync.run import sync

connections, declared, number, of, step = pickle.load(sys.stdin.buffer)

def checkpoint(name):
    if name == step:
        print("reached", flush=True)
        time.sleep(60)

(report,) = sync(connections, [declared], shard=Shard(number, of), checkpoint=checkpoint)
print(report.mode, report.inserted, flush=True)
"""


def start(mart: Mart, number: int, of: int, step: str = "") -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", PROCESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(pickle.dumps((mart.lake, mart.declared, number, of, step)))
    process.stdin.close()
    process.stdin = None
    return process


@pytest.mark.stack
def test_shards_in_processes_of_their_own_load_a_table_together(mart: Mart) -> None:
    processes = [start(mart, number, 3) for number in (1, 2, 3)]
    said = [process.communicate(timeout=120)[0].decode().split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sum(int(words[1]) for words in said) == len(mart.expected())
    assert mart.held() == mart.expected()
    assert mart.snapshot() == mart.writer.metadata["current-snapshot-id"]
    assert mart.no_round_is_left()
    indexes = mart.query("select indexdef from pg_indexes where tablename = 'mart'")
    assert len(indexes) == 3, "primary key, key, and the one declared"
    assert mart.sync().mode == "nothing"
    assert mart.sync(full=True).inserted == 0


@pytest.mark.stack
@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_shards_one_after_another_apply_a_change_and_the_last_commits_it(
    synced: Mart, order: tuple[int, ...]
) -> None:
    before = dict(synced.query("select (item, day)::text, updated_at from mart where value = 1"))
    reports = []
    for number in order:
        assert synced.snapshot() == (
            None if reports else synced.writer.metadata["snapshots"][0]["snapshot-id"]
        )
        reports.append(synced.shard(number))
    assert synced.held() == synced.expected()
    assert synced.snapshot() == synced.writer.metadata["current-snapshot-id"]
    assert synced.no_round_is_left()
    partitions = sorted(itertools.chain.from_iterable(report.partitions for report in reports))
    assert partitions == ["2025-01", "2025-02", "2025-03", "2025-04", "2025-07"], "each once"
    assert [report.path for report in reports] == ["delta"] * 3
    assert "2 of 3 shards are done" in reports[1].reason
    after = dict(synced.query("select (item, day)::text, updated_at from mart where value = 1"))
    assert all(after[key] == before[key] for key in after.keys() & before.keys())
    assert synced.shard(order[0]).mode == "nothing"


@pytest.mark.stack
def test_shard_that_is_run_twice_does_nothing_the_second_time(synced: Mart) -> None:
    synced.shard(2)
    rows = "select xmin::text, ctid::text, * from mart order by id"
    once = synced.query(rows)
    again = synced.shard(2)
    assert (again.mode, again.reason) == ("nothing", "shard 2 of 3 is done; 1 of 3 shards are done")
    assert synced.query(rows) == once
    synced.shard(1)
    synced.shard(3)
    assert synced.held() == synced.expected()


@pytest.mark.stack
def test_shards_of_a_round_sync_the_version_it_began_with(synced: Mart) -> None:
    synced.shard(1)
    pinned, rows = synced.writer.metadata["current-snapshot-id"], synced.expected()
    synced.change({1: month(1, 9.0), 4: month(4, 9.0), 5: month(5, 9.0)})
    synced.shard(2)
    synced.shard(3)
    assert (synced.snapshot(), synced.held()) == (pinned, rows)
    for number in (1, 2, 3):
        synced.shard(number)
    assert synced.snapshot() == synced.writer.metadata["current-snapshot-id"]
    assert synced.held() == synced.expected()


@pytest.mark.stack
@pytest.mark.parametrize("step", ["copying", "applied", "before commit", "committed"])
@pytest.mark.parametrize("first_load", [True, False], ids=["load", "change"])
def test_shard_that_is_killed_and_run_again_completes_the_round(
    mart: Mart, step: str, first_load: bool
) -> None:
    if not first_load:
        mart.sync()
        mart.change({number: month(number, 2.0) for number in range(1, MONTHS + 1)})
    mart.shard(1)
    victim = start(mart, 2, 3, step)
    try:
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"reached\n"
    finally:
        victim.kill()
        victim.communicate()
    mart.shard(3)
    assert mart.snapshot() == (mart.writer.metadata["current-snapshot-id"] if step == "committed" else None)
    mart.shard(2)
    assert mart.snapshot() == mart.writer.metadata["current-snapshot-id"]
    assert mart.held() == mart.expected()
    assert mart.no_round_is_left()


@pytest.mark.stack
def test_shards_of_another_number_are_refused_while_a_round_is_open(synced: Mart) -> None:
    synced.shard(1, 3)
    with pytest.raises(PlanError, match="in 3 shards, of which 1 are done; this one is 2 of 4") as caught:
        synced.shard(2, 4)
    assert "invoke sync" in caught.value.hint
    synced.shard(2, 3)
    synced.shard(3, 3)
    assert synced.held() == synced.expected()


@pytest.mark.stack
def test_shard_that_is_at_work_is_not_begun_a_second_time(mart: Mart) -> None:
    second: list[BaseException] = []

    def checkpoint(name: str) -> None:
        if name == "applied" and not second:
            with pytest.raises(SyncBusyError, match="mart shard 1 is being synced by") as caught:
                mart.shard(1, limits=Limits(busy_seconds=0.2))
            second.append(caught.value)

    mart.shard(1, checkpoint=checkpoint)
    assert second
    mart.shard(2)
    mart.shard(3)
    assert mart.held() == mart.expected()


@pytest.mark.stack
def test_shards_at_work_keep_an_unsharded_sync_out(mart: Mart) -> None:
    met: list[str] = []

    def checkpoint(name: str) -> None:
        if name == "applied":
            with pytest.raises(SyncBusyError) as caught:
                mart.sync(limits=Limits(busy_seconds=0.2))
            met.append(caught.value.message)

    mart.shard(1, checkpoint=checkpoint)
    assert len(met) == 1


@pytest.mark.stack
def test_sync_after_half_the_shards_takes_over_even_where_the_lake_went_back(synced: Mart) -> None:
    """The lake is again what was committed before the round; what a shard wrote must go."""
    old = synced.writer.metadata["snapshots"][0]["snapshot-id"]
    rows = sorted(itertools.chain.from_iterable(month(number) for number in range(1, MONTHS + 1)))
    synced.shard(1)
    synced.shard(2)
    synced.writer.rollback(old)
    report = synced.sync()
    assert (report.mode, synced.snapshot()) == ("everything", old)
    assert synced.held() == rows
    assert synced.no_round_is_left()


@pytest.mark.stack
def test_sync_of_a_round_in_which_nothing_was_written_goes_on_from_the_committed_state(synced: Mart) -> None:
    victim = start(synced, 1, 3, "planned")
    try:
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"reached\n"
    finally:
        victim.kill()
        victim.communicate()
    assert synced.snapshot() is None
    report = synced.sync()
    assert (report.mode, report.path) == ("changes", "delta")
    assert synced.held() == synced.expected()
    assert synced.no_round_is_left()


@pytest.mark.stack
@pytest.mark.parametrize("done", [(), (1,), (1, 2)])
def test_sync_after_shards_of_a_first_load_begins_it_anew(mart: Mart, done: tuple[int, ...]) -> None:
    for number in done:
        mart.shard(number)
    report = mart.sync()
    assert (report.mode, report.inserted) == ("load", len(mart.expected()))
    assert mart.held() == mart.expected()
    assert mart.no_round_is_left()


@pytest.mark.stack
@pytest.mark.parametrize("first_load", [True, False], ids=["load", "change"])
def test_shards_of_a_version_that_expired_begin_anew_with_the_current_one(
    mart: Mart, first_load: bool
) -> None:
    if not first_load:
        mart.sync()
        mart.change({number: month(number, 2.0) for number in range(1, MONTHS + 1)})
    mart.shard(1)
    pinned = list(mart.files.values())
    mart.change({number: month(number, 3.0) for number in range(1, MONTHS + 1)})
    for location in pinned:
        bucket, _, key = location.removeprefix("s3://").partition("/")
        mart.lake.client("s3").delete_object(Bucket=bucket, Key=key)
    mart.shard(2)
    assert mart.snapshot() is None
    mart.shard(1)
    mart.shard(3)
    assert mart.snapshot() == mart.writer.metadata["current-snapshot-id"]
    assert mart.held() == mart.expected()


@pytest.mark.stack
def test_shards_that_failed_begin_anew_once_the_lake_is_mended(mart: Mart) -> None:
    mart.change({2: month(2, 1e9)})  # does not fit decimal(10,2)
    failed = []
    for number in (1, 2, 3):
        try:
            mart.shard(number)
        except SyncError as error:
            failed.append((number, error.message))
    assert len(failed) == 1
    assert "does not fit" in failed[0][1]
    with pytest.raises(SyncError, match="does not fit"):  # the same lake, the same end
        mart.shard(failed[0][0])
    mart.change({2: month(2, 5.0)})
    for number in (1, 2, 3):
        mart.shard(number)
    assert mart.held() == mart.expected()
    assert mart.snapshot() == mart.writer.metadata["current-snapshot-id"]


@pytest.mark.stack
def test_shards_of_a_first_load_with_a_double_key_name_it_and_recover(mart: Mart) -> None:
    mart.change({2: [*month(2), month(2)[0]]})
    mart.shard(1)
    mart.shard(2)
    with pytest.raises(SyncError, match=r"\(item, day\) is not unique"):
        mart.shard(3)
    mart.change({2: month(2)})
    for number in (3, 2, 1):
        mart.shard(number)
    assert mart.held() == mart.expected()


@pytest.mark.stack
def test_shards_of_a_table_whose_state_was_lost_compare_everything_and_delete_what_the_lake_lacks(
    synced: Mart,
) -> None:
    with psycopg.connect(synced.lake.database_url) as connection:
        connection.execute("delete from penstock.sync_state")
        connection.execute("insert into mart (item, day, value) values (1, '2031-05-05', 7)")
        connection.execute("update mart set value = 8 where day = '2025-05-01'")
    reports = [synced.shard(number) for number in (1, 2, 3)]
    assert {report.mode for report in reports} == {"everything"}
    assert synced.held() == synced.expected()
    assert synced.snapshot() == synced.writer.metadata["current-snapshot-id"]


@pytest.mark.stack
def test_shards_of_a_table_whose_rows_may_move_leave_it_to_the_first(
    lake: Connections, database: str, lake_writer: Any
) -> None:
    mart = Mart(lake, database, lake_writer)
    mart.declared = replace(mart.declared, key=("item",))
    mart.change({number: [(number * 100 + i, day, v) for i, day, v in month(number)] for number in (1, 2, 3)})
    later = mart.shard(2)
    assert (later.mode, later.reason) == ("nothing", "the work cannot be shared out: shard 1 does it")
    assert mart.shard(1).inserted == len(mart.expected())
    assert mart.shard(3).reason == "the lake table is as it was"
    assert mart.held() == mart.expected()


@pytest.mark.stack
def test_shards_with_a_new_column_add_it_once(synced: Mart) -> None:
    synced.writer.evolve(add=[("extra", "int")])
    reports = [synced.shard(number) for number in (2, 1, 3)]
    assert [bool(report.schema_changes) for report in reports] == [True, False, False]
    assert synced.held() == synced.expected()
    assert synced.query("select count(extra) from mart") == [(0,)]


@pytest.mark.stack
def test_shards_leave_what_is_long_to_build_to_the_last(synced: Mart) -> None:
    with psycopg.connect(synced.lake.database_url) as connection:
        connection.execute("drop index mart_day_idx")
    found = []
    for number in (1, 2, 3):
        synced.shard(number)
        found.append(synced.query("select to_regclass('mart_day_idx') is not null")[0][0])
    assert found == [False, False, True]
    assert synced.held() == synced.expected()


@pytest.mark.stack
def test_shards_at_once_in_threads_many_times_over_come_to_the_lake(mart: Mart) -> None:
    """Rounds of random changes; of each, three shards at once, two of them twice."""
    for round_ in range(4):
        mart.change(
            {
                number: month(number, 10.0 * round_ + number, rows=20 + 7 * (round_ + number) % 30)
                for number in range(1, MONTHS + 1)
                if (number + round_) % 3
            }
        )
        errors: list[BaseException] = []

        def run(number: int, errors: list[BaseException] = errors) -> None:
            try:
                mart.shard(number, limits=Limits(busy_seconds=30))
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=run, args=(number,)) for number in (1, 2, 3, 2, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        assert mart.snapshot() == mart.writer.metadata["current-snapshot-id"]
        assert mart.held() == mart.expected()
        assert mart.no_round_is_left()


class CrashError(Exception):
    """The end of a shard somewhere on its way."""


STEPS = ("planned", "copying", "copied", "applied", "verified", "before commit")


@pytest.mark.stack
@pytest.mark.parametrize("seed", range(3))
def test_shards_syncs_crashes_and_changes_in_any_order_come_to_the_lake(mart: Mart, seed: int) -> None:
    """Whenever there is a committed snapshot, the table is that snapshot; in the end it is the lake's."""
    chance = random.Random(seed)

    def change() -> None:
        months = chance.sample(range(1, 9), chance.randint(1, 4))
        kept = {number: chance.random() < 0.8 for number in months}
        mart.change(
            {
                number: month(number, chance.randint(1, 5), rows=chance.randint(1, 30))
                if kept[number]
                else []
                for number in months
            }
        )

    def crash() -> None:
        step = chance.choice(STEPS)

        def checkpoint(name: str) -> None:
            if name == step:
                raise CrashError(name)

        with suppress(CrashError):
            mart.shard(chance.randint(1, 3), checkpoint=checkpoint)

    def back() -> None:
        mart.rollback(chance.choice(list(mart.history)))

    def one_shard() -> None:
        mart.shard(chance.randint(1, 3))

    def unsharded() -> None:
        mart.sync()

    def lose_state() -> None:
        mart.query_and_commit("delete from penstock.sync_state")

    moves = [change, change, crash, crash, back, unsharded, lose_state] + [one_shard] * 7
    mart.sync()
    for _ in range(40):
        chance.choice(moves)()
        snapshot = mart.snapshot()
        if snapshot is not None:
            months, _files = mart.history[snapshot]
            assert mart.held() == sorted(itertools.chain.from_iterable(months.values()))
    for number in (1, 2, 3) * 3:  # what is left of a round, and two more: one may be given up on the way
        mart.shard(number)
    assert mart.snapshot() == mart.writer.metadata["current-snapshot-id"]
    assert mart.held() == mart.expected()
    assert mart.no_round_is_left()


def test_dealt_gives_every_region_to_one_shard_and_each_about_as_many_rows() -> None:
    def read(region: int, rows: int) -> Any:
        return SimpleNamespace(region=(region,), file=SimpleNamespace(rows=rows))

    rows = [900, 800, 300, 300, 250, 250, 100, 100, 0, 0]
    reads: Any = tuple(read(region, count) for region, count in enumerate(rows))
    key: Callable[[Any], str] = str
    bounds: Any = SimpleNamespace(key=key)
    work = Plan("load", "", bounds=bounds, scope=None, reads=reads, slow="first load")
    shares = dealt(work, {(region,) for region in range(10)}, 3)
    assert sorted(itertools.chain.from_iterable(shares)) == [(region,) for region in range(10)]
    loads = [sum(rows[region] for (region,) in share) for share in shares]
    assert max(loads) <= 1.1 * sum(rows) / 3
    assert dealt(Plan("load", "", bounds=Bounds(), slow="x"), {()}, 2) == [{()}, set()]


@pytest.mark.parametrize(("text", "shard"), [("1/1", (1, 1)), ("2/4", (2, 4)), (" 10/10 ", (10, 10))])
def test_shard_parse(text: str, shard: tuple[int, int]) -> None:
    assert Shard.parse(text) == Shard(*shard)


@pytest.mark.parametrize("text", ["", "2", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "1/1001"])
def test_shard_parse_refuses(text: str) -> None:
    with pytest.raises(SettingsError, match="is no shard") as caught:
        Shard.parse(text)
    assert "AWS_BATCH_JOB_ARRAY_INDEX" in caught.value.hint


def test_shard_of_a_full_sync_is_refused() -> None:
    with pytest.raises(SettingsError, match="for one process"):
        sync(Connections(None, "us-east-2"), [], shard=Shard(1, 2), full=True)  # type: ignore[arg-type]
