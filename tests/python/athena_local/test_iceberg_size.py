"""Iceberg tables of many files, columns and snapshots: planning looks at each once, and is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pyiceberg.expressions import EqualTo
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.typedef import Record

from athena_local.catalog import Catalog
from athena_local.iceberg import planning
from athena_local.iceberg import table as tables
from athena_local.iceberg.commit import Changes, commit_changes

Run = Callable[..., Any]
FILES = 1000


def _entry(location: str, number: int) -> DataFile:
    """A file that is never read: planning goes by what manifests say."""
    bound = number.to_bytes(4, "little")
    data_file = DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=f"{location}/data/part={number % 100}/{number}.parquet",
        file_format=FileFormat.PARQUET,
        partition=Record(number % 100),
        record_count=10,
        file_size_in_bytes=1000,
        value_counts={1: 10},
        null_value_counts={1: 0},
        lower_bounds={1: bound},
        upper_bounds={1: bound},
    )
    data_file.spec_id = 0
    return data_file


@pytest.fixture
def table(execute: Run, context: Any, catalog: Catalog, lake: str) -> tables.IcebergTable:
    """`t`: a thousand files in a hundred partitions, by ten commits."""
    execute(
        f"""CREATE TABLE t (id int, part int) PARTITIONED BY (part) LOCATION '{lake}t/'
            TBLPROPERTIES ('table_type' = 'ICEBERG')"""
    )
    loaded = tables.load(context, catalog.get_table("default", "t"))
    for start in range(0, FILES, FILES // 10):
        added = [_entry(loaded.metadata.location, number) for number in range(start, start + FILES // 10)]
        loaded = commit_changes(context, loaded, Changes(added=added))
    return loaded


def test_a_thousand_files_are_looked_at_once_and_pruned_to_the_one_that_matters(
    rows: Run, table: tables.IcebergTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[str] = []
    matcher = planning.Filters.matcher

    def counted(filters: planning.Filters, spec_id: int) -> Callable[[DataFile], bool]:
        matches = matcher(filters, spec_id)
        return lambda data_file: looked_at.append(data_file.file_path) or matches(data_file)

    monkeypatch.setattr(planning.Filters, "matcher", counted)
    assert len(planning.plan(table).files) == FILES
    assert len(planning.plan(table, EqualTo("part", 7)).files) == FILES // 100
    (found,) = planning.plan(table, EqualTo("id", 707)).files
    assert len(looked_at) == 3 * FILES
    monkeypatch.undo()
    assert found[0].file_path.endswith("/part=7/707.parquet")
    assert rows('SELECT count(*), sum(record_count) FROM "t$files"') == [(FILES, FILES * 10)]
    assert rows('SELECT count(*), max(file_count) FROM "t$partitions"') == [(100, 10)]
    assert rows('SELECT count(*) FROM "t$manifests"') == [(10,)]


def test_a_wide_table_is_written_changed_and_read(execute: Run, rows: Run, lake: str) -> None:
    columns = [f"c{number}" for number in range(300)]
    execute(
        f"""CREATE TABLE wide ({", ".join(f"{name} int" for name in columns)}) LOCATION '{lake}w/'
            TBLPROPERTIES ('table_type' = 'ICEBERG')"""
    )
    values = ", ".join(f"n + {number}" for number in range(300))
    execute(f"INSERT INTO wide SELECT {values} FROM UNNEST(sequence(1, 50)) AS v (n)")
    execute("UPDATE wide SET c299 = -1 WHERE c0 = 10")
    merge = "MERGE INTO wide USING (SELECT 20 AS k) s ON wide.c0 = s.k WHEN MATCHED THEN UPDATE SET c1 = -2"
    assert execute(merge).update_count == 1
    assert rows("SELECT c0, c1, c298, c299 FROM wide WHERE c0 IN (10, 20, 30) ORDER BY c0") == [
        (10, 11, 308, -1),
        (20, -2, 318, 319),
        (30, 31, 328, 329),
    ]
    assert len(rows("SELECT * FROM wide WHERE c0 = 1")[0]) == 300


def test_a_hundred_snapshots_are_listed_travelled_and_forgotten(
    execute: Run, rows: Run, context: Any, catalog: Catalog, lake: str
) -> None:
    execute(
        f"CREATE TABLE s (id int, part int) PARTITIONED BY (part) LOCATION '{lake}s/' "
        "TBLPROPERTIES ('table_type' = 'ICEBERG', 'vacuum_max_snapshot_age_seconds' = '0')"
    )
    execute("INSERT INTO s VALUES (1, 1)")
    loaded = tables.load(context, catalog.get_table("default", "s"))
    first = loaded.snapshot_id
    for number in range(99):
        loaded = commit_changes(context, loaded, Changes(added=[_entry(loaded.metadata.location, number)]))
    assert rows('SELECT count(*) FROM "s$history" WHERE is_current_ancestor') == [(100,)]
    assert rows(f"SELECT id FROM s FOR VERSION AS OF {first}") == [(1,)]
    execute("VACUUM s")
    assert rows('SELECT count(*) FROM "s$snapshots"') == [(1,)]
    assert rows('SELECT count(*) FROM "s$files"') == [(100,)]
    assert rows("SELECT id FROM s WHERE part = 1 AND id > 500") == []
