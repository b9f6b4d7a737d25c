"""Text to and from times: ISO 8601, Joda's patterns, zoned text. A zoned result keeps its own zone beside the instant."""

from __future__ import annotations

import datetime
import functools
import re
from typing import Any

from athena_local.sql import zones
from athena_local.sql.functions.native.registry import InvalidError, native

_ZONED = 'STRUCT("instant" TIMESTAMPTZ, "zone" VARCHAR)'
_ISO = re.compile(
    r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?|-W(\d{2})(?:-(\d))?|-(\d{3}))?"
    r"(?:T(\d{1,2})?(?::(\d{1,2})(?::(\d{1,2})(?:[.,](\d{1,9}))?)?)?(Z|[+-]\d{2}(?::?\d{2})?)?)?"
)


@native(_ZONED, "VARCHAR")
def from_iso8601(text: str) -> dict[str, Any]:
    match = _ISO.fullmatch(text)
    problem = InvalidError(f'Invalid format: "{text}"')
    if match is None:
        raise problem
    year, month, day, week, weekday, ordinal, hour, minute, second, fraction, zone = match.groups()
    try:
        if week:
            date = datetime.date.fromisocalendar(int(year), int(week), int(weekday or 1))
        elif ordinal:
            date = datetime.date(int(year), 1, 1) + datetime.timedelta(days=int(ordinal) - 1)
        else:
            date = datetime.date(int(year), int(month or 1), int(day or 1))
        micros = int((fraction or "0")[:3].ljust(3, "0")) * 1000  # timestamp(3) with time zone
        local = datetime.datetime(
            date.year, date.month, date.day, int(hour or 0), int(minute or 0), int(second or 0), micros
        )
    except ValueError:
        raise problem from None
    return _zoned(local, zones.canonical(zone or "UTC") or "UTC")


def _zoned(local: datetime.datetime, zone: str) -> dict[str, Any]:
    return {"instant": local.replace(tzinfo=zones.tzinfo(zone)).astimezone(datetime.UTC), "zone": zone}


@native(_ZONED, "VARCHAR")
def parse_zoned(text: str) -> dict[str, Any]:
    """CAST(text AS timestamp with time zone)."""
    found = zones.parse_timestamp(text)
    if found is None:
        raise InvalidError(f"Value cannot be cast to timestamp: {text}", "INVALID_CAST_ARGUMENT")
    return _zoned(found[0], found[2] or "UTC")


@native("VARCHAR", "TIMESTAMPTZ", "VARCHAR", "BIGINT")
def to_iso8601(instant: datetime.datetime, zone: str, digits: int) -> str:
    local = instant.astimezone(zones.tzinfo(zone))
    fraction = f".{local.microsecond:06}"[: digits + 1] if digits else ""
    return f"{local:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + fraction + _offset_text(local, "Z")


def _offset_text(local: datetime.datetime, utc: str, colon: str = ":") -> str:
    offset = local.utcoffset() or datetime.timedelta()
    minutes = int(offset.total_seconds()) // 60
    if not minutes and utc:
        return utc
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02}{colon}{abs(minutes) % 60:02}"


@native("VARCHAR", "VARCHAR")
def valid_zone(name: str) -> str:
    found = zones.canonical(name)
    if found is None:
        raise InvalidError(f"Time zone not supported: {name}")
    return found


@functools.lru_cache(maxsize=256)
def _joda(pattern: str) -> tuple[tuple[str, int], ...]:
    """Return the pattern as (letter, count) and ("'", place in the texts) … with literal text as (text, 0)."""
    pieces: list[tuple[str, int]] = []
    index = 0
    while index < len(pattern):
        char = pattern[index]
        if char == "'":
            end = index + 1
            text = ""
            while end < len(pattern):
                if pattern[end] == "'":
                    if pattern[end + 1 : end + 2] == "'":
                        end += 1
                    else:
                        break
                text += pattern[end]
                end += 1
            pieces.append((text or "'", 0))
            index = end + 1
        elif char.isalpha():
            end = index
            while pattern[end : end + 1] == char:
                end += 1
            if char not in "GCYxwedyDaMKhHkmsSzZE":
                raise InvalidError(f"Illegal pattern component: {char}")
            pieces.append((char, end - index))
            index = end
        else:
            pieces.append((char, 0))
            index += 1
    return tuple(pieces)


_MONTHS = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
]  # fmt: skip
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


@native("VARCHAR", "TIMESTAMPTZ", "VARCHAR", "VARCHAR")
def format_datetime(instant: datetime.datetime, zone: str, pattern: str) -> str:
    value = instant.astimezone(zones.tzinfo(zone))
    return "".join(
        letter if not count else _joda_text(letter, count, value, zone) for letter, count in _joda(pattern)
    )


def _joda_text(letter: str, count: int, value: datetime.datetime, zone: str) -> str:
    year, week, weekday = value.isocalendar()
    if letter in "yYx":
        full = year if letter == "x" else value.year
        return f"{full % 100:02}" if count == 2 else str(full).rjust(count, "0")
    if letter == "M" and count > 2:
        return _MONTHS[value.month - 1] if count > 3 else _MONTHS[value.month - 1][:3]
    if letter == "E":
        return _DAYS[weekday - 1] if count > 3 else _DAYS[weekday - 1][:3]
    if letter == "a":
        return "AM" if value.hour < 12 else "PM"
    if letter == "G":
        return "AD"
    if letter == "S":
        return f"{value.microsecond:06}"[:count].ljust(count, "0")
    if letter == "Z":
        return zone if count > 2 else _offset_text(value, "", ":" if count == 2 else "")
    if letter == "z":
        shown = value.tzname() or zone
        return zone if zone[0] in "+-" else shown
    number = {
        "C": value.year // 100, "w": week, "e": weekday, "D": value.timetuple().tm_yday, "M": value.month,
        "d": value.day, "K": value.hour % 12, "h": (value.hour + 11) % 12 + 1, "H": value.hour,
        "k": value.hour or 24, "m": value.minute, "s": value.second,
    }[letter]  # fmt: skip
    return str(number).rjust(count, "0")


@native(_ZONED, "VARCHAR", "VARCHAR")
def parse_datetime(text: str, pattern: str) -> dict[str, Any]:
    place, found, zone = 0, dict[str, Any](), "UTC"
    pieces = _joda(pattern)
    for index, (letter, count) in enumerate(pieces):
        if not count:
            if not text.startswith(letter, place):
                raise _malformed(text, place)
            place += len(letter)
            continue
        adjacent = (
            index + 1 < len(pieces) and pieces[index + 1][1] > 0 and pieces[index + 1][0] not in "aEGzZ"
        )
        match = _joda_match(letter, count, adjacent).match(text, place)
        if match is None:
            raise _malformed(text, place)
        if letter in "zZ":
            canonical = zones.canonical(match[0])
            if canonical is None:
                raise _malformed(text, place)
            zone = canonical
        else:
            found[letter] = match[0]
        place = match.end()
    if place < len(text):
        raise _malformed(text, place)
    try:
        return _zoned(_joda_value(found), zone)
    except ValueError:
        raise InvalidError(f'Cannot parse "{text}": Value out of range') from None


def _malformed(text: str, place: int) -> InvalidError:
    if place >= len(text):
        return InvalidError(f'Invalid format: "{text}" is too short')
    at = f' at "{text[place:]}"' if place else ""
    return InvalidError(f'Invalid format: "{text}"' + (f" is malformed{at}" if at else ""))


@functools.lru_cache(maxsize=256)
def _joda_match(letter: str, count: int, adjacent: bool) -> re.Pattern[str]:
    if letter == "M" and count > 2:
        names = [name for month in _MONTHS for name in (month, month[:3])]
        return re.compile("|".join(names), re.IGNORECASE)
    if letter == "E":
        return re.compile("|".join(name for day in _DAYS for name in (day, day[:3])), re.IGNORECASE)
    if letter == "a":
        return re.compile("[AP]M", re.IGNORECASE)
    if letter == "Z":
        return re.compile(r"[A-Za-z]+(?:/[A-Za-z_]+)*" if count > 2 else r"Z|[+-]\d{2}:?\d{2}|[+-]\d{2}")
    if letter == "z":
        return re.compile(r"[A-Za-z]+(?:/[A-Za-z_]+)*")
    if letter == "S" or adjacent:
        return re.compile(rf"\d{{1,{count}}}")
    return re.compile(r"[+-]?\d{1,9}" if letter in "yYx" else r"\d{1,3}" if letter == "D" else r"\d{1,2}")


def _joda_value(found: dict[str, str]) -> datetime.datetime:
    number = {letter: int(text) for letter, text in found.items() if text.lstrip("+-").isdigit()}
    year = number.get("y", number.get("Y", 1970))
    for letter in "yY":
        if letter in found and len(found[letter]) == 2:
            year += 2000 if year < 70 else 1900
    month = number.get("M", 1)
    if "M" in found and "M" not in number:
        month = [name[:3].lower() for name in _MONTHS].index(found["M"][:3].lower()) + 1
    hour = number.get("H", number.get("k", 0) % 24)
    if "h" in number or "K" in number:
        hour = number.get("h", number.get("K", 0)) % 12 + (12 if found.get("a", "").upper() == "PM" else 0)
    micros = int(found.get("S", "0")[:6].ljust(6, "0"))
    clock = (hour, number.get("m", 0), number.get("s", 0), micros)
    if "x" in number or "w" in number:
        date = datetime.date.fromisocalendar(number.get("x", year), number.get("w", 1), number.get("e", 1))
        return datetime.datetime(date.year, date.month, date.day, *clock)
    if "D" in number:
        date = datetime.date(year, 1, 1) + datetime.timedelta(days=number["D"] - 1)
        return datetime.datetime(date.year, date.month, date.day, *clock)
    return datetime.datetime(year, month, number.get("d", 1), *clock)
