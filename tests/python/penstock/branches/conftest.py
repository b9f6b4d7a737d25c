"""A fake Neon a test, and a client that does not really wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from fake_neon import PROJECT, FakeNeon, NeonServer

from penstock.branches.neon import NeonClient, Patience
from penstock.branches.neon_branches import NeonBranches
from penstock.credentials import Secret, plain

KEY = "napi_sEcrEt0Key4711"


@dataclass
class Clock:
    """Time that passes only by sleeping. `slept` holds the seconds."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture(scope="session")
def neon_server() -> Iterator[NeonServer]:
    server = NeonServer()
    yield server
    server.stop()


@pytest.fixture
def neon(neon_server: NeonServer) -> FakeNeon:
    return neon_server.serve(FakeNeon({KEY}))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> list[str]:
    """What the client reported."""
    return []


MakeClient = Callable[..., NeonClient]


@pytest.fixture
def make_client(neon: FakeNeon, clock: Clock, told: list[str]) -> Iterator[MakeClient]:
    clients = []

    def make(key: Secret | None = None, patience: Patience | None = None) -> NeonClient:
        client = NeonClient(
            PROJECT, key or plain(KEY), neon.url,
            patience=patience, report=told.append, sleep=clock.sleep, clock=clock,
        )  # fmt: skip
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(make_client: MakeClient) -> NeonClient:
    return make_client()


@pytest.fixture
def branches(make_client: MakeClient, told: list[str]) -> NeonBranches:
    return NeonBranches(make_client, "dev", "dev", report=told.append)


@pytest.fixture
def key() -> str:
    return KEY
