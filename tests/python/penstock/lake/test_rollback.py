"""History and rollback: what is shown, what a rollback does to the lake, to Postgres and to whoever commits meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from penstock.errors import LakeConflictError, LakeError
from penstock.lake.history import held_in_postgres, snapshots
from penstock.lake.rollback import plan_rollback, roll_back
from penstock.lake.tables import TableName, read_version, resolve

pytestmark = pytest.mark.stack


def back(sales: Any, to: object) -> None:
    roll_back(sales.connections, plan_rollback(sales.connections, sales.name, str(to)))


def test_history_tells_rows_files_bytes_the_current_one_and_postgres_s(sales: Any) -> None:
    sales.sync()
    sales.run("delete from sales_history where tenant_id = 'tenant_001' and product_id = 'P1'")
    lines = snapshots(sales.version(), held_in_postgres(sales.connections, str(sales.name)) or [])
    assert [(line.operation, line.added, line.deleted, line.rows) for line in lines] == [
        ("delete", None, 4, 20),
        ("append", 24, None, 24),
    ]
    assert [(line.current, line.held_by) for line in lines] == [
        (True, ()),
        (False, ("public.sales_history",)),
    ]
    # four months' data files, and a delete file for each
    assert [line.files for line in lines] == [8, 4]
    sizes = [len_of(sales, key) for key in sales.objects() if "/data/" in key]
    assert lines[0].bytes == sum(sizes)
    assert lines[0].as_data()["id"] == str(sales.version().snapshot_id)


def len_of(sales: Any, key: str) -> int:
    answer = sales.connections.client("s3").head_object(
        Bucket=sales.connections.environment.lake_bucket, Key=key
    )
    return int(answer["ContentLength"])


def test_history_without_postgres_or_before_any_sync_names_nobody(sales: Any) -> None:
    assert held_in_postgres(sales.connections, str(sales.name)) == []
    assert held_in_postgres(replace(sales.connections, database_url=""), str(sales.name)) is None


def test_rollback_and_forward_are_followed_by_postgres_exactly(sales: Any) -> None:
    first, before = sales.version().snapshot_id, sales.rows()
    sales.run(
        "update sales_history set price = price + 1 where tenant_id = 'tenant_002'",
        "delete from sales_history where year = 2025",
    )
    wrong = sales.version().snapshot_id
    spoilt = sales.rows()
    sales.sync()
    sales.assert_synced()

    back(sales, first)
    assert sales.rows() == before
    report = sales.sync()
    assert (report.inserted, report.updated, report.deleted) == (12, 4, 0)
    sales.assert_synced()
    assert sales.sync().mode == "nothing"

    back(sales, wrong)
    assert sales.rows() == spoilt
    report = sales.sync()
    assert (report.inserted, report.updated, report.deleted) == (0, 4, 12)
    sales.assert_synced()
    # nothing was lost on the way: both snapshots are still there
    assert {item["snapshot-id"] for item in sales.version().snapshots} >= {first, wrong}


def test_writes_after_a_rollback_build_on_what_was_rolled_back_to(sales: Any) -> None:
    first = sales.version().snapshot_id
    sales.run("delete from sales_history where year = 2025")
    back(sales, first)
    sales.run(
        "merge into sales_history t using (select 'P1' as p, 'tenant_001' as n) s on t.product_id = s.p and"
        " t.tenant_id = s.n when matched then update set price = 0"
    )
    sales.sync()
    sales.assert_synced()
    assert len(sales.rows()) == 24
    assert (sales.version().snapshot(sales.version().snapshot_id) or {})["parent-snapshot-id"] == first


def test_rollback_to_a_time_takes_what_was_current_then(sales: Any) -> None:
    first = sales.version()
    at = int(first.snapshots[0]["timestamp-ms"])
    sales.run("delete from sales_history where year = 2025")
    moment = datetime.fromtimestamp(at / 1000, UTC)
    assert plan_rollback(sales.connections, sales.name, moment.isoformat()).snapshot_id == first.snapshot_id
    naive = (moment + timedelta(milliseconds=1)).replace(tzinfo=None).isoformat()
    assert plan_rollback(sales.connections, sales.name, naive).snapshot_id == first.snapshot_id
    told = moment.astimezone(timezone(timedelta(hours=2))).isoformat()
    assert plan_rollback(sales.connections, sales.name, told).snapshot_id == first.snapshot_id
    with pytest.raises(LakeError, match=r"is not known as it was at .* what is remembered of it begins at"):
        plan_rollback(sales.connections, sales.name, "2001-01-01")


def test_rollback_to_what_is_not_there_is_refused(sales: Any) -> None:
    for to, said in (
        ("yesterday", "neither a snapshot's id nor a time"),
        ("", "neither a snapshot's id nor a time"),
        ("2999-01-01", "is in the future"),
        ("12345", r"Snapshot 12345 is not in the history of .*sales_history"),
    ):
        with pytest.raises(LakeError, match=said):
            plan_rollback(sales.connections, sales.name, to)


def test_rollback_to_an_expired_snapshot_is_refused_by_name(sales: Any) -> None:
    first = sales.version().snapshot_id
    sales.run(
        "delete from sales_history where year = 2025",
        "alter table sales_history set tblproperties ('vacuum_max_snapshot_age_seconds' = '0')",
        "vacuum sales_history",
    )
    with pytest.raises(LakeError, match=f"Snapshot {first} of .* has expired: a VACUUM has forgotten it"):
        plan_rollback(sales.connections, sales.name, str(first))


def test_rollback_to_a_snapshot_whose_files_are_gone_is_refused_and_changes_nothing(sales: Any) -> None:
    first, before = sales.version().snapshot_id, None
    gone = next(key for key in sales.objects() if "/data/" in key)
    sales.run("delete from sales_history where year in (2024, 2025)")
    before = sales.version().location
    sales.connections.client("s3").delete_object(Bucket=sales.connections.environment.lake_bucket, Key=gone)
    planned = plan_rollback(sales.connections, sales.name, str(first))
    with pytest.raises(LakeError, match=f"1 of the files of snapshot {first} of .* are gone, .*{gone}"):
        roll_back(sales.connections, planned)
    assert sales.version().location == before


def test_a_build_that_commits_meanwhile_is_not_overwritten(sales: Any) -> None:
    first = sales.version().snapshot_id
    sales.run("delete from sales_history where year = 2025")
    planned = plan_rollback(sales.connections, sales.name, str(first))

    def commit(step: str) -> None:
        if step == "written":
            sales.run("delete from sales_history where tenant_id = 'tenant_001'")

    with pytest.raises(LakeConflictError, match="was changed by somebody else meanwhile"):
        roll_back(sales.connections, planned, checkpoint=commit)
    assert {row[1] for row in sales.rows()} == {"tenant_002", "tenant_003"}
    written = [key for key in sales.objects() if key.endswith(".metadata.json")]
    assert len(written) == 3  # the refused one's is not left behind


def test_rollback_killed_anywhere_has_happened_or_not(sales: Any, victims: Any) -> None:
    before, first = sales.rows(), sales.version().snapshot_id
    sales.run("delete from sales_history where year = 2025")
    after = sales.rows()
    for step in ("checked", "written", "moved"):
        planned = plan_rollback(sales.connections, sales.name, str(first))
        assert not planned.nothing_to_do
        victims.kill_at("penstock.lake.rollback:roll_back", (sales.connections, planned), step)
        assert sales.rows() == (before if step == "moved" else after)
    assert plan_rollback(sales.connections, sales.name, str(first)).nothing_to_do


def test_tables_are_found_by_name_and_those_of_other_environments_refused(sales: Any) -> None:
    assert resolve(sales.connections, f"{sales.name.database}.sales_history") == sales.name
    for name in ("analytics_production.fct_forecast", "default.t", "analytics_local_pr_3.fct_forecast"):
        with pytest.raises(LakeError, match="is no database of target 'local'"):
            resolve(sales.connections, name)
    with pytest.raises(LakeError, match="neither a model of the last build nor a table"):
        resolve(sales.connections, "nothing_of_the_kind")
    with pytest.raises(LakeError, match="is not in the lake"):
        read_version(sales.connections, TableName(sales.name.database, "nothing"))
    sales.run(f"create external table landed (a int) location '{sales.base}_landed/'")
    with pytest.raises(LakeError, match="is not an Iceberg table"):
        read_version(sales.connections, TableName(sales.name.database, "landed"))
