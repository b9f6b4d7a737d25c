"""The one look at the catalog that does without boto3: signed alike, and handed over wherever it is not plain."""

import http.server
import os
import pickle
import subprocess
import sys
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
from penstock.sync.glue import Glue, Keys, plain_address, signed
from penstock.sync.run import sync

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


@pytest.fixture(autouse=True)
def _no_aws(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.upper().startswith("AWS_") or name.upper().endswith("_PROXY") or name.endswith("CA_BUNDLE"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no config"))


def by_botocore(sent: dict[str, str], body: bytes, keys: Keys, region: str, url: str) -> str:
    """The Authorization header that botocore makes of the same request at the same moment."""
    names = ("X-Amz-Target", "Content-Type")
    request = AWSRequest("POST", url, data=body, headers={name: sent[name] for name in names})
    moment = datetime.strptime(sent["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.auth.get_current_datetime", lambda: moment)
        credentials = Credentials(keys.access_key, keys.secret_key, keys.session_token or None)
        SigV4Auth(credentials, "glue", region).add_auth(request)
    return str(request.headers["Authorization"])


@pytest.mark.parametrize("token", ["", "a/session+token=="])
def test_signature_is_botocores_own(token):
    now, body = datetime(2026, 11, 21, 7, 8, 9, tzinfo=UTC), b'{"Name": "t"}'
    headers = {"Host": "glue.eu-west-1.amazonaws.com", "X-Amz-Target": "AWSGlue.GetTable"}
    keys = Keys("AKIDEXAMPLE", "secret/+=", token)
    ours = signed(headers, body, keys, "eu-west-1", now)
    url = "https://glue.eu-west-1.amazonaws.com/"
    assert ours["Authorization"] == by_botocore(ours, body, keys, "eu-west-1", url)
    assert ours.get("X-Amz-Security-Token", "") == token


def test_keys_of_the_environment_are_used_as_a_lambda_has_them(monkeypatch):
    monkeypatch.setattr(Connections, "client", lambda *_: pytest.fail("boto3 was asked"))
    keys = Keys("ASIAEXAMPLE", "secret", "a token")
    for name, value in (
        ("AWS_ACCESS_KEY_ID", keys.access_key),
        ("AWS_SECRET_ACCESS_KEY", keys.secret_key),
        ("AWS_SESSION_TOKEN", keys.session_token),
    ):
        monkeypatch.setenv(name, value)
    with answering(200, b'{"Table": {"Name": "t"}}') as (address, seen):
        monkeypatch.setenv("AWS_ENDPOINT_URL_GLUE", address)
        found = Glue(Connections(environment("local"), "eu-west-1")).get_table(DatabaseName="d", Name="t")
    assert found == {"Table": {"Name": "t"}}
    body = b'{"DatabaseName": "d", "Name": "t"}'
    assert seen[0]["Authorization"] == by_botocore(seen[0], body, keys, "eu-west-1", f"{address}/")
    assert seen[0]["X-Amz-Security-Token"] == "a token"


AWS = Connections(environment("local"), "us-east-2")
ROLE = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S", "AWS_CONFIG_FILE": "/nowhere/at/all"}


@pytest.mark.parametrize(
    ("region", "endpoint"),
    [
        ("us-east-2", "https://glue.us-east-2.amazonaws.com"),
        ("ap-southeast-4", "https://glue.ap-southeast-4.amazonaws.com"),
        ("cn-north-1", ""),
        ("us-gov-west-1", ""),
        ("us-iso-east-1", ""),
    ],
)
def test_endpoint_is_known_in_aws_own_partition_only(region, endpoint):
    found = plain_address(replace(AWS, region=region), ROLE)
    assert found == (endpoint, Keys("A", "S"))


@pytest.mark.parametrize(
    "more",
    [
        {"https_proxy": "http://proxy:3128"},
        {"AWS_CA_BUNDLE": "/ca.pem"},
        {"AWS_USE_FIPS_ENDPOINT": "true"},
        {"AWS_SECRET_ACCESS_KEY": ""},
        {"AWS_CONFIG_FILE": __file__},
    ],
)
def test_what_only_boto3_knows_is_left_to_it(more):
    assert plain_address(AWS, ROLE | more)[1] is None


def test_keys_are_in_no_repr():
    assert "hunter2" not in repr(Keys("A", "hunter2", "hunter2"))


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


AGAIN = """
import pickle, sys
from penstock.sync.run import sync
connections, declared = pickle.load(sys.stdin.buffer)
(report,) = sync(connections, [declared])
heavy = {"boto3", "botocore", "duckdb", "fastavro", "httpx", "numpy", "pandas", "pyarrow", "pydantic", "pyiceberg", "rich"}
print(report.mode, report.requests, sorted(heavy & sys.modules.keys()))
"""


@pytest.mark.stack
def test_sync_with_nothing_to_do_reads_no_file_and_imports_nothing_heavy(lake, forecast, declared):
    forecast.commit()
    sync(lake, [declared])
    done = subprocess.run(
        [sys.executable, "-c", AGAIN], input=pickle.dumps((lake, declared)), capture_output=True, timeout=120
    )
    assert (done.stdout.decode().strip(), done.stderr) == ("nothing [] []", b"")
