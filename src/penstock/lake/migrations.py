"""The state of a repartition that is not finished: `_penstock/repartition/<database>.<table>.json` in the lake bucket.

Why not the catalog: an engine's commit may drop parameters of a Glue table that it does not know, and the state has to
outlive the names it is about. Each write is conditional on what was read, so of two runs the one that started last goes
on, and the other stops at its next step. What has really happened is never read from here but from the catalog (`phase`
says only what was wanted).
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from botocore.exceptions import ClientError

from penstock.connections import Connections
from penstock.errors import LakeConflictError, LakeError
from penstock.lake.tables import TableName, is_missing

PREFIX = "_penstock/repartition/"
_LOST = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409", "NoSuchKey", "404"})

Phase = Literal["copying", "aborting", "finishing"]


@dataclass(frozen=True)
class Migration:
    """One repartition. `old_*` is the layout that it began with, `new_*` the one it makes.

    old_metadata: the old layout's metadata file as it was when the name was last about to be moved.
    moved_snapshot: the new layout's snapshot that was validated for that move.
    """

    id: str
    database: str
    table: str
    by: tuple[str, ...]
    old_uuid: str
    old_base: str
    new_base: str
    started_at: str
    phase: Phase = "copying"
    new_uuid: str = ""
    old_metadata: str = ""
    moved_snapshot: int | None = None
    run: str = field(default="", compare=False)
    etag: str = field(default="", compare=False)

    @property
    def name(self) -> TableName:
        return TableName(self.database, self.table)

    @property
    def staging(self) -> TableName:
        """The new layout's own name until the table's name is moved to it."""
        return TableName(self.database, f"{self.table}__new_{self.id}")

    @property
    def before(self) -> TableName:
        """The old layout's own name from then on."""
        return TableName(self.database, f"{self.table}__before_{self.id}")

    @property
    def key(self) -> str:
        return _key(self.name)


def begin(connections: Connections, name: TableName, by: tuple[str, ...], uuid_: str, base: str) -> Migration:
    """Write and return the state of a new repartition.

    Raises: LakeConflictError when another run has begun one at the same moment.
    """
    number = uuid.uuid4().hex[:8]
    made = Migration(
        id=number,
        database=name.database,
        table=name.table,
        by=by,
        old_uuid=uuid_,
        old_base=base,
        new_base=f"{base.partition('__by_')[0]}__by_{number}",
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        run=uuid.uuid4().hex,
    )
    return _put(connections, made, IfNoneMatch="*")


def find(connections: Connections, name: TableName) -> Migration | None:
    """Return the repartition of a table that is not finished; None when there is none.

    Raises: LakeError when its state cannot be read.
    """
    bucket, key = connections.environment.lake_bucket, _key(name)
    try:
        answer = connections.client("s3").get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    try:
        data = json.loads(answer["Body"].read())
        return Migration(**(data | {"by": tuple(data["by"])}), etag=answer["ETag"])
    except (ValueError, TypeError, KeyError) as error:
        raise LakeError(
            f"s3://{bucket}/{key}, the state of a repartition, cannot be read: {error}",
            hint="The bucket is versioned: bring its last good version back.",
        ) from error


def save(connections: Connections, migration: Migration, **changes: Any) -> Migration:
    """Write the state with these changes; return it.

    Raises: LakeConflictError when another run has taken the migration over, or has ended it.
    """
    return _put(connections, replace(migration, **changes), IfMatch=migration.etag)


def take_over(connections: Connections, migration: Migration, **changes: Any) -> Migration:
    """Make it this run's own: another one that is at work on it stops at its next step."""
    return save(connections, migration, run=uuid.uuid4().hex, **changes)


def require_own(connections: Connections, migration: Migration) -> None:
    """Raise LakeConflictError when another run has taken the migration over."""
    found = find(connections, migration.name)
    if found is None or found.run != migration.run:
        raise _taken(migration)


def end(connections: Connections, migration: Migration) -> None:
    """Delete the state."""
    connections.client("s3").delete_object(Bucket=connections.environment.lake_bucket, Key=migration.key)


def _put(connections: Connections, migration: Migration, **conditions: str) -> Migration:
    data = asdict(migration)
    data.pop("etag")
    try:
        answer = connections.client("s3").put_object(
            Bucket=connections.environment.lake_bucket,
            Key=migration.key,
            Body=json.dumps(data, indent=1).encode(),
            **conditions,
        )
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in _LOST:
            raise
        # A request whose answer was lost is sent again by botocore, and then meets what it has done itself.
        found = find(connections, migration.name)
        if found is None or (found, found.run) != (migration, migration.run):
            raise _taken(migration) from error
        return found
    return replace(migration, etag=str(answer["ETag"]))


def _taken(migration: Migration) -> LakeConflictError:
    return LakeConflictError(
        f"Another run has taken the repartition of {migration.name} over; this one has stopped.",
        hint=f"invoke lake.repartition {migration.table} --status shows where it stands.",
    )


def _key(name: TableName) -> str:
    return f"{PREFIX}{name}.json"
