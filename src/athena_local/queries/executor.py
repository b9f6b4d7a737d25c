"""Runs queries: a few at a time, the rest queued, each ending SUCCEEDED, FAILED or CANCELLED with its reason.

Whatever escapes a statement that is not a QueryError is a defect of this package: the query fails with
GENERIC_INTERNAL_ERROR, the traceback goes to the log, and the server lives on.
"""

from __future__ import annotations

import errno
import logging
import math
import threading
import time
import uuid
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from athena_local.config import DEFAULT_DATABASE, ENGINE_VERSION
from athena_local.context import Cancellation, QueryContext, Statistics
from athena_local.errors import OTHER, SYSTEM, QueryCancelledError, QueryError
from athena_local.objects import StorageError
from athena_local.queries import reuse
from athena_local.queries.admission import admit, require_catalog
from athena_local.queries.history import History, Record
from athena_local.queries.leftovers import told
from athena_local.queries.results import ResultStore, StoredResult, Target, put_options, result_location

if TYPE_CHECKING:
    from athena_local.catalog import Catalog
    from athena_local.config import Config
    from athena_local.context import PreparedStatements
    from athena_local.objects import ObjectStore

log = logging.getLogger(__name__)

CUTOFF_REASON = "Query cancelled! : Bytes scanned limit was exceeded"
STOPPED_REASON = "Query cancelled by user"
SHUTDOWN_REASON = "Query cancelled: the server is stopping"
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES}
_DML_WORDS = ("select", "with", "insert", "merge", "update", "delete", "values", "table", "(")


@dataclass(frozen=True)
class Submission:
    """A StartQueryExecution that passed the protocol's checks. `output_location` ends in '/'.

    `reuse` is the request's ResultReuseByAgeConfiguration; `catalog_known` is False for a catalog that is not here.
    """

    sql: str
    workgroup: str
    output_location: str
    database: str | None = None
    catalog: str | None = None
    parameters: tuple[str, ...] = ()
    cutoff_bytes: int | None = None
    result_configuration: Record = field(default_factory=dict)
    location_enforced: bool = False
    catalog_known: bool = True
    reuse: Record = field(default_factory=dict)

    def identity(self) -> Record:
        """Return what a second request with the same ClientRequestToken must repeat: parameters and workgroup need not."""
        return {
            "sql": self.sql,
            "catalog": self.catalog,
            "database": self.database,
            "output_location": self.output_location,
        }


@dataclass
class _Query:
    """A query that has not ended. `statement` is None when `failure` says why it has none."""

    submission: Submission
    record: Record
    statement: Any
    failure: Exception | None
    cancellation: Cancellation = field(default_factory=Cancellation)
    cancel_reason: str = STOPPED_REASON
    lock: threading.Lock = field(default_factory=threading.Lock)


class Executor:
    """Thread-safe; one a server."""

    def __init__(
        self,
        config: Config,
        catalog: Catalog,
        objects: ObjectStore,
        history: History,
        results: ResultStore,
        prepared: PreparedStatements,
    ) -> None:
        self._config, self._catalog, self._objects = config, catalog, objects
        self._history, self._results, self._prepared = history, results, prepared
        self._pool = ThreadPoolExecutor(config.max_running_queries, thread_name_prefix="query")
        self._live: dict[str, _Query] = {}
        self._futures: set[Any] = set()
        self._lock = threading.Lock()

    def submit(self, submission: Submission, token: str | None = None) -> str:
        """Queue a query and return its id; the same token and submission return the first one's.

        Raises RefusedError for what Athena does not start, TokenReusedError for the token of another request.
        """
        received = time.time()
        statement, failure = _parse(submission.sql)
        admit(
            statement,
            failure,
            self._catalog,
            submission.database,
            location_enforced=submission.location_enforced,
        )
        reported = self._reported(statement, submission)
        record = _new_record(submission, reported, received)
        key = reuse.key_of(submission, reported, self._prepared_text(statement, submission))
        earlier = reuse.find(self._history, self._results, submission, key, received)
        if earlier is not None:
            reuse.answer(record, earlier)
            key = None
        query_id = self._history.add(record, submission.identity(), token, key)
        if query_id != record["QueryExecutionId"] or earlier is not None:
            return query_id
        query = _Query(submission, record, statement, failure)
        with self._lock:
            self._live[query_id] = query
            future = self._pool.submit(self._run, query)
            self._futures.add(future)
        future.add_done_callback(self._forget)
        return query_id

    def _reported(self, statement: Any, submission: Submission) -> Any:
        """Return the statement whose kind is told: of EXECUTE, what it runs; an unknown name fails when it runs."""
        from athena_local.statements.prepared import executed

        try:
            return executed(statement, submission.workgroup, self._prepared)
        except QueryError:
            return statement

    def _prepared_text(self, statement: Any, submission: Submission) -> str | None:
        """Return what an EXECUTE runs as it was prepared, so that preparing it anew makes it another query."""
        if statement is None or statement.substatement_type != "EXECUTE":
            return None
        return self._prepared.get(submission.workgroup, statement.name)

    def stop(self, query_id: str, reason: str = STOPPED_REASON) -> None:
        """Ask a query to stop; one that waits in the queue ends at once, one that has ended stays as it is."""
        query = self._live.get(query_id)
        if query is None:
            return
        query.cancel_reason = reason
        query.cancellation.request()
        with query.lock:
            if query.record["Status"]["State"] == "QUEUED":
                self._end(query, "CANCELLED", reason)

    @property
    def idle(self) -> bool:
        with self._lock:
            return not self._futures

    def close(self, timeout_seconds: float = 10.0) -> bool:
        """Cancel everything and wait; False when something is still running after the timeout."""
        for query_id in list(self._live):
            self.stop(query_id, SHUTDOWN_REASON)
        self._pool.shutdown(wait=False, cancel_futures=True)
        return not wait(list(self._futures), timeout_seconds).not_done

    def _forget(self, future: Any) -> None:
        with self._lock:
            self._futures.discard(future)
        if not future.cancelled() and future.exception() is not None:
            log.error("a query could not be recorded", exc_info=future.exception())

    def _run(self, query: _Query) -> None:
        record, status = query.record, query.record["Status"]
        with query.lock:
            if status["State"] != "QUEUED":
                return
            status["State"] = "RUNNING"
            record["Local"]["Started"] = time.time()
            self._history.save(record)
        context = self._context(query)
        state, reason, stored, error = "SUCCEEDED", "", StoredResult(), None
        try:
            stored = self._execute(query, context)
        except QueryCancelledError:
            state = "CANCELLED"
        except QueryError as raised:
            state, reason, error = "FAILED", str(raised), raised
        except Exception as raised:
            state, error = "FAILED", _internal_error(raised, record["QueryExecutionId"])
            reason = str(error)
        if context.statistics.over_cutoff and (state != "SUCCEEDED" or stored.manifest_location is None):
            state, error, reason = "CANCELLED", None, CUTOFF_REASON
        elif query.cancellation.requested and state != "SUCCEEDED":
            state, error, reason = "CANCELLED", None, query.cancel_reason
        _fill_statistics(record, context.statistics, stored)
        if error is not None:
            self._store_failure(query, error)
        with query.lock:
            self._end(query, state, reason, error)

    def _context(self, query: _Query) -> QueryContext:
        submission = query.submission
        statistics = Statistics(cutoff_bytes=submission.cutoff_bytes, on_cutoff=query.cancellation.request)
        return QueryContext(
            query.record["QueryExecutionId"],
            self._config,
            self._catalog,
            self._objects.cancelled_by(query.cancellation),
            (submission.database or DEFAULT_DATABASE).lower(),
            submission.output_location,
            statistics,
            query.cancellation,
            submission.parameters,
            submission.workgroup,
            self._prepared,
        )

    def _execute(self, query: _Query, context: QueryContext) -> StoredResult:
        from athena_local.statements import execute

        if query.failure is not None:
            raise query.failure
        if not query.submission.catalog_known:
            require_catalog(query.statement, query.submission.catalog or "")
        try:
            result = execute(query.statement, context)
        except QueryError as error:
            kind = query.record.get("SubstatementType", "")
            raise told(error, kind, context.output_location, context.query_id) from error
        local = query.record["Local"]
        if result.batches is None:
            local["Executed"] = time.time()
        else:
            local["Planned"] = time.time()
            result.batches = _timed(result.batches, query.record)
        try:
            return self._results.store(_target(query.record), result, context.objects)
        finally:
            if isinstance(result.batches, Generator):
                result.batches.close()

    def _store_failure(self, query: _Query, error: QueryError) -> None:
        """Leave the reason as the text of a DDL or UTILITY statement; what the engine refuses leaves nothing."""
        target = _target(query.record)
        if not target.is_text or target.substatement_type == "EXPLAIN" or not error.code:
            return
        try:
            self._results.store_failure(target, str(error))
        except StorageError as cause:
            log.warning("query=%s its reason could not be stored: %s", target.query_id, cause)
        else:
            query.record["Local"]["FailureStored"] = True

    def _end(self, query: _Query, state: str, reason: str, error: QueryError | None = None) -> None:
        record, now = query.record, time.time()
        status = record["Status"]
        status.update(State=state, CompletionDateTime=round(now, 3))
        if reason:
            status["StateChangeReason"] = reason
        if error is not None:
            status["AthenaError"] = {
                "ErrorCategory": error.category,
                "ErrorType": error.error_type,
                "Retryable": error.retryable,
                "ErrorMessage": str(error),
            }
        _fill_timings(record, now)
        self._history.save(record)
        self._live.pop(record["QueryExecutionId"], None)


def _timed(batches: Iterator[Any], record: Record) -> Generator[Any, None, None]:
    """Pass a stream on, and note when it ended: until then the engine worked, what follows is the service's time."""
    try:
        yield from batches
    finally:
        record["Local"]["Executed"] = time.time()
        if isinstance(batches, Generator):
            batches.close()


def _parse(sql: str) -> tuple[Any, Exception | None]:
    """Return (statement, None), or (None, why there is none): such a query gets an id and fails, as any other."""
    from athena_local.sql import parse_statement

    try:
        return parse_statement(sql), None
    except Exception as raised:
        return None, raised


def _target(record: Record) -> Target:
    configuration = record["ResultConfiguration"]
    return Target(
        record["QueryExecutionId"],
        configuration["OutputLocation"],
        record["StatementType"],
        record.get("SubstatementType", ""),
        put_options(configuration),
    )


def _new_record(submission: Submission, statement: Any, received: float) -> Record:
    query_id = str(uuid.uuid4())
    if statement is None:
        is_dml = submission.sql.lstrip().lower().startswith(_DML_WORDS)
        kind, subkind = ("DML", "SELECT") if is_dml else ("DDL", "")
    else:
        kind, subkind = statement.statement_type, statement.substatement_type
    location = result_location(submission.output_location, query_id, kind, subkind)
    # Athena folds the catalog's name and repeats the database's as it came
    catalog = submission.catalog.lower() if submission.catalog else None
    context = {"Database": submission.database, "Catalog": catalog}
    record: Record = {
        "QueryExecutionId": query_id,
        "Query": submission.sql,
        "StatementType": kind,
        "ResultConfiguration": {**submission.result_configuration, "OutputLocation": location},
        "ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": submission.reuse or {"Enabled": False}},
        "QueryExecutionContext": {key: value for key, value in context.items() if value},
        "Status": {"State": "QUEUED", "SubmissionDateTime": round(received, 3)},
        "Statistics": {},
        "WorkGroup": submission.workgroup,
        "EngineVersion": {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": ENGINE_VERSION},
        "Local": {"Queued": time.time()},
    }
    if subkind:
        record["SubstatementType"] = subkind
    if submission.parameters:
        record["ExecutionParameters"] = list(submission.parameters)
    return record


def _fill_statistics(record: Record, statistics: Statistics, stored: StoredResult) -> None:
    record["Statistics"]["DataScannedInBytes"] = statistics.bytes_scanned
    if stored.manifest_location:
        record["Statistics"]["DataManifestLocation"] = stored.manifest_location
    record["Local"]["RowsScanned"] = statistics.rows_scanned
    record["Local"]["Result"] = asdict(stored)


def _fill_timings(record: Record, ended: float) -> None:
    submitted, local = record["Status"]["SubmissionDateTime"], record["Local"]
    queued = local["Queued"]
    started = local.get("Started", ended)
    executed = local.get("Executed", ended)
    statistics = record["Statistics"]
    statistics.setdefault("DataScannedInBytes", 0)
    statistics.update(
        ServicePreProcessingTimeInMillis=_millis(queued - submitted),
        QueryQueueTimeInMillis=_millis(started - queued),
        EngineExecutionTimeInMillis=_millis(executed - started),
        ServiceProcessingTimeInMillis=_millis(ended - executed),
        TotalExecutionTimeInMillis=_millis(ended - submitted),
        ResultReuseInformation={"ReusedPreviousResult": False},
    )
    if "Planned" in local:  # a part of the engine's time
        statistics["QueryPlanningTimeInMillis"] = _millis(local["Planned"] - started)


def _millis(seconds: float) -> int:
    """Return milliseconds, rounded up: what took place took some time."""
    return max(0, math.ceil(seconds * 1000))


def _internal_error(raised: Exception, query_id: str) -> QueryError:
    """Return how an unforeseen exception ends a query; that the machine's disk is full is told as such."""
    if isinstance(raised, OSError) and raised.errno in _NO_SPACE:
        log.error("query=%s has no space to work in: %s", query_id, raised)
        return QueryError(
            "OUT_OF_SPILL_SPACE", f"No free space available for spill: {raised}", category=OTHER
        )
    log.error("query=%s ended in an unforeseen exception", query_id, exc_info=raised)
    return QueryError("GENERIC_INTERNAL_ERROR", f"{type(raised).__name__}: {raised}", category=SYSTEM)
