"""`parse_statement`: the text of one Athena statement to its tree, or SYNTAX_ERROR with the place.

Here the statement's kind is found by its first words. Queries inside are read in `trees`, statements that write in `writes`,
Hive's in `ddl`; what stands around other statements (EXPLAIN, PREPARE, EXECUTE) is read here.
"""

from __future__ import annotations

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql import ddl, statements, writes
from athena_local.sql.dialect import position_at
from athena_local.sql.lexer import Cursor, Token, tokenize
from athena_local.sql.statements import Statement
from athena_local.sql.trees import QUERY_STARTS, read_expression, read_query

_UNSUPPORTED: dict[str, tuple[str, ...]] = {  # first word -> second words; none: whatever follows
    "ANALYZE": (), "CALL": (), "COMMENT": (), "COMMIT": (), "DENY": (), "EXPORT": (), "GRANT": (), "IMPORT": (), "LOAD": (),
    "LOCK": (), "REFRESH": (), "RESET": (), "REVOKE": (), "ROLLBACK": (), "SET": (), "START": (), "TRUNCATE": (), "USE": (),
    "ALTER": ("MATERIALIZED", "VIEW"),
    "CREATE": ("CATALOG", "FUNCTION", "INDEX", "MACRO", "MATERIALIZED", "ROLE", "TEMPORARY"),
    "DROP": ("CATALOG", "FUNCTION", "INDEX", "MACRO", "MATERIALIZED", "ROLE"),
    "SHOW": ("CATALOGS", "COMPACTIONS", "CURRENT", "GRANT", "GRANTS", "INDEX", "LOCKS", "ROLE", "ROLES", "SESSION", "STATS",
             "TRANSACTIONS"),
}  # fmt: skip
_EXPECTED_STARTS = (
    "'ALTER', 'ANALYZE', 'CALL', 'COMMENT', 'COMMIT', 'CREATE', 'DEALLOCATE', 'DELETE', 'DENY', 'DESC', 'DESCRIBE', 'DROP',"
    " 'EXECUTE', 'EXPLAIN', 'GRANT', 'INSERT', 'MERGE', 'PREPARE', 'REFRESH', 'RESET', 'REVOKE', 'ROLLBACK', 'SET', 'SHOW',"
    " 'START', 'TRUNCATE', 'UNLOAD', 'UPDATE', 'USE', <query>"
)  # Athena's own list, to the letter; it leaves out what its Hive parser reads
_OPTIONS = {
    "FORMAT": {"TEXT", "GRAPHVIZ", "JSON"},
    "TYPE": {"LOGICAL", "DISTRIBUTED", "VALIDATE", "IO"},
}
_PREPARABLE = (
    statements.Select, statements.Insert, statements.CreateTableAs, statements.Unload, statements.Delete,
    statements.Update, statements.Merge, statements.Explain,
)  # fmt: skip


def parse_statement(text: str) -> Statement:
    """Return the statement a text holds. Raises QueryError(SYNTAX_ERROR), or NOT_SUPPORTED for what this server has not."""
    tokens = tokenize(text)
    _check_number(text, [token for token in tokens if token.kind == "mark" and token.text == ";"])
    tokens = [token for token in tokens if token.text != ";"]
    if not tokens:
        position = position_at(text, len(text.rstrip()))
        raise QueryError(
            "SYNTAX_ERROR", f"mismatched input '<EOF>'. Expecting: {_EXPECTED_STARTS}", position=position
        )
    return _statement(Cursor(text, tokens))


def _check_number(text: str, ends: list[Token]) -> None:
    """Refuse several statements, a comment behind the semicolon among them, and semicolons alone, as Athena does."""
    starts = [0, *(token.end for token in ends)]
    stops = [*(token.start for token in ends), len(text)]
    parts = [text[start:stop].strip() for start, stop in zip(starts, stops, strict=True)]
    if sum(map(bool, parts)) > 1:
        raise QueryError("SYNTAX_ERROR", f"Only one sql statement is allowed. Got: {text.rstrip()}")
    if ends and not any(parts):
        raise QueryError("", f"Empty sql statement: {text.strip()}")


def parse_query(text: str) -> exp.Expression:
    """Return the query a stored view holds."""
    statement = parse_statement(text)
    if not isinstance(statement, statements.Select):
        raise QueryError("INVALID_VIEW", "A view's text is not a query")
    return statement.query


def _statement(cursor: Cursor) -> Statement:
    word = cursor.token.upper
    if word in QUERY_STARTS:
        return statements.Select(read_query(cursor))
    if word in _UNSUPPORTED and (not _UNSUPPORTED[word] or cursor.ahead().upper in _UNSUPPORTED[word]):
        raise QueryError("", "Queries of this type are not supported")
    readers = {
        "INSERT": writes.insert,
        "DELETE": writes.delete,
        "UPDATE": writes.update,
        "MERGE": writes.merge,
        "UNLOAD": writes.unload,
        "EXPLAIN": _explain,
        "PREPARE": _prepare,
        "EXECUTE": _execute,
        "DEALLOCATE": _deallocate,
        "CREATE": _create,
        "OPTIMIZE": _optimize,
    }
    if word in readers:
        return readers[word](cursor)
    statement = ddl.parse(cursor)
    if statement is not None:
        return statement
    raise cursor.error(_EXPECTED_STARTS)


def _create(cursor: Cursor) -> Statement:
    start = cursor.index
    cursor.expect("CREATE")
    replace = cursor.accept("OR", "REPLACE")
    if cursor.at("PROTECTED") or cursor.at("MULTI"):
        raise QueryError("NOT_SUPPORTED", "Data Catalog views are not supported", position=cursor.position)
    if cursor.accept("VIEW"):
        return writes.create_view(cursor, replace)
    if replace:
        raise cursor.error("'VIEW'")
    if cursor.at("TABLE"):
        found = writes.create_table_as(cursor)
        if found is not None:
            return found
    cursor.index = start
    statement = ddl.parse(cursor)
    if statement is None:
        cursor.index = start + 1
        raise cursor.error("'DATABASE', 'EXTERNAL', 'OR', 'SCHEMA', 'TABLE', 'VIEW'")
    return statement


def _explain(cursor: Cursor) -> Statement:
    """EXPLAIN [ANALYZE [VERBOSE]] [(FORMAT …, TYPE …)] statement; a parenthesis without these words begins a query."""
    cursor.expect("EXPLAIN")
    analyze = cursor.accept("ANALYZE")
    verbose = analyze and cursor.accept("VERBOSE")
    options = {"FORMAT": "TEXT", "TYPE": "DISTRIBUTED"}
    if cursor.at("(") and cursor.ahead().upper in _OPTIONS:
        cursor.expect("(")
        while True:
            name = cursor.next().upper
            if name not in _OPTIONS or (analyze and name == "TYPE"):
                cursor.index -= 1
                raise cursor.error("'FORMAT'" if analyze else "'FORMAT', 'TYPE'")
            if cursor.token.upper not in _OPTIONS[name]:
                raise cursor.error(", ".join(f"'{value}'" for value in sorted(_OPTIONS[name])))
            options[name] = cursor.next().upper
            if not cursor.accept(","):
                break
        cursor.expect(")")
    inner = _statement(cursor)
    if isinstance(inner, statements.Explain):
        raise QueryError("NOT_SUPPORTED", "EXPLAIN is not supported for EXPLAIN", position=(1, 1))
    return statements.Explain(inner, options["FORMAT"].lower(), options["TYPE"].lower(), analyze, verbose)


def _prepare(cursor: Cursor) -> Statement:
    """PREPARE name FROM statement: the text is kept, and read already here so that a mistake in it is told at once."""
    cursor.expect("PREPARE")
    name = _name(cursor)
    cursor.expect("FROM")
    if cursor.at_end():
        raise cursor.error("<statement>")
    position = cursor.position
    text = cursor.text[cursor.token.start : cursor.tokens[-1].end]
    inner = _statement(cursor)
    if not isinstance(inner, _PREPARABLE):
        raise QueryError(
            "NOT_SUPPORTED",
            f"Invalid statement type for prepared statement: {inner.substatement_type}",
            position=position,
        )
    return statements.Prepare(name, text)


def _execute(cursor: Cursor) -> Statement:
    """EXECUTE name [USING value, …]: the values stay text, which is how ExecutionParameters come as well."""
    cursor.expect("EXECUTE")
    name = _name(cursor)
    values: list[str] = []
    if cursor.accept("USING"):
        while True:
            values.append(_value_text(cursor))
            if not cursor.accept(","):
                break
    if not cursor.at_end():
        raise cursor.error("'USING', <EOF>" if not values else "','")
    return statements.Execute(name, tuple(values))


def _name(cursor: Cursor) -> str:
    """Return a prepared statement's name as it is written: the API knows capitals."""
    token = cursor.token
    cursor.identifier()
    return token.text[1:-1].replace('""', '"') if token.kind == "quoted" else token.text


def _value_text(cursor: Cursor) -> str:
    """Return the text up to the next comma outside brackets."""
    start, depth = cursor.token, 0
    while not cursor.at_end() and (depth or cursor.token.text != ","):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(cursor.next().text, 0)
    if cursor.token is start or start.kind == "end":
        raise cursor.error("<expression>")
    return cursor.text[start.start : cursor.tokens[cursor.index - 1].end]


def _deallocate(cursor: Cursor) -> Statement:
    cursor.expect("DEALLOCATE", "PREPARE")
    name = _name(cursor)
    cursor.finish()
    return statements.Deallocate(name)


def _optimize(cursor: Cursor) -> Statement:
    cursor.expect("OPTIMIZE")
    table = ddl.table_name(cursor)
    cursor.expect("REWRITE", "DATA", "USING", "BIN_PACK")
    where = read_expression(cursor) if cursor.accept("WHERE") else None
    cursor.finish()
    return statements.Optimize(table, where)
