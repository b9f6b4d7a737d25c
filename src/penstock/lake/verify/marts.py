"""What a mart is made of: its kind, columns, partition spec, properties, and the codecs in its data files' footers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.lake.verify.expected import Mart, Partition, field_type, iceberg_type
from penstock.lake.verify.report import Notes, listed
from penstock.sync.lake import LakeObjects, LakeTable, split
from penstock.sync.manifests import LakeFile

REBUILD = "invoke build --full-refresh --select {model}, unless the model's own yml or SQL is what is wrong"

# Data files whose footers are read of each mart: the first, the last and those evenly between. A footer is a few kB.
FOOTERS = 8
_TAIL_BYTES = 8  # a Parquet file ends with its footer's length, 4 bytes, and its magic


def kind(mart: Mart, table: Mapping[str, Any], notes: Notes) -> bool:
    """Note whether the table is what the model's table_type says; return whether it is Iceberg."""
    found = str((table.get("Parameters") or {}).get("table_type") or "").lower()
    iceberg = found == "iceberg" and "metadata_location" in table["Parameters"]
    told = "Iceberg" if iceberg else f"no Iceberg table ({table.get('TableType') or 'of no type'})"
    due = "Iceberg" if mart.iceberg else "no Iceberg table"
    notes.add(
        "table type", mart.name, told, due, "ok" if iceberg == mart.iceberg else "failed",
        REBUILD.format(model=mart.model),
    )  # fmt: skip
    return iceberg


def columns(mart: Mart, table: Mapping[str, Any], lake: LakeTable | None, notes: Notes) -> None:
    """Note whether columns and types are exactly the contract's, in the catalog as in the table's own metadata."""
    if not mart.columns:
        notes.skip("columns", mart.name, "the model has no contract")
        return
    shown = {
        column["Name"]: iceberg_type(column["Type"])
        for column in table["StorageDescriptor"]["Columns"]
        # a column that was dropped stays in the catalog, marked
        if (column.get("Parameters") or {}).get("iceberg.field.current", "true") == "true"
    }
    told = [f"catalog: {text}" for text in differing(shown, mart.columns)]
    own = shown
    if lake is not None:
        own = {item["name"]: field_type(item["type"]) for item in lake.fields()}
        told = [*differing(own, mart.columns), *(told if own != shown else [])]
    due = f"{len(mart.columns)} columns as the contract has them"
    todo = REBUILD.format(model=mart.model)
    if told:
        notes.add("columns", mart.name, "; ".join(told), due, "failed", todo)
    elif list(own) != list(mart.columns):
        notes.add("columns", mart.name, f"in another order: {', '.join(own)}", due, "warning", todo)
    else:
        notes.add("columns", mart.name, f"{len(own)} columns as the contract has them", due)


def differing(found: Mapping[str, str], due: Mapping[str, str]) -> list[str]:
    """Return each difference of two tables' columns in words."""
    return [
        *(f"{name} is missing" for name in due if name not in found),
        *(f"{name} is not declared" for name in found if name not in due),
        *(
            f"{name} is {found[name]}, not {kind}"
            for name, kind in due.items()
            if found.get(name, kind) != kind
        ),
    ]


def partitions(mart: Mart, lake: LakeTable, notes: Notes) -> None:
    """Note whether the partition spec in force is the model's."""
    names = {item["id"]: item["name"] for item in lake.fields()}
    found: list[Partition] = [
        (field["transform"], names.get(field["source-id"], "a dropped column"))
        for field in lake.spec.get("fields", [])
        if field["transform"] != "void"
    ]
    todo = f"{REBUILD.format(model=mart.model)}; invoke lake.repartition does it without a gap"
    notes.equal("partition spec", mart.name, _spec(found), _spec(mart.partitions), todo)


def _spec(fields: Sequence[Partition]) -> str:
    return (
        ", ".join(name if transform == "identity" else f"{transform}({name})" for transform, name in fields)
        or "none"
    )


def properties(mart: Mart, lake: LakeTable, notes: Notes) -> None:
    """Note whether format, compression and the model's other properties are those of the table."""
    have = lake.properties
    wrong = [name for name, value in mart.properties.items() if have.get(name, "").lower() != value.lower()]
    found = {name: have.get(name, "not set") for name in wrong or mart.properties}
    due = {name: mart.properties[name] for name in wrong or mart.properties}
    notes.add(
        "properties", mart.name, _pairs(found), _pairs(due), "failed" if wrong else "ok",
        f'invoke query "alter table {mart.name} set tblproperties (…)", or {REBUILD.format(model=mart.model)}',
    )  # fmt: skip


def _pairs(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def footers(mart: Mart, objects: LakeObjects, files: Sequence[LakeFile], notes: Notes) -> None:
    """Note whether a sample of the data files is Parquet in the model's codec, with the rows that the manifest names."""
    data = sorted((file for file in files if not file.deletes), key=lambda file: file.location)
    if not data:
        notes.skip("data files", mart.name, "the table has none")
        return
    step = max(1, -(-len(data) // FOOTERS))
    sample = data[::step]
    wrong = [text for file in sample if (text := _fault(objects, file, mart.codec))]
    due = f"Parquet, {mart.codec or 'any codec'}, as many rows as the manifest says"
    told = f"{len(sample)} of {len(data):,} files looked at"
    notes.add(
        "data files", mart.name, listed(wrong) or told, due, "failed" if wrong else "ok",
        f"{REBUILD.format(model=mart.model)}: it writes them anew",
    )  # fmt: skip


def _fault(objects: LakeObjects, file: LakeFile, codec: str) -> str:
    """Return what is wrong with a file by its footer, empty where nothing is. A missing file is another check's."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    name = file.location.rpartition("/")[2]
    bucket, key = split(file.location)
    missing = objects.client.exceptions.NoSuchKey
    try:
        tail = _range(objects.client, bucket, key, _TAIL_BYTES)
        length = int.from_bytes(tail[:4], "little") + _TAIL_BYTES
        metadata = pq.read_metadata(
            pa.BufferReader(_range(objects.client, bucket, key, min(length, file.size)))
        )
    except missing:
        return ""
    except (pa.ArrowInvalid, OSError) as error:
        return f"{name} is no Parquet file ({str(error).splitlines()[0]})"
    codecs = {
        metadata.row_group(group).column(column).compression.lower()
        for group in range(metadata.num_row_groups)
        for column in range(metadata.num_columns)
    }
    if metadata.num_rows != file.rows:
        return f"{name} holds {metadata.num_rows:,} rows, not {file.rows:,}"
    if codec and codecs - {codec}:
        return f"{name} is compressed by {', '.join(sorted(codecs))}"
    return ""


def _range(client: Any, bucket: str, key: str, last: int) -> bytes:
    body: bytes = client.get_object(Bucket=bucket, Key=key, Range=f"bytes=-{last}")["Body"].read()
    return body
