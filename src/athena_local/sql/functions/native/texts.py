"""Trino's text of numbers, times with zones and intervals."""

from __future__ import annotations

import re

from athena_local.sql import zones
from athena_local.sql.functions.native.registry import InvalidError, native
from athena_local.types import text as shown

_CLOCK = re.compile(
    r"\s*(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d+))?)?\s*([+-]\d{1,2}(?::\d{2})?|[A-Za-z][\w/]*)?\s*"
)

native("VARCHAR", "DOUBLE", name="double_text")(shown.scientific_double)
native("VARCHAR", "DOUBLE", name="real_text")(shown.scientific_real)
native("VARCHAR", "BIGINT", name="day_interval_text")(shown.day_interval)
native("VARCHAR", "BIGINT", name="month_interval_text")(shown.month_interval)
native("VARCHAR", "VARCHAR", "BIGINT", name="timetz_text")(shown.time_with_zone)


def clock_with_zone(text: str) -> tuple[str, int] | None:
    """Return DuckDB's text of a time with zone and the digits of its second; None when it is none."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    hour, minute, second, fraction, zone = match.groups()
    name = zones.canonical(zone) if zone else "+00:00"
    offset = {"UTC": "+00:00"}.get(name or "", name)
    if offset is None or offset[0] not in "+-" or int(hour) > 23 or int(minute) > 59 or int(second or 0) > 59:
        return None
    return f"{int(hour):02}:{int(minute):02}:{int(second or 0):02}.{fraction or '0'}{offset}", len(
        fraction or ""
    )


@native("VARCHAR", "VARCHAR")
def parse_timetz(text: str) -> str:
    found = clock_with_zone(text)
    if found is None:
        raise InvalidError(f"Value cannot be cast to time with time zone: {text}", "INVALID_CAST_ARGUMENT")
    return found[0]
