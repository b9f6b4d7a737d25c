"""boto3: polling, paginators, exceptions by their class, retries with one request token."""

from __future__ import annotations

import time
import uuid
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError


@pytest.fixture
def athena(environment: dict[str, str]) -> Any:
    return boto3.client("athena")


@pytest.fixture
def glue(environment: dict[str, str]) -> Any:
    return boto3.client("glue")


def run(athena: Any, sql: str, output: str, **arguments: Any) -> dict[str, Any]:
    query_id = athena.start_query_execution(
        QueryString=sql, ResultConfiguration={"OutputLocation": output}, **arguments
    )["QueryExecutionId"]
    while True:
        execution: dict[str, Any] = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
        if execution["Status"]["State"] not in {"QUEUED", "RUNNING"}:
            return execution
        time.sleep(0.01)


def test_query_results_paginator_walks_every_row_once(athena: Any, server: Any) -> None:
    execution = run(
        athena, "select n from unnest(sequence(1, 2500)) as t(n) order by n", server.output_location
    )
    pages = list(
        athena.get_paginator("get_query_results").paginate(
            QueryExecutionId=execution["QueryExecutionId"], PaginationConfig={"PageSize": 1000}
        )
    )
    values = [row["Data"][0]["VarCharValue"] for page in pages for row in page["ResultSet"]["Rows"]]
    assert [len(page["ResultSet"]["Rows"]) for page in pages] == [1000, 1000, 501]
    assert values == ["n", *map(str, range(1, 2501))]
    assert all(page["ResultSet"]["ResultSetMetadata"]["ColumnInfo"][0]["Type"] == "bigint" for page in pages)


def test_query_results_max_items_stops_early_and_resumes(athena: Any, server: Any) -> None:
    execution = run(
        athena, "select n from unnest(sequence(1, 30)) as t(n) order by n", server.output_location
    )
    paginator = athena.get_paginator("get_query_results")
    arguments = {"QueryExecutionId": execution["QueryExecutionId"]}
    first = paginator.paginate(
        **arguments, PaginationConfig={"MaxItems": 10, "PageSize": 10}
    ).build_full_result()
    rest = paginator.paginate(
        **arguments, PaginationConfig={"PageSize": 10, "StartingToken": first["NextToken"]}
    ).build_full_result()
    rows = [*first["ResultSet"]["Rows"], *rest["ResultSet"]["Rows"]]
    assert [row["Data"][0]["VarCharValue"] for row in rows] == ["n", *map(str, range(1, 31))]


def test_list_query_executions_paginator_newest_first(athena: Any, server: Any) -> None:
    group = f"wg-{uuid.uuid4().hex[:8]}"
    athena.create_work_group(
        Name=group, Configuration={"ResultConfiguration": {"OutputLocation": server.output_location}}
    )
    ids = [
        athena.start_query_execution(QueryString=f"select {n}", WorkGroup=group)["QueryExecutionId"]
        for n in range(5)
    ]
    listed = athena.get_paginator("list_query_executions").paginate(
        WorkGroup=group, PaginationConfig={"PageSize": 2}
    )
    assert [query_id for page in listed for query_id in page["QueryExecutionIds"]] == ids[::-1]
    batch = athena.batch_get_query_execution(QueryExecutionIds=ids)
    assert {one["QueryExecutionId"] for one in batch["QueryExecutions"]} == set(ids)
    assert batch["UnprocessedQueryExecutionIds"] == []
    athena.delete_work_group(WorkGroup=group, RecursiveDeleteOption=True)


def test_catalog_paginators_see_every_table_and_partition(glue: Any, athena: Any, database: str) -> None:
    columns = [{"Name": "v", "Type": "int"}]
    for number in range(7):
        glue.create_table(
            DatabaseName=database,
            TableInput={
                "Name": f"t{number}",
                "StorageDescriptor": {"Columns": columns, "Location": "s3://nowhere/t/"},
                "PartitionKeys": [{"Name": "day", "Type": "date"}],
                "TableType": "EXTERNAL_TABLE",
            },
        )
    tables = glue.get_paginator("get_tables").paginate(
        DatabaseName=database, PaginationConfig={"PageSize": 3}
    )
    assert [one["Name"] for page in tables for one in page["TableList"]] == [f"t{n}" for n in range(7)]
    glue.batch_create_partition(
        DatabaseName=database,
        TableName="t0",
        PartitionInputList=[
            {"Values": [f"2025-01-{day:02}"], "StorageDescriptor": {"Columns": columns}}
            for day in range(1, 29)
        ],
    )
    partitions = glue.get_paginator("get_partitions").paginate(
        DatabaseName=database,
        TableName="t0",
        Expression="day > '2025-01-20'",
        PaginationConfig={"PageSize": 3},
    )
    found = sorted(one["Values"][0] for page in partitions for one in page["Partitions"])
    assert found == [f"2025-01-{day}" for day in range(21, 29)]
    metadata = athena.get_paginator("list_table_metadata").paginate(
        CatalogName="AwsDataCatalog", DatabaseName=database, PaginationConfig={"PageSize": 2}
    )
    assert [one["Name"] for page in metadata for one in page["TableMetadataList"]] == [
        f"t{n}" for n in range(7)
    ]
    databases = athena.get_paginator("list_databases").paginate(CatalogName="AwsDataCatalog")
    assert database in [one["Name"] for page in databases for one in page["DatabaseList"]]


def test_errors_are_the_service_model_classes(athena: Any, glue: Any, database: str, server: Any) -> None:
    with pytest.raises(athena.exceptions.InvalidRequestException) as refused:
        athena.get_query_execution(QueryExecutionId=str(uuid.uuid4()))
    assert refused.value.response["Error"]["Code"] == "InvalidRequestException"
    assert refused.value.response["Error"]["Message"].endswith("was not found")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert refused.value.response["ResponseMetadata"]["RequestId"]
    assert refused.value.response["AthenaErrorCode"] == "QUERY_EXECUTION_NOT_FOUND"
    with pytest.raises(glue.exceptions.EntityNotFoundException):
        glue.get_table(DatabaseName=database, Name="nothing")
    with pytest.raises(glue.exceptions.AlreadyExistsException):
        glue.create_database(DatabaseInput={"Name": database})
    with pytest.raises(athena.exceptions.MetadataException):
        athena.get_table_metadata(CatalogName="AwsDataCatalog", DatabaseName=database, TableName="nothing")
    with pytest.raises(athena.exceptions.ResourceNotFoundException):
        athena.get_prepared_statement(StatementName="nothing", WorkGroup="primary")
    with pytest.raises(ParamValidationError):
        athena.start_query_execution(QueryString="select 1", ClientRequestToken="short")


def test_failed_query_tells_its_error(athena: Any, server: Any) -> None:
    status = run(athena, "select nothing from (values 1) as t(x)", server.output_location)["Status"]
    assert status["State"] == "FAILED"
    assert status["StateChangeReason"].startswith("COLUMN_NOT_FOUND: line 1:8: Column 'nothing'")
    assert status["AthenaError"]["ErrorCategory"] == 2
    assert status["AthenaError"]["Retryable"] is False


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
def test_retry_modes_end_a_refusal_at_once(mode: str, environment: dict[str, str]) -> None:
    athena = boto3.client("athena", config=Config(retries={"mode": mode, "max_attempts": 4}))
    with pytest.raises(ClientError) as refused:
        athena.get_work_group(WorkGroup="nothing")
    assert refused.value.response["ResponseMetadata"]["RetryAttempts"] == 0
    assert athena.get_work_group(WorkGroup="primary")["WorkGroup"]["State"] == "ENABLED"


def test_one_token_starts_one_query(athena: Any, server: Any) -> None:
    token = uuid.uuid4().hex
    arguments = {
        "QueryString": "select 42",
        "ResultConfiguration": {"OutputLocation": server.output_location},
        "ClientRequestToken": token,
    }
    first = athena.start_query_execution(**arguments)["QueryExecutionId"]
    assert athena.start_query_execution(**arguments)["QueryExecutionId"] == first


def test_result_object_is_read_by_its_location(athena: Any, server: Any) -> None:
    execution = run(athena, "select 'a\"b' as q, cast(null as varchar) as n", server.output_location)
    bucket, _, key = execution["ResultConfiguration"]["OutputLocation"].removeprefix("s3://").partition("/")
    body = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    assert body == b'"q","n"\n"a""b",\n'


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("sales_*", ["sales_eu", "sales_us"]),
        ("*_us", ["costs_us", "sales_us"]),
        ("*a*e*", ["sales_eu", "sales_us"]),
        ("sales_.*|costs_us", ["costs_us", "sales_eu", "sales_us"]),
        (r"sales_\w*", ["sales_eu", "sales_us"]),
        ("sales_[ab]*", []),
        ("SALES_EU", ["sales_eu"]),
        ("sales", []),
    ],
)
def test_table_patterns_are_expressions_with_wildcards(
    glue: Any, database: str, expression: str, found: list[str]
) -> None:
    for name in ("sales_eu", "sales_us", "costs_us"):
        glue.create_table(DatabaseName=database, TableInput={"Name": name})
    tables = glue.get_tables(DatabaseName=database, Expression=expression)["TableList"]
    assert [one["Name"] for one in tables] == found


def test_database_in_the_context_may_be_quoted(athena: Any, server: Any, database: str) -> None:
    execution = run(
        athena, "show tables", server.output_location, QueryExecutionContext={"Database": f"`{database}`"}
    )
    assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
