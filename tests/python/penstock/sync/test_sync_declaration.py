"""meta.sync: what is accepted, and that what is wrong is refused by model and key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import PlanError
from penstock.sync.columns import SqlType, parse_declared, resolve
from penstock.sync.declaration import Generated, Index, Policy, declarations

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


def test_declarations_of_all_options_returns_them(tmp_path: Path) -> None:
    sync = SYNC | {
        "columns": {
            "y_50": "decimal(10,2) not null",
            "state": {"type": "varchar(2)", "expression": "upper(state)"},
            "shop": {"from": "dma_id"},
        },
        "exclude": ["raw"],
        "indexes": [
            {"expression": "lower(shop)", "unique": True, "include": ["state"]},
            {"columns": ["e"], "method": "hnsw", "opclass": "vector_cosine_ops", "with": {"m": 16}},
        ],
        "generated": {"spread": {"type": "numeric(11,2)", "as": "y_95 - y_05", "stored": False}},
        "grants": {"select": ["reporting", "public"], "update": ["editor"]},
        "policies": [{"name": "own", "for": "select", "to": ["reporting"], "using": "state = 'CA'"}],
    }
    model = node(sync)
    model |= {
        "description": "One row\nper forecast.",
        "columns": {"state": {"description": "Where."}, "x": {}},
    }
    (found,) = declarations(manifest(tmp_path, model))

    assert found.columns == {"y_50": "decimal(10,2) not null", "state": "varchar(2)"}
    assert (found.renamed, found.expressions, found.exclude) == (
        {"shop": "dma_id"},
        {"state": "upper(state)"},
        ("raw",),
    )
    assert found.indexes == (
        Index((), expression="lower(shop)", unique=True, include=("state",)),
        Index(("e",), method="hnsw", opclass="vector_cosine_ops", options=(("m", "16"),)),
    )
    assert found.generated == (Generated("spread", "numeric(11,2)", "y_95 - y_05", stored=False),)
    assert found.grants == (("select", "reporting"), ("select", "public"), ("update", "editor"))
    assert found.policies == (Policy("own", "select", ("reporting",), "state = 'CA'"),)
    assert found.comments == {"": "One row per forecast.", "state": "Where."}
    (silent,) = declarations(
        manifest(tmp_path, model | {"config": node(sync | {"comments": False})["config"]})
    )
    assert silent.comments == {}
    assert silent.fingerprint != found.fingerprint


@pytest.mark.parametrize(
    ("sync", "said", "hint"),
    [
        ({"indices": []}, "meta.sync has no key 'indices'", "Did you mean 'indexes'? Known: "),
        ({"tabel": "x"}, "meta.sync has no key 'tabel'", "Did you mean 'table'? "),
        (
            {"columns": {"a": {"expresion": "b"}}},
            "meta.sync.columns.a has no key 'expresion'",
            "'expression'?",
        ),
        ({"indexes": [{"column": ["a"]}]}, "meta.sync.indexes has no key 'column'", "'columns'?"),
        ({"grants": {"selects": ["a"]}}, "meta.sync.grants has no key 'selects'", "'select'?"),
        (
            {"generated": {"a": {"type": "int", "expr": "b"}}},
            "meta.sync.generated.a has no key 'expr'",
            "Known: as,",
        ),
        ({"policies": [{"nam": "a"}]}, "meta.sync.policies has no key 'nam'", "'name'?"),
    ],
)
def test_declarations_of_unknown_key_names_the_nearest(
    tmp_path: Path, sync: dict[str, Any], said: str, hint: str
) -> None:
    with pytest.raises(PlanError) as caught:
        declarations(manifest(tmp_path, node(SYNC | sync)))
    assert said in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("sync", "said"),
    [
        ({"columns": {"a": {"from": "b", "expression": "c"}}}, "columns.a has both 'from' and 'expression'"),
        ({"columns": {"a": 3}}, "columns.a must be a type, or a mapping of type, from, expression"),
        ({"columns": {"A b": {"from": "c"}}}, "'A b' is no plain lower-case Postgres name"),
        ({"columns": {"a": "vector"}}, "'vector' needs its dimensions, 1 to 16000, as in vector(384)"),
        ({"columns": {"a": "vector(3)[]"}}, "'vector(3)[]' needs its dimensions"),
        ({"columns": {"a": "timestamp(9)"}}, "'timestamp(9)' needs 1 to 6 digits of a second"),
        ({"columns": {"a": "jsonb[]"}}, "'jsonb[]' is no type the sync can write"),
        (
            {"indexes": [{"columns": ["a"], "expression": "b"}]},
            "an index has either 'columns' or 'expression'",
        ),
        ({"indexes": [{"columns": ["a"], "method": "tree"}]}, "'tree' is no index method"),
        ({"indexes": [{"columns": ["a"], "unique": "yes"}]}, "indexes.unique must be true or false"),
        ({"indexes": {"columns": ["a"]}}, "indexes must be a list"),
        ({"generated": {"a": {"type": "int"}}}, "generated.a.as is missing or is not a name"),
        ({"grants": {"select": "reporting"}}, "grants.select must be a list of different names"),
        ({"policies": [{"name": "a"}]}, "policies.a needs a condition: 'using' or 'check'"),
        ({"policies": [{"name": "a", "for": "merge", "using": "x"}]}, "'for' is one of all, select,"),
        ({"policies": [{"name": "a", "using": "x"}, {"name": "a", "using": "y"}]}, "names one policy twice"),
        ({"comments": "no"}, "comments must be true or false"),
    ],
)
def test_declarations_of_wrong_option_names_model_and_key(
    tmp_path: Path, sync: dict[str, Any], said: str
) -> None:
    with pytest.raises(PlanError) as caught:
        declarations(manifest(tmp_path, node(SYNC | sync)))
    assert caught.value.message.startswith("fct_forecast: meta.sync")
    assert said in caught.value.message


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
        ({"table": "t"}, "fct_forecast: meta.sync.key must be a list of different names."),
        (SYNC | {"key": ["a", "a"]}, "fct_forecast: meta.sync.key must be a list of different names."),
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
            "fct_forecast: meta.sync.indexes must be a list of different names.",
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


_THREE = [{"id": i, "name": name, "type": "string"} for i, name in enumerate("abc", 1)]


def test_resolve_renamed_and_excluded_columns_keeps_the_lakes_order() -> None:
    columns = resolve(_THREE, {"c": "varchar(3)"}, ("a",), "m", renamed={"x": "b", "y": "c"}, exclude=())
    assert [(column.name, column.field_id) for column in columns] == [("a", 1), ("x", 2), ("c", 3), ("y", 3)]
    swapped = resolve(_THREE, {}, ("a",), "m", renamed={"b": "c", "c": "b"})
    assert [(column.name, column.field_id) for column in swapped] == [("a", 1), ("b", 3), ("c", 2)]
    fewer = resolve(_THREE, {}, ("a",), "m", exclude=("b",))
    assert [column.name for column in fewer] == ["a", "c"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"renamed": {"x": "nope"}}, r"columns\.x\.from: the lake table has no column 'nope'"),
        ({"exclude": ("nope",)}, r"exclude names column 'nope'"),
        ({"exclude": ("a",)}, r"names column 'a', which"),
        (
            {"expressions": {"x": "upper(nope)"}},
            r"columns\.x\.expression: 'nope' is no column of the lake table",
        ),
    ],
)
def test_resolve_of_a_source_that_is_not_there_names_it(options: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        resolve(_THREE, {}, ("a",), "m", **options)


@pytest.mark.parametrize(
    ("older", "wanted", "widens"),
    [
        ("integer[]", "bigint[]", True),
        ("integer", "bigint[]", False),
        ("text", "jsonb", False),
        ("vector(3)", "vector(4)", False),
        ("timestamp(3)", "timestamp", True),
        ("timestamp", "timestamp(3)", False),
        ("numeric(18,2)", "numeric(38,2)", True),
        ("numeric(38,2)", "numeric(18,2)", False),
        ("varchar(2)[]", "text[]", True),
    ],
)
def test_types_widen_where_no_value_is_lost(older: str, wanted: str, widens: bool) -> None:
    assert parse_declared(wanted)[0].widens(parse_declared(older)[0]) is widens
