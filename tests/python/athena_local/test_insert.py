"""INSERT INTO Hive tables: what is stored, what is refused, and writers side by side."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from athena_local.catalog import Catalog
from athena_local.errors import QueryError
from athena_local.objects import ObjectStore

Rows = Callable[..., list[tuple[Any, ...]]]
Execute = Callable[..., Any]


def refusal(execute: Execute, sql: str) -> str:
    with pytest.raises(QueryError) as caught:
        execute(sql)
    return str(caught.value)


@pytest.fixture
def table(execute: Execute, lake: str) -> str:
    execute(
        f"create external table t (a int, b string, c decimal(5,2)) stored as parquet location '{lake}t/'"
    )
    return "t"


def test_insert_takes_every_kind_of_query(rows: Rows, execute: Execute, table: str) -> None:
    assert execute("insert into t values (1, 'x', 1.5), (2, null, null)").update_count == 2
    assert execute("insert into t select 3, 'z', 2").update_count == 1
    assert execute("insert into default.t (b, a) select 'only', 4").update_count == 1
    assert execute('insert into "awsdatacatalog"."default"."t" (select 5, \'p\', 0)').update_count == 1
    assert execute("insert into t with w as (select 6 x) select x, 'w', null from w").update_count == 1
    assert execute("insert into t table t").update_count == 6
    assert execute("insert into t select * from t where false").update_count == 0
    found = rows("select a, b, cast(c as varchar), count(*) from t group by 1, 2, 3 order by 1")
    assert found == [
        (1, "x", "1.50", 2), (2, None, None, 2), (3, "z", "2.00", 2), (4, "only", None, 2), (5, "p", "0.00", 2),
        (6, "w", None, 2),
    ]  # fmt: skip


_MISMATCH = "TYPE_MISMATCH: line 1:13: Insert query has mismatched column types: Table: "


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "insert into t values (1, 2, 3)",
            _MISMATCH + "[integer, varchar, decimal(5,2)], Query: [integer, integer, integer]",
        ),
        (
            "insert into t select 1, 'x'",
            _MISMATCH + "[integer, varchar, decimal(5,2)], Query: [integer, varchar(1)]",
        ),
        ("insert into t (a) values (date '2025-01-01')", _MISMATCH + "[integer], Query: [date]"),
        (
            "insert into t (a, z) values (1, 2)",
            "COLUMN_NOT_FOUND: line 1:13: Insert column name does not exist in target table: z",
        ),
        (
            "insert into t (a, A) values (1, 2)",
            "DUPLICATE_COLUMN_NAME: line 1:13: Insert column name is specified more than once: a",
        ),
        (
            "insert into nope values (1)",
            "TABLE_NOT_FOUND: line 1:13: Table 'awsdatacatalog.default.nope' does not exist",
        ),
        ("insert into t values (1, 'x', 1234.5)", "INVALID_CAST_ARGUMENT: "),
        (
            "insert into t select x, 'a', 0 from nope",
            "TABLE_NOT_FOUND: line 1:37: Table 'awsdatacatalog.default.nope'",
        ),
    ],
)
def test_insert_mistake_is_refused_and_adds_nothing(
    execute: Execute, objects: ObjectStore, lake: str, table: str, sql: str, message: str
) -> None:
    assert refusal(execute, sql).startswith(message)
    assert list(objects.list(f"{lake}t/")) == []


def test_insert_overwrite_and_other_heads_are_refused(execute: Execute, table: str) -> None:
    assert refusal(execute, "insert overwrite t select 1").startswith(
        "SYNTAX_ERROR: line 1:8: mismatched input 'overwrite'"
    )
    assert refusal(execute, "insert into t default values").startswith(
        "SYNTAX_ERROR: line 1:15: mismatched input 'default'"
    )


def test_insert_into_bucketed_tables_and_views_is_refused(execute: Execute, lake: str) -> None:
    execute(
        f"create table b with (external_location = '{lake}b/', bucketed_by = array['a'], bucket_count = 2) as select 1 a"
    )
    assert refusal(execute, "insert into b values (2)").startswith(
        "NOT_SUPPORTED: line 1:13: Cannot insert into bucketed table"
    )
    execute("create view v as select 1 a")
    assert (
        refusal(execute, "insert into v values (2)")
        == "NOT_SUPPORTED: line 1:13: Inserting into views is not supported"
    )


@pytest.mark.parametrize("form", ["textfile", "parquet"])
def test_insert_into_partitions_new_and_old(
    rows: Rows, execute: Execute, catalog: Catalog, lake: str, form: str
) -> None:
    execute(
        f"create external table p (a int) partitioned by (d date, n int) stored as {form} location '{lake}p/'"
    )
    execute(f"alter table p add partition (d = '2025-01-01', n = 1) location '{lake}elsewhere/'")
    sql = "insert into p values (1, date '2025-01-01', 1), (2, date '2025-01-02', 2), (3, null, 3)"
    result = execute(sql)
    assert [path.startswith(f"{lake}elsewhere/") for path in sorted(result.manifest)] == [True, False, False]
    assert rows("select a, cast(d as varchar), n from p order by a") == [
        (1, "2025-01-01", 1),
        (2, "2025-01-02", 2),
        (3, None, 3),
    ]
    assert [item["Values"] for item in catalog.get_partitions("default", "p")] == [
        ["2025-01-01", "1"], ["2025-01-02", "2"], ["__HIVE_DEFAULT_PARTITION__", "3"],
    ]  # fmt: skip


def test_insert_into_text_is_read_back_with_its_separators(rows: Rows, execute: Execute, lake: str) -> None:
    execute(
        "create external table t (a array<int>, m map<string,int>, s struct<x:int,y:string>, v string, n string)"
        " row format delimited fields terminated by '|' escaped by '\\\\' collection items terminated by ';'"
        f" map keys terminated by ':' null defined as 'NIL' location '{lake}t/'"
    )
    execute(
        "insert into t select array[1, 2], map(array['k'], array[3]), cast(row(4, 'y') as row(x int, y varchar)),"
        " 'a|b', null"
    )
    assert rows("select a, m['k'], s.x, s.y, v, n from t") == [([1, 2], 3, 4, "y", "a|b", None)]


def test_inserts_side_by_side_are_all_kept(rows: Rows, execute: Execute, lake: str) -> None:
    execute(
        f"create table t with (external_location = '{lake}t/', partitioned_by = array['k']) as select 0 a, 'p' k"
    )
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: execute(f"insert into t values ({n}, 'p'), ({n}, 'q')"), range(1, 9)))
    assert rows("select k, count(*), sum(a) from t group by k order by k") == [("p", 9, 36), ("q", 8, 36)]


def test_insert_that_fails_after_its_uploads_leaves_nothing(
    rows: Rows, execute: Execute, objects: ObjectStore, lake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(
        f"create table t with (external_location = '{lake}t/', partitioned_by = array['k']) as select 0 a, 'p' k"
    )
    before = [item.path for item in objects.list(f"{lake}t/")]

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the catalog is gone")

    monkeypatch.setattr(Catalog, "create_partitions", broken)
    with pytest.raises(RuntimeError):
        execute("insert into t values (1, 'p'), (2, 'q')")
    assert [item.path for item in objects.list(f"{lake}t/")] == before
    assert rows("select a, k from t") == [(0, "p")]


def test_insert_into_each_serde(rows: Rows, execute: Execute, objects: ObjectStore, lake: str) -> None:
    serdes = {
        "openx": "org.openx.data.jsonserde.JsonSerDe' with serdeproperties ('mapping.b' = 'Bee",
        "hcatalog": "org.apache.hive.hcatalog.data.JsonSerDe",
        "csv": "org.apache.hadoop.hive.serde2.OpenCSVSerde",
    }
    for name, serde in serdes.items():
        end = "')" if "with" in serde else "'"
        execute(
            f"create external table {name} (a string, b string) row format serde '{serde}{end} location '{lake}{name}/'"
        )
        execute(f"""insert into {name} values ('x,"1"', 'line'), ('', 'é')""")
        assert rows(f"select * from {name} order by b") == [('x,"1"', "line"), ("", "é")], name
    [written] = list(objects.list(f"{lake}openx/"))
    assert objects.read(written.path).splitlines()[1] == '{"a":"","bee":"é"}'.encode()


def test_insert_into_what_cannot_be_written_is_refused(execute: Execute, lake: str) -> None:
    execute(
        "create external table c (a string, b int) row format serde 'org.apache.hadoop.hive.serde2.OpenCSVSerde'"
        f" location '{lake}c/'"
    )
    assert refusal(execute, "insert into c values ('x', 1)") == (
        "NOT_SUPPORTED: Hive CSV storage format only supports VARCHAR (unbounded). Unsupported columns: b integer"
    )
    execute(
        f"create external table h (a string) location '{lake}h/' tblproperties ('skip.header.line.count' = '1')"
    )
    assert refusal(execute, "insert into h values ('x')") == (
        "NOT_SUPPORTED: Inserting into Hive table with skip.header.line.count property not supported"
    )
    execute(
        "create external table r (a string) row format serde 'org.apache.hadoop.hive.serde2.RegexSerDe'"
        f" with serdeproperties ('input.regex' = '(.*)') location '{lake}r/'"
    )
    assert refusal(execute, "insert into r values ('x')") == (
        "NOT_SUPPORTED: Inserting into a table with org.apache.hadoop.hive.serde2.RegexSerDe is not supported"
    )
