"""One Glue GetTable by the standard library alone: what a sync with nothing to do asks of the lake.

Importing boto3 and reading its model of Glue takes a quarter of a second, more than all else that such a sync does. Where
address and keys are plain to see, the one request is signed (Signature Version 4) and sent from here: those that the
connections hold, and those that a Lambda or a Batch job finds in its environment. Everything else is boto3's: profiles,
roles and other credentials that only it finds, proxies, FIPS and other partitions' endpoints, retries, and each answer but
a plain success.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import http.client
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from penstock.connections import Connections

# Longer than any answer of a catalog that is well; after it boto3 asks again, with its own patience.
ANSWER_SECONDS = 10

# Whose say in how AWS is reached boto3 minds and this module does not; proxies' names are written in either case.
_BOTO3S = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"),
    *("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"),
)
_COMMERCIAL = re.compile(r"(us|eu|ap|sa|ca|me|af|il|mx)-(?!gov|iso)[a-z]+-[0-9]")


class Glue:
    """A Glue client of boto3's as far as a sync needs one: `get_table`, and `exceptions` for what it raises."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    @functools.cached_property
    def _client(self) -> Any:
        return self._connections.client("glue")

    @property
    def exceptions(self) -> Any:
        return self._client.exceptions

    def get_table(self, **question: str) -> dict[str, Any]:
        """Return Glue's answer about a table, asked for by DatabaseName and Name."""
        found = _asked_directly(self._connections, question)
        if found is not None:
            return found
        answer: dict[str, Any] = self._client.get_table(**question)
        return answer


@dataclass(frozen=True)
class Keys:
    """Static credentials; a session token comes with those of a role."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


def _asked_directly(connections: Connections, question: dict[str, str]) -> dict[str, Any] | None:
    """Return the answer; None where boto3 has to ask."""
    endpoint, keys = plain_address(connections, os.environ)
    address = urlsplit(endpoint)
    if keys is None or not address.hostname:
        return None
    body = json.dumps(question).encode()
    headers = signed(
        {"Host": address.netloc, "X-Amz-Target": "AWSGlue.GetTable"},
        body,
        keys,
        connections.region,
        datetime.now(UTC),
    )
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.hostname, address.port, timeout=ANSWER_SECONDS)
    try:
        connection.request("POST", "/", body, headers)
        response = connection.getresponse()
        answer = response.read()
        if response.status != http.HTTPStatus.OK:
            return None
        found: dict[str, Any] = json.loads(answer)
        return found if "Table" in found else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def plain_address(connections: Connections, environ: Mapping[str, str]) -> tuple[str, Keys | None]:
    """Return Glue's address and the keys to it, where nothing has a say in them that only boto3 knows; else no keys."""
    endpoint = connections.endpoint_urls.get("glue", connections.default_endpoint_url)
    if connections.access_key:
        return endpoint, Keys(connections.access_key, connections.secret_key)
    access_key, secret_key = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    config = Path(environ.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()
    if not access_key or not secret_key or config.exists():
        return endpoint, None
    if any(environ.get(name) or environ.get(name.lower()) for name in _BOTO3S):
        return endpoint, None
    endpoint = endpoint or environ.get("AWS_ENDPOINT_URL_GLUE") or environ.get("AWS_ENDPOINT_URL") or ""
    if not endpoint and _COMMERCIAL.fullmatch(connections.region):
        endpoint = f"https://glue.{connections.region}.amazonaws.com"
    return endpoint, Keys(access_key, secret_key, environ.get("AWS_SESSION_TOKEN", ""))


def signed(headers: dict[str, str], body: bytes, keys: Keys, region: str, now: datetime) -> dict[str, str]:
    """Return the headers of a POST to / of Glue with the signature of these keys."""
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{region}/glue/aws4_request"
    sent = {**headers, "Content-Type": "application/x-amz-json-1.1", "X-Amz-Date": stamp}
    if keys.session_token:
        sent["X-Amz-Security-Token"] = keys.session_token
    canonical = sorted((name.lower(), value) for name, value in sent.items())
    names = ";".join(name for name, _ in canonical)
    lines = ["POST", "/", "", *(f"{name}:{value}" for name, value in canonical), "", names]
    request = "\n".join([*lines, hashlib.sha256(body).hexdigest()])
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{keys.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    credential = f"Credential={keys.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**sent, "Authorization": f"AWS4-HMAC-SHA256 {credential}"}
