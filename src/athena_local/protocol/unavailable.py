"""Operations of Athena and Glue that this server does not have, by what they are about: each answers by name.

The list is whole for Athena, and for the part of Glue that is its Data Catalog; tests hold it against botocore's model.
"""

from __future__ import annotations

from athena_local.protocol.wire import ServiceError

_SPARK = "Athena for Apache Spark (sessions, calculations, notebooks)"
_CAPACITY = "capacity reservations"

ATHENA: dict[str, str] = {
    **dict.fromkeys(
        (
            "CreateNotebook",
            "CreatePresignedNotebookUrl",
            "DeleteNotebook",
            "ExportNotebook",
            "GetCalculationExecution",
            "GetCalculationExecutionCode",
            "GetCalculationExecutionStatus",
            "GetNotebookMetadata",
            "GetResourceDashboard",
            "GetSession",
            "GetSessionEndpoint",
            "GetSessionStatus",
            "ImportNotebook",
            "ListApplicationDPUSizes",
            "ListCalculationExecutions",
            "ListExecutors",
            "ListNotebookMetadata",
            "ListNotebookSessions",
            "ListSessions",
            "StartCalculationExecution",
            "StartSession",
            "StopCalculationExecution",
            "TerminateSession",
            "UpdateNotebook",
            "UpdateNotebookMetadata",
        ),
        _SPARK,
    ),
    **dict.fromkeys(
        (
            "CancelCapacityReservation",
            "CreateCapacityReservation",
            "DeleteCapacityReservation",
            "GetCapacityAssignmentConfiguration",
            "GetCapacityReservation",
            "ListCapacityReservations",
            "PutCapacityAssignmentConfiguration",
            "UpdateCapacityReservation",
        ),
        _CAPACITY,
    ),
}

# of the Data Catalog; everything else of Glue (jobs, crawlers, workflows, registries …) is not here either
GLUE: dict[str, str] = {
    **dict.fromkeys(
        ("CreateCatalog", "UpdateCatalog", "DeleteCatalog"), "catalogs besides the account's own"
    ),
    **dict.fromkeys(
        ("GetUnfilteredTableMetadata", "GetUnfilteredPartitionMetadata", "GetUnfilteredPartitionsMetadata"),
        "Lake Formation's filtering by third-party engines",
    ),
    **dict.fromkeys(
        (
            "BatchGetTableOptimizer",
            "CreateTableOptimizer",
            "DeleteTableOptimizer",
            "GetTableOptimizer",
            "ListTableOptimizerRuns",
            "UpdateTableOptimizer",
        ),
        "table optimizers",
    ),
    "ImportCatalogToGlue": "catalog of Athena's own from before Glue",
    "PutDataCatalogEncryptionSettings": "encryption of the catalog",
}
_GLUE_REST = "Glue beyond the Data Catalog (jobs, crawlers, connections, registries)"


def unknown_operation(target: str) -> ServiceError:
    """Return the answer to a request for what is not here, whatever its X-Amz-Target says."""
    service, _, name = target.partition(".")
    about = {"AmazonAthena": ATHENA, "AWSGlue": GLUE}.get(service, {}).get(name)
    if about is None and service == "AWSGlue":
        about = _GLUE_REST
    reason = f": it has no {about}" if about else ""
    return ServiceError(
        "UnknownOperationException", f"athena_local does not implement {target or 'this request'}{reason}."
    )
