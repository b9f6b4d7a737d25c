"""All checks of one source after the other. What stops one check is noted as its failure; the others go on.

Rows are counted while others may land, build or sync: a mart that got a new version meanwhile is warned of, not failed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from penstock.connections import Connections
from penstock.errors import PenstockError, PlanError
from penstock.lake import archive
from penstock.lake.archive import Landed
from penstock.lake.athena import Athena
from penstock.lake.verify import expected, files, landed, marts, rows
from penstock.lake.verify.expected import Grain, Mart
from penstock.lake.verify.report import Notes, Report
from penstock.lake.verify.rows import Counter, Counts
from penstock.settings import PROJECT_ROOT
from penstock.sources import Source, Table
from penstock.sync.columns import quoted
from penstock.sync.lake import LakeObjects, LakeTable, locate
from penstock.sync.postgres import connect
from penstock.sync.report import counted
from penstock.sync.status import LIMITS, TableStatus, statuses
from penstock.transform import dbt
from penstock.transform.dbt import Side

OnSource = Callable[[str], None]


def verify(
    connections: Connections, *, source: str = "", root: Path = PROJECT_ROOT, on_check: OnSource | None = None
) -> Report:
    """Return what every check found, of one source or of all declared ones. Writes nothing.

    on_check is told what is looked at now. Raises: LandingError for a source that is not declared.
    """
    started = time.perf_counter()
    report = Report()
    manifest = dbt.target_path(Side.LAKE, root) / "manifest.json"
    for declared in expected.sources_of(source):
        work = _Work(
            connections, declared, manifest, Notes(declared.name, report), on_check or (lambda _: None)
        )
        work.run(asked=bool(source))
        report.bytes_scanned += work.counter.bytes_scanned
    report.seconds = time.perf_counter() - started
    return report


@dataclass
class _Work:
    """One source. `files` and `keys` by landed table, as they become known."""

    connections: Connections
    source: Source
    manifest: Path
    notes: Notes
    tell: OnSource
    files: dict[str, list[Landed]] = field(default_factory=dict)
    keys: dict[str, Counts] = field(default_factory=dict)

    @cached_property
    def glue(self) -> Any:
        return self.connections.client("glue")

    @cached_property
    def counter(self) -> Counter:
        return Counter(Athena(self.connections), self.connections.environment.marts_database)

    @cached_property
    def objects(self) -> LakeObjects:
        return LakeObjects(self.connections)

    def run(self, *, asked: bool) -> None:
        found = self._marts()
        for table in self.source.tables:
            self.files[table.name] = archive.landed(self.connections, table)
        if not asked and not any(self.files.values()) and not self._anything(found or []):
            self.notes.skip("source", self.source.name, "nothing of it has landed; invoke seed lands files")
            return
        for table in self.source.tables:
            self._landed(table, found or [])
        if found is None:
            return
        self._databases(found)
        synced = self._statuses(found)
        for mart in found:
            self.tell(mart.name)
            with self.notes.failing("mart", mart.name, "can be looked at"):
                self._mart(mart, synced.get(mart.model))

    def _marts(self) -> list[Mart] | None:
        """Return the marts above the source; None, noted, where the manifest does not tell them."""
        try:
            found = expected.marts(self.manifest, self.source)
            for mart in found:
                self.connections.environment.require_own_marts(mart.database, mart.model)
        except PenstockError as error:
            self.notes.add(
                "models", "the last build's manifest", error.message, "names the marts", "failed", error.hint
            )
            return None
        return found

    def _anything(self, found: Sequence[Mart]) -> bool:
        """Whether a landed table or a mart of the source is in the catalog."""
        landed_database = self.connections.environment.landed_database(self.source.name)
        places = [(landed_database, table.name) for table in self.source.tables]
        return any(
            self._table(*place) is not None
            for place in [*places, *((mart.database, mart.table) for mart in found)]
        )

    def _table(self, database: str, name: str) -> dict[str, Any] | None:
        try:
            table: dict[str, Any] = self.glue.get_table(DatabaseName=database, Name=name)["Table"]
        except self.glue.exceptions.EntityNotFoundException:
            return None
        return table

    # what landed

    def _landed(self, table: Table, found: Sequence[Mart]) -> None:
        database = self.connections.environment.landed_database(self.source.name)
        name = f"{database}.{table.name}"
        self.tell(name)
        todo = f"invoke seed --source {self.source.name} --file …"
        with self.notes.failing("landed table", name, "can be looked at", todo):
            if not landed.database(self.glue, database, self.notes, f"{todo} makes it; files stay."):
                return
            readable = landed.table(self.connections, self.glue, table, self.notes)
            landed.archived(name, self.files[table.name], self.notes)
            grain = next((mart.grain for mart in found if mart.grain and mart.grain.table == table), None)
            if readable:
                self._landed_rows(table, grain or Grain(table, ""))

    def _landed_rows(self, table: Table, grain: Grain) -> None:
        database = self.connections.environment.landed_database(self.source.name)
        name = f"{database}.{table.name}"
        todo = (
            f"A file is not what was landed: seed it again (invoke seed --source {self.source.name} --file …)"
        )
        with self.notes.failing("landed rows", name, "can be counted", todo):
            relation = f"{quoted(database)}.{quoted(table.name)}"
            read, self.keys[table.name] = rows.landed_counts(self.counter.ask, relation, grain)
            landed.rows(name, self.files[table.name], read, self.notes, todo)

    # the marts

    def _databases(self, found: Sequence[Mart]) -> None:
        known = {check.subject for check in self.notes.report.checks if check.check == "database"}
        for database in sorted({mart.database for mart in found} - known):
            landed.database(self.glue, database, self.notes, "invoke build")

    def _mart(self, mart: Mart, status: TableStatus | None) -> None:
        table = self._table(mart.database, mart.table)
        if table is None:
            self.notes.add("table type", mart.name, "missing", "Iceberg", "failed", "invoke build")
            return
        iceberg = marts.kind(mart, table, self.notes)
        location = table["Parameters"]["metadata_location"] if iceberg else ""
        lake = self._metadata(mart, location) if iceberg else None
        marts.columns(mart, table, lake, self.notes)
        if lake is not None:
            marts.partitions(mart, lake, self.notes)
            marts.properties(mart, lake, self.notes)
            live = files.readable(mart.name, lake, self.notes)
            marts.footers(mart, self.objects, live, self.notes)
        else:
            left = ("partition spec", "properties", "data files", *(() if iceberg else ("snapshots",)))
            for check in left:
                self.notes.skip(check, mart.name, "there is no Iceberg metadata to read")
        self._rows(mart, lake, location, status)

    def _metadata(self, mart: Mart, location: str) -> LakeTable | None:
        try:
            return LakeTable(self.objects, location)
        except FileNotFoundError:
            told = f"{location}, the current metadata, is missing"
            self.notes.add("snapshots", mart.name, told, "every file there, with its size", "failed",
                           "Bring it back (an older version of the object, by S3 versioning)")  # fmt: skip
            return None

    def _rows(self, mart: Mart, lake: LakeTable | None, location: str, status: TableStatus | None) -> None:
        grain = mart.grain
        day = grain.day if grain else ""
        found: Counts | None = None
        with self.notes.failing("query", mart.name, "an answer"):
            found, answer = rows.counts(self.counter.ask, mart.quoted, day)
            told = (
                f"{rows.total(found)} rows in {answer.seconds:.2f} s, {answer.bytes_scanned:,} bytes scanned"
            )
            self.notes.add("query", mart.name, told, "an answer")
        staged: Counts | None = None
        if grain is not None:
            with self.notes.failing(
                "staged rows", grain.view.replace('"', ""), "can be counted", "invoke build"
            ):
                staged, _ = rows.counts(self.counter.ask, grain.view, day)
        in_postgres = self._in_postgres(mart, lake, day, status) if found is not None else None
        changed = bool(location) and self._moved(mart, location)
        if grain is not None and staged is not None:
            if grain.table.name in self.keys:
                rows.staged(grain, self.keys[grain.table.name], staged, self.notes)
            if found is not None:
                if day:
                    rows.partitions(mart, staged, found, self.notes)
                away = self.files[grain.table.name]
                rows.modelled(mart, grain, staged, found, away, self.counter.ask, self.notes, changed)
        if in_postgres is not None and found is not None:
            rows.synced(mart, found, in_postgres, self.notes, changed)

    def _moved(self, mart: Mart, location: str) -> bool:
        try:
            return locate(self.glue, mart.database, mart.table) != location
        except PlanError:
            return True

    # Postgres

    def _statuses(self, found: Sequence[Mart]) -> dict[str, TableStatus]:
        """Note where each synced table stands; return it by model."""
        declared = [mart.declaration for mart in found if mart.declaration is not None]
        if not declared:
            return {}
        if not self.connections.has_postgres:
            for declaration in declared:
                self.notes.skip("synced", declaration.target, "no DATABASE_URL is set")
            return {}
        self.tell("Postgres")
        answered: list[TableStatus] = []
        with self.notes.failing("synced", "Postgres", "can be asked"):
            answered = statuses(self.connections, declared)
        for status in answered:
            self._standing(status)
        return {status.model: status for status in answered}

    def _standing(self, status: TableStatus) -> None:
        told = status.standing + (f": {status.problem}" if status.problem else "")
        if status.snapshots_behind:
            told += f" by {counted(status.snapshots_behind, 'snapshot')}"
        if status.standing == "current":
            told += f", snapshot {status.committed_snapshot}"
        elif status.standing == "behind":
            told += f": snapshot {status.committed_snapshot} is committed, {status.lake_snapshot} is current"
        elif status.shards:
            told += f": {status.shards}"
        todo = (
            "invoke build" if status.standing == "not in the lake" else f"invoke sync --select {status.model}"
        )
        state = "ok" if status.standing == "current" else "failed"
        self.notes.add("synced", status.table, told, "current", "ok" if state == "ok" else "failed", todo)

    def _in_postgres(
        self, mart: Mart, lake: LakeTable | None, day: str, status: TableStatus | None
    ) -> Counts | None:
        """Return the rows in Postgres by month; None, noted, where they need not equal the mart's."""
        declaration = mart.declaration
        if declaration is None or status is None or lake is None:
            return None
        if status.standing != "current":
            self.notes.skip("synced rows", declaration.target, f"Postgres is not current: {status.standing}")
            return None
        with self.notes.failing("synced rows", declaration.target, "can be counted"):
            ids = {item["name"]: item["id"] for item in lake.fields()}
            names = {column.field_id: column.name for column in declaration.resolve(lake.fields())}
            column = names.get(ids[day], "") if day else ""
            url = self.connections.postgres_url()
            with connect(url, LIMITS, reread=self.connections.reread_postgres_url) as connection:
                connection.execute("set default_transaction_read_only = on")
                connection.execute("set timezone to 'UTC'")
                table = f"{quoted(declaration.schema)}.{quoted(declaration.table)}"
                sql = f"select {rows.month(column)}, count(*) from {table} group by 1"
                found = connection.execute(sql.encode()).fetchall()
            return {str(name) if name is not None else "no day": int(count) for name, count in found}
        return None
