"""AWS SDK for pandas: each way of reading, datasets into the catalog, saved and prepared statements, the catalog itself."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import awswrangler as wr
import pandas as pd
import pytest

pytestmark = pytest.mark.filterwarnings(
    "ignore::pandas.errors.Pandas4Warning"  # awswrangler 3.17 asks pandas 3 for what pandas 4 drops
)


@pytest.fixture(scope="module", autouse=True)
def settings(environment: dict[str, str], work_group: str) -> Iterator[None]:
    wr.config.athena_query_wait_polling_delay = 0.01
    wr.config.workgroup = work_group
    yield
    wr.config.reset()


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": pd.array([1, 2, 3], dtype="Int64"),
            "price": [Decimal("1.50"), Decimal("2.00"), None],
            "label": pd.array(["a", 'b,"c', None], dtype="string"),
            "ratio": [0.5, 1.5, 2.5],
            "flag": pd.array([True, False, None], dtype="boolean"),
            "day": [dt.date(2024, 1, 1), dt.date(2024, 1, 2), None],
            "moment": [dt.datetime(2024, 1, 1, 10, 0, 0, 500000)] * 3,
            "shop": pd.array(["x", "x", "y"], dtype="string"),
        }
    )


@pytest.fixture
def sold(frame: pd.DataFrame, database: str, table: str, lake: str) -> str:
    """A Parquet table partitioned by shop, three rows."""
    wr.s3.to_parquet(
        frame,
        path=f"{lake}{table}/",
        dataset=True,
        database=database,
        table=table,
        partition_cols=["shop"],
        dtype={"price": "decimal(10,2)", "moment": "timestamp"},
        glue_table_settings={"description": "sold things", "columns_comments": {"id": "the key"}},
    )
    return table


def values(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """A frame's rows with one None for every kind of nothing."""
    return [
        tuple(None if not isinstance(cell, list | dict) and pd.isna(cell) else cell for cell in row)
        for row in frame.itertuples(index=False, name=None)
    ]


EXPECTED = [
    (1, Decimal("1.50"), "a", 0.5, True, dt.date(2024, 1, 1), pd.Timestamp("2024-01-01T10:00:00.500"), "x"),
    (
        2,
        Decimal("2.00"),
        'b,"c',
        1.5,
        False,
        dt.date(2024, 1, 2),
        pd.Timestamp("2024-01-01T10:00:00.500"),
        "x",
    ),
    (3, None, None, 2.5, None, None, pd.Timestamp("2024-01-01T10:00:00.500"), "y"),
]
APPROACHES = {
    "plain": {"ctas_approach": False},
    "ctas": {"ctas_approach": True},
    "unload": {"ctas_approach": False, "unload_approach": True},
}


@pytest.mark.parametrize("approach", APPROACHES)
def test_read_sql_query_in_each_approach(sold: str, database: str, lake: str, approach: str) -> None:
    arguments: dict[str, Any] = {"database": database, **APPROACHES[approach]}
    if approach == "unload":
        arguments["s3_output"] = f"{lake}unloaded/"
    found = wr.athena.read_sql_query(
        f"select id, price, label, ratio, flag, day, moment, shop from {sold} order by id", **arguments
    )
    assert values(found.sort_values("id")) == EXPECTED
    assert found.query_metadata["Status"]["State"] == "SUCCEEDED"
    assert [name for name in wr.catalog.tables(database=database)["Table"] if name != sold] == []


@pytest.mark.parametrize("approach", APPROACHES)
def test_read_sql_query_in_chunks(sold: str, database: str, lake: str, approach: str) -> None:
    arguments: dict[str, Any] = {"database": database, "chunksize": 2, **APPROACHES[approach]}
    if approach == "unload":
        arguments["s3_output"] = f"{lake}unloaded/"
    chunks = list(wr.athena.read_sql_query(f"select id from {sold} order by id", **arguments))
    assert sorted(number for chunk in chunks for number in chunk["id"]) == [1, 2, 3]
    assert all(len(chunk) <= 2 for chunk in chunks)


def test_nested_values_come_back_by_ctas_and_unload(database: str, lake: str) -> None:
    sql = (
        "select array[1, null] as a, map(array['k'], array[1.5e0]) as m,"
        " cast(row(1, 'x') as row(n bigint, t varchar)) as r"
    )
    by_ctas = wr.athena.read_sql_query(sql, database=database)
    by_unload = wr.athena.read_sql_query(
        sql, database=database, ctas_approach=False, unload_approach=True, s3_output=f"{lake}nested/"
    )
    for found in (by_ctas, by_unload):
        row = found.iloc[0]
        assert [None if pd.isna(one) else one for one in row["a"]] == [1, None]
        assert list(row["m"]) == [("k", 1.5)]
        assert row["r"] == {"n": 1, "t": "x"}


@pytest.mark.parametrize("approach", APPROACHES)
def test_parameters_in_both_styles(sold: str, database: str, lake: str, approach: str) -> None:
    arguments: dict[str, Any] = {"database": database, **APPROACHES[approach]}

    def output(name: str) -> dict[str, str]:  # an UNLOAD wants an empty place for itself
        return {"s3_output": f"{lake}{name}/"} if approach == "unload" else {}

    named = wr.athena.read_sql_query(
        f"select id from {sold} where label = :label and day = :day",
        params={"label": "a", "day": dt.date(2024, 1, 1)},
        **arguments,
        **output("named"),
    )
    marked = wr.athena.read_sql_query(
        f"select id from {sold} where label = ? and id < ?",
        params=['b,"c', "3"],
        paramstyle="qmark",
        **arguments,
        **output("marked"),
    )
    assert (named["id"].tolist(), marked["id"].tolist()) == ([1], [2])


def test_no_rows_and_failures(sold: str, database: str) -> None:
    empty = wr.athena.read_sql_query(
        f"select id, label from {sold} where id > 9", database=database, ctas_approach=False
    )
    assert (len(empty), list(empty.columns)) == (0, ["id", "label"])
    with pytest.raises(wr.exceptions.QueryFailed, match=r"COLUMN_NOT_FOUND.*Column 'nothing'"):
        wr.athena.read_sql_query(f"select nothing from {sold}", database=database, ctas_approach=False)
    with pytest.raises(wr.exceptions.InvalidArgumentValue):
        wr.athena.read_sql_query("select 1, 2", database=database)


def test_read_sql_table_and_its_types(sold: str, database: str) -> None:
    assert len(wr.athena.read_sql_table(sold, database=database)) == 3
    assert wr.catalog.get_table_types(database=database, table=sold) == {
        "id": "bigint",
        "price": "decimal(10,2)",
        "label": "string",
        "ratio": "double",
        "flag": "boolean",
        "day": "date",
        "moment": "timestamp",
        "shop": "string",
    }
    query_id = wr.athena.start_query_execution(
        f"select id, price, array[1] as a from {sold}", database=database
    )
    assert wr.athena.wait_query(query_id)["Status"]["State"] == "SUCCEEDED"
    assert wr.athena.get_query_columns_types(query_id) == {
        "id": "bigint",
        "price": "decimal(10,2)",
        "a": "array",
    }
    assert len(wr.athena.get_query_results(query_id)) == 3
    assert query_id in wr.athena.list_query_executions(workgroup=wr.config.workgroup)
    executions = wr.athena.get_query_executions([query_id])
    assert executions["QueryExecutionId"].tolist() == [query_id]


def test_partitions_are_overwritten_alone(
    sold: str, frame: pd.DataFrame, database: str, lake: str, table: str
) -> None:
    arguments = {
        "path": f"{lake}{table}/",
        "dataset": True,
        "database": database,
        "table": sold,
        "partition_cols": ["shop"],
        "dtype": {"price": "decimal(10,2)", "moment": "timestamp"},
    }

    def found() -> list[tuple[str, int]]:
        rows = wr.athena.read_sql_query(
            f"select shop, count(*) as n from {sold} group by 1 order by 1",
            database=database,
            ctas_approach=False,
        )
        return [(shop, int(n)) for shop, n in values(rows)]

    wr.s3.to_parquet(frame.assign(shop="z"), mode="append", **arguments)
    assert found() == [("x", 2), ("y", 1), ("z", 3)]
    wr.s3.to_parquet(frame.head(1).assign(shop="z"), mode="overwrite_partitions", **arguments)
    assert found() == [("x", 2), ("y", 1), ("z", 1)]
    wider = frame.head(1).assign(shop="w", extra=7)
    wr.s3.to_parquet(wider, mode="append", schema_evolution=True, **arguments)
    assert wr.catalog.get_table_types(database=database, table=sold)["extra"] == "bigint"
    assert sorted(wr.catalog.get_partitions(database=database, table=sold).values()) == [
        ["w"],
        ["x"],
        ["y"],
        ["z"],
    ]
    wr.s3.to_parquet(frame.head(1), mode="overwrite", **arguments)
    assert found() == [("x", 1)]


def test_partitions_found_by_repair_and_by_hand(
    frame: pd.DataFrame, database: str, table: str, lake: str
) -> None:
    path = f"{lake}{table}/"
    wr.s3.to_parquet(frame[["id", "shop"]], path=path, dataset=True, partition_cols=["shop"])
    wr.catalog.create_parquet_table(
        database=database,
        table=table,
        path=path,
        columns_types={"id": "bigint"},
        partitions_types={"shop": "string"},
        description="by hand",
    )
    sql = f"select count(*) as n from {table}"
    read = {"database": database, "ctas_approach": False}
    assert wr.athena.read_sql_query(sql, **read)["n"].tolist() == [0]
    assert wr.athena.repair_table(table=table, database=database) == "SUCCEEDED"
    assert wr.athena.read_sql_query(sql, **read)["n"].tolist() == [3]
    wr.catalog.add_parquet_partitions(
        database=database, table=table, partitions_values={f"{path}shop=new/": ["new"]}
    )
    assert sorted(wr.catalog.get_parquet_partitions(database=database, table=table).values()) == [
        ["new"],
        ["x"],
        ["y"],
    ]
    wr.catalog.delete_partitions(database=database, table=table, partitions_values=[["new"], ["x"]])
    assert wr.athena.read_sql_query(sql, **read)["n"].tolist() == [1]


def test_describe_and_show_create(sold: str, database: str) -> None:
    described = wr.athena.describe_table(table=sold, database=database)
    assert described.columns.tolist() == ["Column Name", "Type", "Partition", "Comment"]
    assert described.iloc[0].tolist() == ["id", "bigint", False, "the key"]
    assert described.iloc[-1].tolist()[:3] == ["shop", "string", True]
    shown = wr.athena.show_create_table(table=sold, database=database)
    assert shown.startswith(f"CREATE EXTERNAL TABLE `{sold}`( `id` bigint COMMENT 'the key', ")
    assert "PARTITIONED BY ( `shop` string)" in " ".join(shown.split())
    generated = wr.athena.generate_create_query(table=sold, database=database)
    assert generated.splitlines()[0] == f"CREATE EXTERNAL TABLE `{sold}`("


def test_catalog_answers(sold: str, database: str, lake: str, table: str) -> None:
    assert wr.catalog.does_table_exist(database=database, table=sold)
    assert not wr.catalog.does_table_exist(database=database, table="nothing")
    assert wr.catalog.get_table_location(database=database, table=sold) == f"{lake}{table}/"
    assert wr.catalog.get_table_description(database=database, table=sold) == "sold things"
    assert wr.catalog.get_table_parameters(database=database, table=sold)["classification"] == "parquet"
    assert wr.catalog.get_columns_comments(database=database, table=sold)["id"] == "the key"
    assert wr.catalog.table(database=database, table=sold)["Column Name"].tolist()[-1] == "shop"
    for search in ({"name_prefix": sold[:6]}, {"name_suffix": sold[-6:]}, {"name_contains": sold[2:8]}):
        assert [one["Name"] for one in wr.catalog.get_tables(database=database, **search)] == [sold]
    assert database in wr.catalog.databases(limit=1000)["Database"].tolist()
    wr.catalog.upsert_table_parameters({"owner": "sales"}, database=database, table=sold)
    assert wr.catalog.get_table_parameters(database=database, table=sold)["owner"] == "sales"
    wr.catalog.overwrite_table_parameters({"owner": "ops"}, database=database, table=sold)
    assert wr.catalog.get_table_parameters(database=database, table=sold) == {"owner": "ops"}
    assert wr.catalog.delete_column(database=database, table=sold, column_name="ratio") is None
    assert "ratio" not in wr.catalog.get_table_types(database=database, table=sold)
    wr.catalog.add_column(
        database=database, table=sold, column_name="late", column_type="int", column_comment="new"
    )
    assert wr.catalog.get_table_types(database=database, table=sold)["late"] == "int"
    assert wr.catalog.get_table_number_of_versions(database=database, table=sold) > 1
    assert wr.catalog.delete_table_if_exists(database=database, table=sold)
    assert not wr.catalog.delete_table_if_exists(database=database, table=sold)


def test_csv_and_json_datasets(database: str, table: str, lake: str) -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y;z"], "p": ["one", "two"]})
    wr.s3.to_csv(
        frame,
        path=f"{lake}csv/",
        dataset=True,
        database=database,
        table=f"{table}_csv",
        partition_cols=["p"],
        index=False,
        sep="|",
    )
    wr.s3.to_json(
        frame,
        path=f"{lake}json/",
        dataset=True,
        database=database,
        table=f"{table}_json",
        orient="records",
        lines=True,
        index=False,
    )
    for name in (f"{table}_csv", f"{table}_json"):
        found = wr.athena.read_sql_query(
            f"select a, b, p from {name} order by a", database=database, ctas_approach=False
        )
        assert values(found) == [(1, "x", "one"), (2, "y;z", "two")]


def test_csv_and_json_tables_over_files(database: str, table: str, lake: str, s3: Any) -> None:
    bucket, _, prefix = lake.removeprefix("s3://").partition("/")
    s3.put_object(Bucket=bucket, Key=f"{prefix}csv/1.csv", Body=b'id,name\n1,"a, b"\n2,\n')
    s3.put_object(Bucket=bucket, Key=f"{prefix}json/1.json", Body=b'{"id": 1, "tags": ["x"]}\n{"id": 2}\n')
    wr.catalog.create_csv_table(
        database=database,
        table=f"{table}_csv",
        path=f"{lake}csv/",
        columns_types={"id": "string", "name": "string"},
        serde_library="org.apache.hadoop.hive.serde2.OpenCSVSerde",
        skip_header_line_count=1,
    )
    wr.catalog.create_json_table(
        database=database,
        table=f"{table}_json",
        path=f"{lake}json/",
        columns_types={"id": "int", "tags": "array<string>"},
    )
    read = {"database": database, "ctas_approach": False}
    found = wr.athena.read_sql_query(f"select id, name from {table}_csv order by id", **read)
    assert values(found) == [("1", "a, b"), ("2", None)]
    found = wr.athena.read_sql_query(f"select id, tags[1] as tag from {table}_json order by id", **read)
    assert values(found) == [(1, "x"), (2, None)]


def test_projected_partitions_need_no_catalog(database: str, table: str, lake: str) -> None:
    frame = pd.DataFrame(
        {"v": [1, 2, 3], "kind": ["a", "b", "a"], "year": [2023, 2024, 2025], "day": ["2024-01-01"] * 3}
    )
    wr.s3.to_parquet(
        frame,
        path=f"{lake}{table}/",
        dataset=True,
        database=database,
        table=table,
        partition_cols=["kind", "year", "day"],
        athena_partition_projection_settings={
            "projection_types": {"kind": "enum", "year": "integer", "day": "date"},
            "projection_values": {"kind": "a,b"},
            "projection_ranges": {"year": "2020,2030", "day": "2024-01-01,2024-01-03"},
            "projection_formats": {"day": "yyyy-MM-dd"},
        },
        glue_table_settings={"regular_partitions": False},
    )
    assert wr.catalog.get_partitions(database=database, table=table) == {}
    found = wr.athena.read_sql_query(
        f"select v, kind, year, day from {table} where kind = 'a' order by v",
        database=database,
        ctas_approach=False,
    )
    assert values(found) == [(1, "a", 2023, "2024-01-01"), (3, "a", 2025, "2024-01-01")]


def test_ctas_table_with_partitions_and_buckets(sold: str, database: str, lake: str) -> None:
    made = wr.athena.create_ctas_table(
        f"select id, label, shop from {sold}",
        database=database,
        ctas_table=f"{sold}_copy",
        s3_output=f"{lake}copy/",
        storage_format="parquet",
        write_compression="zstd",
        partitioning_info=["shop"],
        bucketing_info=(["id"], 2),
        wait=True,
    )
    assert made["ctas_query_metadata"].raw_payload["Status"]["State"] == "SUCCEEDED"
    found = wr.athena.read_sql_query(
        f"select count(*) as n, count(distinct shop) as shops from {sold}_copy",
        database=database,
        ctas_approach=False,
    )
    assert values(found) == [(3, 2)]
    assert sorted(wr.catalog.get_partitions(database=database, table=f"{sold}_copy").values()) == [
        ["x"],
        ["y"],
    ]


def test_cache_answers_without_a_query(sold: str, database: str) -> None:
    sql = f"select id, label from {sold} order by id"
    first = wr.athena.read_sql_query(sql, database=database, ctas_approach=False)
    again = wr.athena.read_sql_query(
        sql, database=database, ctas_approach=False, athena_cache_settings={"max_cache_seconds": 300}
    )
    assert again.query_metadata["QueryExecutionId"] == first.query_metadata["QueryExecutionId"]
    assert values(again) == values(first)


def test_named_query_and_prepared_statements(sold: str, database: str, athena: Any) -> None:
    named = athena.create_named_query(
        Name="wrangled", Database=database, QueryString=f"select id from {sold} where id = :id;"
    )["NamedQueryId"]
    statement = wr.athena.get_named_query_statement(named)
    found = wr.athena.read_sql_query(statement, database=database, params={"id": 2}, ctas_approach=False)
    assert found["id"].tolist() == [2]

    prepared = f"p_{sold}"
    wr.athena.create_prepared_statement(
        sql=f"select id from {sold} where shop = ? and id > ?", statement_name=prepared
    )
    assert prepared in [one["StatementName"] for one in wr.athena.list_prepared_statements()]
    for sql, arguments in (
        (f"execute {prepared} using 'x', 1", {}),
        (f"execute {prepared}", {"params": ["x", "1"], "paramstyle": "qmark"}),
    ):
        found = wr.athena.read_sql_query(sql, database=database, ctas_approach=False, **arguments)
        assert found["id"].tolist() == [2]
    wr.athena.create_prepared_statement(
        sql=f"select id from {sold} where shop = ?", statement_name=prepared, mode="update"
    )
    found = wr.athena.read_sql_query(f"execute {prepared} using 'y'", database=database, ctas_approach=False)
    assert found["id"].tolist() == [3]
    wr.athena.delete_prepared_statement(prepared)
    assert prepared not in [one["StatementName"] for one in wr.athena.list_prepared_statements()]


def test_unload_writes_files_of_ones_own(sold: str, database: str, lake: str) -> None:
    done = wr.athena.unload(
        f"select id, label, shop from {sold}",
        path=f"{lake}out/",
        database=database,
        file_format="PARQUET",
        compression="gzip",
        partitioned_by=["shop"],
    )
    assert done.raw_payload["Status"]["State"] == "SUCCEEDED"
    found = wr.s3.read_parquet(f"{lake}out/", dataset=True, path_ignore_suffix=[".csv", ".metadata"])
    assert sorted(zip(found["id"], found["shop"], strict=True)) == [(1, "x"), (2, "x"), (3, "y")]
