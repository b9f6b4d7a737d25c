"""Declarations: what the forecast declares, and what no declaration may say."""

from __future__ import annotations

import re

import pytest

from penstock import sources
from penstock.environments import LANDED_DATABASES
from penstock.errors import LandingError
from penstock.sources import Column, Source
from penstock.sources.forecast import FORECAST, STATES


def test_forecast_header_is_the_files_own() -> None:
    assert (
        FORECAST.header == "restaurant_id,inventory_item_id,business_date,dma_id,dc_id,state,y_05,y_50,y_95"
    )


def test_states_are_50_states_dc_and_territories() -> None:
    codes = STATES.split("|")
    assert len(codes) == len(set(codes)) == 56
    assert all(re.fullmatch("[A-Z]{2}", code) for code in codes)


def test_every_source_has_a_landed_database() -> None:
    assert set(sources.SOURCES) == set(LANDED_DATABASES)


def test_get_unknown_source_names_those_declared() -> None:
    with pytest.raises(LandingError, match="'sales' is no declared source") as raised:
        sources.get("sales")
    assert raised.value.hint == "Declared are: forecast."


def test_source_with_a_key_that_may_be_empty_is_refused() -> None:
    with pytest.raises(ValueError, match="source s: no such column, or one that may be empty: a"):
        Source("s", "t", (Column("a", "int", nullable=True),), key=("a",))


def test_column_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(ValueError, match="column a: 'varchar' is none of int, bigint, double, date, string"):
        Column("a", "varchar")  # type: ignore[arg-type]
