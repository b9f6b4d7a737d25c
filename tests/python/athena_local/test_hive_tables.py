"""Hive tables on S3: what is read of CSV, JSON and Parquet files, and what CTAS, INSERT and ALTER leave behind."""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from athena_local.catalog import Catalog, EntityNotFoundError
from athena_local.errors import QueryError
from athena_local.objects import ObjectStore

Rows = Callable[..., list[tuple[Any, ...]]]
Execute = Callable[..., Any]
D = datetime.date


@pytest.fixture
def csv_table(execute: Execute, objects: ObjectStore, lake: str) -> str:
    objects.write(
        f"{lake}csv/a.csv",
        b"id,name,day,amount,ok\n"
        b"1,ann,2025-01-01,1.5,true\n"
        b'2.5,"q",2025-1x-01,x,maybe\n'
        b"\\N,\\N,\\N,\\N,\\N\n"
        b"3,,2025-02-01\n"
        b"4,dan,2025-02-02,7,FALSE,extra\n",
    )
    objects.write(f"{lake}csv/_SUCCESS", b"hidden")
    execute(
        "create external table csv (id int, name string, day date, amount double, ok boolean) row format delimited"
        f" fields terminated by ',' stored as textfile location '{lake}csv/'"
        " tblproperties ('skip.header.line.count'='1')"
    )
    return "csv"


def test_hive_csv_is_read_as_lazy_simple_serde_reads_it(rows: Rows, csv_table: str) -> None:
    assert sorted(rows(f"select * from {csv_table}"), key=str) == sorted(
        [
            (1, "ann", D(2025, 1, 1), 1.5, True),
            (2, '"q"', None, None, None),  # digits behind the point are cut off
            (None, None, None, None, None),
            (3, "", D(2025, 2, 1), None, None),
            (4, "dan", D(2025, 2, 2), 7.0, False),
        ],
        key=str,
    )


def test_hive_hidden_columns_are_there_when_named_and_never_in_a_star(
    rows: Rows, execute: Execute, csv_table: str, lake: str
) -> None:
    [(path, size, modified)] = rows(
        f'select distinct "$path", "$file_size", cast("$file_modified_time" as timestamp(6)) from {csv_table}'
    )
    assert path == f"{lake}csv/a.csv"
    assert size > 100
    assert modified.microsecond == 0
    assert [column.name for column in execute(f"select * from {csv_table}").columns] == [
        "id", "name", "day", "amount", "ok",
    ]  # fmt: skip


def test_hive_csv_scan_counts_the_file_in_full_every_time(
    new_context: Callable[[], Any], objects: ObjectStore, csv_table: str, lake: str
) -> None:
    from athena_local.sql import parse_statement
    from athena_local.statements import execute

    for _ in range(2):
        context = new_context()
        list(execute(parse_statement(f"select count(*) from {csv_table}"), context).batches or ())
        assert context.statistics.bytes_scanned == objects.stat(f"{lake}csv/a.csv").size


def test_hive_csv_replaced_object_is_read_anew(
    rows: Rows, objects: ObjectStore, csv_table: str, lake: str
) -> None:
    assert rows(f"select count(*) from {csv_table}") == [(5,)]
    objects.write(f"{lake}csv/a.csv", b"id,name,day,amount,ok\n9,z,2025-01-01,1,true\n")
    assert rows(f"select id from {csv_table}") == [(9,)]


def test_hive_open_csv_knows_quotes_and_refuses_bad_numbers(
    rows: Rows, execute: Execute, objects: ObjectStore, lake: str
) -> None:
    objects.write(f"{lake}q/a", b'1,"a, ""b"""\n2,"c"\n')
    execute(
        "create external table q (id int, name string) row format serde 'org.apache.hadoop.hive.serde2.OpenCSVSerde'"
        f" location '{lake}q/'"
    )
    assert sorted(rows("select * from q")) == [(1, 'a, "b"'), (2, "c")]
    objects.write(f"{lake}q/a", b"x,y\n")
    with pytest.raises(QueryError, match="HIVE_BAD_DATA: Error parsing field value 'x' for field 0"):
        rows("select * from q")


def test_hive_json_lines_are_read_by_name(
    rows: Rows, execute: Execute, objects: ObjectStore, lake: str
) -> None:
    objects.write(f"{lake}j/a.json", b'{"id": 1, "tags": ["a"], "more": {"x": 5}}\n{"id": 2}\n')
    execute(
        "create external table j (id int, tags array<string>, more struct<x:int>) row format serde"
        f" 'org.openx.data.jsonserde.JsonSerDe' location '{lake}j/'"
    )
    assert rows("select id, tags, more.x from j order by id") == [(1, ["a"], 5), (2, None, None)]


def test_hive_json_that_is_none_is_bad_data(
    rows: Rows, execute: Execute, objects: ObjectStore, lake: str
) -> None:
    objects.write(f"{lake}j/a.json", b'{"id": 1}\n{"id": \n')
    execute(
        f"create external table j (id int) row format serde 'org.openx.data.jsonserde.JsonSerDe' location '{lake}j/'"
    )
    with pytest.raises(QueryError, match="HIVE_BAD_DATA: Row is not a valid JSON Object"):
        rows("select * from j")


def parquet(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def test_hive_parquet_is_read_by_name_and_missing_columns_are_null(
    rows: Rows, execute: Execute, objects: ObjectStore, lake: str
) -> None:
    objects.write(f"{lake}p/one", parquet(b=["x"], a=pa.array([1], pa.int32())))
    objects.write(f"{lake}p/two", parquet(a=pa.array([2], pa.int32())))
    execute(f"create external table p (a bigint, b string, c date) stored as parquet location '{lake}p/'")
    assert rows("select * from p order by a") == [(1, "x", None), (2, None, None)]


def test_hive_parquet_of_another_type_is_bad_data(
    rows: Rows, execute: Execute, objects: ObjectStore, lake: str
) -> None:
    objects.write(f"{lake}p/one", parquet(a=["text"]))
    execute(f"create external table p (a int) stored as parquet location '{lake}p/'")
    with pytest.raises(QueryError) as caught:
        rows("select * from p")
    assert str(caught.value) == (
        f"HIVE_BAD_DATA: Field a's type BYTE_ARRAY in parquet file {lake}p/one is incompatible with type integer"
        " defined in table schema"
    )


# CTAS and INSERT


def test_ctas_writes_partitions_that_others_read(
    rows: Rows, execute: Execute, objects: ObjectStore, catalog: Catalog, csv_table: str, lake: str
) -> None:
    result = execute(
        f"create table out with (format='parquet', external_location='{lake}out/', partitioned_by=array['month'])"
        f" as select id, name, date_trunc('month', day) as month from {csv_table}"
    )
    assert result.update_count == 5
    assert len(result.manifest) == 3
    assert rows("select * from out where month = date '2025-02-01' order by id") == [
        (3, "", D(2025, 2, 1)),
        (4, "dan", D(2025, 2, 1)),
    ]
    assert sorted(item["Values"] for item in catalog.get_partitions("default", "out")) == [
        ["2025-01-01"],
        ["2025-02-01"],
        ["__HIVE_DEFAULT_PARTITION__"],
    ]
    [path] = [path for path in result.manifest if "month=2025-01-01" in path]
    assert pq.read_table(io.BytesIO(objects.read(path))).to_pylist() == [{"id": 1, "name": "ann"}]


def test_ctas_predicate_reads_no_file_of_other_partitions(
    execute: Execute, new_context: Callable[[], Any], objects: ObjectStore, lake: str
) -> None:
    from athena_local.sql import parse_statement
    from athena_local.statements import execute as run

    result = execute(
        f"create table big with (external_location='{lake}big/', partitioned_by=array['k'])"
        " as select x, x % 2 as k from unnest(sequence(1, 2000)) t(x)"
    )
    sizes = {path: objects.stat(path).size for path in result.manifest}
    context = new_context()
    list(run(parse_statement("select sum(x) from big where k = 1"), context).batches or ())
    assert 0 < context.statistics.bytes_scanned <= next(size for path, size in sizes.items() if "k=1" in path)


@pytest.mark.parametrize("form", ["textfile", "json", "parquet"])
def test_ctas_each_format_reads_back_the_same(rows: Rows, execute: Execute, lake: str, form: str) -> None:
    query = "select 1 id, 'x' name, date '2025-01-01' d, true b, 1.5e0 v, cast(null as varchar) n"
    execute(f"create table t with (format='{form}', external_location='{lake}{form}/') as {query}")
    assert rows("select * from t") == [(1, "x", D(2025, 1, 1), True, 1.5, None)]


def test_ctas_without_location_goes_below_the_output_location(
    execute: Execute, catalog: Catalog, lake: str
) -> None:
    execute("create table t as select 1 a")
    location = catalog.get_table("default", "t")["StorageDescriptor"]["Location"]
    assert location.startswith(f"{lake}results/tables/")


def test_ctas_more_than_a_hundred_partitions_leaves_nothing(
    execute: Execute, catalog: Catalog, objects: ObjectStore, lake: str
) -> None:
    with pytest.raises(QueryError) as caught:
        execute(
            f"create table t with (external_location='{lake}t/', partitioned_by=array['k'])"
            " as select x, x k from unnest(sequence(1, 101)) u(x)"
        )
    assert str(caught.value) == (
        "HIVE_TOO_MANY_OPEN_PARTITIONS: Exceeded limit of 100 open writers for partitions/buckets"
    )
    assert list(objects.list(f"{lake}t/")) == []
    with pytest.raises(EntityNotFoundError):
        catalog.get_table("default", "t")


def test_ctas_that_fails_leaves_nothing(
    execute: Execute, catalog: Catalog, objects: ObjectStore, lake: str
) -> None:
    with pytest.raises(QueryError, match="INVALID_CAST_ARGUMENT"):
        execute(
            f"create table t with (external_location='{lake}t/') as select cast(x as int) a from (values '1', 'x') v(x)"
        )
    assert list(objects.list(f"{lake}t/")) == []
    with pytest.raises(EntityNotFoundError):
        catalog.get_table("default", "t")


@pytest.mark.parametrize(
    ("properties", "query", "message"),
    [
        (
            "partitioned_by=array['a']",
            "select 1 a, 2 b",
            "HIVE_COLUMN_ORDER_MISMATCH: Partition keys must be the last",
        ),
        (
            "colour='red'",
            "select 1 a",
            "INVALID_TABLE_PROPERTY: line 1:1: Catalog 'awsdatacatalog' table property 'colour'",
        ),
        (
            "format='parquet'",
            "select 1",
            "MISSING_COLUMN_NAME: line 1:1: Column name not specified at position 1",
        ),
        (
            "format='parquet'",
            "select 1 a, 2 A",
            "DUPLICATE_COLUMN_NAME: line 1:1: Column name 'a' specified more than once",
        ),
        (
            "format='parquet'",
            "select null a",
            "COLUMN_TYPE_UNKNOWN: line 1:1: Column type is unknown at position 1",
        ),
        (
            "format='parquet'",
            "select current_timestamp a",
            "NOT_SUPPORTED: Unsupported Hive type: timestamp(3) with time zone",
        ),
        ("format='orc'", "select 1 a", "NOT_SUPPORTED: ORC files cannot be written by this server"),
    ],
)
def test_ctas_mistake_is_refused(execute: Execute, properties: str, query: str, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        execute(f"create table t with ({properties}) as {query}")
    assert str(caught.value).startswith(message)


def test_ctas_into_files_is_refused(execute: Execute, objects: ObjectStore, lake: str) -> None:
    objects.write(f"{lake}t/old", b"x")
    with pytest.raises(QueryError) as caught:
        execute(f"create table t with (external_location='{lake}t/') as select 1 a")
    assert str(caught.value).startswith(
        f"HIVE_PATH_ALREADY_EXISTS: Target directory for table 'default.t' already exists: {lake}t/"
    )


def test_ctas_existing_table_is_refused_unless_told(execute: Execute) -> None:
    execute("create table t as select 1 a")
    with pytest.raises(
        QueryError, match=r"TABLE_ALREADY_EXISTS: line 1:14: Destination table '.*default.t' already exists"
    ):
        execute("create table t as select 2 a")
    assert execute("create table if not exists t as select 2 a").update_count == 0


def test_insert_adds_rows_and_registers_partitions(rows: Rows, execute: Execute, lake: str) -> None:
    execute(
        f"create table t with (external_location='{lake}t/', partitioned_by=array['k']) as select 1 a, 'x' b, 'p' k"
    )
    assert execute("insert into t (k, a) values ('q', 2)").update_count == 1
    assert execute("insert into t select 3, 'z', 'p'").update_count == 1
    assert rows("select * from t order by a") == [(1, "x", "p"), (2, None, "q"), (3, "z", "p")]
    assert execute("show partitions t").lines == ["k=p", "k=q"]


def test_insert_wrong_types_are_refused(execute: Execute) -> None:
    execute("create table t as select 1 a, 'x' b")
    with pytest.raises(QueryError) as caught:
        execute("insert into t values ('x', 'y')")
    assert str(caught.value) == (
        "TYPE_MISMATCH: line 1:13: Insert query has mismatched column types:"
        " Table: [integer, varchar(1)], Query: [varchar(1), varchar(1)]"
    )


# ALTER and MSCK


def test_alter_partitions_and_repair(rows: Rows, execute: Execute, objects: ObjectStore, lake: str) -> None:
    for day in ("1", "2", "3"):
        objects.write(f"{lake}t/d={day}/f", f"{day}0\n".encode())
    execute(f"create external table t (a int) partitioned by (d int) stored as textfile location '{lake}t/'")
    assert rows("select * from t") == []
    execute("alter table t add if not exists partition (d = 1) partition (d = 2)")
    assert rows("select * from t order by a") == [(10, 1), (20, 2)]
    assert "Repair: Added partition to metastore t:d=3" in execute("msck repair table t").lines
    execute("alter table t drop partition (d = 1)")
    assert rows("select d from t order by d") == [(2,), (3,)]
    execute(f"alter table t partition (d = 3) set location '{lake}t/d=1/'")
    assert rows("select * from t order by d") == [(20, 2), (10, 3)]


def test_alter_columns_and_properties(execute: Execute, catalog: Catalog, lake: str) -> None:
    execute(f"create external table t (a int) location '{lake}t/'")
    execute("alter table t add columns (b string)")
    execute("alter table t change column a a bigint comment 'wide' after b")
    execute("alter table t set tblproperties ('x' = 'y')")
    table = catalog.get_table("default", "t")
    assert [(column["Name"], column["Type"]) for column in table["StorageDescriptor"]["Columns"]] == [
        ("b", "string"),
        ("a", "bigint"),
    ]
    assert table["Parameters"]["x"] == "y"
    execute("alter table t replace columns (z date)")
    assert execute("show columns in t").lines == [f"{'z':<20}"]
