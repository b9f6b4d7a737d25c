"""What `invoke query` takes for SQL and what for the path of an analysis."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.errors import LakeError
from penstock.lake.query import find_analysis


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "analyses" / "forecast").mkdir(parents=True)
    (tmp_path / "analyses" / "forecast" / "days.sql").write_text("select 1")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "fct.sql").write_text("select 1")
    return tmp_path


@pytest.mark.parametrize("sql", ["select 1", "select 'a.sql' as x", "select 1\n-- from x.sql", "show tables"])
def test_find_analysis_sql_is_sql(project: Path, sql: str) -> None:
    assert find_analysis(sql, project) is None


def test_find_analysis_path_is_taken_from_the_project_and_from_here(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Path("analyses/forecast/days.sql")
    assert find_analysis("analyses/forecast/days.sql", project) == expected
    monkeypatch.chdir(project / "analyses" / "forecast")
    assert find_analysis("days.sql", project) == expected
    assert find_analysis(str(project / expected), project) == expected


@pytest.mark.parametrize("path", ["analyses/forecast/nights.sql", "models/fct.sql", "../outside.sql"])
def test_find_analysis_other_path_is_refused_naming_those_there_are(project: Path, path: str) -> None:
    with pytest.raises(LakeError) as caught:
        find_analysis(path, project)
    assert caught.value.message == f"{path} is no analysis of this project."
    assert caught.value.hint == "There are: analyses/forecast/days.sql."


def test_find_analysis_nothing_is_refused(project: Path) -> None:
    with pytest.raises(LakeError, match="nothing to ask"):
        find_analysis(" \n", project)
