"""Syntax errors as Trino words them: the place, the token, and what could have stood there.

The first list holds facts of Trino's own parser; the words it expects grew with its version, so those of Athena's are given.
"""

from __future__ import annotations

import pytest

from athena_local.errors import QueryError
from athena_local.sql import parse_statement
from athena_local.sql.grammar.words import RESERVED

AFTER_VALUE = "'%', '*', '+', '-', '/'"
AFTER_RELATION = (
    "'GROUP', 'HAVING', 'INNER', 'INTERSECT', 'JOIN', 'LEFT', 'LIMIT', 'MATCH_RECOGNIZE', 'NATURAL', 'OFFSET', 'ORDER',"
    " 'RIGHT', 'TABLESAMPLE', 'UNION', 'WHERE', 'WINDOW', <EOF>"
)
STARTS = (
    "'ALTER', 'ANALYZE', 'CALL', 'COMMENT', 'COMMIT', 'CREATE', 'DEALLOCATE', 'DELETE', 'DENY', 'DESC', 'DESCRIBE', 'DROP',"
    " 'EXECUTE', 'EXPLAIN', 'GRANT', 'INSERT', 'MERGE', 'PREPARE', 'REFRESH', 'RESET', 'REVOKE', 'ROLLBACK', 'SET', 'SHOW',"
    " 'START', 'TRUNCATE', 'UNLOAD', 'UPDATE', 'USE', <query>"
)


def refusal(sql: str) -> str:
    with pytest.raises(QueryError) as caught:
        parse_statement(sql)
    return str(caught.value)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELEC 1", f"line 1:1: mismatched input 'SELEC'. Expecting: {STARTS}"),
        ("select * from foo where @what", "line 1:25: mismatched input '@'. Expecting: <expression>"),
        (
            "select * from 'oops",
            "line 1:15: mismatched input '''. Expecting: '(', 'LATERAL', 'TABLE', 'UNNEST', <identifier>",
        ),
        (
            "select *\nfrom x\nfrom",
            "line 3:1: mismatched input 'from'. Expecting: ',', '.', 'AS', 'CROSS', 'EXCEPT', 'FETCH', 'FOR', 'FULL', "
            + AFTER_RELATION
            + ", <identifier>",
        ),
        ("select *\nfrom x\nwhere from", "line 3:7: mismatched input 'from'. Expecting: <expression>"),
        ("select", "line 1:7: mismatched input '<EOF>'. Expecting: '*', 'ALL', 'DISTINCT', <expression>"),
        (
            "select * from  ",
            "line 1:16: mismatched input '<EOF>'. Expecting: '(', 'LATERAL', 'TABLE', 'UNNEST', <identifier>",
        ),
        (
            "select * from `foo`",
            "line 1:15: backquoted identifiers are not supported; use double quotes to quote identifiers",
        ),
        (
            "select 1x from dual",
            "line 1:8: identifiers must not start with a digit; surround the identifier with double quotes",
        ),
        (
            "select fuu from dual order by fuu order by fuu",
            "line 1:35: mismatched input 'order'. Expecting: '%', '*', '+', ',', '-', '.', '/', 'AND', 'ASC', 'AT', 'DESC',"
            " 'FETCH', 'LIMIT', 'NULLS', 'OFFSET', 'OR', '[', '||', <EOF>, <predicate>",
        ),
        (
            "select fuu from dual limit 10 order by fuu",
            "line 1:31: mismatched input 'order'. Expecting: <EOF>",
        ),
        (
            "select CAST(12223222232535343423232435343 AS BIGINT)",
            "line 1:1: Invalid numeric literal: 12223222232535343423232435343",
        ),
        ("select foo.!", "line 1:12: mismatched input '!'. Expecting: '*', <identifier>"),
        (
            "select foo(,1)",
            "line 1:12: mismatched input ','. Expecting: ')', '*', 'ALL', 'DISTINCT', 'ORDER', <expression>",
        ),
        ("select foo(DISTINCT ,1)", "line 1:21: mismatched input ','. Expecting: <expression>"),
        (
            "SELECT grouping(a+2) FROM (VALUES (1)) AS t (a) GROUP BY a+2",
            "line 1:18: mismatched input '+'. Expecting: ')', ',', '.'",
        ),
        (
            "SELECT x() over (ROWS select) FROM t",
            "line 1:23: mismatched input 'select'. Expecting: 'BETWEEN', 'CURRENT', 'UNBOUNDED', <expression>",
        ),
        (
            "SELECT X() OVER (ROWS UNBOUNDED) FROM T",
            "line 1:32: mismatched input ')'. Expecting: 'FOLLOWING', 'PRECEDING'",
        ),
        (
            "SELECT a FROM x ORDER BY (SELECT b FROM t WHERE ",
            "line 1:49: mismatched input '<EOF>'. Expecting: <expression>",
        ),
        (
            "SELECT a FROM a AS x TABLESAMPLE x ",
            "line 1:34: mismatched input 'x'. Expecting: 'BERNOULLI', 'SYSTEM'",
        ),
        (
            "SELECT a AS z FROM t GROUP BY CUBE (a), ",
            "line 1:41: mismatched input '<EOF>'. Expecting: '(', 'CUBE', 'GROUPING', 'ROLLUP', <expression>",
        ),
        (
            "SELECT a AS z FROM t WHERE x = 1 + ",
            "line 1:36: mismatched input '<EOF>'. Expecting: <expression>",
        ),
        (
            "SELECT * FROM ( ",
            "line 1:17: mismatched input '<EOF>'. Expecting: '(', 'LATERAL', 'TABLE', 'UNNEST', <identifier>, <query>",
        ),
        ("SELECT CAST(a AS )", "line 1:18: mismatched input ')'. Expecting: <type>"),
        ("SELECT CAST(a AS decimal()", "line 1:26: mismatched input ')'. Expecting: <integer>, <type>"),
        ("SELECT foo(*) filter (", "line 1:23: mismatched input '<EOF>'. Expecting: 'WHERE'"),
        (
            "SELECT * FROM t t x",
            "line 1:19: mismatched input 'x'. Expecting: '(', ',', 'CROSS', 'EXCEPT', 'FETCH', 'FULL', "
            + AFTER_RELATION,
        ),
        ("SELECT * FROM t WHERE EXISTS (", "line 1:31: mismatched input '<EOF>'. Expecting: <query>"),
        ('SELECT "" FROM t', "line 1:8: Zero-length delimited identifier not allowed"),
        ('SELECT a FROM "".t', "line 1:15: Zero-length delimited identifier not allowed"),
        ("-- only", f"line 1:8: mismatched input '<EOF>'. Expecting: {STARTS}"),
        ("/* only */", f"line 1:11: mismatched input '<EOF>'. Expecting: {STARTS}"),
    ],
)
def test_grammar_mismatch_is_worded_as_trino_words_it(sql: str, message: str) -> None:
    assert refusal(sql) == f"SYNTAX_ERROR: {message}"


def test_grammar_long_expression_is_told_at_its_end() -> None:
    sql = "SELECT CASE WHEN " + " * ".join(["1"] * 90)
    position = len(sql) + 1
    assert refusal(sql).startswith(
        f"SYNTAX_ERROR: line 1:{position}: mismatched input '<EOF>'. Expecting: {AFTER_VALUE[:3]}"
    )


NAMES = """
    comment format filter offset limit window date time row map first last year interval over lateral
    tablesample fetch grant asof semi anti positional qualify pivot unpivot sample ilike glob rlike div xor
    collate lock cache isnull notnull straight_join pragma copy load database schema temporary percent
    settings apply sequence default unique returning begin text json uuid values_ _x number string nullif
    position match_recognize
""".split()  # noqa: SIM905 - read more easily as text


@pytest.mark.parametrize("name", NAMES)
def test_grammar_word_that_is_not_reserved_names_anything(name: str) -> None:
    for sql in (
        f"select {name} from (select 1 {name}) {name} where {name}.{name} = 1 order by {name}",
        f"select 1 as {name}, t.{name} from t {name}",
        f"with {name}({name}) as (select 1) select {name}.* from {name} group by {name} having {name} > 1",
        f"select {name}.a from a.{name} join u on {name}.a = u.{name}",
        f"select f({name}) over (partition by {name} order by {name}), {name} in ({name}, -{name}) from t",
        f"select transform(a, {name} -> {name} + 1) {name} from t",
    ):
        parse_statement(sql)


@pytest.mark.parametrize("word", sorted(RESERVED))
def test_grammar_reserved_word_is_a_name_in_quotes_only(word: str) -> None:
    assert refusal(f"select 1 as {word}").startswith(f"SYNTAX_ERROR: line 1:13: mismatched input '{word}'")
    assert refusal(f"select * from {word}").startswith("SYNTAX_ERROR: line 1:")
    parse_statement(f'select t."{word}" as "{word}" from "{word}" t')


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select cast(1 as text)", "line 1:8: Unknown type: text"),
        ("select 1, try_cast(1 as array(string))", "line 1:11: Unknown type: array(string)"),
        ("select cast(1 as float)", "line 1:8: Unknown type: float"),
        ("select e'a\\n'", "line 1:8: Unknown type: e"),
        ("select cast(null as row(a bigint, b blob))", "line 1:8: Unknown type: row(a bigint, b blob)"),
    ],
)
def test_grammar_type_of_another_dialect_is_not_found(sql: str, message: str) -> None:
    assert refusal(sql) == f"TYPE_NOT_FOUND: {message}"


@pytest.mark.parametrize(
    "name",
    [
        "bigint", "int", "double precision", "decimal(10, 2)", "varchar(5)", "char(3)", "time(3)",
        "timestamp(6) with time zone",
        "array(map(varchar, row(a bigint, b timestamp(3) without time zone, c array(varchar))))", "array<int>",
        "bigint array", "interval day to second", "interval year to month", "row(bigint, varchar(2))", '"bigint"',
        "row(x int, y array(varchar), z map(int, int), w int array)",
    ],
)  # fmt: skip
def test_grammar_type_of_trino_is_read(name: str) -> None:
    parse_statement(f"select cast(null as {name}), try_cast(null as {name})")
