"""ALTER TABLE and ALTER DATABASE: what Athena changes, and how it words its refusal of what it does not.

What Trino's grammar has and Athena's has not ends where Athena's parser stops; what Athena documents as unsupported is
answered with one sentence.
"""

from __future__ import annotations

from athena_local.sql import statements as s
from athena_local.sql.ddl.columns import column, columns, properties
from athena_local.sql.ddl.names import database_name, hive_table_name, no_viable, table_name, unsupported
from athena_local.sql.ddl.partitions import partition, partitions
from athena_local.sql.lexer import Cursor, syntax_error

# https://docs.aws.amazon.com/athena/latest/ug/unsupported-ddl.html
_UNSUPPORTED = (
    ("ARCHIVE",), ("UNARCHIVE",), ("TOUCH",), ("CLUSTERED", "BY"), ("SKEWED", "BY"), ("NOT", "CLUSTERED"), ("NOT", "SKEWED"),
    ("NOT", "SORTED"), ("NOT", "STORED", "AS", "DIRECTORIES"), ("EXCHANGE",), ("COMPACT",), ("CONCATENATE",),
    ("SET", "FILEFORMAT"), ("SET", "SERDEPROPERTIES"), ("SET", "SERDE"), ("SET", "SKEWED", "LOCATION"),
)  # fmt: skip
_NOT_IN_ATHENA = (("ADD", "COLUMN"), ("SET", "PROPERTIES"), ("EXECUTE",), ("SET", "AUTHORIZATION"))


def alter(cursor: Cursor) -> s.Statement:
    cursor.expect("ALTER")
    if cursor.at("INDEX"):
        raise unsupported()
    if cursor.accept("DATABASE") or cursor.accept("SCHEMA"):
        name = database_name(cursor)
        if not cursor.accept("SET", "DBPROPERTIES"):
            raise unsupported()
        found = s.AlterDatabase(name, properties(cursor))
        cursor.finish()
        return found
    cursor.expect("TABLE")
    if cursor.at("IF", "EXISTS"):
        raise no_viable(cursor, cursor.index + 1)
    table = hive_table_name(cursor)
    chosen = partition(cursor) if cursor.at("PARTITION") else None
    action = _action(cursor, chosen)
    cursor.finish()
    return s.AlterTable(table, action)


def _action(cursor: Cursor, chosen: s.PartitionSpec | None) -> s.AlterAction:
    if any(cursor.at(*words) for words in _UNSUPPORTED) or (chosen is not None and cursor.at("CHANGE")):
        raise unsupported()
    for words in _NOT_IN_ATHENA:
        if cursor.at(*words):
            raise no_viable(cursor, cursor.index + len(words) - 1)
    if cursor.at("RENAME", "COLUMN"):
        token = cursor.ahead()
        raise syntax_error(cursor.text, token.start, f"missing 'TO' at '{token.text}'")
    if cursor.at("ALTER"):
        raise cursor.error("'.', 'ADD', 'DROP', 'EXECUTE', 'RENAME', 'SET'")
    if cursor.accept("SET", "LOCATION"):
        return s.SetLocation(cursor.hive_string(), chosen)
    if cursor.accept("RENAME", "TO"):
        if chosen is not None:
            return s.RenamePartition(chosen, partition(cursor))
        return s.RenameTable(table_name(cursor))
    if cursor.accept("ADD", "COLUMNS"):
        return s.AddColumns(columns(cursor), chosen)
    if cursor.accept("REPLACE", "COLUMNS"):
        return s.ReplaceColumns(columns(cursor))
    if cursor.accept("ADD"):
        if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
        return s.AddPartitions(partitions(cursor), if_not_exists)
    if cursor.accept("DROP"):
        return _drop(cursor)
    if cursor.accept("CHANGE"):
        return _change(cursor)
    if cursor.accept("SET", "TBLPROPERTIES"):
        return s.SetProperties(properties(cursor))
    if cursor.accept("UNSET", "TBLPROPERTIES"):
        cursor.expect("(")
        keys = [cursor.hive_string()]
        while cursor.accept(","):
            keys.append(cursor.hive_string())
        cursor.expect(")")
        return s.UnsetProperties(tuple(keys))
    raise cursor.error("'ADD', 'CHANGE', 'DROP', 'RENAME', 'REPLACE', 'SET', 'UNSET'")


def _drop(cursor: Cursor) -> s.AlterAction:
    if cursor.accept("COLUMN"):
        if cursor.at("IF", "EXISTS"):
            token = cursor.ahead()
            text = f"mismatched input '{token.text}' expecting {{<EOF>, '.'}}"
            raise syntax_error(cursor.text, token.start, text)
        return s.DropColumn(cursor.identifier())
    if_exists = cursor.accept("IF", "EXISTS")
    if not cursor.at("PARTITION"):
        raise cursor.error("'PARTITION'")
    return s.DropPartitions(partitions(cursor), if_exists)


def _change(cursor: Cursor) -> s.ChangeColumn:
    cursor.accept("COLUMN")
    name = cursor.identifier()
    changed = column(cursor)
    if cursor.accept("FIRST"):
        return s.ChangeColumn(name, changed, first=True)
    after = cursor.identifier() if cursor.accept("AFTER") else None
    if after is None and not cursor.at_end() and cursor.token.upper in {"CASCADE", "RESTRICT"}:
        cursor.next()
    return s.ChangeColumn(name, changed, after=after)
