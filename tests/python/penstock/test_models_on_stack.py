"""The models on the local stack, from landed files to marts and served views: content, snapshots, files written.

One lake of its own names; each test lands exactly the files it speaks of and compares the mart with what those files say.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from penstock.connections import Connections
from penstock.environments import Environment
from penstock.errors import BuildError
from penstock.lake.athena import Athena
from penstock.lake.query import query
from penstock.landing.seed import landed_files, remove, seed
from penstock.settings import PROJECT_ROOT
from penstock.transform import dbt
from penstock.transform.build import BuildReport, build, build_lake, build_serving
from penstock.transform.dbt import Side
from penstock.transform.docs import generate
from penstock.transform.freshness import freshness

pytestmark = pytest.mark.stack

FORECAST = ("--select", "path:models/staging/forecast", "path:models/marts/forecast")
MARTS = ("fct_forecast", "dim_restaurant", "forecast_summary_by_state", "forecast_summary_by_date")
HEADER = "restaurant_id,inventory_item_id,business_date,dma_id,dc_id,state,y_05,y_50,y_95"

Key = tuple[int, int, date]
Values = tuple[
    str, str, str, str, str, str
]  # dma_id, dc_id, state, y_05, y_50, y_95 as they stand in the file
Rows = dict[Key, Values]


@dataclass(frozen=True)
class ModelsEnvironment(Environment):
    """Names of this module's own, so that it shares the stack with other tests and nothing else."""

    @property
    def lake_bucket(self) -> str:
        return "penstock-lake-models-test"

    @property
    def results_bucket(self) -> str:
        return "penstock-athena-results-models-test"

    @property
    def workgroup(self) -> str:
        return "penstock-models-test"

    @property
    def marts_database(self) -> str:
        return "analytics_models_test"

    def landed_database(self, source: str) -> str:
        return f"{source}_data_models_test"


@dataclass
class Lake:
    connections: Connections
    root: Path
    folder: Path
    landed: dict[str, Rows] = field(default_factory=dict)

    def land(self, files: dict[str, Rows]) -> None:
        """Make the landed files be exactly these."""
        paths = []
        for name, rows in files.items():
            lines = [
                ",".join((str(key[0]), str(key[1]), key[2].isoformat(), *values))
                for key, values in rows.items()
            ]
            path = self.folder / name
            path.write_text("\n".join([HEADER, *lines]) + "\n")
            paths.append(path)
        seed(self.connections, "forecast", paths)
        for name in set(landed_files(self.connections)) - set(files):
            remove(self.connections, "forecast", name)

    def run(self) -> None:
        """Run the models alone: their tests are run once, by the first build, and where a test is about them."""
        dbt.run(self.connections, Side.LAKE, ["run", *FORECAST], root=self.root)

    def make_sure_it_is_built(self) -> None:
        """For a test that needs the marts there, whatever they hold."""
        from botocore.exceptions import ClientError

        try:
            self.snapshots()
        except ClientError:
            self.run()

    def rows(self, sql: str) -> list[tuple[str | None, ...]]:
        return Athena(self.connections).run(sql, database=self.connections.environment.marts_database).rows

    def forecast(self) -> dict[tuple[str | None, ...], tuple[Any, ...]]:
        found = self.rows("select * from fct_forecast")
        rows = {row[:3]: (*row[3:6], *(value and float(value) for value in row[6:])) for row in found}
        assert len(rows) == len(found), "the mart holds a key twice"
        return rows

    def metadata(self, table: str) -> tuple[str, dict[str, Any]]:
        environment = self.connections.environment
        told = self.connections.client("glue").get_table(DatabaseName=environment.marts_database, Name=table)
        location = told["Table"]["Parameters"]["metadata_location"]
        bucket, _, key = location.removeprefix("s3://").partition("/")
        body = self.connections.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return location, json.loads(body)

    def snapshots(self) -> dict[str, int]:
        return {table: self.metadata(table)[1]["current-snapshot-id"] for table in MARTS}

    def files_by_month(self) -> dict[str, frozenset[str]]:
        """The live data and delete files of fct_forecast, by month, as PyIceberg reads them."""
        from pyiceberg.table import StaticTable

        properties = {
            "s3.endpoint": self.connections.default_endpoint_url,
            "s3.access-key-id": self.connections.access_key,
            "s3.secret-access-key": self.connections.secret_key,
            "s3.region": self.connections.region,
        }
        table = StaticTable.from_metadata(self.metadata("fct_forecast")[0], properties)
        months: dict[str, set[str]] = {}
        for task in table.scan().plan_files():
            number = task.file.partition[0]
            month = f"{1970 + number // 12}-{number % 12 + 1:02}"
            months.setdefault(month, set()).update(
                [task.file.file_path, *(d.file_path for d in task.delete_files)]
            )
        return {month: frozenset(paths) for month, paths in months.items()}


@pytest.fixture(scope="module")
def lake(stack: Connections, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with the base file landed and everything built and tested once; its project lies in a path with a space."""
    root = tmp_path_factory.mktemp("the project")
    for name in ("models", "functions", "macros", "analyses", "tests/dbt", "profiles"):
        shutil.copytree(PROJECT_ROOT / name, root / name)
    for name in ("dbt_project.yml", "selectors.yml"):
        shutil.copy(PROJECT_ROOT / name, root / name)
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute("create database models_test")
    url = stack.database_url.rpartition("/")[0] + "/models_test"
    connections = replace(stack, environment=ModelsEnvironment("local"), database_url=url)
    return Lake(connections, root, tmp_path_factory.mktemp("files"))


def base() -> Rows:
    """Three months of twenty days, three restaurants, two items; restaurant 3 has no market and no distribution centre."""
    places = {1: ("ENQ", "55", "CA"), 2: ("SEA", "56", "WA"), 3: ("", "", "CA")}
    days = [first + timedelta(days=n) for first in _months() for n in range(20)]
    return {
        (restaurant, item, day): (
            *place,
            f"{restaurant}.5",
            f"{restaurant + day.day}.25",
            f"{restaurant + 40}.1",
        )
        for restaurant, place in places.items()
        for item in (10, 11)
        for day in days
    }


def _months() -> list[date]:
    return [date(2025, 1, 1), date(2025, 2, 1), date(2025, 3, 1)]


def in_mart(*files: Rows) -> dict[tuple[str | None, ...], tuple[Any, ...]]:
    """What fct_forecast must hold, the later file winning."""
    merged: Rows = {}
    for rows in files:
        merged |= rows
    return {
        (str(key[0]), str(key[1]), key[2].isoformat()): (
            *(value or None for value in values[:3]),
            *(float(value) if value else None for value in values[3:]),
        )
        for key, values in merged.items()
    }


def test_build_first_time_builds_tests_and_reports(lake: Lake) -> None:
    lake.land({"a.csv": base()})
    report = build(lake.connections, root=lake.root)
    assert isinstance(report, BuildReport)
    assert lake.forecast() == in_mart(base())
    assert {model.name: model.rows for model in report.lake.models} == {
        "stg_forecast__demand": None,
        "fct_forecast": 360,
        "dim_restaurant": 3,
        "forecast_summary_by_state": 2,
        "forecast_summary_by_date": 120,
    }
    fct = next(model for model in report.lake.models if model.name == "fct_forecast")
    assert fct.bytes_scanned is not None
    assert fct.bytes_scanned >= len(base()) * 30  # the whole CSV at least
    assert {test.status for test in report.lake.tests} == {"pass"}
    assert len(report.lake.tests) > 30
    assert report.serving is None
    assert report.serving_skipped == (
        "Postgres has no public.forecast_data and no public.product_embeddings and no public.sales_history yet;"
        " `invoke sync` makes it, then build again"
    )
    assert lake.rows("select restaurant_id, dma_id, dc_id, state from dim_restaurant order by 1") == [
        *(("1", "ENQ", "55", "CA"), ("2", "SEA", "56", "WA"), ("3", None, None, "CA"))
    ]
    assert lake.rows("select * from forecast_summary_by_state order by state") == [
        ("CA", "240", "12.7500", "1.50", "43.10"),
        ("WA", "120", "12.7500", "2.50", "42.10"),
    ]


def test_build_changes_write_only_what_differs(lake: Lake) -> None:
    """Nothing new, an overlapping file, that file deleted, a month gone, rows gone: the marts follow each exactly."""
    lake.land({"a.csv": base()})
    lake.run()
    snapshots, files = lake.snapshots(), lake.files_by_month()
    assert set(files) == {"2025-01", "2025-02", "2025-03"}

    lake.run()
    assert lake.snapshots() == snapshots, "a build with nothing new committed a snapshot"

    # a second file restates February the 3rd (one restaurant differs) and adds a day of April
    day, new_day = date(2025, 2, 3), date(2025, 4, 1)
    again = {key: values for key, values in base().items() if key[2] == day}
    again |= {key: (*values[:4], "99.99", "100") for key, values in again.items() if key[0] == 2}
    again |= {(key[0], key[1], new_day): values for key, values in again.items()}
    lake.land({"a.csv": base(), "b.csv": again})
    lake.run()
    assert lake.forecast() == in_mart(base(), again)
    touched = lake.files_by_month()
    assert {month for month in touched if touched[month] != files.get(month)} == {"2025-02", "2025-04"}
    summary = lake.metadata("fct_forecast")[1]["snapshots"][-1]["summary"]
    assert int(summary["added-records"]) == 2 + 6, "rows that did not change were written"

    # the second file goes: February is as it was, April is empty
    lake.land({"a.csv": base()})
    lake.run()
    assert lake.forecast() == in_mart(base())

    # the file is replaced by one without March, and without some rows of January
    before = lake.files_by_month()
    less = {
        key: values
        for key, values in base().items()
        if key[2].month != 3 and not (key[2].month == 1 and key[0] == 1 and key[1] == 10)
    }
    lake.land({"a.csv": less})
    lake.run()
    assert lake.forecast() == in_mart(less)
    assert lake.files_by_month()["2025-02"] == before["2025-02"]
    assert lake.rows(
        "select count(*) from forecast_summary_by_date where business_date >= date '2025-03-01'"
    ) == [("0",)]


def test_build_bad_landed_rows_stop_before_the_mart(lake: Lake) -> None:
    """A key twice in one file and a missing median, put into the bucket past `invoke seed`: the mart stays as it was."""
    lake.land({"a.csv": base()})
    lake.make_sure_it_is_built()
    snapshots = lake.snapshots()
    lines = [
        HEADER,
        "7,10,2025-01-01,ENQ,55,CA,1,2,3",
        "7,10,2025-01-01,ENQ,55,CA,1,2.5,3",
        "8,10,2025-01-01,ENQ,55,CA,1,,3",
    ]
    s3, bucket = lake.connections.client("s3"), lake.connections.environment.lake_bucket
    s3.put_object(Bucket=bucket, Key="forecast_data/smuggled.csv", Body="\n".join(lines).encode())
    try:
        with pytest.raises(BuildError) as caught:
            build_lake(lake.connections, select="stg_forecast__demand fct_forecast", root=lake.root)
    finally:
        s3.delete_object(Bucket=bucket, Key="forecast_data/smuggled.csv")
    message = caught.value.message
    assert (
        "unique_combination_stg_forecast__demand_restaurant_id__inventory_item_id__business_date: Got 1 result"
        in message
    )
    assert (
        "never_null_stg_forecast__demand_restaurant_id__inventory_item_id__business_date__state__y_50: Got 1 result"
        in message
    )
    assert lake.snapshots() == snapshots


def test_freshness_and_query_answer_from_the_landed_files(lake: Lake) -> None:
    lake.land({"a.csv": base()})
    lake.make_sure_it_is_built()
    (source,) = freshness(lake.connections, root=lake.root).sources
    assert (source.source, source.status) == ("forecast.forecast", "fresh")
    assert (source.late_after, source.stale_after) == ("36 hours", "72 hours")
    assert 0 <= source.age_seconds < 600
    answer = query(lake.connections, "analyses/forecast/landed_files.sql", root=lake.root)
    assert answer.analysis == "analyses/forecast/landed_files.sql"
    assert [(row[0], row[4], row[5]) for row in answer.result.rows] == [
        ("s3://penstock-lake-models-test/forecast_data/a.csv", "360", "0")
    ]
    assert answer.result.bytes_scanned > 0


def test_unit_test_whose_table_a_killed_build_left_behind_runs_again(lake: Lake) -> None:
    lake.land({"a.csv": base()})
    lake.make_sure_it_is_built()
    name = "test_stg_forecast_demand_same_second_last_path_wins"
    lake.rows(f"create table {name}__dbt_tmp as select 1 as x")

    dbt.run(lake.connections, Side.LAKE, ["test", "--select", name], root=lake.root)

    assert lake.rows(f"show tables '{name}*'") == []


def test_freshness_of_a_source_that_cannot_be_read_is_an_error(lake: Lake) -> None:
    """dbt leaves such a source out of its results; none must not look like none stale."""
    lake.land({"a.csv": base()})
    environment, s3 = lake.connections.environment, lake.connections.client("s3")
    bad = {"Bucket": environment.lake_bucket, "Key": "forecast_data/bad.csv.gz"}
    s3.put_object(**bad, Body=b"no gzip at all")
    try:
        with pytest.raises(BuildError, match="The age of a source is not known"):
            freshness(lake.connections, root=lake.root)
    finally:
        s3.delete_object(**bad)


def test_serving_and_docs_over_a_synced_table(lake: Lake) -> None:
    lake.make_sure_it_is_built()
    with psycopg.connect(lake.connections.database_url) as connection:
        connection.execute(
            """
            create table if not exists forecast_data (
                id serial primary key, restaurant_id int not null, inventory_item_id int not null,
                business_date date not null, dma_id varchar(50), dc_id int, state varchar(2) not null,
                y_05 decimal(10,2), y_50 decimal(10,2) not null, y_95 decimal(10,2),
                created_at timestamp not null default now(), updated_at timestamp not null default now(),
                unique (restaurant_id, inventory_item_id, business_date));
            insert into forecast_data (restaurant_id, inventory_item_id, business_date, state, y_50) values
                (1, 10, '2025-01-01', 'CA', 1.25), (1, 10, '2025-01-02', 'CA', 2.50), (2, 10, '2025-01-01', 'CA', 4);
            """
        )
    of_sales = ("sales_monthly_by_category", "similar_products")
    report = build_serving(lake.connections, root=lake.root, exclude=of_sales)
    assert {test.status for test in report.tests} == {"pass"}
    with psycopg.connect(lake.connections.database_url) as connection:
        daily = connection.execute(
            "select business_date::text, state, record_count, total_y_50::text, total_y_95"
            " from serving.forecast_daily_by_state order by 1"
        ).fetchall()
        latest = connection.execute(
            "select restaurant_id, business_date::text from serving.forecast_latest order by 1"
        ).fetchall()
    assert daily == [("2025-01-01", "CA", 2, "5.25", None), ("2025-01-02", "CA", 1, "2.50", None)]
    assert latest == [(1, "2025-01-02"), (2, "2025-01-01")]

    site = generate(lake.connections, root=lake.root)
    catalog = json.loads((site.folder / "catalog.json").read_text())
    manifest = json.loads((site.folder / "manifest.json").read_text())
    assert [name for name in site.undocumented if "sales" not in name and "product_emb" not in name] == []
    assert set(catalog["nodes"]["model.penstock.fct_forecast"]["columns"]) == set(HEADER.split(","))
    assert set(catalog["nodes"]["model.penstock.forecast_latest"]["columns"]) == set(HEADER.split(","))
    assert "updated_at" in catalog["sources"]["source.penstock.postgres.forecast_data"]["columns"]
    assert "model.penstock.fct_forecast" in manifest["parent_map"]["model.penstock.forecast_latest"]
    assert manifest["nodes"]["model.penstock.fct_forecast"]["database"] == "awsdatacatalog"
    served = manifest["nodes"]["model.penstock.forecast_latest"]
    assert (served["database"], served["schema"]) == ("models_test", "serving")
    synced = manifest["sources"]["source.penstock.postgres.forecast_data"]
    assert (synced["database"], synced["schema"]) == ("models_test", "public")
