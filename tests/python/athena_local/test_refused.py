"""What DuckDB or another dialect takes and Athena does not: refused where Athena refuses it, at the same token.

Also the ways to anything that is not a table of the catalog, and the kinds of statement Athena has not.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from athena_local.errors import QueryError
from athena_local.sql import parse_statement

Rows = Callable[..., list[tuple[Any, ...]]]
UNSUPPORTED = "Queries of this type are not supported"


def refusal(sql: str) -> str:
    with pytest.raises(QueryError) as caught:
        parse_statement(sql)
    return str(caught.value)


@pytest.mark.parametrize(
    ("sql", "column", "token"),
    [
        # DuckDB's select
        ("select * exclude (a) from t", 10, "exclude"),
        ("select * replace (1 as a) from t", 10, "replace"),
        ("select * except (a) from t", 18, "a"),
        ("select a from t qualify row_number() over () = 1", 25, "row_number"),
        ("from t", 1, "from"),
        ("from t select a", 1, "from"),
        ("from 'file.csv'", 1, "from"),
        ("select 1 from range(3)", 20, "("),
        ("select * from read_parquet('x')", 27, "("),
        ("select * from 'file.csv'", 15, "'file.csv'"),
        ("select distinct on (a) a from t", 17, "on"),
        ("select * from t using sample 10", 17, "using"),
        ("select * from t positional join u", 34, "<EOF>"),
        ("select * from t pivot (sum(a) for b in (1))", 27, "("),
        ("select 1 union by name select 2", 16, "by"),
        ("with t as materialized (select 1) select * from t", 11, "materialized"),
        ("select 1 from t limit 10%", 25, "%"),
        ("select 1, from t", 11, "from"),
        ("select f(1,) from t", 12, ")"),
        ("select a from t group by a,", 28, "<EOF>"),
        ("values (1,)", 11, ")"),
        ("values ()", 9, ")"),
        ("select lambda x: x + 1", 16, ":"),
        ("select a := 1", 10, ":"),
        ("select [x for x in (1)]", 8, "["),
        ("select [1, 2]", 8, "["),
        ("select {'a': 1}", 8, "{"),
        ("select map {'a': 1}", 12, "{"),
        ("select array[1, 2][1:2]", 21, ":"),
        ("select 1::varchar", 9, ":"),
        ("select 5 // 2", 11, "/"),
        ("select 2 ** 3", 11, "*"),
        ("select 2 ^ 3", 10, "^"),
        ("select 1 == 1", 11, "="),
        ("select 'a' ~ 'a'", 12, "~"),
        ("select json '{}' -> 'a'", 18, "->"),
        ("select json '{}' ->> 'a'", 18, "->"),
        ("select 'a' ilike 'A'", 18, "'A'"),
        ("select 'a' glob 'a'", 17, "'a'"),
        ("select 'a' similar to 'a'", 20, "to"),
        ("select $$abc$$", 8, "$$abc$$"),
        ("select $1", 8, "$1"),
        ("select #1", 8, "#"),
        ("select 1 # comment", 10, "#"),
        ("select 'a\\'b'", 13, "'"),
        ("describe select 1", 17, "1"),
        ("summarize t", 1, "summarize"),
        ("attach 'x' as y", 1, "attach"),
        ("copy (select 1) to 'x'", 1, "copy"),
        ("install httpfs", 1, "install"),
        ("pragma version", 1, "pragma"),
        ("pivot t on a", 1, "pivot"),
        ("checkpoint", 1, "checkpoint"),
        ("export_database", 1, "export_database"),
        # other dialects
        ("select top 1 * from t", 12, "1"),
        ("select 1 limit 1, 2", 17, ","),
        ("select 1 limit -1", 16, "-"),
        ("select 1 limit 1 + 1", 18, "+"),
        ("select 1 limit 2 offset 3", 18, "offset"),
        ("select 1 minus select 2", 16, "select"),
        ("select 1 as 'x'", 13, "'x'"),
        ("select @a", 8, "@"),
        ("select :a", 8, ":"),
        ("select 1 is true", 13, "true"),
        ("select interval 1 day", 17, "1"),
        ("select interval '1 day'", 24, "<EOF>"),
        ("select cast(1 as int[])", 21, "["),
        ("select cast(1 as struct(a int))", 27, "int"),
        ("select row(1 as a)", 14, "as"),
        ("select * from (select 1) as t(a int)", 33, "int"),
        ("select * from t cross apply u", 23, "apply"),
        ("select * from t lateral view explode(a) x as y", 25, "view"),
        ("select a from t cluster by a", 25, "by"),
        ("select a from t sort by a", 22, "by"),
        ("select * from t tablesample (10 percent)", 30, "10"),
        ("select * from t tablesample reservoir (10)", 29, "reservoir"),
        ("select * from t for system_time as of timestamp '2020-01-01 00:00:00'", 17, "for"),
        ("select * from t for update", 17, "for"),
        ("select unnest(array[1])", 8, "unnest"),
        ("delete from t limit 1", 15, "limit"),
        ("delete from t using u", 15, "using"),
        ("update t set a = 1 from u", 20, "from"),
        ("update t a set a.b = 1", 10, "a"),
        ("merge into t using u on true when not matched by source then delete", 47, "by"),
        ("insert overwrite t select 1", 8, "overwrite"),
        ("insert into t values (1) on conflict do nothing", 26, "on"),
        ("insert into t default values", 15, "default"),
    ],
)
def test_refused_syntax_is_told_at_its_token(sql: str, column: int, token: str) -> None:
    assert refusal(sql).startswith(f"SYNTAX_ERROR: line 1:{column}: mismatched input '{token}'")


@pytest.mark.parametrize("number", ["1_000", "0x1F", "0b1", "1e5x"])
def test_refused_number_of_another_dialect_is_a_name_that_starts_with_a_digit(number: str) -> None:
    message = "identifiers must not start with a digit; surround the identifier with double quotes"
    assert refusal(f"select {number}") == f"SYNTAX_ERROR: line 1:8: {message}"


@pytest.mark.parametrize("mark", ["\u00a0", "\ufeff", "\u200b", "\x0b", "\x00", "é", "１"])
def test_refused_mark_that_is_no_space_and_no_letter_of_trino(mark: str) -> None:
    assert refusal(f"select {mark}1 from t").startswith(f"SYNTAX_ERROR: line 1:8: mismatched input '{mark}")


@pytest.mark.parametrize("sql", ["select 1; select 2", "select 1;;select 2", "select 1; drop table t"])
def test_refused_several_statements(sql: str) -> None:
    assert refusal(sql) == f"SYNTAX_ERROR: Only one sql statement is allowed. Got: {sql}"


@pytest.mark.parametrize(
    "sql",
    [
        "grant select on t to u", "revoke all privileges on t from u", "deny select on t to u", "call system.flush()",
        "create function f() returns int return 1", "create role r", "create catalog c using hive", "drop role r",
        "drop function f",
        "create materialized view v as select 1", "refresh materialized view v", "drop materialized view v",
        "alter view v rename to w",
        "start transaction", "commit", "rollback", "comment on table t is 'x'", "analyze t", "truncate table t",
        "show catalogs",
        "show session", "show stats for t", "show roles", "show grants", "use x", "set session a = 1", "set x = 1",
        "reset session x",
        "load httpfs", "select * from system.runtime.queries", "with a as (select * from system.metadata.catalogs) select 1",
    ],
)  # fmt: skip
def test_refused_kind_of_statement_has_athenas_text(sql: str) -> None:
    assert refusal(sql) == UNSUPPORTED


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ('select * from "/etc/passwd"', "TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.default./etc/passwd' does"
        " not exist"),
        ('select * from "s3://bucket/key.csv"', "TABLE_NOT_FOUND: line 1:15: "),
        ("select * from duckdb_settings", "TABLE_NOT_FOUND: line 1:15: "),
        ("select * from sqlite_master", "TABLE_NOT_FOUND: line 1:15: "),
        ("select * from pg_catalog.pg_tables", "SCHEMA_NOT_FOUND: line 1:15: Schema 'pg_catalog' does not exist"),
        ("select * from main.t", "SCHEMA_NOT_FOUND: line 1:15: Schema 'main' does not exist"),
        ("select * from temp.t", "SCHEMA_NOT_FOUND: line 1:15: Schema 'temp' does not exist"),
        ("select * from memory.main.t", "CATALOG_NOT_FOUND: line 1:15: Catalog 'memory' does not exist"),
        ("select * from information_schema.character_sets", "TABLE_NOT_FOUND: line 1:15: "),
        ("select getenv('HOME')", "FUNCTION_NOT_FOUND: line 1:8: Function 'getenv' not registered"),
        ("select current_setting('threads')", "FUNCTION_NOT_FOUND: line 1:8: Function 'current_setting' not registered"),
        ("select list_value(1, 2)", "FUNCTION_NOT_FOUND: line 1:8: Function 'list_value' not registered"),
        ("select struct_pack(1)", "FUNCTION_NOT_FOUND: line 1:8: Function 'struct_pack' not registered"),
        ("select error('x')", "FUNCTION_NOT_FOUND: line 1:8: Function 'error' not registered"),
        ("select trino_md5('x')", "FUNCTION_NOT_FOUND: line 1:8: Function 'trino_md5' not registered"),
        ("select read_text('/etc/passwd')", "FUNCTION_NOT_FOUND: line 1:8: Function 'read_text' not registered"),
        ("select generate_series(1, 3)", "FUNCTION_NOT_FOUND: line 1:8: Function 'generate_series' not registered"),
        ("select nextval('s')", "FUNCTION_NOT_FOUND: line 1:8: Function 'nextval' not registered"),
        ("select * from table(read_csv('x'))", "FUNCTION_NOT_FOUND: line 1:21: Table function 'read_csv' not registered"),
        ("select columns(*) from (select 1 a)", "FUNCTION_NOT_FOUND: line 1:8: Function 'columns' not registered"),
        ("select * from (select 1 a) order by all", "COLUMN_NOT_FOUND: line 1:37: Column 'all' cannot be resolved"),
        ("select rowid from (select 1 a)", "COLUMN_NOT_FOUND: line 1:8: Column 'rowid' cannot be resolved"),
        ('select "x"', "COLUMN_NOT_FOUND: line 1:8: Column 'x' cannot be resolved"),
    ],
)  # fmt: skip
def test_refused_name_that_leads_out_of_the_catalog(rows: Rows, sql: str, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        rows(sql)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select * from (values 1) t(a) asof join (values 2) u(a) on asof.a < u.a", "MISMATCH"),
        ("select semi.a from (values 1) semi(a) semi join (values 1) u(b) on semi.a = u.b", "MISMATCH"),
        ("select a from (select 1 a) anti join (select 1 b) u on anti.a = u.b", [(1,)]),
        ("select qualify.a from (select 1 a) qualify", [(1,)]),
        ("select 1 notnull", [(1,)]),
        ("select 'abc' like 'a%' as ilike", [(True,)]),
    ],
)
def test_refused_join_words_of_duckdb_are_plain_aliases(rows: Rows, sql: str, expected: Any) -> None:
    if expected == "MISMATCH":
        with pytest.raises(QueryError, match="mismatched input"):
            rows(sql)
    else:
        assert rows(sql) == expected


def test_refused_file_beside_the_data_stays_unread(rows: Rows, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\ncanary-77\n")
    csv = f"read_csv('{secret}')"
    for text in (f'"{secret}"', f"'{secret}'", csv, f"table({csv})", f'default."{secret}"'):
        with pytest.raises(QueryError) as caught:
            rows(f"select * from {text}")
        assert "canary-77" not in str(caught.value)
