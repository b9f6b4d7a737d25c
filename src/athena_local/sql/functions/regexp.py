"""Regular expressions: Java's syntax. A literal pattern that RE2 reads alike runs in DuckDB, any other one in Python."""

from __future__ import annotations

import re
from collections.abc import Callable

from athena_local.sql.functions.signatures import Call, Function, scalar, table

# what Java has and RE2 has not, or reads otherwise: look-around, atomic groups, named groups, possessive repeats,
# backreferences, classes within classes, Java's own escapes; `$` before a last line break
_JAVA_ONLY = re.compile(
    r"\(\?(?:[=!>]|<)|[*+?}]\+|\\(?:[1-9kGhHRXZezuvVQ]|p\{(?:Is|java|In|Al|Di|Up|Lo|Sp|Pu|XD|AS|Bl|Cn|Gr|Pr))|\[[^\]]*(?:\[|&&)|\$"
)
_UNESCAPED_DOLLAR_AT_END = re.compile(r"(?<!\\)(?:\\\\)*\$$")


def _runs_in_duckdb(call: Call) -> bool:
    pattern = call.text(1)
    if pattern is None:
        return False
    if "\\$" in pattern or "[$" in pattern:
        return False
    body = _UNESCAPED_DOLLAR_AT_END.sub("", pattern)
    if _JAVA_ONLY.search(body):
        return False
    try:
        re.compile(pattern)
    except (re.error, OverflowError):
        return False
    return True


def _either(duckdb: str, python: str) -> Callable[[Call], str]:
    return lambda call: duckdb if _runs_in_duckdb(call) else python


def _replace(call: Call) -> str:
    replacement = call.text(2) if len(call.parts) > 2 else ""
    if replacement is None or not _runs_in_duckdb(call) or re.search(r"[$\\]", replacement):
        third = "{2}" if len(call.parts) > 2 else "''"
        return f"trino_regexp_replace({{0}}, {{1}}, {third})"
    return (
        "regexp_replace({0}, {1}, {2}, 'g')" if len(call.parts) > 2 else "regexp_replace({0}, {1}, '', 'g')"
    )


def _extract(call: Call) -> str:
    python = "trino_regexp_extract({0}, {1}, " + ("{2})" if len(call.parts) > 2 else "0)")
    if len(call.parts) > 2 or not _runs_in_duckdb(call):
        return python
    return "CASE WHEN regexp_matches({0}, {1}) THEN regexp_extract({0}, {1}, 0) END"


FUNCTIONS: dict[str, Function] = table(
    {
        "regexp_like": scalar(
            "varchar(x), JoniRegExp -> boolean",
            _either("regexp_matches({0}, {1})", "trino_regexp_like({0}, {1})"),
        ),
        "regexp_replace": scalar(
            "varchar(x), JoniRegExp -> varchar(x)",
            _replace,
            "varchar(x), JoniRegExp, varchar(y) -> varchar",
            _replace,
        ),
        "regexp_extract": scalar(
            "varchar(x), JoniRegExp -> varchar(x)",
            _extract,
            "varchar(x), JoniRegExp, bigint -> varchar(x)",
            _extract,
        ),
        "regexp_extract_all": scalar(
            "varchar(x), JoniRegExp -> array(varchar(x))",
            _either("regexp_extract_all({0}, {1})", "trino_regexp_extract_all({0}, {1}, 0)"),
            "varchar(x), JoniRegExp, bigint -> array(varchar(x))",
            "trino_regexp_extract_all({0}, {1}, {2})",
        ),
        "regexp_split": scalar("varchar(x), JoniRegExp -> array(varchar(x))", "trino_regexp_split({0}, {1})"),
        "regexp_count": scalar("varchar(x), JoniRegExp -> bigint", "trino_regexp_count({0}, {1})"),
        "regexp_position": scalar(
            "varchar(x), JoniRegExp -> integer",
            "CAST(trino_regexp_position({0}, {1}, 1, 1) AS INTEGER)",
            "varchar(x), JoniRegExp, integer -> integer",
            "CAST(trino_regexp_position({0}, {1}, {2}, 1) AS INTEGER)",
            "varchar(x), JoniRegExp, integer, integer -> integer",
            "CAST(trino_regexp_position({0}, {1}, {2}, {3}) AS INTEGER)",
        ),
    }
)
