"""An S3 that fails: every way ends in an Athena error that names the file, or in the right rows; nothing hangs."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from athena_local import objects as objects_module
from athena_local.config import Config
from athena_local.context import Cancellation
from athena_local.errors import SYSTEM, QueryCancelledError, QueryError
from athena_local.objects import ObjectStore

Run = Callable[..., Any]
ROWS = 60_000
CSV = "ROW FORMAT DELIMITED FIELDS TERMINATED BY ','"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are tried again without a pause: how often is tested here, not how patiently."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    monkeypatch.setattr(objects_module, "RETRY_SECONDS", 0.01)


@pytest.fixture(params=["parquet", "csv.gz", "iceberg"])
def table(request: pytest.FixtureRequest, execute: Run, objects: ObjectStore, lake: str) -> str:
    """A table `t` (n, s) of one file above a megabyte; its kind is the parameter."""
    source = f"""SELECT n, to_hex(sha256(to_utf8(cast(n as varchar)))) AS s FROM UNNEST(sequence(1, {ROWS // 10})) AS a (m)
        CROSS JOIN UNNEST(sequence(m * 10 - 9, m * 10)) AS b (n)"""
    if request.param == "parquet":
        execute(f"CREATE TABLE t WITH (external_location = '{lake}t/') AS {source}")
    elif request.param == "iceberg":
        kind = "table_type = 'ICEBERG', is_external = false"
        execute(f"CREATE TABLE t WITH ({kind}, location = '{lake}t/') AS {source}")
    else:
        text = b"".join(b"%d,%064d\n" % (number, number) for number in range(1, ROWS + 1))
        objects.write(f"{lake}t/f.csv.gz", gzip.compress(text, 0))
        execute(f"CREATE EXTERNAL TABLE t (n bigint, s string) {CSV} LOCATION '{lake}t/'")
    return str(request.param)


QUERY = "SELECT count(*), sum(n), count(distinct s) FROM t"
ANSWER = [(ROWS, ROWS * (ROWS + 1) // 2, ROWS)]


def of_data(request: Any) -> bool:
    return bool(request.is_read and "/t/" in request.key and "/metadata/" not in request.key)


def test_s3_answering_500_twice_is_asked_again(
    table: str, rows: Run, proxied: ObjectStore, s3_proxy: Any
) -> None:
    s3_proxy.spoil(of_data, times=2, status=500)
    assert rows(QUERY, objects=proxied) == ANSWER, table


def test_s3_answering_500_always_fails_the_query_with_the_file(
    table: str, rows: Run, proxied: ObjectStore, s3_proxy: Any
) -> None:
    s3_proxy.spoil(of_data, status=500)
    with pytest.raises(QueryError) as raised:
        rows(QUERY, objects=proxied)
    error = raised.value
    assert error.code == "HIVE_CANNOT_OPEN_SPLIT", table
    assert "Error opening Hive split s3://" in error.text
    assert "/t/" in error.text
    assert "(Service: Amazon S3; Status Code: 500; Error Code: InternalError)" in error.text
    assert (error.category, error.retryable) == (SYSTEM, True)


def test_body_that_breaks_off_is_fetched_on_from_there(
    table: str, rows: Run, proxied: ObjectStore, s3_proxy: Any
) -> None:
    s3_proxy.spoil(of_data, times=1, cut_after=200_000)
    assert rows(QUERY, objects=proxied) == ANSWER, table
    reads = [request for request in s3_proxy.reads if of_data(request)]
    broken = next(index for index, request in enumerate(reads) if request.sent == 200_000)
    assert reads[broken + 1].range.startswith("bytes=200000-")
    assert reads[broken + 1].if_match, "the rest must be of the same object"


def test_body_that_always_breaks_off_fails_the_query_with_the_file(
    table: str, rows: Run, proxied: ObjectStore, s3_proxy: Any
) -> None:
    s3_proxy.spoil(of_data, cut_after=0)
    with pytest.raises(QueryError) as raised:
        rows(QUERY, objects=proxied)
    assert raised.value.code == "HIVE_CURSOR_ERROR", table
    assert raised.value.text.startswith("Failed to read file: s3://")
    assert "it ended after 0 of" in raised.value.text


def test_file_that_was_listed_and_is_gone_is_named(
    table: str, rows: Run, proxied: ObjectStore, s3_proxy: Any
) -> None:
    s3_proxy.spoil(of_data, status=404)
    with pytest.raises(QueryError) as raised:
        rows(QUERY, objects=proxied)
    assert raised.value.code == "HIVE_CANNOT_OPEN_SPLIT", table
    assert "Status Code: 404" in raised.value.text
    assert raised.value.retryable is False


def test_stopped_query_does_not_wait_for_a_slow_s3(
    table: str, execute: Run, proxied: ObjectStore, s3_proxy: Any
) -> None:
    cancellation = Cancellation()
    stop = threading.Timer(0.3, cancellation.request)  # into the wait for the body's next bytes

    def data_is_asked_for(request: Any) -> bool:
        if of_data(request) and not stop.is_alive() and not cancellation.requested:
            stop.start()
        return of_data(request)

    s3_proxy.spoil(data_is_asked_for, pause_seconds=60)
    with pytest.raises(QueryCancelledError):
        list(execute(QUERY, objects=proxied.cancelled_by(cancellation), cancellation=cancellation).batches)
    assert not [request for request in s3_proxy.reads if of_data(request)], f"{table}: waited for an answer"
    stop.join()


@pytest.fixture
def csv_table(execute: Run, objects: ObjectStore, lake: str) -> str:
    objects.write(f"{lake}t/f.csv", b"1\n2\n")
    execute(f"CREATE EXTERNAL TABLE t (n bigint) {CSV} LOCATION '{lake}t/'")
    return f"{lake}t/"


def test_listing_that_fails_names_the_directory(
    csv_table: str, rows: Run, proxied: ObjectStore, s3_proxy: Any
) -> None:
    s3_proxy.spoil(lambda request: request.is_list, status=503)
    with pytest.raises(QueryError, match=f"HIVE_FILESYSTEM_ERROR: Failed to list directory: {csv_table}"):
        rows("SELECT * FROM t", objects=proxied)


def test_s3_that_is_down_fails_the_query(
    csv_table: str, rows: Run, proxied: ObjectStore, s3_proxy: Any
) -> None:
    s3_proxy.close()
    with pytest.raises(QueryError, match=r"HIVE_FILESYSTEM_ERROR: .*S3 cannot be reached") as raised:
        rows("SELECT * FROM t", objects=proxied)
    assert csv_table in raised.value.text
    assert raised.value.retryable is True


def test_s3_that_never_answers_fails_the_query_after_its_timeout(
    csv_table: str, rows: Run, s3_proxy: Any, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects_module, "READ_TIMEOUT_SECONDS", 0.2)
    impatient = ObjectStore(Config(config.data_dir, s3_proxy.endpoint))
    s3_proxy.spoil(hang_seconds=120)
    with pytest.raises(
        QueryError, match=r"HIVE_CANNOT_OPEN_SPLIT: .*S3 cannot be reached: Read timeout"
    ) as raised:
        rows("SELECT * FROM t", objects=impatient)
    assert f"{csv_table}f.csv" in raised.value.text
    assert s3_proxy.reads == [], "it waited for S3"


def test_table_in_a_bucket_that_is_gone_is_named(execute: Run, rows: Run) -> None:
    execute(f"CREATE EXTERNAL TABLE gone (n bigint) {CSV} LOCATION 's3://no-such-bucket-here/t/'")
    with pytest.raises(QueryError) as raised:
        rows("SELECT * FROM gone")
    assert raised.value.code == "HIVE_FILESYSTEM_ERROR"
    assert "s3://no-such-bucket-here/t/" in raised.value.text
    assert "Error Code: NoSuchBucket" in raised.value.text


@pytest.mark.parametrize("kind", ["hive", "iceberg"])
def test_ctas_whose_upload_fails_leaves_nothing(
    kind: str, execute: Run, rows: Run, proxied: ObjectStore, objects: ObjectStore, s3_proxy: Any, lake: str
) -> None:
    with_ = {
        "hive": f"external_location = '{lake}w/', partitioned_by = ARRAY['p']",
        "iceberg": f"table_type = 'ICEBERG', is_external = false, location = '{lake}w/', partitioning = ARRAY['p']",
    }[kind]
    uploads: list[str] = []

    def after_the_second(request: Any) -> bool:
        if request.method == "PUT" and "/w/" in request.key:
            uploads.append(request.key)
        return len(uploads) > 2 and request.method == "PUT"

    s3_proxy.spoil(after_the_second, status=500)
    with pytest.raises(QueryError) as raised:
        execute(
            f"CREATE TABLE w WITH ({with_}) AS SELECT n, n % 5 AS p FROM UNNEST(sequence(1, 50)) AS a (n)",
            objects=proxied,
        )
    assert raised.value.code == "HIVE_WRITER_CLOSE_ERROR"
    assert f"{lake}w/" in raised.value.text
    assert rows("SELECT table_name FROM information_schema.tables WHERE table_name = 'w'") == []
    assert list(objects.list(f"{lake}w/")) == []


def test_object_replaced_while_it_is_read_is_never_spliced(
    objects: ObjectStore,
    proxied: ObjectStore,
    s3_proxy: Any,
    lake: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = f"{lake}one"
    objects.write(path, b"a" * 500_000)
    s3_proxy.spoil(times=1, cut_after=100_000)

    class Pause:
        """The object is replaced while the broken read waits to go on."""

        @staticmethod
        def sleep(_: float) -> None:
            objects.write(path, b"b" * 500_000)

    monkeypatch.setattr(objects_module, "time", Pause)
    with pytest.raises(QueryError, match="Status Code: 412; Error Code: PreconditionFailed"):
        proxied.download(path, tmp_path / "one")
