"""Random tables, random changes, a sync after each: a thousand rounds, and after every one Postgres equals the lake.

A round is a change of the lake (or two), a sync and a check: every row, key by key, against a model kept in Python; rows
whose values are the same were not written; the report counts what happened; a change that changes no row writes nothing;
a change that must be refused leaves all as it was. PENSTOCK_PROPERTY_ROUNDS sets another number of rounds.
"""

from __future__ import annotations

import itertools
import math
import os
import random
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo
from sync_clients import reused_clients
from sync_oracle import CHANGES, TAMPER, Key, Model, comparable, table_spec

from penstock.connections import Connections
from penstock.errors import PenstockError
from penstock.sync import extract
from penstock.sync.declaration import Declaration
from penstock.sync.report import SyncReport
from penstock.sync.run import sync

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

ROUNDS = int(os.environ.get("PENSTOCK_PROPERTY_ROUNDS", "1000"))
ROUNDS_A_TABLE = 10
_numbers = itertools.count(1)
met: Counter[str] = Counter()


class Held(NamedTuple):
    values: tuple[Any, ...]
    updated_at: Any
    xmin: str


@dataclass(frozen=True)
class Round:
    """One or two changes, with the seed that they are drawn by, and how the sync after them is run."""

    changes: tuple[str, ...]
    seed: int
    full: bool


ROUND = st.builds(
    Round,
    changes=st.lists(st.sampled_from(CHANGES), min_size=1, max_size=2).map(tuple),
    seed=st.integers(0, 2**32 - 1),
    full=st.sampled_from([False] * 7 + [True]),
)


@dataclass(frozen=True)
class Bench:
    """One Postgres database and one Glue database for all tables."""

    lake: Connections
    glue_database: str
    postgres: psycopg.Connection[Any]
    writer: type[Any]


@pytest.fixture(scope="module")
def bench(lake_server: Connections, lake_writer_class: type[Any]) -> Iterator[Bench]:
    name = f"properties_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(lake_server.database_url, autocommit=True) as admin:
        admin.execute(f"create database {name}".encode())
        lake = Connections(
            **{**vars(lake_server), "database_url": make_conninfo(lake_server.database_url, dbname=name)}
        )
        with reused_clients():
            lake.client("glue").create_database(DatabaseInput={"Name": name})
            with psycopg.connect(lake.database_url, autocommit=True, prepare_threshold=None) as postgres:
                postgres.execute("set timezone = 'UTC'")
                yield Bench(lake, name, postgres, lake_writer_class)
        admin.execute(f"drop database {name} with (force)".encode())


class Play:
    """One random table's life: `round` after round."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench = bench
        self.name = f"table_{next(_numbers)}"
        spec = table_spec(random.Random(seed))
        self.batch_rows = spec.batch_rows
        s3 = bench.lake.client("s3")

        def remove(location: str) -> None:
            bucket, _, key = location.removeprefix("s3://").partition("/")
            s3.delete_object(Bucket=bucket, Key=key)

        self.model = Model(
            spec,
            lambda fields, partition: bench.writer(
                bench.lake, bench.glue_database, self.name, fields, partition
            ),
            remove,
        )
        self.declaration = Declaration(
            model=self.name,
            lake_database=bench.glue_database,
            lake_table=self.name,
            table=self.name,
            key=spec.key,
            columns={
                column.name: _declared(column)
                for column in spec.columns
                if column.declared or (not column.nullable and column.name not in spec.key)
            },
        )
        self.before: dict[Key, Held] = {}

    def round(self, given: Round) -> None:
        chance = random.Random(given.seed)
        # a column is renamed after the round's rows were written, under the names that they have
        for change in sorted(given.changes, key=lambda change: change == "rename_column"):
            if change == "rename_column" and (self.model.renamed or not self._there()):
                change = "insert"
            met[change] += 1
            if change == TAMPER:
                self._tamper(chance)
            else:
                getattr(self.model, change)(chance)
        if self.model.renamed:
            self._refused()
            self.model.name_back()
        report = self._sync(given.full or TAMPER in given.changes)
        met[report.mode] += 1
        self._check(report, given)
        met["round"] += 1

    def _tamper(self, chance: random.Random) -> None:
        """Edit or delete rows in Postgres: only a sync of everything must find that."""
        if not self.before:
            return
        key = ", ".join(self.declaration.key)
        others = [column.name for column in self.model.spec.columns if column.nullable]
        change = (
            f"set {chance.choice(others)} = null, updated_at = updated_at"
            if others
            else "set updated_at = now()"
        )
        some = (
            f"where ({key}) in (select {key} from {self.name} order by {key} limit {chance.randrange(1, 4)})"
        )
        statement = chance.choice((f"update {self.name} {change} {some}", f"delete from {self.name} {some}"))
        self.bench.postgres.execute(statement.encode())
        self.before = self._held()

    def _sync(self, full: bool) -> SyncReport:
        (report,) = sync(self.bench.lake, [self.declaration], full=full)
        return report

    def _refused(self) -> None:
        with pytest.raises(PenstockError) as caught:
            self._sync(False)
        assert self.model.renamed is not None
        assert self.model.renamed[0] in caught.value.message
        assert self._held() == self.before

    def _there(self) -> bool:
        row = self.bench.postgres.execute("select to_regclass(%s)", [self.name]).fetchone()
        return row != (None,)

    def _held(self) -> dict[Key, Held]:
        if not self._there():
            return {}
        names = ", ".join(column.name for column in self.model.columns if not self._is_missing(column.name))
        keys = len(self.declaration.key)
        statement = (
            f"select {', '.join(self.declaration.key)}, updated_at, xmin::text, {names} from {self.name}"
        )
        found: dict[Key, Held] = {}
        for row in self.bench.postgres.execute(statement.encode()):
            key = row[:keys]
            assert key not in found, f"key {key} is there twice"
            found[key] = Held(tuple(map(comparable, row[keys + 2 :])), row[keys], row[keys + 1])
        return found

    def _is_missing(self, name: str) -> bool:
        """Whether a column of the lake is not in Postgres yet."""
        row = self.bench.postgres.execute(
            "select 1 from pg_attribute where attrelid = %s::regclass and attname = %s", [self.name, name]
        ).fetchone()
        return row is None

    def _check(self, report: SyncReport, given: Round) -> None:
        held, expected = self._held(), self.model.rows()
        assert {key: row.values for key, row in held.items()} == expected
        rewritten = "widen_column" in given.changes  # ALTER TYPE writes the table anew
        for key, row in held.items():
            old = self.before.get(key)
            if old is not None and _same(old.values, row.values):
                assert row.updated_at == old.updated_at, f"{key} did not change and was touched"
                assert rewritten or row.xmin == old.xmin, f"{key} did not change and was written"
            elif old is not None:
                assert row.updated_at > old.updated_at, f"{key} changed and updated_at did not"
        counts = (
            len(held.keys() - self.before.keys()),
            sum(
                1
                for key, row in held.items()
                if key in self.before and not _same(self.before[key].values, row.values)
            ),
            len(self.before.keys() - held.keys()),
        )
        assert (report.inserted, report.updated, report.deleted) == counts
        self.before = held
        self.model.synced = frozenset(column.name for column in self.model.columns)

    def end(self) -> None:
        self.bench.postgres.execute(f"drop table if exists {self.name}".encode())


def _same(old: tuple[Any, ...], new: tuple[Any, ...]) -> bool:
    """Whether a row has the values it had; columns that are new are null."""
    return old == new[: len(old)] and all(item is None for item in new[len(old) :])


def _declared(column: Any) -> str:
    sql = {
        "int": "integer",
        "long": "bigint",
        "string": "text",
        "date": "date",
        "boolean": "boolean",
        "float": "real",
        "double": "double precision",
        "timestamp": "timestamp",
        "timestamptz": "timestamptz",
        "binary": "bytea",
        "list of int": "integer[]",
        "struct": "jsonb",
    }
    kind = column.declared or sql.get(column.kind, column.kind)
    return kind if column.nullable else f"{kind} not null"


@settings(
    max_examples=max(1, math.ceil(ROUNDS / ROUNDS_A_TABLE)),
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # the rounds of a table are few, shrinking them takes minutes
    suppress_health_check=list(HealthCheck),
)
@given(
    seed=st.integers(0, 2**32 - 1), rounds=st.lists(ROUND, min_size=ROUNDS_A_TABLE, max_size=ROUNDS_A_TABLE)
)
def play(bench: Bench, monkeypatch: pytest.MonkeyPatch, seed: int, rounds: list[Round]) -> None:
    game = Play(bench, seed)
    with monkeypatch.context() as patch:
        patch.setattr(extract, "BATCH_ROWS", game.batch_rows)
        try:
            for item in rounds:
                game.round(item)
        finally:
            game.end()


def test_sync_after_any_change_of_any_table_equals_the_lake(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(bench, monkeypatch)
    assert met["round"] >= ROUNDS
    if ROUNDS >= 1000:
        assert set(CHANGES) <= met.keys()
        assert {"nothing", "changes", "everything", "load"} <= met.keys()
