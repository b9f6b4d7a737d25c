"""The synced table's shape: created as declared, converged where that loses nothing, refused by name where it would.

A new table is `id serial` + the lake's columns + created_at, updated_at, with the natural key unique. On an existing
one, missing columns and indexes are added and types widened, in a short transaction of their own before any data
moves, so that readers never wait for a load. SchemaDriftError: a column that was synced is gone from the lake or
renamed, a type was narrowed, the key changed.

What needs a look at every row runs apart (`build`), under locks that stop no reader: indexes, the natural key where it
is missing, and the proof that a column declared not null holds no null; `converge` then is told again and sets it.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from penstock.errors import PlanError, SchemaDriftError
from penstock.sync import options
from penstock.sync.columns import Column, SqlType, parse_declared, quoted
from penstock.sync.declaration import OWN_COLUMNS, Declaration
from penstock.sync.options import table_name as table_name
from penstock.sync.state import Connection, SyncState

_STAMPS = ("created_at", "updated_at")
_PROOF = "penstock_filled_"
# Percent of a page that a load fills: 90 to 100. An update of columns in no index then stays on its page and touches no
# index: 12,500 updates of 1.25M rows with eight indexes took 0.8 s of the server's CPU and 21 MB of WAL instead of 2.1 s
# and 53 MB. Room for about four rows a page; less than that does for larger changes, more makes every scan longer.
FILLFACTOR = 95


def exists(connection: Connection, declaration: Declaration) -> bool:
    row = connection.execute("select to_regclass(%s) is not null", [table_name(declaration)]).fetchone()
    return row == (True,)


def check_columns(declaration: Declaration, columns: Sequence[Column]) -> None:
    """Raises PlanError where the declaration and the lake's columns do not fit together."""
    names = {column.name for column in columns}
    for name in OWN_COLUMNS:
        if name in names:
            raise PlanError(
                f"{declaration.model}: column '{name}' is the synced table's own; rename it in the model."
            )
    options.check(declaration, columns)


def check_drift(declaration: Declaration, columns: Sequence[Column], state: SyncState | None) -> None:
    """Compare with what was synced last; raises SchemaDriftError for a lost or renamed column or another key."""
    if state is None:
        return
    now = {column.name for column in columns}
    renamed = {column.field_id: column.name for column in columns if not column.expression}
    for before in state.columns:
        name = before["name"]
        if name in now:
            continue
        became = renamed.get(before["field_id"])
        what, back = "is gone", "Put it back in the model"
        if name in declaration.exclude:
            what, back = "is excluded now", "Take it out of meta.sync.exclude"
        elif became:
            what, back = (
                f"was renamed to '{became}'",
                f"Keep its name in meta.sync.columns: `{name}: {{from: {became}}}`",
            )
        raise SchemaDriftError(
            f"{declaration.lake}: column '{name}' {what}, and {declaration.target} still has it.",
            hint=f"{back}, or drop the Postgres table and sync it anew.",
        )
    if state.key != declaration.key:
        raise SchemaDriftError(
            f"{declaration.target}: the key was ({', '.join(state.key)}) and is now ({', '.join(declaration.key)}).",
            hint="Sync into a table of another name, or drop this one: a changed key makes every row another row.",
        )


def need_types(connection: Connection, declaration: Declaration, columns: Sequence[Column]) -> list[str]:
    """Make the extension that a column's type comes from; returns what was done. Raises PlanError where that cannot be."""
    needing = [column for column in columns if column.type.kind == "vector"]
    if not needing or connection.execute("select to_regtype('vector') is not null").fetchone() == (True,):
        return []
    what = f"{declaration.model}: column '{needing[0].name}' is {needing[0].type.sql}"
    there = connection.execute("select 1 from pg_available_extensions where name = 'vector'").fetchone()
    if there is None:
        raise PlanError(
            f"{what}, and this Postgres server has no pgvector.",
            hint="Install pgvector on the server, or declare the column as real[].",
        )
    try:
        with connection.transaction():
            # not where the search path begins: that may be the sync's own schema, which nobody else may use
            connection.execute("create extension if not exists vector with schema public")
    except psycopg.errors.InsufficientPrivilege:
        raise PlanError(
            f"{what}, and the extension is not in this database.",
            hint="Let an administrator run `create extension vector` in it: the sync's role may not.",
        ) from None
    if connection.execute("select to_regtype('vector') is null").fetchone() == (True,):
        raise PlanError(
            f"{what}, and the extension is in a schema that is not on the search path.",
            hint="Move it: `alter extension vector set schema public`.",
        )
    return ["extension vector"]


def create(connection: Connection, declaration: Declaration, columns: Sequence[Column]) -> None:
    """Create the empty table without keys and indexes: they are built after the load, which is far cheaper."""
    lines = ["id serial not null", *(f"{quoted(column.name)} {column.sql}" for column in columns)]
    lines += [f"{name} timestamp default current_timestamp" for name in _STAMPS]
    if declaration.schema != "public":
        connection.execute(f"create schema if not exists {quoted(declaration.schema)}".encode())
    need_types(connection, declaration, columns)
    lines += [options.generated_sql(wanted) for wanted in declaration.generated]
    shape = f"{', '.join(lines)}) with (fillfactor = {FILLFACTOR}"
    options.begin(connection, declaration)
    with options.refused(declaration, "the table"):
        connection.execute(f"create table {table_name(declaration)} ({shape})".encode())
    options.guard(connection, declaration)


def index(connection: Connection, declaration: Declaration) -> None:
    """Build the new table's primary key, natural key and declared indexes, and make what else is declared."""
    connection.execute(f"alter table {table_name(declaration)} add primary key (id)".encode())
    name, columns = quoted(_key_name(declaration)), ", ".join(map(quoted, declaration.key))
    connection.execute(
        f"alter table {table_name(declaration)} add constraint {name} unique ({columns})".encode()
    )
    options.build(connection, declaration)
    options.converge(connection, declaration)


def converge(connection: Connection, declaration: Declaration, columns: Sequence[Column]) -> list[str]:
    """Bring an existing table to the declared shape; returns what was done. The caller holds the lock and commits."""
    found = _actual(connection, declaration)
    table = table_name(declaration)
    done = need_types(connection, declaration, columns)
    proofs = _proofs(connection, declaration)

    def alter(clause: str) -> None:
        connection.execute(f"alter table {table} {clause}".encode())
        done.append(clause)

    for column in columns:
        name = quoted(column.name)
        if column.name not in found:
            if column.not_null:
                raise SchemaDriftError(
                    f"{declaration.target} lacks column '{column.name}', which is declared not null; only nullable columns"
                    " are added to a table with rows.",
                    hint="Declare it nullable first, sync, then declare it not null.",
                )
            alter(f"add column {name} {column.sql}")
            continue
        actual, not_null = found[column.name]
        if actual != column.type.sql:
            if not _widens(actual, column.type):
                raise SchemaDriftError(
                    f"{declaration.target}: column '{column.name}' is {actual} and cannot become {column.type.sql}:"
                    " that could lose values.",
                    hint="Declare the type it has in meta.sync.columns, or change the column by hand.",
                )
            alter(f"alter column {name} type {column.type.sql}")
        proof = _proof_name(column)
        if not_null and not column.not_null:
            alter(f"alter column {name} drop not null")
        elif column.not_null and not not_null:
            if proofs.get(proof) is None:
                connection.execute(f"alter table {table} add {_proof(column)} not valid".encode())
            elif proofs[proof]:
                alter(f"alter column {name} set not null")
        if proof in proofs and (proofs[proof] or not column.not_null):
            connection.execute(f"alter table {table} drop constraint {quoted(proof)}".encode())
    for name in _STAMPS:
        if name not in found:
            alter(f"add column {name} timestamp default current_timestamp")
    return done + options.converge(connection, declaration)


def is_built(connection: Connection, declaration: Declaration) -> bool:
    """Whether nothing is left for `build`: key, indexes, and columns that are to be not null."""
    return (
        _has_key(connection, declaration)
        and not options.missing_indexes(connection, declaration)
        and not _proofs(connection, declaration)
    )


def build(connection: Connection, declaration: Declaration, columns: Sequence[Column]) -> list[str]:
    """Build what needs a look at every row of an existing table; returns what was done. Readers go on, writers wait."""
    done = []
    table = table_name(declaration)
    if not _has_key(connection, declaration):
        keys = ", ".join(map(quoted, declaration.key))
        connection.execute(
            f"create unique index {quoted(_key_name(declaration))} on {table} ({keys})".encode()
        )
        done.append(f"unique ({keys})")
    done += options.build(connection, declaration)
    proofs = _proofs(connection, declaration)
    for column in columns:
        if proofs.get(_proof_name(column)) is False:
            try:
                with connection.transaction():
                    connection.execute(
                        f"alter table {table} validate constraint {quoted(_proof_name(column))}".encode()
                    )
            except psycopg.errors.CheckViolation:
                raise SchemaDriftError(
                    f"{declaration.target}: column '{column.name}' holds nulls and is declared not null.",
                    hint="Declare it nullable, sync the rows that mend it, then declare it not null.",
                ) from None
    return done


def _key_name(declaration: Declaration) -> str:
    return f"{declaration.table[:59]}_key"


def _proof_name(column: Column) -> str:
    return f"{_PROOF}{column.name[:46]}"


def _proof(column: Column) -> str:
    """The constraint that proves a column to be without nulls before it is set not null, which then scans nothing."""
    return f"constraint {quoted(_proof_name(column))} check ({quoted(column.name)} is not null)"


def _proofs(connection: Connection, declaration: Declaration) -> dict[str, bool]:
    """Return the names of such constraints on the table and whether they are validated."""
    rows = connection.execute(
        "select conname, convalidated from pg_constraint where conrelid = to_regclass(%s) and conname like %s",
        [table_name(declaration), _PROOF.replace("_", r"\_") + "%"],
    ).fetchall()
    return {row[0]: row[1] for row in rows}


def _has_key(connection: Connection, declaration: Declaration) -> bool:
    """Whether a unique index over just the key's columns, whatever their order, holds for all rows."""
    row = connection.execute(
        "select exists (select 1 from pg_index as i where i.indrelid = %s::regclass and i.indisunique and i.indpred is null"
        " and i.indisvalid and (select array_agg(a.attname::text order by a.attname::text) from pg_attribute as a"
        " where a.attrelid = i.indrelid and a.attnum = any(i.indkey)) = %s and i.indnkeyatts = %s)",
        [table_name(declaration), sorted(declaration.key), len(declaration.key)],
    ).fetchone()
    return row == (True,)


def _actual(connection: Connection, declaration: Declaration) -> dict[str, tuple[str, bool]]:
    rows = connection.execute(
        "select attname, format_type(atttypid, atttypmod), attnotnull from pg_attribute"
        " where attrelid = %s::regclass and attnum > 0 and not attisdropped",
        [table_name(declaration)],
    ).fetchall()
    return {row[0]: (row[1], row[2]) for row in rows}


def _widens(actual: str, wanted: SqlType) -> bool:
    try:
        return wanted.widens(parse_declared(actual)[0])
    except ValueError:
        return False
