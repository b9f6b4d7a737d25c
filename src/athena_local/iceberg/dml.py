"""INSERT, DELETE and UPDATE: one DuckDB pass finds what changes, one snapshot commits it (`changes.py`)."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.iceberg import planning, scans, trees
from athena_local.iceberg.changes import PATH, POSITION, apply, counted
from athena_local.iceberg.coerce import check_assignable
from athena_local.iceberg.commit import Changes, check_writable, commit_changes
from athena_local.iceberg.predicates import to_filter
from athena_local.iceberg.scans import scalar
from athena_local.iceberg.schema import duckdb_type
from athena_local.iceberg.table import clean_on_failure, pinned
from athena_local.iceberg.write import write_data
from athena_local.sql.casts import stored
from athena_local.sql.scope import position_of
from athena_local.types import from_iceberg, quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from athena_local.context import StatementResult
    from athena_local.engine.session import Session
    from athena_local.iceberg.table import IcebergTable, Record
    from athena_local.sql.statements import Delete, Insert, Update
    from athena_local.types import Column


def insert(session: Session, statement: Insert, table: Record) -> StatementResult:
    loaded = pinned(session, table)
    check_writable(loaded)
    translated = session.translate(statement.query)
    names = _insert_columns(loaded, statement.columns)
    wanted = [from_iceberg(loaded.schema.find_field(name).field_type) for name in names]
    given = [column.type for column in translated.columns]
    check_assignable(given, wanted, "Insert query has mismatched column types", "Query")
    with clean_on_failure(session.context, loaded):
        files = write_data(session, loaded, assigned(translated.sql, translated.columns, names, loaded))
        commit_changes(session.context, loaded, Changes(added=files), independent=True)
    return counted(sum(item.record_count for item in files))


def _insert_columns(table: IcebergTable, listed: Sequence[str]) -> list[str]:
    columns = {field.name.lower(): field.name for field in table.schema.fields}
    if not listed:
        return list(columns.values())
    for name in listed:
        if name.lower() not in columns:
            raise QueryError("COLUMN_NOT_FOUND", f"Insert column name does not exist in target table: {name}")
    if len({name.lower() for name in listed}) != len(listed):
        twice = next(name for name in listed if [other.lower() for other in listed].count(name.lower()) > 1)
        raise QueryError("DUPLICATE_COLUMN_NAME", f"Insert column name is specified more than once: {twice}")
    return [columns[name.lower()] for name in listed]


def assigned(sql: str, given: Sequence[Column], names: Sequence[str], table: IcebergTable) -> str:
    """Return the query with its columns, by position, cast to the table's of those names; the others are NULL."""
    aliases = [f"__{number}" for number in range(len(given))]
    sources = dict(zip(names, zip(aliases, (column.type for column in given), strict=True), strict=True))
    columns = ", ".join(
        f"CAST({stored(*sources[field.name], from_iceberg(field.field_type)) if field.name in sources else 'NULL'}"
        f" AS {duckdb_type(field.field_type)}) AS {quote(field.name)}"
        for field in table.schema.fields
    )
    return f"SELECT {columns} FROM ({sql}) AS q({', '.join(aliases)})"


# DELETE and UPDATE


def delete(session: Session, statement: Delete, table: Record) -> StatementResult:
    loaded = pinned(session, table)
    check_writable(loaded)
    if statement.where is None:
        return _delete_all(session, loaded)
    query = trees.select(row_columns(loaded.name)).from_(trees.target(loaded, None))
    name = materialize(session, query.where(statement.where.copy()))
    return apply(session, loaded, name, None, to_filter(statement.where, loaded.schema))


def _delete_all(session: Session, table: IcebergTable) -> StatementResult:
    planned = planning.plan(table)
    deletes = {item.file_path: item for _, applied in planned.files for item in applied}
    if deletes:
        count = scalar(session, f"SELECT count(*) FROM {scans.to_sql(session, planned)}")
    else:
        count = sum(item.record_count for item, _ in planned.files)
    removed = [*planned.by_path.values(), *deletes.values()]
    with clean_on_failure(session.context, table):
        commit_changes(session.context, table, Changes(removed=removed))
    return counted(count)


def update(session: Session, statement: Update, table: Record) -> StatementResult:
    loaded = pinned(session, table)
    check_writable(loaded)
    values = _assignments(loaded, statement.assignments)

    def source(query: exp.Select) -> exp.Select:
        found = query.from_(trees.target(loaded, None))
        return found.where(statement.where.copy()) if statement.where is not None else found

    listed = [trees.named(value, f"c{number}") for number, value in enumerate(values.values())]
    given = [column.type for column in session.translate(source(trees.select(listed))).columns]
    wanted = [from_iceberg(loaded.schema.find_field(name).field_type) for name in values]
    what = "UPDATE table column types don't match SET expressions"
    check_assignable(given, wanted, what, "Expressions", trees.start(statement.assignments[0][1]))
    columns = row_columns(loaded.name)
    for field in loaded.schema.fields:
        value = values.get(field.name, trees.column(loaded.name, field.name))
        columns.append(trees.named(trees.cast(value, from_iceberg(field.field_type)), field.name))
    name = materialize(session, source(trees.select(columns)))
    return apply(session, loaded, name, "TRUE", to_filter(statement.where, loaded.schema))


def _assignments(
    table: IcebergTable, assignments: Sequence[tuple[str, exp.Expression]]
) -> dict[str, exp.Expression]:
    columns = {field.name.lower(): field.name for field in table.schema.fields}
    found: dict[str, exp.Expression] = {}
    for name, value in assignments:
        position = position_of(value.parent.this) if isinstance(value.parent, exp.EQ) else None
        if name.lower() not in columns:
            text = f"The UPDATE SET target column {name} doesn't exist"
            raise QueryError("COLUMN_NOT_FOUND", text, position=position)
        if columns[name.lower()] in found:
            text = f"The SET clause assigns the column {name} twice"
            raise QueryError("SYNTAX_ERROR", text, position=position)
        found[columns[name.lower()]] = value
    return found


# what MERGE needs too


def row_columns(relation: str) -> list[exp.Expression]:
    """Return what tells a row of the table: its file and its place there."""
    return [
        trees.named(trees.column(relation, scans.PATH), PATH),
        trees.named(trees.column(relation, scans.POSITION), POSITION),
    ]


def materialize(session: Session, query: exp.Select) -> str:
    """Run a query once into a temporary table, which DuckDB spills when it is large, and return its name."""
    name = f"changes_{uuid.uuid4().hex}"
    session.execute(f"CREATE TEMP TABLE {name} AS {session.translate(query).sql}")
    return name
