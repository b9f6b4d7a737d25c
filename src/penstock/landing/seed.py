"""`invoke seed`: check files whole, put them into the lake, and see to it that Athena has a table over them.

All files of a call are checked before a byte of any is sent; one fault refuses them all. Safe to rerun at any point: content
that lies there already is not sent again, and an interrupted upload has changed nothing (docs/landing.md).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from penstock.connections import Connections
from penstock.errors import LandingError
from penstock.lake.buckets import ensure_buckets
from penstock.landing import tables, upload
from penstock.landing.faults import refusal
from penstock.landing.reading import COMPRESSIONS, is_json_lines, is_parquet, landed_name
from penstock.sources import table as declared_table
from penstock.sources.declaration import Column, Table

if TYPE_CHECKING:
    from penstock.landing.checked import Checked

# (step, file, bytes done, bytes in all)
Progress = Callable[[Literal["check", "upload"], str, int, int], None]

# Athena takes a text file's compression from its name alone; what lands is always plain.
ATHENA_CODECS = (".bz2", ".deflate", ".gz", ".lz4", ".lzo", ".snappy", ".zst", ".zstd")

_PARQUET_TYPE = "application/vnd.apache.parquet"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class LandedFile:
    """One file of a call. `size` is that of the object, `notices` say how it differs from the file given."""

    name: str
    path: Path
    rows: int
    size: int
    uploaded: bool
    notices: tuple[str, ...]


@dataclass(frozen=True)
class SeedReport:
    """What a seed did.

    created: names what was missing (buckets' settings, workgroup, database, table, columns).
    undeclared: columns that files have beside the declared ones, and that the table has been given.
    """

    source: str
    table: str
    location: str
    files: tuple[LandedFile, ...]
    created: tuple[str, ...]
    seconds: float
    undeclared: tuple[Column, ...] = ()

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def changed(self) -> bool:
        return bool(self.created) or any(file.uploaded for file in self.files)


def seed(
    connections: Connections,
    source: str = "forecast",
    files: Sequence[Path] = (),
    *,
    progress: Progress | None = None,
) -> SeedReport:
    """Land files of a source and make its table; return what was done.

    source: a source's name, or `source.table`.
    Raises: BadInputError with the first faults of all files, nothing uploaded; LandingError for names that cannot land,
    files that cannot be read, and a table that differs from the declaration or from the files' new columns.
    """
    started = time.perf_counter()
    declared = declared_table(source)
    if declared.partitions:
        raise LandingError(
            f"{declared.qualified} is partitioned by {', '.join(key.name for key in declared.partitions)}:"
            " its files are delivered, not seeded.",
            hint="Seed takes files of tables without partitions.",
        )
    checked = check_all(declared, files, progress=progress)
    undeclared = new_columns(declared, checked)
    created = [*ensure_buckets(connections), *tables.ensure(connections, declared, undeclared)]
    landed = upload_all(connections, declared, checked, progress=progress)
    environment = connections.environment
    return SeedReport(
        source=source,
        table=f"{environment.landed_database(declared.source)}.{declared.name}",
        location=environment.landed_location(declared.qualified),
        files=landed,
        created=tuple(created),
        seconds=time.perf_counter() - started,
        undeclared=undeclared,
    )


def check_all(table: Table, files: Sequence[Path], *, progress: Progress | None = None) -> list[Checked]:
    """Return the files, each found good. Raises as `seed` does; asks nothing of AWS."""
    from penstock.landing.check import check

    _refuse_names(table, files)
    checked = []
    for path in files:
        checked.append(
            check(path, table, on_bytes=_counted(progress, "check", path.name, path.stat().st_size))
        )
    if any(file.faults.count for file in checked):
        raise refusal([file.faults for file in checked])
    return checked


def new_columns(table: Table, checked: Sequence[Checked]) -> tuple[Column, ...]:
    """Return the columns that files have beside the declared ones, in the order of the file that has most of them.

    Raises: LandingError where two files disagree: on a type, or in CSV, which is read by position, on the order.
    """
    by_file = sorted((file for file in checked if file.found), key=lambda file: -len(file.found))
    columns: list[Column] = []
    for file in by_file:
        known = {column.name: column for column in columns}
        if table.format == "csv":
            agree = not columns or tuple(columns[: len(file.found)]) == file.found
        else:
            agree = all(known.get(column.name, column) == column for column in file.found)
        if not agree:
            raise LandingError(
                f"{by_file[0].path.name} and {file.path.name} disagree on the columns beside the declared ones: "
                f"{_shown(by_file[0].found)}; {_shown(file.found)}.",
                hint=f"Declare them in sources/{table.source}.yml, so that one of the files is refused by line and value.",
            )
        columns += [column for column in file.found if column.name not in known]
    return tuple(columns)


def _shown(columns: Sequence[Column]) -> str:
    return ", ".join(f"{column.name} {column.type}" for column in columns)


def upload_all(
    connections: Connections, table: Table, checked: Sequence[Checked], *, progress: Progress | None = None
) -> tuple[LandedFile, ...]:
    """Upload those checked files whose content does not lie in the lake yet.

    Raises: LandingError naming the file if S3 cannot be reached or refuses; the files before it have landed, whole.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    s3, bucket = connections.client("s3"), connections.environment.lake_bucket
    landed = []
    for file in checked:
        metadata = {upload.ROWS_KEY: str(file.rows)}
        if file.days:
            first, last = (day.isoformat() for day in file.days)
            metadata |= {upload.FIRST_DAY_KEY: first, upload.LAST_DAY_KEY: last}
        content = upload.Content(file.size, file.sha256, metadata)
        if table.format == "parquet":
            content = replace(content, type=_PARQUET_TYPE)
        key = _key(table, file.name)
        counted = _counted(progress, "upload", file.name, file.size)
        try:
            there = upload.lies_there(s3, bucket, key, content)
            if not there:
                upload.upload(s3, bucket, key, content, _bytes(file), on_bytes=counted)
        except (BotoCoreError, ClientError) as error:
            raise LandingError(
                f"{file.name} was not landed in s3://{bucket}: {error}",
                hint="What lay there is untouched; seed it again.",
            ) from error
        finally:
            if file.spool:
                file.spool.drop()
        landed.append(LandedFile(file.name, file.path, file.rows, file.size, not there, file.notices))
    return tuple(landed)


def _bytes(file: Checked) -> Iterator[bytes]:
    """Yield the bytes that land of a file."""
    from penstock.landing.check import normalized

    return file.spool.chunks() if file.spool else normalized(file.path, file.table)


def landed_files(connections: Connections, source: str = "forecast") -> list[str]:
    """Return the names of the files that lie in a source's location, sorted."""
    prefix = declared_table(source).prefix
    pages = connections.client("s3").get_paginator("list_objects_v2")
    found: Iterable[Any] = pages.paginate(Bucket=connections.environment.lake_bucket, Prefix=prefix)
    keys = [item["Key"] for page in found for item in page.get("Contents", [])]
    return sorted(key.removeprefix(prefix) for key in keys if not key.endswith("/"))


def remove(connections: Connections, source: str, name: str) -> None:
    """Take a landed file out of the lake; the bucket keeps its versions. The next build and sync take its rows away.

    Raises: LandingError if no file of that name has landed.
    """
    table = declared_table(source)
    landed = landed_files(connections, source)
    if name not in landed:
        raise LandingError(
            f"No file {name!r} has landed for source {source}.",
            hint=f"Landed are: {', '.join(landed) or 'none'}.",
        )
    connections.client("s3").delete_object(Bucket=connections.environment.lake_bucket, Key=_key(table, name))


def _key(table: Table, name: str) -> str:
    return table.prefix + name


def _refuse_names(table: Table, files: Sequence[Path]) -> None:
    """Refuse what cannot land under its own name or in a table of this format, before anything is read."""
    if not files:
        raise LandingError(
            "No file was given to seed.", hint="Give one with --file, or make one with --rows."
        )
    names: dict[str, Path] = {}
    for path in files:
        name = landed_name(path, table)
        if not path.is_file():
            raise LandingError(
                f"{path} is no file." if path.exists() else f"{path} does not exist.",
                hint=f"Give --file the path of a {_ENDINGS[table.format]}; a relative one starts from here.",
            )
        _refuse_format(table, path)
        if name.startswith(("_", ".")):
            raise LandingError(
                f"{path.name} would land as {name!r}: Athena ignores files whose names begin with '_' or '.'.",
                hint="Rename it.",
            )
        if name.lower().endswith(ATHENA_CODECS):
            raise LandingError(
                f"{path.name} would land as {name!r}, which Athena would decompress by its ending;"
                " only .gz and .xz are read.",
                hint="Decompress it, or rename it if it is plain text.",
            )
        if _CONTROL.search(name):
            raise LandingError(f"{name!r} has a control character in its name.", hint="Rename it.")
        if name in names:
            raise LandingError(
                f"{names[name]} and {path} would both land as {name}, and one would replace the other.",
                hint="Rename one, or seed them one after the other if that is meant.",
            )
        names[name] = path


_ENDINGS = {
    "csv": ".csv, .csv.gz or .csv.xz",
    "parquet": ".parquet, or .jsonl or .json of a JSON object a line, which may be .gz or .xz",
}


def lands(table: Table, path: Path) -> str:
    """Return the name that a file of a folder lands under; empty for one that is not of the table's kind."""
    typed = is_parquet(path) or is_json_lines(path)
    fits = typed if table.format == "parquet" else landed_name(path).lower().endswith(".csv")
    return landed_name(path, table) if fits and not path.name.startswith((".", "_")) else ""


def _refuse_format(table: Table, path: Path) -> None:
    """Refuse a file whose name says that it is of another format than its table takes."""
    typed = is_parquet(path) or is_json_lines(path)
    if typed == (table.format == "parquet"):
        return
    compressed = path.suffix.lower() in COMPRESSIONS and Path(path.stem).suffix.lower() == ".parquet"
    raise LandingError(
        f"{path.name} is no file for {table.qualified}, which lands {table.format}"
        + ("; Parquet is compressed inside and not once more." if compressed else "."),
        hint=f"It takes {_ENDINGS[table.format]}.",
    )


def _counted(
    progress: Progress | None, step: Literal["check", "upload"], name: str, total: int
) -> Callable[[int], None] | None:
    if progress is None:
        return None
    return lambda done: progress(step, name, done, total)
