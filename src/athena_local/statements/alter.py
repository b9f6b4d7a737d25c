"""ALTER TABLE on Hive tables: changes of the catalog alone, the data stays where it is. Partitions are in `partitions`."""

from __future__ import annotations

import copy
import time
import uuid
from typing import TYPE_CHECKING, Any

from athena_local.context import StatementResult
from athena_local.errors import QueryError
from athena_local.sql import statements as s
from athena_local.sql.views import is_view
from athena_local.statements import partitions
from athena_local.statements.definitions import check_hive_type, done, glue_columns, hive_location
from athena_local.statements.hive_errors import SYNTAX, execution_error, semantic_error
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
        raise semantic_error("To alter a view you need to use the ALTER VIEW command.", 10131)
    action = statement.action
    if isinstance(action, s.RenameTable):
        raise _cannot_rename()
    if isinstance(action, s.DropColumn):
        text = "ParseException mismatched input 'COLUMN' expecting PARTITION near 'DROP' in drop partition statement"
        raise QueryError("FAILED", text, error_type=SYNTAX)
    if isinstance(action, (s.AddPartitions, s.DropPartitions, s.RenamePartition)):
        return partitions.change(session, record, action)
    if isinstance(action, s.SetLocation) and action.partition is not None:
        location = hive_location(session, action.location)
        return partitions.change_storage(session, record, action.partition, {"Location": location})
    if isinstance(action, s.AddColumns) and action.partition is not None:
        return _add_columns_to_partition(session, record, action, action.partition)
    body = as_input(record)
    _change(session, body, action)
    body["Parameters"] = {**(body.get("Parameters") or {}), "transient_lastDdlTime": str(int(time.time()))}
    session.context.catalog.update_table(record["DatabaseName"], body, version_id=record.get("VersionId"))
    return done()


def _cannot_rename() -> QueryError:
    """Return Glue's refusal, as Athena passes it on; the id is of a request that nobody can look up."""
    details = f"Status Code: 400; Error Code: InvalidInputException; Request ID: {uuid.uuid4()}; Proxy: null"
    return execution_error(
        "Unable to alter table. Unable to change partition or table:"
        " com.amazonaws.services.datacatalog.model.InvalidInputException: Table cannot be renamed"
        f" (Service: AmazonDataCatalog; {details})",
        error_type=SYNTAX,
    )


def _change(session: Session, body: Record, action: s.AlterAction) -> None:
    storage = body["StorageDescriptor"]
    if isinstance(action, s.AddColumns):
        _refuse_repeats(body, storage["Columns"], action.columns)
        storage["Columns"] = storage["Columns"] + glue_columns(list(action.columns))
    elif isinstance(action, s.ReplaceColumns):
        _refuse_repeats(body, [], action.columns)
        storage["Columns"] = glue_columns(list(action.columns))
    elif isinstance(action, s.ChangeColumn):
        storage["Columns"] = _changed(body, storage["Columns"], action)
    elif isinstance(action, s.SetLocation):
        storage["Location"] = hive_location(session, action.location)
    elif isinstance(action, s.SetProperties):
        body["Parameters"] = {**(body.get("Parameters") or {}), **action.properties}
    elif isinstance(action, s.UnsetProperties):
        body["Parameters"] = {
            key: value for key, value in (body.get("Parameters") or {}).items() if key not in action.keys
        }


def _refuse_repeats(body: Record, present: list[Record], columns: tuple[Column, ...]) -> None:
    names = {column["Name"].lower() for column in [*present, *(body.get("PartitionKeys") or [])]}
    for column in columns:
        if column.name in names:
            raise execution_error(f"Duplicate column name: {column.name}")
        names.add(column.name)


def _add_columns_to_partition(
    session: Session, record: Record, action: s.AddColumns, spec: s.PartitionSpec
) -> StatementResult:
    current = partitions.get(session, record, spec)
    present = current["StorageDescriptor"].get("Columns") or []
    _refuse_repeats(record, present, action.columns)
    columns = [*present, *glue_columns(list(action.columns))]
    return partitions.change_storage(session, record, spec, {"Columns": columns})


def _changed(body: Record, columns: list[Record], action: s.ChangeColumn) -> list[Record]:
    names = [column["Name"].lower() for column in columns]
    if action.name not in names:
        raise execution_error(f"Invalid column reference {action.name}")
    check_hive_type(action.column.type)
    index = names.index(action.name)
    remaining = [column for at, column in enumerate(columns) if at != index]
    if action.column.name != action.name:
        _refuse_repeats(body, remaining, (action.column,))
    changed = glue_columns([action.column])[0]
    if "Comment" not in changed and columns[index].get("Comment"):
        changed["Comment"] = columns[index]["Comment"]
    place = index
    if action.first:
        place = 0
    elif action.after is not None:
        others = [column["Name"].lower() for column in remaining]
        if action.after not in others:
            raise execution_error(f"Invalid column reference {action.after}")
        place = others.index(action.after) + 1
    return [*remaining[:place], changed, *remaining[place:]]
