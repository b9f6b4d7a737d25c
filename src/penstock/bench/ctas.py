"""CTAS of the landed CSV to Parquet partitioned by month on the local Athena, against DuckDB's own CSV -> Parquet.

Both read the same file and write the same partitions with the same codec; DuckDB from and to disk.

Ours is measured by the client, from StartQueryExecution to the answer, with the upload to S3; the CSV is fetched only
where the server has not kept it from an earlier query. DuckDB's is the COPY statement alone, timed inside a fresh process:
starting Python is not counted against it.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

from penstock.bench.measure import Took, command, peak_of
from penstock.connections import Connections
from penstock.lake.athena import Athena

DATABASE = "penstock_bench"
CODEC = "snappy"

_DUCKDB = """
import sys, time, duckdb
source, target, codec = sys.argv[1:]
connection = duckdb.connect()
started = time.perf_counter()
connection.execute(
    f"copy (select *, month(business_date) as business_month from read_csv('{source}')) "
    f"to '{target}' (format parquet, compression {codec}, partition_by (business_month))"
)
print(time.perf_counter() - started)
"""


def ours(connections: Connections, round_number: int, server_pid: int) -> Took:
    """Run the CTAS on the landed table; what it made goes with the bench's stack."""
    names, athena = connections.environment, Athena(connections)
    table = f"{DATABASE}.ctas_{round_number}"
    athena.run(f"create database if not exists {DATABASE}")
    athena.run(f"drop table if exists {table}")
    location = f"s3://{names.lake_bucket}/bench/{time.time_ns()}/"
    statement = (
        f"create table {table} with (format = 'PARQUET', write_compression = '{CODEC}', "
        f"external_location = '{location}', partitioned_by = array['business_month']) as "
        f"select *, month(business_date) as business_month from {names.landed_database('forecast')}.forecast"
    )
    with peak_of(server_pid) as peak:
        started = time.perf_counter()
        athena.run(statement)
        seconds = time.perf_counter() - started
    return Took(seconds, peak[0])


def floor(source: Path, scratch: Path) -> Took:
    """Run DuckDB's own conversion in a process of its own."""
    target = scratch / "duckdb"
    shutil.rmtree(target, ignore_errors=True)
    took = command([sys.executable, "-c", _DUCKDB, str(source), str(target), CODEC])
    return Took(float(took.output.split()[-1]), took.peak_bytes)
