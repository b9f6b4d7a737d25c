"""What Postgres remembers of its syncs: schema `penstock`, and the spec's status table.

`penstock.sync_state` has one row a synced table: which snapshot of which lake table its rows are. It is written in
the transaction that wrote the rows, so it is never ahead of them or behind. `penstock.sync_runs` has a row a run,
failed ones included; `penstock.sync_attempts` a row a run that is at work; `penstock.sync_notices` a row a failing
table of which somebody was told; `penstock.sync_objects` a row an index, grant, policy … that the sync made on a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from penstock.sync.declaration import Declaration

_TABLES = """
create schema if not exists penstock;
create table if not exists penstock.sync_runs (
    id bigint generated always as identity primary key,
    target text not null,
    lake text not null,
    status text not null check (status in ('success', 'failed')),
    mode text not null,
    reason text not null,
    snapshot_id bigint,
    partitions integer not null default 0,
    files integer not null default 0,
    bytes_read bigint not null default 0,
    rows_read bigint not null default 0,
    inserted bigint not null default 0,
    updated bigint not null default 0,
    deleted bigint not null default 0,
    seconds jsonb not null default '{}',
    error text,
    started_at timestamptz not null,
    finished_at timestamptz not null default clock_timestamp()
);
create index if not exists sync_runs_target_idx on penstock.sync_runs (target, id);
alter table penstock.sync_runs
    add column if not exists unchanged bigint not null default 0,
    add column if not exists step text,
    add column if not exists hint text,
    add column if not exists schema_changes jsonb not null default '[]',
    add column if not exists runs integer not null default 1;
create table if not exists penstock.sync_attempts (
    token uuid primary key,
    target text not null,
    lake text not null,
    backend_pid integer not null default pg_backend_pid(),
    backend_start timestamptz,
    host text not null,
    process integer not null,
    started_at timestamptz not null
);
create index if not exists sync_attempts_target_idx on penstock.sync_attempts (target);
create table if not exists penstock.sync_notices (
    target text primary key,
    error text not null,
    since timestamptz not null,
    told_at timestamptz not null
);
create table if not exists penstock.sync_state (
    target text primary key,
    lake text not null,
    table_uuid uuid not null,
    metadata_location text not null,
    snapshot_id bigint,
    columns jsonb not null,
    key jsonb not null,
    declaration text not null,
    run_id bigint not null references penstock.sync_runs (id),
    committed_at timestamptz not null default now()
);
create table if not exists penstock.sync_partitions (
    target text not null,
    partition text not null,
    region jsonb not null,
    rows bigint not null,
    checksum numeric not null,
    files text not null,
    columns text not null,
    primary key (target, partition)
);
create table if not exists penstock.sync_objects (
    target text not null,
    kind text not null,
    name text not null,
    definition text not null,
    primary key (target, kind, name)
);
create table if not exists penstock.sync_rounds (
    id bigint generated always as identity primary key,
    target text not null unique,
    metadata_location text not null,
    mode text not null,
    shares jsonb not null,
    declaration text not null,
    state jsonb,
    failed boolean not null default false,
    started_at timestamptz not null default clock_timestamp()
);
create table if not exists penstock.sync_shards (
    round bigint not null references penstock.sync_rounds (id) on delete cascade,
    shard integer not null,
    finished_at timestamptz not null default clock_timestamp(),
    primary key (round, shard)
);
"""

_STATUS_TABLE = """
create table if not exists {} (
    id serial primary key,
    sync_type varchar(50) not null,
    last_sync_timestamp timestamp,
    last_sync_date date,
    records_synced integer,
    status varchar(20) not null,
    error_message text,
    created_at timestamp default current_timestamp
)
"""


@dataclass(frozen=True)
class SyncState:
    """The lake state that a Postgres table holds."""

    lake: str
    table_uuid: str
    metadata_location: str
    snapshot_id: int | None
    columns: list[dict[str, Any]]
    key: tuple[str, ...]
    declaration: str


Connection = psycopg.Connection[Any]


def read_state(connection: Connection, declaration: Declaration) -> SyncState | None:
    """Return what the declaration's table holds; None when it was never synced or the table is gone. One or two queries."""
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "select to_regclass('penstock.sync_state') is not null and to_regclass(%s) is not null as known",
            [f'"{declaration.schema}"."{declaration.table}"'],
        )
        row = cursor.fetchone()
        if not row or not row["known"]:
            return None
        cursor.execute("select * from penstock.sync_state where target = %s", [declaration.target])
        row = cursor.fetchone()
    return None if row is None else state_of(row)


def state_of(row: dict[str, Any]) -> SyncState:
    """Return the state of a row of `penstock.sync_state`."""
    return SyncState(
        lake=row["lake"],
        table_uuid=str(row["table_uuid"]),
        metadata_location=row["metadata_location"],
        snapshot_id=row["snapshot_id"],
        columns=row["columns"],
        key=tuple(row["key"]),
        declaration=row["declaration"],
    )


def prepare(connection: Connection, declaration: Declaration) -> None:
    """Create what is missing of the state tables and the status table, once at a time; commits."""
    with connection.transaction():
        row = connection.execute(
            "select to_regclass('penstock.sync_state') is not null and to_regclass('penstock.sync_attempts') is not null"
            " and to_regclass('penstock.sync_partitions') is not null and to_regclass('penstock.sync_objects') is not null"
            " and to_regclass('penstock.sync_shards') is not null,"
            " %s = '' or to_regclass(%s) is not null",
            [declaration.status_table, f'"{declaration.schema}"."{declaration.status_table}"'],
        ).fetchone()
        if row == (True, True):
            return
        connection.execute("select pg_advisory_xact_lock(hashtextextended('penstock.sync_state', 0))")
        connection.execute(_TABLES)
        if declaration.status_table:
            name = sql.Identifier(declaration.schema, declaration.status_table)
            connection.execute(sql.SQL(_STATUS_TABLE).format(name))


def write_state(connection: Connection, declaration: Declaration, state: SyncState, run_id: int) -> None:
    """Record the lake state that the table now holds. The caller commits, together with the rows."""
    connection.execute(
        "insert into penstock.sync_state as s (target, lake, table_uuid, metadata_location, snapshot_id, columns, key,"
        " declaration, run_id) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " on conflict (target) do update set (lake, table_uuid, metadata_location, snapshot_id, columns, key, declaration,"
        " run_id, committed_at) = (excluded.lake, excluded.table_uuid, excluded.metadata_location, excluded.snapshot_id,"
        " excluded.columns, excluded.key, excluded.declaration, excluded.run_id, now())",
        [
            declaration.target,
            state.lake,
            state.table_uuid,
            state.metadata_location,
            state.snapshot_id,
            Jsonb(state.columns),
            Jsonb(list(state.key)),
            state.declaration,
            run_id,
        ],
    )
