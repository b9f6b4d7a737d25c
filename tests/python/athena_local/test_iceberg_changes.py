"""DELETE, UPDATE and MERGE on Iceberg tables: position deletes, one snapshot each, conflicts told and nothing lost."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pyiceberg.manifest import DataFileContent, ManifestContent
from pyiceberg.table import StaticTable

from athena_local.catalog import Catalog
from athena_local.errors import QueryError
from athena_local.iceberg import commit as commits
from athena_local.objects import ObjectStore

Run = Callable[..., Any]

ROWS = """SELECT * FROM (VALUES
    (1, DATE '2025-01-01', 'a'), (2, DATE '2025-01-02', 'b'), (3, DATE '2025-01-03', 'c'),
    (4, DATE '2025-02-01', 'd'), (5, DATE '2025-02-02', 'e')) AS v (id, d, name)"""


@pytest.fixture
def table(execute: Run, lake: str) -> str:
    """`t`, five rows in two months."""
    execute(
        f"""CREATE TABLE t WITH (table_type = 'ICEBERG', is_external = false, location = '{lake}t/',
            partitioning = ARRAY['month(d)']) AS {ROWS}"""
    )
    return "t"


@pytest.fixture
def external(catalog: Catalog, s3_endpoint: str) -> Callable[[], StaticTable]:
    def load() -> StaticTable:
        location = catalog.get_table("default", "t")["Parameters"]["metadata_location"]
        return StaticTable.from_metadata(
            location,
            {
                "s3.endpoint": s3_endpoint,
                "s3.access-key-id": "test",
                "s3.secret-access-key": "test",
                "s3.region": "us-east-2",
            },
        )

    return load


def pairs(table: StaticTable) -> list[tuple[int, str]]:
    return sorted((row["id"], row["name"]) for row in table.scan().to_arrow().to_pylist())


def delete_files(table: StaticTable) -> list[Any]:
    snapshot = table.current_snapshot()
    assert snapshot is not None
    return [
        entry
        for manifest in snapshot.manifests(table.io)
        if manifest.content is ManifestContent.DELETES
        for entry in manifest.fetch_manifest_entry(table.io)
    ]


def test_delete_writes_position_deletes_that_others_apply(
    execute: Run, rows: Run, table: str, external: Run
) -> None:
    assert execute("DELETE FROM t WHERE id IN (2, 4)").update_count == 2
    assert rows("SELECT id FROM t ORDER BY id") == [(1,), (3,), (5,)]
    loaded = external()
    assert pairs(loaded) == [(1, "a"), (3, "c"), (5, "e")]
    entries = delete_files(loaded)
    assert [entry.data_file.content for entry in entries] == [DataFileContent.POSITION_DELETES] * 2
    assert len({tuple(entry.data_file.partition) for entry in entries}) == 2
    assert {entry.sequence_number for entry in entries} == {2}


def test_delete_summary_counts_files_and_deletes(execute: Run, table: str, external: Run) -> None:
    execute("DELETE FROM t WHERE id = 2")
    summary = external().current_snapshot().summary
    assert summary.operation.value == "delete"
    assert summary["added-position-deletes"] == "1"
    assert summary["added-delete-files"] == "1"
    assert summary["total-position-deletes"] == "1"
    assert summary["total-data-files"] == "2"
    assert summary["total-records"] == "5"


def test_delete_file_layout_is_the_specifications(
    execute: Run, table: str, external: Run, objects: ObjectStore
) -> None:
    import io

    import pyarrow.parquet as pq

    execute("DELETE FROM t WHERE id IN (1, 3)")
    (entry,) = delete_files(external())
    file = pq.ParquetFile(io.BytesIO(objects.read(entry.data_file.file_path)))
    ids = {field.name: int(field.metadata[b"PARQUET:field_id"]) for field in file.schema_arrow}
    assert ids == {"file_path": 2147483546, "pos": 2147483545}
    content = file.read().to_pylist()
    assert content == sorted(content, key=lambda row: (row["file_path"], row["pos"]))
    assert len(content) == 2


def test_delete_of_a_files_last_rows_drops_the_file(
    execute: Run, rows: Run, table: str, external: Run
) -> None:
    execute("DELETE FROM t WHERE d >= DATE '2025-02-01'")
    loaded = external()
    assert delete_files(loaded) == []
    assert len(list(loaded.scan().plan_files())) == 1
    assert loaded.current_snapshot().summary["deleted-data-files"] == "1"
    execute("DELETE FROM t WHERE id = 1")
    execute("DELETE FROM t WHERE id IN (2, 3)")
    assert rows("SELECT * FROM t") == []
    loaded = external()
    assert list(loaded.scan().plan_files()) == []
    assert delete_files(loaded) == []
    assert loaded.current_snapshot().summary["total-position-deletes"] == "0"


def test_delete_without_where_empties_the_table(execute: Run, rows: Run, table: str, external: Run) -> None:
    execute("DELETE FROM t WHERE id = 1")
    assert execute("DELETE FROM t").update_count == 4
    assert rows("SELECT count(*) FROM t") == [(0,)]
    assert pairs(external()) == []


def test_delete_of_nothing_commits_no_snapshot(execute: Run, table: str, external: Run) -> None:
    assert execute("DELETE FROM t WHERE id = 99").update_count == 0
    assert len(external().metadata.snapshots) == 1


def test_update_changes_rows_in_one_snapshot(execute: Run, rows: Run, table: str, external: Run) -> None:
    assert (
        execute("UPDATE t SET name = name || '!', d = DATE '2025-03-01' WHERE id = 2 OR id = 4").update_count
        == 2
    )
    assert rows("SELECT id, name, month(d) FROM t ORDER BY id") == [
        (1, "a", 1),
        (2, "b!", 3),
        (3, "c", 1),
        (4, "d!", 3),
        (5, "e", 2),
    ]
    loaded = external()
    assert len(loaded.metadata.snapshots) == 2
    assert loaded.current_snapshot().summary.operation.value == "overwrite"
    assert pairs(loaded) == [(1, "a"), (2, "b!"), (3, "c"), (4, "d!"), (5, "e")]


SOURCE = "MERGE INTO t USING (SELECT 1 AS i, 'w' AS w) s ON t.id = s.i "


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "UPDATE t SET name = 'x', nowhere = 1",
            "COLUMN_NOT_FOUND: line 1:26: The UPDATE SET target column nowhere doesn't exist",
        ),
        (
            "-- why\nUPDATE t SET id = d",
            "TYPE_MISMATCH: line 2:1: UPDATE table column types don't match SET expressions: "
            "Table: [integer], Expressions: [date]",
        ),
        (
            "MERGE INTO t USING (SELECT 1 AS i) s ON s.i WHEN MATCHED THEN DELETE",
            "TYPE_MISMATCH: line 1:41: The MERGE predicate must evaluate to a boolean: actual type integer",
        ),
        (
            SOURCE + "WHEN MATCHED AND s.i THEN DELETE",
            "TYPE_MISMATCH: line 1:79: WHERE clause predicate must evaluate to a boolean: actual type integer",
        ),
        (
            SOURCE + "WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id) VALUES (DATE '2025-01-01')",
            "TYPE_MISMATCH: line 1:87: MERGE table column types don't match for MERGE case 1, SET expressions: "
            "Table: [integer], Expressions: [date]",
        ),
        (
            SOURCE + "WHEN MATCHED THEN UPDATE SET nowhere = 1",
            "COLUMN_NOT_FOUND: line 1:1: Merge column name does not exist in target table: nowhere",
        ),
        (
            SOURCE + "WHEN NOT MATCHED THEN INSERT (id, id) VALUES (1, 2)",
            "DUPLICATE_COLUMN_NAME: line 1:1: Merge column name is specified more than once: id",
        ),
        (
            SOURCE + "WHEN NOT MATCHED THEN INSERT (id) VALUES (s.i, s.w)",
            "GENERIC_INTERNAL_ERROR: Number of merge columns (1) isn't equal to number of expressions (2)",
        ),
        (
            "INSERT INTO t (id, nowhere) VALUES (1, 2)",
            "COLUMN_NOT_FOUND: Insert column name does not exist in target table: nowhere",
        ),
        (
            "INSERT INTO t (id, id) VALUES (1, 2)",
            "DUPLICATE_COLUMN_NAME: Insert column name is specified more than once: id",
        ),
        (
            "INSERT INTO t (id) VALUES (true)",
            "TYPE_MISMATCH: Insert query has mismatched column types: Table: [integer], Query: [boolean]",
        ),
        (
            "DELETE FROM t WHERE id",
            "TYPE_MISMATCH: line 1:21: WHERE clause must evaluate to a boolean: actual type integer",
        ),
    ],
)
def test_changes_that_do_not_fit_the_table_are_refused_in_trinos_words(
    execute: Run, rows: Run, table: str, sql: str, message: str
) -> None:
    with pytest.raises(QueryError) as caught:
        execute(sql)
    assert str(caught.value) == message
    assert rows("SELECT count(*) FROM t") == [(5,)]


def test_parameters_stand_for_whole_values(execute: Run, rows: Run, table: str) -> None:
    execute("UPDATE t SET name = ? WHERE id = ?", execution_parameters=("'new'", "1"))
    merge = """MERGE INTO t USING (SELECT ? AS i) s ON t.id = s.i WHEN MATCHED THEN UPDATE SET name = ?
               WHEN NOT MATCHED THEN INSERT (id, name) VALUES (?, ?)"""
    execute(merge, execution_parameters=("2", "'merged'", "7", "'never'"))
    execute(merge, execution_parameters=("9", "'never'", "9", "'added'"))
    assert rows("SELECT id, name FROM t WHERE id IN (1, 2, 9) ORDER BY id") == [
        (1, "new"),
        (2, "merged"),
        (9, "added"),
    ]


MERGE = """MERGE INTO t USING (SELECT * FROM (VALUES
    (1, 'new'), (2, 'gone'), (3, 'same'), (9, 'added'), (8, 'skip')) AS v (id, name)) AS s ON t.id = s.id """


@pytest.mark.parametrize(
    ("clauses", "expected", "count"),
    [
        ("WHEN MATCHED THEN UPDATE SET name = s.name", {1: "new", 2: "gone", 3: "same"}, 3),
        ("WHEN MATCHED THEN DELETE", {1: None, 2: None, 3: None}, 3),
        ("WHEN MATCHED AND s.name = 'gone' THEN DELETE", {2: None}, 1),
        (
            "WHEN MATCHED AND s.name = 'gone' THEN DELETE WHEN MATCHED AND s.name <> 'same' THEN UPDATE SET name = s.name",
            {1: "new", 2: None},
            2,
        ),
        ("WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, s.name)", {9: "added", 8: "skip"}, 2),
        (
            "WHEN NOT MATCHED AND s.name = 'added' THEN INSERT (id, d, name) VALUES (s.id, DATE '2025-01-05', s.name)",
            {9: "added"},
            1,
        ),
        (
            """WHEN MATCHED AND s.name = 'gone' THEN DELETE
               WHEN MATCHED AND s.name = 'new' THEN UPDATE SET name = concat(t.name, s.name), d = DATE '2025-02-07'
               WHEN MATCHED THEN UPDATE SET name = 'last'
               WHEN NOT MATCHED AND s.name = 'skip' THEN INSERT (id, name) VALUES (s.id + 100, 'odd')
               WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, upper(s.name))""",
            {1: "anew", 2: None, 3: "last", 108: "odd", 9: "ADDED"},
            5,
        ),
    ],
)
def test_merge_clauses_apply_in_order(
    execute: Run,
    rows: Run,
    table: str,
    external: Run,
    clauses: str,
    expected: dict[int, str | None],
    count: int,
) -> None:
    assert execute(MERGE + clauses).update_count == count
    wanted: dict[int, str | None] = {1: "a", 2: "b", 3: "c", 4: "d", 5: "e", **expected}
    wanted_rows = sorted((key, value) for key, value in wanted.items() if value is not None)
    assert rows("SELECT id, name FROM t ORDER BY id") == wanted_rows
    assert pairs(external()) == wanted_rows
    assert len(external().metadata.snapshots) == 2


def test_merge_touches_only_partitions_with_changes(execute: Run, table: str, external: Run) -> None:
    before = {task.file.file_path for task in external().scan().plan_files()}
    execute("MERGE INTO t USING (SELECT 1 AS id) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET name = 'x'")
    after = {task.file.file_path: task.file.partition[0] for task in external().scan().plan_files()}
    assert before < set(after)
    assert [partition for path, partition in after.items() if path not in before] == [660]  # 2025-01
    assert external().current_snapshot().summary["changed-partition-count"] == "1"


def test_merge_that_changes_nothing_commits_no_snapshot(execute: Run, table: str, external: Run) -> None:
    sql = "MERGE INTO t USING (SELECT 77 AS id) AS s ON t.id = s.id WHEN MATCHED THEN DELETE"
    assert execute(sql).update_count == 0
    assert len(external().metadata.snapshots) == 1


def test_merge_of_two_source_rows_into_one_is_refused(execute: Run, rows: Run, table: str) -> None:
    with pytest.raises(QueryError) as caught:
        execute(
            """MERGE INTO t USING (SELECT * FROM (VALUES (1, 'x'), (1, 'y')) AS v (id, name)) AS s ON t.id = s.id
               WHEN MATCHED THEN UPDATE SET name = s.name"""
        )
    assert str(caught.value) == (
        "MERGE_TARGET_ROW_MULTIPLE_MATCHES: One MERGE target table row matched more than one source row"
    )
    assert rows("SELECT name FROM t WHERE id = 1") == [("a",)]


def test_merge_with_a_null_condition_does_not_apply(execute: Run, rows: Run, table: str) -> None:
    execute(
        """MERGE INTO t USING (SELECT 1 AS id, CAST(NULL AS varchar) AS name) AS s ON t.id = s.id
           WHEN MATCHED AND s.name = 'x' THEN DELETE WHEN MATCHED THEN UPDATE SET name = 'null came'"""
    )
    assert rows("SELECT name FROM t WHERE id = 1") == [("null came",)]


def test_merge_again_and_again_reads_back_right(execute: Run, rows: Run, table: str, external: Run) -> None:
    for number in range(4):
        execute(
            f"""MERGE INTO t USING (SELECT id, 'v{number}' AS name FROM t WHERE id <= 3) AS s ON t.id = s.id
                WHEN MATCHED THEN UPDATE SET name = s.name"""
        )
    expected = [(1, "v3"), (2, "v3"), (3, "v3"), (4, "d"), (5, "e")]
    assert rows("SELECT id, name FROM t ORDER BY id") == expected
    assert pairs(external()) == expected


def test_failed_change_leaves_the_old_state_and_no_files(
    execute: Run, rows: Run, table: str, objects: ObjectStore, lake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(item.path for item in objects.list(lake))

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(Catalog, "update_table", refuse)
    with pytest.raises(OSError, match="the disk is full"):
        execute("UPDATE t SET name = 'x' WHERE id < 5")
    monkeypatch.undo()
    assert sorted(item.path for item in objects.list(lake)) == before
    assert rows("SELECT id, name FROM t ORDER BY id") == [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")]


def test_orphans_of_a_killed_write_harm_nothing(
    execute: Run, rows: Run, table: str, objects: ObjectStore, lake: str
) -> None:
    objects.write(f"{lake}t/data/d_month=2025-01/orphan.parquet", b"half a file")
    objects.write(f"{lake}t/metadata/00001-orphan.metadata.json", b"{")
    assert rows("SELECT count(*) FROM t") == [(5,)]
    execute("DELETE FROM t WHERE id = 1")
    assert rows("SELECT count(*) FROM t") == [(4,)]


def test_concurrent_inserts_lose_nothing(execute: Run, rows: Run, table: str, external: Run) -> None:
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda number: execute(f"INSERT INTO t VALUES ({number}, NULL, 'n')"), range(100, 120)))
    assert rows("SELECT count(*), count(DISTINCT id) FROM t") == [(25, 25)]
    assert len(external().metadata.snapshots) == 21
    assert external().current_snapshot().summary["total-records"] == "25"


def test_two_merges_at_once_one_is_told_to_retry(
    execute: Run, rows: Run, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    barrier, real = threading.Barrier(2), commits.snapshot_updates

    def together(*arguments: Any) -> Any:
        updates = real(*arguments)
        barrier.wait(100)
        return updates

    monkeypatch.setattr(commits, "snapshot_updates", together)

    def merge(name: str) -> QueryError | None:
        try:
            execute(
                f"MERGE INTO t USING (SELECT 1 AS id) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET name = '{name}'"
            )
        except QueryError as error:
            return error
        return None

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(merge, ["x", "y"]))
    (error,) = [outcome for outcome in outcomes if outcome is not None]
    assert (error.code, error.error_type, error.retryable) == ("ICEBERG_COMMIT_ERROR", 233, True)
    winner = "x" if outcomes[0] is None else "y"
    assert rows("SELECT id, name FROM t ORDER BY id")[0] == (1, winner)


@pytest.fixture
def overtaking(execute: Run, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Statements that commit between what the next one reads and its own commit."""
    statements: list[str] = []
    real = commits.snapshot_updates

    def overtaken(*arguments: Any) -> Any:
        updates = real(*arguments)
        while statements:
            execute(statements.pop(0))
        return updates

    monkeypatch.setattr(commits, "snapshot_updates", overtaken)
    return statements


MERGE_JANUARY = """MERGE INTO t USING (VALUES (1, 'x'), (70, 'new')) AS s (id, n)
    ON t.id = s.id AND t.d < DATE '2025-02-01' WHEN MATCHED THEN UPDATE SET name = s.n
    WHEN NOT MATCHED THEN INSERT (id, d, name) VALUES (s.id, DATE '2025-01-31', s.n)"""


@pytest.mark.parametrize(
    ("sql", "others", "conflicts"),
    [
        ("DELETE FROM t WHERE id = 1", ["INSERT INTO t VALUES (50, NULL, 'x')"], False),
        ("DELETE FROM t WHERE id = 1", ["INSERT INTO t VALUES (1, NULL, 'x')"], True),
        ("DELETE FROM t WHERE name = 'a'", ["INSERT INTO t VALUES (50, NULL, 'b')"], False),
        ("DELETE FROM t", ["INSERT INTO t VALUES (50, NULL, 'x')"], True),
        ("DELETE FROM t WHERE d < DATE '2025-02-01'", ["DELETE FROM t WHERE d >= DATE '2025-02-01'"], False),
        ("DELETE FROM t WHERE id = 1", ["DELETE FROM t WHERE id = 4"], False),  # of another partition
        ("DELETE FROM t WHERE id = 1", ["DELETE FROM t WHERE id = 2"], True),  # of the same
        ("UPDATE t SET name = 'u' WHERE id = 1", ["DELETE FROM t WHERE id < 4"], True),
        ("UPDATE t SET name = 'u' WHERE id = 1", ["INSERT INTO t VALUES (50, NULL, 'x')"] * 2, False),
        (MERGE_JANUARY, ["INSERT INTO t VALUES (70, DATE '2025-02-03', 'x')"], False),
        (MERGE_JANUARY, ["INSERT INTO t VALUES (70, DATE '2025-01-03', 'x')"], True),
        ("INSERT INTO t VALUES (51, NULL, 'y')", ["DELETE FROM t WHERE id = 1"], False),
    ],
)
def test_changes_conflict_only_where_they_meet(
    execute: Run,
    rows: Run,
    table: str,
    external: Run,
    objects: ObjectStore,
    lake: str,
    overtaking: list[str],
    sql: str,
    others: list[str],
    conflicts: bool,
) -> None:
    execute(
        "CREATE TABLE one WITH (table_type = 'ICEBERG', location = '" + lake + "one/') AS SELECT * FROM t"
    )
    for statement in [*others, *([] if conflicts else [sql])]:  # what a sequence of them would leave
        execute(statement.replace(" t ", " one ").replace(" t.", " one.").replace("FROM t", "FROM one"))
    overtaking += others
    if conflicts:
        with pytest.raises(QueryError) as caught:
            execute(sql)
        assert (caught.value.code, caught.value.error_type) == ("ICEBERG_COMMIT_ERROR", 233)
    else:
        execute(sql)
    left = rows("SELECT id, d, name FROM t ORDER BY id, name")
    assert left == rows("SELECT id, d, name FROM one ORDER BY id, name")
    assert pairs(external()) == sorted((row[0], row[2]) for row in left)
    needed = {row[0] for row in rows('SELECT file_path FROM "t$files"')}
    assert needed <= {item.path for item in objects.list(f"{lake}t/data/")}


def test_insert_goes_on_beside_a_schema_change_and_not_into_another_table(
    execute: Run, rows: Run, table: str, lake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, overtaking = commits.snapshot_updates, [["ALTER TABLE t ADD COLUMNS (late int)"]]

    def overtaken(*arguments: Any) -> Any:
        updates = real(*arguments)
        for sql in overtaking.pop() if overtaking else []:
            execute(sql)
        return updates

    monkeypatch.setattr(commits, "snapshot_updates", overtaken)
    execute("INSERT INTO t VALUES (6, NULL, 'f')")
    assert rows("SELECT id, name, late FROM t WHERE id > 4 ORDER BY id") == [(5, "e", None), (6, "f", None)]
    overtaking.append(
        [
            "DROP TABLE t",
            f"CREATE TABLE t (id int, d date, name string, late int) LOCATION '{lake}u/' "
            "TBLPROPERTIES ('table_type' = 'ICEBERG')",
        ]
    )
    with pytest.raises(QueryError, match="ICEBERG_COMMIT_ERROR"):
        execute("INSERT INTO t VALUES (7, NULL, 'g', 1)")
    assert rows("SELECT * FROM t") == []


def test_many_small_commits_keep_the_manifests_few(
    execute: Run, rows: Run, table: str, external: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "MERGE_MANIFESTS", 4)
    for number in range(10):
        execute(f"INSERT INTO t VALUES ({number + 10}, NULL, 'n')")
    loaded = external()
    assert len(loaded.current_snapshot().manifests(loaded.io)) <= 4
    assert rows("SELECT count(*) FROM t") == [(15,)]
    assert len(pairs(loaded)) == 15


KILLED = """
import os, signal, sys
from pathlib import Path
from athena_local.catalog import Catalog
from athena_local.config import Config
from athena_local.context import QueryContext
from athena_local.objects import ObjectStore
from athena_local.sql import parse_statement
from athena_local.statements import execute

data_dir, endpoint, moment, sql = sys.argv[1:]
real = Catalog.update_table

def update_table(*arguments, **options):
    if moment == "after":
        real(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)

Catalog.update_table = update_table
config = Config(data_dir=Path(data_dir), s3_endpoint=endpoint)
catalog = Catalog(config.catalog_path, config.account_id)
context = QueryContext("killed", config, catalog, ObjectStore(config), "default", "s3://athena-local-tests/results/")
execute(parse_statement(sql), context)
"""


@pytest.mark.parametrize(("moment", "name"), [("before", "a"), ("after", "merged")])
def test_merge_killed_at_the_commit_leaves_the_old_state_or_the_new(
    execute: Run,
    rows: Run,
    table: str,
    config: Any,
    external: Run,
    objects: ObjectStore,
    lake: str,
    moment: str,
    name: str,
) -> None:
    merge = """MERGE INTO t USING (SELECT 1 AS id UNION ALL SELECT 60) AS s ON t.id = s.id
               WHEN MATCHED THEN UPDATE SET name = 'merged' WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, 'new')"""
    arguments = [sys.executable, "-c", KILLED, str(config.data_dir), config.s3_endpoint, moment, merge]
    assert subprocess.run(arguments, check=False, timeout=120).returncode == -signal.SIGKILL
    expected = [(1, name), (2, "b"), (3, "c"), (4, "d"), (5, "e")] + (
        [(60, "new")] if moment == "after" else []
    )
    assert rows("SELECT id, name FROM t ORDER BY id") == expected
    assert pairs(external()) == expected
    if moment == "before":
        _vacuum_removes_what_was_left(execute, rows, objects, lake)
    execute(merge)
    assert rows("SELECT name, count(*) FROM t WHERE id IN (1, 60) GROUP BY name ORDER BY name") in (
        [("merged", 1), ("new", 1)],
        [("merged", 2)],
    )


def _vacuum_removes_what_was_left(execute: Run, rows: Run, objects: ObjectStore, lake: str) -> None:
    needed = {row[0] for row in rows('SELECT file_path FROM "t$files"')}
    present = {item.path for item in objects.list(f"{lake}t/data/")}
    assert len(present - needed) == 3  # two data files and the delete file of the merge
    execute("ALTER TABLE t SET TBLPROPERTIES ('vacuum_max_snapshot_age_seconds' = '0')")
    time.sleep(1.1)  # S3 keeps whole seconds
    execute("VACUUM t")
    assert {item.path for item in objects.list(f"{lake}t/data/")} == needed
