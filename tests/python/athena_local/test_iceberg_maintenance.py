"""Metadata tables, time travel, OPTIMIZE and VACUUM; and which files a predicate prunes."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlglot

from athena_local.catalog import Catalog
from athena_local.errors import QueryError
from athena_local.iceberg.predicates import to_filter
from athena_local.iceberg.scans import plan
from athena_local.iceberg.table import load
from athena_local.objects import ObjectStore
from athena_local.sql.dialect import AthenaSQL

Run = Callable[..., Any]


@pytest.fixture
def table(execute: Run, lake: str) -> str:
    """`t`: two months, then one row more in the second and one row deleted in the first."""
    execute(
        f"""CREATE TABLE t WITH (table_type = 'ICEBERG', is_external = false, location = '{lake}t/',
            partitioning = ARRAY['month(d)']) AS
            SELECT * FROM (VALUES (1, DATE '2025-01-01', 'a', 1.5e0), (2, DATE '2025-01-02', 'b', 2.5e0),
                                  (3, DATE '2025-02-01', 'c', 3.5e0)) AS v (id, d, name, x)"""
    )
    execute("INSERT INTO t VALUES (4, DATE '2025-02-02', 'd', 4.5e0)")
    execute("DELETE FROM t WHERE id = 1")
    return "t"


def snapshot_ids(context: Any, catalog: Catalog) -> list[int]:
    return [item.snapshot_id for item in load(context, catalog.get_table("default", "t")).metadata.snapshots]


def test_snapshots_and_history_tell_every_commit(rows: Run, table: str) -> None:
    assert [row[0] for row in rows('SELECT operation FROM "t$snapshots" ORDER BY committed_at')] == [
        "append",
        "append",
        "delete",
    ]
    assert rows('SELECT count(*), count(parent_id) FROM "t$history" WHERE is_current_ancestor') == [(3, 2)]


def test_files_lists_data_and_delete_files(rows: Run, table: str) -> None:
    assert rows('SELECT content, sum(record_count) FROM "t$files" GROUP BY content ORDER BY content') == [
        (0, 4),
        (1, 1),
    ]


def test_partitions_refs_and_manifests_are_there(
    rows: Run, table: str, context: Any, catalog: Catalog
) -> None:
    assert rows('SELECT record_count, file_count FROM "t$partitions" ORDER BY file_count') == [(2, 1), (2, 2)]
    assert rows('SELECT name, type, snapshot_id FROM "t$refs"') == [
        ("main", "BRANCH", snapshot_ids(context, catalog)[-1])
    ]
    assert rows('SELECT count(*) FROM "t$manifests" WHERE length > 0') == [(3,)]


def test_unknown_metadata_table_is_refused(rows: Run, table: str) -> None:
    with pytest.raises(QueryError, match="TABLE_NOT_FOUND"):
        rows('SELECT * FROM "t$nonsense"')


def test_version_as_of_reads_an_earlier_snapshot(
    rows: Run, table: str, context: Any, catalog: Catalog
) -> None:
    first, second, _ = snapshot_ids(context, catalog)
    assert rows(f"SELECT id FROM t FOR VERSION AS OF {first} ORDER BY id") == [(1,), (2,), (3,)]
    assert rows(f"SELECT id FROM t FOR VERSION AS OF {second} ORDER BY id") == [(1,), (2,), (3,), (4,)]


def test_timestamp_as_of_reads_what_was_current_then(rows: Run, table: str, execute: Run) -> None:
    time.sleep(0.01)
    then = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    time.sleep(0.01)
    execute("DELETE FROM t")
    assert rows(f"SELECT id FROM t FOR TIMESTAMP AS OF TIMESTAMP '{then} UTC' ORDER BY id") == [
        (2,),
        (3,),
        (4,),
    ]
    assert rows("SELECT id FROM t") == []


def test_version_as_of_an_unknown_snapshot_is_refused(rows: Run, table: str) -> None:
    with pytest.raises(QueryError, match="INVALID_ARGUMENTS"):
        rows("SELECT id FROM t FOR VERSION AS OF 42")


def test_optimize_packs_files_and_applies_deletes(execute: Run, rows: Run, table: str) -> None:
    execute(
        "ALTER TABLE t SET TBLPROPERTIES ('optimize_rewrite_data_file_threshold' = '2', "
        "'optimize_rewrite_delete_file_threshold' = '1')"
    )
    before = rows("SELECT id, d, name, x FROM t ORDER BY id")
    execute("OPTIMIZE t REWRITE DATA USING BIN_PACK")
    assert rows("SELECT id, d, name, x FROM t ORDER BY id") == before
    assert rows('SELECT content, record_count FROM "t$files" ORDER BY record_count') == [(0, 1), (0, 2)]
    assert rows('SELECT operation FROM "t$snapshots" ORDER BY committed_at DESC LIMIT 1') == [("replace",)]


def test_optimize_with_nothing_to_do_commits_nothing(execute: Run, rows: Run, table: str) -> None:
    execute("OPTIMIZE t REWRITE DATA USING BIN_PACK")
    assert rows('SELECT count(*) FROM "t$snapshots"') == [(3,)]


def test_vacuum_forgets_old_snapshots_and_deletes_only_their_files(
    execute: Run, rows: Run, table: str, objects: ObjectStore, lake: str
) -> None:
    execute("DELETE FROM t WHERE d < DATE '2025-02-01'")
    execute("ALTER TABLE t SET TBLPROPERTIES ('vacuum_max_snapshot_age_seconds' = '0')")
    execute("VACUUM t")
    assert rows("SELECT id FROM t ORDER BY id") == [(3,), (4,)]
    assert rows('SELECT count(*) FROM "t$snapshots"') == [(1,)]
    data = {item.path for item in objects.list(f"{lake}t/data/")}
    assert data == {row[0] for row in rows('SELECT file_path FROM "t$files"')}


def test_vacuum_keeps_young_snapshots_and_young_orphans(
    execute: Run, rows: Run, table: str, objects: ObjectStore, lake: str
) -> None:
    objects.write(f"{lake}t/data/orphan.parquet", b"may be another writer's")
    execute("VACUUM t")
    assert rows('SELECT count(*) FROM "t$snapshots"') == [(3,)]
    assert objects.read(f"{lake}t/data/orphan.parquet")


@pytest.mark.parametrize(
    ("predicate", "files"),
    [
        ("d >= DATE '2025-02-01'", 2),
        ("d < DATE '2025-02-01' AND name = 'zzz'", 0),
        ("d = DATE '2025-01-15' OR d = DATE '2025-02-20'", 0),
        ("id = 4", 1),
        ("4 <= id", 1),
        ("id IN (1, 4)", 2),
        ("id BETWEEN 2 AND 3", 2),
        ("x > 4.0", 1),
        ("x > 4.0 OR length(name) = 1", 3),
        ("NOT (id = 4)", 3),
        ("name IS NULL", 0),
        ("id = 99999999999", 3),
        ("name = 4", 3),
    ],
)
def test_predicates_prune_files_by_partition_and_bounds(
    table: str, context: Any, catalog: Catalog, predicate: str, files: int
) -> None:
    loaded = load(context, catalog.get_table("default", "t"))
    tree = sqlglot.parse_one(predicate, dialect=AthenaSQL)
    assert len(plan(loaded, to_filter(tree, loaded.schema)).files) == files


def test_hidden_columns_tell_file_position_and_time(rows: Run, table: str) -> None:
    found = rows('SELECT id, "$path", "$pos", "$file_modified_time" FROM t ORDER BY id')
    assert [(row[0], row[2]) for row in found] == [(2, 1), (3, 0), (4, 0)]
    assert all(row[1].startswith("s3://") and row[1].endswith(".parquet") for row in found)
    age = datetime.datetime.now(datetime.UTC) - found[0][3]
    assert age < datetime.timedelta(minutes=5)
