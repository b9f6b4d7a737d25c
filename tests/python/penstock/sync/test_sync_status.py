"""Where the tables stand and what their runs were, as a person and a program read it: before, during and after syncs."""

from __future__ import annotations

import json
import pickle
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sync_manifest import write_manifest

from penstock.commands import sync_runs
from penstock.connections import Connections
from penstock.errors import SettingsError, SyncError
from penstock.sync import status as module
from penstock.sync.declaration import Declaration
from penstock.sync.rounds import Shard
from penstock.sync.run import sync
from penstock.sync.status import TableStatus, history, snapshots_behind, statuses

pytestmark = pytest.mark.stack

JANUARY, FEBRUARY = (2025 - 1970) * 12, (2025 - 1970) * 12 + 1
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)


def rows(count: int = 10, *, month: int = 1) -> list[dict[str, Any]]:
    return [
        {
            "restaurant_id": i,
            "inventory_item_id": 7,
            "business_date": date(2025, month, 1),
            "state": "CA",
            "y_50": 1.5,
        }
        for i in range(count)
    ]


def execute(lake: Connections, *statements: str) -> None:
    with psycopg.connect(lake.database_url) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def aged(forecast: Any, *ages: timedelta) -> None:
    """Let the snapshots have been made so long before NOW, oldest first."""
    for snapshot, age in zip(forecast.metadata["snapshots"], ages, strict=True):
        snapshot["timestamp-ms"] = round((NOW - age).timestamp() * 1000)
    forecast.touch()


def standing(lake: Connections, declared: Declaration) -> TableStatus:
    (found,) = statuses(lake, [declared], now=NOW)
    return found


# -- where a table stands ------------------------------------------------------------------------------------------------


def test_status_of_a_database_never_synced_into(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(), JANUARY)
    snapshot = forecast.commit()
    aged(forecast, timedelta(hours=2))

    found = standing(lake, declared)

    assert (found.standing, found.committed_snapshot, found.lake_snapshot) == ("never synced", None, snapshot)
    assert (found.snapshots_behind, found.behind_seconds, found.rows) == (1, 7200, None)
    assert (found.last_run, found.last_success, found.last_failure, found.failing) == (
        None,
        None,
        None,
        False,
    )
    assert found.late(100_000)
    assert history(lake) is None


def test_status_after_a_sync_is_current_with_exact_rows(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(), JANUARY)
    snapshot = forecast.commit()
    sync(lake, [declared])

    found = standing(lake, declared)

    assert (found.standing, found.committed_snapshot, found.lake_snapshot) == ("current", snapshot, snapshot)
    assert (found.snapshots_behind, found.behind_seconds, found.rows, found.rows_exact) == (0, 0, 10, True)
    assert found.last_run == found.last_success
    assert found.last_run is not None
    assert (found.last_run.mode, found.last_run.inserted) == ("load", 10)
    assert not found.late(0)


def test_status_of_a_table_in_step_reads_no_file_of_the_lake(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(), JANUARY)
    forecast.commit()
    sync(lake, [declared])

    class WithoutS3(Connections):
        def client(self, service: str) -> Any:
            assert service != "s3"
            return super().client(service)

    assert standing(WithoutS3(**vars(lake)), declared).standing == "current"


def test_status_counts_from_the_snapshot_after_the_committed_one(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(), JANUARY)
    first = forecast.commit()
    sync(lake, [declared])
    for month, part in ((2, FEBRUARY), (3, FEBRUARY + 1)):
        forecast.add(rows(month=month), part)
        last = forecast.commit()
    aged(forecast, timedelta(days=9), timedelta(minutes=90), timedelta(minutes=5))

    found = standing(lake, declared)

    assert (found.standing, found.committed_snapshot, found.lake_snapshot) == ("behind", first, last)
    assert (found.snapshots_behind, found.behind_seconds, found.behind_at_least) == (2, 5400, False)
    assert found.late(89)
    assert not found.late(91)
    assert found.rows == 10


def test_status_of_a_new_version_with_the_same_snapshot_is_current(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(), JANUARY)
    forecast.commit()
    sync(lake, [declared])
    forecast.touch()
    assert standing(lake, declared).standing == "current"


def test_status_when_the_committed_snapshot_expired_is_a_lower_bound(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(), JANUARY)
    first = forecast.commit()
    sync(lake, [declared])
    forecast.add(rows(month=2), FEBRUARY)
    forecast.commit()
    aged(forecast, timedelta(days=9), timedelta(hours=1))
    forecast.expire(first)

    found = standing(lake, declared)
    assert (found.standing, found.behind_seconds, found.behind_at_least) == ("behind", 3600, True)


@pytest.mark.parametrize(
    ("log", "committed", "current", "found"),
    [
        ([], None, None, (0, 0, False)),
        ([(10, 1)], 1, 1, (0, 0, False)),
        ([(10, 1), (20, 2), (30, 3)], 1, 3, (2, 20, False)),
        ([(10, 1), (20, 2), (30, 1)], 2, 1, (1, 30, False)),
        ([(10, 1), (20, 2), (30, 1), (40, 3)], 1, 3, (1, 40, False)),
        ([(20, 2), (30, 3)], 1, 3, (2, 20, True)),
        ([(20, 2), (30, 3)], None, 3, (2, 20, False)),
    ],
    ids=["empty", "same", "two later", "rolled back", "there and back", "forgotten", "never synced"],
)
def test_snapshots_behind(
    log: list[tuple[int, int]], committed: int | None, current: int | None, found: tuple[int, int, bool]
) -> None:
    assert snapshots_behind(log, committed, current) == found


def test_status_when_the_declaration_changed_since(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(), JANUARY)
    forecast.commit()
    sync(lake, [declared])
    assert standing(lake, replace(declared, indexes=())).standing == "declaration changed"


def test_status_of_a_table_dropped_in_postgres_and_of_one_not_in_the_lake(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(), JANUARY)
    forecast.commit()
    sync(lake, [declared])
    execute(lake, "drop table forecast_data")
    gone, missing = statuses(
        lake, [declared, replace(declared, lake_table="nowhere", table="other")], now=NOW
    )
    assert (gone.standing, gone.rows, gone.late(10**9)) == ("gone", None, True)
    assert missing.standing == "not in the lake"
    assert "nowhere is not in the lake" in missing.problem
    assert missing.failing


def test_status_when_the_lakes_metadata_is_gone_is_unknown_and_says_why(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(), JANUARY)
    first = forecast.commit()
    sync(lake, [declared])
    forecast.add(rows(month=2), FEBRUARY)
    forecast.commit()
    location = lake.client("glue").get_table(DatabaseName=declared.lake_database, Name=declared.lake_table)[
        "Table"
    ]["Parameters"]["metadata_location"]
    bucket, _, key = location.removeprefix("s3://").partition("/")
    lake.client("s3").delete_object(Bucket=bucket, Key=key)

    found = standing(lake, declared)

    assert (found.standing, found.committed_snapshot, found.lake_snapshot) == ("unknown", first, None)
    assert key.rpartition("/")[2] in found.problem
    assert found.late(10**9)


def test_status_of_a_failing_table_says_since_when_and_what_next(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(), JANUARY)
    forecast.commit()
    sync(lake, [declared])
    forecast.add([*rows(1, month=2), *rows(1, month=2)], FEBRUARY)
    forecast.commit()
    for _ in range(2):
        with pytest.raises(SyncError) as caught:
            sync(lake, [declared])

    found = standing(lake, declared)

    assert found.failing
    assert found.last_run is not None
    assert found.last_success is not None
    assert found.last_failure == found.last_run
    assert (found.last_failure.error, found.last_failure.hint) == (caught.value.message, caught.value.hint)
    assert found.failing_since is not None
    assert found.last_success.finished_at < found.failing_since < found.last_run.finished_at


def test_status_during_a_sync_and_after_it_was_killed(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(), JANUARY)
    forecast.commit()
    seen: list[TableStatus] = []

    def checkpoint(name: str) -> None:
        if name == "copied":
            seen.append(standing(lake, declared))

    sync(lake, [declared], checkpoint=checkpoint)
    assert [attempt.alive for attempt in seen[0].attempts] == [True]
    assert not seen[0].failing
    assert standing(lake, declared).attempts == []

    execute(
        lake,
        "insert into penstock.sync_attempts (token, target, lake, backend_pid, host, process, started_at)"
        " values (gen_random_uuid(), 'public.forecast_data', 'l', 2147483647, 'there', 7, now())",
    )
    found = standing(lake, declared)
    assert [(attempt.alive, attempt.host, attempt.process) for attempt in found.attempts] == [
        (False, "there", 7)
    ]
    assert found.failing


def test_status_while_shards_are_at_work_says_how_many_are_done(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(), JANUARY)
    first = forecast.commit()
    sync(lake, [declared])
    for month in (2, 3, 4, 5):
        forecast.add(rows(month=month), JANUARY + month - 1)
    last = forecast.commit()
    aged(forecast, timedelta(days=9), timedelta(minutes=30))

    sync(lake, [declared], shard=Shard(2, 2))
    found = standing(lake, declared)
    assert (found.standing, found.shards) == ("in shards", "1 of 2 shards are done")
    assert (found.committed_snapshot, found.lake_snapshot, found.behind_seconds) == (first, last, 1800)
    assert not found.failing

    sync(lake, [declared], shard=Shard(1, 2))
    found = standing(lake, declared)
    assert (found.standing, found.shards, found.committed_snapshot, found.rows) == ("current", "", last, 50)


def test_status_on_a_database_of_an_older_version(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(), JANUARY)
    forecast.commit()
    sync(lake, [declared])
    execute(
        lake,
        "alter table penstock.sync_runs drop step, drop hint, drop unchanged, drop runs, drop schema_changes",
        "drop table penstock.sync_attempts, penstock.sync_partitions",
        "analyze forecast_data",
    )
    found = standing(lake, declared)
    assert (found.standing, found.rows, found.rows_exact) == ("current", 10, False)
    runs = history(lake)
    assert runs is not None
    assert [(run.mode, run.runs, run.hint) for run in runs] == [("load", 1, None)]


# -- history -------------------------------------------------------------------------------------------------------------


def test_history_is_newest_first_filtered_and_limited(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(), JANUARY)
    forecast.commit()
    sync(lake, [declared])
    sync(lake, [replace(declared, table="other_data", indexes=())])
    forecast.add([*rows(1, month=2), *rows(1, month=2)], FEBRUARY)
    forecast.commit()
    with pytest.raises(SyncError):
        sync(lake, [declared])

    def shown(**options: Any) -> list[tuple[str, str]]:
        return [(run.target, run.status) for run in history(lake, **options) or []]

    assert shown() == [
        ("public.forecast_data", "failed"),
        ("public.other_data", "success"),
        ("public.forecast_data", "success"),
    ]
    assert shown(limit=1) == [("public.forecast_data", "failed")]
    assert shown(failed=True) == [("public.forecast_data", "failed")]
    assert shown(table="other_data") == shown(table="public.other_data") == [("public.other_data", "success")]
    assert shown(table="data") == []


# -- as commands ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def manifest(declared: Declaration, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A lake manifest that declares the forecast mart, where the commands look for it."""
    monkeypatch.setattr("penstock.transform.dbt.target_path", lambda _: tmp_path)
    return write_manifest(tmp_path, [declared])


def declared_in(manifest: Path) -> list[Declaration]:
    from penstock.sync.declaration import declarations

    return declarations(manifest)


def test_status_command_before_the_first_sync_says_so(
    lake: Connections, forecast: Any, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forecast.add(rows(), JANUARY)
    forecast.commit()
    sync_runs.status(lake)
    said = capsys.readouterr()
    assert "never synced" in said.out
    assert "Nothing was ever synced into this database: invoke sync" in said.err
    sync_runs.history(lake)
    assert "Nothing was ever synced into this database: invoke sync" in capsys.readouterr().err
    sync_runs.history(lake, as_json=True)
    assert json.loads(capsys.readouterr().out) == []
    with pytest.raises(SyncError, match=r"Behind by more than 0 min: public\.forecast_data\."):
        sync_runs.status(lake, fail_if_behind=0)


def test_status_command_of_tables_in_step(
    lake: Connections, forecast: Any, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forecast.add(rows(), JANUARY)
    snapshot = forecast.commit()
    sync(lake, declared_in(manifest))
    sync_runs.status(lake, fail_if_behind=0)
    said = capsys.readouterr().out
    for text in ("public.forecast_data", "current", str(snapshot), "10"):
        assert text in said

    sync_runs.status(lake, as_json=True)
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["standing"], found["rows"], found["failing"]) == ("current", 10, False)
    assert datetime.fromisoformat(found["last_run"]["finished_at"]).tzinfo is not None


def test_status_and_history_commands_after_a_failure_show_error_and_next_step(
    lake: Connections, forecast: Any, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forecast.add(rows(), JANUARY)
    forecast.commit()
    sync(lake, declared_in(manifest))
    forecast.add([*rows(1, month=2), *rows(1, month=2)], FEBRUARY)
    forecast.commit()
    with pytest.raises(SyncError) as failed:
        sync(lake, declared_in(manifest))

    with pytest.raises(SyncError, match=r"^The last sync failed: public\.forecast_data\.$"):
        sync_runs.status(lake)
    standing_said = capsys.readouterr().out
    sync_runs.history(lake)
    for said in (standing_said, capsys.readouterr().out):
        assert failed.value.message in said
        assert f"next: {failed.value.hint}" in said

    with pytest.raises(SyncError):
        sync_runs.status(lake, as_json=True)
    (found,) = json.loads(capsys.readouterr().out)
    assert found["failing"]
    assert found["last_failure"]["error"] == failed.value.message


@pytest.mark.parametrize("command", [sync_runs.status, sync_runs.history])
def test_commands_without_postgres_say_so(
    lake: Connections,
    forecast: Any,
    manifest: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: Any,
) -> None:
    monkeypatch.setattr(module, "LIMITS", replace(module.LIMITS, connect_seconds=0))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = make_conninfo(lake.database_url, port=probe.getsockname()[1])
        with pytest.raises(SyncError, match="Postgres cannot be reached") as caught:
            command(replace(lake, database_url=url))
    assert caught.value.hint
    assert str(conninfo_to_dict(url)["password"]) not in str(vars(caught.value))


def test_history_command_with_nothing_to_show_says_so(
    lake: Connections, forecast: Any, declared: Declaration, capsys: pytest.CaptureFixture[str]
) -> None:
    forecast.add(rows(), JANUARY)
    forecast.commit()
    sync(lake, [declared])
    sync_runs.history(lake, table="forecast_data", failed=True)
    assert "No failed run of forecast_data is recorded." in capsys.readouterr().err
    with pytest.raises(SettingsError, match="--limit 0"):
        sync_runs.history(lake, limit=0)


ASKER = """
import pickle, sys
from penstock.sync.status import history, statuses

connections, declared = pickle.load(sys.stdin.buffer)
(found,) = statuses(connections, [declared])
assert found.standing == "current", found
assert history(connections)
heavy = [name for name in ("boto3", "pyarrow", "numpy", "pyiceberg", "duckdb", "httpx", "dbt") if name in sys.modules]
sys.exit(f"imported {heavy}" if heavy else 0)
"""


def test_status_of_a_table_in_step_imports_nothing_heavy(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(), JANUARY)
    forecast.commit()
    sync(lake, [declared])
    done = subprocess.run(
        [sys.executable, "-c", ASKER], input=pickle.dumps((lake, declared)), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
