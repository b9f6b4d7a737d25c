"""Build the lake, then what is served in Postgres over the tables synced from it.

The serving side needs its synced tables; while one is missing it is not run, and the report says why. Tests run with
the models they test: a model whose source or parent fails a test is not built.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.connections import Connections
from penstock.errors import BuildError
from penstock.lake.readiness import require_landed
from penstock.settings import PROJECT_ROOT
from penstock.transform import dbt
from penstock.transform.dbt import OnLine, Side
from penstock.transform.report import SideReport, lake_report, report

SERVING_PATHS = ("path:models/serving", "path:tests/dbt/singular/serving")

SELECTION_HINT = "--select takes models, tag:…, +model, model+ or paths; docs/models.md lists the models."


@dataclass(frozen=True)
class BuildReport:
    """Both sides. `serving` is None when it was not run; `serving_skipped` then says why."""

    lake: SideReport
    serving: SideReport | None = None
    serving_skipped: str = ""

    @property
    def changed(self) -> bool:
        """Whether a mart got, changed or lost a row."""
        return self.lake.rows > 0


def build(
    connections: Connections,
    *,
    select: str = "",
    full_refresh: bool = False,
    on_line: OnLine | None = None,
    root: Path = PROJECT_ROOT,
) -> BuildReport:
    """Return what was built on both sides.

    select: dbt's own selection syntax; on each side it is narrowed to that side.
    Raises: BuildError naming what failed, or a selection that selects nothing: it is misspelt, not done.
    """
    lake = build_lake(connections, select=select, full_refresh=full_refresh, on_line=on_line, root=root)
    missing = serving_obstacle(connections, root)
    if missing:
        if not lake.nodes:
            raise BuildError(
                f"Nothing of the lake is selected by '{select}', and the serving side was not built: {missing}.",
                hint=SELECTION_HINT,
            )
        return BuildReport(lake, serving_skipped=missing)
    serving = build_serving(connections, select=select, on_line=on_line, root=root)
    if not lake.nodes and not serving.nodes:
        raise BuildError(
            f"Nothing in the project is selected by '{select}'.",
            hint=SELECTION_HINT,
        )
    return BuildReport(lake, serving)


def build_lake(
    connections: Connections,
    *,
    select: str = "",
    full_refresh: bool = False,
    on_line: OnLine | None = None,
    root: Path = PROJECT_ROOT,
) -> SideReport:
    """Return what was built on Athena, with the bytes each node scanned.

    Raises: BuildError as `build` does, and while nothing has landed.
    """
    require_landed(connections)
    arguments = ["build", *lake_selection(select), *(["--full-refresh"] if full_refresh else [])]
    run = dbt.run(connections, Side.LAKE, arguments, on_line=on_line, root=root)
    return lake_report(connections, run)


def build_serving(
    connections: Connections, *, select: str = "", on_line: OnLine | None = None, root: Path = PROJECT_ROOT
) -> SideReport:
    """Return what was built in Postgres; the synced tables must be there."""
    return report(
        dbt.run(connections, Side.NEON, ["build", *serving_selection(select)], on_line=on_line, root=root)
    )


def lake_selection(select: str) -> list[str]:
    """Return the arguments that narrow a selection to the lake; none, and selectors.yml's default does it.

    Of tests over several models those are run whose models are all selected or above one that is: a mart built alone must
    not fail for a summary that was not.
    """
    if not select.split():
        return []
    arguments = ["--select", *select.split(), "--exclude", *SERVING_PATHS]
    return [*arguments, "--indirect-selection", "buildable"]


def serving_selection(select: str) -> list[str]:
    """Return the arguments that narrow a selection to the serving side (a comma intersects)."""
    if not select.split():
        return []
    return ["--select", *(f"{part},{path}" for part in select.split() for path in SERVING_PATHS)]


def serving_obstacle(connections: Connections, root: Path = PROJECT_ROOT) -> str:
    """Return why the serving side cannot be built now; empty when it can."""
    if not connections.has_postgres:
        return "no DATABASE_URL is set"
    wanted = synced_tables(
        json.loads((dbt.target_path(Side.LAKE, root) / "manifest.json").read_text(encoding="utf-8"))
    )
    import psycopg

    with psycopg.connect(connections.postgres_url()) as connection:
        missing = [
            table
            for table in wanted
            if connection.execute("select to_regclass(%s) is null", (table,)).fetchone() == (True,)
        ]
    if missing:
        return f"Postgres has no {' and no '.join(missing)} yet; `invoke sync` makes it, then build again"
    return ""


def synced_tables(manifest: dict[str, Any]) -> list[str]:
    """Return schema.table of every table that the serving models read, as the marts behind them declare it (meta.sync)."""
    nodes = manifest["nodes"]
    marts = {
        parent
        for node in nodes.values()
        if node["resource_type"] == "model" and is_serving(node)
        for parent in node["depends_on"]["nodes"]
        if parent in nodes
    }
    tables = {
        nodes[mart]["config"]["meta"]["sync"]["table"]
        for mart in marts
        if "sync" in nodes[mart]["config"]["meta"]
    }
    return sorted(table if "." in table else f"public.{table}" for table in tables)


def is_serving(node: dict[str, Any]) -> bool:
    """Return whether a manifest's node or source belongs to the serving side."""
    return str(node["original_file_path"]).startswith(
        tuple(path.partition(":")[2] + "/" for path in SERVING_PATHS)
    )
