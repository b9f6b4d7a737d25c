"""One table, two kinds of clients: Athena SQL over HTTP and PyIceberg through its own Glue catalog."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import BucketTransform
from pyiceberg.types import IntegerType, NestedField, StringType
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random

Run = Callable[..., Any]


@pytest.fixture
def pyiceberg(server: Any) -> GlueCatalog:
    return GlueCatalog(
        "athena_local",
        **{
            "glue.endpoint": server.endpoint,
            "glue.region": "us-east-2",
            "glue.access-key-id": "test",
            "glue.secret-access-key": "test",
            "s3.endpoint": server.s3_endpoint,
            "s3.region": "us-east-2",
            "s3.access-key-id": "test",
            "s3.secret-access-key": "test",
        },
    )


def arrow(*rows: tuple[int, str | None]) -> pa.Table:
    schema = pa.schema([("id", pa.int32()), ("name", pa.string())])
    return pa.table([[row[0] for row in rows], [row[1] for row in rows]], schema=schema)


def read(table: Any) -> list[tuple[int, str | None]]:
    return sorted((row["id"], row["name"]) for row in table.scan().to_arrow().to_pylist())


def test_table_made_by_athena_is_read_and_appended_to_by_a_glue_client(
    run_query: Run, pyiceberg: GlueCatalog, database: str, lake: str
) -> None:
    run_query(
        f"""CREATE TABLE t WITH (table_type = 'ICEBERG', is_external = false, location = '{lake}t/')
            AS SELECT 1 AS id, 'a' AS name""",
        database,
    )
    table = pyiceberg.load_table((database, "t"))
    assert read(table) == [(1, "a")]
    table.append(arrow((2, "b"), (3, "c")))
    assert run_query("SELECT id, name FROM t ORDER BY id", database) == [("1", "a"), ("2", "b"), ("3", "c")]
    run_query(
        """MERGE INTO t USING (SELECT * FROM (VALUES (2, 'B'), (4, 'd')) AS v (id, name)) AS s ON t.id = s.id
           WHEN MATCHED THEN UPDATE SET name = s.name WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, s.name)""",
        database,
    )
    assert read(pyiceberg.load_table((database, "t"))) == [(1, "a"), (2, "B"), (3, "c"), (4, "d")]


def test_table_made_by_a_glue_client_takes_athenas_statements(
    run_query: Run, pyiceberg: GlueCatalog, database: str, lake: str
) -> None:
    schema = Schema(
        NestedField(1, "id", IntegerType(), required=True),
        NestedField(2, "name", StringType(), required=False),
    )
    spec = PartitionSpec(PartitionField(1, 1000, BucketTransform(4), "id_bucket"))
    table = pyiceberg.create_table((database, "made"), schema, location=f"{lake}made", partition_spec=spec)
    run_query("INSERT INTO made VALUES (1, 'a'), (2, 'b'), (3, 'c')", database)
    run_query("DELETE FROM made WHERE id = 2", database)
    assert read(table.refresh()) == [(1, "a"), (3, "c")]
    with pytest.raises(AssertionError, match="NULL value not allowed for NOT NULL column: id"):
        run_query("INSERT INTO made VALUES (NULL, 'x')", database)


def test_stale_glue_client_is_refused(
    run_query: Run, pyiceberg: GlueCatalog, database: str, lake: str
) -> None:
    run_query(
        f"""CREATE TABLE t WITH (table_type = 'ICEBERG', is_external = false, location = '{lake}t/')
            AS SELECT 1 AS id, 'a' AS name""",
        database,
    )
    stale = pyiceberg.load_table((database, "t"))
    run_query("ALTER TABLE t ADD COLUMNS (early string)", database)
    change = stale.update_schema().add_column("late", StringType())
    with pytest.raises(CommitFailedException):
        change.commit()


def test_both_kinds_of_clients_appending_at_once_lose_nothing(
    run_query: Run, pyiceberg: GlueCatalog, database: str, lake: str
) -> None:
    run_query(
        f"""CREATE TABLE t WITH (table_type = 'ICEBERG', is_external = false, location = '{lake}t/')
            AS SELECT 0 AS id, 'a' AS name""",
        database,
    )

    @retry(
        retry=retry_if_exception_type(CommitFailedException),
        stop=stop_after_attempt(50),
        wait=wait_random(0, 0.1),
    )
    def by_glue(number: int) -> None:
        pyiceberg.load_table((database, "t")).append(arrow((number, "glue")))

    def add(number: int) -> None:
        if number % 2:
            by_glue(number)
        else:
            run_query(f"INSERT INTO t VALUES ({number}, 'athena')", database)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(add, range(1, 13)))
    assert run_query("SELECT count(*), count(DISTINCT id) FROM t", database) == [("13", "13")]
    assert [row[0] for row in read(pyiceberg.load_table((database, "t")))] == list(range(13))


def test_twenty_writers_at_once_through_the_server_lose_nothing(
    server: Any, run_query: Run, database: str, lake: str
) -> None:
    run_query(
        f"""CREATE TABLE t (id int, part int) PARTITIONED BY (part) LOCATION '{lake}t/'
            TBLPROPERTIES ('table_type' = 'ICEBERG')""",
        database,
    )
    started = [server.start(f"INSERT INTO t VALUES ({n}, {n % 3})", database) for n in range(20)]
    states = [server.wait(query_id)["Status"] for query_id in started]
    assert [status["State"] for status in states] == ["SUCCEEDED"] * 20
    assert run_query("SELECT count(*), count(DISTINCT id), sum(id) FROM t", database) == [("20", "20", "190")]
    assert run_query('SELECT count(*) FROM "t$snapshots"', database) == [("20",)]


def test_deletes_of_the_same_rows_at_once_delete_them_once(
    server: Any, run_query: Run, database: str, lake: str
) -> None:
    run_query(
        f"""CREATE TABLE t WITH (table_type = 'ICEBERG', location = '{lake}t/') AS
            SELECT n AS id FROM UNNEST(sequence(1, 50)) AS v (n)""",
        database,
    )
    started = [server.start("DELETE FROM t WHERE id <= 20", database) for _ in range(6)]
    ended = [server.wait(query_id) for query_id in started]
    failed = [item["Status"] for item in ended if item["Status"]["State"] == "FAILED"]
    assert all(status["AthenaError"]["ErrorType"] == 233 for status in failed)
    assert all(status["StateChangeReason"].startswith("ICEBERG_COMMIT_ERROR: ") for status in failed)
    counts = [
        server.athena.get_query_results(QueryExecutionId=item["QueryExecutionId"])["UpdateCount"]
        for item in ended
        if item["Status"]["State"] == "SUCCEEDED"
    ]
    assert sorted(counts)[-1] == 20
    assert sum(counts) == 20
    assert run_query("SELECT count(*), min(id) FROM t", database) == [("30", "21")]
