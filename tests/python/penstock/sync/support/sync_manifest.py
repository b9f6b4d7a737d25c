"""A dbt manifest of the lake target, as small as the commands that read one allow."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from penstock.sync.declaration import Declaration


def write_manifest(folder: Path, declared: Iterable[Declaration]) -> Path:
    """Write a manifest in which a model declares each table; returns its path."""
    nodes = {
        f"model.penstock.{item.model}_{item.table}": {
            "resource_type": "model",
            "name": f"{item.model}_{item.table}",
            "alias": item.lake_table,
            "schema": item.lake_database,
            "config": {
                "materialized": "incremental",
                "table_type": "iceberg",
                "meta": {
                    "sync": {
                        "table": item.table,
                        "status_table": item.status_table,
                        "key": list(item.key),
                        "columns": dict(item.columns),
                    }
                },
            },
        }
        for item in declared
    }
    path = folder / "manifest.json"
    path.write_text(json.dumps({"nodes": nodes}))
    return path
