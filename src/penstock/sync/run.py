"""A sync of many tables: one after another; one that fails does not keep the others from being synced."""

from __future__ import annotations

from collections.abc import Iterable

from penstock.connections import Connections
from penstock.errors import PenstockError
from penstock.sync.declaration import Declaration
from penstock.sync.postgres import Limits
from penstock.sync.report import Checkpoint, Report, SyncReport, silent
from penstock.sync.table import TableSync


def sync(
    connections: Connections,
    declarations: Iterable[Declaration],
    *,
    full: bool = False,
    progress: Report = silent,
    checkpoint: Checkpoint = silent,
    limits: Limits | None = None,
) -> list[SyncReport]:
    """Make each declared table equal its lake table; returns a report a table, in order.

    `checkpoint` is called with the name of each step reached (tests stop the world there).
    Raises: the first table's error, after every table was tried.
    """
    limits = limits or Limits()
    reports, errors = [], []
    for declaration in declarations:
        try:
            reports.append(TableSync(connections, declaration, full, progress, checkpoint, limits).run())
        except PenstockError as error:
            errors.append(error)
    if errors:
        for other in errors[1:]:
            errors[0].add_note(other.message)
        raise errors[0]
    return reports
