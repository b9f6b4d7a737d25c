"""Expressions worked out by one query and shown as Athena shows them, so that many cost as little as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from athena_local.errors import QueryError
from athena_local.queries.render import render_column

Execute = Callable[..., Any]


def shown(execute: Execute, expressions: Sequence[str], rest: str = "") -> dict[str, str | None]:
    """Return each expression's value in Athena's text; `rest` is what follows the select list."""
    result = execute(f"select {', '.join(expressions)} {rest}")
    (batch,) = [batch for batch in result.batches if batch.num_rows]
    assert batch.num_rows == 1
    cells = [
        render_column(array, column)[0].as_py()
        for array, column in zip(batch.columns, result.columns, strict=True)
    ]
    return dict(zip(expressions, cells, strict=True))


def types(execute: Execute, expressions: Sequence[str], rest: str = "") -> dict[str, str]:
    """Return each expression's type in Trino's spelling."""
    result = execute(f"select {', '.join(expressions)} {rest}")
    list(result.batches)
    return {
        expression: column.kind.trino()
        for expression, column in zip(expressions, result.columns, strict=True)
    }


def check(execute: Execute, expected: dict[str, str | None], rest: str = "") -> None:
    found = shown(execute, list(expected), rest)
    differing = {key: (found[key], value) for key, value in expected.items() if found[key] != value}
    assert not differing, f"expression: (found, expected) {differing}"


def check_errors(execute: Execute, expected: dict[str, str]) -> None:
    """Run `select <key>` for each and compare how the error begins."""
    for expression, message in expected.items():
        with pytest.raises(QueryError) as caught:
            list(execute(f"select {expression}").batches)
        assert str(caught.value).startswith(message), expression
