"""Macros rendered without dbt: what only_changes refuses, and what its SQL answers, by DuckDB."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import jinja2
import pytest

from penstock.settings import PROJECT_ROOT

SOURCE = PROJECT_ROOT / "macros" / "incremental" / "only_changes.sql"
ARCHIVED = PROJECT_ROOT / "macros" / "incremental" / "is_archived.sql"


class _CompilerError(Exception):
    """Stands for dbt's exceptions.raise_compiler_error."""


class _Exceptions:
    @staticmethod
    def raise_compiler_error(message: str) -> None:
        raise _CompilerError(message)


def only_changes(archived_days: dict[str, list[list[str]]] | None = None, **arguments: Any) -> str:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    days = {} if archived_days is None else {"PENSTOCK_ARCHIVED_DAYS": json.dumps(archived_days)}
    archived = environment.from_string(
        ARCHIVED.read_text(),
        globals={"env_var": lambda name, default: days.get(name, default), "fromjson": json.loads},
    )
    template = environment.from_string(
        Path(SOURCE).read_text(),
        globals={
            "this": "built_table",
            "exceptions": _Exceptions(),
            "is_archived": archived.module.is_archived,
        },
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
        (
            {"key": ["k"], "values": ["v"], "tombstone": "v", "landed": "s.t"},
            "only_changes: landed needs day, a column of the key, and day needs landed.",
        ),
        (
            {"key": ["k"], "values": ["v"], "tombstone": "v", "landed": "s.t", "day": "v"},
            "only_changes: landed needs day, a column of the key, and day needs landed.",
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


def test_only_changes_rows_of_archived_days_are_not_gone() -> None:
    """Where nothing is staged of an archived day the row stays; what is staged of it is in force; other days lose theirs."""
    connection = duckdb.connect()
    connection.execute(
        """
        create table incoming_rows as from (values
            (1, timestamp '2023-01-02 10:00:00', 5.0), (2, timestamp '2025-01-01 00:00:00', 1.0)) t(k, sold_at, v);
        create table built_table as from (values
            (1, timestamp '2023-01-02 10:00:00', 4.0), (1, timestamp '2023-01-01 00:00:00', 1.0),
            (1, timestamp '2023-01-31 23:59:59', 1.0), (1, timestamp '2023-02-01 00:00:00', 1.0),
            (1, timestamp '2024-06-15 12:00:00', 1.0)) t(k, sold_at, v);
        """
    )
    given: dict[str, Any] = {
        "rows": "incoming_rows", "key": ["k", "sold_at"], "values": ["v"], "tombstone": "v",
        "landed": "sales.sales", "day": "sold_at",
    }  # fmt: skip

    def gone(days: dict[str, list[list[str]]]) -> list[str]:
        changes = only_changes(days, **given)
        found = connection.sql(
            f"select cast(sold_at as date) from ({changes}) where v is null order by 1"
        ).fetchall()
        kept = connection.sql(f"select k, v from ({changes}) where v is not null order by 1").fetchall()
        assert kept == [(1, 5.0), (2, 1.0)]
        return [str(row[0]) for row in found]

    everything = ["2023-01-01", "2023-01-31", "2023-02-01", "2024-06-15"]
    assert gone({}) == everything
    assert gone({"forecast.forecast": [["2023-01-01", "2024-12-31"]]}) == everything
    assert gone({"sales.sales": [["2023-01-01", "2023-01-31"]]}) == ["2023-02-01", "2024-06-15"]
    assert gone({"sales.sales": [["2023-01-01", "2023-01-31"], ["2024-06-15", "2024-06-15"]]}) == [
        "2023-02-01"
    ]
    assert gone({"sales.sales": [["0001-01-01", "9999-12-31"]]}) == []


def test_only_changes_wide_values_are_compared_by_checksum_and_fetched_for_what_differs() -> None:
    """The same rows as by plain comparison, an array changed alone, to null and from null among them."""
    connection = duckdb.connect()
    connection.execute("create macro checksum(x) as sum(hash(x))")
    connection.execute(
        """
        create table incoming_rows as from (values
            (1, 1.0, [1.0, 2.0]), (2, 1.0, [2.0, 1.0]), (3, 1.0, null), (4, 1.0, [1.0]), (5, 2.0, [5.0]), (6, 1.0, [6.0])
        ) t(k, v, w);
        create table built_table as from (values
            (1, 1.0, [1.0, 2.0]), (2, 1.0, [1.0, 2.0]), (3, 1.0, [3.0]), (4, 1.0, null), (5, 1.0, [5.0]), (7, 1.0, [7.0])
        ) t(k, v, w);
        """
    )
    arguments: dict[str, Any] = {
        "rows": "incoming_rows", "key": ["k"], "values": ["v", "w"], "tombstone": "v"
    }  # fmt: skip

    found = connection.sql(only_changes(**arguments, wide=["w"])).order("k").fetchall()

    assert found == [
        *((2, 1.0, [2.0, 1.0]), (3, 1.0, None), (4, 1.0, [1.0]), (5, 2.0, [5.0]), (6, 1.0, [6.0])),
        (7, None, None),
    ]
    assert found == connection.sql(only_changes(**arguments)).order("k").fetchall()


@pytest.mark.parametrize("wide", [["x"], ["v"]])
def test_only_changes_wide_that_is_no_value_or_the_tombstone_is_refused(wide: list[str]) -> None:
    with pytest.raises(_CompilerError, match="must be one of values"):
        only_changes(rows="incoming_rows", key=["k"], values=["v", "w"], tombstone="v", wide=wide)


def test_is_archived_is_false_in_a_unit_test_and_where_nothing_is_archived() -> None:
    """A unit test gives its own rows; what lies in the archive of the lake it runs on is nothing to it."""

    def rendered(resource_type: str, days: dict[str, list[list[str]]]) -> str:
        given = {"PENSTOCK_ARCHIVED_DAYS": json.dumps(days)}
        template = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(
            ARCHIVED.read_text(),
            globals={
                "env_var": given.get,
                "fromjson": json.loads,
                "model": SimpleNamespace(resource_type=resource_type),
            },
        )
        return " ".join(str(template.module.is_archived("sales.sales", "sold_at")).split())

    archived = {"sales.sales": [["2023-01-01", "2023-01-31"], ["2023-03-01", "2023-03-31"]]}
    assert rendered("unit_test", archived) == "false"
    assert rendered("model", {}) == "false"
    assert rendered("model", archived) == (
        "( cast(sold_at as date) between date '2023-01-01' and date '2023-01-31'"
        " or cast(sold_at as date) between date '2023-03-01' and date '2023-03-31' )"
    )
