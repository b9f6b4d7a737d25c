"""Names against patterns, in time that grows with their length alone: a client's pattern must not hold up the server.

Regular expressions are RE2's (by Arrow), which have no look-around and no back-references; LIKE is matched without one.
"""

from __future__ import annotations

import re

from athena_local.catalog.errors import InvalidInputError

# Glue reads an asterisk that repeats nothing as any characters: `sales_*`, `*_raw`
_WILDCARD = re.compile(r"(?<![.\])}\\])(?<!\\\w)\*")


def matching(names: list[str], pattern: str) -> list[bool]:
    """Return for each name whether the whole of it matches Glue's regular expression, in any case."""
    import pyarrow as pa
    import pyarrow.compute as pc

    expression = f"^(?:{_WILDCARD.sub('.*', pattern)})$"
    try:
        # the name at the end is there because Arrow does not look at the pattern when there is none
        found = pc.match_substring_regex(pa.array([*names, ""], pa.string()), expression, ignore_case=True)
    except pa.ArrowInvalid as error:
        raise InvalidInputError(f"Invalid expression '{pattern}': {error}") from error
    matches: list[bool] = found.to_pylist()
    return matches[:-1]


def is_like(text: str, pattern: str) -> bool:
    """Whether SQL's LIKE holds: `%` is any characters, `_` one. Takes len(text) * len(pattern) steps at most."""
    at = place = 0
    percent, resume = -1, 0  # where the last % was, and how much of the text it has taken
    while at < len(text):
        if place < len(pattern) and pattern[place] == "%":
            percent, resume = place, at
            place += 1
        elif place < len(pattern) and pattern[place] in {"_", text[at]}:
            at += 1
            place += 1
        elif percent >= 0:
            resume += 1
            at, place = resume, percent + 1
        else:
            return False
    return pattern[place:].strip("%") == ""
