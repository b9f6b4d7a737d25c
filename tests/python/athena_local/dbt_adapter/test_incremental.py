"""Every incremental strategy of dbt-athena: append, insert_overwrite, merge with its options, microbatch; schema changes."""

from __future__ import annotations

from typing import Any

import pytest
from dbt.tests.adapter.incremental.test_incremental_merge_exclude_columns import BaseMergeExcludeColumns
from dbt.tests.adapter.incremental.test_incremental_microbatch import BaseMicrobatch
from dbt.tests.util import run_dbt, run_dbt_and_capture

from .kinds import OnlyHive, OnlyIceberg


def rows_of(project: Any, relation: str) -> list[tuple[Any, ...]]:
    rows = project.run_sql(f"select * from {project.test_schema}.{relation}", fetch="all")
    return sorted(tuple(row) for row in rows)


class TestMergeExcludeColumns(OnlyIceberg, BaseMergeExcludeColumns):
    pass


MERGE = """
    {{ config(materialized='incremental', incremental_strategy='merge', unique_key='id', __OPTIONS__) }}
    {% if not is_incremental() %}
    select * from (values (1, 'hello', 'blue'), (2, 'goodbye', 'red')) as t (id, msg, color)
    {% else %}
    select * from (values (1, 'hey', 'blue'), (2, 'yo', 'green'), (3, 'anyway', 'purple')) as t (id, msg, color)
    {% endif %}
"""


class TestMergeConditions(OnlyIceberg):
    """dbt-athena's own options of a merge, each row of the outcome looked at."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {
            f"{name}.sql": MERGE.replace("__OPTIONS__", options)
            for name, options in {
                "plain": "",
                "predicates": "incremental_predicates=['src.id <> 2', 'target.id <> 2']",
                "deleting": "delete_condition=\"src.color = 'green'\"",
                "updating": 'update_condition="target.id > 1"',
                "inserting": 'insert_condition="src.id < 3"',
                "updating_some": "merge_update_columns=['msg']",
            }.items()
        }

    def test_each_condition(self, project: Any) -> None:
        run_dbt(["run"])
        run_dbt(["run"])
        hey, yo, anyway = (1, "hey", "blue"), (2, "yo", "green"), (3, "anyway", "purple")
        hello, goodbye = (1, "hello", "blue"), (2, "goodbye", "red")
        assert rows_of(project, "plain") == [hey, yo, anyway]
        assert rows_of(project, "predicates") == [hey, goodbye, yo, anyway]
        assert rows_of(project, "deleting") == [hey, anyway]
        assert rows_of(project, "updating") == [hello, yo, anyway]
        assert rows_of(project, "inserting") == [hey, yo]
        assert rows_of(project, "updating_some") == [hey, (2, "yo", "red"), anyway]


class TestMergeKeys(OnlyIceberg):
    """One row of a key stays one row; a key that is no column of the model is an error that names it."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        visits = """
            {{ config(materialized='incremental', incremental_strategy='merge', unique_key=__KEY__) }}
            {% if not is_incremental() %}
            select * from (values ('CT', 'Hartford', 1), ('NY', 'Kings', 1)) as t (state, county, visits)
            {% else %}
            select * from (values ('CT', 'Hartford', 2), ('CT', 'Litchfield', 2)) as t (state, county, visits)
            {% endif %}
        """
        return {
            "by_county.sql": visits.replace("__KEY__", "'county'"),
            "by_both.sql": visits.replace("__KEY__", "['state', 'county']"),
            "by_nothing_known.sql": visits.replace("__KEY__", "['state', 'nowhere']"),
        }

    def test_one_row_a_key(self, project: Any) -> None:
        run_dbt(["run", "--exclude", "by_nothing_known"])
        run_dbt(["run", "--exclude", "by_nothing_known"])
        merged = [("CT", "Hartford", 2), ("CT", "Litchfield", 2), ("NY", "Kings", 1)]
        assert rows_of(project, "by_county") == merged
        assert rows_of(project, "by_both") == merged

    def test_a_key_that_is_no_column(self, project: Any) -> None:
        run_dbt(["run", "--select", "by_nothing_known"])
        _, log = run_dbt_and_capture(["run", "--select", "by_nothing_known"], expect_pass=False)
        assert "COLUMN_NOT_FOUND" in log
        assert "nowhere" in log
        assert rows_of(project, "by_nothing_known") == [("CT", "Hartford", 1), ("NY", "Kings", 1)]


class TestInsertOverwrite(OnlyHive):
    """Partitions that the new rows are in are replaced, the others stay."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {
            "visits.sql": """
                {{ config(materialized='incremental', incremental_strategy='insert_overwrite',
                          partitioned_by=['day', 'state']) }}
                {% if not is_incremental() %}
                select * from (values (1, date '2025-01-01', 'CT'), (2, date '2025-01-02', 'CT'),
                                      (3, date '2025-01-02', 'NY')) as t (id, day, state)
                {% else %}
                select * from (values (4, date '2025-01-02', 'CT'), (5, date '2025-01-03', 'NY'))
                    as t (id, day, state)
                {% endif %}
            """
        }

    def test_touched_partitions_are_replaced(self, project: Any) -> None:
        run_dbt(["run"])
        run_dbt(["run"])
        ids = project.run_sql(f"select id from {project.test_schema}.visits order by id", fetch="all")
        assert [row[0] for row in ids] == [1, 3, 4, 5]


class TestMicrobatch(BaseMicrobatch):
    @pytest.fixture(scope="class")
    def input_model_sql(self, table_type: str) -> str:
        precision = 6 if table_type == "iceberg" else 3
        return f"""
            {{{{ config(materialized='table', event_time='event_time') }}}}
            select id, cast(event_time as timestamp({precision})) as event_time
            from (values (1, timestamp '2020-01-01 00:00:00'), (2, timestamp '2020-01-02 00:00:00'),
                         (3, timestamp '2020-01-03 00:00:00')) as t (id, event_time)
        """

    @pytest.fixture(scope="class")
    def microbatch_model_sql(self, table_type: str) -> str:
        key = "unique_key='id'" if table_type == "iceberg" else "partitioned_by=['event_time']"
        return f"""
            {{{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='event_time',
                       batch_size='day', begin=modules.datetime.datetime(2020, 1, 1), {key}) }}}}
            select * from {{{{ ref('input_model') }}}}
        """

    @pytest.fixture(scope="class")
    def insert_two_rows_sql(self, project: Any) -> str:
        return (
            f"insert into {project.test_schema}.input_model (id, event_time)"
            " values (4, timestamp '2020-01-04 00:00:00'), (5, timestamp '2020-01-05 00:00:00')"
        )


class TestOnSchemaChange:
    """A column more in the second run, under each of dbt's answers to that."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        model = """
            {{ config(materialized='incremental', incremental_strategy='append', on_schema_change='__ANSWER__') }}
            {% if not is_incremental() %}
            select 1 as id, 'a' as name, 'gone' as dropped
            {% else %}
            select 2 as id, 'b' as name, 3 as added
            {% endif %}
        """
        answers = ("ignore", "append_new_columns", "sync_all_columns", "fail")
        return {f"on_{answer}.sql": model.replace("__ANSWER__", answer) for answer in answers}

    def test_each_answer(self, project: Any) -> None:
        run_dbt(["run"])
        run_dbt(["run", "--select", "on_append_new_columns", "on_sync_all_columns"])
        assert rows_of(project, "on_append_new_columns") == [(1, "a", "gone", None), (2, "b", None, 3)]
        assert [name for name, _ in self.columns(project, "on_sync_all_columns")] == ["id", "name", "added"]
        # ignored, the table's own columns are asked of the new rows, which lack one
        _, log = run_dbt_and_capture(["run", "--select", "on_ignore"], expect_pass=False)
        assert "Column 'dropped' cannot be resolved" in log
        _, log = run_dbt_and_capture(["run", "--select", "on_fail"], expect_pass=False)
        assert "schemas on this incremental model are out of sync" in log

    @staticmethod
    def columns(project: Any, relation: str) -> list[tuple[str, str]]:
        rows = project.run_sql(
            "select column_name, data_type from information_schema.columns"
            f" where table_schema = '{project.test_schema}' and table_name = '{relation}'"
            " order by ordinal_position",
            fetch="all",
        )
        return [tuple(row) for row in rows]
