"""Results over HTTP: the files that each kind of statement leaves, their types and headers, and paging to the last row."""

from __future__ import annotations

import csv
import io
import uuid
from typing import Any

import pytest

NASTY = [
    'quote " and comma ,',
    "line\nbreak",
    "ünï©ödé 漢字 🙂",
    "\ttab \\backslash 'single'",
    "",
    "NULL",
    " padded ",
    '""',
]


def stored(s3: Any, location: str) -> dict[str, tuple[int, str]]:
    """Return what begins with a result's location: suffix -> (size, content type)."""
    bucket, key = location.removeprefix("s3://").split("/", 1)
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", [])
    return {
        item["Key"].removeprefix(key): (
            item["Size"],
            s3.head_object(Bucket=bucket, Key=item["Key"])["ContentType"],
        )
        for item in listed
    }


def body(s3: Any, location: str) -> bytes:
    bucket, key = location.removeprefix("s3://").split("/", 1)
    found: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return found


def finish(
    server: Any, sql: str, database: str | None = None, **arguments: Any
) -> tuple[dict[str, Any], str]:
    execution = server.wait(server.start(sql, database, **arguments))
    return execution, execution["ResultConfiguration"]["OutputLocation"]


def test_csv_of_nasty_values_equals_get_query_results(server: Any, athena: Any, s3: Any) -> None:
    literals = ", ".join("('" + text.replace("'", "''") + "')" for text in NASTY)
    execution, location = finish(
        server, f"select s, cast(null as varchar) as n from (values {literals}) as t(s)"
    )
    rows = athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])["ResultSet"]["Rows"]
    answered = [[cell.get("VarCharValue") for cell in row["Data"]] for row in rows]
    assert answered == [["s", "n"], *([text, None] for text in NASTY)]
    text = body(s3, location).decode()
    assert text.startswith('"s","n"\n"quote "" and comma ,",\n')
    read = list(csv.reader(io.StringIO(text, newline="")))
    assert read == [["s", "n"], *([value, ""] for value in NASTY)]


def test_select_leaves_a_csv_and_its_metadata(server: Any, s3: Any) -> None:
    execution, location = finish(server, "select 1 as i where false")
    assert location.endswith(f"/{execution['QueryExecutionId']}.csv")
    assert stored(s3, location) == {
        "": (4, "application/octet-stream"),
        ".metadata": (
            69,
            "application/octet-stream",
        ),  # 60 on Athena, whose engine's id is 9 shorter than a UUID
    }
    assert body(s3, location) == b'"i"\n'


def test_column_info_of_every_type(server: Any, athena: Any) -> None:
    execution, _ = finish(
        server,
        """select true as a, cast(1 as tinyint) as b, cast(1 as smallint) as c, 1 as d, bigint '1' as e,
        cast(1 as real) as f, cast(1 as double) as g, cast(1 as decimal(10,2)) as h, cast('x' as char(3)) as i,
        cast('x' as varchar(7)) as j, cast('x' as varchar) as k, to_utf8('x') as l, date '2025-01-01' as m,
        timestamp '2025-01-01 00:00:00.123456' as n, array[1] as p, map(array['a'], array[1]) as q,
        cast(row(1) as row(x integer)) as r""",
    )
    answer = athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])
    info = answer["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
    found = [(one["Type"], one["Precision"], one["Scale"], one["CaseSensitive"]) for one in info]
    assert found == [
        ("boolean", 0, 0, False),
        ("tinyint", 3, 0, False),
        ("smallint", 5, 0, False),
        ("integer", 10, 0, False),
        ("bigint", 19, 0, False),
        ("float", 17, 0, False),
        ("double", 17, 0, False),
        ("decimal", 10, 2, False),
        ("char", 3, 0, True),
        ("varchar", 7, 0, True),
        ("varchar", 2147483647, 0, True),
        ("varbinary", 1073741824, 0, False),
        ("date", 0, 0, False),
        ("timestamp", 3, 0, False),
        ("array", 0, 0, False),
        ("map", 0, 0, False),
        ("row", 0, 0, False),
    ]
    constant = {(one["CatalogName"], one["SchemaName"], one["TableName"], one["Nullable"]) for one in info}
    assert constant == {("hive", "", "", "UNKNOWN")}
    assert all(one["Label"] == one["Name"] for one in info)
    assert answer["UpdateCount"] == 0


def test_ddl_leaves_an_empty_text_and_show_its_lines(server: Any, athena: Any, s3: Any) -> None:
    database = f"db_{uuid.uuid4().hex[:8]}"
    execution, location = finish(server, f"create database {database}")
    assert (execution["StatementType"], execution["SubstatementType"]) == ("DDL", "CREATE_DATABASE")
    assert stored(s3, location) == {"": (0, "binary/octet-stream")}
    answer = athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])
    assert (answer["ResultSet"]["Rows"], answer.get("UpdateCount")) == ([], None)
    execution, location = finish(server, f"show databases like '{database}'")
    assert (execution["StatementType"], execution["SubstatementType"]) == ("UTILITY", "SHOW_DATABASES")
    assert body(s3, location) == database.encode()
    assert {kind for _, kind in stored(s3, location).values()} == {"binary/octet-stream"}
    assert athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])["UpdateCount"] == 0
    finish(server, f"drop database {database}")


def test_failed_ddl_leaves_its_reason_and_an_empty_result(server: Any, athena: Any, s3: Any) -> None:
    execution, location = finish(server, "drop table nothing_of_this_name", "default")
    assert execution["Status"]["State"] == "FAILED"
    reason = execution["Status"]["StateChangeReason"]
    assert body(s3, location).decode() == reason
    assert stored(s3, location) == {"": (len(reason), "application/octet-stream")}
    answer = athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])
    assert answer["ResultSet"]["Rows"] == []


def test_failed_and_cancelled_select_leave_nothing(server: Any, athena: Any, s3: Any) -> None:
    execution, location = finish(server, "select 1/0 from (values 1) as t(x)")
    assert execution["Status"]["AthenaError"]["ErrorType"] == 1001
    assert stored(s3, location) == {}
    with pytest.raises(athena.exceptions.InvalidRequestException) as raised:
        athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])
    error = raised.value.response
    assert error["AthenaErrorCode"] == "INVALID_QUERY_EXECUTION_STATE"
    assert error["Error"]["Message"] == "Query did not finish successfully. Final query state: FAILED"
    query_id = server.start(
        """select count(*) from unnest(sequence(1, 10000)) as a(x) cross join unnest(sequence(1, 10000)) as b(y)
        cross join unnest(sequence(1, 10000)) as c(z) where (x * y + z) % 7 = 3"""
    )
    athena.stop_query_execution(QueryExecutionId=query_id)
    execution = server.wait(query_id)
    assert execution["Status"]["State"] == "CANCELLED"
    assert execution["Status"]["StateChangeReason"] == "Query cancelled by user"
    assert "AthenaError" not in execution["Status"]
    with pytest.raises(athena.exceptions.InvalidRequestException, match="Could not find results") as raised:
        athena.get_query_results(QueryExecutionId=query_id)
    assert raised.value.response["AthenaErrorCode"] == "RESULT_NOT_FOUND"
    assert stored(s3, execution["ResultConfiguration"]["OutputLocation"]) == {}


def test_deleted_result_is_not_found(server: Any, athena: Any, s3: Any) -> None:
    execution, location = finish(server, "select 1 as i")
    bucket, key = location.removeprefix("s3://").split("/", 1)
    s3.delete_object(Bucket=bucket, Key=key)
    with pytest.raises(athena.exceptions.InvalidRequestException, match="Could not find results"):
        athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])


def test_ctas_and_insert_leave_counts_and_a_manifest(
    server: Any, athena: Any, s3: Any, database: str, lake: str
) -> None:
    sql = f"create table {database}.t with (external_location='{lake}t/') as select 1 as id"
    execution, location = finish(server, sql)
    query_id = execution["QueryExecutionId"]
    assert location == f"{server.output_location}tables/{query_id}"
    assert execution["Statistics"]["DataManifestLocation"] == f"{location}-manifest.csv"
    assert sorted(stored(s3, location)) == ["-manifest.csv", ".metadata"]
    assert athena.get_query_results(QueryExecutionId=query_id)["UpdateCount"] == 1
    execution, location = finish(server, f"insert into {database}.t select id + 1 from {database}.t")
    assert location == server.output_location + execution["QueryExecutionId"]
    lines = body(s3, f"{location}-manifest.csv").decode().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"{lake}t/")
    query_id = execution["QueryExecutionId"]
    answer = athena.get_query_results(QueryExecutionId=query_id, QueryResultType="DATA_MANIFEST")
    assert answer["ResultSet"]["Rows"] == [{"Data": [{"VarCharValue": lines[0]}]}]
    execution, location = finish(server, f"insert into {database}.t select id from {database}.t where false")
    assert sorted(stored(s3, location)) == [".metadata"]
    assert "DataManifestLocation" not in execution["Statistics"]


def test_pages_are_full_to_the_last_and_their_tokens_are_the_querys_own(server: Any, athena: Any) -> None:
    first, _ = finish(server, "select x from unnest(sequence(1, 9)) as t(x)")
    other, _ = finish(server, "select 1 as x")
    query_id = first["QueryExecutionId"]
    page = athena.get_query_results(QueryExecutionId=query_id, MaxResults=5)
    assert [row["Data"][0]["VarCharValue"] for row in page["ResultSet"]["Rows"]] == ["x", "1", "2", "3", "4"]
    token = page["NextToken"]
    page = athena.get_query_results(QueryExecutionId=query_id, MaxResults=5, NextToken=token)
    assert [row["Data"][0]["VarCharValue"] for row in page["ResultSet"]["Rows"]] == ["5", "6", "7", "8", "9"]
    last = athena.get_query_results(QueryExecutionId=query_id, MaxResults=5, NextToken=page["NextToken"])
    assert (last["ResultSet"]["Rows"], last.get("NextToken")) == ([], None)
    for wrong in ("rubbish", token[:-4]):
        with pytest.raises(
            athena.exceptions.InvalidRequestException, match=f"Malformed nextPageToken {wrong}"
        ):
            athena.get_query_results(QueryExecutionId=query_id, NextToken=wrong)
    with pytest.raises(athena.exceptions.InvalidRequestException, match="Malformed nextPageToken"):
        athena.get_query_results(QueryExecutionId=other["QueryExecutionId"], NextToken=token)
    with pytest.raises(
        athena.exceptions.InvalidRequestException, match="more than maximum allowed length 1000"
    ):
        athena.get_query_results(QueryExecutionId=query_id, MaxResults=1001)
    with pytest.raises(athena.exceptions.InvalidRequestException, match="nowhere was not found") as raised:
        athena.get_query_results(QueryExecutionId="nowhere", MaxResults=1001)
    assert raised.value.response["AthenaErrorCode"] == "QUERY_EXECUTION_NOT_FOUND"


def test_statistics_add_up(server: Any, athena: Any) -> None:
    execution, _ = finish(server, "select count(*) from unnest(sequence(1, 1000)) as t(x)")
    told = execution["Statistics"]
    parts = (
        "ServicePreProcessingTimeInMillis",
        "QueryQueueTimeInMillis",
        "EngineExecutionTimeInMillis",
        "ServiceProcessingTimeInMillis",
    )
    assert (
        abs(sum(told[name] for name in parts) - told["TotalExecutionTimeInMillis"]) <= 4
    )  # each is rounded up
    assert told["QueryPlanningTimeInMillis"] <= told["EngineExecutionTimeInMillis"] + 1
    assert told["ResultReuseInformation"] == {"ReusedPreviousResult": False}
    assert execution["EngineVersion"] == {
        "SelectedEngineVersion": "AUTO",
        "EffectiveEngineVersion": "Athena engine version 3",
    }
    stage = athena.get_query_runtime_statistics(QueryExecutionId=execution["QueryExecutionId"])[
        "QueryRuntimeStatistics"
    ]["OutputStage"]
    assert (stage["State"], stage["OutputRows"]) == ("FINISHED", 1)


def test_result_settings_go_with_every_file_and_are_echoed(server: Any, s3: Any) -> None:
    settings = {
        "OutputLocation": server.output_location,
        "EncryptionConfiguration": {"EncryptionOption": "SSE_S3"},
        "AclConfiguration": {"S3AclOption": "BUCKET_OWNER_FULL_CONTROL"},
        "ExpectedBucketOwner": "000000000000",
    }
    execution, location = finish(server, "select 1 as i", ResultConfiguration=settings)
    assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
    assert execution["ResultConfiguration"] == {**settings, "OutputLocation": location}
    bucket, key = location.removeprefix("s3://").split("/", 1)
    for suffix in ("", ".metadata"):
        assert s3.head_object(Bucket=bucket, Key=key + suffix)["ServerSideEncryption"] == "AES256"


def test_client_side_encryption_is_refused(server: Any, athena: Any) -> None:
    settings = {
        "OutputLocation": server.output_location,
        "EncryptionConfiguration": {"EncryptionOption": "CSE_KMS", "KmsKey": "k"},
    }
    with pytest.raises(athena.exceptions.InvalidRequestException, match="CSE_KMS"):
        server.start("select 1", ResultConfiguration=settings)


@pytest.mark.parametrize(
    ("sql", "code", "message"),
    [
        ("", None, "greater than or equal to 1"),
        ("-- only a comment", "MALFORMED_QUERY", r"line 1:\d+: mismatched input '<EOF>'"),
        ("select * frm t", "MALFORMED_QUERY", r"line 1:\d+: mismatched input"),
        ("select 1; select 2", "MALFORMED_QUERY", "Only one sql statement is allowed. Got: select 1; select 2"),
        ("describe nothing_of_this_name", "INVALID_INPUT", r"Entity Not Found \(Service: AmazonDataCatalog; "),
        ("show columns in nothing_of_this_name", "INVALID_INPUT", r"Entity Not Found \(Service: AmazonDataCatalog"),
    ],
)  # fmt: skip
def test_statement_that_athena_does_not_start_has_no_query(
    server: Any, athena: Any, sql: str, code: str | None, message: str
) -> None:
    name = f"wg-{uuid.uuid4().hex[:8]}"
    athena.create_work_group(
        Name=name, Configuration={"ResultConfiguration": {"OutputLocation": server.output_location}}
    )
    expected = (
        athena.exceptions.InvalidRequestException if code else Exception
    )  # botocore refuses the empty text
    with pytest.raises(expected, match=message if code else "Invalid length") as raised:
        server.start(sql, "default", WorkGroup=name)
    if code:
        assert raised.value.response["AthenaErrorCode"] == code
        assert not raised.value.response["Error"]["Message"].startswith("SYNTAX_ERROR")
    assert athena.list_query_executions(WorkGroup=name)["QueryExecutionIds"] == []


def test_ctas_with_a_location_of_its_own_is_refused_where_the_workgroup_enforces_one(
    server: Any, athena: Any, database: str, lake: str
) -> None:
    name = f"wg-{uuid.uuid4().hex[:8]}"
    athena.create_work_group(
        Name=name,
        Configuration={
            "EnforceWorkGroupConfiguration": True,
            "ResultConfiguration": {"OutputLocation": f"{lake}enforced/"},
        },
    )
    sql = f"create table {database}.t with (external_location='{lake}t/') as select 1 as id"
    with pytest.raises(
        athena.exceptions.InvalidRequestException, match="enforces a centralized output location"
    ):
        server.start(sql, WorkGroup=name)
    execution, location = finish(server, f"create table {database}.t as select 1 as id", WorkGroup=name)
    assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
    assert location.startswith(f"{lake}enforced/tables/")


def test_refused_statement_leaves_its_token_unused(server: Any, athena: Any) -> None:
    token = str(uuid.uuid4())
    with pytest.raises(athena.exceptions.InvalidRequestException):
        server.start("selec 1", ClientRequestToken=token)
    query_id = server.start("select 1 as one", ClientRequestToken=token)
    assert server.start("select 1 as one", ClientRequestToken=token, ExecutionParameters=["1"]) == query_id
    for changed in (
        {"QueryExecutionContext": {"Database": "default"}},
        {"QueryExecutionContext": {"Catalog": "AwsDataCatalog"}},
        {"ResultConfiguration": {"OutputLocation": f"{server.output_location}other/"}},
    ):
        with pytest.raises(
            athena.exceptions.InvalidRequestException, match="Idempotent parameters do not match"
        ) as raised:
            server.start("select 1 as one", ClientRequestToken=token, **changed)
        assert raised.value.response["AthenaErrorCode"] == "IDEMPOTENT_PARAMETER_MISMATCH"
