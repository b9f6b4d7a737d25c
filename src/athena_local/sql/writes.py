"""Statements that write: views, CREATE TABLE AS, INSERT, DELETE, UPDATE, MERGE and UNLOAD.

Their heads are read by hand, because names, quoting and properties follow rules of their own; the query inside is `trees`'.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql import statements
from athena_local.sql.ddl import table_name
from athena_local.sql.lexer import Cursor, string_value
from athena_local.sql.statements import Statement
from athena_local.sql.trees import QUERY_STARTS, read_expression, read_query, read_tree


def create_view(cursor: Cursor, replace: bool) -> Statement:
    view = table_name(cursor)
    comment = None
    if cursor.accept("COMMENT"):
        comment = string_value(cursor.next())
    if cursor.accept("SECURITY"):
        cursor.next()
    cursor.expect("AS")
    text = cursor.text[cursor.token.start : cursor.tokens[-1].end]
    return statements.CreateView(view, read_query(cursor), text, replace, comment)


def create_table_as(cursor: Cursor) -> Statement | None:
    """Return the CTAS, or None when columns follow the name and the statement is Hive's CREATE TABLE."""
    cursor.expect("TABLE")
    if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
    table = table_name(cursor)
    comment: str | None = None
    if cursor.at("COMMENT"):
        cursor.next()
        comment = string_value(cursor.next())
    properties: dict[str, Any] = {}
    if cursor.accept("WITH"):
        properties = _with_properties(cursor)
    elif not cursor.at("AS"):
        return None
    cursor.expect("AS")
    with_data = True
    last = [token.upper for token in cursor.tokens[-3:]]
    if last == ["WITH", "NO", "DATA"]:
        with_data = False
        del cursor.tokens[-3:]
    elif last[1:] == ["WITH", "DATA"]:
        del cursor.tokens[-2:]
    return statements.CreateTableAs(table, read_query(cursor), properties, if_not_exists, with_data, comment)


def _with_properties(cursor: Cursor) -> dict[str, Any]:
    cursor.expect("(")
    found: dict[str, Any] = {}
    while True:
        position = cursor.position
        key = cursor.identifier()
        if key in found:
            raise QueryError("DUPLICATE_PROPERTY", f"Duplicate property: {key}", position=position)
        cursor.expect("=")
        found[key] = _property_value(cursor)
        if not cursor.accept(","):
            break
    cursor.expect(")")
    return found


def _property_value(cursor: Cursor) -> Any:
    token = cursor.token
    if token.kind == "string":
        return string_value(cursor.next())
    if token.kind == "number":
        text = cursor.next().text
        return int(text) if text.isdigit() else float(text)
    if token.upper in {"TRUE", "FALSE"}:
        return cursor.next().upper == "TRUE"
    if cursor.accept("ARRAY"):
        cursor.expect("[")
        items: list[str] = []
        while not cursor.accept("]"):
            if items:
                cursor.expect(",")
            if cursor.token.kind != "string":
                raise cursor.error("<string>")
            items.append(string_value(cursor.next()))
        return items
    raise cursor.error("<expression>")


def insert(cursor: Cursor) -> Statement:
    cursor.expect("INSERT")
    cursor.expect("INTO")
    table = table_name(cursor)
    columns: list[str] = []
    if cursor.at("(") and cursor.ahead().upper not in {"SELECT", "WITH", "VALUES", "(", "TABLE"}:
        cursor.expect("(")
        while True:
            columns.append(cursor.identifier())
            if not cursor.accept(","):
                break
        cursor.expect(")")
    if cursor.token.upper not in QUERY_STARTS:
        raise cursor.error("'(', 'SELECT', 'TABLE', 'VALUES', 'WITH'")
    return statements.Insert(table, read_query(cursor), tuple(columns))


def delete(cursor: Cursor) -> Statement:
    cursor.expect("DELETE")
    cursor.expect("FROM")
    table = table_name(cursor)
    where = None
    if cursor.accept("WHERE"):
        where = read_expression(cursor)
    cursor.finish()
    return statements.Delete(table, where)


def update(cursor: Cursor) -> Statement:
    tree = read_tree(cursor, "update")
    cursor.expect("UPDATE")
    table = table_name(cursor)
    if not isinstance(tree, exp.Update) or tree.args.get("from_"):
        raise cursor.error("'SET'")
    where = tree.args.get("where")
    return statements.Update(table, _assignments(cursor, tree.expressions), where.this if where else None)


def _assignments(cursor: Cursor, items: list[exp.Expression]) -> tuple[tuple[str, exp.Expression], ...]:
    found = []
    for item in items:
        if not isinstance(item, exp.EQ) or not isinstance(item.this, exp.Column):
            raise cursor.error("<identifier>")
        found.append((item.this.name.lower(), item.expression))
    return tuple(found)


def merge(cursor: Cursor) -> Statement:
    tree = read_tree(cursor, "merge")
    cursor.expect("MERGE")
    cursor.expect("INTO")
    table = table_name(cursor)
    if not isinstance(tree, exp.Merge) or tree.args.get("on") is None:
        raise cursor.error("'USING'")
    clauses = []
    for when in tree.args["whens"].expressions:
        if when.args.get("source"):
            raise cursor.error("'WHEN MATCHED', 'WHEN NOT MATCHED'")
        clauses.append(_merge_clause(cursor, when))
    return statements.Merge(
        table,
        tree.this.alias.lower() or None,
        tree.args["using"],
        tree.args["on"],
        tuple(clauses),
    )


def _merge_clause(cursor: Cursor, when: exp.Expression) -> statements.MergeClause:
    matched, then, condition = bool(when.args["matched"]), when.args["then"], when.args.get("condition")
    if isinstance(then, exp.Update):
        return statements.MergeClause(
            matched, "update", condition, assignments=_assignments(cursor, then.expressions)
        )
    if isinstance(then, exp.Insert):
        columns = then.this.expressions if then.this is not None else []
        if then.expression is None:
            raise cursor.error("'VALUES'")
        return statements.MergeClause(
            matched,
            "insert",
            condition,
            columns=tuple(column.name.lower() for column in columns),
            values=tuple(then.expression.expressions),
        )
    if isinstance(then, exp.Var) and then.name.upper() == "DELETE":
        return statements.MergeClause(matched, "delete", condition)
    raise cursor.error("'DELETE', 'INSERT', 'UPDATE'")


def unload(cursor: Cursor) -> Statement:
    """UNLOAD (query) TO 'location' WITH (property = value, …)."""
    cursor.expect("UNLOAD")
    if not cursor.at("("):
        raise cursor.error("'('")
    inner = _parenthesised(cursor)
    if inner.token.upper not in QUERY_STARTS:
        raise inner.error("<query>")
    query = read_query(inner)
    cursor.expect("TO")
    if cursor.token.kind != "string":
        raise cursor.error("<string>")
    location = string_value(cursor.next())
    properties = _with_properties(cursor) if cursor.accept("WITH") else {}
    cursor.finish()
    return statements.Unload(query, location, properties)


def _parenthesised(cursor: Cursor) -> Cursor:
    """Return a cursor over what stands in the parentheses here, and step behind them."""
    start, depth = cursor.index, 0
    while not cursor.at_end():
        depth += {"(": 1, ")": -1}.get(cursor.next().text, 0)
        if depth == 0:
            return Cursor(cursor.text, cursor.tokens[start + 1 : cursor.index - 1])
    raise cursor.error("')'")
