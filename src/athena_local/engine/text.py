"""CSV, JSON and other text files as Hive's SerDes read them: the select over an object's rows.

LazySimpleSerDe knows no quotes: a line is split at the delimiter, `\\N` is NULL, and a value that does not parse as its type
is NULL and not an error; missing trailing fields are NULL, extra ones are ignored. OpenCSVSerde knows quotes and fails the
query on a value that does not parse. An empty line is a row: its first column is empty, the rest NULL; all are NULL to
OpenCSVSerde. Names in JSON are found in any case, unless the table says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from athena_local.engine import json_values, lazy, lines, open_csv, values
from athena_local.engine.formats import Format
from athena_local.engine.prepare import Preparation
from athena_local.engine.spool import cache_of
from athena_local.engine.values import literal
from athena_local.errors import QueryError
from athena_local.objects import S3Object
from athena_local.types import AthenaType, Column, quote

if TYPE_CHECKING:
    from athena_local.engine.session import Session

__all__ = ["Reader", "literal", "reader"]


@dataclass(frozen=True)
class Sources:
    """Local files to be read together, and what reading them must reckon with."""

    paths: list[str]
    facts: list[lines.Facts]

    def files(self) -> str:
        return "[" + ", ".join(literal(path) for path in self.paths) + "]"

    @property
    def empty_lines(self) -> bool:
        return any(item.empty_lines for item in self.facts)

    @property
    def escaped(self) -> str:
        return "".join(sorted({character for item in self.facts for character in item.escaped}))

    @property
    def marked(self) -> bool:
        return any(item.marked for item in self.facts)

    @property
    def longest_line(self) -> int:
        return max(item.longest_line for item in self.facts)


class Reader:
    """Gives the select over some of the objects, by their index; `paths` are the files it really reads."""

    def __init__(self, session: Session, form: Format, data: list[Column], items: list[S3Object]) -> None:
        self._form, self._data = form, data
        cache = cache_of(session.context.config.spool_dir / "cache")
        self.paths: list[Path] = cache.fetch(session.context.objects, items, Preparation(form, tuple(data)))
        session.on_close(lambda: cache.release(self.paths))
        for path, item in zip(self.paths, items, strict=True):
            session.names[str(path)] = item.path
        self._facts = [cache.facts(path) for path in self.paths]

    def __call__(self, indexes: list[int], file_name: str | None = None) -> str:
        selects = []
        for decoded in (False, True):
            chosen = [index for index in indexes if self._facts[index].decoded is decoded]
            if not chosen:
                continue
            sources = Sources(
                [str(self.paths[index]) for index in chosen], [self._facts[index] for index in chosen]
            )
            selects.append(self._select(sources, decoded, file_name))
        return " UNION ALL ".join(selects)

    def _select(self, sources: Sources, decoded: bool, file_name: str | None) -> str:
        form, data = self._form, self._data
        if form.kind in {"json", "hive_json"}:
            return _json(form, data, sources, file_name)
        if decoded:
            texts = [f"c{index}" for index in range(len(data))]
            source = f"read_parquet({sources.files()}, hive_partitioning = false{', filename = true' if file_name else ''})"
            named = [f"filename AS {file_name}"] if file_name else []
        else:
            texts = _raw_values(form, data, sources)
            source = _csv(form, data, sources, file_name)
            named = [file_name] if file_name else []
        selected = [
            f"{_value(form, column, text, index, sources.escaped)} AS {quote(column.name)}"
            for index, (column, text) in enumerate(zip(data, texts, strict=True))
        ]
        return f"SELECT {', '.join([*selected, *named])} FROM {source}"


def reader(session: Session, form: Format, data: list[Column], items: list[S3Object]) -> Reader:
    """Fetch the objects and return what reads them; bytes are counted here, in full."""
    found = Reader(session, form, data, items)
    session.context.statistics.add_scanned(sum(item.size for item in items))
    return found


def _csv(form: Format, data: list[Column], sources: Sources, file_name: str | None) -> str:
    if form.kind == "opencsv":
        quoting = f"quote = {literal(form.quote)}, escape = {literal(form.quote)}, nullstr = '\x00'"
    else:
        null = lines.with_escapes(form.null, form.escape) if sources.escaped else form.null
        quoting = f"quote = '', escape = '', nullstr = {literal(null)}"
    names = ", ".join(f"{literal(item.name)}: 'VARCHAR'" for item in data)
    named = f", filename = {literal(file_name)}" if file_name else ""
    long = sources.longest_line > lines.USUAL_LINE_BYTES
    size = f", buffer_size = {2 * sources.longest_line + 4}, parallel = false" if long else ""
    return (
        f"read_csv({sources.files()}, columns = {{{names}}}, auto_detect = false, header = false, skip = {form.skip_lines},"
        f" delim = {literal(form.delimiter)}, {quoting}, null_padding = true, strict_mode = false,"
        f" max_line_size = {sources.longest_line + 2}{size}{named})"
    )


def _raw_values(form: Format, data: list[Column], sources: Sources) -> list[str]:
    """Return each column's text; that of an empty line, which is marked, is its first column's."""
    names = [quote(item.name) for item in data]
    if sources.empty_lines:
        empty = "NULL" if form.null == "" or form.kind == "opencsv" else "''"
        names[0] = f"(CASE {names[0]} WHEN chr(0) THEN {empty} ELSE {names[0]} END)"
    return names


def _value(form: Format, column: Column, text: str, index: int, escaped: str) -> str:
    if form.kind == "opencsv":
        return open_csv.value(column, text, index, form)
    if form.kind == "regex":
        return _regex_value(column.type, text)
    return lazy.value(column.type, text, form, escaped)


def _regex_value(kind: AthenaType, text: str) -> str:
    """RegexSerDe: a group that does not parse as its column's type is NULL."""
    if kind.base in {"varchar", "char"}:
        return values.shortened(text, kind)
    if kind.base == "boolean":
        return f"lower({text}) = 'true'"
    if kind.is_integer:
        return f"CASE WHEN {values.only(text, values.DIGITS)} THEN TRY_CAST({text} AS {kind.duckdb()}) END"
    simple = {
        "real": lambda: values.floating(text, kind),
        "double": lambda: values.floating(text, kind),
        "decimal": lambda: values.decimal(text, kind),
        "date": lambda: values.date(text),
        "timestamp": lambda: values.timestamp(text),
    }
    if kind.base not in simple:
        raise QueryError("NOT_SUPPORTED", f"Unsupported column type for RegexSerDe: {kind.trino()}")
    return simple[kind.base]()


def _json(form: Format, data: list[Column], sources: Sources, file_name: str | None) -> str:
    for item in data:
        if item.type.base == "unknown":
            raise QueryError("HIVE_INVALID_METADATA", f"Column {item.name} has no type")
    plain = {item.name for item in data if json_values.is_plain(item.type, form)}
    names = ", ".join(
        f"{literal(item.name)}: '{'VARCHAR' if item.name in plain else 'JSON'}'" for item in data
    )
    named = f", filename = {literal(file_name)}" if file_name else ""
    errors = ", ignore_errors = true" if form.ignore_malformed else ""
    selected = []
    for item in data:
        name = quote(item.name)
        if item.name in plain:
            value = json_values.plain(item.type, name, form, sources.marked)
        else:
            value = json_values.value(item.type, name, form)
        selected.append(f"{value} AS {name}")
    selected += [file_name] if file_name else []
    return (
        f"SELECT {', '.join(selected)} FROM read_json({sources.files()}, columns = {{{names}}},"
        f" format = 'newline_delimited', auto_detect = false{errors}{named})"
    )
