"""Each of the twelve sales analyses on rows few enough to work its answer out by hand; the rows are in conftest.py.

Comments show the sum wherever a figure is not read off the rows.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Library

pytestmark = pytest.mark.stack


def answer(library: Library, name: str, table: str = "small") -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in library.rows(name, table)]


def about(*figures: float | None) -> Any:
    """Doubles: what is divided in another order may differ in the last digit."""
    return tuple(None if figure is None else pytest.approx(figure, rel=1e-12) for figure in figures)


def test_volume_by_category_and_month(library: Library) -> None:
    assert answer(library, "volume_by_category_and_month") == [
        (2025, 2, "shoes", 1, Decimal("30.00"), Decimal("30.00"), 1.0),
        (2025, 1, "shoes", 1, Decimal("70.00"), Decimal("70.00"), 1.0),
        (2024, 5, "bags", 2, Decimal("290.00"), Decimal("145.00"), 1.0),
        (2024, 2, "shoes", 2, Decimal("110.00"), Decimal("55.00"), 2 / 3),
        (2024, 2, "bags", 1, Decimal("220.00"), Decimal("220.00"), 1 / 3),
        (2024, 1, "shoes", 1, Decimal("100.00"), Decimal("100.00"), 1.0),
    ]


def test_brand_performance(library: Library) -> None:
    """Shoes cost 310/5 = 62 on average, bags 510/3 = 170."""
    rows = answer(library, "brand_performance")
    # p1 of two tenants is two products
    assert [row[:5] for row in rows] == [
        (1, "Acme", 4, 3, Decimal("580.00")),
        (2, "Bolt", 4, 3, Decimal("240.00")),
    ]
    assert [row[6] for row in rows] == [Decimal("145.00"), Decimal("60.00")]
    assert (rows[0][5], rows[0][7]) == about(580 / 820, 580 / (62 + 62 + 170 + 170))
    assert (rows[1][5], rows[1][7]) == about(240 / 820, 240 / (62 + 170 + 62 + 62))


def test_condition_impact(library: Library) -> None:
    """Usual prices: Acme's shoes 80, Bolt's shoes 50, Acme's bags 210, Bolt's bag 90."""
    rows = answer(library, "condition_impact")
    assert [row[:6] for row in rows] == [
        ("new", 5, 0.625, Decimal("128.00"), Decimal("50.00"), Decimal("220.00")),
        ("used", 3, 0.375, Decimal("60.00"), Decimal("30.00"), Decimal("90.00")),
    ]
    assert (rows[0][6], rows[1][6]) == about(640 / (80 + 50 + 210 + 210 + 50), 180 / (80 + 90 + 50))


def test_category_brand_cross_tab(library: Library) -> None:
    rows = answer(library, "category_brand_cross_tab")
    assert [row[:6] for row in rows] == [
        ("cell", "bags", "Acme", 2, Decimal("420.00"), Decimal("210.00")),
        ("cell", "bags", "Bolt", 1, Decimal("90.00"), Decimal("90.00")),
        ("cell", "shoes", "Acme", 2, Decimal("160.00"), Decimal("80.00")),
        ("cell", "shoes", "Bolt", 3, Decimal("150.00"), Decimal("50.00")),
        ("category", "bags", None, 3, Decimal("510.00"), Decimal("170.00")),
        ("category", "shoes", None, 5, Decimal("310.00"), Decimal("62.00")),
        ("brand", None, "Acme", 4, Decimal("580.00"), Decimal("145.00")),
        ("brand", None, "Bolt", 4, Decimal("240.00"), Decimal("60.00")),
        ("all", None, None, 8, Decimal("820.00"), Decimal("102.50")),
    ]
    assert [row[6:] for row in rows[:4]] == [
        about(2 / 3, 2 / 4, 2 * 8 / (3 * 4)),
        about(1 / 3, 1 / 4, 1 * 8 / (3 * 4)),
        about(2 / 5, 2 / 4, 2 * 8 / (5 * 4)),
        about(3 / 5, 3 / 4, 3 * 8 / (5 * 4)),
    ]
    assert {row[6:] for row in rows[4:]} == {(None, None, None)}


def test_source_comparison(library: Library) -> None:
    """Usual prices by category, brand and condition: Bolt's new shoes 60, Acme's new bags 210, the others were sold once."""
    rows = answer(library, "source_comparison")
    assert [row[:7] for row in rows] == [
        ("web", 5, 0.625, 2, 4, Decimal("500.00"), Decimal("100.00")),
        ("shop", 3, 0.375, 2, 3, Decimal("320.00"), Decimal("106.67")),
    ]
    assert (rows[0][7], rows[1][7]) == about(500 / (100 + 60 + 60 + 210 + 60), 320 / (210 + 90 + 30))
    assert [row[8:] for row in rows] == [
        (datetime(2024, 1, 10), datetime(2025, 1, 31), 1, 0),
        (datetime(2024, 5, 1), datetime(2025, 2, 1), 1, 1),
    ]


def test_monthly_trend(library: Library) -> None:
    rows = answer(library, "monthly_trend")
    assert [row[:5] for row in rows] == [
        (2024, 1, 1, Decimal("100.00"), Decimal("100.00")),
        (2024, 2, 3, Decimal("330.00"), Decimal("110.00")),
        (2024, 5, 2, Decimal("290.00"), Decimal("145.00")),
        (2025, 1, 1, Decimal("70.00"), Decimal("70.00")),
        (2025, 2, 1, Decimal("30.00"), Decimal("30.00")),
    ]
    # March and April 2024 sold nothing: May has no month before it, and its mean is its own
    assert [row[5:] for row in rows] == [
        about(None, None, 100),
        about(330 / 100 - 1, None, (100 + 330) / 2),
        about(None, None, 290),
        about(None, 70 / 100 - 1, 70),
        about(30 / 70 - 1, 30 / 330 - 1, (70 + 30) / 2),
    ]


def test_high_value_products_of_one_tenant(library: Library) -> None:
    rows = answer(library, "high_value_products*")
    assert [row[:10] for row in rows] == [
        (
            1,
            "t1",
            "p3",
            "bags",
            "Acme",
            1,
            Decimal("200.00"),
            Decimal("200.00"),
            Decimal("200.00"),
            datetime(2024, 5, 29),
        ),
        (
            2,
            "t1",
            "p1",
            "shoes",
            "Acme",
            2,
            Decimal("160.00"),
            Decimal("80.00"),
            Decimal("100.00"),
            datetime(2024, 2, 15),
        ),
        (
            3,
            "t1",
            "p4",
            "bags",
            "Bolt",
            1,
            Decimal("90.00"),
            Decimal("90.00"),
            Decimal("90.00"),
            datetime(2024, 5, 1),
        ),
    ]
    # of the tenant's 500, of which p2's 50 are not in the list
    assert [row[10:] for row in rows] == [about(0.4, 0.4), about(0.32, 0.72), about(0.18, 0.9)]


def test_similarity_candidates(library: Library) -> None:
    """p1 is (1, 0): p2 is (0.6, 0.8), p4 (-3, 4), five long. p3 has three dimensions, and t2 is another tenant."""
    rows = answer(library, "similarity_candidates*")
    assert [row[:6] for row in rows] == [
        ("t1", "p1", "p2", "shoes", "Bolt", Decimal("50.00")),
        ("t1", "p1", "p4", "bags", "Bolt", Decimal("90.00")),
    ]
    assert [row[6:] for row in rows] == [about(50 / 60, 0.6), about(90 / 60, -0.6)]


def test_partition_pruning(library: Library) -> None:
    assert answer(library, "partition_pruning*") == [
        ("bags", 1, Decimal("220.00"), datetime(2024, 2, 1), datetime(2024, 2, 1)),
        ("shoes", 2, Decimal("110.00"), datetime(2024, 2, 15), datetime(2024, 2, 29)),
    ]


def test_data_quality_finds_each_fault(library: Library) -> None:
    rows = library.rows("data_quality*", "faulty")
    assert [(row["check_name"], row["failing_count"]) for row in rows] == [
        ("embedding is not of unit length", 3),  # f09, f11, f12
        ("price is null or not above 0", 3),
        ("embedding has other dimensions", 2),  # f09, f10
        ("category, brand or condition is null", 1),
        ("description is missing", 1),
        ("image is missing", 1),
        ("key is null", 1),
        ("key occurs twice", 1),
        ("season is not that of the date", 1),
        ("sold in the future", 1),
        ("source is null", 1),
        ("year or month is not that of the date", 1),
    ]
    for row in rows:
        assert row["row_count"] == 17
        assert row["share"] == pytest.approx(row["failing_count"] / 17)


def test_price_distribution(library: Library) -> None:
    """Bags: 90, 200, 220. Shoes: 30, 50, 60, 70, 100."""
    rows = answer(library, "price_distribution")
    assert [row[:9] for row in rows] == [
        ("bags", 3, *map(Decimal, ("90.00", "90.00", "90.00", "200.00", "220.00", "220.00", "220.00"))),
        ("shoes", 5, *map(Decimal, ("30.00", "30.00", "50.00", "60.00", "70.00", "100.00", "100.00"))),
    ]
    assert [row[9] for row in rows] == [Decimal("170.00"), Decimal("62.00")]
    deviation = ((80**2 + 30**2 + 50**2) / 3) ** 0.5, ((32**2 + 12**2 + 2**2 + 8**2 + 38**2) / 5) ** 0.5
    assert (rows[0][10], rows[1][10]) == about(*deviation)


def test_season_comparison(library: Library) -> None:
    """Acme's new bags: 210 in 2024. All else was sold once a year and condition."""
    rows = answer(library, "season_comparison")
    assert [(*row[:5], row[6]) for row in rows] == [
        (2024, "Q1", 4, 4, Decimal("430.00"), Decimal("107.50")),
        (2024, "Q2", 2, 2, Decimal("290.00"), Decimal("145.00")),
        (2025, "Q1", 2, 2, Decimal("100.00"), Decimal("50.00")),
    ]
    assert [(row[5], row[7], row[8]) for row in rows] == [
        about(430 / 720, 430 / (100 + 60 + 50 + 210), None),
        about(290 / 720, 290 / (210 + 90), None),
        about(1, 1, 100 / 430 - 1),
    ]
