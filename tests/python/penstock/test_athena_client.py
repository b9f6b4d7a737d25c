"""The Athena client against a scripted API: paging, header rows, errors, cancelling."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from penstock.connections import Connections
from penstock.environments import environment
from penstock.errors import LakeError
from penstock.lake.athena import Athena, first_line

CONNECTIONS = Connections(environment("local"), "us-east-2")


def row(*values: str | None) -> dict[str, Any]:
    return {"Data": [{} if value is None else {"VarCharValue": value} for value in values]}


class ScriptedAthena:
    """Answers with the given states one after the other, and the given pages of results."""

    def __init__(
        self,
        states: list[dict[str, Any]],
        pages: list[dict[str, Any]] | None = None,
        statement: tuple[str, str] = ("DML", "SELECT"),
    ) -> None:
        self.states, self.pages, self.statement = states, pages or [{"ResultSet": {}}], statement
        self.started: list[dict[str, Any]] = []
        self.stopped: list[str] = []
        self.asked = 0

    def start_query_execution(self, **request: Any) -> dict[str, str]:
        self.started.append(request)
        return {"QueryExecutionId": "q-1"}

    def get_query_execution(self, QueryExecutionId: str) -> dict[str, Any]:  # noqa: N803
        status = self.states.pop(0)
        return {
            "QueryExecution": {
                "QueryExecutionId": QueryExecutionId,
                "StatementType": self.statement[0],
                "SubstatementType": self.statement[1],
                "Status": status,
                "Statistics": {"DataScannedInBytes": 1234, "TotalExecutionTimeInMillis": 1500},
            }
        }

    def get_query_results(self, QueryExecutionId: str, NextToken: str = "0") -> dict[str, Any]:  # noqa: N803
        assert QueryExecutionId == "q-1"
        self.asked += 1
        number = int(NextToken)
        page = dict(self.pages[number])
        if number + 1 < len(self.pages):
            page["NextToken"] = str(number + 1)
        return page

    def stop_query_execution(self, QueryExecutionId: str) -> None:  # noqa: N803
        self.stopped.append(QueryExecutionId)


SUCCEEDED = {"State": "SUCCEEDED"}
COLUMNS = {"ColumnInfo": [{"Name": "n", "Type": "bigint"}, {"Name": "s", "Type": "varchar"}]}


def test_run_pages_of_rows_returns_all_without_the_header() -> None:
    pages: list[dict[str, Any]] = [
        {
            "ResultSet": {"ResultSetMetadata": COLUMNS, "Rows": [row("n", "s"), row("1", "a")]},
            "UpdateCount": 0,
        },
        {"ResultSet": {"ResultSetMetadata": COLUMNS, "Rows": [row("2", None)]}},
    ]
    client = ScriptedAthena([{"State": "QUEUED"}, {"State": "RUNNING"}, SUCCEEDED], pages)
    slept: list[float] = []

    result = Athena(CONNECTIONS, client=client, sleep=slept.append).run("select 1", database="d")

    assert result.rows == [("1", "a"), ("2", None)]
    assert (result.columns, result.types) == (("n", "s"), ("bigint", "varchar"))
    assert (result.bytes_scanned, result.seconds, result.update_count) == (1234, 1.5, 0)
    assert slept == [0.02, 0.03]
    assert client.started == [
        {
            "QueryString": "select 1",
            "WorkGroup": "penstock-local",
            "QueryExecutionContext": {"Database": "d"},
        }
    ]


@pytest.mark.parametrize(
    "statement", [("UTILITY", "SHOW_TABLES"), ("DDL", "CREATE_TABLE"), ("DML", "EXPLAIN")]
)
def test_run_statement_without_header_keeps_the_first_row(statement: tuple[str, str]) -> None:
    pages = [{"ResultSet": {"ResultSetMetadata": COLUMNS, "Rows": [row("t1", "x")]}}]
    client = ScriptedAthena([SUCCEEDED], pages, statement)

    assert Athena(CONNECTIONS, client=client).run("show tables").rows == [("t1", "x")]


def test_run_insert_returns_its_update_count() -> None:
    pages = [{"ResultSet": {"ResultSetMetadata": {"ColumnInfo": []}, "Rows": []}, "UpdateCount": 7}]
    client = ScriptedAthena([SUCCEEDED], pages, ("DML", "INSERT"))

    assert Athena(CONNECTIONS, client=client).run("insert into t select 1").update_count == 7


@pytest.mark.parametrize(
    ("limit", "asked", "more"), [(0, 3, False), (1, 1, True), (2, 2, True), (3, 3, False)]
)
def test_run_with_a_limit_asks_for_no_more_pages_than_it_takes(limit: int, asked: int, more: bool) -> None:
    pages = [{"ResultSet": {"ResultSetMetadata": COLUMNS, "Rows": [row("n", "s"), row("1", "a")]}}]
    pages += [{"ResultSet": {"Rows": [row(str(n), "a")]}} for n in (2, 3)]
    client = ScriptedAthena([SUCCEEDED], pages)
    result = Athena(CONNECTIONS, client=client).run("select n, s from t", limit=limit)

    assert [values[0] for values in result.rows] == [str(n + 1) for n in range(asked)]
    assert result.more is more
    assert client.asked == (asked + 1 if more else 3)


def test_run_failed_query_raises_code_message_and_first_line() -> None:
    reason = "TABLE_NOT_FOUND: line 2:15: Table 'awsdatacatalog.d.t' does not exist"
    client = ScriptedAthena([{"State": "FAILED", "StateChangeReason": reason}])

    with pytest.raises(LakeError) as raised:
        Athena(CONNECTIONS, client=client).run("-- a comment\nselect *\nfrom d.t")

    assert raised.value.code == "TABLE_NOT_FOUND"
    assert raised.value.message == f"{reason}\n  in: select *"
    assert raised.value.hint.startswith("`invoke seed` lands files")
    assert client.stopped == []


def test_run_hive_ddl_failure_has_no_code() -> None:
    client = ScriptedAthena([{"State": "FAILED", "StateChangeReason": "FAILED: SemanticException no"}])

    with pytest.raises(LakeError, match="SemanticException no") as raised:
        Athena(CONNECTIONS, client=client).run("drop table t")

    assert raised.value.code == ""


def test_run_interrupted_while_waiting_cancels_the_query() -> None:
    client = ScriptedAthena([{"State": "RUNNING"}])

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Athena(CONNECTIONS, client=client, sleep=interrupt).run("select 1")

    assert client.stopped == ["q-1"]


def test_run_missing_workgroup_says_what_creates_it() -> None:
    class NoWorkgroup(ScriptedAthena):
        def start_query_execution(self, **_: Any) -> dict[str, str]:
            error = {"Code": "InvalidRequestException", "Message": "WorkGroup penstock-local is not found."}
            raise ClientError({"Error": error}, "StartQueryExecution")  # type: ignore[typeddict-item]

    with pytest.raises(LakeError) as raised:
        Athena(CONNECTIONS, client=NoWorkgroup([])).run("select 1")

    assert raised.value.code == "InvalidRequestException"
    assert raised.value.hint == "`invoke seed` creates the workgroup penstock-local."


def test_first_line_of_a_commented_statement_is_the_first_that_says_something() -> None:
    assert first_line('-- /* {"app": "dbt"} */\n\n  create table t as\nselect 1') == "create table t as"
    assert first_line("") == ""
