"""Declared sources by name. A source is what lands: columns, types, checks, key and format, as data (see `declaration`)."""

from __future__ import annotations

from penstock.errors import LandingError
from penstock.sources.declaration import Column, Source
from penstock.sources.forecast import FORECAST

SOURCES: dict[str, Source] = {source.name: source for source in (FORECAST,)}


def get(name: str) -> Source:
    """Return a declared source; raises LandingError naming those there are."""
    try:
        return SOURCES[name]
    except KeyError:
        raise LandingError(
            f"'{name}' is no declared source.", hint=f"Declared are: {', '.join(sorted(SOURCES))}."
        ) from None


__all__ = ["SOURCES", "Column", "Source", "get"]
