"""Whole objects on local disk: what CSV and JSON are read from, kept a while because dbt's tests scan the same file again.

Shared by all queries; a file is found by its path and ETag, so a replaced object is fetched anew. The bytes a query scans
are counted in full all the same: the cache is ours, not Athena's.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from athena_local.engine.lines import Facts, Prepare
from athena_local.objects import S3Object

if TYPE_CHECKING:
    from athena_local.objects import ObjectStore

CACHE_BYTES = 4 * 1024**3  # above it the files used longest ago go, unless a query has them open
DOWNLOADS = 8  # at once for one query; more only share the same disk


class SpoolCache:
    """One a directory; `hold` and `release` keep files that a query reads from being removed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._sizes: OrderedDict[Path, int] = OrderedDict()
        self._holders: dict[Path, int] = {}
        self._fetching: dict[Path, threading.Lock] = {}
        self._facts: dict[Path, Facts] = {}

    def fetch(self, objects: ObjectStore, items: list[S3Object], prepare: Prepare) -> list[Path]:
        """Return local copies in the order of `items`, each prepared once and held until `release`."""
        self._directory.mkdir(parents=True, exist_ok=True)
        if len(items) < 2:
            return [self._one(objects, item, prepare) for item in items]
        with ThreadPoolExecutor(DOWNLOADS) as pool:
            return list(pool.map(lambda item: self._one(objects, item, prepare), items))

    def facts(self, path: Path) -> Facts:
        return self._facts[path]

    def release(self, paths: list[Path]) -> None:
        with self._lock:
            for path in paths:
                self._holders[path] = self._holders.get(path, 1) - 1
            total = sum(self._sizes.values())
            for path in list(self._sizes):
                if total <= CACHE_BYTES:
                    break
                if self._holders.get(path, 0) <= 0:
                    total -= self._sizes.pop(path)
                    path.unlink(missing_ok=True)

    def _one(self, objects: ObjectStore, item: S3Object, prepare: Prepare) -> Path:
        identity = f"{item.path}\0{item.etag}\0{item.size}\0{prepare.identity}"
        path = self._directory / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.txt"
        with self._lock:
            self._holders[path] = self._holders.get(path, 0) + 1
            lock = self._fetching.setdefault(path, threading.Lock())
        with lock:
            if path not in self._sizes or not path.exists():
                partial = path.with_suffix(".partial")
                objects.download(item.path, partial)
                self._facts[path] = prepare(partial, item.path)
                partial.replace(path)
        with self._lock:
            self._sizes[path] = path.stat().st_size
            self._sizes.move_to_end(path)
        return path


_caches: dict[Path, SpoolCache] = {}
_caches_lock = threading.Lock()


def cache_of(directory: Path) -> SpoolCache:
    """Return the one cache of a directory."""
    with _caches_lock:
        return _caches.setdefault(directory, SpoolCache(directory))
