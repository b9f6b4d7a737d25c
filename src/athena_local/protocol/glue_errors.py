"""How Glue words what it refuses."""

from __future__ import annotations

from athena_local.catalog import EntityNotFoundError
from athena_local.protocol.model import Rules
from athena_local.protocol.wire import Record, ServiceError

INVALID = "InvalidInputException"
RULES = Rules("ValidationException", shows_values=True)


def malformed_token(_token: str) -> ServiceError:
    return ServiceError(INVALID, "Invalid pagination token provided")


def check_catalog(request: Record, account_id: str) -> None:
    """Refuse another account's catalog: there is one."""
    catalog_id = request.get("CatalogId")
    if catalog_id is not None and catalog_id != account_id:
        raise EntityNotFoundError(f"Catalog {catalog_id} not found.")
