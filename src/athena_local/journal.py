"""What statements are writing right now, kept so that one that dies leaves neither files nor half a table behind.

A statement names its files here before the first byte goes up, and the table or partitions before it enters them in the
catalog. Its entry goes when it is done: that moment is its commit. An entry that is still there when a server starts is of a
query that was killed; it is undone. Until then, and while a statement runs, this server does not read its files. Only
what a statement itself named is ever deleted.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from athena_local.catalog import EntityNotFoundError
from athena_local.storage import SqliteFile

if TYPE_CHECKING:
    from athena_local.catalog import Catalog
    from athena_local.config import Config
    from athena_local.objects import ObjectStore, S3Object

log = logging.getLogger(__name__)

CREATED_BY = "trino_query_id"  # a table's parameter, as Athena sets it
LIST_ATTEMPTS = (
    5  # a listing during which a statement committed is made again; more would only chase busy writers
)
UNDO_ATTEMPTS = 30  # S3 may start after this server: files of a killed query are tried again this often,
UNDO_PAUSE_SECONDS = 2.0  # this far apart; after that, at the next start

_SCHEMA = """
create table if not exists writes (
    id integer primary key autoincrement,
    query_id text not null,
    body text not null
);
"""


class Entry:
    """One statement's notes; each method is on disk when it returns."""

    def __init__(self, journal: Journal, query_id: str) -> None:
        self._journal, self._query_id = journal, query_id
        self._body: dict[str, Any] = {"files": [], "tables": [], "partitions": [], "prefixes": []}
        self.id = journal._add(query_id, self._body)

    def files(self, paths: Iterable[str]) -> None:
        """Name objects that are going to be written; all are new."""
        named = list(paths)
        self._journal._hide(named)
        self._body["files"] += named
        self._journal._save(self.id, self._body)

    def table(self, database: str, name: str) -> None:
        """Name a Hive table that is going to be created; its parameter `CREATED_BY` must be this query's id."""
        self._body["tables"].append([database, name, self._query_id])
        self._journal._save(self.id, self._body)

    def partitions(self, database: str, name: str, partitions: Iterable[tuple[list[str], str]]) -> None:
        """Name partitions that are going to be created: (values, location)."""
        self._body["partitions"] += [[database, name, values, location] for values, location in partitions]
        self._journal._save(self.id, self._body)

    def prefix(self, location: str) -> None:
        """Name an empty prefix that is going to be filled; what is in it stays if a table came to be at that place."""
        self._body["prefixes"].append(location.rstrip("/") + "/")
        self._journal._save(self.id, self._body)


class Journal:
    """One a data directory; thread-safe. Its file is made by the first statement that writes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: SqliteFile | None = None
        self._lock = threading.Lock()
        self._hidden: frozenset[str] = frozenset()
        self._commits = 0

    @contextlib.contextmanager
    def writing(self, query_id: str, catalog: Catalog, objects: ObjectStore) -> Iterator[Entry]:
        """Give an entry; what it names is committed at the end, and undone by any exception."""
        entry = Entry(self, query_id)
        try:
            yield entry
        except BaseException:
            _undo_catalog(catalog, entry._body)
            try:
                _undo_files(catalog, objects.never_cancelled(), entry._body)
                self._remove(entry.id, entry._body)
            except Exception as error:  # S3 cannot be reached: the statement's own error says more
                log.warning("query=%s left files that the next start removes: %s", query_id, error)
            raise
        self._remove(entry.id, entry._body)

    def visible(self, list_objects: Callable[[], list[S3Object]]) -> list[S3Object]:
        """Return a listing without what is still being written: all of a statement's files or none of them."""
        found: list[S3Object] = []
        for _ in range(LIST_ATTEMPTS):
            commits, before = self._commits, self._hidden
            found = list_objects()
            hidden = before | self._hidden
            if hidden:
                found = [item for item in found if item.path not in hidden]
            if commits == self._commits:
                break
        return found

    def recover(self, catalog: Catalog, objects: ObjectStore) -> int:
        """Undo what killed statements left, and return their number.

        The catalog is put right before this returns; objects are deleted in the background, hidden until they are gone.
        """
        if not self._path.exists():
            return 0
        with self._opened().read() as connection:
            rows = connection.execute("select id, query_id, body from writes order by id").fetchall()
        left = [(identity, query_id, json.loads(body)) for identity, query_id, body in rows]
        for _, query_id, body in left:
            self._hide(body["files"])
            _undo_catalog(catalog, body)
            log.warning(
                "query=%s was killed while it wrote; files=%d are removed", query_id, len(body["files"])
            )
        if left:
            threading.Thread(
                target=self._undo_all, args=(catalog, objects, left), name="journal", daemon=True
            ).start()
        return len(left)

    def _undo_all(self, catalog: Catalog, objects: ObjectStore, left: list[tuple[int, str, Any]]) -> None:
        for attempt in range(UNDO_ATTEMPTS):
            try:
                while left:
                    identity, _, body = left[0]
                    _undo_files(catalog, objects, body)
                    self._remove(identity, body)
                    del left[0]
                return
            except Exception as error:  # whatever S3's client raises: it is not up yet, or the bucket is gone
                if attempt == 0 or attempt == UNDO_ATTEMPTS - 1:
                    log.warning("files of killed queries are not removed yet: %s", error)
                time.sleep(UNDO_PAUSE_SECONDS)

    def close(self) -> None:
        """Close the file's connections; the next statement that writes opens it again."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    # what an entry calls

    def _opened(self) -> SqliteFile:
        with self._lock:
            if self._file is None:
                self._file = SqliteFile(self._path, _SCHEMA)
            return self._file

    def _add(self, query_id: str, body: dict[str, Any]) -> int:
        with self._opened().write() as connection:
            done = connection.execute(
                "insert into writes (query_id, body) values (?, ?)", (query_id, json.dumps(body))
            )
        return int(done.lastrowid or 0)

    def _save(self, identity: int, body: dict[str, Any]) -> None:
        with self._opened().write() as connection:
            connection.execute("update writes set body = ? where id = ?", (json.dumps(body), identity))

    def _hide(self, paths: list[str]) -> None:
        with self._lock:
            self._hidden = self._hidden.union(paths)

    def _remove(self, identity: int, body: dict[str, Any]) -> None:
        with self._opened().write() as connection:
            connection.execute("delete from writes where id = ?", (identity,))
        with self._lock:
            self._hidden = self._hidden.difference(body["files"])
            self._commits += 1


def _undo_catalog(catalog: Catalog, body: dict[str, Any]) -> None:
    """Drop the tables that the statement created; one of the same name may be somebody else's."""
    for database, name, query_id in body["tables"]:
        with contextlib.suppress(EntityNotFoundError):
            parameters = catalog.get_table(database, name).get("Parameters") or {}
            if parameters.get(CREATED_BY) == query_id:
                catalog.delete_table(database, name)


def _undo_files(catalog: Catalog, objects: ObjectStore, body: dict[str, Any]) -> None:
    """Delete the objects, then partitions that are empty without them (another INSERT may have filled them too)."""
    objects.delete(body["files"])
    for location in body["prefixes"]:
        if not _is_taken(catalog, location):
            objects.delete_prefix(location)
    for database, name, values, location in body["partitions"]:
        if not objects.list_data(location):
            with contextlib.suppress(EntityNotFoundError):
                catalog.delete_partition(database, name, values)


def _is_taken(catalog: Catalog, location: str) -> bool:
    """Whether a table lies there: the statement's own, committed, or somebody else's."""
    return any(
        str((table.get("StorageDescriptor") or {}).get("Location", "")).rstrip("/") + "/" == location
        for database in catalog.get_databases()
        for table in catalog.get_tables(database["Name"])
    )


_journals: dict[Path, Journal] = {}
_journals_lock = threading.Lock()


def journal_of(config: Config) -> Journal:
    """Return the one journal of a data directory."""
    path = config.data_dir / "writes.sqlite"
    with _journals_lock:
        return _journals.setdefault(path, Journal(path))


def recover(config: Config, catalog: Catalog, objects: ObjectStore) -> int:
    """Undo what queries killed with the last server left; to be called once, before the first query runs."""
    return journal_of(config).recover(catalog, objects)
