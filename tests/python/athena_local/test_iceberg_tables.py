"""Iceberg tables: made, filled, altered and dropped; whatever is written is read by PyIceberg and PyArrow too."""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyiceberg.table import StaticTable

from athena_local.catalog import Catalog, EntityNotFoundError
from athena_local.errors import QueryError
from athena_local.objects import ObjectStore

Run = Callable[..., Any]


@pytest.fixture
def external(catalog: Catalog, s3_endpoint: str) -> Callable[[str], StaticTable]:
    """`external(name)`: the table as PyIceberg reads it with its own S3 client."""

    def load(name: str) -> StaticTable:
        location = catalog.get_table("default", name)["Parameters"]["metadata_location"]
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


def ctas(name: str, location: str, query: str, extra: str = "") -> str:
    return (
        f"CREATE TABLE {name} WITH (table_type = 'ICEBERG', is_external = false, "
        f"location = '{location}{name}/'{extra}) AS {query}"
    )


def paths_of(rows: Run, name: str) -> list[str]:
    return [row[0] for row in rows(f'SELECT file_path FROM "{name}$files"')]


def values_of(table: StaticTable, key: str = "id") -> list[dict[str, Any]]:
    return sorted(table.scan().to_arrow().to_pylist(), key=lambda row: row[key])


def test_ctas_rows_are_read_by_athena_and_by_pyiceberg(
    execute: Run, rows: Run, lake: str, external: Run
) -> None:
    result = execute(ctas("t", lake, "SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (3, NULL)) AS v (id, name)"))
    assert result.update_count == 3
    assert result.manifest == []  # Athena writes one for Hive tables only
    assert rows("SELECT id, name FROM t ORDER BY id") == [(1, "a"), (2, "b"), (3, None)]
    assert values_of(external("t")) == [
        {"id": 1, "name": "a"},
        {"id": 2, "name": "b"},
        {"id": 3, "name": None},
    ]


def test_ctas_enters_glue_as_an_iceberg_table(execute: Run, catalog: Catalog, lake: str) -> None:
    execute(ctas("t", lake, "SELECT 1 AS id, 'x' AS name"))
    record = catalog.get_table("default", "t")
    assert record["TableType"] == "EXTERNAL_TABLE"
    assert record["Parameters"]["table_type"] == "ICEBERG"
    assert record["Parameters"]["metadata_location"].startswith(f"{lake}t/metadata/00000-")
    assert record["StorageDescriptor"]["Location"] == f"{lake}t"
    assert record["StorageDescriptor"]["Columns"] == [
        {
            "Name": "id",
            "Type": "int",
            "Parameters": {
                "iceberg.field.id": "1",
                "iceberg.field.optional": "true",
                "iceberg.field.current": "true",
            },
        },
        {
            "Name": "name",
            "Type": "string",
            "Parameters": {
                "iceberg.field.id": "2",
                "iceberg.field.optional": "true",
                "iceberg.field.current": "true",
            },
        },
    ]


def test_ctas_data_files_carry_field_ids_and_are_plain_parquet(
    execute: Run, rows: Run, objects: ObjectStore, lake: str
) -> None:
    execute(ctas("t", lake, "SELECT 1 AS id, 'x' AS name", ", write_compression = 'SNAPPY'"))
    file = pq.ParquetFile(io.BytesIO(objects.read(paths_of(rows, "t")[0])))
    assert [field.metadata[b"PARQUET:field_id"] for field in file.schema_arrow] == [b"1", b"2"]
    assert file.metadata.row_group(0).column(0).compression == "SNAPPY"
    assert file.read().to_pylist() == [{"id": 1, "name": "x"}]


def test_every_type_survives_the_round_trip(execute: Run, rows: Run, lake: str, external: Run) -> None:
    execute(
        ctas(
            "t",
            lake,
            """SELECT 1 AS id, true AS b, CAST(5 AS bigint) AS l, CAST(1.5 AS real) AS r, 2.5e0 AS d,
               CAST(12.34 AS decimal(10,2)) AS m, DATE '2025-03-01' AS day,
               CAST(TIMESTAMP '2025-03-01 10:11:12.123456' AS timestamp(6)) AS at, 'é' AS s,
               ARRAY[1, 2] AS a, MAP(ARRAY['k'], ARRAY[7]) AS mp, CAST(ROW(1, 'z') AS row(x integer, y varchar)) AS st""",
        )
    )
    expected = {
        "id": 1,
        "b": True,
        "l": 5,
        "r": 1.5,
        "d": 2.5,
        "m": Decimal("12.34"),
        "day": datetime.date(2025, 3, 1),
        "at": datetime.datetime(2025, 3, 1, 10, 11, 12, 123456),
        "s": "é",
        "a": [1, 2],
        "mp": [("k", 7)],
        "st": {"x": 1, "y": "z"},
    }
    assert values_of(external("t")) == [expected]
    (row,) = rows("SELECT id, b, l, r, d, m, day, at, s, a, st FROM t")
    assert row == tuple(value for name, value in expected.items() if name != "mp")


def test_file_statistics_bound_every_column(execute: Run, lake: str, external: Run) -> None:
    query = "SELECT * FROM (VALUES (1, 'apple', 1.5e0), (9, 'pear', NULL)) AS v (id, name, price)"
    execute(ctas("t", lake, query))
    (task,) = external("t").scan().plan_files()
    assert task.file.record_count == 2
    assert task.file.null_value_counts == {1: 0, 2: 0, 3: 1}
    assert task.file.lower_bounds[1] == (1).to_bytes(4, "little")
    assert task.file.upper_bounds[1] == (9).to_bytes(4, "little")
    assert (task.file.lower_bounds[2], task.file.upper_bounds[2]) == (b"apple", b"pear")


def test_long_string_bounds_are_cut_so_that_they_still_bound(execute: Run, lake: str, external: Run) -> None:
    execute(ctas("t", lake, "SELECT 1 AS id, 'abcdefghijklmnopqrstuvwxyz' AS name"))
    (task,) = external("t").scan().plan_files()
    assert (task.file.lower_bounds[2], task.file.upper_bounds[2]) == (
        b"abcdefghijklmnop",
        b"abcdefghijklmnoq",
    )


PARTITIONED = """SELECT * FROM (VALUES
    (1, DATE '2025-01-15', 'CA', CAST(TIMESTAMP '2025-01-15 10:30:00' AS timestamp(6)), CAST(10.55 AS decimal(10,2))),
    (2, DATE '1969-12-31', 'a/b =%', CAST(TIMESTAMP '1969-12-31 23:59:59' AS timestamp(6)), CAST(-0.01 AS decimal(10,2))),
    (3, NULL, NULL, NULL, NULL)) AS v (id, d, s, at, m)"""


@pytest.mark.parametrize(
    "partitioning",
    [
        "year(d)",
        "month(d)",
        "day(d)",
        "hour(at)",
        "month(at)",
        "d",
        "s",
        "at",
        "m",
        "id",
        "bucket(id, 4)",
        "bucket(s, 4)",
        "bucket(d, 4)",
        "bucket(at, 4)",
        "bucket(m, 4)",
        "truncate(s, 2)",
        "truncate(id, 2)",
        "truncate(m, 50)",
    ],
)
def test_partition_values_are_those_pyiceberg_computes(
    execute: Run, rows: Run, lake: str, external: Run, partitioning: str
) -> None:
    execute(ctas("t", lake, PARTITIONED, f", partitioning = ARRAY['{partitioning}']"))
    table = external("t")
    (field,) = table.spec().fields
    source = table.schema().find_field(field.source_id)
    apply = field.transform.transform(source.field_type)
    for task in table.scan().plan_files():
        content = pq.read_table(io.BytesIO(table.io.new_input(task.file.file_path).open().read()))
        for value in content.column(source.name).to_pylist():
            assert task.file.partition[0] == apply(_physical(value))
    assert len(values_of(table)) == 3
    assert [row[0] for row in rows("SELECT id FROM t ORDER BY id")] == [1, 2, 3]


def _physical(value: Any) -> Any:
    """A value as Iceberg stores it."""
    if isinstance(value, datetime.datetime):
        return (value - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1)
    if isinstance(value, datetime.date):
        return (value - datetime.date(1970, 1, 1)).days
    return value


def test_partitioned_files_lie_in_directories_of_the_partition(execute: Run, rows: Run, lake: str) -> None:
    execute(ctas("t", lake, PARTITIONED, ", partitioning = ARRAY['month(d)', 's']"))
    folders = sorted(path.removeprefix(f"{lake}t/data/").rpartition("/")[0] for path in paths_of(rows, "t"))
    assert folders == ["d_month=1969-12/s=a%2Fb+%3D%25", "d_month=2025-01/s=CA", "d_month=null/s=null"]


@pytest.mark.parametrize("partitioning", ["id", "day(d)"])
def test_ctas_over_a_hundred_partitions_is_refused_and_leaves_nothing(
    execute: Run, catalog: Catalog, objects: ObjectStore, lake: str, partitioning: str
) -> None:
    query = "SELECT id, date_add('day', id, DATE '2025-01-01') AS d FROM UNNEST(sequence(1, 101)) AS v (id)"
    with pytest.raises(
        QueryError, match="ICEBERG_TOO_MANY_OPEN_PARTITIONS: Exceeded limit of 100 open writers"
    ):
        execute(ctas("t", lake, query, f", partitioning = ARRAY['{partitioning}']"))
    with pytest.raises(EntityNotFoundError):
        catalog.get_table("default", "t")
    assert list(objects.list(lake)) == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "SELECT TIMESTAMP '2025-01-01 00:00:00.000' AS at",
            r'NOT_SUPPORTED: Timestamp precision \(3\) not supported for Iceberg. Use "timestamp\(6\)" instead.',
        ),
        ("SELECT CAST(1 AS smallint) AS a", "NOT_SUPPORTED: Type not supported for Iceberg: smallint"),
        ("SELECT 1 AS a, 2 AS A", "DUPLICATE_COLUMN_NAME"),
        (
            "SELECT ROW(1, 'x') AS r",
            r"NOT_SUPPORTED: Row type field does not have a name: row\(integer, varchar.*\)",
        ),
    ],
)
def test_ctas_of_what_athena_refuses_is_refused(execute: Run, lake: str, query: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        execute(ctas("t", lake, query))


@pytest.mark.parametrize(
    "partitioning", ["week(d)", "month(nowhere)", "month(s)", "bucket(id)", "bucket(id, 0)"]
)
def test_ctas_with_a_bad_partitioning_is_refused(execute: Run, lake: str, partitioning: str) -> None:
    with pytest.raises(QueryError, match="INVALID_TABLE_PROPERTY"):
        execute(ctas("t", lake, PARTITIONED, f", partitioning = ARRAY['{partitioning}']"))


def test_ctas_without_a_location_is_refused(execute: Run) -> None:
    with pytest.raises(QueryError, match="location"):
        execute("CREATE TABLE t WITH (table_type = 'ICEBERG', is_external = false) AS SELECT 1 AS a")


def test_ctas_onto_objects_is_refused(execute: Run, objects: ObjectStore, lake: str) -> None:
    objects.write(f"{lake}t/left-over", b"x")
    with pytest.raises(
        QueryError, match="ICEBERG_FILESYSTEM_ERROR: Cannot create a table on a non-empty location"
    ):
        execute(ctas("t", lake, "SELECT 1 AS id"))


def test_ctas_of_an_existing_name_is_refused(execute: Run, lake: str) -> None:
    execute(ctas("t", lake, "SELECT 1 AS id"))
    with pytest.raises(QueryError, match="TABLE_ALREADY_EXISTS"):
        execute(ctas("t", f"{lake}other/", "SELECT 1 AS id"))


def test_ctas_that_fails_half_way_deletes_what_it_uploaded(
    execute: Run, objects: ObjectStore, lake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise QueryError("GENERIC_INTERNAL_ERROR", "the catalog is away")

    monkeypatch.setattr(Catalog, "create_table", refuse)
    with pytest.raises(QueryError, match="the catalog is away"):
        execute(ctas("t", lake, "SELECT 1 AS id"))
    assert list(objects.list(lake)) == []


def test_create_table_is_empty_and_takes_rows(execute: Run, rows: Run, lake: str, external: Run) -> None:
    execute(
        f"""CREATE TABLE t (id bigint, name string COMMENT 'who', at timestamp, tags array<string>)
            PARTITIONED BY (day(at), bucket(4, id)) LOCATION '{lake}t/' TBLPROPERTIES ('table_type' = 'ICEBERG')"""
    )
    assert rows("SELECT * FROM t") == []
    execute("INSERT INTO t VALUES (1, 'a', TIMESTAMP '2025-01-01 00:00:00', ARRAY['x'])")
    at = datetime.datetime(2025, 1, 1)
    assert rows("SELECT * FROM t") == [(1, "a", at, ["x"])]
    assert values_of(external("t")) == [{"id": 1, "name": "a", "at": at, "tags": ["x"]}]
    assert [str(field.transform) for field in external("t").spec().fields] == ["day", "bucket[4]"]


def test_create_table_with_an_unknown_property_is_refused(execute: Run, lake: str) -> None:
    with pytest.raises(QueryError, match="Unsupported table property key: colour"):
        execute(
            f"CREATE TABLE t (id int) LOCATION '{lake}t/' TBLPROPERTIES ('table_type' = 'ICEBERG', 'colour' = 'red')"
        )


def test_insert_with_a_column_list_leaves_the_others_null(execute: Run, rows: Run, lake: str) -> None:
    execute(ctas("t", lake, "SELECT 1 AS id, 'a' AS name, 2 AS n"))
    assert execute("INSERT INTO t (n, id) VALUES (20, 2), (30, 3)").update_count == 2
    assert rows("SELECT * FROM t ORDER BY id") == [(1, "a", 2), (2, None, 20), (3, None, 30)]


def test_insert_widens_as_trino_coerces(execute: Run, rows: Run, lake: str) -> None:
    execute(
        f"""CREATE TABLE t (n bigint, m decimal(10,2), x double, at timestamp)
            LOCATION '{lake}t/' TBLPROPERTIES ('table_type' = 'ICEBERG')"""
    )
    execute("INSERT INTO t VALUES (1, 1.5, 2, TIMESTAMP '2025-01-01 00:00:00.123')")
    execute("INSERT INTO t VALUES (NULL, 3, NULL, DATE '2025-01-02')")
    assert rows("SELECT * FROM t ORDER BY n") == [
        (1, Decimal("1.50"), 2.0, datetime.datetime(2025, 1, 1, 0, 0, 0, 123000)),
        (None, Decimal("3.00"), None, datetime.datetime(2025, 1, 2)),
    ]


def test_insert_of_no_rows_commits_no_snapshot(execute: Run, lake: str, external: Run) -> None:
    execute(ctas("t", lake, "SELECT 1 AS id"))
    assert execute("INSERT INTO t SELECT id FROM t WHERE id > 1").update_count == 0
    assert len(external("t").metadata.snapshots) == 1


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "INSERT INTO t VALUES ('x', 'a')",
            r"TYPE_MISMATCH: .*Table: \[integer, varchar\], Query: \[varchar.*",
        ),
        ("INSERT INTO t VALUES (1)", "TYPE_MISMATCH"),
        ("INSERT INTO t (id, nowhere) VALUES (1, 2)", "COLUMN_NOT_FOUND"),
    ],
)
def test_insert_of_other_columns_is_refused(execute: Run, lake: str, sql: str, message: str) -> None:
    execute(ctas("t", lake, "SELECT 1 AS id, 'a' AS name"))
    with pytest.raises(QueryError, match=message):
        execute(sql)


def test_schema_changes_keep_old_rows_readable(execute: Run, rows: Run, lake: str, external: Run) -> None:
    execute(ctas("t", lake, "SELECT 1 AS id, 'a' AS name, 5 AS n"))
    execute("ALTER TABLE t ADD COLUMNS (extra string, more struct<x:int>)")
    execute("ALTER TABLE t CHANGE COLUMN name title string")
    execute("ALTER TABLE t CHANGE COLUMN n n bigint")
    execute("INSERT INTO t VALUES (2, 'b', 6000000000, 'e', CAST(ROW(3) AS row(x integer)))")
    assert rows("SELECT * FROM t ORDER BY id") == [
        (1, "a", 5, None, None),
        (2, "b", 6000000000, "e", {"x": 3}),
    ]
    execute("ALTER TABLE t DROP COLUMN n")
    assert rows("SELECT * FROM t WHERE id = 2") == [(2, "b", "e", {"x": 3})]
    assert [row["title"] for row in values_of(external("t"))] == ["a", "b"]


def test_dropped_column_added_again_does_not_bring_back_its_values(
    execute: Run, rows: Run, lake: str
) -> None:
    execute(ctas("t", lake, "SELECT 1 AS id, 'old' AS name"))
    execute("ALTER TABLE t DROP COLUMN name")
    execute("ALTER TABLE t ADD COLUMNS (name string)")
    assert rows("SELECT id, name FROM t") == [(1, None)]


def test_dropped_columns_are_marked_in_glue(execute: Run, catalog: Catalog, lake: str) -> None:
    execute(ctas("t", lake, "SELECT 1 AS id, 'old' AS name"))
    execute("ALTER TABLE t DROP COLUMN name")
    columns = catalog.get_table("default", "t")["StorageDescriptor"]["Columns"]
    assert [(item["Name"], item["Parameters"]["iceberg.field.current"]) for item in columns] == [
        ("id", "true"),
        ("name", "false"),
    ]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("ALTER TABLE t ADD COLUMNS (id int)", "COLUMN_ALREADY_EXISTS"),
        ("ALTER TABLE t DROP COLUMN nowhere", "COLUMN_NOT_FOUND"),
        ("ALTER TABLE t DROP COLUMN id", "Cannot drop partition field: id"),
        ("ALTER TABLE t CHANGE COLUMN name name int", "NOT_SUPPORTED"),
        (
            "ALTER TABLE t CHANGE COLUMN st st struct<x:string>",
            "Cannot change column type: st.x: int -> string",
        ),
        ("ALTER TABLE t CHANGE COLUMN st st int", "Cannot change column type: st: struct<x:int> -> int"),
        ("ALTER TABLE t SET TBLPROPERTIES ('colour' = 'red')", "Unsupported table property key: colour"),
    ],
)
def test_schema_changes_that_cannot_be_are_refused(execute: Run, lake: str, sql: str, message: str) -> None:
    query = "SELECT 1 AS id, 'a' AS name, CAST(ROW(1) AS row(x integer)) AS st"
    execute(ctas("t", lake, query, ", partitioning = ARRAY['id']"))
    with pytest.raises(QueryError, match=message):
        execute(sql)


def test_rename_moves_the_name_and_not_the_files(execute: Run, rows: Run, lake: str) -> None:
    execute(ctas("t", lake, "SELECT 1 AS id"))
    execute("ALTER TABLE t RENAME TO u")
    assert rows("SELECT id FROM u") == [(1,)]
    execute("INSERT INTO u VALUES (2)")
    assert rows("SELECT id FROM u ORDER BY id") == [(1,), (2,)]


def test_drop_table_deletes_its_objects_and_no_neighbour(
    execute: Run, catalog: Catalog, objects: ObjectStore, lake: str
) -> None:
    execute(ctas("t", lake, "SELECT 1 AS id"))
    execute(ctas("t2", lake, "SELECT 1 AS id"))
    execute("DROP TABLE t")
    with pytest.raises(EntityNotFoundError):
        catalog.get_table("default", "t")
    assert list(objects.list(f"{lake}t/")) == []
    assert list(objects.list(f"{lake}t2/")) != []


def test_files_without_field_ids_are_read_by_name(
    execute: Run, rows: Run, lake: str, objects: ObjectStore, catalog: Catalog, s3_endpoint: str
) -> None:
    """As PyIceberg's add_files registers files that another program wrote."""
    import pyarrow as pa
    from pyiceberg.table.update import SetPropertiesUpdate

    from athena_local.iceberg import table as tables

    execute(ctas("t", lake, "SELECT 1 AS id, 'a' AS name"))
    buffer = io.BytesIO()
    pq.write_table(pa.table({"name": ["b"], "id": pa.array([2], pa.int32())}), buffer)
    path = f"{lake}t/data/foreign.parquet"
    objects.write(path, buffer.getvalue())
    _add_file(tables, SetPropertiesUpdate, catalog, objects, path, len(buffer.getvalue()))
    assert rows("SELECT id, name FROM t ORDER BY id") == [(1, "a"), (2, "b")]
    execute("DELETE FROM t WHERE id = 1")
    assert rows('SELECT id, name, "$path" FROM t') == [(2, "b", path)]


def _add_file(tables: Any, update: Any, catalog: Catalog, objects: ObjectStore, path: str, size: int) -> None:
    from pathlib import Path

    from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
    from pyiceberg.typedef import Record

    from athena_local.config import Config
    from athena_local.context import QueryContext
    from athena_local.iceberg.commit import Changes, commit_changes

    context = QueryContext("q", Config(Path("unused"), ""), catalog, objects, "default", "s3://unused/")
    table = tables.load(context, catalog.get_table("default", "t"))
    mapping = table.schema.name_mapping.model_dump_json()
    table = tables.commit(context, table, (update(updates={"schema.name-mapping.default": mapping}),))
    data_file = DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=path,
        file_format=FileFormat.PARQUET,
        partition=Record(),
        record_count=1,
        file_size_in_bytes=size,
    )
    data_file.spec_id = 0
    commit_changes(context, table, Changes(added=[data_file]))


KINDS = """SELECT CAST(TIMESTAMP '2025-01-02 03:04:05.123456 UTC' AS timestamp(6) with time zone) AS z,
    UUID '12151fd2-7586-11e9-8f9e-2a86e4085a59' AS u, X'00ff10' AS b, CAST(TIME '10:11:12.123456' AS time(6)) AS t,
    REAL '1.5' AS r, DECIMAL '12345678901234567890.12' AS m,
    ARRAY[MAP(ARRAY['a'], ARRAY[CAST(ROW(1, ARRAY[2]) AS row(x integer, y array(integer)))])] AS n"""


@pytest.mark.parametrize(
    "partitioning",
    [
        *(
            "z",
            "day(z)",
            "hour(z)",
            "bucket(z, 3)",
            "u",
            "bucket(u, 4)",
            "b",
            "bucket(b, 3)",
            "truncate(b, 1)",
        ),
        *("t", "bucket(t, 4)", "r", "m", "truncate(m, 10)"),
    ],
)
def test_rarer_types_are_written_partitioned_and_read(
    execute: Run, rows: Run, lake: str, external: Run, partitioning: str
) -> None:
    import uuid

    execute(ctas("t", lake, KINDS, f", partitioning = ARRAY['{partitioning}']"))
    execute("INSERT INTO t SELECT * FROM t")
    (task, _) = external("t").scan().plan_files()
    table = external("t")
    (field,) = table.spec().fields
    source = table.schema().find_field(field.source_id)
    (row, again) = table.scan().to_arrow().to_pylist()
    assert row == again
    value = row[source.name]
    physical = {
        "z": int(row["z"].timestamp() * 1_000_000),
        "u": row["u"].bytes if isinstance(row["u"], uuid.UUID) else row["u"],
        "t": ((10 * 60 + 11) * 60 + 12) * 1_000_000 + 123456,
    }.get(source.name, value)
    found = task.file.partition[0]
    found = found.bytes if isinstance(found, uuid.UUID) else found
    assert found == field.transform.transform(source.field_type)(physical)
    assert (row["b"], row["r"], row["m"]) == (b"\x00\xff\x10", 1.5, Decimal("12345678901234567890.12"))
    assert row["t"] == datetime.time(10, 11, 12, 123456)
    assert row["n"] == [[("a", {"x": 1, "y": [2]})]]
    (mine, _) = rows("SELECT z, CAST(u AS varchar), b, t, r, m FROM t")
    assert mine[0] == row["z"]
    assert mine[1:] == ("12151fd2-7586-11e9-8f9e-2a86e4085a59", *(row[name] for name in ("b", "t", "r", "m")))
