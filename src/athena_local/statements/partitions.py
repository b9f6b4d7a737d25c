"""Partitions of Hive tables in the catalog: added, dropped, renamed, moved, and found by MSCK REPAIR TABLE."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from athena_local import iceberg
from athena_local.catalog import AlreadyExistsError, EntityNotFoundError
from athena_local.context import StatementResult
from athena_local.engine import hive
from athena_local.engine.hive import partition_name
from athena_local.errors import QueryError
from athena_local.objects import split_path
from athena_local.sql import statements as s
from athena_local.sql.tables import find
from athena_local.sql.views import is_view
from athena_local.statements.definitions import done, hive_location
from athena_local.statements.hive_errors import ALREADY_EXISTS, NOT_FOUND, execution_error, semantic_error

if TYPE_CHECKING:
    from athena_local.engine.session import Session

Record = dict[str, Any]


def partition_input(record: Record, values: list[str], location: str) -> Record:
    """Return the PartitionInput of a partition that is stored as its table is."""
    storage = copy.deepcopy(record["StorageDescriptor"])
    storage["Location"] = location
    return {"Values": values, "StorageDescriptor": storage, "Parameters": {}}


def partition_location(record: Record, values: list[str]) -> str:
    keys = [key["Name"] for key in record.get("PartitionKeys") or []]
    return f"{record['StorageDescriptor']['Location'].rstrip('/')}/{partition_name(keys, values)}/"


def matching(record: Record, spec: s.PartitionSpec, rows: list[Record]) -> list[Record]:
    """Return the partitions that a spec names, which may leave keys out."""
    given = _given(record, spec)
    keys = [key["Name"].lower() for key in record.get("PartitionKeys") or []]
    return [
        row for row in rows if all(row["Values"][keys.index(key)] == value for key, value in given.items())
    ]


def _given(record: Record, spec: s.PartitionSpec) -> dict[str, str]:
    keys = [key["Name"].lower() for key in record.get("PartitionKeys") or []]
    if not keys:
        raise semantic_error(f"table is not partitioned but partition spec exists: {_shown(spec)}")
    given: dict[str, str] = {}
    for key, value in spec.values:
        if key not in keys:
            text = f"Non-Partition column appears in the partition specification: {key}"
            raise semantic_error(text, 10098)
        given[key] = hive.NULL_PARTITION if value is None else value
    return given


def _shown(spec: s.PartitionSpec) -> str:
    return "{" + ", ".join(f"{key}={value}" for key, value in spec.values) + "}"


def _values(record: Record, spec: s.PartitionSpec) -> list[str]:
    given = _given(record, spec)
    keys = [key["Name"].lower() for key in record.get("PartitionKeys") or []]
    if len(given) != len(keys):
        raise semantic_error(
            f"partition spec {_shown(spec)} doesn't contain all ({len(keys)}) partition columns"
        )
    return [given[key] for key in keys]


def _not_found(spec: s.PartitionSpec) -> QueryError:
    shown = ", ".join(f"{key} = {value}" for key, value in spec.values)
    return semantic_error(f"Partition not found ({shown})", 10006, error_type=NOT_FOUND)


def get(session: Session, record: Record, spec: s.PartitionSpec) -> Record:
    """Return the one partition that a spec names in full."""
    values = _values(record, spec)
    try:
        return session.context.catalog.get_partition(record["DatabaseName"], record["Name"], values)
    except EntityNotFoundError:
        raise _not_found(spec) from None


def change_storage(
    session: Session, record: Record, spec: s.PartitionSpec, changes: Record
) -> StatementResult:
    current = get(session, record, spec)
    body = {key: current[key] for key in ("Values", "StorageDescriptor", "Parameters") if key in current}
    body["StorageDescriptor"] = {**current["StorageDescriptor"], **changes}
    session.context.catalog.update_partition(record["DatabaseName"], record["Name"], current["Values"], body)
    return done()


def change(
    session: Session, record: Record, action: s.AddPartitions | s.DropPartitions | s.RenamePartition
) -> StatementResult:
    if isinstance(action, s.RenamePartition):
        return _rename(session, record, action)
    if isinstance(action, s.DropPartitions):
        return _drop(session, record, action)
    inputs = []
    for spec in action.partitions:
        values = _values(record, spec)
        location = (
            hive_location(session, spec.location) if spec.location else partition_location(record, values)
        )
        inputs.append(partition_input(record, values, location))
    try:
        session.context.catalog.create_partitions(
            record["DatabaseName"], record["Name"], inputs, ignore_existing=action.if_not_exists
        )
    except AlreadyExistsError:
        text = "AlreadyExistsException(message:Partition already exists.)"
        raise execution_error(text, error_type=ALREADY_EXISTS) from None
    return done()


def _rename(session: Session, record: Record, action: s.RenamePartition) -> StatementResult:
    current, new = get(session, record, action.partition), _values(record, action.to)
    body = partition_input(record, new, current["StorageDescriptor"]["Location"])
    try:
        session.context.catalog.update_partition(
            record["DatabaseName"], record["Name"], current["Values"], body
        )
    except AlreadyExistsError:
        shown = ", ".join(f"{key}={value}" for key, value in action.to.values)
        text = f"Unable to rename partition. Partition already exists:{record['DatabaseName']}.{record['Name']}.[{shown}]"
        raise execution_error(text, error_type=ALREADY_EXISTS) from None
    return done()


def _drop(session: Session, record: Record, action: s.DropPartitions) -> StatementResult:
    """Drop what each spec names. Nothing is dropped when one of them names nothing, unless IF EXISTS."""
    catalog, database, table = session.context.catalog, record["DatabaseName"], record["Name"]
    rows = catalog.get_partitions(database, table)
    chosen: dict[tuple[str, ...], None] = {}
    for spec in action.partitions:
        found = matching(record, spec, rows)
        if not found and not action.if_exists:
            raise _not_found(spec)
        chosen |= {tuple(row["Values"]): None for row in found}
    for values in chosen:
        catalog.delete_partition(database, table, list(values))
    return done()


# MSCK REPAIR TABLE


def repair(session: Session, statement: s.RepairTable) -> StatementResult:
    """Add the partitions whose `key=value` folders exist, keys in small letters as declared; none is ever dropped."""
    try:
        record = find(session, statement.table)
    except QueryError as error:
        if error.code != "TABLE_NOT_FOUND":
            raise
        return StatementResult(lines=[f"Tables not in metastore:\t{statement.table.name}"])
    if is_view(record):
        raise execution_error("Can not create a Path from an empty string")
    if iceberg.is_iceberg(record):
        raise QueryError("", "Query type not supported by Athena Iceberg at this time", error_type=1200)
    name = record["Name"]
    keys = [key["Name"].lower() for key in record.get("PartitionKeys") or []]
    location = record["StorageDescriptor"]["Location"].rstrip("/") + "/"
    folders = {item.path.rsplit("/", 1)[0] + "/" for item in session.context.objects.list(location)}
    if not folders:
        return StatementResult(lines=[f"Tables missing on filesystem:\t{name}"])
    if not keys:
        return StatementResult(lines=[])
    found = _found(folders, location, keys)
    rows = session.context.catalog.get_partitions(record["DatabaseName"], name)
    existing = {tuple(row["Values"]) for row in rows}
    new = [values for values in sorted(found) if values not in existing]
    gone = [row["Values"] for row in rows if not _is_there(session, row, folders, location)]
    inputs = [partition_input(record, list(values), found[values]) for values in new]
    session.context.catalog.create_partitions(record["DatabaseName"], name, inputs, ignore_existing=True)
    shown = [f"{name}:{partition_name(keys, list(values))}" for values in new]
    lines = []
    if shown:
        lines.append("\t".join(["Partitions not in metastore:", *shown]))
    if gone:
        missing = [f"{name}:{partition_name(keys, values)}" for values in gone]
        lines.append("\t".join(["Partitions missing from filesystem:", *missing]))
    lines += [f"Repair: Added partition to metastore {partition}" for partition in shown]
    return StatementResult(lines=lines)


def _found(folders: set[str], location: str, keys: list[str]) -> dict[tuple[str, ...], str]:
    """Return the partitions that folders spell: their values -> where they are."""
    _, base = split_path(location)
    found: dict[tuple[str, ...], str] = {}
    for folder in folders:
        parts = split_path(folder)[1][len(base) :].split("/")[: len(keys)]
        pairs = [part.partition("=") for part in parts]
        if len(parts) == len(keys) and all(
            mark and value and key == name for (key, mark, value), name in zip(pairs, keys, strict=True)
        ):
            found[tuple(unquote(value) for _, _, value in pairs)] = location + "/".join(parts) + "/"
    return found


def _is_there(session: Session, row: Record, folders: set[str], location: str) -> bool:
    place = str((row.get("StorageDescriptor") or {}).get("Location") or "").rstrip("/") + "/"
    if place.startswith(location):
        return any(folder.startswith(place) for folder in folders)
    return next(iter(session.context.objects.list(place)), None) is not None
