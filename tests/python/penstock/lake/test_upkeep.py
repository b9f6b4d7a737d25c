"""Compaction, expiry and orphans: when they are due, what they do, and what they leave to Postgres and to running builds."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.errors import LakeError
from penstock.lake.orphans import delete_orphans, find_orphans, parse_age
from penstock.lake.rollback import plan_rollback, roll_back
from penstock.lake.upkeep import Policy, apply_policy, expiring, optimize, policy_of, upkeep, vacuum

pytestmark = pytest.mark.stack

AT_ONCE = Policy(small_files=3, delete_files=1, keep_days=0, keep_snapshots=1)


def small_files(sales: Any) -> None:
    """Three small files more in one month, and a delete file in another."""
    for number in range(3):
        sales.run(
            f"insert into sales_history values ('PX{number}', 'tenant_001', decimal '1.00', timestamp"
            " '2024-12-05 00:00:00.000000', array[1e0], 2024, 12)"
        )
    sales.run("delete from sales_history where tenant_id = 'tenant_003' and month = 1")


def test_upkeep_compacts_and_expires_and_postgres_is_written_nothing(sales: Any) -> None:
    small_files(sales)
    sales.sync()
    before = sales.rows()
    compacted, expired = upkeep(sales.connections, sales.name, AT_ONCE)
    assert compacted.done
    assert compacted.why == "1 of 4 partitions have 3 small files or more"
    assert compacted.before is not None
    assert compacted.after is not None
    assert (compacted.before.files, compacted.before.delete_files) == (7, 1)
    assert (compacted.after.files, compacted.after.delete_files) == (4, 0)
    # Postgres still holds a snapshot that would be forgotten: that waits for the sync
    assert not expired.done
    assert "public.sales_history in Postgres still holds one of them" in expired.why
    assert sales.rows() == before
    report = sales.sync()
    assert (report.rows_written, report.mode) == (0, "changes")
    compacted, expired = upkeep(sales.connections, sales.name, AT_ONCE)
    assert (compacted.done, expired.done) == (False, True)
    assert expired.snapshots == (6, 1)
    assert sales.rows() == before
    assert sales.sync().rows_written == 0
    again = upkeep(sales.connections, sales.name, AT_ONCE)
    assert [step.done for step in again] == [False, False]
    assert [step.why for step in again] == ["few small files, few delete files", "no snapshot is old enough"]


def test_upkeep_dry_run_says_what_is_due_and_does_nothing(sales: Any) -> None:
    small_files(sales)
    location = sales.version().location
    steps = upkeep(sales.connections, sales.name, AT_ONCE, dry_run=True)
    assert [(step.work, step.done, step.why) for step in steps] == [
        ("optimize", False, "1 of 4 partitions have 3 small files or more"),
        ("vacuum", False, "4 of 5 snapshots are older than 0 days"),
    ]
    assert sales.version().location == location


def test_upkeep_keeps_as_many_snapshots_and_days_as_the_policy_says(sales: Any) -> None:
    small_files(sales)
    assert len(expiring(sales.version(), Policy(keep_days=0, keep_snapshots=3))) == 2
    assert expiring(sales.version(), Policy(keep_days=1, keep_snapshots=1)) == set()
    later = sales.version().snapshots[-1]["timestamp-ms"] / 1000 + 2 * 86_400
    assert len(expiring(sales.version(), Policy(keep_days=1, keep_snapshots=1), now=later)) == 4
    # what Athena forgets is what was foretold
    kept = Policy(keep_days=0, keep_snapshots=2)
    doomed = expiring(sales.version(), kept)
    ids = {item["snapshot-id"] for item in sales.version().snapshots}
    vacuum(sales.connections, sales.name, policy=kept)
    assert {item["snapshot-id"] for item in sales.version().snapshots} == ids - doomed


def test_a_sync_after_its_snapshot_was_forgotten_all_the_same_is_exact(sales: Any) -> None:
    sales.sync()
    small_files(sales)
    vacuum(sales.connections, sales.name, policy=AT_ONCE)
    report = sales.sync()
    assert (report.inserted, report.deleted) == (3, 2)
    sales.assert_synced()


def test_policy_is_written_once_and_not_again(sales: Any) -> None:
    apply_policy(sales.connections, sales.name, AT_ONCE)
    location = sales.version().location
    assert sales.version().properties["vacuum_max_snapshot_age_seconds"] == "0"
    apply_policy(sales.connections, sales.name, AT_ONCE)
    assert sales.version().location == location


def test_optimize_of_partitions_leaves_the_others(sales: Any) -> None:
    small_files(sales)
    apply_policy(sales.connections, sales.name, AT_ONCE)
    step = optimize(sales.connections, sales.name, where="month = 1")
    assert step.before is not None
    assert step.after is not None
    assert (step.before.files, step.after.files) == (7, 7)
    assert step.after.delete_files == 0
    with pytest.raises(LakeError, match="COLUMN_NOT_FOUND"):
        optimize(sales.connections, sales.name, where="nothing = 1")


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (True, "meta.upkeep of model m is True"),
        ({"keep": 3}, "has 'keep', which is not known"),
        ({"small_files": 1}, "small_files is 1"),
        ({"keep_snapshots": 1.5}, "keep_snapshots is 1.5"),
        ({"keep_days": "a week"}, "keep_days is 'a week'"),
        ({"delete_files": True}, "delete_files is True"),
    ],
)
def test_policy_that_cannot_be_is_refused_with_model_and_key(declared: object, said: str) -> None:
    with pytest.raises(LakeError, match=said):
        policy_of("m", {"upkeep": declared}, Policy())


def test_policy_of_a_model_is_its_own_and_the_settings_for_the_rest() -> None:
    default = Policy(small_files=9, keep_days=2.5)
    assert policy_of("m", {}, default) == default
    assert policy_of("m", {"upkeep": False}, default) is None
    assert policy_of("m", {"upkeep": {"keep_snapshots": 7}}, default) == Policy(9, 2, 2.5, 7)


# orphans


def loose(sales: Any, key: str) -> str:
    bucket = sales.connections.environment.lake_bucket
    whole = f"{sales.name.database}/sales_history/{key}"
    sales.connections.client("s3").put_object(Bucket=bucket, Key=whole, Body=b"lost")
    return f"s3://{bucket}/{whole}"


def test_orphans_are_what_nothing_references_whatever_their_place_and_young_ones_are_kept(sales: Any) -> None:
    small_files(sales)
    optimize(sales.connections, sales.name)
    before, files = sales.rows(), sales.objects()
    lost = sorted([loose(sales, "data/year=2024/lost.parquet"), loose(sales, "metadata/lost.avro")])
    young = find_orphans(sales.connections, sales.name)
    assert (young.files, young.young) == ((), 2)
    found = find_orphans(sales.connections, sales.name, older_than_seconds=0)
    assert sorted(item.location for item in found.files) == lost
    assert found.bytes == 8
    assert delete_orphans(sales.connections, found) == 2
    assert sales.objects() == files
    assert find_orphans(sales.connections, sales.name, older_than_seconds=0).files == ()
    # every snapshot can still be gone back to
    for snapshot in sales.version().snapshots:
        planned = plan_rollback(sales.connections, sales.name, str(snapshot["snapshot-id"]))
        roll_back(sales.connections, planned)
    assert sales.rows() == before


def test_orphans_that_came_into_use_since_are_not_deleted(sales: Any) -> None:
    before = sales.version()
    sales.run("delete from sales_history where year = 2025")
    later = sales.version()
    # as it was listed before the commit: the commit's files looked lost then
    sales.connections.client("glue").update_table(
        DatabaseName=sales.name.database,
        TableInput={
            "Name": "sales_history",
            "TableType": "EXTERNAL_TABLE",
            "Parameters": before.record["Parameters"],
            "StorageDescriptor": before.record["StorageDescriptor"],
        },
    )
    found = find_orphans(sales.connections, sales.name, older_than_seconds=0)
    assert len(found.files) > 2
    sales.connections.client("glue").update_table(
        DatabaseName=sales.name.database,
        TableInput={
            "Name": "sales_history",
            "TableType": "EXTERNAL_TABLE",
            "Parameters": later.record["Parameters"],
            "StorageDescriptor": later.record["StorageDescriptor"],
        },
    )
    assert delete_orphans(sales.connections, found) == 0
    assert len(sales.rows()) == 12


def test_orphans_where_another_table_lies_below_are_refused(sales: Any) -> None:
    sales.run(f"create external table inner_one (a int) location '{sales.base}/data/'")
    with pytest.raises(LakeError, match=r"inner_one lies at .*data/, together with"):
        find_orphans(sales.connections, sales.name)


def test_orphans_of_a_table_with_a_lost_manifest_are_refused(sales: Any) -> None:
    gone = next(key for key in sales.objects() if key.endswith("-m0.avro"))
    sales.connections.client("s3").delete_object(Bucket=sales.connections.environment.lake_bucket, Key=gone)
    with pytest.raises(LakeError, match="is gone, so what its snapshot references is not known"):
        find_orphans(sales.connections, sales.name)


def test_ages_are_read_and_short_ones_refused() -> None:
    assert [parse_age(text) for text in ("3d", "36h", "90m", "1.5d")] == [259_200, 129_600, 5_400, 129_600]
    for text in ("", "3", "3 weeks", "30m", "0d"):
        with pytest.raises(LakeError, match="--older-than"):
            parse_age(text)
