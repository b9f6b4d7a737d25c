"""How Athena words what its Hive side refuses: `FAILED: SemanticException …`, `FAILED: Execution Error …` if it tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from athena_local.errors import QueryError
from athena_local.sql.statements import TableName
from athena_local.sql.tables import find

if TYPE_CHECKING:
    from athena_local.engine.session import Session

NOT_FOUND, ALREADY_EXISTS, EXECUTION, SYNTAX = 1301, 1110, 1100, 1006  # AthenaError.ErrorType


def semantic_error(text: str, number: int | None = None, *, error_type: int = EXECUTION) -> QueryError:
    """Return the refusal of a statement that cannot be meant; `number` is Hive's own of the message."""
    numbered = f" [Error {number}]:" if number else ""
    return QueryError("FAILED", f"SemanticException{numbered} {text}", error_type=error_type)


def execution_error(text: str, *, error_type: int = EXECUTION) -> QueryError:
    """Return the failure of a statement that was tried."""
    where = "return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask."
    return QueryError("FAILED", f"Execution Error, {where} {text}", error_type=error_type)


def database_not_found(name: str) -> QueryError:
    return semantic_error(f"Database does not exist: {name}", 10072, error_type=NOT_FOUND)


def find_for_ddl(session: Session, name: TableName) -> dict[str, Any]:
    """Return the catalog's record of a table that a Hive statement names."""
    try:
        return find(session, name)
    except QueryError as error:
        if error.code not in {"TABLE_NOT_FOUND", "SCHEMA_NOT_FOUND"}:
            raise
        database = name.database or session.context.database
        text = f"Table not found {database}.{name.name}"
        raise semantic_error(text, 10001, error_type=NOT_FOUND) from error
