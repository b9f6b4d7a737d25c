"""Athena's queries on the wire: start, stop, watch, list, and read results a page at a time."""

from __future__ import annotations

import time
from typing import Any

from athena_local.config import MAX_QUERY_BYTES
from athena_local.protocol.athena_catalog import AthenaCatalogService
from athena_local.protocol.athena_errors import MAX_LISTED, invalid, malformed_token
from athena_local.protocol.athena_workgroups import AthenaWorkgroupService, check_encryption
from athena_local.protocol.wire import Record, ServiceError, decode_token, encode_token, operation, without
from athena_local.queries.admission import RefusedError
from athena_local.queries.executor import Executor, Submission
from athena_local.queries.history import FINAL_STATES, History, TokenReusedError
from athena_local.queries.results import ResultStore, StoredResult

MAX_RESULT_ROWS = 1000  # the header row included
MAX_TOKEN_BYTES = 128

_NO_LOCATION = (
    "No output location provided. An output location is required either through the Workgroup"
    " result configuration setting or as an API input."
)


class AthenaQueryService:
    def __init__(
        self,
        executor: Executor,
        history: History,
        results: ResultStore,
        workgroups: AthenaWorkgroupService,
        catalogs: AthenaCatalogService,
    ) -> None:
        self._executor, self._history, self._results = executor, history, results
        self._workgroups, self._catalogs = workgroups, catalogs

    @operation("StartQueryExecution")
    def start_query_execution(self, request: Record) -> Record:
        """Refuse in Athena's order: the token, the workgroup, the location, the statement, another request's token."""
        token = request.get("ClientRequestToken")
        if token is None:
            raise invalid("clientRequestToken is null or empty")
        if len(token.encode()) > MAX_TOKEN_BYTES:
            raise invalid(f"clientRequestToken exceeds maximum allowed length {MAX_TOKEN_BYTES}")
        sql = request["QueryString"]
        if len(sql.encode()) > MAX_QUERY_BYTES:
            raise invalid(
                "1 validation error detected: Value at 'queryString' failed to satisfy constraint:"
                f" Member must have length less than or equal to {MAX_QUERY_BYTES}"
            )
        workgroup = self._workgroups.enabled(request.get("WorkGroup") or "primary")
        submission = self._submission(request, workgroup)
        try:
            query_id = self._executor.submit(submission, token)
        except TokenReusedError as cause:
            raise invalid("Idempotent parameters do not match", "IDEMPOTENT_PARAMETER_MISMATCH") from cause
        except RefusedError as cause:
            raise invalid(str(cause), cause.code) from cause
        return {"QueryExecutionId": query_id}

    def _submission(self, request: Record, workgroup: Record) -> Submission:
        configuration = workgroup["Configuration"]
        settings = _result_settings(request, configuration)
        check_encryption(settings)
        location = self._output_location(settings)
        context = request.get("QueryExecutionContext") or {}
        reuse = (request.get("ResultReuseConfiguration") or {}).get("ResultReuseByAgeConfiguration") or {}
        return Submission(
            request["QueryString"],
            workgroup["Name"],
            location,
            (context.get("Database") or "").strip("`") or None,  # awswrangler quotes it so for DDL
            context.get("Catalog"),
            tuple(request.get("ExecutionParameters") or ()),
            configuration.get("BytesScannedCutoffPerQuery"),
            without(settings, ["OutputLocation"]),
            location_enforced=_enforces_location(configuration),
            catalog_known=self._catalogs.is_own(context.get("Catalog")),
            reuse=reuse,
        )

    def _output_location(self, settings: Record) -> str:
        """Return where results go, ending in '/'. Raises ServiceError when that is no place, or there is none."""
        location = settings.get("OutputLocation")
        if not location:
            raise invalid(_NO_LOCATION)
        bucket = location.removeprefix("s3://").split("/")[0]
        if not location.startswith("s3://") or not bucket:
            raise invalid("outputLocation is not a valid S3 path.")
        if not self._results.has_bucket(bucket):
            raise invalid(f"Unable to verify/create output bucket {bucket}")
        return str(location).rstrip("/") + "/"

    @operation("StopQueryExecution")
    def stop_query_execution(self, request: Record) -> Record:
        self._record(request["QueryExecutionId"])
        self._executor.stop(request["QueryExecutionId"])
        return {}

    @operation("GetQueryExecution")
    def get_query_execution(self, request: Record) -> Record:
        return {"QueryExecution": _public(self._record(request["QueryExecutionId"]))}

    @operation("BatchGetQueryExecution")
    def batch_get_query_execution(self, request: Record) -> Record:
        found: list[Record] = []
        missing: list[Record] = []
        for query_id in request["QueryExecutionIds"]:
            record = self._history.get(query_id)
            if record is not None:
                found.append(_public(record))
            else:
                missing.append(
                    {
                        "QueryExecutionId": query_id,
                        "ErrorCode": "QUERY_EXECUTION_NOT_FOUND",
                        "ErrorMessage": f"QueryExecution {query_id} was not found",
                    }
                )
        return {"QueryExecutions": found, "UnprocessedQueryExecutionIds": missing}

    @operation("ListQueryExecutions")
    def list_query_executions(self, request: Record) -> Record:
        workgroup = self._workgroups.get(request.get("WorkGroup") or "primary")["Name"]
        size = request.get("MaxResults") or MAX_LISTED
        token = request.get("NextToken")
        before = decode_token(token, malformed_token) if token else None
        if before is not None and not isinstance(before, int):
            raise malformed_token(str(token))
        found = self._history.ids(workgroup, before, size + 1)
        more = {"NextToken": encode_token(found[size - 1][0])} if len(found) > size else {}
        return {"QueryExecutionIds": [query_id for _, query_id in found[:size]], **more}

    @operation("GetQueryResults")
    def get_query_results(self, request: Record) -> Record:
        """Answer a page of rows; its first row is the header when the statement has rows (SELECT, EXPLAIN).

        A page that is full has a token, even when nothing follows.
        """
        record = self._record(request["QueryExecutionId"])
        size = request.get("MaxResults") or MAX_RESULT_ROWS
        if size > MAX_RESULT_ROWS:
            raise invalid(f"MaxResults is more than maximum allowed length {MAX_RESULT_ROWS}")
        if _failed_before_the_engine(record):
            return {"ResultSet": {"Rows": []}}
        _require_results(record)
        stored = StoredResult(**record["Local"]["Result"])
        try:
            if request.get("QueryResultType") == "DATA_MANIFEST":
                return self._manifest(record["QueryExecutionId"], stored, request.get("NextToken"), size)
            return self._rows(record, stored, request.get("NextToken"), size)
        except FileNotFoundError as cause:
            raise invalid("Could not find results", "RESULT_NOT_FOUND") from cause

    def _rows(self, record: Record, stored: StoredResult, token: str | None, size: int) -> Record:
        offset = _offset(token, record["QueryExecutionId"], stored.size_bytes)
        source = record["Local"].get("ReusedFrom") or record["QueryExecutionId"]
        location = record["ResultConfiguration"]["OutputLocation"]
        rows, following = self._results.page(source, location, stored, offset, size)
        answer: Record = {
            "ResultSet": {
                "Rows": [{"Data": [_datum(value) for value in row]} for row in rows],
                "ResultSetMetadata": {"ColumnInfo": stored.columns},
            }
        }
        if stored.update_count is not None:
            answer["UpdateCount"] = stored.update_count
        if len(rows) == size:
            answer["NextToken"] = encode_token([record["QueryExecutionId"], following or stored.size_bytes])
        return answer

    def _manifest(self, query_id: str, stored: StoredResult, token: str | None, size: int) -> Record:
        """Answer a page of the manifest: the files that a CTAS, INSERT or UNLOAD wrote, one a row."""
        if stored.manifest_location is None:
            raise invalid("The query has no data manifest: only CTAS, INSERT and UNLOAD of rows write one.")
        paths = self._results.manifest(stored.manifest_location)
        start = _offset(token, query_id, len(paths))
        rows = paths[start : start + size]
        more = {"NextToken": encode_token([query_id, start + size])} if start + size < len(paths) else {}
        return {"ResultSet": {"Rows": [{"Data": [_datum(path)]} for path in rows]}, **more}

    @operation("GetQueryRuntimeStatistics")
    def get_query_runtime_statistics(self, request: Record) -> Record:
        record = _public(history := self._record(request["QueryExecutionId"]))
        statistics, local = record["Statistics"], history["Local"]
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
        answer: Record = {"Timeline": timeline, "Rows": rows}
        if history["Status"]["State"] == "SUCCEEDED" and history["StatementType"] != "UTILITY":
            answer["OutputStage"] = _output_stage(rows, timeline)
        return {"QueryRuntimeStatistics": answer}

    def _record(self, query_id: str) -> Record:
        record = self._history.get(query_id)
        if record is None:
            raise invalid(f"QueryExecution {query_id} was not found", "QUERY_EXECUTION_NOT_FOUND")
        return record


def _enforces_location(configuration: Record) -> bool:
    own = configuration.get("ResultConfiguration") or {}
    return bool(configuration.get("EnforceWorkGroupConfiguration") and own.get("OutputLocation"))


def _result_settings(request: Record, configuration: Record) -> Record:
    """Return whose result settings hold: the workgroup's when it enforces them or the request has none."""
    own: Record = configuration.get("ResultConfiguration") or {}
    if _enforces_location(configuration):
        return own
    asked: Record = request.get("ResultConfiguration") or {}
    return asked if asked.get("OutputLocation") else {**own, **asked}


def _require_results(record: Record) -> None:
    state = record["Status"]["State"]
    if state not in FINAL_STATES:
        raise invalid(f"Query has not yet finished. Current state: {state}", "INVALID_QUERY_EXECUTION_STATE")
    if state == "CANCELLED":
        raise invalid("Could not find results", "RESULT_NOT_FOUND")
    if state != "SUCCEEDED":
        raise invalid(
            f"Query did not finish successfully. Final query state: {state}", "INVALID_QUERY_EXECUTION_STATE"
        )


def _failed_before_the_engine(record: Record) -> bool:
    """Whether a DDL or UTILITY statement failed: its text file holds the reason, and its result is empty."""
    return record["Status"]["State"] == "FAILED" and bool(record["Local"].get("FailureStored"))


def _offset(token: str | None, query_id: str, size_bytes: int) -> int:
    if not token:
        return 0

    def malformed(token: str) -> ServiceError:
        return invalid(f"Malformed nextPageToken {token}")

    decoded = decode_token(token, malformed)
    match decoded:
        case [str() as owner, int() as offset] if owner == query_id and 0 <= offset <= size_bytes:
            return offset
    raise malformed(token)


def _public(record: Record) -> Record:
    """Return a record as the wire shows it: the clock of an unfinished query runs."""
    shown = without(record, ["Local"])
    if record["Status"]["State"] not in FINAL_STATES:
        passed = round((time.time() - record["Status"]["SubmissionDateTime"]) * 1000)
        shown["Statistics"] = {**record["Statistics"], "TotalExecutionTimeInMillis": max(0, passed)}
    return shown


def _output_stage(rows: Record, timeline: Record) -> Record:
    """The plan as one stage: what the engine did inside is not told apart."""
    return {
        "StageId": 0,
        "State": "FINISHED",
        **rows,
        "ExecutionTime": timeline.get("EngineExecutionTimeInMillis", 0),
        "QueryStagePlan": {"Name": "Output", "Identifier": "[]", "Children": [], "RemoteSources": []},
        "SubStages": [],
    }


def _datum(value: str | None) -> dict[str, Any]:
    return {} if value is None else {"VarCharValue": value}
