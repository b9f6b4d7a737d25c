"""A query's rows into the files of a Hive table or an UNLOAD: one pass into the spool, then parallel uploads.

Files get new names, and the journal knows them before the first byte goes up: a statement that fails or is killed leaves
none, and no query of this server reads some of them before all are there. Limits are Athena's: 100 partitions and buckets
a statement, partition values of printable ASCII.
"""

from __future__ import annotations

import contextlib
import datetime
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from athena_local.catalog import EntityNotFoundError
from athena_local.config import MAX_OPEN_PARTITIONS
from athena_local.engine.buckets import bucket_of
from athena_local.engine.hive import NULL_PARTITION, partition_name
from athena_local.engine.text import literal
from athena_local.engine.writers import Writer
from athena_local.errors import QueryError
from athena_local.statements.partitions import partition_location
from athena_local.types import Column, quote

if TYPE_CHECKING:
    from athena_local.engine.session import Session
    from athena_local.journal import Entry

Record = dict[str, Any]
UPLOADS = 8  # at once; more only share the same link
_BUCKET = "__bucket"
_PRINTABLE = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True)
class Target:
    """Where and how a statement's files are written. `record` is the table that an INSERT adds to."""

    location: str
    writer: Writer
    columns: list[Column]
    keys: list[Column]
    bucket_columns: tuple[str, ...] = ()
    buckets: int = 0
    record: Record | None = None


@dataclass(frozen=True)
class Written:
    """`partitions`: values of each partition written -> where its files went."""

    rows: int
    files: list[str]
    partitions: dict[tuple[str, ...], str]


def write(session: Session, sql: str, target: Target, entry: Entry) -> Written:
    """Run a query that has the target's columns, then its keys, and upload what it gives."""
    out = session.spool / f"out-{uuid.uuid4().hex[:8]}"
    rows = _copy(session, sql, target, out)
    if rows == 0:
        return Written(0, [], {})
    local = sorted(path for path in out.rglob("*") if path.is_file()) if out.is_dir() else [out]
    plan: list[tuple[Path, str]] = []
    partitions: dict[tuple[str, ...], str] = {}
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d_%H%M%S")
    folders = {path.parent for path in local}
    if out.is_dir() and len(folders) > MAX_OPEN_PARTITIONS:
        text = f"Exceeded limit of {MAX_OPEN_PARTITIONS} open writers for partitions/buckets"
        raise QueryError("HIVE_TOO_MANY_OPEN_PARTITIONS", text)
    for path in local:
        parts = path.parent.relative_to(out).parts if out.is_dir() else ()
        values = tuple(_value(part) for part in parts[: len(target.keys)])
        folder = target.location
        if target.keys:
            if values not in partitions:
                partitions[values] = _folder(session, target, values)
            folder = partitions[values]
        bucket = int(parts[-1].partition("=")[2]) if target.buckets else None
        plan.append((path, folder + _file_name(stamp, target, bucket)))
    session.check_cancelled()
    entry.files(path for _, path in plan)
    with ThreadPoolExecutor(UPLOADS) as pool:
        try:
            for _ in pool.map(lambda pair: session.context.objects.upload(*pair), plan):
                session.check_cancelled()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return Written(rows, [path for _, path in plan], partitions)


def _value(part: str) -> str:
    """Return a partition's value from DuckDB's `key=value`. Hive has no empty ones: they are NULL."""
    value = unquote(part.partition("=")[2]) or NULL_PARTITION
    if _PRINTABLE.fullmatch(value) is None:
        shown = value.encode().hex(" ").upper()
        text = (
            "Hive partition keys can only contain printable ASCII characters (0x20 - 0x7E)."
            f" Invalid value: {shown}"
        )
        raise QueryError("HIVE_INVALID_PARTITION_VALUE", text)
    return value


def _folder(session: Session, target: Target, values: tuple[str, ...]) -> str:
    record = target.record
    if record is None:
        return target.location + partition_name([key.name for key in target.keys], list(values)) + "/"
    with contextlib.suppress(EntityNotFoundError):
        existing = session.context.catalog.get_partition(record["DatabaseName"], record["Name"], list(values))
        return str(existing["StorageDescriptor"]["Location"]).rstrip("/") + "/"
    return partition_location(record, list(values))


def _file_name(stamp: str, target: Target, bucket: int | None) -> str:
    unique = f"{stamp}_{uuid.uuid4().hex[:5]}_{uuid.uuid4()}"
    number = f"{bucket:06d}_0_" if bucket is not None else ""
    return f"{number}{unique}{target.writer.suffix}"


def _copy(session: Session, sql: str, target: Target, out: Path) -> int:
    names = [column.name for column in (*target.columns, *target.keys)]
    selected = [*target.writer.select(target.columns), *(quote(key.name) for key in target.keys)]
    options = target.writer.options()
    if target.writer.form.kind == "parquet":
        options.append(f"row_group_size_bytes {session.row_group_bytes}")
    folders = [quote(key.name) for key in target.keys]
    if target.buckets:
        by_name = {column.name: column for column in target.columns}
        number = bucket_of([by_name[name] for name in target.bucket_columns], target.buckets)
        selected.append(f"{number} AS {_BUCKET}")
        folders.append(_BUCKET)
    if folders:
        options.append(f"partition_by ({', '.join(folders)})")
    source = f"SELECT {', '.join(selected)} FROM ({sql}) AS q({', '.join(quote(name) for name in names)})"
    row = session.execute(f"COPY ({source}) TO {literal(str(out))} ({', '.join(options)})").fetchone()
    return int(row[0]) if row else 0
