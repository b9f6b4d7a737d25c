"""The whole server on real statements, as dbt-athena and PyAthena send them: SQL in, rows, files and catalog out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

Rows = list[tuple[str | None, ...]]
RunQuery = Callable[..., Rows]

HEADER = '-- /* {"app": "dbt", "dbt_version": "1.11.16", "profile_name": "p", "target_name": "local"} */\n'
CSV = "id,day,amount,name\n1,2025-01-01,1.5,ann\n2,2025-01-01,,bob\n3,2025-02-01,1e10,\n"


@pytest.fixture
def orders(run_query: RunQuery, server: Any, s3: Any, database: str, lake: str) -> str:
    """An external CSV table of three rows."""
    bucket, prefix = lake.removeprefix("s3://").split("/", 1)
    s3.put_object(Bucket=bucket, Key=f"{prefix}orders/part.csv", Body=CSV.encode())
    run_query(
        f"""create external table {database}.orders (id int, day date, amount double, name string)
        row format delimited fields terminated by ',' lines terminated by '\\n'
        stored as textfile location '{lake}orders/'
        tblproperties ('skip.header.line.count'='1')"""
    )
    return f"{database}.orders"


def test_select_one(run_query: RunQuery) -> None:
    assert run_query("select 1 as a, 'x' as b, null as c;") == [("1", "x", None)]


def test_values_are_athenas_text(run_query: RunQuery) -> None:
    row = run_query(
        """select true, 1e10, cast(1.5 as real), cast(1.10 as decimal(10,2)), date '2025-01-01',
        timestamp '2025-01-01 10:00:00.000', array[1, 2], map(array['a'], array[1]),
        cast(row(1, 'x') as row(a int, b varchar)), to_utf8('a')"""
    )
    assert row == [
        (
            "true",
            "1.0E10",
            "1.5",
            "1.10",
            "2025-01-01",
            "2025-01-01 10:00:00.000",
            "[1, 2]",
            "{a=1}",
            "{a=1, b=x}",
            "61",
        )
    ]


def test_external_table_reads_csv(run_query: RunQuery, orders: str) -> None:
    assert run_query(f"select * from {orders} order by id") == [
        ("1", "2025-01-01", "1.5", "ann"),
        ("2", "2025-01-01", None, "bob"),
        ("3", "2025-02-01", "1.0E10", ""),
    ]


def test_bytes_scanned_are_the_objects_size(server: Any, orders: str) -> None:
    execution = server.wait(server.start(f"select * from {orders}"))
    assert execution["Statistics"]["DataScannedInBytes"] == len(CSV)


def test_hive_ctas_counts_rows_and_lists_its_files(
    server: Any, glue: Any, s3: Any, run_query: RunQuery, orders: str, database: str, lake: str
) -> None:
    execution = server.wait(
        server.start(
            f"""{HEADER}create table "{database}"."by_day"
            with (table_type='hive', is_external=true, external_location='{lake}by_day',
                  partitioned_by=ARRAY['day'], format='parquet', write_compression='snappy') as
            select id, amount, name, day from {orders}"""
        )
    )
    assert (execution["Status"]["State"], execution["SubstatementType"]) == (
        "SUCCEEDED",
        "CREATE_TABLE_AS_SELECT",
    )
    answer = server.athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])
    assert answer["UpdateCount"] == 3
    partitions = glue.get_partitions(DatabaseName=database, TableName="by_day")["Partitions"]
    assert [one["Values"] for one in partitions] == [["2025-01-01"], ["2025-02-01"]]
    bucket, key = execution["Statistics"]["DataManifestLocation"].removeprefix("s3://").split("/", 1)
    manifest = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode().split()
    assert len(manifest) == 2
    assert all(path.startswith(f"{lake}by_day/day=") for path in manifest)
    assert run_query(f"select id from {database}.by_day where day = date '2025-02-01'") == [("3",)]


def test_failed_ctas_leaves_no_table_and_no_files(
    server: Any, glue: Any, s3: Any, database: str, lake: str
) -> None:
    sql = f"create table {database}.broken with (external_location='{lake}broken') as select missing from nowhere"
    status = server.wait(server.start(sql, database))["Status"]
    assert status["State"] == "FAILED"
    assert "TABLE_NOT_FOUND" in status["StateChangeReason"]
    assert glue.get_tables(DatabaseName=database)["TableList"] == []
    bucket, prefix = lake.removeprefix("s3://").split("/", 1)
    assert s3.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}broken")["KeyCount"] == 0


def test_iceberg_life(
    run_query: RunQuery, glue: Any, server: Any, orders: str, database: str, lake: str
) -> None:
    table = f"{database}.marts"
    run_query(
        f"""{HEADER}create table {table}
        with (table_type='iceberg', is_external=false, location='{lake}marts', partitioning=ARRAY['month(day)'],
              format='parquet') as select id, day, amount, name from {orders}"""
    )
    parameters = glue.get_table(DatabaseName=database, Name="marts")["Table"]["Parameters"]
    assert parameters["table_type"] == "ICEBERG"
    assert parameters["metadata_location"].startswith(f"{lake}marts/metadata/")
    execution = server.wait(server.start(f"insert into {table} values (4, date '2025-03-01', 4.0, 'dan')"))
    assert server.athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])["UpdateCount"] == 1
    run_query(
        f"""merge into {table} t using (select * from (values (1, 10.0), (5, 50.0)) as s(id, amount)) s
        on t.id = s.id
        when matched then update set amount = s.amount
        when not matched then insert (id, day, amount, name) values (s.id, date '2025-04-01', s.amount, 'new')"""
    )
    run_query(f"delete from {table} where id = 2")
    assert run_query(f"select id, amount, name from {table} order by id") == [
        ("1", "10.0", "ann"),
        ("3", "1.0E10", ""),
        ("4", "4.0", "dan"),
        ("5", "50.0", "new"),
    ]
    run_query(f"drop table {table}")
    assert [one["Name"] for one in glue.get_tables(DatabaseName=database)["TableList"]] == ["orders"]


def test_view_and_its_metadata(run_query: RunQuery, server: Any, orders: str, database: str) -> None:
    run_query(
        f"{HEADER}create or replace view {database}.named as select id, upper(name) as name from {orders}"
    )
    assert run_query(f"select name from {database}.named where id = 1") == [("ANN",)]
    where = {"CatalogName": "awsdatacatalog", "DatabaseName": database, "TableName": "named"}
    metadata = server.athena.get_table_metadata(**where)["TableMetadata"]
    assert metadata["TableType"] == "VIRTUAL_VIEW"
    assert [(one["Name"], one["Type"]) for one in metadata["Columns"]] == [("id", "int"), ("name", "string")]


def test_ddl_and_utility(run_query: RunQuery, orders: str, database: str) -> None:
    run_query(f"create schema if not exists {database}")
    assert run_query(f"show tables in {database}") == [("orders",)]
    described = [row[0] for row in run_query(f"describe {orders}")]
    assert [line.split()[:2] for line in described if line] == [
        ["id", "int"],
        ["day", "date"],
        ["amount", "double"],
        ["name", "string"],
    ]
    run_query(f"drop table if exists {database}.nothing")
    run_query(f"drop table {orders}")
    assert run_query(f"show tables in {database}") == []


def test_explain_begins_with_query_plan(server: Any, athena: Any) -> None:
    execution = server.wait(server.start("explain select 1"))
    assert execution["ResultConfiguration"]["OutputLocation"].endswith(".txt")
    answer = athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])
    rows = answer["ResultSet"]["Rows"]
    assert rows[0] == {"Data": [{"VarCharValue": "Query Plan"}]}
    assert len(rows) > 1
    assert "UpdateCount" not in answer


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("select * from nothing", "TABLE_NOT_FOUND"),
        ("select missing from {orders}", "COLUMN_NOT_FOUND"),
        ("select no_such_function(1)", "FUNCTION_NOT_FOUND"),
        ("select id + name from {orders}", "TYPE_MISMATCH"),
        ("select read_csv('/etc/passwd')", "FUNCTION_NOT_FOUND"),
    ],
)
def test_user_error_has_athenas_code(server: Any, orders: str, database: str, sql: str, code: str) -> None:
    status = server.wait(server.start(sql.format(orders=orders), database))["Status"]
    assert status["State"] == "FAILED"
    assert status["StateChangeReason"].startswith(code), status["StateChangeReason"]
    assert status["AthenaError"]["ErrorCategory"] == 2


def test_stop_of_a_long_query(server: Any, athena: Any) -> None:
    query_id = server.start(
        """select count(*) from unnest(sequence(1, 10000)) as a(x) cross join unnest(sequence(1, 10000)) as b(y)
        cross join unnest(sequence(1, 10000)) as c(z) where (x * y + z) % 7 = 3"""
    )
    time.sleep(0.5)  # into the work
    assert (
        athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]["State"]
        == "RUNNING"
    )
    athena.stop_query_execution(QueryExecutionId=query_id)
    assert server.wait(query_id)["Status"]["State"] == "CANCELLED"


def test_select_one_takes_little_server_time(server: Any) -> None:
    """20 ms on an idle machine: nothing in its way waits by the clock. On a busy one, one of many is left alone."""
    for _ in range(100):
        took = server.wait(server.start("select 1"))["Statistics"]["TotalExecutionTimeInMillis"]
        if took < 100:
            return
    pytest.fail(f"none of 100 took less than 100 ms, the last one {took} ms")


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("show tables in {database}", ["tab_name"]),
        ("show databases", ["database_name"]),
        ("show columns in {orders}", ["field"]),
        ("describe {orders}", ["col_name", "data_type", "comment"]),
        ("show create table {orders}", ["createtab_stmt"]),
        ("show tblproperties {orders}", ["prpt_name", "prpt_value"]),
    ],
)
def test_show_and_describe_name_their_columns_and_have_no_header_row(
    server: Any, athena: Any, database: str, orders: str, statement: str, names: list[str]
) -> None:
    query_id = server.start(statement.format(database=database, orders=orders))
    server.wait(query_id)
    answer = athena.get_query_results(QueryExecutionId=query_id)["ResultSet"]
    info = answer["ResultSetMetadata"]["ColumnInfo"]
    assert [(one["Name"], one["Type"]) for one in info] == [(name, "string") for name in names]
    assert answer["Rows"][0]["Data"][0].get("VarCharValue") not in names
