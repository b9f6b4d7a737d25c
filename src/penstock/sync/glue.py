"""One Glue GetTable by the standard library alone: what a sync with nothing to do asks of the lake.

Importing boto3 and reading its model of Glue takes a quarter of a second, more than all else that such a sync does. Where
the connections hold the address and the keys themselves, the one request is signed (Signature Version 4) and sent from
here. Everything else is boto3's: credentials and endpoints that only it finds, proxies, retries, and each answer but a plain
success.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import http.client
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from penstock.connections import Connections

# Longer than any answer of a catalog that is well; after it boto3 asks again, with its own patience.
ANSWER_SECONDS = 10


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


def _asked_directly(connections: Connections, question: dict[str, str]) -> dict[str, Any] | None:
    """Return the answer; None where boto3 has to ask."""
    endpoint = connections.endpoint_urls.get("glue", connections.default_endpoint_url)
    address = urlsplit(endpoint)
    if not connections.access_key or address.scheme != "http" or not address.hostname:
        return None
    body = json.dumps(question).encode()
    headers = signed(
        {"Host": address.netloc, "X-Amz-Target": "AWSGlue.GetTable"},
        body,
        (connections.access_key, connections.secret_key),
        connections.region,
        datetime.now(UTC),
    )
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=ANSWER_SECONDS)
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


def signed(
    headers: dict[str, str], body: bytes, keys: tuple[str, str], region: str, now: datetime
) -> dict[str, str]:
    """Return the headers of a POST to / of Glue with the signature of these keys (access key, secret key)."""
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{region}/glue/aws4_request"
    sent = {**headers, "Content-Type": "application/x-amz-json-1.1", "X-Amz-Date": stamp}
    canonical = sorted((name.lower(), value) for name, value in sent.items())
    names = ";".join(name for name, _ in canonical)
    lines = ["POST", "/", "", *(f"{name}:{value}" for name, value in canonical), "", names]
    request = "\n".join([*lines, hashlib.sha256(body).hexdigest()])
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{keys[1]}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    credential = f"Credential={keys[0]}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**sent, "Authorization": f"AWS4-HMAC-SHA256 {credential}"}
