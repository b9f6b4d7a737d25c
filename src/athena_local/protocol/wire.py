"""What all services share: operations by name, errors as AWS shapes them, and paging that survives deletions."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Record = dict[str, Any]
Operation = Callable[[Record], Record]


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


def required(request: Record, name: str) -> Any:
    value = request.get(name)
    if value is None:
        raise ServiceError(
            "ValidationException",
            f"1 validation error detected: Value null at '{name[0].lower()}{name[1:]}' failed to satisfy"
            " constraint: Member must not be null",
        )
    return value


def page(
    items: Sequence[Any],
    request: Record,
    *,
    key: Callable[[Any], str],
    limit: int,
    error: str,
    maximum: int | None = None,
) -> tuple[list[Any], Record]:
    """Return one page of `items`, which ascend by `key`, and {"NextToken": …} when more follow.

    The token names the last key answered, so that what is created or deleted between two pages shifts nothing.
    `limit` is the page size without MaxResults; `error` the service's code for a wrong token or size.
    """
    size = request.get("MaxResults") or limit
    if not 1 <= size <= (maximum or limit):
        raise ServiceError(error, f"MaxResults must be between 1 and {maximum or limit}, not {size}.")
    token = request.get("NextToken")
    after = decode_token(token, error) if token else None
    rest = [item for item in items if after is None or key(item) > after]
    chosen = rest[:size]
    return chosen, {"NextToken": encode_token(key(chosen[-1]))} if len(rest) > size else {}


def encode_token(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def decode_token(token: str, error: str) -> Any:
    try:
        return json.loads(base64.urlsafe_b64decode(token.encode()))
    except ValueError as cause:
        raise ServiceError(error, "NextToken is not one that this service gave.") from cause


def without(record: Record, names: Iterable[str]) -> Record:
    return {name: value for name, value in record.items() if name not in set(names)}
