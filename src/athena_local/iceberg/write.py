"""Data files: DuckDB writes Parquet to the spool, one directory a partition, several threads carry it to S3.

Each file carries field ids; what Iceberg keeps of it (counts, bounds, partition) comes from what DuckDB's COPY reports, so
no file is read again. Position delete files are written the same way, in the specification's layout.
"""

from __future__ import annotations

import datetime
import uuid
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyiceberg import types
from pyiceberg.conversions import to_bytes
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.typedef import Record as Partition

from athena_local.config import MAX_OPEN_PARTITIONS
from athena_local.errors import QueryError
from athena_local.iceberg import partitions, properties
from athena_local.iceberg.scans import scalar
from athena_local.iceberg.schema import field_ids, leaves, text
from athena_local.types import quote

if TYPE_CHECKING:
    from pyiceberg.partitioning import PartitionSpec

    from athena_local.engine.session import Session
    from athena_local.iceberg.table import IcebergTable

FILE_SIZE_BYTES = 512 * 1024**2  # Athena's and Iceberg's default target; DuckDB checks it at each row group
UPLOAD_THREADS = 8  # uploads wait for the network more than for the processor; more than 16 gains nothing
BOUND_CHARACTERS = 16  # Iceberg's default truncate(16) of string bounds
DELETE_PATH_ID, DELETE_POS_ID = 2147483546, 2147483545  # reserved by the specification
_PARTITION_COLUMN = "__iceberg_partition_"


def write_data(session: Session, table: IcebergTable, query: str) -> list[DataFile]:
    """Write a query's rows (its columns are the table's, in order) and return the files, uploaded and ready to be committed.

    Raises ICEBERG_TOO_MANY_OPEN_PARTITIONS above 100 partitions, before anything is uploaded.
    """
    schema, spec = table.schema, table.metadata.spec()
    out = session.spool / f"write-{uuid.uuid4().hex}"
    columns = ", ".join(quote(field.name) for field in schema.fields)
    if not spec.fields:
        out.mkdir()
        rows = _copy(session, f"SELECT {columns} FROM ({query})", out, table, [])
    else:
        keys = [f"{_PARTITION_COLUMN}{number}" for number in range(len(spec.fields))]
        values = ", ".join(
            f"{partitions.sql(field, schema, session.connection)} AS {key}"
            for field, key in zip(spec.fields, keys, strict=True)
        )
        source = f"SELECT {columns}, {values} FROM ({query})"
        if partitions.is_costly(spec, schema):
            source = _counted(session, source, keys)
        rows = _copy(session, source, out, table, keys)
        if len({tuple(row[5].items()) for row in rows}) > MAX_OPEN_PARTITIONS:
            raise _too_many()
    _check_required(table, rows)
    return _upload(session, table, spec, rows)


def _check_required(table: IcebergTable, rows: list[tuple[Any, ...]]) -> None:
    for field in table.schema.fields:
        if field.required and any(
            int(row[4].get(quote(field.name), {}).get("null_count", 0)) for row in rows
        ):
            raise QueryError(
                "CONSTRAINT_VIOLATION", f"NULL value not allowed for NOT NULL column: {field.name}"
            )


def _counted(session: Session, source: str, keys: list[str]) -> str:
    name = f"counted_{uuid.uuid4().hex}"
    session.execute(f"CREATE TEMP TABLE {name} AS {source}")
    listed = ", ".join(keys)
    sql = f"SELECT count(*) FROM (SELECT DISTINCT {listed} FROM {name} LIMIT {MAX_OPEN_PARTITIONS + 1})"
    if scalar(session, sql) > MAX_OPEN_PARTITIONS:
        raise _too_many()
    return f"SELECT * FROM {name}"


def _too_many() -> QueryError:
    return QueryError(
        "ICEBERG_TOO_MANY_OPEN_PARTITIONS",
        f"Exceeded limit of {MAX_OPEN_PARTITIONS} open writers for partitions",
    )


def _copy(
    session: Session, sql: str, out: Path, table: IcebergTable, keys: list[str]
) -> list[tuple[Any, ...]]:
    options = [
        "FORMAT parquet",
        f"COMPRESSION {properties.codec(table.metadata.properties)}",
        f"FIELD_IDS {field_ids(table.schema)}",
        f"FILE_SIZE_BYTES {target_size(table)}",
        f"ROW_GROUP_SIZE_BYTES {session.row_group_bytes}",
        "FILENAME_PATTERN '{uuid}'",
        "RETURN_STATS true",
        "OVERWRITE_OR_IGNORE true",
    ]
    level = properties.level(table.metadata.properties)
    if level is not None:
        options.append(f"COMPRESSION_LEVEL {level}")
    if keys:
        options += [f"PARTITION_BY ({', '.join(keys)})", "WRITE_PARTITION_COLUMNS false"]
    rows = session.execute(f"COPY ({sql}) TO {text(str(out))} ({', '.join(options)})").fetchall()
    return [row for row in rows if row[1] > 0]


def target_size(table: IcebergTable) -> int:
    return properties.number(table, properties.TARGET_SIZE_PROPERTY, FILE_SIZE_BYTES)


def _upload(
    session: Session, table: IcebergTable, spec: PartitionSpec, rows: list[tuple[Any, ...]]
) -> list[DataFile]:
    schema = table.schema
    columns = list(leaves(schema))
    types_of_spec = spec.fields

    def carry(row: tuple[Any, ...]) -> DataFile:
        session.check_cancelled()
        local = Path(row[0])
        values = [
            partitions.value(row[5][f"{_PARTITION_COLUMN}{number}"], field, schema)
            for number, field in enumerate(types_of_spec)
        ]
        partition = Partition(*values)
        folder = f"{spec.partition_to_path(partition, schema)}/" if types_of_spec else ""
        path = f"{data_location(table)}/{folder}{uuid.uuid4()}.parquet"
        table.io.written.append(path)
        session.context.objects.upload(local, path)
        data_file = _data_file(path, row, partition, spec.spec_id, columns, _split_offsets(local))
        local.unlink()
        return data_file

    with ThreadPoolExecutor(UPLOAD_THREADS) as pool:
        return list(pool.map(carry, rows))


def data_location(table: IcebergTable) -> str:
    configured = table.metadata.properties.get("write.data.path")
    return configured.rstrip("/") if configured else f"{table.metadata.location.rstrip('/')}/data"


def _split_offsets(local: Path) -> list[int]:
    """Return where each row group begins, by which other engines read a file in parts."""
    import pyarrow.parquet as pq

    footer = pq.read_metadata(local)
    first = [footer.row_group(number).column(0) for number in range(footer.num_row_groups)]
    return [
        column.dictionary_page_offset if column.has_dictionary_page else column.data_page_offset
        for column in first
    ]


def _data_file(
    path: str,
    row: tuple[Any, ...],
    partition: Partition,
    spec_id: int,
    columns: list[Any],
    split_offsets: list[int],
) -> DataFile:
    _, count, size, _, statistics, *_ = row
    sizes, values, nulls, nans, lower, upper = {}, {}, {}, {}, {}, {}
    for name, field_id, kind, bounded in columns:
        found = statistics.get(name)
        if found is None:
            continue
        if "column_size_bytes" in found:
            sizes[field_id] = int(found["column_size_bytes"])
        if "num_values" in found:
            values[field_id] = int(found["num_values"])
        if "null_count" in found:
            nulls[field_id] = int(found["null_count"])
        if "nan_count" in found:
            nans[field_id] = int(found["nan_count"])
        if bounded and found.get("has_nan", "false") == "false":
            low, high = _bound(found, "min", kind), _bound(found, "max", kind)
            if low is not None:
                lower[field_id] = low
            if high is not None:
                upper[field_id] = high
    data_file = DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=path,
        file_format=FileFormat.PARQUET,
        partition=partition,
        record_count=count,
        file_size_in_bytes=size,
        column_sizes=sizes,
        value_counts=values,
        null_value_counts=nulls,
        nan_value_counts=nans,
        lower_bounds=lower,
        upper_bounds=upper,
        key_metadata=None,
        split_offsets=split_offsets,
        equality_ids=None,
        sort_order_id=None,
    )
    data_file.spec_id = spec_id
    return data_file


def _bound(found: dict[str, str], side: str, kind: types.PrimitiveType) -> bytes | None:
    """Return a bound as Iceberg serializes it; None where there is none or it cannot be told exactly."""
    if found.get(side) is None or found.get(f"{side}_is_exact", "true") != "true":
        return None
    value = found[side]
    if isinstance(kind, types.StringType):
        return _string_bound(value, side)
    try:
        return _serialize(value, kind)
    except (ValueError, TypeError, ArithmeticError):
        return None  # dates outside Python's calendar and the like: no bound is always right


def _serialize(value: str, kind: types.PrimitiveType) -> bytes | None:
    if isinstance(kind, types.BooleanType):
        return to_bytes(kind, value == "true")
    if isinstance(kind, (types.IntegerType, types.LongType)):
        return to_bytes(kind, int(value))
    if isinstance(kind, (types.FloatType, types.DoubleType)):
        return to_bytes(kind, float(value))
    if isinstance(kind, types.DecimalType):
        return to_bytes(kind, Decimal(value).quantize(Decimal(1).scaleb(-kind.scale)))
    if isinstance(kind, types.DateType):
        return to_bytes(kind, datetime.date.fromisoformat(value))
    if isinstance(kind, types.TimestampType):
        return to_bytes(kind, datetime.datetime.fromisoformat(value))
    if isinstance(kind, types.TimestamptzType):
        return to_bytes(kind, datetime.datetime.fromisoformat(value))
    return None


def _string_bound(value: str, side: str) -> bytes | None:
    if len(value) <= BOUND_CHARACTERS:
        return value.encode()
    cut = value[:BOUND_CHARACTERS]
    if side == "min":
        return cut.encode()
    for position in range(len(cut) - 1, -1, -1):  # the least string of this length above all that begin so
        code = ord(cut[position]) + 1
        if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF:
            return (cut[:position] + chr(code)).encode()
    return None


def write_deletes(
    session: Session, table: IcebergTable, rows: str, partition: Partition, spec: PartitionSpec
) -> DataFile:
    """Write one position delete file, sorted: `rows` is a query of file_path and pos, all of one partition."""
    local = session.spool / f"delete-{uuid.uuid4().hex}.parquet"
    options = (
        f"FORMAT parquet, COMPRESSION zstd, FIELD_IDS {{file_path: {DELETE_PATH_ID}, pos: {DELETE_POS_ID}}}"
    )
    session.execute(f"COPY ({rows} ORDER BY file_path, pos) TO {text(str(local))} ({options})")
    sql = f"SELECT count(*), min(file_path), max(file_path), min(pos), max(pos) FROM ({rows})"
    count, first, last, least, most = session.execute(sql).fetchall()[0]
    folder = f"{spec.partition_to_path(partition, table.schema)}/" if spec.fields else ""
    path = f"{data_location(table)}/{folder}{uuid.uuid4()}-deletes.parquet"
    table.io.written.append(path)
    size = local.stat().st_size
    session.context.objects.upload(local, path)
    local.unlink()
    delete_file = DataFile.from_args(
        content=DataFileContent.POSITION_DELETES,
        file_path=path,
        file_format=FileFormat.PARQUET,
        partition=partition,
        record_count=count,
        file_size_in_bytes=size,
        column_sizes=None,
        value_counts={DELETE_PATH_ID: count, DELETE_POS_ID: count},
        null_value_counts={DELETE_PATH_ID: 0, DELETE_POS_ID: 0},
        nan_value_counts=None,
        # never truncated: readers match a file's path against them
        lower_bounds={DELETE_PATH_ID: first.encode(), DELETE_POS_ID: to_bytes(types.LongType(), least)},
        upper_bounds={DELETE_PATH_ID: last.encode(), DELETE_POS_ID: to_bytes(types.LongType(), most)},
        key_metadata=None,
        split_offsets=None,
        equality_ids=None,
        sort_order_id=None,
    )
    delete_file.spec_id = spec.spec_id
    return delete_file
