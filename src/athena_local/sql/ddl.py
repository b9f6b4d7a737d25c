"""Hive's side of Athena: CREATE TABLE/DATABASE, ALTER, DROP, MSCK, SHOW, DESCRIBE and VACUUM, read by hand.

Grammar: https://docs.aws.amazon.com/athena/latest/ug/ddl-reference.html. Identifiers may be bare, `backticked` or "quoted".
"""

from __future__ import annotations

from athena_local.config import CATALOG_NAME
from athena_local.errors import QueryError
from athena_local.sql import statements as s
from athena_local.sql.lexer import Cursor
from athena_local.types import AthenaType, Column, parse_type

_TYPE_STOPS = {",", ")", "COMMENT", "NOT", "FIRST", "AFTER", "<EOF>"}
_HIVE_DECIMAL = "decimal(10,0)"  # what DECIMAL alone means in Hive DDL
_DELIMITED = {
    ("FIELDS", "TERMINATED", "BY"): "field.delim",
    ("COLLECTION", "ITEMS", "TERMINATED", "BY"): "collection.delim",
    ("MAP", "KEYS", "TERMINATED", "BY"): "mapkey.delim",
    ("LINES", "TERMINATED", "BY"): "line.delim",
    ("NULL", "DEFINED", "AS"): "serialization.null.format",
    ("ESCAPED", "BY"): "escape.delim",
}


def parse(cursor: Cursor) -> s.Statement | None:
    """Return the statement, or None when it does not begin as one of these."""
    word = cursor.token.upper
    reader = {
        "CREATE": _create,
        "DROP": _drop,
        "ALTER": _alter,
        "MSCK": _repair,
        "SHOW": _show,
        "DESCRIBE": _describe,
        "DESC": _describe,
        "VACUUM": _vacuum,
    }.get(word)
    return reader(cursor) if reader else None


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


def _database_name(cursor: Cursor) -> str:
    name = cursor.identifier()
    if cursor.accept("."):
        if name != CATALOG_NAME.lower():
            raise QueryError(
                "CATALOG_NOT_FOUND", f"Catalog '{name}' does not exist", position=cursor.position
            )
        name = cursor.identifier()
    return name


# CREATE


def _create(cursor: Cursor) -> s.Statement | None:
    cursor.expect("CREATE")
    if cursor.accept("DATABASE") or cursor.accept("SCHEMA"):
        return _create_database(cursor)
    external = cursor.accept("EXTERNAL")
    if not cursor.accept("TABLE"):
        return None
    return _create_table(cursor, external)


def _create_database(cursor: Cursor) -> s.Statement:
    if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
    name = _database_name(cursor)
    comment = location = None
    properties: dict[str, str] = {}
    while not cursor.at_end():
        if cursor.accept("COMMENT"):
            comment = cursor.hive_string()
        elif cursor.accept("LOCATION"):
            location = cursor.hive_string()
        elif cursor.accept("WITH", "DBPROPERTIES"):
            properties = _properties(cursor)
        else:
            raise cursor.error("'COMMENT', 'LOCATION', 'WITH'")
    return s.CreateDatabase(name, if_not_exists, comment, location, properties)


def _create_table(cursor: Cursor, external: bool) -> s.Statement:
    if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
    table = table_name(cursor)
    if not cursor.at("("):
        raise cursor.error("'('")
    columns = _columns(cursor)
    clauses = _TableClauses(cursor)
    clauses.read()
    if not external and not clauses.is_iceberg:
        raise QueryError(
            "SYNTAX_ERROR",
            "mismatched input 'TABLE'. Expecting: 'EXTERNAL' (only Iceberg tables may be created without it)",
            position=(1, 1),
        )
    if external and clauses.is_iceberg:
        raise QueryError(
            "SYNTAX_ERROR", "External keyword is not supported for table type ICEBERG", position=(1, 1)
        )
    return s.CreateTable(
        table=table,
        columns=columns,
        external=external,
        if_not_exists=if_not_exists,
        comment=clauses.comment,
        partition_columns=clauses.partition_columns,
        partition_transforms=clauses.transforms,
        bucket_columns=clauses.bucket_columns,
        bucket_count=clauses.bucket_count,
        row_format=clauses.row_format,
        stored_as=clauses.stored_as,
        input_format=clauses.input_format,
        output_format=clauses.output_format,
        location=clauses.location,
        properties=clauses.properties,
    )


class _TableClauses:
    """What may follow the columns of CREATE TABLE, in any order."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.comment: str | None = None
        self.partition_columns: tuple[Column, ...] = ()
        self.transforms: tuple[str, ...] = ()
        self.bucket_columns: tuple[str, ...] = ()
        self.bucket_count: int | None = None
        self.row_format: s.RowFormat | None = None
        self.stored_as: str | None = None
        self.input_format: str | None = None
        self.output_format: str | None = None
        self.location: str | None = None
        self.properties: dict[str, str] = {}

    @property
    def is_iceberg(self) -> bool:
        return self.properties.get("table_type", "").lower() == "iceberg"

    def read(self) -> None:
        cursor = self.cursor
        while not cursor.at_end():
            if cursor.accept("COMMENT"):
                self.comment = cursor.hive_string()
            elif cursor.accept("PARTITIONED", "BY"):
                self.partitions()
            elif cursor.accept("CLUSTERED", "BY"):
                self.buckets()
            elif cursor.accept("ROW", "FORMAT"):
                self.rows()
            elif cursor.accept("WITH", "SERDEPROPERTIES"):
                serde = self.row_format.serde if self.row_format else None
                self.row_format = s.RowFormat(serde, _properties(cursor))
            elif cursor.accept("STORED", "AS"):
                self.stored()
            elif cursor.accept("LOCATION"):
                self.location = cursor.hive_string()
            elif cursor.accept("TBLPROPERTIES"):
                self.properties = _properties(cursor)
            else:
                raise cursor.error(
                    "'CLUSTERED', 'COMMENT', 'LOCATION', 'PARTITIONED', 'ROW', 'STORED', 'TBLPROPERTIES', 'WITH'"
                )

    def partitions(self) -> None:
        """Hive lists columns with types, Iceberg lists columns and transforms: told apart by what follows the name."""
        cursor = self.cursor
        if cursor.ahead(2).text in {",", ")", "("}:
            self.transforms = tuple(_transforms(cursor))
        else:
            self.partition_columns = _columns(cursor)

    def buckets(self) -> None:
        cursor = self.cursor
        self.bucket_columns = _names(cursor)
        if cursor.accept("SORTED", "BY"):
            cursor.expect("(")
            cursor.slice_until_balanced({")"})
            cursor.expect(")")
        cursor.expect("INTO")
        self.bucket_count = cursor.number()
        cursor.expect("BUCKETS")

    def rows(self) -> None:
        cursor = self.cursor
        if cursor.accept("SERDE"):
            self.row_format = s.RowFormat(cursor.hive_string())
            return
        cursor.expect("DELIMITED")
        found: dict[str, str] = {}
        while True:
            for words, key in _DELIMITED.items():
                if cursor.accept(*words):
                    found[key] = cursor.hive_string()
                    break
            else:
                break
        if "field.delim" in found:
            found.setdefault("serialization.format", found["field.delim"])
        self.row_format = s.RowFormat(None, found)

    def stored(self) -> None:
        cursor = self.cursor
        if cursor.accept("INPUTFORMAT"):
            self.input_format = cursor.hive_string()
            cursor.expect("OUTPUTFORMAT")
            self.output_format = cursor.hive_string()
        else:
            self.stored_as = cursor.identifier().upper()


def _columns(cursor: Cursor) -> tuple[Column, ...]:
    cursor.expect("(")
    found = [_column(cursor)]
    while cursor.accept(","):
        found.append(_column(cursor))
    cursor.expect(")")
    return tuple(found)


def _column(cursor: Cursor) -> Column:
    name = cursor.identifier()
    cursor.accept(":")
    kind = _type(cursor)
    comment = cursor.hive_string() if cursor.accept("COMMENT") else ""
    return Column(name, kind, comment)


def _type(cursor: Cursor) -> AthenaType:
    position = cursor.position
    token = cursor.token
    text = cursor.slice_until_balanced(_TYPE_STOPS)
    if text.strip().lower() in {"decimal", "numeric"}:
        text = _HIVE_DECIMAL
    if not text:
        raise cursor.error("<type>")
    try:
        return parse_type(text.replace("`", '"'))
    except ValueError:
        message = f"mismatched input '{token.text}'. Unknown type: {text}"
        raise QueryError("SYNTAX_ERROR", message, position=position) from None


def _transforms(cursor: Cursor) -> list[str]:
    cursor.expect("(")
    found = []
    while True:
        name = cursor.identifier()
        if cursor.accept("("):
            inner = cursor.slice_until_balanced({")"})
            cursor.expect(")")
            name = f"{name}({inner.replace('`', '')})"
        found.append(name)
        if not cursor.accept(","):
            break
    cursor.expect(")")
    return found


def _names(cursor: Cursor) -> tuple[str, ...]:
    cursor.expect("(")
    found = [cursor.identifier()]
    while cursor.accept(","):
        found.append(cursor.identifier())
    cursor.expect(")")
    return tuple(found)


def _properties(cursor: Cursor) -> dict[str, str]:
    cursor.expect("(")
    found: dict[str, str] = {}
    while not cursor.accept(")"):
        key = cursor.hive_string()
        cursor.expect("=")
        found[key] = cursor.next().text if cursor.token.kind in {"number", "word"} else cursor.hive_string()
        if not cursor.at(")"):
            cursor.expect(",")
    return found


# DROP, MSCK, VACUUM


def _drop(cursor: Cursor) -> s.Statement:
    cursor.expect("DROP")
    if cursor.accept("DATABASE") or cursor.accept("SCHEMA"):
        if_exists = cursor.accept("IF", "EXISTS")
        name = _database_name(cursor)
        cascade = cursor.accept("CASCADE")
        if not cascade:
            cursor.accept("RESTRICT")
        cursor.finish()
        return s.DropDatabase(name, if_exists, cascade)
    view = cursor.accept("VIEW")
    if not view and not cursor.accept("TABLE"):
        raise cursor.error("'DATABASE', 'SCHEMA', 'TABLE', 'VIEW'")
    if_exists = cursor.accept("IF", "EXISTS")
    name_of = table_name(cursor)
    cursor.accept("PURGE")
    cursor.finish()
    return s.DropView(name_of, if_exists) if view else s.DropTable(name_of, if_exists)


def _repair(cursor: Cursor) -> s.Statement:
    cursor.expect("MSCK", "REPAIR", "TABLE")
    name = table_name(cursor)
    cursor.finish()
    return s.RepairTable(name)


def _vacuum(cursor: Cursor) -> s.Statement:
    cursor.expect("VACUUM")
    name = table_name(cursor)
    cursor.finish()
    return s.Vacuum(name)


# ALTER


def _alter(cursor: Cursor) -> s.Statement:
    cursor.expect("ALTER")
    if cursor.at("DATABASE") or cursor.at("SCHEMA") or cursor.at("VIEW"):
        raise QueryError(
            "NOT_SUPPORTED", f"ALTER {cursor.token.upper} is not supported", position=cursor.position
        )
    cursor.expect("TABLE")
    table = table_name(cursor)
    partition = _partition(cursor) if cursor.at("PARTITION") else None
    action = _action(cursor, partition)
    cursor.finish()
    return s.AlterTable(table, action)


def _action(cursor: Cursor, partition: s.PartitionSpec | None) -> s.AlterAction:
    if cursor.accept("SET", "LOCATION"):
        return s.SetLocation(cursor.hive_string(), partition)
    if cursor.accept("RENAME", "TO"):
        if partition is not None:
            return s.RenamePartition(partition, _partition(cursor))
        return s.RenameTable(table_name(cursor))
    if cursor.accept("ADD", "COLUMNS"):
        return s.AddColumns(_columns(cursor))
    if cursor.accept("REPLACE", "COLUMNS"):
        return s.ReplaceColumns(_columns(cursor))
    if cursor.accept("ADD"):
        if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
        return s.AddPartitions(_partitions(cursor), if_not_exists)
    if cursor.accept("DROP"):
        if cursor.accept("COLUMN"):
            return s.DropColumn(cursor.identifier())
        if_exists = cursor.accept("IF", "EXISTS")
        return s.DropPartitions(_partitions(cursor), if_exists)
    if cursor.accept("CHANGE"):
        return _change(cursor)
    if cursor.accept("SET", "TBLPROPERTIES"):
        return s.SetProperties(_properties(cursor))
    if cursor.accept("UNSET", "TBLPROPERTIES"):
        cursor.expect("(")
        keys = [cursor.hive_string()]
        while cursor.accept(","):
            keys.append(cursor.hive_string())
        cursor.expect(")")
        return s.UnsetProperties(tuple(keys))
    raise cursor.error("'ADD', 'CHANGE', 'DROP', 'RENAME', 'REPLACE', 'SET', 'UNSET'")


def _change(cursor: Cursor) -> s.ChangeColumn:
    cursor.accept("COLUMN")
    name = cursor.identifier()
    column = _column(cursor)
    if cursor.accept("FIRST"):
        return s.ChangeColumn(name, column, first=True)
    after = cursor.identifier() if cursor.accept("AFTER") else None
    return s.ChangeColumn(name, column, after=after)


def _partitions(cursor: Cursor) -> tuple[s.PartitionSpec, ...]:
    found = [_partition(cursor)]
    while cursor.accept(",") or cursor.at("PARTITION"):
        found.append(_partition(cursor))
    return tuple(found)


def _partition(cursor: Cursor) -> s.PartitionSpec:
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


# SHOW, DESCRIBE


def _show(cursor: Cursor) -> s.Statement:
    cursor.expect("SHOW")
    if cursor.accept("DATABASES") or cursor.accept("SCHEMAS"):
        found = s.Show("databases", pattern=_pattern(cursor))
    elif cursor.at("TABLES") or cursor.at("VIEWS"):
        kind = cursor.next().text.lower()
        database = _database_name(cursor) if cursor.accept("IN") or cursor.accept("FROM") else None
        found = s.Show(kind, database=database, pattern=_pattern(cursor))
    elif cursor.accept("COLUMNS"):
        found = _show_columns(cursor)
    elif cursor.accept("PARTITIONS"):
        found = s.Show("partitions", table=table_name(cursor))
    elif cursor.accept("CREATE", "TABLE"):
        found = s.Show("create_table", table=table_name(cursor))
    elif cursor.accept("CREATE", "VIEW"):
        found = s.Show("create_view", table=table_name(cursor))
    elif cursor.accept("TBLPROPERTIES"):
        name, key = table_name(cursor), None
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
    name = table_name(cursor)
    if name.database is None and (cursor.accept("FROM") or cursor.accept("IN")):
        name = s.TableName(_database_name(cursor), name.name, name.position)
    return s.Show("columns", table=name)


def _pattern(cursor: Cursor) -> str | None:
    cursor.accept("LIKE")
    return cursor.hive_string() if cursor.token.kind == "string" else None


def _describe(cursor: Cursor) -> s.Statement:
    cursor.next()
    view = cursor.accept("VIEW")
    mode = ""
    for word in ("FORMATTED", "EXTENDED"):
        if cursor.at(word) and cursor.ahead().kind in {"word", "quoted"}:
            cursor.next()
            mode = word.lower()
    cursor.accept("TABLE")
    name = table_name(cursor)
    partition = _partition(cursor) if cursor.at("PARTITION") else None
    column = None if cursor.at_end() else cursor.identifier()
    cursor.finish()
    return s.Describe(name, mode, partition, column, view)
