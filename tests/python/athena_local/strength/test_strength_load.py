"""Fifty clients at once, ten queries at a time, and StopQueryExecution that ends the work itself, not only its record."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Any

from athena_local.config import Config
from athena_local.objects import ObjectStore

CLIENTS = 50
QUERIES_EACH = 2
ENDLESS = """unnest(sequence(1, 10000)) as a(x) cross join unnest(sequence(1, 10000)) as b(y)
    cross join unnest(sequence(1, 10000)) as c(z)"""
LONG_ROWS = f"select x, y, z, to_hex(sha256(to_utf8(cast(x * y + z as varchar)))) as s from {ENDLESS}"


def start(athena: Any, lake: str, sql: str) -> str:
    location = {"OutputLocation": f"{lake}results/"}
    return str(
        athena.start_query_execution(QueryString=sql, ResultConfiguration=location)["QueryExecutionId"]
    )


def spools(data_dir: Any, query_id: str) -> list[str]:
    return [path.name for path in Config(data_dir, "").spool_dir.iterdir() if path.name.startswith(query_id)]


def test_stop_ends_the_work(
    new_server: Any, s3_proxy: Any, objects: ObjectStore, state: Callable[..., Any], until: Any, lake: str
) -> None:
    objects.write(f"{lake}slow/f.csv", b"1\n" * 4_000_000)
    server = new_server("--max-running-queries", "2", "--memory", "256m", endpoint=s3_proxy.endpoint)
    # none of the statements below would end by itself; the scan has 122 such pauses before it
    s3_proxy.spoil(lambda request: request.is_read and "/slow/" in request.key, pause_seconds=20)
    athena = server.client()
    until(lambda: state(athena, start(athena, lake, "select 1")) is not None)
    made = start(athena, lake, f"create external table default.slow (n bigint) location '{lake}slow/'")
    until(lambda: state(athena, made)["State"] == "SUCCEEDED", 60)
    statements = {
        "a cross join": f"select count(*) from {ENDLESS} where (x * y + z) % 7 = 3",
        "a scan of a slow S3": "select count(*) from default.slow",
        "a result being written": LONG_ROWS,
        "a sort that spills": f"select * from ({LONG_ROWS}) order by s",
        "CTAS": f"create table default.w with (external_location = '{lake}w/') as {LONG_ROWS}",
        "partitioned CTAS": f"create table default.w with (external_location = '{lake}w/', partitioned_by = array['p'])"
        f" as select s, x % 50 as p from ({LONG_ROWS})",
        "Iceberg CTAS": "create table default.w with (table_type = 'ICEBERG', is_external = false,"
        f" location = '{lake}w/') as {LONG_ROWS}",
        "UNLOAD": f"unload ({LONG_ROWS}) to '{lake}w/' with (format = 'PARQUET')",
    }
    for what, sql in statements.items():
        query_id = start(athena, lake, sql)
        until(lambda query_id=query_id: spools(server.data_dir, query_id), 60)
        time.sleep(0.7)  # into the work
        status = state(athena, query_id)
        assert status["State"] == "RUNNING", (what, status)
        athena.stop_query_execution(QueryExecutionId=query_id)
        until(lambda query_id=query_id: state(athena, query_id)["State"] != "RUNNING", 240)
        status = state(athena, query_id)
        assert (status["State"], status["StateChangeReason"]) == ("CANCELLED", "Query cancelled by user"), (
            what
        )
        assert spools(server.data_dir, query_id) == [], f"{what} left its spill files"
        until(lambda: list(objects.list(f"{lake}w/")) == [], 60)
        if "result" in what:
            assert not [one for one in objects.list(f"{lake}results/") if query_id in one.path]
    until(lambda: server.usage.cpu_percent(0.5) < 20, 60)  # nothing goes on in secret
    tables = server.client("glue").get_tables(DatabaseName="default")["TableList"]
    assert [table["Name"] for table in tables] == ["slow"]


def test_stop_in_the_queue_ends_at_once_and_the_rest_run_in_order(
    new_server: Any, state: Callable[..., Any], until: Any, lake: str
) -> None:
    server = new_server("--max-running-queries", "2")
    athena = server.client()
    long = [start(athena, lake, f"select count(*) from {ENDLESS} where x % 7 = {n}") for n in (1, 2)]
    until(lambda: all(state(athena, one)["State"] == "RUNNING" for one in long), 60)
    waiting = [start(athena, lake, f"select {n}") for n in range(5)]
    time.sleep(0.2)
    assert [state(athena, one)["State"] for one in waiting] == ["QUEUED"] * 5
    athena.stop_query_execution(QueryExecutionId=waiting[1])
    assert state(athena, waiting[1])["State"] == "CANCELLED"
    assert state(athena, waiting[0])["State"] == "QUEUED"
    athena.stop_query_execution(QueryExecutionId=long[0])  # one slot: the queue goes on in its order
    left = [one for one in waiting if one != waiting[1]]
    until(lambda: all(state(athena, one)["State"] == "SUCCEEDED" for one in left), 60)
    ended = [state(athena, one)["CompletionDateTime"] for one in left]
    assert ended == sorted(ended)
    assert state(athena, long[1])["State"] == "RUNNING"
    athena.stop_query_execution(QueryExecutionId=long[1])


def test_fifty_clients_get_their_results_and_ten_run_at_a_time(
    new_server: Any, state: Callable[..., Any], until: Any, lake: str
) -> None:
    server = new_server()
    athena = server.client()
    first = start(athena, lake, "select 1")
    until(lambda: state(athena, first)["State"] == "SUCCEEDED", 60)
    polled_running: set[str] = set()
    wrong: list[Any] = []
    over = threading.Event()
    running: list[int] = []

    def client(number: int) -> None:
        for turn in range(QUERIES_EACH):
            value = str(number * 1000 + turn)
            rows_of = "unnest(sequence(1, 300)) a(x) cross join unnest(sequence(1, 3000)) b(y)"
            sql = f"select {value} + 0 * count(*) from {rows_of}"
            query_id = start(athena, lake, sql)
            while True:
                status = state(athena, query_id)
                if status["State"] == "RUNNING":
                    polled_running.add(query_id)
                if status["State"] not in {"QUEUED", "RUNNING"}:
                    break
                time.sleep(0.05)
            if status["State"] != "SUCCEEDED":
                wrong.append(status)
                continue
            rows = athena.get_query_results(QueryExecutionId=query_id)["ResultSet"]["Rows"]
            if rows[1]["Data"] != [{"VarCharValue": value}]:
                wrong.append((value, rows))

    def watch() -> None:
        watcher = server.client()
        while not over.wait(0.05):
            ids = watcher.list_query_executions(MaxResults=50)["QueryExecutionIds"]
            found = watcher.batch_get_query_execution(QueryExecutionIds=ids)["QueryExecutions"]
            running.append(sum(one["Status"]["State"] == "RUNNING" for one in found))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    watcher = threading.Thread(target=watch)
    watcher.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    over.set()
    watcher.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []
    assert 2 <= max(running) <= 10
    assert polled_running, "a poll is answered while its query runs, not when it ends"
    assert "Traceback" not in server.log.read_text()
    assert re.findall(r"ERROR.*", server.log.read_text()) == []
