"""Java's regular expressions where RE2, DuckDB's engine, has no such thing: look-around, backreferences, possessive repeats.

A pattern RE2 reads means the same there and runs faster, so `sql/functions/regexp.py` comes here only for the others and for
patterns that are not literals.
"""

from __future__ import annotations

import functools
import re

from athena_local.sql.functions.native.registry import InvalidError, native

_CLASSES = {
    "Alpha": "a-zA-Z", "Digit": "0-9", "Alnum": "a-zA-Z0-9", "Upper": "A-Z", "Lower": "a-z", "Space": r"\s",
    "Punct": r"!-/:-@\[-`{-~", "XDigit": "0-9a-fA-F", "ASCII": r"\x00-\x7f", "Blank": r" \t", "Cntrl": r"\x00-\x1f\x7f",
    "Print": r"\x20-\x7e", "Graph": r"\x21-\x7e", "L": r"^\W\d_", "Lu": "A-ZÀ-ÖØ-ÞΑ-ΩА-Я", "Ll": "a-zß-öø-ÿα-ωа-я",
    "N": r"\d", "Nd": r"\d", "IsAlphabetic": r"^\W\d_", "IsDigit": r"\d",
}  # fmt: skip
_PROPERTY = re.compile(r"\\([pP])(?:\{(\w+)\}|(\w))")
_HORIZONTAL = r"[ \t\xa0]"


@functools.lru_cache(maxsize=256)
def compiled(pattern: str) -> re.Pattern[str]:
    """Return Python's pattern of a Java one. Raises what ends the query when it is none."""
    try:
        return re.compile(_translated(pattern))
    except (re.error, RecursionError, OverflowError) as error:
        raise InvalidError(str(error)) from None


def _translated(pattern: str) -> str:
    pieces, index, inside = [], 0, 0
    while index < len(pattern):
        char = pattern[index]
        if char == "\\" and index + 1 < len(pattern):
            piece, index = _escape(pattern, index, inside > 0)
            pieces.append(piece)
            continue
        if char == "[":
            inside += 1
        elif char == "]" and inside:
            inside -= 1
        elif pattern.startswith("(?<", index) and pattern[index + 3 : index + 4] not in {"=", "!"}:
            pieces.append("(?P<")
            index += 3
            continue
        pieces.append(char)
        index += 1
    return "".join(pieces)


def _escape(pattern: str, index: int, in_class: bool) -> tuple[str, int]:
    found = _PROPERTY.match(pattern, index)
    if found is not None:
        name = found[2] or found[3]
        body = _CLASSES.get(name) or _CLASSES.get(name.removeprefix("Is"))
        if body is None:
            raise InvalidError(f"invalid character property name <{name}>")
        if in_class:
            if found[1] == "P" or body.startswith("^"):
                raise InvalidError(
                    f"\\{found[1]}{{{name}}} inside of [] is not supported by this server", "NOT_SUPPORTED"
                )
            return body, found.end()
        negated = (found[1] == "P") != body.startswith("^")
        return f"[{'^' if negated else ''}{body.removeprefix('^')}]", found.end()
    after = pattern[index + 1]
    simple = {
        "z": r"\Z",
        "Z": r"(?=\n?\Z)",
        "h": _HORIZONTAL,
        "R": r"(?:\r\n|[\n\r\x0b\x0c\x85\u2028\u2029])",
        "e": r"\x1b",
    }
    if after in simple:
        return simple[after], index + 2
    if after == "k" and pattern[index + 2 : index + 3] == "<":
        end = pattern.find(">", index)
        return f"(?P={pattern[index + 3 : end]})", end + 1
    if after == "Q":
        end = pattern.find("\\E", index)
        end = len(pattern) if end < 0 else end
        return re.escape(pattern[index + 2 : end]), end + 2
    return pattern[index : index + 2], index + 2


@native("BOOLEAN", "VARCHAR", "VARCHAR")
def regexp_like(text: str, pattern: str) -> bool:
    return compiled(pattern).search(text) is not None


@native("VARCHAR", "VARCHAR", "VARCHAR", "BIGINT")
def regexp_extract(text: str, pattern: str, group: int) -> str | None:
    found = compiled(pattern)
    _check_group(found, group)
    match = found.search(text)
    return match.group(group) if match else None


@native("VARCHAR[]", "VARCHAR", "VARCHAR", "BIGINT")
def regexp_extract_all(text: str, pattern: str, group: int) -> list[str | None]:
    found = compiled(pattern)
    _check_group(found, group)
    return [match.group(group) for match in found.finditer(text)]


def _check_group(pattern: re.Pattern[str], group: int) -> None:
    if group < 0:
        raise InvalidError("Group cannot be negative")
    if group > pattern.groups:
        raise InvalidError(f"Pattern has {pattern.groups} groups. Cannot access group {group}")


@native("VARCHAR", "VARCHAR", "VARCHAR", "VARCHAR")
def regexp_replace(text: str, pattern: str, replacement: str) -> str:
    found = compiled(pattern)
    return found.sub(lambda match: _replaced(match, replacement), text)


def _replaced(match: re.Match[str], replacement: str) -> str:
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


def _group(match: re.Match[str], replacement: str, index: int) -> tuple[str, int]:
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
    for match in compiled(pattern).finditer(text):
        if match.end() == 0 and match.start() == 0:
            continue
        pieces.append(text[last : match.start()])
        last = match.end()
    return [*pieces, text[last:]]


@native("BIGINT", "VARCHAR", "VARCHAR")
def regexp_count(text: str, pattern: str) -> int:
    return sum(1 for _ in compiled(pattern).finditer(text))


@native("BIGINT", "VARCHAR", "VARCHAR", "BIGINT", "BIGINT")
def regexp_position(text: str, pattern: str, start: int, occurrence: int) -> int:
    if start < 1:
        raise InvalidError("start position cannot be smaller than 1")
    if occurrence < 1:
        raise InvalidError("occurrence cannot be smaller than 1")
    for count, match in enumerate(compiled(pattern).finditer(text, start - 1), start=1):
        if count == occurrence:
            return match.start() + 1
    return -1
