"""What stopped a table's sync, as an error to show: Postgres's or S3's own words, with table and row, and no secret."""

from __future__ import annotations

import psycopg

from penstock.errors import PenstockError, SyncError
from penstock.sync.declaration import Declaration
from penstock.sync.postgres import without_secret


def named(error: Exception, declaration: Declaration, database_url: str) -> PenstockError:
    """Return the error as one to show: Postgres's own words, with table and row, and no secret."""
    if isinstance(error, PenstockError):
        error.message = without_secret(error.message, database_url)
        return error
    if isinstance(error, FileNotFoundError):
        return SyncError(
            f"{error} belongs to {declaration.lake} and is not in S3.",
            hint="If the table was rewritten this moment, run the sync again; else the lake has lost a file.",
        )
    if not isinstance(error, psycopg.Error):
        return SyncError(
            f"{declaration.lake} cannot be read: {error}",
            hint="Nothing was changed; run the sync again once S3 and Glue answer (locally: invoke up).",
        )
    diagnosis = error.diag
    if isinstance(error, psycopg.errors.UniqueViolation):
        return duplicate(declaration, str(diagnosis.message_detail or "").rstrip("."))
    words = [
        diagnosis.message_primary or " ".join(str(error).split()),
        diagnosis.message_detail,
        diagnosis.context,
    ]
    message = without_secret("; ".join(word for word in words if word), database_url)
    return SyncError(
        f"{declaration.target}: {message}. Nothing was changed.",
        hint="Run the sync again once the cause is mended: it starts from the last committed snapshot.",
    )


def duplicate(declaration: Declaration, detail: str) -> SyncError:
    return SyncError(
        f"{declaration.lake}: the key ({', '.join(declaration.key)}) is not unique: {detail}. Nothing was changed.",
        hint=f"Mend the model {declaration.model}; a `unique` test on its key would have stopped the build.",
    )
