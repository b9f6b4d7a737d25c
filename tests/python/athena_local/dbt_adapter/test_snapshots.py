"""Snapshots: rows that change, come and go in the source, by timestamp and by compared columns, of both kinds of table."""

from __future__ import annotations

from typing import Any

import pytest
from dbt.tests.util import run_dbt

SOURCE = {
    1: [(1, "Ann", "2020-01-01"), (2, "Bob", "2020-01-01"), (3, "Cid", "2020-01-01")],
    # Ann renamed, Bob only dated anew, Cid gone, Dora new
    2: [(1, "Anna", "2020-02-01"), (2, "Bob", "2020-02-01"), (4, "Dora", "2020-02-01")],
}

SNAPSHOT = """
{% snapshot __NAME__ %}
{{ config(target_schema=schema, unique_key='id', __STRATEGY__) }}
select id, name, cast(updated_at as timestamp(6)) as updated_at from {{ ref('people_' ~ var('state', 1)) }}
{% endsnapshot %}
"""

STRATEGIES = {
    "by_timestamp": "strategy='timestamp', updated_at='updated_at'",
    "by_name": "strategy='check', check_cols=['name']",
    "by_all": "strategy='check', check_cols='all'",
    "with_deletes": "strategy='timestamp', updated_at='updated_at', hard_deletes='invalidate'",
}


def people(state: int) -> str:
    return "id,name,updated_at\n" + "".join(
        f"{id},{name},{day} 00:00:00\n" for id, name, day in SOURCE[state]
    )


class TestSnapshots:
    @pytest.fixture(scope="class")
    def seeds(self) -> dict[str, str]:
        return {f"people_{state}.csv": people(state) for state in SOURCE}

    @pytest.fixture(scope="class")
    def snapshots(self, table_type: str) -> dict[str, str]:
        # a Hive table knows timestamps of three digits
        text = SNAPSHOT if table_type == "iceberg" else SNAPSHOT.replace("timestamp(6)", "timestamp(3)")
        return {
            f"{name}.sql": text.replace("__NAME__", name).replace("__STRATEGY__", strategy)
            for name, strategy in STRATEGIES.items()
        }

    def test_history_of_each_row(self, project: Any) -> None:
        run_dbt(["seed"])
        run_dbt(["snapshot"])
        run_dbt(["snapshot", "--vars", "state: 2"])
        run_dbt(["snapshot", "--vars", "state: 2"])  # nothing new: nothing written

        changed = {(1, "Ann", False), (1, "Anna", True), (4, "Dora", True)}
        bob_twice = {(2, "Bob", False), (2, "Bob", True)}
        assert self.history(project, "by_timestamp") == changed | bob_twice | {(3, "Cid", True)}
        assert self.history(project, "by_all") == changed | bob_twice | {(3, "Cid", True)}
        assert self.history(project, "by_name") == changed | {(2, "Bob", True), (3, "Cid", True)}
        assert self.history(project, "with_deletes") == changed | bob_twice | {(3, "Cid", False)}

    def test_validity_has_no_gap(self, project: Any) -> None:
        rows = project.run_sql(
            "select cast(min(dbt_valid_to) as varchar), cast(max(dbt_valid_from) as varchar)"
            f" from {project.test_schema}.by_timestamp where id = 1",
            fetch="all",
        )
        ended, began = rows[0]
        assert ended == began
        assert began.startswith("2020-02-01 00:00:00.000")

    @staticmethod
    def history(project: Any, snapshot: str) -> set[tuple[int, str, bool]]:
        rows = project.run_sql(
            f"select id, name, dbt_valid_to is null from {project.test_schema}.{snapshot}", fetch="all"
        )
        history = {tuple(row) for row in rows}
        assert len(history) == len(rows)
        return history
