"""The Glue Data Catalog: databases, tables with versions, partitions; in SQLite (WAL), read afresh for each query.

Values are plain dicts in Glue's own wire shape (`TableInput`, `Table`, `Partition` …), so that the protocol passes them
through and nothing is lost that a client put there; datetimes are epoch seconds (float). Names are folded to lower case.
"""

from athena_local.catalog.errors import (
    AlreadyExistsError,
    CatalogError,
    ConcurrentModificationError,
    EntityNotFoundError,
    InvalidInputError,
)
from athena_local.catalog.extras import CatalogExtras
from athena_local.catalog.store import Catalog

__all__ = [
    "AlreadyExistsError",
    "Catalog",
    "CatalogError",
    "CatalogExtras",
    "ConcurrentModificationError",
    "EntityNotFoundError",
    "InvalidInputError",
]
