"""`parse_statement`: the text of one Athena statement to its tree, or SYNTAX_ERROR with the place.

Queries go to sqlglot's reading of Trino after a look at the tokens that refuses what sqlglot tolerates and Athena does
not (stray commas, FROM-first, list literals). Heads of CREATE, INSERT and the Hive statements are read by hand, because
their names, quoting and properties follow rules of their own. Positions always refer to the text as submitted.
"""

from __future__ import annotations

import itertools
import logging
import re
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from athena_local.errors import QueryError
from athena_local.sql import ddl, statements
from athena_local.sql.dialect import AthenaSQL
from athena_local.sql.lexer import Cursor, Token, string_value, syntax_error, tokenize
from athena_local.sql.places import remember_text
from athena_local.sql.statements import Statement, TableName

logging.getLogger("sqlglot").setLevel(
    logging.ERROR
)  # its fall-backs are refused here; its warnings say nothing more

_QUERY_STARTS = {"SELECT", "WITH", "VALUES", "TABLE", "("}
_UNSUPPORTED = {
    "PREPARE", "EXECUTE", "DEALLOCATE", "UNLOAD", "CALL", "GRANT", "REVOKE", "SET", "RESET", "USE", "ANALYZE",
    "START", "COMMIT", "ROLLBACK", "COMMENT", "REFRESH", "TRUNCATE", "EXPORT", "IMPORT", "LOAD", "LOCK",
}  # fmt: skip
_EXPECTED_STARTS = (
    "'ALTER', 'CREATE', 'DELETE', 'DESCRIBE', 'DROP', 'EXPLAIN', 'INSERT', 'MERGE', 'MSCK', 'OPTIMIZE', 'SHOW', 'UPDATE',"
    " 'VACUUM', <query>"
)
_BEFORE_SUBSCRIPT = {"word", "quoted"}
_NEVER_SUBSCRIPTED = {
    "SELECT",
    "FROM",
    "WHERE",
    "AND",
    "OR",
    "NOT",
    "IN",
    "THEN",
    "ELSE",
    "WHEN",
    "BY",
    "ON",
    "AS",
}
_CLAUSES_AFTER_LIST = {"FROM", "WHERE", "GROUP", "ORDER", "HAVING", "LIMIT", "UNION", ")"}


def parse_statement(text: str) -> Statement:
    """Return the statement a text holds. Raises QueryError(SYNTAX_ERROR), or NOT_SUPPORTED for what this server has not."""
    tokens = tokenize(text)
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    if not tokens:
        raise QueryError("SYNTAX_ERROR", "mismatched input '<EOF>'. Expecting: <query>", position=(1, 1))
    for token in tokens:
        if token.kind == "mark" and token.text == ";":
            raise QueryError("SYNTAX_ERROR", f"Only one sql statement is allowed. Got: {text.strip()}")
    return _statement(Cursor(text, tokens))


def parse_query(text: str) -> exp.Expression:
    """Return the query a stored view holds."""
    statement = parse_statement(text)
    if not isinstance(statement, statements.Select):
        raise QueryError("INVALID_VIEW", "A view's text is not a query")
    return statement.query


def _statement(cursor: Cursor) -> Statement:
    word = cursor.token.upper
    if word in _QUERY_STARTS:
        return statements.Select(_query(cursor))
    readers = {
        "INSERT": _insert,
        "DELETE": _delete,
        "UPDATE": _update,
        "MERGE": _merge,
        "EXPLAIN": _explain,
        "CREATE": _create,
        "OPTIMIZE": _optimize,
    }
    if word in readers:
        return readers[word](cursor)
    statement = ddl.parse(cursor)
    if statement is not None:
        return statement
    if word in _UNSUPPORTED:
        raise QueryError("NOT_SUPPORTED", f"{word} is not supported by this server", position=cursor.position)
    raise cursor.error(_EXPECTED_STARTS)


def _create(cursor: Cursor) -> Statement:
    start = cursor.index
    cursor.expect("CREATE")
    replace = cursor.accept("OR", "REPLACE")
    if cursor.at("PROTECTED") or cursor.at("MULTI"):
        raise QueryError("NOT_SUPPORTED", "Data Catalog views are not supported", position=cursor.position)
    if cursor.accept("VIEW"):
        return _create_view(cursor, replace)
    if replace:
        raise cursor.error("'VIEW'")
    if cursor.at("TABLE"):
        found = _create_table_as(cursor)
        if found is not None:
            return found
    cursor.index = start
    statement = ddl.parse(cursor)
    if statement is None:
        cursor.index = start + 1
        raise cursor.error("'DATABASE', 'EXTERNAL', 'OR', 'SCHEMA', 'TABLE', 'VIEW'")
    return statement


def _create_view(cursor: Cursor, replace: bool) -> Statement:
    view = table_name(cursor)
    comment = None
    if cursor.accept("COMMENT"):
        comment = string_value(cursor.next())
    if cursor.accept("SECURITY"):
        cursor.next()
    cursor.expect("AS")
    text = cursor.text[cursor.token.start : cursor.tokens[-1].end]
    return statements.CreateView(view, _query(cursor), text, replace, comment)


def _create_table_as(cursor: Cursor) -> Statement | None:
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
    if comment:
        properties["comment"] = comment
    return statements.CreateTableAs(table, _query(cursor), properties, if_not_exists, with_data)


def _with_properties(cursor: Cursor) -> dict[str, Any]:
    cursor.expect("(")
    found: dict[str, Any] = {}
    while True:
        key = cursor.identifier()
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
            if cursor.token.kind != "string":
                raise cursor.error("<string>")
            items.append(string_value(cursor.next()))
            cursor.accept(",")
        return items
    raise cursor.error("<expression>")


def _insert(cursor: Cursor) -> Statement:
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
    if cursor.token.upper not in _QUERY_STARTS:
        raise cursor.error("'(', 'SELECT', 'TABLE', 'VALUES', 'WITH'")
    return statements.Insert(table, _query(cursor), tuple(columns))


def _delete(cursor: Cursor) -> Statement:
    cursor.expect("DELETE")
    cursor.expect("FROM")
    table = table_name(cursor)
    where = None
    if cursor.accept("WHERE"):
        where = _expression(cursor)
    cursor.finish()
    return statements.Delete(table, where)


def _update(cursor: Cursor) -> Statement:
    tree = _sqlglot(cursor)
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


def _merge(cursor: Cursor) -> Statement:
    tree = _sqlglot(cursor)
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


def _explain(cursor: Cursor) -> Statement:
    cursor.expect("EXPLAIN")
    mode = "text"
    if cursor.accept("ANALYZE"):
        mode = "analyze"
        cursor.accept("VERBOSE")
    if cursor.at("(") and cursor.ahead().upper in {"FORMAT", "TYPE"}:
        cursor.expect("(")
        while not cursor.accept(")"):
            word = cursor.next().upper
            value = cursor.next().text.lower()
            if word == "FORMAT" or value == "validate":
                mode = value
            cursor.accept(",")
    return statements.Explain(_statement(cursor), mode)


def _optimize(cursor: Cursor) -> Statement:
    cursor.expect("OPTIMIZE")
    table = table_name(cursor)
    cursor.expect("REWRITE", "DATA", "USING", "BIN_PACK")
    where = _expression(cursor) if cursor.accept("WHERE") else None
    cursor.finish()
    return statements.Optimize(table, where)


def table_name(cursor: Cursor) -> TableName:
    """Read `[catalog.][database.]table`; the catalog must be AwsDataCatalog in any spelling."""
    return ddl.table_name(cursor)


def _query(cursor: Cursor) -> exp.Expression:
    """Read the rest of the statement as one query."""
    tree: exp.Expression = _sqlglot(cursor)
    if not isinstance(tree, exp.Query | exp.Values):
        raise cursor.error("<query>")
    cursor.index = len(cursor.tokens)
    return tree


def _expression(cursor: Cursor) -> exp.Expression:
    start = cursor.token.start
    tree = _sqlglot(cursor, into_expression=True)
    cursor.index = len(cursor.tokens)
    if tree is None:
        raise syntax_error(cursor.text, start, "mismatched input '<EOF>'. Expecting: <expression>")
    found: exp.Expression = tree
    return found


def _sqlglot(cursor: Cursor, into_expression: bool = False) -> Any:
    """Parse from the cursor to the end with sqlglot, every character at its own offset."""
    _check_tokens(cursor)
    start, end = cursor.token.start, cursor.tokens[-1].end
    head = "".join(char if char == "\n" else " " for char in cursor.text[:start])
    padded = head + _hex_closed(cursor, cursor.text[start:end], start)
    try:
        if into_expression:
            tree = sqlglot.parse_one(padded, dialect=AthenaSQL, into=exp.Condition)
            remember_text(tree, padded)
            return tree
        trees = sqlglot.parse(padded, dialect=AthenaSQL)
    except ParseError as error:
        raise _parse_error(error) from None
    except (TokenError, ValueError, RecursionError):
        raise cursor.error("<query>") from None
    if len(trees) != 1 or trees[0] is None or isinstance(trees[0], exp.Command):
        raise cursor.error("<query>")
    remember_text(trees[0], padded)
    return trees[0]


def _hex_closed(cursor: Cursor, text: str, start: int) -> str:
    """Move the spaces of X'68 65' behind it: they mean nothing to Trino, sqlglot has no word for them."""
    tokens = cursor.tokens[cursor.index :]
    for mark, token in itertools.pairwise(tokens):
        if mark.upper != "X" or token.kind != "string" or token.start != mark.end:
            continue
        digits = "".join(string_value(token).split())
        if re.fullmatch("[0-9a-fA-F]*", digits) is None:
            message = "Binary literal can only contain hexadecimal digits"
            raise syntax_error(cursor.text, mark.start, message)
        if len(digits) % 2:
            message = "Binary literal must contain an even number of digits"
            raise syntax_error(cursor.text, mark.start, message)
        closed = f"'{digits}'".ljust(len(token.text))
        text = text[: token.start - start] + closed + text[token.end - start :]
    return text


def _parse_error(error: ParseError) -> QueryError:
    detail = error.errors[0] if error.errors else {}
    line, column = int(detail.get("line") or 1), int(detail.get("col") or 1)
    shown = str(detail.get("highlight") or "<EOF>")
    column = max(1, column - len(shown) + 1)
    return QueryError("SYNTAX_ERROR", f"mismatched input '{shown}'", position=(line, column))


def _check_tokens(cursor: Cursor) -> None:
    """Refuse what sqlglot reads and Trino's grammar does not have."""
    tokens = cursor.tokens[cursor.index :]
    previous: Token | None = None
    for index, token in enumerate(tokens):
        following = tokens[index + 1].upper if index + 1 < len(tokens) else ""
        refused = (
            (token.text in {"{", "}", "!"} and token.kind == "mark")
            or (token.text == "[" and not _may_be_subscripted(previous))
            or (token.text == "," and (following in {",", ""} or following in _CLAUSES_AFTER_LIST))
            or (token.upper == "FROM" and (previous is None or previous.text == "("))
            or (token.upper == "SELECT" and (following in _CLAUSES_AFTER_LIST or not following))
            or (token.text[0] == "`")
            or (token.text == ":" and following == ":")
        )
        if refused:
            if token.text[0] == "`":
                message = "backquoted identifiers are not supported; use double quotes to quote identifiers"
                raise syntax_error(cursor.text, token.start, message)
            shown = token if token.text not in {"SELECT", ","} or not following else tokens[index + 1]
            raise syntax_error(
                cursor.text, shown.start, f"mismatched input '{shown.text}'. Expecting: <expression>"
            )
        previous = token


def _may_be_subscripted(previous: Token | None) -> bool:
    if previous is None:
        return False
    if previous.kind in _BEFORE_SUBSCRIPT:
        return previous.upper not in _NEVER_SUBSCRIPTED
    return previous.text in {")", "]"}
