"""Glue's partitions, one by one and in batches; a batch reports what it refused and does the rest, as on AWS."""

from __future__ import annotations

from athena_local.catalog import Catalog, CatalogError, EntityNotFoundError, InvalidInputError
from athena_local.protocol.glue import each
from athena_local.protocol.glue_errors import malformed_token
from athena_local.protocol.wire import Record, decode_token, encode_token, operation, without

PAGE_SIZE = 1000


class GluePartitionService:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    @operation("GetPartition")
    def get_partition(self, request: Record) -> Record:
        database, table = _table(request)
        return {"Partition": self._catalog.get_partition(database, table, request["PartitionValues"])}

    @operation("GetPartitions")
    def get_partitions(self, request: Record) -> Record:
        segment = request.get("Segment") or {"SegmentNumber": 0, "TotalSegments": 1}
        if segment["SegmentNumber"] >= segment["TotalSegments"]:
            raise InvalidInputError("SegmentNumber must be less than TotalSegments.")
        token = request.get("NextToken")
        found, following = self._catalog.get_partition_page(
            *_table(request),
            request.get("Expression"),
            after=str(decode_token(token, malformed_token)) if token else "",
            limit=request.get("MaxResults") or PAGE_SIZE,
            segment=(segment["SegmentNumber"], segment["TotalSegments"]),
        )
        if request.get("ExcludeColumnSchema"):
            found = [_without_columns(one) for one in found]
        return {"Partitions": found, **({"NextToken": encode_token(following)} if following else {})}

    @operation("BatchGetPartition")
    def batch_get_partition(self, request: Record) -> Record:
        database, table = _table(request)
        self._catalog.get_table(database, table)
        found = []
        for wanted in request["PartitionsToGet"]:
            try:
                found.append(self._catalog.get_partition(database, table, wanted["Values"]))
            except EntityNotFoundError:
                continue  # Glue leaves out what is not there
        return {"Partitions": found, "UnprocessedKeys": []}

    @operation("CreatePartition")
    def create_partition(self, request: Record) -> Record:
        self._catalog.create_partitions(*_table(request), [request["PartitionInput"]])
        return {}

    @operation("BatchCreatePartition")
    def batch_create_partition(self, request: Record) -> Record:
        database, table = _table(request)
        self._catalog.get_table(database, table)

        def create(partition_input: Record) -> None:
            self._catalog.create_partitions(database, table, [partition_input])

        inputs = request["PartitionInputList"]
        try:
            self._catalog.create_partitions(database, table, inputs)  # in one transaction, when all can be
        except CatalogError:
            return {"Errors": each(inputs, create, _named)}
        return {"Errors": []}

    @operation("UpdatePartition")
    def update_partition(self, request: Record) -> Record:
        self._catalog.update_partition(
            *_table(request), request["PartitionValueList"], request["PartitionInput"]
        )
        return {}

    @operation("BatchUpdatePartition")
    def batch_update_partition(self, request: Record) -> Record:
        database, table = _table(request)

        def update(entry: Record) -> None:
            self._catalog.update_partition(
                database, table, entry["PartitionValueList"], entry["PartitionInput"]
            )

        def name(entry: Record) -> Record:
            return {"PartitionValueList": entry["PartitionValueList"]}

        return {"Errors": each(request["Entries"], update, name)}

    @operation("DeletePartition")
    def delete_partition(self, request: Record) -> Record:
        self._catalog.delete_partition(*_table(request), request["PartitionValues"])
        return {}

    @operation("BatchDeletePartition")
    def batch_delete_partition(self, request: Record) -> Record:
        database, table = _table(request)

        def delete(wanted: Record) -> None:
            self._catalog.delete_partition(database, table, wanted["Values"])

        return {"Errors": each(request["PartitionsToDelete"], delete, _named)}


def _table(request: Record) -> tuple[str, str]:
    return request["DatabaseName"], request["TableName"]


def _named(entry: Record) -> Record:
    return {"PartitionValues": entry.get("Values") or []}


def _without_columns(partition: Record) -> Record:
    descriptor = partition.get("StorageDescriptor")
    if descriptor is None:
        return partition
    return {**partition, "StorageDescriptor": without(descriptor, ["Columns"])}
