"""boto3 clients made once for many syncs: making one costs more than a sync of a few rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from penstock.connections import Connections


@contextmanager
def reused_clients() -> Iterator[None]:
    """Within, `Connections.client` returns one client for each service, endpoint and key."""
    made: dict[tuple[str, ...], Any] = {}
    make = Connections.client

    def client(self: Connections, service: str) -> Any:
        endpoint = self.endpoint_urls.get(service, self.default_endpoint_url)
        which = (service, endpoint, self.region, self.access_key, self.secret_key)
        if which not in made:
            made[which] = make(self, service)
        return made[which]

    Connections.client = client  # type: ignore[method-assign]
    try:
        yield
    finally:
        Connections.client = make  # type: ignore[method-assign]
        for item in made.values():
            item.close()
