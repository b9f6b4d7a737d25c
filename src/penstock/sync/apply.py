"""Rows put into Postgres, within the caller's transaction: a new table loaded, an existing one changed in place.

New: COPY straight into the table made in this transaction, keys and indexes after. There: COPY into temporary tables,
ANALYZE (without it Postgres may choose a plan for the anti-join that never ends), MERGE rows that differ, delete
rows that the lake no longer has. `change` does that with a difference, whose rows are few, `merge` with whole
partitions. Rows that are equal are not written and keep their updated_at. The table is never swapped: views, grants and
policies hang on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import psycopg

from penstock.sync.columns import Column, quoted
from penstock.sync.culprits import note_culprit
from penstock.sync.declaration import Declaration
from penstock.sync.encode import SIGNATURE, TRAILER
from penstock.sync.failed import duplicate
from penstock.sync.partitions import Region
from penstock.sync.plan import Plan
from penstock.sync.schema import table_name
from penstock.sync.state import Connection

STAGING = "penstock_staging"  # rows as they are to be
GONE = "penstock_gone"  # keys of rows that were in the lake and are not, or not so, any more


@dataclass(frozen=True)
class Written:
    """What became of the table: rows that MERGE wrote (inserted or updated), and rows deleted."""

    merged: int = 0
    deleted: int = 0


def copy(
    connection: Connection,
    table: str,
    columns: Sequence[Column],
    blocks: Iterator[bytes],
    *,
    freeze: bool = False,
    copying: Callable[[], None] = lambda: None,
) -> int:
    """Copy binary rows into a table; returns their number. `copying` is called after each block."""
    names = ", ".join(quoted(column.name) for column in columns)
    options = "format binary, freeze" if freeze else "format binary"
    with connection.cursor() as cursor:
        with cursor.copy(f"copy {table} ({names}) from stdin ({options})".encode()) as target:
            for block in chain([SIGNATURE], blocks, [TRAILER]):
                target.write(block)
                copying()
        return cursor.rowcount


def stage(connection: Connection, columns: Sequence[Column], name: str = STAGING) -> str:
    """Create an empty temporary table, which ends with the transaction; returns its name."""
    lines = ", ".join(f"{quoted(column.name)} {column.sql}" for column in columns)
    connection.execute(f"create temporary table {name} ({lines}) on commit drop".encode())
    return f"pg_temp.{name}"


def merge(connection: Connection, declaration: Declaration, columns: Sequence[Column], plan: Plan) -> Written:
    """Make the table's rows in scope equal the staged ones, which are all that the lake has there."""
    connection.execute(f"analyze pg_temp.{STAGING} ({_key(declaration)})".encode())
    # Whole partitions are staged, so both joins meet about as many rows on either side: hash joins are right. Left to itself
    # Postgres took an index lookup a row and a sort (2.4 s against 0.9 s for 424,000 rows).
    connection.execute(
        "select set_config('enable_nestloop', 'off', true), set_config('enable_mergejoin', 'off', true)"
    )
    _refuse_elsewhere(connection, declaration, plan)
    merged = _merge(connection, declaration, columns, plan)
    deleted = connection.execute(
        f"delete from {table_name(declaration)} as t where {plan.predicate('t')}"
        f" and not exists (select 1 from pg_temp.{STAGING} as s where {_on(declaration, 't', 's')})".encode()
    ).rowcount
    return Written(merged, deleted)


def change(
    connection: Connection,
    declaration: Declaration,
    columns: Sequence[Column],
    plan: Plan,
    *,
    staged: int,
    gone: int,
    emptied: Iterable[Region],
) -> Written:
    """Apply a difference to the table's rows in scope: staged rows merged, rows of gone keys and of emptied regions deleted.

    The join is left to Postgres: a few staged rows are looked up by the key's index, many are hashed.
    """
    table, scope = table_name(declaration), plan.predicate("t")
    merged = deleted = 0
    if (staged or gone) and not know_keys(connection, declaration):
        connection.execute("select set_config('enable_nestloop', 'off', true)")  # hashes of the scope's rows
    if staged:
        connection.execute(f"analyze pg_temp.{STAGING} ({_key(declaration)})".encode())
        _refuse_elsewhere(connection, declaration, plan)
        merged = _merge(connection, declaration, columns, plan)
    if gone:
        connection.execute(f"analyze pg_temp.{GONE}".encode())
        kept = ""
        if staged:
            kept = (
                f" and not exists (select 1 from pg_temp.{STAGING} as s where {_on(declaration, 'g', 's')})"
            )
        deleted = connection.execute(
            f"delete from {table} as t using pg_temp.{GONE} as g"
            f" where {_on(declaration, 't', 'g')} and {scope}{kept}".encode()
        ).rowcount
    empty = frozenset(emptied)
    if empty:
        predicate = plan.bounds.predicate(empty, "t")
        deleted += connection.execute(f"delete from {table} as t where {predicate}".encode()).rowcount
    return Written(merged, deleted)


def count(connection: Connection, declaration: Declaration, plan: Plan) -> int:
    """Return how many rows the table has in scope."""
    row = connection.execute(
        f"select count(*) from {table_name(declaration)} as t where {plan.predicate('t')}".encode()
    ).fetchone()
    return int(row[0]) if row else 0


def _key(declaration: Declaration) -> str:
    return ", ".join(map(quoted, declaration.key))


def _on(declaration: Declaration, left: str, right: str) -> str:
    return " and ".join(f"{left}.{quoted(name)} = {right}.{quoted(name)}" for name in declaration.key)


def know_keys(connection: Connection, declaration: Declaration) -> bool:
    """See to it that Postgres knows how the table's keys are spread; return whether it does.

    A table just loaded, or restored, has no statistics. Without them Postgres took the index of a date for each staged row
    instead of the key's (9 s against 0.1 s for 8,000 rows in 400,000). Not known: another session (autovacuum) is at it.
    """
    if _keys_known(connection, declaration):
        return True
    connection.execute(f"analyze (skip_locked) {table_name(declaration)} ({_key(declaration)})".encode())
    return _keys_known(connection, declaration)


def _keys_known(connection: Connection, declaration: Declaration) -> bool:
    row = connection.execute(
        "select count(distinct attname) from pg_stats where schemaname = %s and tablename = %s and attname = any(%s)",
        [declaration.schema, declaration.table, list(declaration.key)],
    ).fetchone()
    return row == (len(declaration.key),)


def _refuse_elsewhere(connection: Connection, declaration: Declaration, plan: Plan) -> None:
    """Raise SyncError when the table holds a staged key outside the scope: merged by key, that partition would lose it."""
    if plan.scope is None or plan.disjoint(declaration.key) or not plan.bounds.fields:
        return
    key = ", ".join(f"t.{quoted(name)}" for name in declaration.key)
    groups = plan.bounds.group_sql("t")
    row = connection.execute(
        f"select {', '.join([key, *groups])} from {table_name(declaration)} as t"
        f" inner join pg_temp.{STAGING} as s on {_on(declaration, 't', 's')}"
        f" where not coalesce({plan.predicate('t')}, false) limit 1".encode()
    ).fetchone()
    if row is not None:
        where = plan.bounds.label(plan.bounds.region_of(row[len(declaration.key) :]))
        shown = _shown(declaration, row)
        raise duplicate(
            declaration,
            f"{shown} is in a partition that changed and, as it was synced, in {where} too",
        )


def _merge(connection: Connection, declaration: Declaration, columns: Sequence[Column], plan: Plan) -> int:
    match = _on(declaration, "t", "s")
    if plan.disjoint(declaration.key):  # lets Postgres read only this part of the table
        match += f" and {plan.predicate('t')}"
    names = [quoted(column.name) for column in columns]
    others = [quoted(column.name) for column in columns if column.name not in declaration.key]
    update = ""
    if others:
        old, new = (", ".join(f"{alias}.{name}" for name in others) for alias in "ts")
        assignments = ", ".join(f"{name} = s.{name}" for name in others)
        update = (
            f" when matched and ({old}) is distinct from ({new})"
            f" then update set {assignments}, updated_at = current_timestamp"
        )
    statement = (
        f"merge into {table_name(declaration)} as t using pg_temp.{STAGING} as s on {match}{update}"
        f" when not matched then insert ({', '.join(names)}) values ({', '.join(f's.{name}' for name in names)})"
    )
    try:
        with connection.transaction():  # a savepoint: the staged rows are still there to say which key it was
            return connection.execute(statement.encode()).rowcount
    except (psycopg.errors.CardinalityViolation, psycopg.errors.UniqueViolation) as error:
        refuse_duplicates(connection, declaration)
        if isinstance(error, psycopg.errors.UniqueViolation):
            note_culprit(connection, declaration, plan, f"pg_temp.{STAGING}", error)
        raise error
    except psycopg.IntegrityError as error:
        note_culprit(connection, declaration, plan, f"pg_temp.{STAGING}", error)
        raise


def refuse_duplicates(connection: Connection, declaration: Declaration) -> None:
    """Raise SyncError naming the first key that the staged rows hold more than once, if any does."""
    key = _key(declaration)
    row = connection.execute(
        f"select {key}, count(*) from pg_temp.{STAGING} group by {key} having count(*) > 1 order by {key} limit 1".encode()
    ).fetchone()
    if row is not None:
        raise duplicate(declaration, f"{_shown(declaration, row)} is there {row[-1]} times")


def _shown(declaration: Declaration, row: Sequence[object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in zip(declaration.key, row, strict=False))
