"""What `invoke cost` makes of prices, history and objects: figures worked out by hand, and a lake on the stack."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from penstock.commands import cost as command
from penstock.connections import Connections
from penstock.environments import Environment
from penstock.errors import SettingsError
from penstock.lake.athena import Athena
from penstock.lake.buckets import ensure_buckets
from penstock.lake.cost import Place, actual, estimate
from penstock.lake.prices import (
    Prices,
    billed_bytes,
    catalog_dollars,
    prices,
    scan_dollars,
    storage_dollars,
)
from penstock.landing.tables import ensure_workgroup

GB = 2**30
MB = 1_000_000


@pytest.fixture
def own() -> Prices:
    """The project's own prices."""
    return prices()


@pytest.mark.parametrize(
    ("scanned", "billed"),
    [
        *((0, 0), (1, 10 * MB), (10 * MB, 10 * MB), (10 * MB + 1, 11 * MB), (123_456_789, 124 * MB)),
        (10**12, 10**12),
    ],
)
def test_billed_bytes_ten_megabytes_at_least_and_whole_ones(own: Prices, scanned: int, billed: int) -> None:
    assert billed_bytes(scanned, own) == billed


def test_scan_dollars_five_a_terabyte(own: Prices) -> None:
    assert scan_dollars(10**12, own) == 5.0
    assert scan_dollars(1, own) == pytest.approx(0.00005)
    assert scan_dollars(0, own) == 0


def test_storage_dollars_of_each_class(own: Prices) -> None:
    assert storage_dollars("STANDARD", 100 * GB, 5, own) == pytest.approx(2.30)
    assert storage_dollars("STANDARD_IA", 100 * GB, 5, own) == pytest.approx(1.25)
    assert storage_dollars("GLACIER_IR", 100 * GB, 5, own) == pytest.approx(0.40)
    # an archived object keeps 32 kB at its own price and 8 kB at STANDARD's beside it
    count = 131_072  # so that the indexes are 4 GB and 1 GB
    assert storage_dollars("GLACIER", 100 * GB, count, own) == pytest.approx(104 * 0.0036 + 1 * 0.023)
    assert storage_dollars("DEEP_ARCHIVE", 100 * GB, count, own) == pytest.approx(104 * 0.00099 + 1 * 0.023)


def test_storage_dollars_standard_gets_cheaper_in_steps(own: Prices) -> None:
    first, second = 51_200 * 0.023, 460_800 * 0.022
    assert storage_dollars("STANDARD", 51_200 * GB, 1, own) == pytest.approx(first)
    assert storage_dollars("STANDARD", 512_000 * GB, 1, own) == pytest.approx(first + second)
    assert storage_dollars("STANDARD", 513_000 * GB, 1, own) == pytest.approx(first + second + 1_000 * 0.021)


def test_storage_dollars_class_without_a_price_is_refused(own: Prices) -> None:
    with pytest.raises(SettingsError, match=r"prices.yml: s3.per_gb.OUTPOSTS is missing"):
        storage_dollars("OUTPOSTS", 1, 1, own)


def test_catalog_dollars_the_first_million_is_free(own: Prices) -> None:
    assert catalog_dollars(1_000_000, 1_000_000, own) == 0
    assert catalog_dollars(1_100_000, 3_000_000, own) == pytest.approx(1.00 + 2.00)


def test_estimate_of_the_project_as_it_stands(own: Prices) -> None:
    """100 GB and 1,000 queries, each of a month of two years (4.17 GB); all leaves AWS once, which is free up to 100 GB."""
    found = estimate(own)
    assert {line.item: round(line.dollars, 2) for line in found.lines} == {
        "catalog": 0.0,
        "storage": 2.30,
        "queries": 20.85,
        "transfer": 0.0,
    }
    assert round(found.dollars, 2) == 23.15


def test_estimate_of_a_larger_lake(own: Prices) -> None:
    found = estimate(own, gb=1_000, queries=100_000)
    assert {line.item: round(line.dollars, 2) for line in found.lines} == {
        "catalog": 1.0,  # two million requests
        "storage": 23.0,
        "queries": 20_850.0,
        "transfer": 81.0,  # 900 GB
    }


def test_estimate_nothing_costs_nothing(own: Prices) -> None:
    assert estimate(own, gb=0, queries=0).dollars == 0


@pytest.mark.parametrize(("gb", "queries"), [(-1, 10), (10, -1), (float("nan"), 1), (float("inf"), 1)])
def test_estimate_less_than_nothing_is_refused(own: Prices, gb: float, queries: int) -> None:
    with pytest.raises(SettingsError, match="--gb"):
        estimate(own, gb=gb, queries=queries)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("athena: {}", "athena.per_tb_scanned is missing"),
        ("athena: {per_tb_scanned: five}", "athena.per_tb_scanned is 'five', and no price"),
        ("athena: {per_tb_scanned: -5}", "athena.per_tb_scanned is -5, and no price"),
        ("athena: {per_tb_scanned: true}", "athena.per_tb_scanned is True, and no price"),
        ("athena: {per_tb_scanned: .nan}", "athena.per_tb_scanned is nan, and no price"),
        ("- 1", "holds no prices"),
        ("", "holds no prices"),
        ("a: [", "cannot be read"),
    ],
)
def test_prices_that_cannot_be_used_are_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "prices.yml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        prices(path).number("athena", "per_tb_scanned")
    assert caught.value.message.startswith("prices.yml")
    assert said in caught.value.message
    assert caught.value.hint


def test_prices_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"prices.yml is not there"):
        prices(tmp_path / "prices.yml")


@pytest.mark.parametrize("steps", ["[]", "[[1, 2]]", "[[5, 1], [3, 1], [null, 1]]", "[1]", "7"])
def test_prices_steps_that_do_not_rise_to_an_end_are_refused(tmp_path: Path, steps: str) -> None:
    path = tmp_path / "prices.yml"
    path.write_text(f"s3: {{standard_per_gb: {steps}}}")
    with pytest.raises(SettingsError, match=r"s3.standard_per_gb"):
        prices(path).standard()


def test_prices_of_zero_to_divide_by_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "prices.yml"
    path.write_text("s3: {bytes_per_gb: 0}")
    with pytest.raises(SettingsError, match=r"s3.bytes_per_gb is 0"):
        prices(path).size("s3", "bytes_per_gb")


# what is there: AWS's answers made up


class Pages:
    def __init__(self, *pages: dict[str, Any]) -> None:
        self.pages = pages

    def paginate(self, **_: Any) -> tuple[dict[str, Any], ...]:
        return self.pages


class FakeS3:
    """A lake bucket of five versions in two pages, and an empty results bucket."""

    def get_paginator(self, name: str) -> Any:
        assert name == "list_object_versions"
        return self

    def paginate(self, Bucket: str) -> Any:  # noqa: N803 - boto3's own name
        if "results" in Bucket:
            return Pages({}).pages
        versions = [
            ("marts/analytics_local/fct/a.parquet", GB, "STANDARD", True),
            ("marts/analytics_local/dim/b.parquet", GB, "STANDARD", True),
            ("marts/analytics_local/dim/b.parquet", GB, "STANDARD", False),
            ("forecast_data/old.csv", GB, "GLACIER", True),
            ("forecast_data/small.csv", 10, "STANDARD_IA", True),
        ]
        described = [
            {"Key": key, "Size": size, "StorageClass": kind, "IsLatest": latest}
            for key, size, kind, latest in versions
        ]
        return Pages({"Versions": described[:2]}, {"Versions": described[2:], "DeleteMarkers": [{}]}).pages


class FakeGlue:
    """Marts, a preview's and a stranger's, each with two tables: one with an older version, one with two partitions."""

    def get_paginator(self, name: str) -> Any:
        if name == "get_databases":
            names = ("analytics_local", "analytics_local_pr_7", "somebody")
            return Pages({"DatabaseList": [{"Name": name} for name in names]})
        if name == "get_tables":
            tables = [
                {"Name": "fct", "VersionId": "1"},
                {"Name": "log", "VersionId": "0", "PartitionKeys": [{"Name": "day"}]},
            ]
            return Pages({"TableList": tables})
        if name == "get_table_versions":
            return Pages({"TableVersions": [{"VersionId": "1"}]}, {"TableVersions": [{"VersionId": "0"}]})
        return Pages({"Partitions": [{"Values": ["1"]}, {"Values": ["2"]}]})


NOW = datetime(2026, 5, 31, tzinfo=UTC)
MODEL = '-- /* {"node_id": "model.penstock.fct", "app": "penstock"} */\nselect 1'
TEST = '-- /* {"node_id": "test.penstock.unique_x.1234"} */\nselect 1'


class FakeAthena:
    def list_query_executions(self, **_: Any) -> dict[str, Any]:
        return {"QueryExecutionIds": [str(n) for n in range(9)]}

    def batch_get_query_execution(self, QueryExecutionIds: list[str]) -> dict[str, Any]:  # noqa: N803
        told = [
            (MODEL, "DML", "SUCCEEDED", 10**12, 30),
            (MODEL, "DML", "SUCCEEDED", 1, 29),
            (MODEL, "DML", "FAILED", 10**12, 28),
            (TEST, "DML", "CANCELLED", 20 * MB, 27),
            ("create table x", "DDL", "SUCCEEDED", 0, 26),
            ("create table x as select 1", "DDL", "SUCCEEDED", 30 * MB, 26),  # DDL to Athena, and billed
            ("select 1", "DML", "SUCCEEDED", 0, 25),
            ("-- /* {no json} */ select 1", "DML", "SUCCEEDED", 15 * MB, 24),
            (MODEL, "DML", "SUCCEEDED", 10**12, 1),  # before the window
        ]
        return {
            "QueryExecutions": [
                {
                    "QueryExecutionId": query_id,
                    "Query": sql,
                    "StatementType": kind,
                    "Status": {"State": state, "SubmissionDateTime": datetime(2026, 5, day, tzinfo=UTC)},
                    "Statistics": {"DataScannedInBytes": scanned},
                }
                for query_id, (sql, kind, state, scanned, day) in zip(QueryExecutionIds, told, strict=True)
            ]
        }


@dataclass(frozen=True)
class FakeConnections(Connections):
    def client(self, service: str) -> Any:
        return {"s3": FakeS3(), "glue": FakeGlue(), "athena": FakeAthena()}[service]


@pytest.fixture
def described() -> Connections:
    return FakeConnections(Environment("local"), "us-east-2")


def test_actual_queries_are_billed_by_their_sender(described: Connections, own: Prices) -> None:
    found = actual(described, own, days=15, now=NOW)
    assert {
        name: (kind.statements, kind.free, kind.bytes_scanned) for name, kind in found.scanned.items()
    } == {
        "model fct": (3, 1, 10**12 + 1),  # the failed one is free
        "dbt tests": (1, 0, 20 * MB),  # a cancelled one is not
        "queries": (4, 2, 45 * MB),
    }
    assert found.scanned["model fct"].bytes_billed == 10**12 + 10 * MB
    assert found.scanned["queries"].bytes_billed == 45 * MB
    # fifteen days stand for half a month
    assert found.scan_dollars == pytest.approx(2 * 5 * (10**12 + 75 * MB) / 10**12)


def test_actual_objects_are_priced_by_place_class_and_version(described: Connections, own: Prices) -> None:
    stored = actual(described, own, now=NOW).stored
    lake = "penstock-lake-local"
    assert {place: (part.objects, part.size) for place, part in stored.items()} == {
        Place(f"{lake}/marts/analytics_local", "STANDARD"): (2, 2 * GB),
        Place(f"{lake}/marts/analytics_local", "STANDARD", replaced=True): (1, GB),
        Place(f"{lake}/forecast_data", "GLACIER"): (1, GB),
        Place(f"{lake}/forecast_data", "STANDARD_IA"): (1, 10),
    }
    dollars = {place.storage_class: part.dollars for place, part in stored.items() if not place.replaced}
    assert dollars["STANDARD"] == pytest.approx(2 * 0.023)
    assert dollars["STANDARD_IA"] == pytest.approx(131_072 / GB * 0.0125)  # billed as 128 kB


def test_actual_catalog_counts_databases_tables_versions_and_partitions(
    described: Connections, own: Prices
) -> None:
    """A database, two tables, an older version of one, the version 1 that the other once had, two partitions; twice."""
    assert actual(described, own, now=NOW).catalog_objects == 2 * (1 + 2 + 1 + 1 + 2)


@pytest.mark.parametrize("days", [0, -1, 46, float("nan")])
def test_actual_days_without_history_are_refused(described: Connections, own: Prices, days: float) -> None:
    with pytest.raises(SettingsError, match="keeps its history for 45 days"):
        actual(described, own, days=days)


# on the stack


@dataclass(frozen=True)
class CostEnvironment(Environment):
    @property
    def lake_bucket(self) -> str:
        return "penstock-lake-cost-test"

    @property
    def results_bucket(self) -> str:
        return "penstock-athena-results-cost-test"

    @property
    def workgroup(self) -> str:
        return "penstock-cost-test"

    @property
    def marts_database(self) -> str:
        return "analytics_cost_test"

    def landed_database(self, source: str) -> str:
        return f"{source}_cost_test"


@pytest.mark.stack
def test_cost_of_a_lake_before_and_after_it_is_used(
    stack: Connections, capsys: pytest.CaptureFixture[str]
) -> None:
    connections = replace(stack, environment=CostEnvironment("local"))

    def told() -> dict[str, Any]:
        command.cost(connections, gb="", queries="", days="", as_json=True)
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    nothing = told()["actual"]
    assert nothing["total_dollars_a_month"] == 0
    assert nothing["missing"] == [
        "there is no workgroup penstock-cost-test",
        "there is no bucket penstock-lake-cost-test",
        "there is no bucket penstock-athena-results-cost-test",
    ]

    ensure_buckets(connections)
    athena = Athena(connections)
    ensure_workgroup(connections, athena.client)
    s3 = connections.client("s3")
    for body in (b"1\n2\n", b"1\n2\n3\n"):  # the second replaces the first, which stays as a version
        s3.put_object(Bucket="penstock-lake-cost-test", Key="forecast_data/n.csv", Body=body)
    athena.run("create database forecast_cost_test")
    athena.run(
        "create external table forecast_cost_test.n (n string) row format delimited fields terminated by ','"
        " location 's3://penstock-lake-cost-test/forecast_data/'"
    )
    assert athena.run("select count(*) from forecast_cost_test.n").rows == [("3",)]

    found = told()["actual"]
    assert found["missing"] == []
    (queries,) = found["scanned"]
    assert (queries["sent_by"], queries["statements"], queries["free_statements"]) == ("queries", 3, 2)
    assert (queries["bytes_scanned"], queries["bytes_billed"]) == (6, 10 * MB)
    assert queries["dollars"] == 0.00005
    lake = [part for part in found["stored"] if part["prefix"] == "penstock-lake-cost-test/forecast_data"]
    assert [(part["replaced_versions"], part["objects"], part["bytes"]) for part in lake] == [
        (False, 1, 6),
        (True, 1, 4),
    ]
    assert found["catalog"] == {"objects": 2, "dollars_a_month": 0}


def test_command_shows_estimate_prices_and_what_is_not_counted(capsys: pytest.CaptureFixture[str]) -> None:
    command.cost(None, gb="1,000", queries="10", days="", as_json=False)
    told = capsys.readouterr()
    assert "A month of 1000 GB and 10 queries, estimated" in told.out
    for item in ("catalog", "storage", "queries", "transfer", "total"):
        assert item in told.out
    assert "$23.00" in told.out
    assert "List prices of us-east-2 as of " in told.err
    assert "Not counted: S3 requests" in told.err


def test_command_shows_what_is_there(described: Connections, capsys: pytest.CaptureFixture[str]) -> None:
    command.cost(described, gb="", queries="", days="45", as_json=False)
    told = " ".join(capsys.readouterr().out.split())
    assert "penstock-lake-local/marts/analytics_local STANDARD replaced versions 1 1.1 GB" in told
    assert "catalog 14 objects $0.0000" in told


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"gb": "ten"}, "--gb ten is no number"),
        ({"queries": "1.5"}, "--queries 1.5 is no whole number"),
        ({"days": "x"}, "--days x is no number"),
    ],
)
def test_command_what_is_no_number_is_refused(given: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        command.cost(None, **({"gb": "", "queries": "", "days": ""} | given), as_json=False)
    assert caught.value.message == f"{said}."
