"""Tables that other engines evolved: schemas, partition specs, branches and delete files, read and changed from here.

PyIceberg changes a table through its own Glue catalog, Athena's SQL reads it, and where both can, both see the same rows.
"""

from __future__ import annotations

import gzip
import io
import json
import uuid
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import SortField, SortOrder
from pyiceberg.transforms import BucketTransform, IdentityTransform, MonthTransform
from pyiceberg.typedef import Record
from pyiceberg.types import (
    DateType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
)

from athena_local.catalog import Catalog
from athena_local.errors import QueryError
from athena_local.iceberg import table as tables
from athena_local.iceberg.commit import Changes, commit_changes
from athena_local.objects import ObjectStore

Run = Callable[..., Any]

SIMPLE = Schema(
    NestedField(1, "id", IntegerType(), required=False),
    NestedField(2, "name", StringType(), required=False),
    NestedField(3, "d", DateType(), required=False),
)
ARROW = pa.schema([("id", pa.int32()), ("name", pa.string()), ("d", pa.date32())])


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


@pytest.fixture
def query(run_query: Run, database: str) -> Callable[[str], list[tuple[str | None, ...]]]:
    return lambda sql: run_query(sql, database)


def arrow(*rows: tuple[int, str | None, str | None]) -> pa.Table:
    import datetime

    days = [datetime.date.fromisoformat(row[2]) if row[2] else None for row in rows]
    return pa.table([[row[0] for row in rows], [row[1] for row in rows], days], schema=ARROW)


def read(table: Any) -> list[tuple[Any, ...]]:
    return sorted((row["id"], row["name"]) for row in table.scan().to_arrow().to_pylist())


def test_partition_specs_that_change_are_all_read_and_the_last_is_written(
    query: Run, pyiceberg: GlueCatalog, database: str, lake: str
) -> None:
    table = pyiceberg.create_table((database, "t"), SIMPLE, location=f"{lake}t")
    table.append(arrow((1, "a", "2025-01-01"), (2, "b", "2025-02-01")))
    with table.update_spec() as update:
        update.add_field("d", MonthTransform(), "d_month")
    query("INSERT INTO t VALUES (3, 'c', DATE '2025-02-02'), (4, 'd', NULL)")
    table.refresh()
    with table.update_spec() as update:
        update.add_field("id", BucketTransform(2), "id_bucket")
    query("INSERT INTO t VALUES (5, 'e', DATE '2025-03-01')")
    with table.refresh().update_spec() as update:
        update.remove_field("d_month")
    query("INSERT INTO t VALUES (6, 'f', DATE '2025-03-02')")
    everything = [("1", "a"), ("2", "b"), ("3", "c"), ("4", "d"), ("5", "e"), ("6", "f")]
    assert query("SELECT id, name FROM t ORDER BY id") == everything
    assert query("SELECT id FROM t WHERE d >= DATE '2025-02-01' ORDER BY id") == [
        ("2",),
        ("3",),
        ("5",),
        ("6",),
    ]
    assert query("SELECT id FROM t WHERE d IS NULL") == [("4",)]
    assert query("SELECT id FROM t WHERE id = 6 AND d = DATE '2025-03-02'") == [("6",)]
    query("UPDATE t SET name = concat(name, '!') WHERE id IN (1, 3, 5)")
    query("DELETE FROM t WHERE id IN (2, 6)")
    left = [(1, "a!"), (3, "c!"), (4, "d"), (5, "e!")]
    assert query("SELECT id, name FROM t ORDER BY id") == [(str(key), name) for key, name in left]
    assert read(table.refresh()) == left
    query("OPTIMIZE t REWRITE DATA USING BIN_PACK")
    assert read(table.refresh()) == left
    partitions = query('SELECT partition, record_count FROM "t$partitions"')
    assert sum(int(row[1] or 0) for row in partitions) >= 4


def test_columns_renamed_dropped_and_added_again_are_told_apart(
    query: Run, pyiceberg: GlueCatalog, database: str, lake: str
) -> None:
    table = pyiceberg.create_table((database, "t"), SIMPLE, location=f"{lake}t")
    table.append(arrow((1, "old", "2025-01-01")))
    with table.update_schema() as update:
        update.rename_column("name", "title")
        update.update_column("id", LongType())
    with table.update_schema() as update:
        update.delete_column("d")
        update.add_column("name", StringType())
    with table.update_schema() as update:
        update.add_column("d", StringType(), doc="no date any more")
        update.move_first("d")
    assert query("SELECT * FROM t") == [(None, "1", "old", None)]
    query("INSERT INTO t VALUES ('x', 5000000000, 'new', 'n')")
    assert query("SELECT id, title, name, d FROM t ORDER BY id") == [
        ("1", "old", None, None),
        ("5000000000", "new", "n", "x"),
    ]
    assert query("SELECT id FROM t WHERE name = 'old' OR d = '2025-01-01'") == []
    rows = table.refresh().scan().to_arrow().sort_by("id").to_pylist()
    assert rows[0] == {"d": None, "id": 1, "title": "old", "name": None}
    assert rows[1] == {"d": "x", "id": 5000000000, "title": "new", "name": "n"}


NESTED = Schema(
    NestedField(1, "id", IntegerType(), required=False),
    NestedField(
        2,
        "st",
        StructType(
            NestedField(5, "x", IntegerType(), required=False),
            NestedField(
                6, "y", StructType(NestedField(7, "z", StringType(), required=False)), required=False
            ),
        ),
        required=False,
    ),
    NestedField(
        3,
        "items",
        ListType(8, StructType(NestedField(9, "p", IntegerType(), required=False)), element_required=False),
        required=False,
    ),
    NestedField(
        4,
        "attributes",
        MapType(
            10,
            StringType(),
            11,
            StructType(NestedField(12, "v", IntegerType(), required=False)),
            value_required=False,
        ),
        required=False,
    ),
)


def test_fields_inside_columns_are_found_by_their_ids(
    query: Run, pyiceberg: GlueCatalog, database: str, lake: str
) -> None:
    table = pyiceberg.create_table((database, "t"), NESTED, location=f"{lake}t")
    table.append(
        pa.Table.from_pylist(
            [
                {
                    "id": 1,
                    "st": {"x": 7, "y": {"z": "deep"}},
                    "items": [{"p": 1}, None, {"p": 2}],
                    "attributes": [("k", {"v": 9})],
                },
                {"id": 2, "st": None, "items": None, "attributes": None},
            ],
            schema=NESTED.as_arrow(),
        )
    )
    with table.update_schema() as update:
        update.rename_column("st.x", "w")
        update.rename_column("st.y.z", "depth")
        update.rename_column("items.element.p", "price")
        update.rename_column("attributes.value.v", "amount")
    with table.update_schema() as update:
        update.add_column(("st", "x"), StringType())
        update.update_column("st.w", LongType())
    assert query(
        "SELECT st.w, st.x, st.y.depth, items[1].price, attributes['k'].amount FROM t WHERE id = 1"
    ) == [("7", None, "deep", "1", "9")]
    assert query("SELECT id, cardinality(items), cardinality(attributes) FROM t WHERE st IS NULL") == [
        ("2", "0", "0")
    ]
    assert query("SELECT cardinality(items), items[2] IS NULL FROM t WHERE id = 1") == [("3", "true")]
    query(
        "INSERT INTO t (id, st) VALUES (3, CAST(ROW(5000000000, ROW('new'), 'text') AS"
        " ROW(w bigint, y ROW(depth varchar), x varchar)))"
    )
    query("DELETE FROM t WHERE id = 2")
    assert query("SELECT id, st.w, st.x, st.y.depth FROM t ORDER BY id") == [
        ("1", "7", None, "deep"),
        ("3", "5000000000", "text", "new"),
    ]


def test_fields_inside_columns_change_by_athena(
    query: Run, pyiceberg: GlueCatalog, database: str, lake: str
) -> None:
    query(
        f"""CREATE TABLE t (id int, st struct<a:int,b:float>, l array<struct<p:int>>, m map<string,struct<v:int>>)
            LOCATION '{lake}t/' TBLPROPERTIES ('table_type' = 'ICEBERG')"""
    )
    query(
        "INSERT INTO t VALUES (1, CAST(ROW(1, REAL '1.5') AS ROW(a integer, b real)), ARRAY[CAST(ROW(4) AS ROW(p integer))],"
        " MAP(ARRAY['k'], ARRAY[CAST(ROW(5) AS ROW(v integer))]))"
    )
    query("ALTER TABLE t CHANGE COLUMN st st struct<a:bigint,c:string>")
    query("ALTER TABLE t CHANGE COLUMN l l array<struct<p:bigint,q:string>>")
    query("ALTER TABLE t CHANGE COLUMN m m map<string,struct<v:bigint>>")
    assert query("SELECT st.a, st.c, l[1].p, l[1].q, m['k'].v FROM t") == [("1", None, "4", None, "5")]
    query("ALTER TABLE t CHANGE COLUMN st st struct<a:bigint,c:string,b:string>")  # b again, of another type
    assert query("SELECT st.a, st.b, st.c FROM t") == [("1", None, None)]
    (row,) = pyiceberg.load_table((database, "t")).scan().to_arrow().to_pylist()
    assert row["st"] == {"a": 1, "c": None, "b": None}
    assert row["l"] == [{"p": 4, "q": None}]


def test_upsert_overwrite_and_copy_on_write_deletes_are_read(
    query: Run, pyiceberg: GlueCatalog, database: str, lake: str
) -> None:
    spec = PartitionSpec(PartitionField(3, 1000, IdentityTransform(), "d"))
    order = SortOrder(SortField(1, IdentityTransform()))
    table = pyiceberg.create_table(
        (database, "t"), SIMPLE, location=f"{lake}t", partition_spec=spec, sort_order=order
    )
    table.append(arrow((1, "a", "2025-01-01"), (2, "b", "2025-01-01"), (3, "c", "2025-01-02")))
    query("DELETE FROM t WHERE id = 2")
    table.refresh().delete("id = 3")
    assert query("SELECT id, name FROM t") == [("1", "a")]
    table.refresh().upsert(arrow((1, "A", "2025-01-01"), (4, "d", "2025-01-04")), join_cols=["id"])
    assert query("SELECT id, name FROM t ORDER BY id") == [("1", "A"), ("4", "d")]
    table.refresh().overwrite(arrow((9, "nine", "2025-01-04")), overwrite_filter="id = 4")
    query("UPDATE t SET name = 'NINE' WHERE id = 9")
    assert query("SELECT id, name FROM t ORDER BY id") == [("1", "A"), ("9", "NINE")]
    assert read(table.refresh()) == [(1, "A"), (9, "NINE")]


def test_dynamic_partition_overwrite_is_read(
    query: Run, pyiceberg: GlueCatalog, database: str, lake: str
) -> None:
    spec = PartitionSpec(PartitionField(2, 1000, IdentityTransform(), "name"))
    table = pyiceberg.create_table((database, "t"), SIMPLE, location=f"{lake}t", partition_spec=spec)
    query("INSERT INTO t VALUES (1, 'a', NULL), (2, 'a', NULL), (3, 'b', NULL)")
    table.refresh().dynamic_partition_overwrite(arrow((7, "a", None)))
    assert query("SELECT id, name FROM t ORDER BY id") == [("3", "b"), ("7", "a")]


def test_branches_and_tags_are_versions(query: Run, pyiceberg: GlueCatalog, database: str, lake: str) -> None:
    table = pyiceberg.create_table((database, "t"), SIMPLE, location=f"{lake}t")
    table.append(arrow((1, "a", None)))
    first = table.current_snapshot().snapshot_id
    table.manage_snapshots().create_tag(first, "v1").create_branch(first, "dev").commit()
    table.append(arrow((2, "dev", None)), branch="dev")
    query("INSERT INTO t VALUES (3, 'main', NULL)")
    assert query("SELECT id FROM t ORDER BY id") == [("1",), ("3",)]
    assert query("SELECT id FROM t FOR VERSION AS OF 'v1'") == [("1",)]
    assert query("SELECT id FROM t FOR VERSION AS OF 'dev' ORDER BY id") == [("1",), ("2",)]
    assert query("SELECT id FROM t FOR VERSION AS OF 'main' ORDER BY id") == [("1",), ("3",)]
    assert query('SELECT name, type FROM "t$refs" ORDER BY name') == [
        ("dev", "BRANCH"),
        ("main", "BRANCH"),
        ("v1", "TAG"),
    ]
    query("ALTER TABLE t SET TBLPROPERTIES ('vacuum_max_snapshot_age_seconds' = '0')")
    query("VACUUM t")
    assert query("SELECT id FROM t FOR VERSION AS OF 'dev' ORDER BY id") == [("1",), ("2",)]
    assert query("SELECT id FROM t FOR VERSION AS OF 'v1'") == [("1",)]


def test_files_added_under_a_name_mapping_are_read(
    query: Run, pyiceberg: GlueCatalog, database: str, lake: str, s3: Any
) -> None:
    """As PyIceberg's add_files registers what another program wrote: no field ids, keys in the directory's name only."""
    spec = PartitionSpec(PartitionField(2, 1000, IdentityTransform(), "name"))
    table = pyiceberg.create_table((database, "t"), SIMPLE, location=f"{lake}t", partition_spec=spec)
    buffer = io.BytesIO()
    pq.write_table(arrow((1, "a", "2025-01-01"), (2, "a", None)), buffer)
    bucket, key = f"{lake}t/other/file.parquet".removeprefix("s3://").split("/", 1)
    s3.put_object(Bucket=bucket, Key=key, Body=buffer.getvalue())
    table.add_files([f"s3://{bucket}/{key}"])
    with table.update_schema() as update:
        update.rename_column("name", "title")
    query("INSERT INTO t VALUES (3, 'b', NULL)")
    expected = [("1", "a", "2025-01-01"), ("2", "a", None), ("3", "b", None)]
    assert query("SELECT id, title, d FROM t ORDER BY id") == expected
    assert query("SELECT id FROM t WHERE title = 'a' AND id > 1") == [("2",)]
    query("DELETE FROM t WHERE id = 1")
    assert query("SELECT id FROM t ORDER BY id") == [("2",), ("3",)]


def test_registered_table_with_compressed_metadata_is_read_and_written(
    query: Run, pyiceberg: GlueCatalog, database: str, lake: str, s3: Any
) -> None:
    table = pyiceberg.create_table((database, "t"), SIMPLE, location=f"{lake}t")
    table.append(arrow((1, "a", None)))
    bucket, key = table.metadata_location.removeprefix("s3://").split("/", 1)
    body = gzip.compress(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    packed = key.replace(".metadata.json", ".gz.metadata.json")
    s3.put_object(Bucket=bucket, Key=packed, Body=body)
    pyiceberg.register_table((database, "again"), f"s3://{bucket}/{packed}")
    assert query("SELECT id, name FROM again") == [("1", "a")]
    query("INSERT INTO again VALUES (2, 'b', NULL)")
    assert query("SELECT id FROM again ORDER BY id") == [("1",), ("2",)]
    assert query("SELECT id FROM t") == [("1",)]


@pytest.mark.parametrize(
    ("version", "change"), [(1, "INSERT INTO t VALUES (2, 'b', NULL)"), (1, "DELETE FROM t")]
)
def test_tables_of_format_one_are_read_and_not_written(
    query: Run, pyiceberg: GlueCatalog, database: str, lake: str, version: int, change: str
) -> None:
    table = pyiceberg.create_table(
        (database, "t"), SIMPLE, location=f"{lake}t", properties={"format-version": "1"}
    )
    table.append(arrow((1, "a", None)))
    assert query("SELECT id, name FROM t") == [("1", "a")]
    for change in ("INSERT INTO t VALUES (2, 'b', NULL)", "DELETE FROM t WHERE id = 1"):
        with pytest.raises(
            AssertionError, match="NOT_SUPPORTED: Iceberg table format version 1 cannot be written"
        ):
            query(change)
    with table.transaction() as transaction:
        transaction.upgrade_table_version(2)
    query("INSERT INTO t VALUES (2, 'b', NULL)")
    query("DELETE FROM t WHERE id = 1")
    assert query("SELECT id, name FROM t") == [("2", "b")]
    assert read(table.refresh()) == [(2, "b")]


def test_tables_of_format_three_are_refused(
    query: Run, pyiceberg: GlueCatalog, database: str, lake: str, s3: Any
) -> None:
    table = pyiceberg.create_table((database, "t"), SIMPLE, location=f"{lake}t")
    bucket, key = table.metadata_location.removeprefix("s3://").split("/", 1)
    metadata = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    metadata["format-version"] = 3
    metadata["next-row-id"] = 0
    newer = key.replace("00000-", "00001-")
    s3.put_object(Bucket=bucket, Key=newer, Body=json.dumps(metadata).encode())
    pyiceberg.register_table((database, "three"), f"s3://{bucket}/{newer}")
    with pytest.raises(
        AssertionError, match="NOT_SUPPORTED: Iceberg table format version 3 is not supported"
    ):
        query("SELECT * FROM three")


def test_names_of_other_cases_are_found_in_small_letters(
    query: Run, pyiceberg: GlueCatalog, database: str, lake: str
) -> None:
    schema = Schema(
        NestedField(1, "Id", IntegerType(), required=False),
        NestedField(2, "userName", StringType(), required=False),
    )
    table = pyiceberg.create_table((database, "t"), schema, location=f"{lake}t")
    query("INSERT INTO t (ID, username) VALUES (1, 'a'), (2, 'b')")
    query("UPDATE t SET USERNAME = 'B' WHERE id = 2")
    query(
        "MERGE INTO t USING (VALUES (1, 'A'), (3, 'c')) AS s (id, n) ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET userName = s.n WHEN NOT MATCHED THEN INSERT (id, username) VALUES (s.id, s.n)"
    )
    assert query("SELECT * FROM (SELECT * FROM t) AS q WHERE q.username <> 'x' ORDER BY id") == [
        ("1", "A"),
        ("2", "B"),
        ("3", "c"),
    ]
    rows = table.refresh().scan().to_arrow().sort_by("Id").to_pylist()
    assert rows == [{"Id": 1, "userName": "A"}, {"Id": 2, "userName": "B"}, {"Id": 3, "userName": "c"}]
    query("ALTER TABLE t CHANGE COLUMN username nick string")
    assert query("SELECT nick FROM t WHERE id = 1") == [("A",)]


# Equality deletes: no writer here makes them, other engines do


def _equality_deletes(
    context: Any,
    catalog: Catalog,
    objects: ObjectStore,
    name: str,
    field_ids: list[int],
    rows: pa.Table,
    **more: Any,
) -> None:
    loaded = tables.load(context, catalog.get_table("default", name))
    metadata = [{b"PARQUET:field_id": str(field_id).encode()} for field_id in field_ids]
    schema = pa.schema([part.with_metadata(extra) for part, extra in zip(rows.schema, metadata, strict=True)])
    buffer = io.BytesIO()
    pq.write_table(rows.cast(schema), buffer)
    path = f"{loaded.metadata.location}/data/{uuid.uuid4()}.parquet"
    objects.write(path, buffer.getvalue())
    data_file = DataFile.from_args(
        content=DataFileContent.EQUALITY_DELETES,
        file_path=path,
        file_format=FileFormat.PARQUET,
        partition=more.get("partition", Record()),
        record_count=rows.num_rows,
        file_size_in_bytes=len(buffer.getvalue()),
        equality_ids=field_ids,
    )
    data_file.spec_id = more.get("spec_id", 0)
    commit_changes(context, loaded, Changes(deletes=[data_file]))


def test_equality_deletes_apply_to_older_rows_only(
    execute: Run, rows: Run, context: Any, catalog: Catalog, objects: ObjectStore, lake: str
) -> None:
    execute(
        f"""CREATE TABLE t WITH (table_type = 'ICEBERG', is_external = false, location = '{lake}t/') AS
            SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (3, NULL), (4, 'd'), (5, 'e')) AS v (id, name)"""
    )
    execute("DELETE FROM t WHERE id = 5")
    ids = pa.table({"id": pa.array([2], pa.int32())})
    _equality_deletes(context, catalog, objects, "t", [1], ids)
    names = pa.table({"name": pa.array([None, "zz"], pa.string())})
    _equality_deletes(context, catalog, objects, "t", [2], names)
    execute("INSERT INTO t VALUES (2, 'again'), (6, NULL)")
    expected = [(1, "a"), (2, "again"), (4, "d"), (6, None)]
    assert rows("SELECT id, name FROM t ORDER BY id") == expected
    assert rows("SELECT count(*) FROM t") == [(4,)]
    assert rows('SELECT content, record_count FROM "t$files" WHERE content = 2 ORDER BY 2') == [
        (2, 1),
        (2, 2),
    ]
    both = pa.table({"id": pa.array([1, 6], pa.int32()), "name": pa.array(["x", None], pa.string())})
    _equality_deletes(context, catalog, objects, "t", [1, 2], both)
    assert rows("SELECT id FROM t ORDER BY id") == [(1,), (2,), (4,)]
    assert execute("UPDATE t SET name = 'four' WHERE id = 4").update_count == 1
    assert execute("DELETE FROM t WHERE id = 1").update_count == 1
    assert rows("SELECT id, name FROM t ORDER BY id") == [(2, "again"), (4, "four")]
    execute("ALTER TABLE t DROP COLUMN name")
    assert rows("SELECT id FROM t ORDER BY id") == [(2,), (4,)]
    execute("ALTER TABLE t SET TBLPROPERTIES ('optimize_rewrite_delete_file_threshold' = '1')")
    execute("OPTIMIZE t REWRITE DATA USING BIN_PACK")
    assert rows("SELECT id FROM t ORDER BY id") == [(2,), (4,)]
    assert rows('SELECT count(*) FROM "t$files" WHERE content <> 0') == [(0,)]
    assert execute("DELETE FROM t").update_count == 2


def test_equality_deletes_of_a_partition_leave_the_others_alone(
    execute: Run, rows: Run, context: Any, catalog: Catalog, objects: ObjectStore, lake: str
) -> None:
    execute(
        f"""CREATE TABLE t WITH (table_type = 'ICEBERG', is_external = false, location = '{lake}t/',
            partitioning = ARRAY['part']) AS
            SELECT * FROM (VALUES (1, 'x'), (1, 'y'), (2, 'x')) AS v (id, part)"""
    )
    ids = pa.table({"id": pa.array([1], pa.int32())})
    _equality_deletes(context, catalog, objects, "t", [1], ids, partition=Record("x"))
    assert rows("SELECT id, part FROM t ORDER BY id, part") == [(1, "y"), (2, "x")]


def test_data_files_in_other_formats_are_refused(
    execute: Run, rows: Run, context: Any, catalog: Catalog, lake: str
) -> None:
    execute(
        f"CREATE TABLE t WITH (table_type = 'ICEBERG', is_external = false, location = '{lake}t/') AS SELECT 1 AS id"
    )
    loaded = tables.load(context, catalog.get_table("default", "t"))
    foreign = DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=f"{lake}t/data/x.orc",
        file_format=FileFormat.ORC,
        partition=Record(),
        record_count=1,
        file_size_in_bytes=10,
    )
    foreign.spec_id = 0
    commit_changes(context, loaded, Changes(added=[foreign]))
    with pytest.raises(QueryError, match="NOT_SUPPORTED: Iceberg files in ORC are not supported"):
        rows("SELECT * FROM t")
