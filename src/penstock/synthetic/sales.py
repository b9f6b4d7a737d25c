"""A sales history of any length, made of nothing but its arguments: same arguments, same rows, on every machine.

Two years (2024 and 2025) of second-hand goods sold by seven tenants of unequal size, the smallest having 1% of the sales.
A product has one to eight sales, spread over the two years in order, so that (tenant_id, product_id, sold_date) is unique
by construction and nothing has to be remembered. Two tenants share each product id: it names a product within a tenant only.
The price follows category, brand, product, condition and season. A longer history of the same seed begins with the shorter.

The embedding is the product's, the same at each of its sales: 1,024 doubles of unit length that hold float32 values, as
a model's do. Products of one category have a cosine of about 0.7, of one brand in it 0.8, of two categories about 0; what
makes a product differ from its mates has few dimensions, as in real embeddings, where everything is far from everything
otherwise and no nearest neighbour means anything.

All draws are integers (`draws`). Embeddings are sums of products of small integers, which float32 holds exactly, so
no BLAS can differ in a digit; the length and the division by it are single IEEE operations, correctly rounded everywhere.
"""

from __future__ import annotations

import fcntl
import json
import os
from calendar import monthrange
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from penstock.errors import GenerateError
from penstock.synthetic.draws import Ints, drawn, hashed

if TYPE_CHECKING:
    import pyarrow as pa

Format = Literal["parquet", "jsonl"]

DEFAULT_SEED = 20240101
DIMENSIONS = 1_024
FIRST_YEAR, YEARS = 2024, 2
# per mille of the products a tenant has; _TENANT_STEP rests on none having more than 453
TENANTS = {
    "tenant_001": 400,
    "tenant_002": 250,
    "tenant_003": 150,
    "tenant_004": 100,
    "tenant_005": 60,
    "tenant_006": 30,
    "tenant_007": 10,
}
# per mille of the price of a new one
CONDITIONS = {"new": 1_000, "like_new": 850, "good": 690, "fair": 520, "poor": 330}
SOURCES = ("marketplace", "auction", "consignment", "boutique")
# category -> a middling price in cents, per mille of it by quarter, and what its products are called
CATEGORIES: dict[str, tuple[int, tuple[int, int, int, int], tuple[str, ...]]] = {
    "handbags": (42_000, (960, 1_000, 970, 1_110), ("tote", "shoulder bag", "clutch", "satchel")),
    "watches": (98_000, (950, 990, 960, 1_150), ("chronograph", "diver", "dress watch", "field watch")),
    "sneakers": (13_500, (980, 1_060, 1_040, 950), ("runner", "high-top", "court shoe", "trainer")),
    "outerwear": (18_000, (1_120, 880, 900, 1_180), ("parka", "trench coat", "down jacket", "blazer")),
    "dresses": (9_500, (930, 1_130, 1_080, 940), ("wrap dress", "maxi dress", "shift dress", "gown")),
    "jewelry": (27_500, (1_080, 990, 920, 1_130), ("necklace", "ring", "bracelet", "earrings")),
    "denim": (6_200, (1_010, 990, 1_020, 1_000), ("jeans", "denim jacket", "overalls", "denim skirt")),
    "cameras": (56_000, (940, 1_040, 1_030, 1_060), ("rangefinder", "compact", "lens", "film camera")),
}
# brand -> per mille of the category's price; every category has all of them, some more often than others
BRANDS = {
    "Aldermoor": 2_600,
    "Bellacour": 2_100,
    "Castelline": 1_700,
    "Dunmere": 1_250,
    "Elmhurst": 1_000,
    "Fairholt": 820,
    "Graywick": 640,
    "Harlow & Pike": 470,
}
_COLOURS = ("black", "ivory", "navy", "forest green", "burgundy", "tan", "grey", "cobalt")
_CONDITION_SHARES = (14, 27, 34, 18, 7)  # percent, in the order of CONDITIONS
_SOURCE_SHARES = (46, 24, 19, 11)  # percent, in the order of SOURCES
_MONTH_WEIGHTS = (74, 70, 82, 84, 88, 80, 76, 78, 86, 90, 104, 108)  # of the sales, January first

# Consecutive products have a share of the sales each by this cycle: one to eight sales, four on average.
_SALES_CYCLE = (4, 1, 8, 2, 6, 3)
_CYCLE_ROWS = sum(_SALES_CYCLE)
# Products take tenants by their number times this, modulo 1,000: every thousand have exactly the shares above, two
# neighbours, which share their id, are never of one tenant, and the smallest has one of any 117 products in a row.
_TENANT_STEP = 453
# 4,800 rows: 40 MB of embeddings, about 200 MB at the peak; more is no faster, and a row group should stay readable
_CHUNK_CYCLES = 200

_MODEL_SEED = 1_024  # the space of embeddings belongs to the model that makes them, not to a history's seed
_SHARED_LATENTS = 24  # in which brands and products differ; a category has one more to itself
_CATEGORY_PULL = 24  # a category's strength in its own latent
_ROW_BYTES = {"parquet": 1_300, "jsonl": 23_500}  # on disk, a little above what was measured

_Floats = NDArray[np.float64]


def table(rows: int, seed: int = DEFAULT_SEED) -> pa.Table:
    """Return a history as one Arrow table, in memory: 8 kB a row. Raises GenerateError for less than one row."""
    import pyarrow as pa

    return pa.Table.from_batches(list(_batches(rows, seed)))


def write(
    path: Path,
    rows: int,
    seed: int = DEFAULT_SEED,
    *,
    form: Format = "parquet",
    on_rows: Callable[[int], None] | None = None,
) -> None:
    """Write exactly `rows` rows to `path`, which appears when it is whole; the same arguments give the same bytes.

    on_rows is told how many rows each chunk had. Raises: GenerateError for less than one row, for a format that is none,
    while another run writes the same file, and when the disk is too small.
    """
    if form not in get_args(Format):
        raise GenerateError(
            f"'{form}' is no format of a sales history.", hint=f"Use one of: {', '.join(get_args(Format))}."
        )
    batches = _batches(rows, seed)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _require_space(path.parent, rows * _ROW_BYTES[form])
        with _replacing(path) as file:
            writer = _write_parquet if form == "parquet" else _write_jsonl
            writer(file, batches, on_rows or (lambda _: None))
    except OSError as error:
        raise GenerateError(
            f"{path} was not written: {error.strerror or error}",
            hint="Name a folder that can be written to and has room: --output-dir.",
        ) from error


# rows


def _batches(rows: int, seed: int) -> Iterator[pa.RecordBatch]:
    if rows < 1:
        raise GenerateError(
            f"A sales history has 1 row or more; {rows} were asked for.", hint="--num-records 1000, say."
        )
    if not 0 <= seed < 2**63:
        raise GenerateError(f"Seed {seed} is not in 0 to 2^63 - 1.", hint=f"--seed {DEFAULT_SEED}, say.")
    return _chunks(rows, seed)


def _chunks(rows: int, seed: int) -> Iterator[pa.RecordBatch]:
    for first in range(0, -(-rows // _CYCLE_ROWS), _CHUNK_CYCLES):
        left = rows - first * _CYCLE_ROWS
        yield _chunk(first, min(_CHUNK_CYCLES, -(-left // _CYCLE_ROWS)), seed).slice(0, left)


def _chunk(first_cycle: int, cycles: int, seed: int) -> pa.RecordBatch:
    """Return all sales of the products of so many cycles."""
    import pyarrow as pa

    sizes = np.tile(np.array(_SALES_CYCLE), cycles)
    product = np.arange(len(sizes), dtype=np.int64) + first_cycle * len(_SALES_CYCLE)
    place = np.repeat(np.arange(len(sizes)), sizes)  # of each sale's product in this chunk
    nth = np.arange(len(place)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    sale = product[place] * 8 + nth

    tenants, tenant = list(TENANTS), _tenant(product, seed)
    category = drawn(seed, 1, product, 0, len(CATEGORIES) - 1)
    brand = _brand(product, category, seed)
    condition = _by_share(_CONDITION_SHARES, drawn(seed, 2, sale, 0, 99))
    sold = _sold_at(sale, nth, sizes[place], seed)
    quarter = (sold.astype("datetime64[M]").astype(np.int64) % 12) // 3
    cents = _cents(product, category, brand, seed)[place]
    cents = cents * np.array(list(CONDITIONS.values()))[condition] // 1_000
    cents = (
        cents
        * np.array([seasons for _, seasons, _ in CATEGORIES.values()])[category[place], quarter]
        // 1_000
    )
    cents = np.maximum(cents * drawn(seed, 3, sale, 880, 1_120) // 1_000, 100)

    ids = [f"prod_{number:07d}" for number in (product // 2).tolist()]
    images = [f"products/{tenants[t]}/{name}.jpg" for t, name in zip(tenant.tolist(), ids, strict=True)]
    embeddings = pa.FixedSizeListArray.from_arrays(
        pa.array(embedding(product, category, brand, seed).ravel()), DIMENSIONS
    ).cast(pa.list_(pa.field("element", pa.float64())))

    def chosen(values: Any, index: Ints) -> Any:
        return pa.array(list(values), pa.string()).take(pa.array(index))

    columns = {
        "product_id": chosen(ids, place),
        "tenant_id": chosen(tenants, tenant[place]),
        "category": chosen(CATEGORIES, category[place]),
        "brand": chosen(BRANDS, brand[place]),
        "condition": chosen(CONDITIONS, condition),
        "sold_price": _decimals(cents),
        "sold_date": pa.array(sold.astype("datetime64[us]")),
        "season": chosen(("Q1", "Q2", "Q3", "Q4"), quarter),
        "image_s3_key": chosen(images, place),
        "embedding": embeddings.take(pa.array(place)),
        "description": chosen(_descriptions(product, category, brand, seed), place),
        "source": chosen(SOURCES, _by_share(_SOURCE_SHARES, drawn(seed, 4, sale, 0, 99))),
    }
    return pa.RecordBatch.from_pydict(columns)


def _tenant(product: Ints, seed: int) -> Ints:
    start = int(drawn(seed, 5, np.zeros(1, np.int64), 0, 999)[0])
    found: Ints = np.searchsorted(
        np.cumsum(list(TENANTS.values())), (product * _TENANT_STEP + start) % 1_000, side="right"
    )
    return found


def _brand(product: Ints, category: Ints, seed: int) -> Ints:
    """Return brands; a category has its favourites: the lower of two draws, counted from another brand in each."""
    one, other = (drawn(seed, stream, product, 0, len(BRANDS) - 1) for stream in (6, 7))
    return (np.minimum(one, other) + category * 3) % len(BRANDS)


def _by_share(shares: tuple[int, ...], percent: Ints) -> Ints:
    found: Ints = np.searchsorted(np.cumsum(shares), percent, side="right")
    return found


def _cents(product: Ints, category: Ints, brand: Ints, seed: int) -> Ints:
    """Return the price of a new one of each product, in cents."""
    base = np.array([cents for cents, _, _ in CATEGORIES.values()], dtype=np.int64)[category]
    worth = base * np.array(list(BRANDS.values()), dtype=np.int64)[brand] // 1_000
    priced: Ints = worth * drawn(seed, 8, product, 550, 1_600) // 1_000
    return priced


def _sold_at(sale: Ints, nth: Ints, sales: Ints, seed: int) -> NDArray[np.datetime64]:
    """Return when each sale was, in whole seconds: the nth of a product lies in the nth part of the two years.

    Time runs on a scale of 2^40 in which busy months are long. The last 2^20 of each part, about a minute, stay free, so
    that two sales of a product are never of one second.
    """
    part = 2**40 // sales
    spread = (hashed(seed, 9, sale) % (part - 2**20).astype(np.uint64)).astype(np.int64)
    position = nth * part + spread
    months = [(FIRST_YEAR + n // 12, n % 12 + 1) for n in range(12 * YEARS)]
    weights = np.cumsum([0, *(_MONTH_WEIGHTS * YEARS)])
    starts = weights * 2**40 // weights[-1]
    month = np.searchsorted(starts, position, side="right") - 1
    seconds = np.array([monthrange(*found)[1] * 86_400 for found in months])
    begins = np.array([int(datetime(*found, 1, tzinfo=UTC).timestamp()) for found in months])
    within = (position - starts[month]) * seconds[month] // (starts[month + 1] - starts[month])
    moments: Ints = begins[month] + within
    return moments.astype("datetime64[s]")


def _descriptions(product: Ints, category: Ints, brand: Ints, seed: int) -> list[str]:
    brands, kinds = list(BRANDS), [kinds for _, _, kinds in CATEGORIES.values()]
    kind, colour = drawn(seed, 10, product, 0, 3), drawn(seed, 11, product, 0, len(_COLOURS) - 1)
    return [
        f"{brands[b]} {kinds[c][k]} in {_COLOURS[n]}"
        for b, c, k, n in zip(brand.tolist(), category.tolist(), kind.tolist(), colour.tolist(), strict=True)
    ]


def _decimals(cents: Ints) -> Any:
    """Return cents as decimal(10,2), exactly: its bytes are the 128-bit integer of the cents."""
    import pyarrow as pa

    words = np.zeros((len(cents), 2), dtype="<i8")
    words[:, 0] = cents
    return pa.Array.from_buffers(pa.decimal128(10, 2), len(cents), [None, pa.py_buffer(words)])


# embeddings


@lru_cache(maxsize=1)
def _basis() -> NDArray[np.float32]:
    """Return the directions of the latents: whole numbers of -127..127, nearly at right angles in 1,024 dimensions."""
    latents = len(CATEGORIES) + _SHARED_LATENTS
    counter = np.arange(latents * DIMENSIONS, dtype=np.int64)
    return drawn(_MODEL_SEED, 12, counter, -127, 127).reshape(latents, DIMENSIONS).astype(np.float32)


def embedding(product: Ints, category: Ints, brand: Ints, seed: int) -> _Floats:
    """Return one vector of unit length a product, float32 values as doubles."""
    shared = np.arange(_SHARED_LATENTS, dtype=np.int64)
    house = (category * len(BRANDS) + brand)[:, None] * _SHARED_LATENTS + shared
    own = product[:, None] * _SHARED_LATENTS + shared
    latents = np.zeros((len(product), len(CATEGORIES) + _SHARED_LATENTS), dtype=np.float32)
    latents[np.arange(len(product)), category] = _CATEGORY_PULL
    latents[:, len(CATEGORIES) :] = drawn(_MODEL_SEED, 13, house, -2, 2) + drawn(seed, 14, own, -4, 4)
    exact = latents @ _basis()  # whole numbers below 2^24: exact whatever the order of the sum
    words = product[:, None] * (DIMENSIONS // 4) + np.arange(DIMENSIONS // 4, dtype=np.int64)
    # a little of everything, a hundredth of the energy: four draws of -256..255 from each hash
    noise = (
        hashed(seed, 15, words).view(np.uint16).reshape(exact.shape)
    )  # little-endian, as all that numpy runs on
    whole = exact.astype(np.float64) + (noise >> np.uint16(7)).astype(np.float64) - 256.0
    length = np.sqrt(np.sum(whole * whole, axis=1, keepdims=True))  # the sum is a whole number below 2^53
    found: _Floats = (whole / length).astype(np.float32).astype(np.float64)
    return found


# files


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file that takes the path's place when the block ends, and is removed when it fails.

    One run at a time, by a lock on the unfinished file, which the kernel drops with the process: what a killed run left is
    overwritten by the next.
    """
    unfinished = path.with_name(f".{path.name}.part")
    while True:
        file = os.fdopen(os.open(unfinished, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise GenerateError(
                f"Another run is writing {path}.",
                hint="Wait until it has ended, or name another --output-dir.",
            ) from None
        # another run may have moved it to its place between opening and locking
        if _is(unfinished, file):
            break
        file.close()
    try:
        file.truncate()
        yield file
        file.flush()
        os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise
    finally:
        file.close()


def _is(path: Path, file: IO[bytes]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _require_space(folder: Path, size: int) -> None:
    stats = os.statvfs(folder)
    free = stats.f_bavail * stats.f_frsize
    if free < size:
        raise GenerateError(
            f"{folder} has {free / 1e9:.1f} GB free; this history takes up to {size / 1e9:.1f} GB.",
            hint="Ask for fewer records, take --format parquet, or name another --output-dir.",
        )


def _write_parquet(
    file: IO[bytes], batches: Iterator[pa.RecordBatch], on_rows: Callable[[int], None]
) -> None:
    import pyarrow.parquet as pq

    first = next(batches)
    texts = [field.name for field in first.schema if str(field.type) == "string"]
    # zstd finds a product's embedding again at its next sale; a dictionary of doubles would only grow too large
    writer = pq.ParquetWriter(
        file, first.schema, compression="zstd", use_dictionary=texts, store_schema=False
    )
    try:
        for batch in chain([first], batches):
            writer.write_batch(batch)
            on_rows(batch.num_rows)
    except BaseException:
        with suppress(OSError):  # of a full disk, say: the first error is the one to tell
            writer.close()
        raise
    writer.close()


def _write_jsonl(file: IO[bytes], batches: Iterator[pa.RecordBatch], on_rows: Callable[[int], None]) -> None:
    """One object a line. No text holds what JSON escapes; numbers are the shortest that read back the same."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for batch in batches:
        pieces: list[Any] = []
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            pieces.append(f"{', ' if pieces else '{'}{json.dumps(name)}: ")
            if name == "embedding":
                numbers = pa.ListArray.from_arrays(column.offsets, column.values.cast(pa.string()))
                pieces += ["[", pc.binary_join(numbers, ", "), "]"]
            elif name == "sold_price":
                pieces.append(column.cast(pa.string()))
            elif name == "sold_date":
                pieces += ['"', pc.strftime(column.cast(pa.timestamp("s")), "%Y-%m-%dT%H:%M:%S"), '"']
            else:
                pieces += ['"', column, '"']
        for line in pc.binary_join_element_wise(*pieces, "}\n", ""):
            file.write(line.as_py().encode())
        on_rows(batch.num_rows)
