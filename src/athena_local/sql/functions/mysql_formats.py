"""MySQL's format letters, which date_format and date_parse take, in strftime's."""

from __future__ import annotations

import re

from athena_local.errors import QueryError
from athena_local.sql.functions.signatures import Call

_MYSQL = {
    "a": "%a", "b": "%b", "c": "%-m", "d": "%d", "e": "%-d", "f": "%f", "H": "%H", "h": "%I", "I": "%I", "i": "%M",
    "j": "%j", "k": "%-H", "l": "%-I", "M": "%B", "m": "%m", "p": "%p", "r": "%I:%M:%S %p", "S": "%S", "s": "%S",
    "T": "%H:%M:%S", "v": "%V", "W": "%A", "x": "%G", "Y": "%Y", "y": "%y", "%": "%%",
}  # fmt: skip
_REFUSED_LETTERS = set("DUuVwX")


def strftime_format(pattern: str) -> str:
    """Return the strftime format of a MySQL one. Raises for letters that Trino refuses."""

    def one(match: re.Match[str]) -> str:
        letter = match[1]
        if letter in _REFUSED_LETTERS:
            text = f"%{letter} not supported in date format string"
            raise QueryError("INVALID_FUNCTION_ARGUMENT", text)
        return _MYSQL.get(letter, letter)

    return re.sub(r"%(.)", one, pattern)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_ANY_FORMAT = "{1}"
for _letter, _word in _MYSQL.items():
    if _word not in {f"%{_letter}", "%%"}:
        _ANY_FORMAT = f"replace({_ANY_FORMAT}, '%{_letter}', '{_word.replace('%', chr(1))}')"
_ANY_FORMAT = f"replace({_ANY_FORMAT}, '{chr(1)}', '%')"


def format_text(call: Call) -> str:
    written = call.text(1)
    return _quoted(strftime_format(written)) if written is not None else _ANY_FORMAT
