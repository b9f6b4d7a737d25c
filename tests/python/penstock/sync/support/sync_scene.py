"""Two lake states and a Postgres table between them: where the fault matrix and the concurrency tests play.

The table has two months. January is the same in both states; in February rows were changed, added and deleted. What
Postgres holds is read whole and compared key by key with what the test wrote, never with the sync's own code.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, NamedTuple

import psycopg
import pyarrow as pa

from penstock.connections import Connections
from penstock.sync.declaration import Declaration
from penstock.sync.postgres import Limits
from penstock.sync.report import SyncReport, silent
from penstock.sync.run import sync

JANUARY, FEBRUARY = ((2025 - 1970) * 12 + month for month in (0, 1))
ROWS = 1_000  # a month; with BATCH_ROWS a COPY of several blocks
BATCH_ROWS = 200
Key = tuple[int, int, date]
Values = tuple[Any, ...]
State = dict[Key, Values]


class Held(NamedTuple):
    """A row's values, and what tells whether it was written."""

    values: Values
    updated_at: Any
    xmin: str


def month(number: int, version: str) -> State:
    """Return a month's rows. `new` has another y_50 in every third row, every tenth row gone, and rows of its own."""
    first = date(2025, number, 1)
    rows: State = {}
    for i in range(ROWS):
        if version == "new" and i % 10 == 5:
            continue
        changed = version == "new" and i % 3 == 0
        rows[i, 7, first + timedelta(i % 28)] = (
            f"D{i % 5}" if i % 7 else None,
            i % 60,
            "CA",
            None if i % 13 == 0 else i / 4,
            i / 2 + (0.5 if changed else 0),
            float(i),
        )
    if version == "new":
        for i in range(ROWS, ROWS + 100):
            rows[i, 7, first + timedelta(i % 28)] = (None, None, "TX", None, 1.0, 2.0)
    return rows


def arrow(rows: State) -> pa.Table:
    columns = list(zip(*((*key, *values) for key, values in rows.items()), strict=True))
    names = ["restaurant_id", "inventory_item_id", "business_date"]
    names += ["dma_id", "dc_id", "state", "y_05", "y_50", "y_95"]
    return pa.table({name: pa.array(column) for name, column in zip(names, columns, strict=True)})


@dataclass
class Scene:
    """`lake` is reached directly; `through` may lead a sync over proxies."""

    lake: Connections
    declaration: Declaration
    writer: Any
    states: dict[str, State] = field(default_factory=dict)
    snapshots: dict[str, int] = field(default_factory=dict)
    files: dict[str, list[str]] = field(default_factory=dict)
    before: dict[Key, Held] = field(default_factory=dict)
    _observer: psycopg.Connection[Any] | None = None

    def write(self) -> None:
        """Write both states; the lake then is at `new`."""
        january = self.writer.add(arrow(month(1, "old")), JANUARY)
        february = self.writer.add(arrow(month(2, "old")), FEBRUARY)
        self.snapshots["old"] = self.writer.commit()
        again = self.writer.add(arrow(month(2, "new")), FEBRUARY)
        self.snapshots["new"] = self.writer.commit(remove=[february])
        self.files = {"old": [january, february], "new": [january, again]}
        for version in ("old", "new"):
            self.states[version] = month(1, "old") | month(2, version)

    def elsewhere(self, writer: Any, database: str) -> Scene:
        """Return the same scene in a lake table of its own, which may be spoilt."""
        self.lake.client("glue").create_database(DatabaseInput={"Name": database})
        other = Scene(
            self.lake,
            replace(self.declaration, lake_database=database),
            writer(self.lake, database, self.declaration.lake_table),
        )
        other.write()
        other.empty()
        return other

    def commit_third(self) -> list[str]:
        """Commit a third state, with other values in every row; returns the data files that it leaves behind."""
        rows = {key: (*values[:4], values[4] + 0.25, values[5]) for key, values in month(2, "new").items()}
        self.states["third"] = month(1, "old") | rows
        removed = sorted({location for files in self.files.values() for location in files})
        self.writer.add(arrow(month(1, "old")), JANUARY)
        self.writer.add(arrow(rows), FEBRUARY)
        self.snapshots["third"] = self.writer.commit(remove=removed)
        return removed

    def delete_object(self, location: str) -> None:
        bucket, _, key = location.removeprefix("s3://").partition("/")
        self.lake.client("s3").delete_object(Bucket=bucket, Key=key)

    def drop(self) -> None:
        """Drop the lake table and delete all its files."""
        s3, glue = self.lake.client("s3"), self.lake.client("glue")
        glue.delete_table(DatabaseName=self.declaration.lake_database, Name=self.declaration.lake_table)
        bucket, _, prefix = self.writer.metadata["location"].removeprefix("s3://").partition("/")
        for item in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
            s3.delete_object(Bucket=bucket, Key=item["Key"])

    def lake_at(self, version: str) -> None:
        self.writer.rollback(self.snapshots[version])

    def other(self, version: str) -> str:
        return "old" if version == "new" else "new"

    # Postgres

    def close(self) -> None:
        if self._observer is not None:
            self._observer.close()

    def query(self, statement: str) -> list[Any]:
        """Return a query's rows, by a connection that is kept, and made anew when the server was restarted."""
        for _ in range(2):
            if self._observer is None or self._observer.closed:
                self._observer = psycopg.connect(
                    self.lake.database_url, autocommit=True, prepare_threshold=None
                )
            try:
                return self._observer.execute(statement.encode()).fetchall()
            except psycopg.OperationalError:
                self._observer.close()
        raise AssertionError("Postgres does not answer the test itself")

    def held(self) -> dict[Key, Held]:
        """Return the table's rows by key; empty when there is no table."""
        name = self.declaration.target
        if self.query(f"select to_regclass('{name}')") == [(None,)]:
            return {}
        rows = self.query(
            "select restaurant_id, inventory_item_id, business_date, dma_id, dc_id, state, y_05::float8,"
            f" y_50::float8, y_95::float8, updated_at, xmin::text from {name}"
        )
        found = {row[:3]: Held(row[3:9], row[9], row[10]) for row in rows}
        assert len(found) == len(rows), "a key is there twice"
        return found

    def recorded(self) -> int | None:
        """Return the snapshot that Postgres says it holds."""
        if self.query("select to_regclass('penstock.sync_state')") == [(None,)]:
            return None
        rows = self.query(
            f"select snapshot_id from penstock.sync_state where target = '{self.declaration.target}'"
        )
        return rows[0][0] if rows else None

    def runs(self) -> list[Any]:
        """Return the records of runs, oldest first: id, status, error."""
        if self.query("select to_regclass('penstock.sync_runs')") == [(None,)]:
            return []
        return self.query("select id, status, error from penstock.sync_runs order by id")

    def last_status(self) -> tuple[str, str | None] | None:
        """Return the newest row of the spec's status table: status and error message."""
        name = self.declaration.status_table
        if self.query(f"select to_regclass('{name}')") == [(None,)]:
            return None
        rows = self.query(f"select status, error_message from {name} order by id desc limit 1")
        return rows[0] if rows else None

    def empty(self) -> None:
        """Postgres as before the first sync."""
        self.query_all(
            f"drop table if exists {self.declaration.target}",
            "drop schema if exists penstock cascade",
            f"drop table if exists {self.declaration.status_table}",
        )
        self.before = {}

    def query_all(self, *statements: str) -> None:
        with psycopg.connect(self.lake.database_url, autocommit=True) as connection:
            connection.execute("set client_min_messages to warning")
            for statement in statements:
                connection.execute(statement.encode())

    def start(self, scenario: str) -> tuple[str, str]:
        """Bring Postgres and lake apart; returns what Postgres holds ('nothing', 'old', 'new') and the lake's state."""
        if scenario == "load":
            self.empty()
            self.lake_at("new")
            return "nothing", "new"
        if self.recorded() not in self.snapshots.values() or not self.held():
            self.lake_at("old")
            self.sync()
        holds = next(name for name, number in self.snapshots.items() if number == self.recorded())
        target = self.other(holds)
        self.lake_at(target)
        self.before = self.held()
        return holds, target

    # syncs and what must be true after them

    def sync(
        self,
        through: Connections | None = None,
        *,
        full: bool = False,
        checkpoint: Callable[[str], None] = silent,
        limits: Limits | None = None,
    ) -> SyncReport:
        (report,) = sync(
            through or self.lake,
            [self.declaration],
            full=full,
            checkpoint=checkpoint,
            limits=limits or Limits(busy_seconds=60),
        )
        return report

    def check(self, *allowed: str) -> str:
        """Assert that Postgres holds exactly one of these states, says so itself, and wrote no row that is the same.

        Returns which one; 'nothing' means no table, or an empty one, and no record of it.
        """
        held = self.held()
        values = {key: row.values for key, row in held.items()}
        states: dict[str, State] = self.states | {"nothing": {}}
        found = next((name for name in allowed if states[name] == values), None)
        assert found, f"Postgres holds {_difference(values, states, allowed)}"
        assert self.recorded() == self.snapshots.get(found), f"the rows are '{found}', the record is another"
        for key, row in held.items():
            if key in self.before and self.before[key].values == row.values:
                assert row == self.before[key], f"row {key} did not change and was written"
        self.before = held
        return found

    def check_no_session_is_left(self) -> None:
        """A sync that ended leaves no server session; a killed one's ends by itself within seconds."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            left = self.query(
                "select pid, state, query from pg_stat_activity"
                " where application_name = 'penstock sync' and datname = current_database()"
            )
            if not left:
                return
            time.sleep(0.02)
        raise AssertionError(f"a server session is left: {left}")


def _difference(values: State, states: dict[str, State], allowed: tuple[str, ...]) -> str:
    said = []
    for name in allowed:
        state = states[name]
        missing, extra = len(state.keys() - values.keys()), len(values.keys() - state.keys())
        other = sum(1 for key in state.keys() & values.keys() if state[key] != values[key])
        said.append(f"not '{name}': {missing} rows missing, {extra} too many, {other} with other values")
    return "; ".join(said)
