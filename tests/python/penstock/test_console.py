"""What a person or a program reads: results on stdout as they are, in a pipe without folding."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from penstock import console


def test_show_table_title_wider_than_the_table_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_table("Landed in s3://penstock-lake-local/forecast_data/", ["file"], [("a.csv",)])

    assert capsys.readouterr().out.splitlines()[0] == "Landed in s3://penstock-lake-local/forecast_data/"


def test_show_table_values_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_table("[bold]", ["[red]"], [("[/x]", None)])

    shown = capsys.readouterr().out
    for text in ("[bold]", "[red]", "[/x]"):
        assert text in shown


def test_show_table_array_of_strings_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """As Athena writes one, it looks like a tag of rich's."""
    console.show_table("", ["letters"], [("[a, b]",)])

    assert "[a, b]" in capsys.readouterr().out


def test_line_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    text = "export DATABASE_URL='" + "[b]" * 100 + "'"
    console.line(text)

    assert capsys.readouterr().out == f"{text}\n"


@pytest.mark.parametrize("text", ["wrote [/x]", "[nope] is gone", "a" * 300])
def test_notes_are_no_markup_and_not_folded(capsys: pytest.CaptureFixture[str], text: str) -> None:
    console.note(text)
    console.success(text)

    said = capsys.readouterr().err.splitlines()
    assert said == [text, f"✓ {text}"]


def test_progress_bar_label_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress_bar(of_bytes=True) as bar:
        bar.start("check [/x].csv", 1)
        bar.finish()

    assert "check [/x].csv" in capsys.readouterr().err


SPEAKER = """
from penstock import console
from penstock.errors import SyncError

console.success("Zürich ✓ …")
console.note("from → to")
console.show_error(SyncError("wert 'ü' …", hint="näher"))
console.show_table("Über …", ["käse"], [("日本",)])
console.line("naïve")
with console.progress_bar() as bar:
    bar.start("größe", 2)
    bar.advance()
    bar.finish()
"""


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [("ascii", "ok Z\\xfcrich"), ("latin-1", "ok Zürich \\u2713"), ("utf-8", "✓ Zürich ✓ …")],
)
def test_an_output_that_lacks_characters_gets_their_escapes(encoding: str, mark: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SPEAKER],
        env=os.environ | {"PYTHONIOENCODING": encoding},
        capture_output=True,
        encoding=encoding,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(mark)
    assert "Traceback" not in done.stderr
    for text in ("naïve", "日本"):
        assert text.encode(encoding, "backslashreplace").decode(encoding) in done.stdout
