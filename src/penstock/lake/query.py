"""Answer a question to the lake: SQL as given, or one of the query library below analyses/ by its path.

A path is rendered by dbt first, so that analyses name models by ref() and work on every target. Refuses a path that is
no analysis of the project; whether the SQL is any good is Athena's to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from penstock.connections import Connections
from penstock.errors import LakeError
from penstock.lake.athena import Athena, QueryResult
from penstock.settings import PROJECT_ROOT


@dataclass(frozen=True)
class Answer:
    """What was asked, as sent, and Athena's answer; `analysis` is the file's path below the project, or empty."""

    sql: str
    result: QueryResult
    analysis: str = ""


def query(connections: Connections, question: str, *, limit: int = 0, root: Path = PROJECT_ROOT) -> Answer:
    """Return Athena's answer to SQL or to an analysis (`analyses/forecast/largest_days.sql`), in the marts database.

    limit: so many rows at most; 0 gives all.
    Raises: LakeError with Athena's code, or naming the analyses there are; BuildError if one cannot be rendered.
    """
    analysis = find_analysis(question, root)
    sql = question if analysis is None else render(connections, analysis, root)
    result = Athena(connections).run(sql, database=connections.environment.marts_database, limit=limit)
    return Answer(sql, result, "" if analysis is None else analysis.as_posix())


def find_analysis(question: str, root: Path = PROJECT_ROOT) -> Path | None:
    """Return the analysis a question names, relative to the project; None for SQL.

    Raises: LakeError for what looks like a path and names no analysis.
    """
    text = question.strip()
    if not text:
        raise LakeError(
            "There is nothing to ask.", hint="invoke query 'select 1', or the path of an analysis."
        )
    if len(text.splitlines()) > 1 or not text.endswith(".sql"):
        return None
    folder = (root / "analyses").resolve()
    for base in (Path.cwd(), root):
        path = (base / text).resolve()
        if path.is_file() and path.is_relative_to(folder):
            return path.relative_to(root.resolve())
    there = sorted(path.relative_to(root.resolve()).as_posix() for path in folder.rglob("*.sql"))
    raise LakeError(
        f"{text} is no analysis of this project.", hint=f"There are: {', '.join(there) or 'none'}."
    )


def render(connections: Connections, analysis: Path, root: Path = PROJECT_ROOT) -> str:
    """Return an analysis as dbt renders it for the lake target; asks Athena nothing."""
    from penstock.transform import dbt
    from penstock.transform.dbt import Side

    target = root / "target" / "query"
    compiled = target / "compiled" / "penstock" / analysis
    compiled.unlink(missing_ok=True)
    arguments = [
        "compile",
        "--select",
        f"path:{analysis.as_posix()}",
        "--no-introspect",
        "--no-populate-cache",
    ]
    dbt.run(connections, Side.LAKE, arguments, root=root, target=target)
    return compiled.read_text(encoding="utf-8").strip()
