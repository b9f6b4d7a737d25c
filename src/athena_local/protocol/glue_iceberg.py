"""Iceberg tables that Glue itself creates: CreateTable with OpenTableFormatInput writes the first metadata file.

The schema comes from CreateIcebergTableInput (ids, nested types, partition spec, write order) or, without it, from the
TableInput's columns. Format version 2 only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from athena_local.catalog import AlreadyExistsError, Catalog, EntityNotFoundError, InvalidInputError
from athena_local.config import Config
from athena_local.context import QueryContext
from athena_local.errors import QueryError
from athena_local.objects import ObjectStore
from athena_local.protocol.wire import Record

if TYPE_CHECKING:
    from pyiceberg.schema import Schema
    from pyiceberg.table.metadata import TableMetadata

_VERSIONS = {None, "2"}
_CATALOG_ERRORS = {"TABLE_ALREADY_EXISTS": AlreadyExistsError, "SCHEMA_NOT_FOUND": EntityNotFoundError}
_FIELDS = {"Id": "id", "Name": "name", "Type": "type", "Required": "required", "Doc": "doc"}
_SPEC = {"SourceId": "source-id", "Transform": "transform", "Name": "name", "FieldId": "field-id"}
_ORDER = {
    "SourceId": "source-id",
    "Transform": "transform",
    "Direction": "direction",
    "NullOrder": "null-order",
}


class IcebergCreator:
    """Makes tables as Glue does, over the engine's own way of entering them."""

    def __init__(self, config: Config, catalog: Catalog, objects: ObjectStore) -> None:
        self._config, self._catalog, self._objects = config, catalog, objects

    def create(self, database: str, name: str, table: Record, iceberg: Record) -> None:
        """Write the metadata file and enter the table. Raises CatalogError's kinds as CreateTable does."""
        from athena_local.iceberg import table as tables

        if iceberg.get("Version") not in _VERSIONS:
            raise InvalidInputError(
                f"Iceberg format version {iceberg['Version']} is not supported; only 2 is."
            )
        try:
            metadata = _metadata(table, iceberg.get("CreateIcebergTableInput"))
        except (QueryError, ValueError) as error:
            raise InvalidInputError(f"The Iceberg table cannot be created: {error}") from error
        database, name = database.lower(), name.lower()
        context = QueryContext(
            "glue-create-table", self._config, self._catalog, self._objects, database, metadata.location
        )
        self._require_room(database, name)
        staged = tables.staged(context, database, name, metadata, table.get("Description") or "")
        staged.record["Parameters"] = dict(table.get("Parameters") or {})
        with tables.clean_on_failure(context, staged):
            try:
                tables.create(context, staged)
            except QueryError as error:
                raise _CATALOG_ERRORS.get(error.code, InvalidInputError)(error.text) from error

    def _require_room(self, database: str, name: str) -> None:
        self._catalog.get_database(database)
        try:
            self._catalog.get_table(database, name)
        except EntityNotFoundError:
            return
        raise AlreadyExistsError("Table already exists.")


def _metadata(table: Record, given: Record | None) -> TableMetadata:
    from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionSpec
    from pyiceberg.table.metadata import new_table_metadata
    from pyiceberg.table.sorting import UNSORTED_SORT_ORDER, SortOrder

    if given is None:
        location = (table.get("StorageDescriptor") or {}).get("Location")
        if not location:
            raise ValueError("it needs a Location")
        if table.get("PartitionKeys"):
            raise ValueError("its partitions are those of CreateIcebergTableInput, not PartitionKeys")
        return new_table_metadata(
            _schema_of_columns(table),
            UNPARTITIONED_PARTITION_SPEC,
            UNSORTED_SORT_ORDER,
            location.rstrip("/"),
            {"format-version": "2"},
        )
    spec, order = UNPARTITIONED_PARTITION_SPEC, UNSORTED_SORT_ORDER
    if fields := (given.get("PartitionSpec") or {}).get("Fields"):
        renamed = [{"field-id": 1000 + place, **_renamed(one, _SPEC)} for place, one in enumerate(fields)]
        spec = PartitionSpec.model_validate(
            {"spec-id": given["PartitionSpec"].get("SpecId", 0), "fields": renamed}
        )
    if fields := (given.get("WriteOrder") or {}).get("Fields"):
        renamed = [_renamed(one, _ORDER) for one in fields]
        order = SortOrder.model_validate({"order-id": given["WriteOrder"]["OrderId"], "fields": renamed})
    properties = {"format-version": "2", **(given.get("Properties") or {})}
    return new_table_metadata(
        _schema(given["Schema"]), spec, order, given["Location"].rstrip("/"), properties
    )


def _schema(given: Record) -> Schema:
    from pyiceberg.schema import Schema

    fields = [{"required": False, **_renamed(one, _FIELDS)} for one in given["Fields"]]
    return Schema.model_validate(
        {
            "type": "struct",
            "schema-id": given.get("SchemaId", 0),
            "fields": fields,
            "identifier-field-ids": given.get("IdentifierFieldIds") or [],
        }
    )


def _schema_of_columns(table: Record) -> Schema:
    from athena_local.iceberg.schema import to_schema, with_precision
    from athena_local.types import Column, parse_type

    columns = (table.get("StorageDescriptor") or {}).get("Columns") or []
    if not columns:
        raise ValueError("it needs columns")
    return to_schema(
        [
            Column(one["Name"].lower(), with_precision(parse_type(one["Type"])), one.get("Comment") or "")
            for one in columns
        ]
    )


def _renamed(given: Record, names: dict[str, str]) -> dict[str, Any]:
    return {new: given[old] for old, new in names.items() if given.get(old) is not None}
