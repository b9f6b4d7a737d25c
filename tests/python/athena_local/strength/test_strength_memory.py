"""`--memory` holds: work of ten times its size spills and ends, and the process itself stays near it, however many run.

Measured is the server's anonymous memory, sampled from outside; files it has mapped are the kernel's to take back.
"""

from __future__ import annotations

import contextlib
import gzip
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from athena_local.config import Config
from athena_local.objects import ObjectStore

MB = 1024**2
MEMORY_BYTES = 128 * MB
# Python's side of it: 110 MB of modules, Arrow batches, S3 blocks (64 MB), requests under way, pages not yet given back
MARGIN_BYTES = 256 * MB
SAMPLE_SECONDS = 0.02
WIDE = """(select x * 1140 + y as k, rpad('', 960, to_hex(md5(to_utf8(cast(x * 1140 + y as varchar))))) as p
    from unnest(sequence(0, {rows})) as a(x) cross join unnest(sequence(0, 1139)) as b(y))"""
TEN_TIMES = WIDE.format(rows=1229)  # 1230 * 1140 rows of 968 bytes: 1.27 GiB


class Peak:
    bytes = 0


@contextlib.contextmanager
def peak_of(process: psutil.Process) -> Iterator[Peak]:
    peak, over = Peak(), threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE_SECONDS):
            memory = process.memory_info()
            peak.bytes = max(peak.bytes, memory.rss - memory.shared)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


class Client:
    def __init__(self, athena: Any, lake: str, until: Callable[..., None]) -> None:
        self.athena, self.lake, self.until = athena, lake, until

    def start(self, sql: str) -> str:
        location = {"OutputLocation": f"{self.lake}results/"}
        answer = self.athena.start_query_execution(
            QueryString=sql,
            ResultConfiguration=location,
            QueryExecutionContext={"Database": "default"},
        )
        return str(answer["QueryExecutionId"])

    def wait(self, query_id: str) -> dict[str, Any]:
        status: dict[str, Any] = {}

        def ended() -> bool:
            status.update(
                self.athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]
            )
            return status["State"] not in {"QUEUED", "RUNNING"}

        self.until(ended, 120)
        return status

    def succeeded(self, query_id: str) -> None:
        status = self.wait(query_id)
        assert status["State"] == "SUCCEEDED", status["StateChangeReason"]

    def value(self, sql: str) -> str:
        query_id = self.start(sql)
        self.succeeded(query_id)
        rows = self.athena.get_query_results(QueryExecutionId=query_id, MaxResults=2)["ResultSet"]["Rows"]
        return str(rows[1]["Data"][0]["VarCharValue"])


@pytest.fixture
def server(new_server: Callable[..., Any]) -> Any:
    return new_server("--memory", "128m", "--threads", "2")


@pytest.fixture
def client(server: Any, lake: str, until: Callable[..., None]) -> Client:
    client = Client(server.client(), lake, until)
    assert client.value("select 1") == "1"  # modules are loaded
    return client


def test_work_of_many_times_the_memory_spills_and_ends(rows: Callable[..., Any], config: Config) -> None:
    small = replace(config, memory_limit_bytes=MEMORY_BYTES)
    narrow = """(select k, lpad(cast(k * 7919 % 10000019 as varchar), {width}, '0') as p from (select x * 10000 + y as k
        from unnest(sequence(0, {thousands})) as a(x) cross join unnest(sequence(1, 10000)) as b(y)))"""
    wide = narrow.format(width=200, thousands=599)  # 6 million rows of 216 bytes: 1.2 GiB
    half = narrow.format(width=92, thousands=599)  # 650 MB; a join has two of them
    work = {
        "sort": f"select length(p) * 30000 from {wide} order by k desc offset 5999999 limit 1",
        "join": f"select count(*) from {half} as l join {half} as r on l.p = r.p",
        "group by": f"select count(*) from (select p, max(k) as k from {half} group by p)",
        "window": "select count_if(n > 0 and length(p) = 92) from"
        f" (select p, row_number() over (partition by k % 50 order by p) as n from {half})",
    }
    for what, sql in work.items():
        assert rows(sql, config=small) == [(6_000_000,)], what
    assert not list(config.spool_dir.glob("*/spill")), "spill files are left"


def test_results_and_files_are_streamed(
    server: Any, client: Client, objects: ObjectStore, tmp_path: Path
) -> None:
    line = b"x" * 999 + b"\n"
    with gzip.open(tmp_path / "f.csv.gz", "wb", 1) as file:
        for _ in range(300):
            file.write(line * 1000)
    objects.upload(tmp_path / "f.csv.gz", f"{client.lake}text/f.csv.gz")
    create = f"create external table text (s string) location '{client.lake}text/'"
    client.succeeded(client.start(create))
    with peak_of(server.usage) as peak:
        assert client.value("select count(*) from text where length(s) = 999") == "300000"
    assert peak.bytes < MEMORY_BYTES + MARGIN_BYTES, f"text: {peak.bytes // MB} MB"
    with peak_of(server.usage) as peak:
        query_id = client.start(f"select k, p from {WIDE.format(rows=299)}")
        client.succeeded(query_id)
    assert peak.bytes < MEMORY_BYTES + MARGIN_BYTES, f"result: {peak.bytes // MB} MB"
    sizes = [item.size for item in objects.list(f"{client.lake}results/{query_id}.csv")]
    assert max(sizes) > 300 * 1140 * 960
    with peak_of(server.usage) as peak:
        place = f"external_location = '{client.lake}written/'"
        written = client.start(
            f"create table written with ({place}) as select k, p from {WIDE.format(rows=299)}"
        )
        client.succeeded(written)
        assert client.value("select count(distinct p) from written") == str(300 * 1140)
    assert peak.bytes < MEMORY_BYTES + MARGIN_BYTES, f"Parquet: {peak.bytes // MB} MB"


def test_ten_queries_at_once_share_the_memory(server: Any, client: Client) -> None:
    half = WIDE.format(rows=99)
    with peak_of(server.usage) as peak:
        started = [
            client.start(f"select count(*) from (select p, max(k + {n}) from {half} group by p)")
            for n in range(10)
        ]
        assert {client.wait(query_id)["State"] for query_id in started} == {"SUCCEEDED"}
    assert peak.bytes < MEMORY_BYTES + MARGIN_BYTES, f"{peak.bytes // MB} MB"


def test_what_cannot_spill_fails_in_athena_words_and_the_server_lives(server: Any, client: Client) -> None:
    status = client.wait(client.start(f"select cardinality(array_agg(p)) from {TEN_TIMES}"))
    assert status["State"] == "FAILED"
    reason = status["StateChangeReason"]
    assert reason.startswith("EXCEEDED_LOCAL_MEMORY_LIMIT: Query exhausted resources at this scale factor"), (
        reason
    )
    assert "--memory" in reason
    assert client.value("select 2") == "2"
