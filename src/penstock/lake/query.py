"""Answer a question to the lake: SQL as given, or one of the query library below analyses/ by its name.

An analysis is rendered by dbt first, so that it names models by ref() and works on every target; its parameters are dbt's
vars. Several are rendered by one dbt run. Refuses a name that is no analysis of the project and a parameter that the
analysis does not read; whether the SQL is any good is Athena's to say.
"""

from __future__ import annotations

import difflib
import fcntl
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from penstock.connections import Connections
from penstock.errors import LakeError
from penstock.lake.athena import Athena, QueryResult
from penstock.settings import PROJECT_ROOT

FOLDER = "analyses"
# <name>_unpruned.sql asks what <name>.sql asks and reads every partition: what pruning saves is measured against it
UNPRUNED = "_unpruned"

# No SQL statement is one word, or has a slash and neither a space nor a bracket: such a question is meant as a name.
_WORD = re.compile(r"[A-Za-z_]\w*")
_PATH = re.compile(r"[\w.-]*(/[\w.-]*)+")
_VARIABLE = re.compile(r"""\bvar\(\s*['"](\w+)['"]""")


@dataclass(frozen=True)
class Answer:
    """What was asked, as sent, and Athena's answer; `analysis` is the file's path below the project, or empty.

    unpruned: the answer of the analysis's unpruned twin, where it has one.
    """

    sql: str
    result: QueryResult
    analysis: str = ""
    unpruned: QueryResult | None = None


def query(
    connections: Connections,
    question: str,
    *,
    limit: int = 0,
    parameters: Mapping[str, str] | None = None,
    root: Path = PROJECT_ROOT,
) -> Answer:
    """Return Athena's answer to SQL or to an analysis (`sales/brand_performance`), in the marts database.

    limit: so many rows at most; 0 gives all. parameters: dbt's vars, for an analysis that reads them.
    Raises: LakeError with Athena's code, or naming the analyses or parameters there are; BuildError where dbt fails.
    """
    given = parameters or {}
    analysis = find_analysis(question, root)
    if analysis is None and given:
        raise LakeError(
            f"SQL takes no parameters; {', '.join(given)} was given.",
            hint="Write the value into the statement, or name an analysis.",
        )
    athena = Athena(connections)
    database = connections.environment.marts_database
    if analysis is None:
        return Answer(question, athena.run(question, database=database, limit=limit))
    check_parameters([analysis], given, root)
    twin = unpruned_twin(analysis, root)
    wanted = [analysis] if twin is None else [analysis, twin]
    rendered = render(connections, wanted, parameters=given, root=root)
    result = athena.run(rendered[analysis], database=database, limit=limit)
    unpruned = None if twin is None else athena.run(rendered[twin], database=database, limit=1)
    return Answer(rendered[analysis], result, analysis.as_posix(), unpruned)


def find_analysis(question: str, root: Path = PROJECT_ROOT) -> Path | None:
    """Return the analysis a question names, relative to the project; None for SQL.

    Its name below analyses/ will do (`sales/brand_performance`), so will its path, from here or from the project, with or
    without `.sql`; and its last part alone where no other analysis has the same.
    Raises: LakeError for what looks like a name and names no analysis, or more than one.
    """
    text = question.strip()
    if not text:
        raise LakeError(
            "There is nothing to ask.", hint=f"invoke query 'select 1', or one of: {_names(root)}."
        )
    if not _is_name(text):
        return None
    for candidate in (text, f"{text}.sql"):
        for base in (Path.cwd(), root, root / FOLDER):
            path = (base / candidate).resolve()
            if path.is_file() and path.suffix == ".sql" and path.is_relative_to((root / FOLDER).resolve()):
                return path.relative_to(root.resolve())
    same = [path for path in analyses(root) if path.stem == text]
    if len(same) == 1:
        return same[0]
    if same:
        names = ", ".join(name_of(path) for path in same)
        raise LakeError(f"{text} is the name of {len(same)} analyses.", hint=f"Say which: {names}.")
    raise LakeError(f"{text} is no analysis of this project.", hint=_nearest(text, root))


def _is_name(text: str) -> bool:
    if len(text.splitlines()) > 1:
        return False
    return text.endswith(".sql") or _WORD.fullmatch(text) is not None or _PATH.fullmatch(text) is not None


def analyses(root: Path = PROJECT_ROOT, domain: str = "") -> list[Path]:
    """Return the analyses of the project, or of one domain, relative to the project, by name; unpruned twins left out."""
    base = root / FOLDER
    found = sorted(path.relative_to(root) for path in (base / domain).rglob("*.sql"))
    return [path for path in found if not path.stem.endswith(UNPRUNED)]


def domains(root: Path = PROJECT_ROOT) -> list[str]:
    """Return the folders of analyses/ that hold a query library, by name."""
    return sorted({path.parts[1] for path in analyses(root) if len(path.parts) > 2})


def name_of(analysis: Path) -> str:
    """Return what an analysis is called: its path below analyses/ without the ending."""
    return analysis.relative_to(FOLDER).with_suffix("").as_posix()


def unpruned_twin(analysis: Path, root: Path = PROJECT_ROOT) -> Path | None:
    """Return the analysis that reads every partition for the same answer; None where there is none."""
    twin = analysis.with_name(f"{analysis.stem}{UNPRUNED}.sql")
    return twin if (root / twin).is_file() else None


def parameters_of(analysis: Path, root: Path = PROJECT_ROOT) -> list[str]:
    """Return the names of the parameters that an analysis reads, in their order."""
    return list(dict.fromkeys(_VARIABLE.findall((root / analysis).read_text(encoding="utf-8"))))


def check_parameters(
    wanted: Sequence[Path], parameters: Mapping[str, str], root: Path = PROJECT_ROOT
) -> None:
    """Raise LakeError for a parameter that none of the analyses reads: dbt would ignore it, and the answer be to another
    question than was asked."""
    known = {name for path in wanted for name in parameters_of(path, root)}
    for name in parameters:
        if name not in known:
            whose = (
                f"{name_of(wanted[0])} has no"
                if len(wanted) == 1
                else f"None of {len(wanted)} analyses has a"
            )
            raise LakeError(
                f"{whose} parameter '{name}'.", hint=f"There are: {', '.join(sorted(known)) or 'none'}."
            )


def _names(root: Path) -> str:
    return ", ".join(name_of(path) for path in analyses(root)) or "none"


def _nearest(text: str, root: Path) -> str:
    """Return a hint for a name that is none: the one most like it, and all there are."""
    wanted = text.removesuffix(".sql").removeprefix(f"{FOLDER}/")
    names = [name_of(path) for path in analyses(root)]
    by_part = {name.rpartition("/")[2]: name for name in names}
    near = difflib.get_close_matches(wanted, names, n=1) or [
        by_part[part] for part in difflib.get_close_matches(wanted.rpartition("/")[2], by_part, n=1)
    ]
    suggestion = f"Did you mean {near[0]}? " if near else ""
    return f"{suggestion}There are: {_names(root)}."


def render(
    connections: Connections,
    wanted: Sequence[Path],
    *,
    parameters: Mapping[str, str] | None = None,
    root: Path = PROJECT_ROOT,
) -> dict[Path, str]:
    """Return each analysis as dbt renders it for the lake target, all by one run of dbt; asks Athena nothing.

    Raises: BuildError when dbt cannot render them.
    """
    from penstock.transform import dbt
    from penstock.transform.dbt import Side

    target = root / "target" / "query"
    compiled = {path: target / "compiled" / "penstock" / path for path in wanted}
    arguments = ["compile", "--no-introspect", "--no-populate-cache"]
    arguments += ["--select", *(f"path:{path.as_posix()}" for path in wanted)]
    if parameters:
        arguments += ["--vars", json.dumps(dict(parameters))]
    with _one_at_a_time(target):
        for path in compiled.values():
            path.unlink(missing_ok=True)
        dbt.run(connections, Side.LAKE, arguments, root=root, target=target)
        return {path: file.read_text(encoding="utf-8").strip() for path, file in compiled.items()}


@contextmanager
def _one_at_a_time(target: Path) -> Iterator[None]:
    """Wait for other queries' renderings, which take seconds, and hold them off: all write to the same folder."""
    target.mkdir(parents=True, exist_ok=True)
    with (target / "render.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
