"""Text: distances, padding out of range, splitting into maps, Java's String.format."""

from __future__ import annotations

import decimal
import re
import unicodedata

from athena_local.sql.functions.native.registry import InvalidError, native

MOST_LEVENSHTEIN_STEPS = 1_000_000  # Trino's limit


@native("BIGINT", "VARCHAR", "VARCHAR")
def levenshtein(left: str, right: str) -> int:
    if len(left) * (len(right) - 1) > MOST_LEVENSHTEIN_STEPS:
        raise InvalidError(
            f"The combined inputs for Levenshtein distance are too large ({len(left)} and {len(right)})"
        )
    previous = list(range(len(right) + 1))
    for row, one in enumerate(left, start=1):
        current = [row]
        for column, other in enumerate(right, start=1):
            current.append(min(previous[column] + 1, current[-1] + 1, previous[column - 1] + (one != other)))
        previous = current
    return previous[-1]


@native("BIGINT", "VARCHAR", "VARCHAR")
def hamming(left: str, right: str) -> int:
    if len(left) != len(right):
        raise InvalidError("The input strings to hamming_distance function must have the same length")
    return sum(one != other for one, other in zip(left, right, strict=True))


_SOUNDEX = {
    **dict.fromkeys("BFPV", "1"), **dict.fromkeys("CGJKQSXZ", "2"), **dict.fromkeys("DT", "3"), "L": "4",
    **dict.fromkeys("MN", "5"), "R": "6",
}  # fmt: skip


@native("VARCHAR", "VARCHAR")
def soundex(text: str) -> str:
    letters = [char for char in text.upper() if char.isalpha()]
    if not letters:
        return ""
    for char in letters:
        if char not in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
            raise InvalidError(f"The character is not mapped: {char} (index={text.upper().index(char)})")
    code, last = letters[0], _SOUNDEX.get(letters[0], "")
    for char in letters[1:]:
        if char in "HW":
            continue
        digit = _SOUNDEX.get(char, "")
        if digit and digit != last:
            code += digit
        last = digit
    return code[:4].ljust(4, "0")


@native("VARCHAR", "VARCHAR", "VARCHAR")
def normalize(text: str, form: str) -> str:
    if form not in {"NFC", "NFD", "NFKC", "NFKD"}:
        raise InvalidError("Normalization form must be one of [NFD, NFC, NFKD, NFKC]")
    return unicodedata.normalize(form, text)  # type: ignore[arg-type]


@native("VARCHAR[]", "VARCHAR", "VARCHAR", "BIGINT")
def split_limit(text: str, delimiter: str, limit: int) -> list[str]:
    if limit <= 0:
        raise InvalidError("Limit must be positive")
    if not delimiter:
        raise InvalidError("The delimiter may not be the empty string")
    return text.split(delimiter, limit - 1)


def _entries(text: str, entry: str, key_value: str) -> list[tuple[str, str]]:
    if not entry:
        raise InvalidError("entryDelimiter is empty")
    if not key_value:
        raise InvalidError("keyValueDelimiter is empty")
    if entry == key_value:
        raise InvalidError("entryDelimiter and keyValueDelimiter must not be the same")
    found = []
    for item in text.split(entry):
        if not item:
            continue
        key, mark, value = item.partition(key_value)
        if not mark or key_value in value:
            text = f"Key-value delimiter must appear exactly once in each entry. Bad input: '{item}'"
            raise InvalidError(text)
        found.append((key, value))
    return found


@native("MAP(VARCHAR, VARCHAR)", "VARCHAR", "VARCHAR", "VARCHAR")
def split_to_map(text: str, entry: str, key_value: str) -> list[tuple[str, str]]:
    found = _entries(text, entry, key_value)
    seen: set[str] = set()
    for key, _ in found:
        if key in seen:
            raise InvalidError(f"Duplicate keys ({key}) are not allowed")
        seen.add(key)
    return found


@native("MAP(VARCHAR, VARCHAR[])", "VARCHAR", "VARCHAR", "VARCHAR")
def split_to_multimap(text: str, entry: str, key_value: str) -> list[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for key, value in _entries(text, entry, key_value):
        found.setdefault(key, []).append(value)
    return list(found.items())


@native("BIGINT", "VARCHAR", "VARCHAR", "BIGINT")
def strpos_instance(text: str, part: str, instance: int) -> int:
    if instance == 0:
        raise InvalidError("'instance' must be a positive or negative number.")
    if not part:
        return 1 if instance > 0 else len(text) + 1
    place = -1 if instance > 0 else len(text)
    for _ in range(abs(instance)):
        place = text.find(part, place + 1) if instance > 0 else text.rfind(part, 0, place + len(part) - 1)
        if place < 0:
            return 0
    return place + 1


@native("BOOLEAN", "VARCHAR")
def luhn_check(text: str) -> bool:
    if not text:
        return False
    if re.fullmatch(r"[0-9]+", text) is None:
        raise InvalidError("Input must contain only digits")
    total = 0
    for index, char in enumerate(reversed(text)):
        digit = int(char) * (2 if index % 2 else 1)
        total += digit - 9 if digit > 9 else digit
    return total % 10 == 0


_SPECIFIER = re.compile(r"%(?:(\d+)\$)?([-#+ 0,(<]*)(\d+)?(?:\.(\d+))?([tT]?[a-zA-Z%])")


@native("VARCHAR", "VARCHAR", "VARCHAR[]", "VARCHAR[]")
def format(text: str, values: list[str | None], kinds: list[str]) -> str:
    """Java's String.format over values in Trino's text, each with its base type."""
    place = 0

    def one(match: re.Match[str]) -> str:
        nonlocal place
        index, flags, width, precision, letter = match.groups()
        if letter == "%":
            return "%".rjust(int(width or 0))
        if letter == "n":
            return "\n"
        at = int(index) - 1 if index else place
        place += 0 if index else 1
        if at >= len(values):
            raise InvalidError(f"Invalid format string: {text} (MissingFormatArgumentException: {match[0]})")
        shown = _formatted(values[at], kinds[at], flags, precision, letter, text)
        if width:
            number = letter in "dfeExXogG" and "0" in flags and "-" not in flags
            if number:
                sign = shown[0] if shown[:1] in "+-" and shown else ""
                shown = sign + shown[len(sign) :].rjust(int(width) - len(sign), "0")
            shown = shown.ljust(int(width)) if "-" in flags else shown.rjust(int(width))
        return shown.upper() if letter.isupper() and letter in "SXEGB" else shown

    stray = _SPECIFIER.sub("", text)
    if "%" in stray:
        unknown = stray[stray.index("%") :][:2]
        raise InvalidError(f"Invalid format string: {text} (UnknownFormatConversionException: {unknown})")
    return _SPECIFIER.sub(one, text)


_WHOLE = {"tinyint", "smallint", "integer", "bigint"}
_FRACTIONAL = {"real", "double", "decimal"}


def _formatted(
    value: str | None, kind: str, flags: str, precision: str | None, letter: str, text: str
) -> str:
    lower = letter.lower()
    if lower == "b":
        return "false" if value is None else (value if kind == "boolean" else "true")
    if value is None:
        return "null"
    if lower == "s":
        return value if precision is None else value[: int(precision)]
    if lower in "dxo" and kind in _WHOLE:
        number = int(value)
        if lower != "d":
            bits = {"tinyint": 8, "smallint": 16, "integer": 32}.get(kind, 64)
            return f"{number % (1 << bits):{lower}}"
        shown = f"{abs(number):,}" if "," in flags else str(abs(number))
        return _signed(shown, number < 0, flags)
    if lower in "feg" and kind in _FRACTIONAL:
        amount = decimal.Decimal(value)
        if not amount.is_finite():
            return value
        digits = int(precision) if precision is not None else 6
        if lower == "f":
            shown = _rounded(abs(amount), digits)
            whole, mark, rest = shown.partition(".")
            shown = (f"{int(whole):,}" if "," in flags else whole) + mark + rest
        else:
            shown = f"{abs(amount):.{digits}{lower}}"
            mantissa, _, exponent = shown.partition("e")
            shown = f"{mantissa}e{int(exponent):+03d}" if exponent else shown
        return _signed(shown, amount < 0, flags)
    if lower == "c" and kind in _WHOLE:
        return chr(int(value))
    message = f"Invalid format string: {text} (IllegalFormatConversionException: {letter} != {kind})"
    raise InvalidError(message)


def _signed(shown: str, negative: bool, flags: str) -> str:
    if negative:
        return f"({shown})" if "(" in flags else f"-{shown}"
    return ("+" if "+" in flags else " " if " " in flags else "") + shown


def _rounded(number: decimal.Decimal, digits: int) -> str:
    with decimal.localcontext() as context:
        context.prec = 80
        return str(number.quantize(decimal.Decimal(1).scaleb(-digits), decimal.ROUND_HALF_UP))


_NUMBER_UNITS = [(10**15, "Q"), (10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K")]


@native("VARCHAR", "DOUBLE")
def format_number(value: float) -> str:
    size, sign = abs(value), "-" if value < 0 else ""
    for unit, letter in _NUMBER_UNITS:
        if size >= unit:
            scaled = size / unit
            digits = 2 if scaled < 10 else 1 if scaled < 100 else 0
            shown = _rounded(decimal.Decimal(scaled), digits)
            return sign + (shown.rstrip("0").rstrip(".") if "." in shown else shown) + letter
    digits = 2 if size < 10 else 1 if size < 100 else 0
    shown = _rounded(decimal.Decimal(size), digits)
    return sign + (shown.rstrip("0").rstrip(".") if "." in shown else shown)


_SECONDS = [("week", 604_800), ("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)]


@native("VARCHAR", "DOUBLE")
def human_readable_seconds(value: float) -> str:
    left = int(value + 0.5) if value >= 0 else -int(-value + 0.5)
    left = abs(left)
    pieces = []
    for name, size in _SECONDS:
        count, left = divmod(left, size)
        if count:
            pieces.append(f"{count} {name}{'s' if count != 1 else ''}")
    return ", ".join(pieces) or "0 seconds"


_DATA_UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"]


@native("VARCHAR", "VARCHAR")
def parse_data_size(text: str) -> str:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)([a-zA-Z]+)\s*", text)
    if match is None or match[2] not in _DATA_UNITS:
        raise InvalidError(f"Invalid data size: '{text}'")
    return str(int(decimal.Decimal(match[1]) * 1024 ** _DATA_UNITS.index(match[2])))


_DURATIONS = {
    "ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6, "d": 8.64e7,
}  # fmt: skip


@native("DOUBLE", "VARCHAR")
def parse_duration(text: str) -> float:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*", text)
    if match is None or match[2] not in _DURATIONS:
        raise InvalidError("Invalid duration: " + text)
    return float(match[1]) * _DURATIONS[match[2]]


@native("VARCHAR", "BLOB", "VARCHAR")
def from_utf8_replacing(value: bytes, replacement: str) -> str:
    if len(replacement) > 1:
        raise InvalidError("Replacement character string must empty or a single character")
    return value.decode("utf-8", errors="replace").replace("\ufffd", replacement)


@native("VARCHAR", "BIGINT", "BIGINT")
def to_base(value: int, radix: int) -> str:
    _check_radix(radix)
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    left, shown = abs(value), ""
    while True:
        left, digit = divmod(left, radix)
        shown = digits[digit] + shown
        if not left:
            return ("-" if value < 0 else "") + shown


@native("BIGINT", "VARCHAR", "BIGINT")
def from_base(text: str, radix: int) -> int:
    _check_radix(radix)
    try:
        value = int(text, radix) if re.fullmatch(r"[+-]?[0-9a-zA-Z]+", text) else None
    except ValueError:
        value = None
    if value is None or not -(2**63) <= value < 2**63:
        raise InvalidError(f"Not a valid base-{radix} number: {text}")
    return value


def _check_radix(radix: int) -> None:
    if not 2 <= radix <= 36:
        raise InvalidError("Radix must be between 2 and 36")
