"""DESCRIBE [EXTENDED | FORMATTED]: a table's columns and what the catalog knows of it, in Hive's padded lines."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from athena_local import iceberg
from athena_local.context import ResultColumn, StatementResult
from athena_local.engine import hive
from athena_local.errors import QueryError
from athena_local.sql import statements as s
from athena_local.sql import views
from athena_local.statements import partitions
from athena_local.statements.hive_errors import EXECUTION, execution_error, find_for_ddl
from athena_local.types import AthenaType, Column

if TYPE_CHECKING:
    from athena_local.engine.session import Session

Record = dict[str, Any]

WIDTH = 20  # Hive pads every cell to this
_NAMES = ("col_name", "data_type", "comment")
_BLANK = "\t \t "


def columns_of(record: Record) -> list[Column]:
    return iceberg.columns(record) if iceberg.is_iceberg(record) else hive.columns(record)


def describe(session: Session, statement: s.Describe) -> StatementResult:
    record = find_for_ddl(session, statement.table)
    if statement.refused is not None and not views.is_view(record):
        raise statement.refused
    if statement.view and not views.is_view(record):
        name = f"{record['DatabaseName']}.{record['Name']}"
        raise QueryError(
            "INVALID_ARGUMENTS", f"Relation '{name}' is a table, not a view", error_type=EXECUTION
        )
    if iceberg.is_iceberg(record) and statement.column is None:
        return _told(iceberg.describe_lines(session, record))
    if statement.column is not None:
        return _told([_line(column) for column in _inside(columns_of(record), statement.column)])
    partition = None
    if statement.partition is not None:
        partition = partitions.get(session, record, statement.partition)
        record = {**record, "StorageDescriptor": partition["StorageDescriptor"]}
    if statement.mode == "formatted":
        return _told(_formatted(record, partition))
    lines = [_line(column) for column in columns_of(record)]
    keys = [] if iceberg.is_iceberg(record) else hive.partition_columns(record)
    if keys:
        lines += [_BLANK, "# Partition Information" + _BLANK, _HEADER, _BLANK, *(_line(key) for key in keys)]
    if statement.mode == "extended":
        lines += [_BLANK, _extended(record, partition)]
    return _told(lines)


def _told(lines: list[str]) -> StatementResult:
    return StatementResult([ResultColumn(name, "string") for name in _NAMES], lines=lines)


def _cells(*cells: str) -> str:
    return "\t".join(f"{cell:<{WIDTH}}" for cell in cells)


_HEADER = "# " + _cells("col_name", "data_type", "comment")


def _line(column: Column) -> str:
    """Return one column's line. A tab in the comment ends it, as it ends the cell on Athena."""
    comment, tab, _ = column.comment.partition("\t")
    cells = _cells(column.name, column.type.hive())
    return f"{cells}\t{comment}" if tab else f"{cells}\t{comment:<{WIDTH}}"


def _inside(columns: list[Column], path: str) -> list[Column]:
    """Return what a dotted path names: a column, or the fields of a struct; `$elem$`, `$key$` and `$value$` go inside."""
    first, *rest = path.split(".")
    found = next((column for column in columns if column.name == first), None)
    if found is None:
        raise execution_error(f"cannot find field {first} from {[column.name for column in columns]}")
    kind = found.type
    for name in rest:
        kind = _part(kind, name)
    if kind.base == "row":
        return [Column(name, field, "from deserializer") for name, field in kind.fields]
    return [Column(([first, *rest])[-1], kind, found.comment if not rest else "from deserializer")]


def _part(kind: AthenaType, name: str) -> AthenaType:
    parts = {"array": {"$elem$": "element"}, "map": {"$key$": "key", "$value$": "value"}}.get(kind.base)
    if parts is not None and name in parts:
        found: AthenaType = getattr(kind, parts[name])
        return found
    fields = dict(kind.fields) if kind.base == "row" else {}
    if name not in fields:
        raise execution_error(f"cannot find field {name} from {list(fields)}")
    return fields[name]


def _stamp(seconds: Any) -> str:
    if not seconds:
        return "UNKNOWN"
    return datetime.datetime.fromtimestamp(float(seconds), datetime.UTC).strftime("%a %b %d %H:%M:%S UTC %Y")


def _formatted(record: Record, partition: Record | None) -> list[str]:
    storage = record.get("StorageDescriptor") or {}
    lines = [_HEADER, _BLANK, *(_line(column) for column in hive.data_columns(record))]
    keys = hive.partition_columns(record)
    if keys:
        lines += [_BLANK, "# Partition Information" + _BLANK, _HEADER, _BLANK, *(_line(key) for key in keys)]
    if partition is not None:
        details = [
            ("Partition Value:", f"[{', '.join(partition['Values'])}]"),
            ("Database:", record["DatabaseName"]),
            ("Table:", record["Name"]),
            ("CreateTime:", _stamp(partition.get("CreationTime"))),
            ("LastAccessTime:", "UNKNOWN"),
            ("Location:", storage.get("Location", "")),
        ]
        lines += [_BLANK, "# Detailed Partition Information" + _BLANK]
        lines += [_detail(label, value) for label, value in details]
        lines += ["Partition Parameters:" + _BLANK, *_parameters(partition.get("Parameters") or {})]
    else:
        details = [
            ("Database:", record["DatabaseName"]),
            ("Owner:", record.get("Owner", "")),
            ("CreateTime:", _stamp(record.get("CreateTime"))),
            ("LastAccessTime:", "UNKNOWN"),
            ("Protect Mode:", "None"),
            ("Retention:", str(record.get("Retention", 0))),
            ("Location:", storage.get("Location", "")),
            ("Table Type:", record.get("TableType", "")),
        ]
        lines += [_BLANK, "# Detailed Table Information" + _BLANK]
        lines += [_detail(label, value) for label, value in details]
        lines += ["Table Parameters:" + _BLANK, *_parameters(record.get("Parameters") or {})]
    return [*lines, *_storage(storage), *_view(record)]


def _detail(label: str, value: Any) -> str:
    return f"{label:<{WIDTH}}\t{value or '':<{WIDTH}}\t "


def _parameters(values: Record) -> list[str]:
    return [f"\t{key:<{WIDTH}}\t{value!s:<{WIDTH}}" for key, value in sorted(values.items())]


def _storage(storage: Record) -> list[str]:
    serde = storage.get("SerdeInfo") or {}
    details = [
        ("SerDe Library:", serde.get("SerializationLibrary", "")),
        ("InputFormat:", storage.get("InputFormat", "")),
        ("OutputFormat:", storage.get("OutputFormat", "")),
        ("Compressed:", "Yes" if storage.get("Compressed") else "No"),
        ("Num Buckets:", str(storage.get("NumberOfBuckets", -1))),
        ("Bucket Columns:", f"[{', '.join(storage.get('BucketColumns') or [])}]"),
        ("Sort Columns:", "[]"),
    ]
    lines = [_BLANK, "# Storage Information" + _BLANK, *(_detail(label, value) for label, value in details)]
    properties = serde.get("Parameters") or {}
    if properties:
        lines += ["Storage Desc Params:" + _BLANK, *_parameters(properties)]
    return lines


def _view(record: Record) -> list[str]:
    if not views.is_view(record):
        return []
    text = record.get("ViewOriginalText", "")
    return [_BLANK, "# View Information" + _BLANK, f"{'View Original Text:':<{WIDTH}}\t{text}\t "]


def _extended(record: Record, partition: Record | None) -> str:
    """Return the record as Hive's Java prints it, on one line."""
    storage = record.get("StorageDescriptor") or {}
    serde = storage.get("SerdeInfo") or {}

    def schema(columns: list[Record]) -> str:
        parts = [
            f"FieldSchema(name:{item['Name']}, type:{item.get('Type')}, comment:{item.get('Comment') or 'null'})"
            for item in columns
        ]
        return f"[{', '.join(parts)}]"

    def mapping(values: Record) -> str:
        return "{" + ", ".join(f"{key}={value}" for key, value in sorted(values.items())) + "}"

    stored = (
        f"StorageDescriptor(cols:{schema(storage.get('Columns') or [])}, location:{storage.get('Location')},"
        f" inputFormat:{storage.get('InputFormat')}, outputFormat:{storage.get('OutputFormat')}, compressed:false,"
        f" numBuckets:{storage.get('NumberOfBuckets', -1)}, serdeInfo:SerDeInfo(name:null,"
        f" serializationLib:{serde.get('SerializationLibrary')}, parameters:{mapping(serde.get('Parameters') or {})}),"
        f" bucketCols:[{', '.join(storage.get('BucketColumns') or [])}], sortCols:[], parameters:{{}})"
    )
    if partition is not None:
        return (
            f"Detailed Partition Information\tPartition(values:[{', '.join(partition['Values'])}],"
            f" dbName:{record['DatabaseName']}, tableName:{record['Name']}, createTime:{int(partition['CreationTime'])},"
            f" lastAccessTime:0, sd:{stored}, parameters:{mapping(partition.get('Parameters') or {})})\t"
        )
    return (
        f"Detailed Table Information\tTable(tableName:{record['Name']}, dbName:{record['DatabaseName']},"
        f" owner:{record.get('Owner')}, createTime:{int(record['CreateTime'])}, lastAccessTime:0,"
        f" retention:{record.get('Retention', 0)}, sd:{stored},"
        f" partitionKeys:{schema(record.get('PartitionKeys') or [])},"
        f" parameters:{mapping(record.get('Parameters') or {})},"
        f" viewOriginalText:{record.get('ViewOriginalText') or 'null'},"
        f" viewExpandedText:{record.get('ViewExpandedText') or 'null'}, tableType:{record.get('TableType')})\t"
    )
