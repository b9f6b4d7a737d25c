"""The docs site: two catalogs under one manifest, in a page that opens from disk and from loopback."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import BuildError
from penstock.transform.docs import merge_catalogs, serving, write_site

MANIFEST: dict[str, Any] = {
    "nodes": {"model.p.fct": {"description": "one row per day </script> of it"}, "model.p.daily": {}},
    "sources": {"source.p.lake.forecast": {}},
}


def _catalog(nodes: dict[str, str], sources: dict[str, str] | None = None) -> dict[str, Any]:
    return {"metadata": {}, "nodes": nodes, "sources": sources or {}, "errors": None}


def test_merge_catalogs_takes_each_relation_from_the_side_that_has_it() -> None:
    lake = _catalog({"model.p.fct": "athena"}, {"source.p.lake.forecast": "athena"})
    neon = _catalog({"model.p.daily": "postgres", "model.other.gone": "postgres"})
    merged = merge_catalogs([lake, neon], MANIFEST)
    assert merged["nodes"] == {"model.p.fct": "athena", "model.p.daily": "postgres"}
    assert merged["sources"] == {"source.p.lake.forecast": "athena"}
    assert lake["nodes"] == {"model.p.fct": "athena"}  # its input is not altered


def test_write_site_page_holds_both_documents_and_no_early_end_of_script(tmp_path: Path) -> None:
    write_site(tmp_path / "docs", MANIFEST, _catalog({"model.p.fct": "athena"}))
    page = (tmp_path / "docs" / "index.html").read_text()
    assert "INLINE DATA" not in page
    assert "one row per day <\\/script> of it" in page
    assert json.loads((tmp_path / "docs" / "manifest.json").read_text()) == MANIFEST
    assert json.loads((tmp_path / "docs" / "catalog.json").read_text())["nodes"] == {"model.p.fct": "athena"}


def test_serving_answers_on_loopback_and_stops(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("the site")
    with serving(tmp_path) as url:
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(url, timeout=120) as answer:
            assert answer.read() == b"the site"
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=120)


def test_serving_port_in_use_is_refused(tmp_path: Path) -> None:
    with (
        serving(tmp_path) as url,
        pytest.raises(BuildError, match="cannot be used"),
        serving(tmp_path, port=int(url.rstrip("/").rpartition(":")[2])),
    ):
        pytest.fail("two servers on one port")
