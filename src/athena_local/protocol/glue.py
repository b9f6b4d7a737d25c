"""Glue's databases, tables and table versions. What has no meaning here (TransactionId, AuditContext) is taken unseen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from athena_local.catalog import (
    Catalog,
    CatalogError,
    CatalogExtras,
    EntityNotFoundError,
    InvalidInputError,
)
from athena_local.protocol.glue_errors import malformed_token
from athena_local.protocol.glue_iceberg import IcebergCreator
from athena_local.protocol.wire import Record, operation, page

PAGE_SIZE = 100


class GlueService:
    def __init__(self, catalog: Catalog, extras: CatalogExtras, iceberg: IcebergCreator, region: str) -> None:
        self._catalog, self._extras, self._iceberg = catalog, extras, iceberg
        self._arn = f"arn:aws:glue:{region}:{catalog.account_id}"

    # databases

    @operation("CreateDatabase")
    def create_database(self, request: Record) -> Record:
        database = request["DatabaseInput"]
        self._catalog.create_database(database)
        # those of a database of this name that was dropped are forgotten
        self._extras.put_tags(f"{self._arn}:database/{database['Name'].lower()}", request.get("Tags") or {})
        return {}

    @operation("GetDatabase")
    def get_database(self, request: Record) -> Record:
        return {"Database": self._catalog.get_database(request["Name"])}

    @operation("GetDatabases")
    def get_databases(self, request: Record) -> Record:
        databases, more = page(
            self._catalog.get_databases(), request, key=_by_name, limit=PAGE_SIZE, malformed=malformed_token
        )
        return {"DatabaseList": databases, **more}

    @operation("UpdateDatabase")
    def update_database(self, request: Record) -> Record:
        self._catalog.update_database(request["Name"], request["DatabaseInput"])
        return {}

    @operation("DeleteDatabase")
    def delete_database(self, request: Record) -> Record:
        self._catalog.delete_database(request["Name"])
        return {}

    # tables

    @operation("CreateTable")
    def create_table(self, request: Record) -> Record:
        """Enter a table; with OpenTableFormatInput its Iceberg metadata is written first."""
        database, table = request["DatabaseName"], request.get("TableInput") or {}
        name = table.get("Name") or request.get("Name") or ""
        iceberg = (request.get("OpenTableFormatInput") or {}).get("IcebergInput")
        if iceberg is not None:
            self._iceberg.create(database, name, table, iceberg)
        else:
            self._catalog.create_table(database, {**table, "Name": name})
        for index in request.get("PartitionIndexes") or ():
            self._extras.create_index(database, name, index)
        return {}

    @operation("GetTable")
    def get_table(self, request: Record) -> Record:
        return {"Table": _only(self._catalog.get_table(request["DatabaseName"], request["Name"]), request)}

    @operation("GetTables")
    def get_tables(self, request: Record) -> Record:
        tables = self._catalog.get_tables(request["DatabaseName"], request.get("Expression"))
        chosen, more = page(tables, request, key=_by_name, limit=PAGE_SIZE, malformed=malformed_token)
        return {"TableList": [_only(table, request) for table in chosen], **more}

    @operation("UpdateTable")
    def update_table(self, request: Record) -> Record:
        if "UpdateOpenTableFormatInput" in request:
            raise InvalidInputError("UpdateOpenTableFormatInput is not available in athena_local.")
        table = request.get("TableInput") or {}
        self._catalog.update_table(
            request["DatabaseName"],
            {**table, "Name": table.get("Name") or request.get("Name") or ""},
            version_id=request.get("VersionId"),
            skip_archive=bool(request.get("SkipArchive")),
        )
        return {}

    @operation("DeleteTable")
    def delete_table(self, request: Record) -> Record:
        self._catalog.delete_table(request["DatabaseName"], request["Name"])
        return {}

    @operation("BatchDeleteTable")
    def batch_delete_table(self, request: Record) -> Record:
        database = request["DatabaseName"]

        def delete(name: str) -> None:
            self._catalog.delete_table(database, name)

        return {"Errors": each(request["TablesToDelete"], delete, lambda name: {"TableName": name})}

    # versions

    @operation("GetTableVersions")
    def get_table_versions(self, request: Record) -> Record:
        versions = self._catalog.get_table_versions(request["DatabaseName"], request["TableName"])
        newest_first = 10**12
        chosen, more = page(
            versions,
            request,
            key=lambda table: f"{newest_first - int(table['VersionId']):013}",
            limit=PAGE_SIZE,
            malformed=malformed_token,
        )
        return {"TableVersions": [_version(table) for table in chosen], **more}

    @operation("GetTableVersion")
    def get_table_version(self, request: Record) -> Record:
        versions = self._catalog.get_table_versions(request["DatabaseName"], request["TableName"])
        wanted = request.get("VersionId") or versions[0]["VersionId"]
        found = [table for table in versions if table["VersionId"] == wanted]
        if not found:
            raise EntityNotFoundError(f"Table version {wanted} not found.")
        return {"TableVersion": _version(found[0])}

    @operation("DeleteTableVersion")
    def delete_table_version(self, request: Record) -> Record:
        self._catalog.delete_table_version(
            request["DatabaseName"], request["TableName"], request["VersionId"]
        )
        return {}

    @operation("BatchDeleteTableVersion")
    def batch_delete_table_version(self, request: Record) -> Record:
        database, table = request["DatabaseName"], request["TableName"]

        def delete(version_id: str) -> None:
            self._catalog.delete_table_version(database, table, version_id)

        def name(version_id: str) -> Record:
            return {"TableName": table, "VersionId": version_id}

        return {"Errors": each(request["VersionIds"], delete, name)}


def each(items: list[Any], action: Callable[[Any], object], name: Callable[[Any], Record]) -> list[Record]:
    """Apply `action` to each item and return an error entry, with what `name` says, for each it refused."""
    errors = []
    for item in items:
        try:
            action(item)
        except CatalogError as error:
            detail = {"ErrorCode": error.code, "ErrorMessage": str(error)}
            errors.append({**name(item), "ErrorDetail": detail})
    return errors


def _only(table: Record, request: Record) -> Record:
    """Return what AttributesToGet asks for of a table; all of it when that does not say, or says DEFAULT."""
    wanted = set(request.get("AttributesToGet") or ())
    if not wanted or wanted & {"DEFAULT", "LATEST_ICEBERG_METADATA"}:
        return table
    kept = {"Name", "DatabaseName", *(("TableType",) if "TABLE_TYPE" in wanted else ())}
    return {name: value for name, value in table.items() if name in kept}


def _by_name(record: Record) -> str:
    return str(record["Name"])


def _version(table: Record) -> Record:
    return {"Table": table, "VersionId": table["VersionId"]}
