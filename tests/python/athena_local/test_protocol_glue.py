"""Glue over HTTP, through boto3: shapes, exception classes, paging, batches, version checks."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

KEYS = [{"Name": "day", "Type": "date"}]


def table_input(name: str, **more: Any) -> dict[str, Any]:
    columns = [{"Name": "id", "Type": "int"}]
    return {
        "Name": name,
        "StorageDescriptor": {"Columns": columns, "Location": f"s3://bucket/{name}"},
        "PartitionKeys": KEYS,
        "Parameters": {"classification": "parquet"},
        **more,
    }


def partition(day: str) -> dict[str, Any]:
    descriptor = {"Columns": [{"Name": "id", "Type": "int"}], "Location": f"s3://bucket/{day}"}
    return {"Values": [day], "StorageDescriptor": descriptor}


@pytest.fixture
def table(glue: Any, database: str) -> str:
    glue.create_table(DatabaseName=database, TableInput=table_input("Sales"))
    return "sales"


def test_get_database_round_trip(glue: Any, database: str) -> None:
    glue.update_database(
        Name=database, DatabaseInput={"Name": database, "Description": "new", "LocationUri": "s3://b/"}
    )
    found = glue.get_database(Name=database.upper())["Database"]
    assert (found["Name"], found["Description"], found["LocationUri"]) == (database, "new", "s3://b/")
    assert found["CreateTime"].tzinfo is not None


def test_default_database_exists(glue: Any) -> None:
    assert glue.get_database(Name="default")["Database"]["Name"] == "default"


@pytest.mark.parametrize(
    ("operation", "arguments", "exception"),
    [
        ("get_database", {"Name": "nowhere"}, "EntityNotFoundException"),
        ("delete_database", {"Name": "nowhere"}, "EntityNotFoundException"),
        ("create_database", {"DatabaseInput": {"Name": "default"}}, "AlreadyExistsException"),
        ("get_table", {"DatabaseName": "default", "Name": "nothing"}, "EntityNotFoundException"),
        ("delete_table", {"DatabaseName": "default", "Name": "nothing"}, "EntityNotFoundException"),
        ("get_tables", {"DatabaseName": "default", "Expression": "("}, "InvalidInputException"),
        ("get_tables", {"DatabaseName": "default", "NextToken": "rubbish"}, "InvalidInputException"),
        (
            "get_partitions",
            {"DatabaseName": "default", "TableName": "nothing"},
            "EntityNotFoundException",
        ),
    ],
)
def test_glue_error_raises_its_class(
    glue: Any, operation: str, arguments: dict[str, Any], exception: str
) -> None:
    with pytest.raises(getattr(glue.exceptions, exception)):
        getattr(glue, operation)(**arguments)


def test_get_table_answers_what_was_put(glue: Any, database: str, table: str) -> None:
    found = glue.get_table(DatabaseName=database, Name="SALES")["Table"]
    assert found["StorageDescriptor"] == table_input("Sales")["StorageDescriptor"]
    assert (found["Name"], found["VersionId"], found["CatalogId"]) == ("sales", "0", "000000000000")
    with pytest.raises(glue.exceptions.AlreadyExistsException):
        glue.create_table(DatabaseName=database, TableInput=table_input("sales"))


def test_get_table_answer_may_be_sent_back_as_input(glue: Any, database: str, table: str) -> None:
    found = glue.get_table(DatabaseName=database, Name=table)["Table"]
    output_only = {
        "DatabaseName",
        "CreateTime",
        "UpdateTime",
        "CatalogId",
        "VersionId",
        "IsRegisteredWithLakeFormation",
    }
    kept = {name: value for name, value in found.items() if name not in output_only}
    glue.update_table(DatabaseName=database, TableInput={**kept, "Description": "new"}, SkipArchive=True)
    assert glue.get_table(DatabaseName=database, Name=table)["Table"]["Description"] == "new"


def test_get_tables_pages_and_filters(glue: Any, database: str) -> None:
    for number in range(5):
        glue.create_table(DatabaseName=database, TableInput=table_input(f"t{number}"))
    pages = glue.get_paginator("get_tables").paginate(DatabaseName=database, PaginationConfig={"PageSize": 2})
    pages = [[table["Name"] for table in page["TableList"]] for page in pages]
    assert pages == [["t0", "t1"], ["t2", "t3"], ["t4"]]
    found = glue.get_tables(DatabaseName=database, Expression="t[13]")["TableList"]
    assert [one["Name"] for one in found] == ["t1", "t3"]


def test_get_tables_page_after_a_deletion_skips_nothing(glue: Any, database: str) -> None:
    for number in range(4):
        glue.create_table(DatabaseName=database, TableInput=table_input(f"t{number}"))
    first = glue.get_tables(DatabaseName=database, MaxResults=2)
    for one in first["TableList"]:
        glue.delete_table(DatabaseName=database, Name=one["Name"])
    second = glue.get_tables(DatabaseName=database, NextToken=first["NextToken"])
    assert [one["Name"] for one in second["TableList"]] == ["t2", "t3"]


def test_update_table_of_a_stale_version_raises(glue: Any, database: str, table: str) -> None:
    update = {"DatabaseName": database, "TableInput": table_input(table), "VersionId": "0"}
    glue.update_table(**update)
    with pytest.raises(glue.exceptions.ConcurrentModificationException):
        glue.update_table(**update)


def test_table_versions_newest_first_and_deletable(glue: Any, database: str, table: str) -> None:
    for _ in range(3):
        glue.update_table(DatabaseName=database, TableInput=table_input(table))
    where = {"DatabaseName": database, "TableName": table}
    pages = glue.get_paginator("get_table_versions").paginate(**where, PaginationConfig={"PageSize": 3})
    versions = [one["VersionId"] for page in pages for one in page["TableVersions"]]
    assert versions == ["3", "2", "1", "0"]
    glue.delete_table_version(**where, VersionId="0")
    errors = glue.batch_delete_table_version(**where, VersionIds=["1", "9"])["Errors"]
    assert [(one["VersionId"], one["ErrorDetail"]["ErrorCode"]) for one in errors] == [
        ("9", "EntityNotFoundException")
    ]
    assert len(glue.get_table_versions(**where)["TableVersions"]) == 2
    assert glue.get_table_version(**where)["TableVersion"]["VersionId"] == "3"


def test_batch_delete_table_reports_the_missing(glue: Any, database: str, table: str) -> None:
    errors = glue.batch_delete_table(DatabaseName=database, TablesToDelete=[table, "nothing"])["Errors"]
    assert [one["TableName"] for one in errors] == ["nothing"]
    assert glue.get_tables(DatabaseName=database)["TableList"] == []


def test_partitions_life(glue: Any, database: str, table: str) -> None:
    where = {"DatabaseName": database, "TableName": table}
    glue.create_partition(**where, PartitionInput=partition("2025-01-01"))
    with pytest.raises(glue.exceptions.AlreadyExistsException):
        glue.create_partition(**where, PartitionInput=partition("2025-01-01"))
    inputs = [partition("2025-01-01"), partition("2025-01-02")]
    errors = glue.batch_create_partition(**where, PartitionInputList=inputs)["Errors"]
    assert [one["PartitionValues"] for one in errors] == [["2025-01-01"]]
    assert errors[0]["ErrorDetail"]["ErrorCode"] == "AlreadyExistsException"
    wanted = [{"Values": ["2025-01-02"]}, {"Values": ["2030-01-01"]}]
    assert len(glue.batch_get_partition(**where, PartitionsToGet=wanted)["Partitions"]) == 1
    moved = {**partition("2025-01-03"), "Parameters": {"moved": "yes"}}
    glue.update_partition(**where, PartitionValueList=["2025-01-02"], PartitionInput=moved)
    entry = {"PartitionValueList": ["2025-01-01"], "PartitionInput": partition("2025-01-01")}
    assert glue.batch_update_partition(**where, Entries=[entry])["Errors"] == []
    assert glue.get_partition(**where, PartitionValues=["2025-01-03"])["Partition"]["Parameters"] == {
        "moved": "yes"
    }
    errors = glue.batch_delete_partition(**where, PartitionsToDelete=wanted)["Errors"]
    assert len(errors) == 2
    glue.delete_partition(**where, PartitionValues=["2025-01-01"])
    assert [one["Values"] for one in glue.get_partitions(**where)["Partitions"]] == [["2025-01-03"]]


def test_get_partitions_filters_pages_and_leaves_out_columns(glue: Any, database: str, table: str) -> None:
    where = {"DatabaseName": database, "TableName": table}
    days = [f"2025-01-{day:02}" for day in range(1, 11)]
    glue.batch_create_partition(**where, PartitionInputList=[partition(day) for day in days])
    pages = glue.get_paginator("get_partitions").paginate(
        **where, Expression="day between '2025-01-03' and '2025-01-07'", PaginationConfig={"PageSize": 2}
    )
    assert [one["Values"][0] for page in pages for one in page["Partitions"]] == days[2:7]
    found = glue.get_partitions(**where, ExcludeColumnSchema=True, Expression="day='2025-01-01'")[
        "Partitions"
    ]
    assert found[0]["StorageDescriptor"] == {"Location": "s3://bucket/2025-01-01"}
    with pytest.raises(glue.exceptions.InvalidInputException, match="Invalid partition expression!"):
        glue.get_partitions(**where, Expression="id = 1")


def test_batch_create_partition_of_too_many_is_refused(glue: Any, database: str, table: str) -> None:
    inputs = [{"Values": [f"2025-01-{number}"]} for number in range(101)]
    with pytest.raises(ClientError, match="less than or equal to 100"):
        glue.batch_create_partition(DatabaseName=database, TableName=table, PartitionInputList=inputs)


def test_unknown_operation_is_named(glue: Any) -> None:
    with pytest.raises(ClientError, match=r"does not implement AWSGlue\.GetJobs") as raised:
        glue.get_jobs()
    assert raised.value.response["Error"]["Code"] == "UnknownOperationException"


def test_lakeformation_answers_nothing_granted(server: Any) -> None:
    lake_formation = boto3.client(
        "lakeformation",
        endpoint_url=server.endpoint,
        region_name="us-east-2",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    assert lake_formation.list_permissions()["PrincipalResourcePermissions"] == []
    assert lake_formation.get_resource_lf_tags(Resource={"Database": {"Name": "x"}})["LFTagsOnTable"] == []
    with pytest.raises(lake_formation.exceptions.InvalidInputException):
        lake_formation.create_lf_tag(TagKey="a", TagValues=["b"])


def test_body_that_is_not_json_is_refused(server: Any) -> None:
    headers = {"X-Amz-Target": "AWSGlue.GetTables", "Content-Type": "application/x-amz-json-1.1"}
    request = urllib.request.Request(server.endpoint, b"{", headers)
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(request, timeout=120)
    with raised.value as answer:
        assert json.load(answer)["__type"] == "SerializationException"
