"""What the lake costs a month: estimated from its size and queries, and as it was really queried and is stored.

The queries are Athena's own history of the workgroup, the storage every version of every object in the two buckets, the
catalog the Glue objects of the target's databases. Changes nothing and scans nothing: it costs requests alone, one for 1,000
objects or 50 queries. Prices are `penstock.lake.prices`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from penstock.connections import Connections
from penstock.errors import SettingsError
from penstock.lake.prices import (
    Prices,
    billed_bytes,
    catalog_dollars,
    scan_dollars,
    stepped,
    storage_dollars,
)

HISTORY_DAYS = 45  # as long as Athena keeps a query
MONTH_DAYS = 30

# Said wherever a total is, so that nobody takes it for the bill.
NOT_COUNTED = (
    "S3 requests",
    "requests to Glue, which no history tells: the first million a month is free",
    "parts of uploads that were never completed",
    "moving objects to Glacier, reading them back, and deleting them before their least time",
    "Postgres (Neon), KMS, logs, functions, taxes",
)

_SENDER = re.compile(r"^-- /\* (\{.*?\}) \*/")


# the estimate


@dataclass(frozen=True)
class Line:
    """One line of a bill: what, how much of it, and dollars a month."""

    item: str
    amount: str
    dollars: float


@dataclass(frozen=True)
class Estimate:
    gb: float
    queries: int
    lines: tuple[Line, ...]

    @property
    def dollars(self) -> float:
        return sum(line.dollars for line in self.lines)


def estimate(of: Prices, gb: float | None = None, queries: int | None = None) -> Estimate:
    """Return what a lake of so many GB, asked so many queries a month, costs a month; by default as prices.yml supposes.

    Raises: SettingsError for less than nothing.
    """
    gb = of.number("estimate", "gb") if gb is None else gb
    queries = int(of.number("estimate", "queries")) if queries is None else queries
    if not 0 <= gb < float("inf") or queries < 0:
        raise SettingsError(
            f"--gb {gb:g} and --queries {queries} cannot both be had.",
            hint="Neither may be less than nothing.",
        )
    share = of.number("estimate", "share_scanned")
    each = round(gb * share * of.size("athena", "bytes_per_tb") / 1000)
    objects = of.number("estimate", "catalog_objects")
    requests = queries * of.number("estimate", "catalog_requests_per_query")
    out = gb * of.number("estimate", "share_transferred")
    billed_out = max(out - of.number("transfer", "free_gb"), 0)
    return Estimate(
        gb,
        queries,
        (
            Line(
                "catalog",
                f"{objects:,.0f} objects, {requests:,.0f} requests",
                catalog_dollars(objects, requests, of),
            ),
            Line("storage", f"{gb:,.1f} GB, STANDARD", stepped(gb, of.standard())),
            Line("queries", f"{queries:,} of {each / 1e9:,.2f} GB", queries * scan_dollars(each, of)),
            Line(
                "transfer",
                f"{out:,.1f} GB out, {billed_out:,.1f} of them billed",
                billed_out * of.number("transfer", "per_gb"),
            ),
        ),
    )


# what was really asked and is really stored


@dataclass
class Scanned:
    """Statements of one kind in the window; `free` of them failed or scanned nothing, bytes are the others'."""

    statements: int = 0
    free: int = 0
    bytes_scanned: int = 0
    bytes_billed: int = 0
    dollars: float = 0.0


@dataclass
class Stored:
    """Objects below one prefix in one storage class; old versions, which cost the same, are apart. `billed` in bytes."""

    objects: int = 0
    size: int = 0
    billed: int = 0
    dollars: float = 0.0


@dataclass(frozen=True)
class Place:
    """Where objects lie: `prefix` with its bucket, the class they are kept in, whether newer versions have replaced them."""

    prefix: str
    storage_class: str
    replaced: bool = False


@dataclass(frozen=True)
class Actual:
    """What the workgroup scanned in so many days, and what is stored now. `missing` says what could not be looked at."""

    days: float
    scanned: dict[str, Scanned]
    stored: dict[Place, Stored]
    catalog_objects: int
    catalog_dollars: float
    missing: tuple[str, ...] = ()

    @property
    def scan_dollars(self) -> float:
        """As in a month of such days."""
        return sum(kind.dollars for kind in self.scanned.values()) * MONTH_DAYS / self.days

    @property
    def storage_dollars(self) -> float:
        return sum(part.dollars for part in self.stored.values())

    @property
    def dollars(self) -> float:
        return self.scan_dollars + self.storage_dollars + self.catalog_dollars


def actual(
    connections: Connections, of: Prices, *, days: float = MONTH_DAYS, now: datetime | None = None
) -> Actual:
    """Return what the environment's workgroup scanned in the last `days` and what its buckets and catalog hold.

    What is not there yet (no workgroup, no bucket) counts as nothing and is named in `missing`.
    Raises: SettingsError for days that Athena keeps no history of, or a storage class without a price; botocore's
    ClientError where a look-up is refused.
    """
    if not 0 < days <= HISTORY_DAYS:
        raise SettingsError(
            f"--days {days:g}: Athena keeps its history for {HISTORY_DAYS} days.",
            hint=f"--days {MONTH_DAYS}, say.",
        )
    missing: list[str] = []
    environment = connections.environment
    since = (now or datetime.now(UTC)) - timedelta(days=days)
    scanned = _scanned(connections, of, since, missing)
    stored: dict[Place, Stored] = {}
    s3 = connections.client("s3")
    for bucket, parts in ((environment.lake_bucket, 2), (environment.results_bucket, 0)):
        _add_stored(stored, s3, bucket, parts, of, missing)
    for place, part in stored.items():
        part.dollars = storage_dollars(place.storage_class, part.billed, part.objects, of)
    objects = sum(1 for _ in _catalog_objects(connections))
    return Actual(days, scanned, stored, objects, catalog_dollars(objects, 0, of), tuple(missing))


def _scanned(connections: Connections, of: Prices, since: datetime, missing: list[str]) -> dict[str, Scanned]:
    from botocore.exceptions import ClientError

    from penstock.transform.report import history

    group = connections.environment.workgroup
    found: dict[str, Scanned] = {}
    try:
        for execution in history(connections.client("athena"), group, since):
            kind = found.setdefault(_sender(execution.get("Query", "")), Scanned())
            kind.statements += 1
            # not by StatementType: CREATE TABLE AS SELECT is DDL to Athena too, and is billed for what it reads
            scanned = int(execution.get("Statistics", {}).get("DataScannedInBytes", 0))
            if not scanned or execution["Status"]["State"] == "FAILED":
                kind.free += 1
                continue
            kind.bytes_scanned += scanned
            kind.bytes_billed += billed_bytes(scanned, of)
            kind.dollars += scan_dollars(scanned, of)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "InvalidRequestException":
            raise
        missing.append(f"there is no workgroup {group}")
    return dict(sorted(found.items(), key=lambda item: (-item[1].dollars, item[0])))


def _sender(sql: str) -> str:
    """Return who sent a statement: a model or a test of dbt's, by the comment that heads it, or a query."""
    header = _SENDER.match(sql)
    if header is None:
        return "queries"
    try:
        node = str(json.loads(header.group(1)).get("node_id", ""))
    except (ValueError, AttributeError):  # somebody else's comment
        return "queries"
    parts = node.split(".")
    if len(parts) < 3:
        return "dbt, of no model"
    return f"model {parts[2]}" if parts[0] == "model" else f"dbt {parts[0]}s"


def _add_stored(
    stored: dict[Place, Stored], s3: Any, bucket: str, parts: int, of: Prices, missing: list[str]
) -> None:
    """Add a bucket's objects, every version of them, by their prefix's first parts."""
    from botocore.exceptions import ClientError

    least = of.get("s3", "minimum_object_bytes")
    try:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for version in page.get("Versions", ()):
                storage_class = version.get("StorageClass") or "STANDARD"
                prefix = "/".join([bucket, *version["Key"].split("/")[:-1][:parts]])
                place = Place(prefix, storage_class, not version.get("IsLatest", True))
                part = stored.setdefault(place, Stored())
                size = int(version.get("Size", 0))
                part.objects += 1
                part.size += size
                part.billed += max(size, int(least.get(storage_class, 0)))
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in ("NoSuchBucket", "404"):
            raise
        missing.append(f"there is no bucket {bucket}")


def _catalog_objects(connections: Connections) -> Iterator[str]:
    """Yield the name of each Glue object of the environment: databases, tables, their versions but the last, partitions."""
    glue = connections.client("glue")
    for database in _databases(connections, glue):
        yield database
        for page in glue.get_paginator("get_tables").paginate(DatabaseName=database):
            for table in page["TableList"]:
                name = f"{database}.{table['Name']}"
                yield name
                where = {"DatabaseName": database, "TableName": table["Name"]}
                for versions in glue.get_paginator("get_table_versions").paginate(**where):
                    for version in versions["TableVersions"]:
                        if version["VersionId"] != table.get("VersionId"):
                            yield f"{name} version {version['VersionId']}"
                if not table.get("PartitionKeys"):
                    continue
                for partitions in glue.get_paginator("get_partitions").paginate(
                    **where, ExcludeColumnSchema=True
                ):
                    for partition in partitions["Partitions"]:
                        yield f"{name} {'/'.join(partition['Values'])}"


def _databases(connections: Connections, glue: Any) -> Iterator[str]:
    """Yield the target's databases: its marts, its previews', whose files lie in the same bucket, and what landed."""
    from penstock import sources

    environment = connections.environment
    landed = {environment.landed_database(name) for name in sources.declared()}
    marts = environment.marts_database
    for page in glue.get_paginator("get_databases").paginate():
        for database in page["DatabaseList"]:
            name = database["Name"]
            if name in landed or name == marts or name.startswith(f"{marts}_"):
                yield name
