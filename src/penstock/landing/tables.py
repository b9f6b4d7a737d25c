"""The workgroup, the landed database and the external table over a landed table's files, created where they are missing.

A table that exists is only ever given more columns at its end (NULL in the files that lie there already): those that a file
or the declaration has beside its own. Any other difference from the declaration is refused by name, for dropping or altering
is a decision (dropping an external table loses no data).

Athena reads the columns of Parquet by name and those of CSV by position, so that a new column of CSV must be the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.connections import Connections
from penstock.errors import LakeError, LandingError
from penstock.lake.athena import Athena
from penstock.sources.declaration import Column, Table

CSV_SERDE = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
PARQUET_SERDE = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"


def ensure(connections: Connections, table: Table, found_columns: Sequence[Column] = ()) -> list[str]:
    """Create what is missing of workgroup, database, table and columns; return what was created, a line each.

    found_columns: what the files have beside the declared columns, in their order.
    Raises: LandingError if the table is there and differs from the declaration, or a found column from the table's.
    """
    environment = connections.environment
    database = environment.landed_database(table.source)
    athena, glue = Athena(connections), connections.client("glue")
    created = []
    if ensure_workgroup(connections, athena.client):
        created.append(f"workgroup {environment.workgroup}")
    if _read(glue.get_database, Name=database) is None:
        athena.run(f"create schema if not exists `{database}`")
        created.append(f"database {database}")
    location = environment.landed_location(table.qualified)
    found = _read(glue.get_table, DatabaseName=database, Name=table.name)
    due = [*table.columns, *found_columns]
    if found is None:
        athena.run(create_table(table, database, location, found_columns))
        created.append(f"table {database}.{table.name}")
        return created
    added = _columns_to_add(found["Table"], table, database, location, due)
    if added:
        try:
            athena.run(add_columns(table, database, added))
        except LakeError:
            # another seed may have been quicker; then nothing is missing any more
            found = _read(glue.get_table, DatabaseName=database, Name=table.name)
            if found is None or _columns_to_add(found["Table"], table, database, location, due):
                raise
            return created
        created += [f"column {column.name} of {database}.{table.name} ({column.type})" for column in added]
    return created


def ensure_workgroup(connections: Connections, athena: Any) -> bool:
    """Create the environment's workgroup if there is none; return whether it was created.

    Its settings are not enforced: dbt-athena names the location of each result itself.
    """
    from botocore.exceptions import ClientError

    environment = connections.environment
    try:
        athena.get_work_group(WorkGroup=environment.workgroup)
        return False
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "InvalidRequestException":
            raise
    try:
        athena.create_work_group(
            Name=environment.workgroup,
            Description="Penstock: landing, models and queries",
            Configuration={
                "ResultConfiguration": {"OutputLocation": f"s3://{environment.results_bucket}/results/"},
                "EnforceWorkGroupConfiguration": False,
                "PublishCloudWatchMetricsEnabled": True,
            },
        )
    except ClientError as error:
        # another run was quicker
        if "already" not in str(error):
            raise
        return False
    return True


def create_table(table: Table, database: str, location: str, found_columns: Sequence[Column] = ()) -> str:
    """Return the DDL of a landed table's external table."""
    csv = f"ROW FORMAT DELIMITED FIELDS TERMINATED BY '{table.delimiter}' LINES TERMINATED BY '\\n'\nSTORED AS TEXTFILE\n"
    partitions = f"PARTITIONED BY (\n{_ddl(table.partitions)}\n)\n" if table.partitions else ""
    return (
        f"CREATE EXTERNAL TABLE IF NOT EXISTS `{database}`.`{table.name}` (\n"
        f"{_ddl([*table.columns, *found_columns])}\n)\n"
        f"{partitions}"
        f"{csv if table.format == 'csv' else 'STORED AS PARQUET' + chr(10)}"
        f"LOCATION '{location}'"
    ) + ("\nTBLPROPERTIES ('skip.header.line.count'='1')" if table.format == "csv" else "")


def add_columns(table: Table, database: str, columns: Sequence[Column]) -> str:
    """Return the statement that gives the external table more columns."""
    return f"ALTER TABLE `{database}`.`{table.name}` ADD COLUMNS (\n{_ddl(columns)}\n)"


def _ddl(columns: Sequence[Column]) -> str:
    return ",\n".join(f"  `{column.name}` {column.type.upper()}" for column in columns)


def _columns_to_add(
    found: dict[str, Any], table: Table, database: str, location: str, due: Sequence[Column]
) -> list[Column]:
    """Return the columns that the table lacks and can be given."""
    differing = differences(found, table, location, due)
    if differing:
        raise LandingError(
            f"Table {database}.{table.name} is not as source {table.source} declares it:\n"
            + "\n".join(f"  {name}: {is_} instead of {is_due}" for name, is_, is_due in differing),
            hint=f'Drop it (`invoke query "drop table {database}.{table.name}"`; the files stay) and seed again.',
        )
    added = _missing(table, _columns(found), due)
    dates = [column.name for column in added or () if column.type == "date"]
    if dates:
        raise LandingError(
            f"Athena adds no column of type date to a table that is there: {', '.join(dates)} of {database}.{table.name}.",
            hint=f'Declare it in sources/{table.source}.yml, drop the table (`invoke query "drop table'
            f' {database}.{table.name}"`; the files stay) and seed again.',
        )
    return added or []


def differences(
    found: dict[str, Any], table: Table, location: str, due: Sequence[Column] = ()
) -> list[tuple[str, str, str]]:
    """Return in what Glue's table differs from the declaration: what, as found, as declared; empty where it does not.

    due: the columns that it must be able to read, the declared ones unless others are given. Columns that it lacks and can
    get, and in a Parquet table such as it has beside them, are no difference.
    """
    due = due or table.columns
    storage = found.get("StorageDescriptor", {})
    serde = storage.get("SerdeInfo", {})
    comparisons: list[tuple[str, object, object]] = [
        ("location", str(storage.get("Location", "")).rstrip("/"), location.rstrip("/")),
        ("SerDe", serde.get("SerializationLibrary"), CSV_SERDE if table.format == "csv" else PARQUET_SERDE),
        (
            "partition keys",
            [(column["Name"], column["Type"].lower()) for column in found.get("PartitionKeys", [])],
            [(column.name, column.type) for column in table.partitions],
        ),
    ]
    if table.format == "csv":
        comparisons += [
            ("field.delim", serde.get("Parameters", {}).get("field.delim"), table.delimiter),
            (
                "skip.header.line.count",
                found.get("Parameters", {}).get("skip.header.line.count"),
                "1",
            ),
        ]
    have = _columns(found)
    if _missing(table, have, due) is None:
        comparisons.insert(0, ("columns", have, [(column.name, column.type) for column in due]))
    return [(name, _shown(is_), _shown(is_due)) for name, is_, is_due in comparisons if is_ != is_due]


def _columns(found: dict[str, Any]) -> list[tuple[str, str]]:
    columns = found.get("StorageDescriptor", {}).get("Columns", [])
    return [(column["Name"], column["Type"].lower()) for column in columns]


def _missing(table: Table, have: Sequence[tuple[str, str]], due: Sequence[Column]) -> list[Column] | None:
    """Return the columns to add so that the table can read the files; None when adding cannot do it."""
    if table.format == "csv":
        shared = min(len(have), len(due))
        same = [(column.name, column.type) for column in due[:shared]] == list(have[:shared])
        added = list(due[shared:]) if same else None
    else:
        types = dict(have)
        added = [column for column in due if column.name not in types]
        if any(types.get(column.name, column.type) != column.type for column in due):
            added = None
    if added is None or not all(column.nullable for column in added):
        return None
    return added


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(f"{name} {type_}" for name, type_ in value)
    return repr(value)


def _read(call: Any, **arguments: str) -> dict[str, Any] | None:
    """Return Glue's answer, None when the thing asked for is not there."""
    from botocore.exceptions import ClientError

    try:
        answer: dict[str, Any] = call(**arguments)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "EntityNotFoundException":
            return None
        raise
    return answer
