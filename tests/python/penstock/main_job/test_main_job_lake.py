"""Work on the mart's table between builds and syncs of the main job: rollback, repartition, compaction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from penstock.connections import Connections
from penstock.lake.layouts import layout_of
from penstock.lake.repartition import abort, repartition
from penstock.lake.rollback import plan_rollback, roll_back
from penstock.lake.tables import read_version as read
from penstock.lake.tables import resolve
from penstock.lake.upkeep import Policy, upkeep
from penstock.transform.dbt import Side, target_path

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def built(stack: Connections, make_job: Any, main_job_environment: Any, generate: Any) -> Any:
    """The main job, built and synced once."""
    environment = main_job_environment("local", name="main-job-lake")
    job = make_job(replace(stack, environment=environment), "main_job_lake")
    job.land(base=generate(910))
    job.build()
    job.sync()
    return job


def corrected(job: Any) -> list[list[str]]:
    """Other quantiles for the rows of one day."""
    day = (line for line in job.landed["base.csv"] if line[2] == "2025-02-03")
    return [[*line[:6], "1.00", "2.00", "3.00"] for line in day]


def table(job: Any) -> Any:
    found = resolve(job.connections, "fct_forecast", target_path(Side.LAKE, job.root) / "manifest.json")
    assert found.model_file == "models/marts/forecast/fct_forecast.sql"
    return found


def test_rolled_back_mart_is_followed_by_the_sync_and_built_upon(built: Any) -> None:
    name = table(built)
    built.ask("delete from fct_forecast where business_date >= date '2025-03-01'")
    gone = built.sync().deleted
    assert gone > 0
    first = read(built.connections, name).snapshots[0]["snapshot-id"]
    roll_back(built.connections, plan_rollback(built.connections, name, str(first)))
    report = built.sync()
    assert (report.inserted, report.updated, report.deleted) == (gone, 0, 0)
    built.assert_equal()
    built.land(correction=corrected(built))
    built.build()
    assert built.sync().updated == len(corrected(built)) > 0
    built.assert_equal()


def test_mart_in_another_layout_is_built_and_synced_as_before_and_goes_back(built: Any) -> None:
    name = table(built)
    repartition(built.connections, name, "state,month(business_date)")
    layout = [term and term.text for term in layout_of(read(built.connections, name))]
    assert layout == ["state", "month(business_date)"]
    assert built.sync().rows_written == 0
    built.land(correction=None)
    built.build()
    assert built.sync().updated == len(corrected(built))
    built.assert_equal()
    abort(built.connections, name)
    assert built.sync().rows_written == 0
    built.assert_equal()


def test_compacted_and_expired_mart_costs_postgres_nothing(built: Any) -> None:
    name = table(built)
    stamps = built.stamps()
    at_once = Policy(small_files=2, delete_files=1, keep_days=0, keep_snapshots=1)
    upkeep(built.connections, name, at_once)
    built.sync()
    steps = upkeep(built.connections, name, at_once)
    assert len(read(built.connections, name).snapshots) == 1, steps
    assert built.sync().rows_written == 0
    assert built.stamps() == stamps
    built.assert_equal()
