"""What tools ask first when they connect: where am I?"""

from __future__ import annotations

from typing import Any

import pytest

from athena_local.errors import QueryError


def test_current_catalog_and_schema_name_the_context(run_query: Any, database: str) -> None:
    assert run_query("select current_catalog, current_schema", database) == [("awsdatacatalog", database)]
    assert run_query('SELECT CURRENT_SCHEMA AS "CURRENT_SCHEMA"', database) == [(database,)]
    sql = "select count(*) from information_schema.schemata where schema_name = current_schema"
    assert run_query(sql, database) == [("1",)]


def test_current_schema_in_quotes_is_a_column(rows: Any) -> None:
    assert rows("""select "current_schema" from (values 1) as t("current_schema")""") == [(1,)]
    with pytest.raises(QueryError, match="COLUMN_NOT_FOUND"):
        rows('select "current_schema" from (values 1) as t(a)')
