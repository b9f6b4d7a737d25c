"""Settings: from the environment and the command line, and what is refused."""

import pytest

from penstock.errors import SettingsError
from penstock.settings import load


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in (
        "PENSTOCK_TARGET",
        "PENSTOCK_AWS_ACCOUNT",
        "PENSTOCK_BRANCH",
        "AWS_ENDPOINT_URL",
        "DATABASE_URL",
    ):
        monkeypatch.delenv(name, raising=False)


def test_load_default_target_is_local():
    assert load().environment.target == "local"


def test_load_command_line_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("PENSTOCK_TARGET", "production")
    assert load("local").environment.target == "local"


def test_environment_aws_target_with_the_local_stacks_exports_is_refused(monkeypatch):
    monkeypatch.setenv("PENSTOCK_AWS_ACCOUNT", "123456789012")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    with pytest.raises(SettingsError, match="points to this machine") as raised:
        _ = load("dev").environment
    assert "unset AWS_ENDPOINT_URL" in raised.value.hint


def test_environment_aws_target_without_them_is_taken(monkeypatch):
    monkeypatch.setenv("PENSTOCK_AWS_ACCOUNT", "123456789012")
    assert load("dev").environment.lake_bucket == "penstock-lake-dev-123456789012"


def test_load_unusable_value_is_named(monkeypatch):
    monkeypatch.setenv("PENSTOCK_DEBUG", "perhaps")
    with pytest.raises(SettingsError, match="PENSTOCK_DEBUG: 'perhaps' is neither true nor false"):
        load()


@pytest.mark.parametrize(
    ("checked_out", "target", "branch"),
    [
        ("preview/pr-12", "dev", "preview/pr-12"),
        ("feature/x", "dev", "dev"),
        ("preview/pr-12", "local", "preview/pr-12"),
    ],
)
def test_branch_git_is_what_the_checked_out_one_proposes(monkeypatch, checked_out, target, branch):
    monkeypatch.setenv("PENSTOCK_AWS_ACCOUNT", "123456789012")
    monkeypatch.setattr("penstock.branches.git.current_branch", lambda: checked_out)
    assert load(target, "git").environment.database_branch == branch


def test_branch_git_never_leads_to_production(monkeypatch):
    monkeypatch.setenv("PENSTOCK_AWS_ACCOUNT", "123456789012")
    monkeypatch.setenv("PENSTOCK_BRANCH", "git")
    monkeypatch.setattr("penstock.branches.git.current_branch", lambda: "main")
    assert load().environment.marts_database == "analytics_local"
    with pytest.raises(SettingsError, match="'main' belongs to target 'production', not to 'dev'"):
        _ = load("dev").environment


def test_branch_on_the_command_line_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("PENSTOCK_BRANCH", "preview/pr-1")
    assert load("local", "preview/pr-2").environment.branch == "preview/pr-2"


def test_settings_show_no_secret(monkeypatch):
    for name in ("DATABASE_URL", "NEON_API_KEY"):
        monkeypatch.setenv(name, "hush")
    assert "hush" not in repr(load())
