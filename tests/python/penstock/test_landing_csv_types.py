"""CSV of other declarations than the forecast's: more types, checks and keys; columns new at the end or gone from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.errors import BadInputError, LandingError
from penstock.landing.check import check, normalized
from penstock.landing.seed import check_all, new_columns
from penstock.sources import Column, Derived, Table

RETURNS = Table(
    "returns",
    "returns",
    (
        Column("shop", "string"),
        Column("seen_at", "timestamp"),
        Column("amount", "decimal(6,2)", above=0, maximum=500),
        Column("is_open", "boolean"),
        Column("season", "string", one_of=("Q1", "Q2", "Q3", "Q4")),
        Column("low", "double", above=-1),
        Column("reason", "string", nullable=True),
        Column("weight", "double", nullable=True),
    ),
    key=("shop", "seen_at", "amount"),
    derived=(Derived("season", "quarter", "seen_at"),),
    delimiter=";",
)
HEADER = RETURNS.header
GOOD = "north side;2026-05-06 07:08:09;1.50;true;Q2;0;late;2.5"


def written(folder: Path, *lines: str, header: str = HEADER, name: str = "day.csv") -> Path:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in (header, *lines)))
    return path


def line(**changed: str) -> str:
    fields = dict(zip(HEADER.split(";"), GOOD.split(";"), strict=True))
    return ";".join({**fields, **changed}.values())


def told(path: Path, table: Table = RETURNS) -> list[str]:
    with pytest.raises(BadInputError) as raised:
        check_all(table, [path])
    return [fault.strip() for fault in raised.value.message.splitlines()[1:]]


FAULTS = {
    "timestamp_form": (
        {"seen_at": "2026-05-06T07:08:09"},
        "column seen_at: '2026-05-06T07:08:09' is not a moment of the form YYYY-MM-DD HH:MM:SS, with milliseconds at most",
    ),
    "timestamp_unreal": (
        {"seen_at": "2026-05-06 24:08:09"},
        "column seen_at: '2026-05-06 24:08:09' is a moment that does not exist",
    ),
    "timestamp_too_fine": (
        {"seen_at": "2026-05-06 07:08:09.1234"},
        "column seen_at: '2026-05-06 07:08:09.1234' is not a moment of the form YYYY-MM-DD HH:MM:SS, with milliseconds at"
        " most",
    ),
    "decimal_exponent": ({"amount": "1e2"}, "column amount: '1e2' is not a number"),
    "decimal_too_long": (
        {"amount": "12345.00"},
        "column amount: '12345.00' has more than 4 digits before the point",
    ),
    "decimal_too_fine": ({"amount": "1.005"}, "column amount: '1.005' has more than 2 decimals"),
    "decimal_zero": ({"amount": "0.00"}, "column amount: '0.00' is not more than 0"),
    "decimal_too_large": ({"amount": "500.01"}, "column amount: '500.01' is more than 500"),
    "boolean_word": ({"is_open": "yes"}, "column is_open: 'yes' is neither true nor false"),
    "season_of_another_quarter": (
        {"season": "Q3"},
        "columns season, seen_at: 'Q3, 2026-05-06 07:08:09' do not agree: season is the quarter of seen_at",
    ),
    "season_unknown": ({"season": "Q5"}, "column season: 'Q5' is none of Q1, Q2, Q3, Q4"),
    "double_not_above": ({"low": "-1"}, "column low: '-1' is not more than -1"),
}


@pytest.mark.parametrize(("changed", "words"), FAULTS.values(), ids=FAULTS)
def test_check_bad_field_is_refused_with_line_column_and_value(
    tmp_path: Path, changed: dict[str, str], words: str
) -> None:
    assert told(written(tmp_path, line(shop="a"), line(shop="b", **changed))) == [f"day.csv line 3, {words}"]


def test_check_bounds_and_values_hold_in_blocks_that_are_read_by_columns(tmp_path: Path) -> None:
    table = Table(
        "s",
        "t",
        (
            Column("id", "int", minimum=1),
            Column("level", "double", above=0),
            Column("kind", "string", one_of=("web", "shop")),
        ),
        key=("id",),
    )
    good = [f"{number},0.5,{'web' if number % 2 else 'shop'}" for number in range(1, 2_001)]
    bad = [*good[:999], "1000,0,web", *good[1000:1499], "1500,0.5,phone", *good[1500:]]

    assert check(written(tmp_path, *good, header=table.header), table).faults.first == []
    assert told(written(tmp_path, *bad, header=table.header), table) == [
        "day.csv line 1001, column level: '0' is not more than 0",
        "day.csv line 1501, column kind: 'phone' is none of web, shop",
    ]


def test_check_repeated_key_of_text_time_and_decimal_is_told_as_it_stands(tmp_path: Path) -> None:
    path = written(tmp_path, line(), line(shop="other"), line(amount="1.5", reason=""))

    assert told(path) == [
        "day.csv line 4, columns shop, seen_at, amount: 'north side, 2026-05-06 07:08:09, 1.5' is already in line 2"
    ]


def test_check_days_are_those_of_the_keys_time(tmp_path: Path) -> None:
    path = written(
        tmp_path, line(), line(seen_at="2026-04-01 00:00:00"), line(seen_at="2026-06-30 23:59:59.999")
    )

    days = check(path, RETURNS).days

    assert days is not None
    assert [day.isoformat() for day in days] == ["2026-04-01", "2026-06-30"]


# columns


def test_check_new_last_columns_get_the_narrowest_type_that_takes_all(tmp_path: Path) -> None:
    new = ("whole", "number", "day", "moment", "flag", "text", "none", "code")
    rows = [
        ("1", "1", "2026-01-02", "2026-01-02 03:04:05", "true", "1", "", "x"),
        ("-2", "1.5", "", "2026-01-02 03:04:05.250", "false", "x", "", "1"),
        ("", "1e3", "2026-01-03", "", "", "", "", ""),
    ]
    lines = [f"{line(shop=str(number))};{';'.join(row)}" for number, row in enumerate(rows)]

    found = check(written(tmp_path, *lines, header=f"{HEADER};{';'.join(new)}"), RETURNS)

    assert found.faults.first == []
    assert [(column.name, column.type, column.nullable) for column in found.found] == [
        ("whole", "bigint", True),
        ("number", "double", True),
        ("day", "date", True),
        ("moment", "timestamp", True),
        ("flag", "boolean", True),
        ("text", "string", True),
        ("none", "string", True),
        ("code", "string", True),
    ]
    assert b"".join(normalized(found.path, found.table)) == found.path.read_bytes()


def test_check_lost_last_columns_that_may_be_empty_are_told(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD.rpartition(";late")[0], header=HEADER.rpartition(";reason")[0])

    found = check(path, RETURNS)

    assert (found.rows, found.faults.first) == (1, [])
    assert found.notices == ("reason, weight: not in the file, which Athena reads as NULL",)


@pytest.mark.parametrize(
    "header",
    [
        HEADER.replace(";reason", ""),  # not the last
        HEADER.replace(";low;reason;weight", ""),  # one may not be empty
        HEADER.replace(";low", ";colour;low"),  # new, and not the last
        f"{HEADER};Colour",  # no name for a column
        f"{HEADER};shop",  # twice
    ],
)
def test_check_other_headers_are_refused(tmp_path: Path, header: str) -> None:
    (fault,) = told(written(tmp_path, GOOD, header=header))

    assert f"is not the header; expected {HEADER}" in fault


def test_new_columns_of_csv_must_agree_on_their_order(tmp_path: Path) -> None:
    one = written(tmp_path, f"{GOOD};red;1", header=f"{HEADER};colour;size", name="a.csv")
    two = written(tmp_path, f"{GOOD};red", header=f"{HEADER};colour", name="b.csv")
    three = written(tmp_path, f"{GOOD};1", header=f"{HEADER};size", name="c.csv")

    assert [column.name for column in new_columns(RETURNS, check_all(RETURNS, [two, one]))] == [
        "colour",
        "size",
    ]
    with pytest.raises(
        LandingError, match=r"^a\.csv and c\.csv disagree on the columns beside the declared ones"
    ):
        new_columns(RETURNS, check_all(RETURNS, [one, three]))
