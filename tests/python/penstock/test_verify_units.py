"""What verify expects, and how it words what it finds: no lake is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import BuildError
from penstock.lake.archive import joined
from penstock.lake.athena import QueryResult
from penstock.lake.verify import expected, rows
from penstock.lake.verify.expected import Grain, field_type, iceberg_type, marts, partition
from penstock.lake.verify.marts import differing
from penstock.lake.verify.report import Notes, Report, listed
from penstock.sources import get


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("varchar", "string"),
        ("VARCHAR(2)", "string"),
        ("integer", "int"),
        ("int", "int"),
        ("bigint", "long"),
        ("real", "float"),
        ("double", "double"),
        ("decimal(10, 2)", "decimal(10,2)"),
        ("timestamp(6)", "timestamp"),
        ("timestamp(6) with time zone", "timestamptz"),
        ("array(double)", "list<double>"),
        ("array<double>", "list<double>"),
        ("array<array(varchar(3))>", "list<list<string>>"),
        ("map(varchar, array(decimal(4,1)))", "map<string, list<decimal(4,1)>>"),
        ("row(a integer, b array(bigint))", "struct<a: int, b: list<long>>"),
        ("struct<a:int,b:array<bigint>>", "struct<a: int, b: list<long>>"),
        ("varbinary", "binary"),
    ],
)
def test_iceberg_type_is_the_same_however_it_is_spelt(given: str, found: str) -> None:
    assert iceberg_type(given) == found


def test_field_type_words_nested_types_as_iceberg_type_does() -> None:
    listed_doubles = {"type": "list", "element-id": 3, "element": "double", "element-required": False}
    struct = {
        "type": "struct",
        "fields": [{"id": 1, "name": "a", "type": "int"}, {"id": 2, "name": "b", "type": listed_doubles}],
    }
    assert field_type("decimal(10, 2)") == iceberg_type("decimal(10,2)")
    assert field_type(listed_doubles) == iceberg_type("array(double)")
    assert field_type(struct) == iceberg_type("row(a integer, b array(double))")
    assert field_type({"type": "map", "key": "string", "value": "long"}) == iceberg_type(
        "map(varchar, bigint)"
    )


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("year", ("identity", "year")),
        ("year(sold_date)", ("year", "sold_date")),
        ("months(sold_date)", ("month", "sold_date")),
        ("bucket(16, product_id)", ("bucket[16]", "product_id")),
        ("truncate(3, product_id)", ("truncate[3]", "product_id")),
        ('"Tenant_id"', ("identity", "tenant_id")),
    ],
)
def test_partition_reads_what_athena_takes(given: str, found: tuple[str, str]) -> None:
    assert partition(given) == found


def test_differing_names_every_column_at_fault() -> None:
    found = {"a": "int", "b": "string", "d": "date"}
    assert differing(found, {"a": "long", "b": "string", "c": "date"}) == [
        "c is missing",
        "d is not declared",
        "a is int, not long",
    ]
    assert differing(found, found) == []


def test_listed_names_the_first_few() -> None:
    assert listed(range(3)) == "0, 1, 2"
    assert listed(range(1_007)) == "0, 1, 2, 3, 4 and 1,002 more"


# which marts belong to a source, and which have its grain


def node(name: str, parents: list[str], **config: Any) -> dict[str, Any]:
    config.setdefault("materialized", "incremental")
    return {
        "resource_type": "model",
        "name": name,
        "schema": "analytics_local",
        "alias": name,
        "original_file_path": f"models/{config.pop('folder', 'marts')}/{name}.sql",
        "depends_on": {"nodes": parents},
        "config": config,
        "columns": {},
    }


def manifest(tmp_path: Path, *nodes: dict[str, Any]) -> Path:
    sources = {
        f"source.penstock.{name}.{name}": {"source_name": name, "identifier": name}
        for name in ("sales", "forecast")
    }
    path = tmp_path / "manifest.json"
    path.write_text(
        json.dumps({"nodes": {f"model.{item['name']}": item for item in nodes}, "sources": sources})
    )
    return path


def test_marts_are_those_whose_lineage_reaches_the_source(tmp_path: Path) -> None:
    key = list(get("sales").table.key)
    path = manifest(
        tmp_path,
        node("staged", ["source.penstock.sales.sales"], materialized="view"),
        node("history", ["model.staged"], table_type="iceberg", unique_key=key[::-1], partitioned_by=["year"],
             write_compression="SNAPPY", table_properties={"vacuum_max_snapshot_age_seconds": "1", "write.x": "y"}),
        node("summary", ["model.history"], table_type="iceberg", unique_key="brand"),
        node("served", ["model.history"], folder="serving", materialized="view"),
        node("other", ["source.penstock.forecast.forecast"], table_type="iceberg"),
    )  # fmt: skip

    history, summary = marts(path, get("sales"))

    assert (history.model, summary.model) == ("history", "summary")
    assert history.grain is not None
    assert (history.grain.table, history.grain.view) == (get("sales").table, '"analytics_local"."staged"')
    assert (history.grain.day, history.grain.other) == ("sold_date", "tenant_id")
    assert history.partitions == (("identity", "year"),)
    assert history.properties == {
        "write.format.default": "parquet",
        "write.parquet.compression-codec": "snappy",
        "write.x": "y",
    }
    assert summary.grain is None


def test_marts_without_a_manifest_names_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="No build has written a manifest yet") as caught:
        marts(tmp_path / "manifest.json", get("sales"))
    assert caught.value.hint == "invoke build"


# what rows that differ are said to be


def noted(changed: bool, due: rows.Counts, found: rows.Counts) -> tuple[str, str, str]:
    grain = Grain(get("sales").table, '"a"."staged"')
    mart = expected.Mart("history", "a", "history", True, {}, (), {}, "", grain)
    report = Report()

    def ask(sql: str) -> QueryResult:
        counted = [("t1", "3"), ("t2", "4" if "staged" in sql else "5")]
        return QueryResult("", (), (), list(counted), 0, 0.0, None)

    rows.modelled(mart, grain, due, found, [], ask, Notes("sales", report), changed)
    (check,) = report.checks
    return check.state, check.found, check.todo


def test_modelled_rows_that_differ_name_months_and_keys() -> None:
    state, found, todo = noted(False, {"2025-01": 7, "2025-02": 1}, {"2025-01": 8, "2025-02": 1})
    assert (state, found) == ("failed", "9 (2025-01 8 instead of 7); tenant_id: t2")
    assert todo == "invoke build"


def test_modelled_rows_of_a_table_written_meanwhile_are_a_warning() -> None:
    state, _, todo = noted(True, {"2025-01": 7}, {"2025-01": 8})
    assert (state, todo) == ("warning", "It was written while this was counted: verify again.")
    assert noted(True, {"2025-01": 7}, {"2025-01": 7})[0] == "ok"


@pytest.mark.parametrize(
    ("ranges", "days"),
    [
        ([], []),
        (
            [("2024-02-01", "2024-02-29"), ("2024-01-01", "2024-01-31")],
            [("2024-01-01", "2024-01-31"), ("2024-02-01", "2024-02-29")],
        ),
        ([("2024-01-01", "2024-03-31"), ("2024-02-01", "2024-02-29")], [("2024-01-01", "2024-03-31")]),
        ([("2024-01-01", "2024-01-31"), ("2024-01-31", "2024-02-05")], [("2024-01-01", "2024-02-05")]),
        ([("0001-01-01", "9999-12-31"), ("2024-01-01", "2024-01-31")], [("0001-01-01", "9999-12-31")]),
    ],
)  # fmt: skip
def test_days_of_archived_files_are_joined(
    ranges: list[tuple[str, str]], days: list[tuple[str, str]]
) -> None:
    assert joined(ranges) == days
