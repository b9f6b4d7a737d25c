"""A lake to sync from, written file by file: the sync must read any Iceberg table, so these are made without an engine.

`LakeWriter` commits exactly the data files, position deletes and schemas a test names, and keeps Glue's pointer; PyIceberg
writes the manifests. Each test has a table, a Glue database and a Postgres database of its own.
"""

from __future__ import annotations

import io
import itertools
import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from psycopg.conninfo import make_conninfo

from penstock.connections import Connections
from penstock.sync.checksum import row_hash_sql
from penstock.sync.columns import quoted
from penstock.sync.declaration import Declaration, Index
from penstock.sync.encode import SIGNATURE, TRAILER, encode
from penstock.sync.values import Values

BUCKET = "penstock-sync-tests"

FIELDS: list[tuple[str, str]] = [
    ("restaurant_id", "int"),
    ("inventory_item_id", "int"),
    ("business_date", "date"),
    ("dma_id", "string"),
    ("dc_id", "int"),
    ("state", "string"),
    ("y_05", "double"),
    ("y_50", "double"),
    ("y_95", "double"),
]
_ARROW = {
    "int": pa.int32(),
    "long": pa.int64(),
    "date": pa.date32(),
    "string": pa.string(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
    "float": pa.float32(),
    "time": pa.time64("us"),
    "uuid": pa.binary(16),
    "binary": pa.binary(),
}
_counter = itertools.count(1)


class LakeWriter:
    """An Iceberg table under full control. Files are named by what `add` and `delete` return."""

    def __init__(
        self,
        connections: Connections,
        database: str,
        table: str,
        fields: Sequence[tuple[str, Any]] = FIELDS,
        partition_by: tuple[str, str] | None = ("business_date", "month"),
    ) -> None:
        self._s3, self._glue = connections.client("s3"), connections.client("glue")
        self.database, self.table = database, table
        self._prefix = f"{database}/{table}/{uuid.uuid4().hex[:8]}"
        self._ids = {name: i for i, (name, _) in enumerate(fields, 1)}
        self._fields = [self._field(name, kind) for name, kind in fields]
        self._live: dict[str, dict[str, Any]] = {}
        self._manifests: dict[int, list[Any]] = {}
        self._uncommitted: list[dict[str, Any]] = []
        spec_fields = []
        if partition_by:
            name, transform = partition_by
            source = {"source-id": self._ids[name], "field-id": 1000, "name": f"{name}_{transform}"}
            spec_fields = [source | {"transform": transform}]
        self.metadata: dict[str, Any] = {
            "format-version": 2,
            "table-uuid": str(uuid.uuid4()),
            "location": f"s3://{BUCKET}/{self._prefix}",
            "last-sequence-number": 0,
            "last-updated-ms": 0,
            "last-column-id": len(fields),
            "current-schema-id": 0,
            "schemas": [{"type": "struct", "schema-id": 0, "fields": list(self._fields)}],
            "default-spec-id": 0,
            "partition-specs": [{"spec-id": 0, "fields": spec_fields}],
            "last-partition-id": 1000,
            "default-sort-order-id": 0,
            "sort-orders": [{"order-id": 0, "fields": []}],
            "properties": {},
            "current-snapshot-id": -1,
            "refs": {},
            "snapshots": [],
            "snapshot-log": [],
            "metadata-log": [],
        }
        self._publish()

    def _field(self, name: str, kind: Any) -> dict[str, Any]:
        return {"id": self._ids[name], "name": name, "required": False, "type": kind}

    # -- files -------------------------------------------------------------------------------------------------------

    def add(
        self, rows: pa.Table | list[dict[str, Any]], partition: Any = None, row_group: int = 100_000
    ) -> str:
        """Write a data file, committed with the next commit; returns its location."""
        schema = pa.schema(
            [
                pa.field(f["name"], _arrow(f["type"]), metadata={b"PARQUET:field_id": str(f["id"]).encode()})
                for f in self._fields
            ]
        )
        if isinstance(rows, list):
            table = pa.Table.from_pylist(rows, schema=schema)
        else:
            table = pa.Table.from_arrays(
                [rows[name].cast(schema.field(name).type) for name in schema.names], schema=schema
            )
        location = self._write("data", table, row_group)
        self._uncommitted.append(self._entry(location, partition, table.num_rows, 0))
        return location

    def delete(self, positions: dict[str, list[int]], partition: Any = None) -> str:
        """Write a position delete file, committed with the next commit."""
        pairs = sorted((path, position) for path, found in positions.items() for position in found)
        schema = pa.schema(
            [
                pa.field(
                    "file_path", pa.string(), nullable=False, metadata={b"PARQUET:field_id": b"2147483546"}
                ),
                pa.field("pos", pa.int64(), nullable=False, metadata={b"PARQUET:field_id": b"2147483545"}),
            ]
        )
        table = pa.table([[path for path, _ in pairs], [position for _, position in pairs]], schema=schema)
        location = self._write("deletes", table, 100_000)
        self._uncommitted.append(self._entry(location, partition, table.num_rows, 1))
        return location

    def _write(self, kind: str, table: pa.Table, row_group: int) -> str:
        sink = io.BytesIO()
        pq.write_table(table, sink, row_group_size=row_group, compression="zstd")
        return self._put(f"{kind}/{uuid.uuid4()}", sink.getvalue())

    def _put(self, name: str, body: bytes) -> str:
        key = f"{self._prefix}/{name}"
        self._s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{key}"

    def _entry(self, location: str, partition: Any, rows: int, content: int) -> dict[str, Any]:
        size = self._s3.head_object(Bucket=BUCKET, Key=location.split("/", 3)[3])["ContentLength"]
        return {"path": location, "partition": partition, "rows": rows, "size": size, "content": content}

    # -- commits -----------------------------------------------------------------------------------------------------

    def commit(self, remove: Iterable[str] = ()) -> int:
        """Commit the files written since the last commit and the removal of others; returns the snapshot's id."""
        snapshot, sequence = next(_counter) * 1_000_003, self.metadata["last-sequence-number"] + 1
        gone = set(remove)
        current = self.metadata["current-snapshot-id"]
        kept: list[Any] = []
        for entries, manifest in self._manifests.get(current, []):
            left = [entry for entry in entries if entry["path"] not in gone]
            if len(left) == len(entries):
                kept.append((entries, manifest))
            elif left:
                kept.append(self._manifest(left, snapshot, added=False))
        for content in (0, 1):
            fresh = [entry for entry in self._uncommitted if entry["content"] == content]
            for entry in fresh:
                entry |= {"sequence": sequence, "snapshot": snapshot}
            if fresh:
                kept.append(self._manifest(fresh, snapshot, added=True))
        self._uncommitted = []
        self._manifests[snapshot] = kept
        location = self._manifest_list([manifest for _, manifest in kept], snapshot, sequence)
        self.metadata["snapshots"].append(
            {
                "snapshot-id": snapshot,
                "sequence-number": sequence,
                "timestamp-ms": sequence,
                "manifest-list": location,
                "summary": {"operation": "overwrite"},
                "schema-id": self.metadata["current-schema-id"],
            }
        )
        self.metadata |= {"last-sequence-number": sequence, "current-snapshot-id": snapshot}
        self._publish()
        return snapshot

    def rollback(self, snapshot: int) -> None:
        self.metadata["current-snapshot-id"] = snapshot
        self._publish()

    def expire(self, snapshot: int) -> None:
        """Forget a snapshot, as VACUUM does."""
        self.metadata["snapshots"] = [s for s in self.metadata["snapshots"] if s["snapshot-id"] != snapshot]
        self._publish()

    def evolve(
        self,
        *,
        add: Iterable[tuple[str, str]] = (),
        drop: Iterable[str] = (),
        rename: dict[str, str] | None = None,
        widen: dict[str, str] | None = None,
    ) -> None:
        """Publish a new schema; existing files stay as they are."""
        for name, kind in add:
            self._ids[name] = self.metadata["last-column-id"] = self.metadata["last-column-id"] + 1
            self._fields.append(self._field(name, kind))
        self._fields = [
            field
            | {
                "name": (rename or {}).get(field["name"], field["name"]),
                "type": (widen or {}).get(field["name"], field["type"]),
            }
            for field in self._fields
            if field["name"] not in drop
        ]
        number = self.metadata["current-schema-id"] + 1
        self.metadata["schemas"].append({"type": "struct", "schema-id": number, "fields": list(self._fields)})
        self.metadata["current-schema-id"] = number
        self._publish()

    def touch(self) -> None:
        """Publish new metadata with nothing changed in it but a property."""
        self.metadata["properties"]["touched"] = str(next(_counter))
        self._publish()

    def _publish(self) -> None:
        location = self._put(
            f"metadata/{next(_counter):05d}.metadata.json", json.dumps(self.metadata).encode()
        )
        table = {
            "Name": self.table,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"table_type": "ICEBERG", "metadata_location": location},
            "StorageDescriptor": {"Location": self.metadata["location"], "Columns": []},
        }
        try:
            self._glue.update_table(DatabaseName=self.database, TableInput=table)
        except self._glue.exceptions.EntityNotFoundException:
            self._glue.create_table(DatabaseName=self.database, TableInput=table)

    def _manifest(
        self, entries: list[dict[str, Any]], snapshot: int, *, added: bool
    ) -> tuple[list[dict[str, Any]], Any]:
        from pyiceberg.manifest import (
            DataFile,
            DataFileContent,
            FileFormat,
            ManifestContent,
            ManifestEntry,
            ManifestEntryStatus,
            ManifestWriterV2,
        )
        from pyiceberg.table.metadata import TableMetadataV2
        from pyiceberg.typedef import Record

        content = entries[0]["content"]

        class Writer(ManifestWriterV2):
            def content(self) -> ManifestContent:
                return ManifestContent(content)

            @property
            def _meta(self) -> dict[str, str]:
                return super()._meta | {"content": "deletes" if content else "data"}

        parsed = TableMetadataV2.model_validate(self.metadata)
        output = _Output(self, f"metadata/{uuid.uuid4()}-m0.avro")
        with Writer(parsed.spec(), parsed.schema(), output, snapshot, "deflate") as writer:
            for entry in entries:
                file = DataFile.from_args(
                    content=DataFileContent(content),
                    file_path=entry["path"],
                    file_format=FileFormat.PARQUET,
                    partition=Record(entry["partition"]) if parsed.spec().fields else Record(),
                    record_count=entry["rows"],
                    file_size_in_bytes=entry["size"],
                )
                if added:
                    record = ManifestEntry.from_args(
                        status=ManifestEntryStatus.ADDED,
                        snapshot_id=snapshot,
                        sequence_number=None,
                        data_file=file,
                    )
                else:
                    record = ManifestEntry.from_args(
                        status=ManifestEntryStatus.EXISTING,
                        snapshot_id=entry["snapshot"],
                        sequence_number=entry["sequence"],
                        file_sequence_number=entry["sequence"],
                        data_file=file,
                    )
                writer.add_entry(record)
        return entries, writer.to_manifest_file()

    def _manifest_list(self, manifests: list[Any], snapshot: int, sequence: int) -> str:
        from pyiceberg.manifest import write_manifest_list

        output = _Output(self, f"metadata/snap-{snapshot}-{uuid.uuid4()}.avro")
        with write_manifest_list(2, output, snapshot, None, sequence, "deflate") as writer:
            writer.add_manifests(manifests)
        for manifest in manifests:  # what the writer assigned, so that a later list may carry the manifest on
            if manifest.sequence_number == -1:
                manifest.sequence_number = sequence
            if manifest.min_sequence_number == -1:
                manifest.min_sequence_number = sequence
        return output.location


class _Output:
    """PyIceberg's OutputFile over one put."""

    def __init__(self, writer: LakeWriter, name: str) -> None:
        self._writer, self._name, self._size = writer, name, 0
        self.location = f"{writer.metadata['location']}/{name}"

    def __len__(self) -> int:
        return self._size

    def create(self, overwrite: bool = False) -> io.BytesIO:  # noqa: ARG002 - names are unique
        output = self

        class Sink(io.BytesIO):
            def close(self) -> None:
                if not self.closed:
                    body = self.getvalue()
                    output._size = len(body)
                    output._writer._put(output._name, body)
                super().close()

        return Sink()


def _arrow(kind: Any) -> pa.DataType:
    """Return the Arrow type of an Iceberg type, nested ones (JSON) with the field ids that a writer leaves in the file."""
    if isinstance(kind, dict):
        if kind["type"] == "struct":
            return pa.struct(
                [_arrow_field(item["name"], item["id"], item["type"]) for item in kind["fields"]]
            )
        if kind["type"] == "list":
            return pa.list_(_arrow_field("element", kind["element-id"], kind["element"]))
        key = _arrow_field("key", kind["key-id"], kind["key"]).with_nullable(False)
        return pa.map_(key, _arrow_field("value", kind["value-id"], kind["value"]))
    if kind.startswith("decimal"):
        precision, scale = kind[8:-1].split(",")
        return pa.decimal128(int(precision), int(scale))
    return _ARROW[kind]


def _arrow_field(name: str, number: int, kind: Any) -> pa.Field:
    return pa.field(name, _arrow(kind), metadata={b"PARQUET:field_id": str(number).encode()})


@pytest.fixture(scope="session")
def lake_server(stack_without_athena: Connections) -> Connections:
    """S3 and Postgres of the stack; the emulator's own Glue keeps the pointers, so that no engine is in the way."""
    urls = stack_without_athena.endpoint_urls
    s3 = urls.get("s3", stack_without_athena.default_endpoint_url)
    connections = replace(stack_without_athena, endpoint_urls=urls | {"glue": s3})
    client = connections.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": connections.region})
    return connections


@pytest.fixture
def lake(lake_server: Connections) -> Iterator[Connections]:
    """The lake with a Postgres database of the test's own."""
    name = f"sync_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(lake_server.database_url, autocommit=True) as admin:
        admin.execute(f"create database {name}".encode())
    yield replace(lake_server, database_url=make_conninfo(lake_server.database_url, dbname=name))
    with psycopg.connect(lake_server.database_url, autocommit=True) as admin:
        admin.execute(f"drop database {name} with (force)".encode())


@pytest.fixture
def database(lake: Connections) -> str:
    """A Glue database of the test's own."""
    name = f"marts_{uuid.uuid4().hex[:12]}"
    lake.client("glue").create_database(DatabaseInput={"Name": name})
    return name


@pytest.fixture
def forecast(lake: Connections, database: str) -> LakeWriter:
    """An empty forecast mart, by month of business_date."""
    return LakeWriter(lake, database, "fct_forecast")


def _declaration(database: str) -> Declaration:
    return Declaration(
        model="fct_forecast",
        lake_database=database,
        lake_table="fct_forecast",
        table="forecast_data",
        status_table="forecast_sync_status",
        key=("restaurant_id", "inventory_item_id", "business_date"),
        columns={
            "y_05": "decimal(10,2)",
            "y_50": "decimal(10,2) not null",
            "y_95": "decimal(10,2)",
            "state": "varchar(2) not null",
            "dma_id": "varchar(50)",
        },
        indexes=(
            Index(("business_date",)),
            Index(("state",)),
            Index(("state", "business_date")),
            Index(("dma_id",), "dma_id is not null"),
            Index(("dc_id",), "dc_id is not null"),
            Index(("state", "dma_id", "dc_id", "business_date")),
        ),
    )


@pytest.fixture
def declared(database: str) -> Declaration:
    """The forecast mart's declaration, as the spec has it."""
    return _declaration(database)


@pytest.fixture(scope="session")
def forecast_declaration() -> Callable[[str], Declaration]:
    """Returns the forecast mart's declaration for a lake database."""
    return _declaration


@pytest.fixture(scope="session")
def lake_writer_class() -> type[LakeWriter]:
    return LakeWriter


@pytest.fixture
def lake_writer() -> type[LakeWriter]:
    return LakeWriter


@pytest.fixture(scope="session")
def copied() -> Callable[[psycopg.Connection[Any], list[Values]], tuple[int, int]]:
    """Copies values into a temporary table `t`; returns its rows and the checksum that Postgres computes."""

    def copy(connection: psycopg.Connection[Any], values: list[Values]) -> tuple[int, int]:
        columns = [value.column for value in values]
        connection.execute("drop table if exists t")
        lines = ", ".join(f"{quoted(column.name)} {column.sql}" for column in columns)
        connection.execute(f"create temporary table t ({lines})".encode())
        with connection.cursor().copy("copy t from stdin (format binary)") as target:
            for block in (SIGNATURE, *encode(values), TRAILER):
                target.write(block)
        statement = f"select count(*), sum({row_hash_sql(columns, 't')}) from t"
        row = connection.execute(statement.encode()).fetchone()
        assert row is not None
        return row[0], int(row[1])

    return copy
