"""Partition projection: a table's partitions worked out from its properties, without the catalog and without a listing.

https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html. With `projection.enabled` the
catalog's own partitions are not looked at. Each key's values are narrowed by the predicate on it before keys are combined,
so a query lists only the folders it needs. A configuration that cannot be meant is INVALID_TABLE_PROPERTY.
"""

from __future__ import annotations

import datetime
import itertools
import re
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import quote as percent

from athena_local.engine.java_dates import JavaPattern, java_pattern
from athena_local.errors import QueryError
from athena_local.types import Column

Record = dict[str, Any]

MAX_PARTITIONS = 1_000_000  # Trino's hive.max-partitions-per-scan
_MAX_CANDIDATES = 10_000_000  # values of one key tried one by one; more only when the query names them
_UNITS = {
    "YEARS": "months", "MONTHS": "months", "WEEKS": "seconds", "DAYS": "seconds", "HOURS": "seconds",
    "MINUTES": "seconds", "SECONDS": "seconds",
}  # fmt: skip
_SIZES = {
    "YEARS": 12,
    "MONTHS": 1,
    "WEEKS": 604_800,
    "DAYS": 86_400,
    "HOURS": 3_600,
    "MINUTES": 60,
    "SECONDS": 1,
}
_NOW = re.compile(
    r"\s*NOW\s*(?:([+-])\s*(\d+)\s*(YEAR|MONTH|WEEK|DAY|HOUR|MINUTE|SECOND)S?\s*)?", re.IGNORECASE
)
_PLACEHOLDER = re.compile(r"\$\{([^}]+)\}")


class Predicate(Protocol):
    """What a query says of a table's partition keys."""

    def keep(self, partitions: list[Record]) -> list[Record]:
        """Return the partitions (records with `Values`) on which every condition may hold."""

    def column(self, key: Column, values: list[str]) -> list[str]:
        """Return the values of one key that the conditions on it alone keep."""

    def equal_to(self, key: Column) -> list[str] | None:
        """Return the values a key must be among, when the query names them; None when it does not."""


def is_enabled(table: Record) -> bool:
    return _properties(table).get("projection.enabled", "").strip().lower() == "true"


def check(table: Record, keys: list[Column]) -> None:
    """Refuse a table whose projection is enabled and cannot work."""
    properties = _properties(table)
    for key in keys:
        _values_of(table, key, properties)
    _template(table, keys, properties)


def partitions(table: Record, keys: list[Column], predicate: Predicate | None) -> list[Record]:
    """Return the projected partitions a query reads, as the catalog's records: `Values` and a location each."""
    properties = _properties(table)
    template = _template(table, keys, properties)
    choices: list[list[str]] = []
    total = 1
    for key in keys:
        values = _values_of(table, key, properties)(predicate)
        choices.append(values)
        total *= len(values)
    if total > MAX_PARTITIONS:
        raise _too_many(table)
    form = {key.name: _location_text(key, properties) for key in keys}
    found = [
        {
            "Values": list(values),
            "StorageDescriptor": {
                "Location": _location(
                    template, {key.name: form[key.name](v) for key, v in zip(keys, values, strict=True)}
                )
            },
        }
        for values in itertools.product(*choices)
    ]
    return predicate.keep(found) if predicate is not None and found else found


def _properties(table: Record) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in (table.get("Parameters") or {}).items()}


def _invalid(key: Column | None, text: str) -> QueryError:
    where = f"Column projection for column '{key.name}' failed. " if key else ""
    return QueryError("INVALID_TABLE_PROPERTY", f"{where}{text}")


def _too_many(table: Record) -> QueryError:
    name = f"{table['DatabaseName']}.{table['Name']}"
    text = f"Query over table '{name}' can potentially read more than {MAX_PARTITIONS} partitions"
    return QueryError("HIVE_EXCEEDED_PARTITION_LIMIT", text)


# where a partition lies


def _template(table: Record, keys: list[Column], properties: dict[str, str]) -> str:
    template = properties.get("storage.location.template")
    if template is None:
        location = str((table.get("StorageDescriptor") or {}).get("Location") or "").rstrip("/")
        return location + "/" + "".join(f"{key.name}=${{{key.name}}}/" for key in keys)
    named = {name.lower() for name in _PLACEHOLDER.findall(template)}
    for key in keys:
        if key.name not in named:
            text = f"is missing partition column: '{key.name}' placeholder"
            raise _invalid(None, f"Partition projection location template: {template} {text}")
    unknown = sorted(named - {key.name for key in keys})
    if unknown:
        text = f"Partition projection location template: {template} names '{unknown[0]}', which is no partition column"
        raise _invalid(None, text)
    return template.rstrip("/") + "/"


def _location(template: str, values: dict[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: values[match.group(1).lower()], template)


def _location_text(key: Column, properties: dict[str, str]) -> Callable[[str], str]:
    """Return how a key's value is spelled in a location: escaped as Hive does unless there is a template."""
    kind = _setting(key, "type", properties).strip().lower()
    if kind == "date" and key.type.base in {"date", "timestamp"}:
        pattern = _pattern(key, properties)
        return lambda value: pattern.format(datetime.datetime.fromisoformat(value))
    if "storage.location.template" in properties:
        return lambda value: value
    return lambda value: percent(value, safe=" !$&()+,-.;@_")


# what values a key has


def _setting(key: Column, name: str, properties: dict[str, str]) -> str:
    found = properties.get(f"projection.{key.name}.{name}")
    if found is None:
        raise _invalid(key, f"Missing required property: 'projection.{key.name}.{name}'")
    return found


def _values_of(
    table: Record, key: Column, properties: dict[str, str]
) -> Callable[[Predicate | None], list[str]]:
    """Check a key's settings and return what gives its values under a predicate."""
    kind = _setting(key, "type", properties).strip().lower()
    if kind == "enum":
        return _enum(key, properties)
    if kind == "integer":
        return _integer(table, key, properties)
    if kind == "date":
        return _date(table, key, properties)
    if kind == "injected":
        return _injected(key)
    raise _invalid(key, f"Unknown projection type: '{kind}'. Available: enum, integer, date, injected")


def _narrowed(predicate: Predicate | None, key: Column, values: list[str]) -> list[str]:
    return predicate.column(key, values) if predicate is not None and values else values


def _enum(key: Column, properties: dict[str, str]) -> Callable[[Predicate | None], list[str]]:
    values = list(dict.fromkeys(_setting(key, "values", properties).split(",")))
    return lambda predicate: _narrowed(predicate, key, values)


def _interval(key: Column, properties: dict[str, str]) -> int:
    text = properties.get(f"projection.{key.name}.interval", "1").strip()
    if not text.isdigit() or int(text) < 1:
        raise _invalid(
            key, f"Property: 'projection.{key.name}.interval' must be a positive integer: '{text}'"
        )
    return int(text)


def _range(key: Column, properties: dict[str, str]) -> tuple[str, str]:
    text = _setting(key, "range", properties)
    parts = text.split(",")
    if len(parts) != 2:
        raise _invalid(
            key, f"Property: 'projection.{key.name}.range' needs to be a list of 2 values: '{text}'"
        )
    return parts[0], parts[1]


def _integer(
    table: Record, key: Column, properties: dict[str, str]
) -> Callable[[Predicate | None], list[str]]:
    step = _interval(key, properties)
    try:
        low, high = (int(part.strip()) for part in _range(key, properties))
    except ValueError:
        text = f"Property: 'projection.{key.name}.range' needs to be a list of 2 integers"
        raise _invalid(key, text) from None
    if low > high:
        raise _invalid(
            key, f"Property: 'projection.{key.name}.range' must not be empty: {low} is above {high}"
        )
    digits = properties.get(f"projection.{key.name}.digits", "").strip()
    if digits and not digits.isdigit():
        raise _invalid(
            key, f"Property: 'projection.{key.name}.digits' must be a positive integer: '{digits}'"
        )

    def spelled(number: int) -> str:
        return f"{'-' if number < 0 else ''}{abs(number):0{digits or 1}d}"

    def values(predicate: Predicate | None) -> list[str]:
        named = predicate.equal_to(key) if predicate is not None else None
        if named is not None:
            numbers = sorted({int(text) for text in named if re.fullmatch(r"[+-]?\d+", text.strip())})
            found = [spelled(n) for n in numbers if low <= n <= high and (n - low) % step == 0]
        elif (high - low) // step >= _MAX_CANDIDATES:
            raise _too_many(table)
        else:
            found = [spelled(number) for number in range(low, high + 1, step)]
        return _narrowed(predicate, key, found)

    return values


def _injected(key: Column) -> Callable[[Predicate | None], list[str]]:
    def values(predicate: Predicate | None) -> list[str]:
        named = predicate.equal_to(key) if predicate is not None else None
        if named is None or predicate is None:
            text = (
                f"For the injected projected partition column {key.name}, the WHERE clause must contain only static"
                " equality conditions, and at least one such condition must be present."
            )
            raise QueryError("CONSTRAINT_VIOLATION", text)
        return predicate.column(key, list(dict.fromkeys(named))) if named else []

    return values


# dates


def _pattern(key: Column, properties: dict[str, str]) -> JavaPattern:
    text = _setting(key, "format", properties)
    try:
        return java_pattern(text)
    except ValueError as error:
        raise _invalid(
            key, f"Property: 'projection.{key.name}.format' value '{text}' is invalid: {error}"
        ) from None


def _date(table: Record, key: Column, properties: dict[str, str]) -> Callable[[Predicate | None], list[str]]:
    pattern = _pattern(key, properties)
    first, last = _range(key, properties)
    for bound in (first, last):
        _bound(key, bound, pattern)
    step = _interval(key, properties)
    unit = _unit(key, pattern, properties)

    def spelled(moment: datetime.datetime) -> str:
        if key.type.base == "date":
            return moment.date().isoformat()
        if key.type.base == "timestamp":
            return moment.isoformat(" ")
        return pattern.format(moment)

    def values(predicate: Predicate | None) -> list[str]:
        low = pattern.parse(pattern.format(_bound(key, first, pattern)))
        high = pattern.parse(pattern.format(_bound(key, last, pattern)))
        if low > high:
            text = f"Property: 'projection.{key.name}.range' needs to be a list of 2 sequential dates: '{first},{last}'"
            raise _invalid(key, text)
        if _UNITS[unit] == "seconds" and (high - low).total_seconds() / _SIZES[unit] / step > _MAX_CANDIDATES:
            raise _too_many(table)
        found = list(dict.fromkeys(spelled(moment) for moment in _moments(low, high, step, unit)))
        return _narrowed(predicate, key, found)

    return values


def _unit(key: Column, pattern: JavaPattern, properties: dict[str, str]) -> str:
    name = f"projection.{key.name}.interval.unit"
    given = properties.get(name)
    if given is not None:
        unit = given.strip().upper()
        unit = unit if unit.endswith("S") else f"{unit}S"
        if unit not in _UNITS:
            raise _invalid(
                key, f"Property: '{name}' value '{given}' is invalid. Available options: {', '.join(_UNITS)}"
            )
        return unit
    if pattern.letters & set("HkhKmsSa"):
        text = (
            f"Property: '{name}' needs to be set when provided 'projection.{key.name}.format' is less than"
            " single-day precision. Interval defaults to 1 day or 1 month, respectively. Otherwise, interval is required"
        )
        raise _invalid(key, text)
    return "DAYS" if pattern.letters & set("dDE") else "MONTHS"


def _bound(key: Column, text: str, pattern: JavaPattern) -> datetime.datetime:
    match = _NOW.fullmatch(text)
    if match is None:
        try:
            return pattern.parse(text.strip())
        except ValueError as error:
            detail = (
                f"Property: 'projection.{key.name}.range' needs to be a list of 2 valid dates formatted as"
                f" '{pattern.pattern}' or '{_NOW.pattern}' that are sequential: {error}"
            )
            raise _invalid(key, detail) from None
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    sign, amount, unit = match.groups()
    if sign is None:
        return now
    return _plus(now, int(amount) if sign == "+" else -int(amount), f"{unit.upper()}S")


def _plus(moment: datetime.datetime, amount: int, unit: str) -> datetime.datetime:
    """Add whole units; in a shorter month the day becomes its last, as in Java."""
    if _UNITS[unit] == "seconds":
        return moment + datetime.timedelta(seconds=amount * _SIZES[unit])
    months = moment.year * 12 + moment.month - 1 + amount * _SIZES[unit]
    year, month = divmod(months, 12)
    following = datetime.date(year + (month == 11), (month + 1) % 12 + 1, 1)
    last = (following - datetime.timedelta(days=1)).day
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))


def _moments(
    low: datetime.datetime, high: datetime.datetime, step: int, unit: str
) -> list[datetime.datetime]:
    found = []
    moment, count = low, 0
    while moment <= high:
        found.append(moment)
        count += 1
        moment = _plus(low, count * step, unit)
    return found
