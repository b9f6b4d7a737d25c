"""AWS SDK for pandas on Iceberg tables: append, overwrite, merge, a schema that grows, deletes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import awswrangler as wr
import pandas as pd
import pytest

pytestmark = pytest.mark.filterwarnings(
    "ignore::pandas.errors.Pandas4Warning"  # awswrangler 3.17 asks pandas 3 for what pandas 4 drops
)


@pytest.fixture(scope="module", autouse=True)
def settings(environment: dict[str, str], work_group: str) -> Iterator[None]:
    wr.config.athena_query_wait_polling_delay = 0.01
    wr.config.workgroup = work_group
    yield
    wr.config.reset()


@pytest.fixture
def write(database: str, table: str, lake: str) -> Any:
    def to_iceberg(frame: pd.DataFrame, **arguments: Any) -> None:
        wr.athena.to_iceberg(
            frame,
            database=database,
            table=table,
            table_location=f"{lake}{table}/",
            temp_path=f"{lake}temporary/",
            keep_files=False,
            **arguments,
        )

    return to_iceberg


@pytest.fixture
def read(database: str, table: str) -> Any:
    def rows(columns: str = "id, v") -> list[tuple[Any, ...]]:
        found = wr.athena.read_sql_query(
            f"select {columns} from {table} order by id", database=database, ctas_approach=False
        )
        return [
            tuple(None if pd.isna(cell) else cell for cell in row)
            for row in found.itertuples(index=False, name=None)
        ]

    return rows


def test_append_then_overwrite(write: Any, read: Any, database: str, table: str, lake: str) -> None:
    write(
        pd.DataFrame({"id": [1, 2], "v": ["a", "b"], "at": pd.to_datetime(["2024-01-01", "2024-02-01"])}),
        partition_cols=["month(at)", "bucket(4, id)"],
        additional_table_properties={"write_compression": "zstd"},
    )
    write(pd.DataFrame({"id": [3], "v": ["c"], "at": pd.to_datetime(["2024-03-01"])}))
    assert read() == [(1, "a"), (2, "b"), (3, "c")]
    assert wr.catalog.get_table_parameters(database=database, table=table)["table_type"] == "ICEBERG"
    assert wr.s3.list_objects(f"{lake}temporary/") == []
    write(pd.DataFrame({"id": [9], "v": ["z"], "at": pd.to_datetime(["2024-03-01"])}), mode="overwrite")
    assert read() == [(9, "z")]


def test_overwrite_of_partitions_keeps_the_others(write: Any, read: Any) -> None:
    write(pd.DataFrame({"id": [1, 2, 3], "v": ["a", "b", "b"]}), partition_cols=["v"])
    write(pd.DataFrame({"id": [4], "v": ["b"]}), mode="overwrite_partitions", partition_cols=["v"])
    assert read() == [(1, "a"), (4, "b")]


def test_merge_updates_and_inserts(write: Any, read: Any) -> None:
    write(pd.DataFrame({"id": [1, 2], "v": ["a", "b"]}))
    write(pd.DataFrame({"id": [2, 3], "v": ["B", "c"]}), merge_cols=["id"])
    assert read() == [(1, "a"), (2, "B"), (3, "c")]
    write(pd.DataFrame({"id": [3, 4], "v": ["ignored", "d"]}), merge_cols=["id"], merge_condition="ignore")
    assert read() == [(1, "a"), (2, "B"), (3, "c"), (4, "d")]


def test_schema_grows_when_allowed(write: Any, read: Any, database: str, table: str) -> None:
    write(pd.DataFrame({"id": [1], "v": ["a"]}))
    wider = pd.DataFrame({"id": [2], "v": ["b"], "score": [0.5]})
    with pytest.raises(wr.exceptions.InvalidArgumentValue, match="Schema change detected"):
        write(wider)
    write(wider, schema_evolution=True)
    write(pd.DataFrame({"id": [3]}), schema_evolution=True, fill_missing_columns_in_df=True)
    assert read("id, v, score") == [(1, "a", None), (2, "b", 0.5), (3, None, None)]
    assert wr.catalog.get_table_types(database=database, table=table) == {
        "id": "bigint",
        "v": "string",
        "score": "double",
    }


def test_rows_are_deleted_by_key(write: Any, read: Any, database: str, table: str, lake: str) -> None:
    write(pd.DataFrame({"id": [1, 2, 3], "v": ["a", "b", "c"]}))
    wr.athena.delete_from_iceberg_table(
        pd.DataFrame({"id": [1, 3]}),
        database=database,
        table=table,
        merge_cols=["id"],
        temp_path=f"{lake}temporary/",
        keep_files=False,
    )
    assert read() == [(2, "b")]
    history = wr.athena.read_sql_query(
        f'select snapshot_id from "{table}$snapshots"', database=database, ctas_approach=False
    )
    assert len(history) == 2


def test_maintenance_statements_run(write: Any, read: Any, database: str, table: str) -> None:
    for number in range(3):
        write(pd.DataFrame({"id": [number], "v": ["x"]}))
    for sql in (f"optimize {table} rewrite data using bin_pack", f"vacuum {table}"):
        assert (
            wr.athena.start_query_execution(sql, database=database, wait=True)["Status"]["State"]
            == "SUCCEEDED"
        )
    assert read("id") == [(0,), (1,), (2,)]
