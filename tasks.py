"""The Invoke namespace: thin, typed, no logic. `invoke --list` shows it, `invoke --help TASK` explains one.

Imports are inside the tasks: listing them must not wait for dbt, pyarrow or boto3.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from invoke import Collection, Context, task
from invoke.exceptions import Exit

if TYPE_CHECKING:
    from penstock.connections import Connections
    from penstock.settings import Settings

# Invoke keeps Python from caching what it compiles: every task would compile the project again, a third of a second.
sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))

TARGET = "Environment: local, dev or production (also PENSTOCK_TARGET)."
BRANCH = "Database branch instead of the target's own; git: the checked out one's (also PENSTOCK_BRANCH)."


def told(body: Callable[..., Any]) -> Callable[..., Any]:
    """End a task with what is wrong and the next step instead of a stack trace (PENSTOCK_DEBUG=1 shows it)."""

    @functools.wraps(body)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return body(*args, **kwargs)
        except Exception as error:
            from penstock import console
            from penstock.failures import explained

            known = explained(error)
            if known is None or _debugging():
                raise
            console.show_error(known)
            raise Exit(code=known.exit_code) from None
        except KeyboardInterrupt:
            raise Exit(
                "Interrupted. Every task can be run again; docs/runbooks/interrupted.md says what lies where.",
                130,
            ) from None

    return wrapper


def _settings(target: str, branch: str = "") -> Settings:
    from penstock.settings import load

    return load(target, branch)


def _debugging() -> bool:
    from penstock.errors import SettingsError

    try:
        return _settings("").debug
    except SettingsError:  # that is the error to show
        return False


def _number(flag: str, text: str, default: int = 0) -> int:
    """Return a flag's whole number. Invoke's own reading of int flags ends in a stack trace for "ten"."""
    from penstock.errors import SettingsError

    try:
        return int(text.replace(",", "")) if text else default
    except ValueError:
        raise SettingsError(f"{flag} {text} is no whole number.", hint=f"{flag} 1000, say.") from None


def _connect(target: str, branch: str = "") -> Connections:
    from penstock import console
    from penstock.connections import connect

    return connect(_settings(target, branch), console.note)


# the local stack


@task
@told
def up(_: Context) -> None:
    """Start what is not running of the local stack: S3, Athena with its catalog, PostgreSQL. Loopback only."""
    from penstock.commands import stack

    stack.up(_settings("local"))


@task
@told
def down(_: Context) -> None:
    """Stop the local stack. Data, catalog and database stay."""
    from penstock.commands import stack

    stack.down(_settings("local"))


@task
@told
def status(_: Context) -> None:
    """Show each part of the local stack: address, pid, version, size, log. Exits with 1 when one does not run."""
    from penstock.commands import stack

    stack.status(_settings("local"))


@task(help={"target": TARGET, "branch": BRANCH})
@told
def env(_: Context, target: str = "", branch: str = "") -> None:
    """Print the exports by which psql, the AWS CLI and anything else join in: eval "$(invoke env)"."""
    from penstock.commands import stack

    stack.env(_connect(target, branch))


@task(help={"yes": "Do not ask."})
@told
def reset(_: Context, yes: bool = False) -> None:
    """Delete the local lake, catalog and database, after asking."""
    from penstock.commands import stack

    stack.reset(_settings("local"), yes=yes)


# the main job


@task(
    iterable=["file"],
    help={
        "file": "File to land: CSV (.csv, .csv.gz, .csv.xz), Parquet or JSON lines, as the source takes; may be repeated.",
        "rows": "Land a generated forecast of that many rows instead.",
        "source": "Source that the files belong to: a file's name in sources/, or source.table.",
        "remove": "Delete the landed file of that name.",
        "target": TARGET,
    },
)
@told
def seed(
    _: Context,
    file: list[str] | None = None,
    rows: str = "",
    source: str = "forecast",
    remove: str = "",
    target: str = "",
) -> None:
    """Check files whole, land them in S3, and see to it that Athena has a table over them.

    Bad input is refused with file, line, column and value, and nothing is sent. The same content is not sent again.
    Without --file and --rows: the default generated forecast of 1,251,250 rows, or what lies in output/<source>/.
    """
    from penstock.commands import data
    from penstock.imports import leave_out

    leave_out("pandas")
    data.seed(_settings(target), files=file or [], rows=_number("--rows", rows), source=source, remove=remove)


@task(
    help={
        "select": "dbt selection: a model, a folder, tag:…, +model, model+.",
        "full_refresh": "Rebuild incremental models from nothing.",
        "target": TARGET,
        "branch": BRANCH,
    }
)
@told
def build(
    _: Context, select: str = "", full_refresh: bool = False, target: str = "", branch: str = ""
) -> None:
    """Build and test the models: the lake side on Athena, then, after a sync, the serving side in Postgres."""
    from penstock.commands import data

    data.build(_connect(target, branch), select=select, full_refresh=full_refresh)


@task(
    help={
        "select": "Models to sync, comma-separated; all that declare meta.sync by default.",
        "full": "Compare every partition with the lake; only what differs is written.",
        "dry-run": "Print what would be read, and why; write nothing.",
        "verify": "Compare every partition with the lake as it was synced; write nothing. Exits with 1 where they differ.",
        "repair": "Compare likewise, and mend the partitions that differ.",
        "shard": "Do one share of the work, 2/4 being the second of four: see docs/how-to/shards.md.",
        "target": TARGET,
        "branch": BRANCH,
    }
)
@told
def sync_run(
    _: Context,
    select: str = "",
    full: bool = False,
    dry_run: bool = False,
    verify: bool = False,
    repair: bool = False,
    shard: str = "",
    target: str = "",
    branch: str = "",
) -> None:
    """Make Postgres equal to the lake: read what changed since the last sync, apply and verify it.

    Rows, snapshot id and the run's record commit in one transaction a table; nothing changed costs one look-up.
    """
    from penstock.commands import sync as syncing
    from penstock.imports import leave_out

    leave_out("pandas")
    syncing.sync(
        _connect(target, branch),
        _settings(target, branch),
        select=select,
        full=full,
        dry_run=dry_run,
        verify=verify,
        repair=repair,
        shard=shard,
    )


@task(
    help={
        "select": "Models to look at, comma-separated; all that declare meta.sync by default.",
        "json": "Print JSON, for a program.",
        "fail_if_behind": "Exit with 1 when a table lacks what the lake has held for more than so many minutes.",
        "target": TARGET,
        "branch": BRANCH,
    }
)
@told
def sync_status(
    _: Context,
    select: str = "",
    json: bool = False,
    fail_if_behind: str = "",
    target: str = "",
    branch: str = "",
) -> None:
    """Show where each synced table stands: how far behind the lake, rows, last run, last error and what to do about it.

    Exits with 1 when the last sync of a table failed.
    """
    from penstock.commands import sync_runs

    minutes = _number("--fail-if-behind", fail_if_behind) if fail_if_behind else None
    sync_runs.status(_connect(target, branch), select=select, as_json=json, fail_if_behind=minutes)


@task(
    help={
        "table": "Postgres table whose runs to show, with or without its schema; all by default.",
        "limit": "Runs to show at most. Default 20.",
        "failed": "Show the failed ones alone.",
        "json": "Print JSON, for a program.",
        "target": TARGET,
        "branch": BRANCH,
    }
)
@told
def sync_history(
    _: Context,
    table: str = "",
    limit: str = "20",
    failed: bool = False,
    json: bool = False,
    target: str = "",
    branch: str = "",
) -> None:
    """Show the latest sync runs: mode, rows, bytes, seconds by step, errors and what to do about them."""
    from penstock.commands import sync_runs

    shown = _number("--limit", limit)
    sync_runs.history(_connect(target, branch), table=table, limit=shown, failed=failed, as_json=json)


@task(help={"target": TARGET})
@told
def sync_notify_test(_: Context, target: str = "") -> None:
    """Send a test message to each channel that is told of failing syncs: webhook, SNS topic, e-mail."""
    from penstock.commands import sync_runs

    sync_runs.notify_test(_connect(target), _settings(target))


@task(help={"target": TARGET})
@told
def freshness(_: Context, target: str = "") -> None:
    """Say how old the landed data of each source is, against its thresholds."""
    from penstock.commands import data

    data.freshness(_connect(target))


@task(
    help={
        "source": "Only what this source lands and the marts above it.",
        "json": "Print the checks as JSON.",
        "target": TARGET,
        "branch": BRANCH,
    }
)
@told
def verify(_: Context, source: str = "", json: bool = False, target: str = "", branch: str = "") -> None:
    """Say whether lake and Postgres are as declared: tables, columns, partitions, files, rows. Exits with 1 if not."""
    from penstock.commands import verify as command

    command.verify(_connect(target, branch), source=source, as_json=json)


@task(
    positional=["sql"],
    iterable=["param"],
    help={
        "sql": "A statement, or an analysis by its name below analyses/ (sales/brand_performance) or its path.",
        "param": "name=value for an analysis that has parameters; may be given several times.",
        "limit": "Rows to show at most; 0 shows all. Default 1000, with --csv and --json all.",
        "csv": "Print CSV: a header, NULL as an empty field.",
        "json": "Print JSON, for a program; decimals as text.",
        "target": TARGET,
    },
)
@told
def query_run(
    _: Context,
    sql: str,
    param: list[str] | None = None,
    limit: str = "",
    csv: bool = False,
    json: bool = False,
    target: str = "",
) -> None:
    """Run a statement or an analysis on Athena; print its rows, bytes scanned and cost.

    invoke query "select count(*) from fct_forecast"
    invoke query sales/brand_performance --target dev
    invoke query sales/similarity_candidates --param tenant_id=tenant_001 --param k=5 --json
    query.list names the analyses there are; each begins with what it asks and how to read the answer.
    """
    from penstock.commands import query as asking

    rows = _number("--limit", limit) if limit else None
    asking.query(_connect(target), sql, limit=rows, parameters=param or [], as_csv=csv, as_json=json)


@task(
    positional=["domain"],
    iterable=["param"],
    help={
        "domain": "Folder of analyses/: sales or forecast.",
        "param": "name=value for the analyses that have such a parameter; may be given several times.",
        "json": "Print JSON, for a program.",
        "target": TARGET,
    },
)
@told
def query_library(
    _: Context, domain: str, param: list[str] | None = None, json: bool = False, target: str = ""
) -> None:
    """Run every analysis of a domain; print the rows, seconds, bytes scanned and dollars of each.

    One that fails is named, the others still run, and it exits with 1.
    """
    from penstock.commands import query as asking

    asking.library(_connect(target), domain, parameters=param or [], as_json=json)


@task
@told
def query_list(_: Context) -> None:
    """Show the analyses there are, by name, with the question each answers and its parameters."""
    from penstock.commands import query as asking

    asking.show_analyses()


@task(
    help={
        "gb": "Size of the lake to estimate for, in GB. Default 100.",
        "queries": "Queries a month to estimate for. Default 1000.",
        "days": "Days of Athena's history to look at, 45 at most. Default 30.",
        "estimate": "Only estimate; look at nothing.",
        "json": "Print JSON, for a program.",
        "target": TARGET,
    }
)
@told
def cost(
    _: Context,
    gb: str = "",
    queries: str = "",
    days: str = "",
    estimate: bool = False,
    json: bool = False,
    target: str = "",
) -> None:
    """Show what the lake costs a month: estimated from size and queries, and as it was really queried and is stored.

    Unit prices, with their source and date, stand in prices.yml.
    """
    from penstock.commands import cost as costs

    connections = None if estimate else _connect(target)
    costs.cost(connections, gb=gb, queries=queries, days=days, as_json=json)


@task(
    help={
        "serve": "Serve the site on loopback until interrupted.",
        "port": "Port to serve on; any free one by default.",
        "target": TARGET,
    }
)
@told
def docs(_: Context, serve: bool = False, port: str = "", target: str = "") -> None:
    """Write the dbt docs site of both sides (lineage from source to serving, columns of both catalogs)."""
    from penstock.commands import docs as site

    site.docs(_connect(target), serve=serve, port=_number("--port", port))


@task(help={"rows": "Rows of the generated data set."})
@told
def demo(_: Context, rows: str = "") -> None:
    """Set everything up and run the main job on the local stack: up, seed, build, sync, and the result from Postgres."""
    from penstock.commands import demo as demonstration

    demonstration.run(_settings("local"), rows=_number("--rows", rows))


# synthetic data


@task(
    help={
        "num-records": "Sales to generate: 1,000 to 10,000,000.",
        "output-dir": "Folder to write to; output/sales by default, where seed looks.",
        "seed": "Another number, another history; the same number, the same bytes.",
        "format": "parquet or jsonl.",
    }
)
@told
def generate_sales(
    _: Context, num_records: str = "100000", output_dir: str = "", seed: str = "", format: str = "parquet"
) -> None:
    """Write a synthetic sales history: two years, seven tenants, embeddings of 1,024 numbers."""
    from penstock.commands import generate

    generate.sales(
        records=_number("--num-records", num_records),
        folder=output_dir,
        seed=_number("--seed", seed) if seed else None,
        form=format,
    )


# tables of the lake

LAKE_TABLE = "Model, or database.table."


@task(
    positional=["table"],
    help={
        "table": LAKE_TABLE,
        "limit": "Snapshots to show, newest first; 0 shows all. Default 20.",
        "json": "Print JSON, for a program.",
        "target": TARGET,
        "branch": BRANCH,
    },
)
@told
def lake_history(
    _: Context, table: str, limit: str = "20", json: bool = False, target: str = "", branch: str = ""
) -> None:
    """Show a table's snapshots: what each did, rows, files, bytes, which is current and which one Postgres holds."""
    from penstock.commands import lake

    lake.history(_connect(target, branch), table, as_json=json, limit=_number("--limit", limit))


@task(
    positional=["table"],
    help={
        "table": LAKE_TABLE,
        "to": "Snapshot's id (lake.history), or a time: 2026-03-01T06:00, UTC.",
        "yes": "Do not ask.",
        "target": TARGET,
        "branch": BRANCH,
    },
)
@told
def lake_rollback(
    _: Context, table: str, to: str = "", yes: bool = False, target: str = "", branch: str = ""
) -> None:
    """Put a table back to a snapshot or a time, after asking; undone by rolling forward. A sync follows it exactly."""
    from penstock.commands import lake

    lake.rollback(_connect(target, branch), table, to=to, yes=yes)


@task(
    positional=["table"],
    help={
        "table": LAKE_TABLE,
        "where": "Partitions alone, as Athena's OPTIMIZE takes them: year = 2026.",
        "target": TARGET,
        "branch": BRANCH,
    },
)
@told
def lake_optimize(_: Context, table: str, where: str = "", target: str = "", branch: str = "") -> None:
    """Compact a table's small files and its deletes by Athena's OPTIMIZE. No row changes, in the lake or in Postgres."""
    from penstock.commands import lake

    lake.optimize(_connect(target, branch), table, where=where)


@task(
    positional=["table"],
    help={"table": LAKE_TABLE, "yes": "Do not ask.", "target": TARGET, "branch": BRANCH},
)
@told
def lake_vacuum(_: Context, table: str, yes: bool = False, target: str = "", branch: str = "") -> None:
    """Forget a table's old snapshots by Athena's VACUUM; asks where Postgres still holds one of them."""
    from penstock.commands import lake

    lake.vacuum(_connect(target, branch), table, yes=yes)


@task(
    help={
        "table": f"{LAKE_TABLE} All Iceberg models of the last build by default.",
        "dry-run": "Only say what is due.",
        "target": TARGET,
        "branch": BRANCH,
    },
)
@told
def lake_upkeep(
    _: Context, table: str = "", dry_run: bool = False, target: str = "", branch: str = ""
) -> None:
    """Compact and vacuum the tables for which it is due, by meta.upkeep or the settings, and say why the others are not.

    Fit for a schedule: a table that is well costs a look at its metadata and no query.
    """
    from penstock.commands import lake

    lake.upkeep(_connect(target, branch), _settings(target, branch), table=table, dry_run=dry_run)


@task(
    positional=["table"],
    help={
        "table": LAKE_TABLE,
        "older-than": "Age of what is called an orphan: 3d, 36h; an hour at least. Default 3d.",
        "delete": "Delete them, after asking.",
        "yes": "Do not ask.",
        "target": TARGET,
        "branch": BRANCH,
    },
)
@told
def lake_orphans(
    _: Context,
    table: str,
    older_than: str = "3d",
    delete: bool = False,
    yes: bool = False,
    target: str = "",
    branch: str = "",
) -> None:
    """List the files below a table's location that no snapshot and no metadata references, with their bytes."""
    from penstock.commands import lake

    lake.orphans(_connect(target, branch), table, older_than=older_than, delete=delete, yes=yes)


@task(
    positional=["table"],
    help={
        "table": LAKE_TABLE,
        "by": "The new partitioning: tenant_id,year,month or month(sold_date). Left out, an interrupted one goes on.",
        "finish": "Delete the old layout, after asking.",
        "abort": "Go back to the old layout, after asking, with what was built since.",
        "status": "Say where it stands.",
        "yes": "Do not ask.",
        "target": TARGET,
        "branch": BRANCH,
    },
)
@told
def lake_repartition(
    _: Context,
    table: str,
    by: str = "",
    finish: bool = False,
    abort: bool = False,
    status: bool = False,
    yes: bool = False,
    target: str = "",
    branch: str = "",
) -> None:
    """Give a table another partitioning in one step that no reader notices; interrupted, run it again.

    Copied by CTAS and INSERTs, proved by counts and checksums, moved by one UpdateTable: docs/runbooks/repartition.md
    """
    from penstock.commands import lake

    lake.repartition(
        _connect(target, branch), table, by=by, finish=finish, abort=abort, status=status, yes=yes
    )


# database branches

BRANCH_NAME = "preview/pr-12, say; git: the one that the checked out git branch proposes."


@task(
    positional=["name"],
    help={
        "name": BRANCH_NAME,
        "expires": "When it goes by itself: 36h, 7d or a time (2027-01-31T12:00:00Z).",
        "target": TARGET,
    },
)
@told
def branch_create(_: Context, name: str, expires: str = "", target: str = "") -> None:
    """Create a database branch from the target's own and wait until it can be used; one that is there is left as it is."""
    from penstock.commands import branch

    branch.create(_settings(target), name, expires=expires)


@task(help={"json": "As JSON, for another program; times in ISO 8601.", "target": TARGET})
@told
def branch_list(_: Context, json: bool = False, target: str = "") -> None:
    """Show the database branches with where they come from, when they expire, their size and host."""
    from penstock.commands import branch

    branch.list_branches(_settings(target), as_json=json)


@task(
    positional=["name"],
    help={
        "name": BRANCH_NAME,
        "pooled": "Through Neon's pooler: for applications, not for a sync.",
        "target": TARGET,
    },
)
@told
def branch_url(_: Context, name: str, pooled: bool = False, target: str = "") -> None:
    """Print the URL of a branch's database with its password, and nothing else: for another program to read."""
    from penstock.commands import branch

    branch.url(_settings(target), name, pooled=pooled)


@task(positional=["name"], help={"name": BRANCH_NAME, "yes": "Do not ask.", "target": TARGET})
@told
def branch_reset(_: Context, name: str, yes: bool = False, target: str = "") -> None:
    """Make a database branch what its parent is now, after asking. Sessions on it end."""
    from penstock.commands import branch

    branch.reset(_settings(target), name, yes=yes)


@task(
    positional=["name"],
    help={
        "name": BRANCH_NAME,
        "expires": "Do not delete it now, but then: 36h, 7d, a time, or never.",
        "marts": "Drop the marts that the preview has built in the lake, too.",
        "yes": "Do not ask.",
        "target": TARGET,
    },
)
@told
def branch_delete(
    _: Context, name: str, expires: str = "", marts: bool = False, yes: bool = False, target: str = ""
) -> None:
    """Delete a database branch, after asking; or say when it is to go. Deleting one that is gone is no error."""
    from penstock.commands import branch

    branch.delete(_settings(target), name, expires=expires, marts=marts, yes=yes)


@task(help={"yes": "Do not ask.", "target": TARGET})
@told
def branch_prune(_: Context, yes: bool = False, target: str = "") -> None:
    """Delete the database branches whose time has come, after asking. Neon does so by itself; locally nobody does."""
    from penstock.commands import branch

    branch.prune(_settings(target), yes=yes)


# quality


@task
@told
def check(_: Context) -> None:
    """Run ruff, mypy --strict, sqlfluff, dbt parse, and compare the generated reference pages."""
    from penstock.commands import quality

    quality.check()


@task(help={"arguments": "Passed on to pytest, quoted as for a shell; `-n 0`: in one process."})
@told
def test(_: Context, arguments: str = "") -> None:  # noqa: PT028
    """Run every test that needs no outside service: pytest, on all cores, each worker with an embedded stack of its own."""
    from penstock.commands import quality

    code = quality.test(arguments, _settings("").test_workers)
    if code:
        raise Exit(code=code)


@task
@told
def reference(_: Context) -> None:
    """Write docs/reference/ (tasks, settings, models) from the code."""
    from penstock.commands import quality

    quality.write_reference()


@task(
    help={
        "file": "Forecast CSV to measure on; a generated one of --rows by default.",
        "rows": "Rows of the generated file.",
        "rounds": "Interleaved rounds of each measurement; the median counts.",
    }
)
@told
def bench_run(_: Context, file: str = "", rows: str = "1251250", rounds: str = "3") -> None:
    """Measure side by side: first load against psql's own COPY, CTAS against DuckDB's own. Prints ratios and peak memory."""
    from penstock.commands import bench as benchmark

    benchmark.run(
        _settings("local"), file=file, rows=_number("--rows", rows), rounds=_number("--rounds", rounds)
    )


@task(
    help={
        "file": "Forecast CSV to measure on; a generated one of --rows by default.",
        "rows": "Rows of the generated file.",
        "rounds": "Interleaved rounds; the median counts.",
        "only": "Ways to measure, of floor, ours, dlt, spec (which takes minutes); all by default.",
        "big": "Also measure tables of so many times the months: 10, or 10,40.",
    }
)
@told
def bench_sync(
    _: Context, file: str = "", rows: str = "1251250", rounds: str = "3", only: str = "", big: str = ""
) -> None:
    """Measure the sync beside psql's floor, dlt and the spec's Lambda: first load, nothing changed, a day's changes.

    Whole processes, interleaved in one run, on a stack of its own; what was written is compared with the lake row by row.
    Prints each promise with what was found. dlt comes with a group of its own: uv run --group bench invoke bench.sync.
    """
    from penstock.commands import bench as benchmark

    benchmark.sync(
        _settings("local"),
        file=file,
        rows=_number("--rows", rows),
        rounds=_number("--rounds", rounds),
        only=only,
        big=big,
    )


@task(
    help={
        "rows": "Rows of the table, in 20 tenants and 24 months.",
        "rounds": "Interleaved rounds; the median counts.",
    }
)
@told
def bench_layouts(_: Context, rows: str = "96000", rounds: str = "3") -> None:
    """Measure a sales table by year and month beside one by tenant, year and month: bytes scanned and seconds."""
    from penstock.commands import bench as benchmark

    benchmark.layouts(_settings("local"), rows=_number("--rows", rows), rounds=_number("--rounds", rounds))


@task(
    positional=["name"],
    help={
        "name": "The source's name, and its table's: small letters, digits and _.",
        "file": "A sample: CSV, Parquet or JSON lines, some hundred rows or more.",
        "key": "Columns that together name a row, comma-separated; the first that does by default.",
        "force": "Replace files that are there.",
    },
)
@told
def source_new(_: Context, name: str, file: str = "", key: str = "", force: bool = False) -> None:
    """Write a new source from a sample file: its declaration, dbt source, staging model and tests."""
    from penstock.commands import source

    source.new(name, file=file, key=key, force=force)


def _collection(name: str, default: Any = None, **others: Any) -> Collection:
    """Return the tasks of one subject: `invoke NAME` runs the default, if there is one, `invoke NAME.OTHER` another."""
    found = Collection(name)
    if default is not None:
        found.add_task(default, "run", default=True)
    for other, body in others.items():
        found.add_task(body, other)
    return found


namespace = Collection(
    *(up, down, status, env, reset),
    *(seed, build, freshness, verify, cost, docs, demo),
    *(check, test, reference),
    _collection("generate", sales=generate_sales),
    _collection("source", new=source_new),
    _collection(
        "branch",
        create=branch_create,
        list=branch_list,
        url=branch_url,
        reset=branch_reset,
        delete=branch_delete,
        prune=branch_prune,
    ),
    _collection("sync", sync_run, status=sync_status, history=sync_history, notify_test=sync_notify_test),
    _collection("query", query_run, library=query_library, list=query_list),
    _collection(
        "lake",
        history=lake_history,
        rollback=lake_rollback,
        optimize=lake_optimize,
        vacuum=lake_vacuum,
        upkeep=lake_upkeep,
        orphans=lake_orphans,
        repartition=lake_repartition,
    ),
    _collection("bench", bench_run, sync=bench_sync, layouts=bench_layouts),
)


if __name__ == "__main__":
    sys.exit("Run tasks by `uv run invoke TASK`; `uv run invoke --list` shows them.")
