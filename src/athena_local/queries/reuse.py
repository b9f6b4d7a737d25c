"""Result reuse by age: a SELECT that repeats an earlier one of its workgroup is answered with that one's result file.

The same text, database, catalog, parameters and result configuration, asked for by ResultReuseByAgeConfiguration; the
earlier result must still be in S3. EXECUTE is a SELECT by what it names, as that was prepared at the time.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from athena_local.queries.executor import Submission
    from athena_local.queries.history import History, Record
    from athena_local.queries.results import ResultStore

DEFAULT_AGE_MINUTES = 60


def key_of(submission: Submission, statement: Any, prepared_text: str | None = None) -> str | None:
    """Return what a query has to have in common with an earlier one; None for what is never reused.

    `statement` and `prepared_text` are, of an EXECUTE, what it runs.
    """
    if statement is None or statement.substatement_type != "SELECT" or statement.statement_type != "DML":
        return None
    parts = [
        submission.sql,
        prepared_text,
        (submission.database or "").lower(),
        (submission.catalog or "").lower(),
        submission.parameters,
        submission.output_location,
        submission.result_configuration,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def find(
    history: History, results: ResultStore, submission: Submission, key: str | None, now: float
) -> Record | None:
    """Return the query whose result answers this one too, or None."""
    if key is None or not submission.reuse.get("Enabled"):
        return None
    age_minutes = submission.reuse.get("MaxAgeInMinutes", DEFAULT_AGE_MINUTES)
    earlier = history.reusable(submission.workgroup, key, now - age_minutes * 60)
    if earlier is None or not results.has_result(earlier["ResultConfiguration"]["OutputLocation"]):
        return None
    return earlier


def answer(record: Record, earlier: Record) -> None:
    """Make a new query's record that of one which ended at once with the earlier one's result, scanning nothing."""
    now = time.time()
    passed = max(0, round((now - record["Status"]["SubmissionDateTime"]) * 1000))
    record["Status"].update(State="SUCCEEDED", CompletionDateTime=round(now, 3))
    record["ResultConfiguration"] = earlier["ResultConfiguration"]
    record["Statistics"] = {
        "DataScannedInBytes": 0,
        "EngineExecutionTimeInMillis": 0,
        "QueryQueueTimeInMillis": 0,
        "ServicePreProcessingTimeInMillis": passed,
        "ServiceProcessingTimeInMillis": 0,
        "TotalExecutionTimeInMillis": passed,
        "ResultReuseInformation": {"ReusedPreviousResult": True},
    }
    record["Local"] |= {
        "Result": earlier["Local"]["Result"],
        "ReusedFrom": earlier["QueryExecutionId"],
    }
