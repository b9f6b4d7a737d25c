"""CREATE DATABASE and CREATE [EXTERNAL] TABLE: https://docs.aws.amazon.com/athena/latest/ug/create-table.html."""

from __future__ import annotations

from athena_local.errors import QueryError
from athena_local.sql import statements as s
from athena_local.sql.ddl.columns import columns, names, properties
from athena_local.sql.ddl.names import database_name, hive_table_name
from athena_local.sql.lexer import Cursor
from athena_local.types import Column

_DELIMITED = {
    ("FIELDS", "TERMINATED", "BY"): "field.delim",
    ("COLLECTION", "ITEMS", "TERMINATED", "BY"): "collection.delim",
    ("MAP", "KEYS", "TERMINATED", "BY"): "mapkey.delim",
    ("LINES", "TERMINATED", "BY"): "line.delim",
    ("NULL", "DEFINED", "AS"): "serialization.null.format",
    ("ESCAPED", "BY"): "escape.delim",
}


def create(cursor: Cursor) -> s.Statement | None:
    cursor.expect("CREATE")
    if cursor.accept("DATABASE") or cursor.accept("SCHEMA"):
        return _create_database(cursor)
    external = cursor.accept("EXTERNAL")
    if not cursor.accept("TABLE"):
        return None
    return _create_table(cursor, external)


def _create_database(cursor: Cursor) -> s.Statement:
    if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
    name = database_name(cursor)
    comment = location = None
    found: dict[str, str] = {}
    while not cursor.at_end():
        if cursor.accept("COMMENT"):
            comment = cursor.hive_string()
        elif cursor.accept("LOCATION"):
            location = cursor.hive_string()
        elif cursor.accept("WITH", "DBPROPERTIES"):
            found = properties(cursor)
        else:
            raise cursor.error("'COMMENT', 'LOCATION', 'WITH'")
    return s.CreateDatabase(name, if_not_exists, comment, location, found)


def _create_table(cursor: Cursor, external: bool) -> s.Statement:
    if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
    table = hive_table_name(cursor)
    if not cursor.at("("):
        raise cursor.error("'('")
    found = columns(cursor)
    clauses = _TableClauses(cursor)
    clauses.read()
    if not clauses.is_iceberg:
        if clauses.location is None:
            raise QueryError("", "No location was specified for table. An S3 location must be specified")
        if not external:
            raise QueryError("", "External keyword required for table type HIVE")
    elif external:
        raise QueryError("", "External keyword not supported for table type ICEBERG")
    return s.CreateTable(
        table=table,
        columns=found,
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
                self.row_format = s.RowFormat(serde, properties(cursor))
            elif cursor.accept("STORED", "AS"):
                self.stored()
            elif cursor.accept("LOCATION"):
                self.location = cursor.hive_string()
            elif cursor.accept("TBLPROPERTIES"):
                self.properties = properties(cursor)
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
            self.partition_columns = columns(cursor)

    def buckets(self) -> None:
        cursor = self.cursor
        self.bucket_columns = names(cursor)
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
