"""DROP, MSCK REPAIR TABLE and VACUUM."""

from __future__ import annotations

from athena_local.sql import statements as s
from athena_local.sql.ddl.names import database_name, hive_table_name, table_name
from athena_local.sql.lexer import Cursor


def drop(cursor: Cursor) -> s.Statement:
    cursor.expect("DROP")
    if cursor.accept("DATABASE") or cursor.accept("SCHEMA"):
        if_exists = cursor.accept("IF", "EXISTS")
        name = database_name(cursor)
        cascade = cursor.accept("CASCADE")
        if not cascade:
            cursor.accept("RESTRICT")
        cursor.finish()
        return s.DropDatabase(name, if_exists, cascade)
    view = cursor.accept("VIEW")
    if not view and not cursor.accept("TABLE"):
        raise cursor.error("'DATABASE', 'SCHEMA', 'TABLE', 'VIEW'")
    if_exists = cursor.accept("IF", "EXISTS")
    if view:
        found: s.Statement = s.DropView(table_name(cursor), if_exists)
    else:
        found = s.DropTable(hive_table_name(cursor, from_start=False), if_exists)
        cursor.accept("PURGE")
    cursor.finish()
    return found


def repair(cursor: Cursor) -> s.Statement:
    cursor.expect("MSCK", "REPAIR", "TABLE")
    name = hive_table_name(cursor, from_start=False)
    cursor.finish()
    return s.RepairTable(name)


def vacuum(cursor: Cursor) -> s.Statement:
    cursor.expect("VACUUM")
    name = table_name(cursor)
    cursor.finish()
    return s.Vacuum(name)
