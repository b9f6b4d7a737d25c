"""What must be there before dbt is asked, and what is said while it is not."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from penstock.connections import Connections
from penstock.environments import environment
from penstock.errors import BuildError
from penstock.lake.readiness import require_built, require_landed

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
