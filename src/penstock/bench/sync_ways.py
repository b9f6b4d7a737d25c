"""The ways to keep Postgres equal to the lake, each as whole processes: psql's floor, ours, dlt's, the spec's own Lambda's.

A: first load into an empty table. B: nothing changed. C: a day's changes (see `forecast_lake`). M: the changes of C but
for the added day. Every way writes into a table of its own in the bench's database. What is written is compared with the
lake row by row, outside the time that is taken.

Python may keep compiled modules (in the bench's own folder), for ours and the others alike: the shell's
PYTHONDONTWRITEBYTECODE would make each of them compile its libraries in every process.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

from penstock.bench import first_load
from penstock.bench.forecast_lake import FILES_PREFIX, TABLE, ForecastLake, Version
from penstock.bench.measure import Took, TookTooLongError, children_seconds, command, server_seconds
from penstock.connections import Connections
from penstock.errors import PenstockError, SettingsError
from penstock.settings import PROJECT_ROOT

WAYS = ("floor", "ours", "dlt", "spec")
STEPS = ("A", "B", "C", "M")

SHARDS = 4  # processes that share a first load out

DLT_TABLE = "bench_dlt"
SPEC_TABLE = "bench_spec"
EXPECTED = "bench_expected"
DLT_LIMIT_SECONDS = 150  # dlt's merge may choose a plan that never ends; ten times what it takes otherwise
SPEC_LIMIT_SECONDS = 900

_DLT_IMPORTS = (
    "import dlt.sources.filesystem, adbc_driver_postgresql.dbapi, psycopg, psycopg2, s3fs, pyarrow.parquet"
)
_OUR_IMPORTS = (
    "import invoke.main, boto3, psycopg, rich.progress, pyarrow.parquet, pyarrow.fs, pyiceberg.manifest,"
    " penstock.commands.sync, penstock.sync.run, penstock.sync.extract, penstock.sync.apply, penstock.sync.verify,"
    " penstock.local.stack, penstock.transform.dbt"
)


@dataclass
class Cell:
    """A measured step of one way: what each round took, with the server's processor seconds; or why there is none."""

    took: list[Took] = field(default_factory=list)
    server_cpu: list[float] = field(default_factory=list)
    note: str = ""

    @property
    def seconds(self) -> float:
        return statistics.median(took.seconds for took in self.took)

    @property
    def cpu_seconds(self) -> tuple[float, float]:
        """The client's and the server's."""
        return statistics.median(took.cpu_seconds for took in self.took), statistics.median(self.server_cpu)

    @property
    def peak_bytes(self) -> int:
        return max((took.peak_bytes for took in self.took), default=0)


@dataclass
class Way:
    """What became of one way. `exact`: whether its table equalled the lake after C; None where it was not compared."""

    name: str
    steps: dict[str, Cell] = field(default_factory=lambda: {step: Cell() for step in STEPS})
    exact: bool | None = None
    differs: str = ""


@dataclass(frozen=True)
class Idle:
    """What a sync with nothing to do cost: its planning in seconds, WAL in bytes, rows written to the table, files read."""

    plan_seconds: float
    wal_bytes: int
    rows_written: int
    files: int
    bytes_read: int


class Ways:
    """The ways over one lake table, in the bench's own stack whose state folder is `state_dir`."""

    def __init__(self, lake: ForecastLake, state_dir: Path, scratch: Path, server_pid: int) -> None:
        self.lake, self.connections = lake, lake.connections
        self.state_dir, self.scratch, self.server_pid = state_dir, scratch, server_pid
        self.ways = {name: Way(name) for name in WAYS}
        self.shards = Way(f"ours, {SHARDS} shards")
        self.idle: list[Idle] = []
        self._copied = scratch / "forecast_data.copy"
        self._env = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            "PYTHONPYCACHEPREFIX": str(scratch / "pycache"),
            "PENSTOCK_STATE_DIR": str(state_dir),
            "PENSTOCK_TARGET": "local",
        }

    def warm_up(self, names: tuple[str, ...]) -> None:
        """Let Python compile what the ways import, so that the first round is like the others."""
        wanted = [("ours", _OUR_IMPORTS), ("dlt", _DLT_IMPORTS)]
        for name, imports in wanted:
            if name in names:
                command([sys.executable, "-c", imports], env=self._env, cwd=PROJECT_ROOT)

    # the ways

    def floor(self) -> None:
        """A by psql's binary \\copy of the very rows that ours wrote, and the same indexes, in one transaction."""
        if not self._copied.exists():
            first_load.export(self.connections, self._copied)
        self._measure(self.ways["floor"], "A", lambda: first_load.floor(self.connections, self._copied))
        self.run_sql(f"drop table public.{first_load.FLOOR}")

    def ours_anew(self, first: Version) -> None:
        """A by `invoke sync`, into an empty database."""
        self._empty(first)
        self._measure(self.ways["ours"], "A", self.sync)

    def ours_in_shards(self, first: Version) -> None:
        """A by several `invoke sync --shard` at once; memory is that of all of them together."""

        def together() -> Took:
            before, started = children_seconds(), time.perf_counter()
            with ThreadPoolExecutor(SHARDS) as pool:
                took = list(pool.map(self.sync, [f"{number}/{SHARDS}" for number in range(1, SHARDS + 1)]))
            seconds, peak = time.perf_counter() - started, sum(item.peak_bytes for item in took)
            return Took(seconds, peak, cpu_seconds=children_seconds() - before)

        self._empty(first)
        self._measure(self.shards, "A", together)

    def _empty(self, first: Version) -> None:
        self.lake.show(first)
        self.run_sql(
            f"drop table if exists public.{first_load.TABLE} cascade",
            "drop schema if exists penstock cascade",
        )

    def ours_again(self, second: Version) -> None:
        """B and C by `invoke sync`, after A."""
        before = self._idle_state()
        self._measure(self.ways["ours"], "B", self.sync)
        self.idle.append(self._idle(before))
        self.lake.show(second)
        self._measure(self.ways["ours"], "C", self.sync)

    def ours_month(self, first: Version, month: Version, times: int) -> None:
        """M: one month changed. Each time the table is brought back to the first version, which is not measured."""
        for _ in range(times):
            self.lake.show(first)
            self.sync()
            self.lake.show(month)
            self._measure(self.ways["ours"], "M", self.sync)

    def sync(self, shard: str = "") -> Took:
        arguments = [sys.executable, "-m", "invoke", "sync", "--select", TABLE]
        arguments += ["--shard", shard] if shard else []
        return command(arguments, env=self._env, cwd=PROJECT_ROOT)

    def dlt(self, first: Version, second: Version) -> None:
        """A, B and C by dlt; a step that does not end is stopped and said so."""
        self.run_sql(
            f"drop schema if exists {DLT_TABLE} cascade", f"drop schema if exists {DLT_TABLE}_staging cascade"
        )
        shutil.rmtree(self._pipelines, ignore_errors=True)
        self.lake.clear_layout()
        self.lake.lay_out(first)
        self._measure(self.ways["dlt"], "A", lambda: self._run_dlt(first_time=True))
        self._measure(self.ways["dlt"], "B", lambda: self._run_dlt(first_time=False))
        time.sleep(
            1.1
        )  # S3 tells times in whole seconds: files of the same second would be taken for known ones
        self.lake.lay_out(second, before=first)
        self._measure(self.ways["dlt"], "C", lambda: self._run_dlt(first_time=False))

    def spec(self, first: Version, since: str, until: str) -> None:
        """A and B by the spec's Lambda, into its table as the spec has it: indexes first."""
        self.lake.show(first)
        self.run_sql(
            f"drop table if exists public.{SPEC_TABLE} cascade",
            f"create table public.{SPEC_TABLE} (like public.{first_load.TABLE} including all)",
        )
        for step in ("A", "B"):
            self._measure(self.ways["spec"], step, lambda: self.run_spec(since, until))

    def run_spec(self, since: str, until: str) -> Took:
        connections, names = self.connections, self.connections.environment
        job = {
            "lake_table": f"{self.lake.database}.{TABLE}",
            "since": since,
            "until": until,
            "output": f"s3://{names.results_bucket}/bench/",
            "endpoint_url": connections.endpoint_urls.get("athena", connections.default_endpoint_url),
            "region": connections.region,
            "access_key": connections.access_key,
            "secret_key": connections.secret_key,
            "database_url": connections.postgres_url(),
            "table": f"public.{SPEC_TABLE}",
        }
        return self._child("spec_way", job, SPEC_LIMIT_SECONDS)

    # measuring

    def _measure(self, way: Way, step: str, run: Callable[[], Took]) -> None:
        """Take a step's measure; one that does not end is stopped and noted."""
        self.run_sql("checkpoint")
        cell = way.steps[step]
        before = server_seconds(self.server_pid)
        try:
            cell.took.append(run())
        except TookTooLongError as error:
            cell.note = error.message
            self._end_sessions()
            return
        cell.server_cpu.append(server_seconds(self.server_pid) - before)

    def _idle_state(self) -> tuple[int, int]:
        time.sleep(1.1)  # the statistics of the session before are told when it ends, at most once a second
        row = self._row(
            "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint,"
            " (select n_tup_ins + n_tup_upd + n_tup_del from pg_stat_user_tables where relid = to_regclass(%s))",
            [f"public.{first_load.TABLE}"],
        )
        return int(row[0]), int(row[1])

    def _idle(self, before: tuple[int, int]) -> Idle:
        after = self._idle_state()
        plan, files, bytes_read = self._row(
            "select coalesce((seconds->>'plan')::float, 0), files, bytes_read from penstock.sync_runs"
            " where mode = 'nothing' order by id desc limit 1"
        )
        return Idle(float(plan), after[0] - before[0], after[1] - before[1], int(files), int(bytes_read))

    # what was written

    def expect(self, version: Version) -> None:
        """Load a version of the lake by a way of its own: PyIceberg's reader and PostgreSQL's own conversion of texts."""
        import pyarrow as pa
        import pyarrow.csv as pa_csv

        path = self.scratch / "expected.csv"
        rows = self.lake.rows(version)
        pa_csv.write_csv(rows, pa.OSFile(str(path), "wb"), pa_csv.WriteOptions(include_header=False))
        with psycopg.connect(self.connections.postgres_url()) as connection:
            connection.execute(f"drop table if exists public.{EXPECTED}".encode())
            shape = f"select {first_load.COLUMNS} from public.{first_load.TABLE} limit 0"
            connection.execute(f"create table public.{EXPECTED} as {shape}".encode())
            statement = f"copy public.{EXPECTED} ({first_load.COLUMNS}) from stdin (format csv)"
            with connection.cursor().copy(statement.encode()) as copy, path.open("rb") as file:
                while block := file.read(1 << 20):
                    copy.write(block)
        path.unlink()

    def compare(self, way: str, table: str) -> None:
        """Compare all rows of a way's table with what is expected."""
        columns = first_load.COLUMNS
        ours, theirs = f"select {columns} from {table}", f"select {columns} from public.{EXPECTED}"
        extra, missing = self._row(
            f"select (select count(*) from ({ours} except all {theirs}) as x),"
            f" (select count(*) from ({theirs} except all {ours}) as y)"
        )
        found = self.ways[way]
        found.exact = not extra and not missing
        found.differs = "" if found.exact else f"{missing:,} rows missing, {extra:,} that should not be there"

    # helpers

    def run_sql(self, *statements: str) -> None:
        with psycopg.connect(self.connections.postgres_url(), autocommit=True) as connection:
            connection.execute("set client_min_messages to warning")
            for statement in statements:
                connection.execute(statement.encode())

    def _row(self, statement: str, values: list[Any] | None = None) -> tuple[Any, ...]:
        with psycopg.connect(self.connections.postgres_url()) as connection:
            row = connection.execute(statement.encode(), values).fetchone()
        assert row is not None
        return tuple(row)

    @property
    def _pipelines(self) -> Path:
        return self.scratch / "dlt"

    def _run_dlt(self, *, first_time: bool) -> Took:
        connections = self.connections
        job = {
            "first": first_time,
            "files_url": f"s3://{self.lake.bucket}/{FILES_PREFIX}",
            "endpoint_url": connections.endpoint_urls.get("s3", connections.default_endpoint_url),
            "region": connections.region,
            "access_key": connections.access_key,
            "secret_key": connections.secret_key,
            "database_url": connections.postgres_url(),
            "dataset": DLT_TABLE,
            "table": first_load.TABLE,
            "pipelines_dir": str(self._pipelines),
            "after": self._dlt_after() if first_time else [],
        }
        return self._child("dlt_way", job, DLT_LIMIT_SECONDS)

    def _child(self, module: str, job: dict[str, Any], limit_seconds: float) -> Took:
        program = Path(__file__).with_name(f"{module}.py")
        env = self._env | {"RUNTIME__DLTHUB_TELEMETRY": "false"}
        arguments = [sys.executable, "-W", "ignore", str(program)]
        return command(arguments, env=env, given=json.dumps(job), limit_seconds=limit_seconds)

    def _dlt_after(self) -> list[str]:
        """Return what makes dlt's new table the spec's: three columns that dlt has no word for, and the eight indexes."""
        table = f"{DLT_TABLE}.{first_load.TABLE}"
        found = first_load.indexes(self.connections)
        return [
            f"alter table {table} add column id serial,"
            " add column created_at timestamp not null default current_timestamp,"
            " add column updated_at timestamp not null default current_timestamp",
            *(
                definition.replace(f" ON public.{first_load.TABLE} ", f" ON {table} ", 1)
                for _, definition in found
            ),
        ]

    def _end_sessions(self) -> None:
        self.run_sql(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )


def refuse_without_dlt() -> None:
    """Raise SettingsError when the group of packages that dlt needs is not installed."""
    if find_spec("dlt") is None or find_spec("adbc_driver_postgresql") is None:
        raise SettingsError(
            "dlt is not installed: it is needed only to be compared with.",
            hint="uv run --group bench invoke bench.sync, or leave it out: --only floor,ours",
        )


def ensure_declared(connections: Connections) -> None:
    """Have dbt write the lake's manifest where there is none that declares the local table: a sync reads it."""
    from penstock.sync.declaration import declarations
    from penstock.transform import dbt
    from penstock.transform.dbt import Side, target_path

    try:
        (found,) = declarations(target_path(Side.LAKE) / "manifest.json", [TABLE])
        if found.lake_database == connections.environment.marts_database:
            return
    except PenstockError:
        pass
    dbt.run(connections, Side.LAKE, ["parse"])
