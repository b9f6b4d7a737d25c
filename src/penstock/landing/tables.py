"""The workgroup, the landed database and the external table over a source's files, created where they are missing.

Nothing that exists is altered: a table that differs from its declaration is refused by name, for dropping or altering
it is a decision (dropping an external table loses no data).
"""

from __future__ import annotations

from typing import Any

from penstock.connections import Connections
from penstock.errors import LandingError
from penstock.lake.athena import Athena
from penstock.sources.declaration import Source

SERDE = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"


def ensure(connections: Connections, source: Source) -> list[str]:
    """Create what is missing of workgroup, database and table; return what was created, a line each.

    Raises: LandingError if the table is there and differs from the declaration.
    """
    environment = connections.environment
    database = environment.landed_database(source.name)
    athena, glue = Athena(connections), connections.client("glue")
    created = []
    if ensure_workgroup(connections, athena.client):
        created.append(f"workgroup {environment.workgroup}")
    if _read(glue.get_database, Name=database) is None:
        athena.run(f"create schema if not exists `{database}`")
        created.append(f"database {database}")
    found = _read(glue.get_table, DatabaseName=database, Name=source.table)
    if found is None:
        athena.run(create_table(source, database, environment.landed_location(source.name)))
        created.append(f"table {database}.{source.table}")
    else:
        _refuse_difference(found["Table"], source, database, environment.landed_location(source.name))
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


def create_table(source: Source, database: str, location: str) -> str:
    """Return the DDL of a source's external table."""
    columns = ",\n".join(f"  `{column.name}` {column.type.upper()}" for column in source.columns)
    return (
        f"CREATE EXTERNAL TABLE IF NOT EXISTS `{database}`.`{source.table}` (\n{columns}\n)\n"
        f"ROW FORMAT DELIMITED FIELDS TERMINATED BY '{source.delimiter}' LINES TERMINATED BY '\\n'\n"
        "STORED AS TEXTFILE\n"
        f"LOCATION '{location}'\n"
        "TBLPROPERTIES ('skip.header.line.count'='1')"
    )


def _refuse_difference(table: dict[str, Any], source: Source, database: str, location: str) -> None:
    storage = table.get("StorageDescriptor", {})
    serde = storage.get("SerdeInfo", {})
    columns = [(column["Name"], column["Type"].lower()) for column in storage.get("Columns", [])]
    comparisons: list[tuple[str, object, object]] = [
        ("columns", columns, [(column.name, column.type) for column in source.columns]),
        ("location", str(storage.get("Location", "")).rstrip("/"), location.rstrip("/")),
        ("SerDe", serde.get("SerializationLibrary"), SERDE),
        ("field.delim", serde.get("Parameters", {}).get("field.delim"), source.delimiter),
        ("skip.header.line.count", table.get("Parameters", {}).get("skip.header.line.count"), "1"),
    ]
    differing = [
        f"  {name}: {_shown(is_)} instead of {_shown(due)}" for name, is_, due in comparisons if is_ != due
    ]
    if differing:
        raise LandingError(
            f"Table {database}.{source.table} is not as source {source.name} declares it:\n"
            + "\n".join(differing),
            hint=f'Drop it (`invoke query "drop table {database}.{source.table}"`; the files stay) and seed again.',
        )


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
