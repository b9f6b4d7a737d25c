"""The external table's DDL word for word, and what an existing table is compared with."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from penstock.connections import Connections
from penstock.environments import environment
from penstock.errors import LandingError
from penstock.landing import tables
from penstock.sources import Column, Table
from penstock.sources import table as declared_table

FORECAST = declared_table("forecast")

DDL = """\
CREATE EXTERNAL TABLE IF NOT EXISTS `forecast_data_local`.`forecast` (
  `restaurant_id` INT,
  `inventory_item_id` INT,
  `business_date` DATE,
  `dma_id` STRING,
  `dc_id` INT,
  `state` STRING,
  `y_05` DOUBLE,
  `y_50` DOUBLE,
  `y_95` DOUBLE
)
ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' LINES TERMINATED BY '\\n'
STORED AS TEXTFILE
LOCATION 's3://penstock-lake-local/forecast_data/'
TBLPROPERTIES ('skip.header.line.count'='1')"""

AS_DECLARED: dict[str, Any] = {
    "Name": "forecast",
    "StorageDescriptor": {
        "Columns": [
            {"Name": "restaurant_id", "Type": "int"},
            {"Name": "inventory_item_id", "Type": "int"},
            {"Name": "business_date", "Type": "date"},
            {"Name": "dma_id", "Type": "string"},
            {"Name": "dc_id", "Type": "int"},
            {"Name": "state", "Type": "string"},
            {"Name": "y_05", "Type": "double"},
            {"Name": "y_50", "Type": "double"},
            {"Name": "y_95", "Type": "double"},
        ],
        "Location": "s3://penstock-lake-local/forecast_data",
        "SerdeInfo": {"SerializationLibrary": tables.CSV_SERDE, "Parameters": {"field.delim": ","}},
    },
    "Parameters": {"skip.header.line.count": "1", "EXTERNAL": "TRUE"},
}


def missing(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "not found"}}, operation)


@dataclass
class FakeCatalog:
    """Athena and Glue as far as the landing asks them: a workgroup, a database and a table that are there or not."""

    workgroup: bool = False
    database: bool = False
    table: dict[str, Any] | None = None
    workgroups_made: list[dict[str, Any]] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    meanwhile: dict[str, Any] | None = None

    def get_work_group(self, **_: Any) -> dict[str, Any]:
        if not self.workgroup:
            raise missing("InvalidRequestException", "GetWorkGroup")
        return {}

    def create_work_group(self, **request: Any) -> None:
        self.workgroups_made.append(request)

    def get_database(self, **_: Any) -> dict[str, Any]:
        if not self.database:
            raise missing("EntityNotFoundException", "GetDatabase")
        return {}

    def get_table(self, **_: Any) -> dict[str, Any]:
        if self.table is None:
            raise missing("EntityNotFoundException", "GetTable")
        return {"Table": self.table}

    def start_query_execution(self, **request: Any) -> dict[str, str]:
        self.statements.append(request["QueryString"])
        return {"QueryExecutionId": "q"}

    def get_query_execution(self, **_: Any) -> dict[str, Any]:
        if self.meanwhile is not None:  # another seed was quicker
            self.table, self.meanwhile = self.meanwhile, None
            status = {"State": "FAILED", "StateChangeReason": "Duplicate column name: covers"}
            return {"QueryExecution": {"Status": status, "StatementType": "DDL"}}
        return {"QueryExecution": {"Status": {"State": "SUCCEEDED"}, "StatementType": "DDL"}}

    def get_query_results(self, **_: Any) -> dict[str, Any]:
        return {"ResultSet": {}}


@dataclass(frozen=True)
class FakeConnections(Connections):
    catalog: FakeCatalog = field(default_factory=FakeCatalog)

    def client(self, service: str) -> FakeCatalog:
        assert service in ("athena", "glue")
        return self.catalog


def connected(catalog: FakeCatalog) -> FakeConnections:
    return FakeConnections(environment("local"), "us-east-2", catalog=catalog)


def test_ensure_nothing_there_creates_workgroup_database_and_table() -> None:
    catalog = FakeCatalog()

    created = tables.ensure(connected(catalog), FORECAST)

    assert created == [
        "workgroup penstock-local",
        "database forecast_data_local",
        "table forecast_data_local.forecast",
    ]
    assert catalog.statements == ["create schema if not exists `forecast_data_local`", DDL]
    settings = catalog.workgroups_made[0]["Configuration"]
    assert catalog.workgroups_made[0]["Name"] == "penstock-local"
    assert settings["ResultConfiguration"] == {
        "OutputLocation": "s3://penstock-athena-results-local/results/"
    }
    assert settings["EnforceWorkGroupConfiguration"] is False


def test_ensure_everything_there_runs_no_statement() -> None:
    catalog = FakeCatalog(workgroup=True, database=True, table=AS_DECLARED)

    assert tables.ensure(connected(catalog), FORECAST) == []
    assert catalog.statements == []


def test_ensure_new_columns_are_added_by_one_statement() -> None:
    catalog = FakeCatalog(workgroup=True, database=True, table=AS_DECLARED)
    columns = (Column("covers", "bigint", nullable=True), Column("price", "decimal(10,2)", nullable=True))

    created = tables.ensure(connected(catalog), FORECAST, columns)

    assert created == [
        "column covers of forecast_data_local.forecast (bigint)",
        "column price of forecast_data_local.forecast (decimal(10,2))",
    ]
    assert catalog.statements == [
        "ALTER TABLE `forecast_data_local`.`forecast` ADD COLUMNS (\n  `covers` BIGINT,\n  `price` DECIMAL(10,2)\n)"
    ]


def test_ensure_column_that_another_seed_added_meanwhile_is_no_error() -> None:
    wider = copy.deepcopy(AS_DECLARED)
    wider["StorageDescriptor"]["Columns"].append({"Name": "covers", "Type": "bigint"})
    catalog = FakeCatalog(workgroup=True, database=True, table=AS_DECLARED, meanwhile=wider)

    assert tables.ensure(connected(catalog), FORECAST, (Column("covers", "bigint", nullable=True),)) == []


def test_ensure_column_that_another_seed_added_with_another_type_is_refused() -> None:
    wider = copy.deepcopy(AS_DECLARED)
    wider["StorageDescriptor"]["Columns"].append({"Name": "covers", "Type": "string"})
    catalog = FakeCatalog(workgroup=True, database=True, table=AS_DECLARED, meanwhile=wider)

    with pytest.raises(LandingError, match=r"covers string instead of .*covers bigint"):
        tables.ensure(connected(catalog), FORECAST, (Column("covers", "bigint", nullable=True),))


def test_ensure_new_column_of_type_date_is_refused_with_the_way_round() -> None:
    catalog = FakeCatalog(workgroup=True, database=True, table=AS_DECLARED)

    with pytest.raises(LandingError) as raised:
        tables.ensure(connected(catalog), FORECAST, (Column("due", "date", nullable=True),))

    assert raised.value.message == (
        "Athena adds no column of type date to a table that is there: due of forecast_data_local.forecast."
    )
    assert catalog.statements == []


def test_create_table_parquet_with_partitions() -> None:
    table = Table(
        "telemetry",
        "events",
        (Column("id", "string"), Column("tags", "array<string>", nullable=True)),
        key=("id",),
        format="parquet",
        partitions=(Column("year", "string"), Column("hour", "string")),
    )

    assert tables.create_table(table, "acme_local", "s3://lake/acme/events/") == (
        "CREATE EXTERNAL TABLE IF NOT EXISTS `acme_local`.`events` (\n"
        "  `id` STRING,\n"
        "  `tags` ARRAY<STRING>\n"
        ")\n"
        "PARTITIONED BY (\n"
        "  `year` STRING,\n"
        "  `hour` STRING\n"
        ")\n"
        "STORED AS PARQUET\n"
        "LOCATION 's3://lake/acme/events/'"
    )


def test_ensure_table_that_differs_is_refused_with_every_difference() -> None:
    table = copy.deepcopy(AS_DECLARED)
    table["StorageDescriptor"]["Columns"].pop()
    table["StorageDescriptor"]["SerdeInfo"]["Parameters"]["field.delim"] = ";"
    table["Parameters"].pop("skip.header.line.count")

    with pytest.raises(LandingError) as raised:
        tables.ensure(connected(FakeCatalog(workgroup=True, database=True, table=table)), FORECAST)

    columns = (
        "restaurant_id int, inventory_item_id int, business_date date, dma_id string, dc_id int, state string, "
        "y_05 double, y_50 double"
    )
    assert raised.value.message == (
        "Table forecast_data_local.forecast is not as source forecast declares it:\n"
        f"  columns: {columns} instead of {columns}, y_95 double\n"
        "  field.delim: ';' instead of ','\n"
        "  skip.header.line.count: None instead of '1'"
    )
    assert raised.value.hint == (
        'Drop it (`invoke query "drop table forecast_data_local.forecast"`; the files stay) and seed again.'
    )
