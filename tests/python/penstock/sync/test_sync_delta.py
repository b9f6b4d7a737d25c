"""The delta: just what changed travels, and where that cannot be trusted the partitions are read whole; equal either way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import psycopg
import pytest
from tests.python.penstock.sync.test_sync_tables import as_synced, counts, part, query, rows, run, table

from penstock.connections import Connections
from penstock.errors import SyncError
from penstock.sync import plan as planning
from penstock.sync.declaration import Declaration
from penstock.sync.delta import Committed
from penstock.sync.postgres import Limits

stack = pytest.mark.stack


def written(lake: Connections) -> list[Any]:
    """Return each row's place and writer: the same again means that it was not written."""
    return query(lake, "select id, xmin::text, ctid::text, updated_at from forecast_data order by id")


def execute(lake: Connections, statement: str) -> None:
    with psycopg.connect(lake.database_url) as connection:
        connection.execute(statement.encode())


# -- hashes --------------------------------------------------------------------------------------------------------------


def test_cancel_of_equal_hashes_cancels_as_many_as_there_are() -> None:
    committed = Committed([np.array([5, 1, 5]), np.array([9, 5])])
    assert committed.cancel(np.array([5, 7, 5])).tolist() == [False, True, False]
    assert committed.left().tolist() == [1, 5, 9]
    assert committed.cancel(np.array([9, 5, 5, 1])).tolist() == [False, False, True, False]
    assert committed.left().tolist() == []


def test_cancel_of_hashes_beyond_the_last_finds_none() -> None:
    committed = Committed([np.array([1, 2**62])])
    assert committed.cancel(np.array([2**63 - 1, -(2**63), 2**62])).tolist() == [True, True, False]
    assert Committed([]).cancel(np.array([1, 1])).all()


def test_cancel_in_any_batches_is_a_multiset_difference() -> None:
    generator = np.random.default_rng(7)
    for _ in range(50):
        old, new = (generator.integers(-4, 5, generator.integers(0, 40)) for _ in range(2))
        committed = Committed([old])
        left = [batch[committed.cancel(batch)] for batch in np.array_split(new, 3)]
        for value in range(-4, 5):
            had, has = int((old == value).sum()), int((new == value).sum())
            assert int((np.concatenate(left) == value).sum()) == max(0, has - had)
            assert int((committed.left() == value).sum()) == max(0, had - has)


@stack
def test_a_change_knows_how_the_keys_are_spread(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    """Without statistics Postgres took the index of the date, not the key's, and read a day's rows for each staged one."""
    january = forecast.add(rows(1, 500), part(1))
    forecast.commit()
    run(lake, declared)
    known = "select count(*) from pg_stats where tablename = 'forecast_data' and attname = any(%s)"
    execute(lake, "alter table forecast_data set (autovacuum_enabled = off)")
    forecast.add([row | {"y_50": 7.5} if row["restaurant_id"] == 4 else row for row in rows(1, 500)], part(1))
    forecast.commit(remove=[january])
    run(lake, declared)
    with psycopg.connect(lake.database_url) as connection:
        assert connection.execute(known, [list(declared.key)]).fetchone() == (len(declared.key),)


# -- what travels --------------------------------------------------------------------------------------------------------


@stack
def test_delta_stages_only_changed_rows(lake: Connections, forecast: Any, declared: Declaration) -> None:
    january = forecast.add(rows(1, 500), part(1))
    forecast.commit()
    run(lake, declared)
    execute(
        lake,
        "create table seen (staged bigint, gone bigint); create function see() returns trigger language plpgsql as"
        " $$ begin insert into seen select (select count(*) from pg_temp.penstock_staging),"
        " (select count(*) from pg_temp.penstock_gone); return null; end $$;"
        " create trigger see after delete on forecast_data for each statement execute function see()",
    )
    changed = [row | {"y_50": 7.5} if row["restaurant_id"] == 4 else row for row in rows(1, 499)]
    forecast.add([*changed, *rows(1, 1, start=900)], part(1))
    forecast.commit(remove=[january])
    report = run(lake, declared)
    assert (report.path, counts(report)) == ("delta", (1, 1, 1, 498))
    # one changed, one new; of the changed and the deleted the old keys
    assert query(lake, "select staged, gone from seen") == [(2, 2)]
    assert table(lake) == as_synced(changed, rows(1, 1, start=900))


@stack
def test_delta_of_a_compaction_writes_nothing_to_the_table_and_reads_nothing_of_it(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    old = [forecast.add(rows(1, 20), part(1)), forecast.add(rows(1, 20, start=500), part(1))]
    forecast.commit()
    run(lake, declared)
    before = written(lake)
    forecast.add(rows(1, 20, start=500) + rows(1, 20), part(1))
    forecast.commit(remove=old)
    steps: list[str] = []
    # whoever reads or writes the table waits for this lock; a plan and a commit do not
    with psycopg.connect(lake.database_url) as connection:
        connection.execute("lock table forecast_data in access exclusive mode")
        report = run(lake, declared, checkpoint=steps.append, limits=Limits(lock_timeout="1s"))
    assert (report.path, counts(report)) == ("delta", (0, 0, 0, 40))
    assert "copying" not in steps
    assert steps == ["planned", "copied", "applied", "verified", "before commit", "committed"]
    assert written(lake) == before
    assert query(lake, "select rows from penstock.sync_partitions") == [(40,)]


@stack
def test_delta_of_position_deletes_reads_only_the_rows_they_name(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    january = forecast.add(rows(1, 1000), part(1), row_group=100)
    first = forecast.commit()
    run(lake, declared)
    forecast.delete({january: [250, 251, 990]}, part(1))
    forecast.commit()
    report = run(lake, declared)
    assert (report.path, counts(report)) == ("delta", (0, 0, 3, 997))
    assert report.rows_read <= 400  # two row groups, for the hashes and for the keys
    forecast.rollback(first)  # they come back
    report = run(lake, declared)
    assert (report.path, counts(report)) == ("delta", (3, 0, 0, 997))
    assert table(lake) == as_synced(rows(1, 1000))


@stack
def test_delta_of_an_update_by_position_deletes_updates_the_row(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    january = forecast.add(rows(1), part(1))
    forecast.commit()
    run(lake, declared)
    forecast.delete({january: [3]}, part(1))
    forecast.add([rows(1)[3] | {"y_50": 88.0}], part(1))
    forecast.commit()
    report = run(lake, declared)
    assert (report.path, counts(report)) == ("delta", (0, 1, 0, 39))
    assert table(lake) == as_synced(
        [row | ({"y_50": 88.0} if i == 3 else {}) for i, row in enumerate(rows(1))]
    )


@stack
def test_delta_in_parts_equals_the_lake(
    lake: Connections, forecast: Any, declared: Declaration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.sync.delta.DELTA_ROWS", 50)
    old = [forecast.add(rows(month), part(month)) for month in (1, 2, 3)]
    forecast.commit()
    run(lake, declared)
    now = [
        [row | {"y_95": 1000.0 + month} for row in rows(month)[:20]] + rows(month)[20:39]
        for month in (1, 2, 3)
    ]
    for month, found in zip((1, 2, 3), now, strict=True):
        forecast.add(found, part(month))
    forecast.commit(remove=old)
    report = run(lake, declared)
    assert (report.path, counts(report)) == ("delta", (0, 60, 3, 57))
    assert table(lake) == as_synced(*now)


@stack
def test_delta_of_more_rows_than_are_compared_in_memory_merges(
    lake: Connections, forecast: Any, declared: Declaration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "DELTA_ROWS", 30)
    january = forecast.add(rows(1), part(1))
    forecast.commit()
    run(lake, declared)
    forecast.add(rows(1, 39), part(1))
    forecast.commit(remove=[january])
    report = run(lake, declared)
    assert (report.path, counts(report)) == ("merge", (0, 0, 1, 39))


@stack
def test_delta_keeps_the_identity_of_a_row_that_moves(
    lake: Connections, database: str, declared: Declaration, lake_writer: Any
) -> None:
    writer = lake_writer(lake, database, "fct_forecast", partition_by=("state", "identity"))
    texas = writer.add([row | {"state": "TX"} for row in rows(1)], "TX")
    writer.commit()
    run(lake, declared)
    before = query(lake, "select restaurant_id, id from forecast_data order by 1")
    writer.add([row | {"state": "NY"} for row in rows(1)], "NY")  # the partition it leaves is emptied
    writer.commit(remove=[texas])
    report = run(lake, declared)
    assert (report.path, counts(report)) == ("delta", (0, 40, 0, 0))
    assert query(lake, "select restaurant_id, id from forecast_data order by 1") == before


# -- trust ---------------------------------------------------------------------------------------------------------------


@stack
@pytest.mark.parametrize(
    "meddling",
    [
        "update forecast_data set y_50 = 0.01 where restaurant_id = 9 and business_date < '2025-02-01'",
        "delete from forecast_data where restaurant_id = 9 and business_date < '2025-02-01'",
        "insert into forecast_data (restaurant_id, inventory_item_id, business_date, state, y_50)"
        " values (77777, 1, '2025-01-09', 'CA', 1)",
        "update forecast_data set business_date = '2025-01-30' where restaurant_id = 9 and business_date < '2025-02-01'",
    ],
    ids=["updated", "deleted", "inserted", "moved"],
)
def test_delta_over_rows_that_were_edited_is_undone_and_the_partition_merged(
    lake: Connections, forecast: Any, declared: Declaration, meddling: str
) -> None:
    january = forecast.add(rows(1), part(1))
    forecast.add(rows(2), part(2))
    forecast.commit()
    run(lake, declared)
    execute(lake, meddling)
    forecast.add(rows(1, 39), part(1))
    forecast.commit(remove=[january])
    report = run(lake, declared)
    assert report.path == "merge"
    assert "Postgres did not hold what was committed: 2025-01" in report.reason
    assert table(lake) == as_synced(rows(1, 39), rows(2))
    assert report.unchanged + report.inserted + report.updated == 39


@stack
@pytest.mark.parametrize("kept", [True, False], ids=["its snapshot known", "its snapshot expired"])
def test_sync_when_the_committed_files_are_gone_merges_what_differs(
    lake: Connections, forecast: Any, declared: Declaration, kept: bool
) -> None:
    old = [forecast.add(rows(1), part(1)), forecast.add(rows(2), part(2))]
    first = forecast.commit()
    run(lake, declared)
    before = written(lake)
    forecast.add(rows(1)[::-1], part(1))
    forecast.add(rows(2, 38), part(2))
    forecast.commit(remove=old)
    if not kept:
        forecast.expire(first)
    for location in old:
        bucket, key = location.removeprefix("s3://").split("/", 1)
        lake.client("s3").delete_object(Bucket=bucket, Key=key)
    report = run(lake, declared)
    assert (report.path, counts(report)) == ("merge", (0, 0, 2, 78))
    assert "1 of 2 partitions differed" in report.reason
    assert len(set(written(lake)) & set(before)) == 78


@stack
def test_sync_of_a_database_without_fingerprints_makes_them(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    january = forecast.add(rows(1), part(1))
    forecast.add(rows(2), part(2))
    forecast.commit()
    run(lake, declared)
    execute(lake, "drop table penstock.sync_partitions")
    again = forecast.add(rows(1, 39), part(1))
    forecast.commit(remove=[january])
    report = run(lake, declared)
    assert (report.path, counts(report)) == ("merge", (0, 0, 1, 39))
    forecast.add(rows(1, 38), part(1))
    forecast.commit(remove=[again])
    report = run(lake, declared)
    assert (report.path, counts(report)) == ("delta", (0, 0, 1, 38))


@stack
def test_sync_of_a_new_column_hashes_touched_partitions_anew(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    january = forecast.add(rows(1), part(1))
    forecast.add(rows(2), part(2))
    forecast.commit()
    run(lake, declared)
    forecast.evolve(add=[("note", "string")])
    second = forecast.add([row | {"note": "n"} for row in rows(1)], part(1))
    forecast.commit(remove=[january])
    report = run(lake, declared)
    assert (report.path, report.partitions, counts(report)) == ("merge", ["2025-01"], (0, 40, 0, 0))
    forecast.add(
        [row | {"note": "m"} for row in rows(1)[:3]] + [row | {"note": "n"} for row in rows(1)[3:]], part(1)
    )
    forecast.commit(remove=[second])
    report = run(lake, declared)
    assert (report.path, counts(report)) == ("delta", (0, 3, 0, 37))
    assert query(lake, "select note, count(*) from forecast_data group by 1 order by 1") == [
        ("m", 3),
        ("n", 37),
        (None, 40),
    ]


@stack
@pytest.mark.parametrize("partitioned", ["month", "state"])
def test_delta_of_a_key_that_an_unchanged_file_has_too_is_refused_by_name(
    lake: Connections, database: str, declared: Declaration, lake_writer: Any, partitioned: str
) -> None:
    by = ("business_date", "month") if partitioned == "month" else ("state", "identity")
    writer = lake_writer(lake, database, "fct_forecast", partition_by=by)
    first = [row | {"state": "CA"} for row in rows(1)]
    writer.add(first, part(1) if partitioned == "month" else "CA")
    writer.commit()
    run(lake, declared)
    twin = first[7] | ({"y_50": 1.0} if partitioned == "month" else {"state": "TX"})
    writer.add([twin], part(1) if partitioned == "month" else "TX")
    writer.commit()
    with pytest.raises(SyncError) as caught:
        run(lake, declared)
    assert "restaurant_id=8, inventory_item_id=385, business_date=2025-01-08" in caught.value.message
    assert "is not unique" in caught.value.message
    assert table(lake) == as_synced(first)


# -- fingerprints --------------------------------------------------------------------------------------------------------


@stack
def test_fingerprints_are_those_of_the_table_after_every_kind_of_change(
    lake: Connections, database: str, forecast: Any, declared: Declaration
) -> None:
    files = {month: forecast.add(rows(month), part(month)) for month in (1, 2, 3)}
    forecast.commit()
    run(lake, declared)
    forecast.delete({files[2]: [0, 1]}, part(2))
    forecast.add(rows(4), part(4))
    files[1] = forecast.add(rows(1)[:30], part(1))
    forecast.commit(remove=[files[3]])
    with pytest.raises(SyncError):  # January is there twice: nothing of it is remembered
        run(lake, declared)
    forecast.commit(remove=[files[1]])
    report = run(lake, declared)
    assert report.path == "delta"
    kept = query(lake, "select partition, rows, checksum from penstock.sync_partitions order by partition")
    assert [row[:2] for row in kept] == [
        ("month(business_date)=660", 40),
        ("month(business_date)=661", 38),
        ("month(business_date)=663", 40),
    ]
    execute(lake, "delete from penstock.sync_state; delete from penstock.sync_partitions")
    run(lake, declared)  # everything compared: the same sums, taken whole
    assert (
        query(lake, "select partition, rows, checksum from penstock.sync_partitions order by partition")
        == kept
    )


@stack
def test_sync_of_a_table_whose_declared_index_changed_remembers_its_partitions(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(1), part(1))
    forecast.commit()
    run(lake, declared)
    before = query(lake, "select * from penstock.sync_partitions")
    assert run(lake, replace(declared, indexes=declared.indexes[:1])).mode == "nothing"
    assert query(lake, "select * from penstock.sync_partitions") == before
