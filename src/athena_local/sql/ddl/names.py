"""Names in Hive's statements: bare or `backticked`; "quotes" make a string for Athena's Hive parser, which refuses it."""

from __future__ import annotations

from athena_local.config import CATALOG_NAME
from athena_local.errors import QueryError
from athena_local.sql import statements as s
from athena_local.sql.lexer import Cursor, syntax_error


def no_viable(cursor: Cursor, at: int, first: int = 0) -> QueryError:
    """Return the refusal of the token `at`, with the text from the token `first` to it, as ANTLR shows it."""
    shown = cursor.text[cursor.tokens[first].start : cursor.tokens[at].end]
    shown = shown.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t")
    return syntax_error(cursor.text, cursor.tokens[at].start, f"no viable alternative at input '{shown}'")


def unsupported() -> QueryError:
    """Return what Athena answers to a statement that it knows and does not do."""
    return QueryError("", "Queries of this type are not supported")


def table_name(cursor: Cursor) -> s.TableName:
    position = cursor.position
    parts = [cursor.identifier()]
    while cursor.accept("."):
        parts.append(cursor.identifier())
    if len(parts) == 1 and "." in parts[0] and cursor.tokens[cursor.index - 1].text[0] == "`":
        parts = parts[0].split(".")  # `db.table` in one pair of backticks, as dbt's hooks are often written
    if len(parts) == 3:
        if parts[0] != CATALOG_NAME.lower():
            raise QueryError("CATALOG_NOT_FOUND", f"Catalog '{parts[0]}' does not exist", position=position)
        parts = parts[1:]
    if len(parts) > 2:
        raise QueryError("SYNTAX_ERROR", f"Too many dots in table name: {'.'.join(parts)}", position=position)
    return s.TableName(parts[0] if len(parts) == 2 else None, parts[-1], position)


def hive_table_name(cursor: Cursor, *, from_start: bool = True) -> s.TableName:
    """Read a name that Hive's own parser reads: no part may be in double quotes.

    from_start: the refusal shows the statement from its first word; else it names the token alone.
    """
    first = cursor.index
    name = table_name(cursor)
    parts = range(first, cursor.index, 2)
    quoted = next((index for index in parts if cursor.tokens[index].text[0] == '"'), None)
    if quoted is None:
        return name
    if from_start:
        raise no_viable(cursor, quoted)
    if quoted - first == 2:
        raise no_viable(cursor, quoted, first)
    token = cursor.tokens[quoted]
    raise syntax_error(cursor.text, token.start, f"mismatched input '{token.text}'")


def database_name(cursor: Cursor) -> str:
    name = cursor.identifier()
    if cursor.accept("."):
        if name != CATALOG_NAME.lower():
            raise QueryError(
                "CATALOG_NOT_FOUND", f"Catalog '{name}' does not exist", position=cursor.position
            )
        name = cursor.identifier()
    return name
