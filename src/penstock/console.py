"""How Penstock speaks to a person: tables, progress bars, errors and bytes. The only module that prints.

Everything goes through one rich console on stderr for progress and notes, and one on stdout for results, so that
`invoke query … > file` and `eval "$(invoke env)"` get results and nothing else. What the output's encoding has no
character for is written as its escape (\\u2026): an ASCII log is no reason to fail.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from penstock.errors import PenstockError

# Columns when the output is a file or a pipe, where nothing tells a width; no table of ours is wider.
PIPE_WIDTH = 160


def out() -> Any:
    """Return the console for results (stdout)."""
    from rich.console import Console

    _escaping(sys.stdout)
    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def err() -> Any:
    """Return the console for progress, notes and errors (stderr)."""
    from rich.console import Console

    _escaping(sys.stderr)
    return Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else PIPE_WIDTH)


def _escaping(stream: TextIO) -> None:
    """Make the stream write escapes for what its encoding lacks, where it would raise UnicodeEncodeError."""
    if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
        stream.reconfigure(errors="backslashreplace")


def note(text: str) -> None:
    if sys.stderr.isatty():
        err().print(text, style="dim", soft_wrap=True, markup=False)
    else:
        _plain(text)


def _plain(text: str) -> None:
    """Write a line where no terminal would show a style: a log need not wait for rich to be imported."""
    _escaping(sys.stderr)
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def line(text: str) -> None:
    """Print a line of results as it is, for another program to read."""
    _escaping(sys.stdout)
    sys.stdout.write(f"{text}\n")


def success(text: str) -> None:
    mark = "✓" if (sys.stderr.encoding or "utf-8").lower().startswith("utf") else "ok"
    if not sys.stderr.isatty():
        _plain(f"{mark} {text}")
        return
    from rich.markup import escape

    err().print(f"[green]{mark}[/green] {escape(text)}", soft_wrap=True)


def show_error(error: PenstockError) -> None:
    """Print what is wrong and the next step; no stack trace."""
    from rich.markup import escape

    console = err()
    # soft: the terminal wraps; a pipe or a log gets lines as they are, to search and to copy from
    console.print(f"[bold red]{type(error).__name__}[/bold red] {escape(error.message)}", soft_wrap=True)
    if error.hint:
        console.print(f"  [cyan]next:[/cyan] {escape(error.hint)}", soft_wrap=True)


def show_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[int] = ()
) -> None:
    """Print a table; `right` names the columns (by index) that hold figures. Values are text, not rich's markup."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="", box=box.SIMPLE_HEAD, pad_edge=False)
    figures = set(right)
    for index, column in enumerate(columns):
        table.add_column(Text(column), justify="right" if index in figures else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if value is None else str(value)) for value in row))
    console = out()
    if title:  # not the table's own: that one would be folded to the width of the columns
        console.print(title, style="bold", markup=False, soft_wrap=True)
    console.print(table)


def size(count: float) -> str:
    """Return bytes as a person reads them, in powers of 1000 as AWS bills them."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.2f} TB"


class Bar:
    """A progress bar that code below the task layer drives without knowing rich: `start`, `advance`, `finish`."""

    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._task: Any = None

    def start(self, label: str, total: int | None = None) -> None:
        if self._task is not None:
            self.finish()
        self._task = self._progress.add_task(label, total=total)

    def advance(self, count: int = 1) -> None:
        if self._task is not None:
            self._progress.advance(self._task, count)

    def describe(self, label: str) -> None:
        if self._task is not None:
            self._progress.update(self._task, description=label)

    def finish(self) -> None:
        if self._task is not None:
            total = self._progress.tasks[self._progress.task_ids.index(self._task)].total
            if total is not None:
                self._progress.update(self._task, completed=total)
            self._progress.stop_task(self._task)
            self._task = None


class Bars:
    """Progress of several things at once, a line each: `show` what is known of one, by its key.

    Nothing is made or imported before there is something to show.
    """

    def __init__(self, started: ExitStack) -> None:
        self._started = started
        self._tasks: dict[str, Any] = {}
        self._labels: dict[str, str] = {}

    @cached_property
    def _progress(self) -> Any:
        return self._started.enter_context(_progress(of_bytes=False))

    def show(self, key: str, label: str, done: int, total: int | None) -> None:
        """Show how far `key` is. With another label its line starts afresh."""
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(label, total=total)
        elif self._labels[key] != label:
            self._progress.reset(self._tasks[key], description=label, total=total)
        self._labels[key] = label
        self._progress.update(self._tasks[key], completed=done, total=total)


@contextmanager
def progress_bars() -> Iterator[Bars]:
    """Show lines of progress on stderr while the block runs."""
    with ExitStack() as started:
        yield Bars(started)


@contextmanager
def progress_bar(*, of_bytes: bool = False) -> Iterator[Bar]:
    """Show bars on stderr while the block runs; `of_bytes` shows sizes and rates instead of counts."""
    with _progress(of_bytes=of_bytes) as progress:
        yield Bar(progress)


def _progress(*, of_bytes: bool) -> Any:
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TransferSpeedColumn,
    )

    amounts: list[Any] = [DownloadColumn(), TransferSpeedColumn()] if of_bytes else [MofNCompleteColumn()]
    console = err()
    columns = [
        SpinnerColumn("dots" if console.encoding.startswith("utf") else "line"),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *amounts,
        TimeElapsedColumn(),
    ]
    return Progress(*columns, console=err())
