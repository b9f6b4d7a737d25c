"""Which landed files lie in S3's archive, and which days their rows are of: what Athena passes over without a word.

A landed file is archived two years after it landed (`penstock.lake.lifecycle`). Athena then reads the table as if the file
were gone, and so would a build that takes away from a mart what is no longer staged. Its metadata stay readable: `seed`
notes there how many rows it holds and the first and last of their days.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from penstock.connections import Connections
from penstock.lake.lifecycle import ARCHIVED
from penstock.landing.upload import FIRST_DAY_KEY, LAST_DAY_KEY, ROWS_KEY
from penstock.sources import Table, declared

# HeadObject asked side by side, 1 to 32: one takes some 20 ms at S3, and a landed file a day makes 730 of them in two years.
HEADS = 8


# any day that a date of Athena's SQL can be
FIRST, LAST = "0001-01-01", "9999-12-31"


@dataclass(frozen=True)
class Landed:
    """One landed file. `size` in bytes; `rows` and days (ISO dates, both inclusive) are None where its seed noted none."""

    key: str
    size: int
    archived: bool
    rows: int | None = None
    first_day: str | None = None
    last_day: str | None = None

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]


def landed(connections: Connections, table: Table, *, only_archived: bool = False) -> list[Landed]:
    """Return a landed table's files as Athena would look for them, by key: hidden and empty ones aside.

    only_archived: ask for no others; where there are none, that costs one listing.
    """
    s3, bucket = connections.client("s3"), connections.environment.lake_bucket
    found = [
        item
        for item in _listed(s3, bucket, table.prefix)
        if item.get("StorageClass") in ARCHIVED or not only_archived
    ]

    def one(item: dict[str, Any]) -> Landed:
        noted = s3.head_object(Bucket=bucket, Key=item["Key"]).get("Metadata", {})
        rows = noted.get(ROWS_KEY, "")
        return Landed(
            item["Key"],
            int(item["Size"]),
            item.get("StorageClass") in ARCHIVED,
            int(rows) if rows.isdecimal() else None,
            noted.get(FIRST_DAY_KEY),
            noted.get(LAST_DAY_KEY),
        )

    with ThreadPoolExecutor(HEADS) as pool:
        return list(pool.map(one, found))


def archived_days(connections: Connections) -> dict[str, list[tuple[str, str]]]:
    """Return the days of archived files' rows by landed table (`source.table`), as few ranges as say it.

    Tables without archived files are left out. A file of which the days were not noted may hold rows of any day.
    Costs one listing a landed table.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for source in declared().values():
        for table in source.tables:
            ranges = [
                (file.first_day or FIRST, file.last_day or LAST)
                for file in landed(connections, table, only_archived=True)
            ]
            if ranges:
                found[table.qualified] = joined(ranges)
    return found


def joined(ranges: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return ranges of days without those that overlap."""
    found: list[tuple[str, str]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found


def _listed(s3: Any, bucket: str, prefix: str) -> Iterable[dict[str, Any]]:
    from botocore.exceptions import ClientError

    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                parts = item["Key"].removeprefix(prefix).split("/")
                if item["Size"] and not any(part[:1] in ("_", ".") for part in parts if part):
                    yield item
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "NoSuchBucket":
            raise
