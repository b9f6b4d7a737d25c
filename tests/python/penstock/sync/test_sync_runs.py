"""What is kept of each run: failed ones with the next step, killed ones too, those that found nothing in one row."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from datetime import date
from typing import Any

import psycopg
import pytest

from penstock.connections import Connections
from penstock.errors import SyncError
from penstock.sync.declaration import Declaration
from penstock.sync.postgres import Limits
from penstock.sync.report import SyncReport, ago, counted
from penstock.sync.rounds import Shard
from penstock.sync.run import sync
from penstock.sync.runs import PRUNED_AT_ONCE

pytestmark = pytest.mark.stack

JANUARY, FEBRUARY = (2025 - 1970) * 12, (2025 - 1970) * 12 + 1


def rows(count: int = 10, *, month: int = 1, y_50: float = 1.5) -> list[dict[str, Any]]:
    return [
        {
            "restaurant_id": i,
            "inventory_item_id": 7,
            "business_date": date(2025, month, 1 + i % 28),
            "state": "CA",
            "y_50": y_50,
        }
        for i in range(count)
    ]


def query(lake: Connections, statement: str) -> list[Any]:
    with psycopg.connect(lake.database_url) as connection:
        return connection.execute(statement.encode()).fetchall()


def execute(lake: Connections, *statements: str) -> None:
    with psycopg.connect(lake.database_url) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def run(lake: Connections, declared: Declaration, **options: Any) -> SyncReport:
    (report,) = sync(lake, [declared], **options)
    return report


def failed_run(lake: Connections, declared: Declaration) -> SyncError:
    with pytest.raises(SyncError) as caught:
        run(lake, declared)
    return caught.value


# -- failed runs ---------------------------------------------------------------------------------------------------------


def test_failed_run_keeps_error_next_step_and_where_it_stopped(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(), JANUARY)
    forecast.commit()
    run(lake, declared)
    execute(lake, "alter table forecast_data add constraint cheap check (y_50 < 100)")
    forecast.add(rows(1, month=2, y_50=100.5), FEBRUARY)
    snapshot = forecast.commit()

    error = failed_run(lake, declared)

    assert query(
        lake,
        "select status, step, error, hint, snapshot_id, inserted, updated, deleted, partitions, bytes_read > 0"
        " from penstock.sync_runs where status = 'failed'",
    ) == [("failed", "merge", error.message, error.hint, snapshot, 0, 0, 0, 1, True)]
    assert "a data test would have stopped the build, or the constraint on public.forecast_data" in error.hint
    assert query(lake, "select error_message from forecast_sync_status where status = 'failed'") == [
        (error.message,)
    ]
    assert query(lake, "select count(*) from penstock.sync_attempts") == [(0,)]


def test_successful_run_names_no_step_it_stopped_at(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(), JANUARY)
    forecast.commit()
    report = run(lake, declared)
    assert report.rows_written == 10
    assert query(lake, "select status, step, error, hint, runs from penstock.sync_runs") == [
        ("success", None, None, None, 1)
    ]
    assert query(lake, "select count(*) from penstock.sync_attempts") == [(0,)]


@pytest.mark.parametrize(
    ("change", "said", "hint"),
    [
        (
            "alter table forecast_data add constraint one_state unique (state, business_date)",
            'partition 2025-02: duplicate key value violates unique constraint "one_state"',
            "or the constraint on public.forecast_data",
        ),
        (
            "create table states (state varchar(2) primary key); insert into states values ('CA');"
            "alter table forecast_data add foreign key (state) references states",
            "Key (state)=(TX) is not present in table",
            "Mend the model fct_forecast",
        ),
        (
            "alter table forecast_data add column approved_by text; "
            "update forecast_data set approved_by = 'me'; alter table forecast_data alter approved_by set not null",
            "key restaurant_id=1, inventory_item_id=385, business_date=2025-02-02",
            "Mend the model fct_forecast",
        ),
        (
            "create function refuse() returns trigger language plpgsql as"
            " $$ begin raise exception 'no % here', new.state using detail = 'the detail'; end $$;"
            "create trigger refuse before insert on forecast_data for each row execute function refuse()",
            "no TX here; the detail",
            "A trigger of public.forecast_data refuses it",
        ),
    ],
    ids=["unique", "foreign key", "not null", "trigger"],
)
def test_what_a_constraint_refuses_is_named_with_row_and_next_step(
    lake: Connections, forecast: Any, declared: Declaration, change: str, said: str, hint: str
) -> None:
    forecast.add(rows(), JANUARY)
    forecast.commit()
    run(lake, declared)
    execute(lake, change)
    found = {"business_date": date(2025, 2, 2), "state": "TX", "inventory_item_id": 385}
    forecast.add([row | found | {"restaurant_id": 1 + i} for i, row in enumerate(rows(2))], FEBRUARY)
    forecast.commit()

    error = failed_run(lake, declared)

    assert error.message.startswith("public.forecast_data partition 2025-02: ")
    assert said in error.message
    assert "Nothing was changed." in error.message
    assert hint in error.hint
    assert query(lake, "select count(*) from forecast_data") == [(10,)]


@pytest.mark.parametrize(
    ("change", "bad"),
    [
        ("alter table forecast_data add constraint cheap check (y_50 < 100)", {"y_50": 100.5}),
        (
            "create table states (state varchar(2) primary key); insert into states values ('CA');"
            "alter table forecast_data add foreign key (state) references states",
            {"state": "TX"},
        ),
        (
            "create unique index one on forecast_data (dma_id, dc_id)",
            {"dma_id": "D1", "dc_id": 1},
        ),
        ("create unique index one on forecast_data (dc_id)", {"dc_id": 777}),
    ],
    ids=["check", "foreign key", "unique among the new", "unique with the old"],
)
def test_row_at_fault_is_named_among_several_partitions(
    lake: Connections, forecast: Any, declared: Declaration, change: str, bad: dict[str, Any]
) -> None:
    def found(month: int, *others: dict[str, Any]) -> list[dict[str, Any]]:
        """Rows of a month, of which the last ones are given."""
        good = [row | {"dc_id": month * 100 + i} for i, row in enumerate(rows(3, month=month))]
        return [*good, *(good[0] | {"restaurant_id": 50 + i} | other for i, other in enumerate(others))]

    forecast.add(found(1, {"dc_id": 777}), JANUARY)
    forecast.commit()
    run(lake, declared)
    execute(lake, change)
    forecast.add(found(2), FEBRUARY)
    # twice, for two of them break a uniqueness that one keeps
    forecast.add(found(3, bad, bad), FEBRUARY + 1)
    forecast.commit()

    error = failed_run(lake, declared)

    culprit = "key restaurant_id=50, inventory_item_id=7, business_date=2025-03-01 (partition 2025-03)"
    assert error.message.startswith("public.forecast_data: ")
    assert culprit in error.message
    assert query(lake, "select count(*) from forecast_data") == [(4,)]


def test_changes_of_shape_have_a_record_of_their_own(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    """Though the lake held nothing new, before and after."""
    forecast.add(rows(), JANUARY)
    forecast.commit()
    bare = replace(declared, indexes=())
    run(lake, bare)
    run(lake, bare)
    report = run(lake, declared)
    run(lake, declared)
    assert report.schema_changes
    assert query(lake, "select mode, schema_changes from penstock.sync_runs order by id") == [
        ("load", []),
        ("nothing", []),
        ("nothing", report.schema_changes),
        ("nothing", []),
    ]


def test_what_the_role_may_not_do_is_named_with_the_next_step(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(), JANUARY)
    forecast.commit()
    run(lake, declared)
    execute(
        lake,
        "create function deny() returns trigger language plpgsql as"
        " $$ begin raise insufficient_privilege using message = 'permission denied for table forecast_data'; end $$",
        "create trigger deny before insert on forecast_data for each statement execute function deny()",
    )
    forecast.add(rows(1, month=2), FEBRUARY)
    forecast.commit()
    error = failed_run(lake, declared)
    assert "permission denied for table forecast_data" in error.message
    assert error.hint.startswith("Grant it to the role in DATABASE_URL")


# -- killed runs ---------------------------------------------------------------------------------------------------------

VICTIM = """
import pickle, sys, time
from penstock.sync.run import sync

connections, declared = pickle.load(sys.stdin.buffer)

def checkpoint(name):
    if name == "copied":
        print("reached", flush=True)
        time.sleep(60)

sync(connections, [declared], checkpoint=checkpoint)
"""


def killed(lake: Connections, declared: Declaration) -> int:
    """Sync in a process of its own up to the copy, and kill it there; returns its id."""
    with subprocess.Popen(
        [sys.executable, "-c", VICTIM], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(pickle.dumps((lake, declared)))
            process.stdin.close()
            assert process.stdout.readline() == b"reached\n"
        finally:
            process.kill()
    return process.pid


def test_killed_run_is_recorded_by_the_next_one(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(), JANUARY)
    forecast.commit()
    process = killed(lake, declared)
    assert query(lake, "select process from penstock.sync_attempts") == [(process,)]

    run(lake, declared)

    found = query(lake, "select status, mode, error, hint from penstock.sync_runs order by id")
    assert [row[:2] for row in found] == [("failed", "unknown"), ("success", "load")]
    assert f"(process {process}) ended without a record" in found[0][2]
    assert "Nothing of it was applied" in found[0][2]
    assert found[0][3]
    assert query(lake, "select status from forecast_sync_status order by id") == [("failed",), ("success",)]
    assert query(lake, "select count(*) from penstock.sync_attempts") == [(0,)]


def test_run_at_work_is_not_taken_for_killed(lake: Connections, forecast: Any, declared: Declaration) -> None:
    """Another table's run passes meanwhile, and a run of the same table that must wait for the lock."""
    forecast.add(rows(), JANUARY)
    forecast.commit()
    other = replace(declared, table="other_data", indexes=())

    def checkpoint(name: str) -> None:
        if name == "copied":
            sync(lake, [other])
            with pytest.raises(SyncError, match="is being synced by"):
                sync(lake, [declared], limits=Limits(busy_seconds=0.2))
            assert query(lake, "select target from penstock.sync_attempts") == [("public.forecast_data",)]

    run(lake, declared, checkpoint=checkpoint)
    assert query(lake, "select target, status from penstock.sync_runs order by id") == [
        ("public.other_data", "success"),
        ("public.forecast_data", "success"),
    ]


# -- runs that find nothing ----------------------------------------------------------------------------------------------


def test_runs_in_a_row_that_find_nothing_share_a_record(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(), JANUARY)
    forecast.commit()
    run(lake, declared)
    run(lake, declared)
    times = "select last_sync_timestamp, created_at from forecast_sync_status where records_synced = 0"
    (before,) = query(lake, times)
    for _ in range(3):
        assert run(lake, declared).mode == "nothing"

    assert query(lake, "select mode, runs, finished_at > started_at from penstock.sync_runs order by id") == [
        ("load", 1, True),
        ("nothing", 4, True),
    ]
    assert query(lake, "select records_synced, status from forecast_sync_status order by id") == [
        (10, "success"),
        (0, "success"),
    ]
    (after,) = query(lake, times)
    assert after[0] > before[0]
    assert after[1] > before[1]


def test_run_that_finds_nothing_after_a_failure_has_a_record_of_its_own(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    """Or the failure would be the last thing known of the table."""
    forecast.add(rows(), JANUARY)
    first = forecast.commit()
    run(lake, declared)
    run(lake, declared)
    forecast.add([*rows(1, month=2), *rows(1, month=2)], FEBRUARY)
    forecast.commit()
    failed_run(lake, declared)
    forecast.rollback(first)
    run(lake, declared)
    run(lake, declared)

    assert query(lake, "select status, mode = 'nothing', runs from penstock.sync_runs order by id") == [
        ("success", False, 1),
        ("success", True, 1),
        ("failed", False, 1),
        ("success", True, 2),
    ]
    assert [status for (status,) in query(lake, "select status from forecast_sync_status order by id")] == [
        "success",
        "success",
        "failed",
        "success",
    ]


# -- retention -----------------------------------------------------------------------------------------------------------


def _aged(lake: Connections, days: int, count: int, target: str = "public.forecast_data") -> None:
    execute(
        lake,
        "insert into penstock.sync_runs (target, lake, status, mode, reason, started_at, finished_at)"
        f" select '{target}', 'l', 'failed', 'changes', 'old', now() - interval '{days} days',"
        f" now() - interval '{days} days' from generate_series(1, {count})",
    )


def test_old_records_are_pruned_but_not_the_one_the_state_refers_to(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(), JANUARY)
    forecast.commit()
    run(lake, declared)
    execute(lake, "update penstock.sync_runs set finished_at = now() - interval '400 days'")
    _aged(lake, 91, 5)
    _aged(lake, 91, 2, "public.other_data")
    _aged(lake, 89, 3)

    run(lake, declared, limits=Limits(keep_days=90))

    assert query(
        lake,
        "select target, reason, count(*) from penstock.sync_runs group by 1, 2 order by 1, 2",
    ) == [
        ("public.forecast_data", "old", 3),
        ("public.forecast_data", "the lake table is as it was", 1),
        ("public.forecast_data", "the table is not in Postgres", 1),
        ("public.other_data", "old", 2),
    ]
    assert query(
        lake, "select count(*) from penstock.sync_state as s join penstock.sync_runs as r on r.id = s.run_id"
    ) == [(1,)]


def test_old_record_of_the_state_that_a_round_of_shards_keeps_is_not_pruned(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(), JANUARY)
    forecast.commit()
    run(lake, declared)
    execute(lake, "update penstock.sync_runs set finished_at = now() - interval '400 days'")
    for month in (2, 3, 4, 5):
        forecast.add(rows(month=month), JANUARY + month - 1)
    forecast.commit()
    run(lake, declared, shard=Shard(1, 2), limits=Limits(keep_days=90))
    assert query(lake, "select count(*) from penstock.sync_state") == [(0,)]
    assert query(lake, "select mode from penstock.sync_runs order by id") == [("load",), ("changes",)]


def test_pruning_takes_a_few_at_a_time_and_catches_up(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(), JANUARY)
    forecast.commit()
    run(lake, declared)
    _aged(lake, 91, PRUNED_AT_ONCE + 5)
    old = "select count(*) from penstock.sync_runs where reason = 'old'"
    run(lake, declared)
    assert query(lake, old) == [(5,)]
    forecast.add(rows(1, month=2), FEBRUARY)
    forecast.commit()
    run(lake, declared)
    assert query(lake, old) == [(0,)]


def test_no_retention_keeps_everything(lake: Connections, forecast: Any, declared: Declaration) -> None:
    forecast.add(rows(), JANUARY)
    forecast.commit()
    run(lake, declared)
    _aged(lake, 4000, 3)
    run(lake, declared, limits=Limits(keep_days=0))
    assert query(lake, "select count(*) from penstock.sync_runs where reason = 'old'") == [(3,)]


# -- a database of an older version --------------------------------------------------------------------------------------


def test_tables_of_an_older_version_get_what_they_lack(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(), JANUARY)
    forecast.commit()
    run(lake, declared)
    execute(
        lake,
        "alter table penstock.sync_runs drop step, drop hint, drop unchanged, drop runs, drop schema_changes",
        "drop table penstock.sync_attempts, penstock.sync_notices",
    )
    forecast.add(rows(2, month=2), FEBRUARY)
    forecast.commit()
    run(lake, declared)
    run(lake, declared)
    assert query(lake, "select mode, inserted, runs, hint from penstock.sync_runs order by id") == [
        ("load", 10, 1, None),
        ("changes", 2, 1, None),
        ("nothing", 0, 1, None),
    ]


# -- words ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1_251_250, "1,251,250 rows")]
)
def test_counted(count: int, shown: str) -> None:
    assert counted(count, "row") == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (3600 * 5 + 125, "5 h 2 min"),
        (86400 * 3 + 3600 * 4 + 59, "3 d 4 h"),
        (86400, "1 d"),
    ],
)
def test_ago(seconds: float, shown: str) -> None:
    assert ago(seconds) == shown
