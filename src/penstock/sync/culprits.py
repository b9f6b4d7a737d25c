"""Which staged row a constraint refused.

Postgres names the constraint; of a foreign key only its columns' values, and of other rows none. So the staged rows, which a
savepoint has kept, are asked which of them the constraint is about. What cannot be told so (a trigger's own words, a
constraint checked only at the commit) is left as Postgres says it.
"""

from __future__ import annotations

from typing import Any

import psycopg

from penstock.sync.columns import quoted
from penstock.sync.declaration import Declaration
from penstock.sync.plan import Plan
from penstock.sync.schema import table_name
from penstock.sync.state import Connection

# The sync has failed already: nobody waits long to read which row it was.
PATIENCE = "30s"


def note_culprit(
    connection: Connection, declaration: Declaration, plan: Plan, staging: str, error: psycopg.IntegrityError
) -> None:
    """Add to the error, as a note, the key and the partition of the first row at fault, where that can be told.

    The caller has rolled back to a savepoint, after which `staging` holds the rows that were refused.
    """
    try:
        with connection.transaction():
            connection.execute("select set_config('statement_timeout', %s, true)", [PATIENCE])
            for condition in _conditions(connection, declaration, staging, error):
                told = _first(connection, declaration, plan, staging, condition)
                if told:
                    error.add_note(told)
                    return
    except psycopg.Error:
        # it takes too long, or the constraint is about columns that only the table has: what Postgres said must do
        return


def _first(connection: Connection, declaration: Declaration, plan: Plan, staging: str, condition: str) -> str:
    key = [f"s.{quoted(name)}" for name in declaration.key]
    groups = plan.bounds.group_sql("s")
    row = connection.execute(
        f"select {', '.join([*key, *groups])} from {staging} as s where {condition}"
        f" order by {', '.join(key)} limit 1".encode()
    ).fetchone()
    if row is None:
        return ""
    shown = ", ".join(f"{name}={value}" for name, value in zip(declaration.key, row, strict=False))
    if not groups:
        return f"key {shown}"
    return f"key {shown} (partition {plan.bounds.label(plan.bounds.region_of(row[len(key) :]))})"


def _conditions(
    connection: Connection, declaration: Declaration, staging: str, error: psycopg.IntegrityError
) -> list[str]:
    """Return SQL conditions of staged rows `s` that break the constraint, to be tried in turn; none where it is unknown."""
    table, name, column = table_name(declaration), error.diag.constraint_name, error.diag.column_name
    if isinstance(error, psycopg.errors.NotNullViolation) and column:
        return [f"s.{quoted(column)} is null"]
    if isinstance(error, psycopg.errors.UniqueViolation):
        return _repeated(declaration, staging, _index_columns(connection, table, name))
    found = connection.execute(
        "select contype::text, pg_get_expr(conbin, conrelid), confrelid::regclass::text,"
        " (select array_agg(attname::text order by i) from unnest(conkey) with ordinality as k (number, i)"
        " inner join pg_attribute on attrelid = conrelid and attnum = number),"
        " (select array_agg(attname::text order by i) from unnest(confkey) with ordinality as k (number, i)"
        " inner join pg_attribute on attrelid = confrelid and attnum = number)"
        " from pg_constraint where conrelid = to_regclass(%s) and conname = %s",
        [table, name],
    ).fetchone()
    if found is None:
        return []
    kind, expression, other, columns, theirs = found
    if kind == "c":
        return [f"not ({expression})"]
    return [_orphaned(other, columns, theirs)] if kind == "f" else []


def _orphaned(other: str, columns: list[str], theirs: list[str]) -> str:
    """Rows with no row of the other table to refer to; those with a null refer to none."""
    known = " and ".join(f"s.{quoted(name)} is not null" for name in columns)
    same = " and ".join(f"o.{quoted(b)} = s.{quoted(a)}" for a, b in zip(columns, theirs, strict=True))
    return f"{known} and not exists (select 1 from {other} as o where {same})"


def _index_columns(connection: Connection, table: str, name: str | None) -> list[str]:
    """The columns of a unique index; none where an expression or a condition is part of it."""
    row: Any = connection.execute(
        "select array_agg(a.attname::text order by k.i) from pg_index as x"
        " inner join pg_class as c on c.oid = x.indexrelid"
        " cross join unnest(x.indkey::smallint[]) with ordinality as k (number, i)"
        " inner join pg_attribute as a on a.attrelid = x.indrelid and a.attnum = k.number"
        " where x.indrelid = to_regclass(%s) and c.relname = %s and k.i <= x.indnkeyatts"
        " and x.indexprs is null and x.indpred is null",
        [table, name],
    ).fetchone()
    return list(row[0]) if row is not None and row[0] else []


def _repeated(declaration: Declaration, staging: str, columns: list[str]) -> list[str]:
    """Rows that share a unique key, other than the declared one, with another row of the table or of the staged ones.

    Two conditions, for joined by "or" Postgres would compare each row with each.
    """
    if not columns:
        return []
    same = " and ".join(f"o.{quoted(name)} = s.{quoted(name)}" for name in columns)
    other = " or ".join(f"o.{quoted(name)} <> s.{quoted(name)}" for name in declaration.key)
    return [
        f"exists (select 1 from {source} as o where {same} and ({other}))"
        for source in (table_name(declaration), staging)
    ]
