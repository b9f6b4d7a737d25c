"""`invoke seed`: check files whole, put them into the lake, and see to it that Athena has a table over them.

All files of a call are checked before a byte of any is sent; one fault refuses them all. Safe to rerun at any point: content
that lies there already is not sent again, and an interrupted upload has changed nothing (docs/landing.md).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from penstock.connections import Connections
from penstock.errors import LandingError
from penstock.lake.buckets import ensure_buckets
from penstock.landing import tables, upload
from penstock.landing.faults import refusal
from penstock.landing.reading import landed_name
from penstock.sources import table as declared_table
from penstock.sources.declaration import Table

if TYPE_CHECKING:
    from penstock.landing.check import Checked

# (step, file, bytes done, bytes in all)
Progress = Callable[[Literal["check", "upload"], str, int, int], None]

# Athena takes a text file's compression from its name alone; what lands is always plain.
ATHENA_CODECS = (".bz2", ".deflate", ".gz", ".lz4", ".lzo", ".snappy", ".zst", ".zstd")

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
    """What a seed did. `created` names what was missing (buckets' settings, workgroup, database, table)."""

    source: str
    table: str
    location: str
    files: tuple[LandedFile, ...]
    created: tuple[str, ...]
    seconds: float

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

    Raises: BadInputError with the first faults of all files, nothing uploaded; LandingError for names that cannot land,
    files that cannot be read, and a table that differs from the declaration.
    """
    started = time.perf_counter()
    declared = declared_table(source)
    checked = check_all(declared, files, progress=progress)
    created = [*ensure_buckets(connections), *tables.ensure(connections, declared)]
    landed = upload_all(connections, declared, checked, progress=progress)
    environment = connections.environment
    return SeedReport(
        source=source,
        table=f"{environment.landed_database(declared.source)}.{declared.name}",
        location=environment.landed_location(declared.qualified),
        files=landed,
        created=tuple(created),
        seconds=time.perf_counter() - started,
    )


def check_all(table: Table, files: Sequence[Path], *, progress: Progress | None = None) -> list[Checked]:
    """Return the files, each found good. Raises as `seed` does; asks nothing of AWS."""
    from penstock.landing.check import check

    _refuse_names(files)
    checked = []
    for path in files:
        checked.append(
            check(path, table, on_bytes=_counted(progress, "check", path.name, path.stat().st_size))
        )
    if any(file.faults.count for file in checked):
        raise refusal([file.faults for file in checked])
    return checked


def upload_all(
    connections: Connections, table: Table, checked: Sequence[Checked], *, progress: Progress | None = None
) -> tuple[LandedFile, ...]:
    """Upload those checked files whose content does not lie in the lake yet.

    Raises: LandingError naming the file if S3 cannot be reached or refuses; the files before it have landed, whole.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    from penstock.landing.check import normalized

    s3, bucket = connections.client("s3"), connections.environment.lake_bucket
    landed = []
    for file in checked:
        content = upload.Content(file.size, file.sha256, {upload.ROWS_KEY: str(file.rows)})
        key = _key(table, file.name)
        counted = _counted(progress, "upload", file.name, file.size)
        try:
            there = upload.lies_there(s3, bucket, key, content)
            if not there:
                upload.upload(s3, bucket, key, content, normalized(file.path, table), on_bytes=counted)
        except (BotoCoreError, ClientError) as error:
            raise LandingError(
                f"{file.name} was not landed in s3://{bucket}: {error}",
                hint="What lay there is untouched; seed it again.",
            ) from error
        landed.append(LandedFile(file.name, file.path, file.rows, file.size, not there, file.notices))
    return tuple(landed)


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


def _refuse_names(files: Sequence[Path]) -> None:
    """Refuse what cannot land under its own name, before anything is read."""
    if not files:
        raise LandingError(
            "No file was given to seed.", hint="Give one with --file, or make one with --rows."
        )
    names: dict[str, Path] = {}
    for path in files:
        name = landed_name(path)
        if not path.is_file():
            raise LandingError(
                f"{path} is no file." if path.exists() else f"{path} does not exist.",
                hint="Give --file the path of a .csv, .csv.gz or .csv.xz; a relative one starts from here.",
            )
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


def _counted(
    progress: Progress | None, step: Literal["check", "upload"], name: str, total: int
) -> Callable[[int], None] | None:
    if progress is None:
        return None
    return lambda done: progress(step, name, done, total)
