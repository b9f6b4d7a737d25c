"""UNLOAD: a query's rows into files at a place of one's own, without a table; the manifest tells which files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from athena_local.context import StatementResult
from athena_local.errors import QueryError
from athena_local.journal import journal_of
from athena_local.objects import split_path
from athena_local.sql import statements as s
from athena_local.statements import files, properties
from athena_local.statements.ctas import refuse_filled, storable
from athena_local.statements.definitions import check_hive_type
from athena_local.statements.files import Target

if TYPE_CHECKING:
    from athena_local.engine.session import Session


def unload(session: Session, statement: s.Unload) -> StatementResult:
    context, given = session.context, statement.properties
    properties.check(given, properties.UNLOAD, "unload")
    if "format" not in given:
        raise QueryError("INVALID_TABLE_PROPERTY", "Property 'format' must be specified", position=(1, 1))
    split_path(statement.location)
    writer = properties.writer(given, properties.text(given, "compression"), "unload")
    translated = session.translate(statement.query, stored=True)
    columns = storable(translated.columns)
    for column in columns:
        check_hive_type(column.type)
    data, keys = properties.split(columns, properties.names(given, "partitioned_by"))
    target = Target(statement.location.rstrip("/") + "/", writer, data, keys)
    refuse_filled(session, "unload", target.location)
    with journal_of(context.config).writing(context.query_id, context.catalog, context.objects) as entry:
        written = files.write(session, translated.sql, target, entry)
    return StatementResult(update_count=written.rows, manifest=written.files)
