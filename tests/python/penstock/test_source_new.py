"""`invoke source.new`: what a sample suggests, what is refused, and new sources from nothing to rows on Athena."""

from __future__ import annotations

import dataclasses
import json
import shutil
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock import sources
from penstock.commands import source
from penstock.connections import Connections
from penstock.environments import Environment
from penstock.errors import BadInputError, LandingError
from penstock.lake.athena import Athena
from penstock.landing.sample import sample
from penstock.landing.seed import seed
from penstock.settings import PROJECT_ROOT
from penstock.transform import dbt
from penstock.transform.dbt import Side

RETURNS = """\
return_id;order;returned_on;seen_at;reason;zip;amount;is_open
1;77;2026-01-02;2026-01-02 10:00:00;broken;01234;1.50;true
2;77;2026-01-03;2026-01-03 11:30:00.250;;99501;0;false
3;78;2026-01-03;2026-01-04 00:00:00;late;10001;12.25;true
"""


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where files are named as a user would, without their path."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_source_new_csv_writes_what_the_sample_says(in_folder: Path) -> None:
    Path("returns.csv").write_text(RETURNS)

    written = source.new("returns", file="returns.csv", root=in_folder)

    assert written == [
        Path("sources/returns.yml"),
        Path("models/staging/returns/_returns__sources.yml"),
        Path("models/staging/returns/_returns__models.yml"),
        Path("models/staging/returns/stg_returns__returns.sql"),
    ]
    assert (
        Path("sources/returns.yml").read_text()
        == """\
# Made from 3 rows of returns.csv: look over types, what may be empty, bounds and the key.
database: returns

tables:
  - name: returns
    format: csv
    delimiter: ";"
    key: [return_id]  # a guess: the first column that names each row of the sample
    columns:
      - {name: return_id, type: bigint, minimum: 0}
      - {name: order, type: bigint, minimum: 0}
      - {name: returned_on, type: date}
      - {name: seen_at, type: timestamp}
      - {name: reason, type: string, nullable: true}
      - {name: zip, type: string}
      - {name: amount, type: double, minimum: 0}
      - {name: is_open, type: boolean}
"""
    )
    staging = Path("models/staging/returns/stg_returns__returns.sql").read_text()
    assert '        "order",\n' in staging  # which SQL reserves
    assert "        nullif(reason, '') as reason,\n" in staging


def test_source_new_key_that_is_given_is_taken(in_folder: Path) -> None:
    Path("returns.csv").write_text(RETURNS)

    source.new("returns", file="returns.csv", key="order, returned_on", root=in_folder)

    assert "    key: [order, returned_on]\n" in Path("sources/returns.yml").read_text()


def test_sample_parquet_takes_types_lengths_and_what_is_null(tmp_path: Path) -> None:
    path = tmp_path / "visits.parquet"
    columns: dict[str, Any] = {
        "visit_id": ["a", "b", "c", "d"],
        "price": pa.array([Decimal("1.50"), None, Decimal("0.00"), Decimal("7.25")], pa.decimal128(8, 2)),
        "offset_minutes": pa.array([-5, 5, 0, 1], pa.int32()),
        "vector": [[0.5, 0.25]] * 4,
        "tags": [["x"], [], ["y", "z"], None],
        "at": pa.array([datetime(2026, 1, 2)] * 4, pa.timestamp("us")),
        "kind": ["web", "web", "web", "web"],
    }
    pq.write_table(pa.table(columns), path)

    found = sample(path, "visits")

    assert [(c.name, c.type, c.nullable, c.minimum, c.length) for c in found.table.columns] == [
        ("visit_id", "string", False, None, 0),
        ("price", "decimal(8,2)", True, 0, 0),
        ("offset_minutes", "int", False, None, 0),
        ("vector", "array<double>", False, None, 2),
        ("tags", "array<string>", True, None, 0),
        ("at", "timestamp", False, None, 0),
        ("kind", "string", False, None, 0),
    ]
    assert (found.table.key, found.guessed, found.table.format) == (("visit_id",), True, "parquet")
    assert found.seen[-1].few == ["web"]


def test_sample_json_lines_are_a_parquet_source(tmp_path: Path) -> None:
    path = tmp_path / "visits.jsonl"
    path.write_text('{"id": 1, "score": 2, "at": "2026-01-02T03:04:05"}\n{"id": 2, "score": 2.5}\n')

    table = sample(path, "visits").table

    assert table.format == "parquet"
    assert [(c.name, c.type, c.nullable) for c in table.columns] == [
        ("id", "bigint", False),
        ("score", "double", False),
        ("at", "timestamp", True),
    ]


# (the sample's name and text, the key asked for, what is said)
REFUSED = {
    "no_rows": ("a.csv", "id,name\n", "", "a.csv has no rows."),
    "empty": ("a.csv", "", "", "a.csv is empty."),
    "odd_names": (
        "a.csv",
        "id,Full Name\n1,x\n",
        "",
        "a.csv has columns that cannot be declared: 'Full Name'.",
    ),
    "taken_name": (
        "a.csv",
        "id,file_path\n1,x\n",
        "",
        "a.csv has columns that the staging view adds itself: file_path.",
    ),
    "no_key": ("a.csv", "id,name\n1,x\n1,x\n", "", "No column of a.csv names a row alone."),
    "key_no_column": ("a.csv", "id,name\n1,x\n", "no", "a.csv has no column no."),
    "key_empty": (
        "a.csv",
        "id,name\n1,x\n2,\n",
        "id,name",
        "Column name of a.csv is empty in 1 rows: no part of",
    ),
    "struct": (
        "a.jsonl",
        '{"id": 1, "spot": {"x": 1}}\n',
        "",
        "a.jsonl has columns whose type cannot be declared: spot.",
    ),
    "no_parquet": ("a.parquet", "PAR1", "", "a.parquet is no Parquet file, or it is damaged"),
}


@pytest.mark.parametrize(("name", "text", "key", "message"), REFUSED.values(), ids=REFUSED)
def test_source_new_sample_that_cannot_be_declared_is_refused(
    in_folder: Path, name: str, text: str, key: str, message: str
) -> None:
    Path(name).write_text(text)

    with pytest.raises(LandingError) as raised:
        source.new("visits", file=name, key=key, root=in_folder)

    assert raised.value.message.startswith(message)
    assert not (in_folder / "sources").exists()


def test_source_new_key_that_repeats_is_refused_by_line(in_folder: Path) -> None:
    Path("a.csv").write_text("id,name\n1,x\n2,y\n1,z\n")

    with pytest.raises(BadInputError, match=r"a\.csv line 4, column id: '1' is already in line 2"):
        source.new("visits", file="a.csv", key="id", root=in_folder)

    assert not (in_folder / "sources").exists()


@pytest.mark.parametrize("name", ["", "Visits", "1st", "my-visits", "_visits", "v" * 42])
def test_source_new_name_that_cannot_be_is_refused(in_folder: Path, name: str) -> None:
    with pytest.raises(LandingError, match="cannot be a source's name"):
        source.new(name, file="a.csv", root=in_folder)


def test_source_new_replaces_nothing_unless_forced(in_folder: Path) -> None:
    Path("a.csv").write_text("id,name\n1,x\n")
    kept = in_folder / "models/staging/visits/stg_visits__visits.sql"
    kept.parent.mkdir(parents=True)
    kept.write_text("mine")

    with pytest.raises(LandingError) as raised:
        source.new("visits", file="a.csv", root=in_folder)

    assert raised.value.message == (
        "There is already models/staging/visits/stg_visits__visits.sql; nothing was written."
    )
    assert kept.read_text() == "mine"
    assert not (in_folder / "sources").exists()
    source.new("visits", file="a.csv", force=True, root=in_folder)
    assert kept.read_text().startswith("-- One row per id")


def test_source_new_where_another_source_lands_is_refused(in_folder: Path) -> None:
    """All tasks read all declarations: a new one must not spoil them."""
    Path("a.csv").write_text("id,name\n1,x\n")
    Path("sources").mkdir()
    shutil.copy(PROJECT_ROOT / "sources" / "forecast.yml", "sources")

    with pytest.raises(LandingError) as raised:
        source.new("forecast_data", file="a.csv", root=in_folder)

    assert raised.value.message == (
        "sources/forecast.yml and sources/forecast_data.yml share the location forecast_data/."
    )
    assert [path.name for path in Path("sources").iterdir()] == ["forecast.yml"]
    assert not Path("models").exists()


# from nothing to rows


@dataclasses.dataclass(frozen=True)
class NewSourceEnvironment(Environment):
    """Names of this test's own."""

    @property
    def lake_bucket(self) -> str:
        return "penstock-lake-new-source"

    @property
    def marts_database(self) -> str:
        return "analytics_new_source"


@pytest.mark.stack
def test_source_new_csv_and_parquet_are_landed_staged_and_read_on_athena(
    stack: Connections, in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = in_folder / "the project"
    for name in ("models", "macros", "analyses", "tests/dbt", "profiles", "sources", "functions"):
        if (PROJECT_ROOT / name).exists():
            shutil.copytree(PROJECT_ROOT / name, root / name)
    for name in ("dbt_project.yml", "selectors.yml"):
        shutil.copy(PROJECT_ROOT / name, root / name)
    monkeypatch.setattr(sources, "FOLDER", root / "sources")
    lake = dataclasses.replace(stack, environment=NewSourceEnvironment("local"))
    Path("returns.csv").write_text(RETURNS)
    Path("newer.csv").write_text(
        RETURNS.splitlines()[0] + "\n3;79;2026-01-05;2026-01-05 00:00:00;;10001;1e1;true\n"
    )
    visits = [
        {"visit_id": 1, "day": "2026-01-02", "tags": ["x", "y"]},
        {"visit_id": 2, "day": "2026-01-03", "tags": []},
    ]
    Path("visits.jsonl").write_text("".join(json.dumps(visit) + "\n" for visit in visits))
    pq.write_table(
        pa.table({"store": ["a", "b"], "opened": pa.array([date(2026, 1, 2), None], pa.date32())}),
        "stores.parquet",
    )

    for name, file in (("returns", "returns.csv"), ("visits", "visits.jsonl"), ("stores", "stores.parquet")):
        source.new(name, file=file, root=root)
        seed(lake, name, [Path(file)])
    seed(lake, "returns", [Path("newer.csv")])
    models = ["stg_returns__returns", "stg_visits__visits", "stg_stores__stores"]
    run = dbt.run(lake, Side.LAKE, ["build", "--select", *models], root=root)

    assert {node.status for node in run.nodes} == {"success", "pass"}

    def rows(sql: str) -> list[tuple[str | None, ...]]:
        return Athena(lake).run(sql, database="analytics_new_source").rows

    assert rows(
        'select return_id, "order", returned_on, seen_at, reason, zip, amount, is_open from stg_returns__returns order by 1'
    ) == [
        ("1", "77", "2026-01-02", "2026-01-02 10:00:00.000", "broken", "01234", "1.5", "true"),
        ("2", "77", "2026-01-03", "2026-01-03 11:30:00.250", None, "99501", "0.0", "false"),
        ("3", "79", "2026-01-05", "2026-01-05 00:00:00.000", None, "10001", "10.0", "true"),
    ]
    assert rows("select visit_id, day, cardinality(tags) from stg_visits__visits order by 1") == [
        ("1", "2026-01-02", "2"),
        ("2", "2026-01-03", "0"),
    ]
    assert rows("select store, opened from stg_stores__stores order by 1") == [
        ("a", "2026-01-02"),
        ("b", None),
    ]
