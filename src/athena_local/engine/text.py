"""CSV and JSON files as Hive's SerDes read them.

LazySimpleSerDe knows no quotes: a line is split at the delimiter, `\\N` is NULL, and a value that does not parse as its type
is NULL and not an error; missing trailing fields are NULL, extra ones are ignored. OpenCSVSerde knows quotes and fails the
query on a value that does not parse. An empty line is a row: its first column is empty, the rest NULL. Names in JSON are
found in any case, unless the table says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from athena_local.engine import lines
from athena_local.engine.errors import raising
from athena_local.engine.formats import Format
from athena_local.engine.spool import cache_of
from athena_local.errors import QueryError
from athena_local.objects import S3Object
from athena_local.types import AthenaType, Column, quote

if TYPE_CHECKING:
    from athena_local.engine.session import Session

# DuckDB takes '1.5' and '1e3' for integers, with rounding; the SerDe does not.
_NOT_INTEGER = ".eE_"


def literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


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
    def longest_line(self) -> int:
        return max(item.longest_line for item in self.facts)


def local_paths(session: Session, form: Format, items: list[S3Object]) -> list[Path]:
    """Return the local copies, fetched if they are not there, and held until the session closes."""
    cache = cache_of(session.context.config.spool_dir / "cache")
    prepare = lines.prepare_json if form.kind == "json" else lines.prepare_csv
    paths = cache.fetch(session.context.objects, items, prepare)
    session.on_close(lambda: cache.release(paths))
    for path, item in zip(paths, items, strict=True):
        session.names[str(path)] = item.path
    return paths


class Reader:
    """Gives the select over some of the objects, by their index; `paths` are the files it really reads."""

    def __init__(self, session: Session, form: Format, data: list[Column], items: list[S3Object]) -> None:
        self._form, self._data = form, data
        self.paths = local_paths(session, form, items)
        cache = cache_of(session.context.config.spool_dir / "cache")
        self._facts = [cache.facts(path) for path in self.paths]
        if form.kind == "json":
            self.paths = _with_known_keys(session, form, data, self.paths, self._facts)

    def __call__(self, indexes: list[int], file_name: str | None = None) -> str:
        paths = [str(self.paths[index]) for index in indexes]
        sources = Sources(paths, [self._facts[index] for index in indexes])
        read = {"lazy": _lazy, "opencsv": _open_csv, "json": _json}[self._form.kind]
        return read(self._form, self._data, sources, file_name)


def reader(session: Session, form: Format, data: list[Column], items: list[S3Object]) -> Reader:
    """Fetch the objects and return what reads them; bytes are counted here, in full."""
    found = Reader(session, form, data, items)
    session.context.statistics.add_scanned(sum(item.size for item in items))
    return found


def _csv(form: Format, data: list[Column], sources: Sources, quoting: str, file_name: str | None) -> str:
    names = ", ".join(f"{literal(item.name)}: 'VARCHAR'" for item in data)
    named = f", filename = {literal(file_name)}" if file_name else ""
    long = sources.longest_line > lines.USUAL_LINE_BYTES
    size = f", buffer_size = {2 * sources.longest_line + 4}, parallel = false" if long else ""
    return (
        f"read_csv({sources.files()}, columns = {{{names}}}, auto_detect = false, header = false, skip = {form.skip_lines},"
        f" delim = {literal(form.delimiter)}, {quoting}, null_padding = true, strict_mode = false,"
        f" max_line_size = {sources.longest_line + 2}{size}{named})"
    )


def _lazy(form: Format, data: list[Column], sources: Sources, file_name: str | None) -> str:
    quoting = f"quote = '', escape = '', nullstr = {literal(form.null)}"
    raws = _raw_values(form, data, sources)
    selected = [
        f"{_lazy_value(item.type, raw, form)} AS {quote(item.name)}"
        for item, raw in zip(data, raws, strict=True)
    ]
    if file_name:
        selected.append(file_name)
    return f"SELECT {', '.join(selected)} FROM {_csv(form, data, sources, quoting, file_name)}"


def _raw_values(form: Format, data: list[Column], sources: Sources) -> list[str]:
    """Return each column's text; that of an empty line, which is marked, is its first column's."""
    names = [quote(item.name) for item in data]
    if sources.empty_lines:
        empty = "NULL" if form.null == "" else "''"
        names[0] = f"(CASE {names[0]} WHEN chr(0) THEN {empty} ELSE {names[0]} END)"
    return names


def _lazy_value(kind: AthenaType, name: str, form: Format) -> str:
    if kind.base == "varchar":
        return name if kind.precision is None else f"left({name}, {kind.precision})"
    if kind.base == "char":
        return f"rtrim(left({name}, {kind.precision}))"
    if kind.base == "boolean":
        return f"CASE lower({name}) WHEN 'true' THEN true WHEN 'false' THEN false END"
    if kind.is_integer:
        guards = " OR ".join(f"contains({name}, '{char}')" for char in _NOT_INTEGER)
        return f"CASE WHEN NOT ({guards}) THEN TRY_CAST({name} AS {kind.duckdb()}) END"
    if kind.base == "varbinary":
        return f"from_base64({name})"
    if kind.base == "array":
        item = _lazy_value(kind.element, "_item", form)
        split = f"string_split({name}, {literal(form.collection)})"
        return f"list_transform({split}, LAMBDA _item : {item})"
    if kind.base == "map":
        key = _lazy_value(kind.key, f"split_part(_item, {literal(form.map_key)}, 1)", form)
        value = _lazy_value(kind.value, f"split_part(_item, {literal(form.map_key)}, 2)", form)
        pairs = f"list_transform(string_split({name}, {literal(form.collection)}), LAMBDA _item : row({key}, {value}))"
        return f"map_from_entries({pairs})"
    if kind.base == "row":
        fields = ", ".join(
            f"{quote(field)} := {_lazy_value(item, f'split_part({name}, {literal(form.collection)}, {index})', form)}"
            for index, (field, item) in enumerate(kind.fields, start=1)
        )
        return f"CASE WHEN {name} IS NOT NULL THEN struct_pack({fields}) END"
    return f"TRY_CAST({name} AS {kind.duckdb()})"


def _open_csv(form: Format, data: list[Column], sources: Sources, file_name: str | None) -> str:
    """A doubled quote inside quotes is a quote, unless an escape character of the table's own says otherwise."""
    escape = form.escape if form.escape is not None else form.quote
    quoting = f"quote = {literal(form.quote)}, escape = {literal(escape)}, nullstr = []"
    quoting = quoting.replace(", nullstr = []", ", nullstr = '\x00'")
    raws = _raw_values(form, data, sources)
    selected = [
        f"{_open_csv_value(item, raw, index)} AS {quote(item.name)}"
        for index, (item, raw) in enumerate(zip(data, raws, strict=True))
    ]
    if file_name:
        selected.append(file_name)
    return f"SELECT {', '.join(selected)} FROM {_csv(form, data, sources, quoting, file_name)}"


def _open_csv_value(item: Column, name: str, index: int) -> str:
    kind = item.type
    if kind.base in {"varchar", "char"}:
        return name
    cast = f"TRY_CAST({name} AS {kind.duckdb()})"
    if kind.base == "date":  # days since 1970, as the SerDe has it
        cast = f"(DATE '1970-01-01' + TRY_CAST({name} AS INTEGER))"
    elif kind.base == "timestamp":  # milliseconds since 1970
        cast = f"make_timestamp(TRY_CAST({name} AS BIGINT) * 1000)"
    message = raising(
        "HIVE_BAD_DATA", f"Error parsing field value '@@' for field {index}: For input string: \"@@\""
    )
    text = literal(message).replace("@@", f"' || {name} || '")
    return f"CASE WHEN {name} IS NULL OR {name} = '' THEN NULL WHEN {cast} IS NULL THEN error({text}) ELSE {cast} END"


def _json(form: Format, data: list[Column], sources: Sources, file_name: str | None) -> str:
    for item in data:
        if item.type.base == "unknown":
            raise QueryError("HIVE_INVALID_METADATA", f"Column {item.name} has no type")
    names = ", ".join(f"{literal(item.name)}: {literal(item.type.duckdb())}" for item in data)
    named = f", filename = {literal(file_name)}" if file_name else ""
    errors = ", ignore_errors = true" if form.ignore_malformed else ""
    selected = ", ".join([quote(item.name) for item in data] + ([file_name] if file_name else []))
    return (
        f"SELECT {selected} FROM read_json({sources.files()}, columns = {{{names}}},"
        f" format = 'newline_delimited', auto_detect = false{errors}{named})"
    )


def _with_known_keys(
    session: Session, form: Format, data: list[Column], paths: list[Path], facts: list[lines.Facts]
) -> list[Path]:
    """Return the files, those with keys spelled otherwise than the table's columns as copies of this query's own."""
    names = dict(form.key_names)
    if form.ignore_case:
        for name in _field_names(data):
            names.setdefault(name.lower(), name)
    found = []
    for index, (path, fact) in enumerate(zip(paths, facts, strict=True)):
        if form.key_names or (form.ignore_case and fact.upper_keys):
            copy = session.spool / f"{index}-{path.name}"
            lines.rename_keys(path, copy, names)
            session.names[str(copy)] = session.names[str(path)]
            found.append(copy)
        else:
            found.append(path)
    return found


def _field_names(data: list[Column]) -> Iterator[str]:
    def inside(kind: AthenaType) -> Iterator[str]:
        if kind.base == "array":
            yield from inside(kind.element)
        elif kind.base == "map":
            yield from inside(kind.value)
        elif kind.base == "row":
            for name, item in kind.fields:
                yield name
                yield from inside(item)

    for column in data:
        yield column.name
        yield from inside(column.type)
