"""CREATE VIEW and DROP VIEW: a view is a text in the catalog. Its tables are looked up for their columns, not read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from athena_local.catalog import EntityNotFoundError
from athena_local.context import StatementResult
from athena_local.errors import QueryError
from athena_local.sql import statements as s
from athena_local.sql import views
from athena_local.sql.tables import find
from athena_local.statements.definitions import check_names, database_of, done, register, require_database
from athena_local.types import Column

if TYPE_CHECKING:
    from athena_local.engine.session import Session


def create_view(session: Session, statement: s.CreateView) -> StatementResult:
    database, name = require_database(session, statement.view), statement.view.name
    if statement.or_replace:
        session.replaced_view = f"{database}.{name}"
    with session.schema_only():
        translated = session.translate(statement.query)
    columns = [Column(column.name.lower(), column.type, column.comment) for column in translated.columns]
    check_names(columns)
    body = views.encode(session.context.database, name, statement.text, columns, statement.comment)
    catalog = session.context.catalog
    try:
        existing = catalog.get_table(database, name)
    except EntityNotFoundError:
        register(session, database, body, False, statement.view)
        return done()
    if not views.is_view(existing):
        text = f"Table '{database}.{name}' already exists and is not a view"
        raise QueryError("TABLE_ALREADY_EXISTS", text, position=statement.view.position)
    if not statement.or_replace:
        text = f"View already exists: '{database}.{name}'"
        raise QueryError("TABLE_ALREADY_EXISTS", text, position=statement.view.position)
    catalog.update_table(database, body)
    return done()


def drop_view(session: Session, statement: s.DropView) -> StatementResult:
    try:
        record = find(session, statement.view)
    except QueryError as error:
        if statement.if_exists:
            return done()
        text = f"View '{database_of(session, statement.view)}.{statement.view.name}' does not exist"
        raise QueryError("TABLE_NOT_FOUND", text, position=statement.view.position) from error
    if not views.is_view(record):
        text = f"View '{record['DatabaseName']}.{record['Name']}' does not exist, but a table with that name does"
        raise QueryError("TABLE_NOT_FOUND", text, position=statement.view.position)
    session.context.catalog.delete_table(record["DatabaseName"], record["Name"])
    return done()
