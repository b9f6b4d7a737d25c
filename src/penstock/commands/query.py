"""invoke query, query.library: questions to the lake, and what each answer cost, for a person or a program."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from penstock import console
from penstock.connections import Connections
from penstock.errors import LakeError
from penstock.lake.athena import QueryResult
from penstock.lake.prices import prices, scan_dollars
from penstock.settings import PROJECT_ROOT

TABLE_ROWS = 1000  # more of them nobody reads in a terminal; a program gets all
_INTEGERS = frozenset({"tinyint", "smallint", "integer", "bigint"})
_FLOATS = frozenset({"float", "real", "double"})
_NEEDS_QUOTES = re.compile(r'[",\r\n]')


def query(
    connections: Connections,
    question: str,
    *,
    limit: int | None,
    parameters: Sequence[str] = (),
    as_csv: bool = False,
    as_json: bool = False,
) -> None:
    """Print the rows of a statement or an analysis, the bytes it scanned and what Athena would charge for it."""
    from penstock.lake.query import query as ask

    if as_csv and as_json:
        raise LakeError("--csv and --json exclude each other.", hint="Give one of them.")
    if limit is None:
        limit = 0 if as_csv or as_json else TABLE_ROWS
    if limit < 0:
        raise LakeError(f"--limit {limit} is less than nothing.", hint="--limit 0 shows all rows.")
    unit_prices = prices()
    answer = ask(connections, question, limit=limit, parameters=read_parameters(parameters))
    result = answer.result
    rows = _cells(result)
    if as_json:
        console.line(json.dumps(to_json(result.columns, result.types, rows), ensure_ascii=False, indent=1))
    elif as_csv:
        console.line(to_csv(result.columns, rows))
    elif result.columns and not (result.update_count and not result.rows):
        figures = [index for index, kind in enumerate(result.types) if _is_figure(kind)]
        console.show_table(answer.analysis, result.columns, rows, right=figures)
    told = f"{'the first ' if result.more else ''}{len(result.rows):,} rows"
    if result.update_count and not result.rows:
        told = f"{result.update_count:,} rows written"
    if result.more:
        console.note("There are more: --limit N shows N of them, --limit 0 all.")
    console.note(
        f"{told}, {result.seconds:.2f} s, {console.size(result.bytes_scanned)} scanned, "
        f"{_dollars(scan_dollars(result.bytes_scanned, unit_prices))} on Athena"
    )
    if answer.unpruned is not None:
        console.note(
            f"The same asked without its partitions scanned {console.size(answer.unpruned.bytes_scanned)}: "
            f"pruning left {_share(result.bytes_scanned, answer.unpruned.bytes_scanned)} of it."
        )


def library(
    connections: Connections,
    domain: str,
    *,
    parameters: Sequence[str] = (),
    as_json: bool = False,
    root: Path = PROJECT_ROOT,
) -> None:
    """Print what each query of a library answered and cost; raises LakeError naming those that Athena refused."""
    from penstock.lake.library import run_library

    unit_prices = prices()
    with console.progress_bar() as bar:
        begun = False

        def on_start(name: str, total: int) -> None:
            nonlocal begun
            if begun:
                bar.advance()
            else:
                bar.start("query", total)
                begun = True
            bar.describe(name)

        entries = run_library(
            connections, domain, parameters=read_parameters(parameters), root=root, on_start=on_start
        )
        bar.finish()

    def cost(scanned: int) -> float:
        return scan_dollars(scanned, unit_prices)

    if as_json:
        told = [
            {
                "query": entry.name,
                "question": entry.question,
                "rows": None if entry.result is None else len(entry.result.rows),
                "seconds": None if entry.result is None else entry.result.seconds,
                "bytes_scanned": None if entry.result is None else entry.result.bytes_scanned,
                "dollars": None if entry.result is None else cost(entry.result.bytes_scanned),
                "unpruned_bytes_scanned": entry.unpruned_bytes,
                "error": None if entry.error is None else entry.error.message,
            }
            for entry in entries
        ]
        console.line(json.dumps(told, ensure_ascii=False, indent=1))
    else:
        _show_library(domain, entries, cost)
    failed = [entry for entry in entries if entry.error is not None]
    if failed:
        said = "\n".join(f"  {entry.name}: {entry.error.message}" for entry in failed if entry.error)
        hints = [entry.error.hint for entry in failed if entry.error and entry.error.hint]
        raise LakeError(
            f"{len(failed)} of {len(entries)} queries failed.\n{said}",
            hint=hints[0] if hints else f"invoke query {failed[0].name}",
        )


def show_analyses(root: Path = PROJECT_ROOT) -> None:
    """Print each analysis of the project by the name that `invoke query` takes; no stack is needed."""
    from penstock.lake.library import question_of
    from penstock.lake.query import analyses, name_of, parameters_of

    rows = [
        (name_of(path), question_of(path, root), ", ".join(parameters_of(path, root)))
        for path in analyses(root)
    ]
    console.show_table("analyses", ["query", "question", "parameters"], rows)
    console.note("invoke query NAME asks one, invoke query.library FOLDER all of a folder.")


def _show_library(domain: str, entries: Iterable[Any], cost: Any) -> None:
    rows = []
    total_bytes, total_dollars, seconds = 0, 0.0, 0.0
    twins = []
    for entry in entries:
        if entry.result is None:
            rows.append((entry.name, "failed", "", "", "", entry.question))
            continue
        scanned = entry.result.bytes_scanned
        total_bytes, seconds = total_bytes + scanned, seconds + entry.result.seconds
        total_dollars += cost(scanned)
        rows.append(
            (
                entry.name,
                f"{len(entry.result.rows):,}",
                f"{entry.result.seconds:.2f}",
                console.size(scanned),
                _dollars(cost(scanned)),
                entry.question,
            )
        )
        if entry.unpruned_bytes is not None:
            twins.append((entry.name, scanned, entry.unpruned_bytes))
    rows.append(("total", "", f"{seconds:.2f}", console.size(total_bytes), _dollars(total_dollars), ""))
    columns = ["query", "rows", "seconds", "scanned", "dollars", "question"]
    console.show_table(f"analyses/{domain}", columns, rows, right=[1, 2, 3, 4])
    for name, scanned, unpruned in twins:
        console.note(
            f"{name}: without its partitions the same scanned {console.size(unpruned)}; "
            f"pruning left {_share(scanned, unpruned)} of it."
        )


def read_parameters(given: Sequence[str]) -> dict[str, str]:
    """Return `--param name=value` as a mapping; raises LakeError for one that is not of this form, or given twice."""
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise LakeError(f"--param {text} is not name=value.", hint="--param tenant_id=tenant_001, say.")
        if name in found:
            raise LakeError(f"--param {name} is given twice.", hint="Give it once.")
        found[name] = value
    return found


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[str | None]]) -> str:
    """Return rows as CSV with a header. NULL is an empty field, an empty text is `""`, as Postgres reads them."""
    return "\n".join(",".join(map(_csv_field, row)) for row in [columns, *rows])


def _csv_field(value: str | None) -> str:
    if value is None:
        return ""
    if value == "" or _NEEDS_QUOTES.search(value):
        return '"' + value.replace('"', '""') + '"'
    return value


def to_json(
    columns: Sequence[str], types: Sequence[str], rows: Iterable[Sequence[str | None]]
) -> list[dict[str, Any]]:
    """Return each row by column name: whole numbers, doubles and booleans as JSON's own, all else as Athena's text.

    Decimals stay text, for JSON's readers make doubles of them; so do the doubles that JSON has no word for.
    """
    return [
        {name: _json_value(value, kind) for name, kind, value in zip(columns, types, row, strict=False)}
        for row in rows
    ]


def _json_value(value: str | None, kind: str) -> Any:
    if value is None:
        return None
    if kind in _INTEGERS:
        return int(value)
    if kind in _FLOATS:
        number = float(value)
        return number if abs(number) < float("inf") else value
    return value == "true" if kind == "boolean" else value


def _cells(result: QueryResult) -> list[tuple[str | None, ...]]:
    """Return the rows; those of DESCRIBE, one cell each with tabs between its parts, taken apart."""
    if len(result.columns) > 1 and all(len(row) == 1 for row in result.rows):
        return [tuple((row[0] or "").split("\t")) for row in result.rows]
    return result.rows


def _is_figure(kind: str) -> bool:
    return kind in _INTEGERS | _FLOATS or kind.startswith("decimal")


def _dollars(amount: float) -> str:
    return f"${amount:.6f}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "nothing"
