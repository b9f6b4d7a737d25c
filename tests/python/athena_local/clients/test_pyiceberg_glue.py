"""PyIceberg's own GlueCatalog beside Athena's SQL: each reads, appends and evolves what the other wrote."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import NoSuchTableError, TableAlreadyExistsError
from pyiceberg.expressions import EqualTo, GreaterThan
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import DateType, LongType, NestedField, StringType


@pytest.fixture
def catalog(environment: dict[str, str], server: Any) -> Any:
    return load_catalog(
        "local",
        type="glue",
        **{
            "glue.endpoint": server.endpoint,
            "glue.region": "us-east-2",
            "s3.endpoint": server.s3_endpoint,
            "s3.access-key-id": "test",
            "s3.secret-access-key": "test",
            "s3.region": "us-east-2",
        },
    )


SCHEMA = Schema(
    NestedField(1, "id", LongType()),
    NestedField(2, "label", StringType()),
    NestedField(3, "day", DateType()),
)


def test_athena_reads_and_changes_what_pyiceberg_wrote(
    catalog: Any, database: str, table: str, lake: str, run_query: Any
) -> None:
    written = catalog.create_table(
        f"{database}.{table}",
        SCHEMA,
        location=f"{lake}{table}",
        partition_spec=PartitionSpec(PartitionField(3, 1000, IdentityTransform(), "day")),
    )
    written.append(
        pa.table(
            {
                "id": [1, 2, 3],
                "label": ["a", None, "c"],
                "day": pa.array([19723, 19754, 19783], pa.date32()),  # the firsts of three months of 2024
            }
        )
    )
    sql = f"select id, label, day from {table} order by id"
    assert run_query(sql, database) == [
        ("1", "a", "2024-01-01"),
        ("2", None, "2024-02-01"),
        ("3", "c", "2024-03-01"),
    ]
    run_query(f"update {table} set label = 'B' where id = 2", database)
    run_query(f"delete from {table} where id = 3", database)
    run_query(f"alter table {table} add columns (extra int)", database)
    run_query(f"insert into {table} values (4, 'd', date '2024-04-01', 7)", database)
    found = catalog.load_table(f"{database}.{table}").scan().to_arrow().sort_by("id")
    assert found.column("id").to_pylist() == [1, 2, 4]
    assert found.column("label").to_pylist() == ["a", "B", "d"]
    assert found.column("extra").to_pylist() == [None, None, 7]


def test_pyiceberg_reads_and_changes_what_athena_wrote(
    catalog: Any, database: str, table: str, lake: str, run_query: Any
) -> None:
    run_query(
        f"create table {table} (id bigint, label string)"
        f" location '{lake}{table}/' tblproperties ('table_type' = 'ICEBERG')",
        database,
    )
    run_query(f"insert into {table} values (1, 'a'), (2, 'b'), (3, 'c')", database)
    opened = catalog.load_table(f"{database}.{table}")
    assert opened.scan(GreaterThan("id", 1)).to_arrow().num_rows == 2
    opened.append(pa.table({"id": [4], "label": ["d"]}))
    opened.delete(EqualTo("id", 1))
    with opened.update_schema() as update:
        update.add_column("late", LongType())
        update.rename_column("label", "name")
    assert run_query(f"select id, name, late from {table} order by id", database) == [
        ("2", "b", None),
        ("3", "c", None),
        ("4", "d", None),
    ]
    assert run_query(f'select count(*) from "{table}$snapshots"', database) == [("3",)]


def test_catalog_operations(catalog: Any, database: str, table: str, lake: str, run_query: Any) -> None:
    catalog.create_namespace(f"{database}_more", {"comment": "more"})
    assert (f"{database}_more",) in catalog.list_namespaces()
    assert catalog.load_namespace_properties(f"{database}_more")["comment"] == "more"
    catalog.create_table(f"{database}.{table}", SCHEMA, location=f"{lake}{table}")
    with pytest.raises(TableAlreadyExistsError):
        catalog.create_table(f"{database}.{table}", SCHEMA, location=f"{lake}{table}")
    assert catalog.list_tables(database) == [(database, table)]
    catalog.rename_table(f"{database}.{table}", f"{database}_more.moved")
    assert run_query(f"select count(*) from {database}_more.moved") == [("0",)]
    with pytest.raises(NoSuchTableError):
        catalog.load_table(f"{database}.{table}")
    catalog.drop_table(f"{database}_more.moved")
    catalog.drop_namespace(f"{database}_more")


def test_a_stale_append_loses_nothing(
    catalog: Any, database: str, table: str, lake: str, run_query: Any
) -> None:
    catalog.create_table(f"{database}.{table}", SCHEMA, location=f"{lake}{table}")
    stale = catalog.load_table(f"{database}.{table}")
    run_query(f"insert into {table} values (1, 'a', date '2024-01-01')", database)
    stale.append(pa.table({"id": [2], "label": ["b"], "day": pa.array([19723], pa.date32())}))
    assert run_query(f"select id from {table} order by id", database) == [("1",), ("2",)]
