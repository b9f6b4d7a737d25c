"""JSON as Jackson reads and writes it: keys of a parsed object in order, numbers as they were where they fit."""

from __future__ import annotations

import json
from typing import Any

from athena_local.sql.functions.native.registry import InvalidError, native


def _refuse(_: str) -> Any:
    raise ValueError


def _loads(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse)


def _dumps(value: Any, sort: bool = False) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=sort)


@native("VARCHAR", "VARCHAR")
def json_parse(text: str) -> str:
    try:
        return _dumps(_loads(text), sort=True)
    except (ValueError, RecursionError):
        raise InvalidError(f"Cannot convert value to JSON: '{text}'") from None


def _array(text: str) -> list[Any] | None:
    try:
        found = _loads(text)
    except ValueError:
        return None
    return found if isinstance(found, list) else None


@native("VARCHAR", "VARCHAR", "BIGINT")
def json_array_element(text: str, index: int) -> str | None:
    """The element as JSON; strings too are JSON here, where Trino's own json_array_get forgets their quotes."""
    items = _array(text)
    if items is None or not -len(items) <= index < len(items) or items[index] is None:
        return None
    return _dumps(items[index])


@native("BOOLEAN", "VARCHAR", "VARCHAR", "VARCHAR")
def json_array_contains(text: str, value: str, kind: str) -> bool | None:
    items = _array(text)
    if items is None:
        return None
    if kind == "varchar":
        return any(isinstance(item, str) and item == value for item in items)
    if kind == "boolean":
        return any(isinstance(item, bool) and item == (value == "true") for item in items)
    whole = kind == "bigint"
    numbers = [
        item for item in items if isinstance(item, int if whole else float) and not isinstance(item, bool)
    ]
    return any(float(item) == float(value) if not whole else item == int(value) for item in numbers)
