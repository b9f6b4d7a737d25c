"""The table of names: every target's buckets, databases and dbt targets."""

import pytest

from penstock.environments import branch_from_git, environment, marts_of, proposal
from penstock.errors import SettingsError


def test_environment_local_needs_no_account():
    local = environment("local")
    assert local.lake_bucket == "penstock-lake-local"
    assert local.results_bucket == "penstock-athena-results-local"
    assert local.landed_database("forecast") == "forecast_data_local"
    assert local.landed_location("forecast") == "s3://penstock-lake-local/forecast_data/"
    assert (local.marts_database, local.neon_dbt_target) == ("analytics_local", "neon_local")


def test_environment_dev_ends_its_buckets_in_the_account():
    dev = environment("dev", "123456789012")
    assert dev.lake_bucket == "penstock-lake-dev-123456789012"


@pytest.mark.parametrize(("target", "account"), [("main", ""), ("production", "")])
def test_environment_unusable_target_names_the_next_step(target, account):
    with pytest.raises(SettingsError) as raised:
        environment(target, account)
    assert raised.value.hint


@pytest.mark.parametrize("account", ["1234", "1234567890123", "12345678901a", "١٢٣٤٥٦٧٨٩٠١٢"])
def test_environment_account_that_is_none_is_refused(account):
    with pytest.raises(SettingsError, match="is no AWS account id") as raised:
        environment("dev", account)
    assert "12 digits" in raised.value.hint


@pytest.mark.parametrize(
    ("git_branch", "target", "branch", "marts"),
    [
        ("main", "production", "main", "analytics_production"),
        ("dev", "dev", "dev", "analytics_dev"),
        ("feature/new-mart", "dev", "dev", "analytics_dev"),
        ("feature/a/b", "dev", "dev", "analytics_dev"),
        ("preview/pr-12", "dev", "preview/pr-12", "analytics_dev_pr_12"),
    ],
)
def test_proposal_is_the_table_of_names(git_branch, target, branch, marts):
    found = proposal(git_branch)
    assert (found.target, found.database_branch, found.marts_database) == (target, branch, marts)


@pytest.mark.parametrize(
    "git_branch", ["", "master", "feature/", "preview/x", "preview/pr-0", "preview/pr-1x", "fix/a"]
)
def test_proposal_of_a_git_branch_that_stands_for_nothing_is_refused(git_branch):
    with pytest.raises(SettingsError, match="stands for no environment"):
        proposal(git_branch)


@pytest.mark.parametrize(
    ("git_branch", "target", "branch"),
    [
        ("main", "production", "main"),
        ("feature/x", "dev", "dev"),
        ("preview/pr-12", "dev", "preview/pr-12"),
        ("main", "local", ""),
        ("feature/x", "local", ""),
        ("preview/pr-12", "local", "preview/pr-12"),
    ],
)
def test_branch_from_git_never_changes_the_target(git_branch, target, branch):
    assert branch_from_git(git_branch, target) == branch


@pytest.mark.parametrize(
    ("git_branch", "target"), [("main", "dev"), ("dev", "production"), ("preview/pr-1", "production")]
)
def test_branch_from_git_of_another_target_is_refused(git_branch, target):
    with pytest.raises(SettingsError, match=f"belongs to target .*, not to '{target}'"):
        branch_from_git(git_branch, target)


@pytest.mark.parametrize(
    ("target", "account", "branch", "marts"),
    [
        ("dev", "123456789012", "preview/pr-7", "analytics_dev_pr_7"),
        ("dev", "123456789012", "someones-own", "analytics_dev"),
        ("dev", "123456789012", "dev", "analytics_dev"),
        ("local", "", "preview/pr-7", "analytics_local_pr_7"),
        ("production", "123456789012", "main", "analytics_production"),
    ],
)
def test_environment_of_a_branch_shares_everything_but_a_previews_marts(target, account, branch, marts):
    found, own = environment(target, account, branch), environment(target, account)
    assert found.marts_database == marts
    assert found.database_branch == branch
    assert (found.lake_bucket, found.workgroup) == (own.lake_bucket, own.workgroup)
    assert found.landed_database("forecast") == own.landed_database("forecast")


@pytest.mark.parametrize(
    ("target", "branch"),
    [
        ("dev", "main"),
        ("dev", "production"),
        ("dev", "local"),
        ("production", "dev"),
        ("local", "dev"),
        ("local", "main"),
    ],
)
def test_environment_with_another_targets_own_branch_is_refused(target, branch):
    with pytest.raises(SettingsError, match=f"'{branch}' does not belong to target '{target}'"):
        environment(target, "" if target == "local" else "123456789012", branch)


def test_environment_production_has_no_branches():
    with pytest.raises(SettingsError, match="Production has no database branches"):
        environment("production", "123456789012", "preview/pr-1")


@pytest.mark.parametrize("branch", ["a b", "-a", "a;b", "x" * 64, "ä"])
def test_environment_unusable_branch_name_is_refused(branch):
    with pytest.raises(SettingsError, match="cannot be a database branch's name"):
        environment("local", branch=branch)


@pytest.mark.parametrize(
    ("database", "marts"),
    [
        ("analytics_dev", "analytics_dev"),
        ("analytics_dev_pr_12", "analytics_dev_pr_12"),
        ("analytics_dev_raw", "analytics_dev"),
        ("analytics_dev_pr_12_raw", "analytics_dev_pr_12"),
        ("analytics_device", None),
        ("other", None),
    ],
)
def test_marts_of_tells_whose_marts_a_database_holds(database, marts):
    assert marts_of(database) == marts
