"""Athena's queries on the wire: start, stop, watch, list, and read results a page at a time."""

from __future__ import annotations

from typing import Any

from athena_local.config import CATALOG_NAME, MAX_QUERY_BYTES
from athena_local.protocol.athena_workgroups import AthenaWorkgroupService
from athena_local.protocol.wire import (
    Record,
    ServiceError,
    decode_token,
    encode_token,
    operation,
    required,
    without,
)
from athena_local.queries.executor import Executor, Submission
from athena_local.queries.history import FINAL_STATES, History, TokenReusedError
from athena_local.queries.results import ResultStore, StoredResult

INVALID = "InvalidRequestException"
MAX_RESULT_ROWS = 1000  # the header row included
MAX_LISTED = 50
MAX_BATCH = 50

_NO_LOCATION = (
    "No output location provided. An output location is required either through the Workgroup"
    " result configuration setting or as an API input."
)


class AthenaQueryService:
    def __init__(
        self, executor: Executor, history: History, results: ResultStore, workgroups: AthenaWorkgroupService
    ) -> None:
        self._executor, self._history, self._results = executor, history, results
        self._workgroups = workgroups

    @operation("StartQueryExecution")
    def start_query_execution(self, request: Record) -> Record:
        sql = required(request, "QueryString")
        if not sql.strip():
            raise ServiceError(INVALID, "Query string must not be empty", AthenaErrorCode="MALFORMED_QUERY")
        if len(sql.encode()) > MAX_QUERY_BYTES:
            raise ServiceError(
                INVALID,
                "1 validation error detected: Value at 'queryString' failed to satisfy constraint:"
                f" Member must have length less than or equal to {MAX_QUERY_BYTES}",
            )
        context = request.get("QueryExecutionContext") or {}
        catalog = context.get("Catalog")
        if catalog and catalog.lower() != CATALOG_NAME.lower():
            raise ServiceError(INVALID, f"Catalog '{catalog}' does not exist; there is {CATALOG_NAME} only.")
        workgroup = self._workgroups.enabled(request.get("WorkGroup") or "primary")
        configuration = workgroup["Configuration"]
        submission = Submission(
            sql,
            workgroup["Name"],
            _output_location(request, configuration),
            context.get("Database"),
            catalog,
            tuple(request.get("ExecutionParameters") or ()),
            configuration.get("BytesScannedCutoffPerQuery"),
            without(_result_configuration(request, configuration), ["OutputLocation"]),
        )
        try:
            query_id = self._executor.submit(submission, request.get("ClientRequestToken"))
        except TokenReusedError as cause:
            raise ServiceError(INVALID, "Idempotent parameters do not match") from cause
        return {"QueryExecutionId": query_id}

    @operation("StopQueryExecution")
    def stop_query_execution(self, request: Record) -> Record:
        self._record(required(request, "QueryExecutionId"))
        self._executor.stop(request["QueryExecutionId"])
        return {}

    @operation("GetQueryExecution")
    def get_query_execution(self, request: Record) -> Record:
        return {"QueryExecution": _public(self._record(required(request, "QueryExecutionId")))}

    @operation("BatchGetQueryExecution")
    def batch_get_query_execution(self, request: Record) -> Record:
        ids = required(request, "QueryExecutionIds")
        if not 1 <= len(ids) <= MAX_BATCH:
            raise ServiceError(INVALID, f"QueryExecutionIds must hold 1 to {MAX_BATCH} ids.")
        found: list[Record] = []
        missing: list[Record] = []
        for query_id in ids:
            record = self._history.get(query_id)
            if record is not None:
                found.append(_public(record))
            else:
                message = f"QueryExecution {query_id} was not found"
                missing.append(
                    {"QueryExecutionId": query_id, "ErrorCode": "INVALID_INPUT", "ErrorMessage": message}
                )
        return {"QueryExecutions": found, "UnprocessedQueryExecutionIds": missing}

    @operation("ListQueryExecutions")
    def list_query_executions(self, request: Record) -> Record:
        workgroup = self._workgroups.get(request.get("WorkGroup") or "primary")["Name"]
        size = _page_size(request, MAX_LISTED)
        token = request.get("NextToken")
        before = decode_token(token, INVALID) if token else None
        found = self._history.ids(workgroup, before, size + 1)
        more = {"NextToken": encode_token(found[size - 1][0])} if len(found) > size else {}
        return {"QueryExecutionIds": [query_id for _, query_id in found[:size]], **more}

    @operation("GetQueryResults")
    def get_query_results(self, request: Record) -> Record:
        """Answer a page of rows; its first row is the header when the statement has rows (SELECT, EXPLAIN)."""
        record = self._record(required(request, "QueryExecutionId"))
        size = _page_size(request, MAX_RESULT_ROWS)
        state = record["Status"]["State"]
        if state not in FINAL_STATES:
            raise ServiceError(INVALID, f"Query has not yet finished. Current state: {state}")
        if state != "SUCCEEDED":
            raise ServiceError(INVALID, f"Query did not finish successfully. Final query state: {state}")
        stored = StoredResult(**record["Local"]["Result"])
        token = request.get("NextToken")
        offset = decode_token(token, INVALID) if token else 0
        location = record["ResultConfiguration"]["OutputLocation"]
        rows, following = self._results.page(request["QueryExecutionId"], location, stored, offset, size)
        result_set = {
            "Rows": [{"Data": [_datum(value) for value in row]} for row in rows],
            "ResultSetMetadata": {"ColumnInfo": stored.columns},
        }
        more = {"NextToken": encode_token(following)} if following is not None else {}
        return {"UpdateCount": stored.update_count, "ResultSet": result_set, **more}

    @operation("GetQueryRuntimeStatistics")
    def get_query_runtime_statistics(self, request: Record) -> Record:
        record = self._record(required(request, "QueryExecutionId"))
        statistics, local = record["Statistics"], record["Local"]
        result = local.get("Result", {})
        timeline = {
            name: value
            for name, value in statistics.items()
            if name.endswith("TimeInMillis") and isinstance(value, int)
        }
        rows = {
            "InputRows": local.get("RowsScanned", 0),
            "InputBytes": statistics.get("DataScannedInBytes", 0),
            "OutputRows": result.get("output_rows", 0),
            "OutputBytes": result.get("size_bytes", 0),
        }
        return {"QueryRuntimeStatistics": {"Timeline": timeline, "Rows": rows}}

    def _record(self, query_id: str) -> Record:
        record = self._history.get(query_id)
        if record is None:
            raise ServiceError(
                INVALID, f"QueryExecution {query_id} was not found", AthenaErrorCode="INVALID_INPUT"
            )
        return record


def _result_configuration(request: Record, configuration: Record) -> Record:
    """Return whose result settings hold: the workgroup's when it enforces them or the request has none."""
    own: Record = configuration.get("ResultConfiguration") or {}
    if configuration.get("EnforceWorkGroupConfiguration") and own.get("OutputLocation"):
        return own
    asked: Record = request.get("ResultConfiguration") or {}
    return asked if asked.get("OutputLocation") else {**own, **asked}


def _output_location(request: Record, configuration: Record) -> str:
    location = _result_configuration(request, configuration).get("OutputLocation")
    if not location:
        raise ServiceError(INVALID, _NO_LOCATION)
    if not location.startswith("s3://") or not location[5:].strip("/"):
        raise ServiceError(INVALID, f"outputLocation is not a valid S3 path: {location}")
    return str(location).rstrip("/") + "/"


def _page_size(request: Record, maximum: int) -> int:
    size = request.get("MaxResults")
    if size is None:
        return maximum
    if not 1 <= size <= maximum:
        raise ServiceError(INVALID, f"MaxResults is more than maximum allowed length {maximum} or below 1.")
    return int(size)


def _public(record: Record) -> Record:
    return without(record, ["Local"])


def _datum(value: str | None) -> dict[str, Any]:
    return {} if value is None else {"VarCharValue": value}
