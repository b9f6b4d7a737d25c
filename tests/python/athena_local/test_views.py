"""Views: what is stored, what is read through them, and what makes them stale, recursive or invalid."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from athena_local.catalog import Catalog
from athena_local.errors import QueryError
from athena_local.objects import ObjectStore

Rows = Callable[..., list[tuple[Any, ...]]]
Execute = Callable[..., Any]


def refusal(execute: Execute, sql: str, **changes: Any) -> str:
    with pytest.raises(QueryError) as caught:
        execute(sql, **changes)
    return str(caught.value)


@pytest.fixture
def text_table(execute: Execute, objects: ObjectStore, lake: str) -> str:
    objects.write(f"{lake}t/a.csv", b"1,x\n2,y\n")
    objects.write(f"{lake}t/b.csv", b"3,z\n")
    execute(
        "create external table t (a int, b string) row format delimited fields terminated by ','"
        f" location '{lake}t/'"
    )
    return "t"


@pytest.fixture
def scanned(new_context: Callable[..., Any]) -> Callable[[str], int]:
    """`scanned(sql)`: run a statement and return the bytes that were read for it."""

    def run(sql: str) -> int:
        from athena_local.sql import parse_statement
        from athena_local.statements import execute

        context = new_context()
        list(execute(parse_statement(sql), context).batches or ())
        return int(context.statistics.bytes_scanned)

    return run


def test_view_is_made_and_asked_for_columns_without_reading(
    scanned: Callable[[str], int], text_table: str
) -> None:
    assert scanned("create view v as select a, count(*) n from t group by a") == 0
    assert scanned("create or replace view v as select * from t where a > 1") == 0
    assert scanned("select * from v") == 12
    for sql in (
        "select * from (select a, b from v) x where false limit 0",
        "select * from t limit 0",
        "select a as x, 'lit' as y from t where 1 = 0",
        "select * from t where a = 1 and 'a' = 'b'",
        "with w as (select * from t) select * from w limit 0",
        "with w as (select * from t) select * from w where 1 <> 1",
        "create table nothing as select * from t with no data",
    ):
        assert scanned(sql) == 0, sql
    for sql in (
        "select * from t where 1 = 1",
        "select count(*), (select max(a) from t) from t where false",
        "select * from t where false union all select * from t",
        "select * from t where '1' = '1'",
    ):
        assert scanned(sql) > 0, sql


def test_query_that_can_have_no_rows_answers_as_any_other(
    rows: Rows, execute: Execute, text_table: str
) -> None:
    assert rows("select count(*), max(a) from t where false") == [(0, None)]
    assert rows("select count(*), (select max(a) from t) from t where 1 = 0") == [(0, 3)]
    assert [(c.name, c.type) for c in execute("select * from t where false").columns] == [
        ("a", "integer"),
        ("b", "varchar"),
    ]
    assert rows("select x from (select a x from t where false union all select 9) u") == [(9,)]


def test_view_of_another_writer_is_read(
    rows: Rows, execute: Execute, catalog: Catalog, text_table: str
) -> None:
    """As Athena itself, a Glue client or Trino leaves it: Trino's JSON in base64 behind `/* Presto View: `."""
    catalog.create_database({"Name": "other"})
    body = {
        "originalSql": "SELECT\n  a\n, b\nFROM\n  t\nWHERE (a > 1)\n",
        "catalog": "awsdatacatalog",
        "schema": "default",
        "columns": [{"name": "a", "type": "integer"}, {"name": "b", "type": "varchar"}],
    }
    packed = base64.b64encode(json.dumps(body).encode()).decode()
    catalog.create_table(
        "other",
        {
            "Name": "theirs",
            "TableType": "VIRTUAL_VIEW",
            "Parameters": {"presto_view": "true", "comment": "Presto View"},
            "ViewOriginalText": f"/* Presto View: {packed} */",
            "ViewExpandedText": "/* Presto View */",
            "StorageDescriptor": {"Columns": [{"Name": "a", "Type": "int"}, {"Name": "b", "Type": "string"}]},
        },
    )
    assert rows("select * from other.theirs order by a") == [(2, "y"), (3, "z")]
    assert rows("select a from theirs where b = 'z'", database="other") == [(3,)]


def test_view_resolves_names_in_its_creator_s_database(
    rows: Rows, execute: Execute, catalog: Catalog, text_table: str
) -> None:
    catalog.create_database({"Name": "other"})
    execute("create view other.v as select max(a) m from t")
    execute("create view w as select m + 1 n from v", database="other")
    assert rows("select * from other.v") == [(3,)]
    assert rows("select n from w", database="other") == [(4,)]
    assert (
        refusal(rows, "select * from w")
        == "TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.default.w' does not exist"
    )


def test_view_over_views_with_ctes_and_unions(rows: Rows, execute: Execute, text_table: str) -> None:
    execute("create view v1 as with w as (select a, b from t) select * from w union all select 9, 'q'")
    execute('create view v2 as select a "A b", upper(b) as u from v1 where a > 1')
    assert rows('select "a b", u from v2 order by 1') == [(2, "Y"), (3, "Z"), (9, "Q")]
    assert rows("select v1.a from v1 join v2 x on x.u = upper(v1.b) order by 1") == [(2,), (3,), (9,)]


def test_view_that_contains_itself_is_refused(rows: Rows, execute: Execute) -> None:
    execute("create view v as select 1 a")
    execute("create view w as select a from v")
    assert refusal(execute, "create or replace view v as select a from v") == (
        "VIEW_IS_RECURSIVE: line 1:43: Statement would create a recursive view"
    )
    assert refusal(execute, "create or replace view v as select a from w") == (
        "INVALID_VIEW: line 1:43: Failed analyzing stored view 'awsdatacatalog.default.w': line 1:15:"
        " Statement would create a recursive view"
    )
    assert rows("select * from w") == [(1,)]


def test_view_made_recursive_behind_its_back_is_refused(
    rows: Rows, execute: Execute, catalog: Catalog
) -> None:
    execute("create view v as select 1 a")
    execute("create view w as select a from v")
    record = catalog.get_table("default", "w")
    catalog.update_table(
        "default",
        {
            **{
                key: record[key]
                for key in ("TableType", "ViewOriginalText", "Parameters", "StorageDescriptor")
            },
            "Name": "v",
        },
    )
    assert refusal(rows, "select * from w") == (
        "INVALID_VIEW: line 1:15: Failed analyzing stored view 'awsdatacatalog.default.w': line 1:15: Failed analyzing"
        " stored view 'awsdatacatalog.default.v': line 1:15: View is recursive"
    )


def test_view_is_stale_when_its_columns_have_changed(rows: Rows, execute: Execute, lake: str) -> None:
    def table(columns: str) -> None:
        execute("drop table if exists t")
        execute(f"create external table t ({columns}) stored as parquet location '{lake}t/'")

    table("a int, b string")
    execute("create view v as select * from t")
    table("a int, b string, c int")
    stale = "VIEW_IS_STALE: line 1:15: View 'awsdatacatalog.default.v' is stale or in invalid state: "
    assert refusal(rows, "select * from v") == stale + (
        "stored view column count (2) does not match column count derived from the view query analysis (3)"
    )
    table("a int, c string")
    assert refusal(rows, "select * from v") == stale + (
        "column [c] of type varchar projected from query view at position 1 has a different name from column [b] of"
        " type varchar stored in view definition"
    )
    table("a string, b string")
    assert refusal(rows, "select * from v") == stale + (
        "column [a] of type varchar projected from query view at position 0 cannot be coerced to column [a] of type"
        " integer stored in view definition"
    )
    table("a smallint, b string")
    assert rows("select * from v") == []  # a narrower type still fits
    assert execute("select * from v").columns[0].type == "integer"


def test_view_over_a_lost_table_says_which_and_where(rows: Rows, execute: Execute, text_table: str) -> None:
    execute("create view v as select a\nfrom t")
    execute("drop table t")
    assert refusal(rows, "select * from v") == (
        "INVALID_VIEW: line 1:15: Failed analyzing stored view 'awsdatacatalog.default.v': line 2:6:"
        " Table 'awsdatacatalog.default.t' does not exist"
    )


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "create view v as select 1",
            "MISSING_COLUMN_NAME: line 1:1: Column name not specified at position 1",
        ),
        (
            "create view v as select 1 a, 2 A",
            "DUPLICATE_COLUMN_NAME: line 1:1: Column name 'a' specified more than once",
        ),
        (
            "create view old as select 1 a",
            "TABLE_ALREADY_EXISTS: line 1:13: View already exists: 'default.old'",
        ),
        (
            "create or replace view t as select 1 a",
            "TABLE_ALREADY_EXISTS: line 1:24: Table 'default.t' already exists",
        ),
        (
            "create view nowhere.v as select 1 a",
            "SCHEMA_NOT_FOUND: line 1:13: Schema 'nowhere' does not exist",
        ),
        (
            "create view v as select * from nope",
            "TABLE_NOT_FOUND: line 1:32: Table 'awsdatacatalog.default.nope'",
        ),
        ("create view v (a) as select 1 a", "SYNTAX_ERROR: line 1:15: mismatched input '('. Expecting: "),
        (
            "create view v as select ? a",
            "INVALID_PARAMETER_USAGE: line 1:1: Incorrect number of parameters: expected 1 but found 0",
        ),
        ("drop view nope", "TABLE_NOT_FOUND: line 1:11: View 'default.nope' does not exist"),
        (
            "drop view t",
            "TABLE_NOT_FOUND: line 1:11: View 'default.t' does not exist, but a table with that name does",
        ),
        ("drop table old", "INVALID_ARGUMENTS: line 1:12: Cannot drop a view with DROP TABLE: default.old"),
        ("select * from old for version as of 1", "NOT_SUPPORTED: line 1:15: View query cannot be versioned"),
    ],
)
def test_view_mistake_is_refused(execute: Execute, text_table: str, sql: str, message: str) -> None:
    execute("create view old as select 1 a")
    assert refusal(execute, sql).startswith(message)


def test_drop_view_if_exists(execute: Execute, catalog: Catalog) -> None:
    execute("create view v as select 1 a")
    for _ in range(2):
        assert execute("drop view if exists v").lines == []
    assert [record["Name"] for record in catalog.get_tables("default")] == []
