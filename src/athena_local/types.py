"""Athena's types: read from Hive's spelling and from Trino's, written as either, and mapped to DuckDB, Arrow and Iceberg.

One value for both spellings, because a table is declared in Hive's (`array<struct<a:int>>`) and queried in Trino's
(`array(row(a integer))`). A type that neither Athena knows is a ValueError, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from athena_local.context import ResultColumn

if TYPE_CHECKING:
    import pyarrow as pa

# spelling -> canonical (Trino) base name
_BASE_NAMES = {
    "boolean": "boolean",
    "tinyint": "tinyint",
    "smallint": "smallint",
    "int": "integer",
    "integer": "integer",
    "bigint": "bigint",
    "long": "bigint",
    "float": "real",
    "real": "real",
    "double": "double",
    "decimal": "decimal",
    "numeric": "decimal",
    "string": "varchar",
    "varchar": "varchar",
    "char": "char",
    "binary": "varbinary",
    "varbinary": "varbinary",
    "date": "date",
    "time": "time",
    "timestamp": "timestamp",
    "timestamptz": "timestamp with time zone",
    "array": "array",
    "list": "array",
    "map": "map",
    "struct": "row",
    "row": "row",
    "json": "json",
    "uuid": "uuid",
    "unknown": "unknown",
    "interval day to second": "interval day to second",
    "interval year to month": "interval year to month",
}
_HIVE_NAMES = {
    "integer": "int",
    "real": "float",
    "varbinary": "binary",
    "timestamp with time zone": "timestamp",
}
_DUCKDB_NAMES = {
    "varbinary": "BLOB",
    "real": "FLOAT",
    "timestamp with time zone": "TIMESTAMPTZ",
    "char": "VARCHAR",
    "unknown": "NULL",
    "interval day to second": "INTERVAL",
    "interval year to month": "INTERVAL",
}
# base name -> (name, precision) in ResultSetMetadata.ColumnInfo, as Athena answers
_RESULT = {
    "boolean": ("boolean", 0),
    "tinyint": ("tinyint", 3),
    "smallint": ("smallint", 5),
    "integer": ("integer", 10),
    "bigint": ("bigint", 19),
    "real": ("float", 17),
    "double": ("double", 17),
    "varchar": ("varchar", 2147483647),
    "varbinary": ("varbinary", 1073741824),
    "timestamp": ("timestamp", 3),
    "timestamp with time zone": ("timestamp with time zone", 3),
}
_TIMESTAMP_PRECISION = 3  # what `timestamp` alone means to Trino; Iceberg's is 6
_DECIMAL_PRECISION = (
    38  # `decimal` alone, to Trino; Hive DDL means 10 and `sql.ddl` says so before it gets here
)
_TOKENS = re.compile(r'\s*(?:(?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`)|(?P<word>[\w$]+)|(?P<mark>[<>(),:]))')


@dataclass(frozen=True)
class AthenaType:
    """A type by its Trino base name. `fields` are (name, type): the element of an array, key and value of a map, a row's."""

    base: str
    precision: int | None = None  # decimal, timestamp, time; the length of varchar and char
    scale: int | None = None
    fields: tuple[tuple[str, AthenaType], ...] = ()

    @property
    def element(self) -> AthenaType:
        return self.fields[0][1]

    @property
    def key(self) -> AthenaType:
        return self.fields[0][1]

    @property
    def value(self) -> AthenaType:
        return self.fields[1][1]

    @property
    def is_numeric(self) -> bool:
        return self.base in {"tinyint", "smallint", "integer", "bigint", "real", "double", "decimal"}

    @property
    def is_integer(self) -> bool:
        return self.base in {"tinyint", "smallint", "integer", "bigint"}

    def __str__(self) -> str:
        """Trino's spelling."""
        return self.trino()

    def trino(self) -> str:
        if self.base == "array":
            return f"array({self.element.trino()})"
        if self.base == "map":
            return f"map({self.key.trino()}, {self.value.trino()})"
        if self.base == "row":
            inner = ", ".join(
                f"{name} {kind.trino()}" if name else kind.trino() for name, kind in self.fields
            )
            return f"row({inner})"
        if self.base == "decimal":
            return f"decimal({self.precision},{self.scale})"
        if self.base in {"varchar", "char"}:
            return self.base if self.precision is None else f"{self.base}({self.precision})"
        if self.base == "timestamp":
            return f"timestamp({self.precision})"
        if self.base == "timestamp with time zone":
            return f"timestamp({self.precision}) with time zone"
        return self.base

    def hive(self) -> str:
        """Return the spelling that Glue's columns have."""
        if self.base == "array":
            return f"array<{self.element.hive()}>"
        if self.base == "map":
            return f"map<{self.key.hive()},{self.value.hive()}>"
        if self.base == "row":
            return f"struct<{','.join(f'{name}:{kind.hive()}' for name, kind in self.fields)}>"
        if self.base == "decimal":
            return f"decimal({self.precision},{self.scale})"
        if self.base == "varchar" and self.precision is None:
            return "string"
        if self.base in {"varchar", "char"}:
            return f"{self.base}({self.precision or 1})"
        return _HIVE_NAMES.get(self.base, self.base)

    def duckdb(self) -> str:
        """Return DuckDB's spelling, fit for a cast."""
        if self.base == "array":
            return f"{self.element.duckdb()}[]"
        if self.base == "map":
            return f"MAP({self.key.duckdb()}, {self.value.duckdb()})"
        if self.base == "row":
            inner = ", ".join(
                f"{quote(name or f'field{index}')} {kind.duckdb()}"
                for index, (name, kind) in enumerate(self.fields)
            )
            return f"STRUCT({inner})"
        if self.base == "decimal":
            return f"DECIMAL({self.precision}, {self.scale})"
        return _DUCKDB_NAMES.get(self.base, self.base.upper())

    def arrow(self) -> pa.DataType:
        import pyarrow as pa

        simple: dict[str, Callable[[], Any]] = {
            "boolean": pa.bool_,
            "tinyint": pa.int8,
            "smallint": pa.int16,
            "integer": pa.int32,
            "bigint": pa.int64,
            "real": pa.float32,
            "double": pa.float64,
            "varbinary": pa.binary,
            "date": pa.date32,
            "unknown": pa.null,
        }
        if self.base in simple:
            return simple[self.base]()
        if self.base == "decimal":
            return pa.decimal128(self.precision or 38, self.scale or 0)
        if self.base == "timestamp":
            return pa.timestamp("us")
        if self.base == "timestamp with time zone":
            return pa.timestamp("us", tz="UTC")
        if self.base == "time":
            return pa.time64("us")
        if self.base == "array":
            return pa.list_(self.element.arrow())
        if self.base == "map":
            return pa.map_(self.key.arrow(), self.value.arrow())
        if self.base == "row":
            return pa.struct([pa.field(name, kind.arrow()) for name, kind in self.fields])
        return pa.string()

    def iceberg(self, next_id: Callable[[], int]) -> Any:
        """Return the PyIceberg type; `next_id` numbers nested fields. ValueError for a type that Iceberg has not."""
        from pyiceberg import types as ice

        simple: dict[str, Any] = {
            "boolean": ice.BooleanType,
            "integer": ice.IntegerType,
            "tinyint": ice.IntegerType,
            "smallint": ice.IntegerType,
            "bigint": ice.LongType,
            "real": ice.FloatType,
            "double": ice.DoubleType,
            "varchar": ice.StringType,
            "char": ice.StringType,
            "varbinary": ice.BinaryType,
            "date": ice.DateType,
            "time": ice.TimeType,
            "timestamp": ice.TimestampType,
            "timestamp with time zone": ice.TimestamptzType,
            "uuid": ice.UUIDType,
        }
        if self.base in simple:
            return simple[self.base]()
        if self.base == "decimal":
            return ice.DecimalType(self.precision or 38, self.scale or 0)
        if self.base == "array":
            element_id = next_id()
            return ice.ListType(element_id, self.element.iceberg(next_id), element_required=False)
        if self.base == "map":
            key_id, value_id = next_id(), next_id()
            key, value = self.key.iceberg(next_id), self.value.iceberg(next_id)
            return ice.MapType(key_id, key, value_id, value, value_required=False)
        if self.base == "row":
            ids = [next_id() for _ in self.fields]
            return ice.StructType(
                *(
                    ice.NestedField(field_id, name, kind.iceberg(next_id), required=False)
                    for field_id, (name, kind) in zip(ids, self.fields, strict=True)
                )
            )
        raise ValueError(f"Type not supported for Iceberg: {self.trino()}")

    def result(self, name: str) -> ResultColumn:
        """Return the entry of ResultSetMetadata that a column of this type has."""
        if self.base == "decimal":
            return ResultColumn(name, "decimal", self.precision or 38, self.scale or 0)
        if self.base in {"varchar", "char"} and self.precision is not None:
            return ResultColumn(name, self.base, self.precision)
        label, precision = _RESULT.get(self.base, (self.base, 0))
        if self.base.startswith("timestamp"):
            precision = self.precision if self.precision is not None else _TIMESTAMP_PRECISION
        return ResultColumn(name, label, precision)


@dataclass(frozen=True)
class Column:
    name: str
    type: AthenaType
    comment: str = ""


def quote(name: str) -> str:
    """Return the name as a DuckDB (and Trino) delimited identifier."""
    return '"' + name.replace('"', '""') + '"'


def from_iceberg(kind: Any) -> AthenaType:
    """Return the Athena type of a PyIceberg one."""
    from pyiceberg import types as ice

    if isinstance(kind, ice.DecimalType):
        return AthenaType("decimal", kind.precision, kind.scale)
    if isinstance(kind, ice.ListType):
        return array_of(from_iceberg(kind.element_type))
    if isinstance(kind, ice.MapType):
        return map_of(from_iceberg(kind.key_type), from_iceberg(kind.value_type))
    if isinstance(kind, ice.StructType):
        return row_of([(field.name, from_iceberg(field.field_type)) for field in kind.fields])
    simple: dict[Any, AthenaType] = {
        ice.BooleanType: BOOLEAN,
        ice.IntegerType: INTEGER,
        ice.LongType: BIGINT,
        ice.FloatType: REAL,
        ice.DoubleType: DOUBLE,
        ice.StringType: VARCHAR,
        ice.BinaryType: VARBINARY,
        ice.FixedType: VARBINARY,
        ice.DateType: DATE,
        ice.TimeType: AthenaType("time", 6),
        ice.TimestampType: AthenaType("timestamp", 6),
        ice.TimestamptzType: AthenaType("timestamp with time zone", 6),
        ice.UUIDType: AthenaType("uuid"),
    }
    return simple[type(kind)]


def from_duckdb(kind: Any) -> AthenaType:
    """Return the Athena type of a DuckDB result column (a DuckDBPyType)."""
    name = str(kind.id)
    if name == "decimal":
        precision, scale = (child[1] for child in kind.children)
        return AthenaType("decimal", int(precision), int(scale))
    if name in {"list", "array"}:
        return array_of(from_duckdb(kind.children[0][1]))
    if name == "map":
        return map_of(*(from_duckdb(child[1]) for child in kind.children))
    if name == "struct":
        return row_of([(field, from_duckdb(child)) for field, child in kind.children])
    simple = {
        "boolean": BOOLEAN,
        "tinyint": AthenaType("tinyint"),
        "smallint": AthenaType("smallint"),
        "integer": INTEGER,
        "bigint": BIGINT,
        "utinyint": AthenaType("smallint"),
        "usmallint": INTEGER,
        "uinteger": BIGINT,
        "ubigint": BIGINT,
        "hugeint": BIGINT,  # sums of integers: bigint to Trino
        "uhugeint": BIGINT,
        "float": REAL,
        "double": DOUBLE,
        "varchar": VARCHAR,
        "blob": VARBINARY,
        "date": DATE,
        "time": AthenaType("time", 3),
        "timestamp": TIMESTAMP,
        "timestamp with time zone": TIMESTAMP_TZ,
        "interval": AthenaType("interval day to second"),
        "json": AthenaType("json"),
        "uuid": AthenaType("uuid"),
        "sqlnull": UNKNOWN,
        '"null"': UNKNOWN,
        "null": UNKNOWN,
    }
    return simple.get(name, VARCHAR)


def parse_type(text: str) -> AthenaType:
    """Return the type a Hive or Trino spelling names. ValueError when it is neither."""
    parser = _TypeParser(text)
    found = parser.type()
    parser.end()
    return found


def array_of(element: AthenaType) -> AthenaType:
    return AthenaType("array", fields=(("element", element),))


def map_of(key: AthenaType, value: AthenaType) -> AthenaType:
    return AthenaType("map", fields=(("key", key), ("value", value)))


def row_of(fields: list[tuple[str, AthenaType]]) -> AthenaType:
    return AthenaType("row", fields=tuple(fields))


class _TypeParser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[str] = []
        position, stripped = 0, text.rstrip()
        while position < len(stripped):
            match = _TOKENS.match(stripped, position)
            if match is None:
                raise ValueError(f"Unknown type: {text}")
            self.tokens.append(match.group().strip())
            position = match.end()
        self.position = 0

    def peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.position += 1
        return token

    def expect(self, *tokens: str) -> str:
        token = self.take()
        if token not in tokens:
            raise ValueError(f"Unknown type: {self.text}")
        return token

    def end(self) -> None:
        if self.position < len(self.tokens):
            raise ValueError(f"Unknown type: {self.text}")

    def type(self) -> AthenaType:
        word = self.take().lower()
        if word == "interval":
            word = " ".join([word, self.take(), self.take(), self.take()]).lower()
        if word == "double" and self.peek().lower() == "precision":
            self.take()
        base = _BASE_NAMES.get(word)
        if base is None:
            raise ValueError(f"Unknown type: {self.text}")
        if base in {"array", "map", "row"}:
            return self.nested(base)
        numbers = self.numbers()
        if base == "decimal":
            precision = numbers[0] if numbers else _DECIMAL_PRECISION
            return AthenaType(base, precision, numbers[1] if len(numbers) > 1 else 0)
        if base in {"varchar", "char"}:
            length = numbers[0] if numbers else (1 if base == "char" else None)
            return AthenaType(base, length)
        if base in {"timestamp", "time", "timestamp with time zone"}:
            base = self.zone(base)
            return AthenaType(base, numbers[0] if numbers else _TIMESTAMP_PRECISION)
        return AthenaType(base)

    def zone(self, base: str) -> str:
        following = [token.lower() for token in self.tokens[self.position : self.position + 3]]
        if following == ["with", "time", "zone"]:
            if base == "time":
                raise ValueError("time with time zone is not supported")
            self.position += 3
            return "timestamp with time zone"
        if following == ["without", "time", "zone"]:
            self.position += 3
        return base

    def numbers(self) -> list[int]:
        found: list[int] = []
        if self.peek() == "(":
            self.take()
            while True:
                token = self.take()
                if not token.isdigit():
                    raise ValueError(f"Unknown type: {self.text}")
                found.append(int(token))
                if self.expect(",", ")") == ")":
                    break
        return found

    def nested(self, base: str) -> AthenaType:
        close = ">" if self.expect("<", "(") == "<" else ")"
        if base == "array":
            element = self.type()
            self.expect(close)
            return array_of(element)
        if base == "map":
            key = self.type()
            self.expect(",")
            value = self.type()
            self.expect(close)
            return map_of(key, value)
        fields: list[tuple[str, AthenaType]] = []
        while True:
            name = self.take().strip('"`').lower()
            if self.peek() in {",", close} and name in _BASE_NAMES:  # row(integer, varchar): unnamed fields
                fields.append(("", parse_type(name)))
            else:
                if self.peek() == ":":
                    self.take()
                fields.append((name, self.type()))
            if self.expect(",", close) == close:
                return row_of(fields)


BOOLEAN = AthenaType("boolean")
INTEGER = AthenaType("integer")
BIGINT = AthenaType("bigint")
REAL = AthenaType("real")
DOUBLE = AthenaType("double")
VARCHAR = AthenaType("varchar")
VARBINARY = AthenaType("varbinary")
DATE = AthenaType("date")
TIMESTAMP = AthenaType("timestamp", _TIMESTAMP_PRECISION)
TIMESTAMP_TZ = AthenaType("timestamp with time zone", _TIMESTAMP_PRECISION)
UNKNOWN = AthenaType("unknown")
