"""Text to statement: what each kind holds, and how a text that is none is refused."""

from __future__ import annotations

import pytest

from athena_local.errors import QueryError
from athena_local.sql import parse_statement
from athena_local.sql import statements as s
from athena_local.types import parse_type


def refusal(sql: str) -> str:
    with pytest.raises(QueryError) as caught:
        parse_statement(sql)
    return str(caught.value)


@pytest.mark.parametrize(
    ("sql", "kind", "substatement"),
    [
        ("select 1", "DML", "SELECT"),
        ("with a as (select 1) select * from a", "DML", "SELECT"),
        ("values (1), (2)", "DML", "SELECT"),
        ("insert into t select 1", "DML", "INSERT"),
        ("delete from t where a = 1", "DML", "DELETE"),
        ("update t set a = 1", "DML", "UPDATE"),
        ("merge into t using s on t.a = s.a when matched then delete", "DML", "MERGE"),
        ("explain select 1", "DML", "EXPLAIN"),
        ("create schema x", "DDL", "CREATE_DATABASE"),
        ("drop database if exists x cascade", "DDL", "DROP_DATABASE"),
        ("create external table t (a int) location 's3://b/'", "DDL", "CREATE_TABLE"),
        ("create table t as select 1 a", "DDL", "CREATE_TABLE_AS_SELECT"),
        ("create or replace view v as select 1 a", "DDL", "CREATE_VIEW"),
        ("drop table if exists `a`.`b`", "DDL", "DROP_TABLE"),
        ("drop view v", "DDL", "DROP_VIEW"),
        ("alter table t add columns (a int)", "DDL", "ALTER_TABLE_ADD_COLUMN"),
        ("alter table t drop column a", "DDL", "ALTER_TABLE_DROP_COLUMN"),
        ("alter table t rename to u", "DDL", "ALTER_TABLE_RENAME"),
        ("alter table t add partition (d = '1')", "DDL", "ALTER_TABLE_ADD_PARTITION"),
        ("alter table t set tblproperties ('a' = 'b')", "DDL", "ALTER_TABLE_PROPERTIES"),
        ("msck repair table t", "DDL", "MSCK_REPAIR"),
        ("show tables in x 'a*'", "UTILITY", "SHOW_TABLES"),
        ("show create table t", "UTILITY", "SHOW_CREATE_TABLE"),
        ("describe formatted t", "UTILITY", "DESCRIBE_TABLE"),
        ("optimize t rewrite data using bin_pack", "DDL", "OPTIMIZE"),
        ("vacuum t", "DML", "VACUUM"),
    ],
)
def test_parse_each_kind_is_classified(sql: str, kind: str, substatement: str) -> None:
    statement = parse_statement(sql)
    assert (statement.statement_type, statement.substatement_type) == (kind, substatement)


def test_parse_dbt_comment_and_semicolon_are_not_the_statement() -> None:
    statement = parse_statement('-- /* {"app": "dbt; v1"} */\nselect 1;\n')
    assert isinstance(statement, s.Select)


def test_parse_external_table_keeps_every_clause() -> None:
    statement = parse_statement(
        "CREATE EXTERNAL TABLE IF NOT EXISTS `db`.t (a int COMMENT 'it''s', `b c` array<struct<x:decimal(3,1)>>, d decimal)"
        " PARTITIONED BY (day date) ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' LINES TERMINATED BY '\\n'"
        " STORED AS TEXTFILE LOCATION 's3://b/t/' TBLPROPERTIES ('skip.header.line.count'='1')"
    )
    assert isinstance(statement, s.CreateTable)
    assert (statement.table.database, statement.table.name, statement.if_not_exists) == ("db", "t", True)
    assert [(c.name, c.type.hive(), c.comment) for c in statement.columns] == [
        ("a", "int", "it's"),
        ("b c", "array<struct<x:decimal(3,1)>>", ""),
        ("d", "decimal(10,0)", ""),
    ]
    assert [(c.name, c.type.hive()) for c in statement.partition_columns] == [("day", "date")]
    assert statement.row_format is not None
    assert statement.row_format.properties["field.delim"] == ","
    assert statement.row_format.properties["line.delim"] == "\n"
    assert statement.properties == {"skip.header.line.count": "1"}


def test_parse_iceberg_table_keeps_transforms() -> None:
    statement = parse_statement(
        "create table t (a int, d date) partitioned by (month(d), bucket(5, a)) location 's3://b/t/'"
        " tblproperties ('table_type' = 'ICEBERG')"
    )
    assert isinstance(statement, s.CreateTable)
    assert statement.is_iceberg
    assert statement.partition_transforms == ("month(d)", "bucket(5, a)")


def test_parse_ctas_as_dbt_writes_it() -> None:
    statement = parse_statement(
        'create table "awsdatacatalog"."db"."t" with (table_type=\'iceberg\', is_external=false, location=\'s3://b/t\','
        " partitioning=ARRAY['month(d)'], format='parquet') as select 1 a"
    )
    assert isinstance(statement, s.CreateTableAs)
    assert statement.is_iceberg
    assert statement.properties["partitioning"] == ["month(d)"]
    assert statement.properties["is_external"] is False


def test_parse_merge_keeps_clauses_in_order() -> None:
    statement = parse_statement(
        "merge into db.t as t using (select 1 a) s on t.a = s.a when matched and s.gone then delete"
        ' when matched then update set b = s.b when not matched then insert (a, "B") values (s.a, s.b)'
    )
    assert isinstance(statement, s.Merge)
    assert statement.alias == "t"
    assert [(c.matched, c.action) for c in statement.clauses] == [
        (True, "delete"),
        (True, "update"),
        (False, "insert"),
    ]
    assert statement.clauses[2].columns == ("a", "b")


@pytest.mark.parametrize(
    ("sql", "where"),
    [
        ("selec 1", "1:1"),
        ("select a,, b from t", "1:10"),
        ("select a\n  from t\n wher x = 1", "3:7"),
        ("select 'abc", "1:8"),
        ("select [1, 2]", "1:8"),
        ("select {'a': 1}", "1:8"),
        ("from t", "1:1"),
        ("select x::int", "1:9"),
        ("create tabel t", "1:8"),
        ("create external table t (x foo) location 's3://b/'", "1:28"),
        ("delete from a.b c where 1 = 1", "1:17"),
        ("", "1:1"),
    ],
)
def test_parse_what_is_not_athena_sql_is_refused_with_its_place(sql: str, where: str) -> None:
    assert refusal(sql).startswith(f"SYNTAX_ERROR: line {where}: ")


@pytest.mark.parametrize(
    "sql",
    [
        "select 1; select 2", "select 1;select 2", "select 1; -- c", "select 1;\n/* c */", "  select  1; -- c  ",
        "select 'a;b'; -- c", "selec 1; select 2", "show databases; drop table t",
    ],
)  # fmt: skip
def test_parse_several_statements_are_refused(sql: str) -> None:
    assert refusal(sql) == f"SYNTAX_ERROR: Only one sql statement is allowed. Got: {sql.rstrip()}"


@pytest.mark.parametrize(
    "sql",
    [
        "select 1;", "select 1;;", "select 1; ;\r\n", ";select 1", "-- c\nselect 1 -- c\n;", "select 1 as \"a;b\"",
        "select ';' -- ;",
    ],
)  # fmt: skip
def test_parse_semicolons_around_one_statement_are_nothing(sql: str) -> None:
    assert isinstance(parse_statement(sql), s.Select)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("", "SYNTAX_ERROR: line 1:1: mismatched input '<EOF>'. Expecting: "),
        ("-- only", "SYNTAX_ERROR: line 1:8: mismatched input '<EOF>'. Expecting: "),
        ("/* only */", "SYNTAX_ERROR: line 1:11: mismatched input '<EOF>'. Expecting: "),
        ("/* open select 1", "SYNTAX_ERROR: line 1:1: mismatched input '/'"),
        (";", "Empty sql statement: ;"),
        (" ; ; ", "Empty sql statement: ; ;"),
    ],
)
def test_parse_without_a_statement_is_refused(sql: str, message: str) -> None:
    assert refusal(sql).startswith(message)


def test_parse_foreign_catalog_is_refused() -> None:
    assert refusal("drop table other.db.t") == "CATALOG_NOT_FOUND: line 1:12: Catalog 'other' does not exist"


@pytest.mark.parametrize(
    ("text", "trino", "hive", "duckdb"),
    [
        ("int", "integer", "int", "INTEGER"),
        ("string", "varchar", "string", "VARCHAR"),
        ("decimal(10,2)", "decimal(10,2)", "decimal(10,2)", "DECIMAL(10, 2)"),
        ("timestamp(6) with time zone", "timestamp(6) with time zone", "timestamp", "TIMESTAMPTZ"),
        ("array(row(a integer))", "array(row(a integer))", "array<struct<a:int>>", 'STRUCT("a" INTEGER)[]'),
        ("map<string,double>", "map(varchar, double)", "map<string,double>", "MAP(VARCHAR, DOUBLE)"),
    ],
)
def test_types_are_spelled_as_each_side_wants(text: str, trino: str, hive: str, duckdb: str) -> None:
    kind = parse_type(text)
    assert (kind.trino(), kind.hive(), kind.duckdb()) == (trino, hive, duckdb)


def test_types_unknown_is_an_error() -> None:
    with pytest.raises(ValueError, match="Unknown type: foo"):
        parse_type("foo")
