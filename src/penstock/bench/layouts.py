"""One table in two layouts, by year and month and by tenant, year and month: what the two kinds of query scan and take.

The second layout is made by the repartition itself, so that both hold the same rows, embeddings included: they are most
of the bytes.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from penstock.connections import Connections
from penstock.lake.athena import Athena
from penstock.lake.repartition import repartition
from penstock.lake.tables import TableName, forget

DATABASE = "bench_layouts_local"
TENANTS, MONTHS = 20, 24
NUMBERS = 64  # in an embedding: enough that the vectors are most of a file, as with 1,024
BY = "tenant_id,year,month"
QUERIES = {
    "one tenant, all months": "tenant_id = 'tenant_007'",
    "one month, all tenants": "year = 2025 and month = 3",
}
_COLUMNS = {"price": "sum(sold_price)", "embedding": "sum(reduce(embedding, 0e0, (s, x) -> s + x, s -> s))"}


@dataclass(frozen=True)
class Figure:
    """One query on one layout: bytes scanned, and the median of its seconds as Athena tells them."""

    query: str
    reads: str
    layout: str
    files: int
    bytes_scanned: int
    seconds: float


def measure(connections: Connections, rows: int, rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """Return the figures of both layouts of a table of `rows` rows, rounds interleaved.

    Raises: LakeError as Athena says it.
    """
    athena = Athena(connections)
    name = TableName(DATABASE, "sales_history")
    connections.client("glue").create_database(DatabaseInput={"Name": DATABASE})
    say(f"making {rows:,} rows, {TENANTS} tenants, {MONTHS} months …")
    athena.run(_create(connections, name, rows))
    moved = repartition(connections, name, BY, say=say)
    assert moved.kept is not None
    layouts = {"year, month": moved.kept, BY.replace(",", ", "): name}
    files = {
        layout: int(athena.run(f'select count(*) from "{DATABASE}"."{table.table}$files"').rows[0][0] or 0)
        for layout, table in layouts.items()
    }
    taken: dict[tuple[str, str, str], list[tuple[int, float]]] = {}
    for _ in range(rounds):
        for layout, table in layouts.items():
            for query, condition in QUERIES.items():
                for reads, column in _COLUMNS.items():
                    done = athena.run(f"select count(*), {column} from {table.sql} where {condition}")
                    taken.setdefault((query, reads, layout), []).append((done.bytes_scanned, done.seconds))
    for table in layouts.values():
        forget(connections, table)
    return [
        Figure(*key, files[key[2]], found[0][0], statistics.median(seconds for _, seconds in found))
        for key, found in taken.items()
    ]


def _create(connections: Connections, name: TableName, rows: int) -> str:
    """Return the CTAS of the table by year and month: rows spread evenly, 24 partitions."""
    each = max(1, rows // (TENANTS * MONTHS))
    location = f"s3://{connections.environment.lake_bucket}/{DATABASE}/sales_history/"
    return (
        f"create table {name.sql} with (table_type = 'ICEBERG', is_external = false, location = '{location}',"
        " format = 'PARQUET', write_compression = 'snappy', partitioning = array['year', 'month']) as"
        " select concat('P', cast(p as varchar)) as product_id,"
        " concat('tenant_', lpad(cast(t as varchar), 3, '0')) as tenant_id,"
        " cast((p * 7 + t * 13) % 50000 / 100e0 as decimal(10,2)) as sold_price,"
        f" transform(sequence(1, {NUMBERS}), i -> sin(p * 31 + t * 17 + m * 7 + i)) as embedding,"
        " cast(2024 + (m - 1) / 12 as integer) as year, cast((m - 1) % 12 + 1 as integer) as month"
        f" from unnest(sequence(1, {TENANTS})) as b(t) cross join unnest(sequence(1, {MONTHS})) as c(m)"
        f" cross join unnest(sequence(1, {each})) as a(p)"
    )
