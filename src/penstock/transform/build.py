"""Build the lake, then what is served in Postgres over the tables synced from it.

The serving side needs its synced tables: what reads one that is missing waits for it, and the report says so. Tests run with
the models they test: a model whose source or parent fails a test is not built.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.connections import Connections
from penstock.errors import BuildError
from penstock.lake.readiness import absent_sources, require_landed
from penstock.settings import PROJECT_ROOT
from penstock.transform import dbt
from penstock.transform.dbt import OnLine, Side
from penstock.transform.report import SideReport, lake_report, report

SERVING_PATHS = ("path:models/serving", "path:functions/serving", "path:tests/dbt/singular/serving")

SERVING_SCHEMA = "serving"  # of the Neon targets, in profiles.yml

SELECTION_HINT = "--select takes models, tag:…, +model, model+ or paths; docs/models.md lists the models."


@dataclass(frozen=True)
class BuildReport:
    """Both sides. `serving` is None when it was not run; `serving_skipped` says why, or what of it waits and for what."""

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
                hint=_selection_hint(connections),
            )
        return BuildReport(lake, serving_skipped=missing)
    manifest = _lake_manifest(root)
    lacking = _unsynced(connections, manifest)
    names = waiting(manifest, lacking)
    serving = build_serving(connections, select=select, exclude=names, on_line=on_line, root=root)
    if not lake.nodes and not serving.nodes:
        raise BuildError(
            f"Nothing in the project is selected by '{select}'.",
            hint=_selection_hint(connections),
        )
    return BuildReport(lake, serving, f"{', '.join(names)}: {_wanting(lacking)}" if names else "")


def build_lake(
    connections: Connections,
    *,
    select: str = "",
    full_refresh: bool = False,
    on_line: OnLine | None = None,
    root: Path = PROJECT_ROOT,
) -> SideReport:
    """Return what was built on Athena, with the bytes each node scanned.

    Raises: BuildError as `build` does, while nothing has landed, and for a full refresh while landed files are archived.
    """
    require_landed(connections)
    absent = absent_sources(connections)
    if full_refresh:
        _refuse_archived(connections)
    arguments = ["build", *lake_selection(select, absent), *(["--full-refresh"] if full_refresh else [])]
    run = dbt.run(connections, Side.LAKE, arguments, on_line=on_line, root=root)
    return lake_report(connections, run)


def _refuse_archived(connections: Connections) -> None:
    """Raise BuildError while landed files are archived: a mart made anew would lack their rows, and the old one has them."""
    from penstock.lake.archive import archived_days

    found = archived_days(connections)
    if found:
        told = "; ".join(
            f"{table}, days {', '.join(f'{first} to {last}' for first, last in days[:3])}"
            f"{' …' if len(days) > 3 else ''}"
            for table, days in found.items()
        )
        raise BuildError(
            f"A full refresh would lose the rows of archived files: {told}.",
            hint='Restore the files first (docs/verify.md, "What is archived"). To make one mart anew without them, drop'
            ' it (invoke query "drop table …") and build.',
        )


def build_serving(
    connections: Connections,
    *,
    select: str = "",
    exclude: Sequence[str] = (),
    on_line: OnLine | None = None,
    root: Path = PROJECT_ROOT,
) -> SideReport:
    """Return what was built in Postgres; the synced tables must be there, but those of the models in `exclude`."""
    arguments = ["build", *serving_selection(select, exclude)]
    run = dbt.run(connections, Side.NEON, arguments, on_line=on_line, root=root)
    drop_removed_functions(connections, dbt.target_path(Side.NEON, root))
    return report(run)


def drop_removed_functions(connections: Connections, target: Path) -> list[str]:
    """Drop the functions that dbt made in the serving schema and the project no longer has; returns which.

    dbt itself drops none. They are known by the mark at the end of their comments (macros/serving/functions.sql); what
    another hand made has none. One that something else depends on stays, and Postgres' error says on what.
    """
    import psycopg

    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    kept = [function["alias"] or function["name"] for function in manifest.get("functions", {}).values()]
    with psycopg.connect(connections.postgres_url()) as connection:
        rows = connection.execute(
            "select p.oid::regprocedure::text from pg_proc as p"
            " where p.pronamespace = to_regnamespace(%s) and not p.proname = any(%s)"
            r" and obj_description(p.oid, 'pg_proc') ~ %s order by 1",
            [SERVING_SCHEMA, kept, rf"\mdbt: {manifest['metadata']['project_name']} \w+$"],
        ).fetchall()
        for (name,) in rows:
            connection.execute(f"drop function {name}".encode())
    return [row[0] for row in rows]


def _selection_hint(connections: Connections) -> str:
    absent = absent_sources(connections)
    left_out = f" What needs {' and '.join(absent)} was left out: it has not landed." if absent else ""
    return SELECTION_HINT + left_out


def lake_selection(select: str, absent: Sequence[str] = ()) -> list[str]:
    """Return the arguments that narrow a selection to the lake; none, and selectors.yml's default does it.

    What comes from an absent source is left out: its first query would fail for want of the landed table. dbt leaves
    the default selector aside where something is excluded.

    Of tests over several models those are run whose models are all selected or above one that is: a mart built alone must
    not fail for a summary that was not.
    """
    without = [f"source:{name}+" for name in absent]
    if not select.split():
        return ["--exclude", *SERVING_PATHS, *without] if without else []
    arguments = ["--select", *select.split(), "--exclude", *SERVING_PATHS, *without]
    return [*arguments, "--indirect-selection", "buildable"]


def serving_selection(select: str, exclude: Sequence[str] = ()) -> list[str]:
    """Return the arguments that narrow a selection to the serving side (a comma intersects), without what waits.

    None, and selectors.yml's default does it; dbt leaves that aside where something is excluded.
    """
    without = ["--exclude", *(f"{name}+" for name in exclude)] if exclude else []
    if not select.split():
        return ["--select", *SERVING_PATHS, *without] if exclude else []
    return ["--select", *(f"{part},{path}" for part in select.split() for path in SERVING_PATHS), *without]


def serving_obstacle(connections: Connections, root: Path = PROJECT_ROOT) -> str:
    """Return why nothing of the serving side can be built now; empty when something can."""
    if not connections.has_postgres:
        return "no DATABASE_URL is set"
    manifest = _lake_manifest(root)
    missing = _unsynced(connections, manifest)
    return _wanting(missing) if missing and missing == synced_tables(manifest) else ""


def _lake_manifest(root: Path) -> dict[str, Any]:
    text = (dbt.target_path(Side.LAKE, root) / "manifest.json").read_text(encoding="utf-8")
    manifest: dict[str, Any] = json.loads(text)
    return manifest


def _unsynced(connections: Connections, manifest: dict[str, Any]) -> list[str]:
    """Return which of the tables that the serving side reads are not in Postgres."""
    import psycopg

    with psycopg.connect(connections.postgres_url()) as connection:
        return [
            table
            for table in synced_tables(manifest)
            if connection.execute("select to_regclass(%s) is null", (table,)).fetchone() == (True,)
        ]


def _wanting(missing: Sequence[str]) -> str:
    return f"Postgres has no {' and no '.join(missing)} yet; `invoke sync` makes it, then build again"


def waiting(manifest: dict[str, Any], missing: Sequence[str]) -> list[str]:
    """Return the names of the serving models and functions that read one of these tables."""
    found = []
    for node in _readers(manifest):
        marts = (manifest["nodes"].get(parent) for parent in node["depends_on"]["nodes"])
        if any(mart is not None and _synced_as(mart) in missing for mart in marts):
            found.append(node["name"])
    return sorted(found)


def _readers(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    nodes = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    return [node for node in (*nodes, *manifest.get("functions", {}).values()) if is_serving(node)]


def _synced_as(mart: dict[str, Any]) -> str:
    """Return the schema.table that a mart is synced to; empty for one that is not."""
    sync = (mart["config"].get("meta") or {}).get("sync") or {}
    table = str(sync.get("table") or "")
    return table if "." in table or not table else f"public.{table}"


def synced_tables(manifest: dict[str, Any]) -> list[str]:
    """Return schema.table of every table that the serving models read, as the marts behind them declare it (meta.sync)."""
    nodes = manifest["nodes"]
    parents = {parent for node in _readers(manifest) for parent in node["depends_on"]["nodes"]}
    return sorted({_synced_as(nodes[parent]) for parent in parents if parent in nodes} - {""})


def is_serving(node: dict[str, Any]) -> bool:
    """Return whether a manifest's node or source belongs to the serving side."""
    return str(node["original_file_path"]).startswith(
        tuple(path.partition(":")[2] + "/" for path in SERVING_PATHS)
    )
