"""A value's text, as it stands in a text file, in DuckDB's SQL: what Hive takes for a number, a date, a timestamp.

Every function takes and returns SQL expressions. What does not parse is NULL; callers that must raise ask for NULL first.
DuckDB's own casts take more than Hive does (hexadecimal, underscores, blanks, `inf`), so texts are looked at before.
"""

from __future__ import annotations

from athena_local.engine.java_dates import strptime_pattern
from athena_local.types import AthenaType

_DATE = r"^\s*([+-]?[0-9]{1,10})-([0-9]{1,2})-([0-9]{1,2})(?: .*)?\s*$"
_TIMESTAMP = (
    r"^\s*([+-]?[0-9]{1,10})-([0-9]{1,2})-([0-9]{1,2})"
    r"(?: ([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2}(?:\.[0-9]{1,9})?))?\s*$"
)
_ISO = r"^\s*([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{0,9})?)?)\s*$"
_USUAL = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
DIGITS, NUMBER, BLANKED = "0-9+-", "0-9.eE+-", " 0-9.eE+-"  # sets for `only`
_JAVA_SPECIAL = ("NaN", "Infinity", "+Infinity", "-Infinity")


def literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def only(text: str, characters: str) -> str:
    """Return the condition that a text has no other characters than these: the quickest that DuckDB has for it."""
    return f"{text} NOT GLOB '*[!{characters}]*'"


def integer(text: str, kind: AthenaType) -> str:
    """Digits with a sign; a fraction of digits is cut off."""
    whole = f"split_part({text}, '.', 1)"
    return (
        f"CASE WHEN {only(text, DIGITS)} THEN TRY_CAST({text} AS {kind.duckdb()})"
        f" WHEN regexp_full_match({text}, '[+-]?[0-9]*\\.[0-9]*') THEN"
        f" TRY_CAST(CASE WHEN {whole} IN ('', '+', '-') THEN '0' ELSE {whole} END AS {kind.duckdb()}) END"
    )


def floating(text: str, kind: AthenaType) -> str:
    """What Java's parseDouble takes: blanks around, a suffix f or d, NaN and Infinity in these spellings."""
    special = ", ".join(literal(word) for word in _JAVA_SPECIAL)
    suffixed = f"regexp_extract(trim({text}), '^([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)[fFdD]$', 1)"
    return (
        f"CASE WHEN {only(text, BLANKED)} THEN TRY_CAST({text} AS {kind.duckdb()})"
        f" WHEN trim({text}) IN ({special}) THEN CAST({text} AS {kind.duckdb()})"
        f" WHEN {suffixed} <> '' THEN TRY_CAST({suffixed} AS {kind.duckdb()}) END"
    )


def decimal(text: str, kind: AthenaType) -> str:
    return f"CASE WHEN {only(text, NUMBER)} THEN TRY_CAST({text} AS {kind.duckdb()}) END"


def boolean(text: str) -> str:
    return f"CASE lower({text}) WHEN 'true' THEN true WHEN 'false' THEN false END"


def date(text: str) -> str:
    """`y-M-d`, whatever follows a blank left out; a month 13 is the next year's January, as Hive resolves it."""
    strict = f"TRY_CAST({text} AS DATE)"
    part = [f"TRY_CAST(regexp_extract({text}, '{_DATE}', {group}) AS INTEGER)" for group in (1, 2, 3)]
    lenient = (
        f"TRY(CAST(make_date({part[0]}, 1, 1) + to_months({part[1]} - 1) + to_days({part[2]} - 1) AS DATE))"
    )
    usual = f"CAST({strict} AS VARCHAR) = {text}"
    return f"CASE WHEN {text} IS NULL THEN NULL WHEN {usual} THEN {strict} ELSE {lenient} END"


def timestamp(text: str, formats: tuple[str, ...] = ()) -> str:
    """`y-M-d[ H:m:s[.f]]` or ISO 8601 without a zone; before these the table's own formats. To the millisecond."""
    part = [f"TRY_CAST(regexp_extract({text}, '{_TIMESTAMP}', {group}) AS INTEGER)" for group in (1, 2, 3)]
    clock = [f"nullif(regexp_extract({text}, '{_TIMESTAMP}', {group}), '')" for group in (4, 5, 6)]
    lenient = (
        f"TRY(make_timestamp(1970, 1, 1, 0, 0, 0) + (make_date({part[0]}, 1, 1) - DATE '1970-01-01') * INTERVAL 1 DAY"
        f" + to_months({part[1]} - 1) + to_days({part[2]} - 1)"
        f" + to_hours(coalesce(TRY_CAST({clock[0]} AS INTEGER), 0))"
        f" + to_minutes(coalesce(TRY_CAST({clock[1]} AS INTEGER), 0))"
        f" + to_microseconds(CAST(round(coalesce(TRY_CAST({clock[2]} AS DECIMAL(18, 9)), 0) * 1000000) AS BIGINT)))"
    )
    usual = f"regexp_full_match({text}, '{_USUAL}')"
    iso = f"nullif(regexp_extract({text}, '{_ISO}', 1) || ' ' || regexp_extract({text}, '{_ISO}', 2), ' ')"
    found = (
        f"CASE WHEN {usual} AND TRY_CAST({text} AS TIMESTAMP) IS NOT NULL THEN TRY_CAST({text} AS TIMESTAMP)"
        f" ELSE coalesce({lenient}, TRY_CAST({iso} AS TIMESTAMP)) END"
    )
    patterns = [strptime_pattern(item) for item in formats if item.lower() != "millis"]
    first = []
    if patterns:
        first.append(f"try_strptime(trim({text}), [{', '.join(literal(item) for item in patterns)}])")
    if any(item.lower() == "millis" for item in formats):
        whole = f"TRY_CAST(regexp_extract(trim({text}), '^(-?[0-9]+)(\\.[0-9]+)?$', 1) AS BIGINT)"
        first.append(f"TRY(make_timestamp({whole} * 1000))")
    return to_millis(f"coalesce({', '.join([*first, found])})" if first else found)


def to_millis(moment: str) -> str:
    """Round to what timestamp(3) keeps."""
    return f"date_trunc('milliseconds', {moment} + INTERVAL 500 MICROSECONDS)"


def shortened(text: str, kind: AthenaType) -> str:
    """Text of a varchar(n) or char(n): what is too long is cut off."""
    if kind.precision is None:
        return text
    cut = f"left({text}, {kind.precision})"
    return f"rtrim({cut})" if kind.base == "char" else cut
