"""ALTER TABLE and MSCK REPAIR TABLE on Hive tables: changes of the catalog alone, the data stays where it is."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from athena_local.catalog import AlreadyExistsError, EntityNotFoundError
from athena_local.context import StatementResult
from athena_local.engine import hive
from athena_local.engine.hive import partition_name
from athena_local.errors import QueryError
from athena_local.objects import split_path
from athena_local.sql import statements as s
from athena_local.sql.tables import find
from athena_local.sql.views import is_view
from athena_local.statements.definitions import check_hive_type, done, glue_columns
from athena_local.types import Column

if TYPE_CHECKING:
    from athena_local.engine.session import Session

Record = dict[str, Any]
# what the catalog answers beyond what it takes
_READ_ONLY = {
    "DatabaseName", "CreateTime", "UpdateTime", "VersionId", "CatalogId", "CreatedBy", "IsRegisteredWithLakeFormation",
}  # fmt: skip


def as_input(record: Record) -> Record:
    """Return the TableInput that would make this Table again."""
    return {key: copy.deepcopy(value) for key, value in record.items() if key not in _READ_ONLY}


def alter_table(session: Session, statement: s.AlterTable, record: Record) -> StatementResult:
    if is_view(record):
        name = f"{record['DatabaseName']}.{record['Name']}"
        raise QueryError("NOT_SUPPORTED", f"ALTER TABLE is not supported on the view {name}")
    action = statement.action
    if isinstance(action, s.RenameTable):
        return _rename(session, record, action)
    if isinstance(action, (s.AddPartitions, s.DropPartitions, s.RenamePartition)):
        return _partitions(session, record, action)
    if isinstance(action, s.SetLocation) and action.partition is not None:
        return _set_partition_location(session, record, action)
    if isinstance(action, s.DropColumn):
        raise QueryError(
            "NOT_SUPPORTED", "DROP COLUMN is only supported for Iceberg tables; use REPLACE COLUMNS"
        )
    body = as_input(record)
    _change(body, action)
    session.context.catalog.update_table(record["DatabaseName"], body, version_id=record.get("VersionId"))
    return done()


def _change(body: Record, action: s.AlterAction) -> None:
    storage = body["StorageDescriptor"]
    if isinstance(action, s.AddColumns):
        _refuse_repeats(body, action.columns)
        storage["Columns"] = storage["Columns"] + glue_columns(list(action.columns))
    elif isinstance(action, s.ReplaceColumns):
        storage["Columns"] = glue_columns(list(action.columns))
    elif isinstance(action, s.ChangeColumn):
        storage["Columns"] = _changed(storage["Columns"], action)
    elif isinstance(action, s.SetLocation):
        storage["Location"] = action.location
    elif isinstance(action, s.SetProperties):
        body["Parameters"] = {**(body.get("Parameters") or {}), **action.properties}
    elif isinstance(action, s.UnsetProperties):
        body["Parameters"] = {
            key: value for key, value in (body.get("Parameters") or {}).items() if key not in action.keys
        }


def _refuse_repeats(body: Record, columns: tuple[Column, ...]) -> None:
    names = {
        column["Name"].lower()
        for column in body["StorageDescriptor"]["Columns"] + body.get("PartitionKeys", [])
    }
    for column in columns:
        if column.name in names:
            raise QueryError("DUPLICATE_COLUMN_NAME", f"Duplicate column name: {column.name}")
        names.add(column.name)


def _changed(columns: list[Record], action: s.ChangeColumn) -> list[Record]:
    index = next((at for at, column in enumerate(columns) if column["Name"].lower() == action.name), None)
    if index is None:
        raise QueryError("COLUMN_NOT_FOUND", f"Invalid column reference {action.name}")
    check_hive_type(action.column.type)
    remaining = [column for at, column in enumerate(columns) if at != index]
    changed = glue_columns([action.column])[0]
    if "Comment" not in changed and columns[index].get("Comment"):
        changed["Comment"] = columns[index]["Comment"]
    place = index
    if action.first:
        place = 0
    elif action.after is not None:
        names = [column["Name"].lower() for column in remaining]
        if action.after not in names:
            raise QueryError("COLUMN_NOT_FOUND", f"Invalid column reference {action.after}")
        place = names.index(action.after) + 1
    return [*remaining[:place], changed, *remaining[place:]]


def _rename(session: Session, record: Record, action: s.RenameTable) -> StatementResult:
    try:
        session.context.catalog.rename_table(
            record["DatabaseName"],
            record["Name"],
            action.to.name,
            action.to.database or record["DatabaseName"],
        )
    except AlreadyExistsError:
        text = f"Table '{action.to}' already exists"
        raise QueryError("TABLE_ALREADY_EXISTS", text, position=action.to.position) from None
    except EntityNotFoundError:
        text = f"Schema '{action.to.database}' does not exist"
        raise QueryError("SCHEMA_NOT_FOUND", text, position=action.to.position) from None
    return done()


# partitions


def partition_input(record: Record, values: list[str], location: str) -> Record:
    storage = copy.deepcopy(record["StorageDescriptor"])
    storage["Location"] = location
    return {"Values": values, "StorageDescriptor": storage, "Parameters": {}}


def partition_location(record: Record, values: list[str]) -> str:
    keys = [key["Name"] for key in record.get("PartitionKeys") or []]
    return f"{record['StorageDescriptor']['Location'].rstrip('/')}/{partition_name(keys, values)}/"


def _values(record: Record, spec: s.PartitionSpec) -> list[str]:
    keys = [key["Name"].lower() for key in record.get("PartitionKeys") or []]
    given = dict(spec.values)
    name = f"{record['DatabaseName']}.{record['Name']}"
    if set(given) != set(keys):
        wrong = ", ".join(sorted(set(given) ^ set(keys)))
        raise QueryError(
            "INVALID_PARTITION_VALUE", f"Partition spec does not match the keys of {name}: {wrong}"
        )
    return [hive.NULL_PARTITION if given[key] is None else str(given[key]) for key in keys]


def _partitions(
    session: Session, record: Record, action: s.AddPartitions | s.DropPartitions | s.RenamePartition
) -> StatementResult:
    catalog, database, table = session.context.catalog, record["DatabaseName"], record["Name"]
    if isinstance(action, s.RenamePartition):
        old, new = _values(record, action.partition), _values(record, action.to)
        try:
            current = catalog.get_partition(database, table, old)
        except EntityNotFoundError:
            raise QueryError("PARTITION_NOT_FOUND", f"Partition not found: {old}") from None
        body = partition_input(record, new, current["StorageDescriptor"]["Location"])
        catalog.update_partition(database, table, old, body)
        return done()
    if isinstance(action, s.DropPartitions):
        for spec in action.partitions:
            try:
                catalog.delete_partition(database, table, _values(record, spec))
            except EntityNotFoundError:
                if not action.if_exists:
                    raise QueryError(
                        "PARTITION_NOT_FOUND", f"Partition not found: {dict(spec.values)}"
                    ) from None
        return done()
    inputs = []
    for spec in action.partitions:
        values = _values(record, spec)
        inputs.append(partition_input(record, values, spec.location or partition_location(record, values)))
    try:
        catalog.create_partitions(database, table, inputs, ignore_existing=action.if_not_exists)
    except AlreadyExistsError:
        raise QueryError("ALREADY_EXISTS", "Partition already exists") from None
    return done()


def _set_partition_location(session: Session, record: Record, action: s.SetLocation) -> StatementResult:
    assert action.partition is not None
    values = _values(record, action.partition)
    catalog = session.context.catalog
    try:
        current = catalog.get_partition(record["DatabaseName"], record["Name"], values)
    except EntityNotFoundError:
        raise QueryError("PARTITION_NOT_FOUND", f"Partition not found: {values}") from None
    current["StorageDescriptor"]["Location"] = action.location
    body = {key: current[key] for key in ("Values", "StorageDescriptor", "Parameters") if key in current}
    catalog.update_partition(record["DatabaseName"], record["Name"], values, body)
    return done()


def repair(session: Session, statement: s.RepairTable) -> StatementResult:
    """MSCK REPAIR TABLE: add the partitions whose `key=value` folders exist; none is ever dropped."""
    record = find(session, statement.table)
    keys = [key["Name"].lower() for key in record.get("PartitionKeys") or []]
    if not keys:
        return done()
    location = record["StorageDescriptor"]["Location"].rstrip("/") + "/"
    _, base = split_path(location)
    found: dict[tuple[str, ...], str] = {}
    for item in session.context.objects.list(location):
        parts = split_path(item.path)[1][len(base) :].split("/")[:-1]
        if len(parts) < len(keys):
            continue
        pairs = [part.partition("=") for part in parts[: len(keys)]]
        if all(mark and name.lower() == key for (name, mark, _), key in zip(pairs, keys, strict=True)):
            values = tuple(unquote(value) for _, _, value in pairs)
            found[values] = location + "/".join(parts[: len(keys)]) + "/"
    existing = {
        tuple(row["Values"])
        for row in session.context.catalog.get_partitions(record["DatabaseName"], record["Name"])
    }
    missing = [values for values in sorted(found) if values not in existing]
    inputs = [partition_input(record, list(values), found[values]) for values in missing]
    session.context.catalog.create_partitions(
        record["DatabaseName"], record["Name"], inputs, ignore_existing=True
    )
    name = record["Name"]
    lines = [
        f"Partitions not in metastore: {' '.join(f'{name}:{partition_name(keys, list(v))}' for v in missing)}"
    ]
    lines += [f"Repair: Added partition to metastore {name}:{partition_name(keys, list(v))}" for v in missing]
    return StatementResult(lines=lines if missing else [])
