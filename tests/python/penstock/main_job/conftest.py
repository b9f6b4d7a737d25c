"""The main job on a lake and a database of its own: land files, build the mart, sync it, and what must come of it.

The expectation is computed from the landed CSV files with the standard library's csv and decimal alone; none of the
project's code takes part in it. Of dbt only the staging view and `fct_forecast` are run: what the models test is tested
with the models.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from penstock.connections import Connections
from penstock.environments import Environment
from penstock.lake.athena import Athena
from penstock.landing.seed import SeedReport, landed_files, remove, seed
from penstock.settings import PROJECT_ROOT
from penstock.sync.declaration import declarations
from penstock.sync.report import SyncReport
from penstock.sync.run import sync
from penstock.synthetic import forecast
from penstock.transform import dbt
from penstock.transform.dbt import Side

PROJECT_PARTS = (
    *("dbt_project.yml", "selectors.yml", "profiles", "sources", "prices.yml"),
    *("models", "functions", "macros", "analyses", "seeds", "snapshots", "tests"),
)
SELECTION = "+fct_forecast"

Line = list[str]  # the fields of one CSV line, as they stand in the file
Key = tuple[int, int, str]
Row = tuple[str | None, int | None, str, Decimal, Decimal, Decimal]


@dataclass(frozen=True)
class MainJobEnvironment(Environment):
    """Names of these tests' own, so that they share the stack with other tests and nothing else."""

    name: str = "main-job"

    @property
    def lake_bucket(self) -> str:
        return f"penstock-lake-{self.name}"

    @property
    def results_bucket(self) -> str:
        return f"penstock-athena-results-{self.name}"

    @property
    def workgroup(self) -> str:
        return f"penstock-{self.name}"

    @property
    def marts_database(self) -> str:
        return f"analytics_{self.name.replace('-', '_')}"

    def landed_database(self, source: str) -> str:
        return f"{source}_data_{self.name.replace('-', '_')}"


@dataclass
class MainJob:
    """One lake and one Postgres database. `landed`: the files that lie there, in the order in which they landed."""

    connections: Connections
    root: Path
    folder: Path
    landed: dict[str, list[Line]] = field(default_factory=dict)

    # the steps

    def write(self, name: str, lines: Iterable[Line]) -> Path:
        path = self.folder / name
        with path.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(HEADER)
            writer.writerows(lines)
        return path

    def land(self, **files: list[Line] | None) -> SeedReport | None:
        """Seed each `name=lines` as name.csv; None takes the file of that name out again."""
        given = {}
        for stem, lines in files.items():
            name = f"{stem}.csv"
            self.landed.pop(name, None)
            if lines is None:
                remove(self.connections, "forecast", name)
            else:
                given[name] = lines
        self.landed |= given
        if not given:
            return None
        return seed(self.connections, "forecast", [self.write(*item) for item in given.items()])

    def build(self) -> None:
        dbt.run(self.connections, Side.LAKE, ["run", "--select", SELECTION], root=self.root)

    def sync(self, connections: Connections | None = None, **options: Any) -> SyncReport:
        manifest = dbt.target_path(Side.LAKE, self.root) / "manifest.json"
        declared = declarations(manifest, ["fct_forecast"])
        (report,) = sync(connections or self.connections, declared, **options)
        return report

    # what must be, and what is

    def expected(self) -> dict[Key, Row]:
        """The rows in force by the files on disk: of a key that several files have, the last landed one's."""
        rows: dict[Key, Row] = {}
        for name in self.landed:
            with (self.folder / name).open(newline="") as file:
                for line in csv.DictReader(file):
                    key = (
                        int(line["restaurant_id"]),
                        int(line["inventory_item_id"]),
                        line["business_date"],
                    )
                    low, middle, high = (cents(line[name]) for name in ("y_05", "y_50", "y_95"))
                    centre = line["dc_id"]
                    rows[key] = (
                        line["dma_id"] or None,
                        int(centre) if centre else None,
                        line["state"],
                        low,
                        middle,
                        high,
                    )
        return rows

    def lake(self) -> dict[Key, Row]:
        found = self.ask(f"select {', '.join(HEADER)} from fct_forecast")
        rows = {
            (int(row[0]), int(row[1]), row[2]): (  # type: ignore[arg-type]
                row[3],
                None if row[4] is None else int(row[4]),
                row[5],
                *(cents(text) for text in row[6:]),  # type: ignore[arg-type]
            )
            for row in found
        }
        assert len(rows) == len(found), "fct_forecast holds a key twice"
        return rows  # type: ignore[return-value]

    def postgres(self) -> dict[Key, Row]:
        found = self.query(f"select {', '.join(HEADER)} from forecast_data")
        rows = {(row[0], row[1], row[2].isoformat()): row[3:] for row in found}
        assert len(rows) == len(found), "forecast_data holds a key twice"
        return rows

    def assert_equal(self) -> None:
        """Lake and Postgres hold exactly the rows of the files; sums by state agree to the cent, by Postgres's own sum."""
        expected = self.expected()
        assert landed_files(self.connections) == sorted(self.landed)
        assert self.lake() == expected
        assert self.postgres() == expected
        sums: dict[str, list[Any]] = {}
        for row in expected.values():
            total = sums.setdefault(row[2], [0, Decimal(0), Decimal(0), Decimal(0)])
            total[0] += 1
            for place, value in enumerate(row[3:], start=1):
                total[place] += value
        told = self.query(
            "select state, count(*), sum(y_05), sum(y_50), sum(y_95) from forecast_data group by 1"
        )
        assert {row[0]: list(row[1:]) for row in told} == sums

    # looking closer

    def ask(self, sql: str) -> list[tuple[str | None, ...]]:
        """Athena's rows."""
        return Athena(self.connections).run(sql, database=self.connections.environment.marts_database).rows

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Postgres's rows."""
        with psycopg.connect(self.connections.database_url) as connection:
            return connection.execute(sql.encode()).fetchall()

    def stamps(self) -> dict[Key, tuple[Any, ...]]:
        """(id, created_at, updated_at) of each row in Postgres."""
        found = self.query(
            "select restaurant_id, inventory_item_id, business_date::text, id, created_at, updated_at from forecast_data"
        )
        return {row[:3]: row[3:] for row in found}  # type: ignore[misc]

    def snapshots(self) -> list[str | None]:
        """The mart's snapshot ids, in order."""
        return [
            row[0]
            for row in self.ask('select snapshot_id from "fct_forecast$snapshots" order by committed_at')
        ]

    def metadata_location(self) -> str:
        found = self.connections.client("glue").get_table(
            DatabaseName=self.connections.environment.marts_database, Name="fct_forecast"
        )
        return str(found["Table"]["Parameters"]["metadata_location"])

    def files_by_month(self) -> dict[str, frozenset[str]]:
        """The live data and delete files of the mart, by month, as PyIceberg reads them."""
        from pyiceberg.table import StaticTable

        table = StaticTable.from_metadata(
            self.metadata_location(),
            {
                "s3.endpoint": self.connections.default_endpoint_url,
                "s3.access-key-id": self.connections.access_key,
                "s3.secret-access-key": self.connections.secret_key,
                "s3.region": self.connections.region,
            },
        )
        months: dict[str, set[str]] = {}
        for task in table.scan().plan_files():
            number = task.file.partition[0]
            month = f"{1970 + number // 12}-{number % 12 + 1:02}"
            deletes = [item.file_path for item in task.delete_files]
            months.setdefault(month, set()).update([task.file.file_path, *deletes])
        return {month: frozenset(paths) for month, paths in months.items()}


HEADER = (
    *("restaurant_id", "inventory_item_id", "business_date"),
    *("dma_id", "dc_id", "state", "y_05", "y_50", "y_95"),
)


def cents(text: str) -> Decimal:
    """A quantile as decimal(10,2) holds it; the files have two decimals at most, so nothing is rounded."""
    value = Decimal(text)
    assert value == value.quantize(Decimal("0.01"))
    return value.quantize(Decimal("0.01"))


def generated(folder: Path, rows: int) -> list[Line]:
    """Generated lines; every 50th has no market and every 70th no distribution centre."""
    path = folder / "generated.csv"
    forecast.write(path, rows)
    with path.open(newline="") as file:
        lines = list(csv.reader(file))[1:]
    path.unlink()
    for number, line in enumerate(lines):
        line[3] = "" if number % 50 == 0 else line[3]
        line[4] = "" if number % 70 == 0 else line[4]
    return lines


@pytest.fixture(scope="package")
def generate(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], list[Line]]:
    """Returns generated lines: 5 items and 91 days from 2025-01-01 a restaurant."""
    folder = tmp_path_factory.mktemp("generated")
    return lambda rows: generated(folder, rows)


@pytest.fixture(scope="package")
def main_job_environment() -> type[MainJobEnvironment]:
    """The class of environments with names of a test's own."""
    return MainJobEnvironment


@pytest.fixture(scope="package")
def project_parts() -> tuple[str, ...]:
    """What dbt needs of the project's root."""
    return PROJECT_PARTS


@pytest.fixture(scope="package")
def make_job(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., MainJob]:
    """Returns a main job over connections: a project root and a Postgres database of its own."""

    def make(connections: Connections, name: str) -> MainJob:
        root = tmp_path_factory.mktemp("the project")
        for part in PROJECT_PARTS:
            if (PROJECT_ROOT / part).exists():
                (root / part).symlink_to(PROJECT_ROOT / part)
        with psycopg.connect(connections.database_url, autocommit=True) as admin:
            admin.execute(f"create database {name}".encode())
        url = make_conninfo_url(connections.database_url, name)
        return MainJob(replace(connections, database_url=url), root, tmp_path_factory.mktemp("files"))

    return make


def make_conninfo_url(url: str, database: str) -> str:
    return f"{url.rpartition('/')[0]}/{database}"


@pytest.fixture(scope="module")
def job(stack: Connections, make_job: Any, generate: Any) -> MainJob:
    """The main job on the shared stack, with 9,100 rows of 20 restaurants landed as base.csv, built and synced."""
    made: MainJob = make_job(replace(stack, environment=MainJobEnvironment("local")), "main_job")
    made.land(base=generate(9_100))
    made.build()
    report = made.sync()
    assert (report.mode, report.inserted) == ("load", 9_100)
    return made
