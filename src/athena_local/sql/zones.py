"""Zones of `timestamp with time zone`: names as Trino has them, and DuckDB text that reads a value in its own zone.

How a zone is kept is told in `types/model.py`. What must be one value a row and cannot be (GROUP BY, DISTINCT, UNION of
values that each have a zone) is refused there: DuckDB would tell two spellings of one instant apart, which Trino does not.
"""

from __future__ import annotations

import datetime
import functools
import re
import zoneinfo
from collections.abc import Sequence

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.dialect import Text
from athena_local.sql.statements import Position
from athena_local.types import BY_ROW, AthenaType

_UTC_NAMES = {
    "utc", "z", "ut", "uct", "gmt", "gmt0", "greenwich", "universal", "zulu", "etc/utc", "etc/gmt", "etc/uct",
    "etc/universal", "etc/zulu", "etc/greenwich", "etc/gmt0", "+00:00", "-00:00",
}  # fmt: skip
_OFFSET = re.compile(r"(?:UTC|GMT|UT)?([+-])(\d{1,2})(?::?(\d{2}))?", re.IGNORECASE)
_MOST_OFFSET_HOURS = 14
_LITERAL = re.compile(
    r"\s*(?P<year>[+-]?\d{4,})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
    r"(?:\s+(?P<hour>\d{1,2}):(?P<minute>\d{1,2})(?::(?P<second>\d{1,2})(?:\.(?P<fraction>\d+))?)?)?"
    r"(?P<zone>\s*[+-]\d{1,2}(?::\d{2})?|\s+[A-Za-z][\w/+:-]*)?\s*"
)


def canonical(name: str) -> str | None:
    """Return Trino's name of a zone: `UTC`, `+02:00`, or a name of the tz database; None when there is no such zone."""
    if name.lower() in _UTC_NAMES:
        return "UTC"
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        hours, minutes = int(offset[2]), int(offset[3] or 0)
        if hours > _MOST_OFFSET_HOURS or minutes > 59:
            return None
        return "UTC" if hours == minutes == 0 else f"{offset[1]}{hours:02}:{minutes:02}"
    return _names().get(name.lower())


@functools.cache
def _names() -> dict[str, str]:
    return {name.lower(): name for name in zoneinfo.available_timezones()}


@functools.lru_cache(maxsize=256)
def tzinfo(name: str) -> datetime.tzinfo:
    """Return Python's zone of a canonical name."""
    if name[0] in "+-":
        sign = -1 if name[0] == "-" else 1
        return datetime.timezone(sign * datetime.timedelta(hours=int(name[1:3]), minutes=int(name[4:6])))
    return datetime.UTC if name == "UTC" else zoneinfo.ZoneInfo(name)


def checked(name: str, position: Position | None) -> str:
    found = canonical(name)
    if found is None:
        raise QueryError("INVALID_FUNCTION_ARGUMENT", f"Time zone not supported: {name}", position=position)
    return found


def parse_timestamp(text: str) -> tuple[datetime.datetime, str, str | None] | None:
    """Return local time, the second's fraction and canonical zone of a TIMESTAMP literal's text; None if it is none."""
    match = _LITERAL.fullmatch(text)
    if match is None:
        return None
    zone = match["zone"].strip() if match["zone"] else None
    if zone is not None:
        zone = canonical(zone)
        if zone is None:
            return None
    fraction = match["fraction"] or ""
    try:
        value = datetime.datetime(
            int(match["year"]),
            int(match["month"]),
            int(match["day"]),
            int(match["hour"] or 0),
            int(match["minute"] or 0),
            int(match["second"] or 0),
            int(fraction[:6].ljust(6, "0")),
        )
    except ValueError:
        return None
    return value, fraction, zone


def duckdb_zone(name: str | None) -> str:
    """Return DuckDB's literal for a canonical zone name: ICU knows offsets as GMT+02:00."""
    name = name or "UTC"
    return f"'GMT{name}'" if name[0] in "+-" else f"'{name}'"


_ROW_ZONE = "CASE WHEN {z}[1] IN ('+', '-') THEN 'GMT' || {z} ELSE {z} END"


def instant(node: exp.Expression, kind: AthenaType) -> exp.Expression:
    """Return the value's TIMESTAMPTZ."""
    return Text(this="struct_extract({0}, 'instant')", expressions=[node]) if kind.zone == BY_ROW else node


def zone_name(node: exp.Expression, kind: AthenaType) -> exp.Expression:
    """Return Trino's name of the value's zone, as DuckDB text."""
    if kind.zone == BY_ROW:
        return Text(this="struct_extract({0}, 'zone')", expressions=[node])
    return Text(this=f"'{kind.zone or 'UTC'}'")


def local(node: exp.Expression, kind: AthenaType) -> exp.Expression:
    """Return the TIMESTAMP that a clock in the value's zone shows."""
    if kind.zone == BY_ROW:
        zone = _ROW_ZONE.replace("{z}", "struct_extract({0}, 'zone')")
        return Text(this=f"timezone({zone}, struct_extract({{0}}, 'instant'))", expressions=[node])
    return Text(this=f"timezone({duckdb_zone(kind.zone)}, {{0}})", expressions=[node])


def from_local(node: exp.Expression, zone: str) -> exp.Expression:
    """Return the instant at which a clock in a zone (a canonical name) shows a TIMESTAMP.

    When clocks go back an hour comes twice: Java, and so Trino, means the first one, ICU the second.
    """
    name = duckdb_zone(zone)
    later = f"timezone({name}, {{0}})"
    if zone == "UTC" or zone[0] in "+-":
        return Text(this=later, expressions=[node])
    earlier = f"{later} - INTERVAL 1 HOUR"
    text = f"CASE WHEN timezone({name}, {earlier}) = {{0}} THEN {earlier} ELSE {later} END"
    return Text(this=f"({text})", expressions=[node])


def as_zoned_by_row(node: exp.Expression, zone: str | None) -> exp.Expression:
    return zoned_by_row(node, Text(this=f"'{zone or 'UTC'}'"))


def zoned_by_row(node: exp.Expression, zone: exp.Expression) -> exp.Expression:
    """Return STRUCT(instant, zone), NULL where either is."""
    text = "CASE WHEN ({0}) IS NOT NULL AND ({1}) IS NOT NULL THEN {'instant': {0}, 'zone': {1}} END"
    return Text(this=f"({text})", expressions=[node, zone])


def refuse_differing_zones(
    kinds: Sequence[AthenaType | None],
    kind: AthenaType | None,
    distinct: bool,
    what: str,
    position: Position | None,
) -> None:
    """Refuse to put columns together whose zones differ: their branches keep instants in two ways."""
    if kind is None or not kind.zone_by_row:
        return
    if distinct or not all(item is not None and item.zone_by_row for item in kinds):
        refuse_by_row(kind, what, position)


def refuse_by_row(kind: AthenaType | None, what: str, position: Position | None) -> None:
    """Refuse what tells values apart where each has a zone of its own."""
    if kind is not None and kind.zone_by_row:
        text = (
            f"{what} of timestamps with time zones that differ by row is not supported by this server; "
            "add AT TIME ZONE 'UTC' or cast to timestamp"
        )
        raise QueryError("NOT_SUPPORTED", text, position=position)
