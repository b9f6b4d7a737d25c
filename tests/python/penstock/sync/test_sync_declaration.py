"""meta.sync: what is accepted, and that what is wrong is refused by model and key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import PlanError
from penstock.sync.columns import SqlType, parse_declared, resolve
from penstock.sync.declaration import Index, declarations

SYNC: dict[str, Any] = {
    "table": "forecast_data",
    "status_table": "forecast_sync_status",
    "key": ["restaurant_id", "business_date"],
    "columns": {"y_50": "decimal(10,2) not null"},
    "indexes": [["business_date"], {"columns": ["dma_id"], "where": "dma_id is not null"}],
}


def manifest(folder: Path, *nodes: dict[str, Any]) -> Path:
    path = folder / "manifest.json"
    path.write_text(json.dumps({"nodes": {f"model.{i}": node for i, node in enumerate(nodes)}}))
    return path


def node(sync: Any, name: str = "fct_forecast", **config: Any) -> dict[str, Any]:
    settings = {"materialized": "incremental", "table_type": "iceberg", "meta": {"sync": sync}}
    return {"name": name, "schema": "analytics_local", "resource_type": "model", "config": settings | config}


def test_declarations_of_manifest_returns_the_declared_sync(tmp_path: Path) -> None:
    unsynced = node(None)
    unsynced["config"]["meta"] = {}
    (found,) = declarations(manifest(tmp_path, node(SYNC), unsynced))

    assert (found.target, found.lake) == ("public.forecast_data", "analytics_local.fct_forecast")
    assert found.key == ("restaurant_id", "business_date")
    assert found.indexes == (Index(("business_date",)), Index(("dma_id",), "dma_id is not null"))


@pytest.mark.parametrize("name", ["fct_forecast", "forecast_data"])
def test_declarations_selected_by_model_or_table_returns_it(tmp_path: Path, name: str) -> None:
    path = manifest(tmp_path, node(SYNC), node(SYNC | {"table": "other"}, "fct_other"))
    assert [found.model for found in declarations(path, [name])] == ["fct_forecast"]


def test_declarations_of_unknown_name_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="'fct_x'") as caught:
        declarations(manifest(tmp_path, node(SYNC)), ["fct_x"])
    assert caught.value.hint == "Declared: fct_forecast."


@pytest.mark.parametrize(
    ("sync", "said"),
    [
        ([], "fct_forecast: meta.sync is not a mapping."),
        (SYNC | {"tabel": "x"}, "fct_forecast: meta.sync has no key 'tabel'."),
        ({"key": ["a"]}, "fct_forecast: meta.sync.table is missing or is not a name."),
        (
            SYNC | {"table": 'x"; drop'},
            "fct_forecast: meta.sync.table: 'x\"; drop' is no plain lower-case Postgres name.",
        ),
        ({"table": "t"}, "fct_forecast: meta.sync.key must be a list of different column names."),
        (SYNC | {"key": ["a", "a"]}, "fct_forecast: meta.sync.key must be a list of different column names."),
        (
            SYNC | {"columns": {"a": "money"}},
            "fct_forecast: meta.sync.columns.a: 'money' is no type the sync can write.",
        ),
        (
            SYNC | {"columns": {"a": "decimal(39,2)"}},
            "fct_forecast: meta.sync.columns.a: 'decimal(39,2)' needs a precision from 1 to 38 and a scale no larger.",
        ),
        (
            SYNC | {"indexes": [["a"], "b"]},
            "fct_forecast: meta.sync.indexes must be a list of different column names.",
        ),
    ],
)
def test_declarations_of_wrong_declaration_names_model_and_key(tmp_path: Path, sync: Any, said: str) -> None:
    with pytest.raises(PlanError) as caught:
        declarations(manifest(tmp_path, node(sync)))
    assert caught.value.message == said


@pytest.mark.parametrize(
    ("config", "kind"),
    [({"table_type": "hive"}, "hive table"), ({"materialized": "view"}, "view")],
)
def test_declarations_of_model_that_is_not_iceberg_is_refused(
    tmp_path: Path, config: dict[str, Any], kind: str
) -> None:
    with pytest.raises(PlanError) as caught:
        declarations(manifest(tmp_path, node(SYNC, **config)))
    assert caught.value.message == f"fct_forecast: only Iceberg tables are synced; this model is a {kind}."


def test_declarations_of_one_table_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="'forecast_data' is already synced from fct_a"):
        declarations(manifest(tmp_path, node(SYNC, "fct_a"), node(SYNC, "fct_b")))


def test_declarations_without_manifest_says_what_writes_it(tmp_path: Path) -> None:
    with pytest.raises(PlanError) as caught:
        declarations(tmp_path / "manifest.json")
    assert "invoke build" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DECIMAL(10, 2) NOT NULL", (SqlType("numeric", 10, 2), True)),
        ("varchar(2)", (SqlType("text", length=2), False)),
        ("double  precision", (SqlType("float8"), False)),
        ("timestamp with time zone not null", (SqlType("timestamptz"), True)),
    ],
)
def test_parse_declared_type_returns_it(text: str, expected: tuple[SqlType, bool]) -> None:
    assert parse_declared(text) == expected


@pytest.mark.parametrize(
    ("lake_type", "declared", "said"),
    [
        ("long", "integer", "column 'a' is long in the lake and cannot be synced as integer"),
        ("string", "date", "column 'a' is string in the lake and cannot be synced as date"),
        (
            "decimal(10, 4)",
            "decimal(10,2)",
            "column 'a' is decimal(10, 4) in the lake and cannot be synced as numeric(10,2)",
        ),
        ("timestamp_ns", None, "column 'a' is of lake type timestamp_ns, which the sync does not write"),
        ("string", "text[]", "column 'a' is string in the lake and cannot be synced as text[]"),
        (
            {"type": "list", "element": "string"},
            "vector(3)",
            "column 'a' is list in the lake and cannot be synced as vector(3)",
        ),
        (
            {"type": "struct", "fields": [{"id": 2, "name": "b", "type": "variant"}]},
            None,
            "column 'a' is of lake type variant, which the sync does not write",
        ),
    ],
)
def test_resolve_column_that_would_lose_is_refused_by_name(
    lake_type: Any, declared: str | None, said: str
) -> None:
    fields = [{"id": 1, "name": "a", "type": lake_type}]
    with pytest.raises(PlanError) as caught:
        resolve(fields, {"a": declared} if declared else {}, (), "fct_x")
    assert said in caught.value.message


def test_resolve_unknown_key_column_is_refused_by_name() -> None:
    with pytest.raises(PlanError, match=r"fct_x: meta\.sync names column 'b'"):
        resolve([{"id": 1, "name": "a", "type": "int"}], {}, ("b",), "fct_x")
