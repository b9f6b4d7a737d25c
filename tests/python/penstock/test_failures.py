"""Failures of the world around, at a task's edge: each with a next step, defects with their stack trace."""

from __future__ import annotations

import errno

import psycopg
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ProfileNotFound

from penstock.errors import LakeError, PenstockError, StackError, SyncError
from penstock.failures import explained


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "GetWorkGroup")


@pytest.mark.parametrize(
    ("error", "kind", "hint"),
    [
        (NoCredentialsError(), LakeError, "AWS_PROFILE"),
        (ProfileNotFound(profile="nobody"), LakeError, "AWS_PROFILE"),
        (refused("ExpiredTokenException"), LakeError, "AWS_PROFILE"),
        (refused("AccessDeniedException"), LakeError, "docs/aws.md lists the permissions"),
        (refused("InternalServerException"), LakeError, "can be run again"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), LakeError, "invoke status"),
        (psycopg.OperationalError("connection\nrefused"), SyncError, "DATABASE_URL"),
        (OSError(errno.ENOSPC, "No space left on device", "some/file"), StackError, "Make room"),
        (OSError(errno.ENOSPC, "[Errno 28] Error writing bytes"), StackError, "Make room"),
        (PermissionError(errno.EACCES, "Permission denied", "some/file"), StackError, "yours"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_explained_failure_has_a_next_step(error: Exception, kind: type[PenstockError], hint: str) -> None:
    told = explained(error)

    assert type(told) is kind
    assert hint in told.hint
    assert "\n" not in told.message


def test_explained_own_error_is_itself() -> None:
    own = SyncError("what", hint="next")

    assert explained(own) is own


@pytest.mark.parametrize("defect", [ValueError("x"), KeyError("x"), OSError("no file named")])
def test_explained_defect_is_none(defect: Exception) -> None:
    assert explained(defect) is None
