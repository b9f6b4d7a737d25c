"""Athena over HTTP, through boto3 and PyAthena, with a statement of the tests' own in place of the engine."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest

import athena_local.sql
import athena_local.statements
from athena_local.context import QueryContext, ResultColumn, StatementResult
from athena_local.errors import QueryCancelledError, QueryError


@dataclass(frozen=True)
class Statement:
    text: str
    statement_type: str = "DML"
    substatement_type: str = "SELECT"


def parse(text: str) -> Statement:
    if text.startswith("unparsable"):
        raise QueryError("SYNTAX_ERROR", "mismatched input 'unparsable'", position=(1, 1))
    kinds = {
        "create table": ("DDL", "CREATE_TABLE"),
        "show": ("UTILITY", "SHOW_TABLES"),
        "insert": ("DML", "INSERT"),
    }
    for word, kind in kinds.items():
        if text.startswith(word):
            return Statement(text, *kind)
    return Statement(text)


def rows(count: int) -> Iterator[pa.RecordBatch]:
    for start in range(0, count, 1000):
        part = range(start, min(start + 1000, count))
        yield pa.record_batch(
            {"n": pa.array(part, pa.int64()), "s": [None if n % 2 else f"v{n}" for n in part]}
        )


GATE = threading.Event()


def execute(statement: Statement, context: QueryContext) -> StatementResult:
    """`rows N`, `fail`, `crash`, `wait` (until cancelled), `gate`, `scan N`, or a counted or DDL statement."""
    word, _, argument = statement.text.partition(" ")
    columns = [ResultColumn("n", "bigint"), ResultColumn("s", "varchar")]
    if statement.substatement_type == "INSERT":
        return StatementResult(update_count=3, manifest=["s3://bucket/file"])
    if statement.statement_type == "DDL":
        return StatementResult(lines=[])
    if statement.statement_type == "UTILITY":
        return StatementResult([ResultColumn("tab_name", "string")], lines=["a", "b"])
    if word == "fail":
        raise QueryError("COLUMN_NOT_FOUND", "Column 'x' cannot be resolved", position=(1, 8))
    if word == "commit":
        raise QueryError("ICEBERG_COMMIT_ERROR", "Failed to commit", retryable=True)
    if word == "crash":
        raise KeyError("a defect")
    if word == "wait":
        stopped = threading.Event()
        context.cancellation.on_cancel(stopped.set)
        assert stopped.wait(100)
        raise QueryCancelledError
    if word == "gate":
        assert GATE.wait(100)
    if word == "scan":
        context.statistics.add_scanned(int(argument), 5)
        if context.cancellation.requested:
            raise QueryCancelledError
    return StatementResult(columns, rows(int(argument) if word == "rows" else 2))


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(athena_local.sql, "parse_statement", parse, raising=False)
    monkeypatch.setattr(athena_local.statements, "execute", execute, raising=False)
    GATE.clear()


def workgroup(athena: Any, **configuration: Any) -> str:
    name = f"wg-{uuid.uuid4().hex[:8]}"
    athena.create_work_group(Name=name, Configuration=configuration, Tags=[{"Key": "team", "Value": "data"}])
    return name


def test_select_answers_header_rows_and_nulls(server: Any, athena: Any) -> None:
    query_id = server.start("rows 3")
    execution = server.wait(query_id)
    assert (execution["StatementType"], execution["SubstatementType"]) == ("DML", "SELECT")
    assert execution["ResultConfiguration"]["OutputLocation"] == f"{server.output_location}{query_id}.csv"
    answer = athena.get_query_results(QueryExecutionId=query_id)
    assert answer["ResultSet"]["Rows"] == [
        {"Data": [{"VarCharValue": "n"}, {"VarCharValue": "s"}]},
        {"Data": [{"VarCharValue": "0"}, {"VarCharValue": "v0"}]},
        {"Data": [{"VarCharValue": "1"}, {}]},
        {"Data": [{"VarCharValue": "2"}, {"VarCharValue": "v2"}]},
    ]
    info = answer["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
    assert [(one["Name"], one["Type"], one["Precision"]) for one in info] == [
        ("n", "bigint", 19),
        ("s", "varchar", 2147483647),
    ]
    assert "NextToken" not in answer


def test_select_of_many_rows_pages_by_a_thousand(server: Any, athena: Any) -> None:
    query_id = server.start("rows 2500")
    server.wait(query_id)
    first = athena.get_query_results(QueryExecutionId=query_id)
    assert len(first["ResultSet"]["Rows"]) == 1000
    assert len(server.run_query("rows 2500")) == 2500
    with pytest.raises(athena.exceptions.InvalidRequestException):
        athena.get_query_results(QueryExecutionId=query_id, MaxResults=1001)


def test_insert_answers_update_count_and_manifest(server: Any, athena: Any, s3: Any) -> None:
    query_id = server.start("insert into t")
    execution = server.wait(query_id)
    manifest = execution["Statistics"]["DataManifestLocation"]
    assert manifest == f"{server.output_location}{query_id}-manifest.csv"
    answer = athena.get_query_results(QueryExecutionId=query_id)
    assert (answer["UpdateCount"], answer["ResultSet"]["Rows"]) == (3, [])
    assert answer["ResultSet"]["ResultSetMetadata"]["ColumnInfo"][0]["Name"] == "rows"


def test_ddl_and_utility_answer_without_header(server: Any, athena: Any) -> None:
    assert server.run_query("create table t") == []
    assert server.run_query("show tables") == [("a",), ("b",)]


@pytest.mark.parametrize(
    ("sql", "reason", "error"),
    [
        ("fail", "COLUMN_NOT_FOUND: line 1:8: Column 'x' cannot be resolved", (2, 1006, False)),
        ("commit", "ICEBERG_COMMIT_ERROR: Failed to commit", (2, 233, True)),
        ("crash", "GENERIC_INTERNAL_ERROR: KeyError: 'a defect'", (1, 100, False)),
    ],
)
def test_failed_query_tells_why(
    server: Any, athena: Any, sql: str, reason: str, error: tuple[int, int, bool]
) -> None:
    query_id = server.start(sql)
    status = server.wait(query_id)["Status"]
    assert (status["State"], status["StateChangeReason"]) == ("FAILED", reason)
    told = status["AthenaError"]
    assert (told["ErrorCategory"], told["ErrorType"], told["Retryable"]) == error
    assert told["ErrorMessage"] == reason
    with pytest.raises(athena.exceptions.InvalidRequestException, match="Final query state: FAILED"):
        athena.get_query_results(QueryExecutionId=query_id)


def test_missing_results_bucket_starts_no_query(server: Any, athena: Any) -> None:
    configuration = {"OutputLocation": "s3://no-such-bucket-here/"}
    expected = "Unable to verify/create output bucket no-such-bucket-here"
    with pytest.raises(athena.exceptions.InvalidRequestException, match=expected):
        server.start("rows 1", ResultConfiguration=configuration)


def test_stop_cancels_a_running_query(server: Any, athena: Any) -> None:
    query_id = server.start("wait")
    with pytest.raises(athena.exceptions.InvalidRequestException, match="has not yet finished"):
        athena.get_query_results(QueryExecutionId=query_id)
    athena.stop_query_execution(QueryExecutionId=query_id)
    assert server.wait(query_id)["Status"]["State"] == "CANCELLED"
    athena.stop_query_execution(QueryExecutionId=query_id)  # one that has ended stays as it is
    with pytest.raises(athena.exceptions.InvalidRequestException, match="was not found"):
        athena.stop_query_execution(QueryExecutionId=str(uuid.uuid4()))


def test_eleventh_query_waits_in_the_queue_and_can_be_stopped_there(server: Any, athena: Any) -> None:
    running = [server.start("gate") for _ in range(10)]
    waiting, stopped = server.start("gate"), server.start("gate")
    time.sleep(0.2)  # what it has waited at least, at the end
    deadline = time.monotonic() + 60
    states: dict[str, str] = {}
    while [states.get(one) for one in running] != ["RUNNING"] * 10 and time.monotonic() < deadline:
        found = athena.batch_get_query_execution(QueryExecutionIds=[*running, waiting, stopped])
        states = {one["QueryExecutionId"]: one["Status"]["State"] for one in found["QueryExecutions"]}
    assert [states[one] for one in [*running, waiting]] == ["RUNNING"] * 10 + ["QUEUED"]
    athena.stop_query_execution(QueryExecutionId=stopped)
    assert server.wait(stopped)["Status"]["State"] == "CANCELLED"
    GATE.set()
    execution = server.wait(waiting)
    assert execution["Status"]["State"] == "SUCCEEDED"
    assert execution["Statistics"]["QueryQueueTimeInMillis"] >= 150


def test_same_token_starts_one_query(server: Any, athena: Any) -> None:
    token = str(uuid.uuid4())
    first = server.start("rows 1", ClientRequestToken=token)
    assert server.start("rows 1", ClientRequestToken=token) == first
    with pytest.raises(athena.exceptions.InvalidRequestException, match="Idempotent parameters do not match"):
        server.start("rows 2", ClientRequestToken=token)


def test_workgroup_enforces_its_location(server: Any, athena: Any, lake: str) -> None:
    name = workgroup(athena, ResultConfiguration={"OutputLocation": lake}, EnforceWorkGroupConfiguration=True)
    query_id = server.start("rows 1", WorkGroup=name)
    location = server.wait(query_id)["ResultConfiguration"]["OutputLocation"]
    assert location == f"{lake}{query_id}.csv"
    assert athena.list_query_executions(WorkGroup=name)["QueryExecutionIds"] == [query_id]


def test_workgroup_without_location_needs_one(athena: Any) -> None:
    with pytest.raises(athena.exceptions.InvalidRequestException, match="No output location provided"):
        athena.start_query_execution(QueryString="rows 1")


def test_bytes_scanned_cutoff_cancels(server: Any, athena: Any, lake: str) -> None:
    name = workgroup(athena, BytesScannedCutoffPerQuery=10_000_000)
    assert server.wait(server.start("scan 10000000", WorkGroup=name))["Status"]["State"] == "SUCCEEDED"
    execution = server.wait(server.start("scan 10000001", WorkGroup=name))
    assert execution["Status"]["State"] == "CANCELLED"
    assert "Bytes scanned limit was exceeded" in execution["Status"]["StateChangeReason"]
    assert execution["Statistics"]["DataScannedInBytes"] == 10_000_001


def test_workgroup_life(athena: Any, server: Any, lake: str) -> None:
    name = workgroup(athena, ResultConfiguration={"OutputLocation": lake})
    with pytest.raises(athena.exceptions.InvalidRequestException, match="already created"):
        athena.create_work_group(Name=name)
    athena.update_work_group(
        WorkGroup=name,
        State="DISABLED",
        ConfigurationUpdates={
            "EnforceWorkGroupConfiguration": False,
            "ResultConfigurationUpdates": {"RemoveOutputLocation": True},
        },
    )
    found = athena.get_work_group(WorkGroup=name)["WorkGroup"]
    assert (found["State"], found["Configuration"]["ResultConfiguration"]) == ("DISABLED", {})
    assert found["Configuration"]["EngineVersion"]["EffectiveEngineVersion"] == "Athena engine version 3"
    with pytest.raises(athena.exceptions.InvalidRequestException, match="disabled"):
        server.start("rows 1", WorkGroup=name)
    arn = f"arn:aws:athena:us-east-2:000000000000:workgroup/{name}"
    athena.tag_resource(ResourceARN=arn, Tags=[{"Key": "env", "Value": "local"}])
    athena.untag_resource(ResourceARN=arn, TagKeys=["team"])
    assert athena.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "env", "Value": "local"}]
    names = [one["Name"] for one in athena.list_work_groups()["WorkGroups"]]
    assert {"primary", name} <= set(names)
    athena.delete_work_group(WorkGroup=name)
    with pytest.raises(athena.exceptions.InvalidRequestException, match="not found"):
        athena.get_work_group(WorkGroup=name)


def test_history_lists_newest_first_in_pages(athena: Any, server: Any) -> None:
    name = workgroup(athena)
    started = [server.start("rows 1", WorkGroup=name) for _ in range(5)]
    first = athena.list_query_executions(WorkGroup=name, MaxResults=3)
    second = athena.list_query_executions(WorkGroup=name, MaxResults=3, NextToken=first["NextToken"])
    assert first["QueryExecutionIds"] + second["QueryExecutionIds"] == started[::-1]
    assert "NextToken" not in second


def test_runtime_statistics(athena: Any, server: Any) -> None:
    query_id = server.start("scan 123")
    server.wait(query_id)
    told = athena.get_query_runtime_statistics(QueryExecutionId=query_id)["QueryRuntimeStatistics"]
    assert (told["Rows"]["InputBytes"], told["Rows"]["InputRows"], told["Rows"]["OutputRows"]) == (123, 5, 2)
    assert told["Timeline"]["TotalExecutionTimeInMillis"] >= 0


def test_query_too_long_and_empty_are_refused(athena: Any, server: Any) -> None:
    for text in ("select '" + "x" * 262_144 + "'", "select '" + "ä" * 131_070 + "'"):
        with pytest.raises(athena.exceptions.InvalidRequestException, match="less than or equal to 262144"):
            server.start(text)
    with pytest.raises(athena.exceptions.InvalidRequestException) as raised:
        server.start("unparsable")
    assert raised.value.response["Error"]["Message"] == "line 1:1: mismatched input 'unparsable'"
    assert raised.value.response["AthenaErrorCode"] == "MALFORMED_QUERY"


def test_query_in_a_catalog_that_is_not_there_fails_and_its_definitions_do_not(server: Any) -> None:
    context = {"QueryExecutionContext": {"Catalog": "Other", "Database": "Default"}}
    execution = server.wait(server.start("rows 1", **context))
    assert execution["Status"]["StateChangeReason"].startswith(
        "CATALOG_NOT_FOUND: Catalog 'Other' does not exist"
    )
    assert execution["QueryExecutionContext"] == {"Catalog": "other", "Database": "Default"}
    assert server.wait(server.start("create table t", **context))["Status"]["State"] == "SUCCEEDED"


def test_catalog_metadata(athena: Any, glue: Any, database: str) -> None:
    columns = [{"Name": "id", "Type": "int", "Comment": "key"}]
    glue.create_table(
        DatabaseName=database,
        TableInput={"Name": "t", "StorageDescriptor": {"Columns": columns, "Location": "s3://b/t"}},
    )
    where = {"CatalogName": "awsdatacatalog", "DatabaseName": database}
    assert athena.get_database(**where)["Database"]["Name"] == database
    table = athena.get_table_metadata(**where, TableName="t")["TableMetadata"]
    assert (table["Columns"], table["Parameters"]["location"]) == (columns, "s3://b/t")
    assert [one["Name"] for one in athena.list_table_metadata(**where)["TableMetadataList"]] == ["t"]
    with pytest.raises(athena.exceptions.MetadataException):
        athena.get_table_metadata(**where, TableName="nothing")
    names = [one["Name"] for one in athena.list_databases(CatalogName="AwsDataCatalog")["DatabaseList"]]
    assert database in names
    assert athena.list_data_catalogs()["DataCatalogsSummary"][0]["CatalogName"] == "AwsDataCatalog"
    catalog = athena.get_data_catalog(Name="awsdatacatalog")["DataCatalog"]
    assert catalog["Parameters"] == {"catalog-id": "000000000000"}


def test_named_queries_and_prepared_statements(athena: Any) -> None:
    name = workgroup(athena)
    query_id = athena.create_named_query(Name="n", Database="default", QueryString="rows 1", WorkGroup=name)[
        "NamedQueryId"
    ]
    athena.update_named_query(NamedQueryId=query_id, Name="m", QueryString="rows 2")
    found = athena.get_named_query(NamedQueryId=query_id)["NamedQuery"]
    assert (found["Name"], found["QueryString"], found["WorkGroup"]) == ("m", "rows 2", name)
    assert athena.list_named_queries(WorkGroup=name)["NamedQueryIds"] == [query_id]
    athena.create_prepared_statement(StatementName="p1", WorkGroup=name, QueryStatement="rows 1")
    found = athena.get_prepared_statement(StatementName="p1", WorkGroup=name)["PreparedStatement"]
    assert (found["QueryStatement"], found["WorkGroupName"]) == ("rows 1", name)
    with pytest.raises(athena.exceptions.InvalidRequestException, match="not empty"):
        athena.delete_work_group(WorkGroup=name)
    with pytest.raises(
        athena.exceptions.ResourceNotFoundException, match="PreparedStatement p2 was not found"
    ):
        athena.get_prepared_statement(StatementName="p2", WorkGroup=name)
    batch = athena.batch_get_prepared_statement(PreparedStatementNames=["p1", "p2"], WorkGroup=name)
    assert [one["StatementName"] for one in batch["PreparedStatements"]] == ["p1"]
    assert [one["StatementName"] for one in batch["UnprocessedPreparedStatementNames"]] == ["p2"]
    athena.delete_work_group(WorkGroup=name, RecursiveDeleteOption=True)
    with pytest.raises(athena.exceptions.InvalidRequestException, match="WorkGroup is not found"):
        athena.get_prepared_statement(StatementName="p1", WorkGroup=name)


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ({"ResultConfiguration": {"OutputLocation": "bucket/prefix"}}, "outputLocation is not a valid S3 path"),
        ({"EngineVersion": {"SelectedEngineVersion": "PySpark engine version 3"}}, "PySpark engine version 3 is not"),
        ({"ManagedQueryResultsConfiguration": {"Enabled": True}}, "Managed query results are not available"),
        ({"ResultConfiguration": {"EncryptionConfiguration": {"EncryptionOption": "CSE_KMS"}}}, "CSE_KMS"),
        ({"IdentityCenterConfiguration": {"EnableIdentityCenter": True}}, "IAM Identity Center"),
    ],
)  # fmt: skip
def test_workgroup_settings_that_cannot_be_honoured_are_refused(
    athena: Any, configuration: dict[str, Any], message: str
) -> None:
    name = f"wg-{uuid.uuid4().hex[:8]}"
    with pytest.raises(athena.exceptions.InvalidRequestException, match=message):
        athena.create_work_group(Name=name, Configuration=configuration)
    with pytest.raises(athena.exceptions.InvalidRequestException, match="WorkGroup is not found"):
        athena.get_work_group(WorkGroup=name)


def test_data_catalogs_are_kept_and_only_the_accounts_own_has_data(
    server: Any, athena: Any, database: str
) -> None:
    name = f"c_{uuid.uuid4().hex[:8]}"
    with pytest.raises(athena.exceptions.InvalidRequestException, match="needs the parameters"):
        athena.create_data_catalog(Name=name, Type="HIVE", Parameters={})
    with pytest.raises(athena.exceptions.InvalidRequestException, match="FEDERATED"):
        athena.create_data_catalog(Name=name, Type="FEDERATED")
    parameters = {"function": "arn:aws:lambda:us-east-2:000000000000:function:f"}
    athena.create_data_catalog(
        Name=name, Type="LAMBDA", Parameters=parameters, Tags=[{"Key": "a", "Value": "b"}]
    )
    found = athena.get_data_catalog(Name=name)["DataCatalog"]
    assert (found["Type"], found["Parameters"], found["Status"]) == ("LAMBDA", parameters, "CREATE_COMPLETE")
    arn = f"arn:aws:athena:us-east-2:000000000000:datacatalog/{name}"
    assert athena.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    with pytest.raises(athena.exceptions.InvalidRequestException, match="already exists"):
        athena.create_data_catalog(Name=name, Type="LAMBDA", Parameters=parameters)
    with pytest.raises(athena.exceptions.MetadataException, match="of type LAMBDA"):
        athena.list_databases(CatalogName=name)
    context = {"QueryExecutionContext": {"Catalog": name}}
    status = server.wait(server.start("rows 1", **context))["Status"]
    assert status["StateChangeReason"].startswith(f"CATALOG_NOT_FOUND: Catalog '{name}' does not exist")
    athena.update_data_catalog(Name=name, Type="GLUE", Parameters={"catalog-id": "000000000000"})
    assert database in {one["Name"] for one in athena.list_databases(CatalogName=name)["DatabaseList"]}
    assert server.wait(server.start("rows 1", **context))["Status"]["State"] == "SUCCEEDED"
    athena.delete_data_catalog(Name=name)
    with pytest.raises(athena.exceptions.InvalidRequestException, match="was not found"):
        athena.get_data_catalog(Name=name)
    with pytest.raises(athena.exceptions.InvalidRequestException, match="Does Not Exist"):
        athena.list_tags_for_resource(ResourceARN=arn)


def test_pyathena_reads_typed_rows(server: Any) -> None:
    from pyathena import connect

    connection = connect(
        s3_staging_dir=server.output_location,
        endpoint_url=server.endpoint,
        region_name="us-east-2",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        poll_interval=0.02,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("rows 1500")
        assert cursor.fetchmany(2) == [(0, "v0"), (1, None)]
        assert len(cursor.fetchall()) == 1498
        assert [column[:2] for column in cursor.description] == [("n", "bigint"), ("s", "varchar")]
        cursor.execute("insert into t")
        assert cursor.rowcount == 3


def test_query_ids_are_uuids(server: Any) -> None:
    assert re.fullmatch(r"[0-9a-f-]{36}", server.start("rows 1"))
