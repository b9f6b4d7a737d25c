"""What a dbt run did and cost, a model: rows written, seconds, bytes scanned by every statement it sent.

dbt's own figure for an incremental model is that of its MERGE alone; the temporary table before it, which reads the
source, is left out. So the bytes are summed from Athena's query history: each statement is headed by a comment naming
run and node (the macro query_comment_with_invocation).
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from penstock.connections import Connections
from penstock.transform.dbt import DbtRun, NodeResult

HISTORY_BATCH = 50  # BatchGetQueryExecution's own limit
HISTORY_SLACK = timedelta(seconds=60)  # clocks here and in AWS may differ by so much

_HEADER = re.compile(r"^-- /\* (\{.*?\}) \*/")


@dataclass(frozen=True)
class NodeReport:
    """One node.

    rows: those a model wrote (0: nothing new; None: a view), those that failed a test. bytes_scanned: None off Athena.
    """

    name: str
    resource_type: str
    status: str
    rows: int | None
    seconds: float
    bytes_scanned: int | None


@dataclass(frozen=True)
class SideReport:
    """One side's run, its nodes in the order they ended. `notice` says what about the figures is not as it should be."""

    side: str
    seconds: float
    nodes: tuple[NodeReport, ...]
    notice: str = ""

    @property
    def models(self) -> tuple[NodeReport, ...]:
        return tuple(
            node for node in self.nodes if node.resource_type in ("model", "seed", "snapshot", "function")
        )

    @property
    def tests(self) -> tuple[NodeReport, ...]:
        """Data tests and unit tests."""
        return tuple(node for node in self.nodes if node.resource_type in ("test", "unit_test"))

    @property
    def rows(self) -> int:
        return sum(node.rows or 0 for node in self.models)

    @property
    def bytes_scanned(self) -> int:
        return sum(node.bytes_scanned or 0 for node in self.nodes)


def report(run: DbtRun, scanned: dict[str, int] | None = None, notice: str = "") -> SideReport:
    """Return the report of a run; `scanned` holds the bytes by node id, where Athena's history told them."""
    return SideReport(
        run.side.value, run.seconds, tuple(_node_report(node, scanned) for node in run.nodes), notice
    )


def lake_report(connections: Connections, run: DbtRun) -> SideReport:
    """Return the report of a run on Athena. A build that is done does not fail for want of its bill: the notice says so."""
    from botocore.exceptions import ClientError

    try:
        return report(run, bytes_scanned(connections, run))
    except ClientError as error:
        why = error.response.get("Error", {}).get("Code", "no reason given")
        return report(
            run, notice=f"Athena's history cannot be read ({why}); bytes are of each last statement alone"
        )


def _node_report(node: NodeResult, scanned: dict[str, int] | None) -> NodeReport:
    is_test = node.resource_type in ("test", "unit_test")
    return NodeReport(
        name=node.name,
        resource_type=node.resource_type,
        status=node.status,
        rows=node.failures if is_test else node.rows,
        seconds=node.seconds,
        bytes_scanned=node.bytes_scanned if scanned is None else scanned.get(node.unique_id, 0),
    )


def bytes_scanned(connections: Connections, run: DbtRun, *, client: Any = None) -> dict[str, int]:
    """Return the bytes scanned a node id, of all statements that the run sent.

    Raises: botocore's ClientError when the history cannot be read.
    """
    athena = client if client is not None else connections.client("athena")
    since = datetime.now(UTC) - timedelta(seconds=run.seconds) - HISTORY_SLACK
    totals: dict[str, int] = defaultdict(int)
    for execution in history(athena, connections.environment.workgroup, since):
        header = _HEADER.match(execution.get("Query", ""))
        if header is None:
            continue
        sender = json.loads(header.group(1))
        if sender.get("invocation_id") == run.invocation_id and "node_id" in sender:
            totals[sender["node_id"]] += int(execution.get("Statistics", {}).get("DataScannedInBytes", 0))
    return dict(totals)


def history(athena: Any, workgroup: str, since: datetime) -> Iterator[dict[str, Any]]:
    """Yield a workgroup's executions as Athena describes them, newest first, until one was submitted before `since`."""
    token: str | None = None
    while True:
        page = athena.list_query_executions(
            WorkGroup=workgroup, MaxResults=HISTORY_BATCH, **({"NextToken": token} if token else {})
        )
        ids = page.get("QueryExecutionIds", [])
        if not ids:
            return
        told = athena.batch_get_query_execution(QueryExecutionIds=ids)["QueryExecutions"]
        by_id = {execution["QueryExecutionId"]: execution for execution in told}
        for query_id in ids:
            execution = by_id.get(query_id)
            if execution is None:
                continue
            if execution["Status"]["SubmissionDateTime"] < since:
                return
            yield execution
        token = page.get("NextToken")
        if not token:
            return
