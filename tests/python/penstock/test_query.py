"""What `invoke query` takes for SQL and what for an analysis, its parameters, and how it writes an answer for a program."""

from __future__ import annotations

import csv
import fcntl
import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from penstock.commands import query as command
from penstock.errors import LakeError
from penstock.lake import library
from penstock.lake import query as asking
from penstock.lake.athena import QueryResult
from penstock.lake.library import question_of, run_library
from penstock.lake.query import (
    analyses,
    check_parameters,
    domains,
    find_analysis,
    name_of,
    query,
    unpruned_twin,
)
from penstock.transform import dbt

DAYS = Path("analyses/forecast/days.sql")
PRUNING = Path("analyses/sales/pruning.sql")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "analyses/forecast/days.sql": "-- How many days?\nselect 1",
        "analyses/forecast/shared.sql": "select {{ var('top', 20) }}",
        "analyses/sales/brand_performance.sql": "-- Which brands?\nselect 1",
        "analyses/sales/pruning.sql": 'select {{ var( "month", 6) }}',
        "analyses/sales/shared.sql": "select 1",
        "analyses/sales/pruning_unpruned.sql": "select {{ var('month', 6) }}",
        "models/fct.sql": "select 1",
    }
    for name, sql in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(sql)
    return tmp_path


@pytest.mark.parametrize(
    "sql",
    [
        *(
            "select 1",
            "select 'a.sql' as x",
            "select 1\n-- from x.sql",
            "show tables",
            "select 1/2",
            "values(1)",
        ),
        *("select-1", "select'days'", "select\n1"),
    ],
)
def test_find_analysis_sql_is_sql(project: Path, sql: str) -> None:
    assert find_analysis(sql, project) is None


def test_find_analysis_path_is_taken_from_the_project_and_from_here(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for said in ("analyses/forecast/days.sql", "analyses/forecast/days"):
        assert find_analysis(said, project) == DAYS
    monkeypatch.chdir(project / "analyses" / "forecast")
    assert find_analysis("days.sql", project) == DAYS
    assert find_analysis(str(project / DAYS), project) == DAYS


@pytest.mark.parametrize(
    "said", ["forecast/days", "forecast/days.sql", "days", " forecast/days\n", "./forecast/days"]
)
def test_find_analysis_name_below_analyses_will_do(project: Path, said: str) -> None:
    assert find_analysis(said, project) == DAYS


@pytest.mark.parametrize(
    ("said", "near"),
    [
        ("forecast/day", "forecast/days"),
        ("sales/brand_perfomance", "sales/brand_performance"),
        ("analyses/sales/brand_performnce.sql", "sales/brand_performance"),
        ("brand_preformance", "sales/brand_performance"),
        ("sale/brands_performance", "sales/brand_performance"),
    ],
)
def test_find_analysis_near_miss_suggests_the_nearest(project: Path, said: str, near: str) -> None:
    with pytest.raises(LakeError) as caught:
        find_analysis(said, project)
    assert caught.value.message == f"{said} is no analysis of this project."
    assert caught.value.hint.startswith(f"Did you mean {near}? There are: forecast/days, ")


@pytest.mark.parametrize("said", ["models/fct.sql", "../outside.sql", "zzz", "models/fct", "sales", "sales/"])
def test_find_analysis_what_is_none_is_refused_naming_those_there_are(project: Path, said: str) -> None:
    with pytest.raises(LakeError, match="is no analysis of this project") as caught:
        find_analysis(said, project)
    assert caught.value.hint.endswith(
        "There are: forecast/days, forecast/shared, sales/brand_performance, sales/pruning, sales/shared."
    )


def test_find_analysis_name_that_two_have_is_not_guessed(project: Path) -> None:
    with pytest.raises(LakeError, match="shared is the name of 2 analyses") as caught:
        find_analysis("shared", project)
    assert caught.value.hint == "Say which: forecast/shared, sales/shared."


def test_find_analysis_nothing_is_refused_naming_those_there_are(project: Path) -> None:
    with pytest.raises(LakeError, match="nothing to ask") as caught:
        find_analysis(" \n", project)
    assert "sales/brand_performance" in caught.value.hint


def test_analyses_are_listed_by_domain_without_unpruned_twins(project: Path) -> None:
    assert domains(project) == ["forecast", "sales"]
    assert [name_of(path) for path in analyses(project, "sales")] == [
        *("sales/brand_performance", "sales/pruning", "sales/shared")
    ]
    assert unpruned_twin(PRUNING, project) == Path("analyses/sales/pruning_unpruned.sql")
    assert unpruned_twin(DAYS, project) is None


def test_check_parameters_one_that_is_read_passes(project: Path) -> None:
    check_parameters([PRUNING], {"month": "3"}, project)
    check_parameters([DAYS, PRUNING], {"month": "3"}, project)


def test_check_parameters_one_that_nobody_reads_is_refused(project: Path) -> None:
    with pytest.raises(LakeError, match=r"sales/pruning has no parameter 'mnth'\.") as caught:
        check_parameters([PRUNING], {"mnth": "3"}, project)
    assert caught.value.hint == "There are: month."
    with pytest.raises(LakeError, match="None of 2 analyses has a parameter 'top'"):
        check_parameters([DAYS, PRUNING], {"top": "3"}, project)


def test_query_sql_takes_no_parameters(project: Path) -> None:
    nobody: Any = None
    with pytest.raises(LakeError, match="SQL takes no parameters; month was given"):
        query(nobody, "select 1", parameters={"month": "3"}, root=project)


def test_run_library_unknown_domain_suggests_the_nearest(project: Path) -> None:
    nobody: Any = None
    with pytest.raises(LakeError, match="There is no query library 'sale'") as caught:
        run_library(nobody, "sale", root=project)
    assert caught.value.hint == "Did you mean sales? There are: forecast, sales."


@pytest.mark.parametrize(
    ("sql", "question"),
    [
        ("-- Which brands?\n--\n-- Read: …\nselect 1", "Which brands?"),
        ("-- Which\n-- brands?\n-- Params: top (20)\nselect 1", "Which brands?"),
        ("-- Which brands?\nselect 1 -- one", "Which brands?"),
        ("select 1 -- no question", ""),
    ],
)
def test_question_of_is_the_first_paragraph_of_the_head(project: Path, sql: str, question: str) -> None:
    (project / DAYS).write_text(sql)
    assert question_of(DAYS, project) == question


def test_command_shows_the_analyses_there_are(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.show_analyses(project)
    told = " ".join(capsys.readouterr().out.split())
    assert "forecast/days How many days? forecast/shared top" in told
    assert "sales/brand_performance Which brands? sales/pruning month sales/shared" in told
    assert "unpruned" not in told


def test_read_parameters_name_and_value() -> None:
    assert command.read_parameters(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}


@pytest.mark.parametrize(
    ("given", "said"), [(["a"], "not name=value"), (["=1"], "not name"), (["a=1", "a=2"], "twice")]
)
def test_read_parameters_others_are_refused(given: list[str], said: str) -> None:
    with pytest.raises(LakeError, match=said):
        command.read_parameters(given)


ROWS: list[tuple[str | None, ...]] = [
    ("1", "10.50", "0.25", "true", 'a, "b"\nc', None),
    ("-7", "0.00", "NaN", "false", "", "x"),
]
COLUMNS = ("n", "price", "share", "ok", "text", "other")
TYPES = ("bigint", "decimal", "double", "boolean", "varchar", "varchar")


def test_to_csv_is_read_back_the_same() -> None:
    text = command.to_csv(COLUMNS, ROWS)
    read = list(csv.reader(io.StringIO(text)))
    assert read == [list(COLUMNS), *([value or "" for value in row] for row in ROWS)]
    assert text.splitlines()[-1] == '-7,0.00,NaN,false,"",x', "an empty text must not look like NULL"
    assert text.startswith('n,price,share,ok,text,other\n1,10.50,0.25,true,"a, ""b""\nc",\n')


def test_to_json_keeps_decimals_exact_and_knows_numbers() -> None:
    told = command.to_json(COLUMNS, TYPES, ROWS)
    assert json.loads(json.dumps(told, allow_nan=False)) == [
        {"n": 1, "price": "10.50", "share": 0.25, "ok": True, "text": 'a, "b"\nc', "other": None},
        {"n": -7, "price": "0.00", "share": "NaN", "ok": False, "text": "", "other": "x"},
    ]


class Fake:
    """An Athena that answers `answers` rows, and remembers what limit it was asked with."""

    def __init__(self, answers: int) -> None:
        self.answers = answers
        self.limits: list[int] = []

    def run(self, _: str, *, limit: int = 0, **_named: str) -> QueryResult:
        self.limits.append(limit)
        rows: list[tuple[str | None, ...]] = [(str(n),) for n in range(limit or self.answers)]
        more = 0 < limit < self.answers
        return QueryResult("q", ("n",), ("bigint",), rows, 20_000_000, 1.5, 0, more)


@pytest.fixture
def athena(monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake(1_500)
    monkeypatch.setattr(asking, "Athena", lambda _: fake)
    return fake


class Named:
    class environment:  # noqa: N801 - stands for Connections.environment
        marts_database = "analytics_local"


def test_command_shows_a_table_of_a_thousand_rows_and_says_what_it_cost(
    athena: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    connections: Any = Named()
    command.query(connections, "select 1", limit=None)
    told = capsys.readouterr()
    assert athena.limits == [1000]
    assert "There are more: --limit N shows N of them, --limit 0 all." in told.err
    assert "the first 1,000 rows, 1.50 s, 20.0 MB scanned, $0.000100 on Athena" in told.err


def test_command_gives_a_program_all_rows_and_nothing_else_on_stdout(
    athena: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    connections: Any = Named()
    command.query(connections, "select 1", limit=None, as_json=True)
    assert len(json.loads(capsys.readouterr().out)) == 1_500
    command.query(connections, "select 1", limit=2, as_csv=True)
    assert capsys.readouterr().out == "n\n0\n1\n"
    assert athena.limits == [0, 2]


def test_command_csv_and_json_at_once_are_refused() -> None:
    connections: Any = Named()
    with pytest.raises(LakeError, match="exclude each other"):
        command.query(connections, "select 1", limit=None, as_csv=True, as_json=True)
    with pytest.raises(LakeError, match="less than nothing"):
        command.query(connections, "select 1", limit=-1)


class Refusing:
    """Refuses what mentions `nowhere`; what an unpruned twin asks scans ten times as much."""

    def run(self, sql: str, **_named: Any) -> QueryResult:
        if "nowhere" in sql:
            raise LakeError("TABLE_NOT_FOUND: line 1:15: nowhere", hint="`invoke build` makes the models.")
        scanned = 100_000_000 if "unpruned" in sql else 10_000_000
        return QueryResult("q", ("n",), ("bigint",), [("1",)] * 3, scanned, 0.5, 0)


@pytest.fixture
def rendered(project: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """An Athena that takes all, and a dbt that renders each analysis as its name; returns what dbt was asked."""
    asked: list[list[str]] = []

    def render(_: Any, wanted: list[Path], **named: Any) -> dict[Path, str]:
        asked.append([name_of(path) for path in wanted])
        return {path: f"select {name_of(path)}" for path in wanted}

    for module in (asking, library):
        monkeypatch.setattr(module, "render", render)
        monkeypatch.setattr(module, "Athena", lambda _: Refusing())
    return asked


def test_run_library_asks_all_by_one_rendering_and_twins_beside(
    project: Path, rendered: list[list[str]]
) -> None:
    connections: Any = Named()
    entries = run_library(connections, "sales", root=project)
    assert rendered == [
        ["sales/brand_performance", "sales/pruning", "sales/shared", "sales/pruning_unpruned"]
    ]
    assert [(entry.name, entry.question, entry.unpruned_bytes) for entry in entries] == [
        ("sales/brand_performance", "Which brands?", None),
        ("sales/pruning", "", 100_000_000),
        ("sales/shared", "", None),
    ]


def test_command_library_one_that_fails_is_named_and_the_others_run(
    project: Path,
    rendered: list[list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    (project / "analyses" / "sales" / "nowhere.sql").write_text("-- Where is it?\nselect 1")
    connections: Any = Named()

    with pytest.raises(LakeError) as caught:
        command.library(connections, "sales", root=project)
    assert (
        caught.value.message == "1 of 4 queries failed.\n  sales/nowhere: TABLE_NOT_FOUND: line 1:15: nowhere"
    )
    assert caught.value.hint == "`invoke build` makes the models."
    told = capsys.readouterr()
    shown = " ".join(told.out.split())
    assert "sales/nowhere failed Where is it?" in shown
    assert "sales/brand_performance 3 0.50 10.0 MB $0.000050 Which brands?" in shown
    assert "total 1.50 30.0 MB $0.000150" in shown
    assert (
        "sales/pruning: without its partitions the same scanned 100.0 MB; pruning left 10.0% of it."
        in told.err
    )

    with pytest.raises(LakeError, match="1 of 4"):
        command.library(connections, "sales", as_json=True, root=project)
    by_name = {entry["query"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert by_name["sales/nowhere"]["rows"] is None
    assert by_name["sales/nowhere"]["error"] == "TABLE_NOT_FOUND: line 1:15: nowhere"
    assert by_name["sales/pruning"]["unpruned_bytes_scanned"] == 100_000_000
    assert by_name["sales/shared"]["dollars"] == pytest.approx(0.00005)


def test_query_tells_what_the_unpruned_twin_scanned(
    project: Path, rendered: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    connections: Any = Named()
    answer = query(connections, "sales/pruning", parameters={"month": "3"}, root=project)
    assert rendered == [["sales/pruning", "sales/pruning_unpruned"]]
    assert answer.unpruned is not None
    assert (answer.result.bytes_scanned, answer.unpruned.bytes_scanned) == (10_000_000, 100_000_000)
    assert query(connections, "sales/shared", root=project).unpruned is None


def test_render_waits_for_another_query_that_is_being_rendered(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both write to one folder: the second begins when the first has read what dbt wrote for it."""
    order: list[str] = []

    def run(_: Any, __: Any, arguments: list[str], *, target: Path, **_named: Any) -> None:
        order.append("second")
        compiled = target / "compiled" / "penstock" / DAYS
        compiled.parent.mkdir(parents=True, exist_ok=True)
        compiled.write_text("select 'rendered'\n")
        assert arguments[-2:] == ["--vars", '{"top": "3"}']

    monkeypatch.setattr(dbt, "run", run)
    folder = project / "target" / "query"
    folder.mkdir(parents=True)
    connections: Any = Named()
    with ThreadPoolExecutor(1) as pool, (folder / "render.lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        second = pool.submit(asking.render, connections, [DAYS], parameters={"top": "3"}, root=project)
        order.append("first")
        fcntl.flock(first, fcntl.LOCK_UN)
        assert second.result() == {DAYS: "select 'rendered'"}
    assert order == ["first", "second"]
