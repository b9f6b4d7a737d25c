"""One value for each type of Athena's, with Hive's spelling, Trino's and DuckDB's.

A `timestamp with time zone` carries the zone its values are shown in. DuckDB keeps an instant and no zone, so the zone is
part of the type as long as it is one for all rows (`zone`; None is UTC): such a value is a TIMESTAMPTZ, and grouping,
joining and ordering are by instant, as in Trino. Where rows may differ (text parsed, zones from a column) `zone` is
`BY_ROW` and the value a STRUCT(instant, zone). Zones are no part of a type's identity: two types that differ by zone alone
are equal, as in Trino.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from athena_local.context import ResultColumn

if TYPE_CHECKING:
    import pyarrow as pa

BY_ROW = "*"  # AthenaType.zone: each value has its own
ZONED_DUCKDB = 'STRUCT("instant" TIMESTAMPTZ, "zone" VARCHAR)'
MICROS = 6  # digits of a second in DuckDB's TIMESTAMP; up to NANOS a TIMESTAMP_NS, and none finer
NANOS = 9
TIMESTAMP_PRECISION = 3  # what `timestamp` alone means to Trino; Iceberg's is 6

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
    "time with time zone": "TIMETZ",
    "ipaddress": "BLOB",
    "char": "VARCHAR",
    "unknown": '"NULL"',
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
_TIMES = {"time", "timestamp", "time with time zone", "timestamp with time zone"}


@dataclass(frozen=True)
class AthenaType:
    """A type by its Trino base name. `fields` are (name, type): the element of an array, key and value of a map, a row's."""

    base: str
    precision: int | None = None  # decimal, timestamp, time; the length of varchar and char
    scale: int | None = None
    fields: tuple[tuple[str, AthenaType], ...] = ()
    zone: str | None = field(default=None, compare=False)

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

    @property
    def is_text(self) -> bool:
        return self.base in {"varchar", "char"}

    @property
    def is_zoned(self) -> bool:
        return self.base == "timestamp with time zone"

    @property
    def zone_by_row(self) -> bool:
        """Whether this type, or one inside it, has values each with a zone of its own."""
        return self.zone == BY_ROW or any(kind.zone_by_row for _, kind in self.fields)

    def in_zone(self, zone: str | None) -> AthenaType:
        return replace(self, zone=zone)

    def stored(self) -> AthenaType:
        """Return the type as a table keeps it: instants, in UTC."""
        inner = tuple((name, kind.stored()) for name, kind in self.fields)
        return replace(self, zone=None, fields=inner)

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
        if self.base in _TIMES:
            word, _, zone = self.base.partition(" ")
            return f"{word}({self.precision})" + (f" {zone}" if zone else "")
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
        if self.base == "timestamp":
            return "TIMESTAMP_NS" if (self.precision or 0) > MICROS else "TIMESTAMP"
        if self.zone == BY_ROW:
            return ZONED_DUCKDB
        return _DUCKDB_NAMES.get(self.base, self.base.upper())

    def arrow(self) -> pa.DataType:
        from athena_local.types.mappings import to_arrow

        return to_arrow(self)

    def iceberg(self, next_id: Callable[[], int]) -> Any:
        """Return the PyIceberg type; `next_id` numbers nested fields. ValueError for a type that Iceberg has not."""
        from athena_local.types.mappings import to_iceberg

        return to_iceberg(self, next_id)

    def result(self, name: str) -> ResultColumn:
        """Return the entry of ResultSetMetadata that a column of this type has."""
        if self.base == "decimal":
            return ResultColumn(name, "decimal", self.precision or 38, self.scale or 0, self)
        if self.is_text and self.precision is not None:
            return ResultColumn(name, self.base, self.precision, 0, self)
        label, precision = _RESULT.get(self.base, (self.base, 0))
        if self.base in _TIMES:
            precision = self.precision if self.precision is not None else TIMESTAMP_PRECISION
        return ResultColumn(name, label, precision, 0, self)


@dataclass(frozen=True)
class Column:
    name: str
    type: AthenaType
    comment: str = ""


def quote(name: str) -> str:
    """Return the name as a DuckDB (and Trino) delimited identifier."""
    return '"' + name.replace('"', '""') + '"'


def array_of(element: AthenaType) -> AthenaType:
    return AthenaType("array", fields=(("element", element),))


def map_of(key: AthenaType, value: AthenaType) -> AthenaType:
    return AthenaType("map", fields=(("key", key), ("value", value)))


def row_of(fields: list[tuple[str, AthenaType]]) -> AthenaType:
    return AthenaType("row", fields=tuple(fields))


BOOLEAN = AthenaType("boolean")
TINYINT = AthenaType("tinyint")
SMALLINT = AthenaType("smallint")
INTEGER = AthenaType("integer")
BIGINT = AthenaType("bigint")
REAL = AthenaType("real")
DOUBLE = AthenaType("double")
VARCHAR = AthenaType("varchar")
VARBINARY = AthenaType("varbinary")
DATE = AthenaType("date")
TIME = AthenaType("time", TIMESTAMP_PRECISION)
TIMESTAMP = AthenaType("timestamp", TIMESTAMP_PRECISION)
TIMESTAMP_TZ = AthenaType("timestamp with time zone", TIMESTAMP_PRECISION)
DAY_TO_SECOND = AthenaType("interval day to second")
YEAR_TO_MONTH = AthenaType("interval year to month")
JSON = AthenaType("json")
UUID = AthenaType("uuid")
IPADDRESS = AthenaType("ipaddress")
UNKNOWN = AthenaType("unknown")
