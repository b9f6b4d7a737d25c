"""The tasks as a user types them: processes of their own, in a copy of the project, its state folder in a path with a space.

The copy has a target/ of its own, so that these tests and a user's work on the project do not meet.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from penstock.commands.demo import SALES
from penstock.local import state
from penstock.local.postgres import binaries
from penstock.settings import PROJECT_ROOT
from penstock.synthetic import sales

pytestmark = pytest.mark.stack

ROWS = 4_550
PARTS = ("ministack", "athena_local", "postgres")
FOREIGN = ("AWS_", "PENSTOCK_", "DBT_", "PG", "DATABASE_URL", "FORCE_COLOR")  # of the tests' own environment


@dataclass(frozen=True)
class Told:
    """How a task ended. `out` and `err` with every run of blanks as one, for tables pad and lines break."""

    code: int
    out: str
    err: str


class User:
    """Somebody at the root of a project, with a state folder of their own."""

    def __init__(self, folder: Path, project_parts: tuple[str, ...]) -> None:
        self.project, self.state_dir = folder / "the project", folder / "the state"
        self.project.mkdir()
        for name in ("src", "tasks.py", *project_parts):
            source = PROJECT_ROOT / name
            if source.is_dir():
                shutil.copytree(
                    source, self.project / name, ignore=shutil.ignore_patterns("__pycache__", "python")
                )
            elif source.exists():  # git keeps no empty folder
                shutil.copy(source, self.project / name)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        self.environ = kept | {
            "PENSTOCK_STATE_DIR": str(self.state_dir),
            "PYTHONPATH": str(self.project / "src"),
        }

    def run(self, *command: str) -> Told:
        ended = subprocess.run(
            command, cwd=self.project, env=self.environ, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=240,
        )  # fmt: skip
        return Told(ended.returncode, " ".join(ended.stdout.split()), " ".join(ended.stderr.split()))

    def invoke(self, *arguments: str) -> Told:
        return self.run(sys.executable, "-m", "invoke", *arguments)

    def does(self, *arguments: str) -> Told:
        told = self.invoke(*arguments)
        assert told.code == 0, told.err
        return told

    def in_shell(self, script: str) -> Told:
        """Run lines of sh after the exports that `invoke env` prints; $PYTHON and $PSQL name the programs."""
        programs = f'PYTHON="{sys.executable}" PSQL="{binaries() / "psql"}"'
        return self.run("sh", "-ec", f'{programs}\neval "$("$PYTHON" -m invoke env)"\n{script}')


@pytest.fixture(scope="module")
def user(project_parts: tuple[str, ...]) -> Iterator[User]:
    # not pytest's own folder: PostgreSQL of a test run by root could not reach it
    folder = Path(tempfile.mkdtemp(prefix="penstock tasks "))
    folder.chmod(0o711)
    made = User(folder, project_parts)
    try:
        yield made
    finally:
        made.invoke("reset", "--yes")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def first_demo(user: User) -> Told:
    return user.does("demo", "--rows", str(ROWS))


# the whole of it


def test_demo_ends_with_steps_and_the_result_in_postgres(user: User, first_demo: Told) -> None:
    sold = sales.table(SALES).select(["tenant_id", "product_id"]).to_pylist()
    products = {(row["tenant_id"], row["product_id"]) for row in sold}
    synced = ROWS + len(sold) + len(products)
    for step in (f"seed {ROWS + SALES:,}", "build", f"sync {synced:,}", "serve", "total"):
        assert step in first_demo.out
    assert "Forecast by state, read from Postgres" in first_demo.out
    assert "Sales by category, read from Postgres" in first_demo.out
    assert "Nothing to do" not in first_demo.err
    assert "Next: uv run invoke docs --serve" in first_demo.err


def test_demo_again_finds_nothing_to_do(user: User, first_demo: Told) -> None:
    second = user.does("demo", "--rows", str(ROWS))
    assert "Nothing to do: what was generated is landed, modelled and synced already." in second.err
    assert "unchanged, not sent" in second.out
    for table in ("forecast_data", "sales_history", "product_embeddings"):
        assert f"public.{table}: the lake table is as it was" in second.err
    assert "Nothing new in the lake: Postgres is as it was." in second.err
    result = "Forecast by state"
    assert second.out.partition(result)[2] == first_demo.out.partition(result)[2] != ""


def test_query_answers_sql_and_analyses(user: User, first_demo: Told) -> None:
    told = user.does("query", "select count(*) as n, min(business_date) as first_date from fct_forecast")
    assert f"{ROWS} 2025-01-01" in told.out
    assert "1 rows" in told.err
    assert "scanned" in told.err
    told = user.does("query", "select * from fct_forecast", "--limit", "7")
    assert "There are more: --limit N shows N of them, --limit 0 all. the first 7 rows" in told.err
    told = user.does("query", "forecast/landed_files")
    assert "overruled_row_count" in told.out
    assert f"{ROWS} 0" in told.out
    told = user.does("query", "largest_days_by_state", "--limit", "2", "--csv")
    assert told.out.startswith("state,place,business_date,total_y_50,mean_day_y_50 ")


def test_query_library_and_cost_tell_what_the_lake_was_asked(user: User, first_demo: Told) -> None:
    told = user.does("query.library", "forecast")
    for name in ("landed_files", "largest_days_by_state", "widest_intervals_by_item", "total"):
        assert name in told.out
    assert "$0.0000" in told.out
    told = user.does("cost")
    for shown in ("model fct_forecast", "dbt tests", "queries", "penstock-lake-local/forecast_data STANDARD"):
        assert shown in told.out
    assert "forecast/landed_files" in user.does("query.list").out


def test_seed_build_sync_of_ones_own_file(user: User, first_demo: Told) -> None:
    """A file is landed beside the generated one, and taken out again. The mart is built alone: summaries may stay behind."""
    (user.project / "mine.csv").write_text(
        "restaurant_id,inventory_item_id,business_date,dma_id,dc_id,state,y_05,y_50,y_95\n"
        "900001,385,2025-06-01,ENQ,7,CA,1.5,2.25,3\n"
    )
    assert "mine.csv 1" in user.does("seed", "--file", "mine.csv").out
    assert "Next: invoke sync" in user.does("build", "--select", "fct_forecast").err
    assert "public.forecast_data changes 1" in user.does("sync").out
    assert (
        user.in_shell('"$PSQL" "$DATABASE_URL" -Atc "select count(*) from forecast_data"').out
        == f"{ROWS + 1}"
    )
    assert "mine.csv is gone" in user.does("seed", "--remove", "mine.csv").err
    user.does("build", "--select", "fct_forecast")
    user.does("sync", "--select", "fct_forecast")
    told = user.does("sync")
    assert "Nothing new in the lake: Postgres is as it was." in told.err
    assert user.in_shell('"$PSQL" "$DATABASE_URL" -Atc "select count(*) from forecast_data"').out == f"{ROWS}"


# the stack


def test_up_twice_starts_once_and_status_says_so(user: User) -> None:
    user.does("up")
    before = {name: part.pid for name, part in state.load(user.state_dir).parts.items()}
    told = user.does("up")
    assert "The local stack answers" in told.err
    assert {name: part.pid for name, part in state.load(user.state_dir).parts.items()} == before
    told = user.does("status")
    for name in PARTS:
        assert f"{name} running" in told.out
        assert str(before[name]) in told.out


def test_env_serves_psql_and_boto3(user: User) -> None:
    user.does("up")
    assert user.in_shell('"$PSQL" "$DATABASE_URL" -Atc "select current_database()"').out == "penstock_local"
    told = user.in_shell("""
        "$PYTHON" -c '
import boto3, json
names = [group["Name"] for group in boto3.client("athena").list_work_groups()["WorkGroups"]]
buckets = [bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]]
databases = boto3.client("glue").get_databases()["DatabaseList"]
print(json.dumps([names, buckets, len(databases)]))'
        """)
    assert told.code == 0, told.err
    names, buckets, databases = json.loads(told.out)
    assert "primary" in names
    assert {"penstock-lake-local", "penstock-athena-results-local"} <= set(buckets)
    assert databases >= 1


def test_env_prints_exports_alone(user: User) -> None:
    user.does("up")
    told = user.does("env")
    words = told.out.split(" ")
    assert words[::2] == ["export"] * (len(words) // 2)
    names = {word.partition("=")[0] for word in words[1::2]}
    assert {
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL_ATHENA",
        "AWS_ENDPOINT_URL_GLUE",
    } < names
    assert {"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "DATABASE_URL"} < names


# a user's mistakes


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["seed", "--file", "nowhere.csv"], "nowhere.csv does not exist.", "--file"),
        (["seed", "--file", "bad.csv"], "bad.csv line 1: 'a,b' is not the header", "docs/landing.md"),
        (["seed", "--rows=-5"], "rows must be 1 or more", "--rows"),
        (["seed", "--rows", "ten"], "--rows ten is no whole number", "--rows 1000"),
        (["seed", "--file", "bad.csv", "--rows", "4"], "exclude each other", "Give one of them"),
        (["seed", "--remove", "nowhere.csv"], "No file 'nowhere.csv' has landed", "Landed are:"),
        (["build", "--target", "nowhere"], "'nowhere' is no target.", "Use one of: local, dev, production"),
        (["sync", "--target", "dev"], "'dev' needs the AWS account id", "PENSTOCK_AWS_ACCOUNT"),
        (["build", "--select", "nowhere"], "Nothing in the project is selected by 'nowhere'", "--select"),
        (
            ["query", "analyses/forecast/nowhere.sql"],
            "is no analysis of this project",
            "forecast/landed_files",
        ),
        (
            ["query", "forecast/landed_file"],
            "is no analysis of this project",
            "Did you mean forecast/landed_files?",
        ),
        (["query.library", "forcast"], "There is no query library 'forcast'.", "Did you mean forecast?"),
        (["cost", "--estimate", "--gb", "ten"], "--gb ten is no number", "--gb 100"),
        (["query", "selec 1"], "line 1:1: mismatched input 'selec'", "Athena SQL"),
        (["query", "select * from nowhere"], "TABLE_NOT_FOUND: line 1:15:", "invoke seed"),
        (["sync", "--select", "nowhere"], "No model named 'nowhere' declares a sync", "fct_forecast"),
        (["reset"], "reset deletes all local data and nobody is here to confirm it", "invoke reset --yes"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_task_given_a_mistake_says_what_and_what_next(
    user: User, first_demo: Told, arguments: list[str], message: str, hint: str
) -> None:
    (user.project / "bad.csv").write_text("a,b\n1,2\n")
    told = user.invoke(*arguments)
    assert told.code == 1
    said, _, following = told.err.partition(" next: ")
    assert message in said
    assert hint in following
    assert "Traceback" not in told.err + told.out


def test_reset_without_an_answer_deletes_nothing(user: User, first_demo: Told) -> None:
    user.invoke("reset")
    assert f"{ROWS}" in user.does("query", "select count(*) from fct_forecast").out


# the end: these stop what the others use, which starts it again by itself


def test_down_stops_everything_and_up_finds_the_data(user: User, first_demo: Told) -> None:
    assert "is stopped; its data stays" in user.does("down").err
    told = user.invoke("status")
    assert told.code == 1
    for name in PARTS:
        assert f"{name} stopped" in told.out
    assert "Not running: ministack, athena_local, postgres." in told.err
    assert "next: invoke up" in told.err
    user.does("down")
    assert user.in_shell('"$PSQL" "$DATABASE_URL" -Atc "select count(*) from forecast_data"').out == f"{ROWS}"
    assert f"{ROWS}" in user.does("query", "select count(*) from fct_forecast").out
