"""What the lake costs a month: estimated from its size and queries, and as it was really queried and is stored.

Unit prices stand in prices.yml, with their source and date, and nowhere else. The queries are Athena's own history of the
workgroup, the storage every version of every object in the two buckets, the catalog the Glue objects of the environment's
databases. Refuses a prices file that lacks a price, by its name. Changes nothing and scans nothing: it costs requests
alone, one for 1,000 objects or 50 queries.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any

from penstock.connections import Connections
from penstock.errors import SettingsError
from penstock.settings import PROJECT_ROOT

PRICES = PROJECT_ROOT / "prices.yml"
HISTORY_DAYS = 45  # as long as Athena keeps a query
MONTH_DAYS = 30

# Said wherever a total is, so that nobody takes it for the bill.
NOT_COUNTED = (
    "S3 requests: $0.40 a million reads and $5 a million writes",
    "requests to Glue, which no history tells: the first million a month is free",
    "parts of uploads that were never completed",
    "moving objects to Glacier, reading them back, and deleting them before their least time",
    "Postgres (Neon), KMS, logs, functions, taxes",
)

_SENDER = re.compile(r"^-- /\* (\{.*?\}) \*/")


class Prices:
    """prices.yml, read whole. A price is asked for by its path: `number("athena", "per_tb_scanned")`."""

    def __init__(self, content: Mapping[str, Any], path: Path) -> None:
        self._content = content
        self._path = path

    def get(self, *keys: str) -> Any:
        """Return what stands at a path; raises SettingsError naming it when nothing does."""
        found: Any = self._content
        for key in keys:
            if not isinstance(found, Mapping) or key not in found:
                raise self.fault(keys, "is missing")
            found = found[key]
        return found

    def number(self, *keys: str) -> float:
        """Return the number at a path; raises SettingsError where it is none, or less than nothing."""
        return self._number(self.get(*keys), keys)

    def size(self, *keys: str) -> float:
        """Return a number to divide by, which 0 is not."""
        found = self.number(*keys)
        if not found:
            raise self.fault(keys, "is 0")
        return found

    def standard(self) -> list[tuple[float, float]]:
        """Return STANDARD's steps: (up to GB, dollars a GB), the last without an end."""
        keys = ("s3", "standard_per_gb")
        steps = self.get(*keys)
        if (
            not isinstance(steps, list)
            or not steps
            or any(not isinstance(s, list) or len(s) != 2 for s in steps)
        ):
            raise self.fault(keys, "is no list of [GB, price]")
        found = [
            (float("inf") if end is None else self._number(end, keys), self._number(price, keys))
            for end, price in steps
        ]
        if found[-1][0] != float("inf") or found != sorted(found):
            raise self.fault(keys, "does not rise to [null, price]")
        return found

    def fault(self, keys: tuple[str, ...], what: str) -> SettingsError:
        return SettingsError(
            f"{self._path.name}: {'.'.join(keys)} {what}.", hint="docs/cost.md shows what stands there."
        )

    def _number(self, value: Any, keys: tuple[str, ...]) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise self.fault(keys, f"is {value!r}, and no price or amount")
        return float(value)


def prices(path: Path = PRICES) -> Prices:
    """Return the unit prices; raises SettingsError for a file that is not there or no yml."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"{path.name} is not there, which holds what AWS charges.", hint=f"git checkout -- {path.name}"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{path.name} cannot be read: {' '.join(str(error).split())}",
            hint="docs/cost.md shows what stands there.",
        ) from error
    if not isinstance(content, dict):
        raise SettingsError(f"{path.name} holds no prices.", hint="docs/cost.md shows what stands there.")
    return Prices(content, path)


def billed_bytes(scanned: int, of: Prices) -> int:
    """Return the bytes that Athena bills for one query: 10 MB at least, whole megabytes; none for one that scans none."""
    if not scanned:
        return 0
    step = of.size("athena", "billed_in_bytes")
    return int(max(ceil(scanned / step) * step, of.number("athena", "minimum_bytes_per_query")))


def scan_dollars(scanned: int, of: Prices) -> float:
    """Return what Athena charges for one query that scanned so many bytes."""
    return (
        billed_bytes(scanned, of) / of.size("athena", "bytes_per_tb") * of.number("athena", "per_tb_scanned")
    )


def storage_dollars(storage_class: str, size: float, objects: int, of: Prices) -> float:
    """Return a month's price of objects of one storage class, `size` bytes in all.

    The index that an archived object keeps beside it is counted, small objects are (see `Stored.billed`). STANDARD is priced
    from its first step on, so two parts priced apart may cost a little more than together.
    Raises: SettingsError for a class that has no price.
    """
    gb = of.size("s3", "bytes_per_gb")
    if storage_class == "STANDARD":
        return _stepped(size / gb, of.standard())
    dollars = size / gb * of.number("s3", "per_gb", storage_class)
    overhead = of.get("s3", "archive_overhead_bytes")
    if storage_class in overhead:
        own, standard = overhead[storage_class]
        dollars += own * objects / gb * of.number("s3", "per_gb", storage_class)
        dollars += _stepped(standard * objects / gb, of.standard())
    return dollars


def _stepped(amount: float, steps: list[tuple[float, float]]) -> float:
    total = begin = 0.0
    for end, price in steps:
        total += max(min(amount, end) - begin, 0) * price
        begin = end
    return total


def catalog_dollars(objects: float, requests: float, of: Prices) -> float:
    """Return a month's price of the Glue catalog, its free tier taken off."""
    over = max(objects - of.number("glue", "free_objects"), 0)
    asked = max(requests - of.number("glue", "free_requests"), 0)
    return over / 100_000 * of.number("glue", "per_100k_objects") + asked / 1e6 * of.number(
        "glue", "per_million_requests"
    )


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
            Line("storage", f"{gb:,.1f} GB, STANDARD", _stepped(gb, of.standard())),
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
