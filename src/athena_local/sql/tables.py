"""Table names in a query: looked up in the catalog and replaced by the scan of their files, or by a view's own query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from athena_local import iceberg
from athena_local.catalog import EntityNotFoundError
from athena_local.config import CATALOG_NAME
from athena_local.engine import hive
from athena_local.engine.values import literal
from athena_local.errors import QueryError
from athena_local.sql import information_schema, time_travel, views
from athena_local.sql.dialect import DuckDBText
from athena_local.sql.pruning import PartitionPredicate, own_conjuncts
from athena_local.sql.pushdown import hand_down
from athena_local.sql.scope import Output, Scope, position_of
from athena_local.sql.statements import Position, TableName
from athena_local.types import VARCHAR, AthenaType, Column, quote

if TYPE_CHECKING:
    from athena_local.engine.session import Session
    from athena_local.sql.queries.dispatch import Queries

Record = dict[str, Any]
_ICEBERG_HIDDEN = [
    ("$path", VARCHAR),
    ("$file_modified_time", AthenaType("timestamp with time zone", 3)),
]
_ICEBERG_POSITION = ("$pos", AthenaType("bigint"))


def find(session: Session, name: TableName) -> Record:
    """Return the catalog's record. SCHEMA_NOT_FOUND or TABLE_NOT_FOUND with the place of the name."""
    database = name.database or session.context.database
    catalog = session.context.catalog
    try:
        return catalog.get_table(database, name.name)
    except EntityNotFoundError:
        pass
    try:
        catalog.get_database(database)
    except EntityNotFoundError:
        text = f"Schema '{database}' does not exist"
        raise QueryError("SCHEMA_NOT_FOUND", text, position=name.position) from None
    text = f"Table '{CATALOG_NAME.lower()}.{database}.{name.name}' does not exist"
    raise QueryError("TABLE_NOT_FOUND", text, position=name.position)


class Tables:
    def __init__(self, session: Session, queries: Queries) -> None:
        self.session = session
        self.queries = queries

    def source(
        self, node: exp.Table, alias: str, conjuncts: list[exp.Expression]
    ) -> tuple[str, list[Output]]:
        """Return the select that stands for a table, and its columns with the hidden ones."""
        position = position_of(node)
        catalog = node.catalog.lower()
        if catalog and catalog != CATALOG_NAME.lower():
            raise QueryError(
                "CATALOG_NOT_FOUND", f"Catalog '{node.catalog}' does not exist", position=position
            )
        database = (node.db or self.queries.database).lower()
        name = TableName(database, node.name.lower(), position)
        if database == "information_schema":
            sql, columns = information_schema.source(self.session, name, alias, conjuncts)
            return sql, [Output(column.name, column.type, column.name) for column in columns]
        metadata = self._metadata_table(name)
        if metadata is not None:
            if node.args.get("version") is not None:
                raise QueryError("NOT_SUPPORTED", "This connector does not support versioned tables")
            return metadata
        record = find(self.session, name)
        version = node.args.get("version")
        if views.is_view(record):
            if version is not None:
                raise QueryError("NOT_SUPPORTED", "View query cannot be versioned", position=position)
            return self._view(record, position, alias, conjuncts)
        if iceberg.is_iceberg(record):
            return self._iceberg(record, alias, conjuncts, node)
        if version is not None:
            text = "This connector does not support versioned tables"
            raise QueryError("NOT_SUPPORTED", text, position=position)
        return self._hive(record, alias, conjuncts)

    def _metadata_table(self, name: TableName) -> tuple[str, list[Output]] | None:
        base, _, suffix = name.name.rpartition("$")
        if not base:
            return None
        record = find(self.session, TableName(name.database, base, name.position))
        if iceberg.is_iceberg(record) and suffix in iceberg.METADATA_TABLES:
            scan = iceberg.scan_metadata(self.session, record, suffix)
            return f"SELECT * FROM {scan.sql}", [
                Output(column.name, column.type, column.name) for column in scan.columns
            ]
        keys = hive.partition_columns(record)
        if suffix == "partitions" and keys and not iceberg.is_iceberg(record):
            return self._partitions(record, keys)
        if suffix == "properties" and not iceberg.is_iceberg(record) and not views.is_view(record):
            return self._properties(record)
        text = f"Table '{CATALOG_NAME.lower()}.{name.database}.{name.name}' does not exist"
        raise QueryError("TABLE_NOT_FOUND", text, position=name.position)

    def _properties(self, record: Record) -> tuple[str, list[Output]]:
        """Return `t$properties`: one row, a text column a table property."""
        properties = {
            str(key).lower(): str(value) for key, value in sorted((record.get("Parameters") or {}).items())
        }
        selected = [f"{literal(value)} AS {quote(key)}" for key, value in properties.items()]
        return f"SELECT {', '.join(selected)}", [Output(key, VARCHAR, key) for key in properties]

    def _partitions(self, record: Record, keys: list[Column]) -> tuple[str, list[Output]]:
        rows = hive.partitions_of(self.session, record)
        names = ", ".join(f'"{key.name}"' for key in keys)
        values = [
            "(" + ", ".join(hive.partition_literal(value, key) for value, key in zip(row["Values"], keys, strict=True)) + ")"
            for row in rows
        ]  # fmt: skip
        outputs = [Output(key.name, key.type, key.name) for key in keys]
        if not values:
            nulls = ", ".join(f'CAST(NULL AS {key.type.duckdb()}) AS "{key.name}"' for key in keys)
            return f"SELECT {nulls} LIMIT 0", outputs
        return f"SELECT * FROM (VALUES {', '.join(values)}) AS p({names})", outputs

    def _iceberg(
        self, record: Record, alias: str, conjuncts: list[exp.Expression], node: exp.Table
    ) -> tuple[str, list[Output]]:
        as_of = time_travel.as_of(self.queries, node)
        columns = iceberg.scan_columns(self.session, record, as_of)
        outputs = [Output(column.name, column.type, column.name) for column in columns]
        hidden = (
            [*_ICEBERG_HIDDEN, _ICEBERG_POSITION]
            if node.meta.get(iceberg.WITH_POSITIONS)
            else _ICEBERG_HIDDEN
        )
        outputs += [Output(name, kind, name, hidden=True) for name, kind in hidden]
        if self.session.without_rows:
            return _no_rows(outputs), outputs
        names = {column.name.lower() for column in columns} | {name for name, _ in hidden}
        own = own_conjuncts(conjuncts, alias, names)
        predicate: Any = exp.and_(*own, copy=True) if own else None
        scan = iceberg.scan(self.session, record, predicate=predicate, as_of=as_of)
        return f"SELECT * FROM {scan.sql}", outputs

    def _hive(self, record: Record, alias: str, conjuncts: list[exp.Expression]) -> tuple[str, list[Output]]:
        hidden = hive.hidden_columns(record)
        keys = hive.partition_columns(record)
        own = own_conjuncts(conjuncts, alias, {key.name for key in keys} | set(hidden))
        if self.session.without_rows:
            sql = hive.nothing(record)
        else:
            sql = hive.scan(self.session, record, PartitionPredicate(self.session, self.queries, keys, own))
        outputs = [Output(column.name, column.type, column.name) for column in hive.columns(record)]
        outputs += [Output(name, kind, name, hidden=True) for name, kind in hidden.items()]
        return sql, outputs

    def _view(
        self, record: Record, position: Position | None, alias: str, conjuncts: list[exp.Expression]
    ) -> tuple[str, list[Output]]:
        from athena_local.sql.queries.dispatch import Queries

        session, database = self.session, record["DatabaseName"]
        own = f"{database}.{record['Name']}"
        if own == session.replaced_view:
            text = "Statement would create a recursive view"
            raise QueryError("VIEW_IS_RECURSIVE", text, position=position)
        if own in session.open_views:
            raise QueryError("VIEW_IS_RECURSIVE", "View is recursive", position=position)
        name = f"{CATALOG_NAME.lower()}.{own}"
        view = views.decode(record)
        names = [column.name.lower() for column in view.columns]
        hand_down(view.query, own_conjuncts(conjuncts, alias, set(names)), names)
        nested = Queries(session, self.queries.depth + 1, view.database or database)
        session.open_views.append(own)
        try:
            tree, outputs = nested.query(view.query, Scope(), {})
        except QueryError as error:
            if error.code in {"GENERIC_INTERNAL_ERROR", "HIVE_BAD_DATA"}:
                raise
            where = f"line {error.position[0]}:{error.position[1]}: " if error.position else ""
            text = f"Failed analyzing stored view '{name}': {where}{error.text}"
            raise QueryError("INVALID_VIEW", text, position=position) from error
        finally:
            session.open_views.pop()
        stale = views.staleness(view.columns, [(output.name, output.type) for output in outputs])
        if stale is not None:
            text = f"View '{name}' is stale or in invalid state: {stale}"
            raise QueryError("VIEW_IS_STALE", text, position=position)
        return _as_stored(tree.sql(dialect=DuckDBText), view.columns, outputs)


def _as_stored(sql: str, columns: list[Column], outputs: list[Output]) -> tuple[str, list[Output]]:
    """Return a view's select with the types that its creator saw, where its tables have changed since."""
    changed = [
        output.type is not None and output.type.base != column.type.base and column.type.base != "unknown"
        for column, output in zip(columns, outputs, strict=True)
    ]
    renamed = [
        Output(column.name, column.type if differs else output.type, output.ref)
        for column, output, differs in zip(columns, outputs, changed, strict=True)
    ]
    if not any(changed):
        return sql, renamed
    selected = [
        f"CAST({quote(item.ref)} AS {column.type.duckdb()}) AS {quote(item.ref)}"
        if differs
        else quote(item.ref)
        for column, item, differs in zip(columns, renamed, changed, strict=True)
    ]
    return f"SELECT {', '.join(selected)} FROM ({sql})", renamed


def _no_rows(outputs: list[Output]) -> str:
    """Return the select with these columns and no rows, for which no file is read."""
    nulls = [f"CAST(NULL AS {(item.type or VARCHAR).duckdb()}) AS {quote(item.ref)}" for item in outputs]
    return f"SELECT {', '.join(nulls)} LIMIT 0"
