"""Objects read through a proxy that damages answers: what arrives is what is stored, or an error names the object."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sync_proxies import Damage, S3Proxy

from penstock.connections import Connections
from penstock.errors import SyncError
from penstock.sync import objects

pytestmark = pytest.mark.stack

BUCKET = "penstock-sync-tests"
CONTENT = bytes(i * 7 % 251 for i in range(300_000))


@pytest.fixture
def proxy(lake_server: Connections) -> Iterator[S3Proxy]:
    with S3Proxy(lake_server.endpoint_urls["glue"]) as proxy:
        yield proxy


@pytest.fixture
def client(lake_server: Connections, proxy: S3Proxy) -> Any:
    with_proxy = replace(lake_server, endpoint_urls={"s3": proxy.url}, default_endpoint_url=proxy.url)
    client = with_proxy.client("s3")
    yield client
    client.close()


@pytest.fixture
def key(lake_server: Connections) -> str:
    """An object without a checksum of its own, as Athena's writers may leave it: only its ETag can tell."""
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.session import Session

    name = f"objects/{uuid.uuid4()}/data/file"
    writer = Session().create_client(
        "s3",
        endpoint_url=lake_server.endpoint_urls["glue"],
        region_name=lake_server.region,
        config=Config(signature_version=UNSIGNED, request_checksum_calculation="when_required"),
    )
    writer.put_object(Bucket=BUCKET, Key=name, Body=CONTENT)
    writer.close()
    return name


@pytest.mark.parametrize("limit", [objects.MEMORY_BYTES, 1000])
def test_object_that_arrives_whole_is_returned_as_it_is(
    client: Any, key: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "MEMORY_BYTES", limit)
    assert objects.read(client, BUCKET, key) == CONTENT
    with objects.open_file(client, BUCKET, key, len(CONTENT)) as file:
        assert file.size() == len(CONTENT)
        file.seek(1000)
        assert file.read(10) == CONTENT[1000:1010]


@pytest.mark.parametrize("limit", [objects.MEMORY_BYTES, 1000])
@pytest.mark.parametrize("damage", ["flipped", "short", "truncated"])
def test_object_damaged_on_the_way_is_asked_for_again(
    client: Any, key: str, proxy: S3Proxy, damage: Damage, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "MEMORY_BYTES", limit)
    proxy.break_by(lambda request: damage if request.number < objects.ATTEMPTS - 1 else "")
    with objects.open_file(client, BUCKET, key, len(CONTENT)) as file:
        assert hashlib.sha256(file.read()).digest() == hashlib.sha256(CONTENT).digest()
    assert [how for _, how in proxy.damaged] == [damage] * (objects.ATTEMPTS - 1)


@pytest.mark.parametrize("damage", ["flipped", "short", "truncated"])
def test_object_damaged_every_time_is_refused_by_name(
    client: Any, key: str, proxy: S3Proxy, damage: Damage
) -> None:
    proxy.break_by(lambda _: damage)
    with pytest.raises(SyncError) as caught:
        objects.read(client, BUCKET, key)
    assert key in caught.value.message
    assert caught.value.hint


def test_object_of_another_size_than_the_manifest_says_is_refused(client: Any, key: str) -> None:
    with pytest.raises(SyncError, match=r"300000 bytes arrived, the manifest says 299999"):
        objects.read(client, BUCKET, key, len(CONTENT) - 1)


def test_object_that_is_gone_is_not_found(client: Any) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        objects.read(client, BUCKET, "nowhere")
