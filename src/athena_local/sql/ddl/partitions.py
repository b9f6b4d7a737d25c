"""PARTITION (k = v, …) [LOCATION '…'] in ALTER TABLE, DESCRIBE and SHOW PARTITIONS."""

from __future__ import annotations

from athena_local.sql import statements as s
from athena_local.sql.lexer import Cursor


def partitions(cursor: Cursor) -> tuple[s.PartitionSpec, ...]:
    found = [partition(cursor)]
    while cursor.accept(",") or cursor.at("PARTITION"):
        found.append(partition(cursor))
    return tuple(found)


def partition(cursor: Cursor) -> s.PartitionSpec:
    cursor.expect("PARTITION")
    cursor.expect("(")
    values: list[tuple[str, str | None]] = []
    while True:
        key, value = cursor.identifier(), None
        if cursor.accept("="):
            minus = "-" if cursor.accept("-") else ""
            if cursor.token.kind == "string" or cursor.token.text[:1] == '"':
                value = cursor.hive_string()
            elif cursor.token.kind in {"number", "word"}:
                value = minus + cursor.next().text
                if cursor.token.kind == "string":  # DATE '2025-01-01'
                    value = cursor.hive_string()
            else:
                raise cursor.error("<string>")
        values.append((key, value))
        if not cursor.accept(","):
            break
    cursor.expect(")")
    location = cursor.hive_string() if cursor.accept("LOCATION") else None
    return s.PartitionSpec(tuple(values), location)
