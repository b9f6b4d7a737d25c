"""Which Postgres column a lake column becomes: the default type map, declared types, and what cannot be said without loss.

| lake                  | Postgres by default | may be declared as                                        |
|-----------------------|---------------------|-----------------------------------------------------------|
| boolean               | boolean             |                                                           |
| int                   | integer             | bigint, decimal(p,s)                                      |
| long                  | bigint              | decimal(p,s)                                              |
| float                 | real                | double precision, decimal(p,s)                            |
| double                | double precision    | decimal(p,s), rounded half away from zero                 |
| decimal(p,s)          | numeric(p,s)        | decimal(q,t) with t >= s                                  |
| string                | text                | varchar(n), jsonb (the text is JSON)                      |
| date                  | date                |                                                           |
| time                  | time                |                                                           |
| timestamp, timestamptz| the same            | timestamp(n), timestamptz(n): rounded half away from zero |
| uuid                  | uuid                |                                                           |
| binary, fixed(n)      | bytea               |                                                           |
| list of one of these  | an array of it      | an array of what it may be; vector(n) of floats; jsonb    |
| struct, map, list of those | jsonb          |                                                           |

`not null` may follow a declared type; key columns are always not null. Refused by name: any other pair, and a key
of arrays, jsonb or vectors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from penstock.errors import PlanError

Kind = Literal[
    "bool",
    "int4",
    "int8",
    "numeric",
    "float4",
    "float8",
    "text",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "uuid",
    "bytea",
    "jsonb",
    "vector",
]

# Digits whose scaled value fits a 64-bit integer, which makes conversion and checksum cheap; wider ones are carried in 128.
NARROW = 18
MAX_PRECISION = 38  # Iceberg's
MAX_DIMENSIONS = 16_000  # pgvector's
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
    "time": "time",
    "time without time zone": "time",
    "uuid": "uuid",
    "bytea": "bytea",
    "jsonb": "jsonb",
    "vector": "vector",
}
_SQL: dict[Kind, str] = {
    "bool": "boolean",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "date": "date",
    "time": "time without time zone",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "uuid": "uuid",
    "bytea": "bytea",
    "jsonb": "jsonb",
}
_ALLOWED: dict[str, tuple[Kind, ...]] = {  # lake type -> kinds, the default first
    "boolean": ("bool",),
    "int": ("int4", "int8", "numeric"),
    "long": ("int8", "numeric"),
    "float": ("float4", "float8", "numeric"),
    "double": ("float8", "numeric"),
    "decimal": ("numeric",),
    "string": ("text", "jsonb"),
    "date": ("date",),
    "time": ("time",),
    "timestamp": ("timestamp",),
    "timestamptz": ("timestamptz",),
    "uuid": ("uuid",),
    "binary": ("bytea",),
    "fixed": ("bytea",),
}
_UNKEYED = ("jsonb", "vector")
_DECLARED = re.compile(
    r"^\s*(?P<base>[a-z][a-z ]*?)\s*(\(\s*(?P<first>\d+)\s*(,\s*(?P<second>\d+)\s*)?\))?"
    r"(?P<zone>\s+with(out)?\s+time\s+zone)?\s*(?P<array>\[\s*\])?(?P<not_null>\s+not\s+null)?\s*$"
)


@dataclass(frozen=True)
class SqlType:
    """A Postgres type that the sync can write, or an `array` of it.

    `precision` 0: no bound (a timestamp: microseconds). `length`: of a varchar, 0 for text; the dimensions of a vector.
    """

    kind: Kind
    precision: int = 0
    scale: int = 0
    length: int = 0
    array: bool = False

    @property
    def sql(self) -> str:
        """The type as Postgres's format_type() spells it."""
        return self.element._sql + ("[]" if self.array else "")

    @property
    def _sql(self) -> str:
        if self.kind == "numeric":
            return f"numeric({self.precision},{self.scale})"
        if self.kind == "text":
            return f"character varying({self.length})" if self.length else "text"
        if self.kind == "vector":
            return f"vector({self.length})"
        if self.precision:
            return _SQL[self.kind].replace("timestamp", f"timestamp({self.precision})")
        return _SQL[self.kind]

    @property
    def element(self) -> SqlType:
        """The type of an array's elements; the type itself where it is no array."""
        return replace(self, array=False)

    @property
    def worded(self) -> bool:
        """Whether values are bytes of any length: text, jsonb, bytea and arrays."""
        return self.array or self.kind in ("text", "jsonb", "bytea")

    @property
    def wide(self) -> bool:
        """Whether it is a decimal that does not fit a 64-bit integer."""
        return self.kind == "numeric" and not self.array and self.precision > NARROW

    def widens(self, older: SqlType) -> bool:
        """Whether every value of `older` is a value of this type, unchanged."""
        if self.array != older.array:
            return False
        if self.kind == older.kind == "text":
            return not self.length or 0 < older.length <= self.length
        if self.kind == older.kind == "numeric":
            return self.scale == older.scale and self.precision >= older.precision
        if self.kind == older.kind and self.kind in ("timestamp", "timestamptz"):
            return not self.precision or 0 < older.precision <= self.precision
        return (older.kind, self.kind) in {("int4", "int8"), ("float4", "float8")}


@dataclass(frozen=True)
class Column:
    """One column on its way from the lake to Postgres.

    `lake_type` is its Iceberg type's name; `nested` the JSON of a list, struct or map.
    `field_id` is the Iceberg field whose values it takes. A column with an `expression` has none (NO_FIELD): it is
    `computed` (DuckDB's SQL) from its `inputs`, which are lake columns, as a `result`, which then is converted to `type`.
    """

    name: str
    field_id: int
    lake_type: str
    type: SqlType
    not_null: bool
    in_key: bool = False
    expression: str = ""
    inputs: tuple[Column, ...] = ()
    computed: str = field(default="", compare=False)
    result: SqlType | None = field(default=None, compare=False)
    nested: Any = field(default=None, compare=False)

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
    kind = _SPELLINGS.get(" ".join(f"{found['base']}{found['zone'] or ''}".split())) if found else None
    if found is None or kind is None:
        raise ValueError(f"'{text}' is no type the sync can write")
    first, second = int(found["first"] or 0), int(found["second"] or 0)
    not_null, array = found["not_null"] is not None, found["array"] is not None
    if kind == "numeric":
        if not 0 < first <= MAX_PRECISION or second > first:
            raise ValueError(f"'{text}' needs a precision from 1 to {MAX_PRECISION} and a scale no larger")
        return SqlType(kind, precision=first, scale=second, array=array), not_null
    if kind == "vector" and (array or not 0 < first <= MAX_DIMENSIONS):
        raise ValueError(f"'{text}' needs its dimensions, 1 to {MAX_DIMENSIONS}, as in vector(384)")
    if kind in ("timestamp", "timestamptz") and found["first"]:
        if not 1 <= first <= 6:
            raise ValueError(f"'{text}' needs 1 to 6 digits of a second")
        return SqlType(kind, precision=first % 6, array=array), not_null  # 6 is what it holds anyway
    if found["second"] or (first and kind not in ("text", "vector")) or (array and kind == "jsonb"):
        raise ValueError(f"'{text}' is no type the sync can write")
    return SqlType(kind, length=first, array=array), not_null


def resolve(
    fields: Sequence[dict[str, Any]],
    declared: Mapping[str, str],
    key: Sequence[str],
    model: str,
    *,
    renamed: Mapping[str, str] | None = None,
    expressions: Mapping[str, str] | None = None,
    exclude: Sequence[str] = (),
) -> list[Column]:
    """Return the columns to sync of an Iceberg schema (its JSON fields), in its order, with declared types where given.

    `renamed` maps columns to the lake columns they take (`from`), `expressions` to what computes them, `exclude` names lake
    columns that are not synced. A renamed column stands where its lake column does, which then is not synced under its own
    name unless that is declared too; computed columns that are no lake columns come last. Raises: PlanError naming the
    model and the column.
    """
    renamed, expressions = renamed or {}, expressions or {}
    by_name = {item["name"]: item for item in fields}
    for name, source in renamed.items():
        if source not in by_name:
            raise PlanError(
                f"{model}: meta.sync.columns.{name}.from: the lake table has no column '{source}'."
            )
    for name in exclude:
        if name not in by_name:
            raise PlanError(
                f"{model}: meta.sync.exclude names column '{name}', which the lake table does not have."
            )
    columns: list[Column] = []
    for item in fields:
        source = item["name"]
        targets = [name for name, taken in renamed.items() if taken == source and name not in by_name]
        if source not in exclude and (not targets or source in declared) and source not in renamed:
            targets.insert(0, source)
        for name in targets:
            if name not in expressions:
                columns.append(lake_column(item, declared.get(name), name in key, model, name))
            else:
                columns.append(
                    _computed(name, fields, expressions[name], declared.get(name), name in key, model)
                )
        if source in renamed and source not in exclude:
            other = by_name[renamed[source]]
            columns.append(lake_column(other, declared.get(source), source in key, model, source))
    for name, text in expressions.items():
        if name not in by_name:
            columns.append(_computed(name, fields, text, declared.get(name), name in key, model))
    made = {column.name for column in columns}
    for name in (*key, *declared):
        if name not in made:
            raise PlanError(
                f"{model}: meta.sync names column '{name}', which the lake table does not have.",
                hint="Say what it is made of with `from` or `expression`." if name not in by_name else "",
            )
    return columns


def _computed(
    name: str, fields: Sequence[dict[str, Any]], text: str, declared: str | None, in_key: bool, model: str
) -> Column:
    from penstock.sync.expressions import compile_expression, lake_type_of

    where = f"{model}: meta.sync.columns.{name}.expression"
    inputs = {}
    for item in fields:
        try:
            inputs[item["name"]] = lake_column(item, None, False, model)
        except PlanError:
            continue  # a column that cannot be synced cannot be read by an expression either
    try:
        term, used = compile_expression(text, inputs)
    except ValueError as error:
        raise PlanError(f"{where}: {error}.", hint="docs/sync.md lists what expressions may hold.") from None
    if not used:
        raise PlanError(f"{where}: '{text}' reads no column of the lake table.")
    assert term.type is not None
    item = {"id": NO_FIELD, "name": name, "type": lake_type_of(term.type)}
    column = lake_column(item, declared, in_key, model)
    return replace(
        column, expression=" ".join(text.split()), inputs=used, computed=term.sql, result=term.type
    )


def lake_column(
    item: dict[str, Any], declared: str | None, in_key: bool, model: str, name: str = ""
) -> Column:
    """Return the column that an Iceberg field becomes under a `name`, its own unless given; raises PlanError."""
    name = name or item["name"]
    where = f"{model}: column '{name}'"
    if "initial-default" in item:
        raise PlanError(f"{where} has an Iceberg default value, which the sync does not read.")
    default = default_type(item["type"], where)
    wanted, not_null = parse_declared(declared) if declared else (default, False)
    if wanted != default and not _allowed(item["type"], wanted):
        raise PlanError(
            f"{where} is {_shown(item['type'])} in the lake and cannot be synced as {wanted.sql}."
        )
    if in_key and (wanted.array or wanted.kind in _UNKEYED):
        raise PlanError(f"{where} is {wanted.sql}, which cannot be part of a key.")
    nested = item["type"] if isinstance(item["type"], dict) else None
    base = nested["type"] if nested else _lake(item["type"])[0]
    return Column(name, item["id"], base, wanted, in_key or not_null, in_key, nested=nested)


def default_type(lake_type: Any, where: str) -> SqlType:
    """Return the type that an Iceberg type (JSON) becomes unless another is declared; raises PlanError."""
    if isinstance(lake_type, dict):
        element = lake_type.get("element")
        if lake_type["type"] == "list" and isinstance(element, str):
            return replace(default_type(element, where), array=True)
        for part in _parts(lake_type):
            default_type(part, where)
        return SqlType("jsonb")
    base, precision, scale = _lake(lake_type)
    if base not in _ALLOWED:
        raise PlanError(f"{where} is of lake type {lake_type}, which the sync does not write.")
    return SqlType(_ALLOWED[base][0], precision, scale)


def _allowed(lake_type: Any, wanted: SqlType) -> bool:
    if isinstance(lake_type, dict):
        if wanted.kind == "jsonb":
            return True
        element = lake_type.get("element")
        if not isinstance(element, str):
            return False
        if wanted.kind == "vector":
            return element in ("float", "double")
        return wanted.array and _allowed(element, wanted.element)
    base, _, scale = _lake(lake_type)
    return (
        not wanted.array
        and wanted.kind in _ALLOWED[base]
        and not (base == "decimal" and wanted.scale < scale)
    )


def _parts(lake_type: dict[str, Any]) -> list[Any]:
    if lake_type["type"] == "struct":
        return [item["type"] for item in lake_type["fields"]]
    return [lake_type[name] for name in ("element", "key", "value") if name in lake_type]


def _shown(lake_type: Any) -> str:
    return str(lake_type["type"]) if isinstance(lake_type, dict) else str(lake_type)


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
    if found:
        return "decimal", int(found[1]), int(found[2])
    return re.sub(r"^fixed\[\d+\]$", "fixed", lake_type), 0, 0


assert set(_SPELLINGS.values()) == set(get_args(Kind))
