"""The two buckets of an environment, as they must be: versioned, closed to the public, encrypted, with a lifecycle.

Works the same on AWS and locally. Only what differs is changed, so it may run at any time; it never weakens what it finds
(a bucket encrypted with a KMS key keeps it, a lifecycle rule that is there stays as it is), and never touches an object.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from penstock.connections import Connections
from penstock.errors import PenstockError
from penstock.lake import lifecycle
from penstock.sources import declared

PUBLIC_ACCESS_BLOCK = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
ENCRYPTION = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
ABSENT = {
    "404",
    "NoSuchBucket",
    "NoSuchLifecycleConfiguration",
    "NoSuchPublicAccessBlockConfiguration",
    "ServerSideEncryptionConfigurationNotFoundError",
}


def ensure_buckets(connections: Connections) -> list[str]:
    """Create the lake and results buckets or put their settings right; return what was changed, a line each.

    Raises: PenstockError if a bucket's name is taken by another account or a call is refused.
    """
    s3 = connections.client("s3")
    environment = connections.environment
    landed = {table.qualified: table.prefix for source in declared().values() for table in source.tables}
    changes = []
    for bucket, archived in ((environment.lake_bucket, landed), (environment.results_bucket, {})):
        try:
            changes += _ensure_bucket(s3, bucket, connections.region)
            changes += _ensure_lifecycle(s3, bucket, lifecycle.rules(archived))
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            raise PenstockError(
                f"Bucket {bucket} cannot be set up: {error.operation_name} was refused with {code}.",
                hint="The name may be another account's (PENSTOCK_AWS_ACCOUNT), or the role lacks the permission.",
            ) from error
    return changes


def _ensure_bucket(s3: Any, bucket: str, region: str) -> list[str]:
    changes = []
    if _read(s3.head_bucket, Bucket=bucket) is None:
        # us-east-1 is S3's unnamed region: it refuses to be named
        location = (
            {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        )
        s3.create_bucket(Bucket=bucket, **location)
        changes.append(f"{bucket}: created in {region}")
    if (_read(s3.get_bucket_versioning, Bucket=bucket) or {}).get("Status") != "Enabled":
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        changes.append(f"{bucket}: versioning enabled")
    block = _read(s3.get_public_access_block, Bucket=bucket) or {}
    if block.get("PublicAccessBlockConfiguration") != PUBLIC_ACCESS_BLOCK:
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=PUBLIC_ACCESS_BLOCK)
        changes.append(f"{bucket}: public access blocked")
    if _read(s3.get_bucket_encryption, Bucket=bucket) is None:
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=ENCRYPTION)
        changes.append(f"{bucket}: default encryption SSE-S3")
    return changes


def _ensure_lifecycle(s3: Any, bucket: str, wanted: list[lifecycle.Rule]) -> list[str]:
    """Add the rules whose ID is not there; S3 takes and gives a bucket's rules only all at once."""
    found = (_read(s3.get_bucket_lifecycle_configuration, Bucket=bucket) or {}).get("Rules", [])
    added = lifecycle.missing(found, wanted)
    if not added:
        return []
    s3.put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration={"Rules": lifecycle.merged(found, added)}
    )
    return [f"{bucket}: lifecycle rule {rule['ID']} added" for rule in added]


def _read(call: Any, **arguments: str) -> dict[str, Any] | None:
    """Return an answer of S3, None when the thing asked for is not there."""
    try:
        answer: dict[str, Any] = call(**arguments)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in ABSENT:
            return None
        raise
    return answer
