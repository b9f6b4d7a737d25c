"""How Athena words what it refuses: InvalidRequestException with an AthenaErrorCode, told twice in the body as on AWS."""

from __future__ import annotations

import uuid

from athena_local.protocol.model import Rules
from athena_local.protocol.wire import ServiceError

INVALID = "InvalidRequestException"
METADATA = "MetadataException"
INVALID_INPUT = "INVALID_INPUT"
MAX_LISTED = 50  # entries of one page of any list


def invalid(message: str, code: str = INVALID_INPUT) -> ServiceError:
    return ServiceError(INVALID, message, AthenaErrorCode=code, ErrorCode=code)


def malformed_token(token: str) -> ServiceError:
    return invalid(f"The nextPageToken is malformed: {token}")


def from_glue(message: str) -> str:
    """Return what Athena says when Glue, which it asks for metadata, does not have the thing."""
    return (
        f"{message} (Service: AmazonDataCatalog; Status Code: 400; Error Code: EntityNotFoundException;"
        f" Request ID: {uuid.uuid4()}; Proxy: null)"
    )


RULES = Rules(
    INVALID,
    shows_values=False,
    # the page size has its own message, after the query was found
    limits={("GetQueryResults", "MaxResults"): {"min": 1, "max": 100_000}},
    fields={"AthenaErrorCode": INVALID_INPUT, "ErrorCode": INVALID_INPUT},
)
