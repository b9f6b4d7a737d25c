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
from athena_local.iceberg.planning import plan
from athena_local.iceberg.predicates import to_filter
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


METADATA_COLUMNS = {
    "history": "made_current_at timestamp(3) with time zone, snapshot_id bigint, parent_id bigint, "
    "is_current_ancestor boolean",
    "snapshots": "committed_at timestamp(3) with time zone, snapshot_id bigint, parent_id bigint, operation varchar, "
    "manifest_list varchar, summary map(varchar, varchar)",
    "refs": "name varchar, type varchar, snapshot_id bigint, max_reference_age_in_ms bigint, "
    "min_snapshots_to_keep integer, max_snapshot_age_in_ms bigint",
    "manifests": "path varchar, length bigint, partition_spec_id integer, added_snapshot_id bigint, "
    "added_data_files_count integer, added_rows_count bigint, existing_data_files_count integer, "
    "existing_rows_count bigint, deleted_data_files_count integer, deleted_rows_count bigint, partition_summaries "
    "array(row(contains_null boolean, contains_nan boolean, lower_bound varchar, upper_bound varchar))",
    "files": "content integer, file_path varchar, file_format varchar, record_count bigint, file_size_in_bytes bigint, "
    "column_sizes map(integer, bigint), value_counts map(integer, bigint), null_value_counts map(integer, bigint), "
    "nan_value_counts map(integer, bigint), lower_bounds map(integer, varchar), upper_bounds map(integer, varchar), "
    "key_metadata varbinary, split_offsets array(bigint), equality_ids array(integer)",
    "partitions": "partition row(d_month integer), record_count bigint, file_count bigint, total_size bigint, "
    "data row(id row(min integer, max integer, null_count bigint, nan_count bigint), "
    "d row(min date, max date, null_count bigint, nan_count bigint), "
    "name row(min varchar, max varchar, null_count bigint, nan_count bigint), "
    "x row(min double, max double, null_count bigint, nan_count bigint))",
}


@pytest.mark.parametrize("name", sorted(METADATA_COLUMNS))
def test_metadata_tables_have_trinos_columns(new_context: Run, table: str, name: str) -> None:
    from athena_local.engine.session import Session
    from athena_local.sql import parse_statement

    with Session(new_context()) as session:
        query = parse_statement(f'SELECT * FROM "t${name}"').query  # type: ignore[attr-defined]
        columns = session.translate(query).columns
    assert ", ".join(f"{column.name} {column.type.trino()}" for column in columns) == METADATA_COLUMNS[name]


def test_partitions_tell_bounds_and_counts_of_their_columns(rows: Run, table: str) -> None:
    sql = (
        "SELECT partition.d_month, data.d.min a, data.d.max b, data.name.min c, data.id.null_count, data.x.max e "
        'FROM "t$partitions" ORDER BY 1'
    )
    day = datetime.date
    assert rows(sql) == [
        (660, day(2025, 1, 1), day(2025, 1, 2), "a", 0, 2.5),
        (661, day(2025, 2, 1), day(2025, 2, 2), "c", 0, 4.5),
    ]
    summaries = rows(
        "SELECT DISTINCT s.contains_null, s.lower_bound, s.upper_bound "
        'FROM "t$manifests" CROSS JOIN UNNEST(partition_summaries) '
        "AS s (contains_null, contains_nan, lower_bound, upper_bound) ORDER BY 2, 3"
    )
    assert summaries == [
        (False, "2025-01", "2025-01"),
        (False, "2025-01", "2025-02"),
        (False, "2025-02", "2025-02"),
    ]
    bounds = rows('SELECT lower_bounds[2], upper_bounds[3] FROM "t$files" WHERE content = 0 ORDER BY 1')
    assert bounds == [("2025-01-01", "b"), ("2025-02-01", "c"), ("2025-02-02", "d")]


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


POINTER = "SELECT id FROM t FOR "


@pytest.mark.parametrize(
    ("pointer", "message"),
    [
        ("VERSION AS OF BIGINT '42'", "INVALID_ARGUMENTS: Iceberg snapshot ID does not exists: 42"),
        ("VERSION AS OF 'nowhere'", "INVALID_ARGUMENTS: Cannot find snapshot with reference name: nowhere"),
        ("VERSION AS OF 42", "NOT_SUPPORTED: Unsupported type for table version: integer"),
        ("VERSION AS OF NULL", "INVALID_ARGUMENTS: line 1:18: Pointer value cannot be NULL"),
        (
            "TIMESTAMP AS OF TIMESTAMP '2020-01-01 00:00:00 UTC'",
            "INVALID_ARGUMENTS: No version history table default.t at or before 2020-01-01T00:00:00Z",
        ),
        (
            "TIMESTAMP AS OF DATE '2020-01-01'",
            "INVALID_ARGUMENTS: No version history table default.t at or before 2020-01-01T00:00:00Z",
        ),
        (
            "TIMESTAMP AS OF '2020-01-01'",
            "TYPE_MISMATCH: line 1:18: Type varchar(10) invalid. Temporal pointers must be of type Timestamp, "
            "Timestamp with Time Zone, or Date.",
        ),
        ("TIMESTAMP AS OF NULL", "INVALID_ARGUMENTS: line 1:18: Pointer value cannot be NULL"),
        (
            "TIMESTAMP AS OF TIMESTAMP '2999-01-01 01:02:03.123'",
            "INVALID_ARGUMENTS: line 1:18: Pointer value '2999-01-01 01:02:03.123' is not in the past",
        ),
        (
            "TIMESTAMP AS OF DATE '2999-01-01'",
            "INVALID_ARGUMENTS: line 1:18: Pointer value '2999-01-01' is not in the past",
        ),
    ],
)
def test_pointers_that_point_nowhere_are_refused(rows: Run, table: str, pointer: str, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        rows(POINTER + pointer)
    assert str(caught.value) == message


def test_an_earlier_version_has_the_columns_of_its_time(
    execute: Run, rows: Run, table: str, context: Any, catalog: Catalog
) -> None:
    execute("ALTER TABLE t DROP COLUMN x")
    execute("ALTER TABLE t CHANGE COLUMN name title string")
    execute("ALTER TABLE t ADD COLUMNS (name int, late string)")
    execute("INSERT INTO t VALUES (5, DATE '2025-02-03', 'e', 7, 'z')")
    first, _, third, last = snapshot_ids(context, catalog)
    old = execute(f"SELECT * FROM t FOR VERSION AS OF {first}")
    assert [(column.name, column.type) for column in old.columns] == [
        ("id", "integer"),
        ("d", "date"),
        ("name", "varchar"),
        ("x", "double"),
    ]
    assert rows(f"SELECT name, x FROM t FOR VERSION AS OF {third} WHERE x > 2 AND name < 'c'") == [("b", 2.5)]
    assert rows(f"SELECT title, name, late FROM t FOR VERSION AS OF {last} WHERE id = 5") == [("e", 7, "z")]
    assert rows("SELECT title, name, late FROM t WHERE id = 2") == [("b", None, None)]
    joined = (
        f"SELECT o.name, n.title FROM t FOR VERSION AS OF {first} o JOIN t n ON o.id = n.id ORDER BY o.id"
    )
    assert rows(joined) == [("b", "b"), ("c", "c")]
    with pytest.raises(QueryError, match="COLUMN_NOT_FOUND: line 1:8: Column 'title' cannot be resolved"):
        rows(f"SELECT title FROM t FOR VERSION AS OF {first}")


def test_metadata_tables_and_views_have_no_versions(execute: Run, rows: Run, table: str) -> None:
    execute("CREATE VIEW v AS SELECT * FROM t")
    for name in ('"t$files"', "v"):
        with pytest.raises(QueryError, match="NOT_SUPPORTED"):
            rows(f"SELECT * FROM {name} FOR VERSION AS OF 'main'")


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


def files(rows: Run) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = rows('SELECT content, record_count FROM "t$files" ORDER BY 1, 2')
    return found


def test_optimize_rewrites_only_the_partitions_it_is_told(execute: Run, rows: Run, table: str) -> None:
    execute("ALTER TABLE t SET TBLPROPERTIES ('optimize_rewrite_data_file_threshold' = '2')")
    execute("INSERT INTO t VALUES (5, DATE '2025-01-05', 'e', 5.5e0)")
    before = rows("SELECT id, d, name, x FROM t ORDER BY id")
    execute("OPTIMIZE t REWRITE DATA USING BIN_PACK WHERE d >= DATE '2025-02-01'")
    assert files(rows) == [(0, 1), (0, 2), (0, 2), (1, 1)]
    execute("OPTIMIZE t REWRITE DATA USING BIN_PACK WHERE d < DATE '2025-02-01'")
    assert files(rows) == [(0, 2), (0, 2)]
    assert rows("SELECT id, d, name, x FROM t ORDER BY id") == before
    for predicate, message in (
        ("id = 1", "NOT_SUPPORTED: Unexpected FilterNode found in plan"),
        ("nowhere = 1", "COLUMN_NOT_FOUND: line 1:46: Column 'nowhere' cannot be resolved"),
    ):
        with pytest.raises(QueryError, match=message):
            execute(f"OPTIMIZE t REWRITE DATA USING BIN_PACK WHERE {predicate}")


def test_optimize_honours_the_sizes_of_the_table(execute: Run, rows: Run, table: str) -> None:
    execute("INSERT INTO t VALUES (5, DATE '2025-02-05', 'e', 5.5e0)")
    execute(
        "ALTER TABLE t SET TBLPROPERTIES ('optimize_rewrite_data_file_threshold' = '1', "
        "'optimize_rewrite_min_data_file_size_bytes' = '1')"
    )
    execute("OPTIMIZE t REWRITE DATA USING BIN_PACK")
    assert files(rows) == [(0, 1), (0, 1), (0, 1), (0, 2), (1, 1)]  # nothing is that small
    execute("ALTER TABLE t SET TBLPROPERTIES ('optimize_rewrite_max_data_file_size_bytes' = '2')")
    execute("OPTIMIZE t REWRITE DATA USING BIN_PACK WHERE d < DATE '2025-02-01'")
    assert files(rows) == [
        (0, 1),
        (0, 1),
        (0, 1),
        (0, 1),
    ]  # too large, so written again without its deleted row


def test_optimize_goes_on_beside_an_insert_and_not_beside_a_delete(
    execute: Run, rows: Run, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from athena_local.iceberg import commit

    execute("ALTER TABLE t SET TBLPROPERTIES ('optimize_rewrite_data_file_threshold' = '2')")
    real, overtaking = commit.snapshot_updates, ["INSERT INTO t VALUES (9, NULL, 'beside', NULL)"]

    def overtaken(*arguments: Any) -> Any:
        updates = real(*arguments)
        if overtaking:
            execute(overtaking.pop())
        return updates

    monkeypatch.setattr(commit, "snapshot_updates", overtaken)
    execute("OPTIMIZE t REWRITE DATA USING BIN_PACK")
    assert rows("SELECT id FROM t ORDER BY id") == [(2,), (3,), (4,), (9,)]
    execute("INSERT INTO t VALUES (5, DATE '2025-02-05', 'e', 5.5e0)")
    overtaking.append("DELETE FROM t WHERE id = 3")
    with pytest.raises(QueryError, match="ICEBERG_COMMIT_ERROR"):
        execute("OPTIMIZE t REWRITE DATA USING BIN_PACK")
    assert rows("SELECT id FROM t ORDER BY id") == [(2,), (4,), (5,), (9,)]


def test_vacuum_keeps_so_many_snapshots_and_metadata_files(
    execute: Run, rows: Run, table: str, objects: ObjectStore, lake: str, context: Any, catalog: Catalog
) -> None:
    execute(
        "ALTER TABLE t SET TBLPROPERTIES ('vacuum_max_snapshot_age_seconds' = '0', 'vacuum_min_snapshots_to_keep' = '2',"
        " 'vacuum_max_metadata_files_to_keep' = '1')"
    )
    assert len(metadata_files(objects, lake)) == 4
    execute("VACUUM t")
    assert rows('SELECT operation FROM "t$snapshots" ORDER BY committed_at') == [("append",), ("delete",)]
    loaded = load(context, catalog.get_table("default", "t"))
    logged = {entry.metadata_file for entry in loaded.metadata.metadata_log}
    assert metadata_files(objects, lake) == logged | {loaded.location}
    assert rows("SELECT id FROM t ORDER BY id") == [(2,), (3,), (4,)]
    execute("INSERT INTO t VALUES (5, DATE '2025-02-05', 'e', 5.5e0)")
    assert rows("SELECT count(*) FROM t") == [(4,)]


def metadata_files(objects: ObjectStore, lake: str) -> set[str]:
    return {item.path for item in objects.list(f"{lake}t/metadata/") if item.path.endswith(".metadata.json")}


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


def test_hidden_columns_tell_file_and_time(rows: Run, table: str) -> None:
    found = rows('SELECT id, "$path", "$file_modified_time" FROM t ORDER BY id')
    assert [row[0] for row in found] == [2, 3, 4]
    assert all(row[1].startswith("s3://") and row[1].endswith(".parquet") for row in found)
    age = datetime.datetime.now(datetime.UTC) - found[0][2]
    assert age < datetime.timedelta(minutes=5)
    assert rows("SELECT count(*) FROM t WHERE \"$path\" = 'nowhere'") == [(0,)]
    with pytest.raises(QueryError, match="COLUMN_NOT_FOUND"):
        rows('SELECT "$pos" FROM t')


def test_lost_metadata_is_told_by_the_tables_name(
    execute: Run, rows: Run, table: str, objects: ObjectStore, catalog: Catalog
) -> None:
    from athena_local.iceberg import table as tables

    location = catalog.get_table("default", "t")["Parameters"]["metadata_location"]
    objects.delete([location])
    tables._metadata_cache.clear()
    with pytest.raises(QueryError) as caught:
        rows("SELECT * FROM t")
    message = "ICEBERG_MISSING_METADATA: Metadata not found in metadata location for table default.t"
    assert str(caught.value) == message
    execute("DROP TABLE t")
    assert list(catalog.get_tables("default")) == []
