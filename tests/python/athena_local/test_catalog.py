"""The catalog store: Glue's semantics, versions, races and crashes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athena_local.catalog import (
    AlreadyExistsError,
    Catalog,
    ConcurrentModificationError,
    EntityNotFoundError,
    InvalidInputError,
)
from athena_local.catalog.patterns import is_like
from athena_local.config import Config
from athena_local.objects import ObjectStore


@pytest.fixture
def table(catalog: Catalog) -> dict[str, Any]:
    table = {
        "Name": "Sales",
        "PartitionKeys": [{"Name": "day", "Type": "date"}, {"Name": "shop", "Type": "int"}],
    }
    catalog.create_table("default", table)
    return table


def test_table_names_fold_to_lower_case(catalog: Catalog, table: dict[str, Any]) -> None:
    found = catalog.get_table("DEFAULT", "SALES")
    assert (found["Name"], found["DatabaseName"], found["VersionId"]) == ("sales", "default", "0")
    with pytest.raises(AlreadyExistsError):
        catalog.create_table("default", {"Name": "SALES"})


def test_missing_database_and_table_are_named(catalog: Catalog) -> None:
    with pytest.raises(EntityNotFoundError, match="Database nowhere not found"):
        catalog.get_tables("nowhere")
    with pytest.raises(EntityNotFoundError, match="Entity Not Found"):
        catalog.get_table("default", "nothing")
    with pytest.raises(EntityNotFoundError, match=r"Table nothing not found\."):
        catalog.delete_table("default", "Nothing")


def test_delete_database_takes_its_tables_and_partitions(catalog: Catalog) -> None:
    catalog.create_database({"Name": "gone"})
    catalog.create_table("gone", {"Name": "t", "PartitionKeys": [{"Name": "p", "Type": "string"}]})
    catalog.create_partitions("gone", "t", [{"Values": ["a"]}])
    catalog.delete_database("gone")
    catalog.create_database({"Name": "gone"})
    assert catalog.get_tables("gone") == []


def test_update_table_archives_unless_told_not_to(catalog: Catalog, table: dict[str, Any]) -> None:
    catalog.update_table("default", {**table, "Description": "one"})
    catalog.update_table("default", {**table, "Description": "two"}, skip_archive=True)
    versions = catalog.get_table_versions("default", "sales")
    assert [(one["VersionId"], one.get("Description")) for one in versions] == [("2", "two"), ("0", None)]
    catalog.delete_table_version("default", "sales", "0")
    with pytest.raises(InvalidInputError):
        catalog.delete_table_version("default", "sales", "2")


def test_update_table_of_a_stale_version_is_refused(catalog: Catalog, table: dict[str, Any]) -> None:
    catalog.update_table("default", table, version_id="0")
    with pytest.raises(ConcurrentModificationError):
        catalog.update_table("default", table, version_id="0")


def test_update_table_of_sixteen_racing_writers_one_wins(catalog: Catalog, table: dict[str, Any]) -> None:
    outcomes: list[str] = []
    barrier = threading.Barrier(16)

    def write(number: int) -> None:
        barrier.wait()
        try:
            catalog.update_table("default", {**table, "Description": str(number)}, version_id="0")
            outcomes.append("won")
        except ConcurrentModificationError:
            outcomes.append("lost")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["lost"] * 15 + ["won"]
    assert catalog.get_table("default", "sales")["VersionId"] == "1"


def test_get_tables_expression_matches_the_whole_name(catalog: Catalog) -> None:
    for name in ("stg_a", "stg_b", "a_stg_b"):
        catalog.create_table("default", {"Name": name})
    assert [one["Name"] for one in catalog.get_tables("default", "stg_.*")] == ["stg_a", "stg_b"]
    with pytest.raises(InvalidInputError):
        catalog.get_tables("default", "(")


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        ("STG_.*", ["stg_a", "stg_b"]),
        ("stg_*", ["stg_a", "stg_b"]),
        ("*_b", ["a_stg_b", "stg_b"]),
        ("*stg*", ["a_stg_b", "stg_a", "stg_b"]),
        ("stg_[ab]+|none", ["stg_a", "stg_b"]),
        ("stg", []),
        (r"\w*_a", ["stg_a"]),
        ("(((a|.)*)*)*!", []),
    ],
)
def test_get_tables_expression_is_a_regular_expression_with_wildcards(
    catalog: Catalog, pattern: str, kept: list[str]
) -> None:
    for name in ("stg_a", "stg_b", "a_stg_b", "a" * 200):
        catalog.create_table("default", {"Name": name})
    assert [one["Name"] for one in catalog.get_tables("default", pattern)] == kept


@given(st.text("ab%_", max_size=8), st.text("ab%_\n", max_size=10))
def test_like_equals_its_regular_expression(pattern: str, text: str) -> None:
    parts = ({"%": ".*", "_": "."}.get(one, re.escape(one)) for one in pattern)
    assert is_like(text, pattern) == (re.fullmatch("".join(parts), text, re.DOTALL) is not None)


def test_get_tables_expression_is_read_even_where_there_are_no_tables(catalog: Catalog) -> None:
    with pytest.raises(InvalidInputError, match=r"Invalid expression '\('"):
        catalog.get_tables("default", "(")


def test_like_of_many_wildcards_ends_soon() -> None:
    assert not is_like("a" * 2000, "%a" * 500 + "%b")


def test_rename_table_keeps_partitions(catalog: Catalog, table: dict[str, Any]) -> None:
    catalog.create_partitions("default", "sales", [{"Values": ["2025-01-01", "1"]}])
    catalog.rename_table("default", "sales", "Orders")
    assert catalog.get_table("default", "orders")["Name"] == "orders"
    assert len(catalog.get_partitions("default", "orders")) == 1


def test_create_partitions_is_all_or_nothing(catalog: Catalog, table: dict[str, Any]) -> None:
    one, two = {"Values": ["2025-01-01", "1"]}, {"Values": ["2025-01-02", "1"]}
    catalog.create_partitions("default", "sales", [one])
    with pytest.raises(AlreadyExistsError):
        catalog.create_partitions("default", "sales", [two, one])
    assert len(catalog.get_partitions("default", "sales")) == 1
    created = catalog.create_partitions("default", "sales", [two, one], ignore_existing=True)
    assert [partition["Values"] for partition in created] == [["2025-01-02", "1"]]


def test_create_partition_with_too_few_values_is_refused(catalog: Catalog, table: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="2 keys, 1 values"):
        catalog.create_partitions("default", "sales", [{"Values": ["2025-01-01"]}])


@pytest.mark.parametrize(
    ("expression", "kept"),
    [
        ("day = '2025-01-02'", [2]),
        ("day >= DATE '2025-01-02' and shop <> 10", [2, 9]),
        ("shop > 2", [9, 10]),  # as numbers: 9 and 10, not by text
        ("shop in (1, 10)", [1, 10]),
        ("NOT shop in (1, 10)", [2, 9]),
        ("shop not between 2 and 9", [1, 10]),
        ("day between '2025-01-01' and '2025-01-02'", [1, 2]),
        ("(shop = 1 or shop = 2) and day <> '2025-01-01'", [2]),
        ("day is null", []),
        ('`shop` = 1 AND "day" is not null', [1]),
        ("2 < shop", [9, 10]),
        ("(shop) = ((2)) OR (((shop))) = (9)", [2, 9]),
        ("", [1, 2, 9, 10]),
    ],
)
def test_get_partitions_expression(
    catalog: Catalog, table: dict[str, Any], expression: str, kept: list[int]
) -> None:
    inputs = [{"Values": [f"2025-01-{shop:02}", str(shop)]} for shop in (1, 2, 9, 10)]
    catalog.create_partitions("default", "sales", inputs)
    found = catalog.get_partitions("default", "sales", expression)
    assert [int(one["Values"][1]) for one in found] == kept


def test_get_partitions_null_partition_only_matches_is_null(catalog: Catalog, table: dict[str, Any]) -> None:
    catalog.create_partitions("default", "sales", [{"Values": ["__HIVE_DEFAULT_PARTITION__", "1"]}])
    assert len(catalog.get_partitions("default", "sales", "day is null")) == 1
    assert catalog.get_partitions("default", "sales", "day <> '2025-01-01'") == []
    assert catalog.get_partitions("default", "sales", "not day = '2025-01-01'") == []


TYPES = [
    "string",
    "char(5)",
    "varchar(5)",
    "int",
    "bigint",
    "smallint",
    "tinyint",
    "decimal(5,2)",
    "date",
    "timestamp",
]
# of each type: three values in order, as Hive writes them into a path, and a literal for the second
VALUES = {
    "string": ("a", "b", "c", "'b'"),
    "char(5)": ("a", "b", "c", "'b'"),
    "varchar(5)": ("10", "9", "a", "'9'"),
    "int": ("-3", "9", "10", "9"),
    "bigint": ("9", "10", "9999999999", "'10'"),
    "smallint": ("9", "10", "11", "10"),
    "tinyint": ("9", "10", "100", "10"),
    "decimal(5,2)": ("9.5", "10.00", "10.01", "1e1"),
    "date": ("2024-12-31", "2025-01-01", "2025-01-10", "'2025-01-01'"),
    "timestamp": ("2025-01-01 09:00:00", "2025-01-01 10:00:00.000", "2025-01-01 10:00:00.000000001",
                  "'2025-01-01 10:00:00.0'"),
}  # fmt: skip


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    ("predicate", "kept"),
    [
        ("k = {0}", [1]),
        ("k != {0}", [0, 2]),
        ("k <> {0}", [0, 2]),
        ("k < {0}", [0]),
        ("k <= {0}", [0, 1]),
        ("k > {0}", [2]),
        ("{0} <= K", [1, 2]),
        ("k BETWEEN {0} AND {0}", [1]),
        ("k not between {0} and {0}", [0, 2]),
        ("k in ({0}, {0})", [1]),
        ("k NOT IN ({0})", [0, 2]),
        ("not (k > {0} or k < {0})", [1]),
        ("k is null", [3]),
        ("k is not null and k >= {0}", [1, 2]),
    ],
)
def test_get_partitions_expression_on_each_key_type(
    catalog: Catalog, kind: str, predicate: str, kept: list[int]
) -> None:
    *values, literal = VALUES[kind]
    catalog.create_table("default", {"Name": "t", "PartitionKeys": [{"Name": "k", "Type": kind}]})
    values.append("__HIVE_DEFAULT_PARTITION__")
    catalog.create_partitions("default", "t", [{"Values": [value]} for value in values])
    found = catalog.get_partitions("default", "t", predicate.format(literal))
    assert sorted(one["Values"][0] for one in found) == sorted(values[place] for place in kept)


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [("'a%'", ["ab", "abc"]), ("'a_'", ["ab"]), ("'%b%'", ["ab", "abc"]), ("'a.c'", []), ("'AB'", [])],
)
def test_get_partitions_expression_like(catalog: Catalog, pattern: str, kept: list[str]) -> None:
    catalog.create_table("default", {"Name": "t", "PartitionKeys": [{"Name": "k", "Type": "string"}]})
    catalog.create_partitions("default", "t", [{"Values": [value]} for value in ("ab", "abc", "x")])
    found = [one["Values"][0] for one in catalog.get_partitions("default", "t", f"k like {pattern}")]
    assert found == kept
    rest = [one["Values"][0] for one in catalog.get_partitions("default", "t", f"k not like {pattern}")]
    assert rest == [value for value in ("ab", "abc", "x") if value not in kept]


@pytest.mark.parametrize(
    ("kind", "expression", "message"),
    [
        ("int", "other = 1", "Invalid partition expression!"),
        ("int", "k = 'x'", '"x" is not an integer.'),
        ("int", "k in (1, 2.5)", '"2.5" is not an integer.'),
        ("decimal(5,2)", "k = 'x'", "x is not a decimal."),
        ("date", "k = '2022-02-32'", "2022-02-32 is not a date."),
        ("timestamp", "k = '2022-02-01'", "2022-02-01 is not a timestamp."),
        ("int", "k like '1%'", "Integral data type doesn't support operation 'LIKE'"),
        ("decimal(5,2)", "k like '1%'", "Decimal data type doesn't support operation 'LIKE'"),
        ("date", "k like '2025%'", "Date data type doesn't support operation 'LIKE'"),
        ("timestamp", "k like '2025%'", "Timestamp data type doesn't support operation 'LIKE'"),
        ("string", "upper(k) = 'A'", "Unsupported expression 'upper(k) = 'A''"),
        ("string", "k =", "Unsupported expression 'k ='"),
        ("string", "k = 'a' or", "Unsupported expression 'k = 'a' or'"),
        ("string", "1 = 1", "Unsupported expression '1 = 1'"),
        ("string", "k = 'a' ; drop", "Unsupported expression 'k = 'a' ; drop'"),
    ],
)  # fmt: skip
def test_get_partitions_expression_is_refused_in_glues_words(
    catalog: Catalog, kind: str, expression: str, message: str
) -> None:
    catalog.create_table("default", {"Name": "t", "PartitionKeys": [{"Name": "k", "Type": kind}]})
    with pytest.raises(InvalidInputError) as raised:
        catalog.get_partitions("default", "t", expression)
    assert str(raised.value).endswith(message)


def test_partition_pages_of_a_segment_hold_every_partition_once(catalog: Catalog) -> None:
    catalog.create_table("default", {"Name": "t", "PartitionKeys": [{"Name": "k", "Type": "int"}]})
    catalog.create_partitions("default", "t", [{"Values": [str(number)]} for number in range(100)])
    found: list[str] = []
    for number in range(3):
        after: str | None = ""
        while after is not None:
            page, after = catalog.get_partition_page(
                "default", "t", "k >= 50", after=after, limit=7, segment=(number, 3)
            )
            assert 0 <= len(page) <= 7
            found += [one["Values"][0] for one in page]
    assert sorted(found, key=int) == [str(number) for number in range(50, 100)]


CRASHING_WRITER = """
import sys
from pathlib import Path
from athena_local.catalog import Catalog
catalog = Catalog(Path(sys.argv[1]))
number = 0
while True:
    catalog.create_table("default", {"Name": f"t{number}"})
    print(number, flush=True)
    number += 1
"""


def test_catalog_after_kill_9_holds_every_acknowledged_table(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    catalog = Catalog(path)
    catalog.create_database({"Name": "default"})
    catalog.close()
    writer = subprocess.Popen(
        [sys.executable, "-c", CRASHING_WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    for line in writer.stdout:
        if int(line) >= 50:
            break
    os.kill(writer.pid, signal.SIGKILL)
    acknowledged = [50, *(int(line) for line in writer.stdout if line.endswith("\n"))]
    writer.stdout.close()
    writer.wait()
    catalog = Catalog(path)
    names = {one["Name"] for one in catalog.get_tables("default")}
    catalog.close()
    assert {f"t{number}" for number in range(max(acknowledged) + 1)} <= names


def test_context_reaches_s3(objects: ObjectStore, config: Config, lake: str) -> None:
    objects.write(f"{lake}a.txt", b"one")
    assert [item.path for item in objects.list(lake)] == [f"{lake}a.txt"]
    assert config.spool_dir.is_dir()
