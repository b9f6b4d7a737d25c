"""A forecast file of any length, made of nothing but its arguments: same arguments, same bytes, on every machine.

Same shape as the real thing: 2,750 restaurants x 5 items x 91 days from 2025-01-01 make the default 1,251,250 rows, ordered
by restaurant, item and day. Every restaurant has one market, one distribution centre and one state. Demand follows the
weekday, the restaurant's size and a slow wave; quantiles are ordered, positive and have at most two decimals.

All arithmetic is on 64-bit integers (`draws`), values in cents.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from penstock import sources
from penstock.synthetic.draws import Ints, drawn

RESTAURANTS = 2_750
ITEMS = (385, 638, 704, 918, 1883)
DAYS = 91
FIRST_DAY = date(2025, 1, 1)
ROWS = RESTAURANTS * len(ITEMS) * DAYS
DEFAULT_SEED = 20250101

_STATES = ("CA", "FL", "IL", "NY", "TX")
_DISTRIBUTION_CENTRES = 60
_MARKETS = 30
_ITEM_CENTS = (385, 410, 1_480, 360, 2_190)  # a mean restaurant's demand of each item, in hundredths
_WEEKDAY = (930, 900, 940, 1_000, 1_120, 1_180, 1_010)  # Monday first, per mille
_CHUNK_RESTAURANTS = 440  # 200,200 rows: about 60 MB at the peak; larger is no faster


def write(path: Path, rows: int = ROWS, seed: int = DEFAULT_SEED) -> None:
    """Write exactly `rows` rows (and a header) to `path`; restaurants are added as needed, the last one may be cut short.

    Raises: ValueError for fewer than 1 row or more than fit the id column.
    """
    per_restaurant = len(ITEMS) * DAYS
    restaurants = -(-rows // per_restaurant)
    if rows < 1 or restaurants > 190_000_000:
        raise ValueError(f"rows must be 1 or more and restaurant ids must fit an int; got {rows}")
    with path.open("wb") as file:
        file.write(sources.table("forecast").header.encode() + b"\n")
        left = rows
        for first in range(0, restaurants, _CHUNK_RESTAURANTS):
            count = min(_CHUNK_RESTAURANTS, restaurants - first)
            _write_chunk(file, np.arange(first, first + count, dtype=np.int64), seed, left)
            left -= count * per_restaurant


def _markets(seed: int) -> list[str]:
    """Return distinct three-letter market codes."""
    codes: list[str] = []
    counter = 0
    while len(codes) < _MARKETS:
        number = int(drawn(seed, 1, np.array([counter]), 0, 26**3 - 1)[0])
        code = "".join(chr(65 + number // 26**place % 26) for place in (2, 1, 0))
        if code not in codes:
            codes.append(code)
        counter += 1
    return codes


def _demand_cents(seed: int, restaurant: Ints, item: Ints, day: Ints) -> Ints:
    size = drawn(seed, 2, restaurant, 150, 1_850)  # per mille of the mean
    taste = drawn(seed, 3, restaurant * len(ITEMS) + item, 700, 1_300)
    weekdays = np.array([_WEEKDAY[(FIRST_DAY.weekday() + offset) % 7] for offset in range(DAYS)])
    swing = drawn(seed, 4, restaurant, 0, DAYS - 1)
    wave = 850 + np.abs((day + swing) % DAYS - DAYS // 2) * 300 // (DAYS // 2)
    noise = drawn(seed, 5, (restaurant * len(ITEMS) + item) * DAYS + day, 900, 1_100)
    cents = np.array(_ITEM_CENTS)[item] * size // 1_000 * taste // 1_000
    demand: Ints = np.maximum(cents * weekdays[day] // 1_000 * wave // 1_000 * noise // 1_000, 10)
    return demand


def _cents_texts(largest: int) -> Any:
    """Return the texts of 0.0, 0.01, … as a number's shortest form has them (9.9, 10.07, 6.0)."""
    import pyarrow as pa

    texts = []
    for cents in range(largest + 1):
        text = f"{cents // 100}.{cents % 100:02d}"
        texts.append(text[:-1] if text.endswith("0") else text)
    return pa.array(texts)


def _write_chunk(file: Any, restaurants: Ints, seed: int, most_rows: int) -> None:
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    per_restaurant = len(ITEMS) * DAYS
    shape = (len(restaurants), len(ITEMS), DAYS)
    taken = min(most_rows, len(restaurants) * per_restaurant)
    place, item, day = (grid.ravel()[:taken].astype(np.int64) for grid in np.indices(shape))
    middle = _demand_cents(seed, restaurants[place], item, day)
    spread = drawn(seed, 6, restaurants[place] * len(ITEMS) + item, 250, 400)  # per mille of the median
    low, high = np.maximum(middle - middle * spread // 1_000, 1), middle + middle * spread // 1_000

    ids = 1 + restaurants * 11 + drawn(seed, 7, restaurants, 0, 10)
    centre = drawn(seed, 9, restaurants, 1, _DISTRIBUTION_CENTRES)
    markets, states = _markets(seed), _STATES
    market = drawn(seed, 8, restaurants, 0, _MARKETS - 1)
    # a distribution centre serves one state
    state = drawn(seed, 10, centre, 0, len(states) - 1)
    dates = [(FIRST_DAY + timedelta(days=offset)).isoformat() for offset in range(DAYS)]
    texts = _cents_texts(int(high.max()))

    def chosen(values: Any, index: Ints) -> Any:
        return pa.array(values, pa.string()).take(pa.array(index))

    table = pa.table(
        [
            chosen([str(value) for value in ids.tolist()], place),
            chosen([str(value) for value in ITEMS], item),
            chosen(dates, day),
            chosen([markets[value] for value in market.tolist()], place),
            chosen([str(value) for value in centre.tolist()], place),
            chosen([states[value] for value in state.tolist()], place),
            *(texts.take(pa.array(cents)) for cents in (low, middle, high)),
        ],
        names=[column.name for column in sources.table("forecast").columns],
    )
    pa_csv.write_csv(table, file, pa_csv.WriteOptions(include_header=False, quoting_style="none"))
