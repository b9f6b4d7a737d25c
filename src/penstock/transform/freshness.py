"""How long ago each landed source last got a file, against the limits its yml gives.

Runs `dbt source freshness`, which asks Athena by the source's `loaded_at_query`. A stale source is a result and no
error here: the task decides what to make of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from penstock.connections import Connections
from penstock.errors import BuildError
from penstock.lake.readiness import absent_sources, require_landed
from penstock.settings import PROJECT_ROOT
from penstock.transform import dbt
from penstock.transform.dbt import OnLine, Side

STATUSES = {"pass": "fresh", "warn": "late", "error": "stale"}


@dataclass(frozen=True)
class SourceFreshness:
    """One landed table. `status` is fresh, late (past its warning) or stale; times are ISO 8601, UTC."""

    source: str
    status: str
    landed_at: str
    age_seconds: float
    late_after: str
    stale_after: str


@dataclass(frozen=True)
class FreshnessReport:
    """The landed sources; `absent` names those of which nothing has landed, and which have no age."""

    sources: tuple[SourceFreshness, ...]
    absent: tuple[str, ...] = ()

    @property
    def stale(self) -> tuple[SourceFreshness, ...]:
        return tuple(source for source in self.sources if source.status == "stale")


def freshness(
    connections: Connections, *, on_line: OnLine | None = None, root: Path = PROJECT_ROOT
) -> FreshnessReport:
    """Return the age of every source that has landed and declares how old it may be.

    Raises: BuildError when a source could not be asked (its table is missing, nothing landed yet).
    """
    require_landed(connections)
    absent = absent_sources(connections)
    without = ["--exclude", *(f"source:{name}" for name in absent)] if absent else []
    results = dbt.target_path(Side.LAKE, root) / "sources.json"
    results.unlink(missing_ok=True)
    stale = ""
    try:
        dbt.run(connections, Side.LAKE, ["source", "freshness", *without], on_line=on_line, root=root)
    except BuildError as error:
        if not results.exists():  # dbt ends with 1 for a stale source too; then the results are there
            raise
        stale = error.message
    found = json.loads(results.read_text(encoding="utf-8"))["results"]
    if stale and all(result["status"] != "error" for result in found):
        # a source whose question failed is left out of the results: dbt's own words are all there is
        raise BuildError(f"The age of a source is not known. {stale}", hint="`invoke seed` lands files.")
    broken = [result for result in found if result["status"] not in STATUSES]
    if broken:
        told = "\n".join(f"  {_name(result)}: {result.get('error') or result['status']}" for result in broken)
        raise BuildError(f"The age of a source is not known:\n{told}", hint="`invoke seed` lands files.")
    return FreshnessReport(tuple(_freshness(result) for result in found), tuple(absent))


def _name(result: dict[str, object]) -> str:
    return ".".join(str(result["unique_id"]).split(".")[2:])


def _freshness(result: dict[str, object]) -> SourceFreshness:
    criteria = result["criteria"]
    assert isinstance(criteria, dict)
    return SourceFreshness(
        source=_name(result),
        status=STATUSES[str(result["status"])],
        landed_at=str(result["max_loaded_at"]),
        age_seconds=float(str(result["max_loaded_at_time_ago_in_s"])),
        late_after=_limit(criteria.get("warn_after")),
        stale_after=_limit(criteria.get("error_after")),
    )


def _limit(limit: dict[str, object] | None) -> str:
    return f"{limit['count']} {limit['period']}s" if limit and limit.get("count") else ""
