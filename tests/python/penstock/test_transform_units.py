"""The runner's parts that need no server: what dbt is told, what its results come to, how a selection is narrowed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from penstock.connections import Connections
from penstock.credentials import Secret
from penstock.environments import environment
from penstock.errors import BuildError, CredentialsError, SettingsError
from penstock.transform import dbt
from penstock.transform.build import (
    lake_selection,
    serving_obstacle,
    serving_selection,
    synced_tables,
    waiting,
)
from penstock.transform.dbt import DbtRun, NodeResult, Side, postgres_variables
from penstock.transform.report import bytes_scanned, lake_report, report

LOCAL = Connections(environment("local"), "us-east-2")


def test_postgres_variables_url_is_taken_apart() -> None:
    url = "postgresql://ann:p%40ss@db.example:6543/shop?sslmode=verify-full&sslrootcert=/ca.pem"
    assert postgres_variables(url) == {
        "PENSTOCK_PG_HOST": "db.example",
        "PENSTOCK_PG_PORT": "6543",
        "PENSTOCK_PG_USER": "ann",
        "DBT_ENV_SECRET_PG_PASSWORD": "p@ss",
        "PENSTOCK_PG_DATABASE": "shop",
        "PENSTOCK_PG_SSLMODE": "verify-full",
        "PGSSLROOTCERT": "/ca.pem",
    }


def test_environ_of_the_lakes_side_asks_nobody_for_a_database() -> None:
    def ask() -> str:
        raise CredentialsError("asked")

    connections = Connections(environment("local"), "us-east-2", database=Secret(ask))

    assert "PENSTOCK_PG_HOST" not in dbt._environ(connections, Side.LAKE)
    with pytest.raises(CredentialsError, match="asked"):
        dbt._environ(connections, Side.NEON)


def test_environ_of_the_serving_side_is_of_the_branchs_database() -> None:
    url = "postgresql://u:p@127.0.0.1:5432/preview%2Fpr-7"
    connections = Connections(
        environment("local", branch="preview/pr-7"), "us-east-2", database=Secret(lambda: url)
    )

    found = dbt._environ(connections, Side.NEON)

    assert (found["PENSTOCK_PG_DATABASE"], found["DATABASE_URL"]) == ("preview/pr-7", url)
    assert found["PENSTOCK_MARTS_DATABASE"] == "analytics_local_pr_7"


def test_postgres_variables_no_url_sets_nothing() -> None:
    assert postgres_variables("") == {}


def test_postgres_variables_bad_url_is_refused_without_repeating_it() -> None:
    with pytest.raises(SettingsError) as caught:
        postgres_variables("postgresql://ann:secret@host/shop?no_such_option=1")
    assert "secret" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("select", ["", "  "])
def test_selection_empty_leaves_it_to_selectors_yml(select: str) -> None:
    assert lake_selection(select) == []
    assert serving_selection(select) == []


def test_selection_is_narrowed_to_each_side() -> None:
    assert lake_selection("fct_forecast+ tag:daily") == [
        *("--select", "fct_forecast+", "tag:daily"),
        *("--exclude", "path:models/serving", "path:functions/serving", "path:tests/dbt/singular/serving"),
        *("--indirect-selection", "buildable"),
    ]
    assert serving_selection("fct_forecast+") == [
        "--select",
        "fct_forecast+,path:models/serving",
        "fct_forecast+,path:functions/serving",
        "fct_forecast+,path:tests/dbt/singular/serving",
    ]
    assert serving_selection("", ["daily", "similar"]) == [
        *("--select", "path:models/serving", "path:functions/serving", "path:tests/dbt/singular/serving"),
        *("--exclude", "daily+", "similar+"),
    ]


def test_synced_tables_are_those_declared_by_the_marts_behind_serving_models() -> None:
    nodes = {
        "model.p.daily": _model(
            "models/serving/daily.sql", ["source.p.postgres.a", "model.p.fct", "model.p.stg"]
        ),
        "model.p.fct": _model("models/marts/fct.sql", ["model.p.stg"], sync={"table": "forecast_data"}),
        "model.p.other": _model("models/serving/other.sql", ["model.p.named"]),
        "model.p.named": _model("models/marts/named.sql", [], sync={"table": "app.named"}),
        "model.p.unread": _model("models/marts/unread.sql", [], sync={"table": "unread"}),
        "model.p.stg": _model("models/staging/stg.sql", ["source.p.lake.b"]),
    }
    function = _model("functions/serving/similar.sql", ["model.p.unread"])
    manifest = {"nodes": nodes, "functions": {"function.p.similar": function}}
    assert synced_tables({"nodes": nodes}) == ["app.named", "public.forecast_data"]
    assert synced_tables(manifest) == ["app.named", "public.forecast_data", "public.unread"]
    assert waiting(manifest, ["app.named", "public.unread"]) == ["other", "similar"]
    assert waiting(manifest, []) == []


def _model(path: str, parents: list[str], **meta: Any) -> dict[str, Any]:
    return {
        "name": path.rpartition("/")[2].removesuffix(".sql"),
        "resource_type": "model",
        "original_file_path": path,
        "depends_on": {"nodes": parents},
        "config": {"meta": meta},
    }


def test_serving_obstacle_without_database_says_so(tmp_path: Path) -> None:
    assert serving_obstacle(LOCAL, tmp_path) == "no DATABASE_URL is set"


def test_run_another_at_work_on_the_side_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dbt, "LOCK_SECONDS", 0.1)
    with (
        dbt._alone(tmp_path, Side.LAKE),
        pytest.raises(BuildError, match="Another dbt run is at work on the lake side"),
    ):
        dbt.run(LOCAL, Side.LAKE, ["parse"], target=tmp_path)


@pytest.fixture(params=["foreground", "background"])
def _job(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a shell without job control starts with `&` ignores SIGINT, and so do its children."""
    before = signal.signal(
        signal.SIGINT, signal.SIG_IGN if request.param == "background" else signal.default_int_handler
    )
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_job")
def test_run_keeps_the_lock_while_dbt_lives_and_dbt_ends_with_its_runner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runner is killed -9 while its dbt is at work: the side stays locked until dbt has noticed and ended."""
    dbt_itself = (
        "import time; from penstock.transform.child import end_with_parent; end_with_parent({});"
        "print('at work', flush=True); time.sleep(60)"
    )
    runner = f"""
import os, sys
from pathlib import Path
from penstock.transform import dbt
folder = Path({str(tmp_path)!r})
with dbt._alone(folder, dbt.Side.LAKE) as lock:
    code = {dbt_itself!r}.format(os.getpid())
    dbt._execute([sys.executable, "-c", code], os.environ, folder, lambda line: print(line, flush=True), lock)
"""
    process = subprocess.Popen([sys.executable, "-c", runner], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as said:
        assert said.readline() == "at work\n"
        process.kill()
        process.wait()
    monkeypatch.setattr(dbt, "LOCK_SECONDS", 0.0)
    with pytest.raises(BuildError, match="Another dbt run"), dbt._alone(tmp_path, Side.LAKE):
        pytest.fail("two at once")
    monkeypatch.setattr(dbt, "LOCK_SECONDS", 20.0)
    with dbt._alone(tmp_path, Side.LAKE):
        pass


@pytest.mark.usefixtures("_job")
def test_execute_interrupted_dbt_is_asked_before_it_is_killed(tmp_path: Path) -> None:
    """A fault in the caller's own callback ends dbt as Ctrl-C would, so that it can cancel its queries."""
    script = (
        "import time; from penstock.transform.child import interrupt_on_sigterm; interrupt_on_sigterm()\n"
        "try:\n    print('at work', flush=True)\n    time.sleep(60)\n"
        "except KeyboardInterrupt:\n    open('cancelled', 'w').close()\n"
    )

    def fault(line: str) -> None:
        raise ValueError(line)

    with dbt._alone(tmp_path, Side.LAKE) as lock, pytest.raises(ValueError, match="at work"):
        dbt._execute([sys.executable, "-c", script], os.environ, tmp_path, fault, lock)
    assert (tmp_path / "cancelled").exists()


def test_node_name_of_generated_test_leaves_out_the_hash() -> None:
    node = NodeResult("test.penstock.not_null_fct_forecast_state.0a1b2c", "pass", 0.1, "")
    assert (node.resource_type, node.name) == ("test", "not_null_fct_forecast_state")
    assert NodeResult("unit_test.penstock.fct_forecast.test_x", "pass", 0.1, "").name == "test_x"


def test_failure_many_nodes_names_ten_and_counts_the_rest() -> None:
    failed = [NodeResult(f"model.penstock.m{n}", "error", 0.1, "line one\n  line two") for n in range(12)]
    error = dbt._failure(Side.LAKE, ["build"], failed, "")
    assert error.message.startswith(
        "dbt build on the lake side: 12 nodes failed.\n  model m0: line one\n    line two\n"
    )
    assert error.message.endswith("  and 2 more")
    assert "m10" not in error.message


def test_failure_before_any_result_shows_dbts_last_lines() -> None:
    error = dbt._failure(Side.NEON, ["build"], [], "\n".join(f"line {n}" for n in range(100)))
    assert error.message.startswith("dbt build on the neon side did not come to an end:\n  line 70\n")
    assert error.message.endswith("line 99")


class _History:
    """Athena's query history: (node, invocation, bytes, minutes ago), newest first, two a page."""

    def __init__(self, *entries: tuple[str | None, str, int, int]) -> None:
        self.entries = {f"q{number}": entry for number, entry in enumerate(entries)}
        self.read = 0

    def list_query_executions(self, **request: Any) -> dict[str, Any]:
        assert (request["WorkGroup"], request["MaxResults"]) == ("penstock-local", 50)
        ids, first = list(self.entries), int(request.get("NextToken", "0"))
        more = {"NextToken": str(first + 2)} if first + 2 < len(ids) else {}
        return {"QueryExecutionIds": ids[first : first + 2], **more}

    def batch_get_query_execution(self, **request: Any) -> dict[str, Any]:
        ids = request["QueryExecutionIds"]
        self.read += len(ids)
        return {"QueryExecutions": [self._execution(query_id) for query_id in reversed(ids)]}

    def _execution(self, query_id: str) -> dict[str, Any]:
        node, invocation, size, minutes = self.entries[query_id]
        header = {"app": "penstock", "invocation_id": invocation, **({"node_id": node} if node else {})}
        return {
            "QueryExecutionId": query_id,
            "Query": f"-- /* {json.dumps(header)} */\nselect 1" if invocation else "select 1",
            "Statistics": {"DataScannedInBytes": size},
            "Status": {"SubmissionDateTime": datetime.now(UTC) - timedelta(minutes=minutes)},
        }


def test_bytes_scanned_sums_all_statements_of_a_node_of_this_run_only() -> None:
    history = _History(
        ("model.p.fct", "now", 100, 0),
        ("model.p.fct", "now", 20, 0),
        (None, "now", 7, 0),
        ("", "", 9, 0),
        ("model.p.fct", "other", 1000, 1),
        ("test.p.t", "now", 3, 1),
        ("model.p.fct", "now", 1, 30),
        ("model.p.fct", "now", 1, 31),
        ("model.p.fct", "now", 1, 32),
    )
    run = DbtRun(Side.LAKE, "now", seconds=120.0)
    assert bytes_scanned(LOCAL, run, client=history) == {"model.p.fct": 120, "test.p.t": 3}
    assert history.read == 8  # stopped at the page with the first statement older than the run


def test_lake_report_history_refused_reports_the_build_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = ClientError({"Error": {"Code": "AccessDeniedException"}}, "ListQueryExecutions")

    class Refusing:
        def list_query_executions(self, **_: Any) -> None:
            raise refused

    monkeypatch.setattr(Connections, "client", lambda _self, _service: Refusing())
    run = DbtRun(
        Side.LAKE, "now", 1.0, (NodeResult("model.p.fct", "success", 1.0, "OK", rows=5, bytes_scanned=9),)
    )
    told = lake_report(LOCAL, run)
    assert (told.rows, told.bytes_scanned) == (5, 9)
    assert told.notice.startswith("Athena's history cannot be read (AccessDeniedException)")


def test_report_rows_are_written_by_models_and_failing_in_tests() -> None:
    run = DbtRun(
        Side.LAKE,
        "now",
        2.5,
        (
            NodeResult("model.p.fct", "success", 1.0, "OK", rows=10, bytes_scanned=1),
            NodeResult("model.p.stg", "success", 0.5, "OK"),
            NodeResult("test.p.unique.0a", "warn", 0.2, "Got 3", failures=3, rows=1),
        ),
    )
    told = report(run, {"model.p.fct": 120})
    assert [(node.name, node.rows, node.bytes_scanned) for node in told.nodes] == [
        ("fct", 10, 120),
        ("stg", None, 0),
        ("unique", 3, 0),
    ]
    assert (told.rows, told.bytes_scanned, len(told.models), len(told.tests)) == (10, 120, 2, 1)
