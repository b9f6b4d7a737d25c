"""CSV and JSON files as Hive's SerDes read them.

LazySimpleSerDe knows no quotes: a line is split at the delimiter, `\\N` is NULL, and a value that does not parse as its type
is NULL and not an error; missing trailing fields are NULL, extra ones are ignored. OpenCSVSerde knows quotes and fails the
query on a value that does not parse. Lines that are empty are no rows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from athena_local.engine.errors import raising
from athena_local.engine.formats import Format
from athena_local.engine.spool import cache_of
from athena_local.errors import QueryError
from athena_local.objects import S3Object
from athena_local.types import AthenaType, Column, quote

if TYPE_CHECKING:
    from athena_local.engine.session import Session

MAX_LINE_BYTES = 2 * 1024**2  # DuckDB takes 16 times this as a buffer for each thread
# DuckDB takes '1.5' and '1e3' for integers, with rounding; the SerDe does not.
_NOT_INTEGER = ".eE_"


def literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def local_paths(session: Session, items: list[S3Object]) -> list[Path]:
    """Return the local copies, fetched if they are not there, and held until the session closes."""
    cache = cache_of(session.context.config.spool_dir / "cache")
    paths = cache.fetch(session.context.objects, items)
    session.on_close(lambda: cache.release(paths))
    return paths


def reader(session: Session, form: Format, data: list[Column], items: list[S3Object]) -> Callable[..., str]:
    """Fetch the objects and return what gives the select over some of them (by index); bytes are counted here, in full."""
    paths = local_paths(session, items)
    session.context.statistics.add_scanned(sum(item.size for item in items))
    read = {"lazy": _lazy, "opencsv": _open_csv, "json": _json}[form.kind]

    def select(indexes: list[int], file_name: str | None = None) -> str:
        return read(form, data, [str(paths[index]) for index in indexes], file_name)

    return select


def _files(paths: list[str]) -> str:
    return "[" + ", ".join(literal(path) for path in paths) + "]"


def _csv(form: Format, data: list[Column], paths: list[str], quoting: str, file_name: str | None) -> str:
    names = ", ".join(f"{literal(item.name)}: 'VARCHAR'" for item in data)
    named = f", filename = {literal(file_name)}" if file_name else ""
    return (
        f"read_csv({_files(paths)}, columns = {{{names}}}, auto_detect = false, header = false, skip = {form.skip_lines},"
        f" delim = {literal(form.delimiter)}, {quoting}, null_padding = true, strict_mode = false, ignore_errors = true,"
        f" max_line_size = {MAX_LINE_BYTES}{named})"
    )


def _lazy(form: Format, data: list[Column], paths: list[str], file_name: str | None) -> str:
    quoting = f"quote = '', escape = '', nullstr = {literal(form.null)}"
    selected = [f"{_lazy_value(item.type, quote(item.name), form)} AS {quote(item.name)}" for item in data]
    if file_name:
        selected.append(file_name)
    return f"SELECT {', '.join(selected)} FROM {_csv(form, data, paths, quoting, file_name)}"


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


def _open_csv(form: Format, data: list[Column], paths: list[str], file_name: str | None) -> str:
    """A doubled quote inside quotes is a quote, unless an escape character of the table's own says otherwise."""
    escape = form.escape if form.escape is not None else form.quote
    quoting = f"quote = {literal(form.quote)}, escape = {literal(escape)}, nullstr = []"
    quoting = quoting.replace(", nullstr = []", ", nullstr = '\x00'")
    selected = [f"{_open_csv_value(item, index)} AS {quote(item.name)}" for index, item in enumerate(data)]
    if file_name:
        selected.append(file_name)
    return f"SELECT {', '.join(selected)} FROM {_csv(form, data, paths, quoting, file_name)}"


def _open_csv_value(item: Column, index: int) -> str:
    name, kind = quote(item.name), item.type
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


def _json(form: Format, data: list[Column], paths: list[str], file_name: str | None) -> str:  # noqa: ARG001
    for item in data:
        if item.type.base == "unknown":
            raise QueryError("HIVE_INVALID_METADATA", f"Column {item.name} has no type")
    names = ", ".join(f"{literal(item.name)}: {literal(item.type.duckdb())}" for item in data)
    named = f", filename = {literal(file_name)}" if file_name else ""
    selected = ", ".join([quote(item.name) for item in data] + ([file_name] if file_name else []))
    return (
        f"SELECT {selected} FROM read_json({_files(paths)}, columns = {{{names}}},"
        f" format = 'newline_delimited', auto_detect = false{named})"
    )
