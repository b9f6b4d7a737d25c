"""PREPARE, EXECUTE and DEALLOCATE PREPARE: statements kept by workgroup, with `?` for what is told at each run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from athena_local.context import StatementResult
from athena_local.errors import QueryError
from athena_local.sql import statements as s

if TYPE_CHECKING:
    from athena_local.context import PreparedStatements
    from athena_local.engine.session import Session


def executed(statement: Any, workgroup: str, stored: PreparedStatements | None) -> Any:
    """Return what an EXECUTE runs, and any other statement as it is.

    Raises QueryError: NOT_FOUND for an unknown name, whatever the kept text is refused with.
    """
    from athena_local.sql.parse import parse_statement

    if not isinstance(statement, s.Execute):
        return statement
    text = stored.get(workgroup, statement.name) if stored is not None else None
    if text is None:
        raise _unknown(statement.name)
    found = parse_statement(text)
    if isinstance(found, (s.Execute, s.Prepare, s.Deallocate)):
        kind = found.substatement
        raise QueryError("NOT_SUPPORTED", f"Invalid statement type for prepared statement: {kind}")
    return found


def prepare(session: Session, statement: s.Prepare) -> StatementResult:
    context = session.context
    if context.prepared is not None:
        context.prepared.put(context.workgroup, statement.name, statement.text)
    return StatementResult(lines=[])


def deallocate(session: Session, statement: s.Deallocate) -> StatementResult:
    context = session.context
    if context.prepared is None or not context.prepared.delete(context.workgroup, statement.name):
        raise _unknown(statement.name)
    return StatementResult(lines=[])


def _unknown(name: str) -> QueryError:
    return QueryError("NOT_FOUND", f"Prepared statement not found: {name}")
