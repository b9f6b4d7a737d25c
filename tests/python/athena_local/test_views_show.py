"""Views, databases, SHOW, DESCRIBE, EXPLAIN and information_schema."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from athena_local.catalog import Catalog
from athena_local.errors import QueryError

Rows = Callable[..., list[tuple[Any, ...]]]
Execute = Callable[..., Any]


def test_view_is_stored_as_athena_stores_it(execute: Execute, catalog: Catalog) -> None:
    execute("create view v as\nselect 1 as A, 'x' as b")
    table = catalog.get_table("default", "v")
    assert table["TableType"] == "VIRTUAL_VIEW"
    assert table["Parameters"]["presto_view"] == "true"
    assert [(c["Name"], c["Type"]) for c in table["StorageDescriptor"]["Columns"]] == [
        ("a", "int"),
        ("b", "varchar(1)"),
    ]
    packed = table["ViewOriginalText"].removeprefix("/* Presto View: ").removesuffix(" */")
    body = json.loads(base64.b64decode(packed))
    assert body["originalSql"] == "select 1 as A, 'x' as b"
    assert body["columns"] == [{"name": "a", "type": "integer"}, {"name": "b", "type": "varchar(1)"}]


def test_view_reads_its_own_database_and_is_replaced(rows: Rows, execute: Execute) -> None:
    execute("create schema other")
    execute("create table other.t as select 1 a")
    execute("create view other.v as select a + 1 as b from t", database="other")
    execute("create view w as with t as (select 7 b) select v.b, t.b c from other.v cross join t")
    assert rows("with t as (select 100 a) select * from w") == [(2, 7)]
    with pytest.raises(QueryError, match="TABLE_ALREADY_EXISTS"):
        execute("create view w as select 1 x")
    execute("create or replace view w as select 5 x")
    assert rows("select x from w") == [(5,)]
    execute("drop view w")
    execute("drop view if exists w")
    with pytest.raises(QueryError, match=r"TABLE_NOT_FOUND: line 1:11: View 'default.w' does not exist"):
        execute("drop view w")


def test_view_over_a_lost_table_says_where(rows: Rows, execute: Execute) -> None:
    execute("create table t as select 1 a")
    execute("create view v as select a from t")
    execute("drop table t")
    with pytest.raises(QueryError) as caught:
        rows("select * from v")
    assert str(caught.value) == (
        "INVALID_VIEW: line 1:15: Failed analyzing stored view 'awsdatacatalog.default.v': line 1:15:"
        " Table 'awsdatacatalog.default.t' does not exist"
    )


def test_view_with_a_zoned_timestamp_is_refused(execute: Execute) -> None:
    with pytest.raises(QueryError) as caught:
        execute("create view v as select current_timestamp as a")
    assert str(caught.value) == "NOT_SUPPORTED: Unsupported Hive type: timestamp(3) with time zone"


def test_database_is_created_once_and_dropped_empty_or_whole(execute: Execute) -> None:
    execute("create schema if not exists x comment 'c' location 's3://bucket/x/'")
    execute("create schema if not exists x")
    with pytest.raises(QueryError, match="Database x already exists"):
        execute("create schema x")
    execute("create table x.t as select 1 a")
    with pytest.raises(QueryError, match="Database x is not empty"):
        execute("drop schema x")
    execute("drop schema x cascade")
    with pytest.raises(QueryError, match=r"Error 10072\]: Database does not exist: x"):
        execute("drop schema x")
    execute("drop schema if exists x")


def test_show_lists_what_matches(execute: Execute) -> None:
    execute("create table orders as select 1 a, date '2025-01-01' d")
    execute("create view orders_view as select 1 a")
    execute("create table other as select 1 a")
    assert execute("show databases").lines == ["default"]
    assert execute("show tables").lines == ["orders", "orders_view", "other"]
    assert execute("show tables in default 'ord*'").lines == ["orders", "orders_view"]
    assert execute("show views").lines == ["orders_view"]
    assert execute("show columns in orders").lines == [f"{'a':<20}", f"{'d':<20}"]
    assert execute("show create view orders_view").lines == [
        "CREATE VIEW default.orders_view AS",
        "select 1 a",
    ]
    assert "EXTERNAL\tTRUE" in execute("show tblproperties orders").lines


def test_show_create_table_can_be_run_again(rows: Rows, execute: Execute, lake: str) -> None:
    execute(
        "create external table t (a int comment 'it', b array<string>) partitioned by (d date) row format delimited"
        f" fields terminated by ',' stored as textfile location '{lake}t/' tblproperties ('skip.header.line.count'='1')"
    )
    lines = execute("show create table t").lines
    execute("drop table t")
    execute("\n".join(lines))
    assert [line for line in execute("show create table t").lines if "Ddl" not in line] == [
        line for line in lines if "Ddl" not in line
    ]


def test_describe_pads_and_marks_partitions(execute: Execute, lake: str) -> None:
    execute(f"create external table t (a int comment 'it') partitioned by (d date) location '{lake}t/'")
    assert execute("describe t").lines == [
        f"{'a':<20}\t{'int':<20}\t{'it':<20}",
        f"{'d':<20}\t{'date':<20}\t{'':<20}",
        "\t \t ",
        "# Partition Information\t \t ",
        f"# {'col_name':<20}\t{'data_type':<20}\t{'comment':<20}",
        "\t \t ",
        f"{'d':<20}\t{'date':<20}\t{'':<20}",
    ]
    assert any(line.startswith("Location:") for line in execute("describe formatted t").lines)


def test_explain_runs_nothing(rows: Rows, execute: Execute) -> None:
    result = execute("explain select 1 / 0 from (values 1) t(x) where x > 5")
    assert [column.name for column in result.columns] == ["Query Plan"]
    assert list(result.batches)
    assert rows("explain (type validate) select 1") == [("true",), ("",)]
    with pytest.raises(QueryError, match="TABLE_NOT_FOUND"):
        execute("explain select * from nope")


def test_information_schema_tells_tables_and_columns(rows: Rows, execute: Execute) -> None:
    execute("create table t with (partitioned_by=array['k']) as select 1 a, 'x' k")
    execute("create view v as select 1 b")
    assert rows(
        "select table_name, table_type from information_schema.tables where table_schema = 'default' order by 1"
    ) == [("t", "BASE TABLE"), ("v", "VIEW")]
    assert rows(
        "select column_name, data_type, ordinal_position, extra_info from information_schema.columns"
        " where table_name = 't' order by ordinal_position"
    ) == [("a", "integer", 1, None), ("k", "varchar(1)", 2, "partition key")]
    assert rows("select schema_name from awsdatacatalog.information_schema.schemata order by 1") == [
        ("default",), ("information_schema",),
    ]  # fmt: skip
