"""Queries of Athena in DuckDB's words, a module for each clause; `dispatch.py` holds what they share on the way."""

from athena_local.sql.queries.dispatch import Queries

__all__ = ["Queries"]
