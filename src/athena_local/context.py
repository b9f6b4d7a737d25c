"""What a running statement is given, and what it gives back: the one seam between protocol and engine.

The protocol side (`queries/`) makes a `QueryContext`, calls `statements.execute`, and writes the outcome to S3 and SQLite.
The engine side (`sql/`, `engine/`, `statements/`, `iceberg/`) knows nothing of HTTP, query ids' history or result files.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from athena_local.catalog import Catalog
    from athena_local.config import Config
    from athena_local.objects import ObjectStore
    from athena_local.types import AthenaType


@dataclass
class Statistics:
    """Bytes as Athena bills them: of the files and columns read, compressed, before any cache.

    `cutoff_bytes` is the workgroup's BytesScannedCutoffPerQuery; `on_cutoff` is called once it is passed.
    """

    bytes_scanned: int = 0
    rows_scanned: int = 0
    cutoff_bytes: int | None = None
    on_cutoff: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def add_scanned(self, size_bytes: int, rows: int = 0) -> None:
        with self._lock:
            self.bytes_scanned += size_bytes
            self.rows_scanned += rows
            exceeded = self.over_cutoff
        if exceeded and self.on_cutoff:
            self.on_cutoff()

    @property
    def over_cutoff(self) -> bool:
        return self.cutoff_bytes is not None and self.bytes_scanned > self.cutoff_bytes


class Cancellation:
    """Set by StopQueryExecution. The engine registers what interrupts it (`connection.interrupt`) with `on_cancel`."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def on_cancel(self, callback: Callable[[], None]) -> None:
        with self._lock:
            self._callbacks.append(callback)
            fire = self._event.is_set()
        if fire:
            callback()

    def forget(self, callback: Callable[[], None]) -> None:
        """Undo one `on_cancel`: what it would interrupt has ended."""
        with self._lock:
            self._callbacks.remove(callback)

    def request(self) -> None:
        self._event.set()
        with self._lock:
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()


class PreparedStatements(Protocol):
    """The prepared statements of all workgroups: those of the API and those of PREPARE are the same."""

    def get(self, workgroup: str, name: str) -> str | None: ...

    def put(self, workgroup: str, name: str, text: str) -> None: ...

    def delete(self, workgroup: str, name: str) -> bool: ...


@dataclass
class QueryContext:
    """One query. `output_location` ends in '/': s3://bucket/prefix/ (where CTAS without a location writes below)."""

    query_id: str
    config: Config
    catalog: Catalog
    objects: ObjectStore
    database: str
    output_location: str
    statistics: Statistics = field(default_factory=Statistics)
    cancellation: Cancellation = field(default_factory=Cancellation)
    execution_parameters: tuple[str, ...] = ()
    workgroup: str = "primary"
    prepared: PreparedStatements | None = None


@dataclass(frozen=True)
class ResultColumn:
    """One entry of ResultSetMetadata.ColumnInfo. `type` is Athena's spelling: varchar, integer, double, decimal, row, …

    `kind` is the whole type where it is known: what is inside an array or a row is rendered by it.
    """

    name: str
    type: str
    precision: int = 0
    scale: int = 0
    kind: AthenaType | None = field(default=None, compare=False, repr=False)


@dataclass
class StatementResult:
    """The outcome of one statement; exactly one of three shapes.

    rows:   `columns` and `batches` (a stream of Arrow record batches whose values are still typed; `queries/results.py`
            renders each value to Athena's text). SELECT, EXPLAIN, and DML.
    lines:  `lines`, the tab-separated text of a UTILITY or DDL statement (SHOW, DESCRIBE), with `columns` that name
            its parts; both empty for CREATE, DROP …
    counts: `update_count` for CTAS, INSERT, MERGE, UPDATE, DELETE; with `manifest` = s3:// paths of the files written.
    """

    columns: list[ResultColumn] = field(default_factory=list)
    batches: Iterator[pa.RecordBatch] | None = None
    lines: list[str] | None = None
    update_count: int | None = None
    manifest: list[str] = field(default_factory=list)
