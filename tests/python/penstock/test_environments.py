"""The table of names: every target's buckets, databases and dbt targets."""

import pytest

from penstock.environments import environment
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
