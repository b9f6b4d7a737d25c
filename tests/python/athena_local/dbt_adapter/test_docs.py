"""Documentation: `dbt docs generate` with its catalog, and descriptions kept in Glue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dbt.tests.adapter.persist_docs.test_persist_docs import BasePersistDocsAllColumnsMissing
from dbt.tests.util import run_dbt, run_dbt_and_capture

from .kinds import OnlyHive

MODEL = """
{{ config(materialized='__KIND__') }}
select 1 as id, cast('x' as varchar(10)) as name, cast(1.5 as decimal(10, 2)) as amount
"""

DESCRIBED = """
version: 2
models:
  - name: orders
    description: What was ordered, and an 'odd' "quote"
    columns:
      - {name: id, description: The number of the order}
      - {name: gone, description: Not a column of the table}
      - {name: amount, description: In euros}
"""


class TestCatalogAndDescriptions:
    @pytest.fixture(scope="class")
    def project_config_update(self) -> dict[str, Any]:
        return {"models": {"+persist_docs": {"relation": True, "columns": True}}}

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {
            "orders.sql": MODEL.replace("__KIND__", "table"),
            "orders_view.sql": MODEL.replace("__KIND__", "view"),
            "schema.yml": DESCRIBED,
        }

    def test_glue_keeps_the_descriptions(self, project: Any, server: Any) -> None:
        _, log = run_dbt_and_capture(["run"])
        assert "not present in the database: gone" in log
        table = server.glue.get_table(DatabaseName=project.test_schema, Name="orders")["Table"]
        assert table["Description"] == "What was ordered, and an 'odd' \"quote\""
        comments = {
            column["Name"]: column.get("Comment", "") for column in table["StorageDescriptor"]["Columns"]
        }
        assert comments == {"id": "The number of the order", "name": "", "amount": "In euros"}

    def test_docs_generate_names_every_column(self, project: Any, table_type: str) -> None:
        run_dbt(["run"])
        run_dbt(["docs", "generate"])
        catalog = json.loads(Path(project.project_root, "target", "catalog.json").read_text())
        assert catalog["errors"] is None
        kinds = {"orders": "iceberg_table" if table_type == "iceberg" else "table", "orders_view": "view"}
        for name, kind in kinds.items():
            node = catalog["nodes"][f"model.test.{name}"]
            assert node["metadata"]["type"] == kind
            columns = {column["name"]: column["type"] for column in node["columns"].values()}
            assert list(columns) == ["id", "name", "amount"]
            assert columns["id"] in {"int", "integer"}
            assert columns["amount"] == "decimal(10,2)"


class TestDescribedColumnsAllMissing(OnlyHive, BasePersistDocsAllColumnsMissing):
    pass
