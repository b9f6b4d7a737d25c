"""First load of forecast_data against what Postgres can physically do: psql's binary \\copy of the same rows into the same
table, then the same indexes, in one transaction.

Ours is the whole process of `invoke sync`, from starting Python to the commit, verification included; the floor is the whole
process of psql. The floor's file is written beforehand, from the very rows the sync wrote, and is not timed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psycopg

from penstock.bench.measure import Took, command
from penstock.connections import Connections
from penstock.errors import PenstockError
from penstock.local.postgres import binaries
from penstock.settings import PROJECT_ROOT

TABLE = "forecast_data"
FLOOR = "bench_floor"
COLUMNS = "restaurant_id, inventory_item_id, business_date, dma_id, dc_id, state, y_05, y_50, y_95"


def ours(connections: Connections, state_dir: Path) -> Took:
    """Forget the table and its state, then sync it as a user would."""
    with psycopg.connect(connections.postgres_url(), autocommit=True) as connection:
        connection.execute(f"drop table if exists public.{TABLE} cascade")
        connection.execute("drop schema if exists penstock cascade")
        connection.execute("checkpoint")
    env = {**os.environ, "PENSTOCK_STATE_DIR": str(state_dir), "PENSTOCK_TARGET": "local"}
    return command([sys.executable, "-m", "invoke", "sync"], env=env, cwd=PROJECT_ROOT)


def export(connections: Connections, path: Path) -> None:
    """Write the synced rows as a binary COPY file: the floor's input."""
    statement = f"copy public.{TABLE} ({COLUMNS}) to stdout (format binary)"
    with (
        psycopg.connect(connections.postgres_url()) as connection,
        connection.cursor().copy(statement) as copy,
        path.open("wb") as file,
    ):
        file.writelines(copy)


def floor(connections: Connections, copied: Path) -> Took:
    """Load the file into an empty table of the same shape by psql, and build the same indexes."""
    script = copied.with_suffix(".sql")
    script.write_text(_script(connections, copied), encoding="utf-8")
    with psycopg.connect(connections.postgres_url(), autocommit=True) as connection:
        connection.execute(f"drop table if exists public.{FLOOR} cascade")
        connection.execute("checkpoint")
    psql = str(binaries() / "psql")
    arguments = [
        psql,
        "-X",
        "-q",
        "-1",
        "-v",
        "ON_ERROR_STOP=1",
        "-f",
        str(script),
        connections.postgres_url(),
    ]
    return command(arguments)


def indexes(connections: Connections) -> list[tuple[str, str]]:
    """Return name and definition of each index of the table that the sync made."""
    with psycopg.connect(connections.postgres_url()) as connection:
        return connection.execute(
            "select indexname, indexdef from pg_indexes where schemaname = 'public' and tablename = %s order by indexname",
            (TABLE,),
        ).fetchall()


def _script(connections: Connections, copied: Path) -> str:
    """Return psql's script; the indexes are read from the table the sync made, so that both sides build the same."""
    found = indexes(connections)
    if not found:
        raise PenstockError(
            f"{TABLE} has no indexes to compare with.", hint="The sync has to run before its floor."
        )
    lines = [
        f"create table public.{FLOOR} (like public.{TABLE} including defaults including constraints);",
        f"\\copy public.{FLOOR} ({COLUMNS}) from '{copied}' with (format binary, freeze)",
    ]
    for name, definition in found:
        indexed = definition.replace(f" {name} ", f" {FLOOR}_{name} ", 1).replace(
            f" ON public.{TABLE} ", f" ON public.{FLOOR} ", 1
        )
        if indexed.count(FLOOR) != 2:
            raise PenstockError(f"Cannot rebuild this index on the floor's table: {definition}")
        lines.append(indexed + ";")
    return "\n".join(lines) + "\n"


def rows(connections: Connections, table: str) -> int:
    with psycopg.connect(connections.postgres_url()) as connection:
        found = connection.execute(f"select count(*) from public.{table}").fetchone()
    assert found is not None
    return int(found[0])
