"""One query's DuckDB: locked down, S3 mounted, bytes counted, stopped when the query is cancelled.

The only module that uses a DuckDB connection or reads DuckDB's errors. Text that reaches `execute` was generated here,
never submitted: statements are parsed as Athena's and translated first. It refuses local files outside its own spool,
extensions, and changes of its own configuration.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from athena_local.engine import errors, pool
from athena_local.engine.memory import Grant, budget_of
from athena_local.engine.s3fs import S3FileSystem
from athena_local.errors import QueryCancelledError
from athena_local.types import Column

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlglot import exp

    from athena_local.context import QueryContext

BATCH_ROWS = (
    8192  # a batch lives outside of the memory limit: 65,536 rows of 1 kB made 700 MB of it and its text
)
MIN_ROW_GROUP_BYTES, MAX_ROW_GROUP_BYTES = 4 * 1024**2, 128 * 1024**2
INTERRUPT_AGAIN_SECONDS = 0.1


@dataclass(frozen=True)
class Translated:
    """A query as DuckDB's SQL, with the names and Athena types of its columns."""

    sql: str
    columns: list[Column]


class Session:
    """Made for one query and closed with it; use it in a `with`. Threads of this query may share it through `cursor`."""

    def __init__(self, context: QueryContext) -> None:
        self.context = context
        self.spool: Path = context.config.spool_dir / f"{context.query_id}-{uuid.uuid4().hex[:8]}"
        self.spool.mkdir(parents=True)
        self.files = S3FileSystem(context.objects, context.statistics)
        self.names: dict[str, str] = {}  # local file -> the object it is a copy of, for errors
        self.without_rows = False
        # those being translated, outermost first: one that is met again is recursive
        self.open_views: list[str] = []
        self.replaced_view: str | None = None  # that CREATE OR REPLACE VIEW is making
        self._provided: set[str] = set()
        self._closed = False
        self._on_close: list[Callable[[], None]] = []
        self._grant: Grant | None = None
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._opening = threading.Lock()
        self._resizing = threading.Lock()
        context.cancellation.on_cancel(self._interrupt)

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """This query's DuckDB, opened at first use: it waits here for its part of the memory. DDL needs none."""
        with self._opening:
            if self._connection is None:
                self._connection = self._open()
            return self._connection

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._closed:
            return
        with self._resizing:
            self._closed = True
        self.files.close()
        for callback in self._on_close:
            callback()
        if self._connection is not None:
            assert self._grant is not None
            if (self.spool / "spill").exists():
                self._connection.close()  # removes its own files; in the background it would miss them
            pool.retire(
                self._connection, self._grant.release
            )  # memory is free when DuckDB is closed, not before
        elif self._grant is not None:
            self._grant.release()
        shutil.rmtree(self.spool, ignore_errors=True)

    @contextlib.contextmanager
    def schema_only(self, wanted: bool = True) -> Iterator[None]:
        """Inside, tables are translated to selects without rows: nothing is listed, read or billed."""
        before = self.without_rows
        self.without_rows = before or wanted
        try:
            yield
        finally:
            self.without_rows = before

    def on_close(self, callback: Callable[[], None]) -> None:
        self._on_close.append(callback)

    def _open(self) -> duckdb.DuckDBPyConnection:
        config = self.context.config
        threads = config.threads or os.cpu_count() or 2
        budget = budget_of(config.spool_dir, config.memory_limit_bytes)
        self._grant = budget.take(threads, self.check_cancelled)
        connection = pool.take()
        self._lock_down(connection, self._grant)
        self._grant.resize = partial(self._resize, connection.cursor())
        return connection

    def _resize(self, cursor: duckdb.DuckDBPyConnection, size_bytes: int) -> None:
        """Shrink the instance while its query runs in another thread. MemoryError: too much of it is pinned."""
        with self._resizing:
            if self._closed:
                raise MemoryError
            try:
                cursor.execute(f"SET {_memory_limit(size_bytes)}")
            except duckdb.Error as error:
                raise MemoryError from error

    def _lock_down(self, connection: duckdb.DuckDBPyConnection, grant: Grant) -> None:
        spool_dir = self.context.config.spool_dir
        cache = spool_dir / "cache"
        cache.mkdir(exist_ok=True)
        connection.register_filesystem(self.files)
        directories = ", ".join(_text(f"{path}/") for path in (self.spool, cache))
        settings = (
            _memory_limit(grant.size),
            f"threads = {grant.threads}",
            f"temp_directory = {_text(str(self.spool / 'spill'))}",
            "TimeZone = 'UTC'",
            "default_null_order = 'nulls_last'",  # Trino's, for ascending and descending
            "ieee_floating_point_ops = true",  # 1 / 0e0 is Infinity
            "enable_progress_bar = false",
            "preserve_insertion_order = false",
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
            "allow_community_extensions = false",
            f"allowed_directories = ['s3://', {directories}]",
            "enable_external_access = false",
            "allowed_configs = ['memory_limit']",  # for `_resize`; no text of a query can say SET
            "lock_configuration = true",
        )
        connection.execute("; ".join(f"SET {setting}" for setting in settings))

    def _interrupt(self) -> None:
        self._interrupt_once()
        threading.Thread(target=self._interrupt_on, name="interrupt", daemon=True).start()

    def _interrupt_on(self) -> None:
        """Interrupt until the session ends: DuckDB forgets an interrupt that comes before its next statement begins."""
        while not self._closed:
            time.sleep(INTERRUPT_AGAIN_SECONDS)
            self._interrupt_once()

    def _interrupt_once(self) -> None:
        with self._resizing:
            if self._connection is not None and not self._closed:
                with contextlib.suppress(duckdb.Error):
                    self._connection.interrupt()

    # running

    def translate(self, query: exp.Expression, *, shown: bool = False, stored: bool = False) -> Translated:
        """Return an Athena query (a sqlglot tree) as DuckDB SQL, every table replaced by its scan.

        `shown`: for a result that is looked at; `stored`: for rows that become a table as they are.
        """
        from athena_local.sql.translate import translate

        return translate(self, query, shown=shown, stored=stored)

    def provide(self, sql: str) -> None:
        """Make the functions known that generated SQL calls and DuckDB has not."""
        from athena_local.sql.functions.native import provide

        provide(self.connection, sql, self._provided)

    def execute(self, sql: str, parameters: Sequence[Any] | None = None) -> duckdb.DuckDBPyConnection:
        """Run generated SQL; the connection holds the result. DuckDB's errors become QueryErrors."""
        self.check_cancelled()
        self.provide(sql)
        try:
            return self.connection.execute(sql, parameters) if parameters else self.connection.execute(sql)
        except duckdb.Error as error:
            raise self.error(error) from error

    def bind(self, sql: str) -> duckdb.DuckDBPyRelation:
        """Return generated SQL as a relation whose columns and types are known and which has not run."""
        self.check_cancelled()
        self.provide(sql)
        try:
            return self.connection.sql(sql)
        except duckdb.Error as error:
            raise self.error(error) from error

    def register(self, table: pa.Table) -> str:
        """Make an Arrow table known to this query's SQL, and return its name."""
        name = f"__arrow_{uuid.uuid4().hex[:12]}"
        self.connection.register(name, table)
        return name

    def check_cancelled(self) -> None:
        if self.context.cancellation.requested:
            raise QueryCancelledError

    def error(self, error: duckdb.Error) -> Exception:
        """Return what a DuckDB error means to the one who sent the query."""
        if self.context.cancellation.requested or isinstance(error, duckdb.InterruptException):
            return QueryCancelledError()
        if self.files.failure is not None:
            return self.files.failure
        return errors.translate(error, self.names)

    def batches(self, sql: str) -> Iterator[pa.RecordBatch]:
        """Yield the result as Arrow batches; errors during the stream are QueryErrors too."""
        self.check_cancelled()
        self.provide(sql)
        reader = None
        while True:
            try:
                if reader is None:
                    reader = self.connection.sql(sql).to_arrow_reader(BATCH_ROWS)
                batch = reader.read_next_batch()
            except StopIteration:
                return
            except (duckdb.Error, OSError, ValueError) as error:  # Arrow's own are ValueErrors
                raise self.error(errors.unwrap(error)) from error
            self.check_cancelled()
            if batch.num_rows:
                yield batch

    @property
    def row_group_bytes(self) -> int:
        """What a row group may hold before it is written: wide rows would fill the query's memory otherwise."""
        self.connection  # noqa: B018 - opened, so that its part of the memory is known
        assert self._grant is not None
        return max(MIN_ROW_GROUP_BYTES, min(MAX_ROW_GROUP_BYTES, self._grant.size // 8))


def _memory_limit(size_bytes: int) -> str:
    return f"memory_limit = '{size_bytes // 1024**2}MiB'"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
