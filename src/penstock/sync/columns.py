"""Which Postgres column a lake column becomes: the default type map, declared types, and what cannot be said without loss.

| lake                  | Postgres by default | may be declared as                          |
|-----------------------|---------------------|---------------------------------------------|
| boolean               | boolean             |                                             |
| int                   | integer             | bigint, decimal(p,s)                        |
| long                  | bigint              | decimal(p,s)                                |
| float                 | real                | double precision, decimal(p,s)              |
| double                | double precision    | decimal(p,s), rounded half away from zero   |
| decimal(p,s)          | numeric(p,s)        | decimal(q,t) with t >= s                    |
| string                | text                | varchar(n)                                  |
| date                  | date                |                                             |
| timestamp             | timestamp           |                                             |
| timestamptz           | timestamptz         |                                             |

`not null` may follow a declared type; key columns are always not null. Refused by name: nested, binary and uuid
columns, decimals wider than 18 digits (declare a narrower one; values are checked), and any other pair.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from penstock.errors import PlanError

Kind = Literal[
    "bool", "int4", "int8", "numeric", "float4", "float8", "text", "date", "timestamp", "timestamptz"
]

MAX_PRECISION = (
    18  # a scaled value then fits a 64-bit integer, which is what makes conversion and checksum cheap
)

NO_FIELD = 0  # Iceberg numbers its fields from 1

_SPELLINGS: dict[str, Kind] = {
    "boolean": "bool",
    "bool": "bool",
    "integer": "int4",
    "int": "int4",
    "bigint": "int8",
    "decimal": "numeric",
    "numeric": "numeric",
    "real": "float4",
    "double precision": "float8",
    "text": "text",
    "varchar": "text",
    "character varying": "text",
    "date": "date",
    "timestamp": "timestamp",
    "timestamp without time zone": "timestamp",
    "timestamptz": "timestamptz",
    "timestamp with time zone": "timestamptz",
}
_SQL: dict[Kind, str] = {
    "bool": "boolean",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "date": "date",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
}
_ALLOWED: dict[str, tuple[Kind, ...]] = {  # lake type -> kinds, the default first
    "boolean": ("bool",),
    "int": ("int4", "int8", "numeric"),
    "long": ("int8", "numeric"),
    "float": ("float4", "float8", "numeric"),
    "double": ("float8", "numeric"),
    "decimal": ("numeric",),
    "string": ("text",),
    "date": ("date",),
    "timestamp": ("timestamp",),
    "timestamptz": ("timestamptz",),
}
_DECLARED = re.compile(
    r"^\s*(?P<base>[a-z][a-z ]*?)\s*(\(\s*(?P<first>\d+)\s*(,\s*(?P<second>\d+)\s*)?\))?(?P<not_null>\s+not\s+null)?\s*$"
)


@dataclass(frozen=True)
class SqlType:
    """A Postgres type that the sync can write. `precision` 0: no bound; `length` 0: text without one."""

    kind: Kind
    precision: int = 0
    scale: int = 0
    length: int = 0

    @property
    def sql(self) -> str:
        """The type as Postgres's format_type() spells it."""
        if self.kind == "numeric":
            return f"numeric({self.precision},{self.scale})"
        if self.kind == "text":
            return f"character varying({self.length})" if self.length else "text"
        return _SQL[self.kind]

    def widens(self, older: SqlType) -> bool:
        """Whether every value of `older` is a value of this type, unchanged."""
        if self.kind == older.kind == "text":
            return not self.length or 0 < older.length <= self.length
        if self.kind == older.kind == "numeric":
            return self.scale == older.scale and self.precision >= older.precision
        return (older.kind, self.kind) in {("int4", "int8"), ("float4", "float8")}


@dataclass(frozen=True)
class Column:
    """One column on its way from the lake to Postgres.

    `field_id` is the Iceberg field whose values it takes. A column with an `expression` has none (NO_FIELD): it is
    computed from its `inputs`, which are lake columns.
    """

    name: str
    field_id: int
    lake_type: str
    type: SqlType
    not_null: bool
    in_key: bool = False
    expression: str = ""
    inputs: tuple[Column, ...] = ()

    @property
    def sql(self) -> str:
        return f"{self.type.sql} not null" if self.not_null else self.type.sql

    def record(self) -> dict[str, Any]:
        """What the state remembers of the column; `incomparable` and schema.check_drift compare with it."""
        record = {
            "name": self.name,
            "field_id": self.field_id,
            "type": self.type.sql,
            "not_null": self.not_null,
        }
        return record | ({"expression": self.expression} if self.expression else {})


def parse_declared(text: str) -> tuple[SqlType, bool]:
    """Return a declared type and whether it is `not null`; raises ValueError for a type the sync cannot write."""
    found = _DECLARED.match(text.lower())
    kind = _SPELLINGS.get(" ".join(found["base"].split())) if found else None
    if found is None or kind is None:
        raise ValueError(f"'{text}' is no type the sync can write")
    first, second = int(found["first"] or 0), int(found["second"] or 0)
    not_null = found["not_null"] is not None
    if kind == "numeric":
        if not 0 < first <= MAX_PRECISION or second > first:
            raise ValueError(f"'{text}' needs a precision from 1 to {MAX_PRECISION} and a scale no larger")
        return SqlType(kind, precision=first, scale=second), not_null
    if found["second"] or (first and kind != "text"):
        raise ValueError(f"'{text}' is no type the sync can write")
    return SqlType(kind, length=first), not_null


def resolve(
    fields: list[dict[str, Any]], declared: dict[str, str], key: tuple[str, ...], model: str
) -> list[Column]:
    """Return the columns of an Iceberg schema (its JSON fields) in order, with declared types where given."""
    known = {field["name"] for field in fields}
    for name in (*key, *declared):
        if name not in known:
            raise PlanError(f"{model}: meta.sync names column '{name}', which the lake table does not have.")
    return [_column(field, declared.get(field["name"]), field["name"] in key, model) for field in fields]


def _column(field: dict[str, Any], declared: str | None, in_key: bool, model: str) -> Column:
    name, lake_type = field["name"], field["type"]
    where = f"{model}: column '{name}'"
    if "initial-default" in field:
        raise PlanError(f"{where} has an Iceberg default value, which the sync does not read.")
    if not isinstance(lake_type, str):
        raise PlanError(
            f"{where} is a {lake_type.get('type', 'nested type')}; nested columns are not synced."
        )
    base, precision, scale = _lake(lake_type)
    if base not in _ALLOWED:
        raise PlanError(f"{where} is of lake type {lake_type}, which the sync does not write.")
    if declared is None:
        kind = _ALLOWED[base][0]
        if precision > MAX_PRECISION:
            raise PlanError(
                f"{where} is {lake_type}; a decimal of more than {MAX_PRECISION} digits is not synced.",
                hint=f"Declare a narrower one in meta.sync.columns, e.g. decimal({MAX_PRECISION},{scale}).",
            )
        return Column(name, field["id"], base, SqlType(kind, precision, scale), in_key, in_key)
    target, not_null = parse_declared(declared)
    if target.kind not in _ALLOWED[base] or (base == "decimal" and target.scale < scale):
        raise PlanError(f"{where} is {lake_type} in the lake and cannot be synced as {target.sql}.")
    return Column(name, field["id"], base, target, in_key or not_null, in_key)


def incomparable(
    columns: Sequence[Column], before: Sequence[dict[str, Any]], had: Callable[[int], bool]
) -> str:
    """Return why rows that were synced as `before` (Column.record) can differ in files that did not change; "" if not.

    `had` tells whether the snapshot committed then had a field of that id: one that is younger has no values in it.
    """
    known = {item["name"]: item for item in before}
    for column in columns:
        then = known.get(column.name)
        if then is None:
            if column.expression or had(column.field_id):
                return f"column '{column.name}' was not synced before"
        elif then["field_id"] != column.field_id or then.get("expression", "") != column.expression:
            return f"column '{column.name}' now comes from elsewhere in the lake"
        elif then["type"] != column.type.sql:
            return f"column '{column.name}' is now {column.type.sql}"
    return ""


def quoted(name: str) -> str:
    """Return a name as an SQL identifier, safe to put into a statement."""
    return '"' + name.replace('"', '""') + '"'


def _lake(lake_type: str) -> tuple[str, int, int]:
    found = re.match(r"^decimal\((\d+),\s*(\d+)\)$", lake_type)
    return ("decimal", int(found[1]), int(found[2])) if found else (lake_type, 0, 0)


assert set(_SPELLINGS.values()) == set(get_args(Kind))
