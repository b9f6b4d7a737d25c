"""Athena, one statement at a time: start it, wait for it, return its rows, or raise what Athena said.

Why not PyAthena's cursor: every caller here needs the bytes scanned, the engine's own seconds and Athena's error code, and
none needs a DB-API. Statements run in the environment's workgroup, whose settings say where results go.
Refuses nothing itself; a statement that is stopped half way (Ctrl-C) is cancelled in Athena too, for it would go on costing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from penstock.connections import Connections
from penstock.errors import LakeError

# Local statements finish in milliseconds, Athena's in seconds: begin quickly, end at a rate that no API quota minds.
FIRST_POLL_SECONDS = 0.02
POLL_GROWTH = 1.5
LAST_POLL_SECONDS = 1.0

_CODE = re.compile(r"^([A-Z][A-Z0-9_]*[A-Z0-9]): ")
_NO_CODE = frozenset({"FAILED"})  # Hive's DDL answers begin "FAILED: SemanticException …"

HINTS = {
    "TABLE_NOT_FOUND": "`invoke seed` lands files and creates their tables, `invoke build` makes the models.",
    "SCHEMA_NOT_FOUND": "`invoke seed` creates the landed databases, `invoke build` the marts'.",
    "SYNTAX_ERROR": "It is read as Athena SQL; line and column are counted from the statement's beginning.",
    "COLUMN_NOT_FOUND": "`describe <database>.<table>` lists the columns.",
    "HIVE_CANNOT_OPEN_SPLIT": "A file is not what its ending says; land it again with `invoke seed`, which checks it first.",
    "HIVE_FILESYSTEM_ERROR": "S3 did not answer. Locally `invoke up` starts what does not run; then run this again.",
    "HIVE_BAD_DATA": "A landed file does not fit its table; land it again with `invoke seed`, which checks it first.",
}


@dataclass(frozen=True)
class QueryResult:
    """What one statement answered. Values are Athena's text; None is NULL.

    update_count: rows written, None where Athena names no count (its selects answer 0 or nothing).
    more: there are rows beyond the limit that was asked for.
    """

    query_id: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[str | None, ...]]
    bytes_scanned: int
    seconds: float
    update_count: int | None
    more: bool = False


class Athena:
    """The environment's workgroup. Safe to share between threads, as boto3 clients are."""

    def __init__(
        self,
        connections: Connections,
        *,
        client: Any = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.client = client if client is not None else connections.client("athena")
        self.workgroup = connections.environment.workgroup
        self._sleep = sleep

    def run(self, sql: str, *, database: str | None = None, limit: int = 0) -> QueryResult:
        """Return a statement's rows and cost once it has succeeded.

        limit: fetch so many rows at most; 0 fetches all.
        Raises: LakeError with Athena's code, its message and the statement's first line.
        """
        query_id = self._start(sql, database)
        try:
            execution = self._wait(query_id)
        except BaseException:
            self._cancel(query_id)
            raise
        status = execution["Status"]
        if status["State"] != "SUCCEEDED":
            raise refusal(status, sql)
        statistics = execution.get("Statistics", {})
        columns, types, rows, update_count = self._results(
            query_id, skip_header=_has_header(execution), limit=limit
        )
        return QueryResult(
            query_id=query_id,
            columns=columns,
            types=types,
            rows=rows[:limit] if limit else rows,
            bytes_scanned=int(statistics.get("DataScannedInBytes", 0)),
            seconds=int(statistics.get("TotalExecutionTimeInMillis", 0)) / 1000,
            update_count=update_count,
            more=0 < limit < len(rows),
        )

    def _start(self, sql: str, database: str | None) -> str:
        from botocore.exceptions import ClientError

        request: dict[str, Any] = {"QueryString": sql, "WorkGroup": self.workgroup}
        if database:
            request["QueryExecutionContext"] = {"Database": database}
        try:
            return str(self.client.start_query_execution(**request)["QueryExecutionId"])
        except ClientError as error:
            answer = error.response.get("Error", {})
            text = str(answer.get("Message", error))
            hint = ""
            if "workgroup" in text.lower() and "not found" in text.lower():
                hint = f"`invoke seed` creates the workgroup {self.workgroup}."
            elif error.response.get("AthenaErrorCode") == "MALFORMED_QUERY":
                hint = HINTS["SYNTAX_ERROR"]
            raise LakeError(
                f"Athena did not start `{first_line(sql)}`: {text}",
                code=str(answer.get("Code", "")),
                hint=hint,
            ) from error

    def _wait(self, query_id: str) -> dict[str, Any]:
        pause = FIRST_POLL_SECONDS
        while True:
            execution: dict[str, Any] = self.client.get_query_execution(QueryExecutionId=query_id)[
                "QueryExecution"
            ]
            if execution["Status"]["State"] not in ("QUEUED", "RUNNING"):
                return execution
            self._sleep(pause)
            pause = min(pause * POLL_GROWTH, LAST_POLL_SECONDS)

    def _cancel(self, query_id: str) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self.client.stop_query_execution(QueryExecutionId=query_id)
        except (BotoCoreError, ClientError):
            return  # the reason why we are stopping is already on its way up, and says more

    def _pages(self, query_id: str) -> Iterator[dict[str, Any]]:
        token: str | None = None
        while True:
            page = self.client.get_query_results(
                QueryExecutionId=query_id, **({"NextToken": token} if token else {})
            )
            yield page
            token = page.get("NextToken")
            if not token:
                return

    def _results(
        self, query_id: str, *, skip_header: bool, limit: int
    ) -> tuple[tuple[str, ...], tuple[str, ...], list[tuple[str | None, ...]], int | None]:
        columns: tuple[str, ...] = ()
        types: tuple[str, ...] = ()
        rows: list[tuple[str | None, ...]] = []
        update_count: int | None = None
        for number, page in enumerate(self._pages(query_id)):
            found = page["ResultSet"]
            if number == 0:
                described = found.get("ResultSetMetadata", {}).get("ColumnInfo", [])
                columns = tuple(column["Name"] for column in described)
                types = tuple(column["Type"] for column in described)
                update_count = page.get("UpdateCount")
            for row in found.get("Rows", [])[1 if number == 0 and skip_header else 0 :]:
                rows.append(tuple(value.get("VarCharValue") for value in row.get("Data", [])))
            if 0 < limit < len(rows):
                break
        return columns, types, rows, update_count


def _has_header(execution: dict[str, Any]) -> bool:
    """Athena repeats the column names as the first row of a DML statement's answer, but not of an EXPLAIN's."""
    return execution.get("StatementType") == "DML" and execution.get("SubstatementType") != "EXPLAIN"


def first_line(sql: str) -> str:
    """Return the first line of a statement that says something (dbt and others begin with a comment)."""
    lines = [line.strip() for line in sql.splitlines()]
    telling = [line for line in lines if line and not line.startswith("--")]
    return (telling or lines or [""])[0][:120]


def refusal(status: dict[str, Any], sql: str) -> LakeError:
    """Return the error that a FAILED or CANCELLED execution's status amounts to."""
    reason = str(
        status.get("StateChangeReason")
        or status.get("AthenaError", {}).get("ErrorMessage")
        or f"the query was {status['State'].lower()}"
    )
    matched = _CODE.match(reason)
    code = matched.group(1) if matched and matched.group(1) not in _NO_CODE else ""
    return LakeError(f"{reason}\n  in: {first_line(sql)}", code=code, hint=HINTS.get(code, ""))
