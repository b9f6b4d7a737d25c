"""`invoke verify` on a lake that is as declared, and on one that is not: each fault is told by its own check.

A fault is made in the catalog, the bucket or Postgres and taken back afterwards, so that all tests share one build.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from penstock.commands import verify as command
from penstock.connections import Connections
from penstock.errors import BuildError, LandingError, VerificationError
from penstock.lake.archive import archived_days
from penstock.lake.verify.report import Check, Report
from penstock.lake.verify.run import verify
from penstock.sync.lake import LakeObjects, LakeTable
from penstock.transform import dbt
from penstock.transform.build import build_lake
from penstock.transform.dbt import Side

pytestmark = pytest.mark.stack

MODELS = ["stg_forecast__demand", "fct_forecast", "dim_restaurant"]
OLD = "old.csv"  # landed first, and of another year: what will be archived
LANDED = "forecast_data/"


@pytest.fixture(scope="module")
def lake(stack: Connections, make_job: Any, generate: Any, main_job_environment: Any) -> Any:
    """Two landed files, two of the forecast's marts (and a manifest that names no others), Postgres in step with them."""
    job = make_job(replace(stack, environment=main_job_environment("local", name="verify")), "verify")
    lines = generate(1_820)
    job.land(old=[[*line[:2], line[2].replace("2025", "2023"), *line[3:]] for line in lines[:910]])
    job.land(base=lines)
    dbt.run(job.connections, Side.LAKE, ["run", "--select", *MODELS], root=job.root)
    manifest = dbt.target_path(Side.LAKE, job.root) / "manifest.json"
    content = json.loads(manifest.read_text())
    content["nodes"] = {
        key: node
        for key, node in content["nodes"].items()
        if node["name"] in MODELS or "sales" in node["original_file_path"]
    }
    manifest.write_text(json.dumps(content))
    job.sync()
    return job


def verified(lake: Any, source: str = "forecast", **changes: Any) -> Report:
    return verify(replace(lake.connections, **changes), source=source, root=lake.root)


def failed(report: Report) -> set[str]:
    return {check.check for check in report.failed}


def only(report: Report, check: str, subject: str = "") -> Check:
    (found,) = [item for item in report.checks if item.check == check and subject in item.subject]
    return found


# ways to break a lake


def table_of(lake: Any, name: str = "fct_forecast", database: str = "") -> dict[str, Any]:
    found: dict[str, Any] = lake.connections.client("glue").get_table(
        DatabaseName=database or lake.connections.environment.marts_database, Name=name
    )["Table"]
    return found


def as_input(table: dict[str, Any]) -> dict[str, Any]:
    names = (
        "Name",
        "Description",
        "Parameters",
        "TableType",
        "StorageDescriptor",
        "PartitionKeys",
        "Owner",
        "Retention",
    )
    return {name: table[name] for name in names if name in table}


@contextmanager
def kept(lake: Any, name: str = "fct_forecast", database: str = "") -> Iterator[dict[str, Any]]:
    """Put the table's entry in the catalog back afterwards, and with it the version that it points to."""
    before = table_of(lake, name, database)
    glue = lake.connections.client("glue")
    try:
        yield json.loads(json.dumps(as_input(before), default=str))
    finally:
        with suppress(glue.exceptions.EntityNotFoundException):
            glue.delete_table(DatabaseName=before["DatabaseName"], Name=name)
        glue.create_table(DatabaseName=before["DatabaseName"], TableInput=as_input(before))


@contextmanager
def doctored(lake: Any, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Let the mart's name point to metadata in which something else stands."""
    s3, glue = lake.connections.client("s3"), lake.connections.client("glue")
    with kept(lake) as table:
        location = table["Parameters"]["metadata_location"]
        bucket, key = location.removeprefix("s3://").split("/", 1)
        metadata = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        change(metadata)
        other = key.rpartition("/")[0] + "/99999-doctored.metadata.json"
        s3.put_object(Bucket=bucket, Key=other, Body=json.dumps(metadata).encode())
        table["Parameters"]["metadata_location"] = f"s3://{bucket}/{other}"
        glue.update_table(DatabaseName=lake.connections.environment.marts_database, TableInput=table)
        yield


def current(metadata: dict[str, Any]) -> dict[str, Any]:
    return next(item for item in metadata["schemas"] if item["schema-id"] == metadata["current-schema-id"])


@contextmanager
def gone(lake: Any, location: str) -> Iterator[None]:
    """Delete an object; the bucket is versioned, so that it comes back."""
    s3 = lake.connections.client("s3")
    bucket, key = location.removeprefix("s3://").split("/", 1)
    marker = s3.delete_object(Bucket=bucket, Key=key)["VersionId"]
    try:
        yield
    finally:
        s3.delete_object(Bucket=bucket, Key=key, VersionId=marker)


@contextmanager
def replaced(lake: Any, key: str, **changes: Any) -> Iterator[None]:
    """Put another object in an object's place: other bytes (Body), another storage class."""
    s3, bucket = lake.connections.client("s3"), lake.connections.environment.lake_bucket
    before = s3.get_object(Bucket=bucket, Key=key)
    same = {
        "Body": before["Body"].read(),
        "Metadata": before["Metadata"],
        "ContentType": before["ContentType"],
    }
    s3.put_object(Bucket=bucket, Key=key, **same | changes)
    try:
        yield
    finally:
        s3.put_object(Bucket=bucket, Key=key, **same)


def restaurant(lake: Any) -> str:
    """One of the four restaurants."""
    return str(lake.landed["base.csv"][0][0])


def manifest_list(lake: Any, metadata: str) -> str:
    bucket, key = metadata.removeprefix("s3://").split("/", 1)
    content = json.loads(lake.connections.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    return next(
        str(item["manifest-list"])
        for item in content["snapshots"]
        if item["snapshot-id"] == content["current-snapshot-id"]
    )


def a_data_file(lake: Any) -> str:
    return sorted(path for paths in lake.files_by_month().values() for path in paths)[0]


# as it should be


def test_verify_lake_as_declared_passes_every_check(lake: Any) -> None:
    report = verified(lake)

    assert [check for check in report.checks if check.state != "ok"] == []
    assert {check.check for check in report.checks if "fct_forecast" in check.subject} == {
        *("table type", "columns", "partition spec", "properties", "snapshots", "data files"),
        *("query", "partitions", "modelled rows"),
    }
    assert {check.subject for check in report.checks if check.check == "table type"} == {
        "analytics_verify.fct_forecast",
        "analytics_verify.dim_restaurant",
    }
    counted = ("landed rows", "staged rows", "modelled rows", "synced rows")
    assert [only(report, check).found for check in counted] == ["2,730"] * 4
    assert report.bytes_scanned > 0
    assert only(report, "synced").expected == "current"


def test_verify_writes_nothing(lake: Any) -> None:
    s3, bucket = lake.connections.client("s3"), lake.connections.environment.lake_bucket

    def state() -> Any:
        versions = s3.list_object_versions(Bucket=bucket)["Versions"]
        return (
            sorted(item["VersionId"] for item in versions),
            table_of(lake)["VersionId"],
            lake.query("select count(*), max(updated_at) from forecast_data"),
            lake.query("select id, runs, finished_at from penstock.sync_runs order by id"),
        )

    before = state()
    verified(lake)
    assert state() == before


# each fault by its own check; beside it only what follows from it


def test_verify_wrong_type(lake: Any) -> None:
    def widen(metadata: dict[str, Any]) -> None:
        next(item for item in current(metadata)["fields"] if item["name"] == "dc_id")["type"] = "long"

    with doctored(lake, widen):
        report = verified(lake)
    assert failed(report) == {"columns"}
    assert only(report, "columns", "fct_forecast").found == "dc_id is long, not int"


def test_verify_columns_lost_and_added(lake: Any) -> None:
    def rename(metadata: dict[str, Any]) -> None:
        next(item for item in current(metadata)["fields"] if item["name"] == "y_95")["name"] = "y_99"

    with doctored(lake, rename):
        report = verified(lake)
    assert only(report, "columns", "fct_forecast").found == "y_95 is missing; y_99 is not declared"
    assert failed(report) <= {"columns", "synced", "synced rows"}


def test_verify_catalog_changed_behind_the_table(lake: Any) -> None:
    """Somebody edits the catalog's columns; the table's own metadata still say what is right."""
    with kept(lake) as table:
        next(item for item in table["StorageDescriptor"]["Columns"] if item["Name"] == "state")["Type"] = (
            "int"
        )
        lake.connections.client("glue").update_table(DatabaseName="analytics_verify", TableInput=table)
        report = verified(lake)
    assert only(report, "columns", "fct_forecast").state == "failed"
    assert "catalog: state is int, not string" in only(report, "columns", "fct_forecast").found
    assert failed(report) <= {"columns", "query"}


def test_verify_other_partition_spec(lake: Any) -> None:
    def by_day(metadata: dict[str, Any]) -> None:
        (spec,) = metadata["partition-specs"]
        spec["fields"][0]["transform"] = "day"

    with doctored(lake, by_day):
        report = verified(lake)
    check = only(report, "partition spec", "fct_forecast")
    assert (check.state, check.found, check.expected) == (
        "failed",
        "day(business_date)",
        "month(business_date)",
    )


def test_verify_lost_property(lake: Any) -> None:
    def lose(metadata: dict[str, Any]) -> None:
        del metadata["properties"]["write.parquet.compression-codec"]

    with doctored(lake, lose):
        report = verified(lake)
    assert failed(report) == {"properties"}
    assert only(report, "properties", "fct_forecast").found == "write.parquet.compression-codec=not set"


def test_verify_file_of_another_codec_is_found_in_its_footer(lake: Any) -> None:
    with kept(lake):
        lake.ask("alter table fct_forecast set tblproperties ('write_compression' = 'gzip')")
        lake.ask(f"update fct_forecast set state = state where restaurant_id = {restaurant(lake)}")
        lake.ask("alter table fct_forecast set tblproperties ('write_compression' = 'zstd')")
        report = verified(lake)
    assert failed(report) == {"data files", "synced"}  # and Postgres lacks the update
    assert only(report, "data files", "fct_forecast").found.endswith("is compressed by gzip")


def test_verify_non_iceberg_table(lake: Any) -> None:
    glue = lake.connections.client("glue")
    place = f"s3://{lake.connections.environment.lake_bucket}/scratch/not-iceberg/"
    with kept(lake):
        lake.ask(
            f"create table hive_copy with (format = 'PARQUET', external_location = '{place}') as select * from fct_forecast"
        )
        copy = as_input(table_of(lake, "hive_copy")) | {"Name": "fct_forecast"}
        glue.delete_table(DatabaseName="analytics_verify", Name="hive_copy")
        glue.delete_table(DatabaseName="analytics_verify", Name="fct_forecast")
        glue.create_table(DatabaseName="analytics_verify", TableInput=copy)
        report = verified(lake)
    assert failed(report) == {"table type", "synced"}
    assert only(report, "table type", "fct_forecast").found.startswith("no Iceberg table")
    assert only(report, "snapshots", "fct_forecast").state == "skipped"
    assert only(report, "modelled rows").state == "ok"


def test_verify_missing_mart(lake: Any) -> None:
    with kept(lake, "dim_restaurant"):
        lake.connections.client("glue").delete_table(DatabaseName="analytics_verify", Name="dim_restaurant")
        report = verified(lake)
    (check,) = report.failed
    assert (check.check, check.subject, check.found) == (
        "table type",
        "analytics_verify.dim_restaurant",
        "missing",
    )
    assert check.todo == "invoke build"


def test_verify_missing_partition(lake: Any) -> None:
    with kept(lake):
        lake.ask(
            "delete from fct_forecast where business_date between date '2025-02-01' and date '2025-02-28'"
        )
        report = verified(lake)
    assert failed(report) == {"partitions", "modelled rows", "synced"}
    assert only(report, "partitions").found == "missing: 2025-02"


def test_verify_missing_rows_names_month_and_key(lake: Any) -> None:
    with kept(lake):
        lake.ask(
            f"delete from fct_forecast where restaurant_id = {restaurant(lake)}"
            " and business_date between date '2025-02-01' and date '2025-02-28'"
        )
        report = verified(lake)
    assert failed(report) == {"modelled rows", "synced"}
    check = only(report, "modelled rows")
    # 28 days of its 5 items, of 4 restaurants
    assert check.found == f"2,590 (2025-02 420 instead of 560); restaurant_id: {restaurant(lake)}"


def test_verify_rows_of_a_landed_file_lost(lake: Any) -> None:
    """A landed file is cut short by another hand: what landed is not what is read, and the mart has more than is staged."""
    body = (lake.folder / OLD).read_bytes().splitlines(keepends=True)
    with replaced(lake, LANDED + OLD, Body=b"".join(body[:-7])):
        report = verified(lake)
    assert failed(report) == {"landed rows", "modelled rows"}
    check = only(report, "landed rows")
    assert (check.found, check.expected) == ("2,723", "2,730")


def test_verify_landed_table_altered(lake: Any) -> None:
    with kept(lake, "forecast", "forecast_data_verify") as table:
        next(item for item in table["StorageDescriptor"]["Columns"] if item["Name"] == "dc_id")["Type"] = (
            "bigint"
        )
        lake.connections.client("glue").update_table(DatabaseName="forecast_data_verify", TableInput=table)
        report = verified(lake)
    assert "landed table" in failed(report)
    assert failed(report) <= {"landed table", "staged rows"}  # Athena may call the view stale
    assert "dc_id bigint" in only(report, "landed table").found


def test_verify_stale_postgres(lake: Any) -> None:
    """A new snapshot with as many rows: only Postgres's place shows that it lacks something."""
    with kept(lake):
        lake.ask(f"update fct_forecast set y_95 = y_95 + 1 where restaurant_id = {restaurant(lake)}")
        report = verified(lake)
    assert failed(report) == {"synced"}
    check = only(report, "synced")
    assert check.found.startswith("behind by 1 snapshot: snapshot ")
    assert check.todo == "invoke sync --select fct_forecast"
    assert only(report, "synced rows").state == "skipped"


def test_verify_rows_deleted_in_postgres(lake: Any) -> None:
    deleted = f"restaurant_id = {restaurant(lake)} and business_date = '2025-01-05'"
    url = lake.connections.database_url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"create table kept as select * from forecast_data where {deleted}")
        connection.execute(f"delete from forecast_data where {deleted}")
        try:
            report = verified(lake)
        finally:
            connection.execute("insert into forecast_data overriding system value table kept")
            connection.execute("drop table kept")
    assert failed(report) == {"synced rows"}
    assert only(report, "synced rows").found == "2,725 (2025-01 615 instead of 620)"


@pytest.mark.parametrize("kind", ["data file", "manifest", "manifest list", "metadata"])
def test_verify_missing_file_is_named(lake: Any, kind: str) -> None:
    metadata = lake.metadata_location()
    table = LakeTable(LakeObjects(lake.connections), metadata)
    location = {
        "data file": a_data_file(lake),
        "manifest": next(iter(table.manifests(table.snapshot_id))),
        "manifest list": manifest_list(lake, metadata),
        "metadata": metadata,
    }[kind]
    with gone(lake, location):
        report = verified(lake)
    check = only(report, "snapshots", "fct_forecast")
    assert check.state == "failed"
    assert location in check.found
    assert "missing" in check.found
    # what cannot be read cannot be counted either
    assert failed(report) <= {"snapshots", "query", "synced"}
    assert verified(lake).failed == []


def test_verify_file_cut_short_and_file_archived_are_named(lake: Any) -> None:
    location = a_data_file(lake)
    key = location.removeprefix(f"s3://{lake.connections.environment.lake_bucket}/")
    with replaced(lake, key, Body=b"PAR1 and no more"):
        report = verified(lake)
    assert f"{location} has 16 bytes, not " in only(report, "snapshots", "fct_forecast").found
    assert "is no Parquet file" in only(report, "data files", "fct_forecast").found
    with replaced(lake, key, StorageClass="GLACIER"):
        report = verified(lake)
    assert f"{location} is archived" in only(report, "snapshots", "fct_forecast").found


# what is archived


def test_verify_archived_landed_file_reads_as_archived_not_as_lost(lake: Any) -> None:
    with replaced(lake, LANDED + OLD, StorageClass="GLACIER"):
        report = verified(lake)
    assert report.failed == []
    files, rows = only(report, "landed files"), only(report, "modelled rows")
    assert (files.state, rows.state) == ("archived", "archived")
    assert files.found == "1 of 2 files are archived (910 rows): old.csv"
    assert rows.found.startswith("2,730 (2023-01 310 instead of 0, ")
    assert rows.expected == "1,820 as staged"
    assert only(report, "landed rows").found == "1,820"


def test_verify_archive_does_not_hide_what_is_lost(lake: Any) -> None:
    """Rows beyond those of the archived file are no surplus that it explains; missing ones never are."""
    body = (lake.folder / "base.csv").read_bytes().splitlines(keepends=True)
    with replaced(lake, LANDED + OLD, StorageClass="GLACIER"):
        with replaced(lake, LANDED + "base.csv", Body=b"".join(body[:-3])):
            assert failed(verified(lake)) == {"landed rows", "modelled rows"}
        with kept(lake):
            lake.ask("delete from fct_forecast where business_date = date '2025-01-03'")
            assert failed(verified(lake)) == {"modelled rows", "synced"}


def test_build_keeps_rows_of_archived_files_and_takes_others_away(lake: Any) -> None:
    """Athena reads no archived file: without knowing of it, a build would delete its rows from the mart."""
    lines = lake.landed["base.csv"]
    day = lines[0][2]
    manifest = dbt.target_path(Side.LAKE, lake.root) / "manifest.json"
    named = manifest.read_text()
    with kept(lake), replaced(lake, LANDED + OLD, StorageClass="GLACIER"):
        try:
            lake.land(base=[line for line in lines if line[2] != day])
            lake.build()
            found = dict(
                lake.ask("select cast(year(business_date) as varchar), count(*) from fct_forecast group by 1")
            )
            assert found == {"2023": "910", "2025": str(1_820 - sum(line[2] == day for line in lines))}
            assert archived_days(lake.connections) == {"forecast.forecast": [("2023-01-01", "2023-04-01")]}
            with pytest.raises(
                BuildError, match="A full refresh would lose the rows of archived files"
            ) as caught:
                build_lake(lake.connections, full_refresh=True, root=lake.root)
            assert "forecast.forecast, days 2023-01-01 to 2023-04-01" in caught.value.message
        finally:
            lake.land(base=lines)
            manifest.write_text(named)


# what is left out, and how it is told


def test_verify_without_postgres_says_what_it_left_out(lake: Any) -> None:
    report = verified(lake, database_url="")
    assert report.failed == []
    check = only(report, "synced")
    assert (check.state, check.found) == ("skipped", "no DATABASE_URL is set")


def test_verify_postgres_that_refuses_fails_that_check_alone(lake: Any) -> None:
    url = make_conninfo(lake.connections.database_url, password="not-the-password")
    report = verified(lake, database_url=url)
    assert failed(report) == {"synced"}
    assert "not-the-password" not in json.dumps(report.as_data())


def test_verify_source_of_which_nothing_has_landed(lake: Any) -> None:
    """Unasked it is left out, with the reason; asked for by name it fails."""
    every = verified(lake, source="")
    assert [(check.source, check.state) for check in every.checks if check.check == "source"] == [
        ("sales", "skipped")
    ]
    assert every.failed == []
    asked = verified(lake, source="sales")
    assert "database" in failed(asked)


def test_verify_before_any_build(lake: Any, tmp_path: Any) -> None:
    report = verify(lake.connections, source="forecast", root=tmp_path)
    assert failed(report) == {"models"}
    assert only(report, "models").todo == "invoke build"
    assert only(report, "landed rows").state == "ok"


def test_verify_unknown_source_is_refused(lake: Any) -> None:
    with pytest.raises(LandingError, match="'forecasts' is no declared source"):
        verified(lake, source="forecasts")


def test_verify_command_prints_a_table_or_json_and_fails_at_the_end(
    lake: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dbt, "target_path", lambda side, _: lake.root / "target" / side.value)

    command.verify(lake.connections, source="forecast", as_json=False)
    told = capsys.readouterr()
    assert "modelled rows" in told.out
    assert "scanned by Athena" in told.err

    with kept(lake, "dim_restaurant"):
        lake.connections.client("glue").delete_table(DatabaseName="analytics_verify", Name="dim_restaurant")
        with pytest.raises(
            VerificationError, match=r"failed: table type of analytics_verify\.dim_restaurant"
        ) as caught:
            command.verify(lake.connections, source="forecast", as_json=True)
    assert caught.value.exit_code == 1
    assert caught.value.hint == "invoke build"
    data = json.loads(capsys.readouterr().out)
    assert data["ok"] is False
    assert [check["subject"] for check in data["checks"] if check["state"] == "failed"] == [
        "analytics_verify.dim_restaurant"
    ]
