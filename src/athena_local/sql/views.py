"""Views as Athena keeps them in Glue: a VIRTUAL_VIEW whose text is `/* Presto View: <base64 of JSON> */`."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from athena_local.config import CATALOG_NAME
from athena_local.errors import QueryError
from athena_local.sql.coercion import common_type
from athena_local.types import AthenaType, Column, parse_type

Record = dict[str, Any]
_HEAD, _TAIL = "/* Presto View: ", " */"


@dataclass(frozen=True)
class View:
    text: str
    query: exp.Expression
    columns: list[Column]
    database: str | None


def is_view(record: Record) -> bool:
    return record.get("TableType") == "VIRTUAL_VIEW"


def encode(
    database: str, name: str, text: str, columns: list[Column], comment: str | None, owner: str = "hadoop"
) -> Record:
    """Return the TableInput of a view. `database` is where names in its text are looked up: its creator's."""
    body = {
        "originalSql": text,
        "catalog": CATALOG_NAME.lower(),
        "schema": database,
        "columns": [{"name": column.name, "type": column.type.trino()} for column in columns],
        **({"comment": comment} if comment else {}),
        "owner": owner,
        "runAsInvoker": True,
    }
    packed = base64.b64encode(json.dumps(body).encode()).decode()
    return {
        "Name": name,
        "Owner": owner,
        "TableType": "VIRTUAL_VIEW",
        "Parameters": {"presto_view": "true", "comment": "Presto View"},
        "PartitionKeys": [],
        "ViewOriginalText": f"{_HEAD}{packed}{_TAIL}",
        "ViewExpandedText": "/* Presto View */",
        "StorageDescriptor": {
            "Columns": [{"Name": column.name, "Type": hive_type(column.type)} for column in columns],
            "Location": "",
            "Parameters": {},
            "NumberOfBuckets": 0,
            "Compressed": False,
            "StoredAsSubDirectories": False,
            "SortColumns": [],
            "BucketColumns": [],
            "SerdeInfo": {},
        },
    }


def hive_type(kind: AthenaType) -> str:
    """Return the Hive type of a view's column. NOT_SUPPORTED for those that Hive has not, as Athena refuses them."""
    if any(_unsupported(item) for item in _parts(kind)):
        raise QueryError("NOT_SUPPORTED", f"Unsupported Hive type: {kind.trino()}")
    return "string" if kind.base == "unknown" else kind.hive()


def _parts(kind: AthenaType) -> list[AthenaType]:
    return [kind, *(part for _, field in kind.fields for part in _parts(field))]


def _unsupported(kind: AthenaType) -> bool:
    return kind.base in {
        "timestamp with time zone",
        "time",
        "json",
        "uuid",
        "unknown",
    } or kind.base.startswith("interval")


def original_text(record: Record) -> str:
    return _body(record)["originalSql"] if _body(record) else str(record.get("ViewOriginalText") or "")


def _body(record: Record) -> Record:
    text = str(record.get("ViewOriginalText") or "")
    if not text.startswith(_HEAD):
        return {}
    try:
        body: Record = json.loads(base64.b64decode(text[len(_HEAD) : text.rindex(_TAIL)]))
    except ValueError as error:
        raise QueryError("INVALID_VIEW", f"The view {record.get('Name')} cannot be read") from error
    return body


def decode(record: Record) -> View:
    from athena_local.sql.parse import parse_query

    body = _body(record)
    if body:
        columns = [Column(item["name"], parse_type(item["type"])) for item in body.get("columns", [])]
        return View(body["originalSql"], parse_query(body["originalSql"]), columns, body.get("schema"))
    text = str(record.get("ViewExpandedText") or record.get("ViewOriginalText") or "")
    storage = record.get("StorageDescriptor") or {}
    columns = [Column(item["Name"], parse_type(item["Type"])) for item in storage.get("Columns") or []]
    return View(text, parse_query(text), columns, None)


def staleness(columns: list[Column], found: list[tuple[str, AthenaType | None]]) -> str | None:
    """Return why a view's query no longer gives the columns that were stored with it; None when it does."""
    if len(columns) != len(found):
        return (
            f"stored view column count ({len(columns)}) does not match column count derived from the view query"
            f" analysis ({len(found)})"
        )
    for index, (column, (name, kind)) in enumerate(zip(columns, found, strict=True)):
        shown = f"column [{name}] of type {kind} projected from query view at position {index}"
        stored = f"column [{column.name}] of type {column.type} stored in view definition"
        if name.lower() != column.name.lower():
            return f"{shown} has a different name from {stored}"
        if kind is not None and not _coerces(kind, column.type):
            return f"{shown} cannot be coerced to {stored}"
    return None


def _coerces(given: AthenaType, wanted: AthenaType) -> bool:
    if "unknown" in {given.base, wanted.base}:
        return True
    common = common_type(given, wanted)
    return given.base == wanted.base or (common is not None and common.base == wanted.base)
