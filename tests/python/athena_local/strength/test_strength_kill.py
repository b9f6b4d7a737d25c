"""kill -9 at random moments of a mixed load: catalog, history and tables are whole each time the server comes back."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

ROUNDS = 6
LONGEST_ROUND_SECONDS = 1.0
TEN = "SELECT n, n % 5 AS p FROM UNNEST(sequence(1, 10)) AS a (n)"


@dataclass
class Load:
    """What the clients asked for, and what they know came of it. `started`: id -> (kind, token, sql)."""

    lake: str
    started: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self, athena: Any, kind: str) -> None:
        """Run statements of a kind until the server is gone."""
        with contextlib.suppress(BotoCoreError, ClientError):
            while not self.over.is_set():
                token = uuid.uuid4().hex
                sql = self.statement(kind, f"{kind}_{token[:8]}")
                self.asked[kind] += 1
                query_id = self.start(athena, sql, token)
                self.started[query_id] = (kind, token, sql)
                while (state := self.state(athena, query_id)["State"]) in {"QUEUED", "RUNNING"}:
                    time.sleep(0.01)
                self.ended[query_id] = state

    def start(self, athena: Any, sql: str, token: str) -> str:
        return str(
            athena.start_query_execution(
                QueryString=sql,
                ClientRequestToken=token,
                QueryExecutionContext={"Database": "default"},
                ResultConfiguration={"OutputLocation": f"{self.lake}results/"},
            )["QueryExecutionId"]
        )

    def state(self, athena: Any, query_id: str) -> dict[str, Any]:
        status: dict[str, Any] = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"][
            "Status"
        ]
        return status

    def statement(self, kind: str, name: str) -> str:
        place = f"{self.lake}{name}/"
        return {
            "ctas": f"CREATE TABLE {name} WITH (external_location = '{place}', partitioned_by = ARRAY['p']) AS {TEN}",
            "iceberg_ctas": f"CREATE TABLE {name} WITH (table_type = 'ICEBERG', is_external = false,"
            f" location = '{place}') AS {TEN}",
            "insert": f"INSERT INTO grown {TEN}",
            "iceberg_insert": f"INSERT INTO grown_ice {TEN}",
            "ddl": f"CREATE EXTERNAL TABLE {name} (n bigint) LOCATION '{place}'",
        }[kind]


KINDS = ["ctas", "iceberg_ctas", "insert", "iceberg_insert", "ddl"]


def value(load: Load, athena: Any, sql: str) -> int:
    query_id = load.start(athena, sql, uuid.uuid4().hex)
    while (status := load.state(athena, query_id))["State"] in {"QUEUED", "RUNNING"}:
        time.sleep(0.01)
    assert status["State"] == "SUCCEEDED", status
    rows = athena.get_query_results(QueryExecutionId=query_id)["ResultSet"]["Rows"]
    return int(rows[1]["Data"][0]["VarCharValue"])


def check_history(load: Load, athena: Any) -> None:
    for query_id, (_, token, sql) in load.started.items():
        status = load.state(athena, query_id)
        if query_id in load.ended:
            assert status["State"] == load.ended[query_id], "what a client was told changed"
        elif status["State"] == "FAILED":
            assert "the server stopped while this query was" in status["StateChangeReason"], status
            assert status["AthenaError"]["Retryable"] is True
        else:
            assert status["State"] == "SUCCEEDED", status
        assert load.start(athena, sql, token) == query_id, "the token starts nothing anew"


def check_tables(load: Load, athena: Any, glue: Any, s3_keys: Callable[[str], list[str]], until: Any) -> None:
    tables = {table["Name"] for table in glue.get_tables(DatabaseName="default")["TableList"]}
    for query_id, (kind, token, _) in load.started.items():
        name = f"{kind}_{token[:8]}"
        if load.ended.get(query_id) == "SUCCEEDED" and kind in {"ctas", "iceberg_ctas", "ddl"}:
            assert name in tables, "a table that a client was told of is gone"
        if kind in {"ctas", "iceberg_ctas"}:
            if name in tables:
                assert value(load, athena, f"SELECT count(*) FROM {name}") == 10, "half a table"
            else:
                until(lambda name=name: s3_keys(f"{load.lake}{name}/") == [], 60)
    for kind, name in (("insert", "grown"), ("iceberg_insert", "grown_ice")):
        count = value(load, athena, f"SELECT count(*) FROM {name}")
        done = sum(
            load.ended.get(query_id) == "SUCCEEDED"
            for query_id, one in load.started.items()
            if one[0] == kind
        )
        assert count % 10 == 0, "half an INSERT"
        assert 10 * done <= count <= 10 * load.asked[kind]


def check_files(new_server: Any) -> None:
    for name in ("catalog.sqlite", "queries.sqlite"):
        connection = sqlite3.connect(new_server.data_dir / name)
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert connection.execute("pragma foreign_key_check").fetchall() == []
        connection.close()


@pytest.mark.parametrize("seed", [2026])
def test_kill_9_at_any_moment_loses_and_halves_nothing(
    seed: int, new_server: Any, objects: Any, until: Any, lake: str
) -> None:
    moments = random.Random(seed)
    server, load = new_server(), Load(lake)
    athena = server.client()
    for sql in (
        f"CREATE EXTERNAL TABLE grown (n bigint, p bigint) STORED AS PARQUET LOCATION '{lake}grown/'",
        f"CREATE TABLE grown_ice (n bigint, p bigint) LOCATION '{lake}grown_ice/' TBLPROPERTIES ('table_type'='ICEBERG')",
    ):
        query_id = load.start(athena, sql, uuid.uuid4().hex)
        until(lambda query_id=query_id: load.state(athena, query_id)["State"] == "SUCCEEDED", 120)
    for number in range(ROUNDS):
        load.over.clear()
        clients = [threading.Thread(target=load.run, args=(server.client(), kind)) for kind in KINDS]
        for client in clients:
            client.start()
        if number % 2:  # the others meet a server that is still loading what its first query needs
            ended = len(load.ended)
            until(lambda ended=ended: len(load.ended) >= ended + 2, 120)
        time.sleep(moments.uniform(0.05, LONGEST_ROUND_SECONDS))
        server.end()
        load.over.set()
        for client in clients:
            client.join(120)
        check_files(server)
        server.start()
    athena = server.client()
    check_history(load, athena)
    check_tables(
        load,
        athena,
        server.client("glue"),
        lambda prefix: [item.path for item in objects.list(prefix)],
        until,
    )
    assert len(load.ended) < len(load.started), "no query was caught in flight: nothing was tested"
    assert load.ended, "no query ended: nothing was tested"
