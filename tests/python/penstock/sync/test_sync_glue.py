"""The one look at the catalog that does without boto3: signed alike, and handed over wherever it is not plain."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from penstock.connections import Connections
from penstock.environments import environment
from penstock.sync.glue import Glue, signed

CONNECTIONS = Connections(environment("local"), "eu-west-1", access_key="AKIDEXAMPLE", secret_key="secret/+=")


@contextmanager
def answering(status: int, body: bytes) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A catalog that gives one answer to all; yields its address and the headers it was sent."""
    seen: list[dict[str, str]] = []

    class Catalog(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(dict(self.headers))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Catalog)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_signature_is_botocores_own(monkeypatch):
    now, body = datetime(2026, 11, 21, 7, 8, 9, tzinfo=UTC), b'{"Name": "t"}'
    headers = {"Host": "glue.eu-west-1.amazonaws.com", "X-Amz-Target": "AWSGlue.GetTable"}
    ours = signed(headers, body, ("AKIDEXAMPLE", "secret/+="), "eu-west-1", now)
    request = AWSRequest(
        "POST",
        "https://glue.eu-west-1.amazonaws.com/",
        data=body,
        headers={name: ours[name] for name in ("X-Amz-Target", "Content-Type")},
    )
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: now.replace(tzinfo=None))
    SigV4Auth(Credentials("AKIDEXAMPLE", "secret/+="), "glue", "eu-west-1").add_auth(request)
    assert ours["X-Amz-Date"] == request.headers["X-Amz-Date"]
    assert ours["Authorization"] == request.headers["Authorization"]


def test_a_plain_answer_needs_no_client_of_boto3s(monkeypatch):
    monkeypatch.setattr(Connections, "client", lambda *_: pytest.fail("boto3 was asked"))
    with answering(200, b'{"Table": {"Name": "t", "Parameters": {"a": "b"}}}') as (address, seen):
        glue = Glue(replace(CONNECTIONS, endpoint_urls={"glue": address}))
        found = glue.get_table(DatabaseName="d", Name="t")
    assert found == {"Table": {"Name": "t", "Parameters": {"a": "b"}}}
    assert seen[0]["X-Amz-Target"] == "AWSGlue.GetTable"


@pytest.mark.parametrize(
    ("status", "body"), [(500, b"{}"), (200, b"<html>"), (200, b"{}"), (400, b'{"__type": "Throttling"}')]
)
def test_any_other_answer_is_left_to_boto3(monkeypatch, status, body):
    asked = []

    class Client:
        def get_table(self, **question: str) -> str:
            asked.append(question)
            return "by boto3"

    monkeypatch.setattr(Connections, "client", lambda *_: Client())
    with answering(status, body) as (address, _):
        glue = Glue(replace(CONNECTIONS, endpoint_urls={"glue": address}))
        assert glue.get_table(DatabaseName="d", Name="t") == "by boto3"
    assert asked == [{"DatabaseName": "d", "Name": "t"}]


@pytest.mark.parametrize(
    "connections",
    [
        replace(CONNECTIONS, access_key="", endpoint_urls={"glue": "http://127.0.0.1:9"}),
        CONNECTIONS,
        replace(CONNECTIONS, endpoint_urls={"glue": "http://127.0.0.1:9"}),
    ],
    ids=["keys that boto3 finds", "an endpoint that boto3 finds", "nobody answers"],
)
def test_what_is_not_given_or_not_there_is_left_to_boto3(monkeypatch, connections):
    class AskedError(Exception): ...

    def client(*_: object) -> None:
        raise AskedError

    monkeypatch.setattr(Connections, "client", client)
    with pytest.raises(AskedError):
        Glue(connections).get_table(DatabaseName="d", Name="t")


@pytest.mark.stack
def test_answers_are_those_of_boto3(lake, database, forecast):
    ours, theirs = Glue(lake), lake.client("glue")
    answer = ours.get_table(DatabaseName=database, Name="fct_forecast")
    assert (
        answer["Table"]["Parameters"]
        == (theirs.get_table(DatabaseName=database, Name="fct_forecast")["Table"]["Parameters"])
    )
    with pytest.raises(ours.exceptions.EntityNotFoundException):
        ours.get_table(DatabaseName=database, Name="no_such_table")
