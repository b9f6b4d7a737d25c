"""How a Hive table's files are told apart and spelled: SerDe, separators, header lines, patterns.

A SerDe that Athena has and this server has no reader for is NOT_SUPPORTED, with what to use instead; one that Athena has not
either is refused by Athena's own words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from athena_local.errors import QueryError

Record = dict[str, Any]

LAZY_SIMPLE = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
OPEN_CSV = "org.apache.hadoop.hive.serde2.OpenCSVSerde"
OPENX_JSON = "org.openx.data.jsonserde.JsonSerDe"
HIVE_JSON = "org.apache.hive.hcatalog.data.JsonSerDe"
PARQUET = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
REGEX = "org.apache.hadoop.hive.serde2.RegexSerDe"

_HIVE = "org.apache.hadoop.hive.ql"
_TEXT_INPUT = "org.apache.hadoop.mapred.TextInputFormat"
_TEXT_OUTPUT = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
_JSON_OUTPUT = "org.apache.hadoop.hive.ql.io.IgnoreKeyTextOutputFormat"
_PARQUET_INPUT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
_PARQUET_OUTPUT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"

# STORED AS / CTAS `format` -> (SerDe, input format, output format)
STORED_AS = {
    "TEXTFILE": (LAZY_SIMPLE, _TEXT_INPUT, _TEXT_OUTPUT),
    "PARQUET": (PARQUET, _PARQUET_INPUT, _PARQUET_OUTPUT),
    "JSON": (OPENX_JSON, _TEXT_INPUT, _TEXT_OUTPUT),
    "ORC": (f"{_HIVE}.io.orc.OrcSerde", f"{_HIVE}.io.orc.OrcInputFormat", f"{_HIVE}.io.orc.OrcOutputFormat"),
    "AVRO": (
        "org.apache.hadoop.hive.serde2.avro.AvroSerDe",
        f"{_HIVE}.io.avro.AvroContainerInputFormat",
        f"{_HIVE}.io.avro.AvroContainerOutputFormat",
    ),
    "RCFILE": (
        "org.apache.hadoop.hive.serde2.columnar.LazyBinaryColumnarSerDe",
        f"{_HIVE}.io.RCFileInputFormat",
        f"{_HIVE}.io.RCFileOutputFormat",
    ),
    "SEQUENCEFILE": (
        LAZY_SIMPLE,
        "org.apache.hadoop.mapred.SequenceFileInputFormat",
        "org.apache.hadoop.mapred.SequenceFileOutputFormat",
    ),
    "ION": (
        "com.amazon.ionhiveserde.IonHiveSerDe",
        "com.amazon.ionhiveserde.formats.IonInputFormat",
        "com.amazon.ionhiveserde.formats.IonOutputFormat",
    ),
}
DEFAULT_DELIMITER = "\x01"
# One a level of nesting: fields, items, map keys, then items of items … (Hive's first eight)
SEPARATORS = ("\x01", "\x02", "\x03", "\x04", "\x05", "\x06", "\x07", "\x08")
_KINDS = {
    LAZY_SIMPLE.lower(): "lazy",
    OPEN_CSV.lower(): "opencsv",
    OPENX_JSON.lower(): "json",
    HIVE_JSON.lower(): "hive_json",
    "org.apache.hadoop.hive.serde2.jsonserde": "hive_json",
    PARQUET.lower(): "parquet",
    "parquet.hive.serde.parquethiveserde": "parquet",
    REGEX.lower(): "regex",
    "org.apache.hadoop.hive.contrib.serde2.regexserde": "regex",
}
# what Athena reads and this server does not: a word of the SerDe or format -> what to use instead
_UNREADABLE = {
    "orc": "Parquet (STORED AS PARQUET)",
    "avro": "Parquet (STORED AS PARQUET) or JSON",
    "grok": REGEX,
    "ion": f"JSON ({OPENX_JSON})",
    "cloudtrail": f"JSON ({HIVE_JSON})",
    "rcfile": "Parquet (STORED AS PARQUET)",
    "columnar": "Parquet (STORED AS PARQUET)",
    "sequencefile": "Parquet (STORED AS PARQUET)",
}


@dataclass(frozen=True)
class Format:
    """`kind`: lazy, opencsv, json (OpenX), hive_json, regex or parquet."""

    kind: str
    separators: tuple[str, ...] = SEPARATORS
    quote: str = '"'
    escape: str | None = None
    null: str = "\\N"
    skip_lines: int = 0
    skip_last_lines: int = 0
    timestamp_formats: tuple[str, ...] = ()  # Joda's patterns, or `millis`
    last_takes_rest: bool = False  # lazy: the last column has whatever is left of the line
    ignore_case: bool = True  # JSON: keys in any case
    dots_in_keys: bool = False  # JSON: a key `a.b` is the column a_b
    key_names: tuple[tuple[str, str], ...] = ()  # JSON: (key in small letters, column) where they differ
    ignore_malformed: bool = False  # JSON: a row of NULLs instead of an error
    pattern: str = ""  # regex
    null_for_invalid: bool = False  # opencsv: NULL instead of an error
    by_index: bool = False  # parquet: columns by place, not by name

    @property
    def delimiter(self) -> str:
        return self.separators[0]

    @property
    def collection(self) -> str:
        return self.separators[1]

    @property
    def map_key(self) -> str:
        return self.separators[2]


def stored_as(name: str) -> tuple[str, str, str]:
    """Return SerDe, input format and output format."""
    found = STORED_AS.get(name.upper())
    if found is None:
        text = f"Unrecognized file format in STORED AS clause: '{name}'"
        raise QueryError("FAILED", f"SemanticException [Error 10055]: {text}")
    return found


def files_of(serde: str) -> tuple[str, str]:
    """Return input and output format of a table whose DDL names the SerDe alone."""
    kind = _KINDS.get(serde.lower())
    if kind == "parquet":
        return _PARQUET_INPUT, _PARQUET_OUTPUT
    if kind in {"json", "hive_json"}:
        return _TEXT_INPUT, _JSON_OUTPUT
    return _TEXT_INPUT, _TEXT_OUTPUT


def check_known(serde: str) -> None:
    """Refuse a SerDe that Athena has not, by Hive's words; one that only this server cannot read is no matter yet."""
    if serde.lower() not in _KINDS and not any(word in serde.lower() for word in _UNREADABLE):
        text = f"Cannot validate serde: {serde}"
        raise QueryError(
            "FAILED", f"Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. {text}"
        )


def _unreadable(name: str, shown: str) -> QueryError:
    instead = next((use for word, use in _UNREADABLE.items() if word in name.lower()), None)
    advice = f"; use {instead} instead" if instead else ""
    return QueryError("NOT_SUPPORTED", f"{shown} is not supported by this server{advice}")


def _character(value: str | None, default: str) -> str:
    """Return a separator: Hive writes it as itself or as its code, '1' is \\x01."""
    if not value:
        return default
    return chr(int(value)) if value.isdigit() and int(value) < 128 else value[0]


def format_of(table: Record) -> Format:
    """Return how a table's data files are to be read."""
    storage = table.get("StorageDescriptor") or {}
    serde_info = storage.get("SerdeInfo") or {}
    serde = str(serde_info.get("SerializationLibrary") or "")
    options = {key.lower(): str(value) for key, value in (serde_info.get("Parameters") or {}).items()}
    parameters = {str(key).lower(): str(value) for key, value in (table.get("Parameters") or {}).items()}
    input_format = str(storage.get("InputFormat") or "")
    if "SequenceFile" in input_format:
        raise _unreadable("sequencefile", "File format SEQUENCEFILE")
    kind = _kind(serde, input_format)
    both = {**options, **{key: value for key, value in parameters.items() if key not in options}}
    if kind == "parquet":
        return Format(kind, by_index=_is_true(both.get("parquet.column.index.access")))
    skip = _count(parameters.get("skip.header.line.count") or options.get("skip.header.line.count"))
    last = _count(parameters.get("skip.footer.line.count") or options.get("skip.footer.line.count"))
    formats = _timestamp_formats(both.get("timestamp.formats"))
    if kind == "opencsv":
        return Format(
            kind,
            (_character(options.get("separatorchar"), ","), *SEPARATORS[1:]),
            _character(options.get("quotechar"), '"'),
            _character(options.get("escapechar"), "\\"),
            skip_lines=skip,
            skip_last_lines=last,
            null_for_invalid=_is_true(parameters.get("use.null.for.invalid.data")),
        )
    if kind in {"json", "hive_json"}:
        mapped = {name[8:]: key.lower() for name, key in options.items() if name.startswith("mapping.")}
        return Format(
            kind,
            skip_lines=skip,
            skip_last_lines=last,
            timestamp_formats=formats,
            ignore_case=kind == "hive_json" or options.get("case.insensitive", "true").lower() != "false",
            dots_in_keys=_is_true(options.get("dots.in.keys")),
            key_names=tuple((key, name) for name, key in mapped.items()),
            ignore_malformed=_is_true(options.get("ignore.malformed.json")),
        )
    if kind == "regex":
        pattern = options.get("input.regex")
        if pattern is None:
            text = 'This table does not have serde property "input.regex"!'
            raise QueryError("HIVE_INVALID_METADATA", text)
        if _is_true(options.get("input.regex.case.insensitive")):
            pattern = f"(?i){pattern}"
        return Format(kind, skip_lines=skip, skip_last_lines=last, pattern=pattern)
    separators = (
        _character(options.get("field.delim") or options.get("serialization.format"), SEPARATORS[0]),
        _character(options.get("collection.delim") or options.get("colelction.delim"), SEPARATORS[1]),
        _character(options.get("mapkey.delim"), SEPARATORS[2]),
        *SEPARATORS[3:],
    )
    return Format(
        kind,
        separators,
        escape=_character(options["escape.delim"], "\\") if "escape.delim" in options else None,
        null=both.get("serialization.null.format", "\\N"),
        skip_lines=skip,
        skip_last_lines=last,
        timestamp_formats=formats,
        last_takes_rest=_is_true(options.get("serialization.last.column.takes.rest")),
    )


def _kind(serde: str, input_format: str) -> str:
    if not serde:
        return "parquet" if "parquet" in input_format.lower() else "lazy"
    found = _KINDS.get(serde.lower())
    if found is not None:
        return found
    if any(word in serde.lower() for word in _UNREADABLE):
        raise _unreadable(serde, f"SerDe {serde}")
    raise QueryError("HIVE_INVALID_METADATA", f"SerDe library not found: {serde}")


def _is_true(value: str | None) -> bool:
    return value is not None and value.strip().lower() == "true"


def _count(value: str | None) -> int:
    return int(value) if value is not None and value.strip().isdigit() else 0


def _timestamp_formats(value: str | None) -> tuple[str, ...]:
    """Split at commas; a backslash makes the next comma or backslash part of a pattern."""
    found: list[str] = []
    current = ""
    characters = iter(value or "")
    for character in characters:
        if character == "\\":
            current += next(characters, "")
        elif character == ",":
            found.append(current)
            current = ""
        else:
            current += character
    return tuple(item for item in [*found, current] if item)
