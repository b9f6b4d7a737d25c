"""The catalog as Athena's own API shows it: one data catalog over Glue, its databases and tables."""

from __future__ import annotations

from athena_local.catalog import Catalog, EntityNotFoundError, InvalidInputError
from athena_local.config import CATALOG_NAME, Config
from athena_local.protocol.wire import Record, ServiceError, operation, page, required

INVALID = "InvalidRequestException"
MISSING = "MetadataException"
PAGE_SIZE = 50
_SUMMARY = {"CatalogName": CATALOG_NAME, "Type": "GLUE", "Status": "CREATE_COMPLETE"}


class AthenaCatalogService:
    def __init__(self, config: Config, catalog: Catalog) -> None:
        self._config = config
        self._catalog = catalog

    @operation("ListDataCatalogs")
    def list_data_catalogs(self, _request: Record) -> Record:
        return {"DataCatalogsSummary": [_SUMMARY]}

    @operation("GetDataCatalog")
    def get_data_catalog(self, request: Record) -> Record:
        _check(required(request, "Name"))
        return {
            "DataCatalog": {
                "Name": CATALOG_NAME,
                "Description": "",
                "Type": "GLUE",
                "Parameters": {"catalog-id": self._config.account_id},
                "Status": "CREATE_COMPLETE",
            }
        }

    @operation("GetDatabase")
    def get_database(self, request: Record) -> Record:
        _check(required(request, "CatalogName"))
        try:
            return {"Database": _database(self._catalog.get_database(required(request, "DatabaseName")))}
        except EntityNotFoundError as cause:
            raise ServiceError(MISSING, str(cause)) from cause

    @operation("ListDatabases")
    def list_databases(self, request: Record) -> Record:
        _check(required(request, "CatalogName"))
        found, more = page(
            self._catalog.get_databases(),
            request,
            key=lambda database: str(database["Name"]),
            limit=PAGE_SIZE,
            error=INVALID,
        )
        return {"DatabaseList": [_database(one) for one in found], **more}

    @operation("GetTableMetadata")
    def get_table_metadata(self, request: Record) -> Record:
        _check(required(request, "CatalogName"))
        try:
            table = self._catalog.get_table(required(request, "DatabaseName"), required(request, "TableName"))
        except EntityNotFoundError as cause:
            raise ServiceError(MISSING, str(cause)) from cause
        return {"TableMetadata": _table(table)}

    @operation("ListTableMetadata")
    def list_table_metadata(self, request: Record) -> Record:
        _check(required(request, "CatalogName"))
        try:
            tables = self._catalog.get_tables(required(request, "DatabaseName"), request.get("Expression"))
        except (EntityNotFoundError, InvalidInputError) as cause:
            raise ServiceError(MISSING, str(cause)) from cause
        found, more = page(
            tables, request, key=lambda table: str(table["Name"]), limit=PAGE_SIZE, error=INVALID
        )
        return {"TableMetadataList": [_table(one) for one in found], **more}


def _check(catalog: str) -> None:
    if catalog.lower() != CATALOG_NAME.lower():
        raise ServiceError(INVALID, f"Catalog {catalog} was not found; there is {CATALOG_NAME} only.")


def _database(database: Record) -> Record:
    named = {name: database[name] for name in ("Name", "Description") if database.get(name)}
    return {**named, "Parameters": database.get("Parameters") or {}}


def _table(table: Record) -> Record:
    descriptor = table.get("StorageDescriptor") or {}
    parameters = dict(table.get("Parameters") or {})
    for name, source in (
        ("inputformat", "InputFormat"),
        ("outputformat", "OutputFormat"),
        ("location", "Location"),
    ):
        if descriptor.get(source):
            parameters.setdefault(name, descriptor[source])
    if library := (descriptor.get("SerdeInfo") or {}).get("SerializationLibrary"):
        parameters.setdefault("serde.serialization.lib", library)
    return {
        "Name": table["Name"],
        "CreateTime": table["CreateTime"],
        "TableType": table.get("TableType") or "EXTERNAL_TABLE",
        "Columns": [_column(column) for column in descriptor.get("Columns") or ()],
        "PartitionKeys": [_column(column) for column in table.get("PartitionKeys") or ()],
        "Parameters": parameters,
    }


def _column(column: Record) -> Record:
    return {name: column[name] for name in ("Name", "Type", "Comment") if column.get(name) is not None}
