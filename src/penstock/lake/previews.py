"""Drops the marts that a preview has built: its Glue database and the files below its own prefix of the lake bucket.

Refuses every database but a preview's own (`analytics_<target>_pr_<n>`): name and prefix are derived from the environment,
never given. The catalog's entries go first, so that nobody reads tables whose files are going; whatever a kill leaves behind
goes with the next call. The bucket is versioned: what is deleted stays as an old version until its lifecycle ends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from penstock.connections import Connections
from penstock.errors import BranchError, LakeError


@dataclass(frozen=True)
class Dropped:
    """What was there. `size_bytes` of the files' current versions."""

    database: str
    tables: int
    files: int
    size_bytes: int


def drop_marts(connections: Connections) -> Dropped:
    """Drop the marts of the preview that the connections are of; ones that are gone already are no error.

    Raises: BranchError where the branch shares the target's marts, LakeError for files that S3 would not delete.
    """
    environment = connections.environment
    if not environment.is_preview:
        raise BranchError(
            f"'{environment.database_branch}' has no marts of its own: it shares {environment.marts_database}.",
            hint="Leave --marts out.",
        )
    tables = _drop_database(connections.client("glue"), environment.marts_database)
    files, size = _delete_files(connections.client("s3"), environment.lake_bucket, environment.marts_prefix)
    return Dropped(environment.marts_database, tables, files, size)


def _drop_database(glue: Any, database: str) -> int:
    """Drop a database with its tables; return how many there were."""
    try:
        pages = glue.get_paginator("get_tables").paginate(DatabaseName=database)
        names = [table["Name"] for page in pages for table in page["TableList"]]
        for name in names:
            _unless_gone(glue, glue.delete_table, DatabaseName=database, Name=name)
    except glue.exceptions.EntityNotFoundException:
        return 0
    _unless_gone(glue, glue.delete_database, Name=database)
    return len(names)


def _unless_gone(glue: Any, call: Any, **arguments: str) -> None:
    try:
        call(**arguments)
    except glue.exceptions.EntityNotFoundException:  # somebody else was faster
        return


def _delete_files(s3: Any, bucket: str, prefix: str) -> tuple[int, int]:
    """Delete the objects below a prefix; return how many and their bytes."""
    files = size = 0
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        found = page.get("Contents", [])  # up to 1,000, which is also the most one delete takes
        if not found:
            continue
        answer = s3.delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": item["Key"]} for item in found], "Quiet": True}
        )
        if answer.get("Errors"):
            first = answer["Errors"][0]
            raise LakeError(
                f"s3://{bucket}/{first['Key']} and {len(answer['Errors']) - 1} more could not be deleted: {first['Code']}.",
                code=first["Code"],
                hint="The caller needs s3:DeleteObject; run it again.",
            )
        files += len(found)
        size += sum(item["Size"] for item in found)
    return files, size
