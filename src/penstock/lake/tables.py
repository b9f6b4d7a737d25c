"""Iceberg tables of the environment by name, one version at a time, and the one safe way to put another in its place.

A version is a Glue record and the metadata file that it names. `swap` writes a new metadata file and moves the record to it
with a single UpdateTable on condition of the version that was read: readers see the one or the other, and of two who change
a table at once the second is told. Refuses tables that are not Iceberg, and databases of other environments.
"""

from __future__ import annotations

import gzip
import json
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.connections import Connections
from penstock.environments import Environment, marts_of
from penstock.errors import LakeConflictError, LakeError
from penstock.sync.lake import LakeObjects, split

# What UpdateTable takes of what GetTable gives.
_INPUT_KEYS = (
    *("Name", "Description", "Owner", "LastAccessTime", "LastAnalyzedTime", "Retention", "StorageDescriptor"),
    *("PartitionKeys", "ViewOriginalText", "ViewExpandedText", "TableType", "Parameters", "TargetTable"),
)
DELETE_AT_ONCE = 1000  # objects a DeleteObjects takes
_MISSING = frozenset({"NoSuchKey", "404"})


@dataclass(frozen=True)
class TableName:
    """A table's names in Glue; `model_file` is the path of the dbt model that makes it, where there is one."""

    database: str
    table: str
    model_file: str = ""

    def __str__(self) -> str:
        return f"{self.database}.{self.table}"

    @property
    def sql(self) -> str:
        """As a statement of Athena's (not DDL) names it."""
        return f'"{self.database}"."{self.table}"'

    @property
    def ddl(self) -> str:
        """As ALTER TABLE names it."""
        return f"`{self.database}`.`{self.table}`"


@dataclass(frozen=True)
class Version:
    """A table as it stood when it was read. `location` is that of the metadata file, `metadata` what is in it."""

    name: TableName
    record: dict[str, Any]
    location: str
    metadata: dict[str, Any]

    @property
    def uuid(self) -> str:
        return str(self.metadata["table-uuid"])

    @property
    def base(self) -> str:
        """The table's own location, without a slash at its end."""
        return str(self.metadata["location"]).rstrip("/")

    @property
    def snapshot_id(self) -> int | None:
        """The current snapshot; None for a table never written to."""
        current = self.metadata.get("current-snapshot-id")
        return None if current is None or current == -1 else int(current)

    @property
    def snapshots(self) -> list[dict[str, Any]]:
        """Oldest first."""
        found = self.metadata.get("snapshots") or []
        return sorted(
            found, key=lambda item: (int(item["timestamp-ms"]), int(item.get("sequence-number") or 0))
        )

    @property
    def properties(self) -> dict[str, str]:
        return dict(self.metadata.get("properties") or {})

    @property
    def spec(self) -> list[dict[str, Any]]:
        """The fields of the default partition spec."""
        wanted = self.metadata.get("default-spec-id", 0)
        specs = self.metadata.get("partition-specs") or []
        return next((list(item["fields"]) for item in specs if item["spec-id"] == wanted), [])

    def snapshot(self, snapshot_id: int | None) -> dict[str, Any] | None:
        return next((item for item in self.snapshots if item["snapshot-id"] == snapshot_id), None)

    def fields(self, schema_id: int | None = None) -> list[dict[str, Any]]:
        """Return the columns (JSON fields) of a schema, of the current one where none is named."""
        wanted = self.metadata.get("current-schema-id", 0) if schema_id is None else schema_id
        return next(
            list(schema["fields"]) for schema in self.metadata["schemas"] if schema["schema-id"] == wanted
        )


# finding a table


def resolve(connections: Connections, name: str, manifest: Path | None = None) -> TableName:
    """Return the table that a name means: a dbt model's of the last build, `database.table`, or a table of the environment.

    Raises: LakeError for a name that is nothing here, or a database of another environment.
    """
    environment = connections.environment
    database, _, table = name.strip().strip('"').rpartition(".")
    if database:
        if not _is_ours(environment, database):
            raise LakeError(
                f"{database} is no database of target '{environment.target}'"
                + (f" and branch '{environment.branch}'." if environment.branch else "."),
                hint="Name the environment it belongs to: --target, --branch.",
            )
        return TableName(database, table)
    found = _model(environment, name, manifest)
    if found is not None:
        return found
    glue = connections.client("glue")
    for candidate in (environment.marts_database, *_databases(glue, environment)):
        try:
            glue.get_table(DatabaseName=candidate, Name=name)
        except glue.exceptions.EntityNotFoundException:
            continue
        return TableName(candidate, name)
    raise LakeError(
        f"{name or 'The empty name'} is neither a model of the last build nor a table of target '{environment.target}'.",
        hint="`invoke build` makes the models; or give database.table.",
    )


def built_models(environment: Environment, manifest: Path) -> dict[str, dict[str, Any]]:
    """Return the models of the last build that are Iceberg tables of this environment: dbt's nodes by name."""
    if not manifest.exists():
        return {}
    nodes = json.loads(manifest.read_text(encoding="utf-8"))["nodes"].values()
    return {
        node["name"]: node
        for node in nodes
        if node["resource_type"] == "model"
        and str(node["config"].get("table_type", "")).lower() == "iceberg"
        and node["config"].get("materialized") in ("table", "incremental")
        and _is_ours(environment, node["schema"])
    }


def _model(environment: Environment, name: str, manifest: Path | None) -> TableName | None:
    node = built_models(environment, manifest).get(name) if manifest else None
    if node is None:
        return None
    return TableName(node["schema"], node["alias"] or name, node.get("original_file_path", ""))


def _is_ours(environment: Environment, database: str) -> bool:
    if database == environment.marts_database:
        return True
    return marts_of(database) is None and database.endswith(f"_{environment.target}")


def _databases(glue: Any, environment: Environment) -> Iterator[str]:
    for page in glue.get_paginator("get_databases").paginate():
        for database in page["DatabaseList"]:
            if _is_ours(environment, database["Name"]):
                yield database["Name"]


def read_version(connections: Connections, name: TableName) -> Version:
    """Return the table as it stands.

    Raises: LakeError where there is no such table, it is not Iceberg, or its metadata file is gone.
    """
    glue = connections.client("glue")
    try:
        record = glue.get_table(DatabaseName=name.database, Name=name.table)["Table"]
    except glue.exceptions.EntityNotFoundException:
        raise LakeError(
            f"{name} is not in the lake.", code="TABLE_NOT_FOUND", hint="Run `invoke build` first."
        ) from None
    parameters = record.get("Parameters") or {}
    location = parameters.get("metadata_location")
    if str(parameters.get("table_type", "")).upper() != "ICEBERG" or not location:
        raise LakeError(
            f"{name} is not an Iceberg table; only those have snapshots.",
            hint="Marts are Iceberg, landed tables and views are not: docs/lake.md.",
        )
    return Version(name, record, str(location), read_metadata(connections, str(location)))


def read_metadata(connections: Connections, location: str) -> dict[str, Any]:
    """Return what a metadata file says; raises LakeError when it is gone or is none."""
    try:
        raw = LakeObjects(connections).read(location)
        if ".gz." in location.rpartition("/")[2] or location.endswith(".gz"):
            raw = gzip.decompress(raw)
        found: dict[str, Any] = json.loads(raw)
    except FileNotFoundError:
        raise LakeError(
            f"The metadata file {location} is gone.",
            hint="The bucket is versioned: bring the object back, or build the table anew (`invoke build --full-refresh`).",
        ) from None
    except (ValueError, OSError) as error:
        raise LakeError(f"{location} is no readable metadata file: {error}") from error
    if found.get("format-version") not in (1, 2):
        raise LakeError(
            f"{location} is of Iceberg format version {found.get('format-version')}; Athena writes version 2."
        )
    return found


# changing a table


def swap(
    connections: Connections, version: Version, metadata: dict[str, Any], *, written: Any = None
) -> Version:
    """Put other metadata in the place of a version; return the table as it then is.

    written: called with the new metadata file's location when that is in S3 and the table not yet moved.
    Raises: LakeConflictError when the table is no longer as it was read; nothing was changed then.
    """
    glue, s3 = connections.client("glue"), connections.client("s3")
    number = max(_number(version.location), _number(_last_log(metadata))) + 1
    base = str(metadata["location"]).rstrip("/")
    location = f"{base}/metadata/{number:05d}-{uuid.uuid4()}.metadata.json"
    bucket, key = split(location)
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(metadata).encode())
    if written is not None:
        written(location)
    given = table_input(version.record, metadata, location, previous=version.location)
    try:
        glue.update_table(
            DatabaseName=version.name.database,
            TableInput=given,
            VersionId=version.record["VersionId"],
            SkipArchive=True,
        )
    except (glue.exceptions.ConcurrentModificationException, glue.exceptions.EntityNotFoundException):
        # A request whose answer was lost is sent again by botocore, and then meets what it has done itself.
        if not _points_to(glue, version.name, location):
            s3.delete_object(Bucket=bucket, Key=key)
            raise LakeConflictError(
                f"{version.name} was changed by somebody else meanwhile; nothing was done to it.",
                hint="Look at it again (`invoke lake.history`), then run this again.",
            ) from None
    return read_version(connections, version.name)


def register(connections: Connections, version: Version, name: TableName, location: str) -> bool:
    """Enter a metadata file in the catalog under a name of its own; return whether it was not there already."""
    glue = connections.client("glue")
    metadata = read_metadata(connections, location)
    record = {key: value for key, value in version.record.items() if key != "Parameters"}
    kept = {
        key: value
        for key, value in (version.record.get("Parameters") or {}).items()
        if not key.endswith("metadata_location")
    }
    given = table_input({**record, "Name": name.table, "Parameters": kept}, metadata, location)
    try:
        glue.create_table(DatabaseName=name.database, TableInput=given)
    except glue.exceptions.AlreadyExistsException:
        return False
    return True


def forget(connections: Connections, name: TableName) -> None:
    """Take a name out of the catalog; no file is touched. One that is gone is no error."""
    glue = connections.client("glue")
    try:
        glue.delete_table(DatabaseName=name.database, Name=name.table)
    except glue.exceptions.EntityNotFoundException:
        return


def table_input(
    record: dict[str, Any], metadata: dict[str, Any], location: str, *, previous: str = ""
) -> dict[str, Any]:
    """Return the TableInput of a record that points to other metadata; all else of the record stays."""
    given = {key: record[key] for key in _INPUT_KEYS if record.get(key) is not None}
    parameters = {
        **(record.get("Parameters") or {}),
        "table_type": "ICEBERG",
        "metadata_location": location,
    }
    if previous:
        parameters["previous_metadata_location"] = previous
    base = str(metadata["location"]).rstrip("/")
    storage = {**(record.get("StorageDescriptor") or {}), "Location": base}
    storage["Columns"] = _columns(storage.get("Columns") or [], metadata)
    return given | {"Parameters": parameters, "StorageDescriptor": storage}


def _columns(known: list[dict[str, Any]], metadata: dict[str, Any]) -> list[dict[str, Any]]:
    """Return Glue's columns with the field ids of the metadata; types and comments are Glue's own."""
    current = metadata.get("current-schema-id", 0)
    fields = next(item["fields"] for item in metadata["schemas"] if item["schema-id"] == current)
    ids = {field["name"]: field["id"] for field in fields}
    found = []
    for column in known:
        number = ids.get(column["Name"])
        if number is None:
            continue
        own = {**column.get("Parameters", {}), "iceberg.field.id": str(number)}
        found.append({**column, "Parameters": own | {"iceberg.field.current": "true"}})
    return found


def logged(version: Version, metadata: dict[str, Any]) -> dict[str, Any]:
    """Return metadata that follows a version: its file is entered in the log, the time is now or later."""
    before = int(version.metadata.get("last-updated-ms") or 0)
    log = [
        *(version.metadata.get("metadata-log") or []),
        {"timestamp-ms": before, "metadata-file": version.location},
    ]
    return {**metadata, "last-updated-ms": max(int(time.time() * 1000), before), "metadata-log": log}


def _points_to(glue: Any, name: TableName, location: str) -> bool:
    try:
        found = glue.get_table(DatabaseName=name.database, Name=name.table)["Table"]
    except glue.exceptions.EntityNotFoundException:
        return False
    return bool((found.get("Parameters") or {}).get("metadata_location") == location)


def _last_log(metadata: dict[str, Any]) -> str:
    log = metadata.get("metadata-log") or []
    return str(log[-1]["metadata-file"]) if log else ""


def _number(location: str) -> int:
    found = re.search(r"(\d+)-[0-9a-f-]+(?:\.gz)?\.metadata\.json$", location)
    return int(found.group(1)) if found else 0


# files


@dataclass(frozen=True)
class StoredFile:
    """An object of the lake; `age_seconds` since it was written."""

    bucket: str
    key: str
    size: int
    age_seconds: float

    @property
    def location(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def stored_files(connections: Connections, base: str, *, now: float | None = None) -> Iterator[StoredFile]:
    """Yield the objects below a table's location, in order of their keys."""
    bucket, prefix = split(base.rstrip("/") + "/")
    moment = time.time() if now is None else now
    pages = connections.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for item in page.get("Contents", ()):
            yield StoredFile(
                bucket, item["Key"], int(item["Size"]), moment - item["LastModified"].timestamp()
            )


def delete_files(connections: Connections, files: list[StoredFile]) -> None:
    """Delete objects; ones that are gone already are no error. Raises: LakeError for those that S3 would not delete."""
    s3 = connections.client("s3")
    for start in range(0, len(files), DELETE_AT_ONCE):
        part = files[start : start + DELETE_AT_ONCE]
        answer = s3.delete_objects(
            Bucket=part[0].bucket, Delete={"Objects": [{"Key": item.key} for item in part], "Quiet": True}
        )
        if answer.get("Errors"):
            first = answer["Errors"][0]
            raise LakeError(
                f"s3://{part[0].bucket}/{first['Key']} and {len(answer['Errors']) - 1} more could not be deleted:"
                f" {first['Code']}.",
                code=str(first["Code"]),
                hint="Run the same again; what is deleted already is no error.",
            )


def is_missing(error: Exception) -> bool:
    """Whether an answer of S3 says that there is no such object."""
    return getattr(error, "response", {}).get("Error", {}).get("Code") in _MISSING
