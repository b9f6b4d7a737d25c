"""What stopped a table's sync, as an error to show: Postgres's or S3's own words, the row, the next step, no secret."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import errors as postgres

from penstock.errors import PenstockError, SyncError
from penstock.sync.declaration import Declaration
from penstock.sync.postgres import without_secret
from penstock.sync.state import Connection

_AGAIN = "Run the sync again once the cause is mended: it starts from the last committed snapshot."

# What to do, by the kind of Postgres's error: the first that fits. {model}, {table} are the declaration's.
_NEXT: tuple[tuple[type[psycopg.Error] | tuple[type[psycopg.Error], ...], str], ...] = (
    (
        (
            postgres.CheckViolation,
            postgres.ForeignKeyViolation,
            postgres.NotNullViolation,
            postgres.UniqueViolation,
            postgres.ExclusionViolation,
        ),
        "Mend the model {model}, where a data test would have stopped the build, or the constraint on {table}.",
    ),
    (
        postgres.RaiseException,
        "A trigger of {table} refuses it: mend the model {model}, or the trigger.",
    ),
    (
        postgres.InsufficientPrivilege,
        "Grant it to the role in DATABASE_URL; that role must own the tables it syncs, and may create in their schema.",
    ),
    (
        (postgres.DiskFull, postgres.ConfigurationLimitExceeded),
        "Make room for Postgres (on Neon: the project's storage limit; elsewhere its disk or temp_file_limit), then run the"
        " sync again.",
    ),
    (
        postgres.TooManyConnections,
        "Lower PENSTOCK_SYNC_CONNECTIONS, end idle sessions, or raise max_connections; then run the sync again.",
    ),
    (
        postgres.ProtocolViolation,
        "A pooler refuses what a sync needs: set DATABASE_URL to the server's direct URL, or the pool to transaction mode.",
    ),
    (postgres.OutOfMemory, "Give the server more memory, then run the sync again."),
    (
        postgres.ReadOnlySqlTransaction,
        "Set DATABASE_URL to the primary's (on Neon: the read-write compute's); a standby or a read replica takes no rows.",
    ),
    (
        postgres.LockNotAvailable,
        "Another session holds {table}: find it in pg_stat_activity, let it end, run the sync again.",
    ),
    (
        postgres.QueryCanceled,
        "It took longer than statement_timeout, or somebody cancelled it; run the sync again.",
    ),
    ((postgres.DeadlockDetected, postgres.SerializationFailure), "Run the sync again."),
    (
        (postgres.UndefinedTable, postgres.UndefinedColumn),
        "Somebody changed {table} while it was synced; run the sync again.",
    ),
    (
        postgres.DataError,
        "Mend the model {model}, or declare a type in meta.sync.columns that holds the value.",
    ),
)


def named(
    error: Exception,
    declaration: Declaration,
    database_url: str,
    *,
    connection: Connection | None = None,
    partitions: Sequence[str] = (),
) -> PenstockError:
    """Return the error as one to show: Postgres's own words, with table and row, and no secret.

    `connection`, rolled back, lets the key of a row at fault be told from its other values; `partitions` are those of the
    run, told where there is only one that it can be.
    """
    if isinstance(error, PenstockError):
        error.message = without_secret(error.message, database_url)
        error.hint = without_secret(error.hint, database_url)
        return error
    if isinstance(error, FileNotFoundError):
        return SyncError(
            f"{error} belongs to {declaration.lake} and is not in S3.",
            hint="If the table was rewritten this moment, run the sync again; else the lake has lost a file.",
        )
    if not isinstance(error, psycopg.Error):
        return SyncError(
            without_secret(f"{declaration.lake} cannot be read: {error}", database_url),
            hint="Nothing was changed; run the sync again once S3 and Glue answer (locally: invoke up).",
        )
    if lost(error):
        words = " ".join(str(error).split())
        return SyncError(
            f"{declaration.target}: the connection to Postgres was lost: {without_secret(words, database_url)}",
            hint="Run the sync again: it starts from what is committed. Did the server restart, or a proxy cut it off?",
        )
    detail = str(error.diag.message_detail or "").rstrip(".")
    if isinstance(error, postgres.UniqueViolation) and _columns_told(detail) == set(declaration.key):
        return duplicate(declaration, detail)
    return _refused(error, declaration, database_url, connection, partitions)


def lost(error: psycopg.Error) -> bool:
    """Whether the connection ended, rather than Postgres having refused a statement."""
    return isinstance(
        error,
        postgres.AdminShutdown
        | postgres.CrashShutdown
        | postgres.CannotConnectNow
        | postgres.IdleInTransactionSessionTimeout,
    ) or (isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and error.sqlstate is None)


def _refused(
    error: psycopg.Error,
    declaration: Declaration,
    database_url: str,
    connection: Connection | None,
    partitions: Sequence[str],
) -> SyncError:
    diagnosis = error.diag
    place = f" partition {partitions[0]}" if len(partitions) == 1 else ""
    key = "" if hasattr(error, "__notes__") else _key_at_fault(error, declaration, connection)
    words = [
        diagnosis.message_primary or " ".join(str(error).split()),
        *getattr(error, "__notes__", []),  # the row at fault, where the staged rows told it
        f"key {key}" if key else "",
        diagnosis.message_detail,
        diagnosis.context,
    ]
    message = without_secret("; ".join(word.rstrip(".") for word in words if word), database_url)
    hint = next((text for kinds, text in _NEXT if isinstance(error, kinds)), _AGAIN)
    return SyncError(
        f"{declaration.target}{place}: {message}. Nothing was changed.",
        hint=hint.format(model=declaration.model, table=declaration.target),
    )


def _key_at_fault(error: psycopg.Error, declaration: Declaration, connection: Connection | None) -> str:
    """Return the key of the row that a constraint refused, "a=1, b=2"; empty where Postgres did not show the row."""
    before, shown = "Failing row contains (", str(error.diag.message_detail or "").rstrip(".")
    if connection is None or connection.closed or not shown.startswith(before) or not shown.endswith(")"):
        return ""
    try:
        names = [
            row[0]
            for row in connection.execute(
                "select attname from pg_attribute where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped"
                " order by attnum",
                [f'"{declaration.schema}"."{error.diag.table_name}"'],
            )
        ]
    except psycopg.Error:
        return ""
    values = shown.removeprefix(before)[:-1].split(", ")
    # a text with a comma in it makes more values than columns; then the row is shown as Postgres does, and no key is guessed
    if len(values) != len(names) or not set(declaration.key) <= set(names):
        return ""
    row = dict(zip(names, values, strict=True))
    return ", ".join(f"{name}={row[name]}" for name in declaration.key)


def _columns_told(detail: str) -> set[str]:
    """The columns in "Key (a, b)=(1, 2) is duplicated"; empty where the detail is another."""
    if not detail.startswith("Key ("):
        return set()
    return {name.strip('"') for name in detail.removeprefix("Key (").partition(")=")[0].split(", ")}


def duplicate(declaration: Declaration, detail: str) -> SyncError:
    return SyncError(
        f"{declaration.lake}: the key ({', '.join(declaration.key)}) is not unique: {detail}. Nothing was changed.",
        hint=f"Mend the model {declaration.model}; a `unique` test on its key would have stopped the build.",
    )
