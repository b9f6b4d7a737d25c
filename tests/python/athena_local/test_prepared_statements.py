"""PREPARE, EXECUTE and DEALLOCATE PREPARE; the values that `?` stand for, from USING and from the request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from athena_local.errors import QueryError
from athena_local.queries.documents import Documents
from athena_local.queries.prepared import StoredStatements

Rows = Callable[..., list[tuple[Any, ...]]]
Execute = Callable[..., Any]


@pytest.fixture
def prepared(tmp_path: Path) -> StoredStatements:
    return StoredStatements(Documents(tmp_path / "documents.sqlite"))


def refusal(run: Callable[..., Any], sql: str, **changes: Any) -> str:
    with pytest.raises(QueryError) as caught:
        run(sql, **changes)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("'abc'", "abc"),
        ("1 + 1", 2),
        ("date '2020-01-01' + interval '1' day", "2020-01-02"),
        ("NULL", None),
        ("true", True),
        ("upper('x')", "X"),
        ("abc def", "abc def"),
        ("it's", "it's"),
        ("123e4567-e89b-12d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174000"),
        ("abc", "abc"),
        ("x + 1", "x + 1"),
        ("t.x", "t.x"),
        ("1), (2", "1), (2"),
        ("1; drop table t", "1; drop table t"),
        ("", ""),
        ("?", "?"),
        ('"x"', '"x"'),
    ],
)
def test_execution_parameter_is_an_expression_or_else_text(rows: Rows, value: str, result: Any) -> None:
    [(found,)] = rows("select ? as v from (values 1) t(x)", execution_parameters=(value,))
    assert (str(found) if result == "2020-01-02" else found) == result


def test_execution_parameters_fill_in_the_order_of_the_text(rows: Rows) -> None:
    sql = "select ?, a from (values (1, 'x'), (2, 'y'), (3, 'z')) t(a, b) where b in (?, ?) and a > ? order by a limit ?"
    assert rows(sql, execution_parameters=("'first'", "'x'", "'y'", "0", "1")) == [("first", 1)]


def test_question_marks_in_strings_names_and_comments_are_left_alone(rows: Rows) -> None:
    sql = "select '?' as \"a?\", ? /* ? */ -- ?\n"
    assert rows(sql, execution_parameters=("7",)) == [("?", 7)]


def test_execution_parameters_of_a_wrong_number_are_refused(rows: Rows) -> None:
    message = "INVALID_PARAMETER_USAGE: line 1:1: Incorrect number of parameters: expected 2 but found {}"
    assert refusal(rows, "select ?, ?") == message.format(0)
    assert refusal(rows, "select ?, ?", execution_parameters=("1",)) == message.format(1)
    assert refusal(rows, "select ?, ?", execution_parameters=("1", "2", "3")) == message.format(3)
    assert rows("select 1", execution_parameters=("2",)) == [(1,)]  # Athena ignores them without a `?`


def test_execution_parameter_with_a_mistake_fails_the_query(rows: Rows) -> None:
    assert refusal(rows, "select ?", execution_parameters=("nosuchfunc(1)",)).startswith("FUNCTION_NOT_FOUND")


def test_prepare_execute_and_deallocate(rows: Rows, execute: Execute, prepared: StoredStatements) -> None:
    text = "select a + ? as s from (values 1, 2) t(a) where a >= ?"
    assert execute(f"prepare Add_Up from {text};", prepared=prepared).lines == []
    assert prepared.get("primary", "Add_Up") == text
    assert rows("execute Add_Up using 10, 2", prepared=prepared) == [(12,)]
    assert rows("EXECUTE add_up USING 10, (1 + 0)", prepared=prepared) == [(11,), (12,)]
    assert rows("execute Add_Up", prepared=prepared, execution_parameters=("1", "1")) == [(2,), (3,)]
    assert execute("deallocate prepare ADD_UP", prepared=prepared).lines == []
    assert prepared.get("primary", "Add_Up") is None
    for sql in ("execute Add_Up using 1, 2", "deallocate prepare Add_Up"):
        assert refusal(execute, sql, prepared=prepared) == "NOT_FOUND: Prepared statement not found: Add_Up"


def test_prepare_again_replaces_and_workgroups_are_apart(
    rows: Rows, execute: Execute, prepared: StoredStatements
) -> None:
    execute("prepare p from select 1", prepared=prepared)
    execute("prepare p from select 2", prepared=prepared)
    assert rows("execute p", prepared=prepared) == [(2,)]
    assert refusal(execute, "execute p", prepared=prepared, workgroup="other").startswith("NOT_FOUND: ")


def test_execute_with_a_wrong_number_of_values_is_refused(
    execute: Execute, prepared: StoredStatements
) -> None:
    execute("prepare p from select ?", prepared=prepared)
    message = "INVALID_PARAMETER_USAGE: line 1:1: Incorrect number of parameters: expected 1 but found "
    assert refusal(execute, "execute p", prepared=prepared) == message + "0"
    assert refusal(execute, "execute p using 1, array[2, 3]", prepared=prepared) == message + "2"


def test_prepared_statement_may_write(
    rows: Rows, execute: Execute, prepared: StoredStatements, lake: str
) -> None:
    execute(
        f"prepare c from create table t with (external_location='{lake}t/') as select ? as a",
        prepared=prepared,
    )
    assert execute("execute c using 5", prepared=prepared).update_count == 1
    execute("prepare i from insert into t values (?), (?)", prepared=prepared)
    assert execute("execute i using 6, 7", prepared=prepared).update_count == 2
    assert rows("select a from t order by a") == [(5,), (6,), (7,)]
    execute(f"prepare u from unload (select ? as v) to '{lake}u/' with (format='JSON')", prepared=prepared)
    assert execute("execute u using 'x'", prepared=prepared).update_count == 1


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("prepare p select 1", "SYNTAX_ERROR: line 1:11: mismatched input 'select'. Expecting: 'FROM'"),
        ("prepare p from", "SYNTAX_ERROR: line 1:15: mismatched input '<EOF>'. Expecting: <statement>"),
        ("prepare p from selec 1", "SYNTAX_ERROR: line 1:16: mismatched input 'selec'"),
        ("prepare p from drop table t", "NOT_SUPPORTED: line 1:16: Invalid statement type for prepared"),
        ("execute", "SYNTAX_ERROR: line 1:8: mismatched input '<EOF>'. Expecting: <identifier>"),
        ("execute p using", "SYNTAX_ERROR: line 1:16: mismatched input '<EOF>'. Expecting: <expression>"),
        ("execute p using 1,", "SYNTAX_ERROR: line 1:19: mismatched input '<EOF>'. Expecting: <expression>"),
        ("execute p 1", "SYNTAX_ERROR: line 1:11: mismatched input '1'"),
        ("deallocate p", "SYNTAX_ERROR: line 1:12: mismatched input 'p'. Expecting: 'PREPARE'"),
    ],
)
def test_prepare_mistake_is_refused_with_its_place(execute: Execute, sql: str, message: str) -> None:
    assert refusal(execute, sql).startswith(message)


def test_prepared_statements_of_sql_and_of_the_api_are_the_same(
    athena: Any, server: Any, run_query: Rows, lake: str
) -> None:
    workgroup = f"w{lake.rstrip('/')[-8:]}"
    athena.create_work_group(Name=workgroup)
    athena.create_prepared_statement(
        StatementName="PrepStatement", WorkGroup=workgroup, QueryStatement="select ? as a, ? as b"
    )
    assert run_query("Execute PrepStatement using 1, 'x'", WorkGroup=workgroup) == [("1", "x")]
    execution = server.wait(
        server.start("Execute PrepStatement", WorkGroup=workgroup, ExecutionParameters=["2", "'y'"])
    )
    assert (execution["StatementType"], execution["SubstatementType"]) == ("DML", "SELECT")
    assert execution["Query"] == "Execute PrepStatement"
    assert execution["ResultConfiguration"]["OutputLocation"].endswith(".csv")
    server.wait(server.start("prepare other from values (?)", WorkGroup=workgroup))
    found = athena.get_prepared_statement(StatementName="other", WorkGroup=workgroup)["PreparedStatement"]
    assert found["QueryStatement"] == "values (?)"
    server.wait(server.start("deallocate prepare other", WorkGroup=workgroup))
    with pytest.raises(athena.exceptions.ResourceNotFoundException):
        athena.get_prepared_statement(StatementName="other", WorkGroup=workgroup)
    failed = server.wait(server.start("execute other", WorkGroup=workgroup))["Status"]
    assert failed["StateChangeReason"] == "NOT_FOUND: Prepared statement not found: other"
