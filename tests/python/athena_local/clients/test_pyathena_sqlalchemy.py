"""SQLAlchemy over PyAthena: tables created with every option and reflected, rows in and out, each dialect's cursor."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import quote_plus

import pandas as pd
import pytest
import sqlalchemy as sa
from pyathena.sqlalchemy.types import TINYINT
from sqlalchemy import exc

pytestmark = pytest.mark.filterwarnings(
    "ignore:engine='auto' is deprecated"  # PyAthena asks pandas 3 for it when it reads Parquet
)


def url(dialect: str, database: str, staging: str, **options: str) -> str:
    asked = "".join(f"&{name}={value}" for name, value in options.items())
    return (
        f"awsathena+{dialect}://test:test@athena.us-east-2.amazonaws.com/{database}"
        f"?s3_staging_dir={quote_plus(staging)}&poll_interval=0.01{asked}"
    )


@pytest.fixture
def engine(environment: dict[str, str], database: str, lake: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url("rest", database, lake))
    yield engine
    engine.dispose()


def make_table(engine: sa.Engine, name: str, *columns: Any, **options: Any) -> sa.Table:
    table = sa.Table(name, sa.MetaData(), *columns, **options)
    table.metadata.create_all(engine)
    return table


def test_parquet_table_with_options_is_reflected(engine: sa.Engine, table: str, lake: str) -> None:
    make_table(
        engine,
        table,
        sa.Column("id", sa.BigInteger, comment="the key"),
        sa.Column("tiny", TINYINT),
        sa.Column("price", sa.DECIMAL(10, 2)),
        sa.Column("name", sa.VARCHAR(20)),
        sa.Column("code", sa.CHAR(3)),
        sa.Column("ratio", sa.DOUBLE),
        sa.Column("flag", sa.Boolean),
        sa.Column("day", sa.Date),
        sa.Column("moment", sa.TIMESTAMP),
        sa.Column("data", sa.BINARY),
        sa.Column("shop", sa.String, awsathena_partition=True, comment="where"),
        comment="sold things",
        awsathena_location=f"{lake}{table}/",
        awsathena_file_format="PARQUET",
        awsathena_compression="ZSTD",
        awsathena_tblproperties={"owner.team": "sales"},
    )
    found = sa.Table(table, sa.MetaData(), autoload_with=engine)
    assert [(column.name, str(column.type)) for column in found.columns] == [
        ("id", "BIGINT"),
        ("tiny", "TINYINT"),
        ("price", "DECIMAL(10, 2)"),
        ("name", "VARCHAR(20)"),
        ("code", "CHAR(3)"),
        ("ratio", "DOUBLE"),
        ("flag", "BOOLEAN"),
        ("day", "DATE"),
        ("moment", "TIMESTAMP"),
        ("data", "BINARY"),
        ("shop", "VARCHAR"),
    ]
    assert (found.comment, found.c.id.comment, found.c.shop.comment) == ("sold things", "the key", "where")
    assert found.c.shop.dialect_options["awsathena"]["partition"] is True
    options = found.dialect_options["awsathena"]
    assert options["location"].rstrip("/") == f"{lake}{table}"
    assert options["compression"] == "ZSTD"
    assert options["row_format"] == "SERDE 'org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe'"
    assert options["tblproperties"]["owner.team"] == "sales"


def test_delimited_and_json_tables_keep_their_serde(engine: sa.Engine, table: str, lake: str) -> None:
    make_table(
        engine,
        table,
        sa.Column("a", sa.Integer),
        awsathena_location=f"{lake}csv/",
        awsathena_row_format="SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'",
        awsathena_serdeproperties={"separatorChar": ";", "quoteChar": "`"},
        awsathena_tblproperties={"skip.header.line.count": "1"},
    )
    options = sa.Table(table, sa.MetaData(), autoload_with=engine).dialect_options["awsathena"]
    assert options["row_format"] == "SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'"
    assert options["serdeproperties"]["separatorChar"] == ";"
    assert options["serdeproperties"]["quoteChar"] == "`"
    assert options["tblproperties"]["skip.header.line.count"] == "1"


def test_iceberg_table_with_transforms_takes_rows(engine: sa.Engine, table: str, lake: str) -> None:
    events = make_table(
        engine,
        table,
        sa.Column(
            "id",
            sa.Integer,
            awsathena_partition=True,
            awsathena_partition_transform="bucket",
            awsathena_partition_transform_bucket_count=4,
        ),
        sa.Column("at", sa.TIMESTAMP, awsathena_partition=True, awsathena_partition_transform="day"),
        sa.Column("label", sa.String),
        awsathena_location=f"{lake}{table}/",
        awsathena_tblproperties={"table_type": "ICEBERG", "format": "parquet"},
    )
    with engine.begin() as connection:
        connection.execute(
            events.insert(),
            [
                {"id": 1, "at": dt.datetime(2024, 1, 1, 10), "label": "it's"},
                {"id": 2, "at": dt.datetime(2024, 1, 2, 10, 0, 0, 250000), "label": None},
            ],
        )
        connection.execute(events.update().where(events.c.id == 1).values(label="100%"))
        connection.execute(events.delete().where(events.c.id == 2))
        connection.execute(events.insert().values(id=3, at=dt.datetime(2024, 1, 3), label="new"))
        found = connection.execute(sa.select(events).order_by(events.c.id)).all()
    assert [tuple(row) for row in found] == [
        (1, dt.datetime(2024, 1, 1, 10), "100%"),
        (3, dt.datetime(2024, 1, 3), "new"),
    ]
    reflected = sa.Table(table, sa.MetaData(), autoload_with=engine)
    assert [str(column.type) for column in reflected.columns] == ["INTEGER", "TIMESTAMP", "VARCHAR"]
    assert reflected.dialect_options["awsathena"]["tblproperties"]["table_type"] == "ICEBERG"


def test_bucketed_table_is_made(engine: sa.Engine, table: str, lake: str, server: Any, database: str) -> None:
    make_table(
        engine,
        table,
        sa.Column("id", sa.Integer, awsathena_cluster=True),
        sa.Column("v", sa.String),
        awsathena_location=f"{lake}{table}/",
        awsathena_file_format="PARQUET",
        awsathena_bucket_count=8,
    )
    descriptor = server.glue.get_table(DatabaseName=database, Name=table)["Table"]["StorageDescriptor"]
    assert (descriptor["BucketColumns"], descriptor["NumberOfBuckets"]) == (["id"], 8)


def test_inspector_sees_schemas_tables_and_views(
    engine: sa.Engine, table: str, lake: str, database: str
) -> None:
    things = make_table(
        engine, table, sa.Column("a", sa.Integer), awsathena_location=lake, awsathena_file_format="PARQUET"
    )
    with engine.begin() as connection:
        connection.execute(sa.text(f"create view {table}_v as select a, a * 2 as twice from {table}"))
    inspector = sa.inspect(engine)
    assert database in inspector.get_schema_names()
    assert inspector.get_table_names() == [table]
    assert inspector.get_view_names() == [f"{table}_v"]
    assert inspector.has_table(table)
    assert not inspector.has_table("nothing")
    with pytest.raises(exc.NoSuchTableError):
        inspector.get_columns("nothing")
    assert [column["name"] for column in inspector.get_columns(f"{table}_v")] == ["a", "twice"]
    definition = inspector.get_view_definition(f"{table}_v")
    assert definition.upper().startswith("CREATE VIEW")
    assert "twice" in definition
    with pytest.raises(exc.NoSuchTableError):
        inspector.get_view_definition("nothing")
    with engine.begin() as connection:
        connection.execute(sa.text(f"drop view {table}_v"))
    things.metadata.drop_all(engine)
    assert sa.inspect(engine).get_table_names() == []


def test_select_with_functions_types_and_paging(engine: sa.Engine) -> None:
    numbers = sa.func.unnest(sa.func.sequence(1, 10)).table_valued("n").render_derived()
    query = (
        sa.select(
            numbers.c.n,
            sa.cast(numbers.c.n, sa.DECIMAL(10, 2)).label("price"),
            sa.case((numbers.c.n > 7, "high"), else_="low").label("level"),
            sa.func.row_number().over(order_by=numbers.c.n.desc()).label("rank"),
        )
        .where(numbers.c.n.in_([2, 4, 8]), numbers.c.n.between(1, 9))
        .order_by(numbers.c.n)
        .offset(1)
        .limit(2)
    )
    with engine.connect() as connection:
        found = connection.execute(query).all()
    assert [tuple(row) for row in found] == [(4, Decimal("4.00"), "low", 2), (8, Decimal("8.00"), "high", 1)]


def test_text_parameters_and_errors(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        row = connection.execute(
            sa.text("select :a as a, :d as d, '100%' as p"), {"a": "it's", "d": dt.date(2024, 1, 2)}
        ).one()
        assert tuple(row) == ("it's", dt.date(2024, 1, 2), "100%")
        with pytest.raises(exc.OperationalError, match="FUNCTION_NOT_FOUND"):
            connection.execute(sa.text("select list_value(1)"))


def test_pandas_reads_and_writes_through_the_engine(
    environment: dict[str, str], database: str, table: str, lake: str
) -> None:
    engine = sa.create_engine(
        url("rest", database, lake, location=quote_plus(lake), file_format="parquet", compression="snappy")
    )
    frame = pd.DataFrame({"a": [1, 2, 3], "b": [0.5, 1.5, 2.5], "c": ["x", "y", "z"]})
    frame.to_sql(table, engine, index=False, if_exists="fail", method="multi")
    found = pd.read_sql(f"select a, b, c from {table} order by a", engine)
    assert found.to_dict("list") == frame.to_dict("list")
    whole = pd.read_sql_table(table, engine, schema=database)
    assert sorted(whole["a"].tolist()) == [1, 2, 3]
    with pytest.raises(ValueError, match="already exists"):
        frame.to_sql(table, engine, index=False, if_exists="fail")
    engine.dispose()


@pytest.mark.parametrize("unload", ["false", "true"])
@pytest.mark.parametrize("dialect", ["pandas", "arrow", "polars", "s3fs"])
def test_each_dialect_answers_rows(
    environment: dict[str, str], database: str, lake: str, arrow_endpoint: None, dialect: str, unload: str
) -> None:
    if (dialect, unload) == ("s3fs", "true"):
        pytest.skip("S3FSCursor reads CSV results only")
    options = {} if dialect == "s3fs" else {"unload": unload}
    engine = sa.create_engine(url(dialect, database, lake, **options))
    with engine.connect() as connection:
        found = connection.execute(
            sa.text("select 1 as a, 'x' as b union all select 2, 'y' order by 1")
        ).all()
    assert [tuple(row) for row in found] == [(1, "x"), (2, "y")]
    engine.dispose()
