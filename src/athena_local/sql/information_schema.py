"""information_schema: schemata, tables, columns and views of the catalog, as rows.

Conditions on schema and table names are applied before anything is read from the catalog: of a thousand tables, one that is
asked for by name costs one look-up. Refused: other tables of Trino's (roles and privileges, which Athena has not either).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from athena_local import iceberg
from athena_local.catalog import EntityNotFoundError
from athena_local.config import CATALOG_NAME
from athena_local.errors import QueryError
from athena_local.sql import views
from athena_local.sql.pruning import own_conjuncts
from athena_local.sql.statements import TableName
from athena_local.types import BIGINT, VARCHAR, Column, quote

if TYPE_CHECKING:
    from athena_local.engine.session import Session

Record = dict[str, Any]
Row = tuple[Any, ...]
NAME = "information_schema"
_CATALOG = CATALOG_NAME.lower()
_TABLES = {
    "columns": [
        "table_catalog", "table_schema", "table_name", "column_name", "ordinal_position", "column_default", "is_nullable",
        "data_type", "comment", "extra_info",
    ],
    "schemata": ["catalog_name", "schema_name"],
    "tables": ["table_catalog", "table_schema", "table_name", "table_type"],
    "views": ["table_catalog", "table_schema", "table_name", "view_definition"],
}  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """The names that a query's conditions leave; None for any."""

    schemas: set[str] | None
    tables: set[str] | None

    def schema(self, name: str) -> bool:
        return self.schemas is None or name in self.schemas

    def table(self, name: str) -> bool:
        return self.tables is None or name in self.tables


def source(
    session: Session, name: TableName, alias: str, conjuncts: list[exp.Expression]
) -> tuple[str, list[Column]]:
    """Return the select that holds the rows, and its columns."""
    names = _TABLES.get(name.name)
    if names is None:
        text = f"Table '{_CATALOG}.{NAME}.{name.name}' does not exist"
        raise QueryError("TABLE_NOT_FOUND", text, position=name.position)
    columns = [Column(item, BIGINT if item == "ordinal_position" else VARCHAR) for item in names]
    wanted = Wanted(
        _values(conjuncts, alias, {"table_schema", "schema_name"} & set(names)),
        _values(conjuncts, alias, {"table_name"} & set(names)),
    )
    rows = [] if session.without_rows else list(_rows(session, name.name, wanted))
    return _select(session, columns, rows), columns


def _select(session: Session, columns: list[Column], rows: list[Row]) -> str:
    """Return a select over the rows, handed over as Arrow: as text ten thousand would take DuckDB seconds to parse."""
    import pyarrow as pa

    arrays = [
        pa.array([row[index] for row in rows], column.type.arrow()) for index, column in enumerate(columns)
    ]
    table = pa.table(arrays, names=[column.name for column in columns])
    return f"SELECT * FROM {quote(session.register(table))}"


def _values(conjuncts: list[exp.Expression], alias: str, names: set[str]) -> set[str] | None:
    """Return the texts that conditions compare a column with: `column = 'x'` and `column IN ('x', …)`."""
    found: set[str] | None = None
    for part in own_conjuncts(conjuncts, alias, names):
        items: list[exp.Expression] = []
        if isinstance(part, exp.In) and not part.args.get("query"):
            items = part.expressions
        elif isinstance(part, exp.EQ):
            items = [part.expression]
        if not items or not isinstance(part.this, exp.Column):
            continue
        if all(isinstance(item, exp.Literal) and item.is_string for item in items):
            values = {item.name for item in items}
            found = values if found is None else found & values
    return found


def _rows(session: Session, kind: str, wanted: Wanted) -> Iterator[Row]:
    catalog = session.context.catalog
    schemas = [*(record["Name"] for record in catalog.get_databases()), NAME]
    for schema in sorted(schemas):
        if not wanted.schema(schema):
            continue
        if kind == "schemata":
            yield (_CATALOG, schema)
        elif schema == NAME:
            yield from _own_rows(kind, wanted)
        else:
            for record in _records(session, schema, wanted):
                yield from _table_rows(kind, schema, record)


def _records(session: Session, schema: str, wanted: Wanted) -> Iterator[Record]:
    catalog = session.context.catalog
    if wanted.tables is None:
        yield from catalog.get_tables(schema)
        return
    for name in sorted(wanted.tables):
        try:
            record = catalog.get_table(schema, name)
        except EntityNotFoundError:
            continue
        if record["Name"] == name:  # names are compared as they are: 'T' is no table's
            yield record


def _table_rows(kind: str, schema: str, record: Record) -> Iterator[Row]:
    table, is_view = record["Name"], views.is_view(record)
    if kind == "tables":
        yield (_CATALOG, schema, table, "VIEW" if is_view else "BASE TABLE")
    elif kind == "views":
        if is_view:
            yield (_CATALOG, schema, table, views.original_text(record))
    else:
        for position, (column, is_key) in enumerate(_columns(record), start=1):
            yield _column_row(schema, table, position, column, "partition key" if is_key else None)


def _own_rows(kind: str, wanted: Wanted) -> Iterator[Row]:
    """Return what information_schema tells of itself."""
    for table, names in _TABLES.items():
        if not wanted.table(table) or kind == "views":
            continue
        if kind == "tables":
            yield (_CATALOG, NAME, table, "BASE TABLE")
            continue
        for position, name in enumerate(names, start=1):
            column = Column(name, BIGINT if name == "ordinal_position" else VARCHAR)
            yield _column_row(NAME, table, position, column, None)


def _column_row(schema: str, table: str, position: int, column: Column, extra: str | None) -> Row:
    return (
        _CATALOG, schema, table, column.name, position, None, "YES", column.type.trino(), column.comment or None, extra,
    )  # fmt: skip


def _columns(record: Record) -> list[tuple[Column, bool]]:
    from athena_local.engine import hive

    if iceberg.is_iceberg(record):
        return [(column, False) for column in iceberg.columns(record)]
    keys = {column.name for column in hive.partition_columns(record)}
    return [(column, column.name in keys) for column in hive.columns(record)]
