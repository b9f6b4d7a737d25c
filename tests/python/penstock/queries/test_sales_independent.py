"""Each of the twelve sales analyses against numpy and pyarrow, on a few hundred generated sales; and what pruning saves.

The two ways share nothing but the rows: here columns are arrays, groups are masks, money is whole cents.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from conftest import Library

pytestmark = pytest.mark.stack

Mask = np.ndarray[Any, np.dtype[np.bool_]]


class History:
    """The generated sales as one array a column; prices in cents."""

    def __init__(self, table: Any) -> None:
        self.columns = {
            name: np.array(table[name].to_pylist(), dtype=object)
            for name in table.schema.names
            if name != "embedding"
        }
        self.cents = np.array([int(price * 100) for price in self.columns["sold_price"]])
        self.embedding = np.array(table["embedding"].to_pylist())
        self.columns["year"] = np.array([day.year for day in self.columns["sold_date"]])
        self.columns["month"] = np.array([day.month for day in self.columns["sold_date"]])

    def __getitem__(self, column: str) -> Any:
        return self.columns[column]

    def __len__(self) -> int:
        return len(self.cents)

    def groups(self, *names: str) -> Iterator[tuple[tuple[Any, ...], Mask]]:
        """Yield each combination of values that occurs, in ascending order, and which rows have it."""
        for values in product(*(sorted(set(self[name].tolist())) for name in names)):
            mask = np.ones(len(self), dtype=bool)
            for name, value in zip(names, values, strict=True):
                mask &= self[name] == value
            if mask.any():
                yield values, mask

    def usual(self, *names: str) -> Any:
        """Return for each row the mean price, in dollars, of the rows that are like it in these columns."""
        found = np.zeros(len(self))
        for _, mask in self.groups(*names):
            found[mask] = self.cents[mask].mean() / 100
        return found

    def revenue(self, mask: Mask) -> Decimal:
        return Decimal(int(self.cents[mask].sum())) / 100

    def mean(self, mask: Mask) -> Decimal:
        """The mean price to the cent, half a cent up: what avg() of a decimal(10,2) is."""
        return (self.revenue(mask) / int(mask.sum())).quantize(Decimal("0.01"), ROUND_HALF_UP)

    def price(self, mask: Mask, pick: Any) -> Decimal:
        return Decimal(int(pick(self.cents[mask]))) / 100

    def products(self, mask: Mask) -> int:
        return len(set(zip(self["tenant_id"][mask], self["product_id"][mask], strict=True)))


@pytest.fixture(scope="module")
def history(library: Library) -> History:
    return History(library.generated)


def same(library: Library, name: str, expected: list[tuple[Any, ...]]) -> None:
    """Assert that an analysis answers these rows in this order; doubles to nine digits, all else exactly."""
    found = [tuple(row.values()) for row in library.rows(name, "generated")]
    assert len(found) == len(expected) > 0
    for got, wanted in zip(found, expected, strict=True):
        assert got == tuple(pytest.approx(v, rel=1e-9) if isinstance(v, float) else v for v in wanted)


def test_volume_by_category_and_month(library: Library, history: History) -> None:
    rows = []
    for (year, month), in_month in history.groups("year", "month"):
        for (category,), mask in history.groups("category"):
            cell = mask & in_month
            if cell.any():
                count = int(cell.sum())
                share = count / int(in_month.sum())
                rows.append((year, month, category, count, history.revenue(cell), history.mean(cell), share))
    rows.sort(key=lambda row: (-row[0], -row[1], -row[3], row[2]))
    same(library, "volume_by_category_and_month", rows)


def test_brand_performance(library: Library, history: History) -> None:
    usual, total = history.usual("category"), history.cents.sum() / 100
    rows = [
        (
            brand,
            int(mask.sum()),
            history.products(mask),
            history.revenue(mask),
            float(history.revenue(mask)) / total,
            history.mean(mask),
            float(history.revenue(mask)) / usual[mask].sum(),
        )
        for (brand,), mask in history.groups("brand")
    ]
    rows.sort(key=lambda row: -row[3])
    same(library, "brand_performance", [(place, *row) for place, row in enumerate(rows, 1)])


def test_condition_impact(library: Library, history: History) -> None:
    usual = history.usual("category", "brand")
    rows = [
        (
            condition,
            int(mask.sum()),
            int(mask.sum()) / len(history),
            history.mean(mask),
            history.price(mask, np.min),
            history.price(mask, np.max),
            float(history.revenue(mask)) / usual[mask].sum(),
        )
        for (condition,), mask in history.groups("condition")
    ]
    same(library, "condition_impact", sorted(rows, key=lambda row: -row[6]))


def test_category_brand_cross_tab(library: Library, history: History) -> None:
    def figures(mask: Mask) -> tuple[Any, ...]:
        return int(mask.sum()), history.revenue(mask), history.mean(mask)

    rows: list[tuple[Any, ...]] = []
    for (category, brand), mask in history.groups("category", "brand"):
        count = int(mask.sum())
        of_category = int((history["category"] == category).sum())
        of_brand = int((history["brand"] == brand).sum())
        lift = count * len(history) / (of_category * of_brand)
        rows.append(("cell", category, brand, *figures(mask), count / of_category, count / of_brand, lift))
    rows += [
        ("category", category, None, *figures(mask), None, None, None)
        for (category,), mask in history.groups("category")
    ]
    rows += [
        ("brand", None, brand, *figures(mask), None, None, None) for (brand,), mask in history.groups("brand")
    ]
    rows.append(("all", None, None, *figures(np.ones(len(history), dtype=bool)), None, None, None))
    same(library, "category_brand_cross_tab", rows)


def test_source_comparison(library: Library, history: History) -> None:
    usual = history.usual("category", "brand", "condition")
    rows = [
        (
            source,
            int(mask.sum()),
            int(mask.sum()) / len(history),
            len(set(history["tenant_id"][mask])),
            history.products(mask),
            history.revenue(mask),
            history.mean(mask),
            float(history.revenue(mask)) / usual[mask].sum(),
            min(history["sold_date"][mask]),
            max(history["sold_date"][mask]),
            sum(not key for key in history["image_s3_key"][mask]),
            sum(not text for text in history["description"][mask]),
        )
        for (source,), mask in history.groups("source")
    ]
    same(library, "source_comparison", sorted(rows, key=lambda row: (-row[1], row[0])))


def test_monthly_trend(library: Library, history: History) -> None:
    months = {
        year * 12 + month: (year, month, mask) for (year, month), mask in history.groups("year", "month")
    }
    revenue = {number: float(history.revenue(mask)) for number, (_, _, mask) in months.items()}
    rows = []
    for number, (year, month, mask) in sorted(months.items()):
        change = [
            revenue[number] / revenue[before] - 1 if before in revenue else None
            for before in (number - 1, number - 12)
        ]
        smoothed = float(np.mean([revenue[n] for n in range(number - 2, number + 1) if n in revenue]))
        count = int(mask.sum())
        rows.append((year, month, count, history.revenue(mask), history.mean(mask), *change, smoothed))
    same(library, "monthly_trend", rows)


def test_high_value_products(library: Library, history: History) -> None:
    found = []
    for (tenant, name), mask in history.groups("tenant_id", "product_id"):
        last = np.flatnonzero(mask)[np.argmax(history["sold_date"][mask])]
        about = (tenant, name, history["category"][last], history["brand"][last], int(mask.sum()))
        money = (history.revenue(mask), history.mean(mask), history.price(mask, np.max))
        found.append((*about, *money, history["sold_date"][last]))
    found.sort(key=lambda row: (-row[5], row[0], row[1]))
    total = history.cents.sum() / 100
    running = np.cumsum([float(row[5]) for row in found]) / total
    rows = [
        (place, *row, float(row[5]) / total, float(running[place - 1]))
        for place, row in enumerate(found[:20], 1)
    ]
    assert len(rows) == 20
    same(library, "high_value_products", rows)


def test_similarity_candidates(library: Library, history: History) -> None:
    """Without a product it looks at the one that was sold last."""
    latest: dict[tuple[str, str], int] = {}
    for index in np.argsort(history["sold_date"]):
        latest[history["tenant_id"][index], history["product_id"][index]] = int(index)
    looked_at = max(latest, key=lambda key: (history["sold_date"][latest[key]], key))
    mine = latest[looked_at]
    others = [index for key, index in latest.items() if key[0] == looked_at[0] and key != looked_at]
    assert len(others) > 10
    vectors = history.embedding[others]
    cosine = vectors @ history.embedding[mine]
    cosine /= np.linalg.norm(vectors, axis=1) * np.linalg.norm(history.embedding[mine])
    rows = [
        (
            looked_at[0],
            looked_at[1],
            history["product_id"][index],
            history["category"][index],
            history["brand"][index],
            history["sold_price"][index],
            float(history["sold_price"][index]) / float(history["sold_price"][mine]),
            float(alike),
        )
        for index, alike in zip(others, cosine, strict=True)
    ]
    rows.sort(key=lambda row: (-row[7], row[2]))
    same(library, "similarity_candidates", rows[:10])


def test_partition_pruning(library: Library, history: History) -> None:
    """June 2025, by the partition keys and without them."""
    in_june = (history["year"] == 2025) & (history["month"] == 6)
    rows = [
        (
            category,
            int(cell.sum()),
            history.revenue(cell),
            min(history["sold_date"][cell]),
            max(history["sold_date"][cell]),
        )
        for (category,), mask in history.groups("category")
        if (cell := mask & in_june).any()
    ]
    rows.sort(key=lambda row: (-row[2], row[0]))
    same(library, "partition_pruning", rows)
    same(library, "partition_pruning_unpruned", rows)


def test_partition_pruning_scans_one_months_share_of_what_its_twin_scans(
    library: Library, history: History
) -> None:
    """Month by month the pruned query scans, in all, exactly what its twin scans: each month's own files and no more."""
    unpruned = library.ask("partition_pruning_unpruned", "generated").bytes_scanned
    condition = "year = 2025\n    and month = 6"
    scanned = {
        (year, month): library.ask(
            "partition_pruning", "generated", swap=(condition, f"year = {year} and month = {month}")
        ).bytes_scanned
        for (year, month), _ in history.groups("year", "month")
    }
    assert len(scanned) == 24
    assert sum(scanned.values()) == unpruned
    assert max(scanned.values()) < unpruned / 24 * 1.5  # busy months have more sales
    assert min(scanned.values()) > 0


def test_data_quality(library: Library, history: History) -> None:
    """Of generated sales none is bad; that each check can fail is shown on the faulty ones, worked out by hand."""
    lengths = np.linalg.norm(history.embedding, axis=1)
    quarter = [f"Q{(day.month + 2) // 3}" for day in history["sold_date"]]
    keys = set(zip(history["tenant_id"], history["product_id"], history["sold_date"], strict=True))
    expected = {
        "category, brand or condition is null": sum(
            None in row
            for row in zip(history["category"], history["brand"], history["condition"], strict=True)
        ),
        "description is missing": sum(not text for text in history["description"]),
        "embedding has other dimensions": int(history.embedding.shape[1] != 1024) * len(history),
        "embedding is not of unit length": int((np.abs(lengths**2 - 1) >= 1e-6).sum()),
        "image is missing": sum(not key for key in history["image_s3_key"]),
        "key is null": sum(None in key for key in keys),
        "key occurs twice": len(history) - len(keys),
        "price is null or not above 0": int((history.cents <= 0).sum()),
        "season is not that of the date": int((history["season"] != np.array(quarter, dtype=object)).sum()),
        "sold in the future": sum(day > datetime.now() for day in history["sold_date"]),
        "source is null": sum(source is None for source in history["source"]),
        "year or month is not that of the date": 0,
    }
    rows = [(name, count, len(history), count / len(history)) for name, count in expected.items()]
    same(library, "data_quality", sorted(rows, key=lambda row: (-row[1], row[0])))


def test_price_distribution(library: Library, history: History) -> None:
    rows = []
    for (category,), mask in history.groups("category"):
        prices = np.sort(history.cents[mask])
        percentiles = [
            Decimal(int(np.percentile(prices, p, method="inverted_cdf"))) / 100 for p in (5, 25, 50, 75, 95)
        ]
        rows.append(
            (
                category,
                len(prices),
                Decimal(int(prices[0])) / 100,
                *percentiles,
                Decimal(int(prices[-1])) / 100,
                history.mean(mask),
                float(np.std(prices / 100)),
            )
        )
    same(library, "price_distribution", sorted(rows, key=lambda row: (-row[5], row[0])))


def test_season_comparison(library: Library, history: History) -> None:
    usual = history.usual("year", "category", "brand", "condition")
    revenue = {key: float(history.revenue(mask)) for key, mask in history.groups("year", "season")}
    rows = []
    for (year, season), mask in history.groups("year", "season"):
        mine, before = revenue[year, season], revenue.get((year - 1, season))
        rows.append(
            (
                year,
                season,
                int(mask.sum()),
                len({day.date() for day in history["sold_date"][mask]}),
                history.revenue(mask),
                mine / sum(amount for (other, _), amount in revenue.items() if other == year),
                history.mean(mask),
                mine / usual[mask].sum(),
                None if before is None else mine / before - 1,
            )
        )
    assert len(rows) == 8
    same(library, "season_comparison", rows)
