"""Parquet files of Hive tables: columns by name, or by place where the table says so (`parquet.column.index.access`).

A column that a file has not is NULL, one that does not fit is HIVE_BAD_DATA. Times are rounded to milliseconds, which is all
that Athena's timestamp of a Hive table keeps.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from athena_local.engine.formats import Format
from athena_local.engine.values import literal, to_millis
from athena_local.errors import QueryError
from athena_local.objects import S3Object
from athena_local.types import AthenaType, Column, from_duckdb, quote

if TYPE_CHECKING:
    from athena_local.engine.session import Session

SCHEMAS_KEPT = 10_000  # by path and ETag; a schema is some hundred bytes

_PHYSICAL = {
    "tinyint": "INT32", "smallint": "INT32", "integer": "INT32", "bigint": "INT64", "real": "FLOAT", "double": "DOUBLE",
    "boolean": "BOOLEAN", "varchar": "BYTE_ARRAY", "varbinary": "BYTE_ARRAY", "date": "INT32", "timestamp": "INT64",
}  # fmt: skip

Schema = dict[str, tuple[str, AthenaType]]  # lower-case name -> (name as written, type)

_schemas: OrderedDict[tuple[str, str], Schema] = OrderedDict()
_lock = threading.Lock()


def reader(session: Session, form: Format, data: list[Column], items: list[S3Object]) -> Callable[..., str]:
    """Return what gives the select over some of the files, by index."""
    session.files.register(items)
    session.files.fetch_ahead([item for item in items if (item.path, item.etag) not in _schemas])
    schemas = [_schema(session, item) for item in items]

    def select(indexes: list[int], file_name: str | None = None) -> str:
        groups: dict[str, list[int]] = {}
        for index in indexes:
            groups.setdefault(repr(list(schemas[index].items())), []).append(index)
        branches = []
        for members in groups.values():
            schema, first = schemas[members[0]], items[members[0]]
            selected = [
                _value(item, _stored(schema, item, place if form.by_index else None), first)
                for place, item in enumerate(data)
            ]
            if file_name:
                selected.append(f"filename AS {file_name}")
            files = ", ".join(literal(items[index].path) for index in members)
            named = ", filename = true" if file_name else ""
            body = ", ".join(selected) if selected else "1"
            branches.append(f"SELECT {body} FROM read_parquet([{files}], hive_partitioning = false{named})")
        return " UNION ALL ".join(branches)

    return select


def _schema(session: Session, item: S3Object) -> Schema:
    key = (item.path, item.etag)
    with _lock:
        found = _schemas.get(key)
    if found is None:
        source = f"read_parquet([{literal(item.path)}], hive_partitioning = false)"
        relation = session.bind(f"SELECT * FROM {source} LIMIT 0")
        found = {
            name.lower(): (name, from_duckdb(kind))
            for name, kind in zip(relation.columns, relation.types, strict=True)
        }
        if any(kind.base.startswith("timestamp") for _, kind in found.values()):
            found = {key: (name, _exact(session, item, name, kind)) for key, (name, kind) in found.items()}
        with _lock:
            _schemas[key] = found
            while len(_schemas) > SCHEMAS_KEPT:
                _schemas.popitem(last=False)
    return found


def _exact(session: Session, item: S3Object, name: str, kind: AthenaType) -> AthenaType:
    """Return a timestamp's type with the unit that the file says; DuckDB shows milliseconds as microseconds."""
    if not kind.base.startswith("timestamp"):
        return kind
    sql = f"SELECT logical_type, converted_type FROM parquet_schema({literal(item.path)}) WHERE name = {literal(name)}"
    said = str(session.bind(sql).fetchall()).upper()
    return replace(kind, precision=3 if "MILLISECONDS" in said or "TIMESTAMP_MILLIS" in said else 6)


def _stored(schema: Schema, column: Column, place: int | None) -> tuple[str, AthenaType] | None:
    """Return what a file has of a column: (name as written, type); by its place in the file when that is given."""
    if place is None:
        return schema.get(column.name)
    stored = list(schema.values())
    return stored[place] if place < len(stored) else None


def _value(column: Column, stored: tuple[str, AthenaType] | None, item: S3Object) -> str:
    declared = column.type
    if stored is None:
        return f"CAST(NULL AS {declared.duckdb()}) AS {quote(column.name)}"
    name, actual = stored
    if not _fits(actual, declared):
        physical = _PHYSICAL.get(actual.base, actual.base.upper())
        raise QueryError(
            "HIVE_BAD_DATA",
            f"Field {column.name}'s type {physical} in parquet file {item.path} is incompatible with type"
            f" {declared.trino()} defined in table schema",
        )
    if declared.base == "timestamp" and (actual.precision or 0) > 3:
        return f"{to_millis(f'CAST({quote(name)} AS {declared.duckdb()})')} AS {quote(column.name)}"
    if actual.duckdb() == declared.duckdb():
        return f"{quote(name)} AS {quote(column.name)}" if name != column.name else quote(name)
    return f"CAST({quote(name)} AS {declared.duckdb()}) AS {quote(column.name)}"


def _fits(actual: AthenaType, declared: AthenaType) -> bool:
    if actual.base == declared.base or declared.base == "unknown":
        return True
    if actual.is_integer and declared.is_integer:
        return True  # a value that is too large for its column fails, as in Trino, and only then
    pairs = {("real", "double"), ("varchar", "varbinary"), ("varbinary", "varchar"), ("varchar", "char"),
             ("timestamp with time zone", "timestamp"), ("timestamp", "timestamp with time zone")}  # fmt: skip
    return (actual.base, declared.base) in pairs or (actual.is_integer and declared.base == "decimal")
