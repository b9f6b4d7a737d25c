"""Lake Formation's data-cell filters of the marts of sales: none by default, and what the variable says where it is set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.settings import PROJECT_ROOT

FILTERS = {
    "tenant_001": {
        "row_filter": "tenant_id = 'tenant_001'",
        "principals": ["arn:aws:iam::123456789012:role/tenant-001"],
    },
    "analysts": {"row_filter": "true", "column_names": ["tenant_id", "category"], "principals": ["arn:x"]},
}


def parsed(folder: Path, filters: dict[str, Any]) -> dict[str, Any]:
    """Return each mart's lf_grants as dbt reads the project."""
    environ = os.environ | {"PENSTOCK_TENANT_CELL_FILTERS": json.dumps(filters)}
    subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-c", "from dbt.cli.main import cli; cli()", "parse"),
            *("--no-partial-parse", "--project-dir", str(PROJECT_ROOT), "--target", "local"),
            *("--profiles-dir", str(PROJECT_ROOT / "profiles"), "--target-path", str(folder)),
            *("--log-path", str(folder)),
        ],
        env=environ,
        check=True,
        capture_output=True,
    )
    nodes = json.loads((folder / "manifest.json").read_text())["nodes"].values()
    return {
        node["name"]: node["config"].get("lf_grants")
        for node in nodes
        if node["resource_type"] == "model" and node["original_file_path"].startswith("models/marts/")
    }


def test_marts_have_no_cell_filters_unless_they_are_given() -> None:
    jinja = pytest.importorskip("dbt.clients.jinja")
    project = yaml.safe_load((PROJECT_ROOT / "dbt_project.yml").read_text())
    text = project["models"]["penstock"]["marts"]["sales"]["+lf_grants"]
    unset = {"var": lambda _, default: default, "env_var": lambda _, default: default, "fromjson": json.loads}
    assert jinja.get_rendered(text, unset, native=True) is None
    given = unset | {"env_var": lambda *_: json.dumps(FILTERS)}
    found = jinja.get_rendered(text, given, native=True)
    assert found == {"data_cell_filters": {"enabled": True, "filters": FILTERS}}


def test_marts_of_sales_have_the_cell_filters_that_are_given_as_dbt_athena_reads_them(tmp_path: Path) -> None:
    lakeformation = pytest.importorskip("dbt.adapters.athena.lakeformation")
    found = parsed(tmp_path, FILTERS)
    sales = {name for name in found if name.startswith("sales_") or name == "product_embeddings"}
    assert {name for name, grants in found.items() if grants} == sales
    for name in sales:
        config = lakeformation.LfGrantsConfig(**found[name]).data_cell_filters
        assert config.enabled
        assert {key: item.row_filter for key, item in config.filters.items()} == {
            "tenant_001": "tenant_id = 'tenant_001'",
            "analysts": "true",
        }
        sent = config.filters["tenant_001"].to_api_repr("123456789012", "marts", name, "tenant_001")
        assert sent["RowFilter"] == {"FilterExpression": "tenant_id = 'tenant_001'"}
        assert config.filters["analysts"].column_names == ["tenant_id", "category"]
