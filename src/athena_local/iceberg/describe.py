"""What SHOW and DESCRIBE say of an Iceberg table: taken from its metadata, and laid out otherwise than Hive tables.

Cells are not padded, the partition spec follows the columns, and the text of SHOW CREATE TABLE makes the table again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyiceberg import transforms

from athena_local.iceberg.properties import shown
from athena_local.iceberg.schema import to_columns
from athena_local.iceberg.table import pinned

if TYPE_CHECKING:
    from pyiceberg.partitioning import PartitionField

    from athena_local.engine.session import Session
    from athena_local.iceberg.table import IcebergTable, Record


def create_table_lines(session: Session, record: Record) -> list[str]:
    table = pinned(session, record)
    columns = []
    for column in to_columns(table.schema):
        comment = f" COMMENT {_text(column.comment)}" if column.comment else ""
        columns.append(f"  {column.name} {column.type.hive()}{comment}")
    lines = [f"CREATE TABLE {table.database}.{table.name} (", *_listed(columns)]
    if record.get("Description"):
        lines.append(f"COMMENT {_text(record['Description'])}")
    spec = table.metadata.spec()
    if spec.fields:
        lines.append(f"PARTITIONED BY ({', '.join(_declared(table, field) for field in spec.fields)})")
    lines.append(f"LOCATION {_text(table.metadata.location.rstrip('/'))}")
    properties = {"table_type": "iceberg", **shown(table)}
    lines.append("TBLPROPERTIES (")
    lines += _listed([f"  {_text(key)}={_text(value)}" for key, value in properties.items()], "")
    return [*lines, ");"]


def describe_lines(session: Session, record: Record) -> list[str]:
    table = pinned(session, record)
    lines = ["# Table schema:\t\t", "# col_name\tdata_type\tcomment"]
    lines += [f"{column.name}\t{column.type.hive()}\t{column.comment}" for column in to_columns(table.schema)]
    lines += ["\t\t", "# Partition spec:\t\t", "# field_name\tfield_transform\tcolumn_name"]
    return lines + [
        f"{field.name}\t{field.transform}\t{_source(table, field)}" for field in table.metadata.spec().fields
    ]


def column_lines(session: Session, record: Record) -> list[str]:
    return [field.name for field in pinned(session, record).schema.fields]


def property_lines(session: Session, record: Record) -> list[str]:
    return [f"{key}\t{value}" for key, value in shown(pinned(session, record)).items()]


def _listed(items: list[str], end: str = ")") -> list[str]:
    return [*(f"{item}," for item in items[:-1]), f"{items[-1]}{end}"]


def _text(value: str) -> str:
    return "'" + value.replace("'", "\\'") + "'"


def _source(table: IcebergTable, field: PartitionField) -> str:
    return table.schema.find_column_name(field.source_id) or ""


def _declared(table: IcebergTable, field: PartitionField) -> str:
    """Return a partition field as PARTITIONED BY spells it."""
    name = f"`{_source(table, field)}`"
    transform = field.transform
    if isinstance(transform, transforms.IdentityTransform):
        return name
    if isinstance(transform, transforms.BucketTransform):
        return f"bucket({transform.num_buckets}, {name})"
    if isinstance(transform, transforms.TruncateTransform):
        return f"truncate({transform.width}, {name})"
    return f"{transform}({name})"
