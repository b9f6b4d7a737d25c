"""The AWS CLI as a user types it: endpoints from the environment, each kind of output."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest


class CliError(AssertionError):
    """A command that did not end with 0: its exit code and what it wrote to standard error."""


@pytest.fixture
def aws(environment: dict[str, str]) -> Any:
    """`aws("athena list-work-groups", …)`: the command's standard output, parsed when it is JSON.

    Run in this process, since a Python of its own for each command would take most of the time.
    """
    from awscli.clidriver import create_clidriver

    def run(command: str, *arguments: str) -> Any:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = create_clidriver().main([*command.split(), *arguments])
        if code:
            raise CliError(f"{code} {err.getvalue().strip()}")
        text = out.getvalue()
        return json.loads(text) if text.startswith(("{", "[")) else text

    return run


def test_the_command_itself_finds_the_server_by_its_environment(environment: dict[str, str]) -> None:
    command = [sys.executable, Path(sys.executable).parent / "aws", "athena", "list-data-catalogs"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    [catalog] = json.loads(done.stdout)["DataCatalogsSummary"]
    assert (catalog["CatalogName"], catalog["Type"]) == ("AwsDataCatalog", "GLUE")


def test_query_from_start_to_its_file(aws: Any, server: Any, tmp_path: Path) -> None:
    started = aws(
        "athena start-query-execution",
        "--query-string",
        "select n, n * 2 as twice from unnest(sequence(1, 3)) as t(n) order by n",
        "--result-configuration",
        f"OutputLocation={server.output_location}",
    )
    query_id = started["QueryExecutionId"]
    assert server.wait(query_id)["Status"]["State"] == "SUCCEEDED"
    text = aws(
        "athena get-query-results --output text --query ResultSet.Rows[*].Data[*].VarCharValue",
        "--query-execution-id",
        query_id,
    )
    assert text == "n\ttwice\n1\t2\n2\t4\n3\t6\n"
    execution = aws("athena get-query-execution", "--query-execution-id", query_id)["QueryExecution"]
    assert execution["StatementType"] == "DML"
    target = tmp_path / "result.csv"
    aws("s3 cp --quiet", execution["ResultConfiguration"]["OutputLocation"], str(target))
    assert target.read_text() == '"n","twice"\n"1","2"\n"2","4"\n"3","6"\n'


def test_work_groups_from_creation_to_deletion(aws: Any, server: Any) -> None:
    group = f"cli-{uuid.uuid4().hex[:8]}"
    aws(
        "athena create-work-group --description reports --name",
        group,
        "--configuration",
        f"ResultConfiguration={{OutputLocation={server.output_location}}},EnforceWorkGroupConfiguration=true",
        "--tags",
        "Key=team,Value=data",
    )
    names = aws("athena list-work-groups --output text --query WorkGroups[].Name").split()
    assert {"primary", group} <= set(names)
    found = aws("athena get-work-group --work-group", group)["WorkGroup"]
    assert found["Description"] == "reports"
    assert found["Configuration"]["ResultConfiguration"] == {"OutputLocation": server.output_location}
    aws("athena update-work-group --state DISABLED --work-group", group)
    with pytest.raises(CliError, match="InvalidRequestException"):
        aws("athena start-query-execution", "--query-string", "select 1", "--work-group", group)
    aws("athena delete-work-group --recursive-delete-option --work-group", group)
    assert group not in aws("athena list-work-groups --output text --query WorkGroups[].Name").split()


def test_glue_database_tables_and_partitions(aws: Any, server: Any, lake: str) -> None:
    database = f"cli_{uuid.uuid4().hex[:8]}"
    aws("glue create-database --database-input", json.dumps({"Name": database, "Description": "by the CLI"}))
    server.run_query(
        f"create external table {database}.events (id bigint) partitioned by (day date, shop string)"
        f" stored as parquet location '{lake}'"
    )
    server.run_query(
        f"alter table {database}.events add partition (day='2025-01-01', shop='a')"
        " partition (day='2025-01-02', shop='a') partition (day='2025-01-02', shop='b')"
    )
    tables = aws(
        "glue get-tables --output text --query TableList[].[Name,TableType] --database-name", database
    )
    assert tables == "events\tEXTERNAL_TABLE\n"
    partitions = aws(
        "glue get-partitions --output text --query Partitions[].Values[] --database-name",
        database,
        "--table-name",
        "events",
        "--expression",
        "day = '2025-01-02' and shop in ('b', 'c')",
    )
    assert partitions == "2025-01-02\tb\n"
    shown = aws(
        "glue get-databases --output table",
        "--query",
        f"DatabaseList[?Name=='{database}'].{{Name:Name,Description:Description}}",
    )
    assert f"|  by the CLI  |  {database}  |" in shown
    metadata = aws(
        "athena get-table-metadata --catalog-name AwsDataCatalog --table-name events --database-name",
        database,
    )["TableMetadata"]
    assert [key["Name"] for key in metadata["PartitionKeys"]] == ["day", "shop"]
    aws("glue delete-table --name events --database-name", database)
    aws("glue delete-database --name", database)
    with pytest.raises(CliError, match=r"EntityNotFoundException.*not found"):
        aws("glue get-database --name", database)


def test_saved_and_prepared_statements(aws: Any, server: Any) -> None:
    created = aws(
        "athena create-named-query --name daily --database default --query-string", "select 1 as daily"
    )
    listed = aws("athena list-named-queries --query NamedQueryIds")
    assert created["NamedQueryId"] in listed
    found = aws("athena get-named-query --named-query-id", created["NamedQueryId"])["NamedQuery"]
    assert (found["Name"], found["QueryString"]) == ("daily", "select 1 as daily")
    aws("athena delete-named-query --named-query-id", created["NamedQueryId"])

    name = f"p_{uuid.uuid4().hex[:8]}"
    aws(
        "athena create-prepared-statement --work-group primary --query-statement",
        "select ? + ?",
        "--statement-name",
        name,
    )
    query_id = aws(
        "athena start-query-execution --output text --execution-parameters 40 2",
        "--query-string",
        f"execute {name}",
        "--result-configuration",
        f"OutputLocation={server.output_location}",
    ).strip()
    assert server.wait(query_id)["Status"]["State"] == "SUCCEEDED"
    value = aws(
        "athena get-query-results --output text --query ResultSet.Rows[1].Data[0].VarCharValue",
        "--query-execution-id",
        query_id,
    )
    assert value == "42\n"


def test_errors_end_the_process_with_the_service_name(aws: Any) -> None:
    with pytest.raises(CliError) as refused:
        aws("athena get-query-execution --query-execution-id", str(uuid.uuid4()))
    assert "An error occurred (InvalidRequestException) when calling the GetQueryExecution operation" in str(
        refused.value
    )
