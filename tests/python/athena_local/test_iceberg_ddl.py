"""Definitions of Iceberg tables: what SHOW and DESCRIBE say of them, and what is refused, word for word."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest

from athena_local.catalog import Catalog
from athena_local.errors import QueryError
from athena_local.objects import ObjectStore

Run = Callable[..., Any]


def ctas(name: str, location: str, query: str, extra: str = "") -> str:
    return (
        f"CREATE TABLE {name} WITH (table_type = 'ICEBERG', is_external = false, "
        f"location = '{location}{name}/'{extra}) AS {query}"
    )


EVERYTHING = """CREATE TABLE t (id bigint COMMENT 'who', at timestamp, s string, tags array<string>)
    COMMENT 'things' PARTITIONED BY (s, bucket(16, id), truncate(`s`, 3), day(at)) LOCATION '{lake}t/'
    TBLPROPERTIES ('table_type' = 'ICEBERG', 'vacuum_min_snapshots_to_keep' = '3')"""


def test_show_create_table_makes_the_same_table_again(execute: Run, lake: str) -> None:
    execute(EVERYTHING.replace("{lake}", lake))
    shown = execute("SHOW CREATE TABLE t").lines
    assert shown == [
        "CREATE TABLE default.t (",
        "  id bigint COMMENT 'who',",
        "  at timestamp,",
        "  s string,",
        "  tags array<string>)",
        "COMMENT 'things'",
        "PARTITIONED BY (`s`, bucket(16, `id`), truncate(3, `s`), day(`at`))",
        f"LOCATION '{lake}t'",
        "TBLPROPERTIES (",
        "  'table_type'='iceberg',",
        "  'vacuum_min_snapshots_to_keep'='3',",
        "  'write_compression'='zstd'",
        ");",
    ]
    execute("DROP TABLE t")
    execute("\n".join(shown))
    assert execute("SHOW CREATE TABLE t").lines == shown


def test_show_and_describe_are_laid_out_as_athenas(execute: Run, lake: str) -> None:
    execute(EVERYTHING.replace("{lake}", lake))
    assert execute("SHOW COLUMNS IN t").lines == ["id", "at", "s", "tags"]
    assert execute("SHOW TBLPROPERTIES t").lines == [
        "vacuum_min_snapshots_to_keep\t3",
        "write_compression\tzstd",
    ]
    assert execute("DESCRIBE t").lines == [
        "# Table schema:\t\t",
        "# col_name\tdata_type\tcomment",
        "id\tbigint\twho",
        "at\ttimestamp\t",
        "s\tstring\t",
        "tags\tarray<string>\t",
        "\t\t",
        "# Partition spec:\t\t",
        "# field_name\tfield_transform\tcolumn_name",
        "s\tidentity\ts",
        "id_bucket\tbucket[16]\tid",
        "s_trunc\ttruncate[3]\ts",
        "at_day\tday\tat",
    ]
    execute(ctas("made", lake, "SELECT 1 AS n"))
    assert execute("SHOW CREATE TABLE made").lines == [
        "CREATE TABLE default.made (",
        "  n int)",
        f"LOCATION '{lake}made'",
        "TBLPROPERTIES (",
        "  'table_type'='iceberg',",
        "  'compression_level'='3',",
        "  'format'='PARQUET',",
        "  'write_compression'='ZSTD'",
        ");",
    ]


PLAIN = "TBLPROPERTIES ('table_type' = 'ICEBERG')"


@pytest.mark.parametrize(
    ("sql", "message", "error_type"),
    [
        (
            f"CREATE TABLE n (i int) PARTITIONED BY (j int) LOCATION 's3://x/y/' {PLAIN}",
            "Invalid PARTITIONED BY clause in Iceberg create table statement",
            1006,
        ),
        (
            f"CREATE TABLE n (i int) STORED AS PARQUET LOCATION 's3://x/y/' {PLAIN}",
            "Iceberg create table statement does not allow STORED AS/BY",
            1200,
        ),
        (
            f"CREATE TABLE n (i int) ROW FORMAT DELIMITED LOCATION 's3://x/y/' {PLAIN}",
            "Iceberg create table statement does not allow ROW FORMAT",
            1200,
        ),
        (
            "CREATE TABLE n (i int) LOCATION 's3://x/y/' TBLPROPERTIES ('table_type' = 'ICEBERG', 'comment' = 'x')",
            "Unsupported table property key: comment",
            1200,
        ),
        (
            "ALTER TABLE t SET TBLPROPERTIES ('comment' = 'x')",
            "Unsupported table property key: comment",
            1200,
        ),
        (
            "ALTER TABLE t UNSET TBLPROPERTIES ('write.object-storage.enabled')",
            "Table property write.object-storage.enabled is not supported by Athena",
            1200,
        ),
        *(
            (sql, "Query type not supported by Athena Iceberg at this time", 1200)
            for sql in (
                "ALTER TABLE t REPLACE COLUMNS (i int)",
                "ALTER TABLE t ADD PARTITION (s = 'a')",
                "ALTER TABLE t DROP PARTITION (s = 'a')",
                "ALTER TABLE t SET LOCATION 's3://x/y/'",
                "MSCK REPAIR TABLE t",
            )
        ),
    ],
)
def test_athenas_own_check_refuses_without_a_code(
    execute: Run, lake: str, sql: str, message: str, error_type: int
) -> None:
    execute(ctas("t", lake, "SELECT 1 AS id, 'a' AS s", ", partitioning = ARRAY['s']"))
    with pytest.raises(QueryError) as caught:
        execute(sql)
    assert (str(caught.value), caught.value.error_type) == (message, error_type)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "CREATE TABLE {new} WITH (table_type = 'ICEBERG', location = '{lake}n/', colour = 'red') AS SELECT 1 AS i",
            "INVALID_TABLE_PROPERTY: line 1:1: Catalog 'awsdatacatalog' table property 'colour' does not exist",
        ),
        (
            "CREATE TABLE {new} WITH (table_type = 'ICEBERG', location = '{lake}n/', format = 'ORC') AS SELECT 1 AS i",
            "NOT_SUPPORTED: Iceberg tables in format ORC are not supported by this server; use PARQUET",
        ),
        (
            "CREATE TABLE {new} WITH (table_type = 'ICEBERG', location = '{lake}n/') AS SELECT 1",
            "MISSING_COLUMN_NAME: line 1:1: Column name not specified at position 1",
        ),
        (
            "CREATE TABLE {new} WITH (table_type = 'ICEBERG', location = '{lake}n/') AS SELECT NULL AS i",
            "COLUMN_TYPE_UNKNOWN: line 1:1: Column type is unknown at position 1",
        ),
        (
            "CREATE TABLE t WITH (table_type = 'ICEBERG', location = '{lake}n/') AS SELECT nowhere FROM nothing",
            "TABLE_ALREADY_EXISTS: line 1:1: Destination table 'awsdatacatalog.default.t' already exists",
        ),
        (
            "CREATE TABLE nodb.n WITH (table_type = 'ICEBERG', location = '{lake}n/') AS SELECT 1 AS i",
            "Database nodb not found. Please check your query",
        ),
        (
            "CREATE TABLE {new} WITH (table_type = 'ICEBERG', location = '{lake}n/', vacuum_min_snapshots_to_keep = 'x')"
            " AS SELECT 1 AS i",
            "INVALID_TABLE_PROPERTY: Invalid value for table property 'vacuum_min_snapshots_to_keep': x",
        ),
        (
            "CREATE TABLE {new} WITH (table_type = 'ICEBERG', location = '{lake}n/', partitioning = ARRAY['st.x'])"
            " AS SELECT CAST(ROW(1) AS ROW(x integer)) AS st",
            "NOT_SUPPORTED: Partitioning by nested field is unsupported: st.x",
        ),
        (
            "CREATE TABLE {new} (i int) LOCATION '{lake}n/' TBLPROPERTIES ('table_type' = 'ICEBERG',"
            " 'compression_level' = '5')",
            "INVALID_TABLE_PROPERTY: Compression codec must be defined when compression_level property is specified.",
        ),
        (
            "CREATE TABLE {new} (i time) LOCATION '{lake}n/' TBLPROPERTIES ('table_type' = 'ICEBERG')",
            "NOT_SUPPORTED: Type not supported for Iceberg: time(3)",
        ),
        (
            "CREATE TABLE {new} (i smallint) LOCATION '{lake}n/' TBLPROPERTIES ('table_type' = 'ICEBERG')",
            "NOT_SUPPORTED: Type not supported for Iceberg: smallint",
        ),
        ("ALTER TABLE t RENAME TO nodb.t", "SCHEMA_NOT_FOUND: line 1:25: Schema 'nodb' does not exist"),
        (
            "ALTER TABLE t CHANGE COLUMN id id int",
            "NOT_SUPPORTED: Cannot change column type: id: long -> int",
        ),
    ],
)
def test_tables_that_cannot_be_are_refused(
    execute: Run, catalog: Catalog, objects: ObjectStore, lake: str, sql: str, message: str
) -> None:
    execute(ctas("t", lake, "SELECT BIGINT '1' AS id"))
    with pytest.raises(QueryError) as caught:
        execute(sql.format(new="n", lake=lake))
    assert str(caught.value) == message
    assert [record["Name"] for record in catalog.get_tables("default")] == ["t"]
    assert list(objects.list(f"{lake}n/")) == []


def test_compression_and_its_level_reach_the_files(
    execute: Run, rows: Run, objects: ObjectStore, lake: str
) -> None:
    sizes = {}
    for level in (1, 19):
        extra = f", write_compression = 'ZSTD', compression_level = {level}"
        query = "SELECT n, concat('text ', CAST(n * 7919 % 1000 AS varchar)) AS s FROM UNNEST(sequence(1, 5000)) AS t (n)"
        execute(ctas(f"t{level}", lake, query, extra))
        (path,) = (row[0] for row in rows(f'SELECT file_path FROM "t{level}$files"'))
        body = objects.read(path)
        assert pq.ParquetFile(io.BytesIO(body)).metadata.row_group(0).column(1).compression == "ZSTD"
        sizes[level] = len(body)
    assert sizes[19] < sizes[1]


def test_comment_of_a_ctas_and_if_not_exists(execute: Run, rows: Run, catalog: Catalog, lake: str) -> None:
    execute(
        f"CREATE TABLE t COMMENT 'said' WITH (table_type = 'ICEBERG', location = '{lake}t/') AS SELECT 1 AS id"
    )
    assert catalog.get_table("default", "t")["Description"] == "said"
    again = f"WITH (table_type = 'ICEBERG', location = '{lake}u/') AS SELECT 2 AS id"
    assert execute(f"CREATE TABLE IF NOT EXISTS t {again}").update_count == 0
    assert rows("SELECT id FROM t") == [(1,)]
    execute(f"CREATE TABLE IF NOT EXISTS u {again} WITH NO DATA")
    assert rows("SELECT id FROM u") == []
