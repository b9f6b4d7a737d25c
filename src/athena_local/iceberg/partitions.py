"""Partition transforms: read as Athena spells them, named as Iceberg names them, computed in DuckDB.

Athena knows year, month, day, hour, bucket, truncate and the bare column; anything else is refused. A CTAS has
`'bucket(n, 16)'`, CREATE TABLE `bucket(16, n)`: either order is taken in both, the number tells them apart.
"""

from __future__ import annotations

import re
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pyiceberg import transforms as ice
from pyiceberg import types
from pyiceberg.partitioning import PARTITION_FIELD_ID_START, PartitionField, PartitionSpec

from athena_local.errors import QueryError
from athena_local.types import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb
    from pyiceberg.schema import Schema
    from pyiceberg.types import IcebergType, NestedField

_TIMES: dict[str, ice.Transform[Any, Any]] = {
    "year": ice.YearTransform(),
    "month": ice.MonthTransform(),
    "day": ice.DayTransform(),
    "hour": ice.HourTransform(),
}
_CALL = re.compile(r"^\s*(\w+)\s*\(\s*(.+?)\s*\)\s*$")
_TEMPORAL = (types.DateType, types.TimestampType, types.TimestamptzType)


def parse_spec(texts: Sequence[str], schema: Schema) -> PartitionSpec:
    """Return the spec that the entries of `partitioning` mean; raises QueryError for an unknown column or transform."""
    fields = []
    for number, text in enumerate(texts):
        column, transform, suffix = _parse(text)
        if "." in column:
            raise QueryError("NOT_SUPPORTED", f"Partitioning by nested field is unsupported: {column}")
        source = _source(schema, column, text)
        if not transform.can_transform(source.field_type):
            raise _invalid(text)
        fields.append(
            PartitionField(
                source.field_id, PARTITION_FIELD_ID_START + number, transform, source.name + suffix
            )
        )
    if len({field.name for field in fields}) != len(fields):
        raise QueryError("INVALID_TABLE_PROPERTY", f"Duplicate partition fields: {', '.join(texts)}")
    return PartitionSpec(*fields)


def _invalid(text: str) -> QueryError:
    return QueryError(
        "INVALID_TABLE_PROPERTY",
        f"Unable to parse partitioning value: Invalid partition field declaration: {text}",
    )


def _source(schema: Schema, column: str, text: str) -> NestedField:
    try:
        return schema.find_field(column, case_sensitive=False)
    except ValueError as error:
        raise QueryError(
            "INVALID_TABLE_PROPERTY", f"Unable to parse partitioning value: Cannot find column: {text}"
        ) from error


def _parse(text: str) -> tuple[str, ice.Transform[Any, Any], str]:
    call = _CALL.match(text)
    if not call:
        return _name(text), ice.IdentityTransform(), ""
    function, arguments = call.group(1).lower(), [part.strip() for part in call.group(2).split(",")]
    if function in _TIMES and len(arguments) == 1:
        return _name(arguments[0]), _TIMES[function], f"_{function}"
    if function in {"bucket", "truncate"} and len(arguments) == 2:
        numbers = [part for part in arguments if part.isdigit()]
        names = [part for part in arguments if not part.isdigit()]
        if len(numbers) == 1 and int(numbers[0]) > 0:
            width = int(numbers[0])
            if function == "bucket":
                return _name(names[0]), ice.BucketTransform(width), "_bucket"
            return _name(names[0]), ice.TruncateTransform(width), "_trunc"
    raise _invalid(text)


def _name(text: str) -> str:
    return text.strip().strip('`"').lower()


def sql(field: PartitionField, schema: Schema, connection: duckdb.DuckDBPyConnection) -> str:
    """Return the DuckDB expression of a partition value, in the form `value` reads back."""
    source = schema.find_field(field.source_id)
    column, kind, transform = quote(source.name), source.field_type, field.transform
    if isinstance(transform, ice.IdentityTransform):
        return _identity(column, kind)
    if isinstance(transform, ice.TruncateTransform):
        return _truncate(column, kind, transform.width)
    if isinstance(transform, ice.BucketTransform):
        return f"{_bucket_function(connection, kind, transform)}({_bucket_argument(column, kind)})"
    if isinstance(transform, ice.VoidTransform):
        return "CAST(NULL AS INTEGER)"
    unit = str(transform)
    if isinstance(kind, types.TimestamptzType):
        column = f"timezone('UTC', {column})"
    if unit in _TIMES and isinstance(kind, _TEMPORAL):
        return f"CAST(date_diff('{unit}', TIMESTAMP '1970-01-01', CAST({column} AS TIMESTAMP)) AS INTEGER)"
    raise QueryError("NOT_SUPPORTED", f"Unsupported partition transform: {field}")


def _identity(column: str, kind: IcebergType) -> str:
    if isinstance(kind, types.DateType):
        return f"CAST({column} - DATE '1970-01-01' AS INTEGER)"
    if isinstance(kind, (types.TimestampType, types.TimestamptzType)):
        return f"epoch_us({column})"
    if isinstance(kind, types.TimeType):
        return f"epoch_us({column})"
    if isinstance(kind, (types.BinaryType, types.FixedType)):
        return f"hex({column})"
    if not kind.is_primitive:
        raise QueryError("INVALID_TABLE_PROPERTY", f"Cannot partition by a column of type {kind}")
    return column


def _truncate(column: str, kind: IcebergType, width: int) -> str:
    if isinstance(kind, types.StringType):
        return f"left({column}, {width})"
    if isinstance(kind, types.BinaryType):
        return f"hex({column}[1:{width}])"
    if isinstance(kind, types.DecimalType):
        unscaled = (
            f"CAST(replace(CAST({column} AS VARCHAR), '.', '') AS HUGEINT)"  # a product would be a double
        )
        floor = f"({unscaled} - ((({unscaled} % {width}) + {width}) % {width}))"
        return f"CAST({floor} AS VARCHAR)"
    return f"({column} - ((({column} % {width}) + {width}) % {width}))"


def _bucket_argument(column: str, kind: IcebergType) -> str:
    """Return what the bucket function is given: integers for what hashes as a long, bytes for the rest."""
    if isinstance(kind, types.StringType):
        return f"encode({column})"
    if isinstance(kind, (types.IntegerType, types.LongType)):
        return f"CAST({column} AS BIGINT)"
    if isinstance(kind, types.DateType):
        return f"CAST({column} - DATE '1970-01-01' AS BIGINT)"
    if isinstance(kind, (types.TimestampType, types.TimestamptzType, types.TimeType)):
        return f"epoch_us({column})"
    return column if isinstance(kind, types.BinaryType) else f"CAST({column} AS VARCHAR)"


def _bucket_function(connection: duckdb.DuckDBPyConnection, kind: IcebergType, transform: Any) -> str:
    """Make the hash known to DuckDB (Murmur3, which it has not) and return its name."""
    import duckdb
    import pyarrow as pa
    import pyarrow.compute as pc
    from duckdb.func import FunctionNullHandling, PythonUDFType

    if isinstance(kind, (types.StringType, types.BinaryType)):
        parameter, apply = "BLOB", transform.transform(types.BinaryType())
    elif isinstance(kind, types.DecimalType):
        hashed = transform.transform(kind)
        parameter, apply = "VARCHAR", lambda text: None if text is None else hashed(Decimal(text))
    elif isinstance(kind, types.UUIDType):
        hashed = transform.transform(types.BinaryType())
        parameter, apply = "VARCHAR", lambda text: None if text is None else hashed(uuid.UUID(text).bytes)
    else:
        parameter, apply = "BIGINT", transform.transform(types.LongType())

    def bucket(values: Any) -> Any:
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        coded = pc.dictionary_encode(values)
        buckets = pa.array([apply(value) for value in coded.dictionary.to_pylist()], pa.int32())
        return pc.take(buckets, coded.indices)

    name = f"iceberg_bucket_{type(kind).__name__.lower()}_{transform.num_buckets}"
    try:
        connection.create_function(
            name,
            bucket,
            [duckdb.sqltype(parameter)],
            duckdb.sqltype("INTEGER"),
            type=PythonUDFType.ARROW,
            null_handling=FunctionNullHandling.SPECIAL,
        )
    except duckdb.Error as error:
        if "already" not in str(error):
            raise
    return name


def value(text: str | None, field: PartitionField, schema: Schema) -> Any:
    """Return a partition value as Iceberg's manifests hold it, from what DuckDB's COPY reports of a `sql` column."""
    if text is None:
        return None
    source = schema.find_field(field.source_id).field_type
    kind = field.transform.result_type(source)
    if isinstance(kind, types.BooleanType):
        return text == "true"
    if isinstance(kind, types.StringType):
        return text
    if isinstance(kind, (types.FloatType, types.DoubleType)):
        return float(text)
    if isinstance(kind, types.DecimalType):
        if isinstance(field.transform, ice.TruncateTransform):
            return Decimal(text).scaleb(-kind.scale)
        return Decimal(text)
    if isinstance(kind, (types.BinaryType, types.FixedType)):
        return bytes.fromhex(text)
    if isinstance(kind, types.UUIDType):
        return uuid.UUID(text).bytes
    return int(text)


def literal(value: Any, kind: IcebergType) -> str:
    """Return DuckDB's literal of an identity partition's value, as manifests hold it."""
    if value is None:
        return "NULL"
    if isinstance(kind, types.DateType):
        return f"(DATE '1970-01-01' + INTEGER '{int(value)}')"
    if isinstance(kind, (types.TimestampType, types.TimestamptzType)):
        return f"make_timestamp({int(value)})"
    if isinstance(kind, types.TimeType):
        return f"CAST(make_timestamp({int(value)}) AS TIME)"
    if isinstance(kind, (types.BinaryType, types.FixedType)):
        return f"from_hex('{bytes(value).hex()}')"
    return "'" + str(value).replace("'", "''") + "'"


def is_costly(spec: PartitionSpec, schema: Schema) -> bool:
    """Tell whether a spec may open thousands of partitions, so that they are better counted before a file is written."""
    bounded = (ice.YearTransform, ice.MonthTransform, ice.DayTransform, ice.VoidTransform)
    for field in spec.fields:
        kind = schema.find_field(field.source_id).field_type
        if isinstance(field.transform, bounded) or isinstance(kind, types.BooleanType):
            continue
        if isinstance(field.transform, ice.BucketTransform) and field.transform.num_buckets <= 1000:
            continue
        return True
    return len(spec.fields) > 1
