"""Contracts and constraints, unit tests of models, grants: what dbt checks before and after Athena runs a model."""

from __future__ import annotations

from typing import Any

import pytest
from dbt.tests.adapter.unit_testing.test_case_insensitivity import BaseUnitTestCaseInsensivity
from dbt.tests.adapter.unit_testing.test_invalid_input import BaseUnitTestInvalidInput
from dbt.tests.adapter.unit_testing.test_quoted_reserved_word_column_names import (
    BaseUnitTestQuotedReservedWordColumnNames,
)
from dbt.tests.adapter.unit_testing.test_types import BaseUnitTestingTypes
from dbt.tests.util import run_dbt, run_dbt_and_capture, write_file

from .kinds import OnlyHive

CONTRACT = """
version: 2
models:
  - name: orders
    config: {contract: {enforced: true}}
    columns:
      - {name: id, data_type: __ID__, constraints: [{type: not_null}, {type: primary_key}]}
      - {name: name, data_type: varchar}
      - {name: amount, data_type: "decimal(10,2)"}
"""


class TestContracts:
    """A contract is checked against the types that Athena gives an empty run of the model."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {
            "orders.sql": "{{ config(materialized='table') }}"
            " select cast(1.5 as decimal(10,2)) as amount, 'x' as name, 1 as id",
            "schema.yml": CONTRACT.replace("__ID__", "integer"),
        }

    def test_a_kept_contract_builds(self, project: Any) -> None:
        run_dbt(["run"])
        rows = project.run_sql(f"select id, name, amount from {project.test_schema}.orders", fetch="all")
        assert [(row[0], row[1], str(row[2])) for row in rows] == [(1, "x", "1.50")]

    @pytest.mark.usefixtures("project")
    def test_another_type_fails_before_a_table_is_written(self) -> None:
        write_file(CONTRACT.replace("__ID__", "varchar"), "models", "schema.yml")
        _, log = run_dbt_and_capture(["run"], expect_pass=False)
        assert "data type mismatch" in log
        write_file(CONTRACT.replace("__ID__", "integer"), "models", "schema.yml")


class TestUnitTestTypes(OnlyHive, BaseUnitTestingTypes):
    @pytest.fixture
    def data_types(self) -> list[list[str]]:
        return [
            ["1", "1"],
            ["2.5", "2.5"],
            ["bigint '9223372036854775807'", "9223372036854775807"],
            ["cast(1.50 as decimal(10,2))", "1.50"],
            ["'12345'", "12345"],
            ["'it''s'", "it's"],
            ["true", "true"],
            ["date '2024-04-01'", "2024-04-01"],
            ["timestamp '2024-04-01 00:00:00.000'", "'2024-04-01 00:00:00.000'"],
        ]


class TestUnitTestNamesInAnyCase(OnlyHive, BaseUnitTestCaseInsensivity):
    pass


class TestUnitTestInvalidInput(OnlyHive, BaseUnitTestInvalidInput):
    pass


class TestUnitTestReservedWords(OnlyHive, BaseUnitTestQuotedReservedWordColumnNames):
    pass


class TestGrants(OnlyHive):
    """dbt-athena sends no grants in SQL, and Lake Formation, asked, has granted nothing."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {
            "granted.sql": "{{ config(materialized='table', grants={'select': ['somebody']}) }} select 1 as id",
        }

    def test_no_grant_reaches_athena(self, project: Any, server: Any) -> None:
        run_dbt(["run"])
        recent = server.athena.list_query_executions(MaxResults=50)["QueryExecutionIds"]
        executions = server.athena.batch_get_query_execution(QueryExecutionIds=recent)["QueryExecutions"]
        queries = [execution["Query"] for execution in executions]
        assert any(project.test_schema in query for query in queries)
        assert not any("grant " in query.lower() for query in queries)
