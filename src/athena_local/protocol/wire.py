"""What all services share: operations by name, bodies, errors as AWS shapes them, and paging that survives deletions."""

from __future__ import annotations

import base64
import bisect
import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Record = dict[str, Any]
Operation = Callable[[Record], Record]

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")  # half a character, when it stands alone: UTF-8 cannot hold it


class ServiceError(Exception):
    """An error answer. `code` is the exception that an SDK raises, such as InvalidRequestException."""

    def __init__(self, code: str, message: str, status: int = 400, **fields: Any) -> None:
        self.code = code
        self.status = status
        self.fields = fields
        super().__init__(message)


def operation(name: str) -> Callable[[Callable[..., Record]], Callable[..., Record]]:
    """Mark a method as the implementation of an AWS operation."""

    def mark(method: Callable[..., Record]) -> Callable[..., Record]:
        method.operation = name  # type: ignore[attr-defined]
        return method

    return mark


def operations_of(*services: object) -> dict[str, Operation]:
    found: dict[str, Operation] = {}
    for service in services:
        for attribute in dir(type(service)):
            method = getattr(service, attribute)
            if hasattr(method, "operation"):
                found[method.operation] = method
    return found


def parse_body(body: bytes) -> Any:
    """Return a request's JSON. Raises ServiceError for what is none, or holds what no service could store."""
    try:
        parsed = json.loads(body, parse_constant=_refuse_constant)
        if _SURROGATE.search(body):
            json.dumps(parsed, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as cause:
        raise ServiceError("SerializationException", f"The body is not JSON: {cause}") from cause
    return parsed


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def page(
    items: Sequence[Any],
    request: Record,
    *,
    key: Callable[[Any], str],
    limit: int,
    malformed: Callable[[str], ServiceError],
) -> tuple[list[Any], Record]:
    """Return one page of `items`, which ascend by `key`, and {"NextToken": …} when more follow.

    The token names the last key answered, so that what is created or deleted between two pages shifts nothing.
    `limit` is the page size without MaxResults; `malformed` makes the service's error for a token that is not its own.
    """
    size = request.get("MaxResults") or limit
    token = request.get("NextToken")
    if token:
        after = str(decode_token(token, malformed))
        items = items[bisect.bisect_right(items, after, key=key) :]
    chosen = list(items[:size])
    return chosen, {"NextToken": encode_token(key(chosen[-1]))} if len(items) > size else {}


def encode_token(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def decode_token(token: str, malformed: Callable[[str], ServiceError]) -> Any:
    try:
        return json.loads(base64.b64decode(token.encode(), altchars=b"-_", validate=True))
    except ValueError as cause:
        raise malformed(token) from cause


def without(record: Record, names: Iterable[str]) -> Record:
    return {name: value for name, value in record.items() if name not in set(names)}
