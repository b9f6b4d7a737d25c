"""Random histories of changes on an Iceberg table, compared with a dictionary after every step."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyiceberg.table import StaticTable

from athena_local.catalog import Catalog

Run = Callable[..., Any]
Model = dict[int, tuple[int, str]]  # id -> (month, name)

IDS = st.integers(1, 12)
ROW = st.tuples(IDS, st.integers(1, 3), st.text("xyz'", min_size=0, max_size=3))
SOURCE = st.lists(ROW, min_size=1, max_size=8, unique_by=lambda row: row[0])
STEP = st.one_of(
    st.tuples(st.just("merge"), SOURCE, st.booleans(), st.booleans()),
    st.tuples(st.just("delete"), IDS, IDS),
    st.tuples(st.just("update"), IDS, st.integers(1, 3)),
    st.tuples(st.just("optimize")),
)
_names = itertools.count()


def _values(source: list[tuple[int, int, str]]) -> str:
    rows = (f"({key}, DATE '2025-0{month}-10', '{_text(name)}')" for key, month, name in source)
    return ", ".join(rows)


def _text(name: str) -> str:
    return name.replace("'", "''")


def _apply(step: Any, table: str, model: Model) -> tuple[str, int | None]:
    """Change the model and return the statement that should do the same, with the count it should answer."""
    if step[0] == "delete":
        low, high = sorted(step[1:])
        gone = [key for key in model if low <= key <= high]
        for key in gone:
            del model[key]
        return f"DELETE FROM {table} WHERE id BETWEEN {low} AND {high}", len(gone)
    if step[0] == "update":
        _, key, month = step
        if key in model:
            model[key] = (month, model[key][1] + "u")
        sql = f"UPDATE {table} SET d = DATE '2025-0{month}-10', name = concat(name, 'u') WHERE id = {key}"
        return sql, int(key in model)
    if step[0] == "optimize":
        return f"OPTIMIZE {table} REWRITE DATA USING BIN_PACK", None
    _, source, with_delete, with_insert = step
    count = 0
    for key, month, name in source:
        if key in model and with_delete and name == "":
            del model[key]
        elif key in model or with_insert:
            model[key] = (month, name)
        else:
            continue
        count += 1
    sql = f"MERGE INTO {table} t USING (SELECT * FROM (VALUES {_values(source)}) AS v (id, d, name)) s ON t.id = s.id "
    sql += "WHEN MATCHED AND s.name = '' THEN DELETE " if with_delete else ""
    sql += "WHEN MATCHED THEN UPDATE SET d = s.d, name = s.name "
    sql += "WHEN NOT MATCHED THEN INSERT (id, d, name) VALUES (s.id, s.d, s.name)" if with_insert else ""
    return sql, count


@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(start=SOURCE, steps=st.lists(STEP, min_size=1, max_size=5))
def test_random_changes_leave_what_a_dictionary_holds(
    execute: Run, rows: Run, catalog: Catalog, lake: str, s3_endpoint: str, start: Any, steps: Any
) -> None:
    table = f"t{next(_names)}"
    model: Model = {key: (month, name) for key, month, name in start}
    execute(
        f"""CREATE TABLE {table} WITH (table_type = 'ICEBERG', is_external = false, location = '{lake}{table}/',
            partitioning = ARRAY['month(d)'], optimize_rewrite_data_file_threshold = 2,
            optimize_rewrite_delete_file_threshold = 1)
            AS SELECT * FROM (VALUES {_values(start)}) AS v (id, d, name)"""
    )
    for step in steps:
        sql, count = _apply(step, table, model)
        result = execute(sql)
        assert count is None or result.update_count == count
        expected = sorted((key, datetime.date(2025, month, 10), name) for key, (month, name) in model.items())
        assert rows(f"SELECT id, d, name FROM {table} ORDER BY id") == expected
    location = catalog.get_table("default", table)["Parameters"]["metadata_location"]
    external = StaticTable.from_metadata(
        location,
        {
            "s3.endpoint": s3_endpoint,
            "s3.access-key-id": "test",
            "s3.secret-access-key": "test",
            "s3.region": "us-east-2",
        },
    )
    read = external.scan().to_arrow().to_pylist()
    assert sorted((row["id"], row["d"], row["name"]) for row in read) == expected
