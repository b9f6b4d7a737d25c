"""Java's regular expressions where RE2, DuckDB's engine, has no such thing: look-around, backreferences, possessive repeats.

A pattern RE2 reads means the same there and runs faster, so `sql/functions/regexp.py` comes here only for the others and for
patterns that are not literals. These can take time without end, so a match lets other threads run and is given up after
`MATCH_SECONDS`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import regex  # type: ignore[import-untyped]

from athena_local.sql.functions.native.registry import InvalidError, native

MATCH_SECONDS = 10.0  # for one value; a sane pattern takes microseconds
# Java's escapes that `regex` spells otherwise
_SPELLED = {"z": r"\Z", "Z": r"(?=\n?\Z)", "e": r"\x1b"}


@functools.lru_cache(maxsize=256)
def compiled(pattern: str) -> Any:
    """Return the pattern, ready to match. Raises what ends the query when it is none."""
    try:
        return regex.compile(_translated(pattern), regex.V1)
    except (regex.error, RecursionError, OverflowError) as error:
        raise InvalidError(str(error)) from None


def _translated(pattern: str) -> str:
    pieces, index = [], 0
    while index < len(pattern):
        if pattern[index] != "\\" or index + 1 == len(pattern):
            pieces.append(pattern[index])
            index += 1
            continue
        piece, index = _escape(pattern, index)
        pieces.append(piece)
    return "".join(pieces)


def _escape(pattern: str, index: int) -> tuple[str, int]:
    after = pattern[index + 1]
    if after in _SPELLED:
        return _SPELLED[after], index + 2
    if after == "k" and pattern[index + 2 : index + 3] == "<":
        end = pattern.find(">", index)
        return f"(?P={pattern[index + 3 : end]})", end + 1
    if after == "Q":
        end = pattern.find("\\E", index)
        end = len(pattern) if end < 0 else end
        return regex.escape(pattern[index + 2 : end]), end + 2
    return pattern[index : index + 2], index + 2


def _search(pattern: str, text: str) -> Any:
    try:
        return compiled(pattern).search(text, timeout=MATCH_SECONDS, concurrent=True)
    except TimeoutError:
        raise _too_long(pattern) from None


def _matches(pattern: str, text: str, start: int = 0) -> Iterator[Any]:
    try:
        yield from compiled(pattern).finditer(text, start, timeout=MATCH_SECONDS, concurrent=True)
    except TimeoutError:
        raise _too_long(pattern) from None


def _too_long(pattern: str) -> InvalidError:
    text = f"Regular expression {pattern} did not match within {MATCH_SECONDS:.0f} s"
    return InvalidError(text, "EXCEEDED_TIME_LIMIT")


@native("BOOLEAN", "VARCHAR", "VARCHAR")
def regexp_like(text: str, pattern: str) -> bool:
    return _search(pattern, text) is not None


@native("VARCHAR", "VARCHAR", "VARCHAR", "BIGINT")
def regexp_extract(text: str, pattern: str, group: int) -> str | None:
    found = compiled(pattern)
    _check_group(found, group)
    match = _search(pattern, text)
    return match.group(group) if match else None


@native("VARCHAR[]", "VARCHAR", "VARCHAR", "BIGINT")
def regexp_extract_all(text: str, pattern: str, group: int) -> list[str | None]:
    found = compiled(pattern)
    _check_group(found, group)
    return [match.group(group) for match in _matches(pattern, text)]


def _check_group(pattern: Any, group: int) -> None:
    if group < 0:
        raise InvalidError("Group cannot be negative")
    if group > pattern.groups:
        raise InvalidError(f"Pattern has {pattern.groups} groups. Cannot access group {group}")


@native("VARCHAR", "VARCHAR", "VARCHAR", "VARCHAR")
def regexp_replace(text: str, pattern: str, replacement: str) -> str:
    pieces, last = [], 0
    for match in _matches(pattern, text):
        pieces += [text[last : match.start()], _replaced(match, replacement)]
        last = match.end()
    return "".join([*pieces, text[last:]])


def _replaced(match: Any, replacement: str) -> str:
    pieces, index = [], 0
    while index < len(replacement):
        char = replacement[index]
        if char == "\\":
            if index + 1 == len(replacement):
                raise InvalidError("Incorrect escape sequence: " + replacement)
            pieces.append(replacement[index + 1])
            index += 2
        elif char == "$":
            value, index = _group(match, replacement, index + 1)
            pieces.append(value)
        else:
            pieces.append(char)
            index += 1
    return "".join(pieces)


def _group(match: Any, replacement: str, index: int) -> tuple[str, int]:
    if replacement[index : index + 1] == "{":
        end = replacement.find("}", index)
        name = replacement[index + 1 : end]
        if end < 0 or name not in match.re.groupindex:
            raise InvalidError(f"Illegal replacement sequence: unknown group {{ {name} }}")
        return match.group(name) or "", end + 1
    if not replacement[index : index + 1].isdigit():
        raise InvalidError("Illegal replacement sequence: " + replacement)
    number, index = int(replacement[index]), index + 1
    if number > match.re.groups:
        raise InvalidError(f"Illegal replacement sequence: unknown group {number}")
    while (
        replacement[index : index + 1].isdigit() and number * 10 + int(replacement[index]) <= match.re.groups
    ):
        number, index = number * 10 + int(replacement[index]), index + 1
    return match.group(number) or "", index


@native("VARCHAR[]", "VARCHAR", "VARCHAR")
def regexp_split(text: str, pattern: str) -> list[str]:
    pieces, last = [], 0
    for match in _matches(pattern, text):
        if match.end() == 0 and match.start() == 0:
            continue
        pieces.append(text[last : match.start()])
        last = match.end()
    return [*pieces, text[last:]]


@native("BIGINT", "VARCHAR", "VARCHAR")
def regexp_count(text: str, pattern: str) -> int:
    return sum(1 for _ in _matches(pattern, text))


@native("BIGINT", "VARCHAR", "VARCHAR", "BIGINT", "BIGINT")
def regexp_position(text: str, pattern: str, start: int, occurrence: int) -> int:
    if start < 1:
        raise InvalidError("start position cannot be smaller than 1")
    if occurrence < 1:
        raise InvalidError("occurrence cannot be smaller than 1")
    for count, match in enumerate(_matches(pattern, text, start - 1), start=1):
        if count == occurrence:
            return int(match.start()) + 1
    return -1
