"""ALTER TABLE, ALTER DATABASE, MSCK REPAIR TABLE and what is refused of them, in Athena's words."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from athena_local.catalog import Catalog, EntityNotFoundError
from athena_local.errors import QueryError
from athena_local.objects import ObjectStore

Rows = Callable[..., list[tuple[Any, ...]]]
Execute = Callable[..., Any]
TRIED = "FAILED: Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. "


@pytest.fixture
def table(execute: Execute, objects: ObjectStore, lake: str) -> str:
    """`t (a int, b string)` partitioned by (d, h), with data in four folders and two partitions known."""
    for folder in ("d=1/h=x", "d=1/h=y", "d=2/h=x", "d=3/h=x"):
        objects.write(f"{lake}t/{folder}/f", f"{folder[2]},{folder[-1]}\n".encode())
    execute(
        "create external table t (a int, b string) partitioned by (d int, h string)"
        f" row format delimited fields terminated by ',' location '{lake}t'"
    )
    execute("alter table t add partition (d = 1, h = 'x') partition (d = 1, h = 'y')")
    return "t"


def failed(execute: Execute, sql: str) -> str:
    with pytest.raises(QueryError) as caught:
        execute(sql)
    return str(caught.value)


def columns(catalog: Catalog, name: str = "t") -> list[tuple[str, str, str | None]]:
    found = catalog.get_table("default", name)["StorageDescriptor"]["Columns"]
    return [(item["Name"], item["Type"], item.get("Comment")) for item in found]


def shown(execute: Execute, sql: str = "show partitions t") -> list[str]:
    lines: list[str] = execute(sql).lines
    return lines


@pytest.mark.usefixtures("table")
def test_alter_adds_partitions_and_tells_those_there_are(
    rows: Rows, execute: Execute, objects: ObjectStore, lake: str
) -> None:
    objects.write(f"{lake}elsewhere/f", b"9,z\n")
    execute(f"alter table t add partition (d=2, h='x') partition (h='q', d='7') location '{lake}elsewhere/'")
    assert rows("select a, b, d, h from t where d > 1 order by d") == [(2, "x", 2, "x"), (9, "z", 7, "q")]
    text = TRIED + "AlreadyExistsException(message:Partition already exists.)"
    assert failed(execute, "alter table t add partition (d=5, h='x') partition (d=1, h='x')") == text
    assert "d=5/h=x" not in shown(execute)
    execute("alter table t add if not exists partition (d=5, h='x') partition (d=1, h='x')")
    assert shown(execute) == ["d=1/h=x", "d=1/h=y", "d=2/h=x", "d=5/h=x", "d=7/h=q"]
    assert shown(execute, "show partitions t partition (h = 'x')") == ["d=1/h=x", "d=2/h=x", "d=5/h=x"]


@pytest.mark.usefixtures("table")
def test_alter_drops_partitions_named_in_full_or_in_part(rows: Rows, execute: Execute) -> None:
    execute("alter table t add partition (d=2, h='x')")
    text = "FAILED: SemanticException [Error 10006]: Partition not found (d = 9, h = x)"
    assert failed(execute, "alter table t drop partition (d=2, h='x'), partition (d=9, h='x')") == text
    assert len(shown(execute)) == 3
    execute("alter table t drop if exists partition (d=9, h='x')")
    execute("alter table t drop partition (d = 1)")
    assert rows("select a, h from t") == [(2, "x")]


@pytest.mark.usefixtures("table")
def test_alter_renames_and_moves_a_partition(rows: Rows, execute: Execute, lake: str) -> None:
    execute("alter table t partition (d=1, h='y') rename to partition (d=4, h='why')")
    assert rows("select a, b, d, h from t where d = 4") == [(1, "y", 4, "why")]
    text = f"{TRIED}Unable to rename partition. Partition already exists:default.t.[d=1, h=x]"
    assert failed(execute, "alter table t partition (d=4, h='why') rename to partition (d=1, h='x')") == text
    execute(f"alter table t partition (d=4, h='why') set location '{lake}t/d=3/h=x'")
    assert rows("select a from t where d = 4") == [(3,)]
    assert "Partition not found (d = 8, h = x)" in failed(
        execute, "alter table t partition (d=8, h='x') set location 's3://b/x/'"
    )


@pytest.mark.usefixtures("table")
def test_alter_partition_specs_that_cannot_be_meant(execute: Execute, lake: str) -> None:
    assert failed(execute, "alter table t add partition (d=1)") == (
        "FAILED: SemanticException partition spec {d=1} doesn't contain all (2) partition columns"
    )
    assert failed(execute, "alter table t drop partition (a=1)") == (
        "FAILED: SemanticException [Error 10098]: Non-Partition column appears in the partition specification: a"
    )
    execute(f"create external table plain (a int) location '{lake}plain/'")
    assert failed(execute, "alter table plain add partition (a=1)") == (
        "FAILED: SemanticException table is not partitioned but partition spec exists: {a=1}"
    )
    assert failed(execute, "show partitions plain") == f"{TRIED}Table plain is not a partitioned table"


@pytest.mark.usefixtures("table")
def test_alter_columns_add_replace_change(rows: Rows, execute: Execute, catalog: Catalog) -> None:
    execute("alter table t add columns (c array<int> comment 'it''s', `e` decimal)")
    execute("alter table t change column a first_one bigint comment 'big' after b")
    execute("alter table t change e e string first")
    assert columns(catalog) == [
        ("e", "string", None),
        ("b", "string", None),
        ("first_one", "bigint", "big"),
        ("c", "array<int>", "it's"),
    ]
    execute("alter table t replace columns (a string, z date)")
    assert columns(catalog) == [("a", "string", None), ("z", "date", None)]
    assert rows("select a, z from t where h = 'x'") == [("1", None)]
    for sql, text in (
        ("alter table t add columns (A int)", "Duplicate column name: a"),
        ("alter table t add columns (d int)", "Duplicate column name: d"),
        ("alter table t replace columns (h int)", "Duplicate column name: h"),
        ("alter table t change a z int", "Duplicate column name: z"),
        ("alter table t change nope n int", "Invalid column reference nope"),
        ("alter table t change a a int after nope", "Invalid column reference nope"),
    ):
        assert failed(execute, sql) == TRIED + text


@pytest.mark.usefixtures("table")
def test_alter_adds_columns_to_one_partition_alone(execute: Execute, catalog: Catalog) -> None:
    execute("alter table t partition (d=1, h='x') add columns (c int)")
    names = [
        [
            column["Name"]
            for column in catalog.get_partition("default", "t", values)["StorageDescriptor"]["Columns"]
        ]
        for values in (["1", "x"], ["1", "y"])
    ]
    assert names == [["a", "b", "c"], ["a", "b"]]
    assert [name for name, _, _ in columns(catalog)] == ["a", "b"]


@pytest.mark.usefixtures("table")
def test_alter_location_and_properties(
    execute: Execute, catalog: Catalog, objects: ObjectStore, lake: str
) -> None:
    execute(f"alter table t set location '{lake}moved/'")
    execute("alter table t set tblproperties ('note' = 'a \\'quoted\\' \\t one', 'gone' = '1')")
    execute("alter table t unset tblproperties ('gone')")
    found = catalog.get_table("default", "t")
    assert found["StorageDescriptor"]["Location"] == f"{lake}moved"
    assert found["Parameters"]["note"] == "a 'quoted' \t one"
    assert "gone" not in found["Parameters"]
    assert shown(execute, "show tblproperties t ('note')") == ["a 'quoted' \t one"]
    assert shown(execute, "show tblproperties t('x')") == ["Table default.t does not have property: x"]
    assert failed(execute, "alter table t set location 'hdfs://x/'").startswith("INVALID_TABLE_PROPERTY: ")
    objects.write(f"{lake}file.csv", b"1\n")
    text = f"Can't make directory for path '{lake}file.csv' since it is a file."
    wanted = f"{TRIED}MetaException(message:Got exception: java.io.IOException {text})"
    assert failed(execute, f"alter table t set location '{lake}file.csv'") == wanted
    assert failed(execute, f"create external table u (a int) location '{lake}file.csv'") == wanted


@pytest.mark.usefixtures("table")
def test_alter_what_hive_tables_cannot(execute: Execute) -> None:
    text = re.escape(
        f"{TRIED}Unable to alter table. Unable to change partition or table:"
        " com.amazonaws.services.datacatalog.model.InvalidInputException: Table cannot be renamed (Service:"
        " AmazonDataCatalog; Status Code: 400; Error Code: InvalidInputException; Request ID: "
    )
    assert re.fullmatch(
        f"{text}[0-9a-f-]{{36}}; Proxy: null\\)", failed(execute, "alter table t rename to u")
    )
    assert failed(execute, "alter table t drop column a") == (
        "FAILED: ParseException mismatched input 'COLUMN' expecting PARTITION near 'DROP' in drop partition statement"
    )
    execute("create view v as select 1 a")
    assert failed(execute, "alter table v add columns (b int)") == (
        "FAILED: SemanticException [Error 10131]: To alter a view you need to use the ALTER VIEW command."
    )
    for sql in (
        "alter table nope add columns (b int)",
        "alter table nope rename to u",
        "show create table nope",
        "show partitions nope",
        "show tblproperties nope",
        "drop table nope",
    ):
        assert failed(execute, sql) == "FAILED: SemanticException [Error 10001]: Table not found default.nope"


@pytest.mark.parametrize(
    "sql",
    [
        "alter table t archive partition (d=1)",
        "alter table t unarchive partition (d=1)",
        "alter table t touch",
        "alter table t clustered by (a) into 2 buckets",
        "alter table t not clustered",
        "alter table t not sorted",
        "alter table t not skewed",
        "alter table t not stored as directories",
        "alter table t skewed by (a) on (1)",
        "alter table t set skewed location (1='s3://b/')",
        "alter table t exchange partition (d=1) with table u",
        "alter table t partition (d=1, h='x') compact 'major'",
        "alter table t partition (d=1, h='x') concatenate",
        "alter table t partition (d=1, h='x') set fileformat parquet",
        "alter table t partition (d=1, h='x') change a a bigint",
        "alter table t set serdeproperties ('a'='b')",
        "alter index i on t rebuild",
        "alter view v as select 1",
        "drop index i on t",
        "drop role r",
        "show grant on t",
        "show indexes on t",
        "show locks t",
        "show roles",
        "show current roles",
        "show transactions",
        "describe database x",
    ],
)
def test_ddl_that_athena_lists_as_unsupported(execute: Execute, sql: str) -> None:
    assert failed(execute, sql) == "Queries of this type are not supported"


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("ALTER TABLE IF EXISTS t RENAME TO u", "1:16: no viable alternative at input 'ALTER TABLE IF EXISTS'"),
        ("alter table t add column m int", "1:19: no viable alternative at input 'alter table t add column'"),
        ("ALTER TABLE t RENAME COLUMN a TO b", "1:22: missing 'TO' at 'COLUMN'"),
        ("ALTER TABLE t SET PROPERTIES x = 1", "1:19: no viable alternative at input 'ALTER TABLE t SET PROPERTIES'"),
        ("ALTER TABLE t EXECUTE optimize", "1:15: no viable alternative at input 'ALTER TABLE t EXECUTE'"),
        ("ALTER TABLE t ALTER COLUMN m SET DATA TYPE bigint",
         "1:15: mismatched input 'ALTER'. Expecting: '.', 'ADD', 'DROP', 'EXECUTE', 'RENAME', 'SET'"),
        ("ALTER TABLE t DROP COLUMN IF EXISTS m", "1:30: mismatched input 'EXISTS' expecting {<EOF>, '.'}"),
        ('DESCRIBE "t"', "1:10: no viable alternative at input 'DESCRIBE \"t\"'"),
        ('DESC default."t"', "1:6: no viable alternative at input 'default.\"t\"'"),
        ('ALTER TABLE "t" ADD COLUMNS (a int)', "1:13: no viable alternative at input 'ALTER TABLE \"t\"'"),
        ('DROP TABLE "t"', "1:12: mismatched input '\"t\"'"),
        ('SHOW COLUMNS FROM "t"', "1:19: mismatched input '\"t\"'"),
        ('CREATE EXTERNAL TABLE "x" (n int) LOCATION \'s3://b/\'',
         "1:23: no viable alternative at input 'CREATE EXTERNAL TABLE \"x\"'"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("table")
def test_ddl_that_athenas_parser_does_not_take(execute: Execute, sql: str, text: str) -> None:
    found = failed(execute, sql)
    # DESC names its place as the name's: everything else as the quoted part's
    assert found == f"SYNTAX_ERROR: line {text}" or (
        sql.startswith("DESC ") and text.split(": ", 1)[1] in found
    )


def test_ddl_that_is_refused_without_a_place(execute: Execute) -> None:
    assert failed(execute, "create table x (n int)") == (
        "No location was specified for table. An S3 location must be specified"
    )
    assert failed(execute, "create external table x (n int)") == (
        "No location was specified for table. An S3 location must be specified"
    )
    assert failed(execute, "create table x (n int) location 's3://b/x/'") == (
        "External keyword required for table type HIVE"
    )
    assert failed(execute, 'show create table "x"') == "Queries of this type are not supported"


# MSCK REPAIR TABLE


@pytest.mark.usefixtures("table")
def test_repair_adds_what_folders_spell_and_drops_nothing(
    rows: Rows, execute: Execute, objects: ObjectStore, lake: str
) -> None:
    objects.write(f"{lake}t/d=4/h=a%2Fb/f", b"4,s\n")
    for folder in ("D=8/h=x", "d=8/H=x", "d=8", "8/x", "h=x/d=8", "d=/h=x"):  # not as Hive spells them
        objects.write(f"{lake}t/{folder}/f", b"8,8\n")
    execute("alter table t add partition (d=6, h='lost')")
    assert shown(execute, "msck repair table t") == [
        "Partitions not in metastore:\tt:d=2/h=x\tt:d=3/h=x\tt:d=4/h=a%2Fb",
        "Partitions missing from filesystem:\tt:d=6/h=lost",
        "Repair: Added partition to metastore t:d=2/h=x",
        "Repair: Added partition to metastore t:d=3/h=x",
        "Repair: Added partition to metastore t:d=4/h=a%2Fb",
    ]
    assert rows("select a, h from t where d >= 3 order by d") == [(3, "x"), (4, "a/b")]
    assert "d=6/h=lost" in shown(execute)
    assert shown(execute, "msck repair table t") == ["Partitions missing from filesystem:\tt:d=6/h=lost"]


def test_repair_says_what_is_not_there(execute: Execute, lake: str) -> None:
    execute(f"create external table e (a int) partitioned by (d int) location '{lake}empty/'")
    assert shown(execute, "msck repair table e") == ["Tables missing on filesystem:\te"]
    assert shown(execute, "msck repair table nope") == ["Tables not in metastore:\tnope"]
    execute("create view v as select 1 a")
    assert failed(execute, "msck repair table v") == f"{TRIED}Can not create a Path from an empty string"
    execute(f"create table i (a int) location '{lake}i/' tblproperties ('table_type'='ICEBERG')")
    assert failed(execute, "msck repair table i") == "Query type not supported by Athena Iceberg at this time"


# databases


def test_database_keeps_comment_location_and_properties(execute: Execute, catalog: Catalog) -> None:
    execute(
        "create database `sales` comment 'it\\'s' location 's3://b/sales/' with dbproperties ('owner'='me', 'n'='1')"
    )
    found = catalog.get_database("sales")
    assert (found["Description"], found["LocationUri"]) == ("it's", "s3://b/sales/")
    execute("alter database sales set dbproperties ('n'='2', 'm'='3')")
    assert catalog.get_database("sales")["Parameters"] == {"owner": "me", "n": "2", "m": "3"}
    execute("alter schema awsdatacatalog.sales set dbproperties ('n'='4')")
    assert catalog.get_database("sales")["Description"] == "it's"
    assert shown(execute, "show databases like '.*al.*'") == ["sales"]
    assert shown(execute, "show schemas like 'def*|x'") == ["default"]
    text = "FAILED: SemanticException [Error 10072]: Database does not exist: nope"
    assert failed(execute, "alter database nope set dbproperties ('a'='b')") == text
    assert failed(execute, "drop database nope") == text
    assert failed(execute, "show tables in nope") == text
    assert failed(execute, "create external table nope.t (a int) location 's3://b/t/'") == text
    assert failed(execute, "create database sales") == f"{TRIED}Database sales already exists"
    execute("create table sales.t as select 1 a")
    assert failed(execute, "drop database sales restrict") == (
        f"{TRIED}InvalidOperationException(message:Database sales is not empty. One or more tables exist.)"
    )
    execute("drop database sales cascade")
    with pytest.raises(EntityNotFoundError):
        catalog.get_database("sales")
