"""information_schema: schemata, tables, columns and views, quick where it is asked by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from athena_local.catalog import Catalog
from athena_local.engine.session import Session
from athena_local.errors import QueryError

Rows = Callable[..., list[tuple[Any, ...]]]
Execute = Callable[..., Any]


@pytest.fixture
def lake_tables(execute: Execute, catalog: Catalog, lake: str) -> None:
    catalog.create_database({"Name": "other"})
    execute(
        "create external table t (a int comment 'first', b array<string>) partitioned by (d date)"
        f" stored as parquet location '{lake}t/'"
    )
    execute("create view other.v as select a, count(*) n from default.t group by a")
    execute(
        f"create table default.i (x bigint, y struct<p:int,q:string>) location '{lake}i/'"
        " tblproperties ('table_type' = 'ICEBERG')"
    )


def test_information_schema_tells_schemas_tables_and_views(rows: Rows, lake_tables: None) -> None:
    assert rows("select * from information_schema.schemata order by 2") == [
        ("awsdatacatalog", "default"), ("awsdatacatalog", "information_schema"), ("awsdatacatalog", "other"),
    ]  # fmt: skip
    tables = "select table_schema, table_name, table_type from information_schema.tables"
    assert rows(f"{tables} where table_schema <> 'information_schema' order by 1, 2") == [
        ("default", "i", "BASE TABLE"), ("default", "t", "BASE TABLE"), ("other", "v", "VIEW"),
    ]  # fmt: skip
    assert rows(f"{tables} where table_schema = 'information_schema' order by 2") == [
        ("information_schema", name, "BASE TABLE") for name in ("columns", "schemata", "tables", "views")
    ]
    assert rows(
        "select table_schema, table_name, view_definition from awsdatacatalog.information_schema.views"
    ) == [("other", "v", "select a, count(*) n from default.t group by a")]


def test_information_schema_tells_columns_with_trino_s_types(rows: Rows, lake_tables: None) -> None:
    columns = (
        "select column_name, ordinal_position, is_nullable, data_type, comment, extra_info"
        " from information_schema.columns"
    )
    assert rows(f"{columns} where table_schema = 'default' and table_name = 't' order by 2") == [
        ("a", 1, "YES", "integer", "first", None),
        ("b", 2, "YES", "array(varchar)", None, None),
        ("d", 3, "YES", "date", None, "partition key"),
    ]
    assert rows(f"{columns} where table_name in ('i', 'v') order by table_name, 2") == [
        ("x", 1, "YES", "bigint", None, None),
        ("y", 2, "YES", "row(p integer, q varchar)", None, None),
        ("a", 1, "YES", "integer", None, None),
        ("n", 2, "YES", "bigint", None, None),
    ]
    assert rows("select count(*) from information_schema.columns where column_default is not null") == [(0,)]
    assert [row[0] for row in rows(f"{columns} where table_schema = 'information_schema' and table_name = 'schemata'")] == [
        "catalog_name", "schema_name",
    ]  # fmt: skip


def test_information_schema_names_are_compared_as_they_are(
    rows: Rows, execute: Execute, lake_tables: None
) -> None:
    tables = "select table_name from information_schema.tables t"
    assert rows(f"{tables} where t.table_schema = 'default' and 'T' = upper(table_name)") == [("t",)]
    assert rows(f"{tables} where table_name = 'T'") == []
    assert rows(f"{tables} where table_schema = 'Default'") == []
    assert rows(f"{tables} where table_schema in ('other', 'nope') and table_name in ('v', 't')") == [("v",)]
    assert rows(f"{tables} where table_name = 't' and table_name = 'i'") == []
    assert rows(f"{tables} where table_name = 't' or table_name = 'i' order by 1") == [("i",), ("t",)]
    assert rows('select "TABLE_NAME" from information_schema."TABLES" where table_name = \'t\'') == [("t",)]
    joined = (
        "select t.table_name, c.column_name from information_schema.tables t join information_schema.columns c"
        " on t.table_name = c.table_name and c.column_name = 'x' where t.table_schema = 'default'"
    )
    assert rows(joined) == [("i", "x")]


def test_information_schema_of_a_thousand_tables_is_handed_over_as_arrow(
    rows: Rows, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As literals, the ten thousand rows took DuckDB six seconds to parse."""
    catalog.create_database({"Name": "big"})
    columns = [{"Name": f"c{index}", "Type": "string"} for index in range(10)]
    for index in range(1000):
        catalog.create_table("big", {"Name": f"t{index}", "StorageDescriptor": {"Columns": columns}})
    looked_up = catalog.get_tables
    catalog.get_tables = None  # type: ignore[assignment,method-assign]  # one table asked by name needs no listing
    where = "where table_schema = 'big' and table_name = 't777'"
    assert rows(f"select count(*) from information_schema.columns {where}") == [(10,)]
    catalog.get_tables = looked_up  # type: ignore[method-assign]
    handed_over: list[int] = []
    register = Session.register

    def counted(session: Session, table: Any) -> str:
        handed_over.append(table.num_rows)
        return register(session, table)

    monkeypatch.setattr(Session, "register", counted)
    assert rows(
        "select count(*), count(distinct table_name) from information_schema.columns where table_schema = 'big'"
    ) == [(10_000, 1000)]
    assert handed_over == [10_000]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "select * from information_schema.roles",
            "TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.information_schema.roles' does not exist",
        ),
        (
            "select * from hive.information_schema.tables",
            "CATALOG_NOT_FOUND: line 1:15: Catalog 'hive' does not exist",
        ),
        (
            "select nope from information_schema.tables",
            "COLUMN_NOT_FOUND: line 1:8: Column 'nope' cannot be resolved",
        ),
    ],
)
def test_information_schema_mistake_is_refused(rows: Rows, sql: str, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        rows(sql)
    assert str(caught.value).startswith(message)
