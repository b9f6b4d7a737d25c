"""Result reuse by age: when a SELECT is answered with an earlier one's file, and when it is run anew."""

from __future__ import annotations

import uuid
from typing import Any

import pytest


@pytest.fixture
def table(server: Any, s3: Any, glue: Any, database: str, lake: str) -> str:
    bucket, prefix = lake.removeprefix("s3://").split("/", 1)
    s3.put_object(Bucket=bucket, Key=f"{prefix}t/part.csv", Body=b"1\n2\n")
    serde = {"SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"}
    glue.create_table(
        DatabaseName=database,
        TableInput={
            "Name": "t",
            "TableType": "EXTERNAL_TABLE",
            "StorageDescriptor": {
                "Columns": [{"Name": "id", "Type": "int"}],
                "Location": f"{lake}t/",
                "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
                "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
                "SerdeInfo": serde,
            },
        },
    )
    return f"{database}.t"


def run(server: Any, sql: str, minutes: int | None = 60, **arguments: Any) -> dict[str, Any]:
    """Start a query that may be answered with an earlier result (not with `minutes` None), and return its end."""
    if minutes is not None:
        by_age = {"Enabled": True, "MaxAgeInMinutes": minutes}
        arguments["ResultReuseConfiguration"] = {"ResultReuseByAgeConfiguration": by_age}
    execution: dict[str, Any] = server.wait(server.start(sql, **arguments))
    assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
    return execution


def reused(execution: dict[str, Any]) -> bool:
    return bool(execution["Statistics"]["ResultReuseInformation"]["ReusedPreviousResult"])


def test_same_select_is_answered_with_the_earlier_file(
    server: Any, athena: Any, s3: Any, table: str, lake: str
) -> None:
    sql = f"select id from {table} order by id"
    first = run(server, sql, minutes=None)  # it need not have asked for reuse itself
    bucket, prefix = lake.removeprefix("s3://").split("/", 1)
    s3.put_object(Bucket=bucket, Key=f"{prefix}t/more.csv", Body=b"3\n")
    second = run(server, sql)
    assert (reused(first), reused(second)) == (False, True)
    assert second["QueryExecutionId"] != first["QueryExecutionId"]
    assert second["ResultConfiguration"] == first["ResultConfiguration"]
    assert (first["Statistics"]["DataScannedInBytes"], second["Statistics"]["DataScannedInBytes"]) == (4, 0)
    asked = second["ResultReuseConfiguration"]["ResultReuseByAgeConfiguration"]
    assert asked == {"Enabled": True, "MaxAgeInMinutes": 60}
    answer = athena.get_query_results(QueryExecutionId=second["QueryExecutionId"])
    rows = [row["Data"][0]["VarCharValue"] for row in answer["ResultSet"]["Rows"]]
    assert rows == ["id", "1", "2"]
    assert reused(run(server, sql)), "a reused result stands for the first one, not for itself"


def test_other_text_database_parameters_or_settings_are_run_anew(server: Any, table: str, lake: str) -> None:
    sql = f"select id from {table} where id = ?"
    run(server, sql, ExecutionParameters=["1"])
    assert reused(run(server, sql, ExecutionParameters=["1"]))
    assert not reused(run(server, sql, ExecutionParameters=["2"]))
    assert not reused(run(server, sql + " ", ExecutionParameters=["1"]))
    context = {"Database": "default"}
    assert not reused(run(server, sql, ExecutionParameters=["1"], QueryExecutionContext=context))
    elsewhere = {"OutputLocation": f"{lake}elsewhere/"}
    assert not reused(run(server, sql, ExecutionParameters=["1"], ResultConfiguration=elsewhere))
    encrypted = {
        "OutputLocation": server.output_location,
        "EncryptionConfiguration": {"EncryptionOption": "SSE_S3"},
    }
    assert not reused(run(server, sql, ExecutionParameters=["1"], ResultConfiguration=encrypted))


def test_execute_is_reused_until_it_is_prepared_anew(server: Any, run_query: Any, table: str) -> None:
    name = f"p{uuid.uuid4().hex[:8]}"
    run_query(f"prepare {name} from select id from {table} where id = ?")
    sql = f"execute {name} using 1"
    run(server, sql)
    assert reused(run(server, sql))
    assert not reused(run(server, f"execute {name} using 2"))
    run_query(f"prepare {name} from select id + 1 from {table} where id = ?")
    assert not reused(run(server, sql))


def test_older_failed_or_deleted_results_are_run_anew(server: Any, s3: Any, table: str) -> None:
    sql = f"select count(*) from {table}"
    first = run(server, sql)
    assert not reused(run(server, sql, minutes=0))
    assert not reused(run(server, sql, minutes=None))
    executions = [first, run(server, sql)]
    bucket, key = executions[-1]["ResultConfiguration"]["OutputLocation"].removeprefix("s3://").split("/", 1)
    s3.delete_object(Bucket=bucket, Key=key)
    assert not reused(run(server, sql))


def test_other_workgroups_results_are_not_reused(server: Any, athena: Any, table: str) -> None:
    sql = f"select max(id) from {table}"
    run(server, sql)
    name = f"wg-{uuid.uuid4().hex[:8]}"
    athena.create_work_group(Name=name, Configuration={"EnforceWorkGroupConfiguration": False})
    assert not reused(run(server, sql, WorkGroup=name))
    assert reused(run(server, sql, WorkGroup=name))


def test_show_and_insert_are_never_reused(server: Any, run_query: Any, database: str, lake: str) -> None:
    for _ in range(2):
        assert not reused(run(server, f"show tables in {database}"))
    run_query(f"create table {database}.made with (external_location='{lake}made/') as select 1 as id")
    for _ in range(2):
        assert not reused(run(server, f"insert into {database}.made values (2)"))
    assert run_query(f"select count(*) from {database}.made") == [("3",)]


def test_age_beyond_a_week_is_refused(server: Any, athena: Any) -> None:
    with pytest.raises(athena.exceptions.InvalidRequestException, match="less than or equal to 10080"):
        run(server, "select 1", minutes=10_081)
