"""`invoke seed` without --file, and what it says of columns that nobody declared."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from penstock.commands import data
from penstock.errors import LandingError
from penstock.landing.seed import SeedReport
from penstock.settings import Settings
from penstock.sources import Column


def test_waiting_takes_what_the_generator_wrote_and_of_one_name_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("output/sales")
    folder.mkdir(parents=True)
    names = [
        "sales.parquet",
        "sales.jsonl",
        "more.json.gz",
        ".sales.parquet.part",
        "_notes.jsonl",
        "notes.txt",
    ]
    for age, name in enumerate(names):
        (folder / name).touch()
        os.utime(folder / name, (1_000_000 + age, 1_000_000 + age))

    assert data.waiting("sales") == [folder / "more.json.gz", folder / "sales.jsonl"]


def test_waiting_nothing_there_says_how_to_make_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(LandingError) as raised:
        data.waiting("sales")

    assert raised.value.message == "No file was given to seed, and there is none in output/sales/."
    assert raised.value.hint == "Give one with --file, or make some: invoke generate.sales."


def test_seed_rows_of_another_source_than_the_forecast_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "connect", lambda *_: None)

    with pytest.raises(LandingError, match="--rows generates forecasts alone"):
        data.seed(Settings(), files=[], rows=5, source="sales", remove="")


def test_show_seeded_prints_the_lines_to_add_to_the_declaration(capsys: pytest.CaptureFixture[str]) -> None:
    columns = (Column("colour", "string", nullable=True), Column("fee", "decimal(8,2)", nullable=True))

    data.show_seeded(SeedReport("sales.sales", "p.sales", "s3://lake/p/sales/", (), (), 0.5, columns))

    told = capsys.readouterr().err
    assert "p.sales has columns that are not declared; add to sources/sales.yml, and to the models:" in told
    assert "    - {name: colour, type: string, nullable: true}\n" in told
    assert '    - {name: fee, type: "decimal(8,2)", nullable: true}\n' in told
