"""Whether every snapshot of an Iceberg table can be read: each file that it needs is in S3, whole, and not in the archive.

A listing of the table's own folder answers for a thousand files at a time; only what lies elsewhere is asked for one by one.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from penstock.errors import PenstockError
from penstock.lake.archive import HEADS
from penstock.lake.lifecycle import ARCHIVED
from penstock.lake.verify.report import Notes, listed
from penstock.sync.lake import LakeTable, split
from penstock.sync.manifests import LakeFile, ManifestFile
from penstock.sync.report import counted


@dataclass(frozen=True)
class _Stored:
    size: int
    archived: bool


def readable(name: str, lake: LakeTable, notes: Notes) -> list[LakeFile]:
    """Note whether every file of every snapshot is there; return the current snapshot's live files that are."""
    needed: dict[str, int | None] = {}
    faults: list[str] = []
    current: list[LakeFile] = []
    for snapshot in lake.snapshots:
        try:
            manifests = lake.manifests(snapshot)
            needed |= dict.fromkeys(manifests)
            found = _files(lake, list(manifests.values()), faults)
            needed |= {file.location: file.size for file in found}
            current += found if snapshot == lake.snapshot_id else []
        except FileNotFoundError as error:
            faults.append(f"manifest list {error} is missing")
        except PenstockError as error:
            faults.append(error.message)
    stored = _stored(lake, needed)
    for location, size in needed.items():
        what = _fault(location, size, stored.get(location))
        faults += [what] if what else []
    faults = list(dict.fromkeys(faults))
    told = f"{counted(len(lake.snapshots), 'snapshot')}, {counted(len(needed), 'file')}"
    todo = (
        "Bring the file back (an older version of the object, by S3 versioning), roll back to a snapshot that is whole"
        f" (invoke lake.history {name.rpartition('.')[2]}), or build anew with --full-refresh"
    )
    notes.add("snapshots", name, listed(faults) or told, "every file there, with its size",
              "failed" if faults else "ok", todo)  # fmt: skip
    return [file for file in current if file.location in stored]


def _files(lake: LakeTable, manifests: list[ManifestFile], faults: list[str]) -> list[LakeFile]:
    """Return the files of the manifests that can be read; together, and one by one only where one of them cannot."""
    try:
        return list(lake.files(manifests))
    except (FileNotFoundError, PenstockError) as error:
        if len(manifests) > 1:
            return [file for manifest in manifests for file in _files(lake, [manifest], faults)]
        # a manifest that is gone is told once, when all files are looked for
        faults += [error.message] if isinstance(error, PenstockError) else []
        return []


def _fault(location: str, size: int | None, stored: _Stored | None) -> str:
    if stored is None:
        return f"{location} is missing"
    if stored.archived:
        return f"{location} is archived, and Athena reads no Iceberg table from the archive"
    if size is not None and stored.size != size:
        return f"{location} has {stored.size:,} bytes, not {size:,}"
    return ""


def _stored(lake: LakeTable, needed: Iterable[str]) -> dict[str, _Stored]:
    """Return what S3 holds of the needed files."""
    wanted = set(needed)
    s3 = lake.objects.client
    bucket, prefix = split(lake.location.rstrip("/") + "/")
    found: dict[str, _Stored] = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            location = f"s3://{bucket}/{item['Key']}"
            if location in wanted:
                found[location] = _Stored(int(item["Size"]), item.get("StorageClass") in ARCHIVED)
    elsewhere = [location for location in wanted if location not in found]
    with ThreadPoolExecutor(HEADS) as pool:
        asked = pool.map(lambda location: _head(s3, location), elsewhere)
        found |= {location: answer for location, answer in zip(elsewhere, asked, strict=True) if answer}
    return found


def _head(s3: Any, location: str) -> _Stored | None:
    from botocore.exceptions import ClientError

    bucket, key = split(location)
    try:
        answer = s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey", "NoSuchBucket"):
            return None
        raise
    return _Stored(int(answer["ContentLength"]), answer.get("StorageClass") in ARCHIVED)
