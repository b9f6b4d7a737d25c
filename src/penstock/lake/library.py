"""The query library: every analysis of a domain, asked one after another, each with its rows, seconds, bytes and dollars.

All are rendered by one run of dbt. A query that Athena refuses does not keep the others from being asked; it is reported
with Athena's own words. Refuses a domain that there is none of, and a parameter that none of its analyses reads.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock.connections import Connections
from penstock.errors import LakeError
from penstock.lake.athena import Athena, QueryResult
from penstock.lake.query import analyses, check_parameters, domains, name_of, render, unpruned_twin
from penstock.settings import PROJECT_ROOT


@dataclass(frozen=True)
class Entry:
    """One analysis as it went. `result` is None where Athena refused it, and `error` says why.

    question: what it asks, its first line. unpruned_bytes: what its unpruned twin scanned, where it has one.
    """

    name: str
    question: str
    result: QueryResult | None
    unpruned_bytes: int | None = None
    error: LakeError | None = None


def run_library(
    connections: Connections,
    domain: str,
    *,
    parameters: Mapping[str, str] | None = None,
    root: Path = PROJECT_ROOT,
    on_start: Callable[[str, int], None] | None = None,
) -> list[Entry]:
    """Return what became of each analysis of a domain, by name.

    on_start is given the name of each before it is asked, and how many there are.
    Raises: LakeError for a domain or parameter that there is none of; BuildError if one cannot be rendered.
    """
    known = domains(root)
    if domain not in known:
        near = difflib.get_close_matches(domain, known, n=1)
        raise LakeError(
            f"There is no query library '{domain}'.",
            hint=f"{f'Did you mean {near[0]}? ' if near else ''}There are: {', '.join(known) or 'none'}.",
        )
    wanted = analyses(root, domain)
    given = parameters or {}
    check_parameters(wanted, given, root)
    twins = {path: twin for path in wanted if (twin := unpruned_twin(path, root)) is not None}
    rendered = render(connections, [*wanted, *twins.values()], parameters=given, root=root)
    athena, database = Athena(connections), connections.environment.marts_database
    entries = []
    for path in wanted:
        if on_start is not None:
            on_start(name_of(path), len(wanted))
        question = question_of(path, root)
        try:
            result = athena.run(rendered[path], database=database)
            twin = twins.get(path)
            unpruned = (
                None if twin is None else athena.run(rendered[twin], database=database, limit=1).bytes_scanned
            )
        except LakeError as error:
            entries.append(Entry(name_of(path), question, None, error=error))
            continue
        entries.append(Entry(name_of(path), question, result, unpruned))
    return entries


def question_of(analysis: Path, root: Path = PROJECT_ROOT) -> str:
    """Return what an analysis asks: the first paragraph of the comment at its head; empty where it has none."""
    lines = []
    for line in (root / analysis).read_text(encoding="utf-8").lstrip().splitlines():
        text = line.removeprefix("--").strip()
        if not line.startswith("--") or not text or text.startswith("Params:"):
            break
        lines.append(text)
    return " ".join(lines)
