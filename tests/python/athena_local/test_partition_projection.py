"""Partition projection: which partitions a table's properties give, which folders a query lists, what is refused."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from athena_local.engine.java_dates import java_pattern
from athena_local.errors import QueryError
from athena_local.objects import ObjectStore

Rows = Callable[..., list[tuple[Any, ...]]]
Execute = Callable[..., Any]
Create = Callable[..., None]


@pytest.fixture
def create(execute: Execute, lake: str) -> Create:
    """`create(keys, properties)`: a projected table `t` of one text column `v` below the lake."""

    def run(keys: str, template: str | None = None, **properties: str) -> None:
        found = {"projection.enabled": "true"}
        found |= {f"projection.{name.replace('__', '.')}": value for name, value in properties.items()}
        if template is not None:
            found["storage.location.template"] = lake + template
        listed = ", ".join(f"'{name}'='{value}'" for name, value in found.items())
        execute(
            f"create external table t (v string) partitioned by ({keys}) row format delimited fields terminated by ','"
            f" location '{lake}' tblproperties ({listed})"
        )

    return run


@pytest.fixture
def listed(objects: ObjectStore, lake: str) -> Iterator[list[str]]:
    """The prefixes asked of S3, below the lake."""
    asked: list[str] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        asked.append(f"s3://{params['Bucket']}/{params['Prefix']}".removeprefix(lake))

    event = "before-parameter-build.s3.ListObjectsV2"
    objects.client.meta.events.register(event, note)
    yield asked
    objects.client.meta.events.unregister(event, note)


def put(objects: ObjectStore, lake: str, *folders: str) -> None:
    for folder in folders:
        objects.write(f"{lake}{folder}/f", f"{folder}\n".encode())


def test_projection_enum_lists_only_the_values_asked_for(
    rows: Rows, create: Create, objects: ObjectStore, lake: str, listed: list[str]
) -> None:
    put(objects, lake, "k=a", "k=b", "k=zzz")
    create("k string", k__type="ENUM", k__values="a,b,c")
    assert rows("select v, k from t where k in ('a', 'c')") == [("k=a", "a")]
    assert sorted(listed) == ["k=a/", "k=c/"]
    listed.clear()
    assert rows("select v from t order by v") == [("k=a",), ("k=b",)]
    assert rows("select v from t where k = 'zzz'") == []
    assert "k=zzz/" not in listed


def test_projection_ignores_the_partitions_of_the_catalog(
    rows: Rows, execute: Execute, create: Create, objects: ObjectStore, lake: str
) -> None:
    put(objects, lake, "k=a", "k=x")
    create("k string", k__type="enum", k__values="a")
    execute("alter table t add partition (k = 'x')")
    assert rows("select v from t") == [("k=a",)]
    execute("alter table t set tblproperties ('projection.enabled' = 'false')")
    assert rows("select v from t") == [("k=x",)]


@pytest.mark.parametrize(
    ("properties", "where", "expected"),
    [
        ({"range": "1,3"}, "true", ["1/", "2/", "3/"]),
        ({"range": " -1 , 3 ", "interval": "2"}, "true", ["-1/", "1/", "3/"]),
        ({"range": "8,11", "digits": "2"}, "k between 9 and 10", ["09/", "10/"]),
        ({"range": "0,9223372036854775807"}, "k = 7000000001", ["7000000001/"]),
        ({"range": "0,9223372036854775807", "interval": "2"}, "k in (3, 4, -2)", ["4/"]),
        ({"range": "1,9"}, "k % 4 = 1 and k <> 5", ["1/", "9/"]),
        ({"range": "1,9"}, "k = 10", []),
    ],
    ids=["plain", "interval", "digits", "wide", "wide-interval", "function", "outside"],
)
def test_projection_integer_values(
    rows: Rows,
    create: Create,
    lake: str,
    listed: list[str],
    properties: dict[str, str],
    where: str,
    expected: list[str],
) -> None:
    create("k bigint", "${k}/", k__type="integer", **{f"k__{name}": v for name, v in properties.items()})
    assert rows(f"select v from t where {where}") == []
    assert sorted(listed) == sorted(expected)


def test_projection_two_keys_are_combined_after_each_is_narrowed(
    rows: Rows, create: Create, objects: ObjectStore, lake: str, listed: list[str]
) -> None:
    put(objects, lake, "2024/a", "2025/a", "2025/b")
    properties = {"y__type": "integer", "y__range": "2020,2025", "k__type": "enum", "k__values": "a,b"}
    create("y int, k string", "${y}/${k}", **properties)
    assert rows("select v, y, k from t where y = 2025 and k <> 'b'") == [("2025/a", 2025, "a")]
    assert listed == ["2025/a/"]
    listed.clear()
    assert rows("select v from t where y = 2025 and k = 'a' or y = 2024 and k = 'a' order by 1") == [
        ("2024/a",),
        ("2025/a",),
    ]
    assert sorted(listed) == ["2024/a/", "2025/a/"]


def test_projection_dates_of_days_as_text_and_as_date(
    rows: Rows, execute: Execute, create: Create, objects: ObjectStore, lake: str, listed: list[str]
) -> None:
    put(objects, lake, "2025/01/30", "2025/01/31", "2025/02/01")
    properties = {"d__type": "date", "d__format": "yyyy/MM/dd", "d__range": "2025/01/01,2025/02/28"}
    create("d string", "${d}", **properties)
    assert rows("select v, d from t where d >= '2025/01/31' order by d") == [
        ("2025/01/31", "2025/01/31"),
        ("2025/02/01", "2025/02/01"),
    ]
    assert listed == ["2025/"]  # the folders of 29 days in one request
    execute("drop table t")
    listed.clear()
    create("d date", "${d}", **properties)
    assert rows("select v, d from t where d = date '2025-02-01'") == [
        ("2025/02/01", datetime.date(2025, 2, 1))
    ]
    assert rows("select v from t where d > date '2025-03-01'") == []
    assert listed == ["2025/02/01/"]


@pytest.mark.parametrize(
    ("form", "bounds", "more", "expected"),
    [
        ("yyyy-MM", "2024-11,2025-02", {}, ["2024-11", "2024-12", "2025-01", "2025-02"]),
        ("yyyy", "2023,2025", {"interval__unit": "YEARS"}, ["2023", "2024", "2025"]),
        ("yyyyMMdd-HH", "20250101-22,20250102-01", {"interval": "2", "interval__unit": "hours"},
         ["20250101-22", "20250102-00"]),
        ("yyyy-MM-dd", "2025-01-01,2025-01-15", {"interval__unit": "WEEKS"},
         ["2025-01-01", "2025-01-08", "2025-01-15"]),
        ("dd MMM yyyy", "30 Jan 2025,01 Feb 2025", {}, ["30 Jan 2025", "31 Jan 2025", "01 Feb 2025"]),
        ("yyyy-MM-dd'T'HH:mm", "2025-01-01T00:00,2025-01-01T00:30", {"interval": "15", "interval__unit": "MINUTES"},
         ["2025-01-01T00:00", "2025-01-01T00:15", "2025-01-01T00:30"]),
    ],
    ids=["months", "years", "hours", "weeks", "names", "minutes"],
)  # fmt: skip
def test_projection_date_steps(
    rows: Rows,
    create: Create,
    listed: list[str],
    form: str,
    bounds: str,
    more: dict[str, str],
    expected: list[str],
) -> None:
    properties = {"d__type": "date", "d__format": form.replace("'", "''"), "d__range": bounds}
    create("d string", "${d}/", **properties, **{f"d__{name}": value for name, value in more.items()})
    assert rows("select v from t") == []
    assert sorted(listed) == sorted(f"{day}/" for day in expected)


def test_projection_range_ends_now(rows: Rows, create: Create, listed: list[str]) -> None:
    create("d string", d__type="date", d__format="yyyy-MM-dd", d__range="NOW-2DAYS,NOW+1DAY")
    before = datetime.datetime.now(datetime.UTC).date()
    assert rows("select v from t") == []
    days = {f"d={before + datetime.timedelta(days=offset)}/" for offset in (-2, -1, 0, 1)}
    after = datetime.datetime.now(datetime.UTC).date()
    assert after != before or set(listed) == days


def test_projection_injected_takes_its_values_from_the_query(
    rows: Rows, create: Create, objects: ObjectStore, lake: str, listed: list[str]
) -> None:
    put(objects, lake, "k=dev-1", "k=dev-2", "k=dev-3")
    create("k string", k__type="injected")
    assert rows("select v from t where k = 'dev-1'") == [("k=dev-1",)]
    assert rows("select v from t where 'dev-' || '2' = k or k in ('dev-9')") == [("k=dev-2",)]
    assert rows("with s as (select * from t) select v from s where k = 'dev-3'") == [("k=dev-3",)]
    assert sorted(listed) == ["k=dev-1/", "k=dev-2/", "k=dev-3/", "k=dev-9/"]
    text = (
        "CONSTRAINT_VIOLATION: For the injected projected partition column k, the WHERE clause must contain only static"
        " equality conditions, and at least one such condition must be present."
    )
    for query in (
        "select v from t",
        "select v from t where k > 'a'",
        "select v from t where k like 'dev-1%'",
    ):
        with pytest.raises(QueryError) as caught:
            rows(query)
        assert str(caught.value) == text


@pytest.mark.parametrize(
    ("properties", "text"),
    [
        ({}, "Column projection for column 'k' failed. Missing required property: 'projection.k.type'"),
        ({"k__type": "guess"}, "Unknown projection type: 'guess'"),
        ({"k__type": "enum"}, "Missing required property: 'projection.k.values'"),
        ({"k__type": "integer", "k__range": "1-5"}, "needs to be a list of 2 values"),
        ({"k__type": "integer", "k__range": "1,NOW"}, "needs to be a list of 2 integers"),
        ({"k__type": "integer", "k__range": "5,1"}, "must not be empty"),
        ({"k__type": "integer", "k__range": "1,5", "k__interval": "0"}, "must be a positive integer"),
        ({"k__type": "date", "k__range": "2025,NOW"}, "Missing required property: 'projection.k.format'"),
        ({"k__type": "date", "k__range": "2025,NOW", "k__format": "qqqq"}, "Unknown pattern letter: q"),
        ({"k__type": "date", "k__range": "x,NOW", "k__format": "yyyy"}, "2 valid dates formatted as 'yyyy'"),
        ({"k__type": "date", "k__range": "NOW,2020", "k__format": "yyyy"}, "2 sequential dates"),
        ({"k__type": "date", "k__range": "00,NOW", "k__format": "HH"}, "less than single-day precision"),
        ({"k__type": "enum", "k__values": "a", "template": "x/"}, "is missing partition column: 'k' placeholder"),
    ],
)  # fmt: skip
def test_projection_that_cannot_be_meant_is_refused_by_the_query(
    rows: Rows, create: Create, properties: dict[str, str], text: str
) -> None:
    create("k string", **properties)
    with pytest.raises(QueryError) as caught:
        rows("select v from t")
    assert str(caught.value).startswith("INVALID_TABLE_PROPERTY: ")
    assert text in str(caught.value)


def test_projection_too_wide_for_a_scan_is_refused(rows: Rows, create: Create) -> None:
    create("k bigint", k__type="integer", k__range="0,9223372036854775807")
    with pytest.raises(
        QueryError, match=r"HIVE_EXCEEDED_PARTITION_LIMIT: Query over table \'default\.t\' can pot"
    ):
        rows("select v from t where k > 5")


def test_projection_null_and_escaped_values_lie_where_hive_puts_them(
    rows: Rows, create: Create, objects: ObjectStore, lake: str
) -> None:
    put(objects, lake, "k=a%2Fb")
    create("k string", k__type="enum", k__values="a/b,c")
    assert rows('select v, k, "$partition" from t') == [("k=a%2Fb", "a/b", "k=a%2Fb")]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("yyyy-MM-dd HH:mm:ss.SSS", "2025-03-09 07:05:01.250"),
        ("dd/MMM/yyyy", "09/Mar/2025"),
        ("yyyyDDD", "2025068"),
        ("EEEE d MMMM yy", "Sunday 9 March 25"),
        ("hh:mm a 'o''clock'", "07:05 AM o'clock"),
    ],
)
def test_java_pattern_writes_and_reads(pattern: str, text: str) -> None:
    moment = datetime.datetime(2025, 3, 9, 7, 5, 1, 250_000)
    assert java_pattern(pattern).format(moment) == text
    assert java_pattern(pattern).format(java_pattern(pattern).parse(text)) == text
