"""Java's date patterns (`yyyy/MM/dd-HH`), as partition projection and `timestamp.formats` have them: format and parse.

Known are y, u, M, d, D, H, k, h, K, m, s, S, a, E, quoted text and marks; any other letter is a ValueError, never a guess.
"""

from __future__ import annotations

import datetime
import re
from functools import lru_cache

_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_PIECES = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")
_LETTERS = "yuMdDHkhKmsSaE"


class JavaPattern:
    """One pattern. Both directions work on times without a zone; what a pattern leaves out is that of 1970-01-01 00:00."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.pieces: list[tuple[str, int, str]] = []  # (letter or "", count, literal text)
        position = 0
        for match in _PIECES.finditer(pattern):
            if match.start() != position:
                raise ValueError(f"Unknown date pattern: {pattern}")
            position = match.end()
            letter = match.group(2)
            if letter is None:
                quoted = match.group(1)
                literal = match.group() if quoted is None else (quoted.replace("''", "'") or "'")
                self.pieces.append(("", 0, literal))
            elif letter in _LETTERS:
                self.pieces.append((letter, len(match.group()), ""))
            else:
                raise ValueError(f"Unknown pattern letter: {letter}")
        if position != len(pattern):
            raise ValueError(f"Unknown date pattern: {pattern}")
        self._parser = re.compile("".join(self._expression(index) for index in range(len(self.pieces))))

    @property
    def letters(self) -> set[str]:
        return {letter for letter, _, _ in self.pieces if letter}

    def format(self, moment: datetime.datetime) -> str:
        return "".join(self._formatted(piece, moment) for piece in self.pieces)

    def _formatted(self, piece: tuple[str, int, str], moment: datetime.datetime) -> str:
        letter, count, literal = piece
        if not letter:
            return literal
        if letter in "yu":
            return f"{moment.year % 100:02d}" if count == 2 else f"{moment.year:0{count}d}"
        if letter == "M" and count > 2:
            name = _MONTHS[moment.month - 1]
            return name if count > 3 else name[:3]
        if letter == "E":
            name = _DAYS[moment.weekday()]
            return name if count > 3 else name[:3]
        if letter == "a":
            return "AM" if moment.hour < 12 else "PM"
        if letter == "S":
            return f"{moment.microsecond:06d}".ljust(count, "0")[:count]
        value = {
            "M": moment.month,
            "d": moment.day,
            "D": moment.timetuple().tm_yday,
            "H": moment.hour,
            "k": moment.hour or 24,
            "h": moment.hour % 12 or 12,
            "K": moment.hour % 12,
            "m": moment.minute,
            "s": moment.second,
        }[letter]
        return f"{value:0{count}d}"

    def parse(self, text: str) -> datetime.datetime:
        """Return the time a text names. ValueError when it does not match the pattern from end to end."""
        match = self._parser.fullmatch(text)
        if match is None:
            raise ValueError(f"Text '{text}' could not be parsed at index 0")
        found: dict[str, int] = {}
        afternoon = False
        for index, (letter, count, _) in enumerate(self.pieces):
            if not letter:
                continue
            part = match.group(f"g{index}")
            if letter == "a":
                afternoon = part.upper() == "PM"
            elif letter == "M" and count > 2:
                found["M"] = [name[: len(part)].lower() for name in _MONTHS].index(part.lower()) + 1
            elif letter == "S":
                found["S"] = int(part[:6].ljust(6, "0"))
            elif letter in "yu":
                found["y"] = 2000 + int(part) if count == 2 else int(part)
            elif letter != "E":
                found[letter] = int(part)
        return _moment(found, afternoon)

    def _expression(self, index: int) -> str:
        letter, count, literal = self.pieces[index]
        if not letter:
            return re.escape(literal)
        if letter == "a":
            body = "[AaPp][Mm]"
        elif letter == "M" and count > 2:
            body = "|".join(name if count > 3 else name[:3] for name in _MONTHS)
            body = f"(?i:{body})"
        elif letter == "E":
            body = "|".join(name if count > 3 else name[:3] for name in _DAYS)
            body = f"(?i:{body})"
        elif letter == "S":
            body = rf"\d{{1,{max(count, 1)}}}"
        else:
            adjacent = index + 1 < len(self.pieces) and self.pieces[index + 1][0] != ""
            body = rf"\d{{{count}}}" if adjacent or count > 1 else r"\d+"
        return f"(?P<g{index}>{body})"


def _moment(found: dict[str, int], afternoon: bool) -> datetime.datetime:
    hour = found.get("H", found.get("k", 0) % 24)
    if "h" in found or "K" in found:
        hour = found.get("h", found.get("K", 0)) % 12 + (12 if afternoon else 0)
    moment = datetime.datetime(
        found.get("y", 1970),
        found.get("M", 1),
        found.get("d", 1),
        hour,
        found.get("m", 0),
        found.get("s", 0),
        found.get("S", 0),
    )
    if "D" in found:
        moment += datetime.timedelta(days=found["D"] - 1)
    return moment


@lru_cache(maxsize=256)
def java_pattern(pattern: str) -> JavaPattern:
    """Return the pattern, compiled once."""
    return JavaPattern(pattern)


_STRPTIME = {
    ("y", 4): "%Y", ("y", 2): "%y", ("u", 4): "%Y", ("M", 2): "%m", ("M", 1): "%m", ("M", 3): "%b", ("M", 4): "%B",
    ("d", 2): "%d", ("d", 1): "%d", ("D", 3): "%j", ("H", 2): "%H", ("H", 1): "%H", ("h", 2): "%I", ("h", 1): "%I",
    ("m", 2): "%M", ("m", 1): "%M", ("s", 2): "%S", ("s", 1): "%S", ("a", 1): "%p", ("E", 3): "%a", ("E", 4): "%A",
    ("S", 3): "%g", ("S", 6): "%f", ("S", 9): "%n", ("S", 1): "%g", ("S", 2): "%g",
}  # fmt: skip
_ZONES = re.compile(r"(?<!Z)(?:Z{1,2}|XXX|X)(?!Z)$")


def strptime_pattern(pattern: str) -> str:
    """Return the pattern as strptime has it, for DuckDB. ValueError for what strptime cannot say."""
    body, zone = (_ZONES.sub("", pattern), "%z") if _ZONES.search(pattern) else (pattern, "")
    found = []
    for letter, count, text in JavaPattern(body).pieces:
        if not letter:
            found.append(text.replace("%", "%%"))
        elif (letter, count) in _STRPTIME:
            found.append(_STRPTIME[letter, count])
        else:
            raise ValueError(f"Unknown pattern: {pattern}")
    return "".join(found) + zone
