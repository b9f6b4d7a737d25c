"""What a sync would do, without doing it: the plan, partition by partition.

It takes no lock and writes nothing, not even the schema that remembers; metadata is read from S3, no data file is. What
it tells is true of this moment: a build or another sync may come before the sync itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from penstock.connections import Connections
from penstock.sync import schema
from penstock.sync.declaration import Declaration
from penstock.sync.fingerprints import read_fingerprints
from penstock.sync.glue import Glue
from penstock.sync.lake import LakeObjects, LakeTable, locate
from penstock.sync.plan import FileRead, Plan, plan, sizes, unchanged
from penstock.sync.postgres import Limits, connect
from penstock.sync.state import Connection, read_state


@dataclass(frozen=True)
class PartitionPreview:
    """One partition that a sync would look into. `rows` and `bytes` are what it would read, before position deletes."""

    partition: str
    why: str
    files: int
    rows: int
    bytes: int


@dataclass(frozen=True)
class Preview:
    """One table's plan."""

    table: str
    plan: Plan
    partitions: tuple[PartitionPreview, ...]

    @property
    def path(self) -> str:
        """How its rows would come: load, delta or merge; "" for none."""
        if self.plan.mode == "nothing":
            return ""
        if self.plan.mode == "load":
            return "load"
        return "delta" if self.plan.delta else "merge"


def preview(connections: Connections, declaration: Declaration, *, full: bool, limits: Limits) -> Preview:
    """Return what a sync of the table would read now, and why.

    Raises: what a sync would be refused for before it reads data (PlanError, SchemaDriftError).
    """
    with (
        connect(connections.postgres_url(), limits, reread=connections.reread_postgres_url) as connection,
        connection.transaction(),
    ):
        connection.execute("set transaction isolation level repeatable read, read only")
        work = _plan(connections, connection, declaration, full)
    return Preview(declaration.target, work, tuple(_partitions(work)))


def _plan(connections: Connections, connection: Connection, declaration: Declaration, full: bool) -> Plan:
    location = locate(Glue(connections), declaration.lake_database, declaration.lake_table)
    state = read_state(connection, declaration)
    if not full and state is not None and unchanged(state, declaration, location):
        return Plan("nothing", "the lake table is as it was", state.snapshot_id)
    lake = LakeTable(LakeObjects(connections), location)
    columns = declaration.resolve(lake.fields())
    schema.check_columns(declaration, columns)
    schema.check_drift(declaration, columns, state)
    there = schema.exists(connection, declaration)
    remembered = partial(read_fingerprints, connection, declaration)
    return plan(lake, state, columns, remembered, full=full, exists=there)


def _partitions(work: Plan) -> list[PartitionPreview]:
    by_region: dict[object, list[FileRead]] = {region: [] for region in work.why}
    for read in work.needed:
        by_region.setdefault(read.region, []).append(read)
    found = []
    for region, why in work.why.items():
        reads = by_region[region]
        opened = sizes(reads)
        rows = sum(read.file.rows for read in reads)
        label = work.bounds.label(region)
        found.append(PartitionPreview(label, why, len(opened), rows, sum(opened.values())))
    return sorted(found, key=lambda item: item.partition)
