"""What a file is refused for, with the exact words, and what is put right instead."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.connections import Connections
from penstock.environments import environment
from penstock.errors import BadInputError, LandingError
from penstock.landing import exact
from penstock.landing.check import check, normalized
from penstock.landing.duplicates import KeyHashes, Repeats, hashed
from penstock.landing.fast import FastCheck
from penstock.landing.faults import Fault, Faults, refusal
from penstock.landing.normalize import Normalizer
from penstock.landing.reading import Block
from penstock.landing.seed import check_all, seed
from penstock.sources import table as declared_table
from penstock.synthetic import forecast as synthetic

FORECAST = declared_table("forecast")

HEADER = FORECAST.header
KEY = "restaurant_id, inventory_item_id, business_date"


def line(day: int = 1, **changed: str) -> str:
    """Return a good line of January 2025, with some of its fields changed."""
    fields = dict(
        zip(HEADER.split(","), f"6,385,2025-01-{day:02d},ENQ,55,CA,6.76,10.07,13.38".split(","), strict=True)
    )
    return ",".join({**fields, **changed}.values())


def written(folder: Path, *lines: str, name: str = "day.csv") -> Path:
    path = folder / name
    path.write_bytes("".join(f"{text}\n" for text in (HEADER, *lines)).encode())
    return path


def refused(path: Path) -> BadInputError:
    with pytest.raises(BadInputError) as raised:
        check_all(FORECAST, [path])
    return raised.value


def landing_bytes(path: Path) -> bytes:
    return b"".join(normalized(path, FORECAST))


FIELD_FAULTS = {
    "letters_in_int": ({"restaurant_id": "6x"}, "restaurant_id: '6x' is not a whole number"),
    "decimal_int": ({"inventory_item_id": "385.0"}, "inventory_item_id: '385.0' is not a whole number"),
    "hexadecimal_int": ({"dc_id": "0x1F"}, "dc_id: '0x1F' is not a whole number"),
    "blank_round_int": ({"restaurant_id": " 6"}, "restaurant_id: ' 6' is not a whole number"),
    "int_too_large": (
        {"restaurant_id": "2147483648"},
        "restaurant_id: '2147483648' is out of the range of int (-2,147,483,648 to 2,147,483,647)",
    ),
    "date_not_iso": (
        {"business_date": "01/02/2025"},
        "business_date: '01/02/2025' is not a date of the form YYYY-MM-DD",
    ),
    "date_short": (
        {"business_date": "2025-1-02"},
        "business_date: '2025-1-02' is not a date of the form YYYY-MM-DD",
    ),
    "date_unreal": (
        {"business_date": "2025-02-29"},
        "business_date: '2025-02-29' is a date that does not exist",
    ),
    "number_words": ({"y_05": "n/a"}, "y_05: 'n/a' is not a number"),
    "number_nan": ({"y_95": "NaN"}, "y_95: 'NaN' is not a number"),
    "number_infinite": ({"y_95": "inf"}, "y_95: 'inf' is not a number"),
    "number_overflows": ({"y_95": "1e999"}, "y_95: '1e999' is too large for a double"),
    "number_too_large": ({"y_95": "100000000"}, "y_95: '100000000' is more than 99,999,999.99"),
    "number_too_small": ({"y_05": "-100000000"}, "y_05: '-100000000' is less than -99,999,999.99"),
    "state_unknown": (
        {"state": "ZZ"},
        "state: 'ZZ' is not a state code (two capital letters: a US state, DC or a territory)",
    ),
    "state_small": (
        {"state": "ca"},
        "state: 'ca' is not a state code (two capital letters: a US state, DC or a territory)",
    ),
    "market_odd": (
        {"dma_id": "E NQ"},
        "dma_id: 'E NQ' is not a market code (1 to 50 letters, digits, - or _)",
    ),
    "state_empty": ({"state": ""}, "state: is empty, and the column may not be"),
    "key_empty": ({"restaurant_id": ""}, "restaurant_id: is empty, and the column may not be"),
    "median_empty": ({"y_50": ""}, "y_50: is empty, and the column may not be"),
    "null_mark": ({"y_50": "\\N"}, r"y_50: '\N' is Athena's mark for NULL, and the column may not be empty"),
}


@pytest.mark.parametrize(("changed", "problem"), FIELD_FAULTS.values(), ids=FIELD_FAULTS)
def test_check_bad_field_is_refused_with_line_column_and_value(
    tmp_path: Path, changed: dict[str, str], problem: str
) -> None:
    error = refused(written(tmp_path, line(1), line(2, **changed)))

    assert error.message == f"1 fault in the input; nothing was uploaded.\n  day.csv line 3, column {problem}"
    assert error.hint == "Correct the input and seed it again; docs/landing.md lists what is checked."
    assert error.count == 1


LINE_FAULTS = {
    "field_missing": (
        b"6,385,2025-01-02,ENQ,55,CA,6.76,10.07",
        ": '6,385,2025-01-02,ENQ,55,CA,6.76,10.07' has 8 fields instead of 9",
    ),
    "field_too_many": (
        b"6,385,2025-01-02,ENQ,55,CA,6,76,10.07,13.38",
        ": '6,385,2025-01-02,ENQ,55,CA,6,76,10.07,13.38' has 10 fields instead of 9",
    ),
    "quantiles_out_of_order": (
        b"6,385,2025-01-02,ENQ,55,CA,6.76,6.75,13.38",
        ", columns y_05, y_50, y_95: '6.76, 6.75, 13.38' do not rise from left to right",
    ),
    "delimiter_in_quotes": (
        b'6,385,2025-01-02,"E,Q",55,CA,6.76,10.07,13.38',
        ", column dma_id: '\"E,Q\"' is quoted round a comma, a quote or a line end; Athena's reader knows no quotes",
    ),
    "quote_in_quotes": (
        b'6,385,2025-01-02,"E""Q",55,CA,6.76,10.07,13.38',
        ", column dma_id: '\"E\"' is quoted round a comma, a quote or a line end; Athena's reader knows no quotes",
    ),
    "carriage_return": (
        b"6,385,2025-01-02,E\rQ,55,CA,6.76,10.07,13.38",
        ", column dma_id: 'E\\x0dQ' has a carriage return in it that ends no line",
    ),
    "nul_byte": (
        b"6,385,2025-01-02,E\0Q,55,CA,6.76,10.07,13.38",
        ", column dma_id: 'E\\x00Q' has a NUL byte in it",
    ),
    "latin_1": (
        b"6,385,2025-01-02,S\xe3o,55,CA,6.76,10.07,13.38",
        ", column dma_id: 'S\\xe3o' is not UTF-8",
    ),
    "only_blanks": (b"   ", ": '   ' has 1 field instead of 9"),
}


@pytest.mark.parametrize(("raw", "problem"), LINE_FAULTS.values(), ids=LINE_FAULTS)
def test_check_bad_line_is_refused_with_its_number(tmp_path: Path, raw: bytes, problem: str) -> None:
    path = written(tmp_path, line(1))
    path.write_bytes(path.read_bytes() + raw + b"\n" + line(3).encode() + b"\n")

    assert refused(path).message == f"1 fault in the input; nothing was uploaded.\n  day.csv line 3{problem}"


def test_check_line_end_in_quotes_is_refused_where_the_quote_opens(tmp_path: Path) -> None:
    error = refused(written(tmp_path, '6,385,2025-01-02,"E\nQ",55,CA,6.76,10.07,13.38'))

    quoted = "is quoted round a comma, a quote or a line end; Athena's reader knows no quotes"
    assert error.message == (
        "2 faults in the input; nothing was uploaded.\n"
        f"  day.csv line 2, column dma_id: '\"E' {quoted}\n"
        f"  day.csv line 3, column restaurant_id: '\",55,CA,6.76,10.07,13.38' {quoted}"
    )


HEADER_FAULTS = {
    "column_missing": (
        "restaurant_id,inventory_item_id,business_date,dma_id,dc_id,state,y_05,y_50",
        f"is not the header; expected {HEADER} (it lacks y_95)",
    ),
    "column_unknown": (
        HEADER.replace("state", "province"),
        f"is not the header; expected {HEADER} (it lacks state; it has province beside them)",
    ),
    "another_order": (
        HEADER.replace("y_05,y_50", "y_50,y_05"),
        f"is the header in another order; expected {HEADER}",
    ),
    "no_header": (line(1), f"is not the header; expected {HEADER} (it lacks {HEADER.replace(',', ', ')})"),
}


@pytest.mark.parametrize(("header", "problem"), HEADER_FAULTS.values(), ids=HEADER_FAULTS)
def test_check_wrong_header_is_the_only_fault_told(tmp_path: Path, header: str, problem: str) -> None:
    path = tmp_path / "day.csv"
    path.write_text(f"{header}\nanything\n")

    shown = header if len(header) <= 60 else f"{header[:60]}…"
    assert refused(path).message == (
        f"1 fault in the input; nothing was uploaded.\n  day.csv line 1: '{shown}' {problem}"
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (f"{HEADER}\n".encode(), "has no rows"),
        (f"{HEADER}\n{line(1)}\n".encode("utf-16"), "begins like UTF-16; only UTF-8 is read"),
    ],
    ids=["empty", "header_alone", "utf_16"],
)
def test_check_file_without_rows_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "day.csv"
    path.write_bytes(content)

    assert (
        refused(path).message == f"1 fault in the input; nothing was uploaded.\n  day.csv line 1: {problem}"
    )


def test_check_repeated_key_is_refused_with_both_lines(tmp_path: Path) -> None:
    error = refused(written(tmp_path, line(1), line(2), "", line(1, y_50="11"), line(2), line(1)))

    assert error.message == (
        "3 faults in the input; nothing was uploaded.\n"
        f"  day.csv line 5, columns {KEY}: '6, 385, 2025-01-01' is already in line 2\n"
        f"  day.csv line 6, columns {KEY}: '6, 385, 2025-01-02' is already in line 3\n"
        f"  day.csv line 7, columns {KEY}: '6, 385, 2025-01-01' is already in line 2"
    )
    assert error.faults[0] == Fault("day.csv", 5, KEY, "6, 385, 2025-01-01", "is already in line 2")


def test_check_many_faults_names_the_first_ten_by_line_and_counts_all(tmp_path: Path) -> None:
    lines = [line(1), line(1)] + [line(day, state="ZZ", dc_id="x") for day in range(2, 22)]

    error = refused(written(tmp_path, *lines))

    shown = error.message.splitlines()
    assert shown[0] == "41 faults in the input; nothing was uploaded."
    assert shown[1] == f"  day.csv line 3, columns {KEY}: '6, 385, 2025-01-01' is already in line 2"
    assert shown[2] == "  day.csv line 4, column dc_id: 'x' is not a whole number"
    assert shown[11] == "  … and 31 more"
    assert len(error.faults) == 10
    assert error.count == 41


def test_check_all_one_bad_file_of_two_refuses_both(tmp_path: Path) -> None:
    good, bad = written(tmp_path, line(1)), written(tmp_path, line(1, state=""), name="other.csv")

    with pytest.raises(BadInputError) as raised:
        check_all(FORECAST, [good, bad])

    assert raised.value.message == (
        "1 fault in the input; nothing was uploaded.\n"
        "  other.csv line 2, column state: is empty, and the column may not be"
    )


def test_check_one_fault_in_a_large_block_is_found_where_it_lies(tmp_path: Path) -> None:
    synthetic.write(tmp_path / "day.csv", 20_000)
    lines = (tmp_path / "day.csv").read_text().splitlines()
    lines[15_000] = lines[15_000].replace("2025-", "2O25-")
    lines.insert(17_000, "")
    lines[18_000] = lines[1]
    (tmp_path / "day.csv").write_text("\n".join(lines))

    found = check(tmp_path / "day.csv", FORECAST)

    assert [(fault.line, fault.problem) for fault in found.faults.first] == [
        (15_001, "is not a date of the form YYYY-MM-DD"),
        (18_001, "is already in line 2"),
    ]
    assert found.rows == 19_999


def test_seed_bad_input_asks_nothing_of_aws(tmp_path: Path) -> None:
    class NoConnections(Connections):
        def client(self, service: str) -> object:
            raise AssertionError(f"asked for {service}")

    with pytest.raises(BadInputError):
        seed(
            NoConnections(environment("local"), "us-east-2"),
            "forecast",
            [written(tmp_path, line(1, state="ZZ"))],
        )


def test_check_faults_in_later_blocks_have_their_own_lines(tmp_path: Path) -> None:
    lines = [line(day, restaurant_id=str(number)) for number in range(1, 200) for day in (1, 2)]
    lines[300] += ",9"
    lines.append(lines[7])
    path = written(tmp_path, *lines)

    found = check(path, FORECAST, block_bytes=1000)

    assert [(fault.line, fault.problem) for fault in found.faults.first] == [
        (302, "has 10 fields instead of 9"),
        (400, "is already in line 9"),
    ]


# normalized


def test_check_optional_columns_may_be_empty(tmp_path: Path) -> None:
    path = written(tmp_path, line(1, dma_id="", dc_id=""))

    found = check(path, FORECAST)

    assert (found.rows, found.faults.count, found.notices) == (1, 0, ())


NORMALIZED = {
    "bom": (b"\xef\xbb\xbf", b"", None, "the byte-order mark was dropped"),
    "crlf": (b"", b"", (b"\n", b"\r\n"), "CR LF line ends became LF (3)"),
    "blank_lines": (b"\n", b"\n\n", None, "blank lines were dropped (3)"),
    "quotes": (b"", b"", (b"CA", b'"CA"'), "quotes round plain values were dropped (2)"),
    "null_marks": (
        b"",
        b"",
        (b",,CA", b",\\N,CA"),
        r"\N became empty in columns that may be empty (2)",
    ),
}


@pytest.mark.parametrize(("before", "after", "replaced", "notice"), NORMALIZED.values(), ids=NORMALIZED)
def test_check_harmless_spelling_is_put_right_and_told(
    tmp_path: Path, before: bytes, after: bytes, replaced: tuple[bytes, bytes] | None, notice: str
) -> None:
    path = written(tmp_path, line(1, dc_id=""), line(2, dc_id=""))
    plain = path.read_bytes()
    path.write_bytes(before + (plain.replace(*replaced) if replaced else plain) + after)

    found = check(path, FORECAST)

    assert (found.rows, found.faults.first, found.notices) == (2, [], (notice,))
    assert landing_bytes(path) == plain
    assert (found.size, found.sha256) == (len(plain), hashlib.sha256(plain).hexdigest())


def test_check_missing_last_line_end_is_added_and_told(tmp_path: Path) -> None:
    path = written(tmp_path, line(1))
    plain = path.read_bytes()
    path.write_bytes(plain.rstrip(b"\n"))

    assert check(path, FORECAST).notices == ("the last line had no line end and got one",)
    assert landing_bytes(path) == plain


@given(st.lists(st.sampled_from(["a", "", '"', ",", "\n", '"a"', '""']), max_size=12).map("".join))
def test_normalizer_all_quotes_at_once_equals_one_by_one(text: str) -> None:
    data = f"{text}\n".encode()
    normalizer = Normalizer(FORECAST)

    assert normalizer._unquoted(data) == normalizer._quoted.sub(rb"\1", data)


def test_check_everything_quoted_with_crlf_lands_plain(tmp_path: Path) -> None:
    path = written(tmp_path, line(1), line(2))
    plain = path.read_bytes()
    quoted = [",".join(f'"{field}"' for field in text.split(",")) for text in plain.decode().splitlines()]
    path.write_bytes("\r\n".join(quoted).encode())

    assert check(path, FORECAST).faults.first == []
    assert landing_bytes(path) == plain


@pytest.mark.parametrize(("ending", "compress"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_check_compressed_file_lands_as_what_it_holds(tmp_path: Path, ending: str, compress: object) -> None:
    plain = written(tmp_path, line(1), line(2)).read_bytes()
    path = tmp_path / f"day.csv{ending}"
    path.write_bytes(compress(plain))  # type: ignore[operator]

    found = check(path, FORECAST)

    assert (found.name, found.rows, landing_bytes(path)) == ("day.csv", 2, plain)


@pytest.mark.parametrize(("ending", "compress"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_check_truncated_archive_is_refused(tmp_path: Path, ending: str, compress: object) -> None:
    path = tmp_path / f"day.csv{ending}"
    path.write_bytes(compress(written(tmp_path, line(1)).read_bytes())[:-20])  # type: ignore[operator]

    with pytest.raises(
        LandingError, match=rf"day\.csv{ending} cannot be decompressed: Compressed file ended"
    ):
        check(path, FORECAST)


def test_check_file_without_line_ends_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    path.write_bytes(b"x" * 1_100_000)

    with pytest.raises(LandingError, match=re.escape("day.csv line 1 is longer than 1,048,576 bytes")):
        check(path, FORECAST)


# names


def test_check_all_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    first, second = written(tmp_path, line(1)), written(tmp_path / "b", line(2))

    with pytest.raises(LandingError) as raised:
        check_all(FORECAST, [first, second])

    assert raised.value.message == (
        f"{first} and {second} would both land as day.csv, and one would replace the other."
    )


@pytest.mark.parametrize("name", ["_day.csv", ".day.csv"])
def test_check_all_hidden_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LandingError) as raised:
        check_all(FORECAST, [written(tmp_path, line(1), name=name)])

    assert raised.value.message == (
        f"{name} would land as '{name}': Athena ignores files whose names begin with '_' or '.'."
    )


@pytest.mark.parametrize("name", ["day.csv.zst", "day.csv.BZ2", "day.csv.gz.gz", "day.snappy"])
def test_check_all_name_that_athena_would_decompress_is_refused(tmp_path: Path, name: str) -> None:
    """Athena picks the codec by the name: plain text under it would be HIVE_CANNOT_OPEN_SPLIT to every query."""
    with pytest.raises(LandingError) as raised:
        check_all(FORECAST, [written(tmp_path, line(1), name=name)])

    landing = name.removesuffix(".gz")
    assert raised.value.message == (
        f"{name} would land as '{landing}', which Athena would decompress by its ending; only .gz and .xz are read."
    )


def test_check_all_control_character_in_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LandingError) as raised:
        check_all(FORECAST, [written(tmp_path, line(1), name="a\nb.csv")])

    assert raised.value.message == r"'a\nb.csv' has a control character in its name."


def test_check_all_missing_file_folder_or_nothing_is_refused(tmp_path: Path) -> None:
    for files, message in (
        ([tmp_path / "no.csv"], f"{tmp_path / 'no.csv'} does not exist."),
        ([tmp_path], f"{tmp_path} is no file."),
        ([], "No file was given to seed."),
    ):
        with pytest.raises(LandingError) as raised:
            check_all(FORECAST, files)
        assert raised.value.message == message


# the fast check accepts nothing that the exact one refuses

ODD = [
    "",
    "0x1F",
    " 1",
    "1 ",
    "+1",
    "-0",
    "007",
    "1e5",
    "1.",
    ".5",
    "nan",
    "inf",
    "-inf",
    "2025-02-30",
    "20250101",
    "NULL",
]
ODD += [
    "true",
    "1_000",
    "\\N",
    '"',
    "CA",
    "ca",
    "é",
    "99999999999",
    "1e400",
    "9223372036854775808",
    "2025-01-01",
]


@given(
    column=st.integers(0, 8),
    value=st.one_of(
        st.sampled_from(ODD),
        st.integers().map(str),
        st.floats().map(str),
        st.dates().map(str),
        st.from_regex(r"[A-Z0-9eE.-]{0,6}", fullmatch=True),
        st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=12),
    ),
)
@example(column=6, value="-")
def test_fast_check_agrees_with_the_exact_one(column: int, value: str) -> None:
    fields = line(2).split(",")
    fields[column] = value
    data = f"{line(1)}\n{','.join(fields)}\n".encode()
    faults = Faults()

    rows = list(exact.rows(FORECAST, "f", Block(2, data), faults))
    keys = FastCheck(FORECAST).keys(data)

    if keys is not None:
        assert faults.first == []
        assert [row.key[:2] for row in rows] == list(zip(keys[0], keys[1], strict=True))


def test_fast_check_good_block_needs_no_exact_one() -> None:
    keys = FastCheck(FORECAST).keys(f"{line(1)}\n{line(2, dma_id='', dc_id='')}\n".encode())

    assert keys is not None
    assert [column.tolist() for column in keys] == [[6, 6], [385, 385], [20089, 20090]]


# bounded memory


def test_key_hashes_spilled_to_disk_find_the_same_repeats() -> None:
    numbers = np.random.default_rng(1).integers(0, 5_000, 20_000)
    found = []
    for rows_in_memory in (1_000, 1_000_000):
        with KeyHashes(rows_in_memory) as keys:
            for part in np.split(numbers, 40):
                keys.add(hashed([part, part]))
            suspects, surplus = keys.repeated()
        found.append((suspects.tolist(), surplus))

    assert found[0] == found[1]
    assert found[0][1] == len(numbers) - len(set(numbers.tolist()))


def test_key_hashes_without_a_place_to_spill_say_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))

    with pytest.raises(
        LandingError, match="The keys of a large file do not fit the temporary folder"
    ) as raised:
        KeyHashes(rows_in_memory=1).add(np.array([1, 2], np.uint64))

    assert raised.value.hint == "It takes 8 bytes a row; TMPDIR names another folder."


def test_repeats_chance_collision_is_no_repeat() -> None:
    first, second = np.array([7], np.int64), np.array([8], np.int64)
    repeats = Repeats(hashed([first]))
    repeats.find([first], np.array([2]))
    repeats._suspects = hashed([second])  # as if 8 had the hash of 7

    rows, _ = repeats.find([second], np.array([3]))

    assert rows.tolist() == []


@given(st.lists(st.lists(st.integers(0, 6), max_size=8), max_size=6))
def test_repeats_in_any_order_are_what_a_dictionary_finds(blocks: list[list[int]]) -> None:
    numbers = [number for block in blocks for number in block]
    firsts: dict[int, int] = {}
    expected = []
    for line_number, number in enumerate(numbers, 2):
        if number in firsts:
            expected.append((line_number, firsts[number]))
        firsts.setdefault(number, line_number)

    suspects = np.unique(hashed([np.array([n for n in numbers if numbers.count(n) > 1], np.int64)]))
    repeats, start, found = Repeats(suspects), 2, []
    for block in blocks:
        lines = np.arange(start, start + len(block))
        rows, first = repeats.find([np.array(block, np.int64)], lines)
        found += list(zip(lines[rows].tolist(), first.tolist(), strict=True))
        start += len(block)

    assert found == expected


MEMORY_PROBE = """
import resource, sys
from pathlib import Path
from penstock.landing.check import check
from penstock.sources import table

FORECAST = table("forecast")
small, large = Path(sys.argv[1]), Path(sys.argv[2])
check(small, FORECAST, rows_in_memory=200_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = check(large, FORECAST, rows_in_memory=200_000)
unit = 1 if sys.platform == "darwin" else 1024
print(found.rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit)
"""


def test_check_file_of_ten_times_the_size_takes_no_more_memory(tmp_path: Path) -> None:
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    synthetic.write(small, 250_000)
    synthetic.write(large, 2_500_000)
    size = large.stat().st_size

    probe = [sys.executable, "-c", MEMORY_PROBE, str(small), str(large)]
    rows, grown = subprocess.run(
        probe, check=True, capture_output=True, text=True, timeout=120
    ).stdout.split()

    assert size > 110_000_000
    assert int(rows) == 2_500_000
    assert int(grown) < 25_000_000


def test_refusal_of_no_shown_faults_is_still_counted() -> None:
    assert refusal([Faults(count=3)]).message.splitlines()[-1] == "  … and 3 more"
