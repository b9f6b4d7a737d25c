"""Scalar expressions of Athena in DuckDB's words; `dispatch.py` has the table of all that is allowed."""

from athena_local.sql.expressions.dispatch import Expressions

__all__ = ["Expressions"]
