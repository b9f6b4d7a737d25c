"""SHOW and DESCRIBE."""

from __future__ import annotations

from athena_local.errors import QueryError
from athena_local.sql import statements as s
from athena_local.sql.ddl.names import database_name, hive_table_name, no_viable, table_name, unsupported
from athena_local.sql.ddl.partitions import partition
from athena_local.sql.lexer import Cursor, syntax_error

_UNSUPPORTED = {"INDEXES", "PRINCIPALS"}


def _quoted(cursor: Cursor, first: int, *, from_start: bool = True) -> QueryError | None:
    """Return the refusal of a name in double quotes. It is for tables alone: Athena looks for views before it reads on."""
    for index in range(first, cursor.index, 2):
        token = cursor.tokens[index]
        if token.text[0] == '"':
            if index - first == 2:
                return no_viable(cursor, index, first)
            if from_start and index == first:
                return no_viable(cursor, index)
            return syntax_error(cursor.text, token.start, f"mismatched input '{token.text}'")
    return None


def show(cursor: Cursor) -> s.Statement:
    cursor.expect("SHOW")
    if cursor.token.upper in _UNSUPPORTED:
        raise unsupported()
    if cursor.accept("DATABASES") or cursor.accept("SCHEMAS"):
        found = s.Show("databases", pattern=_pattern(cursor))
    elif cursor.at("TABLES") or cursor.at("VIEWS"):
        kind = cursor.next().text.lower()
        database = database_name(cursor) if cursor.accept("IN") or cursor.accept("FROM") else None
        found = s.Show(kind, database=database, pattern=_pattern(cursor))
    elif cursor.accept("COLUMNS"):
        found = _show_columns(cursor)
    elif cursor.accept("PARTITIONS"):
        name = hive_table_name(cursor, from_start=False)
        found = s.Show(
            "partitions", table=name, partition=partition(cursor) if cursor.at("PARTITION") else None
        )
    elif cursor.accept("CREATE", "TABLE"):
        name = table_name(cursor)
        if any(token.text[0] == '"' for token in cursor.tokens[3 : cursor.index]):
            raise unsupported()
        found = s.Show("create_table", table=name)
    elif cursor.accept("CREATE", "VIEW"):
        found = s.Show("create_view", table=table_name(cursor))
    elif cursor.accept("TBLPROPERTIES"):
        name, key = hive_table_name(cursor, from_start=False), None
        if cursor.accept("("):
            key = cursor.hive_string()
            cursor.expect(")")
        found = s.Show("tblproperties", table=name, key=key)
    else:
        raise cursor.error(
            "'COLUMNS', 'CREATE', 'DATABASES', 'PARTITIONS', 'SCHEMAS', 'TABLES', 'TBLPROPERTIES', 'VIEWS'"
        )
    cursor.finish()
    return found


def _show_columns(cursor: Cursor) -> s.Show:
    if not (cursor.accept("FROM") or cursor.accept("IN")):
        raise cursor.error("'FROM', 'IN'")
    first = cursor.index
    name = table_name(cursor)
    quoted = _quoted(cursor, first, from_start=False)
    if name.database is None and (cursor.accept("FROM") or cursor.accept("IN")):
        name = s.TableName(database_name(cursor), name.name, name.position)
    return s.Show("columns", table=name, refused=quoted)


def _pattern(cursor: Cursor) -> str | None:
    cursor.accept("LIKE")
    return cursor.hive_string() if cursor.token.kind == "string" else None


def describe(cursor: Cursor) -> s.Statement:
    cursor.next()
    view = cursor.accept("VIEW")
    mode = ""
    for word in ("FORMATTED", "EXTENDED"):
        if cursor.at(word) and cursor.ahead().kind in {"word", "quoted"}:
            cursor.next()
            mode = word.lower()
    if cursor.at("DATABASE") or cursor.at("SCHEMA"):
        raise unsupported()
    cursor.accept("TABLE")
    first = cursor.index
    name = table_name(cursor)
    quoted = _quoted(cursor, first)
    chosen = partition(cursor) if cursor.at("PARTITION") else None
    column = None
    if not cursor.at_end():
        column = cursor.identifier()
        while cursor.accept("."):
            column += f".{cursor.identifier()}"
    cursor.finish()
    return s.Describe(name, mode, chosen, column, view, quoted)
