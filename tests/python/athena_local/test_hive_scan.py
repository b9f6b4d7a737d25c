"""Which objects a Hive table is, which of them a query lists and fetches, and the columns and tables that hide beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from athena_local.catalog import Catalog
from athena_local.errors import QueryError
from athena_local.objects import ObjectStore

Rows = Callable[..., list[tuple[Any, ...]]]
Execute = Callable[..., Any]


@pytest.fixture
def asked(objects: ObjectStore, lake: str) -> Iterator[list[str]]:
    """What is asked of S3: `list prefix` and `get key`, below the lake."""
    found: list[str] = []

    def note(word: str, name: str) -> Callable[..., None]:
        def handler(params: dict[str, Any], **_: Any) -> None:
            found.append(f"{word} " + f"s3://{params['Bucket']}/{params[name]}".removeprefix(lake))

        return handler

    handlers = {
        "before-parameter-build.s3.ListObjectsV2": note("list", "Prefix"),
        "before-parameter-build.s3.GetObject": note("get", "Key"),
    }
    for event, handler in handlers.items():
        objects.client.meta.events.register(event, handler)
    yield found
    for event, handler in handlers.items():
        objects.client.meta.events.unregister(event, handler)


def partitioned(execute: Execute, objects: ObjectStore, lake: str, kind: str, values: list[str]) -> None:
    execute(
        f"create external table t (v string) partitioned by (k {kind}) row format delimited fields terminated by ','"
        f" location '{lake}t/'"
    )
    for index, value in enumerate(values):
        objects.write(f"{lake}t/{index}/f", f"{value}\n".encode())
    listed = " ".join(
        f"partition (k = '{value}') location '{lake}t/{index}/'" for index, value in enumerate(values)
    )
    execute(f"alter table t add {listed}")


@pytest.mark.parametrize(
    ("kind", "values", "where", "kept"),
    [
        ("string", ["a", "b", "aa"], "k = 'a'", [0]),
        ("string", ["a", "b", "aa"], "k like 'a%' and length(k) > 1", [2]),
        ("string", ["a", "b", "aa"], "upper(k) in ('B', 'AA')", [1, 2]),
        ("int", ["7", "07", "10"], "k = 7", [0, 1]),
        ("int", ["7", "8", "10"], "k % 2 = 0 and k < 10", [1]),
        ("bigint", ["-5", "5000000000"], "k > 4999999999", [1]),
        ("date", ["2025-01-31", "2025-02-01"], "k >= date '2025-02-01'", [1]),
        ("date", ["2025-01-31", "2025-02-01"], "month(k) = 1", [0]),
        ("date", ["2025-01-31", "2025-02-01"], "date_trunc('month', k) = date '2025-02-01'", [1]),
        (
            "timestamp",
            ["2025-01-31 10:00:00", "2025-02-01 00:00:00"],
            "k < timestamp '2025-01-31 10:00:01'",
            [0],
        ),
        ("boolean", ["true", "false"], "not k", [1]),
        ("decimal(5,2)", ["1.50", "2"], "k = 1.5", [0]),
        ("double", ["1.5", "2e0"], "k > 1.9e0", [1]),
        ("varchar(3)", ["abc", "d"], "k || 'x' = 'dx'", [1]),
        ("string", ["a", "__HIVE_DEFAULT_PARTITION__"], "k is null", [1]),
        ("string", ["a", "__HIVE_DEFAULT_PARTITION__"], "coalesce(k, 'z') <> 'a'", [1]),
        ("int", ["1", "2"], "(k = 1 or k = 2) and not (k = 2)", [0]),
    ],
)
def test_partitions_are_pruned_before_they_are_listed(
    rows: Rows,
    execute: Execute,
    objects: ObjectStore,
    lake: str,
    asked: list[str],
    kind: str,
    values: list[str],
    where: str,
    kept: list[int],
) -> None:
    partitioned(execute, objects, lake, kind, values)
    asked.clear()
    assert sorted(rows(f"select v from t where {where}")) == sorted((values[index],) for index in kept)
    assert sorted(asked) == sorted([f"list t/{i}/" for i in kept] + [f"get t/{i}/f" for i in kept])


def test_partition_value_of_another_type_is_an_error(
    rows: Rows, execute: Execute, objects: ObjectStore, lake: str
) -> None:
    partitioned(execute, objects, lake, "int", ["1", "x"])
    with pytest.raises(QueryError) as caught:
        rows("select v from t where k > 0")
    assert str(caught.value) == (
        "HIVE_INVALID_PARTITION_VALUE: Invalid partition value 'x' for INTEGER partition key: k"
    )


def test_conditions_on_a_joined_table_prune_it(
    rows: Rows, execute: Execute, objects: ObjectStore, lake: str, asked: list[str]
) -> None:
    partitioned(execute, objects, lake, "int", ["1", "2"])
    asked.clear()
    assert rows("select x.v from (values 1, 2) n(i) join t x on x.k = n.i where x.k = 2") == [("2",)]
    assert asked == ["list t/1/", "get t/1/f"]


def test_hidden_columns_say_where_a_row_is_and_prune(
    rows: Rows, execute: Execute, objects: ObjectStore, lake: str, asked: list[str]
) -> None:
    partitioned(execute, objects, lake, "string", ["a b", "b"])
    path = f"{lake}t/1/f"
    [(where, size, partition)] = rows('select "$path", "$file_size", "$partition" from t where k = \'a b\'')
    assert (where, size, partition) == (f"{lake}t/0/f", 4, "k=a b")
    asked.clear()
    assert rows(f"select v from t where \"$path\" = '{path}'") == [("b",)]
    assert [item for item in asked if item.startswith("get")] == ["get t/1/f"]
    asked.clear()
    assert rows('select count(*) from t where "$file_size" > 100') == [(0,)]
    assert not [item for item in asked if item.startswith("get")]
    assert rows(
        "select count(*) from t where \"$file_modified_time\" > timestamp '2020-01-01 00:00:00 UTC'"
    ) == [(2,)]


def test_hidden_bucket_is_the_file_names(
    rows: Rows, execute: Execute, objects: ObjectStore, lake: str
) -> None:
    for name in ("000000_0_a", "000001_0_b"):
        objects.write(f"{lake}b/{name}", name[5:6].encode() + b"\n")
    execute(f"create external table b (v int) clustered by (v) into 2 buckets location '{lake}b/'")
    assert rows('select v, "$bucket" from b order by v') == [(0, 0), (1, 1)]
    execute(f"create external table p (v int) location '{lake}b/'")
    for column in ("$bucket", "$partition"):
        with pytest.raises(QueryError, match="COLUMN_NOT_FOUND"):
            rows(f'select "{column}" from p')


def test_hidden_tables_show_partitions_and_properties(
    rows: Rows, execute: Execute, objects: ObjectStore, lake: str
) -> None:
    partitioned(execute, objects, lake, "int", ["1", "2"])
    assert rows('select k from "t$partitions" where k > 1') == [(2,)]
    execute("alter table t set tblproperties ('note' = 'it''s')")
    assert rows('select external, note from default."t$properties"') == [("TRUE", "it's")]
    with pytest.raises(QueryError, match=r"Table 'awsdatacatalog.default.t\$files' does not exist"):
        rows('select * from "t$files"')
    execute("alter table t set tblproperties ('projection.enabled'='true', 'projection.k.type'='integer',"
            " 'projection.k.range'='5,7')")  # fmt: skip
    assert rows('select k from "t$partitions" order by k') == [(5,), (6,), (7,)]


def test_table_is_every_object_below_its_location_but_hidden_and_empty_ones(
    rows: Rows, execute: Execute, objects: ObjectStore, lake: str
) -> None:
    for name, body in {
        "a.csv": b"1\n", "deep/er/b": b"2\n", "c.tmp": b"3\n", "_SUCCESS": b"4\n", ".hidden": b"5\n", "_dir/x": b"6\n",
        "deep/_x/y": b"7\n", "deep/.x/y": b"8\n", "empty": b"", "folder/": b"", "deep/er/with space+%": b"9\n",
    }.items():  # fmt: skip
        objects.write(f"{lake}t/{name}", body)
    objects.write(f"{lake}tother/z", b"99\n")
    execute(f"create external table t (v int) location '{lake}t'")
    assert rows("select v from t order by v") == [(1,), (2,), (3,), (9,)]


def test_table_without_objects_or_with_empty_partitions_has_no_rows(
    rows: Rows, execute: Execute, lake: str
) -> None:
    execute(f"create external table t (v int) partitioned by (k string) location '{lake}t/'")
    assert rows("select * from t") == []
    execute("alter table t add partition (k = 'x')")
    assert rows('select v, k, "$path" from t') == []
    assert rows("select count(*) from t") == [(0,)]


def test_location_with_the_older_schemes_is_read(
    rows: Rows, execute: Execute, objects: ObjectStore, catalog: Catalog, lake: str
) -> None:
    objects.write(f"{lake}t/f", b"1\n")
    execute(f"create external table t (v int) location '{lake}t/'")
    record = catalog.get_table("default", "t")
    record["StorageDescriptor"]["Location"] = f"{lake}t/".replace("s3://", "s3a://")
    body = {key: record[key] for key in ("Name", "StorageDescriptor", "Parameters", "TableType")}
    catalog.update_table("default", body)
    assert rows("select v from t") == [(1,)]


@pytest.mark.parametrize(
    ("sql", "kept"),
    [
        ("select v from (select * from t) s where s.k = 2", [1]),
        ("select v from (select v, k as kk from t) where kk = 2", [1]),
        ("with s as (select * from t) select v from s where k = 2", [1]),
        ("with a as (select * from t), b as (select v, k n from a where k < 3), c as (select * from b)"
         " select c.v from c left join (values 1) x(i) on c.n = x.i where c.n > 1", [1]),
        ("select v from w where j = 2", [1]),
        ("select v from x where j + 1 = 3 and v <> 'z'", [1]),
        # not through what makes one row of several, or where another use of it needs the rest
        ("select v from (select v, k, count(*) over () n from t) where k = 2", [0, 1, 2]),
        ("select k from (select k from t group by k) where k = 2", [0, 1, 2]),
        ("select v from (select * from t order by k limit 3) where k = 2", [0, 1, 2]),
        ("with s as (select * from t) select a.v from s a join s b on b.k = a.k where a.k = 2", [0, 1, 2]),
        ("select b.v from (values 2) a(i) left join (select * from t) b on b.k = a.i where b.k = 2", [0, 1, 2]),
    ],
)  # fmt: skip
def test_conditions_prune_through_subqueries_views_and_with(
    rows: Rows, execute: Execute, objects: ObjectStore, lake: str, asked: list[str], sql: str, kept: list[int]
) -> None:
    partitioned(execute, objects, lake, "int", ["1", "2", "3"])
    execute("create view w as select v, k as j from t")
    execute("create view x as with s as (select * from w) select * from s")
    asked.clear()
    assert rows(sql) == [("2",)] or rows(sql) == [(2,)]
    assert {item for item in asked if item.startswith("list")} == {f"list t/{index}/" for index in kept}


@pytest.mark.parametrize("partitions", [0, 2, 20])
@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_archived_objects_are_passed_over(
    rows: Rows, execute: Execute, objects: ObjectStore, lake: str, partitions: int, storage_class: str
) -> None:
    """As Athena does with what lies in S3's archive; a class that S3 reads at once is read."""
    if partitions:
        partitioned(execute, objects, lake, "int", [str(number) for number in range(partitions)])
    else:
        execute(f"create external table t (v string) location '{lake}t/'")
        objects.write(f"{lake}t/0/f", b"0\n")
    before = rows("select v from t")
    objects.write(f"{lake}t/0/archived", b"archived\n", StorageClass=storage_class)
    objects.write(f"{lake}t/0/read", b"read\n", StorageClass="GLACIER_IR")
    assert sorted(rows("select v from t")) == sorted([*before, ("read",)])
