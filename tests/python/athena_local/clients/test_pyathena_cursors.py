"""Every cursor of PyAthena: the same values from each, parameters, pages, errors, cancelling."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyathena
import pytest
from pyathena.aio.connection import AioConnection
from pyathena.aio.cursor import AioCursor, AioDictCursor
from pyathena.async_cursor import AsyncCursor, AsyncDictCursor
from pyathena.cursor import Cursor, DictCursor
from pyathena.pandas.async_cursor import AsyncPandasCursor
from pyathena.pandas.cursor import PandasCursor
from pyathena.pandas.util import as_pandas
from pyathena.polars.async_cursor import AsyncPolarsCursor
from pyathena.polars.cursor import PolarsCursor
from pyathena.s3fs.async_cursor import AsyncS3FSCursor
from pyathena.s3fs.cursor import S3FSCursor

UTC = dt.UTC

# (expression, its type in cursor.description, the value that PyAthena's converter makes of the text Athena answers)
VALUES = [
    ("true", "boolean", True),
    ("tinyint '-128'", "tinyint", -128),
    ("smallint '32767'", "smallint", 32767),
    ("2147483647", "integer", 2147483647),
    ("9223372036854775807", "bigint", 9223372036854775807),
    ("real '0.5'", "float", 0.5),
    ("1e10", "double", 1e10),
    ("infinity()", "double", float("inf")),
    ("decimal '12345678901234567890.123456789'", "decimal", Decimal("12345678901234567890.123456789")),
    ("cast(1 as decimal(10, 2))", "decimal", Decimal("1.00")),
    ("'naïve ''quoted'' \"text\"'", "varchar", "naïve 'quoted' \"text\""),
    ("''", "varchar", ""),
    ("cast('ab' as char(4))", "char", "ab  "),
    ("date '2024-02-29'", "date", dt.date(2024, 2, 29)),
    ("timestamp '2024-02-29 23:59:59.123'", "timestamp", dt.datetime(2024, 2, 29, 23, 59, 59, 123000)),
    (
        "timestamp '2024-02-29 23:59:59.123 UTC'",
        "timestamp with time zone",
        dt.datetime(2024, 2, 29, 23, 59, 59, 123000, tzinfo=UTC),
    ),
    ("time '10:11:12.345'", "time", dt.time(10, 11, 12, 345000)),
    ("X'00ff10'", "varbinary", b"\x00\xff\x10"),
    ("array[1, 2, null]", "array", [1, 2, None]),
    ("cast(array['a', 'b'] as json)", "json", ["a", "b"]),
    ("map(array['k'], array['v'])", "map", {"k": "v"}),
    ("cast(row('x', 'y') as row(a varchar, b varchar))", "row", {"a": "x", "b": "y"}),
    ("cast(null as bigint)", "bigint", None),
    ("cast(null as varchar)", "varchar", None),
]
TYPES_SQL = "select " + ", ".join(f"{sql} as c{n}" for n, (sql, _, _) in enumerate(VALUES))


@pytest.fixture
def connection(environment: dict[str, str], shared_database: str) -> Iterator[Any]:
    with contextlib.closing(pyathena.connect(schema_name=shared_database, poll_interval=0.01)) as connection:
        yield connection


@pytest.mark.parametrize("cursor_class", [Cursor, S3FSCursor])
def test_every_type_becomes_its_python_value(connection: Any, cursor_class: Any) -> None:
    cursor = connection.cursor(cursor_class)
    row = cursor.execute(TYPES_SQL).fetchone()
    for (sql, name, value), found, described in zip(VALUES, row, cursor.description, strict=True):
        if cursor_class is S3FSCursor and sql == "cast(null as varchar)":
            assert found in (None, "")  # a CSV record of one reader keeps them apart, of the other not
            continue
        assert (sql, described[1], found) == (sql, name, value)
        assert type(found) is type(value), sql
    assert cursor.fetchone() is None


def test_description_tells_precision_scale_and_nullability(connection: Any) -> None:
    cursor = connection.cursor().execute(
        "select cast(1 as decimal(10, 2)) as d, 'ab' as v, time '10:00:00.000' as t,"
        " timestamp '2024-01-01 00:00:00.000' as ts, cast(1 as bigint) as b"
    )
    assert cursor.description == [
        ("d", "decimal", None, None, 10, 2, "UNKNOWN"),
        ("v", "varchar", None, None, 2, 0, "UNKNOWN"),
        ("t", "time", None, None, 3, 0, "UNKNOWN"),
        ("ts", "timestamp", None, None, 3, 0, "UNKNOWN"),
        ("b", "bigint", None, None, 19, 0, "UNKNOWN"),
    ]


def test_type_hints_reach_into_nested_values(connection: Any) -> None:
    hint = "array(row(name varchar, age integer))"
    row = (
        connection.cursor()
        .execute(
            "select array[cast(row('Ann', 30) as row(name varchar, age integer))] as people",
            result_set_type_hints={"people": hint},
        )
        .fetchone()
    )
    assert row == ([{"name": "Ann", "age": 30}],)


def test_dict_cursor_names_its_values(connection: Any) -> None:
    cursor = connection.cursor(DictCursor).execute(
        "select 1 as a, 'x' as b union all select 2, null order by 1"
    )
    assert cursor.fetchall() == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]


def test_pages_of_results_lose_no_row(connection: Any) -> None:
    cursor = connection.cursor().execute("select n from unnest(sequence(1, 2345)) as t(n) order by 1")
    assert cursor.fetchmany(7) == [(n,) for n in range(1, 8)]
    assert [n for (n,) in cursor] == list(range(8, 2346))
    assert cursor.rownumber == 2345


def test_parameters_in_both_styles(connection: Any) -> None:
    formatted = (
        connection.cursor()
        .execute(
            "select %(text)s, %(number)d, %(day)s, %(moment)s, %(amount)s, %(nothing)s, 5 in %(several)s",
            {
                "text": "it's 100%",
                "number": 3,
                "day": dt.date(2024, 1, 2),
                "moment": dt.datetime(2024, 1, 2, 3, 4, 5, 678000),
                "amount": Decimal("1.50"),
                "nothing": None,
                "several": [1, 5],
            },
        )
        .fetchone()
    )
    assert formatted == (
        "it's 100%",
        3,
        dt.date(2024, 1, 2),
        dt.datetime(2024, 1, 2, 3, 4, 5, 678000),
        Decimal("1.50"),
        None,
        True,
    )
    cursor = connection.cursor().execute(
        "select n from unnest(sequence(1, 10)) as t(n) where n > ? and 'a' = ? order by n",
        ["7", "'a'"],
        paramstyle="qmark",
    )
    assert cursor.fetchall() == [(8,), (9,), (10,)]


def test_executemany_inserts_every_row(connection: Any, table: str, lake: str) -> None:
    cursor = connection.cursor()
    cursor.execute(f"create external table {table} (a int, b string) stored as parquet location '{lake}'")
    rows = [{"a": n, "b": f"row {n}"} for n in range(3)]
    cursor.executemany(f"insert into {table} values (%(a)d, %(b)s)", rows)
    assert cursor.execute(f"select a, b from {table} order by a").fetchall() == [
        (row["a"], row["b"]) for row in rows
    ]
    cursor.execute(f"drop table {table}")


def test_statistics_and_states_are_told(connection: Any, shared_database: str) -> None:
    cursor = connection.cursor().execute("select 1 as one")
    assert (cursor.state, cursor.statement_type, cursor.substatement_type) == ("SUCCEEDED", "DML", "SELECT")
    assert (cursor.database, cursor.catalog, cursor.work_group) == (
        shared_database,
        "awsdatacatalog",
        "primary",
    )
    assert cursor.data_scanned_in_bytes == 0
    assert cursor.total_execution_time_in_millis >= cursor.engine_execution_time_in_millis
    assert cursor.submission_date_time <= cursor.completion_date_time
    assert cursor.effective_engine_version == "Athena engine version 3"
    assert cursor.output_location.endswith(f"/{cursor.query_id}.csv")
    assert cursor.query == "select 1 as one"


def test_ddl_and_show_have_their_rows(connection: Any, shared_database: str, table: str, lake: str) -> None:
    cursor = connection.cursor()
    cursor.execute(f"create external table {table} (a int, b string) stored as parquet location '{lake}'")
    assert cursor.fetchall() == []
    assert (cursor.statement_type, cursor.substatement_type) == ("DDL", "CREATE_TABLE")
    assert cursor.execute(f"show tables '{table}'").fetchall() == [(table,)]
    shown = [line[0].split() for line in cursor.execute(f"describe {table}").fetchall()]
    assert shown == [["a", "int"], ["b", "string"]]
    metadata = cursor.get_table_metadata(table)
    assert [(column.name, column.type) for column in metadata.columns] == [("a", "int"), ("b", "string")]
    assert table in [one.name for one in cursor.list_table_metadata(schema_name=shared_database)]
    assert shared_database in [one.name for one in cursor.list_databases("awsdatacatalog")]
    cursor.execute(f"drop table {table}")


def test_errors_are_dbapi_errors(connection: Any) -> None:
    with pytest.raises(pyathena.OperationalError, match="COLUMN_NOT_FOUND: line 1:8: Column 'x'"):
        connection.cursor().execute("select x from (values 1) as t(y)")
    with pytest.raises(pyathena.DatabaseError, match="mismatched input 'from'"):
        connection.cursor().execute("select from")
    with pytest.raises(pyathena.OperationalError, match="does not exist"):
        connection.cursor().execute("select * from no_such_table")
    with pytest.raises(pyathena.ProgrammingError):
        connection.cursor().fetchone()
    with pytest.raises(pyathena.NotSupportedError):
        connection.rollback()


LONG_SQL = (
    "select count(*) from unnest(sequence(1, 4000)) as a(x), unnest(sequence(1, 4000)) as b(y),"
    " unnest(sequence(1, 4000)) as c(z) where x + y + z < 0"
)


def test_cancel_stops_the_query(connection: Any, server: Any) -> None:
    started: list[str] = []
    cursor = connection.cursor(on_start_query_execution=started.append)
    failures: list[BaseException] = []

    def execute() -> None:
        try:
            cursor.execute(LONG_SQL)
        except pyathena.OperationalError as error:
            failures.append(error)

    thread = threading.Thread(target=execute)
    thread.start()
    while not started:
        time.sleep(0.01)
    cursor._cancel(started[0])
    thread.join(100)
    assert not thread.is_alive()
    assert server.wait(started[0])["Status"]["State"] == "CANCELLED"
    assert "cancel" in str(failures[0]).lower()


def test_interrupt_cancels_the_query(connection: Any, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    cursor = connection.cursor(on_start_query_execution=started.append, kill_on_interrupt=True)
    interrupts = iter([KeyboardInterrupt])

    def poll(execution: Any) -> None:
        for interrupt in interrupts:
            raise interrupt

    cursor._on_poll = poll
    with pytest.raises(pyathena.OperationalError):
        cursor.execute(LONG_SQL)
    assert server.wait(started[0])["Status"]["State"] == "CANCELLED"


@pytest.mark.parametrize("cursor_class", [AsyncCursor, AsyncDictCursor, AsyncS3FSCursor])
def test_async_cursors_answer_by_future(connection: Any, cursor_class: Any) -> None:
    with connection.cursor(cursor_class, max_workers=2) as cursor:
        pending = [cursor.execute(f"select {n} as n, 'v{n}' as v") for n in range(4)]
        found = [future.result().fetchall() for _, future in pending]
        expected: list[Any] = [[(n, f"v{n}")] for n in range(4)]
        if cursor_class is AsyncDictCursor:
            expected = [[{"n": n, "v": f"v{n}"}] for n in range(4)]
        assert found == expected
        execution = cursor.query_execution(pending[0][0]).result()
        assert execution.state == "SUCCEEDED"
        stopped, future = cursor.execute(LONG_SQL)
        cursor.cancel(stopped).result()
        assert future.result().state == "CANCELLED"


def test_aio_cursors_run_in_one_loop(environment: dict[str, str], shared_database: str) -> None:
    async def rows() -> tuple[Any, ...]:
        async with await AioConnection.create(schema_name=shared_database, poll_interval=0.01) as connection:

            async def one(n: int) -> Any:
                async with connection.cursor() as cursor:
                    await cursor.execute(f"select {n} as n")
                    return await cursor.fetchone()

            several = await asyncio.gather(*(one(n) for n in range(4)))
            async with connection.cursor(AioDictCursor) as cursor:
                await cursor.execute("select 'x' as a")
                named = await cursor.fetchall()
            async with connection.cursor(AioCursor) as cursor:
                await cursor.execute("select n from unnest(sequence(1, 1500)) as t(n) order by n")
                total = sum([row[0] async for row in cursor])
            return several, named, total

    several, named, total = asyncio.run(rows())
    assert several == [(n,) for n in range(4)]
    assert named == [{"a": "x"}]
    assert total == sum(range(1501))


def test_as_pandas_reads_a_plain_cursor(connection: Any) -> None:
    frame = as_pandas(
        connection.cursor().execute("select 1 as a, 'x' as b union all select 2, null order by 1")
    )
    assert frame.columns.tolist() == ["a", "b"]
    assert frame["a"].tolist() == [1, 2]


@pytest.mark.parametrize("engine", ["c", "python", "pyarrow"])
def test_pandas_cursor_with_each_engine(connection: Any, engine: str) -> None:
    frame = (
        connection.cursor(PandasCursor, engine=engine)
        .execute(
            "select n, n / 2e0 as half, cast(n as varchar) || ',\"' as text, date '2024-01-01' as day,"
            " timestamp '2024-01-01 10:00:00.500' as moment, if(n > 1, n) as gap"
            " from unnest(sequence(1, 30)) as t(n) order by n"
        )
        .as_pandas()
    )
    assert len(frame) == 30
    assert frame["half"].tolist() == [n / 2 for n in range(1, 31)]
    assert frame["text"].tolist() == [f'{n},"' for n in range(1, 31)]
    assert frame["moment"].iloc[0].to_pydatetime() == dt.datetime(2024, 1, 1, 10, 0, 0, 500000)
    assert frame["day"].iloc[0].date() == dt.date(2024, 1, 1)
    assert frame["gap"].isna().tolist() == [True] + [False] * 29


def test_pandas_cursor_in_chunks(connection: Any) -> None:
    cursor = connection.cursor(PandasCursor, chunksize=10)
    cursor.execute("select n, 'v' as v from unnest(sequence(1, 25)) as t(n) order by n")
    chunks = list(cursor.iter_chunks())
    assert [len(chunk) for chunk in chunks] == [10, 10, 5]
    assert [n for chunk in chunks for n in chunk["n"]] == list(range(1, 26))
    with connection.cursor(AsyncPandasCursor) as cursor:
        _, future = cursor.execute("select 1 as a")
        assert future.result().as_pandas()["a"].tolist() == [1]


def test_pandas_cursor_writes_and_shows(connection: Any, table: str, lake: str) -> None:
    cursor = connection.cursor(PandasCursor)
    cursor.execute(f"create external table {table} (a int) stored as parquet location '{lake}'")
    assert cursor.fetchall() == []
    assert cursor.execute(f"insert into {table} values (1), (2)").fetchall() == []
    assert cursor.execute(f"show tables '{table}'").fetchall() == [(table,)]
    assert cursor.execute(f"select sum(a) as s from {table}").as_pandas()["s"].tolist() == [3]
    assert cursor.execute(f"drop table {table}").fetchall() == []


def test_arrow_cursor_has_arrow_types(connection: Any, arrow_endpoint: None) -> None:
    import pyarrow as pa
    from pyathena.arrow.async_cursor import AsyncArrowCursor
    from pyathena.arrow.cursor import ArrowCursor

    sql = (
        "select cast(1 as bigint) as i, 1.5e0 as d, 'x' as v, true as b, date '2024-01-01' as day,"
        " timestamp '2024-01-01 10:00:00.500' as moment, cast(null as varchar) as n"
    )
    found = connection.cursor(ArrowCursor).execute(sql).as_arrow()
    assert found.schema.field("i").type == pa.int64()
    assert found.schema.field("moment").type == pa.timestamp("ms")
    assert found.to_pylist() == [
        {
            "i": 1,
            "d": 1.5,
            "v": "x",
            "b": True,
            "day": found.column("day")[0].as_py(),
            "moment": dt.datetime(2024, 1, 1, 10, 0, 0, 500000),
            "n": found.column("n")[0].as_py(),
        }
    ]
    assert found.column("n")[0].as_py() in (None, "")
    with connection.cursor(AsyncArrowCursor) as cursor:
        _, future = cursor.execute(sql)
        assert future.result().as_arrow().num_rows == 1


def test_polars_cursor_has_polars_types(connection: Any) -> None:
    sql = (
        "select n, cast(n as varchar) as v, n % 2 = 0 as even, date '2024-01-01' as day"
        " from unnest(sequence(1, 20)) as t(n) order by n"
    )
    frame = connection.cursor(PolarsCursor).execute(sql).as_polars()
    assert frame.shape == (20, 4)
    assert frame["n"].to_list() == list(range(1, 21))
    assert frame["even"].to_list()[:2] == [False, True]
    chunked = connection.cursor(PolarsCursor, chunksize=6)
    chunked.execute(sql)
    assert [n for chunk in chunked.iter_chunks() for n in chunk["n"].to_list()] == list(range(1, 21))
    with connection.cursor(AsyncPolarsCursor) as cursor:
        _, future = cursor.execute("select 1 as a")
        assert future.result().as_polars()["a"].to_list() == [1]


def test_result_of_an_earlier_query_is_found_in_the_history(connection: Any) -> None:
    sql = f"select 'cached {time.time_ns()}' as v"
    first = connection.cursor().execute(sql).query_id
    again = connection.cursor().execute(sql, cache_size=50)
    assert again.query_id == first
    assert again.fetchall()[0][0].startswith("cached ")


def test_spark_is_refused_by_name(connection: Any, environment: dict[str, str]) -> None:
    from pyathena.spark.cursor import SparkCursor

    with pytest.raises(pyathena.OperationalError, match="StartSession"):
        connection.cursor(SparkCursor, work_group="primary")
