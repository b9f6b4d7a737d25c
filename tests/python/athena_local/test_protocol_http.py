"""What is no request of an SDK: every answer has AWS's shape, none is a stack trace, and the server goes on."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

JSON = "application/x-amz-json-1.1"
LIST = "AmazonAthena.ListWorkGroups"
START = "AmazonAthena.StartQueryExecution"
Send = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def send(server: Any) -> Send:
    """`send(body, target, method, content_type)`: the status and the JSON of the answer."""

    def run(
        body: bytes | str = b"{}",
        target: str | None = LIST,
        method: str = "POST",
        content_type: str | None = JSON,
        path: str = "/",
    ) -> tuple[int, dict[str, Any]]:
        headers = {"Content-Type": content_type} if content_type else {}
        if target is not None:
            headers["X-Amz-Target"] = target
        address = urlsplit(server.endpoint)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=120)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
            assert answer.headers["x-amzn-RequestId"]
            return answer.status, json.loads(text) if text else {}
        finally:
            connection.close()

    return run


def test_request_is_answered(send: Send) -> None:
    status, answer = send()
    assert (status, answer["WorkGroups"][0]["EngineVersion"]["SelectedEngineVersion"]) == (200, "AUTO")
    assert send(b'{"MaxResults": null, "Foo": 1}')[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b'{"MaxResults": 1,}',
        b"\xff\xfe\x00",
        b'{"NextToken": NaN}',
        b"[" * 100_000,
        b'{"NextToken": "\\ud800"}',
        b'{"MaxResults": ' + b"9" * 5000 + b"}",
    ],
    ids=["open", "empty", "comma", "bytes", "nan", "deep", "surrogate", "digits"],
)
def test_body_that_is_no_json_is_a_serialization_exception(send: Send, body: bytes) -> None:
    status, answer = send(body)
    assert (status, answer["__type"]) == (400, "SerializationException")
    assert "AthenaErrorCode" not in answer


@pytest.mark.parametrize(
    ("target", "body", "message"),
    [
        (LIST, {"MaxResults": "1"}, "STRING_VALUE can not be converted to an Integer"),
        (LIST, {"MaxResults": True}, "TRUE_VALUE can not be converted to an Integer"),
        (LIST, {"MaxResults": [1]}, "Start of list found where not expected"),
        (LIST, {"MaxResults": {"a": 1}}, "Start of structure or map found where not expected."),
        (LIST, {"NextToken": 1}, "NUMBER_VALUE can not be converted to a String"),
        (LIST, {"MaxResults": "1", "NextToken": ""}, "STRING_VALUE can not be converted to an Integer"),
        (LIST, [], "Start of list found where not expected"),
        (START, {"QueryString": "SELECT", "ExecutionParameters": "x"}, "Expected list or null"),
        (START, {"QueryString": "SELECT", "ExecutionParameters": [1]}, "NUMBER_VALUE can not be converted to a String"),
        (START, {"QueryString": "SELECT", "ResultConfiguration": "x"}, "Expected null"),
    ],
)  # fmt: skip
def test_wrong_type_is_told_as_athena_tells_it(send: Send, target: str, body: Any, message: str) -> None:
    status, answer = send(json.dumps(body), target)
    assert (status, answer) == (400, {"__type": "SerializationException", "Message": message})


NULL_ID = "Value null at 'queryExecutionId' failed to satisfy constraint: Member must not be null"
SHORT_TOKEN = (
    "Value at 'nextToken' failed to satisfy constraint: Member must have length greater than or equal to 1"
)
LOW = "Value at 'maxResults' failed to satisfy constraint: Member must have value greater than or equal to 1"
HIGH = "Value at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 50"
STATE = (
    "Value at 'state' failed to satisfy constraint: Member must satisfy enum value set: [ENABLED, DISABLED]"
)
NAME = "Value at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9._-]{1,128}"


@pytest.mark.parametrize(
    ("target", "body", "message"),
    [
        ("AmazonAthena.GetQueryExecution", {}, f"1 validation error detected: {NULL_ID}"),
        ("AmazonAthena.GetQueryExecution", {"QueryExecutionId": None}, f"1 validation error detected: {NULL_ID}"),
        (LIST, {"MaxResults": 99999999999}, f"1 validation error detected: {HIGH}"),
        (LIST, {"MaxResults": 0, "NextToken": ""}, f"2 validation errors detected: {SHORT_TOKEN}; {LOW}"),
        ("AmazonAthena.UpdateWorkGroup", {"WorkGroup": "primary", "State": "ON"}, f"1 validation error detected: {STATE}"),
        ("AmazonAthena.CreateWorkGroup", {"Name": "no spaces"}, f"1 validation error detected: {NAME}"),
        (LIST, {"NextToken": "rubbish!"}, "The nextPageToken is malformed: rubbish!"),
        (START, {"QueryString": "select 1"}, "clientRequestToken is null or empty"),
    ],
)  # fmt: skip
def test_broken_constraint_is_told_as_athena_tells_it(
    send: Send, target: str, body: Any, message: str
) -> None:
    status, answer = send(json.dumps(body), target)
    assert (status, answer) == (
        400,
        {
            "__type": "InvalidRequestException",
            "AthenaErrorCode": "INVALID_INPUT",
            "ErrorCode": "INVALID_INPUT",
            "Message": message,
        },
    )


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("x" * 31, "Member must have length greater than or equal to 32"),
        ("x" * 129, "Member must have length less than or equal to 128"),
        ("あ" * 50, "clientRequestToken exceeds maximum allowed length 128"),
    ],
)
def test_client_request_token_has_athenas_length(send: Send, token: str, message: str) -> None:
    _, answer = send(json.dumps({"QueryString": "select 1", "ClientRequestToken": token}), START)
    assert answer["Message"].endswith(message)


@pytest.mark.parametrize(
    "target",
    ["AmazonAthena.Nope", "ListWorkGroups", None, "", "amazonathena.listworkgroups", "AWSGlue.StartJobRun"],
)
def test_target_that_is_no_operation_is_named(send: Send, target: str | None) -> None:
    status, answer = send(target=target)
    assert (status, answer["__type"]) == (400, "UnknownOperationException")
    assert (target or "this request") in answer["Message"]


@pytest.mark.parametrize("content_type", [None, "application/json", "application/x-amz-json-1.0", "text/xml"])
def test_other_content_types_are_no_operation(send: Send, content_type: str | None) -> None:
    status, answer = send(content_type=content_type)
    assert (status, answer["__type"]) == (404, "UnknownOperationException")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_other_methods_are_no_operation(send: Send, method: str) -> None:
    status, answer = send(method=method)
    assert status == 404
    assert method == "HEAD" or answer["__type"] == "UnknownOperationException"


def test_rest_path_that_is_not_lakeformations_is_no_operation(send: Send) -> None:
    status, answer = send(target=None, path="/2018-06-01/functions")
    assert (status, answer["__type"]) == (400, "UnknownOperationException")


def test_body_above_the_limit_is_refused(send: Send) -> None:
    status, answer = send(b" " * (33 * 1024**2))
    assert (status, answer["__type"]) == (413, "RequestEntityTooLargeException")
    assert send()[0] == 200


@pytest.mark.parametrize(
    "text",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Big: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nshort",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["headers", "length", "truncated", "tls"],
)
def test_what_is_no_http_does_not_stop_the_server(server: Any, send: Send, text: bytes) -> None:
    address = urlsplit(server.endpoint)
    with socket.create_connection((str(address.hostname), address.port), timeout=5) as connection:
        try:
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(4096)
        except OSError:
            pass  # closed, or not read to its end
    assert send()[0] == 200
