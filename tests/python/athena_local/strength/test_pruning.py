"""What a query fetches: the files, columns and row groups it needs, seen by a proxy in front of S3, and billed as such."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from athena_local import objects as objects_module
from athena_local.catalog import Catalog
from athena_local.context import Statistics
from athena_local.objects import ObjectStore

Run = Callable[..., Any]
MB = 1024**2
DELIMITED = "ROW FORMAT DELIMITED FIELDS TERMINATED BY ','"
DAYS = """SELECT n, rpad('', 200, to_hex(md5(to_utf8(cast(n as varchar))))) AS wide, cast(n % 10 as integer) AS day
    FROM UNNEST(sequence(1, 200)) AS a (m) CROSS JOIN UNNEST(sequence(m * 10 - 9, m * 10)) AS b (n)"""


@pytest.fixture
def fetch(rows: Run, proxied: ObjectStore, s3_proxy: Any) -> Callable[[str], tuple[Any, list[Any], int]]:
    """`fetch(sql)`: its rows, the reads of data files it made, and the bytes it is billed."""

    def run(sql: str) -> tuple[Any, list[Any], int]:
        s3_proxy.forget()
        statistics = Statistics()
        found = rows(sql, objects=proxied, statistics=statistics)
        reads = [read for read in s3_proxy.reads if "/metadata/" not in read.key]
        return found, reads, statistics.bytes_scanned

    return run


@pytest.fixture(params=["hive", "iceberg"])
def by_day(request: pytest.FixtureRequest, execute: Run, lake: str) -> str:
    """A table `t` (n, wide, day) in ten partitions of one Parquet file each."""
    with_ = {
        "hive": f"external_location = '{lake}t/', partitioned_by = ARRAY['day']",
        "iceberg": f"table_type = 'ICEBERG', is_external = false, location = '{lake}t/', partitioning = ARRAY['day']",
    }[request.param]
    execute(f"CREATE TABLE t WITH ({with_}) AS {DAYS}")
    return str(request.param)


@pytest.mark.parametrize(
    ("where", "days"),
    [
        ("day = 3", {3}),
        ("day IN (1, 4)", {1, 4}),
        ("day BETWEEN 2 AND 4 AND n > 0", {2, 3, 4}),
        ("day < 2 OR day > 8", {0, 1, 9}),
        ("day = 3 AND day = 4", set()),
        ("n > 0", set(range(10))),
    ],
)
def test_files_of_other_partitions_are_not_read(
    by_day: str, fetch: Run, s3_proxy: Any, where: str, days: set[int]
) -> None:
    found, reads, _ = fetch(f"SELECT DISTINCT day FROM t WHERE ({where}) AND wide <> '' ORDER BY day")
    assert found == [(day,) for day in sorted(days)]
    assert {int(read.key.split("day=")[1].split("/")[0]) for read in reads} == days, by_day
    if by_day == "hive" and len(days) < 8:
        listed = {request.query["prefix"][0].split("day=")[1].rstrip("/") for request in s3_proxy.lists}
        assert listed == {str(day) for day in days}, "partitions that are excluded are not even listed"


def test_partitions_are_pruned_through_joins_views_and_subqueries(
    by_day: str, fetch: Run, execute: Run
) -> None:
    execute("CREATE VIEW v AS SELECT n, day, wide FROM t")
    for sql in (
        "SELECT count(*) FROM t JOIN (VALUES 1, 2) AS k (x) ON x = n % 10 WHERE day = 2 AND wide <> ''",
        "WITH c AS (SELECT n FROM t WHERE day = 2 AND wide <> '') SELECT count(*) FROM c",
        "SELECT count(*) FROM (SELECT n FROM t WHERE day = 2 AND wide <> '') AS s",
    ):
        found, reads, _ = fetch(sql)
        assert found == [(200,)], sql
        assert {read.key.split("day=")[1].split("/")[0] for read in reads} == {"2"}, (by_day, sql)


@pytest.fixture
def big(execute: Run, lake: str) -> str:
    """A table `big` (n, wide) of one Parquet file above the size that is fetched whole, in several row groups."""
    execute(
        f"""CREATE TABLE big WITH (external_location = '{lake}big/') AS
        SELECT x * 1000 + y AS n, to_hex(sha256(to_utf8(cast(x * 1000 + y AS varchar)))) AS wide
        FROM UNNEST(sequence(0, 399)) AS a (x) CROSS JOIN UNNEST(sequence(1, 1000)) AS b (y)"""
    )
    return f"{lake}big/"


def test_only_the_columns_named_are_fetched_and_billed(big: str, fetch: Run, objects: ObjectStore) -> None:
    [file] = objects.list_data(big)
    assert file.size > 12 * MB
    found, reads, billed = fetch("SELECT sum(n) FROM big")
    assert found == [(400_000 * 400_001 // 2,)]
    assert all(read.range for read in reads), "no request fetches the whole object"
    assert sum(read.sent for read in reads) < file.size / 2
    assert billed < file.size / 4
    _, _, all_columns = fetch("SELECT sum(n), count(distinct wide) FROM big")
    assert file.size * 0.9 < all_columns <= file.size


def test_row_groups_are_skipped_by_their_statistics(big: str, fetch: Run) -> None:
    _, _, everything = fetch("SELECT sum(n), count(distinct wide) FROM big")
    found, reads, billed = fetch("SELECT count(wide), min(substr(wide, 2)) FROM big WHERE n BETWEEN 5 AND 7")
    assert found[0][0] == 3, big
    assert billed < everything * 0.6
    assert sum(read.sent for read in reads) < everything * 0.8


def test_count_reads_footers_alone(big: str, fetch: Run, objects: ObjectStore) -> None:
    [file] = objects.list_data(big)
    found, reads, billed = fetch("SELECT count(*) FROM big")
    assert found == [(400_000,)]
    assert billed < 0.05 * file.size
    assert sum(read.sent for read in reads) < 0.4 * file.size


def test_limit_stops_early(execute: Run, fetch: Run, objects: ObjectStore, lake: str, tmp_path: Path) -> None:
    values = pa.array([hashlib.sha256(b"%d" % number).hexdigest() for number in range(400_000)])
    pq.write_table(pa.table({"wide": values}), tmp_path / "f.parquet", row_group_size=10_000)
    objects.upload(tmp_path / "f.parquet", f"{lake}groups/f.parquet")
    execute(f"CREATE EXTERNAL TABLE groups (wide string) STORED AS PARQUET LOCATION '{lake}groups/'")
    [file] = objects.list_data(f"{lake}groups/")
    found, reads, billed = fetch("SELECT wide FROM groups LIMIT 5")
    assert len(found) == 5
    assert billed < file.size / 2
    assert sum(read.sent for read in reads) < file.size / 2


def test_bytes_are_billed_again_for_every_query_and_once_in_each(big: str, fetch: Run) -> None:
    first = fetch("SELECT sum(n) FROM big")[2]
    again = fetch("SELECT sum(n) FROM big")[2]
    assert first == again > 0, big


def test_text_is_billed_as_stored(execute: Run, fetch: Run, objects: ObjectStore, lake: str) -> None:
    objects.write(f"{lake}c/one.csv", b"1,a\n" * 1000)
    objects.write(f"{lake}c/two.csv", b"2,b\n" * 500)
    execute(
        "CREATE EXTERNAL TABLE c (n bigint, s string) ROW FORMAT DELIMITED FIELDS TERMINATED BY ','"
        f" LOCATION '{lake}c/'"
    )
    assert fetch("SELECT sum(n) FROM c")[2] == 6000
    _, reads, billed = fetch("SELECT sum(n) FROM c")
    assert (billed, reads) == (6000, []), "kept locally, billed all the same"


def test_many_partitions_are_listed_together(
    execute: Run, fetch: Run, objects: ObjectStore, catalog: Catalog, s3_proxy: Any, lake: str
) -> None:
    execute(f"CREATE EXTERNAL TABLE m (n bigint) PARTITIONED BY (p int) {DELIMITED} LOCATION '{lake}m/'")
    storage = catalog.get_table("default", "m")["StorageDescriptor"]
    inputs = []
    for number in range(40):
        place = f"{lake}m/p={number}"
        objects.write(f"{place}/f", b"%d\n" % number)
        objects.write(f"{place}/.hidden", b"1000\n")
        inputs.append({"Values": [str(number)], "StorageDescriptor": {**storage, "Location": place}})
    objects.write(f"{lake}m/p=4x/f", b"1000\n")
    objects.write(f"{lake}m/_later/p=4/f", b"1000\n")
    catalog.create_partitions("default", "m", inputs)
    found, _, billed = fetch("SELECT count(*), sum(n), sum(p) FROM m")
    assert found == [(40, 780, 780)]
    assert billed == 10 * 2 + 30 * 3
    assert len(s3_proxy.lists) == 1
    assert fetch("SELECT sum(n) FROM m WHERE p IN (3, 4)")[0] == [(7,)]
    assert len(s3_proxy.lists) == 2


def test_partitions_among_many_other_objects_are_listed_one_by_one(
    objects: ObjectStore, lake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        objects.write(f"{lake}many/p={number}/f", b"x")
    places = [f"{lake}many/p={number}/" for number in range(10)]
    together = objects.list_together(places)
    assert together is not None
    assert {place: [item.path for item in items] for place, items in together.items()} == {
        place: [item.path for item in objects.list_data(place)] for place in places
    }
    monkeypatch.setattr(objects_module, "LIST_PAGE_KEYS", 5)
    assert objects.list_together(places) is None
    assert objects.list_together(places[:3]) is None
