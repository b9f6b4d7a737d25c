"""Session, system, UUID and IP address functions."""

from __future__ import annotations

from athena_local.sql.functions.signatures import Function, scalar, table

FUNCTIONS: dict[str, Function] = table(
    {
        "uuid": scalar("-> uuid", "uuid()"),
        "version": scalar("-> varchar", "'3'"),
        "contains": scalar(
            "array(T), T -> boolean",
            "CASE WHEN list_contains({0}, {1}) THEN true WHEN {1} IS NULL OR list_count({0}) < len({0}) THEN NULL"
            " WHEN {0} IS NOT NULL THEN false END",
            "varchar(x), ipaddress -> boolean",
            "trino_contains_address({0}, {1})",
        ),
    },
    comparable="contains",
)
