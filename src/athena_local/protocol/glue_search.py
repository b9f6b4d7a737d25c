"""Glue's SearchTables: the words and filters that a table must fulfil, over every database."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from athena_local.catalog import Catalog, InvalidInputError
from athena_local.protocol.glue_errors import malformed_token
from athena_local.protocol.wire import Record, operation, page

PAGE_SIZE = 100
_COMPARATORS: dict[str, Callable[[Any, Any], bool]] = {
    "EQUALS": operator.eq,
    "GREATER_THAN": operator.gt,
    "LESS_THAN": operator.lt,
    "GREATER_THAN_EQUALS": operator.ge,
    "LESS_THAN_EQUALS": operator.le,
}
_SORTED_BY = {
    "name": "Name",
    "databasename": "DatabaseName",
    "createtime": "CreateTime",
    "updatetime": "UpdateTime",
}


class GlueSearchService:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    @operation("SearchTables")
    def search_tables(self, request: Record) -> Record:
        """Answer tables by name, or in the order asked for (then in one page: the order need not be one of places)."""
        found = [
            table
            for database in self._catalog.get_databases()
            for table in self._catalog.get_tables(database["Name"])
            if _contains(table, request.get("SearchText"))
            and all(_fulfils(table, one) for one in request.get("Filters") or ())
        ]
        for one in request.get("SortCriteria") or ():
            member = _SORTED_BY.get(str(one.get("FieldName", "")).lower())
            if member is None:
                raise InvalidInputError(f"Tables cannot be sorted by {one.get('FieldName')}.")
            found.sort(key=lambda table: table[member], reverse=one.get("Sort") == "DESC")
            return {"TableList": found[: request.get("MaxResults") or len(found)]}
        chosen, more = page(found, request, key=_place, limit=PAGE_SIZE, malformed=malformed_token)
        return {"TableList": chosen, **more}


def _place(table: Record) -> str:
    return f"{table['DatabaseName']}\t{table['Name']}"


def _contains(table: Record, text: str | None) -> bool:
    """Whether a name, description, column or parameter holds the text; in quotes it must be the whole of one."""
    if not text:
        return True
    columns = [*_columns(table), *(table.get("PartitionKeys") or ())]
    parts = [table["Name"], table.get("Description"), table.get("Owner")]
    parts += [column.get(name) for column in columns for name in ("Name", "Comment")]
    parts += [part for pair in (table.get("Parameters") or {}).items() for part in pair]
    words = [str(part).lower() for part in parts if part]
    wanted = text.lower()
    if len(wanted) > 1 and wanted[0] == wanted[-1] == '"':
        return wanted[1:-1] in words
    return any(wanted in word for word in words)


def _fulfils(table: Record, predicate: Record) -> bool:
    """Whether one filter holds: its Key is a table's attribute, or a parameter's name."""
    key, value = str(predicate.get("Key", "")), str(predicate.get("Value", ""))
    compare = _COMPARATORS[predicate.get("Comparator", "EQUALS")]
    attributes = {
        "Name": table["Name"],
        "DatabaseName": table["DatabaseName"],
        "TableType": table.get("TableType"),
        "Owner": table.get("Owner"),
        "Description": table.get("Description"),
        "Location": (table.get("StorageDescriptor") or {}).get("Location"),
        "UpdateTime": table["UpdateTime"],
        "CreateTime": table["CreateTime"],
    }
    lowered = {name.lower(): given for name, given in attributes.items()}
    given = lowered.get(key.lower(), (table.get("Parameters") or {}).get(key))
    if given is None:
        return False
    try:
        return compare(float(given), float(value))
    except ValueError:
        return compare(str(given).lower(), value.lower())


def _columns(table: Record) -> list[Record]:
    return (table.get("StorageDescriptor") or {}).get("Columns") or []
