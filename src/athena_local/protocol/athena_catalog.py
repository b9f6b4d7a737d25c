"""The catalog as Athena's own API shows it: data catalogs, databases and tables.

One catalog has data: AwsDataCatalog, over Glue, and any GLUE catalog of the same account. LAMBDA and HIVE catalogs are kept
as they were declared, so that what declares them runs; asking one for metadata answers that there is no Lambda.
"""

from __future__ import annotations

from athena_local.catalog import Catalog, EntityNotFoundError, InvalidInputError
from athena_local.config import CATALOG_NAME, Config
from athena_local.protocol.athena_errors import MAX_LISTED, METADATA, from_glue, invalid, malformed_token
from athena_local.protocol.athena_workgroups import check_tags
from athena_local.protocol.wire import Record, ServiceError, operation, page
from athena_local.queries.documents import DATA_CATALOG, TAGS, Documents

_OWN = CATALOG_NAME.lower()
_DONE = "CREATE_COMPLETE"
_PARAMETERS = {
    "LAMBDA": ({"function"}, {"metadata-function", "record-function"}),
    "HIVE": ({"metadata-function"}, {"metadata-function", "sdk-version"}),
    "GLUE": ({"catalog-id"},),
}


class AthenaCatalogService:
    def __init__(self, config: Config, catalog: Catalog, documents: Documents) -> None:
        self._config = config
        self._catalog = catalog
        self._documents = documents

    def is_own(self, name: str | None) -> bool:
        """Whether a QueryExecutionContext's Catalog is the account's own Glue catalog, by whatever name."""
        if name is None or name.lower() == _OWN:
            return True
        declared = self._documents.get(DATA_CATALOG, name)
        return declared is not None and self._is_account(declared)

    def _is_account(self, declared: Record) -> bool:
        parameters = declared.get("Parameters") or {}
        return declared["Type"] == "GLUE" and parameters.get("catalog-id") == self._config.account_id

    @operation("CreateDataCatalog")
    def create_data_catalog(self, request: Record) -> Record:
        name = request["Name"]
        declared = _declared(request)
        check_tags(request.get("Tags") or [])
        if name.lower() == _OWN or not self._documents.create(DATA_CATALOG, name, declared):
            raise invalid(f"DataCatalog {name} already exists")
        if request.get("Tags"):
            self._documents.put(TAGS, self._arn(name), {"Tags": request["Tags"]})
        return {"DataCatalog": declared}

    @operation("UpdateDataCatalog")
    def update_data_catalog(self, request: Record) -> Record:
        known = self._declared(request["Name"])
        declared = _declared({"Description": known.get("Description"), **request})
        self._documents.put(DATA_CATALOG, declared["Name"], declared)
        return {}

    @operation("DeleteDataCatalog")
    def delete_data_catalog(self, request: Record) -> Record:
        declared = self._declared(request["Name"])
        self._documents.delete(DATA_CATALOG, declared["Name"])
        self._documents.delete(TAGS, self._arn(declared["Name"]))
        return {"DataCatalog": {**declared, "Status": "DELETE_COMPLETE"}}

    @operation("ListDataCatalogs")
    def list_data_catalogs(self, request: Record) -> Record:
        own = {"CatalogName": CATALOG_NAME, "Type": "GLUE", "Status": _DONE}
        others = [
            {"CatalogName": one["Name"], "Type": one["Type"], "Status": _DONE}
            for one in self._documents.all(DATA_CATALOG)
        ]
        found, more = page(
            sorted([own, *others], key=lambda one: str(one["CatalogName"])),
            request,
            key=lambda one: str(one["CatalogName"]),
            limit=MAX_LISTED,
            malformed=malformed_token,
        )
        return {"DataCatalogsSummary": found, **more}

    @operation("GetDataCatalog")
    def get_data_catalog(self, request: Record) -> Record:
        if request["Name"].lower() != _OWN:
            return {"DataCatalog": self._declared(request["Name"])}
        return {
            "DataCatalog": {
                "Name": CATALOG_NAME,
                "Type": "GLUE",
                "Parameters": {"catalog-id": self._config.account_id},
                "Status": _DONE,
            }
        }

    @operation("GetDatabase")
    def get_database(self, request: Record) -> Record:
        self._check(request["CatalogName"])
        try:
            return {"Database": _database(self._catalog.get_database(request["DatabaseName"]))}
        except EntityNotFoundError as cause:
            raise ServiceError(METADATA, from_glue(str(cause))) from cause

    @operation("ListDatabases")
    def list_databases(self, request: Record) -> Record:
        self._check(request["CatalogName"])
        found, more = page(
            self._catalog.get_databases(),
            request,
            key=lambda database: str(database["Name"]),
            limit=MAX_LISTED,
            malformed=malformed_token,
        )
        return {"DatabaseList": [_database(one) for one in found], **more}

    @operation("GetTableMetadata")
    def get_table_metadata(self, request: Record) -> Record:
        self._check(request["CatalogName"])
        try:
            table = self._catalog.get_table(request["DatabaseName"], request["TableName"])
        except EntityNotFoundError as cause:
            raise ServiceError(METADATA, from_glue(str(cause))) from cause
        return {"TableMetadata": _table(table)}

    @operation("ListTableMetadata")
    def list_table_metadata(self, request: Record) -> Record:
        self._check(request["CatalogName"])
        try:
            tables = self._catalog.get_tables(request["DatabaseName"], request.get("Expression"))
        except EntityNotFoundError as cause:
            raise ServiceError(METADATA, from_glue(str(cause))) from cause
        except InvalidInputError as cause:
            raise invalid(str(cause)) from cause
        found, more = page(
            tables,
            request,
            key=lambda table: str(table["Name"]),
            limit=MAX_LISTED,
            malformed=malformed_token,
        )
        return {"TableMetadataList": [_table(one) for one in found], **more}

    def _declared(self, name: str) -> Record:
        found = self._documents.get(DATA_CATALOG, name)
        if found is None:
            raise invalid(f"Data catalog {name} was not found", "DATACATALOG_NOT_FOUND")
        return found

    def _check(self, name: str) -> None:
        """Refuse a catalog that has no databases here."""
        if name.lower() == _OWN:
            return
        declared = self._documents.get(DATA_CATALOG, name)
        if declared is None:
            raise invalid(f"Catalog '{name}' does not exist", "DATACATALOG_NOT_FOUND")
        if not self._is_account(declared):
            raise ServiceError(
                METADATA,
                f"Catalog '{name}' is of type {declared['Type']}: athena_local cannot reach its metadata.",
            )

    def _arn(self, name: str) -> str:
        return f"arn:aws:athena:{self._config.region}:{self._config.account_id}:datacatalog/{name}"


def _declared(request: Record) -> Record:
    """Return what is kept of a data catalog. Raises ServiceError when its type's parameters are not there."""
    kind, parameters = request["Type"], request.get("Parameters") or {}
    if kind == "FEDERATED":
        raise invalid(
            "FEDERATED data catalogs are not available: athena_local makes no Lambda and no connection."
        )
    if not any(needed <= set(parameters) for needed in _PARAMETERS[kind]):
        needed = " or ".join(", ".join(sorted(names)) for names in _PARAMETERS[kind])
        raise invalid(f"A data catalog of type {kind} needs the parameters {needed}.")
    declared = {"Name": request["Name"], "Type": kind, "Parameters": parameters, "Status": _DONE}
    if request.get("Description"):
        declared["Description"] = request["Description"]
    return declared


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
    serde = descriptor.get("SerdeInfo") or {}
    if serde.get("SerializationLibrary"):
        parameters.setdefault("serde.serialization.lib", serde["SerializationLibrary"])
    for name, value in (serde.get("Parameters") or {}).items():
        parameters.setdefault(f"serde.param.{name}", value)
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
