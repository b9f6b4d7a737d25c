"""Declarations: what the project's own say, how a yml is read, and what no declaration may say, by file, line and key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from penstock import sources
from penstock.environments import environment
from penstock.errors import DeclarationError, LandingError
from penstock.sources import Column, Derived, Table
from penstock.sources.declaration import UnsoundError
from penstock.sources.reading import read

RETURNS = """\
database: returns
tables:
  - name: returns
    format: csv
    key: [return_id]
    columns:
      - {name: return_id, type: bigint}
      - {name: returned_on, type: date}
      - {name: reason, type: string, nullable: true, pattern: "[a-z_]{1,30}", means: a reason code}
      - {name: amount, type: "decimal(10,2)", above: 0, maximum: 500}
      - {name: quarter, type: string, one_of: [Q1, Q2, Q3, Q4]}
      - {name: low, type: double}
      - {name: high, type: double}
    checks:
      - {rises: [low, high]}
      - {column: quarter, is: quarter of returned_on}
"""


def written(folder: Path, text: str, name: str = "returns.yml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


# the project's own


def test_forecast_header_is_the_files_own() -> None:
    assert (
        sources.table("forecast").header
        == "restaurant_id,inventory_item_id,business_date,dma_id,dc_id,state,y_05,y_50,y_95"
    )


def test_states_are_50_states_dc_and_territories() -> None:
    codes = sources.table("forecast").by_name["state"].pattern.split("|")
    assert len(codes) == len(set(codes)) == 56
    assert all(re.fullmatch("[A-Z]{2}", code) for code in codes)


def test_sales_columns_are_the_twelve_of_the_spec_in_order() -> None:
    sales = sources.table("sales")
    assert [(column.name, column.type) for column in sales.columns] == [
        ("product_id", "string"),
        ("tenant_id", "string"),
        ("category", "string"),
        ("brand", "string"),
        ("condition", "string"),
        ("sold_price", "decimal(10,2)"),
        ("sold_date", "timestamp"),
        ("season", "string"),
        ("image_s3_key", "string"),
        ("embedding", "array<double>"),
        ("description", "string"),
        ("source", "string"),
    ]
    assert sales.key == ("tenant_id", "product_id", "sold_date")
    assert sales.derived == (Derived("season", "quarter", "sold_date"),)
    assert sales.by_name["embedding"].length == 1024
    assert sales.by_name["sold_price"].above == 0


def test_landed_database_and_location_follow_from_the_declaration() -> None:
    local = environment("local")
    assert local.landed_database("sales") == "pricing_intelligence_local"
    assert local.landed_location("sales") == "s3://penstock-lake-local/pricing_intelligence/sales/"
    assert local.landed_location("forecast.forecast") == "s3://penstock-lake-local/forecast_data/"


def test_get_unknown_source_names_those_declared_and_the_nearest() -> None:
    with pytest.raises(LandingError, match="'sale' is no declared source") as raised:
        sources.get("sale")
    assert raised.value.hint == (
        "Declared are: forecast, sales. sales is meant, perhaps. `invoke source.new` adds one."
    )


def test_table_unknown_table_of_a_source_names_its_tables() -> None:
    with pytest.raises(LandingError, match=r"Source sales has no table 'returns'\.") as raised:
        sources.table("sales.returns")
    assert raised.value.hint == "Name one of: sales.sales."


# reading a yml


def test_read_returns_what_the_yml_says(tmp_path: Path) -> None:
    source = read(written(tmp_path, RETURNS))

    assert (source.name, source.database, len(source.tables)) == ("returns", "returns", 1)
    assert source.table.prefix == "returns/"
    assert source.table.columns[2:5] == (
        Column("reason", "string", nullable=True, pattern="[a-z_]{1,30}", means="a reason code"),
        Column("amount", "decimal(10,2)", above=0, maximum=500),
        Column("quarter", "string", one_of=("Q1", "Q2", "Q3", "Q4")),
    )
    assert source.table.ordered == (("low", "high"),)
    assert source.table.derived == (Derived("quarter", "quarter", "returned_on"),)


def test_read_several_tables_lie_in_folders_of_their_own_with_partitions(tmp_path: Path) -> None:
    table = """\
  - name: {name}
    format: parquet
    location: {name}
    key: [id]
    columns: [{{name: id, type: string}}]
    partitions: [{{name: year, type: string}}, {{name: hour, type: string}}]
"""
    text = "database: telemetry\nfolder: acme/telemetry\ntables:\n"
    source = read(written(tmp_path, text + table.format(name="events") + table.format(name="users")))

    assert [table.prefix for table in source.tables] == ["acme/telemetry/events/", "acme/telemetry/users/"]
    assert [column.name for column in source.tables[0].partitions] == ["year", "hour"]


# (what the yml says, what it is made to say, the line named, the words)
MISTAKES = {
    "unknown_key": (
        "means: a reason code",
        "meant: a reason code",
        9,
        "'meant' is no key here (there are name, type, nullable, pattern, means, one_of, minimum, maximum, above, length,"
        " description); means is meant, perhaps.",
    ),
    "unknown_type": (
        "type: double}\n      - {name: high",
        "type: varchar}\n      - {name: high",
        12,
        "type: column low: 'varchar' is none of int, bigint, double, boolean, date, timestamp, string, decimal(p,s) or"
        " array<int|bigint|double|boolean|string>.",
    ),
    "decimal_scale": (
        "decimal(10,2)",
        "decimal(10,12)",
        10,
        "type: column amount: 'decimal(10,12)' is none of",
    ),
    "no_database": ("database: returns\n", "", 1, "database: is missing."),
    "odd_database": (
        "database: returns",
        "database: Returns-Data",
        1,
        "database: 'Returns-Data' is not small letters, digits and _, a letter first, at most 41.",
    ),
    "marts_folder": (
        "database: returns",
        "database: returns\nfolder: marts",
        2,
        "folder: 'marts/' is where the marts' own files lie.",
    ),
    "no_format": ("    format: csv\n", "", 3, "format: is missing."),
    "odd_format": (
        "format: csv",
        "format: orc",
        4,
        "format: table returns: 'orc' is neither csv nor parquet.",
    ),
    "key_that_may_be_empty": (
        "key: [return_id]",
        "key: [return_id, reason]",
        5,
        "key: table returns: reason, of the key, may be empty.",
    ),
    "key_no_column": (
        "key: [return_id]",
        "key: [id]",
        5,
        "key: table returns: id, of the key, is no column.",
    ),
    "key_not_a_list": ("key: [return_id]", "key: return_id", 5, "key: 'return_id' is not a list: [a, b]."),
    "nullable_word": (
        "nullable: true",
        "nullable: often",
        9,
        "nullable: 'often' is not true or false.",
    ),
    "pattern_broken": (
        '"[a-z_]{1,30}"',
        '"[a-z_"',
        9,
        "pattern: column reason: '[a-z_' is no regular expression (unterminated character set at position 0).",
    ),
    "bound_on_a_date": (
        "{name: returned_on, type: date}",
        "{name: returned_on, type: date, minimum: 2}",
        8,
        "minimum: column returned_on: only a number has a minimum.",
    ),
    "bounds_crossed": (
        "above: 0, maximum: 500",
        "above: 0, maximum: -1",
        10,
        "maximum: column amount: no number lies between its bounds.",
    ),
    "text_unquoted": ("one_of: [Q1,", "one_of: [1,", 11, "one_of: 1 is not text (put it in quotes)."),
    "column_twice": ("{name: high,", "{name: low,", 6, "columns: table returns has low twice."),
    "key_twice": (
        "    format: csv\n",
        "    format: csv\n    format: csv\n",
        5,
        "format is given twice.",
    ),
    "array_in_csv": (
        "{name: high, type: double}",
        "{name: high, type: array<double>}",
        6,
        "columns: table returns: a CSV file holds no array (high).",
    ),
    "rises_text": (
        "{rises: [low, high]}",
        "{rises: [low, reason]}",
        14,
        "checks: table returns: reason, which is to rise, is no number column.",
    ),
    "rises_alone": (
        "{rises: [low, high]}",
        "{rises: [low]}",
        15,
        "rises: two columns or more rise, and the check says nothing else.",
    ),
    "part_unknown": (
        "quarter of returned_on",
        "week of returned_on",
        16,
        "is: 'week of returned_on' is not '<part> of <column>', part being one of year, month, day, hour, quarter.",
    ),
    "part_of_no_date": (
        "quarter of returned_on",
        "quarter of reason",
        14,
        "checks: table returns: quarter cannot be the quarter of reason: a string or whole number repeats part of a date or"
        " timestamp.",
    ),
    "no_yml": ("key: [return_id]", "key: [return_id", 6, "is no yml: "),
}


@pytest.mark.parametrize(("old", "new", "line", "words"), MISTAKES.values(), ids=MISTAKES)
def test_read_mistake_is_refused_by_file_line_and_key(
    tmp_path: Path, old: str, new: str, line: int, words: str
) -> None:
    assert RETURNS.count(old) == 1

    with pytest.raises(DeclarationError) as raised:
        read(written(tmp_path, RETURNS.replace(old, new)))

    colon = "" if words.startswith("is no yml") else ":"
    assert raised.value.message.startswith(f"sources/returns.yml line {line}{colon} {words}")
    assert raised.value.hint.startswith("docs/how-to/add-a-source.md shows a declaration")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("returns.yml", "", "sources/returns.yml is empty."),
        (
            "returns.yml",
            "- database\n",
            "sources/returns.yml line 1: keys and values are due here: database, folder, description, tables.",
        ),
        ("Returns.yml", RETURNS, "sources/Returns.yml: 'Returns' cannot be a source's name."),
        (
            "returns.yml",
            "database: returns\ntables: []\n",
            "sources/returns.yml line 2: tables: a source has one table or more.",
        ),
        (
            "returns.yml",
            "database: returns\ntables: {name: a}\n",
            "sources/returns.yml line 2: tables: a list is due here.",
        ),
    ],
)
def test_read_file_that_is_no_declaration_is_refused(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    with pytest.raises(DeclarationError) as raised:
        read(written(tmp_path, text, name))
    assert raised.value.message == message


@pytest.mark.parametrize(
    ("change", "shared"),
    [
        (("database: returns", "database: others\nfolder: returns"), "the location returns/"),
        (("database: returns", "database: others\nfolder: returns/more"), "the location returns/more/"),
        (("database: returns", "database: returns\nfolder: elsewhere"), "table returns"),
    ],
)
def test_declared_two_sources_in_one_place_are_refused(
    tmp_path: Path, change: tuple[str, str], shared: str
) -> None:
    written(tmp_path, RETURNS)
    written(tmp_path, RETURNS.replace(*change), "zurich.yml")

    with pytest.raises(DeclarationError) as raised:
        sources.declared(tmp_path)

    assert raised.value.message == f"sources/returns.yml and sources/zurich.yml share {shared}."


def test_declared_reads_a_changed_file_again(tmp_path: Path) -> None:
    path = written(tmp_path, RETURNS)
    assert sources.declared(tmp_path)["returns"].database == "returns"

    path.write_text(RETURNS.replace("database: returns", "database: returns_of_goods"))

    assert sources.declared(tmp_path)["returns"].database == "returns_of_goods"


# made in Python


def test_table_with_a_key_that_may_be_empty_is_refused() -> None:
    with pytest.raises(UnsoundError, match="table t: a, of the key, may be empty"):
        Table("s", "t", (Column("a", "int", nullable=True),), key=("a",))


def test_column_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(UnsoundError, match="column a: 'varchar' is none of int, bigint, double"):
        Column("a", "varchar")
