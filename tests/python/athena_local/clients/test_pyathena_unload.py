"""PyAthena's UNLOAD mode (Parquet instead of CSV) of every cursor that has one, its result reuse, and `to_sql`."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pandas as pd
import pyathena
import pytest
from pyathena.aio.connection import AioConnection
from pyathena.aio.pandas.cursor import AioPandasCursor
from pyathena.aio.polars.cursor import AioPolarsCursor
from pyathena.arrow.async_cursor import AsyncArrowCursor
from pyathena.arrow.cursor import ArrowCursor
from pyathena.pandas.async_cursor import AsyncPandasCursor
from pyathena.pandas.cursor import PandasCursor
from pyathena.pandas.util import to_sql
from pyathena.polars.async_cursor import AsyncPolarsCursor
from pyathena.polars.cursor import PolarsCursor

pytestmark = pytest.mark.filterwarnings(
    "ignore:engine='auto' is deprecated"  # PyAthena asks pandas 3 for it when it reads Parquet
)

SQL = (
    "select n, cast(n as decimal(9, 2)) as price, 'row ' || cast(n as varchar) as label, n % 2 = 0 as even,"
    " date '2024-01-01' + n * interval '1' day as day, timestamp '2024-01-01 10:00:00.500' as moment,"
    " array[n, null] as several, map(array['k'], array[n]) as pairs, cast(row(n, 'x') as row(a bigint, b varchar)) as r,"
    " if(n > 1, n) as gap, if(n > 1, 'v', '') as blank"
    " from unnest(sequence(1, 3)) as t(n) order by n"
)
LAST = {
    "n": 3,
    "price": Decimal("3.00"),
    "label": "row 3",
    "even": False,
    "day": dt.date(2024, 1, 4),
    "moment": dt.datetime(2024, 1, 1, 10, 0, 0, 500000),
    "several": [3, None],
    "pairs": [("k", 3)],
    "r": {"a": 3, "b": "x"},
    "gap": 3,
    "blank": "v",
}
PLAIN = [name for name in LAST if name not in {"several", "pairs", "r"}]


@pytest.fixture
def connection(
    environment: dict[str, str], shared_database: str, lake: str, arrow_endpoint: None
) -> Iterator[Any]:
    with contextlib.closing(
        pyathena.connect(schema_name=shared_database, s3_staging_dir=lake, poll_interval=0.01)
    ) as connection:
        yield connection


def test_arrow_cursor_keeps_every_type(connection: Any) -> None:
    cursor = connection.cursor(ArrowCursor, unload=True)
    found = cursor.execute(SQL).as_arrow().to_pylist()
    assert found[2] == LAST
    assert (found[0]["gap"], found[0]["blank"]) == (None, "")  # a CSV result has one text for both
    assert (cursor.statement_type, cursor.substatement_type) == ("DML", "UNLOAD")
    assert cursor.data_manifest_location.endswith("-manifest.csv")


def test_pandas_cursor_reads_the_unloaded_files(connection: Any) -> None:
    frame = connection.cursor(PandasCursor, unload=True).execute(SQL).as_pandas()
    assert frame["n"].tolist() == [1, 2, 3]
    row = frame[frame["n"] == 3].iloc[0]
    assert [row[name] for name in ("price", "label", "even", "day")] == [
        LAST[name] for name in ("price", "label", "even", "day")
    ]
    assert row["moment"].to_pydatetime() == LAST["moment"]
    assert frame["moment"].dtype.kind == "M"
    assert frame["gap"].isna().tolist() == [True, False, False]


def test_polars_cursor_reads_the_unloaded_files(connection: Any) -> None:
    frame = connection.cursor(PolarsCursor, unload=True).execute(SQL).as_polars()
    assert frame.select(PLAIN).row(2, named=True) == {name: LAST[name] for name in PLAIN}
    assert frame["several"].to_list()[2] == [3, None]
    chunked = connection.cursor(PolarsCursor, unload=True, chunksize=2)
    chunked.execute(SQL)
    assert sum(chunk.height for chunk in chunked.iter_chunks()) == 3


@pytest.mark.parametrize(
    ("cursor_class", "read"),
    [
        (AsyncPandasCursor, lambda result: result.as_pandas()["n"].tolist()),
        (AsyncArrowCursor, lambda result: result.as_arrow()["n"].to_pylist()),
        (AsyncPolarsCursor, lambda result: result.as_polars()["n"].to_list()),
    ],
)
def test_async_cursors_unload_too(connection: Any, cursor_class: Any, read: Any) -> None:
    with connection.cursor(cursor_class, unload=True) as cursor:
        _, future = cursor.execute(SQL)
        assert sorted(read(future.result())) == [1, 2, 3]


def test_aio_cursors_unload_too(environment: dict[str, str], shared_database: str, lake: str) -> None:
    async def rows() -> tuple[Any, Any]:
        async with await AioConnection.create(
            schema_name=shared_database, s3_staging_dir=lake, poll_interval=0.01
        ) as connection:
            async with connection.cursor(AioPandasCursor, unload=True) as cursor:
                await cursor.execute(SQL)
                pandas = sorted(cursor.as_pandas()["n"].tolist())
            async with connection.cursor(AioPolarsCursor, unload=True) as cursor:
                await cursor.execute(SQL)
                return pandas, sorted(cursor.as_polars()["n"].to_list())

    assert asyncio.run(rows()) == ([1, 2, 3], [1, 2, 3])


@pytest.mark.parametrize("cursor_class", [PandasCursor, ArrowCursor, PolarsCursor])
def test_nothing_unloaded_is_an_empty_frame(connection: Any, cursor_class: Any) -> None:
    cursor = connection.cursor(cursor_class, unload=True).execute("select 1 as a where false")
    assert cursor.fetchall() == []


def test_unload_of_a_failing_query_tells_why(connection: Any) -> None:
    with pytest.raises(pyathena.OperationalError, match=r"COLUMN_NOT_FOUND.*Column 'nothing'"):
        connection.cursor(ArrowCursor, unload=True).execute("select nothing from (values 1) as t(a)")


def test_result_reuse_answers_from_the_earlier_query(connection: Any) -> None:
    sql = f"select 'reused {time.time_ns()}' as v"
    first = connection.cursor().execute(sql, result_reuse_enable=True, result_reuse_minutes=5)
    again = connection.cursor().execute(sql, result_reuse_enable=True, result_reuse_minutes=5)
    assert (first.reused_previous_result, again.reused_previous_result) == (False, True)
    assert (again.result_reuse_enabled, again.result_reuse_minutes) == (True, 5)
    assert again.query_id != first.query_id
    assert again.fetchall() == first.fetchall()
    plain = connection.cursor().execute(sql)
    assert plain.reused_previous_result is False


FRAME = {
    "i": [1, 2, 3],
    "f": [0.5, 1.5, None],
    "s": ["a", "ü", None],
    "b": [True, False, True],
    "t": pd.to_datetime(
        ["2024-01-01T10:00:00.500", "2024-01-02T00:00:00", "2024-01-03T00:00:00"], format="ISO8601"
    ),
    "p": ["x", "x", "y y"],
}


def test_to_sql_makes_a_parquet_table(connection: Any, shared_database: str, table: str, lake: str) -> None:
    frame = pd.DataFrame(FRAME)
    arguments = {"schema": shared_database, "location": f"{lake}{table}/", "compression": "SNAPPY"}
    to_sql(frame, table, connection, **arguments)
    assert connection.cursor().execute(f"select i, f, s, b, t, p from {table} order by i").fetchall() == [
        (1, 0.5, "a", True, dt.datetime(2024, 1, 1, 10, 0, 0, 500000), "x"),
        (2, 1.5, "ü", False, dt.datetime(2024, 1, 2), "x"),
        (3, None, None, True, dt.datetime(2024, 1, 3), "y y"),
    ]
    with pytest.raises(pyathena.OperationalError, match="already exists"):
        to_sql(frame, table, connection, **arguments)
    to_sql(frame.head(1), table, connection, **arguments, if_exists="append")
    assert connection.cursor().execute(f"select count(*) from {table}").fetchone() == (4,)
    to_sql(frame.head(1), table, connection, **arguments, if_exists="replace")
    assert connection.cursor().execute(f"select count(*) from {table}").fetchone() == (1,)


def test_to_sql_partitions(connection: Any, shared_database: str, table: str, lake: str) -> None:
    to_sql(
        pd.DataFrame(FRAME),
        table,
        connection,
        schema=shared_database,
        location=f"{lake}{table}/",
        partitions=["p"],
        max_workers=2,
    )
    cursor = connection.cursor()
    assert sorted(cursor.execute(f"show partitions {table}").fetchall()) == [("p=x",), ("p=y y",)]
    assert cursor.execute(f"select i from {table} where p = 'y y'").fetchall() == [(3,)]
    described = [column.name for column in cursor.get_table_metadata(table).partition_keys]
    assert described == ["p"]
