"""CREATE TABLE AS on Hive tables: formats, buckets, properties, and what a failure or a kill leaves."""

from __future__ import annotations

import io
import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest

from athena_local.catalog import Catalog, EntityNotFoundError
from athena_local.config import Config
from athena_local.errors import QueryError
from athena_local.journal import Entry, Journal, journal_of
from athena_local.objects import ObjectStore

Rows = Callable[..., list[tuple[Any, ...]]]
Execute = Callable[..., Any]


def refusal(execute: Execute, sql: str) -> str:
    with pytest.raises(QueryError) as caught:
        execute(sql)
    return str(caught.value)


def hive_hash(value: str) -> int:
    found = 0
    for byte in value.encode():
        found = (found * 31 + (byte - 256 if byte > 127 else byte)) & 0xFFFFFFFF
    return found


def test_ctas_keeps_every_type(rows: Rows, execute: Execute, lake: str) -> None:
    query = (
        "select cast(1 as tinyint) a, cast(2 as smallint) b, 3 c, cast(4 as bigint) d, cast(1.5 as real) e, 2.5e0 f,"
        " decimal '1.23' g, true h, 'x' i, cast('ab' as char(3)) j, cast('cd' as varchar(5)) k, X'00ff' l,"
        " date '2025-01-02' m, timestamp '2025-01-02 03:04:05.678' n, array[1, 2] o, map(array['k'], array[1]) p,"
        " cast(row(1, 'z') as row(x int, y varchar)) q"
    )
    expected = rows(query)
    for form in ("PARQUET", "JSON", "TEXTFILE"):
        execute(
            f"create table t_{form} with (format = '{form}', external_location = '{lake}{form}/') as {query}"
        )
        found = rows(f"select * from t_{form}")
        assert [str(value).rstrip() for value in found[0]] == [
            str(value).rstrip() for value in expected[0]
        ], form


def test_ctas_enters_the_table_as_athena_does(execute: Execute, catalog: Catalog, lake: str) -> None:
    execute(
        f"create table t comment 'why' with (external_location = '{lake}t', write_compression = 'GZIP',"
        " bucketed_by = array['B'], bucket_count = 3, partitioned_by = array['K']) as select 1 A, 'x' B, 'p' K"
    )
    table = catalog.get_table("default", "t")
    storage = table["StorageDescriptor"]
    assert [(column["Name"], column["Type"]) for column in storage["Columns"]] == [
        ("a", "int"),
        ("b", "varchar(1)"),
    ]
    assert table["PartitionKeys"] == [{"Name": "k", "Type": "varchar(1)"}]
    assert (storage["BucketColumns"], storage["NumberOfBuckets"], storage["Location"]) == (
        ["b"],
        3,
        f"{lake}t/",
    )
    assert table["TableType"] == "EXTERNAL_TABLE"
    assert table["Parameters"]["parquet.compression"] == "GZIP"
    assert table["Parameters"]["comment"] == "why"
    [partition] = catalog.get_partitions("default", "t")
    assert (partition["Values"], partition["StorageDescriptor"]["Location"]) == (["p"], f"{lake}t/k=p/")


def test_ctas_buckets_lie_where_hive_looks_for_them(
    rows: Rows, execute: Execute, objects: ObjectStore, lake: str
) -> None:
    result = execute(
        f"create table t with (external_location = '{lake}t/', bucketed_by = array['s'], bucket_count = 4)"
        " as select x, 'customer_é_' || cast(x as varchar) s from unnest(sequence(1, 100)) u(x)"
    )
    assert len(result.manifest) == 4
    counted: Counter[int] = Counter()
    for path in result.manifest:
        match = re.fullmatch(r"(\d{6})_0_\d{8}_\d{6}_.*", path.rsplit("/", 1)[1])
        assert match is not None
        bucket = int(match[1])
        for value in pq.read_table(io.BytesIO(objects.read(path)))["s"].to_pylist():
            assert (hive_hash(value) & 0x7FFFFFFF) % 4 == bucket
            counted[bucket] += 1
    assert sum(counted.values()) == 100
    assert rows("select count(*), count(distinct s) from t") == [(100, 100)]


@pytest.mark.parametrize(
    ("value", "bucket"),
    [
        ("7", 7), ("-1", 0x7FFFFFFF % 10), ("cast(4294967299 as bigint)", 2), ("cast(-1 as bigint)", 0), ("true", 1),
        ("date '1970-01-12'", 1), ("1.5e0", (0x3FF80000) % 10), ("cast(1.5 as real)", 0x3FC00000 % 10),
        ("cast(null as integer)", 0), ("'hello'", 99162322 % 10), ("timestamp '1970-01-01 00:00:05'", (0x40000000 ^ 1) % 10),
    ],
)  # fmt: skip
def test_ctas_bucket_is_java_s_hash_of_the_value(
    execute: Execute, lake: str, value: str, bucket: int
) -> None:
    [path] = execute(
        f"create table t with (external_location = '{lake}t/', bucketed_by = array['v'], bucket_count = 10)"
        f" as select {value} v, 1 n"
    ).manifest
    assert path.rsplit("/", 1)[1].startswith(f"{bucket:06d}_0_")


def test_ctas_partitions_and_buckets_count_together(execute: Execute, lake: str) -> None:
    told = "partitioned_by = array['k'], bucketed_by = array['x'], bucket_count = 10"
    query = "select x, x % 11 k from unnest(sequence(1, 1100)) u(x)"
    message = refusal(execute, f"create table t with (external_location = '{lake}t/', {told}) as {query}")
    assert (
        message == "HIVE_TOO_MANY_OPEN_PARTITIONS: Exceeded limit of 100 open writers for partitions/buckets"
    )


def test_ctas_empty_and_null_partitions_are_one_and_odd_values_are_escaped(
    rows: Rows, execute: Execute, catalog: Catalog, lake: str
) -> None:
    execute(
        f"create table t with (external_location = '{lake}t/', partitioned_by = array['k'])"
        " as select * from (values (1, ''), (2, null), (3, 'a/b=c d')) v(a, k)"
    )
    found = {
        tuple(item["Values"]): item["StorageDescriptor"]["Location"]
        for item in catalog.get_partitions("default", "t")
    }
    assert found == {
        ("__HIVE_DEFAULT_PARTITION__",): f"{lake}t/k=__HIVE_DEFAULT_PARTITION__/",
        ("a/b=c d",): f"{lake}t/k=a%2Fb%3Dc d/",
    }
    assert rows("select a, k from t order by a") == [(1, None), (2, None), (3, "a/b=c d")]


def test_ctas_partition_beyond_ascii_is_refused(execute: Execute, lake: str) -> None:
    message = refusal(
        execute,
        f"create table t with (external_location = '{lake}t/', partitioned_by = array['k']) as select 1 a, 'é' k",
    )
    assert message == (
        "HIVE_INVALID_PARTITION_VALUE: Hive partition keys can only contain printable ASCII characters (0x20 - 0x7E)."
        " Invalid value: C3 A9"
    )


def test_ctas_with_no_data_reads_and_writes_nothing(
    rows: Rows, execute: Execute, objects: ObjectStore, new_context: Callable[[], Any], lake: str
) -> None:
    from athena_local.sql import parse_statement
    from athena_local.statements import execute as run

    execute(f"create table s with (format = 'TEXTFILE', external_location = '{lake}s/') as select 1 a, 'x' b")
    context = new_context()
    sql = f"create table t with (external_location = '{lake}t/') as (select * from s) with no data"
    assert run(parse_statement(sql), context).update_count == 0
    assert context.statistics.bytes_scanned == 0
    assert list(objects.list(f"{lake}t/")) == []
    assert rows("select * from t") == []
    assert execute("insert into t values (1, 'y')").update_count == 1
    assert execute("create table u as select * from s where false").update_count == 0


def test_ctas_zstd_level_makes_smaller_files(execute: Execute, objects: ObjectStore, lake: str) -> None:
    sizes = []
    for level in (1, 22):
        told = (
            f"write_compression = 'ZSTD', compression_level = {level}, external_location = '{lake}{level}/'"
        )
        query = (
            "select to_base64(sha256(to_utf8(cast(x % 97 as varchar)))) s from unnest(sequence(1, 5000)) u(x)"
        )
        [path] = execute(f"create table t{level} with ({told}) as {query}").manifest
        assert pq.read_metadata(io.BytesIO(objects.read(path))).row_group(0).column(0).compression == "ZSTD"
        sizes.append(objects.stat(path).size)
    assert sizes[1] <= sizes[0]


_INVALID = "INVALID_TABLE_PROPERTY: line 1:1: "
_OF = "catalog 'awsdatacatalog' table property"


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        (
            "format = 'CSV'",
            f"{_INVALID}Unable to set {_OF} 'format' to ['CSV']: Invalid value [CSV]. Valid values: [PARQUET, ",
        ),
        (
            "format = 'avro'",
            "NOT_SUPPORTED: AVRO files cannot be written by this server; use format = 'PARQUET' or 'JSON'",
        ),
        (
            "bucketed_by = 'a', bucket_count = 1",
            f"{_INVALID}Invalid value for {_OF} 'bucketed_by': Cannot convert [a] to array(varchar)",
        ),
        (
            "bucket_count = '1'",
            f"{_INVALID}Invalid value for {_OF} 'bucket_count': Cannot convert [1] to integer",
        ),
        (
            "bucket_count = true",
            f"{_INVALID}Invalid value for {_OF} 'bucket_count': Cannot convert [True] to integer",
        ),
        ("bucketed_by = array['a']", f"{_INVALID}bucketed_by and bucket_count must be specified together"),
        ("bucket_count = 2", f"{_INVALID}bucketed_by and bucket_count must be specified together"),
        (
            "bucketed_by = array['z'], bucket_count = 2",
            f"{_INVALID}Bucketing columns [z] not present in schema",
        ),
        (
            "bucketed_by = array['b'], bucket_count = 2, partitioned_by = array['b']",
            f"{_INVALID}Bucketing columns [b] not present in schema",
        ),
        ("partitioned_by = array['a', 'b']", f"{_INVALID}Table contains only partition columns"),
        ("partitioned_by = array['z']", f"{_INVALID}Partition columns [z] not present in schema"),
        ("write_compression = 'LZO'", f"{_INVALID}Compression LZO is not supported"),
        (
            "format = 'TEXTFILE', write_compression = 'SNAPPY'",
            f"{_INVALID}Compression SNAPPY is not supported",
        ),
        (
            "write_compression = 'ZSTD', compression_level = 23",
            f"{_INVALID}Property 'compression_level' applies to ZSTD alone, from 1 to 22",
        ),
        ("field_delimiter = ','", f"{_INVALID}Property 'field_delimiter' cannot be used with format PARQUET"),
        ("format = 'JSON', format = 'PARQUET'", "DUPLICATE_PROPERTY: line 1:39: Duplicate property: format"),
    ],
)
def test_ctas_wrong_property_is_refused(execute: Execute, properties: str, message: str) -> None:
    assert refusal(execute, f"create table t with ({properties}) as select 1 a, 'x' b").startswith(message)


def test_ctas_into_a_missing_database_is_refused(execute: Execute) -> None:
    message = refusal(execute, "create table nowhere.t as select 1 a")
    assert message == "SCHEMA_NOT_FOUND: line 1:14: Schema 'nowhere' does not exist"


# what a kill leaves


def killed(config: Config, query_id: str) -> Entry:
    """Return the entry of a statement that was killed: nobody closes it."""
    return Entry(journal_of(config), query_id)


def gone(objects: ObjectStore, prefix: str) -> bool:
    deadline = time.monotonic() + 60
    while list(objects.list(prefix)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_killed_ctas_leaves_neither_table_nor_files(
    config: Config, catalog: Catalog, objects: ObjectStore, execute: Execute, lake: str
) -> None:
    entry = killed(config, "q1")
    entry.files([f"{lake}t/a", f"{lake}t/b"])
    objects.write(f"{lake}t/a", b"x")
    entry.table("default", "t")
    catalog.create_table("default", {"Name": "t", "Parameters": {"trino_query_id": "q1"}})
    catalog.create_table("default", {"Name": "u", "Parameters": {"trino_query_id": "q0"}})
    killed(config, "q2").table("default", "u")  # it never created it: somebody else's is there
    journal = Journal(config.data_dir / "writes.sqlite")
    assert journal.recover(catalog, objects) == 2
    with pytest.raises(EntityNotFoundError):
        catalog.get_table("default", "t")
    assert catalog.get_table("default", "u")
    assert gone(objects, f"{lake}t/")
    deadline = time.monotonic() + 60
    while journal.recover(catalog, objects) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert journal.recover(catalog, objects) == 0


def test_killed_insert_leaves_other_files_and_filled_partitions(
    config: Config, catalog: Catalog, objects: ObjectStore, rows: Rows, execute: Execute, lake: str
) -> None:
    execute(
        f"create table t with (external_location = '{lake}t/', partitioned_by = array['k']) as select 1 a, 'p' k"
    )
    record = catalog.get_table("default", "t")
    entry = killed(config, "q1")
    entry.files([f"{lake}t/k=p/new", f"{lake}t/k=q/new"])
    source = catalog.get_partitions("default", "t")[0]["StorageDescriptor"]["Location"]
    [old] = list(objects.list(source))
    for path in (f"{lake}t/k=p/new", f"{lake}t/k=q/new"):
        objects.write(path, objects.read(old.path))
    places = [(["p"], f"{lake}t/k=p/"), (["q"], f"{lake}t/k=q/")]
    entry.partitions("default", "t", places)
    storage = {**record["StorageDescriptor"], "Location": f"{lake}t/k=q/"}
    catalog.create_partitions("default", "t", [{"Values": ["q"], "StorageDescriptor": storage}])
    assert rows("select a, k from t") == [(1, "p")]  # what is not committed is not seen
    Journal(config.data_dir / "writes.sqlite").recover(catalog, objects)
    assert gone(objects, f"{lake}t/k=q/")
    deadline = time.monotonic() + 60
    while len(catalog.get_partitions("default", "t")) > 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [item["Values"] for item in catalog.get_partitions("default", "t")] == [["p"]]
    assert [item.path for item in objects.list(f"{lake}t/")] == [old.path]


def test_killed_ctas_prefix_goes_unless_its_table_came_to_be(
    config: Config, catalog: Catalog, objects: ObjectStore, lake: str
) -> None:
    for name in ("a", "b"):
        objects.write(f"{lake}{name}/data/f", b"x")
        killed(config, name).prefix(f"{lake}{name}")
    catalog.create_table("default", {"Name": "a", "StorageDescriptor": {"Location": f"{lake}a"}})
    Journal(config.data_dir / "writes.sqlite").recover(catalog, objects)
    assert gone(objects, f"{lake}b/")
    assert len(list(objects.list(f"{lake}a/"))) == 1


def test_files_of_a_running_statement_are_seen_together(
    config: Config, catalog: Catalog, objects: ObjectStore, rows: Rows, execute: Execute, lake: str
) -> None:
    [first] = execute(f"create table t with (external_location = '{lake}t/') as select 1 a").manifest
    journal = journal_of(config)
    with journal.writing("q", catalog, objects) as entry:
        entry.files([f"{lake}t/2", f"{lake}t/3"])
        for name in ("2", "3"):
            objects.write(f"{lake}t/{name}", objects.read(first))
            assert rows("select count(*) from t") == [(1,)]
    assert rows("select count(*) from t") == [(3,)]


def test_listing_during_a_commit_is_made_again(
    config: Config, catalog: Catalog, objects: ObjectStore, lake: str
) -> None:
    journal = journal_of(config)
    objects.write(f"{lake}t/old", b"x")
    listings = []

    def listing() -> list[Any]:
        found = list(objects.list(f"{lake}t/"))
        if not listings:  # two files are committed between this listing's pages
            with journal.writing("q", catalog, objects) as entry:
                entry.files([f"{lake}t/new1", f"{lake}t/new2"])
                objects.write(f"{lake}t/new1", b"x")
                found = list(objects.list(f"{lake}t/"))
                objects.write(f"{lake}t/new2", b"x")
        listings.append(len(found))
        return found

    assert len(journal.visible(listing)) == 3
    assert listings == [2, 3]
