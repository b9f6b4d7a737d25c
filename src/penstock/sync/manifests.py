"""Iceberg's manifest lists and manifests, read from their Avro bytes: which files a snapshot is made of.

fastavro reads them rather than PyIceberg, whose import takes longer than the whole of a small sync (docs/adr/0013). What is
kept is what a plan asks for. Partition values are as Iceberg means them: days, months and microseconds are whole numbers.
Refused by name: equality deletes, deletion vectors, and data that is not Parquet.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from penstock.errors import PlanError, SyncError

_ADDED, _DELETED = 1, 2  # an entry's status; 0 is a file of an earlier snapshot
_POSITION_DELETES, _EQUALITY_DELETES = 1, 2  # a file's content; 0 is data
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class LakeFile:
    """A live data file, or a position delete file, of one snapshot."""

    location: str
    size: int
    rows: int
    spec_id: int
    partition: tuple[Any, ...]
    sequence: int
    deletes: bool


@dataclass(frozen=True)
class FieldSummary:
    """What a manifest list says of one partition field over all files of a manifest; bounds as Iceberg serialises them."""

    contains_null: bool
    lower_bound: bytes | None
    upper_bound: bytes | None


@dataclass(frozen=True)
class ManifestFile:
    """One manifest, as its list describes it. Counts are None where the list does not tell them."""

    manifest_path: str
    partition_spec_id: int
    sequence_number: int
    added_files_count: int | None
    existing_files_count: int | None
    partitions: tuple[FieldSummary, ...]


def read_manifest_list(body: bytes, location: str) -> list[ManifestFile]:
    """Return the manifests of a list; `location` is where it lies, for an error to name."""
    return [_manifest(record) for record in _records(body, location)]


def read_manifest(body: bytes, manifest: ManifestFile) -> list[LakeFile]:
    """Return the live files of a manifest.

    Raises: PlanError for files that are not read, SyncError for bytes that are no manifest.
    """
    records = _records(body, manifest.manifest_path)
    return [_file(record, manifest) for record in records if record["status"] != _DELETED]


def _records(body: bytes, location: str) -> Iterator[dict[str, Any]]:
    from fastavro.read import reader

    try:
        for record in reader(io.BytesIO(body)):
            assert isinstance(record, dict)
            yield record
    except (ValueError, EOFError, KeyError, IndexError, TypeError) as error:
        raise SyncError(
            f"{location} is no readable Avro file: {error}",
            hint="Run the sync again; if it stays so, the table's metadata is damaged: roll it back to another snapshot.",
        ) from error


def _manifest(record: dict[str, Any]) -> ManifestFile:
    def count(kind: str) -> int | None:  # the older name is that of Iceberg's version 1
        found = record.get(f"{kind}_files_count", record.get(f"{kind}_data_files_count"))
        return None if found is None else int(found)

    return ManifestFile(
        manifest_path=record["manifest_path"],
        partition_spec_id=record["partition_spec_id"],
        sequence_number=record.get("sequence_number") or 0,
        added_files_count=count("added"),
        existing_files_count=count("existing"),
        partitions=tuple(
            FieldSummary(bool(item["contains_null"]), item.get("lower_bound"), item.get("upper_bound"))
            for item in record.get("partitions") or ()
        ),
    )


def _file(record: dict[str, Any], manifest: ManifestFile) -> LakeFile:
    file = record["data_file"]
    content, kind = file.get("content") or 0, str(file["file_format"]).upper()
    if content == _EQUALITY_DELETES or kind == "PUFFIN":
        raise PlanError(
            f"{file['file_path']} holds equality deletes or deletion vectors, which are not read."
        )
    if kind != "PARQUET":
        raise PlanError(f"{file['file_path']} is not Parquet; only Parquet is synced.")
    sequence = record.get("sequence_number")
    if sequence is None:  # an added file has its manifest's; tables of version 1 have none at all
        sequence = manifest.sequence_number if record["status"] == _ADDED else 0
    return LakeFile(
        location=file["file_path"],
        size=file["file_size_in_bytes"],
        rows=file["record_count"],
        spec_id=manifest.partition_spec_id,
        partition=tuple(_number(value) for value in file["partition"].values()),
        sequence=sequence,
        deletes=content == _POSITION_DELETES,
    )


def _number(value: Any) -> Any:
    """Return dates and times as Iceberg counts them: days, or microseconds, since 1970 or midnight."""
    if isinstance(value, datetime):
        return (value - _EPOCH) // timedelta(microseconds=1)
    if isinstance(value, date):
        return (value - _EPOCH.date()).days
    if isinstance(value, time):
        return (datetime.combine(_EPOCH, value, UTC) - _EPOCH) // timedelta(microseconds=1)
    return value
