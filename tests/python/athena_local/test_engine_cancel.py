"""A cancelled query ends, whenever the wish comes."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pytest

from athena_local.context import QueryContext
from athena_local.engine.session import Session


@pytest.mark.timeout(60)
def test_cancel_between_two_statements_stops_the_next(new_context: Callable[[], QueryContext]) -> None:
    context = new_context()
    with Session(context) as session:
        session.connection.execute("select 1").fetchall()
        context.cancellation.request()
        with pytest.raises(duckdb.InterruptException):
            session.connection.execute(
                "select count(*) from range(100000) a(x), range(100000) b(y), range(1000) c(z) where x + y + z < 0"
            ).fetchall()
