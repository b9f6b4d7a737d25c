"""One docs site for both sides: the whole lineage, and the columns of both catalogs.

Either side's manifest knows the whole lineage, but only Athena's knows where the lake's tables lie and which columns they
have, and only Postgres' those of the serving side. So dbt writes manifest and catalog of each, and both are merged into
target/docs: index.html with everything inside, which opens from disk as well as from a server.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

from penstock.connections import Connections
from penstock.errors import BuildError
from penstock.lake.readiness import absent_sources, require_built
from penstock.settings import PROJECT_ROOT
from penstock.transform import dbt
from penstock.transform.build import SERVING_PATHS, is_serving, serving_obstacle
from penstock.transform.dbt import OnLine, Side

HOST = "127.0.0.1"

# Where dbt's own page takes its data from, when it is to be one file
_PLACES = {"manifest": '"MANIFEST.JSON INLINE DATA"', "catalog": '"CATALOG.JSON INLINE DATA"'}


@dataclass(frozen=True)
class DocsReport:
    """The site. `relations` have their columns from a catalog; `undocumented` are declared but not built (by name)."""

    folder: Path
    relations: int
    undocumented: tuple[str, ...]
    serving_skipped: str = ""

    @property
    def index(self) -> Path:
        return self.folder / "index.html"


def generate(
    connections: Connections, *, on_line: OnLine | None = None, root: Path = PROJECT_ROOT
) -> DocsReport:
    """Write target/docs and return what it shows; the serving side's columns only once its tables are synced."""
    require_built(connections)
    arguments = ["docs", "generate"]
    _make_databases(connections)
    dbt.run(connections, Side.LAKE, [*arguments, "--exclude", *SERVING_PATHS], on_line=on_line, root=root)
    manifest = _read(dbt.target_path(Side.LAKE, root) / "manifest.json")
    catalogs = [_read(dbt.target_path(Side.LAKE, root) / "catalog.json")]
    skipped = serving_obstacle(connections, root)
    if not skipped:
        serving = [*arguments, "--select", SERVING_PATHS[0]]
        dbt.run(connections, Side.NEON, serving, on_line=on_line, root=root)
        catalogs.append(_read(dbt.target_path(Side.NEON, root) / "catalog.json"))
        manifest = merge_manifests(manifest, _read(dbt.target_path(Side.NEON, root) / "manifest.json"))
    catalog = merge_catalogs(catalogs, manifest)
    folder = root / "target" / "docs"
    write_site(folder, manifest, catalog)
    shown = {*catalog["nodes"], *catalog["sources"]}
    return DocsReport(folder, len(shown), tuple(sorted(_relations(manifest) - shown)), skipped)


def _make_databases(connections: Connections) -> None:
    """Make the landed databases of sources that have not landed: dbt-athena's catalog looks into every database that the
    project names, whatever is selected, and fails on one that Glue does not know."""
    glue = connections.client("glue")
    for source in absent_sources(connections):
        with suppress(glue.exceptions.AlreadyExistsException):
            glue.create_database(DatabaseInput={"Name": connections.environment.landed_database(source)})


def merge_catalogs(catalogs: list[dict[str, Any]], manifest: dict[str, Any]) -> dict[str, Any]:
    """Return one catalog with the relations of all; a later catalog wins, relations unknown to the manifest are dropped."""
    known = {*manifest["nodes"], *manifest["sources"]}
    merged: dict[str, Any] = {**catalogs[0], "nodes": {}, "sources": {}, "errors": None}
    for catalog in catalogs:
        for part in ("nodes", "sources"):
            merged[part].update({key: value for key, value in catalog[part].items() if key in known})
    return merged


def merge_manifests(lake: dict[str, Any], neon: dict[str, Any]) -> dict[str, Any]:
    """Return the lake's manifest with the serving side's nodes and sources as the Neon target knows them."""
    merged = dict(lake)
    for part in ("nodes", "sources"):
        merged[part] = {
            key: neon[part][key] if is_serving(entry) and key in neon[part] else entry
            for key, entry in lake[part].items()
        }
    return merged


def write_site(folder: Path, manifest: dict[str, Any], catalog: dict[str, Any]) -> None:
    """Write index.html with everything inside, and the two documents beside it for other tools."""
    folder.mkdir(parents=True, exist_ok=True)
    page = _dbt_page().read_text(encoding="utf-8")
    for name, document in (("manifest", manifest), ("catalog", catalog)):
        text = json.dumps(document)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
        if _PLACES[name] not in page:
            raise BuildError(
                f"dbt's docs page has no place for the {name}.",
                hint="Is dbt-core another version than pinned?",
            )
        page = page.replace(
            _PLACES[name], text.replace("</", "<\\/")
        )  # a "</script>" in a description ends no script
    (folder / "index.html").write_text(page, encoding="utf-8")


@contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[str]:
    """Serve the site on loopback while the block runs, and yield its URL; port 0 takes any free one."""
    handler = functools.partial(_QuietHandler, directory=str(folder))
    try:
        server = ThreadingHTTPServer((HOST, port), handler)
    except OSError as error:
        raise BuildError(
            f"Port {port} cannot be used: {error.strerror}.", hint="invoke docs --serve --port N"
        ) from error
    thread = Thread(target=server.serve_forever, name="docs-server", daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: who reads the docs is nobody's business."""


def _relations(manifest: dict[str, Any]) -> set[str]:
    models = {
        key
        for key, node in manifest["nodes"].items()
        if node["resource_type"] in ("model", "seed", "snapshot")
        and node["config"]["materialized"] != "ephemeral"
    }
    return models | set(manifest["sources"])


def _dbt_page() -> Path:
    spec = find_spec("dbt.task.docs")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations))) / "index.html"


def _read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document
