"""Macros rendered without dbt: what only_changes refuses, and what its SQL answers, by DuckDB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import jinja2
import pytest

from penstock.settings import PROJECT_ROOT

SOURCE = PROJECT_ROOT / "macros" / "incremental" / "only_changes.sql"


class _CompilerError(Exception):
    """Stands for dbt's exceptions.raise_compiler_error."""


class _Exceptions:
    @staticmethod
    def raise_compiler_error(message: str) -> None:
        raise _CompilerError(message)


def only_changes(**arguments: Any) -> str:
    template = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(
        Path(SOURCE).read_text(), globals={"this": "built_table", "exceptions": _Exceptions()}
    )
    return str(template.module.only_changes(**arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"key": [], "values": ["v"], "tombstone": "v"},
            "only_changes: key must name at least one column.",
        ),
        (
            {"key": ["k"], "values": ["v"], "tombstone": "w"},
            "only_changes: tombstone 'w' must be one of values ['v'].",
        ),
        (
            {"key": ["k"], "values": ["v", "k"], "tombstone": "v"},
            "only_changes: 'k' is in key and in values; the key is what cannot change.",
        ),
    ],
)
def test_only_changes_arguments_that_would_lose_rows_are_refused(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(_CompilerError) as caught:
        only_changes(rows="incoming_rows", **arguments)
    assert str(caught.value) == message


def test_only_changes_applied_by_its_own_conditions_makes_the_tables_equal() -> None:
    """Every kind of difference at once, merged as dbt-athena merges: delete, update, insert."""
    connection = duckdb.connect()
    connection.execute(
        """
        create table incoming_rows as from (values
            (1, 1, 'same', null, 1.0), (1, 2, 'new name', null, 1.0), (1, 3, null, 'x', 1.0),
            (1, 4, 'a', 'b', 2.5), (9, 9, null, null, 7.0)) t(k, l, a, b, v);
        create table built_table as from (values
            (1, 1, 'same', null, 1.0), (1, 2, 'old name', null, 1.0), (1, 3, 'z', 'x', 1.0),
            (1, 4, 'a', 'b', 2.4), (2, 1, 'gone', null, 1.0), (2, 2, 'gone', null, 1.0)) t(k, l, a, b, v);
        """
    )
    changes = only_changes(rows="incoming_rows", key=["k", "l"], values=["a", "b", "v"], tombstone="v")
    connection.execute(f"create table src as {changes}")
    emitted = connection.sql("select k, l, v is null as gone from src order by all").fetchall()
    assert emitted == [
        *((1, 2, False), (1, 3, False), (1, 4, False), (2, 1, True), (2, 2, True), (9, 9, False))
    ]
    connection.execute(
        """
        merge into built_table as target using src on target.k = src.k and target.l = src.l
        when matched and src.v is null then delete
        when matched then update set a = src.a, b = src.b, v = src.v
        when not matched and src.v is not null then insert values (src.k, src.l, src.a, src.b, src.v)
        """
    )
    assert connection.sql("from built_table order by all").fetchall() == (
        connection.sql("from incoming_rows order by all").fetchall()
    )
    assert connection.sql(changes).fetchall() == []
