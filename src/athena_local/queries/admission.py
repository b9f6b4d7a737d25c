"""What Athena refuses in StartQueryExecution already, so that there is no query: told from what it only fails later.

A statement that does not parse (MALFORMED_QUERY), DESCRIBE and SHOW COLUMNS of a table that is not there, and a CTAS that
names a location in a workgroup which enforces its own. Knows a statement by its kind and a few attributes, no SQL.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from athena_local.catalog import EntityNotFoundError
from athena_local.config import CATALOG_NAME, DEFAULT_DATABASE
from athena_local.errors import QueryError

if TYPE_CHECKING:
    from athena_local.catalog import Catalog

MALFORMED_QUERY, INVALID_INPUT = "MALFORMED_QUERY", "INVALID_INPUT"
_CHECKED_BEFORE_THE_ENGINE = {"SYNTAX_ERROR", ""}
_NEEDS_ITS_TABLE = {"DESCRIBE_TABLE", "SHOW_COLUMNS"}
_OWN_LOCATION = (
    "The Create Table As Select query failed because it was submitted with an 'external_location' property to an Athena"
    " Workgroup that enforces a centralized output location for all queries. Please remove the 'external_location'"
    " property and resubmit the query."
)


class RefusedError(Exception):
    """StartQueryExecution answers InvalidRequestException; `code` is its AthenaErrorCode."""

    def __init__(self, message: str, code: str) -> None:
        self.code = code
        super().__init__(message)


def admit(
    statement: Any,
    failure: Exception | None,
    catalog: Catalog,
    database: str | None,
    *,
    location_enforced: bool,
) -> None:
    """Raise RefusedError when Athena would not start this. `statement` is None when `failure` says why it has none."""
    if isinstance(failure, QueryError) and failure.code in _CHECKED_BEFORE_THE_ENGINE:
        where = f"line {failure.position[0]}:{failure.position[1]}: " if failure.position else ""
        raise RefusedError(where + failure.text, MALFORMED_QUERY)
    if statement is None:
        return
    kind = statement.substatement_type
    if kind == "CREATE_TABLE_AS_SELECT" and location_enforced and "external_location" in statement.properties:
        raise RefusedError(_OWN_LOCATION, INVALID_INPUT)
    if kind in _NEEDS_ITS_TABLE and getattr(statement, "table", None) is not None:
        table = statement.table
        try:
            catalog.get_table(table.database or database or DEFAULT_DATABASE, table.name)
        except EntityNotFoundError as cause:
            raise RefusedError(_not_found(), INVALID_INPUT) from cause


def require_catalog(statement: Any, catalog: str) -> None:
    """Raise QueryError where a statement reads or writes data in a catalog that is not there.

    Definitions and SHOW then mean the account's own catalog, as on Athena.
    """
    if statement.statement_type == "DML" or statement.substatement_type == "CREATE_TABLE_AS_SELECT":
        text = f"Catalog '{catalog}' does not exist"
        raise QueryError("CATALOG_NOT_FOUND", f"{text}; athena_local has {CATALOG_NAME} only")


def _not_found() -> str:
    return (
        "Entity Not Found (Service: AmazonDataCatalog; Status Code: 400; Error Code: EntityNotFoundException;"
        f" Request ID: {uuid.uuid4()}; Proxy: null)"
    )
