"""Which files of which snapshot a query needs: manifests read, partitions and bounds compared, deletes assigned.

PyIceberg evaluates the predicates; what it leaves out is done here: equality deletes, the schema that a snapshot had, and
manifests that many queries read are parsed once.
"""

from __future__ import annotations

import datetime
import threading
from collections import OrderedDict, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pyiceberg.expressions import AlwaysTrue, BooleanExpression
from pyiceberg.expressions.visitors import (
    _InclusiveMetricsEvaluator,
    expression_evaluator,
    inclusive_projection,
    manifest_evaluator,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat, ManifestContent, ManifestEntry
from pyiceberg.schema import Schema
from pyiceberg.table.delete_file_index import DeleteFileIndex

from athena_local.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyiceberg.manifest import ManifestFile
    from pyiceberg.partitioning import PartitionSpec

    from athena_local.iceberg.table import IcebergTable

READ_THREADS = 8  # manifests at once; each is one GET and some milliseconds of parsing
CACHED_ENTRIES = 50_000  # parsed manifest entries kept, about 3 kB each; a manifest never changes

PlannedFile = tuple[DataFile, list[DataFile]]


@dataclass(frozen=True)
class AsOf:
    """FOR VERSION AS OF (a snapshot id, or the name of a branch or tag) or FOR TIMESTAMP AS OF (milliseconds UTC)."""

    version: int | str | None = None
    timestamp_ms: int | None = None


@dataclass(frozen=True)
class Plan:
    """The files of one snapshot that may hold what is looked for, each with the delete files that apply to it.

    `schema` is the one to read them with: the snapshot's own under time travel, else the table's.
    """

    table: IcebergTable
    schema: Schema
    files: list[PlannedFile]

    @cached_property
    def by_path(self) -> dict[str, DataFile]:
        return {data_file.file_path: data_file for data_file, _ in self.files}


def plan(table: IcebergTable, row_filter: BooleanExpression | None = None, as_of: AsOf | None = None) -> Plan:
    snapshot_id = resolve(table, as_of)
    schema = schema_of(table, as_of)
    if snapshot_id is None:
        return Plan(table, schema, [])
    key = (snapshot_id, schema.schema_id, repr(row_filter))
    if key not in table.plans:
        table.plans[key] = Plan(table, schema, _files(table, schema, snapshot_id, row_filter or AlwaysTrue()))
    found: Plan = table.plans[key]
    return found


def resolve(table: IcebergTable, as_of: AsOf | None) -> int | None:
    """Return the id of the snapshot that is meant; None for a table that has none yet."""
    if as_of is None:
        return table.snapshot_id
    if as_of.timestamp_ms is not None:
        found = [entry for entry in table.metadata.snapshot_log if entry.timestamp_ms <= as_of.timestamp_ms]
        if not found:
            text = f"No version history table {table.database}.{table.name} at or before {_instant(as_of.timestamp_ms)}"
            raise QueryError("INVALID_ARGUMENTS", text)
        return found[-1].snapshot_id
    if isinstance(as_of.version, int):
        if table.metadata.snapshot_by_id(as_of.version) is None:
            raise QueryError("INVALID_ARGUMENTS", f"Iceberg snapshot ID does not exists: {as_of.version}")
        return as_of.version
    reference = table.metadata.refs.get(str(as_of.version))
    if reference is None:
        raise QueryError("INVALID_ARGUMENTS", f"Cannot find snapshot with reference name: {as_of.version}")
    return reference.snapshot_id


def _instant(milliseconds: int) -> str:
    """Return a moment as Java prints an Instant."""
    moment = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
    whole = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{milliseconds % 1000:03d}Z" if milliseconds % 1000 else f"{whole}Z"


def schema_of(table: IcebergTable, as_of: AsOf | None) -> Schema:
    """Return the schema that the snapshot was written with, the current one without time travel."""
    if as_of is None:
        return table.schema
    snapshot = table.metadata.snapshot_by_id(resolve(table, as_of) or 0)
    for schema in table.metadata.schemas:
        if snapshot is not None and schema.schema_id == snapshot.schema_id:
            return schema
    return table.schema


def _files(
    table: IcebergTable, schema: Schema, snapshot_id: int, row_filter: BooleanExpression
) -> list[PlannedFile]:
    snapshot = table.metadata.snapshot_by_id(snapshot_id)
    assert snapshot is not None
    filters = Filters(table, schema, row_filter)
    wanted = [manifest for manifest in snapshot.manifests(table.io) if filters.may_hold(manifest)]
    entries = entries_of(table, wanted)
    data: list[ManifestEntry] = []
    deletes = _Deletes(table)
    for manifest, found in zip(wanted, entries, strict=True):
        matches = filters.matcher(manifest.partition_spec_id)
        for entry in found:
            if not matches(entry.data_file):
                continue
            _check_format(table, entry.data_file)
            if manifest.content == ManifestContent.DELETES:
                deletes.add(entry)
            else:
                data.append(entry)
    files = [(entry.data_file, deletes.of(entry)) for entry in data]
    return sorted(files, key=lambda item: item[0].file_path)


def _check_format(table: IcebergTable, data_file: DataFile) -> None:
    if data_file.file_format != FileFormat.PARQUET:
        text = f"Iceberg files in {data_file.file_format.value} are not supported: {table.name}"
        raise QueryError("NOT_SUPPORTED", text)


class Filters:
    """A row filter as each partition spec of the table sees it."""

    def __init__(self, table: IcebergTable, schema: Schema, row_filter: BooleanExpression) -> None:
        self.schema = schema
        self.specs = table.metadata.specs()
        self.row_filter = row_filter
        self.everything = isinstance(row_filter, AlwaysTrue)
        self.metrics = _InclusiveMetricsEvaluator(schema, row_filter, True, False).eval
        self._manifests: dict[int, Callable[[ManifestFile], bool]] = {}
        self._files: dict[int, Callable[[DataFile], bool]] = {}

    def may_hold(self, manifest: ManifestFile) -> bool:
        if not (manifest.has_added_files() or manifest.has_existing_files()):
            return False
        if self.everything:
            return True
        spec_id = manifest.partition_spec_id
        if spec_id not in self._manifests:
            spec = self.specs[spec_id]
            self._manifests[spec_id] = manifest_evaluator(spec, self.schema, self._projected(spec), True)
        return self._manifests[spec_id](manifest)

    def matcher(self, spec_id: int) -> Callable[[DataFile], bool]:
        if self.everything:
            return lambda data_file: data_file.record_count != 0
        if spec_id not in self._files:
            spec = self.specs[spec_id]
            partition_schema = Schema(*spec.partition_type(self.schema).fields)
            in_partition = expression_evaluator(partition_schema, self._projected(spec), True)
            self._files[spec_id] = lambda data_file: (
                in_partition(data_file.partition) and self.metrics(data_file)
            )
        return self._files[spec_id]

    def _projected(self, spec: PartitionSpec) -> BooleanExpression:
        return inclusive_projection(self.schema, spec, True)(self.row_filter)


class _Deletes:
    """The delete files of a snapshot, found again for each data file by the specification's rules."""

    def __init__(self, table: IcebergTable) -> None:
        self.specs = table.metadata.specs()
        self.positions = DeleteFileIndex()
        self.equality: dict[Any, list[ManifestEntry]] = defaultdict(list)

    def add(self, entry: ManifestEntry) -> None:
        data_file = entry.data_file
        if data_file.content != DataFileContent.EQUALITY_DELETES:
            self.positions.add_delete_file(entry, partition_key=data_file.partition)
        elif not self.specs[data_file.spec_id].fields:
            self.equality[None].append(entry)  # without a partition: it applies to every file
        else:
            self.equality[data_file.spec_id, data_file.partition].append(entry)

    def of(self, entry: ManifestEntry) -> list[DataFile]:
        data_file, sequence = entry.data_file, entry.sequence_number or 0
        found = set(self.positions.for_data_file(sequence, data_file, partition_key=data_file.partition))
        if self.equality:
            candidates = [*self.equality[None], *self.equality[data_file.spec_id, data_file.partition]]
            found |= {item.data_file for item in candidates if (item.sequence_number or 0) > sequence}
        return sorted(found, key=lambda item: item.file_path)


_cache: OrderedDict[tuple[str, str], list[ManifestEntry]] = OrderedDict()
_cached = 0
_cache_lock = threading.Lock()


def entries_of(table: IcebergTable, manifests: Sequence[ManifestFile]) -> list[list[ManifestEntry]]:
    """Return the live entries of each manifest; they are shared, nobody may change them."""
    if len(manifests) < 2:
        return [_entries(table, manifest) for manifest in manifests]
    with ThreadPoolExecutor(READ_THREADS) as pool:
        return list(pool.map(lambda manifest: _entries(table, manifest), manifests))


def _entries(table: IcebergTable, manifest: ManifestFile) -> list[ManifestEntry]:
    global _cached
    key = (table.io.endpoint, manifest.manifest_path)
    with _cache_lock:
        found = _cache.get(key)
        if found is not None:
            _cache.move_to_end(key)
            return found
    found = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
    with _cache_lock:
        if key not in _cache:
            _cache[key] = found
            _cached += len(found)
        while _cached > CACHED_ENTRIES and len(_cache) > 1:
            _cached -= len(_cache.popitem(last=False)[1])
    return found
