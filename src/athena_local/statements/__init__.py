"""Runs a parsed statement: queries, Hive's writes and definitions here, everything of Iceberg tables in `iceberg`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from athena_local import iceberg
from athena_local.context import QueryContext, StatementResult
from athena_local.engine.session import Session
from athena_local.errors import QueryError
from athena_local.sql import parameters
from athena_local.sql import statements as s
from athena_local.sql.tables import find
from athena_local.sql.views import is_view
from athena_local.statements import (
    alter,
    ctas,
    definitions,
    describe,
    explain,
    insert,
    partitions,
    prepared,
    query,
    show,
    unload,
    view,
)
from athena_local.statements.hive_errors import find_for_ddl

__all__ = ["execute"]


def execute(statement: s.Statement, context: QueryContext) -> StatementResult:
    """Run one statement. Raises QueryError or QueryCancelledError; a stream of rows may raise them later too."""
    values = context.execution_parameters
    if isinstance(statement, s.Execute):
        values = statement.values or values
        statement = prepared.executed(statement, context.workgroup, context.prepared)
    statement = parameters.fill(statement, values)
    session = Session(context)
    try:
        result = _run(session, statement)
    except BaseException:
        session.close()
        raise
    if result.batches is None:
        session.close()
    else:
        result.batches = query.closing(session, result.batches)
    return result


def _run(session: Session, statement: s.Statement) -> StatementResult:
    handlers: dict[type, Callable[[Session, Any], StatementResult]] = {
        s.Select: query.select,
        s.Explain: _explain,
        s.CreateDatabase: definitions.create_database,
        s.AlterDatabase: definitions.alter_database,
        s.DropDatabase: definitions.drop_database,
        s.CreateTable: _create_table,
        s.CreateTableAs: _create_table_as,
        s.CreateView: view.create_view,
        s.DropTable: _drop_table,
        s.DropView: view.drop_view,
        s.RepairTable: partitions.repair,
        s.Show: show.show,
        s.Describe: describe.describe,
        s.AlterTable: _alter_table,
        s.Insert: _insert,
        s.Unload: unload.unload,
        s.Prepare: prepared.prepare,
        s.Deallocate: prepared.deallocate,
        s.Delete: _on_iceberg("DELETE", iceberg.delete),
        s.Update: _on_iceberg("UPDATE", iceberg.update),
        s.Merge: _on_iceberg("MERGE", iceberg.merge),
        s.Optimize: _on_iceberg("OPTIMIZE", iceberg.optimize),
        s.Vacuum: _on_iceberg("VACUUM", iceberg.vacuum),
    }
    return handlers[type(statement)](session, statement)


def _explain(session: Session, statement: s.Explain) -> StatementResult:
    return explain.explain(session, statement, lambda inner: _run(session, inner))


def _create_table(session: Session, statement: s.CreateTable) -> StatementResult:
    if statement.is_iceberg:
        return iceberg.create_table(session, statement)
    return definitions.create_table(session, statement)


def _create_table_as(session: Session, statement: s.CreateTableAs) -> StatementResult:
    if statement.is_iceberg:
        return iceberg.create_table_as(session, statement)
    return ctas.create_table_as(session, statement)


def _drop_table(session: Session, statement: s.DropTable) -> StatementResult:
    record = definitions.find_to_drop(session, statement.table, statement.if_exists)
    if record is None:
        return StatementResult(lines=[])
    if iceberg.is_iceberg(record):
        iceberg.drop_table(session, record)
        return StatementResult(lines=[])
    return definitions.drop_table(session, record)


def _alter_table(session: Session, statement: s.AlterTable) -> StatementResult:
    record = find_for_ddl(session, statement.table)
    if iceberg.is_iceberg(record):
        return iceberg.alter_table(session, statement, record)
    return alter.alter_table(session, statement, record)


def _insert(session: Session, statement: s.Insert) -> StatementResult:
    record = find(session, statement.table)
    if is_view(record):
        text = "Inserting into views is not supported"
        raise QueryError("NOT_SUPPORTED", text, position=statement.table.position)
    if iceberg.is_iceberg(record):
        return iceberg.insert(session, statement, record)
    return insert.insert(session, statement, record)


def _on_iceberg(
    word: str, run: Callable[[Session, Any, dict[str, Any]], StatementResult]
) -> Callable[[Session, Any], StatementResult]:
    def handler(session: Session, statement: Any) -> StatementResult:
        record = find(session, statement.table)
        if not iceberg.is_iceberg(record):
            text = f"{word} is only supported for Iceberg tables: {record['DatabaseName']}.{record['Name']} is not one"
            raise QueryError("NOT_SUPPORTED", text, position=statement.table.position)
        return run(session, statement, record)

    return handler
