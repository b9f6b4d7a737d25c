"""How a partition of the lake is bounded in Postgres: derived from the Iceberg partition spec, never from an extra column.

month(business_date) = 2025-01 becomes `business_date >= '2025-01-01' and business_date < '2025-02-01'`. Fields that
no predicate can bound (bucket, truncate, identity of a converted column) are left out, which makes the bounded part
larger; with none left, or with files of several partition specs, the part is the whole table.

A *region* is the tuple of a file's values for the bounded fields: months since 1970, days since 1970, a state's name …
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from penstock.sync.columns import Column, quoted

Region = tuple[Any, ...]

_EPOCH = date(1970, 1, 1)
_TIMES = ("year", "month", "day", "hour")
_IDENTITY = {"int4", "int8", "text", "date", "bool"}


@dataclass(frozen=True)
class Bound:
    """One partition field that Postgres can bound; `position` is its place in a data file's partition record."""

    column: Column
    transform: str
    position: int

    def label(self, value: Any) -> str:
        if value is None:
            return f"{self.column.name}=null"
        if self.transform == "identity":
            shown = _EPOCH + timedelta(value) if self.column.type.kind == "date" else value
            return f"{self.column.name}={shown}"
        length = {"year": 4, "month": 7, "day": 10, "hour": 13}[self.transform]
        return start_of(self.transform, value).isoformat()[:length]

    def key(self, value: Any) -> str:
        """Return the value as no other value of this or another field is written."""
        return f"{self.transform}({self.column.name})={json.dumps(value)}"


@dataclass(frozen=True)
class Bounds:
    """The bounded fields of a table's partition spec; none: regions are the whole table."""

    fields: tuple[Bound, ...] = ()

    def region(self, partition: Any) -> Region:
        """Return the region of a data file's partition record."""
        return tuple(_plain(partition[bound.position]) for bound in self.fields)

    def label(self, region: Region) -> str:
        return (
            "/".join(bound.label(value) for bound, value in zip(self.fields, region, strict=True))
            or "whole table"
        )

    def key(self, region: Region) -> str:
        """Return the region's name in the sync's memory: unlike a label it is never shared by two regions."""
        parts = (bound.key(value) for bound, value in zip(self.fields, region, strict=True))
        return ", ".join(parts) or "whole table"

    def predicate(self, regions: Iterable[Region], alias: str) -> str:
        """Return the SQL condition that holds for exactly the rows of these regions."""
        wanted = sorted(set(regions), key=lambda region: [(value is not None, value) for value in region])
        if not self.fields:
            return "true" if wanted else "false"
        if len(self.fields) == 1 and self.fields[0].transform != "identity":
            return _or(_runs(self.fields[0], [region[0] for region in wanted], alias))
        return _or(
            " and ".join(
                _equals(bound, value, alias) for bound, value in zip(self.fields, region, strict=True)
            )
            for region in wanted
        )

    def group_sql(self, alias: str) -> list[str]:
        """Return SQL expressions whose values tell regions apart, cheap for Postgres: days rather than months."""
        return [_group(bound, alias) for bound in self.fields]

    def region_of(self, group: Sequence[Any]) -> Region:
        """Return the region of a row of `group_sql` values."""
        return tuple(_value(bound, value) for bound, value in zip(self.fields, group, strict=True))


def bounds_of(spec: dict[str, Any], columns: Sequence[Column]) -> Bounds:
    """Return the bounds of an Iceberg partition spec (its JSON)."""
    fields = []
    for position, field in enumerate(spec["fields"]):
        for column in columns:
            if column.field_id == field["source-id"] and _bounds(column, field["transform"]):
                fields.append(Bound(column, field["transform"], position))
                break
    return Bounds(tuple(fields))


def _bounds(column: Column, transform: str) -> bool:
    """Whether the column's values in Postgres tell the partition; rounded or computed, they may be another partition's."""
    kind = column.type.kind
    if column.expression or column.type.array:
        return False
    timed = transform in _TIMES and kind in ("timestamp", "timestamptz") and not column.type.precision
    dated = transform in _TIMES[:3] and kind == "date"
    return timed or dated or (transform == "identity" and kind in _IDENTITY)


def start_of(transform: str, value: int) -> datetime:
    """Return the first moment of a partition value of a time transform."""
    if transform == "hour":
        return datetime(1970, 1, 1) + timedelta(hours=value)
    if transform == "day":
        return datetime(1970, 1, 1) + timedelta(days=value)
    year, month = (value, 0) if transform == "year" else divmod(value, 12)
    return datetime(1970 + year, month + 1, 1)


def _plain(value: Any) -> Any:
    return (value - _EPOCH).days if isinstance(value, date) else value


def _or(parts: Iterable[str]) -> str:
    joined = " or ".join(f"({part})" for part in parts)
    return f"({joined})" if joined else "false"


def _runs(bound: Bound, values: list[Any], alias: str) -> Iterable[str]:
    """Yield one range for every run of consecutive values: a year of months is one comparison, not twelve."""
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values):
        yield f"{alias}.{quoted(bound.column.name)} is null"
    first = 0
    for i in range(1, len(numbers) + 1):
        if i == len(numbers) or numbers[i] != numbers[i - 1] + 1:
            yield _range(bound, numbers[first], numbers[i - 1] + 1, alias)
            first = i


def _range(bound: Bound, start: int, stop: int, alias: str) -> str:
    name = f"{alias}.{quoted(bound.column.name)}"
    low, high = (_moment(bound, start_of(bound.transform, value)) for value in (start, stop))
    return f"{name} >= {low} and {name} < {high}"


def _moment(bound: Bound, moment: datetime) -> str:
    kind = bound.column.type.kind
    if kind == "date":
        return f"date '{moment.date().isoformat()}'"
    return f"{kind} '{moment.isoformat(sep=' ')}{'+00' if kind == 'timestamptz' else ''}'"


def _equals(bound: Bound, value: Any, alias: str) -> str:
    name = f"{alias}.{quoted(bound.column.name)}"
    if value is None:
        return f"{name} is null"
    if bound.transform != "identity":
        return _range(bound, value, value + 1, alias)
    kind = bound.column.type.kind
    if kind == "date":
        return f"{name} = date '{(_EPOCH + timedelta(value)).isoformat()}'"
    if kind == "text":
        escaped = str(value).replace("'", "''")
        return f"{name} = '{escaped}'"
    return f"{name} = {str(value).lower()}"


def _group(bound: Bound, alias: str) -> str:
    name = f"{alias}.{quoted(bound.column.name)}"
    if bound.transform == "identity" or bound.column.type.kind == "date":
        return name
    if bound.column.type.kind == "timestamptz":
        name = f"({name} at time zone 'UTC')"
    return f"date_trunc('hour', {name})" if bound.transform == "hour" else f"{name}::date"


def _value(bound: Bound, value: Any) -> Any:
    if value is None:
        return None
    if bound.transform == "identity":
        return _plain(value)
    if bound.transform == "hour":
        return (value.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(hours=1)
    if bound.transform == "day":
        return (value - _EPOCH).days
    if bound.transform == "month":
        return (value.year - 1970) * 12 + value.month - 1
    return value.year - 1970
