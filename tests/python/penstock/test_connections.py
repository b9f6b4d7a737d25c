"""Connections: what a task is handed, and what it says when something is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.connections import Connections, connect
from penstock.credentials import Secret
from penstock.environments import environment
from penstock.errors import SettingsError
from penstock.settings import Settings


def test_connect_aws_target_fills_in_no_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://neon.example/db")
    settings = Settings(target="dev", aws_account="123456789012", state_dir=tmp_path / "state")

    connections = connect(settings)

    assert connections.endpoint_urls == {}
    assert connections.environment.lake_bucket == "penstock-lake-dev-123456789012"
    assert connections.postgres_url() == "postgresql://neon.example/db"
    assert "AWS_ACCESS_KEY_ID" not in connections.exports()
    assert not (tmp_path / "state").exists()


def test_postgres_url_missing_is_refused_only_when_asked_for() -> None:
    connections = Connections(environment("dev", "123456789012"), "us-east-2")

    assert "DATABASE_URL" not in connections.exports()
    with pytest.raises(SettingsError, match="Target 'dev' has no database URL") as caught:
        connections.postgres_url()
    assert "DATABASE_URL" in caught.value.hint


def test_repr_shows_no_secret() -> None:
    connections = Connections(
        environment("local"),
        "us-east-2",
        database_url="postgresql://u:hush@h/db",
        access_key="id",
        secret_key="hush",
    )

    assert "hush" not in repr(connections)


def test_exports_local_tell_pyiceberg_where_its_default_catalog_and_files_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from pyiceberg.utils.config import Config

    local = Connections(
        environment("local"), "us-east-2", endpoint_urls={"glue": "http://g", "s3": "http://127.0.0.1:1"}
    )
    monkeypatch.setenv("PYICEBERG_HOME", str(tmp_path))
    for name, value in local.exports().items():
        monkeypatch.setenv(name, value)

    assert Config().get_catalog_config("default") == {
        "type": "glue",
        "s3.endpoint": "http://127.0.0.1:1",
        "s3.region": "us-east-2",
    }


def test_exports_aws_leave_pyiceberg_alone() -> None:
    exports = Connections(environment("dev", "123456789012"), "us-east-2").exports()

    assert not [name for name in exports if name.startswith("PYICEBERG")]


def test_client_local_is_reached_whatever_profile_and_proxy_the_shell_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    local = Connections(
        environment("local"), "us-east-2", default_endpoint_url="http://127.0.0.1:1", access_key="test"
    )

    client = local.client("s3")

    assert client.meta.endpoint_url == "http://127.0.0.1:1"
    assert client._endpoint.http_session._proxy_config.proxy_url_for("http://127.0.0.1:1") is None


@pytest.mark.parametrize(
    ("before", "after"), [("", "127.0.0.1,localhost"), ("a.b", "a.b,127.0.0.1,localhost")]
)
def test_exports_local_go_round_a_proxy(monkeypatch: pytest.MonkeyPatch, before: str, after: str) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", before)
    local = Connections(environment("local"), "us-east-2", default_endpoint_url="http://127.0.0.1:1")

    exports = local.exports()

    assert (exports["NO_PROXY"], exports["no_proxy"]) == (after, after)
    monkeypatch.setenv("NO_PROXY", after)
    assert local.exports()["NO_PROXY"] == after
    assert "NO_PROXY" not in Connections(environment("dev", "123456789012"), "us-east-2").exports()


def dev(**values: str) -> Settings:
    return Settings(target="dev", aws_account="123456789012", **values)


@pytest.fixture
def _no_neon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "NEON_API_KEY", "NEON_PROJECT_ID", "PENSTOCK_BRANCH"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_no_neon")
def test_connect_url_that_lies_elsewhere_is_asked_for_on_first_use_only() -> None:
    connections = connect(dev(database_url_from="ssm:/penstock/url"))

    assert connections.has_postgres
    assert "DATABASE_URL" not in connections.exports(
        postgres=False
    )  # nobody was asked: there are no AWS credentials


@pytest.mark.usefixtures("_no_neon")
def test_connect_url_given_twice_is_refused() -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL and PENSTOCK_DATABASE_URL_FROM are both set"):
        connect(dev(database_url="postgresql://h/d", database_url_from="ssm:/x"))


@pytest.mark.usefixtures("_no_neon")
def test_connect_branch_is_neons_to_tell_whatever_database_url_says() -> None:
    given = {"database_url": "postgresql://u:p@dev.example/d", "branch": "preview/pr-7"}
    connections = connect(dev(**given, neon_api_key="k", neon_project_id="p"))

    assert connections.database_url == ""
    assert connections.has_postgres
    assert connections.environment.marts_database == "analytics_dev_pr_7"
    with pytest.raises(SettingsError, match="no NEON_API_KEY is set"):
        connect(dev(**given))
    with pytest.raises(SettingsError, match="no NEON_PROJECT_ID is set"):
        connect(dev(**given, neon_api_key="k"))


@pytest.mark.usefixtures("_no_neon")
def test_connect_without_url_asks_neon_where_there_is_a_key_and_has_no_database_where_there_is_none() -> None:
    assert connect(dev(neon_api_key="k", neon_project_id="p")).has_postgres
    assert not connect(dev()).has_postgres


def test_reread_url_that_was_given_plainly_has_no_other() -> None:
    plain = Connections(environment("local"), "us-east-2", database_url="postgresql://h/d")

    assert plain.reread_postgres_url("postgresql://h/d") is None
    assert Connections(environment("local"), "us-east-2").reread_postgres_url("x") is None


def test_reread_url_is_the_newer_one() -> None:
    values = iter(["postgresql://u:old@h/d", "postgresql://u:new@h/d"])
    found = Connections(environment("local"), "us-east-2", database=Secret(lambda: next(values)))

    assert found.postgres_url() == "postgresql://u:old@h/d"
    assert found.reread_postgres_url(found.postgres_url()) == "postgresql://u:new@h/d"
    assert found.exports()["DATABASE_URL"] == "postgresql://u:new@h/d"
    assert found.exports()["PENSTOCK_DATABASE_URL_FROM"] == ""  # a shell with both would be refused
    assert "new" not in repr(found)
