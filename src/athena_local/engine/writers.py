"""What goes into the files of Hive tables, one form a SerDe: the columns as DuckDB must select them, and how COPY is told.

Parquet takes values as they are. LazySimpleSerDe has no quotes: nested values are joined by the separators of their level,
text is escaped only where the table has an escape character. JSON has one object a line, binary as base64. OpenCSVSerde
quotes every field. Refused by name: formats that this engine cannot write (ORC, Avro) and codecs it does not have.
"""

from __future__ import annotations

from dataclasses import dataclass

from athena_local.engine.formats import Format
from athena_local.engine.text import literal
from athena_local.errors import QueryError
from athena_local.types import AthenaType, Column, quote

PARQUET_CODECS = {
    "snappy": "snappy", "gzip": "gzip", "zstd": "zstd", "lz4": "lz4_raw", "none": "uncompressed",
    "uncompressed": "uncompressed",
}  # fmt: skip
TEXT_CODECS = {"gzip": "gzip", "zstd": "zstd", "none": "none", "uncompressed": "none"}
_UNWRITTEN = {
    "ORC": "PARQUET",
    "AVRO": "PARQUET or JSON",
    "ION": "JSON",
    "RCBINARY": "PARQUET",
    "RCTEXT": "TEXTFILE",
    "SEQUENCEFILE": "TEXTFILE",
    "CSV": "",
}
_SUFFIXES = {"gzip": ".gz", "zstd": ".zst"}
WRITABLE = {"parquet", "lazy", "json", "hive_json", "opencsv"}


@dataclass(frozen=True)
class Writer:
    """How files are written. `codec` is DuckDB's word for it; `level` is of zstd alone."""

    form: Format
    codec: str
    level: int | None = None

    @property
    def suffix(self) -> str:
        """What a file's name ends in, by which readers know its compression."""
        return "" if self.form.kind == "parquet" else _SUFFIXES.get(self.codec, "")

    def select(self, columns: list[Column]) -> list[str]:
        """Return the data columns as the file holds them."""
        if self.form.kind == "parquet":
            return [quote(column.name) for column in columns]
        value = {"lazy": self._lazy, "opencsv": _open_csv}.get(self.form.kind, _json)
        keys = {name: key for key, name in self.form.key_names}
        return [
            f"{value(column.type, quote(column.name))} AS {quote(keys.get(column.name, column.name))}"
            for column in columns
        ]

    def options(self) -> list[str]:
        """Return COPY's options."""
        if self.form.kind == "parquet":
            level = [f"compression_level {self.level}"] if self.level is not None else []
            return ["format parquet", f"compression {self.codec}", *level]
        if self.form.kind in {"json", "hive_json"}:
            return ["format json", f"compression {self.codec}"]
        if self.form.kind == "opencsv":
            quoting = f"quote {literal(self.form.quote)}, escape {literal(self.form.quote)}, force_quote *"
            delimiter = f"delim {literal(self.form.separators[0])}"
            return ["format csv", "header false", delimiter, quoting, f"compression {self.codec}"]
        return [
            "format csv", "header false", f"delim {literal(self.form.separators[0])}", "quote ''", "escape ''",
            f"nullstr {literal(self.form.null)}", f"compression {self.codec}",
        ]  # fmt: skip

    def _lazy(self, kind: AthenaType, value: str) -> str:
        return self._lazy_value(kind, value, list(self.form.separators), 1)

    def _lazy_value(self, kind: AthenaType, value: str, separators: list[str], level: int) -> str:
        """Return a value's text; `level` is the separator that its parts are joined by."""
        if kind.base in {"array", "map", "row"} and level >= len(separators):
            raise QueryError("NOT_SUPPORTED", f"Type {kind.trino()} is nested too deeply for a text file")
        if kind.base == "array":
            item = self._part(kind.element, f"_i{level}", separators, level + 1)
            parts = f"list_transform({value}, LAMBDA _i{level} : {item})"
            return f"array_to_string({parts}, {literal(separators[level])})"
        if kind.base == "map":
            key = self._part(kind.key, f"_i{level}.key", separators, level + 2)
            item = self._part(kind.value, f"_i{level}.value", separators, level + 2)
            pair = f"{key} || {literal(separators[level + 1])} || {item}"
            parts = f"list_transform(map_entries({value}), LAMBDA _i{level} : {pair})"
            return f"array_to_string({parts}, {literal(separators[level])})"
        if kind.base == "row":
            names = [name or f"field{index}" for index, (name, _) in enumerate(kind.fields)]
            fields = [
                self._part(field, f"({value}).{quote(name)}", separators, level + 1)
                for name, (_, field) in zip(names, kind.fields, strict=True)
            ]
            joined = f" || {literal(separators[level])} || ".join(fields)
            return f"CASE WHEN {value} IS NOT NULL THEN {joined} END"
        if kind.base == "varbinary":
            return f"to_base64({value})"
        if kind.base in {"varchar", "char"} and self.form.escape:
            return self._escaped(value, separators[:level])
        return value if kind.base in {"varchar", "char"} else f"CAST({value} AS VARCHAR)"

    def _part(self, kind: AthenaType, value: str, separators: list[str], level: int) -> str:
        text = self._lazy_value(kind, value, separators, level)
        return f"coalesce({text}, {literal(self.form.null)})"

    def _escaped(self, value: str, separators: list[str]) -> str:
        escape = str(self.form.escape)
        for special in [escape, *separators]:
            value = f"replace({value}, {literal(special)}, {literal(escape + special)})"
        return value


def _json(kind: AthenaType, value: str) -> str:
    return f"to_base64({value})" if kind.base == "varbinary" else value


def _open_csv(kind: AthenaType, value: str) -> str:
    """The SerDe writes text; it has no NULL, and days and milliseconds since 1970 for dates and timestamps."""
    if kind.base == "date":
        value = f"({value} - DATE '1970-01-01')"
    elif kind.base == "timestamp":
        value = f"epoch_ms({value})"
    return f"coalesce(CAST({value} AS VARCHAR), '')"


def refuse_unwritten(name: str) -> None:
    """Refuse a format that is Athena's, but that this server cannot write."""
    instead = _UNWRITTEN.get(name.upper())
    if instead:
        text = f"{name.upper()} files cannot be written by this server; use format = {_listed(instead)} here"
        raise QueryError("NOT_SUPPORTED", text)


def _listed(names: str) -> str:
    return " or ".join(f"'{name}'" for name in names.split(" or "))


def codec(kind: str, name: str) -> str:
    """Return DuckDB's word for Athena's codec name."""
    known = PARQUET_CODECS if kind == "parquet" else TEXT_CODECS
    found = known.get(name.lower())
    if found is None:
        usable = ", ".join(sorted(word.upper() for word in known))
        text = f"Compression {name.upper()} is not supported for this format here. Supported: {usable}"
        raise QueryError("INVALID_TABLE_PROPERTY", text, position=(1, 1))
    return found
