"""Comparing without writing, and mending: `invoke sync --verify`, `--repair` and `--dry-run`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest
from tests.python.penstock.sync.test_sync_tables import as_synced, counts, part, query, rows, run, table

from penstock.commands import sync as syncing
from penstock.commands import sync_checks
from penstock.connections import Connections
from penstock.errors import ChecksumMismatchError, PlanError, SchemaDriftError, SettingsError
from penstock.sync.check import TableCheck, check
from penstock.sync.declaration import Declaration
from penstock.sync.postgres import Limits
from penstock.sync.preview import Preview, preview
from penstock.sync.report import SyncReport, silent
from penstock.sync.steps import Steps

pytestmark = pytest.mark.stack


def compare(lake: Connections, declared: Declaration) -> TableCheck:
    steps = Steps(SyncReport(declared.target, declared.lake), silent, silent)
    return check(lake, declared, steps=steps, limits=Limits())


def look(lake: Connections, declared: Declaration, *, full: bool = False) -> Preview:
    return preview(lake, declared, full=full, limits=Limits())


def execute(lake: Connections, statement: str) -> None:
    with psycopg.connect(lake.database_url) as connection:
        connection.execute(statement.encode())


@pytest.fixture
def synced(lake: Connections, forecast: Any, declared: Declaration) -> int:
    """Two months, synced; the snapshot."""
    forecast.add(rows(1), part(1))
    forecast.add(rows(2), part(2))
    snapshot: int = forecast.commit()
    run(lake, declared)
    return snapshot


MEDDLING = (
    "update forecast_data set y_50 = 0.01 where restaurant_id in (4, 5) and business_date < '2025-02-01';"
    " delete from forecast_data where restaurant_id = 6 and business_date < '2025-02-01';"
    " insert into forecast_data (restaurant_id, inventory_item_id, business_date, state, y_50)"
    " values (1, 1, '2031-01-01', 'CA', 1), (1, 2, '2025-01-01', 'CA', 1)"
)


# -- verify --------------------------------------------------------------------------------------------------------------


def test_verify_of_what_was_synced_finds_it_equal_and_writes_nothing(
    lake: Connections, declared: Declaration, synced: int
) -> None:
    before = query(lake, "select count(*), max(id) from penstock.sync_runs")
    found = compare(lake, declared)
    assert (found.snapshot_id, found.committed, found.wrong) == (synced, True, [])
    assert [(item.partition, item.lake_rows, item.table_rows) for item in found.partitions] == [
        ("2025-01", 40, 40),
        ("2025-02", 40, 40),
    ]
    assert query(lake, "select count(*), max(id) from penstock.sync_runs") == before


def test_verify_names_what_differs_by_key(lake: Connections, declared: Declaration, synced: int) -> None:
    execute(lake, MEDDLING)
    found = compare(lake, declared)
    assert [(item.partition, item.lake_rows, item.table_rows) for item in found.wrong] == [
        ("2025-01", 40, 40),
        ("2031-01", 0, 1),
    ]
    january, later = found.wrong
    assert january.missing == (("6", "385", "2025-01-06"),)
    assert january.extra == (("1", "2", "2025-01-01"),)
    assert january.different == (("4", "385", "2025-01-04"), ("5", "385", "2025-01-05"))
    assert later.extra == (("1", "1", "2031-01-01"),)


def test_verify_compares_with_what_was_synced_and_not_with_a_newer_build(
    lake: Connections, forecast: Any, declared: Declaration, synced: int
) -> None:
    forecast.add(rows(3), part(3))
    forecast.commit()
    found = compare(lake, declared)
    assert (found.snapshot_id, found.committed, found.wrong) == (synced, True, [])


def test_verify_when_the_synced_snapshot_cannot_be_read_compares_with_the_lake_of_now(
    lake: Connections, forecast: Any, declared: Declaration, synced: int
) -> None:
    (location,) = (row[0] for row in query(lake, "select metadata_location from penstock.sync_state"))
    forecast.add(rows(3), part(3))
    now = forecast.commit()
    bucket, key = location.removeprefix("s3://").split("/", 1)
    lake.client("s3").delete_object(Bucket=bucket, Key=key)
    assert compare(lake, declared).snapshot_id == synced  # the current metadata still knows it
    forecast.expire(synced)
    found = compare(lake, declared)
    assert (found.snapshot_id, found.committed) == (now, False)
    assert [item.partition for item in found.wrong] == ["2025-03"]


def test_verify_without_state_compares_with_the_lake_of_now(
    lake: Connections, declared: Declaration, synced: int
) -> None:
    execute(lake, "drop schema penstock cascade")
    found = compare(lake, declared)
    assert (found.snapshot_id, found.committed, found.wrong) == (synced, False, [])


def test_verify_of_a_table_that_is_not_there_says_what_makes_it(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.commit()
    with pytest.raises(PlanError, match="is not in Postgres") as caught:
        compare(lake, declared)
    assert "invoke sync" in caught.value.hint


def test_verify_of_a_table_that_lacks_a_column_says_what_adds_it(
    lake: Connections,
    declared: Declaration,
    synced: int,
) -> None:
    execute(lake, "alter table forecast_data drop column dc_id cascade")
    with pytest.raises(PlanError, match="has no column 'dc_id'"):
        compare(lake, declared)


def test_verify_task_shows_both_sides_and_fails_naming_the_partition(
    lake: Connections,
    declared: Declaration,
    synced: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sync_checks.verify(lake, [declared])
    assert "Postgres holds what was synced" in capsys.readouterr().err
    execute(lake, MEDDLING)
    with pytest.raises(ChecksumMismatchError) as caught:
        sync_checks.verify(lake, [declared])
    assert "2031-01 (lake 0 rows, Postgres 1)" in caught.value.message
    assert "--repair" in caught.value.hint
    shown = capsys.readouterr()
    assert "differs" in shown.out
    assert "2025-01: missing: (6, 385, 2025-01-06)" in shown.err


# -- repair --------------------------------------------------------------------------------------------------------------


def test_repair_mends_the_partitions_that_differ_and_no_others(
    lake: Connections, declared: Declaration, synced: int
) -> None:
    february = "select id, xmin::text, ctid::text from forecast_data where business_date >= '2025-02-01' and"
    february += " business_date < '2025-03-01' order by 1"
    before, state = (
        query(lake, february),
        query(lake, "select snapshot_id, metadata_location from penstock.sync_state"),
    )
    execute(lake, MEDDLING)
    report = run(lake, declared, mend=True)
    assert (report.snapshot_id, counts(report)) == (synced, (1, 2, 2, 77))
    assert "2 of 3 partitions differed" in report.reason
    assert table(lake) == as_synced(rows(1), rows(2))
    assert query(lake, february) == before
    assert query(lake, "select snapshot_id, metadata_location from penstock.sync_state") == state
    assert query(
        lake, "select status, inserted, updated, deleted from penstock.sync_runs order by id desc limit 1"
    ) == [("success", 1, 2, 2)]
    assert compare(lake, declared).wrong == []


def test_repair_restores_what_was_synced_and_leaves_the_newer_build_to_the_next_sync(
    lake: Connections, forecast: Any, declared: Declaration, synced: int
) -> None:
    forecast.add(rows(3), part(3))
    newer = forecast.commit()
    execute(lake, MEDDLING)
    assert run(lake, declared, mend=True).snapshot_id == synced
    assert table(lake) == as_synced(rows(1), rows(2))
    report = run(lake, declared)
    assert (report.snapshot_id, report.path, report.partitions) == (newer, "delta", ["2025-03"])
    assert table(lake) == as_synced(rows(1), rows(2), rows(3))


@pytest.mark.parametrize("lost", ["state", "snapshot"])
def test_repair_without_what_was_synced_mends_with_the_lake_of_now(
    lake: Connections, forecast: Any, declared: Declaration, synced: int, lost: str
) -> None:
    (location,) = (row[0] for row in query(lake, "select metadata_location from penstock.sync_state"))
    forecast.add(rows(3), part(3))
    newer = forecast.commit()
    if lost == "state":
        execute(lake, "drop schema penstock cascade")
    else:
        forecast.expire(synced)
        bucket, key = location.removeprefix("s3://").split("/", 1)
        lake.client("s3").delete_object(Bucket=bucket, Key=key)
    execute(lake, MEDDLING)
    assert run(lake, declared, mend=True).snapshot_id == newer
    assert table(lake) == as_synced(rows(1), rows(2), rows(3))


# -- dry run -------------------------------------------------------------------------------------------------------------


def test_dry_run_of_a_first_load_plans_every_partition_and_makes_nothing(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(1), part(1))
    forecast.commit()
    found = look(lake, declared)
    assert (found.plan.mode, found.path) == ("load", "load")
    assert [(item.partition, item.why, item.files, item.rows) for item in found.partitions] == [
        ("2025-01", "the table is not in Postgres", 1, 40)
    ]
    assert query(lake, "select to_regnamespace('penstock'), to_regclass('forecast_data')") == [(None, None)]


def test_dry_run_tells_why_each_partition_is_touched(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    january, february = forecast.add(rows(1), part(1)), forecast.add(rows(2), part(2))
    march = forecast.add(rows(3), part(3))
    forecast.add(rows(5), part(5))
    forecast.commit()
    run(lake, declared)
    forecast.add(rows(1, 30), part(1))
    forecast.delete({february: [1]}, part(2))
    forecast.add(rows(4), part(4))
    forecast.commit(remove=[january, march])
    before = query(lake, "select count(*) from penstock.sync_runs")

    found = look(lake, declared)

    assert found.path == "delta"
    assert [(item.partition, item.why, item.files, item.rows) for item in found.partitions] == [
        ("2025-01", "1 file added, 1 file removed", 2, 70),
        ("2025-02", "1 file with other deletes", 2, 40),
        ("2025-03", "1 file removed", 0, 0),  # emptied without being read
        ("2025-04", "1 file added", 1, 40),
    ]
    assert found.plan.rows == 150
    assert found.plan.bytes == sum(item.bytes for item in found.partitions) > 0
    assert query(lake, "select count(*) from penstock.sync_runs") == before
    report = run(lake, declared)
    assert (report.path, report.partitions) == ("delta", [item.partition for item in found.partitions])
    assert look(lake, declared).plan.mode == "nothing"


def test_dry_run_takes_no_lock(lake: Connections, declared: Declaration, synced: int) -> None:
    with psycopg.connect(lake.database_url) as connection:
        connection.execute(
            "select pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"penstock.sync:{declared.target}"]
        )
        found = look(lake, declared, full=True)
    assert (found.plan.mode, found.path, len(found.partitions)) == ("everything", "merge", 2)


def test_dry_run_task_prints_the_plan_and_refuses_what_a_sync_would(
    lake: Connections,
    forecast: Any,
    declared: Declaration,
    synced: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    forecast.add(rows(3), part(3))
    forecast.commit()
    sync_checks.dry_run(lake, [declared], full=False)
    shown = capsys.readouterr()
    assert "public.forecast_data: changes by delta" in shown.out
    assert "1 file added" in shown.out
    forecast.evolve(drop=["dc_id"])
    with pytest.raises(SchemaDriftError, match="column 'dc_id' is gone"):
        sync_checks.dry_run(lake, [replace(declared, indexes=())], full=False)


@pytest.mark.parametrize(
    "asked",
    [{"dry_run": True, "verify": True}, {"verify": True, "repair": True}, {"full": True, "repair": True}],
)
def test_sync_asked_for_what_contradicts_itself_says_so(lake: Connections, asked: dict[str, bool]) -> None:
    settings: Any = None  # refused before it is looked at
    with pytest.raises(SettingsError, match="Only one of --dry-run, --verify and --repair"):
        syncing.sync(lake, settings, select="", **asked)
