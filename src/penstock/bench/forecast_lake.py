"""The lake table that the syncs are measured on, in two versions, and the same Parquet files for tools that read files.

The second version differs as a day's work would: one row in a hundred is another, some are gone, and the last day has a
next one. Of 1,251,250 rows that is 12,513 changed, 1,000 deleted and 13,750 added, in two of four monthly files. PyIceberg
writes both as snapshots of one table; which of them is current is a matter of one pointer in the catalog, so that every
round starts from the same lake.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from penstock.connections import Connections

if TYPE_CHECKING:
    from pathlib import Path

    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

TABLE = "fct_forecast"
SCHEMA = pa.schema(
    [
        ("restaurant_id", pa.int32()),
        ("inventory_item_id", pa.int32()),
        ("business_date", pa.date32()),
        ("dma_id", pa.string()),
        ("dc_id", pa.int32()),
        ("state", pa.string()),
        ("y_05", pa.float64()),
        ("y_50", pa.float64()),
        ("y_95", pa.float64()),
    ]
)
FILES_PREFIX = "bench/files/"  # of the lake bucket: what tools that list files are given

CHANGED_OF = 100  # one row in so many is changed
DELETED_OF = 1_251  # one row in so many is deleted


@dataclass(frozen=True)
class Version:
    """One state of the lake. `files` are its data files by month (2025-03), as keys of the lake bucket."""

    metadata_location: str
    rows: int
    files: dict[str, str]


@dataclass(frozen=True)
class Change:
    """How the second version differs from the first, in rows."""

    changed: int
    added: int
    deleted: int


def read(path: Path) -> pa.Table:
    """Return a checked forecast file."""
    options = pa_csv.ConvertOptions(
        column_types=SCHEMA, strings_can_be_null=True, null_values=[""], include_columns=SCHEMA.names
    )
    return pa_csv.read_csv(path, convert_options=options).combine_chunks()


def months_of(rows: pa.Table) -> Any:
    """Return each row's month as a count of months."""
    return rows["business_date"].to_numpy().astype("datetime64[M]").astype(np.int64)


def later(rows: pa.Table, months: int) -> pa.Table:
    """Return the rows moved so many months on, each to the same day of its month; a day that month lacks is left out."""
    dates = rows["business_date"].to_numpy()
    whole = dates.astype("datetime64[M]")
    moved = (whole + months).astype("datetime64[D]") + (dates - whole.astype("datetime64[D]"))
    kept = moved.astype("datetime64[M]") == whole + months
    return _dated(rows, moved).filter(pa.array(kept))


def _dated(rows: pa.Table, dates: Any) -> pa.Table:
    at = rows.schema.get_field_index("business_date")
    return rows.set_column(at, "business_date", pa.array(dates, pa.date32()))


def changed(rows: pa.Table, *, one_month: bool = False) -> tuple[pa.Table, Change]:
    """Return the rows of the months that change as they are afterwards, and what changed.

    Changes and deletions are in the last whole month, the added day is the last one's next; `one_month` adds none.
    """
    months = months_of(rows)
    known = np.unique(months)
    last, whole = known[-1], known[-2] if len(known) > 1 else known[-1]
    within = np.flatnonzero(months == whole)
    count = len(rows)
    deleted = within[: count // DELETED_OF]
    rest = within[len(deleted) :]
    wanted = min(-(-count // CHANGED_OF), len(rest))
    touched = rest[:: max(len(rest) // max(wanted, 1), 1)][:wanted]
    more = np.zeros(count)
    more[touched] = 0.5
    after = rows
    for name in ("y_05", "y_50", "y_95"):
        at = rows.schema.get_field_index(name)
        after = after.set_column(at, name, pc.round(pc.add(rows[name], pa.array(more)), 2))
    kept = np.isin(months, [whole] if one_month else [whole, last])
    kept[deleted] = False
    result, added = after.filter(pa.array(kept)), 0
    if not one_month:
        dates = rows["business_date"].to_numpy()
        latest = rows.filter(pa.array(dates == dates.max()))
        added = len(latest)
        result = pa.concat_tables([result, _dated(latest, latest["business_date"].to_numpy() + 1)])
    return result, Change(len(touched), added, len(deleted))


class ForecastLake:
    """The table in the lake of one environment, written as PyIceberg writes it."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self.database = connections.environment.marts_database
        self.bucket = connections.environment.lake_bucket
        self._table: Table | None = None

    def make(self, parts: Iterable[pa.Table]) -> Version:
        """Make the table anew from these parts, a snapshot each; partitioned by month of business_date."""
        from pyiceberg.exceptions import NoSuchTableError
        from pyiceberg.transforms import MonthTransform

        catalog = self._catalog()
        catalog.create_namespace_if_not_exists(self.database)
        with suppress(NoSuchTableError):
            catalog.drop_table((self.database, TABLE))
        location = f"s3://{self.bucket}/bench/lake/{self.database}/{TABLE}"
        table = catalog.create_table((self.database, TABLE), SCHEMA, location=location)
        with table.update_spec() as spec:
            spec.add_field("business_date", MonthTransform(), "business_date_month")
        self._table = table
        for part in parts:
            self._commit(part)
        return self._version()

    def rewrite(self, rows: pa.Table) -> Version:
        """Replace the files of the months that these rows are of."""
        self._commit(rows)
        return self._version()

    def _commit(self, rows: pa.Table) -> None:
        """Commit one snapshot: a file a month of these rows, in the place of those that the months had."""
        from pyiceberg.io.pyarrow import write_file
        from pyiceberg.partitioning import PartitionFieldValue, PartitionKey
        from pyiceberg.table import WriteTask

        assert self._table is not None
        table, months = self._table, months_of(rows)
        spec, schema = table.spec(), table.schema()

        def task(number: int, month: int) -> WriteTask:
            value = PartitionFieldValue(spec.fields[0], month)
            return WriteTask(
                uuid.uuid4(),
                number,
                schema,
                rows.filter(pa.array(months == month)).to_batches(),
                partition_key=PartitionKey([value], spec, schema),
            )

        wanted = [int(month) for month in np.unique(months)]
        old = [item.file for item in table.scan().plan_files() if item.file.partition[0] in wanted]
        tasks = (task(number, month) for number, month in enumerate(wanted))
        with table.transaction() as transaction, transaction.update_snapshot().overwrite() as snapshot:
            for file in old:
                snapshot.delete_data_file(file)
            for file in write_file(table.io, table.metadata, tasks):
                snapshot.append_data_file(file)

    def show(self, version: Version) -> None:
        """Make a version the current one, as whoever asks the catalog sees it."""
        glue = self.connections.client("glue")
        found = glue.get_table(DatabaseName=self.database, Name=TABLE)["Table"]
        kept = {
            name: found[name]
            for name in ("Name", "TableType", "StorageDescriptor", "Parameters")
            if name in found
        }
        kept["Parameters"] = kept["Parameters"] | {"metadata_location": version.metadata_location}
        glue.update_table(DatabaseName=self.database, TableInput=kept, SkipArchive=True)

    def lay_out(self, version: Version, before: Version | None = None) -> None:
        """Put the version's data files where tools list them, a file a month; only those that are new since `before`."""
        s3 = self.connections.client("s3")
        for month, key in version.files.items():
            if before is None or before.files.get(month) != key:
                source = {"Bucket": self.bucket, "Key": key}
                s3.copy_object(Bucket=self.bucket, Key=f"{FILES_PREFIX}{month}.parquet", CopySource=source)

    def clear_layout(self) -> None:
        s3 = self.connections.client("s3")
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=FILES_PREFIX):
            for item in page.get("Contents", ()):
                s3.delete_object(Bucket=self.bucket, Key=item["Key"])

    def rows(self, version: Version) -> pa.Table:
        """Return all rows of a version."""
        from pyiceberg.table import StaticTable

        table = StaticTable.from_metadata(version.metadata_location, self._properties())
        return table.scan().to_arrow()

    def _version(self) -> Version:
        assert self._table is not None
        tasks = list(self._table.scan().plan_files())
        files = {}
        for task in tasks:
            month = np.datetime64(int(task.file.partition[0]), "M")
            files[str(month)] = task.file.file_path.removeprefix(f"s3://{self.bucket}/")
        return Version(self._table.metadata_location, sum(task.file.record_count for task in tasks), files)

    def _properties(self) -> dict[str, str]:
        connections = self.connections
        found = {"client.region": connections.region, "s3.region": connections.region}
        if connections.access_key:
            found |= {
                "client.access-key-id": connections.access_key,
                "client.secret-access-key": connections.secret_key,
            }
        for service in ("glue", "s3"):
            endpoint = connections.endpoint_urls.get(service, connections.default_endpoint_url)
            if endpoint:
                found[f"{service}.endpoint"] = endpoint
        return found

    def _catalog(self) -> Catalog:
        from pyiceberg.catalog import load_catalog

        return load_catalog("bench", type="glue", **self._properties())


def repeated(rows: pa.Table, times: int) -> Iterable[pa.Table]:
    """Yield the rows and, a year later each time, the same again: a table of so many times the months."""
    for year in range(times):
        yield later(rows, -12 * year)
