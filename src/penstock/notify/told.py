"""What people were told of failing tables, so that they are told once: in Postgres, and in a file while Postgres is down.

`penstock.sync_notices` holds a row a table that is failing and of which somebody was told, whichever machine ran the sync.
When Postgres cannot be asked, and that may be the very failure, the file `notices-<target>.json` in PENSTOCK_STATE_DIR
takes its place. A table counts as told of when either says so; a recovery is taken out of both. A machine that keeps no
disk (Lambda, Fargate) therefore tells of an unreachable Postgres once a container, not once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import psycopg

from penstock.connections import Connections
from penstock.errors import PenstockError
from penstock.notify.message import Told
from penstock.sync.postgres import Limits, connect
from penstock.sync.state import Connection

# How long a run waits for another that is telling: longer than PENSTOCK_NOTIFY_SECONDS as a rule is set.
HELD_SECONDS = 60

# The sync has waited for a server that wakes already; here one try must do.
QUICK = Limits(connect_seconds=0, busy_seconds=0)


def connected(connections: Connections) -> Connection:
    """Return a connection made at once or not at all; raises SyncError."""
    return connect(connections.postgres_url(), QUICK, reread=connections.reread_postgres_url)


class ToldBook:
    """Which failing tables people know of."""

    def __init__(self, connections: Connections, folder: Path) -> None:
        self._connections = connections
        place = re.sub(r"[^A-Za-z0-9_-]+", "_", connections.environment.marts_database)
        self._file = folder / f"notices-{place}.json"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other runs from telling meanwhile: shards and overlapping schedules fail together and are told of once.

        While Postgres cannot be asked there is nothing to hold, and each machine tells for itself.
        """
        with ExitStack() as stack:
            try:
                connection = stack.enter_context(connected(self._connections))
                stack.enter_context(connection.transaction())
                connection.execute("select set_config('lock_timeout', %s, true)", [f"{HELD_SECONDS}s"])
                connection.execute("select pg_advisory_xact_lock(hashtextextended('penstock.notices', 0))")
            except (PenstockError, psycopg.Error):
                stack.close()
            yield

    def read(self) -> dict[str, Told]:
        """Return what was told, by table."""
        rows: dict[str, Told] = {}

        def select(connection: Connection) -> None:
            for table, error, since, told_at in connection.execute(
                "select target, error, since, told_at from penstock.sync_notices"
            ):
                rows[table] = Told(error, since, told_at)

        self._in_postgres(select)
        return self._read_file() | rows

    def write(self, told: dict[str, Told], recovered: Collection[str]) -> None:
        """Keep what was told now, and forget what works again. Raises OSError when neither place takes it."""

        def change(connection: Connection) -> None:
            with connection.transaction():
                connection.execute(
                    "delete from penstock.sync_notices where target = any(%s)", [list(recovered)]
                )
                for table, item in told.items():
                    connection.execute(
                        "insert into penstock.sync_notices (target, error, since, told_at) values (%s, %s, %s, %s)"
                        " on conflict (target) do update set told_at = excluded.told_at",
                        [table, item.error, item.since, item.told_at],
                    )

        kept = {table: item for table, item in self._read_file().items() if table not in recovered}
        if not self._in_postgres(change):
            kept |= told
        self._write_file(kept)

    def _in_postgres(self, ask: Callable[[Connection], None]) -> bool:
        """Whether Postgres could be asked: it is up and its tables are there."""
        try:
            with connected(self._connections) as connection:
                ask(connection)
        except (PenstockError, psycopg.Error):
            return False
        return True

    def _read_file(self) -> dict[str, Told]:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            return {
                table: Told(
                    item["error"],
                    datetime.fromisoformat(item["since"]),
                    datetime.fromisoformat(item["told_at"]),
                )
                for table, item in found.items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}  # not there, or cut off: at worst something is told twice

    def _write_file(self, told: dict[str, Told]) -> None:
        if not told:
            self._file.unlink(missing_ok=True)
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        body = {
            table: {"error": item.error, "since": item.since.isoformat(), "told_at": item.told_at.isoformat()}
            for table, item in told.items()
        }
        anew = self._file.with_suffix(".new")
        anew.write_text(json.dumps(body, indent=1), encoding="utf-8")
        anew.replace(self._file)
