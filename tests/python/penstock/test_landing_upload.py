"""Uploads against a real S3 API: whole or not at all, verified, never twice. In buckets apart from other tests."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from penstock.connections import Connections
from penstock.environments import environment
from penstock.errors import LandingError
from penstock.lake.buckets import ensure_buckets
from penstock.landing import upload
from penstock.landing.seed import check_all, landed_files, remove, upload_all
from penstock.sources import table as declared_table
from penstock.synthetic import forecast as synthetic

FORECAST = declared_table("forecast")

pytestmark = pytest.mark.stack

MIB = 1024**2
PART = 5 * MIB  # the least that S3 takes for any part but the last
KEY = "forecast_data/day.csv"


@pytest.fixture(scope="module")
def lake(stack_without_athena: Connections) -> Connections:
    connections = dataclasses.replace(stack_without_athena, environment=environment("dev", "111111111111"))
    ensure_buckets(connections)
    return connections


@pytest.fixture
def s3(lake: Connections) -> Iterator[Any]:
    client = lake.client("s3")
    yield client
    for name in landed_files(lake):
        remove(lake, "forecast", name)


def bucket(lake: Connections) -> str:
    return lake.environment.lake_bucket


def content_of(data: bytes) -> upload.Content:
    return upload.Content(len(data), hashlib.sha256(data).hexdigest(), {"rows": "1"})


def lying(s3: Any, lake: Connections) -> bytes | None:
    try:
        body: bytes = s3.get_object(Bucket=bucket(lake), Key=KEY)["Body"].read()
    except ClientError:
        return None
    return body


def unfinished(s3: Any, lake: Connections) -> list[str]:
    found = s3.list_multipart_uploads(Bucket=bucket(lake)).get("Uploads", [])
    return [item["UploadId"] for item in found if item["Key"] == KEY]


def noise(size: int, seed: int = 1) -> bytes:
    return hashlib.shake_128(str(seed).encode()).digest(size)


class Altered:
    """An S3 client one of whose calls goes another way."""

    def __init__(self, s3: Any, **calls: Any) -> None:
        self._s3, self._calls = s3, calls

    def __getattr__(self, name: str) -> Any:
        return self._calls.get(name) or getattr(self._s3, name)


def test_upload_several_parts_lands_the_bytes_and_their_digest(s3: Any, lake: Connections) -> None:
    data = noise(12 * MIB)
    told: list[int] = []

    chunks = [data[at : at + MIB] for at in range(0, len(data), MIB)]
    upload.upload(s3, bucket(lake), KEY, content_of(data), chunks, on_bytes=told.append, part_bytes=PART)

    assert lying(s3, lake) == data
    found = s3.head_object(Bucket=bucket(lake), Key=KEY, ChecksumMode="ENABLED")
    assert found["Metadata"] == {"rows": "1", "content-sha256": hashlib.sha256(data).hexdigest()}
    assert found["ChecksumSHA256"].endswith("-3")
    assert told == sorted(told)
    assert told[-1] == len(data)
    assert upload.lies_there(s3, bucket(lake), KEY, content_of(data))
    assert not upload.lies_there(s3, bucket(lake), KEY, content_of(data[:-1]))
    assert unfinished(s3, lake) == []


def test_upload_damaged_on_the_way_is_refused_by_s3_and_old_object_stays(s3: Any, lake: Connections) -> None:
    old, new = noise(1000, 1), noise(7 * MIB, 2)
    upload.upload(s3, bucket(lake), KEY, content_of(old), [old])

    def damaging(Body: bytes, **request: Any) -> Any:  # noqa: N803
        return s3.upload_part(Body=Body[:-1] + bytes([Body[-1] ^ 1]), **request)

    with pytest.raises(ClientError, match="BadDigest"):
        upload.upload(
            Altered(s3, upload_part=damaging), bucket(lake), KEY, content_of(new), [new], part_bytes=PART
        )

    assert lying(s3, lake) == old
    assert unfinished(s3, lake) == []


def test_upload_object_that_is_not_what_was_sent_is_told(s3: Any, lake: Connections) -> None:
    data = noise(1000)

    def lying_head(**request: Any) -> Any:
        return {**s3.head_object(**request), "ContentLength": 999}

    with pytest.raises(LandingError, match=r"day\.csv is not what was sent: 999 bytes"):
        upload.upload(Altered(s3, head_object=lying_head), bucket(lake), KEY, content_of(data), [data])


KILLED = """
import hashlib, sys, time
import boto3
from penstock.landing import upload
data = hashlib.shake_128(b"2").digest(12 * 1024**2)
def stop(done):
    print(done, flush=True)
    time.sleep(60)
content = upload.Content(len(data), hashlib.sha256(data).hexdigest(), {})
upload.upload(boto3.client("s3"), sys.argv[1], sys.argv[2], content, [data], on_bytes=stop, part_bytes=5 * 2**20, threads=1)
"""


def test_upload_killed_between_parts_leaves_the_old_object_and_the_next_run_lands(
    s3: Any, lake: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = noise(1000, 1), noise(12 * MIB, 2)
    upload.upload(s3, bucket(lake), KEY, content_of(old), [old])

    command = [sys.executable, "-c", KILLED, bucket(lake), KEY]
    with subprocess.Popen(
        command, env={**os.environ, **lake.exports()}, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == f"{PART}\n"
        os.kill(run.pid, signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL

    assert lying(s3, lake) == old
    left = unfinished(s3, lake)
    assert len(left) == 1

    # a run that may still be alive is not disturbed; one of yesterday is cleared away
    upload.upload(s3, bucket(lake), KEY, content_of(new), [new], part_bytes=PART)
    assert lying(s3, lake) == new
    assert unfinished(s3, lake) == left
    monkeypatch.setattr(upload, "STALE_AFTER", timedelta(minutes=-1))
    upload.upload(s3, bucket(lake), KEY, content_of(old), [old])
    assert unfinished(s3, lake) == []


def test_upload_two_at_once_leaves_one_of_them_whole(s3: Any, lake: Connections) -> None:
    contents = [noise(11 * MIB, seed) for seed in range(4)]

    def run(data: bytes) -> None:
        upload.upload(lake.client("s3"), bucket(lake), KEY, content_of(data), [data], part_bytes=PART)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, contents))

    assert lying(s3, lake) in contents
    assert unfinished(s3, lake) == []


# files


def made(folder: Path, name: str = "day.csv", rows: int = 500, seed: int = 1) -> Path:
    path = folder / name
    synthetic.write(path, rows, seed)
    return path


def test_upload_all_same_content_again_uploads_nothing(s3: Any, lake: Connections, tmp_path: Path) -> None:
    path = made(tmp_path)
    steps: list[tuple[str, str, int, int]] = []

    first = upload_all(lake, FORECAST, check_all(FORECAST, [path]))
    before = s3.head_object(Bucket=bucket(lake), Key=KEY)
    second = upload_all(
        lake, FORECAST, check_all(FORECAST, [path]), progress=lambda *step: steps.append(step)
    )

    assert [(file.name, file.rows, file.uploaded) for file in first] == [("day.csv", 500, True)]
    assert [(file.name, file.rows, file.uploaded) for file in second] == [("day.csv", 500, False)]
    assert s3.head_object(Bucket=bucket(lake), Key=KEY)["VersionId"] == before["VersionId"]
    assert steps == []
    assert lying(s3, lake) == path.read_bytes()


def test_upload_all_same_name_replaces_and_other_names_stay(
    s3: Any, lake: Connections, tmp_path: Path
) -> None:
    upload_all(lake, FORECAST, check_all(FORECAST, [made(tmp_path), made(tmp_path, "other.csv", 10)]))
    newer = made(tmp_path, seed=2)

    landed = upload_all(lake, FORECAST, check_all(FORECAST, [newer]))

    assert landed[0].uploaded
    assert lying(s3, lake) == newer.read_bytes()
    assert landed_files(lake) == ["day.csv", "other.csv"]


def test_upload_all_progress_counts_to_the_files_sizes(s3: Any, lake: Connections, tmp_path: Path) -> None:
    path = made(tmp_path)
    size = path.stat().st_size
    steps: list[tuple[str, str, int, int]] = []

    def progress(step: str, file: str, done: int, total: int) -> None:
        steps.append((step, file, done, total))

    upload_all(lake, FORECAST, check_all(FORECAST, [path], progress=progress), progress=progress)

    assert steps == [("check", "day.csv", size, size), ("upload", "day.csv", size, size)]
    assert lying(s3, lake) == path.read_bytes()


def test_upload_all_file_altered_since_its_check_is_refused(
    s3: Any, lake: Connections, tmp_path: Path
) -> None:
    path = made(tmp_path)
    upload_all(lake, FORECAST, check_all(FORECAST, [path]))
    old = path.read_bytes()
    checked = check_all(FORECAST, [made(tmp_path, seed=2)])
    made(tmp_path, seed=3)

    with pytest.raises(LandingError) as raised:
        upload_all(lake, FORECAST, checked)

    assert raised.value.message == (
        "day.csv changed while it was being landed; what lay in the lake is untouched."
    )
    assert lying(s3, lake) == old
    assert unfinished(s3, lake) == []


def test_upload_all_refused_by_s3_names_file_and_bucket(lake: Connections, tmp_path: Path) -> None:
    nowhere = dataclasses.replace(lake, environment=environment("dev", "222222222222"))

    with pytest.raises(LandingError) as raised:
        upload_all(nowhere, FORECAST, check_all(FORECAST, [made(tmp_path)]))

    assert raised.value.message.startswith(
        "day.csv was not landed in s3://penstock-lake-dev-222222222222: An error occurred (NoSuchBucket)"
    )
    assert raised.value.hint == "What lay there is untouched; seed it again."


def test_remove_landed_file_goes_and_a_missing_one_is_told(
    s3: Any, lake: Connections, tmp_path: Path
) -> None:
    upload_all(lake, FORECAST, check_all(FORECAST, [made(tmp_path), made(tmp_path, "other.csv", 10)]))

    remove(lake, "forecast", "day.csv")

    assert lying(s3, lake) is None
    with pytest.raises(LandingError, match=r"No file 'day\.csv' has landed for source forecast\.") as raised:
        remove(lake, "forecast", "day.csv")
    assert raised.value.hint == "Landed are: other.csv."
