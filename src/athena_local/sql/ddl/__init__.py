"""Hive's side of Athena: CREATE TABLE/DATABASE, ALTER, DROP, MSCK, SHOW, DESCRIBE and VACUUM, read by hand.

Grammar: https://docs.aws.amazon.com/athena/latest/ug/ddl-reference.html. Identifiers may be bare or `backticked`. What
Athena lists as unsupported is refused with its own words.
"""

from __future__ import annotations

from athena_local.sql import statements as s
from athena_local.sql.ddl.alter import alter
from athena_local.sql.ddl.drop import drop, repair, vacuum
from athena_local.sql.ddl.names import table_name
from athena_local.sql.ddl.show import describe, show
from athena_local.sql.ddl.tables import create
from athena_local.sql.lexer import Cursor

__all__ = ["parse", "table_name"]


def parse(cursor: Cursor) -> s.Statement | None:
    """Return the statement, or None when it does not begin as one of these."""
    reader = {
        "CREATE": create,
        "DROP": drop,
        "ALTER": alter,
        "MSCK": repair,
        "SHOW": show,
        "DESCRIBE": describe,
        "DESC": describe,
        "VACUUM": vacuum,
    }.get(cursor.token.upper)
    return reader(cursor) if reader else None
