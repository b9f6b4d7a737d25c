"""The spec's own Lambda, written from its description, as a program of its own: Athena's answer into Postgres by upserts.

One SELECT of all rows between two dates, its answer paged by GetQueryResults into memory, then INSERT … ON CONFLICT DO
UPDATE in batches. It deletes nothing, and writes every row it is given whether it differs or not.

Reads one JSON object from its standard input: see `Job`. Run by `penstock.bench.sync_ways`; imports nothing of Penstock.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any, TypedDict

import boto3
import psycopg

BATCH_ROWS = 1_000
COLUMNS = (
    *("restaurant_id", "inventory_item_id", "business_date"),
    *("dma_id", "dc_id", "state", "y_05", "y_50", "y_95"),
)
KEY = COLUMNS[:3]


class Job(TypedDict):
    lake_table: str
    since: str
    until: str
    output: str
    endpoint_url: str
    region: str
    access_key: str
    secret_key: str
    database_url: str
    table: str


def run(job: Job) -> None:
    athena = boto3.client(
        "athena",
        region_name=job["region"],
        endpoint_url=job["endpoint_url"] or None,
        aws_access_key_id=job["access_key"] or None,
        aws_secret_access_key=job["secret_key"] or None,
    )
    write(job, answer(athena, job))


def answer(athena: Any, job: Job) -> list[tuple[str | None, ...]]:
    """Return the rows of the dates, as texts."""
    statement = (
        f"select {', '.join(COLUMNS)} from {job['lake_table']}"
        f" where business_date between date '{job['since']}' and date '{job['until']}'"
    )
    query = athena.start_query_execution(
        QueryString=statement,
        ResultConfiguration={"OutputLocation": job["output"]},
    )["QueryExecutionId"]
    while True:
        status = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]
        if status["State"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
            break
        time.sleep(1)
    if status["State"] != "SUCCEEDED":
        raise SystemExit(f"Athena: {status.get('StateChangeReason', status['State'])}")
    found: list[tuple[str | None, ...]] = []
    for page in athena.get_paginator("get_query_results").paginate(QueryExecutionId=query):
        for row in page["ResultSet"]["Rows"]:
            found.append(tuple(cell.get("VarCharValue") for cell in row["Data"]))
    return found[1:]  # the first row is the column names


def write(job: Job, rows: list[tuple[str | None, ...]]) -> None:
    others = [name for name in COLUMNS if name not in KEY]
    updates = ", ".join(f"{name} = excluded.{name}" for name in others)
    head = f"insert into {job['table']} ({', '.join(COLUMNS)}) values "
    tail = f" on conflict ({', '.join(KEY)}) do update set {updates}, updated_at = current_timestamp"
    one = f"({', '.join(['%s'] * len(COLUMNS))})"
    with psycopg.ClientCursor(psycopg.connect(job["database_url"])) as cursor, cursor.connection:
        for start in range(0, len(rows), BATCH_ROWS):
            batch = rows[start : start + BATCH_ROWS]
            values = ", ".join([one] * len(batch))
            cursor.execute((head + values + tail).encode(), [value for row in batch for value in row])


if __name__ == "__main__":
    run(json.load(sys.stdin))
