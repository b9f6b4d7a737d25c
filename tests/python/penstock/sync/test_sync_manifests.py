"""Manifests as the sync reads them are what PyIceberg, Iceberg's own Python library, makes of the same bytes."""

import io
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any

import fastavro
import pyiceberg.manifest as theirs
import pytest
from pyiceberg.io import load_file_io

from penstock.errors import PlanError, SyncError
from penstock.sync.lake import LakeObjects, LakeTable, locate
from penstock.sync.manifests import ManifestFile, read_manifest, read_manifest_list

MANIFEST = ManifestFile("s3://b/m.avro", 3, 7, 1, 0, ())


def entry(**file: Any) -> dict[str, Any]:
    known = {"file_path": "s3://b/f", "file_format": "PARQUET", "record_count": 5, "file_size_in_bytes": 6}
    return {"status": 1, "sequence_number": None, "data_file": {"content": 0, "partition": {}} | known | file}


def written(entries: list[dict[str, Any]], *partition: dict[str, Any], codec: str = "deflate") -> bytes:
    """The entries as an Avro file like a manifest."""
    record = {"type": "record", "name": "r102", "fields": list(partition)}
    fields = [
        {"name": "content", "type": "int"},
        {"name": "file_path", "type": "string"},
        {"name": "file_format", "type": "string"},
        {"name": "partition", "type": record},
        {"name": "record_count", "type": "long"},
        {"name": "file_size_in_bytes", "type": "long"},
    ]
    schema = {
        "type": "record",
        "name": "manifest_entry",
        "fields": [
            {"name": "status", "type": "int"},
            {"name": "sequence_number", "type": ["null", "long"]},
            {"name": "data_file", "type": {"type": "record", "name": "r2", "fields": fields}},
        ],
    }
    sink = io.BytesIO()
    fastavro.writer(sink, schema, entries, codec=codec)
    return sink.getvalue()


@pytest.mark.stack
def test_files_are_those_that_pyiceberg_reads(lake, database, forecast):
    rows = {
        "restaurant_id": 1,
        "inventory_item_id": 2,
        "business_date": date(2025, 1, 5),
        "dma_id": "A",
        "dc_id": 3,
        "state": "CA",
        "y_05": 1.0,
        "y_50": 2.0,
        "y_95": 3.0,
    }
    january, february = ((2025 - 1970) * 12 + month for month in (0, 1))
    first = forecast.add([rows, rows | {"restaurant_id": 2}], january)
    forecast.add([rows | {"business_date": date(2025, 2, 1)}], february)
    forecast.commit()
    forecast.delete({first: [1]}, january)
    gone = forecast.add([rows | {"restaurant_id": 9}], january)
    forecast.commit()
    forecast.commit(remove=[gone])

    table = LakeTable(LakeObjects(lake), locate(lake.client("glue"), database, "fct_forecast"))
    manifests = table.manifests(table.snapshot_id)
    ours = {
        (file.location, file.size, file.rows, file.partition, file.sequence, file.deletes)
        for file in table.files(manifests.values())
    }
    reader = load_file_io(
        {
            "s3.endpoint": lake.endpoint_urls["s3"],
            "s3.access-key-id": lake.access_key,
            "s3.secret-access-key": lake.secret_key,
            "s3.region": lake.region,
        }
    )
    snapshot = next(
        item for item in forecast.metadata["snapshots"] if item["snapshot-id"] == table.snapshot_id
    )
    listed = list(theirs.read_manifest_list(reader.new_input(snapshot["manifest-list"])))
    expected = {
        (
            found.data_file.file_path,
            found.data_file.file_size_in_bytes,
            found.data_file.record_count,
            (found.data_file.partition[0],),
            found.sequence_number,
            found.data_file.content == theirs.DataFileContent.POSITION_DELETES,
        )
        for manifest in listed
        for found in manifest.fetch_manifest_entry(reader)
    }
    assert ours == expected
    assert len(ours) == 3
    assert {
        (item.manifest_path, item.partition_spec_id, item.sequence_number, item.added_files_count)
        for item in manifests.values()
    } == {
        (item.manifest_path, item.partition_spec_id, item.sequence_number, item.added_files_count)
        for item in listed
    }


@pytest.mark.parametrize(
    ("kind", "value", "counted"),
    [
        ({"type": "int", "logicalType": "date"}, date(1969, 12, 30), -2),
        (
            {"type": "long", "logicalType": "timestamp-micros"},
            datetime(1970, 1, 1, 0, 0, 1, 5, UTC),
            1_000_005,
        ),
        ({"type": "long", "logicalType": "time-micros"}, time(1, 0, 0, 7), 3_600_000_007),
        ("string", "CA", "CA"),
        (["null", "int"], None, None),
    ],
)
def test_partition_values_are_as_iceberg_counts_them(kind, value, counted):
    body = written([entry(partition={"p": value})], {"name": "p", "type": kind})
    (file,) = read_manifest(body, MANIFEST)
    assert (file.partition, file.spec_id) == ((counted,), 3)


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy", "zstandard"])
def test_every_codec_of_icebergs_manifests_is_read(codec):
    (file,) = read_manifest(written([entry()], codec=codec), MANIFEST)
    assert (file.location, file.rows, file.size) == ("s3://b/f", 5, 6)


def test_only_added_files_have_their_manifests_sequence_number_and_deleted_ones_are_left_out():
    known = entry(file_path="s3://b/known") | {"status": 0, "sequence_number": 4}
    body = written([entry(), known, entry(file_path="s3://b/gone") | {"status": 2}])
    found = {file.location: file.sequence for file in read_manifest(body, MANIFEST)}
    assert found == {"s3://b/f": 7, "s3://b/known": 4}
    old = replace(MANIFEST, sequence_number=0)  # version 1 has no sequence numbers
    assert {file.sequence for file in read_manifest(written([entry() | {"status": 0}]), old)} == {0}


@pytest.mark.parametrize(
    "file", [{"content": 2}, {"file_format": "PUFFIN", "content": 1}, {"file_format": "ORC"}]
)
def test_what_is_not_read_is_refused_by_name(file):
    with pytest.raises(PlanError, match="s3://b/f"):
        read_manifest(written([entry(**file)]), MANIFEST)


@pytest.mark.parametrize("damage", [lambda body: body[:-9], lambda _: b"", lambda _: b"<Error/>"])
def test_bytes_that_are_no_manifest_are_named(damage):
    with pytest.raises(SyncError, match=r"s3://b/m.avro is no readable Avro file"):
        read_manifest(damage(written([entry()] * 3)), MANIFEST)
    with pytest.raises(SyncError, match=r"s3://b/list"):
        read_manifest_list(b"not Avro", "s3://b/list")
