"""SHOW and DESCRIBE of Hive tables: the lines and their padding, and DDL that can be run again."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from athena_local.catalog import Catalog
from athena_local.errors import QueryError

Execute = Callable[..., Any]
BLANK = "\t \t "
HEADER = f"# {'col_name':<20}\t{'data_type':<20}\t{'comment':<20}"


def line(*cells: str) -> str:
    return "\t".join(f"{cell:<20}" for cell in cells)


@pytest.fixture
def table(execute: Execute, lake: str) -> str:
    execute(
        "create external table t (a int comment 'it', s struct<x:int,y:array<map<string,date>>>, c string comment 'p\tq')"
        " comment 'about' partitioned by (d date comment 'day', k int) clustered by (a) into 4 buckets"
        f" row format delimited fields terminated by '|' location '{lake}t/' tblproperties ('note'='x')"
    )
    execute("alter table t add partition (d = '2025-01-05', k = 1)")
    return "t"


@pytest.mark.usefixtures("table")
def test_describe_and_describe_of_a_column(execute: Execute) -> None:
    struct = "struct<x:int,y:array<map<string,date>>>"
    assert execute("describe t").lines == [
        line("a", "int", "it"),
        line("s", struct, ""),
        line("c", "string") + "\tp",  # a tab in a comment ends it
        line("d", "date", "day"),
        line("k", "int", ""),
        BLANK,
        f"# Partition Information{BLANK}",
        HEADER,
        BLANK,
        line("d", "date", "day"),
        line("k", "int", ""),
    ]
    assert execute("desc t a").lines == [line("a", "int", "it")]
    assert execute("describe t s").lines == [
        line("x", "int", "from deserializer"),
        line("y", "array<map<string,date>>", "from deserializer"),
    ]
    assert execute("describe default.t s.y.`$elem$`.`$value$`").lines == [
        line("$value$", "date", "from deserializer")
    ]
    with pytest.raises(QueryError, match="cannot find field nope from"):
        execute("describe t nope")
    assert [column.name for column in execute("describe t").columns] == ["col_name", "data_type", "comment"]


@pytest.mark.usefixtures("table")
def test_describe_formatted(execute: Execute, lake: str) -> None:
    found = execute("describe formatted t").lines
    assert found[:4] == [
        HEADER,
        BLANK,
        line("a", "int", "it"),
        line("s", "struct<x:int,y:array<map<string,date>>>", ""),
    ]
    assert found[5:11] == [
        BLANK, f"# Partition Information{BLANK}", HEADER, BLANK, line("d", "date", "day"), line("k", "int", ""),
    ]  # fmt: skip
    assert found[11:14] == [
        BLANK,
        f"# Detailed Table Information{BLANK}",
        f"{line('Database:', 'default')}\t ",
    ]
    assert f"{'Location:':<20}\t{lake}t\t " in found
    assert f"\t{line('note', 'x')}" in found
    assert f"{line('Num Buckets:', '4')}\t " in found
    assert f"{line('Bucket Columns:', '[a]')}\t " in found
    assert f"\t{line('field.delim', '|')}" in found
    partition = execute("describe formatted t partition (d='2025-01-05', k=1)").lines
    assert f"{line('Partition Value:', '[2025-01-05, 1]')}\t " in partition
    assert f"{'Location:':<20}\t{lake}t/d=2025-01-05/k=1/\t " in partition


@pytest.mark.usefixtures("table")
def test_describe_extended(execute: Execute, lake: str) -> None:
    found = execute("describe extended t").lines
    assert found[:-2] == execute("describe t").lines
    assert found[-1].startswith(
        "Detailed Table Information\tTable(tableName:t, dbName:default, owner:hadoop, "
    )
    assert f"location:{lake}t, inputFormat:org.apache.hadoop.mapred.TextInputFormat" in found[-1]
    assert "FieldSchema(name:a, type:int, comment:it)" in found[-1]
    with pytest.raises(QueryError, match=r"Partition not found \(d = 2020-01-01, k = 1\)"):
        execute("describe extended t partition (d='2020-01-01', k=1)")


def test_describe_view_is_of_views(execute: Execute, lake: str) -> None:
    execute("create view v as select 1 a, 'x' b")
    assert [item.split("\t")[0].strip() for item in execute("describe v").lines] == ["a", "b"]
    assert execute('describe "v"').lines == execute("describe v").lines  # quotes are refused for tables alone
    execute(f"create external table t (a int) location '{lake}t/'")
    with pytest.raises(QueryError, match=r"Relation 'default\.t' is a table, not a view"):
        execute("describe view t")


def test_show_create_table_reads_as_hive_writes_it(execute: Execute, lake: str, table: str) -> None:
    assert [item for item in execute(f"show create table {table}").lines if "Ddl" not in item] == [
        "CREATE EXTERNAL TABLE `t`(",
        "  `a` int COMMENT 'it', ",
        "  `s` struct<x:int,y:array<map<string,date>>>, ",
        "  `c` string COMMENT 'p\\tq')",
        "COMMENT 'about'",
        "PARTITIONED BY ( ",
        "  `d` date COMMENT 'day', ",
        "  `k` int)",
        "CLUSTERED BY ( ",
        "  a) ",
        "INTO 4 BUCKETS",
        "ROW FORMAT DELIMITED ",
        "  FIELDS TERMINATED BY '|' ",
        "STORED AS INPUTFORMAT ",
        "  'org.apache.hadoop.mapred.TextInputFormat' ",
        "OUTPUTFORMAT ",
        "  'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'",
        "LOCATION",
        f"  '{lake}t'",
        "TBLPROPERTIES (",
        "  'note'='x', ",
    ]


@pytest.mark.parametrize(
    "form",
    [
        "row format delimited fields terminated by '\\t' escaped by '\\\\' collection items terminated by '\\002'"
        " map keys terminated by ':' lines terminated by '\\n' null defined as 'it\\'s'",
        "row format serde 'org.apache.hadoop.hive.serde2.OpenCSVSerde' with serdeproperties ('separatorChar'='\\t',"
        " 'quoteChar'='\\'', \"escapeChar\"=\"\\\\\")",
        "row format serde 'org.openx.data.jsonserde.JsonSerDe' with serdeproperties"
        " ('mapping.a'='A', 'dots.in.keys'='true')",
        "row format serde 'org.apache.hadoop.hive.serde2.RegexSerDe' with serdeproperties"
        " ('input.regex'='^(\\\\d+) \"([^\"]*)\"$')",
        "stored as parquet",
        "stored as orc",
        "clustered by (a, b) into 8 buckets stored as textfile",
        "row format serde 'org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe' with serdeproperties"
        " ('field.delim'=',', 'timestamp.formats'='yyyy/MM/dd')",
    ],
    ids=["delimited", "opencsv", "openx", "regex", "parquet", "orc", "buckets", "lazy-serde"],
)
def test_show_create_table_run_again_gives_the_same_table(
    execute: Execute, catalog: Catalog, lake: str, form: str
) -> None:
    columns = (
        "a int, b string"
        if "orc" in form
        else "`a` decimal(10,2) comment 'q\\'s \\\\ \"x\"', b array<struct<x:int>>"
    )
    execute(
        f"create external table t ({columns}) partitioned by (k string) {form} location '{lake}t/'"
        " tblproperties ('p'='line\\none; \\'two\\'')"
    )
    changing = {"CreateTime", "UpdateTime", "VersionId"}

    def kept() -> dict[str, Any]:
        record = catalog.get_table("default", "t")
        record["Parameters"].pop("transient_lastDdlTime")
        return {key: value for key, value in record.items() if key not in changing}

    before, text = kept(), "\n".join(execute("show create table t").lines)
    execute("drop table t")
    execute(re.sub("default.t", "t", text, count=1))
    assert kept() == before


def test_show_columns_and_tables_take_in_and_from(execute: Execute, lake: str) -> None:
    execute(f"create external table t (a int, b string) partitioned by (k int) location '{lake}t/'")
    expected = [f"{name:<20}" for name in "abk"]
    for sql in ("show columns in t", "show columns from default.t", "show columns in t from default"):
        assert execute(sql).lines == expected
    execute("create view orders_v as select 1 x")
    assert execute("show tables 'o*|x'").lines == ["orders_v"]
    assert execute("show tables in default '*_v'").lines == ["orders_v"]
    assert execute("show views in default like 'ord*'").lines == ["orders_v"]
