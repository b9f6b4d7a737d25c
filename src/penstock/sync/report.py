"""What a sync tells while it runs and when it has ended, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from penstock.errors import PenstockError


@dataclass(frozen=True)
class Progress:
    """How far a table's sync is: `rows` of `total` copied; total 0 while it is not known or not counted."""

    table: str
    step: str
    rows: int = 0
    total: int = 0


@dataclass
class SyncReport:
    """What one table's sync did. `seconds` by step: plan, copy, index or merge, verify, commit.

    `step` is where it is, or where it stopped: with `error` where the table's sync failed. `path` is how the rows
    came: load, delta or merge; "" when none did. `schema_changes` are those made of the table's shape.
    """

    table: str
    lake: str
    mode: str = "nothing"
    reason: str = ""
    snapshot_id: int | None = None
    partitions: list[str] = field(default_factory=list)
    files: int = 0
    bytes_read: int = 0
    rows_read: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    step: str = ""
    path: str = ""
    schema_changes: list[str] = field(default_factory=list)
    error: PenstockError | None = None

    @property
    def rows_written(self) -> int:
        """Rows inserted, updated or deleted; of a failed run none were."""
        return self.inserted + self.updated + self.deleted


def counted(count: int, noun: str) -> str:
    """Return "1 row", "2 rows", "1,250 rows"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def ago(seconds: float) -> str:
    """Return a span of time in the two units that matter: "45 s", "3 min 20 s", "5 h 2 min", "3 d 4 h"."""
    whole = max(0, round(seconds))
    for unit, size, below, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest} {below}" if rest else "")
    return f"{whole} s"


Report = Callable[[Progress], None]
Checkpoint = Callable[[str], None]


def silent(_: Any) -> None: ...
