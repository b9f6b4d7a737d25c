"""Buckets: made right, put right, and never weakened."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from penstock.connections import Connections
from penstock.environments import Environment
from penstock.errors import PenstockError
from penstock.lake import lifecycle
from penstock.lake.buckets import ensure_buckets
from penstock.sources import declared

pytestmark = pytest.mark.stack


@pytest.fixture
def connections(stack_without_athena: Connections, request: pytest.FixtureRequest) -> Connections:
    """The session's S3 with bucket names of the test's own."""
    account = f"{abs(hash(request.node.name)) % 10**12:012d}"
    return replace(stack_without_athena, environment=Environment("dev", account))


def lake_rules() -> list[str]:
    """The IDs of the lake bucket's rules: one a landed table, and the one over all."""
    tables = sorted(table.qualified for source in declared().values() for table in source.tables)
    return [*(f"penstock-archive-{table}" for table in tables), "penstock-former-versions"]


def rules_of(connections: Connections, bucket: str) -> dict[str, dict[str, Any]]:
    found = connections.client("s3").get_bucket_lifecycle_configuration(Bucket=bucket)
    return {rule["ID"]: rule for rule in found["Rules"]}


def test_ensure_buckets_absent_are_made_and_then_left_alone(connections: Connections) -> None:
    lake, results = connections.environment.lake_bucket, connections.environment.results_bucket

    assert ensure_buckets(connections) == [
        line
        for bucket, rules in ((lake, lake_rules()), (results, ["penstock-former-versions"]))
        for line in (
            f"{bucket}: created in us-east-2",
            f"{bucket}: versioning enabled",
            f"{bucket}: public access blocked",
            *(f"{bucket}: lifecycle rule {rule} added" for rule in rules),
        )
    ]
    rules = connections.client("s3").get_bucket_encryption(Bucket=lake)["ServerSideEncryptionConfiguration"][
        "Rules"
    ]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert ensure_buckets(connections) == []


def test_ensure_buckets_altered_setting_is_put_right(connections: Connections) -> None:
    ensure_buckets(connections)
    lake = connections.environment.lake_bucket
    s3 = connections.client("s3")
    s3.put_object(Bucket=lake, Key="kept", Body=b"x")
    s3.put_bucket_versioning(Bucket=lake, VersioningConfiguration={"Status": "Suspended"})
    s3.put_public_access_block(Bucket=lake, PublicAccessBlockConfiguration={"BlockPublicAcls": True})

    assert ensure_buckets(connections) == [f"{lake}: versioning enabled", f"{lake}: public access blocked"]
    assert s3.get_object(Bucket=lake, Key="kept")["Body"].read() == b"x"


def test_ensure_buckets_kms_encryption_is_kept(connections: Connections) -> None:
    ensure_buckets(connections)
    lake = connections.environment.lake_bucket
    s3 = connections.client("s3")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/lake"}}
    s3.put_bucket_encryption(Bucket=lake, ServerSideEncryptionConfiguration={"Rules": [rule]})

    assert ensure_buckets(connections) == []
    kept = s3.get_bucket_encryption(Bucket=lake)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert kept["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"


def test_ensure_buckets_refused_names_bucket_and_call(connections: Connections) -> None:
    invalid = replace(connections, environment=Environment("dev", "Not_A_Name"))

    with pytest.raises(PenstockError, match="Bucket penstock-lake-dev-Not_A_Name cannot be set up"):
        ensure_buckets(invalid)


def test_ensure_buckets_archives_landed_files_and_nothing_else(connections: Connections) -> None:
    """Two years after they landed, to GLACIER; a mart's files or metadata lie under no rule that moves or ends them."""
    ensure_buckets(connections)
    environment = connections.environment

    rules = rules_of(connections, environment.lake_bucket)
    moving = {
        rule["Filter"]["Prefix"]: rule["Transitions"] for rule in rules.values() if "Transitions" in rule
    }
    assert set(moving) == {table.prefix for source in declared().values() for table in source.tables}
    assert {"forecast_data/", "pricing_intelligence/sales/"} <= set(moving)
    assert all(step == [{"Days": 730, "StorageClass": "GLACIER"}] for step in moving.values())
    assert not any("marts/".startswith(prefix) or prefix.startswith("marts/") for prefix in moving)
    assert not any("Days" in rule.get("Expiration", {}) for rule in rules.values())
    over_all = rules["penstock-former-versions"]
    assert over_all["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}
    assert over_all["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert not any(
        "Transitions" in rule for rule in rules_of(connections, environment.results_bucket).values()
    )


def test_ensure_buckets_rules_by_another_hand_are_kept(connections: Connections) -> None:
    """A rule of somebody else's, and one of ours that somebody lengthened and switched off; only what is gone comes back."""
    ensure_buckets(connections)
    lake = connections.environment.lake_bucket
    s3 = connections.client("s3")
    theirs = {
        "ID": "keep exports for ten years",
        "Status": "Enabled",
        "Filter": {"And": {"Prefix": "exports/", "Tags": [{"Key": "kind", "Value": "export"}]}},
        "Expiration": {"Days": 3650},
    }
    edited = rules_of(connections, lake)["penstock-archive-forecast.forecast"] | {
        "Status": "Disabled",
        "Transitions": [{"Days": 3000, "StorageClass": "DEEP_ARCHIVE"}],
    }
    s3.put_bucket_lifecycle_configuration(Bucket=lake, LifecycleConfiguration={"Rules": [theirs, edited]})

    absent = [rule for rule in lake_rules() if rule != "penstock-archive-forecast.forecast"]
    assert ensure_buckets(connections) == [f"{lake}: lifecycle rule {rule} added" for rule in absent]

    rules = rules_of(connections, lake)
    assert set(rules) == {theirs["ID"], *lake_rules()}
    assert rules["penstock-archive-forecast.forecast"] == edited
    kept = rules["keep exports for ten years"]
    assert kept["Expiration"] == {"Days": 3650}
    assert kept["Filter"]["And"]["Prefix"] == "exports/"
    assert kept["Filter"]["And"]["Tags"] == [{"Key": "kind", "Value": "export"}]
    assert ensure_buckets(connections) == []


def test_lifecycle_rule_of_the_older_form_is_put_beside_ours_in_the_newer() -> None:
    old = {"ID": "theirs", "Prefix": "logs/", "Status": "Enabled", "Expiration": {"Days": 30}}
    wanted = lifecycle.rules({"forecast": "forecast_data/"})

    sent = lifecycle.merged([old], lifecycle.missing([old], wanted))

    assert sent[0] == {
        "ID": "theirs",
        "Filter": {"Prefix": "logs/"},
        "Status": "Enabled",
        "Expiration": {"Days": 30},
    }
    assert sent[1:] == wanted


@pytest.mark.parametrize("prefix", ["", "forecast_data", "marts/", "marts/analytics_local/", "/"])
def test_lifecycle_prefix_that_takes_in_marts_or_everything_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="no prefix of landed files"):
        lifecycle.rules({"forecast": prefix})
