"""What must be there before dbt is asked, and what is said while it is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from penstock.connections import Connections
from penstock.environments import environment
from penstock.errors import BuildError
from penstock.lake.readiness import absent_sources, require_built, require_landed, unbuilt

ATHENA_GROUP, GLUE_TABLE, GLUE_DATABASE = "get_work_group", "get_table", "get_database"


class Clients:
    """Answers look-ups, with an error for those named."""

    def __init__(self, errors: dict[str, str]) -> None:
        self.errors = errors

    def __getattr__(self, name: str) -> Any:
        def look_up(**_: str) -> dict[str, Any]:
            if code := self.errors.get(name):
                raise ClientError({"Error": {"Code": code, "Message": "no"}}, name)
            return {}

        return look_up


def lake(monkeypatch: pytest.MonkeyPatch, **errors: str) -> Connections:
    monkeypatch.setattr(Connections, "client", lambda *_: Clients(errors))
    return Connections(environment("local"), "us-east-2")


def test_require_built_with_everything_there_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    require_built(lake(monkeypatch))


@pytest.mark.parametrize(
    ("errors", "message", "hint"),
    [
        (
            {ATHENA_GROUP: "InvalidRequestException"},
            "Nothing has landed yet: there is no workgroup penstock-local.",
            "invoke seed",
        ),
        (
            {GLUE_TABLE: "EntityNotFoundException"},
            "Nothing has landed yet: there is no forecast_data_local.forecast and no pricing_intelligence_local.sales.",
            "invoke seed",
        ),
        (
            {GLUE_DATABASE: "EntityNotFoundException"},
            "No model has been built yet: there is no database analytics_local.",
            "invoke build",
        ),
    ],
)
def test_require_built_names_what_is_missing_and_what_makes_it(
    monkeypatch: pytest.MonkeyPatch, errors: dict[str, str], message: str, hint: str
) -> None:
    with pytest.raises(BuildError) as raised:
        require_built(lake(monkeypatch, **errors))

    assert (raised.value.message, raised.value.hint) == (message, hint)


@pytest.mark.parametrize("name", [ATHENA_GROUP, GLUE_TABLE])
def test_require_landed_that_may_not_look_leaves_it_to_dbt(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    require_landed(lake(monkeypatch, **{name: "AccessDeniedException"}))


class Tables:
    """Glue with these tables and no other."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def get_table(self, **asked: str) -> dict[str, Any]:
        if "{DatabaseName}.{Name}".format(**asked) not in self.names:
            raise ClientError({"Error": {"Code": "EntityNotFoundException", "Message": "no"}}, "GetTable")
        return {}


def test_unbuilt_names_only_what_its_own_absent_source_explains(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Sales never landed: its models need not be there. The forecast landed: a lost mart of it is not excused."""
    glue = Tables("forecast_data_local.forecast", "analytics_local.old_sales")
    monkeypatch.setattr(Connections, "client", lambda *_: glue)
    connections = Connections(environment("local"), "us-east-2")
    manifest = tmp_path / "manifest.json"
    parents = {
        "model.penstock.fct_forecast": ["model.penstock.stg"],
        "model.penstock.stg": ["source.penstock.forecast.forecast"],
        "model.penstock.sales_history": ["model.penstock.stg_sales"],
        "model.penstock.old_sales": ["model.penstock.stg_sales"],
        "model.penstock.stg_sales": ["source.penstock.sales.sales"],
    }
    manifest.write_text(json.dumps({"parent_map": parents}))

    assert "sales" in absent_sources(connections)
    assert "forecast" not in absent_sources(connections)
    models = [(name, "analytics_local", name) for name in ("fct_forecast", "sales_history", "old_sales")]
    assert unbuilt(connections, glue, manifest, models) == {"sales_history": "sales"}


def test_unbuilt_with_every_mart_there_reads_no_manifest_and_asks_for_no_source(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Connections, "client", lambda *_: pytest.fail("a source was asked for"))
    connections = Connections(environment("local"), "us-east-2")
    assert unbuilt(connections, Tables("d.t"), tmp_path / "none.json", [("m", "d", "t")]) == {}
