"""Glue's tables over HTTP beyond their life: Iceberg by Glue, search, limits, other accounts, and 10,000 partitions."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from athena_local.catalog import Catalog

PARTITIONS = 10_000
BAD_TOKEN = "Invalid pagination token provided"
ARN = "arn:aws:glue:us-east-2:000000000000"


def columns(*names: str) -> list[dict[str, str]]:
    return [{"Name": name, "Type": "string"} for name in names]


def test_ten_thousand_partitions_are_listed_and_filtered_without_reading_the_others(
    glue: Any, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [{"Name": "year", "Type": "int"}, {"Name": "shop", "Type": "string"}]
    descriptor = {"Columns": columns(*(f"c{number}" for number in range(4))), "Location": "s3://b/t"}
    glue.create_table(
        DatabaseName=database,
        TableInput={"Name": "t", "PartitionKeys": keys, "StorageDescriptor": descriptor},
    )
    where = {"DatabaseName": database, "TableName": "t"}
    inputs = [
        {"Values": [str(2000 + number % 20), f"s{number}"], "StorageDescriptor": descriptor}
        for number in range(PARTITIONS)
    ]
    for start in range(0, PARTITIONS, 100):
        assert not glue.batch_create_partition(**where, PartitionInputList=inputs[start : start + 100])[
            "Errors"
        ]

    read: list[str] = []
    as_partition = Catalog._partition

    def counted(catalog: Catalog, table: Any, created: float, body: str) -> Any:
        read.append(body)
        return as_partition(catalog, table, created, body)

    monkeypatch.setattr(Catalog, "_partition", counted)
    one = glue.get_partitions(**where, Expression="year = 2007 and shop = 's7'")["Partitions"]
    assert [found["Values"] for found in one] == [["2007", "s7"]]
    assert [json.loads(body)["Values"] for body in read] == [["2007", "s7"]]
    read.clear()
    pages = list(glue.get_paginator("get_partitions").paginate(**where, ExcludeColumnSchema=True))
    assert sum(len(page["Partitions"]) for page in pages) == PARTITIONS
    assert len(read) == PARTITIONS, "a page reads its own bodies, not all of them"
    monkeypatch.undo()

    segments = [
        {
            tuple(found["Values"])
            for page in glue.get_paginator("get_partitions").paginate(
                **where,
                Expression="year = 2003",
                Segment={"SegmentNumber": number, "TotalSegments": 2},
            )
            for found in page["Partitions"]
        }
        for number in range(2)
    ]
    assert len(segments[0] | segments[1]) == len(segments[0]) + len(segments[1]) == PARTITIONS // 20
    assert all(segments)


def test_segment_beyond_the_last_is_refused(glue: Any, database: str) -> None:
    glue.create_table(DatabaseName=database, TableInput={"Name": "t"})
    segment = {"SegmentNumber": 2, "TotalSegments": 2}
    with pytest.raises(glue.exceptions.InvalidInputException, match="SegmentNumber"):
        glue.get_partitions(DatabaseName=database, TableName="t", Segment=segment)


def test_iceberg_table_that_glue_creates_is_athenas(
    glue: Any, run_query: Any, database: str, lake: str
) -> None:
    descriptor = {
        "Columns": [
            {"Name": "ID", "Type": "int", "Comment": "key"},
            {"Name": "at", "Type": "timestamp"},
            {"Name": "tags", "Type": "map<string,array<double>>"},
        ],
        "Location": f"{lake}simple",
    }
    open_format = {"IcebergInput": {"MetadataOperation": "CREATE", "Version": "2"}}
    glue.create_table(
        DatabaseName=database,
        TableInput={
            "Name": "Simple",
            "TableType": "EXTERNAL_TABLE",
            "StorageDescriptor": descriptor,
            "Description": "by Glue",
            "Parameters": {"owner": "me"},
        },
        OpenTableFormatInput=open_format,
    )
    table = glue.get_table(DatabaseName=database, Name="simple")["Table"]
    assert table["Parameters"]["table_type"] == "ICEBERG"
    assert table["Parameters"]["owner"] == "me"
    assert table["Parameters"]["metadata_location"].startswith(f"{lake}simple/metadata/00000-")
    assert table["Description"] == "by Glue"
    run_query(f"insert into {database}.simple values (1, timestamp '2025-01-01 00:00:00.123456', map())")
    assert run_query(f"select id, at, tags from {database}.simple") == [
        ("1", "2025-01-01 00:00:00.123456", "{}")
    ]
    with pytest.raises(glue.exceptions.AlreadyExistsException):
        glue.create_table(
            DatabaseName=database,
            TableInput={"Name": "simple", "StorageDescriptor": descriptor},
            OpenTableFormatInput=open_format,
        )


def test_iceberg_table_with_a_schema_and_a_spec(glue: Any, run_query: Any, database: str, lake: str) -> None:
    fields = [
        {"Id": 1, "Name": "id", "Type": "long", "Required": True},
        {"Id": 2, "Name": "day", "Type": "date", "Required": False, "Doc": "of sale"},
    ]
    given = {
        "Location": f"{lake}spec/",
        "Schema": {"Fields": fields, "Type": "struct"},
        "PartitionSpec": {"Fields": [{"SourceId": 2, "Transform": "month", "Name": "day_month"}]},
        "Properties": {"write.format.default": "parquet"},
    }
    iceberg = {"MetadataOperation": "CREATE", "Version": "2", "CreateIcebergTableInput": given}
    glue.create_table(
        DatabaseName=database,
        Name="spec",
        TableInput={"Name": "spec"},
        OpenTableFormatInput={"IcebergInput": iceberg},
    )
    run_query(f"insert into {database}.spec values (7, date '2025-03-04')")
    assert run_query(f"select id, day from {database}.spec") == [("7", "2025-03-04")]
    found = glue.get_table(DatabaseName=database, Name="spec")["Table"]["StorageDescriptor"]["Columns"]
    assert [(one["Name"], one["Type"], one.get("Comment")) for one in found] == [
        ("id", "bigint", None),
        ("day", "date", "of sale"),
    ]


@pytest.mark.parametrize(
    ("version", "change", "message"),
    [
        ("3", {}, "version 3 is not supported"),
        ("2", {"Location": ""}, "Location"),
        ("2", {"Columns": []}, "columns"),
        ("2", {"Columns": [{"Name": "a", "Type": "nonsense"}]}, "nonsense"),
    ],
)
def test_iceberg_table_that_cannot_be_made_is_refused(
    glue: Any, database: str, lake: str, version: str, change: dict[str, Any], message: str
) -> None:
    descriptor = {"Columns": columns("a"), "Location": f"{lake}t", **change}
    with pytest.raises(glue.exceptions.InvalidInputException, match=message):
        glue.create_table(
            DatabaseName=database,
            TableInput={"Name": "t", "StorageDescriptor": descriptor},
            OpenTableFormatInput={"IcebergInput": {"MetadataOperation": "CREATE", "Version": version}},
        )
    assert glue.get_tables(DatabaseName=database)["TableList"] == []


def test_search_tables_by_text_filter_and_order(glue: Any, database: str) -> None:
    marker = uuid.uuid4().hex
    for name, text in (("alpha", "first"), ("beta", "second"), ("gamma", "second half")):
        glue.create_table(
            DatabaseName=database,
            TableInput={
                "Name": name,
                "Description": text,
                "Parameters": {"marker": marker, "size": str(len(name))},
                "StorageDescriptor": {"Columns": columns(f"{name}_id")},
            },
        )

    def found(**request: Any) -> list[str]:
        only = [{"Key": "marker", "Value": marker, "Comparator": "EQUALS"}]
        filters = only + request.pop("Filters", [])
        return [one["Name"] for one in glue.search_tables(Filters=filters, **request)["TableList"]]

    assert found() == ["alpha", "beta", "gamma"]
    assert found(SearchText="SECOND") == ["beta", "gamma"]
    assert found(SearchText='"second"') == ["beta"]
    assert found(SearchText="gamma_id") == ["gamma"]
    assert found(Filters=[{"Key": "size", "Value": "5", "Comparator": "LESS_THAN"}]) == ["beta"]
    assert found(SortCriteria=[{"FieldName": "Name", "Sort": "DESC"}]) == ["gamma", "beta", "alpha"]
    first = glue.search_tables(SearchText=marker, MaxResults=2)
    rest = glue.search_tables(SearchText=marker, MaxResults=2, NextToken=first["NextToken"])
    assert [one["Name"] for page in (first, rest) for one in page["TableList"]] == ["alpha", "beta", "gamma"]


def test_only_the_attributes_asked_for_are_answered(glue: Any, database: str) -> None:
    glue.create_table(
        DatabaseName=database, TableInput={"Name": "t", "TableType": "VIRTUAL_VIEW", "Owner": "me"}
    )
    names = {"Name": "t", "DatabaseName": database}
    for wanted, expected in (
        (["NAME"], names),
        (["NAME", "TABLE_TYPE"], {**names, "TableType": "VIRTUAL_VIEW"}),
    ):
        tables = glue.get_tables(DatabaseName=database, AttributesToGet=wanted)["TableList"]
        assert tables == [expected]
        assert glue.get_table(DatabaseName=database, Name="t", AttributesToGet=wanted)["Table"] == expected
    whole = glue.get_table(DatabaseName=database, Name="t", AttributesToGet=["DEFAULT"])["Table"]
    assert whole["Owner"] == "me"


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("get_databases", {}),
        ("get_table", {"DatabaseName": "default", "Name": "t"}),
        ("create_database", {"DatabaseInput": {"Name": "x"}}),
        ("get_partitions", {"DatabaseName": "default", "TableName": "t"}),
        ("get_catalog", {}),
    ],
)
def test_another_accounts_catalog_is_not_found(glue: Any, operation: str, request_: dict[str, Any]) -> None:
    with pytest.raises(glue.exceptions.EntityNotFoundException, match="999999999999"):
        getattr(glue, operation)(CatalogId="999999999999", **request_)


def test_names_are_folded_and_their_length_is_glues(glue: Any, database: str) -> None:
    glue.create_table(DatabaseName=database.upper(), TableInput={"Name": "MiXed_Ünï"})
    assert glue.get_table(DatabaseName=database, Name="MIXED_ÜNÏ")["Table"]["Name"] == "mixed_ünï"
    glue.create_table(DatabaseName=database, TableInput={"Name": "a" * 255})
    with pytest.raises(ClientError) as raised:
        glue.create_table(DatabaseName=database, TableInput={"Name": "a" * 256})
    error = raised.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert error["Message"].startswith("1 validation error detected: Value 'aaa")
    assert error["Message"].endswith(
        "at 'tableInput.name' failed to satisfy constraint: Member must have length less than or equal to 255"
    )
    comment = {"Name": "c", "Type": "int", "Comment": "two\nlines"}
    with pytest.raises(ClientError, match=r"storageDescriptor\.columns\.1\.member\.comment"):
        glue.create_table(
            DatabaseName=database, TableInput={"Name": "t", "StorageDescriptor": {"Columns": [comment]}}
        )


@pytest.mark.parametrize(
    ("operation", "request_", "code", "message"),
    [
        ("get_database", {"Name": "Nowhere"}, "EntityNotFoundException", "Database nowhere not found."),
        ("get_table", {"DatabaseName": "default", "Name": "no"}, "EntityNotFoundException", "Entity Not Found"),
        ("get_table", {"DatabaseName": "no", "Name": "no"}, "EntityNotFoundException", "Database no not found."),
        ("delete_table", {"DatabaseName": "default", "Name": "No"}, "EntityNotFoundException", "Table no not found."),
        ("create_database", {"DatabaseInput": {"Name": "DEFAULT"}}, "AlreadyExistsException", "Database already exists."),
        ("get_tables", {"DatabaseName": "default", "NextToken": "x"}, "InvalidInputException", BAD_TOKEN),
        ("get_tags", {"ResourceArn": f"{ARN}:database/no"}, "EntityNotFoundException", "Database no not found."),
        ("get_resource_policy", {}, "EntityNotFoundException", "Policy not found"),
    ],
)  # fmt: skip
def test_error_has_glues_code_and_words(
    glue: Any, operation: str, request_: dict[str, Any], code: str, message: str
) -> None:
    with pytest.raises(ClientError) as raised:
        getattr(glue, operation)(**request_)
    error = raised.value.response["Error"]
    assert (error["Code"], error["Message"]) == (code, message)


def test_stale_version_is_refused_in_glues_words(glue: Any, database: str) -> None:
    glue.create_table(DatabaseName=database, TableInput={"Name": "t"})
    glue.update_table(DatabaseName=database, TableInput={"Name": "t"}, VersionId="0", SkipArchive=True)
    with pytest.raises(glue.exceptions.ConcurrentModificationException) as raised:
        glue.update_table(DatabaseName=database, TableInput={"Name": "t"}, VersionId="0")
    message = raised.value.response["Error"]["Message"]
    assert message == "Update table failed due to concurrent modifications."


def test_statistics_and_indexes_go_with_what_they_belong_to(glue: Any, database: str) -> None:
    table = {
        "Name": "t",
        "StorageDescriptor": {"Columns": columns("a")},
        "PartitionKeys": [{"Name": "p", "Type": "string"}],
    }
    where = {"DatabaseName": database, "TableName": "t"}
    data = {
        "Type": "STRING",
        "StringColumnStatisticsData": {
            "MaximumLength": 1,
            "AverageLength": 1.0,
            "NumberOfNulls": 0,
            "NumberOfDistinctValues": 1,
        },
    }
    statistics = {"ColumnName": "a", "ColumnType": "string", "AnalyzedTime": 1, "StatisticsData": data}
    for _ in range(2):
        glue.create_table(DatabaseName=database, TableInput=table)
        glue.create_partition(**where, PartitionInput={"Values": ["x"]})
        of_partition = {**where, "PartitionValues": ["x"]}
        assert glue.get_partition_indexes(**where)["PartitionIndexDescriptorList"] == []
        for owner, kind in ((where, "table"), (of_partition, "partition")):
            get = getattr(glue, f"get_column_statistics_for_{kind}")
            assert get(**owner, ColumnNames=["a"])["ColumnStatisticsList"] == []
            getattr(glue, f"update_column_statistics_for_{kind}")(**owner, ColumnStatisticsList=[statistics])
            assert len(get(**owner, ColumnNames=["a"])["ColumnStatisticsList"]) == 1
        glue.delete_partition(**where, PartitionValues=["x"])
        glue.create_partition(**where, PartitionInput={"Values": ["x"]})
        answer = glue.get_column_statistics_for_partition(**of_partition, ColumnNames=["a"])
        assert answer["ColumnStatisticsList"] == []
        glue.create_partition_index(**where, PartitionIndex={"Keys": ["p"], "IndexName": "i"})
        with pytest.raises(glue.exceptions.AlreadyExistsException):
            glue.create_partition_index(**where, PartitionIndex={"Keys": ["p"], "IndexName": "i"})
        with pytest.raises(glue.exceptions.InvalidInputException):
            glue.create_partition_index(**where, PartitionIndex={"Keys": ["a"], "IndexName": "j"})
        glue.delete_table(DatabaseName=database, Name="t")
