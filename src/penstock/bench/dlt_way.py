"""dlt's way, as a program of its own: the Parquet files of a prefix that were modified since the last run, to Postgres.

The fastest that dlt 1.31 was found to do: its filesystem source with an incremental cursor on modification_date, Arrow
tables, Parquet files loaded by ADBC. The first load appends; later ones merge by its "cdc" strategy, which deletes what the
files of the touched dates no longer hold and leaves equal rows unwritten. dlt makes neither the spec's surrogate key and
times nor plain indexes: they are added here after the first load, as its user would have to.

Reads one JSON object from its standard input: see `Job`. Run by `penstock.bench.sync_ways`.
"""
# ruff: noqa: E402 - pandas is set aside before anything can import it

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any, TypedDict

from penstock.imports import leave_out

leave_out("pandas")  # not needed, and slow to import: as in our own sync

import dlt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from dlt.sources.credentials import AwsCredentials
from dlt.sources.filesystem import filesystem

KEY = ["restaurant_id", "inventory_item_id", "business_date"]
QUANTILES = ("y_05", "y_50", "y_95")
COLUMNS: dict[str, Any] = {
    **{name: {"data_type": "decimal", "precision": 10, "scale": 2} for name in QUANTILES},
    "state": {"data_type": "text", "precision": 2, "nullable": False},
    "dma_id": {"data_type": "text", "precision": 50},
}


class Job(TypedDict):
    """`first`: the table is made anew, and `after` (SQL statements) is run when it is loaded."""

    first: bool
    files_url: str
    endpoint_url: str
    region: str
    access_key: str
    secret_key: str
    database_url: str
    dataset: str
    table: str
    pipelines_dir: str
    after: list[str]


@dlt.transformer  # type: ignore[untyped-decorator]
def rows(items: Any) -> Iterator[pa.Table]:
    for item in items:
        with item.open() as file:
            table = pq.read_table(file)
        for name in QUANTILES:
            at = table.schema.get_field_index(name)
            cents = pc.round(table[name], 2).cast(pa.decimal128(10, 2))
            table = table.set_column(at, name, cents)
        yield table


def run(job: Job) -> None:
    credentials = AwsCredentials(
        aws_access_key_id=job["access_key"],
        aws_secret_access_key=job["secret_key"],
        region_name=job["region"],
        endpoint_url=job["endpoint_url"] or None,
    )
    cursor = dlt.sources.incremental("modification_date")
    files = filesystem(job["files_url"], credentials, file_glob="*.parquet", incremental=cursor)
    source = files | rows
    if job["first"]:
        source.apply_hints(table_name=job["table"], columns=COLUMNS, write_disposition="append")
    else:
        source.apply_hints(
            table_name=job["table"],
            columns=COLUMNS,
            primary_key=KEY,
            merge_key="business_date",
            write_disposition={"disposition": "merge", "strategy": "cdc", "skip_unchanged_rows": True},
        )
    pipeline = dlt.pipeline(
        "bench",
        destination=dlt.destinations.postgres(job["database_url"]),
        dataset_name=job["dataset"],
        pipelines_dir=job["pipelines_dir"],
    )
    pipeline.run(source, loader_file_format="parquet").raise_on_failed_jobs()
    if job["first"]:
        import psycopg

        with psycopg.connect(job["database_url"]) as connection:
            for statement in job["after"]:
                connection.execute(statement.encode())


if __name__ == "__main__":
    run(json.load(sys.stdin))
