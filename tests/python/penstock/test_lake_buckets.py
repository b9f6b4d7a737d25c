"""Buckets: made right, put right, and never weakened."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.connections import Connections
from penstock.environments import Environment
from penstock.errors import PenstockError
from penstock.lake.buckets import ensure_buckets

pytestmark = pytest.mark.stack


@pytest.fixture
def connections(stack_without_athena: Connections, request: pytest.FixtureRequest) -> Connections:
    """The session's S3 with bucket names of the test's own."""
    account = f"{abs(hash(request.node.name)) % 10**12:012d}"
    return replace(stack_without_athena, environment=Environment("dev", account))


def test_ensure_buckets_absent_are_made_and_then_left_alone(connections: Connections) -> None:
    lake, results = connections.environment.lake_bucket, connections.environment.results_bucket

    assert ensure_buckets(connections) == [
        line
        for bucket in (lake, results)
        for line in (
            f"{bucket}: created in us-east-2",
            f"{bucket}: versioning enabled",
            f"{bucket}: public access blocked",
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
